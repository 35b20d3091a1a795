"""A conversation becomes the body of a response."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from typing import Any, Literal

import pytest
from strands.models.model import CacheConfig

from strands_portkey import PortkeyConfigError
from strands_portkey._json import dump_body
from strands_portkey._request.question import Question
from strands_portkey._wires.responses import RESPONSES
from strands_portkey._wires.responses.body import BREAKPOINTS, INCLUDE, to_body


@dataclass
class Settings(CacheConfig):
    """Today's `CacheConfig`; that of the lowest Strands has a strategy and a ttl alone."""

    ttl: str | None = None
    cache_key: str | Literal[False] | None = None


POINT = {"cachePoint": {"type": "default"}}
MARK = {"prompt_cache_breakpoint": {"mode": "explicit"}}
PNG = {"image": {"format": "png", "source": {"bytes": b"png"}}}
PDF = {"document": {"format": "pdf", "name": "d", "source": {"bytes": b"pdf"}}}
IMAGE = {"type": "input_image", "image_url": "data:image/png;base64,cG5n", "detail": "auto"}
FILE = {"type": "input_file", "filename": "d.pdf", "file_data": "data:application/pdf;base64,cGRm"}
USE: dict[str, Any] = {"toolUse": {"toolUseId": "call_1", "name": "sum", "input": {"a": "é"}}}
CALL = {"type": "function_call", "call_id": "call_1", "name": "sum", "arguments": '{"a": "é"}'}
SPEC: Any = {"name": "sum", "description": "Adds.", "inputSchema": {"json": {"type": "object"}}}
TOOL = {"type": "function", "name": "sum", "description": "Adds.", "parameters": {"type": "object"}, "strict": False}
SCHEMA: Any = {"name": "City", "schema": {"type": "object"}, "strict": True}


def text(value, **more):
    return {"type": "input_text", "text": value, **more}


def said(value, **more):
    return {"role": "assistant", "content": value, **more}


def user_item(*parts):
    return {"role": "user", "content": list(parts)}


def result(*content, tool_use_id="call_1"):
    return {"toolResult": {"toolUseId": tool_use_id, "status": "success", "content": list(content)}}


def output(value, call_id="call_1"):
    return {"type": "function_call_output", "call_id": call_id, "output": value}


def thought(envelope, words=""):
    signature = "openai-responses:1:" + (envelope if isinstance(envelope, str) else json.dumps(envelope))
    return {"reasoningContent": {"reasoningText": {"text": words, "signature": signature}}}


def reasoning(item_id="rs_1", summary=(), encrypted="gAAA"):
    parts = [{"type": "summary_text", "text": part} for part in summary]
    return {"type": "reasoning", "id": item_id, "summary": parts, "encrypted_content": encrypted}


def body_of(messages, model_id="gpt-5.6", **more):
    return to_body(Question(messages, model_id, **more))


def user(*blocks, **more):
    return body_of([{"role": "user", "content": list(blocks)}], **more)["input"]


def assistant(*blocks, **more):
    return body_of([{"role": "assistant", "content": list(blocks)}, HI], **more)["input"][:-1]


HI: Any = {"role": "user", "content": [{"text": "hi"}]}
HI_ITEM = user_item(text("hi"))


def test_a_question_is_stateless_and_asks_for_reasoning_that_can_go_back():
    assert body_of([HI], system=[{"text": "Be brief."}, {"text": " "}, {"text": "Be kind."}], tool_specs=[SPEC]) == {
        "model": "gpt-5.6",
        "instructions": "Be brief.\nBe kind.",
        "input": [HI_ITEM],
        "tools": [TOOL],
        "stream": True,
        "store": False,
        "include": ["reasoning.encrypted_content"],
    }


def test_without_tools_and_system_prompt_nothing_is_said_of_them():
    assert body_of([HI], stream=False) == {
        "model": "gpt-5.6",
        "input": [HI_ITEM],
        "stream": False,
        "store": False,
        "include": ["reasoning.encrypted_content"],
    }


