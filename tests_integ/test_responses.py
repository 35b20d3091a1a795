"""The Responses wire: an agent, the real gateway, and an upstream that refuses what OpenAI refuses."""

from __future__ import annotations

import asyncio
import copy
import itertools
import json
import threading
from collections.abc import Callable, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from pydantic import BaseModel
from strands import Agent, tool
from strands.event_loop.streaming import process_stream
from strands.session.file_session_manager import FileSessionManager
from strands.types.content import Messages

from strands_portkey import (
    PortkeyAPIError,
    PortkeyConfigError,
    PortkeyContextOverflowError,
    PortkeyError,
    PortkeyModel,
    PortkeyStreamError,
    PortkeyThrottledError,
    ResponseMetadata,
)
from tests_integ.enforcing.responses import TOOLS_ON_CHAT, faults
from tests_integ.gateway import Gateway
from tests_integ.upstream import Ending, Gate, Reply, Request, Upstream, sse_reply
from tests_integ.wires import openai, responses

SECONDS: Final = 10  # Longer than anything here takes; a wait that ends this way is a failure.
HI: Messages = [{"role": "user", "content": [{"text": "Hi"}]}]
AZURE: Final = {
    "azure_resource_name": "resource",
    "azure_deployment_id": "gpt-5.6",
    "azure_api_version": "v1",
}
Body = dict[str, Any]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """Run on asyncio, the loop that Strands runs on."""
    return "asyncio"


@tool
def get_weather(city: str) -> str:
    """Return the weather in a city.

    Args:
        city: Name of the city.
    """
    return f"rain in {city}"


class Weather(BaseModel):
    """The weather in a city."""

    city: str
    rain: bool


class GPT:
    """A model that thinks, says what it does, calls a tool twice at the same time, and then answers.

    It takes tools on Responses only, keeps nothing, and refuses what OpenAI refuses. Its reasoning can be read only
    where it came from.

    Attributes:
        said: The ciphertexts that were given out under each id.
        items: What the next request must hold, as far as this model has made it.
        account: Whose reasoning it can read.
        refuses_include: Whether it refuses to be asked for ciphertexts.
    """

    def __init__(self, account: str = "a", *, refuses_include: bool = False) -> None:
        self.said: dict[str, list[str]] = {}
        self.items: list[Body] = []
        self.account = account
        self.refuses_include = refuses_include
        self._count = 0

    def __call__(self, request: Request) -> Reply:
        body = request.json
        if request.path.endswith("/chat/completions"):
            if body.get("tools") and body.get("reasoning_effort") != "none":
                return openai.error(400, TOOLS_ON_CHAT.format(body["model"]))
            return openai.stream(openai.text("From chat."))
        if self.refuses_include and "include" in body:
            return responses.error(400, "Encrypted content is not supported with this model.", param="include")
        fault = next(faults(body, self.said), None)
        if fault:
            return responses.error(400, fault[0], code=fault[1])
        echo = {key: body[key] for key in ("instructions", "tools") if key in body}
        items = self._answer(body)
        reply: Reply
        if not body["stream"]:
            reply = responses.answer(*items, echo=echo)
        else:
            reply = responses.stream(*items, echo=echo, parallel=True)
        self.items += [_as_sent(item.whole) for item in items]
        return reply

    def _answer(self, body: Body) -> list[responses.Item]:
        if body.get("text", {}).get("format", {}).get("type") == "json_schema":
            return [self._thought(), responses.message('{"city": "Paris",', ' "rain": true}', phase="final_answer")]
        if body["input"][-1].get("type") == "function_call_output" or not body.get("tools"):
            return [self._thought("Now I", "know."), responses.message("It", " rains.", phase="final_answer")]
        return [
            self._thought("I should", "look.\n\nTwice."),
            responses.message("Let me", " look.", phase="commentary"),
            self._thought(),
            self._call("Paris"),
            self._thought("And the other."),
            self._call("Rome"),
        ]

    def _thought(self, *summary: str) -> responses.Item:
        self._count += 1
        item_id, encrypted = f"rs_{self.account}{self._count}", f"gAAA{self.account}{self._count}+/é=="
        self.said.setdefault(item_id, []).append(encrypted)
        return responses.reasoning(item_id, encrypted, *summary)

    def _call(self, city: str) -> responses.Item:
        self._count += 1
        return responses.call(f"call_{self.account}{self._count}", "get_weather", '{"city":', f' "{city}"', "}")


