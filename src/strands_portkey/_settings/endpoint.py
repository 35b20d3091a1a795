"""The connection to the gateway: the settings that are not routing, checked."""

from __future__ import annotations

import ipaddress
import math
import os
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from ssl import SSLContext
from typing import Annotated, Final, TypeAlias
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    NonNegativeFloat,
    PositiveInt,
    TypeAdapter,
    ValidationError,
    with_config,
)
from typing_extensions import TypedDict

from strands_portkey._errors import PortkeyConfigError
from strands_portkey._json import is_mapping
from strands_portkey._settings.config import HOSTED_BASE_URL, LOCAL_BASE_URL, HttpxTimeout, Timeouts
from strands_portkey._settings.names import CLIENT_ARGS, check_places, did_you_mean, to_settings
from strands_portkey._settings.secrets import Masked, masked, shown
from strands_portkey._settings.slips import find_slips


@dataclass(frozen=True)
class Clocks:
    """The timeouts of a request in seconds; None means no limit. See `Timeouts`."""

    connect: float | None = 10.0
    first_byte: float | None = 600.0
    idle: float | None = 300.0
    stall: float | None = 600.0
    total: float | None = None


@dataclass(frozen=True)
class Endpoint:
    """The gateway's URL and how to connect to it: the validated keys of `ClientArgs` that are not routing."""

    base_url: str
    clocks: Clocks
    verify: bool | str | SSLContext
    cert: str | tuple[str, ...] | None = field(repr=False)
    proxy: str | None = field(repr=False)
    trust_env: bool
    http2: bool
    max_event_bytes: int
    max_retries: int
    auth: object = field(default=None, repr=False)


# pydantic returns a plain str for a subclass of it.
_MaskedText: TypeAlias = Annotated[str, AfterValidator(Masked)]
_Retries: TypeAlias = Annotated[int, Field(strict=True, ge=0, le=10)]


@with_config(ConfigDict(arbitrary_types_allowed=True, strict=True))
class _EndpointArgs(TypedDict, total=False):
    """The keys of `ClientArgs` that are not routing, as pydantic validates them."""

    base_url: _MaskedText | None
    timeout: NonNegativeFloat | Timeouts | HttpxTimeout | None
    verify: bool | _MaskedText | SSLContext
    cert: _MaskedText | tuple[_MaskedText, ...] | None
    proxy: _MaskedText | None
    trust_env: bool
    http2: bool
    max_event_bytes: PositiveInt
    max_retries: _Retries
    auth: object  # Only `_http` knows the classes of httpx, and checks it.


ENDPOINT_KEYS: Final = frozenset(_EndpointArgs.__annotations__)
_RETRIES: Final[TypeAdapter[int]] = TypeAdapter(_Retries)
_ENDPOINT_ARGS: Final = TypeAdapter(_EndpointArgs)
_WANTED: Final = {
    "base_url": f"the gateway's http(s) URL, such as {LOCAL_BASE_URL!r}",
    "timeout": "seconds, Timeouts (connect, first_byte, idle, stall, total), an httpx.Timeout, or None",
    "verify": "a bool, a path to CA certificates, or an SSLContext",
    "cert": "a path, or a tuple of the paths of certificate and key and perhaps a password",
    "proxy": "the proxy's URL, with http, https, socks5 or socks5h",
    "trust_env": "True or False",
    "http2": "True or False",
    "max_event_bytes": "a positive number of bytes",
    "max_retries": "a whole number from 0 to 10",
}
_CLOCK_NAMES: Final = frozenset(Timeouts.__annotations__)
_PROXY: Final = re.compile(r"(?i)(https?|socks5h?)://\S+")