@pytest.mark.parametrize(
    ("model_id", "omitted", "params", "include"),
    [
        ("gpt-5.6", (), {}, ["reasoning.encrypted_content"]),
        ("o4-mini", (), {}, ["reasoning.encrypted_content"]),
        ("my-deployment", (), {}, ["reasoning.encrypted_content"]),
        ("gpt-4o", (), {}, None),
        ("gpt-3.5-turbo", (), {}, None),
        ("chatgpt-4o-latest", (), {}, None),
        ("gpt-5-chat-latest", (), {}, None),
        ("gpt-5.2-chat-latest", (), {}, None),
        ("my-deployment", (INCLUDE,), {}, None),
        ("gpt-4o", (), {"include": ["web_search_call.results"]}, ["web_search_call.results"]),
        ("gpt-5.6", (), {"include": ["a"]}, ["a", "reasoning.encrypted_content"]),
        ("gpt-5.6", (), {"include": ["reasoning.encrypted_content"]}, ["reasoning.encrypted_content"]),
        ("gpt-4o", (), {"logprobs": True}, ["message.output_text.logprobs"]),
        ("gpt-4o", (), {"logprobs": True, "include": ["a"]}, ["a", "message.output_text.logprobs"]),
    ],
)
def test_include_is_for_models_that_may_reason_and_have_not_refused_it(model_id, omitted, params, include):
    assert body_of([HI], model_id, params=params, omitted=frozenset(omitted)).get("include") == include


# -- the user ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("blocks", "items"),
    [
        ([{"text": "a"}, {"text": " \n"}, {"text": "b"}], [user_item(text("a"), text("b"))]),
        ([{"text": " "}], [user_item(text("[blank text]"))]),
        ([], [user_item(text("[blank text]"))]),
        ([PNG, {"text": "a"}], [user_item(IMAGE, text("a"))]),
        (
            [{"image": {"format": "png", "source": {"location": {"type": "url", "url": "https://x.test/a.png"}}}}],
            [user_item({**IMAGE, "image_url": "https://x.test/a.png"})],
        ),
        ([PDF], [user_item(FILE)]),
        ([{"document": {**PDF["document"], "context": "About d."}}], [user_item(text("About d."), FILE)]),
        (
            [{"document": {"format": "pdf", "source": {"bytes": b"pdf"}}}],
            [user_item({**FILE, "filename": "document.pdf"})],
        ),
        (
            [{"document": {"format": "csv", "name": "n", "source": {"bytes": b"1,2"}}}],
            [user_item(text('<document name="n" format="csv">\n1,2\n</document>'))],
        ),
        ([{"guardContent": {"text": {"text": "guarded"}}}], [user_item(text("guarded"))]),
        ([result({"text": "1"}), {"text": "and?"}], [output("1"), user_item(text("and?"))]),
        ([{"text": "and?"}, result({"text": "1"})], [output("1"), user_item(text("and?"))]),
        ([result({"text": "1"}), result({"text": "2"}, tool_use_id="call_2")], [output("1"), output("2", "call_2")]),
    ],
)
def test_results_come_first_then_what_the_user_says(blocks, items):
    assert user(*blocks) == items


@pytest.mark.parametrize(
    ("content", "value"),
    [
        ([{"text": "a"}, {"text": "b"}], "a\nb"),
        ([{"json": {"é": 1}}], '{"é": 1}'),
        ([], "(no output)"),
        ([{"text": " "}], "(no output)"),
        ([{"text": "see"}, PNG, {"text": "there"}], [text("see"), IMAGE, text("there")]),
        ([PDF], [FILE]),
        (
            [{"document": {"format": "md", "name": "n", "source": {"bytes": b"#"}}}],
            '<document name="n" format="md">\n#\n</document>',
        ),
    ],
)
def test_a_result_is_text_or_parts_with_its_media_in_place(content, value):
    assert user(result(*content)) == [output(value)]


