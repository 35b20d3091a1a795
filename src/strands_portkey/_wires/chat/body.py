"""Conversion of a question to the body of a chat completion, without changing the question."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from typing import Final

from pydantic import JsonValue
from strands.types.content import CachePoint, ContentBlock, Message, ReasoningContentBlock, SystemContentBlock

from strands_portkey._json import Body
from strands_portkey._request.anthropic import thinking_budget, to_thinking
from strands_portkey._request.caching import Caching
from strands_portkey._request.pairs import from_the_user
from strands_portkey._request.question import Question
from strands_portkey._request.texts import BLANK_TEXT, only_blank_text, text_of
from strands_portkey._wires.chat.dialects import Dialect
from strands_portkey._wires.chat.media import media_parts, name_apart
from strands_portkey._wires.chat.reasoning_details import read_details
from strands_portkey._wires.chat.tools import (
    in_order,
    to_stubs,
    to_tool_call,
    to_tool_choice,
    to_tool_message,
    to_tools,
    unknown_block,
)

_MARKABLE: Final = ("text", "image_url")  # The gateway drops a cache mark on other parts.
_THINKING: Final = ("thinking", "redacted_thinking", "reasoning_details")
_NO_REASONING: Final = "."  # Kimi takes an empty text for a missing one.


def to_body(question: Question, dialect: Dialect) -> Body:
    """Build the body of a chat completion. The same question gives the same body, so that prompt caches hit.

    Raises:
        PortkeyConfigError: If a block cannot be sent.
    """
    caching = Caching(
        question.cache_config,
        dialect.caching,
        dialect.name,
        session_id=question.session_id,
        verbatim_ttl=dialect.verbatim_ttl,
    )
    conversation = _Conversation(dialect, caching)
    if system := _with_schema(question, dialect):
        conversation.add_system(caching.system_blocks(system))
    conversation.add_messages(question.messages, question.trailing_blocks)
    if not conversation.bodies:
        raise only_blank_text()
    body: Body = {"model": question.model_id, "messages": list(conversation.bodies)}
    params = dict(question.params)
    if tools := to_tools(question.tool_specs, params.pop("tools", None), dialect, caching):
        body["tools"] = tools
    else:  # OpenAI refuses them without tools.
        params.pop("tool_choice", None)
        params.pop("parallel_tool_calls", None)
        if dialect.tools_with_calls and conversation.tool_names:
            body["tools"] = to_stubs(conversation.tool_names.values(), dialect)
    body["stream"] = question.stream
    options = params.pop("stream_options", None)
    if params.get("stream", question.stream):  # OpenAI refuses stream options without a stream.
        body["stream_options"] = {"include_usage": True} | (options if isinstance(options, dict) else {})
    if dialect.usage:
        body["usage"] = {"include": True}
    body.update(caching.params())
    if dialect.max_tokens and params.get("max_tokens") is None and params.get("max_completion_tokens") is None:
        params["max_completion_tokens"] = dialect.max_tokens + thinking_budget(params)
    body.update(params)
    # The arguments of this call take precedence over `params`.
    if tools and question.tool_choice:
        body["tool_choice"] = to_tool_choice(question.tool_choice)
    if question.output_schema is not None:
        schema: Body = {"type": "json_schema", "json_schema": dict(question.output_schema)}
        body["response_format"] = {"type": "json_object"} if dialect.schema == "json_object" else schema
    return body


def _with_schema(question: Question, dialect: Dialect) -> Sequence[SystemContentBlock]:
    """Return the system prompt, with the schema of the answer if the upstream accepts it nowhere else."""
    if question.output_schema is None or dialect.schema != "json_object":
        return question.system
    schema = json.dumps(question.output_schema, ensure_ascii=False)
    return [*question.system, {"text": f"Answer with JSON that fits this schema: {schema}"}]


class _Conversation:
    """Builds the messages of a body in one pass.

    Attributes:
        bodies: The messages so far.
        tool_names: The names of the tools called so far, by call id.
    """

    def __init__(self, dialect: Dialect, caching: Caching) -> None:
        self.bodies: list[Body] = []
        self.tool_names: dict[str, str] = {}
        self._dialect = dialect
        self._caching = caching
        self._called: dict[str, int] = {}  # The positions of the last message's calls, by call id.
        self._document_names: set[str] = set()
        self._has_warned = False

    def add_system(self, blocks: Sequence[SystemContentBlock]) -> None:
        """Add one system message: plain text, or parts if one of them has a cache mark."""
        parts: list[Body] = []
        for block in blocks:
            if "cachePoint" in block:
                self._mark(parts[-1] if parts else None, block["cachePoint"])
            elif "text" not in block:
                raise unknown_block(block, self._dialect, "text")
            elif block["text"].strip():
                parts.append({"type": "text", "text": block["text"]})
        if any("cache_control" in part for part in parts):
            self.bodies.append({"role": "system", "content": list(parts)})
        elif parts:
            self.bodies.append({"role": "system", "content": "\n".join(str(part["text"]) for part in parts)})

    def add_messages(self, messages: Sequence[Message], trailing_blocks: int) -> None:
        """Add the messages of the model and the user."""
        if self._dialect.user_first:
            messages = from_the_user(messages)
        for index, message in enumerate(messages):
            blocks = self._caching.content(messages, index, trailing_blocks)
            if message["role"] == "assistant":
                self._add_assistant(blocks)
            else:
                self._add_user(in_order(blocks, self._called))
        if self._dialect.alternating:
            self.bodies = _in_turns(self.bodies, has_parts=self._dialect.parts)
        if self._dialect.reasoning_required:
            for body in self.bodies:
                if body["role"] == "assistant":
                    body.setdefault("reasoning_content", _NO_REASONING)

    def _add_user(self, blocks: Sequence[ContentBlock]) -> None:
        """Add all tool results, then one message with the media moved out of them and the user's own content."""
        results: list[Body] = []
        moved: list[Body] = []
        parts: list[Body] = []
        last: Body | None = None
        for block in blocks:
            if "cachePoint" in block:
                if results and last is results[-1]:
                    behind = self._mark_result(results[-1], block["cachePoint"])
                    parts += [point for point in behind if point not in parts[-1:]]
                else:
                    self._mark(last, block["cachePoint"])
            elif "toolResult" in block:
                result = block["toolResult"]
                last, media = to_tool_message(result, self.tool_names.get(result["toolUseId"]), self._dialect)
                if self._dialect.calls:
                    results.append(last)
                    moved += media
                else:
                    parts += [last, *media]
            else:
                for part in _block_parts(block, self._dialect):
                    parts.append(part)
                    last = part if part["type"] in _MARKABLE else last
        parts = [*moved, *parts]
        if self._dialect.text_beside_documents:
            parts = _beside_documents(parts)
        content = self._to_content(parts)
        if not results:  # Without this message the model's own would be the last, which it would continue.
            content = content or BLANK_TEXT
        self.bodies += results
        if content:
            self._bridge()
            self.bodies.append({"role": "user", "content": content})

    def _bridge(self) -> None:
        """Insert a message of the model between results and the user's message, which Mistral requires."""
        if not self._dialect.user_after_results and self.bodies and self.bodies[-1]["role"] == "tool":
            self.bodies.append({"role": "assistant", "content": "I have the results."})

    def _add_assistant(self, blocks: Sequence[ContentBlock]) -> None:
        """Add one message; two if the upstream drops text beside tool calls; none if there is no content."""
        said: list[Body] = []
        calls: list[Body] = []
        last: Body | None = None
        self._called = {}
        for block in blocks:
            if "cachePoint" in block:
                self._mark(last, block["cachePoint"], verbatim=True)
            elif "reasoningContent" in block:
                said += self._in_place(_to_thinking(block["reasoningContent"], self._dialect))
            elif "toolUse" in block:
                tool_use = block["toolUse"]
                self.tool_names[tool_use["toolUseId"]] = tool_use["name"]
                self._called.setdefault(tool_use["toolUseId"], len(self._called))
                call = to_tool_call(tool_use, self._dialect)
                (calls if self._dialect.calls else said).append(call)
                last = call if self._dialect.marked_calls else last
            elif parts := _block_parts(block, self._dialect):
                said += parts
                last = parts[-1]
        spoken = [part for part in said if part["type"] not in _THINKING]
        content = self._to_content(spoken)
        if content is None and not calls:
            return
        message = {"role": "assistant", "content": content} | _replayed(said, self._dialect, is_open=bool(calls))
        self.bodies.append(message)
        if calls and content and not self._dialect.text_beside_calls:
            self.bodies.append({"role": "assistant", "content": None, "tool_calls": list(calls)})
        elif calls:
            message["tool_calls"] = list(calls)

    def _in_place(self, thoughts: list[Body]) -> list[Body]:
        """Return thoughts that stand before the calls of their message, where the gateway puts all of Claude's."""
        if not thoughts or not self._called or self._dialect.reasoning != "content_blocks":
            return thoughts
        if not self._has_warned:
            self._has_warned = True
            message = (
                "the model's reasoning after a tool call of the same message is left out: the gateway would move it"
                " before the call, and Claude refuses reasoning that was moved; with api='messages' it is sent as it"
                " came"
            )
            warnings.warn(message, stacklevel=2)
        return []

    def _to_content(self, parts: Sequence[Body]) -> JsonValue:
        """Return parts as content: a single text as text, no parts as None."""
        if not parts:
            return None
        if not self._dialect.parts:
            return "\n".join(str(part["text"]) for part in parts)
        if len(parts) == 1 and parts[0].keys() == {"type", "text"}:
            return parts[0]["text"]
        if self._dialect.documents == "base64":
            name_apart(parts, self._document_names)
        return list(parts)

    def _mark(self, part: Body | None, point: CachePoint, *, verbatim: bool = False) -> None:
        """Put a cache mark on a part or a tool call that was just made."""
        control = self._caching.control(point.get("ttl"), verbatim=verbatim)
        if control and part:
            part["cache_control"] = control
        elif control:
            warnings.warn("a cache point has no effect: there is no text or image before it", stacklevel=2)

    def _mark_result(self, result: Body, point: CachePoint) -> list[Body]:
        """Put a cache mark on a tool's result, or return the part that replaces it in the user's message."""
        control = self._caching.control(point.get("ttl"), verbatim=True)
        if control is None:
            return []
        if self._dialect.result_points == "behind":
            # The gateway drops it inside a result for Bedrock, but converts a part of an unknown type to a cache point.
            return [{"type": "cache_point", "cache_control": control}]
        if self._dialect.result_points is None:
            name = self._dialect.name
            warnings.warn(f"a cache point after a tool's result has no effect with the upstream {name!r}", stacklevel=2)
            return []
        match result["content"]:
            case [*_, dict(last)]:
                last["cache_control"] = control
            case text:
                result["content"] = [{"type": "text", "text": text, "cache_control": control}]
        return []


