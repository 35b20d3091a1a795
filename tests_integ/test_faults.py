"""Faults between an agent and the real gateway: every answer is whole or a PortkeyError, and nothing is left behind.

`pytest tests_integ/test_faults.py -s` prints at its end what was tried and what came of it.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import logging
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import anyio
import pytest
from strands import Agent, tool
from strands.types.content import Messages
from strands.types.exceptions import EventLoopException

from strands_portkey import ClientArgs, PortkeyError, PortkeyModel, PortkeyTimeoutError
from strands_portkey._settings.config import Api
from tests_integ.faults import PASS, Fault, FaultProxy, Kind, Witness, certificates
from tests_integ.gateway import Gateway, running_gateway
from tests_integ.upstream import Gate, Piece, Reply, Request, Upstream, json_reply

SECONDS = 20  # Longer than anything here takes; a wait that ends this way is a failure.
KINDS: Sequence[Kind] = ("fin", "rst")
CLOCK = 1.5  # What a client waits for the next byte.
HI: Messages = [{"role": "user", "content": [{"text": "Hi"}]}]
CALL = {"toolUse": {"toolUseId": "c1", "name": "get_weather", "input": {"city": "Paris"}}}
RESULT = {"toolResult": {"toolUseId": "c1", "status": "success", "content": [{"text": "rain in Paris"}]}}


# -- what the upstream sends, in as few bytes as possible --------------------------------------------------------------


def _event(name: str | None, **data: object) -> bytes:
    begin = f"event: {name}\n" if name else ""
    return f"{begin}data: {json.dumps(data, separators=(',', ':'))}\n\n".encode()


@dataclass(frozen=True)
class Speech:
    """What an upstream says on one of the gateway's protocols.

    Attributes:
        provider: The provider that it is.
        text: A stream of a text.
        tool: A stream of a text and a call of the tool.
        json: The text in one body.
        json_tool: The text and the call in one body.
        places: Where in an answer something happens, by what has been sent before; what comes latest first.
    """

    provider: str
    text: Sequence[Piece]
    tool: Sequence[Piece]
    json: object
    json_tool: object
    places: Mapping[bytes, str]

    def answer(self, request: Request) -> Reply:
        """Call the tool where the weather is asked for, else say hello."""
        wants_tool = asks_for_tool(request)
        if not request.json.get("stream"):
            return json_reply(self.json_tool if wants_tool else self.json)
        return Reply(200, SSE, self.tool if wants_tool else self.text)


def conversation(request: Request) -> list[dict[str, Any]]:
    """Return the messages of a request, or the items that it has instead."""
    found: list[dict[str, Any]] = request.json.get("messages") or request.json["input"]
    return found


def asks_for_tool(request: Request) -> bool:
    last = conversation(request)[-1]
    content = last.get("content") or ""  # On the Messages wire several questions in a row are one message.
    return last.get("role") == "user" and "weather" in str(content if isinstance(content, str) else content[-1])


def _chunk(delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
    choice = {"delta": delta, **({"finish_reason": finish_reason} if finish_reason else {})}
    return _event(None, choices=[choice])


def _call(arguments: str, **opening: str) -> dict[str, Any]:
    name = {"name": opening["name"]} if opening else {}
    return {"tool_calls": [{"index": 0, **opening, "function": {**name, "arguments": arguments}}]}


SSE: Final = {"content-type": "text/event-stream"}
FUNCTION: Final = {"id": "c1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city":"Paris"}'}}
CHAT: Final = Speech(
    "openai",
    [_chunk({"content": "Hel"}), _chunk({"content": "lo"}), _chunk({}, "stop"), b"data: [DONE]\n\n"],
    [
        _chunk({"content": "Hm."}),
        _chunk(_call('{"ci', id="c1", name="get_weather")),
        _chunk(_call('ty":"Par')),
        _chunk(_call('is"}')),
        _chunk({}, "tool_calls"),
        b'data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}\n\n',
        b"data: [DONE]\n\n",
    ],
    {"choices": [{"message": {"content": "Hello"}, "finish_reason": "stop"}]},
    {"choices": [{"message": {"content": "Hm.", "tool_calls": [FUNCTION]}, "finish_reason": "tool_calls"}]},
    {b"[DONE]": "after [DONE]", b'"finish_reason"': "after the finish reason", b"tool_calls": "in a tool call"},
)


def _piece(kind: str, index: int, delta: str) -> bytes:
    return _event(f"response.{kind}.delta", output_index=index, delta=delta)


def _item(event: str, index: int, item: Mapping[str, object]) -> bytes:
    return _event(f"response.output_item.{event}", output_index=index, item=item)


def _message(text: str) -> dict[str, object]:
    return {"type": "message", "content": [{"text": text}]}


ITEM: Final = {"type": "function_call", "call_id": "c1", "name": "get_weather"}
WHOLE_ITEM: Final = {**ITEM, "arguments": '{"city":"Paris"}'}
COMPLETED: Final = _event("response.completed", response={"status": "completed"})
RESPONSES: Final = Speech(
    "openai",
    [_piece("output_text", 0, "Hel"), _piece("output_text", 0, "lo"), _item("done", 0, _message("Hello")), COMPLETED],
    [
        _piece("output_text", 0, "Hm."),
        _item("added", 1, ITEM),
        _piece("function_call_arguments", 1, '{"ci'),
        _piece("function_call_arguments", 1, 'ty":"Par'),
        _piece("function_call_arguments", 1, 'is"}'),
        _item("done", 1, WHOLE_ITEM),
        COMPLETED,
    ],
    {"output": [_message("Hello")], "status": "completed"},
    {"output": [_message("Hm."), WHOLE_ITEM], "status": "completed"},
    {b'"status"': "in the last event", b"function_call": "in a tool call"},
)


def _block(index: int, block: Mapping[str, object], *deltas: Mapping[str, object]) -> list[Piece]:
    return [
        _event("content_block_start", index=index, content_block=block),
        *(_event("content_block_delta", index=index, delta=delta) for delta in deltas),
        _event("content_block_stop", index=index),
    ]


def _stopped(stop_reason: str) -> list[Piece]:
    return [_event("message_delta", delta={"stop_reason": stop_reason}), _event("message_stop")]


USE: Final = {"type": "tool_use", "id": "c1", "name": "get_weather", "input": {}}
INPUT: Final = ['{"ci', 'ty":"Par', 'is"}']
MESSAGES: Final = Speech(
    "anthropic",
    [*_block(0, {"type": "text"}, {"text": "Hel"}, {"text": "lo"}), *_stopped("end_turn")],
    [
        *_block(0, {"type": "text"}, {"text": "Hm."}),
        *_block(1, USE, *({"partial_json": piece} for piece in INPUT)),
        *_stopped("tool_use"),
    ],
    {"model": "m", "content": [{"type": "text", "text": "Hello"}], "stop_reason": "end_turn"},
    {
        "model": "m",
        "content": [{"type": "text", "text": "Hm."}, {**USE, "input": {"city": "Paris"}}],
        "stop_reason": "tool_use",
    },
    {b'"stop_reason"': "after the stop reason", b"tool_use": "in a tool call"},
)
SPEECHES: Final[dict[Api, Speech]] = {"chat": CHAT, "responses": RESPONSES, "messages": MESSAGES}


# -- the agent ---------------------------------------------------------------------------------------------------------


class Bench:
    """An agent's way through the fault proxy and the gateway to the upstream, and what came of each fault."""

    def __init__(self, gateway: Gateway, upstream: Upstream, proxy: FaultProxy, api: Api) -> None:
        self.api: Api = api
        self.speech = SPEECHES[api]
        upstream.script = self.speech.answer
        self.gateway = gateway
        self.upstream = upstream
        self.proxy = proxy
        self.faults: dict[bytes, Fault] = {}
        self._numbers = itertools.count()
        proxy.script = self._find

    def _find(self, head: bytes) -> Fault:
        mark = re.search(rb"x-portkey-trace-id: (\S+)", head)
        return self.faults.pop(mark[1], PASS) if mark else PASS

    def model(self, fault: Fault = PASS, client_args: dict[str, Any] | None = None, **config: Any) -> PortkeyModel:
        """Return a model whose first answer meets a fault; all answers have the same length."""
        mark = f"{next(self._numbers):07}"
        self.faults[mark.encode()] = fault
        usual: dict[str, Any] = {
            "base_url": self.proxy.base_url,
            "provider": self.speech.provider,
            "custom_host": self.upstream.base_url,
            "Authorization": "key",
            "trace_id": mark,
            "timeout": {"first_byte": CLOCK, "idle": CLOCK},
            "max_retries": 0,  # What comes of each single request.
        }
        return PortkeyModel({**usual, **(client_args or {})}, **{"model_id": "m", "api": self.api, **config})

    def named(self, what: str) -> str:
        """Return an answer's name in the table."""
        return f"{self.api}: {what}"

    def fault_again(self, model: PortkeyModel, fault: Fault) -> None:
        """Let the next answer for a model meet a fault."""
        self.faults[model._routing["trace_id"].encode()] = fault  # type: ignore[attr-defined]

    async def raw(self, question: str, **config: Any) -> bytes:
        """Return an answer to the agent's first request, byte for byte."""
        number = len(self.proxy.answers)
        await Subject(self.model(**config)).ask(question)
        return self.proxy.answers[number]

    def settle(self) -> None:
        """Close what the gateway keeps open to the upstream, whose files are ours too."""
        self.upstream.drop_connections()


