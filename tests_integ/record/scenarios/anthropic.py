"""What only Claude does, on Anthropic's servers and on Vertex AI."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from tests_integ.record import providers as p
from tests_integ.record.scenario import CUT, Failed, Meant, Scenario, StopReason
from tests_integ.record.scenarios.common import LOOK, TEXT, TIME, WEATHER
from tests_integ.upstream import Gate, Reply, sse_reply
from tests_integ.wires import anthropic
from tests_integ.wires.said import Call, Counts, Redacted, Said, call, text, thinking

FIRST = thinking("First ", "thought.", signature="SIG1==")
SECOND = thinking("Second thought.", signature="SIG2==")
HIDDEN = Redacted("UkVEQUNURUQ=")

REASONS: dict[str, StopReason] = {
    "stop_sequence": "stop_sequence",
    "pause_turn": "end_turn",
    "refusal": "content_filtered",
    "model_context_window_exceeded": "max_tokens",
    "a_future_reason": "end_turn",
}
STRICT_LOSES = {"refusal", "model_context_window_exceeded", "stop_sequence"}
"""Reasons that strict mode turns into a plain `stop`."""


def _error_event(kind: str, message: str) -> bytes:
    return anthropic.event("error", error={"type": kind, "message": message})


def _both(one: p.Anthropic) -> Iterator[Scenario]:
    def say(name: str, *said: Said, strict: bool = False) -> Scenario:
        tool = any(isinstance(part, Call) for part in said)
        reason = one.reasons["tool" if tool else "end"]
        meant = Meant(said, "tool_use" if tool else "end_turn")
        stream, answer = one.stream(said, reason, Counts()), one.answer(said, reason, Counts())
        return Scenario(one, name, meant, [stream], [answer], strict=strict)

    yield say("redacted_thinking", FIRST, HIDDEN, TEXT, strict=one is p.ANTHROPIC)
    yield say("interleaved_thinking", FIRST, LOOK, SECOND, WEATHER, TIME)
    for kind, error in (
        ("overloaded_error", Failed("PortkeyThrottledError", retryable=True, message_contains="overloaded_error")),
        ("api_error", Failed("PortkeyAPIError", retryable=True, message_contains="api_error")),
    ):
        event = _error_event(kind, "Overloaded")
        yield Scenario(one, f"error_first_{kind}", error, [sse_reply([event])])
    started = one.stream([TEXT], "end_turn", Counts()).pieces
    late = Failed("PortkeyAPIError", retryable=True, message_contains="overloaded_error")
    overloaded = _error_event("overloaded_error", "Overloaded")
    yield Scenario(one, "error_mid_text", late, [sse_reply([*started[:4], overloaded])])


def _anthropic() -> Iterator[Scenario]:
    one = p.ANTHROPIC
    for reason, stop_reason in REASONS.items():
        said = [text("Paris")]
        meant = Meant(said, stop_reason)
        plain = {"strict.*": Meant(said, "end_turn")} if reason in STRICT_LOSES else {}
        yield Scenario(one, f"finish_{reason}", meant, [one.stream(said, reason, Counts())], lost=plain)
    refused = [text("I cannot.")]
    yield Scenario(
        one,
        "refusal",
        Meant(refused, "content_filtered"),
        answer=[one.answer(refused, "refusal", Counts())],
        lost={"strict.*": Meant(refused, "end_turn")},
    )

    broken = call("call_1", "get_weather", '{"city":"Par')
    yield Scenario(
        one,
        "max_tokens_mid_tool",
        # Arguments that are no JSON make an empty input: the call was never finished and must not be run.
        Meant([LOOK, Call("call_1", "get_weather")], "max_tokens"),
        [one.stream([LOOK, broken], "max_tokens", Counts())],
    )
    yield Scenario(
        one, "tool_use_without_a_call", Meant([TEXT], "end_turn"), [one.stream([TEXT], "tool_use", Counts())]
    )
    empty = [anthropic.text(), anthropic.tool_use("call_1", "get_weather", '{"city":"Paris"}')]
    yield Scenario(one, "empty_text_block", Meant([WEATHER], "tool_use"), [anthropic.stream(*empty)])
    yield Scenario(one, "nothing_said", Meant([], "end_turn"), [anthropic.stream()], [anthropic.answer()])
    many = [text("One. "), text("Two. "), text("Three.")]
    joined = Meant([text("One. Two. Three.")], "end_turn")
    yield Scenario(
        one,
        "several_text_blocks",
        Meant(many, "end_turn"),
        [one.stream(many, "end_turn", Counts())],
        [one.answer(many, "end_turn", Counts())],
        lost={"strict.*": joined},
    )
    yield _citations(one)
    yield from _web_search(one)

    start = anthropic.start()
    future = anthropic.event("content_block_future", index=0)
    body = one.stream([TEXT], "end_turn", Counts()).pieces
    yield Scenario(one, "unknown_event", CUT, [sse_reply([start, future, *body[2:]])])
    crlf = [piece.replace(b"\n", b"\r\n") for piece in body if isinstance(piece, bytes)]
    yield Scenario(one, "crlf", CUT, [sse_reply(list(crlf))])
    kept = [piece for piece in body if not (isinstance(piece, bytes) and b"message_delta" in piece)]
    yield Scenario(one, "no_finish_reason", CUT, [sse_reply(kept)])
    yield Scenario(one, "no_message_stop", Meant([TEXT], "end_turn"), [sse_reply(list(body[:-1]))])
    yield Scenario(one, "cut_before_the_first_event", CUT, [Reply(200, sse_reply([]).headers, (), "cut")])
    half = [*body[:4], b'event: content_block_delta\ndata: {"type":"content_blo']
    dying = dataclasses.replace(sse_reply([*half, Gate()]), ending="cut")
    yield Scenario(one, "cut_mid_event", CUT, [dying], until=b"Paris ")
    for kind, retryable in (("rate_limit_error", True), ("invalid_request_error", False)):
        late = Failed("PortkeyAPIError", retryable=retryable, message_contains=kind)
        event = _error_event(kind, "Sorry")
        yield Scenario(one, f"error_mid_text_{kind}", late, [sse_reply([*body[:4], event])])
    tool = one.stream([LOOK, WEATHER], "tool_use", Counts()).pieces
    late = Failed("PortkeyAPIError", retryable=True, message_contains="overloaded_error")
    overloaded = _error_event("overloaded_error", "Overloaded")
    yield Scenario(one, "error_mid_tool", late, [sse_reply([*tool[:9], overloaded])])


def _citations(one: p.Anthropic) -> Scenario:
    citation = {
        "type": "char_location",
        "cited_text": "Paris: 21 °C",
        "document_index": 0,
        "document_title": "Weather",
        "start_char_index": 0,
        "end_char_index": 12,
    }
    cited = anthropic.Block(
        {"type": "text", "text": "", "citations": []},
        {"type": "text_delta", "text": "it is 21 °C"},
        {"type": "citations_delta", "citation": citation},
    )
    said = [text("I read that "), text("it is 21 °C"), text(".")]
    return Scenario(
        one,
        "citations",
        Meant(said, "end_turn"),
        [anthropic.stream(anthropic.text("I read that "), cited, anthropic.text("."))],
        [
            anthropic.answer(
                {"type": "text", "text": "I read that "},
                {"type": "text", "text": "it is 21 °C", "citations": [citation]},
                {"type": "text", "text": "."},
            )
        ],
        lost={"strict.*": Meant([text("I read that it is 21 °C.")], "end_turn")},
    )


def _web_search(one: p.Anthropic) -> Iterator[Scenario]:
    use = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search"}
    found = [{"type": "web_search_result", "url": "https://example.com", "title": "Paris", "encrypted_content": "RQ=="}]
    result: dict[str, object] = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": found}
    search = anthropic.Block(
        {**use, "input": {}},
        {"type": "input_json_delta", "partial_json": ""},
        {"type": "input_json_delta", "partial_json": '{"query":"weather Paris"}'},
    )
    blocks = [search, anthropic.Block(result)]
    whole: list[dict[str, object]] = [{**use, "input": {"query": "weather Paris"}}, result]
    yield Scenario(
        one,
        "web_search",
        Meant([LOOK, TEXT], "end_turn"),
        [anthropic.stream(anthropic.text("Let me ", "look."), *blocks, anthropic.text(*TEXT.pieces))],
        [anthropic.answer({"type": "text", "text": LOOK.whole}, *whole, {"type": "text", "text": TEXT.whole})],
        lost={"strict.*": Meant([text(LOOK.whole + TEXT.whole)], "end_turn")},
    )
    call_after = anthropic.tool_use("call_1", "get_weather", '{"city":', '"Paris"}')
    yield Scenario(one, "web_search_then_tool", Meant([WEATHER], "tool_use"), [anthropic.stream(*blocks, call_after)])


SCENARIOS = (*_both(p.ANTHROPIC), *_both(p.VERTEX_CLAUDE), *_anthropic())
