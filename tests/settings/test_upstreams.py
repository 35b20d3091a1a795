"""Which upstreams may answer a request, as the settings and the model's id show."""

from __future__ import annotations

import pytest

from strands_portkey import PortkeyConfigError
from strands_portkey._settings.secrets import Masked
from strands_portkey._settings.upstreams import UNKNOWN, answering_upstream, find_targets, find_upstreams, to_route

CLAUDE = "claude-sonnet-4-5"


@pytest.mark.parametrize(
    ("upstream", "routing", "model_id", "names"),
    [
        pytest.param(None, {}, "gpt-4o", {UNKNOWN}, id="nothing names one"),
        pytest.param("gemini", {"provider": "openai"}, CLAUDE, {"gemini"}, id="upstream goes before all"),
        pytest.param("vertex-ai", {}, "m", {"gemini"}, id="upstream by the provider's name"),
        pytest.param(None, {"provider": "anthropic"}, "m", {"anthropic"}, id="provider"),
        pytest.param(None, {"provider": "google"}, "m", {"gemini"}, id="provider of another name"),
        pytest.param(None, {"provider": "azure-openai"}, CLAUDE, {"azure-openai"}, id="provider that copies OpenAI"),
        pytest.param(None, {"provider": 5}, CLAUDE, {"anthropic"}, id="provider that is no text"),
        pytest.param(None, {"provider": "vertex-ai"}, "gemini-2.5-pro", {"gemini"}, id="Gemini on Vertex"),
        pytest.param(None, {"provider": "vertex-ai"}, f"anthropic.{CLAUDE}", {"anthropic"}, id="Claude on Vertex"),
        pytest.param(None, {"provider": "@anthropic-prod"}, "m", {"anthropic"}, id="slug as provider"),
        pytest.param(None, {"provider": "@team"}, "gemini-2.5-pro", {"gemini"}, id="free slug as provider"),
        pytest.param(None, {}, "@mistral-ai_eu/m", {"mistral"}, id="slug of the model id"),
        pytest.param(None, {}, f"@vertex-ai/{CLAUDE}", {"anthropic"}, id="slug of Vertex with Claude"),
        pytest.param(None, {}, f"@team/{CLAUDE}", {"anthropic"}, id="free slug, model known"),
        pytest.param(None, {}, "@openaiish/m", {UNKNOWN}, id="free slug, model unknown"),
        pytest.param(None, {}, "eu.anthropic.claude-3-haiku", {"bedrock"}, id="Bedrock's id with a region"),
        pytest.param(None, {}, "arn:aws:bedrock:eu-west-1:1:x", {"bedrock"}, id="Bedrock's ARN"),
        *(
            pytest.param(None, {}, f"@team/{model_id}", {"bedrock"}, id=f"Bedrock's {model_id}")
            for model_id in (
                *("ai21.jamba-1-5-large-v1:0", "amazon.nova-pro-v1:0", "cohere.command-r-v1:0", "us.deepseek.r1-v1:0"),
                *("meta.llama3-8b-instruct-v1:0", "mistral.mistral-large-2402-v1:0", "openai.gpt-oss-120b-1:0"),
                "qwen.qwen3-32b-v1:0",
            )
        ),
        *(
            pytest.param(None, {}, f"@team/{model_id}", {"mistral"}, id=f"Mistral's {model_id}")
            for model_id in (
                *("codestral-latest", "devstral-small-2507", "magistral-medium-2506", "ministral-8b-latest"),
                *("mistral-large-latest", "open-mistral-nemo", "open-mixtral-8x22b", "pixtral-12b-2409"),
            )
        ),
        pytest.param(None, {"config": {"provider": "google"}, "provider": "openai"}, "m", {"gemini"}, id="config"),
        pytest.param(None, {"config": '{"provider": "google"}'}, "m", {"gemini"}, id="config as JSON"),
        pytest.param(None, {"config": "pc-1"}, CLAUDE, {"anthropic"}, id="id of a saved config"),
        pytest.param(None, {"config": {"targets": 1}}, CLAUDE, {"anthropic"}, id="config that cannot be read"),
        pytest.param(
            None, {"config": {"retry": {}}, "provider": "google"}, "m", {"gemini"}, id="config without provider"
        ),
        pytest.param(
            None,
            {"config": {"provider": "vertex-ai", "override_params": {"model": CLAUDE}}},
            "m",
            {"anthropic"},
            id="config with a model",
        ),
        pytest.param(
            None,
            {"config": {"targets": [{"provider": "google"}, {"targets": [{"provider": "google"}]}]}},
            "m",
            {"gemini"},
            id="targets of one dialect",
        ),
        pytest.param(
            None,
            {"config": {"targets": [{"virtual_key": "groq-1"}, {"override_params": {"model": CLAUDE}}]}},
            "m",
            {"anthropic", "groq"},
            id="targets without a provider",
        ),
        pytest.param(
            None,
            {"config": {"targets": [{"provider": "openai"}, {"provider": "anthropic"}]}},
            "m",
            {"anthropic", "openai"},
            id="targets of two dialects",
        ),
        pytest.param(
            None,
            {"config": {"targets": [{"provider": "x-ai"}, {"provider": "openai"}, {}]}},
            "m",
            {"x-ai", "openai", UNKNOWN},
            id="a provider of no family, and a target of which nothing is known",
        ),
        pytest.param(
            None,
            {"config": {"targets": [{"virtualKey": "groq-1"}, {"overrideParams": {"model": CLAUDE}}]}},
            "m",
            {"anthropic", "groq"},
            id="config in camel case",
        ),
        pytest.param(
            None, {"provider": " google "}, "m", {"gemini"}, id="provider with blanks around, which are not sent"
        ),
        pytest.param(None, {"provider": " "}, CLAUDE, {"anthropic"}, id="blank provider, which is not sent"),
        pytest.param(
            None,
            {"headers": {"X-Portkey-Provider": "google", "x-a": "b"}, "provider": "openai"},
            "m",
            {"gemini"},
            id="provider as a literal header, which goes before the setting",
        ),
        pytest.param(
            None,
            {"headers": {"x-portkey-config": '{"targets": [{"provider": "google"}, {"provider": "anthropic"}]}'}},
            "m",
            {"anthropic", "gemini"},
            id="config as a literal header",
        ),
        pytest.param(None, {"headers": dict}, CLAUDE, {"anthropic"}, id="headers that are not known yet"),
        pytest.param(None, {"headers": {5: "google"}}, CLAUDE, {"anthropic"}, id="a header's name that is no text"),
    ],
)
def test_the_first_setting_that_names_an_upstream_decides(upstream, routing, model_id, names):
    assert find_upstreams(upstream, routing, model_id) == names


