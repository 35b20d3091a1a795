"""What an agent survives: passing failures before any content are tried again, and nothing else is.

`pytest tests_integ/test_survival.py -s` prints how long the ten failures take, beside Strands' own model for OpenAI,
and how many of fifty agents notice that their gateway was replaced.
"""

from __future__ import annotations

import asyncio
import logging
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path
from typing import Any, Final

import pytest
from pydantic import BaseModel
from strands import Agent, tool
from strands.models.model import Model
from strands.types.content import Messages
from strands.types.exceptions import ModelThrottledException
from strands.types.streaming import StreamEvent

from strands_portkey import (
    PortkeyAPIError,
    PortkeyConfigError,
    PortkeyConnectionError,
    PortkeyError,
    PortkeyGuardrailError,
    PortkeyModel,
    PortkeyStreamError,
    PortkeyThrottledError,
    PortkeyTimeoutError,
    ResponseMetadata,
)
from tests_integ.gateway import Gateway, running_gateway
from tests_integ.late import LatePort, standing_by
from tests_integ.upstream import Ending, Gate, Piece, Reply, Request, Upstream, json_reply
from tests_integ.wires import openai

SECONDS: Final = 20  # Longer than anything here takes; a wait that ends this way is a failure.
SOON: Final = 5  # Longer than two usual waits and shorter than any that was asked for in vain.
AT_ONCE: Final = 1.5  # What an end that is due at once may take on a busy machine.
KEY: Final = "sk-secret-0123456789abcdef"
HI: Messages = [{"role": "user", "content": [{"text": "Hi"}]}]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """Run on asyncio, the loop that Strands runs on."""
    return "asyncio"


# -- what the gateway answers ------------------------------------------------------------------------------------------

GATEWAY: Final = {
    "x-portkey-last-used-option-index": "config",
    "x-portkey-trace-id": "",
    "x-portkey-retry-attempt-count": "0",
    "x-portkey-cache-status": "DISABLED",
    "x-portkey-provider": "openai",
}
NO_WAIT: Final = {"retry-after-ms": "1"}
ROLE: Final = openai.chunk({"role": "assistant", "content": ""})
RESET: Final = Reply(None, ending="abort")
HANG_UP: Final = Reply(None, ending="cut")


def streamed(*pieces: Piece, ending: Ending = "clean") -> Reply:
    return Reply(200, {"content-type": "text/event-stream", **GATEWAY}, pieces, ending)


def of_provider(reply: Reply) -> Reply:
    """Return what the provider has sent where the gateway answers this."""
    return replace(reply, headers={name: value for name, value in reply.headers.items() if name not in GATEWAY})


def fails(status: int, message: str = "Oops", headers: Mapping[str, str] | None = None, **error: str | None) -> Reply:
    """Return an error of the provider as the gateway passes it on."""
    complaint = {"message": f"openai error: {message}", "type": "server_error", "param": None, "code": None, **error}
    return json_reply({"error": complaint, "provider": "openai"}, status, {**GATEWAY, **(headers or {})})


def passes(_: Request | None = None) -> Reply:
    """Return the answer."""
    return streamed(*openai.stream(openai.text("Hel", "lo")).pieces)


# -- the agent ---------------------------------------------------------------------------------------------------------


def portkey(base_url: str, client_args: Mapping[str, Any] | None = None, **more: Any) -> PortkeyModel:
    usual: dict[str, Any] = {"base_url": base_url, "provider": "openai", "Authorization": KEY}
    return PortkeyModel({**usual, **(client_args or {})}, **{"model_id": "m", **more})


async def ask(model: Model, **more: Any) -> str:
    """Return what an agent answers that tries nothing again by itself."""
    agent = Agent(model=model, callback_handler=None, retry_strategy=None)
    return str(await asyncio.wait_for(agent.invoke_async("Hi", **more), SECONDS)).strip()


async def events_of(model: PortkeyModel, **more: Any) -> list[StreamEvent]:
    async def collect() -> list[StreamEvent]:
        return [event async for event in model.stream(HI, **more)]

    return await asyncio.wait_for(collect(), SECONDS)


def said(events: list[StreamEvent]) -> list[object]:
    """Return the events of an answer without what the gateway said of it."""
    return [event if "messageStop" not in event else event["messageStop"]["stopReason"] for event in events[:-1]]


@pytest.fixture
def server(upstream: Upstream) -> Upstream:
    """Stands for the gateway; it answers once its queue of failures is empty."""
    upstream.script = passes
    return upstream


def noted(server: Upstream) -> list[float]:
    """Return a list that gets the time of each request; all of them fail."""
    times: list[float] = []

    def script(_: Request) -> Reply:
        times.append(time.monotonic())
        return fails(503)

    server.script = script
    return times


# -- the ten failures --------------------------------------------------------------------------------------------------

