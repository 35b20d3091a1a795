"""Runs the workers, one at a time: contender after contender, round after round, so that all share the machine."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import certifi
import trustme  # type: ignore[import-not-found,unused-ignore]  # Only the bench installs it.

from tests_integ.bench.contenders import NAMES, NAMES_OF_SETTINGS, NAMES_OF_WIRES
from tests_integ.bench.installation import installations

Record = dict[str, Any]

STREAMS_BOUND: Final = 20  # Seconds after which a parallel stream, of two seconds, counts as failed.
WORKER_BOUND: Final = 60  # Seconds after which a worker is ended.
WITHOUT_FLOOR: Final = tuple(name for name in NAMES if name != "floor")  # It sends one question, and only once.
VERSIONS: Final = (
    "strands-agents-portkey",
    "strands-agents",
    "httpx",
    "httpx-sse",
    "pydantic",
    "openai",
    "litellm",
    "anthropic",
)


@dataclass(frozen=True)
class Measure:
    """One measure, as the command line of a worker names it.

    Attributes:
        name: Its name in the results.
        arguments: The worker's arguments.
        tls: Whether the server is asked over TLS.
        once: Whether one round is enough: it takes long, or counts rather than times.
        quick: Whether it is part of a quick run.
        contenders: Who takes part.
    """

    name: str
    arguments: tuple[str, ...]
    tls: bool = False
    once: bool = False
    quick: bool = True
    contenders: Collection[str] = tuple(NAMES)


def parallel(streams: int, *, once: bool = True, quick: bool = False) -> Measure:
    """Return the measure of streams that run at the same time."""
    arguments = ("parallel", "--streams", str(streams), "--bound", str(STREAMS_BOUND))
    return Measure(f"parallel_{streams}", arguments, once=once, quick=quick)


MEASURES: Final = (
    Measure("text", ("text",)),
    Measure("tool", ("tool",)),
    Measure("spaced", ("spaced",), quick=False),
    Measure("short_plain", ("short",)),
    Measure("short_tls", ("short",), tls=True),
    Measure("short_retried", ("short", "--answer", "retried/5/0"), contenders=WITHOUT_FLOOR),
    Measure("short_settings", ("short",), quick=False, contenders=tuple(NAMES_OF_SETTINGS)),
    Measure("logs", ("logs",), quick=False, once=True, contenders=("portkey",)),
    Measure("request_messages", ("request", "--messages", "1000"), contenders=WITHOUT_FLOOR),
    Measure("request_images", ("request", "--images", "5"), contenders=WITHOUT_FLOOR),
    Measure("agent_sync", ("agent_sync",)),
    Measure("agent_async", ("agent_async",), quick=False),
    Measure("first_event", ("first_event",)),
    Measure("reuse_plain", ("reuse",), once=True),
    Measure("reuse_tls", ("reuse",), once=True, tls=True),
    Measure("start", ("start",)),
    parallel(1),
    parallel(10, once=False, quick=True),
    parallel(100),
    parallel(1000),
    parallel(1600),
    *(
        Measure(f"{name}_{wire.lower()}", (name,), contenders=tuple(contenders))
        for wire, contenders in NAMES_OF_WIRES.items()
        for name in ("text", "tool", "short")
    ),
    *(
        Measure(
            f"request_messages_{wire.lower()}",
            ("request", "--messages", "1000"),
            contenders=tuple(name for name in contenders if not name.startswith("floor")),
        )
        for wire, contenders in NAMES_OF_WIRES.items()
    ),
)


@contextlib.contextmanager
def running_server(folder: Path) -> Iterator[tuple[str, str, Path]]:
    """Yield the server's addresses, plain and TLS, and a bundle of certificates to trust it by.

    The bundle holds all that a client trusts anyway, because reading those is part of what a TLS context costs.
    """
    authority = trustme.CA()
    certificate, bundle = folder / "server.pem", folder / "trusted.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(certificate)
    bundle.write_bytes(Path(certifi.where()).read_bytes() + authority.cert_pem.bytes())
    command = [sys.executable, "-m", "tests_integ.bench.server", str(certificate)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            plain, tls = server.stdout.readline().split()
            yield f"http://127.0.0.1:{plain}", f"https://127.0.0.1:{tls}", bundle
        finally:
            server.terminate()


def environment(bundle: Path) -> dict[str, str]:
    """Return the workers' environment: the same for all, without proxies, and LiteLLM without its download."""
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    return {**kept, "SSL_CERT_FILE": str(bundle), "LITELLM_LOCAL_MODEL_COST_MAP": "True"}


def work(contender: str, arguments: Sequence[str], environ: Mapping[str, str]) -> Record:
    """Return what one worker measured, or why it did not."""
    command = [sys.executable, "-m", "tests_integ.bench.worker", contender, *arguments]
    try:
        worker = subprocess.run(command, capture_output=True, text=True, timeout=WORKER_BOUND, env=environ, check=False)
    except subprocess.TimeoutExpired:
        return {"error": f"not done in {WORKER_BOUND} s"}
    lines = (worker.stdout if worker.returncode == 0 else worker.stderr).strip().splitlines() or ["no output"]
    return json.loads(lines[-1]) if worker.returncode == 0 else {"error": lines[-1]}


def run(names: Sequence[str], *, quick: bool, rounds: int) -> Record:
    """Take the measures and return everything raw.

    Args:
        names: Those to take; all where there are none.
        quick: Fewer of them, and each only once.
        rounds: How often to take each, unless it is a quick run.
    """
    chosen = [measure for measure in MEASURES if (measure.name in names if names else measure.quick or not quick)]
    rounds, repeat = (1, 2) if quick else (rounds, 10)
    records: dict[str, dict[str, list[Record]]] = {
        measure.name: {contender: [] for contender in measure.contenders} for measure in chosen
    }
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, running_server(Path(folder)) as (plain, tls, bundle):
        environ = environment(bundle)
        for number in range(rounds):
            for measure in chosen:
                if measure.once and number:
                    continue
                print(f"{time.monotonic() - began:4.0f} s  round {number + 1}  {measure.name}", file=sys.stderr)
                url = tls if measure.tls else plain
                arguments = [*measure.arguments, "--url", url, "--repeat", str(repeat)]
                for contender in measure.contenders:
                    records[measure.name][contender].append(work(contender, arguments, environ))
    return {
        "date": datetime.now(timezone.utc).date().isoformat(),
        "seconds": round(time.monotonic() - began),
        "rounds": rounds,
        "streams_bound": STREAMS_BOUND,
        "machine": machine(),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in VERSIONS}},
        "records": records,
        "installation": installations(),
    }


def machine() -> Record:
    """Return what the numbers were measured on."""
    processor = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        processor = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), processor)
    return {
        "system": f"{platform.system()} {platform.release()}",
        "processor": processor,
        "cores": os.cpu_count(),
        "memory": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
    }
