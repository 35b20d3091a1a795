"""The sources of an answer, in the forms of all providers that list them."""

from __future__ import annotations

import json

import pytest
from strands.event_loop.streaming import process_stream

from strands_portkey._answer.citations import to_citation
from strands_portkey._wires.chat.sources import find_sources
from strands_portkey._wires.chat.stream import ChatTranslator

URL = "https://example.org/a"


def choice(**of):
    return {"choices": [{"index": 0, **of}]}


def annotation(**of):
    return {"type": "url_citation", "url_citation": {"start_index": 0, "end_index": 2, **of}}


@pytest.mark.parametrize(
    ("chunk", "sources"),
    [
        pytest.param({"citations": [URL, "https://b"]}, [(URL, ""), ("https://b", "")], id="perplexity, xai: URLs"),
        pytest.param(
            {"search_results": [{"title": "A", "url": URL, "date": "2026-01-01"}], "citations": [URL, "https://b"]},
            [(URL, "A"), ("https://b", "")],
            id="perplexity: results and URLs",
        ),
        pytest.param(
            {"search_results": [{"title": "A"}, {"url": None}, {}]}, [("", "A")], id="perplexity: without URL"
        ),
        pytest.param(
            choice(delta={"annotations": [annotation(url=URL, title="A"), annotation(url=URL, title="A")]}),
            [(URL, "A")],
            id="openai: the same twice",
        ),
        pytest.param(
            choice(message={"content": "Hi", "annotations": [annotation(url=URL, title="A")]}),
            [(URL, "A")],
            id="openai: JSON",
        ),
        pytest.param(
            choice(message={"annotations": [{"type": "url_citation", "url": URL, "title": "A"}]}),
            [(URL, "A")],
            id="flat",
        ),
        pytest.param(
            choice(delta={"annotations": [{"type": "file_citation", "file_citation": {"filename": "a.pdf"}}]}),
            [("", "a.pdf")],
            id="openai: a file",
        ),
        pytest.param(
            choice(delta={}, groundingMetadata={"groundingChunks": [{"web": {"uri": URL, "title": "A"}}]}),
            [(URL, "A")],
            id="gemini: the web",
        ),
        pytest.param(
            choice(groundingMetadata={"groundingChunks": [{"retrievedContext": {"uri": "gs://b/a", "title": "A"}}]}),
            [("gs://b/a", "A")],
            id="gemini: a store",
        ),
        pytest.param(
            choice(groundingMetadata={"groundingChunks": [{"maps": {"uri": URL, "title": "A"}}, {"new": {}}]}),
            [(URL, "A")],
            id="gemini: maps, and an unknown kind",
        ),
        pytest.param({"citations": {"a": 1}, "search_results": "x", "choices": [5]}, [], id="other types"),
        pytest.param({"citations": [1, None, {}], "search_results": [1, []]}, [], id="other items"),
        pytest.param(choice(delta={"annotations": [5, {}]}, groundingMetadata=5), [], id="other annotations"),
        pytest.param(choice(delta={"content": '"annotations"'}), [], id="words in the text"),
        pytest.param(choice(delta={"content": "Hi"}), [], id="none"),
    ],
)
def test_sources_are_found_in_each_form(chunk, sources):
    found = find_sources(json.dumps(chunk))

    assert [(each["url"], each["title"]) for each in found.values()] == sources


def test_of_a_long_list_the_first_are_taken():
    assert len(find_sources(json.dumps({"citations": [f"https://{number}" for number in range(1000)]}))) == 100


def test_a_chunk_that_is_no_strict_json_has_none():
    assert find_sources('{"citations": ["\\ud800"]}') == {}


def deltas(*chunks, event="message"):
    translator = ChatTranslator()
    events = [found for chunk in chunks for found in translator.feed(event, json.dumps(chunk))]
    events += translator.finish()
    return [each["contentBlockDelta"]["delta"] for each in events if "contentBlockDelta" in each]


def said(text, **more):
    return {**choice(delta={"content": text}), **more}


END = choice(delta={}, finish_reason="stop")
SOURCE = {"citation": {"title": "A", "location": {"web": {"url": URL, "domain": "example.org"}}}}
RESULTS = {"search_results": [{"title": "A", "url": URL}], "citations": [URL]}
ANNOTATED = choice(delta={"annotations": [annotation(url=URL, title="A")]})


@pytest.mark.parametrize(
    "chunks",
    [
        pytest.param([said("Hi", **RESULTS), said("!", **RESULTS), {**END, **RESULTS}], id="with each chunk"),
        pytest.param([said("Hi"), said("!"), ANNOTATED, END], id="before the end"),
        pytest.param([ANNOTATED, said("Hi"), said("!"), END], id="at the begin"),
        pytest.param([said("Hi"), said("!"), END, {"choices": [], **RESULTS}], id="after the end"),
    ],
)
def test_a_stream_has_each_source_once_after_its_text(chunks):
    assert deltas(*chunks) == [{"text": "Hi"}, {"text": "!"}, SOURCE]


def test_a_json_answer_has_its_sources():
    answer = choice(message={"content": "Hi", "annotations": [annotation(url=URL, title="A")]}, finish_reason="stop")

    assert deltas(answer, event=None) == [{"text": "Hi"}, SOURCE]


def test_an_answer_without_text_has_no_place_for_sources(caplog):
    call = {"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}}

    assert deltas(choice(delta={"tool_calls": [call]}), {**END, **RESULTS}) == [{"toolUse": {"input": "{}"}}]
    assert "sources=<1> | lost" in caplog.text


async def test_strands_keeps_text_and_sources():
    async def events():
        translator = ChatTranslator()
        for chunk in (said("Hi"), {**END, **RESULTS}):
            for event in translator.feed("message", json.dumps(chunk)):
                yield event
        for event in translator.finish():
            yield event

    stops = [event["stop"] async for event in process_stream(events()) if "stop" in event]

    assert stops[0][1]["content"] == [
        {"citationsContent": {"content": [{"text": "Hi"}], "citations": [SOURCE["citation"]]}}
    ]


def test_the_reasoning_parts_of_databricks_are_reasoning():
    parts = [
        {
            "type": "reasoning",
            "summary": [{"type": "summary_text", "text": "Hm"}, {"type": "summary_text", "text": "."}],
        },
        {"type": "text", "text": "Hi"},
    ]

    assert deltas(choice(delta={"content": parts}), END) == [{"reasoningContent": {"text": "Hm."}}, {"text": "Hi"}]


def test_the_citation_of_a_url_names_its_domain():
    assert to_citation({"type": "web_search_result_location", "url": URL, "title": ""}) == {
        "location": {"web": {"url": URL, "domain": "example.org"}}
    }
