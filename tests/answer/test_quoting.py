"""No error, fact or span shows a key that an answer quotes, nor a piece of one that lies across a cut."""

from __future__ import annotations

import gc
import json
import weakref
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from traceback import walk_tb
from typing import Any

import httpx
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import BaseModel
from strands.types.content import Messages

from strands_portkey import (
    PortkeyConfigError,
    PortkeyContextOverflowError,
    PortkeyError,
    PortkeyModel,
    ResponseMetadata,
)
from strands_portkey._answer.judgement import Judge
from tests_integ.upstream import Reply, Upstream, json_reply

HELLO: Messages = [{"role": "user", "content": [{"text": "Hello"}]}]
KEY = "sk-A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8S9"
PIECES = [KEY[start : start + 8] for start in range(len(KEY) - 7)]
STREAM = {"content-type": "text/event-stream"}
TRACE = "x-portkey-trace-id"
WHOLE = {"choices": [{"delta": {"content": "Hi"}, "finish_reason": "stop"}]}


class City(BaseModel):
    """A city."""

    name: int
    mayor: int


def make_model(server: Upstream, more: dict[str, object] | None = None, **arguments: Any) -> PortkeyModel:
    client_args: dict[str, Any] = {
        "base_url": server.base_url,
        "provider": "openai",
        "Authorization": KEY,
        "max_retries": 0,
    }
    client_args |= more or {}
    return PortkeyModel(client_args, **{"model_id": "m", **arguments})


def chunks(*said: object, headers: dict[str, str] | None = None) -> Reply:
    texts = [each if isinstance(each, str) else json.dumps(each) for each in said]
    return Reply(200, {**STREAM, **(headers or {})}, [f"data: {text}\n\n".encode() for text in texts])


def call(name: str, arguments: str, finish_reason: str = "tool_calls") -> Reply:
    function = {"name": name, "arguments": arguments}
    delta = {"tool_calls": [{"index": 0, "id": "a", "function": function}]}
    return chunks({"choices": [{"delta": delta, "finish_reason": finish_reason}]})


def said_by(error: BaseException | None) -> list[str]:
    """Return all that an exception says, with those that it came from."""
    said: list[str] = []
    waiting, seen = [error], set[int]()
    while waiting:
        each = waiting.pop()
        if each is not None and id(each) not in seen:
            seen.add(id(each))
            said += [str(each), repr(each), repr(vars(each)), repr(each.args)]
            waiting += [each.__cause__, each.__context__]
    return said


def shown(texts: list[str]) -> set[str]:
    return {piece for text in texts for piece in PIECES if piece in text}


async def ask(model: PortkeyModel) -> list[str]:
    """Ask, and return what is shown of the answer beside its content: the error, the end of the message."""
    said: list[str] = []
    try:
        said += [repr(event) async for event in model.stream(HELLO) if "contentBlockDelta" not in event]
    except PortkeyError as error:
        said += said_by(error)
    return said


# -- a key across a cut ------------------------------------------------------------------------------------------------

