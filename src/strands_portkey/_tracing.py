"""Trace ids that connect an agent's requests in Portkey's logs, and attributes for OpenTelemetry spans.

opentelemetry-api is a dependency of Strands.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from contextvars import ContextVar
from typing import Final, NamedTuple
from weakref import ref

from opentelemetry import propagate, trace
from strands import Agent

from strands_portkey._answer.metadata import ResponseMetadata


def trace_headers(invocation_state: MutableMapping[str, object] | None) -> dict[str, str]:
    """Return the headers that connect a request with its agent's other requests and the current OpenTelemetry span.

    All requests of one invocation of an agent have the same trace id: that of the OpenTelemetry trace if there is one,
    otherwise one derived from the invocation, if an agent made the request. Each cycle of the agent has its span id.
    """
    headers: dict[str, str] = {}
    propagate.inject(headers)
    span = trace.get_current_span().get_span_context()
    state: MutableMapping[str, object] = invocation_state if invocation_state is not None else {}
    if span.is_valid:
        headers["x-portkey-trace-id"] = trace.format_trace_id(span.trace_id)
    elif trace_id := _trace_id(state):
        headers["x-portkey-trace-id"] = trace_id
    if cycle := state.get("event_loop_cycle_id"):
        headers["x-portkey-span-id"] = str(cycle)
        headers["x-portkey-span-name"] = f"chat {getattr(state.get('agent'), 'name', '')}".strip()
    if parent := state.get("event_loop_parent_cycle_id"):
        headers["x-portkey-parent-span-id"] = str(parent)
    return {name: value for name, value in headers.items() if value.isascii() and value.isprintable()}


class _Caller(NamedTuple):
    """The last caller in a context: an agent, its invocation's trace id, and the `id()` of the invocation's state."""

    agent: ref[Agent]
    trace_id: str
    state: int


# Concurrent agents that share one state, such as a graph's nodes, overwrite each other's `agent` in it.
_CALLER: Final[ContextVar[_Caller | None]] = ContextVar("caller", default=None)


def _trace_id(state: MutableMapping[str, object]) -> str | None:
    """Return the trace id of the invocation that has this state, or None if no agent made the request."""
    caller = _CALLER.get()
    if caller and caller.state == id(state) and _is_running(caller.agent(), caller.trace_id):
        return caller.trace_id
    agent = state.get("agent")
    if isinstance(agent, Agent) and (trace_id := _invocation_id(agent)):
        _CALLER.set(_Caller(ref(agent), trace_id, id(state)))
        return trace_id
    return None


def _invocation_id(agent: Agent) -> str | None:
    """Return an id of an agent's last invocation: that of its first cycle, which is unique."""
    invocation = agent.event_loop_metrics.latest_agent_invocation
    return invocation.cycles[0].event_loop_cycle_id.replace("-", "") if invocation and invocation.cycles else None


def _is_running(agent: Agent | None, trace_id: str) -> bool:
    """Whether an agent is in a cycle of this invocation; Strands ends each cycle before it begins the next."""
    if agent is None or _invocation_id(agent) != trace_id:
        return False
    return agent.event_loop_metrics.traces[-1].end_time is None


def describe_response(metadata: ResponseMetadata) -> None:
    """Set what is known of a request as attributes of the current OpenTelemetry span, which Strands has opened.

    Names are those of https://github.com/open-telemetry/semantic-conventions-genai as far as it has one. Strands sets
    those of the counts as well, once the whole turn has ended well.
    """
    span = trace.get_current_span()
    if not span.is_recording():
        return
    first_byte = metadata.time_to_first_byte_ms
    facts: dict[str, str | int | float | None] = {
        "gen_ai.response.id": metadata.response_id,
        "gen_ai.response.model": metadata.model,
        "gen_ai.response.time_to_first_chunk": None if first_byte is None else first_byte / 1000,
        "gen_ai.usage.reasoning.output_tokens": metadata.reasoning_tokens,
        "portkey.api": metadata.api,
        "portkey.attempt": metadata.attempt,
        "portkey.status_code": metadata.status_code,
        "portkey.trace_id": metadata.trace_id,
        "portkey.provider": metadata.provider,
        "portkey.cache_status": metadata.cache_status,
        "portkey.retry_attempt_count": metadata.retry_attempt_count,
        "portkey.last_used_option_index": metadata.last_used_option_index,
        "portkey.request_id": metadata.request_id,
        "portkey.latency_ms": metadata.latency_ms,
        "portkey.cost": metadata.cost,
    }
    if usage := metadata.usage:
        facts |= {
            "gen_ai.usage.input_tokens": usage["inputTokens"],
            "gen_ai.usage.output_tokens": usage["outputTokens"],
            "gen_ai.usage.cache_read.input_tokens": usage.get("cacheReadInputTokens"),
            "gen_ai.usage.cache_creation.input_tokens": usage.get("cacheWriteInputTokens"),
        }
    span.set_attributes({name: fact for name, fact in facts.items() if fact is not None})


def describe_further(attempt: int, wait: float, reason: str) -> None:
    """Add an event to the current span for a further request of a call: its number, why, and the seconds before it."""
    trace.get_current_span().add_event(
        "portkey.further_request", {"portkey.attempt": attempt, "portkey.reason": reason, "portkey.wait": wait}
    )
