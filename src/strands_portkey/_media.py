"""Images, documents, audio and video in the form that each dialect takes. What none takes raises."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import Final, cast

from pydantic import JsonValue
from strands.types.content import ContentBlock
from strands.types.media import AudioContent, DocumentContent, ImageContent, VideoContent
from strands.types.tools import ToolResultContent

from ._dialects import Dialect
from ._errors import PortkeyConfigError

Part = dict[str, JsonValue]

# Python's own table depends on the host and lacks several of these.
_MIME_TYPES: Final = {
    "png": "image/png",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "pdf": "application/pdf",
    "doc": "application/msword",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xls": "application/vnd.ms-excel",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "mp3": "audio/mpeg",
    "mpga": "audio/mpeg",
    "m4a": "audio/mp4",
    "x-aac": "audio/aac",
    "mka": "audio/x-matroska",
    "mkv": "video/x-matroska",
    "mov": "video/quicktime",
    "mpg": "video/mpeg",
    "flv": "video/x-flv",
    "wmv": "video/x-ms-wmv",
    "three_gp": "video/3gpp",
}
# Documents that are text; sent as text they reach every upstream.
_TEXT_FORMATS: Final = frozenset({"csv", "html", "md", "txt"})
# What OpenAI's `input_audio` takes.
_INPUT_AUDIO_FORMATS: Final = frozenset({"mp3", "wav"})


def media_parts(block: ContentBlock | ToolResultContent, dialect: Dialect) -> list[Part]:
    """Return the parts of a message for a block that holds media.

    Args:
        block: A block with an image, a document, audio or a video.
        dialect: What the upstream takes.

    Returns:
        The parts; none for a block without media.

    Raises:
        PortkeyConfigError: If the upstream does not take it, or the gateway would drop it.
    """
    if image := block.get("image"):
        return [_image(image, dialect)]
    if document := block.get("document"):
        return _document(document, dialect)
    if audio := block.get("audio"):
        return [_audio(cast("AudioContent", audio), dialect)]
    if video := block.get("video"):
        return [_video(cast("VideoContent", video), dialect)]
    return []


def native_media(block: ToolResultContent) -> Part | None:
    """Return an image or a PDF as Anthropic's own block, for a tool's result; None where it is neither."""
    if image := block.get("image"):
        if (data := image["source"].get("bytes")) is not None:
            return _native("image", _mime_type("image", image["format"]), data)
        return {"type": "image", "source": {"type": "url", "url": _location("image", image["source"], ("https",))}}
    document = block.get("document")
    if document and document["format"] == "pdf":
        return _native("document", "application/pdf", _content("document", document["source"]))
    return None


def _native(kind: str, mime_type: str, data: bytes) -> Part:
    return {"type": kind, "source": {"type": "base64", "media_type": mime_type, "data": _base64(data)}}


def _image(image: ImageContent, dialect: Dialect) -> Part:
    if not dialect.images:
        raise _refused("image", dialect, "a description as text, or another upstream")
    source = image["source"]
    if (data := source.get("bytes")) is not None:
        return _image_url(_data_url(_mime_type("image", image["format"]), data))
    if not dialect.image_locations:
        raise _refused("image with a location", dialect, "the image's bytes")
    return _image_url(_location("image", source, dialect.image_locations))


def _document(document: DocumentContent, dialect: Dialect) -> list[Part]:
    name, kind = document.get("name") or "document", document["format"]
    data = _content("document", document["source"])
    if kind in _TEXT_FORMATS:
        text = data.decode(errors="replace")
        parts: list[Part] = [{"type": "text", "text": f'<document name="{name}" format="{kind}">\n{text}\n</document>'}]
    elif dialect.documents is None or (kind != "pdf" and dialect.documents != "file"):
        wanted = "a PDF or plain text" if dialect.documents else "plain text (csv, html, md, txt)"
        raise _refused(f"document in the format {kind!r}", dialect, wanted)
    elif dialect.documents == "base64":
        file: Part = {"filename": f"{name}.{kind}", "file_data": _base64(data), "mime_type": _mime_type("document", kind)}
        parts = [{"type": "file", "file": file}]
    else:
        url = _data_url(_mime_type("document", kind), data)
        if dialect.documents == "image_url":
            parts = [_image_url(url)]
        elif dialect.documents == "document_url":
            parts = [{"type": "document_url", "document_url": url, "document_name": f"{name}.{kind}"}]
        else:
            parts = [{"type": "file", "file": {"filename": f"{name}.{kind}", "file_data": url}}]
    context = document.get("context")
    return [{"type": "text", "text": context}, *parts] if context else parts


def _audio(audio: AudioContent, dialect: Dialect) -> Part:
    data, kind = _content("audio", audio["source"]), audio["format"]
    if dialect.audio == "image_url":
        return _image_url(_data_url(_MIME_TYPES.get(kind, f"audio/{kind}"), data))
    if dialect.audio is None or kind not in _INPUT_AUDIO_FORMATS:
        wanted = "mp3 or wav" if dialect.audio else "a transcript as text, or an upstream such as openai or gemini"
        raise _refused(f"audio in the format {kind!r}", dialect, wanted)
    return {"type": "input_audio", "input_audio": {"data": _base64(data), "format": kind}}


def _video(video: VideoContent, dialect: Dialect) -> Part:
    if dialect.video is None:
        raise _refused("video", dialect, "single images, or the upstream gemini")
    kind = video["format"]
    if (data := video["source"].get("bytes")) is None:
        return _image_url(_location("video", video["source"], dialect.image_locations))
    return _image_url(_data_url(_MIME_TYPES.get(kind, f"video/{kind}"), data))


def _image_url(url: str) -> Part:
    return {"type": "image_url", "image_url": {"url": url}}


def _data_url(mime_type: str, data: bytes) -> str:
    return f"data:{mime_type};base64,{_base64(data)}"


def _base64(data: bytes) -> str:
    return b64encode(data).decode()


def _mime_type(what: str, kind: str) -> str:
    if kind not in _MIME_TYPES:
        raise PortkeyConfigError(f"{what} has the unknown format {kind!r}")
    return _MIME_TYPES[kind]


def _content(what: str, source: Mapping[str, object]) -> bytes:
    data = source.get("bytes")
    if not isinstance(data, (bytes, bytearray)):
        raise PortkeyConfigError(f"{what} must be given by its bytes; the gateway passes on no location of one")
    return bytes(data)


def _location(what: str, source: Mapping[str, object], schemes: tuple[str, ...]) -> str:
    location = source.get("location")
    location = location if isinstance(location, Mapping) else {}
    url = location.get("url") or location.get("uri")
    if not isinstance(url, str) or url.partition("://")[0] not in schemes:
        raise PortkeyConfigError(
            f"{what} has neither bytes nor a location that can be sent: {dict(location)!r};"
            f" wanted is a 'url' or 'uri' beginning with one of {list(schemes)}"
        )
    return url


def _refused(what: str, dialect: Dialect, wanted: str) -> PortkeyConfigError:
    return PortkeyConfigError(f"{what} cannot be sent to the upstream {dialect.name!r}; it takes {wanted}")