# Where an answer may quote a text that is cut, and how many characters are shown of it.
PLACES: dict[str, tuple[int, Callable[[str], Reply]]] = {
    "the message of an error": (500, lambda text: json_reply({"error": {"message": text}}, 500)),
    "the message of an error that is kept": (4000, lambda text: json_reply({"error": {"message": text}}, 500)),
    "a body of text": (4000, lambda text: Reply(500, {}, [text.encode()])),
    "a body beyond what is read": (65_536, lambda text: json_reply({"error": {"message": "x", "code": text}}, 500)),
    "the message of an error chunk": (500, lambda text: chunks({"error": {"message": text}})),
    "an error event": (500, lambda text: Reply(200, STREAM, [f"event: error\ndata: {text}\n\n".encode()])),
    "a code": (80, lambda text: json_reply({"error": {"message": "x", "code": text}}, 400)),
    "a type": (80, lambda text: json_reply({"error": {"message": "x", "type": text}}, 400)),
    "a param": (80, lambda text: json_reply({"error": {"message": "x", "param": text}}, 400)),
    "a provider": (80, lambda text: json_reply({"error": {"message": "x"}, "provider": text}, 400)),
    "a provider's header": (80, lambda text: json_reply({}, 400, {"x-portkey-provider": text})),
    "a trace id": (80, lambda text: json_reply({}, 400, {TRACE: text})),
    "a trace id of a broken stream": (80, lambda text: chunks("{", headers={TRACE: text})),
    "a denial": (500, lambda text: json_reply({"error": {"message": text}}, 446)),
    "a blocked prompt": (80, lambda text: json_reply({"error": {"promptFeedback": {"blockReason": text}}}, 400)),
    "a finish reason that is a failure": (80, lambda text: chunks({"choices": [{"finish_reason": f"{text}_error"}]})),
    "no JSON": (200, chunks),
    "a chunk of a wrong type": (188, lambda text: chunks(f'{{"choices":"{text}"}}')),
    "the input of a broken call": (199, lambda text: call("f", "{" + text)),
    "the name of a broken call": (80, lambda text: call(text, "{")),
    "the reason for the end of a broken call": (80, lambda text: call("f", "{", text)),
    "a JSON answer": (500, lambda text: json_reply({"message": text})),
    "a page": (4000, lambda text: Reply(502, {"content-type": "text/html"}, [f"<p>{text}</p>".encode()])),
}


@pytest.mark.parametrize("place", PLACES)
async def test_no_piece_of_a_key_is_shown_where_a_text_is_cut(server, place):
    cut, reply = PLACES[place]
    # Up to the key's whole length before the cut, and where the cut is a key's length further on. A piece that is shown
    # is shown at many of the offsets.
    offsets = range(-2, len(KEY) + 3, 3)
    texts = ["x" * (most - offset) + KEY + "y" * 9 for most in (cut, cut + len(KEY)) for offset in offsets]
    server.reply(*map(reply, texts))
    model = make_model(server, on_guardrail="raise")

    said = [each for _ in texts for each in await ask(model)]

    assert shown(said) == set()
    assert any("x" * min(cut, 80) in each for each in said)


@pytest.mark.parametrize("most", [0, 1, 8, 80, 500])
def test_a_quote_is_cut_between_keys(most):
    judge = Judge()
    judge.sent({"authorization": f"Bearer {KEY}"})

    quotes = [judge.quote("x" * offset + KEY * 300, most) for offset in range(2 * len(KEY))]

    assert shown(quotes) == set()
    assert max(map(len, quotes)) <= most + len("...")


def test_a_quote_is_whole_if_it_is_short_without_its_keys():
    judge = Judge()
    judge.sent({"authorization": f"Bearer {KEY}"})

    assert judge.quote(f"no {KEY}", 6) == "no ***"
    assert judge.quote(f"no {KEY}", 5) == "no **..."
    assert judge.quote("nothing", 4) == "noth..."


# -- what is copied whole ----------------------------------------------------------------------------------------------


def test_a_key_is_hidden_in_the_name_of_the_first_header_that_is_shown():
    judge = Judge()
    judge.sent({"authorization": KEY})

    assert judge.hide_headers({f"x-portkey-{KEY.lower()}": "a", "x-other": KEY}) == {"***": "a", "x-other": "***"}


def test_what_a_call_learns_does_not_reach_the_judge_that_it_came_from():
    known = Judge.knowing({"authorization": "first-key"})
    judge = known.for_call()
    judge.sent({"authorization": KEY})

    assert judge.hide(f"first-key {KEY}") == "*** ***"
    assert known.hide(f"first-key {KEY}") == f"*** {KEY}"


