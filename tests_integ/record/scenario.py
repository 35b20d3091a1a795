"""What is recorded: a scenario is one exchange with one provider, and what the model meant by it."""

from __future__ import annotations

import dataclasses
import fnmatch
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from tests_integ.record.providers import (
    ANTHROPIC,
    BEDROCK,
    COHERE,
    DEEPSEEK,
    FIREWORKS,
    GOOGLE,
    GROQ,
    OLLAMA,
    OPENROUTER,
    PERPLEXITY,
    TOGETHER,
    VERTEX,
    VERTEX_CLAUDE,
    Provider,
)
from tests_integ.upstream import Reply
from tests_integ.wires.said import Call, Counts, Redacted, Said, Thinking, content

VARIANTS = ("loose.stream", "strict.stream", "loose.json", "strict.json")
StopReason = Literal["end_turn", "tool_use", "max_tokens", "stop_sequence", "content_filtered", "guardrail_intervened"]
Expectation = dict[str, Any]


@dataclass(frozen=True)
class Meant:
    """The expected result of a recording: a message."""

    said: Sequence[Said]
    stop_reason: StopReason
    counts: Counts | None = field(default_factory=Counts)
    hook_results: bool = False

    def expectation(self) -> Expectation:
        """Return it in the form of the file beside the recording."""
        return {
            "message": {"role": "assistant", "content": content(self.said)},
            "stop_reason": self.stop_reason,
            "usage": self.counts.usage if self.counts else None,
        }


@dataclass(frozen=True)
class Failed:
    """The expected result of a recording: an error. None stands for: not asserted."""

    kind: str
    status_code: int | None = None
    origin: Literal["gateway", "provider"] | None = "provider"
    retryable: bool = False
    message_contains: str = ""

    def expectation(self) -> Expectation:
        """Return it in the form of the file beside the recording."""
        return {
            "error": {
                "type": self.kind,
                "status_code": self.status_code,
                "origin": self.origin,
                "retryable": self.retryable,
                "message_contains": self.message_contains,
            }
        }


CUT = Failed("PortkeyStreamError", origin=None, retryable=True)
"""The body ended without a finish reason; it is not known who broke it off."""

Outcome = Meant | Failed


@dataclass(frozen=True)
class Scenario:
    """One exchange, recorded in up to four variants.

    Attributes:
        provider: Who is asked.
        name: The name of the recordings.
        stream: The upstream's replies where a stream is asked for, one for each request that the gateway makes; None
            where it is not.
        answer: The same where one JSON body is asked for.
        meant: The expected result, unless `lost` says otherwise.
        lost: The expected result of the variants whose name matches a pattern, where the gateway loses or changes more
            than it does everywhere with this provider. The first match counts.
        headers: More request headers; a value of None takes one away.
        config: `x-portkey-config`; the text `UPSTREAM` in it becomes the upstream's URL.
        folder: The folder, where it is not the provider's.
        until: The replies' gates open once this has arrived at the client. What an upstream sends before it dies is
            lost when the gateway has not read it yet, so an upstream that dies waits first.
        wire: The protocol that is asked for: the first folder of a recording.
        strict: Whether strict mode is recorded too; not everywhere, or half of the recordings would say little new.
    """

    provider: Provider
    name: str
    meant: Outcome
    stream: Sequence[Reply] | None = None
    answer: Sequence[Reply] | None = None
    lost: Mapping[str, Outcome] = field(default_factory=dict)
    headers: Mapping[str, str | None] = field(default_factory=dict)
    config: Any = None
    folder: str | None = None
    until: bytes = b""
    wire: Literal["chat", "responses"] = "chat"
    strict: bool = False

    def replies(self, variant: str) -> Sequence[Reply] | None:
        """Return the upstream's replies in a variant, or None where there is no such variant."""
        if variant.startswith("strict") and not (self.strict or any("strict" in pattern for pattern in self.lost)):
            return None
        return self.stream if variant.endswith("stream") else self.answer

    def path(self, variant: str) -> str:
        """Return the name of a recording, without its suffix."""
        return f"{self.wire}/{self.folder or self.provider.folder}/{self.name}.{variant}"

    def expectation(self, variant: str) -> Expectation:
        """Return the expected result of a variant."""
        for pattern, outcome in self.lost.items():
            if fnmatch.fnmatch(variant, pattern):
                return outcome.expectation()
        meant = self.meant
        if isinstance(meant, Meant):
            meant = through_the_gateway(self.provider, variant, meant)
        return meant.expectation()


def through_the_gateway(provider: Provider, variant: str, meant: Meant) -> Meant:
    """Return what is left of a message after what the gateway does to all of this provider's messages.

    It drops reasoning, and more with some; it gives Gemini's calls ids of its own.
    """
    said = [one for one in meant.said if not _is_lost(provider, variant, one)]
    if provider in (GOOGLE, VERTEX):
        # Where the answer is one JSON body, its own id is made up too, and comes first.
        first = 2 if variant.endswith("json") else 1
        said = _renumbered(said, first, keep_signatures=variant.startswith("loose"))
    stop_reason = meant.stop_reason
    if stop_reason == "tool_use" and not any(isinstance(one, Call) for one in said):
        stop_reason = "end_turn"
    counts = meant.counts
    if counts and (provider.folder, variant.split(".")[1]) in _NO_CACHE_COUNTS:
        counts = dataclasses.replace(counts, fresh=counts.fresh + counts.read, read=0)
    if variant.endswith("stream") and provider in (OLLAMA, TOGETHER):
        counts = None
    return dataclasses.replace(meant, said=said, stop_reason=stop_reason, counts=counts)


_NO_CACHE_COUNTS = {(GROQ.folder, "stream"), (DEEPSEEK.folder, "json")}


def _is_lost(provider: Provider, variant: str, one: Said) -> bool:
    in_json = variant.endswith("json")
    if isinstance(one, Thinking | Redacted):
        if provider in (ANTHROPIC, VERTEX_CLAUDE, BEDROCK, GOOGLE, VERTEX) and variant.startswith("strict"):
            return True
        if provider is VERTEX_CLAUDE and in_json and isinstance(one, Redacted):
            return True
        if provider in (COHERE, TOGETHER, PERPLEXITY) or (provider is OPENROUTER and variant == "strict.json"):
            return True
        return provider in (DEEPSEEK, FIREWORKS) if in_json else provider is GROQ
    if isinstance(one, Call):
        return provider is (DEEPSEEK if in_json else TOGETHER)
    return False


def _renumbered(said: Sequence[Said], first: int, *, keep_signatures: bool) -> list[Said]:
    numbers = itertools.count(first)
    return [
        dataclasses.replace(
            one,
            call_id=f"portkey-00000000-0000-4000-8000-{next(numbers):012}",
            signature=one.signature if keep_signatures else None,
        )
        if isinstance(one, Call)
        else one
        for one in said
    ]
