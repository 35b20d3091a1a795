"""How upstreams say that a conversation is too long for the model, and what only sounds like that.

A conversation manager answers an overflow by taking messages away for good, so whole phrases are looked for, never
single words, and what a shorter conversation would not mend is no overflow, whatever phrase it contains.

The sources: "strands" is strands-agents 1.62 (`models/*.py`), "litellm" its `exception_mapping_utils.py`, "pi" the
`overflow.ts` of earendil-works/pi, "pydantic-ai" its issue 4060. "seen" is wording that tests and logs in public
repositories quote as an upstream's; where no source stands, what is named says it itself. Left out on purpose, since
other faults are worded so: "string too long", "expected maxLength", "length limit exceeded", "Input text length should
not exceed" (litellm: fields, and stop sequences), "token limit exceeded", "exceeds the limit of N" (pi: quotas),
"slot", "kv cache" and a bare "context" (strands, llama.cpp), a bare "context length" (strands). Nor is each 413 an
overflow, as it is for opencode: a proxy with a limit of 1 MB refuses a single image, however short the conversation.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

OVERFLOW_CODES: Final = frozenset(
    {
        "context_length_exceeded",  # OpenAI, Azure, Groq; strands, litellm
        "3051",  # Mistral
        "context_window_exceeded",  # proxies
        "model_context_window_exceeded",  # Z.AI; pi
        "exceed_context_size_error",  # llama.cpp, as type
        "contextwindowexceedederror",  # the proxy of litellm, as type
        "request_too_large",  # Anthropic and Groq, with 413: the bytes are too many, as those of images; pi
        "tokens_limit_reached",  # GitHub Models, with 413
    }
)
"""Codes and types, in lower case, that are an overflow whatever the message says."""

CONTEXT_OVERFLOW_PHRASES: Final = (
    # OpenAI, Azure, Bedrock, OpenRouter, Together, Fireworks, SGLang, Mistral; strands, litellm, pi
    r"\b(?:maximum|max|model.?s) (?:supported |allowed )?context (?:length|limit)\b",
    # OpenAI, Ollama, LM Studio, llama.cpp, Cloudflare, Anthropic (`max_tokens` included); strands, litellm, pi
    (
        r"\b(?:exceed(?:s|ed)?|longer than|greater than) (?:(?:the|this|your|available|model|model.s|max) ){0,4}"
        r"context (?:length|limit|size|window)\b"
    ),
    r"\bexceeds the available context\b",  # Ollama, llama.cpp; strands
    # A code inside a message, OpenAI, Z.AI; "context window exceeds limit", MiniMax; llama.cpp; strands, pi
    r"\b(?:model_)?context[ _](?:length|size|window)[ _](?:(?:is|was|has been)[ _])?exceed(?:s|ed)\b",
    r"\bexceed_context_size_error\b|\bContextWindowExceededError\b",  # llama.cpp; the proxy of litellm
    r"\bcontext length (?:is|of) only [\d,]{1,12} tokens",  # vLLM, LM Studio; seen
    r"\btokens exceed the configured limit\b",  # OpenAI's newer models; litellm
    r"^(?!.*max_\w{0,40}tokens).*exceed(s|ed)?( customer)? model maximum",  # OpenAI, Bedrock; strands
    r"\btoo many total text bytes\b|\bexceeds the max_model_len\b",  # Databricks, vLLM; strands
    r"^request too large for ",  # Groq: larger than what is allowed in any minute
    r"\brequest body too large for .{0,80}max size: [\d,]{1,12} tokens",  # GitHub Models
    r"\bprompt is too long\b",  # Anthropic, Bedrock, Fireworks; strands, litellm, pi, pydantic-ai
    # Bedrock, Anthropic, Replicate; strands, litellm. Not "Text input is too long", and no field.
    r"(?:^|[^\w\s'\"`] ?|\b(?:the|your) )input is too long\b(?! for (?:the )?(?:field|parameter)\b)",
    r"\binput token count .{0,200}exceeds the maximum number of tokens",  # Gemini; strands, litellm, pi
    r"\binput token count is [\d,]{1,12} but (?:the )?model only supports up to\b",  # Gemini on Vertex; seen
    r"\brequest payload size exceeds the limit\b",  # Gemini: the bytes are too many; litellm
    r"\brequest exceeds the maximum (?:size|allowed number of bytes)\.?$",  # Anthropic, with 413: likewise; pi
    r"\bnumber of input tokens exceeds maximum length\b|\binput tokens exceeded:",  # Amazon Nova; seen
    # Cohere, AI21, Amazon Titan ("Too many input tokens"); not Bedrock's throttling, which says when; strands, litellm
    r"^(?=(.*(?:please wait| per )|))\1.*too many (?:input )?tokens",
    r"\bmaximum prompt length is\b",  # xAI; pi
    r"\bprompt token count .{0,40}exceeds the limit of\b",  # GitHub Copilot; pi
    r"`?inputs`? tokens \+ `?max_new_tokens`? must be\b",  # Text Generation Inference, Together; litellm
    r"`inputs` must have less than [\d,]{1,12} tokens",  # Text Generation Inference
    # vLLM. Its encoder's prompt is an image or a sound, and another conversation would not make it shorter.
    r"(?<!encoder )\bprompt .{0,40}is longer than the maximum model length\b",
    r"\bmax_tokens must be at least 1, got -(?!1\b)\d",  # vLLM, NVIDIA: what is left by a prompt over the limit
    r"\bsum of prompt length .{0,60}should not exceed max_num_tokens\b",  # TensorRT-LLM; seen
    r"\breduce the length of the (?:input )?(?:messages|prompt)\b",  # OpenAI, Groq, vLLM, DeepSeek; pi
    r"\bcurrent length is [\d,]{1,12} while limit is\b",  # Cerebras; litellm
    # Poolside, GLM, DeepInfra, Doubao; pi, seen
    r"\b(?:input|prompt) length .{0,40}exceeds (?:the )?maximum (?:(?:allowed )?input )?length\b",
    r"\bmaximum input length is [\d,]{1,12} tokens",  # litellm
    r"\brange of input length should be\b",  # Qwen; pi
    r"\btotal length of all messages is too long\b",  # Perplexity; a pull request of litellm
    r"\bexceeded model token limit\b|\binput token length too long\b",  # Kimi, Moonshot; pi
    r"\btokens in request more than max tokens allowed\b|\bprompt exceeds max length$",  # Z.AI 1210, 1261; seen
    r"\bprompt has [\d,]{1,12} tokens?, but the configured context size is\b",  # DS4; pi
    r"\bnumber of input tokens [\d,]{1,12} cannot exceed the total tokens limit\b",  # watsonx; seen
    r"\btokens of image and text exceed max message tokens\b",  # Doubao; seen
    r"\bprompt tokens too long\b",  # Baidu; seen
)
"""How upstreams say that the conversation is too long, as regular expressions, in any case.

