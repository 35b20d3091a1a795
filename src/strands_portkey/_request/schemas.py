"""Structured output: the mechanisms to enforce a schema, and the schema in the form that each requires."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Literal, get_args

from pydantic import BaseModel, JsonValue
from strands.tools.structured_output import convert_pydantic_to_tool_spec
from strands.types.tools import ToolSpec

from strands_portkey._errors import PortkeyAPIError

Mechanism = Literal["schema", "forced", "auto"]
"""How the answer is made to match a schema.

- ``schema``: by ``response_format``, which the upstream enforces;
- ``forced``: by a tool that the model must call;
- ``auto``: by a tool that the model may call.
"""

MECHANISMS: Final[tuple[Mechanism, ...]] = get_args(Mechanism)
"""All mechanisms, the strictest first."""

# Schema keywords that OpenAI's strict mode supports.
_STRICT_KEYWORDS: Final = frozenset(
    {"$defs", "$ref", "anyOf", "const", "description", "enum", "items", "properties", "required", "title", "type"}
    | {"additionalProperties", "default", "format", "pattern", "minItems", "maxItems"}
    | {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
)
_STRICT_FORMATS: Final = frozenset(
    {"date", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "time", "uuid"}
)
# Words of an error with which an upstream refuses a mechanism, in lower case without "_" and spaces.
_REJECTIONS: Final[Mapping[Mechanism, tuple[str, ...]]] = {
    "schema": (
        *("responseformat", "jsonschema", "outputformat", "responseschema", "responsemimetype", "outputconfig"),
        "text.format",
    ),
    "forced": ("toolchoice", "functioncallingconfig"),
    "auto": (),
}


def is_rejection(error: PortkeyAPIError, mechanism: Mechanism) -> bool:
    """Whether an upstream refused the mechanism itself, so that the next one should be tried."""
    if error.status_code not in (400, 404, 422, 500, 501):  # llama-cpp-python answers 500.
        return False
    # Gemini and Bedrock have different names for both, in camel or snake case.
    said = f"{error.param} {error}".lower().replace("_", "").replace(" ", "")
    return any(word in said for word in _REJECTIONS[mechanism])


def to_output_schema(output_model: type[BaseModel]) -> dict[str, JsonValue]:
    """Return the model's schema with its name, strict if strict mode can express it."""
    schema = _to_schema(output_model)
    strict = schema.get("type") == "object" and _is_strict(schema)
    name = re.sub(r"[^A-Za-z0-9_-]", "_", output_model.__name__)[:64]
    return {"name": name, "schema": _to_strict(schema) if strict else schema, "strict": strict}


def to_tool_spec(output_model: type[BaseModel]) -> ToolSpec:
    """Return the tool whose input is the answer, with pydantic's schema for recursive models, which Strands refuses."""
    try:
        return convert_pydantic_to_tool_spec(output_model)
    except (ValueError, RecursionError):
        name = output_model.__name__
        description = output_model.__doc__ or name
        return {"name": name, "description": description, "inputSchema": {"json": _to_schema(output_model)}}


def _to_schema(output_model: type[BaseModel]) -> dict[str, JsonValue]:
    """Return the model's schema; that of a recursive model is only a reference, but upstreams require an object."""
    schema = output_model.model_json_schema()
    root = str(schema.pop("$ref", "")).rpartition("/")[2]
    return {**schema, **schema["$defs"][root]} if root else schema


def _is_strict(schema: JsonValue) -> bool:
    """Whether OpenAI's strict mode can express a schema: no open objects, no unknown keywords."""
    if not isinstance(schema, dict):
        return False  # The schema True allows any value.
    if schema.get("type") == "array" and "items" not in schema:
        return False
    is_typed = not schema.keys().isdisjoint({"type", "$ref", "anyOf", "enum", "const"})
    # Strict mode does not support look-arounds in patterns, such as pydantic's for Decimal.
    is_known = schema.keys() <= _STRICT_KEYWORDS and "(?" not in str(schema.get("pattern", ""))
    if not is_typed or not is_known or schema.get("format", "date") not in _STRICT_FORMATS:
        return False
    if schema.get("type") == "object" and ("properties" not in schema or schema.get("additionalProperties")):
        return False
    return all(_is_strict(part) for part in _parts(schema))


def _to_strict(schema: JsonValue) -> JsonValue:
    """Return a schema in which every object is closed and every property required, as strict mode demands."""
    if not isinstance(schema, dict):
        return [_to_strict(part) for part in schema] if isinstance(schema, list) else schema
    if "$ref" in schema:  # Strict mode allows no other keyword beside it.
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
