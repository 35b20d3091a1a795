"""The command as a user runs it, against the real gateway."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
from collections.abc import Mapping, Sequence

import pytest

from tests_integ.gateway import Gateway
from tests_integ.upstream import Upstream, json_reply
from tests_integ.wires import openai

KEY = "sk-top-secret-0123456789"
SECONDS = 60
ROUTED = ("--provider", "openai", "--model", "gpt-4o")


COMMAND = [sys.executable, "-W", "error", "-m", "strands_portkey"]


def environment(base_url: str) -> dict[str, str]:
    """Return an environment with a provider's key, which must not get out."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PORTKEY_")}
    return {**kept, "PORTKEY_BASE_URL": base_url, "PORTKEY_PROVIDER_KEY": KEY}


def run(*argv: str, base_url: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    """Run the command with something piped to it."""
    done = subprocess.run(
        [*COMMAND, *argv],
        env=environment(base_url),
        input=typed,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
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
    # At another address a server counts as one that copies OpenAI, which rarely has Responses.
    openais = ("--header", f"x-portkey-custom-host: http://api.openai.com:{patient_upstream.port}/v1")
    done = run("doctor", *ROUTED, *argv, *openais, base_url=gateway.base_url)

    assert (done.returncode, done.stderr, done.stdout.splitlines()[-1]) == (0, "", "all fine")
    assert "with api responses" in done.stdout


def test_a_chat_answers_on_responses(gateway: Gateway, patient_upstream: Upstream) -> None:
    way = (*ROUTED, "--api", "responses", *host(patient_upstream), "-v", "Hi")
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
    assert "\nskipped  9 checks " in done.stdout


def test_a_doctor_passes_on_what_the_gateway_says_of_a_config(gateway: Gateway) -> None:
    done = run("doctor", "--model", "gpt-4o", "--config", '{"retry": {"attempts": 1}}', base_url=gateway.base_url)

    assert done.returncode == 1
    assert "failed   stream" in done.stdout
    assert "Fix: set --provider" in done.stdout


def test_a_chat_answers_one_prompt(gateway: Gateway, patient_upstream: Upstream) -> None:
    done = run("chat", *ROUTED, *host(patient_upstream), "-v", "Hi", base_url=gateway.base_url)

    assert (done.returncode, done.stdout) == (0, "Hello to you, my friend.\n")
    assert done.stderr.splitlines()[0] == "Five words."
    assert "provider openai, model gpt-4o, cache DISABLED, retries 0" in done.stderr
    assert "tokens 10 in, 5 out]" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("[gpt-4o, 10 tokens in, 5 out, ")


def test_a_chat_asks_once_about_what_is_piped_to_it(gateway: Gateway, patient_upstream: Upstream) -> None:
    way = (*ROUTED, *host(patient_upstream), "Summarise this")
    done = run("chat", *way, base_url=gateway.base_url, typed="Line one.\n\n  Line two.\n")

    assert (done.returncode, done.stdout) == (0, "Hello to you, my friend.\n")
    assert [request.json["messages"] for request in patient_upstream.requests] == [
        [{"role": "user", "content": "Summarise this\n\nLine one.\n\n  Line two."}]
    ]


def test_a_chat_whose_answer_is_cut_by_head_ends_quietly(gateway: Gateway, upstream: Upstream) -> None:
    upstream.reply(openai.stream(openai.text(*("A long story. " for _ in range(5000)))))
    command = [*COMMAND, "chat", *ROUTED, *host(upstream), "Tell me a long story"]
    chat = subprocess.Popen(
        command,
        env=environment(gateway.base_url),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert chat.stdout
    head = subprocess.run(["head", "-c", "30"], stdin=chat.stdout, capture_output=True, timeout=SECONDS, check=True)  # noqa: S607
    chat.stdout.close()
    _, err = chat.communicate(timeout=SECONDS)

    assert (chat.returncode, head.stdout, err) == (141, b"A long story. A long story. A ", b"")


class Person:
    """Someone at a terminal in which the command runs."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start the command."""
        self._master, slave = pty.openpty()
        self.process = subprocess.Popen(
            command, env={**environment, "TERM": "xterm"}, stdin=slave, stdout=slave, stderr=slave
        )
        os.close(slave)
        self.seen = ""

    def type(self, text: str) -> None:
        """Type a text."""
        os.write(self._master, text.encode())

    def wait_for(self, text: str) -> None:
        """Wait until a text has been shown since the last call."""
        while text not in self.seen:
            assert select.select([self._master], [], [], SECONDS)[0], self.seen
            self.seen += os.read(self._master, 65536).decode()
        self.seen = self.seen.partition(text)[2]

    def close(self) -> None:
        """Close the terminal."""
        os.close(self._master)


PASTES = {
    "that the terminal marks": ("\x1b[200~one\rtwo\r\r  four\rfive\x1b[201~", "\r"),
    "that it does not mark": ("one\rtwo\r\r  four\rfive\r", ""),
}


@pytest.mark.parametrize(("pasted", "then"), PASTES.values(), ids=PASTES)
def test_a_block_pasted_in_a_terminal_is_one_prompt(
    gateway: Gateway, patient_upstream: Upstream, pasted: str, then: str
) -> None:
    command = [*COMMAND, "chat", *ROUTED, *host(patient_upstream)]
    person = Person(command, environment(gateway.base_url))
    person.wait_for("> ")
    person.type(pasted)
    if then:
        person.wait_for("five")
    person.type(then)
    person.wait_for("Hello to you, my friend.")
    person.wait_for("> ")
    person.type("\x04")
    status = person.process.wait(SECONDS)
    person.close()

    assert status == 0
    assert [request.json["messages"] for request in patient_upstream.requests] == [
        [{"role": "user", "content": "one\ntwo\n\n  four\nfive"}]
    ]


def test_the_models_of_the_provider_are_listed(gateway: Gateway, upstream: Upstream) -> None:
    upstream.reply(json_reply({"object": "list", "data": [{"id": "gpt-4o", "object": "model"}]}))

    done = run("models", "--provider", "openai", *host(upstream), base_url=gateway.base_url)

    assert (done.returncode, done.stdout, done.stderr) == (0, "gpt-4o\n", "")


def test_models_without_a_provider_are_explained(gateway: Gateway) -> None:
    done = run("models", base_url=gateway.base_url)

    assert (done.returncode, done.stdout) == (1, "")
    assert "Fix: " in done.stderr


def test_a_chat_without_a_gateway_says_what_to_check() -> None:
    with Upstream() as gone:
        base_url = gone.base_url

    done = run("chat", *ROUTED, "Hi", base_url=base_url)

    assert (done.returncode, done.stdout) == (1, "")
    *waits, error = done.stderr.splitlines()
    assert [wait.partition(" s, trying again after: cannot reach")[0][:8] for wait in waits] == 2 * ["waiting "]
    assert error.startswith("error: cannot reach the gateway")
    assert "Fix: check --base-url" in error
