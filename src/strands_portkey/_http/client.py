"""One request to the gateway and its answer."""

from __future__ import annotations

import asyncio
import codecs
import re
import ssl
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, suppress
from functools import partial
from itertools import pairwise
from traceback import walk_tb
from typing import Final, Protocol, runtime_checkable

import httpx
from httpx_sse import EventSource
from pydantic import JsonValue
from pydantic_core import from_json
from typing_extensions import Self

from strands_portkey._answer.judgement import Judge
from strands_portkey._errors import (
    PortkeyAPIError,
    PortkeyConfigError,
    PortkeyConnectionError,
    PortkeyError,
    PortkeyGuardrailError,
    PortkeyStreamError,
    PortkeyTimeoutError,
)
from strands_portkey._http.cancellation import Phase, RequestCancelledError, Watch
from strands_portkey._http.connections import (
    PROXY_SETTING,
    Client,
    Connections,
    find_proxy_headers,
    is_reusable,
    module_problem,
)
from strands_portkey._json import LONG, has_too_many_parts
from strands_portkey._settings.config import Endpoint

AsyncClient = httpx.AsyncClient
SPEAKS_NO_TLS: Final = "WRONG_VERSION_NUMBER|(?i:record layer failure)"
"""What OpenSSL says, by its version, where plain HTTP answers to TLS."""

_STALE: Final = 1.0  # Seconds within which a stale connection shows itself.
_ERROR_BYTES: Final = 2**20  # How much of an error's body is read.
_OK: Final = range(200, 300)
_WINDOWS: Final = {"gzip": zlib.MAX_WBITS + 16, "x-gzip": zlib.MAX_WBITS + 16, "deflate": zlib.MAX_WBITS}
_INFLATED: Final = 2**16  # Bytes that are decoded at a time.
_LONGEST_CODING: Final = 40
_DEFAULT_HTTPX_TIMEOUT: Final = httpx.Timeout(5.0)
_EVENT_BEGINS: Final = (b"data:", b"event:", b"id:", b"retry:", b":")
_BEGIN: Final = len(b"event:")
_SHOWN: Final = 200  # Characters of what httpx says that an error quotes.
# What TLS says, as OpenSSL words it, and what to do about it.
_TLS_HINTS: Final = (
    (
        "CERTIFICATE_VERIFY_FAILED",
        (
            "check the certificate of the gateway and the host in client_args['base_url']; for a CA of your own set"
            " client_args['verify'] or SSL_CERT_FILE to the file with its certificate"
        ),
    ),
    (
        SPEAKS_NO_TLS,
        "what answers speaks no TLS: begin client_args['base_url'], or the URL of the proxy, with http://",
    ),
)
_SPEAKS_TLS: Final = r"without sending a response|illegal status line: bytearray\(b'\\x15"  # 0x15 begins a TLS alert.
_CONNECT_HINT: Final = (
    "check client_args['base_url'] (or PORTKEY_BASE_URL), that the gateway runs, and the proxy, if one is set"
)
_BLANK: Final = b" \t\r\n\xef\xbb\xbf"  # A byte order mark counts as blank.


IsLast = Callable[[str, str], bool]


class StaleConnectionError(PortkeyConnectionError):
    """A connection that was kept was dead, and the request on it unread. Never leaves the package."""