class Subject:
    """An agent with a tool, and the judgement of how its calls end."""

    def __init__(self, model: PortkeyModel, **more: Any) -> None:
        self.ran: list[str] = []

        @tool
        def get_weather(city: str = "nowhere") -> str:
            """Return the weather.

            Args:
                city: Name of the city.
            """
            self.ran.append(city)
            return f"rain in {city}"

        self.agent = Agent(
            model=model, **{"tools": [get_weather], "callback_handler": None, "retry_strategy": None, **more}
        )

    async def ask(self, question: str) -> str:
        """Ask, and return what came of it: `whole`, or the name of the error. Anything else fails."""
        before, ran = len(self.agent.messages), len(self.ran)
        try:
            try:
                result = await asyncio.wait_for(self.agent.invoke_async(question), SECONDS)
            except EventLoopException as error:  # Strands' own wrapping of what fails after a tool has run.
                raise error.original_exception from None
        except PortkeyError as error:
            outcome = type(error).__name__
        else:
            outcome = "whole"
            assert result.stop_reason == "end_turn"
        messages = [(each["role"], each["content"]) for each in self.agent.messages[before:]]
        wants_tool = "weather" in question
        whole: list[tuple[str, list[Any]]] = [("user", [{"text": question}])]
        whole += [("assistant", [{"text": "Hm."}, CALL]), ("user", [RESULT])] if wants_tool else []
        whole += [("assistant", [{"text": "Hello"}])]
        if outcome == "whole":
            assert messages == whole
            assert self.ran[ran:] == ["Paris"] * wants_tool
        else:
            # What broke leaves no trace: neither half an answer nor a call of the tool that was not asked for.
            assert messages in (whole[:1], whole[:3]), (outcome, messages)
            assert self.ran[ran:] == ["Paris"] * (len(messages) == 3)
        return outcome


@pytest.fixture(params=SPEECHES)
def api(request: pytest.FixtureRequest) -> Api:
    found: Api = request.param
    return found