def _as_sent(item: Body) -> Body:
    """Return an item of the model as it must come back."""
    if item["type"] == "reasoning":
        return item
    if item["type"] == "message":
        phase = {"phase": item["phase"]} if "phase" in item else {}
        return {"role": "assistant", "content": item["content"][0]["text"], **phase}
    return {key: item[key] for key in ("type", "call_id", "name", "arguments")}


def openai_host(upstream: Upstream) -> str:
    """Return the address of an upstream as OpenAI's own, whose names are on the loopback here: see `loopback.cjs`."""
    return f"http://api.openai.com:{upstream.port}/v1"


def model_of(gateway: Gateway, upstream: Upstream, model_id: str = "gpt-5.6", **more: Any) -> PortkeyModel:
    """Return a model; `client_args` of `more` are added to those for the upstream."""
    args: Any = {
        "base_url": gateway.base_url,
        "provider": "openai",
        "custom_host": openai_host(upstream),
        "Authorization": "sk-upstream-0123456789",
        **more.pop("client_args", {}),
    }
    return PortkeyModel(args, model_id=model_id, **more)


def bodies(upstream: Upstream) -> list[Body]:
    return [request.json for request in upstream.requests]


def paths(upstream: Upstream) -> list[str]:
    return [request.path for request in upstream.requests]


async def answer(model: PortkeyModel, messages: Messages = HI, **more: Any) -> tuple[str, list[Any], Any]:
    """Return stop reason, content and usage of an answer."""
    async with aclosing(model.stream(messages, **more)) as events:
        [stop] = [event["stop"] async for event in process_stream(events) if "stop" in event]
    return stop[0], stop[1]["content"], stop[2]


# -- an agent ----------------------------------------------------------------------------------------------------------


def test_an_agent_with_tools_works_with_nothing_else_set(gateway: Gateway, upstream: Upstream) -> None:
    upstream.script = GPT()
    seen: list[ResponseMetadata] = []
    agent = Agent(
        model=model_of(gateway, upstream, on_response=seen.append), tools=[get_weather], callback_handler=None
    )

    assert str(agent("How is the weather?")).strip() == "It rains."
    assert paths(upstream) == ["/v1/responses", "/v1/responses"]
    assert [metadata.api for metadata in seen] == ["responses", "responses"]
    assert [metadata.provider for metadata in seen] == ["openai", "openai"]


def test_a_server_that_copies_openai_is_asked_on_chat_completions(gateway: Gateway, upstream: Upstream) -> None:
    upstream.script = lambda _: openai.stream(openai.text("From chat."))
    model = model_of(gateway, upstream, client_args={"custom_host": upstream.base_url})

    assert str(Agent(model=model, tools=[get_weather], callback_handler=None)("Hi")).strip() == "From chat."
    assert paths(upstream) == ["/v1/chat/completions"]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("provider", ["openai", "azure-openai"])
def test_reasoning_comes_back_byte_for_byte_over_four_turns(
    gateway: Gateway, upstream: Upstream, provider: str, stream: object
) -> None:
    gpt = upstream.script = GPT()
    client_args = {"provider": provider, **(AZURE if provider == "azure-openai" else {})}
    model = model_of(gateway, upstream, stream=bool(stream), client_args=client_args)
    agent = Agent(model=model, tools=[get_weather], callback_handler=None, system_prompt="Be brief.")
    for _ in range(4):
        agent("How is the weather?")

    _assert_faithful(upstream, gpt)


