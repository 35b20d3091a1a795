"""OpenAI's Responses: `/v1/responses`."""

from __future__ import annotations

import re
from typing import Final

from strands_portkey._request.question import Question
from strands_portkey._request.schemas import MECHANISMS, Mechanism
from strands_portkey._wires.responses.body import BREAKPOINTS, INCLUDE, to_body
from strands_portkey._wires.responses.stream import ResponsesTranslator
from strands_portkey._wires.wire import Wire


def _all_mechanisms(_: Question) -> list[Mechanism]:
    return list(MECHANISMS)


RESPONSES: Final = Wire(
    "responses",
    "/responses",
    to_body,
    ResponsesTranslator,
    _all_mechanisms,
    {
        INCLUDE: re.compile(r"(?i)^include\b|encrypted content is not supported"),
        BREAKPOINTS: re.compile(r"prompt_cache_breakpoint"),
    },
)
"""The protocol that OpenAI's newest models need for tools."""
