"""JSON encoding of request bodies, and type guards for untyped values."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Final

from pydantic import JsonValue
from typing_extensions import TypeIs

from strands_portkey._errors import PortkeyConfigError

Body = dict[str, JsonValue]
"""The JSON object of a request."""

LONG: Final = 100_000
"""Length of a JSON text, in characters, above which `has_too_many_parts` is called."""

_MOST_ENCODED: Final = 4  # Times that an object may have been encoded.
_MOST_PARTS: Final = 50_000  # Lists and objects that an answer of any length may have.
_CHARACTERS: Final = 20  # Above that: fewest characters for each list or object. Log probabilities have more.
_BODY_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def is_mapping(value: object) -> TypeIs[Mapping[object, object]]:
    """Whether a value is a mapping, of any content."""
    return isinstance(value, Mapping)


def is_list(value: object) -> TypeIs[Sequence[object]]:
    """Whether a value is a list or a tuple, of any content, but not a text."""
    return isinstance(value, (list, tuple))


def is_set(value: object) -> TypeIs[AbstractSet[object]]:
    """Whether a value is a set, of any content."""
    return isinstance(value, AbstractSet)


def field_of(value: object, name: str) -> object:
    """Return a field of a mapping; None of anything else."""
    return value.get(name) if is_mapping(value) else None


def text_in(value: object, name: str) -> str:
    """Return a field that is text; an empty text for anything else."""
    text = field_of(value, name)
    return text if isinstance(text, str) else ""


def to_object(value: object) -> Mapping[object, object] | None:
    """Return the object that a value is, or whose JSON it is, perhaps encoded several times; else None.

    Null and blank text count as an empty object.
    """
    for _ in range(_MOST_ENCODED):
        if not isinstance(value, str):
            break
        try:
            value = json.loads(value) if value.strip() else None
        except (ValueError, RecursionError):
            return None
    return {} if value is None else value if is_mapping(value) else None


def has_too_many_parts(text: str | bytes) -> bool:
    """Whether JSON has so many lists and objects that parsing it would take too long.

    Brackets and braces inside its strings are counted too.
    """
    parts = text.count(b"[") + text.count(b"{") if isinstance(text, bytes) else text.count("[") + text.count("{")
    return parts > max(_MOST_PARTS, len(text) // _CHARACTERS)


def dump_body(body: Body) -> bytes:
    """Return the body as JSON.

    Raises:
        PortkeyConfigError: If a parameter or a tool's schema is not JSON.
    """
    try:
        return _BODY_ENCODER.encode(body).encode()
    except UnicodeEncodeError:  # A lone surrogate, which a tool may have read from a file, is sent escaped.
        return json.dumps(body, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as error:
        problem = str(error)
    # Raised outside the handler, since the frames of the encoder's exception hold the body.
    raise PortkeyConfigError(f"the request must be JSON; got something else: {problem}")
