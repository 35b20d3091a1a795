"""Strands messages, tools and settings to the body of a chat completion. Pure: nothing given is written into."""

from __future__ import annotations

import json
import warnings
from base64 import b64encode
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final

from pydantic import JsonValue
from strands.types.content import CachePoint, ContentBlock, Message, ReasoningContentBlock, SystemContentBlock
from strands.types.tools import ToolChoice, ToolSpec

from ._caching import Caching
from ._config import PortkeyConfig
from ._dialects import Dialect
from ._errors import PortkeyConfigError
from ._media import media_parts, name_apart
from ._tools import (
    Body,
    called_tools,
    in_order,
    to_tool_call,
    to_tool_choice,
    to_tools,
    told_result,
    tool_message,
    tool_names,
    unknown_block,
)

_MARKABLE: Final = ("text", "image_url")  # The gateway drops a cache mark on other parts.
_THINKING: Final = ("thinking", "redacted_thinking")
_BLANK: Final = "[blank text]"  # As Strands says it in the model's messages; upstreams refuse blank text.


def to_body(
    messages: Sequence[Message],
    config: PortkeyConfig,
    dialect: Dialect,
    *,
    tool_specs: Sequence[ToolSpec] | None = None,
    system: Sequence[SystemContentBlock] = (),
    tool_choice: ToolChoice | None = None,
    response_format: JsonValue = None,
    session_id: str | None = None,
    trailing_blocks: int = 0,
) -> Body:
    """Build the body of a chat completion. The same arguments give the same one, so that prompt caches hit.

    `session_id` is the default key of the prompt cache; the `trailing_blocks` at the end of the last message change
    with every call.

    Raises:
        PortkeyConfigError: If a block cannot be sent.
    """
    caching = Caching(config.get("cache_config"), dialect, session_id)
    if response_format is not None and dialect.schema == "json_object":
        wanted = response_format.get("json_schema") if isinstance(response_format, dict) else None
        schema = json.dumps(wanted, ensure_ascii=False)
        system = [*system, {"text": f"Answer with JSON that fits this schema: {schema}"}]
        response_format = {"type": "json_object"}
    body: Body = {
        "model": config["model_id"],
        "messages": [
            *_system_messages(caching.system_blocks(system), caching),
            *_messages(messages, dialect, caching, trailing_blocks),
        ],
    }
    if not body["messages"]:
        raise PortkeyConfigError("there is nothing to send: all messages are blank")
    params = dict(config.get("params") or {})
    if tools := to_tools(tool_specs or (), params.pop("tools", None), dialect, caching):
        body["tools"] = tools
    else:  # OpenAI refuses them where there are no tools.
        params.pop("tool_choice", None)
        params.pop("parallel_tool_calls", None)
        if dialect.tools_with_calls and (stubs := called_tools(messages, dialect)):
            body["tools"] = stubs
    body["stream"] = config.get("stream", True)
    options = params.pop("stream_options", None)
    if params.get("stream", body["stream"]):  # OpenAI refuses the options of an answer that is no stream.
        body["stream_options"] = {"include_usage": True} | (options if isinstance(options, dict) else {})
    if dialect.usage:
        body["usage"] = {"include": True}
    body.update(caching.params())
    if dialect.max_tokens and params.get("max_tokens") is None and params.get("max_completion_tokens") is None:
        body["max_completion_tokens"] = dialect.max_tokens + _thinking_budget(params)
    body.update(params)
    # What is asked for in this one call goes before what holds for all.
    if tools and tool_choice:
        body["tool_choice"] = to_tool_choice(tool_choice)
    if response_format is not None:
        body["response_format"] = response_format
    return body


