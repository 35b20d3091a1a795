"""One request to the gateway and its answer."""

from __future__ import annotations

import codecs
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import aclosing, suppress
from typing import Final

import httpx
from httpx_sse import EventSource
from pydantic import JsonValue
from pydantic_core import from_json
from typing_extensions import Self

from strands_portkey._answer.counts import Stopwatch
from strands_portkey._answer.headers import shown_headers
from strands_portkey._answer.judgement import Judge
from strands_portkey._answer.quoting import LONGEST_QUOTE
from strands_portkey._errors import PortkeyAPIError, PortkeyGuardrailError, PortkeyStreamError, PortkeyTimeoutError
from strands_portkey._http.cancellation import DrainTimeoutError, Phase, RequestCancelledError, Watch
from strands_portkey._http.client import GatewayClient, Request
from strands_portkey._http.connections import is_reusable
from strands_portkey._http.decoding import WINDOWS, Inflater
from strands_portkey._http.failures import bare, words_of
from strands_portkey._http.sse import EventText, find_events
from strands_portkey._json import LONG, has_too_many_parts
from strands_portkey._log import body_sent, headers_received, headers_sent

logger: Final = logging.getLogger(__name__)

_ERROR_BYTES: Final = 2**20  # How much of an error's body is read.
_OK: Final = range(200, 300)
_LONGEST_CODING: Final = 40


