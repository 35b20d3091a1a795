"""Content blocks in Anthropic's own form, and what its parameters say of thinking."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import Final

from pydantic import JsonValue
from strands.types.content import ReasoningContentBlock

from strands_portkey._json import Body
from strands_portkey._request.media import TEXT_FORMATS, Media, mime_type, to_base64, to_bytes, to_media, to_url
from strands_portkey._request.thoughts import ENVELOPES

CLAUDE_IDS: Final = r"[a-zA-Z0-9_-]{1,64}"
"""Regular expression for the ids of calls that Claude accepts."""

MAX_TOKENS: Final = 4096
"""The default for the tokens of an answer, of which Claude requires a number, beside those for thinking."""


def anthropic_media(block: Mapping[str, object]) -> Body | None:
    """Return an image or a PDF; None if the block holds neither."""
    if image := to_media("image", block):
        if "bytes" in image["source"]:
            return _with_data("image", mime_type("image", image), to_bytes("image", image))
        return {"type": "image", "source": {"type": "url", "url": to_url("image", image, ("https",))}}
    document = to_media("document", block)
    if document is None or document["format"] != "pdf":
        return None
    part = _with_data("document", "application/pdf", to_bytes("document", document))
    return part | _described(document)


def text_document(block: Mapping[str, object]) -> Body | None:
    """Return a document of text; None if the block holds none."""
    document = to_media("document", block)
    if document is None or document["format"] not in TEXT_FORMATS:
        return None
    text = to_bytes("document", document).decode(errors="replace")
    source: Body = {"type": "text", "media_type": "text/plain", "data": text}
    return {"type": "document", "source": source, **_described(document)}


def _described(document: Media) -> Body:
    described = {"title": document.get("name"), "context": document.get("context")}
    found: Body = {key: text for key, text in described.items() if text}
    if (citations := document.get("citations")) and citations.get("enabled"):
        found["citations"] = {"enabled": True}
    return found


def _with_data(kind: str, media_type: str, data: bytes) -> Body:
    return {"type": kind, "source": {"type": "base64", "media_type": media_type, "data": to_base64(data)}}


def to_thinking(thought: ReasoningContentBlock) -> Body | None:
    """Return a thought as Claude has signed or redacted it; None for one that is not signed, or by another model."""
    if redacted := thought.get("redactedContent"):
        return {"type": "redacted_thinking", "data": _redacted_data(redacted)}
    text = thought.get("reasoningText", {})
    signature = text.get("signature")
    if not signature or signature.startswith(ENVELOPES):
        return None
    return {"type": "thinking", "thinking": text.get("text") or "", "signature": signature}


def _redacted_data(redacted: bytes) -> str:
    """Return the text that this package has stored, or bytes stored by Strands' Bedrock provider as base64."""
    return redacted.decode() if redacted.isascii() else b64encode(redacted).decode()


def thinks(params: Mapping[str, JsonValue]) -> bool:
    """Whether parameters turn thinking on: a forced tool is refused then."""
    thinking = params.get("thinking")
    return isinstance(thinking, dict) and thinking.get("type") != "disabled"


def thinking_budget(params: Mapping[str, JsonValue]) -> int:
    """Return Claude's budget for thinking, which is part of the tokens of the answer."""
    thinking = params.get("thinking")
    budget = thinking.get("budget_tokens") if isinstance(thinking, dict) else None
    return budget if isinstance(budget, int) else 0
