"""ChatTranslator: what the chunks of each upstream become."""

from __future__ import annotations

import json
import logging
import time

import pytest
from strands.types.streaming import StreamEvent

from strands_portkey._answer.counts import Stopwatch
from strands_portkey._answer.judgement import Judge
from strands_portkey._errors import (
    PortkeyAPIError,
    PortkeyContextOverflowError,
    PortkeyGuardrailError,
    PortkeyStreamError,
    PortkeyThrottledError,
)
from strands_portkey._wires.chat.stream import ChatTranslator
from tests.events import START, STOP, delta

BEGIN: StreamEvent = {"messageStart": {"role": "assistant"}}


TOO_LONG = "prompt is too long: 9 tokens > 8 maximum"
# An overflow whose words stand at one of the places where upstreams put them.
OVERFLOWS_BESIDE_NO_CHOICES = {
    "error, null": {"choices": None, "error": TOO_LONG},
    "error, none": {"choices": [], "error": {"message": TOO_LONG}},
    "message beside true": {"choices": None, "error": True, "message": TOO_LONG},
    "message beside a number": {"choices": [], "error": 1, "message": TOO_LONG},
    "error_message, null": {"choices": None, "error_message": TOO_LONG},
    "error_message, none": {"choices": [], "error_message": TOO_LONG, "error_code": 7},
    "error_message alone": {"error_message": TOO_LONG},
    "message, null": {"choices": None, "message": TOO_LONG},
    "message and code, none": {"choices": [], "message": TOO_LONG, "code": 400},
    "detail": {"choices": None, "detail": TOO_LONG},
    "choice": {"choices": [{"delta": {}, "error": {"message": TOO_LONG, "code": 400}, "finish_reason": "error"}]},
    "choice, text": {"choices": [{"delta": {"content": ""}, "error": TOO_LONG}]},
}


def tool_start(call_id, name, **more):
    return {"contentBlockStart": {"start": {"toolUse": {"toolUseId": call_id, "name": name, **more}}}}


def chunk(finish_reason=None, **of):
    return {"choices": [{"delta": of, "finish_reason": finish_reason}]}


def blocks(*of):
    return chunk(content_blocks=[{"index": index, "delta": each} for index, each in of])


def call(arguments=None, **more):
    function = {key: more.pop(key) for key in ("name", "thought_signature") if key in more}
    return {**more, "function": function if arguments is None else {**function, "arguments": arguments}}


def make_translator(judge=None):
    """Return a translator whose clock does not advance."""
    translator = ChatTranslator(judge)
    translator.stopwatch = Stopwatch(lambda: 0)
    return translator


def feed(translator, data):
    """Feed a translator one message of a stream, and return the events of it."""
    return translator.feed("message", json.dumps(data))


def translate(*chunks):
    """Return the events between the start and the end of the message, and the stop reason."""
    translator = make_translator()
    events = [event for each in chunks for event in feed(translator, each)]
    events += translator.finish()
    assert events[0] == BEGIN
    assert events[-1]["metadata"]["metrics"] == {"latencyMs": 0, "timeToFirstByteMs": 0}
    return events[1:-2], events[-2]["messageStop"]["stopReason"]


