"""The count of tokens that Anthropic makes: its body is the message's own, and its answer a number."""

from __future__ import annotations

import json
from typing import Any

import pytest

from strands_portkey import PortkeyStreamError
from strands_portkey._answer.judgement import Judge
from strands_portkey._endpoints import read_count
from strands_portkey._request.question import Question
from strands_portkey._wires.messages.body import to_body, to_count_body

SPEC: Any = {"name": "get_time", "inputSchema": {"json": {"type": "object", "properties": {}}}}
AUTO: Any = {"auto": {}}
HELLO: Any = [{"role": "user", "content": [{"text": "Hi"}]}]


def test_what_is_counted_is_what_is_sent_without_what_adds_no_tokens():
    params: dict[str, Any] = {
        "max_tokens": 9000,
        "thinking": {"type": "enabled", "budget_tokens": 2000},
        "temperature": 1,
    }
    question = Question(
        HELLO, "claude", system=[{"text": "Be brief."}], tool_specs=[SPEC], tool_choice=AUTO, params=params
    )
    sent = to_body(question)

    counted = to_count_body(question)

    assert sent.keys() - counted.keys() == {"max_tokens", "temperature", "stream"}
    assert counted == {name: sent[name] for name in counted}


@pytest.mark.parametrize("params", [{"reasoning_effort": "low"}, {"response_format": {"type": "json_object"}}])
def test_a_parameter_that_only_chat_has_is_no_reason_not_to_count(params):
    assert to_count_body(Question(HELLO, "claude", params=params)) == {
        "model": "claude",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
    }


def test_the_question_is_left_as_it_was():
    question = Question(HELLO, "claude", params={"tools": [{"type": "function", "function": {"name": "now"}}]})
    before = repr(vars(question))

    to_count_body(question)

    assert repr(vars(question)) == before


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
