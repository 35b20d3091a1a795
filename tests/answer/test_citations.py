"""Anthropic's citations in Strands' form."""

from __future__ import annotations

import pytest

from strands_portkey._answer.citations import to_citation


@pytest.mark.parametrize(
    ("citation", "delta"),
    [
        pytest.param(
            {
                "type": "char_location",
                "cited_text": "21 degrees",
                "document_title": "Weather",
                "document_index": 1,
                "start_char_index": 3,
                "end_char_index": 13,
            },
            {
                "title": "Weather",
                "sourceContent": [{"text": "21 degrees"}],
                "location": {"documentChar": {"documentIndex": 1, "start": 3, "end": 13}},
            },
            id="characters",
        ),
        pytest.param(
            {"type": "page_location", "document_index": None, "start_page_number": 2, "end_page_number": 3},
            {"location": {"documentPage": {"documentIndex": 0, "start": 2, "end": 3}}},
            id="pages",
        ),
        pytest.param(
            {"type": "content_block_location", "document_index": 1, "start_block_index": 2, "end_block_index": 3},
            {"location": {"documentChunk": {"documentIndex": 1, "start": 2, "end": 3}}},
            id="blocks",
        ),
        pytest.param(
            {
                "type": "search_result_location",
                "title": "Result",
                "search_result_index": 4,
                "start_block_index": 0,
                "end_block_index": 1,
            },
            {"title": "Result", "location": {"searchResultLocation": {"searchResultIndex": 4, "start": 0, "end": 1}}},
            id="search result",
        ),
        pytest.param(
            {"type": "web_search_result_location", "url": "https://example.com/a", "cited_text": None},
            {"location": {"web": {"url": "https://example.com/a", "domain": "example.com"}}},
            id="web",
        ),
        pytest.param(
            {"type": "web_search_result_location", "url": "http://[broken"},
            {"location": {"web": {"url": "http://[broken", "domain": ""}}},
            id="web: no url",
        ),
        pytest.param(
            {"type": "web_search_result_location"},
            {"location": {"web": {"url": "", "domain": ""}}},
            id="web: nothing",
        ),
    ],
)
def test_a_citation_keeps_its_place(citation, delta):
    assert to_citation(citation) == delta


def test_an_unknown_kind_keeps_its_text():
    assert to_citation({"type": "video_location", "cited_text": "so"}) == {"sourceContent": [{"text": "so"}]}
