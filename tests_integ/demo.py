"""An agent with two tools answers a question through the real Portkey gateway: `nox -s demo`.

Starts the gateway on loopback and, unless there is a key for a real model in the environment, a scripted upstream that
calls both tools in parallel and builds its answer from their results. Text and tool input are printed as they come,
and what the gateway said of each request at the end.

Environment:
    PORTKEY_API_KEY: Asks a real model through the hosted gateway, or through the one at PORTKEY_BASE_URL.
    OPENAI_API_KEY, ANTHROPIC_API_KEY: Asks a real model through the gateway on loopback.
    PORTKEY_TEST_MODEL: The model to ask; by default a small one of the provider.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from strands import Agent, tool

from strands_portkey import ClientArgs, PortkeyError, PortkeyModel, ResponseMetadata
from tests_integ.gateway import GatewayError, running_gateway
from tests_integ.upstream import Gate, Reply, Request, Upstream
from tests_integ.wires import openai

QUESTION = "What is the weather in Paris, and what time is it there?"
WEATHER = {"Paris": "light rain, 9 °C", "Lisbon": "sunny, 17 °C"}
ZONES = {"Paris": "Europe/Paris", "Lisbon": "Europe/Lisbon"}


@tool
def get_weather(city: str) -> str:
    """Return the weather in a city.

    Args:
        city: Name of the city.
    """
    return WEATHER.get(city, "unknown")


@tool
def get_time(city: str) -> str:
    """Return the local time in a city.

    Args:
        city: Name of the city.
    """
    try:
        return datetime.now(ZoneInfo(ZONES.get(city, "UTC"))).strftime("%H:%M")
    except ZoneInfoNotFoundError:  # A machine without time zones.
        return datetime.now(timezone.utc).strftime("%H:%M UTC")


class Pause(Gate):
    """A place in a reply where the upstream waits a moment, as a model does between two tokens."""

    async def wait(self) -> None:
        """Wait; the server calls this."""
        await asyncio.sleep(0.04)


def slowly(deltas: Sequence[openai.Delta]) -> Iterator[Sequence[openai.Delta] | Gate]:
    """Yield deltas one by one with a pause after each."""
    for delta in deltas:
        yield [delta]
        yield Pause()


def answer(request: Request) -> Reply:
    """Play the model: call both tools first, then answer from what they returned."""
    results = {
        message["tool_call_id"]: message["content"] for message in request.json["messages"] if message["role"] == "tool"
    }
    if not results:
        deltas = [
            *openai.text("Let me ", "look ", "both ", "up."),
            *openai.tool_call(0, "call_weather", "get_weather", '{"ci', 'ty": ', '"Pa', 'ris"}'),
            *openai.tool_call(1, "call_time", "get_time", '{"ci', 'ty": ', '"Pa', 'ris"}'),
        ]
    else:
        text = f"In Paris it is {results['call_time']}, and the weather is {results['call_weather']}."
        deltas = openai.text(*re.findall(r"\S+\s*", text))
    return openai.stream(*slowly(deltas))


class Printer:
    """Prints what an agent says as it comes: text, the input of tools, and their results."""

    def __init__(self) -> None:
        """Begin with nothing printed."""
        self._names: dict[str, str] = {}
        self._in_call = False

    def __call__(self, **kwargs: Any) -> None:
        """Take in one event of the agent; Strands calls this."""
        match kwargs:
            case {"event": {"contentBlockStart": {"start": {"toolUse": {"toolUseId": call_id, "name": name}}}}}:
                self._names[call_id] = name
                self._in_call = True
                say(f"\n  {name}(")
            case {"event": {"contentBlockDelta": {"delta": {"toolUse": {"input": fragment}}}}}:
                say(fragment)
            case {"event": {"contentBlockDelta": {"delta": {"text": text}}}}:
                say(text)
            case {"event": {"contentBlockStop": _}} if self._in_call:
                self._in_call = False
                say(")")
            case {"event": {"messageStop": _}}:
                say("\n")
            case {"message": {"role": "user", "content": [*blocks]}}:
                for block in blocks:
                    if "toolResult" in block:
                        result = block["toolResult"]
                        say(f"  {self._names[result['toolUseId']]} -> {result['content'][0]['text']}\n")


def say(text: str) -> None:
    """Print at once."""
    print(text, end="", flush=True)


def facts(number: int, metadata: ResponseMetadata) -> str:
    """Return the metadata of one request as a line of text."""
    said = {
        "status": metadata.status_code,
        "provider": metadata.provider,
        "model": metadata.model,
        "option": metadata.last_used_option_index,
        "retries": metadata.retry_attempt_count,
        "cache": metadata.cache_status,
        "trace id": metadata.trace_id,
    }
    return f"  request {number}: " + ", ".join(f"{name} {value}" for name, value in said.items() if value is not None)


@contextlib.contextmanager
def way_to_a_model(environment: Mapping[str, str]) -> Iterator[tuple[str, str, ClientArgs]]:
    """Yield a description of the model, its id and the settings that reach it."""
    model_id = environment.get("PORTKEY_TEST_MODEL")
    if environment.get("PORTKEY_API_KEY"):
        where = environment.get("PORTKEY_BASE_URL") or "the hosted gateway"
        yield f"a real model through {where}", model_id or "@openai/gpt-4o-mini", {}
        return
    with running_gateway() as gateway:
        for provider, default in (("openai", "gpt-4o-mini"), ("anthropic", "claude-haiku-4-5")):
            if key := environment.get(f"{provider.upper()}_API_KEY"):
                who = f"a real model of {provider} through the gateway at {gateway.base_url}"
                here: ClientArgs = {"base_url": gateway.base_url, "provider": provider, "Authorization": key}
                yield who, model_id or default, here
                return
        with Upstream(answer) as upstream:
            here = {
                "base_url": gateway.base_url,
                "provider": "openai",
                "custom_host": upstream.base_url,
                "Authorization": "none-needed",
            }
            yield f"a scripted model through the gateway at {gateway.base_url}", "gpt-4o", here


def main() -> int:
    """Run the demo and return its exit status."""
    answers: list[ResponseMetadata] = []
    with way_to_a_model(os.environ) as (who, model_id, client_args):
        print(f"An agent with two tools asks {who}; model {model_id}.")
        print("Its text and the input of its tools are printed as they come, the gateway's facts at the end.\n")
        print(f"> {QUESTION}\n")
        client_args["trace_id"] = f"demo-{os.getpid()}"
        client_args["metadata"] = {"environment": "demo"}
        model = PortkeyModel(client_args, on_response=answers.append, model_id=model_id)
        agent = Agent(model=model, tools=[get_weather, get_time], callback_handler=Printer())
        result = agent(QUESTION)

    usage = result.metrics.accumulated_usage
    print("\nWhat the gateway said:")
    for number, metadata in enumerate(answers, 1):
        print(facts(number, metadata))
    print(f"  tokens: {usage['inputTokens']} in, {usage['outputTokens']} out")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (PortkeyError, GatewayError) as failure:
        sys.exit(f"\n{type(failure).__name__}: {failure}")
