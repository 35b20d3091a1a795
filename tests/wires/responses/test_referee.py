"""Strands' own `process_stream` is the referee: what it assembles from our events must be the right message."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strands.event_loop.streaming import process_stream

from strands_portkey._errors import PortkeyError, PortkeyStreamError
from strands_portkey._request.question import Question
from strands_portkey._wires.responses.body import to_body
from strands_portkey._wires.responses.stream import ResponsesTranslator

Event = tuple[str, dict[str, Any]]
HI: Any = {"role": "user", "content": [{"text": "hi"}]}


async def assemble(events: Sequence[Any]) -> tuple[str, list[Any]]:
    """Return the stop reason and the content that Strands makes of the events."""

    async def stream() -> Any:
        for event in events:
            yield event

    [stop] = [event["stop"] async for event in process_stream(stream()) if "stop" in event]
    return stop[0], stop[1]["content"]


def translate(events: Sequence[Event]) -> list[Any]:
    translator = ResponsesTranslator()
    found = [each for name, data in events for each in translator.feed(name, json.dumps({"type": name, **data}))]
    return [*found, *translator.finish()]


texts = st.text(st.characters(codec="utf-8"), max_size=12)
words = st.text(st.characters(codec="utf-8", exclude_categories=["Z", "C"]), min_size=1, max_size=12)
inputs = st.dictionaries(words, st.one_of(words, st.integers(), st.none(), st.booleans()), max_size=3)


@st.composite
def items(draw: st.DrawFn) -> dict[str, Any]:
    """Return an item of a response."""
    kind = draw(st.sampled_from(["message", "reasoning", "function_call"]))
    if kind == "message":
        phase = draw(st.sampled_from([None, "commentary", "final_answer"]))
        part = {"type": "output_text", "text": draw(words), "annotations": []}
        return {"type": kind, "content": [part], **({"phase": phase} if phase else {})}
    if kind == "reasoning":
        summary = [{"type": "summary_text", "text": part} for part in draw(st.lists(words, max_size=3))]
        return {"type": kind, "id": "rs_" + draw(words), "summary": summary, "encrypted_content": draw(words)}
    arguments = json.dumps(draw(inputs))
    return {"type": kind, "call_id": "call_" + draw(words), "name": "tool", "arguments": arguments}


def fragments(index: int, item: dict[str, Any], size: int) -> list[Event]:
    """Return the fragments of an item."""
    place: dict[str, Any] = {"output_index": index, "item_id": f"item_{index}"}

    def cut(text: str) -> list[str]:
        return [text[at : at + size] for at in range(0, len(text), size)]

    if item["type"] == "message":
        return [("response.output_text.delta", {**place, "delta": piece}) for piece in cut(item["content"][0]["text"])]
    if item["type"] == "function_call":
        name = "response.function_call_arguments.delta"
        return [(name, {**place, "delta": piece}) for piece in cut(item["arguments"])]
    name = "response.reasoning_summary_text.delta"
    return [
        (name, {**place, "summary_index": number, "delta": piece})
        for number, part in enumerate(item["summary"])
        for piece in cut(part["text"])
    ]


def begun(item: dict[str, Any]) -> dict[str, Any]:
    empty = {"content": [], "summary": [], "arguments": ""}
    return {**item, **{key: value for key, value in empty.items() if key in item}}


@st.composite
def streams(draw: st.DrawFn) -> tuple[list[dict[str, Any]], list[Event]]:
    """Return items, and a stream of these whose fragments are in any order that keeps that of each item."""
    output = draw(st.lists(items(), max_size=5, unique_by=lambda item: item.get("call_id", id(item))))
    queues: list[list[Event]] = []
    for index, item in enumerate(output):
        came = fragments(index, item, draw(st.integers(1, 20)))
        came = came[: draw(st.integers(0, len(came)))]
        queues.append([*came, ("response.output_item.done", {"output_index": index, "item": item})])
    is_parallel = draw(st.booleans())
    events: list[Event] = [("response.created", {"response": {}})]
    added = [
        ("response.output_item.added", {"output_index": index, "item": begun(item)})
        for index, item in enumerate(output)
    ]
    if is_parallel:
        events += added
        while any(queues):
            queue = draw(st.sampled_from([each for each in queues if each]))
            events.append(queue.pop(0))
    else:
        for announced, queue in zip(added, queues, strict=True):
            events += [announced, *queue]
    return output, [*events, ("response.completed", {"response": {"status": "completed"}})]


def expected_items(output: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what must go back of an answer."""
    sent: list[dict[str, Any]] = []
    for item in output:
        if item["type"] == "message":
            phase = {"phase": item["phase"]} if "phase" in item else {}
            sent.append({"role": "assistant", "content": item["content"][0]["text"], **phase})
        elif item["type"] == "function_call":
            sent.append(item)
        else:
            sent.append({key: item[key] for key in ("type", "id", "summary", "encrypted_content")})
    while sent and sent[-1].get("type") == "reasoning":
        sent.pop()
    return sent


