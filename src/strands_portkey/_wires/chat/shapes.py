"""The shapes of the wire: what the gateway sends, as far as it is read, and what it is sent.

Every field is optional and may be null, because the gateway passes on what its upstreams send. Unknown fields are
dropped; a known field of a wrong type raises, unless the answer can do without it.
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

# pydantic builds its parsers from this TypedDict on Python before 3.12, and brings the package.
from typing_extensions import TypedDict

from strands_portkey._answer.citations import Citation

logger = logging.getLogger(__name__)

_T = TypeVar("_T")
# The first form that fits counts: pydantic would try them all, at a price for each chunk.
_First: TypeAlias = Annotated[_T, Field(union_mode="left_to_right")]
# The first fault counts: a list may have more faults than there is time to describe.
# Each part takes time, and no upstream sends so many in one message.
_BoundedList: TypeAlias = Annotated[list[_T], Field(fail_fast=True, max_length=1_000)]
_Choices: TypeAlias = Annotated[list[_T], Field(fail_fast=True, max_length=8)]


class FunctionDelta(TypedDict, total=False):
    """The function of a tool call, whole or in part."""

    name: str | None
    arguments: str | None
    thought_signature: str | None  # Gemini's, tied to this call


class ToolCallDelta(TypedDict, total=False):
    """A piece of a tool call."""

    index: int | None
    id: str | None
    function: FunctionDelta | None


class Thought(TypedDict, total=False):
    """A piece of the list that Mistral's models think in."""

    text: str | None


class ContentPart(TypedDict, total=False):
    """What a content block grows by, or a whole one.

    In a stream it is the `delta` of one of the gateway's `content_blocks`. In a JSON answer it is the block itself.
    Mistral's and Vertex Claude's `content` is a list of such parts too.
    """

    text: str | None
    thinking: str | _BoundedList[Thought] | None
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
    """What the message grows by; in a JSON answer the whole message."""

    content: _First[str | _BoundedList[ContentPart] | None]
    content_blocks: _BoundedList[ContentBlock] | None
    reasoning_content: str | None
    reasoning: str | None
    refusal: str | None
    tool_calls: _First[_BoundedList[ToolCallDelta | None] | ToolCallDelta | None]  # Cohere sends one object
    finish_reason: str | None  # Bedrock's exceptions put it here


class Choice(TypedDict, total=False):
    """One choice of a chunk (`delta`) or of a JSON answer (`message`)."""

    delta: Delta | None
    message: Delta | None
    finish_reason: str | None


class PromptTokensDetails(TypedDict, total=False):
    """What the prompt's tokens were."""

    cached_tokens: int | None
    cache_write_tokens: int | None


class CompletionTokensDetails(TypedDict, total=False):
    """What the completion's tokens were."""

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
    """One chunk of a stream, or a whole JSON answer: they differ in `delta` and `message` only."""

    model: str | None
    provider: str | None
    choices: _Choices[Choice] | None
    usage: CompletionUsage | None
    error: JsonValue
    hook_results: dict[str, JsonValue] | None


_CHUNK: Final = TypeAdapter(ChatCompletionChunk)
_VALIDATE: Final = _CHUNK.validator.validate_json  # Without the adapter's own layer, for each chunk.
# What an answer can do without: fields of the chunk, and of a message.
_SPARE: Final = frozenset({"model", "provider", "usage", "hook_results"})
_SPARE_OF_MESSAGE: Final = frozenset({"reasoning", "reasoning_content", "refusal"})
_MENDINGS: Final = 2  # How often a chunk is read again: without misfits, and without halves of characters.
_ERROR_CHUNK_BYTES: Final = 65_536  # How much of a chunk is read for an error that it may be.


class UnreadableChunkError(ValueError):
    """Data that is no chunk.

    Attributes:
        problem: The first thing that is wrong with it, and where. It may quote names in the data.
    """

    def __init__(self, problem: str) -> None:
        """Remember the problem."""
        super().__init__(problem)
        self.problem = problem


def parse_chunk(data: str | bytes, mendings: int = _MENDINGS) -> ChatCompletionChunk:
    """Read the JSON of one SSE message or of a whole answer.

    Raises:
        UnreadableChunkError: If it is no JSON, or a field that is read, and needed, has a wrong type.
    """
    try:
        chunk: ChatCompletionChunk = _VALIDATE(data)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)
    else:
        return chunk if "choices" in chunk else _with_error(chunk, data)
    if mendings and (mended := _mended(data, [problem["loc"] for problem in problems])):
        return parse_chunk(mended, mendings - 1)
    # Raised out here, since what pydantic says of it quotes the whole data.
    where = ".".join(map(str, problems[0]["loc"])) or "the chunk"
    raise UnreadableChunkError(f"{where}: {problems[0]['msg']}")


def _with_error(chunk: ChatCompletionChunk, data: str | bytes) -> ChatCompletionChunk:
    """Return a chunk that is an error with it under `error`, where vLLM and others do not put it."""
    if chunk.get("error"):
        return chunk
    said = from_json(data[:_ERROR_CHUNK_BYTES], allow_partial=len(data) > _ERROR_CHUNK_BYTES)
    kinds = [kind.lower() for name in ("object", "type", "status") if isinstance(kind := said.get(name), str)]
    is_error = "detail" in said or any("error" in kind or "failure" in kind for kind in kinds)
    return {**chunk, "error": said} if is_error else chunk


def _mended(data: str | bytes, places: Sequence[tuple[int | str, ...]]) -> str | None:
    """Return the JSON without misfits in spare fields and without halves of characters, if these are all its faults."""
    if not all(not place or place[0] in _SPARE or place[-1] in _SPARE_OF_MESSAGE for place in places):
        return None
    try:
        chunk = json.loads(data)  # Takes halves of characters, which JavaScript's strings may be cut into.
    except (ValueError, RecursionError):
        return None
    for *path, name in filter(None, places):
        logger.warning("field=<%s> | of a wrong type, and ignored", name)
        reduce(getitem, path, chunk).pop(name)
    mended = json.dumps(chunk, ensure_ascii=False).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if "\ufffd" in mended:
        if "tool_calls" in mended:  # The input of a tool must not change.
            return None
        logger.warning("chunk=<half a character> | it is lost")
    return None if mended == data else mended
