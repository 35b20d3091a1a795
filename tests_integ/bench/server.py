"""The gateway of the benchmark: it answers at once with bytes encoded beforehand, over HTTP/1.1 with keep-alive.

The path of a request says what to answer: `/text/200/0/v1/chat/completions` is 200 text chunks without a pause,
`/tool/20/0.1/...` the call of a tool in 20 fragments with 0.1 s between them, and `/turn/1/0/...` a short call of a
tool, or a text where the request brings the tool's result. Of the requests for `/retried/...` every other one is
refused with 503. A path that ends in `/responses` or `/messages` is answered
on that wire. `GET /connections` returns how many connections have carried a request.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import resource
import ssl
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from tests_integ.wires import anthropic, openai, responses

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
BUSY = b"HTTP/1.1 503 Service Unavailable\r\nretry-after-ms: 1\r\ncontent-length: 2\r\n\r\n{}"
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
BACKLOG = 4096


def chat(kind: str, words: Sequence[str]) -> list[bytes]:
    """Return the events of a chat completion."""
    deltas = openai.text(*words) if kind == "text" else openai.tool_call(0, "call_1", "note", *words)
    return [
        openai.chunk({"role": "assistant", "content": ""}),
        *map(openai.chunk, deltas),
        openai.chunk({}, "stop" if kind == "text" else "tool_calls"),
        openai.chunk(usage=openai.USAGE),
        openai.DONE,
    ]


def response(kind: str, words: Sequence[str]) -> list[bytes]:
    """Return the events of a response, of which the first two and the last repeat instructions and a tool."""
    item = responses.message(*words) if kind == "text" else responses.call("call_1", "note", *words)
    parameters = {"type": "object", "properties": {f"field_{number}": {"type": "string"} for number in range(20)}}
    echo = {
        "instructions": "Be brief. " * 50,
        "tools": [{"type": "function", "name": "note", "parameters": parameters}],
    }
    # OpenAI sends letters with each delta that hide its length.
    hidden = b'"obfuscation":"abcdefghijkl","delta":'
    return [event.replace(b'"delta":', hidden) for event in responses.events(item, echo=echo)]


def message(kind: str, words: Sequence[str]) -> list[bytes]:
    """Return the events of a message."""
    block = anthropic.text(*words) if kind == "text" else anthropic.tool_use("toolu_1", "note", *words)
    reply = anthropic.stream(block)
    return [piece for piece in reply.pieces if isinstance(piece, bytes)]


WIRES: Final = {"responses": response, "messages": message}


@lru_cache
def pieces(kind: str, count: int, wire: str) -> list[bytes]:
    """Return an answer with its text, or the arguments of its tool call, in `count` chunks.

    Each event is an HTTP chunk of its own, as the gateway sends it.
    """
    words = [f"{number:04} " for number in range(count)]  # LiteLLM gives up on a word that is repeated.
    if kind == "tool":
        words[0] = '{"text":"' + words[0]
        words[-1] += '"}'
    make = WIRES.get(wire, chat)
    encoded = [b"%x\r\n%b\r\n" % (len(event), event) for event in make(kind, words)]
    return [HEAD + encoded[0] + encoded[1], *encoded[2:-3], b"".join(encoded[-3:]) + b"0\r\n\r\n"]


@lru_cache
def whole(kind: str, count: int, wire: str) -> bytes:
    """Return an answer in one piece."""
    return b"".join(pieces(kind, count, wire))


class Connection(asyncio.Protocol):
    """Answers the requests of one connection, one after the other."""

    used = 0  # Connections that have carried a request.
    retried = 0  # Requests for what is refused at first.

    def __init__(self) -> None:
        """Begin without a request."""
        self._received = bytearray()
        self._needed = 0  # Bytes that a request has, once its head is there.
        self._is_used = False
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Stop answering."""
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        """Answer once the request is whole."""
        self._received += data
        if not self._needed and (end := self._received.find(b"\r\n\r\n")) >= 0:
            length = LENGTH.search(self._received, 0, end)
            self._needed = end + 4 + (int(length[1]) if length else 0)
        if self._needed and len(self._received) >= self._needed:
            head, _, body = bytes(self._received).partition(b"\r\n\r\n")
            self._received.clear()
            self._needed = 0
            self._answer(head, body)

    def _answer(self, head: bytes, body: bytes) -> None:
        path = head.split(b" ", 2)[1].decode()
        if path == "/connections":
            count = json.dumps(Connection.used).encode()
            self._transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(count), count))
            return
        if not self._is_used:
            self._is_used = True
            Connection.used += 1
        _, kind, count_text, pause_text, *_, wire = path.split("/")
        if kind == "turn":
            kind = "text" if b'"tool_call_id"' in body else "tool"
        if kind == "retried":
            kind = "text"
            Connection.retried += 1
            if Connection.retried % 2:
                self._transport.write(BUSY)
                return
        if pause := float(pause_text):
            self._send(pieces(kind, int(count_text), wire), 0, pause, asyncio.get_running_loop().time())
        else:
            self._transport.write(whole(kind, int(count_text), wire))

    def _send(self, answer: Sequence[bytes], number: int, pause: float, due: float) -> None:
        """Send one piece now, and the next when it is due."""
        self._transport.write(answer[number])
        if number + 1 < len(answer):
            due += pause
            self._timer = asyncio.get_running_loop().call_at(due, self._send, answer, number + 1, pause, due)


async def serve(certificate: str) -> None:
    """Serve over plain HTTP and TLS, print both ports, and go on until the process is ended."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    loop = asyncio.get_running_loop()
    plain = await loop.create_server(Connection, "127.0.0.1", 0, backlog=BACKLOG)
    tls = await loop.create_server(Connection, "127.0.0.1", 0, backlog=BACKLOG, ssl=context)
    print(*(server.sockets[0].getsockname()[1] for server in (plain, tls)), flush=True)
    await asyncio.gather(plain.serve_forever(), tls.serve_forever())


def allow_many_files() -> None:
    """Raise the number of sockets that this process may hold as far as the system lets it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("certificate", help="PEM file with a key and its certificate")
    allow_many_files()
    asyncio.run(serve(parser.parse_args().certificate))
