"""Types of the events of a message and of a whole one, and their parsers.

Every field is optional and may be null. Unknown fields are ignored; a known field of a wrong type raises, unless the
answer can do without it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Annotated, Final

from pydantic import Field, JsonValue

# Before Python 3.12, pydantic requires this TypedDict instead of that of typing.
from typing_extensions import TypedDict

from strands_portkey._answer.citations import Citation
from strands_portkey._answer.parsing import Shape, UnreadableEventError, make_parser, make_reader
from strands_portkey._json import Body

logger = logging.getLogger(__name__)


class Delta(TypedDict, total=False):
    """What a block grew by."""

    text: str | None
    thinking: str | None
    signature: str | None
    partial_json: str | None
    citation: Body | None


class DeltaEvent(TypedDict, total=False):
    """The event of which nearly all streams are made."""

    index: int | None
    delta: Delta | None


class End(Delta, total=False):
    """What a block grew by, or how the message ended."""

    stop_reason: str | None
    stop_details: JsonValue


class Start(TypedDict, total=False):
    """The message as it begins, before its content."""

    id: JsonValue
    model: JsonValue
    usage: JsonValue


class Event(TypedDict, total=False):
    """One event of a stream, or a whole message: the fields of all types together."""

    type: str | None
    index: int | None
    delta: End | None
    content_block: Body | None
    message: Start | None
    usage: JsonValue
    error: JsonValue
    hook_results: JsonValue
    # Of a whole message. The gateway makes a bare text of a block that a guardrail has rewritten.
    content: Annotated[list[Body | str | None], Field(fail_fast=True, max_length=10_000)] | None
    id: JsonValue
    model: JsonValue
    stop_reason: str | None
    stop_details: JsonValue


class OutputDetails(TypedDict, total=False):
    """Kinds of tokens in the answer."""

    thinking_tokens: int | None


class Usage(TypedDict, total=False):
    """Token counts: those of the input do not include what was read from a cache or written to it."""

    input_tokens: int | None
    output_tokens: int | None
    cache_read_input_tokens: int | None
    cache_creation_input_tokens: int | None
    output_tokens_details: OutputDetails | None


class Block(TypedDict, total=False):
    """A content block, as it begins or as a whole."""

    text: str | None
    thinking: str | None
    signature: str | None
    data: str | None  # redacted thinking
    id: str | None
    name: str | None
    input: JsonValue
    citations: Annotated[list[Body | None], Field(fail_fast=True, max_length=10_000)] | None


# The input of a tool comes as `partial_json`, or whole as `input`.
parse_delta: Final = make_parser(DeltaEvent, exact="partial_json")
parse_event: Final = make_parser(Event, exact="input")
read_block: Final = make_reader(Block)
_read_usage: Final = make_reader(Usage)
_read_citation: Final = make_reader(Citation)


def read_usage(usage: Body) -> Usage:
    """Return the counts that are not null; none where they cannot be read."""
    return _read_optional({name: count for name, count in usage.items() if count is not None}, _read_usage, "usage")


def read_citation(citation: Body) -> Citation:
    """Return the source of a claim; an empty one where it cannot be read."""
    return _read_optional(citation, _read_citation, "citation")


def _read_optional(value: Body, read: Callable[[Body], Shape], name: str) -> Shape:
    try:
        return read(value)
    except UnreadableEventError:
        logger.warning("field=<%s> | ignored because of its wrong type", name)
    return read({})
