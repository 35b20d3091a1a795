"""Pool of connections to the gateway, one pool for each event loop.

A connection belongs to the event loop that created it, and Strands runs each synchronous call in a new loop. Each
client has a single connection, because httpx's own pool iterates over all of its connections for every request.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import sys
from base64 import b64encode
from bisect import bisect_right
from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from contextvars import Context
from functools import lru_cache
from operator import attrgetter
from pathlib import Path
from typing import Final, Protocol, TypeVar
from urllib.request import getproxies
from weakref import WeakValueDictionary

import httpx
from typing_extensions import override

from strands_portkey._errors import PortkeyConfigError
from strands_portkey._settings.endpoint import Endpoint
from strands_portkey._settings.secrets import Masked

T = TypeVar("T")

PROXY_SETTING: Final = "client_args['proxy'], or HTTP_PROXY, HTTPS_PROXY, ALL_PROXY or NO_PROXY of the environment,"

_KEEPALIVE: Final = 4.0  # Seconds that an idle connection is kept; the gateway closes it after 5.


class _NoCookies(httpx.Cookies):
    """Keeps no cookies: those from one user's answer would be sent with another user's request."""

    @override
    def extract_cookies(self, response: httpx.Response) -> None:
        """Leave them in the answer; httpx would build two objects of urllib to look for them."""


_NO_COOKIES: Final = _NoCookies()


class Client(httpx.AsyncClient):
    """A client with one connection, and without cookies.

    Attributes:
        home: The clients of its event loop.
    """

    home: LoopClients

    @property  # type: ignore[misc] # No one sets them.
    @override
    def cookies(self) -> httpx.Cookies:  # pyright: ignore[reportIncompatibleMethodOverride]
        return _NO_COOKIES


class Connections:
    """Clients with one connection each, by event loop; the idle client that was used last is reused first."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        # By process and loop, and weak: connections refer to their loop, which this object must not keep alive.
        self._loops = WeakValueDictionary[tuple[int, int], LoopClients]()

    def __reduce__(self) -> tuple[type[Connections], tuple[Endpoint]]:
        """Create a copy, also in another process, without connections."""
        return Connections, (self._endpoint,)

    async def take(self, *, may_reuse: bool = True) -> tuple[Client, bool]:
        """Return a client, and whether it has been used before."""
        here = await self._here()
        client = here.pop() if may_reuse else None
        return (client, True) if client is not None else (await self.make(), False)

    async def make(self) -> Client:
        """Return a new client."""
        endpoint = self._endpoint
        # Also checked by httpcore when a connection is reused, since a loop that is blocked runs no timer.
        limits = httpx.Limits(max_connections=1, keepalive_expiry=_KEEPALIVE)
        verify = ssl_context(endpoint.verify, endpoint.cert, endpoint.trust_env)
        problem = f"{PROXY_SETTING} must be a URL, in whose password '#' is written %23, '/' %2F and '?' %3F"
        try:
            client: Client | None = Client(
                verify=verify,
                proxy=endpoint.proxy,
                trust_env=endpoint.trust_env,
                http2=endpoint.http2,
                limits=limits,
            )
        except (AttributeError, ImportError, SyntaxError, ValueError, httpx.InvalidURL) as error:
            problem = module_problem(error) or problem  # The messages of httpx quote the URL.
            client = None
        if client is None:  # Raised outside the handler, so that httpx's exception is not attached.
            raise PortkeyConfigError(problem)
        client.home = await self._here()
        client.home.busy.add(client)
        return client

    async def aclose(self) -> None:
        """Close the idle clients of the running loop."""
        await (await self._here()).close_idle()

    async def _here(self) -> LoopClients:
        """Return the running loop's clients. There is no lock: a fork could leave it locked forever."""
        loop = asyncio.get_running_loop()
        key = os.getpid(), id(loop)  # Those of a parent process stay open: closing them would write to its connections.
        here = self._loops.get(key)
        if here is None or here.loop is not loop:
            here = self._loops[key] = LoopClients(loop)
        await here.guard_loop()
        return here


