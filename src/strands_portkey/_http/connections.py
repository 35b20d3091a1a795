"""The connections to the gateway, kept by event loop.

A connection belongs to the event loop that made it, and Strands runs each synchronous call in a loop of its own. So
idle connections are kept by loop, one to a client: httpx's own pool walks all of its connections for every request.
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
from http.cookiejar import CookieJar, DefaultCookiePolicy
from operator import attrgetter
from pathlib import Path
from typing import Final, Protocol, TypeVar
from urllib.request import getproxies
from weakref import WeakValueDictionary

import httpx

from strands_portkey._errors import PortkeyConfigError
from strands_portkey._settings.config import Endpoint
from strands_portkey._settings.secrets import Masked

T = TypeVar("T")

PROXY_SETTING: Final = "client_args['proxy'], or HTTP_PROXY, HTTPS_PROXY, ALL_PROXY or NO_PROXY of the environment,"

_KEEPALIVE: Final = 4.0  # Seconds that an idle connection is kept: the gateway closes it after 5.


class Client(httpx.AsyncClient):
    """A client with one connection.

    Attributes:
        home: The clients of its event loop.
    """

    home: LoopClients


class Connections:
    """Clients with one connection each, by event loop; of the idle ones the one used last is taken first."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        # By process and loop, and weak: connections refer to their loop, which nothing of ours may keep alive.
        self._loops = WeakValueDictionary[tuple[int, int], LoopClients]()

    def __reduce__(self) -> tuple[type[Connections], tuple[Endpoint]]:
        """Let a copy of the model, also in another process, begin without connections."""
        return Connections, (self._endpoint,)

    async def take(self, *, may_reuse: bool = True) -> tuple[Client, bool]:
        """Return a client, and whether it has been used before."""
        here = await self._here()
        client = here.pop() if may_reuse else None
        return (client, True) if client is not None else (await self.make(), False)

    async def make(self) -> Client:
        """Return a new client."""
        endpoint = self._endpoint
        limits = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=_KEEPALIVE)
        # No cookies: an upstream's would travel from one user's answer into another's request.
        cookies = CookieJar(DefaultCookiePolicy(allowed_domains=()))
        verify = ssl_context(endpoint.verify, endpoint.cert, endpoint.trust_env)
        problem = f"{PROXY_SETTING} must be a URL, in whose password '#' is written %23, '/' %2F and '?' %3F"
        try:
            client: Client | None = Client(
                verify=verify,
                proxy=endpoint.proxy,
                trust_env=endpoint.trust_env,
                http2=endpoint.http2,
                limits=limits,
                cookies=cookies,
            )
        except (AttributeError, ImportError, SyntaxError, ValueError, httpx.InvalidURL) as error:
            problem = module_problem(error) or problem  # What httpx says of a URL quotes it.
            client = None
        if client is None:  # Raised out here, without what httpx has raised.
            raise PortkeyConfigError(problem)
        client.home = await self._here()
        client.home.busy.add(client)
        return client

    async def aclose(self) -> None:
        """Close the idle clients of the running loop."""
        await (await self._here()).close_idle()

    async def _here(self) -> LoopClients:
        """Return the running loop's clients. No lock: a fork could leave it locked for ever."""
        loop = asyncio.get_running_loop()
        key = os.getpid(), id(loop)  # A parent's are left alone: to close them would speak on its connections.
        here = self._loops.get(key)
        if here is None or here.loop is not loop:
            here = self._loops[key] = LoopClients(loop)
        await here.guard_loop()
        return here


