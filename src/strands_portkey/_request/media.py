"""Validation and encoding of Strands' images, documents, audio and video."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import Annotated, Final, Literal

from pydantic import BeforeValidator, ConfigDict, StringConstraints, TypeAdapter, ValidationError, with_config
from typing_extensions import Buffer, Required, TypedDict

from strands_portkey._errors import PortkeyConfigError


class _SourceLocation(TypedDict, total=False):
    url: str
    uri: str


def _of_buffer(data: object) -> object:
    return bytes(data) if isinstance(data, Buffer) else data


class _MediaSource(TypedDict, total=False):
    bytes: Annotated[bytes, BeforeValidator(_of_buffer)]
    location: _SourceLocation


class _Citations(TypedDict, total=False):
    enabled: bool


@with_config(ConfigDict(strict=True))
class Media(TypedDict, total=False):
    """Strands' images, documents, audio and video; the oldest supported Strands has no type for audio."""

    format: Required[Annotated[str, StringConstraints(to_lower=True)]]
    source: Required[_MediaSource]
    name: str | None
    context: str | None
    citations: _Citations | None


_MEDIA: Final = TypeAdapter(Media)
MediaKind = Literal["image", "document", "audio", "video"]

# Python's own table depends on the host and lacks several of these.
MIME_TYPES: Final = {
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

TEXT_FORMATS: Final = frozenset({"csv", "html", "md", "txt"})
"""Formats of documents that are sent as text, which every upstream accepts."""


def to_media(kind: MediaKind, block: Mapping[str, object]) -> Media | None:
    """Return the media of one kind in a block, or None.

    Raises:
        PortkeyConfigError: If they do not have the form that Strands defines.
    """
    if kind not in block:
        return None
    try:
        return _MEDIA.validate_python(block[kind])
    except ValidationError as error:
        # Without the input, which may be megabytes.
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the whole"
        raise PortkeyConfigError(
            f"{kind} must have the form that Strands defines; got at {where}: {first['msg']}"
        ) from None


def mime_type(kind: MediaKind, media: Media) -> str:
    """Return the MIME type of an image or a document.

    Raises:
        PortkeyConfigError: If its format is unknown.
    """
    if (known := MIME_TYPES.get(media["format"])) is None:
        raise PortkeyConfigError(f"{kind} must be of a known format; got {media['format']!r}")
    return known


def to_bytes(kind: MediaKind, media: Media) -> bytes:
    """Return the bytes of media.

    Raises:
        PortkeyConfigError: If there are none.
    """
    if "bytes" not in media["source"]:
        raise PortkeyConfigError(
            f"{kind} must be given by its bytes, since the gateway does not pass on locations; got none"
        )
    if not media["source"]["bytes"]:
        raise PortkeyConfigError(f"{kind} must hold bytes, since upstreams refuse an empty one; got 0 bytes")
    return media["source"]["bytes"]


def document_as_text(document: Media) -> str:
    """Return a document in one of `TEXT_FORMATS` as text that names it."""
    text = to_bytes("document", document).decode(errors="replace")
    return f'<document name="{document.get("name") or "document"}" format="{document["format"]}">\n{text}\n</document>'


def to_url(kind: MediaKind, media: Media, schemes: tuple[str, ...]) -> str:
    """Return the location of media.

    Raises:
        PortkeyConfigError: If there is no location with one of the `schemes`.
    """
    location = media["source"].get("location", {})
    url = location.get("url") or location.get("uri") or ""
    scheme, _, rest = url.partition("://")
    if scheme not in schemes or not rest:
        # Without the rest, which may hold a signature or a password.
        got = f"a location that begins with {scheme!r}" if rest else "none of these"
        known = " or ".join(schemes)
        raise PortkeyConfigError(f"{kind} must have bytes, or a 'url' or 'uri' that begins with {known}; got {got}")
    return url


def to_data_url(media_type: str, data: bytes) -> str:
    """Return bytes as a data URL."""
    return f"data:{media_type};base64,{to_base64(data)}"


def to_base64(data: bytes) -> str:
    """Return bytes as base64 text."""
    return b64encode(data).decode()
