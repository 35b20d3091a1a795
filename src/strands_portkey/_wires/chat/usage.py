"""Token counts of chat completions, normalized across providers."""

from __future__ import annotations

from typing import Final, cast

from pydantic import JsonValue

from strands_portkey._answer.counts import Counts
from strands_portkey._wires.chat.shapes import CompletionUsage

_COUNTS_TOOLS_IN_TOTAL: Final = frozenset({"google", "vertex-ai"})


def merge_usage(known: CompletionUsage, latest: CompletionUsage) -> CompletionUsage:
    """Return the latest counts, which are totals, or the known one where the latest is missing, null or 0."""
    return known | cast("CompletionUsage", {name: count for name, count in latest.items() if count})


def to_counts(usage: CompletionUsage, provider: str | None = None) -> Counts:
    """Return the counts with the same meaning for all upstreams.

    Anthropic's prompt tokens exclude the cache, Gemini's completion tokens exclude reasoning, and its prompt tokens
    those that its own tools have added; only the totals reveal this.
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
    reasoning = (usage.get("completion_tokens_details") or {}).get("reasoning_tokens") or 0

    missing = (usage.get("total_tokens") or 0) - input_tokens - output_tokens
    # Only these fields are counted in addition to the prompt; its details are included in it.
    cached = (usage.get("cache_read_input_tokens") or 0) + cache_added
    if missing > 0 and missing in (cached, cached + reasoning):
        input_tokens += cached
        missing -= cached
    if missing > 0 and missing == reasoning:
        output_tokens += reasoning
    elif missing > reasoning and provider in _COUNTS_TOOLS_IN_TOTAL:
        output_tokens += reasoning
        input_tokens += missing - reasoning

    return Counts(
        input=input_tokens,
        output=output_tokens,
        total=max(usage.get("total_tokens") or 0, input_tokens + output_tokens),
        cache_read=cache_read,
        cache_write=cache_added or prompt_details.get("cache_write_tokens") or 0,
        reasoning=reasoning,
        cost=_to_cost(usage.get("cost")),
    )


def _to_cost(cost: JsonValue) -> float | None:
    if isinstance(cost, dict):  # Perplexity
        cost = cost.get("total_cost")
    return cost if isinstance(cost, (int, float)) and not isinstance(cost, bool) else None
