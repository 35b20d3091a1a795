"""A chat completion as Anthropic's own request, for counting its tokens.

The open-source gateway translates chat completions for Anthropic, but passes ``/messages/count_tokens`` on as it is.
What is counted must be what would be sent, so this room does to a body what the gateway does to it.

See https://platform.claude.com/docs/en/api/messages/count_tokens.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pydantic import JsonValue
from pydantic_core import from_json

from ._tools import Body

_TOOL_CHOICES: Final = {"auto": "auto", "required": "any", "none": "none"}


def to_count_body(body: Body) -> Body:
    """Return the body of ``POST /messages/count_tokens`` for what `to_body` made for the dialect ``anthropic``.

    Parameters that no tokens come from stay out, since Anthropic refuses them here.
    """
    messages = list(_objects(body["messages"]))
    count: Body = {
        "model": body["model"],
        "messages": _merged([_message(message) for message in messages if not _is_system(message)]),
    }
    if system := [part for message in messages if _is_system(message) for part in _blocks(message["content"])]:
        count["system"] = system
    if tools := [_tool(tool) for tool in _objects(body.get("tools"))]:
        count["tools"] = list(tools)
        if choice := _tool_choice(body.get("tool_choice")):
            count["tool_choice"] = choice
    if thinking := body.get("thinking"):
        count["thinking"] = thinking
    return count


def _objects(items: JsonValue) -> Iterator[Body]:
    if isinstance(items, list):
        yield from (item for item in items if isinstance(item, dict))


def _object(value: JsonValue) -> Body:
    return value if isinstance(value, dict) else {}


def _is_system(message: Body) -> bool:
    return message["role"] == "system"


def _merged(messages: list[Body]) -> list[JsonValue]:
    """Return messages with those of one role that follow one another in one: Claude wants all results together."""
    merged: list[Body] = []
    for message in messages:
        if merged and merged[-1]["role"] == message["role"]:
            content = [*_objects(merged[-1]["content"]), *_objects(message["content"])]
            merged[-1] = {"role": message["role"], "content": list(content)}
        else:
            merged.append(message)
    return list(merged)


def _message(message: Body) -> Body:
    match message:
        case {"role": "tool"}:
            result: Body = {"type": "tool_result", "tool_use_id": message["tool_call_id"]}
            return {"role": "user", "content": [{**result, "content": message["content"]}]}
        case {"role": "assistant"}:
            said = _blocks(message.get("content_blocks") or message["content"])
            return {"role": "assistant", "content": [*said, *map(_tool_use, _objects(message.get("tool_calls")))]}
        case _:
            return {"role": "user", "content": _blocks(message["content"])}


def _blocks(content: JsonValue) -> list[JsonValue]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [_block(part) for part in _objects(content)]


def _block(part: Body) -> Body:
    """Return a part as Anthropic's block; text and thinking are such already."""
    match part:
        case {"type": "image_url", "image_url": {"url": str(url)}}:
            kept = {key: value for key, value in part.items() if key == "cache_control"}
            return {**_media(url), **kept}
        case _:
            return part


def _media(url: str) -> Body:
    """Return the image or, as the gateway does, the PDF that an ``image_url`` holds."""
    if not url.startswith("data:"):
        return {"type": "image", "source": {"type": "url", "url": url}}
    media_type, _, data = url.removeprefix("data:").partition(";base64,")
    kind = "document" if media_type == "application/pdf" else "image"
    return {"type": kind, "source": {"type": "base64", "media_type": media_type, "data": data}}


def _tool_use(call: Body) -> Body:
    """Return a tool call as a block; whatever else it has, such as a cache mark, goes with it."""
    kept = {key: value for key, value in call.items() if key not in {"type", "function"}}
    function = _object(call["function"])
    return {"type": "tool_use", "name": function["name"], "input": from_json(str(function["arguments"])), **kept}


def _tool(tool: Body) -> Body:
    """Return a tool in Anthropic's form.

    `params` may hold the provider's own, such as its web search: the gateway wants their type as the name, and under it
    their settings, whose name is the type.
    """
    kept = {key: value for key, value in tool.items() if key == "cache_control"}
    function, kind = _object(tool.get("function")), str(tool.get("type"))
    if not function:
        settings = _object(tool.get(kind))
        return {**settings, "name": kind, "type": settings.get("name"), **kept}
    described = {key: value for key, value in function.items() if key in {"name", "description"}}
    return {**described, "input_schema": _schema(_object(function.get("parameters"))), **kept}


def _schema(parameters: Body) -> Body:
    """Return what the gateway lets through of a schema, without the empty ``$defs`` that it adds."""
    empty: Body = {"type": "object", "properties": {}, "required": []}
    return empty | {key: parameters[key] for key in (*empty, "$defs") if parameters.get(key)}


def _tool_choice(choice: JsonValue) -> Body | None:
    match choice:
        case str() if choice in _TOOL_CHOICES:
            return {"type": _TOOL_CHOICES[choice]}
        case {"function": {"name": name}}:
            return {"type": "tool", "name": name}
        case _:
            return None
