"""Prompt caching: where Strands' cache points and `CacheConfig` go in the body."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import JsonValue
from strands.models.model import CacheConfig
from strands.types.content import ContentBlock, Message, SystemContentBlock

from ._dialects import CacheKind, Dialect

_RETENTIONS: Final = ("in_memory", "24h")  # What OpenAI calls a time to live.


@dataclass(frozen=True)
class Caching:
    """What is to be cached in one request.

    Attributes:
        config: Strands' settings, or None. Those of the lowest Strands have a strategy alone.
        dialect: What the upstream takes.
        session_id: The agent's session, whose id is the default cache key.
    """

    config: CacheConfig | None
    dialect: Dialect
    session_id: str | None = None

    def messages(self, messages: Sequence[Message], trailing: int) -> list[Sequence[ContentBlock]]:
        """Return the content of messages with one cache point in the last of the user's, where `CacheConfig` places it.

        As in Strands' own providers, points in other messages then go, since a conversation would gather more of
        them than an upstream takes; a point that is in that message stays where it is. The point goes ahead of the
        `trailing` blocks, which change with every call.
        """
        contents: list[Sequence[ContentBlock]] = [message["content"] for message in messages]
        if not self._places_points:
            return contents
        bare = [[block for block in content if "cachePoint" not in block] for content in contents]
        users = [index for index, message in enumerate(messages) if message["role"] == "user" and bare[index]]
        if not users:
            return list(bare)
        last = users[-1]
        points = [index for index, block in enumerate(contents[last]) if "cachePoint" in block]
        # A point at the very beginning has nothing to mark.
        ahead = (points[0] if points else 0) or len(bare[last]) - trailing
        if ahead > 0:
            point: ContentBlock = contents[last][points[0]] if points else {"cachePoint": {"type": "default"}}
            bare[last].insert(ahead, point)
        return list(bare)

    def system_blocks(self, blocks: Sequence[SystemContentBlock]) -> Sequence[SystemContentBlock]:
        """Return the system prompt's blocks with a cache point at the end, unless one is there."""
        ttl: bool | str = getattr(self.config, "system_prompt_ttl", True)
        if not blocks or not ttl or not self._places_points or any("cachePoint" in block for block in blocks):
            return blocks
        point: SystemContentBlock = {"cachePoint": {"type": "default"}}
        if isinstance(ttl, str):
            point["cachePoint"]["ttl"] = ttl
        return [*blocks, point]

    def tools_control(self) -> dict[str, JsonValue] | None:
        """Return the `cache_control` for the last tool, if tools are to be cached."""
        ttl: bool | str | None = getattr(self.config, "tools_ttl", None)
        if not ttl or not self._places_points:
            return None
        return self.control(ttl if isinstance(ttl, str) else None)

    def control(self, ttl: str | None, *, verbatim: bool = False) -> dict[str, JsonValue] | None:
        """Return the `cache_control` for a cache point with its own time to live, or None where the upstream has none.

        A mark that the gateway passes on as it is, is `verbatim`.
        """
        if self._kind is None:
            _warn(f"the upstream {self.dialect.name!r} takes no cache points; they have no effect")
        if self._kind != "cache_control":
            return None
        ttl = None if verbatim and not self.dialect.verbatim_ttl else ttl or self._ttl
        return {"type": "ephemeral", "ttl": ttl} if ttl else {"type": "ephemeral"}

    def params(self) -> dict[str, JsonValue]:
        """Return the body's parameters that route to a cache: OpenAI's."""
        if self.config is not None and self._kind is None:
            _warn(f"the upstream {self.dialect.name!r} takes no cache points; cache_config has no effect")
        if self.config is None or self._kind != "prompt_cache_key":
            return {}
        params: dict[str, JsonValue] = {}
        key: str | bool | None = getattr(self.config, "cache_key", None)
        if key is None and self.session_id is not None:
            key = f"strands-{self.session_id}"
        if key:
            params["prompt_cache_key"] = key
        if self._ttl in _RETENTIONS:
            params["prompt_cache_retention"] = self._ttl
        elif self._ttl is not None:
            _warn(f"cache_config.ttl {self._ttl!r} has no effect on OpenAI, which knows 'in_memory' and '24h'")
        return params

    @property
    def _ttl(self) -> str | None:
        """How long a prefix is kept, where a section or a cache point does not say so itself."""
        ttl: str | None = getattr(self.config, "ttl", None)
        return ttl

    @property
    def _kind(self) -> CacheKind | None:
        """How the upstream caches; the strategy ``anthropic`` says so where nothing else can."""
        is_claude = self.config is not None and self.config.strategy == "anthropic"
        return "cache_control" if is_claude else self.dialect.caching

    @property
    def _places_points(self) -> bool:
        return self.config is not None and self._kind == "cache_control"


def _warn(message: str) -> None:
    """Warn once: Python shows the same message of the same line one time."""
    warnings.warn(message, stacklevel=2)
