"""A conversation becomes the body of Anthropic's Messages, with every block in its place."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import pytest
from strands.models.model import CacheConfig

from strands_portkey import PortkeyConfigError
from strands_portkey._json import dump_body
from strands_portkey._request.question import Question
from strands_portkey._wires.messages.body import to_body


@dataclass
class Settings(CacheConfig):
    """Today's `CacheConfig`; that of the lowest Strands has a strategy alone."""

    ttl: str | None = None
    tools_ttl: bool | str | None = None


MARK = {"type": "ephemeral"}
HOUR = {"type": "ephemeral", "ttl": "1h"}
POINT = {"cachePoint": {"type": "default"}}
LONG = {"cachePoint": {"type": "default", "ttl": "1h"}}
PNG = {"image": {"format": "png", "source": {"bytes": b"png"}}}
URL = {"image": {"format": "png", "source": {"location": {"type": "url", "url": "https://x/i.png"}}}}
PDF = {"document": {"format": "pdf", "name": "report", "source": {"bytes": b"pdf"}}}
CSV = {"document": {"format": "csv", "name": "numbers", "source": {"bytes": b"1,2"}, "context": "Of May."}}
NATIVE_PNG = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "cG5n"}}
NATIVE_PDF = {
    "type": "document",
    "source": {"type": "base64", "media_type": "application/pdf", "data": "cGRm"},
    "title": "report",
}
NATIVE_CSV = {
    "type": "document",
    "source": {"type": "text", "media_type": "text/plain", "data": "1,2"},
    "title": "numbers",
    "context": "Of May.",
}
SIGNED = {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "sig"}}}
UNSPOKEN = {"reasoningContent": {"reasoningText": {"text": "", "signature": "sig"}}}
UNSIGNED = {"reasoningContent": {"reasoningText": {"text": "hm"}}}
FOREIGN = {"reasoningContent": {"reasoningText": {"text": "o", "signature": 'openai-responses:1:{"id":"rs_1"}'}}}
REDACTED = {"reasoningContent": {"redactedContent": b"dark"}}
REDACTED_BYTES = {"reasoningContent": {"redactedContent": b"\xff\x00"}}
THINKING = {"type": "thinking", "thinking": "hm", "signature": "sig"}
BLANK = {"type": "text", "text": "[blank text]"}
SPEC: Any = {
    "name": "sum",
    "description": "Adds.",
    "inputSchema": {"json": {"type": "object", "properties": {"a": {"type": "number"}}}},
}
TOOL = {
    "name": "sum",
    "description": "Adds.",
    "input_schema": {"type": "object", "properties": {"a": {"type": "number"}}},
}
BEDROCK = frozenset({"bedrock"})


def text(value, **more):
    return {"type": "text", "text": value, **more}


def use(call_id="t1", name="sum", given: Any = None):
    return {"toolUse": {"toolUseId": call_id, "name": name, "input": {"a": "é"} if given is None else given}}


def call(call_id="t1", name="sum", given: Any = None, **more):
    return {"type": "tool_use", "id": call_id, "name": name, "input": {"a": "é"} if given is None else given, **more}


def result(*content, call_id="t1", status="success"):
    return {"toolResult": {"toolUseId": call_id, "status": status, "content": list(content)}}


def answer(content, call_id="t1", **more):
    return {"type": "tool_result", "tool_use_id": call_id, "content": content, **more}


def user(*blocks):
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks):
    return {"role": "assistant", "content": list(blocks)}


def body_of(*messages: Any, **more: Any) -> Any:
    return to_body(Question(messages, "claude", **more))


def said_by_user(*blocks: Any, **more: Any) -> Any:
    """Return how a user's message is sent."""
    (message,) = body_of(user(*blocks), **more)["messages"]
    return message["content"]


def said_by_model(*blocks: Any, **more: Any) -> Any:
    """Return how an assistant's message is replayed between two of the user; None where it is not."""
    messages = body_of(user({"text": "Hi"}), assistant(*blocks), user({"text": "go on"}), **more)["messages"]
    return messages[1]["content"] if len(messages) == 3 else None


