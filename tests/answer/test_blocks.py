"""The line of blocks: one is open at a time, the others wait in order."""

from __future__ import annotations

import pytest
from strands.types.streaming import StreamEvent

from strands_portkey._answer.blocks import BlockQueue, ToolCall

STOP: StreamEvent = {"contentBlockStop": {}}
START: StreamEvent = {"contentBlockStart": {"start": {}}}


def delta(**of):
    return {"contentBlockDelta": {"delta": of}}


def start(call):
    return {"contentBlockStart": {"start": {"toolUse": {"toolUseId": call.id, "name": call.name}}}}


def tool(name):
    call = ToolCall(None, name, name)
    call.name = name
    return call


def put(line, call, arguments):
    call.arguments.append(arguments)
    line.tool_input(call, arguments)


def test_nothing_said_is_no_block():
    line = BlockQueue()

    line.close()

    assert (line.events, line.has_begun) == ([], False)


def test_text_goes_on_in_its_block():
    line = BlockQueue()

    line.text(None, "a")
    line.text(0, "b")
    line.text(None, "c")
    line.close()

    assert line.events == [START, delta(text="a"), delta(text="b"), delta(text="c"), STOP]
    assert line.has_begun


def test_another_index_is_another_text():
    line = BlockQueue()

    line.text(0, "a")
    line.text(2, "b")

    assert line.events == [START, delta(text="a"), STOP, START, delta(text="b")]


def test_another_kind_is_another_block():
    line = BlockQueue()

    line.reasoning(0, "hm")
    line.text(0, "a")

    assert line.events == [START, delta(reasoningContent={"text": "hm"}), STOP, START, delta(text="a")]


def test_a_thought_after_a_signature_is_a_new_one():
    line = BlockQueue()

    line.reasoning(0, "hm")
    line.signature(0, "S1")
    line.reasoning(0, "so")

    assert line.events == [
        START,
        delta(reasoningContent={"text": "hm"}),
        delta(reasoningContent={"signature": "S1"}),
        STOP,
        START,
        delta(reasoningContent={"text": "so"}),
    ]


@pytest.mark.parametrize(("index", "blocks"), [(0, 1), (1, 2), (None, 2)], ids=["same block", "next block", "unknown"])
def test_a_signature_may_come_in_pieces(index, blocks):
    line = BlockQueue()

    line.signature(0, "S1")
    line.signature(index, "S2")

    assert line.events.count(START) == blocks


def test_redacted_data_is_a_block_of_its_own_each_time():
    line = BlockQueue()

    line.redacted("AA==")
    line.redacted("BB==")

    assert line.events == [
        START,
        delta(reasoningContent={"redactedContent": b"AA=="}),
        STOP,
        START,
        delta(reasoningContent={"redactedContent": b"BB=="}),
    ]


def test_a_citation_stays_with_its_text():
    line = BlockQueue()

    line.text(1, "so")
    line.citation(1, {"title": "Weather"})

    assert line.events == [START, delta(text="so"), delta(citation={"title": "Weather"})]


def test_a_call_without_a_name_waits():
    line = BlockQueue()
    call = ToolCall(0, "a", "a")

    put(line, call, '{"x"')
    call.name = "a"
    put(line, call, ":1}")
    line.close()

    assert line.events == [start(call), delta(toolUse={"input": '{"x":1}'}), STOP]


def test_a_signed_call_says_so_at_its_start():
    line = BlockQueue()
    call = tool("f")
    call.signature = "TSIG=="

    line.tool_input(call, "")

    assert line.events == [
        {"contentBlockStart": {"start": {"toolUse": {"toolUseId": "f", "name": "f", "reasoningSignature": "TSIG=="}}}}
    ]


def test_the_later_of_two_interleaved_calls_waits_and_the_order_is_kept():
    line = BlockQueue()
    first, second, third = tool("f"), tool("g"), tool("h")

    put(line, first, '{"x":')
    put(line, second, '{"y":')
    put(line, third, "{}")
    put(line, first, "1}")
    put(line, second, "2}")
    line.close()

    assert line.events == [
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
    line = BlockQueue()
    call = tool("f")

    put(line, call, '{"x":')
    line.text(None, "a")
    line.text(None, "b")
    put(line, call, "1}")

    assert line.events == [
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

    assert waiting == [start(first)]
    assert queue.events == [STOP, START, delta(text="b")]


def test_a_call_that_the_wire_has_ended_alone_stays_open_for_what_follows_it():
    queue = BlockQueue()
    first, second = tool("a"), tool("b")
    queue.tool_input(first, "")
    queue.end(first)
    put(queue, second, "{}")

    assert queue.events == [start(first), STOP, start(second), delta(toolUse={"input": "{}"})]
