"""One gateway, and how a request reaches it."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol, runtime_checkable

import httpx

from strands_portkey._answer.judgement import Judge
from strands_portkey._errors import PortkeyConfigError, PortkeyConnectionError, PortkeyError
from strands_portkey._http.authentication import send_authenticated
from strands_portkey._http.cancellation import Phase, RequestCancelledError, Watch
from strands_portkey._http.connections import Client, Connections, find_proxy_headers
from strands_portkey._http.failures import is_of_a_hook, to_failure
from strands_portkey._http.own import GivenClient, MadeClients, PerLoop, to_own
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

    @property
    def method(self) -> str:
        """Its method in HTTP."""
        return "GET" if self.body is None else "POST"


def _to_clients(http_client: object) -> GivenClient | MadeClients | None:
    if http_client is None:
        return None
    own = to_own("http_client", AsyncClient, http_client)
    return GivenClient(own) if isinstance(own, AsyncClient) else MadeClients(own)


def _to_auth(given: object) -> httpx.Auth | PerLoop[httpx.Auth] | None:
    if given is None:
        return None
    own = to_own("client_args['auth']", httpx.Auth, given)
    return own if isinstance(own, httpx.Auth) else PerLoop(own)


class GatewayClient:
    """Sends requests to one gateway from any event loop or thread.

    Attributes:
        endpoint: The gateway and how to reach it.
        proxy_headers: What proxies are sent of the passwords in their URLs, which their answers may quote.
    """

    def __init__(self, endpoint: Endpoint, http_client: object = None) -> None:
        """Remember how to connect; nothing is opened yet.

        Args:
            endpoint: The gateway and how to reach it.
            http_client: A client of the caller's own, or a function that makes one for each event loop.

        Raises:
            PortkeyConfigError: If `http_client` or the endpoint's `auth` is something else.
        """
        self.endpoint = endpoint
        self.proxy_headers = find_proxy_headers(endpoint.proxy, trust_env=endpoint.trust_env)
        self._connections = Connections(endpoint)
        self._own = _to_clients(http_client)
        self._auth = _to_auth(endpoint.auth)

    async def aclose(self) -> None:
        """Close the idle connections of the running loop."""
        await (self._own or self._connections).aclose()

    async def send(self, request: Request, watch: Watch, judge: Judge) -> tuple[httpx.Response, AsyncClient]:
        """Send a request and return the answer with the client that has it; the judge learns what is added to it.

        Raises:
            StaleConnectionError: If a connection that was kept was dead.
            PortkeyConnectionError: If no answer comes.
        """
        client, is_kept = await (self._own or self._connections).take(may_reuse=request.may_reuse)
        connecting = _Connecting(watch)
        try:
            response = await self._send_by(client, request, connecting, watch, judge)
        except BaseException as error:
            await self.give_back(client, usable=False)
            # An idle connection that the other side has dropped fails at once, and the request with it unread. httpcore
            # reports a failed write only with HTTP/2.
            dropped = isinstance(error.__cause__, (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError))
            if not (is_kept and dropped and connecting.requests <= 1 and watch.now() - connecting.sent_at < _STALE):
                raise
        else:
            if not isinstance(client, Client):  # One of the caller's own adds headers.
                judge.sent(response.request.headers)
            return response, client
        raise StaleConnectionError("a connection that was kept was dead")

    async def give_back(self, client: AsyncClient, *, usable: bool) -> None:
        """End the use of a client: its connection is kept if the answer was read to its end."""
        if isinstance(client, Client):
            await client.home.give_back(client, usable=usable)
        elif isinstance(self._own, MadeClients):
            self._own.give_back(client)

    async def _send_by(
        self, client: AsyncClient, request: Request, connecting: _Connecting, watch: Watch, judge: Judge
    ) -> httpx.Response:
        if client.is_closed:
            raise PortkeyConfigError("http_client must be an open httpx.AsyncClient; got a closed one")
        # An auth takes the place of that of the caller's client, as it does in httpx.
        auth = self._auth.here() if isinstance(self._auth, PerLoop) else self._auth or client.auth
        built: httpx.Request | None = None
        try:
            built = self._build(client, request, connecting)
            phase: Phase = "connect" if "trace" in built.extensions else "first_byte"

            def send(each: httpx.Request) -> Awaitable[httpx.Response]:
                # A redirect could carry keys to another host.
                sending = partial(client.send, each, stream=True, auth=None, follow_redirects=False)
                return watch.wait(sending, phase)

            return await (send(built) if auth is None else send_authenticated(built, auth, send, watch, judge))
        except (PortkeyError, RequestCancelledError):
            raise
        except Exception as error:
            # A hook of the caller's client raised for the status of the answer, which we judge as well.
            if isinstance(error, httpx.HTTPStatusError) and error.request is built:
                return error.response
            if not isinstance(error, httpx.HTTPError) and is_of_a_hook(error):
                raise
            if built is not None:
                judge.sent(built.headers)
            failure = to_failure(error, judge, self.endpoint.base_url, built)
        finally:
            await connecting.close()
        raise failure  # Out here, since the frames of what httpx raised hold keys.

    def _build(self, client: AsyncClient, request: Request, connecting: _Connecting) -> httpx.Request:
        """Build a request, whose connecting is followed unless it is for a client of the caller's own."""
        timeout = httpx.Timeout(None)
        extensions: dict[str, object] = {}
        if isinstance(client, Client):
            extensions = {"trace": connecting.trace}
        elif client.timeout == _DEFAULT_HTTPX_TIMEOUT:
            timeout = httpx.Timeout(None, connect=self.endpoint.clocks.connect, pool=self.endpoint.clocks.connect)
        else:
            timeout = client.timeout
        built = client.build_request(
            request.method,
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

    Attributes:
        requests: How many requests have gone out, those for a token included.
        sent_at: When the last of them did.
    """

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._stream: object = None
        self.requests = 0
        self.sent_at = watch.now()

    async def trace(self, event: str, info: Mapping[str, object]) -> None:
        """End the clock for the connection when the request goes out; CONNECT goes to a proxy, and is part of it."""
        if event.endswith("connect_tcp.complete"):
            self._stream = info["return_value"]
        elif event.endswith("send_request_headers.started") and getattr(info["request"], "method", b"") != b"CONNECT":
            self._stream = None
            self._watch.connected()
            self.requests += 1
            self.sent_at = self._watch.now()

    async def close(self) -> None:
        """Close what did not become a connection: httpcore leaves it open when TLS or a proxy is interrupted."""
        if self._stream is not None and isinstance(self._stream, _NetworkStream):  # To ask a protocol takes long.
            await self._stream.aclose()