class LoopClients:
    """The clients of one event loop, closed when the loop shuts down.

    The loop's timer refers to this object while a client is idle, and the clients do while one is busy.

    Attributes:
        loop: The event loop.
        busy: Clients that are in use or being closed, and one that a function of the caller's has made.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.busy: set[httpx.AsyncClient] = set()
        self._idle: list[tuple[float, Client]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._guard: AsyncGenerator[None, None] | None = None

    async def guard_loop(self) -> None:
        """Start a generator that the loop finalizes when it shuts down its async generators."""
        if self._guard is None:
            self._guard = self._close_with_loop()
            await self._guard.__anext__()

    async def _close_with_loop(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            await self.close_idle()
            # A generator that was abandoned when the loop ended has no task left to close its connection.
            self._start_closing(list(self.busy))
            while self._closing:
                await asyncio.wait(self._closing)

    def pop(self) -> Client | None:
        """Take the client that was used last."""
        if not self._idle:
            return None
        _, client = self._idle.pop()
        self.busy.add(client)
        return client

    async def give_back(self, client: Client, *, usable: bool) -> None:
        """Keep a client for the next request, or close it."""
        if usable:
            self.busy.discard(client)
            self._idle.append((self.loop.time(), client))
            if self._timer is None:  # With an empty context, since that of the request may refer to an agent.
                self._timer = self.loop.call_later(_KEEPALIVE, self._expire, context=Context())
        else:
            await self.close(client)

    async def close(self, client: httpx.AsyncClient) -> None:
        """Close a client, also if the task that waits for it is cancelled."""
        await asyncio.wait(self._start_closing([client]))

    def _expire(self) -> None:
        """Close the clients that have been idle for too long, which are the first of the list."""
        oldest = self.loop.time() - _KEEPALIVE
        expired = bisect_right(self._idle, oldest, key=lambda kept: kept[0])
        self._start_closing([client for _, client in self._idle[:expired]])
        del self._idle[:expired]
        self._timer = self.loop.call_at(self._idle[0][0] + _KEEPALIVE, self._expire) if self._idle else None

    def _start_closing(self, clients: Collection[httpx.AsyncClient]) -> list[asyncio.Task[None]]:
        """Close clients in separate tasks, which continue if the task that waits for them is cancelled."""
        self.busy.update(clients)  # Until they are closed, since the loop may end before a task starts.
        tasks = [self.loop.create_task(self._close_one(client)) for client in clients]
        self._closing.update(tasks)
        for task in tasks:
            task.add_done_callback(self._closing.discard)
        return tasks

    async def _close_one(self, client: httpx.AsyncClient) -> None:
        await client.aclose()
        self.busy.discard(client)

    async def close_idle(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        idle = [client for _, client in self._idle]
        self._idle.clear()
        if idle:
            await asyncio.wait(self._start_closing(idle))


class _Connection(Protocol):
    def is_idle(self) -> bool: ...


# httpcore has no public API for these two. The bool tells whether the other side has closed the connection.
_CONNECTION: Final[attrgetter[_Connection]] = attrgetter("_stream._httpcore_stream._stream._connection")
_TRAILING_DATA: Final[attrgetter[tuple[bytes, bool]]] = attrgetter("_h11_state.trailing_data")


def is_reusable(response: httpx.Response) -> bool:
    """Return whether the connection of an answer that was read and closed can be used for another request.

    Bytes after the answer would be parsed as the next answer. httpcore checks the socket only, but they may already
    have been read together with the end of the answer. If that cannot be checked, the connection is not reused.
    """
    try:
        connection = _CONNECTION(response.stream)
        is_multiplexed = response.http_version == "HTTP/2"  # Each frame names its request, so httpcore can assign it.
        return connection.is_idle() and (
            is_multiplexed or (_TRAILING_DATA(connection) == (b"", False) and _is_drained(response))
        )
    except AttributeError:
        return False


def _is_drained(response: httpx.Response) -> bool:
    """Return whether TLS, if it is used, has neither unread bytes nor a close notification."""
    if response.request.url.scheme == "http":  # Saves 10 us.
        return True
    tls: ssl.SSLObject = response.extensions["network_stream"].get_extra_info("ssl_object")
    try:
        tls.read(1)
    except ssl.SSLWantReadError:
        return True
    except ssl.SSLError:
        pass
    return False


def module_problem(error: Exception) -> str | None:
    """Return the message for an optional module that is missing, or hidden by another file of its name."""
    shadows = [
        f"{name!r} is {module.__file__}"
        for name in ("h2", "hpack", "hyperframe", "socksio")
        if (module := sys.modules.get(name)) and not hasattr(module, "__path__")  # Each of them is a package.
    ]
    if not (isinstance(error, (ImportError, SyntaxError)) or (shadows and isinstance(error, AttributeError))):
        return None
    found = f"; {' and '.join(shadows)}, which is another module" if shadows else ""
    return f"http2=True needs the package h2, and a SOCKS proxy socksio: {error}{found}"


def find_proxy_headers(proxy: str | None, *, trust_env: bool) -> list[Mapping[str, str]]:
    """Return the header with the password of each possible proxy: of the given one, else of the environment's."""
    urls = [proxy] if proxy else list(getproxies().values()) if trust_env else []
    headers: list[Mapping[str, str]] = []
    for url in urls:
        with suppress(ValueError, httpx.InvalidURL):  # An invalid proxy URL is refused when it is used.
            if auth := httpx.Proxy(url).raw_auth:
                headers.append({"proxy-authorization": Masked(f"Basic {b64encode(b':'.join(auth)).decode()}")})
    return headers


