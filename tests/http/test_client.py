"""GatewayClient against a scripted server on loopback: status, framing, cuts, clocks, cancellation, connections."""

import asyncio
import codecs
import gc
import gzip
import json
import os
import signal
import ssl
import sys
import threading
import time
import tracemalloc
import weakref
import zlib
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from contextvars import ContextVar, copy_context
from operator import attrgetter
from pathlib import Path
from types import SimpleNamespace

import certifi
import httpcore
import httpx
import pytest

from strands_portkey import (
    PortkeyAPIError,
    PortkeyConfigError,
    PortkeyConnectionError,
    PortkeyContextOverflowError,
    PortkeyError,
    PortkeyModel,
    PortkeyStreamError,
    PortkeyThrottledError,
    PortkeyTimeoutError,
)
from strands_portkey._http.cancellation import RequestCancelledError, Watch
from strands_portkey._http.client import GatewayClient, Request, StaleConnectionError
from strands_portkey._http.connections import is_reusable, ssl_context
from strands_portkey._http.response import GatewayResponse
from strands_portkey._settings.endpoint import Clocks, split_client_args
from tests.chat import chunks_of, request_chat
from tests_integ.echo import ask as ask_echo
from tests_integ.echo import running_echo, turns
from tests_integ.upstream import Ending, Gate, Reply, Upstream, json_reply

CHUNK = b'{"choices":[{"delta":{"content":"Hi"}}]}'
SAYS_HI = {"choices": [{"delta": {"content": "Hi"}}]}
SSE = {"content-type": "text/event-stream"}
DONE = b"data: [DONE]\n\n"


def make_client(server: Upstream, http_client: httpx.AsyncClient | None = None, **client_args: object) -> GatewayClient:
    endpoint, _ = split_client_args({"base_url": server.base_url, **client_args})
    return GatewayClient(endpoint, http_client)


def sse_reply(*pieces: bytes | Gate, ending: Ending = "clean") -> Reply:
    return Reply(200, SSE, pieces, ending)


def whole() -> Reply:
    return sse_reply(b"data: " + CHUNK + b"\n\n", DONE)


def request(client: GatewayClient) -> GatewayResponse:
    return request_chat(client, {}, Watch(client.endpoint.clocks, None))


async def ask(client: GatewayClient, cancel_signal: threading.Event | None = None) -> list:
    with Watch(client.endpoint.clocks, cancel_signal) as watch:
        async with (
            request_chat(client, {"x-test": "1"}, watch) as response,
            aclosing(chunks_of(response)) as chunks,
        ):
            return [chunk async for chunk in chunks]


