"""Token counts: the wire's many ways of counting, brought to Strands' one."""

from __future__ import annotations

from strands.types.event_loop import Usage

from ._wire import CompletionUsage


def to_usage(usage: CompletionUsage) -> Usage:
    """Return Strands' token counts, by one rule for all upstreams.

    Input includes tokens read from and written to a cache, output includes reasoning, and the total is their sum.
    The wire differs: Anthropic's prompt tokens leave the cache out, Gemini's completion tokens leave reasoning out,
    and only their totals show it.

    Args:
        usage: The counts on the wire.

    Returns:
        The counts, with the cache's only where there are any.
    """
    prompt_details = usage.get("prompt_tokens_details") or {}
    completion_details = usage.get("completion_tokens_details") or {}
    input_tokens = usage.get("prompt_tokens") or 0
    output_tokens = usage.get("completion_tokens") or 0
    cache_read = (
        usage.get("cache_read_input_tokens")
        or prompt_details.get("cached_tokens")
        or usage.get("prompt_cache_hit_tokens")
        or 0
    )
    cache_write = usage.get("cache_creation_input_tokens") or 0
    reasoning = completion_details.get("reasoning_tokens") or 0

    missing = (usage.get("total_tokens") or 0) - input_tokens - output_tokens
    if missing > 0:
        if missing in (cache_read + cache_write, cache_read + cache_write + reasoning):
            input_tokens += cache_read + cache_write
            missing -= cache_read + cache_write
        if missing == reasoning:
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
