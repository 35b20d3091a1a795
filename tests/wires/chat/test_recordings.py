"""Every recorded answer of the real gateway, replayed through the model and Strands' own assembly."""

import json
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path

import httpx
import pytest
import respx
from strands.event_loop.streaming import process_stream

from strands_portkey import PortkeyError, PortkeyModel, ResponseMetadata
from strands_portkey._http.cancellation import Watch
from strands_portkey._http.client import GatewayClient
from strands_portkey._settings.config import Api
from strands_portkey._settings.endpoint import split_client_args
from tests.chat import Pieces, chunks_of, request_chat

RECORDINGS = Path(__file__).parents[2] / "recordings"
NAMES = sorted(str(path.relative_to(RECORDINGS).with_suffix("")) for path in RECORDINGS.rglob("chat/**/*.http"))
PATHS = {"chat": "chat/completions", "responses": "responses"}
ANY = "$any"
NO_USAGE = {"inputTokens": 0, "outputTokens": 0, "totalTokens": 0}  # What Strands makes of none.


def read_recording(name: str) -> tuple[int, list[tuple[str, str]], bytes]:
    head, _, body = (RECORDINGS / f"{name}.http").read_bytes().partition(b"\n\n")
    status, *lines = head.decode("latin-1").split("\n")
    headers = [(key, value.strip()) for key, _, value in (line.partition(":") for line in lines)]
    return int(status.split()[1]), headers, body


def read_expected(name: str) -> dict:
    return json.loads((RECORDINGS / f"{name}.expected.json").read_text())


def to_response(name: str, pieces: Sequence[bytes] | None = None) -> httpx.Response:
    status, headers, body = read_recording(name)
    return httpx.Response(status, headers=headers, stream=Pieces([body] if pieces is None else pieces))


async def replay(name: str) -> dict:
    """Return the result of a recording, in the form of the file beside it."""
    seen: list[ResponseMetadata] = []
    api: Api = "responses" if name.startswith("responses/") else "chat"
    model = PortkeyModel(
        {"base_url": "http://localhost:8787", "max_retries": 0},
        model_id="some-model",
        api=api,
        on_response=seen.append,
        stream=".stream" in name,
    )
    with respx.mock:
        respx.post(f"http://localhost:8787/v1/{PATHS[api]}").mock(return_value=to_response(name))
        try:
            async for event in process_stream(model.stream([{"role": "user", "content": [{"text": "Hi"}]}])):
                last = event
        except PortkeyError as error:
            return {"error": to_plain(error)}
    stop_reason, message, usage, _ = last["stop"]
    [metadata] = seen
    return {
        "message": to_plain(message),
        "stop_reason": stop_reason,
        "usage": None if usage == NO_USAGE else usage,
        "metadata": {
            "status_code": metadata.status_code,
            "provider": metadata.provider,
            "trace_id": metadata.trace_id,
            "cache_status": metadata.cache_status,
            "retry_attempt_count": metadata.retry_attempt_count,
            "last_used_option_index": metadata.last_used_option_index,
            **({"hook_results": True} if metadata.hook_results else {}),
        },
    }


def to_plain(value: object) -> object:
    """Return a value in the form of the files: bytes and errors as JSON."""
    if isinstance(value, PortkeyError):
        names = ("status_code", "origin", "retryable")
        return {"type": type(value).__name__, **{name: getattr(value, name) for name in names}, "message": str(value)}
    if isinstance(value, dict):
        return {key: to_plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [to_plain(item) for item in value]
    return {"$bytes": value.decode()} if isinstance(value, bytes) else value


def as_expected(expected: object, got: object) -> object:
    """Return what was got, with what the file leaves open taken from the file."""
    if expected == ANY and isinstance(got, str) and got:
        return ANY
    if isinstance(expected, dict) and isinstance(got, dict):
        if "message_contains" in expected and expected["message_contains"] in got["message"]:
            got = {**got, "message_contains": expected["message_contains"]}
            del got["message"]
            if expected["origin"] is None:
                got["origin"] = None
        return {key: as_expected(expected.get(key), value) for key, value in got.items()}
    if isinstance(expected, list) and isinstance(got, list) and len(expected) == len(got):
        return [as_expected(*pair) for pair in zip(expected, got, strict=True)]
    return got


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", NAMES)
async def test_a_recording_gives_what_the_model_said(name):
    expected = read_expected(name)

    assert as_expected(expected, await replay(name)) == expected


def test_there_is_something_expected_of_each_recording():
    expectations = {str(path.relative_to(RECORDINGS)) for path in RECORDINGS.rglob("chat/**/*.expected.json")}

    assert len(NAMES) >= 150
    assert expectations == {f"{name}.expected.json" for name in NAMES}


async def read_chunks(name: str, pieces: Sequence[bytes]) -> list[object]:
    """Return the chunks of a recording whose body arrives in these pieces, and the error that ends them, if any."""
    transport = httpx.MockTransport(lambda _: to_response(name, pieces))
    got: list[object] = []
    async with httpx.AsyncClient(transport=transport) as http_client:
        client = GatewayClient(split_client_args({})[0], http_client)
        try:
            async with (
                request_chat(client, {}, Watch(client.endpoint.clocks, None)) as response,
                aclosing(chunks_of(response)) as chunks,
            ):
                async for chunk in chunks:
                    got.append(chunk)  # noqa: PERF401 - what came before an error counts
        except PortkeyError as error:
            got.append(to_plain(error))
    return got


@pytest.mark.parametrize("name", NAMES)
async def test_a_body_that_arrives_byte_by_byte_gives_the_same_chunks(name):
    _, _, body = read_recording(name)

    assert await read_chunks(name, [body[at : at + 1] for at in range(len(body))]) == await read_chunks(name, [body])


async def test_a_body_cut_in_two_at_any_byte_gives_the_same_chunks():
    bodies = {name: read_recording(name)[2] for name in NAMES if "/parallel_tools.loose.stream" in name}
    name, body = min(bodies.items(), key=lambda item: len(item[1]))
    whole = await read_chunks(name, [body])

    for at in range(1, len(body)):
        assert await read_chunks(name, [body[:at], body[at:]]) == whole, at
