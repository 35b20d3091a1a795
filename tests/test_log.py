"""The logs: what they show, what they cost while they are off, and the variable that switches them on."""

from __future__ import annotations

import io
import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

import httpx
import pytest
from strands.types.content import ContentBlock, Messages

from strands_portkey import PortkeyModel
from strands_portkey._answer.quoting import Quoter
from strands_portkey._learned import Learned
from strands_portkey._log import SETTING, body_sent, headers_received, headers_sent, switch_on
from strands_portkey._settings.secrets import Masked
from tests_integ.upstream import Upstream, json_reply
from tests_integ.wires import openai

HELLO: Messages = [{"role": "user", "content": [{"text": "Hello"}]}]
KEY = "sk-very-secret-key"
RANDOM = "7F6QXICGHJFZTE5M56WF7YW7DMXQY2Y5ACTFHNR3"
PACKAGE = logging.getLogger("strands_portkey")


def knowing(*keys: str) -> Quoter:
    quoter = Quoter()
    quoter.sent({f"x-{number}": key for number, key in enumerate(keys)})
    return quoter


def make_model(server: Upstream, **settings: object) -> PortkeyModel:
    client_args: dict[str, Any] = {
        "base_url": server.base_url,
        "provider": "openai",
        "Authorization": KEY,
        **settings,
    }
    return PortkeyModel(client_args, model_id="gpt-4o")


async def ask(model: PortkeyModel) -> None:
    async for _ in model.stream(HELLO):
        pass


# -- a transcript ------------------------------------------------------------------------------------------------------

KEYS = {
    "portkey": "pk-2f0c81d7aa-portkey",
    "old": "sk-7be1f00d52-the-old-one",
    "new": "sk-93ad4c1e08-the-new-one",
    "target": "sk-5510c0ffee-of-a-target",
    "header": "5d41402abc4b-of-a-header",
}
TURN = f"""
import sys
from strands import Agent, tool
from strands_portkey import PortkeyModel

keys = iter(["Bearer {KEYS["old"]}", "Bearer {KEYS["new"]}", "Bearer {KEYS["new"]}"])

@tool
def read_settings() -> str:
    "Read the settings."
    return "key: {KEYS["new"]}"

model = PortkeyModel(
    {{
        "base_url": sys.argv[1],
        "api_key": "{KEYS["portkey"]}",
        "Authorization": lambda: next(keys),
        "config": {{"retry": {{"attempts": 0}}, "targets": [{{"provider": "openai", "api_key": "{KEYS["target"]}"}}]}},
        "headers": lambda: {{"x-tenant": "{KEYS["header"]}"}},
    }},
    model_id="gpt-4o",
)
image = {{"format": "png", "source": {{"bytes": b"\\x89PNG" * 300}}}}
Agent(model=model, tools=[read_settings], callback_handler=None)([{{"text": "What is set?"}}, {{"image": image}}])
"""
STABLE = {
    r"^[\d-]+ [\d:,]+ \| ": "",
    r"127\.0\.0\.1:\d+": "HOST",
    r"'x-portkey-(trace|span|parent-span)-id': '[\da-f-]+'": r"'x-portkey-\1-id': 'ID'",
    r"strands-agents-portkey/[\w.]+": "strands-agents-portkey/VERSION",
    r"'(latencyMs|timeToFirstByteMs)': \d+": r"'\1': N",
}
TRANSCRIPT = Path(__file__).parent / "log_of_a_turn.txt"


def scripted(server: Upstream) -> None:
    """Script the answers of a turn: the old key, then a busy provider, a call of a tool, and the end."""
    last = openai.stream(openai.text("A key."))
    server.reply(
        openai.error(401, f"Incorrect API key: {KEYS['old']}"),
        openai.error(503, f"busy, {KEYS['new']}", headers={"retry-after-ms": "10", "x-echo": f"Bearer {KEYS['new']}"}),
        openai.stream(openai.tool_call(0, "call_1", "read_settings", "{}"), finish_reason="tool_calls"),
        replace(last, headers={**last.headers, "x-portkey-provider": "openai", "set-cookie": "session=1"}),
    )


def run(code: str, *arguments: str, level: str = "debug") -> str:
    """Run a program with the logs on and return what it has written to stderr."""
    environment = {**os.environ, SETTING: level}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], env=environment, capture_output=True, check=True, text=True
    )
    return done.stderr