def test_a_body_holds_the_model_the_messages_and_how_long_the_answer_may_be():
    assert body_of(user({"text": "Hi"})) == {
        "model": "claude",
        "messages": [{"role": "user", "content": [text("Hi")]}],
        "stream": True,
        "max_tokens": 4096,
    }


def test_an_answer_may_be_asked_for_as_one_json():
    assert body_of(user({"text": "Hi"}), stream=False)["stream"] is False


@pytest.mark.parametrize(
    ("block", "native"),
    [
        pytest.param({"text": "Hi"}, [text("Hi")], id="text"),
        pytest.param({"guardContent": {"text": {"text": "Hi"}}}, [text("Hi")], id="guarded text"),
        pytest.param(PNG, [NATIVE_PNG], id="image"),
        pytest.param(URL, [{"type": "image", "source": {"type": "url", "url": "https://x/i.png"}}], id="image by url"),
        pytest.param(PDF, [NATIVE_PDF], id="PDF with its title"),
        pytest.param(CSV, [NATIVE_CSV], id="document of text with title and context"),
        *(
            pytest.param(
                {"document": {**given["document"], "citations": {"enabled": True}}},
                [{**native, "citations": {"enabled": True}}],
                id=f"{given['document']['format']} to be cited",
            )
            for given, native in ((PDF, NATIVE_PDF), (CSV, NATIVE_CSV))
        ),
        pytest.param(
            {"document": {**PDF["document"], "citations": {"enabled": False}}}, [NATIVE_PDF], id="PDF not to be cited"
        ),
        pytest.param({"text": " \n"}, [BLANK], id="blank text alone"),
    ],
)
def test_what_a_user_says_becomes_blocks(block, native):
    assert said_by_user(block) == native


@pytest.mark.parametrize(
    ("blocks", "native"),
    [
        pytest.param([{"text": "a"}, {"text": " "}, {"text": "b"}], [text("a"), text("b")], id="blank text between"),
        pytest.param(
            [SIGNED, {"text": "a"}, use(), UNSPOKEN, use("t2")],
            [THINKING, text("a"), call(), {**THINKING, "thinking": ""}, call("t2")],
            id="thoughts between calls",
        ),
        pytest.param(
            [REDACTED, {"text": "a"}], [{"type": "redacted_thinking", "data": "dark"}, text("a")], id="redacted"
        ),
        pytest.param(
            [REDACTED_BYTES, {"text": "a"}],
            [{"type": "redacted_thinking", "data": "/wA="}, text("a")],
            id="redacted, as bytes of another provider",
        ),
        pytest.param(
            [{"reasoningContent": {"reasoningText": {"text": None, "signature": "sig"}}}, {"text": "a"}],
            [{"type": "thinking", "thinking": "", "signature": "sig"}, text("a")],
            id="a thought whose text is null",
        ),
        pytest.param([UNSIGNED, {"text": "a"}], [text("a")], id="a thought without signature"),
        pytest.param([FOREIGN, {"text": "a"}], [text("a")], id="a thought of another protocol"),
        pytest.param([SIGNED, {"text": " "}], [THINKING, BLANK], id="a thought before blank text"),
        pytest.param([{"text": "a"}, SIGNED], [text("a"), THINKING, BLANK], id="a thought at the end"),
        pytest.param([UNSIGNED], None, id="nothing that can be sent"),
        pytest.param(
            [{"citationsContent": {"content": [{"text": "a"}, {"text": "b"}], "citations": []}}],
            [text("ab")],
            id="cited text",
        ),
        pytest.param([use(given='{"a": 1}')], [call(given={"a": 1})], id="input that is text"),
        pytest.param([use(given=["x"])], [call(given={"input": ["x"]})], id="input that is no object"),
        pytest.param([use(given={"a": float("nan")})], [call(given={"a": "NaN"})], id="input that is no JSON"),
        pytest.param([use("a.b")], [call("2e7336dc8")], id="an id that Claude refuses"),
    ],
)
def test_what_the_model_said_goes_back_in_its_order(blocks, native):
    answers = [result({"text": "r"}, call_id=block["toolUse"]["toolUseId"]) for block in blocks if "toolUse" in block]
    if answers:
        messages = body_of(user({"text": "Hi"}), assistant(*blocks), user(*answers))["messages"]
        found = messages[1]["content"]
        assert [each["tool_use_id"] for each in messages[2]["content"]] == [
            each["id"] for each in found if each["type"] == "tool_use"
        ]
    else:
        found = said_by_model(*blocks)
    assert found == native


