"""The only room that does I/O: one request to the gateway, its clocks, and the connections beneath.

A connection belongs to the event loop that made it, and Strands runs each synchronous call in a loop of its own. So
idle connections are kept by loop, one to a client: httpx's own pool walks all of its connections for every request.
"""

from __future__ import annotations

import asyncio
import codecs
import os
import ssl
import sys
import threading
from bisect import bisect_right
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import aclosing, suppress
from functools import lru_cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import Final, Literal, TypeVar

import httpx
from httpx_sse import EventSource
from pydantic import JsonValue
from pydantic_core import from_json

from ._config import Clocks, Endpoint
from ._errors import (
    PortkeyAPIError,
    PortkeyConfigError,
    PortkeyConnectionError,
    PortkeyError,
    PortkeyStreamError,
    PortkeyTimeoutError,
)
from ._headers import secrets
from ._judgement import response_error
from ._wire import ChatCompletionChunk, parse_chunk

AsyncClient = httpx.AsyncClient
T = TypeVar("T")

_POLL: Final = 0.05  # Seconds between looks at the cancel signal and the clocks, as Strands' own.
_DRAIN: Final = 1.0  # Seconds to wait for the end of the body, and guardrail results, after [DONE].
_KEEPALIVE: Final = 4.0  # Seconds that an idle connection is kept: the gateway closes it after 5.
_STALE: Final = 1.0  # Seconds within which a stale connection shows itself.
_ERROR_BYTES: Final = 2**20  # How much of an error's body is read.
_OK: Final = range(200, 300)
_DEFAULT_HTTPX_TIMEOUT: Final = httpx.Timeout(5.0)


class RequestCancelledError(Exception):
    """The caller's cancel signal is set. Never leaves the package."""


class GatewayClient:
    """Sends requests to one gateway from any event loop or thread.

    Attributes:
        endpoint: The gateway and how to reach it.
    """

    def __init__(self, endpoint: Endpoint, http_client: httpx.AsyncClient | None = None) -> None:
        """Remember how to connect; nothing is opened yet.

        Args:
            endpoint: The gateway and how to reach it.
            http_client: A client of the caller's own, used as it is and never closed.
        """
        self.endpoint = endpoint
        self._http_client = http_client
        self._connections = _Connections(endpoint)

    def stream(self, body: bytes, headers: Mapping[str, str], cancel_signal: threading.Event | None = None) -> Exchange:
        """Prepare a request, to be sent and ended by ``async with``, which hands over the answer.

        Args:
            body: JSON of the request.
            headers: All of its headers.
            cancel_signal: Ends every wait within `_POLL` seconds once it is set.
        """
        return Exchange(self, "/chat/completions", body, headers, cancel_signal)

    async def fetch(self, path: str, headers: Mapping[str, str], body: bytes | None = None) -> JsonValue:
        """Return the JSON that the gateway answers to a GET, or to a POST where there is a body.

        Args:
            path: Behind the base URL, such as ``/models``.
            headers: All headers of the request.
            body: JSON of the request.

        Raises:
            PortkeyAPIError: If the answer is an error or no JSON.
            PortkeyConnectionError: If no answer comes.
        """
        async with Exchange(self, path, body, headers, None) as answer:
            return await answer.json()

    async def aclose(self) -> None:
        """Close the idle connections of the running loop."""
        await self._connections.aclose()

    async def send(
        self, path: str, body: bytes | None, headers: Mapping[str, str], watch: _Watch
    ) -> tuple[httpx.Response, AsyncClient]:
        """Send a request, and once more if the connection was stale.

        Returns:
            The answer, once its headers are here, and the client that has its body.

        Raises:
            PortkeyConnectionError: If no answer comes.
            RequestCancelledError: If the signal is set first.
        """
        if self._http_client is not None:
            return await self._send_by(self._http_client, path, body, headers, watch), self._http_client
        client, reused = await self._connections.take()
        started = watch.now()
        try:
            return await self._send_by(client, path, body, headers, watch), client
        except BaseException as error:
            await self.give_back(client, usable=False)
            # An idle connection that the other side has dropped fails at once, and the request with it unread.
            stale = isinstance(error.__cause__, (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError))
            if not (reused and stale and watch.now() - started < _STALE):
                raise
        client = await self._connections.make()
        try:
            return await self._send_by(client, path, body, headers, watch), client
        except BaseException:
            await self.give_back(client, usable=False)
            raise

    async def give_back(self, client: AsyncClient, *, usable: bool) -> None:
        """End the use of a client: its connection is kept if the answer was read to its end."""
        if client is not self._http_client:
            await self._connections.give_back(client, usable=usable)

    async def _send_by(
        self, client: AsyncClient, path: str, body: bytes | None, headers: Mapping[str, str], watch: _Watch
    ) -> httpx.Response:
        own = client is self._http_client and client.timeout != _DEFAULT_HTTPX_TIMEOUT
        timeout = client.timeout if own else httpx.Timeout(None, connect=self.endpoint.clocks.connect)
        try:
            url = f"{self.endpoint.base_url}{path}"
            method = "GET" if body is None else "POST"
            request = client.build_request(method, url, content=body, headers=headers, timeout=timeout)
            # A redirect could carry keys to another host.
            return await watch.wait(lambda: client.send(request, stream=True, follow_redirects=False), "first_byte")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._connection_error(error) from error
        except OSError as error:  # TLS may fail beneath httpx, which lets it through.
            raise self._connection_error(httpx.ReadError(str(error))) from error

    def _connection_error(self, error: httpx.HTTPError | httpx.InvalidURL) -> PortkeyError:
        """Judge an exception that came instead of an answer."""
        base_url = self.endpoint.base_url
        said = str(error) or type(error).__name__
        if isinstance(error, (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.LocalProtocolError)):
            return PortkeyConfigError(f"no request can be sent to {base_url}: {said}")
        if isinstance(error, httpx.ConnectTimeout):
            seconds = self.endpoint.clocks.connect or 0
            return PortkeyTimeoutError(
                f"no connection to the gateway at {base_url} within {seconds:g} s (connect)",
                clock="connect",
                seconds=seconds,
            )
        if isinstance(error, httpx.TimeoutException):
            return PortkeyTimeoutError(f"the gateway at {base_url} did not answer in time: {said}", clock="first_byte")
        if isinstance(error, (httpx.ConnectError, httpx.ProxyError)):
            return PortkeyConnectionError(
                f"cannot reach the gateway at {base_url}: {said}",
                origin="network",
                hint="check client_args['base_url'] (or PORTKEY_BASE_URL), and that the gateway runs",
                retryable=True,
            )
        return PortkeyConnectionError(
            f"the gateway at {base_url} hung up before it answered: {said}", origin="network", retryable=True
        )


