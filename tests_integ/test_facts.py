"""What providers say of a request in headers of their own, through the real gateway: in facts, and in errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from strands_portkey import PortkeyAPIError, PortkeyModel, PortkeyThrottledError, ResponseMetadata
from tests_integ.gateway import Gateway
from tests_integ.record import providers as p
from tests_integ.upstream import Reply, Upstream
from tests_integ.wires.said import Counts, text

KEY = "sk-fat-cat-0123456789"
COOKIES = {"set-cookie": "__cf_bm=of-the-provider; HttpOnly", "x-echo": f"you sent Bearer {KEY}"}


@dataclass(frozen=True)
class Headers:
    """What a provider sends.

    Attributes:
        provider: Which.
        request_id: The id of the request, which is in one of the headers.
        told: Headers that tell something.
        untold: Headers for browsers and for the transfer.
    """

    provider: p.Provider
    request_id: str | None
    told: dict[str, str]
    untold: dict[str, str]


# As their references and dumps of their answers have them.
ALL = (
    Headers(
        p.OPENAI,
        "req_8f5c",
        {
            "x-request-id": "req_8f5c",
            "openai-organization": "org-1",
            "openai-processing-ms": "320",
            "openai-version": "2020-10-01",
            "x-ratelimit-limit-requests": "10000",
            "x-ratelimit-limit-tokens": "30000000",
            "x-ratelimit-remaining-requests": "9999",
            "x-ratelimit-remaining-tokens": "29999980",
            "x-ratelimit-reset-requests": "6ms",
            "x-ratelimit-reset-tokens": "0s",
            "cf-ray": "8f5c2d-FRA",
        },
        {"alt-svc": 'h3=":443"; ma=86400', "strict-transport-security": "max-age=31536000"},
    ),
    Headers(
        p.ANTHROPIC,
        "req_011C",
        {
            "request-id": "req_011C",
            "anthropic-organization-id": "5b1e",
            "anthropic-ratelimit-requests-limit": "4000",
            "anthropic-ratelimit-requests-remaining": "3999",
            "anthropic-ratelimit-requests-reset": "2026-01-27T12:00:00Z",
            "anthropic-ratelimit-input-tokens-limit": "2000000",
            "anthropic-ratelimit-input-tokens-remaining": "1998000",
            "anthropic-ratelimit-input-tokens-reset": "2026-01-27T12:00:00Z",
            "anthropic-ratelimit-output-tokens-remaining": "400000",
            "cf-ray": "8f5c2d-FRA",
        },
        {"strict-transport-security": "max-age=31536000; includeSubDomains; preload"},
    ),
    Headers(
        p.GROQ,
        "req_01jq",
        {
            "x-request-id": "req_01jq",
            "x-groq-region": "fra",
            "x-ratelimit-limit-requests": "14400",
            "x-ratelimit-limit-tokens": "18000",
            "x-ratelimit-remaining-requests": "14399",
            "x-ratelimit-remaining-tokens": "17997",
            "x-ratelimit-reset-requests": "2m59.56s",
            "x-ratelimit-reset-tokens": "7.66s",
        },
        {"vary": "Origin"},
    ),
    Headers(
        p.AZURE,
        "1249216d-0e54",
        {
            "apim-request-id": "1249216d-0e54",
            "x-request-id": "9a705e27-2f04",
            "azureml-model-session": "d089-20240815073451",
            "x-ms-client-request-id": "1249216d-0e54",
            "x-ms-rai-invoked": "true",
            "x-ms-region": "East US",
            "x-ratelimit-remaining-requests": "99",
            "x-ratelimit-remaining-tokens": "99000",
        },
        {"x-content-type-options": "nosniff", "access-control-allow-origin": "*"},
    ),
    Headers(
        p.MISTRAL,
        "019c6f45-6523",
        {
            "mistral-correlation-id": "019c6f45-6523",
            "x-kong-request-id": "019c6f45-6523",
            "x-envoy-upstream-service-time": "10229",
            "x-ratelimit-limit-req-minute": "60",
            "x-ratelimit-limit-tokens-minute": "50000",
            "x-ratelimit-remaining-req-minute": "59",
            "x-ratelimit-remaining-tokens-minute": "47196",
            "x-ratelimit-tokens-query-cost": "2804",
        },
        {"access-control-allow-origin": "*"},
    ),
    Headers(
        p.GOOGLE,
        None,
        {"server-timing": "gfet4t7; dur=512", "x-gemini-service-tier": "standard"},
        {"x-frame-options": "SAMEORIGIN", "x-xss-protection": "0", "vary": "Referer"},
    ),
    Headers(
        p.BEDROCK,
        "a58a7c07-00d1",
        {
            "x-amzn-requestid": "a58a7c07-00d1",
            "x-amzn-bedrock-input-token-count": "9",
            "x-amzn-bedrock-invocation-latency": "889",
        },
        {},
    ),
)
each_provider = pytest.mark.parametrize("headers", ALL, ids=[each.provider.folder for each in ALL])


def model_of(gateway: Gateway, upstream: Upstream, provider: p.Provider, told: list[ResponseMetadata]) -> PortkeyModel:
    client_args: dict[str, Any] = {
        **provider.headers,
        "base_url": gateway.base_url,
        "provider": provider.slug,
        "custom_host": f"{upstream.url}{provider.path}",
        "Authorization": KEY,
        "max_retries": 0,
    }
    return PortkeyModel(client_args, model_id=provider.model, on_response=told.append)


def with_headers(reply: Reply, headers: Headers) -> Reply:
    return Reply(reply.status, {**reply.headers, **COOKIES, **headers.untold, **headers.told}, reply.pieces)


def check(shown: dict[str, str], headers: Headers) -> None:
    """Check that all is shown that tells something, and no cookie, key or rest."""
    assert headers.told.items() <= shown.items()
    assert shown["x-echo"] in ("you sent Bearer ***", "you sent ***")
    assert shown.keys().isdisjoint({*headers.untold, "set-cookie", "content-type", "transfer-encoding"})


@each_provider
async def test_rate_limits_and_the_id_of_the_request_are_among_the_facts_of_an_answer(
    gateway: Gateway, upstream: Upstream, headers: Headers
) -> None:
    provider = headers.provider
    whole = provider.stream([text("Hel", "lo")], provider.reasons["end"], Counts(fresh=10, output=5))
    upstream.reply(with_headers(whole, headers))
    told: list[ResponseMetadata] = []
    model = model_of(gateway, upstream, provider, told)

    async for _ in model.stream([{"role": "user", "content": [{"text": "Hi"}]}]):
        pass

    [facts] = told
    assert (facts.status_code, facts.request_id) == (200, headers.request_id)
    check(dict(facts.headers), headers)
    assert facts.usage == {"inputTokens": 10, "outputTokens": 5, "totalTokens": 15}
    assert facts.response_id
    assert facts.latency_ms >= (facts.time_to_first_byte_ms or 0) > 0


@each_provider
@pytest.mark.parametrize(("status", "kind"), [(400, "invalid_request_error"), (429, "rate_limit_error")])
async def test_rate_limits_and_the_id_of_the_request_are_in_an_error(
    gateway: Gateway, upstream: Upstream, headers: Headers, status: int, kind: str
) -> None:
    provider = headers.provider
    upstream.reply(with_headers(provider.stream_error(status, "No more", kind), headers))
    told: list[ResponseMetadata] = []
    model = model_of(gateway, upstream, provider, told)

    with pytest.raises(PortkeyAPIError) as caught:
        async for _ in model.stream([{"role": "user", "content": [{"text": "Hi"}]}]):
            pass

    error = caught.value
    assert isinstance(error, PortkeyThrottledError) == (status == 429)
    assert error.request_id == headers.request_id
    assert str(error).endswith(f"\nRequest id: {headers.request_id}") == (headers.request_id is not None)
    check(dict(error.headers), headers)
    assert [(facts.status_code, facts.request_id, dict(facts.headers)) for facts in told] == [
        (status, error.request_id, dict(error.headers))
    ]
    assert KEY not in f"{error!r}{error}{error.headers}{told!r}"