class LoopClients:
    """The clients of one event loop, which closes them at its end.

    It is kept alive by what uses it: the loop's timer while a client is idle, the clients while one is busy.

    Attributes:
        loop: The event loop.
        busy: Clients whose answer is being read.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.busy: set[Client] = set()
        self._idle: list[tuple[float, Client]] = []
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
            if self._timer is None:  # Its context is empty: the request's may hold an agent.
                self._timer = self.loop.call_later(_KEEPALIVE, self._expire, context=Context())
        else:
            await asyncio.wait(self._start_closing([client]))

    def _expire(self) -> None:
        """Close what has been idle for too long: the oldest, at the bottom."""
        oldest = self.loop.time() - _KEEPALIVE
        expired = bisect_right(self._idle, oldest, key=lambda kept: kept[0])
        self._start_closing([client for _, client in self._idle[:expired]])
        del self._idle[:expired]
        self._timer = (
            self.loop.call_at(self._idle[0][0] + _KEEPALIVE, self._expire, context=Context()) if self._idle else None
        )

    def _start_closing(self, clients: Collection[Client]) -> list[asyncio.Task[None]]:
        """Close clients in tasks of their own, which go on when whoever waits for them is cancelled."""
        self.busy.update(clients)  # Until they are closed: the loop may end before a task begins.
        tasks = [self.loop.create_task(self._close_one(client)) for client in clients]
        self._closing.update(tasks)
        for task in tasks:
            task.add_done_callback(self._closing.discard)
        return tasks

    async def _close_one(self, client: Client) -> None:
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


# httpcore has no public access to these two.
_CONNECTION: Final[attrgetter[_Connection]] = attrgetter("_stream._httpcore_stream._stream._connection")
_TRAILING_DATA: Final[attrgetter[tuple[bytes, bool]]] = attrgetter("_h11_state.trailing_data")  # True: it has ended.


def is_reusable(response: httpx.Response) -> bool:
    """Return whether the connection of an answer that was read and closed can carry another request.

    Bytes that came after the answer would be taken for the next one. httpcore looks for them in the socket alone; they
    may have been read with the end of the answer. Where they cannot be looked for, the connection is not used again.
    """
    try:
        connection = _CONNECTION(response.stream)
        is_numbered = response.http_version == "HTTP/2"  # Its answers are, and what else comes is for httpcore to read.
        return connection.is_idle() and (
            is_numbered or (_TRAILING_DATA(connection) == (b"", False) and _is_drained(response))
        )
    except AttributeError:
        return False


def _is_drained(response: httpx.Response) -> bool:
    """Return whether TLS, if there is any, holds no more bytes that came, and no end."""
    if response.request.url.scheme == "http":  # To ask the connection takes 10 us.
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
    """Return what to say of a module that cannot be used: it is missing, or another file goes by its name."""
    shadows = [
        f"{name!r} is {module.__file__}"
        for name in ("h2", "hpack", "hyperframe", "socksio")
        if (module := sys.modules.get(name)) and not hasattr(module, "__path__")  # Each of them is a folder.
    ]
    if not (isinstance(error, (ImportError, SyntaxError)) or (shadows and isinstance(error, AttributeError))):
        return None
    found = f"; {' and '.join(shadows)}, which is another module" if shadows else ""
    return f"http2=True needs the package h2, and a SOCKS proxy socksio: {error}{found}"


def find_proxy_headers(proxy: str | None, *, trust_env: bool) -> list[Mapping[str, str]]:
    """Return the header with the password of each proxy that may be used: the given one, else the environment's."""
    urls = [proxy] if proxy else list(getproxies().values()) if trust_env else []
    headers: list[Mapping[str, str]] = []
    for url in urls:
        with suppress(ValueError, httpx.InvalidURL):  # What is no proxy's URL is refused when it is used.
            if auth := httpx.Proxy(url).raw_auth:
                headers.append({"proxy-authorization": Masked(f"Basic {b64encode(b':'.join(auth)).decode()}")})
    return headers


def ssl_context(
    verify: bool | str | ssl.SSLContext,  # noqa: FBT001 - httpx's name and type
    cert: str | tuple[str, ...] | None,
    trust_env: bool,  # noqa: FBT001 - httpx's name and type
) -> ssl.SSLContext:
    """Return the one TLS context for a TLS setting, until one of its files changes: making one takes 20 ms or more.

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
        # An empty password: without any OpenSSL would ask for one on the terminal.
        _load("client_args['cert']", certs[:2], lambda: context.load_cert_chain(certificate, key, password))
    return context


def _load(setting: str, files: Sequence[str], load: Callable[[], T]) -> T:
    try:
        return load()
    except OSError as error:  # An SSLError is one.
        why = error.strerror or str(error)
    shown = [file for file in files if not os.access(file, os.R_OK)] or files
    raise PortkeyConfigError(f"{setting} must name PEM files that can be read; got {' and '.join(shown)}: {why}")
