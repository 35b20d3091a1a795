"""`strands-portkey chat`: what it asks and prints, its exit status, and that no secret is shown."""

from __future__ import annotations

import builtins
import io
import logging
import os
import re
import signal
import sys

import pytest

from strands_portkey._cli import chat as chat_module
from strands_portkey._cli.main import main
from strands_portkey._cli.terminal import Terminal
from tests.cli.commands import CUT, KEY, contents, open_when_cancelled, play, press_at, shown_parts, talk
from tests_integ import patient
from tests_integ.upstream import Gate, Reply, Request, json_reply
from tests_integ.wires import openai


def test_one_prompt_prints_the_answer_to_stdout_and_all_else_to_stderr(run, server):
    status, out, err = run("chat", "--prompt", "Hi", "--system", "Be short.")

    assert (status, out) == (0, "Hello to you, my friend.\n")
    assert re.sub(r"[0-9.]+ s", "N s", err) == "Five words.\n[gpt-4o, 10 tokens in, 5 out, N s]\n"
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

    _, _, err = run("chat", "--prompt", "Hi", "-v")

    assert err.splitlines()[-2] == (
        "[status 200, provider openai, model gpt-4o, cache MISS, retries 2, target config.targets[1], trace id t-1,"
        " tokens 10 in, 5 out]"
    )


def test_an_answer_on_another_protocol_than_chat_names_it(run, server):
    status, out, err = run("chat", "--api", "responses", "--prompt", "Hi", "--verbose")

    assert (status, out) == (0, "Hello to you, my friend.\n")
    assert err.splitlines()[0] == "Five words."
    assert err.splitlines()[-2].startswith("[status 200, api responses, model gpt-5.6")
    assert [request.path for request in server.requests] == ["/v1/responses"]


def test_the_input_of_tools_is_shown_as_it_comes(run):
    _, out, err = run("chat", "Weather?", "-v", "--tool", "strands_portkey._cli.features:get_weather")

    assert out == "Hello to you, my friend.\n"
    assert err.splitlines()[0] == 'get_weather({"city":"Paris"})'
    assert len([line for line in err.splitlines() if line.startswith("[status")]) == 2
    assert err.splitlines()[-1].startswith("[gpt-4o, 20 tokens in, 10 out, ")


def test_a_tool_that_cannot_be_loaded_is_wrong_usage(run):
    status, _, err = run("chat", "--prompt", "Hi", "--tool", "nowhere.at.all:tool")

    assert status == 2
    assert err.startswith("error: --tool must name a function with @tool, as 'module:function' or by its file; got ")
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


def test_a_misspelt_parameter_warns_once(run):
    status, _, err = run("chat", "--params", '{"temprature": 0}', "Hi")

    assert status == 0
    said = "params holds 'temprature', which is not known to have an effect; did you mean 'temperature'?"
    assert [line for line in err.splitlines() if "warning" in line] == [f"warning: {said}"]


def test_a_misspelt_key_of_the_config_warns_once(run):
    _, _, err = run("chat", "--config", '{"provider": "openai", "stratgy": {}}', "Hi", way=("--model", "gpt-4o"))

    assert [line.rpartition("; ")[2] for line in err.splitlines() if "warning" in line] == ["did you mean 'strategy'?"]


@pytest.mark.parametrize(("options", "asked"), [((), "gpt-4o"), (("--model", "gpt-5"), "gpt-5")])
def test_the_model_may_be_named_by_the_environment(run, server, monkeypatch, options, asked):
    monkeypatch.setenv("PORTKEY_MODEL", "gpt-4o")

    status, _, _ = run("chat", *options, "Hi", way=("--provider", "openai"))

    assert (status, server.requests[-1].json["model"]) == (0, asked)