def test_reasoning_comes_back_byte_for_byte_from_a_file_session(
    gateway: Gateway, upstream: Upstream, tmp_path: Path
) -> None:
    gpt = upstream.script = GPT()
    for _ in range(4):
        session = FileSessionManager(session_id="s1", storage_dir=str(tmp_path))
        agent = Agent(
            model=model_of(gateway, upstream),
            tools=[get_weather],
            callback_handler=None,
            session_manager=session,
            agent_id="a1",
            system_prompt="Be brief.",
        )
        agent("How is the weather?")

    _assert_faithful(upstream, gpt)


def _assert_faithful(upstream: Upstream, gpt: GPT) -> None:
    """Check that each of eight requests holds all that the model has said, and begins as the one before."""
    sent = bodies(upstream)
    assert len(sent) == 8
    for earlier, later in itertools.pairwise(sent):
        assert json.dumps(later["input"]).startswith(json.dumps(earlier["input"])[:-1])
    ours = [item for item in sent[-1]["input"] if item.get("type") != "function_call_output"]
    ours = [item for item in ours if item.get("role") != "user"]
    assert ours == gpt.items[: len(ours)]
    assert len(gpt.items) - len(ours) == 2  # The last answer.
    assert sum(item.get("type") == "reasoning" for item in ours) == 15
    assert [len(body["tools"]) for body in sent] == [1] * 8


def test_a_model_that_refuses_to_be_asked_for_ciphertexts_is_not_asked_again(
    gateway: Gateway, upstream: Upstream
) -> None:
    upstream.script = GPT(refuses_include=True)
    agent = Agent(model=model_of(gateway, upstream), tools=[get_weather], callback_handler=None)
    agent("How is the weather?")

    assert ["include" in body for body in bodies(upstream)] == [True, False, False]


def test_reasoning_from_another_account_is_left_out_once(gateway: Gateway, upstream: Upstream) -> None:
    first, second = GPT("a"), GPT("b")
    upstream.script = first
    agent = Agent(model=model_of(gateway, upstream), tools=[get_weather], callback_handler=None)
    agent("How is the weather?")
    upstream.script = second
    agent("And now?")

    kinds = [[item["id"] for item in body["input"] if item.get("type") == "reasoning"] for body in bodies(upstream)[2:]]
    assert [bool(ids) for ids in kinds] == [True, False, True]
    assert all(each.startswith("rs_b") for each in kinds[2])


def test_a_conversation_may_change_its_wire(gateway: Gateway, upstream: Upstream) -> None:
    upstream.script = GPT()
    agent = Agent(model=model_of(gateway, upstream), tools=[get_weather], callback_handler=None)
    agent("How is the weather?")
    agent.model.update_config(api="chat", params={"reasoning_effort": "none"})
    agent("And on chat?")
    agent.model.update_config(api="responses", params={})
    agent("And back?")

    assert paths(upstream) == [*["/v1/responses"] * 2, "/v1/chat/completions", *["/v1/responses"] * 2]
    assert "rs_" not in upstream.requests[2].body.decode()


def test_the_wire_of_one_call_is_chosen_by_the_invocation(gateway: Gateway, upstream: Upstream) -> None:
    upstream.script = GPT()
    agent = Agent(model=model_of(gateway, upstream, "gpt-4o"), callback_handler=None)
    agent("Hi")
    agent("Hi", invocation_state={"portkey": {"api": "responses"}})

    assert paths(upstream) == ["/v1/chat/completions", "/v1/responses"]


# -- structured output -------------------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_an_answer_is_held_to_a_schema_by_the_format_of_its_text(gateway: Gateway, upstream: Upstream) -> None:
    upstream.script = GPT()
    model = model_of(gateway, upstream, api="responses")
    async with aclosing(model.structured_output(Weather, HI)) as events:
        [output] = [event["output"] async for event in events if "output" in event]

    [body] = bodies(upstream)
    assert output == Weather(city="Paris", rain=True)
    assert (body["text"]["format"]["type"], body["text"]["format"]["strict"], "tools" in body) == (
        "json_schema",
        True,
        False,
    )


