"""PortkeyModel, under Strands and alone, against a scripted gateway on loopback."""

import asyncio
import copy
import gc
import json
import logging
import pickle
import threading
import weakref
from contextlib import suppress
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from packaging.version import Version
from pydantic import BaseModel
from strands import Agent, tool
from strands.event_loop.streaming import process_stream
from strands.types.content import ContentBlock, Message, Messages
from strands.types.exceptions import ContextWindowOverflowException, ModelThrottledException

from strands_portkey import (
    PortkeyAPIError,
    PortkeyConfigError,
    PortkeyConnectionError,
    PortkeyContextOverflowError,
    PortkeyError,
    PortkeyGuardrailError,
    PortkeyModel,
    PortkeyStreamError,
    PortkeyThrottledError,
    PortkeyTimeoutError,
    ResponseMetadata,
)
from tests_integ.upstream import Gate, Piece, Reply, Request, Upstream, json_reply, sse_reply
from tests_integ.wires import openai

HELLO: Messages = [{"role": "user", "content": [{"text": "Hello"}]}]
KEY = "sk-very-secret-key"


class City(BaseModel):
    """A city."""

    name: str
    population: int


PARIS = City(name="Paris", population=2_100_000)


def make_model(server: Upstream, client_args: dict | None = None, **arguments: Any) -> PortkeyModel:
    return PortkeyModel(
        dict[str, Any](
            {"base_url": server.base_url, "provider": "openai", "Authorization": KEY, **(client_args or {})}
        ),
        **{"model_id": "gpt-4o", **arguments},
    )


async def ask(model: PortkeyModel, messages: Messages = HELLO, **arguments: Any) -> list:
    return [event async for event in model.stream(messages, **arguments)]


async def answer(model: PortkeyModel, **arguments: Any) -> tuple:
    async for event in process_stream(model.stream(HELLO, **arguments)):
        last = event
    return last["stop"]


def says(*pieces: str) -> Reply:
    return openai.stream(openai.text(*pieces))


# -- configuration -----------------------------------------------------------------------------------------------------


def test_the_configuration_is_a_plain_dict():
    model = PortkeyModel(model_id="gpt-4o", params={"temperature": 0})

    assert type(model.config) is dict
    assert model.get_config() == model.config == {"model_id": "gpt-4o", "params": {"temperature": 0}}


def test_update_config_changes_the_keys_given():
    model = PortkeyModel(model_id="gpt-4o", stream=False)

    model.update_config(model_id="gpt-5", params={"top_p": 1})

    assert model.get_config() == {"model_id": "gpt-5", "stream": False, "params": {"top_p": 1}}


def test_wrong_routing_is_found_at_once():
    with pytest.raises(PortkeyConfigError, match="metadata"):
        PortkeyModel({"metadata": {"user": object()}}, model_id="gpt-4o")


async def test_keys_may_come_from_functions_called_for_each_request(server):
    server.reply(says("a"), says("b"))
    keys = iter(["first", "second"])

    async def tenant() -> dict[str, str]:
        return {"x-tenant": "acme"}

    model = make_model(server, {"api_key": lambda: next(keys), "headers": tenant})
    await ask(model)
    await ask(model)

    assert [request.header("x-portkey-api-key") for request in server.requests] == ["first", "second"]
    assert [request.header("x-tenant") for request in server.requests] == ["acme", "acme"]


# -- answers -----------------------------------------------------------------------------------------------------------


async def test_an_answer_becomes_events(server):
    server.reply(says("Hel", "lo"))

    *events, stop, metadata = await ask(make_model(server))

    assert events == [
        {"messageStart": {"role": "assistant"}},
        {"contentBlockStart": {"start": {}}},
        {"contentBlockDelta": {"delta": {"text": "Hel"}}},
        {"contentBlockDelta": {"delta": {"text": "lo"}}},
        {"contentBlockStop": {}},
    ]
    assert stop["messageStop"]["stopReason"] == "end_turn"
    assert metadata["metadata"]["usage"] == {"inputTokens": 10, "outputTokens": 5, "totalTokens": 15}
    metrics = metadata["metadata"]["metrics"]
    assert metrics["latencyMs"] >= metrics["timeToFirstByteMs"] >= 0


async def test_without_streaming_the_same_events_come(server):
    server.reply(openai.answer("Hello", []))

    message = (await answer(make_model(server, stream=False)))[1]

    assert message == {"role": "assistant", "content": [{"text": "Hello"}]}
    assert server.requests[0].json["stream"] is False


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"system_prompt": "Be brief."}, [{"role": "system", "content": "Be brief."}]),
        ({"system_prompt_content": [{"text": "Be brief."}]}, [{"role": "system", "content": "Be brief."}]),
        ({}, []),
    ],
    ids=["text", "blocks", "none"],
)
async def test_the_system_prompt_goes_first(server, given, sent):
    server.reply(says("ok"))

    await ask(make_model(server), **given)

    assert server.requests[0].json["messages"] == [*sent, {"role": "user", "content": "Hello"}]


async def test_a_blank_question_is_asked(server):
    server.reply(says("a"), says("b"))
    agent = Agent(model=make_model(server), callback_handler=None)

    await agent.invoke_async("")
    await agent.invoke_async(" ")

    blank = {"role": "user", "content": "[blank text]"}
    assert server.requests[1].json["messages"] == [blank, {"role": "assistant", "content": "a"}, blank]


async def test_many_answers_at_once_stay_apart(server):
    server.script = lambda request: says(request.json["messages"][0]["content"])
    model = make_model(server)
    numbers = [str(number) for number in range(50)]

    answers = await asyncio.gather(
        *[ask(model, [{"role": "user", "content": [{"text": number}]}]) for number in numbers]
    )

    assert [events[2]["contentBlockDelta"]["delta"]["text"] for events in answers] == numbers


async def test_the_model_can_be_closed_and_used_again(server):
    server.reply(says("a"), says("b"))

    async with make_model(server) as model:
        await ask(model)
    await ask(model)

    assert [request.connection for request in server.requests] == [0, 1]


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])  # noqa: S301
async def test_a_copy_of_the_model_answers_over_connections_of_its_own(server, copied):
    server.reply(says("a"), says("b"))
    model = make_model(server)

    await ask(model)
    await ask(copied(model))

    assert [request.connection for request in server.requests] == [0, 1]
    assert [request.header("authorization") for request in server.requests] == [f"Bearer {KEY}"] * 2


