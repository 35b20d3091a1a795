"""The gateway's other endpoints: its models, its feedback, its prompt library, and Anthropic's count of tokens.

Hosted and enterprise gateways offer the first three. The open-source one passes ``GET /models`` and ``POST /feedback``
on to the provider, and answers 500 to ``POST /prompts/{id}/render``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeVar

from pydantic import JsonValue, TypeAdapter, ValidationError
from pydantic_core import to_json
from strands.types.content import ContentBlock, Messages
from typing_extensions import Required, TypedDict

from ._errors import PortkeyConfigError, PortkeyStreamError
from ._tools import Body

T = TypeVar("T")

_SHOWN: Final = 200  # Characters of an answer that an error quotes.


# -- feedback ----------------------------------------------------------------------------------------------------------


def to_feedback(
    trace_id: str, value: int, weight: float = 1.0, metadata: Mapping[str, JsonValue] | None = None
) -> Body:
    """Build the body of ``POST /feedback``: see `PortkeyModel.feedback`.

    Raises:
        PortkeyConfigError: If something is outside of what Portkey takes.
    """
    if not trace_id:
        raise PortkeyConfigError("trace_id is empty; wanted is the trace id of an answer, as ResponseMetadata has it")
    if value not in range(-10, 11):
        raise PortkeyConfigError(f"value is {value!r}; wanted is a whole number from -10 to 10")
    if not 0 <= weight <= 1:
        raise PortkeyConfigError(f"weight is {weight!r}; wanted is a number from 0 to 1")
    body: Body = {"trace_id": trace_id, "value": int(value), "weight": weight}
    return body if metadata is None else {**body, "metadata": dict(metadata)}


# -- models ------------------------------------------------------------------------------------------------------------


class _Model(TypedDict, total=False):
    id: str
    name: str


class _Models(TypedDict, total=False):
    data: list[_Model]
    models: list[_Model]


_MODELS: Final[TypeAdapter[_Models | list[_Model]]] = TypeAdapter(_Models | list[_Model])


def read_models(answer: JsonValue) -> list[str]:
    """Return the ids that ``GET /models`` lists, in its order, each as `PortkeyConfig.model_id` takes it.

    Args:
        answer: ``{"data": [{"id": ...}]}``: the workspace's catalog as ``@slug/model``, or the provider's own list
            where the request names a provider. With strict OpenAI compliance off that is as the provider sent it:
            Together's is a bare list, Gemini's has ``{"models": [{"name": "models/..."}]}``.

    Raises:
        PortkeyStreamError: If the answer is no such list.
    """
    listed = _read(_MODELS, answer, "a list of models")
    models = listed if isinstance(listed, list) else listed.get("data", listed.get("models"))
    if models is None:
        raise _unexpected(answer, "a list of models")
    ids = [model.get("id") or model.get("name", "").removeprefix("models/") for model in models]
    if not all(ids):
        raise _unexpected(answer, "a list of models, each with an id")
    return ids


# -- counts ------------------------------------------------------------------------------------------------------------


class _Count(TypedDict):
    input_tokens: int


_COUNT: Final = TypeAdapter(_Count)


def read_count(answer: JsonValue) -> int:
    """Return the ``input_tokens`` that Anthropic counted.

    Raises:
        PortkeyStreamError: If the answer holds no such number.
    """
    return _read(_COUNT, answer, "a count of input_tokens")["input_tokens"]


# -- prompts -----------------------------------------------------------------------------------------------------------


class _Part(TypedDict, total=False):
    type: Required[str]
    text: str


class _RenderedMessage(TypedDict, total=False):
    role: Required[str]
    content: Required[str | list[_Part]]
    tool_calls: JsonValue


class _Prompt(TypedDict):
    messages: list[_RenderedMessage]


class _Rendered(TypedDict):
    data: _Prompt


_RENDERED: Final = TypeAdapter(_Rendered)
_WANTED: Final = "a rendered prompt with messages"


def read_prompt(answer: JsonValue) -> tuple[str | None, Messages]:
    """Return the system prompt and the messages of ``POST /prompts/{id}/render``.

    The prompt's model and parameters are not read: they are the model provider's to set.

    Args:
        answer: ``{"success": true, "data": {"messages": [{"role": ..., "content": ...}], ...}}``.

    Returns:
        The texts of all ``system`` and ``developer`` messages, a line each, or None; and those of ``user`` and
        ``assistant``. Blank texts and messages without content are left out.

    Raises:
        PortkeyStreamError: If the answer has another shape, or a message that Strands has no place for.
    """
    system: list[str] = []
    messages: Messages = []
    for message in _read(_RENDERED, answer, _WANTED)["data"]["messages"]:
        role, content = message["role"], message["content"]
        parts: list[_Part] = [{"type": "text", "text": content}] if isinstance(content, str) else content
        texts = [text for text in map(_text, parts) if text.strip()]
        if message.get("tool_calls"):
            raise _no_place("a message with tool_calls")
        if role in {"system", "developer"}:
            system += texts
        elif role not in {"user", "assistant"}:
            raise _no_place(f"a message of the role {role!r}")
        elif texts:
            content_blocks: list[ContentBlock] = [{"text": text} for text in texts]
            messages.append({"role": "user" if role == "user" else "assistant", "content": content_blocks})
    return "\n".join(system) or None, messages


def _text(part: _Part) -> str:
    if part["type"] != "text" or "text" not in part:
        raise _no_place(f"a part of the type {part['type']!r}")
    return part["text"]


def _no_place(what: str) -> PortkeyStreamError:
    message = f"the prompt holds {what}; wanted are system, user and assistant messages of text"
    return PortkeyStreamError(message, origin="gateway", hint="Change the prompt in Portkey's prompt library.")


# -- answers -----------------------------------------------------------------------------------------------------------


def _read(shape: TypeAdapter[T], answer: JsonValue, wanted: str) -> T:
    try:
        return shape.validate_python(answer, strict=True)
    except ValidationError:
        raise _unexpected(answer, wanted) from None


def _unexpected(answer: JsonValue, wanted: str) -> PortkeyStreamError:
    shown = to_json(answer).decode()[:_SHOWN]
    return PortkeyStreamError(f"wanted is {wanted}; the gateway sent {shown}", origin="gateway")
