"""Strands messages, tools and settings to the body of a chat completion. Pure: nothing given is written into."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from pydantic import JsonValue
from strands.types.content import ContentBlock, Message, SystemContentBlock
from strands.types.tools import ToolChoice, ToolResult, ToolSpec, ToolUse

from ._caching import Caching
from ._config import PortkeyConfig
from ._dialects import Dialect
from ._errors import PortkeyConfigError
from ._media import media_parts, native_media

Body = dict[str, JsonValue]

_NO_OUTPUT = "(no output)"  # Upstreams refuse an empty result.


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
    if tool_specs:
        tools: list[JsonValue] = [_tool(spec) for spec in tool_specs]
        if (control := caching.tools_control()) and isinstance(last := tools[-1], dict):
            last["cache_control"] = control
        body["tools"] = tools
        if tool_choice is not None:
            body["tool_choice"] = _tool_choice(tool_choice)
    if response_format is not None:
        body["response_format"] = response_format
    body["stream"] = config.get("stream", True)
    if body["stream"]:
        body["stream_options"] = {"include_usage": True}
    if dialect.usage:
        body["usage"] = {"include": True}
    body.update(caching.params())
    params = config.get("params") or {}
    if dialect.max_tokens and not params.keys() & {"max_tokens", "max_completion_tokens"}:
        body["max_completion_tokens"] = dialect.max_tokens
    body.update(params)
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


def _tool(spec: ToolSpec) -> Body:
    schema = spec["inputSchema"]
    return {
        "type": "function",
        "function": {
            "name": spec["name"],
            "description": spec["description"],
            "parameters": schema.get("json", schema),
        },
    }


def _tool_choice(tool_choice: ToolChoice) -> JsonValue:
    match tool_choice:
        case {"tool": {"name": str() as name}}:
            return {"type": "function", "function": {"name": name}}
        case {"any": _}:
            return "required"
        case {"auto": _}:
            return "auto"
        case {"none": _}:
            return "none"
        case _:
            raise PortkeyConfigError(f"tool_choice is {tool_choice!r}; wanted is 'auto', 'any', 'none' or 'tool'")


def _system_messages(blocks: Sequence[SystemContentBlock], caching: Caching) -> list[Body]:
    """Return one system message: plain text, or parts where the upstream caches by part."""
    parts: list[Body] = []
    for block in blocks:
        if "cachePoint" in block:
            _mark(parts[-1] if parts else None, caching.control(block["cachePoint"].get("ttl")))
        elif block.get("text", "").strip():
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
    last_user = max((index for index, message in enumerate(messages) if message["role"] == "user"), default=None)
    bodies: list[Body] = []
    for index, message in enumerate(messages):
        blocks: Sequence[ContentBlock] = message["content"]
        if message["role"] == "assistant":
            bodies += _assistant_messages(blocks, dialect, caching)
        else:
            if index == last_user:
                blocks = caching.message_blocks(blocks, trailing_blocks)
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
            _mark(last, caching.control(block["cachePoint"].get("ttl")))
        elif "toolResult" in block:
            last, media = _tool_message(block["toolResult"], dialect, names)
            results.append(last)
            moved += media
        else:
            for part in _parts(block, dialect):
                parts.append(part)
                if part["type"] in ("text", "image_url"):  # The gateway drops a mark on other parts.
                    last = part
    content = _content([*moved, *parts])
    return [*results, {"role": "user", "content": content}] if content else results


def _assistant_messages(blocks: Sequence[ContentBlock], dialect: Dialect, caching: Caching) -> list[Body]:
    parts: list[Body] = []
    thoughts: list[str] = []
    ordered: list[Body] = []  # Text and signed reasoning as Claude's own blocks.
    tool_calls: list[Body] = []
    last: Body | None = None
    for block in blocks:
        if "cachePoint" in block:
            _mark(last, caching.control(block["cachePoint"].get("ttl")))
        elif "toolUse" in block:
            last = _tool_call(block["toolUse"], dialect)
            tool_calls.append(last)
        elif "reasoningContent" in block:
            thought = block["reasoningContent"]
            text = thought.get("reasoningText", {})
            if redacted := thought.get("redactedContent"):
                if dialect.redacted:
                    ordered.append({"type": "redacted_thinking", "data": redacted.decode(errors="replace")})
            elif signature := text.get("signature"):
                ordered.append({"type": "thinking", "thinking": text.get("text", ""), "signature": signature})
            elif text.get("text"):
                thoughts.append(text["text"])
        else:
            for part in _parts(block, dialect):
                last = part
                parts.append(part)
                ordered.append(part)
    content = _content(parts)
    message: Body = {"role": "assistant", "content": content}
    if dialect.reasoning == "content_blocks":
        if len(ordered) > len(parts):
            message["content_blocks"] = list(ordered)
    elif dialect.reasoning and thoughts:
        message[dialect.reasoning] = "".join(thoughts)
    if not tool_calls:
        return [message] if len(message) > 2 or content else []  # noqa: PLR2004 - role and content
    calls: list[JsonValue] = list(tool_calls)
    if content and not dialect.text_beside_calls:
        return [message, {"role": "assistant", "content": None, "tool_calls": calls}]
    message["tool_calls"] = calls
    return [message]


def _tool_call(tool_use: ToolUse, dialect: Dialect) -> Body:
    function: Body = {"name": tool_use["name"], "arguments": json.dumps(tool_use["input"], ensure_ascii=False)}
    signature = tool_use.get("reasoningSignature")
    if signature and dialect.thought_signatures:
        function["thought_signature"] = signature
    return {"id": tool_use["toolUseId"], "type": "function", "function": function}


def _tool_message(
    tool_result: ToolResult, dialect: Dialect, names: Mapping[str, str]
) -> tuple[Body, list[Body]]:
    """Return a tool's result, and the media in it that must go into a user message."""
    texts: list[str] = []
    native: list[JsonValue] = []
    moved: list[Body] = []
    for block in tool_result["content"]:
        if "json" in block:
            texts.append(json.dumps(block["json"], ensure_ascii=False, default=str))
        elif "text" in block:
            texts.append(block["text"])
        elif dialect.tool_result_images and (part := native_media(block)):
            native.append(part)
        elif parts := media_parts(block, dialect):
            if all(part["type"] == "text" for part in parts):
                texts += [str(part["text"]) for part in parts]
            else:
                moved += parts
        else:
            raise _unknown(block, dialect)
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
        raise _unknown(block, dialect)
    return [{"type": "text", "text": text}] if text.strip() else []


def _content(parts: Sequence[Body]) -> JsonValue:
    """Return parts as content: one plain text as text, none as None."""
    if not parts:
        return None
    if len(parts) == 1 and parts[0].keys() == {"type", "text"}:
        return parts[0]["text"]
    return list(parts)


def _mark(part: Body | None, control: Body | None) -> None:
    """Put a cache mark on a part, a tool call or a tool's result that this module has just made."""
    if part is None or control is None:
        return
    if part.get("role") == "tool":
        if not isinstance(content := part["content"], list):
            part["content"] = [{"type": "text", "text": content, "cache_control": control}]
        elif isinstance(last := content[-1], dict):
            last["cache_control"] = control
    else:
        part["cache_control"] = control


def _unknown(block: Mapping[str, object], dialect: Dialect) -> PortkeyConfigError:
    kind = next(iter(block), "empty")
    return PortkeyConfigError(f"content block {kind!r} cannot be sent to the upstream {dialect.name!r}")
