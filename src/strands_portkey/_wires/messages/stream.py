"""The fold of a message's events into Strands stream events.

No I/O: events in, events out. A message is a list of numbered blocks, of which each is begun, grows, and ends. One
answer may be several messages: a turn that is paused goes on in the next one.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import Final
from uuid import uuid4

from pydantic import JsonValue
from pydantic_core import from_json
from strands.types.event_loop import StopReason
from strands.types.streaming import StreamEvent
from typing_extensions import override

from strands_portkey._answer.blocks import BlockQueue
from strands_portkey._answer.calls import ToolCall
from strands_portkey._answer.citations import to_citation
from strands_portkey._answer.counts import Counts
from strands_portkey._answer.error_details import read_complaint
from strands_portkey._answer.judgement import Judge
from strands_portkey._answer.metadata import ResponseMetadata
from strands_portkey._answer.parsing import UnreadableEventError
from strands_portkey._answer.translator import Translator
from strands_portkey._errors import PortkeyError, PortkeyStreamError
from strands_portkey._json import LONG, Body, has_too_many_parts
from strands_portkey._wires.messages.shapes import (
    Delta,
    Event,
    Start,
    Usage,
    parse_delta,
    parse_event,
    read_block,
    read_citation,
    read_usage,
)

logger = logging.getLogger(__name__)

_CLAUDE_STOPS: Final[dict[str, StopReason]] = {
    "end_turn": "end_turn",
    "max_tokens": "max_tokens",
    "model_context_window_exceeded": "max_tokens",
    "stop_sequence": "stop_sequence",
    "tool_use": "tool_use",
    "refusal": "content_filtered",
}
_PAUSE: Final = "pause_turn"
# All others are ignored, whatever they hold; "message" is that of data without an event.
_READ: Final = frozenset(
    {
        *("message", "message_start", "message_delta", "message_stop"),
        *("content_block_start", "content_block_delta", "content_block_stop", "error", "hook_results", None),
    }
)


class _Said:
    """A block as far as it has come, from which it can be sent back as it came.

    Attributes:
        start: As it began.
        call: The tool call that it is.
        pieces: The text, the thinking or the JSON that it grew by.
        signature: That of its thinking.
        citations: The sources that it grew by.
    """

    __slots__ = ("call", "citations", "pieces", "signature", "start")

    def __init__(self, start: Body, call: ToolCall | None = None) -> None:
        self.start = start
        self.call = call
        self.pieces: list[str] = call.arguments if call else []
        self.signature = ""
        self.citations: list[JsonValue] = []

    def whole(self) -> Body:
        """Return the block as a message in one piece would hold it."""
        block, grown = dict(self.start), "".join(self.pieces)
        kind = str(block.get("type"))
        if kind in ("text", "thinking"):
            block[kind] = f"{block.get(kind) or ''}{grown}"
        elif grown:
            with suppress(ValueError):
                block["input"] = from_json(grown)
        if self.signature:
            block["signature"] = self.signature
        if self.citations:
            block["citations"] = self.citations
        return block


class MessagesTranslator(Translator):
    """Folds the events of one message, or of several that are one turn, into Strands stream events."""

    def __init__(self, judge: Judge | None = None) -> None:
        """Begin a message, whose errors the judge makes."""
        super().__init__(judge)
        self._queue = BlockQueue()
        self._blocks: dict[int | None, _Said] = {}  # Of this message.
        self._calls: list[ToolCall] = []
        self._usage: Usage = {}
        self._stop_reason: str | None = None
        self._unshown = 0  # Begins of blocks, and what came of those that Strands has no place for.

    @property
    @override
    def counts(self) -> Counts | None:
        usage = self._usage
        if not usage:
            return None
        read, written = usage.get("cache_read_input_tokens") or 0, usage.get("cache_creation_input_tokens") or 0
        details = usage.get("output_tokens_details") or {}
        taken = read + written + (usage.get("input_tokens") or 0)
        output = usage.get("output_tokens") or 0
        return Counts(
            input=taken,
            output=output,
            total=taken + output,
            cache_read=read,
            cache_write=written,
            reasoning=details.get("thinking_tokens") or 0,
        )

    @property
    @override
    def is_finished(self) -> bool:
        return self._stop_reason is not None

    @property
    @override
    def signatures(self) -> Sequence[str | bytes]:
        return self._queue.signatures

    @override
    def progress(self) -> int:
        return self._queue.received + self._unshown

    @override
    def feed(self, event: str | None, data: str) -> list[StreamEvent]:
        if not self.received:
            self.stopwatch.first_byte()
        self.received += 1
        if event not in _READ:
            return []
        if len(data) > LONG and has_too_many_parts(data):
            raise self.unreadable("it has too many lists and objects", data, retryable=False)
        failure: PortkeyError | None = None
        try:
            if event == "content_block_delta":
                grown = parse_delta(data)
                if delta := grown.get("delta"):
                    self._grow(grown.get("index"), delta)
            elif event == "error":
                failure = self.api_error(read_complaint(data))
            elif data.startswith("[DONE]"):
                self.is_done = True
            else:
                failure = self._take(event, parse_event(data), data)
        except UnreadableEventError as error:
            failure = self.judge.answer_error(data) if event is None else self.unreadable(error.problem, data)
        if failure:
            raise failure  # Out here, so that it carries no other exception.
        events, self._queue.events = self._queue.events, []
        return events if self.has_begun else self.begin(events)

    @override
    def resume(self) -> list[JsonValue]:
        if self._stop_reason != _PAUSE or any(block.call for block in self._blocks.values()):
            return []
        wholes = [block.whole() for _, block in sorted(self._blocks.items(), key=lambda item: item[0] or 0)]
        # Claude refuses blank text.
        said: list[JsonValue] = [each for each in wholes if each.get("type") != "text" or str(each["text"]).strip()]
        if said:
            self._queue.close()
            self.earlier.append(self.counts)
            self.model = self.response_id = None
            self.hook_results = {}
            self._usage = {}
            self._blocks = {}
            self._stop_reason = None
            self.is_done = False
        return said

    @override
    def finish(self, response: ResponseMetadata | None = None) -> list[StreamEvent]:
        """End the message: return the remaining events, with ``messageStop`` and ``metadata`` last.

        Raises:
            PortkeyStreamError: If the message is not whole: no stop reason came, or a call broke off.
        """
        if self._stop_reason is None:
            message = (
                f"the answer broke off after {self.received} event(s): it ended without a stop reason. The gateway"
                " ends a stream this way when its upstream dies"
            )
            raise PortkeyStreamError(message, origin="provider", received=self.received, retryable=True)
        for index in self._blocks:
            self._end(index)
        stop_reason = self._to_stop_reason(self._stop_reason)
        if stop_reason != "max_tokens":  # Strands drops the calls of an answer that was cut by its length.
            self.check_calls(self._calls, self._stop_reason, retryable=stop_reason != "content_filtered")
        return self.end(stop_reason, response)

    @override
    def close(self) -> list[StreamEvent]:
        self._queue.close()
        return self._queue.events

    def _take(self, name: str | None, event: Event, data: str) -> PortkeyError | None:
        """Take in an event, or a whole message; return the error that it is."""
        kind = event.get("type") or name
        if kind == "error" or event.get("error"):
            return self.api_error(read_complaint(data)) if name else self.judge.answer_error(data)
        if isinstance(hook_results := event.get("hook_results"), dict):
            self.hook_results.update(hook_results)
        delta = event.get("delta")
        if kind == "content_block_start" and (start := event.get("content_block")):
            self._begin(event.get("index"), start)
        elif kind == "content_block_delta" and delta:
            self._grow(event.get("index"), delta)
        elif kind == "content_block_stop":
            self._end(event.get("index"))
        elif kind == "message_start":
            self._start(event.get("message") or {})
        elif kind == "message_delta":
            self._count(event.get("usage"))
            self._stop((delta or {}).get("stop_reason"), (delta or {}).get("stop_details"))
        elif kind == "message_stop":
            self.is_done = True
        elif name is None or (kind == "message" and event.get("content") is not None):
            return self._take_whole(event, data)
        return None

    def _start(self, message: Start) -> None:
        """Begin a message, after a pause perhaps in the place of one that has failed and of which nothing was shown."""
        if not self.has_begun:
            self._queue, self._blocks, self._calls = BlockQueue(), {}, []
            self._usage, self._stop_reason = {}, None
        self._introduce(message)

    def _take_whole(self, message: Event, data: str) -> PortkeyError | None:
        content = message.get("content")
        if content is None and not message.get("stop_reason"):
            return self.judge.answer_error(data)
        for index, block in enumerate(content or ()):
            if block is None:
                continue
            self._begin(index, {"type": "text", "text": block} if isinstance(block, str) else block)
            self._end(index)
        self._introduce(message)
        self._stop(message.get("stop_reason"), message.get("stop_details"))
        return None

    def _begin(self, index: int | None, start: Body) -> _Said:
        """Return a block that begins. One without a place in Strands, as of a server's own tool, is kept to go back."""
        self._unshown += 1
        kind = start.get("type")
        nested = start.get("tool_use")
        if isinstance(nested, dict):  # So the gateway streams a call out of its cache.
            start = {**start, **nested}
        call: ToolCall | None = None
        if kind in ("text", "thinking", "redacted_thinking", "tool_use"):
            block = read_block(start)
            if kind == "tool_use":
                call = self._call(index, block.get("id"), block.get("name"))
            elif kind == "redacted_thinking":
                if redacted := block.get("data"):
                    self._queue.redacted(redacted)
            else:
                if text := block.get("text"):
                    self._queue.text(index, text)
                if thinking := block.get("thinking"):
                    self._queue.reasoning(index, thinking)
                if signature := block.get("signature"):
                    self._queue.signature(index, signature)
                for citation in block.get("citations") or ():
                    self._cite(index, citation)
        said = self._blocks[index] = _Said(start, call)
        return said

    def _call(self, index: int | None, wire_id: str | None, name: str | None) -> ToolCall:
        is_new = wire_id and all(wire_id != each.id for each in self._calls)
        call = ToolCall(index, wire_id if wire_id and is_new else f"toolu_{uuid4().hex}")
        call.name = name or ""
        self._calls.append(call)
        self._queue.tool_input(call, "")
        return call

    def _grow(self, index: int | None, delta: Delta) -> None:
        """Add to a block; of one that Strands has no place for only to what is sent back."""
        block = self._blocks.get(index)
        if block is None:  # Its begin was lost, or never sent. A call without a name then ends in an error.
            kind = "tool_use" if delta.get("partial_json") else "thinking" if delta.get("thinking") else "text"
            block = self._begin(index, {"type": kind})
        if text := delta.get("text"):
            block.pieces.append(text)
            self._queue.text(index, text)
        elif arguments := delta.get("partial_json"):
            block.pieces.append(arguments)
            if block.call:
                self._queue.tool_input(block.call, arguments)
            else:
                self._unshown += 1
        elif thinking := delta.get("thinking"):
            block.pieces.append(thinking)
            self._queue.reasoning(index, thinking)
        elif signature := delta.get("signature"):
            block.signature += signature
            self._queue.signature(index, signature)  # Also in a block of text: Bedrock's thinking without words.
        elif citation := delta.get("citation"):
            block.citations.append(citation)
            self._cite(index, citation)

    def _cite(self, index: int | None, citation: Body | None) -> None:
        if source := to_citation(read_citation(citation or {})):
            self._queue.citation(index, source)

    def _end(self, index: int | None) -> None:
        """End a block. The input of a call that another tool's code has made comes with its begin."""
        block = self._blocks.get(index)
        if block and block.call:
            given = block.start.get("input")
            if given and not block.pieces:
                block.pieces.append(json.dumps(given, ensure_ascii=False))
                self._queue.tool_input(block.call, block.pieces[0])
            self._queue.end(block.call)

    def _introduce(self, message: Start | Event) -> None:
        """Keep who answers, and under which id."""
        model, response_id = message.get("model"), message.get("id")
        if isinstance(model, str):
            self.model = model or self.model
        if isinstance(response_id, str):
            self.response_id = response_id or self.response_id
        self._count(message.get("usage"))

    def _count(self, usage: JsonValue) -> None:
        """Keep the counts that came last: they are of the whole message so far."""
        if isinstance(usage, dict):
            self._usage.update(read_usage(usage))

    def _stop(self, stop_reason: str | None, details: JsonValue) -> None:
        self._stop_reason = stop_reason or self._stop_reason
        if details:
            logger.warning("stop_details=<%s> | why the model refused", self.judge.quote(json.dumps(details)))

    def _to_stop_reason(self, said: str) -> StopReason:
        stop_reason = _CLAUDE_STOPS.get(said)
        if stop_reason is None:
            logger.warning("stop_reason=<%s> | taken for the end of the turn", self.judge.quote(said))
            stop_reason = "end_turn"
        if self._calls and stop_reason in ("end_turn", "stop_sequence"):
            return "tool_use"
        if not self._calls and stop_reason == "tool_use":
            logger.warning("stop_reason=<%s> | no tool call came with it", said)
            return "end_turn"  # Strands would go on with an empty user turn.
        return stop_reason
