"""The judgement of errors: every form of body, who failed, and what helps."""

from __future__ import annotations

import json
import time
from email.utils import formatdate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strands_portkey._answer.error_details import Complaint
from strands_portkey._answer.judgement import Judge, is_failure
from strands_portkey._errors import (
    PortkeyAPIError,
    PortkeyContextOverflowError,
    PortkeyGuardrailError,
    PortkeyThrottledError,
)

GATEWAY = {"x-portkey-trace-id": "t-1", "x-portkey-provider": "openai"}
EXCEPTION = {"x-portkey-gateway-exception": "true"}


def error_of(message="Bad", code=None, kind=None, provider="openai"):
    error = {"message": f"{provider} error: {message}", "type": kind, "param": None, "code": code}
    return {"error": error, "provider": provider}


def wrapped(provider, body):
    text = f"Invalid response received from {provider}: {json.dumps(body)}"
    return {"error": {"message": text, "type": None, "param": None, "code": None}, "provider": provider}


def judge(status, body, headers=None):
    text = body if isinstance(body, str) else json.dumps(body)
    return Judge().response_error(status, GATEWAY if headers is None else headers, text)


@pytest.mark.parametrize(
    ("status", "headers", "body", "said"),
    [
        pytest.param(
            400, GATEWAY, error_of("Bad"), "openai answered with an error (400): Bad [trace id t-1]", id="openai"
        ),
        pytest.param(
            400,
            GATEWAY,
            error_of("undefined"),
            "openai answered with an error (400): openai error: undefined [trace id t-1]",
            id="openai: the gateway lost the words",
        ),
        pytest.param(
            400,
            {"x-portkey-provider": "x-ai"},
            {"error": {"message": {"message": "Bad", "type": "t", "param": "p", "code": "c"}}},
            "x-ai answered with an error (400, t, c): Bad",
            id="x-ai: an object for a message",
        ),
        pytest.param(
            400,
            {"x-portkey-provider": "deepseek"},
            wrapped("deepseek", {"error": {"message": "Bad", "type": "invalid_request_error"}}),
            "deepseek answered with an error (400, invalid_request_error): Bad",
            id="deepseek: wrapped",
        ),
        pytest.param(
            400,
            {"x-portkey-provider": "google"},
            wrapped("google", [{"error": {"message": "Bad", "code": 400, "status": "INVALID_ARGUMENT"}}]),
            "google answered with an error (400, INVALID_ARGUMENT): Bad",
            id="google: a list, wrapped",
        ),
        pytest.param(
            400,
            {"x-portkey-provider": "openrouter"},
            wrapped(
                "openrouter",
                {
                    "error": {
                        "message": "Provider returned error",
                        "code": 400,
                        "metadata": {"raw": '{"message":"Bad"}'},
                    }
                },
            ),
            "openrouter answered with an error (400): Bad",
            id="openrouter: its own upstream's words",
        ),
        pytest.param(
            408,
            {"x-portkey-provider": "google"},
            {"0": {"error": {"message": "Late", "code": 408}}},
            "google answered with an error (408): Late",
            id="google: a list made an object",
        ),
        pytest.param(
            400,
            GATEWAY,
            {"object": "error", "message": "Bad", "code": 400},
            "openai answered with an error (400): Bad [trace id t-1]",
            id="vllm",
        ),
        pytest.param(
            422,
            GATEWAY,
            {"detail": [{"msg": "field required", "loc": ["x"]}]},
            "openai answered with an error (422): field required [trace id t-1]",
            id="fastapi: a list",
        ),
        pytest.param(
            422, GATEWAY, {"detail": "no"}, "openai answered with an error (422): no [trace id t-1]", id="fastapi: text"
        ),
        pytest.param(
            502,
            GATEWAY,
            {"html-message": "<html><head><title>502 Bad\nGateway</title></head><body>x</body></html>"},
            "openai answered with an error (502): 502 Bad Gateway [trace id t-1]",
            id="html in JSON",
        ),
        pytest.param(
            502,
            {},
            "<style>p {}</style><p>Bad <b>gateway</b></p>",
            "the gateway answered with an error (502): Bad gateway",
            id="html",
        ),
        pytest.param(502, {}, "upstream down", "the gateway answered with an error (502): upstream down", id="text"),
        pytest.param(502, {}, "", "the gateway answered with an error (502): no message", id="empty"),
        pytest.param(502, {}, "null", "the gateway answered with an error (502): no message", id="null"),
        pytest.param(
            500, GATEWAY, {"why": 1}, 'openai answered with an error (500): {"why":1} [trace id t-1]', id="unknown form"
        ),
        pytest.param(
            500, {}, {"error": "", "message": "Bad"}, "the gateway answered with an error (500): Bad", id="empty error"
        ),
        pytest.param(
            500,
            EXCEPTION,
            {"status": "failure", "message": "Provider portkey not found"},
            "the gateway answered with an error (500): Provider portkey not found",
            id="gateway: exception",
        ),
        pytest.param(
            500,
            GATEWAY | EXCEPTION,
            {"message": "Provider portkey not found"},
            "the gateway answered with an error (500): Provider portkey not found [trace id t-1]",
            id="gateway: exception by its header alone",
        ),
        pytest.param(300, GATEWAY, "", "openai answered with an error (300): no message [trace id t-1]", id="redirect"),
        pytest.param(
            503,
            {},
            "1 error occurred",
            "the gateway answered with an error (503): 1 error occurred",
            id="a number first",
        ),
        pytest.param(
            403,
            GATEWAY,
            {"status": "failure", "message": "Portkey Error", "error": {"message": "No scope", "code": "033"}},
            "the gateway answered with an error (403, 033): No scope [trace id t-1]",
            id="gateway 2.x",
        ),
        pytest.param(
            401,
            {},
            {"success": False, "data": {"message": "No key", "errorCode": "AB01"}},
            "the gateway answered with an error (401, AB01): No key",
            id="hosted",
        ),
        pytest.param(
            200,
            {"x-portkey-provider": "google"},
            wrapped("google", {"promptFeedback": {"blockReason": "SAFETY"}}),
            "google answered, but not with what was asked for (200, content_filter, SAFETY): the prompt was blocked:"
            " SAFETY",
            id="google: blocked prompt",
        ),
        pytest.param(
            200,
            {},
            "<title>Log in</title>",
            "the gateway answered, but not with what was asked for (200): Log in",
            id="200 html",
        ),
    ],
)
def test_every_form_of_body_is_one_readable_line(status, headers, body, said):
    error = judge(status, body, headers)

    assert str(error).partition("\nHint: ")[0] == said
    assert error.origin == ("gateway" if said.startswith("the gateway") else "provider")


