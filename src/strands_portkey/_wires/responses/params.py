"""The user's parameters as those of a response: chat's words are translated, the protocol's own pass as they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeGuard

from pydantic import JsonValue

from strands_portkey._errors import PortkeyConfigError
from strands_portkey._json import Body
from strands_portkey._settings.secrets import name_of

# The protocol's own words, as far as the gateway passes them on.
_OWN: Final = frozenset(
    {"include", "max_output_tokens", "max_tool_calls", "metadata", "modalities", "parallel_tool_calls", "prompt"}
    | {"prompt_cache_key", "reasoning", "safety_identifier", "service_tier", "stream", "stream_options", "temperature"}
    | {"text", "tool_choice", "tools", "top_logprobs", "top_p", "truncation", "user"}
)
# Own words that this package sets itself, with what to do instead.
_FIXED: Final = {
    "background": "the answer is waited for",
    "conversation": "the agent keeps the conversation",
    "input": "the agent keeps the conversation",
    "instructions": "use the agent's system_prompt",
    "previous_response_id": "the agent keeps the conversation",
}
_LENGTHS: Final = ("max_tokens", "max_completion_tokens")
_LOG_PROBABILITIES: Final = "message.output_text.logprobs"


def to_params(params: Mapping[str, JsonValue]) -> Body:
    """Return the parameters of a response; those that are None are left out.

    Raises:
        PortkeyConfigError: If a word has no counterpart, so that it would be dropped or refused.
    """
    given = {word: value for word, value in params.items() if value is not None}
    body: Body = {}
    for word in given.keys() - _OWN:
        _translate(word, given[word], body)
    for word in given.keys() & _OWN:
        value, known = given[word], body.get(word)
        body[word] = {**known, **value} if _is_object(known) and _is_object(value) else value
    if isinstance(tools := body.get("tools"), list):
        body["tools"] = [_flat(tool) for tool in tools]
    if "tool_choice" in body:
        body["tool_choice"] = _flat(body["tool_choice"])
    if _is_object(options := body.get("stream_options")):  # The usage, for which chat has to ask, comes anyway.
        body["stream_options"] = {name: value for name, value in options.items() if name != "include_usage"}
    return {word: value for word, value in body.items() if word != "stream_options" or value}


def _translate(word: str, value: JsonValue, body: Body) -> None:
    """Put a word of chat completions into the body."""
    if word in _LENGTHS:
        body["max_output_tokens"] = value
    elif word == "reasoning_effort":
        body["reasoning"] = {"effort": value}
    elif word in ("response_format", "verbosity"):
        text = body.setdefault("text", {})
        if _is_object(text):
            text |= {"verbosity": value} if word == "verbosity" else {"format": _flat(value)}
    elif word == "logprobs" and isinstance(value, bool):
        body |= {"include": [_LOG_PROBABILITIES]} if value else {}
    elif word not in ("n", "store") or value not in (1, False):
        hint = f"leave it out: {_FIXED[word]}" if word in _FIXED else "leave it out, or set api='chat'"
        if word == "store":
            hint = "leave it out: the answer is never stored, since the agent keeps the conversation"
        message = "params for api='responses' must have a counterpart in that protocol, and not be set by this package"
        raise PortkeyConfigError(f"{message}; got {name_of(word)}", hint=hint)


def _flat(value: JsonValue) -> JsonValue:
    """Return a tool, a choice of one or a format without the object in which chat completions wrap it."""
    if _is_object(value) and isinstance(kind := value.get("type"), str):
        inner = value.get(kind)
        if _is_object(inner):
            return {"type": kind, **inner}
    return value


def _is_object(value: JsonValue) -> TypeGuard[dict[str, JsonValue]]:
    return isinstance(value, dict)
