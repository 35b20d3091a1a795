"""Strands' own `process_stream` is the referee: what it assembles from our events must be the right message."""

from __future__ import annotations

import json

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strands.event_loop.streaming import process_stream

from strands_portkey._errors import PortkeyError
from strands_portkey._wires.chat.stream import ChatTranslator


def translate(chunks):
    translator = ChatTranslator()
    events = [event for each in chunks for event in translator.feed("message", json.dumps(each))]
    return [*events, *translator.finish()]


async def assemble(events):
    """Return the stop reason, the content and the usage that Strands makes of the events."""

    async def stream():
        for event in events:
            yield event

    [stop] = [event["stop"] async for event in process_stream(stream()) if "stop" in event]
    return stop[0], stop[1]["content"], stop[2]


def chunk(finish_reason=None, **delta):
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]}


def blocks(*of):
    return chunk(content_blocks=[{"index": index, "delta": each} for index, each in of])


def call(arguments=None, *, name=None, id=None, index=None):  # noqa: A002
    return {"index": index, "id": id, "function": {"name": name, "arguments": arguments}}


def tool_use(tool_use_id, name, **arguments):
    return {"toolUse": {"toolUseId": tool_use_id, "name": name, "input": arguments}}


@pytest.mark.parametrize(
    ("chunks", "stop_reason", "content"),
    [
        pytest.param([chunk(content="a"), chunk(content="b"), chunk("stop")], "end_turn", [{"text": "ab"}], id="text"),
        pytest.param([chunk(content=""), chunk("stop")], "end_turn", [], id="nothing"),
        pytest.param(
            [
                blocks((0, {"thinking": "hm"})),
                blocks((0, {"signature": "S1"})),
                blocks((1, {"data": "RED=="})),
                chunk(content="a", content_blocks=[{"index": 2, "delta": {"text": "a"}}]),
                blocks((3, {"thinking": "so"})),
                blocks((3, {"signature": "S2"})),
                chunk(tool_calls=[call("", name="f", id="t", index=0)]),
                chunk(tool_calls=[call("{}", index=0)]),
                chunk("tool_use"),
            ],
            "tool_use",
            [
                {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "S1"}}},
                {"reasoningContent": {"redactedContent": b"RED=="}},
                {"text": "a"},
                {"reasoningContent": {"reasoningText": {"text": "so", "signature": "S2"}}},
                tool_use("t", "f"),
            ],
            id="anthropic: thinking between text and tool",
        ),
        pytest.param(
            [blocks((0, {"signature": "S1"})), chunk(content="a"), chunk("end_turn")],
            "end_turn",
            [{"reasoningContent": {"reasoningText": {"text": "", "signature": "S1"}}}, {"text": "a"}],
            id="anthropic: a signature alone",
        ),
        pytest.param(
            [
                chunk(content="21", content_blocks=[{"index": 0, "delta": {"text": "21"}}]),
                blocks((0, {"citation": {"type": "char_location", "document_title": "W", "end_char_index": 2}})),
                chunk(content=".", content_blocks=[{"index": 1, "delta": {"text": "."}}]),
                chunk("end_turn"),
            ],
            "end_turn",
            [
                {
                    "citationsContent": {
                        "citations": [
                            {
                                "title": "W",
                                "location": {"documentChar": {"documentIndex": 0, "start": 0, "end": 2}},
                            }
                        ],
                        "content": [{"text": "21"}],
                    }
                },
                {"text": "."},
            ],
            id="anthropic: a citation",
        ),
        pytest.param(
            [
                chunk(tool_calls=[call("", name="f", id="a", index=0)]),
                chunk(tool_calls=[call("", name="g", id="b", index=1)]),
                chunk(tool_calls=[call('{"y":', index=1), call('{"x":', index=0)]),
                chunk(tool_calls=[call("1}", index=0), call("2}", index=1)]),
                chunk("tool_calls"),
            ],
            "tool_use",
            [tool_use("a", "f", x=1), tool_use("b", "g", y=2)],
            id="openai: interleaved calls",
        ),
        pytest.param(
            [
                chunk(tool_calls=[call('{"x":1}', name="f", id="a", index=0)]),
                chunk(tool_calls=[call('{"x":2}', name="f", id="b", index=0), None]),
                chunk(tool_calls=[call(name="g", id="c", index=0)]),
                chunk("STOP"),
            ],
            "tool_use",
            [tool_use("a", "f", x=1), tool_use("b", "f", x=2), tool_use("c", "g")],
            id="google: parallel calls with one index",
        ),
        pytest.param(
            [
                chunk(tool_calls=call("", name="f", id="a")),
                chunk(tool_calls=call('{"x":1}')),
                chunk(tool_calls=call("", name="g", id="b")),
                chunk(tool_calls=call("")),
                chunk("TOOL_CALL"),
            ],
            "tool_use",
            [tool_use("a", "f", x=1), tool_use("b", "g")],
            id="cohere: objects without indexes",
        ),
        pytest.param(
            [
                chunk(tool_calls=[call('{"x":', name="f", id="a", index=0)]),
                chunk(content="later"),
                chunk(tool_calls=[call("1}", index=0)]),
                chunk("stop"),
            ],
            "tool_use",
            [tool_use("a", "f", x=1), {"text": "later"}],
            id="text in the middle of a call",
        ),
    ],
)
async def test_strands_assembles_the_right_message(chunks, stop_reason, content):
    assert (await assemble(translate(chunks)))[:2] == (stop_reason, content)


