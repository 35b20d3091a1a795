"""Conversion of tools, tool calls and tool results to chat completions, by dialect."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from math import isfinite, isnan
from typing import Final, cast

from pydantic import JsonValue
from strands.types.content import ContentBlock
from strands.types.tools import ToolResult, ToolResultContent, ToolSpec, ToolUse
from typing_extensions import Required, TypedDict

from strands_portkey._errors import PortkeyConfigError
from strands_portkey._json import Body, is_list, is_mapping, to_object
from strands_portkey._request.anthropic import anthropic_media
from strands_portkey._request.caching import Caching
from strands_portkey._request.gemini_schema import to_gemini_schema
from strands_portkey._wires.chat.dialects import OPENAI, Dialect
from strands_portkey._wires.chat.media import media_parts, refused
from strands_portkey._wires.chat.tool_calls import GATEWAYS_PLACE, split_signature

_NO_OUTPUT: Final = "(no output)"  # Upstreams refuse an empty result.
_NATIVE_TYPES: Final = ("image", "document")  # Types of Anthropic's blocks.
_CHOICE_WORDS: Final = {"any": "required", "auto": "auto", "none": "none"}
_STUB_SCHEMA: Final[Body] = {"json": {"type": "object", "properties": {}}}
_MOST_NESTED: Final = 200  # Levels of an input that are searched for numbers that JSON does not have.
# Created once, since that takes as long as to encode a small tool call.
_INPUT_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False)
_RESULT_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, default=str)


def to_tools(specs: Sequence[ToolSpec], more: JsonValue, dialect: Dialect, caching: Caching) -> list[JsonValue]:
    """Return the agent's tools, the last with the cache mark, and after them the tools of `params`."""
    tools = [_to_tool(spec, dialect) for spec in specs]
    if tools and not dialect.tools:
        message = f"the gateway may drop the tools for the upstream {dialect.name!r}; the model then does not see them"
        warnings.warn(message, stacklevel=2)
    if tools and (control := caching.tools_control()):
        tools[-1]["cache_control"] = control
    return [*tools, *(more if isinstance(more, list) else ())]


def to_stubs(names: Iterable[str], dialect: Dialect) -> list[JsonValue]:
    """Return placeholders for tools that a conversation has called but that are no longer available."""
    specs: list[ToolSpec] = [
        {"name": name, "description": "No longer available.", "inputSchema": _STUB_SCHEMA}
        for name in dict.fromkeys(names)
    ]
    return [_to_tool(spec, dialect) for spec in specs]


class _Spec(TypedDict, total=False):
    """A `ToolSpec` with the schema typed, which is a bare dict in Strands, and an optional description."""

    name: Required[str]
    description: str
    inputSchema: Required[Body]


def _to_tool(spec: ToolSpec, dialect: Dialect) -> Body:
    given = cast("_Spec", spec)
    parameters = given["inputSchema"].get("json", given["inputSchema"])
    function: Body = {"name": given["name"]}
    if description := given.get("description"):
        function["description"] = description
    function["parameters"] = to_gemini_schema(parameters) if dialect.gemini_schemas else parameters
    return {"type": "function", "function": function}


def to_tool_choice(tool_choice: object) -> JsonValue:
    """Return the `tool_choice` of the body for Strands' tool choice.

    Raises:
        PortkeyConfigError: If it is not one of Strands' choices.
    """
    if is_mapping(tool_choice):
        if is_mapping(tool := tool_choice.get("tool")) and isinstance(name := tool.get("name"), str):
            return {"type": "function", "function": {"name": name}}
        for kind in _CHOICE_WORDS.keys() & tool_choice.keys():
            return _CHOICE_WORDS[kind]
    got = f"a mapping with {list(tool_choice)}" if is_mapping(tool_choice) else type(tool_choice).__name__
    raise PortkeyConfigError(f"tool_choice must be 'auto', 'any', 'none' or 'tool' with a name; got {got}")


def to_tool_call(tool_use: ToolUse, dialect: Dialect) -> Body:
    """Return a tool call, or a text that describes it if the upstream does not support past calls."""
    arguments = _to_arguments(tool_use)
    if not dialect.calls:
        return {"type": "text", "text": f"called tool {tool_use['name']} with {arguments}"}
    function: Body = {"name": tool_use["name"], "arguments": arguments}
    call: Body = {"id": _to_call_id(tool_use["toolUseId"], dialect), "type": "function", "function": function}
    if signature := tool_use.get("reasoningSignature"):
        place, value = split_signature(signature)
        if dialect.thought_signatures:
            function["thought_signature"] = value
        elif dialect.name == OPENAI.name and place != GATEWAYS_PLACE:  # Google, where it copies OpenAI.
            call |= {"function": {**function, place[-1]: value}} if "function" in place else _nested(place, value)
    return call


