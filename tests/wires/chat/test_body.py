"""A conversation becomes the body of a chat completion, in the form that its upstream takes."""

from __future__ import annotations

import copy
import json
import math
import warnings
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strands.models.model import CacheConfig

from strands_portkey import PortkeyConfigError
from strands_portkey._json import dump_body
from strands_portkey._request.question import Question
from strands_portkey._wires.chat import CHAT
from strands_portkey._wires.chat.body import to_body
from strands_portkey._wires.chat.dialects import DIALECTS, OPENAI, find_dialect

MARK = {"type": "ephemeral"}
POINT = {"cachePoint": {"type": "default"}}
LONG = {"cachePoint": {"type": "default", "ttl": "1h"}}
PNG = {"image": {"format": "png", "source": {"bytes": b"png"}}}
PDF = {"document": {"format": "pdf", "name": "d", "source": {"bytes": b"pdf"}}}
DATA_PNG = {"type": "image_url", "image_url": {"url": "data:image/png;base64,cG5n"}}
SIGNED = {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "sig"}}}
UNSIGNED = {"reasoningContent": {"reasoningText": {"text": "hm"}}}
RESPONSES_ITEM = {
    "reasoningContent": {
        "reasoningText": {"text": "o", "signature": 'openai-responses:1:{"id":"rs_1","encrypted_content":"gAAA"}'}
    }
}
REDACTED = {"reasoningContent": {"redactedContent": b"dark"}}
USE: dict[str, Any] = {"toolUse": {"toolUseId": "t1", "name": "sum", "input": {"a": "é"}}}
CALL: dict[str, Any] = {"id": "t1", "type": "function", "function": {"name": "sum", "arguments": '{"a": "é"}'}}
MOVED = "(the tool's images and documents follow in the next user message)"
NO_INPUT: list[Any] = ["", None, {}]
THINKING = {"type": "thinking", "thinking": "hm", "signature": "sig"}


def text(value, **more):
    return {"type": "text", "text": value, **more}


def result(*content, tool_use_id="t1"):
    return {"toolResult": {"toolUseId": tool_use_id, "status": "success", "content": list(content)}}


def body_of(messages, dialect="openai", *, config=None, **more):
    settings: Any = {"model_id": "m", **(config or {})}
    return to_body(Question(messages, **settings, **more), DIALECTS[dialect])


def user(*blocks, dialect="openai", **more):
    return body_of([{"role": "user", "content": list(blocks)}], dialect, **more)["messages"]


ASKED = {"role": "user", "content": [{"text": "go on"}]}
EXTRA = "extra_content.google.thought_signature"
DETAILS = [{"type": "reasoning.text", "text": "hm", "signature": "S==", "index": 0}]
DETAILED = {"reasoningContent": {"reasoningText": {"text": "", "signature": f"openrouter:1:{json.dumps(DETAILS)}"}}}


def assistant(*blocks, dialect="openai"):
    """Return how an assistant's message is replayed, between two of a user's."""
    return body_of([ASKED, {"role": "assistant", "content": list(blocks)}, ASKED], dialect)["messages"][1:-1]


