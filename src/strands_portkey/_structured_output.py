"""Structured output: which way an upstream can be held to a schema, and the schema in the form for it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Literal, TypeVar

from pydantic import BaseModel, JsonValue, ValidationError
from strands.tools.structured_output import convert_pydantic_to_tool_spec
from strands.types.content import Message
from strands.types.tools import ToolSpec

from ._dialects import Dialect
from ._errors import PortkeyAPIError, PortkeyStreamError
from ._judgement import Judge

T = TypeVar("T", bound=BaseModel)

Mechanism = Literal["schema", "forced", "auto"]
"""How the answer is held to a schema.

- ``schema``: by ``response_format``, which the upstream enforces;
- ``forced``: by a tool that the model must call;
- ``auto``: by a tool that the model may call.
"""

# Schema keywords that OpenAI's strict mode takes, besides those of structure.
_STRICT_KEYWORDS: Final = frozenset(
    {"$defs", "$ref", "anyOf", "const", "description", "enum", "items", "properties", "required", "title", "type"}
    | {"additionalProperties", "default", "format", "pattern", "minItems", "maxItems"}
    | {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
)
_STRICT_FORMATS: Final = frozenset(
    {"date", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "time", "uuid"}
)
_SHOWN: Final = 4000  # Characters of an answer that an error quotes.
_PROBLEMS: Final = 5  # Problems of an answer that an error names.
_COUNTED: Final = 1000  # With more problems than these it takes too long to describe them.
# What an error names where an upstream refuses a mechanism, in lower case without "_" and spaces.
_REJECTIONS: Final[Mapping[Mechanism, tuple[str, ...]]] = {
    "schema": ("responseformat", "jsonschema", "outputformat", "responseschema", "responsemimetype", "outputconfig"),
    "forced": ("toolchoice", "functioncallingconfig"),
    "auto": (),
}


def find_mechanisms(dialect: Dialect, params: Mapping[str, JsonValue]) -> list[Mechanism]:
    """Return the mechanisms that may work, the firmest first."""
    thinking = params.get("thinking")  # A model that thinks refuses to be forced (Claude, DeepSeek).
    thinks = isinstance(thinking, dict) and thinking.get("type") != "disabled"
    mechanisms: list[Mechanism] = ["schema"] if dialect.schema else []
    if dialect.tools and dialect.tool_choice and not thinks:
        mechanisms.append("forced")
    return [*mechanisms, "auto"]


def is_rejection(error: PortkeyAPIError, mechanism: Mechanism) -> bool:
    """Whether an upstream refused the mechanism itself, so that the next one is worth a try."""
    if error.status_code not in (400, 404, 422, 500, 501):  # llama-cpp-python answers 500.
        return False
    # Gemini and Bedrock have names of their own for both, in camel or snake case.
    said = f"{error.param} {error}".lower().replace("_", "").replace(" ", "")
    return any(word in said for word in _REJECTIONS[mechanism])


def to_output_schema(output_model: type[BaseModel]) -> dict[str, JsonValue]:
    """Return the model's schema with its name, strict where strict mode can express it."""
    schema = _to_schema(output_model)
    strict = schema.get("type") == "object" and _is_strict(schema)
    name = re.sub(r"[^A-Za-z0-9_-]", "_", output_model.__name__)[:64]
    return {"name": name, "schema": _to_strict(schema) if strict else schema, "strict": strict}


def to_tool_spec(output_model: type[BaseModel]) -> ToolSpec:
    """Return the tool that carries an answer, with pydantic's schema where Strands has none: of a recursive model."""
    try:
        return convert_pydantic_to_tool_spec(output_model)
    except (ValueError, RecursionError):
        name = output_model.__name__
        description = output_model.__doc__ or name
        return {"name": name, "description": description, "inputSchema": {"json": _to_schema(output_model)}}


