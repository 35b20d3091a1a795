"""A proxy on loopback that breaks what passes through it, and a witness of what that leaves behind.

with FaultProxy(gateway.port, lambda head: Fault("rst", 500) if b"break-me" in head else PASS) as proxy:
    model = PortkeyModel({"base_url": proxy.base_url, "trace_id": "break-me", ...}, model_id="gpt-4o")

It speaks no HTTP. Faults are counted in bytes of one answer, and whatever the client sends after it has been sent
something begins the next answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import gc
import ipaddress
import logging
import socket
import ssl
import struct
import sys
import threading
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, final

from typing_extensions import Self

from tests_integ.upstream import Gate, LoopbackServer

Kind = Literal["pass", "fin", "rst", "half-close", "stall", "trickle", "garbage", "loss", "rewrite"]
_PIECE: Final = 65536


@dataclass(frozen=True)
class Fault:
    """What happens to one answer.

    Attributes:
        kind: `pass` does nothing. `fin` closes the connection and `rst` resets it; `half-close` closes only this
            side's sending. `stall` stops until its gate is opened, or for ever. `trickle` sends a few bytes at a
            time. `garbage` puts `data` in. `loss` takes `size` bytes out. `rewrite` puts the first bytes, up to
            where it happens, through `edit`.
        at: Where: how many bytes of the answer go before.
        size: Bytes of a drop of the trickle, or of the loss.
        data: The garbage.
        gate: Says that a stall was reached, and ends it.
        edit: The rewriting.
    """

    kind: Kind = "pass"
    at: int = 0
    size: int = 1
    data: bytes = b""
    gate: Gate = field(default_factory=Gate, compare=False)
    edit: Callable[[bytes], bytes] = bytes


PASS: Final = Fault()
Script = Callable[[bytes], Fault]


@final
class FaultProxy(LoopbackServer):
    """A proxy before one port of the loopback.

    Attributes:
        script: Is given the first bytes of each request, its headers among them, and says what happens to its answer.
        answers: The answers as they came, before any fault.
        refusals: How many of the next connections are reset as soon as they are accepted.
        connections: How many connections are open.
    """

    def __init__(self, target: int, script: Script | None = None, *, tls: ssl.SSLContext | None = None) -> None:
        """Make a proxy that is not running yet.

        Args:
            target: The port on 127.0.0.1 that it stands before.
            script: Passes everything when None.
            tls: Speaks TLS with its client. Faults then happen beneath its encryption.
        """
        super().__init__()
        self.script = script
        self.answers: list[bytes] = []
        self.refusals = 0
        self.connections = 0
        self._target = target
        self._tls = tls

    @property
    def base_url(self) -> str:
        """The base URL to give to a client."""
        return f"http{'s' if self._tls else ''}://127.0.0.1:{self.port}/v1"

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._tls, backlog=1024)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refusals > 0:
            self.refusals -= 1
            _reset(writer)
            return
        self.connections += 1
        try:
            with contextlib.suppress(OSError):
                await self._relay(reader, writer)
        except asyncio.CancelledError:
            _reset(writer)
        finally:
            self.connections -= 1
            writer.close()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            from_target, to_target = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            _reset(writer)  # A proxy cannot refuse what it has accepted.
            return
        exchange = _Exchange(writer)
        ways = [
            asyncio.ensure_future(self._ask(reader, to_target, exchange)),
            asyncio.ensure_future(self._answer(from_target, exchange)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            to_target.close()

    async def _ask(self, reader: asyncio.StreamReader, to_target: asyncio.StreamWriter, exchange: _Exchange) -> None:
        while piece := await reader.read(_PIECE):
            if exchange.answered:
                exchange.begin(self.script(piece) if self.script else PASS)
                self.answers.append(b"")
                exchange.number = len(self.answers) - 1
            to_target.write(piece)
            await to_target.drain()

    async def _answer(self, from_target: asyncio.StreamReader, exchange: _Exchange) -> None:
        while piece := await from_target.read(_PIECE):
            self.answers[exchange.number] += piece
            if not await exchange.send(piece):
                return
        await exchange.flush()


class _Exchange:
    """The answer that is on its way over one connection, and what happens to it."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.answered = True  # The next bytes of the client begin a request.
        self.number = 0
        self._writer = writer
        self._fault = PASS
        self._sent = 0
        self._kept = b""
        self._is_over = False  # The fault has happened.

    def begin(self, fault: Fault) -> None:
        self.answered = False
        self._fault = fault
        self._sent = 0
        self._kept = b""
        self._is_over = fault.kind == "pass"

    async def send(self, piece: bytes) -> bool:
        """Pass a piece on; return whether the connection is still open."""
        self.answered = True
        if self._is_over:
            await self._write(piece)
            return True
        self._kept += piece
        ready = min(len(self._kept), self._fault.at - self._sent)
        if self._fault.kind != "rewrite":
            before, self._kept = self._kept[:ready], self._kept[ready:]
            await self._write(before)
            self._sent += len(before)
        return self._sent + (ready if self._fault.kind == "rewrite" else 0) < self._fault.at or await self._happen()

    async def flush(self) -> None:
        """Pass on what is still kept when the target has closed."""
        await self._write(self._kept)

    async def _happen(self) -> bool:
        fault, rest = self._fault, self._kept
        if fault.kind == "loss" and len(rest) <= fault.size:
            return True  # Wait for the rest of what is to be lost.
        self._is_over, self._kept = True, b""
        match fault.kind:
            case "fin":
                return False
            case "rst":
                _reset(self._writer)
                return False
            case "half-close":
                self._writer.write_eof()
                await asyncio.get_running_loop().create_future()  # Until the client goes.
            case "stall":
                await fault.gate.wait()
                await self._write(rest)
            case "trickle":
                self._is_over = False  # All that follows trickles too.
                for start in range(0, len(rest), fault.size):
                    await self._write(rest[start : start + fault.size])
                    await asyncio.sleep(0)
            case "garbage":
                await self._write(fault.data + rest)
            case "loss":
                await self._write(rest[fault.size :])
            case _:
                await self._write(fault.edit(rest[: fault.at]) + rest[fault.at :])
        return True

    async def _write(self, piece: bytes) -> None:
        if piece:
            self._writer.write(piece)
            await self._writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    # With a linger time of zero, closing sends RST instead of FIN.
    connection: socket.socket = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