def ssl_context(
    verify: bool | str | ssl.SSLContext,  # noqa: FBT001 - httpx's name and type
    cert: str | tuple[str, ...] | None,
    trust_env: bool,  # noqa: FBT001 - httpx's name and type
) -> ssl.SSLContext:
    """Return a TLS context, cached until one of its files changes: creating one takes 20 ms or more.

    Raises:
        PortkeyConfigError: If a file cannot be read.
    """
    certs = (cert,) if isinstance(cert, str) else cert or ()
    source = ("client_args['verify']", verify)
    if verify is True and trust_env:
        names = ("SSL_CERT_FILE", "SSL_CERT_DIR")
        source = next(((name, place) for name in names if (place := os.environ.get(name))), source)
    files = [Path(file) for file in (source[1], *certs[:2]) if isinstance(file, str)]  # The third is a password.
    return _make_ssl_context(*source, certs, *(file.stat().st_mtime_ns for file in files if file.exists()))


@lru_cache(maxsize=16)
def _make_ssl_context(
    setting: str,
    verify: bool | str | ssl.SSLContext,  # noqa: FBT001 - httpx's name and type
    certs: tuple[str, ...],
    *_changed: int,
) -> ssl.SSLContext:
    if isinstance(verify, ssl.SSLContext):
        context = verify
    elif isinstance(verify, str):
        is_folder = setting == "SSL_CERT_DIR" or Path(verify).is_dir()
        file, folder = (None, verify) if is_folder else (verify, None)
        context = _load(setting, [verify], lambda: ssl.create_default_context(cafile=file, capath=folder))
    else:
        context = httpx.create_ssl_context(verify=verify, trust_env=False)
    if certs:
        certificate, key, password = (*certs, None, "")[:3] if len(certs) == 1 else (*certs, "")[:3]
        # An empty password: without one, OpenSSL would prompt on the terminal.
        _load("client_args['cert']", certs[:2], lambda: context.load_cert_chain(certificate, key, password))
    return context


def _load(setting: str, files: Sequence[str], load: Callable[[], T]) -> T:
    try:
        return load()
    except OSError as error:  # An SSLError is one.
        why = error.strerror or str(error)
    shown = [file for file in files if not os.access(file, os.R_OK)] or files
    raise PortkeyConfigError(f"{setting} must name PEM files that can be read; got {' and '.join(shown)}: {why}")
