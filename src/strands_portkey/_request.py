"""Strands messages, tools and settings to the body of a chat completion. Pure: nothing given is written into."""

from __future__ import annotations

import json
import warnings
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from typing import Final, cast

from pydantic import JsonValue
from strands.types.content import CachePoint, ContentBlock, Message, ReasoningContentBlock, SystemContentBlock
from strands.types.tools import ToolChoice, ToolResult, ToolSpec, ToolUse

from ._caching import Caching
from ._config import PortkeyConfig, is_mapping
from ._dialects import Dialect
from ._errors import PortkeyConfigError
from ._media import media_parts, native_media

Body = dict[str, JsonValue]

_NO_OUTPUT: Final = "(no output)"  # Upstreams refuse an empty result.
_MARKABLE: Final = ("text", "image_url")  # The gateway drops a cache mark on other parts.
_TOOL_CHOICES: Final = {"any": "required", "auto": "auto", "none": "none"}
_THINKING: Final = ("thinking", "redacted_thinking")


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
    """Build the body of a chat completion.

    Args:
        messages: The conversation.
        config: The model's configuration.
        dialect: What the upstream takes.
        tool_specs: Tools that the model may call.
        system: The system prompt's blocks.
        tool_choice: Which tool the model must call.
        response_format: JSON schema that the answer must fit.
        session_id: The agent's session, the default key for prompt caching.
        trailing_blocks: Number of blocks at the end of the last message that change with every call.

    Returns:
        The body; the same arguments give the same one, so that the upstream's prompt cache hits.

    Raises:
        PortkeyConfigError: If a block cannot be sent.
    """
    caching = Caching(config.get("cache_config"), dialect, session_id)
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
    if tools := _tools(tool_specs or (), params.pop("tools", None), dialect, caching):
        body["tools"] = tools
    else:  # OpenAI refuses them where there are no tools.
        params.pop("tool_choice", None)
        params.pop("parallel_tool_calls", None)
    body["stream"] = config.get("stream", True)
    if params.get("stream", body["stream"]):
        options = params.pop("stream_options", None)
        body["stream_options"] = {"include_usage": True} | (options if isinstance(options, dict) else {})
    if dialect.usage:
        body["usage"] = {"include": True}
    body.update(caching.params())
    if dialect.max_tokens and params.get("max_tokens") is None and params.get("max_completion_tokens") is None:
        body["max_completion_tokens"] = dialect.max_tokens + _thinking_budget(params)
    body.update(params)
    # What is asked for in this one call goes before what holds for all.
    if tools and tool_choice is not None:
        body["tool_choice"] = _tool_choice(tool_choice)
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


def _tools(specs: Sequence[ToolSpec], more: JsonValue, dialect: Dialect, caching: Caching) -> list[JsonValue]:
    """Return the agent's tools, the last with the cache mark, and after them the tools of `params`."""
    tools = [_tool(spec) for spec in specs]
    if tools and not dialect.tools:
        message = f"the gateway may drop the tools for the upstream {dialect.name!r}; the model then does not see them"
        warnings.warn(message, stacklevel=2)
    if tools and (control := caching.tools_control()):
        tools[-1]["cache_control"] = control
    return [*tools, *(more if isinstance(more, list) else ())]


def _tool(spec: ToolSpec) -> Body:
    schema = cast("Body", spec["inputSchema"])  # Strands says no more than dict.
    return {
        "type": "function",
        "function": {
            "name": spec["name"],
            "description": spec["description"],
            "parameters": schema.get("json", schema),
        },
    }


def _thinking_budget(params: Mapping[str, JsonValue]) -> int:
    """Return the tokens that Claude may think with, which count among those of the answer."""
    thinking = params.get("thinking")
    budget = thinking.get("budget_tokens") if isinstance(thinking, dict) else None
    return budget if isinstance(budget, int) else 0