def test_a_body_holds_the_model_the_messages_and_how_to_answer():
    messages = [{"role": "user", "content": [{"text": "Hi"}]}]

    assert body_of(messages) == {
        "model": "m",
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


@pytest.mark.parametrize(
    ("dialect", "config", "body"),
    [
        pytest.param("openai", {"stream": False}, {"stream": False}, id="no stream"),
        pytest.param("openai", {"params": {"stream": False}}, {"stream": False}, id="no stream, by the parameters"),
        pytest.param(
            "openai",
            {"params": {"stream_options": {"include_obfuscation": False}, "temperature": 0}},
            {
                "stream": True,
                "stream_options": {"include_usage": True, "include_obfuscation": False},
                "temperature": 0,
            },
            id="usage comes in spite of other options",
        ),
        pytest.param(
            "openai",
            {"stream": False, "params": {"stream_options": {"include_usage": True}}},
            {"stream": False},
            id="openai refuses the options of a stream without one",
        ),
        pytest.param(
            "openai",
            {"params": {"tool_choice": "auto", "parallel_tool_calls": False}, "stream": False},
            {"stream": False},
            id="openai refuses parameters of tools without tools",
        ),
        pytest.param(
            "openrouter",
            {"stream": False},
            {"stream": False, "usage": {"include": True}},
            id="openrouter: asks for usage",
        ),
        pytest.param(
            "anthropic", {"stream": False}, {"stream": False, "max_completion_tokens": 4096}, id="anthropic: max_tokens"
        ),
        pytest.param(
            "anthropic",
            {"stream": False, "params": {"max_tokens": 9}},
            {"stream": False, "max_tokens": 9},
            id="anthropic: one's own max_tokens",
        ),
        *(
            pytest.param(
                "anthropic",
                {"stream": False, "params": {"max_completion_tokens": own}},
                {"stream": False, "max_completion_tokens": sent},
                id=f"anthropic: max_completion_tokens of {own}",
            )
            for own, sent in [(9, 9), (None, 4096)]
        ),
        pytest.param(
            "anthropic",
            {"stream": False, "params": {"thinking": {"type": "enabled", "budget_tokens": 8000}}},
            {
                "stream": False,
                "max_completion_tokens": 12096,
                "thinking": {"type": "enabled", "budget_tokens": 8000},
            },
            id="anthropic: max_tokens is above what it thinks with",
        ),
        pytest.param(
            "anthropic",
            {"stream": False, "params": {"thinking": {"type": "adaptive"}}},
            {"stream": False, "max_completion_tokens": 4096, "thinking": {"type": "adaptive"}},
            id="anthropic: no budget",
        ),
        pytest.param(
            "openai",
            {"stream": False, "cache_config": CacheConfig()},
            {"stream": False, "prompt_cache_key": "strands-s1"},
            id="openai: the session's cache key",
        ),
        pytest.param(
            "openai",
            {"stream": False, "cache_config": CacheConfig(), "params": {"prompt_cache_key": "mine"}},
            {"stream": False, "prompt_cache_key": "mine"},
            id="openai: one's own cache key",
        ),
    ],
)
def test_settings_go_beside_the_messages(dialect, config, body):
    given = body_of([{"role": "user", "content": [{"text": "Hi"}]}], dialect, config=config, session_id="s1")

    assert {key: value for key, value in given.items() if key not in ("model", "messages")} == body


SPEC = {"name": "sum", "description": "Adds.", "inputSchema": {"json": {"type": "object"}}}
TOOL = {"type": "function", "function": {"name": "sum", "description": "Adds.", "parameters": {"type": "object"}}}


def test_deepseek_gets_the_schema_in_the_system_prompt():
    schema = {"name": "Cité", "schema": {"type": "object"}}

    body = body_of(
        [{"role": "user", "content": [{"text": "Hi"}]}],
        "deepseek",
        config={"stream": False},
        system=[{"text": "Be brief."}],
        output_schema=schema,
    )

    assert body == {
        "model": "m",
        "messages": [
            {
                "role": "system",
                "content": (
                    'Be brief.\nAnswer with JSON that fits this schema: {"name": "Cité", "schema": {"type": "object"}}'
                ),
            },
            {"role": "user", "content": "Hi"},
        ],
        "stream": False,
        "response_format": {"type": "json_object"},
    }


@pytest.mark.parametrize(
    ("dialect", "more", "tools"),
    [
        pytest.param("openai", {}, {}, id="openai: none"),
        pytest.param(
            "bedrock",
            {"tool_choice": {"any": {}}},
            {
                "tools": [
                    {
                        "type": "function",
                        "function": {
                            "name": "sum",
                            "description": "No longer available.",
                            "parameters": {"type": "object", "properties": {}},
                        },
                    }
                ]
            },
            id="bedrock: stubs, which no one is forced to call",
        ),
        pytest.param("bedrock", {"tool_specs": [SPEC]}, {"tools": [TOOL]}, id="bedrock: those that there are"),
    ],
)
def test_a_conversation_with_calls_has_tools_where_the_upstream_wants_them(dialect, more, tools):
    messages = [
        {"role": "assistant", "content": [USE]},
        {"role": "user", "content": [result({"text": "1"})]},
    ] * 2

    body = body_of(messages, dialect, **more)

    assert {key: body[key] for key in ("tools", "tool_choice") if key in body} == tools


def test_gemini_gets_a_tools_schema_in_its_own_words():
    spec: Any = {
        **SPEC,
        "inputSchema": {"json": {"type": "object", "properties": {"a": {"type": ["integer", "null"]}}}},
    }

    body = body_of([{"role": "user", "content": [{"text": "Hi"}]}], "gemini", tool_specs=[spec])

    function: Any = TOOL["function"]
    schema = {"type": "object", "properties": {"a": {"type": "integer", "nullable": True}}}
    assert body["tools"] == [{**TOOL, "function": {**function, "parameters": schema}}]


def test_results_go_back_in_the_order_of_the_calls():
    uses: list[Any] = [{"toolUse": {"toolUseId": name, "name": name, "input": {}}} for name in ("a", "b")]
    answers = [result({"text": name}, tool_use_id=name) for name in ("unasked", "b", "a")]
    messages = [
        {"role": "assistant", "content": list(reversed(uses))},
        {"role": "user", "content": [answers[1], answers[2]]},
        {"role": "assistant", "content": uses},
        {"role": "user", "content": [*answers, {"text": "c"}]},
    ]

    given = body_of([ASKED, *messages], "gemini")["messages"][1:]

    assert [message["content"] for message in given if message["role"] != "assistant"] == [
        *("b", "a"),
        *("a", "b", "unasked"),
        "c",
    ]


def test_the_user_does_not_follow_results_in_a_message_of_its_own_for_mistral():
    messages = [
        {"role": "user", "content": [{"text": "q"}]},
        {"role": "user", "content": [result({"text": "1"}, tool_use_id="callone11")]},
        {"role": "user", "content": [{"text": "a"}]},
    ]

    assert body_of(messages, "mistral")["messages"] == [
        {"role": "user", "content": "q"},
        {"role": "tool", "tool_call_id": "callone11", "content": "1"},
        {"role": "assistant", "content": "I have the results."},
        {"role": "user", "content": "a"},
    ]


def test_a_cache_point_after_results_that_upstreams_accept_in_different_places_warns():
    dialect = find_dialect({"anthropic", "bedrock"})
    messages: Any = [{"role": "user", "content": [result({"text": "1"}), POINT]}]

    with pytest.warns(UserWarning, match="after a tool's result has no effect with the upstream 'anthropic . bedrock'"):
        body = to_body(Question(messages, "m"), dialect)

    assert body["messages"] == [{"role": "tool", "tool_call_id": "t1", "content": "1"}]


@pytest.mark.parametrize(
    ("more", "body"),
    [
        pytest.param({"tool_specs": []}, {}, id="blank tools are left out"),
        pytest.param({"tool_specs": [SPEC]}, {"tools": [TOOL]}, id="tools"),
        pytest.param(
            {"tool_specs": [{**SPEC, "inputSchema": {"type": "object"}}]}, {"tools": [TOOL]}, id="a bare schema"
        ),
        pytest.param(
            {"tool_specs": [SPEC], "config": {"params": {"tools": [{"type": "web_search"}]}}},
            {"tools": [TOOL, {"type": "web_search"}]},
            id="tools of the parameters are added",
        ),
        pytest.param(
            {"config": {"params": {"tools": [{"type": "web_search"}], "tool_choice": "auto"}}},
            {"tools": [{"type": "web_search"}], "tool_choice": "auto"},
            id="tools of the parameters alone",
        ),
        pytest.param(
            {"tool_specs": [{"name": "now", "inputSchema": {"json": {"type": "object"}}}]},
            {"tools": [{"type": "function", "function": {"name": "now", "parameters": {"type": "object"}}}]},
            id="no description",
        ),
        pytest.param({"tool_choice": {"any": {}}}, {}, id="nothing to choose from"),
        pytest.param({"tool_specs": [SPEC], "tool_choice": {}}, {"tools": [TOOL]}, id="no choice"),
        pytest.param(
            {"tool_specs": [SPEC], "tool_choice": {"any": {}}}, {"tools": [TOOL], "tool_choice": "required"}, id="any"
        ),
        pytest.param(
            {"tool_specs": [SPEC], "tool_choice": {"auto": {}}}, {"tools": [TOOL], "tool_choice": "auto"}, id="auto"
        ),
        pytest.param(
            {"tool_specs": [SPEC], "tool_choice": {"none": {}}}, {"tools": [TOOL], "tool_choice": "none"}, id="none"
        ),
        pytest.param(
            {
                "tool_specs": [SPEC],
                "tool_choice": {"tool": {"name": "sum"}},
                "config": {"params": {"tool_choice": "auto"}},
            },
            {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "sum"}}},
            id="a tool, before the parameters' choice",
        ),
        pytest.param(
            {"output_schema": {"name": "City"}, "config": {"params": {"response_format": {"type": "text"}}}},
            {"response_format": {"type": "json_schema", "json_schema": {"name": "City"}}},
            id="a schema, before the parameters' format",
        ),
    ],
)
def test_tools_and_the_choice_among_them_are_converted(more, body):
    given = body_of([{"role": "user", "content": [{"text": "Hi"}]}], **more)

    assert {key: given[key] for key in ("tools", "tool_choice", "response_format") if key in given} == body