@pytest.mark.anyio
async def test_a_schema_that_is_refused_becomes_a_tool_that_must_be_called(
    gateway: Gateway, upstream: Upstream
) -> None:
    def script(request: Request) -> Reply:
        if "text" in request.json:
            return responses.error(400, "Invalid parameter.", param="text.format")
        return responses.stream(responses.call("call_1", "Weather", '{"city": "Paris", "rain": true}'))

    upstream.script = script
    model = model_of(gateway, upstream, api="responses")
    async with aclosing(model.structured_output(Weather, HI)) as events:
        [output] = [event["output"] async for event in events if "output" in event]

    assert output == Weather(city="Paris", rain=True)
    assert bodies(upstream)[1]["tool_choice"] == {"type": "function", "name": "Weather"}


def test_an_agent_gives_structured_output_beside_its_tools(gateway: Gateway, upstream: Upstream) -> None:
    def script(request: Request) -> Reply:
        tools = [each["name"] for each in request.json["tools"]]
        asks = request.json.get("tool_choice") == {"type": "function", "name": "Weather"}
        if asks or (request.json["input"][-1].get("type") == "function_call_output" and "Weather" in tools):
            return responses.stream(responses.call("call_9", "Weather", '{"city": "Paris", "rain": true}'))
        return responses.stream(responses.call("call_1", "get_weather", '{"city": "Paris"}'))

    upstream.script = script
    agent = Agent(model=model_of(gateway, upstream), tools=[get_weather], callback_handler=None)
    result = agent("How is the weather?", structured_output_model=Weather)

    assert result.structured_output == Weather(city="Paris", rain=True)
    assert set(paths(upstream)) == {"/v1/responses"}


# -- what breaks -------------------------------------------------------------------------------------------------------


def whole() -> list[bytes]:
    """Return the events of an answer with all kinds of items."""
    return list(
        responses.events(
            responses.reasoning("rs_1", "gAAA1", "I should", "look."),
            responses.message("Hé", "llo."),
            responses.call("call_1", "get_weather", '{"city":', ' "Paris"}'),
            responses.call("call_2", "get_weather", '{"city": "Rome"}'),
            parallel=True,
        )
    )


def once(gateway: Gateway, upstream: Upstream, **more: Any) -> PortkeyModel:
    return model_of(gateway, upstream, api="responses", client_args={"max_retries": 0}, **more)


@pytest.mark.anyio
async def test_a_stream_that_ends_after_any_event_is_a_cut(gateway: Gateway, upstream: Upstream) -> None:
    events = whole()
    outcomes: list[str] = []
    for count in range(len(events) + 1):
        ending: Ending = "cut" if count < len(events) else "clean"
        upstream.reply(Reply(200, {"content-type": "text/event-stream"}, events[:count], ending))
        try:
            outcomes.append((await answer(once(gateway, upstream)))[0])
        except PortkeyStreamError as error:
            outcomes.append("broke off" if error.retryable else "final")

    assert outcomes == ["broke off"] * len(events) + ["tool_use"]


def test_no_tool_runs_before_the_answer_has_ended(gateway: Gateway, upstream: Upstream) -> None:
    ran: list[str] = []

    @tool
    def get_weather(city: str) -> str:
        """Return the weather in a city.

        Args:
            city: Name of the city.
        """
        ran.append(city)
        return "rain"

    events = whole()
    failures = 0
    for count in range(len(events)):
        upstream.reply(Reply(200, {"content-type": "text/event-stream"}, events[:count], "cut"))
        agent = Agent(model=once(gateway, upstream), tools=[get_weather], callback_handler=None, retry_strategy=None)
        try:
            agent("How is the weather?")
        except PortkeyStreamError:
            failures += 1
    assert (failures, ran) == (len(events), [])

    upstream.reply(sse_reply(events), responses.stream(responses.message("It rains.")))
    Agent(model=once(gateway, upstream), tools=[get_weather], callback_handler=None)("How is the weather?")
    assert sorted(ran) == ["Paris", "Rome"]


