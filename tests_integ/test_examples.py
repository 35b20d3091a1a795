"""Each file of `examples`, run as a program through the real gateway; what it prints is compared whole."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests_integ.gateway import START_SECONDS, Gateway, free_port
from tests_integ.upstream import Gate, Reply, Request, Upstream
from tests_integ.wires import anthropic, openai

EXAMPLES = Path(__file__).parent / "examples"
SECONDS = 60


def environment(base_url: str, upstream: Upstream, **more: str) -> dict[str, str]:
    """Return what an example reads; the upstream tells the providers apart by their paths."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PORTKEY_")}
    return {
        **kept,
        "PORTKEY_BASE_URL": base_url,
        "OPENAI_API_KEY": "sk-openai",
        "OPENAI_CUSTOM_HOST": f"{upstream.url}/openai/v1",
        "ANTHROPIC_API_KEY": "sk-ant-anthropic",
        "ANTHROPIC_CUSTOM_HOST": f"{upstream.url}/anthropic/v1",
        "PYTHONIOENCODING": "utf-8",
        **more,
    }


# -- the models --------------------------------------------------------------------------------------------------------


def system_prompt(request: Request) -> str:
    return str(next(each["content"] for each in request.json["messages"] if each["role"] == "system"))


def answer_with_tools(request: Request) -> Reply:
    """Ask for both tools in the first question and for none in the second."""
    *_, last = messages = request.json["messages"]
    if last["content"] == "Thank you.":
        return openai.stream(openai.text("You are ", "welcome."))
    results = [each["content"] for each in messages if each["role"] == "tool"]
    if not results:
        return openai.stream(
            openai.tool_call(0, "call_0", "get_weather", '{"city":', '"Paris"}'),
            openai.tool_call(1, "call_1", "get_population", '{"city":', '"Paris"}'),
        )
    return openai.stream(openai.text(f"In Paris there is {results[0]} ", f"for {results[1]} people."))


def translate(request: Request) -> Reply:
    greetings = {"French": "Bonjour", "Spanish": "Buenos días", "Italian": "Buongiorno"}
    language = system_prompt(request).removeprefix("Translate into ").partition(".")[0]
    return openai.stream(openai.text(greetings[language]))


def report(request: Request) -> Reply:
    if "facts" in system_prompt(request):
        return openai.stream(openai.text("330 m, ", "1889, ", "iron"))
    assert "330 m, 1889, iron" in json.dumps(request.json["messages"])
    return openai.stream(openai.text("An iron tower of 330 m from 1889."))


def read_invoice(request: Request) -> Reply:
    assert [tool["function"]["name"] for tool in request.json["tools"]] == ["Invoice"]
    return openai.stream(openai.tool_call(0, "call_0", "Invoice", '{"number":"A-17",', '"total":119.0,"paid":true}'))


def fail_at_openai(request: Request) -> Reply:
    if request.path.startswith("/openai/"):
        return openai.error(503, "Overloaded", kind="server_error")
    return anthropic.stream(anthropic.text("Paris."))


def answer_by_provider(request: Request) -> Reply:
    if request.path.startswith("/openai/"):
        assert request.json["model"] == "gpt-4o-mini"
        return openai.stream(openai.text("On its way."), model="gpt-4o-mini-2024-07-18")
    assert (request.json["model"], request.json["temperature"]) == ("claude-sonnet-4-5", 0)
    return anthropic.stream(anthropic.text("I have it sent to you."), model="claude-sonnet-4-5-20250929")


