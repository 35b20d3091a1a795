"""What Portkey's page on Strands shows works with the name of the class changed alone.

See https://portkey.ai/docs/integrations/agents/strands. Its blocks are retold here, with a server for the gateway. The
headers are those that ``createHeaders`` of ``portkey_ai`` 2.3.4 makes.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from strands import Agent, tool
from strands.types.content import Messages

from strands_portkey import PortkeyConfigError, PortkeyModel
from tests_integ.upstream import Upstream
from tests_integ.wires import openai

HELLO: Messages = [{"role": "user", "content": [{"text": "Hi"}]}]
FALLBACK = {
    "strategy": {"mode": "fallback", "on_status_codes": [429, 503, 502]},
    "targets": [{"provider": "@openai-main"}, {"provider": "@anthropic-spare"}],
}
BALANCE = {
    "strategy": {"mode": "loadbalance"},
    "targets": [{"provider": "@openai-1", "weight": 70}, {"provider": "@openai-2", "weight": 30}],
}
METADATA = {"agent_type": "support", "session_id": "sess_1"}
PRODUCTION = {"strategy": {"mode": "fallback"}, "targets": [{"provider": "@openai-prod"}, {"provider": "@claude-prod"}]}
# The setting default_headers, the rest of the model, and what is sent of both.
BLOCKS: dict[str, tuple[dict[str, str], dict[str, Any], dict[str, str]]] = {
    "quickstart": ({}, {"params": {"temperature": 0.7}}, {}),
    "complete example": ({}, {"params": {"max_tokens": 1000, "temperature": 0.7}}, {}),
    "tracing": (
        {"x-portkey-trace-id": "session_1"},
        {"params": {"temperature": 0.7}},
        {"x-portkey-trace-id": "session_1"},
    ),
    "metadata": (
        {"x-portkey-trace-id": "bot", "x-portkey-metadata": json.dumps(METADATA)},
        {"params": {"temperature": 0.3}},
        {"x-portkey-trace-id": "bot", "x-portkey-metadata": json.dumps(METADATA, separators=(",", ":"))},
    ),
    "fallbacks": (
        {"x-portkey-config": json.dumps(FALLBACK)},
        {"params": {"temperature": 0.7}},
        {"x-portkey-config": json.dumps(FALLBACK, separators=(",", ":"))},
    ),
    "load balancing": (
        {"x-portkey-config": json.dumps(BALANCE)},
        {"params": {"temperature": 0.7}},
        {"x-portkey-config": json.dumps(BALANCE, separators=(",", ":"))},
    ),
    "another provider": (
        {"x-portkey-provider": "@anthropic"},
        {"model_id": "claude-3-7-sonnet-latest", "params": {"max_tokens": 1000, "temperature": 0.7}},
        {"x-portkey-provider": "@anthropic"},
    ),
    "environments": (
        {"x-portkey-config": json.dumps(PRODUCTION), "x-portkey-metadata": '{"environment": "prod"}'},
        {"params": {"temperature": 0.7, "max_tokens": 2000}},
        {
            "x-portkey-config": json.dumps(PRODUCTION, separators=(",", ":")),
            "x-portkey-metadata": '{"environment":"prod"}',
        },
    ),
}


def make(server: Upstream, default_headers: dict[str, str], **config: Any) -> PortkeyModel:
    client_args: dict[str, Any] = {"api_key": "PORTKEY_API_KEY", "base_url": server.base_url}
    if default_headers:
        client_args["default_headers"] = default_headers
    return PortkeyModel(client_args=client_args, **{"model_id": "gpt-4o", **config})


def sent(server: Upstream) -> dict[str, str]:
    """Return the headers of the last request that are not those of each request."""
    return {
        name: value
        for name, value in server.requests[-1].headers
        if (name.startswith("x-portkey-") and name != "x-portkey-strict-open-ai-compliance") or name == "authorization"
    }


@pytest.mark.parametrize("block", BLOCKS)
async def test_each_block_sends_what_it_says(server, block):
    default_headers, config, headers = BLOCKS[block]
    server.reply(openai.stream(openai.text("4")))

    async for _ in make(server, default_headers, tracing=False, **config).stream(HELLO):
        pass

    assert sent(server) == {"x-portkey-api-key": "PORTKEY_API_KEY", **headers}
    assert server.requests[-1].path == "/v1/chat/completions"
    body = server.requests[-1].json
    assert {name: body[name] for name in config["params"]} == config["params"]
    assert body["model"] == config.get("model_id", "gpt-4o")


def test_an_agent_with_a_tool_runs_on_it(server):
    @tool
    def double(number: int) -> int:
        """Double a number.

        Args:
            number: The number.
        """
        return number * 2

    server.reply(
        openai.stream(openai.tool_call(0, "c1", "double", '{"number":2}')), openai.stream(openai.text("It is 4."))
    )
    model = make(server, {"x-portkey-trace-id": "session_1"}, params={"temperature": 0.7})

    result = Agent(model=model, tools=[double], callback_handler=None)("What is twice 2?")

    assert str(result) == "It is 4.\n"
    assert [dict(request.headers)["x-portkey-trace-id"] for request in server.requests] == ["session_1", "session_1"]


async def test_settings_of_a_call_go_over_the_default_headers(server):
    server.reply(openai.stream(openai.text("4")))
    model = make(server, {"x-portkey-trace-id": "session_1", "x-portkey-metadata": '{"a": "1"}', "x-team": "search"})
    state = {"portkey": {"trace_id": "order-1", "metadata": {"b": "2"}}}

    async for _ in model.stream(HELLO, invocation_state=state):
        pass

    headers = dict(server.requests[-1].headers)
    assert headers["x-portkey-trace-id"] == "order-1"
    assert headers["x-portkey-metadata"] == '{"a":"1","b":"2"}'
    assert headers["x-team"] == "search"


async def test_with_a_key_of_portkeys_among_the_default_headers_the_other_is_the_providers(server):
    server.reply(openai.stream(openai.text("4")))
    model = PortkeyModel(
        {
            "api_key": "sk-0123456789",
            "base_url": server.base_url,
            "default_headers": {"x-portkey-api-key": "pk-1", "x-portkey-provider": "openai"},
        },
        model_id="gpt-4o",
    )

    async for _ in model.stream(HELLO, invocation_state={}):
        pass

    assert sent(server) | {"x-portkey-trace-id": ""} == {
        "authorization": "Bearer sk-0123456789",
        "x-portkey-api-key": "pk-1",
        "x-portkey-provider": "openai",
        "x-portkey-trace-id": "",
    }


async def test_a_provider_among_the_default_headers_decides_the_form_of_the_request(server):
    server.reply(openai.stream(openai.text("4")))
    model = make(
        server, {"x-portkey-provider": "anthropic"}, model_id="best", params={"thinking": {"type": "adaptive"}}
    )

    async for _ in model.stream(HELLO):
        pass

    assert server.requests[-1].json["max_completion_tokens"] > 0  # Only Claude gets a default.


@pytest.mark.parametrize(
    ("client_args", "message"),
    [
        (
            {"api_key": "sk-1", "Authorization": "sk-2", "default_headers": {"x-portkey-api-key": "pk-1"}},
            "client_args must hold each setting once; got 'authorization' twice, also as 'authorization'",
        ),
        ({"default_headers": "x"}, "client_args['default_headers'] must be a mapping of names to texts; got str"),
        (
            {"trace_id": "a", "default_headers": {"x-portkey-trace-id": "b"}},
            "client_args must hold each setting once; got 'trace_id' twice, also as 'trace_id'",
        ),
        (
            {"headers": {"a": "b"}, "default_headers": {"c": "d"}},
            "client_args must hold each setting once; got 'headers' twice, also as 'headers'",
        ),
    ],
    ids=["two keys of the provider", "no mapping", "a setting twice", "headers twice"],
)
def test_default_headers_that_say_something_else_raise(client_args, message):
    with pytest.raises(PortkeyConfigError) as caught:
        PortkeyModel(client_args, model_id="m")

    assert str(caught.value) == message
