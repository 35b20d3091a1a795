"""Conversion of tools, tool calls and tool results to chat completions, by dialect."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from pydantic import JsonValue
from strands.types.content import ContentBlock
from strands.types.tools import ToolResult, ToolResultContent, ToolSpec, ToolUse

from strands_portkey._errors import PortkeyConfigError
from strands_portkey._json import Body
from strands_portkey._request.anthropic import anthropic_media
from strands_portkey._request.caching import Caching
from strands_portkey._request.gemini_schema import to_gemini_schema
from strands_portkey._request.tools import (
    NO_OUTPUT,
    OPENAI_CHOICES,
    left_out,
    read_tool_choice,
    to_arguments,
    to_call_id,
    to_result_text,
    to_spec,
    to_stub_specs,
)
from strands_portkey._wires.chat.dialects import OPENAI, Dialect
from strands_portkey._wires.chat.media import media_parts, refused
from strands_portkey._wires.chat.tool_calls import GATEWAYS_PLACE, split_signature

_NATIVE_TYPES: Final = ("image", "document")  # Types of Anthropic's blocks.


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
    return [_to_tool(spec, dialect) for spec in to_stub_specs(names)]


def _to_tool(spec: ToolSpec, dialect: Dialect) -> Body:
    given, parameters = to_spec(spec)
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
    kind, name = read_tool_choice(tool_choice)
    return {"type": "function", "function": {"name": name}} if kind == "tool" else OPENAI_CHOICES[kind]


def to_tool_call(tool_use: ToolUse, dialect: Dialect) -> Body:
    """Return a tool call, or a text that describes it if the upstream does not support past calls."""
    arguments = to_arguments(tool_use)
    if not dialect.calls:
        return {"type": "text", "text": f"called tool {tool_use['name']} with {arguments}"}
    function: Body = {"name": tool_use["name"], "arguments": arguments}
    call: Body = {"id": to_call_id(tool_use["toolUseId"], dialect.call_ids), "type": "function", "function": function}
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
        text = "" if native else NO_OUTPUT
    call_id = tool_result["toolUseId"]
    if not dialect.calls:
        return {"type": "text", "text": f"tool {name or call_id} answered: {text}"}, moved
    message: Body = {"role": "tool", "tool_call_id": to_call_id(call_id, dialect.call_ids), "content": text}
    if native:
        message["content"] = [{"type": "text", "text": text}, *native] if text else native
    if dialect.tool_result_names and name is not None:
        message["name"] = name
    return message, moved


def _to_result_content(block: ToolResultContent, dialect: Dialect) -> str | list[Body]:
    """Return a block of a result as text or media; a block that cannot be sent becomes a text that says so."""
    try:
        if "json" in block:
            return to_result_text(block["json"])
        if "text" in block:
            return block["text"]
        if dialect.tool_result_images and (native := anthropic_media(block)):
            return [native]
        if parts := media_parts(block, dialect):
            is_text = all(part["type"] == "text" for part in parts)
            return "\n".join(str(part["text"]) for part in parts) if is_text else parts
        raise unknown_block(block, dialect, "text, json, an image or a document")
    except PortkeyConfigError as error:
        return left_out(error)


def unknown_block(block: Mapping[str, object], dialect: Dialect, works: str) -> PortkeyConfigError:
    """Return the error for a content block that this upstream does not accept."""
    return refused(f"content block {next(iter(block), 'empty')!r}", dialect, works)
