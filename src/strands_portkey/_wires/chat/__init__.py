"""Chat completions: `/v1/chat/completions`."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from strands_portkey._json import Body
from strands_portkey._request.question import Question
from strands_portkey._request.schemas import Mechanism
from strands_portkey._wires.chat.body import to_body
from strands_portkey._wires.chat.dialects import find_dialect, find_mechanisms
from strands_portkey._wires.chat.stream import ChatTranslator
from strands_portkey._wires.wire import Wire


def _to_body(question: Question) -> Body:
    dialect = find_dialect(question.upstreams, question.providers)
    if question.wants_reasoning:
        dialect = replace(dialect, reasoning="reasoning_content", reasoning_required=True)
    return to_body(question, dialect)


def _mechanisms(question: Question) -> list[Mechanism]:
    return find_mechanisms(find_dialect(question.upstreams, question.providers), question.params)


CHAT: Final = Wire("chat", "/chat/completions", _to_body, ChatTranslator, _mechanisms)
"""The protocol that every upstream of the gateway supports."""
