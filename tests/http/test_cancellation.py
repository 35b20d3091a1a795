"""The clocks of a request: what they measure, which one ends a wait, and when each begins anew."""

import asyncio
import socket
import threading
import time
from contextlib import suppress
from typing import Any

import pytest
from strands.types.streaming import StreamEvent

from strands_portkey import PortkeyAPIError, PortkeyModel, PortkeyTimeoutError
from strands_portkey._http.cancellation import Watch
from strands_portkey._http.client import GatewayClient
from strands_portkey._settings.endpoint import Clocks, split_client_args
from tests.chat import chunks_of, request_chat
from tests_integ.upstream import Gate, Reply

CHUNK = b'data: {"choices":[{"delta":{"content":"Hi"}}]}\n\n'
SAYS_HI = {"choices": [{"delta": {"content": "Hi"}}]}
SSE = {"content-type": "text/event-stream"}
JSON = {"content-type": "application/json"}
DONE = b"data: [DONE]\n\n"


def make_client(base_url: str, **client_args: object) -> GatewayClient:
    return GatewayClient(split_client_args({"base_url": base_url, **client_args})[0])


async def ask(client: GatewayClient) -> list:
    with Watch(client.endpoint.clocks, None) as watch:
        async with request_chat(client, {}, watch) as response:
            return [chunk async for chunk in chunks_of(response)]


def block_the_loop(seconds: float) -> None:
    time.sleep(seconds)  # As a callback of the caller may do.


class SlowServer:
    """A server that sends some bytes, and then a few more again and again while the client is connected."""

    def __init__(self, head: bytes, drop: bytes) -> None:
        self._head, self._drop = head, drop
        self._left = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._left.set()
        with suppress(OSError):
            socket.create_connection(self._listener.getsockname()).close()  # Ends the wait for a connection.
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with connection, suppress(OSError):
            connection.recv(65536)
            connection.sendall(self._head)
            while not self._left.wait(0.02):
                connection.sendall(self._drop)


def head(status: bytes, content_type: bytes) -> bytes:
    return b"HTTP/1.1 " + status + b"\r\ncontent-type: " + content_type + b"\r\n\r\n"


# -- a loop that is blocked --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("clock", ["first_byte", "idle", "connect"])
async def test_time_while_the_loop_is_blocked_does_not_count_as_silence(server, clock):
    gate = Gate()
    server.reply(Reply(200, SSE, [CHUNK, gate, CHUNK, DONE]))
    asking = asyncio.create_task(ask(make_client(server.base_url, timeout={clock: 0.2})))
    if clock == "idle":
        await asyncio.wrap_future(gate.reached)
    gate.open()
    await asyncio.sleep(0)

    block_the_loop(0.4)

    assert await asking == [SAYS_HI, SAYS_HI]


async def test_what_comes_while_the_loop_is_blocked_again_and_again_is_read(server):
    gates = [Gate() for _ in range(4)]
    server.reply(Reply(200, SSE, [piece for gate in gates for piece in (gate, CHUNK)]))
    asking = asyncio.create_task(ask(make_client(server.base_url, timeout={"idle": 0.2})))

    for gate in gates:
        await asyncio.wrap_future(gate.reached)
        gate.open()
        block_the_loop(0.3)

    assert await asking == [SAYS_HI] * 4


@pytest.mark.parametrize("clock", ["first_byte", "idle"])
async def test_a_blocked_loop_delays_a_timeout_but_does_not_prevent_it(server, clock):
    gate = Gate()
    server.reply(Reply(200, SSE, hold=gate) if clock == "first_byte" else Reply(200, SSE, [CHUNK, gate]))
    asking = asyncio.create_task(ask(make_client(server.base_url, timeout={clock: 0.2})))
    await asyncio.wrap_future(gate.reached)
    block_the_loop(0.4)
    began = time.monotonic()

    with pytest.raises(PortkeyTimeoutError) as caught:
        await asking

    assert (caught.value.clock, caught.value.seconds) == (clock, 0.2)
    assert time.monotonic() - began < 1