class GatewayResponse:
    """One request and its answer, of which ``async with`` waits for the headers.

    A class and not a generator: the end of an event loop closes every async generator that is open, also one that is
    closing already.

    Attributes:
        status_code: HTTP status; None where no answer has come.
        headers: Headers, with lower-case names; empty where no answer has come.
        is_stream: Whether the body is a stream of server-sent events.
        is_done: Whether the last message has come; the reader of `messages` sets it. The rest is read for a short time.
        is_whole: Whether the body was read to its end.
        hook_results: Verdicts of guardrails beside an error.
        judge: Makes its errors.
        stopwatch: Measures the request and its answer, from when it is made.
    """

    def __init__(self, client: GatewayClient, request: Request, watch: Watch, judge: Judge | None = None) -> None:
        """Prepare a request, which ``async with`` sends and ends; the judge learns what is sent, and the answer."""
        self.judge = judge or Judge()
        for sent in (request.headers, *client.proxy_headers):
            self.judge.sent(sent)
        self._client = client
        self._request = request
        self._watch = watch
        self._sent: Collection[str] = ()
        self._limit = client.endpoint.max_event_bytes
        self.is_whole = False
        self.status_code: int | None = None
        self.headers: dict[str, str] = {}
        self.hook_results: Mapping[str, JsonValue] = {}
        self._pending = 0  # Bytes since the last event.
        self._received = 0
        self.is_done = False
        self.stopwatch = Stopwatch()

    async def __aenter__(self) -> Self:
        """Send the request and wait for the answer, whatever its status.

        Raises:
            PortkeyConnectionError: If none comes.
            RequestCancelledError: If the signal is set first.
        """
        if logger.isEnabledFor(logging.DEBUG):
            self._log_request()
        self._response, self._http_client = await self._client.send(self._request, self._watch, self.judge)
        # An auth or a caller's client adds some.
        self._sent = {name.decode("latin-1").lower() for name, _ in self._response.request.headers.raw}
        self.status_code = status_code = self._response.status_code
        self.headers = dict(self._response.headers.items())  # By name, httpx would search each of them anew.
        self.judge.answered(status_code, self.headers)
        if logger.isEnabledFor(logging.DEBUG):
            self._log_answer()
        is_stream = self.headers.get("content-type", "").lower().startswith("text/event-stream")
        self.is_stream = is_stream and self.status_code in _OK
        return self

    async def __aexit__(self, *_: object) -> None:
        """Let go of the answer; its connection is kept if it was read to its end."""
        usable = False
        try:
            with suppress(Exception):  # By then the answer is whole, or has an error of its own.
                await self._response.aclose()
                # After an error more may follow that is not asked for, and would be taken for the next answer.
                usable = self.is_whole and self.status_code in _OK and is_reusable(self._response)
        finally:
            await self._client.give_back(self._http_client, usable=usable)

    def _log_request(self) -> None:
        request = self._request
        logger.debug(
            "method=<%s>, url=<%s>, headers=<%s>, body=<%s> | request",
            request.method,
            self.judge.quote(f"{self._client.endpoint.base_url}{request.path}", LONGEST_QUOTE),
            headers_sent(self.judge, request.headers),
            body_sent(self.judge, request.body),
        )

    def _log_answer(self) -> None:
        """Log the beginning of the answer, and the headers that httpx, or a client of the caller's own, has sent."""
        ours, sent = self._request.headers, self._response.request.headers
        logger.debug(
            "status_code=<%d>, headers=<%s>, added=<%s> | answer",
            self.status_code,
            headers_received(self.judge, self.headers),
            headers_sent(self.judge, {name: text for name, text in sent.items() if ours.get(name) != text}),
        )

    async def messages(self) -> AsyncGenerator[tuple[str | None, str], None]:
        """Yield event and data of each message, up to the end of the body; a JSON answer is one, without an event.

        What follows the last message is read as well: guardrail results may.

        Raises:
            PortkeyAPIError: If the status is that of an error.
            PortkeyStreamError: If the body breaks off, or a message is longer than the limit.
            PortkeyTimeoutError: If a clock runs out.
        """
        pieces = self.pieces()
        head = await self._find_type(pieces)
        if not self.is_stream:
            yield None, await self._whole(head, pieces)
            return
        self.stopwatch.first_byte()
        async with aclosing(EventSource(EventText(head, pieces, self.broken)).aiter_sse()) as sses:
            async for sse in sses:
                self._pending = 0
                if data := sse.data:
                    self._received += 1
                    yield sse.event, data

    async def _find_type(self, pieces: AsyncGenerator[bytes, None]) -> bytes:
        """Find out whether the body is a stream, and return what was read of it for that.

        The gateway hands on the type that the upstream names: a stream that goes by another name is known by its
        beginning, and so is an error in JSON or HTML that goes by the name of a stream.
        """
        if self.status_code not in _OK:
            return b""
        self.is_stream, head = await find_events(pieces, is_named=self.is_stream)
        return head

    def shown_headers(self) -> dict[str, str]:
        """Return the headers that tell something of the answer, without keys; empty where none has come."""
        return shown_headers(self.headers, self._sent, self.judge)

    async def json(self) -> JsonValue:
        """Return the JSON of an answer that is no completion, None where it is empty.

        Raises:
            PortkeyAPIError: If it is an error or no JSON.
        """
        body = await self._body(b"", self.pieces())
        if self.status_code in _OK:
            if not body.strip():
                return None
            if len(body) > LONG and has_too_many_parts(body):
                raise self.broken("it has too many lists and objects", retryable=False)
            with suppress(ValueError):
                value: JsonValue = from_json(body)
                return value
        raise self._error(body)

    async def _whole(self, head: bytes, pieces: AsyncGenerator[bytes, None]) -> str:
        """Return the body of an answer that is no stream."""
        body = await self._body(head, pieces)
        if self.status_code in _OK:
            if not body.strip():
                raise self.broken("it is empty")
            with suppress(UnicodeDecodeError):
                return body.decode()
        raise self._error(body)

    async def _body(self, head: bytes, pieces: AsyncGenerator[bytes, None]) -> bytes:
        """Return the whole body; of an error only its beginning, or what came of it."""
        body = bytearray(head)
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
                phase: Phase = "drain" if self.is_done else "stream" if self.is_stream else "body"
                piece = await self._watch.wait(read, phase)
                self._pending += len(piece)
                if self._pending > self._limit and self.status_code in _OK:
                    why = f"it holds a message of more than {self._limit} bytes (max_event_bytes)"
                    failure = self.broken(why, retryable=False)
                    break
                yield piece
        except StopAsyncIteration:
            self.is_whole = True
        except DrainTimeoutError:
            pass
        except PortkeyTimeoutError as error:
            error.received = self._received
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
        if response.is_stream_consumed:  # What comes next would be taken for the whole.
            why = "a hook of http_client, or an auth, has read its beginning; it must read all of it, or nothing"
            raise self.broken(why, retryable=False)
        raw = aiter(response.stream)
        return raw, self._decoded(raw.__anext__)

    def _decoded(self, read: Callable[[], Awaitable[bytes]]) -> Callable[[], Awaitable[bytes]]:
        """Return what reads the body without its compression, which was not asked for."""
        given = self.headers.get("content-encoding", "")
        codings = [name for each in given.lower().split(",") if (name := each.strip()) not in ("", "identity")]
        if not codings:
            return read
        if codings[0] not in WINDOWS or len(codings) > 1:
            got = given if len(given) <= _LONGEST_CODING else f"{len(given)} characters"
            why = f"its content-encoding must be gzip or deflate, and none was asked for; got {got}"
            raise self.broken(why, retryable=False)
        return Inflater(read, codings[0]).read

    def _broken_by(self, error: Exception) -> PortkeyStreamError | None:
        """Return the error for what httpx raised, without its frames; None where nothing is lost by it."""
        if self.is_done:
            return None
        said = words_of(error)
        failure = self.broken(said)
        failure.__cause__ = bare(error, self.judge.quote(said, LONGEST_QUOTE))
        return failure

    def broken(self, why: str, *, retryable: bool = True) -> PortkeyStreamError:
        """Return the error for a body that broke off or cannot be read."""
        return PortkeyStreamError(
            f"the answer broke off after {self._received} chunks: {self.judge.quote(why, LONGEST_QUOTE)}",
            origin="network",
            received=self._received,
            retryable=retryable,
        )