class GatewayClient:
    """Sends requests to one gateway from any event loop or thread.

    Attributes:
        endpoint: The gateway and how to reach it.
        proxy_headers: What proxies are sent of the passwords in their URLs, which their answers may quote.
    """

    def __init__(self, endpoint: Endpoint, http_client: object = None) -> None:
        """Remember how to connect; nothing is opened yet. A client of the caller's own is used as it is, never closed.

        Raises:
            PortkeyConfigError: If `http_client` is something else.
        """
        if not isinstance(http_client, AsyncClient | None):
            raise PortkeyConfigError(f"http_client must be an httpx.AsyncClient; got {type(http_client).__name__}")
        self.endpoint = endpoint
        self.proxy_headers = find_proxy_headers(endpoint.proxy, trust_env=endpoint.trust_env)
        self._http_client = http_client
        self._connections = Connections(endpoint)

    def request(
        self,
        path: str,
        body: bytes | None,
        headers: Mapping[str, str],
        watch: Watch,
        judge: Judge | None = None,
        *,
        may_reuse: bool = True,
        is_last: IsLast | None = None,
    ) -> GatewayResponse:
        """Prepare a POST, or a GET where there is no body, to be sent and ended by ``async with``.

        The judge learns what was sent and how it was answered. With `may_reuse` a connection that was kept may carry
        it. `is_last` knows the last message of a stream by event and data: little may follow it.
        """
        return GatewayResponse(self, path, body, headers, watch, judge=judge, may_reuse=may_reuse, is_last=is_last)

    async def aclose(self) -> None:
        """Close the idle connections of the running loop."""
        await self._connections.aclose()

    async def send(
        self, path: str, body: bytes | None, headers: Mapping[str, str], watch: Watch, *, may_reuse: bool
    ) -> tuple[httpx.Response, AsyncClient]:
        """Send a request and return the answer with the client that has it.

        Raises:
            StaleConnectionError: If a connection that was kept was dead.
            PortkeyConnectionError: If no answer comes.
        """
        if self._http_client is not None:
            return await self._send_by(self._http_client, path, body, headers, watch), self._http_client
        client, is_kept = await self._connections.take(may_reuse=may_reuse)
        started = watch.now()
        try:
            return await self._send_by(client, path, body, headers, watch), client
        except BaseException as error:
            await self.give_back(client, usable=False)
            # An idle connection that the other side has dropped fails at once, and the request with it unread.
            dropped = isinstance(error.__cause__, (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError))
            if not (is_kept and dropped and watch.now() - started < _STALE):
                raise
        raise StaleConnectionError("a connection that was kept was dead", retryable=True)

    async def give_back(self, client: AsyncClient, *, usable: bool) -> None:
        """End the use of a client: its connection is kept if the answer was read to its end."""
        if isinstance(client, Client):
            await client.home.give_back(client, usable=usable)

    async def _send_by(
        self, client: AsyncClient, path: str, body: bytes | None, headers: Mapping[str, str], watch: Watch
    ) -> httpx.Response:
        if client.is_closed:
            raise PortkeyConfigError("http_client must be an open httpx.AsyncClient; got a closed one")
        request: httpx.Request | None = None
        connecting = _Connecting(watch)
        try:
            request = self._build(client, path, body, headers, connecting)
            # A redirect could carry keys to another host.
            sending = partial(client.send, request, stream=True, follow_redirects=False)
            return await watch.wait(sending, "connect" if "trace" in request.extensions else "first_byte")
        except (PortkeyError, RequestCancelledError):
            raise
        except Exception as error:
            # A hook of the caller's client raised for the status of the answer, which we judge as well.
            if isinstance(error, httpx.HTTPStatusError) and error.request is request:
                return error.response
            if not isinstance(error, httpx.HTTPError) and _is_of_a_hook(error):
                raise
            failure = self._failure(error, headers, request)
        finally:
            await connecting.close()
        raise failure  # Out here, since the frames of what httpx raised hold keys.

    def _build(
        self, client: AsyncClient, path: str, body: bytes | None, headers: Mapping[str, str], connecting: _Connecting
    ) -> httpx.Request:
        """Build a request, whose connecting is followed unless it is for a client of the caller's own."""
        timeout = httpx.Timeout(None)
        extensions: dict[str, object] = {}
        if client is not self._http_client:
            extensions = {"trace": connecting.trace}
        elif client.timeout == _DEFAULT_HTTPX_TIMEOUT:
            timeout = httpx.Timeout(None, connect=self.endpoint.clocks.connect, pool=self.endpoint.clocks.connect)
        else:
            timeout = client.timeout
        method = "GET" if body is None else "POST"
        request = client.build_request(
            method,
            f"{self.endpoint.base_url}{path}",
            content=body,
            headers=headers,
            timeout=timeout,
            extensions=extensions,
        )
        length = str(len(body or b""))
        if request.headers.get("content-length", length) != length:  # h11 would raise an error of its own.
            raise httpx.LocalProtocolError("the header content-length is not the body's length")
        if "transfer-encoding" in request.headers:  # The body would have two lengths: a way to smuggle requests.
            raise httpx.LocalProtocolError("the header transfer-encoding must be absent; the body has its length")
        return request

    def _failure(self, error: Exception, headers: Mapping[str, str], request: httpx.Request | None) -> PortkeyError:
        """Return the error for an exception that came instead of an answer, without its frames and without keys."""
        judge = Judge()
        for sent in (headers if request is None else request.headers, *self.proxy_headers):
            judge.sent(sent)
        error = _innermost(error)
        said = judge.quote(_words(error), _SHOWN)
        if request is None or _is_of_the_request(error):
            said = re.split(r" b['\"]", said)[0]  # What follows is the value of a header.
            failure: PortkeyError = PortkeyConfigError(f"no request can be sent to {self.endpoint.base_url}: {said}")
        elif isinstance(error, OverflowError):
            failure = PortkeyConfigError(f"{PROXY_SETTING} must have a port, a name and a password in range; {said}")
        elif problem := module_problem(error):
            failure = PortkeyConfigError(problem)
        elif isinstance(error, httpx.TimeoutException):
            failure = self._timeout_error(error, said)
        else:
            failure = self._connection_error(error, said)
        failure.__cause__ = _bare(error, said)
        return failure

    def _timeout_error(self, error: httpx.TimeoutException, said: str) -> PortkeyTimeoutError:
        """Judge a timeout of the caller's own client."""
        base_url = self.endpoint.base_url
        if isinstance(error, httpx.ConnectTimeout):
            seconds = self.endpoint.clocks.connect or 0
            message = f"no connection to the gateway at {base_url} within {seconds:g} s (connect)"
            return PortkeyTimeoutError(message, clock="connect", seconds=seconds)
        if isinstance(error, httpx.PoolTimeout):
            return PortkeyTimeoutError("there was no free connection in the pool of http_client", clock="connect")
        return PortkeyTimeoutError(f"the gateway at {base_url} did not answer in time: {said}", clock="first_byte")

    def _connection_error(self, error: Exception, said: str) -> PortkeyConnectionError:
        base_url = self.endpoint.base_url
        hint, retryable = None, not isinstance(error, RuntimeError)  # Such as one for a client of another loop.
        if isinstance(error, (httpx.ConnectError, httpx.ProxyError, ssl.SSLError)):
            message = f"cannot reach the gateway at {base_url}: {said}"
            hint = next((hint for sign, hint in _TLS_HINTS if re.search(sign, said)), None)
            retryable = hint is None
            hint = hint or _CONNECT_HINT
        else:
            message = f"the gateway at {base_url} hung up before it answered: {said}"
            if base_url.startswith("http:") and re.search(_SPEAKS_TLS, said):
                hint = "if the gateway speaks TLS, begin client_args['base_url'] with https://"
        return PortkeyConnectionError(message, origin="network", hint=hint, retryable=retryable)


