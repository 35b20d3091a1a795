"""PortkeyModel on the Messages wire, against a scripted gateway on loopback."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import BaseModel
from strands.event_loop.streaming import process_stream
from strands.types.content import Messages

from strands_portkey import (
    PortkeyAPIError,
    PortkeyContextOverflowError,
    PortkeyModel,
    PortkeyStreamError,
    PortkeyThrottledError,
    ResponseMetadata,
)
from tests_integ.upstream import Reply, Upstream, json_reply, sse_reply
from tests_integ.wires import anthropic

HELLO: Messages = [{"role": "user", "content": [{"text": "Hello"}]}]
SEARCH = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}}
FOUND = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [{"encrypted_content": "E"}]}
BY_ANTHROPIC = {"x-portkey-provider": "anthropic"}
THINKING = {"thinking": {"type": "adaptive"}}


class City(BaseModel):
    """A city."""

    name: str


def make_model(server: Upstream, client_args: dict[str, Any] | None = None, **config: Any) -> PortkeyModel:
    return PortkeyModel(
        dict[str, Any](
            {"base_url": server.base_url, "provider": "anthropic", "Authorization": "k", **(client_args or {})}
        ),
        **{"model_id": "claude-sonnet-5", "api": "messages", **config},
    )


async def answer(model: PortkeyModel, messages: Messages = HELLO, **arguments: Any) -> Any:
    async for event in process_stream(model.stream(messages, **arguments)):
        last = event
    return last["stop"]


def paused(*blocks: Any, **more: Any) -> Reply:
    return anthropic.stream(*(anthropic.Block(block) for block in blocks), stop_reason="pause_turn", **more)


def says(*pieces: str) -> Reply:
    return anthropic.stream(anthropic.text(*pieces))


def last_message(server: Upstream, number: int = -1) -> Any:
    return server.requests[number].json["messages"][-1]


@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_is_asked_for_and_read_on_its_own_path(server: Upstream, *, stream: bool) -> None:
    server.reply(says("Hi") if stream else anthropic.answer({"type": "text", "text": "Hi"}))
    reported: list[ResponseMetadata] = []
    model = make_model(server, stream=stream)
    model._on_response = reported.append

    stop_reason, message, usage, _ = await answer(model)

    assert [request.path for request in server.requests] == ["/v1/messages"]
    assert (stop_reason, message["content"]) == ("end_turn", [{"text": "Hi"}])
    assert usage == {"inputTokens": 10, "outputTokens": 5, "totalTokens": 15}
    assert [(each.api, each.model, each.attempt) for each in reported] == [("messages", "claude-sonnet-4-5", 1)]


async def test_a_turn_that_thinks_and_calls_goes_back_as_it_came(server: Upstream) -> None:
    said = [
        {"type": "thinking", "thinking": "one", "signature": "S1"},
        {"type": "text", "text": "I look."},
        {"type": "tool_use", "id": "t1", "name": "sum", "input": {"a": 1}},
        {"type": "thinking", "thinking": "", "signature": "S2"},
        {"type": "tool_use", "id": "t2", "name": "sum", "input": {}},
    ]
    server.reply(
        anthropic.stream(
            anthropic.thinking("one", signature="S1"),
            anthropic.text("I look."),
            anthropic.tool_use("t1", "sum", '{"a":', " 1}"),
            anthropic.thinking(signature="S2"),
            anthropic.tool_use("t2", "sum"),
        ),
        says("Done."),
    )
    model = make_model(server)

    stop_reason, message, *_ = await answer(model)
    results: Any = [{"toolResult": {"toolUseId": each, "status": "success", "content": []}} for each in ("t1", "t2")]
    await answer(model, [*HELLO, message, {"role": "user", "content": results}])

    assert stop_reason == "tool_use"
    assert server.requests[1].json["messages"][1] == {"role": "assistant", "content": said}


# -- pauses --


@pytest.mark.parametrize("stream", [True, False])
async def test_a_paused_turn_goes_on_in_the_same_message(server: Upstream, *, stream: bool) -> None:
    blocks: list[Any] = [{"type": "text", "text": "I look."}, SEARCH, FOUND]
    begun = paused(*blocks) if stream else anthropic.answer(*blocks, stop_reason="pause_turn")
    server.reply(begun, says("Done.") if stream else anthropic.answer({"type": "text", "text": "Done."}))
    reported: list[ResponseMetadata] = []
    model = make_model(server, stream=stream)
    model._on_response = reported.append

    stop_reason, message, usage, _ = await answer(model)

    assert last_message(server) == {"role": "assistant", "content": blocks}
    assert (stop_reason, message["content"]) == ("end_turn", [{"text": "I look."}, {"text": "Done."}])
    assert usage["totalTokens"] == 30
    one = {"inputTokens": 10, "outputTokens": 5, "totalTokens": 15}  # Of each request on its own.
    assert [(each.attempt, each.usage, each.response_id) for each in reported] == [(1, one, "msg_1"), (2, one, "msg_1")]


async def test_a_turn_that_pauses_twice_is_sent_back_as_one_message(server: Upstream) -> None:
    server.reply(paused(SEARCH), paused(FOUND), says("Done."))

    await answer(make_model(server))

    assert last_message(server) == {"role": "assistant", "content": [SEARCH, FOUND]}


async def test_a_paused_turn_goes_on_where_its_connection_was_dropped(server: Upstream) -> None:
    blocks = [{"type": "text", "text": "I look."}, SEARCH]
    server.reply(paused(*blocks), Reply(None), says("Done."))

    stop_reason, message, *_ = await answer(make_model(server, {"max_retries": 0}))

    assert [request.connection for request in server.requests] == [0, 0, 1]
    assert last_message(server) == {"role": "assistant", "content": blocks}
    assert (stop_reason, message["content"]) == ("end_turn", [{"text": "I look."}, {"text": "Done."}])


async def test_a_turn_that_pauses_without_end_is_ended_after_ten_times(
    server: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    server.script = lambda _: paused({"type": "text", "text": "a"})

    stop_reason, message, *_ = await answer(make_model(server))

    assert len(server.requests) == 11
    assert (stop_reason, len(message["content"])) == ("end_turn", 11)
    assert "stop_reason=<pause_turn> | taken for the end of the turn" in caplog.text


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        pytest.param(anthropic.error(529, "overloaded_error", "Overloaded"), PortkeyAPIError, id="refused"),
        pytest.param(sse_reply([anthropic.start()]), PortkeyStreamError, id="cut"),
    ],
)
async def test_an_error_after_a_pause_is_not_tried_again(
    server: Upstream, reply: Reply, error: type[Exception]
) -> None:
    server.reply(paused({"type": "text", "text": "a"}, SEARCH), reply)

    with pytest.raises(error):
        await answer(make_model(server))
    assert len(server.requests) == 2


async def test_what_is_reported_of_a_request_after_a_pause_is_of_that_request_alone(server: Upstream) -> None:
    server.reply(paused(SEARCH), anthropic.error(529, "overloaded_error", "Busy"))
    reported: list[ResponseMetadata] = []
    model = make_model(server, {"max_retries": 0})
    model._on_response = reported.append

    with pytest.raises(PortkeyAPIError):
        await answer(model)

    parts = [(each.status_code, each.response_id, each.model, each.usage is None) for each in reported]
    assert parts == [(200, "msg_1", anthropic.MODEL, False), (529, None, None, True)]


async def test_a_paused_turn_of_which_nothing_was_shown_is_tried_again(server: Upstream) -> None:
    server.reply(paused(SEARCH), anthropic.error(500, "api_error", "Oops"), says("Done."))

    stop_reason, message, *_ = await answer(make_model(server))

    assert (stop_reason, message["content"]) == ("end_turn", [{"text": "Done."}])
    assert last_message(server) == last_message(server, 1) == {"role": "assistant", "content": [SEARCH]}


async def test_a_part_that_failed_leaves_nothing_to_the_one_in_its_place(server: Upstream) -> None:
    begun = [*anthropic.tool_use("t1", "sum").pieces(0)[:2], *anthropic.Block(FOUND).pieces(1)]
    server.reply(
        paused(SEARCH),
        sse_reply(
            [
                anthropic.start(),
                *begun,
                *anthropic.end("tool_use")[:1],
                anthropic.event("error", error={"message": "Oops", "type": "api_error"}),
            ]
        ),
        paused(FOUND),
        anthropic.stream(anthropic.tool_use("t2", "sum", "{}")),
    )

    _, message, *_ = await answer(make_model(server, {"max_retries": 1}))

    assert last_message(server) == {"role": "assistant", "content": [SEARCH, FOUND]}
    assert message["content"] == [{"toolUse": {"toolUseId": "t2", "name": "sum", "input": {}}}]


# -- errors --


@pytest.mark.parametrize(
    ("reply", "error", "said"),
    [
        pytest.param(
            anthropic.error(529, "overloaded_error", "Overloaded", BY_ANTHROPIC),
            PortkeyThrottledError,
            "Overloaded",
            id="529",
        ),
        pytest.param(
            anthropic.error(429, "rate_limit_error", "Slow", BY_ANTHROPIC), PortkeyThrottledError, "Slow", id="429"
        ),
        pytest.param(
            anthropic.error(400, "invalid_request_error", "prompt is too long: 9 tokens > 8 maximum", BY_ANTHROPIC),
            PortkeyContextOverflowError,
            "prompt is too long",
            id="overflow",
        ),
        pytest.param(
            anthropic.error(401, "authentication_error", "bad key", BY_ANTHROPIC),
            PortkeyAPIError,
            "check the provider's key",
            id="key",
        ),
        pytest.param(
            json_reply(
                {"status": "failure", "message": "messages is not supported by groq"},
                500,
                {"x-portkey-gateway-exception": "true"},
            ),
            PortkeyAPIError,
            "set api='chat'",
            id="a provider without this protocol",
        ),
    ],
)
async def test_an_error_is_judged(server: Upstream, reply: Reply, error: type[Exception], said: str) -> None:
    server.reply(reply)

    with pytest.raises(error) as caught:
        await answer(make_model(server, {"max_retries": 0}))
    assert type(caught.value) is error
    assert said in str(caught.value)


async def test_thoughts_that_are_refused_are_left_out_of_the_next_request(server: Upstream) -> None:
    refusal = "messages.1.content.0: Invalid `signature` in `thinking` block"
    server.reply(anthropic.error(400, "invalid_request_error", refusal), says("Hi"))
    thought: Any = {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "S"}}}

    await answer(make_model(server), [*HELLO, {"role": "assistant", "content": [thought, {"text": "a"}]}, *HELLO])

    assert [len(request.json["messages"][1]["content"]) for request in server.requests] == [2, 1]


# -- structured output --


@pytest.mark.parametrize(
    ("params", "choice"), [({}, {"type": "tool", "name": "City"}), (THINKING, None)], ids=["forced", "while it thinks"]
)
async def test_an_output_model_is_asked_for_by_a_tool(server: Upstream, params: Any, choice: Any) -> None:
    server.reply(anthropic.stream(anthropic.tool_use("t1", "City", '{"name": "Bern"}')))

    async for event in make_model(server, params=params).structured_output(City, HELLO):
        last = event

    assert last == {"output": City(name="Bern")}
    assert server.requests[0].json.get("tool_choice") == choice
    assert json.dumps(server.requests[0].json["tools"]).count("input_schema") == 1
