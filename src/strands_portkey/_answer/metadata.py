"""Metadata of an answer: its status, and the gateway's headers and results."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from pydantic import JsonValue
from strands.types.event_loop import Metrics, Usage
from typing_extensions import override

from strands_portkey._answer.counts import Counts
from strands_portkey._answer.headers import find_request_id

_NUMBER: Final = re.compile(r"-?[0-9]{1,9}")


@dataclass(frozen=True)
class ResponseMetadata:
    """What is known about one request and its answer. What no part of the answer has said is None.

    Its ``repr`` shows what is known, without `headers`. No part of it holds a key that the request has sent.

    See https://portkey.ai/docs/api-reference/inference-api/response-schema.
    """

    status_code: int | None
    """HTTP status; 246 if a guardrail failed without denying. None if no answer came: the gateway was not reached, was
    too slow or hung up, or the caller cancelled first.
    """
    trace_id: str | None = None
    """Id in Portkey's logs. The open-source gateway returns the one that was sent."""
    provider: str | None = None
    """The provider that answered."""
    model: str | None = None
    """The model that answered, by the name in the answer."""
    cache_status: str | None = None
    """``HIT``, ``SEMANTIC HIT``, ``MISS``, ``DISABLED``, ``REFRESH`` and so on."""
    retry_attempt_count: int | None = None
    """Number of retries by the gateway; -1 if all of them failed."""
    last_used_option_index: str | None = None
    """Which target of the config answered, such as ``config.targets[1]``."""
    hook_results: Mapping[str, JsonValue] = field(default_factory=dict[str, JsonValue])
    """Results of guardrails, as the gateway sent them."""
    api: str = "chat"
    """The protocol that it was sent with: ``chat``, ``responses`` or ``messages``."""
    attempt: int = 1
    """Number of the request within the call: above 1 after a retry, or a change that an error has led to."""
    usage: Usage | None = None
    """Tokens of this request, as Strands counts them: ``inputTokens`` holds those of ``cacheReadInputTokens`` and
    ``cacheWriteInputTokens``, which are there if they are not 0. None if the provider reports none.
    """
    reasoning_tokens: int | None = None
    """Tokens of reasoning, which ``outputTokens`` holds as well, if the provider reports them."""
    cost: float | None = None
    """Cost of the answer in US dollars, if the provider reports it, as OpenRouter does."""
    response_id: str | None = None
    """Id of the answer, by its body. For some providers the gateway makes one up."""
    request_id: str | None = None
    """The provider's id of the request, by the answer's headers: what its support asks for."""
    latency_ms: int = 0
    """Milliseconds from the request to the end of its answer, or to the failure."""
    time_to_first_byte_ms: int | None = None
    """Milliseconds from the request to the first byte of a stream. None if the answer was none."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    """Headers of the answer, with names in lower case: the gateway's ``x-portkey-*`` and what it passes on of the
    provider's, such as rate limits and ids. At most 64, of 1,000 characters each. Left out are cookies and
    credentials, what only serves the transfer, and names that the request has sent. Empty if no answer came.
    """

    @override
    def __repr__(self) -> str:
        """Return what is known, without the headers."""
        shown = (name for name, each in self.__dataclass_fields__.items() if each.repr)
        known = {name: fact for name in shown if (fact := getattr(self, name)) not in (None, {})}
        return f"{type(self).__name__}({', '.join(f'{name}={fact!r}' for name, fact in known.items())})"


def response_metadata(
    status_code: int | None,
    headers: Mapping[str, str],
    *,
    model: str | None,
    response_id: str | None,
    hook_results: Mapping[str, JsonValue],
    counts: Counts | None,
    metrics: Metrics,
    api: str,
    attempt: int,
) -> ResponseMetadata:
    """Combine an answer's headers, as they are shown, with values from its body and the times that it took."""
    retries = headers.get("x-portkey-retry-attempt-count") or ""
    return ResponseMetadata(
        status_code=status_code,
        trace_id=headers.get("x-portkey-trace-id") or None,
        provider=headers.get("x-portkey-provider") or None,
        model=model,
        cache_status=headers.get("x-portkey-cache-status") or None,
        retry_attempt_count=int(retries) if _NUMBER.fullmatch(retries) else None,
        last_used_option_index=headers.get("x-portkey-last-used-option-index") or None,
        hook_results=hook_results,
        api=api,
        attempt=attempt,
        usage=counts.to_usage() if counts else None,
        reasoning_tokens=(counts.reasoning or None) if counts else None,
        cost=counts.cost if counts else None,
        response_id=response_id,
        request_id=find_request_id(headers),
        latency_ms=metrics["latencyMs"],
        time_to_first_byte_ms=metrics.get("timeToFirstByteMs"),
        headers=headers,
    )
