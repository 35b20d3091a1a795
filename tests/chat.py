"""Chat completions without a model: requests of a client, bodies of answers, and their chunks."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing

import httpx

from strands_portkey._http.cancellation import Watch
from strands_portkey._http.client import GatewayClient, Request
from strands_portkey._http.response import GatewayResponse
from strands_portkey._wires.chat import CHAT
from strands_portkey._wires.chat.shapes import ChatCompletionChunk
from strands_portkey._wires.chat.stream import ChatTranslator


class Pieces(httpx.AsyncByteStream):
    """A body that arrives in these pieces."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        """Take the pieces."""
        self.pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield one piece after another."""
        for piece in self.pieces:
            yield piece


def request_chat(
    client: GatewayClient, headers: Mapping[str, str] | None = None, watch: Watch | None = None
) -> GatewayResponse:
    """Prepare a request with an empty body."""
    watch = watch or Watch(client.endpoint.clocks, None)
    return GatewayResponse(client, Request(CHAT.path, b"{}", headers or {}), watch)


async def chunks_of(response: GatewayResponse) -> AsyncGenerator[ChatCompletionChunk, None]:
    """Yield the chunks of an answer."""
    translator = ChatTranslator(response.judge)
    async with aclosing(response.messages()) as messages:
        async for event, data in messages:
            chunk = translator.read(event, data)
            response.is_done = translator.is_done
            if chunk is not None:
                translator.received += 1
                yield chunk
