"""Conversion of media to Anthropic's content blocks."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import JsonValue

from strands_portkey._request.media import mime_type, to_base64, to_bytes, to_media, to_url


def anthropic_media(block: Mapping[str, object]) -> dict[str, JsonValue] | None:
    """Return the image or PDF of a tool's result; None if the block holds neither."""
    if image := to_media("image", block):
        if "bytes" in image["source"]:
            return _with_data("image", mime_type("image", image), to_bytes("image", image))
        return {"type": "image", "source": {"type": "url", "url": to_url("image", image, ("https",))}}
    document = to_media("document", block)
    if document is None or document["format"] != "pdf":
        return None
    part = _with_data("document", "application/pdf", to_bytes("document", document))
    described = {"title": document.get("name"), "context": document.get("context")}
    return part | {key: text for key, text in described.items() if text}


def _with_data(kind: str, media_type: str, data: bytes) -> dict[str, JsonValue]:
    return {"type": kind, "source": {"type": "base64", "media_type": media_type, "data": to_base64(data)}}
