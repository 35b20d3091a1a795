"""The search for keys: fake ones are set in every place for one, every kind of error is caused, and none may be shown.

It looks at errors with all that they were raised from, at the variables in this package's frames, at what is logged, at
OpenTelemetry's spans, at the gateway's facts and at the conversation. No part of 8 characters of a key may be there.
"""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import socket
import traceback
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import BaseModel
from strands import Agent, tool
from strands.types.content import Messages

import strands_portkey
from strands_portkey import (
    ClientArgs,
    PortkeyAPIError,
    PortkeyConnectionError,
    PortkeyContextOverflowError,
    PortkeyError,
    PortkeyModel,
    PortkeyStreamError,
    PortkeyThrottledError,
    PortkeyTimeoutError,
    ResponseMetadata,
)
from strands_portkey._cli.main import main
from strands_portkey._settings.config import Api
from tests_integ.upstream import Gate, Reply, Request, Upstream, json_reply, sse_reply
from tests_integ.wires import anthropic, openai, responses

PART: Final = 8  # Characters of a key that may not show.
PACKAGE: Final = str(Path(strands_portkey.__file__).parent)
HELLO: Final[Messages] = [{"role": "user", "content": [{"text": "Hello"}]}]


def refusing_address() -> str:
    """Return a host and port at which every connection is refused, as long as this process lives."""
    held = socket.socket()
    held.bind(("127.0.0.1", 0))
    port = held.getsockname()[1]
    held.detach()  # Bound for good, and never listening.
    return f"127.0.0.1:{port}"


NOWHERE: Final = refusing_address()


def fake_key(place: str) -> str:
    """Return a key of 40 letters and digits, of which no part is in another one."""
    return base64.b32encode(hashlib.sha256(place.encode()).digest()).decode()[:40]


class Keys:
    """The fake keys, each named after its place."""

    portkey = fake_key("portkey")
    provider = fake_key("provider, from a function")
    virtual = fake_key("virtual key")
    target = fake_key("a target of the config")
    target_aws = fake_key("a target of the config, as AWS names it")
    header = fake_key("a header with a name that says nothing")
    returned = fake_key("a header that a function returns")
    forwarded = fake_key("a header that the gateway passes on")
    host_password = fake_key("password in custom_host")
    sensitive = fake_key("a header in sensitive_headers")
    cookie = fake_key("a cookie")
    proxy_password = fake_key("password in the proxy's address")
    certificate_password = fake_key("password of a client certificate")
    client_header = fake_key("a default header of the caller's own client")
    client_cookie = fake_key("a cookie of the caller's own client")
    client_password = fake_key("password of the caller's own client")
    session = fake_key("a token that an auth adds")
    misplaced = fake_key("a setting that takes no key")


FORMS: Final = {
    **{place: key for place, key in vars(Keys).items() if not place.startswith("_")},
    **{
        f"{place}, in base64": base64.b64encode(f"user:{key}".encode()).decode()[8:]
        for place, key in vars(Keys).items()
        if place.endswith("password")
    },
}
PARTS: Final = {form[at : at + PART]: place for place, form in FORMS.items() for at in range(len(form) - PART + 1)}


def keys_in(text: str) -> set[str]:
    """Return the places whose keys show in a text, at least in part."""
    windows = {text[at : at + PART] for at in range(len(text) - PART + 1)}
    return {PARTS[part] for part in windows & PARTS.keys()}


# -- evidence ----------------------------------------------------------------------------------------------------------