@pytest.mark.parametrize(
    ("chunks", "events"),
    [
        pytest.param(
            [chunk(role="assistant", content=""), chunk(content="Hel"), chunk(content="lo"), chunk("stop")],
            [START, delta(text="Hel"), delta(text="lo"), STOP],
            id="openai: text",
        ),
        pytest.param([chunk(content=None), {"choices": [{"delta": None}]}, chunk("stop")], [], id="openai: nothing"),
        pytest.param(
            [{"choices": []}, {"usage": None}, {}, chunk(content="a"), chunk("stop")],
            [START, delta(text="a"), STOP],
            id="azure: chunks without choices",
        ),
        pytest.param(
            [
                blocks((0, {"thinking": "", "signature": ""})),
                blocks((0, {"thinking": "Need it."})),
                blocks((0, {"signature": "SIG"})),
                blocks((1, {"data": "RED=="})),
                blocks((2, {"text": ""})),
                chunk(content="Hi", content_blocks=[{"index": 2, "delta": {"text": "Hi"}}]),
                chunk("end_turn"),
            ],
            [
                START,
                delta(reasoningContent={"text": "Need it."}),
                delta(reasoningContent={"signature": "SIG"}),
                STOP,
                START,
                delta(reasoningContent={"redactedContent": b"RED=="}),
                STOP,
                START,
                delta(text="Hi"),
                STOP,
            ],
            id="anthropic: thinking, redacted thinking, and text that stands twice",
        ),
        pytest.param(
            [
                chunk(content="so", content_blocks=[{"index": 0, "delta": {"text": "so"}}]),
                blocks((0, {"citation": {"type": "page_location", "start_page_number": 1, "end_page_number": 2}})),
                chunk("end_turn"),
            ],
            [
                START,
                delta(text="so"),
                delta(citation={"location": {"documentPage": {"documentIndex": 0, "start": 1, "end": 2}}}),
                STOP,
            ],
            id="anthropic: citation",
        ),
        pytest.param(
            [
                *(blocks((0, {"thinking": "a"})), blocks((1, {"thinking": "b"}))),
                *(blocks((1, {"signature": "S"})), blocks((1, {"signature": "IG"})), blocks((2, {"signature": "X"}))),
                blocks((3, {"text": "c"})),
                blocks((4, {"citation": {"type": "page_location", "start_page_number": 1, "end_page_number": 2}})),
                blocks((4, {"text": "d"})),
                chunk("end_turn"),
            ],
            [
                *(START, delta(reasoningContent={"text": "a"}), STOP),
                *(START, delta(reasoningContent={"text": "b"})),
                *(delta(reasoningContent={"signature": "S"}), delta(reasoningContent={"signature": "IG"}), STOP),
                *(START, delta(reasoningContent={"signature": "X"}), STOP),
                *(START, delta(text="c"), STOP),
                START,
                delta(citation={"location": {"documentPage": {"documentIndex": 0, "start": 1, "end": 2}}}),
                delta(text="d"),
                STOP,
            ],
            id="anthropic: the numbers tell blocks apart",
        ),
        pytest.param(
            [chunk(content="Hi", content_blocks=[{"index": 0, "delta": {"thinking": "hm"}}]), chunk("STOP")],
            [START, delta(reasoningContent={"text": "hm"}), STOP, START, delta(text="Hi"), STOP],
            id="google: thought and text in one chunk",
        ),
        pytest.param(
            [chunk(content=[{"thinking": [{"text": "h"}, {"text": "m"}, {"text": None}]}]), chunk("stop")],
            [START, delta(reasoningContent={"text": "hm"}), STOP],
            id="mistral: thoughts in a list",
        ),
        pytest.param(
            [chunk(reasoning_content="hm"), chunk(content="a"), chunk("stop")],
            [START, delta(reasoningContent={"text": "hm"}), STOP, START, delta(text="a"), STOP],
            id="deepseek: reasoning_content",
        ),
        pytest.param(
            [chunk(reasoning="hm", content_blocks=[{"index": 0, "delta": {"thinking": "hm"}}]), chunk("stop")],
            [START, delta(reasoningContent={"text": "hm"}), STOP],
            id="openrouter: reasoning that stands twice",
        ),
        pytest.param(
            [chunk(reasoning_details=[{"type": "reasoning.encrypted", "data": "E=="}]), chunk("stop")],
            [
                START,
                delta(reasoningContent={"signature": 'openrouter:1:[{"type":"reasoning.encrypted","data":"E=="}]'}),
                STOP,
            ],
            id="openrouter: encrypted reasoning without words",
        ),
        pytest.param(
            [chunk(reasoning="hm", content_blocks=[{"index": 0, "delta": {"text": "a"}}]), chunk("stop")],
            [START, delta(reasoningContent={"text": "hm"}), STOP, START, delta(text="a"), STOP],
            id="openrouter: reasoning beside text blocks",
        ),
        pytest.param(
            [
                {
                    "choices": [
                        {
                            "message": {
                                "content": "ab",
                                "content_blocks": [
                                    {"thinking": "hm", "signature": "S"},
                                    {"text": "a"},
                                    {"text": "b", "citations": [{"type": "page_location", "document_title": "T"}]},
                                ],
                            },
                            "finish_reason": "end_turn",
                        }
                    ]
                }
            ],
            [
                START,
                delta(reasoningContent={"text": "hm"}),
                delta(reasoningContent={"signature": "S"}),
                STOP,
                START,
                delta(text="a"),
                STOP,
                START,
                delta(text="b"),
                delta(
                    citation={"title": "T", "location": {"documentPage": {"documentIndex": 0, "start": 0, "end": 0}}}
                ),
                STOP,
            ],
            id="anthropic: JSON",
        ),
        pytest.param(
            [{"choices": [{"message": {"content": [{"thinking": "hm", "signature": "S"}, {"text": "a"}]}}]}],
            [
                START,
                delta(reasoningContent={"text": "hm"}),
                delta(reasoningContent={"signature": "S"}),
                STOP,
                START,
                delta(text="a"),
                STOP,
            ],
            id="vertex claude: JSON with a list",
        ),
        pytest.param(
            [{"choices": [{"message": {"content": "a"}, "finish_reason": ""}]}],
            [START, delta(text="a"), STOP],
            id="perplexity: JSON with an empty finish reason",
        ),
    ],
)
def test_what_the_model_says_becomes_blocks(chunks, events, caplog):
    assert translate(*chunks) == (events, "end_turn")
    assert not caplog.records  # Nothing is lost.


