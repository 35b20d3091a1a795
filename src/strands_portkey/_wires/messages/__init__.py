"""Anthropic's Messages: `/v1/messages`."""

from __future__ import annotations

from typing import Final

from strands_portkey._request.anthropic import thinks
from strands_portkey._request.question import Question
from strands_portkey._request.schemas import Mechanism
from strands_portkey._wires.messages.body import to_body
from strands_portkey._wires.messages.stream import MessagesTranslator
from strands_portkey._wires.wire import Wire


def _mechanisms(question: Question) -> list[Mechanism]:
    return ["auto"] if thinks(question.params) else ["forced", "auto"]


MESSAGES: Final = Wire("messages", "/messages", to_body, MessagesTranslator, _mechanisms)
"""Claude's own protocol, in which nothing of a conversation is lost."""