@pytest.mark.parametrize("clock", ["first_byte", "idle", "total"])
async def test_a_timeout_comes_no_earlier_than_it_says(server, clock):
    server.reply(Reply(200, SSE, [CHUNK, Gate()], hold=Gate() if clock == "first_byte" else None))
    client = make_client(server.base_url, timeout={clock: 0.4})
    began = time.monotonic()

    with pytest.raises(PortkeyTimeoutError, match=rf"\({clock}\)"):
        await ask(client)

    assert time.monotonic() - began >= 0.4


async def test_the_whole_call_is_timed_across_its_phases():
    with Watch(Clocks(total=0.3), None) as watch, pytest.raises(PortkeyTimeoutError) as caught:
        await watch.wait(lambda: asyncio.sleep(0.2), "first_byte")
        await watch.wait(lambda: asyncio.sleep(0.2), "stream")

    assert (caught.value.clock, caught.value.seconds) == ("total", 0.3)


# -- which waits share a clock -----------------------------------------------------------------------------------------


async def test_pings_after_done_do_not_put_the_end_off():
    with SlowServer(head(b"200 OK", b"text/event-stream") + CHUNK + DONE, b": ping\n\n") as server:
        assert await asyncio.wait_for(ask(make_client(server.url, timeout={"idle": 30})), 5) == [SAYS_HI]


SLOW_BODIES = {
    "an error": head(b"500 Internal Server Error", b"application/json"),
    "an error that calls itself a stream": head(b"502 Bad Gateway", b"text/event-stream"),
    "JSON": head(b"200 OK", b"application/json"),
    "blanks of no type": b"HTTP/1.1 200 OK\r\n\r\n",
}


@pytest.mark.parametrize("head", SLOW_BODIES.values(), ids=SLOW_BODIES)
async def test_a_body_other_than_a_stream_is_timed_as_a_whole(head):
    late = pytest.raises(PortkeyTimeoutError, match=r"the answer took longer than 0\.3 s \(first_byte\)")
    with SlowServer(head, b" ") as server, late as caught:
        await asyncio.wait_for(ask(make_client(server.url, timeout={"first_byte": 0.3})), 5)

    assert (caught.value.clock, caught.value.seconds) == ("first_byte", 0.3)


async def test_a_body_that_is_no_stream_is_timed_by_its_silence_too(server):
    server.reply(Reply(200, JSON, [b"{", Gate()]))

    with pytest.raises(PortkeyTimeoutError) as caught:
        await ask(make_client(server.base_url, timeout={"idle": 0.1}))

    assert caught.value.clock == "idle"


async def test_a_stream_may_last_longer_than_the_first_byte_clock():
    with SlowServer(head(b"200 OK", b"text/event-stream"), b": ping\n\n") as server:
        asking = asyncio.create_task(ask(make_client(server.url, timeout={"first_byte": 0.2, "total": 1})))
        with pytest.raises(PortkeyTimeoutError) as caught:
            await asking

    assert caught.value.clock == "total"


KEEP_ALIVES = {
    "a comment": b": ping\n\n",
    "a bare word": b"data: ping\n\n",
    "an empty object": b"data: {}\n\n",
    "an empty delta": b'data: {"choices":[{"index":0,"delta":{"content":""}}]}\n\n',
    "a role": b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":null}}]}\n\n',
    "empty thoughts": b'data: {"choices":[{"index":0,"delta":{"reasoning_content":"","tool_calls":[]}}]}\n\n',
    "an empty argument": b'data: {"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":""}}]}}]}\n\n',
    "a count": b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4}}\n\n',
}
CALL = b'data: {"choices":[{"delta":{"tool_calls":[{"index":%d,"function":{"name":"f","arguments":"{"}}]}}]}\n\n'
PIECES = {
    "text": (CHUNK, CHUNK),
    "a thought": (CHUNK, b'data: {"choices":[{"delta":{"reasoning_content":"Hm"}}]}\n\n'),
    "arguments": (
        CALL % 0,
        b'data: {"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":" "}}]}}]}\n\n',
    ),
    "arguments of a call that waits": (
        CALL % 0 + CALL % 1,
        b'data: {"choices":[{"delta":{"tool_calls":[{"index":1,"function":{"arguments":" "}}]}}]}\n\n',
    ),
}


async def answer(url: str, **timeout: float) -> list[StreamEvent]:
    client_args: dict[str, Any] = {"base_url": url, "provider": "openai", "timeout": timeout, "max_retries": 0}
    model = PortkeyModel(model_id="m", client_args=client_args)
    return [event async for event in model.stream([{"role": "user", "content": [{"text": "Hi"}]}])]