REFUSED: Final = 0.7  # Seconds.
FAILURES: Final[dict[str, Sequence[Reply]]] = {
    f"refused for {REFUSED} s": [],
    "reset once": [RESET],
    "reset twice": [RESET, RESET],
    "408": [fails(408, "Request timed out.")],
    "409": [fails(409)],
    "500": [fails(500)],
    "502": [fails(502)],
    "503": [fails(503)],
    "504 twice": [fails(504), fails(504)],
    "429 with Retry-After 1": [fails(429, "Slow down", {"retry-after": "1"}, code="rate_limit_exceeded")],
}


async def survive(name: str, make: Callable[[str], Model]) -> tuple[str, float]:
    """Let an agent meet one of `FAILURES`; return its answer, or its error, and the seconds that it took."""
    with ExitStack() as stack:
        server = stack.enter_context(Upstream(passes))
        server.reply(*FAILURES[name])
        base_url = server.base_url
        if name.startswith("refused"):
            late = stack.enter_context(LatePort(server.port))
            base_url = late.base_url
            late.open(REFUSED)
        started = time.monotonic()
        try:
            answer = await ask(make(base_url))
        except Exception as error:  # noqa: BLE001 - of whatever client
            answer = type(error).__name__
        took = time.monotonic() - started
        assert len(server.requests) == len(FAILURES[name]) + 1 or answer != "Hello"
    return answer, took


@pytest.mark.parametrize("name", FAILURES)
async def test_an_agent_survives_a_passing_failure(name: str) -> None:
    answer, took = await survive(name, portkey)

    assert answer == "Hello"
    assert took < SOON


async def test_an_agent_survives_what_it_survives_with_strands_own_model_for_openai() -> None:
    pytest.importorskip("openai")
    from strands.models.openai import OpenAIModel  # noqa: PLC0415 - not each environment has it

    def openai_model(base_url: str) -> Model:
        return OpenAIModel(client_args={"base_url": base_url, "api_key": KEY}, model_id="m")

    rows: dict[str, list[tuple[str, float]]] = {}
    for make in (openai_model, portkey):
        with Upstream(passes) as server:  # What is imported at the first call is no part of any time.
            assert await ask(make(server.base_url)) == "Hello"
        for name in FAILURES:
            rows.setdefault(name, []).append(await survive(name, make))

    print("\n\n| failure | OpenAIModel | s | PortkeyModel | s |\n|---|---|---|---|---|")
    for name, ((theirs, their_time), (ours, our_time)) in rows.items():
        print(f"| {name} | {theirs} | {their_time:.2f} | {ours} | {our_time:.2f} |")
    survived = [sum(row[each][0] == "Hello" for row in rows.values()) for each in (0, 1)]
    print(f"\n{survived[0]} of {len(rows)} survived with OpenAIModel, {survived[1]} with PortkeyModel")
    assert survived == [10, 10]


@pytest.mark.parametrize(
    "replies",
    [
        pytest.param([HANG_UP], id="hung up"),
        pytest.param([HANG_UP, RESET], id="hung up, then reset"),
        pytest.param([fails(503), RESET], id="503, then reset"),
        pytest.param([Reply(502, {"content-type": "text/html"}, [b"<h1>Bad Gateway</h1>"])], id="502 of a proxy"),
        pytest.param([fails(500, headers={"x-portkey-provider": "anthropic"})], id="500 of another provider"),
        pytest.param([fails(429, "Slow down", {"retry-after-ms": "20"})], id="429 with retry-after-ms"),
    ],
)
async def test_an_agent_survives_failures_of_other_kinds(server: Upstream, replies: list[Reply]) -> None:
    server.reply(*replies)

    assert await ask(portkey(server.base_url)) == "Hello"
    assert len(server.requests) == len(replies) + 1


async def test_an_agent_survives_a_failure_before_an_answer_that_is_no_stream(server: Upstream) -> None:
    whole = openai.answer("Hello")
    server.reply(fails(503, headers=NO_WAIT), Reply(200, {**whole.headers, **GATEWAY}, whole.pieces))

    assert await ask(portkey(server.base_url, stream=False)) == "Hello"
    assert len(server.requests) == 2


async def test_structured_output_survives_a_failure(server: Upstream) -> None:
    class City(BaseModel):
        name: str

    server.reply(fails(503, headers=NO_WAIT), streamed(*openai.stream(openai.text('{"name":"Paris"}')).pieces))

    events = [event async for event in portkey(server.base_url).structured_output(City, HI)]

    assert events[-1] == {"output": City(name="Paris")}
    assert [request.json for request in server.requests] == [server.requests[0].json] * 2


async def test_the_request_that_goes_again_is_the_same(server: Upstream) -> None:
    server.reply(fails(503, headers=NO_WAIT), fails(503, headers=NO_WAIT))

    assert await ask(portkey(server.base_url)) == "Hello"
    bodies = [request.body for request in server.requests]
    assert bodies == [bodies[0]] * 3


async def test_a_dead_connection_that_was_kept_takes_no_try_away(server: Upstream) -> None:
    model = portkey(server.base_url)
    assert await ask(model) == "Hello"
    server.reply(RESET, fails(503, headers=NO_WAIT), fails(503, headers=NO_WAIT))

    assert await ask(model) == "Hello"
    assert len(server.requests) == 5
    assert server.requests[1].connection == server.requests[0].connection