def test_an_error_carries_all_that_the_answer_said():
    body = {
        "error": {"message": "openai error: Bad", "type": "t", "param": "p", "code": 7},
        "provider": "openai",
    }

    error = judge(400, body)

    assert vars(error) == {
        "origin": "provider",
        "status_code": 400,
        "code": "7",
        "trace_id": "t-1",
        "received": 0,
        "hint": None,
        "retryable": False,
        "type": "t",
        "param": "p",
        "provider": "openai",
        "body": json.dumps(body),
        "retry_after": None,
    }


def test_long_words_are_shortened_but_judged_as_a_whole():
    error = judge(400, error_of("x" * 600 + " prompt is too long"))

    assert type(error) is PortkeyContextOverflowError
    assert "x" * 500 + "... [" in str(error)


@pytest.mark.parametrize(
    ("status", "body", "kind", "retryable"),
    [
        pytest.param(429, error_of(), PortkeyThrottledError, True, id="429"),
        pytest.param(
            429,
            {"status": "failure", "message": "Portkey Error. Error Code: 05"},
            PortkeyThrottledError,
            True,
            id="hosted: rate limit",
        ),
        pytest.param(529, error_of("Overloaded", kind="overloaded_error"), PortkeyThrottledError, True, id="anthropic"),
        pytest.param(503, error_of("The model is overloaded."), PortkeyThrottledError, True, id="google: overloaded"),
        pytest.param(503, error_of("Not now"), PortkeyAPIError, True, id="503"),
        pytest.param(500, error_of(), PortkeyAPIError, True, id="500"),
        pytest.param(408, error_of("Request timed out.", kind="timeout_error"), PortkeyAPIError, True, id="408"),
        pytest.param(429, error_of(code="insufficient_quota"), PortkeyAPIError, False, id="openai: no money"),
        pytest.param(402, error_of("Insufficient Balance"), PortkeyAPIError, False, id="deepseek: no money"),
        pytest.param(412, {"status": "failure", "message": "Error Code: 04"}, PortkeyAPIError, False, id="budget"),
        pytest.param(401, error_of(), PortkeyAPIError, False, id="401"),
        pytest.param(403, error_of(kind="api_error"), PortkeyAPIError, False, id="403: the status goes first"),
        pytest.param(400, error_of("failed to generate"), PortkeyAPIError, False, id="'generate' is no rate"),
        pytest.param(400, error_of("be more accurate"), PortkeyAPIError, False, id="'accurate' is no rate"),
        pytest.param(400, error_of("Rate limit reached"), PortkeyThrottledError, True, id="400 with a rate limit"),
        pytest.param(403, error_of("Too many requests"), PortkeyThrottledError, True, id="403 with too many requests"),
        pytest.param(404, error_of("Rate limit reached"), PortkeyAPIError, False, id="404 with a rate limit"),
        pytest.param(
            413,
            error_of("Request too large for model: Limit 30000", code="rate_limit_exceeded"),
            PortkeyContextOverflowError,
            False,
            id="groq: too large for any minute",
        ),
        pytest.param(429, error_of("maximum context length"), PortkeyThrottledError, True, id="429 goes first"),
        pytest.param(200, "", PortkeyAPIError, True, id="200 with nothing"),
        pytest.param(200, {"error": {"message": "Busy", "code": 429}}, PortkeyThrottledError, True, id="200 means 429"),
        pytest.param(200, "<title>Log in</title>", PortkeyAPIError, False, id="200 with html"),
    ],
)
def test_status_and_code_decide_whether_a_retry_helps(status, body, kind, retryable):
    error = judge(status, body)

    assert (type(error), error.retryable) == (kind, retryable)


