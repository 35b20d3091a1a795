"""For every unit test: the same cases in each run, a clean environment, nothing beyond the loopback; and a server."""

from __future__ import annotations

import ipaddress
import os
import sys
from collections.abc import Iterator

import pytest

import tests_integ.profiles  # noqa: F401 - sets what Hypothesis tries
from tests_integ.upstream import Upstream


def _stay_on_loopback(event: str, args: tuple[object, ...]) -> None:
    """Refuse to look up or to reach another machine.

    An audit hook sees each connection of the process, whichever library opens it. The error is no OSError, so that
    nothing takes it for a failed connection.
    """
    match event, args:
        case "socket.getaddrinfo", (host, *_):
            pass
        case (("socket.connect" | "socket.sendto"), (_, (host, *_))):
            pass
        case _:
            return
    if not _is_loopback(host):
        raise RuntimeError(f"A unit test tried to reach {host!r}; only the loopback is open to it.")


def _is_loopback(host: object) -> bool:
    name = host.decode() if isinstance(host, bytes) else host
    if name in {None, "", "localhost"}:
        return True
    try:
        return ipaddress.ip_address(str(name)).is_loopback
    except ValueError:
        return False


sys.addaudithook(_stay_on_loopback)


@pytest.fixture(autouse=True)
def _no_portkey_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the machine's own Portkey settings."""
    for name in list(os.environ):
        if name.startswith("PORTKEY_"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run async tests on asyncio, the loop that Strands runs on."""
    return "asyncio"


@pytest.fixture
def server() -> Iterator[Upstream]:
    """A server in the place of the gateway, with an empty script."""
    with Upstream() as running:
        yield running
