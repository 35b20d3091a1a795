"""parse_chunk: what is read of the wire, what passes unread, and what cannot be read."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strands_portkey._errors import PortkeyStreamError
from strands_portkey._wire import parse_chunk


@pytest.mark.parametrize("data", ['{"model":"m","new":{"x":1}}', b'{"model":"m","new":{"x":1}}'], ids=["text", "bytes"])
def test_unknown_fields_are_dropped(data):
    assert parse_chunk(data) == {"model": "m"}


def test_every_field_may_be_null():
    data = '{"model":null,"provider":null,"choices":null,"usage":null,"error":null,"hook_results":null}'

    assert parse_chunk(data) == {
        "model": None,
        "provider": None,
        "choices": None,
        "usage": None,
        "error": None,
        "hook_results": None,
    }


@pytest.mark.parametrize(
    "tool_calls",
    [[{"id": "a"}], {"id": "a"}, [None, {"id": "a"}], [], None],
    ids=["openai: a list", "cohere: one object", "google: a hole", "groq: empty", "null"],
)
def test_tool_calls_come_in_several_shapes(tool_calls):
    data = json.dumps({"choices": [{"delta": {"tool_calls": tool_calls}}]})

    assert parse_chunk(data) == {"choices": [{"delta": {"tool_calls": tool_calls}}]}


@pytest.mark.parametrize(
    ("data", "where"),
    [
        ("{broken", "the chunk: Invalid JSON"),
        ("", "the chunk: Invalid JSON"),
        ("[1]", "the chunk: Input should be"),
        ('{"choices":3}', "choices: Input should be"),
        ('{"choices":[{"delta":{"content":{}}}]}', "choices.0.delta.content"),
        (b'{"model":"\xff"}', "Invalid JSON"),
    ],
    ids=["broken JSON", "nothing", "no object", "wrong type", "wrong type inside", "no UTF-8"],
)
def test_what_cannot_be_read_raises_and_says_where(data, where):
    with pytest.raises(PortkeyStreamError) as caught:
        parse_chunk(data)

    assert where in str(caught.value)
    assert (caught.value.origin, caught.value.retryable) == ("gateway", True)


def test_the_error_quotes_the_beginning_of_the_data_only():
    with pytest.raises(PortkeyStreamError) as caught:
        parse_chunk("x" * 10_000)

    assert len(str(caught.value)) < 400


@given(st.text() | st.binary())
def test_random_data_is_a_chunk_or_a_stream_error(data):
    with suppress(PortkeyStreamError):
        assert isinstance(parse_chunk(data), dict)