# -- what the gateway says of itself -----------------------------------------------------------------------------------


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
async def test_on_response_is_called_once_for_each_answer(server, is_async):
    reply = says("Hi")
    headers = {
        "x-portkey-trace-id": "t1",
        "x-portkey-provider": "openai",
        "x-portkey-retry-attempt-count": "2",
        "x-request-id": "req_1",
        "x-ratelimit-remaining-requests": "99",
    }
    server.reply(Reply(200, {**reply.headers, **headers, "set-cookie": "a=b"}, reply.pieces))
    reported: list[ResponseMetadata] = []

    async def report(metadata: ResponseMetadata) -> None:
        reported.append(metadata)

    await ask(make_model(server, on_response=report if is_async else reported.append))

    [metadata] = reported
    assert 0 <= (metadata.time_to_first_byte_ms or 0) <= metadata.latency_ms
    assert replace(metadata, latency_ms=0, time_to_first_byte_ms=None) == ResponseMetadata(
        status_code=200,
        trace_id="t1",
        provider="openai",
        model="gpt-4o",
        retry_attempt_count=2,
        usage={"inputTokens": 10, "outputTokens": 5, "totalTokens": 15},
        response_id="chatcmpl-1",
        request_id="req_1",
        headers=headers,
    )


async def test_on_response_is_called_for_errors(server):
    server.reply(json_reply({"error": {"message": "No"}}, 400))
    reported: list[ResponseMetadata] = []

    with pytest.raises(PortkeyAPIError):
        await ask(make_model(server, on_response=reported.append))

    assert [replace(metadata, latency_ms=0) for metadata in reported] == [ResponseMetadata(status_code=400)]


async def test_the_facts_of_a_json_answer_have_no_time_of_a_first_byte(server):
    server.reply(openai.answer("Hi"))
    reported: list[ResponseMetadata] = []

    await ask(make_model(server, stream=False, on_response=reported.append))

    [metadata] = reported
    assert (metadata.response_id, metadata.time_to_first_byte_ms) == ("chatcmpl-1", None)
    assert metadata.usage == {"inputTokens": 10, "outputTokens": 5, "totalTokens": 15}


NAMELESS = {
    "none": sse_reply([openai.sse({"choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": "stop"}]})]),
    "a number": sse_reply([openai.chunk({"content": "Hi"}, "stop", id=7)]),
    "empty": sse_reply([openai.chunk({"content": "Hi"}, "stop", id="")]),
}


@pytest.mark.parametrize("reply", NAMELESS.values(), ids=NAMELESS)
async def test_an_answer_without_an_id_is_reported_without_one(server, reply):
    server.reply(reply)
    reported: list[ResponseMetadata] = []

    await ask(make_model(server, on_response=reported.append))

    assert [metadata.response_id for metadata in reported] == [None]


async def test_a_representation_of_facts_shows_what_is_known_without_headers(server):
    server.reply(json_reply({"error": {"message": "No"}}, 400, {"x-request-id": f"{KEY} req_1", "x-more": "a"}))
    reported: list[ResponseMetadata] = []

    with pytest.raises(PortkeyAPIError):
        await ask(make_model(server, on_response=reported.append))

    shown = repr(replace(reported[0], latency_ms=3))
    assert shown == ("ResponseMetadata(status_code=400, api='chat', attempt=1, request_id='*** req_1', latency_ms=3)")


# -- without an answer --


NO_ANSWER = ResponseMetadata(status_code=None)


def without_times(reported: list[ResponseMetadata]) -> list[ResponseMetadata]:
    assert all(metadata.latency_ms >= 0 for metadata in reported)
    return [replace(metadata, latency_ms=0) for metadata in reported]


async def test_on_response_is_called_for_each_request_that_reached_no_gateway():
    reported: list[ResponseMetadata] = []
    with Upstream() as gone:
        model = make_model(gone, {"max_retries": 1}, on_response=reported.append)

    with pytest.raises(PortkeyConnectionError) as caught:
        await ask(model)

    assert without_times(reported) == [NO_ANSWER, replace(NO_ANSWER, attempt=2)]
    assert (caught.value.request_id, dict(caught.value.headers)) == (None, {})


async def test_on_response_is_called_for_a_gateway_that_hangs_up_or_is_too_slow(server):
    server.reply(Reply(None), Reply(200, hold=Gate()))
    reported: list[ResponseMetadata] = []
    model = make_model(server, {"max_retries": 0, "timeout": {"first_byte": 0.1}}, on_response=reported.append)

    for kind in (PortkeyConnectionError, PortkeyTimeoutError):
        with pytest.raises(kind):
            await ask(model)

    assert without_times(reported) == [NO_ANSWER, NO_ANSWER]
    assert reported[1].latency_ms >= 100


@pytest.mark.parametrize("way", ["signal", "task"])
async def test_on_response_is_called_for_a_request_that_is_cancelled_before_it_is_answered(server, way):
    gate = Gate()
    server.reply(Reply(200, hold=gate))
    reported: list[ResponseMetadata] = []
    cancelled = threading.Event()
    asking = asyncio.create_task(ask(make_model(server, on_response=reported.append), cancel_signal=cancelled))
    await asyncio.wrap_future(gate.reached)

    if way == "signal":
        cancelled.set()
    else:
        asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)

    assert without_times(reported) == [NO_ANSWER]


async def test_a_cancellation_before_anything_is_sent_is_no_request(server):
    reported: list[ResponseMetadata] = []
    cancelled = threading.Event()
    cancelled.set()

    await ask(make_model(server, on_response=reported.append), cancel_signal=cancelled)

    assert reported == []


# -- which request an error is of --


BY_A_PROVIDER = {
    "x-portkey-provider": "openai",
    "x-portkey-trace-id": "t-1",
    "x-request-id": "req_1",
    "retry-after": "99",
}