@pytest.mark.parametrize(
    ("chunks", "events"),
    [
        pytest.param(
            [
                chunk(tool_calls=call("", name="f", id="a")),
                chunk(tool_calls=call("{}")),
                chunk("TOOL_CALL"),
            ],
            [tool_start("a", "f"), delta(toolUse={"input": "{}"}), STOP],
            id="cohere: one object",
        ),
        pytest.param(
            [
                chunk(tool_calls=[call('{"x":', name="f", id="a", index=0)]),
                chunk(tool_calls=[call(index=0)]),
                chunk(tool_calls=[call("1}", index=0)]),
                chunk("tool_calls"),
            ],
            [tool_start("a", "f"), delta(toolUse={"input": '{"x":'}), delta(toolUse={"input": "1}"}), STOP],
            id="a fragment without arguments",
        ),
        pytest.param(
            [
                chunk(content="Look."),
                chunk(tool_calls=[call("", name="f", id="a", index=0)]),
                chunk(tool_calls=[call('{"x":', index=0)]),
                chunk(tool_calls=[call("1}", index=0)]),
                chunk("tool_use"),
            ],
            [
                START,
                delta(text="Look."),
                STOP,
                tool_start("a", "f"),
                delta(toolUse={"input": '{"x":'}),
                delta(toolUse={"input": "1}"}),
                STOP,
            ],
            id="anthropic: text then tool",
        ),
        pytest.param(
            [chunk(tool_calls=[call("{}", name="f", id="a", index=0)]), chunk("stop_sequence")],
            [tool_start("a", "f"), delta(toolUse={"input": "{}"}), STOP],
            id="a call and another end",
        ),
    ],
)
def test_calls_become_tool_uses(chunks, events):
    assert translate(*chunks) == (events, "tool_use")


def test_parallel_calls_stay_apart_when_the_indexes_start_over():
    chunks = [
        chunk(tool_calls=[call(name="f", index=0, id="a", thought_signature="TS")]),
        chunk(tool_calls=[None, call("{}", name="g", index=0, id="b")]),
        chunk("STOP"),
    ]

    assert translate(*chunks) == (
        [
            tool_start("a", "f", reasoningSignature="TS"),
            delta(toolUse={"input": ""}),
            STOP,
            tool_start("b", "g"),
            delta(toolUse={"input": "{}"}),
            STOP,
        ],
        "tool_use",
    )


def test_input_of_the_providers_own_tool_is_no_call():
    chunks = [chunk(tool_calls=[call('{"query":1}', index=-1)]), chunk(content="a"), chunk("end_turn")]

    assert translate(*chunks) == ([START, delta(text="a"), STOP], "end_turn")


@pytest.mark.parametrize(
    ("finish_reason", "stop_reason"),
    [
        ("stop", "end_turn"),
        ("length", "max_tokens"),
        ("content_filter", "content_filtered"),
        ("end_turn", "end_turn"),
        ("max_tokens", "max_tokens"),
        ("MAX_TOKENS", "max_tokens"),
        ("model_context_window_exceeded", "max_tokens"),
        ("model_length", "max_tokens"),
        ("stop_sequence", "stop_sequence"),
        ("STOP_SEQUENCE", "stop_sequence"),
        ("refusal", "content_filtered"),
        ("content_filtered", "content_filtered"),
        ("guardrail_intervened", "guardrail_intervened"),
        ("SAFETY", "content_filtered"),
        ("PROHIBITED_CONTENT", "content_filtered"),
        ("COMPLETE", "end_turn"),
        ("eos", "end_turn"),
        ("pause_turn", "end_turn"),
        ("something_new", "end_turn"),
        ("tool_calls", "end_turn"),
        ("tool_use", "end_turn"),
        ("function_call", "end_turn"),
    ],
)
def test_finish_reasons_of_all_upstreams_are_known(finish_reason, stop_reason):
    assert translate(chunk(content="a"), chunk(finish_reason))[1] == stop_reason


@pytest.mark.parametrize("finish_reason", ["something_new", "pause_turn", "tool_use"])
def test_a_doubtful_end_is_logged(finish_reason, caplog):
    with caplog.at_level(logging.WARNING):
        translate(chunk(content="a"), chunk(finish_reason))

    assert f"finish_reason=<{finish_reason}>" in caplog.text


def test_a_refusal_is_kept_as_text_and_is_no_normal_end():
    assert translate(chunk(refusal="No."), chunk("stop")) == ([START, delta(text="No."), STOP], "content_filtered")


@pytest.mark.parametrize(
    ("part", "warning"),
    [({"image_url": {"url": "data:"}}, "block=<image>"), ({"citation": {"type": "new"}}, "citation=<unknown type>")],
)
def test_a_part_of_an_answer_that_strands_cannot_express_is_logged_once(caplog, part, warning):
    with caplog.at_level(logging.WARNING):
        translate(blocks((0, part), (1, part)), chunk("STOP"))

    assert caplog.text.count(warning) == 1


def test_an_open_call_at_the_length_limit_is_no_error():
    chunks = [chunk(tool_calls=[call('{"x":', name="f", id="a", index=0)]), chunk("length")]

    assert translate(*chunks) == ([tool_start("a", "f"), delta(toolUse={"input": '{"x":'}), STOP], "max_tokens")


