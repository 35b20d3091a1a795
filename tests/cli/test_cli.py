"""The command: what it prints, its exit status, and that no secret is shown; the gateway is a scripted server."""

from __future__ import annotations

import builtins
import json
import os
import runpy
import signal
import socket
import ssl
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Any
from urllib.error import URLError

import pytest
from strands import Agent
from strands.types.exceptions import EventLoopException

from strands_portkey import PortkeyConfigError, PortkeyStreamError, __version__
from strands_portkey._cli.features import _Answer, _check_output
from strands_portkey._cli.gateway import check_connection
from strands_portkey._cli.main import _make_parser, main, parse
from strands_portkey._cli.settings import explain, read_settings
from strands_portkey._cli.terminal import Terminal
from tests_integ import patient
from tests_integ.upstream import Gate, Reply, Request, Upstream, json_reply
from tests_integ.wires import openai

KEY = "sk-top-secret-0123456789"
PORTKEY_KEY = "top-secret-of-portkey"
FINE = [
    "settings",
    "connection",
    "gateway",
    "routing",
    "key",
    "stream",
    "usage",
    "tools",
    "parallel tools",
    "structured output",
    "reasoning",
]
HEALTH = {"status": "success", "message": "Server is healthy", "version": "2.2.3"}
CUT = Reply(200, {"content-type": "text/event-stream"}, [openai.chunk({"content": "Hel"})], "cut")


def shown_parts(text: str) -> list[str]:
    """Return the parts of the key, of eight characters each, that a text shows."""
    parts = [KEY[at : at + 8] for at in range(len(KEY) - 7)]
    return [part for part in parts if part in text]


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "NO_COLOR", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server() -> Iterator[Upstream]:
    with Upstream(patient.gateway) as running:
        yield running


