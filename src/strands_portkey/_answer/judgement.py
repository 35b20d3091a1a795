"""The judgement of an error that the gateway passes on or makes itself.

Status and code are judged first. Phrases are judged only where an upstream gives nothing better. Before that each text
is cut to a bound, so that no regular expression sees a longer one.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Collection, Mapping
from dataclasses import replace
from email.utils import parsedate_to_datetime
from typing import Final

from strands_portkey._answer.error_details import Complaint, read_complaint
from strands_portkey._answer.overflow import OVERFLOW_CODES, is_overflow, patterns
from strands_portkey._answer.quoting import CONTROL, LONGEST_READ, LONGEST_WORD, Quoter
from strands_portkey._errors import (
    Origin,
    PortkeyAPIError,
    PortkeyContextOverflowError,
    PortkeyGuardrailError,
    PortkeyThrottledError,
)
from strands_portkey._settings.headers import PREFIX

_LOWEST_ERROR: Final = 300  # Redirects are not followed.
_DENIED: Final = 446
_TIMEOUT: Final = 408
_UNAVAILABLE: Final = 503
_RETRYABLE: Final = frozenset({_TIMEOUT, 409, 425, 429})
_LOWEST_SERVER_ERROR: Final = 500
_THROTTLE_STATUS: Final = frozenset({429, 529})
_THROTTLE_CODE: Final = frozenset(
    {"overloaded_error", "rate_limit_error", "rate_limit_exceeded", "server_is_overloaded", "too_many_requests"}
)
# Finish reasons that are errors, beside all that end in `_error` or begin with `malformed_` (Gemini, Bedrock).
_FAILURES: Final = frozenset(
    {
        "error",  # OpenRouter, Mistral, Cohere
        "timeout",  # Cohere
        "unexpected_tool_call",  # Gemini
        "insufficient_system_resource",  # DeepSeek
        "network_error",  # Z.AI
        "abort",  # vLLM, SGLang
        "aborted",
        "cancelled",
        "too_many_tool_calls",  # Gemini
        "missing_thought_signature",  # Gemini
    }
)
# What an error inside a stream is called, where there is no status to tell that a later try may succeed.
_PASSING: Final = re.compile(
    "|".join(
        [*_THROTTLE_CODE, *_FAILURES, "api_error", "server_error", "stream_error", "timeout_error", "malformed_.*"]
    )
)
# Codes that a later try cannot mend although they come with 429.
_FINAL_CODE: Final = frozenset({"credit_balance_exhausted", "insufficient_quota"})
# How the gateway says that it does not have a protocol for a provider.
_NO_PROTOCOL: Final = re.compile(r"\b(?:createModelResponse|messages|messagesCountTokens) is not supported by \S")
_OVERLOADED: Final = re.compile(
    r"\b(is|are) (currently |temporarily )?overloaded\b|^overloaded$|\bhigh demand\b|\brate limit|\btoo many requests",
    re.IGNORECASE,
)
# "Please try again in 1m6.57s" (OpenAI, Groq), "retry after 26 seconds" (Azure), "retry in 33.4s" (Gemini).
_TIME: Final = r"([0-9]{1,5}(?:\.[0-9]{1,12})?) ?(ms|days?|hours?|min(?:ute)?s?|sec(?:ond)?s?|[dhms])"
_TIMES: Final = re.compile(_TIME)
_WAIT: Final = re.compile(rf"\b(?:try again|retry) (?:in|after) (?:{_TIME} ?){{1,3}}(?!\w)", re.IGNORECASE | re.ASCII)
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_LONGEST_PERIOD: Final = 86_400.0  # Seconds; no limit is counted over more than a day.
_WORDED_STATUS: Final = frozenset({None, 400, 403, _UNAVAILABLE})  # Some proxies put their limits under these.
_TOO_LARGE: Final = 413
_NO_OVERFLOW: Final = frozenset({401, 402, 403, 404, *_THROTTLE_STATUS})
_TIMED_OUT: Final = "Request exceeded the timeout sent in the request"

# What to do, by a pattern for "<status> <origin> <message>".
_HINTS: Final = {
    r"x-portkey-config or x-portkey-provider header is required|x-portkey-provider needs to be passed": (
        "set client_args['provider'] (such as 'openai') or client_args['config'] (a mapping with targets). The"
        " open-source gateway reads neither '@slug/model' ids nor virtual keys"
    ),
    r"Invalid config passed\. You need to pass a valid json": (
        "the open-source gateway knows no config ids ('pc-...'); pass the config itself as a mapping"
    ),
    r"Invalid provider passed": "provider names are lower case, such as 'openai'; '@slug' needs a hosted gateway",
    r"Invalid custom host": (
        "the open-source gateway refuses private hosts unless its TRUSTED_CUSTOM_HOSTS variable names them"
    ),
    r"^500 gateway Something went wrong$": (
        "the gateway could not translate the request or the provider's answer. If all streams end so, it was"
        " installed by plain `npx` or `npm install`: pin @hono/node-server to 1.13.5 and hono to 4.9.7, use the"
        " Docker image, or set stream=False"
    ),
    _NO_PROTOCOL.pattern: (
        "this provider does not have the protocol that api asks for: set api='chat', or take it out of the targets"
    ),
    (
        r"^(?!.*gpt-6(?:-astra|\.1-sol))(?=(.*?v1/responses))\1.*reasoning_effort to .none"
        r"|^(?!.*gpt-6(?:-astra|\.1-sol))(?=(.*?reasoning_effort to .none))\2.*v1/responses"
    ): (
        "this model takes no tools beside reasoning on /v1/chat/completions: set api='responses', or"
        " params={'reasoning_effort': 'none'}"
    ),
    (
        r"\b(?:use|only supported in) /?v1/responses\b"
        r"|^(?=(.*?not (?:supported|a chat model|accessible)))\1.*chat/completions"
        r"|\bdoes not support the '/v1/chat/completions'"
        r"|^(?=(.*?function tools ))\2.*reasoning"
        r"|^(?=(.*?unsupported value.{0,40}reasoning.effort))\3.{0,40}does not support .none"
    ): (
        "this model, or its tools beside reasoning, are not on /v1/chat/completions: set api='responses', which needs"
        " the provider openai or azure-openai"
    ),
    r"\bfetch failed\b": "the gateway did not reach the provider: check its network, and custom_host if it is set",
    r"^408 gateway ": "the provider was slower than request_timeout, in client_args or the gateway's config, allows",
    r"^431 ": "the request's headers are over the gateway's limit of about 16 KB; shorten config or metadata",
    r"^412 .*(budget|exhausted|Error Code: 04)": "the budget of the key is used up",
    r"^40[01] (?=(.*?\b(?:key|token|bearer)\b))\1.*\bundefined\b": (
        "no provider key reached the gateway: set client_args['Authorization'], or 'api_key' in each target"
    ),
    r"^401 .*expired": "the key has expired",
    r"^40[13] gateway ": "check the key for the gateway: client_args['api_key'], or what client_args['auth'] adds",
    r"^40[13] provider ": "check the provider's key: client_args['Authorization'], or the one that the gateway keeps",
    r"^40[45] ": (
        "check client_args['base_url'] and model_id, and whether the server has the protocol that ResponseMetadata.api"
        " names; if not, set api='chat'"
    ),
    r"^30": "the address redirects, and keys do not go along; set client_args['base_url'] to where it leads",
}


def is_failure(finish_reason: str) -> bool:
    """Whether a finish reason, in any case, is an error in disguise."""
    reason = finish_reason.lower()
    return reason in _FAILURES or reason.endswith("_error") or reason.startswith(("malformed_", "error:"))


_SHOWN: Final = 500  # Characters of an answer that a message quotes.
_KEPT: Final = 4000  # Characters of a message that are judged, and of an answer that an error keeps.
_TITLE: Final = re.compile(r"<title[^<>]*>([^<]*)</title>", re.IGNORECASE)
_TAG: Final = re.compile(r"<(style|script)\b.*?(?:</\1>|\Z)|<[^<>]*>", re.DOTALL | re.IGNORECASE)


class Judge(Quoter):
    """Makes the errors of one call that quote what the other side said, without the keys that the call has sent."""

    def __init__(self, overflow_phrases: Collection[str] = ()) -> None:
        """Begin a call; `overflow_phrases` are regular expressions to look for beside `CONTEXT_OVERFLOW_PHRASES`."""
        super().__init__()
        self._overflow_phrases = tuple(overflow_phrases)
        self._status_code = 0
        self._headers: Mapping[str, str] = {}

    @classmethod
    def knowing(cls, headers: Mapping[str, str]) -> Judge:
        """Return a judge that has found the keys of headers and, since threads share it, is changed by nothing more."""
        judge = cls()
        judge.sent(headers)
        judge.find()
        return judge

    def for_call(self, overflow_phrases: Collection[str] = ()) -> Judge:
        """Return a judge for one call that knows the keys of this one: most headers are the same each time."""
        judge = Judge(overflow_phrases)
        judge.learn_from(self)
        return judge

    def answered(self, status_code: int, headers: Mapping[str, str]) -> None:
        """Remember what an answer, whose body is still to come, has said of itself."""
        self._status_code, self._headers = status_code, headers

    @property
    def provider(self) -> str | None:
        """The provider that answered, as the answer's headers name it."""
        return self._headers.get("x-portkey-provider")

    def answer_error(self, body: str) -> PortkeyAPIError:
        """Judge the body of the answer, which is an error by its status or in spite of it."""
        return self.response_error(self._status_code, self._headers, body)

    def response_error(self, status_code: int, headers: Mapping[str, str], body: str) -> PortkeyAPIError:
        """Judge an answer, with headers in lower case, that is an error by its status or holds one in spite of it."""
        # A number may hold the digits of a key: a body that is read whole is hidden when it has been read.
        beginning, is_whole = (body, True) if len(body) <= LONGEST_READ else self.begin(body, LONGEST_READ)
        complaint = read_complaint(beginning, is_whole=is_whole)
        is_exception = headers.get("x-portkey-gateway-exception") == "true"
        if is_exception or not any(name.startswith(PREFIX) for name in headers):
            complaint = replace(complaint, by_gateway=complaint.by_gateway or complaint.provider is None)
        elif complaint.provider is None:
            complaint = replace(complaint, provider=headers.get("x-portkey-provider"))
        return self.api_error(complaint, status_code=status_code, headers=headers, body=body)

    def api_error(
        self,
        complaint: Complaint,
        *,
        status_code: int | None = None,
        headers: Mapping[str, str] | None = None,
        body: str = "",
        received: int = 0,
        started: bool = False,
    ) -> PortkeyAPIError:
        """Judge a complaint, which has no status where it came inside a stream.

        Once the model's output has `started`, a retry is not for Strands to make.
        """
        headers = headers or {}
        complaint = self._bounded(complaint)
        is_error = status_code is None or status_code >= _LOWEST_ERROR
        status = status_code if status_code is not None and is_error else _meant_status(complaint.code)
        by_gateway = complaint.by_gateway or status == _DENIED
        by_gateway |= status == _TIMEOUT and complaint.message.startswith(_TIMED_OUT)
        kind, retryable = self._kind(status, complaint, started=started)

        origin: Origin = "gateway" if by_gateway else "provider"
        trace_id = self.quote(headers.get("x-portkey-trace-id", "")) or None
        who = "the gateway" if by_gateway else complaint.provider or "the provider"
        did = "answered with an error" if is_error else "answered, but not with what was asked for"
        said = complaint.message or "no message"
        facts = dict.fromkeys(str(fact) for fact in (status_code, complaint.type, complaint.code) if fact)
        error = kind(
            f"{who} {did}"
            + (f" ({', '.join(facts)})" if facts else "")
            + f": {self.quote(said, _SHOWN)}"
            + (f" [trace id {trace_id}]" if trace_id else ""),
            origin=origin,
            status_code=status_code,
            code=complaint.code,
            type=complaint.type,
            param=complaint.param,
            provider=complaint.provider,
            trace_id=trace_id,
            body=self.begin(body, _KEPT)[0],
            received=received,
            hint=_hint(f"{status} {origin} {said}"),
            retryable=retryable,
            retry_after=_retry_after(headers, said if retryable else ""),
        )
        if isinstance(error, PortkeyGuardrailError):
            error.denial = complaint.message
            error.hook_results = complaint.hook_results
        return error

    def _bounded(self, complaint: Complaint) -> Complaint:
        """Return a complaint fit to be judged and shown: without keys, HTML and line breaks, and not too long."""
        text = self.begin(complaint.message, _KEPT)[0]
        if "<" in text:
            title = _TITLE.search(text)
            text = title[1] if title else _TAG.sub(" ", text)
        return replace(
            complaint,
            message=" ".join(CONTROL.sub(" ", text).split()),
            code=self.quote(complaint.code or "") or None,
            type=self.quote(complaint.type or "") or None,
            param=self.quote(complaint.param or "") or None,
            provider=self.quote(complaint.provider or "") or None,
            hook_results=None if complaint.hook_results is None else self.hide_within(complaint.hook_results),
        )

    def _kind(self, status: int | None, complaint: Complaint, *, started: bool) -> tuple[type[PortkeyAPIError], bool]:
        """Return the class of an error, and whether a later try may succeed."""
        codes = {fact.lower() for fact in (complaint.code, complaint.type) if fact}
        if status is None:
            retryable = any(_PASSING.fullmatch(code) for code in codes) or not (codes or complaint.message)
        else:
            retryable = (status in _RETRYABLE or status >= _LOWEST_SERVER_ERROR) and codes.isdisjoint(_FINAL_CODE)
        is_throttled = codes.isdisjoint(_FINAL_CODE) and _is_throttled(status, codes, complaint.message)
        if _NO_PROTOCOL.search(complaint.message):
            return PortkeyAPIError, False
        if status == _DENIED:
            return PortkeyGuardrailError, False
        if is_throttled and not started:
            return PortkeyThrottledError, True
        if status not in _NO_OVERFLOW and is_overflow(codes, complaint.message, self._overflow_phrases):
            return PortkeyContextOverflowError, False
        return PortkeyAPIError, retryable or is_throttled