@pytest.mark.anyio
async def test_a_stream_that_is_cut_at_any_byte_is_whole_or_an_error(gateway: Gateway, upstream: Upstream) -> None:
    upstream.reply(sse_reply(whole()))
    async with httpx.AsyncClient() as client:
        headers = {"x-portkey-provider": "openai", "x-portkey-custom-host": upstream.base_url, "authorization": "k"}
        recorded = (await client.post(f"{gateway.base_url}/responses", json={"stream": True}, headers=headers)).content
    assert recorded == b"".join(whole())

    def cut(at: int) -> httpx.AsyncClient:
        reply = httpx.Response(200, headers={"content-type": "text/event-stream"}, content=recorded[:at])
        return httpx.AsyncClient(transport=httpx.MockTransport(lambda _: reply))

    async def outcome(at: int) -> object:
        async with cut(at) as client:
            model = PortkeyModel(
                {"base_url": gateway.base_url, "max_retries": 0}, model_id="m", api="responses", http_client=client
            )
            try:
                return await answer(model)
            except PortkeyStreamError:
                return "broke off"

    expected = await outcome(len(recorded))
    outcomes = [await outcome(at) for at in range(len(recorded))]

    assert [each for each in outcomes if each not in ("broke off", expected)] == []
    assert outcomes.count(expected) <= 2  # Without the line breaks at the end.


@pytest.mark.anyio
async def test_an_answer_that_is_cancelled_at_any_event_ends(gateway: Gateway, upstream: Upstream) -> None:
    events = whole()
    for count in range(len(events)):
        gate, signal = Gate(), threading.Event()
        upstream.reply(sse_reply([*events[:count], gate, *events[count:]]))
        model = once(gateway, upstream)

        async def read(model: PortkeyModel = model, signal: threading.Event = signal) -> list[Any]:
            async with aclosing(model.stream(HI, cancel_signal=signal)) as stream:
                return [event async for event in stream]

        reading = asyncio.create_task(read())
        await asyncio.wait_for(asyncio.wrap_future(gate.reached), SECONDS)
        signal.set()
        got = await asyncio.wait_for(reading, SECONDS)
        gate.open()

        assert not any("messageStop" in event for event in got)


ASKS_TO_WAIT: Final = "Rate limit reached for gpt-5.6. Please try again in {}. Visit https://platform.openai.com."


def throttled(wait: str) -> dict[str, Reply]:
    said: Body = {"code": "rate_limit_exceeded", "message": ASKS_TO_WAIT.format(wait)}
    return {
        "a status": responses.error(429, said["message"], code=said["code"]),
        "an error in the stream": sse_reply([whole()[0], responses.event("error", **said, param=None)]),
        "a response that failed": responses.stream(status="failed", error=said),
        "a JSON answer that failed": responses.answer(status="failed", error=said),
    }


@pytest.mark.anyio
@pytest.mark.parametrize("how", throttled(""))
async def test_a_limit_is_waited_for_as_its_words_ask(gateway: Gateway, upstream: Upstream, how: str) -> None:
    upstream.reply(throttled("120ms")[how], responses.stream(responses.message("Hello")))
    seen: list[ResponseMetadata] = []
    model = model_of(gateway, upstream, api="responses", on_response=seen.append)

    assert (await answer(model))[1] == [{"text": "Hello"}]
    assert [metadata.attempt for metadata in seen] == [1, 2]


@pytest.mark.anyio
@pytest.mark.parametrize("how", throttled(""))
async def test_a_limit_that_takes_more_than_a_minute_is_left_to_strands(
    gateway: Gateway, upstream: Upstream, how: str
) -> None:
    upstream.reply(throttled("1m3s")[how])

    with pytest.raises(PortkeyThrottledError) as caught:
        await answer(model_of(gateway, upstream, api="responses"))
    assert caught.value.retry_after == 63.0
    assert len(upstream.requests) == 1


