"""`client_args["auth"]`: what is signed is what is sent, and clocks, connections and keys hold for all its requests."""

import asyncio
import hashlib
import hmac
import json
import threading
import traceback
from collections.abc import AsyncGenerator, Generator
from typing import Any

import httpx
import pytest
from strands.types.content import Messages

from strands_portkey import (
    PortkeyAPIError,
    PortkeyConfigError,
    PortkeyConnectionError,
    PortkeyError,
    PortkeyModel,
    PortkeyTimeoutError,
)
from tests_integ.upstream import Gate, Reply, Request, Upstream, json_reply, sse_reply

TEXT = b'data: {"choices":[{"delta":{"content":"Hi"},"finish_reason":"stop"}]}\n\n'
SAYS_HI = sse_reply([TEXT, b"data: [DONE]\n\n"])
REFUSAL = json_reply({"error": {"message": "The token has expired"}}, 401)
HELLO: Messages = [{"role": "user", "content": [{"text": "Hello"}]}]
TOKEN = "token-planted-0123456789"  # noqa: S105 - planted
SECRET = b"a secret of the signer"
Flow = AsyncGenerator[httpx.Request, httpx.Response]


class Signing(httpx.Auth):
    """Signs method, path, all headers and the body."""

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["x-amz-security-token"] = TOKEN
        request.headers["x-signature"] = signature(
            request.method, request.url.raw_path.decode(), dict(request.headers), request.content
        )
        yield request


def signature(method: str, path: str, headers: dict[str, str], body: bytes) -> str:
    signed = json.dumps([method, path, sorted(headers.items()), hashlib.sha256(body).hexdigest()])
    return hmac.new(SECRET, signed.encode(), "sha256").hexdigest()


