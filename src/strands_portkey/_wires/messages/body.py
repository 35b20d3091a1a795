"""Conversion of a question to the body of Anthropic's Messages, without changing the question."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from pydantic import JsonValue
from strands.types.content import CachePoint, ContentBlock, Message, SystemContentBlock
from strands.types.tools import ToolResult, ToolResultContent, ToolSpec

from strands_portkey._errors import PortkeyConfigError
from strands_portkey._json import Body
from strands_portkey._request.anthropic import CLAUDE_IDS, anthropic_media, text_document, to_thinking
from strands_portkey._request.caching import Caching
from strands_portkey._request.media import document_as_text, to_media
from strands_portkey._request.pairs import from_the_user
from strands_portkey._request.question import Question
from strands_portkey._request.texts import BLANK_TEXT, only_blank_text, text_of
from strands_portkey._request.tools import (
    NO_OUTPUT,
    left_out,
    read_tool_choice,
    to_arguments,
    to_call_id,
    to_result_text,
    to_spec,
    to_stub_specs,
)
from strands_portkey._wires.messages.params import to_native_choice, to_native_tool, to_params

# Blocks that carry no cache mark, and do not end a message.
_UNMARKED: Final = ("thinking", "redacted_thinking")
_OF_TOOLS: Final = ("tools", "tool_choice", "parallel_tool_calls")
# What adds to the tokens of a request.
_COUNTED: Final = ("model", "messages", "system", "tools", "tool_choice", "thinking")


def to_body(question: Question) -> Body:
    """Build the body of a message. The same question gives the same body, so that prompt caches hit.

    Raises:
        PortkeyConfigError: If a block or a parameter cannot be sent.
    """
    # The gateway translates for Bedrock, and drops what it does not know; others get the body as it is.
    translated = "bedrock" in question.upstreams
    caching = Caching(question.cache_config, "cache_control", "messages")
    conversation = _Dialogue(caching, translated=translated)
    messages = from_the_user(question.messages) if translated else question.messages
    conversation.add_messages(messages, question.trailing_blocks)
    if not conversation.bodies:
        raise only_blank_text()
    if question.said:
        conversation.bodies.append({"role": "assistant", "content": list(question.said)})
    params = to_params({name: value for name, value in question.params.items() if name not in _OF_TOOLS})
    body: Body = {"model": question.model_id, "messages": list(conversation.bodies)}
    if system := conversation.to_system(caching.system_blocks(question.system)):
        body["system"] = list(system)
    if tools := _to_tools(question, caching):
        body["tools"] = tools
        if choice := _to_choice(question):
            body["tool_choice"] = choice
    elif translated and conversation.tool_names:  # Converse refuses calls without tools.
        body["tools"] = [_to_native(spec) for spec in to_stub_specs(conversation.tool_names)]
    body["stream"] = question.stream
    return body | params


def to_count_body(question: Question) -> Body:
    """Build the body of a count of tokens, without parameters that add none, which Anthropic refuses there.

    See https://platform.claude.com/docs/en/api/messages/count_tokens.
    """
    params = {name: value for name, value in question.params.items() if name in _COUNTED}
    body = to_body(replace(question, params=params))
    return {name: value for name, value in body.items() if name in _COUNTED}


def _to_tools(question: Question, caching: Caching) -> list[JsonValue]:
    """Return the agent's tools, the last with the cache mark, and after them the tools of `params`."""
    tools = [_to_native(spec) for spec in question.tool_specs]
    if tools and (control := caching.tools_control()):
        tools[-1]["cache_control"] = control
    more = question.params.get("tools")
    return [*tools, *map(to_native_tool, more if isinstance(more, list) else ())]


def _to_native(spec: ToolSpec) -> Body:
    given, schema = to_spec(spec)
    tool: Body = {"name": given["name"]}
    if description := given.get("description"):
        tool["description"] = description
    return {**tool, "input_schema": schema}


def _to_choice(question: Question) -> Body:
    """Return which tools the model must call, and whether one after the other; this call's choice goes first."""
    choice: Body = {}
    if question.tool_choice:
        kind, name = read_tool_choice(question.tool_choice)
        choice = {"type": kind, "name": name} if name else {"type": kind}
    elif given := question.params.get("tool_choice"):
        choice = to_native_choice(given)
    if question.params.get("parallel_tool_calls") is False and choice.get("type") != "none":
        choice = {"type": "auto", **choice, "disable_parallel_tool_use": True}
    return choice


