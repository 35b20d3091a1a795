"""Whatever events come, on any wire: a message that Strands assembles, or a PortkeyError."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strands.event_loop.streaming import process_stream
from strands.types.content import Message
from strands.types.streaming import StreamEvent

from strands_portkey import PortkeyError
from strands_portkey._answer.translator import Translator
from strands_portkey._wires.chat.stream import ChatTranslator
from strands_portkey._wires.messages.stream import MessagesTranslator
from strands_portkey._wires.responses.stream import ResponsesTranslator

Event = tuple[str, str]

text = st.sampled_from([None, "", "Hi ", "\u2028", "<think>", "</think>"])
arguments = st.sampled_from(
    [None, "", "{", "}", "{}", "{}", '{"a":1}', '{"a":1}', '{"a":', "1}", "[1]", "null", '"{}"']
)
number = st.sampled_from([None, 0, 0, 1, 2])
name = st.sampled_from([None, "", "sum", "sum", "sum", "sum", "find"])
call_id = st.sampled_from([None, "", "a", "a", "b", "b", "c"])
cited = st.sampled_from([None, {}, {"type": "char_location"}, {"type": "url_citation", "url": "https://a.test"}])


def fields(**optional: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=optional)


def events(*usual: Event, **kinds: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[list[Event]]:
    """Return streams of events, in which the usual ones may come in their order.

    Args:
        *usual: The events of a call, so that not every stream is a ruin.
        **kinds: The name of an event, with dots for double underscores, and its fields.
    """
    each = [st.tuples(st.just(kind.replace("__", ".")), more) for kind, more in kinds.items()]
    dumped = st.one_of(each).map(lambda event: [(event[0], json.dumps({"type": event[0], **event[1]}))])
    runs = st.lists(st.one_of(dumped, dumped, dumped, st.just([*usual])), max_size=12)
    return runs.map(lambda found: [event for run in found for event in run])


def event(kind: str, **more: Any) -> Event:
    return kind, json.dumps({"type": kind, **more})


# -- chat completions --------------------------------------------------------------------------------------------------

function = fields(name=name, arguments=arguments)
tool_call = fields(index=number, id=call_id, function=function)
delta = fields(
    content=text,
    reasoning_content=text,
    refusal=text,
    tool_calls=st.lists(tool_call, max_size=2),
    content_blocks=st.just([]),
)
reasons = st.sampled_from([None, None, "stop", "length", "tool_calls", "content_filter", "odd"])
chunks = fields(choices=st.lists(fields(index=st.just(0), delta=delta, finish_reason=reasons), max_size=2))
CHAT_END: list[Event] = [
    ("message", '{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}'),
    ("message", "[DONE]"),
]
CALL = {"index": 5, "id": "e", "function": {"name": "sum", "arguments": "{}"}}
calling = st.just({"choices": [{"index": 0, "delta": {"tool_calls": [CALL]}}]})
chat = st.lists(
    st.one_of(chunks, chunks, chunks, calling).map(lambda chunk: ("message", json.dumps(chunk))), max_size=12
)

# -- Messages ----------------------------------------------------------------------------------------------------------

block = st.one_of(
    fields(type=st.just("text"), text=text),
    fields(type=st.just("thinking"), thinking=text, signature=text),
    fields(type=st.just("redacted_thinking"), data=text),
    fields(type=st.just("tool_use"), id=call_id, name=name, input=st.sampled_from([None, {}, {"a": 1}])),
    fields(type=st.just("server_tool_use"), id=call_id, name=name),
)
growth = st.one_of(
    fields(type=st.just("text_delta"), text=text),
    fields(type=st.just("thinking_delta"), thinking=text),
    fields(type=st.just("signature_delta"), signature=text),
    fields(type=st.just("input_json_delta"), partial_json=arguments),
    fields(type=st.just("citations_delta"), citation=cited),
)
stops = st.sampled_from([None, "end_turn", "tool_use", "max_tokens", "refusal", "pause_turn", "odd"])
messages = events(
    event("content_block_start", index=5, content_block={"type": "tool_use", "id": "e", "name": "sum", "input": {}}),
    event("content_block_delta", index=5, delta={"type": "input_json_delta", "partial_json": "{}"}),
    event("content_block_stop", index=5),
    message_start=fields(message=fields(model=text, usage=st.just({"input_tokens": 1}))),
    content_block_start=fields(index=number, content_block=block),
    content_block_delta=fields(index=number, delta=growth),
    content_block_stop=fields(index=number),
    message_delta=fields(delta=fields(stop_reason=stops), usage=st.just({"output_tokens": 1})),
    ping=st.just({}),
)
MESSAGES_END: list[Event] = [
    ("message_delta", '{"type":"message_delta","delta":{"stop_reason":"end_turn"}}'),
    ("message_stop", '{"type":"message_stop"}'),
]

# -- Responses ---------------------------------------------------------------------------------------------------------

part = fields(type=st.just("output_text"), text=text, refusal=text, annotations=st.lists(cited, max_size=1))
item = st.one_of(
    fields(type=st.just("message"), content=st.lists(part, max_size=2), phase=text),
    fields(
        type=st.just("reasoning"), id=call_id, summary=st.lists(fields(text=text), max_size=2), encrypted_content=text
    ),
    fields(type=st.just("function_call"), id=call_id, call_id=call_id, name=name, arguments=arguments),
    fields(type=st.just("web_search_call"), id=call_id),
)
responses = events(
    event("response.output_item.added", output_index=5, item={"type": "function_call", "call_id": "e", "name": "sum"}),
    event("response.function_call_arguments.delta", output_index=5, delta="{}"),
    event(
        "response.output_item.done",
        output_index=5,
        item={"type": "function_call", "call_id": "e", "name": "sum", "arguments": "{}"},
    ),
    response__created=st.just({}),
    response__output_item__added=fields(output_index=number, item=item),
    response__output_item__done=fields(output_index=number, item=item),
    response__output_text__delta=fields(output_index=number, delta=text),
    response__refusal__delta=fields(output_index=number, delta=text),
    response__reasoning_summary_text__delta=fields(output_index=number, summary_index=number, delta=text),
    response__function_call_arguments__delta=fields(output_index=number, item_id=call_id, delta=arguments),
    response__output_text__annotation__added=fields(output_index=number, annotation=cited),
)
RESPONSES_END: list[Event] = [("response.completed", '{"type":"response.completed","response":{"status":"completed"}}')]


def fold(translator: Translator, stream: Iterable[Event]) -> list[StreamEvent]:
    """Return the Strands events of a stream."""
    given = [event for message in stream for event in translator.feed(*message)]
    return [*given, *translator.finish()]


def assemble(given: Sequence[StreamEvent]) -> tuple[str, Message]:
    """Return why a message ended, and the message, as Strands assembles it."""

    async def replay() -> AsyncIterator[StreamEvent]:
        for event in given:
            yield event

    async def assembled() -> Any:
        return [event["stop"] async for event in process_stream(replay()) if "stop" in event]

    [(stop_reason, message, *_)] = asyncio.run(assembled())
    return stop_reason, message


@pytest.mark.parametrize(
    ("make", "streams", "end"),
    [
        pytest.param(ChatTranslator, chat, CHAT_END, id="chat"),
        pytest.param(MessagesTranslator, messages, MESSAGES_END, id="messages"),
        pytest.param(ResponsesTranslator, responses, RESPONSES_END, id="responses"),
    ],
)
@given(data=st.data())
def test_strands_assembles_all_that_was_said(
    make: Callable[[], Translator], streams: st.SearchStrategy[list[Event]], end: list[Event], data: st.DataObject
) -> None:
    stream = data.draw(streams)
    ends = data.draw(st.sampled_from([True, True, True, False]))
    try:
        given = fold(make(), [*stream, *(end if ends else [])])
    except PortkeyError:
        return

    stop_reason, message = assemble(given)

    begun = [next(iter(event["contentBlockStart"]["start"]), "") for event in given if "contentBlockStart" in event]
    assert sum("contentBlockStop" in event for event in given) == len(begun)
    assert [next(iter(event)) for event in given].count("messageStop") == 1
    calls = [block["toolUse"] for block in message["content"] if "toolUse" in block]
    assert len(calls) == begun.count("toolUse")
    assert all(call["name"] and call["toolUseId"] for call in calls)
    assert len({call["toolUseId"] for call in calls}) == len(calls)
    assert bool(calls) or stop_reason != "tool_use"
    deltas = [event["contentBlockDelta"]["delta"] for event in given if "contentBlockDelta" in event]
    assert "".join(block.get("text", "") for block in map(text_of, message["content"])) == "".join(
        each.get("text", "") for each in deltas
    )


def text_of(block: Any) -> dict[str, str]:
    """Return a block's text, where it has sources too."""
    cited = block.get("citationsContent")
    return cited["content"][0] if cited else block