async def test_a_key_that_is_fetched_anew_takes_no_try_away(server: Upstream) -> None:
    keys = iter(["old", "new"])
    server.reply(fails(401), fails(503, headers=NO_WAIT), fails(503, headers=NO_WAIT))

    assert await ask(portkey(server.base_url, {"Authorization": lambda: next(keys)})) == "Hello"
    assert [request.header("authorization") for request in server.requests] == ["Bearer old", *["Bearer new"] * 3]


# -- how often ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("max_retries", "requests"), [(None, 3), (0, 1), (1, 2), (3, 4), (10, 11)])
async def test_a_failure_that_stays_is_raised_after_as_many_tries_as_were_allowed(
    server: Upstream, max_retries: int | None, requests: int
) -> None:
    server.script = lambda _: fails(503, headers=NO_WAIT)
    model = portkey(server.base_url, {} if max_retries is None else {"max_retries": max_retries})

    with pytest.raises(PortkeyAPIError) as caught:
        await events_of(model)

    assert len(server.requests) == requests
    assert (caught.value.status_code, caught.value.retryable) == (503, True)


@pytest.mark.parametrize(("for_model", "for_call", "requests"), [(2, 0, 1), (0, 1, 2), (0, 3, 4)])
async def test_one_call_may_be_tried_more_or_less_often_than_others(
    server: Upstream, for_model: int, for_call: int, requests: int
) -> None:
    server.script = lambda _: fails(503, headers=NO_WAIT)
    model = portkey(server.base_url, {"max_retries": for_model})

    with pytest.raises(PortkeyAPIError):
        await events_of(model, invocation_state={"portkey": {"max_retries": for_call}})
    assert len(server.requests) == requests

    with pytest.raises(PortkeyAPIError):
        await events_of(model)
    assert len(server.requests) == requests + for_model + 1


INVALID: Final = [-1, 11, 1.5, 2.0, True, "2", None, float("nan"), [2]]


@pytest.mark.parametrize("wrong", INVALID, ids=repr)
def test_a_wrong_number_of_retries_is_refused_before_anything_is_sent(wrong: object) -> None:
    with pytest.raises(PortkeyConfigError, match=r"max_retries'\] must be .*0 to 10.*; got"):
        portkey("http://127.0.0.1:9/v1", {"max_retries": wrong})


@pytest.mark.parametrize("wrong", INVALID, ids=repr)
async def test_a_wrong_number_of_retries_for_one_call_is_refused_before_anything_is_sent(
    server: Upstream, wrong: object
) -> None:
    with pytest.raises(PortkeyConfigError, match=r"max_retries.* must be .*0 to 10.*; got"):
        await events_of(portkey(server.base_url), invocation_state={"portkey": {"max_retries": wrong}})

    assert server.requests == []


# -- what is not tried again -------------------------------------------------------------------------------------------

DENIED: Final = {
    "error": {"message": "The guardrail checks defined in the config failed.", "type": "hooks_failed"},
    "hook_results": {"before_request_hooks": [{"verdict": False, "id": "h", "deny": True}]},
}
TIMED_OUT: Final = "Request exceeded the timeout sent in the request: 500ms"
FINAL: Final[dict[str, tuple[Reply, type[Exception]]]] = {
    "400": (fails(400, type="invalid_request_error"), PortkeyAPIError),
    "401": (fails(401, code="invalid_api_key"), PortkeyAPIError),
    "403": (fails(403), PortkeyAPIError),
    "404": (fails(404), PortkeyAPIError),
    "412": (json_reply({"error": {"message": "Budget exhausted"}}, 412, GATEWAY), PortkeyAPIError),
    "446": (json_reply(DENIED, 446, GATEWAY), PortkeyGuardrailError),
    "a gateway exception": (
        json_reply(
            {"status": "failure", "message": "Something went wrong"}, 500, {"x-portkey-gateway-exception": "true"}
        ),
        PortkeyAPIError,
    ),
    "503 that the gateway has retried": (fails(503, headers={"x-portkey-retry-attempt-count": "2"}), PortkeyAPIError),
    "503 that the gateway gave up": (fails(503, headers={"x-portkey-retry-attempt-count": "-1"}), PortkeyAPIError),
    "429 that the gateway gave up": (
        fails(429, headers={"x-portkey-retry-attempt-count": "-1", "retry-after": "1"}),
        ModelThrottledException,
    ),
    "408 of the gateway itself": (
        json_reply(
            {"error": {"message": TIMED_OUT, "type": "timeout_error", "param": None, "code": None}}, 408, GATEWAY
        ),
        PortkeyAPIError,
    ),
    "429 for a quota that is used up": (
        fails(429, "You exceeded your current quota", {"retry-after": "1"}, code="insufficient_quota"),
        PortkeyAPIError,
    ),
    "429 that does not say when": (fails(429), ModelThrottledException),
    "429 for more than a minute": (fails(429, headers={"retry-after": "61"}), ModelThrottledException),
    "429 for years": (fails(429, headers={"retry-after": "1e9"}), ModelThrottledException),
    "429 until long from now": (
        fails(429, headers={"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT"}),
        ModelThrottledException,
    ),
}


