"""Upstreams that hold a native request to their provider's rules, and refuse it with that provider's messages.

Each module has `faults(body, ...)`, which yields what is wrong with a native request. The words are the provider's own
where they are known; the rest is marked with "(our words)".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from tests_integ.record.providers import (
    ANTHROPIC,
    BEDROCK,
    COHERE,
    DEEPSEEK,
    FIREWORKS,
    GOOGLE,
    GROQ,
    MISTRAL,
    OLLAMA,
    OPENAI,
    OPENROUTER,
    PERPLEXITY,
    VERTEX,
    VERTEX_CLAUDE,
    Provider,
)
from tests_integ.upstream import Reply, Request, Script

from . import anthropic, bedrock, cohere, gemini, mistral, openai

Faults = Callable[[Any], Iterator[str]]

FAULTS: dict[Provider, Faults] = {
    OPENAI: openai.faults,
    ANTHROPIC: anthropic.faults,
    VERTEX_CLAUDE: anthropic.faults,
    GOOGLE: gemini.faults,
    VERTEX: gemini.faults,
    BEDROCK: bedrock.faults,
    MISTRAL: mistral.faults,
    COHERE: cohere.faults,
    DEEPSEEK: openai.deepseek_faults,
    GROQ: openai.groq_faults,
    OPENROUTER: openai.openrouter_faults,
    OLLAMA: openai.ollama_faults,
    FIREWORKS: openai.fireworks_faults,
    PERPLEXITY: openai.perplexity_faults,
}
_KINDS = {GOOGLE: "INVALID_ARGUMENT", VERTEX: "INVALID_ARGUMENT", BEDROCK: "ValidationException"}


def rules(provider: Provider, said: Sequence[Sequence[dict[str, Any]]], signed: Sequence[str]) -> Faults:
    """Return the rules of a provider that knows the earlier output of its model.

    Args:
        provider: Who refuses.
        said: The thinking blocks of each message of Claude.
        signed: The signatures that Gemini has given.
    """
    if provider is BEDROCK:
        return partial(bedrock.faults, said=said)
    if provider in (ANTHROPIC, VERTEX_CLAUDE):
        return partial(anthropic.faults, said=said)
    if provider in (GOOGLE, VERTEX):
        return partial(gemini.faults, signed=signed)
    return FAULTS[provider]


def enforcing(provider: Provider, script: Script, faults: Faults | None = None) -> Script:
    """Return a script that answers as `script` does where a request has no fault, and otherwise 400.

    Args:
        provider: Who refuses.
        script: Answers a good request.
        faults: The rules, where they are not those of `FAULTS`.
    """
    find = faults or FAULTS[provider]

    def enforced(request: Request) -> Reply:
        fault = next(find(request.json), None)
        if fault is None:
            return script(request)
        return provider.stream_error(400, fault, _KINDS.get(provider, "invalid_request_error"))

    return enforced