VIDEO = {"video": {"format": "mp4", "source": {"bytes": b"v"}}}
KINDS = "content for api='responses' must be text, an image or a document; got content block"


@pytest.mark.filterwarnings("ignore:left out of a tool's result")
@pytest.mark.parametrize(
    ("block", "problem"),
    [
        (VIDEO, "content for api='responses' must be text, json, an image or a document; got content block 'video'"),
        ({"image": {}}, "image must have the form that Strands defines; got at format: Field required"),
        ({}, "content for api='responses' must be text, json, an image or a document; got content block 'empty'"),
    ],
)
def test_what_a_result_cannot_hold_is_said_in_its_place(block, problem):
    assert user(result({"text": "a"}, block)) == [output(f"a\n[left out: {problem}]")]


@pytest.mark.parametrize(
    ("block", "problem"),
    [
        (VIDEO, f"{KINDS} 'video'"),
        ({"audio": {"format": "mp3", "source": {"bytes": b"a"}}}, f"{KINDS} 'audio'"),
        (
            {"image": {"format": "png", "source": {"location": {"type": "s3", "uri": "s3://b/k"}}}},
            (
                "image must have bytes, or a 'url' or 'uri' that begins with http or https;"
                " got a location that begins with 's3'"
            ),
        ),
        ({"image": {"format": "bmp", "source": {"bytes": b"b"}}}, "image must be of a known format; got 'bmp'"),
        (
            {"document": {"format": "odt", "name": "n", "source": {"bytes": b"o"}}},
            "document must be of a known format; got 'odt'",
        ),
        *(
            (
                {kind: {"format": form, "name": "n", "source": {"bytes": b""}}},
                f"{kind} must hold bytes, since upstreams refuse an empty one; got 0 bytes",
            )
            for kind, form in (("image", "png"), ("document", "pdf"))
        ),
        ({"strange": 1}, f"{KINDS} 'strange'"),
        ({}, f"{KINDS} 'empty'"),
    ],
)
def test_a_block_that_cannot_be_sent_raises(block, problem):
    with pytest.raises(PortkeyConfigError) as caught:
        user({"text": "a"}, block)
    assert str(caught.value) == problem


def test_a_block_of_the_model_that_cannot_be_sent_raises():
    with pytest.raises(PortkeyConfigError, match="must be text; got content block 'image'"):
        assistant(PNG)


def test_a_system_prompt_holds_text():
    with pytest.raises(PortkeyConfigError, match="must be text; got content block 'strange'"):
        body_of([HI], system=[{"strange": 1}])


@pytest.mark.parametrize("messages", [[], [{"role": "assistant", "content": [{"text": " "}]}]])
def test_a_conversation_without_content_raises(messages):
    with pytest.raises(PortkeyConfigError, match="got only blank text"):
        body_of(messages)


def test_a_call_id_that_is_too_long_is_replaced_in_call_and_result_alike():
    long = "x" * 65
    items = body_of(
        [
            {"role": "assistant", "content": [{"toolUse": {"toolUseId": long, "name": "sum", "input": {}}}]},
            {"role": "user", "content": [result({"text": "1"}, tool_use_id=long)]},
        ]
    )["input"]

    assert items[0]["call_id"] == items[1]["call_id"] != long


# -- the model ---------------------------------------------------------------------------------------------------------

ENVELOPE = {"id": "rs_1", "encrypted_content": "gAAA", "parts": []}


