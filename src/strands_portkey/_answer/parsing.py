"""Parsers of an answer's JSON by the types of a protocol."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from functools import cache
from typing import TypeVar, cast

from pydantic import JsonValue, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, SchemaValidator, from_json

logger = logging.getLogger(__name__)

Shape = TypeVar("Shape")


class UnreadableEventError(ValueError):
    """Data that is not what its event must hold.

    Attributes:
        problem: The first problem and its location. It may quote names from the data.
    """

    def __init__(self, problem: str) -> None:
        """Initialize the error."""
        super().__init__(problem)
        self.problem = problem


def json_or_text(data: str) -> JsonValue:
    """Return what JSON holds; other text as it is."""
    try:
        value: JsonValue = from_json(data)
    except ValueError:
        return data
    return value


def make_parser(shape: type[Shape], exact: str) -> Callable[[str], Shape]:
    """Return a parser of JSON text.

    Args:
        shape: The type of what the text holds.
        exact: A name of a field; a text with it is never repaired, since the input of a tool must not change.
    """
    validator = _deferred(shape)

    def parse(data: str) -> Shape:
        try:
            parsed: Shape = validator().validate_json(data)
        except ValidationError as error:
            problem = _first_problem(error)
        else:
            return parsed
        if f'"{exact}"' not in data and (repaired := _without_surrogates(data)) is not None:
            return parse(repaired)
        raise unreadable(problem)  # Outside the handler, since pydantic's exception quotes the data.

    return parse


def make_reader(shape: type[Shape]) -> Callable[[Mapping[str, JsonValue]], Shape]:
    """Return a reader of JSON that is parsed already."""
    validator = _deferred(shape)

    def read(value: Mapping[str, JsonValue]) -> Shape:
        try:
            taken: Shape = validator().validate_python(value)
        except ValidationError as error:
            problem = _first_problem(error)
        else:
            return taken
        raise unreadable(problem)

    return read


def _deferred(shape: type[Shape]) -> Callable[[], SchemaValidator]:
    """Return what makes a validator when it is first needed: most programs use one protocol alone.

    It is used as it is, without the overhead of the adapter, since it is called for each event.
    """
    return cache(lambda: cast("SchemaValidator", TypeAdapter(shape).validator))


def _first_problem(error: ValidationError) -> ErrorDetails:
    return error.errors(include_url=False, include_input=False)[0]


def unreadable(problem: ErrorDetails, whole: str = "the event") -> UnreadableEventError:
    """Return the error for a problem of pydantic's: what it is, and where in the whole."""
    return UnreadableEventError(f"{'.'.join(map(str, problem['loc'])) or whole}: {problem['msg']}")


def _without_surrogates(data: str) -> str | None:
    """Return JSON with lone surrogates replaced by U+FFFD; None where there are none. JavaScript may send them."""
    try:
        text = json.dumps(json.loads(data), ensure_ascii=False)
    except (ValueError, RecursionError):
        return None
    repaired = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if repaired == text:
        return None
    logger.warning("event=<lone surrogate> | replaced by U+FFFD")
    return repaired
