"""The queue of blocks: one is open at a time, the others wait in order."""

from __future__ import annotations

import json

import pytest

from strands_portkey._answer.blocks import BlockQueue
from strands_portkey._answer.calls import ToolCall
from strands_portkey._answer.thinking_tags import ThinkingTags
from tests.events import START, STOP, delta


def start(call):
    return {"contentBlockStart": {"start": {"toolUse": {"toolUseId": call.id, "name": call.name}}}}


def tool(name):
    call = ToolCall(None, name)
    call.name = name
    return call


def put(queue, call, arguments):
    call.arguments.append(arguments)
    queue.tool_input(call, arguments)


def test_empty_output_makes_no_block():
    queue = BlockQueue()

    queue.close()

    assert queue.events == []


def test_text_goes_on_in_its_block():
    queue = BlockQueue()

    queue.text(None, "a")
    queue.text(0, "b")
    queue.text(None, "c")
    queue.close()

    assert queue.events == [START, delta(text="a"), delta(text="b"), delta(text="c"), STOP]


def test_another_index_is_another_text():
    queue = BlockQueue()

    queue.text(0, "a")
    queue.text(2, "b")

    assert queue.events == [START, delta(text="a"), STOP, START, delta(text="b")]


def test_text_that_gets_an_index_later_ends_where_that_changes():
    queue = BlockQueue()

    queue.text(None, "a")
    queue.text(0, "b")
    queue.text(1, "c")

    assert queue.events == [START, delta(text="a"), delta(text="b"), STOP, START, delta(text="c")]


def test_another_index_is_another_block_between_tags_too():
    queue = BlockQueue()
    queue.tags = ThinkingTags()

    for index, text in enumerate(["<think>a", "b", "</think>c", "d"]):
        queue.text(index, text)

    a, b = (delta(reasoningContent={"text": text}) for text in "ab")
    c, d = (delta(text=text) for text in "cd")
    assert queue.events == [START, a, STOP, START, b, STOP, START, c, STOP, START, d]


def test_a_thought_between_tags_goes_on_in_its_own_place():
    queue = BlockQueue()
    queue.tags = ThinkingTags()

    queue.text(None, "<think>a")
    queue.reasoning(None, "b")

    assert queue.events == [START, *(delta(reasoningContent={"text": text}) for text in "ab")]


def test_another_kind_is_another_block():
    queue = BlockQueue()

    queue.reasoning(0, "hm")
    queue.text(0, "a")

    assert queue.events == [START, delta(reasoningContent={"text": "hm"}), STOP, START, delta(text="a")]


def test_a_thought_after_a_signature_is_a_new_one():
    queue = BlockQueue()

    queue.reasoning(0, "hm")
    queue.signature(0, "S1")
    queue.reasoning(0, "so")

    assert queue.events == [
        START,
        delta(reasoningContent={"text": "hm"}),
        delta(reasoningContent={"signature": "S1"}),
        STOP,
        START,
        delta(reasoningContent={"text": "so"}),
    ]


@pytest.mark.parametrize(("index", "blocks"), [(0, 1), (1, 2), (None, 2)], ids=["same block", "next block", "unknown"])
def test_a_signature_may_come_in_pieces(index, blocks):
    queue = BlockQueue()

    queue.signature(0, "S1")
    queue.signature(index, "S2")

    assert queue.events.count(START) == blocks
    assert queue.signatures == (["S1S2"] if blocks == 1 else ["S1", "S2"])


def test_redacted_data_is_a_block_of_its_own_each_time():
    queue = BlockQueue()

    queue.redacted("AA==")
    queue.redacted("BB==")

    assert queue.events == [
        START,
        delta(reasoningContent={"redactedContent": b"AA=="}),
        STOP,
        START,
        delta(reasoningContent={"redactedContent": b"BB=="}),
    ]
    assert queue.signatures == [b"AA==", b"BB=="]


def test_a_citation_stays_with_its_text():
    queue = BlockQueue()

    queue.text(1, "so")
    queue.citation(1, {"title": "Weather"})

    assert queue.events == [START, delta(text="so"), delta(citation={"title": "Weather"})]


def test_a_call_without_a_name_waits():
    queue = BlockQueue()
    call = ToolCall(0, "a")

    put(queue, call, '{"x"')
    call.name = "a"
    put(queue, call, ":1}")
    queue.close()

    assert queue.events == [start(call), delta(toolUse={"input": '{"x":1}'}), STOP]


def test_a_signed_call_says_so_at_its_start():
    queue = BlockQueue()
    call = tool("f")
    call.signature = "TSIG=="

    put(queue, call, "{}")

    assert queue.events == [
        {"contentBlockStart": {"start": {"toolUse": {"toolUseId": "f", "name": "f", "reasoningSignature": "TSIG=="}}}},
        delta(toolUse={"input": "{}"}),
    ]


def test_a_call_begins_with_its_arguments_when_its_name_is_whole():
    queue = BlockQueue()
    call = tool("get_")
    queue.tool_input(call, "")
    before, queue.events = queue.events, []
    call.name = "get_weather"

    put(queue, call, "{}")

    assert before == []
    assert queue.events == [start(call), delta(toolUse={"input": "{}"})]