class Evidence:
    """All texts in which a key could show, by where they were found."""

    def __init__(self, logged: pytest.LogCaptureFixture, warned: pytest.WarningsRecorder) -> None:
        """Begin with nothing, and with a tracer that keeps its spans."""
        self.texts: list[tuple[str, str]] = []
        self._logged = logged
        self._warned = warned
        self.spans = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self.spans))
        self.tracer = provider.get_tracer(__name__)

    def add(self, where: str, *found: object) -> None:
        """Keep values, as they print and as they represent themselves."""
        self.texts += [(where, text) for value in found for text in (str(value), repr(value))]

    def add_error(self, error: BaseException) -> None:
        """Keep an error with all that it came from, and the variables of this package's frames on its path."""
        seen: dict[int, BaseException] = {}
        waiting: list[BaseException | None] = [error]
        while waiting:
            each = waiting.pop()
            if each is None or id(each) in seen:
                continue
            seen[id(each)] = each
            waiting += [each.__cause__, each.__context__, *getattr(each, "exceptions", ())]
            self.add(f"{type(each).__name__}", each, each.args, vars(each), getattr(each, "__notes__", ()))
            captured = traceback.TracebackException.from_exception(each, capture_locals=True)
            for frame in captured.stack:
                if frame.filename.startswith(PACKAGE):
                    for name, value in (frame.locals or {}).items():
                        self.add(f"{type(each).__name__}: {frame.name}: {name}", value)

    def shown(self) -> dict[str, set[str]]:
        """Return where keys show, and which."""
        for record in self._logged.records:
            if record.name.startswith("strands_portkey"):
                self.add(f"log of {record.name}", record.getMessage(), record.args)
                if record.exc_info and record.exc_info[1]:
                    self.add_error(record.exc_info[1])
        self.add("warning", *(each.message for each in self._warned))
        for span in self.spans.get_finished_spans():
            self.add(f"span {span.name}", span.to_json())
        by_where: dict[str, set[str]] = {}
        for where, text in self.texts:
            if keys := keys_in(text):
                by_where.setdefault(where, set()).update(keys)
        return by_where


@pytest.fixture
def evidence(caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder) -> Iterator[Evidence]:
    """Evidence in which all that this package logs, and all warnings are."""
    warnings.simplefilter("always")
    with caplog.at_level(logging.DEBUG, "strands_portkey"):
        yield Evidence(caplog, recwarn)


def test_the_search_for_keys_finds_keys_that_are_shown(evidence: Evidence) -> None:
    error = ValueError(Keys.header)
    error.__cause__ = KeyError(Keys.cookie[3:11])
    evidence.add_error(error)
    with evidence.tracer.start_as_current_span("asking") as span:
        span.set_attribute("fact", Keys.portkey)
    logging.getLogger("strands_portkey.x").debug("config=<%s>", Keys.target)
    warnings.warn(Keys.virtual, stacklevel=1)
    evidence.add("less than a part", Keys.target[: PART - 1])

    assert evidence.shown() == {
        "ValueError": {"header"},
        "KeyError": {"cookie"},
        "span asking": {"portkey"},
        "log of strands_portkey.x": {"target"},
        "warning": {"virtual"},
    }


# -- models with keys --------------------------------------------------------------------------------------------------


async def provider_key() -> str:
    return f"Bearer {Keys.provider}"


def returned_headers() -> dict[str, str]:
    return {
        "x-tenant": Keys.header,
        "x-minted": Keys.returned,
        "x-ref": Keys.sensitive,
        "cookie": f"theme=dark; session={Keys.cookie}",
    }


def client_args(**more: Any) -> dict[str, Any]:
    """Return settings with a key in every place that takes one on every way to the gateway."""
    targets = [
        {"provider": "openai", "api_key": Keys.target},
        {"provider": "bedrock", "aws_secret_access_key": Keys.target_aws},
    ]
    return {
        "api_key": Keys.portkey,
        "Authorization": provider_key,
        "virtual_key": Keys.virtual,
        "config": {"strategy": {"mode": "fallback"}, "targets": targets},
        "custom_host": f"https://user:{Keys.host_password}@provider.test/v1",
        "forward_headers": ["my-gateway"],
        "my_gateway": Keys.forwarded,
        "sensitive_headers": ["x-ref"],
        "headers": returned_headers,
        **more,
    }


Make = Callable[..., PortkeyModel]


def make_direct(url: str, **more: Any) -> PortkeyModel:
    return PortkeyModel(client_args(base_url=url, **more), model_id="gpt-4o")


def make_proxied(url: str, **more: Any) -> PortkeyModel:
    """Let the gateway's address be the proxy's: it answers for a host that does not exist."""
    proxy = url.replace("://", f"://user:{Keys.proxy_password}@").replace("https:", "http:")
    scheme = url.partition(":")[0]
    return PortkeyModel(client_args(base_url=f"{scheme}://gateway.test/v1", proxy=proxy, **more), model_id="gpt-4o")


def make_with_client(client: httpx.AsyncClient, url: str, **more: Any) -> PortkeyModel:
    client.headers.update({"x-deployment": Keys.client_header, "proxy-authorization": Keys.client_password})
    client.cookies["sid"] = Keys.client_cookie
    return PortkeyModel(client_args(base_url=url, **more), http_client=client, model_id="gpt-4o")


