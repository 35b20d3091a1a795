"""Cohere's chat, version 2. Its error texts are not known here, so all messages are our own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def faults(body: Any) -> Iterator[str]:
    """Yield what Cohere would refuse."""
    kind = (body.get("response_format") or {"type": "text"})["type"]
    if kind not in ("text", "json_object"):
        yield f"invalid request: response_format.type must be one of text, json_object, not {kind}"
    called: list[str] = []
    for number, message in enumerate(body["messages"]):
        role, content = message["role"], message.get("content")
        if role not in ("system", "user", "assistant", "tool"):
            yield f"invalid request: messages[{number}] has the unknown role {role}"
        if role == "tool":
            if not message.get("tool_call_id"):
                yield f"invalid request: the tool message at messages[{number}] must have a tool_call_id"
            elif message["tool_call_id"] not in called:
                yield f"invalid request: messages[{number}] answers the unknown tool call {message['tool_call_id']}"
        if not content and not (role == "assistant" and message.get("tool_calls")):
            yield f"invalid request: messages[{number}] must have content"
        for part in content if isinstance(content, list) else ():
            if part["type"] not in ("text", "image_url", "document", "thinking"):
                yield f"invalid request: messages[{number}] has content of the unknown type {part['type']}"
        called += [call["id"] for call in message.get("tool_calls") or ()]
