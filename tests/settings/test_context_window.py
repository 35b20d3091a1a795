"""The context window of a model is found by whatever id a gateway has for it."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType, SimpleNamespace

import pytest

from strands_portkey._settings import context_window
from strands_portkey._settings.context_window import find_context_window_limit

TABLE = {
    "gpt-4o": 128_000,
    "claude-sonnet-4-20250514": 1_000_000,
    "claude-sonnet-4-5": 200_000,
    "claude-haiku-4-5-20251001": 200_000,
    "anthropic.claude-sonnet-4-5-20250929-v1:0": 200_000,
    "anthropic.claude-opus-4-6-v1": 1_000_000,
    "amazon.nova-pro-v1:0": 300_000,
    "gemini-2.0-flash": 1_048_576,
}


def look_up(model_id: str) -> int | None:
    """Do what Strands does, over a table that its releases cannot change."""
    while model_id not in TABLE and "." in model_id:
        model_id = model_id.partition(".")[2]
    return TABLE.get(model_id)


def load_beside(defaults: object, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Load the module as it is where Strands has another table, or none."""
    monkeypatch.setitem(sys.modules, "strands.models._defaults", defaults)
    spec = importlib.util.spec_from_file_location("context_window_beside", context_window.__file__)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("model_id", "limit"),
    [
        pytest.param("gpt-4o", 128_000, id="plain"),
        pytest.param("gpt-4o-2024-08-06", 128_000, id="OpenAI: with a date"),
        pytest.param("@openai-prod/gpt-4o", 128_000, id="slug"),
        pytest.param("@openai-prod/gpt-4o-2024-08-06", 128_000, id="slug, with a date"),
        pytest.param("@openrouter/openai/gpt-4o", 128_000, id="slug of OpenRouter"),
        pytest.param("claude-sonnet-4-20250514", 1_000_000, id="Anthropic: the date is part of the name"),
        pytest.param("claude-sonnet-4-5-20250929", 200_000, id="Anthropic: with a date"),
        pytest.param("anthropic.claude-sonnet-4-5-20250929-v1:0", 200_000, id="Bedrock"),
        pytest.param("anthropic.claude-opus-4-6-v1:0", 1_000_000, id="Bedrock: another version"),
        pytest.param("anthropic.claude-sonnet-4-5-20251111-v2:0", 200_000, id="Bedrock: a version that is not known"),
        pytest.param("eu.anthropic.claude-sonnet-4-5-20250929-v1:0", 200_000, id="Bedrock: inference profile"),
        pytest.param("@bedrock/us.amazon.nova-pro-v1:0", 300_000, id="Bedrock: slug and inference profile"),
        pytest.param(
            "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.amazon.nova-pro-v1:0",
            300_000,
            id="Bedrock: ARN of an inference profile",
        ),
        pytest.param(
            "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-sonnet-4-5-20250929-v1:0",
            200_000,
            id="Bedrock: ARN of a foundation model",
        ),
        pytest.param(
            "@bedrock/arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2c3",
            None,
            id="Bedrock: an application's profile hides its model",
        ),
        pytest.param("amazon.nova-pro-v1:0:24k", None, id="Bedrock: a smaller window of its own"),
        pytest.param("claude-sonnet-4-5@20250929", 200_000, id="Vertex: Claude"),
        pytest.param("claude-haiku-4-5@20251001", 200_000, id="Vertex: Claude known by its date alone"),
        pytest.param("anthropic.claude-sonnet-4-5@20250929", 200_000, id="Vertex: Claude as the gateway names it"),
        pytest.param("claude-sonnet-4-5@default", 200_000, id="Vertex: Claude's default version"),
        pytest.param("publishers/anthropic/models/claude-sonnet-4-5@20250929", 200_000, id="Vertex: path"),
        pytest.param("@vertex-ai/google/gemini-2.0-flash-001", 1_048_576, id="Vertex: numbered version"),
        pytest.param("gpt-4o-audio", None, id="another model of the same beginning"),
        pytest.param("my-own", None, id="unknown"),
        pytest.param("", None, id="empty"),
    ],
)
def test_the_context_window_is_found_from_the_id(monkeypatch, model_id, limit):
    module = load_beside(SimpleNamespace(get_context_window_limit=look_up), monkeypatch)

    assert module.find_context_window_limit(model_id) == limit


def test_the_table_of_the_installed_strands_is_asked():
    defaults = pytest.importorskip("strands.models._defaults", reason="this Strands has no table")

    assert find_context_window_limit("@team/gpt-4o") == defaults.get_context_window_limit("gpt-4o") is not None


def test_without_strands_table_nothing_is_known(monkeypatch):
    module = load_beside(None, monkeypatch)

    assert module.find_context_window_limit("gpt-4o") is None
