"""Anthropic's messages as its servers send them.

upstream.reply(anthropic.stream(anthropic.thinking("Hm.", signature="SIG=="), anthropic.text("Hel", "lo")))
upstream.reply(anthropic.answer({"type": "text", "text": "Hello"}))
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tests_integ.upstream import Gate, Piece, Reply, json_reply, sse_reply

MODEL = "claude-sonnet-4-5"
USAGE: dict[str, Any] = {"input_tokens": 10, "output_tokens": 5}


class Block:
    """One content block of a stream: what opens it and the deltas that follow."""

    def __init__(self, start: Mapping[str, Any], *deltas: Mapping[str, Any] | Gate) -> None:
        """Take the `content_block` of its start event and its `delta`s; at a `Gate` the stream waits."""
        self.start = start
        self.deltas = deltas

    def pieces(self, index: int) -> list[Piece]:
        """Return its events as the block of that index."""
        return [
            event("content_block_start", index=index, content_block=self.start),
            *(
                delta if isinstance(delta, Gate) else event("content_block_delta", index=index, delta=delta)
                for delta in self.deltas
            ),
            event("content_block_stop", index=index),
        ]


def event(name: str, **data: object) -> bytes:
    """Return one event; its name stands in the data too."""
    text = json.dumps({"type": name, **data}, separators=(",", ":"), ensure_ascii=False)
    return f"event: {name}\ndata: {text}\n\n".encode()


def text(*pieces: str | Gate) -> Block:
    """Return a text block."""
    deltas = [piece if isinstance(piece, Gate) else {"type": "text_delta", "text": piece} for piece in pieces]
    return Block({"type": "text", "text": ""}, *deltas)


def thinking(*pieces: str, signature: str = "SIG==") -> Block:
    """Return a thinking block that ends with its signature."""
    deltas: list[Mapping[str, Any]] = [{"type": "thinking_delta", "thinking": piece} for piece in pieces]
    deltas.append({"type": "signature_delta", "signature": signature})
    return Block({"type": "thinking", "thinking": "", "signature": ""}, *deltas)


def redacted_thinking(data: str) -> Block:
    """Return a redacted thinking block, which arrives whole."""
    return Block({"type": "redacted_thinking", "data": data})


def tool_use(call_id: str, name: str, *arguments: str) -> Block:
    """Return a tool call; `arguments` are pieces of its JSON text, after the empty one that Anthropic begins with."""
    deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in ("", *arguments)]
    return Block({"type": "tool_use", "id": call_id, "name": name, "input": {}}, *deltas)


def start(usage: Mapping[str, Any] = USAGE, *, model: str = MODEL) -> bytes:
    """Return `message_start`."""
    message: dict[str, Any] = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {**usage, "output_tokens": 1},
    }
    return event("message_start", message=message)


def end(stop_reason: str, usage: Mapping[str, Any] = USAGE) -> list[bytes]:
    """Return `message_delta` and `message_stop`."""
    delta = {"stop_reason": stop_reason, "stop_sequence": None}
    return [
        event("message_delta", delta=delta, usage={"output_tokens": usage["output_tokens"]}),
        event("message_stop"),
    ]


def stream(
    *blocks: Block | Gate, stop_reason: str | None = None, usage: Mapping[str, Any] = USAGE, model: str = MODEL
) -> Reply:
    """Return a whole streamed answer.

    Args:
        *blocks: What `text`, `thinking`, `redacted_thinking` and `tool_use` return; at a `Gate` the stream waits.
        stop_reason: `tool_use` or `end_turn`, by what the blocks are, when None.
        usage: Anthropic's `input_tokens`, `output_tokens`, `cache_read_input_tokens`, `cache_creation_input_tokens`.
        model: The model named.
    """
    kinds = [block.start["type"] for block in blocks if isinstance(block, Block)]
    pieces: list[Piece] = [start(usage, model=model), event("ping")]
    index = 0
    for block in blocks:
        if isinstance(block, Gate):
            pieces.append(block)
        else:
            pieces += block.pieces(index)
            index += 1
    pieces += end(stop_reason or ("tool_use" if "tool_use" in kinds else "end_turn"), usage)
    return sse_reply(pieces)


def answer(
    *content: Mapping[str, Any], stop_reason: str | None = None, usage: Mapping[str, Any] = USAGE, model: str = MODEL
) -> Reply:
    """Return an answer in one JSON body; `content` are native blocks such as `{"type": "text", "text": "Hello"}`."""
    kinds = [block["type"] for block in content]
    body = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        "stop_reason": stop_reason or ("tool_use" if "tool_use" in kinds else "end_turn"),
        "stop_sequence": None,
        "usage": usage,
    }
    return json_reply(body)


def error(status: int, kind: str, message: str, headers: Mapping[str, str] | None = None) -> Reply:
    """Return a refusal; `kind` is for example `overloaded_error`."""
    return json_reply({"type": "error", "error": {"type": kind, "message": message}}, status, headers)