@pytest.mark.parametrize("status", [400, 429, 500])
async def test_an_error_names_the_request_for_support_and_has_the_headers(server, status):
    server.reply(json_reply({"error": {"message": "No"}}, status, BY_A_PROVIDER))

    with pytest.raises(PortkeyAPIError) as caught:
        await ask(make_model(server, {"max_retries": 0}))

    assert (caught.value.request_id, caught.value.headers) == ("req_1", BY_A_PROVIDER)
    assert str(caught.value).endswith("\nRequest id: req_1")


BROKEN: dict[str, list[bytes]] = {
    "an error": [openai.chunk({"content": "a"}), openai.sse({"error": {"message": "No"}})],
    "no finish reason": [openai.chunk({"content": "a"}), openai.DONE],
    "no chunk": [openai.chunk({"content": "a"}), b"data: {\n\n"],
    "nothing": [],
}


@pytest.mark.parametrize("pieces", BROKEN.values(), ids=BROKEN)
async def test_an_error_in_the_middle_of_an_answer_has_the_headers_too(server, pieces):
    server.reply(Reply(200, {**BY_A_PROVIDER, "content-type": "text/event-stream"}, pieces))

    with pytest.raises(PortkeyError) as caught:
        await ask(make_model(server, {"max_retries": 0}))

    error = caught.value
    assert (error.request_id, error.trace_id, error.headers) == ("req_1", "t-1", BY_A_PROVIDER)
    assert str(error).endswith("\nRequest id: req_1")


async def test_a_timeout_in_the_middle_of_an_answer_has_the_headers_too(server):
    pieces: list[Piece] = [openai.chunk({"content": "a"}), Gate()]
    server.reply(Reply(200, {**BY_A_PROVIDER, "content-type": "text/event-stream"}, pieces))

    with pytest.raises(PortkeyTimeoutError) as caught:
        await ask(make_model(server, {"timeout": {"idle": 0.1}}))

    assert (caught.value.request_id, caught.value.trace_id) == ("req_1", "t-1")


async def test_an_error_without_an_answer_has_no_headers_of_an_earlier_one(server):
    server.reply(json_reply({"error": {"message": "No"}}, 500, {**BY_A_PROVIDER, "retry-after": "0.01"}), Reply(None))

    with pytest.raises(PortkeyConnectionError) as caught:
        await ask(make_model(server, {"max_retries": 1}))

    error = caught.value
    assert (error.attempts, error.request_id, error.trace_id, dict(error.headers)) == (2, None, None, {})


async def test_an_error_of_another_endpoint_names_the_request(server):
    server.reply(json_reply({"error": {"message": "No"}}, 400, BY_A_PROVIDER))

    with pytest.raises(PortkeyAPIError, match="Request id: req_1"):
        await make_model(server).list_models()


# -- what is in the stop event, and in a span --


async def test_a_failing_on_response_does_not_spoil_the_answer(server, caplog):
    server.reply(says("Hi"))

    events = await ask(make_model(server, on_response=lambda _: 1 / 0))

    assert "messageStop" in events[-2]
    assert "on_response failed" in caplog.text


async def test_the_stop_event_reports_what_the_gateway_did(server):
    reply = says("Hi")
    server.reply(Reply(200, {**reply.headers, "x-portkey-cache-status": "HIT"}, reply.pieces))

    *_, stop, _ = await ask(make_model(server))

    facts = stop["messageStop"]["additionalModelResponseFields"]["portkey"]
    assert (facts["status_code"], facts["model"], facts["cache_status"]) == (200, "gpt-4o", "HIT")
    assert json.loads(json.dumps(facts)) == facts


async def test_reasoning_tokens_and_cost_are_kept(server):
    usage = {**openai.USAGE, "completion_tokens_details": {"reasoning_tokens": 3}, "cost": 0.25}
    server.reply(openai.stream(openai.text("Hi"), usage=usage))
    reported: list[ResponseMetadata] = []

    await ask(make_model(server, on_response=reported.append))

    assert [(metadata.reasoning_tokens, metadata.cost) for metadata in reported] == [(3, 0.25)]


# -- one call ----------------------------------------------------------------------------------------------------------


async def test_a_call_can_be_routed_on_its_own(server):
    server.reply(says("a"), says("b"))
    model = make_model(server, {"metadata": {"team": "x", "tier": "free"}}, params={"top_p": 1, "seed": 7})
    own = {"metadata": {"tier": "paid"}, "x-portkey-provider": "groq", "model_id": "m2", "params": {"seed": 8}}

    await ask(model, invocation_state={"portkey": own})
    await ask(model)

    first, second = server.requests
    assert json.loads(first.header("x-portkey-metadata") or "") == {"team": "x", "tier": "paid"}
    assert (first.header("x-portkey-provider"), first.json["model"]) == ("groq", "m2")
    assert (first.json["top_p"], first.json["seed"]) == (1, 8)
    assert json.loads(second.header("x-portkey-metadata") or "") == {"team": "x", "tier": "free"}
    assert (second.header("x-portkey-provider"), second.json["model"], second.json["seed"]) == ("openai", "gpt-4o", 7)


async def test_calls_at_once_do_not_see_each_others_settings(server):
    server.script = lambda request: says(request.header("x-portkey-metadata") or "")
    model = make_model(server)

    answers = await asyncio.gather(
        *[ask(model, invocation_state={"portkey": {"metadata": {"n": str(n)}}}) for n in range(20)]
    )

    said = [events[2]["contentBlockDelta"]["delta"]["text"] for events in answers]
    assert said == [f'{{"n":"{n}"}}' for n in range(20)]


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"base_url": "http://x"}, "base_url"),
        ({"timeout": 1}, "timeout"),
        ({"model_id": ""}, "model_id"),
        ({"params": 3}, "params"),
        ({"upstream": "nobody"}, "upstream"),
        ({"context_window_limit": 8}, "fixed for a model"),
        ({"max_retries": 11}, "must be a whole number from 0 to 10; got 11"),
        ({"trace_id": "a", "Trace-Id": "b"}, "'trace_id' twice"),
        ("fast", "mapping"),
        ({"metadata": "nonsense"}, "metadata"),
    ],
    ids=str,
)
async def test_a_setting_that_one_call_cannot_change_is_refused(server, given, complaint):
    with pytest.raises(PortkeyConfigError, match=complaint):
        await ask(make_model(server), invocation_state={"portkey": given})

    assert server.requests == []


