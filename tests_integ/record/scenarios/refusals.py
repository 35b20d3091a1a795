"""Upstreams that refuse: every status, with every provider's messages, as JSON, HTML, text and an empty body."""

from __future__ import annotations

from collections.abc import Iterator

from tests_integ.record import providers as p
from tests_integ.record.scenario import CUT, Failed, Scenario
from tests_integ.upstream import Reply, json_reply

HTML = b"<html><head><title>%b</title></head><body><center><h1>%b</h1></center></body></html>"
LIMIT = "This model's maximum context length is 131072 tokens. However, your messages resulted in 150000 tokens."
OVERFLOW: dict[p.Provider, tuple[str, str]] = {
    p.OPENAI: (LIMIT, "context_length_exceeded"),
    p.AZURE: (LIMIT, "context_length_exceeded"),
    p.ANTHROPIC: ("prompt is too long: 210000 tokens > 200000 maximum", "invalid_request_error"),
    p.VERTEX_CLAUDE: (
        "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000",
        "invalid_request_error",
    ),
    p.GOOGLE: (
        "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
        "INVALID_ARGUMENT",
    ),
    p.VERTEX: (
        "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
        "INVALID_ARGUMENT",
    ),
    p.BEDROCK: ("Input is too long for requested model.", "ValidationException"),
    p.COHERE: ("too many tokens: size limit exceeded by 1000 tokens. Try using shorter or fewer inputs.", ""),
    p.MISTRAL: ("Prompt contains 150000 tokens, too large for model with 131072 maximum context length", "3051"),
    p.DEEPSEEK: (LIMIT, "invalid_request_error"),
    p.GROQ: ("Please reduce the length of the messages or completion.", "context_length_exceeded"),
    p.OLLAMA: ("prompt too long; exceeded max context length by 12 tokens", "invalid_request_error"),
    p.OPENROUTER: (
        "This endpoint's maximum context length is 131072 tokens. However, you requested about 150000 tokens.",
        "",
    ),
    p.TOGETHER: (LIMIT, "context_length_exceeded"),
    p.FIREWORKS: (
        "The prompt is too long: 150000, model maximum context length: 131071",
        "invalid_request_error",
    ),
    p.XAI: ("This model's maximum prompt length is 131072 but the request contains 150000 tokens.", "invalid-argument"),
}
LIMITED: dict[p.Provider, tuple[str, str]] = {
    p.GOOGLE: ("Resource has been exhausted (e.g. check quota).", "RESOURCE_EXHAUSTED"),
    p.VERTEX: ("Resource has been exhausted (e.g. check quota).", "RESOURCE_EXHAUSTED"),
    p.BEDROCK: ("Too many requests, please wait before trying again.", "ThrottlingException"),
    p.ANTHROPIC: ("This request would exceed your rate limit.", "rate_limit_error"),
    p.VERTEX_CLAUDE: ("Quota exceeded for this model.", "rate_limit_error"),
}
RETRY = {"retry-after": "20"}


def _refusal(  # noqa: PLR0917 - a table reads best with its columns in order
    one: p.Provider,
    name: str,
    status: int,
    message: str,
    kind: str,
    failed: Failed,
    headers: dict[str, str] | None = None,
) -> Scenario:
    sent = (status, message, kind, headers)
    return Scenario(one, name, failed, [one.stream_error(*sent)], [one.error(*sent)])


def _reply(one: p.Provider, name: str, reply: Reply, failed: Failed) -> Scenario:
    return Scenario(one, name, failed, [reply], [reply])


def _everywhere() -> Iterator[Scenario]:
    for one, (message, kind) in OVERFLOW.items():
        failed = Failed("PortkeyContextOverflowError", 400, message_contains=message.replace('"', "")[:40])
        yield _refusal(one, "refused_400_context_overflow", 400, message, kind, failed)
    for one in p.ALL:
        message, kind = LIMITED.get(one, ("Rate limit reached.", "rate_limit_exceeded"))
        failed = Failed("PortkeyThrottledError", 429, retryable=True, message_contains=message)
        yield _refusal(one, "refused_429", 429, message, kind, failed, RETRY)


