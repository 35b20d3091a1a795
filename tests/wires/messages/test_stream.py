"""MessagesTranslator: what the events of a message become."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from strands.types.streaming import StreamEvent

from strands_portkey._answer.counts import Stopwatch
from strands_portkey._answer.judgement import Judge
from strands_portkey._answer.metadata import ResponseMetadata
from strands_portkey._errors import (
    PortkeyAPIError,
    PortkeyContextOverflowError,
    PortkeyGuardrailError,
    PortkeyStreamError,
    PortkeyThrottledError,
)
from strands_portkey._wires.messages.stream import MessagesTranslator
from tests.events import START, STOP, delta

BEGIN: StreamEvent = {"messageStart": {"role": "assistant"}}
SERVER_USE = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}
SERVER_RESULT = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [{"encrypted_content": "E"}]}
PAGE = {"type": "page_location", "document_title": "T", "start_page_number": 1, "end_page_number": 2, "new_key": "n"}
CITED = {"title": "T", "location": {"documentPage": {"documentIndex": 0, "start": 1, "end": 2}}}


def tool_start(call_id="t1", name="sum"):
    return {"contentBlockStart": {"start": {"toolUse": {"toolUseId": call_id, "name": name}}}}


def tool_input(value):
    return delta(toolUse={"input": value})


def thought(**of):
    return delta(reasoningContent=of)


def event(kind, **more):
    return kind, {"type": kind, **more}


def begin(index=0, **block):
    return event("content_block_start", index=index, content_block=block)


def grow(index=0, **of):
    return event("content_block_delta", index=index, delta=of)


def stop(index=0):
    return event("content_block_stop", index=index)


def text(*pieces, index=0):
    grown = [grow(index, type="text_delta", text=piece) for piece in pieces]
    return [begin(index, type="text", text=""), *grown, stop(index)]


def use(*pieces, index=0, call_id="t1", name="sum", given: Any = None):
    grown = [grow(index, type="input_json_delta", partial_json=piece) for piece in pieces]
    return [begin(index, type="tool_use", id=call_id, name=name, input=given or {}), *grown, stop(index)]


def end(stop_reason="end_turn", usage: Any = None, **more):
    return [
        event("message_delta", delta={"stop_reason": stop_reason, **more}, usage=usage or {}),
        event("message_stop"),
    ]


def make_translator(judge=None):
    """Return a translator whose clock does not advance."""
    translator = MessagesTranslator(judge)
    translator.stopwatch = Stopwatch(lambda: 0)
    return translator


def feed(translator, *events):
    return [each for name, data in events for each in translator.feed(name, json.dumps(data))]


def translate(*events, translator=None):
    """Return the events between the start and the end of the message, and the stop reason."""
    translator = translator or make_translator()
    found = [*feed(translator, *events), *translator.finish()]
    assert found[0] == BEGIN
    assert found[-1]["metadata"]["metrics"] == {"latencyMs": 0, "timeToFirstByteMs": 0}
    return found[1:-2], found[-2]["messageStop"]["stopReason"]


def whole(*content, stop_reason="end_turn", **more):
    return [(None, {"type": "message", "content": list(content), "stop_reason": stop_reason, **more})]


@pytest.mark.parametrize(
    ("events", "found"),
    [
        pytest.param(text("Hel", "lo"), [START, delta(text="Hel"), delta(text="lo"), STOP], id="text"),
        pytest.param(
            [*text("a"), *text("b", index=1)],
            [START, delta(text="a"), STOP, START, delta(text="b"), STOP],
            id="texts",
        ),
        pytest.param(text(), [], id="text that is empty"),
        pytest.param(
            [begin(type="text", text="a"), stop(), begin(1, type="text", text="b"), stop(1)],
            [START, delta(text="a"), STOP, START, delta(text="b"), STOP],
            id="texts at the begin",
        ),
        pytest.param(
            [
                *(begin(type="thinking", thinking="a"), stop()),
                *(begin(1, type="thinking", thinking=""), grow(1, thinking="b"), stop(1)),
                *(begin(2, type="thinking", thinking="c"), stop(2)),
                *(begin(3, type="thinking", signature="S"), grow(3, signature="T"), stop(3)),
            ],
            [
                *(START, thought(text="a"), STOP),
                *(START, thought(text="b"), STOP),
                *(START, thought(text="c"), STOP),
                *(START, thought(signature="S"), thought(signature="T"), STOP),
            ],
            id="thinking at the begin",
        ),
        pytest.param(
            [event("ping"), event("later", delta={"text": "x"}), *text("a"), ("message", {"type": "new", "index": 0})],
            [START, delta(text="a"), STOP],
            id="ping and unknown events",
        ),
        pytest.param(
            [("message", data) for _, data in [*text("a"), *text("b", index=1)]],
            [START, delta(text="a"), STOP, START, delta(text="b"), STOP],
            id="no lines with event names",
        ),
        pytest.param(
            [grow(text="a"), grow(1, thinking="hm")],
            [START, delta(text="a"), STOP, START, thought(text="hm"), STOP],
            id="blocks without a begin",
        ),
        pytest.param(
            [
                begin(type="thinking", thinking="", signature=""),
                grow(type="thinking_delta", thinking="Hm"),
                grow(type="thinking_delta", thinking="."),
                grow(type="signature_delta", signature="SI"),
                grow(type="signature_delta", signature="G"),
                stop(),
                *text("a", index=1),
            ],
            [
                START,
                thought(text="Hm"),
                thought(text="."),
                thought(signature="SI"),
                thought(signature="G"),
                STOP,
                START,
                delta(text="a"),
                STOP,
            ],
            id="thinking",
        ),
        pytest.param(
            [
                begin(type="thinking", thinking=""),
                grow(signature="S"),
                stop(),
                begin(1, type="thinking"),
                grow(1, signature="T"),
            ],
            [START, thought(signature="S"), STOP, START, thought(signature="T"), STOP],
            id="thinking without words",
        ),
        pytest.param(
            [begin(type="text", text=""), grow(signature="S"), stop(), *text("a", index=1)],
            [START, thought(signature="S"), STOP, START, delta(text="a"), STOP],
            id="bedrock: thinking without words, announced as text",
        ),
        pytest.param(
            [begin(type="redacted_thinking", data="RED=="), stop(), begin(1, type="redacted_thinking"), stop(1)],
            [START, thought(redactedContent=b"RED=="), STOP],
            id="redacted thinking",
        ),
        pytest.param(
            [*text("so"), grow(type="citations_delta", citation=PAGE)],
            [START, delta(text="so"), delta(citation=CITED), STOP],
            id="citation",
        ),
        pytest.param(
            [
                *text("a"),
                *(begin(1, type="text", text="", citations=[PAGE]), grow(1, text="b"), stop(1)),
                *(begin(2, type="text", text=""), grow(2, citation=PAGE), grow(2, text="c"), stop(2)),
            ],
            [
                *(START, delta(text="a"), STOP),
                *(START, delta(citation=CITED), delta(text="b"), STOP),
                *(START, delta(citation=CITED), delta(text="c"), STOP),
            ],
            id="citations before their text",
        ),
        pytest.param(
            [*text("so"), grow(citation={"title": 5}), grow(citation={})],
            [START, delta(text="so"), STOP],
            id="citations that say nothing",
        ),
        pytest.param(
            [
                begin(**SERVER_USE),
                grow(partial_json='{"query": "x"}'),
                stop(),
                begin(1, **SERVER_RESULT),
                stop(1),
                *text("a", index=2),
            ],
            [START, delta(text="a"), STOP],
            id="a tool of the server",
        ),
        pytest.param(
            [begin(type="later_block", text=5), grow(type="later_delta", content="x"), stop(), *text("a", index=1)],
            [START, delta(text="a"), STOP],
            id="unknown blocks and deltas",
        ),
        pytest.param(
            [event("content_block_delta", index=0), event("content_block_start", index=0), *text("a", index=1)],
            [START, delta(text="a"), STOP],
            id="events that hold nothing",
        ),
    ],
)
def test_a_message_becomes_blocks(events, found):
    assert translate(*events, *end()) == (found, "end_turn")


@pytest.mark.parametrize(
    ("events", "found"),
    [
        pytest.param(
            use('{"a"', ": 1}"), [tool_start(), tool_input('{"a"'), tool_input(": 1}"), STOP], id="in fragments"
        ),
        pytest.param(use("", ""), [tool_start(), tool_input(""), STOP], id="without input"),
        pytest.param(use(given={"a": "é"}), [tool_start(), tool_input('{"a": "é"}'), STOP], id="input at the begin"),
        pytest.param(
            [*use(), *use('{"b": 1}', index=1, call_id="t2")],
            [tool_start(), tool_input(""), STOP, tool_start("t2"), tool_input('{"b": 1}'), STOP],
            id="two, the first without input",
        ),
        pytest.param(
            [
                begin(type="tool_use", id="t1", name="sum", input={}),
                begin(1, type="tool_use", id="t2", name="mul", input={}),
                grow(1, partial_json='{"b": 1}'),
                grow(0, partial_json='{"a": 1}'),
            ],
            [tool_start(), tool_input('{"a": 1}'), STOP, tool_start("t2", "mul"), tool_input('{"b": 1}'), STOP],
            id="hosted: at the same time, without an end",
        ),
        pytest.param(
            [begin(type="tool_use", tool_use={"id": "t1", "name": "sum"}), grow(partial_json='{"a": 1}'), stop()],
            [tool_start(), tool_input('{"a": 1}'), STOP],
            id="the gateway's cache: one level too deep",
        ),
        pytest.param(
            [begin(type="tool_use", id="t1", name="sum", input={"a": 1})],
            [tool_start(), tool_input('{"a": 1}'), STOP],
            id="input at the begin, without an end",
        ),
    ],
)
def test_calls_of_tools_become_blocks(events, found):
    assert translate(*events, *end("tool_use")) == (found, "tool_use")


@pytest.mark.parametrize("call_id", [None, "", "t1"])
def test_a_call_without_an_id_of_its_own_gets_one(call_id):
    found, _ = translate(*use("{}"), *use("{}", index=1, call_id=call_id), *end("tool_use"))

    ids = [each["contentBlockStart"]["start"]["toolUse"]["toolUseId"] for each in found if "contentBlockStart" in each]
    assert ids[0] == "t1"
    assert ids[1].startswith("toolu_")


def test_what_follows_a_call_without_input_comes_at_once():
    translator = make_translator()

    assert feed(translator, *use(), *text("a", index=1)) == [
        BEGIN,
        tool_start(),
        tool_input(""),
        STOP,
        START,
        delta(text="a"),
    ]


def test_thoughts_and_calls_keep_their_order():
    events = [
        begin(type="thinking"), grow(thinking="one"), grow(signature="S1"), stop(),
        *use("{}", index=1),
        begin(2, type="thinking"), grow(2, thinking="two"), grow(2, signature="S2"), stop(2),
        *use("{}", index=3, call_id="t2"),
    ]  # fmt: skip
    translator = make_translator()

    found, _ = translate(*events, *end("tool_use"), translator=translator)

    assert [each["contentBlockStart"]["start"] or "thought" for each in found if "contentBlockStart" in each] == [
        "thought",
        tool_start()["contentBlockStart"]["start"],
        "thought",
        tool_start("t2")["contentBlockStart"]["start"],
    ]
    assert translator.signatures == ["S1", "S2"]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        pytest.param([{"type": "text", "text": "Hi"}], [START, delta(text="Hi"), STOP], id="text"),
        pytest.param([], [], id="nothing"),
        pytest.param(
            [{"type": "thinking", "thinking": "hm", "signature": "S"}, "Card [X]"],
            [START, thought(text="hm"), thought(signature="S"), STOP, START, delta(text="Card [X]"), STOP],
            id="a text that a guardrail has rewritten",
        ),
        pytest.param(
            [
                {"type": "text", "text": "so", "citations": [PAGE]},
                {"type": "redacted_thinking", "data": "R"},
                SERVER_USE,
            ],
            [START, delta(text="so"), delta(citation=CITED), STOP, START, thought(redactedContent=b"R"), STOP],
            id="citations, redacted thinking, a tool of the server",
        ),
        pytest.param([{"type": "text", "text": "so", "citations": None}], [START, delta(text="so"), STOP], id="null"),
        pytest.param(
            [None, {"type": "text", "text": "so", "citations": [None, PAGE]}, None],
            [START, delta(text="so"), delta(citation=CITED), STOP],
            id="blocks and citations that are null",
        ),
    ],
)
def test_a_json_answer_becomes_the_same_blocks(content, found):
    assert translate(*whole(*content)) == (found, "end_turn")
    assert translate(("message", whole(*content)[0][1])) == (found, "end_turn")


def test_calls_of_a_json_answer_become_blocks():
    answer = whole({"type": "tool_use", "id": "t1", "name": "sum", "input": {"a": 1}}, stop_reason="tool_use")

    assert translate(*answer) == ([tool_start(), tool_input('{"a": 1}'), STOP], "tool_use")
    assert feed(make_translator(), *answer) == [BEGIN, tool_start(), tool_input('{"a": 1}')]


@pytest.mark.parametrize(
    ("said", "called", "stop_reason"),
    [
        ("end_turn", False, "end_turn"),
        ("max_tokens", False, "max_tokens"),
        ("model_context_window_exceeded", False, "max_tokens"),
        ("stop_sequence", False, "stop_sequence"),
        ("refusal", False, "content_filtered"),
        ("tool_use", True, "tool_use"),
        ("end_turn", True, "tool_use"),
        ("stop_sequence", True, "tool_use"),
        ("max_tokens", True, "max_tokens"),
        ("refusal", True, "content_filtered"),
        ("tool_use", False, "end_turn"),
        ("pause_turn", False, "end_turn"),
        ("later_reason", False, "end_turn"),
        ("later_reason", True, "tool_use"),
    ],
)
def test_a_stop_reason_becomes_that_of_strands(said, called, stop_reason):
    events = use("{}") if called else text("a")

    assert translate(*events, *end(said))[1] == stop_reason


def test_the_last_events_report_what_the_gateway_did():
    translator = make_translator()
    feed(translator, *text("a"), *end())
    *_, stopped, _ = translator.finish(ResponseMetadata(200, cache_status="HIT"))

    facts = stopped["messageStop"]["additionalModelResponseFields"]["portkey"]
    assert (facts["status_code"], facts["cache_status"]) == (200, "HIT")


@pytest.mark.parametrize(
    ("said", "told"),
    [("later_reason", "taken for the end of the turn"), ("tool_use", "no tool call came with it")],
)
def test_a_stop_reason_that_is_unknown_or_does_not_fit_is_told(caplog, said, told):
    with caplog.at_level(logging.WARNING):
        translate(*text("a"), *end(said))

    assert f"stop_reason=<{said}> | {told}" in caplog.text


@pytest.mark.parametrize("form", [end, whole], ids=["stream", "JSON"])
def test_why_the_model_refused_is_told(caplog, form):
    with caplog.at_level(logging.WARNING):
        refusal = form(stop_reason="refusal", stop_details={"category": "cyber"})
        assert translate(*text("a"), *refusal)[1] == "content_filtered"

    assert 'stop_details=<{"category": "cyber"}>' in caplog.text


def test_a_refusal_without_content_is_an_answer():
    assert translate(*end("refusal")) == ([], "content_filtered")
    assert translate((None, {"type": "message", "content": None, "stop_reason": "refusal"})) == ([], "content_filtered")


# -- counts --


@pytest.mark.parametrize(
    ("start", "last", "usage"),
    [
        pytest.param(
            {"input_tokens": 10, "output_tokens": 1}, {"output_tokens": 5}, (10, 5, 15, None, None), id="anthropic"
        ),
        pytest.param(
            {"input_tokens": 10, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 20},
            {"output_tokens": 5, "input_tokens": None},
            (130, 5, 135, 100, 20),
            id="the cache is counted with the input",
        ),
        pytest.param(
            {"input_tokens": 0, "output_tokens": 0, "cache_read_input_tokens": 0},
            {"input_tokens": 7, "output_tokens": 3, "cache_read_input_tokens": 2},
            (9, 3, 12, 2, None),
            id="bedrock: all at the end",
        ),
        pytest.param({}, {"output_tokens": "many"}, None, id="counts that are none"),
        pytest.param(None, None, None, id="nothing"),
    ],
)
def test_later_counts_take_the_place_of_earlier_ones(start, last, usage):
    translator = make_translator()

    feed(translator, event("message_start", message={"id": "msg_1", "model": "claude-x", "usage": start}))
    feed(translator, *text("a"), *end(usage=last))
    metadata = translator.finish()[-1]

    names = ("inputTokens", "outputTokens", "totalTokens", "cacheReadInputTokens", "cacheWriteInputTokens")
    found = metadata["metadata"].get("usage")
    assert (found and tuple(found.get(name) for name in names)) == usage
    assert (translator.model, translator.response_id) == ("claude-x", "msg_1")


def test_tokens_of_thinking_are_told():
    translator = make_translator()
    translate(*end(usage={"output_tokens": 9, "output_tokens_details": {"thinking_tokens": 4}}), translator=translator)

    assert translator.counts
    assert translator.counts.reasoning == 4


# -- pauses --


def paused(translator, *events):
    return feed(translator, *events, *end("pause_turn"))


def test_a_paused_turn_is_sent_back_as_it_came_and_goes_on():
    translator = make_translator()
    begun = feed(translator, event("message_start", message={"usage": {"input_tokens": 10, "output_tokens": 1}}))
    begun += paused(
        translator,
        begin(type="thinking", thinking="", signature=""),
        grow(thinking="h"), grow(thinking="m"), grow(signature="S"), stop(),
        *text("I ", "look.", index=1),
        begin(2, **SERVER_USE), grow(2, partial_json='{"query":'), grow(2, partial_json=' "x"}'), stop(2),
        begin(3, **SERVER_RESULT), stop(3),
        begin(4, type="text", text=""), grow(4, text="so"), grow(4, citation=PAGE), stop(4),
        *text(index=5),
    )  # fmt: skip

    assert translator.is_finished
    assert translator.resume() == [
        {"type": "thinking", "thinking": "hm", "signature": "S"},
        {"type": "text", "text": "I look."},
        {**SERVER_USE, "input": {"query": "x"}},
        SERVER_RESULT,
        {"type": "text", "text": "so", "citations": [PAGE]},
    ]
    assert not translator.is_finished
    assert not translator.is_done
    found, stop_reason = translate(
        event("message_start", message={"usage": {"input_tokens": 30}}),
        *text("Done."),
        *end(usage={"output_tokens": 4}),
        translator=_Continued(translator, begun),
    )
    assert found[-4:] == [STOP, START, delta(text="Done."), STOP]
    assert stop_reason == "end_turn"
    assert translator.counts
    assert translator.counts.total == 34
    *_, last = translator.finish()
    assert last["metadata"]["usage"] == {"inputTokens": 40, "outputTokens": 5, "totalTokens": 45}


class _Continued:
    """A translator whose first events have been taken."""

    def __init__(self, translator, begun):
        self._translator, self._begun = translator, begun

    def feed(self, name, data):
        begun, self._begun = self._begun, []
        return [*begun, *self._translator.feed(name, data)]

    def finish(self):
        return self._translator.finish()


def test_what_was_said_of_a_request_is_not_said_of_the_one_after_a_pause():
    translator = make_translator()
    start = event("message_start", message={"id": "msg_1", "model": "claude-x", "usage": {"input_tokens": 1}})
    feed(translator, start, ("hook_results", {"hook_results": {"before_request_hooks": [1]}}))
    paused(translator, *text("a"))
    translator.resume()

    found = (translator.model, translator.response_id, translator.hook_results, translator.counts, translator.is_done)
    assert found == (None, None, {}, None, False)


def test_blocks_are_sent_back_in_the_order_of_their_numbers_of_which_0_may_be_left_out():
    translator = make_translator()
    paused(translator, begin(1, **SERVER_RESULT), begin(None, **SERVER_USE))

    assert translator.resume() == [SERVER_USE, SERVER_RESULT]


def test_a_paused_json_answer_is_sent_back_as_it_came():
    translator = make_translator()
    feed(translator, *whole({"type": "text", "text": "a"}, SERVER_USE, stop_reason="pause_turn"))

    assert translator.resume() == [{"type": "text", "text": "a"}, SERVER_USE]


def test_input_of_a_servers_tool_that_is_no_json_stays_as_it_began():
    translator = make_translator()
    paused(translator, begin(**SERVER_USE), grow(partial_json='{"que'))

    assert translator.resume() == [SERVER_USE]


def test_blocks_whose_begins_were_lost_are_sent_back():
    translator = make_translator()
    paused(
        translator,
        grow(thinking="h"), grow(thinking="m"), grow(signature="S"), grow(signature="T"),
        grow(1, text="a"), grow(1, text="b"),
    )  # fmt: skip

    assert translator.resume() == [
        {"type": "thinking", "thinking": "hm", "signature": "ST"},
        {"type": "text", "text": "ab"},
    ]


def test_blank_text_is_not_sent_back():
    translator = make_translator()
    feed(translator, *text("\n\n"), begin(1, **SERVER_USE), stop(1), *end("pause_turn"))

    assert translator.resume() == [SERVER_USE]


@pytest.mark.parametrize(
    "events",
    [
        pytest.param([*text("a"), *end()], id="it has ended"),
        pytest.param(text("a"), id="it was cut"),
        pytest.param(end("pause_turn"), id="it holds nothing"),
        pytest.param([*use("{}"), *end("pause_turn")], id="it waits for a result"),
    ],
)
def test_another_turn_does_not_go_on(events):
    translator = make_translator()
    feed(translator, *events)

    assert translator.resume() == []


def test_a_turn_that_breaks_off_after_a_pause_raises():
    translator = make_translator()
    paused(translator, *text("a"))
    translator.resume()

    with pytest.raises(PortkeyStreamError, match="without a stop reason"):
        translator.finish()


# -- cuts and errors --

WHOLE = [
    event("message_start", message={"usage": {"input_tokens": 1}}),
    *text("Let me add."),
    *use('{"a": 1}', index=1),
    event("message_delta", delta={"stop_reason": "tool_use"}),
]


@pytest.mark.parametrize("cut", range(len(WHOLE)))
def test_a_message_without_a_stop_reason_raises_however_much_came(cut):
    translator = make_translator()
    feed(translator, *WHOLE[:cut])

    assert not translator.is_finished
    with pytest.raises(PortkeyStreamError) as caught:
        translator.finish()
    assert str(caught.value) == (
        f"the answer broke off after {cut} event(s): it ended without a stop reason. The gateway ends a stream this"
        " way when its upstream dies"
    )
    assert (caught.value.origin, caught.value.received, caught.value.retryable) == ("provider", cut, True)


def test_a_message_without_its_last_event_is_whole():
    assert translate(*WHOLE)[1] == "tool_use"


@pytest.mark.parametrize("last", [[], [event("message_stop")]])
def test_the_last_event_tells_that_no_more_of_the_message_comes(last):
    translator = make_translator()
    feed(translator, *WHOLE, *last)

    assert translator.is_done is bool(last)


def test_done_as_other_protocols_have_it_is_taken():
    translator = make_translator()
    assert translator.feed("message", "[DONE]") == []
    assert translator.is_done


@pytest.mark.parametrize("stop_reason", [None, ""])
def test_a_json_answer_without_a_stop_reason_raises(stop_reason):
    translator = make_translator()
    feed(translator, *whole({"type": "text", "text": "a"}, stop_reason=stop_reason))

    with pytest.raises(PortkeyStreamError, match="without a stop reason"):
        translator.finish()


@pytest.mark.parametrize("stop_reason", ["tool_use", "end_turn", "refusal"])
def test_a_call_that_is_not_whole_raises(stop_reason):
    translator = make_translator()
    feed(translator, *use('{"a": '), *end(stop_reason))

    with pytest.raises(PortkeyStreamError, match=r'a tool call that is not whole: sum\(\{"a": ') as caught:
        translator.finish()
    assert caught.value.retryable is (stop_reason != "refusal")


def test_a_call_without_a_name_raises():
    translator = make_translator()
    feed(translator, *use("{}", name=None), *end("tool_use"))

    with pytest.raises(PortkeyStreamError, match="not whole: no name"):
        translator.finish()


@pytest.mark.parametrize(
    "start",
    [
        [],
        [event("content_block_start", index=1, content_block=None)],
        [event("content_block_start", index=None, content_block=use()[0][1]["content_block"])],
    ],
    ids=["lost", "null", "of another index"],
)
def test_a_call_whose_begin_was_lost_raises_rather_than_runs_without_its_input(start):
    translator = make_translator()
    feed(translator, *text("a"), *start, *use('{"a": 1}', index=1)[1:], *use("{}", index=2, call_id="t2"))
    feed(translator, *end("tool_use"))

    with pytest.raises(PortkeyStreamError, match=r"not whole: no name\("):
        translator.finish()


@pytest.mark.parametrize(
    "said",
    [
        grow(type="text_delta", text="a"),
        grow(type="input_json_delta", partial_json='{"query": '),
        begin(1, **SERVER_RESULT),
        begin(1, type="tool_use", id="t1", name="sum", input={}),
    ],
    ids=["text", "input of a server's tool", "result of a server's tool", "begin of a call"],
)
def test_all_that_comes_of_a_block_is_progress(said):
    translator = make_translator()
    feed(translator, begin(0, **SERVER_USE))
    before = translator.progress()

    feed(translator, said)

    assert translator.progress() > before


def test_what_says_nothing_is_no_progress():
    translator = make_translator()
    feed(translator, begin(0, **SERVER_USE))
    before = translator.progress()

    feed(translator, event("ping"), grow(type="input_json_delta", partial_json=""), grow(type="new_delta"), stop())

    assert translator.progress() == before


def test_a_call_cut_by_the_length_is_left_to_strands():
    assert translate(*use('{"a": '), *end("max_tokens"))[1] == "max_tokens"


@pytest.mark.parametrize(
    ("kind", "message", "error", "retryable"),
    [
        ("overloaded_error", "Overloaded", PortkeyThrottledError, True),
        ("rate_limit_error", "Slow down.", PortkeyThrottledError, True),
        ("api_error", "Internal server error", PortkeyAPIError, True),
        ("timeout_error", "Too slow.", PortkeyAPIError, True),
        ("invalid_request_error", "prompt is too long: 9 tokens > 8 maximum", PortkeyContextOverflowError, False),
        ("invalid_request_error", "Bad request.", PortkeyAPIError, False),
        ("authentication_error", "invalid x-api-key", PortkeyAPIError, False),
    ],
)
@pytest.mark.parametrize("name", ["error", "message"])
def test_an_error_in_a_stream_is_judged(name, kind, message, error, retryable):
    data = {"type": "error", "error": {"type": kind, "message": message}}

    with pytest.raises(error) as caught:
        make_translator().feed(name, json.dumps(data))

    assert type(caught.value) is error
    assert (caught.value.type, caught.value.retryable) == (kind, retryable)
    assert message in str(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.parametrize("data", [{"error": {"message": "Oops."}}, {"type": "error", "detail": "Oops."}])
def test_an_error_without_the_name_of_its_event_is_known_by_its_type_or_by_what_it_holds(data):
    with pytest.raises(PortkeyAPIError, match=r"Oops\."):
        make_translator().feed("message", json.dumps(data))


@pytest.mark.parametrize("name", ["error", "message"])
def test_an_error_after_the_begin_is_not_for_strands_to_try_again(name):
    translator = make_translator()
    feed(translator, *text("a"))

    with pytest.raises(PortkeyAPIError) as caught:
        translator.feed(name, '{"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}')
    assert type(caught.value) is PortkeyAPIError
    assert (caught.value.received, caught.value.retryable) == (4, True)


def test_an_error_that_is_no_json_is_quoted():
    with pytest.raises(PortkeyAPIError, match="upstream went away"):
        make_translator().feed("error", "upstream went away")


def test_an_error_shows_no_key():
    judge = Judge.knowing({"authorization": "Bearer sk-secret-123456"})

    with pytest.raises(PortkeyAPIError) as caught:
        make_translator(judge).feed("error", '{"error": {"message": "no sk-secret-123456"}}')
    assert "sk-secret" not in str(caught.value)


@pytest.mark.parametrize(
    "body", ['{"error": {"message": "no"}}', '{"type": "message"}', "[]", "no JSON", '{"type": "error", "error": null}']
)
def test_a_json_answer_that_is_no_message_is_an_error_that_keeps_it(body):
    with pytest.raises(PortkeyAPIError) as caught:
        make_translator().feed(None, body)
    assert caught.value.body == body


@pytest.mark.parametrize(
    ("name", "data", "problem"),
    [
        ("content_block_delta", "{", "the event: Invalid JSON"),
        ("content_block_delta", '{"delta": {"text": 5}}', "delta.text: Input should be a valid string"),
        ("message", "ping", "the event: Invalid JSON"),
        ("content_block_start", '{"content_block": {"type": "text", "text": 5}}', "text: Input should be a valid"),
        ("message_delta", '{"delta": {"stop_reason": 5}}', "delta.stop_reason: Input should be a valid string"),
    ],
)
def test_an_event_that_cannot_be_read_raises(name, data, problem):
    with pytest.raises(PortkeyStreamError, match=f"a chunk that cannot be read: {problem}") as caught:
        make_translator().feed(name, data)
    assert caught.value.__context__ is None


def test_an_event_of_too_many_parts_raises():
    with pytest.raises(PortkeyStreamError, match=r"cannot be read: it has too many lists and objects: '\[\[") as caught:
        make_translator().feed("content_block_start", "[" * 200_000)
    assert caught.value.retryable is False


def test_a_lone_surrogate_is_replaced_but_in_the_input_of_a_tool():
    translator = make_translator()

    assert translator.feed("content_block_delta", '{"delta": {"text": "a\\ud83d"}}')[2] == delta(text="a\ufffd")
    with pytest.raises(PortkeyStreamError, match="cannot be read"):
        translator.feed("content_block_delta", '{"delta": {"partial_json": "\\ud83d"}}')


# -- guardrails --


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("hook_results", {"hook_results": {"before_request_hooks": [1]}}),
        ("message", {"hook_results": {"before_request_hooks": [1]}}),
        (None, {"type": "message", "content": [], "hook_results": {"before_request_hooks": [1]}}),
    ],
)
def test_verdicts_of_guardrails_are_kept(name, data):
    translator = make_translator()

    assert feed(translator, (name, data)) == []
    assert translator.hook_results == {"before_request_hooks": [1]}


def test_verdicts_of_another_form_are_left_out():
    translator = make_translator()
    feed(translator, ("hook_results", {"hook_results": [1]}))

    assert translator.hook_results == {}


def test_an_answer_that_a_guardrail_denies_ends_with_its_message():
    translator = make_translator()
    begun = feed(translator, begin(type="text", text="Hi"))
    error = PortkeyGuardrailError("no", origin="gateway", status_code=446)

    assert begun == [BEGIN, START, delta(text="Hi")]
    assert translator.deny(error)[:4] == [STOP, START, delta(text="no"), STOP]