def test_a_failed_answer_is_one_line_with_the_hint(run, server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    server.reply(openai.error(401, f"Incorrect key: {KEY}"))

    status, out, err = run("chat", "--prompt", "Hi")

    assert (status, out) == (1, "")
    assert err.splitlines()[-1].startswith("error: ")
    assert "Incorrect key: ***" in err
    assert "Fix: check" in err


def test_a_chat_goes_on_after_an_error_which_it_forgets(run, server, monkeypatch):
    talk(monkeypatch, "Hi", "", "Break", KeyboardInterrupt, "Again", EOFError)
    server.reply(openai.stream(openai.text("Hello")), CUT, openai.stream(openai.text("Back")))

    status, out, err = run("chat")

    assert (status, out) == (1, "Hello\nHel\nBack\n")
    assert "error: the answer broke off" in err
    assert [message["content"] for message in server.requests[-1].json["messages"]] == ["Hi", "Hello", "Again"]


def test_exit_ends_a_chat(run, server, monkeypatch):
    talk(monkeypatch, " /exit ")

    status, out, err = run("chat")

    assert (status, out) == (0, "")
    assert err == f"gpt-4o at {server.base_url}; Ctrl-C ends an answer, Ctrl-D the chat, /help says more\n> "


def test_a_chat_has_commands_of_its_own(run, server, monkeypatch):
    talk(monkeypatch, "Hi", "/help", "/clear", "/quit now", "/etc/hosts is what?", "/exit now", "Hello?")

    status, _, err = run("chat")

    assert status == 0
    assert [len(request.json["messages"]) for request in server.requests] == [1, 1]
    assert contents(server) == ["Hi", "/etc/hosts is what?"]
    assert "/clear  forget the conversation\n/exit   end the chat, as Ctrl-D does\n/help   list these" in err
    assert "the conversation is forgotten\n" in err
    assert "/quit is no command here; there are /clear, /exit, /help\n" in err


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
    erased = "\r\x1b[K"
    assert err.startswith(f"{erased}\x1b[2mwaiting for gpt-4o\x1b[0m{erased}\x1b[2mHm.\x1b[0m")


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


# -- what is asked -----------------------------------------------------------------------------------------------------

FILE = "One\n\n  two\u00e9\n"
ASKED = {
    "a trailing word": ((["Say hello"], b""), "Say hello"),
    "an option": ((["--prompt", "Say hello"], b""), "Say hello"),
    "a file": (([], FILE.encode()), "One\n\n  two\u00e9"),
    "a file that begins with its byte order": (([], FILE.encode("utf-8-sig")), "One\n\n  two\u00e9"),
    "a file below words": ((["Summarise this"], FILE.encode()), "Summarise this\n\nOne\n\n  two\u00e9"),
    "a file below an option": ((["--prompt", "Sum up"], FILE.encode()), "Sum up\n\nOne\n\n  two\u00e9"),
    "a command in a file": (([], b"/exit\n"), "/exit"),
}


@pytest.mark.parametrize(("given", "asked"), ASKED.values(), ids=ASKED)
def test_what_is_piped_in_is_one_prompt_below_the_words(run, server, pipe_in, given, asked):
    argv, piped = given
    pipe_in(piped)

    status, out, _ = run("chat", *argv)

    assert (status, out) == (0, "Hello to you, my friend.\n")
    assert contents(server) == [asked]


def test_words_are_the_prompt_where_standard_input_is_closed(run, server, monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)

    status, _, _ = run("chat", "Hi")

    assert (status, contents(server)) == (0, ["Hi"])


NOTHING = {
    "an empty file": (([], b"\n \n"), "the prompt must have text, as an argument or on standard input; got none"),
    "an empty word": (([" "], b""), "the prompt must have text, as an argument or on standard input; got none"),
    "an image": (([], b"\x89PNG\r\n"), "standard input must be text in UTF-8; got other bytes"),
}


@pytest.mark.parametrize(("given", "said"), NOTHING.values(), ids=NOTHING)
def test_a_prompt_that_cannot_be_asked_is_wrong_usage(run, server, pipe_in, given, said):
    argv, piped = given
    pipe_in(piped)

    assert run("chat", *argv) == (2, "", f"error: {said}\n")
    assert server.requests == []


def test_standard_input_is_waited_for_visibly(run, pipe_in, monkeypatch):
    pipe_in(b"Hi")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)

    _, _, err = run("chat")

    assert err.startswith("\r\x1b[K\x1b[2mreading standard input\x1b[0m\r\x1b[K\r\x1b[K\x1b[2mwaiting for gpt-4o")


def test_a_pasted_block_is_one_prompt(run, server, keyboard):
    keyboard.paste("one\ntwo\n\n  four\nfive\n")
    server.script = lambda _: keyboard.paste("\x04") or openai.stream(openai.text("Yes."))

    status, out, _ = run("chat")

    assert (status, out) == (0, "Yes.\n")
    assert contents(server) == ["one\ntwo\n\n  four\nfive"]


def test_a_pasted_block_that_ends_the_input_is_asked_first(run, server, keyboard):
    keyboard.paste("one\ntwo\n\x04")
    server.script = lambda _: keyboard.paste("\x04") or openai.stream(openai.text("Yes."))

    status, _, _ = run("chat")

    assert (status, contents(server)) == (0, ["one\ntwo"])


