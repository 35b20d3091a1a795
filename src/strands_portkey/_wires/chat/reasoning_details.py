"""OpenRouter's `reasoning_details`: reasoning with the marks that an upstream behind it wants back.

They go back as they came, merged from their pieces. In between they are kept in a conversation as the signature of a
thought, so that they survive sessions.
"""

from __future__ import annotations

import json
from typing import Final

from pydantic import JsonValue
from pydantic_core import from_json

from strands_portkey._request.thoughts import OPENROUTER_ENVELOPE

_DETAILS: Final = f"{OPENROUTER_ENVELOPE}1:"
_IN_PIECES: Final = ("text", "summary")
_MARKS: Final = ("signature", "data")


class ReasoningDetails:
    """The reasoning of one answer, as far as it has come."""

    def __init__(self) -> None:
        """Begin without any."""
        self._items: list[dict[str, JsonValue]] = []

    def take(self, pieces: JsonValue) -> None:
        """Add pieces. What has another shape is no piece."""
        for piece in pieces if isinstance(pieces, list) else ():
            if isinstance(piece, dict):
                self._add(piece)

    def to_signature(self) -> str | None:
        """Return them as the signature of a thought; None if they hold nothing but words."""
        if not any(item.get(mark) for item in self._items for mark in _MARKS):
            return None
        return _DETAILS + json.dumps(self._items, ensure_ascii=False, separators=(",", ":"))

    def _add(self, piece: dict[str, JsonValue]) -> None:
        last = self._items[-1] if self._items else {}
        same = all(piece.get(name) == last.get(name) for name in ("index", "type"))
        if not same or (piece.get("data") and last.get("data")):
            self._items.append(dict(piece))
            return
        for name, value in piece.items():
            known = last.get(name)
            if name in _IN_PIECES and isinstance(value, str) and isinstance(known, str):
                last[name] = known + value
            elif value is not None:
                last[name] = value


def read_details(signature: str | None) -> list[JsonValue]:
    """Return the details that the signature of a thought holds; none if it is somebody else's."""
    if not signature or not signature.startswith(_DETAILS):
        return []
    try:
        details: JsonValue = from_json(signature.removeprefix(_DETAILS))
    except ValueError:
        return []
    return details if isinstance(details, list) else []