def _openai() -> Iterator[Scenario]:
    one = p.OPENAI
    for status, message, kind, retryable in (
        (400, "Invalid value for 'temperature'.", "invalid_value", False),
        (401, "Incorrect API key provided: key.", "invalid_api_key", False),
        (403, "Your project has no access to this model.", "model_not_found", False),
        (408, "Request timed out.", "timeout", True),
        (412, "Precondition failed.", "precondition_failed", False),
        (500, "The server had an error.", "server_error", True),
        (503, "Service unavailable.", "server_error", True),
    ):
        failed = Failed("PortkeyAPIError", status, retryable=retryable, message_contains=message)
        yield _refusal(one, f"refused_{status}", status, message, kind, failed)
    busy = "The engine is currently overloaded, please try again later."
    throttled = Failed("PortkeyThrottledError", 503, retryable=True, message_contains=busy)
    yield _refusal(one, "refused_503_overloaded", 503, busy, "service_unavailable", throttled)

    def html(status: int, title: bytes) -> Reply:
        return Reply(status, {"content-type": "text/html"}, [HTML % (title, title)])

    yield _reply(
        one,
        "refused_413_html",
        html(413, b"413 Request Entity Too Large"),
        Failed("PortkeyAPIError", 413, message_contains="413 Request Entity Too Large"),
    )
    yield _reply(
        one,
        "refused_502_html",
        html(502, b"502 Bad Gateway"),
        Failed("PortkeyAPIError", 502, retryable=True, message_contains="502 Bad Gateway"),
    )
    slow = Reply(429, {"content-type": "text/plain", **RETRY}, [b"Slow down."])
    yield _reply(
        one,
        "refused_429_text",
        slow,
        Failed("PortkeyThrottledError", 429, retryable=True, message_contains="Slow down."),
    )
    yield _reply(one, "refused_503_empty", Reply(503), Failed("PortkeyAPIError", 503, retryable=True))
    broken = Failed("PortkeyAPIError", 500, "gateway", retryable=True, message_contains="Something went wrong")
    nothing = Reply(429, {"content-type": "application/json", **RETRY})
    yield _reply(one, "refused_429_empty_json", nothing, broken)
    yield _reply(
        one,
        "refused_422_detail",
        json_reply(
            {"detail": [{"loc": ["body", "top_k"], "msg": "extra fields not permitted", "type": "value_error"}]}, 422
        ),
        Failed("PortkeyAPIError", 422, message_contains="extra fields not permitted"),
    )
    # The gateway looks for a message inside of the error, and finds none.
    yield _reply(
        one,
        "refused_400_error_is_text",
        json_reply({"error": "No such model."}, 400),
        Failed("PortkeyAPIError", 400, message_contains="openai error"),
    )
    yield _reply(
        one,
        "refused_400_vllm_context_overflow",
        json_reply({"object": "error", "message": LIMIT, "type": "BadRequestError", "param": None, "code": 400}, 400),
        Failed("PortkeyContextOverflowError", 400, message_contains="maximum context length"),
    )
    page = html(200, b"Maintenance")
    maintenance = Failed("PortkeyAPIError", origin=None, message_contains="Maintenance")
    yield _reply(one, "html_with_200", page, maintenance)
    yield Scenario(one, "empty_body", CUT, [Reply(200, {"content-type": "text/event-stream"})])
    yield Scenario(one, "no_content", CUT, [Reply(204)])
    yield Scenario(
        one,
        "gone_before_the_headers",
        Failed("PortkeyAPIError", 500, retryable=True, message_contains="fetch failed"),
        [Reply(None)],
    )