@pytest.mark.parametrize(
    ("blocks", "items"),
    [
        ([{"text": "a"}, {"text": "b"}], [said("a"), said("b")]),
        ([USE], [CALL]),
        ([{"text": "a"}, USE, {"text": "b"}], [said("a"), CALL, said("b")]),
        ([{"citationsContent": {"content": [{"text": "a"}, {"text": "b"}], "citations": []}}], [said("ab")]),
        ([{"text": " "}, POINT, USE, POINT], [CALL]),
        ([thought(ENVELOPE), {"text": "a"}], [reasoning(), said("a")]),
        ([thought(ENVELOPE), USE], [reasoning(), CALL]),
        (
            [thought(ENVELOPE), USE, thought({**ENVELOPE, "id": "rs_2"}), USE],
            [reasoning(), CALL, reasoning("rs_2"), CALL],
        ),
        ([thought(ENVELOPE), thought({**ENVELOPE, "id": "rs_2"}), USE], [reasoning(), reasoning("rs_2"), CALL]),
        ([thought(ENVELOPE), {"text": " "}, USE], [reasoning(), CALL]),
        ([USE, thought(ENVELOPE)], [CALL]),
        ([thought(ENVELOPE), {"text": ""}], []),
        (
            [thought({"encrypted_content": "g", "parts": []}), USE],
            [{key: each for key, each in reasoning(encrypted="g").items() if key != "id"}, CALL],
        ),
    ],
)
def test_what_the_model_said_goes_back_in_its_order_and_reasoning_only_with_what_follows(blocks, items):
    assert assistant(*blocks) == items


@pytest.mark.parametrize(
    ("words", "parts", "summary"),
    [
        ("", [], []),
        ("Plain.", [], []),  # It was no summary.
        ("One.", [4], ["One."]),
        ("One.\n\nTwo.", [4, 4], ["One.", "Two."]),
        ("One.\n\nTwo.\n\nThree", [10, 5], ["One.\n\nTwo.", "Three"]),
        ("Edited.", [4, 4], ["Edited."]),
        ("", [4], []),
        ("Unknown.", None, ["Unknown."]),
        ("", None, []),
    ],
)
def test_a_summary_goes_back_in_the_parts_that_it_came_in(words, parts, summary):
    envelope = {name: value for name, value in {**ENVELOPE, "parts": parts}.items() if value is not None}

    assert assistant(thought(envelope, words), USE) == [reasoning(summary=summary), CALL]


def test_a_thought_without_text_goes_back_without_a_summary():
    silent = thought({"id": "rs_1", "encrypted_content": "gAAA"})
    del silent["reasoningContent"]["reasoningText"]["text"]

    assert assistant(silent, USE) == [reasoning(), CALL]


@pytest.mark.parametrize(
    "foreign",
    [
        {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "claude"}}},
        {"reasoningContent": {"reasoningText": {"text": "hm"}}},
        {"reasoningContent": {"redactedContent": b"dark"}},
        {"reasoningContent": {}},
        {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "openai-responses:2:{}"}}},
        thought("no JSON"),
        thought('{"id": 1}'),
        thought("{}"),
    ],
)
def test_reasoning_of_somebody_else_is_left_out(foreign):
    assert assistant(foreign, USE) == [CALL]


@pytest.mark.parametrize(
    ("model_id", "item"),
    [
        ("gpt-5.6", said("a", phase="commentary")),
        ("gpt-5.4", said("a", phase="commentary")),
        ("gpt-5.3-codex", said("a", phase="commentary")),
        ("gpt-5.3", said("a")),
        ("my-deployment", said("a")),
    ],
)
def test_the_phase_of_a_message_goes_back_to_models_that_know_it(model_id, item):
    with_reasoning = thought({**ENVELOPE, "phase": "commentary"})

    assert assistant(with_reasoning, {"text": "a"}, {"text": "b"}, model_id=model_id) == [reasoning(), item, said("b")]
    assert assistant(thought({"phase": "commentary"}), {"text": "a"}, model_id=model_id) == [item]


# -- tools and the form of the answer ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ({"auto": {}}, "auto"),
        ({"any": {}}, "required"),
        ({"none": {}}, "none"),
        ({"tool": {"name": "sum"}}, {"type": "function", "name": "sum"}),
        (None, None),
    ],
)
def test_a_tool_choice_is_sent_in_the_form_of_responses(choice, sent):
    assert body_of([HI], tool_specs=[SPEC], tool_choice=choice).get("tool_choice") == sent


