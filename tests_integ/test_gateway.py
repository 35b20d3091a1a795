"""The servers of these tests: the real gateway streams what the scripted upstream sends."""

from __future__ import annotations

import json

import httpx
import pytest

from tests_integ.gateway import Gateway, running_gateway
from tests_integ.upstream import Gate, Piece, Reply, Upstream
from tests_integ.wires import anthropic, openai


def _headers(upstream: Upstream, provider: str) -> dict[str, str]:
    return {
        "authorization": "Bearer key",
        "x-portkey-provider": provider,
        "x-portkey-custom-host": upstream.base_url,
        "x-portkey-strict-open-ai-compliance": "false",
    }


_BODY = {"model": "m", "stream": True, "max_tokens": 64, "messages": [{"role": "user", "content": "Hi"}]}


def _deltas(body: str) -> list[dict[str, object]]:
    chunks = [json.loads(line.removeprefix("data: ")) for line in body.splitlines() if line.startswith("data: {")]
    return [choice["delta"] for chunk in chunks for choice in chunk["choices"]]


def test_an_openai_stream_arrives_byte_for_byte(gateway: Gateway, upstream: Upstream) -> None:
    said = openai.stream(openai.text("Hel", "lo"))
    upstream.reply(said)

    answer = httpx.post(f"{gateway.base_url}/chat/completions", headers=_headers(upstream, "openai"), json=_BODY)

    assert answer.status_code == 200
    assert answer.content == b"".join(piece for piece in said.pieces if isinstance(piece, bytes))
    assert [(request.method, request.path) for request in upstream.requests] == [("POST", "/v1/chat/completions")]
    assert upstream.requests[0].header("Authorization") == "Bearer key"
    assert upstream.requests[0].json["messages"] == _BODY["messages"]


def test_an_anthropic_stream_arrives_with_its_thinking(gateway: Gateway, upstream: Upstream) -> None:
    upstream.reply(anthropic.stream(anthropic.thinking("Hm.", signature="SIG=="), anthropic.text("Hello")))

    answer = httpx.post(f"{gateway.base_url}/chat/completions", headers=_headers(upstream, "anthropic"), json=_BODY)

    assert answer.status_code == 200
    assert {"content_blocks": [{"index": 0, "delta": {"thinking": "Hm."}}]} in _deltas(answer.text)
    assert {"content": "Hello", "content_blocks": [{"index": 1, "delta": {"text": "Hello"}}]} in _deltas(answer.text)
    assert upstream.requests[0].path == "/v1/messages"


def test_the_stream_is_passed_on_piece_by_piece(gateway: Gateway, upstream: Upstream) -> None:
    gate = Gate()
    upstream.reply(openai.stream(openai.text("first"), gate, openai.text("second")))

    with httpx.stream(
        "POST", f"{gateway.base_url}/chat/completions", headers=_headers(upstream, "openai"), json=_BODY
    ) as answer:
        events = (line for line in answer.iter_lines() if line)
        before = [next(events), next(events)]
        gate.reached.result(10)
        gate.open()
        after = list(events)

    assert "first" in before[1]
    assert "second" in after[0]


@pytest.mark.parametrize("ending", ["cut", "abort"])
def test_an_upstream_that_dies_mid_stream_looks_like_a_clean_end(
    gateway: Gateway, upstream: Upstream, ending: str
) -> None:
    gate = Gate()
    pieces: list[Piece] = [openai.chunk({"content": "Hel"}), gate]
    upstream.reply(Reply(200, {"content-type": "text/event-stream"}, pieces, "abort" if ending == "abort" else "cut"))

    with httpx.stream(
        "POST", f"{gateway.base_url}/chat/completions", headers=_headers(upstream, "openai"), json=_BODY
    ) as answer:
        body = ""
        for text in answer.iter_text():
            body += text
            gate.open()

    assert _deltas(body) == [{"content": "Hel"}]


def test_a_killed_gateway_comes_back_on_the_same_port(upstream: Upstream) -> None:
    upstream.reply(openai.answer("Hello"))
    with running_gateway() as own:
        base_url, pid = own.base_url, own.pid
        own.kill()
        with pytest.raises(httpx.ConnectError):
            httpx.get(base_url)
        own.restart()

        answer = httpx.post(
            f"{base_url}/chat/completions", headers=_headers(upstream, "openai"), json={**_BODY, "stream": False}
        )

        assert own.pid != pid
        assert answer.json()["choices"][0]["message"]["content"] == "Hello"
