"""Token counts of a response."""

from __future__ import annotations

from strands_portkey._answer.counts import Counts
from strands_portkey._json import field_of, is_mapping


def to_counts(usage: object) -> Counts | None:
    """Return the counts; those of the prompt hold the cache already, and those of the answer its reasoning."""
    if not is_mapping(usage):
        return None
    read, written = (
        _count(usage.get("input_tokens_details"), name) for name in ("cached_tokens", "cache_write_tokens")
    )
    input_tokens, output_tokens = _count(usage, "input_tokens"), _count(usage, "output_tokens")
    return Counts(
        input=input_tokens,
        output=output_tokens,
        total=max(_count(usage, "total_tokens"), input_tokens + output_tokens),
        cache_read=read,
        cache_write=written,
        reasoning=_count(usage.get("output_tokens_details"), "reasoning_tokens"),
    )


def _count(counts: object, name: str) -> int:
    count = field_of(counts, name)
    return count if isinstance(count, int) and not isinstance(count, bool) else 0
