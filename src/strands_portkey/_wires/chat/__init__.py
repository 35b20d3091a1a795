"""Chat completions: `/v1/chat/completions`."""

from __future__ import annotations

from typing import Final

from strands_portkey._json import Body
from strands_portkey._request.question import Question
from strands_portkey._request.schemas import Mechanism
from strands_portkey._wires.chat.body import to_body
from strands_portkey._wires.chat.dialects import find_dialect, find_mechanisms
from strands_portkey._wires.chat.stream import ChatTranslator
from strands_portkey._wires.wire import Wire


def _to_body(question: Question) -> Body:
    return to_body(question, find_dialect(question.upstreams))


def _chat_mechanisms(question: Question) -> list[Mechanism]:
    return find_mechanisms(find_dialect(question.upstreams), question.params)


CHAT: Final = Wire("chat", "/chat/completions", _to_body, ChatTranslator, _chat_mechanisms)
"""The protocol that every upstream of the gateway supports."""
