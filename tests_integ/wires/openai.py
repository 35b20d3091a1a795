"""OpenAI's chat completions as its servers send them.

upstream.reply(openai.stream(openai.text("Hel", "lo"), finish_reason="stop"))
upstream.reply(openai.stream(openai.tool_call(0, "call_1", "get_weather", '{"city":', '"Paris"}')))
upstream.reply(openai.answer("Hello"), openai.error(429, "Slow down", headers={"retry-after": "1"}))
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tests_integ.upstream import Gate, Piece, Reply, json_reply, sse_reply

MODEL = "gpt-4o"
USAGE: dict[str, Any] = {
    "prompt_tokens": 10,
    "completion_tokens": 5,
    "total_tokens": 15,
    "prompt_tokens_details": {"cached_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 0},
}
DONE = b"data: [DONE]\n\n"
Delta = dict[str, Any]


def sse(data: object) -> bytes:
    """Return one `data:` event."""
    return f"data: {json.dumps(data, separators=(',', ':'), ensure_ascii=False)}\n\n".encode()


def chunk(
    delta: Delta | None = None,
    finish_reason: str | None = None,
    usage: Mapping[str, Any] | None = None,
    *,
    model: str = MODEL,
    **more: object,
) -> bytes:
    """Return one chunk as an event; without a delta and a finish reason, one with empty `choices`."""
    choices = [{"index": 0, "delta": delta or {}, "logprobs": None, "finish_reason": finish_reason}]
    body: dict[str, object] = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1700000000,
        "model": model,
        "choices": choices if delta is not None or finish_reason else [],
    }
    if usage is not None:
        body["usage"] = usage
    return sse({**body, **more})


def text(*pieces: str) -> list[Delta]:
    """Return the deltas of a text, one for each piece."""
    return [{"content": piece} for piece in pieces]


def reasoning(*pieces: str, key: str = "reasoning_content") -> list[Delta]:
    """Return the deltas of a reasoning; `key` is `reasoning` with some servers."""
    return [{key: piece} for piece in pieces]


def tool_call(index: int, call_id: str, name: str, *arguments: str) -> list[Delta]:
    """Return the deltas of a tool call: one that opens it, one for each piece of its arguments."""
    opening = {"index": index, "id": call_id, "type": "function", "function": {"name": name, "arguments": ""}}
    return [{"tool_calls": [opening]}] + [
        {"tool_calls": [{"index": index, "function": {"arguments": piece}}]} for piece in arguments
    ]


def stream(
    *deltas: Sequence[Delta] | Gate,
    finish_reason: str | None = None,
    usage: Mapping[str, Any] | None = USAGE,
    done: bool = True,
    model: str = MODEL,
) -> Reply:
    """Return a whole streamed answer.

    Args:
        *deltas: What `text`, `reasoning` and `tool_call` return; at a `Gate` the stream waits.
        finish_reason: `tool_calls` or `stop`, by what the deltas hold, when None.
        usage: In a last chunk with empty `choices`; left out when None.
        done: Whether `[DONE]` ends the stream.
        model: The model named in each chunk.
    """
    flat = [delta for group in deltas if not isinstance(group, Gate) for delta in group]
    if finish_reason is None:
        finish_reason = "tool_calls" if any("tool_calls" in delta for delta in flat) else "stop"
    pieces: list[Piece] = [chunk({"role": "assistant", "content": ""}, model=model)]
    for group in deltas:
        pieces += [group] if isinstance(group, Gate) else [chunk(delta, model=model) for delta in group]
    pieces.append(chunk({}, finish_reason, model=model))
    if usage is not None:
        pieces.append(chunk(usage=usage, model=model))
    return sse_reply([*pieces, DONE] if done else pieces)


def answer(
    content: str | None = None,
    tool_calls: Iterable[tuple[str, str, str]] = (),
    *,
    finish_reason: str | None = None,
    usage: Mapping[str, Any] | None = USAGE,
    model: str = MODEL,
    **message: object,
) -> Reply:
    """Return an answer in one JSON body.

    Args:
        content: The text.
        tool_calls: Each as id, name, arguments (JSON text).
        finish_reason: By what there is, when None.
        usage: Left out when None.
        model: The model named.
        **message: More keys of the message, such as `reasoning_content`.
    """
    calls = [
        {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
        for call_id, name, arguments in tool_calls
    ]
    whole = {"role": "assistant", "content": content, **({"tool_calls": calls} if calls else {}), **message}
    reason = finish_reason or ("tool_calls" if calls else "stop")
    body: dict[str, object] = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1700000000,
        "model": model,
        "choices": [{"index": 0, "message": whole, "logprobs": None, "finish_reason": reason}],
    }
    if usage is not None:
        body["usage"] = usage
    return json_reply(body)


def error(
    status: int,
    message: str,
    *,
    kind: str = "invalid_request_error",
    code: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """Return a refusal."""
    return json_reply({"error": {"message": message, "type": kind, "param": None, "code": code}}, status, headers)
