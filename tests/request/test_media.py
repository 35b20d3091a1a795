"""Images, documents, audio and video in each dialect's form; what cannot be sent raises."""

from __future__ import annotations

from typing import Any

import pytest

from strands_portkey import PortkeyConfigError
from strands_portkey._request.anthropic import anthropic_media
from strands_portkey._wires.chat.dialects import DIALECTS
from strands_portkey._wires.chat.media import media_parts, name_apart

PNG = {"image": {"format": "png", "source": {"bytes": b"png"}}}
PDF = {"document": {"format": "pdf", "name": "report", "source": {"bytes": b"pdf"}}}
DATA_PNG = "data:image/png;base64,cG5n"
DATA_PDF = "data:application/pdf;base64,cGRm"


def image_at(**location: str) -> dict[str, object]:
    return {"image": {"format": "png", "source": {"location": {"type": "url", **location}}}}


def image_url(url: str) -> dict[str, object]:
    return {"type": "image_url", "image_url": {"url": url}}


@pytest.mark.parametrize(
    ("dialect", "block", "parts"),
    [
        pytest.param("openai", {"text": "no media"}, [], id="no media"),
        pytest.param("openai", PNG, [image_url(DATA_PNG)], id="image"),
        pytest.param(
            "openai",
            {"image": {"format": "JPG", "source": {"bytes": bytearray(b"png")}}},
            [image_url("data:image/jpeg;base64,cG5n")],
            id="the short name of a format, in capitals",
        ),
        pytest.param(
            "openai",
            {"image": {"format": "png", "source": {"bytes": memoryview(b"png")}}},
            [image_url(DATA_PNG)],
            id="a view",
        ),
        pytest.param("openai", image_at(url="https://x/i.png"), [image_url("https://x/i.png")], id="image by url"),
        pytest.param("gemini", image_at(uri="gs://b/i.png"), [image_url("gs://b/i.png")], id="gemini: image by gs"),
        pytest.param(
            "openai",
            PDF,
            [{"type": "file", "file": {"filename": "report.pdf", "file_data": DATA_PDF}}],
            id="openai: a file with a data URL",
        ),
        pytest.param("anthropic", PDF, [image_url(DATA_PDF)], id="anthropic: an image_url, which can be cached"),
        pytest.param("gemini", PDF, [image_url(DATA_PDF)], id="gemini: an image_url, since files are dropped"),
        pytest.param(
            "bedrock",
            PDF,
            [
                {
                    "type": "file",
                    "file": {"file_name": "report", "file_data": "cGRm", "mime_type": "application/pdf"},
                }
            ],
            id="bedrock: bare base64",
        ),
        pytest.param(
            "mistral",
            PDF,
            [{"type": "document_url", "document_url": DATA_PDF, "document_name": "report.pdf"}],
            id="mistral: a document_url",
        ),
        pytest.param(
            "openai",
            {"document": {"format": "docx", "source": {"bytes": b"d"}}},
            [
                {
                    "type": "file",
                    "file": {
                        "filename": "document.docx",
                        "file_data": (
                            "data:application/vnd.openxmlformats-officedocument.wordprocessingml.document;base64,ZA=="
                        ),
                    },
                }
            ],
            id="openai: another document, without a name",
        ),
        pytest.param(
            "groq",
            {"document": {"format": "md", "name": "n", "source": {"bytes": b"# Hi\xff"}, "context": "Read this."}},
            [
                {"type": "text", "text": "Read this."},
                {"type": "text", "text": '<document name="n" format="md">\n# Hi\N{REPLACEMENT CHARACTER}\n</document>'},
            ],
            id="text goes as text everywhere",
        ),
        pytest.param(
            "openai",
            {"audio": {"format": "wav", "source": {"bytes": b"a"}}},
            [{"type": "input_audio", "input_audio": {"data": "YQ==", "format": "wav"}}],
            id="openai: audio",
        ),
        pytest.param(
            "gemini",
            {"audio": {"format": "flac", "source": {"bytes": b"a"}}},
            [image_url("data:audio/flac;base64,YQ==")],
            id="gemini: audio",
        ),
        pytest.param(
            "gemini",
            {"video": {"format": "mov", "source": {"bytes": b"v"}}},
            [image_url("data:video/quicktime;base64,dg==")],
            id="gemini: video",
        ),
        pytest.param(
            "gemini",
            {"video": {"format": "mp4", "source": {"location": {"type": "url", "uri": "https://x/v"}}}},
            [image_url("https://x/v")],
            id="gemini: video by url",
        ),
    ],
)
def test_media_go_in_the_form_that_the_upstream_takes(dialect, block, parts):
    assert media_parts(block, DIALECTS[dialect]) == parts