def _nested(place: Sequence[str], value: JsonValue) -> Body:
    """Return a value at the end of a path of names."""
    name, *rest = place
    return {name: _nested(rest, value) if rest else value}


def _to_arguments(tool_use: ToolUse) -> str:
    """Return a call's input as the text of a JSON object: the gateway and most upstreams fail on anything else.

    What a model has sent stays in the conversation, so if it raised here, every later request would fail.
    """
    what, given = f"the input of the tool {tool_use['name']!r}", _to_input(tool_use["input"])
    try:
        return _INPUT_ENCODER.encode(given)
    except (TypeError, ValueError, RecursionError):
        return _to_json_text(what, _finite(given, _MOST_NESTED), _INPUT_ENCODER)


def _to_input(given: object) -> object:
    """Return an input that is an object: one encoded twice is decoded, any other value becomes its only member."""
    found = to_object(given)
    return {"input": given} if found is None else found


def _finite(value: object, levels: int) -> object:
    """Return a value in which the numbers that JSON does not have are texts, such as "NaN"."""
    if isinstance(value, float) and not isfinite(value):
        return "NaN" if isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if levels and is_mapping(value):
        return {key: _finite(each, levels - 1) for key, each in value.items()}
    if levels and is_list(value):
        return [_finite(each, levels - 1) for each in value]
    return value


def _to_call_id(call_id: str, dialect: Dialect) -> str:
    """Return the id, or a hash of it if the upstream would refuse it; it may come from another upstream."""
    if dialect.call_ids is None or re.fullmatch(dialect.call_ids, call_id):
        return call_id
    return sha256(call_id.encode(errors="replace")).hexdigest()[:9]


def in_order(blocks: Sequence[ContentBlock], called: Mapping[str, int]) -> Sequence[ContentBlock]:
    """Return a user's blocks, results in the order of the calls (`called`, by id): Gemini gets no ids."""
    if len(blocks) == 1:
        return blocks
    results = [block for block in blocks if "toolResult" in block]
    ordered = iter(sorted(results, key=lambda block: called.get(block["toolResult"]["toolUseId"], len(called))))
    return [next(ordered) if "toolResult" in block else block for block in blocks]


def to_tool_message(tool_result: ToolResult, name: str | None, dialect: Dialect) -> tuple[Body, list[Body]]:
    """Return the result of the tool `name`, and its media that must be sent in a user message.

    For an upstream that does not support results it is itself a part of a user message.
    """
    texts: list[str] = []
    native: list[JsonValue] = []
    moved: list[Body] = []
    for block in tool_result["content"]:
        content = _to_result_content(block, dialect)
        if isinstance(content, str):
            texts.append(content)
        elif content[0]["type"] in _NATIVE_TYPES:
            native += content
        else:
            moved += content
    if moved:
        where = " in the next user message" if dialect.calls else ""
        texts.append(f"(the tool's images and documents follow{where})")
    text = "\n".join(texts)
    if not text.strip():
        text = "" if native else _NO_OUTPUT
    call_id = tool_result["toolUseId"]
    if not dialect.calls:
        return {"type": "text", "text": f"tool {name or call_id} answered: {text}"}, moved
    message: Body = {"role": "tool", "tool_call_id": _to_call_id(call_id, dialect), "content": text}
    if native:
        message["content"] = [{"type": "text", "text": text}, *native] if text else native
    if dialect.tool_result_names and name is not None:
        message["name"] = name
    return message, moved


def _to_result_content(block: ToolResultContent, dialect: Dialect) -> str | list[Body]:
    """Return a block of a result as text or media; a block that cannot be sent becomes a text that says so."""
    try:
        if "json" in block:
            return _to_json_text("a tool's result", block["json"], _RESULT_ENCODER)
        if "text" in block:
            return block["text"]
        if dialect.tool_result_images and (native := anthropic_media(block)):
            return [native]
        if parts := media_parts(block, dialect):
            is_text = all(part["type"] == "text" for part in parts)
            return "\n".join(str(part["text"]) for part in parts) if is_text else parts
        raise unknown_block(block, dialect, "text, json, an image or a document")
    except PortkeyConfigError as error:  # If it were raised, every later request of the conversation would fail too.
        warnings.warn(f"left out of a tool's result: {error}", stacklevel=2)
        return f"[left out: {error}]"


def _to_json_text(what: str, value: object, encoder: json.JSONEncoder) -> str:
    try:
        return encoder.encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise PortkeyConfigError(f"{what} must be JSON; got something else: {error}") from None


def unknown_block(block: Mapping[str, object], dialect: Dialect, works: str) -> PortkeyConfigError:
    """Return the error for a content block that this upstream does not accept."""
    return refused(f"content block {next(iter(block), 'empty')!r}", dialect, works)