These, what follows and the hints take a time that grows with the text, not with its square. What may be of any length
is sought from the beginning alone, and at most once: ``^(?=(.*?a))\\1.*b`` finds an ``a`` before a ``b`` and, since
what a lookahead has matched stays, tries no second ``a``. All else between two words is bounded: ``.{0,40}``.
"""

# What waiting, money or another setting would mend, but no shorter conversation. Groq's minute is never long enough.
_LOOK_ALIKE: Final = re.compile(
    r"^(?!request too large for ).*?(?:\b(?:tokens|requests|images|characters)(?: per |/)(?:min|hour|day|sec|month)"
    r"|\b(?:[io]?tpm|tpd|rpm|rpd)\b|\bquota\b|\brate.?limit)"
    # A setting, said at the beginning, beside nothing that is sent.
    r"|^(?!.*(?:input|prompt|messages|in request|max message|got -)).{0,40}"
    r"\b(?:(?:max[ _]?\w{0,40}|budget)[ _]?tokens|maxOutputTokens|num_ctx)",
    re.IGNORECASE,
)
# A length of the answer, with the limit of both: over it by itself, so that no conversation would be short enough.
_OUTPUT: Final = re.compile(
    r"context length (?:is|of) (?P<limit1>\d{1,12}) tokens.{0,160}?(?P<output1>\d{1,12}) (?:tokens )?"
    r"(?:in|for) the (?:completion|output)"
    r"|context length is (?P<limit2>\d{1,12}) tokens.{0,40}requested (?P<output2>\d{1,12}) output tokens"
    r"|is too large: (?P<output3>\d{1,12})\. .{0,40}context length is (?P<limit3>\d{1,12})"
    r"|exceed context limit: \d{1,12} \+ (?P<output4>\d{1,12}) > (?P<limit4>\d{1,12})"
    r"|must be <= (?P<limit5>\d{1,12})\. Given: \d{1,12} `?inputs`? tokens and (?P<output5>\d{1,12}) ",
    re.IGNORECASE,
)


def is_overflow(codes: set[str], message: str, phrases: tuple[str, ...] = ()) -> bool:
    """Whether an error says that the conversation is too long, also in phrases of the user's own."""
    if any(pattern.search(message) for pattern in patterns(phrases)):
        return True
    if _asks_for_all(message):
        return False
    if not codes.isdisjoint(OVERFLOW_CODES):
        return True
    is_worded = any(pattern.search(message) for pattern in patterns(CONTEXT_OVERFLOW_PHRASES))
    return is_worded and not _LOOK_ALIKE.search(message)


@lru_cache
def patterns(phrases: tuple[str, ...]) -> list[re.Pattern[str]]:
    """Return the phrases as compiled patterns: compiled for the first error, not on import, and kept."""
    return [re.compile(phrase, re.IGNORECASE) for phrase in phrases]


def _asks_for_all(message: str) -> bool:
    """Whether the answer alone may be as long as the model's context, or longer."""
    found = _OUTPUT.search(message)
    if not found:
        return False
    numbers = {name[:-1]: int(number) for name, number in found.groupdict().items() if number}
    return numbers["output"] >= numbers["limit"]
