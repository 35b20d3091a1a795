"""OpenAI's Responses without a store: what it refuses of a conversation that is sent back."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Body = dict[str, Any]

TOOLS_ON_CHAT = (
    "Function tools with reasoning_effort are not supported for {} in /v1/chat/completions. To use function tools, use"
    " /v1/responses or set reasoning_effort to 'none'."
)
_BODY = {
    "model", "input", "instructions", "tools", "tool_choice", "stream", "store", "include", "text", "reasoning",
    "max_output_tokens", "prompt_cache_key", "parallel_tool_calls", "temperature", "top_p", "metadata", "user",
    "truncation", "service_tier", "max_tool_calls", "safety_identifier", "stream_options", "top_logprobs", "prompt",
}  # fmt: skip
_ITEMS: Mapping[str, frozenset[str]] = {
    "message": frozenset({"type", "role", "content", "phase", "id", "status"}),
    "reasoning": frozenset({"type", "id", "summary", "encrypted_content"}),
    "function_call": frozenset({"type", "id", "call_id", "name", "arguments"}),
    "function_call_output": frozenset({"type", "call_id", "output"}),
}
_PARTS: Mapping[str, frozenset[str]] = {
    "input_text": frozenset({"type", "text", "prompt_cache_breakpoint"}),
    "input_image": frozenset({"type", "image_url", "detail", "prompt_cache_breakpoint"}),
    "input_file": frozenset({"type", "filename", "file_data", "prompt_cache_breakpoint"}),
}
_MOST_BREAKPOINTS = 4
_LONGEST_ID = 64


def faults(body: Any, said: Mapping[str, Sequence[str]] | None = None) -> Iterator[tuple[str, str | None]]:
    """Yield what OpenAI would refuse, with the code of the refusal.

    Args:
        body: The request.
        said: The ciphertexts that were given out under each id; None where all are taken.
    """
    for key in sorted(body.keys() - _BODY):
        yield f"Unknown parameter: '{key}'.", "unknown_parameter"
    if body.get("store") is not False:
        yield "The answer would be stored, and nothing may be (our words)", None
    if body.get("tools") == []:
        yield "Invalid 'tools': empty array. Expected an array with minimum length 1, but got an empty array.", None
    for number, tool in enumerate(body.get("tools") or ()):
        if tool["type"] == "function" and (not tool.get("name") or "strict" not in tool or "function" in tool):
            yield f"Missing required parameter: 'tools[{number}].name'.", "missing_required_parameter"
    if "tool_choice" in body and not body.get("tools"):
        yield "Tool choice is only allowed when tools are specified.", None
    items = body["input"]
    yield from _items(items)
    yield from _reasoning(items, said)
    yield from _answers(items)
    marks = sum(str(item).count("'prompt_cache_breakpoint'") for item in items)
    if marks > _MOST_BREAKPOINTS:
        yield f"At most {_MOST_BREAKPOINTS} explicit breakpoints may be written (our words)", None


def _items(items: Sequence[Body]) -> Iterator[tuple[str, str | None]]:
    for number, item in enumerate(items):
        kind, where = item.get("type", "message"), f"input[{number}]"
        if kind not in _ITEMS:
            yield f"Invalid value: '{kind}'. Supported values are: {sorted(_ITEMS)}.", "invalid_value"
            continue
        for key in sorted(item.keys() - _ITEMS[kind]):
            yield f"Unknown parameter: '{where}.{key}'.", "unknown_parameter"
        if item.get("id") == "":
            yield f"Invalid '{where}.id': empty string.", "invalid_value"
        if kind == "function_call" and not re.fullmatch(r"\{.*\}", item["arguments"], re.DOTALL):
            yield f"Invalid '{where}.arguments': expected a JSON object (our words)", None
        if kind.startswith("function_call") and not 0 < len(item["call_id"]) <= _LONGEST_ID:
            yield f"Invalid '{where}.call_id': string too long.", "string_above_max_length"
        yield from _content(item, kind, where)


def _content(item: Body, kind: str, where: str) -> Iterator[tuple[str, str | None]]:
    content = item.get("output" if kind == "function_call_output" else "content")
    if kind in ("message", "function_call_output") and not content:
        yield f"Invalid '{where}': empty content (our words)", None
    if isinstance(content, list):
        if item.get("role") == "assistant":
            yield f"Invalid value: 'input_text'. Supported values are: 'output_text' and 'refusal' ({where}).", None
        for index, part in enumerate(content):
            unknown = sorted(part.keys() - _PARTS.get(part["type"], frozenset()))
            for key in unknown:
                yield f"Unknown parameter: '{where}.content[{index}].{key}'.", "unknown_parameter"


def _reasoning(items: Sequence[Body], said: Mapping[str, Sequence[str]] | None) -> Iterator[tuple[str, str | None]]:
    for number, item in enumerate(items):
        if item.get("type") != "reasoning":
            continue
        item_id = item.get("id", "")
        if not isinstance(item.get("summary"), list):
            yield f"Missing required parameter: 'input[{number}].summary'.", "missing_required_parameter"
        if not item.get("encrypted_content"):
            yield f"Item with id '{item_id}' not found. Items are not persisted when `store` is set to false.", None
        elif said is not None and item["encrypted_content"] not in said.get(item_id, ()):
            words = f"The encrypted content for item {item_id} could not be verified. Reason: Encrypted content item_id"
            yield f"{words} did not match the target item id.", "invalid_encrypted_content"
        later = (each for each in items[number + 1 :] if each.get("type") != "reasoning")
        follower = next(later, {})
        if follower.get("type") != "function_call" and follower.get("role") != "assistant":
            yield f"Item '{item_id}' of type 'reasoning' was provided without its required following item.", None
    for item in items:
        if item.get("type") == "function_call" and "id" in item:
            yield (
                f"Item '{item['id']}' of type 'function_call' was provided without its required 'reasoning' item.",
                None,
            )


def _answers(items: Sequence[Body]) -> Iterator[tuple[str, str | None]]:
    called = [item["call_id"] for item in items if item.get("type") == "function_call"]
    answered = [item["call_id"] for item in items if item.get("type") == "function_call_output"]
    for call_id in called:
        if call_id not in answered:
            yield f"No tool output found for function call {call_id}.", None
    for call_id in answered:
        if call_id not in called:
            yield f"No tool call found for function call output with call_id {call_id}.", None