@pytest.fixture
def bench(gateway: Gateway, upstream: Upstream, api: Api, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    # Strands leaves a span in another context than it began in, with any model; pytest would keep what that logs alive.
    monkeypatch.setattr(logging.getLogger("opentelemetry.context"), "disabled", True)
    with FaultProxy(gateway.port) as proxy:
        yield Bench(gateway, upstream, proxy, api)


async def all_of(subjects: list[Callable[[], Awaitable[None]]], at_once: int = 4) -> None:
    """Run many, a few at a time: on a slow machine more would wait for each other until a clock runs out.

    More at once are faster only where most of them wait for that clock.
    """
    waiting = iter(subjects)

    async def worker() -> None:
        for subject in waiting:
            await subject()

    await asyncio.gather(*(worker() for _ in range(at_once)))


async def no_task_is_left() -> None:
    """Wait a few turns of the loop for tasks to end."""
    for _ in range(100):
        if len(asyncio.all_tasks()) == 1:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(asyncio.all_tasks())


# -- the table ---------------------------------------------------------------------------------------------------------

Tally = Counter[tuple[str, str, str, str]]


@pytest.fixture(scope="module")
def tally() -> Iterator[Tally]:
    """Counts by answer, fault, place and outcome; printed at the end."""
    counts: Tally = Counter()
    yield counts
    print("\n\n| answer | fault | where | tried | what came of it |\n|---|---|---|---|---|")
    rows: dict[tuple[str, str, str], Counter[str]] = {}
    for (kind, fault, where, outcome), count in counts.items():
        rows.setdefault((kind, fault, where), Counter())[outcome] += count
    for row, outcomes in rows.items():
        came = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
        print(f"| {' | '.join(row)} | {outcomes.total()} | {came} |")
    print(f"\n{counts.total()} faults, {sum(n for key, n in counts.items() if key[3] == 'whole')} whole answers")


def place(bench: Bench, raw: bytes, at: int) -> str:
    """Return where in an answer something happens, by what has been sent before."""
    if at == 0:
        return "before the first byte"
    sent = raw[:at]
    if b"\r\n\r\n" not in sent:
        return "in the headers"
    body = sent.partition(b"\r\n\r\n")[2]
    return next((where for mark, where in bench.speech.places.items() if mark in body), "in the body")


ANSWERS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "tool call": ("What is the weather?", {}),
    "text": ("Hi", {}),
    "JSON": ("Hi", {"stream": False}),
    "JSON with tool call": ("What is the weather?", {"stream": False}),
}


async def try_faults(
    bench: Bench, tally: Tally, name: str, faults: list[tuple[str, str, Fault]], at_once: int = 4
) -> None:
    """Try faults, each named by kind and place, on one of `ANSWERS`: each is answered, and so is the next call."""
    question, config = ANSWERS[name]

    def trial(kind: str, where: str, fault: Fault) -> Callable[[], Awaitable[None]]:
        async def run() -> None:
            model = bench.model(fault, **config)
            subject = Subject(model)
            outcome = await subject.ask(question)
            tally[bench.named(name), kind, where, outcome] += 1
            assert await subject.ask("Hi") == "whole", (kind, where, outcome)
            await model.aclose()

        return run

    await all_of([trial(*fault) for fault in faults], at_once)
    await no_task_is_left()


