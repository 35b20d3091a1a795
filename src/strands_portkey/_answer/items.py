"""The queue of content blocks on a wire that tells where each begins and ends.

Such a wire may send several blocks at the same time, while Strands' follow one another. So they stand in line, in the
order in which they have begun: the first one is open and its deltas become events at once; those behind it keep theirs
until it has ended.
"""

from __future__ import annotations

from collections import deque

from strands.types.content import ContentBlockStart
from strands.types.streaming import ContentBlockDelta, StreamEvent


class Item:
    """A content block that is open, or waits for the one before it to end.

    Attributes:
        start: What its first event holds: the call that it is, or nothing.
        deltas: What it holds back until it is open.
        is_open: Whether its first event has been made.
        has_ended: Whether nothing more comes.
    """

    __slots__ = ("deltas", "has_ended", "is_open", "start")

    def __init__(self, start: ContentBlockStart | None = None) -> None:
        """Begin a block: that of a call at once, one of text when its first delta comes."""
        self.start: ContentBlockStart = start or {}
        self.deltas: list[ContentBlockDelta] = []
        self.is_open = False
        self.has_ended = False


class ItemQueue:
    """Puts blocks that may have begun at the same time into an order that Strands can follow.

    Attributes:
        events: The events brought about and not yet taken away.
        received: Number of deltas so far.
    """

    def __init__(self) -> None:
        """Begin without any block."""
        self.events: list[StreamEvent] = []
        self.received = 0
        self._line: deque[Item] = deque()

    def begin(self, item: Item) -> None:
        """Put a block at the end of the line."""
        self._line.append(item)
        if len(self._line) == 1:
            self._open(item)

    def add(self, item: Item, delta: ContentBlockDelta) -> None:
        """Add to a block that has not ended."""
        self.received += 1
        if item is not self._line[0]:
            item.deltas.append(delta)
            return
        if not item.is_open:
            self._start(item)
        self.events.append({"contentBlockDelta": {"delta": delta}})

    def end(self, item: Item) -> None:
        """End a block, and those behind it that have ended already."""
        item.has_ended = True
        while self._line and self._line[0].has_ended:
            if self._line.popleft().is_open:
                self.events.append({"contentBlockStop": {}})
            if self._line:
                self._open(self._line[0])

    def close(self) -> None:
        """End all blocks."""
        for item in list(self._line):
            self.end(item)

    def _open(self, item: Item) -> None:
        """Begin the first block in line, unless it is still without content."""
        if item.start or item.deltas:
            self._start(item)
        self.events.extend({"contentBlockDelta": {"delta": delta}} for delta in item.deltas)

    def _start(self, item: Item) -> None:
        item.is_open = True
        self.events.append({"contentBlockStart": {"start": item.start}})
