"""Types of the answers of chat completions, and their parser.

Every field is optional and may be null, because the gateway passes on what its upstreams send. Unknown fields are
ignored; a known field of a wrong type raises, unless the field is not essential.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from functools import reduce
from operator import getitem
from typing import Annotated, Final, TypeAlias, TypeVar

from pydantic import Field, JsonValue, TypeAdapter, ValidationError
from pydantic_core import from_json

# Before Python 3.12, pydantic requires this TypedDict instead of that of typing.
from typing_extensions import TypedDict

from strands_portkey._answer.citations import Citation
from strands_portkey._answer.parsing import unreadable
from strands_portkey._answer.quoting import LONGEST_READ

logger = logging.getLogger(__name__)

_T = TypeVar("_T")
# The first type that matches is used: by default pydantic tries all of them, which costs time for each chunk.
_First: TypeAlias = Annotated[_T, Field(union_mode="left_to_right")]
# Validation stops at the first error: to describe thousands of them would take too long.
# Lists are limited, since each item takes time, and no upstream sends so many in one message.
_MOST_ITEMS: Final = 1_000
_BoundedList: TypeAlias = Annotated[list[_T], Field(fail_fast=True, max_length=_MOST_ITEMS)]
_Choices: TypeAlias = Annotated[list[_T], Field(fail_fast=True, max_length=8)]


class FunctionDelta(TypedDict, total=False):
    """The function of a tool call, complete or a fragment."""

    name: str | None
    arguments: str | None
    thought_signature: str | None  # Gemini's, tied to this call, as the gateway puts it
    thoughtSignature: JsonValue  # As Gemini itself names it


class ToolCallDelta(TypedDict, total=False):
    """A fragment of a tool call."""

    index: int | None
    id: str | None
    function: FunctionDelta | None
    thoughtSignature: JsonValue
    extra_content: JsonValue  # Google's, where it copies OpenAI


class Thought(TypedDict, total=False):
    """An item of the list in which Mistral's models send reasoning."""

    text: str | None


class ContentPart(TypedDict, total=False):
    """A fragment of a content block, or a complete one.

    In a stream it is the `delta` of one of the gateway's `content_blocks`; in a JSON answer, the block itself. The
    `content` of Mistral, and of Claude on Vertex, is also a list of such parts.
    """

    text: str | None
    thinking: str | _BoundedList[Thought] | None
    summary: _BoundedList[Thought] | None  # Databricks
    signature: str | None
    data: str | None  # redacted thinking
    citation: Citation | None
    citations: _BoundedList[Citation] | None  # in a JSON answer
    image_url: JsonValue


class ContentBlock(ContentPart, total=False):
    """One of the gateway's `content_blocks`: with `delta` in a stream, without in a JSON answer."""

    index: int | None
    delta: ContentPart | None


class Delta(TypedDict, total=False):
    """A fragment of the message; in a JSON answer the complete message."""

    content: _First[str | _BoundedList[ContentPart] | None]
    content_blocks: _BoundedList[ContentBlock] | None
    reasoning_content: str | None
    reasoning: str | None
    reasoning_details: JsonValue  # OpenRouter
    refusal: str | None
    tool_calls: _First[_BoundedList[ToolCallDelta | None] | ToolCallDelta | None]  # Cohere sends one object
    finish_reason: str | None  # Bedrock's exceptions put it here


class Choice(TypedDict, total=False):
    """One choice of a chunk (`delta`) or of a JSON answer (`message`)."""

    index: int | None
    delta: Delta | None
    message: Delta | None
    finish_reason: str | None
    error: JsonValue  # OpenRouter


class PromptTokensDetails(TypedDict, total=False):
    """Kinds of tokens in the prompt."""

    cached_tokens: int | None
    cache_write_tokens: int | None


class CompletionTokensDetails(TypedDict, total=False):
    """Kinds of tokens in the completion."""

    reasoning_tokens: int | None


class CompletionUsage(TypedDict, total=False):
    """Token counts."""

    prompt_tokens: int | None
    completion_tokens: int | None
    total_tokens: int | None
    prompt_tokens_details: PromptTokensDetails | None
    completion_tokens_details: CompletionTokensDetails | None
    cache_read_input_tokens: int | None
    cache_creation_input_tokens: int | None
    prompt_cache_hit_tokens: int | None  # DeepSeek
    cost: JsonValue  # OpenRouter and, as an object, Perplexity, in US dollars


class ChatCompletionChunk(TypedDict, total=False):
    """One chunk of a stream, or a complete JSON answer: they only differ in `delta` and `message`."""

    model: str | None
    provider: str | None
    choices: _Choices[Choice] | None
    usage: CompletionUsage | None
    error: JsonValue
    hook_results: dict[str, JsonValue] | None


