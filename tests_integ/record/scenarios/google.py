"""What only Gemini does, on the Gemini API and on Vertex AI."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tests_integ.record import providers as p
from tests_integ.record.scenario import CUT, Failed, Meant, Outcome, Scenario, StopReason
from tests_integ.record.scenarios.common import TIME, WEATHER
from tests_integ.upstream import json_reply
from tests_integ.wires import google
from tests_integ.wires.said import Call, Counts, Said, call, text, thinking

THOUGHT = thinking("I need the weather.")
SIGNED = call("call_1", "get_weather", '{"city":"Paris"}', signature="TSIG1==")
MALFORMED = Failed("PortkeyAPIError", retryable=True, message_contains="MALFORMED_FUNCTION_CALL")
NATIVE: dict[str, StopReason] = {
    "SAFETY": "content_filtered",
    "RECITATION": "content_filtered",
    "LANGUAGE": "content_filtered",
    "BLOCKLIST": "content_filtered",
    "PROHIBITED_CONTENT": "content_filtered",
    "SPII": "content_filtered",
    "IMAGE_SAFETY": "content_filtered",
    "OTHER": "end_turn",
}
STRICT_LOSES = {"RECITATION"}
"""Reasons that strict mode turns into a plain `stop`."""


def _both(one: p.Google) -> Iterator[Scenario]:
    def chunked(name: str, said: list[Said], chunks: list[int], meant: list[Said] | None = None) -> Scenario:
        left = said if meant is None else meant
        calls = any(isinstance(part, Call) for part in left)
        return Scenario(
            one,
            name,
            Meant(left, "tool_use" if calls else "end_turn"),
            [google.said_stream(said, "STOP", Counts(), vertex=one.vertex, chunks=chunks)],
        )

    yield chunked("parallel_tools_in_one_chunk", [WEATHER, TIME], [2])
    yield chunked("signed_tool", [THOUGHT, SIGNED, TIME], [1, 1, 1])
    yield chunked("thought_and_tool_in_one_chunk", [THOUGHT, WEATHER], [2], [THOUGHT])
    if one is p.VERTEX:
        return
    yield chunked("tool_and_text_in_one_chunk", [WEATHER, text("Done.")], [2], [WEATHER])
    yield chunked("text_and_tool_in_one_chunk", [text("Wait."), WEATHER], [2], [text("Wait.")])
    yield chunked("empty_text_and_tool_in_one_chunk", [text(""), WEATHER], [2], [])
    yield chunked("thought_and_text_in_one_chunk", [THOUGHT, text("Fine.")], [2])


def _google() -> Iterator[Scenario]:
    one = p.GOOGLE

    def streamed(
        name: str, meant: Outcome, *responses: Mapping[str, object], lost: Mapping[str, Outcome] | None = None
    ) -> Scenario:
        return Scenario(one, name, meant, [google.stream(responses)], lost=lost or {})

    for reason, stop_reason in NATIVE.items():
        said = [text("Paris")]
        plain = {"strict.*": Meant(said, "end_turn")} if reason in STRICT_LOSES else {}
        last = google.response([{"text": "Paris"}], reason, Counts())
        yield streamed(f"finish_{reason.lower()}", Meant(said, stop_reason), last, lost=plain)
    both = {"strict.*": Meant([text("Paris")], "end_turn")}
    malformed = google.response([{"text": "Paris"}], "MALFORMED_FUNCTION_CALL", Counts())
    yield streamed("finish_malformed_function_call", MALFORMED, malformed, lost=both)
    yield Scenario(
        one,
        "malformed_function_call",
        MALFORMED,
        answer=[json_reply(google.response([], "MALFORMED_FUNCTION_CALL", Counts()))],
        lost={"strict.*": Meant([], "end_turn")},
    )

    # Content without parts breaks the gateway's translation.
    spent = google.response(None, "MAX_TOKENS", Counts(output=0, reasoning=9))
    yield Scenario(
        one,
        "max_tokens_spent_on_thinking",
        CUT,
        [google.stream([spent])],
        [json_reply(spent)],
        lost={"*.json": Meant([], "max_tokens", Counts(output=0, reasoning=9))},
    )
    # No candidate tokens, no usage: the gateway takes a count of 0 for none.
    bare = {**spent, "candidates": [{"index": 0, "finishReason": "MAX_TOKENS"}]}
    yield streamed("max_tokens_without_content", Meant([], "max_tokens", None), bare)
    interleaved: list[Said] = [thinking("One?"), text("One. "), thinking("Two?"), text("Two.")]
    yield Scenario(
        one,
        "interleaved_thinking",
        Meant(interleaved, "end_turn"),
        [one.stream(interleaved, "STOP", Counts())],
        lost={"strict.*": Meant([text("One. Two.")], "end_turn")},
    )
    growing = [Counts(output=1), Counts(output=3), Counts(output=5)]
    yield streamed(
        "usage_on_every_chunk",
        Meant([text("It is fine.")], "end_turn"),
        *(
            google.response([{"text": piece}], None, counts)
            for piece, counts in zip(["It ", "is "], growing, strict=False)
        ),
        google.response([{"text": "fine."}], "STOP", growing[2]),
    )
    yield streamed(
        "usage_absent",
        Meant([text("Fine.")], "end_turn", None),
        google.response([{"text": "Fine."}], "STOP"),
    )
    yield streamed(
        "empty_last_chunk",
        Meant([text("Fine.")], "end_turn"),
        google.response([{"text": "Fine."}]),
        google.response([{"text": ""}], "STOP", Counts()),
    )
    yield streamed(
        "signature_on_text",
        Meant([text("Fine.")], "end_turn"),
        google.response([{"text": "Fine.", "thoughtSignature": "TSIG=="}], "STOP", Counts()),
    )
    yield streamed(
        "grounding",
        Meant([text("It is fine.")], "end_turn"),
        google.response(
            [{"text": "It is fine."}],
            "STOP",
            Counts(),
            groundingMetadata={
                "webSearchQueries": ["weather Paris"],
                "groundingChunks": [{"web": {"uri": "https://example.com", "title": "Paris"}}],
            },
        ),
    )
    blocked = {
        "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"},
        "usageMetadata": {"promptTokenCount": 10, "totalTokenCount": 10},
        "modelVersion": google.MODEL,
    }
    yield Scenario(
        one,
        "blocked_prompt",
        CUT,
        [google.stream([blocked])],
        [json_reply(blocked)],
        lost={"*.json": Failed("PortkeyAPIError", message_contains="PROHIBITED_CONTENT")},
    )
    broken = {"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}
    yield streamed("error_mid_text", CUT, google.response([{"text": "Wait"}]), broken)
    yield streamed("error_first", CUT, broken)


SCENARIOS = (*_both(p.GOOGLE), *_both(p.VERTEX), *_google())