class Signing(httpx.Auth):
    """Adds a token, as a signer of AWS does."""

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["x-amz-security-token"] = Keys.session
        yield request


def make_signed(url: str, **more: Any) -> PortkeyModel:
    return PortkeyModel(client_args(base_url=url, auth=Signing, **more), model_id="gpt-4o")


MAKES: Final[dict[str, Make]] = {
    "direct": make_direct,
    "proxy": make_proxied,
    "signed": make_signed,
}


@pytest.fixture(params=[*MAKES, "own client"])
async def make(request: pytest.FixtureRequest) -> AsyncIterator[Make]:
    async with httpx.AsyncClient() as client:
        yield MAKES.get(request.param, partial(make_with_client, client))


# -- kinds of calls ----------------------------------------------------------------------------------------------------


class Fit(BaseModel):
    """What an answer must fit."""

    number: int


@tool
def look_up(name: str) -> str:
    """Look a name up."""
    return name


async def by_stream(model: PortkeyModel, evidence: Evidence) -> None:
    async with aclosing(model.stream(HELLO)) as events:
        evidence.add("event", *[event async for event in events])


async def by_agent(model: PortkeyModel, evidence: Evidence) -> None:
    agent = Agent(model=model, callback_handler=None, tools=[look_up], retry_strategy=None)
    try:
        evidence.add("result", await agent.invoke_async("Hello"))
    finally:
        evidence.add("conversation", agent.messages)


async def by_structured_output(model: PortkeyModel, evidence: Evidence) -> None:
    async with aclosing(model.structured_output(Fit, HELLO)) as events:
        evidence.add("event", *[event async for event in events])


async def by_list_models(model: PortkeyModel, evidence: Evidence) -> None:
    evidence.add("models", await model.list_models())


async def by_feedback(model: PortkeyModel, _: Evidence) -> None:
    await model.feedback("trace-1", 5)


async def by_render_prompt(model: PortkeyModel, evidence: Evidence) -> None:
    evidence.add("prompt", await model.render_prompt("prompt-1", {"name": "x"}))


Ask = Callable[[PortkeyModel, Evidence], Awaitable[None]]


async def outcome(evidence: Evidence, call: Callable[[], Awaitable[object]]) -> BaseException | None:
    """Call, keep the error that it raises, and return it."""
    try:
        await call()
    except Exception as error:  # noqa: BLE001 - looked at whole
        evidence.add_error(error)
        return error
    return None


async def hunt(model: PortkeyModel, ask: Ask, evidence: Evidence) -> BaseException | None:
    """Ask, and keep all output; return the error, as this package raised it."""
    metadata: list[ResponseMetadata] = []
    model._on_response = metadata.append  # As if it had been given: models are made in several ways.

    async def asking() -> None:
        with evidence.tracer.start_as_current_span("asking"):
            await ask(model, evidence)

    error = await outcome(evidence, asking)
    evidence.add("facts", *metadata, *(vars(each) for each in metadata))
    evidence.add("model", model, model.get_config())
    # An agent wraps what it cannot judge.
    return error.__cause__ if error and not isinstance(error, PortkeyError) else error


# -- what the other side says ------------------------------------------------------------------------------------------


Say = Callable[[str], Reply]


def quote(request: Request, before: int) -> str:
    """Return all that was sent in headers, after so many characters: somewhere a limit cuts a key in two."""
    return "-" * before + " " + ", ".join(f"{name} {value}" for name, value in request.headers)


def refuse(status: int, **more: object) -> Say:
    return lambda said: json_reply(
        {"error": {"message": said, "code": said, "type": said, "param": said, **more}, "provider": said},
        status,
        {"x-portkey-trace-id": said, "x-portkey-provider": said, "x-request-id": said},
    )


def chunks(*pieces: bytes, done: bool = True) -> Reply:
    return sse_reply([*openai.stream(openai.text("Hi")).pieces[:2], *pieces, *([openai.DONE] if done else [])])


def verdicts(said: str) -> dict[str, Any]:
    checks = [{"id": said, "verdict": False, "data": {"explanation": said, said: said}}]
    return {"before_request_hooks": [{"id": said, "verdict": False, "checks": checks}]}


