"""Waits that end when the caller cancels or a clock runs out."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Awaitable, Callable
from typing import Final, Literal, TypeVar

from typing_extensions import Self

from strands_portkey._errors import PortkeyTimeoutError
from strands_portkey._settings.config import Clocks

T = TypeVar("T")

Phase = Literal["keys", "connect", "first_byte", "stream", "body", "drain"]
"""What is waited for; ``drain`` is what follows ``[DONE]``."""

_POLL: Final = 0.05  # Seconds between looks at the cancel signal and the clocks, as Strands' own.
_LONGEST_LOOK: Final = 2 * _POLL  # Seconds that a look counts at most.
_DRAIN: Final = 1.0  # Seconds for the end of the body, and guardrail results, after [DONE].
# The clocks of each phase, beside `total`. Each measures the whole phase, but `idle`: the wait for one piece.
_CLOCKS: Final[dict[Phase, tuple[str, ...]]] = {
    "keys": ("first_byte",),
    "connect": ("connect", "first_byte"),
    "first_byte": ("first_byte",),
    "stream": ("idle",),
    "body": ("idle", "first_byte"),
    "drain": ("drain",),
}
_LATE: Final[dict[Phase, str]] = {
    "keys": "a function in client_args, such as one for a key, did not return within",
    "connect": "there was no connection to the gateway, through the proxy if one is set, within",
}


class RequestCancelledError(Exception):
    """The caller's cancel signal is set. Never leaves the package."""


class Watch:
    """Ends a wait when the caller cancels or a clock runs out, as long as its ``with`` block lasts.

    It looks every `_POLL` seconds and cancels the waiting task once: a second cancellation would interrupt httpcore
    while it closes the connection. No scope is held between waits, since Strands may end a generator from another
    task than the one that began it.

    All clocks except ``total`` use a time of the watch's own. Each look advances it by at most `_LONGEST_LOOK`, so that
    time in which the caller's code blocks the event loop, and nothing can be read, is not counted in full.
    """

    def __init__(self, clocks: Clocks, cancel_signal: threading.Event | None) -> None:
        self._clocks = clocks
        self._signal = cancel_signal
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[object] | None = None
        self._cause: PortkeyTimeoutError | RequestCancelledError | None = None
        self._phase: Phase = "keys"
        self._phases = self._waits = 0  # How many have begun, and had begun at the last look.
        self._counts_at_look = 0, 0
        self._time = self._phase_began = self._wait_began = 0.0
        self._began = self._looked = self.now()

    def __enter__(self) -> Self:
        """Begin to look."""
        self._timer = self._loop.call_later(_POLL, self._look)
        return self

    def __exit__(self, *_: object) -> None:
        """Look no more."""
        self._timer.cancel()

    def now(self) -> float:
        return self._loop.time()

    def connected(self) -> None:
        """End the clock for the connection; the one for the first byte goes on."""
        self._phase = "first_byte"

    async def wait(self, start: Callable[[], Awaitable[T]], phase: Phase) -> T:
        """Return what `start()` gives, unless the signal or a clock of this phase ends the wait."""
        if known := self._cause:  # A function for a key has kept our cancellation to itself.
            raise known
        if self._signal is not None and self._signal.is_set():
            raise RequestCancelledError
        if phase != self._phase:
            self._phase = phase
            self._phases += 1
        self._waits += 1
        self._task = task = asyncio.current_task(self._loop)
        cancelled_before = 0
        if sys.version_info >= (3, 11) and task is not None:
            cancelled_before = task.cancelling()
        try:
            return await start()
        except asyncio.CancelledError:
            cause = self._cause
            if cause is None:
                raise
            if sys.version_info >= (3, 11) and task is not None and task.uncancel() > cancelled_before:
                raise  # Somebody else has cancelled the task as well.
        finally:
            self._task = None
        raise cause  # Out here, since the cancellation holds frames of httpx with keys.

    def _look(self) -> None:
        if self._task is not None:
            self._cause = self._find_cause()
            if self._cause is not None:
                self._task.cancel()
                return
        self._timer = self._loop.call_later(_POLL, self._look)

    def _find_cause(self) -> PortkeyTimeoutError | RequestCancelledError | None:
        if self._signal is not None and self._signal.is_set():
            return RequestCancelledError()
        before = self._advance()
        limits: dict[str, float | None] = {**vars(self._clocks), "drain": _DRAIN}
        # What had come by the look before has been read since.
        passed = {"idle": before - self._wait_began, "total": self._looked - self._began}
        for clock in (*_CLOCKS[self._phase], "total"):
            limit = limits[clock]
            if limit is not None and passed.get(clock, before - self._phase_began) >= limit:
                message = f"{_LATE.get(self._phase, 'the answer took longer than')} {limit:g} s ({clock})"
                return PortkeyTimeoutError(message, clock=clock, seconds=limit)
        return None

    def _advance(self) -> float:
        """Let the time of the clocks go on, and return what it was."""
        now, before, (phases, waits) = self.now(), self._time, self._counts_at_look
        self._time += min(now - self._looked, _LONGEST_LOOK)
        self._looked, self._counts_at_look = now, (self._phases, self._waits)
        if phases != self._phases:
            self._phase_began = self._time
        if waits != self._waits:
            self._wait_began = self._time
        return before