@pytest.mark.parametrize(
    ("tool_choice", "got"),
    [({"tool": {}}, "a mapping with ['tool']"), ({"must": {}}, "a mapping with ['must']"), ("any", "str")],
    ids=repr,
)
def test_an_unknown_tool_choice_raises(tool_choice, got):
    with pytest.raises(PortkeyConfigError) as caught:
        user({"text": "Hi"}, tool_specs=[SPEC], tool_choice=tool_choice)

    assert str(caught.value) == (f"tool_choice must be 'auto', 'any', 'none' or 'tool' with a name; got {got}")


def test_tools_that_the_gateway_drops_warn():
    with pytest.warns(UserWarning, match="the gateway may drop the tools for the upstream 'perplexity'"):
        user({"text": "Hi"}, dialect="perplexity", tool_specs=[SPEC])


@pytest.mark.parametrize(
    ("system", "dialect", "messages"),
    [
        pytest.param([], "openai", [], id="none"),
        pytest.param([{"text": " "}, POINT], "openai", [], id="blank"),
        pytest.param(
            [{"text": "a"}, POINT, {"text": "b"}], "openai", [{"role": "system", "content": "a\nb"}], id="text"
        ),
        pytest.param(
            [{"text": "a"}, LONG, {"text": "b"}],
            "anthropic",
            [{"role": "system", "content": [text("a", cache_control={**MARK, "ttl": "1h"}), text("b")]}],
            id="anthropic: a part with a mark",
        ),
        pytest.param([{"text": "a"}], "anthropic", [{"role": "system", "content": "a"}], id="anthropic: no mark"),
    ],
)
def test_the_system_prompt_is_one_message(system, dialect, messages):
    assert user({"text": "Hi"}, dialect=dialect, system=system) == [*messages, {"role": "user", "content": "Hi"}]


def test_a_cache_config_marks_system_prompt_tools_and_the_users_last_message():
    config: dict[str, Any] = {"cache_config": CacheConfig(), "stream": False, "params": {"max_tokens": 9}}
    messages = [
        {"role": "user", "content": [{"text": "Hi"}]},
        {"role": "assistant", "content": [{"text": "Yes?"}]},
        {"role": "user", "content": [{"text": "Sum."}, {"text": "It is 9 o'clock."}]},
    ]
    if hasattr(CacheConfig, "tools_ttl"):
        config["cache_config"] = replace(config["cache_config"], tools_ttl=True)

    body = body_of(
        messages, "anthropic", config=config, tool_specs=[SPEC, SPEC], system=[{"text": "Be brief."}], trailing_blocks=1
    )

    assert body == {
        "model": "m",
        "messages": [
            {"role": "system", "content": [text("Be brief.", cache_control=MARK)]},
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Yes?"},
            {"role": "user", "content": [text("Sum.", cache_control=MARK), text("It is 9 o'clock.")]},
        ],
        "tools": [TOOL, {**TOOL, "cache_control": MARK} if hasattr(CacheConfig, "tools_ttl") else TOOL],
        "stream": False,
        "max_tokens": 9,
    }