async def test_no_key_is_in_the_metadata_of_an_answer(server):
    reported: list[ResponseMetadata] = []
    names = [TRACE, "x-portkey-provider", "x-portkey-cache-status", "x-portkey-last-used-option-index", "x-portkey-new"]
    verdicts = {"before_request_hooks": [{"id": KEY, KEY: f"a {KEY} b"}]}
    server.reply(chunks({**WHOLE, "model": KEY, "hook_results": verdicts}, headers=dict.fromkeys(names, f"a {KEY}")))
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))

    with provider.get_tracer("test").start_as_current_span("asking"):
        said = await ask(make_model(server, on_response=reported.append))

    [span] = exporter.get_finished_spans()
    assert shown([*said, repr(asdict(reported[0])), repr(dict(span.attributes or {}))]) == set()
    assert reported[0].hook_results == {"before_request_hooks": [{"id": "***", "***": "a *** b"}]}
    assert (reported[0].model, reported[0].trace_id, reported[0].headers["x-portkey-new"]) == ("***", "a ***", "a ***")
    assert (span.attributes or {})["portkey.trace_id"] == "a ***"


@pytest.mark.parametrize("on_guardrail", ["raise", "stop"])
async def test_no_key_is_in_a_denial(server, on_guardrail):
    server.reply(json_reply({"error": {"message": f"No {KEY}"}, "hook_results": {"a": [KEY, {KEY: 1}]}}, 446))

    try:
        events = [event async for event in make_model(server, on_guardrail=on_guardrail).stream(HELLO)]
        said = [repr(events)]
    except PortkeyError as error:
        said = said_by(error)

    assert shown(said) == set()
    assert "No ***" in "".join(said)


async def test_no_key_is_in_the_log_of_an_unknown_finish_reason(server, caplog):
    server.reply(chunks({"choices": [{"delta": {"content": "Hi"}, "finish_reason": f"done {KEY}"}]}))

    await ask(make_model(server))

    assert [record.getMessage() for record in caplog.records] == [
        "finish_reason=<done ***> | taken for the end of the turn"
    ]


@pytest.mark.parametrize(
    "answer",
    [
        {"error": {"message": KEY}},
        {"data": {"id": KEY}, "pad": "x" * 120},
        [KEY],
        {"data": {"messages": [{"role": KEY, "content": "x"}]}},
        {"data": {"messages": [{"role": "user", "content": [{"type": KEY}]}]}},
    ],
    ids=["error", "object", "list", "role", "part"],
)
@pytest.mark.parametrize("status", [200, 400])
async def test_no_key_is_in_an_error_of_another_endpoint(server, answer, status):
    server.reply(*[json_reply(answer, status)] * 2)
    model, said = make_model(server), list[str]()

    for asking in (model.list_models(), model.render_prompt("p")):
        with pytest.raises(PortkeyError) as caught:
            await asking
        said += said_by(caught.value)

    assert shown(said) == set()
    assert "***" in "".join(said)


@pytest.mark.parametrize("pad", [0, *range(3900, 4000, 7)])
async def test_no_key_is_in_an_error_of_structured_output(server, pad):
    content = json.dumps({"name": "x" * pad + KEY, "mayor": KEY})
    server.reply(chunks({"choices": [{"delta": {"content": content}, "finish_reason": "stop"}]}))

    with pytest.raises(PortkeyError, match=r"does not fit City: name: .*; mayor: ") as caught:
        _ = [each async for each in make_model(server, upstream="openai").structured_output(City, HELLO)]

    assert shown(said_by(caught.value)) == set()


async def test_no_key_of_the_callers_own_client_is_shown(server):
    server.reply(json_reply({"error": {"message": f"No {KEY}"}}, 400))
    client_args: dict[str, Any] = {"base_url": server.base_url, "provider": "openai"}

    async with httpx.AsyncClient(headers={"x-api-key": KEY}) as http_client:
        said = await ask(PortkeyModel(client_args, http_client=http_client, model_id="m"))

    assert shown(said) == set()


