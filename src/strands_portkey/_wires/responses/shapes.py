"""Types of a response and of the events that it is streamed in, and their parsers.

Every field is optional and may be null, since servers that copy OpenAI leave out some. Unknown fields are ignored; a
known field of a wrong type raises, unless the answer can do without it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Annotated, Final, TypeAlias, TypeVar

from pydantic import Field, JsonValue, TypeAdapter, ValidationError

# Before Python 3.12, pydantic requires this TypedDict instead of that of typing.
from typing_extensions import TypedDict

_Shape = TypeVar("_Shape")
_Parts: TypeAlias = Annotated[list[_Shape], Field(fail_fast=True, max_length=10_000)]
_Items: TypeAlias = Annotated[list[_Shape], Field(fail_fast=True, max_length=1_000)]


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


class UnreadableEventError(ValueError):
    """Data that is not what its event must hold.

    Attributes:
        problem: The first problem and its location. It may quote names from the data.
    """

    def __init__(self, problem: str) -> None:
        """Initialize the error."""
        super().__init__(problem)
        self.problem = problem


def _parser(kind: type[_Shape]) -> Callable[[str], _Shape]:
    """Return a parser of JSON text."""
    validate = TypeAdapter(kind).validator.validate_json  # Called for each event, so without the adapter's overhead.

    def parse(data: str) -> _Shape:
        try:
            parsed: _Shape = validate(data)
        except ValidationError as error:
            unreadable = _unreadable(error)
        else:
            return parsed
        if "arguments" not in data and (repaired := _without_surrogates(data)) is not None:
            return parse(repaired)
        raise unreadable  # Outside the handler, since pydantic's exception quotes the data.

    return parse


def _reader(kind: type[_Shape]) -> Callable[[Mapping[str, JsonValue]], _Shape]:
    """Return a reader of JSON that is parsed already."""
    adapter = TypeAdapter(kind)

    def read(value: Mapping[str, JsonValue]) -> _Shape:
        try:
            return adapter.validate_python(value)
        except ValidationError as error:
            unreadable = _unreadable(error)
        raise unreadable

    return read


def _unreadable(error: ValidationError) -> UnreadableEventError:
    problem = error.errors(include_url=False, include_input=False)[0]
    return UnreadableEventError(f"{'.'.join(map(str, problem['loc'])) or 'the event'}: {problem['msg']}")


def _without_surrogates(data: str) -> str | None:
    """Return JSON with lone surrogates replaced by U+FFFD; None where there are none. JavaScript may send them."""
    try:
        text = json.dumps(json.loads(data), ensure_ascii=False)
    except (ValueError, RecursionError):
        return None
    repaired = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return None if repaired == text else repaired


parse_kind: Final = _parser(Kind)
parse_delta: Final = _parser(Delta)
parse_summary: Final = _parser(SummaryDelta)
parse_arguments: Final = _parser(ArgumentsDelta)
parse_annotation: Final = _parser(AnnotationEvent)
parse_item: Final = _parser(ItemEvent)
parse_last: Final = _parser(LastEvent)
parse_response: Final = _parser(Response)
read_message: Final = _reader(Message)
read_reasoning: Final = _reader(Reasoning)
read_call: Final = _reader(FunctionCall)
