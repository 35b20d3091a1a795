"""Which dialect a request is written in, and what several of them have in common."""

from __future__ import annotations

import pytest

from strands_portkey import PortkeyConfigError
from strands_portkey._dialects import DIALECTS, OPENAI, Dialect, find_dialect

CLAUDE = "claude-sonnet-4-5"


@pytest.mark.parametrize(
    ("upstream", "routing", "model_id", "name"),
    [
        pytest.param(None, {}, "gpt-4o", "openai", id="nothing tells: OpenAI's"),
        pytest.param("gemini", {"provider": "openai"}, CLAUDE, "gemini", id="upstream goes before all"),
        pytest.param("vertex-ai", {}, "m", "gemini", id="upstream by the provider's name"),
        pytest.param(None, {"provider": "anthropic"}, "m", "anthropic", id="provider"),
        pytest.param(None, {"provider": "google"}, "m", "gemini", id="provider of another name"),
        pytest.param(None, {"provider": "azure-openai"}, CLAUDE, "openai", id="provider that copies OpenAI"),
        pytest.param(None, {"provider": 5}, CLAUDE, "anthropic", id="provider that is no text"),
        pytest.param(None, {"provider": "vertex-ai"}, "gemini-2.5-pro", "gemini", id="Gemini on Vertex"),
        pytest.param(None, {"provider": "vertex-ai"}, f"anthropic.{CLAUDE}", "anthropic", id="Claude on Vertex"),
        pytest.param(None, {"provider": "@anthropic-prod"}, "m", "anthropic", id="slug as provider"),
        pytest.param(None, {"provider": "@team"}, "gemini-2.5-pro", "gemini", id="free slug as provider"),
        pytest.param(None, {}, "@mistral-ai_eu/m", "mistral", id="slug of the model id"),
        pytest.param(None, {}, f"@vertex-ai/{CLAUDE}", "anthropic", id="slug of Vertex with Claude"),
        pytest.param(None, {}, f"@team/{CLAUDE}", "anthropic", id="free slug, model known"),
        pytest.param(None, {}, "@openaiish/m", "openai", id="free slug, model unknown"),
        pytest.param(None, {}, "eu.anthropic.claude-3-haiku", "bedrock", id="Bedrock's id with a region"),
        pytest.param(None, {}, "arn:aws:bedrock:eu-west-1:1:x", "bedrock", id="Bedrock's ARN"),
        *(
            pytest.param(None, {}, f"@team/{model_id}", "bedrock", id=f"Bedrock's {model_id}")
            for model_id in (
                *("ai21.jamba-1-5-large-v1:0", "amazon.nova-pro-v1:0", "cohere.command-r-v1:0", "us.deepseek.r1-v1:0"),
                *("meta.llama3-8b-instruct-v1:0", "mistral.mistral-large-2402-v1:0", "openai.gpt-oss-120b-1:0"),
                "qwen.qwen3-32b-v1:0",
            )
        ),
        *(
            pytest.param(None, {}, f"@team/{model_id}", "mistral", id=f"Mistral's {model_id}")
            for model_id in (
                *("codestral-latest", "devstral-small-2507", "magistral-medium-2506", "ministral-8b-latest"),
                *("mistral-large-latest", "open-mistral-nemo", "open-mixtral-8x22b", "pixtral-12b-2409"),
            )
        ),
        pytest.param(None, {"config": {"provider": "google"}, "provider": "openai"}, "m", "gemini", id="config"),
        pytest.param(None, {"config": '{"provider": "google"}'}, "m", "gemini", id="config as JSON"),
        pytest.param(None, {"config": "pc-1"}, CLAUDE, "anthropic", id="id of a saved config"),
        pytest.param(None, {"config": {"targets": 1}}, CLAUDE, "anthropic", id="config that cannot be read"),
        pytest.param(
            None, {"config": {"retry": {}}, "provider": "google"}, "m", "gemini", id="config without provider"
        ),
        pytest.param(
            None,
            {"config": {"provider": "vertex-ai", "override_params": {"model": CLAUDE}}},
            "m",
            "anthropic",
            id="config with a model",
        ),
        pytest.param(
            None,
            {"config": {"targets": [{"provider": "google"}, {"targets": [{"provider": "google"}]}]}},
            "m",
            "gemini",
            id="targets of one dialect",
        ),
        pytest.param(
            None,
            {"config": {"targets": [{"virtual_key": "groq-1"}, {"override_params": {"model": CLAUDE}}]}},
            "m",
            "anthropic + groq",
            id="targets without a provider",
        ),
        pytest.param(
            None,
            {"config": {"targets": [{"provider": "openai"}, {"provider": "anthropic"}]}},
            "m",
            "anthropic + openai",
            id="targets of two dialects",
        ),
    ],
)
def test_the_first_that_tells_decides(upstream, routing, model_id, name):
    assert find_dialect(upstream, routing, model_id).name == name


