"""Mistral's chat completions: like OpenAI's, with stricter turns and ids."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

Body = dict[str, Any]

_KEYS = {
    "system": {"role", "content"},
    "user": {"role", "content"},
    "assistant": {"role", "content", "tool_calls", "prefix"},
    "tool": {"role", "content", "name", "tool_call_id"},
}
_AFTER = {
    None: {"system", "user"},
    "system": {"system", "user", "assistant"},
    "user": {"user", "system", "assistant"},
    "assistant": {"assistant", "user", "tool"},
    "tool": {"tool", "assistant"},
}
_CHUNKS = {
    "text": {"type", "text"},
    "image_url": {"type", "image_url"},
    "document_url": {"type", "document_url", "document_name"},
    "thinking": {"type", "thinking", "closed"},
    "input_audio": {"type", "input_audio"},
}
_BODY = {
    "model", "messages", "tools", "tool_choice", "stream", "max_tokens", "temperature", "top_p", "random_seed",
    "response_format", "stop", "parallel_tool_calls", "prompt_mode", "safe_prompt", "presence_penalty",
    "frequency_penalty", "n", "prediction",
}  # fmt: skip


def faults(body: Any) -> Iterator[str]:
    """Yield what Mistral would refuse."""
    for key in sorted(body.keys() - _BODY):
        yield f"Extra inputs are not permitted: body.{key}"
    for number, message in enumerate(body["messages"]):
        role = message["role"]
        for key in sorted(message.keys() - _KEYS.get(role, set())):
            yield f"Extra inputs are not permitted: body.messages.{number}.{role}.{key}"
        content = message.get("content")
        for chunk in content if isinstance(content, list) else ():
            if extra := sorted(chunk.keys() - _CHUNKS.get(chunk["type"], set())):
                yield f"Extra inputs are not permitted: body.messages.{number}.{role}.content.{extra}"
        if content == [] or (content is None and role != "assistant"):
            yield f"body.messages.{number}.{role}.content: Input should be a valid string"
    yield from _turns(body["messages"])
    yield from _calls(body["messages"])


def _turns(messages: Sequence[Body]) -> Iterator[str]:
    before: str | None = None
    for message in messages:
        if message["role"] not in _AFTER[before]:
            yield f"Unexpected role '{message['role']}' after role '{before}'"
        before = message["role"]
    if before not in ("user", "tool"):
        yield f"Expected last role User or Tool (or Assistant with prefix True) for serving but got {before}"


def _calls(messages: Sequence[Body]) -> Iterator[str]:
    waiting: list[str] = []
    for message in messages:
        calls = message.get("tool_calls") or []
        if message["role"] == "tool":
            if message.get("tool_call_id") not in waiting:
                yield "Not the same number of function calls and responses"
            else:
                waiting.remove(message["tool_call_id"])
        elif waiting:
            yield "Not the same number of function calls and responses"
            waiting = []
        if message["role"] == "assistant" and not (message.get("content") or calls):
            yield "Assistant message must have either content or tool_calls, but not none."
        for call_id in [call["id"] for call in calls]:
            if not re.fullmatch(r"[a-zA-Z0-9]{9}", call_id):
                yield f"Tool call id was {call_id} but must be a-z, A-Z, 0-9, with a length of 9."
            waiting.append(call_id)
    if waiting:
        yield "Not the same number of function calls and responses"