class Exchange:
    """One request and its answer, as an async context manager.

    A class and not a generator: the end of an event loop closes every async generator that is open, also one that is
    closing already.
    """

    def __init__(
        self,
        client: GatewayClient,
        path: str,
        body: bytes | None,
        headers: Mapping[str, str],
        cancel_signal: threading.Event | None,
    ) -> None:
        """Prepare a request; nothing is sent yet."""
        self._client = client
        self._request = path, body, headers
        self._cancel_signal = cancel_signal

    async def __aenter__(self) -> GatewayResponse:
        """Send the request and return the answer, whatever its status.

        Raises:
            PortkeyConnectionError: If no answer comes.
            RequestCancelledError: If the signal is set first.
        """
        endpoint = self._client.endpoint
        self._watch = _Watch(endpoint.clocks, self._cancel_signal)
        try:
            self._response, self._http_client = await self._client.send(*self._request, self._watch)
        except BaseException:
            self._watch.stop()
            raise
        self._answer = GatewayResponse(self._response, self._watch, endpoint.max_event_bytes)
        return self._answer

    async def __aexit__(self, *_: object) -> None:
        """Let go of the answer; its connection is kept if it was read to its end."""
        self._watch.stop()
        try:
            await self._response.aclose()
        finally:
            # After an error more may follow that is not asked for, and would be taken for the next answer.
            usable = self._answer.is_whole and self._answer.status_code in _OK
            await self._client.give_back(self._http_client, usable=usable)


