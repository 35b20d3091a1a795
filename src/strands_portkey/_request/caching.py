"""Prompt caching: where Strands' cache points and `CacheConfig` go in the body."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Final, Literal

from pydantic import JsonValue
from strands.models.model import CacheConfig
from strands.types.content import ContentBlock, Message, SystemContentBlock

CacheKind = Literal["cache_control", "prompt_cache_key", "automatic"]
"""How an upstream caches prompts."""

_RETENTIONS: Final = ("in_memory", "24h")  # What OpenAI calls a time to live.


class Caching:
    """What is to be cached in one request."""

    def __init__(
        self,
        config: CacheConfig | None,
        kind: CacheKind | None,
        upstream: str,
        *,
        session_id: str | None = None,
        verbatim_ttl: bool = True,
    ) -> None:
        """Take what the user wants and the upstream has.

        Args:
            config: Strands' settings, or None. Those of the lowest Strands have a strategy alone.
            kind: How the upstream caches; the strategy ``anthropic`` says so where nothing else can.
            upstream: The upstream's name, for warnings.
            session_id: The agent's session, whose id is the default cache key.
            verbatim_ttl: Whether marks that the gateway passes on as they are keep their time to live.
        """
        self._config = config
        self._cache_kind: CacheKind | None = "cache_control" if config and config.strategy == "anthropic" else kind
        self._upstream = upstream
        self._session_id = session_id
        self._verbatim_ttl = verbatim_ttl
        # How long a prefix is kept, where a section or a cache point does not say so itself.
        self._ttl: str | None = getattr(config, "ttl", None)
        self._places_points = config is not None and self._cache_kind == "cache_control"

    def content(self, messages: Sequence[Message], index: int, trailing: int) -> Sequence[ContentBlock]:
        """Return the blocks of a message: where `CacheConfig` places them, with one cache point in the user's last.

        As in Strands' own providers, points in other messages then go, since a conversation would gather more of
        them than an upstream takes; a point that is in that message stays where it is. The point goes ahead of the
        `trailing` blocks, which change with every call.
        """
        blocks = messages[index]["content"]
        if not self._places_points:
            return blocks
        bare = [block for block in blocks if "cachePoint" not in block]
        if not bare or messages[index]["role"] != "user" or _has_later_of_user(messages, index):
            return bare
        points = [place for place, block in enumerate(blocks) if "cachePoint" in block]
        # A point at the very beginning has nothing to mark.
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
        """Return the `cache_control` for a cache point with its own time to live, or None where the upstream has none.

        A mark that the gateway passes on as it is, is `verbatim`.
        """
        if self._cache_kind is None:
            _warn(f"the upstream {self._upstream!r} takes no cache points; they have no effect")
        if self._cache_kind != "cache_control":
            return None
        ttl = None if verbatim and not self._verbatim_ttl else ttl or self._ttl
        return {"type": "ephemeral", "ttl": ttl} if ttl else {"type": "ephemeral"}

    def params(self) -> dict[str, JsonValue]:
        """Return the body's parameters that route to a cache: OpenAI's."""
        if self._config is not None and self._cache_kind is None:
            _warn(f"the upstream {self._upstream!r} takes no cache points; cache_config has no effect")
        if self._config is None or self._cache_kind != "prompt_cache_key":
            return {}
        params: dict[str, JsonValue] = {}
        key: str | bool | None = getattr(self._config, "cache_key", None)
        if key is None and self._session_id is not None:
            key = f"strands-{self._session_id}"
        if key:
            params["prompt_cache_key"] = key
        if self._ttl in _RETENTIONS:
            params["prompt_cache_retention"] = self._ttl
        elif self._ttl is not None:
            _warn(f"cache_config.ttl must be 'in_memory' or '24h' for OpenAI; got {self._ttl!r}, which has no effect")
        return params


def _has_later_of_user(messages: Sequence[Message], index: int) -> bool:
    """Whether the user says anything behind a message; looks from the end, where the answer mostly stands."""
    return any(
        messages[later]["role"] == "user" and any("cachePoint" not in block for block in messages[later]["content"])
        for later in range(len(messages) - 1, index, -1)
    )


def _warn(message: str) -> None:
    """Warn once: Python shows the same message of the same line one time."""
    warnings.warn(message, stacklevel=2)
