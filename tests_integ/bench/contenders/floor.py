"""The floor: httpx, httpx-sse and json, one client, no checks, and of translation only what an agent cannot do without.

It is no model provider: no errors, tools, usage, cancellation or clocks.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncGenerator
from functools import lru_cache
from typing import Any

import httpx
from httpx_sse import aconnect_sse
from strands.models.model import Model

from tests_integ.bench.contenders import KEY, MODEL

BODY = {"model": MODEL, "messages": [{"role": "user", "content": "Hi"}], "stream": True}
HEADERS = {"Authorization": f"Bearer {KEY}"}


@lru_cache
def tls() -> ssl.SSLContext:
    """Return the one TLS context."""
    return httpx.create_ssl_context()


class Floor:
    """Yields the chunks of an answer as json reads them."""

    def __init__(self, base_url: str, path: str = "/chat/completions") -> None:
        """Remember where to ask."""
        self._url = f"{base_url}{path}"
        self._client: httpx.AsyncClient | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def stream(self, *_: object, **__: object) -> AsyncGenerator[dict[str, Any], None]:
        """Ask, and yield the chunks."""
        if self._client is None or self._loop is not asyncio.get_running_loop():
            self._loop = asyncio.get_running_loop()
            limits = httpx.Limits(max_connections=None)
            self._client = httpx.AsyncClient(verify=tls(), timeout=None, limits=limits)  # noqa: S113 - the floor
        async with aconnect_sse(self._client, "POST", self._url, json=BODY, headers=HEADERS) as source:
            async for sse in source.aiter_sse():
                if sse.data != "[DONE]":
                    yield json.loads(sse.data)


class FloorModel(Model):
    """The text of an answer as the fewest events that an agent takes."""

    def __init__(self, base_url: str) -> None:
        """Remember where to ask."""
        self._floor = Floor(base_url)
        self.config = {"model_id": MODEL}

    def update_config(self, **_: Any) -> None:
        """Do nothing; Strands asks for the method."""

    def get_config(self) -> dict[str, str]:
        """Return the configuration."""
        return self.config

    def structured_output(self, *_: Any, **__: Any) -> AsyncGenerator[dict[str, Any], None]:
        """Fail; Strands asks for the method."""
        raise NotImplementedError

    async def stream(self, *_: Any, **__: Any) -> AsyncGenerator[Any, None]:
        """Ask, and yield the events."""
        yield {"messageStart": {"role": "assistant"}}
        yield {"contentBlockStart": {"start": {}}}
        async for chunk in self._floor.stream():
            if (choices := chunk["choices"]) and (text := choices[0]["delta"].get("content")):
                yield {"contentBlockDelta": {"delta": {"text": text}}}
        yield {"contentBlockStop": {}}
        yield {"messageStop": {"stopReason": "end_turn"}}


make = Floor
make_for_agent = FloorModel