async def test_strands_counts_what_the_wire_counted():
    usage = {"prompt_tokens": 5, "completion_tokens": 9, "total_tokens": 314, "cache_read_input_tokens": 300}

    assert (await assemble(translate([{**chunk("stop"), "usage": usage}])))[2] == {
        "inputTokens": 305,
        "outputTokens": 9,
        "totalTokens": 314,
        "cacheReadInputTokens": 300,
    }


# -- whatever comes ----------------------------------------------------------------------------------------------------


def record(**fields):
    return st.none() | st.fixed_dictionaries({}, optional={name: st.none() | of for name, of in fields.items()})


_TEXT = st.sampled_from(["", " ", "a", "b\n"])
_ARGUMENTS = st.sampled_from(
    ["", " ", "{}", '{"x":', "1}", '{"x":1}', "{", "}", "null", "[1]", '"', '{"x":"', '"}', "\ufffd"]
)
_PART = {
    "text": _TEXT,
    "thinking": _TEXT | st.lists(st.fixed_dictionaries({"text": st.none() | _TEXT}), max_size=2),
    "signature": st.sampled_from(["", "S"]),
    "data": st.sampled_from(["", "D"]),
    "citation": st.fixed_dictionaries({"type": st.sampled_from(["char_location", "new", None])}),
}
_PARTS = st.lists(st.fixed_dictionaries({}, optional={name: st.none() | of for name, of in _PART.items()}), max_size=3)
_BLOCK = st.fixed_dictionaries(
    {},
    optional={
        "index": st.none() | st.integers(-1, 3),
        "delta": record(**_PART),
        **{k: st.none() | v for k, v in _PART.items()},
    },
)
_CALL = record(
    index=st.integers(-1, 2),
    id=st.sampled_from(["", "a", "b", "c"]),
    function=record(name=st.sampled_from(["", "f", "g"]), arguments=_ARGUMENTS, thought_signature=st.just("T")),
)
_MESSAGE = record(
    content=_TEXT | _PARTS,
    content_blocks=st.lists(_BLOCK, max_size=3),
    reasoning_content=_TEXT,
    reasoning=_TEXT,
    refusal=_TEXT,
    tool_calls=_CALL | st.lists(_CALL, max_size=3),
)
_END = st.sampled_from(["", "stop", "STOP", "length", "tool_calls", "tool_use", "content_filter", "new", "x_error"])
_CHOICE = st.fixed_dictionaries(
    {}, optional={"delta": _MESSAGE, "message": _MESSAGE, "finish_reason": st.none() | _END}
)
_CALLS_ONLY = st.fixed_dictionaries({"delta": st.fixed_dictionaries({"tool_calls": st.lists(_CALL, max_size=2)})})
_CHUNK = st.fixed_dictionaries(
    {},
    optional={
        "choices": st.none() | st.lists(_CHOICE | _CALLS_ONLY, max_size=2),
        "usage": record(prompt_tokens=st.integers(0, 9), total_tokens=st.integers(0, 9)),
        "hook_results": st.none() | st.just({"before_request_hooks": []}),
    },
)


@settings(max_examples=max(500, settings().max_examples))
@given(chunks=st.lists(_CHUNK, max_size=8), end=_END)
def test_random_chunks_are_a_sound_message_or_a_portkey_error(chunks, end):
    try:
        events = translate([*chunks, chunk(end)])
    except PortkeyError:
        return

    sent = _inputs(events)
    stop_reason, content, _ = anyio.run(assemble, events)

    ids = [block["toolUse"]["toolUseId"] for block in content if "toolUse" in block]
    assert len(ids) == len(set(ids))
    assert bool(ids) or stop_reason != "tool_use"
    assert len(ids) == len(sent)
    if stop_reason != "max_tokens":
        assert [block["toolUse"]["input"] for block in content if "toolUse" in block] == [
            json.loads(each) if each.strip() else {} for each in sent
        ]


def _inputs(events):
    """Return the raw input of each tool use, checking that blocks follow one another and none is empty of meaning."""
    inputs: list[str] = []
    is_open = False
    for event in events:
        if start := event.get("contentBlockStart"):
            assert not is_open
            is_open = True
            if "toolUse" in start["start"]:
                inputs.append("")
        elif block_delta := event.get("contentBlockDelta"):
            assert is_open
            if "toolUse" in block_delta["delta"]:
                inputs[-1] += block_delta["delta"]["toolUse"]["input"]
        elif "contentBlockStop" in event:
            assert is_open
            is_open = False
    assert not is_open
    return inputs
