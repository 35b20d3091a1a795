"""Conversion of a question to the body of a response, without changing the question.

Nothing is stored at the provider: each request holds the whole conversation, reasoning in its ciphertext included.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Final

from pydantic import JsonValue
from strands.types.content import CachePoint, ContentBlock, Message, ReasoningContentBlock, SystemContentBlock
from strands.types.tools import ToolResult, ToolResultContent, ToolSpec

from strands_portkey._errors import PortkeyConfigError
from strands_portkey._json import Body
from strands_portkey._request.caching import to_cache_key
from strands_portkey._request.media import (
    TEXT_FORMATS,
    Media,
    document_as_text,
    mime_type,
    to_bytes,
    to_data_url,
    to_media,
    to_url,
)
from strands_portkey._request.question import Question
from strands_portkey._request.texts import BLANK_TEXT, only_blank_text, text_of
from strands_portkey._request.tools import (
    NO_OUTPUT,
    OPENAI_CHOICES,
    left_out,
    read_tool_choice,
    to_arguments,
    to_call_id,
    to_result_text,
    to_spec,
)
from strands_portkey._settings.openai_models import may_reason, takes_breakpoints, takes_phases
from strands_portkey._wires.responses.envelope import read_envelope, split_parts
from strands_portkey._wires.responses.params import to_params

INCLUDE: Final = "include"
"""The optional part of the body that asks for reasoning in its ciphertext; some models refuse it."""

BREAKPOINTS: Final = "breakpoints"
"""The optional marks for cache points."""

_CIPHERTEXT: Final = "reasoning.encrypted_content"
_IDS: Final = r"[\s\S]{1,64}"
_IMAGE_LOCATIONS: Final = ("http", "https")
_LIFETIMES: Final = ("30m", "12h")  # Of what a breakpoint caches.
_MOST_BREAKPOINTS: Final = 4


def to_body(question: Question) -> Body:
    """Build the body of a response. The same question gives the same body, so that prompt caches hit.

    Raises:
        PortkeyConfigError: If a block or a parameter cannot be sent.
    """
    params = to_params(question.params)
    conversation = _Input(question)
    body: Body = {"model": question.model_id}
    if instructions := conversation.add_system(question.system):
        body["instructions"] = instructions
    conversation.add_messages(question.messages)
    body["input"] = list(conversation.items)
    tools: list[JsonValue] = [*map(_to_flat_tool, question.tool_specs), *_items_of(params.pop("tools", None))]
    if tools:
        body["tools"] = tools
    else:
        params.pop("tool_choice", None)
        params.pop("parallel_tool_calls", None)
    body |= {"stream": question.stream, "store": False}
    if question.cache_config is not None:
        body |= to_cache_key(question.cache_config, question.session_id)
    if include := _to_include(_items_of(params.pop("include", None)), question):
        body["include"] = include
    body |= params
    # The arguments of this call take precedence over `params`.
    if tools and question.tool_choice:
        body["tool_choice"] = _to_tool_choice(question.tool_choice)
    if question.output_schema is not None:
        text = params.get("text")
        shape: Body = {"type": "json_schema", **question.output_schema}
        body["text"] = {**(text if isinstance(text, dict) else {}), "format": shape}
    return body


def _to_include(given: Sequence[JsonValue], question: Question) -> list[JsonValue]:
    """Return what the answer must hold beside what it has anyway: reasoning in a form that can go back."""
    is_wanted = INCLUDE not in question.omitted and may_reason(question.model_id) and _CIPHERTEXT not in given
    return [*given, _CIPHERTEXT] if is_wanted else [*given]


def _items_of(value: JsonValue) -> Sequence[JsonValue]:
    return value if isinstance(value, list) else ()


class _Input:
    """Builds the items of a body in one pass.

    Attributes:
        items: The items so far.
    """

    def __init__(self, question: Question) -> None:
        self.items: list[Body] = []
        self._takes_breakpoints = takes_breakpoints(question.model_id) and BREAKPOINTS not in question.omitted
        self._takes_phases = takes_phases(question.model_id)
        self._lifetime: str | None = question.cache_config.ttl if question.cache_config else None
        self._marked: list[Body] = []
        if self._lifetime is not None and not (self._takes_breakpoints and self._lifetime in _LIFETIMES):
            wanted = f"one of {', '.join(_LIFETIMES)} with api='responses', for models that take cache points"
            message = f"cache_config.ttl must be {wanted}; got {self._lifetime!r}, which has no effect"
            warnings.warn(message, stacklevel=2)
            self._lifetime = None

    def add_system(self, blocks: Sequence[SystemContentBlock]) -> str:
        """Return the system prompt; with a cache point in it, add it as a message instead and return no text."""
        parts: list[Body] = []
        for block in blocks:
            if "cachePoint" in block:
                self._mark(parts[-1] if parts else None, block["cachePoint"])
            elif "text" not in block:
                raise _unknown(block, "text")
            elif block["text"].strip():
                parts.append(_text_part(block["text"]))
        if not self._marked:
            return "\n".join(str(part["text"]) for part in parts)
        self.items.append({"role": "developer", "content": list(parts)})
        return ""

    def add_messages(self, messages: Sequence[Message]) -> None:
        """Add the messages of the model and the user, with as many cache points as are accepted: the latest."""
        for message in messages:
            if message["role"] == "assistant":
                self._add_assistant(message["content"])
            else:
                self._add_user(message["content"])
        if not self.items:
            raise only_blank_text()
        for part in self._marked[:-_MOST_BREAKPOINTS]:
            del part["prompt_cache_breakpoint"]

    def _add_user(self, blocks: Sequence[ContentBlock]) -> None:
        """Add all tool results, then one message with the user's own content."""
        results: list[Body] = []
        parts: list[Body] = []
        last: Body | None = None
        for block in blocks:
            if "cachePoint" in block:
                if last is not None and last in results[-1:]:
                    self._mark_result(last, block["cachePoint"])
                else:
                    self._mark(last, block["cachePoint"])
            elif "toolResult" in block:
                last = _to_output(block["toolResult"])
                results.append(last)
            elif added := _to_user_parts(block):
                parts += added
                last = added[-1]
        if not results and not parts:  # Without this message the model's own would be the last.
            parts = [_text_part(BLANK_TEXT)]
        self.items += results
        if parts:
            self.items.append({"role": "user", "content": list(parts)})

    def _add_assistant(self, blocks: Sequence[ContentBlock]) -> None:
        """Add an item for each block, in order; reasoning only before what follows it."""
        thoughts: list[Body] = []
        phase: str | None = None
        for block in blocks:
            if "reasoningContent" in block:
                thought, phase = _to_reasoning(block["reasoningContent"])
                thoughts += thought
                continue
            if "cachePoint" in block:
                continue  # What the model has said takes no marks.
            if "toolUse" in block:
                item: Body = _to_call(
                    block["toolUse"]["toolUseId"], block["toolUse"]["name"], to_arguments(block["toolUse"])
                )
            elif (text := text_of(block)) is None:
                raise _unknown(block, "text")
            elif text.strip():
                item = {"role": "assistant", "content": text}
                if phase and self._takes_phases:
                    item["phase"] = phase
            else:
                continue
            self.items += [*thoughts, item]
            thoughts, phase = [], None

    def _mark(self, part: Body | None, point: CachePoint) -> None:
        """Mark the part before a cache point."""
        if not self._takes_breakpoints:
            return  # Other models cache by themselves.
        if part is None:
            warnings.warn("a cache point has no effect: there is nothing before it", stacklevel=2)
            return
        lifetime = point.get("ttl") or self._lifetime
        if "prompt_cache_breakpoint" not in part:
            self._marked.append(part)
        part["prompt_cache_breakpoint"] = {"mode": "explicit", **({"ttl": lifetime} if lifetime in _LIFETIMES else {})}

    def _mark_result(self, result: Body, point: CachePoint) -> None:
        """Mark the last part of a tool's result."""
        output = result["output"]
        parts: list[JsonValue] = output if isinstance(output, list) else [{"type": "input_text", "text": output}]
        if self._takes_breakpoints:
            result["output"] = parts
        last = parts[-1]
        self._mark(last if isinstance(last, dict) else None, point)


