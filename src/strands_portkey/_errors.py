"""Every way a call can fail.

Each class says when it happens; all are caught as the first one.

    PortkeyError
     +- PortkeyConfigError             a setting is wrong; nothing was sent (also ValueError)
     +- PortkeyConnectionError         the gateway was not reached, or hung up before it answered
     |   +- PortkeyTimeoutError        one of our own clocks ran out
     +- PortkeyStreamError             the answer broke off, or is not what the protocol allows
     +- PortkeyAPIError                the gateway or the provider said no
         +- PortkeyThrottledError      too many requests (also ModelThrottledException)
         +- PortkeyContextOverflowError  too long for the model (also ContextWindowOverflowException)
         +- PortkeyGuardrailError      a guardrail denied the request or the answer (446)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import JsonValue
from strands.types.exceptions import ContextWindowOverflowException, ModelThrottledException

Origin = Literal["gateway", "provider", "network"]
"""Who failed: the gateway itself, the provider behind it, or the network between."""


class PortkeyError(Exception):
    """Base of all errors of this package."""

    origin: Origin | None
    """Who failed, or None where that is the caller."""
    status_code: int | None
    """HTTP status of the answer, if one came."""
    code: str | None
    """Error code as the provider or the gateway gave it."""
    trace_id: str | None
    """The gateway's trace id, if it gave one."""
    received: int
    """Number of chunks of the answer that had come before the failure."""
    hint: str | None
    """What to do about it, where that is known."""
    retryable: bool
    """Whether the same request may succeed later."""

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


class PortkeyConfigError(PortkeyError, ValueError):
    """A setting or a content block cannot be sent. Found before anything is sent."""


class PortkeyConnectionError(PortkeyError):
    """The gateway was not reached, or hung up before it answered."""


class PortkeyTimeoutError(PortkeyConnectionError):
    """One of the clocks of `client_args["timeout"]` ran out."""

    clock: str
    """``"connect"``, ``"first_byte"``, ``"idle"`` or ``"total"``."""
    seconds: float
    """What that clock was set to; 0 where an `http_client` of your own has run out of its time."""

    def __init__(self, message: str, *, clock: str = "", seconds: float = 0, received: int = 0) -> None:
        """Initialize the error with the clock that ran out."""
        super().__init__(message, origin="network", received=received, retryable=True)
        self.clock = clock
        self.seconds = seconds


class PortkeyStreamError(PortkeyError):
    """The answer broke off, or is not what the protocol allows.

    The gateway ends a stream with a clean close when its upstream dies, so an answer without a finish
    reason counts as broken.
    """


class PortkeyAPIError(PortkeyError):
    """The gateway or the provider answered with an error."""

    type: str | None
    """Error type as the provider gave it."""
    param: str | None
    """The parameter the provider complains of."""
    provider: str | None
    """The provider that answered."""
    body: str
    """The answer's body as text, shortened to 4,000 characters."""
    retry_after: float | None
    """Seconds to wait, as the answer's headers say."""

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
        """Initialize the error with what the answer said."""
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
    """Too many requests or an overloaded model: by status (429, 529), code or words. Strands retries it.

    Not raised once output has begun, nor where a quota is used up: these are a plain `PortkeyAPIError`.
    """


class PortkeyContextOverflowError(PortkeyAPIError, ContextWindowOverflowException):
    """The conversation is too long for the model. Strands reduces the context and tries again."""


class PortkeyGuardrailError(PortkeyAPIError):
    """A guardrail with ``deny`` failed: status 446."""

    denial: str = ""
    """The gateway's words alone, as they can stand in a conversation."""
    hook_results: Mapping[str, JsonValue] | None = None
    """The gateway's verdicts, as it sent them."""
