"""Gemini's generateContent, on the Gemini API and on Vertex AI."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

Body = dict[str, Any]

_MIME_TYPES = {
    "application/pdf", "text/plain", "image/png", "image/jpeg", "image/webp", "image/gif", "image/heic", "image/heif",
    "audio/mpeg", "audio/mp3", "audio/wav", "audio/aac", "audio/ogg", "audio/flac", "audio/mp4", "video/mp4",
    "video/mpeg", "video/quicktime", "video/webm", "video/x-flv", "video/wmv", "video/3gpp",
}  # fmt: skip
_DATA = {"text", "inlineData", "fileData", "functionCall", "functionResponse"}
_PART = _DATA | {"thought", "thoughtSignature"}
# Of JSON schema, `Schema` knows these.
_SCHEMA = {
    "type", "format", "title", "description", "nullable", "enum", "items", "properties", "required", "minItems",
    "maxItems", "minimum", "maximum", "minLength", "maxLength", "pattern", "anyOf", "default", "propertyOrdering",
    "example", "minProperties", "maxProperties",
}  # fmt: skip
_TYPES = {"string", "number", "integer", "boolean", "array", "object", "null"}
_ONLY = {"properties": "object", "required": "object", "items": "array", "enum": "string"}
"""The type that a keyword is allowed for."""


def faults(body: Any, signed: Sequence[str] | None = None) -> Iterator[str]:
    """Yield what Gemini would refuse.

    Args:
        body: The native request.
        signed: The signatures that the model has given, for Gemini 3, which wants them back; None for older ones.
    """
    contents = body["contents"]
    for number, content in enumerate(contents):
        where = f"GenerateContentRequest.contents[{number}]"
        # "function" is what the API called the role of results at first, and still takes.
        if content["role"] not in ("user", "model", "function"):
            yield "Please use a valid role: user, model."
        if not content["parts"]:
            yield f"* {where}.parts: contents.parts must not be empty."
        for index, part in enumerate(content["parts"]):
            yield from _part(part, f"{where}.parts[{index}]")
    yield from _turns(contents)
    if signed is not None:
        yield from _signatures(contents, signed)
    for declarations in body.get("tools") or ():
        for index, declaration in enumerate(declarations.get("functionDeclarations") or ()):
            parameters = declaration.get("parameters")
            if isinstance(parameters, dict) and str(parameters.get("type")).lower() != "object":
                words = "functionDeclaration parameters schema should be of type OBJECT."
                yield f"Unable to submit request because {declaration['name']} {words}"
            yield from _schema(parameters, f"tools[0].function_declarations[{index}].parameters")
    yield from _schema((body.get("generationConfig") or {}).get("responseSchema"), "generation_config.response_schema")


def _part(part: Body, where: str) -> Iterator[str]:
    for key in sorted(part.keys() - _PART):
        yield f"Invalid JSON payload received. Unknown name \"{key}\" at '{where}': Cannot find field."
    data = part.keys() & _DATA
    if len(data) != 1 or part.get("text") == "":
        yield f"* {where}.data: required oneof field 'data' must have one initialized field"
    elif "text" in part and not part["text"].strip():
        yield f"* {where}.text: must not be blank (our words)"
    elif "inlineData" in part and part["inlineData"]["mimeType"] not in _MIME_TYPES:
        yield f"Unsupported MIME type: {part['inlineData']['mimeType']}"
    elif "functionCall" in part and not isinstance(part["functionCall"].get("args", {}), dict):
        yield f"Invalid value at '{where}.function_call.args' (type.googleapis.com/google.protobuf.Struct)"
    elif "functionResponse" in part and not isinstance(part["functionResponse"]["response"], dict):
        yield f"Invalid value at '{where}.function_response.response' (type.googleapis.com/google.protobuf.Struct)"


def _turns(contents: Sequence[Body]) -> Iterator[str]:
    before: Body | None = None
    for content in contents:
        called, answered = _names(before, "functionCall"), _names(content, "functionResponse")
        if answered and not called:
            yield "Please ensure that function response turn comes immediately after a function call turn."
        elif len(answered) != len(called):
            yield (
                "Please ensure that the number of function response parts is equal to the number of function call parts"
                " of the function call turn."
            )
        elif answered != called:
            yield f"The function responses {answered} do not stand for the function calls {called} (our words)"
        if _names(content, "functionCall") and (before is None or before["role"] == "model"):
            yield (
                "Please ensure that function call turn comes immediately after a user turn or after a function response"
                " turn."
            )
        if before is not None and before["role"] == content["role"]:
            yield "Please ensure that multiturn requests alternate between user and model."
        before = content
    if before is None or before["role"] == "model":
        yield "Please ensure that multiturn requests end with a user role or a function response."


def _names(content: Body | None, kind: str) -> list[str]:
    return [part[kind]["name"] for part in content["parts"] if kind in part] if content else []


def _signatures(contents: Sequence[Body], signed: Sequence[str]) -> Iterator[str]:
    """Yield what is wrong with signatures: the first call of each step of the turn under way needs one."""
    start = max((at for at, content in enumerate(contents) if content["role"] == "user"), default=0)
    for number, content in enumerate(contents):
        calls = [(at, part) for at, part in enumerate(content["parts"]) if "functionCall" in part]
        for _, part in calls:
            if "thoughtSignature" in part and part["thoughtSignature"] not in signed:
                yield "Corrupted thought signature."
        if calls and number > start and "thoughtSignature" not in calls[0][1]:
            at, part = calls[0]
            yield (
                "Function call is missing a thought_signature in functionCall parts. This is required for tools to work"
                " correctly, and missing thought_signature may lead to degraded model performance. Additional data,"
                f" function call `default_api:{part['functionCall']['name']}`, position {at + 1}."
            )


def _schema(schema: Any, where: str) -> Iterator[str]:
    if not isinstance(schema, dict):
        return
    for key in sorted(schema.keys() - _SCHEMA):
        yield f"Invalid JSON payload received. Unknown name \"{key}\" at '{where}': Cannot find field."
    kind = schema.get("type")
    if isinstance(kind, list):
        words = "Proto field is not repeating, cannot start list."
        yield f"Invalid JSON payload received. Unknown name \"type\" at '{where}': {words}"
    elif isinstance(kind, str) and kind.lower() not in _TYPES:
        of = "type.googleapis.com/google.ai.generativelanguage.v1beta.Type"
        yield f"Invalid value at '{where}.type' ({of}), \"{kind}\""
    elif kind is None and "anyOf" not in schema:
        yield f"Unable to submit request because `{where}` schema didn't specify the schema type field."
    else:
        yield from _keywords(schema, kind, where)
    if "anyOf" in schema and len(schema) > 1:
        yield f"Unable to submit request because {where} schema specified other fields alongside any_of."
    for name, part in (schema.get("properties") or {}).items():
        yield from _schema(part, f"{where}.properties[{name}].value")
    yield from _schema(schema.get("items"), f"{where}.items")
    for number, part in enumerate(schema.get("anyOf") or ()):
        yield from _schema(part, f"{where}.any_of[{number}]")


def _keywords(schema: Body, kind: str | None, where: str) -> Iterator[str]:
    """Yield what is wrong with a schema of this type, or with one that has `anyOf` instead."""
    kind = (kind or "").lower()
    for keyword, of in _ONLY.items():
        if keyword in schema and kind != of:
            yield f"* {where}.{keyword}: only allowed for {of.upper()} type"
    if kind == "string" and schema.get("format", "enum") not in ("enum", "date-time"):
        yield f"* {where}.format: only 'enum' and 'date-time' are supported for STRING type"
    if kind == "array" and not schema.get("items"):
        yield f"* {where}.items: missing field."
    for number, value in enumerate(schema.get("enum") or ()):
        if not isinstance(value, str):
            yield f"Invalid value at '{where}.enum[{number}]' (TYPE_STRING), {value}"
        elif not value:
            yield f"* {where}.enum[{number}]: cannot be empty"
    for number, name in enumerate(schema.get("required") or ()):
        if name not in (schema.get("properties") or {}):
            yield f"* {where}.required[{number}]: property is not defined"
