"""What OpenAI's models are known to take, by their ids."""

from __future__ import annotations

import re
from typing import Final

_BEFORE_ID: Final = re.compile(r"^(?:@[^/]*/)?(?:[^/]*/)*(?:[a-z-]+\.)*(?=gpt-|o\d|codex|computer|chatgpt)")
_GENERATION: Final = re.compile(r"gpt-(\d|[1-2]\d)(?:\.(\d+))?(?![\d.b])")
_RESPONSES_ONLY: Final = re.compile(r"(?:gpt-\d|o\d)[\w.-]*-(?:codex|pro|deep-research)\b|codex-|computer-use-")
_WITHOUT_REASONING: Final = re.compile(r"chatgpt-|gpt-[34]|gpt-5[\d.]*-chat")
_TOOLS_SINCE: Final = (5, 4)
_PHASES_SINCE: Final = (5, 4)
_BREAKPOINTS_SINCE: Final = (5, 6)


def is_responses_only(model_id: str) -> bool:
    """Whether chat completions do not have the model at all."""
    return bool(_RESPONSES_ONLY.match(_bare_id(model_id)))


def refuses_tools_on_chat(model_id: str) -> bool:
    """Whether chat completions refuse tools beside reasoning."""
    return _generation(model_id) >= _TOOLS_SINCE and may_reason(model_id)


def may_reason(model_id: str) -> bool:
    """Whether nothing is known against it that the model reasons."""
    return not _WITHOUT_REASONING.match(_bare_id(model_id))


def takes_phases(model_id: str) -> bool:
    """Whether a message may say which phase of the answer it was."""
    return _generation(model_id) >= _PHASES_SINCE or _bare_id(model_id).startswith("gpt-5.3-codex")


def takes_breakpoints(model_id: str) -> bool:
    """Whether a part of the prompt may be marked as the end of what is cached."""
    return _generation(model_id) >= _BREAKPOINTS_SINCE


def _generation(model_id: str) -> tuple[int, int]:
    found = _GENERATION.match(_bare_id(model_id))
    return (int(found[1]), int(found[2] or 0)) if found else (0, 0)


def _bare_id(model_id: str) -> str:
    """Return an id in lower case, without a slug, a path, a region and a vendor before it."""
    return _BEFORE_ID.sub("", model_id.lower())