@pytest.mark.parametrize("finish_reason", ["tool_calls", "stop", "content_filter", "end_turn", "something_new"])
@pytest.mark.parametrize(
    "tool_call",
    [call('{"x":', name="f", id="a"), call("{}", id="a")],
    ids=["half arguments", "no name"],
)
def test_a_call_that_is_not_whole_is_never_handed_over(tool_call, finish_reason):
    translator = make_translator()
    feed(translator, chunk(tool_calls=[tool_call]))
    feed(translator, chunk(finish_reason))

    with pytest.raises(PortkeyStreamError, match="not whole") as caught:
        translator.finish()

    assert (caught.value.received, caught.value.retryable) == (2, finish_reason != "content_filter")


@pytest.mark.parametrize("last", [[], [chunk("")], [chunk(content="b")]], ids=["none", "openai: empty", "text"])
def test_an_answer_without_a_finish_reason_is_broken(last):
    translator = make_translator()
    for each in [chunk(content="a"), *last]:
        feed(translator, each)

    assert not translator.is_finished
    with pytest.raises(PortkeyStreamError, match=f"broke off after {1 + len(last)} chunk") as caught:
        translator.finish()

    error = caught.value
    assert (error.origin, error.received, error.retryable) == ("provider", 1 + len(last), True)


@pytest.mark.parametrize(
    ("failure", "kind", "code", "retryable"),
    [
        pytest.param(chunk("overloaded_error"), PortkeyThrottledError, "overloaded_error", True, id="anthropic"),
        pytest.param(chunk("rate_limit_error"), PortkeyThrottledError, "rate_limit_error", True, id="anthropic: rate"),
        pytest.param(chunk("api_error"), PortkeyAPIError, "api_error", True, id="anthropic: api_error"),
        pytest.param(
            chunk("invalid_request_error"), PortkeyAPIError, "invalid_request_error", False, id="anthropic: 400"
        ),
        pytest.param(chunk("error"), PortkeyAPIError, "error", True, id="openrouter"),
        pytest.param(chunk("ERROR"), PortkeyAPIError, "ERROR", True, id="cohere"),
        pytest.param(chunk("TIMEOUT"), PortkeyAPIError, "TIMEOUT", True, id="cohere: timeout"),
        pytest.param(chunk("MALFORMED_FUNCTION_CALL"), PortkeyAPIError, "MALFORMED_FUNCTION_CALL", True, id="google"),
        pytest.param(chunk("malformed_tool_use"), PortkeyAPIError, "malformed_tool_use", True, id="bedrock: malformed"),
        pytest.param(
            chunk("insufficient_system_resource"), PortkeyAPIError, "insufficient_system_resource", True, id="deepseek"
        ),
        pytest.param(
            {"choices": [{"delta": {"finish_reason": "stop"}}]}, PortkeyAPIError, "stream_error", True, id="bedrock"
        ),
        pytest.param(
            {"error": {"message": "Busy", "code": 429}}, PortkeyThrottledError, None, True, id="openrouter: 429"
        ),
        pytest.param(
            {"choices": [{"delta": {}, "error": {"message": "Busy", "code": 429}, "finish_reason": "error"}]},
            PortkeyThrottledError,
            None,
            True,
            id="openrouter: 429 in a choice",
        ),
        pytest.param({"error": {"message": "Bad", "code": "502"}}, PortkeyAPIError, None, True, id="openrouter: 502"),
        pytest.param({"error": {"message": "Bad", "code": 400}}, PortkeyAPIError, None, False, id="openrouter: 400"),
        pytest.param({"error": "gone"}, PortkeyAPIError, None, False, id="text"),
        pytest.param(
            {"error": {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}},
            PortkeyThrottledError,
            "overloaded_error",
            True,
            id="an error in an error event",
        ),
        pytest.param(
            {"error": {"message": "This model's maximum context length is 1"}},
            PortkeyContextOverflowError,
            None,
            False,
            id="overflow",
        ),
        *(
            pytest.param(failure, PortkeyContextOverflowError, None, False, id=f"overflow: {name}")
            for name, failure in OVERFLOWS_BESIDE_NO_CHOICES.items()
        ),
    ],
)
def test_an_error_in_the_stream_raises(failure, kind, code, retryable):
    translator = make_translator()
    feed(translator, chunk(role="assistant", content=""))

    with pytest.raises(PortkeyAPIError) as caught:
        feed(translator, failure)

    error = caught.value
    assert (type(error), error.type, error.retryable, error.status_code) == (kind, code, retryable, None)
    assert error.received == 2


@pytest.mark.parametrize("answer", OVERFLOWS_BESIDE_NO_CHOICES.values(), ids=OVERFLOWS_BESIDE_NO_CHOICES)
def test_an_overflow_in_a_json_answer_is_known_wherever_its_words_stand(answer):
    judge = Judge()
    judge.answered(200, {})

    with pytest.raises(PortkeyContextOverflowError):
        make_translator(judge).feed(None, json.dumps(answer))


