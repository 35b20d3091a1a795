"""The requests that an ``httpx.Auth`` makes of one: signed, with a token, or once more after a refusal."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Final, TypeVar

import httpx

from strands_portkey._answer.judgement import Judge
from strands_portkey._errors import PortkeyConfigError, PortkeyConnectionError, PortkeyError
from strands_portkey._http.cancellation import RequestCancelledError, Watch
from strands_portkey._http.failures import to_auth_failure
from strands_portkey._settings.secrets import type_of

T = TypeVar("T")

_MOST_REQUESTS: Final = 20  # As many as httpx sends.
_REFUSAL_BYTES: Final = 65_536  # How much is read of an answer that is followed by another request.


async def send_authenticated(
    first: httpx.Request,
    auth: httpx.Auth,
    send: Callable[[httpx.Request], Awaitable[httpx.Response]],
    watch: Watch,
    judge: Judge,
) -> httpx.Response:
    """Send what an auth makes of a request, and return the last answer.

    httpx would do the same within one wait. Here each step has its own clock: a token that is fetched counts neither as
    connecting nor as the model's answer. And what the auth raises is told from what its requests raise.

    Args:
        first: The request, with all headers and its body.
        auth: The auth.
        send: Sends one request and waits for its answer.
        watch: Ends the other waits when the caller cancels or a clock runs out.
        judge: Learns the headers of all requests.

    Raises:
        PortkeyConfigError: If it replaces another key, or makes no request.
        PortkeyConnectionError: If it fails, or does not come to an end.
    """
    key = first.headers.get("authorization")
    place = _address(first)
    response: httpx.Response | None = None
    number = 0
    flow = auth.async_auth_flow(first)
    try:
        while True:
            number += 1
            try:
                made = await _of_auth(partial(watch.wait, partial(_next, flow, response), "keys"), judge)
                if made is None and response is not None:
                    return response
                request = _allowed(made, number, place, key)
                judge.sent(dict(request.headers))  # A copy: the auth may change the same request once more.
                if response is not None:
                    await watch.wait(partial(_drain, response), "body")
            except BaseException:
                if response is not None:
                    await response.aclose()
                raise
            request.extensions = {**first.extensions, **request.extensions}
            sending = partial(send, request)
            response = await (sending() if _address(request) == place else _of_auth(sending, judge))
    finally:
        with suppress(Exception):  # What it raises while it is closed must not hide why it is.
            await flow.aclose()


def _address(request: httpx.Request) -> tuple[str, str]:
    """Return what tells the requests of a call from those for a token; its query may hold a signature."""
    return request.url.host, request.url.path


async def _of_auth(start: Callable[[], Awaitable[T]], judge: Judge) -> T:
    """Return the result of what the auth does or asks for itself, whose failures are not the gateway's."""
    try:
        return await start()
    except (PortkeyError, RequestCancelledError):
        raise
    except Exception as error:  # noqa: BLE001 - whatever the caller's code raises
        failure = to_auth_failure(error, judge)
    raise failure  # Out here, since the frames of what was raised hold keys.


async def _next(flow: AsyncGenerator[httpx.Request, httpx.Response], response: httpx.Response | None) -> object:
    """Return the next request of an auth; None where the answer to the last one is the answer to all."""
    try:
        return await (anext(flow) if response is None else flow.asend(response))
    except StopAsyncIteration:
        return None


def _allowed(made: object, number: int, place: tuple[str, str], key: str | None) -> httpx.Request:
    """Return a request of an auth, which must leave alone the key that the call's had before."""
    if number > _MOST_REQUESTS:
        raise PortkeyConnectionError(f"client_args['auth'] must end after {_MOST_REQUESTS} requests; it did not")
    if not isinstance(made, httpx.Request):
        raise PortkeyConfigError(f"client_args['auth'] must yield an httpx.Request; got {type_of(made)}")
    if key is not None and _address(made) == place and made.headers.get("authorization") != key:
        raise PortkeyConfigError(
            "client_args['auth'] must leave alone an Authorization that the settings give; it replaced that key",
            hint="give the provider's key in client_args['config']: {'provider': 'openai', 'api_key': 'sk-...'}",
        )
    return made


async def _drain(response: httpx.Response) -> None:
    """Read an answer to its end, so that its connection can carry the next request; give up one that is long."""
    size = 0
    if not (response.is_closed or response.is_stream_consumed):  # The auth may have read some of it.
        async for piece in response.aiter_raw():
            size += len(piece)
            if size > _REFUSAL_BYTES:
                break
    await response.aclose()
