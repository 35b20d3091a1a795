"""The user's parameters as those of a response: chat's words are translated, the protocol's own pass as they are."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
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
    "store": "the agent keeps the conversation",
}
_NEEDLESS: Final = (("n", 1), ("store", False), ("logprobs", False))
_LENGTHS: Final = ("max_tokens", "max_completion_tokens")
_LOG_PROBABILITIES: Final = "message.output_text.logprobs"


def has_counterparts(params: Mapping[str, JsonValue]) -> bool:
    """Whether all parameters can be those of a response."""
    with suppress(PortkeyConfigError):
        to_params(params)
        return True
    return False


def passes_gateway(word: str) -> bool:
    """Whether the gateway passes a parameter on that it puts into a body itself, as it is."""
    return word in _OWN


def to_params(params: Mapping[str, JsonValue]) -> Body:
    """Return the parameters of a response; those that are None are left out.

    Raises:
        PortkeyConfigError: If a word has no counterpart, so that it would be dropped or refused.
    """
    given = {word: value for word, value in params.items() if value is not None}
    body: Body = {}
    for word, value in given.items():
        if word not in _OWN:
            for name, translated in _translated(word, value).items():
                body[name] = _combined(body.get(name), translated)
    for word, value in given.items():
        if word in _OWN:
            body[word] = _combined(body.get(word), value)
    if isinstance(tools := body.get("tools"), list):
        body["tools"] = [_flat_tool(tool) for tool in tools]
    if "tool_choice" in body:
        body["tool_choice"] = _flat_choice(body["tool_choice"])
    if _is_object(options := body.get("stream_options")):  # The usage, for which chat has to ask, comes anyway.
        body["stream_options"] = {name: value for name, value in options.items() if name != "include_usage"}
    return {word: value for word, value in body.items() if word != "stream_options" or value}


def _translated(word: str, value: JsonValue) -> Body:
    """Return a word of chat completions in the words of Responses."""
    if word in _LENGTHS:
        return {"max_output_tokens": value}
    if word == "reasoning_effort":
        return {"reasoning": {"effort": value}}
    if word == "verbosity":
        return {"text": {"verbosity": value}}
    if word == "response_format":
        return {"text": {"format": _flat(value)}}
    if word == "logprobs" and value is True:
        return {"include": [_LOG_PROBABILITIES]}
    if (word, value) in _NEEDLESS:
        return {}
    hint = f"leave it out: {_FIXED[word]}" if word in _FIXED else "leave it out, or set api='chat'"
    message = "params for api='responses' must have a counterpart in that protocol, and not be set by this package"
    raise PortkeyConfigError(f"{message}; got {name_of(word)}", hint=hint)


def _combined(known: JsonValue, latest: JsonValue) -> JsonValue:
    """Return a parameter that was given in several words; the latest take precedence."""
    if _is_object(known) and _is_object(latest):
        return known | latest
    if isinstance(known, list) and isinstance(latest, list):
        return [*latest, *(each for each in known if each not in latest)]
    return latest


def _flat(value: JsonValue) -> JsonValue:
    """Return a tool, a choice of one or a format without the object in which chat completions wrap it."""
    if _is_object(value) and isinstance(kind := value.get("type"), str):
        inner = value.get(kind)
        if _is_object(inner):
            return {"type": kind, **inner}
    return value


def _flat_tool(tool: JsonValue) -> JsonValue:
    """Return a tool; one in chat's form is not strict unless it says so, as there."""
    flat = _flat(tool)
    return {"strict": False, **flat} if flat != tool and _is_object(flat) and flat["type"] == "function" else flat


def _flat_choice(choice: JsonValue) -> JsonValue:
    flat = _flat(choice)
    if _is_object(flat) and isinstance(tools := flat.get("tools"), list):
        return {**flat, "tools": [_flat(tool) for tool in tools]}
    return flat


def _is_object(value: JsonValue) -> TypeGuard[dict[str, JsonValue]]:
    return isinstance(value, dict)
