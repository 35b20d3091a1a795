"""The settings of the model and of the connection to the gateway, as a user gives them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from ssl import SSLContext
from typing import Any, Final, Literal, Protocol, final, runtime_checkable

from pydantic import ConfigDict, JsonValue, with_config
from strands.models.model import CacheConfig
from typing_extensions import Required, TypedDict

from strands_portkey._settings.providers import ProviderArgs, Text

HOSTED_BASE_URL: Final = "https://api.portkey.ai/v1"
LOCAL_BASE_URL: Final = "http://localhost:8787/v1"

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
    ``idle`` if that is longer or None.
    """
    total: float | None
    """For the whole call, retries and the waits before them included. Default None."""


@runtime_checkable
class HttpxTimeout(Protocol):
    """An ``httpx.Timeout``, recognized by its attributes."""

    connect: float | None
    """Seconds for connecting; None means no limit."""
    read: float | None
    """Seconds for each wait for a piece of the answer, likewise."""


class HttpxAuth(Protocol):
    """An ``httpx.Auth``: what signs a request, or fetches a token for it."""

    def async_auth_flow(self, request: Any) -> AsyncGenerator[Any, Any]:  # noqa: ANN401 - httpx's own classes
        """Yield each request that is to be sent, and take the answer to it."""
        ...


class RoutingArgs(TypedDict, total=False):
    """How the gateway routes and logs a request; part of `ClientArgs` and `CallSettings`. Every key is optional."""

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
    config: Mapping[str, object] | str | None
    """Routing: a mapping, its JSON, or the id of a saved config on hosted and enterprise gateways."""
    metadata: Mapping[str, object] | str | None
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
    span_id: str | None
    """Id of the request in a trace of Portkey's logs."""
    span_name: str | None
    """Name of the request in a trace of Portkey's logs."""
    parent_span_id: str | None
    """Id of the span that the request belongs to."""
    debug: bool
    """Whether Portkey logs the bodies of request and answer. Default: what the gateway does."""
    default_input_guardrails: Sequence[object] | str | None
    """Guardrails for each request: a list or its JSON."""
    default_output_guardrails: Sequence[object] | str | None
    """Guardrails for each answer: a list or its JSON."""
    headers: Headers | None
    """Further headers, sent unchanged: a mapping, or a function that returns one. They override settings."""
    default_headers: Mapping[str, str] | None
    """The same in the words of the OpenAI SDK, such as ``createHeaders(...)`` of Portkey's SDK. Those that begin with
    ``x-portkey-`` are settings like those beside them. With a Portkey key among them, `api_key` is the provider's, as
    the OpenAI SDK sends it.
    """
    max_retries: int
    """How often a request is sent again after a failure that may pass, from 0 to 10. Default 2. Only as long as no
    content has come: failed connections, 408, 409, 425, 5xx, a stream that fails or ends too early, and a throttle that
    asks for at most 60 s. Not what the gateway has retried itself, and no timeout but ``connect``.
    """


# TypedDict is named as a base of those below too: the reference would not find their keys otherwise.
class ClientArgs(RoutingArgs, ProviderArgs, TypedDict, total=False):
    """How to connect to the gateway and how it routes requests; every key is optional.

    The keys of `RoutingArgs` and `ProviderArgs` belong to it. Any other key becomes the header ``x-portkey-<key>``
    too, with dashes for underscores, and one that is almost a known one warns; type checkers let it pass in a
    ``dict[str, Any]`` only. Booleans are sent in lower case, lists and mappings as JSON; None and blank text are left
    out. In a key, case is ignored, and ``_`` and ``-`` are the same.
    See https://portkey.ai/docs/api-reference/inference-api/headers.
    """

    base_url: str | None
    """The gateway's URL, with or without ``/v1``. Default: ``PORTKEY_BASE_URL``; else ``PORTKEY_GATEWAY_URL``; else
    the hosted gateway if there is an API key; else ``http://localhost:8787/v1``.
    """
    auth: HttpxAuth | Callable[[], HttpxAuth] | None
    """What authenticates each request to the gateway as it is sent, such as with AWS SigV4 or a short-lived token: an
    ``httpx.Auth``, or a function that makes one, called once for each event loop. It needs a function if it holds locks
    or a client of asyncio. Each of its steps has the time of ``first_byte``. It sees all headers and the body, may send
    further requests, and must not replace an `Authorization` that is set: give the provider's key in a `config` then.
    """
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
    max_event_bytes: int
    """Limit for one SSE message or one JSON answer. Default 16 MiB."""


class RequestConfig(TypedDict, total=False):
    """What to ask for in a request; part of `PortkeyConfig` and `CallSettings`. Every key is optional."""

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
    context_overflow_phrases: Sequence[str]
    """Regular expressions that identify a context overflow in an error's message, in any case, besides the built-in
    ones.
    """


class TokenConfig(TypedDict, total=False):
    """How tokens are counted; part of `PortkeyConfig`. Strands reads these outside of calls."""

    context_window_limit: int | None
    """Size of the model's context window in tokens. Default: the value in Strands' table of models."""
    native_token_count: bool
    """Whether `count_tokens` asks Claude, through the gateway's ``/v1/messages/count_tokens``; Strands asks before
    every request. Default False: Strands estimates.
    """


class PortkeyConfig(RequestConfig, TokenConfig, TypedDict, total=False):
    """Configuration of the model and its requests: the keys of `RequestConfig` and `TokenConfig`, and the model.

    Routing belongs in `ClientArgs`.
    """

    model_id: Required[str]
    """The model's id, such as ``gpt-4o``; ``@slug/model`` on hosted and enterprise gateways. Default:
    ``PORTKEY_MODEL``; one of the two is required.
    """


class PortkeyConfigUpdate(RequestConfig, TokenConfig, TypedDict, total=False):
    """What `PortkeyModel` and its `update_config` take: the keys of `PortkeyConfig`, each optional."""

    model_id: str
    """The model's id."""


class CallSettings(RoutingArgs, ProviderArgs, RequestConfig, TypedDict, total=False):
    """Settings for one invocation of an agent: ``invocation_state["portkey"]``.

    Besides `model_id` these are the keys of `RoutingArgs`, `ProviderArgs` and `RequestConfig`. ``metadata`` and
    ``params`` are merged into the model's; all others replace the model's. What belongs to the connection is fixed for
    a model.
    """

    model_id: str
    """The model's id."""


@final
class UnknownKey:
    """The type of the value of an unknown setting for type checkers: none fits, save one of type ``Any``.

    So ``{"provder": ...}`` as an argument is an error, and a ``dict[str, Any]`` from elsewhere is not.
    """