_CHUNK: Final = TypeAdapter(ChatCompletionChunk)
_VALIDATE: Final = _CHUNK.validator.validate_json  # Called for each chunk, so without the overhead of the adapter.
# Fields that are not essential: of a chunk, and of a message.
_OPTIONAL: Final = frozenset({"model", "provider", "usage", "hook_results"})
_OPTIONAL_OF_MESSAGE: Final = frozenset({"reasoning", "reasoning_content", "refusal"})
_REPAIRS: Final = 2  # Repairs of one chunk at most: of fields with wrong types, and of lone surrogates.
_CODES_OF_SUCCESS: Final = (0, "0", 200, "200")


class Identity(TypedDict, total=False):
    """What all chunks of an answer have in common, so that it is read from one of them."""

    id: str | None


_READ_IDENTITY: Final = TypeAdapter(Identity).validator.validate_json


def parse_chunk(data: str, repairs: int = _REPAIRS) -> ChatCompletionChunk:
    """Parse the JSON of one SSE message or of a complete answer.

    Raises:
        UnreadableEventError: If it is not JSON, or an essential field has a wrong type.
    """
    try:
        chunk: ChatCompletionChunk = _VALIDATE(data)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)
    else:
        return chunk if chunk.get("choices") else _with_error(chunk, data)
    # Other servers' forms of essential fields are rare, so they cost something only where they come.
    if repairs and (repaired := _repaired(data, [problem["loc"] for problem in problems])):
        return parse_chunk(repaired, repairs - 1)
    # Raised outside the handler, since pydantic's exception quotes the data.
    raise unreadable(problems[0], "the chunk")


def read_id(data: str) -> str | None:
    """Return the id of the answer that a chunk belongs to, None where it has none."""
    try:
        identity: Identity = _READ_IDENTITY(data)
    except ValidationError:
        return None
    return identity.get("id")


def _with_error(chunk: ChatCompletionChunk, data: str) -> ChatCompletionChunk:
    """Return the chunk; if it is itself an error, as sent by vLLM and others, with that under `error`."""
    error = chunk.get("error")
    if isinstance(error, (str, dict, list)) and error:
        return chunk
    said = from_json(data[:LONGEST_READ], allow_partial=len(data) > LONGEST_READ)
    if error:  # `true`, or a code: the words stand beside it.
        return {**chunk, "error": {name: value for name, value in said.items() if name not in {"error", "choices"}}}
    kinds = [kind.lower() for name in ("object", "type", "status") if isinstance(kind := said.get(name), str)]
    is_error = "detail" in said or any("error" in kind or "failure" in kind for kind in kinds)
    is_error |= bool(said.get("error_message"))
    # A message beside no choices is one where nothing else can be meant: others send what they are doing.
    if isinstance(said.get("message"), str) and said["message"] and "choices" in said:
        code = said.get("code", said.get("error_code"))
        is_error |= code not in _CODES_OF_SUCCESS and (bool(code) or said["choices"] is None)
    return {**chunk, "error": said} if is_error else chunk


def _repaired(data: str, places: Sequence[tuple[int | str, ...]]) -> str | None:
    """Return the JSON without wrong types and lone surrogates; None if an essential field has no usual form."""
    try:
        chunk = json.loads(data)  # Accepts lone surrogates, which JavaScript may send.
    except (ValueError, RecursionError):
        return None
    optional = [place for place in places if place and (place[0] in _OPTIONAL or place[-1] in _OPTIONAL_OF_MESSAGE)]
    if len(optional) < len([place for place in places if place]) and not _reform(chunk):
        return None
    for *path, name in optional:
        logger.warning("field=<%s> | ignored because of its wrong type", name)
        reduce(getitem, path, chunk).pop(name)
    repaired = json.dumps(chunk, ensure_ascii=False).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if "\ufffd" in repaired:
        if "tool_calls" in repaired:  # The input of a tool must not change.
            return None
        logger.warning("chunk=<lone surrogate> | replaced by U+FFFD")
    return None if repaired == data else repaired


def _reform(chunk: JsonValue) -> bool:
    """Put contents and arguments that are objects into the usual form; return whether there are any."""
    found = 0
    choices = chunk.get("choices") if isinstance(chunk, dict) else None
    for choice in choices if isinstance(choices, list) else ():
        for name in ("delta", "message"):
            message = choice.get(name) if isinstance(choice, dict) else None
            if isinstance(message, dict):
                found += _reform_content(message) + _reform_arguments(message)
    return found > 0


def _reform_content(message: dict[str, JsonValue]) -> bool:
    content = message.get("content")
    if isinstance(content, dict):
        message["content"] = [content] if isinstance(content.get("text"), str) else _json_of(content)
    elif isinstance(content, list) and len(content) <= _MOST_ITEMS and any(isinstance(part, str) for part in content):
        message["content"] = [{"text": part} if isinstance(part, str) else part for part in content]
    return message.get("content") is not content


def _reform_arguments(message: dict[str, JsonValue]) -> bool:
    calls = message.get("tool_calls")
    found = False
    for call in calls if isinstance(calls, list) else [calls]:
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict) and isinstance(arguments := function.get("arguments"), dict):
            function["arguments"] = _json_of(arguments)
            found = True
    return found


def _json_of(value: JsonValue) -> str:
    return json.dumps(value, ensure_ascii=False) if value else ""  # Pieces of text may follow an empty one.
