"""The protocols of the gateway, by name, and the choice between them."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping
from typing import Final

from strands_portkey._errors import PortkeyConfigError
from strands_portkey._json import field_of
from strands_portkey._request.anthropic import thinks
from strands_portkey._request.question import Question
from strands_portkey._settings.config import Api
from strands_portkey._settings.openai_models import is_responses_only, refuses_tools_on_chat
from strands_portkey._settings.upstreams import UNKNOWN, asks_for_guardrails, may_be_copy, overridden_params
from strands_portkey._wires.chat import CHAT
from strands_portkey._wires.messages import MESSAGES
from strands_portkey._wires.messages.params import without_counterpart
from strands_portkey._wires.responses import RESPONSES
from strands_portkey._wires.responses.params import has_counterparts, passes_gateway
from strands_portkey._wires.wire import Wire

WIRES: Final[Mapping[str, Wire]] = {wire.name: wire for wire in (CHAT, RESPONSES, MESSAGES)}
"""All wires by name."""

# Who answers on a wire that is not everybody's. The open-source gateway has no others; hosted ones fake them.
_NATIVE: Final = {
    "responses": frozenset({"openai", "azure-openai"}),
    "messages": frozenset({"anthropic", "bedrock", "azure-ai"}),
}
_NATIVE_HOSTED: Final = {"responses": frozenset({"groq", "openrouter", "x-ai"}), "messages": frozenset[str]()}


def choose_wire(
    api: Api, question: Question, routing: Mapping[str, object], targets: Collection[tuple[str, str]]
) -> Wire:
    """Return the protocol for a request.

    Args:
        api: The setting of this name.
        question: What the model is asked; without messages at other endpoints, which have no protocol.
        routing: The settings that become headers.
        targets: Who may answer: see `find_targets`.

    Raises:
        PortkeyConfigError: If an upstream that may answer does not have the protocol that is asked for.
    """
    if api == "chat" or not question.messages:
        return CHAT
    names = {name for name, _ in targets}
    if api == "auto":
        if (
            names <= _NATIVE["responses"]
            and not may_be_copy(names, routing)  # Copies have chat completions, and rarely more.
            and _needs_responses(question, targets)
            and _can_be_response(question, routing)
        ):
            return RESPONSES
        if names == {"anthropic"} and _thinks_with_tools(question):
            return MESSAGES
        return CHAT
    if api not in WIRES:
        raise PortkeyConfigError(f"api must be 'auto' or one of {sorted(WIRES)}; got {api!r}")
    hosted = _NATIVE_HOSTED[api] if routing.get("api_key") else frozenset[str]()
    if lacking := sorted(names - _NATIVE[api] - hosted - {UNKNOWN}):
        raise PortkeyConfigError(
            f"api={api!r} must be for upstreams that have this protocol: {', '.join(sorted(_NATIVE[api] | hosted))};"
            f" got {', '.join(lacking)}",
            hint="set api='chat', which all upstreams have, or leave api out",
        )
    if api == "responses" and asks_for_guardrails(routing):
        message = "the open-source gateway runs no guardrails with api='responses'; with api='chat' it does"
        warnings.warn(message, stacklevel=2)
    return WIRES[api]


def _needs_responses(question: Question, targets: Collection[tuple[str, str]]) -> bool:
    """Whether chat completions would refuse the request for one of the models."""
    models = {model for _, model in targets}
    if any(map(is_responses_only, models)):
        return True
    has_tools = bool(question.tool_specs or question.params.get("tools"))
    return has_tools and _effort(question) != "none" and any(map(refuses_tools_on_chat, models))


def _can_be_response(question: Question, routing: Mapping[str, object]) -> bool:
    """Whether nothing that is asked for would be lost or refused there."""
    passes = all(word == "model" or passes_gateway(word) for word in overridden_params(routing))
    return passes and has_counterparts(question.params) and not asks_for_guardrails(routing)


def _effort(question: Question) -> object:
    return question.params.get("reasoning_effort", field_of(question.params.get("reasoning"), "effort"))


def _thinks_with_tools(question: Question) -> bool:
    return thinks(question.params) and bool(question.tool_specs) and not without_counterpart(question.params)
