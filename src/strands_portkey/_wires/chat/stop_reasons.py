"""The finish reasons of chat completions in Strands' words."""

from __future__ import annotations

from typing import Final

from strands.types.event_loop import StopReason

_STOP_REASONS: Final[dict[str, StopReason]] = {
    # OpenAI; with `strict_open_ai_compliance` all upstreams
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "content_filtered",
    # Anthropic, Bedrock
    "end_turn": "end_turn",
    "max_tokens": "max_tokens",  # Gemini and Cohere too
    "model_context_window_exceeded": "max_tokens",
    "stop_sequence": "stop_sequence",  # Cohere too
    "tool_use": "tool_use",
    "pause_turn": "end_turn",
    "refusal": "content_filtered",
    "content_filtered": "content_filtered",
    "guardrail_intervened": "guardrail_intervened",
    # Gemini
    "safety": "content_filtered",
    "recitation": "content_filtered",
    "language": "content_filtered",
    "blocklist": "content_filtered",
    "model_armor": "content_filtered",
    "no_image": "content_filtered",
    "image_other": "content_filtered",
    "prohibited_content": "content_filtered",
    "spii": "content_filtered",
    "image_safety": "content_filtered",
    "image_prohibited_content": "content_filtered",
    "image_recitation": "content_filtered",
    "other": "end_turn",
    # Z.AI
    "sensitive": "content_filtered",
    # Cohere
    "complete": "end_turn",
    "tool_call": "tool_use",
    # Mistral
    "model_length": "max_tokens",
    # Open models' servers
    "eos": "end_turn",
    "eos_token": "end_turn",
}
_GRAVITY: Final[dict[StopReason, int]] = {"content_filtered": 2, "guardrail_intervened": 2, "max_tokens": 1}


def gravity(finish_reason: str) -> int:
    """Return how much a finish reason says of what an answer lacks."""
    return _GRAVITY.get(to_stop_reason(finish_reason) or "end_turn", 0)


def to_stop_reason(finish_reason: str) -> StopReason | None:
    """Return what Strands calls a finish reason; None where it is unknown."""
    return _STOP_REASONS.get(finish_reason.lower())