async def test_no_key_that_was_renewed_is_shown(server):
    keys = iter([KEY, "sk-another"])
    server.reply(json_reply({}, 401), json_reply({"error": {"message": f"No {KEY} nor sk-another"}}, 400))
    client_args: dict[str, Any] = {
        "base_url": server.base_url,
        "provider": "openai",
        "Authorization": lambda: next(keys),
    }

    said = await ask(PortkeyModel(client_args, model_id="m"))

    assert shown(said) == set()
    assert "No *** nor ***" in said[0]


# -- lines and terminals -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["message", "code", "type", "param"])
@pytest.mark.parametrize("sign", ["\n", "\r", "\x1b[2J", "\x9b2J", "\x07", "\u2028", "\u202e", "\x00"])
def test_no_line_break_or_escape_of_an_answer_is_in_an_error(name, sign):
    body = {"error": {"message": "x", name: f"a{sign}b"}, "provider": f"p{sign}q"}

    error = Judge().response_error(400, {TRACE: f"t{sign}u"}, json.dumps(body))

    assert [
        text for text in (str(error), error.code, error.type, error.param, error.provider) if sign in (text or "")
    ] == []
    assert str(error).startswith("p ")


@pytest.mark.parametrize("source", ["setting", "environment"])
async def test_no_password_of_a_proxy_is_shown(server, monkeypatch, source):
    for name in ("HTTP_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    proxy = server.url.replace("://", f"://user:{KEY}@")  # It answers for a gateway that does not exist.
    if source == "environment":
        monkeypatch.setenv("http_proxy", proxy)
    credentials = b64encode(f"user:{KEY}".encode()).decode()
    server.reply(json_reply({"error": {"message": f"{credentials} is the code of user:{KEY}"}}, 407))
    client_args: dict[str, Any] = {
        "base_url": "http://gateway.internal/v1",
        "proxy": proxy if source == "setting" else None,
    }

    with pytest.raises(PortkeyError) as caught:
        await anext(PortkeyModel(client_args, model_id="m").stream(HELLO))

    shown = f"{caught.value} {vars(caught.value)}"
    assert "*** is the code of ***" in shown
    assert [part for part in (*PIECES, credentials[8:16], credentials[-16:]) if part in shown] == []


def test_a_header_that_became_secret_is_hidden_after_keys_were_renewed():
    judge = Judge()
    sensitive = {"x-portkey-sensitive-headers": "tenant"}
    judge.sent({**sensitive, "x-portkey-tenant": "first-tenant"})
    judge.sent({**sensitive, "x-portkey-tenant": "second-tenant"})

    assert judge.quote("first-tenant, second-tenant") == "***, ***"


async def test_a_number_that_contains_a_key_stays_in_an_answer(server):
    reported: list[ResponseMetadata] = []
    verdicts = {"before_request_hooks": [{"created_at": 1712345678, "id": "a 123456"}]}
    server.reply(chunks({**WHOLE, "hook_results": verdicts}))
    model = make_model(server, {"headers": {"x-tenant-id": "123456"}}, on_response=reported.append)

    await ask(model)

    assert reported[0].hook_results == {"before_request_hooks": [{"created_at": 1712345678, "id": "a ***"}]}


async def test_a_number_that_contains_a_key_does_not_change_an_error(server):
    error = {"message": "too many for 123456", "code": "context_length_exceeded", "at": 1712345678}
    server.reply(json_reply({"error": error}, 400))

    with pytest.raises(PortkeyContextOverflowError, match=r"too many for \*\*\*") as caught:
        await anext(make_model(server, {"headers": {"x-tenant-id": "123456"}}).stream(HELLO))

    assert caught.value.code == "context_length_exceeded"


async def test_verdicts_that_quote_a_key_and_are_too_long_are_left_out(server, caplog):
    reported: list[ResponseMetadata] = []
    server.reply(chunks({**WHOLE, "hook_results": {"a": [KEY, *["x" * 100] * 1000]}}))

    await ask(make_model(server, on_response=reported.append))

    assert reported[0].hook_results == {}
    assert "guardrail results that quote a key are left out" in caplog.text


async def test_a_header_whose_name_is_a_key_is_left_out(server):
    reported: list[ResponseMetadata] = []
    server.reply(chunks(WHOLE, headers={f"x-portkey-{KEY}": "1", "x-portkey-new": "2"}))

    await ask(make_model(server, on_response=reported.append))

    assert dict(reported[0].headers) == {"x-portkey-new": "2"}


def frames_of(error: BaseException | None) -> list[str]:
    """Return the functions of this package on the path of an error and of those that it came from."""
    names: list[str] = []
    while error is not None:
        frames = walk_tb(error.__traceback__)
        names += [frame.f_code.co_name for frame, _ in frames if "strands_portkey" in frame.f_code.co_filename]
        error = error.__cause__ or error.__context__
    return names


async def test_an_error_that_came_while_a_key_was_renewed_leaves_no_frames_of_the_answer(server):
    keys = [KEY]

    def key() -> str:
        return keys.pop()  # The second time it raises.

    server.reply(json_reply({"error": {"message": KEY}}, 401))

    with pytest.raises(IndexError) as caught:
        await ask(make_model(server, {"Authorization": key}))

    assert set(frames_of(caught.value)) <= {"_answer", "_end", "_plan_after", "_called", "call_all", "wait"}


@pytest.mark.parametrize(
    "reply",
    [json_reply({"error": {"message": KEY}}, 401), chunks({"error": {"message": KEY}})],
    ids=["401", "chunk"],
)
async def test_the_log_of_a_failing_hook_has_no_frames_of_the_answer(server, caplog, reply):
    def fail(_: ResponseMetadata) -> None:
        raise ValueError

    server.reply(reply)
    await ask(make_model(server, on_response=fail))

    [record] = [record for record in caplog.records if record.exc_info]
    assert record.exc_info is not None
    assert frames_of(record.exc_info[1]) == ["_report"]


async def test_what_cannot_be_sent_to_another_endpoint_leaves_no_frames(server):
    with pytest.raises(PortkeyConfigError) as caught:
        await make_model(server).feedback("t", 1, metadata={"a": object()})  # type: ignore[dict-item]

    assert frames_of(caught.value) == ["feedback", "_fetch"]


@pytest.mark.parametrize("ask_for", [ask, PortkeyModel.list_models], ids=["stream", "list_models"])
async def test_a_failed_request_is_freed_at_once(server, ask_for):
    server.reply(json_reply({"error": {"message": "no"}}, 400))
    model = make_model(server)
    kept = weakref.ref(model)
    gc.collect()
    gc.disable()
    try:
        with suppress(PortkeyError):
            await ask_for(model)
        del model

        assert kept() is None
    finally:
        gc.enable()


async def test_a_header_that_one_call_makes_secret_is_hidden(server):
    server.reply(json_reply({"error": {"message": "no second-tenant"}}, 400))
    model = make_model(server, {"tenant_ref": "second-tenant"})

    with pytest.raises(PortkeyError, match=r"no \*\*\*"):
        await anext(model.stream(HELLO, invocation_state={"portkey": {"sensitive_headers": ["x-portkey-tenant-ref"]}}))


async def test_names_of_the_gateways_headers_are_not_hidden(server):
    reported: list[ResponseMetadata] = []
    server.reply(chunks(WHOLE, headers={TRACE: "t-1", "x-portkey-provider": "openai"}))

    await ask(
        make_model(server, {"headers": {"x-gateway": "portkey", "x-role": "provider"}}, on_response=reported.append)
    )

    assert (reported[0].trace_id, reported[0].provider) == ("t-1", "openai")


def test_a_header_is_hidden_that_another_request_lists_again():
    judge, listed = Judge(), {"x-portkey-sensitive-headers": "x-portkey-tenant"}
    for headers in (
        {**listed, "x-portkey-tenant": "first-tenant"},
        {"x-portkey-tenant": "second-tenant"},
        {**listed, "x-portkey-tenant": "second-tenant"},
    ):
        judge.sent(headers)

    assert judge.quote("first-tenant, second-tenant") == "***, ***"
