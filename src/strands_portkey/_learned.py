"""What a model learns from the answers to earlier calls, so that later ones are right from the first request on.

Kept by the model, not by the process: the routing behind a gateway may change. Each step is atomic, since threads share
it; each list has a bound, since a model may live for long.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Hashable, Iterable
from typing import Final, TypeVar

from strands_portkey._request.question import Question
from strands_portkey._request.schemas import MECHANISMS, Mechanism
from strands_portkey._request.thoughts import Signature, fingerprints, signature_of, signatures_of
from strands_portkey._settings.upstreams import Route

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")

logger: Final = logging.getLogger(__name__)

_MOST_ROUTES: Final = 1000
_MOST_THOUGHTS: Final = 10_000
_MOST_NAMES: Final = 20  # Of a route.


class Learned:
    """What the upstreams of a model have refused, and who they are."""

    def __init__(self) -> None:
        """Begin without knowing anything."""
        self._rejected: set[tuple[str, str]] = set()
        self._names: dict[Route, tuple[str, ...]] = {}
        self._wants_reasoning: dict[Route, None] = {}  # A set with an order.
        self._bound_to: dict[Signature, bytes | None] = {}

    # -- ways to hold an answer to a schema, and other parts of a request --

    def reject(self, model_id: str, part: str) -> None:
        """Remember that a mechanism, or an optional part of the body, was refused."""
        self._rejected.add((model_id, part))
        logger.info("model_id=<%s>, part=<%s> | refused, no longer sent", model_id, part)

    def rejected(self, model_id: str, parts: Iterable[str]) -> frozenset[str]:
        """Return those of the parts that were refused."""
        return frozenset(part for part in parts if (model_id, part) in self._rejected)

    def allowed(self, model_id: str) -> set[Mechanism]:
        """Return the mechanisms that were not refused."""
        return {each for each in MECHANISMS if (model_id, each) not in self._rejected}

    # -- who answers --

    def answered(self, route: Route, name: str) -> None:
        """Remember who has answered by a route."""
        known = self.names(route)
        if known[-1:] != (name,):
            others = [each for each in known if each != name]
            _put(self._names, route, (*others, name)[-_MOST_NAMES:], _MOST_ROUTES)
            if name not in known:
                logger.info("model_id=<%s>, upstream=<%s> | learned who answers", route[0], name)

    def names(self, route: Route) -> tuple[str, ...]:
        """Return the names of those who have answered by a route, the latest last."""
        return self._names.get(route, ())

    # -- thoughts --

    def want_reasoning(self, route: Route) -> None:
        """Remember that an upstream wants reasoning back."""
        _put(self._wants_reasoning, route, None, _MOST_ROUTES)
        logger.info("model_id=<%s> | wants its reasoning back, sent from now on", route[0])

    def wants_reasoning(self, route: Route) -> bool:
        """Whether the upstream that a route leads to wants reasoning back."""
        return route in self._wants_reasoning

    def refuse(self, signatures: Collection[Signature]) -> None:
        """Remember thoughts that were refused."""
        for signature in signatures:
            _put(self._bound_to, signature, None, _MOST_THOUGHTS)

    def is_edited(self, question: Question) -> bool:
        """Whether a conversation has thoughts that were refused, or came after such."""
        return bool(self._bound_to) and any(mark in self._bound_to for mark in signatures_of(question.messages))

    def stale_thoughts(self, question: Question) -> frozenset[Signature]:
        """Return the thoughts of an edited conversation that are refused, as something before them has changed."""
        return frozenset(
            mark
            for message, before in zip(question.messages, fingerprints(question), strict=False)
            for block in message["content"]
            if (mark := signature_of(block)) and self._bound_to.get(mark, before) != before
        )

    def bind(self, question: Question, signatures: Collection[Signature]) -> None:
        """Remember what the thoughts of an answer, in an edited conversation, are bound to."""
        *_, asked = fingerprints(question)
        for signature in signatures:
            _put(self._bound_to, signature, asked, _MOST_THOUGHTS)


def _put(entries: dict[Key, Value], key: Key, value: Value, most: int) -> None:
    """Keep an entry; the older half goes where there are too many."""
    entries[key] = value
    if len(entries) > most:
        for old in list(entries)[: most // 2]:
            entries.pop(old, None)