def test_a_blank_before_the_arguments_holds_no_call_back():
    queue = BlockQueue()
    call = tool("f")

    put(queue, call, ' {"x"')

    assert queue.events == [start(call), delta(toolUse={"input": ' {"x"'})]


def test_blanks_in_several_pieces_may_follow_whole_arguments():
    call = tool("f")
    call.arguments = ["{}"]
    before = call.is_whole()
    call.arguments += [" ", "\n"]

    assert (before, call.is_whole()) == (True, True)


def encoded(text, times):
    return text if not times else encoded(json.dumps(text), times - 1)


@pytest.mark.parametrize(
    ("pieces", "given"),
    [
        pytest.param(['"{\\"x\\":', ' \\"ü\\"}"'], '{"x": "ü"}', id="an object encoded twice, in pieces"),
        pytest.param([" ", '"\\"{}\\""'], "{}", id="an object encoded three times, after a blank"),
        pytest.param(["nu", "ll"], "{}", id="null"),
        pytest.param([encoded("{}", 3)], "{}", id="an object encoded four times"),
        pytest.param([encoded("{}", 4)], encoded("{}", 4), id="an object encoded too often"),
        pytest.param(['""'], "{}", id="an empty text"),
        pytest.param(["[", "1]"], "[1]", id="a list, which Strands refuses with a result"),
        pytest.param(["5"], "5", id="a number, likewise"),
        pytest.param(['"x"'], '"x"', id="a text, likewise"),
    ],
)
def test_arguments_that_are_no_object_are_handed_over_whole(pieces, given):
    queue = BlockQueue()
    call = tool("f")
    for piece in pieces:
        put(queue, call, piece)
    before, queue.events = queue.events, []
    queue.close()

    assert (before, queue.events) == ([], [start(call), delta(toolUse={"input": given}), STOP])


def test_a_call_that_only_repeats_an_earlier_one_is_no_block():
    queue = BlockQueue()
    first, echo, last = tool("f"), tool("f"), tool("g")
    echo.is_echo = True
    put(queue, first, "{}")
    queue.tool_input(echo, "")
    put(queue, last, "{}")
    queue.close()

    assert queue.events == [
        *(start(first), delta(toolUse={"input": "{}"}), STOP),
        *(start(last), delta(toolUse={"input": "{}"}), STOP),
    ]


def test_a_repeated_call_with_arguments_of_its_own_is_a_block():
    queue = BlockQueue()
    call = tool("f")
    call.is_echo = True
    put(queue, call, '"{}"')
    queue.close()

    assert queue.events == [start(call), delta(toolUse={"input": "{}"}), STOP]


def test_arguments_that_come_after_their_call_has_closed_go_into_no_other_block():
    queue = BlockQueue()
    call = tool("f")
    put(queue, call, "{}")
    queue.text(None, "a")
    put(queue, call, '{"x":1}')
    queue.close()

    assert queue.events == [
        *(start(call), delta(toolUse={"input": "{}"}), STOP),
        *(START, delta(text="a"), STOP),
    ]


def test_the_later_of_two_interleaved_calls_waits_and_the_order_is_kept():
    queue = BlockQueue()
    first, second, third = tool("f"), tool("g"), tool("h")

    put(queue, first, '{"x":')
    put(queue, second, '{"y":')
    put(queue, third, "{}")
    put(queue, first, "1}")
    put(queue, second, "2}")
    queue.close()

    assert queue.events == [
        start(first),
        delta(toolUse={"input": '{"x":'}),
        delta(toolUse={"input": "1}"}),
        STOP,
        start(second),
        delta(toolUse={"input": '{"y":'}),
        delta(toolUse={"input": "2}"}),
        STOP,
        start(third),
        delta(toolUse={"input": "{}"}),
        STOP,
    ]


def test_text_after_an_unfinished_call_waits_for_it():
    queue = BlockQueue()
    call = tool("f")

    put(queue, call, '{"x":')
    queue.text(None, "a")
    queue.text(None, "b")
    put(queue, call, "1}")

    assert queue.events == [
        start(call),
        delta(toolUse={"input": '{"x":'}),
        delta(toolUse={"input": "1}"}),
        STOP,
        START,
        delta(text="a"),
        delta(text="b"),
    ]


def test_a_call_that_the_wire_has_ended_lets_the_next_block_begin():
    queue = BlockQueue()
    first = tool("a")
    queue.tool_input(first, "")
    queue.text(None, "b")
    waiting, queue.events = queue.events, []

    queue.end(first)

    assert waiting == []
    assert queue.events == [start(first), delta(toolUse={"input": ""}), STOP, START, delta(text="b")]


def test_a_call_that_the_wire_has_ended_alone_stays_open_for_what_follows_it():
    queue = BlockQueue()
    first, second = tool("a"), tool("b")
    queue.tool_input(first, "")
    queue.end(first)
    put(queue, second, "{}")

    empty = delta(toolUse={"input": ""})
    assert queue.events == [start(first), empty, STOP, start(second), delta(toolUse={"input": "{}"})]