ERROR: Final = {"type": "error", "sequence_number": 3}


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("reply", "kind", "retryable"),
    [
        pytest.param(
            responses.error(429, "Slow down", code="rate_limit_exceeded"), PortkeyThrottledError, True, id="429"
        ),
        pytest.param(responses.error(429, "No money", code="insufficient_quota"), PortkeyAPIError, False, id="quota"),
        pytest.param(responses.error(503, "Busy", code="server_is_overloaded"), PortkeyThrottledError, True, id="503"),
        pytest.param(responses.error(500, "Oops", code="server_error"), PortkeyAPIError, True, id="500"),
        pytest.param(
            responses.error(400, "Too long", code="context_length_exceeded"),
            PortkeyContextOverflowError,
            False,
            id="overflow",
        ),
        pytest.param(responses.error(400, "Bad", code="invalid_prompt"), PortkeyAPIError, False, id="400"),
        pytest.param(
            sse_reply([whole()[0], responses.event("error", code="server_error", message="Oops", param=None)]),
            PortkeyAPIError,
            True,
            id="flat error event",
        ),
        pytest.param(
            sse_reply(
                [
                    whole()[0],
                    responses.event("error", error={"code": "context_length_exceeded", "message": "Too long"}),
                    responses.event("response.failed", response=responses.response(status="failed")),
                ]
            ),
            PortkeyContextOverflowError,
            False,
            id="nested error event",
        ),
        pytest.param(
            sse_reply(
                [
                    *whole()[:3],
                    responses.event(
                        "response.failed",
                        response=responses.response(status="failed", error={"code": "server_error", "message": "Oops"}),
                    ),
                ]
            ),
            PortkeyAPIError,
            True,
            id="failed",
        ),
        pytest.param(
            responses.answer(status="failed", error={"code": "server_error", "message": "Oops"}),
            PortkeyAPIError,
            True,
            id="failed, as JSON",
        ),
        pytest.param(responses.answer(status="in_progress"), PortkeyStreamError, True, id="not whole, as JSON"),
        pytest.param(Reply(200, {"content-type": "text/event-stream"}), PortkeyStreamError, True, id="nothing"),
    ],
)
async def test_a_failure_is_an_error(
    gateway: Gateway, upstream: Upstream, reply: Reply, kind: type[PortkeyError], retryable: object
) -> None:
    upstream.reply(reply)
    with pytest.raises(PortkeyError) as caught:
        await answer(once(gateway, upstream))

    assert (type(caught.value), caught.value.retryable) == (kind, retryable)


@pytest.mark.anyio
async def test_a_failure_before_any_content_is_tried_again(gateway: Gateway, upstream: Upstream) -> None:
    seen: list[ResponseMetadata] = []
    upstream.reply(
        responses.error(503, "Busy", code="server_error"),
        sse_reply([*whole()[:3], responses.event("error", code="server_error", message="Oops")]),
        responses.stream(responses.message("Hello")),
    )
    model = model_of(gateway, upstream, api="responses", on_response=seen.append)

    assert (await answer(model))[:2] == ("end_turn", [{"text": "Hello"}])
    assert [(metadata.api, metadata.attempt) for metadata in seen] == [("responses", number) for number in (1, 2, 3)]


@pytest.mark.anyio
async def test_the_items_of_an_answer_and_its_counts_come_through(gateway: Gateway, upstream: Upstream) -> None:
    upstream.reply(sse_reply(whole()))
    stop, content, usage = await answer(once(gateway, upstream))

    signature = 'openai-responses:1:{"id":"rs_1","encrypted_content":"gAAA1","parts":[8,5]}'
    assert (stop, content) == (
        "tool_use",
        [
            {"reasoningContent": {"reasoningText": {"text": "I should\n\nlook.", "signature": signature}}},
            {"text": "Héllo."},
            {"toolUse": {"toolUseId": "call_1", "name": "get_weather", "input": {"city": "Paris"}}},
            {"toolUse": {"toolUseId": "call_2", "name": "get_weather", "input": {"city": "Rome"}}},
        ],
    )
    assert (usage["inputTokens"], usage["outputTokens"], usage["cacheReadInputTokens"]) == (10, 5, 4)