def _tool_choice(tool_choice: object) -> JsonValue:
    if is_mapping(tool_choice):
        if is_mapping(tool := tool_choice.get("tool")) and isinstance(name := tool.get("name"), str):
            return {"type": "function", "function": {"name": name}}
        for kind in _TOOL_CHOICES.keys() & tool_choice.keys():
            return _TOOL_CHOICES[kind]
    raise PortkeyConfigError(f"tool_choice is {tool_choice!r}; wanted is 'auto', 'any', 'none' or 'tool' with a name")


def _system_messages(blocks: Sequence[SystemContentBlock], caching: Caching) -> list[Body]:
    """Return one system message: plain text, or parts where the upstream caches by part."""
    parts: list[Body] = []
    for block in blocks:
        if "cachePoint" in block:
            _mark(parts[-1] if parts else None, block["cachePoint"], caching)
        elif "text" not in block:
            raise _unknown(block, caching.dialect, "text")
        elif block["text"].strip():
            parts.append({"type": "text", "text": block["text"]})
    if not parts:
        return []
    if any("cache_control" in part for part in parts):
        return [{"role": "system", "content": list(parts)}]
    return [{"role": "system", "content": "\n".join(str(part["text"]) for part in parts)}]


def _messages(messages: Sequence[Message], dialect: Dialect, caching: Caching, trailing_blocks: int) -> list[Body]:
    names = {
        block["toolUse"]["toolUseId"]: block["toolUse"]["name"]
        for message in messages
        for block in message["content"]
        if "toolUse" in block
    }
    bodies: list[Body] = []
    for message, blocks in zip(messages, caching.messages(messages, trailing_blocks), strict=True):
        if message["role"] == "assistant":
            bodies += _assistant_messages(blocks, dialect, caching)
        else:
            bodies += _user_messages(blocks, dialect, caching, names)
    return bodies


def _user_messages(
    blocks: Sequence[ContentBlock], dialect: Dialect, caching: Caching, names: Mapping[str, str]
) -> list[Body]:
    """Return all tools' results, then what had to move out of them together with the user's own words."""
    results: list[Body] = []
    moved: list[Body] = []
    parts: list[Body] = []
    last: Body | None = None
    for block in blocks:
        if "cachePoint" in block:
            _mark(last, block["cachePoint"], caching)
        elif "toolResult" in block:
            last, media = _tool_message(block["toolResult"], dialect, names)
            results.append(last)
            moved += media
        else:
            for part in _parts(block, dialect):
                parts.append(part)
                last = part if part["type"] in _MARKABLE else last
    content = _content([*moved, *parts])
    return [*results, {"role": "user", "content": content}] if content else results


def _assistant_messages(blocks: Sequence[ContentBlock], dialect: Dialect, caching: Caching) -> list[Body]:
    """Return one message, or two where the upstream keeps no text beside tool calls; none where nothing was said."""
    said: list[Body] = []
    last: Body | None = None
    for block in blocks:
        if "cachePoint" in block:
            _mark(last, block["cachePoint"], caching)
        elif "reasoningContent" in block:
            said += _thinking(block["reasoningContent"], dialect)
        else:
            parts = [_tool_call(block["toolUse"], dialect)] if "toolUse" in block else _parts(block, dialect)
            said += parts
            last = parts[-1] if parts else last
    calls: list[JsonValue] = [part for part in said if part["type"] == "function"]
    ordered = [part for part in said if part["type"] != "function"]
    content = _content([part for part in ordered if part["type"] not in _THINKING])
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
    """Return the field that carries reasoning; never an empty list, which would erase the text.

    Args:
        ordered: Text and reasoning as the model gave them.
        dialect: What the upstream takes.
        is_open: Whether tool calls follow. Claude refuses a message that ends with reasoning.
    """
    kept = list(ordered)
    while kept and not is_open and kept[-1]["type"] in _THINKING:
        kept.pop()
    thoughts = [part for part in kept if part["type"] in _THINKING]
    if dialect.reasoning is None or not thoughts:
        return {}
    if dialect.reasoning == "content_blocks":
        return {"content_blocks": list(kept)}
    return {dialect.reasoning: "".join(str(part["thinking"]) for part in thoughts)}


