"""What an answer took: tokens, costs and time, whatever the wire."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from strands.types.event_loop import Metrics, Usage


@dataclass(frozen=True)
class Counts:
    """Tokens and costs of one answer, by one rule for all wires.

    Attributes:
        input: Tokens of the prompt, with those read from and written to a cache.
        output: Tokens of the answer, with those that the model thought in.
        total: Their sum, or what the wire says it is, if that is more.
        cache_read: Tokens of the prompt that were read from a cache.
        cache_write: Tokens of the prompt that were written to a cache.
        reasoning: Tokens that the model thought in; Strands' counts have no place for them.
        cost: What the provider says that the answer cost, in US dollars.
    """

    input: int = 0
    output: int = 0
    total: int = 0
    cache_read: int = 0
    cache_write: int = 0
    reasoning: int = 0
    cost: float | None = None

    def to_usage(self) -> Usage:
        """Return Strands' counts; the cache's are there only where there are any."""
        usage: Usage = {"inputTokens": self.input, "outputTokens": self.output, "totalTokens": self.total}
        if self.cache_read:
            usage["cacheReadInputTokens"] = self.cache_read
        if self.cache_write:
            usage["cacheWriteInputTokens"] = self.cache_write
        return usage


class Stopwatch:
    """Measures one answer, from the moment it is made."""

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        """Start; `now` returns seconds."""
        self._now = now
        self._start = now()
        self._first_byte: int | None = None

    def first_byte(self) -> None:
        """Take the time of the first chunk."""
        self._first_byte = self._milliseconds()

    def metrics(self) -> Metrics:
        """Return the milliseconds to now, and to the first chunk if one has come."""
        metrics: Metrics = {"latencyMs": self._milliseconds()}
        if self._first_byte is not None:
            metrics["timeToFirstByteMs"] = self._first_byte
        return metrics

    def _milliseconds(self) -> int:
        return round((self._now() - self._start) * 1000)