def test_a_tool_choice_of_an_unknown_form_raises():
    strange: Any = {"strange": {}}
    with pytest.raises(PortkeyConfigError, match="tool_choice must be"):
        body_of([HI], tool_specs=[SPEC], tool_choice=strange)


def test_a_tool_without_a_description_and_with_a_bare_schema_is_sent():
    spec: Any = {"name": "sum", "inputSchema": {"type": "object"}}

    assert body_of([HI], tool_specs=[spec])["tools"] == [
        {"type": "function", "name": "sum", "parameters": {"type": "object"}, "strict": False}
    ]


def test_tools_of_params_follow_those_of_the_agent():
    search = {"type": "web_search"}
    own = {"type": "function", "name": "o", "parameters": {}}

    assert body_of([HI], tool_specs=[SPEC], params={"tools": [search, own]})["tools"] == [TOOL, search, own]


@pytest.mark.parametrize(
    ("given", "strict"), [({}, False), ({"strict": False}, False), ({"strict": True}, True)], ids=str
)
def test_a_tool_of_params_in_the_form_of_chat_is_as_strict_as_there(given, strict):
    chat = {"type": "function", "function": {"name": "n", "parameters": {}, **given}}

    assert body_of([HI], params={"tools": [chat]})["tools"] == [
        {"type": "function", "name": "n", "parameters": {}, "strict": strict}
    ]


def test_without_tools_nothing_is_said_of_their_choice():
    body = body_of([HI], params={"tool_choice": "auto", "parallel_tool_calls": False}, tool_choice={"auto": {}})

    assert not body.keys() & {"tools", "tool_choice", "parallel_tool_calls"}


@pytest.mark.parametrize(
    ("params", "more"),
    [
        ({}, {}),
        ({"verbosity": "low"}, {"verbosity": "low"}),
        ({"response_format": {"type": "json_object"}}, {}),
    ],
)
def test_a_schema_is_the_format_of_the_text(params, more):
    assert body_of([HI], params=params, output_schema=SCHEMA)["text"] == {
        **more,
        "format": {"type": "json_schema", "name": "City", "schema": {"type": "object"}, "strict": True},
    }


def test_all_ways_to_hold_an_answer_to_a_schema_may_work():
    assert RESPONSES.mechanisms(Question([HI], "gpt-5.6")) == ["schema", "forced", "auto"]


# -- parameters --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "sent"),
    [
        ({"max_tokens": 5}, {"max_output_tokens": 5}),
        ({"max_completion_tokens": 5}, {"max_output_tokens": 5}),
        ({"max_tokens": 5, "max_output_tokens": 6}, {"max_output_tokens": 6}),
        ({"max_tokens": None}, {}),
        ({"reasoning_effort": "low"}, {"reasoning": {"effort": "low"}}),
        (
            {"reasoning_effort": "low", "reasoning": {"summary": "auto"}},
            {"reasoning": {"effort": "low", "summary": "auto"}},
        ),
        ({"reasoning": {"effort": "max"}, "reasoning_effort": "low"}, {"reasoning": {"effort": "max"}}),
        ({"verbosity": "low"}, {"text": {"verbosity": "low"}}),
        ({"verbosity": "low", "text": {"verbosity": "high"}}, {"text": {"verbosity": "high"}}),
        ({"response_format": {"type": "text"}}, {"text": {"format": {"type": "text"}}}),
        ({"response_format": {"type": "json_object"}}, {"text": {"format": {"type": "json_object"}}}),
        (
            {"response_format": {"type": "json_schema", "json_schema": SCHEMA}, "verbosity": "low"},
            {"text": {"format": {"type": "json_schema", **SCHEMA}, "verbosity": "low"}},
        ),
        ({"n": 1, "store": False, "logprobs": False}, {}),
        ({"stream_options": {"include_usage": True}}, {}),
        (
            {"stream_options": {"include_usage": True, "include_obfuscation": False}},
            {"stream_options": {"include_obfuscation": False}},
        ),
        ({"temperature": 0.1, "top_p": 0.2, "top_logprobs": 2}, {"temperature": 0.1, "top_p": 0.2, "top_logprobs": 2}),
        ({"metadata": {"a": "b"}, "user": "u"}, {"metadata": {"a": "b"}, "user": "u"}),
        ({"service_tier": "flex", "truncation": "auto"}, {"service_tier": "flex", "truncation": "auto"}),
        ({"prompt_cache_key": "k", "safety_identifier": "s"}, {"prompt_cache_key": "k", "safety_identifier": "s"}),
        ({"max_tool_calls": 3, "prompt": {"id": "p"}}, {"max_tool_calls": 3, "prompt": {"id": "p"}}),
        ({"stream": False}, {"stream": False}),
    ],
)
def test_words_of_chat_completions_are_translated_and_own_ones_pass(params, sent):
    bare = body_of([HI], "gpt-4o")

    assert body_of([HI], "gpt-4o", params=params) == bare | sent


