"""The requests of one call: what they have in common, and what changes from one to the next after an error. No I/O."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from http.client import UNAUTHORIZED

from ._body import dump_body, to_body
from ._client import StaleConnectionError
from ._config import PortkeyConfig
from ._dialects import Dialect, find_dialect
from ._errors import PortkeyAPIError, PortkeyError
from ._headers import request_headers
from ._judgement import Judge
from ._question import Question
from ._structured_output import Mechanism, find_mechanisms, is_rejection, to_output_schema


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
        mechanisms: How the answer is held to a schema, with the others to try after it; None where there is none.
        may_renew_keys: Whether keys come from functions and have not been fetched anew.
        may_reuse: Whether a connection that was kept may carry it.
    """

    routing: Mapping[str, object] | None
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
    found = find_mechanisms(_dialect(call, plan), question.params)
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


def to_request(call: Call, plan: Plan, question: Question) -> bytes:
    """Return the body of a request.

    Raises:
        PortkeyConfigError: If something cannot be sent.
    """
    mechanism = plan.mechanisms[0]
    by_schema = question.output_model if mechanism == "schema" else None
    question = replace(
        question,
        tool_specs=() if by_schema else question.tool_specs,
        tool_choice=question.tool_choice if mechanism in (None, "forced") else None,
        output_schema=to_output_schema(by_schema) if by_schema else None,
    )
    return dump_body(to_body(question, _dialect(call, plan)))


def _dialect(call: Call, plan: Plan) -> Dialect:
    return find_dialect(call.config.get("upstream"), plan.routing or {}, call.config["model_id"])
