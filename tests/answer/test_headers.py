"""The headers of an answer: what is shown of them, and which of them is the id of the request."""

import pytest

from strands_portkey._answer.headers import find_request_id, find_trace_id, shown_headers
from strands_portkey._answer.judgement import Judge

KEY = "sk-the-cat-is-fat"


def shown(headers: dict[str, str], *sent: str) -> dict[str, str]:
    judge = Judge()
    judge.sent({"authorization": f"Bearer {KEY}"})
    return shown_headers(headers, sent, judge)


TELLING = {
    "openai": {"x-ratelimit-remaining-tokens": "149984", "x-ratelimit-reset-requests": "6m0s", "x-request-id": "req_1"},
    "anthropic": {"anthropic-ratelimit-input-tokens-reset": "2026-01-27T12:00:00Z", "request-id": "req_1"},
    "azure-openai": {"apim-request-id": "1", "x-ms-region": "East US", "x-ratelimit-remaining-requests": "99"},
    "bedrock": {"x-amzn-requestid": "1", "x-amzn-bedrock-input-token-count": "9"},
    "the gateway": {"x-portkey-trace-id": "t", "x-portkey-cache-status": "MISS"},
    "throttled": {"retry-after": "7", "retry-after-ms": "7000", "x-should-retry": "true"},
    "a proxy": {
        "server": "cloudflare",
        "via": "1.1 google",
        "cf-ray": "1-FRA",
    },
}


@pytest.mark.parametrize("headers", TELLING.values(), ids=TELLING)
def test_what_tells_something_of_the_answer_is_shown(headers):
    assert shown(headers) == headers


@pytest.mark.parametrize(
    "name",
    [
        *("set-cookie", "set-cookie2", "cookie", "authorization", "proxy-authorization", "www-authenticate"),
        *("x-api-key", "api-key", "x-amz-security-token", "x-session-token", "x-client-secret", "authentication-info"),
        *("content-type", "content-encoding", "transfer-encoding", "connection", "access-control-allow-origin", "vary"),
        *("strict-transport-security", "alt-svc", "nel", "date", "x-content-type-options", "n" * 81),
    ],
)
def test_cookies_credentials_and_what_serves_the_transfer_are_not_shown(name):
    assert shown({name: "a", "x-other": "b"}) == {"x-other": "b"}


def test_what_the_request_has_sent_is_not_shown_save_an_id_and_what_is_the_gateways():
    echo = {"user-agent": "a", "x-tenant": "b", "x-request-id": "mine", "x-portkey-trace-id": "t"}

    assert shown(echo, *echo) == {"x-portkey-trace-id": "t", "x-request-id": "mine"}


def test_a_key_in_a_value_is_hidden_and_one_in_a_name_is_not_shown():
    assert shown({"x-said": f"no {KEY}!", f"x-{KEY}": "1"}) == {"x-said": "no ***!"}


def test_at_most_64_headers_are_shown_the_gateways_before_others():
    many = {f"x-{number}": "a" for number in range(100)}

    found = shown({**many, "x-portkey-trace-id": "t"})

    assert list(found) == ["x-portkey-trace-id", *list(many)[:63]]


def test_a_long_value_is_cut_without_a_piece_of_a_key_at_its_end():
    found = shown({"x-long": "a" * 1_001, "x-key": "b" * 995 + KEY})

    assert found == {"x-long": "a" * 1_000 + "...", "x-key": "b" * 995 + "***"}


@pytest.mark.parametrize(
    ("headers", "request_id"),
    [
        pytest.param({"x-request-id": "req_1", "cf-ray": "r"}, "req_1", id="openai"),
        pytest.param({"request-id": "req_1", "x-request-id": "of a proxy", "cf-ray": "r"}, "req_1", id="anthropic"),
        pytest.param({"apim-request-id": "a", "x-request-id": "b"}, "a", id="azure-openai"),
        pytest.param({"mistral-correlation-id": "m", "x-kong-request-id": "m"}, "m", id="mistral-ai"),
        pytest.param({"x-amzn-requestid": "b"}, "b", id="bedrock"),
        pytest.param({"x-ds-trace-id": "d"}, "d", id="deepseek"),
        pytest.param({"x-debug-trace-id": "c"}, "c", id="cohere"),
        pytest.param({"cf-ray": "r"}, "r", id="openrouter"),
        pytest.param({"server-timing": "gfet4t7; dur=500", "x-request-id": ""}, None, id="google"),
        pytest.param({"x-request-id": "a\u2028b" + "c" * 100}, "a b" + "c" * 77, id="long, and of two lines"),
    ],
)
def test_the_id_of_a_request_is_that_which_the_provider_asks_for(headers, request_id):
    assert find_request_id(headers) == request_id


@pytest.mark.parametrize(("headers", "trace_id"), [({"x-portkey-trace-id": "t"}, "t"), ({}, None)])
def test_the_trace_id_is_that_of_portkeys_logs(headers, trace_id):
    assert find_trace_id(headers) == trace_id