# -- what is left behind -----------------------------------------------------------------------------------------------


class Witness(logging.Handler):
    """Collects what Python only warns of: unclosed resources, lost tasks, exceptions that nothing retrieved.

    Use it as a context manager; it says what it noted by raising an AssertionError at the end.

    Attributes:
        found: What it noted so far.
    """

    def __init__(self, settle: Callable[[], None] = lambda: None, *, seconds: float = 5) -> None:
        """Begin to look when the block is entered.

        Args:
            settle: Called before files are counted at the end: closes what is not the client's.
            seconds: How long files may take to be closed by other threads.
        """
        super().__init__(logging.WARNING)
        self.found: list[str] = []
        self._settle = settle
        self._seconds = seconds
        self._files = 0
        self._warnings: list[warnings.WarningMessage] | None = None
        self._stack = contextlib.ExitStack()

    def emit(self, record: logging.LogRecord) -> None:
        """Note a warning of asyncio, whose default exception handler logs."""
        if " took " not in record.getMessage():  # Debug mode reports slow steps.
            trace = record.exc_info and record.exc_info[1]
            self.found.append(f"{record.getMessage()} {trace!r}")

    def __enter__(self) -> Self:
        """Begin to look."""
        gc.collect()
        self._settle()
        self._files = open_files()
        self._warnings = self._stack.enter_context(warnings.catch_warnings(record=True))
        warnings.simplefilter("always", ResourceWarning)
        warnings.simplefilter("error", RuntimeWarning)  # A coroutine that was never awaited.
        hooks = sys.unraisablehook, threading.excepthook
        self._stack.callback(self._put_back, *hooks)
        sys.unraisablehook = lambda what: self.found.append(f"unraisable: {what.exc_value!r} in {what.object!r}")
        threading.excepthook = lambda what: self.found.append(f"in a thread: {what.exc_value!r}")
        logging.getLogger("asyncio").addHandler(self)
        self._stack.callback(logging.getLogger("asyncio").removeHandler, self)
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Raise what was found, unless the block itself raises."""
        gc.collect()
        files = self._files_left()
        self._stack.close()
        for each in self._warnings or ():
            if issubclass(each.category, ResourceWarning):
                ends = vars(each.source).get("_extra") if hasattr(each.source, "__dict__") else None
                self.found.append(f"{each.message} {ends}")
            else:
                warnings.showwarning(each.message, each.category, each.filename, each.lineno)
        if exc is None:
            assert self.found == [], self.found
            assert files <= self._files, f"{files - self._files} more files are open than before"

    def _files_left(self) -> int:
        """Return how many files are open once others have closed theirs."""
        deadline = time.monotonic() + self._seconds
        self._settle()
        while (files := open_files()) > self._files and time.monotonic() < deadline:
            time.sleep(0.01)  # The other side closes in threads and processes of its own.
        return files

    @staticmethod
    def _put_back(unraisable: Any, in_thread: Any) -> None:
        sys.unraisablehook, threading.excepthook = unraisable, in_thread


def open_files() -> int:
    """Return how many file descriptors this process has."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


# -- certificates ------------------------------------------------------------------------------------------------------


def certificates(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return TLS settings for a server on the loopback and for a client that trusts it.

    Args:
        folder: Where the certificate and its key are kept.
    """
    from cryptography import x509  # noqa: PLC0415 - Strands brings it; only TLS needs it
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "loopback")])
    now = dt.datetime.now(dt.timezone.utc)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "loopback.pem"
    pem.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem)
    return server, ssl.create_default_context(cafile=pem)
