"""Every call steered and accounted for, through the real gateway."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from strands import Agent, tool

from strands_portkey import PortkeyModel, ResponseMetadata
from tests_integ.gateway import Gateway
from tests_integ.upstream import Request, Upstream
from tests_integ.wires import openai


def target(upstream: Upstream, path: str = "v1", **more: Any) -> dict[str, Any]:
    """Return a target of a config; the upstream distinguishes targets by their path."""
    return {"provider": "openai", "api_key": "key", "custom_host": f"{upstream.url}/{path}", **more}


def make_model(gateway: Gateway, **arguments: Any) -> PortkeyModel:
    client_args: dict[str, Any] = {"base_url": gateway.base_url, "forward_headers": ["x-portkey-metadata"]}
    return PortkeyModel(client_args, model_id="gpt-4o", **arguments)


async def ask(model: PortkeyModel, **portkey: Any) -> str:
    agent = Agent(model=model, callback_handler=None)
    return str(await agent.invoke_async("Hi", invocation_state={"portkey": portkey})).strip()


async def test_two_concurrent_agents_on_one_model_are_distinguished_at_the_upstream(gateway: Gateway) -> None:
    with Upstream() as upstream:
        upstream.script = lambda request: openai.stream(openai.text(request.header("x-portkey-metadata") or ""))
        model = make_model(gateway)

        said = await asyncio.gather(
            ask(model, metadata={"user": "alice"}, config=target(upstream, "alice")),
            ask(model, metadata={"user": "bob"}, config=target(upstream, "bob")),
        )

        assert list(said) == ['{"user":"alice"}', '{"user":"bob"}']
        paths = {request.header("x-portkey-metadata"): request.path for request in upstream.requests}
        assert paths == {
            '{"user":"alice"}': "/alice/chat/completions",
            '{"user":"bob"}': "/bob/chat/completions",
        }


async def test_users_are_sent_to_different_targets_by_the_metadata_of_a_call(gateway: Gateway) -> None:
    with Upstream() as upstream:
        upstream.script = lambda request: openai.stream(openai.text(request.path.split("/")[1]))
        conditions = [{"query": {"metadata.tier": {"$eq": "paid"}}, "then": "best"}]
        config = {
            "strategy": {"mode": "conditional", "conditions": conditions, "default": "cheap"},
            "targets": [target(upstream, "best", name="best"), target(upstream, "cheap", name="cheap")],
        }
        model = PortkeyModel({"base_url": gateway.base_url, "config": config}, model_id="gpt-4o")

        assert await ask(model, metadata={"tier": "paid"}) == "best"
        assert await ask(model, metadata={"tier": "free"}) == "cheap"


async def test_a_fallback_shows_in_the_gateways_facts(gateway: Gateway) -> None:
    def answer(request: Request) -> Any:
        return openai.error(500, "down") if "broken" in request.path else openai.stream(openai.text("Hi"))

    told: list[ResponseMetadata] = []
    with Upstream(answer) as upstream:
        config = {"strategy": {"mode": "fallback"}, "targets": [target(upstream, "broken"), target(upstream)]}

        await ask(make_model(gateway, on_response=told.append), config=config)

    assert [(facts.status_code, facts.last_used_option_index) for facts in told] == [(200, "config.targets[1]")]


@tool
def get_weather(city: str) -> str:
    """Tell the weather.

    Args:
        city: The city.
    """
    return f"Sun in {city}"


@tool
def get_time(city: str) -> str:
    """Tell the time.

    Args:
        city: The city.
    """
    return f"Noon in {city}"


def tree(spans: tuple[ReadableSpan, ...]) -> list[str]:
    """Return one line for each span, indented below its parent, with the gateway's attributes."""
    lines: list[str] = []

    def add(parent: int | None, depth: int) -> None:
        for span in sorted(spans, key=lambda each: each.start_time or 0):
            if (span.parent.span_id if span.parent else None) == parent and span.context:
                facts = {k: v for k, v in (span.attributes or {}).items() if k.startswith("portkey.")}
                facts.pop("portkey.latency_ms", None)
                lines.append(f"{'  ' * depth}{span.name}{' ' + json.dumps(facts) if facts else ''}")
                add(span.context.span_id, depth + 1)

    add(None, 0)
    return lines


@pytest.fixture(scope="module")
def exporter() -> InMemorySpanExporter:
    """All spans of the process from now on: OpenTelemetry takes one provider for good."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return exporter


async def test_an_agent_with_two_turns_and_two_tools_is_one_trace(
    gateway: Gateway, exporter: InMemorySpanExporter
) -> None:
    exporter.clear()
    calls = (
        openai.tool_call(0, "c1", "get_weather", '{"city":"Paris"}'),
        openai.tool_call(1, "c2", "get_time", '{"city":"Paris"}'),
    )
    with Upstream() as upstream:
        upstream.reply(openai.stream(*calls), openai.stream(openai.text("Sun at noon.")))
        client_args: dict[str, Any] = {"base_url": gateway.base_url, "config": target(upstream)}
        model = PortkeyModel(client_args, model_id="gpt-4o")

        await Agent(model=model, tools=[get_weather, get_time], callback_handler=None).invoke_async("Paris?")

    spans = exporter.get_finished_spans()
    trace_id = f"{spans[0].context.trace_id:032x}" if spans[0].context else ""
    facts = json.dumps(
        {
            "portkey.api": "chat",
            "portkey.attempt": 1,
            "portkey.status_code": 200,
            "portkey.trace_id": trace_id,
            "portkey.provider": "openai",
            "portkey.cache_status": "DISABLED",
            "portkey.retry_attempt_count": 0,
            "portkey.last_used_option_index": "config",
        }
    )
    lines = tree(spans)
    print("\n".join(lines))
    assert [lines[0], *sorted(lines[1:5])] == [
        "invoke_agent Strands Agents",
        "    chat " + facts,
        "    execute_tool get_time",
        "    execute_tool get_weather",
        "  execute_event_loop_cycle",
    ]
    assert lines[5:] == ["  execute_event_loop_cycle", "    chat " + facts]
