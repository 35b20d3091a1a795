"""What a protocol of the gateway is made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from strands_portkey._answer.judgement import Judge
from strands_portkey._answer.translator import Translator
from strands_portkey._json import Body
from strands_portkey._request.question import Question
from strands_portkey._request.schemas import Mechanism


@dataclass(frozen=True)
class Wire:
    """One protocol of the gateway: how a question becomes a body, and how the answer is read.

    Attributes:
        name: Its name.
        path: Where its requests go, below the gateway's base URL.
        to_body: Builds the body of a request.
        translator: Makes what reads one answer, whose errors the judge makes.
        mechanisms: Returns the ways to hold the answer to a schema, the firmest first.
    """

    name: str
    path: str
    to_body: Callable[[Question], Body]
    translator: Callable[[Judge], Translator]
    mechanisms: Callable[[Question], Sequence[Mechanism]]
