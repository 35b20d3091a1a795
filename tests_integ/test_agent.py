"""A Strands agent, the real gateway and a scripted upstream: nothing between them is mocked."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from pydantic import BaseModel
from strands import Agent, ModelRetryStrategy, tool
from strands.types.content import Messages

from strands_portkey import (
    PortkeyAPIError,
    PortkeyConnectionError,
    PortkeyError,
    PortkeyModel,
    PortkeyStreamError,
    PortkeyThrottledError,
    ResponseMetadata,
)
from tests_integ.gateway import Gateway
from tests_integ.upstream import Gate, Piece, Reply, Request, Upstream
from tests_integ.wires import anthropic, openai

SECONDS = 10  # Longer than anything here takes; a wait that ends this way is a failure.
MODELS = {"openai": "gpt-4o", "anthropic": "claude-sonnet-4-5"}
QUESTION: Messages = [{"role": "user", "content": [{"text": "Hi"}]}]


@tool
def get_weather(city: str) -> str:
    """Return the weather in a city.

    Args:
        city: Name of the city.
    """
    return f"rain in {city}"


@tool
def get_time(city: str) -> dict[str, Any]:
    """Return the time in a city.

    Args:
        city: Name of the city.
    """
    return {"status": "success", "content": [{"json": {"city": city, "time": "12:00"}}]}


class City(BaseModel):
    """A city."""

    name: str
    population: int


class Way:
    """The way to the scripted upstream: makes models, and keeps what the gateway said of each answer."""

    def __init__(self, gateway: Gateway, upstream: Upstream) -> None:
        self.base_url = gateway.base_url
        self.upstream = upstream
        self.answers: list[ResponseMetadata] = []

    def model(
        self, provider: str | None = "openai", client_args: dict[str, Any] | None = None, **model_config: Any
    ) -> PortkeyModel:
        """Return a model; `client_args` go over the usual ones."""
        usual: dict[str, Any] = {
            "base_url": self.base_url,
            "provider": provider,
            "custom_host": self.upstream.base_url,
            "Authorization": "key",
            "max_retries": 0,  # `test_survival.py` has the retries.
        }
        model_config.setdefault("model_id", MODELS.get(provider or "", "gpt-4o"))
        return PortkeyModel({**usual, **(client_args or {})}, on_response=self.answers.append, **model_config)

    def routed(self, config: dict[str, Any] | str, **client_args: Any) -> PortkeyModel:
        """Return a model that leaves provider, host and key to a config."""
        return self.model(
            None, {"config": config, "custom_host": None, "Authorization": None, **client_args}, model_id="gpt-4o"
        )

    def target(self, path: str, **more: Any) -> dict[str, Any]:
        """Return a target of a config that reaches the upstream under a path of its own."""
        return {"provider": "openai", "api_key": "key", "custom_host": f"{self.upstream.url}/{path}", **more}


@pytest.fixture
def way(gateway: Gateway, upstream: Upstream) -> Way:
    return Way(gateway, upstream)


def _agent(model: PortkeyModel, **more: Any) -> Agent:
    # Without a retry strategy: the one of Strands waits four seconds and longer.
    return Agent(model=model, **{"callback_handler": None, "retry_strategy": None, **more})


def _content(agent: Agent) -> list[tuple[str, list[Any]]]:
    return [(message["role"], list(message["content"])) for message in agent.messages]


# -- text, reasoning and tools -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_text_is_passed_on_while_the_upstream_is_still_sending(way: Way, provider: str) -> None:
    gate = Gate()
    seen: list[str] = []

    def callback(**kwargs: Any) -> None:
        if "data" in kwargs:
            seen.append(kwargs["data"])
            if kwargs["data"] == "Hel":
                gate.reached.result(SECONDS)
                gate.open()  # Only now may the upstream go on.

    way.upstream.reply(
        openai.stream(openai.text("Hel"), gate, openai.text("lo"))
        if provider == "openai"
        else anthropic.stream(anthropic.text("Hel", gate, "lo"))
    )

    result = _agent(way.model(provider), callback_handler=callback, system_prompt="Be brief.")("Hi")

    assert seen == ["Hel", "lo"]
    assert result.stop_reason == "end_turn"
    assert result.message["content"] == [{"text": "Hello"}]
    assert result.metrics.accumulated_usage == {"inputTokens": 10, "outputTokens": 5, "totalTokens": 15}
    assert result.metrics.accumulated_metrics["latencyMs"] > 0


_CALLS = [
    {"toolUse": {"toolUseId": "call_1", "name": "get_weather", "input": {"city": "Paris"}}},
    {"toolUse": {"toolUseId": "call_2", "name": "get_time", "input": {"city": "Rome"}}},
]
_RESULTS = [
    {"toolResult": {"toolUseId": "call_1", "status": "success", "content": [{"text": "rain in Paris"}]}},
    {
        "toolResult": {
            "toolUseId": "call_2",
            "status": "success",
            "content": [{"json": {"city": "Rome", "time": "12:00"}}],
        }
    },
]


def test_openai_gets_the_results_of_two_parallel_calls(way: Way) -> None:
    way.upstream.reply(
        openai.stream(
            openai.text("Let me see."),
            openai.tool_call(0, "call_1", "get_weather", '{"ci', 'ty": "Pa', 'ris"}'),
            openai.tool_call(1, "call_2", "get_time", '{"city":', ' "Rome"}'),
        ),
        openai.stream(openai.text("Rain, noon.")),
    )

    agent = _agent(way.model(), tools=[get_weather, get_time])
    result = agent("Hi")

    assert result.message["content"] == [{"text": "Rain, noon."}]
    assert _content(agent)[1] == ("assistant", [{"text": "Let me see."}, *_CALLS])
    assert sorted(_content(agent)[2][1], key=lambda block: block["toolResult"]["toolUseId"]) == _RESULTS
    first, second = way.upstream.requests
    assert [each["function"]["name"] for each in first.json["tools"]] == ["get_weather", "get_time"]
    user, assistant, *results = second.json["messages"]
    assert user == {"role": "user", "content": "Hi"}
    assert assistant == {
        "role": "assistant",
        "content": "Let me see.",
        "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Paris"}'}},
            {"id": "call_2", "type": "function", "function": {"name": "get_time", "arguments": '{"city": "Rome"}'}},
        ],
    }
    assert sorted(results, key=lambda message: message["tool_call_id"]) == [
        {"role": "tool", "tool_call_id": "call_1", "content": "rain in Paris"},
        {"role": "tool", "tool_call_id": "call_2", "content": '{"city": "Rome", "time": "12:00"}'},
    ]


def test_anthropic_gets_the_results_of_two_parallel_calls(way: Way) -> None:
    way.upstream.reply(
        anthropic.stream(
            anthropic.text("Let me see."),
            anthropic.tool_use("call_1", "get_weather", '{"ci', 'ty": "Pa', 'ris"}'),
            anthropic.tool_use("call_2", "get_time", '{"city":', ' "Rome"}'),
        ),
        anthropic.stream(anthropic.text("Rain, noon.")),
    )

    agent = _agent(way.model("anthropic"), tools=[get_weather, get_time])
    result = agent("Hi")

    assert result.message["content"] == [{"text": "Rain, noon."}]
    assert _content(agent)[1] == ("assistant", [{"text": "Let me see."}, *_CALLS])
    first, second = way.upstream.requests
    assert first.path == "/v1/messages"
    assert first.json["max_tokens"] == 4096
    assert [each["name"] for each in first.json["tools"]] == ["get_weather", "get_time"]
    _, assistant, *results = second.json["messages"]
    assert assistant == {
        "role": "assistant",
        "content": [
            {"type": "text", "text": "Let me see."},
            {"type": "tool_use", "id": "call_1", "name": "get_weather", "input": {"city": "Paris"}},
            {"type": "tool_use", "id": "call_2", "name": "get_time", "input": {"city": "Rome"}},
        ],
    }
    answered = [block for message in results for block in message["content"]]
    assert sorted(answered, key=lambda block: block["tool_use_id"]) == [
        {"type": "tool_result", "tool_use_id": "call_1", "content": "rain in Paris"},
        {"type": "tool_result", "tool_use_id": "call_2", "content": '{"city": "Rome", "time": "12:00"}'},
    ]


def test_the_input_of_tools_is_handed_on_fragment_by_fragment(way: Way) -> None:
    gate = Gate()
    fragments: list[str] = []

    def callback(**kwargs: Any) -> None:
        if kwargs.get("type") == "tool_use_stream":
            fragments.append(kwargs["delta"]["toolUse"]["input"])
            gate.open()

    way.upstream.reply(
        openai.stream(openai.tool_call(0, "call_1", "get_weather", '{"city"'), gate, [_more_arguments(':"Paris"}')]),
        openai.stream(openai.text("Rain.")),
    )

    _agent(way.model(), tools=[get_weather], callback_handler=callback)("Hi")

    assert fragments == ['{"city"', ':"Paris"}']


def _more_arguments(piece: str) -> openai.Delta:
    return {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}


def test_reasoning_of_a_server_that_copies_openai_arrives_and_is_not_sent_back(way: Way) -> None:
    way.upstream.reply(
        openai.stream(openai.reasoning("Let me ", "think."), openai.text("42")), openai.stream(openai.text("Yes."))
    )

    agent = _agent(way.model())
    result = agent("Hi")
    agent("Sure?")

    assert result.message["content"] == [
        {"reasoningContent": {"reasoningText": {"text": "Let me think."}}},
        {"text": "42"},
    ]
    assert way.upstream.requests[1].json["messages"][1] == {"role": "assistant", "content": "42"}


def test_thinking_of_claude_goes_back_with_its_signature(way: Way) -> None:
    thinking = {"type": "enabled", "budget_tokens": 1024}
    way.upstream.reply(
        anthropic.stream(
            anthropic.thinking("Let me ", "think.", signature="SIG=="),
            anthropic.tool_use("call_1", "get_weather", '{"city": "Paris"}'),
        ),
        anthropic.stream(anthropic.text("Rain.")),
    )

    agent = _agent(way.model("anthropic", params={"thinking": thinking, "max_tokens": 2048}), tools=[get_weather])
    agent("Hi")

    assert _content(agent)[1][1] == [
        {"reasoningContent": {"reasoningText": {"text": "Let me think.", "signature": "SIG=="}}},
        _CALLS[0],
    ]
    first, second = way.upstream.requests
    assert (first.json["thinking"], first.json["max_tokens"]) == (thinking, 2048)
    assert second.json["messages"][1]["content"] == [
        {"type": "thinking", "thinking": "Let me think.", "signature": "SIG=="},
        {"type": "tool_use", "id": "call_1", "name": "get_weather", "input": {"city": "Paris"}},
    ]


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_without_streaming_the_message_is_the_same(way: Way, provider: str) -> None:
    text, arguments = "Let me see.", {"city": "Paris"}
    replies: dict[str, tuple[Reply, Reply]] = {
        "openai": (
            openai.stream(openai.text(text), openai.tool_call(0, "call_1", "get_weather", json.dumps(arguments))),
            openai.answer(text, [("call_1", "get_weather", json.dumps(arguments))]),
        ),
        "anthropic": (
            anthropic.stream(
                anthropic.thinking("Hm."),
                anthropic.text(text),
                anthropic.tool_use("call_1", "get_weather", json.dumps(arguments)),
            ),
            anthropic.answer(
                {"type": "thinking", "thinking": "Hm.", "signature": "SIG=="},
                {"type": "text", "text": text},
                {"type": "tool_use", "id": "call_1", "name": "get_weather", "input": arguments},
            ),
        ),
    }
    endings = {
        "openai": (openai.stream(openai.text("Rain.")), openai.answer("Rain.")),
        "anthropic": (anthropic.stream(anthropic.text("Rain.")), anthropic.answer({"type": "text", "text": "Rain."})),
    }
    agents = []
    for way_to_answer, stream in enumerate([True, False]):
        way.upstream.reply(replies[provider][way_to_answer], endings[provider][way_to_answer])
        agents.append(_agent(way.model(provider, stream=stream), tools=[get_weather]))
        agents[-1]("Hi")

    assert [request.json.get("stream") or False for request in way.upstream.requests] == [True, True, False, False]
    assert _content(agents[0]) == _content(agents[1])


# -- structured output -------------------------------------------------------------------------------------------------


def test_openai_is_held_to_the_schema_where_an_agent_wants_structured_output(way: Way) -> None:
    city = '{"name": "Paris", "population": 2000000}'
    way.upstream.reply(openai.stream(openai.text("Paris has two million.")), openai.stream(openai.text(city)))

    result = _agent(way.model())("Tell me", structured_output_model=City)

    assert result.structured_output == City(name="Paris", population=2_000_000)
    first, second = (request.json for request in way.upstream.requests)
    assert [each["function"]["name"] for each in first["tools"]] == ["City"]
    assert second["response_format"]["json_schema"]["name"] == "City"
    assert second["response_format"]["json_schema"]["strict"] is True


def test_claude_must_call_a_tool_where_an_agent_wants_structured_output(way: Way) -> None:
    way.upstream.reply(
        anthropic.stream(anthropic.text("Paris has two million.")),
        anthropic.stream(anthropic.tool_use("call_1", "City", '{"name": "Paris", ', '"population": 2000000}')),
    )

    result = _agent(way.model("anthropic"))("Tell me", structured_output_model=City)

    assert result.structured_output == City(name="Paris", population=2_000_000)
    assert way.upstream.requests[1].json["tool_choice"] == {"type": "tool", "name": "City"}


@pytest.mark.parametrize(
    ("provider", "reply", "asked_by"),
    [
        ("openai", openai.stream(openai.text('{"name": "Paris",', ' "population": 2}')), "response_format"),
        (
            "anthropic",
            anthropic.stream(anthropic.tool_use("call_1", "City", '{"name": "Paris", "population": 2}')),
            "tool_choice",
        ),
    ],
    ids=["openai", "anthropic"],
)
def test_structured_output_of_the_model_itself(way: Way, provider: str, reply: Reply, asked_by: str) -> None:
    way.upstream.reply(reply)

    async def ask() -> list[Any]:
        return [event async for event in way.model(provider).structured_output(City, QUESTION)]

    events = asyncio.run(ask())

    assert events[-1] == {"output": City(name="Paris", population=2)}
    assert asked_by in way.upstream.requests[0].json


# -- routing -----------------------------------------------------------------------------------------------------------


def _by_path(request: Request) -> Reply:
    """Answer with the path that was asked, or fail where it begins with `bad`."""
    if request.path.startswith("/bad"):
        return openai.error(500, "Out of order", kind="server_error")
    return openai.stream(openai.text(request.path))


@pytest.mark.parametrize("as_text", [False, True], ids=["mapping", "string"])
def test_a_config_falls_back_from_a_target_that_fails(way: Way, as_text: bool) -> None:  # noqa: FBT001
    way.upstream.script = _by_path
    config = {"strategy": {"mode": "fallback"}, "targets": [way.target("bad"), way.target("good")]}

    result = _agent(way.routed(json.dumps(config) if as_text else config))("Hi")

    assert result.message["content"] == [{"text": "/good/chat/completions"}]
    assert [request.path for request in way.upstream.requests] == ["/bad/chat/completions", "/good/chat/completions"]
    assert [(each.status_code, each.last_used_option_index) for each in way.answers] == [(200, "config.targets[1]")]


@pytest.mark.parametrize("chosen", [0, 1])
def test_a_config_balances_the_load_by_weight(way: Way, chosen: int) -> None:
    way.upstream.script = _by_path
    targets = [way.target(str(number), weight=int(number == chosen)) for number in range(2)]
    agent = _agent(way.routed({"strategy": {"mode": "loadbalance"}, "targets": targets}))

    texts = [agent("Hi").message["content"] for _ in range(5)]

    assert texts == [[{"text": f"/{chosen}/chat/completions"}]] * 5
    assert [each.last_used_option_index for each in way.answers] == [f"config.targets[{chosen}]"] * 5


def test_the_gateway_retries_and_says_how_often(way: Way) -> None:
    way.upstream.reply(openai.error(500, "Out of order"), openai.stream(openai.text("Hello")))

    result = _agent(way.routed({"retry": {"attempts": 2}, **way.target("v1")}))("Hi")

    assert result.message["content"] == [{"text": "Hello"}]
    assert len(way.upstream.requests) == 2
    assert [(each.status_code, each.retry_attempt_count) for each in way.answers] == [(200, 1)]


def test_metadata_and_trace_id_go_to_the_upstream_and_the_trace_id_comes_back(way: Way) -> None:
    way.upstream.reply(openai.stream(openai.text("Hello")))
    client_args = {
        "metadata": {"_user": "Zoë", "tier": "paid"},
        "trace_id": "trace-1",
        "session_tag": "blue",
        "forward_headers": ["x-portkey-metadata", "x-portkey-trace-id", "session-tag"],
    }

    _agent(way.model(client_args=client_args))("Hi")

    received = way.upstream.requests[0]
    assert json.loads(received.header("x-portkey-metadata") or "") == {"_user": "Zoë", "tier": "paid"}
    assert received.header("x-portkey-trace-id") == "trace-1"
    assert received.header("session-tag") == "blue"
    assert [replace(answer, latency_ms=0, time_to_first_byte_ms=None) for answer in way.answers] == [
        ResponseMetadata(
            status_code=200,
            trace_id="trace-1",
            provider="openai",
            model="gpt-4o",
            cache_status="DISABLED",
            retry_attempt_count=0,
            last_used_option_index="config",
            usage={"inputTokens": 10, "outputTokens": 5, "totalTokens": 15},
            response_id="chatcmpl-1",
            headers={
                "x-portkey-cache-status": "DISABLED",
                "x-portkey-last-used-option-index": "config",
                "x-portkey-provider": "openai",
                "x-portkey-retry-attempt-count": "0",
                "x-portkey-trace-id": "trace-1",
            },
        )
    ]


# -- failures ----------------------------------------------------------------------------------------------------------


_REFUSALS = {
    "500": (openai.error(500, "Out of order", kind="server_error"), PortkeyAPIError, True),
    "401": (openai.error(401, "Incorrect API key", code="invalid_api_key"), PortkeyAPIError, False),
    "429": (openai.error(429, "Slow down", headers={"retry-after": "7"}), PortkeyThrottledError, True),
    "529": (anthropic.error(529, "overloaded_error", "Overloaded"), PortkeyThrottledError, True),
}


@pytest.mark.parametrize("how", ["stream", "json"])
@pytest.mark.parametrize("status", _REFUSALS)
def test_a_refusal_of_the_upstream_raises(way: Way, status: str, how: str) -> None:
    reply, kind, retryable = _REFUSALS[status]
    provider = "anthropic" if status == "529" else "openai"
    way.upstream.reply(reply)
    agent = _agent(way.model(provider, stream=how == "stream"))

    with pytest.raises(PortkeyAPIError) as caught:
        agent("Hi")

    error = caught.value
    assert type(error) is kind
    assert (error.origin, error.provider, error.status_code) == ("provider", provider, int(status))
    assert (error.retryable, error.retry_after) == (retryable, 7.0 if status == "429" else None)
    assert _content(agent) == [("user", [{"text": "Hi"}])]
    assert [each.status_code for each in way.answers] == [int(status)]


def test_strands_retries_a_throttled_request(way: Way) -> None:
    way.upstream.reply(openai.error(429, "Slow down"), openai.stream(openai.text("Hello")))
    at_once = ModelRetryStrategy(max_attempts=2, initial_delay=0, max_delay=0)

    result = _agent(way.model(), retry_strategy=at_once)("Hi")

    assert result.message["content"] == [{"text": "Hello"}]
    assert [each.status_code for each in way.answers] == [429, 200]


@pytest.mark.parametrize("ending", ["cut", "abort"])
def test_a_stream_that_the_upstream_cuts_raises_and_leaves_no_answer(way: Way, ending: Any) -> None:
    gate = Gate()
    pieces: list[Piece] = [openai.chunk({"role": "assistant", "content": "Hel"}), gate]
    way.upstream.reply(Reply(200, {"content-type": "text/event-stream"}, pieces, ending))
    agent = _agent(way.model(), callback_handler=lambda **kwargs: gate.open() if "data" in kwargs else None)

    with pytest.raises(PortkeyStreamError, match="broke off after 1 chunk") as caught:
        agent("Hi")

    assert caught.value.received == 1
    assert _content(agent) == [("user", [{"text": "Hi"}])]


def test_a_cut_inside_a_tool_call_runs_no_tool(way: Way) -> None:
    ran: list[str] = []

    @tool
    def delete(name: str = "everything") -> str:
        """Delete something.

        Args:
            name: What to delete.
        """
        ran.append(name)
        return "gone"

    pieces = [openai.chunk(delta) for delta in openai.tool_call(0, "call_1", "delete", '{"na')]
    way.upstream.reply(Reply(200, {"content-type": "text/event-stream"}, pieces, "cut"))

    with pytest.raises(PortkeyStreamError):
        _agent(way.model(), tools=[delete])("Hi")

    assert ran == []


def test_a_gateway_that_wants_a_provider_is_explained(way: Way) -> None:
    agent = _agent(way.model(None, {"custom_host": None}))

    with pytest.raises(PortkeyAPIError, match=r"set client_args\['provider'\]") as caught:
        agent("Hi")

    assert (caught.value.origin, caught.value.status_code) == ("gateway", 400)


def test_the_name_of_a_saved_config_is_explained(way: Way) -> None:
    with pytest.raises(PortkeyAPIError, match="the open-source gateway knows no config ids") as caught:
        _agent(way.routed("pc-abc123"))("Hi")

    assert caught.value.origin == "gateway"


def test_a_missing_gateway_is_distinguished_from_one_that_refuses(way: Way) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # Bound and not listening: nothing else can take the port.
        base_url = f"http://127.0.0.1:{taken.getsockname()[1]}"

        with pytest.raises(PortkeyConnectionError, match="cannot reach the gateway") as caught:
            _agent(way.model(client_args={"base_url": base_url}))("Hi")

    assert caught.value.origin == "network"


def test_no_key_stands_in_an_error(way: Way) -> None:
    way.upstream.reply(openai.error(401, "Incorrect API key provided: sk-very-secret", code="invalid_api_key"))

    with pytest.raises(PortkeyError) as caught:
        _agent(way.model(client_args={"Authorization": "sk-very-secret"}))("Hi")

    assert "sk-very-secret" not in f"{caught.value} {vars(caught.value)}"


# -- loops, threads and ends -------------------------------------------------------------------------------------------

_PROGRAM = """
import asyncio, gc, logging, sys, threading
from concurrent.futures import ThreadPoolExecutor
from strands import Agent
from strands_portkey import PortkeyModel

