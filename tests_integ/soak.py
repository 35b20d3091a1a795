"""A soak: thousands of calls on three wires, one in five with a fault, in many loops and threads; nothing may be left.

`python -m tests_integ.soak [calls]` prints what is open before, during and after, and ends with 1 if that does not
come back to where it was.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import itertools
import logging
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from strands import Agent
from strands.event_loop.streaming import process_stream
from strands.types.content import Messages
from strands.types.streaming import StreamEvent

from strands_portkey import Api, PortkeyError, PortkeyModel
from tests_integ.faults import Witness, open_files
from tests_integ.upstream import Ending, Gate, Piece, Reply, Request, Upstream, json_reply
from tests_integ.wires import anthropic, openai, responses

CALLS: Final = 30_000
THREADS: Final = 4
CLOCK: Final = 2.0  # What a call waits for the next byte.
AT_ONCE: Final = 8
PER_LOOP: Final = 250  # Calls of one event loop, which then ends.
ROOM: Final = 8 * 2**20  # Bytes that the memory may have grown by: the allocator's share.
PAGE: Final = 4096

_SSE: Final = {"content-type": "text/event-stream"}
_BY_PROVIDER: Final = {"x-portkey-provider": "openai", "retry-after-ms": "1"}
_QUESTION: Final = re.compile(rb"<([a-zA-Z0-9, ]+)#([0-9]+)>")


@dataclass(frozen=True)
class Wire:
    """How a protocol says something.

    Attributes:
        whole: A whole answer with a text in two pieces.
        half: The events of that up to its first text.
        call: The events of a call that breaks off.
        error: The event for an error.
        provider: Who answers.
        model_id: Which model.
    """

    whole: Callable[[str, str], Reply]
    half: int
    call: Sequence[Piece]
    error: bytes
    provider: str = "openai"
    model_id: str = "gpt-4o"


_ARGUMENTS: Final = ("c1", "get_weather", '{"ci')
WIRES: Final[dict[Api, Wire]] = {
    "chat": Wire(
        whole=lambda *text: openai.stream(openai.text(*text)),
        half=2,
        call=[openai.chunk(each) for each in openai.tool_call(0, *_ARGUMENTS)],
        error=openai.sse({"error": {"message": "Oops", "code": "server_error"}}),
    ),
    "responses": Wire(
        whole=lambda *text: responses.stream(responses.message(*text)),
        half=4,
        call=list(responses.events(responses.call(*_ARGUMENTS)))[:4],
        error=responses.event("error", message="Oops", code="server_error"),
    ),
    "messages": Wire(
        whole=lambda *text: anthropic.stream(anthropic.text(*text)),
        half=4,
        call=anthropic.stream(anthropic.tool_use(*_ARGUMENTS)).pieces[:5],
        error=anthropic.event("error", error={"type": "api_error", "message": "Oops"}),
        provider="anthropic",
        model_id="claude-sonnet-5",
    ),
}
_PATHS: Final[dict[str, Api]] = {
    "/v1/chat/completions": "chat",
    "/v1/responses": "responses",
    "/v1/messages": "messages",
}
_OUT_OF_ORDER: Final = {"error": {"message": "Out of order"}}


def _half(wire: Wire, more: Sequence[Piece] = (), ending: Ending = "clean") -> Reply:
    return Reply(200, _SSE, [*wire.whole("Hel", "lo").pieces[: wire.half], *more], ending)


_FAULTS: Final[dict[str, Callable[[Wire], Reply]]] = {
    "cut": lambda wire: _half(wire, ending="cut"),
    "reset": lambda wire: _half(wire, ending="abort"),
    "hung up": lambda _: Reply(None),
    "hung up, reset": lambda _: Reply(None, ending="abort"),
    "no finish": _half,
    "garbage": lambda wire: _half(wire, [b"data: {oops\n\n"]),
    "error event": lambda wire: _half(wire, [wire.error]),
    "half a tool call": lambda wire: Reply(200, _SSE, wire.call, "cut"),
    "429": lambda _: openai.error(429, "Slow down"),
    "500 of the gateway": lambda _: json_reply(_OUT_OF_ORDER, 500, {"x-portkey-gateway-exception": "true"}),
    "500 of the provider": lambda _: json_reply(_OUT_OF_ORDER, 500, _BY_PROVIDER),
    "HTML": lambda _: Reply(502, {"content-type": "text/html"}, [b"<html><title>Bad gateway</title></html>"]),
    "JSON cut": lambda _: Reply(200, {"content-type": "application/json"}, [b'{"choices":[{"mess'], "cut"),
    "stall, clock": lambda wire: _half(wire, [Gate()]),
    "stall, cancelled task": lambda wire: _half(wire, [Gate()]),
    "stall, cancel signal": lambda wire: _half(wire, [Gate()]),
    "stall, no answer": lambda _: Reply(200, _SSE, hold=Gate()),
}
# What the first request meets, while the one after it is answered.
_PASSING: Final[dict[str, Callable[[Wire], Reply]]] = {
    "503, then whole": lambda _: json_reply(_OUT_OF_ORDER, 503, _BY_PROVIDER),
    "429, then whole": lambda _: openai.error(429, "Slow down", headers={"retry-after-ms": "1"}),
    "reset, then whole": lambda _: Reply(None, ending="abort"),
    "error event, then whole": lambda wire: Reply(200, _SSE, [wire.error]),
}
_LEFT: Final = ("closed", "abandoned")  # Whole answers, of which the caller takes the first event alone.


@dataclass
class Figures:
    """What is open at one moment."""

    files: int
    threads: int
    connections: int
    loops: int
    memory: int

    def __str__(self) -> str:
        return (
            f"files {self.files:4}, threads {self.threads:2}, connections {self.connections:3},"
            f" loops {self.loops:2}, memory {self.memory / 2**20:6.1f} MiB"
        )


@dataclass
class Soak:
    """A number of calls, and what came of them.

    Attributes:
        outcomes: How often each fault ended in which way, by wire.
        tasks: Tasks that were left when a loop had done its calls.
        most: The most connections that were open at one time.
    """

    outcomes: Counter[tuple[Api, str, str]] = field(default_factory=Counter)
    tasks: int = 0
    most: int = 0

    def __post_init__(self) -> None:
        """Prepare the gateway and a model for each wire, which all loops share."""
        self.gateway = Upstream(self._answer)
        self.models: dict[Api, PortkeyModel] = {}
        self._tried: set[bytes] = set()
        self._numbers = itertools.count()
        self._lock = threading.Lock()

    def _answer(self, request: Request) -> Reply:
        self.gateway.requests.clear()
        asked = _QUESTION.search(request.body)
        if asked is None:
            return json_reply({"error": {"message": "There is no question."}}, 400)
        name, number = asked[1].decode(), asked[2]
        wire = WIRES[_PATHS[request.path]]
        if name in _FAULTS:
            return _FAULTS[name](wire)
        if name in _PASSING and number not in self._tried:
            self._tried.add(number)
            return _PASSING[name](wire)
        self._tried.discard(number)
        return wire.whole("Hel", f"lo {number.decode()}")

    def run(self, calls: int) -> None:
        """Make that many calls, in loops of `PER_LOOP` on `THREADS` threads."""
        self.models = {
            name: PortkeyModel(
                {
                    "base_url": self.gateway.base_url,
                    "provider": wire.provider,
                    "timeout": {"first_byte": CLOCK, "idle": CLOCK},
                    "max_retries": 1,
                },
                model_id=wire.model_id,
                api=name,
                params={"max_tokens": 100} if name == "messages" else {},
            )
            for name, wire in WIRES.items()
        }
        faults = itertools.cycle((*_FAULTS, *_PASSING, *_LEFT))
        wires = itertools.cycle(WIRES)
        asked = [(next(wires), next(faults) if number % 5 == 0 else "whole") for number in range(calls)]
        batches = [asked[start : start + PER_LOOP] for start in range(0, calls, PER_LOOP)]
        with ThreadPoolExecutor(THREADS) as pool:
            for _ in pool.map(self._batch, batches):
                pass
        # Loops that ended together are forgotten with the next one.
        asyncio.run(self._calls(iter([(wire, "whole") for wire in WIRES])))

    def _batch(self, asked: list[tuple[Api, str]]) -> None:
        asyncio.run(self._calls(iter(asked)))
        # A sync call of an agent has a loop and a thread of its own.
        wire, _ = asked[-1]
        agent = Agent(model=self.models[wire], callback_handler=None)
        number = next(self._numbers)
        result = agent(f"<whole#{number}>")
        outcome = result.stop_reason if str(result).strip() == f"Hello {number}" else f"another answer: {result}"
        with self._lock:
            self.outcomes[wire, "whole, sync agent", outcome] += 1

    async def _calls(self, asked: Iterator[tuple[Api, str]]) -> None:
        async def worker() -> None:
            for wire, name in asked:
                outcome = await self._call(wire, name)
                with self._lock:
                    self.outcomes[wire, name, outcome] += 1
                    self.most = max(self.most, len(self.gateway._connections))

        await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
        gc.collect()
        for _ in range(100):
            if len(asyncio.all_tasks()) == 1:
                break
            await asyncio.sleep(0.01)
        with self._lock:
            self.tasks += len(asyncio.all_tasks()) - 1

    async def _call(self, wire: Api, name: str) -> str:
        signal = threading.Event()
        number = next(self._numbers)
        question: Messages = [{"role": "user", "content": [{"text": f"<{name}#{number}>"}]}]
        events = self.models[wire].stream(question, cancel_signal=signal)
        if name == "closed":
            async with aclosing(events):
                await anext(events)
            return "left"
        if name == "abandoned":
            await anext(events)
            return "left"
        asking = asyncio.create_task(_read(events, f"Hello {number}"))
        if name == "stall, cancelled task":
            asyncio.get_running_loop().call_later(0.02, asking.cancel)
        if name == "stall, cancel signal":
            asyncio.get_running_loop().call_later(0.02, signal.set)
        try:
            return await asking
        except PortkeyError as error:
            return type(error).__name__
        except asyncio.CancelledError:
            return "cancelled"

    def figures(self) -> Figures:
        """Return what is open now."""
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)
        self.gateway._gone.clear()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return Figures(
            open_files(),
            threading.active_count(),
            len(self.gateway._connections),
            sum(len(model._client._connections._loops) for model in self.models.values()),
            pages * PAGE,
        )

    def settled(self, wanted: Figures | None = None) -> Figures:
        """Return what is open once connections that are being closed are closed."""
        deadline = time.monotonic() + 10
        while True:
            figures = self.figures()
            if time.monotonic() > deadline:
                return figures
            if figures.connections == 0 and (wanted is None or figures.files <= wanted.files):
                return figures
            time.sleep(0.05)


async def _read(events: AsyncIterable[StreamEvent], answer: str) -> str:
    """Read an answer as Strands does and return why it stopped; one without an end was cancelled."""
    seen: list[StreamEvent] = []

    async def noted() -> AsyncIterator[StreamEvent]:
        async for event in events:
            seen.append(event)
            yield event

    message: object = None
    stopped = ""
    async for event in process_stream(noted()):
        if "stop" in event:
            reason, message, *_ = event["stop"]
            stopped = str(reason)
    if not any("messageStop" in event for event in seen):
        return "cancelled"
    return stopped if message == {"role": "assistant", "content": [{"text": answer}]} else f"another answer: {message}"


def expected(name: str, outcome: str) -> bool:
    """Whether a fault may end in this way."""
    if name.startswith("whole") or name in _PASSING:
        return outcome == "end_turn"
    if name in _LEFT:
        return outcome == "left"
    if name.startswith("stall, cancel"):
        return outcome == "cancelled"
    return outcome.startswith("Portkey")


def soak(calls: int) -> list[str]:
    """Run a soak and print its figures.

    Args:
        calls: How many calls to make, beside a tenth of that to warm up.

    Returns:
        What is not as it should be.
    """
    logging.getLogger("strands").setLevel(logging.CRITICAL)
    logging.getLogger("opentelemetry.context").disabled = True
    this = Soak()
    wrong: list[str] = []
    with this.gateway, Witness() as witness:
        this.run(max(calls // 10, len(_FAULTS) * 15))
        this.outcomes.clear()
        before = this.settled()
        print(f"before {before}")
        started = time.monotonic()
        done = threading.Event()

        def watch() -> None:
            while not done.wait(max(5.0, calls / 1000)):
                print(f"during {this.figures()}, {sum(this.outcomes.values()):6} calls", flush=True)

        watching = threading.Thread(target=watch)
        watching.start()
        try:
            this.run(calls)
        finally:
            done.set()
            watching.join()
        seconds = time.monotonic() - started
        after = this.settled(before)
        print(f"after  {after}; at most {this.most} connections; {this.tasks} tasks left; {seconds:.0f} s")
        wrong += witness.found
        witness.found.clear()
    faults: dict[str, Counter[str]] = {}
    for (wire, name, outcome), count in sorted(this.outcomes.items()):
        faults.setdefault(name, Counter())[f"{wire} {outcome}"] += count
        if not expected(name, outcome):
            wrong.append(f"{name} on {wire} ended in {outcome} {count} times")
    for name, outcomes in faults.items():
        print(f"  {name:24} {', '.join(f'{count} {outcome}' for outcome, count in outcomes.items())}")
    if this.tasks:
        wrong.append(f"{this.tasks} tasks were left")
    for what in ("files", "threads", "connections", "loops"):
        if getattr(after, what) > getattr(before, what):
            wrong.append(f"{what} went from {getattr(before, what)} to {getattr(after, what)}")
    if after.memory > before.memory + ROOM:
        wrong.append(f"memory grew by {(after.memory - before.memory) / 2**20:.1f} MiB")
    return wrong


if __name__ == "__main__":
    found = soak(int(sys.argv[1]) if len(sys.argv) > 1 else CALLS)
    for each in found:
        print(f"WRONG: {each}")
    sys.exit(bool(found))
