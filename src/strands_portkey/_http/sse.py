"""Server-sent events: how a body of these is known, and its text as httpx-sse takes it."""

from __future__ import annotations

import codecs
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, suppress
from typing import Final

import httpx

_EVENT_BEGINS: Final = (b"data:", b"event:", b"id:", b"retry:", b":")
_BEGIN: Final = len(b"event:")
_OTHER_BEGINS: Final = (b"{", b"[", b"<")  # JSON and HTML, which no line of a stream begins with.
_ERROR: Final = "error: {"  # A field of llama.cpp's own, which no reader of events knows.
_ERROR_LINE: Final = re.compile(r"(\A|[\r\n])error: (?=\{)")
_ERROR_EVENT: Final = r"\1event: error\ndata: "
_BLANK: Final = b" \t\r\n\xef\xbb\xbf"  # A byte order mark counts as blank.
# What httpx-sse looks at, and what keeps httpx from making a body of its own, which nobody would read.
_HEADERS: Final = httpx.Headers({"content-type": "text/event-stream"})
_STREAM: Final = httpx.AsyncByteStream()


async def find_events(pieces: AsyncGenerator[bytes, None], *, is_named: bool) -> tuple[bool, bytes]:
    """Return whether a body is a stream of events, by its beginning, and what was read of it.

    One that is named so is one unless it begins as something else.
    """
    head, is_stream = b"", is_named
    async for piece in pieces:
        head = (head + piece).lstrip(_BLANK)
        is_stream = not head.startswith(_OTHER_BEGINS) if is_named else head.startswith(_EVENT_BEGINS)
        if head and (is_named or is_stream or len(head) >= _BEGIN):
            break
    return is_stream, head


class EventText(httpx.Response):
    """A body as httpx-sse takes it: text that arrives piece by piece, all lines ended."""

    def __init__(self, head: bytes, pieces: AsyncGenerator[bytes, None], broken: Callable[[str], Exception]) -> None:
        """Begin with what was read before the pieces; `broken` makes the error for bytes that are no text."""
        super().__init__(200, headers=_HEADERS, stream=_STREAM)
        self._head = head
        self._pieces = pieces
        self._broken = broken

    async def aiter_text(self, chunk_size: int | None = None) -> AsyncIterator[str]:  # noqa: ARG002 - httpx's signature
        """Yield the text."""
        why, rest, piece = "", b"", self._head
        # What is held back of the line that has begun; None if it cannot be an error.
        held: str | None = ""
        async with aclosing(self._pieces):
            with suppress(StopAsyncIteration):
                while True:
                    data = rest + piece if rest else piece
                    try:
                        text, read = codecs.utf_8_decode(data)
                    except UnicodeDecodeError as error:
                        why = f"it holds bytes that are no UTF-8: {error.reason}"
                        break
                    rest = data[read:]
                    if held or text[-1:] != "\n" or _ERROR in text:
                        text, held = _readable(text, held)
                    else:
                        held = ""
                    if text:
                        yield text
                    piece = await self._pieces.__anext__()
        if why:  # Raised out here, since what Python says of it quotes the bytes.
            raise self._broken(why)
        yield (held or "") + "\n\n"  # The last event may lack its blank line.


def _readable(text: str, held: str | None) -> tuple[str, str | None]:
    """Return text with llama.cpp's errors as events, and what is held back: a last line that may become one."""
    begins_line = held is not None
    if held:
        text = held + text
    if _ERROR in text:
        # What goes before text within a line is no line's end.
        text = _ERROR_LINE.sub(_ERROR_EVENT, text) if begins_line else _ERROR_LINE.sub(_ERROR_EVENT, f" {text}")[1:]
    end = max(text.rfind("\n"), text.rfind("\r")) + 1
    last = text[end:]
    if (end or begins_line) and _ERROR.startswith(last):
        return text[:end], last
    return text, None
