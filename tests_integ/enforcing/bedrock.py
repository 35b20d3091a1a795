"""Bedrock's Converse: the service's own rules, and those of Claude behind it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from . import anthropic

Body = dict[str, Any]

_FORMATS = {
    "document": {"pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md"},
    "image": {"png", "jpeg", "gif", "webp"},
    "video": {"mkv", "mov", "mp4", "webm", "flv", "mpeg", "mpg", "wmv", "three_gp"},
}
_BLOCKS = {*_FORMATS, "text", "toolUse", "toolResult", "reasoningContent", "cachePoint"}
_IN_RESULTS = {"text", "json", "image", "document", "video", "searchResult"}
_MOST_POINTS = 4
_MOST_DOCUMENTS = 5
_CLAUDE = "The model returned the following errors: "


def faults(body: Any, said: Sequence[Sequence[Body]] = ()) -> Iterator[str]:
    """Yield what Bedrock would refuse.

    Args:
        body: The native request.
        said: The thinking of each message that Claude has said, as Anthropic's blocks: no other is signed.
    """
    messages = body["messages"]
    tools = (body.get("toolConfig") or {}).get("tools") or []
    if not messages or messages[0]["role"] != "user":
        yield (
            "A conversation must start with a user message. Try again with a conversation that starts with a user"
            " message."
        )
    yield from _messages(messages)
    yield from _tool_results(messages)
    if not tools and any("toolUse" in block or "toolResult" in block for one in messages for block in one["content"]):
        yield "The toolConfig field must be defined when using toolUse and toolResult content blocks."
    yield from _documents(messages)
    yield from _cache_points(messages, body.get("system") or (), tools)
    thinking = (body.get("additionalModelRequestFields") or {}).get("thinking") or {}
    config = body.get("inferenceConfig") or {}
    if thinking.get("type") == "enabled" and config.get("maxTokens", 1 << 20) <= thinking["budget_tokens"]:
        yield f"{_CLAUDE}`max_tokens` must be greater than `thinking.budget_tokens`."
    forced = (body.get("toolConfig") or {}).get("toolChoice") or {}
    if thinking.get("type", "disabled") != "disabled" and forced.keys() & {"any", "tool"}:
        yield f"{_CLAUDE}Thinking may not be enabled when tool_choice forces tool use."
    as_claude = [{"role": one["role"], "content": [_as_claude(block) for block in one["content"]]} for one in messages]
    thinks = thinking.get("type") in ("enabled", "adaptive")
    # On chat the gateway drops what Claude has hidden, which Claude itself would miss in its latest message.
    if not any(block["type"] == "redacted_thinking" for one in as_claude for block in one["content"]):
        said = [[block for block in blocks if block["type"] == "thinking"] for blocks in said]
    yield from (_CLAUDE + fault for fault in anthropic.thinking_faults(as_claude, said, thinks=thinks))


def _messages(messages: Sequence[Body]) -> Iterator[str]:
    for number, message in enumerate(messages):
        where = f"messages.{number}"
        if number and messages[number - 1]["role"] == message["role"]:
            yield (
                "A conversation must alternate between user and assistant roles. Make sure the conversation alternates"
                " between user and assistant roles and try again."
            )
        if not message["content"]:
            yield (
                f"The content field in the Message object at {where} is empty. Add a ContentBlock object to the content"
                " field and try again."
            )
        for index, block in enumerate(message["content"]):
            here = f"{where}.content.{index}"
            kinds = block.keys() & _BLOCKS
            if len(block) == 1 and kinds:
                yield from _block(next(iter(kinds)), block, here, message["role"])
            else:
                yield f"Invalid number of parameters set for tagged union structure {here}."


def _block(kind: str, block: Body, here: str, role: str) -> Iterator[str]:
    if kind == "text" and not block["text"].strip():
        words = "Add text to the text field, and try again."
        yield f"The text field in the ContentBlock object at {here} is blank. {words}"
    elif kind == "toolUse" and not re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", block["toolUse"]["toolUseId"]):
        yield f"Value at '{here}.toolUse.toolUseId' failed to satisfy constraint: [a-zA-Z0-9_-]+"
    elif kind == "toolUse" and not isinstance(block["toolUse"]["input"], dict):
        yield f"The format of the value at {here}.toolUse.input is invalid. Provide a json object for the field"
    elif kind == "toolResult":
        yield from _result(block["toolResult"], here)
    elif kind == "reasoningContent":
        reasoning = block["reasoningContent"].get("reasoningText")
        if reasoning is not None and not reasoning.get("signature"):
            yield f"{_CLAUDE}{here}.thinking.signature: Field required"
    elif kind in _FORMATS:
        if role != "user":
            yield f"{kind} blocks are only allowed in messages with the role user (our words): {here}"
        if block[kind]["format"] not in _FORMATS[kind]:
            yield (
                f"Value '{block[kind]['format']}' at '{here}.{kind}.format' failed to satisfy constraint: Member must"
                f" satisfy enum value set: {sorted(_FORMATS[kind])}"
            )


def _result(result: Body, here: str) -> Iterator[str]:
    for block in result["content"]:
        if "cachePoint" in block or not block.keys() <= _IN_RESULTS:
            known = ", ".join(sorted(_IN_RESULTS))
            yield f"Unknown parameter in {here}.toolResult.content: {sorted(block)}, must be one of: {known}"
        elif "text" in block and not block["text"].strip():
            yield f"The text field in the ContentBlock object at {here}.toolResult is blank."


def _tool_results(messages: Sequence[Body]) -> Iterator[str]:
    calls: list[str] = []
    for number, message in enumerate(messages):
        results = [block["toolResult"]["toolUseId"] for block in message["content"] if "toolResult" in block]
        if len(results) > len(calls):
            yield (
                f"The number of toolResult blocks at messages.{number}.content exceeds the number of toolUse blocks of"
                " previous turn."
            )
        elif missing := [call for call in calls if call not in results]:
            yield f"Expected toolResult blocks at messages.{number}.content for the following Ids: {', '.join(missing)}"
        calls = [block["toolUse"]["toolUseId"] for block in message["content"] if "toolUse" in block]
    if calls:
        yield f"Expected toolResult blocks at messages.{len(messages)}.content for the following Ids: {calls}"


def _documents(messages: Sequence[Body]) -> Iterator[str]:
    names: list[str] = []
    for number, message in enumerate(messages):
        here = [block["document"]["name"] for block in message["content"] if "document" in block]
        names += here
        if here and not any("text" in block for block in message["content"]):
            yield f"messages.{number} includes a document, so it must also include a text (our words)"
    for name in names:
        # The service takes underscores too, which its own message leaves out.
        if not re.fullmatch(r"[a-zA-Z0-9_\s()\[\]-]{1,200}", name) or re.search(r"\s\s", name):
            yield (
                "The document file name can only contain alphanumeric characters, whitespace characters, hyphens,"
                " parentheses, and square brackets. The name can't contain more than one consecutive whitespace"
                " character."
            )
    if len(set(names)) < len(names):
        yield "Messages can't contain duplicate document names. Rename the document and retry your request."
    if len(names) > _MOST_DOCUMENTS:
        yield f"You can't include more than {_MOST_DOCUMENTS} documents in a request."


def _cache_points(messages: Sequence[Body], system: Sequence[Body], tools: Sequence[Body]) -> Iterator[str]:
    points = 0
    for blocks in (tools, system, *(message["content"] for message in messages)):
        for index, block in enumerate(blocks):
            if "cachePoint" not in block:
                continue
            points += 1
            before = blocks[index - 1] if index else {}
            if not index or "cachePoint" in before:
                yield "There is nothing available to cache."
            if "reasoningContent" in before:
                yield (
                    "Cache point cannot be inserted after reasoning block. Please remove the invalid cache point and"
                    " try again."
                )
            if before.get("document", {}).get("format", "pdf") != "pdf":
                yield "Cache point cannot be inserted after a document block that is no PDF (our words)"
    if points > _MOST_POINTS:
        yield f"A maximum of {_MOST_POINTS} cache points may be provided. Found {points} (our words)."


def _as_claude(block: Body) -> Body:
    """Return a block as far as its kind and its thinking go."""
    reasoning = block.get("reasoningContent", {})
    if text := reasoning.get("reasoningText"):
        return {"type": "thinking", "thinking": text["text"], "signature": text.get("signature")}
    if "redactedContent" in reasoning:
        return {"type": "redacted_thinking", "data": reasoning["redactedContent"]}
    return {"type": {"toolUse": "tool_use", "toolResult": "tool_result"}.get(next(iter(block)), "text")}
