"""Types of a response and of the events that it is streamed in, and their parsers.

Every field is optional and may be null, since servers that copy OpenAI leave out some. Unknown fields are ignored; a
known field of a wrong type raises, unless the answer can do without it.
"""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

from pydantic import Field, JsonValue

# Before Python 3.12, pydantic requires this TypedDict instead of that of typing.
from typing_extensions import TypedDict

from strands_portkey._answer.parsing import Shape, make_parser, make_reader

_Parts: TypeAlias = Annotated[list[Shape | None], Field(fail_fast=True, max_length=10_000)]
_Items: TypeAlias = Annotated[list[Shape | None], Field(fail_fast=True, max_length=1_000)]


class Kind(TypedDict, total=False):
    """The name of an event, where no `event:` line gives it."""

    type: str | None
    error: JsonValue


class Delta(TypedDict, total=False):
    """A fragment of an item."""

    output_index: int | None
    delta: str | None


class SummaryDelta(Delta, total=False):
    """A fragment of a part of a reasoning item: of its summary, or of its content."""

    summary_index: int | None
    content_index: int | None


class ArgumentsDelta(Delta, total=False):
    """A fragment of a call's arguments."""

    item_id: str | None


class AnnotationEvent(TypedDict, total=False):
    """A source of a text's claims."""

    output_index: int | None
    annotation: JsonValue


class Part(TypedDict, total=False):
    """A part of a message, or of the summary or content of a reasoning item."""

    text: str | None
    refusal: str | None
    annotations: JsonValue


class Message(TypedDict, total=False):
    """An item that is a message."""

    content: _Parts[Part] | None
    phase: str | None


class Reasoning(TypedDict, total=False):
    """An item that is reasoning."""

    id: str | None
    encrypted_content: str | None
    summary: _Parts[Part] | None
    content: _Parts[Part] | None


class FunctionCall(TypedDict, total=False):
    """An item that is a call of a tool."""

    id: str | None
    call_id: str | None
    name: str | None
    arguments: str | None


class ItemEvent(TypedDict, total=False):
    """An item, as it begins or as a whole."""

    output_index: int | None
    item: dict[str, JsonValue] | None


class Response(TypedDict, total=False):
    """A whole answer; where it is the last event of a stream, its items have come before."""

    id: JsonValue
    model: JsonValue
    status: str | None
    output: _Items[dict[str, JsonValue]] | None
    usage: JsonValue
    error: JsonValue
    incomplete_details: JsonValue
    hook_results: JsonValue


class LastEvent(TypedDict, total=False):
    """The event that ends a stream."""

    type: str | None
    response: Response | None


parse_kind: Final = make_parser(Kind, exact="arguments")
parse_delta: Final = make_parser(Delta, exact="arguments")
parse_summary: Final = make_parser(SummaryDelta, exact="arguments")
parse_arguments: Final = make_parser(ArgumentsDelta, exact="arguments")
parse_annotation: Final = make_parser(AnnotationEvent, exact="arguments")
parse_item: Final = make_parser(ItemEvent, exact="arguments")
parse_last: Final = make_parser(LastEvent, exact="arguments")
parse_response: Final = make_parser(Response, exact="arguments")
read_message: Final = make_reader(Message)
read_reasoning: Final = make_reader(Reasoning)
read_call: Final = make_reader(FunctionCall)