@pytest.mark.parametrize(
    ("params", "sent"),
    [
        ({"tool_choice": "required"}, "required"),
        ({"tool_choice": {"type": "function", "function": {"name": "sum"}}}, {"type": "function", "name": "sum"}),
        ({"tool_choice": {"type": "function", "name": "sum"}}, {"type": "function", "name": "sum"}),
        ({"tool_choice": {"type": "web_search"}}, {"type": "web_search"}),
        ({"tool_choice": {"mode": "auto"}}, {"mode": "auto"}),
        (
            {
                "tool_choice": {
                    "type": "allowed_tools",
                    "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "sum"}}]},
                }
            },
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "sum"}]},
        ),
    ],
)
def test_a_tool_choice_of_params_is_taken_in_both_forms(params, sent):
    assert body_of([HI], tool_specs=[SPEC], params=params)["tool_choice"] == sent


@pytest.mark.parametrize(
    "word",
    [
        *("seed", "stop", "presence_penalty", "frequency_penalty", "logit_bias", "prediction", "audio", "functions"),
        *("function_call", "web_search_options", "thinking", "prompt_cache_retention", "top_k", "provider"),
        *("background", "conversation", "input", "instructions", "previous_response_id"),
    ],
)
def test_a_word_without_a_counterpart_raises_and_is_named_with_the_way_out(word):
    with pytest.raises(PortkeyConfigError) as caught:
        body_of([HI], params={word: "x"})

    assert "params for api='responses' must have a counterpart in that protocol" in str(caught.value)
    assert f"got '{word}'\nHint: leave it out" in str(caught.value)


@pytest.mark.parametrize("params", [{"store": True}, {"n": 2}, {"logprobs": "yes"}])
def test_a_value_that_cannot_be_honoured_raises(params):
    with pytest.raises(PortkeyConfigError):
        body_of([HI], params=params)


# -- caches ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "session_id", "key"),
    [
        (Settings(), "s1", "strands-s1"),
        (Settings(strategy="anthropic"), "s1", "strands-s1"),
        (Settings(cache_key="mine"), "s1", "mine"),
        (Settings(cache_key=False), "s1", None),
        (Settings(), None, None),
        (None, "s1", None),
    ],
)
def test_a_cache_key_is_the_users_or_that_of_the_session(config, session_id, key):
    assert body_of([HI], cache_config=config, session_id=session_id).get("prompt_cache_key") == key


def test_a_cache_point_marks_the_part_before_it():
    assert user({"text": "a"}, POINT, {"text": "b"}) == [user_item(text("a", **MARK), text("b"))]
    assert user(PNG, POINT) == [user_item({**IMAGE, **MARK})]
    assert user(PDF, POINT, POINT) == [user_item({**FILE, **MARK})]
    assert user(result({"text": "1"}), POINT) == [output([text("1", **MARK)])]
    assert user(result(PNG), POINT, {"text": "b"}) == [output([{**IMAGE, **MARK}]), user_item(text("b"))]


