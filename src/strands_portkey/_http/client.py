"""One gateway, and how a request reaches it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol, runtime_checkable

import httpx

from strands_portkey._errors import PortkeyConfigError, PortkeyConnectionError, PortkeyError
from strands_portkey._http.cancellation import RequestCancelledError, Watch
from strands_portkey._http.connections import Client, Connections, find_proxy_headers
from strands_portkey._http.failures import is_of_a_hook, to_failure
from strands_portkey._settings.endpoint import Endpoint

AsyncClient = httpx.AsyncClient

_STALE: Final = 1.0  # Seconds within which a stale connection shows itself.
_DEFAULT_HTTPX_TIMEOUT: Final = httpx.Timeout(5.0)


class StaleConnectionError(PortkeyConnectionError):
    """A connection that was kept was dead, and the request on it unread. Never leaves the package."""


@dataclass(frozen=True, repr=False)
class Request:
    """What is sent to the gateway. Its headers hold keys, so its repr shows no fields.

    Attributes:
        path: Where it goes, below the gateway's base URL.
        body: What is posted, or None for a GET.
        headers: Its headers.
        may_reuse: Whether a connection that was kept may carry it.
    """

    path: str
    body: bytes | None
    headers: Mapping[str, str]
    may_reuse: bool = True


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

    async def aclose(self) -> None:
        """Close the idle connections of the running loop."""
        await self._connections.aclose()

    async def send(self, request: Request, watch: Watch) -> tuple[httpx.Response, AsyncClient]:
        """Send a request and return the answer with the client that has it.

        Raises:
            StaleConnectionError: If a connection that was kept was dead.
            PortkeyConnectionError: If no answer comes.
        """
        if self._http_client is not None:
            return await self._send_by(self._http_client, request, watch), self._http_client
        client, is_kept = await self._connections.take(may_reuse=request.may_reuse)
        started = watch.now()
        try:
            return await self._send_by(client, request, watch), client
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

    async def _send_by(self, client: AsyncClient, request: Request, watch: Watch) -> httpx.Response:
        if client.is_closed:
            raise PortkeyConfigError("http_client must be an open httpx.AsyncClient; got a closed one")
        built: httpx.Request | None = None
        connecting = _Connecting(watch)
        try:
            built = self._build(client, request, connecting)
            # A redirect could carry keys to another host.
            sending = partial(client.send, built, stream=True, follow_redirects=False)
            return await watch.wait(sending, "connect" if "trace" in built.extensions else "first_byte")
        except (PortkeyError, RequestCancelledError):
            raise
        except Exception as error:
            # A hook of the caller's client raised for the status of the answer, which we judge as well.
            if isinstance(error, httpx.HTTPStatusError) and error.request is built:
                return error.response
            if not isinstance(error, httpx.HTTPError) and is_of_a_hook(error):
                raise
            sent = request.headers if built is None else built.headers
            failure = to_failure(error, (sent, *self.proxy_headers), self.endpoint.base_url, built)
        finally:
            await connecting.close()
        raise failure  # Out here, since the frames of what httpx raised hold keys.

    def _build(self, client: AsyncClient, request: Request, connecting: _Connecting) -> httpx.Request:
        """Build a request, whose connecting is followed unless it is for a client of the caller's own."""
        timeout = httpx.Timeout(None)
        extensions: dict[str, object] = {}
        if client is not self._http_client:
            extensions = {"trace": connecting.trace}
        elif client.timeout == _DEFAULT_HTTPX_TIMEOUT:
            timeout = httpx.Timeout(None, connect=self.endpoint.clocks.connect, pool=self.endpoint.clocks.connect)
        else:
            timeout = client.timeout
        built = client.build_request(
            "GET" if request.body is None else "POST",
            f"{self.endpoint.base_url}{request.path}",
            content=request.body,
            headers=request.headers,
            timeout=timeout,
            extensions=extensions,
        )
        length = str(len(request.body or b""))
        if built.headers.get("content-length", length) != length:  # h11 would raise an error of its own.
            raise httpx.LocalProtocolError("the header content-length is not the body's length")
        if "transfer-encoding" in built.headers:  # The body would have two lengths: a way to smuggle requests.
            raise httpx.LocalProtocolError("the header transfer-encoding must be absent; the body has its length")
        return built


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