@pytest.mark.parametrize(
    ("given", "native"),
    [
        pytest.param(result({"text": "r"}), answer("r"), id="text"),
        pytest.param(result({"json": {"a": [1, "é"]}}), answer('{"a": [1, "é"]}'), id="JSON"),
        pytest.param(result({"text": "r"}, status="error"), answer("r", is_error=True), id="error"),
        pytest.param({"toolResult": {"toolUseId": "t1", "content": [{"text": "r"}]}}, answer("r"), id="no status"),
        pytest.param(result(), answer("(no output)"), id="nothing"),
        pytest.param(result({"text": "  "}), answer("(no output)"), id="blank text"),
        pytest.param(result({"text": "a"}, {"text": "b"}), answer([text("a"), text("b")]), id="texts"),
        pytest.param(result({"text": "a"}, PNG), answer([text("a"), NATIVE_PNG]), id="text and image"),
        pytest.param(result(PNG), answer([NATIVE_PNG]), id="image"),
        pytest.param(result(PDF), answer([NATIVE_PDF]), id="PDF"),
        pytest.param(result(CSV), answer([NATIVE_CSV]), id="document of text"),
    ],
)
def test_a_result_becomes_a_block(given, native):
    assert said_by_user(given) == [native]


@pytest.mark.parametrize(
    "block",
    [
        pytest.param({"video": {"format": "mp4", "source": {"bytes": b"v"}}}, id="video"),
        pytest.param({"document": {"format": "docx", "name": "d", "source": {"bytes": b"d"}}}, id="docx"),
        pytest.param({"image": {"format": "png", "source": {}}}, id="image of nothing"),
        pytest.param({"json": {(1,): "no key of JSON"}}, id="no JSON"),
    ],
)
def test_what_a_result_cannot_hold_becomes_a_text_that_says_so(block):
    with pytest.warns(UserWarning, match="left out of a tool's result"):
        (sent,) = said_by_user(result(block))

    assert sent["content"].startswith("[left out: ")


@pytest.mark.parametrize(
    ("block", "got"),
    [
        pytest.param({"audio": {"format": "mp3", "source": {"bytes": b"a"}}}, "audio", id="audio"),
        pytest.param({"document": {"format": "docx", "name": "d", "source": {"bytes": b"d"}}}, "document", id="docx"),
        pytest.param({}, "empty", id="nothing"),
    ],
)
def test_what_claude_does_not_take_raises(block, got):
    with pytest.raises(PortkeyConfigError) as caught:
        said_by_user(block)
    assert str(caught.value) == (
        "content with api='messages' must be text, images, PDFs, or documents of text (csv, html, md, txt);"
        f" got content block '{got}'"
    )


def test_all_results_stand_first_in_one_message():
    messages = body_of(
        user({"text": "Hi"}),
        assistant(use(), use("t2")),
        user({"text": "Look:"}, result({"text": "1"}), PNG),
        user(result({"text": "2"}, call_id="t2"), {"text": "Go on."}),
    )["messages"]

    assert messages[2:] == [
        {
            "role": "user",
            "content": [answer("1"), answer("2", "t2"), text("Look:"), NATIVE_PNG, text("Go on.")],
        }
    ]


def test_messages_of_one_role_in_a_row_become_one():
    messages = body_of(user({"text": "a"}), user({"text": "b"}), assistant({"text": "c"}), assistant({"text": "d"}))

    assert messages["messages"] == [
        {"role": "user", "content": [text("a"), text("b")]},
        {"role": "assistant", "content": [text("c"), text("d")]},
    ]


