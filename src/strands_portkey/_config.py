"""The settings of the model and of the way to the gateway, checked before anything is sent."""

from __future__ import annotations

import ipaddress
import os
import re
import warnings
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from ssl import SSLContext
from typing import Final, Literal, Protocol, runtime_checkable
from urllib.parse import urlsplit

from pydantic import ConfigDict, JsonValue, NonNegativeFloat, PositiveInt, TypeAdapter, ValidationError, with_config
from strands.models.model import BaseModelConfig, CacheConfig
from typing_extensions import Required, TypedDict

from ._errors import PortkeyConfigError

HOSTED_BASE_URL: Final = "https://api.portkey.ai/v1"
LOCAL_BASE_URL: Final = "http://localhost:8787/v1"

Text = str | Callable[[], str | Awaitable[str]]
"""A text, or a sync or async function that returns it, called for each request."""

Headers = Mapping[str, str] | Callable[[], Mapping[str, str] | Awaitable[Mapping[str, str]]]
"""Headers, or a sync or async function that returns them, called for each request."""


class Timeouts(TypedDict, total=False):
    """Clocks of a request, in seconds; None stops a clock.

    Attributes:
        connect: To a connection with the gateway. Default 10.
        first_byte: From sending to the first byte of the answer. Default 600, since a model may think for minutes.
        idle: Between two pieces of a stream, comments included. Default 300, as the gateway's own limit.
        total: For the whole request. Default None.
    """

    connect: float | None
    first_byte: float | None
    idle: float | None
    total: float | None


@runtime_checkable
class HttpxTimeout(Protocol):
    """An ``httpx.Timeout``, known by its attributes."""

    connect: float | None
    read: float | None


class ClientArgs(TypedDict, total=False):
    """How to reach the gateway and how it routes; every key is optional.

    A key that is not listed here becomes the header ``x-portkey-<key>``, with dashes for underscores: ``aws_region``,
    ``azure_resource_name``, ``span_id`` and so on. Booleans are sent in lower case, None is left out.
    See https://portkey.ai/docs/api-reference/inference-api/headers.

    Attributes:
        base_url: The gateway, with or without ``/v1``. Default: ``PORTKEY_BASE_URL``; else the hosted gateway where
            there is an API key; else ``http://localhost:8787/v1``.
        api_key: Portkey's key. Default: ``PORTKEY_API_KEY``. The open-source gateway needs none.
        Authorization: The provider's key, in any case; ``Bearer`` is added where no scheme is given.
        provider: Provider behind the gateway, such as ``openai``; ``@slug`` on hosted and enterprise gateways.
        virtual_key: A virtual key of a hosted or enterprise gateway.
        config: Routing: a mapping, its JSON, or the id of a saved config on hosted and enterprise gateways.
        metadata: Facts for logs and conditional routing; a mapping or its JSON.
        trace_id: Groups requests in Portkey's logs.
        custom_host: Base URL of the provider, where it is not the usual one.
        strict_open_ai_compliance: Default False, since the gateway drops reasoning otherwise.
        cache_force_refresh: Whether to pass by the gateway's cache.
        cache_namespace: Keeps cached answers apart, or together in spite of different metadata.
        request_timeout: Milliseconds that the gateway waits for the provider's headers; it then answers 408.
        forward_headers: Names that are sent without prefix and that the gateway passes on to the provider.
        sensitive_headers: Names that the gateway keeps out of its logs.
        headers: Further headers, sent as they are.
        timeout: Our own clocks: `Timeouts`, one number of seconds for all but ``total``, an ``httpx.Timeout``, or
            None for none.
        verify: Whether and how to check the gateway's certificate: a bool, a path to CA certificates, an SSLContext.
        cert: Client certificate: a path, or paths of certificate and key, or these and a password.
        proxy: URL of a proxy. Default: the environment's, if ``trust_env``.
        trust_env: Whether to read proxy and CA variables of the environment. Default True.
        http2: Whether to speak HTTP/2, which needs the package ``h2``. Default False.
        max_event_bytes: Limit for one SSE message or one JSON answer. Default 16 MiB.
    """

    base_url: str | None
    api_key: Text | None
    Authorization: Text | None
    provider: str | None
    virtual_key: str | None
    config: Mapping[str, JsonValue] | str | None
    metadata: Mapping[str, JsonValue] | str | None
    trace_id: str | None
    custom_host: str | None
    strict_open_ai_compliance: bool
    cache_force_refresh: bool
    cache_namespace: str | None
    request_timeout: int | None
    forward_headers: Sequence[str] | str | None
    sensitive_headers: Sequence[str] | str | None
    headers: Headers | None
    timeout: float | Timeouts | HttpxTimeout | None
    verify: bool | str | SSLContext
    cert: str | tuple[str, str] | tuple[str, str, str] | None
    proxy: str | None
    trust_env: bool
    http2: bool
    max_event_bytes: int


