"""Takes one measure of one contender in this process, and prints it as JSON.

`python -m tests_integ.bench.worker portkey text --url http://127.0.0.1:8000`; the runner starts it. Nothing of a
contender is imported before it is measured.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import importlib
import json
import logging
import os
import resource
import socket
import sys
import time
import timeit
import urllib.request
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import aclosing
from functools import partial
from types import ModuleType
from typing import Any, Final

from strands import Agent, tool

from tests_integ.bench.server import allow_many_files

Record = dict[str, Any]

MESSAGES: Final = [{"role": "user", "content": [{"text": "Hi"}]}]
CHUNKS: Final = {  # What to ask for in a short and in a long stream: kind/chunks/pause.
    "text": ("text/200/0", "text/1200/0"),
    "tool": ("tool/200/0", "tool/1200/0"),
    "spaced": ("text/50/0.001", "text/300/0.001"),
}
SHORT: Final = "text/5/0"
IMAGE_BYTES: Final = 3_000_000
AGENT: Final = "text/200/0"
PACED: Final = "text/20/0.1"


class Contender:
    """One way to ask, of which nothing is imported until it is used."""

    def __init__(self, name: str, url: str) -> None:
        """Remember its name and the server's address."""
        self._name = name
        self._url = url

    def model(self, answer: str, *, for_agent: bool = False) -> Any:
        """Return a model whose requests get an answer such as `text/5/0`."""
        module = self._module()
        make = getattr(module, "make_for_agent", module.make) if for_agent else module.make
        return make(f"{self._url}/{answer}/v1")

    def fewest(self, answer: str) -> int:
        """Return how many events come of an answer at least: one for each chunk, or for a whole call of a tool."""
        kind, count, _ = answer.split("/")
        return 1 if kind == "tool" and hasattr(self._module(), "WITHHOLDS_CALLS") else int(count)

    def _module(self) -> ModuleType:
        return importlib.import_module(f"tests_integ.bench.contenders.{self._name}")

    def connections(self) -> int:
        """Return how many connections have carried a request."""
        with urllib.request.urlopen(f"{self._url}/connections") as answer:  # noqa: S310 - the runner's address
            return int(answer.read())


def conversation(count: int) -> list[Record]:
    """Return that many messages, of a user whose questions a model answers after it has called a tool."""
    messages: list[Record] = []
    while len(messages) < count:
        call = f"call_{len(messages)}"
        result = {"toolUseId": call, "status": "success", "content": [{"text": "A note. " * 30}]}
        messages += [
            {"role": "user", "content": [{"text": "What is in it? " * 10}]},
            {
                "role": "assistant",
                "content": [{"toolUse": {"toolUseId": call, "name": "note", "input": {"text": "it"}}}],
            },
            {"role": "user", "content": [{"toolResult": result}]},
            {"role": "assistant", "content": [{"text": "There is a note in it. " * 15}]},
        ]
    return [*messages[: count - 1], MESSAGES[0]]


def pictures(count: int) -> list[Record]:
    """Return a question with that many images."""
    images = [bytes([number]) * IMAGE_BYTES for number in range(count)]
    blocks = [{"image": {"format": "png", "source": {"bytes": image}}} for image in images]
    return [{"role": "user", "content": [*MESSAGES[0]["content"], *blocks]}]


async def read(model: Any, answer: str, fewest: int | None = None, messages: Sequence[Record] = MESSAGES) -> None:
    """Read one answer to its end.

    Raises:
        ValueError: If fewer events come of it than that, or than the server has sent chunks.
    """
    events = 0
    async with aclosing(model.stream(messages)) as stream:
        async for _ in stream:
            events += 1
    if events < (int(answer.split("/")[1]) if fewest is None else fewest):
        raise ValueError(f"{events} events came of {answer}")


async def cpu_seconds(call: Callable[[], Awaitable[object]]) -> float:
    """Return the CPU time of this process during a call, all threads together."""
    before = time.process_time()
    await call()
    return time.process_time() - before