def _anthropic() -> Iterator[Scenario]:
    one = p.ANTHROPIC
    for status, message, kind, retryable in (
        (400, "max_tokens: Field required", "invalid_request_error", False),
        (408, "Request timed out.", "timeout_error", True),
        (500, "Internal server error", "api_error", True),
    ):
        failed = Failed("PortkeyAPIError", status, retryable=retryable, message_contains=message)
        yield _refusal(one, f"refused_{status}", status, message, kind, failed)
    message, kind = OVERFLOW[one]
    failed = Failed("PortkeyContextOverflowError", 413, message_contains=message)
    yield _refusal(one, "refused_413_context_overflow", 413, message, "request_too_large", failed)
    throttled = Failed("PortkeyThrottledError", 529, retryable=True, message_contains="Overloaded")
    yield _refusal(one, "refused_529", 529, "Overloaded", "overloaded_error", throttled)
    page = Reply(503, {"content-type": "text/html"}, [HTML % (b"503", b"503")])
    yield _reply(one, "refused_503_html", page, Failed("PortkeyAPIError", 503, retryable=True, message_contains="503"))
    yield _reply(one, "refused_500_empty", Reply(500), Failed("PortkeyAPIError", 500, retryable=True))


def _others() -> Iterator[Scenario]:
    for one, status, message, kind, failed in (
        (
            p.GOOGLE,
            503,
            "The model is overloaded. Please try again later.",
            "UNAVAILABLE",
            Failed("PortkeyThrottledError", 503, retryable=True, message_contains="overloaded"),
        ),
        (
            p.GOOGLE,
            400,
            "API key not valid. Please pass a valid API key.",
            "INVALID_ARGUMENT",
            Failed("PortkeyAPIError", 400, message_contains="API key not valid."),
        ),
        (
            p.GOOGLE,
            408,
            "Deadline expired.",
            "DEADLINE_EXCEEDED",
            Failed("PortkeyAPIError", 408, retryable=True, message_contains="Deadline expired."),
        ),
        (
            p.VERTEX,
            403,
            "Permission denied on resource project project.",
            "PERMISSION_DENIED",
            Failed("PortkeyAPIError", 403, message_contains="Permission denied"),
        ),
        (
            p.BEDROCK,
            403,
            "The security token included in the request is invalid.",
            "UnrecognizedClientException",
            Failed("PortkeyAPIError", 403, message_contains="security token"),
        ),
        (
            p.BEDROCK,
            503,
            "Bedrock is unable to process your request.",
            "ServiceUnavailableException",
            Failed("PortkeyAPIError", 503, retryable=True, message_contains="unable to process"),
        ),
        (
            p.COHERE,
            401,
            "invalid api token",
            "",
            Failed("PortkeyAPIError", 401, message_contains="invalid api token"),
        ),
        (
            p.DEEPSEEK,
            402,
            "Insufficient Balance",
            "unknown_error",
            Failed("PortkeyAPIError", 402, message_contains="Insufficient Balance"),
        ),
        (
            p.XAI,
            401,
            "Incorrect API key provided.",
            "unauthenticated",
            Failed("PortkeyAPIError", 401, message_contains="Incorrect API key provided."),
        ),
    ):
        yield _refusal(one, f"refused_{status}", status, message, kind, failed)
    # Errors in OpenAI's form instead of its own: the message that arrives is an object.
    nested = {
        "error": {"message": "Invalid tool schema.", "type": "invalid_request_error", "param": None, "code": None}
    }
    failed = Failed("PortkeyAPIError", 400, message_contains="Invalid tool schema.")
    yield _reply(p.XAI, "refused_400_message_is_object", json_reply(nested, 400), failed)

    message = "The response was filtered due to the prompt triggering Azure OpenAI's content management policy."
    blocked = {
        "error": {
            "message": message,
            "type": None,
            "param": "prompt",
            "code": "content_filter",
            "status": 400,
            "innererror": {
                "code": "ResponsibleAIPolicyViolation",
                "content_filter_result": {"jailbreak": {"filtered": True, "detected": True}},
            },
        }
    }
    failed = Failed("PortkeyAPIError", 400, message_contains="content management policy")
    yield _reply(p.AZURE, "blocked_prompt", json_reply(blocked, 400), failed)


SCENARIOS = (*_everywhere(), *_openai(), *_anthropic(), *_others())
