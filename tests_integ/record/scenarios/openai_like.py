"""What other providers with OpenAI's protocol do, and Cohere."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from tests_integ.record import providers as p
from tests_integ.record.scenario import CUT, Failed, Meant, Outcome, Scenario, StopReason
from tests_integ.record.scenarios.common import PARIS, TEXT, TIME, WEATHER, finish, says
from tests_integ.upstream import json_reply, sse_reply
from tests_integ.wires import cohere, openai
from tests_integ.wires.said import Counts, text, thinking


def _azure() -> Iterator[Scenario]:
    one = p.AZURE
    filtered = openai.sse(
        {
            "id": "",
            "object": "",
            "created": 0,
            "model": "",
            "choices": [],
            "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {"hate": {"filtered": False}}}],
        }
    )
    whole = one.stream([TEXT], "stop", Counts())
    reply = dataclasses.replace(whole, pieces=[filtered, *whole.pieces])
    yield Scenario(one, "prompt_filter_results", Meant([TEXT], "end_turn"), [reply])
    yield finish(one, "content_filter", "content_filtered")


def _cohere() -> Iterator[Scenario]:
    one = p.COHERE
    reasons: dict[str, StopReason] = {"STOP_SEQUENCE": "stop_sequence"}
    for reason, stop_reason in reasons.items():
        yield Scenario(
            one,
            f"finish_{reason.lower()}",
            Meant(PARIS, stop_reason),
            [one.stream(PARIS, reason, Counts())],
            lost={"strict.*": Meant(PARIS, "end_turn")},
        )
    for reason in ("ERROR", "TIMEOUT"):
        failed = Failed("PortkeyAPIError", retryable=True, message_contains=reason)
        yield Scenario(
            one,
            f"finish_{reason.lower()}",
            failed,
            [one.stream(PARIS, reason, Counts())],
            lost={"strict.*": Meant(PARIS, "end_turn")},
        )
    pieces = [
        cohere.START,
        *cohere.plan("I will ", "look."),
        *cohere.block(0, WEATHER),
        *cohere.block(1, TIME),
        cohere.end("TOOL_CALL", Counts()),
    ]
    yield Scenario(one, "tool_plan", Meant([WEATHER, TIME], "tool_use"), [cohere.reply(pieces)])
    citation = {"start": 0, "end": 5, "text": "Paris", "sources": [{"type": "document", "id": "doc:0"}]}
    cited = [
        cohere.START,
        *cohere.block(0, TEXT),
        cohere.event("citation-start", index=0, delta={"message": {"citations": citation}}),
        cohere.event("citation-end", index=0),
        cohere.end("COMPLETE", Counts()),
    ]
    yield Scenario(one, "citations", Meant([TEXT], "end_turn"), [cohere.reply(cited)])


def _others() -> Iterator[Scenario]:
    def at_once(one: p.OpenAILike) -> Scenario:
        calls = [{"tool_calls": [one.whole_call(0, WEATHER), one.whole_call(1, TIME)]}]
        return says(
            one,
            "parallel_tools_in_one_chunk",
            Meant([WEATHER, TIME], "tool_use", None if one is p.OLLAMA else Counts()),
            calls,
            "tool_calls",
            one.usage(Counts()),
        )

    yield at_once(p.MISTRAL)
    yield at_once(p.GROQ)
    same_index = [{"tool_calls": [p.OLLAMA.whole_call(0, WEATHER), p.OLLAMA.whole_call(0, TIME)]}]
    yield says(
        p.OLLAMA,
        "parallel_tools_with_the_same_index",
        Meant([WEATHER, TIME], "tool_use", None),
        same_index,
        "tool_calls",
        p.OLLAMA.usage(Counts()),
    )

    strict_stop: dict[str, Outcome] = {"strict.*": Meant(PARIS, "end_turn")}
    yield finish(p.MISTRAL, "model_length", "max_tokens")
    error = Failed("PortkeyAPIError", retryable=True, message_contains="error")
    yield finish(p.MISTRAL, "error", error, strict_stop)
    # An event without choices breaks the gateway's translation; what follows is lost, here usage and [DONE].
    for one in (p.MISTRAL, p.DEEPSEEK, p.FIREWORKS):
        apart = dataclasses.replace(one, usage_on="choiceless")
        yield says(
            apart,
            "usage_on_an_event_without_choices",
            Meant(PARIS, "end_turn", None),
            openai.text("Paris"),
            "stop",
            one.usage(Counts()),
        )

    short = Failed("PortkeyAPIError", retryable=True, message_contains="insufficient_system_resource")
    yield finish(p.DEEPSEEK, "insufficient_system_resource", short, strict_stop)

    whole = p.GROQ.stream([TEXT], "stop", Counts())
    usage = openai.chunk(usage=p.GROQ.usage(Counts()), model=p.GROQ.model)
    yield Scenario(
        p.GROQ,
        "usage_twice",
        Meant([TEXT], "end_turn"),
        [dataclasses.replace(whole, pieces=[*whole.pieces[:-1], usage, openai.DONE])],
    )
    failure = openai.sse({"error": {"message": "Over capacity", "type": "internal_server_error"}})
    yield Scenario(p.GROQ, "error_mid_text", CUT, [sse_reply([*whole.pieces[:2], failure])])

    one = p.OPENROUTER
    whole = one.stream([TEXT], "stop", Counts())
    comment = b": OPENROUTER PROCESSING\n\n"
    yield Scenario(
        one,
        "processing_comments",
        Meant([TEXT], "end_turn"),
        [dataclasses.replace(whole, pieces=[comment, comment, *whole.pieces])],
    )
    broken = openai.sse(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": 1700000000,
            "model": one.model,
            "provider": "Anthropic",
            "error": {"code": 502, "message": "Provider returned error"},
            "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}],
        }
    )
    failed = Failed("PortkeyAPIError", retryable=True, message_contains="error")
    yield Scenario(one, "error_mid_text", failed, [sse_reply([*whole.pieces[:2], broken])])
    yield Scenario(one, "error_first", failed, [sse_reply([broken])])

    one = p.PERPLEXITY
    citations = {
        "citations": ["https://example.com"],
        "search_results": [{"title": "Paris", "url": "https://example.com"}],
    }
    cited = [
        openai.chunk({"role": "assistant", "content": piece}, None, one.usage(Counts()), model=one.model, **citations)
        for piece in TEXT.pieces
    ]
    cited.append(openai.chunk({"content": ""}, "stop", one.usage(Counts()), model=one.model, **citations))
    framed = sse_reply([piece.replace(b"\n\n", b"\r\n\r\n") for piece in cited])
    answer = {**p.parse(one.answer([TEXT], "stop", Counts())), **citations}
    yield Scenario(one, "citations", Meant([TEXT], "end_turn"), [framed], [json_reply(answer)])

    thought = [
        openai.chunk({"role": "assistant", "content": piece}, None, one.usage(Counts()), model=one.model)
        for piece in ("<think>\n", "Need the weather.", "</think>", "\n\n", *TEXT.pieces)
    ]
    thought.append(openai.chunk({"content": ""}, "stop", one.usage(Counts()), model=one.model))
    tagged = "<think>\nNeed the weather.</think>\n\n" + "".join(TEXT.pieces)
    answer = p.parse(one.answer([text(tagged)], "stop", Counts()))
    framed = sse_reply([piece.replace(b"\n\n", b"\r\n\r\n") for piece in thought])
    meant = Meant([thinking("Need the weather."), TEXT], "end_turn")
    yield Scenario(one, "thinking_tags", meant, [framed], [json_reply(answer)])

    one = p.XAI
    yield says(
        one, "whole_tool", Meant([WEATHER], "tool_use"), [{"tool_calls": [one.whole_call(0, WEATHER)]}], "tool_calls"
    )


SCENARIOS = (*_azure(), *_cohere(), *_others())
