"""A compressed body, decoded in pieces of bounded size."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Callable
from typing import Final

WINDOWS: Final = {"gzip": zlib.MAX_WBITS + 16, "x-gzip": zlib.MAX_WBITS + 16, "deflate": zlib.MAX_WBITS}
"""What zlib calls the codings that can be decoded."""

_INFLATED: Final = 2**16  # Bytes that are decoded at a time.


class Inflater:
    """A compressed body, read in pieces of bounded size: a few bytes may stand for gigabytes."""

    def __init__(self, read: Callable[[], Awaitable[bytes]], coding: str) -> None:
        """Begin; `read` returns the next compressed piece."""
        self._read = read
        self._decoder = zlib.decompressobj(WINDOWS[coding])
        self._rest = b""  # Not decoded yet.
        self._is_full = False  # The last piece was as long as it may be: more may follow without new data.

    async def read(self) -> bytes:
        """Return the next piece; raise zlib.error where the body cannot be decoded."""
        text = b""
        while not text:
            if self._rest or self._is_full:
                await asyncio.sleep(0)  # Others get their turn: what has come may last for minutes.
            else:
                self._rest = await self._next()
            text = self._decoder.decompress(self._rest, _INFLATED)
            self._rest = self._decoder.unconsumed_tail
            self._is_full = len(text) == _INFLATED
            if self._decoder.unused_data:
                raise zlib.error("there is more after the end of the compressed data")
        return text

    async def _next(self) -> bytes:
        try:
            return await self._read()
        except StopAsyncIteration:
            if self._decoder.eof:
                raise
        raise zlib.error("the compressed data has no end")
