"""Schemas of tools in the form that Gemini accepts."""

from __future__ import annotations

import time
from typing import Any

import pytest
from pydantic import TypeAdapter

from strands_portkey import PortkeyConfigError
from strands_portkey._request.gemini_schema import to_gemini_schema

PLACE = {"type": "object", "properties": {"city": {"type": "string"}}, "additionalProperties": False}
PLAIN_PLACE = {"type": "object", "properties": {"city": {"type": "string"}}}
ANY: list[dict[str, Any]] = [
    {"type": "string"},
    {"type": "number"},
    {"type": "boolean"},
    {"type": "object"},
    {"type": "array", "items": {"type": "string"}},
]
STRINGS = {"type": "array", "items": {"type": "string"}}
NODE = {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}}


@pytest.mark.parametrize(
    ("schema", "translated"),
    [
        pytest.param({"type": "object", "$schema": "x", "additionalProperties": False}, {"type": "object"}, id="known"),
        pytest.param(True, True, id="no schema"),
        pytest.param({"items": True}, {"type": "array", "items": {"anyOf": ANY}}, id="anything"),
        pytest.param({"type": "array", "items": PLACE}, {"type": "array", "items": PLAIN_PLACE}, id="items"),
        pytest.param(
            {"type": ["string", "null"], "title": "Day"},
            {"type": "string", "title": "Day", "nullable": True},
            id="a type or null",
        ),
        pytest.param(
            {"type": ["string", "integer", "null"], "description": "Day."},
            {
                "anyOf": [
                    {"type": "string", "description": "Day.", "nullable": True},
                    {"type": "integer", "description": "Day.", "nullable": True},
                ]
            },
            id="types: nothing stands beside anyOf",
        ),
        pytest.param(
            {"oneOf": [{"type": "integer", "exclusiveMinimum": 0}, PLACE]},
            {"anyOf": [{"type": "integer"}, PLAIN_PLACE]},
            id="one of several",
        ),
        pytest.param({"allOf": [{"type": "integer"}], "title": "N"}, {"type": "integer", "title": "N"}, id="all of"),
        pytest.param({"anyOf": [{"type": "null"}]}, {"type": "string", "nullable": True}, id="null alone"),
        pytest.param({"anyOf": [True, PLACE]}, {"anyOf": [*ANY, PLAIN_PLACE]}, id="anything, or one of several"),
        pytest.param(
            {
                "$defs": {"Size": {"anyOf": [{"type": "integer"}, {"type": "string", "title": "S"}]}},
                "anyOf": [{"$ref": "#/$defs/Size"}, {"type": "null"}],
                "title": "N",
            },
            {
                "anyOf": [
                    {"type": "integer", "title": "N", "nullable": True},
                    {"type": "string", "title": "S", "nullable": True},
                ]
            },
            id="one of several within: nothing stands beside anyOf",
        ),
        pytest.param(
            {**PLACE, "anyOf": [{"required": ["city"]}, {"required": []}]}, PLAIN_PLACE, id="properties before choices"
        ),
        pytest.param({"const": "celsius"}, {"type": "string", "enum": ["celsius"]}, id="a constant"),
        pytest.param({"const": 1, "type": "integer"}, {"type": "integer"}, id="a constant that is no text"),
        pytest.param({"enum": ["a", "b"]}, {"type": "string", "enum": ["a", "b"]}, id="texts"),
        pytest.param(
            {"enum": ["a", None], "type": ["string", "null"]},
            {"type": "string", "enum": ["a"], "nullable": True},
            id="texts or null",
        ),
        pytest.param({"enum": [1, 2], "type": "integer"}, {"type": "integer"}, id="numbers"),
        pytest.param({"type": "string", "format": "uri"}, {"type": "string"}, id="an unknown format"),
        pytest.param(
            {"type": "string", "format": "date-time"}, {"type": "string", "format": "date-time"}, id="a known format"
        ),
        pytest.param(
            {"$defs": {"Place": PLACE}, "$ref": "#/$defs/Place", "description": "Where."},
            {**PLAIN_PLACE, "description": "Where."},
            id="a reference",
        ),
        pytest.param(
            {"definitions": {"Place": PLACE}, "properties": {"at": {"$ref": "#/definitions/Place"}}},
            {"type": "object", "properties": {"at": PLAIN_PLACE}},
            id="a reference of old",
        ),
        pytest.param(
            {"$defs": {"Node": NODE}, "$ref": "#/$defs/Node"},
            {"type": "object", "properties": {"next": {"type": "object"}}},
            id="a reference to itself ends",
        ),
        pytest.param({"$ref": "https://x/y"}, {"type": "object"}, id="a reference to elsewhere"),
    ],
)
def test_a_schema_has_only_keywords_that_gemini_accepts(schema, translated):
    assert to_gemini_schema(schema) == translated