@pytest.mark.parametrize(
    "data",
    [
        {"choices": [], "message": "processing"},
        {"choices": [], "message": {"role": "assistant"}, "code": 0},
        {"choices": None, "message": ""},
        {"choices": [], "message": "success", "code": 200, "usage": {"total_tokens": 3}},
        {"choices": None, "message": "Success", "code": 0},
        {"choices": [], "message": "ok", "code": "0"},
        {"choices": None, "error": False, "error_message": ""},
        {"choices": [], "error": None, "usage": {"total_tokens": 3}},
        {"choices": [], "prompt_filter_results": [{"prompt_index": 0}]},
    ],
    ids=[
        "progress",
        "a message",
        "no words",
        "success",
        "success, null",
        "success, text",
        "no error",
        "usage",
        "azure's filter",
    ],
)
def test_what_comes_beside_no_choices_and_says_no_error_is_none(data):
    assert feed(make_translator(), data) == []


@pytest.mark.parametrize(
    ("data", "kind", "said"),
    [
        ('{"message": "Busy", "code": 429}', PortkeyThrottledError, "the provider answered with an error (429): Busy"),
        ("gone", PortkeyAPIError, "the provider answered with an error: gone"),
    ],
    ids=["JSON", "text"],
)
def test_an_event_of_the_type_error_is_one(data, kind, said):
    with pytest.raises(kind) as caught:
        make_translator().feed("error", data)

    assert (str(caught.value), caught.value.received) == (said, 1)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("<html><title>Sorry</title></html>", "Sorry"),
        ('{"id":"a"}', '{"id":"a"}'),
        ('{"choices": [{"message": {"content": "a"}}], "error": {"message": "Oops"}}', "Oops"),
    ],
    ids=["a page", "no choices", "an error beside choices"],
)
def test_a_json_answer_that_is_no_completion_raises(data, said):
    judge = Judge()
    judge.answered(200, {})

    with pytest.raises(PortkeyAPIError) as caught:
        make_translator(judge).feed(None, data)

    assert str(caught.value) == f"the gateway answered, but not with what was asked for (200): {said}"
    assert (caught.value.status_code, caught.value.body) == (200, data)


def test_an_empty_error_is_none():
    assert feed(make_translator(), {"error": {}}) == []


def test_an_overload_after_output_is_not_for_strands_to_retry():
    translator = make_translator()
    feed(translator, chunk(content="a"))

    with pytest.raises(PortkeyAPIError) as caught:
        feed(translator, chunk("overloaded_error"))

    assert (type(caught.value), caught.value.retryable) == (PortkeyAPIError, True)


def test_the_users_own_words_for_an_overflow_count():
    translator = make_translator(Judge(["far too much"]))

    with pytest.raises(PortkeyContextOverflowError):
        feed(translator, {"error": "That is far too much text"})


USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}


@pytest.mark.parametrize(
    "chunks",
    [
        [chunk(content="a"), {**chunk("stop"), "usage": USAGE}],
        [chunk(content="a"), chunk("stop"), {"choices": [], "usage": USAGE}],
        [{**chunk(content="a"), "usage": USAGE}, chunk("stop")],
        [{**chunk(content="a"), "usage": {"prompt_tokens": 10}}, {**chunk("stop"), "usage": USAGE}],
        [{**chunk(content="a"), "usage": USAGE}, {**chunk("stop"), "usage": {**USAGE, "prompt_tokens_details": None}}],
        [{**chunk("stop"), "usage": USAGE}, {"usage": None}, {"usage": {"prompt_tokens": 0}}],
    ],
    ids=["with the end", "openrouter: after the end", "early", "vertex claude: in parts", "groq: twice", "then null"],
)
def test_the_last_usage_counts_wherever_it_stands(chunks):
    translator = make_translator()
    for each in chunks:
        feed(translator, each)

    assert translator.finish()[-1] == {
        "metadata": {
            "metrics": {"latencyMs": 0, "timeToFirstByteMs": 0},
            "usage": {"inputTokens": 10, "outputTokens": 5, "totalTokens": 15},
        }
    }


@pytest.mark.parametrize(
    ("usage", "counts"),
    [
        ({"prompt_tokens": 10}, {"inputTokens": 10, "outputTokens": 0, "totalTokens": 10}),
        ({"completion_tokens": 5}, {"inputTokens": 0, "outputTokens": 5, "totalTokens": 5}),
        ({"total_tokens": 15}, {"inputTokens": 0, "outputTokens": 0, "totalTokens": 15}),
    ],
    ids=["prompt", "answer", "total"],
)
def test_a_usage_of_one_number_counts(usage, counts):
    translator = make_translator()
    feed(translator, {**chunk("stop"), "usage": usage})

    assert translator.finish()[-1]["metadata"]["usage"] == counts


def test_without_usage_no_counts_are_reported():
    translator = make_translator()
    feed(translator, chunk("stop"))

    assert translator.finish()[-1] == {"metadata": {"metrics": {"latencyMs": 0, "timeToFirstByteMs": 0}}}