# Strands leaves a span in another context than it began in when its own generators end early, with any model.
logging.getLogger("opentelemetry.context").disabled = True
base_url, custom_host = sys.argv[1:]
client_args = {"base_url": base_url, "provider": "openai", "custom_host": custom_host, "Authorization": "key"}
model = PortkeyModel(client_args, model_id="gpt-4o")

def agent():
    return Agent(model=model, callback_handler=None)

def ask(question):
    return agent()(question).message["content"]

HELLO = [{"text": "Hello"}]
"""
_USES = {
    "twice in a row": """
same = agent()
assert [same("Hi").message["content"], same("Again").message["content"]] == [HELLO, HELLO]
""",
    "from four threads at once": """
start = threading.Barrier(4)
def asked(question):
    start.wait()
    return [ask(question), ask(question)]
with ThreadPoolExecutor(4) as pool:
    assert list(pool.map(asked, ["Hi"] * 4)) == [[HELLO, HELLO]] * 4
""",
    "many times in one loop": """
async def main():
    for _ in range(2):
        await asyncio.gather(*(agent().invoke_async("Hi") for _ in range(4)))
asyncio.run(main())
""",
    "and the stream is closed early": """
async def main():
    stream = agent().stream_async("Hi")
    async for event in stream:
        if "data" in event:
            break
    await stream.aclose()
