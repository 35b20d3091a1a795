"""Prompt caching: Strands' cache points and `CacheConfig` in the request body."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Final, Literal

from pydantic import JsonValue
from strands.models.model import CacheConfig
from strands.types.content import ContentBlock, Message, SystemContentBlock

CacheKind = Literal["cache_control", "prompt_cache_key", "automatic"]
"""How an upstream caches prompts."""

_RETENTIONS: Final = ("in_memory", "24h")  # OpenAI's values for a time to live.


class Caching:
    """The prompt caching of one request."""

    def __init__(
        self,
        config: CacheConfig | None,
        kind: CacheKind | None,
        upstream: str,
        *,
        session_id: str | None = None,
        verbatim_ttl: bool = True,
    ) -> None:
        """Combine the user's settings with what the upstream supports.

        Args:
            config: Strands' settings, or None. In the oldest supported Strands they have a strategy and a ttl alone.
            kind: How the upstream caches; the strategy ``anthropic`` overrides it with ``cache_control``.
            upstream: The upstream's name, for warnings.
            session_id: The agent's session, whose id is the default cache key.
            verbatim_ttl: Whether marks that the gateway passes on unchanged keep their time to live.
        """
        self._config = config
        self._cache_kind: CacheKind | None = "cache_control" if config and config.strategy == "anthropic" else kind
        self._upstream = upstream
        self._session_id = session_id
        self._verbatim_ttl = verbatim_ttl
        # The default time to live, for sections and cache points without their own.
        self._ttl: str | None = config.ttl if config else None
        self._places_points = config is not None and self._cache_kind == "cache_control"

    def content(self, messages: Sequence[Message], index: int, trailing: int) -> Sequence[ContentBlock]:
        """Return the blocks of a message; if `CacheConfig` places cache points, only the user's last message has one.

        As in Strands' own providers, points in other messages are then removed, since a conversation would collect
        more of them than an upstream accepts; a point in that last message keeps its place. A new point is inserted
        before the `trailing` blocks, which change with every call.
        """
        blocks = messages[index]["content"]
        if not self._places_points:
            return blocks
        bare = [block for block in blocks if "cachePoint" not in block]
        if not bare or messages[index]["role"] != "user" or _has_later_of_user(messages, index):
            return bare
        points = [place for place, block in enumerate(blocks) if "cachePoint" in block]
        # A point at the beginning has no block before it to mark.
        ahead = (points[0] if points else 0) or len(bare) - trailing
        if ahead > 0:
            point: ContentBlock = blocks[points[0]] if points else {"cachePoint": {"type": "default"}}
            bare.insert(ahead, point)
        return bare

    def system_blocks(self, blocks: Sequence[SystemContentBlock]) -> Sequence[SystemContentBlock]:
        """Return the system prompt's blocks with a cache point at the end, unless one is there."""
        ttl: bool | str = getattr(self._config, "system_prompt_ttl", True)
        if not blocks or not ttl or not self._places_points or any("cachePoint" in block for block in blocks):
            return blocks
        point: SystemContentBlock = {"cachePoint": {"type": "default"}}
        if isinstance(ttl, str):
            point["cachePoint"]["ttl"] = ttl
        return [*blocks, point]

    def tools_control(self) -> dict[str, JsonValue] | None:
        """Return the `cache_control` for the last tool, if tools are to be cached."""
        ttl: bool | str | None = getattr(self._config, "tools_ttl", None)
        if not ttl or not self._places_points:
            return None
        return self.control(ttl if isinstance(ttl, str) else None)

    def control(self, ttl: str | None, *, verbatim: bool = False) -> dict[str, JsonValue] | None:
        """Return the `cache_control` for a cache point with its own time to live, or None if the upstream has none.

        `verbatim` is set for marks that the gateway passes on unchanged.
        """
        if self._cache_kind is None:
            _warn(f"the upstream {self._upstream!r} takes no cache points; they have no effect")
        if self._cache_kind != "cache_control":
            return None
        ttl = None if verbatim and not self._verbatim_ttl else ttl or self._ttl
        return {"type": "ephemeral", "ttl": ttl} if ttl else {"type": "ephemeral"}

    def params(self) -> dict[str, JsonValue]:
        """Return the body's parameters for OpenAI's prompt cache."""
        if self._config is not None and self._cache_kind is None:
            _warn(f"the upstream {self._upstream!r} takes no cache points; cache_config has no effect")
        if self._config is None or self._cache_kind != "prompt_cache_key":
            return {}
        params = to_cache_key(self._config, self._session_id)
        if self._ttl in _RETENTIONS:
            params["prompt_cache_retention"] = self._ttl
        elif self._ttl is not None:
            _warn(f"cache_config.ttl must be 'in_memory' or '24h' for OpenAI; got {self._ttl!r}, which has no effect")
        return params


def to_cache_key(config: CacheConfig, session_id: str | None) -> dict[str, JsonValue]:
    """Return the body's key for OpenAI's prompt cache: the user's, else that of the agent's session, if it has one."""
    key: str | bool | None = getattr(config, "cache_key", None)
    if key is None and session_id is not None:
        key = f"strands-{session_id}"
    return {"prompt_cache_key": key} if key else {}


def _has_later_of_user(messages: Sequence[Message], index: int) -> bool:
    """Whether a message of the user follows; searches from the end, where one is usually found first."""
    return any(
        messages[later]["role"] == "user" and any("cachePoint" not in block for block in messages[later]["content"])
        for later in range(len(messages) - 1, index, -1)
    )


def _warn(message: str) -> None:
    """Warn from a single line: Python shows the same message for the same line only once."""
    warnings.warn(message, stacklevel=2)