def split_client_args(client_args: object) -> tuple[Endpoint, dict[str, object]]:
    """Split `client_args` into the connection to the gateway and the routing, with the environment's defaults.

    Returns:
        The endpoint, and the routing values, unchanged, by keys in lower case with underscores.
    """
    client_args = masked(client_args)
    given = to_settings("client_args", client_args)
    check_places("client_args", given, own=CLIENT_ARGS)
    routing = {name: value for name, value in given.items() if name not in ENDPOINT_KEYS}
    if "api_key" not in routing and (api_key := environment("PORTKEY_API_KEY")):
        routing["api_key"] = api_key
    args = _endpoint_args({name: value for name, value in given.items() if name in ENDPOINT_KEYS})
    if (proxy := args.get("proxy")) is not None and not _PROXY.fullmatch(proxy):
        raise PortkeyConfigError(f"client_args['proxy'] must be {_WANTED['proxy']}; got another text")
    key = routing.get("api_key")
    has_key = bool(key.strip() if isinstance(key, str) else key)
    base_url = args.get("base_url")
    found = list(find_slips("client_args", routing, has_key=has_key))
    if base_url is None:
        urls = [url for name in ("PORTKEY_BASE_URL", "PORTKEY_GATEWAY_URL") if (url := environment(name))]
        if len({to_base_url(url) for url in urls}) > 1:
            found.append("PORTKEY_BASE_URL and PORTKEY_GATEWAY_URL differ; PORTKEY_BASE_URL is used")
        base_url = next(iter(urls), HOSTED_BASE_URL if has_key else LOCAL_BASE_URL)
    base_url = to_base_url(base_url)
    if _is_public_plain_http(base_url):
        found.append(f"{base_url} is plain http: keys and prompts are sent unencrypted; use https")
    for message in found:
        warnings.warn(message, stacklevel=3)  # The caller of PortkeyModel().
    endpoint = Endpoint(
        base_url=base_url,
        clocks=to_clocks(args["timeout"]) if "timeout" in args else Clocks(),
        verify=args.get("verify", True),
        cert=args.get("cert"),
        proxy=proxy,
        trust_env=args.get("trust_env", True),
        http2=args.get("http2", False),
        max_event_bytes=args.get("max_event_bytes", 16 * 2**20),
        max_retries=args.get("max_retries", 2),
        auth=args.get("auth"),
    )
    return endpoint, routing


def to_base_url(url: str) -> str:
    """Return the gateway's URL with ``/v1`` and without a trailing slash."""
    if (base_url := _read_base_url(url)) is None:
        # Not quoted, since it may hold a password or be a key.
        hint = "credentials belong in api_key or Authorization" if "@" in url else None
        message = f"client_args['base_url'] must be {_WANTED['base_url']}; got another text"
        raise PortkeyConfigError(message, hint=hint)
    return base_url


def _read_base_url(url: str) -> str | None:
    try:
        parts = urlsplit(url.strip())
        parts.port  # noqa: B018 - raises if the port is not a number
    except ValueError:
        return None
    path = parts.path.rstrip("/")
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or "@" in parts.netloc
        or parts.query
        or parts.fragment
        or path.endswith("/chat/completions")
        or not re.fullmatch(r"[^\s\x00-\x1f\x7f]+", url.strip())
    ):
        return None
    return f"{parts.scheme}://{parts.netloc}{path.removesuffix('/v1')}/v1"


def to_clocks(timeout: float | Timeouts | HttpxTimeout | None) -> Clocks:
    """Return the clocks for a `timeout` in any of its forms."""
    if timeout is None:
        timeout = {"connect": None, "first_byte": None, "idle": None}
    elif isinstance(timeout, HttpxTimeout):
        timeout = {"connect": timeout.connect, "first_byte": timeout.read, "idle": timeout.read}
    elif isinstance(timeout, (int, float)):
        timeout = {"connect": timeout, "first_byte": timeout, "idle": timeout}
    clocks = Clocks(**timeout)
    if "stall" not in timeout and clocks.stall is not None:  # A longer silence is wanted.
        clocks = replace(clocks, stall=None if clocks.idle is None else max(clocks.stall, clocks.idle))
    for seconds in vars(clocks).values():
        if seconds is not None and not 0 <= seconds < math.inf:
            raise PortkeyConfigError(f"client_args['timeout'] must be {_WANTED['timeout']}; got {seconds!r}")
    return clocks


def to_max_retries(where: str, value: object) -> int:
    """Return the number of retries that a setting gives."""
    try:
        return _RETRIES.validate_python(value)
    except ValidationError:
        pass
    # Outside the handler, since what pydantic raised quotes the value.
    raise PortkeyConfigError(f"{where} must be {_WANTED['max_retries']}; got {shown(value)}")


def _endpoint_args(given: Mapping[str, object]) -> _EndpointArgs:
    try:
        return _ENDPOINT_ARGS.validate_python(given)
    except ValidationError as error:
        name = str(error.errors(include_url=False, include_input=False)[0]["loc"][0])
    # Raised outside the handler, since pydantic's exception quotes names.
    value = given[name]
    keys = value if name == "timeout" and is_mapping(value) else ()
    questions = [did_you_mean(key, _CLOCK_NAMES) for key in keys if isinstance(key, str) and key not in _CLOCK_NAMES]
    question = next(filter(None, questions), "")
    raise PortkeyConfigError(f"client_args[{name!r}] must be {_WANTED[name]}; got {shown(value)}{question}")


def environment(name: str) -> str:
    """Return a variable of the environment; an empty text if it is not set or blank."""
    return Masked(os.environ.get(name, "").strip())


def _is_public_plain_http(base_url: str) -> bool:
    """Whether keys would be sent over a public network without encryption."""
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        # A name without a dot is on the same network, such as that of a container.
        private = "." not in host or host.endswith((".localhost", ".local", ".internal", ".svc"))
    else:
        private = address.is_private
    return parts.scheme == "http" and not private
