"""What OpenAI does, and what servers with its protocol do for their own models."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from tests_integ.record import providers as p
from tests_integ.record.scenario import CUT, Failed, Meant, Scenario
from tests_integ.record.scenarios.common import LOOK, PARIS, TEXT, TIME, WEATHER, finish, says
from tests_integ.upstream import Gate, Reply, json_reply, sse_reply
from tests_integ.wires import openai
from tests_integ.wires.said import Call, Counts, text


def _reasons() -> Iterator[Scenario]:
    one = p.OPENAI
    yield finish(one, "content_filter", "content_filtered")
    yield finish(one, "a_future_reason", "end_turn")
    yield says(
        one,
        "stop_after_a_call",
        Meant([WEATHER], "tool_use"),
        openai.tool_call(0, "call_1", "get_weather", *WEATHER.pieces),
    )
    yield says(one, "tool_calls_without_a_call", Meant(PARIS, "end_turn"), openai.text("Paris"), "tool_calls")
    yield says(one, "refusal", Meant([text("I cannot.")], "end_turn"), [{"refusal": "I "}, {"refusal": "cannot."}])


def _calls() -> Iterator[Scenario]:
    one = p.OPENAI
    first = openai.tool_call(0, "call_1", "get_weather", *WEATHER.pieces)
    second = openai.tool_call(1, "call_2", "get_time", *TIME.pieces)
    both = Meant([WEATHER, TIME], "tool_use")
    mixed = [first[0], second[0], first[1], second[1], first[2], second[2]]
    yield says(one, "parallel_tools_interleaved", both, mixed, "tool_calls")
    at_once = [{"tool_calls": [one.whole_call(0, WEATHER), one.whole_call(1, TIME)]}]
    yield says(one, "parallel_tools_in_one_chunk", both, at_once, "tool_calls")
    yield says(
        one,
        "tool_then_text",
        Meant([WEATHER, text("Done.")], "tool_use"),
        [*first, *openai.text("Done.")],
        "tool_calls",
    )
    yield says(
        one,
        "max_tokens_mid_tool",
        Meant([LOOK, Call("call_1", "get_weather")], "max_tokens"),
        [*openai.text(*LOOK.pieces), *first[:2]],
        "length",
    )
    no_index = [{"tool_calls": [{key: value for key, value in one.whole_call(0, WEATHER).items() if key != "index"}]}]
    yield says(one, "tool_without_index", Meant([WEATHER], "tool_use"), no_index, "tool_calls")
    anonymous = dataclasses.replace(WEATHER, call_id="")
    made_up = [dataclasses.replace(WEATHER, call_id="$any")]
    yield says(
        one,
        "tool_without_id",
        Meant(made_up, "tool_use"),
        [{"tool_calls": [{key: value for key, value in one.whole_call(0, anonymous).items() if key != "id"}]}],
        "tool_calls",
    )
    same = [WEATHER, dataclasses.replace(TIME, call_id="call_1")]
    apart = [WEATHER, dataclasses.replace(TIME, call_id="$any")]
    yield says(
        one,
        "duplicate_tool_ids",
        Meant(apart, "tool_use"),
        [{"tool_calls": [one.whole_call(0, same[0])]}, {"tool_calls": [one.whole_call(1, same[1])]}],
        "tool_calls",
    )


def _usage() -> Iterator[Scenario]:
    one = p.OPENAI
    together = [openai.chunk({"role": "assistant", "content": "Paris"}, "stop", one.usage(Counts())), openai.DONE]
    yield Scenario(one, "everything_in_one_chunk", Meant(PARIS, "end_turn"), [sse_reply(together)])
    yield says(one, "usage_absent", Meant(PARIS, "end_turn", None), openai.text("Paris"))
    yield says(one, "no_finish_reason", CUT, openai.text("Paris"), None)
    usage = one.usage(Counts())
    early = [
        openai.chunk({"role": "assistant", "content": ""}, usage=usage),
        openai.chunk({"content": "Paris"}),
        openai.chunk({}, "stop"),
        openai.DONE,
    ]
    yield Scenario(one, "usage_early", Meant(PARIS, "end_turn"), [sse_reply(early)])
    growing = [one.usage(Counts(output=count)) for count in (1, 3, 5)]
    repeated = [
        openai.chunk({"content": word}, usage=usage) for word, usage in zip(("Pa", "r", "is"), growing, strict=True)
    ]
    repeated += [openai.chunk({}, "stop", growing[2]), openai.DONE]
    yield Scenario(one, "usage_on_every_chunk", Meant(PARIS, "end_turn"), [sse_reply(repeated)])


def _framing() -> Iterator[Scenario]:
    one = p.OPENAI
    whole = one.stream([TEXT], "stop", Counts())
    yield Scenario(one, "no_done", Meant([TEXT], "end_turn"), [dataclasses.replace(whole, pieces=whole.pieces[:-1])])
    crlf = [piece.replace(b"\n", b"\r\n") for piece in whole.pieces if isinstance(piece, bytes)]
    yield Scenario(one, "crlf", Meant([TEXT], "end_turn"), [sse_reply(crlf)])
    noisy = [
        b": keep-alive\n\n",
        b"event: message\nid: 1\nretry: 1000\n" + crlf[0].replace(b"\r\n", b"\n"),
        *whole.pieces[1:],
    ]
    yield Scenario(one, "comments_and_event_names", Meant([TEXT], "end_turn"), [sse_reply(noisy)])
    yield says(
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
        [sse_reply([two, openai.chunk({}, "stop"), openai.DONE])],
    )


def _errors() -> Iterator[Scenario]:
    one = p.OPENAI
    whole = one.stream([TEXT], "stop", Counts())
    for name, error, outcome in (
        ("server_error", {"message": "The server had an error", "type": "server_error", "code": None}, True),
        ("invalid_request_error", {"message": "Bad tool schema", "type": "invalid_request_error", "code": None}, False),
    ):
        failed = Failed("PortkeyAPIError", retryable=outcome, message_contains=str(error["message"]))
        yield Scenario(one, f"error_first_{name}", failed, [sse_reply([openai.sse({"error": error})])])
    limit = {"message": "Rate limit reached", "type": "requests", "code": "rate_limit_exceeded"}
    throttled = Failed("PortkeyThrottledError", retryable=True, message_contains="Rate limit reached")
    yield Scenario(one, "error_first_rate_limit", throttled, [sse_reply([openai.sse({"error": limit})])])
    server = {"message": "The server had an error", "type": "server_error", "code": None}
    failed = Failed("PortkeyAPIError", retryable=True, message_contains="The server had an error")
    begun = whole.pieces[:2]
    yield Scenario(one, "error_mid_text", failed, [sse_reply([*begun, openai.sse({"error": server})])])
    named = b"event: error\n" + openai.sse({"error": server})
    yield Scenario(one, "error_event_mid_text", failed, [sse_reply([*begun, named])])
    half = [*begun, b'data: {"id":"chatcmpl-1","obj']
    dying = dataclasses.replace(sse_reply([*half, Gate()]), ending="cut")
    yield Scenario(one, "cut_mid_event", CUT, [dying], until=b"Paris ")
    reset = dataclasses.replace(sse_reply([*begun, Gate()]), ending="abort")
    yield Scenario(one, "reset_mid_text", CUT, [reset], until=b"Paris ")
    yield Scenario(one, "cut_before_the_first_event", CUT, [Reply(200, sse_reply([]).headers, (), "cut")])


def _json() -> Iterator[Scenario]:
    one = p.OPENAI
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


SCENARIOS = (*_reasons(), *_calls(), *_usage(), *_framing(), *_errors(), *_json())
