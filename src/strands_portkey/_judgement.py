"""The judgement of an error that the gateway passes on or makes itself.

Two steps, both pure: `read_complaint` reads what a body says, whatever its form; `api_error` decides what that
means. Status and code are judged first. Phrases are judged only where an upstream gives nothing better.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from typing import Final

from pydantic import JsonValue, TypeAdapter, ValidationError
from pydantic_core import to_json

from ._errors import (
    Origin,
    PortkeyAPIError,
    PortkeyContextOverflowError,
    PortkeyGuardrailError,
    PortkeyThrottledError,
)

# -- what an answer complains of ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Complaint:
    """What an error body says, whatever its form.

    Attributes:
        message: The words, without the gateway's prefix.
        code: Error code as text.
        type: Error type as text.
        param: The parameter that is at fault.
        provider: The provider that said it.
        by_gateway: Whether the form is one that only the gateway itself uses.
        hook_results: Guardrail verdicts beside the error.
    """

    message: str = ""
    code: str | None = None
    type: str | None = None
    param: str | None = None
    provider: str | None = None
    by_gateway: bool = False
    hook_results: dict[str, JsonValue] | None = None


_JSON: Final = TypeAdapter[JsonValue](JsonValue)
_WRAPPED: Final = re.compile(r"Invalid response received from ([\w.-]+): (.*)", re.DOTALL)
_TITLE: Final = re.compile(r"<title[^>]*>(.*?)</title>", re.DOTALL | re.IGNORECASE)
_TAG: Final = re.compile(r"<(style|script).*?</\1>|<[^>]*>", re.DOTALL | re.IGNORECASE)
_SHOWN: Final = 500  # Characters of an answer that a message quotes.
_WORD: Final = 80  # Characters of a code, a type or an id that a message quotes.
_KEPT: Final = 4000  # Characters of an answer that an error keeps.


def read_complaint(text: str) -> Complaint:
    """Read an error body: JSON of any known form, HTML or plain text."""
    try:
        return to_complaint(_JSON.validate_json(text))
    except ValidationError:
        return Complaint(_plain(text))


def to_complaint(said: JsonValue) -> Complaint:
    """Read the JSON of an error body, or of the ``error`` that a chunk carries."""
    if isinstance(said, dict):
        return _from_object(said)
    if isinstance(said, list) and said:  # Gemini answers a stream request with a list of errors.
        return to_complaint(said[0])
    if isinstance(said, str) and (wrapped := _WRAPPED.fullmatch(said)):
        complaint = read_complaint(wrapped[2])
        return replace(complaint, provider=complaint.provider or wrapped[1])
    return Complaint(_plain(said))


def _from_object(said: dict[str, JsonValue]) -> Complaint:
    by_gateway = said.get("status") == "failure"
    match said:
        case {"error": str() | dict() | list() as error} if error:
            inner = to_complaint(error)
            hook_results = said.get("hook_results")
            complaint = replace(
                inner,
                message=_unprefixed(inner.message, said.get("provider")),
                provider=_text(said.get("provider")) or inner.provider,
                by_gateway=by_gateway or inner.by_gateway,
                hook_results=hook_results if isinstance(hook_results, dict) else None,
            )
        case {"success": False, "data": dict() as reply}:  # The hosted control plane.
            complaint = Complaint(_plain(reply.get("message")), code=_text(reply.get("errorCode")), by_gateway=True)
        case {"promptFeedback": {"blockReason": reason}}:
            complaint = Complaint(f"the prompt was blocked: {reason}", code=_text(reason), type="content_filter")
        case {"message": "Provider returned error", "metadata": {"raw": str() as raw}}:  # OpenRouter
            inner = read_complaint(raw)
            complaint = replace(inner, code=inner.code or _text(said.get("code")))
        case {"message": message}:  # x-ai puts the whole error here.
            inner = to_complaint(message)
            complaint = replace(
                inner,
                code=_text(said.get("code")) or inner.code,
                type=_text(said.get("type")) or inner.type or (None if by_gateway else _text(said.get("status"))),
                param=_text(said.get("param")) or inner.param,
                by_gateway=by_gateway or inner.by_gateway,
            )
        case {"html-message": said_plainly} | {"detail": [{"msg": said_plainly}, *_]} | {"detail": said_plainly}:
            complaint = Complaint(_plain(said_plainly))
        case {"0": first}:  # Gemini's list, turned into an object by the gateway.
            complaint = to_complaint(first)
        case _:
            complaint = Complaint(_plain(said))
    return complaint


def _unprefixed(message: str, provider: JsonValue) -> str:
    """Return a message without the gateway's prefix, unless nothing of worth is left."""
    rest = message.removeprefix(f"{provider} error: ")
    return message if rest == "undefined" else rest