async def test_no_parameters_for_one_call_leave_those_of_the_model(server):
    server.reply(says("a"))

    await ask(make_model(server, params={"seed": 1}), invocation_state={"portkey": {"params": None}})

    assert server.requests[0].json["seed"] == 1


async def test_one_call_may_ask_another_kind_of_model(server):
    server.reply(openai.answer("a"))

    changes = {"model_id": "claude-x", "upstream": "anthropic", "stream": False}
    await ask(make_model(server), invocation_state={"portkey": changes})

    [request] = server.requests
    assert (request.json["model"], request.json["stream"], request.json["max_completion_tokens"]) == (
        "claude-x",
        False,
        4096,
    )
    assert {"x-portkey-upstream", "x-portkey-stream"}.isdisjoint(dict(request.headers))


async def test_metadata_may_be_json_on_either_side(server):
    server.reply(says("a"))
    model = make_model(server, {"metadata": '{"team":"x"}'})

    await ask(model, invocation_state={"portkey": {"metadata": '{"tier":"paid"}'}})

    assert server.requests[0].header("x-portkey-metadata") == '{"team":"x","tier":"paid"}'


@pytest.mark.parametrize("keys", [["old", "new"], ["same", "same"], ["a", "b", "c"]], ids=["fresh", "same", "changing"])
async def test_a_key_that_expired_is_asked_for_once_more(server, keys):
    good = "new"
    server.script = lambda request: (
        says("ok")
        if request.header("x-portkey-api-key") == good
        else json_reply({"error": {"message": "expired"}}, 401)
    )
    given = iter(keys)
    model = make_model(server, {"api_key": lambda: next(given)})

    if good in keys:
        await ask(model)
    else:
        with pytest.raises(PortkeyAPIError, match="expired"):
            await ask(model)

    assert len(server.requests) == (1 if keys[0] == keys[1] else 2)


# -- traces ------------------------------------------------------------------------------------------------------------


def trace_ids(server: Upstream) -> list[str | None]:
    return [request.header("x-portkey-trace-id") for request in server.requests]


def agent_of(model: PortkeyModel, **arguments: Any) -> Agent:
    return Agent(model=model, callback_handler=None, tools=[tell_time], **arguments)


@tool
def tell_time() -> str:
    """Tell the time."""
    return "noon"


def calls_then_says() -> list[Reply]:
    return [openai.stream(openai.tool_call(0, "c1", "tell_time", "{}")), says("Noon.")]


async def test_all_turns_of_an_invocation_have_one_trace_id_and_the_next_another(server):
    server.reply(*calls_then_says(), says("Again."))
    agent, state = agent_of(make_model(server)), {"mine": 1}

    await agent.invoke_async("What time is it?", invocation_state=state)
    await agent.invoke_async("And now?", invocation_state=state)

    first, second, third = trace_ids(server)
    assert first == second != third
    spans = [request.header("x-portkey-span-id") for request in server.requests]
    assert len(set(spans)) == 3
    assert server.requests[1].header("x-portkey-parent-span-id") == spans[0]


async def test_agents_side_by_side_on_one_state_have_one_trace_id_for_each_invocation(server):
    server.script = lambda request: calls_then_says()[request.json["messages"][-1]["role"] == "tool"]
    model, state = make_model(server), {"mine": 1}
    agents = [agent_of(model, system_prompt=name) for name in ("a", "b")]
    await agents[0].invoke_async("Once more than the other", invocation_state=state)

    for _ in range(2):
        await asyncio.gather(*[agent.invoke_async("What time is it?", invocation_state=state) for agent in agents])

    seen: dict[str, list] = {"a": [], "b": []}
    for request, trace_id in zip(server.requests, trace_ids(server), strict=True):
        seen[request.json["messages"][0]["content"]].append(trace_id)
    firsts = {name: ids[::2] for name, ids in seen.items()}
    assert firsts == {name: ids[1::2] for name, ids in seen.items()}
    assert [len(set(ids)) for ids in firsts.values()] == [3, 2]


async def test_agents_one_after_the_other_on_one_state_have_a_trace_id_each(server):
    server.reply(*calls_then_says(), *calls_then_says())
    model, state = make_model(server), {"mine": 1}

    for agent in (agent_of(model), agent_of(model)):
        await agent.invoke_async("What time is it?", invocation_state=state)

    first, second, third, fourth = trace_ids(server)
    assert first == second != third == fourth


async def test_an_agent_that_is_a_tool_of_another_has_a_trace_id_of_its_own(server):
    server.reply(openai.stream(openai.tool_call(0, "c1", "clerk", '{"input":"?"}')), *calls_then_says(), says("Noon."))
    model = make_model(server)
    agent = Agent(model=model, callback_handler=None, tools=[agent_of(model, name="clerk").as_tool()])

    await agent.invoke_async("What time is it?")

    first, of_clerk, of_clerk_too, last = trace_ids(server)
    assert first == last != of_clerk == of_clerk_too


async def test_a_state_holds_nothing_of_this_package_afterwards(server):
    server.reply(says("Hi"), says("Hi"))
    model, state = make_model(server), {"mine": 1}

    await agent_of(model).invoke_async("Hi", invocation_state=state)
    seen = [event async for event in agent_of(model).stream_async("Hi", invocation_state={"mine": 1})]

    of_strands = {"agent", "request_state", *(name for name in state if name.startswith("event_loop_"))}
    assert set(state) - of_strands == {"mine"}
    assert not [name for event in seen for name in event if "portkey" in name]


async def test_finished_agents_are_freed_while_their_task_goes_on(server):
    server.reply(*[says("Hi")] * 100)
    model = make_model(server)
    agents = []

    for _ in range(100):
        agent = agent_of(model)
        await agent.invoke_async("Hi")
        agents.append(weakref.ref(agent))
    del agent
    gc.collect()

    assert [each() for each in agents if each()] == []


async def test_a_stream_that_no_agent_asks_for_has_no_trace_id(server):
    server.script = lambda _: says("Hi")
    model = make_model(server)

    for state in (None, {}, {"agent": "Alice"}, {"agent": agent_of(model)}):
        await ask(model, invocation_state=state)

    assert trace_ids(server) == [None] * 4


