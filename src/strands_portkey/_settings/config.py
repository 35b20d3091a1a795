"""Settings of the model and of the connection to the gateway, and their validation.

An invalid setting raises `PortkeyConfigError`, before anything is sent.
"""

from __future__ import annotations

import ipaddress
import json
import math
import os
import re
import warnings
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from ssl import SSLContext
from typing import Annotated, Final, Literal, Protocol, TypeAlias, get_args, runtime_checkable
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    JsonValue,
    NonNegativeFloat,
    PositiveInt,
    TypeAdapter,
    ValidationError,
    with_config,
)
from strands.models.model import BaseModelConfig, CacheConfig
from typing_extensions import NotRequired, Required, TypedDict

from strands_portkey._errors import PortkeyConfigError
from strands_portkey._json import is_list, is_mapping
from strands_portkey._settings.secrets import Masked, is_key_as_name, masked, name_of, type_of
from strands_portkey._settings.upstreams import find_upstreams

HOSTED_BASE_URL: Final = "https://api.portkey.ai/v1"
LOCAL_BASE_URL: Final = "http://localhost:8787/v1"

Text = str | Callable[[], str | Awaitable[str]]
"""A text, or a sync or async function that returns it, called for each call of the model."""

Headers = Mapping[str, str] | Callable[[], Mapping[str, str] | Awaitable[Mapping[str, str]]]
"""Headers, or a sync or async function that returns them, called for each call of the model."""


Api = Literal["auto", "chat", "responses", "messages"]
"""Which of the gateway's protocols is used: see `PortkeyConfig`."""


@with_config(ConfigDict(extra="forbid", strict=True))
class Timeouts(TypedDict, total=False):
    """Timeouts of a request, in seconds; None means no limit."""

    connect: float | None
    """For connecting to the gateway, including TLS and a proxy's answer. Default 10."""
    first_byte: float | None
    """For the first byte of the answer, including the time to connect. Default 600, since a model may think for
    minutes. The same limit applies separately to the functions in `client_args`, and to the whole body of an answer
    that is not a stream.
    """
    idle: float | None
    """Between two pieces of a body, including SSE comments. Default 300, like the gateway's own limit."""
    stall: float | None
    """Between two pieces of a stream that say something: comments and empty chunks do not count. Default 600, or
    ``idle`` if that is longer.
    """
    total: float | None
    """For the whole call, retries and the waits before them included. Default None."""


@runtime_checkable
class HttpxTimeout(Protocol):
    """An ``httpx.Timeout``, recognized by its attributes."""

    connect: float | None
    read: float | None