def _plain(said: JsonValue) -> str:
    """Return text for a person to read: HTML without its tags, what is no text as JSON, not too long."""
    if said is None:
        return ""
    text = (said if isinstance(said, str) else to_json(said, inf_nan_mode="constants").decode())[:_KEPT]
    if "<" in text:
        title = _TITLE.search(text)
        text = title[1] if title else _TAG.sub(" ", text)
    return " ".join(text.split())


def _text(said: JsonValue) -> str | None:
    return str(said) if isinstance(said, (str, int, float)) and said != "" else None


# -- judgement ---------------------------------------------------------------------------------------------------------

_LOWEST_ERROR: Final = 300  # Redirects are not followed.
_DENIED: Final = 446
_TIMEOUT: Final = 408
_UNAVAILABLE: Final = 503
_RETRYABLE: Final = frozenset({_TIMEOUT, 409, 425, 429, 500, 502, _UNAVAILABLE, 504, 529})
_THROTTLE_STATUS: Final = frozenset({429, 529})
_THROTTLE_CODE: Final = frozenset({"overloaded_error", "rate_limit_error", "rate_limit_exceeded"})
# Finish reasons that are errors, beside all that end in `_error` or begin with `malformed_` (Gemini, Bedrock).
_FAILURES: Final = frozenset(
    {
        "error",  # OpenRouter, Mistral, Cohere
        "timeout",  # Cohere
        "unexpected_tool_call",  # Gemini
        "insufficient_system_resource",  # DeepSeek
    }
)
# What an error inside a stream is called, where there is no status to tell that a later try may succeed.
_PASSING: Final = re.compile(
    "|".join(
        [*_THROTTLE_CODE, *_FAILURES, "api_error", "server_error", "stream_error", "timeout_error", "malformed_.*"]
    )
)
# Codes that a later try cannot mend although they come with 429.
_FINAL_CODE: Final = frozenset({"insufficient_quota"})
_OVERLOADED: Final = re.compile(
    r"\b(is|are) (currently |temporarily )?overloaded\b|^overloaded$|\bhigh demand\b|\brate limit|\btoo many requests",
    re.IGNORECASE,
)
_WORDED_STATUS: Final = frozenset({None, 400, 403, _UNAVAILABLE})  # Some proxies put their limits under these.
_TOO_LARGE: Final = 413
_NO_OVERFLOW: Final = frozenset({401, 403, 404, *_THROTTLE_STATUS})
_TIMED_OUT: Final = "Request exceeded the timeout sent in the request"

_OVERFLOW_CODE: Final = frozenset({"context_length_exceeded", "3051"})
CONTEXT_OVERFLOW_PHRASES: Final = (
    r"context length",  # OpenAI and all that copy it; Mistral; Ollama
    r"exceeds the context window|tokens exceed the configured limit",  # OpenAI's newer models
    r"^(?!.*max_\w*tokens).*exceed(s|ed)?( customer)? model maximum",  # OpenAI, Bedrock
    r"too many total text bytes|exceeds the max_model_len",  # Databricks, vLLM
    r"^request too large for ",  # Groq
    r"prompt is too long",  # Anthropic, Fireworks
    r"exceed context limit",  # Anthropic: input length and `max_tokens`
    r"input token count .*exceeds the maximum number of tokens",  # Gemini
    r"input is too long for requested model",  # Bedrock
    r"too many tokens(?!.*(please wait| per ))",  # Cohere; not Bedrock's throttling
    r"maximum prompt length is",  # xAI
    r"exceeds the available context size",  # llama.cpp
    r"`inputs` tokens \+ `max_new_tokens` must be",  # Text Generation Inference
)
"""How upstreams say that the conversation is too long, as regular expressions, in any case."""

