"""ResponsesTranslator: what the events and items of a response become."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from strands.types.streaming import StreamEvent

from strands_portkey._answer.counts import Counts, Stopwatch
from strands_portkey._answer.judgement import Judge
from strands_portkey._answer.metadata import ResponseMetadata
from strands_portkey._errors import (
    PortkeyAPIError,
    PortkeyContextOverflowError,
    PortkeyError,
    PortkeyGuardrailError,
    PortkeyStreamError,
    PortkeyThrottledError,
)
from strands_portkey._wires.responses.stream import ResponsesTranslator
from tests.events import START, STOP, delta

BEGIN: StreamEvent = {"messageStart": {"role": "assistant"}}
USAGE = {
    "input_tokens": 10,
    "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2},
    "output_tokens": 5,
    "output_tokens_details": {"reasoning_tokens": 3},
    "total_tokens": 15,
}


def event(name, **fields):
    """Return an event of the stream."""
    return name, {"type": name, "sequence_number": 7, **fields}


def added(index, **item):
    return event("response.output_item.added", output_index=index, item=item)


def done(index, **item):
    return event("response.output_item.done", output_index=index, item=item)


def wrote(index, text, **fields):
    return event("response.output_text.delta", output_index=index, delta=text, **fields)


def refused(index, text):
    return event("response.refusal.delta", output_index=index, delta=text)


def thought(index, text, part=0):
    return event("response.reasoning_summary_text.delta", output_index=index, summary_index=part, delta=text)


def reasoned(index, text, part=0):
    return event("response.reasoning_text.delta", output_index=index, content_index=part, delta=text)


def argued(index, text, item_id=None):
    return event("response.function_call_arguments.delta", output_index=index, item_id=item_id, delta=text)


def ended(status="completed", **response):
    return event(f"response.{status}", response={"status": status, "model": "gpt-5.6", **response})


def message(*texts, refusal=None, annotations=(), **more):
    parts = [{"type": "output_text", "text": text, "annotations": list(annotations)} for text in texts]
    parts += [{"type": "refusal", "refusal": refusal}] if refusal else []
    return {"type": "message", "role": "assistant", "content": parts, **more}


def reasoning(*summary, item_id="rs_1", encrypted=None, content=()):
    item = {"type": "reasoning", "id": item_id, "summary": [{"type": "summary_text", "text": text} for text in summary]}
    item |= {"encrypted_content": encrypted} if encrypted else {}
    return item | ({"content": [{"type": "reasoning_text", "text": text} for text in content]} if content else {})


def call(call_id="call_1", name="sum", arguments="", item_id="fc_1"):
    return {"type": "function_call", "id": item_id, "call_id": call_id, "name": name, "arguments": arguments}


def use(call_id="call_1", name="sum"):
    return {"contentBlockStart": {"start": {"toolUse": {"toolUseId": call_id, "name": name}}}}


def put(arguments):
    return delta(toolUse={"input": arguments})


def think(text):
    return delta(reasoningContent={"text": text})


def sign(**envelope):
    signature = "openai-responses:1:" + json.dumps(envelope, separators=(",", ":"))
    return delta(reasoningContent={"signature": signature})


def feed(translator, *events):
    found = []
    for name, data in events:
        found += translator.feed(name, data if isinstance(data, str) else json.dumps(data))
    return found


def read(*events):
    """Return the events of content, and the stop reason."""
    translator = ResponsesTranslator()
    found = [*feed(translator, *events), *translator.finish()]
    assert found[0] == BEGIN
    assert "metadata" in found[-1]
    return found[1:-2], found[-2]["messageStop"]["stopReason"]


def fail(*events) -> PortkeyError:
    translator = ResponsesTranslator()
    with pytest.raises(PortkeyError) as caught:
        feed(translator, *events)
        translator.finish()
    return caught.value


# -- text --------------------------------------------------------------------------------------------------------------


def test_text_comes_as_it_is_written():
    translator = ResponsesTranslator()

    assert feed(translator, event("response.created", response={}), added(0, **message())) == []
    assert feed(translator, wrote(0, "Hel")) == [BEGIN, START, delta(text="Hel")]
    assert feed(translator, wrote(0, "lo")) == [delta(text="lo")]
    assert feed(translator, done(0, **message("Hello"))) == [STOP]
    assert feed(translator, ended(usage=USAGE)) == []
    assert translator.finish()[0] == {"messageStop": {"stopReason": "end_turn"}}


@pytest.mark.parametrize(
    ("events", "content"),
    [
        pytest.param([done(0, **message("Hi"))], [START, delta(text="Hi"), STOP], id="only as a whole"),
        pytest.param(
            [added(0, **message()), wrote(0, "H"), done(0, **message("Hi"))],
            [START, delta(text="H"), delta(text="i"), STOP],
            id="the rest as a whole",
        ),
        pytest.param([wrote(0, "Hi"), done(0, **message("Hi"))], [START, delta(text="Hi"), STOP], id="never announced"),
        pytest.param([wrote(0, "Hi")], [START, delta(text="Hi"), STOP], id="neither announced nor ended"),
        pytest.param(
            [added(0, **message()), wrote(0, "Hi"), done(0, **message())],
            [START, delta(text="Hi"), STOP],
            id="the whole says less",
        ),
        pytest.param([done(0, **message("a", "b"))], [START, delta(text="ab"), STOP], id="several parts"),
        pytest.param(
            [done(0, **message("a")), done(1, **message("b"))],
            [START, delta(text="a"), STOP, START, delta(text="b"), STOP],
            id="several messages",
        ),
        pytest.param([added(0, **message()), done(0, **message())], [], id="a message without text"),
        pytest.param(
            [added(0, **message()), wrote(0, ""), wrote(0, "a"), wrote(0, None)],
            [START, delta(text="a"), STOP],
            id="empty pieces",
        ),
        pytest.param(
            [done(0, **message("a")), wrote(0, "b")],
            [START, delta(text="a"), STOP],
            id="a piece after the whole, which is the truth",
        ),
        pytest.param(
            [added(0, **message()), wrote(0, "a"), done(0, **message("a")), wrote(0, "b"), done(1, **message("c"))],
            [START, delta(text="a"), STOP, START, delta(text="c"), STOP],
            id="a piece after the whole, and another message",
        ),
        pytest.param(
            [done(0, **message("a")), added(0, **message()), wrote(0, "b"), done(0, **message("bc"))],
            [START, delta(text="a"), STOP, START, delta(text="b"), delta(text="c"), STOP],
            id="another message under the same number",
        ),
        pytest.param(
            [done(0, **message("a")), wrote(0, "b"), done(0, **message("bc"))],
            [START, delta(text="a"), STOP, START, delta(text="bc"), STOP],
            id="another message under the same number, not announced",
        ),
        pytest.param(
            [done(None, **message("a")), wrote(None, "b")],
            [START, delta(text="a"), STOP, START, delta(text="b"), STOP],
            id="another message without a number",
        ),
        pytest.param(
            [done(0, **{**message("a"), "content": [None, {"type": "later", "text": ""}, *message("b")["content"]]})],
            [START, delta(text="b"), STOP],
            id="a part that is null, and one without text",
        ),
        pytest.param(
            [added(0, type="web_search_call", id="ws_1"), done(0, type="web_search_call"), done(1, **message("a"))],
            [START, delta(text="a"), STOP],
            id="an item that Strands has no place for",
        ),
        pytest.param(
            [event("response.new_thing", item=1), event("keepalive"), done(0, **message("a"))],
            [START, delta(text="a"), STOP],
            id="unknown events",
        ),
        pytest.param(
            [added(0), done(0), done(1, **message("a"))], [START, delta(text="a"), STOP], id="items without a type"
        ),
        pytest.param(
            [added(None, **message()), wrote(None, "a"), done(None, **message("a"))],
            [START, delta(text="a"), STOP],
            id="no index",
        ),
    ],
)
def test_a_message_is_one_block_of_text(events, content):
    assert read(*events, ended()) == (content, "end_turn")


def test_items_that_come_at_the_same_time_follow_one_another():
    content, _ = read(
        added(0, **message()),
        added(1, **message()),
        wrote(1, "b"),
        wrote(0, "a"),
        done(1, **message("b")),
        wrote(0, "a"),
        done(0, **message("aa")),
        ended(),
    )

    assert content == [START, delta(text="a"), delta(text="a"), STOP, START, delta(text="b"), STOP]


@pytest.mark.parametrize(
    "events",
    [
        [added(0, **message()), refused(0, "No."), done(0, **message(refusal="No."))],
        [done(0, **message(refusal="No."))],
        [refused(0, "No.")],
        [refused(0, "No."), done(0, **message())],
    ],
)
def test_a_refusal_is_text_and_the_reason_to_stop(events):
    assert read(*events, ended()) == ([START, delta(text="No."), STOP], "content_filtered")


def test_lone_surrogates_in_a_text_are_replaced():
    content, _ = read(("response.output_text.delta", r'{"output_index":0,"delta":"a\ud83d"}'), ended())

    assert content == [START, delta(text="a\ufffd"), STOP]


# -- citations ---------------------------------------------------------------------------------------------------------

URL = {"type": "url_citation", "url": "https://x.test/a", "title": "A", "start_index": 0, "end_index": 1}
WEB = delta(citation={"title": "A", "location": {"web": {"url": "https://x.test/a", "domain": "x.test"}}})


def annotated(index, annotation):
    return event("response.output_text.annotation.added", output_index=index, annotation=annotation)


@pytest.mark.parametrize(
    ("annotation", "citation"),
    [
        (URL, WEB),
        (
            {**URL, "title": None},
            delta(citation={"location": {"web": {"url": "https://x.test/a", "domain": "x.test"}}}),
        ),
        ({"type": "file_citation", "filename": "f.txt", "file_id": "f"}, delta(citation={"title": "f.txt"})),
    ],
)
def test_an_annotation_is_a_citation_in_the_block_of_its_text(annotation, citation):
    content, _ = read(added(0, **message()), wrote(0, "a"), annotated(0, annotation), ended())

    assert content == [START, delta(text="a"), citation, STOP]


def test_annotations_that_come_only_with_the_whole_are_added_once():
    whole = message("a", annotations=[URL, URL, URL])
    came = [annotated(0, URL), annotated(0, URL)]
    content, _ = read(added(0, **message()), wrote(0, "a"), *came, done(0, **whole), ended())

    assert content == [START, delta(text="a"), WEB, WEB, WEB, STOP]


@pytest.mark.parametrize(
    "annotation",
    [
        *(None, "text", 5, [], {}),
        {"type": "file_path", "file_id": "f"},
        {**URL, "url": 5, "title": 6},
        {"type": "url_citation", "url": None, "title": None, "filename": None},
    ],
    ids=str,
)
def test_an_annotation_that_names_no_source_is_ignored(annotation):
    content, _ = read(added(0, **message()), wrote(0, "a"), annotated(0, annotation), annotated(9, URL), ended())

    assert content == [START, delta(text="a"), STOP]


def test_annotations_that_are_no_list_are_ignored():
    part = {"type": "output_text", "text": "a", "annotations": "none"}
    content, _ = read(done(0, type="message", content=[part]), ended())

    assert content == [START, delta(text="a"), STOP]


# -- reasoning ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("events", "content"),
    [
        pytest.param(
            [added(0, **reasoning()), done(0, **reasoning(encrypted="gA"))],
            [START, sign(id="rs_1", encrypted_content="gA", parts=[]), STOP],
            id="no summary",
        ),
        pytest.param(
            [
                added(0, **reasoning()),
                thought(0, "One."),
                thought(0, "Two.", 1),
                done(0, **reasoning("One.", "Two.", encrypted="gA")),
            ],
            [START, think("One."), think("\n\nTwo."), sign(id="rs_1", encrypted_content="gA", parts=[4, 4]), STOP],
            id="parts of a summary are paragraphs",
        ),
        pytest.param(
            [done(0, **reasoning("One.", "Two.", encrypted="gA"))],
            [START, think("One.\n\nTwo."), sign(id="rs_1", encrypted_content="gA", parts=[4, 4]), STOP],
            id="only as a whole",
        ),
        pytest.param(
            [thought(0, "One."), done(0, **reasoning("One.", "Two.", encrypted="gA"))],
            [START, think("One."), think("\n\nTwo."), sign(id="rs_1", encrypted_content="gA", parts=[4, 4]), STOP],
            id="the rest as a whole",
        ),
        pytest.param(
            [added(0, **reasoning(encrypted="part")), thought(0, "One."), done(0, **reasoning("One."))],
            [START, think("One."), STOP],
            id="without ciphertext there is no signature",
        ),
        pytest.param(
            [
                added(0, **reasoning()),
                reasoned(0, "Raw"),
                reasoned(0, "."),
                done(0, **reasoning(content=["Raw."], encrypted="gA")),
            ],
            [START, think("Raw"), think("."), sign(id="rs_1", encrypted_content="gA", parts=[]), STOP],
            id="the reasoning itself",
        ),
        pytest.param(
            [reasoned(0, "One."), reasoned(0, "Two.", 1), done(0, **reasoning(content=["One.", "Two."]))],
            [START, think("One."), think("\n\nTwo."), STOP],
            id="parts of the reasoning itself are paragraphs",
        ),
        pytest.param(
            [reasoned(0, "One."), done(0, **reasoning(content=["One.", "Two."]))],
            [START, think("One."), think("\n\nTwo."), STOP],
            id="the rest of the reasoning itself as a whole",
        ),
        pytest.param(
            [done(0, **reasoning(content=["Raw."]))], [START, think("Raw."), STOP], id="the reasoning itself as a whole"
        ),
        pytest.param(
            [reasoned(0, "R"), thought(0, "Sum."), done(0, **reasoning("Sum.", content=["Raw."], encrypted="gA"))],
            [START, think("R"), sign(id="rs_1", encrypted_content="gA", parts=[4]), STOP],
            id="both: what comes first is shown",
        ),
        pytest.param(
            [done(0, **reasoning(item_id="", encrypted="gA"))],
            [START, sign(encrypted_content="gA", parts=[]), STOP],
            id="no id",
        ),
        pytest.param([added(0, **reasoning()), thought(0, ""), done(0, **reasoning())], [], id="nothing"),
        pytest.param(
            [added(0, **reasoning()), thought(0, "One."), thought(0, "Two.", 1)],
            [START, think("One."), think("\n\nTwo."), STOP],
            id="never ended",
        ),
        pytest.param(
            [done(0, **reasoning("One.")), thought(0, "Two."), reasoned(0, "Raw.")],
            [START, think("One."), STOP],
            id="pieces after the whole, which is the truth",
        ),
        pytest.param(
            [done(0, type="reasoning", summary=[None], content=[None, {"text": "Raw."}])],
            [START, think("Raw."), STOP],
            id="parts that are null",
        ),
        pytest.param(
            [
                done(0, **reasoning(item_id="tco_1", encrypted="gA")),
                done(1, **reasoning(item_id="tco_1", encrypted="gB")),
            ],
            [
                *(START, sign(id="tco_1", encrypted_content="gA", parts=[]), STOP),
                *(START, sign(id="tco_1", encrypted_content="gB", parts=[]), STOP),
            ],
            id="several of the same id",
        ),
    ],
)
def test_reasoning_is_one_block_that_is_signed_at_its_end(events, content):
    translator = ResponsesTranslator()
    found = [*feed(translator, *events, ended()), *translator.finish()]

    assert [each for each in found[:-2] if each != BEGIN] == content
    signatures = [
        each["contentBlockDelta"]["delta"]["reasoningContent"]["signature"]
        for each in content
        if "signature" in str(each)
    ]
    assert list(translator.signatures) == signatures


@pytest.mark.parametrize("pieces", [[thought(0, "Hm.")], []], ids=["in pieces", "only as a whole"])
def test_reasoning_that_ends_after_the_message_stays_before_it(pieces):
    content, _ = read(
        added(0, **reasoning()),
        *pieces,
        added(1, **message()),
        wrote(1, "Hi"),
        done(1, **message("Hi")),
        done(0, **reasoning("Hm.", encrypted="gA")),
        ended(),
    )

    assert content == [
        *(START, think("Hm."), sign(id="rs_1", encrypted_content="gA", parts=[3]), STOP),
        *(START, delta(text="Hi"), STOP),
    ]


def test_reasoning_is_signed_as_soon_as_another_item_begins():
    translator = ResponsesTranslator()
    feed(translator, done(0, **reasoning(encrypted="gA")))

    assert feed(translator, added(1, type="web_search_call")) == [
        *(BEGIN, START, sign(id="rs_1", encrypted_content="gA", parts=[]), STOP)
    ]


def test_the_phase_of_a_message_is_kept_with_the_reasoning_before_it():
    content, _ = read(
        added(0, **reasoning()),
        done(0, **reasoning(encrypted="gA")),
        added(1, **message(phase="commentary")),
        done(1, **message("Hm", phase="commentary")),
        ended(),
    )

    assert content == [
        *(START, sign(id="rs_1", encrypted_content="gA", parts=[], phase="commentary"), STOP),
        *(START, delta(text="Hm"), STOP),
    ]


def test_the_phase_of_a_message_without_reasoning_is_kept_in_a_block_of_its_own():
    content, _ = read(done(0, **message("Hm", phase="final_answer")), ended())

    assert content == [START, sign(phase="final_answer"), STOP, START, delta(text="Hm"), STOP]


# -- calls -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("events", "content"),
    [
        pytest.param(
            [added(0, **call()), argued(0, '{"a"'), argued(0, ":1}"), done(0, **call(arguments='{"a":1}'))],
            [use(), put('{"a"'), put(":1}"), STOP],
            id="in fragments",
        ),
        pytest.param(
            [added(0, **call()), done(0, **call(arguments='{"a":1}'))], [use(), put('{"a":1}'), STOP], id="as a whole"
        ),
        pytest.param([done(0, **call(arguments='{"a":1}'))], [use(), put('{"a":1}'), STOP], id="never announced"),
        pytest.param(
            [added(0, **call()), argued(0, '{"a"'), done(0, **call(arguments='{"a":1}'))],
            [use(), put('{"a"'), put(":1}"), STOP],
            id="the rest as a whole",
        ),
        pytest.param([added(0, **call()), done(0, **call())], [use(), put(""), STOP], id="without arguments"),
        pytest.param(
            [added(0, **call()), argued(0, '{"a": 1}'), done(0, **call(arguments='{"a":1}'))],
            [use(), put('{"a": 1}'), STOP],
            id="the same in other spaces",
        ),
        pytest.param(
            [added(0, **call()), argued(0, '{"a":1}', "fc_1")], [use(), put('{"a":1}'), STOP], id="without an end"
        ),
        pytest.param(
            [added(0, **call()), argued(5, "{}", "fc_1"), done(0, **call(arguments="{}"))],
            [use(), put("{}"), STOP],
            id="found by its id",
        ),
        pytest.param(
            [added(0, **message()), added(0, **call()), argued(0, "{}", "msg_1"), done(0, **call(arguments="{}"))],
            [use(), put("{}"), STOP],
            id="found by its index under the message's id",
        ),
        pytest.param(
            [
                added(0, **call(item_id=None)),
                argued(0, "{}", "other"),
                done(0, **call(arguments="{}", item_id="third")),
            ],
            [use(), put("{}"), STOP],
            id="another id with each event",
        ),
        pytest.param(
            [added(0, **call(call_id=None, item_id="fc_9")), done(0, **call(call_id=None, item_id="fc_9"))],
            [use("fc_9"), put(""), STOP],
            id="no call id",
        ),
        pytest.param(
            [added(0, **call(name="")), argued(0, "{}"), done(0, **call(arguments="{}"))],
            [use(), put("{}"), STOP],
            id="a name only with the whole",
        ),
        pytest.param(
            [done(0, **call(arguments="{}")), argued(0, "x", "fc_1")], [use(), put("{}"), STOP], id="after its end"
        ),
        pytest.param(
            [added(0, **call()), argued(0, ""), argued(0, None), done(0, **call(arguments="{}"))],
            [use(), put("{}"), STOP],
            id="empty fragments",
        ),
        pytest.param(
            [added(0, **call()), argued(0, "{}"), done(0, **call(arguments=None))],
            [use(), put("{}"), STOP],
            id="an end that does not repeat them",
        ),
    ],
)
def test_a_call_is_one_block_with_its_whole_arguments(events, content):
    assert read(*events, ended()) == (content, "tool_use")


def test_the_fragments_of_parallel_calls_are_told_apart():
    content, stop = read(
        added(0, **call("call_1", "sum", item_id="fc_1")),
        added(1, **call("call_2", "add", item_id="fc_2")),
        argued(0, '{"a":', "fc_1"),
        argued(1, '{"b":', "fc_2"),
        argued(0, "1}", "fc_1"),
        argued(1, "2}", "fc_2"),
        done(1, **call("call_2", "add", '{"b":2}', "fc_2")),
        done(0, **call("call_1", "sum", '{"a":1}', "fc_1")),
        ended(),
    )

    assert (content, stop) == (
        [
            *(use("call_1", "sum"), put('{"a":'), put("1}"), STOP),
            *(use("call_2", "add"), put('{"b":'), put("2}"), STOP),
        ],
        "tool_use",
    )


@pytest.mark.parametrize("item_id", ["fc_1", None])
def test_parallel_calls_with_the_same_id_of_their_items_are_told_apart_by_their_numbers(item_id):
    content, stop = read(
        added(0, **call("call_1", "sum", item_id=item_id)),
        argued(0, '{"a":', item_id),
        added(1, **call("call_2", "add", item_id=item_id)),
        argued(1, '{"b":', item_id),
        argued(0, "1}", item_id),
        argued(1, "2}", item_id),
        done(0, **call("call_1", "sum", '{"a":1}', item_id)),
        done(1, **call("call_2", "add", '{"b":2}', item_id)),
        added(2, **call("call_3", "mul", item_id=item_id)),
        argued(2, "{}", item_id),
        ended(),
    )

    assert (content, stop) == (
        [
            *(use("call_1", "sum"), put('{"a":'), put("1}"), STOP),
            *(use("call_2", "add"), put('{"b":'), put("2}"), STOP),
            *(use("call_3", "mul"), put("{}"), STOP),
        ],
        "tool_use",
    )


def test_calls_under_the_same_number_are_told_apart_by_the_ids_of_their_items():
    content, _ = read(
        added(0, **call("call_1", "sum", item_id="fc_1")),
        added(0, **call("call_2", "add", item_id="fc_2")),
        argued(0, '{"a":1}', "fc_1"),
        argued(0, '{"b":2}', "fc_2"),
        ended(),
    )

    assert content == [use("call_1", "sum"), put('{"a":1}'), STOP, use("call_2", "add"), put('{"b":2}'), STOP]


def test_a_call_ends_as_soon_as_its_item_does():
    translator = ResponsesTranslator()
    feed(translator, added(0, **call()))

    assert feed(translator, done(0, **call(arguments="{}"))) == [put("{}"), STOP]


def test_an_item_without_a_name_is_no_call():
    assert read(done(0, **message("a")), done(1, **call(name=None)), ended())[1] == "end_turn"


OTHER_WORDS = "whose arguments came in other words before"
NOT_WHOLE = "that is not whole"


@pytest.mark.parametrize(
    ("events", "problem"),
    [
        (
            [added(0, **call()), argued(0, '{"a":1}'), done(0, **call(arguments='{"a":2}'))],
            f'{OTHER_WORDS}: sum({{"a":2}})',
        ),
        ([added(0, **call()), argued(0, '{"a":'), done(0, **call(arguments="x"))], f"{OTHER_WORDS}: sum(x)"),
        ([added(0, **call()), argued(0, '{"a":'), ended()], f'{NOT_WHOLE}: sum({{"a":)'),
        ([done(0, **call(arguments='{"a":')), ended()], f'{NOT_WHOLE}: sum({{"a":)'),
        ([done(0, **call(arguments="x" * 1000)), ended()], f"{NOT_WHOLE}: sum({'x' * 200}...)"),
        ([added(0, **call()), ended()], f"{NOT_WHOLE}: sum()"),
        ([added(0, **call()), ended(output=[message("Hi")])], f"{NOT_WHOLE}: sum()"),
    ],
)
def test_a_call_with_arguments_in_doubt_raises_and_never_runs(events, problem):
    error = fail(*events)

    assert (type(error), error.origin, error.retryable) == (PortkeyStreamError, "provider", True)
    assert error.received == len(events)
    assert str(error) == f"the answer has a tool call {problem}"


def test_a_call_that_a_content_filter_has_cut_is_not_tried_again():
    filtered = ended("incomplete", incomplete_details={"reason": "content_filter"})
    error = fail(done(0, **call(arguments='{"a":')), filtered)

    assert (type(error), error.retryable) == (PortkeyStreamError, False)


def test_a_call_that_was_cut_by_the_length_of_the_answer_is_left_to_strands():
    content, stop = read(
        added(0, **call()),
        argued(0, '{"a":'),
        ended("incomplete", incomplete_details={"reason": "max_output_tokens"}),
    )

    assert (content, stop) == ([use(), put('{"a":'), STOP], "max_tokens")


# -- ends --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("end", "stop"),
    [
        (ended(), "end_turn"),
        (ended("incomplete", incomplete_details={"reason": "max_output_tokens"}), "max_tokens"),
        (ended("incomplete", incomplete_details={"reason": "content_filter"}), "content_filtered"),
        (ended("incomplete", incomplete_details={"reason": "steered"}), "max_tokens"),
        (event("response.completed", response={}), "end_turn"),
        (("response.completed", {"response": {"status": "completed"}}), "end_turn"),
    ],
)
def test_an_end_says_why_the_answer_stopped(end, stop):
    assert read(done(0, **message("a")), end) == ([START, delta(text="a"), STOP], stop)


@pytest.mark.parametrize("details", [None, {}, {"reason": None}, "text"])
def test_an_answer_that_is_incomplete_without_a_reason_raises(details):
    error = fail(done(0, **message("a")), ended("incomplete", incomplete_details=details))

    assert (type(error), str(error)) == (PortkeyStreamError, "the answer is incomplete without a reason")
    assert (error.origin, error.received, error.retryable) == ("provider", 2, True)


WHOLE = [
    event("response.created", response={"status": "in_progress"}),
    added(0, **reasoning()),
    thought(0, "Hm."),
    done(0, **reasoning("Hm.", encrypted="gA")),
    added(1, **message()),
    wrote(1, "Hi"),
    done(1, **message("Hi")),
    added(2, **call()),
    argued(2, "{}"),
    done(2, **call(arguments="{}")),
]


@pytest.mark.parametrize("count", range(len(WHOLE) + 1))
def test_an_answer_that_ends_before_its_last_event_is_a_cut(count):
    error = fail(*WHOLE[:count])

    assert (type(error), error.origin, error.retryable, error.received) == (PortkeyStreamError, "provider", True, count)
    assert str(error) == (
        f"the answer broke off after {count} event(s): it ended without response.completed. The gateway ends a stream"
        " this way when its upstream dies"
    )


def test_done_is_no_end():
    assert "broke off" in str(fail(done(0, **message("a")), ("message", "[DONE]")))


def test_data_without_any_name_is_no_answer():
    assert "broke off" in str(fail(("message", {"status": "completed", "output": [message("a")]})))


def test_what_follows_the_end_changes_nothing():
    assert read(done(0, **message("a")), ended(), ("message", "[DONE]")) == ([START, delta(text="a"), STOP], "end_turn")


def test_the_end_starts_the_drain():
    translator = ResponsesTranslator()
    feed(translator, *WHOLE)
    before = (translator.is_done, translator.is_finished)
    feed(translator, ended())

    assert (before, (translator.is_done, translator.is_finished)) == ((False, False), (True, True))


def test_the_items_of_the_last_event_are_taken_where_none_came_before():
    output = [reasoning("Hm.", encrypted="gA"), None, message("Hi"), call(arguments="{}")]

    assert read(ended(output=output)) == (
        [
            *(START, think("Hm."), sign(id="rs_1", encrypted_content="gA", parts=[3]), STOP),
            *(START, delta(text="Hi"), STOP),
            *(use(), put("{}"), STOP),
        ],
        "tool_use",
    )
    for begun in (done(0, **message("a")), wrote(0, "a")):
        assert read(begun, ended(output=output)) == ([START, delta(text="a"), STOP], "end_turn")
    assert read(done(0, **call(arguments="{}")), ended(output=output)) == ([use(), put("{}"), STOP], "tool_use")


@pytest.mark.parametrize(
    ("begun", "item", "content"),
    [
        pytest.param([added(0, **call())], call(arguments='{"a":1}'), [use(), put('{"a":1}'), STOP], id="a call"),
        pytest.param(
            [added(0, **call()), argued(0, '{"a"')],
            call(arguments='{"a":1}'),
            [use(), put('{"a"'), put(":1}"), STOP],
            id="the rest of a call",
        ),
        pytest.param([added(0, **message())], message("Hi"), [START, delta(text="Hi"), STOP], id="a message"),
        pytest.param(
            [added(0, **reasoning())],
            reasoning(encrypted="gA"),
            [START, sign(id="rs_1", encrypted_content="gA", parts=[]), STOP],
            id="reasoning",
        ),
    ],
)
def test_the_last_event_ends_the_items_that_are_still_open(begun, item, content):
    output = [item, message("came before"), {"type": "web_search_call"}]

    assert read(done(1, **message()), *begun, ended(output=output))[0] == content


# -- counts and facts --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("usage", "counts"),
    [
        (USAGE, Counts(input=10, output=5, total=15, cache_read=4, cache_write=2, reasoning=3)),
        ({"input_tokens": 1, "output_tokens": 2}, Counts(input=1, output=2, total=3)),
        ({"input_tokens": None, "output_tokens": True, "total_tokens": "9"}, Counts()),
        ({"input_tokens_details": None, "output_tokens_details": []}, Counts()),
        (None, None),
        ("text", None),
    ],
)
def test_the_usage_of_the_last_event_counts(usage, counts):
    translator = ResponsesTranslator()
    feed(translator, done(0, **message("a")))
    before = translator.counts
    feed(translator, ended(usage=usage))

    assert (before, translator.counts) == (None, counts)


def test_the_counts_are_handed_on():
    translator = ResponsesTranslator()
    feed(translator, done(0, **message("a")), ended(usage=USAGE))

    assert translator.finish()[-1]["metadata"]["usage"] == {
        "inputTokens": 10,
        "outputTokens": 5,
        "totalTokens": 15,
        "cacheReadInputTokens": 4,
        "cacheWriteInputTokens": 2,
    }


@pytest.mark.parametrize(("given", "named"), [("gpt-5.6", "gpt-5.6"), (None, None), (5, None)])
def test_the_last_event_names_the_model_and_the_answer(given, named):
    translator = ResponsesTranslator()
    feed(translator, event("response.completed", response={"model": given, "id": given}))

    assert (translator.model, translator.response_id) == (named, named)


def test_the_last_events_report_what_the_gateway_did():
    translator: Any = ResponsesTranslator()
    feed(translator, done(0, **message("a")), ended())
    *_, stopped, _ = translator.finish(ResponseMetadata(200, cache_status="HIT"))

    facts = stopped["messageStop"]["additionalModelResponseFields"]["portkey"]
    assert (facts["status_code"], facts["cache_status"]) == (200, "HIT")


def test_the_first_event_is_the_first_byte_of_an_answer():
    translator = ResponsesTranslator()
    translator.stopwatch = Stopwatch(iter([0, 1, 2]).__next__)
    feed(translator, event("response.created"), done(0, **message("a")), ended())

    assert translator.finish()[-1]["metadata"]["metrics"] == {"latencyMs": 2000, "timeToFirstByteMs": 1000}


@pytest.mark.parametrize(
    ("data", "results"),
    [
        ({"hook_results": {"before_request_hooks": [1]}}, {"before_request_hooks": [1]}),
        ({"hook_results": 5}, {}),
        ([], {}),
        ("no JSON", {}),
    ],
)
def test_verdicts_of_guardrails_are_taken(data, results):
    translator = ResponsesTranslator()
    feed(translator, ("hook_results", data))

    assert translator.hook_results == results


def test_a_denied_answer_ends_with_the_gateways_words():
    translator = ResponsesTranslator()
    begun = feed(translator, added(0, **message()), wrote(0, "a"))
    denial = PortkeyGuardrailError("denied")
    denial.denial = "No."

    assert begun == [BEGIN, START, delta(text="a")]
    assert translator.deny(denial)[:5] == [
        *(STOP, START, delta(text="No."), STOP),
        {"messageStop": {"stopReason": "guardrail_intervened"}},
    ]


# -- errors ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("end", "kind", "retryable", "said"),
    [
        pytest.param(
            event("error", code="invalid_prompt", message="Bad prompt.", param="input"),
            PortkeyAPIError,
            False,
            "(invalid_prompt): Bad prompt.",
            id="flat",
        ),
        pytest.param(
            event("error", error={"type": "server_error", "code": "server_error", "message": "Oops."}),
            PortkeyAPIError,
            True,
            "(server_error): Oops.",
            id="nested",
        ),
        pytest.param(
            event("error", error={"code": "context_length_exceeded", "message": "Too long."}),
            PortkeyContextOverflowError,
            False,
            "Too long.",
            id="overflow",
        ),
        pytest.param(
            event("error", code="rate_limit_exceeded", message="Slow down."),
            PortkeyThrottledError,
            True,
            "Slow down.",
            id="throttle",
        ),
        pytest.param(
            event("error", error={"code": "insufficient_quota", "message": "You exceeded your current quota."}),
            PortkeyAPIError,
            False,
            "quota",
            id="quota",
        ),
        pytest.param(
            ended("failed", error={"code": "server_is_overloaded", "message": "Busy."}),
            PortkeyThrottledError,
            True,
            "Busy.",
            id="failed",
        ),
        pytest.param(
            ended("failed"),
            PortkeyAPIError,
            True,
            "(server_error): the response failed, and says no more",
            id="failed without a reason",
        ),
        pytest.param(("error", "no JSON"), PortkeyAPIError, False, "no JSON", id="no JSON"),
        pytest.param(("message", {"error": {"message": "Bad."}}), PortkeyAPIError, False, "Bad.", id="without a name"),
        pytest.param(
            ("message", {"type": "error", "code": "server_error", "message": "Oops."}),
            PortkeyAPIError,
            True,
            "Oops.",
            id="named only in its data",
        ),
    ],
)
def test_an_error_in_a_stream_is_judged(end, kind, retryable, said):
    error = fail(end)

    assert (type(error), error.retryable) == (kind, retryable)
    assert said in str(error)


def test_what_a_guardrail_has_found_comes_with_the_error_that_it_is():
    verdicts = {"before_request_hooks": [{"verdict": False}]}
    error = fail(("error", {"error": {"message": "denied", "code": "446"}, "hook_results": verdicts}))

    assert isinstance(error, PortkeyGuardrailError)
    assert error.hook_results == verdicts


def test_an_error_after_content_is_none_for_strands_to_retry():
    error = fail(done(0, **message("a")), event("error", code="rate_limit_exceeded", message="Slow down."))

    assert (type(error), error.retryable, error.received) == (PortkeyAPIError, True, 2)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("response.output_text.delta", "{"),
        ("response.output_text.delta", '{"delta": 5}'),
        ("response.output_item.done", '{"item": []}'),
        ("response.output_item.done", '{"item": {"type": "message", "content": 5}}'),
        ("response.output_item.added", '{"item": {"type": "function_call", "name": 5}}'),
        ("response.output_item.done", r'{"item": {"type": "function_call", "arguments": "\ud83d"}}'),
        ("response.completed", '{"response": {"output": 5}}'),
        ("message", "ping"),
        ("message", "[]"),
    ],
)
def test_data_that_cannot_be_read_raises(name, data):
    error = fail((name, data))

    assert (type(error), error.retryable) == (PortkeyStreamError, True)
    assert "cannot be read" in str(error)


def test_data_that_is_no_event_is_quoted():
    assert str(fail(("message", "ping"))) == "the gateway sent a chunk that cannot be read: it is no event: 'ping'"


def test_data_of_too_many_parts_raises():
    error = fail(("response.output_text.delta", '{"x":' + "[" * 200_000))

    assert (type(error), error.retryable) == (PortkeyStreamError, False)
    assert "cannot be read: it has too many lists and objects: " in str(error)


def test_an_event_of_no_interest_is_not_even_parsed():
    translator = ResponsesTranslator()

    assert feed(translator, ("response.created", "{" * 1_000_000), ("response.in_progress", "no JSON")) == []
    assert translator.received == 2


def test_an_event_is_known_by_its_data_where_it_has_no_name():
    events = [("message", data) for _, data in (added(0, **message()), wrote(0, "a"), done(0, **message("a")), ended())]

    assert read(*events) == ([START, delta(text="a"), STOP], "end_turn")


# -- JSON answers ------------------------------------------------------------------------------------------------------


def answer(*output, status="completed", **more):
    return None, {"object": "response", "status": status, "model": "gpt-5.6", "output": list(output), **more}


def test_a_json_answer_gives_the_same_as_a_stream():
    content, stop = read(
        answer(reasoning("One.", "Two.", encrypted="gA"), message("Hm", phase="commentary"), call(arguments="{}"))
    )

    assert (content, stop) == (
        [
            *(
                START,
                think("One.\n\nTwo."),
                sign(id="rs_1", encrypted_content="gA", parts=[4, 4], phase="commentary"),
                STOP,
            ),
            *(START, delta(text="Hm"), STOP),
            *(use(), put("{}"), STOP),
        ],
        "tool_use",
    )


def test_a_json_answer_brings_counts_and_verdicts():
    translator = ResponsesTranslator()
    feed(translator, answer(message("a"), usage=USAGE, hook_results={"after_request_hooks": []}, provider="openai"))

    assert (translator.counts, translator.hook_results, translator.model) == (
        Counts(input=10, output=5, total=15, cache_read=4, cache_write=2, reasoning=3),
        {"after_request_hooks": []},
        "gpt-5.6",
    )


@pytest.mark.parametrize(
    ("sent", "kind", "said"),
    [
        (answer(status="failed", error={"code": "server_error", "message": "Oops."}), PortkeyAPIError, "Oops."),
        (answer(status="failed"), PortkeyAPIError, "says no more"),
        (answer(status="in_progress"), PortkeyStreamError, "its status is in_progress"),
        (answer(status="queued"), PortkeyStreamError, "its status is queued"),
        (answer(status="cancelled"), PortkeyStreamError, "its status is cancelled"),
        (answer(status=None), PortkeyStreamError, "its status is missing"),
        ((None, {"output": []}), PortkeyStreamError, "its status is missing"),
        ((None, {"status": "failed"}), PortkeyAPIError, "the response failed"),
        (answer(status="incomplete"), PortkeyStreamError, "incomplete without a reason"),
        ((None, {"error": {"message": "Bad."}}), PortkeyAPIError, "Bad."),
        ((None, {"choices": []}), PortkeyAPIError, "choices"),
        ((None, "<html><title>Down</title></html>"), PortkeyAPIError, "Down"),
    ],
)
def test_a_json_answer_that_is_no_whole_response_raises(sent, kind, said):
    error = fail(sent)

    assert type(error) is kind
    assert said in str(error)


def test_a_json_answer_that_is_not_ready_may_be_asked_for_again():
    error = fail(answer(status="queued"))

    assert (error.origin, error.received, error.retryable) == ("provider", 1, True)


def test_a_key_in_an_error_is_hidden():
    judge = Judge()
    judge.sent({"authorization": "Bearer sk-secret-1234567890"})
    translator = ResponsesTranslator(judge)
    said: Any = {"message": "Bad key sk-secret-1234567890", "code": "sk-secret-1234567890"}
    with pytest.raises(PortkeyAPIError) as caught:
        feed(translator, event("error", **said))

    assert "sk-secret" not in str(caught.value)


def test_progress_is_the_number_of_deltas():
    translator = ResponsesTranslator()
    before = translator.progress()
    feed(translator, ("response.output_text.delta", {"output_index": 0, "delta": "a"}), ("keepalive", {}))

    assert (before, translator.progress()) == (0, 1)


ONE_CALL = call(arguments='{"a":1}')


@pytest.mark.parametrize(
    "events",
    [
        pytest.param([added(0, **call()), done(0, **ONE_CALL), done(0, **ONE_CALL)], id="its end twice"),
        pytest.param([done(0, **ONE_CALL), done(0, **ONE_CALL)], id="its end alone, twice"),
        pytest.param([done(0, **ONE_CALL), done(1, **{**ONE_CALL, "id": "fc_2"})], id="under another number and item"),
        pytest.param([done(0, **ONE_CALL), added(1, **call()), done(1, **ONE_CALL)], id="with its begin"),
    ],
)
def test_a_call_that_is_sent_once_more_runs_once(events):
    assert read(*events, ended(usage=USAGE)) == ([use(), put('{"a":1}'), STOP], "tool_use")


@pytest.mark.parametrize(
    ("events", "record"),
    [
        (
            [done(0, **message("a")), wrote(0, "b")],
            "type=<message> | a fragment after the end of its item is ignored",
        ),
        (
            [done(0, type="web_search_call")],
            "type=<web_search_call> | an item that a Strands message has no place for",
        ),
        ([done(0, **ONE_CALL), done(0, **ONE_CALL)], "call_id=<call_1> | a call that is sent once more"),
    ],
)
def test_what_is_left_out_of_an_answer_is_told_to_those_who_debug(caplog, events, record):
    caplog.set_level(logging.DEBUG, "strands_portkey")
    read(*events, ended())

    assert caplog.messages == [record]