@pytest.mark.parametrize("name", FINAL)
async def test_an_error_that_time_does_not_mend_is_raised_after_one_request(server: Upstream, name: str) -> None:
    reply, kind = FINAL[name]
    server.reply(reply)

    with pytest.raises(kind) as caught:
        await asyncio.wait_for(events_of(portkey(server.base_url, on_guardrail="raise")), SOON)

    assert isinstance(caught.value, PortkeyError)
    assert not isinstance(caught.value, ModelThrottledException) or kind is ModelThrottledException
    assert len(server.requests) == 1


async def test_an_error_that_time_does_not_mend_ends_the_tries(server: Upstream) -> None:
    server.reply(fails(503, headers=NO_WAIT), fails(400, "No such parameter"))

    with pytest.raises(PortkeyAPIError, match="No such parameter"):
        await events_of(portkey(server.base_url))

    assert len(server.requests) == 2


BEGUN: Final[dict[str, list[openai.Delta]]] = {
    "a word": openai.text("Hel"),
    "a thought": openai.reasoning("Hm"),
    "a tool's name and the begin of its arguments": openai.tool_call(0, "c1", "get_weather", "{"),
}


@pytest.mark.parametrize("ending", ["clean", "cut", "error"])
@pytest.mark.parametrize("name", BEGUN)
async def test_an_answer_that_has_begun_is_not_asked_for_again(server: Upstream, name: str, ending: str) -> None:
    pieces = [ROLE, *map(openai.chunk, BEGUN[name])]
    if ending == "error":
        pieces.append(openai.sse({"error": {"message": "Oops", "type": "server_error"}}))
    server.reply(streamed(*pieces, ending="cut" if ending == "cut" else "clean"))

    with pytest.raises(PortkeyError) as caught:
        await events_of(portkey(server.base_url))

    assert isinstance(caught.value, PortkeyAPIError if ending == "error" else PortkeyStreamError)
    assert caught.value.retryable
    assert len(server.requests) == 1


async def test_a_server_that_is_silent_is_not_asked_again(server: Upstream) -> None:
    server.reply(Reply(hold=Gate()))

    with pytest.raises(PortkeyTimeoutError) as caught:
        await events_of(portkey(server.base_url, {"timeout": {"first_byte": 0.3}}))

    assert caught.value.clock == "first_byte"
    assert len(server.requests) == 1


# -- before any content ------------------------------------------------------------------------------------------------

PASSING: Final = {"message": "The server had an error while processing your request.", "type": "server_error"}
EMPTY: Final[dict[str, Reply]] = {
    "an error": streamed(openai.sse({"error": PASSING})),
    "an error after the role": streamed(ROLE, openai.sse({"error": PASSING})),
    "an event named error": streamed(ROLE, b"event: error\n" + openai.sse({"error": PASSING})),
    "an end without reason": streamed(ROLE),
    "an end without reason after an empty delta": streamed(ROLE, openai.chunk({"content": ""}), openai.chunk({})),
    "an end without reason and without anything": streamed(),
    "only the last event": streamed(ROLE, openai.DONE),
    "a tool's name, of which more may come": streamed(ROLE, *map(openai.chunk, openai.tool_call(0, "c1", "get_"))),
    "a closed connection": streamed(ROLE, ending="cut"),
    "a reset connection": streamed(ROLE, ending="abort"),
    "a keep-alive and a closed connection": streamed(b": OPENROUTER PROCESSING\n\n", ending="cut"),
    "a finish reason that is an error": streamed(ROLE, openai.chunk({}, "error"), openai.DONE),
}


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("name", EMPTY)
async def test_a_stream_that_fails_before_any_content_is_asked_for_again(
    server: Upstream, name: str, times: int
) -> None:
    model = portkey(server.base_url)
    undisturbed = await events_of(model)
    server.reply(*[EMPTY[name]] * times)

    # Strands sees one answer, which begins once.
    assert said(await events_of(model)) == said(undisturbed)
    assert len(server.requests) == times + 2


@pytest.mark.parametrize("name", EMPTY)
async def test_nothing_of_a_stream_without_content_is_handed_on_before_its_error(server: Upstream, name: str) -> None:
    server.script = lambda _: EMPTY[name]
    events: list[StreamEvent] = []

    with pytest.raises(PortkeyError) as caught:
        async for event in portkey(server.base_url, {"max_retries": 0}).stream(HI):
            events.append(event)  # noqa: PERF401 - what came before the error counts

    assert events == []
    assert caught.value.retryable
    assert len(server.requests) == 1


async def test_an_error_in_a_stream_that_time_does_not_mend_is_raised_after_one_request(server: Upstream) -> None:
    complaint = {"message": "No such parameter", "type": "invalid_request_error", "code": "unknown_parameter"}
    server.reply(streamed(ROLE, openai.sse({"error": complaint})))

    with pytest.raises(PortkeyAPIError, match="No such parameter"):
        await events_of(portkey(server.base_url))

    assert len(server.requests) == 1