@pytest.mark.parametrize(
    ("blocks", "dialect", "messages"),
    [
        pytest.param([{"text": "a"}], "openai", [{"role": "user", "content": "a"}], id="one text is plain"),
        pytest.param(
            [{"text": "a"}, {"text": " "}, {"text": "b"}],
            "openai",
            [{"role": "user", "content": [text("a"), text("b")]}],
            id="several are parts, a blank one none",
        ),
        pytest.param([], "openai", [{"role": "user", "content": "[blank text]"}], id="nothing at all"),
        pytest.param(
            [{"text": "\n"}], "cohere", [{"role": "user", "content": "[blank text]"}], id="nothing but blanks"
        ),
        pytest.param(
            [result({"text": "1"}), {"text": " "}],
            "openai",
            [{"role": "tool", "tool_call_id": "t1", "content": "1"}],
            id="a blank beside a result",
        ),
        pytest.param(
            [{"guardContent": {"text": {"text": "a"}}}], "openai", [{"role": "user", "content": "a"}], id="guarded text"
        ),
        pytest.param(
            [PNG, {"text": "a"}], "openai", [{"role": "user", "content": [DATA_PNG, text("a")]}], id="image and text"
        ),
        pytest.param(
            [{"text": "a"}, POINT], "openai", [{"role": "user", "content": "a"}], id="openai: a point leaves no trace"
        ),
        pytest.param(
            [{"text": "a"}, POINT],
            "anthropic",
            [{"role": "user", "content": [text("a", cache_control=MARK)]}],
            id="anthropic: a mark on text",
        ),
        pytest.param(
            [PDF, POINT, {"text": "a"}],
            "anthropic",
            [
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "image_url",
                            "image_url": {"url": "data:application/pdf;base64,cGRm"},
                            "cache_control": MARK,
                        },
                        text("a"),
                    ],
                }
            ],
            id="anthropic: a mark on a PDF",
        ),
        pytest.param(
            [{"text": "a"}, PDF, POINT],
            "bedrock",
            [
                {
                    "role": "user",
                    "content": [
                        text("a", cache_control=MARK),
                        {
                            "type": "file",
                            "file": {"file_name": "d", "file_data": "cGRm", "mime_type": "application/pdf"},
                        },
                    ],
                }
            ],
            id="bedrock: a mark goes to the text ahead of a file",
        ),
        pytest.param(
            [result({"text": "1"}), result({"json": {"é": 2}}, tool_use_id="t2"), {"text": "a"}],
            "openai",
            [
                {"role": "tool", "tool_call_id": "t1", "content": "1"},
                {"role": "tool", "tool_call_id": "t2", "content": '{"é": 2}'},
                {"role": "user", "content": "a"},
            ],
            id="results first, in their order",
        ),
        pytest.param(
            [{"text": "a"}, result({"text": "1"}, {"text": "2"})],
            "openai",
            [{"role": "tool", "tool_call_id": "t1", "content": "1\n2"}, {"role": "user", "content": "a"}],
            id="results go ahead of text",
        ),
        pytest.param(
            [result()], "openai", [{"role": "tool", "tool_call_id": "t1", "content": "(no output)"}], id="empty result"
        ),
        pytest.param(
            [result({"text": " "})],
            "openai",
            [{"role": "tool", "tool_call_id": "t1", "content": "(no output)"}],
            id="blank result",
        ),
        pytest.param(
            [result({"document": {"format": "txt", "name": "n", "source": {"bytes": b"x"}}})],
            "openai",
            [
                {
                    "role": "tool",
                    "tool_call_id": "t1",
                    "content": '<document name="n" format="txt">\nx\n</document>',
                }
            ],
            id="a text document stays in the result",
        ),
        pytest.param(
            [result({"text": "see"}, PNG), result({"text": "2"}, tool_use_id="t2"), {"text": "a"}],
            "openai",
            [
                {
                    "role": "tool",
                    "tool_call_id": "t1",
                    "content": "see\n(the tool's images and documents follow in the next user message)",
                },
                {"role": "tool", "tool_call_id": "t2", "content": "2"},
                {"role": "user", "content": [DATA_PNG, text("a")]},
            ],
            id="openai: images of results move behind all results",
        ),
        pytest.param(
            [result({"text": "see"}, PNG)],
            "anthropic",
            [
                {
                    "role": "tool",
                    "tool_call_id": "t1",
                    "content": [
                        text("see"),
                        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "cG5n"}},
                    ],
                }
            ],
            id="anthropic: images stay in the result",
        ),
        pytest.param(
            [result(PNG), POINT],
            "anthropic",
            [
                {
                    "role": "tool",
                    "tool_call_id": "t1",
                    "content": [
                        {
                            "type": "image",
                            "source": {"type": "base64", "media_type": "image/png", "data": "cG5n"},
                            "cache_control": MARK,
                        },
                    ],
                }
            ],
            id="anthropic: a mark on a result's image",
        ),
        pytest.param(
            [result({"text": "1"}), POINT],
            "anthropic",
            [{"role": "tool", "tool_call_id": "t1", "content": [text("1", cache_control=MARK)]}],
            id="anthropic: a mark on a result's text",
        ),
        pytest.param(
            [result({"text": "1"}), LONG, {"text": "a"}, LONG],
            "anthropic",
            [
                {"role": "tool", "tool_call_id": "t1", "content": [text("1", cache_control=MARK)]},
                {"role": "user", "content": [text("a", cache_control={**MARK, "ttl": "1h"})]},
            ],
            id="anthropic: the gateway shortens all marks but those on results",
        ),
        pytest.param(
            [result({"text": "1"}), LONG],
            "openrouter",
            [{"role": "tool", "tool_call_id": "t1", "content": [text("1", cache_control={**MARK, "ttl": "1h"})]}],
            id="openrouter: a mark on a result keeps its time to live",
        ),
        pytest.param(
            [result({"text": "1"}), POINT, POINT, {"text": "a"}, POINT],
            "bedrock",
            [
                {"role": "tool", "tool_call_id": "t1", "content": "1"},
                {
                    "role": "user",
                    "content": [{"type": "cache_point", "cache_control": MARK}, text("a", cache_control=MARK)],
                },
            ],
            id="bedrock: one cache point behind the results",
        ),
        pytest.param(
            [result({"text": "1"}), POINT, PDF, POINT],
            "bedrock",
            [
                {"role": "tool", "tool_call_id": "t1", "content": "1"},
                {
                    "role": "user",
                    "content": [
                        text("(documents)"),
                        {"type": "cache_point", "cache_control": MARK},
                        {
                            "type": "file",
                            "file": {"file_name": "d", "file_data": "cGRm", "mime_type": "application/pdf"},
                        },
                        {"type": "cache_point", "cache_control": MARK},
                    ],
                },
            ],
            id="bedrock: a cache point behind the results, and one behind a file",
        ),
        pytest.param(
            [result({"text": "1"}), POINT],
            "openai",
            [{"role": "tool", "tool_call_id": "t1", "content": "1"}],
            id="openai: a point behind a result leaves no trace",
        ),
        pytest.param(
            [result(PDF), result(PDF, tool_use_id="t2")],
            "bedrock",
            [{"role": "tool", "tool_call_id": call_id, "content": MOVED} for call_id in ("t1", "t2")]
            + [
                {
                    "role": "user",
                    "content": [
                        text("(documents)"),
                        *(
                            {
                                "type": "file",
                                "file": {"file_name": name, "file_data": "cGRm", "mime_type": "application/pdf"},
                            }
                            for name in ("d", "d 2")
                        ),
                    ],
                }
            ],
            id="bedrock: documents have names of their own and a text beside them",
        ),
        pytest.param(
            [result({"text": "1"}), {"text": "a"}],
            "mistral",
            [
                {"role": "tool", "tool_call_id": "628b49d96", "content": "1"},
                {"role": "assistant", "content": "I have the results."},
                {"role": "user", "content": "a"},
            ],
            id="mistral: the user does not speak right behind results, and ids have nine letters",
        ),
        pytest.param(
            [{"text": "a"}, PNG], "cohere", [{"role": "user", "content": [text("a"), DATA_PNG]}], id="cohere: an image"
        ),
        pytest.param(
            [result({"text": "1"}, PNG), result({"text": "2"}, tool_use_id="t2")],
            "cohere",
            [
                {
                    "role": "user",
                    "content": [
                        text("tool t1 answered: 1\n(the tool's images and documents follow)"),
                        DATA_PNG,
                        text("tool t2 answered: 2"),
                    ],
                }
            ],
            id="cohere: results as text, since the gateway drops their ids",
        ),
    ],
)
def test_a_users_message_is_converted(blocks, dialect, messages):
    assert user(*blocks, dialect=dialect) == messages


