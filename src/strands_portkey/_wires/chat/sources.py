"""The sources of an answer, which each provider lists in a place of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from pydantic_core import from_json

from strands_portkey._answer.citations import Citation
from strands_portkey._json import is_list, is_mapping

_SOURCES: Final = re.compile(r'"(?:annotations|citations|groundingMetadata|search_results)"')
_MOST: Final = 100  # Items of a list that are looked at.


def find_sources(data: str) -> dict[str, Citation]:
    """Return the sources that a chunk or a JSON answer lists, by their URL or name.

    These are ``search_results`` and ``citations`` of Perplexity and xAI, ``annotations`` of OpenAI and OpenRouter, and
    ``groundingMetadata`` of Gemini. None of these fields is essential, so any other shape counts as no source.
    """
    if not _SOURCES.search(data):
        return {}
    try:
        chunk: object = from_json(data)
    except ValueError:  # It was repaired.
        return {}
    found: dict[str, Citation] = {}
    for url, title in _named_sources(chunk):
        if url or title:
            found.setdefault(url or title, {"type": "web_search_result_location", "url": url, "title": title})
    return found


def _named_sources(chunk: object) -> Iterator[tuple[str, str]]:
    """Yield the URL and the title of each source."""
    for result in _items_of(chunk, "search_results"):
        yield _text_of(result, "url"), _text_of(result, "title")
    for url in _items_of(chunk, "citations"):
        if isinstance(url, str):
            yield url, ""
    for choice in _items_of(chunk, "choices"):
        for name in ("delta", "message"):
            for annotation in _items_of(_field_of(choice, name), "annotations"):
                yield from _annotated(annotation)
        for piece in _items_of(_field_of(choice, "groundingMetadata"), "groundingChunks"):
            place = _field_of(piece, "web") or _field_of(piece, "retrievedContext") or _field_of(piece, "maps")
            yield _text_of(place, "uri"), _text_of(place, "title")


def _annotated(annotation: object) -> Iterator[tuple[str, str]]:
    cited = _field_of(annotation, "url_citation") or _field_of(annotation, "file_citation") or annotation
    yield _text_of(cited, "url"), _text_of(cited, "title") or _text_of(cited, "filename")


def _field_of(value: object, name: str) -> object:
    return value.get(name) if is_mapping(value) else None


def _items_of(value: object, name: str) -> Iterator[object]:
    items = _field_of(value, name)
    yield from items[:_MOST] if is_list(items) else ()


def _text_of(value: object, name: str) -> str:
    text = _field_of(value, name)
    return text if isinstance(text, str) else ""