REPLIES: Final[dict[str, tuple[Say, type[PortkeyError] | None]]] = {
    "401": (refuse(401), PortkeyAPIError),
    "403 as text": (lambda said: Reply(403, {"content-type": "text/plain"}, [said.encode()]), PortkeyAPIError),
    "404 as html": (
        lambda said: Reply(404, {"content-type": "text/html"}, [f"<title>{said}</title>{said}".encode()]),
        PortkeyAPIError,
    ),
    "429": (refuse(429), PortkeyThrottledError),
    "overflow": (refuse(400, code="context_length_exceeded"), PortkeyContextOverflowError),
    "500 in odd places": (lambda said: json_reply({"detail": [{"msg": said, said: said}]}, 500), PortkeyAPIError),
    "error in the stream": (
        lambda said: chunks(openai.sse({"error": {"message": said, "code": said, "type": said}, "provider": said})),
        PortkeyAPIError,
    ),
    "bad JSON in the stream": (lambda said: chunks(f"data: {{{said}\n\n".encode()), PortkeyStreamError),
    "wrong types in the stream": (lambda said: chunks(openai.sse({"choices": said, said: said})), PortkeyStreamError),
    "cut in the stream": (
        lambda said: Reply(200, {"content-type": "text/event-stream"}, [f"data: {said}".encode()], "cut"),
        PortkeyStreamError,
    ),
    "no end of the stream": (lambda said: chunks(openai.sse({"id": said}), done=False), PortkeyStreamError),
    "bad JSON": (
        lambda said: Reply(200, {"content-type": "application/json"}, [f'{{"{said}'.encode()]),
        PortkeyAPIError,
    ),
    "another content type": (lambda said: Reply(200, {"content-type": said[:200]}, [said.encode()]), None),
    "redirect": (lambda said: Reply(307, {"location": f"https://elsewhere.test/?{said}"}, [said.encode()]), None),
    "broken tool arguments": (
        lambda said: openai.stream(openai.tool_call(0, "c1", "look_up", f'{{"name": "{said[:3000]}')),
        PortkeyStreamError,
    ),
    "illegal header": (lambda said: Reply(200, {f"x {said}": "1"}, [b"{}"]), PortkeyConnectionError),
    "verdicts": (
        lambda said: chunks(
            openai.sse({"hook_results": verdicts(said), "model": said, "provider": said, "choices": []}),
            openai.chunk({}, "stop", model=said),
        ),
        None,
    ),
    "odd end": (lambda said: chunks(openai.chunk({}, said)), None),
}


@pytest.mark.parametrize("ask", [by_stream, by_agent])
@pytest.mark.parametrize("before", [0, 55, 180, 470, 3980])
@pytest.mark.parametrize(("reply", "expected"), REPLIES.values(), ids=REPLIES)
async def test_no_key_shows_that_an_answer_quotes(
    upstream: Upstream,
    evidence: Evidence,
    *,
    make: Make,
    ask: Ask,
    before: int,
    reply: Say,
    expected: type[PortkeyError] | None,
) -> None:
    upstream.script = lambda request: reply(quote(request, before))

    error = await hunt(make(upstream.url), ask, evidence)

    assert evidence.shown() == {}
    assert upstream.requests
    assert expected is None or isinstance(error, expected)


@pytest.mark.parametrize("before", [0, 180, 470])
async def test_no_key_shows_in_a_guardrails_denial(
    upstream: Upstream, evidence: Evidence, make: Make, before: int
) -> None:
    def deny(request: Request) -> Reply:
        said = quote(request, before)
        error = {"message": said, "type": "hooks_failed", "param": None, "code": None}
        return json_reply({"error": error, "hook_results": verdicts(said)}, 446)

    upstream.script = deny

    await hunt(make(upstream.url), by_agent, evidence)

    assert evidence.shown() == {}
    assert upstream.requests


@pytest.mark.parametrize(
    "said",
    [openai.answer, lambda said: openai.answer(json.dumps({"number": said}))],
    ids=["no JSON", "wrong type"],
)
async def test_no_key_shows_in_the_error_of_an_unfit_structured_output(
    upstream: Upstream, evidence: Evidence, make: Make, said: Say
) -> None:
    upstream.script = lambda request: said(quote(request, 0)[:3000])

    error = await hunt(make(upstream.url), by_structured_output, evidence)

    assert evidence.shown() == {}
    assert isinstance(error, PortkeyError)


