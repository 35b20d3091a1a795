"""How a schema is required of an answer, and how the answer is read."""

from __future__ import annotations

from datetime import date
from typing import Literal, Optional

import pytest
from pydantic import AnyUrl, BaseModel, Field, RootModel
from strands.tools.structured_output import convert_pydantic_to_tool_spec

from strands_portkey import PortkeyAPIError, PortkeyStreamError
from strands_portkey._answer.judgement import Judge
from strands_portkey._answer.output import to_output
from strands_portkey._request.schemas import (
    is_rejection,
    to_output_schema,
    to_tool_spec,
)
from strands_portkey._wires.chat.dialects import DIALECTS, find_mechanisms


@pytest.mark.parametrize(
    ("dialect", "mechanisms"),
    [
        ("anthropic", ["forced", "auto"]),
        ("bedrock", ["forced", "auto"]),
        ("cohere", ["forced", "auto"]),
        ("deepseek", ["schema", "auto"]),
        ("fireworks", ["schema", "auto"]),
        ("gemini", ["schema", "forced", "auto"]),
        ("groq", ["schema", "forced", "auto"]),
        ("mistral", ["forced", "auto"]),
        ("ollama", ["schema", "auto"]),
        ("openai", ["schema", "forced", "auto"]),
        ("openrouter", ["schema", "forced", "auto"]),
        ("perplexity", ["schema", "auto"]),
    ],
)
def test_each_upstream_gets_the_schema_mechanisms_that_it_accepts(dialect, mechanisms):
    assert find_mechanisms(DIALECTS[dialect], {}) == mechanisms


def test_the_table_of_mechanisms_has_each_dialect():
    assert len(DIALECTS) == 12


@pytest.mark.parametrize(
    ("thinking", "mechanisms"),
    [
        ({"type": "enabled", "budget_tokens": 1024}, ["auto"]),
        ({"type": "adaptive"}, ["auto"]),
        ({"type": "disabled"}, ["forced", "auto"]),
        (None, ["forced", "auto"]),
    ],
    ids=repr,
)
def test_a_model_that_thinks_is_not_forced_to_call_a_tool(thinking, mechanisms):
    assert find_mechanisms(DIALECTS["anthropic"], {"thinking": thinking}) == mechanisms


@pytest.mark.parametrize(
    ("mechanism", "error", "rejected"),
    [
        ("schema", PortkeyAPIError("Invalid schema for response_format 'Out'", status_code=400), True),
        ("schema", PortkeyAPIError("bad", param="response_format", status_code=422), True),
        ("schema", PortkeyAPIError("Invalid value at generation_config.response_schema", status_code=400), True),
        ("schema", PortkeyAPIError("This response_format type is unavailable now", status_code=503), False),
        ("schema", PortkeyAPIError("1 validation error: {'loc': ('body', 'response_format')}", status_code=500), True),
        ("schema", PortkeyAPIError("messages: too many", status_code=400), False),
        (
            "forced",
            PortkeyAPIError("Thinking may not be enabled when tool_choice forces tool use", status_code=400),
            True,
        ),
        ("forced", PortkeyAPIError("This model doesn't support the toolConfig.toolChoice.any", status_code=400), True),
        ("forced", PortkeyAPIError("No endpoints found that support tool choice", status_code=404), True),
        ("forced", PortkeyAPIError("response_format", status_code=400), False),
        ("auto", PortkeyAPIError("tool_choice", status_code=400), False),
    ],
    ids=lambda value: str(value) if isinstance(value, PortkeyAPIError) else "",
)
def test_an_error_shows_whether_the_mechanism_was_refused(mechanism, error, rejected):
    assert is_rejection(error, mechanism) is rejected


class Leg(BaseModel):
    end: str = Field(default="here", description="Where it ends.")


class Trip(BaseModel):
    """A trip."""

    on: date
    kind: Literal["air", "rail"] = "rail"
    legs: list[Leg] = Field(min_length=1)
    last: Leg = Field(description="The last one.")
    note: Optional[str] = None  # noqa: UP045 - as users on Python 3.10 write it


def test_a_strict_schema_closes_every_object_and_requires_every_property():
    leg = {
        "type": "object",
        "title": "Leg",
        "properties": {"end": {"type": "string", "title": "End", "description": "Where it ends."}},
        "required": ["end"],
        "additionalProperties": False,
    }

    assert to_output_schema(Trip) == {
        "name": "Trip",
        "strict": True,
        "schema": {
            "type": "object",
            "title": "Trip",
            "description": "A trip.",
            "$defs": {"Leg": leg},
            "properties": {
                "on": {"type": "string", "format": "date", "title": "On"},
                "kind": {"type": "string", "enum": ["air", "rail"], "title": "Kind"},
                "legs": {"type": "array", "items": {"$ref": "#/$defs/Leg"}, "minItems": 1, "title": "Legs"},
                "last": {"$ref": "#/$defs/Leg"},
                "note": {"anyOf": [{"type": "string"}, {"type": "null"}], "title": "Note"},
            },
            "required": ["on", "kind", "legs", "last", "note"],
            "additionalProperties": False,
        },
    }


class Open(BaseModel):
    counts: dict[str, int]


class Anything(BaseModel):
    value: object


