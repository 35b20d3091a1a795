"""What an answer took: time, and tokens in the wire's many ways of counting, brought to Strands' one."""

from __future__ import annotations

import time
from typing import cast

from strands.types.event_loop import Metrics, Usage

from ._wire import CompletionUsage


def merge_usage(known: CompletionUsage, latest: CompletionUsage) -> CompletionUsage:
    """Return the latest counts, which are totals, and the known ones where the latest has none, null or 0."""
    return known | cast("CompletionUsage", {name: count for name, count in latest.items() if count})


def to_usage(usage: CompletionUsage) -> Usage:
    """Return Strands' token counts, by one rule for all upstreams.

    Input includes tokens read from and written to a cache, output includes reasoning, and the total is their sum.
    The wire differs: Anthropic's prompt tokens leave the cache out, Gemini's completion tokens leave reasoning out,
    and only their totals show it. The cache's counts are there only where there are any.
    """
    prompt_details = usage.get("prompt_tokens_details") or {}
    input_tokens = usage.get("prompt_tokens") or 0
    output_tokens = usage.get("completion_tokens") or 0
    cache_read = (
        usage.get("cache_read_input_tokens")
        or prompt_details.get("cached_tokens")
        or usage.get("prompt_cache_hit_tokens")
        or 0
    )
    cache_added = usage.get("cache_creation_input_tokens") or 0
    cache_write = cache_added or prompt_details.get("cache_write_tokens") or 0
    reasoning = to_reasoning_tokens(usage)

    missing = (usage.get("total_tokens") or 0) - input_tokens - output_tokens
    # Only these fields count beside the prompt; its details are a part of it.
    cached = (usage.get("cache_read_input_tokens") or 0) + cache_added
    if missing > 0 and missing in (cached, cached + reasoning):
        input_tokens += cached
        missing -= cached
    if missing > 0 and missing == reasoning:
        output_tokens += reasoning

    counts: Usage = {
        "inputTokens": input_tokens,
        "outputTokens": output_tokens,
        "totalTokens": max(usage.get("total_tokens") or 0, input_tokens + output_tokens),
    }
    if cache_read:
        counts["cacheReadInputTokens"] = cache_read
    if cache_write:
        counts["cacheWriteInputTokens"] = cache_write
    return counts


def to_reasoning_tokens(usage: CompletionUsage) -> int:
    """Return the tokens that the model thought in; Strands' counts have no place for them."""
    return (usage.get("completion_tokens_details") or {}).get("reasoning_tokens") or 0


def to_cost(usage: CompletionUsage) -> float | None:
    """Return what the provider says that the answer cost, in US dollars."""
    cost = usage.get("cost")
    if isinstance(cost, dict):  # Perplexity
        cost = cost.get("total_cost")
    return cost if isinstance(cost, (int, float)) and not isinstance(cost, bool) else None


class Stopwatch:
    """Measures one answer, from the moment it is made."""

    def __init__(self) -> None:
        """Start."""
        self._started = time.perf_counter()
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
        return round((time.perf_counter() - self._started) * 1000)
