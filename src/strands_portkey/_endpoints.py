"""Bodies and answers of the gateway's other endpoints: models, feedback, prompts and token counts.

Hosted and enterprise gateways offer the first three. The open-source one passes ``GET /models`` and ``POST /feedback``
on to the provider, and answers 500 to ``POST /prompts/{id}/render``.

Invalid arguments raise `PortkeyConfigError`; an answer that does not have the expected form, `PortkeyStreamError`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Annotated, Final, TypeAlias, TypeVar

from pydantic import Field, JsonValue, TypeAdapter, ValidationError
from pydantic_core import from_json, to_json
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

# The open-source gateway translates chat completions for Anthropic, but passes ``/messages/count_tokens`` on unchanged.
# The counted body must equal the one that would be sent, so this applies the gateway's translation.
# See https://platform.claude.com/docs/en/api/messages/count_tokens.


class _Count(TypedDict):
    input_tokens: int


_COUNT: Final = TypeAdapter(_Count)
_TOOL_CHOICES: Final = {"auto": "auto", "required": "any", "none": "none"}


def read_count(answer: JsonValue, judge: Judge) -> int:
    """Return the ``input_tokens`` that Anthropic counted."""
    return _read(_COUNT, answer, "a count of input_tokens", judge)["input_tokens"]


def to_count_body(body: Body) -> Body:
    """Return the body of ``POST /messages/count_tokens`` for what `to_body` made for the dialect ``anthropic``.

    Parameters that do not add tokens are left out, since Anthropic refuses them here.
    """
    messages = list(_objects(body["messages"]))
    count: Body = {
        "model": body["model"],
        "messages": _merged_by_role([_message(message) for message in messages if not _is_system(message)]),
    }
    if system := [part for message in messages if _is_system(message) for part in _blocks(message["content"])]:
        count["system"] = system
    if tools := [_tool(tool) for tool in _objects(body.get("tools"))]:
        count["tools"] = list(tools)
        if choice := _tool_choice(body.get("tool_choice")):
            count["tool_choice"] = choice
    if thinking := body.get("thinking"):
        count["thinking"] = thinking
    return count


def _objects(items: JsonValue) -> Iterator[Body]:
    if isinstance(items, list):
        yield from (item for item in items if isinstance(item, dict))


def _object(value: JsonValue) -> Body:
    return value if isinstance(value, dict) else {}


def _is_system(message: Body) -> bool:
    return message["role"] == "system"


def _merged_by_role(messages: list[Body]) -> list[JsonValue]:
    """Return messages, consecutive ones of the same role merged: Claude requires all tool results in one message."""
    merged: list[Body] = []
    for message in messages:
        if merged and merged[-1]["role"] == message["role"]:
            content = [*_objects(merged[-1]["content"]), *_objects(message["content"])]
            merged[-1] = {"role": message["role"], "content": list(content)}
        else:
            merged.append(message)
    return list(merged)


def _message(message: Body) -> Body:
    match message:
        case {"role": "tool"}:
            result: Body = {"type": "tool_result", "tool_use_id": message["tool_call_id"]}
            return {"role": "user", "content": [{**result, "content": message["content"]}]}
        case {"role": "assistant"}:
            said = _blocks(message.get("content_blocks") or message["content"])
            return {"role": "assistant", "content": [*said, *map(_tool_use, _objects(message.get("tool_calls")))]}
        case _:
            return {"role": "user", "content": _blocks(message["content"])}


def _blocks(content: JsonValue) -> list[JsonValue]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [_block(part) for part in _objects(content)]


def _block(part: Body) -> Body:
    """Return a part as Anthropic's block; text and thinking have that form already."""
    match part:
        case {"type": "image_url", "image_url": {"url": str(url)}}:
            kept = {key: value for key, value in part.items() if key == "cache_control"}
            return {**_media(url), **kept}
        case _:
            return part


def _media(url: str) -> Body:
    """Return the image or, as the gateway does, the PDF that an ``image_url`` holds."""
    if not url.startswith("data:"):
        return {"type": "image", "source": {"type": "url", "url": url}}
    media_type, _, data = url.removeprefix("data:").partition(";base64,")
    kind = "document" if media_type == "application/pdf" else "image"
    return {"type": kind, "source": {"type": "base64", "media_type": media_type, "data": data}}


def _tool_use(call: Body) -> Body:
    """Return a tool call as a block, with its other fields, such as ``cache_control``."""
    kept = {key: value for key, value in call.items() if key not in {"type", "function"}}
    function = _object(call["function"])
    return {"type": "tool_use", "name": function["name"], "input": from_json(str(function["arguments"])), **kept}


def _tool(tool: Body) -> Body:
    """Return a tool in Anthropic's form.

    `params` may contain the provider's own tools, such as web search. The gateway expects the tool's name as `type`,
    and under a key of that name its settings, whose `name` is the type for Anthropic.
    """
    kept = {key: value for key, value in tool.items() if key == "cache_control"}
    function, kind = _object(tool.get("function")), str(tool.get("type"))
    if not function:
        settings = _object(tool.get(kind))
        return {**settings, "name": kind, "type": settings.get("name"), **kept}
    described = {key: value for key, value in function.items() if key in {"name", "description"}}
    return {**described, "input_schema": _schema(_object(function.get("parameters"))), **kept}


def _schema(parameters: Body) -> Body:
    """Return the part of a schema that the gateway passes on, without the empty ``$defs`` that it adds."""
    empty: Body = {"type": "object", "properties": {}, "required": []}
    return empty | {key: parameters[key] for key in (*empty, "$defs") if parameters.get(key)}


def _tool_choice(choice: JsonValue) -> Body | None:
    match choice:
        case str() if choice in _TOOL_CHOICES:
            return {"type": _TOOL_CHOICES[choice]}
        case {"function": {"name": name}}:
            return {"type": "tool", "name": name}
        case _:
            return None


# -- answers -----------------------------------------------------------------------------------------------------------


def _read(shape: TypeAdapter[T], answer: JsonValue, expected: str, judge: Judge) -> T:
    with suppress(ValidationError):
        return shape.validate_python(answer, strict=True)
    raise _unexpected(answer, expected, judge)


def _unexpected(answer: JsonValue, expected: str, judge: Judge) -> PortkeyStreamError:
    shown = judge.quote(to_json(answer).decode(), LONGEST_QUOTE)
    return PortkeyStreamError(f"the gateway's answer must be {expected}; got {shown}", origin="gateway")
