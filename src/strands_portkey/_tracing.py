"""Trace ids: what joins an agent's turns in Portkey's logs, and the gateway's facts on OpenTelemetry's spans.

opentelemetry-api comes with Strands.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from contextvars import ContextVar
from typing import Final, NamedTuple
from uuid import uuid4

from opentelemetry import propagate, trace

from ._config import is_list
from ._headers import ResponseMetadata

_KEPT: Final = "portkey_trace"  # Where an invocation's trace id is kept in its state, between its turns.


def trace_headers(invocation_state: MutableMapping[str, object] | None) -> dict[str, str]:
    """Return the headers that join one request to its agent's others and to the current OpenTelemetry span.

    All turns of one invocation of an agent have one trace id: that of the OpenTelemetry trace where there is one,
    otherwise one made up and kept in the invocation's state, where there is an agent. Each turn has its span id.
    """
    headers: dict[str, str] = {}
    propagate.inject(headers)
    span = trace.get_current_span().get_span_context()
    state: MutableMapping[str, object] = invocation_state if invocation_state is not None else {}
    if span.is_valid:
        headers["x-portkey-trace-id"] = trace.format_trace_id(span.trace_id)
    elif "agent" in state:
        headers["x-portkey-trace-id"] = _invocation_id(state)
    if cycle := state.get("event_loop_cycle_id"):
        headers["x-portkey-span-id"] = str(cycle)
        headers["x-portkey-span-name"] = f"chat {getattr(state.get('agent'), 'name', '')}".strip()
    if parent := state.get("event_loop_parent_cycle_id"):
        headers["x-portkey-parent-span-id"] = str(parent)
    return {name: value for name, value in headers.items() if value.isascii() and value.isprintable()}


class _Kept(NamedTuple):
    """A trace id, the agent that it was made for, and the number of the agent's invocations then."""

    trace_id: str
    agent: object
    invocation: int


# Agents that run side by side on one state, as a graph's nodes do, put themselves in each other's place there.
_HERE: Final[ContextVar[tuple[object, _Kept] | None]] = ContextVar(_KEPT, default=None)


def _invocation_id(state: MutableMapping[str, object]) -> str:
    """Return the trace id of an invocation; a state that is used again is told by the agent's count of them."""
    here = _HERE.get()
    if here and here[0] is state and here[1].invocation == _invocations(here[1].agent):
        return here[1].trace_id
    agent, kept = state.get("agent"), state.get(_KEPT)
    if not (isinstance(kept, _Kept) and kept.agent is agent and kept.invocation == _invocations(agent)):
        kept = state[_KEPT] = _Kept(uuid4().hex, agent, _invocations(agent))
    _HERE.set((state, kept))
    return kept.trace_id


def _invocations(agent: object) -> int:
    invocations = getattr(getattr(agent, "event_loop_metrics", None), "agent_invocations", ())
    return len(invocations) if is_list(invocations) else 0


def describe_response(metadata: ResponseMetadata) -> None:
    """Put the gateway's facts on the current OpenTelemetry span, which Strands has opened for the request."""
    facts = {
        "gen_ai.response.model": metadata.model,
        "portkey.status_code": metadata.status_code,
        "portkey.trace_id": metadata.trace_id,
        "portkey.provider": metadata.provider,
        "portkey.cache_status": metadata.cache_status,
        "portkey.retry_attempt_count": metadata.retry_attempt_count,
        "portkey.last_used_option_index": metadata.last_used_option_index,
        "portkey.reasoning_tokens": metadata.reasoning_tokens,
        "portkey.cost": metadata.cost,
    }
    trace.get_current_span().set_attributes({name: fact for name, fact in facts.items() if fact is not None})