class Refreshing(httpx.Auth):
    """Fetches a token for the first request, and once more after a 401."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.token = ""

    async def async_auth_flow(self, request: httpx.Request) -> Flow:
        for _ in range(2):
            if not self.token:
                answer = yield httpx.Request("POST", self.url, content=b"grant_type=client_credentials")
                await answer.aread()
                self.token = answer.json()["token"]
            request.headers["authorization"] = f"Bearer {self.token}"
            response = yield request
            if response.status_code != 401:
                break
            self.token = ""


def make_model(server: Upstream, auth: object, /, http_client: object = None, **client_args: object) -> PortkeyModel:
    given: dict[str, Any] = {"base_url": server.base_url, "max_retries": 0, "auth": auth, **client_args}
    return PortkeyModel(
        given,
        model_id="gpt-4o",
        http_client=http_client,  # type: ignore[arg-type]
    )


async def ask(model: PortkeyModel, cancel_signal: threading.Event | None = None) -> str:
    events = [event async for event in model.stream(HELLO, cancel_signal=cancel_signal)]
    deltas = [event["contentBlockDelta"]["delta"] for event in events if "contentBlockDelta" in event]
    return "".join(delta.get("text", "") for delta in deltas)


async def error_of(model: PortkeyModel) -> PortkeyError:
    with pytest.raises(PortkeyError) as caught:
        await asyncio.wait_for(ask(model), 5)
    return caught.value


def token_reply(token: str) -> Reply:
    return json_reply({"token": token})


def paths(server: Upstream) -> list[str]:
    return [request.path for request in server.requests]


# -- signing -----------------------------------------------------------------------------------------------------------


def is_signed(request: Request) -> bool:
    headers = {name.lower(): value for name, value in request.headers}
    given = headers.pop("x-signature", "")
    return hmac.compare_digest(given, signature(request.method, request.path, headers, request.body))


@pytest.mark.parametrize("client", [None, lambda: httpx.AsyncClient(params={"own": "a b"}, headers={"x-own": "yes"})])
async def test_each_request_is_signed_as_it_is_sent(server, client):
    server.reply(SAYS_HI, Reply(503), SAYS_HI, json_reply({"data": [{"id": "gpt-4o"}]}))
    model = make_model(server, Signing(), client, Authorization="sk-1234567890", metadata={"a": "b"}, max_retries=1)

    assert await ask(model) == "Hi"
    assert await ask(model) == "Hi"
    assert await model.list_models() == ["gpt-4o"]
    await model.aclose()

    assert [is_signed(request) for request in server.requests] == [True] * 4
    assert {request.header("authorization") for request in server.requests} == {"Bearer sk-1234567890"}


async def test_an_auth_may_want_the_body_and_yield_a_request_of_its_own(server):
    class Copying(httpx.Auth):
        requires_request_body = True

        def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
            headers = {**request.headers, "x-digest": hashlib.sha256(request.content).hexdigest()}
            url = request.url.copy_merge_params({"signature": "1"})
            yield httpx.Request(request.method, url, headers=headers, content=request.content)

    server.reply(SAYS_HI)

    assert await ask(make_model(server, Copying())) == "Hi"

    [request] = server.requests
    assert request.path == "/v1/chat/completions?signature=1"
    assert request.header("x-digest") == hashlib.sha256(request.body).hexdigest()


async def test_an_auth_that_reads_the_answer_leaves_it_whole(server):
    class Reading(httpx.Auth):
        requires_response_body = True

        def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
            response = yield request
            assert TEXT in response.content

    server.reply(SAYS_HI, SAYS_HI)
    model = make_model(server, Reading())

    assert [await ask(model), await ask(model)] == ["Hi", "Hi"]
    assert [request.connection for request in server.requests] == [0, 0]


@pytest.mark.parametrize("reads", [httpx.Response.aiter_bytes, httpx.Response.aiter_raw])
async def test_an_auth_may_read_the_beginning_of_a_refusal(server, reads):
    class Peeking(httpx.Auth):
        async def async_auth_flow(self, request: httpx.Request) -> Flow:
            async for piece in reads((yield request)):
                assert b"expired" in piece
                break
            await (yield request).aread()

    server.reply(REFUSAL, SAYS_HI)

    assert await ask(make_model(server, Peeking())) == "Hi"


async def test_an_auth_of_the_settings_takes_the_place_of_that_of_the_client(server):
    server.script = lambda _: SAYS_HI

    async with httpx.AsyncClient(auth=("user", "password")) as client:
        await ask(make_model(server, Signing(), client))
        await ask(make_model(server, None, client))

    assert [request.header("authorization") for request in server.requests] == [None, "Basic dXNlcjpwYXNzd29yZA=="]


# -- several requests --------------------------------------------------------------------------------------------------


async def test_a_token_is_fetched_and_renewed_over_one_connection(server):
    server.reply(token_reply("old"), SAYS_HI, REFUSAL, token_reply("new"), SAYS_HI, SAYS_HI)
    model = make_model(server, Refreshing(f"{server.url}/token"))

    assert [await ask(model) for _ in range(3)] == ["Hi"] * 3

    chat = "/v1/chat/completions"
    assert paths(server) == ["/token", chat, chat, "/token", chat, chat]
    sent = [request.header("authorization") for request in server.requests if request.path == chat]
    assert sent == ["Bearer old", "Bearer old", "Bearer new", "Bearer new"]
    assert {request.connection for request in server.requests} == {0}
    assert len({request.body for request in server.requests if request.path == chat}) == 1


async def test_a_token_comes_from_another_host(server):
    server.reply(SAYS_HI)
    with Upstream(lambda _: token_reply("new")) as tokens:
        assert await ask(make_model(server, Refreshing(f"{tokens.url}/token"))) == "Hi"

    assert [request.header("authorization") for request in server.requests] == ["Bearer new"]


async def test_a_challenge_is_answered(server):
    challenge = {"www-authenticate": 'Digest realm="r", nonce="n", qop="auth", algorithm=SHA-256'}
    server.reply(Reply(401, challenge, [b"no"]), SAYS_HI)

    assert await ask(make_model(server, httpx.DigestAuth("user", "password"))) == "Hi"

    assert (server.requests[1].header("authorization") or "").startswith('Digest username="user"')


async def test_a_refusal_that_remains_is_the_error(server):
    server.script = lambda request: token_reply("old") if request.path == "/token" else REFUSAL

    error = await error_of(make_model(server, Refreshing(f"{server.url}/token")))

    assert (type(error), error.status_code) == (PortkeyAPIError, 401)
    assert len(server.requests) == 4


async def test_a_refusal_with_a_long_body_is_not_read_to_its_end(server):
    gate = Gate()
    server.reply(token_reply("old"), Reply(401, {}, [b"x" * 65_536] * 3 + [gate]), token_reply("new"), SAYS_HI)

    assert await asyncio.wait_for(ask(make_model(server, Refreshing(f"{server.url}/token"))), 5) == "Hi"

    assert [request.connection for request in server.requests] == [0, 0, 1, 1]


async def test_an_auth_without_an_end_is_ended(server):
    class Endless(httpx.Auth):
        def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
            while True:
                yield request

    server.script = lambda _: REFUSAL

    error = await error_of(make_model(server, Endless(), max_retries=2))

    assert type(error) is PortkeyConnectionError
    assert str(error) == "client_args['auth'] must end after 20 requests; it did not"
    assert len(server.requests) == 20


# -- clocks, cancellation and connections ------------------------------------------------------------------------------


class Waiting(httpx.Auth):
    """Never has its token."""

    def __init__(self) -> None:
        self.is_waiting = asyncio.Event()
        self.ended = False

    async def async_auth_flow(self, request: httpx.Request) -> Flow:
        try:
            self.is_waiting.set()
            await asyncio.Event().wait()
            yield request
        finally:
            self.ended = True


async def test_an_auth_that_waits_for_ever_is_timed_and_not_as_a_connection(server):
    auth = Waiting()

    error = await error_of(make_model(server, auth, timeout={"connect": 0.05, "first_byte": 0.2}))

    assert isinstance(error, PortkeyTimeoutError)
    assert (error.clock, error.seconds, auth.ended) == ("first_byte", 0.2, True)
    assert "a function in client_args, such as one for a key, did not return within 0.2 s" in str(error)


async def test_an_auth_that_takes_longer_than_to_connect_is_waited_for(server):
    class Slow(httpx.Auth):
        async def async_auth_flow(self, request: httpx.Request) -> Flow:
            await asyncio.wait([asyncio.create_task(asyncio.to_thread(threading.Event().wait, 0.4))])
            yield request

    server.reply(SAYS_HI)

    assert await ask(make_model(server, Slow(), timeout={"connect": 0.2})) == "Hi"


@pytest.mark.parametrize("turn", range(4), ids=["token", "call", "second token", "second call"])
async def test_each_request_of_an_auth_has_the_clock_of_the_first_byte(server, turn):
    replies = [token_reply("old"), REFUSAL, token_reply("new"), SAYS_HI]
    replies[turn] = Reply(200, hold=Gate())
    server.reply(*replies)

    error = await error_of(make_model(server, Refreshing(f"{server.url}/token"), timeout={"first_byte": 0.2}))

    assert isinstance(error, PortkeyTimeoutError)
    assert (error.clock, len(server.requests)) == ("first_byte", turn + 1)
    await asyncio.wrap_future(server.gone(0))


async def test_a_refusal_that_does_not_end_is_timed(server):
    server.reply(token_reply("old"), Reply(401, {}, [b"x", Gate()]))

    error = await error_of(make_model(server, Refreshing(f"{server.url}/token"), timeout={"idle": 0.1}))

    assert isinstance(error, PortkeyTimeoutError)
    assert error.clock == "idle"


async def test_the_httpx_default_of_five_seconds_is_not_that_of_a_token(server):
    seen: list[object] = []

    class Looking(Refreshing):
        async def async_auth_flow(self, request: httpx.Request) -> Flow:
            flow = super().async_auth_flow(request)
            made = await anext(flow)
            response = yield made
            seen.append(made.extensions["timeout"])
            yield await flow.asend(response)
            await flow.aclose()

    server.reply(token_reply("new"), SAYS_HI)
    await ask(make_model(server, Looking(f"{server.url}/token")))

    assert seen == [httpx.Timeout(None).as_dict()]


@pytest.mark.parametrize("way", ["signal", "task"])
async def test_a_call_that_is_cancelled_while_the_auth_waits_ends_it(server, way):
    auth = Waiting()
    signal = threading.Event()
    asking = asyncio.create_task(ask(make_model(server, auth), signal))
    await auth.is_waiting.wait()

    if way == "signal":
        signal.set()
        assert await asyncio.wait_for(asking, 1) == ""
    else:
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

    assert (auth.ended, server.requests) == (True, [])


class FailingAtItsEnd(httpx.Auth):
    """Raises when it is closed before its answer has come."""

    async def async_auth_flow(self, request: httpx.Request) -> Flow:
        try:
            yield request
        finally:
            raise LookupError("no lock to give back")


async def test_what_an_auth_raises_while_it_is_closed_does_not_hide_why_it_is(server):
    gate, signal = Gate(), threading.Event()
    server.reply(Reply(None), Reply(hold=gate))
    model = make_model(server, FailingAtItsEnd())

    assert "disconnected without sending a response" in str(await error_of(model))

    asking = asyncio.create_task(ask(model, signal))
    await asyncio.wrap_future(gate.reached)
    signal.set()
    assert await asyncio.wait_for(asking, 5) == ""


async def test_a_connection_that_was_dropped_is_replaced_silently_also_after_a_slow_signature(server, monkeypatch):
    loop = asyncio.get_running_loop()
    now = loop.time

    class Slow(Signing):
        async def async_auth_flow(self, request: httpx.Request) -> Flow:
            late = loop.time() + 2
            monkeypatch.setattr(loop, "time", lambda: max(late, now()))  # As if signing had taken two seconds.
            async for each in super().async_auth_flow(request):
                yield each

    server.reply(SAYS_HI, Reply(None), SAYS_HI)
    model = make_model(server, Slow())

    assert [await ask(model), await ask(model)] == ["Hi", "Hi"]
    assert [request.connection for request in server.requests] == [0, 0, 1]


async def test_a_connection_that_breaks_after_a_token_has_come_over_it_was_not_stale(server):
    server.reply(token_reply("a"), SAYS_HI, REFUSAL, token_reply("b"), Reply(None), SAYS_HI)
    model = make_model(server, Refreshing(f"{server.url}/token"))
    await ask(model)

    error = await error_of(model)

    assert (type(error), error.retryable, len(server.requests)) == (PortkeyConnectionError, True, 5)


class Repeating(httpx.Auth):
    """Sends a request that was refused once more."""

    async def async_auth_flow(self, request: httpx.Request) -> Flow:
        response = yield request
        if response.status_code == 401:
            yield request


async def test_a_connection_that_breaks_after_a_refusal_has_come_over_it_was_not_stale(server):
    server.reply(SAYS_HI, REFUSAL, Reply(None), SAYS_HI)
    model = make_model(server, Repeating())
    await ask(model)

    error = await error_of(model)

    assert (type(error), error.retryable, len(server.requests)) == (PortkeyConnectionError, True, 3)


async def test_a_break_is_retried_with_a_new_signature(server):
    server.reply(Reply(None), SAYS_HI)

    assert await ask(make_model(server, Signing(), max_retries=1)) == "Hi"

    assert [is_signed(request) for request in server.requests] == [True, True]


# -- the provider's key ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["Authorization", "headers"])
async def test_an_auth_may_not_replace_the_key_of_the_provider(server, where):
    key = {"Authorization": "sk-1234567890"} if where == "Authorization" else {"headers": {"authorization": "a-key"}}

    error = await error_of(make_model(server, httpx.BasicAuth("user", "password"), **key))

    assert type(error) is PortkeyConfigError
    assert str(error) == (
        "client_args['auth'] must leave alone an Authorization that the settings give; it replaced that key\n"
        "Hint: give the provider's key in client_args['config']: {'provider': 'openai', 'api_key': 'sk-...'}"
    )
    assert server.requests == []


async def test_an_auth_may_authorize_itself_where_it_fetches_its_token(server):
    class Fetching(httpx.Auth):
        async def async_auth_flow(self, request: httpx.Request) -> Flow:
            response = yield httpx.Request("GET", f"{server.url}/token", headers={"authorization": "Basic eA=="})
            await response.aread()
            request.headers["x-token"] = response.json()["token"]
            yield request

    server.reply(token_reply("new"), SAYS_HI)
    await ask(make_model(server, Fetching(), Authorization="sk-1234567890"))

    authorizations = [request.header("authorization") for request in server.requests]
    assert authorizations == ["Basic eA==", "Bearer sk-1234567890"]
    assert server.requests[1].header("x-token") == "new"


# -- what goes wrong in an auth ----------------------------------------------------------------------------------------


class Failing(httpx.Auth):
    """Raises, before its request or after the answer to it."""

    def __init__(self, error: Exception, *, is_late: bool = False) -> None:
        self.error = error
        self.is_late = is_late

    async def async_auth_flow(self, request: httpx.Request) -> Flow:
        request.headers["x-amz-security-token"] = TOKEN
        if self.is_late:
            yield request
        raise self.error


@pytest.mark.parametrize("is_late", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(
    ("error", "said", "retryable"),
    [
        (KeyError("AWS_ACCESS_KEY_ID"), "KeyError: 'AWS_ACCESS_KEY_ID'", False),
        (PermissionError(13, "Permission denied"), "[Errno 13] Permission denied", True),
        (httpx.ConnectError("All connection attempts failed"), "All connection attempts failed", True),
        (RuntimeError("no token"), "RuntimeError: no token", False),
    ],
    ids=["KeyError", "OSError", "httpx", "RuntimeError"],
)
async def test_what_an_auth_raises_is_the_cause(server, error, said, retryable, is_late):
    server.reply(SAYS_HI)

    failure = await error_of(make_model(server, Failing(error, is_late=is_late)))

    assert (type(failure), str(failure)) == (PortkeyConnectionError, f"client_args['auth'] failed: {said}")
    assert failure.retryable is retryable
    assert (type(failure.__cause__), str(failure.__cause__)) == (type(error), str(error))
    if not isinstance(error, httpx.HTTPError):
        assert failure.__cause__ is error
        assert traceback.extract_tb(failure.__cause__.__traceback__)[-1].name == "async_auth_flow"


async def test_an_error_of_this_package_passes_an_auth(server):
    error = PortkeyConfigError("mine")

    assert await error_of(make_model(server, Failing(error))) is error


async def test_a_failure_to_fetch_a_token_is_not_the_gateways(server):
    with Upstream(lambda _: Reply(None)) as tokens:
        failure = await error_of(make_model(server, Refreshing(f"{tokens.url}/token")))

    assert str(failure) == "client_args['auth'] failed: Server disconnected without sending a response."
    assert (type(failure.__cause__), failure.retryable) == (httpx.RemoteProtocolError, True)
    assert server.requests == []


@pytest.mark.parametrize("made", [None, "request"])
async def test_an_auth_that_yields_no_request_raises(server, made):
    class Wrong(httpx.Auth):
        async def async_auth_flow(self, _):
            if made:
                yield made

    failure = await error_of(make_model(server, Wrong()))

    got = "NoneType" if made is None else "str"
    assert type(failure) is PortkeyConfigError
    assert str(failure) == f"client_args['auth'] must yield an httpx.Request; got {got}"


async def test_an_auth_that_yields_nothing_in_a_plain_generator_raises(server):
    class Empty(httpx.Auth):
        def auth_flow(self, _: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
            yield from ()

    failure = await error_of(make_model(server, Empty()))

    assert type(failure) is PortkeyConnectionError
    assert "StopIteration" in str(failure)


# -- keys --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("client", [None, httpx.AsyncClient], ids=["ours", "made"])
async def test_what_an_auth_has_sent_is_masked_in_what_comes_back(server, client):
    server.reply(json_reply({"error": {"message": f"{TOKEN} and old-token-0123456789 are no content-type"}}, 400))

    class Twice(Signing):
        async def async_auth_flow(self, request: httpx.Request) -> Flow:
            request.headers["authorization"] = "Bearer old-token-0123456789"
            async for each in super().async_auth_flow(request):
                yield each

    model = make_model(server, Twice(), client)
    failure = await error_of(model)
    await model.aclose()

    assert "*** and *** are no content-type" in str(failure)


async def test_a_token_that_was_replaced_is_masked_as_well(server):
    old, new = "old-token-0123456789", "new-token-0123456789"
    refusal = json_reply({"error": {"message": f"{new}, before {old}"}}, 400)
    server.reply(token_reply(old), REFUSAL, token_reply(new), refusal)

    failure = await error_of(make_model(server, Refreshing(f"{server.url}/token")))

    assert "***, before ***" in str(failure)


async def test_a_failure_of_an_auth_shows_no_key_that_it_has_sent(server):
    server.reply(SAYS_HI)

    failure = await error_of(make_model(server, Failing(ValueError(f"{TOKEN} is stale"), is_late=True)))

    assert str(failure) == "client_args['auth'] failed: ValueError: *** is stale"
    assert failure.__cause__ is None
    assert TOKEN not in "".join(traceback.format_exception(failure))


async def test_a_connection_error_shows_no_key_of_an_auth():
    class Bad(httpx.Auth):
        def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
            request.headers["x-amz-security-token"] = f"{TOKEN}\n"
            yield request

    with Upstream() as server:
        failure = await error_of(make_model(server, Bad()))

    assert type(failure) is PortkeyConfigError
    assert TOKEN not in "".join(traceback.format_exception(failure))
