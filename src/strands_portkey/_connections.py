"""The connections to the gateway, kept by event loop.

A connection belongs to the event loop that made it, and Strands runs each synchronous call in a loop of its own. So
idle connections are kept by loop, one to a client: httpx's own pool walks all of its connections for every request.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from bisect import bisect_right
from collections.abc import AsyncGenerator
from functools import lru_cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import Final

import httpx

from ._config import Endpoint
from ._errors import PortkeyConfigError

_KEEPALIVE: Final = 4.0  # Seconds that an idle connection is kept: the gateway closes it after 5.


class Connections:
    """Clients with one connection each, by event loop; of the idle ones the one used last is taken first."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._loops: dict[tuple[int, asyncio.AbstractEventLoop], _LoopClients] = {}  # By process and loop.

    def __reduce__(self) -> tuple[type[Connections], tuple[Endpoint]]:
        """Let a copy of the model, also in another process, begin without connections."""
        return Connections, (self._endpoint,)

    async def take(self) -> tuple[httpx.AsyncClient, bool]:
        """Return a client, and whether it has been used before."""
        here = await self._here()
        client = here.pop()
        return (client, True) if client is not None else (await self.make(), False)

    async def make(self) -> httpx.AsyncClient:
        """Return a new client."""
        endpoint = self._endpoint
        limits = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=_KEEPALIVE)
        # No cookies: an upstream's would travel from one user's answer into another's request.
        cookies = CookieJar(DefaultCookiePolicy(allowed_domains=()))
        try:
            client = httpx.AsyncClient(
                verify=ssl_context(endpoint.verify, endpoint.cert, endpoint.trust_env),
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

    async def give_back(self, client: httpx.AsyncClient, *, usable: bool) -> None:
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
        pid, loop = os.getpid(), asyncio.get_running_loop()
        # No lock, which a fork could leave locked for ever: each step is atomic, and only its own thread adds a loop.
        for key in list(self._loops):
            if key[0] != pid or key[1].is_closed():  # A parent's are not closed: that would speak on its connections.
                self._loops.pop(key, None)
        here = self._loops.get((pid, loop))
        if here is None:
            here = self._loops[pid, loop] = _LoopClients(loop)
        await here.guard_loop()
        return here


class _LoopClients:
    """The clients of one event loop, which closes them at its end.

    Attributes:
        busy: Clients whose answer is being read.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.busy: set[httpx.AsyncClient] = set()
        self._loop = loop
        self._idle: list[tuple[float, httpx.AsyncClient]] = []
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

    def pop(self) -> httpx.AsyncClient | None:
        """Take the client that was used last."""
        if not self._idle:
            return None
        _, client = self._idle.pop()
        self.busy.add(client)
        return client

    def push(self, client: httpx.AsyncClient) -> None:
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

    async def _close(self, client: httpx.AsyncClient) -> None:
        await client.aclose()
        self.busy.discard(client)

    async def close_idle(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._idle:
            await self._idle.pop()[1].aclose()


def ssl_context(
    verify: bool | str | ssl.SSLContext,  # noqa: FBT001 - httpx's name and type
    cert: str | tuple[str, ...] | None,
    trust_env: bool,  # noqa: FBT001 - httpx's name and type
) -> ssl.SSLContext:
    """Return the one TLS context for a TLS setting, until one of its files changes: making one takes 20 ms or more."""
    certs = (cert,) if isinstance(cert, str) else cert or ()
    files = [Path(file) for file in (verify, *certs[:2]) if isinstance(file, str)]  # The third is a password.
    return _make_ssl_context(verify, certs, trust_env, *(file.stat().st_mtime_ns for file in files if file.exists()))


@lru_cache(maxsize=16)
def _make_ssl_context(
    verify: bool | str | ssl.SSLContext,  # noqa: FBT001 - httpx's name and type
    certs: tuple[str, ...],
    trust_env: bool,  # noqa: FBT001 - httpx's name and type
    *_changed: int,
) -> ssl.SSLContext:
    if isinstance(verify, ssl.SSLContext):
        context = verify
    elif isinstance(verify, str):
        is_folder = Path(verify).is_dir()
        context = ssl.create_default_context(cafile=None if is_folder else verify, capath=verify if is_folder else None)
    else:
        context = httpx.create_ssl_context(verify=verify, trust_env=trust_env)
    if certs:
        context.load_cert_chain(*certs)
    return context