@pytest.mark.parametrize(
    ("blocks", "dialect", "messages"),
    [
        pytest.param([{"text": "a"}], "openai", [{"role": "assistant", "content": "a"}], id="text"),
        pytest.param(
            [{"citationsContent": {"content": [{"text": "a"}, {}, {"text": "b"}], "citations": []}}],
            "openai",
            [{"role": "assistant", "content": "ab"}],
            id="cited text",
        ),
        pytest.param([{"text": " "}], "openai", [], id="blank"),
        pytest.param([], "openai", [], id="nothing"),
        pytest.param([USE], "openai", [{"role": "assistant", "content": None, "tool_calls": [CALL]}], id="a call"),
        pytest.param(
            [{"toolUse": {"toolUseId": "t1", "name": "sum", "input": empty}} for empty in NO_INPUT],
            "openai",
            [
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [{**CALL, "function": {"name": "sum", "arguments": "{}"}}] * 3,
                }
            ],
            id="arguments are never empty",
        ),
        pytest.param(
            [{"text": "a"}, USE],
            "openai",
            [{"role": "assistant", "content": "a", "tool_calls": [CALL]}],
            id="text and a call",
        ),
        pytest.param(
            [{"text": "a"}, USE],
            "gemini",
            [{"role": "assistant", "content": "a"}, {"role": "assistant", "content": None, "tool_calls": [CALL]}],
            id="gemini: text goes ahead of a call, else it is dropped",
        ),
        pytest.param(
            [{"toolUse": {**USE["toolUse"], "reasoningSignature": "s"}}],
            "gemini",
            [
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [{**CALL, "function": {**CALL["function"], "thought_signature": "s"}}],
                }
            ],
            id="gemini: the call's signature goes back",
        ),
        *(
            pytest.param(
                [{"toolUse": {**USE["toolUse"], "reasoningSignature": f"{place}:s"}}],
                dialect,
                [{"role": "assistant", "content": None, "tool_calls": [call]}],
                id=f"{dialect}: a signature that stood in {place}",
            )
            for place, dialect, call in [
                (EXTRA, "openai", {**CALL, "extra_content": {"google": {"thought_signature": "s"}}}),
                (EXTRA, "gemini", {**CALL, "function": {**CALL["function"], "thought_signature": "s"}}),
                (EXTRA, "anthropic", CALL),
                (EXTRA, "groq", CALL),
                ("thoughtSignature", "openai", {**CALL, "thoughtSignature": "s"}),
                (
                    "function.thoughtSignature",
                    "openai",
                    {**CALL, "function": {**CALL["function"], "thoughtSignature": "s"}},
                ),
            ]
        ),
        pytest.param(
            [{"toolUse": {**USE["toolUse"], "reasoningSignature": "thoughtSignature:s:t"}}],
            "openai",
            [{"role": "assistant", "content": None, "tool_calls": [{**CALL, "thoughtSignature": "s:t"}]}],
            id="openai: a signature with a colon",
        ),
        pytest.param(
            [{"toolUse": {**USE["toolUse"], "reasoningSignature": "s"}}],
            "openai",
            [{"role": "assistant", "content": None, "tool_calls": [CALL]}],
            id="openai: a signature of the gateway's form is Gemini's",
        ),
        pytest.param(
            [UNSIGNED, USE, DETAILED],
            "openrouter",
            [{"role": "assistant", "content": None, "reasoning_details": DETAILS, "tool_calls": [CALL]}],
            id="openrouter: its details hold the words too",
        ),
        pytest.param(
            [UNSIGNED, {"text": "a"}, DETAILED],
            "openrouter",
            [{"role": "assistant", "content": "a", "reasoning_details": DETAILS}],
            id="openrouter: its details behind the text",
        ),
        pytest.param(
            [DETAILED, {"text": "a"}, DETAILED],
            "openrouter",
            [{"role": "assistant", "content": "a", "reasoning_details": [*DETAILS, *DETAILS]}],
            id="openrouter: details of several messages that were joined",
        ),
        pytest.param(
            [{"reasoningContent": {"reasoningText": {"text": "", "signature": "openrouter:1:[broken"}}}, {"text": "a"}],
            "openrouter",
            [{"role": "assistant", "content": "a"}],
            id="openrouter: details that were cut",
        ),
        *(
            pytest.param(
                [DETAILED, {"text": "a"}],
                dialect,
                [{"role": "assistant", "content": "a"}],
                id=f"{dialect}: the details of openrouter are foreign",
            )
            for dialect in ("openai", "anthropic", "bedrock", "deepseek", "gemini", "groq")
        ),
        pytest.param(
            [{"toolUse": {**USE["toolUse"], "reasoningSignature": "s"}}],
            "anthropic",
            [{"role": "assistant", "content": None, "tool_calls": [CALL]}],
            id="anthropic: no call's signature",
        ),
        pytest.param(
            [SIGNED, {"text": "a"}, REDACTED, USE],
            "anthropic",
            [
                {
                    "role": "assistant",
                    "content": "a",
                    "content_blocks": [THINKING, text("a"), {"type": "redacted_thinking", "data": "dark"}],
                    "tool_calls": [CALL],
                }
            ],
            id="anthropic: reasoning goes back in its order",
        ),
        pytest.param(
            [{"reasoningContent": {"redactedContent": b"\xff\x00"}}, {"text": "a"}],
            "anthropic",
            [
                {
                    "role": "assistant",
                    "content": "a",
                    "content_blocks": [{"type": "redacted_thinking", "data": "/wA="}, text("a")],
                }
            ],
            id="anthropic: Bedrock's redacted bytes as base64",
        ),
        pytest.param(
            [{"reasoningContent": {"reasoningText": {"signature": "sig"}}}, USE],
            "anthropic",
            [
                {
                    "role": "assistant",
                    "content": None,
                    "content_blocks": [{**THINKING, "thinking": ""}],
                    "tool_calls": [CALL],
                }
            ],
            id="anthropic: a signature without text",
        ),
        pytest.param([SIGNED], "anthropic", [], id="anthropic: no message of reasoning alone"),
        pytest.param(
            [{"text": "a"}, SIGNED],
            "anthropic",
            [{"role": "assistant", "content": "a"}],
            id="anthropic: no message ends with reasoning",
        ),
        pytest.param(
            [UNSIGNED, {"text": "a"}],
            "anthropic",
            [{"role": "assistant", "content": "a"}],
            id="anthropic: unsigned reasoning is another model's",
        ),
        pytest.param(
            [RESPONSES_ITEM, SIGNED, {"text": "a"}, RESPONSES_ITEM, USE],
            "anthropic",
            [
                {
                    "role": "assistant",
                    "content": "a",
                    "content_blocks": [THINKING, text("a")],
                    "tool_calls": [CALL],
                }
            ],
            id="anthropic: a signature of the Responses protocol is another model's",
        ),
        pytest.param(
            [RESPONSES_ITEM, {"text": "a"}],
            "bedrock",
            [{"role": "assistant", "content": "a"}],
            id="bedrock: a signature of the Responses protocol is another model's",
        ),
        pytest.param(
            [RESPONSES_ITEM, UNSIGNED, {"text": "a"}],
            "openrouter",
            [{"role": "assistant", "content": "a", "reasoning": "hm"}],
            id="openrouter: a signature of the Responses protocol is another model's",
        ),
        pytest.param(
            [REDACTED, SIGNED, {"text": "a"}],
            "bedrock",
            [{"role": "assistant", "content": "a", "content_blocks": [THINKING, text("a")]}],
            id="bedrock: the gateway drops what is redacted",
        ),
        pytest.param(
            [SIGNED, REDACTED, UNSIGNED, {"text": "a"}],
            "openai",
            [{"role": "assistant", "content": "a"}],
            id="openai: takes no reasoning back",
        ),
        pytest.param(
            [UNSIGNED, SIGNED, {"text": "a"}],
            "deepseek",
            [{"role": "assistant", "content": "a", "reasoning_content": "hm"}],
            id="deepseek: its own reasoning",
        ),
        pytest.param(
            [{"reasoningContent": {}}, {"reasoningContent": {"reasoningText": {"text": ""}}}, {"text": "a"}],
            "deepseek",
            [{"role": "assistant", "content": "a"}],
            id="deepseek: reasoning without words",
        ),
        pytest.param(
            [UNSIGNED, USE],
            "openrouter",
            [{"role": "assistant", "content": None, "reasoning": "hm", "tool_calls": [CALL]}],
            id="openrouter: its own reasoning",
        ),
        pytest.param(
            [{"text": "a"}, POINT, SIGNED, USE, LONG],
            "anthropic",
            [
                {
                    "role": "assistant",
                    "content": [text("a", cache_control=MARK)],
                    "content_blocks": [text("a", cache_control=MARK), THINKING],
                    "tool_calls": [{**CALL, "cache_control": MARK}],
                }
            ],
            id="anthropic: marks on text and on a call, without the time to live that others lose",
        ),
        pytest.param(
            [{"text": "a"}, USE, LONG],
            "openrouter",
            [
                {
                    "role": "assistant",
                    "content": [text("a", cache_control={**MARK, "ttl": "1h"})],
                    "tool_calls": [CALL],
                }
            ],
            id="openrouter: a mark stands on text, not on a call, and keeps its time to live",
        ),
        pytest.param(
            [{"text": "a"}, {"text": "b"}],
            "deepseek",
            [{"role": "assistant", "content": "a\nb"}],
            id="deepseek: texts, no parts",
        ),
        pytest.param(
            [{"text": "a"}, USE],
            "cohere",
            [{"role": "assistant", "content": [text("a"), text('called tool sum with {"a": "é"}')]}],
            id="cohere: a call as text, since the gateway drops it",
        ),
        pytest.param(
            [{"toolUse": {**USE["toolUse"], "toolUseId": "functions.sum:0"}}],
            "anthropic",
            [{"role": "assistant", "content": None, "tool_calls": [{**CALL, "id": "1d1d80cc9"}]}],
            id="anthropic: the id of another upstream",
        ),
    ],
)
def test_what_the_model_said_goes_back(blocks, dialect, messages):
    assert assistant(*blocks, dialect=dialect) == messages


