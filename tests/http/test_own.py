"""A client or an auth of the caller's own, and functions that make these: in which loop, how often, and closed when."""

import asyncio
import copy
import functools
import gc
import os
import pickle
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import httpx
import pytest
from strands import Agent
from strands.types.content import Messages

from strands_portkey import PortkeyConfigError, PortkeyConnectionError, PortkeyModel
from tests_integ.upstream import Gate, Reply, Upstream, sse_reply

SAYS_HI = sse_reply([b'data: {"choices":[{"delta":{"content":"Hi"},"finish_reason":"stop"}]}\n\n', b"data: [DONE]\n\n"])
HELLO: Messages = [{"role": "user", "content": [{"text": "Hello"}]}]
ONE_LOOP = "http_client must be used in one event loop only, since its connections work in no other; got a second one"
CURE = (
    "Hint: give a function that makes a new client, such as http_client=lambda: httpx.AsyncClient(...): it is called "
    "per loop, and agent(...) runs each call in a loop of its own"
)


class Made:
    """A function that makes clients, and what it has made."""

    def __init__(self) -> None:
        self.clients: list[httpx.AsyncClient] = []
        self.loops: list[asyncio.AbstractEventLoop] = []

    def __call__(self) -> httpx.AsyncClient:
        self.loops.append(asyncio.get_running_loop())
        self.clients.append(httpx.AsyncClient(headers={"x-own": "yes"}, timeout=None))  # noqa: S113 - ours hold
        return self.clients[-1]


def make_model(server: Upstream, http_client: object = None, **client_args: object) -> PortkeyModel:
    given: dict[str, Any] = {"base_url": server.base_url, "max_retries": 0, **client_args}
    return PortkeyModel(
        given,
        model_id="gpt-4o",
        http_client=http_client,  # type: ignore[arg-type]
    )


async def ask(model: PortkeyModel, cancel_signal: threading.Event | None = None) -> str:
    events = [event async for event in model.stream(HELLO, cancel_signal=cancel_signal)]
    return "".join(
        event["contentBlockDelta"]["delta"].get("text", "") for event in events if "contentBlockDelta" in event
    )


# -- what is taken -----------------------------------------------------------------------------------------------------


async def make_later() -> httpx.AsyncClient:
    return httpx.AsyncClient()


def sign(request: httpx.Request) -> httpx.Request:
    return request


HTTPX2 = "httpx2 is a fork of httpx with classes of its own: make it with httpx"


def of_httpx2(name: str) -> type:
    """Return a class that says that it is of httpx2, which not each environment has."""
    return type(name, (), {"__module__": "httpx2._client"})


class OwnClient(of_httpx2("AsyncClient")):  # type: ignore[misc]
    """A subclass, in a module of the caller's."""


async def test_a_client_of_the_real_httpx2_is_refused(server):
    httpx2 = pytest.importorskip("httpx2")
    async with httpx2.AsyncClient() as client:
        for given in (client, httpx2.AsyncClient):
            with pytest.raises(PortkeyConfigError, match=HTTPX2):
                await ask(make_model(server, given))


@pytest.mark.parametrize(
    ("given", "got"),
    [
        ("sk-1234567890", "str"),
        (httpx.Client(), "httpx.Client"),
        (of_httpx2("AsyncClient")(), f"httpx2.AsyncClient\nHint: {HTTPX2}"),
        (of_httpx2("Client")(), f"httpx2.Client\nHint: {HTTPX2}"),
        (OwnClient(), f"OwnClient\nHint: {HTTPX2}"),
        (make_later, "an async function, though making one needs no await"),
        (sign, "a function that wants request"),
    ],
    ids=["text", "a sync client", "httpx2", "httpx2, sync", "a subclass of httpx2's", "an async function", "arguments"],
)
def test_another_client_is_refused_at_once(server, given, got):
    with pytest.raises(PortkeyConfigError) as caught:
        make_model(server, given)

    assert str(caught.value) == f"http_client must be an httpx.AsyncClient, or a function that makes one; got {got}"


@pytest.mark.parametrize(
    ("given", "got"),
    [
        ("sk-1234567890", "str"),
        (("user", "sk-1234567890"), "tuple"),
        (of_httpx2("BasicAuth")(), f"httpx2.BasicAuth\nHint: {HTTPX2}"),
        (sign, "a function that wants request"),
        (httpx.BasicAuth, "a function that wants username, password"),
    ],
    ids=["text", "a tuple", "httpx2", "a function of httpx", "a class"],
)
def test_another_auth_is_refused_at_once(server, given, got):
    with pytest.raises(PortkeyConfigError) as caught:
        make_model(server, auth=given)

    wanted = "client_args['auth'] must be an httpx.Auth, or a function that makes one"
    assert str(caught.value) == f"{wanted}; got {got}"
    assert "sk-1234567890" not in repr(vars(caught.value))


