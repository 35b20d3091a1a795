"""The sources of an answer, which each provider lists in a place of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from pydantic_core import from_json

from strands_portkey._answer.citations import Citation
from strands_portkey._json import field_of, is_list, text_in

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
    for result in _entries_of(chunk, "search_results"):
        yield text_in(result, "url"), text_in(result, "title")
    for url in _entries_of(chunk, "citations"):
        if isinstance(url, str):
            yield url, ""
    for choice in _entries_of(chunk, "choices"):
        for name in ("delta", "message"):
            for annotation in _entries_of(field_of(choice, name), "annotations"):
                yield from _annotated(annotation)
        for piece in _entries_of(field_of(choice, "groundingMetadata"), "groundingChunks"):
            place = field_of(piece, "web") or field_of(piece, "retrievedContext") or field_of(piece, "maps")
            yield text_in(place, "uri"), text_in(place, "title")


def _annotated(annotation: object) -> Iterator[tuple[str, str]]:
    cited = field_of(annotation, "url_citation") or field_of(annotation, "file_citation") or annotation
    yield text_in(cited, "url"), text_in(cited, "title") or text_in(cited, "filename")


def _entries_of(value: object, name: str) -> Iterator[object]:
    items = field_of(value, name)
    yield from items[:_MOST] if is_list(items) else ()