# -- who has this wire -------------------------------------------------------------------------------------------------

GUARD: Final = {"default.contains": {"operator": "any", "words": ["zzz"]}, "deny": True}


def target(provider: str, upstream: Upstream, **more: Any) -> Body:
    return {"provider": provider, "custom_host": openai_host(upstream), "api_key": "sk-target-0123456789", **more}


def routed(gateway: Gateway, config: Mapping[str, Any], **more: Any) -> PortkeyModel:
    return PortkeyModel({"base_url": gateway.base_url, "config": config, "max_retries": 0}, model_id="gpt-5.6", **more)


@pytest.mark.anyio
async def test_guardrails_keep_auto_on_chat_where_they_run(gateway: Gateway, upstream: Upstream) -> None:
    upstream.script = GPT()
    config = {**target("openai", upstream), "input_guardrails": [GUARD]}
    tools: Any = [get_weather.tool_spec]

    assert (await answer(routed(gateway, config), tool_specs=tools))[0] == "guardrail_intervened"
    assert upstream.requests == []


@pytest.mark.anyio
async def test_responses_in_spite_of_guardrails_warns_and_they_do_not_run(gateway: Gateway, upstream: Upstream) -> None:
    upstream.script = GPT()
    config = {**target("openai", upstream), "input_guardrails": [GUARD]}
    with pytest.warns(UserWarning, match="runs no guardrails with api='responses'"):
        stop = (await answer(routed(gateway, config, api="responses")))[0]

    assert (stop, paths(upstream)) == ("end_turn", ["/v1/responses"])


@pytest.mark.anyio
async def test_a_fallback_between_targets_that_have_it_works(gateway: Gateway, upstream: Upstream) -> None:
    upstream.reply(responses.error(429, "Slow down"))
    upstream.script = GPT()
    azure = target("azure-openai", upstream, **AZURE)
    config = {"strategy": {"mode": "fallback"}, "targets": [target("openai", upstream), azure]}
    tools: Any = [get_weather.tool_spec]
    seen: list[ResponseMetadata] = []
    stop = (await answer(routed(gateway, config, on_response=seen.append), tool_specs=tools))[0]

    assert stop == "tool_use"
    assert [(each.provider, each.api) for each in seen] == [("azure-openai", "responses")]
    assert len(upstream.requests) == 2


@pytest.mark.anyio
async def test_load_balancing_over_accounts_leaves_reasoning_out_where_it_is_refused(
    gateway: Gateway, upstream: Upstream
) -> None:
    models = {"a": GPT("a"), "b": GPT("b")}

    def script(request: Request) -> Reply:
        key = (request.header("authorization") or "")[-1]
        return models[key](request)

    upstream.script = script
    targets = [{**target("openai", upstream), "api_key": f"sk-target-012345678{key}"} for key in "ab"]
    config = {"strategy": {"mode": "loadbalance"}, "targets": targets}
    agent = Agent(model=routed(gateway, config), tools=[get_weather], callback_handler=None)
    for _ in range(6):
        assert str(agent("How is the weather?")).strip() == "It rains."


@pytest.mark.anyio
async def test_a_target_that_lacks_it_is_refused_before_anything_is_sent(gateway: Gateway, upstream: Upstream) -> None:
    config = {
        "strategy": {"mode": "fallback"},
        "targets": [target("openai", upstream), target("anthropic", upstream)],
    }
    with pytest.raises(PortkeyConfigError) as caught:
        await answer(routed(gateway, config, api="responses"))

    assert "got anthropic\nHint: set api='chat'" in str(caught.value)
    assert upstream.requests == []