@pytest.mark.parametrize("begin", [b"", CHUNK], ids=["before any content", "amid the answer"])
@pytest.mark.parametrize("keep_alive", KEEP_ALIVES.values(), ids=KEEP_ALIVES)
async def test_keep_alives_do_not_hold_a_dead_answer_open(begin, keep_alive):
    late = pytest.raises(PortkeyTimeoutError, match=r"nothing but keep-alives came for 0\.3 s \(stall\)")
    with SlowServer(head(b"200 OK", b"text/event-stream") + begin, keep_alive) as server, late as caught:
        await asyncio.wait_for(answer(server.url, stall=0.3), 5)

    assert (caught.value.clock, caught.value.seconds, caught.value.retryable) == ("stall", 0.3, True)


@pytest.mark.parametrize(("begin", "piece"), PIECES.values(), ids=PIECES)
async def test_an_answer_that_says_something_now_and_then_is_no_stall(begin, piece):
    late = pytest.raises(PortkeyTimeoutError)
    with SlowServer(head(b"200 OK", b"text/event-stream") + begin, piece) as server, late as caught:
        await answer(server.url, stall=0.5, total=1)

    assert caught.value.clock == "total"


async def test_keep_alives_after_the_finish_reason_take_nothing_from_the_answer():
    end = CHUNK + b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n'
    with SlowServer(head(b"200 OK", b"text/event-stream") + end, b": ping\n\n") as server:
        events = await asyncio.wait_for(answer(server.url, stall=0.3), 5)

    assert events[-2]["messageStop"]["stopReason"] == "end_turn"


async def test_each_request_of_a_call_has_its_own_time():
    watch = Watch(Clocks(first_byte=0.3), None)
    with watch:
        for _ in range(3):  # Real time has to pass: each wait is shorter than the clock, all together are longer.
            await watch.wait(lambda: asyncio.sleep(0.2), "first_byte")
            await watch.wait(lambda: asyncio.sleep(0), "body")

    assert watch._cause is None


async def test_the_connect_clock_stops_when_there_is_a_connection(server):
    gate = Gate()
    server.reply(Reply(500, SSE, hold=gate))
    asking = asyncio.create_task(ask(make_client(server.base_url, timeout={"connect": 0.1})))
    await asyncio.wrap_future(gate.reached)

    asyncio.get_running_loop().call_later(0.4, gate.open)

    with pytest.raises(PortkeyAPIError):
        await asking


# -- connections that do not come about --------------------------------------------------------------------------------


def silent_listener() -> socket.socket:
    """Return a socket that accepts connections and sends nothing."""
    return socket.create_server(("127.0.0.1", 0))


@pytest.mark.parametrize("kind", ["TLS", "CONNECT", "SOCKS"])
async def test_a_server_that_accepts_a_connection_and_sends_nothing_is_timed(kind):
    if kind == "SOCKS":
        pytest.importorskip("socksio")
    with silent_listener() as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        client_args = {
            "TLS": {"base_url": f"https://{address}"},
            "CONNECT": {"base_url": "https://gateway.internal", "proxy": f"http://{address}"},
            "SOCKS": {"base_url": "http://gateway.internal", "proxy": f"socks5h://{address}"},
        }[kind]
        client = GatewayClient(split_client_args({**client_args, "timeout": {"connect": 0.2}})[0])

        with pytest.raises(PortkeyTimeoutError, match=r"no connection .* within 0\.2 s \(connect\)") as caught:
            await asyncio.wait_for(ask(client), 5)

    assert (caught.value.clock, caught.value.seconds, caught.value.retryable) == ("connect", 0.2, True)


async def test_a_slow_gateway_behind_a_proxy_is_not_timed_as_a_connection(server):
    gate = Gate()
    server.reply(Reply(200, SSE, [CHUNK, DONE], hold=gate))
    client = make_client("http://gateway.internal", proxy=server.url, timeout={"connect": 0.1})
    asking = asyncio.create_task(ask(client))
    await asyncio.wrap_future(gate.reached)

    asyncio.get_running_loop().call_later(0.4, gate.open)

    assert await asking == [SAYS_HI]
