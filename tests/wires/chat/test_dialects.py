"""Which dialect a request is written in, and what several of them have in common."""

from __future__ import annotations

import pytest

from strands_portkey._settings.upstreams import FAMILIES, find_upstreams
from strands_portkey._wires.chat.dialects import DIALECTS, OPENAI, Dialect, find_dialect

CLAUDE = "claude-sonnet-4-5"


@pytest.mark.parametrize(
    ("upstream", "routing", "model_id", "dialect"),
    [
        pytest.param(None, {}, "gpt-4o", OPENAI, id="nothing tells: OpenAI's"),
        pytest.param(None, {"provider": "azure-openai"}, CLAUDE, OPENAI, id="provider that copies OpenAI"),
        pytest.param("vertex-ai", {}, "m", DIALECTS["gemini"], id="upstream by the provider's name"),
        pytest.param(None, {}, f"@vertex-ai/{CLAUDE}", DIALECTS["anthropic"], id="slug of Vertex with Claude"),
        pytest.param(
            None,
            {"config": {"targets": [{"provider": "together-ai"}, {"provider": "x-ai"}, {"provider": "openai"}]}},
            "m",
            OPENAI,
            id="targets that all copy OpenAI",
        ),
    ],
)
def test_a_request_is_written_in_the_dialect_of_who_may_answer(upstream, routing, model_id, dialect):
    assert find_dialect(find_upstreams(upstream, routing, model_id)) == dialect


DROPPED = ["302ai", "ai21", "deepinfra", "deepseek", "moonshot", "perplexity-ai", "sambanova", "siliconflow", "zhipu"]


@pytest.mark.parametrize("provider", [*DROPPED, "workers-ai"])
def test_the_gateway_drops_the_tools_of_some_providers(provider):
    dialect = find_dialect(find_upstreams(None, {"provider": provider}, "m"))

    assert (dialect.tools, dialect.tool_choice) == (False, False)


@pytest.mark.parametrize(
    ("upstream", "routing", "has_tools"),
    [
        pytest.param(
            "deepseek", {"provider": "openai", "custom_host": "https://api.deepseek.com"}, True, id="its own API"
        ),
        pytest.param("perplexity", {"provider": "openai"}, True, id="another family's own API"),
        pytest.param("deepseek", {"provider": "deepseek"}, False, id="the same"),
        pytest.param("deepseek", {"provider": "@our-slug"}, False, id="an unknown provider"),
        pytest.param("openai", {"provider": "moonshot"}, False, id="a provider that copies OpenAI"),
        pytest.param(
            "openai", {"config": {"targets": [{"provider": "groq"}, {"provider": "zhipu"}]}}, False, id="one of two"
        ),
        pytest.param("openai", {"provider": "groq"}, True, id="tools everywhere"),
    ],
)
def test_the_provider_and_not_the_upstream_decides_whether_tools_arrive(upstream, routing, has_tools):
    dialect = find_dialect(find_upstreams(upstream, routing, "m"), find_upstreams(None, routing, "m"))

    assert (dialect.tools, dialect.tool_choice) == (has_tools, has_tools)


def test_each_family_of_upstreams_has_a_dialect():
    assert set(FAMILIES.values()) == set(DIALECTS)


def mixed(*providers: str) -> Dialect:
    targets = [{"provider": provider} for provider in providers]
    return find_dialect(find_upstreams(None, {"config": {"targets": targets}}, "m"))


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
                call_ids=r"[a-zA-Z0-9_-]{1,40}",
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
                gifs=False,
                image_locations=(),
                max_tokens=4096,
                schema=None,
                call_ids=r"[a-zA-Z0-9_-]{1,64}",
                tools_with_calls=True,
                user_first=True,
                alternating=True,
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
                call_ids=r"[\s\S]{1,40}",
                gemini_schemas=True,
                user_first=True,
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
                user_first=True,
                verbatim_ttl=False,
            ),
            id="Claude and Gemini take a PDF in the same form",
        ),
        pytest.param(
            ["mistral-ai", "bedrock"],
            Dialect(
                "bedrock + mistral",
                caching=None,
                gifs=False,
                image_locations=(),
                schema=None,
                call_ids=r"[a-zA-Z0-9]{9}",
                tools_with_calls=True,
                user_after_results=False,
                user_first=True,
                alternating=True,
                text_beside_documents=True,
                result_points=None,
            ),
            id="two that are strict with ids",
        ),
        pytest.param(
            ["openrouter", "openai"],
            Dialect(
                "openai + openrouter",
                caching=None,
                documents="file",
                usage=True,
                marked_calls=False,
                call_ids=r"[\s\S]{1,40}",
            ),
            id="OpenRouter is asked for usage",
        ),
    ],
)
def test_mixed_targets_get_what_all_of_them_take(providers, dialect):
    assert mixed(*providers) == dialect


@pytest.mark.parametrize("name", DIALECTS)
def test_what_a_dialect_has_in_common_with_itself_is_that_dialect(name):
    assert mixed(name, name) == DIALECTS[name]


def test_openai_is_the_dialect_of_unknown_upstreams():
    assert DIALECTS["openai"] is OPENAI