def _tool_call(tool_use: ToolUse, dialect: Dialect) -> Body:
    # The gateway breaks on arguments that are no JSON object.
    arguments = _json(f"the input of the tool {tool_use['name']!r}", tool_use["input"] or {})
    function: Body = {"name": tool_use["name"], "arguments": arguments}
    signature = tool_use.get("reasoningSignature")
    if signature and dialect.thought_signatures:
        function["thought_signature"] = signature
    return {"id": tool_use["toolUseId"], "type": "function", "function": function}


def _tool_message(tool_result: ToolResult, dialect: Dialect, names: Mapping[str, str]) -> tuple[Body, list[Body]]:
    """Return a tool's result, and the media in it that must go into a user message."""
    texts: list[str] = []
    native: list[JsonValue] = []
    moved: list[Body] = []
    for block in tool_result["content"]:
        if "json" in block:
            texts.append(_json("a tool's result", block["json"], default=str))
        elif "text" in block:
            texts.append(block["text"])
        elif dialect.tool_result_images and (part := native_media(block)):
            native.append(part)
        elif parts := media_parts(block, dialect):
            is_text = all(part["type"] == "text" for part in parts)
            texts += [str(part["text"]) for part in parts if is_text]
            moved += [part for part in parts if not is_text]
        else:
            raise _unknown(block, dialect, "text, json, an image or a document")
    if moved:
        texts.append("(the tool's images and documents follow in the next user message)")
    text = "\n".join(texts) if any(text.strip() for text in texts) else "" if native else _NO_OUTPUT
    tool_call_id = tool_result["toolUseId"]
    message: Body = {"role": "tool", "tool_call_id": tool_call_id, "content": text}
    if native:
        message["content"] = [{"type": "text", "text": text}, *native] if text else native
    if dialect.tool_result_names and tool_call_id in names:
        message["name"] = names[tool_call_id]
    return message, moved


def _parts(block: ContentBlock, dialect: Dialect) -> list[Body]:
    """Return the parts for one block; blank text gives none, since upstreams refuse it."""
    if "text" in block:
        text = block["text"]
    elif "guardContent" in block:
        text = block["guardContent"]["text"]["text"]
    elif "citationsContent" in block:
        text = "".join(part["text"] for part in block["citationsContent"].get("content", ()) if "text" in part)
    elif parts := media_parts(block, dialect):
        return parts
    else:
        raise _unknown(block, dialect, "text, an image, a document, audio or video")
    return [{"type": "text", "text": text}] if text.strip() else []


def _content(parts: Sequence[Body]) -> JsonValue:
    """Return parts as content: one plain text as text, none as None."""
    if not parts:
        return None
    if len(parts) == 1 and parts[0].keys() == {"type", "text"}:
        return parts[0]["text"]
    return list(parts)


def _mark(part: Body | None, point: CachePoint, caching: Caching) -> None:
    """Put a cache mark on a part, a tool call or a tool's result that this module has just made."""
    control = caching.control(point.get("ttl"))
    if control is None:
        return
    match part:
        case None:
            warnings.warn("a cache point has no effect: there is no text or image ahead of it", stacklevel=2)
        case {"role": "tool", "content": [*_, dict(last)]}:
            last["cache_control"] = control
        case {"role": "tool", "content": text}:
            part["content"] = [{"type": "text", "text": text, "cache_control": control}]
        case _:
            part["cache_control"] = control


def _json(what: str, value: object, default: Callable[[object], str] | None = None) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=default is not None, default=default)
    except (TypeError, ValueError, RecursionError) as error:
        raise PortkeyConfigError(f"{what} cannot be sent as JSON: {error}") from None


def _unknown(block: Mapping[str, object], dialect: Dialect, wanted: str) -> PortkeyConfigError:
    kind = next(iter(block), "empty")
    message = f"content block {kind!r} cannot be sent to the upstream {dialect.name!r}; what works is {wanted}"
    return PortkeyConfigError(message)