@pytest.mark.parametrize(
    ("dialect", "before"),
    [("anthropic", [THINKING, {"type": "redacted_thinking", "data": "dark"}]), ("bedrock", [THINKING])],
)
def test_reasoning_behind_a_call_is_left_out_since_the_gateway_would_move_it_and_warns_once(dialect, before):
    other = {"toolUse": {**USE["toolUse"], "toolUseId": "t2"}}
    spoken: list[Any] = [SIGNED, REDACTED, USE, SIGNED, REDACTED, other, SIGNED]
    answered = [result({"text": "1"}), result({"text": "2"}, tool_use_id="t2")]
    messages = [{"role": "assistant", "content": spoken}, {"role": "user", "content": answered}] * 2

    with pytest.warns(UserWarning, match="^the model's reasoning after a tool call .* is left out: ") as warned:
        replayed = body_of([ASKED, *messages], dialect)["messages"][1:]

    said = {
        "role": "assistant",
        "content": None,
        "content_blocks": before,
        "tool_calls": [CALL, {**CALL, "id": "t2"}],
    }
    results = [{"role": "tool", "tool_call_id": f"t{number}", "content": str(number)} for number in (1, 2)]
    assert replayed == [said, *results] * 2
    assert len(warned) == 1


@pytest.mark.parametrize(
    ("dialect", "blocks"),
    [
        ("anthropic", [SIGNED, {"text": "a"}, SIGNED, USE, UNSIGNED, RESPONSES_ITEM]),
        ("openai", [SIGNED, USE, SIGNED, USE]),
        ("deepseek", [UNSIGNED, USE, UNSIGNED, USE]),
    ],
    ids=["before the calls", "of others", "without a place"],
)
def test_reasoning_that_the_gateway_does_not_move_raises_no_warning(dialect, blocks):
    with warnings.catch_warnings():
        warnings.simplefilter("error")

        assert assistant(*blocks, dialect=dialect)


def test_reasoning_without_a_place_goes_back_from_behind_a_call():
    (replayed,) = assistant(UNSIGNED, USE, UNSIGNED, dialect="openrouter")

    assert replayed == {"role": "assistant", "content": None, "reasoning": "hmhm", "tool_calls": [CALL]}


@pytest.mark.parametrize(("dialect", "named"), [("gemini", {"name": "sum"}), ("openai", {})])
def test_a_result_names_its_tool_for_gemini_alone(dialect, named):
    messages = [
        ASKED,
        {"role": "assistant", "content": [USE]},
        {"role": "user", "content": [result({"text": "1"}), result({"text": "2"}, tool_use_id="unasked")]},
    ]

    assert body_of(messages, dialect)["messages"][2:] == [
        {"role": "tool", "tool_call_id": "t1", "content": "1", **named},
        {"role": "tool", "tool_call_id": "unasked", "content": "2"},
    ]


@pytest.mark.parametrize(
    ("dialect", "sent"),
    [
        *((dialect, ["assistant", "assistant", "user", "user"]) for dialect in ("openai", "anthropic")),
        *((dialect, ["user", "assistant", "assistant", "user", "user"]) for dialect in ("gemini", "mistral")),
        *((dialect, ["user", "assistant", "user"]) for dialect in ("bedrock", "perplexity")),
    ],
)
def test_a_conversation_begins_and_alternates_as_its_upstream_requires(dialect, sent):
    said = {"role": "assistant", "content": [{"text": "a"}]}

    assert [message["role"] for message in body_of([said, said, ASKED, ASKED], dialect)["messages"]] == sent


def test_messages_of_one_role_in_a_row_are_joined_for_those_who_require_turns():
    pictured = {"role": "user", "content": [{"text": "b"}, PNG]}
    said = {"role": "assistant", "content": [USE]}
    messages = [{"role": "assistant", "content": [{"text": "a"}]}, said, ASKED, pictured]

    assert body_of(messages, "perplexity")["messages"] == [
        {"role": "user", "content": "(Earlier messages are left out.)"},
        {"role": "assistant", "content": [text("a")], "tool_calls": [CALL]},
        {"role": "user", "content": [text("go on"), text("b"), DATA_PNG]},
    ]