@pytest.mark.anyio
async def test_auto_stays_on_chat_where_one_target_lacks_it(gateway: Gateway, upstream: Upstream) -> None:
    upstream.reply(openai.error(400, TOOLS_ON_CHAT.format("gpt-5.6")))
    config = {
        "strategy": {"mode": "loadbalance"},
        "targets": [target("openai", upstream), target("groq", upstream, weight=0)],
    }
    tools: Any = [get_weather.tool_spec]
    with pytest.raises(PortkeyAPIError) as caught:
        await answer(routed(gateway, config), tool_specs=tools)

    assert paths(upstream) == ["/v1/chat/completions"]
    assert "set api='responses', or params={'reasoning_effort': 'none'}" in (caught.value.hint or "")


@pytest.mark.anyio
async def test_what_the_gateway_says_of_a_provider_without_it_names_the_way_out(
    gateway: Gateway, upstream: Upstream
) -> None:
    # On a hosted gateway this provider has it.
    model = once(gateway, upstream)
    model = model_of(gateway, upstream, api="responses", client_args={"provider": "x-ai", "api_key": "pk-0123456789"})
    with pytest.raises(PortkeyAPIError) as caught:
        await answer(model)

    error = caught.value
    assert (error.origin, error.retryable, error.attempts, upstream.requests) == ("gateway", False, 1, [])
    assert "createModelResponse is not supported by x-ai" in str(error)
    assert "set api='chat'" in (error.hint or "")


# -- each rule of the upstream bites -----------------------------------------------------------------------------------

GOOD: Final[Body] = {
    "model": "gpt-5.6",
    "store": False,
    "stream": True,
    "include": ["reasoning.encrypted_content"],
    "tools": [{"type": "function", "name": "f", "parameters": {}, "strict": False}],
    "input": [
        {"role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "g1"},
        {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_1", "output": "1"},
        {"role": "assistant", "content": "One."},
    ],
}
SAID: Final = {"rs_1": ["g1"], "rs_2": ["g2"]}


def item(index: int, **more: Any) -> Callable[[Body], None]:
    def change(body: Body) -> None:
        body["input"][index] |= more

    return change


def without(index: int, *keys: str) -> Callable[[Body], None]:
    def change(body: Body) -> None:
        for key in keys:
            del body["input"][index][key]
        if not keys:
            del body["input"][index]

    return change


CHANGES: Final[Mapping[str, Callable[[Body], None]]] = {
    "a parameter of chat": lambda body: body.update(messages=[]),
    "a store": lambda body: body.update(store=True),
    "no tools": lambda body: body.update(tools=[]),
    "a tool in chat's form": lambda body: body.update(tools=[{"type": "function", "function": {"name": "f"}}]),
    "a tool that may become strict": lambda body: body["tools"][0].pop("strict"),
    "a choice without tools": lambda body: body.update(tools=None, tool_choice="auto"),
    "an unknown item": item(0, type="chat"),
    "an item with a status": item(1, status="completed"),
    "plaintext reasoning": item(1, content=[]),
    "an empty id": item(1, id=""),
    "no summary": without(1, "summary"),
    "no ciphertext": without(1, "encrypted_content"),
    "the ciphertext of another": item(1, encrypted_content="g2"),
    "the id of another": item(1, id="rs_2"),
    "reasoning without its follower": without(2),
    "a call with its id": item(2, id="fc_1"),
    "arguments that are none": item(2, arguments=""),
    "a long call id": item(2, call_id="x" * 65),
    "a call without a result": without(3),
    "a result without a call": item(3, call_id="call_2"),
    "an empty result": item(3, output=""),
    "parts of the model": item(4, content=[{"type": "input_text", "text": "One."}]),
    "an unknown key of a part": lambda body: body["input"][0]["content"][0].update(cache_control={}),
    "five breakpoints": lambda body: body["input"][0].update(
        content=[{"type": "input_text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit"}}] * 5
    ),
}


def test_a_good_request_has_no_fault() -> None:
    assert list(faults(GOOD, SAID)) == []


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_request_is_refused_for_one_fault(change: Callable[[Body], None]) -> None:
    body = copy.deepcopy(GOOD)
    change(body)

    assert list(faults(body, SAID))
