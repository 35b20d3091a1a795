"""The fold of a completion's chunks into Strands stream events.

No I/O: chunks in, events out, so that every upstream's quirk is tested as plain values.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterable, Sequence
from typing import Final

from strands.types.event_loop import StopReason
from strands.types.streaming import StreamEvent
from typing_extensions import override

from strands_portkey._answer.blocks import BlockQueue
from strands_portkey._answer.citations import Citation, to_citation
from strands_portkey._answer.counts import Counts
from strands_portkey._answer.error_details import Complaint, to_complaint
from strands_portkey._answer.judgement import Judge, is_failure
from strands_portkey._answer.metadata import ResponseMetadata
from strands_portkey._answer.parsing import UnreadableEventError, json_or_text
from strands_portkey._answer.thinking_tags import ThinkingTags
from strands_portkey._answer.translator import Translator
from strands_portkey._errors import PortkeyError, PortkeyStreamError
from strands_portkey._json import LONG, has_too_many_parts
from strands_portkey._wires.chat.reasoning_details import ReasoningDetails
from strands_portkey._wires.chat.shapes import (
    ChatCompletionChunk,
    Choice,
    CompletionUsage,
    ContentBlock,
    ContentPart,
    Delta,
    ToolCallDelta,
    parse_chunk,
    read_id,
)
from strands_portkey._wires.chat.sources import find_sources
from strands_portkey._wires.chat.stop_reasons import gravity, to_stop_reason
from strands_portkey._wires.chat.tool_calls import ToolCalls
from strands_portkey._wires.chat.usage import merge_usage, to_counts

logger = logging.getLogger(__name__)

_KEEP_ALIVE: Final = re.compile("(?!.*error)[a-z_-]{1,20}", re.IGNORECASE)  # Such as `data: ping`.
_WITHOUT_STREAMED_CALLS: Final = "together-ai"


class ChatTranslator(Translator):
    """Folds the chunks of one completion into Strands stream events."""

    def __init__(self, judge: Judge | None = None) -> None:
        """Begin a completion, whose errors the judge makes."""
        super().__init__(judge)
        self._usage: CompletionUsage | None = None
        self._finish_reason: str | None = None
        self._refused = False
        self._choice: int | None = None  # The number of the choice that counts.
        self._details = ReasoningDetails()
        self._blocks = BlockQueue()
        self._calls = ToolCalls()
        self._sources: dict[str, Citation] = {}
        self._warned: set[str] = set()

    @property
    @override
    def counts(self) -> Counts | None:
        """Tokens and costs as far as they came, or None."""
        return to_counts(self._usage, self.judge.provider) if self._usage else None

    @property
    @override
    def is_finished(self) -> bool:
        """Whether a finish reason came. Without one the answer is not whole."""
        return self._finish_reason is not None

    @property
    @override
    def signatures(self) -> Sequence[str | bytes]:
        return self._blocks.signatures

    @override
    def progress(self) -> int:
        return self._blocks.received

    @override
    def feed(self, event: str | None, data: str) -> list[StreamEvent]:
        if not self.received:
            self.stopwatch.first_byte()
            self._blocks.tags = ThinkingTags() if self.splits_tags else None
        chunk = self.read(event, data)
        if chunk is None:
            return []
        self.received += 1
        if error := chunk.get("error"):
            raise self.api_error(to_complaint({"error": error}))
        if usage := chunk.get("usage"):
            self._count(usage)
        if hook_results := chunk.get("hook_results"):
            self.hook_results.update(hook_results)
        if choices := chunk.get("choices"):
            self.model = self.model or self._introduced(chunk, data)
            for choice in choices:
                if choice.get("index") != self._choice and not self._counts(choice, chunk.get("provider")):
                    continue
                self._take_choice(choice, chunk, is_whole=event is None)
        events, self._blocks.events = self._blocks.events, []
        if not events or self._finish_reason is not None:  # Sources come beside nothing else, or at the end.
            self._sources |= find_sources(data)
        return events if self.has_begun else self.begin(events)

    def _introduced(self, chunk: ChatCompletionChunk, data: str) -> str | None:
        """Return who answers, if that is said, and keep the id of the first chunk."""
        if self.response_id is None:
            self.response_id = read_id(data) or ""
        return chunk.get("model")

    def read(self, event: str | None, data: str) -> ChatCompletionChunk | None:
        """Return the chunk that a message is, or None for the last message.

        Raises:
            PortkeyAPIError: If a JSON answer is no completion.
            PortkeyStreamError: If a message of a stream is no chunk.
        """
        if event is not None and data.startswith("[DONE]"):
            self.is_done = True
            return None
        if event == "error":
            return {"error": json_or_text(data)}
        if len(data) > LONG and has_too_many_parts(data):
            raise self.unreadable("it has too many lists and objects", data, retryable=False)
        try:
            chunk = parse_chunk(data)
        except UnreadableEventError as error:
            if event is not None and _KEEP_ALIVE.fullmatch(data):
                logger.debug("data=<%s> | a keep-alive", self.judge.quote(data))
                return None
            if event is not None or error.problem.startswith("choices."):
                failure: PortkeyError = self.unreadable(error.problem, data)
            else:
                failure = self.judge.answer_error(data)
        else:
            if event is not None or (chunk.get("choices") and not chunk.get("error")):
                return chunk
            failure = self.judge.answer_error(data)
        raise failure  # Out here, so that it carries no other exception.

    @override
    def finish(self, response: ResponseMetadata | None = None) -> list[StreamEvent]:
        """End the completion: return the remaining events, with ``messageStop`` and ``metadata`` last.

        Raises:
            PortkeyStreamError: If the answer is not whole: no finish reason came, or a call broke off.
        """
        if self._finish_reason is None and self._is_whole_without_reason():
            self._finish_reason = "stop"
        if self._finish_reason is None:
            message = (
                f"the answer broke off after {self.received} chunk(s): it ended without a finish reason. The gateway"
                " ends a stream this way when its upstream dies, and when it cannot translate what the upstream sent"
            )
            raise PortkeyStreamError(message, origin="provider", received=self.received, retryable=True)
        stop_reason = self._stop_reason(self._finish_reason)
        if stop_reason != "max_tokens":  # Strands drops the calls of an answer that was cut by its length.
            may_pass = to_stop_reason(self._finish_reason) != "content_filtered"
            self.check_calls(self._calls.all, self._finish_reason, retryable=may_pass)
        if self._sources and not self._blocks.sources(map(to_citation, self._sources.values())):
            logger.warning("sources=<%d> | lost, since no text comes last in the answer", len(self._sources))
        if signature := self._details.to_signature():
            self._blocks.signature(None, signature)
        return self.end(stop_reason, response)

    @override
    def close(self) -> list[StreamEvent]:
        self._blocks.close()
        return self._blocks.events

    def _counts(self, choice: Choice, provider: str | None) -> bool:
        """Whether a choice is of the answer: the first, if the gateway's config asks for several."""
        index = choice.get("index")
        if index is None or (provider or self.judge.provider) == "cohere":  # Cohere numbers its calls so.
            return True
        if self._choice is None:
            self._choice = index
        return index == self._choice

    def _take_choice(self, choice: Choice, chunk: ChatCompletionChunk, *, is_whole: bool) -> None:
        delta = choice.get("delta")
        # Perplexity has both; a stream of other servers may hold a whole answer.
        if is_whole or delta is None:
            delta = choice.get("message") or delta or {}
            if delta:  # Perplexity's has no finish reason.
                self._finish_reason = self._finish_reason or "stop"
        content_blocks = delta.get("content_blocks")
        parts = _to_parts(content_blocks) if content_blocks else ()
        # What stands in `content_blocks` may stand elsewhere as well; it counts once.
        if delta.get("reasoning_content") or delta.get("reasoning") or delta.get("reasoning_details"):
            self._take_reasoning(delta, parts)
        for index, part in parts:
            self._take_part(index, part)
        content = delta.get("content")
        if content and not (parts and any(part.get("text") for _, part in parts)):
            if isinstance(content, str):
                self._blocks.text(None, content)
            else:
                self._take_parts(content)
        if refusal := delta.get("refusal"):
            self._refused = True
            self._blocks.text(None, refusal)
        if tool_calls := delta.get("tool_calls"):
            self._take_tool_calls(tool_calls)
        if choice.get("finish_reason") or choice.get("error") or delta.get("finish_reason"):
            self._take_end(choice, delta, chunk.get("provider"))

    def _take_reasoning(self, delta: Delta, parts: Collection[tuple[int | None, ContentPart]]) -> None:
        reasoning = delta.get("reasoning_content") or delta.get("reasoning")
        if reasoning and not any(part.get("thinking") for _, part in parts):
            self._blocks.reasoning(None, reasoning)
        self._details.take(delta.get("reasoning_details"))  # Their words stand in `reasoning` too.

    def _take_end(self, choice: Choice, delta: Delta, provider: str | None) -> None:
        if delta.get("finish_reason"):
            said = "the upstream ended the stream with an exception, whose text the gateway drops"
            raise self.api_error(Complaint(said, type="stream_error", provider=provider or "bedrock"))
        if error := choice.get("error"):
            raise self.api_error(to_complaint({"error": error}))
        finish_reason = choice.get("finish_reason") or ""
        if is_failure(finish_reason):
            kind, _, words = finish_reason.partition(":")
            said = words.strip() or "the upstream ended the answer with an error, whose text the gateway drops"
            raise self.api_error(Complaint(said, type=kind, provider=provider))
        # A later one may come beside the end of the stream.
        if self._finish_reason is None or gravity(finish_reason) >= gravity(self._finish_reason):
            self._finish_reason = finish_reason

    def _take_part(self, index: int | None, part: ContentPart) -> None:
        thinking = part.get("thinking") or part.get("summary")
        if isinstance(thinking, list):
            thinking = "".join(thought.get("text") or "" for thought in thinking)
        if thinking:
            self._blocks.reasoning(index, thinking)
        if signature := part.get("signature"):
            self._blocks.signature(index, signature)
        if data := part.get("data"):
            self._blocks.redacted(data)
        if part.get("image_url"):
            self._warn("block=<image> | the model sent an image, which a Strands message cannot hold")
        if text := part.get("text"):
            self._blocks.text(index, text)
        citation = part.get("citation")
        for each in [citation] if citation else part.get("citations") or ():
            source = to_citation(each)
            if "location" not in source:
                self._warn("citation=<unknown type> | its place is lost")
            self._blocks.citation(index, source)

    def _warn(self, message: str) -> None:
        """Log a warning, once an answer."""
        if message not in self._warned:
            self._warned.add(message)
            logger.warning(message)

    def _take_parts(self, parts: Iterable[ContentPart]) -> None:
        for part in parts:
            self._take_part(None, part)

    def _take_tool_calls(self, tool_calls: list[ToolCallDelta | None] | ToolCallDelta) -> None:
        for tool_call in tool_calls if isinstance(tool_calls, list) else [tool_calls]:
            if not tool_call:  # Gemini's lists have holes.
                continue
            call = self._calls.take(tool_call)
            if call is None:
                logger.debug("index=<%s> | input of a provider's own tool, or a repeated call", tool_call.get("index"))
            else:
                self._blocks.tool_input(call, (tool_call.get("function") or {}).get("arguments") or "")

    def _count(self, usage: CompletionUsage) -> None:
        """Keep the last counts that came; an upstream may repeat them with the details absent or null."""
        if usage.get("prompt_tokens") or usage.get("completion_tokens") or usage.get("total_tokens"):
            self._usage = merge_usage(self._usage or {}, usage)

    def _is_whole_without_reason(self) -> bool:
        """Whether an answer without a finish reason is whole, as of Snowflake, and of some of OpenRouter's providers.

        No stream that was cut or has failed is known to have said both that it is done and what it took.
        """
        says_something = self.has_begun and self.is_done and self._usage is not None
        return says_something and all(call.name and call.is_whole() for call in self._calls.all)

    def _stop_reason(self, finish_reason: str) -> StopReason:
        stop_reason = to_stop_reason(finish_reason)
        if stop_reason is None and not (self.has_begun or self._calls.all):
            message = f"the answer ended for an unknown reason, without any content: {self.judge.quote(finish_reason)}"
            raise PortkeyStreamError(message, origin="provider", received=self.received, retryable=True)
        if stop_reason is None or finish_reason.lower() == "pause_turn":
            logger.warning("finish_reason=<%s> | taken for the end of the turn", self.judge.quote(finish_reason))
            stop_reason = "end_turn"
        if self._refused:
            return "content_filtered"
        if self._calls.all and stop_reason in ("end_turn", "stop_sequence"):
            return "tool_use"  # Gemini and others end a turn with calls as any other.
        if not self._calls.all and stop_reason == "tool_use":
            if self.judge.provider == _WITHOUT_STREAMED_CALLS:
                message = f"the answer ended for a tool call, but has none ({self.judge.quote(finish_reason)})"
                hint = "set stream=False; the gateway drops the tool calls of this provider's streams"
                raise PortkeyStreamError(message, origin="gateway", received=self.received, hint=hint)
            logger.warning("finish_reason=<%s> | no tool call came with it", finish_reason)
            return "end_turn"  # Strands would go on with an empty user turn.
        return stop_reason


def _to_parts(content_blocks: Collection[ContentBlock]) -> list[tuple[int | None, ContentPart]]:
    """Return what each block grew by, with its number.

    In a JSON answer a block is whole, and its place is its number.
    """
    return [
        (position, block) if (delta := block.get("delta")) is None else (block.get("index"), delta)
        for position, block in enumerate(content_blocks)
    ]