async def test_an_invocation_that_is_read_in_many_tasks_has_one_trace_id(server):
    server.reply(*calls_then_says())
    events = agent_of(make_model(server)).stream_async("What time is it?")

    while await asyncio.create_task(anext(events, None)):
        pass

    first, second = trace_ids(server)
    assert first == second


async def test_a_trace_id_of_the_callers_own_takes_precedence(server):
    server.reply(says("a"), says("b"))
    agent = agent_of(make_model(server, {"trace_id": "mine"}))

    await agent.invoke_async("a")
    await agent.invoke_async("b", invocation_state={"portkey": {"trace_id": "this-call"}})

    assert trace_ids(server) == ["mine", "this-call"]


@pytest.mark.parametrize("off", [{"tracing": False}, {"client_args": {"trace_id": None}}], ids=["all", "the id"])
async def test_tracing_can_be_switched_off(server, off):
    server.reply(says("a"))

    await agent_of(make_model(server, off.get("client_args"), tracing=off.get("tracing", True))).invoke_async("a")

    assert trace_ids(server) == [None]
    assert (server.requests[0].header("x-portkey-span-id") is None) == ("tracing" in off)


async def test_the_current_span_is_propagated_and_gets_the_facts_of_the_gateway(server):
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    details = {"prompt_tokens_details": {"cached_tokens": 4}, "completion_tokens_details": {"reasoning_tokens": 3}}
    reply = openai.stream(openai.text("Hi"), usage={**openai.USAGE, **details})
    facts = {"x-portkey-provider": "openai", "x-portkey-retry-attempt-count": "1", "x-portkey-trace-id": "t"}
    facts |= {"x-request-id": "req_1"}
    server.reply(Reply(200, {**reply.headers, **facts}, reply.pieces))

    with provider.get_tracer("test").start_as_current_span("asking") as span:
        await ask(make_model(server))

    trace_id = f"{span.get_span_context().trace_id:032x}"
    assert trace_ids(server) == [trace_id]
    assert (server.requests[0].header("traceparent") or "").split("-")[1] == trace_id
    [exported] = exporter.get_finished_spans()
    attributes = dict(exported.attributes or {})
    times = [attributes.pop(name) for name in ("portkey.latency_ms", "gen_ai.response.time_to_first_chunk")]
    assert [type(time) for time in times] == [int, float]
    assert attributes == {
        "gen_ai.response.id": "chatcmpl-1",
        "gen_ai.response.model": "gpt-4o",
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 5,
        "gen_ai.usage.cache_read.input_tokens": 4,
        "gen_ai.usage.reasoning.output_tokens": 3,
        "portkey.api": "chat",
        "portkey.attempt": 1,
        "portkey.status_code": 200,
        "portkey.request_id": "req_1",
        "portkey.trace_id": "t",
        "portkey.provider": "openai",
        "portkey.retry_attempt_count": 1,
    }


async def test_a_span_tells_of_each_further_request_and_why_it_was_sent(server):
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    server.reply(json_reply({"error": {"message": f"Down {KEY}"}}, 503, {"retry-after": "0.01"}), says("Hi"))

    with provider.get_tracer("test").start_as_current_span("asking"):
        await ask(make_model(server))

    [exported] = exporter.get_finished_spans()
    [event] = exported.events
    facts = dict(event.attributes or {})
    wait = facts.pop("portkey.wait")
    assert isinstance(wait, float)
    assert 0.01 <= wait < 0.02
    assert (event.name, facts) == (
        "portkey.further_request",
        {
            "portkey.attempt": 2,
            "portkey.reason": "PortkeyAPIError: the gateway answered with an error (503): Down ***",
        },
    )
    assert (exported.attributes or {})["portkey.attempt"] == 2


# -- failures ----------------------------------------------------------------------------------------------------------


async def test_an_answer_without_a_finish_reason_raises(server):
    server.reply(sse_reply([openai.chunk({"content": "Half an ans"}), openai.DONE]))

    with pytest.raises(PortkeyStreamError, match="finish reason"):
        await ask(make_model(server))


async def test_an_answer_that_breaks_off_leaves_nothing_in_the_conversation(server):
    server.reply(sse_reply([openai.chunk({"content": "Half an ans"})]))
    agent = Agent(model=make_model(server), callback_handler=None)

    with pytest.raises(PortkeyStreamError):
        await agent.invoke_async("Hello")

    assert [message["role"] for message in agent.messages] == ["user"]


async def test_a_break_after_the_finish_reason_loses_no_answer(server, caplog):
    pieces = [openai.chunk({"content": "Whole"}), openai.chunk({}, "stop")]
    server.reply(Reply(200, {"content-type": "text/event-stream"}, pieces, ending="cut"))

    stop_reason, message, *_ = await answer(make_model(server))

    assert (stop_reason, message["content"]) == ("end_turn", [{"text": "Whole"}])
    assert "the answer was whole" in caplog.text


async def test_a_broken_call_before_a_break_shows_no_key(server):
    call = openai.chunk(
        {"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": '{"k": "' + KEY}}]}
    )
    pieces = [call, openai.chunk({}, "tool_calls")]
    server.reply(Reply(200, {"content-type": "text/event-stream"}, pieces, ending="cut"))

    with pytest.raises(PortkeyStreamError, match="not whole") as caught:
        await ask(make_model(server))

    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "body", "kind", "strands_kind"),
    [
        (429, {"error": {"message": "Slow down"}}, PortkeyThrottledError, ModelThrottledException),
        (
            400,
            {"error": {"message": "Too much of it all"}},
            PortkeyContextOverflowError,
            ContextWindowOverflowException,
        ),
    ],
)
async def test_errors_are_of_the_kinds_that_strands_acts_on(server, status, body, kind, strands_kind):
    server.reply(json_reply(body, status))

    with pytest.raises(kind) as caught:
        await ask(make_model(server, context_overflow_phrases=["too much of it"]))

    assert isinstance(caught.value, strands_kind)


DENIAL: dict[str, Any] = {
    "error": {"message": "The guardrail checks failed.", "type": "hooks_failed", "param": None, "code": None},
    "hook_results": {"before_request_hooks": [{"verdict": False}], "after_request_hooks": []},
}


