"""What the commands write to a terminal or into a pipe, without secrets and control characters."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sys
import threading
from collections.abc import Collection, Generator
from contextlib import contextmanager
from types import FrameType
from typing import Final, Literal, TextIO

from strands import Agent

from strands_portkey._cli.settings import explain, with_fix

_SECRET_LENGTH: Final = 8  # Shorter text that is held back at the end may start a secret only by chance.
_CONTROL_CHARACTERS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_ERASED: Final = "\r\x1b[K"
_PLAIN: Final = "\x1b[0m"

Style = Literal["", "dim", "green", "yellow", "red"]
_STYLES: Final[dict[Style, str]] = {
    "": "",
    "dim": "\x1b[2m",
    "green": "\x1b[32m",
    "yellow": "\x1b[33m",
    "red": "\x1b[31m",
}


class Terminal:
    """Writes to standard output and standard error, without secrets and control characters.

    A text may be a fragment of an answer, so its end is held back while it may be the start of a secret.

    Attributes:
        is_cut: Whether a reader has gone, as ``head`` does. What is written from then on is lost.
    """

    def __init__(self, hidden: Collection[str]) -> None:
        """Initialize the terminal; the texts in `hidden` are masked."""
        self.is_cut = False
        quoted = [json.dumps(secret)[1:-1] for secret in hidden]
        shown = {_CONTROL_CHARACTERS.sub("", secret) for secret in (*hidden, *quoted)}
        self._secrets = sorted(shown, key=len, reverse=True)  # Longest first, since one may be a prefix of another.
        self._longest = max(map(len, self._secrets), default=0)
        self._pattern = re.compile("|".join(map(re.escape, self._secrets)) or "(?!)")
        self._target: tuple[TextIO, Style] = (sys.stdout, "")
        self._held = ""
        self._is_live = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._has_status = False

    def say(self, text: str, style: Style = "") -> None:
        """Write to standard output at once."""
        self._write_to(text, sys.stdout, style)

    def aside(self, text: str) -> None:
        """Write to standard error at once, dim on a terminal."""
        self._write_to(text, sys.stderr, "dim")

    def complain(self, error: Exception) -> None:
        """Write an error to standard error, as one line."""
        self._write_to(f"error: {with_fix(*explain(error))}\n", sys.stderr, "")

    def status(self, text: str) -> None:
        """Show what is waited for, on a terminal only, until something else is written."""
        if self._is_live:
            self.end()
            self._has_status = True
            shown = self._pattern.sub("***", _CONTROL_CHARACTERS.sub("", text))
            shown = shown[: shutil.get_terminal_size().columns - 1]  # Only one row is erased.
            sys.stderr.write(_ERASED + _styled(shown, sys.stderr, "dim"))
            sys.stderr.flush()

    def end(self) -> None:
        """Write the text that is held back, at the end of an answer, and erase the status."""
        held, self._held = self._held, ""
        self._write("***" if len(held) >= _SECRET_LENGTH else held)
        self._erase_status()

    def raise_if_cut(self) -> None:
        """Raise `BrokenPipeError` if a reader has gone."""
        if self.is_cut:
            raise BrokenPipeError

    def _erase_status(self) -> None:
        if self._has_status:
            self._has_status = False
            sys.stderr.write(_ERASED)
            sys.stderr.flush()

    def _write_to(self, text: str, stream: TextIO, style: Style) -> None:
        if (stream, style) != self._target:
            self.end()
            self._target = (stream, style)
        text = self._held + _CONTROL_CHARACTERS.sub("", text)  # Before the search, since they may split a secret.
        end = self._find_beginning(text, 0)
        for found in self._pattern.finditer(text):
            if found.start() < end < found.end():
                end = self._find_beginning(text, found.end())
        self._held = text[end:]
        self._write(self._pattern.sub("***", text[:end]))

    def _find_beginning(self, text: str, start: int) -> int:
        """Return the position from which the rest of a text may be the start of a secret; else its length."""
        length = len(text)
        for at in range(max(start, length - self._longest), length):
            if any(len(secret) > length - at and secret.startswith(text[at:]) for secret in self._secrets):
                return at
        return length

    def _write(self, text: str) -> None:
        if not text:
            return
        self._erase_status()
        stream, style = self._target
        encoding = stream.encoding or "utf-8"
        text = text.encode(encoding, "replace").decode(encoding)
        try:
            stream.write(_styled(text, stream, style))
            stream.flush()
        except BrokenPipeError:  # Raised here, it would leave Strands' generators half-way, and its tracing complains.
            self.is_cut = True
            hang_up()


def _styled(text: str, stream: TextIO, style: Style) -> str:
    """Return a text in a style, where a person sees it and has not declined colours."""
    return f"{_STYLES[style]}{text}{_PLAIN}" if style and stream.isatty() and not os.environ.get("NO_COLOR") else text


def hang_up() -> None:
    """Drop what a closed pipe has not taken; at its end Python would try to write it once more, and complain."""
    _drop_unwritten(sys.stdout)
    _drop_unwritten(sys.stderr)


def _drop_unwritten(stream: TextIO) -> None:
    try:
        stream.flush()
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


@contextmanager
def interruptible(agent: Agent) -> Generator[threading.Event, None, None]:
    """Make Ctrl-C cancel the agent's answer for the duration of a `with` block.

    Strands runs an answer in a separate thread, which receives no KeyboardInterrupt.

    Yields:
        An event that is set when Ctrl-C is pressed.
    """
    pressed = threading.Event()

    def cancel(_signal: int, _frame: FrameType | None) -> None:
        pressed.set()
        agent.cancel()

    before = signal.signal(signal.SIGINT, cancel)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, before)
