"""What the caller brings along: an HTTP client, and what authenticates requests; or functions that make these."""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

import httpx

from strands_portkey._errors import PortkeyConfigError
from strands_portkey._http.connections import LoopClients
from strands_portkey._http.failures import other_loop_error
from strands_portkey._settings.secrets import type_of

T = TypeVar("T")


def to_own(where: str, kind: type[T], given: object) -> T | Callable[[], T]:
    """Return a setting that is an object of httpx, or a function that makes one, with a check of what it makes.

    Raises:
        PortkeyConfigError: If it is something else.
    """
    if isinstance(given, kind):
        return given
    if not callable(given):
        raise _refusal(where, kind, _name(given), given)
    if inspect.iscoroutinefunction(given):
        raise _refusal(where, kind, "an async function, though making one needs no await")
    if wanted := _wanted(given):
        raise _refusal(where, kind, f"a function that wants {wanted}")
    return partial(_made_by, where, kind, given)


def _wanted(function: Callable[..., object]) -> str:
    """Return the names of the arguments that a function cannot do without."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # Not every function has a signature.
        return ""
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return ", ".join(each.name for each in parameters if each.default is each.empty and each.kind not in variadic)


def _made_by(where: str, kind: type[T], make: Callable[[], object]) -> T:
    """Return what a function makes. What it raises is the caller's own, and not converted."""
    made = make()
    if isinstance(made, kind):
        return made
    if inspect.iscoroutine(made):
        made.close()  # Or Python would warn that it was never awaited.
    raise _refusal(where, kind, f"a function that makes one of {_name(made)}", made)


def _refusal(where: str, kind: type, got: str, given: object = None) -> PortkeyConfigError:
    is_fork = any(base.__module__.partition(".")[0] == "httpx2" for base in type(given).__mro__)
    hint = "httpx2 is a fork of httpx with classes of its own: make it with httpx" if is_fork else None
    message = f"{where} must be an httpx.{kind.__name__}, or a function that makes one; got {got}"
    return PortkeyConfigError(message, hint=hint)


def _name(value: object) -> str:
    """Return the name of a value's class, with its family if that is one of httpx's."""
    family = type(value).__module__.partition(".")[0]
    return f"{family}.{type(value).__name__}" if family in ("httpx", "httpx2") else type_of(value)


class PerLoop(Generic[T]):
    """What a function makes, once for each event loop; kept as long as the loop is open."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: dict[tuple[int, int], tuple[asyncio.AbstractEventLoop, T]] = {}

    def __reduce__(self) -> tuple[type[PerLoop[T]], tuple[Callable[[], T]]]:
        """Create a copy, also in another process, for which nothing is made yet."""
        return type(self), (self._make,)

    def here(self) -> T:
        """Return the running loop's, which is made if there is none. Nothing is awaited, so parallel calls share it."""
        known = self.known()
        if known is None:
            for key, (loop, _) in list(self._made.items()):
                if loop.is_closed():
                    self._made.pop(key, None)  # Another thread may have been faster.
            known = self._make()
            self._made[_key()] = asyncio.get_running_loop(), known
        return known

    def known(self) -> T | None:
        """Return the running loop's, if one was made."""
        loop, made = self._made.get(_key(), (None, None))
        return made if loop is asyncio.get_running_loop() else None

    def forget(self) -> None:
        """Let the next one be made anew for the running loop."""
        self._made.pop(_key(), None)

    def all(self) -> list[T]:
        """Return those of all loops."""
        return [made for _, made in list(self._made.values())]


def _key() -> tuple[int, int]:
    """Return what tells event loops apart: what was made before a fork is the parent's."""
    return os.getpid(), id(asyncio.get_running_loop())


class GivenClient:
    """A client that the caller has made, for the event loop in which it is used first; never closed."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self._loop: asyncio.AbstractEventLoop | None = None

    async def take(self, **_: bool) -> tuple[httpx.AsyncClient, bool]:
        """Return the client, which knows itself whether its connections can be used.

        Raises:
            PortkeyConnectionError: If another loop uses it: its connections do not work there.
        """
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        if self._loop is not asyncio.get_running_loop():
            raise other_loop_error()
        return self._client, False

    async def aclose(self) -> None:
        """Do nothing: the caller closes it."""


@dataclass(eq=False)
class _Shared:
    """A client that was made for one event loop, which closes it, and how many answers it is used by."""

    client: httpx.AsyncClient
    home: LoopClients
    users: int = 0


class MadeClients:
    """Clients that a function of the caller's makes, one for each event loop; each is closed with its loop."""

    def __init__(self, make: Callable[[], httpx.AsyncClient]) -> None:
        self._make = make
        self._made = PerLoop(self._share)

    def __reduce__(self) -> tuple[type[MadeClients], tuple[Callable[[], httpx.AsyncClient]]]:
        """Create a copy, also in another process, without clients."""
        return type(self), (self._make,)

    def _share(self) -> _Shared:
        client = self._make()
        if any(made.client is client for made in self._made.all()):  # Those of other loops.
            raise other_loop_error()
        if client.is_closed:  # Most likely the one before, which its loop has closed.
            raise PortkeyConfigError(
                "http_client must make an open httpx.AsyncClient; got a closed one",
                hint="let it make a new one each time it is called: each is closed with its event loop",
            )
        home = LoopClients(asyncio.get_running_loop())
        home.busy.add(client)
        return _Shared(client, home)

    async def take(self, **_: bool) -> tuple[httpx.AsyncClient, bool]:
        """Return the client of the running loop, which knows itself whether its connections can be used."""
        shared = self._made.here()
        if shared.client.is_closed:  # By the caller, or when the loop shut down, which may still run.
            self._made.forget()
            shared = self._made.here()
        shared.users += 1
        await shared.home.guard_loop()
        return shared.client, False

    def give_back(self, client: httpx.AsyncClient) -> None:
        """End the use of a client, which stays open."""
        shared = self._made.known()
        if shared is not None and shared.client is client:
            shared.users -= 1

    async def aclose(self) -> None:
        """Close the client of the running loop, unless an answer is being read from it."""
        shared = self._made.known()
        if shared is not None and not shared.users:
            self._made.forget()
            await shared.home.close(shared.client)
