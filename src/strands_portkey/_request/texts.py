"""The text of content blocks, as all protocols send it."""

from __future__ import annotations

from typing import Final

from strands.types.content import ContentBlock

BLANK_TEXT: Final = "[blank text]"
"""Strands' own placeholder in the model's messages: upstreams refuse blank text."""


def text_of(block: ContentBlock) -> str | None:
    """Return the text of a block that holds text, of whatever kind; None for any other block."""
    if "text" in block:
        return block["text"]
    if "guardContent" in block and "text" in block["guardContent"]:
        return block["guardContent"]["text"]["text"]
    if "citationsContent" in block:
        return "".join(part["text"] for part in block["citationsContent"].get("content", ()) if "text" in part)
    return None
