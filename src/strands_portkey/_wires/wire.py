"""The interface that each protocol of the gateway implements."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from re import Pattern

from strands_portkey._answer.judgement import Judge
from strands_portkey._answer.translator import Translator
from strands_portkey._json import Body
from strands_portkey._request.question import Question
from strands_portkey._request.schemas import Mechanism


@dataclass(frozen=True)
class Wire:
    """One protocol of the gateway: it converts a question to a request body and reads the answer.

    Attributes:
        name: Its name.
        path: The path of its requests, relative to the gateway's base URL.
        to_body: Builds the body of a request.
        translator: Returns a reader for one answer, whose errors the judge creates.
        mechanisms: Returns the mechanisms for structured output, the strictest first.
        optional: Parts of the body that some upstreams refuse and the answer can do without: for each name, how a
            refusal of it reads.
    """

    name: str
    path: str
    to_body: Callable[[Question], Body]
    translator: Callable[[Judge], Translator]
    mechanisms: Callable[[Question], Sequence[Mechanism]]
    optional: Mapping[str, Pattern[str]] = field(default_factory=dict[str, Pattern[str]])
