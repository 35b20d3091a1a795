"""The output of a model in no provider's format: the wires convert it to theirs, the expectations are made from it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

ContentBlock = dict[str, Any]


@dataclass(frozen=True)
class Text:
    """A text, in the pieces it is streamed in."""

    pieces: tuple[str, ...]

    @property
    def whole(self) -> str:
        """The text in one piece."""
        return "".join(self.pieces)


@dataclass(frozen=True)
class Thinking:
    """A thought, in the pieces it is streamed in, with its signature if the provider signs."""

    pieces: tuple[str, ...]
    signature: str | None = None

    @property
    def whole(self) -> str:
        """The thought in one piece."""
        return "".join(self.pieces)


@dataclass(frozen=True)
class Redacted:
    """A thought that only its provider can read."""

    data: str


@dataclass(frozen=True)
class Call:
    """A tool call; its arguments are JSON text in the pieces they are streamed in, none at all for no arguments."""

    call_id: str
    name: str
    pieces: tuple[str, ...] = ()
    signature: str | None = None

    @property
    def input(self) -> dict[str, Any]:
        """The parsed arguments."""
        parsed: dict[str, Any] = json.loads("".join(self.pieces) or "{}")
        return parsed


Said = Text | Thinking | Redacted | Call


@dataclass(frozen=True)
class Counts:
    """Tokens, each counted once: `fresh` is the input that no cache took part in, `output` is without reasoning."""

    fresh: int = 10
    output: int = 5
    read: int = 0
    written: int = 0
    reasoning: int = 0

    @property
    def usage(self) -> dict[str, int]:
        """Strands' usage."""
        given, made = self.fresh + self.read + self.written, self.output + self.reasoning
        usage = {"inputTokens": given, "outputTokens": made, "totalTokens": given + made}
        if self.read:
            usage["cacheReadInputTokens"] = self.read
        if self.written:
            usage["cacheWriteInputTokens"] = self.written
        return usage


def text(*pieces: str) -> Text:
    """Return a text."""
    return Text(pieces)


def thinking(*pieces: str, signature: str | None = None) -> Thinking:
    """Return a thought."""
    return Thinking(pieces, signature)


def call(call_id: str, name: str, *pieces: str, signature: str | None = None) -> Call:
    """Return a tool call."""
    return Call(call_id, name, pieces, signature)


def content(said: Iterable[Said]) -> list[ContentBlock]:
    """Return Strands' content blocks."""
    return [_block(one) for one in said]


def _block(one: Said) -> ContentBlock:
    if isinstance(one, Text):
        return {"text": one.whole}
    if isinstance(one, Redacted):
        return {"reasoningContent": {"redactedContent": {"$bytes": one.data}}}
    if isinstance(one, Thinking):
        signature = {"signature": one.signature} if one.signature else {}
        return {"reasoningContent": {"reasoningText": {"text": one.whole, **signature}}}
    signature = {"reasoningSignature": one.signature} if one.signature else {}
    return {"toolUse": {"toolUseId": one.call_id, "name": one.name, "input": one.input, **signature}}