@pytest.mark.parametrize(
    ("make", "got"),
    [
        (lambda: None, "NoneType"),
        (httpx.Client, "httpx.Client"),
        (of_httpx2("AsyncClient"), f"httpx2.AsyncClient\nHint: {HTTPX2}"),
        (lambda: asyncio.sleep(0), "coroutine"),
        (dict, "dict"),
    ],
    ids=["nothing", "a sync client", "httpx2", "a coroutine", "a function without a signature"],
)
async def test_a_function_that_makes_something_else_is_refused_when_it_is_called(server, make, got):
    with pytest.raises(PortkeyConfigError) as caught:
        await ask(make_model(server, make))

    wanted = "http_client must be an httpx.AsyncClient, or a function that makes one"
    assert str(caught.value) == f"{wanted}; got a function that makes one of {got}"
    assert server.requests == []


async def test_a_function_that_makes_no_auth_is_refused_when_it_is_called(server):
    model = make_model(server, auth=object)

    with pytest.raises(PortkeyConfigError, match="a function that makes one of object"):
        await ask(model)
    await model.aclose()

    assert server.requests == []


@pytest.mark.parametrize("setting", ["http_client", "auth"])
async def test_an_exception_from_a_function_is_not_converted_and_the_next_call_calls_it_again(server, setting):
    server.reply(SAYS_HI)
    kind = {"http_client": httpx.AsyncClient, "auth": httpx.Auth}[setting]
    results = [LookupError("no such secret"), kind()]

    def make() -> object:
        result = results.pop(0)
        if isinstance(result, Exception):
            raise result
        return result

    model = make_model(server, **{setting: make})
    with pytest.raises(LookupError, match="no such secret"):
        await ask(model)

    assert await ask(model) == "Hi"
    await model.aclose()


async def test_a_closed_client_is_refused(server):
    client = httpx.AsyncClient()
    await client.aclose()

    with pytest.raises(PortkeyConfigError, match=r"must be an open httpx\.AsyncClient; got a closed one$"):
        await ask(make_model(server, client))


def test_a_function_that_makes_one_client_for_all_calls_of_an_agent_is_refused_with_the_cure(server):
    server.script = lambda _: SAYS_HI
    client = httpx.AsyncClient()
    agent = Agent(model=make_model(server, lambda: client), callback_handler=None)
    assert str(agent("Hello")).strip() == "Hi"

    with pytest.raises(PortkeyConfigError) as caught:
        agent("Hello")

    assert str(caught.value) == (
        "http_client must make an open httpx.AsyncClient; got a closed one\n"
        "Hint: let it make a new one each time it is called: each is closed with its event loop"
    )


# -- how often a function is called ------------------------------------------------------------------------------------


async def test_a_function_is_called_once_for_calls_that_begin_at_the_same_time(server):
    server.script = lambda _: SAYS_HI
    made = Made()
    auths: list[httpx.Auth] = []

    def make_auth() -> httpx.Auth:
        auths.append(httpx.Auth())
        return auths[-1]

    model = make_model(server, made, auth=make_auth)
    assert (made.clients, auths) == ([], [])

    assert await asyncio.gather(*[ask(model) for _ in range(200)]) == ["Hi"] * 200
    assert await ask(model) == "Hi"

    assert (len(made.clients), len(auths)) == (1, 1)
    assert {request.header("x-own") for request in server.requests} == {"yes"}
    await model.aclose()


def test_each_loop_has_a_client_that_is_closed_with_it(server):
    server.script = lambda _: SAYS_HI
    made = Made()
    model = make_model(server, made)

    for turn in range(20):
        assert asyncio.run(ask(model)) == "Hi"
        assert (len(made.clients), made.clients[-1].is_closed) == (turn + 1, True)

    assert len(model._client._own._made._made) == 1  # type: ignore[union-attr]
    for request in server.requests:
        server.gone(request.connection).result(1)


def test_an_agent_that_is_called_without_a_loop_may_be_called_again(server):
    server.script = lambda _: SAYS_HI
    agent = Agent(model=make_model(server, httpx.AsyncClient), callback_handler=None)

    assert [str(agent("Hello")).strip() for _ in range(3)] == ["Hi"] * 3


