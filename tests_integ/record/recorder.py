"""Runs the scenarios through the real gateway and writes down what it answers."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests_integ.gateway import running_gateway
from tests_integ.record.scenario import VARIANTS, Scenario
from tests_integ.upstream import Gate, Reply, Upstream

KEPT = Path(__file__).resolve().parents[2] / "tests" / "recordings"
COMPOSED = "composed"
"""The folder of answers that only the hosted gateway gives: written by hand, so never recorded."""

UNKEPT_HEADERS = {b"date", b"connection", b"keep-alive", b"transfer-encoding", b"content-length"}
"""Headers of the transfer rather than of the answer; the body is kept de-chunked."""

PATHS = {"chat": "chat/completions", "responses": "responses"}
"""The path of each wire."""

WEATHER_SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
WEATHER = {
    "type": "function",
    "function": {"name": "get_weather", "description": "The weather in a city.", "parameters": WEATHER_SCHEMA},
}


@dataclass(frozen=True)
class Recording:
    """One answer of the gateway.

    Attributes:
        scenario: What was played.
        variant: One of `VARIANTS`.
        status_line: For example `HTTP/1.1 200 OK`.
        headers: Those that are kept.
        body: The body, de-chunked, with stable ids and clocks.
    """

    scenario: Scenario
    variant: str
    status_line: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def http(self) -> bytes:
        """The content of its file."""
        lines = [self.status_line, *(f"{name}: {value}" for name, value in self.headers), "", ""]
        return "\n".join(lines).encode("latin-1") + self.body

    def header(self, name: str) -> str | None:
        """Return a header; None where it is absent or empty."""
        return dict(self.headers).get(name) or None

    @property
    def expectation(self) -> dict[str, Any]:
        """The expected result: the scenario's meaning, and the metadata of the headers."""
        expectation = self.scenario.expectation(self.variant)
        if "error" in expectation:
            return expectation
        retries = self.header("x-portkey-retry-attempt-count")
        metadata: dict[str, Any] = {
            "status_code": int(self.status_line.split()[1]),
            "provider": self.header("x-portkey-provider"),
            "trace_id": self.header("x-portkey-trace-id"),
            "cache_status": self.header("x-portkey-cache-status"),
            "retry_attempt_count": None if retries is None else int(retries),
            "last_used_option_index": self.header("x-portkey-last-used-option-index"),
        }
        if b'"hook_results"' in self.body:
            metadata["hook_results"] = True
        return {**expectation, "metadata": metadata}


