"""Cancellation and timeouts of a request."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, Literal, TypeVar

from typing_extensions import Self

from strands_portkey._errors import Clock, PortkeyTimeoutError
from strands_portkey._settings.endpoint import Clocks

T = TypeVar("T")

Phase = Literal["keys", "retry", "connect", "first_byte", "stream", "body", "drain"]
"""What a request is waiting for; ``drain`` is the rest of the body after ``[DONE]``."""

_POLL: Final = 0.05  # Seconds between checks of the cancel signal and the timeouts, as in Strands.
_LONGEST_STEP: Final = 2 * _POLL  # Seconds that count between two checks at most.
_DRAIN: Final = 1.0  # Seconds for the rest of the body, such as guardrail results, after [DONE].
# How often a task was asked to cancel; Python 3.10 does not tell.
_cancellations: Final[Callable[[asyncio.Task[object]], int]] = getattr(asyncio.Task, "cancelling", lambda _: 0)
# The timeouts of each phase, besides `total`. `idle` measures the wait for one piece of the body, `stall` that for one
# that says something, the others the whole phase.
_CLOCKS: Final[dict[Phase, tuple[Clock | Literal["drain"], ...]]] = {
    "keys": ("first_byte",),
    "retry": (),
    "connect": ("connect", "first_byte"),
    "first_byte": ("first_byte",),
    "stream": ("idle", "stall"),
    "body": ("idle", "first_byte"),
    "drain": ("drain",),
}
_LATE: Final[dict[str, str]] = {  # By phase, or by the clock itself.
    "keys": "a function in client_args, such as one for a key, did not return within",
    "connect": "there was no connection to the gateway, through the proxy if one is set, within",
    "stall": "nothing but keep-alives came for",
}


class RequestCancelledError(Exception):
    """The caller's cancel signal is set. Callers of the package never see it."""


class DrainTimeoutError(PortkeyTimeoutError):
    """The rest of the body did not end in time after ``[DONE]``. Callers of the package never see it."""


class Watch:
    """Ends a wait when the caller cancels or a timeout expires, for the duration of its ``with`` block.

    It checks every `_POLL` seconds and cancels the waiting task once: a second cancellation would interrupt httpcore
    while it closes the connection. No cancel scope stays open between waits, since Strands may close a generator in
    another task than the one that started it.

    All timeouts except ``total`` use a clock that each check advances by at most `_LONGEST_STEP`. While the caller's
    code blocks the event loop nothing can be read, so that time must not count in full.

    Attributes:
        progress: Returns how much the answer has said so far. It is asked at each check.
    """

    def __init__(self, clocks: Clocks, cancel_signal: threading.Event | None) -> None:
        self._clocks = clocks
        self._signal = cancel_signal
        self.progress: Callable[[], int] = lambda: 0
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[object] | None = None
        self._cause: PortkeyTimeoutError | RequestCancelledError | None = None
        self._phase: Phase = "keys"
        self._phases = self._waits = 0  # Numbers of those begun so far.
        self._counts_at_check = 0, 0, 0
        self._time = self._phase_began = self._wait_began = self._said_at = 0.0
        self._began = self._checked_at = self.now()

    def __enter__(self) -> Self:
        """Start the checks."""
        self._timer = self._loop.call_later(_POLL, self._check)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the checks."""
        self._timer.cancel()

    def now(self) -> float:
        return self._loop.time()

    def connected(self) -> None:
        """End the timeout for the connection; the one for the first byte continues."""
        self._phase = "first_byte"

    async def wait(self, start: Callable[[], Awaitable[T]], phase: Phase) -> T:
        """Return the result of `start()`, unless the signal or a timeout of this phase ends the wait."""
        if known := self._cause:  # A function for a key has suppressed our cancellation.
            raise known
        if self._signal is not None and self._signal.is_set():
            raise RequestCancelledError
        if phase != self._phase:
            self._phase = phase
            self._phases += 1
        self._waits += 1
        self._task = task = asyncio.current_task(self._loop)
        cancelled_before = _cancellations(task) if task is not None else 0
        try:
            return await start()
        except asyncio.CancelledError:
            cause = self._cause
            if cause is None:
                raise
            if sys.version_info >= (3, 11) and task is not None and task.uncancel() > cancelled_before:
                raise  # Other code has cancelled the task as well.
        finally:
            self._task = None
        raise cause  # Outside the handler, since the cancellation's traceback has frames of httpx that hold keys.

    async def sleep(self, seconds: float) -> None:
        """Wait before a retry, unless the signal or the timeout of the whole call ends the wait."""
        await self.wait(partial(asyncio.sleep, seconds), "retry")

    def _check(self) -> None:
        if self._task is not None:
            self._cause = self._find_cause()
            if self._cause is not None:
                self._task.cancel()
                return
        self._timer = self._loop.call_later(_POLL, self._check)

    def _find_cause(self) -> PortkeyTimeoutError | RequestCancelledError | None:
        if self._signal is not None and self._signal.is_set():
            return RequestCancelledError()
        before = self._advance()
        limits: dict[str, float | None] = {**vars(self._clocks), "drain": _DRAIN}
        # Compared with the time of the previous check: what had arrived by then has been read since.
        passed = {
            "idle": before - self._wait_began,
            "stall": before - self._said_at,
            "total": self._checked_at - self._began,
        }
        for clock in (*_CLOCKS[self._phase], "total"):
            limit = limits[clock]
            if limit is not None and passed.get(clock, before - self._phase_began) >= limit:
                message = (
                    f"{_LATE.get(clock) or _LATE.get(self._phase, 'the answer took longer than')} {limit:g} s ({clock})"
                )
                if clock == "drain":
                    return DrainTimeoutError(message)
                return PortkeyTimeoutError(message, clock=clock, seconds=limit)
        return None

    def _advance(self) -> float:
        """Advance the clock, and return its time before that."""
        now, before, (phases, waits, progress) = self.now(), self._time, self._counts_at_check
        self._time += min(now - self._checked_at, _LONGEST_STEP)
        self._checked_at, self._counts_at_check = now, (self._phases, self._waits, self.progress())
        if phases != self._phases:
            self._phase_began = self._time
        if waits != self._waits:
            self._wait_began = self._time
        if (phases, progress) != self._counts_at_check[::2]:
            self._said_at = self._time
        return before