class Sized(BaseModel):
    name: str = Field(max_length=3)


class Loose(BaseModel):
    items: str = Field(json_schema_extra={"type": "array"})


class Looser(BaseModel):
    items: list[str] = Field(json_schema_extra={"items": True})


class Coded(BaseModel):
    code: str = Field(json_schema_extra={"pattern": "^(?!0)"})


class Linked(BaseModel):
    url: AnyUrl


class Listed(RootModel[list[int]]):
    pass


class Pair(BaseModel):
    pair: tuple[int, str]


@pytest.mark.parametrize("model", [Open, Anything, Loose, Looser, Sized, Coded, Linked, Listed, Pair])
def test_a_schema_that_strict_mode_cannot_express_goes_as_it_is(model):
    assert to_output_schema(model) == {"name": model.__name__, "strict": False, "schema": model.model_json_schema()}


class Node(BaseModel):
    """A node."""

    name: str
    children: list[Node]


class Forest(BaseModel):
    trees: list[Node]


REFERENCE = {"$ref": "#/$defs/Node"}
NODE = {
    "type": "object",
    "title": "Node",
    "description": "A node.",
    "properties": {
        "name": {"type": "string", "title": "Name"},
        "children": {"type": "array", "items": REFERENCE, "title": "Children"},
    },
    "required": ["name", "children"],
}
FOREST = {
    "type": "object",
    "title": "Forest",
    "properties": {"trees": {"type": "array", "items": REFERENCE, "title": "Trees"}},
    "required": ["trees"],
    "$defs": {"Node": NODE},
}


def test_the_schema_of_a_recursive_model_is_an_object_that_refers_to_itself():
    closed = {**NODE, "additionalProperties": False}

    assert to_output_schema(Node) == {"name": "Node", "strict": True, "schema": {**closed, "$defs": {"Node": closed}}}


@pytest.mark.parametrize(
    ("model", "spec"),
    [
        pytest.param(
            Node,
            {"name": "Node", "description": "A node.", "inputSchema": {"json": {**NODE, "$defs": {"Node": NODE}}}},
            id="recursive",
        ),
        pytest.param(
            Forest, {"name": "Forest", "description": "Forest", "inputSchema": {"json": FOREST}}, id="recursive within"
        ),
        pytest.param(Trip, convert_pydantic_to_tool_spec(Trip), id="as Strands has it"),
    ],
)
def test_any_output_model_becomes_a_tool(model, spec):
    assert to_tool_spec(model) == spec


def test_a_schemas_name_has_only_characters_that_openai_accepts():
    model = type("Größe[" + "x" * 70, (BaseModel,), {})

    assert to_output_schema(model)["name"] == "Gr__e_" + "x" * 58


def answer(*content):
    return {"role": "assistant", "content": list(content)}


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(answer({"text": '{"end":'}, {"text": '"sea"}'}), id="JSON text"),
        pytest.param(
            answer({"text": "Here:"}, {"toolUse": {"toolUseId": "1", "name": "Leg", "input": {"end": "sea"}}}),
            id="tool",
        ),
    ],
)
def test_an_answer_becomes_an_instance_of_the_output_model(message):
    assert to_output(Leg, message, "Leg", Judge()) == Leg(end="sea")


@pytest.mark.parametrize(
    ("message", "said"),
    [
        pytest.param(answer({"text": "To the sea."}), "[{'text': 'To the sea.'}]", id="prose"),
        pytest.param(
            answer({"toolUse": {"toolUseId": "1", "name": "Leg", "input": {"end": 5}}}),
            "[{'toolUse': {'toolUseId': '1', 'name': 'Leg', 'input': {'end': 5}}}]",
            id="a wrong type",
        ),
        pytest.param(
            answer({"toolUse": {"toolUseId": "1", "name": "other", "input": {"end": "sea"}}}),
            "[{'toolUse': {'toolUseId': '1', 'name': 'other', 'input': {'end': 'sea'}}}]",
            id="another tool",
        ),
        pytest.param(answer(), "[]", id="nothing"),
    ],
)
def test_an_answer_that_does_not_fit_raises_and_is_quoted(message, said):
    with pytest.raises(PortkeyStreamError, match=r"^the answer does not fit Leg: ") as caught:
        to_output(Leg, message, "Leg", Judge())

    assert str(caught.value).endswith(f"\nThe model said: {said}")
    assert (caught.value.origin, caught.value.retryable) == ("provider", True)


class Legs(BaseModel):
    """Some legs."""

    ends: list[int]


@pytest.mark.parametrize(
    ("ends", "problems"),
    [
        (6, "; ".join(f"ends.{number}: Input should be a valid integer" for number in range(5)) + "; and 1 more"),
        (1001, "1001 problems"),
    ],
    ids=["several", "too many to describe"],
)
def test_the_first_problems_of_an_answer_are_named_without_its_values(ends, problems):
    message = answer({"toolUse": {"toolUseId": "1", "name": "Legs", "input": {"ends": [None] * ends}}})

    with pytest.raises(PortkeyStreamError) as caught:
        to_output(Legs, message, "Legs", Judge())

    assert str(caught.value).splitlines()[0] == f"the answer does not fit Legs: {problems}"
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)