def test_threads_with_loops_of_their_own_have_clients_of_their_own(server):
    server.script = lambda _: SAYS_HI
    made = Made()
    model = make_model(server, made, auth=httpx.Auth)
    answers: list[str] = []
    together = threading.Barrier(8)

    async def ask_together() -> None:
        together.wait()
        answers.extend(await asyncio.gather(*[ask(model) for _ in range(5)]))

    threads = [threading.Thread(target=asyncio.run, args=[ask_together()]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert answers == ["Hi"] * 40
    assert (len(made.clients), len(set(made.loops))) == (8, 8)
    assert all(client.is_closed for client in made.clients)


async def test_a_model_that_is_gone_closes_the_client_that_was_made_for_it(server):
    server.script = lambda _: SAYS_HI
    made = Made()
    await ask(make_model(server, made))

    gc.collect()
    await asyncio.wrap_future(server.gone(0))

    assert made.clients[0].is_closed


async def test_aclose_closes_the_client_that_was_made_and_the_next_call_makes_another(server):
    server.script = lambda _: SAYS_HI
    made = Made()

    async with make_model(server, made) as model:
        await ask(model)
        await ask(model)
    assert [client.is_closed for client in made.clients] == [True]
    await model.aclose()
    await ask(model)
    await model.aclose()

    assert [client.is_closed for client in made.clients] == [True, True]
    assert [request.connection for request in server.requests] == [0, 0, 1]


async def test_aclose_leaves_a_client_open_that_an_answer_is_read_from(server):
    gate = Gate()
    server.reply(sse_reply([*SAYS_HI.pieces[:1], gate, *SAYS_HI.pieces[1:]]))
    made = Made()
    model = make_model(server, made)
    asking = asyncio.create_task(ask(model))
    await asyncio.wrap_future(gate.reached)

    await model.aclose()
    gate.open()

    assert await asking == "Hi"
    assert not made.clients[0].is_closed
    await model.aclose()
    assert made.clients[0].is_closed


async def test_a_client_is_closed_by_aclose_after_calls_that_failed(server):
    server.reply(Reply(None), Reply(500))
    made = Made()
    model = make_model(server, made)

    for _ in range(2):
        with suppress(Exception):
            await ask(model)
    await model.aclose()

    assert made.clients[0].is_closed


async def test_a_client_that_the_caller_has_closed_is_made_anew(server):
    server.script = lambda _: SAYS_HI
    made = Made()
    model = make_model(server, made)

    await ask(model)
    await made.clients[0].aclose()

    assert await ask(model) == "Hi"
    await model.aclose()
    assert [client.is_closed for client in made.clients] == [True, True]


async def test_an_answer_of_a_client_that_the_caller_has_closed_does_not_count_for_the_next(server):
    begun, goes_on = asyncio.Event(), asyncio.Event()
    clients: list[httpx.AsyncClient] = []

    class Body(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            begun.set()
            if len(clients) == 1:
                await goes_on.wait()
            for piece in SAYS_HI.pieces:
                assert isinstance(piece, bytes)
                yield piece

    def make() -> httpx.AsyncClient:
        answer = httpx.MockTransport(lambda _: httpx.Response(200, headers=SAYS_HI.headers, stream=Body()))
        clients.append(httpx.AsyncClient(transport=answer))
        return clients[-1]

    model = make_model(server, make)
    asking = asyncio.create_task(ask(model))
    await begun.wait()
    await clients[0].aclose()

    assert await ask(model) == "Hi"
    goes_on.set()
    assert await asking == "Hi"
    await model.aclose()

    assert [client.is_closed for client in clients] == [True, True]


@pytest.mark.filterwarnings("ignore:.*shutdown_asyncgens:ResourceWarning")  # asyncio's own.
def test_a_loop_that_has_shut_down_its_generators_and_goes_on_gets_another_client(server):
    server.script = lambda _: SAYS_HI
    made = Made()
    model = make_model(server, made)
    loop = asyncio.new_event_loop()
    for _ in range(2):
        loop.run_until_complete(ask(model))
        loop.run_until_complete(loop.shutdown_asyncgens())
    loop.run_until_complete(model.aclose())
    loop.close()

    assert [client.is_closed for client in made.clients] == [True, True]


async def test_what_a_body_raises_while_it_is_closed_spoils_no_answer(server):
    class Body(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            for piece in SAYS_HI.pieces:
                assert isinstance(piece, bytes)
                yield piece

        async def aclose(self) -> None:
            raise LookupError("no pool to give back to")

    answers = httpx.MockTransport(lambda _: httpx.Response(200, headers=SAYS_HI.headers, stream=Body()))

    assert await ask(make_model(server, httpx.AsyncClient(transport=answers))) == "Hi"


# -- a second loop -----------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # Of the connection that the first loop has left open.
def test_a_client_in_a_second_loop_is_refused_with_the_cure(server):
    server.script = lambda _: SAYS_HI
    model = make_model(server, httpx.AsyncClient())
    assert asyncio.run(ask(model)) == "Hi"

    with pytest.raises(PortkeyConnectionError) as caught:
        asyncio.run(ask(model))

    assert (str(caught.value), caught.value.retryable) == (f"{ONE_LOOP}\n{CURE}", False)
    assert len(server.requests) == 1
    del model
    gc.collect()


def test_a_client_that_a_function_gives_to_two_loops_is_refused_with_the_cure(server):
    server.script = lambda _: SAYS_HI
    client = httpx.AsyncClient()
    model = make_model(server, lambda: client)

    async def ask_in_another_loop() -> None:
        await ask(model)
        await asyncio.to_thread(asyncio.run, ask(model))

    with pytest.raises(PortkeyConnectionError, match="a function that makes a new client"):
        asyncio.run(ask_in_another_loop())


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # Of the connection that the first loop has left open.
def test_a_client_whose_connections_are_of_another_loop_is_refused_with_the_cure(server):
    server.script = lambda _: SAYS_HI
    clients = [httpx.AsyncClient()]

    async def use_it() -> None:
        await clients[0].get(server.url)

    asyncio.run(use_it())

    with pytest.raises(PortkeyConnectionError) as caught:
        asyncio.run(ask(make_model(server, clients.pop())))

    assert str(caught.value) == f"{ONE_LOOP}\n{CURE}"
    gc.collect()


class Locked(httpx.Auth):
    """Holds a lock of asyncio, which is of one loop."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()

    async def async_auth_flow(self, request):
        async with self.lock:
            await asyncio.sleep(0)
        yield request


async def ask_twice(model: PortkeyModel) -> tuple[str, str]:
    first, second = await asyncio.gather(ask(model), ask(model))
    return first, second


@pytest.mark.parametrize("is_made", [False, True], ids=["given", "made"])
def test_an_auth_that_holds_a_lock_serves_two_loops_only_where_a_function_makes_it(server, is_made):
    server.script = lambda _: SAYS_HI
    model = make_model(server, auth=Locked if is_made else Locked())
    assert asyncio.run(ask_twice(model)) == ("Hi", "Hi")

    if is_made:
        assert asyncio.run(ask_twice(model)) == ("Hi", "Hi")
    else:
        hint = "give a function that makes it: it is called for each event loop"
        with pytest.raises(PortkeyConnectionError, match="different event loop") as caught:
            asyncio.run(ask_twice(model))
        assert (caught.value.hint, caught.value.retryable) == (hint, False)


# -- calls that end early, forks and copies ----------------------------------------------------------------------------


async def test_a_call_that_is_cancelled_while_the_client_is_made_sends_nothing_and_leaves_it_to_the_next(server):
    server.reply(SAYS_HI)
    signal = threading.Event()
    made = Made()

    def make() -> httpx.AsyncClient:
        signal.set()
        return made()

    model = make_model(server, make)

    assert await ask(model, signal) == ""
    assert server.requests == []
    assert await ask(model) == "Hi"
    assert len(made.clients) == 1
    await model.aclose()


async def test_a_task_that_is_cancelled_while_the_client_is_made_leaves_it_to_the_next(server):
    server.reply(SAYS_HI)
    made = Made()

    def make() -> httpx.AsyncClient:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        return made()

    model = make_model(server, make)
    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(ask(model))

    assert await ask(model) == "Hi"
    assert len(made.clients) == 1
    await model.aclose()
    assert made.clients[0].is_closed


def test_a_forked_process_makes_a_client_of_its_own(server):
    server.script = lambda _: SAYS_HI
    model = make_model(server, Made())

    async def parent() -> None:
        await ask(model)
        if (pid := os.fork()) == 0:
            code = 1
            try:
                thread = threading.Thread(target=lambda: asyncio.run(ask(model)))
                thread.start()
                thread.join()
                code = 0
            finally:
                os._exit(code)
        await asyncio.to_thread(os.waitpid, pid, 0)
        await ask(model)

    asyncio.run(parent())

    assert [request.connection for request in server.requests] == [0, 1, 0]


async def test_a_client_of_the_parent_is_not_used_after_a_fork_in_the_same_loop(server, monkeypatch):
    server.script = lambda _: SAYS_HI
    made = Made()
    model = make_model(server, made)
    await ask(model)

    with monkeypatch.context() as child:
        child.setattr("os.getpid", lambda: -1)
        await ask(model)
        await model.aclose()
    await model.aclose()

    assert [client.is_closed for client in made.clients] == [True, True]


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])  # noqa: S301
async def test_a_copy_of_the_model_makes_a_client_and_an_auth_of_its_own(server, copied: Callable):
    server.script = lambda _: SAYS_HI
    auth = functools.partial(httpx.BasicAuth, "user", "password")
    model = make_model(server, httpx.AsyncClient, auth=auth)
    await ask(model)

    other = copied(model)
    await ask(other)

    assert [request.connection for request in server.requests] == [0, 1]
    assert {request.header("authorization") for request in server.requests} == {"Basic dXNlcjpwYXNzd29yZA=="}
    await model.aclose()
    await other.aclose()