def test_an_unknown_upstream_raises_and_the_known_are_named():
    with pytest.raises(PortkeyConfigError) as caught:
        find_dialect("vllm", {}, "m")

    assert str(caught.value) == (
        "upstream is 'vllm'; known are ['anthropic', 'bedrock', 'cohere', 'deepseek', 'fireworks', 'fireworks-ai',"
        " 'gemini', 'google', 'groq', 'mistral', 'mistral-ai', 'ollama', 'openai', 'openrouter', 'perplexity',"
        " 'perplexity-ai', 'vertex-ai']. Servers that copy OpenAI are 'openai'"
    )


def mixed(*providers: str) -> Dialect:
    return find_dialect(None, {"config": {"targets": [{"provider": provider} for provider in providers]}}, "m")


@pytest.mark.parametrize(
    ("providers", "dialect"),
    [
        pytest.param(
            ["openai", "anthropic"],
            Dialect(
                "anthropic + openai",
                caching=None,
                image_locations=("https",),
                max_tokens=4096,
                schema=None,
                call_ids=r"[a-zA-Z0-9_-]{1,64}",
                verbatim_ttl=False,
            ),
            id="OpenAI and Claude",
        ),
        pytest.param(
            ["anthropic", "bedrock"],
            Dialect(
                "anthropic + bedrock",
                reasoning="content_blocks",
                caching="cache_control",
                image_locations=(),
                max_tokens=4096,
                schema=None,
                call_ids=r"[a-zA-Z0-9_-]{1,64}",
                tools_with_calls=True,
                text_beside_documents=True,
                result_points=None,
                verbatim_ttl=False,
            ),
            id="Claude here and there",
        ),
        pytest.param(
            ["google", "openai", "deepseek"],
            Dialect(
                "deepseek + gemini + openai",
                images=False,
                tool_result_names=True,
                text_beside_calls=False,
                schema=None,
                tools=False,
                tool_choice=False,
                gemini_schemas=True,
                parts=False,
            ),
            id="three that cache by themselves",
        ),
        pytest.param(
            ["google", "anthropic"],
            Dialect(
                "anthropic + gemini",
                caching=None,
                documents="image_url",
                image_locations=("https",),
                tool_result_names=True,
                text_beside_calls=False,
                max_tokens=4096,
                schema=None,
                call_ids=r"[a-zA-Z0-9_-]{1,64}",
                gemini_schemas=True,
                verbatim_ttl=False,
            ),
            id="Claude and Gemini take a PDF in the same form",
        ),
        pytest.param(
            ["mistral-ai", "bedrock"],
            Dialect(
                "bedrock + mistral",
                caching=None,
                image_locations=(),
                schema=None,
                call_ids=r"[a-zA-Z0-9]{9}",
                tools_with_calls=True,
                user_after_results=False,
                text_beside_documents=True,
                result_points=None,
            ),
            id="two that are strict with ids",
        ),
        pytest.param(
            ["openrouter", "openai"],
            Dialect("openai + openrouter", caching=None, documents="file", usage=True),
            id="OpenRouter is asked for usage",
        ),
    ],
)
def test_mixed_targets_get_what_all_of_them_take(providers, dialect):
    assert mixed(*providers) == dialect


@pytest.mark.parametrize("name", DIALECTS)
def test_each_dialect_is_its_own_common_form(name):
    assert mixed(name, name) == DIALECTS[name]


def test_openai_is_the_dialect_of_the_unknown():
    assert DIALECTS["openai"] is OPENAI
