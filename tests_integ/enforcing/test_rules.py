"""Each rule bites: a request that is good but for one thing is refused because of it."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tests_integ.enforcing import rules
from tests_integ.record.providers import (
    ANTHROPIC,
    BEDROCK,
    COHERE,
    DEEPSEEK,
    FIREWORKS,
    GOOGLE,
    GROQ,
    MISTRAL,
    OLLAMA,
    OPENAI,
    OPENROUTER,
    PERPLEXITY,
    Provider,
)
from tests_integ.test_fidelity import HIDDEN, KEPT, PATHS, SIGNED, providers

Body = dict[str, Any]
Change = Callable[[Body], object]

_CALLS: list[Body] = [
    {"id": call_id, "type": "function", "function": {"name": "get_time", "arguments": "{}"}}
    for call_id in ("callone11", "calltwo22")
]
_PLAIN: Body = {
    "model": "model",
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What time is it?"},
        {"role": "assistant", "content": "Let me look.", "tool_calls": _CALLS},
        {"role": "tool", "tool_call_id": "callone11", "content": "12:00"},
        {"role": "tool", "tool_call_id": "calltwo22", "content": "12:01"},
        {"role": "assistant", "content": "Noon."},
        {"role": "user", "content": "And now?"},
    ],
    "tools": [{"type": "function", "function": {"name": "get_time", "parameters": {"type": "object"}}}],
}
"""A good request to those whose kept one has a fault, or little in it."""


def good(provider: Provider) -> Body:
    """Return a native request that has no fault."""
    if provider in (MISTRAL, COHERE, DEEPSEEK, PERPLEXITY):
        return copy.deepcopy(_PLAIN)
    body: Body = json.loads((KEPT / f"{provider.folder}.json").read_text())["body"]
    return body


def at(body: Any, *path: str | int) -> Any:
    """Return what stands there."""
    for step in path:
        body = body[step]
    return body


DAY = ("tools", 0, "functionDeclarations", 0, "parameters", "items")
"""A place of a schema in a request to Gemini."""


def put(*path: str | int, value: Any) -> Change:
    """Return a change that puts a value there."""

    def change(body: Body) -> None:
        at(body, *path[:-1])[path[-1]] = value

    return change


def cut(*path: str | int) -> Change:
    """Return a change that takes away what stands there."""
    return lambda body: at(body, *path[:-1]).pop(path[-1])


def add(*path: str | int, value: Any) -> Change:
    """Return a change that adds a value to the list there."""
    return lambda body: at(body, *path).append(value)


def swap(*path: str | int) -> Change:
    """Return a change that turns the list there round."""
    return lambda body: at(body, *path).reverse()


def until(length: int) -> Change:
    """Return a change that ends the conversation earlier."""

    def change(body: Body) -> None:
        key = "contents" if "contents" in body else "messages"
        del body[key][length:]

    return change


EPHEMERAL = {"type": "ephemeral"}
TEXT = {"type": "text", "text": "Hi"}
MARKED_TEXT = {**TEXT, "cache_control": EPHEMERAL}
HOUR_TEXT = {**TEXT, "cache_control": {"type": "ephemeral", "ttl": "1h"}}
BAD: Sequence[tuple[Provider, str, Sequence[Change]]] = [
    # Ids and inputs of calls.
    (OPENAI, "got a string with length 44", [put("messages", 2, "tool_calls", 0, "id", value="portkey-" + "0" * 36)]),
    (BEDROCK, "Provide a json object", [put("messages", 1, "content", -1, "toolUse", "input", value=["x"])]),
    # Claude on Anthropic's servers. Message 1 has thinking and calls, 2 and 3 are their results.
    (ANTHROPIC, "max_tokens: Field required", [cut("max_tokens")]),
    (ANTHROPIC, "must be greater than `thinking.budget_tokens`", [put("max_tokens", value=1024)]),
    (ANTHROPIC, "budget_tokens: Input should be greater", [put("thinking", "budget_tokens", value=1000)]),
    (ANTHROPIC, "`temperature` may only be set to 1", [put("temperature", value=0.5)]),
    (ANTHROPIC, "Thinking may not be enabled", [put("tool_choice", value={"type": "any"})]),
    (ANTHROPIC, "Thinking may not be enabled", [put("tool_choice", value={"type": "tool", "name": "get_time"})]),
    (ANTHROPIC, "only be specified while providing tools", [cut("tools"), put("tool_choice", value={"type": "auto"})]),
    (ANTHROPIC, "response_format: Extra inputs", [put("response_format", value={})]),
    (ANTHROPIC, "system: text content blocks must be non-empty", [put("system", 0, "text", value="")]),
    (ANTHROPIC, "must contain non-whitespace text", [put("system", 0, "text", value=" ")]),
    (ANTHROPIC, 'Unexpected role "system"', [put("messages", 0, "role", value="system")]),
    (ANTHROPIC, "all messages must have non-empty content", [put("messages", 4, "content", value=[])]),
    (ANTHROPIC, "text content blocks must be non-empty", [put("messages", 0, "content", 0, "text", value="")]),
    (ANTHROPIC, "must contain non-whitespace text", [put("messages", 4, "content", 0, "text", value=" \n")]),
    (ANTHROPIC, "cannot be set for empty text", [put("messages", 0, "content", 0, value={**MARKED_TEXT, "text": ""})]),
    (ANTHROPIC, "expected tags", [put("messages", 0, "content", 0, value={"type": "image_url", "image_url": {}})]),
    (ANTHROPIC, "expected tags", [put("messages", 2, "content", 0, "content", 1, value={"type": "image_url"})]),
    (ANTHROPIC, "expected tags", [add("messages", 4, "content", value={"type": "image", "source": {}})]),
    (ANTHROPIC, "media_type: Input should be", [put("messages", 0, "content", 1, "source", "media_type", value="a/b")]),
    (ANTHROPIC, "invalid base64", [put("messages", 5, "content", 1, "source", "data", value="data:a/b;base64,AA==")]),
    (ANTHROPIC, "thinking.signature: Field required", [cut("messages", 1, "content", 0, "signature")]),
    (ANTHROPIC, "Invalid `signature`", [put("messages", 1, "content", 0, "signature", value="OTHER==")]),
    (ANTHROPIC, "Invalid `signature`", [put("messages", 1, "content", 0, "thinking", value="Another thought.")]),
    (ANTHROPIC, "Invalid `data`", [put("messages", 1, "content", 1, "data", value="OTHER==")]),
    (ANTHROPIC, "cannot be modified", [until(4), cut("messages", 1, "content", 1)]),
    (ANTHROPIC, "cannot be modified", [until(4), lambda body: at(body, "messages", 1, "content").insert(0, HIDDEN)]),
    (ANTHROPIC, "found `text`", [until(4), cut("messages", 1, "content", 0), cut("messages", 1, "content", 0)]),
    (ANTHROPIC, "final block in an assistant message", [add("messages", 4, "content", value=SIGNED)]),
    (
        ANTHROPIC,
        "thinking.cache_control: Extra inputs",
        [put("messages", 1, "content", 0, "cache_control", value=EPHEMERAL)],
    ),
    (ANTHROPIC, "ids were found without `tool_result`", [cut("messages", 3)]),
    (ANTHROPIC, "ids were found without `tool_result`", [until(2)]),
    (ANTHROPIC, "unexpected `tool_use_id`", [put("messages", 3, "content", 0, "tool_use_id", value="other")]),
    (ANTHROPIC, "multiple `tool_result`", [lambda body: at(body, "messages").insert(3, at(body, "messages", 2))]),
    (ANTHROPIC, "must come first", [lambda body: at(body, "messages", 2, "content").insert(0, TEXT)]),
    (
        ANTHROPIC,
        "text.media_type: Input should be 'text/plain'",
        [put("messages", 5, "content", 1, "source", value={"type": "text", "media_type": "text/html", "data": "a"})],
    ),
    (ANTHROPIC, "Input tag 'file' found", [put("messages", 5, "content", 1, "source", value={"type": "file"})]),
    (ANTHROPIC, "tool_use.id: String should match", [put("messages", 1, "content", 3, "id", value="call:1")]),
    (ANTHROPIC, "tool_use.input: Input should be", [put("messages", 1, "content", 3, "input", value="{}")]),
    (ANTHROPIC, "custom.name: String should match", [put("tools", 0, "name", value="get weather")]),
    (ANTHROPIC, "maximum of 4 blocks", [put("messages", 5, "content", value=[MARKED_TEXT] * 3)]),
    (ANTHROPIC, "must not come after a ttl='5m'", [put("messages", 5, "content", 0, value=HOUR_TEXT)]),
    (ANTHROPIC, "ttl: Input should be", [put("tools", 1, "cache_control", value={"type": "ephemeral", "ttl": "2h"})]),
    # OpenAI. Message 2 calls, 3 and 4 answer.
    (OPENAI, "must be a response to a preceeding message", [cut("messages", 2)]),
    (OPENAI, "must be a response to a preceeding message", [put("messages", 3, "tool_call_id", value="other")]),
    (OPENAI, "did not have response messages: calltwo22", [cut("messages", 4)]),
    (OPENAI, "did not have response messages: callone11, calltwo22", [until(3)]),
    (
        OPENAI,
        "did not have response messages: calltwo22",
        [lambda body: at(body, "messages").insert(4, {"role": "user", "content": "Hi"})],
    ),
    (OPENAI, "empty array", [put("messages", 1, "content", value=[])]),
    (OPENAI, "expected a string, got null", [put("messages", 6, "content", value=None)]),
    (OPENAI, "Unknown parameter: 'messages[2].content_blocks'", [put("messages", 2, "content_blocks", value=[])]),
    (
        OPENAI,
        "Unknown parameter: 'messages[1].content[0].cache_control'",
        [put("messages", 1, "content", 0, "cache_control", value=EPHEMERAL)],
    ),
    (
        OPENAI,
        "Unknown parameter: 'messages[2].tool_calls[0].function.thought_signature'",
        [put("messages", 2, "tool_calls", 0, "function", "thought_signature", value="A")],
    ),
    (OPENAI, "Unknown parameter: 'tools[0].cache_control'", [put("tools", 0, "cache_control", value=EPHEMERAL)]),
    (OPENAI, "Unrecognized request argument supplied: thinking", [put("thinking", value={})]),
    (
        OPENAI,
        "Missing required parameter: 'messages[7].content[1].file.filename'",
        [cut("messages", 7, "content", 1, "file", "filename")],
    ),
    (OPENAI, "without the 'data:' prefix", [put("messages", 7, "content", 1, "file", "file_data", value="AAAA")]),
    (
        OPENAI,
        "only allowed for messages with role 'user'",
        [put("messages", 3, "content", value=[{"type": "image_url", "image_url": {"url": "data:"}}])],
    ),
    (OPENAI, "Supported values are", [put("messages", 3, "content", value=[{"type": "file", "file": {}}])]),
    (
        OPENAI,
        "expected a string, but got an object",
        [put("messages", 2, "tool_calls", 0, "function", "arguments", value={})],
    ),
    (OPENAI, "empty string", [put("messages", 2, "tool_calls", 0, "function", "arguments", value="")]),
    (OPENAI, "Invalid 'tools': empty array", [put("tools", value=[])]),
    (OPENAI, "only allowed when 'tools'", [cut("tools"), put("tool_choice", value="auto")]),
    (
        OPENAI,
        "'additionalProperties' is required",
        [put("response_format", value={"json_schema": {"name": "a", "strict": True, "schema": {"type": "object"}}})],
    ),
    (
        OPENAI,
        "'required' is required",
        [
            put(
                "response_format",
                value={
                    "json_schema": {
                        "name": "a",
                        "strict": True,
                        "schema": {"type": "object", "properties": {"a": {}}, "additionalProperties": False},
                    }
                },
            )
        ],
    ),
    # Gemini. Content 1 calls, 2 answers.
    (GOOGLE, "Please use a valid role", [put("contents", 0, "role", value="assistant")]),
    (GOOGLE, "parts must not be empty", [put("contents", 0, "parts", value=[])]),
    (GOOGLE, "must have one initialized field", [put("contents", 0, "parts", 0, value={})]),
    (GOOGLE, "must have one initialized field", [put("contents", 0, "parts", 0, "text", value="")]),
    (GOOGLE, "must not be blank", [put("contents", 0, "parts", 0, "text", value=" ")]),
    (GOOGLE, 'Unknown name "cache_control"', [put("contents", 0, "parts", 0, "cache_control", value={})]),
    (
        GOOGLE,
        "Unsupported MIME type",
        [put("contents", 0, "parts", 1, "inlineData", "mimeType", value="image/svg+xml")],
    ),
    (GOOGLE, "number of function response parts", [cut("contents", 2, "parts", 1)]),
    (GOOGLE, "number of function response parts", [cut("contents", 2)]),
    (GOOGLE, "immediately after a function call turn", [cut("contents", 1)]),
    (GOOGLE, "do not stand for the function calls", [swap("contents", 2, "parts")]),
    (
        GOOGLE,
        "do not stand for the function calls",
        [put("contents", 2, "parts", 0, "functionResponse", "name", value="gateway-tool-filler-name")],
    ),
    (
        GOOGLE,
        "immediately after a user turn",
        [lambda body: at(body, "contents").insert(1, {"role": "model", "parts": [{"text": "Hi"}]})],
    ),
    (GOOGLE, "alternate between user and model", [add("contents", value={"role": "user", "parts": [{"text": "Hi"}]})]),
    (GOOGLE, "end with a user role", [cut("contents", -1)]),
    (
        GOOGLE,
        "function_response.response",
        [put("contents", 2, "parts", 0, "functionResponse", "response", value="rain")],
    ),
    (GOOGLE, "are supported for STRING type", [put(*DAY, value={"type": "string", "format": "uri"})]),
    (GOOGLE, "items: missing field", [put(*DAY, value={"type": "array"})]),
    (GOOGLE, "items: missing field", [put(*DAY, value={"type": "array", "items": {}})]),
    (GOOGLE, 'Unknown name "prefixItems"', [put(*DAY, value={"type": "array", "prefixItems": []})]),
    (GOOGLE, "didn't specify the schema type field", [put(*DAY, value={})]),
    (GOOGLE, "v1beta.Type", [put(*DAY, value={"type": "any"})]),
    (GOOGLE, "properties: only allowed for OBJECT", [put(*DAY, value={"type": "string", "properties": {}})]),
    (GOOGLE, "required: only allowed for OBJECT", [put(*DAY, value={"type": "string", "required": []})]),
    (GOOGLE, "items: only allowed for ARRAY", [put(*DAY, value={"type": "string", "items": {"type": "string"}})]),
    (GOOGLE, "enum: only allowed for STRING", [put(*DAY, value={"type": "integer", "enum": ["1"]})]),
    (GOOGLE, "(TYPE_STRING), 1", [put(*DAY, value={"type": "string", "enum": [1]})]),
    (GOOGLE, "enum[1]: cannot be empty", [put(*DAY, value={"type": "string", "enum": ["a", ""]})]),
    (GOOGLE, "required[0]: property is not", [put(*DAY, value={"type": "object", "required": ["a"]})]),
    (GOOGLE, 'Unknown name "allOf"', [put(*DAY, value={"type": "string", "allOf": []})]),
    (
        GOOGLE,
        "should be of type OBJECT",
        [put("tools", 0, "functionDeclarations", 0, "parameters", value={"anyOf": [{"type": "object"}]})],
    ),
    (GOOGLE, "other fields alongside any_of", [put(*DAY, value={"anyOf": [{"type": "string"}], "title": "N"})]),
    (GOOGLE, "Corrupted thought signature", [put("contents", 1, "parts", 1, "thoughtSignature", value="OTHER==")]),
    (GOOGLE, "missing a thought_signature", [until(3), cut("contents", 1, "parts", 1, "thoughtSignature")]),
    (GOOGLE, 'Unknown name "$defs"', [put("tools", 0, "functionDeclarations", 0, "parameters", "$defs", value={})]),
    (
        GOOGLE,
        "cannot start list",
        [put("tools", 0, "functionDeclarations", 0, "parameters", "type", value=["object", "null"])],
    ),
    # Claude on Bedrock. Message 1 has thinking and calls, 2 the results and an image.
    (BEDROCK, "must start with a user message", [cut("messages", 0)]),
    (BEDROCK, "must alternate between user and assistant", [cut("messages", 3)]),
    (BEDROCK, "content field in the Message object at messages.3 is empty", [put("messages", 3, "content", value=[])]),
    (
        BEDROCK,
        "ContentBlock object at messages.0.content.0 is blank",
        [put("messages", 0, "content", 0, "text", value=" ")],
    ),
    (BEDROCK, "tagged union", [put("messages", 0, "content", 0, value={"type": "text"})]),
    (BEDROCK, "exceeds the number of toolUse blocks", [cut("messages", 1, "content", 3)]),
    (
        BEDROCK,
        "Expected toolResult blocks at messages.2.content for the following Ids: callone11",
        [cut("messages", 2, "content", 0)],
    ),
    (BEDROCK, "Expected toolResult blocks at messages.2.content", [until(2)]),
    (BEDROCK, "toolUseId' failed to satisfy", [put("messages", 1, "content", 2, "toolUse", "toolUseId", value="a:b")]),
    (
        BEDROCK,
        "Unknown parameter",
        [add("messages", 2, "content", 0, "toolResult", "content", value={"cachePoint": {"type": "default"}})],
    ),
    (BEDROCK, "toolResult is blank", [put("messages", 2, "content", 0, "toolResult", "content", 0, "text", value="")]),
    (BEDROCK, "toolConfig field must be defined", [cut("toolConfig")]),
    (
        BEDROCK,
        "signature: Field required",
        [cut("messages", 1, "content", 0, "reasoningContent", "reasoningText", "signature")],
    ),
    (
        BEDROCK,
        "Invalid `signature`",
        [put("messages", 1, "content", 0, "reasoningContent", "reasoningText", "signature", value="OTHER==")],
    ),
    (
        BEDROCK,
        "Expected `thinking` or `redacted_thinking`, but found `text`",
        [until(3), cut("messages", 1, "content", 0)],
    ),
    (BEDROCK, "Thinking may not be enabled", [put("toolConfig", "toolChoice", value={"any": {}})]),
    (BEDROCK, "must be greater than `thinking.budget_tokens`", [put("inferenceConfig", value={"maxTokens": 1024})]),
    (
        BEDROCK,
        "can only contain alphanumeric",
        [put("messages", 4, "content", 1, "document", "name", value="report.pdf")],
    ),
    (BEDROCK, "must satisfy enum value set", [put("messages", 4, "content", 1, "document", "format", value="plain")]),
    (BEDROCK, "must satisfy enum value set", [put("messages", 0, "content", 1, "image", "format", value="svg")]),
    (
        BEDROCK,
        "duplicate document names",
        [lambda body: at(body, "messages", 4, "content").insert(1, at(body, "messages", 4, "content", 1))],
    ),
    (
        BEDROCK,
        "so it must also include a text",
        [put("messages", 4, "content", value=[{"document": {"format": "pdf", "name": "a"}}])],
    ),
    (
        BEDROCK,
        "more than 5 documents",
        [
            put(
                "messages",
                4,
                "content",
                value=[{"text": "Hi"}, *({"document": {"format": "pdf", "name": f"a{n}"}} for n in range(6))],
            )
        ],
    ),
    (
        BEDROCK,
        "only allowed in messages with the role user",
        [add("messages", 3, "content", value={"image": {"format": "png"}})],
    ),
    (BEDROCK, "nothing available to cache", [swap("system")]),
    (
        BEDROCK,
        "after reasoning block",
        [lambda body: at(body, "messages", 1, "content").insert(1, {"cachePoint": {"type": "default"}})],
    ),
    (
        BEDROCK,
        "no PDF",
        [put("messages", 4, "content", 1, "document", "format", value="docx"), cut("messages", 4, "content", 2)],
    ),
    (
        BEDROCK,
        "maximum of 4 cache points",
        [put("messages", 4, "content", value=[{"text": "Hi"}, {"cachePoint": {"type": "default"}}] * 3)],
    ),
    # Mistral. Message 2 calls, 3 and 4 answer.
    (MISTRAL, "Unexpected role 'user' after role 'tool'", [cut("messages", 5)]),
    (MISTRAL, "Unexpected role 'tool' after role 'user'", [cut("messages", 2)]),
    (MISTRAL, "Expected last role User or Tool", [until(6)]),
    (MISTRAL, "Not the same number", [cut("messages", 4)]),
    (MISTRAL, "Not the same number", [put("messages", 4, "tool_call_id", value="callother")]),
    (
        MISTRAL,
        "with a length of 9",
        [put("messages", 2, "tool_calls", 0, "id", value="call_1"), put("messages", 3, "tool_call_id", value="call_1")],
    ),
    (MISTRAL, "either content or tool_calls", [put("messages", 5, "content", value=None)]),
    (
        MISTRAL,
        "Extra inputs are not permitted: body.messages.2.assistant.reasoning_content",
        [put("messages", 2, "reasoning_content", value="Hm.")],
    ),
    (MISTRAL, "Extra inputs are not permitted: body.stream_options", [put("stream_options", value={})]),
    (
        MISTRAL,
        "Extra inputs are not permitted: body.messages.1.user.content",
        [put("messages", 1, "content", value=[{"type": "file", "file": {}}])],
    ),
    # Those that copy OpenAI.
    (COHERE, "must have a tool_call_id", [cut("messages", 3, "tool_call_id")]),
    (COHERE, "answers the unknown tool call", [cut("messages", 2, "tool_calls")]),
    (COHERE, "response_format.type must be", [put("response_format", value={"type": "json_schema"})]),
    (COHERE, "must have content", [put("messages", 1, "content", value=[])]),
    (DEEPSEEK, "expected a string", [put("messages", 1, "content", value=[TEXT])]),
    (DEEPSEEK, "response_format type is unavailable", [put("response_format", value={"type": "json_schema"})]),
    (
        GROQ,
        "Unknown parameter: 'messages[2].reasoning_content'",
        [put("messages", 2, "reasoning_content", value="Hm.")],
    ),
    (GROQ, "not one of the allowed values", [put("messages", 1, "content", value=[{"type": "file", "file": {}}])]),
    (
        OPENROUTER,
        "Unknown parameter: 'messages[3].reasoning_content'",
        [put("messages", 3, "reasoning_content", value="Hm.")],
    ),
    (OPENROUTER, "without the 'data:' prefix", [put("messages", 7, "content", 1, "file", "file_data", value="AAAA")]),
    (
        OLLAMA,
        "invalid image input",
        [put("messages", 1, "content", 1, "image_url", "url", value="https://example.com/a.png")],
    ),
    (FIREWORKS, "Unknown parameter: 'messages[2].reasoning'", [put("messages", 2, "reasoning", value="Hm.")]),
    (PERPLEXITY, "should alternate with assistant", [add("messages", value={"role": "user", "content": "Hi"})]),
    (PERPLEXITY, "should alternate with assistant", [add("messages", value={"role": "system", "content": "Hi"})]),
    (PERPLEXITY, "Last message must have role", [until(6)]),
]


@providers(list(PATHS))
def test_a_good_request_has_no_fault(provider: Provider) -> None:
    faults = rules(provider, [[SIGNED, HIDDEN]], ["GEMINI=="])

    assert list(faults(good(provider))) == []


@pytest.mark.parametrize(("provider", "words", "changes"), BAD, ids=lambda value: getattr(value, "folder", None))
def test_a_bad_request_is_refused(provider: Provider, words: str, changes: Sequence[Change]) -> None:
    body = good(provider)

    for change in changes:
        change(body)

    faults = list(rules(provider, [[SIGNED, HIDDEN]], ["GEMINI=="])(body))
    assert any(words in fault for fault in faults), faults
