"""Images, documents, audio and video in the form that each dialect takes. What none takes raises."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Annotated, Final, Literal

from pydantic import (
    BeforeValidator,
    ConfigDict,
    JsonValue,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    with_config,
)
from typing_extensions import Buffer, Required, TypedDict

from ._dialects import Dialect
from ._errors import PortkeyConfigError

Part = dict[str, JsonValue]


class _Location(TypedDict, total=False):
    url: str
    uri: str


def _to_bytes(data: object) -> object:
    return bytes(data) if isinstance(data, Buffer) else data


class _Source(TypedDict, total=False):
    bytes: Annotated[bytes, BeforeValidator(_to_bytes)]
    location: _Location


@with_config(ConfigDict(strict=True))
class _Media(TypedDict, total=False):
    """What Strands' images, documents, audio and video hold; audio is younger than our lowest Strands."""

    format: Required[Annotated[str, StringConstraints(to_lower=True)]]
    source: Required[_Source]
    name: str | None
    context: str | None


_MEDIA: Final = TypeAdapter(_Media)
_Kind = Literal["image", "document", "audio", "video"]

# Python's own table depends on the host and lacks several of these.
_MIME_TYPES: Final = {
    "png": "image/png",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
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


def media_parts(block: Mapping[str, object], dialect: Dialect) -> list[Part]:
    """Return the parts of a message for a block that holds media; none for a block without.

    Raises:
        PortkeyConfigError: If the upstream does not take it, or the gateway would drop it.
    """
    if image := _media("image", block):
        return [_image(image, dialect)]
    if document := _media("document", block):
        return _document(document, dialect)
    if audio := _media("audio", block):
        return [_audio(audio, dialect)]
    if video := _media("video", block):
        return [_video(video, dialect)]
    return []


def native_media(block: Mapping[str, object]) -> Part | None:
    """Return an image or a PDF as Anthropic's own block, for a tool's result; None where it is neither."""
    if image := _media("image", block):
        if "bytes" in image["source"]:
            return _native("image", _mime_type("image", image), _content("image", image))
        return {"type": "image", "source": {"type": "url", "url": _location("image", image, ("https",))}}
    document = _media("document", block)
    if document is None or document["format"] != "pdf":
        return None
    part = _native("document", "application/pdf", _content("document", document))
    described: Part = {"title": document.get("name"), "context": document.get("context")}
    return part | {key: text for key, text in described.items() if text}


def _media(kind: _Kind, block: Mapping[str, object]) -> _Media | None:
    if kind not in block:
        return None
    try:
        return _MEDIA.validate_python(block[kind])
    except ValidationError as error:
        # Without the input, which may be megabytes.
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the whole"
        raise PortkeyConfigError(f"{kind} is not of Strands' form: {where}: {first['msg']}") from None


def _native(kind: str, mime_type: str, data: bytes) -> Part:
    return {"type": kind, "source": {"type": "base64", "media_type": mime_type, "data": _base64(data)}}


def _image(image: _Media, dialect: Dialect) -> Part:
    if not dialect.images:
        raise refused("image", dialect, "a description as text")
    if "bytes" in image["source"]:
        return _image_url(_data_url(_mime_type("image", image), _content("image", image)))
    if not dialect.image_locations:
        raise refused("image with a location", dialect, "the image's bytes")
    return _image_url(_location("image", image, dialect.image_locations))


def _document(document: _Media, dialect: Dialect) -> list[Part]:
    name, kind = document.get("name") or "document", document["format"]
    data = _content("document", document)
    if kind in _TEXT_FORMATS:
        text = data.decode(errors="replace")
        parts: list[Part] = [{"type": "text", "text": f'<document name="{name}" format="{kind}">\n{text}\n</document>'}]
    elif dialect.documents is None or (kind != "pdf" and dialect.documents != "file"):
        wanted = "a PDF or plain text" if dialect.documents else "plain text (csv, html, md, txt)"
        raise refused(f"document in the format {kind!r}", dialect, wanted)
    else:
        parts = [_file(name, kind, _mime_type("document", document), data, dialect)]
    context = document.get("context")
    return [{"type": "text", "text": context}, *parts] if context else parts


def _file(name: str, kind: str, mime_type: str, data: bytes, dialect: Dialect) -> Part:
    if dialect.documents == "base64":
        # Without `file_name` the gateway makes a name up, and no prefix is the same twice.
        file: Part = {"file_name": _bedrock_name(name), "file_data": _base64(data), "mime_type": mime_type}
        return {"type": "file", "file": file}
    url = _data_url(mime_type, data)
    if dialect.documents == "image_url":
        return _image_url(url)
    if dialect.documents == "document_url":
        return {"type": "document_url", "document_url": url, "document_name": f"{name}.{kind}"}
    return {"type": "file", "file": {"filename": f"{name}.{kind}", "file_data": url}}


def _bedrock_name(name: str) -> str:
    """Return a name in the letters that Bedrock allows, with room for a number."""
    return re.sub(r"[^a-zA-Z0-9_()\[\]-]+", " ", name).strip()[:190].strip() or "document"


def name_apart(parts: Sequence[Part]) -> None:
    """Number Bedrock's documents of the same name among the parts of a request, which this package has just made."""
    taken: set[str] = set()
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


def _audio(audio: _Media, dialect: Dialect) -> Part:
    data, kind = _content("audio", audio), audio["format"]
    if dialect.audio == "image_url":
        return _image_url(_data_url(_MIME_TYPES.get(kind, f"audio/{kind}"), data))
    if dialect.audio is None or kind not in _INPUT_AUDIO_FORMATS:
        wanted = "mp3 or wav" if dialect.audio else "a transcript as text"
        raise refused(f"audio in the format {kind!r}", dialect, wanted)
    return {"type": "input_audio", "input_audio": {"data": _base64(data), "format": kind}}


def _video(video: _Media, dialect: Dialect) -> Part:
    if dialect.video is None:
        raise refused("video", dialect, "single images; of all upstreams, gemini takes a video")
    kind = video["format"]
    if "bytes" in video["source"]:
        return _image_url(_data_url(_MIME_TYPES.get(kind, f"video/{kind}"), _content("video", video)))
    return _image_url(_location("video", video, dialect.image_locations))


def _image_url(url: str) -> Part:
    return {"type": "image_url", "image_url": {"url": url}}


def _data_url(mime_type: str, data: bytes) -> str:
    return f"data:{mime_type};base64,{_base64(data)}"


def _base64(data: bytes) -> str:
    return b64encode(data).decode()


def _mime_type(kind: _Kind, media: _Media) -> str:
    if (mime_type := _MIME_TYPES.get(media["format"])) is None:
        raise PortkeyConfigError(f"{kind} has the unknown format {media['format']!r}")
    return mime_type


def _content(kind: _Kind, media: _Media) -> bytes:
    if "bytes" not in media["source"]:
        raise PortkeyConfigError(f"{kind} must be given by its bytes; the gateway passes on no location of one")
    if not media["source"]["bytes"]:
        raise PortkeyConfigError(f"{kind} has no bytes in it; upstreams refuse an empty one")
    return media["source"]["bytes"]


def _location(kind: _Kind, media: _Media, schemes: tuple[str, ...]) -> str:
    location = media["source"].get("location", {})
    url = location.get("url") or location.get("uri") or ""
    scheme, _, rest = url.partition("://")
    if scheme not in schemes or not rest:
        # Without the query, which may be signed.
        given = f"the location {url.partition('?')[0]!r}" if url else "neither bytes nor a location"
        wanted = f"bytes, or a 'url' or 'uri' beginning with {' or '.join(schemes)}"
        raise PortkeyConfigError(f"{kind} has {given}; wanted is {wanted}")
    return url


def refused(what: str, dialect: Dialect, wanted: str) -> PortkeyConfigError:
    """Return the error for what no upstream, or not this one, can be sent."""
    return PortkeyConfigError(f"{what} cannot be sent to the upstream {dialect.name!r}; what works is {wanted}")
