"""A request in Strands' types, independent of the protocol that it is sent with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import BaseModel, JsonValue
from strands.models.model import CacheConfig
from strands.types.content import Message, SystemContentBlock
from strands.types.tools import ToolChoice, ToolSpec

from strands_portkey._settings.config import PortkeyConfig


@dataclass(frozen=True, repr=False)
class Question:
    """The input of one request to a model, and the required form of the answer.

    Attributes:
        messages: The conversation.
        model_id: The model's id.
        upstreams: Names of the upstreams that may answer: see `find_upstreams`.
        providers: The gateway's names of their providers, where the setting `upstream` names another family.
        params: Parameters of the request, as the user gave them.
        stream: Whether the answer is streamed.
        cache_config: The settings for prompt caching.
        system: The system prompt's blocks.
        tool_specs: Tools that the model may call.
        tool_choice: Which of them it must call.
        output_model: The model that the answer must match.
        output_schema: The schema that the upstream must enforce: ``name``, ``schema``, and whether it is ``strict``.
        session_id: The agent's session, the default key of the prompt cache.
        said: What the model has said in this turn before it paused, as the protocol has it.
        omitted: Names of optional parts of the body, as the protocol has them, that the upstream has refused.
        trailing_blocks: How many blocks at the end of the last message change with every call.
        wants_reasoning: Whether the upstream refuses messages of the model without ``reasoning_content``.
    """

    messages: Sequence[Message]
    model_id: str
    upstreams: frozenset[str] = frozenset()
    providers: frozenset[str] = frozenset()
    params: Mapping[str, JsonValue] = field(default_factory=dict[str, JsonValue])
    stream: bool = True
    cache_config: CacheConfig | None = None
    system: Sequence[SystemContentBlock] = ()
    tool_specs: Sequence[ToolSpec] = ()
    tool_choice: ToolChoice | None = None
    output_model: type[BaseModel] | None = None
    output_schema: Mapping[str, JsonValue] | None = None
    session_id: str | None = None
    said: Sequence[JsonValue] = ()
    omitted: frozenset[str] = frozenset()
    trailing_blocks: int = 0
    wants_reasoning: bool = False


def to_question(
    config: PortkeyConfig,
    messages: Sequence[Message],
    tool_specs: Sequence[ToolSpec] | None = None,
    system_prompt: str | None = None,
    system_prompt_content: Sequence[SystemContentBlock] | None = None,
    *,
    tool_choice: ToolChoice | None = None,
    output_model: type[BaseModel] | None = None,
    session_id: str | None = None,
    trailing_blocks: int = 0,
) -> Question:
    """Combine Strands' arguments with the model's settings; a system prompt in blocks overrides one as text."""
    return Question(
        messages,
        config["model_id"],
        params=config.get("params") or {},
        stream=config.get("stream", True),
        cache_config=config.get("cache_config"),
        system=system_prompt_content or ([{"text": system_prompt}] if system_prompt else ()),
        tool_specs=tool_specs or (),
        tool_choice=tool_choice,
        output_model=output_model,
        session_id=session_id,
        trailing_blocks=trailing_blocks,
    )