class PortkeyConfig(BaseModelConfig, total=False):
    """Configuration of the model: what to ask for, not whom.

    Attributes:
        model_id: The model's id, such as ``gpt-4o``; ``@slug/model`` on hosted and enterprise gateways. Required.
        params: Parameters of the chat completion, put into the request body as they are.
        stream: Whether to stream the answer. Default True. With False the same events come all at once.
        cache_config: Prompt caching of the provider, Strands' own settings.
        upstream: What answers behind the gateway, such as ``anthropic`` or ``gemini``, where `provider`, `config`
            and the model's id do not tell: the body's form depends on it.
        context_window_limit: Size of the model's context window in tokens.
        on_guardrail: What a denial by a guardrail (446) becomes: ``"stop"``, the default, ends the turn with the
            gateway's message and Strands' stop reason ``guardrail_intervened``; ``"raise"`` raises
            `PortkeyGuardrailError`.
        context_overflow_phrases: Regular expressions that tell a context overflow in an error's message, beside
            those that the package knows.
    """

    model_id: Required[str]
    params: Mapping[str, JsonValue] | None
    stream: bool
    cache_config: CacheConfig | None
    upstream: str | None
    on_guardrail: Literal["stop", "raise"]
    context_overflow_phrases: Sequence[str]


@dataclass(frozen=True)
class Clocks:
    """The clocks of a request in seconds; None where one does not run. See `Timeouts`."""

    connect: float | None = 10.0
    first_byte: float | None = 600.0
    idle: float | None = 300.0
    total: float | None = None


@dataclass(frozen=True)
class Endpoint:
    """Where the gateway is and how to connect to it: the checked part of `ClientArgs` that is not routing."""

    base_url: str
    clocks: Clocks
    verify: bool | str | SSLContext
    cert: str | tuple[str, ...] | None
    proxy: str | None
    trust_env: bool
    http2: bool
    max_event_bytes: int


@with_config(ConfigDict(arbitrary_types_allowed=True, strict=True))
class _EndpointArgs(TypedDict, total=False):
    """The keys of `ClientArgs` that are not routing, as pydantic checks them."""

    base_url: str | None
    timeout: NonNegativeFloat | Timeouts | HttpxTimeout | None
    verify: bool | str | SSLContext
    cert: str | tuple[str, ...] | None
    proxy: str | None
    trust_env: bool
    http2: bool
    max_event_bytes: PositiveInt


ENDPOINT_KEYS: Final = frozenset(_EndpointArgs.__annotations__)
_ENDPOINT_ARGS: Final = TypeAdapter(_EndpointArgs)


def split_client_args(client_args: Mapping[str, object]) -> tuple[Endpoint, dict[str, object]]:
    """Part the way to the gateway from the routing behind it, with the environment's defaults.

    Args:
        client_args: What the user gave: see `ClientArgs`.

    Returns:
        The endpoint, and the routing keys as they were given.

    Raises:
        PortkeyConfigError: If a setting of the connection is wrong.
    """
    routing = {key: value for key, value in client_args.items() if key not in ENDPOINT_KEYS}
    if "api_key" not in routing and (api_key := os.environ.get("PORTKEY_API_KEY")):
        routing["api_key"] = api_key
    try:
        args = _ENDPOINT_ARGS.validate_python({key: client_args[key] for key in ENDPOINT_KEYS & client_args.keys()})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        message = f"client_args[{first['loc'][0]!r}] is {first['input']!r}: {first['msg']}"
        raise PortkeyConfigError(message) from None

    default = HOSTED_BASE_URL if routing.get("api_key") else LOCAL_BASE_URL
    base_url = to_base_url(args.get("base_url") or os.environ.get("PORTKEY_BASE_URL") or default)
    _warn_of_plain_text(base_url)
    endpoint = Endpoint(
        base_url=base_url,
        clocks=to_clocks(args["timeout"]) if "timeout" in args else Clocks(),
        verify=args.get("verify", True),
        cert=args.get("cert"),
        proxy=args.get("proxy"),
        trust_env=args.get("trust_env", True),
        http2=args.get("http2", False),
        max_event_bytes=args.get("max_event_bytes", 16 * 2**20),
    )
    return endpoint, routing