def _hint(judged: str) -> str | None:
    """Return what to do about an error, if any hint is for it."""
    for pattern, hint in zip(patterns(tuple(_HINTS)), _HINTS.values(), strict=True):
        if pattern.search(judged):
            return hint
    return None


def _meant_status(code: str | None) -> int | None:
    """Return the status that an error without one meant: Gemini and OpenRouter put it into the code."""
    return int(code) if code and re.fullmatch("[45][0-9]{2}", code) else None


def _is_throttled(status: int | None, codes: set[str], message: str) -> bool:
    if status in _THROTTLE_STATUS or (status != _TOO_LARGE and not codes.isdisjoint(_THROTTLE_CODE)):
        return True
    is_worded = status in _WORDED_STATUS and codes.isdisjoint(OVERFLOW_CODES | {"invalid_request_error"})
    return is_worded and bool(_OVERLOADED.search(message))


def _retry_after(headers: Mapping[str, str], message: str) -> float | None:
    """Return the seconds that the answer asks to wait, by a header or else its words; a date is counted from now."""
    for name, unit in (("retry-after-ms", 0.001), ("x-ms-retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(name, "")[:LONGEST_WORD]
        if not value:
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
    if wait := _WAIT.search(message):
        times = _TIMES.findall(wait[0].lower())
        seconds = sum(float(number) * _UNITS[unit if unit == "ms" else unit[0]] for number, unit in times)
        return seconds if seconds <= _LONGEST_PERIOD else None
    return None
