"""JSON, and guards for values of which nothing is known."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Final

from pydantic import JsonValue
from typing_extensions import TypeIs

from strands_portkey._errors import PortkeyConfigError

Body = dict[str, JsonValue]
"""A JSON object to be sent."""

LONG: Final = 100_000
"""Characters of JSON from which on `has_too_many_parts` is worth asking."""

_MOST_PARTS: Final = 50_000  # Lists and objects that any answer may have.
_CHARACTERS: Final = 20  # Of a list or object where there are more; log probabilities have more than these.
_BODY_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def is_mapping(value: object) -> TypeIs[Mapping[object, object]]:
    """Whether a value is a mapping of whatever."""
    return isinstance(value, Mapping)


def is_list(value: object) -> TypeIs[Sequence[object]]:
    """Whether a value is a list or a tuple of whatever: no text."""
    return isinstance(value, (list, tuple))


def is_set(value: object) -> TypeIs[AbstractSet[object]]:
    """Whether a value is a set of whatever."""
    return isinstance(value, AbstractSet)


def has_too_many_parts(text: str | bytes) -> bool:
    """Whether JSON has more lists and objects than an answer has, so many that it takes too long to read.

    Those within its texts count too.
    """
    parts = text.count(b"[") + text.count(b"{") if isinstance(text, bytes) else text.count("[") + text.count("{")
    return parts > max(_MOST_PARTS, len(text) // _CHARACTERS)


def dump_body(body: Body) -> bytes:
    """Return the body as JSON.

    Raises:
        PortkeyConfigError: If a parameter or a tool's schema is no JSON.
    """
    try:
        return _BODY_ENCODER.encode(body).encode()
    except UnicodeEncodeError:  # Half a surrogate pair, as tools read from files, can be sent escaped.
        return json.dumps(body, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as error:
        problem = str(error)
    # Out here, since the frames of what the encoder raised hold the body.
    raise PortkeyConfigError(f"the request must be JSON; got something else: {problem}")
