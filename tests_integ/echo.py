"""A gateway in the loop of the test: it answers each question with itself, over many turns of the loop."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from strands_portkey import PortkeyModel

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


@dataclass
class Echo:
    """A running gateway.

    Attributes:
        base_url: Where it listens.
        pause: Seconds between the parts of an answer.
        open: Its open connections.
    """

    base_url: str = ""
    pause: float = 0
    open: set[asyncio.StreamWriter] = field(default_factory=set)
    _left: asyncio.Event = field(default_factory=asyncio.Event)

    def model(self, **client_args: Any) -> PortkeyModel:
        """Return a model that asks this gateway."""
        usual: dict[str, Any] = {"base_url": self.base_url, "provider": "openai"}
        return PortkeyModel({**usual, **client_args}, model_id="gpt-4o")

    async def is_left_with(self, connections: int) -> bool:
        """Return whether no more connections than these are open, as soon as that is so, False after 5 seconds."""
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._is_left_with(connections), 5)
        return len(self.open) <= connections

    async def _is_left_with(self, connections: int) -> None:
        while len(self.open) > connections:
            self._left.clear()
            await self._left.wait()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        self.open.add(writer)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                question = json.loads(await reader.readexactly(length))["messages"][-1]["content"]
                writer.write(HEAD)
                for delta in ({"role": "assistant"}, *({"content": each} for each in question)):
                    await self._send(writer, {"choices": [{"index": 0, "delta": delta}]})
                await self._send(writer, {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
                writer.write(b"e\r\ndata: [DONE]\n\n\r\n")
                await asyncio.sleep(self.pause)
                writer.write(b"0\r\n\r\n")
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # The other side has gone, which is its right.
        finally:
            self.open.discard(writer)
            self._left.set()
            writer.transport.abort()

    async def _send(self, writer: asyncio.StreamWriter, chunk: object) -> None:
        data = b"data: " + json.dumps(chunk).encode() + b"\n\n"
        writer.write(b"%x\r\n%b\r\n" % (len(data), data))
        await writer.drain()
        await asyncio.sleep(self.pause)


@asynccontextmanager
async def running_echo(pause: float = 0, tls: ssl.SSLContext | None = None) -> AsyncIterator[Echo]:
    """Run a gateway in the running loop."""
    echo = Echo(pause=pause)
    server = await asyncio.start_server(echo.answer, "127.0.0.1", 0, ssl=tls)
    echo.base_url = f"http{'s' * bool(tls)}://localhost:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield echo
    finally:
        server.close()
        for writer in echo.open:
            writer.transport.abort()
        await echo.is_left_with(0)


async def ask(model: PortkeyModel, question: str) -> str:
    """Return the answer to a question, which is the question."""
    text = ""
    async for event in model.stream([{"role": "user", "content": [{"text": question}]}]):
        if "contentBlockDelta" in event:
            text += event["contentBlockDelta"]["delta"]["text"]
    return text


async def turns(count: int) -> None:
    """Let the event loop go round so many times."""
    for _ in range(count):
        await asyncio.sleep(0)
