"""Images, documents, audio and video in each dialect's form; what cannot be sent raises."""

from __future__ import annotations

from typing import Any

import pytest

from strands_portkey import PortkeyConfigError
from strands_portkey._dialects import DIALECTS
from strands_portkey._media import media_parts, name_apart, native_media

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
            "image cannot be sent to the upstream 'deepseek'; what works is a description as text",
            id="deepseek: image",
        ),
        pytest.param(
            "bedrock",
            image_at(url="https://x/i"),
            "image with a location cannot be sent to the upstream 'bedrock'; what works is the image's bytes",
            id="bedrock: image by url",
        ),
        pytest.param(
            "anthropic",
            image_at(uri="s3://b/i?sig=secret"),
            "image has the location 's3://b/i'; wanted is bytes, or a 'url' or 'uri' beginning with https",
            id="a location of another kind, its query unsaid",
        ),
        pytest.param(
            "openai",
            {"image": {"format": "png", "source": {}}},
            "image has neither bytes nor a location; wanted is bytes, or a 'url' or 'uri' beginning with http or https",
            id="neither bytes nor location",
        ),
        pytest.param(
            "openai",
            {"image": {"format": "bmp", "source": {"bytes": b"i"}}},
            "image has the unknown format 'bmp'",
            id="unknown image format",
        ),
        pytest.param(
            "openai",
            {"image": {"format": "png", "source": {"bytes": b""}}},
            "image has no bytes in it; upstreams refuse an empty one",
            id="empty image",
        ),
        pytest.param(
            "openai",
            {"image": {"format": "png", "source": {"bytes": "text"}}},
            "image is not of Strands' form: source.bytes: Input should be a valid bytes",
            id="bytes that are text",
        ),
        pytest.param(
            "openai",
            {"image": None},
            "image is not of Strands' form: the whole: Input should be a valid dictionary",
            id="nothing",
        ),
        pytest.param(
            "openai",
            {"document": {"format": "pdf", "source": {"location": {"type": "s3", "uri": "s3://b/d"}}}},
            "document must be given by its bytes; the gateway passes on no location of one",
            id="document by location",
        ),
        pytest.param(
            "groq",
            PDF,
            (
                "document in the format 'pdf' cannot be sent to the upstream 'groq'; what works is"
                " plain text (csv, html, md, txt)"
            ),
            id="groq: PDF",
        ),
        pytest.param(
            "anthropic",
            {"document": {"format": "docx", "source": {"bytes": b"d"}}},
            (
                "document in the format 'docx' cannot be sent to the upstream 'anthropic'; what works is"
                " a PDF or plain text"
            ),
            id="anthropic: Word",
        ),
        pytest.param(
            "openai",
            {"audio": {"format": "ogg", "source": {"bytes": b"a"}}},
            "audio in the format 'ogg' cannot be sent to the upstream 'openai'; what works is mp3 or wav",
            id="openai: audio of another kind",
        ),
        pytest.param(
            "anthropic",
            {"audio": {"format": "mp3", "source": {"bytes": b"a"}}},
            "audio in the format 'mp3' cannot be sent to the upstream 'anthropic'; what works is a transcript as text",
            id="anthropic: audio",
        ),
        pytest.param(
            "openai",
            {"video": {"format": "mp4", "source": {"bytes": b"v"}}},
            (
                "video cannot be sent to the upstream 'openai'; what works is single images;"
                " of all upstreams, gemini takes a video"
            ),
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
    assert native_media(block) == part


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

    name_apart([*parts, *others, *others])

    assert [part["file"]["file_name"] for part in parts] == ["a", "a 2", "a 3", "b", "a 4"]
    assert others == [{"type": "text", "text": "a"}, {"type": "file", "file": {"filename": "a"}}]