# What to do, by a pattern for "<status> <origin> <message>".
_HINTS: Final[tuple[tuple[str, str], ...]] = (
    (
        r"x-portkey-config or x-portkey-provider header is required|x-portkey-provider needs to be passed",
        (
            "set client_args['provider'] (such as 'openai') or client_args['config'] (a mapping with targets). The"
            " open-source gateway reads neither '@slug/model' ids nor virtual keys"
        ),
    ),
    (
        r"Invalid config passed\. You need to pass a valid json",
        "the open-source gateway knows no config ids ('pc-...'); pass the config itself as a mapping",
    ),
    (r"Invalid provider passed", "provider names are lower case, such as 'openai'; '@slug' needs a hosted gateway"),
    (
        r"Invalid custom host",
        "the open-source gateway refuses private hosts unless its TRUSTED_CUSTOM_HOSTS variable names them",
    ),
    (
        r"^500 gateway Something went wrong$",
        (
            "the gateway could not translate the request or the provider's answer. If all streams end so, it was"
            " installed by plain `npx` or `npm install`: pin @hono/node-server to 1.13.5 and hono to 4.9.7, use the"
            " Docker image, or set stream=False"
        ),
    ),
    (r"\bfetch failed\b", "the gateway did not reach the provider: check its network, and custom_host if it is set"),
    (
        r"^408 gateway ",
        "the provider was slower than request_timeout, in client_args or the gateway's config, allows",
    ),
    (r"^431 ", "the request's headers are over the gateway's limit of about 16 KB; shorten config or metadata"),
    (r"^412 .*(budget|exhausted|Error Code: 04)", "the budget of the key is used up"),
    (
        r"^40[01] .*\b(key|token|bearer)\b.*\bundefined\b",
        "no provider key reached the gateway: set client_args['Authorization'], or 'api_key' in each target",
    ),
    (r"^401 .*expired", "the key has expired"),
    (r"^40[13] gateway ", "check client_args['api_key'], the key for the gateway"),
    (
        r"^40[13] provider ",
        "check the provider's key: client_args['Authorization'], or the one that the gateway keeps",
    ),
    (r"^404 ", "check client_args['base_url'] and model_id"),
    (r"^30", "the address redirects, and keys do not go along; set client_args['base_url'] to where it leads"),
    (
        r"reasoning_effort.*v1/responses|v1/responses.*reasoning_effort|function tools .*reasoning",
        (
            "this model takes no tools beside reasoning on /v1/chat/completions: set"
            " params={'reasoning_effort': 'none'}, or use another model"
        ),
    ),
)


def is_failure(finish_reason: str) -> bool:
    """Whether a finish reason, in any case, is an error in disguise."""
    reason = finish_reason.lower()
    return reason in _FAILURES or reason.endswith("_error") or reason.startswith("malformed_")


def response_error(
    status_code: int, headers: Mapping[str, str], body: str, *, overflow_phrases: Collection[str] = ()
) -> PortkeyAPIError:
    """Judge an answer, with headers in lower case, that is an error by its status or holds one in spite of it."""
    complaint = read_complaint(body)
    is_exception = headers.get("x-portkey-gateway-exception") == "true"
    if is_exception or not any(name.startswith("x-portkey-") for name in headers):
        complaint = replace(complaint, by_gateway=complaint.by_gateway or complaint.provider is None)
    elif complaint.provider is None:
        complaint = replace(complaint, provider=headers.get("x-portkey-provider"))
    return api_error(complaint, status_code=status_code, headers=headers, body=body, overflow_phrases=overflow_phrases)