async def test_a_denial_by_a_guardrail_ends_the_turn(server):
    server.reply(json_reply(DENIAL, 446))
    reported: list[ResponseMetadata] = []

    stop_reason, message, *_ = await answer(make_model(server, on_response=reported.append))

    assert (stop_reason, message["content"]) == ("guardrail_intervened", [{"text": "The guardrail checks failed."}])
    denied = ResponseMetadata(status_code=446, hook_results=DENIAL["hook_results"])
    assert [replace(metadata, latency_ms=0) for metadata in reported] == [denied]


async def test_a_denial_by_a_guardrail_can_raise(server):
    server.reply(json_reply(DENIAL, 446))

    with pytest.raises(PortkeyGuardrailError) as caught:
        await ask(make_model(server, on_guardrail="raise"))

    assert caught.value.hook_results == DENIAL["hook_results"]


ECHO = {"error": {"message": f"Incorrect API key provided: {KEY}", "code": KEY}}


@pytest.mark.parametrize(
    "reply",
    [
        json_reply(ECHO, 401),
        sse_reply([openai.sse(ECHO)]),
        sse_reply([b"data: " + KEY.encode() + b"\n\n"]),
    ],
    ids=["status", "chunk", "no JSON"],
)
async def test_a_key_that_an_answer_quotes_is_not_shown(server, reply, caplog):
    caplog.set_level(logging.DEBUG)
    server.reply(reply)
    model = make_model(server)

    with pytest.raises((PortkeyAPIError, PortkeyStreamError)) as caught:
        await ask(model)

    shown = [str(caught.value), repr(vars(caught.value)), repr(model), repr(model.config), caplog.text]
    assert [text for text in shown if KEY in text] == []


async def test_cancelling_ends_the_events_without_a_stop(server):
    signal, rest = threading.Event(), []
    server.reply(openai.stream(openai.text("Hel"), Gate(), openai.text("lo")))

    async def cancel_at_the_first_word() -> None:
        async for event in make_model(server).stream(HELLO, cancel_signal=signal):
            if signal.is_set():
                rest.append(event)
            if "contentBlockDelta" in event:
                signal.set()

    await asyncio.wait_for(cancel_at_the_first_word(), 1)

    assert rest == []


@pytest.mark.parametrize("asked", [1, 2], ids=["at first", "once more"])
async def test_cancelling_ends_the_wait_for_a_key(server, asked):
    server.reply(json_reply({"error": {"message": "expired"}}, 401))
    signal, never, calls = threading.Event(), asyncio.Event(), iter([1, 2])

    async def key() -> str:
        if next(calls) == asked:
            signal.set()
            await never.wait()
        return "old"

    events = await asyncio.wait_for(ask(make_model(server, {"api_key": key}), cancel_signal=signal), 1)

    assert (events, len(server.requests)) == ([], asked - 1)


@pytest.mark.parametrize("clock", ["first_byte", "total"])
async def test_a_function_for_a_key_that_never_returns_is_timed(server, clock):
    async def key() -> str:
        await asyncio.Event().wait()
        return "late"

    model = make_model(server, {"api_key": key, "timeout": {clock: 0.1}})

    for ask_it in (lambda: ask(model), model.list_models):
        with pytest.raises(PortkeyTimeoutError, match=r"a function in client_args, .* within 0\.1 s") as caught:
            await asyncio.wait_for(ask_it(), 5)
        assert (caught.value.clock, caught.value.seconds) == (clock, 0.1)


async def test_a_function_for_a_key_that_suppresses_a_cancellation_is_timed_too(server):
    async def key() -> str:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return "late"

    with pytest.raises(PortkeyTimeoutError):
        await asyncio.wait_for(ask(make_model(server, {"api_key": key, "timeout": {"total": 0.1}})), 1)

    assert server.requests == []


async def test_an_exception_from_a_function_for_a_key_is_not_converted(server):
    async def key() -> str:
        raise LookupError("no such secret")

    with pytest.raises(LookupError, match="no such secret"):
        await ask(make_model(server, {"api_key": key}))


async def test_a_stale_connection_is_replaced_silently(server):
    server.reply(says("Hi"), Reply(None), says("Hi"), Reply(None), json_reply({"data": [{"id": "gpt-4o"}]}))
    model = make_model(server)

    first = await answer(model)
    assert (await answer(model))[1] == first[1]
    assert await model.list_models() == ["gpt-4o"]

    assert [request.connection for request in server.requests] == [0, 0, 1, 1, 2]


