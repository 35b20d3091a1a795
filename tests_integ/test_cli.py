"""The command as a user runs it, against the real gateway."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests_integ.gateway import Gateway
from tests_integ.upstream import Upstream

KEY = "sk-top-secret-0123456789"
SECONDS = 60
ROUTED = ("--provider", "openai", "--model", "gpt-4o")


def run(*argv: str, base_url: str, typed: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command with a provider's key in its environment, which must not get out."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PORTKEY_")}
    environment = {**kept, "PORTKEY_BASE_URL": base_url, "PORTKEY_PROVIDER_KEY": KEY}
    command = [sys.executable, "-W", "error", "-m", "strands_portkey", *argv]
    done = subprocess.run(
        command, env=environment, input=typed, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert KEY not in done.stdout + done.stderr
    return done


def host(upstream: Upstream) -> tuple[str, str]:
    return "--header", f"x-portkey-custom-host: {upstream.base_url}"


def test_a_doctor_finds_no_fault_with_the_real_gateway(gateway: Gateway, patient_upstream: Upstream) -> None:
    done = run("doctor", *ROUTED, *host(patient_upstream), base_url=gateway.base_url)

    lines = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, "")
    assert [line[:9].strip() for line in lines] == 11 * ["ok"] + ["all fine"]
    assert "open-source" in lines[2]
    assert {request.header("authorization") for request in patient_upstream.requests} == {f"Bearer {KEY}"}


@pytest.mark.parametrize("argv", [("--api", "responses"), ("--model", "gpt-5.6")])
def test_a_doctor_finds_no_fault_on_responses(
    gateway: Gateway, patient_upstream: Upstream, argv: tuple[str, str]
) -> None:
    done = run("doctor", *ROUTED, *argv, *host(patient_upstream), base_url=gateway.base_url)

    assert (done.returncode, done.stderr, done.stdout.splitlines()[-1]) == (0, "", "all fine")
    assert "with api responses" in done.stdout


def test_a_chat_answers_on_responses(gateway: Gateway, patient_upstream: Upstream) -> None:
    way = (*ROUTED, "--api", "responses", *host(patient_upstream), "--prompt", "Hi")
    done = run("chat", *way, base_url=gateway.base_url)

    assert (done.returncode, done.stdout) == (0, "Hello to you, my friend.\n")
    assert "status 200, api responses, provider openai" in done.stderr


def test_a_doctor_prints_json(gateway: Gateway, patient_upstream: Upstream) -> None:
    done = run("doctor", "--json", *ROUTED, *host(patient_upstream), base_url=gateway.base_url)

    report = json.loads(done.stdout)
    assert (done.returncode, report["ok"]) == (0, True)
    assert {check["status"] for check in report["checks"]} == {"ok"}


def test_a_doctor_explains_a_missing_provider(gateway: Gateway) -> None:
    done = run("doctor", "--model", "gpt-4o", base_url=gateway.base_url)

    assert done.returncode == 1
    assert "failed   routing" in done.stdout
    assert "Fix: give --provider" in done.stdout


def test_a_doctor_reports_an_address_where_nothing_listens() -> None:
    with Upstream() as gone:
        base_url = gone.base_url

    done = run("doctor", *ROUTED, base_url=base_url)

    assert done.returncode == 1
    assert "failed   connection" in done.stdout
    assert done.stdout.count("\nskipped ") == 9


def test_a_doctor_passes_on_what_the_gateway_says_of_a_config(gateway: Gateway) -> None:
    done = run("doctor", "--model", "gpt-4o", "--config", '{"retry": {"attempts": 1}}', base_url=gateway.base_url)

    assert done.returncode == 1
    assert "failed   stream" in done.stdout
    assert "Fix: set --provider" in done.stdout


def test_a_chat_answers_one_prompt(gateway: Gateway, patient_upstream: Upstream) -> None:
    done = run("chat", *ROUTED, *host(patient_upstream), "--prompt", "Hi", base_url=gateway.base_url)

    assert (done.returncode, done.stdout) == (0, "Hello to you, my friend.\n")
    assert done.stderr.splitlines()[0] == "Five words."
    assert "provider openai, model gpt-4o, cache DISABLED, retries 0" in done.stderr
    assert "tokens 10 in, 5 out]" in done.stderr


def test_a_chat_reads_what_is_piped_to_it(gateway: Gateway, patient_upstream: Upstream) -> None:
    done = run("chat", *ROUTED, *host(patient_upstream), base_url=gateway.base_url, typed="Hi\nAgain\n")

    assert (done.returncode, done.stdout) == (0, 2 * "Hello to you, my friend.\n")
    assert [len(request.json["messages"]) for request in patient_upstream.requests] == [1, 3]
