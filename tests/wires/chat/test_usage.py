"""Token counts: one rule for all upstreams."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strands_portkey._wires.chat.shapes import CompletionUsage
from strands_portkey._wires.chat.usage import merge_usage, to_counts


@pytest.mark.parametrize(
    ("usage", "counts"),
    [
        pytest.param({}, {"inputTokens": 0, "outputTokens": 0, "totalTokens": 0}, id="nothing"),
        pytest.param(
            {"prompt_tokens": None, "completion_tokens": None, "total_tokens": None, "prompt_tokens_details": None},
            {"inputTokens": 0, "outputTokens": 0, "totalTokens": 0},
            id="null",
        ),
        pytest.param(
            {"prompt_tokens": 10, "completion_tokens": 5},
            {"inputTokens": 10, "outputTokens": 5, "totalTokens": 15},
            id="no total",
        ),
        pytest.param(
            {
                "prompt_tokens": 100,
                "completion_tokens": 50,
                "total_tokens": 150,
                "prompt_tokens_details": {"cached_tokens": 80},
                "completion_tokens_details": {"reasoning_tokens": 30},
            },
            {"inputTokens": 100, "outputTokens": 50, "totalTokens": 150, "cacheReadInputTokens": 80},
            id="openai: cache and reasoning are inside",
        ),
        pytest.param(
            {
                "prompt_tokens": 5,
                "completion_tokens": 9,
                "total_tokens": 314,
                "prompt_tokens_details": {"cached_tokens": 200},
                "cache_read_input_tokens": 200,
                "cache_creation_input_tokens": 100,
            },
            {
                "inputTokens": 305,
                "outputTokens": 9,
                "totalTokens": 314,
                "cacheReadInputTokens": 200,
                "cacheWriteInputTokens": 100,
            },
            id="anthropic: the prompt excludes the cache",
        ),
        pytest.param(
            {
                "prompt_tokens": 1000,
                "completion_tokens": 9,
                "total_tokens": 1009,
                "prompt_tokens_details": {"cached_tokens": 200, "cache_write_tokens": 700},
            },
            {
                "inputTokens": 1000,
                "outputTokens": 9,
                "totalTokens": 1009,
                "cacheReadInputTokens": 200,
                "cacheWriteInputTokens": 700,
            },
            id="openai: writes to the cache are a part of the prompt",
        ),
        pytest.param(
            {
                "prompt_tokens": 305,
                "completion_tokens": 9,
                "total_tokens": 314,
                "cache_read_input_tokens": 200,
                "cache_creation_input_tokens": 100,
            },
            {
                "inputTokens": 305,
                "outputTokens": 9,
                "totalTokens": 314,
                "cacheReadInputTokens": 200,
                "cacheWriteInputTokens": 100,
            },
            id="bedrock: the prompt includes the cache",
        ),
        pytest.param(
            {
                "prompt_tokens": 10,
                "completion_tokens": 5,
                "total_tokens": 35,
                "completion_tokens_details": {"reasoning_tokens": 20},
            },
            {"inputTokens": 10, "outputTokens": 25, "totalTokens": 35},
            id="google: the completion excludes reasoning",
        ),
        pytest.param(
            {
                "prompt_tokens": 100,
                "completion_tokens": 5,
                "total_tokens": 125,
                "prompt_tokens_details": {"cached_tokens": 20},
                "completion_tokens_details": {"reasoning_tokens": 20},
            },
            {"inputTokens": 100, "outputTokens": 25, "totalTokens": 125, "cacheReadInputTokens": 20},
            id="google: as much reasoning as cache",
        ),
        pytest.param(
            {
                "prompt_tokens": 5,
                "completion_tokens": 5,
                "total_tokens": 130,
                "cache_read_input_tokens": 100,
                "completion_tokens_details": {"reasoning_tokens": 20},
            },
            {"inputTokens": 105, "outputTokens": 25, "totalTokens": 130, "cacheReadInputTokens": 100},
            id="both are outside",
        ),
        pytest.param(
            {"prompt_tokens": 100, "completion_tokens": 5, "total_tokens": 105, "prompt_cache_hit_tokens": 64},
            {"inputTokens": 100, "outputTokens": 5, "totalTokens": 105, "cacheReadInputTokens": 64},
            id="deepseek: hits of the cache",
        ),
        pytest.param(
            {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 99},
            {"inputTokens": 10, "outputTokens": 5, "totalTokens": 99},
            id="a total that nothing explains stays",
        ),
    ],
)
def test_counts_follow_one_rule(usage, counts):
    assert to_counts(usage).to_usage() == counts


def test_later_counts_replace_earlier_ones_and_null_does_not():
    known: CompletionUsage = {
        "prompt_tokens": 10,
        "total_tokens": 10,
        "prompt_tokens_details": {"cached_tokens": 4},
        "cost": 0.5,
    }
    latest: CompletionUsage = {
        "prompt_tokens": 10,
        "completion_tokens": 7,
        "total_tokens": 17,
        "prompt_tokens_details": None,
    }

    merged = merge_usage(known, latest)

    assert {name: value for name, value in merged.items() if value is not None} == {
        "prompt_tokens": 10,
        "completion_tokens": 7,
        "total_tokens": 17,
        "prompt_tokens_details": {"cached_tokens": 4},
        "cost": 0.5,
    }


_counts = st.none() | st.integers(0, 10**6)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "prompt_tokens": _counts,
            "completion_tokens": _counts,
            "total_tokens": _counts,
            "prompt_tokens_details": st.none() | st.fixed_dictionaries({}, optional={"cached_tokens": _counts}),
            "completion_tokens_details": st.none() | st.fixed_dictionaries({}, optional={"reasoning_tokens": _counts}),
            "cache_read_input_tokens": _counts,
            "cache_creation_input_tokens": _counts,
        },
    )
)
def test_the_total_is_never_less_than_its_parts(usage):
    counts = to_counts(usage).to_usage()

    assert counts["totalTokens"] >= counts["inputTokens"] + counts["outputTokens"]
    assert counts["inputTokens"] >= (usage.get("prompt_tokens") or 0)


@pytest.mark.parametrize(
    ("cost", "dollars"),
    [
        (0.5, 0.5),
        (0, 0.0),
        ({"total_cost": 0.006}, 0.006),
        ({}, None),
        ("free", None),
        (True, None),
    ],
    ids=["openrouter", "nothing", "perplexity", "perplexity: no total", "text", "bool"],
)
def test_the_cost_is_read_in_two_forms(cost, dollars):
    assert to_counts({"cost": cost}).cost == dollars
