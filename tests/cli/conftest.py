"""For the tests of the commands: a clean environment, a terminal where nobody types, and a gateway."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator

import pytest

from strands_portkey._cli.main import main
from tests.cli.commands import KEY, Keyboard
from tests_integ import patient
from tests_integ.upstream import Upstream


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "PORTKEY_MODEL", "NO_COLOR", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")


@pytest.fixture(autouse=True)
def keyboard(monkeypatch: pytest.MonkeyPatch) -> Iterator[Keyboard]:
    """A terminal as standard input."""
    keyboard = Keyboard()
    monkeypatch.setattr(sys, "stdin", keyboard.stdin)
    yield keyboard
    keyboard.close()


@pytest.fixture
def pipe_in(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], None]:
    """Return a function that makes a pipe of standard input, which held these bytes."""
    return lambda content: monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content), encoding="utf-8"))


@pytest.fixture
def server() -> Iterator[Upstream]:
    with Upstream(patient.gateway) as running:
        yield running


@pytest.fixture
def run(server: Upstream, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Return a function that runs the command against the server."""

    def run(*argv: str, way: tuple[str, ...] = ("--provider", "openai", "--model", "gpt-4o")) -> tuple[int, str, str]:
        command, *more = argv
        status = main([command, "--base-url", server.base_url, *way, *more])
        out, err = capsys.readouterr()
        assert KEY not in out + err
        return status, out, err

    return run