def dump_body(body: Body) -> bytes:
    """Return the body as JSON.

    Raises:
        PortkeyConfigError: If a parameter or a tool's schema is no JSON.
    """
    try:
        return json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:  # Half a surrogate pair, as tools read from files, can be sent escaped.
        return json.dumps(body, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise PortkeyConfigError(f"the request cannot be sent as JSON: {error}") from None


def _thinking_budget(params: Mapping[str, JsonValue]) -> int:
    """Return the tokens that Claude may think with, which count among those of the answer."""
    thinking = params.get("thinking")
    budget = thinking.get("budget_tokens") if isinstance(thinking, dict) else None
    return budget if isinstance(budget, int) else 0


def _system_messages(blocks: Sequence[SystemContentBlock], caching: Caching) -> list[Body]:
    """Return one system message: plain text, or parts where the upstream caches by part."""
    parts: list[Body] = []
    for block in blocks:
        if "cachePoint" in block:
            _mark(parts[-1] if parts else None, block["cachePoint"], caching)
        elif "text" not in block:
            raise unknown_block(block, caching.dialect, "text")
        elif block["text"].strip():
            parts.append({"type": "text", "text": block["text"]})
    if not parts:
        return []
    if any("cache_control" in part for part in parts):
        return [{"role": "system", "content": list(parts)}]
    return [{"role": "system", "content": "\n".join(str(part["text"]) for part in parts)}]


def _messages(messages: Sequence[Message], dialect: Dialect, caching: Caching, trailing_blocks: int) -> list[Body]:
    names = tool_names(messages)
    called: Sequence[str] = ()
    bodies: list[Body] = []
    for message, blocks in zip(messages, caching.messages(messages, trailing_blocks), strict=True):
        if message["role"] == "assistant":
            called = list(tool_names([message]))
            bodies += _assistant_messages(blocks, dialect, caching)
        else:
            bodies += _user_messages(in_order(blocks, called), dialect, caching, names)
    contents = [body["content"] for body in bodies]
    name_apart([part for parts in contents if isinstance(parts, list) for part in parts if isinstance(part, dict)])
    return bodies if dialect.user_after_results else _bridged(bodies)


def _bridged(bodies: Sequence[Body]) -> list[Body]:
    """Return the messages with a word of the model's where the user speaks right behind results: Mistral wants it."""
    bridged = list(bodies[:1])
    for before, body in pairwise(bodies):
        if (before["role"], body["role"]) == ("tool", "user"):
            bridged.append({"role": "assistant", "content": "I have the results."})
        bridged.append(body)
    return bridged


def _user_messages(
    blocks: Sequence[ContentBlock], dialect: Dialect, caching: Caching, names: Mapping[str, str]
) -> list[Body]:
    """Return all tools' results, then what had to move out of them together with the user's own words."""
    results: list[Body] = []
    moved: list[Body] = []
    parts: list[Body] = []
    last: Body | None = None
    for block in blocks:
        if "cachePoint" in block and last in results:
            behind = _mark_result(last, block["cachePoint"], caching)
            parts += [point for point in behind if point not in parts[-1:]]
        elif "cachePoint" in block:
            _mark(last, block["cachePoint"], caching)
        elif "toolResult" in block:
            last, media = tool_message(block["toolResult"], dialect, names)
            if dialect.calls:
                results.append(last)
                moved += media
            else:
                last = told_result(last, block["toolResult"], names)
                parts += [last, *media]
        else:
            for part in _parts(block, dialect):
                parts.append(part)
                last = part if part["type"] in _MARKABLE else last
    content = _content(_with_text([*moved, *parts], dialect), dialect)
    if not results:  # Left out, a blank message would leave the model's own as the last, to go on from.
        content = content or _BLANK
    return [*results, {"role": "user", "content": content}] if content else results


def _assistant_messages(blocks: Sequence[ContentBlock], dialect: Dialect, caching: Caching) -> list[Body]:
    """Return one message, or two where the upstream keeps no text beside tool calls; none where nothing was said."""
    said: list[Body] = []
    last: Body | None = None
    for block in blocks:
        if "cachePoint" in block:
            _mark(last, block["cachePoint"], caching, verbatim=True)
        elif "reasoningContent" in block:
            said += _thinking(block["reasoningContent"], dialect)
        else:
            parts = [to_tool_call(block["toolUse"], dialect)] if "toolUse" in block else _parts(block, dialect)
            said += parts
            last = parts[-1] if parts else last
    calls: list[JsonValue] = [part for part in said if part["type"] == "function"]
    ordered = [part for part in said if part["type"] != "function"]
    content = _content([part for part in ordered if part["type"] not in _THINKING], dialect)
    if content is None and not calls:
        return []
    message: Body = {"role": "assistant", "content": content, **_replayed(ordered, dialect, is_open=bool(calls))}
    if not calls:
        return [message]
    if content and not dialect.text_beside_calls:
        return [message, {"role": "assistant", "content": None, "tool_calls": calls}]
    return [{**message, "tool_calls": calls}]


def _thinking(thought: ReasoningContentBlock, dialect: Dialect) -> list[Body]:
    """Return reasoning as Claude's own block, if the upstream takes it back: Claude wants it signed, others do not."""
    text = thought.get("reasoningText", {})
    signature = text.get("signature")
    if redacted := thought.get("redactedContent"):
        return [{"type": "redacted_thinking", "data": _redacted_data(redacted)}] if dialect.redacted else []
    if dialect.reasoning == "content_blocks":
        return [{"type": "thinking", "thinking": text.get("text", ""), "signature": signature}] if signature else []
    # What is signed is Claude's, and no other model's own.
    return [{"type": "thinking", "thinking": text.get("text", "")}] if dialect.reasoning and not signature else []


def _redacted_data(redacted: bytes) -> str:
    """Return what this package kept as text, or the base64 of the bytes that Bedrock's own provider keeps."""
    return redacted.decode() if redacted.isascii() else b64encode(redacted).decode()


def _replayed(ordered: Sequence[Body], dialect: Dialect, *, is_open: bool) -> Body:
    """Return the field that carries reasoning; never an empty list, which would erase the text."""
    kept = list(ordered)
    while kept and not is_open and kept[-1]["type"] in _THINKING:  # Claude refuses a message that ends with reasoning.
        kept.pop()
    thoughts = [part for part in kept if part["type"] in _THINKING]
    if dialect.reasoning is None or not thoughts:
        return {}
    if dialect.reasoning == "content_blocks":
        return {"content_blocks": list(kept)}
    return {dialect.reasoning: "".join(str(part["thinking"]) for part in thoughts)}


def _parts(block: ContentBlock, dialect: Dialect) -> list[Body]:
    """Return the parts for one block; blank text gives none, since upstreams refuse it."""
    if "text" in block:
        text = block["text"]
    elif "guardContent" in block and "text" in block["guardContent"]:
        text = block["guardContent"]["text"]["text"]
    elif "citationsContent" in block:
        text = "".join(part["text"] for part in block["citationsContent"].get("content", ()) if "text" in part)
    elif parts := media_parts(block, dialect):
        return parts
    else:
        raise unknown_block(block, dialect, "text, an image, a document, audio or video")
    return [{"type": "text", "text": text}] if text.strip() else []


def _with_text(parts: list[Body], dialect: Dialect) -> list[Body]:
    """Return a user's parts with a text beside documents where the upstream, Bedrock, refuses them alone."""
    kinds = [part["type"] for part in parts]
    if not dialect.text_beside_documents or "file" not in kinds or "text" in kinds:
        return parts
    return [{"type": "text", "text": "(documents)"}, *parts]


def _content(parts: Sequence[Body], dialect: Dialect) -> JsonValue:
    """Return parts as content: one plain text as text, none as None."""
    if not parts:
        return None
    if not dialect.parts:
        return "\n".join(str(part["text"]) for part in parts)
    if len(parts) == 1 and parts[0].keys() == {"type", "text"}:
        return parts[0]["text"]
    return list(parts)


def _mark(part: Body | None, point: CachePoint, caching: Caching, *, verbatim: bool = False) -> None:
    """Put a cache mark on a part or a tool call that this module has just made."""
    control = caching.control(point.get("ttl"), verbatim=verbatim)
    if control and part:
        part["cache_control"] = control
    elif control:
        warnings.warn("a cache point has no effect: there is no text or image ahead of it", stacklevel=2)


def _mark_result(result: Body, point: CachePoint, caching: Caching) -> list[Body]:
    """Put a cache mark on a tool's result, or return the part that stands for it in the user's message."""
    control = caching.control(point.get("ttl"), verbatim=True)
    if control is None:
        return []
    if caching.dialect.result_points == "behind":
        # Bedrock has no place for it inside; the gateway makes a cache point of a part that it does not know.
        return [{"type": "cache_point", "cache_control": control}]
    if caching.dialect.result_points is None:
        message = f"a cache point behind a tool's result has no effect with the upstream {caching.dialect.name!r}"
        warnings.warn(message, stacklevel=2)
        return []
    match result["content"]:
        case [*_, dict(last)]:
            last["cache_control"] = control
        case text:
            result["content"] = [{"type": "text", "text": text, "cache_control": control}]
    return []
