"""The text of content blocks, as all protocols send it."""

from __future__ import annotations

from typing import Final

from strands.types.content import ContentBlock

from strands_portkey._errors import PortkeyConfigError

BLANK_TEXT: Final = "[blank text]"
"""Strands' own placeholder in the model's messages: upstreams refuse blank text."""


def only_blank_text() -> PortkeyConfigError:
    """Return the error for a conversation of which nothing is left to send."""
    return PortkeyConfigError("messages must hold content other than blank text; got only blank text")


def text_of(block: ContentBlock) -> str | None:
    """Return the text of a block that holds text, of whatever kind; None for any other block."""
    if "text" in block:
        return block["text"]
    if "guardContent" in block and "text" in block["guardContent"]:
        return block["guardContent"]["text"]["text"]
    if "citationsContent" in block:
        return "".join(part["text"] for part in block["citationsContent"].get("content", ()) if "text" in part)
    return None