def test_an_invalid_request_is_not_throttled_whatever_it_quotes():
    error = judge(400, error_of("Invalid 'messages': Explain rate limits", kind="invalid_request_error"))

    assert type(error) is PortkeyAPIError


def test_an_error_is_read_from_the_beginning_of_a_long_body():
    body = json.dumps({"error": {"message": "Bad", "code": "c"}, "rest": ["x" * 100] * 5000})

    assert str(judge(400, body, {})) == "the gateway answered with an error (400, c): Bad"


def test_a_style_that_stays_open_is_no_message():
    assert "answered with an error (502): Bad" in str(judge(502, "<p>Bad</p><style>p { color: red }", {}))


def test_an_error_is_looked_for_in_the_beginning_of_a_long_answer():
    said = {"error": {"message": "Bad", "code": "c"}}
    filler = {"filler": "x" * 70_000}

    first, last = judge(400, said | filler), judge(400, filler | said)

    assert (first.code, "Bad" in str(first)) == ("c", True)
    assert (last.code, "Bad" in str(last)) == (None, False)


def test_a_number_that_holds_a_key_leaves_the_answer_readable():
    judge = Judge()
    judge.sent({"authorization": "12345678"})

    error = judge.response_error(400, GATEWAY, '{"error": {"message": "Bad", "at": 1234567890}}')

    assert (error.param, str(error)) == (None, "openai answered with an error (400): Bad [trace id t-1]")


def test_an_error_within_errors_without_end_is_quoted():
    error = judge(400, '{"error":' * 150 + '"x"' + "}" * 150, {})

    assert '{"error":{"error":' in str(error)


def test_a_denial_holds_the_verdicts_and_the_message_alone():
    hook_results = {"before_request_hooks": [{"verdict": False}], "after_request_hooks": []}
    body = {"error": {"message": "The checks failed.", "type": "hooks_failed"}, "hook_results": hook_results}

    error = judge(446, body)

    assert isinstance(error, PortkeyGuardrailError)
    assert (error.origin, error.retryable, error.denial, error.hook_results) == (
        "gateway",
        False,
        "The checks failed.",
        hook_results,
    )