class ClientArgs(TypedDict, total=False):
    """How to connect to the gateway and how it routes requests; every key is optional.

    A key that is not listed here becomes the header ``x-portkey-<key>``, with dashes for underscores: ``aws_region``,
    ``azure_resource_name``, ``span_id`` and so on. Booleans are sent in lower case, lists and mappings as JSON; None
    and blank text are left out. In a key, case is ignored, and ``_`` and ``-`` are the same.
    See https://portkey.ai/docs/api-reference/inference-api/headers.
    """

    base_url: str | None
    """The gateway's URL, with or without ``/v1``. Default: ``PORTKEY_BASE_URL``; else the hosted gateway if there is an
    API key; else ``http://localhost:8787/v1``.
    """
    api_key: Text | None
    """Portkey's key. Default: ``PORTKEY_API_KEY``. The open-source gateway needs none. Text, or a sync or async
    function that is called for each call of the model, but not for its retries, and once more after a 401.
    """
    Authorization: Text | None
    """The provider's key, as text or a function; ``Bearer`` is added if no scheme is given."""
    provider: str | None
    """Provider behind the gateway, such as ``openai``; ``@slug`` on hosted and enterprise gateways."""
    virtual_key: str | None
    """A virtual key of a hosted or enterprise gateway."""
    config: Mapping[str, JsonValue] | str | None
    """Routing: a mapping, its JSON, or the id of a saved config on hosted and enterprise gateways."""
    metadata: Mapping[str, JsonValue] | str | None
    """Metadata for logs and conditional routing; a mapping or its JSON."""
    trace_id: str | None
    """Groups requests in Portkey's logs."""
    custom_host: str | None
    """Base URL of the provider, if it is not the default one."""
    strict_open_ai_compliance: bool
    """Whether answers keep strictly to OpenAI's format. Default False, since the gateway otherwise drops reasoning."""
    cache_force_refresh: bool
    """Whether to bypass the gateway's cache."""
    cache_namespace: str | None
    """Separates cached answers, or shares them despite different metadata."""
    request_timeout: int | None
    """Milliseconds that the gateway waits for the provider's headers; it then answers 408."""
    forward_headers: Sequence[str] | str | None
    """Names of headers that are sent without prefix and that the gateway passes on to the provider."""
    sensitive_headers: Sequence[str] | str | None
    """Names of headers that the gateway leaves out of its logs."""
    headers: Headers | None
    """Further headers, sent unchanged: a mapping, or a function that returns one. They override settings."""
    timeout: float | Timeouts | HttpxTimeout | None
    """The client's timeouts: `Timeouts`, one number of seconds for the first three of these, an ``httpx.Timeout``, or
    None for no limits.
    """
    verify: bool | str | SSLContext
    """Whether and how to verify the gateway's certificate: a bool, a path to CA certificates, or an SSLContext."""
    cert: str | tuple[str, str] | tuple[str, str, str] | None
    """Client certificate: a path; paths of certificate and key; or both paths and a password."""
    proxy: str | None
    """URL of a proxy. Default: that of the environment, if ``trust_env``."""
    trust_env: bool
    """Whether to read proxy and CA variables of the environment. Default True."""
    http2: bool
    """Whether to use HTTP/2, which needs the package ``h2``. Default False."""
    max_retries: int
    """How often a request is sent again after a failure that may pass, from 0 to 10. Default 2. Only as long as no
    content has come: failed connections, 408, 409, 5xx, a stream that fails or ends too early, and a throttle that asks
    for at most 60 s. What the gateway has retried itself is not sent again.
    """
    max_event_bytes: int
    """Limit for one SSE message or one JSON answer. Default 16 MiB."""


class PortkeyConfig(BaseModelConfig, total=False):
    """Configuration of the model and its requests; routing belongs in `ClientArgs`."""

    model_id: Required[str]
    """The model's id, such as ``gpt-4o``; ``@slug/model`` on hosted and enterprise gateways. Required."""
    context_window_limit: int | None
    """Size of the model's context window in tokens. Default: the value in Strands' table of models."""
    params: Mapping[str, JsonValue] | None
    """Parameters of the request in the words of chat completions, put into the body unchanged. Not ``messages``,
    ``model``, or ``n`` other than 1. On other protocols they are translated, the protocol's own words pass as they are,
    and a word without a counterpart raises. See https://portkey.ai/docs/api-reference/inference-api/chat.
    """
    stream: bool
    """Whether to stream the answer. Default True. With False the same events are yielded all at once."""
    cache_config: CacheConfig | None
    """Strands' settings for prompt caching by the provider."""
    upstream: str | None
    """What answers behind the gateway, such as ``anthropic`` or ``gemini``. The form of the request body depends on it.
    Default: found from `config`, `provider`, those who have answered before, and the model's id; a first request in
    another form than the upstream takes is sent once more.
    """
    api: Api
    """The gateway's protocol that requests are sent with: ``"chat"`` for chat completions, ``"responses"`` for OpenAI's
    Responses, ``"messages"`` for Anthropic's Messages. Default ``"auto"``: chat, save where it is certain who answers
    and chat would refuse or spoil the request. That is Responses for OpenAI's models that take tools only there, unless
    guardrails are asked for or `custom_host` is neither OpenAI's nor Azure's, and Messages for Claude that thinks and
    has tools. It is decided before anything is sent, never after an error.
    """
    on_guardrail: Literal["stop", "raise"]
    """How a denial by a guardrail (446) is handled: ``"stop"``, the default, ends the turn with the gateway's message
    and Strands' stop reason ``guardrail_intervened``; ``"raise"`` raises `PortkeyGuardrailError`.
    """
    tracing: bool
    """Whether to send trace ids that connect an agent's requests, and the context of the current OpenTelemetry span.
    Default True. A `trace_id` in `client_args` takes precedence; if it is None, no trace id is sent.
    """
    thinking_tags: bool
    """Whether what an answer begins with between ``<think>`` and ``</think>`` is reasoning, not text. Default: True,
    save for providers whose API has another place for it, such as OpenAI at its own address, Anthropic and Gemini.
    """
    native_token_count: bool
    """Whether `count_tokens` asks Claude, through the gateway's ``/v1/messages/count_tokens``; Strands asks before
    every request. Default False: Strands estimates.
    """
    context_overflow_phrases: Sequence[str]
    """Regular expressions that identify a context overflow in an error's message, besides the built-in ones."""