def _to_call(call_id: str, name: str, arguments: str) -> Body:
    # Without its own id, which would have to be beside the reasoning that it came with.
    return {"type": "function_call", "call_id": to_call_id(call_id, _IDS), "name": name, "arguments": arguments}


def _to_reasoning(thought: ReasoningContentBlock) -> tuple[list[Body], str | None]:
    """Return reasoning as the item that it came as, and the phase of what follows; nothing for somebody else's."""
    text = thought.get("reasoningText", {})
    envelope = read_envelope(text.get("signature"))
    if envelope is None:
        return [], None
    phase = envelope.get("phase")
    if "encrypted_content" not in envelope:
        return [], phase
    item: Body = {"type": "reasoning"}
    if "id" in envelope:
        item["id"] = envelope["id"]
    item["summary"] = split_parts(text.get("text", ""), envelope.get("parts"))
    item["encrypted_content"] = envelope["encrypted_content"]
    return [item], phase


def _to_output(result: ToolResult) -> Body:
    """Return a tool's result: as text, or as parts where it has images or documents."""
    parts = [part for block in result["content"] for part in _to_result_parts(block)]
    output: JsonValue = list(parts)
    if all(part["type"] == "input_text" for part in parts):
        text = "\n".join(str(part["text"]) for part in parts)
        output = text if text.strip() else NO_OUTPUT
    return {"type": "function_call_output", "call_id": to_call_id(result["toolUseId"], _IDS), "output": output}