@pytest.fixture
def run(server: Upstream, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Return a function that runs the command against the server."""

    def run(*argv: str, way: tuple[str, ...] = ("--provider", "openai", "--model", "gpt-4o")) -> tuple[int, str, str]:
        command, *more = argv
        status = main([command, "--base-url", server.base_url, *way, *more])
        out, err = capsys.readouterr()
        assert KEY not in out + err
        return status, out, err

    return run


@pytest.fixture
def examine(run) -> Callable[..., tuple[int, dict[str, dict[str, Any]]]]:
    """Return a function that runs the doctor and returns its checks by name."""

    def examine(*argv: str, **more: Any) -> tuple[int, dict[str, dict[str, Any]]]:
        status, out, _ = run("doctor", "--json", *argv, **more)
        report = json.loads(out)
        assert report["ok"] == (status == 0)
        assert [check["name"] for check in report["checks"]] == FINE
        return status, {check["name"]: check for check in report["checks"]}

    return examine


def play(server: Upstream, model: Callable[[Request], Reply], **gets: Reply) -> None:
    """Let a model answer posts, and the gateway answer what is got by the last part of its path."""

    def script(request: Request) -> Reply:
        if request.method == "POST":
            return model(request)
        return gets.get(request.path.rpartition("/")[2], json_reply({}, 404)) if gets else patient.HEY

    server.script = script


def statuses(checks: dict[str, dict[str, Any]]) -> list[str]:
    return [check["status"] for check in checks.values()]


# -- doctor ------------------------------------------------------------------------------------------------------------


def test_a_doctor_that_finds_no_fault_prints_a_line_for_each_check(run):
    status, out, err = run("doctor")

    lines = out.splitlines()
    assert (status, err) == (0, "")
    assert [line[9:27].strip() for line in lines[:-1]] == FINE
    assert all(line.startswith("ok ") for line in lines[:-1])
    assert lines[-1] == "all fine"
    assert "Hello" not in out


@pytest.mark.parametrize(
    ("argv", "model", "api"),
    [
        ((), "gpt-4o", "chat"),
        ((), "gpt-5.6", "responses"),
        (("--api", "responses"), "gpt-4o", "responses"),
        (("--api", "chat"), "gpt-5.6", "chat"),
    ],
)
def test_a_doctor_says_which_protocol_tools_go_over(run, argv, model, api):
    status, out, _ = run("doctor", *argv, way=("--provider", "openai", "--model", model))

    assert (status, out.splitlines()[-1]) == (0, "all fine")
    assert f"a tool was called with api {api}, and" in out


def test_a_doctor_names_the_option_where_a_provider_lacks_the_protocol(run):
    status, out, _ = run("doctor", "--api", "responses", way=("--provider", "groq", "--model", "m"))

    assert status == 1
    assert "--api responses must be for upstreams that have this protocol" in out
    assert "Fix: set --api chat" in out


def test_a_doctor_sends_the_settings_and_keys_of_the_environment(run, server, monkeypatch, tmp_path):
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"provider": "openai", "api_key": KEY}))
    monkeypatch.setenv("PORTKEY_API_KEY", PORTKEY_KEY)
    monkeypatch.setenv("PORTKEY_PROVIDER_KEY", KEY)

    way = ("--config", f"@{config}", "--model", "gpt-4o", "--metadata", '{"_user": "zoe"}', "--upstream", "openai")
    status, out, _ = run("doctor", "--params", '{"seed": 7}', "--header", f"x-team:  {KEY}", way=way)

    request = server.requests[-1]
    assert status == 0
    assert request.header("x-portkey-config") == '{"provider":"openai","api_key":"' + KEY + '"}'
    assert request.header("x-portkey-metadata") == '{"_user":"zoe"}'
    assert request.header("x-portkey-api-key") == PORTKEY_KEY
    assert request.header("authorization") == f"Bearer {KEY}"
    assert request.header("x-team") == KEY
    assert request.json["seed"] == 7
    assert "Portkey key set, provider key from PORTKEY_PROVIDER_KEY" in out
    assert "an inline config" in out
    assert all(request.header("x-portkey-api-key") is None for request in server.requests if request.method == "GET")


def test_the_provider_names_the_variable_of_its_key(run, server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)

    _, out, _ = run("doctor")

    assert server.requests[-1].header("authorization") == f"Bearer {KEY}"
    assert "provider key from OPENAI_API_KEY" in out


def test_an_option_names_the_variable_of_the_providers_key(run, server, monkeypatch):
    monkeypatch.setenv("MY_KEY", KEY)

    run("doctor", "--authorization", "MY_KEY")

    assert server.requests[-1].header("authorization") == f"Bearer {KEY}"


WRONG_SETTINGS = {
    "a key where the name of a variable belongs": (("--authorization", KEY), "name of an environment variable"),
    "a config that is no JSON": (("--config", '{"api_key": "' + KEY), "--config must be JSON; got other text"),
    "a config in a file that is not there": (
        ("--config", f"@{KEY}"),
        "must name a readable file; got FileNotFoundError",
    ),
    "a protocol that does not exist": (("--api", "telex"), "api must be 'auto', 'chat', 'responses' or 'messages'"),
    "an upstream that nobody knows": (("--upstream", "nobody"), "upstream must be one of anthropic, bedrock"),
}


@pytest.mark.parametrize(("argv", "said"), WRONG_SETTINGS.values(), ids=WRONG_SETTINGS)
def test_wrong_settings_fail_and_the_rest_is_skipped(examine, server, argv, said):
    status, checks = examine(*argv)

    assert status == 1
    assert statuses(checks) == ["failed"] + 10 * ["skipped"]
    assert said in checks["settings"]["detail"]
    assert checks["reasoning"]["detail"] == "since settings failed"
    assert server.requests == []


def test_a_warning_is_shown_with_the_settings(server, monkeypatch, capsys):
    monkeypatch.setenv("http_proxy", server.url)

    main(["doctor", "--base-url", "http://gateway.example.com"])

    assert "is plain http: keys and prompts are sent unencrypted" in capsys.readouterr().out.splitlines()[0]


def test_a_remote_gateway_that_is_not_reached_is_reported(monkeypatch, capsys):
    with Upstream() as gone:
        monkeypatch.setenv("http_proxy", gone.url)

    status = main(["doctor", "--base-url", "http://gateway.example.com"])

    assert status == 1
    assert "Fix: check --base-url or PORTKEY_BASE_URL, the network" in capsys.readouterr().out


def test_an_address_where_nothing_listens_is_reported(capsys):
    with Upstream() as gone:
        base_url = gone.base_url

    status = main(["doctor", "--base-url", base_url])

    lines = capsys.readouterr().out.splitlines()
    assert status == 1
    assert lines[1].startswith(f"failed   connection         nothing answers at {base_url}: ")
    assert "refused. Fix: start a gateway, such as `docker run" in lines[1]
    assert lines[2:] == [f"skipped  {name:18} since connection failed" for name in FINE[2:]] + ["something failed"]


@pytest.mark.parametrize("answer", [b"SSH-2.0-OpenSSH_9.6\r\n", b""], ids=["another protocol", "nothing"])
def test_a_server_that_does_not_speak_http_is_not_a_gateway(capsys, answer):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def speak() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(answer)

        thread = threading.Thread(target=speak)
        thread.start()
        main(["doctor", "--base-url", f"http://127.0.0.1:{listener.getsockname()[1]}"])
        thread.join()

    assert "Fix: check whether it is http or https" in capsys.readouterr().out.splitlines()[1]


def test_a_certificate_that_is_not_trusted_is_reported():
    refused = "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate"
    page = ssl.SSLCertVerificationError(1, refused)
    settings = read_settings(_make_parser().parse_args(["doctor", "--base-url", "https://gateway.example.com"]))

    check = check_connection(settings, URLError(page))

    assert check.fix == "set SSL_CERT_FILE to the CA certificates of your gateway"


GATEWAYS = {
    "enterprise": ({"health": json_reply(HEALTH)}, ("ok", "enterprise, version 2.2.3")),
    "unknown": (
        {"health": json_reply({"status": "up"})},
        ("not seen", "the server that answers (status 404) does not identify itself as a Portkey gateway"),
    ),
    "silent": (
        {"health": Reply(None)},
        ("not seen", "the server that answers (status 404) does not identify itself as a Portkey"),
    ),
}


@pytest.mark.parametrize(("gets", "expected"), GATEWAYS.values(), ids=GATEWAYS)
def test_the_kind_of_gateway_is_recognised_by_its_answers(examine, server, gets, expected):
    play(server, patient.answer, **gets)

    status, checks = examine(way=("--model", "gpt-4o"))

    assert (checks["gateway"]["status"], checks["gateway"]["detail"][: len(expected[1])]) == expected
    assert checks["routing"]["detail"] == "the default config of the API key"
    assert status == 0


def test_the_hosted_gateway_is_known_by_its_name(server, monkeypatch, capsys):
    play(server, patient.answer, health=json_reply(HEALTH))
    monkeypatch.setenv("HTTP_PROXY", server.url)
    monkeypatch.setenv("http_proxy", server.url)

    status = main(["doctor", "--base-url", "http://api.portkey.ai", "--model", "@openai/gpt-4o", "--config", "pc-1"])

    out = capsys.readouterr().out
    assert "hosted, version 2.2.3" in out
    assert "config pc-1 and the slug of the model or a virtual key" in out
    assert status == 0


UNROUTED = {
    "nothing": (("--model", "gpt-4o"), "neither a provider nor a config", "give --provider"),
    "a slug": (("--model", "@openai/gpt-4o"), "reads neither '@slug/model'", "give --provider"),
    "the id of a config": (("--model", "gpt-4o", "--config", "pc-1"), "no saved configs such as pc-1", "give --config"),
    "a slug as provider": (("--model", "gpt-4o", "--provider", "@prod"), "no slugs such as @prod", "give --provider"),
    "no model": (("--provider", "openai"), "no model is named", "give --model"),
}


@pytest.mark.parametrize(("way", "detail", "fix"), UNROUTED.values(), ids=UNROUTED)
def test_missing_routing_is_explained_before_a_request_is_made(examine, server, way, detail, fix):
    status, checks = examine(way=way)

    assert status == 1
    assert statuses(checks) == 3 * ["ok"] + ["failed"] + 7 * ["skipped"]
    assert detail in checks["routing"]["detail"]
    assert checks["routing"]["fix"].startswith(fix)
    assert {request.method for request in server.requests} == {"GET"}


@pytest.mark.parametrize(
    ("code", "said"), [(401, "Incorrect key"), (400, "API key not valid")], ids=["openai", "google"]
)
def test_a_key_that_does_not_work_is_reported(examine, server, monkeypatch, code, said):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    play(server, lambda _: openai.error(code, f"{said}: {KEY}"))

    status, checks = examine()

    assert status == 1
    assert statuses(checks) == 4 * ["ok"] + ["failed"] + 6 * ["skipped"]
    assert f"{said}: ***" in checks["key"]["detail"]


def test_streams_that_end_with_500_are_attributed_to_the_npm_install(examine, server):
    def model(request: Request) -> Reply:
        if not request.json.get("stream"):
            return patient.answer(request)
        headers = {"x-portkey-gateway-exception": "true"}
        return json_reply({"status": "failure", "message": "Something went wrong"}, 500, headers)

    play(server, model)

    status, checks = examine()

    assert status == 1
    assert statuses(checks) == 5 * ["ok"] + ["failed"] + 5 * ["skipped"]
    assert "streams end with status 500" in checks["stream"]["detail"]
    assert "pin @hono/node-server to 1.13.5 and hono to 4.9.7" in checks["stream"]["fix"]


@pytest.mark.parametrize(
    "failure",
    [json_reply({"status": "failure", "message": "Something went wrong"}, 500), openai.error(404, "no such model")],
    ids=["with and without a stream", "no such model"],
)
def test_a_request_that_fails_does_not_show_whether_the_key_works(examine, server, failure):
    play(server, lambda _: failure)

    status, checks = examine()

    assert status == 1
    assert statuses(checks)[4:6] == ["skipped", "failed"]
    assert checks["key"]["detail"] == "not known, since the request failed for another reason"


def test_a_cut_stream_is_no_failure_of_the_key(examine, server):
    play(server, lambda _: CUT)

    _, checks = examine()

    assert statuses(checks)[4:6] == ["skipped", "failed"]
    assert "broke off" in checks["stream"]["detail"]


def test_a_model_that_sends_only_text_leaves_the_other_checks_open(examine, server):
    play(server, lambda _: openai.stream(openai.text("No."), usage=None))

    status, checks = examine()

    assert status == 1
    assert statuses(checks) == 6 * ["ok"] + ["not seen"] * 3 + ["failed", "not seen"]
    assert checks["parallel tools"]["detail"] == "the model called the two tools not at all; that is its choice"


def test_an_answer_without_text_leaves_the_stream_check_open(examine, server):
    play(server, lambda _: openai.stream(openai.reasoning("Hm.")))

    _, checks = examine()

    assert checks["stream"]["status"] == "not seen"


def test_parallel_tools_and_reasoning_that_are_not_seen_are_no_failure(examine, server):
    def model(request: Request) -> Reply:
        results = [message for message in request.json["messages"] if message["role"] == "tool"]
        names = [tool["function"]["name"] for tool in request.json.get("tools", ())]
        if "City" not in names and len(results) < len(names):
            name = names[len(results)]
            return openai.stream(openai.tool_call(0, f"call_{len(results)}", name, '{"city":"Paris"}'))
        return patient.answer(request) if "City" in names else openai.stream(openai.text("Rain."))

    play(server, model)

    status, checks = examine()

    assert status == 0
    assert (
        checks["parallel tools"]["detail"] == "the model called the two tools one after the other; that is its choice"
    )
    assert [name for name, check in checks.items() if check["status"] == "not seen"] == ["parallel tools", "reasoning"]


def test_tools_that_fail_do_not_keep_the_doctor_from_going_on(examine, server):
    play(server, lambda request: openai.error(400, "no tools") if "tools" in request.json else patient.answer(request))

    status, checks = examine()

    assert status == 1
    assert [name for name, check in checks.items() if check["status"] == "failed"] == FINE[7:10]
    assert "no tools" in checks["tools"]["detail"]


def test_a_model_that_calls_tools_for_ever_is_stopped(examine, server):
    def model(request: Request) -> Reply:
        names = [tool["function"]["name"] for tool in request.json.get("tools", ())]
        if "get_weather" in names:
            return openai.stream(openai.tool_call(0, f"call_{len(server.requests)}", "get_weather", '{"city":"Rome"}'))
        return patient.answer(request)

    play(server, model)

    status, _ = examine()

    assert status == 0
    assert len(server.requests) < 14


def test_an_answer_that_fits_no_schema_is_not_seen():
    assert _check_output(_Answer([])).status == "not seen"


# -- chat --------------------------------------------------------------------------------------------------------------


def test_one_prompt_prints_the_answer_to_stdout_and_all_else_to_stderr(run, server):
    status, out, err = run("chat", "--prompt", "Hi", "--system", "Be short.")

    assert (status, out) == (0, "Hello to you, my friend.\n")
    assert err == "Five words.\n[status 200, model gpt-4o, tokens 10 in, 5 out]\n"
    assert server.requests[-1].json["messages"][0] == {"role": "system", "content": "Be short."}


def test_the_facts_are_those_of_the_gateway(run, server):
    reply = patient.answer(Request("POST", "", (), b'{"stream": true}', 0))
    facts = {
        "x-portkey-provider": "openai",
        "x-portkey-cache-status": "MISS",
        "x-portkey-retry-attempt-count": "2",
        "x-portkey-last-used-option-index": "config.targets[1]",
        "x-portkey-trace-id": "t-1",
    }
    server.reply(Reply(200, {**reply.headers, **facts}, reply.pieces))

    _, _, err = run("chat", "--prompt", "Hi")

    assert err.splitlines()[-1] == (
        "[status 200, provider openai, model gpt-4o, cache MISS, retries 2, target config.targets[1], trace id t-1,"
        " tokens 10 in, 5 out]"
    )


def test_an_answer_on_another_protocol_than_chat_names_it(run, server):
    status, out, err = run("chat", "--api", "responses", "--prompt", "Hi")

    assert (status, out) == (0, "Hello to you, my friend.\n")
    assert err.splitlines()[0] == "Five words."
    assert err.splitlines()[-1].startswith("[status 200, api responses, model gpt-5.6")
    assert [request.path for request in server.requests] == ["/v1/responses"]


def test_the_input_of_tools_is_shown_as_it_comes(run):
    _, out, err = run("chat", "--prompt", "Weather?", "--tool", "strands_portkey._cli.features:get_weather")

    assert out == "Hello to you, my friend.\n"
    assert err.splitlines()[0] == 'get_weather({"city":"Paris"})'
    assert len([line for line in err.splitlines() if line.startswith("[status")]) == 2


def test_a_tool_that_cannot_be_loaded_is_wrong_usage(run):
    status, _, err = run("chat", "--prompt", "Hi", "--tool", "nowhere.at.all:tool")

    assert status == 2
    assert err.startswith("error: ")
    assert err.count("\n") == 1


def test_wrong_settings_are_wrong_usage(run):
    status, _, err = run("chat", "--prompt", "Hi", "--config", "{")

    assert status == 2
    assert err.startswith("error: --config must be JSON; got other text")


def test_warnings_come_first(server, monkeypatch, capsys):
    monkeypatch.setenv("http_proxy", server.url)

    status = main(["chat", "--base-url", "http://gateway.example.com", "--model", "gpt-4o", "--prompt", "Hi"])

    assert status == 0
    assert capsys.readouterr().err.startswith("warning: http://gateway.example.com/v1 is plain http")


def test_a_failed_answer_is_one_line_with_the_hint(run, server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    server.reply(openai.error(401, f"Incorrect key: {KEY}"))

    status, out, err = run("chat", "--prompt", "Hi")

    assert (status, out) == (1, "")
    assert err.splitlines()[-1].startswith("error: ")
    assert "Incorrect key: ***" in err
    assert "Fix: check" in err


def talk(monkeypatch: pytest.MonkeyPatch, *lines: str | type[BaseException]) -> None:
    """Let a person type lines, or press Ctrl-C or Ctrl-D."""
    typed = iter(lines)

    def read(_prompt: str) -> str:
        line = next(typed)
        if isinstance(line, str):
            return line
        raise line

    monkeypatch.setattr(builtins, "input", read)


def test_a_chat_goes_on_after_an_error_which_it_forgets(run, server, monkeypatch):
    talk(monkeypatch, "Hi", "", "Break", KeyboardInterrupt, "Again", EOFError)
    server.reply(openai.stream(openai.text("Hello")), CUT, openai.stream(openai.text("Back")))

    status, out, err = run("chat")

    assert (status, out) == (0, "Hello\nHel\nBack\n")
    assert "error: the answer broke off" in err
    assert [message["content"] for message in server.requests[-1].json["messages"]] == ["Hi", "Hello", "Again"]


def test_exit_ends_a_chat(run, server, monkeypatch):
    talk(monkeypatch, " /exit ")

    status, out, err = run("chat")

    assert (status, out) == (0, "")
    assert err == f"gpt-4o at {server.base_url}; Ctrl-C ends an answer, Ctrl-D the chat\n"


def press_at(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> threading.Thread:
    """Press Ctrl-C when an upstream gets to a gate, and open the gate when the agent has been cancelled.

    The first Strands that are supported see a cancellation only with the next piece of the answer.
    """
    cancelled, cancel = threading.Event(), Agent.cancel

    def cancel_and_report(agent: Agent) -> None:
        cancel(agent)
        cancelled.set()

    def press() -> None:
        gate.reached.result(10)
        os.kill(os.getpid(), signal.SIGINT)
        cancelled.wait(10)
        gate.open()

    monkeypatch.setattr(Agent, "cancel", cancel_and_report)
    thread = threading.Thread(target=press)
    thread.start()
    return thread


def test_ctrl_c_ends_an_answer_and_the_chat_goes_on(run, server, monkeypatch):
    gate = Gate()
    thread = press_at(gate, monkeypatch)
    talk(monkeypatch, "Hi", "Again", "/exit")
    server.reply(openai.stream(openai.text("Hel"), gate), openai.stream(openai.text("Hello")))

    status, out, err = run("chat")

    thread.join()
    assert (status, out.splitlines()[-1]) == (0, "Hello")  # Whether "Hel" came first is a matter of time.
    assert "interrupted\n" in err
    assert [message["content"] for message in server.requests[-1].json["messages"]] == ["Again"]


@pytest.mark.parametrize("command", [("doctor",), ("chat", "--prompt", "Hi")], ids=["doctor", "chat"])
def test_ctrl_c_ends_a_command_that_has_no_prompt(run, server, monkeypatch, command):
    gate = Gate()
    thread = press_at(gate, monkeypatch)
    play(server, lambda _: openai.stream(openai.text("Hel"), gate))

    status, _, err = run(*command)

    thread.join()
    assert status == 130
    assert err.endswith("\ninterrupted\n")


def test_on_a_terminal_what_is_not_the_answer_is_dim(run, server, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    server.reply(openai.stream(openai.reasoning("Hm."), openai.text("A\x1b[31mB\n\tC")))

    _, out, err = run("chat", "--prompt", "Hi")

    assert out == "A[31mB\n\tC\n"
    assert err.startswith("\x1b[2mHm.\x1b[0m")


def test_keys_in_headers_and_answers_are_hidden(run, server):
    server.reply(openai.stream(openai.text(KEY)))

    _, out, _ = run("chat", "--prompt", "Hi", "--header", f"x-team: {KEY}", "--header", "x-portkey-trace-id: t-1")

    assert out == "***\n"


PIECES = {
    "characters": list(KEY),
    "halves": [KEY[:9], KEY[9:]],
    "with a control character": [KEY[:9] + "\x00", KEY[9:]],
    "within other text": [f"It is {KEY[:9]}", f"{KEY[9:]}, I think"],
    "twice": [f"{KEY}{KEY[:9]}", KEY[9:]],
    "after what began like it": [f"{KEY[:6]}{KEY[:9]}", KEY[9:]],
}


@pytest.mark.parametrize("pieces", PIECES.values(), ids=PIECES)
@pytest.mark.parametrize("kind", [openai.text, openai.reasoning], ids=["text", "reasoning"])
def test_a_key_that_comes_in_pieces_is_hidden(run, server, kind, pieces):
    server.reply(openai.stream(kind(*pieces), openai.text("Bye.")))

    _, out, err = run("chat", "--prompt", "Hi", "--header", f"x-team: {KEY}")

    whole = "".join(pieces).replace("\x00", "").replace(KEY, "***")
    assert whole in (out if kind is openai.text else err)
    assert shown_parts(out + err) == []


def test_a_key_in_pieces_of_a_tools_input_is_hidden(run, server):
    call = openai.tool_call(0, "call_1", "get_weather", '{"city":"' + KEY[:9], KEY[9:] + '"}')
    server.reply(openai.stream(call), openai.stream(openai.text("Rain.")))

    tool = "strands_portkey._cli.features:get_weather"
    _, _, err = run("chat", "--prompt", "Hi", "--tool", tool, "--header", f"x-team: {KEY}")

    assert err.splitlines()[0] == 'get_weather({"city":"***"})'


ENDS = {"what is no key": (KEY[:5], KEY[:5]), "most of a key": (f"It is {KEY[:20]}", "It is ***")}


@pytest.mark.parametrize(("text", "shown"), ENDS.values(), ids=ENDS)
def test_an_answer_that_ends_like_the_beginning_of_a_key_is_shown(run, server, text, shown):
    server.reply(openai.stream(openai.text(text)))

    _, out, _ = run("chat", "--prompt", "Hi", "--header", f"x-team: {KEY}")

    assert out == f"{shown}\n"


def test_a_terminal_writes_what_it_held_back_before_it_writes_elsewhere(capsys):
    terminal = Terminal([KEY])

    terminal.say("Ask")
    assert capsys.readouterr() == ("A", "")
    terminal.aside("A moment.\n")
    assert capsys.readouterr() == ("sk", "A moment.\n")


def test_a_terminal_hides_the_longest_of_keys_of_which_one_begins_with_another(capsys):
    terminal = Terminal([KEY, f"{KEY}-and-more", "more-of-a-key"])

    for piece in (KEY, "-and-", "more", f" {KEY}", "\n"):
        terminal.say(piece)

    assert capsys.readouterr().out == "*** ***\n"


def test_a_terminal_does_not_cut_a_key_whose_end_looks_like_the_beginning_of_one(capsys):
    terminal = Terminal(["abcd-1234-ab"])

    terminal.say("abcd-1234-ab")

    assert capsys.readouterr().out == "***"


# -- the command -------------------------------------------------------------------------------------------------------

WRONG_USAGE = {
    "no command": [],
    "a key for a command": [KEY],
    "a key as an unknown option": ["doctor", f"--api-key={KEY}"],
    "a key after an unknown option": ["doctor", "--api-key", KEY],
    "a key alone": ["doctor", KEY],
    "a header without a colon": ["doctor", "--header", KEY],
    "parameters that are no object": ["doctor", "--params", f'["{KEY}"]'],
    "a chat without a model": ["chat"],
    "a value for a flag": ["doctor", f"--json={KEY}"],
    "a key as the name of an option": ["doctor", f"--{KEY}"],
    "a key on several lines": ["doctor", f"--json=1\n{KEY}"],
}


@pytest.mark.parametrize("argv", WRONG_USAGE.values(), ids=WRONG_USAGE)
def test_wrong_usage_ends_with_2_and_quotes_no_key(capsys, argv):
    status = main(argv)

    out, err = capsys.readouterr()
    assert (status, out) == (2, "")
    assert "error: " in err
    assert shown_parts(err) == []


def test_a_key_behind_a_short_option_is_not_quoted(capsys):
    main(["doctor", f"-h{KEY}"])  # The help from Python 3.13 on, wrong usage before.

    out, err = capsys.readouterr()
    assert shown_parts(out + err) == []


REFUSED = {
    "text for an object": (["--params", KEY], "--params must be a JSON object; got text"),
    "a list for an object": (["--params", f'["{KEY}"]'], "--params must be a JSON object; got another JSON value"),
    "a header without a colon": (["--header", KEY], "--header must be NAME:VALUE; got text without a colon"),
    "unknown arguments": ([KEY, f"--{KEY}"], "arguments must be among those of --help; 2 unknown"),
}


@pytest.mark.parametrize(("argv", "said"), REFUSED.values(), ids=REFUSED)
def test_wrong_usage_names_the_option_and_what_it_must_be(capsys, argv, said):
    main(["doctor", *argv])

    assert capsys.readouterr().err.splitlines()[-1].partition("error: ")[2] == said


@pytest.mark.parametrize("option", ["--api", "--upstream", "--metadata", "--config", "--authorization"])
def test_a_key_in_place_of_a_setting_is_not_quoted(capsys, option):
    value = KEY if option in ("--api", "--upstream", "--authorization") else '{"a": "' + KEY

    status = main(["doctor", option, value])

    out, err = capsys.readouterr()
    assert status == 1
    assert out.startswith("failed   settings")
    assert shown_parts(out + err) == []


def test_the_reprs_of_arguments_and_settings_show_no_key(monkeypatch):
    monkeypatch.setenv("PORTKEY_PROVIDER_KEY", KEY)
    argv = ["--header", f"x-team: {KEY}", "--params", f'{{"user": "{KEY}"}}', "--config", f'{{"api_key": "{KEY}"}}']

    args = parse(["doctor", "--model", "gpt-4o", *argv])
    settings = read_settings(args)

    assert settings.headers["x-team"] == KEY
    assert repr(settings) == "Settings(model_id='gpt-4o', key_source='PORTKEY_PROVIDER_KEY', warnings=())"
    names = "api, base_url, model, provider, config, metadata, params, upstream, header, authorization, json"
    assert sorted(repr(args)[len("Arguments(") : -1].split(", ")) == sorted(["command", *names.split(", ")])
    assert shown_parts(repr(args) + repr(settings)) == []


def test_the_module_runs_the_command(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["strands-portkey", "--version"])

    with pytest.raises(SystemExit) as ending:
        runpy.run_module("strands_portkey", run_name="__main__")

    assert ending.value.code == 0
    assert capsys.readouterr().out == f"strands-portkey {__version__}\n"


def test_what_strands_wraps_is_explained_by_its_cause():
    wrapped = EventLoopException(ValueError("no"), {})
    wrapped.__cause__ = PortkeyStreamError("it\nbroke", hint="set client_args['provider']")

    assert explain(wrapped) == ("it broke", "set --provider")
    assert explain(ValueError("a\nb")) == ("ValueError: a b", None)


@pytest.mark.parametrize(
    "argv",
    [["--metadata", "broken"], ["--upstream", "unknown"], ["--config", '{"api_key": "top-secret-0123", "n": NaN}']],
    ids=["metadata", "upstream", "config"],
)
def test_no_variable_shows_a_key_where_an_option_is_wrong(monkeypatch, argv):
    monkeypatch.setenv("MY_KEY", "top-secret-4567")
    args = parse(["doctor", "--authorization", "MY_KEY", "--header", "x-own: top-secret-8901", *argv])

    with pytest.raises(PortkeyConfigError) as caught:
        read_settings(args)

    frames = traceback.TracebackException.from_exception(caught.value, capture_locals=True).stack[1:]  # Not this one.
    assert [frame.name for frame in frames if "top-secret" in str(frame.locals)] == []
