"""What the model is asked: words of the command line, what is piped in, and what a person types or pastes."""

from __future__ import annotations

import select
import sys
from contextlib import suppress
from importlib import import_module
from typing import Final

from strands_portkey._errors import PortkeyConfigError

_PASTE_SECONDS: Final = 0.05  # Within which the next line of a pasted block is there.

with suppress(ImportError):  # Line editing, where it is available.
    # Python turns this off. The terminal then marks where a pasted block ends, and Enter sends it.
    import_module("readline").parse_and_bind("set enable-bracketed-paste on")


def is_piped() -> bool:
    """Whether standard input is a file or a pipe instead of a terminal."""
    return sys.stdin is not None and not sys.stdin.isatty()


def one_prompt(words: str | None) -> str | None:
    """Return the words with what is piped in below them; None where a person is to type instead.

    A dash for words is the usual name of standard input, so it says nothing.

    Raises:
        PortkeyConfigError: If there is nothing to ask.
    """
    piped = _read_pipe() if is_piped() else None
    if words == "-":
        words = None
    if words is None and piped is None and sys.stdin is not None:
        return None
    parts = [part for part in ((words or "").strip(), (piped or "").strip("\r\n")) if part.strip()]
    if not parts:
        raise PortkeyConfigError("the prompt must have text, as an argument or on standard input; got none")
    return "\n\n".join(parts)


def _read_pipe() -> str:
    try:
        return sys.stdin.buffer.read().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise PortkeyConfigError("standard input must be text in UTF-8; got other bytes") from None


def read_prompt() -> str | None:
    """Return the next line that a person types, or a whole pasted block; empty after Ctrl-C, None after Ctrl-D."""
    lines: list[str] = []
    try:
        lines.append(_read_line("> "))
        while _is_more_waiting():
            lines.append(_read_line(""))
    except EOFError:
        if not lines:
            sys.stderr.write("\n")
            return None
    except KeyboardInterrupt:
        sys.stderr.write("\n")
        return ""
    return "\n".join(lines).strip()


def _read_line(mark: str) -> str:
    if not sys.stdout.isatty():  # It is for answers, and `input` would write there.
        sys.stderr.write(mark)
        sys.stderr.flush()
        mark = ""
    return input(mark)


def _is_more_waiting() -> bool:
    """Whether more was pasted than a line, where a terminal does not mark pasted blocks."""
    try:
        return bool(select.select([sys.stdin], [], [], _PASTE_SECONDS)[0])
    except (OSError, ValueError):  # Windows knows no such wait.
        return False
