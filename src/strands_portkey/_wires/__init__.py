"""The protocols of the gateway, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from strands_portkey._wires.chat import CHAT
from strands_portkey._wires.wire import Wire

WIRES: Final[Mapping[str, Wire]] = {wire.name: wire for wire in (CHAT,)}
"""All wires by name."""