ONLY_ON_RESPONSES = "this model, or its tools beside reasoning, are not on /v1/chat/completions: set api='responses'"
TOOLS_REFUSED = (
    "Function tools with reasoning_effort are not supported for {} in /v1/chat/completions. To use function tools, use"
    " /v1/responses or set reasoning_effort to 'none'."
)
NO_PROTOCOL = "this provider does not have the protocol that api asks for: set api='chat'"


@pytest.mark.parametrize(
    ("status", "body", "headers", "hint"),
    [
        (308, "", {}, "the address redirects"),
        (400, "Either x-portkey-config or x-portkey-provider header is required", {}, "set client_args['provider']"),
        (
            400,
            "Invalid config passed. You need to pass a valid json",
            {},
            "the open-source gateway knows no config ids",
        ),
        (400, "Invalid provider passed", {}, "provider names are lower case"),
        (400, "Invalid custom host", {}, "the open-source gateway refuses private hosts"),
        (500, {"status": "failure", "message": "Something went wrong"}, EXCEPTION, "the gateway could not translate"),
        (500, error_of("Something went wrong"), GATEWAY, None),
        (500, {"html-message": "Message: fetch failed Cause: x"}, GATEWAY, "the gateway did not reach the provider"),
        (
            408,
            {"error": {"message": "Request exceeded the timeout sent in the request: 5ms", "type": "timeout_error"}},
            GATEWAY,
            "the provider was slower than request_timeout",
        ),
        (408, error_of("Request timed out."), GATEWAY, None),
        (431, "", {}, "the request's headers are over"),
        (412, {"status": "failure", "message": "Error Code: 04"}, {}, "the budget of the key is used up"),
        (412, error_of("model_not_allowed_error"), GATEWAY, None),
        (401, error_of("Incorrect API key provided: undefined."), GATEWAY, "no provider key reached the gateway"),
        (400, error_of("undefined"), GATEWAY, None),
        (401, error_of("The key has expired"), GATEWAY, "the key has expired"),
        (401, {"status": "failure", "message": "Invalid API Key"}, {}, "check the key for the gateway"),
        (403, error_of("No."), GATEWAY, "check the provider's key"),
        (404, error_of("No."), GATEWAY, "check client_args['base_url'] and model_id"),
        (
            404,
            {"detail": "Not Found"},
            GATEWAY,
            "check client_args['base_url'] and model_id, and whether the server has",
        ),
        (405, error_of("Method Not Allowed"), GATEWAY, "check client_args['base_url'] and model_id, and whether"),
        (400, error_of("function tools with reasoning"), GATEWAY, ONLY_ON_RESPONSES),
        (
            400,
            error_of(
                "Function tools with reasoning_effort are not supported for gpt-5.4 in /v1/chat/completions. Please use"
                " /v1/responses instead."
            ),
            GATEWAY,
            ONLY_ON_RESPONSES,
        ),
        *(
            (
                400,
                error_of(TOOLS_REFUSED.format(model)),
                GATEWAY,
                hint,
            )
            for model, hint in (
                ("gpt-5.6-terra", "this model takes no tools beside reasoning on /v1/chat/completions: set api='resp"),
                ("gpt-6-astra", ONLY_ON_RESPONSES),
                ("gpt-6.1-sol", ONLY_ON_RESPONSES),
            )
        ),
        *(
            (status, error_of(message), GATEWAY, ONLY_ON_RESPONSES)
            for status, message in (
                (404, "This model is only supported in v1/responses and not in v1/chat/completions."),
                (404, "This is not a chat model and thus not supported in the v1/chat/completions endpoint."),
                (400, "The model 'openai.gpt-5.6-terra' does not support the '/v1/chat/completions' API"),
                (400, "model gpt-5.6 is not accessible via the /chat/completions endpoint"),
                (400, "Unsupported value: 'reasoning_effort' does not support 'none' with this model."),
            )
        ),
        *(
            (500, {"status": "failure", "message": f"{what} is not supported by groq"}, EXCEPTION, NO_PROTOCOL)
            for what in ("createModelResponse", "messages", "messagesCountTokens")
        ),
    ],
)
def test_a_hint_says_what_to_do_where_that_is_known(status, body, headers, hint):
    found = judge(status, body, headers).hint

    assert found is None if hint is None else (found or "").startswith(hint)