class _Dialogue:
    """Builds the messages of a body in one pass.

    Attributes:
        bodies: The messages so far.
        tool_names: The names of the tools called so far, in order.
    """

    def __init__(self, caching: Caching, *, translated: bool) -> None:
        self.bodies: list[Body] = []
        self.tool_names: list[str] = []
        self._caching = caching
        self._translated = translated

    def to_system(self, blocks: Sequence[SystemContentBlock]) -> list[Body]:
        """Return the system prompt, each text a block, some with a cache mark."""
        system: list[Body] = []
        for block in blocks:
            if "cachePoint" in block:
                self._mark(system, block["cachePoint"])
            elif "text" not in block:
                raise _refused(block, "text")
            elif block["text"].strip():
                system.append({"type": "text", "text": block["text"]})
        return system

    def add_messages(self, messages: Sequence[Message], trailing_blocks: int) -> None:
        """Add the messages of the model and the user; those of one role in a row become one, as Claude reads them."""
        for index, message in enumerate(messages):
            blocks = self._caching.content(messages, index, trailing_blocks)
            role = message["role"]
            content = self._to_content(blocks)
            # Claude refuses thinking at the end of a message. Without a message of the user, the model's own would be
            # the last, which it would continue.
            if (content and content[-1]["type"] in _UNMARKED) or (role == "user" and not content):
                content.append({"type": "text", "text": BLANK_TEXT})
            self._add(role, content)

    def _add(self, role: str, content: list[Body]) -> None:
        """Add blocks of a role, a user's results before all else, as Claude requires."""
        last = self.bodies[-1] if self.bodies else None
        if last and last["role"] == role and isinstance(earlier := last["content"], list):
            content = [*(block for block in earlier if isinstance(block, dict)), *content]
            self.bodies.pop()
        if content:
            if role == "user":
                content = sorted(content, key=lambda block: block["type"] != "tool_result")
            self.bodies.append({"role": role, "content": list(content)})

    def _to_content(self, blocks: Sequence[ContentBlock]) -> list[Body]:
        """Return blocks in their order, without thoughts that are not Claude's and without blank texts."""
        content: list[Body] = []
        for block in blocks:
            if "cachePoint" in block:
                self._mark(content, block["cachePoint"])
            elif "toolUse" in block:
                use = block["toolUse"]
                self.tool_names.append(use["name"])
                call_id = to_call_id(use["toolUseId"], CLAUDE_IDS)
                given: Body = json.loads(to_arguments(use))
                content.append({"type": "tool_use", "id": call_id, "name": use["name"], "input": given})
            elif "toolResult" in block:
                content.append(self._to_result(block["toolResult"]))
            elif "reasoningContent" in block:
                if thinking := to_thinking(block["reasoningContent"]):
                    content.append(thinking)
            else:
                content += self._to_block(block)
        return content

    def _to_block(self, block: ContentBlock) -> list[Body]:
        """Return a text or media; nothing for blank text, which Claude refuses."""
        text = text_of(block)
        if text is None:
            return [self._to_media(block)]
        return [{"type": "text", "text": text}] if text.strip() else []

    def _to_media(self, block: Mapping[str, object]) -> Body:
        """Return an image or a document.

        Raises:
            PortkeyConfigError: If it is neither, or the gateway would drop it or fail.
        """
        if media := text_document(block):
            if self._translated and (document := to_media("document", block)):
                return {"type": "text", "text": document_as_text(document)}
            return media
        media = anthropic_media(block)
        if media is None:
            raise _refused(block, "text, images, PDFs, or documents of text (csv, html, md, txt)")
        source = media["source"]
        is_dropped = media["type"] == "document" or (isinstance(source, dict) and source["type"] == "url")
        if self._translated and is_dropped:
            raise PortkeyConfigError(
                "content for Bedrock with api='messages' must be text, images by their bytes, or documents of text;"
                f" got a {'PDF' if media['type'] == 'document' else 'location'}",
                hint="set api='chat', where the gateway passes PDFs on to Bedrock",
            )
        return media

    def _to_result(self, result: ToolResult) -> Body:
        """Return a tool's result; what of it cannot be sent becomes a text that says so."""
        blocks = [self._to_result_block(block) for block in result["content"]]
        content: list[JsonValue] = [block for block in blocks if block["type"] != "text" or str(block["text"]).strip()]
        body: Body = {"type": "tool_result", "tool_use_id": to_call_id(result["toolUseId"], CLAUDE_IDS)}
        match content:
            case []:
                body["content"] = NO_OUTPUT
            case [{"type": "text", "text": text}]:
                body["content"] = text
            case _:
                body["content"] = content
        return {**body, "is_error": True} if result.get("status") == "error" else body

    def _to_result_block(self, block: ToolResultContent) -> Body:
        try:
            if "json" in block:
                return {"type": "text", "text": to_result_text(block["json"])}
            return {"type": "text", "text": block["text"]} if "text" in block else self._to_media(block)
        except PortkeyConfigError as error:
            return {"type": "text", "text": left_out(error)}

    def _mark(self, blocks: Sequence[Body], point: CachePoint) -> None:
        """Put a cache mark on the last block that carries one."""
        control = self._caching.control(point.get("ttl"))
        marked = next((block for block in reversed(blocks) if block["type"] not in _UNMARKED), None)
        if marked is None:
            warnings.warn("a cache point has no effect: there is nothing before it that carries one", stacklevel=2)
        else:
            marked["cache_control"] = control


def _refused(block: Mapping[str, object], works: str) -> PortkeyConfigError:
    got = next(iter(block), "empty")
    return PortkeyConfigError(f"content with api='messages' must be {works}; got content block {got!r}")