class GatewayResponse:
    """One answer, of which only the headers have come.

    Attributes:
        status_code: HTTP status.
        headers: Headers, with lower-case names.
        is_stream: Whether the body is a stream of server-sent events.
        is_whole: Whether the body was read to its end.
    """

    def __init__(self, response: httpx.Response, watch: _Watch, max_event_bytes: int) -> None:
        """Wrap a response whose body is still to be read."""
        self._sent_headers = response.request.headers
        self.status_code = response.status_code
        self.headers: dict[str, str] = dict(response.headers)
        self.is_stream = self.headers.get("content-type", "").lower().startswith("text/event-stream")
        self.is_whole = False
        self._response = response
        self._watch = watch
        self._limit = max_event_bytes
        self._pending = 0  # Bytes since the last event.
        self._received = 0
        self._is_done = False  # [DONE] has come.

    async def chunks(self, overflow_phrases: Collection[str] = ()) -> AsyncGenerator[ChatCompletionChunk, None]:
        """Yield the chunks of the answer, up to the end of its body; an answer that is no stream is one chunk.

        What follows ``[DONE]`` is read as well: guardrail results may.

        Args:
            overflow_phrases: Further regular expressions by which an error is known as a context overflow.

        Raises:
            PortkeyAPIError: If the answer is an error, by its status or in spite of it.
            PortkeyStreamError: If the body breaks off, or an event is longer than the limit.
            PortkeyTimeoutError: If a clock runs out.
        """
        if not (self.is_stream and self.status_code in _OK):
            yield await self._read(overflow_phrases)
            return
        async with aclosing(EventSource(_EventText(self)).aiter_sse()) as sses:
            async for sse in sses:
                self._pending = 0
                if not sse.data:
                    continue
                self._received += 1
                if sse.data.startswith("[DONE]"):
                    self._is_done = True
                elif sse.event == "error":
                    yield parse_chunk(f'{{"error":{sse.data}}}')
                else:
                    yield parse_chunk(sse.data)

    async def json(self) -> JsonValue:
        """Return the JSON of an answer that is no completion.

        Raises:
            PortkeyAPIError: If it is an error or no JSON.
        """
        body = await self._body()
        if self.status_code in _OK:
            with suppress(ValueError):
                value: JsonValue = from_json(body)
                return value
        raise self._error(body, ())

    async def _read(self, overflow_phrases: Collection[str]) -> ChatCompletionChunk:
        """Read a completion that is no stream."""
        body = await self._body()
        if self.status_code in _OK:
            if not body.strip():
                raise self.broken("it is empty")
            with suppress(PortkeyStreamError):
                chunk = parse_chunk(body)
                if chunk.get("choices") and not chunk.get("error"):
                    return chunk
        raise self._error(body, overflow_phrases)

    async def _body(self) -> bytes:
        """Return the whole body; of an error only its beginning, or what came of it."""
        body = bytearray()
        try:
            async with aclosing(self.pieces()) as pieces:
                async for piece in pieces:
                    body += piece
                    if self.status_code not in _OK and len(body) > _ERROR_BYTES:
                        break
        except PortkeyStreamError:
            if self.status_code in _OK:
                raise  # The status of an error says enough.
        return bytes(body)

    def _error(self, body: bytes, overflow_phrases: Collection[str]) -> PortkeyAPIError:
        text = body.decode(errors="replace")
        for secret in secrets(self._sent_headers):  # The answer may quote a key.
            text = text.replace(secret, "***")
        return response_error(self.status_code, self.headers, text, overflow_phrases=overflow_phrases)

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Yield the body as it comes, within its clocks and limits."""
        # Without compression, which we do not ask for, httpx's own decoding layers have nothing to do.
        body: AsyncIterator[bytes] = self._response.aiter_bytes()
        if isinstance(self._response.stream, httpx.AsyncByteStream) and "content-encoding" not in self.headers:
            body = aiter(self._response.stream)
        try:
            while True:
                piece = await self._watch.wait(body.__anext__, "drain" if self._is_done else "idle")
                self._pending += len(piece)
                if self._pending > self._limit and self.status_code in _OK:
                    raise self.broken(f"it holds a message of more than {self._limit} bytes (max_event_bytes)")
                yield piece
        except StopAsyncIteration:
            self.is_whole = True
        except PortkeyTimeoutError as error:
            error.received = self._received
            if error.clock != "drain":
                raise
        except (httpx.HTTPError, httpx.StreamError, OSError) as error:
            if not self._is_done:
                raise self.broken(str(error) or type(error).__name__) from error
        finally:
            if isinstance(body, AsyncGenerator):  # pragma: no branch - httpx makes every body a generator
                await body.aclose()

    def broken(self, why: str) -> PortkeyStreamError:
        """Return the error for a body that broke off or cannot be read."""
        return PortkeyStreamError(
            f"the answer broke off after {self._received} chunks: {why}",
            origin="network",
            trace_id=self.headers.get("x-portkey-trace-id"),
            received=self._received,
            retryable=True,
        )


class _EventText(httpx.Response):
    """A body as httpx-sse wants it: text that arrives piece by piece, all lines ended."""

    def __init__(self, answer: GatewayResponse) -> None:
        super().__init__(200, headers={"content-type": "text/event-stream"})
        self._answer = answer

    async def aiter_text(self, chunk_size: int | None = None) -> AsyncIterator[str]:  # noqa: ARG002 - httpx's signature
        decode = codecs.getincrementaldecoder("utf-8-sig")().decode  # A byte order mark may come first.
        why = ""
        async with aclosing(self._answer.pieces()) as pieces:
            async for piece in pieces:
                try:
                    text = decode(piece)
                except UnicodeDecodeError as error:
                    why = f"it holds bytes that are no UTF-8: {error.reason}"
                    break
                if text:
                    yield text
        if why:  # Raised out here, since what Python says of it quotes the bytes.
            raise self._answer.broken(why)
        yield "\n\n"  # The last event may lack its blank line.


class _Watch:
    """Ends a wait when the caller cancels or a clock runs out.

    It looks every `_POLL` seconds and cancels the waiting task once: a second cancellation would interrupt httpcore
    while it closes the connection. No scope is held between waits, since Strands may end a generator from another
    task than the one that began it.
    """

    def __init__(self, clocks: Clocks, cancel_signal: threading.Event | None) -> None:
        self._clocks = clocks
        self._signal = cancel_signal
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[object] | None = None
        self._cause: PortkeyTimeoutError | RequestCancelledError | None = None
        self._clock = ""
        self._waits = 0  # How many waits there have been, and had been at the last look, which was at `_since`.
        self._seen = -1
        self._since = self._began = self.now()
        self._timer = self._loop.call_later(_POLL, self._look)

    def now(self) -> float:
        return self._loop.time()

    def stop(self) -> None:
        self._timer.cancel()

    async def wait(self, start: Callable[[], Awaitable[T]], clock: Literal["first_byte", "idle", "drain"]) -> T:
        """Return what `start()` gives, unless the signal or a clock ends the wait."""
        if self._signal is not None and self._signal.is_set():
            raise RequestCancelledError
        self._clock = clock
        self._waits += 1
        self._task = task = asyncio.current_task(self._loop)
        cancelled_before = 0
        if sys.version_info >= (3, 11) and task is not None:
            cancelled_before = task.cancelling()
        try:
            return await start()
        except asyncio.CancelledError:
            if self._cause is None:
                raise
            if sys.version_info >= (3, 11) and task is not None and task.uncancel() > cancelled_before:
                raise  # Somebody else has cancelled the task as well.
            raise self._cause from None
        finally:
            self._task = None

    def _look(self) -> None:
        self._cause = self._find_cause()
        if self._cause is None or self._task is None:
            self._timer = self._loop.call_later(_POLL, self._look)
        else:
            self._task.cancel()

    def _find_cause(self) -> PortkeyTimeoutError | RequestCancelledError | None:
        if self._task is None:
            return None
        if self._signal is not None and self._signal.is_set():
            return RequestCancelledError()
        now = self.now()
        if self._waits != self._seen:  # A look tells the time: to ask for it at each wait would cost more.
            self._seen, self._since = self._waits, now
        limits = {"first_byte": self._clocks.first_byte, "idle": self._clocks.idle, "drain": _DRAIN}
        for clock, since, limit in (
            (self._clock, self._since, limits[self._clock]),
            ("total", self._began, self._clocks.total),
        ):
            if limit is not None and now - since >= limit:
                message = f"the gateway took longer than timeout[{clock!r}] allows: {limit:g} s"
                return PortkeyTimeoutError(message, clock=clock, seconds=limit)
        return None


class _Connections:
    """Clients with one connection each, by event loop; of the idle ones the one used last is taken first."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._lock = threading.Lock()
        self._loops: dict[asyncio.AbstractEventLoop, _LoopClients] = {}
        self._pid = os.getpid()

    async def take(self) -> tuple[AsyncClient, bool]:
        """Return a client, and whether it has been used before."""
        here = await self._here()
        client = here.pop()
        return (client, True) if client is not None else (await self.make(), False)

    async def make(self) -> AsyncClient:
        """Return a new client."""
        endpoint = self._endpoint
        limits = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=_KEEPALIVE)
        # No cookies: an upstream's would travel from one user's answer into another's request.
        cookies = CookieJar(DefaultCookiePolicy(allowed_domains=()))
        try:
            client = httpx.AsyncClient(
                verify=_ssl_context(endpoint.verify, endpoint.cert, endpoint.trust_env),
                proxy=endpoint.proxy,
                trust_env=endpoint.trust_env,
                http2=endpoint.http2,
                limits=limits,
                cookies=cookies,
            )
        except (ImportError, OSError, ValueError, httpx.InvalidURL) as error:
            message = f"client_args for the connection (verify, cert, proxy, http2) cannot be used: {error}"
            raise PortkeyConfigError(message) from error
        (await self._here()).busy.add(client)
        return client

    async def give_back(self, client: AsyncClient, *, usable: bool) -> None:
        """Keep a client for the next request, or close it."""
        here = await self._here()
        here.busy.discard(client)
        if usable:
            here.push(client)
        else:
            await client.aclose()

    async def aclose(self) -> None:
        """Close the idle clients of the running loop."""
        await (await self._here()).close_idle()

    async def _here(self) -> _LoopClients:
        """Return the running loop's clients, and forget those of loops that are gone."""
        loop = asyncio.get_running_loop()
        with self._lock:
            if self._pid != os.getpid():  # A fork: the connections are the parent's, and closing would speak on them.
                self._pid = os.getpid()
                self._loops = {}
            for gone in [other for other in self._loops if other.is_closed()]:
                del self._loops[gone]
            here = self._loops.get(loop)
            if here is None:
                here = self._loops[loop] = _LoopClients(loop)
        await here.guard_loop()
        return here