@runtime_checkable
class _NetworkStream(Protocol):
    async def aclose(self) -> None: ...


class _Connecting:
    """What httpcore says of making a connection.

    Its own timeout begins anew with each step and leaves some out, such as what a proxy is to answer.
    """

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._stream: object = None

    async def trace(self, event: str, info: Mapping[str, object]) -> None:
        """End the clock for the connection when the request goes out; CONNECT goes to a proxy, and is part of it."""
        if event.endswith("connect_tcp.complete"):
            self._stream = info["return_value"]
        elif event.endswith("send_request_headers.started") and getattr(info["request"], "method", b"") != b"CONNECT":
            self._stream = None
            self._watch.connected()

    async def close(self) -> None:
        """Close what did not become a connection: httpcore leaves it open when TLS or a proxy is interrupted."""
        if self._stream is not None and isinstance(self._stream, _NetworkStream):  # To ask a protocol takes long.
            await self._stream.aclose()


def _innermost(error: Exception) -> Exception:
    """Return the first exception of a group, which is what is wrong."""
    while exceptions := getattr(error, "exceptions", ()):  # ExceptionGroup is new in Python 3.11.
        error = exceptions[0]
    return error


def _words(error: Exception) -> str:
    """Return what an exception says, with its type where httpx did not make it."""
    if isinstance(error, (httpx.HTTPError, httpx.InvalidURL, OSError)):
        return str(error) or type(error).__name__
    return f"{type(error).__name__}: {error}"