def let_seconds_pass(seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the clock of the running loop forward."""
    loop = asyncio.get_running_loop()
    now = loop.time
    monkeypatch.setattr(loop, "time", lambda: now() + seconds)


# -- the request -------------------------------------------------------------------------------------------------------


def test_a_request_shows_no_key():
    assert "sk-1" not in repr(Request("/x?key=sk-1", b"sk-1", {"authorization": "sk-1"}))


async def test_body_and_headers_go_out_as_given(server):
    server.reply(whole())

    await ask(make_client(server))

    [request] = server.requests
    assert (request.method, request.path, request.body) == ("POST", "/v1/chat/completions", b"{}")
    assert request.header("x-test") == "1"


@pytest.mark.parametrize("own", [False, True])
async def test_a_redirect_is_not_followed(server, own):
    server.reply(Reply(307, {"location": f"{server.url}/elsewhere"}))

    async with httpx.AsyncClient(follow_redirects=True) as http_client:
        with pytest.raises(PortkeyAPIError, match="307"):
            await ask(make_client(server, http_client if own else None))

    assert len(server.requests) == 1


async def test_cookies_of_one_answer_do_not_travel_in_another_request(server):
    cookie = {**SSE, "set-cookie": "user=alice; Path=/"}
    server.reply(Reply(200, cookie, [b"data: " + CHUNK + b"\n\n", DONE]), whole())
    client = make_client(server)

    await ask(client)
    await ask(client)

    assert server.requests[1].header("cookie") is None


# -- the framing of answers --------------------------------------------------------------------------------------------

FRAMINGS = {
    "LF": b"data: %b\n\ndata: [DONE]\n\n",
    "CRLF": b"data: %b\r\n\r\ndata: [DONE]\r\n\r\n",
    "CR": b"data: %b\r\rdata: [DONE]\r\r",
    "no space after the colon": b"data:%b\n\ndata:[DONE]\n\n",
    "comments": b": ping\n\n: ping\ndata: %b\n\n",
    "event, id and retry": b"event: message\nid: 7\nretry: 10\ndata: %b\n\n\n\ndata: [DONE]\n\n",
    "a byte order mark": b"\xef\xbb\xbfdata: %b\n\n",
    "no blank line at the end": b"data: %b",
    "a carriage return at the end": b"data: %b\r",
    "fields without data": b"event: ping\n\ndata: %b\n\n",
}


@pytest.mark.parametrize("framing", FRAMINGS.values(), ids=FRAMINGS)
@pytest.mark.parametrize("size", [1, 1000], ids=["byte by byte", "whole"])
async def test_events_are_read_in_every_framing(server, framing, size):
    body = framing % CHUNK
    server.reply(sse_reply(*[body[at : at + size] for at in range(0, len(body), size)]))

    assert await ask(make_client(server)) == [SAYS_HI]


@pytest.mark.parametrize("content_type", [{}, {"content-type": "text/plain"}, {"content-type": "application/json"}])
@pytest.mark.parametrize("framing", [*FRAMINGS.values(), b"\r\n id: 7\ndata: %b\n\n", b"retry: 10\ndata: %b\n\n"])
@pytest.mark.parametrize("size", [1, 1000], ids=["byte by byte", "whole"])
async def test_a_stream_with_another_content_type_is_recognised_by_its_beginning(server, content_type, framing, size):
    body = framing % CHUNK
    server.reply(Reply(200, content_type, [body[at : at + size] for at in range(0, len(body), size)]))

    assert await ask(make_client(server)) == [SAYS_HI]


async def test_a_stream_with_another_content_type_is_read_as_it_arrives(server):
    gate = Gate()
    server.reply(Reply(200, {"content-type": "application/octet-stream"}, [b"data: " + CHUNK + b"\n\n", gate, DONE]))

    async with request(make_client(server)) as response, aclosing(chunks_of(response)) as chunks:
        first = await anext(chunks)
        gate.open()

        assert [first, *[chunk async for chunk in chunks]] == [SAYS_HI]


@pytest.mark.parametrize(
    "body",
    [
        b'{"error":{"message":"prompt is too long"}}',
        b'\n[{"error":"prompt is too long"}]',
        b"<p>prompt is too long</p>",
    ],
    ids=["JSON", "a list", "HTML"],
)
@pytest.mark.parametrize("size", [1, 1000], ids=["byte by byte", "whole"])
async def test_an_error_that_goes_by_the_name_of_a_stream_is_read(server, body, size):
    server.reply(sse_reply(*[body[at : at + size] for at in range(0, len(body), size)]))

    with pytest.raises(PortkeyContextOverflowError):
        await ask(make_client(server))


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b""], ids=["lf", "crlf", "no end"])
@pytest.mark.parametrize("size", [1, 7, 1000], ids=["byte by byte", "in sevens", "whole"])
@pytest.mark.parametrize("before", [b"", b"data: " + CHUNK + b"\n\n"], ids=["first", "after a chunk"])
async def test_an_error_in_a_field_of_its_own_is_read(server, before, size, end):
    body = before + b'error: {"code":400,"message":"the request exceeds the available context size"}' + end
    server.reply(sse_reply(*[body[at : at + size] for at in range(0, len(body), size)]))

    chunks = await ask(make_client(server))

    assert chunks[-1] == {"error": {"code": 400, "message": "the request exceeds the available context size"}}


@pytest.mark.parametrize("size", [1, 7, 1000], ids=["byte by byte", "in sevens", "whole"])
async def test_text_that_looks_like_the_field_of_an_error_stays_as_it_is(server, size):
    says = json.dumps({"choices": [{"delta": {"content": 'error: {"a"}\nerror: {', "reasoning": "e"}}]}).encode()
    body = b": error: {}\nerror\nerrors: {}\nerror: \ndata: " + says + b"\n\n" + DONE
    server.reply(sse_reply(*[body[at : at + size] for at in range(0, len(body), size)]))

    assert await ask(make_client(server)) == [json.loads(says)]


async def test_an_answer_that_goes_by_the_name_of_a_stream_is_read(server):
    server.reply(sse_reply(CHUNK))

    assert await ask(make_client(server)) == [SAYS_HI]


@pytest.mark.parametrize("body", [CHUNK, b"\n" + CHUNK, b'{"id":7,"choices":[{"delta":{"content":"Hi"}}]}'])
@pytest.mark.parametrize("size", [1, 1000], ids=["byte by byte", "whole"])
async def test_json_with_another_content_type_is_one_chunk(server, body, size):
    server.reply(Reply(200, {}, [body[at : at + size] for at in range(0, len(body), size)]))

    [chunk] = await ask(make_client(server))

    assert chunk["choices"] == SAYS_HI["choices"]


async def test_data_may_stand_on_several_lines(server):
    server.reply(sse_reply(b'data: {"choices":\ndata: [{"delta":{"content":"Hi"}}]}\n\n'))

    assert await ask(make_client(server)) == [SAYS_HI]


async def test_line_separators_of_unicode_end_no_line(server):
    text = "a\u2028b\u2029c\u0085d\x0be"
    server.reply(sse_reply(f'data: {{"choices":[{{"delta":{{"content":"{text[:-2]}"}}}}]}}\n\n'.encode()))

    assert await ask(make_client(server)) == [{"choices": [{"delta": {"content": text[:-2]}}]}]


async def test_guardrail_results_after_done_are_read(server):
    server.reply(sse_reply(b"data: " + CHUNK + b"\n\n", DONE, b'data: {"hook_results":{"after_request_hooks":[]}}\n\n'))

    assert await ask(make_client(server)) == [SAYS_HI, {"hook_results": {"after_request_hooks": []}}]


@pytest.mark.parametrize(
    "data", [b'{"error":{"message":"Busy"}}', b'{"message":"Busy"}', b"Busy"], ids=["wrapped", "bare", "text"]
)
async def test_an_error_event_becomes_an_error_chunk(server, data):
    server.reply(sse_reply(b"event: error\ndata: " + data + b"\n\n"))

    [chunk] = await ask(make_client(server))

    assert "Busy" in str(chunk["error"])


async def test_json_in_place_of_a_stream_is_one_chunk(server):
    server.reply(json_reply({"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}]}))

    assert await ask(make_client(server)) == [{"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}]}]


async def test_a_compressed_answer_is_read(server):
    body = gzip.compress(b"data: " + CHUNK + b"\n\n")
    server.reply(Reply(200, {**SSE, "content-encoding": "gzip"}, [body]))

    assert await ask(make_client(server)) == [SAYS_HI]


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (json_reply({"error": {"message": "Slow down"}}, 429), "Slow down"),
        (json_reply({"error": {"message": "In disguise"}}), "In disguise"),
        (json_reply({"choices": []}), "choices"),
        (Reply(200, {"content-type": "text/html"}, [b"<html><title>Maintenance</title></html>"]), "Maintenance"),
        (Reply(502, {"content-type": "text/event-stream"}, [b"Bad gateway"]), "Bad gateway"),
    ],
    ids=["status", "error with 200", "no choices", "HTML with 200", "an error that calls itself a stream"],
)
async def test_an_answer_that_is_an_error_raises(server, reply, said):
    server.reply(reply)

    with pytest.raises(PortkeyAPIError, match=said):
        await ask(make_client(server))


async def test_only_the_beginning_of_an_endless_error_is_read(server):
    server.reply(Reply(500, {}, [b"x" * 2**18] * 40))

    with pytest.raises(PortkeyAPIError) as caught:
        await ask(make_client(server))

    assert caught.value.body == "x" * 4000


# -- answers that break off --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["cut", "abort"])
async def test_a_connection_that_breaks_raises_with_the_number_of_chunks_received(server, ending):
    gate = Gate()
    server.reply(sse_reply(b"data: " + CHUNK + b"\n\n", gate, ending=ending))
    got: list[object] = []

    with pytest.raises(PortkeyStreamError, match="broke off after 1 chunks") as caught:
        async with request(make_client(server)) as response, aclosing(chunks_of(response)) as chunks:
            async for chunk in chunks:
                got.append(chunk)
                gate.open()

    assert got == [SAYS_HI]
    assert (caught.value.origin, caught.value.received, caught.value.retryable) == ("network", 1, True)


async def test_a_break_after_done_is_no_error(server):
    server.reply(sse_reply(b"data: " + CHUNK + b"\n\n", DONE, ending="cut"))

    assert await ask(make_client(server)) == [SAYS_HI]


async def test_a_break_before_the_answer_is_a_connection_error(server):
    server.reply(Reply(None))

    with pytest.raises(PortkeyConnectionError, match="hung up before it answered"):
        await ask(make_client(server))


@pytest.mark.parametrize("line", [b"data: " + b"x" * 100, b": " + b"x" * 100, b"data: x\n" * 20])
async def test_an_event_without_end_is_bounded(server, line):
    server.reply(sse_reply(*[line] * 20))

    with pytest.raises(PortkeyStreamError, match="more than 64 bytes") as caught:
        await ask(make_client(server, max_event_bytes=64))
    assert not caught.value.retryable


async def test_a_stream_longer_than_the_bound_is_fine(server):
    server.reply(sse_reply(*[b"data: " + CHUNK + b"\n\n"] * 100))

    assert await ask(make_client(server, max_event_bytes=64)) == [SAYS_HI] * 100


@pytest.mark.parametrize("headers", [SSE, {"content-type": "application/json"}, {}], ids=["stream", "JSON", "no type"])
async def test_an_empty_answer_is_distinguished_from_a_complete_one(server, headers):
    server.reply(Reply(200, headers))

    if headers is SSE:  # Without a chunk there is no finish reason, which the translator sees.
        assert await ask(make_client(server)) == []
    else:
        with pytest.raises(PortkeyStreamError, match="empty"):
            await ask(make_client(server))


async def test_bytes_that_are_no_utf8_raise(server):
    server.reply(sse_reply(b'data: {"x":"\xff"}\n\n'))

    with pytest.raises(PortkeyStreamError, match="UTF-8"):
        await ask(make_client(server))


async def test_json_that_is_no_utf8_is_shown_as_an_error(server):
    server.reply(Reply(200, {"content-type": "application/json"}, [b'{"x":"\xff"}']))

    with pytest.raises(PortkeyAPIError, match="\N{REPLACEMENT CHARACTER}"):
        await ask(make_client(server))


@pytest.mark.parametrize("proxy", [None, "http://127.0.0.1:1"], ids=["gateway", "proxy"])
async def test_an_address_where_nothing_listens_is_explained(proxy):
    client = GatewayClient(split_client_args({"base_url": "http://127.0.0.1:1", "proxy": proxy})[0])

    with pytest.raises(PortkeyConnectionError, match="cannot reach the gateway at http://127") as caught:
        await ask(client)

    assert (caught.value.origin, caught.value.retryable) == ("network", True)
    assert str(caught.value.hint).endswith("that the gateway runs, and the proxy, if one is set")


async def test_a_refusal_by_the_proxy_is_explained(server):
    server.reply(Reply(407))

    with pytest.raises(PortkeyConnectionError, match=r"407 Proxy Authentication Required\nHint: .*the proxy"):
        await ask(make_client(server, base_url="https://gateway.internal/v1", proxy=server.url))


async def test_a_request_that_http_forbids_raises_a_config_error():
    def refuse(_: httpx.Request) -> httpx.Response:
        raise httpx.LocalProtocolError("Illegal header value")

    client = GatewayClient(split_client_args({})[0], httpx.AsyncClient(transport=httpx.MockTransport(refuse)))

    with pytest.raises(PortkeyConfigError, match="Illegal header value"):
        await ask(client)


@pytest.mark.parametrize("length", ["1", "3", "x"])
async def test_a_wrong_content_length_from_the_caller_raises_a_config_error(server, length):
    client = make_client(server)

    with pytest.raises(PortkeyConfigError, match="content-length"):
        await request_chat(client, {"Content-Length": length}, Watch(Clocks(), None)).__aenter__()
    with pytest.raises(PortkeyConfigError, match="content-length"):
        await GatewayResponse(
            client, Request("/models", None, {"content-length": length}), Watch(Clocks(), None)
        ).__aenter__()

    assert server.requests == []


async def test_corrupted_tls_records_are_a_connection_error():
    def break_off(_: httpx.Request) -> httpx.Response:
        raise ssl.SSLError("bad record")

    client = GatewayClient(split_client_args({})[0], httpx.AsyncClient(transport=httpx.MockTransport(break_off)))

    with pytest.raises(PortkeyConnectionError, match="bad record"):
        await ask(client)


# -- clocks ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("clock", "seconds", "reply", "received"),
    [
        ("first_byte", 0.1, lambda gate: Reply(200, SSE, hold=gate), 0),
        ("idle", 0.5, lambda gate: sse_reply(b"data: " + CHUNK + b"\n\n", gate), 1),
        ("total", 1.0, lambda gate: sse_reply(b"data: " + CHUNK + b"\n\n", gate), 1),
    ],
)
async def test_the_clock_that_ran_out_is_named(server, clock, seconds, reply, received):
    server.reply(reply(Gate()))

    with pytest.raises(PortkeyTimeoutError, match=f"{clock}") as caught:
        await ask(make_client(server, timeout={clock: seconds}))

    error = caught.value
    assert (error.clock, error.seconds, error.received, error.retryable) == (clock, seconds, received, True)


async def test_a_connection_that_does_not_come_about_is_timed():
    def refuse(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectTimeout("slow")

    transport = httpx.AsyncClient(transport=httpx.MockTransport(refuse))
    client = GatewayClient(split_client_args({"timeout": {"connect": 2}})[0], transport)

    with pytest.raises(PortkeyTimeoutError, match="within 2 s") as caught:
        await ask(client)

    assert caught.value.clock == "connect"


async def test_comments_keep_a_stream_alive(server):
    gates = [Gate() for _ in range(4)]
    pieces = [piece for gate in gates for piece in (b": ping\n\n", gate)]
    server.reply(sse_reply(*pieces, b"data: " + CHUNK + b"\n\n"))

    async def ping() -> None:
        for gate in gates:
            await asyncio.wrap_future(gate.reached)
            await asyncio.sleep(0.1)  # Real time has to pass: four pauses are longer than the clock, one is shorter.
            gate.open()

    got, _ = await asyncio.gather(ask(make_client(server, timeout={"idle": 0.3})), ping())

    assert got == [SAYS_HI]


async def test_a_body_that_does_not_end_after_done_is_abandoned(server):
    server.reply(sse_reply(b"data: " + CHUNK + b"\n\n", DONE, Gate()), whole())
    client = make_client(server)

    assert await ask(client) == [SAYS_HI]
    assert await ask(client) == [SAYS_HI]
    assert [request.connection for request in server.requests] == [0, 1]


# -- cancellation ------------------------------------------------------------------------------------------------------


async def test_a_signal_that_is_set_sends_nothing(server):
    signal = threading.Event()
    signal.set()

    with pytest.raises(RequestCancelledError):
        await ask(make_client(server), signal)

    assert server.requests == []


@pytest.mark.parametrize("where", ["before the headers", "in the body"])
async def test_a_signal_ends_a_wait_and_closes_the_connection(server, where):
    gate, signal = Gate(), threading.Event()
    server.reply(Reply(200, SSE, hold=gate) if where == "before the headers" else sse_reply(b": ping\n\n", gate))
    asking = asyncio.create_task(ask(make_client(server), signal))
    await asyncio.wrap_future(gate.reached)

    signal.set()

    with pytest.raises(RequestCancelledError):
        await asyncio.wait_for(asking, 1)
    assert asking.cancelling() == 0 if hasattr(asking, "cancelling") else True
    await asyncio.wait_for(asyncio.wrap_future(server.gone(0)), 1)


async def test_a_cancelled_task_closes_the_connection_and_stays_cancelled(server):
    gate = Gate()
    server.reply(sse_reply(b": ping\n\n", gate))
    asking = asyncio.create_task(ask(make_client(server), threading.Event()))
    await asyncio.wrap_future(gate.reached)

    asking.cancel()

    with pytest.raises(asyncio.CancelledError):
        await asking
    await asyncio.wait_for(asyncio.wrap_future(server.gone(0)), 1)


async def test_leaving_early_closes_the_connection(server):
    server.reply(sse_reply(b"data: " + CHUNK + b"\n\n", Gate()), whole())
    client = make_client(server)

    async with request(client) as response, aclosing(chunks_of(response)) as chunks:
        async for _ in chunks:
            break

    await asyncio.wait_for(asyncio.wrap_future(server.gone(0)), 1)
    await ask(client)
    assert [request.connection for request in server.requests] == [0, 1]


async def at_once() -> str:
    return "now"


async def test_a_task_that_others_cancel_too_stays_cancelled():
    signal, waiting = threading.Event(), asyncio.Event()
    with Watch(Clocks(), signal) as watch:
        asking = asyncio.create_task(watch.wait(waiting.wait, "stream"))
        await asyncio.sleep(0)

        signal.set()
        watch._check()
        asking.cancel()

    with pytest.raises(asyncio.CancelledError if sys.version_info >= (3, 11) else RequestCancelledError):
        await asking


async def test_a_slow_caller_does_not_cause_a_timeout():
    watch = Watch(Clocks(total=0), None)

    watch._check()  # Nothing is waited for.
    watch.__exit__()

    assert await watch.wait(at_once, "stream") == "now"


# -- connections -------------------------------------------------------------------------------------------------------


async def test_the_next_request_of_a_loop_reuses_the_connection(server):
    server.reply(whole(), whole(), json_reply({"choices": [{"message": {}}]}), whole())
    client = make_client(server)

    for _ in range(4):
        await ask(client)

    assert [request.connection for request in server.requests] == [0, 0, 0, 0]


async def test_a_connection_that_brought_an_error_is_not_used_again(server):
    server.reply(json_reply({"error": {"message": "No"}}, 400), whole())
    client = make_client(server)

    with pytest.raises(PortkeyAPIError):
        await ask(client)
    await ask(client)

    assert [request.connection for request in server.requests] == [0, 1]


async def test_an_error_that_breaks_off_is_judged_by_its_status(server):
    server.reply(Reply(429, {"content-type": "application/json"}, [b'{"error":{"mess'], "cut"))

    with pytest.raises(PortkeyThrottledError):
        await ask(make_client(server))


async def test_requests_at_the_same_time_have_connections_of_their_own(server):
    gates = [Gate() for _ in range(3)]
    server.reply(*[sse_reply(b"data: " + CHUNK + b"\n\n", gate) for gate in gates])
    client = make_client(server)
    asking = [asyncio.create_task(ask(client)) for _ in gates]
    await asyncio.gather(*[asyncio.wrap_future(gate.reached) for gate in gates])

    for gate in gates:
        gate.open()

    assert await asyncio.gather(*asking) == [[SAYS_HI]] * 3
    assert sorted(request.connection for request in server.requests) == [0, 1, 2]


def test_each_event_loop_has_connections_of_its_own_and_closes_them(server):
    server.reply(whole(), whole(), whole(), whole())
    client = make_client(server)

    async def twice() -> None:
        await ask(client)
        await ask(client)

    asyncio.run(twice())
    asyncio.run(twice())

    assert [request.connection for request in server.requests] == [0, 0, 1, 1]
    server.gone(0).result(1)
    server.gone(1).result(1)


@pytest.mark.parametrize("ending", ["cut", "abort"])
async def test_a_stale_connection_raises_an_error_of_its_own(server, ending):
    server.reply(whole(), Reply(None, ending=ending))
    client = make_client(server)

    await ask(client)
    with pytest.raises(StaleConnectionError):
        await ask(client)

    assert [request.connection for request in server.requests] == [0, 0]


async def test_a_kept_connection_that_cannot_be_written_to_is_stale(server, monkeypatch):
    server.reply(whole())
    client = make_client(server)
    await ask(client)

    async def refuse(*_: object) -> httpcore.Response:
        raise httpcore.WriteError  # As HTTP/2 does.

    monkeypatch.setattr(httpcore.AsyncConnectionPool, "handle_async_request", refuse)
    with pytest.raises(StaleConnectionError):
        await ask(client)


async def test_a_request_that_may_not_reuse_a_connection_has_a_new_one(server):
    server.reply(whole(), whole())
    client = make_client(server)

    await ask(client)
    watch = Watch(client.endpoint.clocks, None)
    async with GatewayResponse(client, Request("/models", None, {}, may_reuse=False), watch) as response:
        assert response.status_code == 200

    assert [request.connection for request in server.requests] == [0, 1]


async def test_a_new_connection_is_never_stale(server):
    server.reply(Reply(None), whole())

    with pytest.raises(PortkeyConnectionError) as caught:
        await ask(make_client(server))

    assert type(caught.value) is PortkeyConnectionError
    assert len(server.requests) == 1


async def test_a_connection_that_ends_after_a_second_is_not_stale(server):
    gate = Gate()
    server.reply(whole(), Reply(None, hold=gate), whole())
    client = make_client(server)
    await ask(client)
    loop = asyncio.get_running_loop()
    asking = asyncio.create_task(ask(client))
    await asyncio.wrap_future(gate.reached)

    loop.call_later(1.1, gate.open)

    with pytest.raises(PortkeyConnectionError) as caught:
        await asking
    assert type(caught.value) is PortkeyConnectionError
    assert len(server.requests) == 2


async def test_aclose_closes_idle_connections_and_the_client_goes_on(server):
    server.reply(whole(), whole())
    client = make_client(server)

    await ask(client)
    await client.aclose()
    await asyncio.wait_for(asyncio.wrap_future(server.gone(0)), 1)
    await ask(client)

    assert [request.connection for request in server.requests] == [0, 1]


async def test_idle_connections_are_closed_in_time(server, monkeypatch):
    server.reply(whole())
    await ask(make_client(server))

    let_seconds_pass(5, monkeypatch)

    await asyncio.wait_for(asyncio.wrap_future(server.gone(0)), 1)


async def test_a_connection_that_was_idle_while_the_loop_was_blocked_is_not_used_again(server, monkeypatch):
    server.reply(whole(), whole())
    client = make_client(server)
    await ask(client)
    now = time.monotonic

    monkeypatch.setattr(time, "monotonic", lambda: now() + 4.5)  # No timer runs before the next request.
    await ask(client)

    assert [request.connection for request in server.requests] == [0, 1]


async def test_a_reused_connection_is_not_closed_by_its_earlier_timer(server, monkeypatch):
    gate = Gate()
    server.reply(whole(), sse_reply(b"data: " + CHUNK + b"\n\n", gate, DONE), whole())
    client = make_client(server)
    await ask(client)
    asking = asyncio.create_task(ask(client))
    await asyncio.wrap_future(gate.reached)

    let_seconds_pass(5, monkeypatch)
    await asyncio.sleep(0)
    gate.open()
    await asking
    await ask(client)

    assert [request.connection for request in server.requests] == [0, 0, 0]


def test_a_fork_leaves_the_connections_of_its_parent_alone(server):
    server.reply(whole(), whole(), whole())
    client = make_client(server)

    async def parent() -> None:
        await ask(client)
        if (pid := os.fork()) == 0:
            code = 1
            try:
                threading.Thread(target=lambda: asyncio.run(ask(client))).start()
                code = 0
            finally:
                for thread in threading.enumerate():
                    if thread is not threading.current_thread():
                        thread.join()
                os._exit(code)
        await asyncio.to_thread(os.waitpid, pid, 0)
        await ask(client)

    asyncio.run(parent())

    assert [request.connection for request in server.requests] == [0, 1, 0]


def test_a_fork_while_the_connections_are_locked_blocks_no_child(monkeypatch):
    client = GatewayClient(split_client_args({})[0])
    pids: list[int] = []
    getpid = os.getpid

    def fork_and_getpid() -> int:
        if not pids:
            pids.append(-1)  # Other code that runs after a fork may read the pid as well.
            pids[0] = os.fork()
            if pids == [0]:
                look_in_the_child()
        return getpid()

    def look_in_the_child() -> None:
        ended: list[None] = []
        try:
            signal.alarm(5)  # Ends a child that never stops waiting.
            thread = threading.Thread(target=lambda: ended.append(asyncio.run(client.aclose())))
            thread.start()
            thread.join()
        finally:
            os._exit(ended != [None])

    monkeypatch.setattr("os.getpid", fork_and_getpid)
    asyncio.run(client.aclose())

    assert os.waitpid(pids[0], 0)[1] == 0


async def test_a_process_that_was_forked_forgets_connections_without_closing_them(server, monkeypatch):
    server.reply(whole(), whole())
    client = make_client(server)
    await ask(client)
    [parents] = client._connections._loops.values()

    monkeypatch.setattr("os.getpid", lambda: -1)
    await ask(client)

    assert [request.connection for request in server.requests] == [0, 1]
    assert not server.gone(0).done()
    await parents.close_idle()


async def test_a_client_of_the_callers_own_is_used_and_left_open(server):
    server.reply(whole(), whole())

    async with httpx.AsyncClient(headers={"x-own": "yes"}) as http_client:
        client = make_client(server, http_client)
        await ask(client)
        await client.aclose()
        assert not http_client.is_closed
        await ask(client)

    assert [request.header("x-own") for request in server.requests] == ["yes", "yes"]
    assert [request.connection for request in server.requests] == [0, 0]


async def test_a_timeout_of_the_callers_own_client_holds(server):
    server.reply(Reply(200, SSE, hold=Gate()))

    async with httpx.AsyncClient(timeout=0.1) as http_client:
        with pytest.raises(PortkeyTimeoutError):
            await ask(make_client(server, http_client))


async def raise_for_status(response: httpx.Response) -> None:
    response.raise_for_status()


async def read_and_raise_for_status(response: httpx.Response) -> None:
    await response.aread()
    response.raise_for_status()


@pytest.mark.parametrize(
    ("hook", "said"),
    [(raise_for_status, "no message"), (read_and_raise_for_status, "Slow down")],
    ids=["closed", "read"],
)
async def test_an_error_that_a_hook_of_the_callers_own_client_raises_is_judged_by_its_answer(server, hook, said):
    server.reply(json_reply({"error": {"message": "Slow down"}}, 429))

    async with httpx.AsyncClient(params={"own": "yes"}, event_hooks={"response": [hook]}) as http_client:
        with pytest.raises(PortkeyThrottledError, match=said) as caught:
            await ask(make_client(server, http_client))

    assert caught.value.status_code == 429


async def test_an_answer_that_a_hook_of_the_callers_own_client_has_read_is_read_again(server):
    server.reply(whole())

    async with httpx.AsyncClient(event_hooks={"response": [read_and_raise_for_status]}) as http_client:
        assert await ask(make_client(server, http_client)) == [SAYS_HI]


async def test_an_answer_of_which_a_hook_has_read_the_beginning_is_refused(server):
    async def read_some(response: httpx.Response) -> None:
        async for _ in response.aiter_bytes():
            break

    server.reply(whole())

    async with httpx.AsyncClient(event_hooks={"response": [read_some]}) as http_client:
        with pytest.raises(
            PortkeyStreamError, match="a hook of http_client, or an auth, has read its beginning"
        ) as caught:
            await ask(make_client(server, http_client))

    assert not caught.value.retryable


async def test_the_status_of_another_request_within_a_hook_is_not_the_gateways():
    async def fetch_token(_: httpx.Request) -> None:
        httpx.Response(401, request=httpx.Request("GET", "http://tokens.internal")).raise_for_status()

    async with httpx.AsyncClient(event_hooks={"request": [fetch_token]}) as http_client:
        with pytest.raises(PortkeyConnectionError, match=r"tokens\.internal"):
            await ask(GatewayClient(split_client_args({})[0], http_client))


@pytest.mark.parametrize(
    ("timeout", "connect"),
    [(httpx.Timeout(None, pool=0.1), 600), (httpx.Timeout(5.0), 0.5)],
    ids=["own", "that of httpx"],
)
async def test_a_pool_of_the_callers_own_client_that_is_used_up_is_named(server, timeout, connect):
    server.reply(sse_reply(Gate()))
    limits = httpx.Limits(max_connections=1)

    async with httpx.AsyncClient(limits=limits, timeout=timeout) as http_client:
        client = make_client(server, http_client, timeout={"connect": connect})
        async with request(client):
            with pytest.raises(PortkeyTimeoutError, match="pool of http_client") as caught:
                await ask(client)

    assert caught.value.clock == "connect"


@pytest.mark.parametrize("trust_env", [True, False])
async def test_a_proxy_of_the_environment_is_used_if_that_is_trusted(server, monkeypatch, trust_env):
    server.reply(whole())
    for name in ("http_proxy", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")

    asking = ask(make_client(server, trust_env=trust_env))

    if trust_env:
        with pytest.raises(PortkeyConnectionError, match="cannot reach the gateway"):
            await asking
    else:
        assert await asking == [SAYS_HI]


async def test_a_proxy_carries_the_request(server):
    server.reply(whole())

    await ask(make_client(server, base_url="http://gateway.internal/v1", proxy=server.url))

    assert server.requests[0].path == "http://gateway.internal/v1/chat/completions"


def test_one_tls_context_serves_one_tls_setting():
    own = ssl.create_default_context()
    assert ssl_context(True, None, True) is ssl_context(True, None, True)
    assert ssl_context(False, None, True) is not ssl_context(True, None, True)
    assert ssl_context(own, None, True) is own


def test_a_renewed_file_of_certificates_is_read_again(tmp_path):
    file = tmp_path / "ca.pem"
    file.write_text(Path(certifi.where()).read_text())
    old = ssl_context(str(file), None, True)
    assert ssl_context(str(file), None, True) is old

    os.utime(file, (1, 1))

    assert ssl_context(str(file), None, True) is not old


@pytest.mark.parametrize("renewed", [0, 1], ids=["certificate", "key"])
def test_a_renewed_client_certificate_is_read_again(tmp_path, renewed):
    loaded = []

    class Context(ssl.SSLContext):
        def load_cert_chain(self, *given: object) -> None:
            loaded.append(given)

    own = Context(ssl.PROTOCOL_TLS_CLIENT)
    files = [tmp_path / "cert.pem", tmp_path / "key.pem"]
    for file in files:
        file.touch()
    cert = (*map(str, files), "password")

    ssl_context(own, cert, True)
    ssl_context(own, cert, True)
    assert loaded == [cert]
    os.utime(files[renewed], (1, 1))
    ssl_context(own, cert, True)

    assert loaded == [cert, cert]


@pytest.mark.filterwarnings("error::ResourceWarning")
def test_a_loop_closes_what_is_being_read_when_it_ends(server):
    server.reply(sse_reply(b"data: " + CHUNK + b"\n\n", Gate()))
    client = make_client(server)

    async def leave() -> None:
        exchange = request(client)
        await exchange.__aenter__()

    asyncio.run(leave())

    server.gone(0).result(1)


async def test_a_json_answer_that_breaks_off_raises(server):
    server.reply(Reply(200, {"content-type": "application/json"}, [b'{"choices":[{"mess'], "cut"))

    with pytest.raises(PortkeyStreamError, match="broke off"):
        await ask(make_client(server))


# -- requests that are cancelled leave the others alone ----------------------------------------------------------------


Way = Callable[[PortkeyModel, int, pytest.MonkeyPatch], Coroutine[object, object, None]]


async def cancel_the_task(model: PortkeyModel, turn: int, _: pytest.MonkeyPatch) -> None:
    asking = asyncio.create_task(ask_echo(model, "lost"))
    await turns(turn)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)


async def cancel_the_task_twice(model: PortkeyModel, turn: int, _: pytest.MonkeyPatch) -> None:
    asking = asyncio.create_task(ask_echo(model, "lost"))
    await turns(turn)
    asking.cancel()
    await turns(1)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)


async def wait_for(model: PortkeyModel, turn: int, monkeypatch: pytest.MonkeyPatch) -> None:
    asking = asyncio.create_task(asyncio.wait_for(ask_echo(model, "lost"), 0.5))
    await turns(turn)
    let_seconds_pass(0.6, monkeypatch)
    await asyncio.gather(asking, return_exceptions=True)
    monkeypatch.undo()


async def break_off(model: PortkeyModel, turn: int, _: pytest.MonkeyPatch) -> None:
    left = asyncio.Event()

    async def leave() -> None:
        async with aclosing(model.stream([{"role": "user", "content": [{"text": "lost"}]}])) as events:
            async for _ in events:
                if left.is_set():
                    break

    leaving = asyncio.create_task(leave())
    await turns(turn)
    left.set()
    await leaving


async def break_off_and_cancel(model: PortkeyModel, turn: int, _: pytest.MonkeyPatch) -> None:
    events = model.stream([{"role": "user", "content": [{"text": "lost"}]}])
    await anext(events)
    leaving = asyncio.create_task(events.aclose())
    await turns(turn % 10)
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)


WAYS: dict[str, Way] = {
    "cancelled": cancel_the_task,
    "cancelled twice": cancel_the_task_twice,
    "wait_for": wait_for,
    "broken off": break_off,
    "broken off and cancelled": break_off_and_cancel,
}
if sys.version_info >= (3, 11):

    async def leave_a_timeout(model: PortkeyModel, turn: int, _: pytest.MonkeyPatch) -> None:
        async def expire(scope: asyncio.Timeout) -> None:
            await turns(turn)
            with suppress(RuntimeError):  # The request has ended before.
                scope.reschedule(0)

        with suppress(TimeoutError):
            async with asyncio.timeout(None) as scope:
                expiring = asyncio.create_task(expire(scope))
                await ask_echo(model, "lost")
        await expiring

    WAYS["timeout"] = leave_a_timeout


@pytest.mark.parametrize("is_reused", [False, True], ids=["new connection", "reused connection"])
@pytest.mark.parametrize("way", WAYS)
async def test_a_request_that_ends_at_any_turn_of_the_loop_does_not_affect_others(way, is_reused, monkeypatch):
    answers = []
    async with running_echo() as gateway:
        for turn in range(81):
            model = gateway.model()
            if is_reused:
                await ask_echo(model, "first")
            await WAYS[way](model, turn, monkeypatch)
            answers.append(await asyncio.wait_for(ask_echo(model, f"question {turn}"), 5))
            await model.aclose()

        assert answers == [f"question {turn}" for turn in range(81)]
        assert await gateway.is_left_with(0)


@pytest.mark.parametrize("times", [1, 2])
async def test_a_callback_that_cancels_its_request_does_not_affect_others(times):
    async def cancel(_: object) -> None:
        task = asyncio.current_task()
        assert task is not None
        for _ in range(times):
            task.cancel()

    async with running_echo() as gateway:
        model = gateway.model()
        model._on_response = cancel
        with pytest.raises(asyncio.CancelledError):
            await asyncio.create_task(ask_echo(model, "lost"))
        model._on_response = None

        assert await asyncio.wait_for(ask_echo(model, "kept"), 5) == "kept"
        await model.aclose()
        assert await gateway.is_left_with(0)


def test_a_close_goes_on_when_every_task_is_cancelled(server):
    gate = Gate()
    server.reply(sse_reply(b": ping\n\n", gate), whole())
    client = make_client(server)

    async def cancel_all() -> list:
        asking = asyncio.create_task(ask(client))
        await asyncio.wrap_future(gate.reached)
        for _ in range(10):
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            await turns(1)
        await asyncio.gather(asking, return_exceptions=True)
        return await ask(client)

    assert asyncio.run(cancel_all()) == [SAYS_HI]
    server.gone(0).result(1)


async def test_a_connection_that_is_never_free_is_timed(server):
    server.reply(whole(), sse_reply(Gate()))
    client = make_client(server, timeout={"connect": 0.1})
    await ask(client)
    [clients] = client._connections._loops.values()
    [(_, idle)] = clients._idle

    async with idle.stream("POST", server.url):
        with pytest.raises(PortkeyTimeoutError, match=r"within 0\.1 s \(connect\)") as caught:
            await ask(client)

    assert (caught.value.clock, caught.value.seconds, caught.value.retryable) == ("connect", 0.1, True)


# -- event loops that are left -----------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # Python's own, for a loop that is not closed.
def test_a_loop_that_was_never_closed_is_not_kept(server):
    server.script = lambda _: whole()
    client = make_client(server)
    loops = []

    def use_a_loop() -> None:
        loop = asyncio.new_event_loop()
        loop.run_until_complete(ask(client))
        loops.append(weakref.ref(loop))

    for _ in range(120):
        use_a_loop()
    gc.collect()
    gc.collect()  # The first one may have scheduled the end of a generator.

    assert [loop() for loop in loops] == [None] * 120
    assert list(client._connections._loops) == []
    for connection in range(120):
        server.gone(connection).result(1)


async def test_an_idle_connection_holds_no_context_of_the_request_that_used_it(server):
    ContextVar[str]("agent").set("an agent")
    server.reply(whole())
    client = make_client(server)
    await ask(client)
    [clients] = client._connections._loops.values()

    assert len(copy_context()) > 0
    assert len(attrgetter("_timer._context")(clients)) == 0


# -- more than was asked for -------------------------------------------------------------------------------------------


HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
Piece = bytes | asyncio.Event
CLOSE = b""
DAMAGE = b"no TLS at all"  # Goes out beneath TLS.


def answer(text: str) -> bytes:
    body = b'{"choices":[{"message":{"content":"%b"}}]}' % text.encode()
    return HEAD % len(body) + body


async def ask_for_text(client: GatewayClient) -> str:
    [chunk] = await asyncio.wait_for(ask(client), 5)
    return chunk["choices"][0]["message"]["content"]


@asynccontextmanager
async def running_server(
    *scripts: Sequence[Piece], tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[str, list[int]]]:
    """Run a server that answers each request with the pieces of a script, and notes its connection."""
    remaining = deque(scripts)
    connections: list[asyncio.StreamWriter] = []
    used: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = len(connections)
        connections.append(writer)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while await reader.readuntil(b"\r\n\r\n{}"):
                used.append(number)
                for piece in remaining.popleft():
                    if piece == CLOSE:
                        writer.close()
                    elif piece == DAMAGE:
                        os.write(writer.get_extra_info("socket").fileno(), DAMAGE)
                    elif isinstance(piece, bytes):
                        writer.write(piece)
                    else:
                        await piece.wait()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", used
    finally:
        server.close()
        for writer in connections:
            writer.transport.abort()
        await turns(2)


def anonymous_tls(protocol: int) -> ssl.SSLContext:
    """Return one side of TLS that needs no certificate."""
    context = ssl.SSLContext(protocol)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AECDH-AES256-SHA:@SECLEVEL=0")
    return context


@pytest.mark.parametrize("is_tls", [False, True], ids=["plain", "TLS"])
@pytest.mark.parametrize(
    "pieces",
    [
        [answer("own") + answer("unasked")],
        [answer("own"), answer("unasked")],
        [answer("own") + b"\r\n"],
        [answer("own"), CLOSE],
        [answer("own"), DAMAGE],
    ],
    ids=["one write", "two writes", "a line break", "the end", "damage"],
)
async def test_surplus_data_after_an_answer_is_not_the_answer_to_the_next_request(pieces, is_tls):
    tls = anonymous_tls(ssl.PROTOCOL_TLS_SERVER) if is_tls else None
    async with running_server(pieces, [answer("next")], tls=tls) as (base_url, used):
        client_args = {"base_url": base_url, "verify": anonymous_tls(ssl.PROTOCOL_TLS_CLIENT)}
        client = GatewayClient(split_client_args(client_args)[0])

        assert [await ask_for_text(client), await ask_for_text(client)] == ["own", "next"]
        assert used == [0, 1]
        await client.aclose()


@pytest.mark.parametrize("is_tls", [False, True], ids=["plain", "TLS"])
async def test_data_received_on_an_idle_connection_is_not_the_answer_to_the_next_request(is_tls):
    later = asyncio.Event()
    tls = anonymous_tls(ssl.PROTOCOL_TLS_SERVER) if is_tls else None
    async with running_server([answer("own"), later, answer("unasked")], [answer("next")], tls=tls) as (base_url, used):
        client_args = {"base_url": base_url, "verify": anonymous_tls(ssl.PROTOCOL_TLS_CLIENT)}
        client = GatewayClient(split_client_args(client_args)[0])
        texts = [await ask_for_text(client)]
        later.set()
        await turns(5)

        assert [*texts, await ask_for_text(client)] == ["own", "next"]
        assert used == [0, 1]
        await client.aclose()


@pytest.mark.parametrize("is_tls", [False, True], ids=["plain", "TLS"])
async def test_a_connection_with_nothing_left_over_is_used_again(is_tls):
    tls = anonymous_tls(ssl.PROTOCOL_TLS_SERVER) if is_tls else None
    async with running_server([answer("one")], [answer("two")], tls=tls) as (base_url, used):
        client_args = {"base_url": base_url, "verify": anonymous_tls(ssl.PROTOCOL_TLS_CLIENT)}
        client = GatewayClient(split_client_args(client_args)[0])

        assert [await ask_for_text(client), await ask_for_text(client)] == ["one", "two"]
        assert used == [0, 0]
        await client.aclose()


async def test_a_connection_that_the_gateway_closes_is_not_kept():
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n"
    body = b"content-length: %d\r\n\r\n%b" % (len(CHUNK), CHUNK)
    async with running_server([head + body]) as (base_url, _):
        client = GatewayClient(split_client_args({"base_url": base_url})[0])
        await ask(client)

        assert [len(clients._idle) for clients in client._connections._loops.values()] == [0]


@pytest.mark.parametrize("is_idle", [True, False])
def test_a_connection_with_frames_is_used_again_if_it_is_idle(is_idle):
    connection = SimpleNamespace(is_idle=lambda: is_idle)  # As httpcore.AsyncHTTP2Connection has it, without h2.
    stream: object = connection
    for name in ("_connection", "_stream", "_httpcore_stream", "_stream"):
        stream = SimpleNamespace(**{name: stream})

    response = httpx.Response(200, extensions={"http_version": b"HTTP/2"})
    response.stream = stream  # type: ignore[assignment]

    assert is_reusable(response) is is_idle


def test_a_connection_that_cannot_be_looked_at_is_not_used_again():
    assert not is_reusable(httpx.Response(200))


@pytest.mark.parametrize("given", ["chunked", "gzip, chunked", "identity", ""])
async def test_a_transfer_encoding_from_the_caller_raises_a_config_error(server, given):
    client = make_client(server)

    with pytest.raises(PortkeyConfigError, match="transfer-encoding must be absent"):
        await request_chat(client, {"Transfer-Encoding": given}, Watch(Clocks(), None)).__aenter__()
    with pytest.raises(PortkeyConfigError, match="transfer-encoding must be absent"):
        await GatewayResponse(
            client, Request("/models", None, {"transfer-encoding": given}), Watch(Clocks(), None)
        ).__aenter__()

    assert server.requests == []


@pytest.mark.parametrize("name", ["connection", "te", "expect", "upgrade", "host"])
async def test_a_header_that_leaves_the_framing_alone_is_sent(server, name):
    values = {"connection": "close", "te": "trailers", "expect": "100-continue", "upgrade": "h2c", "host": "a.test"}
    server.reply(whole())

    async with request_chat(make_client(server), {name: values[name]}, Watch(Clocks(), None)) as response:
        assert [chunk async for chunk in chunks_of(response)] == [SAYS_HI]

    assert server.requests[0].header(name) == values[name]


# -- compression that was not asked for --------------------------------------------------------------------------------

CODED: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "GZIP": gzip.compress,
    "deflate": zlib.compress,
    "gzip, identity": gzip.compress,
    "identity": bytes,
    "": bytes,
}


@pytest.mark.parametrize("coding", CODED)
@pytest.mark.parametrize("size", [1, 2**20], ids=["byte by byte", "whole"])
@pytest.mark.parametrize("length", [10, 2**16, 2**18 + 1])
async def test_an_answer_in_a_known_content_coding_is_read(server, coding, size, length):
    said = {"choices": [{"delta": {"content": "x" * length}}]}
    body = CODED[coding](b"data: " + json.dumps(said).encode() + b"\n\n")
    pieces = [body[at : at + size] for at in range(0, min(len(body), 500), size)] + [body[500:]]
    server.reply(Reply(200, {**SSE, "content-encoding": coding}, pieces if size == 1 else [body]))

    assert await ask(make_client(server)) == [said]


async def test_an_error_in_a_known_content_coding_is_read(server):
    body = gzip.compress(b'{"error":{"message":"Slow down"}}')
    server.reply(Reply(429, {"content-encoding": "gzip"}, [body]))

    with pytest.raises(PortkeyThrottledError, match="Slow down"):
        await ask(make_client(server))


@pytest.mark.parametrize("coding", ["br", "zstd", "compress", "gzip, gzip", "deflate, gzip", "gzip, br"])
async def test_an_unknown_content_coding_is_refused(server, coding):
    server.reply(*[Reply(status, {**SSE, "content-encoding": coding}, [b"\x1b\x00"]) for status in (200, 429)])
    client = make_client(server)
    said = f"its content-encoding must be gzip or deflate, and none was asked for; got {coding}"

    with pytest.raises(PortkeyStreamError, match=said):
        await ask(client)
    with pytest.raises(PortkeyThrottledError, match=said):
        await ask(client)


async def test_a_long_coding_is_not_quoted(server):
    server.reply(Reply(200, {**SSE, "content-encoding": "x" * 5000}, [b"{}"]))

    with pytest.raises(PortkeyStreamError, match=r"got 5000 characters$"):
        await ask(make_client(server))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (gzip.compress(CHUNK)[:-1], "the compressed data has no end"),
        (b"", "the compressed data has no end"),
        (gzip.compress(CHUNK) + b"more", "more after the end"),
        (CHUNK, "incorrect header check"),
        (gzip.compress(CHUNK)[:-8] + bytes(8), "incorrect data check"),
    ],
    ids=["cut", "empty", "more", "not compressed", "wrong checksum"],
)
async def test_damaged_compression_breaks_the_answer_off(server, body, said):
    server.reply(Reply(200, {"content-type": "application/json", "content-encoding": "gzip"}, [body]))

    with pytest.raises(PortkeyStreamError, match=said):
        await ask(make_client(server))


def bomb(beginning: bytes, filling: bytes) -> bytes:
    """Return 64 MB in 64 kB."""
    compressor = zlib.compressobj(wbits=31)
    block = filling * (2**20 // len(filling))
    return b"".join(
        [compressor.compress(beginning), *[compressor.compress(block) for _ in range(64)], compressor.flush()]
    )


@pytest.mark.parametrize(
    ("status", "headers", "beginning", "filling"),
    [
        (200, SSE, b"data: ", b"x"),
        (200, SSE, b"", b": ping\n"),
        (200, {"content-type": "application/json"}, b'{"choices":["', b"x"),
        (200, {}, b"", b"x"),
        (500, {}, b"", b"x"),
    ],
    ids=["event", "comments", "message", "no type", "error"],
)
async def test_a_highly_compressed_answer_is_read_within_the_limits(server, status, headers, beginning, filling):
    server.reply(Reply(status, {**headers, "content-encoding": "gzip"}, [bomb(beginning, filling)]))
    client = make_client(server, max_event_bytes=2**20)

    tracemalloc.start()
    try:
        with pytest.raises(PortkeyError, match=r"500|more than 1048576 bytes"):
            await ask(client)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert most < 2**24


# -- a byte order mark before JSON -------------------------------------------------------------------------------------


async def test_a_byte_order_mark_before_json_is_left_out(server):
    mark = codecs.BOM_UTF8
    answers = [(200, mark + CHUNK), (400, mark + b'{"error":{"message":"no","code":"bad"}}'), (200, mark + b"[1]")]
    server.reply(*[Reply(status, {"content-type": "application/json"}, [body]) for status, body in answers])
    client = make_client(server)

    assert await ask(client) == [SAYS_HI]
    with pytest.raises(PortkeyAPIError) as caught:
        await ask(client)
    assert caught.value.code == "bad"
    async with GatewayResponse(client, Request("/models", None, {}), Watch(client.endpoint.clocks, None)) as response:
        assert await response.json() == [1]