@pytest.mark.parametrize(
    ("config", "name"),
    [
        pytest.param({"retry": {"attempts": 2}}, "openai", id="inline"),
        pytest.param(' {"retry": {"attempts": 2}}', "openai", id="as JSON"),
        pytest.param(" ", "openai", id="blank, which is not sent"),
        pytest.param("pc-1", UNKNOWN, id="saved"),
    ],
)
def test_a_provider_is_certain_beside_a_config_that_names_none_unless_it_is_a_saved_one(config, name):
    assert find_targets(None, {"config": config, "provider": "openai"}, "m") == {(name, "m")}


@pytest.mark.parametrize("name", ["vllm", "sk-a-key-in-the-wrong-place", ""])
def test_an_unknown_upstream_raises_without_its_name_and_the_known_are_named(name):
    with pytest.raises(PortkeyConfigError) as caught:
        find_upstreams(name, {}, "m")

    assert str(caught.value) == (
        "upstream must be one of anthropic, bedrock, cohere, deepseek, fireworks, fireworks-ai, gemini, google, groq,"
        " mistral, mistral-ai, ollama, openai, openrouter, perplexity, perplexity-ai, vertex-ai"
        " (servers that copy OpenAI are openai); got another name"
    )


def test_a_route_tells_inline_configs_apart_by_their_keys_and_shows_none():
    first, second = ({"virtual_key": Masked(name)} for name in ("anthropic-prod", "openai-prod"))

    assert to_route({"config": first}, "m") != to_route({"config": second}, "m")
    assert to_route({"config": first}, "m") == to_route({"config": dict(first)}, "m")
    assert "anthropic-prod" not in str(to_route({"config": first}, "m"))


def test_a_config_that_contains_itself_has_a_route():
    config: dict[str, object] = {}
    config["targets"] = [config]

    assert to_route({"config": config}, "m") == ("m", "", None, None)


@pytest.mark.parametrize(
    ("provider", "name"),
    [
        ("google", "gemini"),
        ("x-ai", "x-ai"),
        ("302ai", "302ai"),
        (None, None),
        ("", None),
        ("openai, anthropic", None),
        ("@anthropic-prod", None),
        ("***", None),
        ("x" * 1000, None),
    ],
)
def test_only_a_single_plain_name_tells_who_answered(provider, name):
    assert answering_upstream(provider, "m") == name
