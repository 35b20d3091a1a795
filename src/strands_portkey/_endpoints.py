"""Bodies and answers of the gateway's other endpoints: models, feedback, prompts and token counts.

Hosted and enterprise gateways offer the first three. The open-source one passes ``GET /models`` and ``POST /feedback``
on to the provider, and answers 500 to ``POST /prompts/{id}/render``.

Invalid arguments raise `PortkeyConfigError`; an answer that does not have the expected form, `PortkeyStreamError`.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Annotated, Final, TypeAlias, TypeVar

from pydantic import Field, JsonValue, TypeAdapter, ValidationError
from pydantic_core import to_json
from strands.types.content import ContentBlock, Messages
from typing_extensions import Required, TypedDict

from strands_portkey._answer.judgement import Judge
from strands_portkey._answer.quoting import LONGEST_QUOTE
from strands_portkey._errors import PortkeyConfigError, PortkeyStreamError
from strands_portkey._json import Body

T = TypeVar("T")
# Validation stops at the first error: to describe thousands of them would take too long.
_FailFastList: TypeAlias = Annotated[list[T], Field(fail_fast=True)]


# -- feedback ----------------------------------------------------------------------------------------------------------


def to_feedback(
    trace_id: str, value: int, weight: float = 1.0, metadata: Mapping[str, JsonValue] | None = None
) -> Body:
    """Build the body of ``POST /feedback``: see `PortkeyModel.feedback`."""
    if not trace_id:
        raise PortkeyConfigError("trace_id must be that of an answer, as ResponseMetadata has it; got an empty text")
    if value not in range(-10, 11):
        raise PortkeyConfigError(f"value must be a whole number from -10 to 10; got {_shown(value)}")
    if not _is_number(weight) or not 0 <= weight <= 1:
        raise PortkeyConfigError(f"weight must be a number from 0 to 1; got {_shown(weight)}")
    body: Body = {"trace_id": trace_id, "value": int(value), "weight": weight}
    return body if metadata is None else {**body, "metadata": dict(metadata)}


def _shown(value: object) -> str:
    """Return a number itself, but only the type of any other value, which may be a misplaced key."""
    return repr(value) if _is_number(value) else type(value).__name__


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float))


# -- models ------------------------------------------------------------------------------------------------------------


class _Model(TypedDict, total=False):
    id: str
    name: str


class _Models(TypedDict, total=False):
    data: _FailFastList[_Model]
    models: _FailFastList[_Model]


_MODELS: Final[TypeAdapter[_Models | _FailFastList[_Model]]] = TypeAdapter(_Models | _FailFastList[_Model])


def read_models(answer: JsonValue, judge: Judge) -> list[str]:
    """Return the ids that ``GET /models`` lists, in its order, each as `PortkeyConfig.model_id` takes it.

    That is the workspace's catalog as ``@slug/model``, or the provider's own list if the request names a provider. With
    strict OpenAI compliance off, the gateway passes that list on unchanged: Together's is a bare list, Gemini's has
    ``{"models": [{"name": "models/..."}]}``.
    """
    listed = _read(_MODELS, answer, "a list of models", judge)
    models = listed if isinstance(listed, list) else listed.get("data", listed.get("models"))
    if models is None:
        raise _unexpected(answer, "a list of models", judge)
    ids = [model.get("id") or model.get("name", "").removeprefix("models/") for model in models]
    if not all(ids):
        raise _unexpected(answer, "a list of models, each with an id", judge)
    return ids


# -- prompts -----------------------------------------------------------------------------------------------------------


class _Part(TypedDict, total=False):
    type: Required[str]
    text: str


class _RenderedMessage(TypedDict, total=False):
    role: Required[str]
    content: Required[str | _FailFastList[_Part]]
    tool_calls: JsonValue


class _Prompt(TypedDict):
    messages: _FailFastList[_RenderedMessage]


class _Rendered(TypedDict):
    data: _Prompt


_RENDERED: Final = TypeAdapter(_Rendered)


def read_prompt(answer: JsonValue, judge: Judge) -> tuple[str | None, Messages]:
    """Return the system prompt and the messages of ``POST /prompts/{id}/render``.

    The system prompt has one line for each text of the ``system`` and ``developer`` messages. Blank texts are left out.
    The prompt's model and parameters are not read, since `PortkeyModel` sets its own.
    """
    system: list[str] = []
    messages: Messages = []
    for message in _read(_RENDERED, answer, "a rendered prompt with messages", judge)["data"]["messages"]:
        role, content = message["role"], message["content"]
        parts: list[_Part] = [{"type": "text", "text": content}] if isinstance(content, str) else content
        texts = [text for part in parts if (text := _part_text(part, judge)).strip()]
        if message.get("tool_calls"):
            raise _unusable_prompt("a message with tool_calls")
        if role in {"system", "developer"}:
            system += texts
        elif role not in {"user", "assistant"}:
            raise _unusable_prompt(f"a message of the role {judge.quote(role)!r}")
        elif texts:
            content_blocks: list[ContentBlock] = [{"text": text} for text in texts]
            messages.append({"role": "user" if role == "user" else "assistant", "content": content_blocks})
    return "\n".join(system) or None, messages


def _part_text(part: _Part, judge: Judge) -> str:
    if part["type"] != "text" or "text" not in part:
        raise _unusable_prompt(f"a part of the type {judge.quote(part['type'])!r}")
    return part["text"]


def _unusable_prompt(what: str) -> PortkeyStreamError:
    message = f"the prompt must hold system, user and assistant messages of text; got {what}"
    return PortkeyStreamError(message, origin="gateway", hint="Change the prompt in Portkey's prompt library.")


# -- counts ------------------------------------------------------------------------------------------------------------


class _Count(TypedDict):
    input_tokens: int


_COUNT: Final = TypeAdapter(_Count)


def read_count(answer: JsonValue, judge: Judge) -> int:
    """Return the ``input_tokens`` that Anthropic counted."""
    return _read(_COUNT, answer, "a count of input_tokens", judge)["input_tokens"]


# -- answers -----------------------------------------------------------------------------------------------------------


def _read(shape: TypeAdapter[T], answer: JsonValue, expected: str, judge: Judge) -> T:
    with suppress(ValidationError):
        return shape.validate_python(answer, strict=True)
    raise _unexpected(answer, expected, judge)


def _unexpected(answer: JsonValue, expected: str, judge: Judge) -> PortkeyStreamError:
    shown = judge.quote(to_json(answer).decode(), LONGEST_QUOTE)
    return PortkeyStreamError(f"the gateway's answer must be {expected}; got {shown}", origin="gateway")
