"""What OpenAI and Azure do on Responses."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from typing import Any

from tests_integ.record import providers as p
from tests_integ.record.scenario import CUT, Failed, Meant, Outcome, Scenario
from tests_integ.upstream import Gate, Piece, Reply, sse_reply
from tests_integ.wires import responses as r
from tests_integ.wires.said import Call, Counts, Thinking, text

COUNTS = Counts(fresh=6, output=5, read=4)
PLACES = ('{"city":', ' "Paris"}')
WEATHER = Call("call_1", "get_weather", PLACES)
TIME = Call("call_2", "get_time", PLACES)
RETRY = {"retry-after": "20"}


def thought(words: str = "", *parts: int, item_id: str = "rs_1", phase: str | None = None) -> Thinking:
    """Return a thought, signed with the item that it came as."""
    envelope: dict[str, Any] = {"id": item_id, "encrypted_content": "gAAA/é+==", "parts": list(parts)}
    envelope |= {"phase": phase} if phase else {}
    signature = "openai-responses:1:" + json.dumps(envelope, ensure_ascii=False, separators=(",", ":"))
    return Thinking((words,), signature)


def reasoning(*summary: str, item_id: str = "rs_1") -> r.Item:
    return r.reasoning(item_id, "gAAA/é+==", *summary)


def calls() -> tuple[r.Item, r.Item]:
    return r.call("call_1", "get_weather", *PLACES), r.call("call_2", "get_time", *PLACES)


def both(one: p.Provider, name: str, meant: Outcome, *items: r.Item, **more: Any) -> Scenario:
    """Return a scenario of a stream and a JSON answer that mean the same."""
    return Scenario(one, name, meant, [r.stream(*items, **more)], [r.answer(*items, **more)], wire="responses")


def streamed(one: p.Provider, name: str, meant: Outcome, *pieces: Piece) -> Scenario:
    return Scenario(one, name, meant, [sse_reply(pieces)], wire="responses")


def means(*said: Any, stop_reason: Any = "end_turn") -> Meant:
    return Meant(said, stop_reason, COUNTS)


def _everywhere(one: p.Provider) -> Iterator[Scenario]:
    first, second = calls()
    yield both(one, "text", means(text("Héllo.")), r.message("Hé", "llo."))
    yield both(one, "tool", means(WEATHER, stop_reason="tool_use"), first)
    yield both(one, "parallel_tools", means(WEATHER, TIME, stop_reason="tool_use"), first, second)
    yield both(one, "refused_later", means(text("I cannot."), stop_reason="content_filtered"), _refusal())
    yield both(
        one,
        "reasoning_and_tools",
        means(
            thought("One.\n\nTwo.", 4, 4, phase="commentary"),
            text("Let me look."),
            thought(item_id="rs_2"),
            WEATHER,
            TIME,
            stop_reason="tool_use",
        ),
        reasoning("One.", "Two."),
        r.message("Let me", " look.", phase="commentary"),
        reasoning(item_id="rs_2"),
        first,
        second,
    )
    for status, message, code, failed in _REFUSALS:
        reply = r.error(status, message, code=code, headers=RETRY if status == 429 else None)
        yield Scenario(one, f"refused_{status}_{code}", failed, [reply], [reply], wire="responses")


_REFUSALS: Sequence[tuple[int, str, str, Failed]] = (
    (
        400,
        "Your input exceeds the context window of this model.",
        "context_length_exceeded",
        Failed("PortkeyContextOverflowError", 400, message_contains="exceeds the context window"),
    ),
    (400, "Bad.", "invalid_prompt", Failed("PortkeyAPIError", 400, message_contains="Bad.")),
    (
        400,
        "The encrypted content could not be verified.",
        "invalid_encrypted_content",
        Failed("PortkeyAPIError", 400, message_contains="could not be verified"),
    ),
    (429, "Slow down.", "rate_limit_exceeded", Failed("PortkeyThrottledError", 429, retryable=True)),
    (429, "No money.", "insufficient_quota", Failed("PortkeyAPIError", 429)),
    (503, "Busy.", "server_is_overloaded", Failed("PortkeyThrottledError", 503, retryable=True)),
    (500, "Oops.", "server_error", Failed("PortkeyAPIError", 500, retryable=True)),
)


def _refusal() -> r.Item:
    base = {"id": "msg_1", "type": "message", "role": "assistant"}
    part = {"type": "refusal", "refusal": "I cannot."}
    deltas = [("response.refusal.delta", {"content_index": 0, "delta": piece}) for piece in ("I ", "cannot.")]
    return r.Item({**base, "content": [part]}, {**base, "content": []}, deltas)


def _events(*items: r.Item, **more: Any) -> list[bytes]:
    return list(r.events(*items, **more))


def _openai() -> Iterator[Scenario]:
    one = p.OPENAI
    first, second = calls()
    yield both(one, "reasoning_without_summary", means(thought(), text("Hi.")), reasoning(), r.message("Hi."))
    unread = r.reasoning("rs_1", None, "Hm.")
    yield both(one, "reasoning_without_ciphertext", means(Thinking(("Hm.",)), text("Hi.")), unread, r.message("Hi."))
    mixed = means(WEATHER, TIME, stop_reason="tool_use")
    yield streamed(one, "parallel_tools_interleaved", mixed, *_events(first, second, parallel=True))
    silent = dataclasses.replace(first, deltas=())
    yield streamed(one, "arguments_only_at_the_end", means(WEATHER, stop_reason="tool_use"), *_events(silent))
    empty = r.call("call_1", "get_weather")
    no_input = Call("call_1", "get_weather")
    yield both(one, "tool_without_arguments", means(no_input, stop_reason="tool_use"), empty)
    for reason, stop in (("max_output_tokens", "max_tokens"), ("content_filter", "content_filtered")):
        more: dict[str, Any] = {"status": "incomplete", "incomplete_details": {"reason": reason}}
        yield both(one, reason, means(text("Hé"), stop_reason=stop), r.message("H", "é"), **more)
    annotation = {"type": "url_citation", "url": "https://x.test/a", "title": "A", "start_index": 0, "end_index": 2}
    cited = r.message("Hi.")
    cited = dataclasses.replace(cited, whole={**cited.whole, "content": [_cited("Hi.", annotation)]})
    yield both(one, "citation", _CITED, cited)
    unknown = r.Item({"type": "web_search_call", "id": "ws_1"}, {"type": "web_search_call", "id": "ws_1"})
    yield both(one, "unknown_items", means(text("Hi.")), unknown, r.message("Hi."))
    noise = [b": keep-alive\n\n", r.event("response.new_thing", 9, value=1), r.event("keepalive", 9)]
    begin, *rest = _events(r.message("Hi."))
    yield streamed(one, "unknown_events", means(text("Hi.")), begin, *noise, *rest, b"data: [DONE]\n\n")
    echo = {"instructions": "Be brief. " * 500, "tools": [{"type": "function", "name": "get_weather"}] * 20}
    yield both(one, "long_echo", means(text("Hi.")), r.message("Hi."), echo=echo)


def _cited(words: str, annotation: dict[str, Any]) -> dict[str, Any]:
    return {"type": "output_text", "text": words, "annotations": [annotation]}


@dataclasses.dataclass(frozen=True)
class _Quoted(Meant):
    """A text with a source."""

    def expectation(self) -> dict[str, Any]:
        """Return it in the form of the file beside the recording."""
        source = {"title": "A", "location": {"web": {"url": "https://x.test/a", "domain": "x.test"}}}
        block = {"citationsContent": {"content": [{"text": "Hi."}], "citations": [source]}}
        return {**super().expectation(), "message": {"role": "assistant", "content": [block]}}


_CITED = _Quoted([text("Hi.")], "end_turn", COUNTS)


def _failures() -> Iterator[Scenario]:
    one = p.OPENAI
    begin = _events()[:2]
    oops = {"code": "server_error", "message": "Oops."}
    passing = Failed("PortkeyAPIError", None, retryable=True, message_contains="Oops.")
    overflow = Failed("PortkeyContextOverflowError", None, message_contains="Too long.")
    failed = r.event("response.failed", 4, response=r.response(status="failed", error=oops))
    yield streamed(one, "error_flat", passing, *begin, r.event("error", 3, **oops, param=None))
    nested = r.event("error", 3, error={"type": "x", "code": "context_length_exceeded", "message": "Too long."})
    yield streamed(one, "error_nested", overflow, *begin, nested, failed)
    yield streamed(one, "failed", passing, *begin, failed)
    yield Scenario(one, "failed_whole", passing, None, [r.answer(status="failed", error=oops)], wire="responses")


def _cuts() -> Iterator[Scenario]:
    one = p.OPENAI
    events = _events(reasoning("Hm."), r.message("Hé", "llo."), r.call("call_1", "get_weather", *PLACES))
    marks = {
        "start": b"response.in_progress",
        "reasoning": b"response.reasoning_summary_text.delta",
        "text": b"response.output_text.delta",
        "arguments": b"response.function_call_arguments.delta",
        "call": b'"status":"completed"',
    }
    for name, mark in marks.items():
        at = max(number for number, event in enumerate(events[:-1]) if mark in event)
        reply = Reply(200, {"content-type": "text/event-stream"}, [*events[: at + 1], Gate()], "cut")
        last = events[at].split(b"\n")[1][-40:]
        yield Scenario(one, f"cut_{name}", CUT, [reply], until=last, wire="responses")


def _unsupported() -> Iterator[Scenario]:
    failed = Failed("PortkeyAPIError", 500, "gateway", message_contains="createModelResponse is not supported by x-ai")
    yield Scenario(p.XAI, "unsupported", failed, [], [], wire="responses")


SCENARIOS: tuple[Scenario, ...] = (
    *_everywhere(p.OPENAI),
    *_everywhere(p.AZURE),
    *_openai(),
    *_failures(),
    *_cuts(),
    *_unsupported(),
)
