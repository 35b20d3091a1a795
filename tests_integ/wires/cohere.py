"""Cohere's chat, version 2."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tests_integ.upstream import Ending, Reply, json_reply
from tests_integ.wires.said import Call, Counts, Redacted, Said, Text

MODEL = "command-a-03-2025"


def event(name: str, **data: object) -> bytes:
    """Return one event; its name stands in the data too."""
    return f"event: {name}\ndata: {json.dumps({'type': name, **data}, ensure_ascii=False)}\n\n".encode()


def usage(counts: Counts) -> dict[str, Any]:
    """Return the usage."""
    tokens = {"input_tokens": counts.fresh + counts.read, "output_tokens": counts.output + counts.reasoning}
    return {"billed_units": tokens, "tokens": tokens}


def block(index: int, one: Said) -> list[bytes]:
    """Return the events of one part of the message."""
    if isinstance(one, Call):
        function = {"name": one.name, "arguments": ""}
        start = {"id": one.call_id, "type": "function", "function": function}
        return [
            event("tool-call-start", index=index, delta={"message": {"tool_calls": start}}),
            *(
                event("tool-call-delta", index=index, delta={"message": {"tool_calls": {"function": {"arguments": p}}}})
                for p in one.pieces or ("{}",)
            ),
            event("tool-call-end", index=index),
        ]
    if isinstance(one, Redacted):
        raise TypeError("Cohere has no redacted thinking.")
    kind = "text" if isinstance(one, Text) else "thinking"
    return [
        event("content-start", index=index, delta={"message": {"content": {"type": kind, kind: ""}}}),
        *(event("content-delta", index=index, delta={"message": {"content": {kind: p}}}) for p in one.pieces),
        event("content-end", index=index),
    ]


START = event("message-start", id="c1", delta={"message": {"role": "assistant", "content": []}})


def plan(*pieces: str) -> list[bytes]:
    """Return the events of a tool plan."""
    return [event("tool-plan-delta", delta={"message": {"tool_plan": piece}}) for piece in pieces]


def end(finish_reason: str, counts: Counts) -> bytes:
    """Return the last event."""
    return event("message-end", delta={"finish_reason": finish_reason, "usage": usage(counts)})


def reply(pieces: Sequence[bytes], ending: Ending = "clean") -> Reply:
    """Return a streamed reply of events."""
    return Reply(200, {"content-type": "text/event-stream"}, pieces, ending)


def said_stream(said: Iterable[Said], finish_reason: str, counts: Counts) -> Reply:
    """Return a whole streamed answer; parts of the content and calls are numbered apart."""
    pieces, numbers = [START], {True: 0, False: 0}
    for one in said:
        is_call = isinstance(one, Call)
        pieces += block(numbers[is_call], one)
        numbers[is_call] += 1
    return reply([*pieces, end(finish_reason, counts)])


def said_answer(said: Iterable[Said], finish_reason: str, counts: Counts) -> Reply:
    """Return an answer in one JSON body."""
    content: list[dict[str, str]] = []
    calls: list[dict[str, Any]] = []
    for one in said:
        if isinstance(one, Call):
            function = {"name": one.name, "arguments": "".join(one.pieces) or "{}"}
            calls.append({"id": one.call_id, "type": "function", "function": function})
        elif isinstance(one, Text):
            content.append({"type": "text", "text": one.whole})
        elif not isinstance(one, Redacted):
            content.append({"type": "thinking", "thinking": one.whole})
    message = {"role": "assistant", "content": content, **({"tool_calls": calls} if calls else {})}
    return json_reply({"id": "c1", "finish_reason": finish_reason, "message": message, "usage": usage(counts)})


def error(status: int, message: str, headers: Mapping[str, str] | None = None) -> Reply:
    """Return a refusal."""
    return json_reply({"id": "c1", "message": message}, status, headers)
