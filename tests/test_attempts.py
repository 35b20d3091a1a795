"""What is tried after an error, as plain values."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from pydantic import BaseModel
from strands.types.content import Message
from strands.types.tools import ToolSpec

from strands_portkey import (
    PortkeyAPIError,
    PortkeyConfigError,
    PortkeyConnectionError,
    PortkeyContextOverflowError,
    PortkeyError,
    PortkeyGuardrailError,
    PortkeyStreamError,
    PortkeyThrottledError,
    PortkeyTimeoutError,
)
from strands_portkey._answer.judgement import Judge
from strands_portkey._attempts import Call, Plan, first_plan, next_part, next_plan, remember, to_request
from strands_portkey._http.client import StaleConnectionError
from strands_portkey._learned import Learned
from strands_portkey._request.question import Question
from strands_portkey._request.schemas import Mechanism
from strands_portkey._wires.messages.stream import MessagesTranslator
from strands_portkey._wires.responses import RESPONSES


class City(BaseModel):
    name: str


PLAN = Plan(
    {"provider": "openai"},
    upstreams=frozenset({"openai"}),
    mechanisms=("schema", "forced", "auto"),
    may_renew_keys=True,
    max_retries=2,
)
UNKNOWN = replace(PLAN, mechanisms=(None,), upstreams=frozenset({"unknown"}))
SPENT = replace(PLAN, retries=2)
UNAUTHORIZED = PortkeyAPIError("no", status_code=401)
NO_SCHEMA = PortkeyAPIError("response_format is not supported", status_code=400)
NO_FORCE = PortkeyAPIError("tool_choice is not supported", status_code=400)
DEAD = StaleConnectionError("dead", retryable=True)
BUSY = PortkeyAPIError("busy", status_code=503, retryable=True)
TO_OTHERS = (
    "messages.1.content.0: Invalid `signature` in `thinking` block. The block is bound to a different conversation"
)
ASKED = Question((), "gpt-4o", output_model=City)


def throttled(after: float | None) -> PortkeyThrottledError:
    return PortkeyThrottledError("slow down", status_code=429, retryable=True, retry_after=after)


def refused(message: str, provider: str | None = None) -> PortkeyAPIError:
    return PortkeyAPIError(message, status_code=400, provider=provider)


def thought(signature: str) -> Message:
    return {
        "role": "assistant",
        "content": [
            {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": signature}}},
            {"text": f"after {signature}"},
        ],
    }


def user(text: str) -> Message:
    return {"role": "user", "content": [{"text": text}]}


UNSIGNED: Message = {
    "role": "assistant",
    "content": [{"reasoningContent": {"reasoningText": {"text": "Hm."}}}, {"text": "c"}],
}


def make_call(question: Question = ASKED, upstream: str | None = None, **routing: Any) -> Call:
    return Call(
        {"model_id": question.model_id, "upstream": upstream}, {"provider": "openai", **routing}, question, Judge()
    )


def after(
    plan: Plan, error: PortkeyError, question: Question = ASKED, jitter: float = 0, **headers: str
) -> Plan | None:
    names = {f"x-portkey-{name.replace('_', '-')}": value for name, value in headers.items()}
    return next_plan(plan, error, make_call(question), names, jitter)


@pytest.mark.parametrize(
    ("plan", "error", "changes"),
    [
        (PLAN, NO_SCHEMA, {"mechanisms": ("forced", "auto")}),
        (replace(PLAN, mechanisms=("forced", "auto")), NO_FORCE, {"mechanisms": ("auto",)}),
        (PLAN, NO_FORCE, None),  # It was not forced.
        (replace(PLAN, mechanisms=("auto",)), NO_SCHEMA, None),
        (replace(PLAN, mechanisms=(None,)), NO_SCHEMA, None),
        (PLAN, UNAUTHORIZED, {"routing": None, "may_renew_keys": False}),
        (replace(PLAN, may_renew_keys=False), UNAUTHORIZED, None),
        (PLAN, DEAD, {"may_reuse": False}),
        (PLAN, PortkeyConnectionError("refused", retryable=True), {"retries": 1, "wait": 0.5}),
        (PLAN, PortkeyConnectionError("no such host"), None),
        (PLAN, BUSY, {"retries": 1, "wait": 0.5}),
        (replace(PLAN, retries=1), BUSY, {"retries": 2, "wait": 1.0}),
        (replace(PLAN, retries=6, max_retries=10), BUSY, {"retries": 7, "wait": 8.0}),
        (SPENT, BUSY, None),
        (replace(PLAN, max_retries=0), BUSY, None),
        (PLAN, PortkeyAPIError("in a stream", retryable=True), {"retries": 1, "wait": 0.5}),
        (PLAN, PortkeyStreamError("cut", retryable=True), {"retries": 1, "wait": 0.5}),
        (PLAN, PortkeyTimeoutError("no connection", clock="connect"), {"retries": 1, "wait": 0.5}),
        (PLAN, PortkeyTimeoutError("slow", clock="first_byte"), None),
        (PLAN, PortkeyTimeoutError("silent", clock="idle"), None),
        (PLAN, PortkeyTimeoutError("long", clock="total"), None),
        (PLAN, PortkeyAPIError("no", status_code=403), None),
        (PLAN, PortkeyContextOverflowError("too long", status_code=400), None),
        (PLAN, PortkeyGuardrailError("denied", status_code=446), None),
        (PLAN, PortkeyConfigError("no"), None),
    ],
)
def test_what_is_tried_after_an_error(plan, error, changes):
    assert after(plan, error) == (None if changes is None else replace(plan, attempt=2, **changes))


@pytest.mark.parametrize("error", [DEAD, UNAUTHORIZED, NO_SCHEMA])
def test_a_request_that_differs_is_not_waited_for(error):
    following = after(replace(PLAN, wait=0.5), error)

    assert following is not None
    assert following.wait == 0.0


@pytest.mark.parametrize(
    ("seconds", "wait"),
    [(1.0, 1.0), (60.0, 60.0), (0.001, 0.001), (0.0, 0.5), (60.1, None), (1e9, None), (None, None)],
)
def test_a_throttle_is_ours_to_retry_if_it_asks_for_a_short_wait(seconds, wait):
    following = after(PLAN, throttled(seconds))

    assert (following.wait if following else None) == wait


def test_a_failure_that_asks_for_a_long_wait_is_tried_again_as_any_other():
    error = PortkeyAPIError("busy", status_code=503, retryable=True, retry_after=3600)

    assert after(PLAN, error) == replace(PLAN, attempt=2, retries=1, wait=0.5)


@pytest.mark.parametrize(("asked", "jitter", "wait"), [(None, 1, 0.375), (10.0, 1, 11.0), (59.0, 1, 60.0)])
def test_waits_differ_so_that_many_callers_do_not_come_at_once(asked, jitter, wait):
    error = PortkeyAPIError("busy", status_code=503, retryable=True, retry_after=asked)
    following = after(PLAN, error, jitter=jitter)

    assert following is not None
    assert following.wait == wait


@pytest.mark.parametrize(
    ("error", "headers"),
    [
        (BUSY, {"retry_attempt_count": "2"}),
        (BUSY, {"retry_attempt_count": "-1"}),
        (BUSY, {"retry_attempt_count": "0, 1"}),
        (throttled(1), {"retry_attempt_count": "-1"}),
        (BUSY, {"gateway_exception": "true"}),
        (
            PortkeyAPIError("Request exceeded the timeout", status_code=408, origin="gateway", retryable=True),
            {"provider": "openai"},
        ),
    ],
)
def test_what_the_gateway_has_retried_or_decided_is_not_tried_again(error, headers):
    assert after(PLAN, error, **headers) is None


@pytest.mark.parametrize(
    ("error", "headers"),
    [
        (BUSY, {"retry_attempt_count": "0"}),
        (BUSY, {"retry_attempt_count": ""}),
        (BUSY, {"retry_attempt_count": "0, 0"}),  # Of two gateways in a row.
        (PortkeyAPIError("timeout", status_code=408, origin="gateway", retryable=True), {}),  # Of a load balancer.
        (PortkeyAPIError("timeout", status_code=408, origin="provider", retryable=True), {"provider": "openai"}),
    ],
)
def test_what_the_gateway_has_only_passed_on_is_tried_again(error, headers):
    assert after(PLAN, error, **headers) == replace(PLAN, attempt=2, retries=1, wait=0.5)


@pytest.mark.parametrize(
    ("status_code", "code", "said"),
    [
        (400, None, TO_OTHERS),
        (400, None, "messages.3.content.8: `thinking` blocks in the latest assistant message cannot be modified."),
        (400, None, "`thinking` or `redacted_thinking` blocks in the latest assistant message cannot be modified"),
        (400, None, "The model returned the following errors: Invalid signature in thinking block"),
        (400, None, "messages.23.content.2: Invalid `data` in `redacted_thinking` block"),
        (400, None, "When providing `thinking` or `redacted_thinking` blocks, the blocks must match the parameters"),
        (400, "invalid_encrypted_content", "Could not verify it."),
        (400, None, "The encrypted content gAAA... could not be verified. Reason: other item id."),
        (400, None, "Item 'rs_1' of type 'reasoning' was provided without its required following item."),
        (404, None, "Item with id 'rs_1' not found. Items are not persisted when `store` is set to false."),
        (None, None, TO_OTHERS),
    ],
)  # fmt: skip
def test_refused_thoughts_are_left_out_once(status_code, code, said):
    question = Question([user("a"), thought("S1"), user("b")], "claude")
    error = PortkeyAPIError(said, status_code=status_code, code=code)
    plan = replace(PLAN, left_out=frozenset({"S0"}))

    following = after(plan, error, question)

    assert following == replace(
        plan, attempt=2, refused=frozenset({"S1"}), left_out=frozenset({"S0", "S1"}), is_edited=True
    )
    assert after(following, error, question) is None


@pytest.mark.parametrize(
    "error",
    [
        PortkeyAPIError(TO_OTHERS, status_code=500),
        PortkeyAPIError("The signature of the request is wrong", status_code=403),
        PortkeyAPIError("max_tokens must be greater than thinking.budget_tokens", status_code=400),
    ],
)
def test_an_error_of_another_kind_leaves_thoughts_alone(error):
    assert after(PLAN, error, Question([user("a"), thought("S1"), user("b")], "claude")) is None


def test_without_thoughts_there_are_none_to_leave_out():
    assert after(PLAN, PortkeyAPIError(TO_OTHERS, status_code=400), Question([user("a")], "claude")) is None


MISSED = (
    "Missing `reasoning_content` field in the assistant message at message index 1. For more, see the guide",
    "thinking is enabled but reasoning_content is missing in assistant tool call message at index 2",
    "The reasoning_content in the thinking mode must be passed back to the API.",
    "Param Incorrect: The `reasoning_content` in the thinking mode must be passed back to the API.",
)


@pytest.mark.parametrize("status_code", [400, 422, None])
@pytest.mark.parametrize("said", MISSED)
def test_reasoning_that_an_upstream_misses_goes_back_once(status_code, said):
    error = PortkeyAPIError(said, status_code=status_code)

    following = after(PLAN, error)

    assert following == replace(PLAN, attempt=2, wants_reasoning=True)
    assert after(following, error) is None


@pytest.mark.parametrize(
    "error",
    [
        PortkeyAPIError(MISSED[0], status_code=403),
        PortkeyAPIError("Missing `content` field in the assistant message at message index 1", status_code=400),
        PortkeyAPIError("messages.1.reasoning_content: Extra inputs are not permitted", status_code=400),
        PortkeyAPIError("reasoning_content must not be passed to the API", status_code=400),
    ],
)
def test_an_error_of_another_kind_sends_no_reasoning_back(error):
    assert after(PLAN, error) is None


def test_an_upstream_that_misses_reasoning_is_remembered_by_its_route():
    learned = Learned()
    call = make_call(Question([user("a"), UNSIGNED, user("b")], "kimi-k2"))
    routing = {"provider": "openai"}
    plan = first_plan(call, routing, learned)
    following = next_plan(plan, PortkeyAPIError(MISSED[1], status_code=400), call, {}, 0)
    assert following is not None
    remember(learned, plan, following, "kimi-k2")

    later = first_plan(call, routing, learned)

    bodies = [to_request(call, each).body for each in (plan, following, later)]
    assert [b'"reasoning_content":"Hm."' in (body or b"") for body in bodies] == [False, True, True]
    assert bodies[1] == bodies[2]
    assert not first_plan(call, {"provider": "groq"}, learned).wants_reasoning
    assert not first_plan(make_call(replace(call.question, model_id="m")), routing, learned).wants_reasoning


def test_a_failure_that_passes_says_nothing_about_the_request():
    learned = Learned()
    remember(learned, PLAN, replace(PLAN, retries=1), "m")

    assert not learned.wants_reasoning(PLAN.route)
    assert learned.allowed("m") == Learned().allowed("m")


def test_a_refusal_by_an_upstream_of_another_kind_changes_the_form_once():
    plan = replace(PLAN, mechanisms=(None,), upstreams=frozenset({"unknown"}))
    error = PortkeyAPIError("max_tokens is required", status_code=400, provider="anthropic")
    question = Question([user("a")], "m")

    following = after(replace(plan, latest=frozenset({"openai"})), error, question)

    assert following == replace(plan, attempt=2, upstreams=frozenset({"anthropic"}), may_change_form=False)
    assert after(following, error, question) is None


def test_the_form_is_that_of_the_model_where_a_provider_has_several():
    following = after(UNKNOWN, refused("no", "vertex-ai"), Question([user("a")], "claude-opus-5"))

    assert following is not None
    assert following.upstreams == {"anthropic"}


def test_another_form_has_the_mechanisms_of_its_upstream():
    plan = replace(PLAN, upstreams=frozenset({"unknown"}))
    question = Question([user("a")], "m", output_model=City)
    following = after(plan, PortkeyAPIError("no", status_code=400, provider="anthropic"), question)

    assert following is not None
    assert following.mechanisms == ["forced", "auto"]


@pytest.mark.parametrize(
    ("plan", "error"),
    [
        (PLAN, PortkeyAPIError("no", status_code=400, provider="openai")),
        (PLAN, PortkeyAPIError("no", status_code=400, provider="together-ai")),  # It takes what OpenAI takes.
        (PLAN, PortkeyAPIError("no", status_code=400)),
        (PLAN, PortkeyAPIError("no", status_code=403, provider="anthropic")),
        (PLAN, PortkeyContextOverflowError("too long", status_code=400, provider="anthropic")),
        (replace(PLAN, upstreams=frozenset({"openai", "anthropic"})),
         PortkeyAPIError("no", status_code=400, provider="anthropic")),
        (replace(PLAN, may_change_form=False), PortkeyAPIError("no", status_code=400, provider="anthropic")),
    ],
)  # fmt: skip
def test_the_form_stays_where_it_was_right_or_is_not_at_fault(plan, error):
    # Of one message, so that each form could be built.
    assert after(plan, error, Question([user("a")], "gpt-4o", output_model=City)) is None


@pytest.mark.parametrize(
    ("upstream", "messages", "may_change_form"),
    [(None, [user("a")], True), ("openai", [user("a")], False), (None, [], False)],
)
def test_an_explicit_upstream_decides_the_form(upstream, messages, may_change_form):
    call = make_call(Question(messages, "m"), upstream)

    assert first_plan(call, call.routing, Learned()).may_change_form is may_change_form


def test_a_first_request_has_all_mechanisms_that_were_not_refused():
    learned = Learned()
    learned.reject("gpt-4o", "schema")
    learned.reject("gpt-5", "auto")

    assert first_plan(make_call(), {"provider": "openai"}, learned).mechanisms == ["forced", "auto"]


def test_a_provider_whose_tools_the_gateway_drops_is_not_forced_to_call_one():
    call = make_call(upstream="openai", provider="ollama")

    assert first_plan(call, call.routing, Learned()).mechanisms == ["schema", "auto"]


def test_where_all_mechanisms_were_refused_all_are_tried_again():
    learned = Learned()
    mechanisms: Sequence[Mechanism] = ("schema", "forced", "auto")
    for mechanism in mechanisms:
        learned.reject("gpt-4o", mechanism)

    assert first_plan(make_call(), {"provider": "openai"}, learned).mechanisms == ["schema", "forced", "auto"]


@pytest.mark.parametrize(("key", "may_renew"), [("pk-1", False), (lambda: "pk-1", True)], ids=["text", "function"])
def test_only_keys_from_functions_are_fetched_anew(key, may_renew):
    assert first_plan(make_call(api_key=key), {"api_key": "pk-1"}, Learned()).may_renew_keys is may_renew


def test_who_has_answered_decides_the_form_of_the_next_request():
    learned = Learned()
    call = make_call(Question([user("a")], "m"))
    routing = {"config": "pc-1"}
    before = first_plan(call, routing, learned)
    learned.answered(before.route, "anthropic")
    other = first_plan(call, {"config": "pc-2"}, learned)
    after_answer = first_plan(call, routing, learned)
    learned.answered(before.route, "gemini")

    assert (before.upstreams, other.upstreams) == (frozenset({"unknown"}), frozenset({"unknown"}))
    assert after_answer.upstreams == frozenset({"anthropic"})
    assert first_plan(call, routing, learned).upstreams == frozenset({"anthropic", "gemini"})


def test_only_the_latest_of_those_who_have_answered_counts_as_such():
    learned = Learned()
    call = make_call(Question([user("a")], "m"))
    for name in ("openai", "gemini", "anthropic"):
        learned.answered(first_plan(call, {"config": "pc-1"}, learned).route, name)

    assert first_plan(call, {"config": "pc-1"}, learned).latest == {"anthropic"}


@pytest.mark.parametrize("upstream", [None, "openai"])
def test_who_has_answered_a_slug_or_is_stated_decides_the_wire(upstream):
    learned = Learned()
    tool: ToolSpec = {"name": "a", "description": "A.", "inputSchema": {"json": {"type": "object"}}}
    call = make_call(Question([user("a")], "gpt-5.6", tool_specs=[tool]), upstream)
    routing = {"provider": "@mine"}
    before = first_plan(call, routing, learned)
    learned.answered(before.route, "openai")

    assert before.wire.name == ("responses" if upstream else "chat")
    assert first_plan(call, routing, learned).wire.name == "responses"


@pytest.mark.parametrize(
    ("upstream", "answered", "providers"),
    [(None, [], set()), ("openai", [], {"unknown"}), ("openai", ["ollama"], {"ollama"})],
)
def test_providers_are_named_beside_a_family_that_is_stated(upstream, answered, providers):
    learned = Learned()
    call = make_call(Question([user("a")], "m"), upstream)
    for name in answered:
        learned.answered(first_plan(call, {"config": "pc-1"}, learned).route, name)

    assert first_plan(call, {"config": "pc-1"}, learned).providers == providers


def test_what_not_all_who_have_answered_accept_goes_in_the_form_of_the_latest():
    learned = Learned()
    pdf: Message = {
        "role": "user",
        "content": [{"document": {"format": "pdf", "name": "a", "source": {"bytes": b"a"}}}],
    }
    call = make_call(Question([pdf], "m"))
    for name in ("openai", "anthropic", "openai"):
        learned.answered(first_plan(call, {"config": "pc-1"}, learned).route, name)
    plan = first_plan(call, {"config": "pc-1"}, learned)

    assert (plan.upstreams, plan.latest) == (frozenset({"openai", "anthropic"}), frozenset({"openai"}))
    assert b"data:application/pdf" in (to_request(call, plan).body or b"")
    with pytest.raises(PortkeyConfigError):
        to_request(call, replace(plan, latest=frozenset()))


def test_a_request_is_sent_as_its_plan_says():
    tool: ToolSpec = {"name": "f", "description": "F.", "inputSchema": {"json": {"type": "object"}}}
    call = make_call(Question([user("a")], "m", tool_specs=[tool]))
    plan = replace(PLAN, mechanisms=(None,), may_reuse=False)

    assert (to_request(call, plan).may_reuse, to_request(call, replace(plan, may_reuse=True)).may_reuse) == (
        False,
        True,
    )
    with pytest.warns(UserWarning, match="may drop the tools"):
        to_request(call, replace(plan, providers=frozenset({"moonshot"})))


def test_a_paused_turn_goes_on_at_once_after_a_retry_too():
    translator = MessagesTranslator()
    for event in (
        {"type": "message_start", "message": {}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "a"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "pause_turn"}},
        {"type": "message_stop"},
    ):
        translator.feed(str(event["type"]), json.dumps(event))
    translator.finish()
    following = next_part(replace(PLAN, attempt=3, wait=2.0, pauses=1), translator)

    assert following is not None
    assert (following.attempt, following.pauses, following.wait) == (4, 2, 0.0)
    assert following.said == ({"type": "text", "text": "a"},)


def test_a_body_that_would_be_the_same_or_cannot_be_built_is_not_sent_in_another_form():
    plan = replace(PLAN, mechanisms=(None,), upstreams=frozenset({"unknown"}))
    invalid = PortkeyAPIError("API key not valid", status_code=400, provider="google")
    audio: Message = {"role": "user", "content": [{"audio": {"format": "mp3", "source": {"bytes": b"a"}}}]}

    assert after(plan, invalid, Question([user("a")], "m")) is None
    assert after(plan, PortkeyAPIError("no", status_code=400, provider="anthropic"), Question([audio], "m")) is None


# -- an edited conversation --


def sent_after(learned: Learned, *messages: Message) -> tuple[str, ...]:
    """Return the thoughts that a request replays, and learn that they are refused if any stands where it is new."""
    call = make_call(Question(messages, "claude"), "anthropic")
    body = to_request(call, first_plan(call, {}, learned)).body
    assert body is not None
    return tuple(mark for mark in ("S1", "S2", "S3", "T1") if f'"signature":"{mark}"' in body.decode())


def test_thoughts_of_an_edited_conversation_go_back_only_where_nothing_before_them_has_changed():
    learned = Learned()
    cut = Question([user("b"), thought("S1"), user("c")], "claude")
    plan = Plan({})
    following = next_plan(plan, PortkeyAPIError(TO_OTHERS, status_code=400), make_call(cut), {}, 0)
    assert following is not None
    learned.refuse(following.refused)
    learned.bind(cut, ["S2"])

    # The rest of the turn, the next turn, one after another cut, and another conversation.
    assert sent_after(learned, *cut.messages, thought("S2"), user("result")) == ("S2",)
    assert sent_after(learned, user("c"), thought("S2"), user("d")) == ()
    assert sent_after(learned, user("x"), thought("T1"), user("y")) == ("T1",)


def test_a_conversation_knows_its_thoughts_again_after_the_refused_ones_are_gone():
    learned = Learned()
    learned.refuse(["S1"])
    first = Question([user("a"), thought("S1"), user("b")], "claude")
    call = make_call(first, "anthropic")
    assert first_plan(call, {}, learned).is_edited
    learned.bind(first, ["S2"])
    second = Question([user("b"), thought("S2"), user("c")], "claude")

    plan = first_plan(make_call(second, "anthropic"), {}, learned)

    assert (plan.is_edited, plan.left_out) == (True, frozenset({"S2"}))


@pytest.mark.parametrize(
    "changed",
    [
        {"system": [{"text": "Be brief."}]},
        {"tool_specs": [{"name": "f", "description": "", "inputSchema": {"json": {}}}]},
    ],
    ids=["system prompt", "tools"],
)
def test_a_thought_is_bound_to_the_system_prompt_and_the_tools(changed):
    learned = Learned()
    asked = Question([user("a")], "claude")
    learned.bind(asked, ["S1"])
    follow_up = replace(asked, messages=[*asked.messages, thought("S1"), user("b")])

    assert learned.stale_thoughts(follow_up) == frozenset()
    assert learned.stale_thoughts(replace(follow_up, **changed)) == {"S1"}


def test_redacted_thoughts_are_left_out_too():
    redacted: Message = {
        "role": "assistant",
        "content": [{"reasoningContent": {"redactedContent": b"R"}}, {"text": "b"}],
    }
    question = Question([user("a"), redacted, user("c")], "claude")
    following = after(PLAN, PortkeyAPIError(TO_OTHERS, status_code=400), question)
    assert following is not None
    request = to_request(make_call(question, "anthropic"), replace(following, mechanisms=(None,)))

    assert following.left_out == {b"R"}
    assert request.body is not None
    assert b"redacted_thinking" not in request.body


def test_what_is_remembered_has_a_bound():
    learned = Learned()
    learned.refuse([f"S{number}" for number in range(30_000)])
    for number in range(3000):
        learned.answered(("m", f"pc-{number}"), "openai")
        learned.want_reasoning(("m", f"pc-{number}"))
    for number in range(100):
        learned.answered(("m", "pc-2999"), f"provider-{number}")

    newest = Question([user("a"), thought("S29999"), user("b")], "claude")
    assert learned.is_edited(newest)
    assert not learned.is_edited(replace(newest, messages=[user("a"), thought("S0"), user("b")]))
    assert len(learned.names(("m", "pc-2999"))) == 20
    assert learned.names(("m", "pc-0")) == ()
    assert learned.wants_reasoning(("m", "pc-2999"))
    assert not learned.wants_reasoning(("m", "pc-0"))


# -- Responses ---------------------------------------------------------------------------------------------------------

NO_INCLUDE = PortkeyAPIError("Encrypted content is not supported with this model.", status_code=400, param="include")
NO_POINTS = PortkeyAPIError("Unknown parameter: 'input[0].content[0].prompt_cache_breakpoint'.", status_code=400)
TURN: list[Message] = [
    user("q"),
    {
        "role": "assistant",
        "content": [
            {"reasoningContent": {"reasoningText": {"text": "", "signature": 'openai-responses:1:{"id":"rs_1"}'}}},
            {"text": "a"},
        ],
    },
]


def on_responses(model_id: str = "gpt-5.6", learned: Learned | None = None, **config: Any) -> tuple[Call, Plan]:
    call = make_call(Question([*TURN, user("and?")], model_id))
    settings: Any = {**call.config, "api": "responses", **config}
    call = replace(call, config=settings)
    return call, first_plan(call, call.routing, learned or Learned())


@pytest.mark.parametrize(
    ("error", "omitted"),
    [
        (NO_INCLUDE, {"include"}),
        (PortkeyAPIError("no", status_code=400, param="include"), {"include"}),
        (NO_POINTS, {"breakpoints"}),
        (PortkeyAPIError("Encrypted content is not supported", status_code=500), None),
        (PortkeyAPIError("no", status_code=400, param="tools"), None),
    ],
)
def test_an_optional_part_that_was_refused_is_left_out_once_and_remembered(error, omitted):
    learned = Learned()
    call, plan = on_responses(learned=learned)
    following = next_plan(plan, error, call, {}, 0)
    assert following == (None if omitted is None else replace(plan, attempt=2, omitted=frozenset(omitted)))
    if following:
        remember(learned, plan, following, "gpt-5.6")
        again = next_plan(following, error, call, {}, 0)

        assert again is None
        assert on_responses(learned=learned)[1].omitted == omitted
        assert on_responses("gpt-5.7", learned=learned)[1].omitted == frozenset()


def test_a_request_is_sent_without_the_part_that_was_refused():
    call, plan = on_responses()
    before, after_ = (to_request(call, each) for each in (plan, replace(plan, omitted=frozenset({"include"}))))

    assert ("include" in str(before.body), "include" in str(after_.body)) == (True, False)
    assert before.path == "/responses"


@pytest.mark.parametrize(
    "error",
    [
        PortkeyAPIError("no", status_code=400, code="invalid_encrypted_content"),
        PortkeyAPIError("no", code="invalid_encrypted_content"),
        PortkeyAPIError(
            "Item 'rs_1' of type 'reasoning' was provided without its required following item.", status_code=400
        ),
        PortkeyAPIError("Item with id 'rs_1' not found. Items are not persisted.", status_code=404),
    ],
)
def test_reasoning_that_is_refused_is_left_out_once(error):
    call, plan = on_responses()
    following = next_plan(plan, error, call, {}, 0)

    assert following is not None
    assert following.left_out == {'openai-responses:1:{"id":"rs_1"}'}
    assert next_plan(following, error, call, {}, 0) is None


@pytest.mark.parametrize("error", [NO_INCLUDE, BUSY, PortkeyAPIError("use /v1/responses", status_code=400)])
def test_the_wire_never_changes_after_an_error(error):
    for api in ("auto", "chat", "responses"):
        call, plan = on_responses(api=api)
        following = next_plan(plan, error, call, {}, 0)

        assert following is None or following.wire is plan.wire


def test_the_wire_of_a_call_overrides_that_of_the_model():
    assert on_responses()[1].wire is RESPONSES
    assert on_responses(api="chat")[1].wire.name == "chat"


# -- in words --

PLAIN = Question([user("a")], "m")


@pytest.mark.parametrize(
    ("plan", "error", "question", "change"),
    [
        (PLAN, BUSY, ASKED, "nothing"),
        (replace(PLAN, change="with renewed keys"), BUSY, ASKED, "nothing"),
        (PLAN, DEAD, ASKED, "on a new connection"),
        (PLAN, UNAUTHORIZED, ASKED, "with renewed keys"),
        (PLAN, NO_SCHEMA, ASKED, "without the mechanism 'schema'"),
        (PLAN, refused(TO_OTHERS), Question([*TURN, user("b")], "m"), "without 1 refused thoughts"),
        (PLAN, refused(MISSED[0]), ASKED, "with the model's reasoning"),
        (replace(PLAN, wire=RESPONSES), NO_INCLUDE, ASKED, "without include"),
        (
            UNKNOWN,
            refused("max_tokens is required", "anthropic"),
            Question([user("a")], "m"),
            "in the form of anthropic",
        ),
    ],
)
def test_a_further_request_says_what_it_changes(plan, error, question, change):
    following = after(plan, error, question)

    assert following is not None
    assert following.change == change
