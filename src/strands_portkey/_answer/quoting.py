"""The quoting of what the other side said: without the keys that were sent, on one line, and not too long."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Final

from pydantic import JsonValue
from pydantic_core import to_json

from strands_portkey._settings.headers import secrets

logger = logging.getLogger(__name__)

_ABOUT_OTHERS: Final = "x-portkey-sensitive-headers"  # Says which of the others are secret.
_LONG_KEY: Final = 16  # Characters of a key that is looked for in names of headers, which are words.
LONGEST_WORD: Final = 80  # Characters of a code, a type or an id that an error quotes.
LONGEST_QUOTE: Final = 200  # Characters of anything else that an error quotes.
LONGEST_READ: Final = 65_536  # Characters of an answer in which an error is looked for.
# What could end a line, move a terminal's cursor, turn the direction of a text, or not be encoded.
CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]+")


class Quoter:
    """Knows the keys that the requests of a call have sent, and quotes what came back without them."""

    def __init__(self) -> None:
        """Begin without any key."""
        self._sent: list[Mapping[str, str]] = []
        self._seen: dict[str, str] = {}
        self._found: set[str] = set()
        self._keys: list[str] = []
        self._lowered: list[str] = []

    def learn_from(self, other: Quoter) -> None:
        """Take over the keys that another knows; what this one learns later does not reach the other."""
        self._keys, self._lowered = other.keys, other._lowered
        self._seen, self._found = dict(other._seen), set(other._found)

    def sent(self, headers: Mapping[str, str]) -> None:
        """Remember the headers of a request, whose keys no error may show."""
        self._sent.append(headers)

    @property
    def keys(self) -> list[str]:
        """The keys of all headers that were sent, the longest first; found when they are asked for."""
        if self._sent:
            self.find()
        return self._keys

    def find(self) -> None:
        """Find the keys of the headers that were sent since the last time."""
        sent, self._sent = self._sent, []
        before = len(self._found)
        for headers in sent:
            fresh = {name: value for name, value in headers.items() if self._seen.get(name) != value}
            about = headers.get(_ABOUT_OTHERS)
            if about != self._seen.get(_ABOUT_OTHERS):  # Which may have changed what the others are.
                self._seen.pop(_ABOUT_OTHERS, None)
                fresh = dict(headers)
            if fresh:
                found = secrets(fresh if about is None else {**fresh, _ABOUT_OTHERS: about})
                self._found |= {*found, *(to_json(key).decode()[1:-1] for key in found)}
                self._seen |= fresh
        if len(self._found) > before:
            self._keys = sorted(self._found, key=len, reverse=True)  # One key may begin with another.
            self._lowered = [key.lower() for key in self._keys if len(key) >= _LONG_KEY]

    def hide(self, text: str) -> str:
        """Return a text without keys."""
        for key in self.keys:
            text = text.replace(key, "***")
        return text

    def hide_headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Return headers without keys in names and values."""
        values, names = "\n".join(headers.values()), "\n".join(headers)
        if self.hide(values) == values and not any(key in names for key in self._lowered):
            return dict(headers)
        shown = [self.hide(value) for value in headers.values()]
        return dict(zip(map(self._clear, headers), shown, strict=True))

    def hide_within(self, verdicts: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
        """Return JSON, of any depth, without keys in names and texts."""
        text = to_json(verdicts, inf_nan_mode="constants").decode()
        if self.hide(text) == text:
            return dict(verdicts)
        if len(text) > LONGEST_READ:  # It takes long to look into, and is no verdict.
            logger.warning("size=<%d> | guardrail results that quote a key are left out", len(text))
            return {}
        return {self.hide(name): self._hidden(part) for name, part in verdicts.items()}

    def _hidden(self, said: JsonValue) -> JsonValue:
        match said:
            case str():
                return self.hide(said)
            case list():
                return [self._hidden(part) for part in said]
            case dict():
                return {self.hide(name): self._hidden(part) for name, part in said.items()}
            case _:
                return said

    def _clear(self, header: str) -> str:
        """Return the name of a header, unless it holds a key: names come in lower case."""
        return "***" if any(key in header for key in self._lowered) else header

    def quote(self, text: str, most: int = LONGEST_WORD) -> str:
        """Return a text of the other side as a message can show it: on one line, without keys, and not too long."""
        shown, is_whole = self.begin(text, most)
        return CONTROL.sub(" ", shown) + ("" if is_whole else "...")

    def begin(self, text: str, most: int) -> tuple[str, bool]:
        """Return the beginning of a text without keys, also such as lie across its end; and whether it is whole."""
        keys = self.keys
        longest = len(keys[0]) if keys else 0
        window = hidden = text[: most + longest]
        for key in keys:
            hidden = hidden.replace(key, "***")
        if len(window) == len(text):
            return hidden[:most], len(hidden) <= most
        return hidden[: min(most, max(0, len(hidden) - longest))], False  # Its end may be a piece of a key.