@pytest.mark.parametrize(
    ("dialect", "block", "message"),
    [
        pytest.param(
            "deepseek",
            PNG,
            "content for the upstream 'deepseek' must be a description as text; got an image",
            id="deepseek: image",
        ),
        pytest.param(
            "bedrock",
            image_at(url="https://x/i"),
            "content for the upstream 'bedrock' must be an image's bytes; got an image with a location",
            id="bedrock: image by url",
        ),
        pytest.param(
            "anthropic",
            image_at(uri="s3://b/i?sig=secret"),
            "image must have bytes, or a 'url' or 'uri' that begins with https; got a location that begins with 's3'",
            id="a location of another kind, its query unsaid",
        ),
        pytest.param(
            "openai",
            {"image": {"format": "png", "source": {}}},
            "image must have bytes, or a 'url' or 'uri' that begins with http or https; got none of these",
            id="neither bytes nor location",
        ),
        pytest.param(
            "openai",
            {"image": {"format": "bmp", "source": {"bytes": b"i"}}},
            "image must be of a known format; got 'bmp'",
            id="unknown image format",
        ),
        pytest.param(
            "openai",
            {"image": {"format": "png", "source": {"bytes": b""}}},
            "image must hold bytes, since upstreams refuse an empty one; got 0 bytes",
            id="empty image",
        ),
        pytest.param(
            "openai",
            {"image": {"format": "png", "source": {"bytes": "text"}}},
            "image must have the form that Strands defines; got at source.bytes: Input should be a valid bytes",
            id="bytes that are text",
        ),
        pytest.param(
            "openai",
            {"image": None},
            "image must have the form that Strands defines; got at the whole: Input should be a valid dictionary",
            id="nothing",
        ),
        pytest.param(
            "openai",
            {"document": {"format": "pdf", "source": {"location": {"type": "s3", "uri": "s3://b/d"}}}},
            "document must be given by its bytes, since the gateway does not pass on locations; got none",
            id="document by location",
        ),
        pytest.param(
            "groq",
            PDF,
            (
                "content for the upstream 'groq' must be plain text (csv, html, md, txt);"
                " got a document in the format 'pdf'"
            ),
            id="groq: PDF",
        ),
        pytest.param(
            "anthropic",
            {"document": {"format": "docx", "source": {"bytes": b"d"}}},
            ("content for the upstream 'anthropic' must be a PDF or plain text; got a document in the format 'docx'"),
            id="anthropic: Word",
        ),
        pytest.param(
            "openai",
            {"audio": {"format": "ogg", "source": {"bytes": b"a"}}},
            "content for the upstream 'openai' must be mp3 or wav; got audio in the format 'ogg'",
            id="openai: audio of another kind",
        ),
        pytest.param(
            "anthropic",
            {"audio": {"format": "mp3", "source": {"bytes": b"a"}}},
            "content for the upstream 'anthropic' must be a transcript as text; got audio in the format 'mp3'",
            id="anthropic: audio",
        ),
        pytest.param(
            "openai",
            {"video": {"format": "mp4", "source": {"bytes": b"v"}}},
            "content for the upstream 'openai' must be single images (only gemini accepts videos); got a video",
            id="openai: video",
        ),
    ],
)
def test_media_that_cannot_be_sent_raise_and_say_what_works(dialect, block, message):
    with pytest.raises(PortkeyConfigError) as caught:
        media_parts(block, DIALECTS[dialect])

    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("block", "part"),
    [
        pytest.param(
            PNG,
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "cG5n"}},
            id="image",
        ),
        pytest.param(
            image_at(url="https://x/i"),
            {"type": "image", "source": {"type": "url", "url": "https://x/i"}},
            id="image by url",
        ),
        pytest.param(
            {"document": {**PDF["document"], "context": "last year's"}},
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "cGRm"},
                "title": "report",
                "context": "last year's",
            },
            id="PDF",
        ),
        pytest.param({"document": {"format": "txt", "source": {"bytes": b"t"}}}, None, id="text goes as text"),
        pytest.param({"text": "t"}, None, id="no media"),
    ],
)
def test_a_tools_media_have_anthropics_own_form(block, part):
    assert anthropic_media(block) == part


@pytest.mark.parametrize(
    ("name", "file_name"),
    [
        pytest.param("report v1.2", "report v1 2", id="a dot"),
        pytest.param(" a \t /b_[1](2)-c ", "a b_[1](2)-c", id="white space, once"),
        pytest.param("报告", "document", id="nothing that is allowed"),
        pytest.param("x" * 300, "x" * 190, id="too long"),
    ],
)
def test_bedrock_gets_names_in_letters_that_it_allows(name, file_name):
    block = {"document": {"format": "pdf", "name": name, "source": {"bytes": b"pdf"}}}

    assert media_parts(block, DIALECTS["bedrock"]) == [
        {"type": "file", "file": {"file_name": file_name, "file_data": "cGRm", "mime_type": "application/pdf"}}
    ]


def test_documents_of_the_same_name_are_numbered_for_bedrock():
    names = ["a", "a 2", "a", "b", "a"]
    parts: list[Any] = [{"type": "file", "file": {"file_name": name}} for name in names]
    others: list[Any] = [{"type": "text", "text": "a"}, {"type": "file", "file": {"filename": "a"}}]

    name_apart([*parts, *others, *others], set())

    assert [part["file"]["file_name"] for part in parts] == ["a", "a 2", "a 3", "b", "a 4"]
    assert others == [{"type": "text", "text": "a"}, {"type": "file", "file": {"filename": "a"}}]
