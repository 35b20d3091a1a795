"""One answer of a megabyte, of each odd kind, must not hold up the event loop, which serves all other requests too.

The longest time that the loop was held is printed for each: ``pytest -s tests_integ/test_limits.py``.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

import pytest
from strands.types.content import Messages

from strands_portkey import PortkeyError, PortkeyModel
from tests_integ.upstream import Reply, Upstream

SIZE = 1_000_000
SECONDS = 5  # Far above what was measured, so that a busy machine does not fail the test.
HELLO: Messages = [{"role": "user", "content": [{"text": "Hello"}]}]
AS_JSON = {"content-type": "application/json"}
AS_STREAM = {"content-type": "text/event-stream"}
AS_HTML = {"content-type": "text/html"}


def fill(unit: str) -> str:
    return unit * (SIZE // len(unit))


def nested(opening: str, closing: str, inner: str, depth: int) -> str:
    return opening * depth + inner + closing * depth


def wrapped(text: str, depth: int) -> str:
    for _ in range(depth):
        text = json.dumps(f"Invalid response received from x: {text}")
    return text


MESSAGES = {
    "max_max_": fill("max_"),
    "count after count": fill("input token count "),
    "too many tokens": fill("too many tokens ") + " per minute",
    "keys that are undefined": fill("token key bearer "),
    "reasoning_effort": fill("reasoning_effort "),
    "addresses": fill("v1/responses "),
    "function tools": fill("function tools "),
    "open brackets": fill("<"),
    "open titles": fill("<title"),
    "open styles": fill("<style>"),
    "escapes of a terminal": fill("\x1b[31m"),
    "prefixes": fill("Invalid response received from x: "),
    "a name": "Invalid response received from " + fill("a"),
    "spaces": fill(" "),
}
# Bodies of errors, and what an error chunk may hold.
ERRORS = {
    **{name: json.dumps({"error": {"message": text}}) for name, text in MESSAGES.items()},
    "a blocked prompt": json.dumps({"error": {"promptFeedback": {"blockReason": fill("max_")}}}),
    "a blocked prompt's list": json.dumps({"error": {"promptFeedback": {"blockReason": ["max_"] * 150_000}}}),
    "codes": json.dumps({"error": {"message": "x", "code": fill("4"), "type": fill("malformed_"), "param": fill("p")}}),
    "a provider": json.dumps({"error": {"message": "x"}, "provider": fill("p")}),
    "a provider that is a list": json.dumps({"error": {"message": "x"}, "provider": [[]] * 200_000}),
    "a message that is a list": json.dumps({"error": {"message": [1] * 300_000}}),
    "verdicts": json.dumps({"error": {"message": "x"}, "hook_results": {"a": ["12345678"] * 80_000}}),
    "details": json.dumps({"detail": [{"msg": fill("d")}] * 2}),
    "errors in errors": '{"error":' + nested('{"error":', "}", '"x"', 180) + "}",
    "messages in messages": '{"error":' + nested('{"message":', "}", '"x"', 180) + "}",
    "lists in lists": '{"error":' + nested("[", "]", '"x"', 180) + "}",
    "texts in texts": json.dumps({"error": {"message": json.loads(wrapped(nested('{"error":', "}", '""', 100), 9))}}),
    "a number": '{"error":{"message":"x","code":' + fill("9") + "}}",
    "objects that stay open": fill('{"error":'),
}
CHUNKS = {
    "choices of a wrong type": '{"choices":[' + fill("1,") + "1]}",
    "content of a wrong type": '{"choices":[{"delta":{"content":[' + fill("1,") + "1]}}]}",
    "calls of a wrong type": '{"choices":[{"delta":{"tool_calls":[' + fill("1,") + "1]}}]}",
    "blocks of a wrong type": '{"choices":[{"delta":{"content_blocks":[' + fill("1,") + "1]}}]}",
    "misfits": '{"choices":[' + fill('{"delta":{"content":"a","reasoning":{}}},') + "{}]}",
    "usage of a wrong type": '{"choices":[],"usage":{"prompt_tokens":[' + fill("1,") + "1]}}",
    "halves of characters": '{"choices":[{"delta":{"content":"' + fill("\\ud83d") + '"}}]}',
    "a finish reason": '{"choices":[{"delta":{},"finish_reason":"' + fill("x") + '"}]}',
    "a failure": '{"choices":[{"delta":{},"finish_reason":"' + fill("x") + '_error"}]}',
    "an object of its own": '{"object":{"a":[' + fill("1,") + '1]},"status":"' + fill("f") + '"}',
    "a call that stays open": '{"choices":[{"delta":{"tool_calls":[{"id":"a","function":{"name":"f","arguments":"{'
    + fill("x")
    + '"}}]},"finish_reason":"tool_calls"}]}',
    "verdicts of a stream": '{"hook_results":{"a":[' + fill('"12345678",') + '"1"]},"choices":[]}',
    "no JSON": "{" + fill("x"),
    **{
        f"many {name}": '{"choices":[{"delta":{"' + place + '":[' + fill(f"{part},") + part + "]}}]}"
        for name, place, part in (
            ("blocks", "content_blocks", "{}"),
            ("texts", "content", '{"text":"a"}'),
            ("redacted thoughts", "content", '{"data":"a"}'),
            ("signatures", "content", '{"signature":"a"}'),
            ("images", "content", '{"image_url":1}'),
            ("calls", "tool_calls", '{"function":{"name":"a"}},{"function":{"name":"b"}}'),
        )
    },
    "many choices": '{"choices":[' + fill('{"delta":{"content":"a"}},') + "{}]}",
    "choices with many thoughts": '{"choices":['
    + ",".join(['{"delta":{"content":[' + ",".join(['{"data":"a"}'] * 900) + "]}}"] * 80)
    + "]}",
    "many citations": '{"choices":[{"delta":{"content_blocks":[{"delta":{"citations":[' + fill("{},") + "{}]}}]}}]}",
    "blocks with many citations": '{"choices":[{"delta":{"content_blocks":['
    + ",".join(['{"delta":{"citations":[' + ",".join(['{"type":"a"}'] * 90) + "]}}"] * 550)
    + "]}}]}",
    **{
        f"sources: {kind} {name}": '{"choices":[{"delta":{"content":"a"' + of + "}" + by + "}]" + top + "}"
        for kind, named in (
            ("addresses", "[" + fill('"http://a",') + '"http://b"]'),
            ("numbers", "[" + fill("1,") + "1]"),
            ("an address", '["http://' + fill("a") + '"]'),
        )
        for name, of, by, top in (
            ("of a chunk", "", "", f',"citations":{named}'),
            ("of a choice", "", f',"groundingMetadata":{{"groundingChunks":{named}}}', ""),
            ("of a message", f',"annotations":{named}', "", ""),
        )
    },
    "a summary of numbers": '{"choices":[{"delta":{"content":[{"summary":[' + fill("1,") + "1]}]}}]}",
    "opening tags": '{"choices":[{"delta":{"content":"' + fill("<think>") + '"}}]}',
    "halves of closing tags": '{"choices":[{"delta":{"content":"<think>' + fill("</thin") + '"}}]}',
    "white space": '{"choices":[{"delta":{"content":"' + fill(" ") + '"}}]}',
    "verdicts that are lists": '{"hook_results":{"a":[' + fill("[],") + '[]]},"choices":[]}',
    "verdicts that are numbers": '{"hook_results":{"a":[' + fill("1,") + '1]},"choices":[]}',
    "verdicts that are objects": '{"hook_results":{"a":[' + fill('{"a":{}},') + '{}]},"choices":[]}',
}
PAGES = {"a page": fill("<p>x</p>"), "a page that stays open": fill("<style"), "a page of brackets": fill("<")}
LONG = "9" * 60_000
HEADERS = {
    name: {name: LONG, **AS_JSON}
    for name in ("retry-after", "retry-after-ms", "x-portkey-trace-id", "x-portkey-provider")
}
REPLIES = {
    **{
        f"{status}: {name}": Reply(status, AS_JSON, [text.encode()])
        for name, text in ERRORS.items()
        for status in (200, 446, 500)
    },
    **{f"error chunk: {name}": Reply(200, AS_STREAM, [f"data: {text}\n\n".encode()]) for name, text in ERRORS.items()},
    **{
        f"error event: {name}": Reply(200, AS_STREAM, [f"event: error\ndata: {text}\n\n".encode()])
        for name, text in ERRORS.items()
    },
    **{f"chunk: {name}": Reply(200, AS_STREAM, [f"data: {text}\n\n".encode()]) for name, text in CHUNKS.items()},
    **{f"JSON: {name}": Reply(200, AS_JSON, [text.encode()]) for name, text in CHUNKS.items()},
    **{f"502: {name}": Reply(502, AS_HTML, [text.encode()]) for name, text in PAGES.items()},
    **{f"header: {name}": Reply(429, headers, [b"{}"]) for name, headers in HEADERS.items()},
}


ENDPOINTS: dict[str, tuple[str, Callable[[PortkeyModel], Awaitable[object]]]] = {
    "models: bare lists": ("[" + fill("[],") + "[]]", lambda model: model.list_models()),
    "models: numbers": ('{"data":[' + fill("1,") + "1]}", lambda model: model.list_models()),
    "models: of no id": ('{"data":[' + fill("{},") + "{}]}", lambda model: model.list_models()),
    "prompt: messages of nothing": (
        '{"data":{"messages":[' + fill("{},") + "{}]}}",
        lambda model: model.render_prompt("p"),
    ),
    "prompt: parts of nothing": (
        '{"data":{"messages":[{"role":"user","content":[' + fill("{},") + "{}]}]}}",
        lambda model: model.render_prompt("p"),
    ),
    "prompt: numbers": ('{"data":{"messages":[' + fill("1,") + "1]}}", lambda model: model.render_prompt("p")),
    "feedback: lists": ("[" + fill("[],") + "[]]", lambda model: model.feedback("t", 1)),
}


async def longest_hold(
    server: Upstream, client_args: Mapping[str, Any], ask: Callable[[PortkeyModel], Awaitable[object]]
) -> float:
    """Ask once and return the longest time in which the loop did nothing else."""
    model = PortkeyModel(
        dict[str, Any]({"base_url": server.base_url, "provider": "openai", "max_retries": 0, **client_args}),
        model_id="m",
    )

    async def asking_once() -> None:
        with suppress(PortkeyError):
            await ask(model)

    asking, longest, last = asyncio.create_task(asking_once()), 0.0, time.perf_counter()
    while not asking.done():
        await asyncio.sleep(0)
        longest, last = max(longest, time.perf_counter() - last), time.perf_counter()
    await asking
    await model.aclose()
    return longest


async def stream(model: PortkeyModel) -> None:
    async for _ in model.stream(HELLO):
        pass


@pytest.mark.parametrize("name", REPLIES)
def test_a_megabyte_of_anything_does_not_hold_up_the_loop(name: str, upstream: Upstream) -> None:
    upstream.reply(REPLIES[name])
    keys = [{"provider": "openai", "api_key": f"sk-{number:0>40}"} for number in range(10)]

    seconds = asyncio.run(longest_hold(upstream, {"Authorization": "sk-12345678", "config": {"targets": keys}}, stream))

    print(f"{seconds * 1000:8.1f} ms  {name}")
    assert seconds < SECONDS


@pytest.mark.parametrize("name", ENDPOINTS)
def test_a_megabyte_of_another_endpoint_does_not_hold_up_the_loop(name: str, upstream: Upstream) -> None:
    text, ask = ENDPOINTS[name]
    upstream.reply(Reply(200, AS_JSON, [text.encode()]))

    seconds = asyncio.run(longest_hold(upstream, {"Authorization": "sk-12345678"}, ask))

    print(f"{seconds * 1000:8.1f} ms  {name}")
    assert seconds < SECONDS
