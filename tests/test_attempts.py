"""What is tried after an error, as plain values."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydantic import BaseModel

from strands_portkey import PortkeyAPIError, PortkeyConnectionError, PortkeyError
from strands_portkey._answer.judgement import Judge
from strands_portkey._attempts import Call, Plan, first_plan, next_plan
from strands_portkey._http.client import StaleConnectionError
from strands_portkey._request.question import Question
from strands_portkey._request.schemas import Mechanism

PLAN = Plan({"provider": "openai"}, mechanisms=("schema", "forced", "auto"), may_renew_keys=True)
UNAUTHORIZED = PortkeyAPIError("no", status_code=401)
NO_SCHEMA = PortkeyAPIError("response_format is not supported", status_code=400)
NO_FORCE = PortkeyAPIError("tool_choice is not supported", status_code=400)
STALE = StaleConnectionError("dead")


class City(BaseModel):
    name: str


def make_call(**routing: Any) -> Call:
    return Call({"model_id": "gpt-4o"}, {"provider": "openai", **routing}, Judge())


@pytest.mark.parametrize(
    ("plan", "error", "following"),
    [
        (PLAN, NO_SCHEMA, replace(PLAN, mechanisms=("forced", "auto"))),
        (replace(PLAN, mechanisms=("forced", "auto")), NO_FORCE, replace(PLAN, mechanisms=("auto",))),
        (PLAN, NO_FORCE, None),  # It was not forced.
        (replace(PLAN, mechanisms=("auto",)), NO_SCHEMA, None),
        (replace(PLAN, mechanisms=(None,)), NO_SCHEMA, None),
        (PLAN, UNAUTHORIZED, replace(PLAN, routing=None, may_renew_keys=False)),
        (replace(PLAN, may_renew_keys=False), UNAUTHORIZED, None),
        (PLAN, STALE, replace(PLAN, may_reuse=False)),
        (PLAN, PortkeyConnectionError("refused"), None),
        (PLAN, PortkeyAPIError("no", status_code=403), None),
        (PLAN, PortkeyAPIError("no", status_code=500), None),
        (PLAN, PortkeyError("no"), None),
    ],
)
def test_each_error_leads_to_the_right_next_request(plan, error, following):
    assert next_plan(plan, error, 0) == following


@pytest.mark.parametrize("error", [NO_SCHEMA, UNAUTHORIZED, STALE], ids=["schema", "key", "connection"])
def test_no_request_is_repeated_after_part_of_an_answer_arrived(error):
    assert next_plan(PLAN, error, 1) is None


def test_a_first_request_has_all_mechanisms_that_were_not_refused():
    question = Question((), "gpt-4o", output_model=City)
    plan = first_plan(make_call(), {"provider": "openai"}, question, {("gpt-4o", "schema"), ("gpt-5", "auto")})

    assert plan == Plan({"provider": "openai"}, mechanisms=["forced", "auto"])


def test_where_all_mechanisms_were_refused_all_are_tried_again():
    question = Question((), "gpt-4o", output_model=City)
    rejected: set[tuple[str, Mechanism]] = {("gpt-4o", mechanism) for mechanism in ("schema", "forced", "auto")}

    plan = first_plan(make_call(), {"provider": "openai"}, question, rejected)

    assert plan.mechanisms == ["schema", "forced", "auto"]


@pytest.mark.parametrize(("key", "may_renew"), [("pk-1", False), (lambda: "pk-1", True)], ids=["text", "function"])
def test_only_keys_from_functions_are_fetched_anew(key, may_renew):
    assert first_plan(make_call(api_key=key), {"api_key": "pk-1"}).may_renew_keys is may_renew