def readable(item: dict[str, Any]) -> dict[str, Any]:
    """Return an item whose JSON may be written in several ways as one that compares."""
    return {**item, "arguments": json.loads(item["arguments"])} if "arguments" in item else item


@given(streams())
@settings(deadline=None)
def test_what_came_goes_back_whatever_the_order_of_its_fragments(given_: tuple[list[Any], list[Event]]) -> None:
    output, events = given_
    stop, content = anyio.run(assemble, translate(events))
    messages = [HI, {"role": "assistant", "content": json.loads(json.dumps(content))}, HI]
    back = to_body(Question(messages, "gpt-5.6"))["input"]

    assert stop == ("tool_use" if any(item["type"] == "function_call" for item in output) else "end_turn")
    assert isinstance(back, list)
    assert [readable(item) for item in back[1:-1] if isinstance(item, dict)] == [
        readable(item) for item in expected_items(output)
    ]


@given(streams(), st.data())
@settings(deadline=None)
def test_a_stream_that_is_cut_anywhere_raises(given_: tuple[list[Any], list[Event]], data: st.DataObject) -> None:
    _, events = given_
    kept = events[: data.draw(st.integers(0, len(events) - 1))]
    translator = ResponsesTranslator()
    for name, fields in kept:
        translator.feed(name, json.dumps(fields))
    with pytest.raises(PortkeyStreamError) as caught:
        translator.finish()

    assert caught.value.retryable


KINDS = [
    *("response.output_text.delta", "response.refusal.delta", "response.reasoning_summary_text.delta"),
    *("response.reasoning_text.delta", "response.function_call_arguments.delta", "response.output_item.added"),
    *("response.output_item.done", "response.output_text.annotation.added", "response.completed", "message"),
    *("response.incomplete", "response.failed", "error", "hook_results", "response.created"),
]
values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts | st.sampled_from(["message", "reasoning", "function_call"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *(
                        "type",
                        "item",
                        "output_index",
                        "delta",
                        "id",
                        "call_id",
                        "name",
                        "arguments",
                        "content",
                        "summary",
                    ),
                    *(
                        "text",
                        "refusal",
                        "annotations",
                        "annotation",
                        "encrypted_content",
                        "response",
                        "output",
                        "status",
                    ),
                    *(
                        "usage",
                        "error",
                        "incomplete_details",
                        "reason",
                        "phase",
                        "hook_results",
                        "model",
                        "message",
                        "code",
                    ),
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@given(st.lists(st.tuples(st.sampled_from([*KINDS, None]), st.one_of(values.map(json.dumps), texts)), max_size=8))
@settings(deadline=None)
def test_whatever_comes_is_a_message_or_an_error_of_ours(given_: list[tuple[str | None, str]]) -> None:
    translator = ResponsesTranslator()
    events: list[Any] = []
    try:
        for name, data in given_:
            events += translator.feed(name, data)
        events += translator.finish()
    except PortkeyError:
        return

    anyio.run(assemble, events)