class _LoopClients:
    """The clients of one event loop, which closes them at its end.

    Attributes:
        busy: Clients whose answer is being read.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.busy: set[AsyncClient] = set()
        self._loop = loop
        self._idle: list[tuple[float, AsyncClient]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._guard: AsyncGenerator[None, None] | None = None

    async def guard_loop(self) -> None:
        """Start a generator that the loop finalises when it shuts down its async generators."""
        if self._guard is None:
            self._guard = self._close_with_loop()
            await self._guard.__anext__()

    async def _close_with_loop(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            await self.close_idle()
            # A generator that was abandoned as the loop ended has no task left to close its connection.
            while self.busy:
                await self.busy.pop().aclose()

    def pop(self) -> AsyncClient | None:
        """Take the client that was used last."""
        if not self._idle:
            return None
        _, client = self._idle.pop()
        self.busy.add(client)
        return client

    def push(self, client: AsyncClient) -> None:
        """Keep a client for a while."""
        self._idle.append((self._loop.time(), client))
        if self._timer is None:
            self._timer = self._loop.call_later(_KEEPALIVE, self._expire)

    def _expire(self) -> None:
        """Close what has been idle for too long: the oldest, at the bottom."""
        oldest = self._loop.time() - _KEEPALIVE
        expired = bisect_right(self._idle, oldest, key=lambda kept: kept[0])
        for _, client in self._idle[:expired]:
            self.busy.add(client)  # Until it is closed: the loop may end before the task begins.
            task = self._loop.create_task(self._close(client))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
        del self._idle[:expired]
        self._timer = self._loop.call_at(self._idle[0][0] + _KEEPALIVE, self._expire) if self._idle else None

    async def _close(self, client: AsyncClient) -> None:
        await client.aclose()
        self.busy.discard(client)

    async def close_idle(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._idle:
            await self._idle.pop()[1].aclose()


@lru_cache
def _ssl_context(
    verify: bool | str | ssl.SSLContext,  # noqa: FBT001 - httpx's name and type
    cert: str | tuple[str, ...] | None,
    trust_env: bool,  # noqa: FBT001 - httpx's name and type
) -> ssl.SSLContext:
    """Return the one TLS context for a TLS setting: making one takes 20 ms or more."""
    if isinstance(verify, ssl.SSLContext):
        context = verify
    elif isinstance(verify, str):
        is_folder = Path(verify).is_dir()
        context = ssl.create_default_context(cafile=None if is_folder else verify, capath=verify if is_folder else None)
    else:
        context = httpx.create_ssl_context(verify=verify, trust_env=trust_env)
    if cert is not None:
        context.load_cert_chain(*([cert] if isinstance(cert, str) else cert))
    return context