async def test_thoughts_of_an_edited_conversation_are_refused_once_and_later_ones_go_back_within_their_turn(server):
    def thought(signature: str) -> Message:
        return {
            "role": "assistant",
            "content": [
                {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": signature}}},
                {"text": "Hi"},
            ],
        }

    def replayed(request: Request) -> list[str]:
        blocks = [block for each in request.json["messages"] for block in each.get("content_blocks", ())]
        return [block["signature"] for block in blocks if "signature" in block]

    refused = {"error": {"message": "Invalid `signature` in `thinking` block: bound to a different conversation"}}
    signed: Any = {"content_blocks": [{"index": 0, "delta": {"signature": "S2"}}]}
    server.reply(
        json_reply(refused, 400),
        openai.stream([signed, {"content": "Hi"}]),
        says("Hi"),
        says("Hi"),
    )
    model = make_model(server, upstream="anthropic")
    edited = [HELLO[0], thought("S1"), HELLO[0]]

    await ask(model, edited)
    await ask(model, [*edited, thought("S2"), HELLO[0]])
    await ask(model, [HELLO[0], thought("S2"), HELLO[0]])

    assert [replayed(request) for request in server.requests] == [["S1"], [], ["S2"], []]


async def test_the_number_of_parts_in_an_answer_of_another_endpoint_is_limited(server):
    server.reply(json_reply([[]] * 60_000))

    with pytest.raises(PortkeyStreamError, match="it has too many lists and objects"):
        await make_model(server).list_models()


async def test_a_stale_connection_is_replaced_once_at_most(server):
    server.reply(says("Hi"), Reply(None), Reply(None), says("Hi"))
    model = make_model(server, {"max_retries": 0})

    await answer(model)
    with pytest.raises(PortkeyConnectionError):
        await answer(model)

    assert len(server.requests) == 3


@pytest.mark.skipif(Version(version("strands-agents")) < Version("1.54"), reason="its agents keep their signal")
async def test_an_agent_that_is_cancelled_stops_with_that_reason(server):
    gate = Gate()
    server.reply(openai.stream(openai.text("Hel"), gate, openai.text("lo")))
    agent = Agent(model=make_model(server), callback_handler=None)
    asking = asyncio.create_task(agent.invoke_async("Hello"))
    await asyncio.wrap_future(gate.reached)

    agent.cancel()

    assert (await asyncio.wait_for(asking, 1)).stop_reason == "cancelled"


# -- structured output -------------------------------------------------------------------------------------------------


async def output(model: PortkeyModel) -> Any:
    async for event in model.structured_output(City, HELLO):
        last = event
    return last["output"]


def calls_city() -> Reply:
    return openai.stream(openai.tool_call(0, "c1", "City", PARIS.model_dump_json()))


async def test_an_upstream_that_enforces_schemas_gets_one(server):
    server.reply(says(PARIS.model_dump_json()))

    assert await output(make_model(server)) == PARIS
    body = server.requests[0].json
    assert body["response_format"]["type"] == "json_schema"
    assert "tools" not in body


async def test_a_schema_goes_without_a_choice_of_tools_also_beside_tools_of_the_parameters(server):
    server.reply(says(PARIS.model_dump_json()))

    assert await output(make_model(server, params={"tools": [{"type": "web_search"}]})) == PARIS
    assert "tool_choice" not in server.requests[0].json


@pytest.mark.parametrize("stream", [True, False])
async def test_a_structured_output_may_follow_reasoning_in_tags(server, stream):
    said = f"<think>\nThe capital.\n</think>\n\n{PARIS.model_dump_json()}"
    server.reply(
        openai.stream(openai.text(said[:3], said[3:9], said[9:40], said[40:])) if stream else openai.answer(said)
    )
    model = make_model(server, {"provider": "perplexity-ai"}, stream=stream, model_id="sonar-reasoning")

    events = [event async for event in model.structured_output(City, HELLO)]

    assert events[-1] == {"output": PARIS}


async def test_a_structured_output_may_have_sources(server):
    answer = openai.chunk({"content": PARIS.model_dump_json()}, "stop", citations=["https://example.org"])
    server.reply(sse_reply([answer, openai.DONE]))

    events = [event async for event in make_model(server).structured_output(City, HELLO)]

    assert events[-1] == {"output": PARIS}


TAGGED = "<think>Hm.</think>Hello"
AS_TEXT = [{"text": TAGGED}]
AS_REASONING = [{"reasoningContent": {"reasoningText": {"text": "Hm."}}}, {"text": "Hello"}]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("client_args", "config", "content"),
    [
        pytest.param({"provider": "perplexity-ai"}, {}, AS_REASONING, id="perplexity"),
        pytest.param({"provider": "groq"}, {}, AS_REASONING, id="groq"),
        pytest.param({"provider": "ollama"}, {}, AS_REASONING, id="ollama"),
        pytest.param({"provider": "openai", "custom_host": "http://vllm/v1"}, {}, AS_REASONING, id="a copy of openai"),
        pytest.param({"provider": "@our-slug"}, {}, AS_REASONING, id="unknown"),
        pytest.param({"provider": "openai"}, {}, AS_TEXT, id="openai"),
        pytest.param({"provider": "azure-openai"}, {}, AS_TEXT, id="azure"),
        pytest.param({"provider": "anthropic"}, {}, AS_TEXT, id="anthropic"),
        pytest.param({"provider": "google"}, {}, AS_TEXT, id="gemini"),
        pytest.param({"provider": "perplexity-ai"}, {"thinking_tags": False}, AS_TEXT, id="off"),
        pytest.param({"provider": "openai"}, {"thinking_tags": True}, AS_REASONING, id="on"),
        pytest.param({"provider": "@slug"}, {"upstream": "openai"}, AS_REASONING, id="a slug of unknown servers"),
        pytest.param({"provider": "openai"}, {"upstream": "anthropic"}, AS_TEXT, id="the provider decides"),
        pytest.param(
            {"config": {"targets": [{"provider": "openai"}, {"provider": "groq"}]}, "provider": None},
            {},
            AS_REASONING,
            id="one of two",
        ),
    ],
)
async def test_reasoning_in_tags_is_found_where_the_api_has_no_other_place_for_it(
    server, stream, client_args, config, content
):
    server.reply(openai.stream(openai.text("<thi", "nk>Hm.</th", "ink>Hello")) if stream else openai.answer(TAGGED))
    model = make_model(server, client_args, stream=stream, **config)

    async for event in process_stream(model.stream(HELLO)):
        if "stop" in event:
            message = event["stop"][1]

    assert message["content"] == content


async def test_a_call_may_turn_tags_off(server):
    server.reply(openai.stream(openai.text(TAGGED)))
    state = {"portkey": {"thinking_tags": False}}

    events = [event async for event in make_model(server, {"provider": "groq"}).stream(HELLO, invocation_state=state)]

    assert {"contentBlockDelta": {"delta": {"text": TAGGED}}} in events


async def test_a_structured_output_that_is_cancelled_brings_none(server):
    signal = threading.Event()
    signal.set()

    events = [event async for event in make_model(server).structured_output(City, HELLO, cancel_signal=signal)]

    assert [event for event in events if "output" in event] == []


async def test_an_upstream_without_schemas_is_forced_to_call_a_tool(server):
    server.reply(calls_city())

    assert await output(make_model(server, upstream="anthropic")) == PARIS
    assert server.requests[0].json["tool_choice"] == {"type": "function", "function": {"name": "City"}}


class Tree(BaseModel):
    name: str
    children: list["Tree"]