def of(**properties):
    return {"type": "object", "properties": properties}


@pytest.mark.parametrize(
    ("schema", "translated"),
    [
        pytest.param(
            of(at=TypeAdapter(tuple[float, float]).json_schema()),
            of(at={"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}),
            id="a tuple",
        ),
        pytest.param(
            of(at=TypeAdapter(tuple[str, int, str]).json_schema()),
            of(
                at={
                    "type": "array",
                    "items": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
                    "minItems": 3,
                    "maxItems": 3,
                }
            ),
            id="a tuple of different types",
        ),
        pytest.param(
            of(at={"type": "array", "prefixItems": [{"type": "string"}], "items": {"type": "integer"}}),
            of(at={"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "integer"}]}}),
            id="a tuple and more items",
        ),
        pytest.param(
            of(at={"type": "array", "prefixItems": [{"type": "string"}], "items": False}),
            of(at={"type": "array", "items": {"type": "string"}, "maxItems": 1}),
            id="a tuple and no more items",
        ),
        pytest.param(
            of(at={"type": "array", "items": [{"type": "string"}, {"type": "integer"}], "additionalItems": False}),
            of(at={"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "integer"}]}, "maxItems": 2}),
            id="a tuple of old",
        ),
        pytest.param(
            of(rows={"type": "array", "items": {"type": "array"}}),
            of(rows={"type": "array", "items": {"type": "array", "items": {"anyOf": ANY}}}),
            id="an array without items, also within",
        ),
        pytest.param(
            of(tags={"type": ["array", "null"]}),
            of(tags={"type": "array", "items": {"anyOf": ANY}, "nullable": True}),
            id="an array without items, or null",
        ),
        pytest.param(
            of(x={"type": "array", "items": {"type": "string"}}, y={"$ref": "#/properties/x", "title": "Y"}),
            of(
                x={"type": "array", "items": {"type": "string"}},
                y={"type": "array", "items": {"type": "string"}, "title": "Y"},
            ),
            id="a reference to a property",
        ),
        pytest.param(
            of(x={"type": "array", "items": [{"type": "integer"}]}, y={"$ref": "#/properties/x/items/0"}),
            of(x={"type": "array", "items": {"type": "integer"}}, y={"type": "integer"}),
            id="a reference into a list",
        ),
        pytest.param(
            of(x={"$defs": {"Y": {"type": "string"}}, "type": "object"}, y={"$ref": "#/properties/x/$defs/Y"}),
            of(x={"type": "object"}, y={"type": "string"}),
            id="a reference to nested definitions",
        ),
        pytest.param(
            of(x={"$defs": {"Y": {"type": "string"}}, "$ref": "#/$defs/Y"}),
            of(x={"type": "string"}),
            id="a reference from a schema put into another",
        ),
        pytest.param(
            {"$defs": {"a/b": {"type": "string"}, "c~d": {"type": "integer"}}}
            | of(x={"$ref": "#/$defs/a~1b"}, y={"$ref": "#/$defs/c~0d"}),
            of(x={"type": "string"}, y={"type": "integer"}),
            id="a reference with ~",
        ),
        pytest.param(
            {"$defs": {"Page[int]": {"type": "integer"}}} | of(x={"$ref": "#/$defs/Page%5Bint%5D"}),
            of(x={"type": "integer"}),
            id="a reference with %",
        ),
        pytest.param(
            {"$defs": {"A": {"$anchor": "here", "type": "boolean"}}} | of(x={"$ref": "#here"}),
            of(x={"type": "boolean"}),
            id="a reference to an anchor",
        ),
        pytest.param(
            of(name={"type": "string"}, children={"type": "array", "items": {"$ref": "#", "description": "Child."}}),
            of(
                name={"type": "string"},
                children={"type": "array", "items": {"type": "object", "description": "Child."}},
            ),
            id="a reference to the root",
        ),
        pytest.param(
            {"$defs": {"L": {"type": "array", "items": {"$ref": "#/$defs/L"}}}} | of(x={"$ref": "#/$defs/L"}),
            of(x={"type": "array", "items": {"type": "array", "items": {"anyOf": ANY}}}),
            id="an array of itself",
        ),
        pytest.param(
            {"$defs": {"J": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"$ref": "#/$defs/J"}}]}}}
            | of(x={"$ref": "#/$defs/J"}),
            of(x={"anyOf": [{"type": "string"}, {"type": "array", "items": {"anyOf": ANY}}]}),
            id="one of several of which one contains all",
        ),
        pytest.param(
            {"$defs": {"A": {"allOf": [{"$ref": "#/$defs/B"}]}, "B": {"$ref": "#/$defs/A"}}}
            | of(x={"$ref": "#/$defs/A"}),
            of(x={"type": "object"}),
            id="references in a circle",
        ),
        pytest.param(
            of(x={"$ref": "other.json", "type": "string"}, y={"$ref": "#/$defs/gone", "description": "Y."}),
            of(x={"type": "string"}, y={"type": "object", "description": "Y."}),
            id="references to nothing",
        ),
        pytest.param(
            of(x={"type": "string", "properties": {"a": {"type": "string"}}, "required": ["a"], "items": {}}),
            of(x={"type": "string"}),
            id="properties and items of a text",
        ),
        pytest.param(
            of(x={"type": ["object", "string"], "properties": {"a": {"type": "string"}}, "maxLength": 9}),
            of(x={"anyOf": [of(a={"type": "string"}), {"type": "string", "maxLength": 9}]}),
            id="properties of an object or text",
        ),
        pytest.param(
            of(x={"type": "integer", "format": "date-time", "pattern": "a", "minLength": 1}),
            of(x={"type": "integer"}),
            id="limits of a text on a number",
        ),
        pytest.param(
            of(x={"type": "string", "enum": ["", "a"]}, y={"const": ""}, z={"enum": ["", None]}),
            of(
                x={"type": "string", "enum": ["a"]},
                y={"type": "string"},
                z={"type": "string", "nullable": True},
            ),
            id="an empty text among the values",
        ),
        pytest.param(
            of(a={"type": "string"}) | {"required": ["a", "b"]},
            of(a={"type": "string"}) | {"required": ["a"]},
            id="required without its property",
        ),
        pytest.param(of(x={"type": "object", "required": ["b"]}), of(x={"type": "object"}), id="required alone"),
        pytest.param(
            of(x=False, y={"type": "string"}) | {"required": ["x"]},
            of(y={"type": "string"}),
            id="a property that must not be",
        ),
        pytest.param(
            of(
                x={
                    "allOf": [
                        of(a={"type": "string"}, c={"minimum": 1}) | {"required": ["a"]},
                        of(b={"type": "integer"}, c={"type": "integer"}) | {"required": ["b"]},
                    ],
                    "description": "Both.",
                }
            ),
            of(
                x=of(a={"type": "string"}, b={"type": "integer"}, c={"type": "integer", "minimum": 1})
                | {"required": ["a", "b"], "description": "Both."}
            ),
            id="all of several objects",
        ),
        pytest.param(
            {"$defs": {"Base": of(a={"type": "string"})}}
            | of(x={"allOf": [{"$ref": "#/$defs/Base"}], "properties": {"b": {"type": "integer"}}}),
            of(x=of(a={"type": "string"}, b={"type": "integer"})),
            id="all of a base and more",
        ),
        pytest.param(
            of(x={"allOf": [{"type": "number", "minimum": 1, "maximum": 9}, {"type": "integer", "maximum": 5}]}),
            of(x={"type": "integer", "minimum": 1, "maximum": 5}),
            id="all of several limits",
        ),
        pytest.param(
            of(x={"allOf": [{"enum": ["a", "b"]}, {"enum": ["b", "c"]}]}),
            of(x={"type": "string", "enum": ["b"]}),
            id="all of several lists of values",
        ),
        pytest.param(
            of(x={"allOf": [{"anyOf": [{"type": "string"}, {"type": "null"}]}, {"maxLength": 5}]}),
            of(x={"type": "string", "maxLength": 5, "nullable": True}),
            id="all of alternatives and a limit",
        ),
        pytest.param(
            of(a={"const": 1}, b={"const": 1.5}, c={"const": True}, d={"enum": [1, None]}),
            of(
                a={"type": "integer"},
                b={"type": "number"},
                c={"type": "boolean"},
                d={"type": "integer", "nullable": True},
            ),
            id="constants that are no texts keep their type",
        ),
        pytest.param(
            of(a={"enum": ["auto", 1]}, b={"type": ["integer", "string"], "enum": ["a"]}, c={"const": None}),
            of(
                a={"anyOf": [{"type": "string", "enum": ["auto"]}, {"type": "integer"}]},
                b={"type": "string", "enum": ["a"]},
                c={"type": "string", "nullable": True},
            ),
            id="values of several types",
        ),
        pytest.param(
            of(a={"type": "integer", "enum": ["1"]}, b={"type": "number", "const": "1"}),
            of(a={"type": "integer"}, b={"type": "number"}),
            id="texts as the values of numbers",
        ),
        pytest.param(
            of(a={}, b={"type": "any", "title": "B"}, c={"properties": {}}, d={"pattern": "x"}, e={"type": "null"}),
            of(
                a={"anyOf": ANY},
                b={"anyOf": [{**each, "title": "B"} for each in ANY]},
                c={"type": "object", "properties": {}},
                d={"type": "string", "pattern": "x"},
                e={"type": "string", "nullable": True},
            ),
            id="no type",
        ),
        pytest.param({}, {"type": "object"}, id="no arguments"),
        pytest.param(
            {
                "oneOf": [
                    of(kind={"const": "a"}, a={"type": "string"}) | {"required": ["kind", "a"]},
                    of(kind={"const": "b"}, b={"type": "integer"}) | {"required": ["kind"]},
                ],
                "title": "T",
            },
            of(
                kind={
                    "anyOf": [{"type": "string", "enum": ["a"]}, {"type": "string", "enum": ["b"]}],
                },
                a={"type": "string"},
                b={"type": "integer"},
            )
            | {"required": ["kind"], "title": "T"},
            id="arguments that are one of several objects",
        ),
        pytest.param(
            of(kind={"type": "string"}) | {"anyOf": [of(a={"type": "string"}), of(a={"type": "integer"})]},
            of(a={"anyOf": [{"type": "string"}, {"type": "integer"}]}, kind={"type": "string"}),
            id="properties of alternatives",
        ),
    ],
)
def test_the_arguments_of_a_tool_become_a_schema_that_gemini_accepts(schema, translated):
    assert to_gemini_schema(schema) == translated


def test_a_schema_of_many_references_to_nothing_takes_no_time_that_grows_with_its_square():
    schema = of(**{f"p{number}": {"$ref": f"#/none/{number}"} for number in range(2000)})
    began = time.thread_time()
    to_gemini_schema(schema)

    assert time.thread_time() - began < 1


def test_a_schema_of_very_many_levels_raises():
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(5000):
        schema = {"type": "object", "properties": {"x": schema}}

    with pytest.raises(PortkeyConfigError, match="few levels for Gemini"):
        to_gemini_schema(schema)


@pytest.mark.parametrize(
    ("schema", "translated"),
    [
        pytest.param(
            {
                "type": "object",
                "properties": {
                    "x": {"allOf": [{"type": "array", "items": {"type": "string"}}, {"items": {"maxLength": 5}}]}
                },
            },
            {
                "type": "object",
                "properties": {"x": {"type": "array", "items": {"type": "string", "maxLength": 5}}},
            },
            id="items from two parts",
        ),
        pytest.param(
            {"type": "object", "properties": {"x": {"allOf": [STRINGS, STRINGS]}}},
            {"type": "object", "properties": {"x": STRINGS}},
            id="the same items in two parts",
        ),
        pytest.param(
            {
                "anyOf": [
                    PLAIN_PLACE,
                    {"type": "object", "properties": {"city": {"type": "string"}, "b": {"type": "number"}}},
                ]
            },
            {"type": "object", "properties": {"city": {"type": "string"}, "b": {"type": "number"}}},
            id="a property that two alternatives have alike",
        ),
        pytest.param(
            {"type": "object", "properties": {"x": {"$ref": "#/nowhere/N"}}, "$defs": {"N": True}},
            {"type": "object", "properties": {"x": {"type": "object"}}},
            id="a definition that is no object",
        ),
    ],
)
def test_parts_of_a_schema_are_joined(schema, translated):
    assert to_gemini_schema(schema) == translated
