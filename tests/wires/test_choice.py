"""Which of the gateway's protocols a request is sent with."""

from __future__ import annotations

from typing import Any, cast

import pytest
from strands.types.tools import ToolSpec

from strands_portkey import PortkeyConfigError
from strands_portkey._request.question import Question
from strands_portkey._settings.config import Api
from strands_portkey._settings.upstreams import find_targets
from strands_portkey._wires import choose_wire
from strands_portkey._wires.wire import Wire

HI: Any = [{"role": "user", "content": [{"text": "hi"}]}]
TOOL: ToolSpec = {"name": "t", "description": "d", "inputSchema": {"json": {"type": "object"}}}
GUARDED: Any = {"input_guardrails": [{"default.contains": {}, "deny": True}]}
NOTHING: list[object] = [[], {}, None, "", False]


def choose(
    api: Api,
    routing: dict[str, object],
    model_id: str = "gpt-5.6",
    params: dict[str, Any] | None = None,
    *,
    tools: bool = True,
    upstream: str | None = None,
    learned: tuple[str, ...] = (),
) -> Wire:
    question = Question(HI, model_id, params=params or {}, tool_specs=[TOOL] if tools else ())
    return choose_wire(api, question, routing, find_targets(upstream, routing, model_id, learned))


def two(first: str, second: str) -> dict[str, object]:
    return {"config": {"strategy": {"mode": "fallback"}, "targets": [{"provider": first}, {"provider": second}]}}


@pytest.mark.parametrize(
    "model_id",
    [
        *("gpt-5.4", "gpt-5.4-mini", "gpt-5.5", "gpt-5.6-terra", "gpt-5.10", "gpt-6", "gpt-6-astra", "gpt-6.1-sol"),
        *("GPT-5.6", "openai.gpt-5.6-terra", "us.openai.gpt-5.6", "@openai-prod/gpt-5.6", "openai/gpt-5.6", "gpt-12"),
        *("gpt-5-codex", "gpt-5.1-codex-mini", "codex-mini-latest", "o1-pro", "o3-pro-2025-06-10", "gpt-5-pro"),
        *("o3-deep-research", "o4-mini-deep-research-2025-06-26", "computer-use-preview"),
    ],
)
def test_auto_is_responses_for_a_model_that_takes_tools_only_there(model_id: str) -> None:
    assert choose("auto", {"provider": "openai"}, model_id).name == "responses"


@pytest.mark.parametrize(
    "model_id",
    [
        *("gpt-4o", "gpt-4.1", "gpt-4-0613", "gpt-5", "gpt-5-mini-2025-08-07", "gpt-5.3", "gpt-5.2-chat-latest"),
        *("gpt-35-turbo", "gpt-3.5-turbo", "gpt-image-1", "gpt-oss-120b", "o3", "o4-mini", "chatgpt-4o-latest"),
        *("gpt-5.6-chat-latest", "gpt-7b", "gpt-20b-instruct"),
        *("gemini-2.5-pro", "llama-3-pro", "my-deployment", "grok-4.3", "solar-pro"),
    ],
)
def test_auto_is_chat_for_a_model_that_takes_tools_on_chat(model_id: str) -> None:
    assert choose("auto", {"provider": "openai"}, model_id).name == "chat"


@pytest.mark.parametrize(
    ("routing", "chosen"),
    [
        pytest.param({}, "chat", id="nothing tells who answers"),
        pytest.param({"provider": "azure-openai"}, "responses", id="Azure"),
        pytest.param({"provider": "openrouter"}, "chat", id="a provider without Responses"),
        pytest.param(two("openai", "azure-openai"), "responses", id="all targets have it"),
        pytest.param(two("openai", "anthropic"), "chat", id="not all targets have it"),
        pytest.param({"provider": "@openai-prod"}, "responses", id="a slug that names it"),
        pytest.param({"provider": "@team"}, "chat", id="a slug that says nothing"),
        pytest.param({"provider": "openai", "config": "pc-1"}, "chat", id="a saved config"),
        pytest.param({"provider": "openai", "config": GUARDED}, "chat", id="guardrails in the config"),
        pytest.param(
            {"provider": "openai", "config": '{"input_guardrails": ["g1"]}'}, "chat", id="guardrails in JSON text"
        ),
        pytest.param({"provider": "openai", "config": {"input_guardrails": "g1"}}, "chat", id="a guardrail alone"),
        pytest.param({"provider": "openai", "config": {"guardrails": {"a": 1}}}, "chat", id="guardrails by name"),
        *(
            pytest.param({"provider": "openai", "config": {"input_guardrails": none}}, "responses", id=str(none))
            for none in NOTHING
        ),
        pytest.param(
            {"provider": "openai", "config": '{"provider": "openai", "input_guardrails" :  [ ] }'},
            "responses",
            id="an empty list of them in JSON text",
        ),
        pytest.param(
            {"config": {"targets": [{"provider": "openai", "after_request_hooks": [{"id": "g"}]}]}},
            "chat",
            id="hooks of a target",
        ),
        pytest.param({"provider": "openai", "default_input_guardrails": ["g"]}, "chat", id="guardrails by a setting"),
        pytest.param(
            {"provider": "openai", "headers": {"x-portkey-default-output-guardrails": "[]"}},
            "chat",
            id="guardrails by a literal header",
        ),
    ],
)
def test_auto_is_responses_only_where_all_who_may_answer_have_it(routing: dict[str, object], chosen: str) -> None:
    assert choose("auto", routing).name == chosen


