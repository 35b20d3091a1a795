"""The exceptions of this package.

All of them are subclasses of `PortkeyError`.

    PortkeyError
     +- PortkeyConfigError             a setting is wrong; the request was not sent (also ValueError)
     +- PortkeyConnectionError         the connection failed, or the gateway closed it before it answered
     |   +- PortkeyTimeoutError        a timeout expired
     +- PortkeyStreamError             the answer is incomplete or violates the protocol
     +- PortkeyAPIError                the gateway or the provider answered with an error
         +- PortkeyThrottledError      too many requests (also ModelThrottledException)
         +- PortkeyContextOverflowError  too long for the model (also ContextWindowOverflowException)
         +- PortkeyGuardrailError      a guardrail denied the request or the answer (446)
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from pydantic import JsonValue
from strands.types.exceptions import ContextWindowOverflowException, ModelThrottledException
from typing_extensions import override

Clock = Literal["connect", "first_byte", "idle", "stall", "total"]
"""One of the client's timeouts, by its key in `Timeouts`."""

Origin = Literal["gateway", "provider", "network"]
"""Where the failure occurred: in the gateway, at the provider behind it, or in the network."""


class PortkeyError(Exception):
    """Base class of all exceptions of this package."""

    origin: Origin | None
    """Where the failure occurred; None if the caller caused it."""
    status_code: int | None
    """HTTP status of the answer, if there was one."""
    code: str | None
    """Error code of the provider or the gateway, unchanged."""
    trace_id: str | None
    """The gateway's trace id, if it sent one."""
    received: int
    """Number of chunks of the last answer that were received before the failure."""
    hint: str | None
    """How to fix the problem, if that is known."""
    retryable: bool
    """Whether the same request may succeed later. If no content had come, it was already sent again as often as
    `ClientArgs.max_retries` says, unless a timeout or the gateway's own retries were against it.
    """
    attempts: int = 1
    """How many requests were sent before it was raised, its own included; its text says so where there were more."""
    request_id: str | None = None
    """The provider's id of the request, which its support asks for, if the answer had one; its text names it."""
    headers: Mapping[str, str] = MappingProxyType({})
    """Headers of the answer, as `ResponseMetadata.headers`; empty if no answer came."""

    def __init__(
        self,
        message: str,
        *,
        origin: Origin | None = None,
        status_code: int | None = None,
        code: str | None = None,
        trace_id: str | None = None,
        received: int = 0,
        hint: str | None = None,
        retryable: bool = False,
    ) -> None:
        """Initialize the error; every argument but the message is optional."""
        super().__init__(f"{message}\nHint: {hint}" if hint else message)
        self.origin = origin
        self.status_code = status_code
        self.code = code
        self.trace_id = trace_id
        self.received = received
        self.hint = hint
        self.retryable = retryable

    @override
    def __str__(self) -> str:
        """Return the message, the hint, the provider's id of the request, and how many were sent if more than one."""
        message = super().__str__()
        if self.request_id:
            message += f"\nRequest id: {self.request_id}"
        return message if self.attempts == 1 else f"{message}\nAttempts: {self.attempts}"


class PortkeyConfigError(PortkeyError, ValueError):
    """A setting or a content block is invalid, so the request was not sent.

    Nothing else was sent before, unless what a function or an ``auth`` in `client_args` gives becomes invalid later.
    """


class PortkeyConnectionError(PortkeyError):
    """The connection to the gateway failed, or the gateway closed it before it answered."""


class PortkeyTimeoutError(PortkeyConnectionError):
    """One of the timeouts in `client_args["timeout"]` expired, or one of your own `http_client`."""

    clock: Clock
    """Which one: its key in `Timeouts`."""
    seconds: float
    """The timeout's value; 0 if it is a timeout of your own `http_client`, save that for connecting."""

    def __init__(self, message: str, *, clock: Clock = "total", seconds: float = 0, received: int = 0) -> None:
        """Initialize the error with the timeout that expired."""
        super().__init__(message, origin="network", received=received, retryable=True)
        self.clock = clock
        self.seconds = seconds


class PortkeyStreamError(PortkeyError):
    """The answer is incomplete, violates the protocol, or does not fit the output model.

    The gateway closes a stream normally when the connection to its upstream is lost, so an answer without a finish
    reason counts as incomplete.
    """


class PortkeyAPIError(PortkeyError):
    """The gateway or the provider answered with an error."""

    type: str | None
    """Error type of the provider, unchanged."""
    param: str | None
    """The parameter that the provider names as the cause."""
    provider: str | None
    """The provider that answered."""
    body: str
    """The answer's body as text, shortened to 4,000 characters."""
    retry_after: float | None
    """Seconds to wait before another request, from the answer's headers, or else from its words."""

    def __init__(
        self,
        message: str,
        *,
        origin: Origin | None = None,
        status_code: int | None = None,
        code: str | None = None,
        type: str | None = None,  # noqa: A002 - the name that OpenAI's wire and SDK use
        param: str | None = None,
        provider: str | None = None,
        trace_id: str | None = None,
        body: str = "",
        received: int = 0,
        hint: str | None = None,
        retryable: bool = False,
        retry_after: float | None = None,
    ) -> None:
        """Initialize the error with the fields of the answer."""
        super().__init__(
            message,
            origin=origin,
            status_code=status_code,
            code=code,
            trace_id=trace_id,
            received=received,
            hint=hint,
            retryable=retryable,
        )
        self.type = type
        self.param = param
        self.provider = provider
        self.body = body
        self.retry_after = retry_after


class PortkeyThrottledError(PortkeyAPIError, ModelThrottledException):
    """Too many requests or an overloaded model, recognized by status (429, 529), code or message.

    Where the answer asks for at most 60 s, the request is sent again after that time, as often as
    `ClientArgs.max_retries` says. All else is left to Strands' retry strategy.

    Not raised after output has begun, nor when a quota is exhausted: these raise a plain `PortkeyAPIError`.
    """


class PortkeyContextOverflowError(PortkeyAPIError, ContextWindowOverflowException):
    """The conversation is too long for the model. Strands shortens the conversation and tries again."""


class PortkeyGuardrailError(PortkeyAPIError):
    """A guardrail with ``deny`` failed: status 446."""

    denial: str = ""
    """The gateway's message alone, suitable as text of a conversation."""
    hook_results: Mapping[str, JsonValue] | None = None
    """The guardrails' results, as the gateway sent them."""