@pytest.mark.parametrize("messages", [[], [{"role": "assistant", "content": [{"text": " "}]}]])
def test_a_conversation_without_content_raises(messages):
    with pytest.raises(PortkeyConfigError, match="messages must hold content other than blank text"):
        body_of(*messages)


# -- cache points --


@pytest.mark.parametrize(
    ("blocks", "native"),
    [
        pytest.param([{"text": "a"}, POINT], [text("a", cache_control=MARK)], id="text"),
        pytest.param([{"text": "a"}, LONG], [text("a", cache_control=HOUR)], id="time to live"),
        pytest.param([PDF, LONG], [{**NATIVE_PDF, "cache_control": HOUR}], id="document"),
        pytest.param([PNG, POINT], [{**NATIVE_PNG, "cache_control": MARK}], id="image"),
        pytest.param([result({"text": "r"}), LONG], [answer("r", cache_control=HOUR)], id="result"),
    ],
)
def test_a_cache_point_marks_the_block_before_it(blocks, native):
    assert said_by_user(*blocks) == native


def test_a_cache_point_after_a_thought_marks_what_is_before_that():
    assert said_by_model({"text": "a"}, SIGNED, POINT, use("t1")) == [
        text("a", cache_control=MARK),
        THINKING,
        call("t1"),
    ]


def test_a_cache_point_after_a_call_marks_it():
    assert said_by_model(use(), LONG) == [call(cache_control=HOUR)]


@pytest.mark.parametrize("blocks", [[POINT, {"text": "a"}], [{"text": " "}, POINT, {"text": "a"}]])
def test_a_cache_point_with_nothing_to_mark_warns(blocks):
    with pytest.warns(UserWarning, match="a cache point has no effect"):
        assert said_by_user(*blocks) == [text("a")]


def test_the_system_prompt_keeps_its_blocks_and_marks():
    body = body_of(user({"text": "Hi"}), system=[{"text": "a"}, {"text": " "}, LONG, {"text": "b"}])

    assert body["system"] == [text("a", cache_control=HOUR), text("b")]


def test_another_block_in_the_system_prompt_raises():
    with pytest.raises(PortkeyConfigError, match="must be text; got content block 'image'"):
        body_of(user({"text": "Hi"}), system=[PNG])


def test_cache_config_marks_system_tools_and_the_last_message_of_the_user():
    config = Settings(strategy="auto", ttl="1h", tools_ttl=True)
    body = body_of(
        user({"text": "a"}, POINT),
        assistant({"text": "b"}),
        user({"text": "c"}, {"text": "now"}),
        cache_config=config,
        system=[{"text": "s"}],
        tool_specs=[SPEC],
        trailing_blocks=1,
    )

    assert body["system"] == [text("s", cache_control=HOUR)]
    assert body["tools"] == [{**TOOL, "cache_control": HOUR}]
    assert [message["content"] for message in body["messages"]] == [
        [text("a")],
        [text("b")],
        [text("c", cache_control=HOUR), text("now")],
    ]


# -- tools --


def test_tools_of_the_agent_stand_before_those_of_params():
    search = {"type": "web_search_20250305", "name": "web_search"}
    body = body_of(user({"text": "Hi"}), tool_specs=[SPEC], params={"tools": [search]})

    assert body["tools"] == [TOOL, search]
    assert "tool_choice" not in body


def test_a_tool_without_description_or_with_a_bare_schema_is_sent():
    spec: Any = {"name": "now", "inputSchema": {"type": "object"}}

    assert body_of(user({"text": "Hi"}), tool_specs=[spec])["tools"] == [
        {"name": "now", "input_schema": {"type": "object"}}
    ]


