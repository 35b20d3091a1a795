"""Gemini's generateContent, on the Gemini API (a JSON array, piece by piece) and on Vertex AI (events)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tests_integ.upstream import Ending, Reply, json_reply
from tests_integ.wires.said import Call, Counts, Redacted, Said, Text

MODEL = "gemini-2.5-pro"
Part = dict[str, Any]


def usage(counts: Counts) -> dict[str, int]:
    """Return `usageMetadata`."""
    given = counts.fresh + counts.read
    metadata = {
        "promptTokenCount": given,
        "candidatesTokenCount": counts.output,
        "totalTokenCount": given + counts.output + counts.reasoning,
    }
    if counts.reasoning:
        metadata["thoughtsTokenCount"] = counts.reasoning
    if counts.read:
        metadata["cachedContentTokenCount"] = counts.read
    return metadata


def parts(said: Iterable[Said], *, whole: bool = False) -> list[Part]:
    """Return what was said as parts; a text or a thought is one part for each piece, or one if `whole`."""
    made: list[Part] = []
    for one in said:
        if isinstance(one, Redacted):
            raise TypeError("Gemini has no redacted thinking.")
        if isinstance(one, Call):
            call = {"name": one.name, **({"args": one.input} if one.pieces else {})}
            made.append({"functionCall": call, **({"thoughtSignature": one.signature} if one.signature else {})})
        elif isinstance(one, Text):
            made += [{"text": piece} for piece in ([one.whole] if whole else one.pieces)]
        else:
            made += [{"text": piece, "thought": True} for piece in ([one.whole] if whole else one.pieces)]
    return made


def response(
    given: Sequence[Part] | None, finish_reason: str | None = None, counts: Counts | None = None, **more: object
) -> dict[str, object]:
    """Return one GenerateContentResponse; without parts (None) its content names a role only, as Gemini does it."""
    content = {"role": "model"} if given is None else {"parts": list(given), "role": "model"}
    candidate: dict[str, object] = {"content": content, "index": 0}
    if finish_reason:
        candidate["finishReason"] = finish_reason
    body: dict[str, object] = {"candidates": [{**candidate, **more}]}
    if counts:
        body["usageMetadata"] = usage(counts)
    return {**body, "modelVersion": MODEL, "responseId": "r1"}


def stream(responses: Iterable[Mapping[str, object]], *, vertex: bool = False, ending: Ending = "clean") -> Reply:
    """Return a streamed answer: an array on the Gemini API, events with CRLF on Vertex AI."""
    if vertex:
        events = [f"data: {json.dumps(one, ensure_ascii=False)}\r\n\r\n".encode() for one in responses]
        return Reply(200, {"content-type": "text/event-stream"}, events, ending)
    items = [json.dumps(one, ensure_ascii=False).encode() for one in responses]
    pieces = [(b"[" if number == 0 else b",\r\n") + item + b"\n" for number, item in enumerate(items)]
    if ending == "clean":
        pieces.append(b"]\n")
    return Reply(200, {"content-type": "application/json; charset=UTF-8"}, pieces, ending)


def said_stream(
    said: Iterable[Said], finish_reason: str, counts: Counts | None, *, vertex: bool, chunks: Sequence[int] = ()
) -> Reply:
    """Return a streamed answer: each part in a response of its own, or `chunks` of them together; the last one ends."""
    flat = parts(said)
    sizes = list(chunks) or [1] * len(flat)
    responses = []
    for number, size in enumerate(sizes):
        here, flat = flat[:size], flat[size:]
        last = number == len(sizes) - 1
        responses.append(response(here, finish_reason if last else None, counts if last else None))
    return stream(responses, vertex=vertex)


def said_answer(said: Iterable[Said], finish_reason: str, counts: Counts | None) -> Reply:
    """Return an answer in one JSON body."""
    return json_reply(response(parts(said, whole=True), finish_reason, counts))


def error(
    status: int, message: str, kind: str, headers: Mapping[str, str] | None = None, *, array: bool = False
) -> Reply:
    """Return a refusal; an array with one error where a stream was asked for on the Gemini API."""
    body = {"error": {"code": status, "message": message, "status": kind}}
    return json_reply([body] if array else body, status, headers)