def test_joined_messages_stay_texts_where_another_target_takes_no_parts():
    answered = {"role": "assistant", "content": [{"text": "a"}]}
    messages: list[Any] = [ASKED, ASKED, answered, {"role": "assistant", "content": [USE]}]

    body = to_body(Question(messages, "m"), find_dialect({"bedrock", "deepseek"}))

    assert body["messages"] == [
        {"role": "user", "content": "go on\ngo on"},
        {"role": "assistant", "content": "a", "tool_calls": [CALL]},
    ]


@pytest.mark.parametrize(
    ("first", "second", "blocks"),
    [
        ([{"text": "a"}], [SIGNED, USE], [text("a"), THINKING]),
        ([SIGNED, {"text": "a"}], [USE], [THINKING, text("a")]),
    ],
    ids=["in the second", "in the first"],
)
def test_reasoning_keeps_its_place_where_messages_are_joined(first, second, blocks):
    messages = [ASKED, {"role": "assistant", "content": first}, {"role": "assistant", "content": second}]

    [_, said] = body_of(messages, "bedrock")["messages"]

    assert said == {"role": "assistant", "content": [text("a")], "content_blocks": blocks, "tool_calls": [CALL]}


def test_a_result_names_the_call_ahead_of_it_where_ids_come_again():
    turns: list[Any] = [
        [
            {"role": "assistant", "content": [{"toolUse": {"toolUseId": "t1", "name": name, "input": {}}}]},
            {"role": "user", "content": [result({"text": "1"})]},
        ]
        for name in ("sum", "product")
    ]

    first = body_of([ASKED, *turns[0]], "gemini")["messages"][1:]
    both = body_of([ASKED, *turns[0], *turns[1]], "gemini")["messages"][1:]

    assert [message.get("name") for message in both] == [None, "sum", None, "product"]
    assert both[:2] == first  # Or no cache of the first turn would be hit in the second.


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        pytest.param(
            [{"hologram": {}}],
            (
                "content for the upstream 'openai' must be text, an image, a document, audio or video;"
                " got content block 'hologram'"
            ),
            id="unknown",
        ),
        pytest.param(
            [{}],
            (
                "content for the upstream 'openai' must be text, an image, a document, audio or video;"
                " got content block 'empty'"
            ),
            id="empty",
        ),
        pytest.param(
            [{"guardContent": PNG}],
            (
                "content for the upstream 'openai' must be text, an image, a document, audio or video;"
                " got content block 'guardContent'"
            ),
            id="a guarded image",
        ),
    ],
)
def test_what_cannot_be_sent_raises(blocks, message):
    with pytest.raises(PortkeyConfigError) as caught:
        user(*blocks)

    assert str(caught.value) == message


def test_a_conversation_of_blank_text_alone_raises():
    with pytest.raises(
        PortkeyConfigError, match="messages must hold content other than blank text; got only blank text"
    ):
        body_of([{"role": "assistant", "content": [{"text": " "}]}])


LOOP: dict[str, Any] = {}
LOOP["loop"] = LOOP


@pytest.mark.parametrize(
    ("block", "dialect", "reason"),
    [
        pytest.param(
            {"image": {"format": "bmp", "source": {"bytes": b"i"}}},
            "anthropic",
            "image must be of a known format; got 'bmp'",
            id="anthropic: an unknown format",
        ),
        pytest.param(
            PNG,
            "deepseek",
            "content for the upstream 'deepseek' must be a description as text; got an image",
            id="deepseek: an image",
        ),
        pytest.param(
            {"image": {"format": "gif", "source": {"bytes": b"i"}}},
            "bedrock",
            (
                "content for the upstream 'bedrock' must be a PNG, JPEG or WebP image, or go with api='messages'; got a"
                " GIF"
            ),
            id="bedrock: a GIF, which the gateway would send as a document",
        ),
        pytest.param(
            {},
            "openai",
            ("content for the upstream 'openai' must be text, json, an image or a document; got content block 'empty'"),
            id="empty",
        ),
        pytest.param(
            {"json": LOOP},
            "openai",
            "a tool's result must be JSON; got something else: Circular reference detected",
            id="a circle",
        ),
    ],
)
def test_content_of_a_result_that_cannot_be_sent_is_replaced_by_a_text_and_warns(block, dialect, reason):
    with pytest.warns(UserWarning, match=f"^left out of a tool's result: {reason}$"):
        messages = user(result({"text": "see"}, block, {"text": "end"}), dialect=dialect)

    assert messages == [{"role": "tool", "tool_call_id": "t1", "content": f"see\n[left out: {reason}]\nend"}]


def test_an_unknown_block_of_the_system_prompt_raises():
    with pytest.raises(PortkeyConfigError, match=r"must be text; got content block 'image'$"):
        user({"text": "Hi"}, system=[PNG])


@pytest.mark.parametrize(
    ("given", "arguments"),
    [
        pytest.param('{"a": 1}', '{"a": 1}', id="an object encoded twice"),
        pytest.param('"{\\"a\\": 1}"', '{"a": 1}', id="an object encoded three times"),
        pytest.param('""', "{}", id="nothing encoded twice"),
        pytest.param("null", "{}", id="null encoded twice"),
        pytest.param(["x"], '{"input": ["x"]}', id="a list"),
        pytest.param('["x"]', '{"input": "[\\"x\\"]"}', id="a list encoded twice stays a text"),
        pytest.param([], '{"input": []}', id="an empty list"),
        pytest.param(5, '{"input": 5}', id="a number"),
        pytest.param(0, '{"input": 0}', id="zero"),
        pytest.param(True, '{"input": true}', id="true"),
        pytest.param(False, '{"input": false}', id="false"),
        pytest.param("x", '{"input": "x"}', id="a text"),
        pytest.param("{", '{"input": "{"}', id="a text that is no JSON"),
        pytest.param({"a": "x"}, '{"a": "x"}', id="an object"),
        pytest.param({"a": math.nan}, '{"a": "NaN"}', id="no number"),
        pytest.param(
            {"a": [math.inf, {"b": -math.inf}, 1.5]}, '{"a": ["Infinity", {"b": "-Infinity"}, 1.5]}', id="infinities"
        ),
        pytest.param('{"a": NaN}', '{"a": "NaN"}', id="no number, encoded twice"),
        pytest.param(math.nan, '{"input": "NaN"}', id="no number alone"),
    ],
)
@pytest.mark.parametrize("dialect", ["openai", "anthropic", "gemini"])
def test_a_tools_input_goes_back_as_an_object(given, arguments, dialect):
    use = {"toolUse": {"toolUseId": "t1", "name": "sum", "input": given}}

    [message] = assistant(use, dialect=dialect)
    assert message["tool_calls"][0]["function"]["arguments"] == arguments


