"""Whatever a gateway answers: events that Strands accepts, or a PortkeyError; and never a secret in what is shown."""

import asyncio
import json
import logging
import random
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strands.event_loop.streaming import process_stream
from strands.types.content import Messages

from strands_portkey import PortkeyError, PortkeyModel
from strands_portkey._answer.judgement import Judge
from tests.chat import Pieces

HELLO: Messages = [{"role": "user", "content": [{"text": "Hello"}]}]
SECONDS = 5  # A wait that ends this way is a failure.


SECRETS: dict[str, Any] = {
    "api_key": "pk-SECRET-gateway-0001",
    "Authorization": "Bearer sk-SECRET-provider-0002",
    "virtual_key": "vk-SECRET-virtual-0003",
    "headers": {"x-own-token": "own-SECRET-header-0004"},
    "aws_secret_access_key": "amz-SECRET-access-0005",
    "azure_ad_token": "azure-SECRET-token-0006",
    "config": {"targets": [{"provider": "openai", "api_key": "sk-SECRET-target-0007"}]},
}
# Every secret without the scheme of its header.
ALL = [
    "pk-SECRET-gateway-0001",
    "sk-SECRET-provider-0002",
    "vk-SECRET-virtual-0003",
    "own-SECRET-header-0004",
    "amz-SECRET-access-0005",
    "azure-SECRET-token-0006",
    "sk-SECRET-target-0007",
]
ECHO = " ".join(ALL)


class Answers(httpx.AsyncBaseTransport):
    """Gives one answer to every request."""

    def __init__(self, status: int, headers: list[tuple[bytes, bytes]], pieces: list[bytes]) -> None:
        self.answer = status, headers, pieces

    async def handle_async_request(self, _: httpx.Request) -> httpx.Response:
        status, headers, pieces = self.answer
        return httpx.Response(
            status, headers=headers, stream=Pieces(pieces), extensions={"reason_phrase": ECHO.encode()}
        )


@pytest.fixture(scope="module")
def runner():
    # One loop for all examples; making one costs more than an example.
    loop = asyncio.new_event_loop()
    yield loop.run_until_complete
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


async def ask(
    status: int, headers: list[tuple[bytes, bytes]], pieces: list[bytes], client_args: dict | None = None, **config
) -> tuple[object, BaseException | None]:
    """Return the message that Strands makes of an answer, or the error."""
    reported: list[object] = []
    async with httpx.AsyncClient(transport=Answers(status, headers, pieces)) as http_client:
        model = PortkeyModel(
            dict[str, Any]({"provider": "openai", "max_retries": 0, **(client_args or {})}),
            http_client=http_client,
            on_response=reported.append,
            model_id="m",
            **config,
        )
        message, error = None, None
        try:
            message = await asyncio.wait_for(_message(model), SECONDS)
        except PortkeyError as caught:
            error = caught
        assert len(reported) == 1
        return message, error


async def _message(model: PortkeyModel) -> object:
    stops = [event["stop"] async for event in process_stream(model.stream(HELLO)) if "stop" in event]
    assert len(stops) == 1
    return stops[0][1]


def check(message: object, error: BaseException | None) -> None:
    """An error says something; a message can be sent back as a part of the conversation."""
    if error is not None:
        assert str(error)
        assert repr(error)
    else:
        assert isinstance(message, dict)
        assert message["role"] == "assistant"
        for block in message["content"]:
            assert len(block) == 1
            json.dumps(block, default=bytes.decode)


def split(draw, body: bytes) -> list[bytes]:
    places = sorted(draw(st.lists(st.integers(0, len(body)), max_size=6)))
    return [body[start:end] for start, end in zip([0, *places], [*places, len(body)], strict=True)]


# -- bytes -------------------------------------------------------------------------------------------------------------

