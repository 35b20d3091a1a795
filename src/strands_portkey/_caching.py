"""Prompt caching: where Strands' cache points and `CacheConfig` go in the body."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import JsonValue
from strands.models.model import CacheConfig
from strands.types.content import ContentBlock, SystemContentBlock

from ._dialects import Dialect


@dataclass(frozen=True)
class Caching:
    """What is to be cached in one request.

    Attributes:
        config: Strands' settings, or None.
        dialect: What the upstream takes.
        session_id: The agent's session, whose id is the default cache key.
    """

    config: CacheConfig | None
    dialect: Dialect
    session_id: str | None = None

    def message_blocks(self, blocks: Sequence[ContentBlock], trailing: int) -> Sequence[ContentBlock]:
        """Return the last user message's blocks with a cache point, unless one is there.

        Args:
            blocks: The message's content.
            trailing: Number of blocks at its end that change with every call; the point goes ahead of them.
        """
        if not self._places_points() or any("cachePoint" in block for block in blocks):
            return blocks
        ahead = len(blocks) - trailing
        return [*blocks[:ahead], {"cachePoint": {"type": "default"}}, *blocks[ahead:]] if ahead > 0 else blocks

    def system_blocks(self, blocks: Sequence[SystemContentBlock]) -> Sequence[SystemContentBlock]:
        """Return the system prompt's blocks with a cache point at the end, unless one is there."""
        if not blocks or not self._places_points() or any("cachePoint" in block for block in blocks):
            return blocks
        ttl = self.config.system_prompt_ttl if self.config else False
        if ttl is False:
            return blocks
        point: SystemContentBlock = {"cachePoint": {"type": "default"}}
        if isinstance(ttl, str):
            point["cachePoint"]["ttl"] = ttl
        return [*blocks, point]

    def tools_control(self) -> dict[str, JsonValue] | None:
        """Return the `cache_control` for the last tool, if tools are to be cached."""
        ttl = self.config.tools_ttl if self.config and self._places_points() else None
        if not ttl:
            return None
        return self.control(ttl if isinstance(ttl, str) else None)

    def control(self, ttl: str | None) -> dict[str, JsonValue] | None:
        """Return the `cache_control` for a cache point, or None where the upstream has none."""
        if self.dialect.caching is None:
            _warn(f"the upstream {self.dialect.name!r} caches no prompts; cache points have no effect")
        if self.dialect.caching != "cache_control":
            return None
        ttl = ttl or (self.config.ttl if self.config else None)
        return {"type": "ephemeral", "ttl": ttl} if ttl else {"type": "ephemeral"}

    def params(self) -> dict[str, JsonValue]:
        """Return the body's parameters that route to a cache: OpenAI's."""
        if self.config is None:
            return {}
        if self.dialect.caching is None:
            _warn(f"the upstream {self.dialect.name!r} caches no prompts; cache_config has no effect")
        if self.dialect.caching != "prompt_cache_key":
            return {}
        params: dict[str, JsonValue] = {}
        key = self.config.cache_key
        if key is None and self.session_id is not None:
            key = f"strands-{self.session_id}"
        if key:
            params["prompt_cache_key"] = key
        if self.config.ttl in ("in_memory", "24h"):
            params["prompt_cache_retention"] = self.config.ttl
        elif self.config.ttl is not None:
            _warn(f"cache_config.ttl {self.config.ttl!r} has no effect on OpenAI, which knows 'in_memory' and '24h'")
        return params

    def _places_points(self) -> bool:
        return self.config is not None and self.dialect.caching == "cache_control"


def _warn(message: str) -> None:
    """Warn once: Python shows the same message of the same line one time."""
    warnings.warn(message, stacklevel=2)
