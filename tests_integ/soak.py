"""A soak: thousands of calls with a fault in one of five, over several loops and threads; nothing may be left.

`python -m tests_integ.soak [calls]` prints what is open before, during and after, and ends with 1 if that does not
come back to where it was.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import itertools
import logging
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncIterable, AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from strands import Agent
from strands.event_loop.streaming import process_stream
from strands.types.content import Messages
from strands.types.streaming import StreamEvent

from strands_portkey import PortkeyError, PortkeyModel
from tests_integ.faults import Witness, open_files
from tests_integ.upstream import Gate, Reply, Request, Upstream, json_reply
from tests_integ.wires import openai

CALLS: Final = 20_000
THREADS: Final = 4
CLOCK: Final = 2.0  # What a call waits for the next byte.
AT_ONCE: Final = 8
PER_LOOP: Final = 250  # Calls of one event loop, which then ends.
ROOM: Final = 8 * 2**20  # Bytes that the memory may have grown by: the allocator's share.
PAGE: Final = 4096

_SSE: Final = {"content-type": "text/event-stream"}
_HALF: Final = [openai.chunk({"content": "Hel"}), openai.chunk({"content": "l"})]
_STALLS: Final = ("stall, clock", "stall, cancelled task", "stall, cancel signal", "stall, no answer")
_WHOLE: Final = openai.stream(openai.text("Hel", "lo"))
_FAULTS: Final = {
    "cut": Reply(200, _SSE, _HALF, "cut"),
    "reset": Reply(200, _SSE, _HALF, "abort"),
    "hung up": Reply(None),
    "hung up, reset": Reply(None, ending="abort"),
    "no finish": Reply(200, _SSE, _HALF),
    "garbage": Reply(200, _SSE, [*_HALF, b"data: {oops\n\n"]),
    "error event": Reply(200, _SSE, [*_HALF, b'event: error\ndata: {"message":"Oops"}\n\n']),
    "half a tool call": Reply(
        200, _SSE, [openai.chunk(each) for each in openai.tool_call(0, "c1", "get_weather", '{"ci')], "cut"
    ),
    "429": openai.error(429, "Slow down"),
    "500": json_reply({"error": {"message": "Out of order"}}, 500),
    "HTML": Reply(502, {"content-type": "text/html"}, [b"<html><title>Bad gateway</title></html>"]),
    "JSON cut": Reply(200, {"content-type": "application/json"}, [b'{"choices":[{"mess'], "cut"),
    "closed": _WHOLE,
    "abandoned": _WHOLE,
    **{stall: Reply(200, _SSE, hold=Gate()) if stall.endswith("answer") else _WHOLE for stall in _STALLS},
}
_MESSAGES: Final[dict[str, Messages]] = {
    name: [{"role": "user", "content": [{"text": name}]}] for name in ("whole", *_FAULTS)
}


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
        outcomes: How often each fault ended in which way.
        tasks: Tasks that were left when a loop had done its calls.
        most: The most connections that were open at one time.
    """

    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    tasks: int = 0
    most: int = 0

    def __post_init__(self) -> None:
        """Prepare the gateway and the model, which all loops share."""
        self.gateway = Upstream(self._answer)
        self._lock = threading.Lock()

    def _answer(self, request: Request) -> Reply:
        self.gateway.requests.clear()
        name = request.json["messages"][-1]["content"]
        if name in _STALLS and name != "stall, no answer":
            return Reply(200, _SSE, [*_HALF, Gate()])
        return Reply(200, _SSE, hold=Gate()) if name in _STALLS else _FAULTS.get(name, _WHOLE)

    def run(self, calls: int) -> None:
        """Make that many calls, in loops of `PER_LOOP` on `THREADS` threads."""
        self.model = PortkeyModel(
            {
                "base_url": self.gateway.base_url,
                "provider": "openai",
                "timeout": {"first_byte": CLOCK, "idle": CLOCK},
                "max_retries": 0,
            },
            model_id="gpt-4o",
        )
        faults = itertools.cycle(_FAULTS)
        names = [next(faults) if number % 5 == 0 else "whole" for number in range(calls)]
        batches = [names[start : start + PER_LOOP] for start in range(0, calls, PER_LOOP)]
        with ThreadPoolExecutor(THREADS) as pool:
            for _ in pool.map(self._batch, batches):
                pass
        asyncio.run(self._calls(iter(["whole"])))  # Loops that ended together are forgotten with the next one.

    def _batch(self, names: list[str]) -> None:
        asyncio.run(self._calls(iter(names)))
        # A sync call of an agent has a loop and a thread of its own.
        agent = Agent(model=self.model, callback_handler=None)
        result = agent("whole")
        with self._lock:
            self.outcomes["whole, sync agent", result.stop_reason] += 1

    async def _calls(self, names: Iterator[str]) -> None:
        async def worker() -> None:
            for name in names:
                outcome = await self._call(name)
                with self._lock:
                    self.outcomes[name, outcome] += 1
                    self.most = max(self.most, len(self.gateway._connections))

        await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
        gc.collect()
        for _ in range(100):
            if len(asyncio.all_tasks()) == 1:
                break
            await asyncio.sleep(0.01)
        with self._lock:
            self.tasks += len(asyncio.all_tasks()) - 1

    async def _call(self, name: str) -> str:
        signal = threading.Event()
        events = self.model.stream(_MESSAGES[name], cancel_signal=signal)
        if name == "closed":
            async with aclosing(events):
                await anext(events)
            return "left"
        if name == "abandoned":
            await anext(events)
            return "left"
        asking = asyncio.create_task(_read(events, name))
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
            len(self.model._client._connections._loops) if hasattr(self, "model") else 0,
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


async def _read(events: AsyncIterable[StreamEvent], name: str) -> str:
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
    assert message == {"role": "assistant", "content": [{"text": "Hello"}]}, (name, message)
    return stopped


def expected(name: str, outcome: str) -> bool:
    """Whether a fault may end in this way."""
    if name.startswith("whole"):
        return outcome == "end_turn"
    if name in ("closed", "abandoned"):
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
        this.run(max(calls // 10, len(_FAULTS) * 5))
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
    for (name, outcome), count in sorted(this.outcomes.items()):
        faults.setdefault(name, Counter())[outcome] += count
        if not expected(name, outcome):
            wrong.append(f"{name} ended in {outcome} {count} times")
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
