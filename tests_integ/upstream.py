"""A scripted upstream on loopback: HTTP/1.1 in its own thread, one reply per request.

It stands behind the real gateway as the model provider, or in front of a client as a gateway that misbehaves. It
keeps what it received and sends what its script returns, piece by piece, each piece flushed as a chunk of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field
from http import HTTPStatus
from types import TracebackType
from typing import Any, Literal, final

from typing_extensions import Self

MAX_BODY = 64 * 1024 * 1024


@dataclass(frozen=True)
class Request:
    """A request as the upstream received it.

    Attributes:
        method: For example `POST`.
        path: The target with its query, as received.
        headers: In the order and spelling received.
        body: The body, de-chunked.
        connection: The number of the connection it came on, counted from 0; equal numbers show a reused one.
    """

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    connection: int

    def header(self, name: str) -> str | None:
        """Return the value of the first header of that name, in any case, or None."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    @property
    def json(self) -> Any:
        """The parsed JSON body."""
        return json.loads(self.body)


class Gate:
    """A place in a reply where the upstream waits until the test opens it.

    `reached` and `opened` are futures: wait with `gate.reached.result(5)` in a sync test and with
    `await asyncio.wrap_future(gate.reached)` in an async one.
    """

    def __init__(self) -> None:
        """Make a closed gate."""
        self.reached: Future[None] = Future()
        self.opened: Future[None] = Future()

    def open(self) -> None:
        """Let the reply go on, now or when it gets here."""
        with contextlib.suppress(InvalidStateError):  # Opened twice, or its server has gone.
            self.opened.set_result(None)

    async def wait(self) -> None:
        """Say that it is reached and wait until it is open; the server calls this."""
        with contextlib.suppress(InvalidStateError):  # The same gate may stand in several replies.
            self.reached.set_result(None)
        # Shielded: a connection that ends here must not close the gate for the others.
        await asyncio.shield(asyncio.wrap_future(self.opened))


Piece = bytes | Gate
Ending = Literal["clean", "cut", "abort"]


@dataclass(frozen=True)
class Reply:
    """What the upstream answers to one request.

    Attributes:
        status: The status code; None for a connection that ends without any answer.
        headers: Sent as they are, beside `Transfer-Encoding: chunked`.
        pieces: The body. Bytes go out as one chunk each, flushed; at a `Gate` the upstream waits.
        ending: `clean` ends the body as HTTP wants it. `cut` closes the connection (FIN) without the last chunk,
            `abort` resets it (RST): what is in flight may be lost, so put a `Gate` before it to be sure.
        hold: Waited for before the status line is sent.
    """

    status: int | None = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    pieces: Sequence[Piece] = ()
    ending: Ending = "clean"
    hold: Gate | None = None


Script = Callable[[Request], Reply]