# -- waiting -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("headers", "least"),
    [
        ({"retry-after": "1"}, 1.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after-ms": "1200"}, 1.2),
        ({"retry-after-ms": "1200", "retry-after": "30"}, 1.2),
    ],
    ids=str,
)
async def test_a_wait_is_as_long_as_the_answer_asks(
    server: Upstream, status: int, headers: dict[str, str], least: float
) -> None:
    server.reply(fails(status, headers=headers))
    started = time.monotonic()

    assert await ask(portkey(server.base_url)) == "Hello"
    assert least <= time.monotonic() - started < least + 2


async def test_a_wait_may_be_asked_for_as_a_date(server: Upstream) -> None:
    server.reply(fails(503, headers={"retry-after": formatdate(time.time() + 2.5, usegmt=True)}))
    started = time.monotonic()

    assert await ask(portkey(server.base_url)) == "Hello"
    assert 1.4 <= time.monotonic() - started < SOON  # A date has whole seconds.


async def test_a_wait_that_nobody_asks_for_is_half_a_second_and_then_twice_as_long(server: Upstream) -> None:
    times = noted(server)

    with pytest.raises(PortkeyAPIError):
        await events_of(portkey(server.base_url))

    first, second = times[1] - times[0], times[2] - times[1]
    assert 0.3 <= first < 1
    assert 0.6 <= second < 2


async def test_those_who_failed_together_do_not_come_back_together(server: Upstream) -> None:
    model = portkey(server.base_url)
    starts = noted(server)
    waits: list[float] = []

    async def one() -> None:
        logged = len(starts)
        with pytest.raises(PortkeyAPIError):
            await events_of(model, invocation_state={"portkey": {"max_retries": 1}})
        waits.append(starts[logged + 1] - starts[logged])

    for _ in range(8):
        await one()

    assert max(waits) - min(waits) > 0.02


NONSENSE: Final = {
    "words": "soon",
    "negative": "-5",
    "a date in the past": "Thu, 01 Jan 1970 00:00:00 GMT",
    "no date": "Thu, 99 Foo 1970 00:00:00 GMT",
    "nan": "nan",
    "infinite": "inf",
    "infinite and negative": "-inf",
    "too large for a float": "1e999",
    "of 5,000 digits": "9" * 5000,
}


@pytest.mark.parametrize("name", NONSENSE)
async def test_a_wait_that_makes_no_sense_is_as_short_as_usual(server: Upstream, name: str) -> None:
    server.reply(fails(503, headers={"retry-after": NONSENSE[name]}))

    assert await asyncio.wait_for(ask(portkey(server.base_url)), SOON) == "Hello"
    assert len(server.requests) == 2


@pytest.mark.parametrize("header", ["retry-after", "retry-after-ms", "x-ms-retry-after-ms"])
@pytest.mark.parametrize("status", [408, 429, 503])
async def test_nothing_makes_an_agent_wait_long(server: Upstream, status: int, header: str) -> None:
    over = "61" if header == "retry-after" else "60001"
    values = [*NONSENSE.values(), over, "1e9", "Fri, 31 Dec 9999 23:59:59 GMT"]
    server.script = lambda request: fails(status, headers={header: values[int(request.header("x-number") or 0)]})

    async def one(number: int) -> None:
        with pytest.raises(PortkeyAPIError) as caught:
            await events_of(portkey(server.base_url, {"headers": {"x-number": str(number)}}))
        assert caught.value.status_code == status

    await asyncio.wait_for(asyncio.gather(*map(one, range(len(values)))), SOON)

    requests = Counter(request.header("x-number") for request in server.requests)
    assert len(requests) == len(values)
    assert max(requests.values()) <= 3


@pytest.mark.parametrize("name", ["words", "no date", "nan", "infinite", "too large for a float"])
async def test_a_throttle_whose_wait_makes_no_sense_is_left_to_strands(server: Upstream, name: str) -> None:
    server.reply(fails(429, headers={"retry-after": NONSENSE[name]}))

    with pytest.raises(PortkeyThrottledError):
        await events_of(portkey(server.base_url))

    assert len(server.requests) == 1


# -- the end of a wait -------------------------------------------------------------------------------------------------

MINUTE: Final = {"retry-after": "60"}  # The longest that is waited for.


class Waiting:
    """A model whose first answer asks for a wait of a minute, and what tells that it has begun to wait."""

    def __init__(self, server: Upstream, status: int, **client_args: Any) -> None:
        self._server = server
        self._answered = asyncio.Event()
        server.reply(fails(status, headers=MINUTE))
        self.model = portkey(server.base_url, client_args, on_response=lambda _: self._answered.set())

    async def begun(self) -> None:
        """Return once the first answer was read and its connection closed, which is done before any wait."""
        await asyncio.wait_for(self._answered.wait(), SECONDS)
        await asyncio.wait_for(asyncio.wrap_future(self._server.gone(0)), SECONDS)