@pytest.mark.parametrize(
    ("choice", "params", "native"),
    [
        pytest.param({"auto": {}}, {}, {"type": "auto"}, id="auto"),
        pytest.param({"any": {}}, {}, {"type": "any"}, id="any"),
        pytest.param({"none": {}}, {}, {"type": "none"}, id="none"),
        pytest.param({"tool": {"name": "sum"}}, {}, {"type": "tool", "name": "sum"}, id="by name"),
        pytest.param(None, {"tool_choice": "required"}, {"type": "any"}, id="chat's word"),
        pytest.param({"auto": {}}, {"tool_choice": "none"}, {"type": "auto"}, id="the call's goes first"),
        pytest.param(
            None, {"parallel_tool_calls": False}, {"type": "auto", "disable_parallel_tool_use": True}, id="one by one"
        ),
        pytest.param(
            {"any": {}}, {"parallel_tool_calls": False}, {"type": "any", "disable_parallel_tool_use": True}, id="both"
        ),
        pytest.param({"none": {}}, {"parallel_tool_calls": False}, {"type": "none"}, id="none, one by one"),
        pytest.param(None, {"parallel_tool_calls": True}, None, id="at once"),
    ],
)
def test_a_choice_of_tools_is_sent(choice, params, native):
    body = body_of(user({"text": "Hi"}), tool_specs=[SPEC], tool_choice=choice, params=params)

    assert body.get("tool_choice") == native


def test_a_choice_without_tools_is_left_out():
    assert "tool_choice" not in body_of(user({"text": "Hi"}), params={"tool_choice": "auto"})


# -- bedrock --


@pytest.mark.parametrize(
    ("block", "native"),
    [
        pytest.param(PNG, NATIVE_PNG, id="image"),
        pytest.param(
            CSV, text('<document name="numbers" format="csv">\n1,2\n</document>'), id="document of text, as text"
        ),
    ],
)
def test_bedrock_gets_media_in_a_form_that_the_gateway_translates(block, native):
    assert said_by_user(block, upstreams=BEDROCK) == [native]


@pytest.mark.parametrize(("block", "got"), [(PDF, "a PDF"), (URL, "a location")])
def test_what_the_gateway_would_drop_for_bedrock_raises(block, got):
    with pytest.raises(PortkeyConfigError) as caught:
        said_by_user(block, upstreams=BEDROCK)
    assert str(caught.value) == (
        "content for Bedrock with api='messages' must be text, images by their bytes, or documents of text;"
        f" got {got}\nHint: set api='chat', where the gateway passes PDFs on to Bedrock"
    )


def test_bedrock_gets_a_pdf_of_a_result_as_a_text_that_says_so():
    with pytest.warns(UserWarning, match="left out of a tool's result"):
        (sent,) = said_by_user(result(PDF), upstreams=BEDROCK)

    assert sent["content"].startswith("[left out: content for Bedrock")


def test_bedrock_gets_a_conversation_that_begins_with_the_user():
    messages = [assistant({"text": "a"}), user({"text": "b"})]
    sent = [{"role": "assistant", "content": [text("a")]}, {"role": "user", "content": [text("b")]}]

    assert body_of(*messages)["messages"] == sent
    assert body_of(*messages, upstreams=BEDROCK)["messages"] == [
        {"role": "user", "content": [text("(Earlier messages are left out.)")]},
        *sent,
    ]


def test_bedrock_gets_placeholders_for_tools_that_are_gone():
    messages = [user({"text": "Hi"}), assistant(use(), use("t2")), user(result({"text": "r"}))]

    assert "tools" not in body_of(*messages)
    assert body_of(*messages, upstreams=BEDROCK)["tools"] == [
        {"name": "sum", "description": "No longer available.", "input_schema": {"type": "object", "properties": {}}}
    ]


# -- a turn that goes on --


def test_what_the_model_said_before_a_pause_is_the_last_message():
    said: Any = [text("a"), {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}]

    assert body_of(user({"text": "Hi"}), said=said)["messages"] == [
        {"role": "user", "content": [text("Hi")]},
        {"role": "assistant", "content": said},
    ]


def test_the_same_question_gives_the_same_bytes_and_is_left_as_it_was():
    messages = [user({"text": "Hi"}, POINT), assistant(SIGNED, use()), user(result({"json": {"b": 1, "a": 2}}), LONG)]
    before = copy.deepcopy(messages)

    assert dump_body(body_of(*messages, tool_specs=[SPEC])) == dump_body(body_of(*messages, tool_specs=[SPEC]))
    assert messages == before