@pytest.mark.parametrize(
    ("host", "chosen"),
    [
        pytest.param("https://api.openai.com/v1", "responses", id="OpenAI"),
        pytest.param("HTTPS://EU.API.OPENAI.COM:443/v1", "responses", id="OpenAI in Europe"),
        pytest.param("https://r.openai.azure.com/openai/v1", "responses", id="Azure OpenAI"),
        pytest.param("https://r.cognitiveservices.azure.com/openai/v1", "responses", id="Azure's older name"),
        pytest.param("https://r.services.ai.azure.com", "responses", id="Azure's foundry"),
        pytest.param("https://r.openai.azure.us/openai/v1", "responses", id="Azure for governments"),
        pytest.param("https://r.azure-api.net?x=1", "responses", id="Azure's gateway of APIs"),
        pytest.param("", "responses", id="none"),
        pytest.param("http://localhost:8000/v1", "chat", id="a server in this network"),
        pytest.param("https://api.deepinfra.com/v1/openai", "chat", id="a copy that names OpenAI in its path"),
        pytest.param("https://api.openai.com.example.org/v1", "chat", id="a name that begins like OpenAI's"),
        pytest.param("https://my-openai.com/v1", "chat", id="a name that ends like OpenAI's"),
        pytest.param("https://m.eastus.models.ai.azure.com/v1", "chat", id="a model of another maker on Azure"),
        pytest.param("api.openai.com", "chat", id="no address"),
    ],
)
def test_auto_is_chat_for_a_server_that_copies_openai(host: str, chosen: str) -> None:
    target = {"provider": "openai", "custom_host": host}
    nested = {"targets": [{"targets": [target]}, {"provider": "azure-openai"}]}
    assert choose("auto", {"provider": "openai", "custom_host": host}).name == chosen
    assert choose("auto", {"provider": "openai", "headers": {"X-Portkey-Custom-Host": host}}).name == chosen
    assert choose("auto", {"config": target}).name == chosen
    assert choose("auto", {"config": nested}).name == chosen
    assert choose("responses", {"config": nested}).name == "responses"


def test_the_host_of_the_settings_takes_precedence_over_that_of_the_config() -> None:
    config = {"provider": "openai", "custom_host": "http://localhost:8000/v1"}
    assert choose("auto", {"custom_host": "https://api.openai.com/v1", "config": config}).name == "responses"


def test_azure_is_no_copy_of_openai_whatever_its_address() -> None:
    assert choose("auto", {"provider": "azure-openai", "custom_host": "https://ai.example.org"}).name == "responses"


def test_auto_asks_what_the_user_or_earlier_answers_say_of_a_slug() -> None:
    routing: dict[str, object] = {"provider": "@team"}
    assert choose("auto", routing, upstream="openai").name == "responses"
    assert choose("auto", routing, learned=("openai",)).name == "responses"
    assert choose("auto", routing, learned=("openai", "groq")).name == "chat"


def test_auto_looks_at_the_models_of_the_targets() -> None:
    target = {"provider": "openai", "override_params": {"model": "gpt-5.6"}}
    assert choose("auto", {"config": {"targets": [target]}}, "gpt-4o").name == "responses"


@pytest.mark.parametrize(
    ("override", "chosen"),
    [
        pytest.param({"model": "gpt-5.6", "reasoning": {"effort": "low"}}, "responses", id="passed on"),
        pytest.param({"reasoning_effort": "none"}, "chat", id="dropped by the gateway"),
        pytest.param({"max_tokens": 9}, "chat", id="of chat completions"),
        pytest.param(None, "responses", id="none"),
    ],
)
def test_auto_is_chat_where_a_config_sets_parameters_of_chat(override: object, chosen: str) -> None:
    target = {"provider": "openai", "override_params": override}
    assert choose("auto", {"config": target}).name == chosen
    assert choose("auto", {"config": {"targets": [{"provider": "azure-openai"}, target]}}).name == chosen