def _in_turns(bodies: Sequence[Body], *, has_parts: bool) -> list[Body]:
    """Return messages, those of one role in a row joined; their contents are texts unless they may have parts."""
    joined: list[Body] = []
    for body in bodies:
        before: Body = joined[-1] if joined else {}
        if body["role"] == before.get("role") != "tool":
            contents = [content for content in (before["content"], body["content"]) if content]
            joined_content: JsonValue = [part for content in contents for part in _as_parts(content)]
            if not has_parts:
                joined_content = "\n".join(map(str, contents))
            both: Body = {**before, **body, "content": joined_content or None}
            if "content_blocks" in both:
                both["content_blocks"] = [*_as_blocks(before), *_as_blocks(body)]
            joined[-1] = both
        else:
            joined.append(body)
    return joined


def _as_blocks(body: Body) -> list[JsonValue]:
    return _as_parts(body.get("content_blocks") or body["content"])


def _as_parts(content: JsonValue) -> list[JsonValue]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return content if isinstance(content, list) else []


def _to_thinking(thought: ReasoningContentBlock, dialect: Dialect) -> list[Body]:
    """Return reasoning as Claude's block, if the upstream accepts it: Claude requires a signature, others none."""
    if thought.get("redactedContent") and not dialect.redacted:
        return []
    if dialect.reasoning == "content_blocks":
        return [signed] if (signed := to_thinking(thought)) else []
    text = thought.get("reasoningText", {})
    signature = text.get("signature")
    if dialect.reasoning == "reasoning" and (details := read_details(signature)):
        return [{"type": "reasoning_details", "details": details}]
    words = text.get("text")
    # Signed reasoning comes from Claude, so other models do not get it.
    is_own = dialect.reasoning and not signature
    return [{"type": "thinking", "thinking": words}] if is_own and words else []