def test_a_hint_offers_no_reasoning_only_where_the_text_does():
    models = ("gpt-5.6", "gpt-6-astra", "gpt-6.1-sol", "gpt-6.1-terra")
    hints = [judge(400, error_of(TOOLS_REFUSED.format(model)), GATEWAY).hint or "" for model in models]

    assert ["'none'" in hint for hint in hints] == [True, False, False, True]


def test_a_protocol_that_a_provider_lacks_is_not_asked_for_again():
    error = judge(500, {"status": "failure", "message": "createModelResponse is not supported by x-ai"}, EXCEPTION)

    assert (type(error), error.retryable, "x-ai" in str(error)) == (PortkeyAPIError, False, True)


@pytest.mark.parametrize(
    ("status", "code", "kind", "retryable"),
    [
        (429, "credit_balance_exhausted", PortkeyAPIError, False),
        (None, "credit_balance_exhausted", PortkeyAPIError, False),
        (503, "server_is_overloaded", PortkeyThrottledError, True),
        (None, "server_is_overloaded", PortkeyThrottledError, True),
        (None, "too_many_requests", PortkeyThrottledError, True),
        (None, "server_error", PortkeyAPIError, True),
        (None, "invalid_prompt", PortkeyAPIError, False),
        (None, "image_content_policy_violation", PortkeyAPIError, False),
        (None, "context_length_exceeded", PortkeyContextOverflowError, False),
    ],
)
def test_the_codes_of_a_response_are_judged(status, code, kind, retryable):
    error = Judge().api_error(Complaint("no", code=code), status_code=status)

    assert (type(error), error.retryable) == (kind, retryable)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "20"}, 20.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "1500", "retry-after": "2"}, 1.5),
        ({"x-ms-retry-after-ms": "250"}, 0.25),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after-ms": "soon", "retry-after": "2"}, 2.0),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({}, None),
    ],
)
def test_retry_after_is_read_in_all_its_spellings(headers, seconds):
    assert judge(429, "", headers).retry_after == seconds


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        pytest.param("Limit 10000, Used 9000. Please try again in 6.57s. Visit https://x.test", 6.57, id="openai: s"),
        pytest.param("Please try again in 120ms.", 0.12, id="openai: ms"),
        pytest.param("Please try again in 1m3s.", 63.0, id="openai: m and s"),
        pytest.param("Please try again in 7m12.5s. Need more?", 432.5, id="groq"),
        pytest.param("Please try again in 1h0m30s", 3630.0, id="openai: h"),
        pytest.param("Please retry after 26 seconds.", 26.0, id="azure-openai"),
        pytest.param("Quota exceeded. Please retry in 33.424512388s.", 33.424512388, id="gemini"),
        pytest.param("TRY AGAIN IN 1 MINUTE 2 SECONDS", 62.0, id="in capitals"),
        pytest.param("Try again in 24h", 86400.0, id="24 hours"),
        pytest.param("Try again in 1 day", 86400.0, id="a day"),
        pytest.param("Retry after 2 mins 1 sec", 121.0, id="shortened"),
        pytest.param("retry after 30 secs or upgrade", 30.0, id="shortened, in a sentence"),
        pytest.param("Try again in 0s", 0.0, id="none"),
        pytest.param("Please\ntry again\nin 2s", 2.0, id="on several lines"),
        *(
            pytest.param(f"Please try again {words}", None, id=words)
            for words in (
                *(
                    "in 25h",
                    "in 99999h99999m",
                    "in 123456s",
                    "in 1" + "0" * 3000 + "s",
                    "in 1e9s",
                    "in -3s",
                    "in nan s",
                ),
                *(
                    "in 1.2.3s",
                    "in 5",
                    "in 2 days",
                    "in 5msec",
                    "in 5 minus",
                    "in 3s4",
                    "in s",
                    "in 0x5s",
                    "later",
                    "in ٣s",
                ),
                *("in 1s1s1s1s", "in 1.s", "in .5s", "in 5\u017f"),
            )
        ),
        pytest.param("I tried again in 5s", None, id="other words"),
        pytest.param("retry" + " retry in 1s1s1s1s" * 200, None, id="many"),
    ],
)
@pytest.mark.parametrize("headers", [{}, {"retry-after": "soon"}])
def test_the_time_to_wait_is_read_from_the_words_where_no_header_tells_it(said, seconds, headers):
    assert judge(429, error_of(said), headers).retry_after == seconds
    assert judge(503, error_of(said), headers).retry_after == seconds
    assert Judge().api_error(Complaint(said, code="rate_limit_exceeded")).retry_after == seconds


