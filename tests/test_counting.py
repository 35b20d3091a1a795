"""The body of a token count is what the gateway makes of a chat completion for Anthropic."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from strands_portkey import PortkeyStreamError
from strands_portkey._answer.judgement import Judge
from strands_portkey._endpoints import read_count, to_count_body
from strands_portkey._request.question import Question
from strands_portkey._wires.chat.body import to_body
from strands_portkey._wires.chat.dialects import DIALECTS

MARK = {"type": "ephemeral"}
POINT = {"cachePoint": {"type": "default"}}
SPEC = {
    "name": "get_weather",
    "description": "The weather in a city.",
    "inputSchema": {"json": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}},
}
TOOL = {
    "name": "get_weather",
    "description": "The weather in a city.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def count_body(*messages, **more):
    return to_count_body(to_body(Question(messages, "claude-sonnet-4-5", **more), DIALECTS["anthropic"]))


def user(*blocks):
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks):
    return {"role": "assistant", "content": list(blocks)}


def test_a_question_gives_model_and_messages_alone():
    body = count_body(user({"text": "Hi"}), params={"temperature": 0.5, "max_tokens": 9})

    assert body == {
        "model": "claude-sonnet-4-5",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
    }


@pytest.mark.parametrize(
    ("block", "counted"),
    [
        pytest.param(
            {"image": {"format": "png", "source": {"bytes": b"png"}}},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "cG5n"}},
            id="image",
        ),
        pytest.param(
            {"image": {"format": "png", "source": {"location": {"type": "url", "url": "https://x/i.png"}}}},
            {"type": "image", "source": {"type": "url", "url": "https://x/i.png"}},
            id="image by url",
        ),
        pytest.param(
            {"document": {"format": "pdf", "name": "report", "source": {"bytes": b"pdf"}}},
            {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "cGRm"}},
            id="PDF",
        ),
    ],
)
def test_media_are_counted_in_anthropics_form_with_their_cache_mark(block, counted):
    body = count_body(user({"text": "Look:"}, block, POINT))

    assert body["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "Look:"}, {**counted, "cache_control": MARK}]}
    ]


def test_system_prompt_and_thinking_are_counted():
    thinking = {"type": "enabled", "budget_tokens": 1024}

    body = count_body(user({"text": "Hi"}), system=[{"text": "Be brief."}], params={"thinking": thinking})

    assert body["system"] == [{"type": "text", "text": "Be brief."}]
    assert body["thinking"] == thinking


def test_a_cache_mark_on_the_system_prompt_stays():
    body = count_body(user({"text": "Hi"}), system=[{"text": "Be brief."}, POINT])

    assert body["system"] == [{"type": "text", "text": "Be brief.", "cache_control": MARK}]


@pytest.mark.parametrize(
    ("choice", "counted"),
    [
        pytest.param({"auto": {}}, {"type": "auto"}, id="auto"),
        pytest.param({"any": {}}, {"type": "any"}, id="any"),
        pytest.param({"tool": {"name": "get_weather"}}, {"type": "tool", "name": "get_weather"}, id="by name"),
    ],
)
def test_tools_are_counted_with_their_choice(choice, counted):
    body = count_body(user({"text": "Hi"}), tool_specs=[SPEC], tool_choice=choice)

    assert body["tools"] == [TOOL]
    assert body["tool_choice"] == counted


@pytest.mark.parametrize("params", [{}, {"tool_choice": "any which the gateway drops"}])
def test_tools_without_a_choice_have_none(params):
    assert "tool_choice" not in count_body(user({"text": "Hi"}), tool_specs=[SPEC], params=params)


def test_tools_of_params_are_counted_as_the_gateway_sends_them():
    search = {"type": "web_search", "web_search": {"name": "web_search_20250305", "max_uses": 2}}
    bare = {"type": "function", "function": {"name": "now"}, "cache_control": MARK}

    body = count_body(user({"text": "Hi"}), params={"tools": [search, bare]})

    assert body["tools"] == [
        {"name": "web_search", "type": "web_search_20250305", "max_uses": 2},
        {
            "name": "now",
            "input_schema": {"type": "object", "properties": {}, "required": []},
            "cache_control": MARK,
        },
    ]


def test_a_schema_is_counted_without_what_the_gateway_drops():
    schema = {"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {}}, "$schema": "x"}

    body = count_body(user({"text": "Hi"}), tool_specs=[{**SPEC, "inputSchema": {"json": schema}}])

    (tool,) = body["tools"]
    assert tool["input_schema"] == {
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/A"}},
        "required": [],
        "$defs": {"A": {}},
    }


def test_a_turn_with_tools_is_counted_with_its_thoughts_and_all_results_in_one_message():
    body = count_body(
        user({"text": "Weather and time?"}),
        assistant(
            {"reasoningContent": {"reasoningText": {"text": "Two facts.", "signature": "SIG=="}}},
            {"reasoningContent": {"redactedContent": b"REDACTED=="}},
            {"text": "Let me look."},
            {"toolUse": {"toolUseId": "c1", "name": "get_weather", "input": {"city": "Zürich"}}},
            {"toolUse": {"toolUseId": "c2", "name": "get_time", "input": {}}},
            POINT,
        ),
        user(
            {"toolResult": {"toolUseId": "c1", "status": "success", "content": [{"text": "rain"}]}},
            {
                "toolResult": {
                    "toolUseId": "c2",
                    "status": "success",
                    "content": [{"image": {"format": "png", "source": {"bytes": b"png"}}}],
                }
            },
            POINT,
            {"text": "Go on."},
        ),
        tool_specs=[SPEC],
    )

    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "cG5n"}}
    assert body["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "Weather and time?"}]},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Two facts.", "signature": "SIG=="},
                {"type": "redacted_thinking", "data": "REDACTED=="},
                {"type": "text", "text": "Let me look."},
                {"type": "tool_use", "id": "c1", "name": "get_weather", "input": {"city": "Zürich"}},
                {"type": "tool_use", "id": "c2", "name": "get_time", "input": {}, "cache_control": MARK},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "c1", "content": "rain"},
                {"type": "tool_result", "tool_use_id": "c2", "content": [{**image, "cache_control": MARK}]},
                {"type": "text", "text": "Go on."},
            ],
        },
    ]


def test_a_turn_of_calls_alone_has_no_text():
    call = {"toolUse": {"toolUseId": "c1", "name": "get_time", "input": {}}}

    body = count_body(user({"text": "Hi"}), assistant(call), tool_specs=[SPEC])

    assert body["messages"][1] == {
        "role": "assistant",
        "content": [{"type": "tool_use", "id": "c1", "name": "get_time", "input": {}}],
    }


def test_the_body_given_is_left_as_it_was():
    messages = [user({"text": "Hi"}), user({"text": "there"})]
    body = to_body(Question(messages, "m"), DIALECTS["anthropic"])
    before = json.dumps(body)

    counted = to_count_body(body)

    assert counted["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "Hi"}, {"type": "text", "text": "there"}]}
    ]
    assert json.dumps(body) == before


def test_what_is_counted_is_what_the_real_gateway_sent():
    recorded = json.loads((Path(__file__).parent / "requests" / "anthropic.json").read_text())["body"]
    body = _as_chat_completion(recorded)

    counted = to_count_body(body)

    assert counted["messages"] == _merged(recorded["messages"])
    assert counted["system"] == recorded["system"]
    assert counted["thinking"] == recorded["thinking"]
    assert counted["tools"] == [
        {**tool, "input_schema": {k: v for k, v in tool["input_schema"].items() if k != "$defs"}}
        for tool in recorded["tools"]
    ]


def _as_chat_completion(recorded):
    """Return a chat completion that the gateway would turn into the recorded request."""
    messages = [{"role": "system", "content": recorded["system"]}]
    for message in recorded["messages"]:
        if message["content"][0]["type"] == "tool_result":
            (result,) = message["content"]
            messages.append({"role": "tool", "tool_call_id": result["tool_use_id"], "content": result["content"]})
        elif message["role"] == "assistant":
            calls = [block for block in message["content"] if block["type"] == "tool_use"]
            messages.append(
                {
                    "role": "assistant",
                    "content": None,
                    "content_blocks": [block for block in message["content"] if block not in calls],
                    "tool_calls": [
                        {
                            "id": call["id"],
                            "type": "function",
                            "function": {"name": call["name"], "arguments": json.dumps(call["input"])},
                        }
                        for call in calls
                    ],
                }
            )
        else:
            messages.append({"role": "user", "content": [_as_part(block) for block in message["content"]]})
    tools = [
        {
            "type": "function",
            "function": {key: tool[key] for key in ("name", "description")} | {"parameters": tool["input_schema"]},
            **{key: tool[key] for key in ("cache_control",) if key in tool},
        }
        for tool in recorded["tools"]
    ]
    return {"model": recorded["model"], "messages": messages, "tools": tools, "thinking": recorded["thinking"]}


def _as_part(block):
    if "source" not in block:
        return block
    source = block["source"]
    return {"type": "image_url", "image_url": {"url": f"data:{source['media_type']};base64,{source['data']}"}}


def _merged(messages):
    merged: list[dict[str, Any]] = []
    for message in messages:
        if merged and merged[-1]["role"] == message["role"]:
            merged[-1]["content"] += message["content"]
        else:
            merged.append(message)
    return merged


def test_a_count_is_read():
    assert read_count({"input_tokens": 2095, "context_management": None}, Judge()) == 2095


@pytest.mark.parametrize(
    "answer",
    [{}, [], None, "2095", {"input_tokens": None}, {"input_tokens": "5"}, {"input_tokens": True}, {"choices": []}],
)
def test_an_answer_without_a_count_raises(answer):
    with pytest.raises(PortkeyStreamError) as caught:
        read_count(answer, Judge())

    shown = json.dumps(answer, separators=(",", ":"))
    assert str(caught.value) == f"the gateway's answer must be a count of input_tokens; got {shown}"
    assert caught.value.origin == "gateway"
