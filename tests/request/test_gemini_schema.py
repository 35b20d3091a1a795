"""Schemas of tools in the form that Gemini accepts."""

from __future__ import annotations

import pytest

from strands_portkey._request.gemini_schema import to_gemini_schema

PLACE = {"type": "object", "properties": {"city": {"type": "string"}}, "additionalProperties": False}
PLAIN_PLACE = {"type": "object", "properties": {"city": {"type": "string"}}}
NODE = {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}}


@pytest.mark.parametrize(
    ("schema", "translated"),
    [
        pytest.param({"type": "object", "$schema": "x", "additionalProperties": False}, {"type": "object"}, id="known"),
        pytest.param(True, True, id="no schema"),
        pytest.param({"items": True}, {"items": {}}, id="anything"),
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
        pytest.param({"anyOf": [True, PLACE]}, {"anyOf": [{}, PLAIN_PLACE]}, id="anything, or one of several"),
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
            {"properties": {"at": PLAIN_PLACE}},
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