@pytest.mark.parametrize("ask", [by_list_models, by_feedback, by_render_prompt])
@pytest.mark.parametrize(
    "reply",
    [
        refuse(401),
        lambda said: json_reply({"data": [{"id": 1, said: said}], "object": said}),
        lambda said: json_reply([said]),
        lambda said: Reply(200, {"content-type": "application/json"}, [f'{{"{said}'.encode()]),
        lambda said: Reply(200, {"content-type": "text/html"}, [f"<p>{said}".encode()]),
    ],
    ids=["401", "odd JSON", "list", "bad JSON", "html"],
)
async def test_no_key_shows_that_another_endpoint_quotes(
    upstream: Upstream, evidence: Evidence, make: Make, ask: Ask, reply: Say
) -> None:
    upstream.script = lambda request: reply(quote(request, 180))

    await hunt(make(upstream.url), ask, evidence)

    assert evidence.shown() == {}
    assert upstream.requests


# -- the other protocols -----------------------------------------------------------------------------------------------

_RESPONSE_BEGINS: Final = next(responses.events())


def events(*pieces: bytes) -> Reply:
    """Return the beginning of a response, and what follows."""
    return sse_reply([_RESPONSE_BEGINS, *pieces])


def item(event: str = "done", **fields: object) -> bytes:
    return responses.event(f"response.output_item.{event}", output_index=0, item=fields)


def message(*pieces: bytes) -> Reply:
    """Return the beginning of a message, and what follows."""
    return sse_reply([anthropic.start(), *pieces])


def _call(said: str) -> str:
    return f'{{"name": "{said[:3000]}'


OWN_REPLIES: Final[dict[Api, dict[str, tuple[Say, type[PortkeyError] | None]]]] = {
    "responses": {
        "error in the stream": (
            lambda said: events(responses.event("error", error={"message": said, "code": said, "param": said})),
            PortkeyAPIError,
        ),
        "flat error in the stream": (
            lambda said: events(responses.event("error", message=said, code=said, param=said)),
            PortkeyAPIError,
        ),
        "error that is no JSON": (lambda said: events(f"event: error\ndata: {said}\n\n".encode()), PortkeyAPIError),
        "failed": (
            lambda said: responses.stream(status="failed", error={"message": said, "code": said}),
            PortkeyAPIError,
        ),
        "failed, as JSON": (
            lambda said: responses.answer(status="failed", error={"message": said, "code": said}),
            PortkeyAPIError,
        ),
        "unknown status, as JSON": (lambda said: responses.answer(status=said), PortkeyStreamError),
        "bad JSON in the stream": (
            lambda said: events(f"event: response.output_text.delta\ndata: {{{said}\n\n".encode()),
            PortkeyStreamError,
        ),
        "wrong types in an item": (
            lambda said: events(item(type="message", content=said, **{said: said})),
            PortkeyStreamError,
        ),
        "no end of the stream": (lambda said: events(item(type=said, id=said)), PortkeyStreamError),
        "broken tool arguments": (
            lambda said: responses.stream(responses.call("c1", "look_up", _call(said))),
            PortkeyStreamError,
        ),
        "arguments in other words": (
            lambda said: events(
                item("added", type="function_call", call_id="c1", name=said),
                responses.event("response.function_call_arguments.delta", output_index=0, delta=said),
                item(type="function_call", call_id="c1", name=said, arguments="{}"),
            ),
            PortkeyStreamError,
        ),
        "odd items and verdicts": (
            lambda said: events(
                f"event: hook_results\ndata: {json.dumps({'hook_results': verdicts(said)})}\n\n".encode(),
                item(type=said, **{said: said}),
                item(type="message", content=[{"text": "Hi"}]),
                responses.event(
                    "response.incomplete",
                    response={"status": "incomplete", "model": said, "incomplete_details": {"reason": said}},
                ),
            ),
            None,
        ),
    },
    "messages": {
        "error in the stream": (
            lambda said: message(anthropic.event("error", error={"message": said, "type": said})),
            PortkeyAPIError,
        ),
        "error that is no JSON": (lambda said: message(f"event: error\ndata: {said}\n\n".encode()), PortkeyAPIError),
        "bad JSON in the stream": (
            lambda said: message(f"event: content_block_delta\ndata: {{{said}\n\n".encode()),
            PortkeyStreamError,
        ),
        "wrong types in the stream": (
            lambda said: message(anthropic.event("content_block_start", index=said, content_block=said)),
            PortkeyStreamError,
        ),
        "no end of the stream": (
            lambda said: message(anthropic.event(said), *_pieces(anthropic.text("Hi"))),
            PortkeyStreamError,
        ),
        "broken tool arguments": (
            lambda said: anthropic.stream(anthropic.tool_use("c1", "look_up", _call(said))),
            PortkeyStreamError,
        ),
        "odd end and verdicts": (
            lambda said: message(
                f"event: hook_results\ndata: {json.dumps({'hook_results': verdicts(said)})}\n\n".encode(),
                *_pieces(anthropic.text("Hi")),
                anthropic.event(
                    "message_delta", delta={"stop_reason": said, "stop_details": {said: said}}, usage={said: said}
                ),
                anthropic.event("message_stop"),
            ),
            None,
        ),
        "odd end, as JSON": (
            lambda said: anthropic.answer({"type": "text", "text": "Hi"}, stop_reason=said, model=said),
            None,
        ),
        "no message, as JSON": (lambda said: json_reply({"content": said, said: said}), PortkeyAPIError),
    },
}
TARGETS: Final[dict[Api, tuple[str, str]]] = {
    "responses": ("openai", "azure-openai"),
    "messages": ("anthropic", "bedrock"),
}
IN_A_STREAM: Final = {name for name in REPLIES if "stream" in name and name != "cut in the stream"} | {
    *("broken tool arguments", "verdicts", "odd end")
}