def test_a_system_prompt_with_a_cache_point_is_a_message_of_the_developer():
    body = body_of([HI], system=[{"text": "long"}, POINT, {"text": "short"}])

    assert body["input"] == [{"role": "developer", "content": [text("long", **MARK), text("short")]}, HI_ITEM]
    assert "instructions" not in body


@pytest.mark.parametrize(("model_id", "omitted"), [("gpt-5.5", ()), ("my-deployment", ()), ("gpt-5.6", (BREAKPOINTS,))])
def test_a_model_that_knows_no_cache_points_gets_none(model_id, omitted):
    body = body_of(
        [{"role": "user", "content": [result({"text": "1"}), POINT, {"text": "a"}, POINT]}],
        model_id,
        system=[{"text": "long"}, POINT],
        omitted=frozenset(omitted),
    )

    assert (body["instructions"], body["input"]) == ("long", [output("1"), user_item(text("a"))])


def test_the_latest_four_cache_points_are_kept():
    parts = user(*(block for number in range(6) for block in ({"text": str(number)}, POINT, POINT)))[0]["content"]

    assert ["prompt_cache_breakpoint" in part for part in parts] == [False, False, True, True, True, True]


def test_a_cache_point_with_nothing_before_it_warns():
    with pytest.warns(UserWarning, match="a cache point has no effect"):
        assert user(POINT, {"text": "a"}) == [user_item(text("a"))]
    with pytest.warns(UserWarning, match="a cache point has no effect"):
        assert body_of([HI], system=[POINT, {"text": "a"}])["instructions"] == "a"


@pytest.mark.parametrize(("ttl", "sent"), [("30m", {"ttl": "30m"}), ("12h", {"ttl": "12h"}), ("1h", {})])
def test_a_cache_point_keeps_a_time_to_live_that_is_known(ttl, sent):
    point = {"cachePoint": {"type": "default", "ttl": ttl}}

    assert user({"text": "a"}, point) == [user_item(text("a", prompt_cache_breakpoint={"mode": "explicit", **sent}))]


def test_the_time_to_live_of_the_settings_is_that_of_cache_points():
    (item,) = user({"text": "a"}, POINT, cache_config=Settings(ttl="30m"))

    assert item["content"][0]["prompt_cache_breakpoint"] == {"mode": "explicit", "ttl": "30m"}


@pytest.mark.parametrize(("model_id", "ttl"), [("gpt-5.6", "24h"), ("gpt-4o", "30m")])
def test_a_time_to_live_that_cannot_be_sent_warns(model_id, ttl):
    with pytest.warns(UserWarning, match="cache_config.ttl must be one of 30m, 12h"):
        body = body_of([HI], model_id, cache_config=Settings(ttl=ttl))

    assert body["input"] == [HI_ITEM]


def test_the_same_question_gives_the_same_bytes_and_is_not_changed():
    messages = [
        {"role": "user", "content": [{"text": "a"}, POINT]},
        {"role": "assistant", "content": [thought({**ENVELOPE, "parts": [1]}, "x"), {"text": "b"}, USE]},
        {"role": "user", "content": [result({"json": {"b": 1, "a": 2}}), POINT]},
    ]
    question = Question(
        copy.deepcopy(messages),  # type: ignore[arg-type]
        "gpt-5.6",
        params={"verbosity": "low", "reasoning_effort": "high", "tools": [{"type": "web_search"}]},
        tool_specs=[SPEC],
    )
    first, second = dump_body(to_body(question)), dump_body(to_body(question))

    assert first == second
    assert question.messages == messages


def test_earlier_turns_have_the_same_bytes_in_later_requests():
    turns: list[Any] = [
        HI,
        {"role": "assistant", "content": [thought(ENVELOPE), USE]},
        {"role": "user", "content": [result({"text": "1"})]},
        {"role": "assistant", "content": [{"text": "one"}]},
        HI,
    ]
    early, late = body_of(turns[:3])["input"], body_of(turns)["input"]

    assert late[: len(early)] == early
