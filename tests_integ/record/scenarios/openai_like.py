"""What OpenAI and those that speak its wire do, each in its own way."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests_integ.record import providers as p
from tests_integ.record.scenario import CUT, Failed, Meant, Outcome, Scenario, StopReason
from tests_integ.record.scenarios.common import LOOK, TEXT, TIME, WEATHER
from tests_integ.upstream import Gate, Reply, json_reply
from tests_integ.wires import cohere, openai
from tests_integ.wires.said import Call, Counts, text

Deltas = Sequence[Mapping[str, Any]]
PARIS = [text("Paris")]


def _says(
    one: p.OpenAILike,
    name: str,
    meant: Meant | Failed,
    deltas: Deltas,
    finish_reason: str | None = "stop",
    usage: Mapping[str, Any] | None = None,
    lost: Mapping[str, Outcome] | None = None,
) -> Scenario:
    """Return a scenario with a stream of these deltas; the usual usage, or none where none is meant."""
    if usage is None and isinstance(meant, Meant) and meant.counts:
        usage = one.usage(meant.counts)
    return Scenario(one, name, meant, [one.stream_of(deltas, finish_reason, usage)], lost=lost or {})


def _finish(
    one: p.OpenAILike, reason: str, outcome: StopReason | Failed, lost: Mapping[str, Outcome] | None = None
) -> Scenario:
    meant = outcome if isinstance(outcome, Failed) else Meant(PARIS, outcome)
    return _says(one, f"finish_{reason}", meant, openai.text("Paris"), reason, one.usage(Counts()), lost)


def _openai() -> Iterator[Scenario]:
    one = p.OPENAI
    yield _finish(one, "content_filter", "content_filtered")
    yield _finish(one, "a_future_reason", "end_turn")
    yield _says(
        one,
        "stop_after_a_call",
        Meant([WEATHER], "tool_use"),
        openai.tool_call(0, "call_1", "get_weather", *WEATHER.pieces),
    )
    yield _says(one, "tool_calls_without_a_call", Meant(PARIS, "end_turn"), openai.text("Paris"), "tool_calls")
    yield _says(one, "refusal", Meant([text("I cannot.")], "end_turn"), [{"refusal": "I "}, {"refusal": "cannot."}])

    first = openai.tool_call(0, "call_1", "get_weather", *WEATHER.pieces)
    second = openai.tool_call(1, "call_2", "get_time", *TIME.pieces)
    both = Meant([WEATHER, TIME], "tool_use")
    mixed = [first[0], second[0], first[1], second[1], first[2], second[2]]
    yield _says(one, "parallel_tools_interleaved", both, mixed, "tool_calls")
    at_once = [{"tool_calls": [one.whole_call(0, WEATHER), one.whole_call(1, TIME)]}]
    yield _says(one, "parallel_tools_in_one_chunk", both, at_once, "tool_calls")
    yield _says(
        one,
        "tool_then_text",
        Meant([WEATHER, text("Done.")], "tool_use"),
        [*first, *openai.text("Done.")],
        "tool_calls",
    )
    yield _says(
        one,
        "max_tokens_mid_tool",
        Meant([LOOK, Call("call_1", "get_weather")], "max_tokens"),
        [*openai.text(*LOOK.pieces), *first[:2]],
        "length",
    )
    no_index = [{"tool_calls": [{key: value for key, value in one.whole_call(0, WEATHER).items() if key != "index"}]}]
    yield _says(one, "tool_without_index", Meant([WEATHER], "tool_use"), no_index, "tool_calls")
    anonymous = dataclasses.replace(WEATHER, call_id="")
    made_up = [dataclasses.replace(WEATHER, call_id="$any")]
    yield _says(
        one,
        "tool_without_id",
        Meant(made_up, "tool_use"),
        [{"tool_calls": [{key: value for key, value in one.whole_call(0, anonymous).items() if key != "id"}]}],
        "tool_calls",
    )
    same = [WEATHER, dataclasses.replace(TIME, call_id="call_1")]
    apart = [WEATHER, dataclasses.replace(TIME, call_id="$any")]
    yield _says(
        one,
        "duplicate_tool_ids",
        Meant(apart, "tool_use"),
        [{"tool_calls": [one.whole_call(0, same[0])]}, {"tool_calls": [one.whole_call(1, same[1])]}],
        "tool_calls",
    )
    together = [openai.chunk({"role": "assistant", "content": "Paris"}, "stop", one.usage(Counts())), openai.DONE]
    yield Scenario(one, "everything_in_one_chunk", Meant(PARIS, "end_turn"), [openai.sse_reply(together)])
    yield _says(one, "usage_absent", Meant(PARIS, "end_turn", None), openai.text("Paris"))
    yield _says(one, "no_finish_reason", CUT, openai.text("Paris"), None)
    usage = one.usage(Counts())
    early = [
        openai.chunk({"role": "assistant", "content": ""}, usage=usage),
        openai.chunk({"content": "Paris"}),
        openai.chunk({}, "stop"),
        openai.DONE,
    ]
    yield Scenario(one, "usage_early", Meant(PARIS, "end_turn"), [openai.sse_reply(early)])
    growing = [one.usage(Counts(output=count)) for count in (1, 3, 5)]
    repeated = [
        openai.chunk({"content": word}, usage=usage) for word, usage in zip(("Pa", "r", "is"), growing, strict=True)
    ]
    repeated += [openai.chunk({}, "stop", growing[2]), openai.DONE]
    yield Scenario(one, "usage_on_every_chunk", Meant(PARIS, "end_turn"), [openai.sse_reply(repeated)])
    whole = one.stream([TEXT], "stop", Counts())
    yield Scenario(one, "no_done", Meant([TEXT], "end_turn"), [dataclasses.replace(whole, pieces=whole.pieces[:-1])])
    crlf = [piece.replace(b"\n", b"\r\n") for piece in whole.pieces if isinstance(piece, bytes)]
    yield Scenario(one, "crlf", Meant([TEXT], "end_turn"), [openai.sse_reply(crlf)])
    noisy = [
        b": keep-alive\n\n",
        b"event: message\nid: 1\nretry: 1000\n" + crlf[0].replace(b"\r\n", b"\n"),
        *whole.pieces[1:],
    ]
    yield Scenario(one, "comments_and_event_names", Meant([TEXT], "end_turn"), [openai.sse_reply(noisy)])
    yield _says(
        one,
        "null_content",
        Meant(PARIS, "end_turn"),
        [{"content": None}, {"content": "Paris", "tool_calls": None}, {"content": None}],
    )
    two = openai.sse(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": 1700000000,
            "model": "gpt-4o",
            "choices": [{"delta": {"content": "Paris"}}],
        }
    )
    yield Scenario(
        one,
        "choice_without_index",
        Meant(PARIS, "end_turn", None),
        [openai.sse_reply([two, openai.chunk({}, "stop"), openai.DONE])],
    )

    for name, error, outcome in (
        ("server_error", {"message": "The server had an error", "type": "server_error", "code": None}, True),
        ("invalid_request_error", {"message": "Bad tool schema", "type": "invalid_request_error", "code": None}, False),
    ):
        failed = Failed("PortkeyAPIError", retryable=outcome, message_contains=str(error["message"]))
        yield Scenario(one, f"error_first_{name}", failed, [openai.sse_reply([openai.sse({"error": error})])])
    limit = {"message": "Rate limit reached", "type": "requests", "code": "rate_limit_exceeded"}
    throttled = Failed("PortkeyThrottledError", retryable=True, message_contains="Rate limit reached")
    yield Scenario(one, "error_first_rate_limit", throttled, [openai.sse_reply([openai.sse({"error": limit})])])
    server = {"message": "The server had an error", "type": "server_error", "code": None}
    failed = Failed("PortkeyAPIError", retryable=True, message_contains="The server had an error")
    begun = whole.pieces[:2]
    yield Scenario(one, "error_mid_text", failed, [openai.sse_reply([*begun, openai.sse({"error": server})])])
    named = b"event: error\n" + openai.sse({"error": server})
    yield Scenario(one, "error_event_mid_text", failed, [openai.sse_reply([*begun, named])])
    half = [*begun, b'data: {"id":"chatcmpl-1","obj']
    dying = dataclasses.replace(openai.sse_reply([*half, Gate()]), ending="cut")
    yield Scenario(one, "cut_mid_event", CUT, [dying], until=b"Paris ")
    reset = dataclasses.replace(openai.sse_reply([*begun, Gate()]), ending="abort")
    yield Scenario(one, "reset_mid_text", CUT, [reset], until=b"Paris ")
    yield Scenario(one, "cut_before_the_first_event", CUT, [Reply(200, openai.sse_reply([]).headers, (), "cut")])
    yield Scenario(
        one,
        "json_for_a_stream",
        Meant([LOOK, WEATHER], "tool_use"),
        [one.answer([LOOK, WEATHER], "tool_calls", Counts())],
    )
    yield Scenario(
        one,
        "array_content",
        Meant(PARIS, "end_turn"),
        answer=[
            json_reply(
                {
                    **p.parse(one.answer(PARIS, "stop", Counts())),
                    "choices": [
                        {
                            "index": 0,
                            "message": {"role": "assistant", "content": [{"type": "text", "text": "Paris"}]},
                            "finish_reason": "stop",
                        }
                    ],
                }
            )
        ],
    )
    yield Scenario(
        one,
        "arguments_empty",
        Meant([Call("call_1", "list_cities")], "tool_use"),
        answer=[openai.answer(None, [("call_1", "list_cities", "")], usage=one.usage(Counts()))],
    )
    yield Scenario(
        one,
        "no_choices",
        Failed("PortkeyAPIError", origin=None),
        answer=[json_reply({"id": "chatcmpl-1", "object": "chat.completion", "choices": []})],
    )


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
    yield _finish(one, "content_filter", "content_filtered")


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
        return _says(
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
    yield _says(
        p.OLLAMA,
        "parallel_tools_with_the_same_index",
        Meant([WEATHER, TIME], "tool_use", None),
        same_index,
        "tool_calls",
        p.OLLAMA.usage(Counts()),
    )

    strict_stop: dict[str, Outcome] = {"strict.*": Meant(PARIS, "end_turn")}
    yield _finish(p.MISTRAL, "model_length", "max_tokens")
    error = Failed("PortkeyAPIError", retryable=True, message_contains="error")
    yield _finish(p.MISTRAL, "error", error, strict_stop)
    # An event without choices breaks the gateway's translation; what follows is lost, here usage and [DONE].
    for one in (p.MISTRAL, p.DEEPSEEK, p.FIREWORKS):
        apart = dataclasses.replace(one, usage_on="choiceless")
        yield _says(
            apart,
            "usage_on_an_event_without_choices",
            Meant(PARIS, "end_turn", None),
            openai.text("Paris"),
            "stop",
            one.usage(Counts()),
        )

    short = Failed("PortkeyAPIError", retryable=True, message_contains="insufficient_system_resource")
    yield _finish(p.DEEPSEEK, "insufficient_system_resource", short, strict_stop)

    whole = p.GROQ.stream([TEXT], "stop", Counts())
    usage = openai.chunk(usage=p.GROQ.usage(Counts()), model=p.GROQ.model)
    yield Scenario(
        p.GROQ,
        "usage_twice",
        Meant([TEXT], "end_turn"),
        [dataclasses.replace(whole, pieces=[*whole.pieces[:-1], usage, openai.DONE])],
    )
    failure = openai.sse({"error": {"message": "Over capacity", "type": "internal_server_error"}})
    yield Scenario(p.GROQ, "error_mid_text", CUT, [openai.sse_reply([*whole.pieces[:2], failure])])

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
    yield Scenario(one, "error_mid_text", failed, [openai.sse_reply([*whole.pieces[:2], broken])])
    yield Scenario(one, "error_first", failed, [openai.sse_reply([broken])])

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
    framed = openai.sse_reply([piece.replace(b"\n\n", b"\r\n\r\n") for piece in cited])
    answer = {**p.parse(one.answer([TEXT], "stop", Counts())), **citations}
    yield Scenario(one, "citations", Meant([TEXT], "end_turn"), [framed], [json_reply(answer)])

    one = p.XAI
    yield _says(
        one, "whole_tool", Meant([WEATHER], "tool_use"), [{"tool_calls": [one.whole_call(0, WEATHER)]}], "tool_calls"
    )


SCENARIOS = (*_openai(), *_azure(), *_cohere(), *_others())
