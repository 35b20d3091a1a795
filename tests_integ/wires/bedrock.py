"""Bedrock's Converse: JSON, and for streams Amazon's binary event-stream framing."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tests_integ.upstream import Ending, Reply, json_reply
from tests_integ.wires.said import Call, Counts, Redacted, Said, Text

MODEL = "anthropic.claude-sonnet-4-5-v1:0"


def frame(kind: str, payload: Mapping[str, object], *, exception: bool = False) -> bytes:
    """Return one message: prelude, prelude's checksum, headers, payload, checksum."""
    message_type, name = ("exception", ":exception-type") if exception else ("event", ":event-type")
    named = {name: kind, ":content-type": "application/json", ":message-type": message_type}
    headers = b"".join(_header(key, value) for key, value in named.items())
    body = json.dumps(payload, ensure_ascii=False).encode()
    prelude = struct.pack(">II", 12 + len(headers) + len(body) + 4, len(headers))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + body
    return message + struct.pack(">I", zlib.crc32(message))


def _header(name: str, value: str) -> bytes:
    string = 7  # The type of the value.
    return struct.pack(">B", len(name)) + name.encode() + struct.pack(">BH", string, len(value)) + value.encode()


def usage(counts: Counts) -> dict[str, int]:
    """Return the usage; `inputTokens` is without what the cache took part in."""
    made = counts.output + counts.reasoning
    body = {
        "inputTokens": counts.fresh,
        "outputTokens": made,
        "totalTokens": counts.fresh + counts.read + counts.written + made,
    }
    if counts.read:
        body["cacheReadInputTokens"] = counts.read
    if counts.written:
        body["cacheWriteInputTokens"] = counts.written
    return body


def block(index: int, one: Said) -> list[bytes]:
    """Return the events of one content block; only tool calls have a start event."""

    def delta(value: Mapping[str, object]) -> bytes:
        return frame("contentBlockDelta", {"contentBlockIndex": index, "delta": value})

    made: list[bytes] = []
    if isinstance(one, Text):
        made += [delta({"text": piece}) for piece in one.pieces]
    elif isinstance(one, Redacted):
        made.append(delta({"reasoningContent": {"redactedContent": one.data}}))
    elif isinstance(one, Call):
        start = {"toolUse": {"toolUseId": one.call_id, "name": one.name}}
        made.append(frame("contentBlockStart", {"contentBlockIndex": index, "start": start}))
        made += [delta({"toolUse": {"input": piece}}) for piece in one.pieces or ("",)]
    else:
        made += [delta({"reasoningContent": {"text": piece}}) for piece in one.pieces]
        made += [delta({"reasoningContent": {"signature": one.signature}})] if one.signature else []
    return [*made, frame("contentBlockStop", {"contentBlockIndex": index})]


def reply(pieces: Sequence[bytes], ending: Ending = "clean") -> Reply:
    """Return a streamed reply of frames."""
    return Reply(200, {"content-type": "application/vnd.amazon.eventstream"}, pieces, ending)


START = frame("messageStart", {"role": "assistant"})


def said_stream(said: Iterable[Said], stop_reason: str, counts: Counts | None) -> Reply:
    """Return a whole streamed answer."""
    pieces = [START]
    for index, one in enumerate(said):
        pieces += block(index, one)
    pieces.append(frame("messageStop", {"stopReason": stop_reason}))
    if counts:
        pieces.append(frame("metadata", {"usage": usage(counts), "metrics": {"latencyMs": 100}}))
    return reply(pieces)


def said_answer(said: Iterable[Said], stop_reason: str, counts: Counts) -> Reply:
    """Return an answer in one JSON body."""
    content = [_whole(one) for one in said]
    return json_reply(
        {
            "output": {"message": {"role": "assistant", "content": content}},
            "stopReason": stop_reason,
            "usage": usage(counts),
            "metrics": {"latencyMs": 100},
        }
    )


def _whole(one: Said) -> dict[str, Any]:
    if isinstance(one, Text):
        return {"text": one.whole}
    if isinstance(one, Redacted):
        return {"reasoningContent": {"redactedContent": one.data}}
    if isinstance(one, Call):
        return {"toolUse": {"toolUseId": one.call_id, "name": one.name, "input": one.input}}
    return {"reasoningContent": {"reasoningText": {"text": one.whole, "signature": one.signature}}}


def error(status: int, message: str, kind: str, headers: Mapping[str, str] | None = None) -> Reply:
    """Return a refusal; its kind stands in a header only."""
    return json_reply({"message": message}, status, {"x-amzn-errortype": kind, **(headers or {})})
