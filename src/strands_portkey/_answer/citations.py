"""Conversion of citations from Anthropic's form to Strands' form."""

from __future__ import annotations

from urllib.parse import urlsplit

from strands.types.citations import (
    CitationLocation,
    DocumentCharLocationDict,
    DocumentChunkLocationDict,
    DocumentPageLocationDict,
    SearchResultLocationDict,
    WebLocationDict,
)
from strands.types.streaming import CitationsDelta

# Before Python 3.12, pydantic requires this TypedDict instead of that of typing.
from typing_extensions import TypedDict


class Citation(TypedDict, total=False):
    """The source of a claim in Anthropic's form; the type determines which fields are present."""

    type: str | None
    cited_text: str | None
    title: str | None
    document_title: str | None
    document_index: int | None
    search_result_index: int | None
    start_char_index: int | None
    end_char_index: int | None
    start_page_number: int | None
    end_page_number: int | None
    start_block_index: int | None
    end_block_index: int | None
    url: str | None


def to_citation(citation: Citation) -> CitationsDelta:
    """Return a citation in Strands' form: title, quoted text and location, each if it is known."""
    delta: CitationsDelta = {}
    if title := citation.get("title") or citation.get("document_title"):
        delta["title"] = title
    if cited_text := citation.get("cited_text"):
        delta["sourceContent"] = [{"text": cited_text}]
    if location := _location(citation):
        delta["location"] = location
    return delta


def _location(citation: Citation) -> CitationLocation | None:
    document = citation.get("document_index") or 0
    first_block, last_block = citation.get("start_block_index") or 0, citation.get("end_block_index") or 0
    match citation.get("type"):
        case "char_location":
            start, end = citation.get("start_char_index") or 0, citation.get("end_char_index") or 0
            char: DocumentCharLocationDict = {"documentChar": {"documentIndex": document, "start": start, "end": end}}
            return char
        case "page_location":
            start, end = citation.get("start_page_number") or 0, citation.get("end_page_number") or 0
            page: DocumentPageLocationDict = {"documentPage": {"documentIndex": document, "start": start, "end": end}}
            return page
        case "content_block_location":
            chunk: DocumentChunkLocationDict = {
                "documentChunk": {"documentIndex": document, "start": first_block, "end": last_block}
            }
            return chunk
        case "search_result_location":
            search: SearchResultLocationDict = {
                "searchResultLocation": {
                    "searchResultIndex": citation.get("search_result_index") or 0,
                    "start": first_block,
                    "end": last_block,
                }
            }
            return search
        case "web_search_result_location":
            url = citation.get("url") or ""
            web: WebLocationDict = {"web": {"url": url, "domain": _domain(url)}}
            return web
        case _:
            return None


def _domain(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:  # Web search results may have invalid URLs.
        return ""
