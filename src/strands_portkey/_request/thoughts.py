"""The model's own thoughts in a conversation: which go back to it, and how a refusal reads.

Signed and redacted thoughts only are refused; those without a mark are sometimes missed.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from hashlib import blake2b
from typing import Final

from strands.types.content import ContentBlock, Message

from strands_portkey._errors import PortkeyAPIError
from strands_portkey._request.question import Question

Signature = str | bytes
"""What marks a thought: its signature, or the bytes of a redacted one."""

RESPONSES_ENVELOPE: Final = "openai-responses:"
"""How the signature of a thought begins that is an item of the Responses protocol, which nobody else can read."""
OPENROUTER_ENVELOPE: Final = "openrouter:"
"""How the signature of a thought begins that holds OpenRouter's `reasoning_details`, likewise."""
ENVELOPES: Final = (RESPONSES_ENVELOPE, OPENROUTER_ENVELOPE)
"""How signatures begin that Claude cannot read."""

_JUDGED_STATUS: Final = frozenset({400, 404, 422, None})  # None: in a stream.
_REFUSED: Final = re.compile(
    r"bound to a different conversation"  # Claude's newest models, where what stands before a thought has changed
    r"|thinking.{0,40} blocks.{0,60}(cannot be modified|must match the parameters)"  # Claude: not as it was
    r"|invalid .{0,2}data.{0,2} in .{0,2}redacted_thinking"  # Claude: from another account
    r"|invalid .{0,2}(thought.)?signature"  # Claude and Gemini: by another model, or from another account
    r"|encrypted content .{0,80}could not be (verified|decrypted|parsed)"  # OpenAI, Azure
    r"|\bitem .{0,80}of type .reasoning. was provided without its required following item"
    r"|\bitem .{0,80}without its required .reasoning. item"
    r"|\bitem with id .{0,3}rs_.{0,80}not found",
    re.IGNORECASE,
)
_MISSED: Final = re.compile(
    r"missing .?reasoning_content"  # DeepSeek
    r"|reasoning_content.? is missing"  # Kimi
    r"|reasoning_content.? in the thinking mode must be passed back",  # DeepSeek, MiMo
    re.IGNORECASE,
)


def signature_of(block: ContentBlock) -> Signature | None:
    """Return what marks a block as a thought; None for one without a mark, and for all that is no thought."""
    if "reasoningContent" not in block:
        return None
    thought = block["reasoningContent"]
    return thought.get("redactedContent") or thought.get("reasoningText", {}).get("signature") or None


def signatures_of(messages: Sequence[Message]) -> Iterator[Signature]:
    """Yield what marks each thought of a conversation."""
    for message in messages:
        if message["role"] == "assistant":
            for block in message["content"]:
                if signature := signature_of(block):
                    yield signature


def without_thoughts(messages: Sequence[Message], left_out: Collection[Signature]) -> Sequence[Message]:
    """Return a conversation without some of its thoughts; nothing given is written into."""
    if not left_out:
        return messages
    return [
        {**message, "content": [block for block in message["content"] if signature_of(block) not in left_out]}
        for message in messages
    ]


def fingerprints(question: Question) -> Iterator[bytes]:
    """Yield a hash of all that stands before each message, and last before the answer: a thought is bound to that."""
    before = blake2b(repr((question.system, question.tool_specs)).encode(errors="replace"), digest_size=16)
    yield before.digest()
    for message in question.messages:
        before.update(repr((message["role"], message["content"])).encode(errors="replace"))
        yield before.digest()


def is_refusal(error: PortkeyAPIError) -> bool:
    """Whether an upstream refuses a thought that was replayed."""
    if error.status_code not in _JUDGED_STATUS:
        return False
    return error.code == "invalid_encrypted_content" or bool(_REFUSED.search(str(error)))


def is_missed(error: PortkeyAPIError) -> bool:
    """Whether an upstream refuses a conversation in which it misses thoughts without a mark."""
    return error.status_code in _JUDGED_STATUS and bool(_MISSED.search(str(error)))