@pytest.mark.parametrize("status", [429, 503])
async def test_a_wait_ends_at_once_by_the_cancel_signal(server: Upstream, status: int) -> None:
    waiting, signal = Waiting(server, status), threading.Event()
    asking = asyncio.create_task(events_of(waiting.model, cancel_signal=signal))
    await waiting.begun()
    assert not asking.done()
    signal.set()
    started = time.monotonic()

    assert await asking == []
    assert time.monotonic() - started < AT_ONCE
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [429, 503])
async def test_a_wait_ends_at_once_when_the_agent_is_cancelled(server: Upstream, status: int) -> None:
    waiting = Waiting(server, status)
    agent = Agent(model=waiting.model, callback_handler=None, retry_strategy=None)
    asking = asyncio.create_task(agent.invoke_async("Hi"))
    await waiting.begun()
    assert not asking.done()
    agent.cancel()
    started = time.monotonic()

    assert (await asyncio.wait_for(asking, SECONDS)).stop_reason == "cancelled"
    assert time.monotonic() - started < AT_ONCE
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [429, 503])
async def test_a_wait_ends_at_once_when_its_task_is_cancelled(server: Upstream, status: int) -> None:
    waiting = Waiting(server, status)
    asking = asyncio.create_task(events_of(waiting.model))
    await waiting.begun()
    assert not asking.done()
    asking.cancel()
    started = time.monotonic()

    with pytest.raises(asyncio.CancelledError):
        await asking
    assert time.monotonic() - started < AT_ONCE
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [429, 503])
async def test_a_wait_ends_when_the_time_for_the_whole_call_is_up(server: Upstream, status: int) -> None:
    waiting = Waiting(server, status, timeout={"total": 0.5})
    started = time.monotonic()

    with pytest.raises(PortkeyTimeoutError) as caught:
        await events_of(waiting.model)

    assert caught.value.clock == "total"
    assert 0.4 < time.monotonic() - started < 0.5 + AT_ONCE
    assert len(server.requests) == 1


async def test_the_time_for_the_whole_call_is_one_for_all_tries(server: Upstream) -> None:
    server.script = lambda _: fails(503)
    started = time.monotonic()

    with pytest.raises(PortkeyTimeoutError) as caught:
        await events_of(portkey(server.base_url, {"max_retries": 10, "timeout": {"total": 1.0}}))

    assert caught.value.clock == "total"
    assert 0.9 < time.monotonic() - started < 1.0 + AT_ONCE
    assert 2 <= len(server.requests) <= 3


SHORT: Final = {"timeout": {"connect": 0.5, "first_byte": 0.5, "idle": 0.5}}


async def test_a_wait_runs_on_no_clock_but_that_of_the_whole_call(server: Upstream) -> None:
    server.reply(fails(503, headers={"retry-after": "1"}))

    assert await ask(portkey(server.base_url, SHORT)) == "Hello"


async def test_a_wait_for_a_connection_runs_on_no_clock_but_that_of_the_whole_call(server: Upstream) -> None:
    with LatePort(server.port) as late:
        late.open(REFUSED)
        assert await ask(portkey(late.base_url, SHORT)) == "Hello"


# -- what is said of the tries -----------------------------------------------------------------------------------------


def attempt_of(metadata: ResponseMetadata) -> int:
    return metadata.attempt


@pytest.mark.parametrize(
    ("replies", "seen"),
    [
        pytest.param([], [(200, 1)], id="none fails"),
        pytest.param([fails(503, headers=NO_WAIT)], [(503, 1), (200, 2)], id="one fails"),
        pytest.param([fails(503, headers=NO_WAIT), fails(500)], [(503, 1), (500, 2), (200, 3)], id="two fail"),
        pytest.param([RESET], [(None, 1), (200, 2)], id="one is reset"),
        pytest.param([RESET, fails(503)], [(None, 1), (503, 2), (200, 3)], id="one is reset, one fails"),
        pytest.param([streamed(ROLE)], [(200, 1), (200, 2)], id="one has no end"),
    ],
)
async def test_each_request_is_reported_with_the_number_of_its_try(
    server: Upstream, replies: list[Reply], seen: list[tuple[int | None, int]]
) -> None:
    reported: list[ResponseMetadata] = []
    server.reply(*replies)

    assert await ask(portkey(server.base_url, on_response=reported.append)) == "Hello"
    assert [(metadata.status_code, attempt_of(metadata)) for metadata in reported] == seen


async def test_the_number_of_the_try_begins_anew_with_each_call(server: Upstream) -> None:
    reported: list[ResponseMetadata] = []
    model = portkey(server.base_url, on_response=reported.append)
    for _ in range(2):
        server.reply(fails(503, headers=NO_WAIT))
        assert await ask(model) == "Hello"

    assert [attempt_of(metadata) for metadata in reported] == [1, 2, 1, 2]


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if record.name.split(".")[0] == "strands_portkey" and record.levelno == logging.INFO
    ]


