"""Tools, their calls and their results as far as all protocols send them alike."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterable
from hashlib import sha256
from math import isfinite, isnan
from typing import Final, cast

from strands.types.tools import ToolSpec, ToolUse
from typing_extensions import Required, TypedDict

from strands_portkey._errors import PortkeyConfigError
from strands_portkey._json import Body, is_list, is_mapping, to_object

NO_OUTPUT: Final = "(no output)"
"""The text of a result that is empty, which upstreams refuse."""

OPENAI_CHOICES: Final = {"any": "required", "auto": "auto", "none": "none"}
"""What OpenAI calls Strands' choices of tools, beside that of a certain tool."""

_STUB_SCHEMA: Final[Body] = {"json": {"type": "object", "properties": {}}}
_MOST_NESTED: Final = 200  # Levels of an input that are searched for numbers that JSON does not have.
# Created once, since that takes as long as to encode a small tool call.
_INPUT_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False)
_RESULT_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, default=str)


class Spec(TypedDict, total=False):
    """A `ToolSpec` with the schema typed, which is a bare dict in Strands, and an optional description."""

    name: Required[str]
    description: str
    inputSchema: Required[Body]


def to_spec(spec: ToolSpec) -> tuple[Spec, Body]:
    """Return a tool, typed, and the schema of its input, which may stand under ``json``."""
    given = cast("Spec", spec)
    schema = given["inputSchema"].get("json", given["inputSchema"])
    return given, cast("Body", schema)


def to_stub_specs(names: Iterable[str]) -> list[ToolSpec]:
    """Return placeholders for tools that a conversation has called but that are no longer available."""
    return [
        {"name": name, "description": "No longer available.", "inputSchema": _STUB_SCHEMA}
        for name in dict.fromkeys(names)
    ]


def read_tool_choice(tool_choice: object) -> tuple[str, str]:
    """Return the kind of Strands' tool choice, ``any``, ``auto``, ``none`` or ``tool``, and the name of that tool.

    Raises:
        PortkeyConfigError: If it is not one of Strands' choices.
    """
    if is_mapping(tool_choice):
        if is_mapping(tool := tool_choice.get("tool")) and isinstance(name := tool.get("name"), str):
            return "tool", name
        for kind in OPENAI_CHOICES:
            if kind in tool_choice:
                return kind, ""
    got = f"a mapping with {list(tool_choice)}" if is_mapping(tool_choice) else type(tool_choice).__name__
    raise PortkeyConfigError(f"tool_choice must be 'auto', 'any', 'none' or 'tool' with a name; got {got}")


def to_arguments(tool_use: ToolUse) -> str:
    """Return a call's input as the text of a JSON object: the gateway and most upstreams fail on anything else.

    What a model has sent stays in the conversation, so if it raised here, every later request would fail.
    """
    what, given = f"the input of the tool {tool_use['name']!r}", _to_input(tool_use["input"])
    try:
        return _INPUT_ENCODER.encode(given)
    except (TypeError, ValueError, RecursionError):
        return _to_json_text(what, _finite(given, _MOST_NESTED), _INPUT_ENCODER)


def _to_input(given: object) -> object:
    """Return an input that is an object: one encoded twice is decoded, any other value becomes its only member."""
    found = to_object(given)
    return {"input": given} if found is None else found


def _finite(value: object, levels: int) -> object:
    """Return a value in which the numbers that JSON does not have are texts, such as "NaN"."""
    if isinstance(value, float) and not isfinite(value):
        return "NaN" if isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if levels and is_mapping(value):
        return {key: _finite(each, levels - 1) for key, each in value.items()}
    if levels and is_list(value):
        return [_finite(each, levels - 1) for each in value]
    return value


def to_call_id(call_id: str, pattern: str | None) -> str:
    """Return the id, or a hash of it if the upstream would refuse it; it may come from another upstream."""
    if pattern is None or re.fullmatch(pattern, call_id):
        return call_id
    return sha256(call_id.encode(errors="replace")).hexdigest()[:9]


def left_out(error: PortkeyConfigError) -> str:
    """Return the text in the place of a block of a result that cannot be sent, and warn of it.

    If the error were raised, every later request of the conversation would fail too.
    """
    warnings.warn(f"left out of a tool's result: {error}", stacklevel=3)
    return f"[left out: {error}]"


def to_result_text(value: object) -> str:
    """Return the JSON of a result as text.

    Raises:
        PortkeyConfigError: If it cannot be written as JSON.
    """
    return _to_json_text("a tool's result", value, _RESULT_ENCODER)


def _to_json_text(what: str, value: object, encoder: json.JSONEncoder) -> str:
    try:
        return encoder.encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise PortkeyConfigError(f"{what} must be JSON; got something else: {error}") from None
