"""A call of a tool, whose arguments come in pieces."""

from __future__ import annotations

import json
import re
from typing import Final

from strands_portkey._json import to_object

JSON_WHITESPACE: Final = " \t\n\r"
"""What may stand around a JSON value."""

_BRACE: Final = re.compile("[{}]")


class ToolCall:
    """One call of a tool, as far as it has come.

    Attributes:
        id: Unique in the message; made up where the wire gives none.
        name: Name of the tool, or "" until it comes.
        wire_id: The id that the wire has given it, which need not be unique.
        signature: Gemini's signature of the thought that led to the call.
        arguments: The fragments of its JSON so far.
        is_echo: Whether it is an earlier call once more, if it gets no arguments.
    """

    __slots__ = (
        *("_end", "_has_ended", "_is_whole", "_read", "arguments", "id", "index", "is_echo", "name", "signature"),
        "wire_id",
    )

    def __init__(self, index: int | None, call_id: str) -> None:
        """Begin a call that has neither name nor arguments yet."""
        self.index = index
        self.wire_id: str | None = None
        self.id = call_id
        self.name = ""
        self.signature: str | None = None
        self.arguments: list[str] = []
        self.is_echo = False
        self._end = _ObjectEnd()
        self._read = 0
        self._is_whole: bool | None = None  # None while more may make it so.
        self._has_ended = False

    def is_whole(self) -> bool:
        """Whether the arguments so far are a JSON object, which nothing can follow.

        However often this is asked, each fragment is looked at once, and the whole is parsed once.
        """
        came = "".join(self.arguments[self._read :])
        self._read = len(self.arguments)
        if self._is_whole is None and self._end.is_in(came):
            self._is_whole = is_json("".join(self.arguments), dict)
        elif self._is_whole:
            self._is_whole = not came.strip(JSON_WHITESPACE)
        return self._has_ended or bool(self._is_whole)

    def end(self) -> None:
        """Take the arguments as they are: no more come."""
        self._has_ended = True

    def input(self) -> str:
        """Return the JSON of the whole arguments, decoded where an object was encoded more than once."""
        arguments = "".join(self.arguments)
        found = to_object(arguments) if arguments else None
        return arguments if found is None else json.dumps(found, ensure_ascii=False)

    def is_broken(self) -> bool:
        """Whether the arguments, if they end here, are something else than JSON or nothing."""
        arguments = "".join(self.arguments).strip()
        return bool(arguments) and not is_json(arguments)


class _ObjectEnd:
    """Finds where a JSON object ends, in text that comes in pieces. What it finds in other text means nothing."""

    __slots__ = ("_depth", "_escape", "_in_string")

    def __init__(self) -> None:
        self._depth = 0
        self._escape = ""
        self._in_string = False

    def is_in(self, text: str) -> bool:
        """Whether the object's last brace is in this next piece."""
        text = (self._escape + text).replace("\\\\", "").replace('\\"', "")
        self._escape = "\\" if text.endswith("\\") else ""
        parts = text.split('"')
        outside_strings = "".join(parts[self._in_string :: 2])
        self._in_string ^= len(parts) % 2 == 0
        for brace in _BRACE.findall(outside_strings):
            self._depth += 1 if brace == "{" else -1
            if self._depth <= 0:
                return True
        return False


def is_json(text: str, kind: type = object) -> bool:
    """Whether Strands, which reads arguments by the same means, will make this kind of value of them."""
    try:
        return isinstance(json.loads(text), kind)
    except (ValueError, RecursionError):
        return False
