"""Conversion of images, documents, audio and video to parts of a chat completion, by dialect."""

from __future__ import annotations

import re
from collections.abc import Mapping, MutableSet, Sequence
from typing import Final

from pydantic import JsonValue

from strands_portkey._errors import PortkeyConfigError
from strands_portkey._request.media import (
    MIME_TYPES,
    TEXT_FORMATS,
    Media,
    document_as_text,
    mime_type,
    to_base64,
    to_bytes,
    to_data_url,
    to_media,
    to_url,
)
from strands_portkey._wires.chat.dialects import Dialect

Part = dict[str, JsonValue]

# Formats of OpenAI's `input_audio`.
_INPUT_AUDIO_FORMATS: Final = frozenset({"mp3", "wav"})


def media_parts(block: Mapping[str, object], dialect: Dialect) -> list[Part]:
    """Return the parts for a block with media; an empty list for any other block.

    Raises:
        PortkeyConfigError: If the upstream does not accept the media, or the gateway would drop them.
    """
    if image := to_media("image", block):
        return [_image_part(image, dialect)]
    if document := to_media("document", block):
        return _document_parts(document, dialect)
    if audio := to_media("audio", block):
        return [_audio_part(audio, dialect)]
    if video := to_media("video", block):
        return [_video_part(video, dialect)]
    return []


def _image_part(image: Media, dialect: Dialect) -> Part:
    if not dialect.images:
        raise refused("an image", dialect, "a description as text")
    if not dialect.gifs and image["format"] == "gif":
        raise refused("a GIF", dialect, "a PNG, JPEG or WebP image, or go with api='messages'")
    if "bytes" in image["source"]:
        return _image_url_part(to_data_url(mime_type("image", image), to_bytes("image", image)))
    if not dialect.image_locations:
        raise refused("an image with a location", dialect, "an image's bytes")
    return _image_url_part(to_url("image", image, dialect.image_locations))


def _document_parts(document: Media, dialect: Dialect) -> list[Part]:
    name, kind = document.get("name") or "document", document["format"]
    data = to_bytes("document", document)
    if kind in TEXT_FORMATS:
        parts: list[Part] = [{"type": "text", "text": document_as_text(document)}]
    elif dialect.documents is None or (kind != "pdf" and dialect.documents != "file"):
        works = "a PDF or plain text" if dialect.documents else "plain text (csv, html, md, txt)"
        raise refused(f"a document in the format {kind!r}", dialect, works)
    else:
        parts = [_file_part(name, kind, mime_type("document", document), data, dialect)]
    context = document.get("context")
    return [{"type": "text", "text": context}, *parts] if context else parts


def _file_part(name: str, kind: str, media_type: str, data: bytes, dialect: Dialect) -> Part:
    if dialect.documents == "base64":
        # Without `file_name` the gateway uses a random name, so that no prompt cache would hit.
        file: Part = {"file_name": _bedrock_name(name), "file_data": to_base64(data), "mime_type": media_type}
        return {"type": "file", "file": file}
    url = to_data_url(media_type, data)
    if dialect.documents == "image_url":
        return _image_url_part(url)
    if dialect.documents == "document_url":
        return {"type": "document_url", "document_url": url, "document_name": f"{name}.{kind}"}
    return {"type": "file", "file": {"filename": f"{name}.{kind}", "file_data": url}}


def _bedrock_name(name: str) -> str:
    """Return a name with the characters that Bedrock allows, short enough to append a number."""
    return re.sub(r"[^a-zA-Z0-9_()\[\]-]+", " ", name).strip()[:190].strip() or "document"


def name_apart(parts: Sequence[Part], taken: MutableSet[str]) -> None:
    """Number Bedrock's documents of the same name in new `parts`, and add their names to `taken`."""
    for part in parts:
        file = part.get("file")
        if not isinstance(file, dict) or "file_name" not in file:
            continue
        given = name = str(file["file_name"])
        number = 1
        while name in taken:
            number += 1
            name = f"{given} {number}"
        taken.add(name)
        file["file_name"] = name


def _audio_part(audio: Media, dialect: Dialect) -> Part:
    data, kind = to_bytes("audio", audio), audio["format"]
    if dialect.audio == "image_url":
        return _image_url_part(to_data_url(MIME_TYPES.get(kind, f"audio/{kind}"), data))
    if dialect.audio is None or kind not in _INPUT_AUDIO_FORMATS:
        works = "mp3 or wav" if dialect.audio else "a transcript as text"
        raise refused(f"audio in the format {kind!r}", dialect, works)
    return {"type": "input_audio", "input_audio": {"data": to_base64(data), "format": kind}}


def _video_part(video: Media, dialect: Dialect) -> Part:
    if dialect.video is None:
        raise refused("a video", dialect, "single images (only gemini accepts videos)")
    kind = video["format"]
    if "bytes" in video["source"]:
        return _image_url_part(to_data_url(MIME_TYPES.get(kind, f"video/{kind}"), to_bytes("video", video)))
    return _image_url_part(to_url("video", video, dialect.image_locations))


def _image_url_part(url: str) -> Part:
    return {"type": "image_url", "image_url": {"url": url}}


def refused(what: str, dialect: Dialect, works: str) -> PortkeyConfigError:
    """Return the error for content that this upstream does not accept; `works` names what it accepts."""
    return PortkeyConfigError(f"content for the upstream {dialect.name!r} must be {works}; got {what}")