def to_base_url(url: str) -> str:
    """Return the gateway's URL with ``/v1`` and without a trailing slash.

    Raises:
        PortkeyConfigError: If it is no http(s) URL of a gateway.
    """
    try:
        parts = urlsplit(url.strip())
        parts.port  # noqa: B018 - raises where the port is no number
    except ValueError as error:
        raise PortkeyConfigError(f"client_args['base_url'] is no URL: {error}") from None
    if parts.username or parts.password:
        raise PortkeyConfigError("client_args['base_url'] holds credentials; pass api_key or Authorization instead")
    path = parts.path.rstrip("/")
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or parts.query
        or parts.fragment
        or path.endswith("/chat/completions")
        or not url.isprintable()
    ):
        message = f"client_args['base_url'] is {url!r}; wanted is the gateway's http(s) URL, such as {LOCAL_BASE_URL!r}"
        raise PortkeyConfigError(message)
    return f"{parts.scheme}://{parts.netloc}{path.removesuffix('/v1')}/v1"


def to_clocks(timeout: float | Timeouts | HttpxTimeout | None) -> Clocks:
    """Return the clocks for a `timeout` in any of its forms."""
    if timeout is None:
        return Clocks(None, None, None, None)
    if isinstance(timeout, HttpxTimeout):
        return Clocks(connect=timeout.connect, first_byte=timeout.read, idle=timeout.read)
    if isinstance(timeout, (int, float)):
        return Clocks(connect=timeout, first_byte=timeout, idle=timeout)
    return Clocks(**timeout)


def check_model_config(model_config: Mapping[str, object]) -> None:
    """Check what was given of a `PortkeyConfig`, and warn of keys that it does not have.

    Raises:
        PortkeyConfigError: If a value cannot be used.
    """
    unknown = model_config.keys() - PortkeyConfig.__annotations__.keys() - BaseModelConfig.__annotations__.keys()
    if unknown:
        known = sorted(PortkeyConfig.__annotations__.keys() | BaseModelConfig.__annotations__.keys())
        warnings.warn(f"unknown configuration keys {sorted(unknown)}; known are {known}", stacklevel=4)
    if "model_id" in model_config:
        model_id = model_config["model_id"]
        if not isinstance(model_id, str) or not model_id.strip():
            raise PortkeyConfigError(f"model_id is {model_id!r}; wanted is a model's id, such as 'gpt-4o'")
    params = model_config.get("params")
    if params is not None and not isinstance(params, Mapping):
        raise PortkeyConfigError(f"params is {params!r}; wanted is a mapping of request parameters")
    if params and params.get("n", 1) != 1:
        raise PortkeyConfigError("params['n'] asks for several answers; a Strands message holds one")
    if not isinstance(stream := model_config.get("stream", True), bool):
        raise PortkeyConfigError(f"stream is {stream!r}; wanted is True or False")
    if (on_guardrail := model_config.get("on_guardrail", "stop")) not in ("stop", "raise"):
        raise PortkeyConfigError(f"on_guardrail is {on_guardrail!r}; wanted is 'stop' or 'raise'")
    phrases = model_config.get("context_overflow_phrases", ())
    if isinstance(phrases, str) or not isinstance(phrases, Collection):
        raise PortkeyConfigError(f"context_overflow_phrases is {phrases!r}; wanted is a list of regular expressions")
    for phrase in phrases:
        try:
            re.compile(phrase)
        except (re.error, TypeError) as error:
            raise PortkeyConfigError(f"context_overflow_phrases holds {phrase!r}: {error}") from None


def _warn_of_plain_text(base_url: str) -> None:
    """Warn where keys would travel a public network in plain text."""
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    try:
        address = ipaddress.ip_address(host)
        private = address.is_private or address.is_loopback
    except ValueError:
        # A name without a dot is a neighbour's, such as a container's.
        private = "." not in host or host.endswith((".localhost", ".local", ".internal", ".svc", ".cluster.local"))
    if parts.scheme == "http" and not private:
        warnings.warn(f"{base_url} is plain http: keys and prompts can be read on the way; use https", stacklevel=5)