def test_lines_are_prompts_where_it_is_not_known_whether_more_waits(run, server, monkeypatch):
    stdin = io.StringIO("one\ntwo\n")  # It has no file descriptor: `select` fails as on Windows.
    monkeypatch.setattr(stdin, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", stdin)

    status, _, _ = run("chat")

    assert (status, contents(server)) == (0, ["one", "two"])


def test_the_mark_of_a_prompt_is_on_the_terminal_where_answers_go_elsewhere(run, monkeypatch):
    marks = []

    def read(mark: str) -> str:
        marks.append(mark)
        raise EOFError

    monkeypatch.setattr(builtins, "input", read)

    _, out, err = run("chat")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    run("chat")

    assert (out, err[-3:], marks) == ("", "> \n", ["", "> "])


def test_a_tool_is_found_in_the_current_folder(run, monkeypatch, tmp_path):
    (tmp_path / "my_own_tools.py").write_text(
        "from strands import tool\n\n@tool\ndef get_weather(city: str) -> str:\n    return 'Rain.'\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))

    status, _, err = run("chat", "Weather?", "--tool", "my_own_tools:get_weather")

    assert status == 0
    assert err.splitlines()[0] == 'get_weather({"city":"Paris"})'


# -- waits -------------------------------------------------------------------------------------------------------------


def test_a_throttled_answer_says_how_long_it_waits(run, server, monkeypatch):
    monkeypatch.setattr(chat_module, "_WAITS", (0.01, 0.02))
    server.reply(openai.error(429, "Slow down"), openai.error(429, "Slow down"))

    status, out, err = run("chat", "Hi")

    assert (status, out) == (0, "Hello to you, my friend.\n")
    assert [line.partition(",")[0] for line in err.splitlines() if "waiting" in line] == [
        "waiting 0.01 s",
        "waiting 0.02 s",
    ]
    assert "trying again after: " in err
    assert "Slow down" in err


def test_a_throttled_answer_fails_after_the_last_wait(run, server, monkeypatch):
    monkeypatch.setattr(chat_module, "_WAITS", (0.01,))
    server.script = lambda _: openai.error(429, "Slow down")

    status, _, err = run("chat", "Hi")

    assert (status, len(server.requests)) == (1, 2)
    assert err.splitlines()[-1].startswith("error: ")


def test_ctrl_c_ends_a_wait(run, server, monkeypatch):
    server.script = lambda _: openai.error(429, "Slow down")
    aside = Terminal.aside

    def press(terminal: Terminal, text: str) -> None:
        aside(terminal, text)
        if text.startswith("waiting"):
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Terminal, "aside", press)

    status, _, err = run("chat", "Hi")

    assert (status, len(server.requests)) == (130, 1)
    assert err.endswith("\ninterrupted\n")


def test_a_wait_that_the_provider_asks_for_is_shown(run, server):
    server.reply(openai.error(429, "Slow down", headers={"retry-after-ms": "20"}))

    status, _, err = run("chat", "Hi")

    assert status == 0
    assert re.match(r"waiting 0\.0 s, trying again after: .*Slow down", err)


def test_what_the_model_warns_of_is_shown_and_the_rest_only_if_asked_for(run, server):
    def warn(_: Request) -> Reply:
        logging.getLogger("strands_portkey.model").warning("error=<E> | the rest is lost")
        logging.getLogger("strands_portkey.model").info("said without fields")
        return openai.stream(openai.text("Hi"))

    server.script = warn

    assert run("chat", "Hi")[2].startswith("the rest is lost\n[gpt-4o")
    assert run("chat", "Hi", "-v")[2].startswith("the rest is lost\nsaid without fields\n[status")


# -- pipes that close --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("argv", [("chat", "Hi"), ("doctor",), ("models",), ("--help",)], ids=lambda argv: argv[0])
def test_a_command_ends_quietly_where_nobody_reads(server, argv, monkeypatch):
    play(server, patient.answer, models=json_reply({"data": [{"id": "gpt-4o"}]}))
    more = {
        "chat": ("--model", "gpt-4o", "--provider", "openai", "--base-url", server.base_url),
        "doctor": ("--base-url", server.base_url),
        "models": ("--base-url", server.base_url),
        "--help": (),
    }[argv[0]]
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w", encoding="utf-8") as stdout:  # noqa: PTH123 - a pipe
        monkeypatch.setattr(sys, "stdout", stdout)

        assert main([*argv, *more]) == 141


def test_an_answer_that_nobody_reads_is_not_waited_for(server, monkeypatch):
    gate = Gate()
    cancelled = open_when_cancelled(gate, monkeypatch)
    server.script = lambda _: openai.stream(openai.text("Hello"), gate)
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w", encoding="utf-8") as stdout:  # noqa: PTH123 - a pipe
        monkeypatch.setattr(sys, "stdout", stdout)

        status = main(["chat", "Hi", "--model", "gpt-4o", "--provider", "openai", "--base-url", server.base_url])

    assert (status, cancelled.is_set()) == (141, True)


# -- models ------------------------------------------------------------------------------------------------------------


def test_the_models_of_the_gateway_are_listed(run, server):
    play(server, patient.answer, models=json_reply({"data": [{"id": "@a/gpt-4o"}, {"id": "@b/claude"}]}))

    assert run("models", way=()) == (0, "@a/gpt-4o\n@b/claude\n", "")


def test_a_list_that_is_refused_is_explained(run, server):
    play(server, patient.answer, models=openai.error(401, f"Incorrect key: {KEY}"))

    status, out, err = run("models", "--header", f"x-team: {KEY}", way=("--provider", "openai"))

    assert (status, out) == (1, "")
    assert err.startswith("error: ")
    assert "Incorrect key: ***" in err
    assert err.count("\n") == 1


def test_a_list_with_wrong_settings_is_wrong_usage(run):
    status, _, err = run("models", "--config", "{", way=())

    assert (status, err) == (2, "error: --config must be JSON; got other text\n")