@pytest.mark.parametrize(
    ("replies", "reasons"),
    [
        pytest.param([], [], id="none fails"),
        pytest.param([fails(503, headers=NO_WAIT)], ["503"], id="one fails"),
        pytest.param([fails(503, headers=NO_WAIT), fails(502, headers=NO_WAIT)], ["503", "502"], id="two fail"),
        pytest.param([HANG_UP], ["hung up"], id="one hangs up"),
        pytest.param([streamed(ROLE)], ["finish reason"], id="one has no end"),
    ],
)
async def test_each_further_try_is_logged_with_its_reason_and_without_keys(
    server: Upstream, caplog: pytest.LogCaptureFixture, replies: list[Reply], reasons: list[str]
) -> None:
    server.reply(*replies)

    with caplog.at_level(logging.INFO, "strands_portkey"):
        assert await ask(portkey(server.base_url)) == "Hello"

    lines = [line for line in logged(caplog) if line.endswith("| trying again")]
    assert len(lines) == len(reasons)
    assert all(reason in line for reason, line in zip(reasons, lines, strict=True)), lines
    assert KEY not in caplog.text


@pytest.mark.parametrize(("max_retries", "tries"), [(1, 2), (2, 3), (5, 6)])
@pytest.mark.parametrize("reply", [fails(503, headers=NO_WAIT), fails(429, headers=NO_WAIT)], ids=["503", "429"])
async def test_the_error_in_the_end_says_how_many_tries_there_were(
    server: Upstream, reply: Reply, max_retries: int, tries: int
) -> None:
    server.script = lambda _: reply

    with pytest.raises(PortkeyAPIError) as caught:
        await events_of(portkey(server.base_url, {"max_retries": max_retries}))

    assert re.search(rf"\b{tries}\b", str(caught.value)), caught.value
    assert "Oops" in str(caught.value)
    assert len(server.requests) == tries


async def test_the_error_of_a_gateway_that_is_never_reached_says_how_many_tries_there_were(server: Upstream) -> None:
    with LatePort(server.port) as late, pytest.raises(PortkeyConnectionError) as caught:
        await events_of(portkey(late.base_url))

    assert re.search(r"\b3\b", str(caught.value)), caught.value
    assert caught.value.retryable


# -- the real gateway --------------------------------------------------------------------------------------------------


@tool
def get_time() -> str:
    """The time here."""
    return "12:00"


THOUGHT: Final = "It is about noon."
WITHOUT_REASONING: Final = (
    "Missing `reasoning_content` field in the assistant message at message index 1",
    "thinking is enabled but reasoning_content is missing in assistant tool call message at index 2",
    "The reasoning_content in the thinking mode must be passed back to the API",
)


@pytest.mark.parametrize("refusal", WITHOUT_REASONING)
async def test_reasoning_goes_back_to_an_upstream_that_has_refused_a_call_without_it(
    gateway: Gateway, provider: Upstream, refusal: str
) -> None:
    thinks = [*openai.reasoning(THOUGHT), *openai.tool_call(0, "callone11", "get_time", "{}")]

    def script(request: Request) -> Reply:
        messages = request.json["messages"]
        if any(each["role"] == "assistant" and not each.get("reasoning_content") for each in messages):
            return openai.error(400, refusal)
        if messages[-1]["role"] == "user":
            return openai.stream(thinks, finish_reason="tool_calls")
        return openai.stream([*openai.reasoning(THOUGHT), *openai.text("Hello")])

    provider.script = script
    agent = Agent(behind(gateway, provider.base_url), tools=[get_time], callback_handler=None, retry_strategy=None)
    counts: list[int] = []
    for _ in range(2):
        assert str(await asyncio.wait_for(agent.invoke_async("Hi"), SECONDS)).strip() == "Hello"
        counts.append(len(provider.requests))

    # The second request of the first answer was refused; all later ones were right at once.
    assert counts == [3, 5]
    sent = [each.get("reasoning_content") for each in provider.requests[-1].json["messages"]]
    assert sent == [None, THOUGHT, None, THOUGHT, None, THOUGHT, None]


@pytest.fixture
def provider(upstream: Upstream) -> Upstream:
    """Stands for the provider behind the gateway; it answers once its queue of failures is empty."""
    upstream.script = lambda _: of_provider(passes())
    return upstream


def behind(gateway: Gateway, host: str, **client_args: Any) -> PortkeyModel:
    return portkey(gateway.base_url, {"custom_host": host, **client_args})


@pytest.mark.parametrize(
    "replies",
    [
        pytest.param([openai.error(500, "Oops", kind="server_error")], id="500"),
        pytest.param([openai.error(503, "Oops", kind="server_error")], id="503"),
        pytest.param([openai.error(502, "Oops"), openai.error(504, "Oops")], id="502 and 504"),
        pytest.param([openai.error(408, "Timed out"), openai.error(409, "Conflict")], id="408 and 409"),
        pytest.param([openai.error(429, "Slow down", headers={"retry-after": "1"})], id="429"),
        pytest.param([Reply(503, {"content-type": "text/html"}, [b"<h1>Oops</h1>"])], id="503 in HTML"),
        pytest.param([HANG_UP], id="hung up"),
        pytest.param([RESET, RESET], id="reset twice"),
        pytest.param([streamed(ROLE)], id="a stream without content"),
        pytest.param([streamed(ROLE, ending="cut")], id="a stream that is cut before any content"),
        pytest.param([streamed(ROLE, ending="abort")], id="a stream that is reset before any content"),
        pytest.param([streamed(ROLE, openai.sse({"error": PASSING}))], id="an error in a stream"),
    ],
)
async def test_an_agent_survives_a_failure_of_the_upstream_behind_the_gateway(
    gateway: Gateway, provider: Upstream, replies: list[Reply]
) -> None:
    provider.reply(*map(of_provider, replies))

    assert await ask(behind(gateway, provider.base_url)) == "Hello"
    assert len(provider.requests) == len(replies) + 1


