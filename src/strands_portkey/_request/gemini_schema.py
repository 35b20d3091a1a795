"""Conversion of tools' JSON schemas to the subset that Gemini's ``Schema`` supports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pydantic import JsonValue

_KEYWORDS: Final = frozenset(
    {"type", "format", "title", "description", "nullable", "enum", "items", "properties", "required", "default"}
    | {"minItems", "maxItems", "minimum", "maximum", "minLength", "maxLength", "pattern"}
)
_FORMATS: Final = frozenset({"date-time", "enum", "int32", "int64", "float", "double"})
_CHOICES: Final = ("anyOf", "oneOf", "allOf")
_BESIDE: Final = ("title", "description", "nullable")
_DEFINITIONS: Final = ("$defs", "definitions")

_Schema = dict[str, JsonValue]


def to_gemini_schema(schema: JsonValue) -> JsonValue:
    """Return a tool's schema in Gemini's form: no references, no lists of types, no unknown keywords.

    Constraints that it cannot express, such as an exclusive bound, are left for the tool to check.
    """
    if not isinstance(schema, dict):
        return schema
    definitions: _Schema = {}
    for keyword in _DEFINITIONS:
        if isinstance(named := schema.get(keyword), dict):
            definitions |= named
    return _translated(schema, definitions)


def _translated(given: JsonValue, definitions: Mapping[str, JsonValue]) -> _Schema:
    if not isinstance(given, dict):  # The schema True allows any value.
        return {}
    if isinstance(reference := given.get("$ref"), str):
        return _referred(reference.rpartition("/")[2], given, definitions)
    kept: _Schema = {key: value for key, value in given.items() if key in _KEYWORDS and key != "enum"}
    if choices := _choices(given):
        return _chosen(choices, kept, definitions)
    if isinstance(properties := kept.get("properties"), dict):
        kept["properties"] = {name: _translated(part, definitions) for name, part in properties.items()}
    if "items" in kept:
        kept["items"] = _translated(kept["items"], definitions)
    if kept.get("format", "enum") not in _FORMATS:
        del kept["format"]
    return kept | _values(given)


def _referred(name: str, given: _Schema, definitions: Mapping[str, JsonValue]) -> _Schema:
    """Return the schema that a reference points to; a recursive reference becomes any object."""
    found = definitions.get(name)
    if not isinstance(found, dict):
        return {"type": "object"}
    beside = {key: value for key, value in given.items() if key != "$ref"}
    return _translated({**found, **beside}, {key: value for key, value in definitions.items() if key != name})


def _choices(given: _Schema) -> list[JsonValue]:
    """Return the alternative schemas of a value; a list of types is one alternative for each.

    Beside properties they are ignored: there they only restrict combinations, and the properties matter more.
    """
    for keyword in () if "properties" in given else _CHOICES:
        if isinstance(choices := given.get(keyword), list):
            return choices
    kinds = given.get("type")
    return [{**given, "type": kind} for kind in kinds] if isinstance(kinds, list) else []


def _chosen(choices: list[JsonValue], kept: _Schema, definitions: Mapping[str, JsonValue]) -> _Schema:
    """Merge alternatives into one schema; Gemini allows nothing beside ``anyOf``, so each gets the other keywords."""
    schemas = [choice if isinstance(choice, dict) else {} for choice in choices]
    given = [schema for schema in schemas if schema.get("type") != "null"] or [{"type": "string"}]
    beside: _Schema = {key: value for key, value in kept.items() if key in _BESIDE}
    if any(schema.get("type") == "null" for schema in schemas):
        beside["nullable"] = True
    translated = [_translated({**beside, **schema}, definitions) for schema in given]
    return translated[0] if len(translated) == 1 else {"anyOf": list(translated)}


def _values(given: _Schema) -> _Schema:
    """Return the allowed values if all are texts, since Gemini supports no others."""
    values = [given["const"]] if "const" in given else given.get("enum")
    texts: list[JsonValue] = [value for value in values if value is not None] if isinstance(values, list) else []
    return {"type": "string", "enum": texts} if texts and all(isinstance(text, str) for text in texts) else {}
