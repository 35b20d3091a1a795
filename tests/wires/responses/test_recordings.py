"""Every recorded response of the real gateway, replayed through the model and Strands' own assembly."""

from __future__ import annotations

from collections.abc import Sequence

import httpx
import pytest
from strands.event_loop.streaming import process_stream

from strands_portkey import PortkeyError, PortkeyModel
from tests.wires.chat.test_recordings import (
    RECORDINGS,
    as_expected,
    read_expected,
    read_recording,
    replay,
    to_plain,
    to_response,
)

NAMES = sorted(str(path.relative_to(RECORDINGS).with_suffix("")) for path in RECORDINGS.rglob("responses/**/*.http"))


@pytest.mark.parametrize("name", NAMES)
async def test_a_recording_gives_what_the_model_said(name: str) -> None:
    expected = read_expected(name)

    assert as_expected(expected, await replay(name)) == expected


def test_there_is_something_expected_of_each_recording() -> None:
    found = RECORDINGS.rglob("responses/**/*.expected.json")

    assert len(NAMES) >= 60
    assert {str(path.relative_to(RECORDINGS)) for path in found} == {f"{name}.expected.json" for name in NAMES}


async def read_pieces(name: str, pieces: Sequence[bytes]) -> object:
    """Return the message of a recording whose body arrives in these pieces, or the error."""
    transport = httpx.MockTransport(lambda _: to_response(name, pieces))
    async with httpx.AsyncClient(transport=transport) as client:
        model = PortkeyModel({"max_retries": 0}, model_id="m", api="responses", http_client=client)
        try:
            async for event in process_stream(model.stream([{"role": "user", "content": [{"text": "Hi"}]}])):
                last = event
        except PortkeyError as error:
            return to_plain(error)
    return last["stop"][:3]


@pytest.mark.parametrize("name", NAMES)
async def test_a_body_that_arrives_byte_by_byte_gives_the_same(name: str) -> None:
    _, _, body = read_recording(name)

    assert await read_pieces(name, [body[at : at + 1] for at in range(len(body))]) == await read_pieces(name, [body])