@pytest.mark.parametrize(
    ("upstream", "reply"),
    [
        ("openai", says('{"name": "a", "children": [{"name": "b", "children": []}]}')),
        (
            "anthropic",
            openai.stream(
                openai.tool_call(0, "c1", "Tree", '{"name": "a", "children": [{"name": "b", "children": []}]}')
            ),
        ),
    ],
    ids=["schema", "tool"],
)
async def test_a_recursive_model_comes_back_whole(server, upstream, reply):
    server.reply(reply)

    events = [event async for event in make_model(server, upstream=upstream).structured_output(Tree, HELLO)]

    assert events[-1] == {"output": Tree(name="a", children=[Tree(name="b", children=[])])}


async def test_a_model_that_thinks_is_not_forced_to_call_a_tool(server):
    server.reply(calls_city())
    params = {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 2048}

    assert await output(make_model(server, upstream="anthropic", params=params)) == PARIS
    assert "tool_choice" not in server.requests[0].json


async def test_what_an_upstream_refuses_is_not_tried_again(server):
    def no(what: str) -> Reply:
        return json_reply({"error": {"message": f"{what} is not supported", "param": what}}, 400)

    server.reply(no("response_format"), no("tool_choice"), calls_city(), calls_city())
    model = make_model(server)

    assert [await output(model), await output(model)] == [PARIS, PARIS]
    keys = [request.json.keys() & {"response_format", "tool_choice"} for request in server.requests]
    assert keys == [{"response_format"}, {"tool_choice"}, set(), set()]


async def test_another_error_is_no_reason_to_try_again(server):
    server.reply(json_reply({"error": {"message": "response_format is fine, your key is not"}}, 401))

    with pytest.raises(PortkeyAPIError):
        await output(make_model(server))

    assert len(server.requests) == 1


@pytest.mark.parametrize("said", ["I would rather not.", '{"name": "Paris"}'])
async def test_an_answer_that_does_not_fit_is_quoted(server, said):
    server.reply(says(said))

    with pytest.raises(PortkeyStreamError, match="does not fit City") as caught:
        await output(make_model(server))

    assert said in str(caught.value)


async def test_an_agent_gets_its_structured_output(server):
    def follow(request: Request) -> Reply:
        if "response_format" in request.json:  # Strands before 1.62 forces the tool itself.
            return says(PARIS.model_dump_json())
        return calls_city() if "tool_choice" in request.json else says("Paris has 2.1 million.")

    server.script = follow
    agent = Agent(model=make_model(server), callback_handler=None)

    result = await agent.invoke_async("Tell me of Paris", structured_output_model=City)

    assert result.structured_output == PARIS


# -- beside completions ------------------------------------------------------------------------------------------------


async def test_models_are_listed(server):
    server.reply(json_reply({"object": "list", "data": [{"id": "@openai/gpt-4o"}, {"id": "@groq/llama"}]}))

    assert await make_model(server).list_models() == ["@openai/gpt-4o", "@groq/llama"]
    [request] = server.requests
    assert (request.method, request.path, request.body) == ("GET", "/v1/models", b"")


async def test_feedback_needs_no_answer_beyond_the_status(server):
    server.reply(Reply(204))

    await make_model(server).feedback("trace-1", 5)

    assert [request.path for request in server.requests] == ["/v1/feedback"]


async def test_feedback_goes_to_the_gateway(server):
    server.reply(json_reply({"status": "success"}))

    await make_model(server).feedback("trace-1", 5, metadata={"_user": "alice"})

    [request] = server.requests
    assert (request.method, request.path) == ("POST", "/v1/feedback")
    assert (request.json["trace_id"], request.json["value"]) == ("trace-1", 5)


async def test_a_prompt_is_rendered(server):
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi Ada"}]
    server.reply(json_reply({"success": True, "data": {"messages": messages}}))

    rendered = await make_model(server).render_prompt("pp/1", {"name": "Ada"})

    assert rendered == ("Be brief.", [{"role": "user", "content": [{"text": "Hi Ada"}]}])
    [request] = server.requests
    assert (request.path, request.json) == ("/v1/prompts/pp%2F1/render", {"variables": {"name": "Ada"}})


@pytest.mark.parametrize("reply", [json_reply({"error": {"message": KEY}}, 401), Reply(200, {}, [b"<html>"])])
async def test_a_refusal_beside_completions_raises_and_shows_no_key(server, reply):
    server.reply(reply)

    with pytest.raises(PortkeyAPIError) as caught:
        await make_model(server).list_models()

    assert KEY not in str(caught.value)


async def test_tokens_are_estimated_unless_claude_is_to_count_them(server):
    server.reply(json_reply({"input_tokens": 42}), json_reply({"error": {"message": "down"}}, 500))
    counting = make_model(server, upstream="anthropic", native_token_count=True)

    assert await make_model(server, upstream="anthropic").count_tokens(HELLO) == 2
    assert await make_model(server, native_token_count=True).count_tokens(HELLO) == 2
    assert await counting.count_tokens(HELLO, system_prompt="Be brief.") == 42
    assert await counting.count_tokens(HELLO) == 2
    assert [request.path for request in server.requests] == ["/v1/messages/count_tokens"] * 2


async def test_tokens_are_counted_of_the_pairs_of_calls_and_results_that_would_be_sent(server):
    server.reply(json_reply({"input_tokens": 42}))
    counting = make_model(server, upstream="anthropic", native_token_count=True)
    call: ContentBlock = {"toolUse": {"toolUseId": "t1", "name": "now", "input": {}}}

    with pytest.warns(UserWarning, match="cut between calls and results"):
        assert await counting.count_tokens([*HELLO, {"role": "assistant", "content": [call]}]) == 42

    [request] = server.requests
    assert [block["type"] for block in request.json["messages"][-1]["content"]] == ["tool_result"]


@pytest.mark.parametrize(
    ("config", "limit"),
    [({"context_window_limit": 7}, 7), ({"model_id": "@openai/gpt-4o"}, 128_000), ({"model_id": "ours"}, None)],
    ids=["configured", "known", "unknown"],
)
def test_the_context_window_is_configured_or_known(config, limit):
    assert PortkeyModel(**{"model_id": "gpt-4o", **config}).context_window_limit == limit


async def test_a_denial_while_listing_is_an_error_too(server):
    server.reply(json_reply(DENIAL, 446))

    with pytest.raises(PortkeyGuardrailError):
        await make_model(server).list_models()