def peak_bytes() -> int:
    """Return the most memory that this process has held."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


async def chunks(contender: Contender, kind: str, repeat: int) -> Record:
    """Read short and long streams, one after the other."""
    answers = CHUNKS[kind]
    models = {answer: contender.model(answer) for answer in answers}
    seconds: dict[str, list[float]] = {answer: [] for answer in answers}
    for _ in range(1 + repeat):
        for answer, model in models.items():
            seconds[answer].append(await cpu_seconds(partial(read, model, answer, contender.fewest(answer))))
    short, long = (seconds[answer][1:] for answer in answers)  # The first of each warms up.
    few, many = (int(answer.split("/")[1]) for answer in answers)
    return {"short": short, "long": long, "difference": many - few}


async def short(contender: Contender, repeat: int, answer: str) -> Record:
    """Make batches of short calls in one loop."""
    model = contender.model(answer)
    calls = 10

    async def batch() -> None:
        for _ in range(calls):
            await read(model, answer)

    await read(model, answer)
    return {"per_call": [await cpu_seconds(batch) / calls for _ in range(repeat)]}


async def request(contender: Contender, repeat: int, messages: Sequence[Record]) -> Record:
    """Make calls with a long request."""
    model = contender.model(SHORT)
    seconds = [await cpu_seconds(partial(read, model, SHORT, messages=messages)) for _ in range(1 + 2 * repeat)]
    return {"per_call": seconds[1:]}


async def logs(contender: Contender) -> Record:
    """Count how often a short call asks whether logs are on, and time what it takes to hear that they are off."""
    model = contender.model(SHORT)
    asked: list[str] = []
    is_on = logging.Logger.isEnabledFor

    def ask(logger: logging.Logger, level: int) -> bool:
        asked.append(logger.name)
        return is_on(logger, level)

    await read(model, SHORT)
    logging.Logger.isEnabledFor = ask  # type: ignore[assignment,method-assign]
    await read(model, SHORT)
    logging.Logger.isEnabledFor = is_on  # type: ignore[method-assign]
    asks = sum(name.startswith("strands_portkey") for name in asked)
    times = 10_000
    off = partial(logging.getLogger("strands_portkey").debug, "off")
    return {"asks": asks, "per_call": asks * min(timeit.repeat(off, number=times)) / times}


def agent_sync(contender: Contender, repeat: int) -> Record:
    """Call agents as a script does: each call runs in a thread and a loop of its own."""
    model = contender.model(AGENT, for_agent=True)
    seconds: list[float] = []
    failures: Counter[str] = Counter()
    for _ in range(2 + 3 * repeat):
        agent = Agent(model=model, callback_handler=None)
        before = time.process_time()
        try:
            agent("Hi")
        except Exception as error:  # noqa: BLE001 - a failure is a result
            failures[type(error).__name__] += 1
        else:
            seconds.append(time.process_time() - before)
    return {"per_call": seconds[2:], "failures": failures}


async def agent_async(contender: Contender, repeat: int) -> Record:
    """Call agents in one loop."""
    model = contender.model(AGENT, for_agent=True)
    seconds = []
    for _ in range(2 + 3 * repeat):
        agent = Agent(model=model, callback_handler=None)
        seconds.append(await cpu_seconds(partial(agent.invoke_async, "Hi")))
    return {"per_call": seconds[2:]}


async def first_event(contender: Contender, url: str, repeat: int) -> Record:
    """Time from the call to the first piece of text, and a bare socket's for the same answer."""
    model = contender.model(SHORT)
    delays = []
    for _ in range(10 * repeat):
        delay = None
        before = time.perf_counter()
        async with aclosing(model.stream(MESSAGES)) as stream:
            async for event in stream:
                if delay is None and has_text(event):
                    delay = time.perf_counter() - before
        delays.append(delay)
    return {"delays": delays[1:], "server": bare_delays(url, 10 * repeat)}


def has_text(event: Record) -> bool:
    """Tell whether an event, or a chunk from the floor, holds a piece of the answer."""
    if choices := event.get("choices"):
        return bool(choices[0]["delta"].get("content"))
    return "contentBlockDelta" in event


def bare_delays(url: str, repeat: int) -> list[float]:
    """Return the time in which the server answers a kept connection."""
    _, _, port = url.rpartition(":")
    request = f"POST /{SHORT}/v1/chat/completions HTTP/1.1\r\ncontent-length: 0\r\n\r\n".encode()
    delays = []
    with socket.create_connection(("127.0.0.1", int(port))) as connection:
        for _ in range(repeat):
            before = time.perf_counter()
            connection.sendall(request)
            received = b""
            while b"0\r\n\r\n" not in received:
                received += connection.recv(65536)
            delays.append(time.perf_counter() - before)
    return delays