def _pieces(block: anthropic.Block) -> list[bytes]:
    return [piece for piece in block.pieces(0) if isinstance(piece, bytes)]


def make_for(api: Api, url: str) -> PortkeyModel:
    """Return a model that speaks a protocol, to which its targets fit."""
    first, second = TARGETS[api]
    targets = [
        {"provider": first, "api_key": Keys.target},
        {"provider": second, "aws_secret_access_key": Keys.target_aws},
    ]
    config = {"strategy": {"mode": "fallback"}, "targets": targets}
    return PortkeyModel(client_args(base_url=url, config=config), model_id="m", api=api)


@pytest.mark.parametrize("before", [0, 55, 180, 470, 3980])
@pytest.mark.parametrize(
    ("api", "reply", "expected"),
    [
        pytest.param(api, reply, expected, id=f"{api}, {name}")
        for api, replies in OWN_REPLIES.items()
        for name, (reply, expected) in replies.items()
    ],
)
async def test_no_key_shows_that_an_answer_on_another_protocol_quotes(
    upstream: Upstream,
    evidence: Evidence,
    *,
    api: Api,
    before: int,
    reply: Say,
    expected: type[PortkeyError] | None,
) -> None:
    upstream.script = lambda request: reply(quote(request, before))

    error = await hunt(make_for(api, upstream.url), by_agent, evidence)

    assert evidence.shown() == {}
    assert upstream.requests
    assert isinstance(error, expected) if expected else error is None


@pytest.mark.parametrize("api", OWN_REPLIES)
@pytest.mark.parametrize("name", [name for name in REPLIES if name not in IN_A_STREAM])
async def test_no_key_shows_that_an_answer_quotes_which_any_protocol_may_get(
    upstream: Upstream, evidence: Evidence, api: Api, name: str
) -> None:
    reply, expected = REPLIES[name]
    upstream.script = lambda request: reply(quote(request, 180))

    error = await hunt(make_for(api, upstream.url), by_stream, evidence)

    assert evidence.shown() == {}
    assert upstream.requests
    assert expected is None or isinstance(error, expected)


# -- no answer ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ask", [by_stream, by_agent])
async def test_no_key_shows_when_nothing_listens(evidence: Evidence, make: Make, ask: Ask) -> None:
    error = await hunt(make(f"http://{NOWHERE}"), ask, evidence)

    assert evidence.shown() == {}
    assert isinstance(error, PortkeyConnectionError)


@pytest.mark.parametrize("ask", [by_stream, by_agent])
async def test_no_key_shows_when_tls_fails(upstream: Upstream, evidence: Evidence, make: Make, ask: Ask) -> None:
    url = upstream.url.replace("http:", "https:")
    error = await hunt(make(url, timeout={"connect": 0.5}), ask, evidence)  # It waits for the end of a line of HTTP.

    assert evidence.shown() == {}
    assert isinstance(error, PortkeyError)


@pytest.mark.parametrize("ask", [by_stream, by_agent])
async def test_no_key_shows_when_a_clock_runs_out(upstream: Upstream, evidence: Evidence, make: Make, ask: Ask) -> None:
    upstream.script = lambda _: Reply(hold=Gate())

    error = await hunt(make(upstream.url, timeout={"first_byte": 0.3}), ask, evidence)

    assert evidence.shown() == {}
    assert isinstance(error, PortkeyTimeoutError)


