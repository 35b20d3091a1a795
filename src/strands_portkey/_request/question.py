"""One request in Strands' words, whatever the wire that carries it."""

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
    """What a model is asked, and how it is to answer.

    Attributes:
        messages: The conversation.
        model_id: The model that is asked.
        upstreams: Who may answer: see `find_upstreams`.
        params: Parameters of the request, in the user's words.
        stream: Whether the answer comes in pieces.
        cache_config: What is to be cached.
        system: The system prompt's blocks.
        tool_specs: Tools that the model may call.
        tool_choice: Which of them it must call.
        output_model: What the answer must fit.
        output_schema: What the upstream is to hold the answer to: ``name``, ``schema``, and whether it is ``strict``.
        session_id: The agent's session, the default key of the prompt cache.
        trailing_blocks: How many blocks at the end of the last message change with every call.
    """

    messages: Sequence[Message]
    model_id: str
    upstreams: frozenset[str] = frozenset()
    params: Mapping[str, JsonValue] = field(default_factory=dict[str, JsonValue])
    stream: bool = True
    cache_config: CacheConfig | None = None
    system: Sequence[SystemContentBlock] = ()
    tool_specs: Sequence[ToolSpec] = ()
    tool_choice: ToolChoice | None = None
    output_model: type[BaseModel] | None = None
    output_schema: Mapping[str, JsonValue] | None = None
    session_id: str | None = None
    trailing_blocks: int = 0


def to_question(
    config: PortkeyConfig,
    messages: Sequence[Message],
    tool_specs: Sequence[ToolSpec] | None,
    system_prompt: str | None,
    system_prompt_content: Sequence[SystemContentBlock] | None,
) -> Question:
    """Return what Strands asks with the model's settings; a system prompt as blocks goes before one as text."""
    return Question(
        messages,
        config["model_id"],
        params=config.get("params") or {},
        stream=config.get("stream", True),
        cache_config=config.get("cache_config"),
        system=system_prompt_content or ([{"text": system_prompt}] if system_prompt else ()),
        tool_specs=tool_specs or (),
    )
