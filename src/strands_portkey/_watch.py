"""Waits that end when the caller cancels or a clock runs out."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Awaitable, Callable
from typing import Final, Literal, TypeVar

from typing_extensions import Self

from ._config import Clocks
from ._errors import PortkeyTimeoutError

T = TypeVar("T")

_POLL: Final = 0.05  # Seconds between looks at the cancel signal and the clocks, as Strands' own.
_DRAIN: Final = 1.0  # Seconds to wait for the end of the body, and guardrail results, after [DONE].


class RequestCancelledError(Exception):
    """The caller's cancel signal is set. Never leaves the package."""


class Watch:
    """Ends a wait when the caller cancels or a clock runs out, as long as its ``with`` block lasts.

    It looks every `_POLL` seconds and cancels the waiting task once: a second cancellation would interrupt httpcore
    while it closes the connection. No scope is held between waits, since Strands may end a generator from another
    task than the one that began it.
    """

    def __init__(self, clocks: Clocks, cancel_signal: threading.Event | None) -> None:
        self._clocks = clocks
        self._signal = cancel_signal
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[object] | None = None
        self._cause: PortkeyTimeoutError | RequestCancelledError | None = None
        self._clock = ""
        self._waits = 0  # How many waits there have been, and had been at the last look, which was at `_since`.
        self._seen = -1
        self._since = self._began = self.now()

    def __enter__(self) -> Self:
        """Begin to look."""
        self._timer = self._loop.call_later(_POLL, self._look)
        return self

    def __exit__(self, *_: object) -> None:
        """Look no more."""
        self._timer.cancel()

    def now(self) -> float:
        return self._loop.time()

    async def wait(
        self, start: Callable[[], Awaitable[T]], clock: Literal["first_byte", "idle", "drain", "total"]
    ) -> T:
        """Return what `start()` gives, unless the signal, this clock or the one for the total ends the wait."""
        self._raise_known()
        self._clock = clock
        self._waits += 1
        self._task = task = asyncio.current_task(self._loop)
        cancelled_before = 0
        if sys.version_info >= (3, 11) and task is not None:
            cancelled_before = task.cancelling()
        try:
            return await start()
        except asyncio.CancelledError:
            if self._cause is None:
                raise
            if sys.version_info >= (3, 11) and task is not None and task.uncancel() > cancelled_before:
                raise  # Somebody else has cancelled the task as well.
            raise self._cause from None
        finally:
            self._task = None

    def _raise_known(self) -> None:
        if self._cause is not None:  # A function for a key has kept our cancellation to itself.
            raise self._cause
        if self._signal is not None and self._signal.is_set():
            raise RequestCancelledError

    def _look(self) -> None:
        self._cause = self._find_cause()
        if self._cause is None or self._task is None:
            self._timer = self._loop.call_later(_POLL, self._look)
        else:
            self._task.cancel()

    def _find_cause(self) -> PortkeyTimeoutError | RequestCancelledError | None:
        if self._task is None:
            return None
        if self._signal is not None and self._signal.is_set():
            return RequestCancelledError()
        now = self.now()
        if self._waits != self._seen:  # A look tells the time: to ask for it at each wait would cost more.
            self._seen, self._since = self._waits, now
        clocks = self._clocks
        limits = {"first_byte": clocks.first_byte, "idle": clocks.idle, "drain": _DRAIN, "total": clocks.total}
        for clock, since in ((self._clock, self._since), ("total", self._began)):
            limit = limits[clock]
            if limit is not None and now - since >= limit:
                message = f"the answer took longer than timeout[{clock!r}] allows: {limit:g} s"
                return PortkeyTimeoutError(message, clock=clock, seconds=limit)
        return None
