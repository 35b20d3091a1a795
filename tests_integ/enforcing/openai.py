"""OpenAI's chat completions, and what those that copy them refuse besides."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Body = dict[str, Any]

_KEYS: Mapping[str, frozenset[str]] = {
    "system": frozenset({"role", "content", "name"}),
    "developer": frozenset({"role", "content", "name"}),
    "user": frozenset({"role", "content", "name"}),
    "assistant": frozenset({"role", "content", "name", "tool_calls", "refusal", "audio", "function_call"}),
    "tool": frozenset({"role", "content", "tool_call_id"}),
}
_PARTS = {
    "text": {"type", "text"},
    "image_url": {"type", "image_url"},
    "input_audio": {"type", "input_audio"},
    "file": {"type", "file"},
}
_PARTS_OF_ROLES = {
    "user": set(_PARTS),
    "assistant": {"text", "refusal"},
    "system": {"text"},
    "developer": {"text"},
    "tool": {"text"},
}
_LONGEST_ID = 40
_BODY = {
    "model", "messages", "tools", "tool_choice", "stream", "stream_options", "response_format", "prompt_cache_key",
    "prompt_cache_retention", "max_completion_tokens", "max_tokens", "temperature", "top_p", "reasoning_effort",
    "parallel_tool_calls", "seed", "stop", "user", "metadata", "n",
}  # fmt: skip


def faults(body: Any) -> Iterator[str]:
    """Yield what OpenAI would refuse."""
    yield from _unknown_keys(body)
    yield from _messages(body["messages"])
    yield from _long_ids(body["messages"])
    yield from _files(body["messages"])
    yield from _schema(body.get("response_format"))


def groq_faults(body: Any) -> Iterator[str]:
    """Yield what Groq would refuse: it knows no files."""
    yield from _unknown_keys(body, more={"reasoning_format", "reasoning"}, assistant={"reasoning"})
    yield from _messages(body["messages"])
    yield from _no_files(body["messages"])
    yield from _schema(body.get("response_format"))


def openrouter_faults(body: Any) -> Iterator[str]:
    """Yield what OpenRouter would refuse: it takes Anthropic's cache marks and its own parameters."""
    marked = {"cache_control"}
    yield from _unknown_keys(
        body, more={"usage", "reasoning"}, assistant={"reasoning", "reasoning_details"}, part=marked, tool=marked
    )
    yield from _messages(body["messages"])
    yield from _files(body["messages"])


def ollama_faults(body: Any) -> Iterator[str]:
    """Yield what Ollama would refuse: it fetches no images, and ignores what it does not know."""
    yield from _messages(body["messages"])
    yield from _no_files(body["messages"])
    for _, part in _parts(body["messages"]):
        if part["type"] == "image_url" and not part["image_url"]["url"].startswith("data:"):
            yield "invalid image input"


def fireworks_faults(body: Any) -> Iterator[str]:
    """Yield what Fireworks would refuse: it refuses what it does not know, and knows no files."""
    yield from _unknown_keys(body, assistant={"reasoning_content"})
    yield from _messages(body["messages"])
    yield from _no_files(body["messages"])


def deepseek_faults(body: Any) -> Iterator[str]:
    """Yield what DeepSeek would refuse: its contents are plain texts."""
    for number, message in enumerate(body["messages"]):
        if isinstance(message.get("content"), list):
            words = f"messages[{number}]: invalid type: sequence, expected a string at line 1 column 1"
            yield f"Failed to deserialize the JSON body into the target type: {words}"
    if (body.get("response_format") or {}).get("type") == "json_schema":
        yield "This response_format type is unavailable now"
    yield from _messages(body["messages"])


def perplexity_faults(body: Any) -> Iterator[str]:
    """Yield what Perplexity would refuse: questions and answers take turns."""
    roles = [message["role"] for message in body["messages"]]
    said = roles[next((at for at, role in enumerate(roles) if role != "system"), len(roles)) :]
    asks = [role in ("user", "tool") for role in said]
    # Results of tools are taken together with what the user says next to them.
    turns = [ask for at, ask in enumerate(asks) if not (at and said[at - 1] == "tool" and ask)]
    if any(first == second for first, second in itertools.pairwise(turns)) or "system" in said:
        yield (
            "After the (optional) system message(s), user or tool message(s) should alternate with assistant"
            " message(s)."
        )
    if not asks or not asks[-1]:
        yield "Last message must have role `user` or `tool`."
    yield from _messages(body["messages"])
    yield from _no_files(body["messages"])


def _unknown_keys(
    body: Body,
    *,
    more: set[str] | None = None,
    assistant: set[str] | None = None,
    part: set[str] | None = None,
    tool: set[str] | None = None,
) -> Iterator[str]:
    for key in sorted(body.keys() - _BODY - (more or set())):
        yield f"Unrecognized request argument supplied: {key}"
    if body.get("tools") == []:
        yield "Invalid 'tools': empty array. Expected an array with minimum length 1, but got an empty array instead."
    if "tool_choice" in body and not body.get("tools"):
        yield "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified."
    for number, message in enumerate(body["messages"]):
        known = _KEYS[message["role"]] | (assistant or set() if message["role"] == "assistant" else set())
        for key in sorted(message.keys() - known):
            yield f"Unknown parameter: 'messages[{number}].{key}'."
        yield from _unknown_in_calls(message, f"messages[{number}]")
    for where, one in _parts(body["messages"]):
        for key in sorted(one.keys() - _PARTS.get(one["type"], set()) - (part or set())):
            yield f"Unknown parameter: '{where}.{key}'."
    for number, one in enumerate(body.get("tools") or ()):
        for key in sorted(one.keys() - {"type", "function"} - (tool or set())):
            yield f"Unknown parameter: 'tools[{number}].{key}'."