def test_a_turn_with_a_tool_a_retry_and_a_renewed_key_can_be_read_without_keys(server):
    scripted(server)

    transcript = run(TURN, server.base_url)

    assert [key for key in KEYS.values() if key[3:] in transcript] == []
    for pattern, text in STABLE.items():
        transcript = re.sub(pattern, text, transcript, flags=re.MULTILINE)
    assert transcript == TRANSCRIPT.read_text(encoding="utf-8")


# -- what is shown -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (None, None),
        ('{"a":"b"}', '{"a":"b"}'),
        ('{"url":"data:image/png;base64,AAA="}', '{"url":"data:image/png;base64,<4 characters>"}'),
        ('{"data":"' + 200 * "A" + '"}', '{"data":"<200 characters>"}'),
        ('{"data":"' + 99 * "A" + '"}', '{"data":"' + 99 * "A" + '"}'),
        ('["' + 200 * "word " + '"]', '["' + 200 * "word " + '"]'),
        (r'["say \"' + 200 * "A" + '"]', r'["say \"' + 200 * "A" + '"]'),
        (
            '["' + 3000 * "b" + "," + 3000 * "e" + '","next"]',
            '["' + 1999 * "b" + "... (2003 characters left out) ..." + 1999 * "e" + '","next"]',
        ),
        (
            "[" + 30_000 * "1000," + "1]",
            "[" + 9_999 * "1000," + "1000... (50003 characters left out) ...00" + ",1000" * 9999 + ",1]",
        ),
        ('["a\u2028\x85\x1b[2K\u202eb"]', r'["a\u2028\x85\x1b[2K\u202eb"]'),
        (f'["{KEY}","x{KEY}x"]', '["***","x***x"]'),
    ],
    ids=[
        *("no body", "short", "data of a URL", "base64", "short base64", "prose", "quoted base64", "long text"),
        *("long body", "control characters", "keys"),
    ],
)
def test_a_body_is_shown_on_one_line_without_keys_and_not_too_long(body, shown):
    assert body_sent(knowing(KEY), None if body is None else body.encode()) == shown


@pytest.mark.parametrize("before", range(1980, 2000))
def test_no_part_of_a_key_is_shown_where_a_text_is_cut(before):
    shown = body_sent(knowing(KEY), f'["{before * "b"} {KEY} {4000 * "e"}"]'.encode())

    assert shown is not None
    assert set(shown.partition("... (")[0]) <= set('["b *e')


@pytest.mark.parametrize(
    ("headers", "shown"),
    [
        ({"x-provider": Masked("openai")}, "{'x-provider': 'openai'}"),
        ({"set-cookie": "session=1"}, "{'set-cookie': '***'}"),
        ({"a": f"Bearer {KEY}", KEY: "b"}, "{'a': 'Bearer ***', '***': 'b'}"),
        ({"a": "b\r\nDEBUG | forged\u2028"}, r"{'a': 'b\r\nDEBUG | forged\u2028'}"),
        ({"a": 100_100 * "b"}, "{'a': '" + 49_993 * "b" + "... (109 characters left out) ..." + 49_998 * "b" + "'}"),
    ],
    ids=["no key", "cookie", "keys", "line breaks", "long"],
)
def test_headers_are_shown_on_one_line_without_keys_and_not_too_long(headers, shown):
    quoter = knowing(KEY) if any(KEY in text for pair in headers.items() for text in pair) else Quoter()

    assert headers_received(quoter, headers) == shown


@pytest.mark.parametrize(
    ("headers", "shown"),
    [
        ({"x-echo": f"{KEY[:12]}"}, "{'x-echo': ' ***'}"),
        ({"x-echo": f"got {KEY[:8]}"}, "{'x-echo': 'got ***'}"),
        ({"x-echo": f"got {KEY[:7]}"}, f"{{'x-echo': 'got {KEY[:7]}'}}"),
        ({"request-id": "req_011CSHoEeqs5C35K2UUqR7Fy"}, "{'request-id': 'req_011CSHoEeqs5C35K2UUqR7Fy'}"),
    ],
    ids=["a piece of it", "after a word", "too short to tell", "no key"],
)
def test_a_key_that_was_cut_by_the_other_side_is_not_shown(headers, shown):
    assert headers_received(knowing(KEY), headers) == shown