def test_facts_of_the_gateway_within_the_answer_are_kept():
    translator = make_translator()
    feed(translator, {"hook_results": {"before_request_hooks": [1]}})
    feed(translator, chunk("stop") | {"model": "m"})
    feed(translator, {"hook_results": {"after_request_hooks": [2]}})

    assert (translator.model, translator.received, translator.is_finished) == ("m", 3, True)
    assert translator.hook_results == {"before_request_hooks": [1], "after_request_hooks": [2]}


@pytest.mark.parametrize(("models", "kept"), [(("a", "b"), "a"), ((None, "b"), "b")], ids=["two", "none at first"])
def test_the_model_of_an_answer_is_the_first_that_is_named(models, kept):
    translator = make_translator()
    for each in models:
        feed(translator, {"model": each, **chunk(content="a")})

    assert translator.model == kept


@pytest.mark.parametrize(("ids", "kept"), [(("a", "b"), "a"), ((None, "b"), "")], ids=["an id", "none"])
def test_the_id_of_an_answer_is_that_of_its_first_chunk(ids, kept):
    translator = make_translator()
    for each in ids:
        feed(translator, {"id": each, **chunk(content="a")})

    assert translator.response_id == kept


def test_a_denial_ends_an_answer_that_has_begun():
    translator = make_translator()
    feed(translator, chunk(content="Hel"))
    error = PortkeyGuardrailError("the gateway said no")
    error.denial = "Denied."

    assert translator.deny(error) == [
        STOP,
        START,
        delta(text="Denied."),
        STOP,
        {"messageStop": {"stopReason": "guardrail_intervened"}},
        {"metadata": {"metrics": {"latencyMs": 0, "timeToFirstByteMs": 0}}},
    ]


@pytest.mark.parametrize("denial", ["Denied.", ""], ids=["the gateway's words", "none"])
def test_a_denial_becomes_an_answer(denial):
    error = PortkeyGuardrailError("the gateway said no")
    error.denial = denial

    assert make_translator().deny(error) == [
        BEGIN,
        START,
        delta(text=denial or "the gateway said no"),
        STOP,
        {"messageStop": {"stopReason": "guardrail_intervened"}},
        {"metadata": {"metrics": {"latencyMs": 0}}},
    ]


@pytest.mark.parametrize("event", ["message", None])
def test_a_message_of_too_many_parts_is_not_read(event):
    data = '{"choices":[],"hook_results":{"a":[' + "[]," * 50_000 + "[]]}}"

    with pytest.raises(PortkeyStreamError, match="cannot be read: it has too many lists and objects") as caught:
        ChatTranslator().feed(event, data)

    assert caught.value.retryable is False


def test_a_long_answer_with_log_probabilities_is_read():
    tops = [{"token": " the", "logprob": -0.01234, "bytes": [32, 116, 104, 101]}] * 20
    choice = {"message": {"content": "a"}, "logprobs": {"content": [{**tops[0], "top_logprobs": tops}] * 1500}}

    assert ChatTranslator().feed(None, json.dumps({"choices": [choice]}))[1:] == [START, delta(text="a")]


# -- how an answer ends ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reason",
    [
        "abort",  # vLLM, SGLang
        "ABORT",
        "aborted",
        "cancelled",
        "error: out of memory",
        "network_error",  # Z.AI
        "TOO_MANY_TOOL_CALLS",  # Gemini
        "MISSING_THOUGHT_SIGNATURE",
    ],
)
@pytest.mark.parametrize("said", [{"content": "Half"}, {}], ids=["text", "nothing"])
def test_a_finish_reason_that_is_a_failure_raises(reason, said):
    translator = make_translator()
    feed(translator, chunk(**said))

    with pytest.raises(PortkeyAPIError):
        feed(translator, chunk(reason))


@pytest.mark.parametrize(
    ("reason", "words"),
    [("network_error", "whose text the gateway drops"), ("error: out of memory", "out of memory")],
)
def test_a_failure_that_may_pass_says_so_in_its_own_words_where_it_has_any(reason, words):
    with pytest.raises(PortkeyAPIError, match=f"{words}$") as caught:
        feed(make_translator(), chunk(reason))

    assert (caught.value.type, caught.value.retryable) == (reason.partition(":")[0], True)


@pytest.mark.parametrize(
    ("failure", "provider"),
    [
        ({"choices": [{"delta": {"finish_reason": "stop"}}]}, "bedrock"),
        ({"provider": "p", "choices": [{"delta": {"finish_reason": "stop"}}]}, "p"),
        ({"provider": "p", **chunk("network_error")}, "p"),
        (chunk("network_error"), None),
    ],
    ids=["bedrock's exception", "an exception", "a finish reason", "a finish reason of no one"],
)
def test_a_failure_without_words_names_the_provider_where_it_is_known(failure, provider):
    with pytest.raises(PortkeyAPIError, match=r"whose text the gateway drops$") as caught:
        feed(make_translator(), failure)

    assert caught.value.provider == provider


def test_a_finish_reason_that_tells_of_an_overflow_is_one():
    with pytest.raises(PortkeyContextOverflowError):
        feed(make_translator(), chunk(f"error: {TOO_LONG}"))


