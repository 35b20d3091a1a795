"""Stream events of Strands that tests compare with."""

from __future__ import annotations

from typing import Any

from strands.types.streaming import StreamEvent

START: StreamEvent = {"contentBlockStart": {"start": {}}}
STOP: StreamEvent = {"contentBlockStop": {}}


def delta(**of: Any) -> dict[str, Any]:
    """Return the event that adds to a block."""
    return {"contentBlockDelta": {"delta": of}}