TYPES = [b"text/event-stream", b"application/json", b"text/html", b"", b"text/event-stream; charset=\xff", b";;="]
HEADERS = [
    (b"content-encoding", b"gzip"),
    (b"content-encoding", b"deflate"),
    (b"content-encoding", b"identity"),
    (b"x-portkey-trace-id", b"\xff\xfe"),
    (b"x-portkey-retry-attempt-count", b"--1"),
    (b"x-portkey-retry-attempt-count", b"\xc2\xb2"),
    (b"retry-after", b"1e999"),
    (b"retry-after", b"Fri, 99 Foo 99999 99:99:99 GMT"),
    (b"retry-after-ms", b"nan"),
    (b"x-portkey-gateway-exception", b"true"),
    (b"location", b"//[::"),
]
statuses = st.one_of(
    st.sampled_from([200, 200, 246, 204, 304, 307, 400, 401, 408, 429, 446, 500, 529]), st.integers(200, 599)
)
headers = st.builds(
    lambda kind, more: [(b"content-type", kind), *more],
    st.sampled_from(TYPES),
    st.lists(st.sampled_from(HEADERS), max_size=2),
)


@settings(max_examples=max(150, settings().max_examples), suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), status=statuses, headers=headers, body=st.binary(max_size=80), stream=st.booleans())
def test_random_bytes_with_any_status_give_an_error_or_a_message(runner, data, status, headers, body, *, stream):
    check(*runner(ask(status, headers, split(data.draw, body), stream=stream)))


def test_a_retry_count_of_any_length_is_no_failure(runner):
    headers = [(b"content-type", b"application/json"), (b"x-portkey-retry-attempt-count", b"1" * 5000)]

    check(*runner(ask(500, headers, [b"{}"])))


# -- fragments of what is valid ----------------------------------------------------------------------------------------

values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 10**20),
    st.floats(),
    st.sampled_from(
        ["", "x", "stop", "{", "}", '{"a":1}', "[]", "NaN", "\u2028", "\ud83d\ude00", "overloaded_error", "0"]
    ),
)
KEYS = [
    "choices",
    "delta",
    "message",
    "finish_reason",
    "content",
    "content_blocks",
    "reasoning_content",
    "refusal",
    "tool_calls",
    "index",
    "id",
    "function",
    "name",
    "arguments",
    "thought_signature",
    "text",
    "thinking",
    "signature",
    "data",
    "citation",
    "citations",
    "type",
    "url",
    "usage",
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "prompt_tokens_details",
    "cached_tokens",
    "model",
    "provider",
    "error",
    "hook_results",
    "code",
]
loose = st.recursive(
    values,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(KEYS), inner, max_size=4)),
    max_leaves=8,
)
text = st.sampled_from(["", "x", "Hello ", "\u2028", '"', "\\"])
arguments = st.sampled_from(
    ["", "{", "}", '{"a":', "1}", "{}", "[1]", "null", "NaN", '"\\ud800"', "{" * 2000, "1" * 5000]
)
index = st.sampled_from([None, 0, 0, 1, 2, -1])
function = st.fixed_dictionaries(
    {}, optional={"name": st.sampled_from([None, "", "f", "g"]), "arguments": arguments, "thought_signature": text}
)
tool_call = st.one_of(
    st.none(),
    st.fixed_dictionaries(
        {}, optional={"index": index, "id": st.sampled_from([None, "", "a", "b"]), "function": function}
    ),
)
part = st.fixed_dictionaries(
    {},
    optional={
        "text": text,
        "thinking": st.one_of(text, st.just([{"text": "t"}, {}])),
        "signature": text,
        "data": text,
        "citation": st.sampled_from([None, {}, {"type": "web_search_result_location", "url": "//[::"}]),
        "image_url": st.just({"url": "data:"}),
    },
)
block = st.one_of(part, st.fixed_dictionaries({"delta": part}, optional={"index": index}))
delta = st.fixed_dictionaries(
    {},
    optional={
        "content": st.one_of(st.none(), text, st.lists(part, max_size=2)),
        "content_blocks": st.lists(block, max_size=2),
        "reasoning_content": text,
        "reasoning": text,
        "refusal": text,
        "tool_calls": st.one_of(tool_call, st.lists(tool_call, max_size=3)),
    },
)
reason = st.sampled_from(
    [None, "stop", "STOP", "length", "tool_calls", "tool_use", "what", "error", "overloaded_error"]
)
choice = st.fixed_dictionaries({}, optional={"delta": delta, "finish_reason": reason, "message": delta})
usage = st.dictionaries(st.sampled_from(["prompt_tokens", "completion_tokens", "total_tokens"]), st.integers(0, 9))
chunk = st.one_of(
    st.fixed_dictionaries({"choices": st.lists(choice, max_size=2)}, optional={"usage": usage, "model": text}),
    st.fixed_dictionaries({"choices": st.just([{"delta": {}, "finish_reason": "stop"}])}),
    st.fixed_dictionaries({"hook_results": st.dictionaries(text, loose, max_size=2)}),
    st.fixed_dictionaries({"error": loose}),
    st.dictionaries(st.sampled_from(KEYS), loose, max_size=3),
)
dumped = chunk.map(json.dumps)
line = st.one_of(
    dumped.map("data: ".__add__),
    dumped.map("data: ".__add__),
    dumped.map("data:".__add__),
    st.sampled_from(
        ["", "", ": ping", "data: [DONE]", "data", "data: {", "event: error", "event:", "id: \0", "retry: x"]
    ),
)


