"""The shapes of the wire: what the gateway sends, as far as it is read, and what it is sent.

Every field is optional and may be null, because the gateway passes on what its upstreams send. Unknown fields are
dropped; a known field of a wrong type raises.
"""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias, TypeVar

from pydantic import Field, JsonValue, TypeAdapter, ValidationError

# pydantic builds its parsers from this TypedDict on Python before 3.12, and brings the package.
from typing_extensions import TypedDict

from ._errors import PortkeyStreamError

_T = TypeVar("_T")
# The first form that fits counts: pydantic would try them all, at a price for each chunk.
_First: TypeAlias = Annotated[_T, Field(union_mode="left_to_right")]


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


class Citation(TypedDict, total=False):
    """Where a claim comes from, in Anthropic's words; which fields there are depends on the type."""

    type: str | None
    cited_text: str | None
    title: str | None
    document_title: str | None
    document_index: int | None
    search_result_index: int | None
    start_char_index: int | None
    end_char_index: int | None
    start_page_number: int | None
    end_page_number: int | None
    start_block_index: int | None
    end_block_index: int | None
    url: str | None


class ContentPart(TypedDict, total=False):
    """What a content block grows by, or a whole one.

    In a stream it is the `delta` of one of the gateway's `content_blocks`. In a JSON answer it is the block itself.
    Mistral's and Vertex Claude's `content` is a list of such parts too.
    """

    text: str | None
    thinking: str | list[Thought] | None
    signature: str | None
    data: str | None  # redacted thinking
    citation: Citation | None
    citations: list[Citation] | None  # in a JSON answer
    image_url: JsonValue


class ContentBlock(ContentPart, total=False):
    """One of the gateway's `content_blocks`: with `delta` in a stream, without in a JSON answer."""

    index: int | None
    delta: ContentPart | None


class Delta(TypedDict, total=False):
    """What the message grows by; in a JSON answer the whole message."""

    content: _First[str | list[ContentPart] | None]
    content_blocks: list[ContentBlock] | None
    reasoning_content: str | None
    reasoning: str | None
    refusal: str | None
    tool_calls: _First[list[ToolCallDelta | None] | ToolCallDelta | None]  # Cohere sends one object
    finish_reason: str | None  # Bedrock's exceptions put it here


class Choice(TypedDict, total=False):
    """One choice of a chunk (`delta`) or of a JSON answer (`message`)."""

    delta: Delta | None
    message: Delta | None
    finish_reason: str | None


class PromptTokensDetails(TypedDict, total=False):
    """What the prompt's tokens were."""

    cached_tokens: int | None


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
    cost: float | None  # OpenRouter, in US dollars


class ChatCompletionChunk(TypedDict, total=False):
    """One chunk of a stream, or a whole JSON answer: they differ in `delta` and `message` only."""

    model: str | None
    provider: str | None
    choices: list[Choice] | None
    usage: CompletionUsage | None
    error: JsonValue
    hook_results: dict[str, JsonValue] | None


_CHUNK: Final = TypeAdapter(ChatCompletionChunk)
_SHOWN: Final = 200  # Characters of bad data that an error quotes.


def parse_chunk(data: str | bytes) -> ChatCompletionChunk:
    """Read the JSON of one SSE message or of a whole answer.

    Raises:
        PortkeyStreamError: If it is no JSON, or a field that is read has a wrong type.
    """
    try:
        return _CHUNK.validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
    # Raised out here, since what pydantic says of it quotes the whole data.
    where = ".".join(map(str, first["loc"])) or "the chunk"
    text = data if isinstance(data, str) else data.decode(errors="replace")
    message = f"the gateway sent a chunk that cannot be read: {where}: {first['msg']}: {text[:_SHOWN]!r}"
    raise PortkeyStreamError(message, origin="gateway", retryable=True)
