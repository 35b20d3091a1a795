"""Anthropic's messages: the rules of its documentation, with the messages of its errors."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

Block = dict[str, Any]

_KEYS = {
    "text": {"type", "text", "cache_control", "citations"},
    "image": {"type", "source", "cache_control"},
    "document": {"type", "source", "cache_control", "title", "context", "citations"},
    "tool_use": {"type", "id", "name", "input", "cache_control"},
    "tool_result": {"type", "tool_use_id", "content", "is_error", "cache_control"},
    "thinking": {"type", "thinking", "signature"},
    "redacted_thinking": {"type", "data"},
}
_ROLES = {
    "user": {"text", "image", "document", "tool_result"},
    "assistant": {"text", "tool_use", "thinking", "redacted_thinking"},
}
_IN_RESULTS = {"text", "image", "document"}
_THINKING = ("thinking", "redacted_thinking")
_MEDIA_TYPES = {
    "image": ("image/jpeg", "image/png", "image/gif", "image/webp"),
    "document": ("application/pdf",),
}
_MOST_MARKS = 4
_SMALLEST_BUDGET = 1024
_ORDER = "Note that blocks are processed in the following order: `tools`, `system`, `messages`."


def faults(body: Any, said: Sequence[Sequence[Block]] = ()) -> Iterator[str]:
    """Yield what Anthropic would refuse.

    Args:
        body: The native request.
        said: The thinking blocks of each message that the model has said: no other is signed.
    """
    messages = _merged(body.get("messages") or [])
    yield from _settings(body)
    yield from _system_and_tools(body)
    for number, message in enumerate(messages):
        where = f"messages.{number}"
        if message["role"] not in _ROLES:
            yield f'{where}: Unexpected role "{message["role"]}". Allowed roles are "user" or "assistant".'
            return
        if not message["content"]:
            yield f"{where}: all messages must have non-empty content except for the optional final assistant message"
        yield from _blocks(message["content"], where, _ROLES[message["role"]])
        if message["role"] == "assistant" and message["content"] and message["content"][-1]["type"] in _THINKING:
            yield f"{where}: The final block in an assistant message cannot be `thinking`."
    yield from tool_faults(messages)
    yield from _marks(body, messages)
    thinks = (body.get("thinking") or {}).get("type") in ("enabled", "adaptive")
    yield from thinking_faults(messages, said, thinks=thinks)


def _merged(messages: Sequence[Block]) -> list[Block]:
    """Return the messages as Anthropic reads them: those of one role in a row are one, a text is a text block."""
    merged: list[Block] = []
    for message in messages:
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else list(content or ())
        if merged and merged[-1]["role"] == message["role"]:
            merged[-1]["content"] += blocks
        else:
            merged.append({"role": message["role"], "content": blocks})
    return merged


def _settings(body: Block) -> Iterator[str]:
    if "max_tokens" not in body:
        yield "max_tokens: Field required"
        return
    thinking = body.get("thinking") or {}
    if thinking.get("type") == "enabled":
        if thinking["budget_tokens"] < _SMALLEST_BUDGET:
            yield f"thinking.enabled.budget_tokens: Input should be greater than or equal to {_SMALLEST_BUDGET}"
        if body["max_tokens"] <= thinking["budget_tokens"]:
            yield "`max_tokens` must be greater than `thinking.budget_tokens`."
        if body.get("temperature", 1) != 1:
            yield "`temperature` may only be set to 1 when thinking is enabled."
    forced = (body.get("tool_choice") or {}).get("type") in ("any", "tool")
    if forced and thinking.get("type", "disabled") != "disabled":
        yield "Thinking may not be enabled when tool_choice forces tool use."
    if body.get("tool_choice") and not body.get("tools"):
        yield "tool_choice may only be specified while providing tools."
    for extra in body.keys() & {"response_format", "stream_options", "prompt_cache_key", "reasoning_effort"}:
        yield f"{extra}: Extra inputs are not permitted"


def _system_and_tools(body: Block) -> Iterator[str]:
    system = body.get("system") or []
    for block in [{"type": "text", "text": system}] if isinstance(system, str) else system:
        if not block["text"]:
            yield "system: text content blocks must be non-empty"
        elif not block["text"].strip():
            yield "system: text content blocks must contain non-whitespace text"
    for number, tool in enumerate(body.get("tools") or ()):
        if not re.fullmatch(r"[a-zA-Z0-9_-]{1,128}", tool["name"]):
            yield f"tools.{number}.custom.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'"
        if tool["input_schema"].get("type") != "object":
            yield f"tools.{number}.custom.input_schema.type: Input should be 'object'"


def _blocks(blocks: Sequence[Block], where: str, allowed: set[str]) -> Iterator[str]:
    for number, block in enumerate(blocks):
        kind, here = block.get("type"), f"{where}.content.{number}"
        if kind not in allowed:
            expected = ", ".join(f"'{one}'" for one in sorted(allowed))
            yield f"{here}: Input tag '{kind}' found using 'type' does not match any of the expected tags: {expected}"
            continue
        for extra in sorted(block.keys() - _KEYS[kind]):
            yield f"{here}.{kind}.{extra}: Extra inputs are not permitted"
        yield from _CHECKS[kind](block, here)


def _text(block: Block, here: str) -> Iterator[str]:
    if not block["text"]:
        if "cache_control" in block:
            yield f"{here}.text: cache_control cannot be set for empty text blocks"
        yield "messages: text content blocks must be non-empty"
    elif not block["text"].strip():
        yield "messages: text content blocks must contain non-whitespace text"


def _thinking(block: Block, here: str) -> Iterator[str]:
    if not block.get("signature"):
        yield f"{here}.thinking.signature: Field required"


def _tool_use(block: Block, here: str) -> Iterator[str]:
    if not re.fullmatch(r"[a-zA-Z0-9_-]+", block["id"]):
        yield f"{here}.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'"
    if not isinstance(block["input"], dict):
        yield f"{here}.tool_use.input: Input should be a valid dictionary"


def _tool_result(block: Block, here: str) -> Iterator[str]:
    content = block.get("content") or []
    if not isinstance(content, str):
        yield from _blocks(content, f"{here}.tool_result", _IN_RESULTS)


def _media(block: Block, here: str) -> Iterator[str]:
    source, media_types, here = block["source"], _MEDIA_TYPES[block["type"]], f"{here}.{block['type']}.source"
    if source["type"] == "url":
        if not source["url"].startswith("https://"):
            yield f"{here}.url: Only HTTPS URLs are supported."
    elif source["type"] == "base64":
        if source["media_type"] not in media_types:
            yield f"{here}.base64.media_type: Input should be {' or '.join(repr(each) for each in media_types)}"
        if not re.fullmatch(r"[A-Za-z0-9+/]+={0,2}", source["data"]):
            yield f"{here}.base64: invalid base64 data"
    elif source["type"] != "text" or block["type"] != "document":
        yield f"{here}: Input tag '{source['type']}' found using 'type' does not match any of the expected tags"
    elif source.get("media_type") != "text/plain":
        yield f"{here}.text.media_type: Input should be 'text/plain'"


def _nothing(_: Block, __: str) -> Iterator[str]:
    yield from ()


_CHECKS: dict[str, Callable[[Block, str], Iterator[str]]] = {
    "text": _text,
    "image": _media,
    "document": _media,
    "tool_use": _tool_use,
    "tool_result": _tool_result,
    "thinking": _thinking,
    "redacted_thinking": _nothing,
}


def tool_faults(messages: Sequence[Block]) -> Iterator[str]:
    """Yield what is wrong with the calls and the results of merged messages."""
    calls: list[str] = []
    for number, message in enumerate(messages):
        where = f"messages.{number}"
        results: list[str] = []
        for index, block in enumerate(message["content"]):
            if block["type"] != "tool_result":
                continue
            if index != len(results):
                yield f"{where}: `tool_result` blocks must come first in the content of a user message (our words)"
            called = block["tool_use_id"]
            results.append(called)
            if called not in calls:
                yield (
                    f"{where}.content.{index}: unexpected `tool_use_id` found in `tool_result` blocks: {called}. Each"
                    " `tool_result` block must have a corresponding `tool_use` block in the previous message."
                )
            if results.count(called) > 1:
                yield (
                    f"{where}.content.{index}: each tool_use must have a single result. Found multiple `tool_result`"
                    f" blocks with id: {called}"
                )
        if unanswered := [call for call in calls if call not in results]:
            yield _unanswered(number - 1, unanswered)
        calls = [block["id"] for block in message["content"] if block["type"] == "tool_use"]
        if len(set(calls)) < len(calls):
            yield f"{where}: `tool_use` ids must be unique"
    if calls:
        yield _unanswered(len(messages) - 1, calls)


def _unanswered(number: int, calls: Sequence[str]) -> str:
    return (
        f"messages.{number}: `tool_use` ids were found without `tool_result` blocks immediately after:"
        f" {', '.join(calls)}. Each `tool_use` block must have a corresponding `tool_result` block in the next message."
    )


def _marks(body: Block, messages: Sequence[Block]) -> Iterator[str]:
    """Yield what is wrong with cache marks, in the order in which Anthropic reads the blocks."""
    system = body.get("system") or []
    places = [(f"tools.{number}", tool) for number, tool in enumerate(body.get("tools") or ())]
    places += [(f"system.{number}", block) for number, block in enumerate(() if isinstance(system, str) else system)]
    for number, message in enumerate(messages):
        for index, block in enumerate(message["content"]):
            here = f"messages.{number}.content.{index}"
            places += [
                (f"{here}.content.{inner}", nested)
                for inner, nested in enumerate(block.get("content") or ())
                if isinstance(nested, dict)
            ]
            places.append((here, block))
    marks = [(where, block["cache_control"]) for where, block in places if block.get("cache_control")]
    if len(marks) > _MOST_MARKS:
        yield f"A maximum of {_MOST_MARKS} blocks with cache_control may be provided. Found {len(marks)}."
    short = False
    for where, mark in marks:
        if mark.get("type") != "ephemeral":
            yield f"{where}.cache_control: Input tag found using 'type' does not match any of the expected tags"
        if mark.get("ttl", "5m") not in ("5m", "1h"):
            yield f"{where}.cache_control.ephemeral.ttl: Input should be '5m' or '1h'"
        if mark.get("ttl") == "1h" and short:
            words = "a ttl='1h' cache_control block must not come after a ttl='5m' cache_control block."
            yield f"{where}.cache_control.ttl: {words} {_ORDER}"
        short = short or mark.get("ttl", "5m") == "5m"


def thinking_faults(messages: Sequence[Block], said: Sequence[Sequence[Block]], *, thinks: bool) -> Iterator[str]:
    """Yield what is wrong with the thinking in merged messages.

    Args:
        messages: The conversation.
        said: The thinking blocks of each message that the model has said.
        thinks: Whether thinking is on.
    """
    signed = [block for blocks in said for block in blocks]
    for number, message in enumerate(messages):
        for index, block in enumerate(message["content"]):
            if block["type"] in _THINKING and block not in signed:
                kind = "signature" if block["type"] == "thinking" else "data"
                yield f"messages.{number}.content.{index}: Invalid `{kind}` in `{block['type']}` block"
    spoke = [at for at, message in enumerate(messages) if message["role"] == "assistant"]
    if not spoke:
        return
    last = [block for block in messages[spoke[-1]]["content"] if block["type"] in _THINKING]
    if last and last not in [list(blocks) for blocks in said]:
        yield (
            f"messages.{spoke[-1]}.content.0: `thinking` or `redacted_thinking` blocks in the latest assistant message"
            " cannot be modified. These blocks must remain as they were in the original response."
        )
    if not thinks:
        return
    # What follows the user's last own message is one turn of the model, however many tools it called.
    start = max((at for at, message in enumerate(messages) if _is_users_own(message)), default=0)
    for at, message in enumerate(messages[start:], start):
        first = message["content"][0]["type"] if message["content"] else ""
        if message["role"] == "assistant" and first not in _THINKING:
            yield (
                f"messages.{at}.content.0.type: Expected `thinking` or `redacted_thinking`, but found `{first}`. When"
                " `thinking` is enabled, a final `assistant` message must start with a thinking block (preceeding the"
                " lastmost set of `tool_use` and `tool_result` blocks)."
            )
            return


def _is_users_own(message: Block) -> bool:
    return message["role"] == "user" and all(block["type"] != "tool_result" for block in message["content"])