@pytest.mark.parametrize("ending", ["cut", "abort"])
async def test_no_key_shows_when_the_connection_ends(
    upstream: Upstream, evidence: Evidence, make: Make, ending: Any
) -> None:
    upstream.script = lambda _: Reply(None, ending=ending)

    error = await hunt(make(upstream.url), by_stream, evidence)

    assert evidence.shown() == {}
    assert isinstance(error, PortkeyConnectionError)


# -- mistakes in settings ----------------------------------------------------------------------------------------------

KEY: Final = Keys.misplaced
GOOD: Final[dict[str, Any]] = {"base_url": f"http://{NOWHERE}", "provider": "openai"}

WRONG_CONFIG: Final[dict[str, dict[str, Any]]] = {
    "extra_headers": {"params": {"extra_headers": {"x-portkey-api-key": KEY}}},
    "extra_body": {"params": {"extra_body": {"api_key": KEY}}},
    "params with a model": {"params": {"model": "gpt-4o", "api_key": KEY}},
    "params with messages": {"params": {"messages": [KEY]}},
    "params as text": {"params": KEY},
    "params that are no JSON": {"params": {"user": {KEY}}},
    "params with a key for a name": {"params": {KEY: 1, "model": 1}},
    "upstream": {"upstream": KEY},
    "stream": {"stream": KEY},
    "phrases as text": {"context_overflow_phrases": KEY},
    "phrases of a wrong kind": {"context_overflow_phrases": [{KEY: KEY}]},
    "cache_config": {"cache_config": KEY},
    "structured_output": {"structured_output": KEY},
    "model_id": {"model_id": {"key": KEY}},
    "api_key": {"api_key": KEY},
    "Authorization": {"Authorization": f"Bearer {KEY}"},
    "client's name of it": {"openai_api_key": KEY},
    "a key for a name": {KEY: 1},
}


@pytest.mark.parametrize("config", WRONG_CONFIG.values(), ids=WRONG_CONFIG)
@pytest.mark.parametrize("given_to", ["a new model", "update_config", "one call"])
async def test_no_key_shows_that_stands_in_a_wrong_setting_of_the_model(
    evidence: Evidence, config: dict[str, Any], given_to: str
) -> None:
    async def use() -> None:
        model = PortkeyModel(GOOD, **{"model_id": "gpt-4o", **(config if given_to == "a new model" else {})})
        if given_to == "update_config":
            model.update_config(**config)
        evidence.add("config", model.get_config())
        await first_event(model, config if given_to == "one call" else {})

    error = await outcome(evidence, use)

    assert evidence.shown() == {}
    assert isinstance(error, PortkeyError)  # At the latest because nothing listens.


async def first_event(model: PortkeyModel, settings: dict[str, Any]) -> None:
    async with aclosing(model.stream(HELLO, invocation_state={"portkey": settings})) as events:
        await anext(events)


