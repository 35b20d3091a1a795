"""parse_chunk: what is read of the wire, what passes unread, and what cannot be read."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strands_portkey._answer.parsing import UnreadableEventError
from strands_portkey._wires.chat.shapes import parse_chunk


def test_unknown_fields_are_dropped():
    assert parse_chunk('{"model":"m","new":{"x":1}}') == {"model": "m"}


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
        ('{"choices":[{"delta":{"content":5}}]}', "choices.0.delta.content"),
        ('{"choices":[{"delta":{"content":{}}},{"delta":{"content":5}}]}', "choices.1.delta.content"),
        ('{"choices":[{"delta":{"tool_calls":[{"function":{"arguments":[1]}}]}}]}', "function.arguments"),
        ('{"choices":[{"delta":{"tool_calls":[{"function":{"arguments":5}}]}}]}', "function.arguments"),
        ('{"choices":[{"delta":{"tool_calls":[5]}}]}', "choices.0.delta.tool_calls"),
        ('{"choices":[{"delta":5},7]}', "choices.0.delta"),
    ],
    ids=[
        *("broken JSON", "nothing", "no object", "wrong type", "content", "second content", "arguments as a list"),
        *("arguments as a number", "a call", "a delta and a choice"),
    ],
)
def test_what_cannot_be_read_raises_and_says_where(data, where):
    with pytest.raises(UnreadableEventError) as caught:
        parse_chunk(data)

    assert where in str(caught.value)


@pytest.mark.parametrize("part", ["delta", "message"])
@pytest.mark.parametrize(
    ("given", "taken"),
    [
        pytest.param({"content": {"type": "text", "text": "a"}}, {"content": [{"text": "a"}]}, id="one part"),
        pytest.param({"content": ["a", "b"]}, {"content": [{"text": "a"}, {"text": "b"}]}, id="texts"),
        pytest.param(
            {"content": ["a", {"text": "b"}]}, {"content": [{"text": "a"}, {"text": "b"}]}, id="text and part"
        ),
        pytest.param({"content": {"city": "Ä"}}, {"content": '{"city": "Ä"}'}, id="an object that was asked for"),
        pytest.param({"content": {}}, {"content": ""}, id="an empty object"),
        pytest.param(
            {"tool_calls": [{"id": "a", "function": {"name": "f", "arguments": {"x": [1]}}}]},
            {"tool_calls": [{"id": "a", "function": {"name": "f", "arguments": '{"x": [1]}'}}]},
            id="arguments",
        ),
        pytest.param(
            {"tool_calls": [None, {"function": {"arguments": {}}}, {"function": None}]},
            {"tool_calls": [None, {"function": {"arguments": ""}}, {"function": None}]},
            id="no arguments",
        ),
        pytest.param(
            {"content": ["a"], "tool_calls": {"function": {"arguments": {"x": 1}}}},
            {"content": [{"text": "a"}], "tool_calls": {"function": {"arguments": '{"x": 1}'}}},
            id="both, one call",
        ),
        pytest.param(
            {"content": {"text": "a"}, "reasoning": {}},
            {"content": [{"text": "a"}]},
            id="beside a field that is ignored",
        ),
    ],
)
def test_objects_are_taken_in_place_of_texts(part, given, taken):
    data = json.dumps({"choices": [{part: given}, {part: None}]})

    assert parse_chunk(data) == {"choices": [{part: taken}, {part: None}]}


@pytest.mark.parametrize(
    ("data", "chunk"),
    [
        ({"model": 1, "choices": [{"finish_reason": "stop"}]}, {"choices": [{"finish_reason": "stop"}]}),
        ({"hook_results": [1], "provider": {}}, {}),
        (
            {"usage": {"prompt_tokens": 10.5, "completion_tokens": 3, "completion_tokens_details": []}},
            {"usage": {"completion_tokens": 3}},
        ),
        ({"usage": 3, "model": "m"}, {"model": "m"}),
        (
            {"choices": [{"delta": {"content": "a", "reasoning": {}, "refusal": False}}]},
            {"choices": [{"delta": {"content": "a"}}]},
        ),
    ],
    ids=["model", "hook results", "counts", "usage", "reasoning and refusal"],
)
def test_an_invalid_field_that_the_answer_does_not_need_is_left_out(data, chunk, caplog):
    assert parse_chunk(json.dumps(data)) == chunk
    assert "ignored because of its wrong type" in caplog.text


@pytest.mark.parametrize(
    "said",
    [
        {"object": "error", "message": "maximum context length is 8", "code": 400},
        {"message": "Slow down", "type": "rate_limit_error"},
        {"detail": "No such model"},
    ],
    ids=["vllm", "openai's, bare", "fastapi's"],
)
def test_an_error_at_the_top_of_a_chunk_is_moved_under_its_error_key(said):
    assert parse_chunk(json.dumps(said)) == {"error": said}


def test_a_chunk_without_choices_is_no_error_by_that():
    data = {"usage": {"total_tokens": 3}, "error": {"message": "Busy"}, "message": "Hi"}

    assert parse_chunk(json.dumps(data)) == {"usage": {"total_tokens": 3}, "error": {"message": "Busy"}}


@pytest.mark.parametrize("form", [str, str.encode], ids=["text", "bytes"])
def test_an_unpaired_surrogate_in_text_is_replaced(form):
    data = form('{"choices":[{"delta":{"content":"a \\ud83d"}}],"model":"\\ud83d\\ude00"}')

    assert parse_chunk(data) == {"choices": [{"delta": {"content": "a \ufffd"}}], "model": "\U0001f600"}


def test_an_unpaired_surrogate_in_the_input_of_a_tool_raises():
    data = '{"choices":[{"delta":{"tool_calls":[{"function":{"arguments":"\\ud83d"}}]}}]}'

    with pytest.raises(UnreadableEventError):
        parse_chunk(data)


@pytest.mark.parametrize(
    "data",
    [
        {"type": "ping", "message": "processing"},
        {"type": "message_start", "message": {"role": "assistant"}},
        {"message": "ok"},
    ],
    ids=["ping", "anthropic's", "message"],
)
def test_a_chunk_of_another_kind_is_no_error(data):
    assert parse_chunk(json.dumps(data)) == {}


def test_what_is_nested_too_deep_raises():
    with pytest.raises(UnreadableEventError, match="recursion limit"):
        parse_chunk('{"error":' + "[" * 300 + "]" * 300 + "}")


def test_the_error_does_not_hold_the_data():
    with pytest.raises(UnreadableEventError) as caught:
        parse_chunk('{"choices":"sk-1"}')

    assert (str(caught.value), caught.value.__context__) == ("choices: Input should be a valid array", None)


@pytest.mark.parametrize(
    "fault",
    ['"choices":[%s]', '"choices":[{"delta":{"content":[%s]}}]', '"choices":[{"delta":{"tool_calls":[%s]}}]'],
    ids=["choices", "content", "tool calls"],
)
def test_only_the_first_fault_of_a_list_is_looked_for(fault):
    with pytest.raises(UnreadableEventError) as caught:
        parse_chunk("{" + fault % ",".join(["1"] * 300_000) + "}")

    assert str(caught.value).startswith("choices.0")


def test_invalid_fields_in_more_choices_than_anyone_asks_for_raise():
    choices = [{"delta": {"content": "a", "reasoning": {}}}] * 1000

    assert parse_chunk(json.dumps({"choices": choices[:2]})) == {"choices": [{"delta": {"content": "a"}}] * 2}
    with pytest.raises(UnreadableEventError, match=r"choices\.2\.delta\.reasoning"):
        parse_chunk(json.dumps({"choices": choices}))


def test_an_error_at_the_top_of_a_chunk_is_read_from_its_beginning():
    data = json.dumps({"detail": "No such model", "list": list(range(20_000))})

    error = parse_chunk(data)["error"]

    assert isinstance(error, dict)
    assert error["detail"] == "No such model"


@given(st.text())
def test_random_data_is_a_chunk_or_a_stream_error(data):
    with suppress(UnreadableEventError):
        assert isinstance(parse_chunk(data), dict)


def test_a_long_chunk_of_few_parts_is_read():
    assert parse_chunk('{"choices":[],"model":"' + "m" * 300_000 + '"}') == {"choices": [], "model": "m" * 300_000}