@pytest.mark.parametrize("reason", ["sensitive", "MODEL_ARMOR", "NO_IMAGE", "IMAGE_OTHER"])
def test_a_finish_reason_of_a_filter_is_one(reason):
    assert translate(chunk(reason)) == ([], "content_filtered")


def test_an_unknown_finish_reason_without_any_content_is_an_error():
    translator = make_translator()
    feed(translator, chunk("something_new"))

    with pytest.raises(PortkeyStreamError, match="unknown reason, without any content: something_new") as caught:
        translator.finish()

    assert (caught.value.origin, caught.value.received, caught.value.retryable) == ("provider", 1, True)


def test_a_list_of_too_many_texts_is_refused_without_being_reformed():
    data = json.dumps({"choices": [{"message": {"content": ["x"] * 200_000}}]})
    began = time.process_time()
    with pytest.raises(PortkeyStreamError, match=r"choices\.0\.message\.content"):
        make_translator().feed(None, data)

    assert time.process_time() - began < 0.25


@pytest.mark.parametrize(
    ("choice", "where"),
    [
        ({"message": {"content": 5}}, "choices.0.message.content"),
        ({"message": {"tool_calls": [{"function": {"arguments": [1]}}]}}, "function.arguments"),
        ({"finish_reason": {}}, "choices.0.finish_reason"),
    ],
)
def test_what_is_refused_in_a_json_answer_says_which_field(choice, where):
    with pytest.raises(PortkeyStreamError) as caught:
        make_translator().feed(None, json.dumps({"choices": [choice]}))

    assert where in str(caught.value)


@pytest.mark.parametrize("reason", ["tool_calls", "tool_use", "TOOL_CALL", "function_call"])
def test_an_end_for_a_call_that_did_not_come_is_the_end_of_the_turn(reason):
    assert translate(chunk(reason)) == ([], "end_turn")


@pytest.mark.parametrize("said", [{}, {"content": "Let me see."}], ids=["nothing", "text"])
def test_a_stream_whose_calls_the_gateway_drops_says_how_to_get_them(said):
    judge = Judge()
    judge.answered(200, {"x-portkey-provider": "together-ai"})
    translator = make_translator(judge)
    feed(translator, chunk(role="assistant", **said))
    feed(translator, chunk("tool_calls"))

    with pytest.raises(PortkeyStreamError) as caught:
        translator.finish()

    error = caught.value
    assert str(error).startswith("the answer ended for a tool call, but has none (tool_calls)")
    assert (error.origin, error.received, error.retryable) == ("gateway", 2, False)
    assert error.hint == "set stream=False; the gateway drops the tool calls of this provider's streams"


@pytest.mark.parametrize(
    ("first", "second", "stop_reason"),
    [
        ("length", "stop", "max_tokens"),
        ("stop", "length", "max_tokens"),
        ("content_filter", "stop", "content_filtered"),
        ("content_filter", "length", "content_filtered"),
        ("MAX_TOKENS", "STOP", "max_tokens"),
        ("stop", "stop_sequence", "stop_sequence"),
    ],
)
def test_the_graver_of_two_finish_reasons_counts(first, second, stop_reason):
    events, found = translate(chunk(first, content="a"), chunk(second))

    assert (events, found) == ([START, delta(text="a"), STOP], stop_reason)


def test_a_whole_message_after_an_answer_does_not_hide_how_that_ended():
    ended = chunk("length", content="a")

    assert translate(ended, {"choices": [{"message": {"role": "assistant", "content": ""}}]})[1] == "max_tokens"


# -- several answers, and whole ones -----------------------------------------------------------------------------------


def choice(index, **of):
    return {"index": index, **of}


def test_of_several_choices_the_first_counts():
    chunks = [
        {"choices": [choice(0, delta={"content": "a"})]},
        {"choices": [choice(1, delta={"content": "x", "tool_calls": [call("{}", name="f", id="i")]})]},
        {"choices": [choice(1, delta={}, finish_reason="tool_calls"), choice(0, delta={"content": "b"})]},
        {"choices": [choice(0, delta={}, finish_reason="stop")]},
    ]

    assert translate(*chunks) == ([START, delta(text="a"), delta(text="b"), STOP], "end_turn")


def test_of_several_choices_of_a_json_answer_the_first_counts():
    translator = make_translator()
    choices = [choice(number, message={"content": f"{number}"}, finish_reason="stop") for number in (0, 1)]
    events = translator.feed(None, json.dumps({"choices": choices}))

    assert [*events, *translator.finish()][:-2] == [BEGIN, START, delta(text="0"), STOP]


def test_coheres_index_numbers_calls_and_no_choices():
    chunks = [
        {"provider": "cohere", "choices": [choice(0, delta={"content": "a"})]},
        {"provider": "cohere", "choices": [choice(1, delta={"content": "b"}, finish_reason="COMPLETE")]},
    ]

    assert translate(*chunks) == ([START, delta(text="a"), delta(text="b"), STOP], "end_turn")


