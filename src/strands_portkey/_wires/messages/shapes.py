"""Types of the events of a message and of a whole one, and their parser.

Every field is optional and may be null. Unknown fields are ignored; a known field of a wrong type raises, unless the
answer can do without it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from typing import Annotated, Final, TypeVar

from pydantic import Field, JsonValue, TypeAdapter, ValidationError

# Before Python 3.12, pydantic requires this TypedDict instead of that of typing.
from typing_extensions import TypedDict

from strands_portkey._answer.citations import Citation
from strands_portkey._json import Body

logger = logging.getLogger(__name__)

_T = TypeVar("_T")


class Delta(TypedDict, total=False):
    """What a block grew by, or how the message ended."""

    text: str | None
    thinking: str | None
    signature: str | None
    partial_json: str | None
    citation: Body | None
    stop_reason: str | None
    stop_details: JsonValue


class OutputDetails(TypedDict, total=False):
    """Kinds of tokens in the answer."""

    thinking_tokens: int | None


class Usage(TypedDict, total=False):
    """Token counts: those of the input do not include what was read from or written to a cache."""

    input_tokens: int | None
    output_tokens: int | None
    cache_read_input_tokens: int | None
    cache_creation_input_tokens: int | None
    output_tokens_details: OutputDetails | None


class Start(TypedDict, total=False):
    """The message as it begins, before its content."""

    model: str | None
    usage: Usage | None


class Event(TypedDict, total=False):
    """One event of a stream, or a whole message: the fields of all types together."""

    type: str | None
    index: int | None
    delta: Delta | None
    content_block: Body | None
    message: Start | None
    usage: Usage | None
    error: JsonValue
    hook_results: dict[str, JsonValue] | None
    # Of a whole message. The gateway makes a bare text of a block that a guardrail has rewritten.
    content: Annotated[list[Body | str], Field(fail_fast=True, max_length=10_000)] | None
    model: str | None
    stop_reason: str | None
    stop_details: JsonValue


class Block(TypedDict, total=False):
    """A content block, as it begins or as a whole."""

    type: str | None
    text: str | None
    thinking: str | None
    signature: str | None
    data: str | None  # redacted thinking
    id: str | None
    name: str | None
    input: JsonValue
    citations: list[Body] | None


_VALIDATE: Final = TypeAdapter(Event).validator.validate_json  # Called for each event, so without the adapter's cost.
_BLOCK: Final = TypeAdapter(Block)
_CITATION: Final = TypeAdapter(Citation)
# Fields that an answer can do without, at the top and within `message`.
_OPTIONAL: Final = frozenset({"model", "usage", "hook_results", "index"})
_REPAIRS: Final = 2  # Repairs of one event at most: of fields with wrong types, and of lone surrogates.


class UnreadableEventError(ValueError):
    """Data that is not a valid event.

    Attributes:
        problem: The first problem and its location. It may quote names from the data.
    """

    def __init__(self, problem: str) -> None:
        """Initialize the error."""
        super().__init__(problem)
        self.problem = problem
