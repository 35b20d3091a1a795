"""The command line: what is accepted, what wrong usage is told, and that no key is quoted."""

from __future__ import annotations

import platform
import runpy
import sys
import traceback
from importlib.metadata import version

import pytest
from strands.types.exceptions import EventLoopException

from strands_portkey import PortkeyConfigError, PortkeyStreamError, __version__
from strands_portkey._cli.main import main, parse
from strands_portkey._cli.settings import explain, read_settings
from tests.cli.commands import KEY, shown_parts

ASK = 'strands-portkey chat --model ID "PROMPT"'
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


SLIPS = {
    "": "the command must be one of doctor, chat, models; got none",
    "chta hi": "the command must be one of doctor, chat, models; did you mean: strands-portkey chat",
    "hello": f"the command must be one of doctor, chat, models; to ask a model: {ASK}",
    "help": "the command must be one of doctor, chat, models; did you mean: strands-portkey --help",
    "version": "the command must be one of doctor, chat, models; did you mean: strands-portkey --version",
    "--model m chat hi": "the command must come before its options, as in: strands-portkey chat --model ID",
    "-x": "the command must come before its options, as in: strands-portkey chat --model ID",
    "chat hi": f"--model must name the model, as in: {ASK}; `strands-portkey models` lists what there is",
    "chat --model= hi": f"--model must name the model, as in: {ASK}; `strands-portkey models` lists what there is",
    "chat --modle m hi": "chat has no such option; did you mean: strands-portkey chat --model",
    "chat --model m --Json": "chat has no option --json; did you mean: strands-portkey doctor --json",
    "chat --model m say hello": f"the prompt must be one argument, in quotes where it has spaces, as in: {ASK}",
    "chat --model m --prompt": "--prompt must be followed by a value",
    "chat --model m --prompt a b": "PROMPT must not stand beside --prompt: give the prompt once",
    "doctor hello": f"doctor takes no arguments but options; to ask a model: {ASK}",
    "models gpt": f"models takes no arguments but options; to ask a model: {ASK}",
    "doctor --json=yes": "--json must stand without a value",
    "doctor --deadline soon": "--deadline must be seconds, above 0 and up to 3600; got other text",
    "doctor --deadline 0": "--deadline must be seconds, above 0 and up to 3600; got other text",
    "doctor --zzz 1": "doctor has no such option; see strands-portkey doctor --help",
    "doctor --api-key sk-1": "keys must be in the environment, never on the command line: see strands-portkey doctor"
    " --help",
}


@pytest.mark.parametrize(("line", "said"), SLIPS.items(), ids=SLIPS)
def test_a_slip_is_told_the_right_command(capsys, line, said):
    status = main(line.split())

    usage, error = capsys.readouterr().err.splitlines()
    assert status == 2
    assert usage.startswith("usage: strands-portkey")
    assert error.partition("error: ")[2] == said


def test_an_error_has_the_usage_of_its_command(capsys):
    main(["chat", "hi"])

    err = capsys.readouterr().err
    assert err.startswith("usage: strands-portkey chat --model ID [options] [PROMPT]\nstrands-portkey chat: error: ")


def test_a_key_behind_a_short_option_is_not_quoted(capsys):
    main(["doctor", f"-h{KEY}"])  # The help from Python 3.13 on, wrong usage before.

    out, err = capsys.readouterr()
    assert shown_parts(out + err) == []


REFUSED = {
    "text for an object": (["--params", KEY], "--params must be a JSON object; got text"),
    "a list for an object": (["--params", f'["{KEY}"]'], "--params must be a JSON object; got another JSON value"),
    "a header without a colon": (["--header", KEY], "--header must be NAME:VALUE; got text without a colon"),
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
    names = "api, base_url, model, provider, config, metadata, params, upstream, header, authorization, json, deadline"
    assert sorted(repr(args)[len("Arguments(") : -1].split(", ")) == sorted(["command", *names.split(", ")])
    assert shown_parts(repr(args) + repr(settings)) == []


def test_the_module_runs_the_command(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["strands-portkey", "--version"])

    with pytest.raises(SystemExit) as ending:
        runpy.run_module("strands_portkey", run_name="__main__")

    assert ending.value.code == 0
    used = f"strands-agents {version('strands-agents')}, httpx {version('httpx')}, Python {platform.python_version()}"
    assert capsys.readouterr().out == f"strands-portkey {__version__} ({used})\n"


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