def to_output(output_model: type[T], message: Message | None, tool_name: str, judge: Judge) -> T:
    """Return the instance that an answer holds, as a tool's input or as JSON text.

    Raises:
        PortkeyStreamError: If it holds none; the error quotes the answer.
    """
    content = message["content"] if message else []
    text = "".join(block["text"] for block in content if "text" in block)
    try:
        for block in content:
            if "toolUse" in block and block["toolUse"]["name"] == tool_name:
                return output_model.model_validate(block["toolUse"]["input"])
        return output_model.model_validate_json(text)
    except ValidationError as error:
        problems = _problems(error)
    # Raised out here, since what pydantic says of it quotes the answer.
    said = (
        f"the answer does not fit {output_model.__name__}: {judge.quote(problems, _SHOWN)}"
        f"\nThe model said: {judge.quote(repr(content), _SHOWN)}"
    )
    raise PortkeyStreamError(said, origin="provider", retryable=True)


def _problems(error: ValidationError) -> str:
    """Return what is wrong, without the values, which pydantic would cut in the middle of a key."""
    count = error.error_count()
    if count > _COUNTED:
        return f"{count} problems"
    found = error.errors(include_url=False, include_context=False, include_input=False)[:_PROBLEMS]
    said = "; ".join(": ".join(filter(None, (".".join(map(str, each["loc"])), each["msg"]))) for each in found)
    return said if count <= _PROBLEMS else f"{said}; and {count - _PROBLEMS} more"


def _to_schema(output_model: type[BaseModel]) -> dict[str, JsonValue]:
    """Return the model's schema; a recursive one is a mere reference to itself, and upstreams want an object."""
    schema = output_model.model_json_schema()
    root = str(schema.pop("$ref", "")).rpartition("/")[2]
    return {**schema, **schema["$defs"][root]} if root else schema


def _is_strict(schema: JsonValue) -> bool:
    """Whether OpenAI's strict mode can express a schema: no open objects, no unknown keywords."""
    if not isinstance(schema, dict):
        return False  # A schema may be True, for anything.
    if schema.get("type") == "array" and "items" not in schema:
        return False
    is_typed = not schema.keys().isdisjoint({"type", "$ref", "anyOf", "enum", "const"})
    # Strict mode has no look-arounds in patterns, such as pydantic's for Decimal.
    is_known = schema.keys() <= _STRICT_KEYWORDS and "(?" not in str(schema.get("pattern", ""))
    if not is_typed or not is_known or schema.get("format", "date") not in _STRICT_FORMATS:
        return False
    if schema.get("type") == "object" and ("properties" not in schema or schema.get("additionalProperties")):
        return False
    return all(_is_strict(part) for part in _parts(schema))


def _to_strict(schema: JsonValue) -> JsonValue:
    """Return a schema in which every object is closed and every property required, as strict mode wants."""
    if not isinstance(schema, dict):
        return [_to_strict(part) for part in schema] if isinstance(schema, list) else schema
    if "$ref" in schema:  # Strict mode takes nothing beside it.
        return {"$ref": schema["$ref"]}
    strict: dict[str, JsonValue] = {}
    for keyword, value in schema.items():
        if keyword in ("properties", "$defs") and isinstance(value, dict):
            strict[keyword] = {name: _to_strict(part) for name, part in value.items()}
        elif keyword in ("items", "anyOf"):
            strict[keyword] = _to_strict(value)
        elif keyword != "default":
            strict[keyword] = value
    if isinstance(properties := strict.get("properties"), dict):
        strict["additionalProperties"] = False
        strict["required"] = list(properties)
    return strict


def _parts(schema: dict[str, JsonValue]) -> list[JsonValue]:
    parts: list[JsonValue] = []
    for keyword in ("properties", "$defs"):
        if isinstance(named := schema.get(keyword), dict):
            parts += named.values()
    if isinstance(choices := schema.get("anyOf"), list):
        parts += choices
    if "items" in schema:
        parts.append(schema["items"])
    return parts