def test_a_message_beside_the_deltas_of_a_stream_is_no_second_answer():
    chunks = [
        {"choices": [{"delta": {"content": "Hel"}, "message": {"content": "Hel"}}]},
        {"choices": [{"delta": {"content": "lo"}, "message": {"content": "Hello"}}]},
        {"choices": [{"delta": {"role": "assistant"}, "message": {"content": "Hello"}, "finish_reason": "stop"}]},
    ]

    assert translate(*chunks) == ([START, delta(text="Hel"), delta(text="lo"), STOP], "end_turn")


@pytest.mark.parametrize("beside", [{}, {"role": "assistant"}, {"content": ""}])
def test_a_stream_of_messages_and_deltas_that_was_cut_stays_an_error(beside):
    translator = make_translator()
    feed(translator, {"choices": [{"delta": {"content": "Hel"}, "message": {"content": "Hel"}}]})
    feed(translator, {"choices": [{"delta": beside, "message": {"content": "Hel"}}]})

    assert not translator.is_finished
    with pytest.raises(PortkeyStreamError, match="without a finish reason"):
        translator.finish()


def test_the_message_of_a_json_answer_goes_before_a_delta():
    translator = make_translator()
    said = {"choices": [{"message": {"content": "Hello"}, "delta": {"content": ""}, "finish_reason": "stop"}]}
    events = translator.feed(None, json.dumps(said))

    assert [*events, *translator.finish()][:-2] == [BEGIN, START, delta(text="Hello"), STOP]


# -- streams without a finish reason -----------------------------------------------------------------------------------


def ended(*chunks, done=True):
    """Return the translator of a stream without a finish reason."""
    translator = make_translator()
    for each in chunks:
        feed(translator, each)
    if done:
        translator.feed("message", "[DONE]")
    return translator


@pytest.mark.parametrize(
    ("said", "stop_reason"),
    [
        (chunk(content="4"), "end_turn"),  # Snowflake
        (chunk(tool_calls=[call("{}", name="f", id="a")]), "tool_use"),  # kimi-k2 by Novita
    ],
)
def test_a_stream_that_says_it_is_done_and_what_it_took_is_whole_without_a_finish_reason(said, stop_reason):
    translator = ended(said, {"choices": [], "usage": USAGE})

    assert translator.finish()[-2] == {"messageStop": {"stopReason": stop_reason}}


@pytest.mark.parametrize(
    "translator",
    [
        ended(chunk(content="4")),
        ended(chunk(content="4"), {"usage": {"prompt_tokens": 0, "completion_tokens": 0}}),
        ended(chunk(content="4"), {"usage": USAGE}, done=False),
        ended(chunk(role="assistant"), {"usage": USAGE}),
        ended(chunk(tool_calls=[call('{"x"', name="f", id="a")]), {"usage": USAGE}),
        ended(chunk(tool_calls=[call("", name="f", id="a")]), {"usage": USAGE}),
        ended(chunk(tool_calls=[call("{}", id="a")]), {"usage": USAGE}),
    ],
    ids=["no usage", "a usage of 0", "not done", "nothing said", "half a call", "no arguments", "no name"],
)
def test_all_other_streams_without_a_finish_reason_are_broken(translator):
    with pytest.raises(PortkeyStreamError, match="without a finish reason"):
        translator.finish()


@pytest.mark.parametrize(
    ("provider", "usage", "counts"),
    [
        ("google", (95, 66, 732, 132), (534, 198, 732)),
        ("google", (13, 194, 496, 0), (302, 194, 496)),
        ("vertex-ai", (32, 25, 4704, 37), (4642, 62, 4704)),
        ("google", (10, 5, 15, 0), (10, 5, 15)),
        ("google", (10, 5, 25, 10), (10, 15, 25)),
        ("openai", (13, 194, 496, 0), (13, 194, 496)),
    ],
)
def test_prompt_tokens_of_geminis_own_tools_stand_in_the_total_alone(provider, usage, counts):
    judge = Judge()
    judge.answered(200, {"x-portkey-provider": provider})
    translator = make_translator(judge)
    names = ("prompt_tokens", "completion_tokens", "total_tokens")
    details = {"completion_tokens_details": {"reasoning_tokens": usage[3]}}
    feed(translator, {**chunk("stop"), "usage": {**dict(zip(names, usage, strict=False)), **details}})

    assert translator.finish()[-1]["metadata"]["usage"] == dict(
        zip(("inputTokens", "outputTokens", "totalTokens"), counts, strict=True)
    )


@pytest.mark.parametrize("data", ["ping", "keep-alive", "PROCESSING"])
def test_a_bare_word_is_a_keep_alive(data):
    translator = make_translator()

    assert (translator.feed("message", data), translator.received) == ([], 0)


@pytest.mark.parametrize("data", ["ping pong", "{ping", "x" * 21, "503", "error", "Internal_Error"])
def test_other_text_between_chunks_is_an_error(data):
    with pytest.raises(PortkeyStreamError, match="cannot be read"):
        make_translator().feed("message", data)