def _replayed(said: Sequence[Body], dialect: Dialect, *, is_open: bool) -> Body:
    """Return the field for reasoning; never an empty list, which would delete the text."""
    kept = list(said)
    is_claude = dialect.reasoning == "content_blocks"
    while is_claude and kept and not is_open and kept[-1]["type"] in _THINKING:  # Which it refuses at the end.
        kept.pop()
    thoughts = [part for part in kept if part["type"] in _THINKING]
    if dialect.reasoning is None or not thoughts:
        return {}
    if is_claude:
        return {"content_blocks": list(kept)}
    details: list[JsonValue] = [each for part in thoughts for each in _details_in(part)]
    if details:  # They hold the words too.
        return {"reasoning_details": details}
    return {dialect.reasoning: "".join(str(part["thinking"]) for part in thoughts)}


def _details_in(part: Body) -> list[JsonValue]:
    details = part.get("details")
    return details if isinstance(details, list) else []


def _block_parts(block: ContentBlock, dialect: Dialect) -> list[Body]:
    """Return the parts of one block; none for blank text, since upstreams refuse it."""
    text = text_of(block)
    if text is None:
        if parts := media_parts(block, dialect):
            return parts
        raise unknown_block(block, dialect, "text, an image, a document, audio or video")
    return [{"type": "text", "text": text}] if text.strip() else []


def _beside_documents(parts: list[Body]) -> list[Body]:
    """Return a user's parts, with a text added to documents without one, which Bedrock refuses."""
    kinds = [part["type"] for part in parts]
    return [{"type": "text", "text": "(documents)"}, *parts] if "file" in kinds and "text" not in kinds else parts
