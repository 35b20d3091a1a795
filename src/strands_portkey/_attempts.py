"""The requests of one call: what they have in common, and what changes from one to the next after an error. No I/O."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from http.client import REQUEST_TIMEOUT, UNAUTHORIZED
from typing import Final

from pydantic import JsonValue

from strands_portkey._answer.headers import find_request_id, find_trace_id
from strands_portkey._answer.judgement import Judge
from strands_portkey._answer.translator import Translator
from strands_portkey._errors import (
    PortkeyAPIError,
    PortkeyConfigError,
    PortkeyError,
    PortkeyThrottledError,
    PortkeyTimeoutError,
)
from strands_portkey._http.client import Request, StaleConnectionError
from strands_portkey._json import dump_body
from strands_portkey._learned import Learned
from strands_portkey._request.pairs import in_pairs
from strands_portkey._request.question import Question
from strands_portkey._request.schemas import Mechanism, is_rejection, to_output_schema
from strands_portkey._request.thoughts import Signature, is_missed, is_refusal, signatures_of, without_thoughts
from strands_portkey._settings.config import PortkeyConfig
from strands_portkey._settings.headers import request_headers
from strands_portkey._settings.upstreams import (
    Route,
    answering_upstream,
    find_targets,
    find_upstreams,
    may_have_thinking_tags,
    to_route,
)
from strands_portkey._wires import WIRES, choose_wire
from strands_portkey._wires.wire import Wire

logger: Final = logging.getLogger(__name__)

_LONGEST_WAIT: Final = 60.0  # Seconds that an answer may ask for.
_FIRST_WAIT: Final = 0.5  # Seconds, doubled with each retry.
_LONGEST_BACKOFF: Final = 8.0
_MOST_PAUSES: Final = 10  # Of one turn.
_MISUNDERSTOOD: Final = frozenset({400, 404, 415, 422})  # What an upstream answers to a body in another's form.


@dataclass(frozen=True, repr=False)
class Call:
    """What all requests of a call have in common. Its routing may hold keys, so it does not represent itself.

    Attributes:
        config: The model's configuration, changed for this call.
        routing: The settings that become headers, likewise; some may be functions.
        question: What the model is asked; without messages at other endpoints.
        judge: Makes the errors of the call.
        tracing: Headers that join the call to a trace.
        max_retries: How often a request is sent again after passing failures.
    """

    config: PortkeyConfig
    routing: Mapping[str, object]
    question: Question
    judge: Judge
    tracing: Mapping[str, str] = field(default_factory=dict[str, str])
    max_retries: int = 0


@dataclass(frozen=True, repr=False)
class Plan:
    """One request of a call. Its routing may hold keys, so it does not represent itself.

    Attributes:
        routing: The settings that become headers, with functions called; None where these are to be called anew.
        wire: The protocol that it speaks.
        upstreams: Who is taken to answer: see `find_upstreams`.
        latest: Who of these was the last to answer, if any is known: what not all of them accept is sent in that form.
        providers: The gateway's names of their providers, where the setting `upstream` names another family.
        route: What decides who answers.
        mechanisms: How the answer is held to a schema, with the others to try after it; None where there is none.
        left_out: Thoughts of the conversation that are not replayed.
        refused: Those of them that the upstream has refused in this call.
        omitted: Optional parts of the body that are left out since they were refused.
        has_thinking_tags: Whether the answer may begin with reasoning in tags.
        is_edited: Whether the conversation has been edited, so that thoughts of it were refused.
        wants_reasoning: Whether the upstream wants the model's reasoning back: see `Question`.
        said: What the model has said in this turn before it paused, as the wire has it.
        pauses: How often it has paused.
        may_change_form: Whether it may be sent once more in the form of the upstream that has refused it.
        may_renew_keys: Whether keys come from functions and have not been fetched anew.
        may_reuse: Whether a connection that was kept may carry it.
        retries: How many retries after passing failures have been made.
        max_retries: How many may be made.
        attempt: The number of the request within the call, from 1.
        wait: Seconds to wait before it is sent.
        change: What it changes of the request before it, in words.
    """

    routing: Mapping[str, object] | None
    wire: Wire = WIRES["chat"]
    upstreams: frozenset[str] = frozenset()
    latest: frozenset[str] = frozenset()
    providers: frozenset[str] = frozenset()
    route: Route = ()
    mechanisms: Sequence[Mechanism | None] = (None,)
    left_out: frozenset[Signature] = frozenset()
    refused: frozenset[Signature] = frozenset()
    omitted: frozenset[str] = frozenset()
    has_thinking_tags: bool = False
    is_edited: bool = False
    wants_reasoning: bool = False
    said: Sequence[JsonValue] = ()
    pauses: int = 0
    may_change_form: bool = True
    may_renew_keys: bool = False
    may_reuse: bool = True
    retries: int = 0
    max_retries: int = 0
    attempt: int = 1
    wait: float = 0.0
    change: str = field(default="nothing", compare=False)


def first_plan(call: Call, called: Mapping[str, object], learned: Learned) -> Plan:
    """Return the first request of a call, without what earlier answers have refused."""
    question = call.question
    route = to_route(called, question.model_id)
    names = learned.names(route)
    upstream = call.config.get("upstream")
    upstreams = find_upstreams(upstream, called, question.model_id, names)
    targets = find_targets(upstream, called, question.model_id, names)
    wire = choose_wire(call.config.get("api", "auto"), question, called, targets)
    providers = find_upstreams(None, called, question.model_id, names) if upstream else frozenset[str]()
    plan = Plan(
        called,
        wire=wire,
        omitted=learned.rejected(question.model_id, wire.optional),
        upstreams=upstreams,
        latest=frozenset(names[-1:]) & upstreams,
        providers=providers,
        route=route,
        has_thinking_tags=call.config.get("thinking_tags", may_have_thinking_tags(providers or upstreams, called)),
        wants_reasoning=learned.wants_reasoning(route),
        may_change_form=bool(question.messages) and upstream is None,
        may_renew_keys=any(callable(value) for value in call.routing.values()),
        max_retries=call.max_retries,
    )
    if question.output_model is not None:
        plan = replace(plan, mechanisms=_find_mechanisms(plan, question, learned.allowed(question.model_id)))
    if learned.is_edited(question):
        plan = replace(plan, is_edited=True, left_out=learned.stale_thoughts(question))
    return plan


def next_plan(plan: Plan, error: PortkeyError, call: Call, headers: Mapping[str, str], jitter: float) -> Plan | None:
    """Return the request that may avoid the error of an earlier one, of whose answer nothing was used; or None.

    Args:
        plan: The earlier request.
        error: Its error.
        call: The call that both are of.
        headers: Those of its answer, in lower case; empty where none came.
        jitter: A random number from 0 to 1 that spreads the retries of many callers.
    """
    following = replace(plan, attempt=plan.attempt + 1, wait=0.0, change="nothing")
    if isinstance(error, StaleConnectionError):
        return replace(following, may_reuse=False, change="on a new connection")
    if plan.may_renew_keys and error.status_code == UNAUTHORIZED:
        # A key that changes each time is no fresh one.
        return replace(following, routing=None, may_renew_keys=False, change="with renewed keys")
    if isinstance(error, PortkeyAPIError) and (changed := _changed(plan, error, call)):
        return replace(changed, attempt=following.attempt, wait=0.0)
    if plan.retries < plan.max_retries and (wait := _wait(plan, error, headers, jitter)) is not None:
        return replace(following, retries=plan.retries + 1, wait=wait)
    return None


def place(error: PortkeyError, plan: Plan, headers: Mapping[str, str]) -> None:
    """Write into an error which request it is of, and the headers of its answer, as they are shown."""
    error.attempts = plan.attempt
    error.headers = headers
    error.request_id = find_request_id(headers)
    error.trace_id = error.trace_id or find_trace_id(headers)


def next_part(plan: Plan, translator: Translator) -> Plan | None:
    """Return the request with which a turn goes on that the model has paused; None where it has not, or too often."""
    said = translator.resume() if plan.pauses < _MOST_PAUSES else []
    if not said:
        return None
    following = replace(plan, said=(*plan.said, *said), pauses=plan.pauses + 1, attempt=plan.attempt + 1, wait=0.0)
    logger.info("attempt=<%d>, pauses=<%d> | going on with a paused turn", following.attempt, following.pauses)
    return following


def _changed(plan: Plan, error: PortkeyAPIError, call: Call) -> Plan | None:
    """Return a request without what an upstream has refused, with what it misses, or in the form that it takes."""
    if is_refusal(error) and (replayed := frozenset(signatures_of(call.question.messages)) - plan.left_out):
        change = f"without {len(replayed)} refused thoughts"
        return replace(plan, refused=replayed, left_out=plan.left_out | replayed, is_edited=True, change=change)
    if is_missed(error) and not plan.wants_reasoning:
        return replace(plan, wants_reasoning=True, change="with the model's reasoning")
    if omitted := _refused_parts(plan, error):
        return replace(plan, omitted=plan.omitted | omitted, change=f"without {', '.join(sorted(omitted))}")
    if plan.may_change_form and (reformed := _reformed(plan, error, call)):
        return reformed
    mechanism = plan.mechanisms[0]
    if mechanism and is_rejection(error, mechanism):
        return replace(plan, mechanisms=plan.mechanisms[1:], change=f"without the mechanism {mechanism!r}")
    return None


def _refused_parts(plan: Plan, error: PortkeyAPIError) -> frozenset[str]:
    """Return the optional parts of the body that an upstream refuses, and has not refused before."""
    if error.status_code not in _MISUNDERSTOOD:
        return frozenset()
    said = f"{error.param} {error}"
    return frozenset(name for name, pattern in plan.wire.optional.items() if pattern.search(said)) - plan.omitted


def _reformed(plan: Plan, error: PortkeyAPIError, call: Call) -> Plan | None:
    """Return the request in the form of the upstream that refused it, if that is another one than was assumed."""
    name = answering_upstream(error.provider, call.question.model_id)
    is_misunderstood = error.status_code in _MISUNDERSTOOD and type(error) is PortkeyAPIError
    if not name or name in plan.upstreams or not is_misunderstood:
        return None
    change = f"in the form of {name}"
    reformed = replace(plan, upstreams=frozenset({name}), latest=frozenset(), may_change_form=False, change=change)
    reformed = replace(reformed, mechanisms=_find_mechanisms(reformed, call.question, plan.mechanisms))
    try:
        differs = to_request(call, reformed).body != to_request(call, plan).body
    except PortkeyConfigError:  # That upstream does not accept it in any form.
        return None
    return reformed if differs else None


def _find_mechanisms(
    plan: Plan, question: Question, allowed: Collection[Mechanism | None]
) -> Sequence[Mechanism | None]:
    """Return the ways to hold the answer to a schema: those of the upstream that are allowed, or all."""
    if question.output_model is None:
        return (None,)
    found = plan.wire.mechanisms(replace(question, upstreams=plan.upstreams, providers=plan.providers))
    return [each for each in found if each in allowed] or found


def _wait(plan: Plan, error: PortkeyError, headers: Mapping[str, str], jitter: float) -> float | None:
    """Return the seconds after which the same request may succeed; None where it will not, or is not ours to repeat."""
    if not _is_passing(error, headers):
        return None
    asked = error.retry_after if isinstance(error, PortkeyAPIError) else None
    if asked and asked <= _LONGEST_WAIT:
        return min(asked * (1 + jitter / 10), _LONGEST_WAIT)
    if isinstance(error, PortkeyThrottledError) and asked != 0:
        return None  # Strands' retry strategy has longer waits.
    return min(_FIRST_WAIT * 2.0**plan.retries, _LONGEST_BACKOFF) * (1 - jitter / 4)


def _is_passing(error: PortkeyError, headers: Mapping[str, str]) -> bool:
    """Whether an error may pass, and nobody else has tried again or waited for long."""
    if not error.retryable:
        return False
    if isinstance(error, PortkeyTimeoutError):
        return error.clock == "connect"
    if headers.get("x-portkey-gateway-exception") == "true":
        return False
    # Two gateways in a row give a list.
    if any(count.strip() not in ("", "0") for count in headers.get("x-portkey-retry-attempt-count", "").split(",")):
        return False
    # The gateway's own, for `request_timeout`.
    return not (
        error.status_code == REQUEST_TIMEOUT and error.origin == "gateway" and headers.get("x-portkey-provider")
    )


def remember(learned: Learned, plan: Plan, following: Plan, model_id: str) -> None:
    """Remember what an upstream has refused or missed, by which the request that follows differs."""
    if following.wants_reasoning:
        learned.want_reasoning(plan.route)
    for part in following.omitted - plan.omitted:
        learned.reject(model_id, part)
    refused = plan.mechanisms[0]
    if refused and refused not in following.mechanisms and following.upstreams == plan.upstreams:
        learned.reject(model_id, refused)


def to_headers(call: Call, plan: Plan) -> dict[str, str]:
    """Return the headers of a request.

    Raises:
        PortkeyConfigError: If a setting cannot be sent.
    """
    return request_headers(plan.routing or {}, call.tracing)


def to_request(call: Call, plan: Plan) -> Request:
    """Return a request to ask the model, to be sent.

    Raises:
        PortkeyConfigError: If something cannot be sent.
    """
    question = call.question
    headers = to_headers(call, plan)
    mechanism = plan.mechanisms[0]
    by_schema = question.output_model if mechanism == "schema" else None
    question = replace(
        question,
        messages=in_pairs(without_thoughts(question.messages, plan.left_out)),
        said=plan.said,
        omitted=plan.omitted,
        upstreams=plan.upstreams,
        providers=plan.providers,
        tool_specs=() if by_schema else question.tool_specs,
        tool_choice=question.tool_choice if mechanism in (None, "forced") else None,
        output_schema=to_output_schema(by_schema) if by_schema else None,
        wants_reasoning=plan.wants_reasoning,
    )
    try:
        body = plan.wire.to_body(question)
    except PortkeyConfigError:
        if plan.latest in (frozenset(), plan.upstreams):
            raise
        body = plan.wire.to_body(replace(question, upstreams=plan.latest))
    return Request(plan.wire.path, dump_body(body), headers, plan.may_reuse)