class Cache:
    """A model that caches what stands before a mark, as Anthropic does."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def __call__(self, request: Request) -> Reply:
        (block,) = request.json["system"]
        assert block["cache_control"] == {"type": "ephemeral"}
        kind = "cache_read_input_tokens" if block["text"] in self._known else "cache_creation_input_tokens"
        said = "They cost 5 euros." if self._known else "30 days."
        self._known.add(block["text"])
        return anthropic.stream(anthropic.text(said), usage={"input_tokens": 12, "output_tokens": 8, kind: 2108})


def answer_paris(request: Request) -> Reply:
    assert "password" not in request.body.decode()
    return openai.stream(openai.text("Paris."))


def look_up_price(request: Request) -> Reply:
    last = request.json["messages"][-1]
    if last["role"] != "tool":
        return openai.stream(openai.tool_call(0, "call_0", "get_price", '{"product":', '"tea"}'))
    return openai.stream(openai.text(f"Tea costs {last['content']} euros."))


# -- the programs ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Example:
    """What an example is given, and what it prints.

    Attributes:
        script: The model behind the gateway.
        printed: All of standard output.
        typed: Standard input.
    """

    script: Callable[[Request], Reply]
    printed: str
    typed: str = ""


PROGRAMS = {
    "chat_with_tools": Example(
        answer_with_tools,
        "In Paris there is light rain, 9 °C for 2100000 people. {'get_weather': 1, 'get_population': 1}\n"
        "You are welcome. {'get_weather': 1, 'get_population': 1}\n",
        typed="What is the weather in Paris, and for how many people?\nThank you.\n",
    ),
    "parallel_agents": Example(translate, "French: Bonjour\nSpanish: Buenos días\nItalian: Buongiorno\n"),
    "graph": Example(
        report,
        "research: 330 m, 1889, iron\nwrite: An iron tower of 330 m from 1889.\n"
        "completed, traces ['report-1', 'report-1']\n",
    ),
    "structured_output": Example(read_invoice, "Invoice(number='A-17', total=119.0, paid=True)\n"),
    "fallback": Example(fail_at_openai, "config.targets[1]: anthropic, claude-sonnet-4-5, status 200\nParis.\n\n"),
    "per_call_routing": Example(
        answer_by_provider,
        "openai, gpt-4o-mini-2024-07-18, trace support\nOn its way.\n\n"
        "anthropic, claude-sonnet-4-5-20250929, trace support-alice\nI have it sent to you.\n\n",
    ),
    "caching": Example(
        Cache(),
        "30 days. (12 fresh, 2108 written, 0 read, 8 out: $0.0081)\n"
        "They cost 5 euros. (12 fresh, 0 written, 2108 read, 8 out: $0.0008)\n",
    ),
    "guardrail": Example(
        answer_paris,
        "end_turn: Paris.\nguardrail_intervened: The guardrail checks defined in the config failed. You can find more "
        "information in the `hook_results` object.\n",
    ),
    "mcp_tools": Example(look_up_price, "Tea costs 4.5 euros.\n\n"),
}
SERVERS = {"fastapi_stream"}


def test_each_example_is_run() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.py")} == PROGRAMS.keys() | SERVERS


@pytest.mark.parametrize("name", PROGRAMS)
def test_an_example_prints_what_it_promises(name: str, gateway: Gateway, upstream: Upstream) -> None:
    example = PROGRAMS[name]
    upstream.script = example.script

    done = subprocess.run(
        [sys.executable, str(EXAMPLES / f"{name}.py")],
        input=example.typed,
        env=environment(gateway.base_url, upstream),
        capture_output=True,
        encoding="utf-8",
        timeout=SECONDS,
        check=False,
    )

    assert done.stdout == example.printed, done.stderr
    assert done.returncode == 0


# -- the web server ----------------------------------------------------------------------------------------------------


@contextmanager
def serving(base_url: str, upstream: Upstream) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run the web server; yield its address and its process."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with subprocess.Popen(
        [sys.executable, str(EXAMPLES / "fastapi_stream.py")],
        env=environment(base_url, upstream, PORT=str(port)),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        deadline = time.monotonic() + START_SECONDS
        try:
            while not answers(url):
                assert process.poll() is None, "the server has ended"
                assert time.monotonic() < deadline, "the server does not answer"
                time.sleep(0.02)  # A process that starts up gives no event to wait for.
            yield url, process
        finally:
            process.terminate()


def answers(url: str) -> bool:
    try:
        httpx.get(url, timeout=1)
    except httpx.TransportError:
        return False
    return True


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def test_the_web_server_streams_an_answer(gateway: Gateway, upstream: Upstream) -> None:
    gate = Gate()
    upstream.reply(openai.stream(openai.text("Par"), gate, openai.text("is.")))
    with serving(gateway.base_url, upstream) as (url, process):
        with httpx.stream("GET", f"{url}/ask", params={"question": "Capital?"}, timeout=SECONDS) as response:
            pieces = response.iter_bytes()
            first = next(pieces)
            gate.open()

            assert (first, b"".join(pieces)) == (b"Par", b"is.")

        assert line_of(process) == "Capital? end_turn\n"


def test_a_client_that_hangs_up_ends_the_call_of_the_web_server(upstream: Upstream) -> None:
    upstream.reply(openai.stream(openai.text("Par"), Gate(), openai.text("is.")))
    # The upstream stands in the gateway's place, so that it sees the end of the connection.
    with serving(f"{upstream.url}/v1", upstream) as (url, process):
        with httpx.stream("GET", f"{url}/ask", params={"question": "Capital?"}, timeout=SECONDS) as response:
            assert next(response.iter_bytes()) == b"Par"

        assert line_of(process) == "Capital? cancelled\n"
        upstream.gone(upstream.requests[0].connection).result(10)
