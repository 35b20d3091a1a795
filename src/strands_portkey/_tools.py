"""Tools, the calls of them and their results, in the form that each upstream takes."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Final, cast

from pydantic import JsonValue
from strands.types.content import ContentBlock, Message
from strands.types.tools import ToolResult, ToolSpec, ToolUse

from ._caching import Caching
from ._config import is_mapping
from ._dialects import Dialect
from ._errors import PortkeyConfigError
from ._gemini_schema import to_gemini_schema
from ._media import media_parts, native_media, refused

Body = dict[str, JsonValue]

_NO_OUTPUT: Final = "(no output)"  # Upstreams refuse an empty result.
_TOOL_CHOICES: Final = {"any": "required", "auto": "auto", "none": "none"}


def to_tools(specs: Sequence[ToolSpec], more: JsonValue, dialect: Dialect, caching: Caching) -> list[JsonValue]:
    """Return the agent's tools, the last with the cache mark, and after them the tools of `params`."""
    tools = [_tool(spec, dialect) for spec in specs]
    if tools and not dialect.tools:
        message = f"the gateway may drop the tools for the upstream {dialect.name!r}; the model then does not see them"
        warnings.warn(message, stacklevel=2)
    if tools and (control := caching.tools_control()):
        tools[-1]["cache_control"] = control
    return [*tools, *(more if isinstance(more, list) else ())]


def called_tools(messages: Sequence[Message], dialect: Dialect) -> list[JsonValue]:
    """Return stubs of the tools that a conversation has called, for an agent that has none any more."""
    names = dict.fromkeys(tool_names(messages).values())
    schema: Body = {"json": {"type": "object", "properties": {}}}
    return [
        _tool({"name": name, "description": "No longer available.", "inputSchema": schema}, dialect) for name in names
    ]


def tool_names(messages: Sequence[Message]) -> dict[str, str]:
    """Return the names of the tools that a conversation has called, by the ids of the calls."""
    uses = [block["toolUse"] for message in messages for block in message["content"] if "toolUse" in block]
    return {use["toolUseId"]: use["name"] for use in uses}


def in_order(blocks: Sequence[ContentBlock], called: Sequence[str]) -> list[ContentBlock]:
    """Return a user's blocks with the results in the order of the ids `called`: Gemini gets no ids."""
    places = {call_id: place for place, call_id in enumerate(called)}
    results = [(block["toolResult"]["toolUseId"], block) for block in blocks if "toolResult" in block]
    ordered = iter(sorted(results, key=lambda result: places.get(result[0], len(called))))
    return [next(ordered)[1] if "toolResult" in block else block for block in blocks]


def _tool(spec: ToolSpec, dialect: Dialect) -> Body:
    schema = cast("Body", spec["inputSchema"])  # Strands says no more than dict.
    parameters = schema.get("json", schema)
    given = cast("Body", spec)  # A description may be missing all the same.
    named: Body = {key: given[key] for key in ("name", "description") if given.get(key)}
    return {
        "type": "function",
        "function": {
            **named,
            "parameters": to_gemini_schema(parameters) if dialect.gemini_schemas else parameters,
        },
    }


def to_tool_choice(tool_choice: object) -> JsonValue:
    """Return Strands' choice of a tool as the wire has it.

    Raises:
        PortkeyConfigError: If it is none of Strands' choices.
    """
    if is_mapping(tool_choice):
        if is_mapping(tool := tool_choice.get("tool")) and isinstance(name := tool.get("name"), str):
            return {"type": "function", "function": {"name": name}}
        for kind in _TOOL_CHOICES.keys() & tool_choice.keys():
            return _TOOL_CHOICES[kind]
    raise PortkeyConfigError(f"tool_choice is {tool_choice!r}; wanted is 'auto', 'any', 'none' or 'tool' with a name")


def to_tool_call(tool_use: ToolUse, dialect: Dialect) -> Body:
    """Return a call of a tool, or a text that tells of it where the upstream gets no calls back."""
    # The gateway breaks on arguments that are no JSON object.
    arguments = _json(f"the input of the tool {tool_use['name']!r}", tool_use["input"] or {})
    if not dialect.calls:
        return {"type": "text", "text": f"called tool {tool_use['name']} with {arguments}"}
    function: Body = {"name": tool_use["name"], "arguments": arguments}
    signature = tool_use.get("reasoningSignature")
    if signature and dialect.thought_signatures:
        function["thought_signature"] = signature
    return {"id": _call_id(tool_use["toolUseId"], dialect), "type": "function", "function": function}


def _call_id(call_id: str, dialect: Dialect) -> str:
    """Return the id, or one made of it where the upstream would refuse it, as another upstream's may be."""
    if dialect.call_ids is None or re.fullmatch(dialect.call_ids, call_id):
        return call_id
    return sha256(call_id.encode(errors="replace")).hexdigest()[:9]


def tool_message(tool_result: ToolResult, dialect: Dialect, names: Mapping[str, str]) -> tuple[Body, list[Body]]:
    """Return a tool's result, and the media in it that must go into a user message; a text tells what is left out."""
    texts: list[str] = []
    native: list[JsonValue] = []
    moved: list[Body] = []
    for block in tool_result["content"]:
        try:
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
                raise unknown_block(block, dialect, "text, json, an image or a document")
        except PortkeyConfigError as error:  # noqa: PERF203 - raised, it would end every later turn as well
            warnings.warn(f"left out of a tool's result: {error}", stacklevel=2)
            texts.append(f"[left out: {error}]")
    if moved:
        where = " in the next user message" if dialect.calls else ""
        texts.append(f"(the tool's images and documents follow{where})")
    text = "\n".join(texts) if any(text.strip() for text in texts) else "" if native else _NO_OUTPUT
    tool_call_id = tool_result["toolUseId"]
    message: Body = {"role": "tool", "tool_call_id": _call_id(tool_call_id, dialect), "content": text}
    if native:
        message["content"] = [{"type": "text", "text": text}, *native] if text else native
    if dialect.tool_result_names and tool_call_id in names:
        message["name"] = names[tool_call_id]
    return message, moved


def told_result(message: Body, tool_result: ToolResult, names: Mapping[str, str]) -> Body:
    """Return a tool's result as a text of the user's, for an upstream that gets no results."""
    name = names.get(tool_result["toolUseId"], tool_result["toolUseId"])
    return {"type": "text", "text": f"tool {name} answered: {message['content']}"}


def _json(what: str, value: object, default: Callable[[object], str] | None = None) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=default is not None, default=default)
    except (TypeError, ValueError, RecursionError) as error:
        raise PortkeyConfigError(f"{what} cannot be sent as JSON: {error}") from None


def unknown_block(block: Mapping[str, object], dialect: Dialect, wanted: str) -> PortkeyConfigError:
    """Return the error for a block that no upstream, or not this one, can be sent."""
    return refused(f"content block {next(iter(block), 'empty')!r}", dialect, wanted)