def _is_of_the_request(error: Exception) -> bool:
    """Whether an exception complains of what was to be sent: h2 says of the gateway what it says of a header."""
    if isinstance(error, httpx.LocalProtocolError):
        return bool(re.search(r"\bheader\b", str(error)))
    return isinstance(error, (httpx.InvalidURL, httpx.UnsupportedProtocol))


def _bare(error: Exception, said: str) -> Exception | None:
    """Return an error of the same type as httpx's that has no more than a text: its frames hold keys."""
    if not isinstance(error, httpx.HTTPError):
        return None
    bare = type(error).__new__(type(error))
    httpx.HTTPError.__init__(bare, said)
    return bare


def _is_of_a_hook(error: Exception) -> bool:
    """Whether an event hook of the caller's client raised an exception: httpx calls these where it calls itself."""
    frames = [(frame.f_code.co_name, frame.f_globals["__name__"]) for frame, _ in walk_tb(error.__traceback__)]
    return any(
        caller == ("_send_handling_redirects", "httpx._client") and module != "httpx._client"
        for caller, (_, module) in pairwise(frames)
    )


class GatewayResponse:
    """One request and its answer, of which ``async with`` waits for the headers.

    A class and not a generator: the end of an event loop closes every async generator that is open, also one that is
    closing already.

    Attributes:
        status_code: HTTP status.
        headers: Headers, with lower-case names.
        is_stream: Whether the body is a stream of server-sent events.
        is_whole: Whether the body was read to its end.
        hook_results: Verdicts of guardrails beside an error.
        judge: Makes its errors.
    """

    def __init__(
        self,
        client: GatewayClient,
        path: str,
        body: bytes | None,
        headers: Mapping[str, str],
        watch: Watch,
        *,
        judge: Judge | None = None,
        may_reuse: bool = True,
        is_last: IsLast | None = None,
    ) -> None:
        """Prepare a request; nothing is sent yet."""
        self.judge = judge or Judge()
        for sent in (headers, *client.proxy_headers):
            self.judge.sent(sent)
        self._client = client
        self._request = path, body, headers, watch
        self._may_reuse = may_reuse
        self._watch = watch
        self._limit = client.endpoint.max_event_bytes
        self.is_whole = False
        self.hook_results: Mapping[str, JsonValue] = {}
        self._pending = 0  # Bytes since the last event.
        self._received = 0
        self._is_done = False  # The last message has come.
        self._is_last = is_last

    async def __aenter__(self) -> Self:
        """Send the request and wait for the answer, whatever its status.

        Raises:
            PortkeyConnectionError: If none comes.
            RequestCancelledError: If the signal is set first.
        """
        self._response, self._http_client = await self._client.send(*self._request, may_reuse=self._may_reuse)
        if not isinstance(self._http_client, Client):  # One of the caller's own adds headers.
            self.judge.sent(self._response.request.headers)
        self.status_code = self._response.status_code
        self.headers: dict[str, str] = dict(self._response.headers)
        self.judge.answered(self.status_code, self.headers)
        is_stream = self.headers.get("content-type", "").lower().startswith("text/event-stream")
        self.is_stream = is_stream and self.status_code in _OK
        return self

    async def __aexit__(self, *_: object) -> None:
        """Let go of the answer; its connection is kept if it was read to its end."""
        usable = False
        try:
            await self._response.aclose()
            # After an error more may follow that is not asked for, and would be taken for the next answer.
            usable = self.is_whole and self.status_code in _OK and is_reusable(self._response)
        finally:
            await self._client.give_back(self._http_client, usable=usable)

    async def messages(self) -> AsyncGenerator[tuple[str | None, str], None]:
        """Yield event and data of each message, up to the end of the body; a JSON answer is one, without an event.

        What follows the last message of the answer is read as well: guardrail results may.

        Raises:
            PortkeyAPIError: If the status is that of an error.
            PortkeyStreamError: If the body breaks off, or a message is longer than the limit.
            PortkeyTimeoutError: If a clock runs out.
        """
        pieces = await self._typed_pieces()
        if not self.is_stream:
            yield None, await self._whole(pieces)
            return
        async with aclosing(EventSource(_EventText(self, pieces)).aiter_sse()) as sses:
            async for sse in sses:
                self._pending = 0
                if data := sse.data:
                    self._received += 1
                    event = sse.event
                    if self._is_last and self._is_last(event, data):
                        self._is_done = True
                    yield event, data

    async def _typed_pieces(self) -> AsyncGenerator[bytes, None]:
        """Return the body's pieces once it is known whether they are a stream.

        The gateway hands on the type that the upstream names: a stream that goes by another name than JSON is known by
        its beginning.
        """
        pieces = self.pieces()
        if self.is_stream or self.status_code not in _OK or "json" in self.headers.get("content-type", "").lower():
            return pieces
        head = b""
        async for piece in pieces:
            head = (head + piece).lstrip(_BLANK)
            self.is_stream = head.startswith(_EVENT_BEGINS)
            if self.is_stream or len(head) >= _BEGIN:
                break
        return _joined(head, pieces)

    async def json(self) -> JsonValue:
        """Return the JSON of an answer that is no completion, None where it is empty.

        Raises:
            PortkeyAPIError: If it is an error or no JSON.
        """
        body = await self._body(self.pieces())
        if self.status_code in _OK:
            if not body.strip():
                return None
            if len(body) > LONG and has_too_many_parts(body):
                raise self.broken("it has too many lists and objects")
            with suppress(ValueError):
                value: JsonValue = from_json(body)
                return value
        raise self._error(body)

    async def _whole(self, pieces: AsyncGenerator[bytes, None]) -> str:
        """Return the body of an answer that is no stream."""
        body = await self._body(pieces)
        if self.status_code in _OK:
            if not body.strip():
                raise self.broken("it is empty")
            with suppress(UnicodeDecodeError):
                return body.decode()
        raise self._error(body)

    async def _body(self, pieces: AsyncGenerator[bytes, None]) -> bytes:
        """Return the whole body; of an error only its beginning, or what came of it."""
        body = bytearray()
        try:
            async with aclosing(pieces):
                async for piece in pieces:
                    body += piece
                    if self.status_code not in _OK and len(body) > _ERROR_BYTES:
                        break
        except PortkeyStreamError as error:
            if self.status_code in _OK:
                raise
            if not body and "content-encoding" in self.headers:  # Else the status of an error says enough.
                body += str(error).encode()
        return bytes(body).removeprefix(codecs.BOM_UTF8)

    def _error(self, body: bytes) -> PortkeyAPIError:
        error = self.judge.answer_error(body.decode(errors="replace"))
        if isinstance(error, PortkeyGuardrailError):
            self.hook_results = error.hook_results or {}
        return error

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Yield the body as it comes, within its clocks and limits."""
        body, read = self._open()
        failure: PortkeyStreamError | None = None
        try:
            while True:
                phase: Phase = "drain" if self._is_done else "stream" if self.is_stream else "body"
                piece = await self._watch.wait(read, phase)
                self._pending += len(piece)
                if self._pending > self._limit and self.status_code in _OK:
                    failure = self.broken(f"it holds a message of more than {self._limit} bytes (max_event_bytes)")
                    break
                yield piece
        except StopAsyncIteration:
            self.is_whole = True
        except PortkeyTimeoutError as error:
            error.received = self._received
            if error.clock != "drain":
                raise
        except RequestCancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever httpx and what it stands on raise
            failure = self._broken_by(error)
        finally:
            if isinstance(body, AsyncGenerator):  # pragma: no branch - httpx makes every body a generator
                await body.aclose()
        if failure:  # Raised out here, since the frames of what httpx raised hold keys.
            raise failure

    def _open(self) -> tuple[AsyncIterator[bytes], Callable[[], Awaitable[bytes]]]:
        """Return the body, and what reads the next piece of it."""
        # Past httpx's own decoding layers, which expand a body without bound. A closed answer is what an event hook of
        # the caller's client has left.
        response = self._response
        if response.is_closed or not isinstance(response.stream, httpx.AsyncByteStream):
            body = response.aiter_bytes()
            return body, body.__anext__
        raw = aiter(response.stream)
        return raw, self._decoded(raw.__anext__)

    def _decoded(self, read: Callable[[], Awaitable[bytes]]) -> Callable[[], Awaitable[bytes]]:
        """Return what reads the body without its compression, which was not asked for."""
        given = self.headers.get("content-encoding", "")
        codings = [name for each in given.lower().split(",") if (name := each.strip()) not in ("", "identity")]
        if not codings:
            return read
        if codings[0] not in _WINDOWS or len(codings) > 1:
            got = given if len(given) <= _LONGEST_CODING else f"{len(given)} characters"
            raise self.broken(f"its content-encoding must be gzip or deflate, and none was asked for; got {got}")
        return _Inflater(read, codings[0]).read

    def _broken_by(self, error: Exception) -> PortkeyStreamError | None:
        """Return the error for what httpx raised, without its frames; None where nothing is lost by it."""
        if self._is_done:
            return None
        said = _words(error)
        failure = self.broken(said)
        failure.__cause__ = _bare(error, self.judge.quote(said, _SHOWN))
        return failure

    def broken(self, why: str) -> PortkeyStreamError:
        """Return the error for a body that broke off or cannot be read."""
        return PortkeyStreamError(
            f"the answer broke off after {self._received} chunks: {self.judge.quote(why, _SHOWN)}",
            origin="network",
            trace_id=self.judge.trace_id,
            received=self._received,
            retryable=True,
        )


async def _joined(head: bytes, rest: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """Yield what has been read of a body, then the rest."""
    async with aclosing(rest):
        yield head
        async for piece in rest:
            yield piece


class _Inflater:
    """A compressed body, read in pieces of bounded size: a few bytes may stand for gigabytes."""

    def __init__(self, read: Callable[[], Awaitable[bytes]], coding: str) -> None:
        self._read = read
        self._decoder = zlib.decompressobj(_WINDOWS[coding])
        self._rest = b""  # Not decoded yet.
        self._is_full = False  # The last piece was as long as it may be: more may follow without new data.

    async def read(self) -> bytes:
        """Return the next piece; raise zlib.error where the body cannot be decoded."""
        text = b""
        while not text:
            if self._rest or self._is_full:
                await asyncio.sleep(0)  # Others get their turn: what has come may last for minutes.
            else:
                self._rest = await self._next()
            text = self._decoder.decompress(self._rest, _INFLATED)
            self._rest = self._decoder.unconsumed_tail
            self._is_full = len(text) == _INFLATED
            if self._decoder.unused_data:
                raise zlib.error("there is more after the end of the compressed data")
        return text

    async def _next(self) -> bytes:
        try:
            return await self._read()
        except StopAsyncIteration:
            if self._decoder.eof:
                raise
        raise zlib.error("the compressed data has no end")


class _EventText(httpx.Response):
    """A body as httpx-sse wants it: text that arrives piece by piece, all lines ended."""

    def __init__(self, answer: GatewayResponse, pieces: AsyncGenerator[bytes, None]) -> None:
        super().__init__(200, headers={"content-type": "text/event-stream"})
        self._answer = answer
        self._pieces = pieces

    async def aiter_text(self, chunk_size: int | None = None) -> AsyncIterator[str]:  # noqa: ARG002 - httpx's signature
        why, rest, is_first = "", b"", True
        async with aclosing(self._pieces):
            async for piece in self._pieces:
                data = rest + piece if rest else piece
                try:
                    text, read = codecs.utf_8_decode(data)
                except UnicodeDecodeError as error:
                    why = f"it holds bytes that are no UTF-8: {error.reason}"
                    break
                rest = data[read:]
                if text:
                    yield text.removeprefix("\ufeff") if is_first else text  # A byte order mark may come first.
                    is_first = False
        if why:  # Raised out here, since what Python says of it quotes the bytes.
            raise self._answer.broken(why)
        yield "\n\n"  # The last event may lack its blank line.