def _unknown_in_calls(message: Body, where: str) -> Iterator[str]:
    for index, call in enumerate(message.get("tool_calls") or ()):
        for key in sorted(call.keys() - {"id", "type", "function"}):
            yield f"Unknown parameter: '{where}.tool_calls[{index}].{key}'."
        for key in sorted(call["function"].keys() - {"name", "arguments"}):
            yield f"Unknown parameter: '{where}.tool_calls[{index}].function.{key}'."


def _messages(messages: Sequence[Body]) -> Iterator[str]:
    for number, message in enumerate(messages):
        content, where = message.get("content"), f"messages[{number}]"
        if message["role"] not in _KEYS:
            yield f"Invalid value: '{message['role']}'. Supported values are: 'system', 'assistant', 'user', 'tool'."
            return
        if content == []:
            yield (
                f"Invalid '{where}.content': empty array. Expected an array with minimum length 1, but got an empty"
                " array instead."
            )
        if content is None and not (message["role"] == "assistant" and message.get("tool_calls")):
            yield "Invalid value for 'content': expected a string, got null."
        yield from _calls(message, where)
    yield from _answers(messages)
    for where, part in _parts(messages):
        role = messages[int(re.findall(r"\d+", where)[0])]["role"]
        if part["type"] == "image_url" and role != "user":
            yield (
                f"Invalid '{where}'. Image URLs are only allowed for messages with role 'user', but this message with"
                f" role '{role}' contains an image URL."
            )
        elif part["type"] not in _PARTS_OF_ROLES[role]:
            yield f"Invalid value: '{part['type']}'. Supported values are: {sorted(_PARTS_OF_ROLES[role])}."


def _answers(messages: Sequence[Body]) -> Iterator[str]:
    waiting: list[str] = []
    for message in messages:
        if message["role"] == "tool":
            if message.get("tool_call_id") not in waiting:
                yield (
                    "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with"
                    " 'tool_calls'."
                )
            else:
                waiting.remove(message["tool_call_id"])
        elif waiting:
            yield _unanswered(waiting)
            waiting = []
        waiting += [call["id"] for call in message.get("tool_calls") or ()]
    if waiting:
        yield _unanswered(waiting)


def _calls(message: Body, where: str) -> Iterator[str]:
    if message.get("tool_calls") == []:
        yield f"Invalid '{where}.tool_calls': empty array. Expected an array with minimum length 1."
    for index, call in enumerate(message.get("tool_calls") or ()):
        here = f"{where}.tool_calls[{index}]"
        if not isinstance(call["function"]["arguments"], str):
            yield f"Invalid type for '{here}.function.arguments': expected a string, but got an object instead."
        elif not call["function"]["arguments"]:
            yield f"Invalid '{here}.function.arguments': empty string (our words)"


def _long_ids(messages: Sequence[Body]) -> Iterator[str]:
    for number, message in enumerate(messages):
        for index, call in enumerate(message.get("tool_calls") or ()):
            if len(call["id"]) > _LONGEST_ID:
                yield (
                    f"Invalid 'messages[{number}].tool_calls[{index}].id': string too long. Expected a string with"
                    f" maximum length {_LONGEST_ID}, but got a string with length {len(call['id'])} instead."
                )


def _unanswered(waiting: Sequence[str]) -> str:
    return (
        "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'."
        f" The following tool_call_ids did not have response messages: {', '.join(waiting)}"
    )


def _parts(messages: Sequence[Body]) -> Iterator[tuple[str, Body]]:
    for number, message in enumerate(messages):
        if isinstance(message.get("content"), list):
            for index, part in enumerate(message["content"]):
                yield f"messages[{number}].content[{index}]", part


def _files(messages: Sequence[Body]) -> Iterator[str]:
    for where, part in _parts(messages):
        if part["type"] != "file":
            continue
        if not part["file"].get("filename"):
            yield f"Missing required parameter: '{where}.file.filename'."
        if not re.match(r"data:[a-z]+/[\w.+-]+;base64,[A-Za-z0-9+/]", part["file"].get("file_data", "")):
            yield (
                f"Invalid '{where}.file.file_data'. Expected a base64-encoded data URL with an application/pdf MIME"
                " type (e.g. 'data:application/pdf;base64,aW1nIGJ5dGVzIGhlcmU='), but got a value without the 'data:'"
                " prefix."
            )


def _no_files(messages: Sequence[Body]) -> Iterator[str]:
    for where, part in _parts(messages):
        if part["type"] not in ("text", "image_url"):
            yield f"'{where}.type' : value is not one of the allowed values ['text', 'image_url']"


def _schema(response_format: Body | None) -> Iterator[str]:
    """Yield what strict mode refuses in a schema."""
    if response_format is None or not response_format["json_schema"].get("strict"):
        return
    name = response_format["json_schema"]["name"]
    if not re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name):
        yield f"Invalid 'response_format.json_schema.name': string does not match pattern. Got {name!r}."
    for schema in _schemas(response_format["json_schema"]["schema"]):
        if schema.get("type") != "object":
            continue
        start = f"Invalid schema for response_format '{name}': In context=(), "
        if schema.get("additionalProperties") is not False:
            yield f"{start}'additionalProperties' is required to be supplied and to be false."
        if set(schema.get("required", ())) != set(schema.get("properties", ())):
            yield f"{start}'required' is required to be supplied and to be an array including every key in properties."


def _schemas(schema: object) -> Iterator[Body]:
    if isinstance(schema, dict):
        yield schema
        for value in schema.values():
            yield from _schemas(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _schemas(value)