def reuse(contender: Contender) -> Record:
    """Count the connections of two turns of an agent: two calls in one loop, and a tool's turns in a script's call."""

    async def two_calls() -> None:
        agent = Agent(model=contender.model(SHORT, for_agent=True), callback_handler=None)
        await agent.invoke_async("Hi")
        await agent.invoke_async("Hi again")

    @tool
    def note(text: str) -> str:
        """Keep a text."""
        return text

    before = contender.connections()
    asyncio.run(two_calls())
    between = contender.connections()
    agent = Agent(model=contender.model("turn/1/0", for_agent=True), tools=[note], callback_handler=None)
    agent("Hi")
    return {"two_calls": between - before, "tool_turns": contender.connections() - between}


def start(contender: Contender) -> Record:
    """Time the import after `import strands`, the making of a model and the first call; and the whole process."""
    peak, began = peak_bytes(), time.process_time()
    model = contender.model(SHORT)
    imported, imported_peak = time.process_time(), peak_bytes()
    for _ in range(20):
        contender.model(SHORT)
    made = time.process_time()
    asyncio.run(read(model, SHORT))
    answered = time.process_time() - (made - imported)
    return {
        "import": imported - began,
        "import_bytes": imported_peak - peak,
        "make": (made - imported) / 20,
        "first_call": answered - began,
        "process": answered,
        "process_bytes": peak_bytes(),
    }


async def parallel(contender: Contender, streams: int, bound: float) -> Record:
    """Read paced streams at the same time."""
    await read(contender.model(SHORT), SHORT)
    model = contender.model(PACED)
    gc.collect()
    base = peak_bytes()
    failures: Counter[str] = Counter()
    cpu, began = time.process_time(), time.perf_counter()
    tasks = [asyncio.create_task(read(model, PACED)) for _ in range(streams)]
    done, pending = await asyncio.wait(tasks, timeout=bound)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - began
    failures.update(type(error).__name__ for task in done if (error := task.exception()))
    if pending:
        failures["unfinished"] = len(pending)
    good = streams - failures.total()
    return {
        "per_stream": cpu / good if good else None,
        "cpu": cpu,
        "wall": wall,
        "failures": failures,
        "base_bytes": base,
        "peak_bytes": peak_bytes(),
    }


def main() -> None:
    """Take the measure that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("contender")
    parser.add_argument("measure")
    parser.add_argument("--url", required=True, help="the server's address")
    parser.add_argument("--repeat", type=int, default=1, help="how often, where a measure is repeated")
    parser.add_argument("--answer", default=SHORT, help="what to ask for; default %(default)s")
    parser.add_argument("--messages", type=int, default=1, help="how many messages a request has")
    parser.add_argument("--images", type=int, default=0, help="how many images of 3 MB a request has instead")
    parser.add_argument("--streams", type=int, default=1, help="how many streams at the same time")
    parser.add_argument("--bound", type=float, default=60, help="seconds after which parallel streams count as failed")
    arguments = parser.parse_args()
    contender, repeat, images = Contender(arguments.contender, arguments.url), arguments.repeat, arguments.images
    allow_many_files()
    measures: dict[str, Callable[[], Record | Coroutine[Any, Any, Record]]] = {
        "start": lambda: start(contender),
        "text": lambda: chunks(contender, "text", repeat),
        "tool": lambda: chunks(contender, "tool", repeat),
        "spaced": lambda: chunks(contender, "spaced", repeat),
        "short": lambda: short(contender, repeat, arguments.answer),
        "request": lambda: request(contender, repeat, pictures(images) if images else conversation(arguments.messages)),
        "logs": lambda: logs(contender),
        "agent_sync": lambda: agent_sync(contender, repeat),
        "agent_async": lambda: agent_async(contender, repeat),
        "first_event": lambda: first_event(contender, arguments.url, repeat),
        "reuse": lambda: reuse(contender),
        "parallel": lambda: parallel(contender, arguments.streams, arguments.bound),
    }
    taken = measures[arguments.measure]()
    record = taken if isinstance(taken, dict) else asyncio.run(taken)
    print(json.dumps(record), flush=True)
    os._exit(0)  # What is left unfinished need not end in order.


if __name__ == "__main__":
    main()