async def test_an_agent_survives_an_upstream_behind_the_gateway_that_is_not_there_yet(
    gateway: Gateway, provider: Upstream
) -> None:
    with LatePort(provider.port) as late:
        late.open(REFUSED)
        assert await ask(behind(gateway, late.base_url)) == "Hello"


async def test_retries_of_the_gateway_and_of_the_model_do_not_multiply(gateway: Gateway, provider: Upstream) -> None:
    provider.script = lambda _: openai.error(503, "Oops", kind="server_error")
    target = {"provider": "openai", "api_key": KEY, "custom_host": provider.base_url, "retry": {"attempts": 1}}
    model = PortkeyModel({"base_url": gateway.base_url, "config": target}, model_id="m")

    with pytest.raises(PortkeyAPIError) as caught:
        await events_of(model)

    assert caught.value.status_code == 503
    assert len(provider.requests) == 2


async def test_a_gateway_exception_is_not_tried_again(gateway: Gateway, provider: Upstream) -> None:
    provider.script = lambda _: Reply(503, {"content-type": "application/json"}, [b"{"])

    with pytest.raises(PortkeyAPIError) as caught:
        await events_of(behind(gateway, provider.base_url))

    assert caught.value.origin == "gateway"
    assert len(provider.requests) == 1


async def test_an_upstream_that_is_too_slow_for_the_gateway_is_not_asked_again(
    gateway: Gateway, provider: Upstream
) -> None:
    provider.reply(Reply(hold=Gate()))

    with pytest.raises(PortkeyAPIError) as caught:
        await events_of(behind(gateway, provider.base_url, request_timeout=300))

    await asyncio.wait_for(asyncio.wrap_future(provider.gone(0)), SECONDS)  # The gateway leaves it when it gives up.
    assert (caught.value.status_code, caught.value.origin) == (408, "gateway")
    assert len(provider.requests) == 1


def test_a_gateway_replaced_under_fifty_agents_is_noticed_only_where_content_had_begun(
    provider: Upstream, tmp_path: Path
) -> None:
    stages = ("before the answer", "before the answer", "after the role", "amid the text", "after its death")
    gates = {str(n): Gate() for n in range(50) if stages[n % 5] != "after its death"}

    def held(request: Request) -> Reply:
        number = re.sub(r"\D", "", str(request.json["messages"][-1]["content"]))
        gate = gates[number]
        stage = stages[int(number) % 5]
        if stage == "before the answer":
            return Reply(hold=gate)
        begun = [] if stage == "after the role" else [openai.chunk({"content": "Hel"})]
        return of_provider(streamed(ROLE, *begun, gate))

    async def main(gateway: Gateway, listen: Callable[[], None]) -> Counter[tuple[str, str]]:
        model = behind(gateway, provider.base_url)
        seen = {number: asyncio.Event() for number in gates if stages[int(number) % 5] == "amid the text"}
        outcomes: Counter[tuple[str, str]] = Counter()

        async def one(number: str) -> None:
            def notice(**event: Any) -> None:
                if event.get("data") and number in seen:
                    seen[number].set()

            agent = Agent(model=model, callback_handler=notice, retry_strategy=None)
            try:
                outcome = str(await asyncio.wait_for(agent.invoke_async(number), SECONDS)).strip()
            except PortkeyError as error:
                outcome = type(error).__name__
            outcomes[stages[int(number) % 5], outcome] += 1

        provider.script = held
        asking = [asyncio.create_task(one(number)) for number in gates]
        reached = [asyncio.wrap_future(gate.reached) for gate in gates.values()]
        await asyncio.wait_for(asyncio.gather(*reached, *(each.wait() for each in seen.values())), SECONDS)
        provider.script = lambda _: of_provider(passes())
        gateway.kill()
        asking += [asyncio.create_task(one(str(number))) for number in range(50) if str(number) not in gates]
        await asyncio.sleep(REFUSED)  # So long it is away.
        listen()
        await asyncio.gather(*asking)
        return outcomes

    with running_gateway() as gateway, standing_by(gateway, tmp_path) as listen:
        outcomes = asyncio.run(main(gateway, listen))

    print(f"\n\n50 agents, their gateway away for {REFUSED} s:")
    for (stage, outcome), count in sorted(outcomes.items()):
        print(f"  {count} {stage}: {outcome}")
    assert outcomes == {
        ("before the answer", "Hello"): 20,
        ("after the role", "Hello"): 10,
        ("amid the text", "PortkeyStreamError"): 10,
        ("after its death", "Hello"): 10,
    }
