"""The requests of one call: what they have in common, and what changes from one to the next after an error. No I/O."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from http.client import UNAUTHORIZED

from strands_portkey._answer.judgement import Judge
from strands_portkey._errors import PortkeyAPIError, PortkeyError
from strands_portkey._http.client import Request, StaleConnectionError
from strands_portkey._json import dump_body
from strands_portkey._request.question import Question
from strands_portkey._request.schemas import Mechanism, is_rejection, to_output_schema
from strands_portkey._settings.config import PortkeyConfig
from strands_portkey._settings.headers import request_headers
from strands_portkey._settings.upstreams import find_upstreams
from strands_portkey._wires import WIRES
from strands_portkey._wires.wire import Wire


@dataclass(frozen=True, repr=False)
class Call:
    """What all requests of a call have in common. Its routing may hold keys, so it does not represent itself.

    Attributes:
        config: The model's configuration, changed for this call.
        routing: The settings that become headers, likewise; some may be functions.
        judge: Makes the errors of the call.
        tracing: Headers that join the call to a trace.
    """

    config: PortkeyConfig
    routing: Mapping[str, object]
    judge: Judge
    tracing: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class Plan:
    """One request of a call.

    Attributes:
        routing: The settings that become headers, with functions called; None where these are to be called anew.
        wire: The protocol that it speaks.
        mechanisms: How the answer is held to a schema, with the others to try after it; None where there is none.
        may_renew_keys: Whether keys come from functions and have not been fetched anew.
        may_reuse: Whether a connection that was kept may carry it.
    """

    routing: Mapping[str, object] | None
    wire: Wire = WIRES["chat"]
    mechanisms: Sequence[Mechanism | None] = (None,)
    may_renew_keys: bool = False
    may_reuse: bool = True


def first_plan(
    call: Call,
    called: Mapping[str, object],
    question: Question | None = None,
    rejected: Collection[tuple[str, Mechanism]] = (),
) -> Plan:
    """Return the first request of a call, without the mechanisms that were refused for its model."""
    may_renew_keys = any(callable(value) for value in call.routing.values())
    plan = Plan(called, may_renew_keys=may_renew_keys)
    if question is None or question.output_model is None:
        return plan
    found = plan.wire.mechanisms(replace(question, upstreams=_upstreams(call, plan)))
    left = [each for each in found if (question.model_id, each) not in rejected]
    return replace(plan, mechanisms=left or found)


def next_plan(plan: Plan, error: PortkeyError, received: int) -> Plan | None:
    """Return the request that may avoid the error of an earlier one, or None; `received` chunks came before it."""
    if received:
        return None
    if isinstance(error, StaleConnectionError):
        return replace(plan, may_reuse=False)
    mechanism = plan.mechanisms[0]
    if mechanism and isinstance(error, PortkeyAPIError) and is_rejection(error, mechanism):
        return replace(plan, mechanisms=plan.mechanisms[1:])
    if plan.may_renew_keys and error.status_code == UNAUTHORIZED:
        return replace(plan, routing=None, may_renew_keys=False)  # A key that changes each time is no fresh one.
    return None


def to_headers(call: Call, plan: Plan) -> dict[str, str]:
    """Return the headers of a request.

    Raises:
        PortkeyConfigError: If a setting cannot be sent.
    """
    return request_headers(plan.routing or {}, call.tracing)


def to_request(call: Call, plan: Plan, question: Question) -> Request:
    """Return a request, to be sent.

    Raises:
        PortkeyConfigError: If something cannot be sent.
    """
    headers = to_headers(call, plan)
    mechanism = plan.mechanisms[0]
    by_schema = question.output_model if mechanism == "schema" else None
    question = replace(
        question,
        upstreams=_upstreams(call, plan),
        tool_specs=() if by_schema else question.tool_specs,
        tool_choice=question.tool_choice if mechanism in (None, "forced") else None,
        output_schema=to_output_schema(by_schema) if by_schema else None,
    )
    return Request(plan.wire.path, dump_body(plan.wire.to_body(question)), headers, plan.may_reuse)


def _upstreams(call: Call, plan: Plan) -> frozenset[str]:
    return find_upstreams(call.config.get("upstream"), plan.routing or {}, call.config["model_id"])