def json_reply(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """Return a reply with a JSON body.

    Args:
        body: Anything that `json.dumps` takes.
        status: The status code.
        headers: More headers.
    """
    return Reply(status, {"content-type": "application/json", **(headers or {})}, [json.dumps(body).encode()])


def sse_reply(pieces: Sequence[Piece]) -> Reply:
    """Return a reply of events."""
    return Reply(200, {"content-type": "text/event-stream; charset=utf-8"}, pieces)


class _Protocol(asyncio.StreamReaderProtocol):
    """Streams that also report, while nothing is being read, that the other side has closed."""

    def __init__(self, connected: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> None:
        super().__init__(asyncio.StreamReader(limit=MAX_BODY), connected)
        self.left: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def eof_received(self) -> bool:
        self._leave()
        return bool(super().eof_received())

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()
        super().connection_lost(exc)

    def _leave(self) -> None:
        if not self.left.done():
            self.left.set_result(None)


async def _let_run() -> None:
    """Let the loop do what it has begun: to accept or to end a connection takes it a few turns."""
    for _ in range(10):
        await asyncio.sleep(0)


class LoopbackServer(ABC):
    """A server on a free loopback port, in an event loop and a thread of its own. Use it as a context manager.

    Attributes:
        port: The port on 127.0.0.1.
    """

    def __init__(self) -> None:
        """Make a server that is not running yet."""
        self.port = 0
        self._started: Future[None] = Future()
        self._loop = asyncio.new_event_loop()
        self._ended = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name=type(self).__name__, daemon=True)

    def __enter__(self) -> Self:
        """Start the server."""
        self._thread.start()
        self._started.result(10)
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop the server and reset the connections that are still open."""
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(10)

    @abstractmethod
    async def _listen(self) -> asyncio.Server:
        """Begin to take connections."""

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        server = await self._listen()
        self.port = server.sockets[0].getsockname()[1]
        self._started.set_result(None)
        await self._ended.wait()
        for each in server.sockets:
            self._loop.remove_reader(each.fileno())
        await _let_run()  # asyncio loses a connection that it has accepted if the server is closed before it begins.
        server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await _let_run()  # What was reset is closed in later turns.


@final
class Upstream(LoopbackServer):
    """An HTTP server on a free loopback port that answers from a script.

    Replies come from the queue that `reply` fills; when it is empty, from the function `script`; without one the
    answer is a 500 that says so. It may be used from any thread or event loop.

    Attributes:
        requests: All requests received so far, oldest first.
        script: Answers when the queue is empty.
    """

    def __init__(self, script: Script | None = None) -> None:
        """Make a server that is not running yet.

        Args:
            script: Answers when no reply is queued.
        """
        super().__init__()
        self.requests: list[Request] = []
        self.script = script
        self._replies: deque[Reply] = deque()
        self._connections: set[asyncio.StreamWriter] = set()
        self._gone: dict[int, Future[None]] = {}
        self._count = 0

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        """`http://127.0.0.1:PORT/v1`, what `x-portkey-custom-host` wants for most providers."""
        return f"{self.url}/v1"

    def reply(self, *replies: Reply) -> None:
        """Queue replies: the next requests get them in this order."""
        self._replies.extend(replies)

    def gone(self, connection: int) -> Future[None]:
        """Return a future that is done when that connection, counted from 0, has ended."""
        return self._gone.setdefault(connection, Future())

    def drop_connections(self) -> None:
        """Close every connection at once, as a server does with idle ones."""
        dropped: Future[None] = Future()

        def drop() -> None:
            for writer in self._connections:
                writer.close()
            dropped.set_result(None)

        self._loop.call_soon_threadsafe(drop)
        dropped.result(5)

    async def _listen(self) -> asyncio.Server:
        return await self._loop.create_server(lambda: _Protocol(self._connection), "127.0.0.1", 0)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number, self._count = self._count, self._count + 1
        self._connections.add(writer)
        protocol = writer.transport.get_protocol()
        assert isinstance(protocol, _Protocol)
        left = protocol.left
        try:
            while (request := await _read_request(reader, number)) is not None:
                self.requests.append(request)
                sending = asyncio.ensure_future(_send(writer, self._next_reply(request)))
                ends: list[asyncio.Future[Any]] = [sending, left]
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
                if left.done():
                    sending.cancel()
                if not await sending:
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # The other side has gone, which is its right.
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            self._connections.discard(writer)
            writer.close()
            with contextlib.suppress(Exception):  # Nothing waits any more.
                self.gone(number).set_result(None)

    def _next_reply(self, request: Request) -> Reply:
        try:
            if self._replies:
                return self._replies.popleft()
            if self.script is not None:
                return self.script(request)
        except Exception as error:  # noqa: BLE001 - a broken script must show in the test, not hang it
            return json_reply({"error": {"message": f"The upstream's script failed: {error!r}"}}, status=500)
        return json_reply({"error": {"message": "The upstream's script has no reply left."}}, status=500)


async def _read_request(reader: asyncio.StreamReader, connection: int) -> Request | None:
    """Read one request, or return None at the end of the connection."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    start, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    method, path, _ = start.split(" ", 2)
    headers = tuple((name, value.strip()) for name, _, value in (line.partition(":") for line in lines))
    by_name = {name.lower(): value for name, value in headers}
    if "chunked" in by_name.get("transfer-encoding", ""):
        body = b"".join([chunk async for chunk in _chunks(reader)])
    else:
        body = await reader.readexactly(int(by_name.get("content-length", "0")))
    return Request(method, path, headers, body, connection)


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while size := int((await reader.readline()).split(b";")[0], 16):
        yield await reader.readexactly(size)
        await reader.readline()
    while (await reader.readline()).strip():
        pass  # Trailers.


async def _send(writer: asyncio.StreamWriter, reply: Reply) -> bool:
    """Send one reply; return whether the connection can serve another request."""
    if reply.hold is not None:
        await reply.hold.wait()
    if reply.status is not None:
        phrase = HTTPStatus(reply.status).phrase if reply.status in HTTPStatus._value2member_map_ else "unknown"
        bodiless = reply.status in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)
        lines = [f"HTTP/1.1 {reply.status} {phrase}", *(f"{name}: {value}" for name, value in reply.headers.items())]
        if not bodiless:
            lines.append("transfer-encoding: chunked")
        writer.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
        await writer.drain()
        for piece in reply.pieces:
            if isinstance(piece, Gate):
                await piece.wait()
            elif piece:  # An empty chunk would end the body.
                writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                await writer.drain()
        if reply.ending == "clean":
            writer.write(b"" if bodiless else b"0\r\n\r\n")
            await writer.drain()
            return True
    if reply.ending == "abort":
        # With a linger time of zero, closing sends RST instead of FIN.
        connection: socket.socket = writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
    return False
