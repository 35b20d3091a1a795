"""Types of the events of a message and of a whole one, and their parsers.

Every field is optional and may be null. Unknown fields are ignored; a known field of a wrong type raises, unless the
answer can do without it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Annotated, Final, TypeVar

from pydantic import Field, JsonValue, TypeAdapter, ValidationError

# Before Python 3.12, pydantic requires this TypedDict instead of that of typing.
from typing_extensions import TypedDict

from strands_portkey._answer.citations import Citation
from strands_portkey._json import Body

logger = logging.getLogger(__name__)

_Shape = TypeVar("_Shape")


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
    content: Annotated[list[Body | str], Field(fail_fast=True, max_length=10_000)] | None
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
    citations: Annotated[list[Body], Field(fail_fast=True, max_length=10_000)] | None


class UnreadableEventError(ValueError):
    """Data that is not a valid event.

    Attributes:
        problem: The first problem and its location. It may quote names from the data.
    """

    def __init__(self, problem: str) -> None:
        """Initialize the error."""
        super().__init__(problem)
        self.problem = problem


def _parser(shape: type[_Shape]) -> Callable[[str], _Shape]:
    """Return a parser of JSON text."""
    validate = TypeAdapter(shape).validator.validate_json  # Called for each event, so without the adapter's overhead.

    def parse(data: str) -> _Shape:
        try:
            parsed: _Shape = validate(data)
        except ValidationError as error:
            problem = _problem_of(error)
        else:
            return parsed
        if (repaired := _without_surrogates(data)) is not None:
            return parse(repaired)
        raise UnreadableEventError(problem)  # Out here, since pydantic's exception quotes the data.

    return parse


def _problem_of(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or 'the event'}: {first['msg']}"


def _without_surrogates(data: str) -> str | None:
    """Return JSON with lone surrogates replaced by U+FFFD; None where there are none, or in the input of a tool."""
    if '"partial_json"' in data or '"tool_use"' in data:
        return None
    try:
        text = json.dumps(json.loads(data), ensure_ascii=False)  # Accepts them, which JavaScript may send.
    except (ValueError, RecursionError):
        return None
    repaired = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if repaired == text:
        return None
    logger.warning("event=<lone surrogate> | replaced by U+FFFD")
    return repaired


parse_delta: Final = _parser(DeltaEvent)
parse_event: Final = _parser(Event)

_BLOCK: Final = TypeAdapter(Block)
_USAGE: Final = TypeAdapter(Usage)
_CITATION: Final = TypeAdapter(Citation)


def read_block(block: Body) -> Block:
    """Return a block of a type that is known.

    Raises:
        UnreadableEventError: If a field has a wrong type.
    """
    try:
        return _BLOCK.validate_python(block)
    except ValidationError as error:
        problem = _problem_of(error)
    raise UnreadableEventError(problem)


def read_usage(usage: Body) -> Usage:
    """Return the counts that are not null; none where they cannot be read."""
    return _read_optional(_USAGE, {name: count for name, count in usage.items() if count is not None}, "usage")


def read_citation(citation: Body) -> Citation:
    """Return the source of a claim; an empty one where it cannot be read."""
    return _read_optional(_CITATION, citation, "citation")


def _read_optional(shape: TypeAdapter[_Shape], value: Body, name: str) -> _Shape:
    try:
        return shape.validate_python(value)
    except ValidationError:
        logger.warning("field=<%s> | ignored because of its wrong type", name)
    return shape.validate_python({})