def test_a_header_takes_precedence_over_words():
    assert judge(429, error_of("Please try again in 6.57s"), {"retry-after": "20"}).retry_after == 20.0


@pytest.mark.parametrize(
    ("status", "code"), [(400, None), (401, None), (429, "insufficient_quota"), (200, None)], ids=str
)
def test_words_are_no_time_to_wait_where_a_later_try_does_not_help(status, code):
    assert judge(status, error_of("Please try again in 6.57s", code=code)).retry_after is None


def test_a_date_to_retry_at_is_counted_from_now():
    assert judge(429, "", {"retry-after": formatdate(time.time() + 60, usegmt=True)}).retry_after == pytest.approx(
        60, abs=5
    )


@pytest.mark.parametrize(
    ("finish_reason", "expected"),
    [("ERROR", True), ("new_error", True), ("malformed_anything", True), ("stop", False), ("other", False)],
)
def test_finish_reasons_that_stand_for_errors_are_recognised(finish_reason, expected):
    assert is_failure(finish_reason) is expected


# -- whatever comes ----------------------------------------------------------------------------------------------------

_STATUSES = [200, 204, 246, 302, 400, 401, 403, 404, 408, 412, 413, 429, 431, 446, 500, 502, 503, 529]
_WORDS = [
    "error",
    "message",
    "code",
    "type",
    "status",
    "detail",
    "msg",
    "provider",
    "html-message",
    "failure",
    "0",
    "raw",
]
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(_WORDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_WORDS) | st.text(max_size=3), inner),
    max_leaves=12,
)


@settings(max_examples=max(500, settings().max_examples))
@given(
    status=st.sampled_from(_STATUSES),
    body=_JSON.map(json.dumps) | st.text() | st.text(alphabet=st.characters()),
    retry_after=st.text(max_size=12),
)
def test_random_bodies_are_api_errors(status, body, retry_after):
    error = Judge().response_error(status, {"retry-after": retry_after}, body)

    assert isinstance(error, PortkeyAPIError)
    assert "\n" not in str(error).partition("\nHint: ")[0]


@pytest.mark.parametrize(
    "body",
    [
        "<script" * 100_000,
        "<title" * 100_000,
        "<" * 1_000_000,
        "[" * 1_000_000,
        '{"error":' * 100_000,
        '{"error":' * 150 + "1" + "}" * 150,
        '{"error":{"code":' + "1" * 100_000 + "}}",
        '{"error":"' + "input token count " * 60_000 + '"}',
        '{"error":NaN}',
        '"\\ud800"',
        "\ud800",
        json.dumps("Invalid response received from " + "a" * 1_000_000),
    ],
    ids=[
        "scripts",
        "titles",
        "brackets",
        "open lists",
        "open objects",
        "deep objects",
        "a huge number",
        "a phrase begun over and over",
        "NaN",
        "an escaped surrogate",
        "a surrogate",
        "a long name",
    ],
)
def test_bodies_that_are_made_to_be_slow_are_judged_quickly(body):
    began = time.thread_time()

    error = Judge().response_error(500, {}, body)

    assert isinstance(error, PortkeyAPIError)
    assert time.thread_time() - began < 1
    assert len(str(error)) < 2000
