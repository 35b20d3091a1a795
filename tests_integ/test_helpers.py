"""Counting, models, feedback and prompts through the real gateway: what the open-source one does with each."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from strands.types.content import Messages
from strands.types.tools import ToolSpec

from strands_portkey import PortkeyAPIError, PortkeyModel
from tests_integ.gateway import Gateway
from tests_integ.upstream import Upstream, json_reply
from tests_integ.wires import anthropic

QUESTION: Messages = [{"role": "user", "content": [{"text": "Weather and time?"}]}]
TURN: Messages = [
    *QUESTION,
    {
        "role": "assistant",
        "content": [
            {"reasoningContent": {"reasoningText": {"text": "Two facts.", "signature": "SIG=="}}},
            {"toolUse": {"toolUseId": "c1", "name": "get_weather", "input": {"city": "Zürich"}}},
            {"toolUse": {"toolUseId": "c2", "name": "get_weather", "input": {"city": "Bern"}}},
        ],
    },
    {
        "role": "user",
        "content": [
            {"toolResult": {"toolUseId": "c1", "status": "success", "content": [{"text": "rain"}]}},
            {"toolResult": {"toolUseId": "c2", "status": "success", "content": [{"text": "sun"}]}},
        ],
    },
]
SPEC: ToolSpec = {
    "name": "get_weather",
    "description": "The weather in a city.",
    "inputSchema": {"json": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}},
}


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """Run on asyncio, the loop that Strands runs on."""
    return "asyncio"


def _model(gateway: Gateway, upstream: Upstream, provider: str = "anthropic", **model_config: Any) -> PortkeyModel:
    client_args: dict[str, Any] = {
        "base_url": gateway.base_url,
        "provider": provider,
        "custom_host": upstream.base_url,
        "Authorization": "key",
    }
    model_config.setdefault("model_id", "claude-sonnet-4-5" if provider == "anthropic" else "gpt-4o")
    return PortkeyModel(client_args, **model_config)


def _asked(upstream: Upstream) -> list[tuple[str, str]]:
    return [(request.method, request.path) for request in upstream.requests]


# -- counting ----------------------------------------------------------------------------------------------------------


async def test_tokens_are_counted_by_anthropic_itself(gateway: Gateway, upstream: Upstream) -> None:
    upstream.reply(json_reply({"input_tokens": 2095}))
    model = _model(gateway, upstream, native_token_count=True)

    count = await model.count_tokens(TURN, tool_specs=[SPEC], system_prompt="Be brief.")

    assert count == 2095
    assert _asked(upstream) == [("POST", "/v1/messages/count_tokens")]
    assert upstream.requests[0].json == {
        "model": "claude-sonnet-4-5",
        "system": [{"type": "text", "text": "Be brief."}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Weather and time?"}]},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "Two facts.", "signature": "SIG=="},
                    {"type": "tool_use", "id": "c1", "name": "get_weather", "input": {"city": "Zürich"}},
                    {"type": "tool_use", "id": "c2", "name": "get_weather", "input": {"city": "Bern"}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "c1", "content": "rain"},
                    {"type": "tool_result", "tool_use_id": "c2", "content": "sun"},
                ],
            },
        ],
        "tools": [
            {
                "name": "get_weather",
                "description": "The weather in a city.",
                "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
            }
        ],
    }


async def test_what_is_counted_is_what_is_then_sent(gateway: Gateway, upstream: Upstream) -> None:
    upstream.reply(json_reply({"input_tokens": 2095}), anthropic.stream(anthropic.text("Hello")))
    model = _model(gateway, upstream, native_token_count=True)

    await model.count_tokens(TURN, tool_specs=[SPEC], system_prompt="Be brief.")
    async for _ in model.stream(TURN, [SPEC], "Be brief."):
        pass

    counted, sent = (request.json for request in upstream.requests)
    assert counted["system"] == sent["system"]
    assert [block for message in counted["messages"] for block in message["content"]] == [
        block for message in sent["messages"] for block in _blocks(message["content"])
    ]


def _blocks(content: Any) -> list[Any]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(anthropic.error(529, "overloaded_error", "Overloaded"), id="refused"),
        pytest.param(json_reply({"choices": []}), id="not a count"),
    ],
)
async def test_an_upstream_that_does_not_count_leaves_it_to_strands(
    gateway: Gateway, upstream: Upstream, caplog: pytest.LogCaptureFixture, reply: Any
) -> None:
    upstream.reply(reply)
    estimate = await _model(gateway, upstream).count_tokens(TURN, tool_specs=[SPEC])

    with caplog.at_level(logging.INFO):
        count = await _model(gateway, upstream, native_token_count=True).count_tokens(TURN, tool_specs=[SPEC])

    assert count == estimate > 0
    assert _asked(upstream) == [("POST", "/v1/messages/count_tokens")]
    assert [record for record in caplog.records if record.name.startswith("strands_portkey")] == []


async def test_another_upstream_is_not_asked_to_count(gateway: Gateway, upstream: Upstream) -> None:
    count = await _model(gateway, upstream, "openai", native_token_count=True).count_tokens(QUESTION)

    assert count > 0
    assert upstream.requests == []


# -- models ------------------------------------------------------------------------------------------------------------


async def test_the_open_source_gateway_lists_the_models_of_the_provider(gateway: Gateway, upstream: Upstream) -> None:
    upstream.reply(json_reply({"object": "list", "data": [{"id": "gpt-4o", "object": "model"}, {"id": "o3"}]}))

    models = await _model(gateway, upstream, "openai").list_models()

    assert models == ["gpt-4o", "o3"]
    assert _asked(upstream) == [("GET", "/v1/models")]
    assert upstream.requests[0].body == b""


async def test_a_provider_that_refuses_to_list_is_quoted(gateway: Gateway, upstream: Upstream) -> None:
    refusal = {"error": {"message": "Incorrect API key", "type": "invalid_request_error", "code": "invalid_api_key"}}
    upstream.reply(json_reply(refusal, 401))

    with pytest.raises(PortkeyAPIError, match="Incorrect API key") as caught:
        await _model(gateway, upstream, "openai").list_models()

    assert caught.value.status_code == 401


# -- feedback and prompts ----------------------------------------------------------------------------------------------


async def test_the_open_source_gateway_passes_feedback_to_the_provider_which_refuses(
    gateway: Gateway, upstream: Upstream
) -> None:
    refusal = {"error": {"message": "Invalid URL (POST /v1/feedback)", "type": "invalid_request_error"}}
    upstream.reply(json_reply(refusal, 404))

    with pytest.raises(PortkeyAPIError, match=r"Invalid URL \(POST /v1/feedback\)") as caught:
        await _model(gateway, upstream, "openai").feedback("t-1", 1, metadata={"_user": "u-1"})

    assert caught.value.status_code == 404
    assert upstream.requests[0].json == {"trace_id": "t-1", "value": 1, "weight": 1.0, "metadata": {"_user": "u-1"}}


async def test_the_open_source_gateway_has_no_prompt_library(gateway: Gateway, upstream: Upstream) -> None:
    with pytest.raises(PortkeyAPIError, match="prompt completions error: Something went wrong") as caught:
        await _model(gateway, upstream, "openai").render_prompt("pp-1", {"city": "Bern"})

    assert caught.value.status_code == 500
    assert upstream.requests == []