WRONG_ARGS: Final[dict[str, dict[str, Any]]] = {
    "base_url": {"base_url": KEY},
    "base_url with a password": {"base_url": f"http://user:{KEY}@{NOWHERE}"},
    "base_url with a query": {"base_url": f"http://{NOWHERE}/v1?key={KEY}"},
    "base_url of a wrong scheme": {"base_url": f"ftp://user:{KEY}@{NOWHERE}"},
    "a provider's key as Portkey's": {"api_key": f"sk-proj-{KEY}"},
    "a key of a wrong kind": {"api_key": {"key": KEY}},
    "a key in bytes": {"api_key": KEY.encode()},
    "a key with a line break": {"api_key": f"{KEY}\n"},
    "a key beyond ASCII": {"api_key": f"{KEY}é"},
    "a function that returns a wrong kind": {"Authorization": lambda: [KEY]},
    "a function that returns a line break": {"Authorization": lambda: f"{KEY}\nx"},
    "headers as text": {"headers": f"x-key: {KEY}"},
    "headers with a wrong value": {"headers": {"x-key": [KEY]}},
    "headers with a line break": {"headers": {"x-key": f"{KEY}\r\nx: y"}},
    "a key for a header's name": {"headers": {f"{KEY} x": "y"}},
    "headers from a function": {"headers": lambda: {"x-key": f"{KEY}\n"}},
    "config that is no JSON": {"config": f'{{"api_key": "{KEY}"'},
    "config of a wrong kind": {"config": [KEY]},
    "config that is no JSON inside": {"config": {"api_key": {KEY}}},
    "metadata that is no JSON": {"metadata": f'{{"key": "{KEY}"'},
    "metadata of a wrong kind": {"metadata": [KEY]},
    "custom_host of a wrong kind": {"custom_host": {KEY: KEY}},
    "forward_headers": {"forward_headers": {KEY: KEY}},
    "sensitive_headers": {"sensitive_headers": [f"{KEY}\n"]},
    "timeout": {"timeout": KEY},
    "timeout of a wrong name": {"timeout": {KEY: 1}},
    "max_event_bytes": {"max_event_bytes": KEY},
    "http2": {"http2": KEY},
    "trust_env": {"trust_env": KEY},
    "a certificate that is missing": {
        "cert": ("/nowhere/a.pem", "/nowhere/a.key", KEY),
        "base_url": f"https://{NOWHERE}",
    },
    "cert of a wrong kind": {"cert": {"password": KEY}},
    "proxy of a wrong scheme": {"proxy": f"ftp://user:{KEY}@{NOWHERE}"},
    "proxy with # in its password": {"proxy": f"http://user:a#{KEY}@{NOWHERE}"},
    "proxy with / in its password": {"proxy": f"http://user:a/{KEY}@{NOWHERE}"},
    "proxy with ? in its password": {"proxy": f"http://user:a?{KEY}@{NOWHERE}"},
    "proxy with a wrong port": {"proxy": f"http://user:{KEY}@127.0.0.1:99999"},
    "proxy that is away": {"proxy": f"http://user:{KEY}@{NOWHERE}"},
    "a name given twice": {"trace_id": KEY, "Trace-Id": KEY},
    "a key for a name": {f"{KEY} x": "y"},
}


@pytest.mark.parametrize("args", WRONG_ARGS.values(), ids=WRONG_ARGS)
@pytest.mark.parametrize("given_to", ["a new model", "one call"])
async def test_no_key_shows_that_stands_in_a_wrong_setting_of_the_client(
    evidence: Evidence, args: dict[str, Any], given_to: str
) -> None:
    new = given_to == "a new model"

    async def use() -> None:
        model = PortkeyModel({**GOOD, **(args if new else {})}, model_id="gpt-4o")
        evidence.add("model", model, model.get_config())
        await first_event(model, {} if new else args)

    error = await outcome(evidence, use)

    assert evidence.shown() == {}
    assert isinstance(error, PortkeyError)


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "ALL_PROXY", "PORTKEY_BASE_URL", "PORTKEY_API_KEY"])
@pytest.mark.parametrize("mark", ["#", "/", "?", "\n", " ", "é"])
async def test_no_key_shows_of_the_environment(
    evidence: Evidence, monkeypatch: pytest.MonkeyPatch, variable: str, mark: str
) -> None:
    for name in ("NO_PROXY", "no_proxy", variable.lower()):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, KEY + mark if variable.endswith("KEY") else f"http://user:a{mark}{KEY}@{NOWHERE}")
    given: ClientArgs = {"provider": "openai"}
    if variable != "PORTKEY_BASE_URL":
        given["base_url"] = f"http://{NOWHERE}"

    async def use() -> None:
        await first_event(PortkeyModel(given, model_id="gpt-4o"), {})

    error = await outcome(evidence, use)

    assert evidence.shown() == {}
    assert isinstance(error, PortkeyError)


# -- the terminal ------------------------------------------------------------------------------------------------------

TERMINAL: Final[dict[str, list[str]]] = {
    "params": ["chat", "--params", KEY],
    "params with a model": ["chat", "--params", json.dumps({"model": KEY})],
    "upstream": ["chat", "--upstream", KEY],
    "an unknown option": ["chat", f"--api-key={KEY}"],
    "a key for a command": [KEY],
    "base_url": ["doctor", "--base-url", KEY],
    "config": ["chat", "--config", f'{{"api_key": "{KEY}"'],
    "header": ["chat", "--header", KEY],
}


@pytest.mark.parametrize("arguments", TERMINAL.values(), ids=TERMINAL)
def test_no_key_shows_in_the_terminal(
    evidence: Evidence, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    try:
        status: object = main(arguments)
    except SystemExit as end:
        status = end.code

    printed = capsys.readouterr()
    evidence.add("terminal", printed.out, printed.err)
    assert evidence.shown() == {}
    assert status
