"""Which call a fragment belongs to, for all the ways in which upstreams number and name calls."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strands_portkey._answer.calls import ToolCall
from strands_portkey._wires.chat.tool_calls import ToolCalls

MADE_UP = re.compile(r"call_[0-9a-f]{32}")


def piece(arguments=None, *, name=None, id=None, index=None, **more):  # noqa: A002
    function = {"name": name, "arguments": arguments, **more}
    return {"index": index, "id": id, "function": {key: value for key, value in function.items() if value is not None}}


def read(*pieces):
    calls = ToolCalls()
    for each in pieces:
        calls.take(each)
    return [
        ("made up" if MADE_UP.fullmatch(call.id) else call.id, call.name, "".join(call.arguments)) for call in calls.all
    ]


@pytest.mark.parametrize(
    ("pieces", "calls"),
    [
        pytest.param(
            [piece("", name="f", id="a", index=0), piece('{"x":', index=0), piece("1}", index=0)],
            [("a", "f", '{"x":1}')],
            id="openai: fragments",
        ),
        pytest.param(
            [
                piece("", name="f", id="a", index=0),
                piece("", name="g", id="b", index=1),
                piece("{}", index=1),
                piece("{ }", index=0),
            ],
            [("a", "f", "{ }"), ("b", "g", "{}")],
            id="openai: interleaved",
        ),
        pytest.param(
            [piece("{}", name="f", id="a", index=0), piece('{"x":1}', name="f", id="b", index=0)],
            [("a", "f", "{}"), ("b", "f", '{"x":1}')],
            id="google: indexes start over in each chunk",
        ),
        pytest.param(
            [piece("", name="get_", id="a", index=0), piece("", name="weather", index=0), piece("{}", index=0)],
            [("a", "get_weather", "{}")],
            id="a name in pieces",
        ),
        pytest.param(
            [piece(name="get", id="a", index=0), piece(name="_wea", id="a", index=0), piece("{}", name="ther", id="a")],
            [("a", "get_weather", "{}")],
            id="a name in pieces, with the id each time, the last with the arguments",
        ),
        pytest.param(
            [
                *(piece(name="get_", id="a", index=0), piece(name="do_", id="b", index=1)),
                *(piece(name="x", index=0), piece(name="y", index=1), piece("{}", index=0), piece("{ }", index=1)),
            ],
            [("a", "get_x", "{}"), ("b", "do_y", "{ }")],
            id="two names in pieces",
        ),
        pytest.param(
            [piece(name="get", id="a", index=0), piece(name="get_x", id="a", index=0), piece("{}", index=0)],
            [("a", "get_x", "{}")],
            id="a name that grows",
        ),
        pytest.param(
            [piece("{}", name="f", id="a", index=0), piece("", name="f", index=0)],
            [("a", "f", "{}")],
            id="a name that is repeated with empty arguments",
        ),
        pytest.param(
            [piece(name="f", id="a", index=0), piece("{}", index=0), piece("{}", name="g", index=0)],
            [("a", "f", "{}"), ("made up", "g", "{}")],
            id="another name after arguments",
        ),
        pytest.param(
            [piece("{}", name="f", id="a", index=0), piece(name="g", index=0), piece("{ }", index=0)],
            [("a", "f", "{}"), ("made up", "g", "{ }")],
            id="another name after arguments, whose own come later",
        ),
        pytest.param(
            [piece(name="f", id="a", index=0), piece(name="g", id="b", index=0)],
            [("a", "f", ""), ("b", "g", "")],
            id="google: no arguments at all",
        ),
        pytest.param(
            [piece(name="f", index=0), piece(name="g", index=0)],
            [("made up", "f", ""), ("made up", "g", "")],
            id="no arguments at all, and no id",
        ),
        pytest.param(
            [piece("{}", name="f", index=0), piece("{}", name="f", index=0)],
            [("made up", "f", "{}"), ("made up", "f", "{}")],
            id="ollama: index always 0, no id",
        ),
        pytest.param(
            [piece("", name="f", id="a"), piece('{"x":'), piece("1}"), piece("", name="g", id="b"), piece("{}")],
            [("a", "f", '{"x":1}'), ("b", "g", "{}")],
            id="cohere: no index",
        ),
        pytest.param(
            [piece("", name="f", id="a"), piece("", name="g", id="b"), piece("{}", id="a")],
            [("a", "f", "{}"), ("b", "g", "")],
            id="no index, but ids",
        ),
        pytest.param(
            [piece("", name="f", id="a", index=0), piece("", name="g", id="b", index=0), piece("{}", id="a", index=0)],
            [("a", "f", "{}"), ("b", "g", "")],
            id="an index for two calls, but ids",
        ),
        pytest.param(
            [piece("", name="f", id="a", index=0), piece("", name="g", id="b", index=1), piece("{}", id="a")],
            [("a", "f", "{}"), ("b", "g", "")],
            id="indexes at the beginning, then ids",
        ),
        pytest.param(
            [piece("", name="f", id="a", index=0), piece('{"x":'), piece("1}")],
            [("a", "f", '{"x":1}')],
            id="an index at the beginning, then neither that nor an id",
        ),
        pytest.param(
            [piece('{"x":', name="f", id="a", index=0), piece("1}", id="b", index=0)],
            [("a", "f", '{"x":1}')],
            id="vllm: a new id with every fragment",
        ),
        pytest.param(
            [piece('{"x":', name="f", id="a", index=0), piece("1}", name="f", id="a", index=0)],
            [("a", "f", '{"x":1}')],
            id="the name is repeated",
        ),
        pytest.param(
            [piece("{}", name="f", id="a", index=0), piece("{}", name="g", id="a", index=1)],
            [("a", "f", "{}"), ("made up", "g", "{}")],
            id="duplicate ids",
        ),
        pytest.param(
            [piece("{}", name="f", id="a"), piece("{}", name="f", id="a")],
            [("a", "f", "{}"), ("made up", "f", "{}")],
            id="duplicate ids without indexes",
        ),
        pytest.param([piece("{}", name="f", id="", index=0)], [("made up", "f", "{}")], id="empty id"),
        pytest.param(
            [piece("", name="f", index=0), piece("{}", name="f", id="a", index=0)],
            [("made up", "f", "{}")],
            id="a late id is no second call",
        ),
        pytest.param(
            [piece("", name="f", index=0), *[piece("{}", name="f", id="a", index=0)] * 2],
            [("made up", "f", "{}")],
            id="a late id, and the whole call once more",
        ),
        pytest.param(
            [piece("", id="a", index=0), piece("{}", name="f", index=0)], [("a", "f", "{}")], id="a late name"
        ),
        pytest.param([piece("{}", index=-1)], [], id="anthropic: input of a server tool"),
        pytest.param(
            [piece("{}", name="f", id="a", index=0), piece('{"query":1}', index=-1)],
            [("a", "f", "{}")],
            id="anthropic: input of a server tool after a call",
        ),
        pytest.param([piece("{}", name="f", id="a", index=-1)], [("a", "f", "{}")], id="a call numbered -1"),
        pytest.param([piece("{}")], [], id="a fragment of nothing"),
        pytest.param(
            [piece("", name="f", id="a", index=0), piece('{"q":', index=1), piece('"x"}', index=1)],
            [("a", "f", '{"q":"x"}')],
            id="arguments under another index than their call",
        ),
        pytest.param(
            [piece("{}", name="f", id="a", index=0), piece('{"q":1}', index=1)],
            [("a", "f", "{}"), ("made up", "", '{"q":1}')],
            id="arguments of no call",
        ),
        pytest.param([piece('{"q":1}', index=0)], [("made up", "", '{"q":1}')], id="arguments before any call"),
        pytest.param(
            [
                piece("", name="f", id="a", index=0),
                piece('{"x":', index=0),
                piece("1}", index=0),
                piece('{"x":1}', name="f", id="a", index=0),
            ],
            [("a", "f", '{"x":1}')],
            id="a call in pieces, and once more as a whole",
        ),
        pytest.param(
            [piece('{"x":1}', name="f", id="a", index=0), piece('{ "x": 1 }', name="f", id="a", index=0)],
            [("a", "f", '{"x":1}')],
            id="a call once more, with other spaces",
        ),
        pytest.param(
            [piece('{"x":1}', name="f", id="a", index=0), piece('{"x":2}', name="f", id="a", index=0)],
            [("a", "f", '{"x":1}'), ("made up", "f", '{"x":2}')],
            id="a second call with the first one's id and index",
        ),
        pytest.param(
            [piece("{}", name="f", id="a", index=0), piece("", index=1), {"index": 2}],
            [("a", "f", "{}")],
            id="empty fragments of no call",
        ),
        pytest.param(
            [piece("{}", name="f", id="a", index=0), piece("{}", name="f", id="a", index=0)],
            [("a", "f", "{}")],
            id="a whole call twice",
        ),
        pytest.param([{"index": 0, "id": "a", "function": None}], [("a", "", "")], id="null function"),
    ],
)
def test_fragments_find_their_call(pieces, calls):
    assert read(*pieces) == calls


@pytest.mark.parametrize(
    ("pieces", "echoes"),
    [
        pytest.param([piece("{}", name="f", id="a", index=0), piece("", name="f", index=1)], [False, True], id="no id"),
        pytest.param(
            [piece("{}", name="f", id="a", index=0), piece(name="f", id="a", index=1)], [False, True], id="same id"
        ),
        pytest.param(
            [piece("{}", name="f", id="a", index=0), piece(name="f", id="", index=1)], [False, True], id="empty id"
        ),
        pytest.param(
            [piece("{}", name="f", id="a", index=0), piece(name="f", id="b", index=1)], [False, False], id="new id"
        ),
        pytest.param(
            [piece("{}", name="f", id="a", index=0), piece(name="g", index=1)], [False, False], id="other name"
        ),
        pytest.param(
            [piece("{", name="f", id="a", index=0), piece(name="f", index=1)], [False, False], id="not whole yet"
        ),
        pytest.param([piece("{}", name="f", index=0), piece(name="f", index=1)], [False, False], id="no ids at all"),
    ],
)
def test_a_call_that_is_announced_again_is_an_echo_of_the_first(pieces, echoes):
    calls = ToolCalls()
    for each in pieces:
        calls.take(each)

    assert [call.is_echo for call in calls.all] == echoes


def test_made_up_ids_are_unique():
    calls = ToolCalls()
    calls.take(piece("{}", name="f"))
    calls.take(piece("{}", name="g"))

    first, second = calls.all

    assert first.id != second.id


def test_a_signature_stays_with_its_call():
    calls = ToolCalls()

    call = calls.take(piece("{}", name="f", id="a", thought_signature="TSIG=="))

    assert call is not None
    assert call.signature == "TSIG=="


def test_a_signature_may_come_by_itself():
    calls = ToolCalls()
    calls.take(piece("", name="f", id="a", index=0))

    call = calls.take(piece(index=0, thought_signature="TSIG=="))

    assert call is not None
    assert call.signature == "TSIG=="


@pytest.mark.parametrize(
    ("more", "kept"),
    [
        ({"function": {"thought_signature": "S=="}}, "S=="),
        ({"extra_content": {"google": {"thought_signature": "S=="}}}, "extra_content.google.thought_signature:S=="),
        ({"thoughtSignature": "S=="}, "thoughtSignature:S=="),
        ({"function": {"thoughtSignature": "S=="}}, "function.thoughtSignature:S=="),
        ({"extra_content": {"google": None}, "thoughtSignature": 5}, None),
        ({"extra_content": "S=="}, None),
        ({"function": {"thought_signature": ""}}, None),
    ],
    ids=["gateway", "google as openai", "on the call", "on the function", "other types", "a text", "empty"],
)
def test_a_signature_is_kept_with_the_name_of_its_place(more, kept):
    fragment: Any = {"index": 0, "id": "a", **more, "function": {"name": "f", **more.get("function", {})}}

    call = ToolCalls().take(fragment)

    assert call is not None
    assert call.signature == kept


@pytest.mark.parametrize(
    ("arguments", "is_whole", "is_broken"),
    [
        ("", False, False),
        ("  ", False, False),
        ("{}", True, False),
        (' {"x":1} ', True, False),
        ('{"x":', False, True),
        ("{}{}", False, True),
        ("[1]", False, False),
        ('{"x":NaN}', True, False),
        ("[" * 100_000, False, True),
    ],
    ids=["nothing", "blank", "empty", "object", "half", "two", "list", "NaN", "too deep"],
)
def test_arguments_are_judged_as_strands_will_read_them(arguments, is_whole, is_broken):
    call = ToolCall(0, "a")
    call.arguments = [arguments]

    assert (call.is_whole(), call.is_broken()) == (is_whole, is_broken)


@pytest.mark.parametrize(
    ("pieces", "answers"),
    [
        pytest.param(['{"x":', '"}"', "}"], [False, False, True], id="brace in a string"),
        pytest.param(['{"x":"\\', '"}', '"}'], [False, False, True], id="cut within an escape"),
        pytest.param(['{"x":"\\\\', '"}'], [False, True], id="escaped backslash"),
        pytest.param(['{"x":"\\u00', '7d"', "}"], [False, False, True], id="cut within a code point"),
        pytest.param(['{"x":"\ud83d', '\ude00"}'], [False, True], id="cut within a surrogate pair"),
        pytest.param(['{"x":{"y":{}', "}", "}"], [False, False, True], id="nested"),
        pytest.param([" ", "\n{", "}"], [False, False, True], id="white space before"),
        pytest.param(["{}", " ", "\t\r\n", "x", ""], [True, True, True, False, False], id="something behind"),
        pytest.param(["{}", "\u00a0"], [True, False], id="no white space of JSON's"),
        pytest.param(["{}{", "}"], [False, False], id="two"),
        pytest.param(["[{}", "]"], [False, False], id="list of objects"),
        pytest.param(['"{', '}"'], [False, False], id="text"),
        pytest.param(["}", "{}"], [False, False], id="closed before it opens"),
        pytest.param(["{x}", "{}"], [False, False], id="never JSON"),
    ],
)
def test_arguments_are_whole_from_the_fragment_that_ends_their_object(pieces, answers):
    assert asked_at_each(pieces) == answers == parsed_at_each(pieces)


@given(
    text=st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    ).flatmap(lambda value: st.sampled_from([json.dumps(value), json.dumps(value, ensure_ascii=False, indent=1)]))
    | st.text('{}[]"\\:,u0x \n', max_size=30),
    behind=st.text('{}" \n', max_size=3),
    cuts=st.lists(st.integers(0, 60), max_size=8),
)
def test_arguments_in_any_fragments_are_judged_as_the_whole_text_is(text, behind, cuts):
    whole = f'{{"x": {text}}}{behind}' if cuts and cuts[0] % 2 else text + behind
    places = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    pieces = [whole[start:end] for start, end in pairwise(places)]

    assert asked_at_each(pieces) == parsed_at_each(pieces)


def asked_at_each(pieces):
    call = ToolCall(0, "a")
    answers = []
    for each in pieces:
        call.arguments.append(each)
        answers.append(call.is_whole())
    assert answers[-1] == call.is_whole()
    return answers


def parsed_at_each(pieces):
    return [is_object("".join(pieces[: count + 1])) for count in range(len(pieces))]


def is_object(text):
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False
