"""The request of Strands and the settings become one question."""

from __future__ import annotations

from typing import Any

import pytest
from strands.models.model import CacheConfig

from strands_portkey._request.question import Question, to_question

MESSAGES: list[Any] = [{"role": "user", "content": [{"text": "Hi"}]}]
SPEC: Any = {"name": "sum", "description": "Adds.", "inputSchema": {"json": {"type": "object"}}}
CACHE = CacheConfig()


@pytest.mark.parametrize(
    ("config", "asked", "question"),
    [
        pytest.param({}, [None, None, None], Question(MESSAGES, "m"), id="nothing but messages"),
        pytest.param(
            {"params": {"top_p": 1}, "stream": False, "cache_config": CACHE},
            [[SPEC], "Be brief.", None],
            Question(
                MESSAGES,
                "m",
                params={"top_p": 1},
                stream=False,
                cache_config=CACHE,
                system=[{"text": "Be brief."}],
                tool_specs=[SPEC],
            ),
            id="all that there is",
        ),
        pytest.param({"params": None}, [[], "", []], Question(MESSAGES, "m", tool_specs=()), id="nothing in them"),
        pytest.param(
            {},
            [None, "Be brief.", [{"text": "Be kind."}]],
            Question(MESSAGES, "m", system=[{"text": "Be kind."}]),
            id="a system prompt as blocks goes before one as text",
        ),
    ],
)
def test_a_question_holds_what_is_asked_and_how(config, asked, question):
    settings: Any = {"model_id": "m", **config}

    assert to_question(settings, MESSAGES, *asked) == question