def _to_result_parts(block: ToolResultContent) -> list[Body]:
    """Return the parts of a result's block; what cannot be sent becomes a text that says so."""
    try:
        if "json" in block:
            return [_text_part(to_result_text(block["json"]))]
        if "text" in block:
            return [_text_part(block["text"])]
        if parts := _to_media_parts(block):
            return parts
        raise _unknown(block, "text, json, an image or a document")
    except PortkeyConfigError as error:
        return [_text_part(left_out(error))]


def _to_user_parts(block: ContentBlock) -> list[Body]:
    """Return the parts of a user's block; none for blank text, which is refused."""
    text = text_of(block)
    if text is not None:
        return [_text_part(text)] if text.strip() else []
    if parts := _to_media_parts(block):
        return parts
    raise _unknown(block, "text, an image or a document")


def _to_media_parts(block: Mapping[str, object]) -> list[Body]:
    if image := to_media("image", block):
        return [{"type": "input_image", "image_url": _to_image_url(image), "detail": "auto"}]
    if document := to_media("document", block):
        context = document.get("context")
        return [*([_text_part(context)] if context else ()), _to_document(document)]
    return []


def _to_image_url(image: Media) -> str:
    if "bytes" in image["source"]:
        return to_data_url(mime_type("image", image), to_bytes("image", image))
    return to_url("image", image, _IMAGE_LOCATIONS)


def _to_document(document: Media) -> Body:
    if document["format"] in TEXT_FORMATS:
        return _text_part(document_as_text(document))
    data = to_data_url(mime_type("document", document), to_bytes("document", document))
    name = f"{document.get('name') or 'document'}.{document['format']}"
    return {"type": "input_file", "filename": name, "file_data": data}


def _text_part(text: str) -> Body:
    return {"type": "input_text", "text": text}


def _to_flat_tool(spec: ToolSpec) -> Body:
    """Return a tool; not strict, since that is the default here, and fills in what is optional."""
    given, schema = to_spec(spec)
    tool: Body = {"type": "function", "name": given["name"]}
    if description := given.get("description"):
        tool["description"] = description
    tool["parameters"] = schema
    tool["strict"] = False
    return tool


def _to_tool_choice(tool_choice: object) -> JsonValue:
    kind, name = read_tool_choice(tool_choice)
    return {"type": "function", "name": name} if kind == "tool" else OPENAI_CHOICES[kind]


def _unknown(block: Mapping[str, object], works: str) -> PortkeyConfigError:
    kind = next(iter(block), "empty")
    return PortkeyConfigError(f"content for api='responses' must be {works}; got content block {kind!r}")