@pytest.mark.parametrize(
    ("headers", "shown"),
    [
        ({"x-portkey-structured-output": RANDOM}, "{'x-portkey-structured-output': '***'}"),
        ({"x-portkey-custom-host": f'{{"{RANDOM}":1}}'}, "{'x-portkey-custom-host': '{\"***\":1}'}"),
        ({"x-portkey-provider": "sk-proj-abcd_efgh-ijkl"}, "{'x-portkey-provider': '***'}"),
        (
            {"x-portkey-trace-id": RANDOM, "traceparent": RANDOM},
            f"{{'x-portkey-trace-id': {RANDOM!r}, 'traceparent': {RANDOM!r}}}",
        ),
        (
            {"anthropic-beta": "interleaved-thinking-2025-05-14"},
            "{'anthropic-beta': 'interleaved-thinking-2025-05-14'}",
        ),
    ],
    ids=["unknown setting", "wrong setting", "provider", "tracing", "feature"],
)
def test_a_key_in_the_wrong_place_is_not_shown(headers, shown):
    assert headers_sent(Quoter(), headers) == shown


async def test_what_a_client_of_the_callers_own_adds_is_shown_without_keys(server, caplog):
    caplog.set_level(logging.DEBUG, "strands_portkey")
    server.reply(json_reply({"data": [{"id": "gpt-4o"}]}))

    async with httpx.AsyncClient(headers={"x-extra": "sk-of-the-client"}, auth=("me", "pass-word")) as client:
        model = PortkeyModel({"base_url": server.base_url, "provider": "openai"}, http_client=client, model_id="m")
        await model.list_models()

    _, request, answer = caplog.messages
    assert request.startswith(f"method=<GET>, url=<{server.base_url}/models>, headers=<{{'content-type'")
    assert request.endswith("'x-portkey-provider': 'openai'}>, body=<None> | request")
    assert answer == (
        "status_code=<200>, headers=<{'content-type': 'application/json', 'transfer-encoding': 'chunked'}>,"
        f" added=<{{'host': '{server.base_url[7:-3]}', 'connection': 'keep-alive', 'x-extra': '***',"
        " 'authorization': '***'}> | answer"
    )


async def test_large_media_make_no_large_record(server, caplog):
    caplog.set_level(logging.DEBUG, "strands_portkey")
    server.reply(openai.stream(openai.text("ok")))
    image: ContentBlock = {"image": {"format": "png", "source": {"bytes": bytes(12_000_000)}}}

    async for _ in make_model(server).stream([{"role": "user", "content": [image]}]):
        pass

    assert len(server.requests[0].body) > 16_000_000
    assert sum(map(len, caplog.messages)) < 2000


@pytest.mark.parametrize(
    ("learn", "messages"),
    [
        (lambda learned: learned.reject("m", "schema"), ["model_id=<m>, part=<schema> | refused, no longer sent"]),
        (
            lambda learned: learned.want_reasoning(("m", None, KEY)),
            ["model_id=<m> | wants its reasoning back, sent from now on"],
        ),
        (
            lambda learned: [learned.answered(("m", None, KEY), name) for name in ("groq", "groq", "openai", "groq")],
            [
                "model_id=<m>, upstream=<groq> | learned who answers",
                "model_id=<m>, upstream=<openai> | learned who answers",
            ],
        ),
    ],
    ids=["refused", "reasoning", "upstream"],
)
def test_what_is_learned_is_told_once(caplog, learn, messages):
    caplog.set_level(logging.INFO, "strands_portkey")

    learn(Learned())

    assert caplog.messages == messages


# -- the cost ----------------------------------------------------------------------------------------------------------


async def test_logs_that_are_off_ask_for_the_level_once_a_call_and_do_nothing_else(server):
    server.reply(*(openai.stream(openai.text(*words)) for words in ("a", "a", 100 * "a")))
    model = make_model(server)
    entered: list[str] = []

    def note(frame: FrameType, event: str, _: object) -> None:
        name, place = frame.f_code.co_name, frame.f_code.co_filename
        asked_by = frame.f_back.f_globals["__name__"] if frame.f_back else ""
        if event == "call" and (place == logging.__file__ or place.endswith("_log.py")):
            entered.append(f"{asked_by}: {name}")

    found = []
    for _ in range(3):
        entered.clear()
        sys.setprofile(note)
        await ask(model)
        sys.setprofile(None)
        found.append([each for each in entered if each.startswith("strands_portkey")])

    assert found[1:] == 2 * [
        ["strands_portkey._http.response: isEnabledFor"] * 2 + ["strands_portkey.model: isEnabledFor"]
    ]


