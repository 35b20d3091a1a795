"""Reasoning that a model puts before its answer, between ``<think>`` and ``</think>``."""

from __future__ import annotations

from typing import Final, Literal

_OPENING: Final = "<think>"
_CLOSING: Final = "</think>"

Kind = Literal["text", "reasoning"]


class ThinkingTags:
    """Splits the beginning of an answer, which comes in pieces, into reasoning and text.

    Blanks beside the tags are dropped, for they belong to neither.

    Attributes:
        is_done: Whether all that follows is text.
    """

    def __init__(self) -> None:
        """Begin before the first piece."""
        self.is_done = False
        self._held: list[str] = []
        self._is_inside = self._is_behind = self._has_thought = False

    def feed(self, text: str) -> list[tuple[Kind, str]]:
        """Take in a piece of the answer, and return what is known of it."""
        self._held.append(text)
        if not text.strip():  # Decides nothing, however much of it comes.
            return []
        text = "".join(self._held)
        self._held.clear()
        if not (self._is_inside or self._is_behind):
            begin = text.lstrip()
            if len(begin) < len(_OPENING) and _OPENING.startswith(begin):
                self._held.append(text)
                return []
            if not begin.startswith(_OPENING):
                self.is_done = True
                return [("text", text)]
            self._is_inside, text = True, begin.removeprefix(_OPENING)
        found: list[tuple[Kind, str]] = []
        if self._is_inside:
            thought, closing, text = text.partition(_CLOSING)
            self._is_inside, self._is_behind = not closing, bool(closing)
            kept = thought.rstrip() if closing else _without_end(thought)
            if not closing:
                self._held.append(thought.removeprefix(kept))
            found.append(("reasoning", kept if self._has_thought else kept.lstrip()))
            self._has_thought |= bool(kept.strip())
        if self._is_behind and (text := text.lstrip()):
            self.is_done = True
            found.append(("text", text))
        return [(kind, piece) for kind, piece in found if piece]

    def finish(self) -> list[tuple[Kind, str]]:
        """End the answer, and return what was held back."""
        self.is_done = True
        held = "".join(self._held)
        self._held.clear()
        if self._is_inside:
            thought = held.rstrip() if self._has_thought else held.strip()
            return [("reasoning", thought)] if thought else []
        return [("text", held)] if held and not self._is_behind else []


def _without_end(thought: str) -> str:
    """Return a thought without what may be a part of the closing tag, and without the blanks before it."""
    at = thought.rfind("<", -len(_CLOSING))
    return (thought[:at] if at >= 0 and _CLOSING.startswith(thought[at:]) else thought).rstrip()
