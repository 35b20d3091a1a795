"""OpenAI's Responses as its servers send them.

upstream.reply(responses.stream(responses.reasoning("rs_1", "gAAA", "Hm."), responses.message("Hel", "lo")))
upstream.reply(responses.stream(responses.call("call_1", "get_weather", '{"city":', '"Paris"}')))
upstream.reply(responses.answer(responses.message("Hello")), responses.error(429, "Slow down"))
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests_integ.upstream import Gate, Piece, Reply, json_reply, sse_reply

MODEL = "gpt-5.6"
USAGE: dict[str, Any] = {
    "input_tokens": 10,
    "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
    "output_tokens": 5,
    "output_tokens_details": {"reasoning_tokens": 3},
    "total_tokens": 15,
}
Body = dict[str, Any]


@dataclass(frozen=True)
class Item:
    """An item of a response.

    Attributes:
        whole: The item as a whole.
        begin: The item as it is announced.
        deltas: Name and fields of each event between, without the place.
    """

    whole: Body
    begin: Body
    deltas: Sequence[tuple[str, Body]] = field(default=())


def message(*pieces: str, phase: str | None = None, item_id: str = "msg_1") -> Item:
    """Return a message with a text, one delta for each piece."""
    more = {"phase": phase} if phase else {}
    base: Body = {"id": item_id, "type": "message", "role": "assistant", **more}
    part = {"type": "output_text", "text": "".join(pieces), "annotations": [], "logprobs": []}
    deltas = [("response.output_text.delta", {"content_index": 0, "delta": piece, "logprobs": []}) for piece in pieces]
    return Item(
        {**base, "status": "completed", "content": [part]}, {**base, "status": "in_progress", "content": []}, deltas
    )


def reasoning(item_id: str, encrypted: str | None, *summary: str) -> Item:
    """Return an item of reasoning, one delta for each part of its summary."""
    base: Body = {"id": item_id, "type": "reasoning"}
    ciphertext = {"encrypted_content": encrypted} if encrypted else {}
    parts = [{"type": "summary_text", "text": part} for part in summary]
    deltas = [
        ("response.reasoning_summary_text.delta", {"summary_index": index, "delta": part})
        for index, part in enumerate(summary)
    ]
    begin = {**base, "summary": [], **({"encrypted_content": "incomplete"} if encrypted else {})}
    return Item({**base, "summary": parts, **ciphertext}, begin, deltas)


def call(call_id: str, name: str, *arguments: str) -> Item:
    """Return a call of a tool, one delta for each piece of its arguments."""
    base: Body = {"id": f"fc_{call_id}", "type": "function_call", "call_id": call_id, "name": name}
    deltas = [("response.function_call_arguments.delta", {"delta": piece}) for piece in arguments]
    return Item(
        {**base, "arguments": "".join(arguments), "status": "completed"},
        {**base, "arguments": "", "status": "in_progress"},
        deltas,
    )


def response(*items: Item, status: str = "completed", echo: Mapping[str, Any] | None = None, **more: Any) -> Body:
    """Return a response as an object; `echo` is what it repeats of the request."""
    whole = {"id": "resp_1", "object": "response", "created_at": 1700000000, "status": status, "model": MODEL}
    output = [item.whole for item in items] if status in ("completed", "incomplete") else []
    usage = USAGE if status in ("completed", "incomplete") else None
    ends = {"error": None, "incomplete_details": None, "output": output, "usage": usage}
    return {**whole, **(echo or {}), **ends, **more}


def event(kind: str, number: int = 0, **fields: Any) -> bytes:
    """Return one event."""
    data = json.dumps({"type": kind, "sequence_number": number, **fields}, separators=(",", ":"), ensure_ascii=False)
    return f"event: {kind}\ndata: {data}\n\n".encode()


def events(
    *items: Item, status: str = "completed", echo: Mapping[str, Any] | None = None, parallel: bool = False, **more: Any
) -> Iterator[bytes]:
    """Yield the events of a response; with `parallel` the fragments of its items take turns."""
    numbers = itertools.count()
    for kind in ("response.created", "response.in_progress"):
        yield event(kind, next(numbers), response=response(status="in_progress", echo=echo))
    placed = list(enumerate(items))
    groups = [placed] if parallel else [[each] for each in placed]
    for group in groups:
        for index, item in group:
            yield event("response.output_item.added", next(numbers), output_index=index, item=item.begin)
        rounds = itertools.zip_longest(*(item.deltas for _, item in group))
        for fragments in rounds:
            for (index, item), fragment in zip(group, fragments, strict=True):
                if fragment:
                    kind, fields = fragment
                    place = {"item_id": item.whole["id"], "output_index": index}
                    yield event(kind, next(numbers), **place, **fields)
        for index, item in group:
            yield event("response.output_item.done", next(numbers), output_index=index, item=item.whole)
    end = response(*items, status=status, echo=echo, **more)
    yield event(f"response.{status}", next(numbers), response=end)


def stream(*items: Item, gate: Gate | None = None, **more: Any) -> Reply:
    """Return a whole streamed answer: see `events`; with a gate before its last event."""
    *pieces, last = events(*items, **more)
    between: list[Piece] = [gate] if gate else []
    return sse_reply([*pieces, *between, last])


def answer(*items: Item, **more: Any) -> Reply:
    """Return an answer in one JSON body."""
    return json_reply(response(*items, **more))


def error(
    status: int,
    message: str,
    *,
    kind: str = "invalid_request_error",
    code: str | None = None,
    param: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """Return a refusal."""
    body = {"error": {"message": message, "type": kind, "param": param, "code": code}}
    return json_reply(body, status, headers)
