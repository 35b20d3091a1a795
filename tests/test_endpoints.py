"""Feedback, models and prompts: what is sent is what Portkey takes, what comes is read or refused with a reason."""

from __future__ import annotations

import pytest

from strands_portkey import PortkeyConfigError, PortkeyStreamError
from strands_portkey._answer.judgement import Judge
from strands_portkey._endpoints import read_models, read_prompt, to_feedback

# -- feedback ----------------------------------------------------------------------------------------------------------


def test_feedback_needs_a_trace_and_a_value():
    assert to_feedback("t-1", 1) == {"trace_id": "t-1", "value": 1, "weight": 1.0}


def test_feedback_takes_a_weight_and_metadata():
    metadata = {"_user": "u-1", "text": "off the point"}

    body = to_feedback("t-1", -10, 0.5, metadata)

    assert body == {"trace_id": "t-1", "value": -10, "weight": 0.5, "metadata": metadata}
    assert body["metadata"] is not metadata


@pytest.mark.parametrize(
    ("given", "said"),
    [
        pytest.param(("", 1), "trace_id must be that of an answer", id="no trace"),
        pytest.param(("t-1", 11), "value must be a whole number from -10 to 10; got 11", id="value too great"),
        pytest.param(("t-1", 0.5), "value must be a whole number from -10 to 10; got 0.5", id="value not whole"),
        pytest.param(("t-1", 1, 1.5), "weight must be a number from 0 to 1; got 1.5", id="weight too great"),
        pytest.param(("t-1", "sk-1"), "value must be a whole number from -10 to 10; got str$", id="value a key"),
        pytest.param(("t-1", 1, "sk-1"), "weight must be a number from 0 to 1; got str$", id="weight a key"),
        pytest.param(("t-1", 1, float("nan")), "weight must be a number from 0 to 1; got nan", id="weight no number"),
    ],
)
def test_feedback_that_portkey_does_not_take_raises(given, said):
    with pytest.raises(PortkeyConfigError, match=f"^{said}"):
        to_feedback(*given)


# -- models ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "ids"),
    [
        pytest.param(
            {
                "object": "list",
                "total": 2,
                "data": [
                    {"id": "@openai-prod/gpt-4o", "slug": "gpt-4o", "canonical_slug": "gpt-4o", "object": "model"},
                    {"id": "@team/claude-sonnet-4-5", "slug": "claude-sonnet-4-5", "object": "model"},
                ],
            },
            ["@openai-prod/gpt-4o", "@team/claude-sonnet-4-5"],
            id="the catalog",
        ),
        pytest.param(
            {"object": "list", "data": [{"id": "gpt-4o", "object": "model", "created": 1, "owned_by": "openai"}]},
            ["gpt-4o"],
            id="openai",
        ),
        pytest.param(
            {"data": [{"type": "model", "id": "claude-sonnet-4-5", "display_name": "x"}], "has_more": False},
            ["claude-sonnet-4-5"],
            id="anthropic",
        ),
        pytest.param({"models": [{"name": "models/gemini-2.5-pro"}]}, ["gemini-2.5-pro"], id="google: names"),
        pytest.param([{"id": "Qwen/Qwen3", "object": "model"}], ["Qwen/Qwen3"], id="together-ai: a bare list"),
        pytest.param({"object": "list", "data": []}, [], id="none"),
    ],
)
def test_models_are_listed_by_id(answer, ids):
    assert read_models(answer, Judge()) == ids


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        pytest.param({}, "the gateway's answer must be a list of models; got {}", id="nothing"),
        pytest.param("hey", 'the gateway\'s answer must be a list of models; got "hey"', id="text"),
        pytest.param(
            {"data": {"id": "m"}}, 'the gateway\'s answer must be a list of models; got {"data":{"id":"m"}}', id="one"
        ),
        pytest.param(
            {"data": [{"slug": "m"}]},
            'the gateway\'s answer must be a list of models, each with an id; got {"data":[{"slug":"m"}]}',
            id="no id",
        ),
    ],
)
def test_what_is_no_list_of_models_raises(answer, said):
    with pytest.raises(PortkeyStreamError) as caught:
        read_models(answer, Judge())

    assert str(caught.value) == said


# -- prompts -----------------------------------------------------------------------------------------------------------


def rendered(*messages):
    return {"success": True, "data": {"messages": list(messages), "model": "gpt-4o", "temperature": 0.2}}


def test_a_prompt_gives_system_prompt_and_messages():
    answer = rendered(
        {"role": "system", "content": "You are a clerk."},
        {"role": "developer", "content": [{"type": "text", "text": "Be brief."}]},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello"},
        {"role": "user", "content": [{"type": "text", "text": "Tell me"}, {"type": "text", "text": "more"}]},
    )

    assert read_prompt(answer, Judge()) == (
        "You are a clerk.\nBe brief.",
        [
            {"role": "user", "content": [{"text": "Hi"}]},
            {"role": "assistant", "content": [{"text": "Hello"}]},
            {"role": "user", "content": [{"text": "Tell me"}, {"text": "more"}]},
        ],
    )


def test_what_is_blank_is_left_out():
    answer = rendered(
        {"role": "system", "content": " "},
        {"role": "user", "content": ""},
        {"role": "user", "content": [{"type": "text", "text": "\n"}, {"type": "text", "text": "Hi"}]},
        {"role": "user", "content": []},
    )

    assert read_prompt(answer, Judge()) == (None, [{"role": "user", "content": [{"text": "Hi"}]}])


@pytest.mark.parametrize(
    ("message", "what"),
    [
        pytest.param({"role": "tool", "content": "rain"}, "a message of the role 'tool'", id="role"),
        pytest.param(
            {"role": "assistant", "content": "", "tool_calls": [{"id": "c1"}]}, "a message with tool_calls", id="calls"
        ),
        pytest.param(
            {"role": "user", "content": [{"type": "file", "file": {}}]}, "a part of the type 'file'", id="part"
        ),
        pytest.param({"role": "user", "content": [{"type": "text"}]}, "a part of the type 'text'", id="no text"),
        pytest.param(
            {"role": "user", "content": [{"type": "image_url"}]}, "a part of the type 'image_url'", id="no image"
        ),
    ],
)
def test_prompt_content_that_strands_cannot_express_raises(message, what):
    with pytest.raises(PortkeyStreamError) as caught:
        read_prompt(rendered(message), Judge())

    said = f"the prompt must hold system, user and assistant messages of text; got {what}"
    assert str(caught.value).splitlines()[0] == said


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param({"success": False, "message": "no such prompt"}, id="failure"),
        pytest.param({"success": True, "data": {"prompt": "Hi", "model": "m"}}, id="text completion"),
        pytest.param(rendered({"role": "user", "content": None}), id="no content"),
        pytest.param(None, id="nothing"),
    ],
)
def test_what_is_no_prompt_raises(answer):
    with pytest.raises(
        PortkeyStreamError, match=r"^the gateway's answer must be a rendered prompt with messages; got "
    ):
        read_prompt(answer, Judge())
