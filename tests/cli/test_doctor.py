"""`strands-portkey doctor`: what it prints, its exit status, and that no secret is shown; the gateway is a script."""

from __future__ import annotations

import json
import socket
import ssl
import sys
import threading
from collections.abc import Callable
from typing import Any
from urllib.error import URLError

import pytest

from strands_portkey._cli.features import _Answer, _check_output
from strands_portkey._cli.gateway import check_connection, get_page
from strands_portkey._cli.main import _make_parser, main
from strands_portkey._cli.settings import read_settings
from tests.cli.commands import CUT, KEY, play
from tests_integ import patient
from tests_integ.upstream import Gate, Reply, Request, Upstream, json_reply
from tests_integ.wires import openai

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


def statuses(checks: dict[str, dict[str, Any]]) -> list[str]:
    return [check["status"] for check in checks.values()]


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
    "a protocol that does not exist": (("--api", "telex"), "--api must be 'auto', 'chat', 'responses' or 'messages'"),
    "an upstream that nobody knows": (("--upstream", "nobody"), "--upstream must be one of anthropic, bedrock"),
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
    assert lines[2:] == [
        f"skipped  9 checks           since connection failed: {', '.join(FINE[2:])}",
        "something failed",
    ]


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


def test_a_check_that_takes_longer_than_the_deadline_fails(examine, server):
    play(server, lambda _: openai.stream(openai.text("Hel"), Gate()))

    status, checks = examine("--deadline", "0.2")

    assert status == 1
    assert statuses(checks)[4:] == ["skipped", "failed"] + 5 * ["skipped"]
    assert checks["stream"]["detail"].endswith("no whole answer within 0.2 s, the deadline of a check")


def test_a_doctor_goes_on_after_the_deadline_of_one_check(examine, server):
    def model(request: Request) -> Reply:
        tools = [tool["function"]["name"] for tool in request.json.get("tools", ())]
        return openai.stream(Gate()) if tools == ["get_weather"] else patient.answer(request)

    play(server, model)

    status, checks = examine("--deadline", "3")

    assert status == 1
    assert [name for name, check in checks.items() if check["status"] != "ok"] == ["tools"]
    assert "no whole answer within 3 s" in checks["tools"]["detail"]


def test_on_a_terminal_a_doctor_shows_what_it_checks_and_colours_what_it_found(run, monkeypatch):
    for stream in (sys.stdout, sys.stderr):
        monkeypatch.setattr(stream, "isatty", lambda: True)

    status, out, err = run("doctor", way=())

    erased = "\r\x1b[K"
    shown = [f"{erased}\x1b[2mchecking {name}\x1b[0m{erased}" for name in FINE[:5]]
    assert (status, err) == (1, "".join(shown))
    assert [line.partition(" ")[0] for line in out.splitlines()] == [
        *3 * ["\x1b[32mok"],
        "\x1b[31mfailed",
        "\x1b[2mskipped",
        "\x1b[31msomething",
        "\x1b[0m",
    ]


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_colours_and_what_is_erased_can_be_declined(run, monkeypatch, name, value):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: name == "NO_COLOR")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv(name, value)

    _, out, err = run("doctor")

    assert "\x1b" not in out
    assert ("checking tools" in err, "\x1b[2m" in err) == (name == "NO_COLOR", False)


def test_a_doctor_does_not_wait_for_a_page_that_does_not_end(server, monkeypatch):
    monkeypatch.setattr("strands_portkey._cli.gateway._GET_SECONDS", 0.2)
    gate = Gate()
    server.reply(Reply(200, {}, [b"x", gate]))

    page = get_page(server.url)
    gate.open()

    assert isinstance(page, (TimeoutError, URLError))  # urllib's own timeout may come first.


@pytest.mark.parametrize(
    "proxy", ["user:secret#password@127.0.0.1:1", "user:secret/password@127.0.0.1:1", "user:secret"]
)
def test_a_proxy_that_a_doctor_cannot_use_is_not_quoted(monkeypatch, proxy):
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, f"http://{proxy}")

    page = get_page("http://gateway.internal/")

    assert "secret" not in f"{page!r} {page!s}"
    assert isinstance(page, OSError)