class PortkeyConfigUpdate(PortkeyConfig, total=False):
    """What `PortkeyModel.update_config` takes: the keys of `PortkeyConfig`, each optional."""

    # Not a subtype, since a required key becomes optional. It only types the arguments of `update_config`.
    model_id: NotRequired[str]  # type: ignore[misc]
    """The model's id."""


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
_SDK_ARGS: Final = frozenset({"default_headers", "default_query", "organization"})
# Arguments of the OpenAI SDK's methods, which do not send them as they are.
_SDK_PARAMS: Final = frozenset({"extra_body", "extra_headers", "extra_query", "timeout"})
_PROXY: Final = re.compile(r"(?i)(https?|socks5h?)://\S+")


def split_client_args(client_args: object) -> tuple[Endpoint, dict[str, object]]:
    """Split `client_args` into the connection to the gateway and the routing, with the environment's defaults.

    Returns:
        The endpoint, and the routing values, unchanged, by keys in lower case with underscores.
    """
    client_args = masked(client_args)
    given = to_settings("client_args", client_args)
    if misplaced := sorted(given.keys() & PortkeyConfig.__annotations__.keys()):
        raise PortkeyConfigError(f"client_args must not hold arguments of PortkeyModel; got {misplaced}")
    routing = {name: value for name, value in given.items() if name not in ENDPOINT_KEYS}
    if "api_key" not in routing and (api_key := _environment("PORTKEY_API_KEY")):
        routing["api_key"] = api_key
    args = _endpoint_args({name: value for name, value in given.items() if name in ENDPOINT_KEYS})
    if (proxy := args.get("proxy")) is not None and not _PROXY.fullmatch(proxy):
        raise PortkeyConfigError(f"client_args['proxy'] must be {_WANTED['proxy']}; got another text")
    key = routing.get("api_key")
    has_key = bool(key.strip() if isinstance(key, str) else key)
    base_url = args.get("base_url")
    if base_url is None:
        base_url = _environment("PORTKEY_BASE_URL") or (HOSTED_BASE_URL if has_key else LOCAL_BASE_URL)
    base_url = to_base_url(base_url)
    if _is_public_plain_http(base_url):
        message = f"{base_url} is plain http: keys and prompts are sent unencrypted; use https"
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
    )
    return endpoint, routing


def to_settings(where: str, given: object) -> dict[str, object]:
    """Return settings by the names that `ClientArgs` uses."""
    if not is_mapping(given):
        raise PortkeyConfigError(f"{where} must be a mapping of settings; got {type_of(given)}")
    settings: dict[str, object] = {}
    for spelling, value in given.items():
        if not isinstance(spelling, str) or is_key_as_name(spelling):
            raise PortkeyConfigError(f"{where} must have names of settings; got {name_of(spelling)}")
        name = to_setting(spelling)
        if name in settings:
            raise PortkeyConfigError(
                f"{where} must hold each setting once; got {name_of(name)} twice, also as {name_of(spelling)}"
            )
        settings[name] = value
    if misplaced := sorted(settings.keys() & _SDK_ARGS):
        hint = "use 'headers' for default_headers"
        raise PortkeyConfigError(f"{where} must not hold arguments of the OpenAI SDK; got {misplaced}", hint=hint)
    return settings


def to_setting(key: str) -> str:
    """Return a key in the spelling of `ClientArgs`: ``X-Portkey-Trace-Id`` and ``trace-id`` become ``trace_id``."""
    return key.lower().replace("-", "_").removeprefix("x_portkey_")


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


def check_model_config(model_config: Mapping[str, object]) -> None:
    """Check the given keys of a `PortkeyConfig`, and warn about unknown keys."""
    model_config = {name: masked(value) for name, value in model_config.items()}
    known = PortkeyConfig.__annotations__.keys()
    if misplaced := sorted(model_config.keys() & ClientArgs.__annotations__.keys()):
        raise PortkeyConfigError(
            f"{', '.join(misplaced)} must be given in client_args; got in the model's configuration"
        )
    if unknown := model_config.keys() - known:
        names = ", ".join(map(name_of, sorted(unknown)))
        message = f"unknown configuration keys {names} are ignored; known are {sorted(known)}"
        warnings.warn(message, stacklevel=3)  # The caller of PortkeyModel() or update_config().
    for key, check in _CHECKS.items():
        if key in model_config and (wanted := check(value := model_config[key])):
            raise PortkeyConfigError(f"{key} must be {wanted}; got {_given(value)}")


