"""Strands' own `process_stream` is the referee: what it assembles from our events must be the message that was said."""

from __future__ import annotations

import json
from typing import Any

import anyio
from hypothesis import given
from hypothesis import strategies as st
from strands.event_loop.streaming import process_stream

from strands_portkey._request.question import Question
from strands_portkey._wires.messages.body import to_body
from strands_portkey._wires.messages.stream import MessagesTranslator

WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8).filter(str.strip)
TEXTS = st.builds(lambda text: {"type": "text", "text": text}, WORDS)
THOUGHTS = st.builds(
    lambda text, signature: {"type": "thinking", "thinking": text, "signature": signature},
    st.one_of(st.just(""), WORDS),
    st.text("ABC=", min_size=1, max_size=8),
)
HIDDEN = st.builds(lambda data: {"type": "redacted_thinking", "data": data}, st.text("ABC=", min_size=1))
CALLS = st.builds(
    lambda given: {"type": "tool_use", "name": "sum", "input": given},
    st.dictionaries(st.text("ab", max_size=2), st.one_of(st.integers(), WORDS, st.none()), max_size=3),
)
MESSAGES = st.lists(st.one_of(TEXTS, THOUGHTS, HIDDEN, CALLS), max_size=6)


def with_ids(blocks: Any) -> Any:
    return [
        {"type": "tool_use", "id": f"t{number}", **block} if block["type"] == "tool_use" else block
        for number, block in enumerate(blocks)
    ]


def stream_of(blocks: Any, cut: int) -> Any:
    """Yield the events of a message, each text in two pieces."""
    for index, block in enumerate(blocks):
        bare = {name: "" if name in ("text", "thinking", "signature") else value for name, value in block.items()}
        grown: dict[str, str] = {name: block[name] for name in ("text", "thinking", "signature") if name in block}
        if block["type"] == "tool_use":
            bare["input"], grown = {}, {"partial_json": json.dumps(block["input"])}
        yield "content_block_start", {"index": index, "content_block": bare}
        for name, text in grown.items():
            for piece in (text[:cut], text[cut:]):
                yield "content_block_delta", {"index": index, "delta": {name: piece}}
        yield "content_block_stop", {"index": index}
    yield "message_delta", {"delta": {"stop_reason": "end_turn"}}


def assembled(blocks: Any, cut: int | None) -> Any:
    """Return the content that Strands makes of a message; in one piece where nothing is cut."""
    translator = MessagesTranslator()
    whole = [(None, {"type": "message", "content": blocks, "stop_reason": "end_turn"})]
    messages = whole if cut is None else [(name, {"type": name, **data}) for name, data in stream_of(blocks, cut)]
    events = [event for name, data in messages for event in translator.feed(name, json.dumps(data))]
    events += translator.finish()

    async def assemble() -> Any:
        async def stream() -> Any:
            for event in events:
                yield event

        [stop] = [event["stop"] async for event in process_stream(stream()) if "stop" in event]
        return stop[1]["content"]

    return anyio.run(assemble)


@given(MESSAGES, st.integers(0, 4))
def test_a_message_that_goes_back_is_the_message_that_came(blocks: Any, cut: int) -> None:
    said = with_ids(blocks)
    results = [
        {"toolResult": {"toolUseId": block["id"], "status": "success", "content": [{"text": "r"}]}}
        for block in said
        if block["type"] == "tool_use"
    ]

    content = assembled(said, cut)

    assert content == assembled(said, None)
    messages: Any = [
        {"role": "user", "content": [{"text": "Hi"}]},
        {"role": "assistant", "content": content},
        {"role": "user", "content": [*results, {"text": "go on"}]},
    ]
    sent: Any = to_body(Question(messages, "claude"))["messages"]
    back = sent[1]["content"] if len(sent) > 2 else []
    if said and said[-1]["type"] in ("thinking", "redacted_thinking"):
        assert back.pop() == {"type": "text", "text": "[blank text]"}
    assert back == said
