"""Metadata of an answer: its status, and the gateway's headers and results."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from pydantic import JsonValue

from strands_portkey._answer.counts import Counts

_NUMBER: Final = re.compile(r"-?[0-9]{1,9}")


@dataclass(frozen=True)
class ResponseMetadata:
    """What the gateway reports about one request.

    See https://portkey.ai/docs/api-reference/inference-api/response-schema.
    """

    status_code: int
    """HTTP status; 246 if a guardrail failed without denying."""
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
    reasoning_tokens: int | None = None
    """Tokens of reasoning, if the provider reports them."""
    cost: float | None = None
    """Cost of the answer in US dollars, if the provider reports it, as OpenRouter does."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    """All ``x-portkey-*`` headers of the answer, in lower case."""


def response_metadata(
    status_code: int,
    headers: Mapping[str, str],
    *,
    model: str | None = None,
    hook_results: Mapping[str, JsonValue] | None = None,
    counts: Counts | None = None,
    api: str = "chat",
    attempt: int = 1,
) -> ResponseMetadata:
    """Combine an answer's headers, whose names must be in lower case, with values from its body."""
    counts = counts or Counts()
    retries = headers.get("x-portkey-retry-attempt-count") or ""
    return ResponseMetadata(
        status_code=status_code,
        trace_id=headers.get("x-portkey-trace-id") or None,
        provider=headers.get("x-portkey-provider") or None,
        model=model,
        cache_status=headers.get("x-portkey-cache-status") or None,
        retry_attempt_count=int(retries) if _NUMBER.fullmatch(retries) else None,
        last_used_option_index=headers.get("x-portkey-last-used-option-index") or None,
        hook_results=hook_results or {},
        api=api,
        attempt=attempt,
        reasoning_tokens=counts.reasoning or None,
        cost=counts.cost,
        headers={name: value for name, value in headers.items() if name.startswith("x-portkey-")},
    )