def known_config(model_config: Mapping[str, object]) -> dict[str, object]:
    """Return the known keys of a configuration; the others have no effect and may hold a misplaced key."""
    return {name: value for name, value in model_config.items() if name in PortkeyConfig.__annotations__}


def _given(value: object) -> str:
    """Return a value for an error message: only its type, unless it is None, a bool or a number, which hold no key."""
    if is_list(value):
        return f"{type_of(value)} of {', '.join(sorted(set(map(type_of, value)))) or 'nothing'}"
    return repr(value) if value is None or isinstance(value, (bool, int, float)) else type_of(value)


def _check_params(value: object) -> str | None:
    if value is None:
        return None
    if not is_mapping(value):
        return "a mapping of request parameters"
    if value.get("n", 1) != 1:
        return "without 'n' other than 1, since a Strands message holds one answer"
    if "messages" in value or "model" in value:
        return "without 'messages' (the agent's) and 'model' (model_id)"
    if value.keys() & _SDK_PARAMS:
        return f"without {sorted(_SDK_PARAMS)}, which only the OpenAI SDK supports"
    return None if _is_json_value(value) else "JSON values throughout"


def _is_json_value(value: object) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def _check_upstream(value: object) -> str | None:
    if isinstance(value, str):
        find_upstreams(value, {}, "")  # Raises if the name is unknown.
    elif value is not None:
        return "a provider's name, such as 'anthropic'"
    return None


def _check_phrases(value: object) -> str | None:
    wanted = "a list of regular expressions"
    if not is_list(value):
        return wanted
    try:  # As text only: a compiled pattern has its own flags.
        valid = all(isinstance(phrase, str) and re.compile(phrase) for phrase in value)
    except re.error:
        return wanted
    return None if valid else wanted


def _wants(wanted: str, fits: Callable[[object], bool]) -> Callable[[object], str | None]:
    return lambda value: None if fits(value) else wanted


_BOOL: Final = _wants("True or False", lambda value: isinstance(value, bool))
# Each returns a description of valid values, or None if the value is valid.
_CHECKS: Final[Mapping[str, Callable[[object], str | None]]] = {
    "api": _wants("'auto', 'chat', 'responses' or 'messages'", lambda value: value in get_args(Api)),
    "cache_config": _wants(
        "Strands' CacheConfig, or None", lambda value: value is None or isinstance(value, CacheConfig)
    ),
    "context_overflow_phrases": _check_phrases,
    "context_window_limit": _wants(
        "a positive number of tokens, or None", lambda value: value is None or (type(value) is int and value > 0)
    ),
    "model_id": _wants("a model's id, such as 'gpt-4o'", lambda value: isinstance(value, str) and bool(value.strip())),
    "native_token_count": _BOOL,
    "on_guardrail": _wants("'stop' or 'raise'", lambda value: value in ("stop", "raise")),
    "params": _check_params,
    "stream": _BOOL,
    "thinking_tags": _BOOL,
    "tracing": _BOOL,
    "upstream": _check_upstream,
}


def to_max_retries(where: str, value: object) -> int:
    """Return the number of retries that a setting gives."""
    try:
        return _RETRIES.validate_python(value)
    except ValidationError:
        pass
    # Outside the handler, since what pydantic raised quotes the value.
    raise PortkeyConfigError(f"{where} must be {_WANTED['max_retries']}; got {_given(value)}")


def _endpoint_args(given: Mapping[str, object]) -> _EndpointArgs:
    try:
        return _ENDPOINT_ARGS.validate_python(given)
    except ValidationError as error:
        name = str(error.errors(include_url=False, include_input=False)[0]["loc"][0])
    # Raised outside the handler, since pydantic's exception quotes names.
    raise PortkeyConfigError(f"client_args[{name!r}] must be {_WANTED[name]}; got {_given(given[name])}")


def _environment(name: str) -> str:
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
