"""Conversion of tools' JSON schemas to the subset that Gemini's ``Schema`` supports."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Final
from urllib.parse import unquote

from pydantic import JsonValue

from strands_portkey._errors import PortkeyConfigError

_Schema = dict[str, JsonValue]

_ANYWHERE: Final = frozenset({"type", "title", "description", "nullable", "default"})
_LIMITS: Final = frozenset({"format", "minimum", "maximum"})
# What Gemini allows beside each type.
_KEYWORDS: Final[Mapping[str, frozenset[str]]] = {
    "object": _ANYWHERE | {"properties", "required"},
    "array": _ANYWHERE | {"items", "minItems", "maxItems"},
    "string": _ANYWHERE | {"enum", "format", "pattern", "minLength", "maxLength"},
    "integer": _ANYWHERE | _LIMITS,
    "number": _ANYWHERE | _LIMITS,
    "boolean": _ANYWHERE,
}
_FORMATS: Final[Mapping[str, tuple[str, ...]]] = {
    "string": ("date-time", "enum"),
    "integer": ("int32", "int64"),
    "number": ("float", "double"),
}
# The type of a schema that has none, by a keyword that only says something about this type.
_TELLING: Final[Mapping[str, str]] = {
    **dict.fromkeys(("properties", "required", "additionalProperties", "patternProperties"), "object"),
    **dict.fromkeys(("items", "prefixItems", "minItems", "maxItems", "uniqueItems"), "array"),
    **dict.fromkeys(("pattern", "format", "minLength", "maxLength"), "string"),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"), "number"),
}
_TYPES: Final[Mapping[type, str]] = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    dict: "object",
    list: "array",
    type(None): "null",
}
_CHOICES: Final = ("anyOf", "oneOf")
_WITHIN: Final = frozenset({"$ref", "allOf", *_CHOICES, "properties", "required", "items", "prefixItems"})
_DEFINITIONS: Final = ("$defs", "definitions")
_TEXT: Final[_Schema] = {"type": "string"}
# Gemini refuses a schema without a type, so any value is a value of one of these.
_ANYTHING: Final[Sequence[_Schema]] = (
    _TEXT,
    {"type": "number"},
    {"type": "boolean"},
    {"type": "object"},
    {"type": "array", "items": {**_TEXT}},
)


def to_gemini_schema(schema: JsonValue) -> JsonValue:
    """Return a tool's schema in Gemini's form: no references, one type everywhere, no keyword that it does not know.

    Constraints that it cannot express, such as an exclusive bound, are left for the tool to check.

    Raises:
        PortkeyConfigError: If the schema is nested too deeply.
    """
    if not isinstance(schema, dict):
        return schema
    if not schema:
        return {"type": "object"}
    try:
        translated = _Document(schema).translated(schema, frozenset({"#"}))
    except RecursionError:
        raise PortkeyConfigError("a tool's schema must have few levels for Gemini; got too many") from None
    choices = translated.get("anyOf")
    return _one_object(choices) if isinstance(choices, list) else translated


class _Document:
    """A whole schema, in which references are looked up."""

    def __init__(self, root: _Schema) -> None:
        self._root = root

    def translated(self, given: JsonValue, seen: frozenset[str]) -> _Schema:
        """Return a part in Gemini's form.

        Args:
            given: The part.
            seen: The references that the part stands in; there they become a value of their type, of which no more
                is said.
        """
        flat, seen = self._flat(given, seen)
        if "properties" in flat:
            flat = self._with_choices(flat, seen)
        elif choices := _choices(flat):
            return self._chosen(choices, flat, seen)
        if (kinds := _kinds(flat)) == ["null"]:
            kinds, flat = ["string"], {**flat, "nullable": True}
        if len(kinds) != 1:
            beside = {key: value for key, value in flat.items() if key != "type"}
            return self._chosen([{"type": kind} for kind in kinds] or list(_ANYTHING), beside, seen)
        return self._typed(kinds[0], flat, seen)

    def _flat(self, given: JsonValue, seen: frozenset[str]) -> tuple[_Schema, frozenset[str]]:
        """Return a schema merged with those that it refers to and with all of `allOf`."""
        if not isinstance(given, dict):  # The schema True allows any value.
            return {}, seen
        flat = {key: value for key, value in given.items() if key not in ("$ref", "allOf")}
        if isinstance(reference := given.get("$ref"), str):
            target = self._find(reference)
            if target is None or reference in seen:
                found = _shallow(target or {})
            else:
                found, seen = self._flat(target, seen | {reference})
            flat = _merged(flat, found)
        parts = given.get("allOf")
        for part in parts if isinstance(parts, list) else ():
            found, seen = self._flat(part, seen)
            flat = _merged(flat, found)
        return flat, seen

    def _find(self, reference: str) -> _Schema | None:
        """Return what a reference points to, if it is in this document."""
        if not reference.startswith("#"):
            return None
        pointer = unquote(reference[1:])
        at: JsonValue = self._root
        for step in pointer.split("/")[1:]:
            at = _step(at, step.replace("~1", "/").replace("~0", "~"))
        if isinstance(at, dict) and (not pointer or pointer.startswith("/")):
            return at
        # A schema that was put into another one keeps its definitions, and references as if it were the root.
        return self._named.get(pointer.rpartition("/")[2])

    @cached_property
    def _named(self) -> dict[str, _Schema]:
        """The definitions and anchors anywhere in the document; of those with the same name the first."""
        named: dict[str, _Schema] = {}
        for part in _schemas_in(self._root):
            if isinstance(anchor := part.get("$anchor"), str):
                named.setdefault(anchor, part)
            for keyword in _DEFINITIONS:
                definitions = part.get(keyword)
                for name, found in definitions.items() if isinstance(definitions, dict) else ():
                    if isinstance(found, dict):
                        named.setdefault(name, found)
        return named

    def _with_choices(self, flat: _Schema, seen: frozenset[str]) -> _Schema:
        """Return an object that also has the properties of its alternatives, which say which of them go together."""
        own = flat["properties"]
        alternatives = [self._flat(choice, seen)[0].get("properties") for choice in _choices(flat)]
        return {**flat, "properties": {**_alternatives(alternatives), **own}} if isinstance(own, dict) else flat

    def _chosen(self, choices: Sequence[JsonValue], flat: _Schema, seen: frozenset[str]) -> _Schema:
        """Merge alternatives into one schema; Gemini allows nothing beside ``anyOf``, so each gets the other keywords.

        The default is left out: it is a value of one of them.
        """
        beside = {key: value for key, value in flat.items() if key not in (*_CHOICES, "default")}
        schemas = [_merged(choice if isinstance(choice, dict) else {}, beside) for choice in choices]
        values = [schema for schema in schemas if _kinds(schema) != ["null"]]
        if len(values) < len(schemas):
            values = [{**schema, "nullable": True} for schema in values or [{**beside, **_TEXT}]]
        return _any_of(self.translated(schema, seen) for schema in values)

    def _typed(self, kind: str, flat: _Schema, seen: frozenset[str]) -> _Schema:
        """Return a schema of a single type with the keywords of this type."""
        kept = {key: value for key, value in flat.items() if key in _KEYWORDS[kind] and key != "enum"}
        kept["type"] = kind
        if kept.get("format") not in _FORMATS.get(kind, ()):
            kept.pop("format", None)
        if None in (_values(flat) or ()):
            kept["nullable"] = True
        if kind == "object":
            self._complete_object(kept, seen)
        elif kind == "array":
            self._complete_array(kept, flat, seen)
        # Gemini has no other values than texts, and no empty ones.
        elif kind == "string" and (texts := [text for text in _values(flat) or () if isinstance(text, str) and text]):
            kept["enum"] = list(texts)
        return kept

    def _complete_object(self, kept: _Schema, seen: frozenset[str]) -> None:
        properties, required = kept.pop("properties", None), kept.pop("required", None)
        if isinstance(properties, dict):
            properties = {name: part for name, part in properties.items() if part is not False}
            kept["properties"] = {name: self.translated(part, seen) for name, part in properties.items()}
            names: list[JsonValue] = (
                [name for name in required if name in properties] if isinstance(required, list) else []
            )
            if names:
                kept["required"] = names

    def _complete_array(self, kept: _Schema, flat: _Schema, seen: frozenset[str]) -> None:
        """Set the items, which Gemini requires; those of a tuple may be in any order."""
        items, first = flat.get("items"), flat.get("prefixItems")
        if isinstance(items, list):  # As tuples were written before `prefixItems`.
            items, first = flat.get("additionalItems"), items
        if not isinstance(first, list):
            first = []
        if first and items is False:
            kept.setdefault("maxItems", len(first))
        more = [items] if isinstance(items, dict) or not first else []
        kept["items"] = _any_of(self.translated(part, seen) for part in [*first, *more])


def _step(at: JsonValue, step: str) -> JsonValue:
    if isinstance(at, list):
        return at[int(step)] if step.isdecimal() and int(step) < len(at) else None
    return at.get(step) if isinstance(at, dict) else None


def _schemas_in(value: JsonValue) -> Iterator[_Schema]:
    """Yield the objects in a value."""
    if isinstance(value, dict):
        yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _schemas_in(part)


def _shallow(target: _Schema) -> _Schema:
    """Return a schema without the parts in which it may refer to itself."""
    shallow = {key: value for key, value in target.items() if key not in _WITHIN}
    if not any(keyword in target for keyword in _CHOICES):
        shallow["type"] = next(iter(_kinds(target)), "object")
    return shallow


def _merged(first: _Schema, second: _Schema) -> _Schema:
    """Return a schema with the constraints of both; where only one can be kept, it is that of the first."""
    return {**second, **first} | {key: _both(key, first[key], second[key]) for key in first.keys() & second.keys()}


def _both(keyword: str, first: JsonValue, second: JsonValue) -> JsonValue:
    both = first
    if isinstance(first, dict) and isinstance(second, dict):
        if keyword == "properties":
            both = _merged_properties(first, second)
        elif keyword == "items" and first != second:
            joined: _Schema = {"allOf": [first, second]}
            both = joined
    elif keyword == "required" and isinstance(first, list) and isinstance(second, list):
        both = [*first, *(name for name in second if name not in first)]
    elif keyword == "enum" and isinstance(first, list) and isinstance(second, list):
        both = [value for value in first if value in second] or first
    elif keyword == "type":
        both = _both_types(_listed(first), _listed(second))
    elif isinstance(first, (int, float)) and isinstance(second, (int, float)):
        both = max(first, second) if keyword.startswith("min") else min(first, second)
    return both


def _both_types(first: list[JsonValue], second: list[JsonValue]) -> JsonValue:
    """Return the types in both lists; an integer is a number, the only type within another."""
    both: list[JsonValue] = [
        kind
        for kind in dict.fromkeys([*first, *second])
        if all(kind in kinds or (kind == "integer" and "number" in kinds) for kinds in (first, second))
    ]
    return both or [*first]


def _merged_properties(first: _Schema, second: _Schema) -> _Schema:
    return {
        **first,
        **second,
        **{
            name: first[name] if first[name] == second[name] else {"allOf": [first[name], second[name]]}
            for name in first
            if name in second
        },
    }


def _listed(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else [value]


def _choices(flat: _Schema) -> list[JsonValue]:
    found = (flat.get(keyword) for keyword in _CHOICES)
    return next((choices for choices in found if isinstance(choices, list) and choices), list[JsonValue]())


def _values(flat: _Schema) -> list[JsonValue] | None:
    """Return the values that are allowed, or None if they are not listed."""
    values = [flat["const"]] if "const" in flat else flat.get("enum")
    return values if isinstance(values, list) else None


def _kinds(flat: _Schema) -> list[str]:
    """Return the types that a value may have, as its values or keywords say it; none if all are possible."""
    given = [kind.lower() for kind in _listed(flat.get("type")) if isinstance(kind, str)]
    kinds = [kind for kind in given if kind in _KEYWORDS or kind == "null"]
    if values := _values(flat):
        found = list(dict.fromkeys(_TYPES[type(value)] for value in values))
        if not kinds:
            return [kind for kind in found if kind != "null"] or found
        if len(kinds) > 1:  # One whose values are not among them stands for nothing.
            kinds = [kind for kind in kinds if kind in found or (kind == "number" and "integer" in found)] or kinds
    return kinds or list(dict.fromkeys(_TELLING[key] for key in flat if key in _TELLING))[:1]


def _any_of(schemas: Iterable[_Schema]) -> _Schema:
    """Return the schema of a value for which one of these holds."""
    distinct: list[JsonValue] = []
    for each in _leaves(schemas):
        if each not in distinct:
            distinct.append(each)
    first = distinct[0]
    return first if len(distinct) == 1 and isinstance(first, dict) else {"anyOf": distinct}


def _leaves(schemas: Iterable[JsonValue]) -> Iterator[JsonValue]:
    for schema in schemas:
        choices = schema.get("anyOf") if isinstance(schema, dict) else None
        if isinstance(choices, list):
            yield from _leaves(choices)
        else:
            yield schema


def _alternatives(all_properties: Iterable[JsonValue]) -> _Schema:
    """Return the properties of all alternatives; one of several has a value for any of them."""
    found: dict[str, list[JsonValue]] = {}
    for properties in all_properties:
        for name, part in properties.items() if isinstance(properties, dict) else ():
            if part not in found.setdefault(name, []):
                found[name].append(part)
    return {name: parts[0] if len(parts) == 1 else {"anyOf": parts} for name, parts in found.items()}


def _one_object(choices: list[JsonValue]) -> _Schema:
    """Return alternatives as one object if all are objects: the arguments of a tool cannot be one of several."""
    objects = [choice for choice in choices if isinstance(choice, dict) and choice["type"] == "object"]
    if len(objects) < len(choices):
        return {"anyOf": choices}
    properties = _alternatives([each.get("properties") for each in objects])
    merged: _Schema = {"type": "object"}
    for each in objects:
        merged = {**each, **merged}
    merged["properties"] = {name: _any_of([part]) for name, part in properties.items() if isinstance(part, dict)}
    required = [_listed(each.get("required", [])) for each in objects]
    merged["required"] = [name for name in required[0] if all(name in names for names in required)]
    return {key: value for key, value in merged.items() if value or key != "required"}