def api_error(
    complaint: Complaint,
    *,
    status_code: int | None = None,
    headers: Mapping[str, str] | None = None,
    body: str = "",
    received: int = 0,
    started: bool = False,
    overflow_phrases: Collection[str] = (),
) -> PortkeyAPIError:
    """Judge a complaint, which has no status where it came inside a stream.

    Once the model's output has `started`, a retry is not for Strands to make. The `overflow_phrases` are regular
    expressions to look for beside `CONTEXT_OVERFLOW_PHRASES`.
    """
    headers = headers or {}
    is_error = status_code is None or status_code >= _LOWEST_ERROR
    status = status_code if status_code is not None and is_error else _meant_status(complaint.code)
    codes = {fact.lower() for fact in (complaint.code, complaint.type) if fact}
    by_gateway = complaint.by_gateway or status == _DENIED
    by_gateway |= status == _TIMEOUT and complaint.message.startswith(_TIMED_OUT)
    if status is None:
        retryable = any(_PASSING.fullmatch(code) for code in codes) or not (codes or complaint.message)
    else:
        retryable = status in _RETRYABLE and codes.isdisjoint(_FINAL_CODE)
    is_throttled = codes.isdisjoint(_FINAL_CODE) and _is_throttled(status, codes, complaint.message)
    retryable |= is_throttled

    kind: type[PortkeyAPIError] = PortkeyAPIError
    if status == _DENIED:
        kind = PortkeyGuardrailError
    elif is_throttled and not started:
        kind = PortkeyThrottledError
    elif status not in _NO_OVERFLOW and _is_overflow(codes, complaint.message, overflow_phrases):
        kind, retryable = PortkeyContextOverflowError, False

    origin: Origin = "gateway" if by_gateway else "provider"
    trace_id = headers.get("x-portkey-trace-id") or None
    who = "the gateway" if by_gateway else complaint.provider or "the provider"
    did = "answered with an error" if is_error else "answered, but not with what was asked for"
    said = complaint.message or "no message"
    heard = f"{status} {origin} {said}"
    facts = dict.fromkeys(str(fact)[:_WORD] for fact in (status_code, complaint.type, complaint.code) if fact)
    error = kind(
        f"{who} {did}"
        + (f" ({', '.join(facts)})" if facts else "")
        + f": {said if len(said) <= _SHOWN else said[:_SHOWN] + '...'}"
        + (f" [trace id {trace_id[:_WORD]}]" if trace_id else ""),
        origin=origin,
        status_code=status_code,
        code=complaint.code,
        type=complaint.type,
        param=complaint.param,
        provider=complaint.provider,
        trace_id=trace_id,
        body=body[:_KEPT],
        received=received,
        hint=next((hint for pattern, hint in _HINTS if re.search(pattern, heard, re.IGNORECASE)), None),
        retryable=retryable,
        retry_after=_retry_after(headers),
    )
    if isinstance(error, PortkeyGuardrailError):
        error.denial = complaint.message
        error.hook_results = complaint.hook_results
    return error


def _meant_status(code: str | None) -> int | None:
    """Return the status that an error without one meant: Gemini and OpenRouter put it into the code."""
    return int(code) if code and re.fullmatch("[45][0-9]{2}", code) else None


def _is_throttled(status: int | None, codes: set[str], message: str) -> bool:
    if status in _THROTTLE_STATUS or (status != _TOO_LARGE and not codes.isdisjoint(_THROTTLE_CODE)):
        return True
    is_worded = status in _WORDED_STATUS and codes.isdisjoint(_OVERFLOW_CODE | {"invalid_request_error"})
    return is_worded and bool(_OVERLOADED.search(message))


def _is_overflow(codes: set[str], message: str, phrases: Collection[str]) -> bool:
    if not codes.isdisjoint(_OVERFLOW_CODE):
        return True
    return any(re.search(phrase, message, re.IGNORECASE) for phrase in (*CONTEXT_OVERFLOW_PHRASES, *phrases))


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that the answer asks to wait; a date is counted from now."""
    for name, unit in (("retry-after-ms", 0.001), ("x-ms-retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(name)
        if value is None:
            continue
        try:
            seconds = float(value) * unit
        except ValueError:
            try:
                seconds = parsedate_to_datetime(value).timestamp() - time.time()
            except (ValueError, OverflowError, OSError):
                continue
        if math.isfinite(seconds):
            return max(0.0, seconds)
    return None