@settings(
    max_examples=max(200, settings().max_examples),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(data=st.data(), lines=st.lists(line, max_size=8), end=st.sampled_from(["\n", "\n\n", "\r", "\r\n", "\r\n\r\n"]))
def test_random_events_give_an_error_or_a_message(runner, data, lines, end):
    body = end.join(lines).encode(errors="replace")

    check(*runner(ask(200, [(b"content-type", b"text/event-stream")], split(data.draw, body))))


@settings(max_examples=max(150, settings().max_examples), suppress_health_check=[HealthCheck.too_slow])
@given(status=statuses, body=st.one_of(chunk, loose))
def test_random_json_with_any_status_gives_an_error_or_a_message(runner, status, body):
    check(*runner(ask(status, [(b"content-type", b"application/json")], [json.dumps(body).encode()], stream=False)))


BODIES = [
    b'{"error":{"message":"Slow down","type":"rate_limit_error","code":"429","param":null},"provider":"openai"}',
    b'{"error":"openai error: undefined","status":"failure","message":{"message":[{"0":{"message":"x"}}]}}',
    b'{"error":{"message":"Provider returned error","metadata":{"raw":"{\\"error\\":{\\"message\\":\\"x\\"}}"}}}',
    b'[{"error":{"code":503,"message":"The model is overloaded.","status":"UNAVAILABLE"}}]',
    b'{"detail":[{"loc":["body"],"msg":"field required"}]}',
    b'{"success":false,"data":{"message":"Budget exhausted","errorCode":"04"}}',
    b'{"promptFeedback":{"blockReason":"SAFETY"},"hook_results":{"before_request_hooks":[{"verdict":false}]}}',
    b'Invalid response received from openai: {"error":{"message":"x"}}',
    b"<html><head><title>502 Bad Gateway</title><style>a</style></head><body><h1>Bad</h1></body></html>",
    b'{"status":"failure","message":{"message":null}}',
    b'{"success":false,"data":{"message":[1]}}',
    b'{"detail":[{"msg":{}}],"0":[[]]}',
    b"Error Code: 04",
    b"\xef\xbb\xbf",
]


def test_random_error_bodies_are_judged():
    chance = random.Random(20261122)  # noqa: S311 - the same bodies in each run
    pieces = [
        *BODIES,
        b'"',
        b"{",
        b"}",
        b"[" * 300,
        b"null",
        b"1e999",
        b"9" * 5000,
        b"\xff",
        b"<",
        b"\\u0000",
        b"\\ud800",
        b"NaN",
    ]
    values = [b"429", b"-1", b"1e999", b"nan", b"Fri, 31 Dec 9999 23:59:59 -2359", b"x" * 50, b"\xff"]
    for _ in range(max(1_000, settings().max_examples)):
        body = bytearray(chance.choice(BODIES))
        for _ in range(chance.randrange(4)):
            start = chance.randrange(len(body) + 1)
            body[start : start + chance.randrange(8)] = chance.choice(pieces)
        names = ["retry-after", "retry-after-ms", "x-portkey-trace-id", "x-portkey-provider"]
        headers = {name: chance.choice(values).decode(errors="replace") for name in names if chance.random() < 0.3}

        error = Judge().response_error(
            chance.choice([200, 246, *range(400, 600)]), headers, body.decode(errors="replace")
        )

        assert isinstance(error, PortkeyError)
        assert str(error)


def test_a_message_is_short_whatever_it_quotes():
    error = Judge().response_error(500, {}, json.dumps({"error": {"message": "x", "code": "y" * 10_000}}))

    assert len(str(error)) < 3000


@pytest.mark.parametrize(
    "body",
    [
        '{"error":{"message":"x","code":' + "9" * 5000 + "}}",
        '{"error":' * 150 + "1" + "}" * 150,
        '{"message":' * 150 + '"x"' + "}" * 150,
        "[" * 150 + "]" * 150,
        "<title>" * 100_000,
        "<style" * 100_000,
        "Invalid response received from a: " * 20_000,
        '{"error":{"message":"' + "token undefined key " * 50_000 + '"}}',
        '{"error":{"message":"input token count " ' + "exceeds " * 50_000,
    ],
    ids=[
        "long number",
        "deep errors",
        "deep messages",
        "deep lists",
        "titles",
        "styles",
        "prefixes",
        "hints",
        "phrases",
    ],
)
@pytest.mark.parametrize("status", [200, 401, 500])
def test_a_very_large_error_body_is_judged_quickly(runner, body, status):
    async def judged() -> None:
        started = asyncio.get_running_loop().time()
        _, error = await ask(status, [(b"content-type", b"application/json")], [body.encode()])
        assert error is not None
        assert asyncio.get_running_loop().time() - started < 1

    runner(judged())


# -- secrets -----------------------------------------------------------------------------------------------------------

QUOTED = json.dumps(ECHO)
SSE = [(b"content-type", b"text/event-stream")]
AS_JSON = [(b"content-type", b"application/json")]
HEAD = b'data: {"choices":[{"delta":{"content":"Hi"}}]}\n\n'


def sse(text: str) -> bytes:
    return f"data: {text}\n\n".encode()


# Where a gateway may repeat what it was sent.
ECHOES = {
    "a body of an error": (401, AS_JSON, [f'{{"error":{{"message":{QUOTED},"code":{QUOTED}}}}}'.encode()]),
    "type, param and provider of an error": (
        400,
        AS_JSON,
        [f'{{"error":{{"message":"x","type":{QUOTED},"param":{QUOTED}}},"provider":{QUOTED}}}'.encode()],
    ),
    "a text": (500, [(b"content-type", b"text/plain")], [ECHO.encode()]),
    "a page": (502, [(b"content-type", b"text/html")], [f"<title>{ECHO}</title>".encode()]),
    "a good answer's HTML": (200, [(b"content-type", b"text/html")], [f"<p>{ECHO}</p>".encode()]),
    "a trace id": (500, [*AS_JSON, (b"x-portkey-trace-id", ECHO.encode())], [b"{}"]),
    "a provider's name": (500, [*AS_JSON, (b"x-portkey-provider", ECHO.encode())], [b"{}"]),
    "a redirect": (307, [(b"location", b"http://evil.test/?" + ECHO.encode())], [ECHO.encode()]),
    "a redirect's port": (307, [(b"location", b"http://evil.test:" + ALL[1].encode())], [b""]),
    "the reason": (503, AS_JSON, [b"{}"]),
    "a guardrail's verdict": (
        446,
        AS_JSON,
        [f'{{"error":{{"message":{QUOTED}}},"hook_results":{{"before_request_hooks":[{QUOTED}]}}}}'.encode()],
    ),
    "a trace id before a broken stream": (200, [*SSE, (b"x-portkey-trace-id", ECHO.encode())], [HEAD]),
    "a chunk that is no JSON": (200, SSE, [HEAD, sse("{" + ECHO)]),
    "a chunk of the wrong types": (200, SSE, [sse(f'{{"choices":{QUOTED}}}')]),
    "a field of a chunk": (200, SSE, [sse(f'{{"choices":[{{"delta":{QUOTED}}}]}}')]),
    "bytes that are no UTF-8": (200, SSE, [HEAD + b"data: \xff" + ECHO.encode() + b"\n\n"]),
    "an error event": (200, SSE, [HEAD, f'event: error\ndata: {{"message":{QUOTED}}}\n\n'.encode()]),
    "an error chunk": (200, SSE, [HEAD, sse(f'{{"error":{{"message":{QUOTED},"type":{QUOTED}}}}}')]),
    "a finish reason that is an error": (
        200,
        SSE,
        [sse(f'{{"choices":[{{"delta":{{}},"finish_reason":{json.dumps(ECHO + "_error")}}}]}}')],
    ),
    "half a tool call": (
        200,
        SSE,
        [
            sse(
                '{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":'
                + json.dumps('{"' + ECHO)
                + '}}]},"finish_reason":"tool_calls"}]}'
            )
        ],
    ),
    "the name of half a tool call": (
        200,
        SSE,
        [
            sse(
                '{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":'
                + QUOTED
                + ',"arguments":"{"}}]},"finish_reason":"tool_calls"}]}'
            )
        ],
    ),
    "an unknown finish reason": (200, SSE, [sse(f'{{"choices":[{{"delta":{{}},"finish_reason":{QUOTED}}}]}}')]),
    "input without a call": (
        200,
        SSE,
        [sse(f'{{"choices":[{{"delta":{{"tool_calls":[{{"function":{{"arguments":{QUOTED}}}}}]}}}}]}}')],
    ),
    "an unknown citation": (
        200,
        SSE,
        [sse(f'{{"choices":[{{"delta":{{"content":[{{"citation":{{"type":{QUOTED}}}}}]}}}}]}}')],
    ),
    "a JSON answer": (200, AS_JSON, [f'{{"message":{QUOTED}}}'.encode()]),
    "the end of what is kept": (500, AS_JSON, [b"x" * 3982 + ECHO.encode()]),
    "the end of what is shown": (500, AS_JSON, [b"x" * 482 + ECHO.encode()]),
    "escapes": (500, AS_JSON, [json.dumps({"error": {"message": ECHO}}).replace("-", "\\u002d").encode()]),
}


def said_by(error: BaseException | None) -> str:
    """Return all that an exception says, with those that it came from."""
    said: list[str] = []
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        each = waiting.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        said += [str(each), repr(each), repr(vars(each)), repr(each.args)]
        waiting += [each.__cause__, each.__context__]
    return "\n".join(said)


@pytest.mark.parametrize("place", ECHOES)
def test_no_secret_is_shown_whatever_a_gateway_echoes(runner, caplog, place):
    status, headers, pieces = ECHOES[place]
    model = PortkeyModel(SECRETS, model_id="m")

    with caplog.at_level(logging.DEBUG, logger="strands_portkey"):
        _, error = runner(ask(status, headers, pieces, SECRETS, on_guardrail="raise"))

    logged = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("strands_portkey"))
    said = {"error": said_by(error), "log": logged, "repr": repr(model)}
    # The beginning of a secret is one too.
    found = {(where, secret) for where, text in said.items() for secret in ALL if secret[:14].lower() in text.lower()}
    assert found == set()


def test_no_header_of_the_callers_own_is_shown(runner):
    client_args = {"headers": {"x-own": "plain-SECRET-header-0008"}}
    body = b'{"error":{"message":"You sent plain-SECRET-header-0008"}}'

    _, error = runner(ask(400, AS_JSON, [body], client_args))

    assert "SECRET" not in said_by(error)
