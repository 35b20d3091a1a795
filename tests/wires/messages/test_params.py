"""Parameters in the words of chat completions or of Anthropic become those of a message."""

from __future__ import annotations

from typing import Any

import pytest

from strands_portkey import PortkeyConfigError
from strands_portkey._wires.messages.params import to_native_choice, to_native_tool, to_params

ADAPTIVE = {"type": "adaptive", "display": "summarized"}
ENABLED = {"type": "enabled", "budget_tokens": 2000}


@pytest.mark.parametrize(
    ("given", "params"),
    [
        pytest.param({}, {"max_tokens": 4096}, id="none"),
        pytest.param({"max_tokens": 9}, {"max_tokens": 9}, id="length"),
        pytest.param({"max_completion_tokens": 9}, {"max_tokens": 9}, id="length, in chat's word"),
        pytest.param({"max_tokens": None}, {"max_tokens": 4096}, id="length that is not given"),
        pytest.param({"thinking": ENABLED}, {"thinking": ENABLED, "max_tokens": 6096}, id="a limit above the thinking"),
        pytest.param({"thinking": ADAPTIVE}, {"thinking": ADAPTIVE, "max_tokens": 20480}, id="adaptive thinking"),
        pytest.param(
            {"thinking": {"type": "disabled"}}, {"thinking": {"type": "disabled"}, "max_tokens": 4096}, id="no thinking"
        ),
        pytest.param({"stop": "END"}, {"stop_sequences": ["END"], "max_tokens": 4096}, id="a stop"),
        pytest.param({"stop": ["A", "B"]}, {"stop_sequences": ["A", "B"], "max_tokens": 4096}, id="stops"),
        pytest.param({"stop_sequences": ["A"]}, {"stop_sequences": ["A"], "max_tokens": 4096}, id="own stops"),
        pytest.param({"user": "u1"}, {"metadata": {"user_id": "u1"}, "max_tokens": 4096}, id="user"),
        pytest.param(
            {"user": "u1", "metadata": {"user_id": "u2"}},
            {"metadata": {"user_id": "u2"}, "max_tokens": 4096},
            id="user, and the own word for it",
        ),
        pytest.param({"temperature": 0.5, "top_k": 3}, {"temperature": 0.5, "top_k": 3, "max_tokens": 4096}, id="own"),
        pytest.param({"service_tier": "auto"}, {"service_tier": "auto", "max_tokens": 4096}, id="own words"),
        pytest.param({"stream_options": {"include_usage": True}}, {"max_tokens": 4096}, id="usage, which comes anyway"),
        pytest.param({"response_format": {"type": "text"}}, {"max_tokens": 4096}, id="text, which is what comes"),
        pytest.param({"reasoning_effort": None}, {"max_tokens": 4096}, id="nothing"),
        pytest.param({"anthropic_beta": "a, b"}, {"anthropic_beta": ["a", "b"], "max_tokens": 4096}, id="betas"),
        pytest.param({"anthropic_beta": ["a"]}, {"anthropic_beta": ["a"], "max_tokens": 4096}, id="betas in a list"),
        pytest.param(
            {"additional_model_request_fields": {"output_config": {"effort": "low"}}},
            {"additional_model_request_fields": {"output_config": {"effort": "low"}}, "max_tokens": 4096},
            id="bedrock's fields",
        ),
    ],
)
def test_parameters_are_translated(given, params):
    assert to_params(given) == params


@pytest.mark.parametrize(
    ("word", "value", "hint"),
    [
        pytest.param("reasoning_effort", "low", "set params={'thinking': ...}, or api='chat'", id="effort"),
        pytest.param("response_format", {"type": "json_object"}, "pass structured_output_model", id="JSON"),
        pytest.param("seed", 1, "leave it out", id="seed"),
        pytest.param("n", 2, "leave it out", id="choices"),
        pytest.param("logprobs", True, "leave it out", id="probabilities"),
        pytest.param("prompt_cache_key", "k", "leave it out", id="OpenAI's cache"),
        pytest.param("anthropic_version", "v", "the gateway sets it", id="version"),
    ],
)
def test_a_word_without_a_counterpart_raises(word, value, hint):
    with pytest.raises(PortkeyConfigError) as caught:
        to_params({word: value})

    assert str(caught.value).startswith(f"params must have counterparts in the protocol 'messages'; got '{word}'")
    assert hint in str(caught.value)


@pytest.mark.parametrize("word", ["output_config", "output_format", "cache_control", "context_management", "speed"])
def test_a_word_that_the_open_source_gateway_drops_warns_and_is_sent(word):
    with pytest.warns(UserWarning, match=rf"drops params\['{word}'\]"):
        assert to_params({word: {"a": 1}})[word] == {"a": 1}


@pytest.mark.parametrize(
    ("tool", "native"),
    [
        pytest.param(
            {"type": "web_search_20250305", "name": "web_search"},
            {"type": "web_search_20250305", "name": "web_search"},
            id="own",
        ),
        pytest.param({"name": "f", "input_schema": {}}, {"name": "f", "input_schema": {}}, id="own function"),
        pytest.param(
            {"type": "web_search", "web_search": {"name": "web_search_20250305", "max_uses": 2}},
            {"type": "web_search_20250305", "name": "web_search", "max_uses": 2},
            id="the gateway's form",
        ),
        pytest.param(
            {
                "type": "function",
                "function": {"name": "f", "description": "d", "parameters": {"type": "object"}, "strict": True},
                "cache_control": {"type": "ephemeral"},
            },
            {
                "name": "f",
                "description": "d",
                "strict": True,
                "input_schema": {"type": "object"},
                "cache_control": {"type": "ephemeral"},
            },
            id="function with a mark",
        ),
        pytest.param(
            {"type": "function", "function": {"name": "f"}},
            {"name": "f", "input_schema": {"type": "object", "properties": {}}},
            id="function without parameters",
        ),
        pytest.param("nonsense", "nonsense", id="no tool"),
    ],
)
def test_a_tool_of_the_parameters_is_translated(tool, native):
    assert to_native_tool(tool) == native


@pytest.mark.parametrize(
    ("choice", "native"),
    [
        ("auto", {"type": "auto"}),
        ("required", {"type": "any"}),
        ("none", {"type": "none"}),
        ({"type": "function", "function": {"name": "f"}}, {"type": "tool", "name": "f"}),
        ({"type": "tool", "name": "f"}, {"type": "tool", "name": "f"}),
        ({"type": "any", "disable_parallel_tool_use": True}, {"type": "any", "disable_parallel_tool_use": True}),
    ],
)
def test_a_choice_of_the_parameters_is_translated(choice, native):
    assert to_native_choice(choice) == native


@pytest.mark.parametrize("choice", ["sometimes", 1, {"type": "function"}, {}, ["auto"]])
def test_what_is_no_choice_raises(choice: Any) -> None:
    with pytest.raises(PortkeyConfigError, match=r"params\['tool_choice'\] must be a choice"):
        to_native_choice(choice)
