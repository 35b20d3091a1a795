"""Parameters of a request, of which those in the words of chat completions are translated."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Final

from pydantic import JsonValue

from strands_portkey._errors import PortkeyConfigError
from strands_portkey._json import Body
from strands_portkey._request.anthropic import MAX_TOKENS, thinking_budget
from strands_portkey._request.tools import OPENAI_CHOICES

_THOUGHTS: Final = 16_384  # Tokens for thinking whose length Claude decides, so that a text can follow.
_OTHER_NAMES: Final = {"max_completion_tokens": "max_tokens", "stop": "stop_sequences"}
_CHOICES_OF_CHAT: Final = {word: kind for kind, word in OPENAI_CHOICES.items()}
_CHOICES_OF_CLAUDE: Final = ("auto", "any", "none", "tool")
# Words of chat completions that say what is so here in any case.
_IMPLIED: Final = frozenset({"stream_options"})
# Words of chat completions that this protocol has no counterpart for, and what there is instead.
_NO_COUNTERPART: Final = {
    **dict.fromkeys(
        (
            *("audio", "frequency_penalty", "function_call", "functions", "logit_bias", "logprobs", "modalities", "n"),
            *("prediction", "presence_penalty", "prompt_cache_key", "prompt_cache_retention", "safety_identifier"),
            *("seed", "store", "top_logprobs", "verbosity", "web_search_options"),
        ),
        "leave it out",
    ),
    "anthropic_version": "leave it out: the gateway sets it",
    "reasoning_effort": "set params={'thinking': ...}, or api='chat'",
    "response_format": "pass structured_output_model, whose schema a tool then carries",
}
# Words of this protocol that the open-source gateway drops.
_DROPPED: Final = frozenset(
    {"cache_control", "context_management", "inference_geo", "output_config", "output_format", "speed"}
)


def without_counterpart(given: Mapping[str, JsonValue]) -> list[str]:
    """Return the words of chat completions among parameters that this protocol cannot express."""
    return [
        name
        for name, value in given.items()
        if name in _NO_COUNTERPART and value is not None and (name, value) != ("response_format", {"type": "text"})
    ]


def to_params(given: Mapping[str, JsonValue]) -> Body:
    """Return the parameters of the body, without those for tools; words that nobody knows stay as they are.

    Raises:
        PortkeyConfigError: If a word of chat completions has no counterpart.
    """
    for name in without_counterpart(given):
        raise PortkeyConfigError(
            f"params must have counterparts in the protocol 'messages'; got {name!r}", hint=_NO_COUNTERPART[name]
        )
    params: Body = {}
    for name, value in given.items():
        if value is None or name in _IMPLIED or name in _NO_COUNTERPART:
            continue
        if name in _DROPPED:
            warnings.warn(f"the open-source gateway drops params[{name!r}] with api='messages'", stacklevel=2)
        params[_OTHER_NAMES.get(name, name)] = value
    if isinstance(stop := params.get("stop_sequences"), str):
        params["stop_sequences"] = [stop]
    if user := params.pop("user", None):
        params.setdefault("metadata", {"user_id": user})
    if isinstance(beta := params.get("anthropic_beta"), str):  # The gateway does not split it for Bedrock.
        params["anthropic_beta"] = [name.strip() for name in beta.split(",")]
    params.setdefault("max_tokens", _max_tokens(params))
    return params


def _max_tokens(params: Mapping[str, JsonValue]) -> int:
    """Return the default, of which thinking is a part."""
    thinking = params.get("thinking")
    is_adaptive = isinstance(thinking, dict) and thinking.get("type") == "adaptive"
    return MAX_TOKENS + (_THOUGHTS if is_adaptive else thinking_budget(params))


def to_native_tool(tool: JsonValue) -> JsonValue:
    """Return a tool of `params` in Anthropic's form; one that has it already stays as it is.

    Chat completions have functions, and Anthropic's own tools in the gateway's form: the name as `type`, and under a
    key of that name the settings, whose `name` is the type for Anthropic.
    """
    if not isinstance(tool, dict):
        return tool
    kind = str(tool.get("type"))
    settings = tool.get(kind)
    if not isinstance(settings, dict):
        return tool
    kept = {key: value for key, value in tool.items() if key == "cache_control"}
    if kind != "function":
        return {**settings, "name": kind, "type": settings.get("name"), **kept}
    described = {key: value for key, value in settings.items() if key in {"name", "description", "strict"}}
    return {**described, "input_schema": settings.get("parameters") or {"type": "object", "properties": {}}, **kept}


def to_native_choice(choice: JsonValue) -> Body:
    """Return a choice of tools of `params` in Anthropic's form; one that has it already stays as it is.

    Raises:
        PortkeyConfigError: If it is none.
    """
    if isinstance(choice, str) and choice in _CHOICES_OF_CHAT:
        return {"type": _CHOICES_OF_CHAT[choice]}
    if isinstance(choice, dict):
        function = choice.get("function")
        if isinstance(function, dict) and (name := function.get("name")):
            return {"type": "tool", "name": name}
        if choice.get("type") in _CHOICES_OF_CLAUDE:
            return choice
    raise PortkeyConfigError("params['tool_choice'] must be a choice of chat completions or of Anthropic")