@pytest.mark.parametrize(
    ("call_id", "sent"),
    [
        pytest.param("c" * 40, "c" * 40, id="40"),
        pytest.param("c" * 41, "2d55900a1", id="41"),
        pytest.param("functions.sum:0", "functions.sum:0", id="any letters"),
        pytest.param(f"portkey-{'0' * 36}", "bef45a473", id="the gateway's own"),
    ],
)
def test_a_call_and_its_result_have_the_same_id_that_openai_accepts(call_id, sent):
    [call] = assistant({"toolUse": {"toolUseId": call_id, "name": "sum", "input": {}}}, dialect="openai")
    [answer] = user({"toolResult": {"toolUseId": call_id, "status": "success", "content": [{"text": "1"}]}})

    assert (call["tool_calls"][0]["id"], answer["tool_call_id"]) == (sent, sent)


def test_a_tools_input_that_is_no_json_raises():
    use = {"toolUse": {"toolUseId": "t1", "name": "sum", "input": {"a": {1}}}}

    with pytest.raises(
        PortkeyConfigError, match="the input of the tool 'sum' must be JSON; got something else: Object of type set"
    ):
        assistant(use)


def test_a_tools_invalid_json_is_sent_as_text():
    assert user(result({"json": {"at": {1}}})) == [{"role": "tool", "tool_call_id": "t1", "content": '{"at": "{1}"}'}]


@pytest.mark.parametrize("blocks", [[POINT, {"text": "a"}], [PDF, POINT, {"text": "a"}]], ids=["nothing", "a file"])
def test_a_cache_point_with_nothing_before_it_that_can_be_marked_warns(blocks):
    with pytest.warns(UserWarning, match="a cache point has no effect: there is no text or image before it"):
        user(*blocks, dialect="bedrock")


def test_a_cache_point_for_an_upstream_that_takes_none_warns_with_its_name():
    with pytest.warns(UserWarning, match="the upstream 'ollama' takes no cache points"):
        user({"text": "a"}, POINT, dialect="ollama")


@pytest.mark.parametrize(
    ("body", "data"),
    [
        pytest.param({"a": "é\u2028"}, '{"a":"é\u2028"}'.encode(), id="as it is"),
        pytest.param({"a": "\ud83d"}, b'{"a":"\\ud83d"}', id="half a surrogate pair"),
    ],
)
def test_a_body_is_dumped(body, data):
    assert dump_body(body) == data


@pytest.mark.parametrize("value", [{1}, float("nan"), b"bytes"], ids=repr)
def test_a_parameter_that_is_no_json_raises(value):
    with pytest.raises(PortkeyConfigError, match="the request must be JSON; got something else: "):
        dump_body({"top_p": value})


BLOCKS = st.sampled_from([{"text": "a"}, {"text": ""}, PNG, POINT, LONG])
MESSAGES = st.lists(
    st.builds(
        lambda blocks: {"role": "user", "content": blocks}, st.lists(BLOCKS | st.just(result({"text": "1"}, PNG)))
    )
    | st.builds(
        lambda blocks: {"role": "assistant", "content": blocks},
        st.lists(BLOCKS | st.sampled_from([USE, SIGNED, UNSIGNED, REDACTED])),
    )
)


@pytest.mark.filterwarnings("ignore:.*(cache points|cache point|drop the tools|reasoning after a tool call)")
@given(
    messages=MESSAGES,
    dialect=st.sampled_from([dialect for dialect in DIALECTS.values() if dialect.images]),
    cache_config=st.sampled_from([None, CacheConfig()]),
    trailing_blocks=st.integers(0, 2),
)
def test_a_conversation_is_not_written_into_gives_the_same_bytes_and_no_empty_content(
    messages, dialect, cache_config, trailing_blocks
):
    given_values: dict[str, Any] = {
        "messages": [{"role": "user", "content": [{"text": "Hi"}]}, *messages],
        "model_id": "m",
        "cache_config": cache_config,
        "params": {"tools": [{"type": "x"}], "stop": ["y"]},
        "tool_specs": [SPEC],
        "system": [{"text": "Be brief."}, POINT],
        "trailing_blocks": trailing_blocks,
    }
    before = copy.deepcopy(given_values)

    body = to_body(Question(**given_values), dialect)
    again = to_body(Question(**before), dialect)

    assert given_values == before
    assert dump_body(body) == dump_body(again)
    for message in json.loads(dump_body(body))["messages"]:
        assert message["content"] or message["tool_calls"]
        assert message.get("content_blocks") != []


def test_a_question_for_an_unknown_upstream_is_plain_chat():
    assert (
        user({"text": "Hi"})
        == to_body(Question([{"role": "user", "content": [{"text": "Hi"}]}], "m"), OPENAI)["messages"]
    )


@pytest.mark.parametrize(
    ("said", "sent"),
    [
        pytest.param([UNSIGNED, USE], {"content": None, "reasoning_content": "hm", "tool_calls": [CALL]}, id="a call"),
        pytest.param([UNSIGNED, {"text": "a"}], {"content": "a", "reasoning_content": "hm"}, id="text"),
        pytest.param([USE], {"content": None, "reasoning_content": ".", "tool_calls": [CALL]}, id="none at a call"),
        pytest.param([{"text": "a"}], {"content": "a", "reasoning_content": "."}, id="none at a text"),
        pytest.param([SIGNED, {"text": "a"}], {"content": "a", "reasoning_content": "."}, id="none but Claude's"),
        pytest.param(
            [{"reasoningContent": {"reasoningText": {"text": ""}}}, {"text": "a"}],
            {"content": "a", "reasoning_content": "."},
            id="none with words",
        ),
    ],
)
@pytest.mark.parametrize("upstream", ["openai", "deepseek", "groq", "openrouter", "moonshot"])
def test_an_upstream_that_wants_reasoning_has_it_in_each_message_of_the_model(said, sent, upstream):
    messages: Any = [
        {"role": "user", "content": [{"text": "q"}]},
        {"role": "assistant", "content": said},
        {"role": "user", "content": [{"text": "q"}]},
    ]

    body: Any = CHAT.to_body(Question(messages, "m", upstreams=frozenset({upstream}), wants_reasoning=True))

    assert body["messages"][1] == {"role": "assistant", **sent}
