"""The envelope in which an item of reasoning is kept in a conversation: as the signature of a thought.

So one block is one item, in its place, and it survives sessions. An item goes back only as the exact pair of id and
ciphertext that it came as, and its summary in the same parts. The phase is that of the message after it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from pydantic import JsonValue, TypeAdapter, ValidationError

# Before Python 3.12, pydantic requires this TypedDict instead of that of typing.
from typing_extensions import TypedDict

from strands_portkey._request.thoughts import RESPONSES_ENVELOPE

_BEGINNING: Final = f"{RESPONSES_ENVELOPE}1:"
_BETWEEN: Final = "\n\n"


class Envelope(TypedDict, total=False):
    """What is kept of an item of reasoning beside its text, or of the phase of a message without one before it.

    Attributes:
        id: The item's id.
        encrypted_content: Its ciphertext.
        parts: The lengths of the parts of its summary.
        phase: What the message after it is: `commentary` or `final_answer`.
    """

    id: str
    encrypted_content: str
    parts: list[int]
    phase: str


_ENVELOPE: Final = TypeAdapter(Envelope)


def to_signature(envelope: Envelope) -> str:
    """Return an envelope as the signature of a thought."""
    return _BEGINNING + json.dumps(envelope, ensure_ascii=False, separators=(",", ":"))


def read_envelope(signature: str | None) -> Envelope | None:
    """Return the envelope that a signature is; None for one of somebody else."""
    if not signature or not signature.startswith(_BEGINNING):
        return None
    try:
        return _ENVELOPE.validate_json(signature.removeprefix(_BEGINNING))
    except ValidationError:
        return None


def join_parts(parts: Sequence[str]) -> str:
    """Return the parts of a summary as one text, of paragraphs."""
    return _BETWEEN.join(parts)


def split_parts(text: str, lengths: Sequence[int] | None) -> list[JsonValue]:
    """Return a text as the parts of a summary that it was joined from; as a single one where that is not known."""
    if lengths == [] or not text:
        return []
    parts: list[str] = []
    at = 0
    for length in lengths or ():
        parts.append(text[at : at + length])
        at += length + len(_BETWEEN)
    if join_parts(parts) != text:
        parts = [text]
    return [{"type": "summary_text", "text": part} for part in parts]
