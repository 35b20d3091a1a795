"""What listens late: a port that refuses connections until it is opened, and a gateway that stands by for another."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, final

from tests_integ.gateway import START_SECONDS, Gateway, GatewayError
from tests_integ.upstream import LoopbackServer

_PIECE: Final = 65536
_STANDS_BY: Final = "stands by"
# Node may load a program long before it lets the program listen.
_HOLD: Final = f"""\
const net = require("node:net");
const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (...where) {{
  const alive = setInterval(() => {{}}, 1000);
  process.once("SIGUSR2", () => {{
    clearInterval(alive);
    listen.apply(this, where);
  }});
  console.log("{_STANDS_BY}");
  return this;
}};
"""


@final
class LatePort(LoopbackServer):
    """A port before another one that refuses connections until it is opened. Use it as a context manager."""

    def __init__(self, target: int) -> None:
        """Make a port that is not bound yet.

        Args:
            target: The port on 127.0.0.1 that it stands before.
        """
        super().__init__()
        self._target = target
        self._server: asyncio.Server | None = None

    @property
    def base_url(self) -> str:
        """The base URL to give to a client, or to a gateway as the host of a provider."""
        return f"http://127.0.0.1:{self.port}/v1"

    def open(self, seconds: float = 0) -> None:
        """Listen after so many seconds; return at once."""
        asyncio.run_coroutine_threadsafe(self._open(seconds), self._loop)

    async def _open(self, seconds: float) -> None:
        assert self._server is not None
        await asyncio.sleep(seconds)
        await self._server.start_serving()

    async def _listen(self) -> asyncio.Server:
        # Bound, so that nobody else takes the port; the system refuses connections until it listens.
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, start_serving=False)
        return self._server

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_target, to_target = await asyncio.open_connection("127.0.0.1", self._target)
        with contextlib.suppress(OSError):
            await asyncio.gather(_copy(reader, to_target), _copy(from_target, writer))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while piece := await reader.read(_PIECE):
            writer.write(piece)
            await writer.drain()
    finally:
        writer.close()


@contextlib.contextmanager
def standing_by(gateway: Gateway, folder: Path) -> Iterator[Callable[[], None]]:
    """Run a second gateway that has started, but does not listen yet.

    So a gateway can be replaced in a time that does not depend on how long Node takes to start.

    Args:
        gateway: A running gateway, whose port the second one takes over.
        folder: Where a script for Node is kept.

    Yields:
        What makes the second one listen; the first must have gone.
    """
    script = folder / "hold.cjs"
    script.write_text(_HOLD)
    second = Gateway({"NODE_OPTIONS": f"--require={script}"})
    second.port = gateway.port
    with second:  # The first answers in its place.
        deadline = time.monotonic() + START_SECONDS
        while _STANDS_BY not in second.output:
            if time.monotonic() > deadline:
                raise GatewayError(f"The second gateway did not start within {START_SECONDS:.0f} s:\n{second.output}")
            time.sleep(0.02)  # A process that starts up gives no event to wait for.
        yield lambda: os.kill(second.pid, signal.SIGUSR2)
