"""Tokens, cost and time of an answer, independent of the protocol."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from strands.types.event_loop import Metrics, Usage


@dataclass(frozen=True)
class Counts:
    """Tokens and cost of one answer, with the same meaning for all protocols.

    Attributes:
        input: Tokens of the prompt, including those read from and written to a cache.
        output: Tokens of the answer, including reasoning.
        total: Their sum, or the reported total if that is higher.
        cache_read: Tokens of the prompt that were read from a cache.
        cache_write: Tokens of the prompt that were written to a cache.
        reasoning: Tokens of reasoning, which Strands' counts do not have.
        cost: Cost of the answer as the provider reports it, in US dollars.
    """

    input: int = 0
    output: int = 0
    total: int = 0
    cache_read: int = 0
    cache_write: int = 0
    reasoning: int = 0
    cost: float | None = None

    def __add__(self, other: Counts) -> Counts:
        """Return the counts of two answers together."""
        costs = [cost for cost in (self.cost, other.cost) if cost is not None]
        return Counts(
            input=self.input + other.input,
            output=self.output + other.output,
            total=self.total + other.total,
            cache_read=self.cache_read + other.cache_read,
            cache_write=self.cache_write + other.cache_write,
            reasoning=self.reasoning + other.reasoning,
            cost=sum(costs) if costs else None,
        )

    def to_usage(self) -> Usage:
        """Return Strands' counts; those of the cache only if they are not 0."""
        usage: Usage = {"inputTokens": self.input, "outputTokens": self.output, "totalTokens": self.total}
        if self.cache_read:
            usage["cacheReadInputTokens"] = self.cache_read
        if self.cache_write:
            usage["cacheWriteInputTokens"] = self.cache_write
        return usage


class Stopwatch:
    """Measures the time of one answer, from the creation of the stopwatch."""

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        """Start; `now` returns seconds."""
        self._now = now
        self._start = now()
        self._first_byte: int | None = None

    def first_byte(self) -> None:
        """Record the time of the first chunk."""
        self._first_byte = self._milliseconds()

    def metrics(self) -> Metrics:
        """Return the milliseconds until now, and until the first chunk if there was one."""
        metrics: Metrics = {"latencyMs": self._milliseconds()}
        if self._first_byte is not None:
            metrics["timeToFirstByteMs"] = self._first_byte
        return metrics

    def _milliseconds(self) -> int:
        return round((self._now() - self._start) * 1000)