def stable(body: bytes, upstream: Upstream) -> bytes:
    """Return a body with the gateway's ids and clocks made the same for every run.

    Nothing else is touched: `created`, ids made of a clock, UUIDs (numbered in order), the ids, times and durations
    of guardrail checks, and the upstream's port.
    """
    numbers: dict[bytes, bytes] = {}

    def numbered(match: re.Match[bytes]) -> bytes:
        return numbers.setdefault(match[0], b"00000000-0000-4000-8000-%012d" % (len(numbers) + 1))

    body = re.sub(rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", numbered, body)
    body = re.sub(rb'"created":\d{10}(\d{3})?\b', b'"created":1700000000', body)
    body = re.sub(rb'"id":"([a-z-]*)\d{13}"', rb'"id":"\g<1>1700000000000"', body)
    body = re.sub(rb'"id":"((?:in|out)put_guardrail)_\w+"', rb'"id":"\g<1>_000"', body)
    body = re.sub(rb'"execution_time":\d+', b'"execution_time":0', body)
    body = re.sub(rb'"created_at":"[^"]+"', b'"created_at":"2023-11-14T22:13:20.000Z"', body)
    return body.replace(b"127.0.0.1:%d" % upstream.port, b"127.0.0.1:9999")


def record(scenarios: Iterable[Scenario]) -> Iterator[Recording]:
    """Play scenarios and yield the answers, leaving out a variant whose answer is that of an earlier one.

    Args:
        scenarios: What to play.

    Yields:
        The recordings, in the order of the scenarios.
    """
    with running_gateway() as gateway, Upstream() as upstream, httpx.Client(timeout=30) as client:
        for scenario in scenarios:
            seen: set[bytes] = set()
            for variant in VARIANTS:
                replies = scenario.replies(variant)
                if replies is None:
                    continue
                replies = [_with_closed_gates(reply) for reply in replies]
                upstream.reply(*replies)
                received = len(upstream.requests)
                request = _request(scenario, variant, f"{gateway.base_url}/{PATHS[scenario.wire]}", upstream)
                body = b""
                with client.stream("POST", **request) as response:
                    for part in response.iter_raw():
                        body += part
                        if scenario.until and scenario.until in body:
                            _open(replies)
                _open(replies)
                if len(upstream.requests) - received != len(replies):
                    paths = [one.path for one in upstream.requests[received:]]
                    raise RuntimeError(f"{scenario.path(variant)}: {len(replies)} replies, requests {paths}: {body!r}")
                reason = response.extensions["reason_phrase"].decode()
                kept = [(name, value) for name, value in response.headers.raw if name.lower() not in UNKEPT_HEADERS]
                recording = Recording(
                    scenario,
                    variant,
                    f"HTTP/1.1 {response.status_code} {reason}".rstrip(),
                    tuple((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in kept),
                    stable(body, upstream),
                )
                if recording.http not in seen:
                    seen.add(recording.http)
                    yield recording


def write(recordings: Iterable[Recording], out: Path, *, draft: bool = False) -> list[Path]:
    """Write recordings.

    Args:
        recordings: What to write.
        out: The folder that holds the folders of the wires.
        draft: Whether to write, for a recording that has none yet, a first draft of the expected result.

    Returns:
        The files of the recordings.
    """
    paths = []
    for recording in recordings:
        path = out / f"{recording.scenario.path(recording.variant)}.http"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(recording.http)
        paths.append(path)
        expected = path.with_suffix(".expected.json")
        if draft and not expected.exists():
            expected.write_text(json.dumps(recording.expectation, indent=2, ensure_ascii=False) + "\n")
    return paths


def kept(folder: Path) -> list[Path]:
    """Return the files of the recordings in a folder, without those that are composed by hand."""
    return sorted(path for path in folder.glob("*/*/*.http") if path.parent.name != COMPOSED)


def _with_closed_gates(reply: Reply) -> Reply:
    """Return the reply with gates of its own: those of a scenario may have been opened by an earlier run."""
    pieces = [Gate() if isinstance(piece, Gate) else piece for piece in reply.pieces]
    return dataclasses.replace(reply, pieces=pieces, hold=reply.hold and Gate())


def _open(replies: Iterable[Reply]) -> None:
    for reply in replies:
        for gate in (reply.hold, *reply.pieces):
            if isinstance(gate, Gate):
                gate.open()


def _request(scenario: Scenario, variant: str, url: str, upstream: Upstream) -> dict[str, Any]:
    provider = scenario.provider
    mode, form = variant.split(".")
    headers: dict[str, str | None] = {
        "authorization": "Bearer key",
        "x-portkey-provider": provider.slug,
        "x-portkey-custom-host": upstream.url + provider.path,
        "x-portkey-strict-open-ai-compliance": "true" if mode == "strict" else "false",
        "x-portkey-trace-id": "trace-1",
        **provider.headers,
        **scenario.headers,
    }
    if scenario.config is not None:
        text = scenario.config if isinstance(scenario.config, str) else json.dumps(scenario.config)
        headers["x-portkey-config"] = text.replace("UPSTREAM", upstream.url)
    headers_sent = {key: value for key, value in headers.items() if value is not None}
    if scenario.wire == "responses":
        flat = {"type": "function", "name": "get_weather", "parameters": WEATHER_SCHEMA, "strict": False}
        asked = {"input": "What is the weather in Paris?", "tools": [flat], "store": False, "stream": form == "stream"}
        return {"url": url, "headers": headers_sent, "json": {"model": provider.model, **asked}}
    body = {
        "model": provider.model,
        "max_tokens": 256,
        "messages": [{"role": "user", "content": "What is the weather in Paris?"}],
        "tools": [WEATHER],
        "stream": form == "stream",
    }
    if form == "stream":
        body["stream_options"] = {"include_usage": True}
    return {"url": url, "headers": headers_sent, "json": body}