# -- cuts --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_cut_at_any_byte_is_whole_or_an_error(bench: Bench, tally: Tally, name: str, kind: Kind) -> None:
    async def main() -> None:
        question, config = ANSWERS[name]
        raw = await bench.raw(question, **config)
        # On chat completions each byte is cut in one of the two ways, on the others two of five.
        places = range(KINDS.index(kind), len(raw) + 1, 2 if bench.api == "chat" else 5)
        cuts = [(f"cut ({kind})", place(bench, raw, at), Fault(kind, at)) for at in places]
        await try_faults(bench, tally, name, cuts)

    with Witness(bench.settle):
        asyncio.run(main())

    ended = "in the body", "in a tool call", "in the headers", "before the first byte"
    assert not [
        key
        for key in tally
        if key[:2] == (bench.named(name), f"cut ({kind})") and key[2] in ended and key[3] == "whole"
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_a_kept_connection_cut_at_any_byte_gives_a_whole_answer_or_an_error(
    bench: Bench, tally: Tally, kind: Kind
) -> None:
    async def main() -> None:
        raw = await bench.raw("Hi")

        def trial(at: int) -> Callable[[], Awaitable[None]]:
            async def run() -> None:
                model = bench.model()
                subject = Subject(model)
                assert await subject.ask("Hi") == "whole"
                bench.fault_again(model, Fault(kind, at))
                outcome = await subject.ask("Hi")
                tally[bench.named("text, kept connection"), f"cut ({kind})", place(bench, raw, at), outcome] += 1
                assert await subject.ask("Hi") == "whole"
                await model.aclose()

            return run

        await all_of([trial(at) for at in range(0, len(raw) + 1, 5)])
        await no_task_is_left()

    with Witness(bench.settle):
        asyncio.run(main())

    assert tally[bench.named("text, kept connection"), f"cut ({kind})", "before the first byte", "whole"] == 1


# -- stalls, trickles, garbage, losses ---------------------------------------------------------------------------------

GARBAGE: Final = {
    "zeros": b"\0\0\0\0",
    "no UTF-8": b"\xff\xfe\xc3",
    "line ends": b"\r\n\r\n",
    "a refusal": b"HTTP/1.1 503 Oops\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}",
    "an event": b'data: {"choices":[{"delta":{"content":"?"}}]}\n\n',
    "an end": b"0\r\n\r\n",
    "much": b"x" * 300_000,
}


@pytest.mark.parametrize("name", ANSWERS)
def test_any_other_fault_at_any_place_gives_a_whole_answer_or_an_error(bench: Bench, tally: Tally, name: str) -> None:
    async def main() -> None:
        question, config = ANSWERS[name]
        raw = await bench.raw(question, **config)
        body = raw.index(b"\r\n\r\n") + 4
        places = sorted({0, 1, 9, body - 1, body, *range(10, len(raw), 61), len(raw) - 6, len(raw) - 1})
        faults = [("half-close", Fault("half-close", at)) for at in places]
        faults += [("stall", Fault("stall", at)) for at in places]
        faults += [(f"trickle of {size}", Fault("trickle", at, size)) for size in (1, 7) for at in (0, body)]
        # Where headers are lost together with a piece of the body, nothing shows it.
        lost = [(1, at) for at in places] + [(size, at) for size in (2, 100) for at in places if at >= body]
        faults += [(f"{size} bytes lost", Fault("loss", at, size)) for size, at in lost]
        faults += [(f"garbage: {what}", Fault("garbage", at, data=it)) for what, it in GARBAGE.items() for at in places]
        await try_faults(bench, tally, name, [(kind, place(bench, raw, fault.at), fault) for kind, fault in faults], 32)

    with Witness(bench.settle):
        asyncio.run(main())

    assert all(key[3] == "whole" for key in tally if key[0] == bench.named(name) and key[1].startswith("trickle"))


def test_a_stall_that_ends_gives_the_whole_answer(bench: Bench) -> None:
    async def main() -> None:
        for at in (0, 20, 400, 500):
            gate = Gate()
            subject = Subject(bench.model(Fault("stall", at, gate=gate)))
            asking = asyncio.create_task(subject.ask("Hi"))
            await asyncio.wrap_future(gate.reached)
            gate.open()
            assert await asking == "whole"

    with Witness(bench.settle):
        asyncio.run(main())


def _in_head(pattern: bytes, replacement: bytes) -> Callable[[bytes], bytes]:
    def edit(start: bytes) -> bytes:
        edited, count = re.subn(pattern, replacement, start, count=1, flags=re.IGNORECASE)
        assert count, (pattern, start)
        return edited

    return edit


PROVIDER: Final = rb"(x-portkey-provider: )\w+"
# What is replaced, by what, and for which kinds of answer.
HEADS: Final = {
    "no HTTP": (rb"^HTTP/1.1 200 OK", b"SSH-2.0-OpenSSH"),
    "HTTP/1.0": (rb"^HTTP/1.1", b"HTTP/1.0"),
    "HTTP/9.9": (rb"^HTTP/1.1", b"HTTP/9.9"),
    "a status of 99": (rb" 200 OK", b" 99 OK"),
    "a status of 999": (rb" 200 OK", b" 999 OK"),
    "a status of 204": (rb" 200 OK", b" 204 No Content"),
    "a status of 304": (rb" 200 OK", b" 304 Not Modified"),
    "a status of 101": (rb" 200 OK", b" 101 Switching Protocols"),
    "a status of 429": (rb" 200 OK", b" 429 Too Many"),
    "a redirect": (rb" 200 OK\r\n", b" 307 Temporary\r\nlocation: http://127.0.0.1:1/\r\n"),
    "no reason": (rb" 200 OK", b" 200"),
    "a reason that is no ASCII": (rb" 200 OK", b" 200 \xe9\xff"),
    "100 first": (rb"^HTTP", b"HTTP/1.1 100 Continue\r\n\r\nHTTP"),
    "103 a thousand times": (rb"^HTTP", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 1000 + b"HTTP"),
    "a zero in a header": (PROVIDER, rb"\1open\0ai"),
    "no colon": (rb"x-portkey-provider: ", b"x-portkey-provider "),
    "headers that are no ASCII": (PROVIDER, b"\\1\xff\xfe"),
    "a number of 5,000 digits": (rb"attempt-count: 0", b"attempt-count: " + b"1" * 5000),
    "a header of 200 KB": (PROVIDER, b"\\1" + b"x" * 200_000),
    "headers without end": (rb"\r\n\r\n", b"\r\nx-a: b"),
    "content type of HTML": (rb"content-type: [^\r]*", b"content-type: text/html"),
    "no content type": (rb"content-type: [^\r]*\r\n", b""),
    "content type of the other kind": (rb"content-type: (?:text/(event)|application/json)[^\r]*", b""),
    "two content types": (rb"content-type: ", b"content-type: text/html\r\ncontent-type: "),
    "said to be gzip": (rb"\r\n\r\n", b"\r\ncontent-encoding: gzip\r\n\r\n"),
    "said to be deflate": (rb"\r\n\r\n", b"\r\ncontent-encoding: deflate\r\n\r\n"),
    "said to be unknown": (rb"\r\n\r\n", b"\r\ncontent-encoding: rot13\r\n\r\n"),
    "a charset of UTF-16": (rb"content-type: ([^\r;]*)", rb"content-type: \1; charset=utf-16"),
    "two lengths": (rb"\r\n\r\n", b"\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\n"),
    "a length besides": (rb"\r\n\r\n", b"\r\ncontent-length: 3\r\n\r\n"),
    "no length": (rb"(?:transfer-encoding|content-length): [^\r]*\r\n", b""),
    "a length of -1": (rb"(?:transfer-encoding|content-length): [^\r]*", b"content-length: -1"),
    "a length of 0": (rb"(?:transfer-encoding|content-length): [^\r]*", b"content-length: 0"),
    "a length that is too short": (rb"(?:transfer-encoding|content-length): [^\r]*", b"content-length: 90"),
    "a length that is too long": (rb"(?:transfer-encoding|content-length): [^\r]*", b"content-length: 9999"),
    "an unknown framing": (rb"(?:transfer-encoding|content-length): [^\r]*", b"transfer-encoding: rot13"),
    "chunks that are none": (rb"(?:transfer-encoding|content-length): [^\r]*", b"transfer-encoding: chunked"),
    "a chunk that is too short": (rb"\r\n\r\n[0-9a-f]+", b"\r\n\r\n7"),
    "a chunk that is too long": (rb"\r\n\r\n[0-9a-f]+", b"\r\n\r\nfff"),
    "a chunk of no number": (rb"\r\n\r\n[0-9a-f]+", b"\r\n\r\nxyz"),
    "a chunk of 20 digits": (rb"\r\n\r\n[0-9a-f]+", b"\r\n\r\n" + b"f" * 20),
    "a chunk of 30 digits": (rb"\r\n\r\n[0-9a-f]+", b"\r\n\r\n" + b"f" * 30),
    "a chunk of nothing": (rb"\r\n\r\n[0-9a-f]+", b"\r\n\r\n0\r\n\r\n"),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_any_wrong_head_gives_a_whole_answer_or_an_error(bench: Bench, tally: Tally, name: str) -> None:
    async def main() -> None:
        question, config = ANSWERS[name]
        raw = await bench.raw(question, **config)
        end = raw.index(b"\r\n\r\n") + 7
        faults = []
        for what, (pattern, replacement) in HEADS.items():
            if re.search("chunk (of|that)", what) and b"chunked" not in raw:
                continue
            new = replacement
            if what == "content type of the other kind":
                new = (
                    b"content-type: application/json"
                    if b"text/event-stream" in raw
                    else b"content-type: text/event-stream"
                )
            faults.append((what, "in the headers", Fault("rewrite", end, edit=_in_head(pattern, new))))
        await try_faults(bench, tally, name, faults, 32)

    with Witness(bench.settle):
        asyncio.run(main())


@pytest.mark.parametrize("body", [b'{"error":{"message":"Slow down"}}', b"<html>" + b"x" * 100], ids=["JSON", "HTML"])
def test_a_refusal_cut_at_any_byte_is_an_error(bench: Bench, tally: Tally, body: bytes) -> None:
    answer = bench.speech.answer
    bench.upstream.script = lambda request: (
        Reply(429, {"content-type": "application/json"}, [body]) if "weather" in str(request.json) else answer(request)
    )

    async def main() -> None:
        number = len(bench.proxy.answers)
        assert await Subject(bench.model()).ask("weather") in ("PortkeyThrottledError", "PortkeyAPIError")
        raw = bench.proxy.answers[number]

        def trial(kind: Kind, at: int) -> Callable[[], Awaitable[None]]:
            async def run() -> None:
                model = bench.model(Fault(kind, at))
                outcome = await Subject(model).ask("weather")
                tally[bench.named("429"), f"cut ({kind})", place(bench, raw, at), outcome] += 1
                assert outcome != "whole"
                await model.aclose()

            return run

        await all_of([trial(kind, at) for kind in KINDS for at in range(0, len(raw) + 1, 5)])

    with Witness(bench.settle):
        asyncio.run(main())


def test_connections_that_are_refused_are_errors(bench: Bench, tally: Tally) -> None:
    async def main() -> None:
        model = bench.model()
        for _ in range(10):
            bench.proxy.refusals = 1
            tally[bench.named("text"), "refused", "before the first byte", await Subject(model).ask("Hi")] += 1
            assert await Subject(model).ask("Hi") == "whole"
            await model.aclose()

    with Witness(bench.settle):
        asyncio.run(main())

    assert tally[bench.named("text"), "refused", "before the first byte", "PortkeyConnectionError"] == 10


def test_a_second_answer_to_one_request_is_not_taken_for_the_answer_to_the_next(bench: Bench) -> None:
    refusal = b"HTTP/1.1 503 Too slow\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"

    async def main() -> None:
        subject = Subject(bench.model(Fault("garbage", data=refusal)))
        assert await subject.ask("What is the weather?") == "PortkeyAPIError"
        assert await subject.ask("Hi") == "whole"

    asyncio.run(main())


# -- beneath TLS -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["fin", "rst", "garbage", "loss"])
def test_a_fault_in_the_data_under_tls_is_an_error(
    gateway: Gateway, upstream: Upstream, tally: Tally, tmp_path: Path, kind: Kind
) -> None:
    server_side, client_side = certificates(tmp_path)

    async def main(bench: Bench, proxy: FaultProxy) -> None:
        base_url = f"https://127.0.0.1:{proxy.port}/v1"
        model = bench.model(client_args={"base_url": base_url, "verify": client_side})
        proxy.script = None
        assert await Subject(model).ask("Hi") == "whole"
        sizes = [len(each) for each in proxy.answers]
        await model.aclose()
        for turn, size in enumerate(sizes[:2]):
            for at in sorted({0, 3, 5, *range(10, size, 61), size - 3}):
                fault = Fault(kind, at, size=2, data=b"\x17\x03\x03\x00\x03xyz")
                faults = iter([*[PASS] * turn, fault])
                proxy.script = lambda _, faults=faults: next(faults, PASS)
                outcome = await Subject(model).ask("Hi")
                tally[bench.named("text over TLS"), kind, ["in the handshake", "in the records"][turn], outcome] += 1
                proxy.script = None
                assert await Subject(model).ask("Hi") == "whole"
                await model.aclose()

    with (
        FaultProxy(gateway.port, tls=server_side) as tls,
        FaultProxy(tls.port) as proxy,
        FaultProxy(gateway.port) as plain,
    ):
        bench = Bench(gateway, upstream, plain, "chat")
        with Witness(bench.settle):
            asyncio.run(main(bench, proxy))


@pytest.mark.parametrize("api", ["chat"])  # The protocol makes no difference.
def test_a_cancellation_amid_the_handshake_of_tls_leaves_nothing_behind(
    bench: Bench, gateway: Gateway, tmp_path: Path
) -> None:
    server_side, client_side = certificates(tmp_path)

    async def main(proxy: FaultProxy) -> None:
        stall, cancel = Fault("stall"), threading.Event()
        proxy.script = lambda _: stall
        base_url = f"https://127.0.0.1:{proxy.port}/v1"
        model = bench.model(client_args={"base_url": base_url, "verify": client_side, "timeout": SECONDS})

        async def ask() -> list[Any]:
            return [event async for event in model.stream(HI, cancel_signal=cancel)]

        asking = asyncio.create_task(ask())
        await asyncio.wrap_future(stall.gate.reached)
        cancel.set()
        assert await asking == []

    with FaultProxy(gateway.port, tls=server_side) as tls, FaultProxy(tls.port) as proxy, Witness(bench.settle):
        asyncio.run(main(proxy))


# -- a gateway that dies -----------------------------------------------------------------------------------------------


def direct_args(gateway: Gateway, upstream: Upstream, api: Api) -> ClientArgs:
    provider = SPEECHES[api].provider
    args: ClientArgs = {"base_url": gateway.base_url, "provider": provider, "custom_host": upstream.base_url}
    return {**args, "max_retries": 0}


def test_a_gateway_killed_amid_fifty_agents_leaves_errors_and_works_after_its_restart(
    upstream: Upstream, api: Api, tally: Tally
) -> None:
    gates = [Gate() for _ in range(40)]
    speech = SPEECHES[api]

    def held(request: Request) -> Reply:
        number = int(re.sub(r"\D", "", str(conversation(request)[0]["content"])) or 99)
        if number >= 40 or (asks_for_tool(request) and number % 4 == 2):
            return speech.answer(request)
        gate = gates[number]
        stream = request.json.get("stream")
        if number % 4 == 0 or not stream:
            return Reply(200, {"content-type": "application/json"} if not stream else SSE, [], hold=gate)
        return Reply(
            200,
            SSE,
            [speech.text[0], gate, *speech.text[1:]] if number % 4 != 1 else [*speech.tool[:2], gate, *speech.tool[2:]],
        )

    async def main(gateway: Gateway) -> None:
        model = PortkeyModel(direct_args(gateway, upstream, api), model_id="m", api=api)
        subjects = [Subject(model) for _ in range(50)]
        upstream.script = held
        asking = [asyncio.create_task(each.ask(f"weather {n}")) for n, each in enumerate(subjects[:40])]
        await asyncio.gather(*(asyncio.wrap_future(gate.reached) for gate in gates))
        gateway.kill()
        asking += [asyncio.create_task(each.ask(f"weather {n}")) for n, each in enumerate(subjects[40:], 40)]
        for n, outcome in enumerate(await asyncio.gather(*asking)):
            stages = ["before the answer", "in a tool call", "after a tool has run", "in the text"]
            where = stages[n % 4] if n < 40 else "after its death"
            tally[f"{api}: 50 agents", "gateway killed", where, outcome] += 1
            assert outcome != "whole"
        await asyncio.to_thread(gateway.start)
        upstream.script = speech.answer
        assert await asyncio.gather(*(each.ask("Hi") for each in subjects)) == ["whole"] * 50
        await no_task_is_left()

    with running_gateway() as gateway, Witness(upstream.drop_connections):
        asyncio.run(main(gateway))


def test_a_gateway_killed_again_and_again_amid_fifty_busy_agents_leaves_errors(
    upstream: Upstream, api: Api, tally: Tally
) -> None:
    upstream.script = SPEECHES[api].answer

    async def main(gateway: Gateway) -> None:
        model = PortkeyModel(direct_args(gateway, upstream, api), model_id="m", api=api)
        ended = asyncio.Event()

        async def keep_asking(subject: Subject) -> None:
            while not ended.is_set():
                outcome = await subject.ask("What is the weather?")
                tally[f"{api}: 50 agents", "gateway killed", "at any moment, 3 times", outcome] += 1
                subject.agent.messages.clear()
                await asyncio.sleep(0 if outcome == "whole" else 0.05)
            assert await subject.ask("Hi") == "whole"

        asking = [asyncio.create_task(keep_asking(Subject(model))) for _ in range(50)]
        for _ in range(3):
            await asyncio.sleep(0.6)
            gateway.kill()
            await asyncio.to_thread(gateway.start)
        ended.set()
        await asyncio.gather(*asking)
        await no_task_is_left()

    with running_gateway() as gateway, Witness(upstream.drop_connections):
        asyncio.run(main(gateway))

    outcomes = {key[3] for key in tally if key[2] == "at any moment, 3 times"}
    assert {"whole", "PortkeyConnectionError"} <= outcomes


# -- callers that leave ------------------------------------------------------------------------------------------------


def _first_bytes(raw: bytes) -> int:
    """Return a place within an answer, after its first chunk."""
    return raw.index(b"Hel") + 20


Leaving = Callable[[PortkeyModel, Fault], Awaitable[None]]


async def _closed(model: PortkeyModel, _: Fault) -> None:
    async with aclosing(model.stream(HI)) as events:
        async for event in events:
            if "contentBlockDelta" in event:
                break


async def _abandoned(model: PortkeyModel, _: Fault) -> None:
    async for event in model.stream(HI):
        if "contentBlockDelta" in event:
            break


def _events(subject: Subject) -> AsyncGenerator[Any, None]:
    events = subject.agent.stream_async("Hi")
    assert isinstance(events, AsyncGenerator)
    return events


async def _agent_closed(model: PortkeyModel, _: Fault) -> None:
    async with aclosing(_events(Subject(model))) as events:
        async for event in events:
            if "data" in event:
                break


async def _agent_abandoned(model: PortkeyModel, _: Fault) -> None:
    async for event in Subject(model).agent.stream_async("Hi"):
        if "data" in event:
            break


async def _cancelled(model: PortkeyModel, fault: Fault) -> None:
    asking = asyncio.create_task(Subject(model).agent.invoke_async("Hi"))
    await asyncio.wrap_future(fault.gate.reached)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking


async def _cancelled_twice(model: PortkeyModel, fault: Fault) -> None:
    asking = asyncio.create_task(Subject(model).agent.invoke_async("Hi"))
    await asyncio.wrap_future(fault.gate.reached)
    for _ in range(3):
        asking.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await asking


async def _timed_out(model: PortkeyModel, _: Fault) -> None:
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(Subject(model).agent.invoke_async("Hi"), 0.2)


async def _timed_out_by_asyncio(model: PortkeyModel, _: Fault) -> None:
    if sys.version_info >= (3, 11):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await Subject(model).agent.invoke_async("Hi")


async def _moved_on(model: PortkeyModel, _: Fault) -> None:
    with anyio.move_on_after(0.2) as scope:
        async for _event in model.stream(HI):
            pass
    assert scope.cancelled_caught


async def _moved_on_from_an_agent(model: PortkeyModel, _: Fault) -> None:
    with anyio.move_on_after(0.2) as scope:
        await Subject(model).agent.invoke_async("Hi")
    assert scope.cancelled_caught


async def _task_group(model: PortkeyModel, fault: Fault) -> None:
    async def fail() -> None:
        await asyncio.wrap_future(fault.gate.reached)
        raise ValueError("another task has failed")

    with suppress(Exception):
        async with anyio.create_task_group() as group:
            group.start_soon(Subject(model).agent.invoke_async, "Hi")
            group.start_soon(fail)


async def _signalled(model: PortkeyModel, fault: Fault) -> None:
    agent = Subject(model).agent
    asking = asyncio.create_task(agent.invoke_async("Hi"))
    await asyncio.wrap_future(fault.gate.reached)
    agent.cancel()
    assert (await asking).stop_reason == "cancelled"


LEAVINGS: Final[dict[str, Leaving]] = {
    "the stream is closed": _closed,
    "the stream is abandoned": _abandoned,
    "the agent's stream is closed": _agent_closed,
    "the agent's stream is abandoned": _agent_abandoned,
    "the task is cancelled": _cancelled,
    "the task is cancelled three times": _cancelled_twice,
    "asyncio.wait_for runs out": _timed_out,
    "asyncio.timeout runs out": _timed_out_by_asyncio,
    "anyio moves on from the stream": _moved_on,
    "anyio moves on from the agent": _moved_on_from_an_agent,
    "another task of the group fails": _task_group,
    "the agent is cancelled": _signalled,
}


@pytest.mark.parametrize("where", ["amid the answer", "before the answer"])
@pytest.mark.parametrize("leave", LEAVINGS.values(), ids=LEAVINGS)
def test_a_caller_that_leaves_a_stalled_answer_leaves_nothing_behind(
    bench: Bench, tally: Tally, leave: Leaving, where: str
) -> None:
    if where == "before the answer" and leave in (_closed, _abandoned, _agent_closed, _agent_abandoned):
        pytest.skip("they leave after a piece of the answer")
    name = next(name for name, each in LEAVINGS.items() if each is leave)
    clocks = {"timeout": {"first_byte": SECONDS, "idle": SECONDS}}

    async def main() -> None:
        raw = await bench.raw("Hi")
        connections = bench.proxy.connections
        for _ in range(3):
            fault = Fault("stall", _first_bytes(raw) if where == "amid the answer" else 0)
            model = bench.model(fault, clocks)
            await leave(model, fault)
            assert await Subject(model).ask("Hi") == "whole"
            await model.aclose()
            tally[bench.named("text"), "caller leaves", f"{name}, {where}", "next call whole"] += 1
        gc.collect()  # Strands leaves its generators in a cycle.
        await no_task_is_left()
        for _ in range(200):  # The loop itself closes what was abandoned.
            if bench.proxy.connections <= connections:
                break
            await asyncio.sleep(0.01)
        assert bench.proxy.connections <= connections

    with Witness(bench.settle):
        asyncio.run(main())


@pytest.mark.parametrize("leave", [_closed, _abandoned, _agent_closed, _agent_abandoned])
def test_a_loop_that_ends_with_a_stalled_answer_leaves_nothing_behind(bench: Bench, leave: Leaving) -> None:
    async def main() -> None:
        fault = Fault("stall", _first_bytes(await bench.raw("Hi")))
        await leave(bench.model(fault), fault)

    with Witness(bench.settle):
        asyncio.run(main())


def test_a_timeout_is_distinguished_from_an_earlier_cancellation(bench: Bench) -> None:
    async def main() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(0)
        with pytest.raises(PortkeyTimeoutError):
            async for _ in bench.model(Fault("stall", 0)).stream(HI):
                pass

    asyncio.run(main())


def test_a_connection_that_expires_as_its_loop_ends_is_closed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        model = bench.model()
        assert await Subject(model).ask("Hi") == "whole"
        [clients] = model._client._connections._loops.values()
        loop = asyncio.get_running_loop()
        now = loop.time
        monkeypatch.setattr(loop, "time", lambda: now() + 5)
        loop.call_soon(clients._expire)  # Its timer fires in the last turn.

    with Witness(bench.settle):
        asyncio.run(main())


@pytest.mark.parametrize("at", [0, 20, 420], ids=["before the answer", "in the headers", "amid the answer"])
def test_a_cancel_signal_ends_a_stalled_read_soon(bench: Bench, at: int) -> None:
    delays: list[float] = []

    async def main() -> None:
        for _ in range(20):
            fault, cancel = Fault("stall", at), threading.Event()
            model = bench.model(fault, {"timeout": {"first_byte": SECONDS, "idle": SECONDS}})

            async def ask(model: PortkeyModel = model, cancel: threading.Event = cancel) -> list[Any]:
                return [event async for event in model.stream(HI, cancel_signal=cancel)]

            asking = asyncio.create_task(ask())
            await asyncio.wrap_future(fault.gate.reached)
            started = time.perf_counter()
            cancel.set()
            events = await asyncio.wait_for(asking, SECONDS)
            delays.append(time.perf_counter() - started)
            assert not any("messageStop" in event for event in events)
            await model.aclose()

    with Witness(bench.settle):
        asyncio.run(main())

    print(f"\ncancelled after {1000 * sorted(delays)[10]:.0f} ms (median), {1000 * max(delays):.0f} ms (most)")
    assert max(delays) < 1


# -- processes of their own --------------------------------------------------------------------------------------------

_PROGRAM = """
import asyncio, gc, logging, signal, sys
from strands import Agent
from strands_portkey import PortkeyError, PortkeyModel

logging.getLogger("strands_portkey").setLevel("ERROR")  # It warns where the end of a whole answer is lost.
logging.getLogger("opentelemetry.context").disabled = True  # Strands leaves a span in another context, with any model.
signal.signal(signal.SIGINT, signal.default_int_handler)  # A shell's background job is started without it.
base_url, custom_host, api, provider, clock, *marks = sys.argv[1:]

def model(mark):
    client_args = {"base_url": base_url, "provider": provider, "custom_host": custom_host, "trace_id": mark,
                   "timeout": {"first_byte": float(clock), "idle": float(clock)}, "max_retries": 0}
    return PortkeyModel(client_args, model_id="m", api=api)

def agent(mark):
    say = lambda **more: print("said", flush=True) if "data" in more else None
    return Agent(model=model(mark), callback_handler=say, retry_strategy=None)
"""


def _start(bench: Bench, program: str, faults: list[Fault], *options: str, clock: float = 3) -> subprocess.Popen[str]:
    marks = [f"{next(bench._numbers):07}" for _ in faults]
    bench.faults.update(zip((mark.encode() for mark in marks), faults, strict=True))
    command = [sys.executable, *options, "-c", _PROGRAM + program]
    return subprocess.Popen(
        [*command, bench.proxy.base_url, bench.upstream.base_url, bench.api, bench.speech.provider, str(clock), *marks],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _noise(stderr: str) -> list[str]:
    """Return the lines of a program but for asyncio's reports of slow steps and the traceback of an interrupt."""
    said, _, _ = stderr.partition("Traceback (most recent call last)")
    return [line for line in said.splitlines() if not (line.startswith("Executing <") and " took " in line)]


@pytest.mark.parametrize("api", ["chat"])  # The protocol makes no difference.
def test_faults_print_nothing_in_a_process_with_strict_warnings(bench: Bench) -> None:
    raw = asyncio.run(bench.raw("Hi"))
    places = [0, 20, 300, 400, 420, len(raw) - 60, len(raw) - 20, len(raw)]
    kinds: list[Kind] = ["fin", "rst", "garbage", "stall"]
    faults = [Fault(kind, at, data=b"\0\xff") for kind in kinds for at in places]
    program = """
outcomes = []
def ask(one):
    try:
        one("Hi")
        outcomes.append("whole")
    except PortkeyError as error:
        outcomes.append(type(error).__name__)

for mark in marks:
    one = agent(mark)
    ask(one)
    ask(one)
    assert outcomes[-1] == "whole"

async def main():
    for mark in marks[:4]:
        async for event in agent(mark).stream_async("Hi"):
            if "data" in event:
                break
asyncio.run(main())
gc.collect()
print(outcomes)
"""
    with _start(
        bench, program, faults, "-X", "dev", "-W", "error::ResourceWarning", "-W", "error::RuntimeWarning"
    ) as run:
        stdout, stderr = run.communicate(timeout=120)

    assert run.returncode == 0, stderr
    assert _noise(stderr) == []
    assert "PortkeyStreamError" in stdout


INTERRUPTED: Final = {
    "an async agent": "asyncio.run(agent(marks[0]).invoke_async('Hi'))",
    "an async stream": """
async def main():
    async for event in model(marks[0]).stream([{"role": "user", "content": [{"text": "Hi"}]}]):
        if "contentBlockDelta" in event:
            print("said", flush=True)
asyncio.run(main())
""",
    "a sync agent": "agent(marks[0])('Hi')",
    "a sync agent with a handler": """
one = agent(marks[0])
signal.signal(signal.SIGINT, lambda *_: one.cancel())
assert one("Hi").stop_reason == "cancelled"
raise KeyboardInterrupt
""",
}


@pytest.mark.parametrize("api", ["chat"])  # The protocol makes no difference.
@pytest.mark.parametrize("how", INTERRUPTED)
def test_an_interrupt_ends_a_stalled_call_and_prints_only_its_traceback(bench: Bench, how: str) -> None:
    stall = Fault("stall", _first_bytes(asyncio.run(bench.raw("Hi"))))
    # Strands runs a sync call in a thread and waits for its end, whatever the model: our clock ends it.
    clock = 3 if how == "a sync agent" else 10 * SECONDS

    with _start(bench, INTERRUPTED[how], [stall], "-X", "dev", clock=clock) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == "said\n"
        stall.gate.reached.result(SECONDS)
        run.send_signal(signal.SIGINT)
        _, stderr = run.communicate(timeout=SECONDS)

    assert run.returncode != 0
    assert "KeyboardInterrupt" in stderr
    assert _noise(stderr) == []


# -- the soak, in short ------------------------------------------------------------------------------------------------


def test_a_short_soak_leaves_nothing_behind() -> None:
    # In a process of its own, whose files and memory are not pytest's.
    command = [sys.executable, "-m", "tests_integ.soak", "1000"]

    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    print(f"\n{done.stdout}")
    assert done.returncode == 0, done.stdout + done.stderr