@pytest.mark.parametrize(
    ("model_id", "params", "tools", "chosen"),
    [
        pytest.param("gpt-5.6", {}, False, "chat", id="no tools"),
        pytest.param("gpt-5.6", {"tools": [{"type": "function"}]}, False, "responses", id="tools of params"),
        pytest.param("gpt-5.6", {"reasoning_effort": "none"}, True, "chat", id="no reasoning"),
        pytest.param("gpt-5.6", {"reasoning": {"effort": "none"}}, True, "chat", id="no reasoning, in an object"),
        pytest.param("gpt-5.6", {"reasoning_effort": "low"}, True, "responses", id="reasoning"),
        pytest.param("gpt-5-pro", {}, False, "responses", id="no tools, but only there"),
        pytest.param("gpt-5.4", {"seed": 1}, True, "chat", id="a parameter that only chat has"),
        pytest.param("gpt-5.4", {"seed": None, "max_tokens": 9}, True, "responses", id="one that both have"),
    ],
)
def test_auto_is_responses_only_for_tools_beside_reasoning(
    model_id: str, params: dict[str, Any], tools: object, chosen: str
) -> None:
    assert choose("auto", {"provider": "openai"}, model_id, params, tools=bool(tools)).name == chosen


@pytest.mark.parametrize(
    ("routing", "params", "tools", "chosen"),
    [
        pytest.param({"provider": "anthropic"}, {"thinking": {"type": "adaptive"}}, True, "messages", id="both"),
        pytest.param(
            {"provider": "anthropic"},
            {"thinking": {"type": "adaptive"}, "reasoning_effort": "low"},
            True,
            "chat",
            id="a parameter that only chat has",
        ),
        pytest.param({"provider": "vertex-ai"}, {"thinking": {"type": "enabled"}}, True, "messages", id="Vertex"),
        pytest.param({"provider": "anthropic"}, {"thinking": {"type": "adaptive"}}, False, "chat", id="no tools"),
        pytest.param({"provider": "anthropic"}, {"thinking": {"type": "disabled"}}, True, "chat", id="no thinking"),
        pytest.param({"provider": "anthropic"}, {}, True, "chat", id="thinking is not asked for"),
        pytest.param({"provider": "bedrock"}, {"thinking": {"type": "enabled"}}, True, "chat", id="Bedrock"),
        pytest.param({}, {"thinking": {"type": "enabled"}}, True, "chat", id="only the id suggests Claude"),
    ],
)
def test_auto_is_messages_for_claude_that_thinks_with_tools(
    routing: dict[str, object], params: dict[str, Any], tools: object, chosen: str
) -> None:
    assert choose("auto", routing, "claude-sonnet-5", params, tools=bool(tools)).name == chosen


@pytest.mark.parametrize("routing", [{}, {"provider": "groq"}, two("openai", "anthropic"), {"config": "pc-1"}])
def test_chat_is_chat_whoever_answers(routing: dict[str, object]) -> None:
    assert choose("chat", routing).name == "chat"


def test_another_endpoint_has_no_protocol() -> None:
    assert choose_wire("responses", Question((), "m"), {}, {("groq", "m")}).name == "chat"


@pytest.mark.parametrize(
    ("routing", "lacking"),
    [
        pytest.param({"provider": "groq"}, "groq", id="provider"),
        pytest.param(two("openai", "anthropic"), "anthropic", id="one target"),
        pytest.param({"provider": "@bedrock-eu", "api_key": "k"}, "bedrock", id="slug of a hosted gateway"),
        pytest.param(two("google", "anthropic"), "anthropic, gemini", id="two targets"),
    ],
)
def test_a_protocol_that_a_target_lacks_is_refused_with_the_way_out(routing: dict[str, object], lacking: str) -> None:
    with pytest.raises(PortkeyConfigError) as caught:
        choose("responses", routing)
    assert f"got {lacking}\nHint: set api='chat'" in str(caught.value)


def test_a_protocol_that_does_not_exist_is_refused() -> None:
    with pytest.raises(PortkeyConfigError, match="api must be 'auto' or one of"):
        choose(cast("Api", "telex"), {})


@pytest.mark.parametrize(
    "routing",
    [
        pytest.param({}, id="nobody is known"),
        pytest.param({"config": "pc-1"}, id="a saved config"),
        pytest.param({"provider": "x-ai", "api_key": "k"}, id="native on a hosted gateway"),
        pytest.param({"provider": "openai"}, id="native"),
    ],
)
def test_responses_is_taken_where_nobody_is_known_to_lack_it(routing: dict[str, object]) -> None:
    assert choose("responses", routing, "m").name == "responses"


def test_responses_with_guardrails_warns_that_they_do_not_run() -> None:
    with pytest.warns(UserWarning, match="runs no guardrails with api='responses'"):
        assert choose("responses", {"provider": "openai", "config": GUARDED}).name == "responses"


def test_a_config_that_contains_itself_asks_for_nothing() -> None:
    config: dict[str, object] = {"provider": "openai"}
    config["self"] = config
    assert choose("auto", {"provider": "openai", "config": config}).name == "responses"
