"""What the tests of the commands have in common: a key that must not be shown, a gateway's script, and a keyboard."""

from __future__ import annotations

import builtins
import os
import signal
import threading
from collections.abc import Callable

import pytest
from strands import Agent

from tests_integ import patient
from tests_integ.upstream import Gate, Reply, Request, Upstream, json_reply
from tests_integ.wires import openai

KEY = "sk-top-secret-0123456789"
CUT = Reply(200, {"content-type": "text/event-stream"}, [openai.chunk({"content": "Hel"})], "cut")


def shown_parts(text: str) -> list[str]:
    """Return the parts of the key, of eight characters each, that a text shows."""
    parts = [KEY[at : at + 8] for at in range(len(KEY) - 7)]
    return [part for part in parts if part in text]


def play(server: Upstream, model: Callable[[Request], Reply], **gets: Reply) -> None:
    """Let a model answer posts, and the gateway answer what is got by the last part of its path."""

    def script(request: Request) -> Reply:
        if request.method == "POST":
            return model(request)
        return gets.get(request.path.rpartition("/")[2], json_reply({}, 404)) if gets else patient.HEY

    server.script = script


def talk(monkeypatch: pytest.MonkeyPatch, *lines: str | type[BaseException]) -> None:
    """Let a person type lines, or press Ctrl-C or Ctrl-D."""
    typed = iter(lines)

    def read(_prompt: str) -> str:
        line = next(typed)
        if isinstance(line, str):
            return line
        raise line

    monkeypatch.setattr(builtins, "input", read)


def contents(server: Upstream) -> list[object]:
    """Return what the last message of each request to the model says."""
    return [request.json["messages"][-1]["content"] for request in server.requests if request.method == "POST"]


class Keyboard:
    """A terminal as standard input. What is pasted is there at once."""

    def __init__(self) -> None:
        """Open it."""
        self._master, slave = os.openpty()
        self.stdin = open(slave, encoding="utf-8")  # noqa: SIM115, PTH123 - for the time of a test

    def paste(self, text: str) -> None:
        """Type a text; Ctrl-D is ``\\x04``."""
        os.write(self._master, text.encode())

    def close(self) -> None:
        """Close it."""
        self.stdin.close()
        os.close(self._master)


def open_when_cancelled(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Open a gate when the agent is cancelled; return the event of that.

    The first Strands that are supported see a cancellation only with the next piece of the answer.
    """
    cancelled, cancel = threading.Event(), Agent.cancel

    def cancel_and_open(agent: Agent) -> None:
        cancel(agent)
        cancelled.set()
        gate.open()

    monkeypatch.setattr(Agent, "cancel", cancel_and_open)
    return cancelled


def press_at(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> threading.Thread:
    """Press Ctrl-C when an upstream gets to a gate, and open the gate when the agent has been cancelled."""
    open_when_cancelled(gate, monkeypatch)

    def press() -> None:
        gate.reached.result(10)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()
    return thread