asyncio.run(main())
""",
    "and the stream is abandoned": """
async def main():
    async for event in agent().stream_async("Hi"):
        if "data" in event:
            break
asyncio.run(main())
""",
    "and the model's stream is abandoned": """
async def main():
    async for event in model.stream([{"role": "user", "content": [{"text": "Hi"}]}]):
        if "contentBlockDelta" in event:
            break
    for _ in range(50):  # The loop closes what was abandoned in a task of its own, in a few turns.
        await asyncio.sleep(0)
asyncio.run(main())
""",
    "and the loop ends with the model's stream": """
async def main():
    async for event in model.stream([{"role": "user", "content": [{"text": "Hi"}]}]):
        if "contentBlockDelta" in event:
            break
asyncio.run(main())
""",
}


# An event loop that ends closes all generators at once, those that are being closed by another among them.
@pytest.mark.parametrize("use", _USES)
def test_one_model_leaves_no_warning_when_it_is_used(way: Way, use: str) -> None:
    way.upstream.script = lambda _: openai.stream(openai.text("Hel", "lo"))
    program = f"{_PROGRAM}{_USES[use]}gc.collect()\nprint('ok')\n"
    command = [sys.executable, "-X", "dev", "-W", "error::ResourceWarning", "-c", program]

    # What asyncio's debug mode logs of slow steps is no fault, but an unclosed connection shows up nowhere else.
    done = subprocess.run(
        [*command, way.base_url, way.upstream.base_url], capture_output=True, text=True, timeout=60, check=False
    )

    assert (done.returncode, done.stdout) == (0, "ok\n"), done.stderr
    lines = [line for line in done.stderr.splitlines() if not (line.startswith("Executing <") and " took " in line)]
    assert lines == []


class Relay:
    """Passes bytes between a client and the gateway, and reports when the client has closed."""

    def __init__(self, port: int) -> None:
        self.hung_up: Future[float] = Future()
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._pipes: list[socket.socket] = [self._listener]
        self.base_url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/v1"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        client, _ = self._listener.accept()
        gateway = socket.create_connection(("127.0.0.1", self._target))
        self._pipes += [client, gateway]
        threading.Thread(target=self._pass, args=(gateway, client), daemon=True).start()
        self._pass(client, gateway)
        self.hung_up.set_result(time.monotonic())

    def _pass(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass  # Reset, or closed at the end of the test.

    def close(self) -> None:
        for each in self._pipes:
            each.close()


@pytest.fixture
def relay(gateway: Gateway) -> Iterator[Relay]:
    running = Relay(gateway.port)
    yield running
    running.close()


@pytest.mark.parametrize("said", [["Hel"], []], ids=["amid the answer", "before the answer"])
def test_a_cancelled_agent_ends_while_the_upstream_is_silent(way: Way, relay: Relay, said: list[str]) -> None:
    silence, heard = Gate(), threading.Event()
    pieces = [openai.chunk({"role": "assistant", "content": text}) for text in said]
    way.upstream.reply(
        Reply(200, {"content-type": "text/event-stream"}, [*pieces, silence]) if said else Reply(hold=silence)
    )
    model = way.model(client_args={"base_url": relay.base_url})
    agent = _agent(model, callback_handler=lambda **kwargs: heard.set() if "data" in kwargs else None)

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(agent, "Hi")
        silence.reached.result(SECONDS)
        assert not said or heard.wait(SECONDS)
        cancelled = time.monotonic()
        agent.cancel()
        result = running.result(SECONDS)
        ended = time.monotonic()

    assert result.stop_reason == "cancelled"
    assert ended - cancelled < 1
    assert relay.hung_up.result(SECONDS) - cancelled < 1
    silence.open()


# -- a live gateway ----------------------------------------------------------------------------------------------------

live = pytest.mark.skipif(
    not (os.environ.get("PORTKEY_API_KEY") and os.environ.get("PORTKEY_TEST_MODEL")),
    reason="asks a live gateway: set PORTKEY_API_KEY and PORTKEY_TEST_MODEL (and PORTKEY_BASE_URL for your own)",
)


@pytest.fixture
def live_model() -> Callable[..., PortkeyModel]:
    def make(**model_config: Any) -> PortkeyModel:
        return PortkeyModel(model_id=os.environ["PORTKEY_TEST_MODEL"], **model_config)

    return make


@live
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "json"])
def test_a_live_gateway_answers(live_model: Callable[..., PortkeyModel], stream: bool) -> None:  # noqa: FBT001
    result = Agent(model=live_model(stream=stream), callback_handler=None)("Say the one word: hello")

    assert result.stop_reason == "end_turn"
    assert "hello" in str(result).lower()
    assert result.metrics.accumulated_usage["outputTokens"] > 0


@live
def test_a_live_gateway_lets_two_tools_be_called(live_model: Callable[..., PortkeyModel]) -> None:
    agent = Agent(model=live_model(), tools=[get_weather, get_time], callback_handler=None)

    result = agent("Use both tools: what is the weather and what is the time in Paris?")

    called = {block["toolUse"]["name"] for _, content in _content(agent) for block in content if "toolUse" in block}
    assert called == {"get_weather", "get_time"}
    assert "rain" in str(result).lower()


@live
def test_a_live_gateway_gives_structured_output(live_model: Callable[..., PortkeyModel]) -> None:
    agent = Agent(model=live_model(), callback_handler=None)

    result = agent("Paris has 2,100,000 inhabitants.", structured_output_model=City)

    assert result.structured_output == City(name="Paris", population=2_100_000)