# -- the variable ------------------------------------------------------------------------------------------------------


@contextmanager
def without_other_handlers() -> Iterator[None]:
    """Keep pytest's own handlers, which take each record, from the package's logger, and leave it as it was."""
    level, handlers, propagate = PACKAGE.level, PACKAGE.handlers, PACKAGE.propagate
    PACKAGE.handlers, PACKAGE.propagate = [], False
    try:
        yield
    finally:
        PACKAGE.handlers, PACKAGE.propagate = handlers, propagate
        PACKAGE.setLevel(level)


@pytest.mark.parametrize(
    ("level", "shown"),
    [
        ("debug", ["DEBUG", "INFO", "WARNING"]),
        (" INFO ", ["INFO", "WARNING"]),
        ("Warning", ["WARNING"]),
    ],
)
def test_the_variable_shows_logs_from_a_level_on_once(monkeypatch, capsys, level, shown):
    monkeypatch.setenv(SETTING, level)

    with without_other_handlers():
        switch_on()
        switch_on()
        for number in (logging.DEBUG, logging.INFO, logging.WARNING):
            logging.getLogger("strands_portkey.model").log(number, "here")

    lines = [line.split(" | ") for line in capsys.readouterr().err.splitlines()]
    assert [line[1:] for line in lines] == [[name, "strands_portkey.model", "here"] for name in shown]


def test_the_variable_shows_only_what_no_handler_of_the_application_takes(monkeypatch, capsys):
    monkeypatch.setenv(SETTING, "debug")
    taken = io.StringIO()
    other = logging.StreamHandler(taken)
    other.setLevel(logging.WARNING)

    with without_other_handlers():
        switch_on()
        PACKAGE.addHandler(logging.NullHandler())
        PACKAGE.addHandler(other)
        logging.getLogger("strands_portkey.model").info("one")
        logging.getLogger("strands_portkey.model").warning("two")

    assert [line.split(" | ")[1:] for line in capsys.readouterr().err.splitlines()] == [
        ["INFO", "strands_portkey.model", "one"]
    ]
    assert taken.getvalue() == "two\n"


@pytest.mark.parametrize(
    ("level", "named"), [("verbose", "'verbose'"), (f"{KEY}-1234567", "one of 26 characters"), (" ", None)]
)
def test_an_unknown_level_warns_and_names_the_others(monkeypatch, recwarn, level, named):
    monkeypatch.setenv(SETTING, level)

    with without_other_handlers():
        switch_on()
        handlers = PACKAGE.handlers

    expected = [f"{SETTING} must be one of debug, info, warning; got {named}"] if named else []
    assert [str(each.message) for each in recwarn] == expected
    assert handlers == []


USE = 'import logging; {}; from strands_portkey import PortkeyModel; {}; PortkeyModel(model_id="m")'
NOTHING = "pass"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (NOTHING, NOTHING),
        ("logging.basicConfig(level='DEBUG')", NOTHING),
        (NOTHING, "logging.basicConfig(level='DEBUG')"),
        (NOTHING, "logging.basicConfig(level='WARNING')"),
        (NOTHING, "logging.basicConfig(); logging.getLogger().handlers[0].setLevel('ERROR')"),
        (NOTHING, "logging.getLogger('strands_portkey').addHandler(logging.NullHandler())"),
        (NOTHING, "logging.getLogger('strands_portkey.model').addHandler(logging.StreamHandler())"),
    ],
    ids=["none", "before", "after", "other level", "handler of another level", "NullHandler", "handler of a module"],
)
def test_a_record_is_written_once_however_logging_is_configured(before, after):
    assert run(USE.format(before, after)).count("| initialized") == 1


def test_an_import_with_the_variable_warns_of_a_wrong_level_and_goes_on():
    written = run("import strands_portkey", level="loud")

    assert "<string>:1: UserWarning: STRANDS_PORTKEY_LOG must be one of debug, info, warning; got 'loud'" in written
