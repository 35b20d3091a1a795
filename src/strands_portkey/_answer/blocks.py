"""The queue of content blocks that a message is made of.

Strands puts a message together from blocks that follow one another, while the wire may interleave the fragments of
several tool calls. So blocks stand in line: the first one is open and its deltas become events at once; those behind
it keep theirs until it closes. A block closes when another one waits and it is whole: text and reasoning always are,
a tool call is when its arguments are.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Literal

from strands.types.content import ContentBlockStart, ContentBlockStartToolUse
from strands.types.streaming import CitationsDelta, ContentBlockDelta, StreamEvent

from strands_portkey._answer.calls import JSON_WHITESPACE, ToolCall
from strands_portkey._answer.thinking_tags import ThinkingTags

_Kind = Literal["text", "reasoning", "redacted", "tool"]


class _Block:
    """A content block that is open, or waits for the one before it to close."""

    __slots__ = ("begin", "call", "deltas", "index", "is_open", "kind", "signed")

    def __init__(self, kind: _Kind, index: int | None = None, call: ToolCall | None = None) -> None:
        self.kind = kind
        self.index = index
        self.call = call
        self.signed = False
        self.is_open = False
        self.begin = ""  # The first character of a call's arguments.
        self.deltas: list[ContentBlockDelta] = []

    def is_whole(self) -> bool:
        return self.call is None or self.call.is_whole()

    def start(self) -> ContentBlockStart:
        if self.call is None:
            return {}
        tool_use: ContentBlockStartToolUse = {"toolUseId": self.call.id, "name": self.call.name}
        if self.call.signature is not None:
            tool_use["reasoningSignature"] = self.call.signature
        return {"toolUse": tool_use}


class BlockQueue:
    """Puts deltas into blocks, and blocks into an order that Strands can follow.

    Attributes:
        events: The events brought about and not yet taken away.
        received: Number of deltas so far.
        tags: Finds reasoning in tags at the beginning of the text; None where it is not looked for, or no more.
        signatures: What marks each signed or redacted thought: its signature, or its bytes.
    """

    def __init__(self) -> None:
        """Begin without any block."""
        self.events: list[StreamEvent] = []
        self.received = 0
        self.tags: ThinkingTags | None = None
        self.signatures: list[str | bytes] = []
        self._line: deque[_Block] = deque()
        self._tools: dict[ToolCall, _Block] = {}

    def text(self, index: int | None, text: str) -> None:
        """Add text, to a new block where the wire's block index changes."""
        if self.tags is not None:
            self._put_split(self.tags, self.tags.feed(text), index)
            return
        block = self._last("text", index)
        if block.is_open:  # As in `_put`, without a call for each piece of text.
            self.received += 1
            self.events.append({"contentBlockDelta": {"delta": {"text": text}}})
        else:
            self._put(block, {"text": text})

    def reasoning(self, index: int | None, text: str) -> None:
        """Add a thought, to a new block where the wire's block index changes or the last one is signed."""
        self._end_tags()  # A model whose thoughts have their own place uses no tags.
        self._put(self._last("reasoning", index), {"reasoningContent": {"text": text}})

    def citation(self, index: int | None, citation: CitationsDelta) -> None:
        """Add a source of a text's claims; Strands keeps it only in a block that has text."""
        self._put(self._last("text", index), {"citation": citation})

    def sources(self, citations: Iterable[CitationsDelta]) -> bool:
        """Add sources to the last block, and return whether that is text: Strands keeps them nowhere else."""
        self._end_tags()
        is_text = bool(self._line) and self._line[-1].kind == "text"
        for citation in citations if is_text else ():
            self._put(self._line[-1], {"citation": citation})
        return is_text

    def signature(self, index: int | None, signature: str) -> None:
        """Sign the last thought, or one without words. A signature may come in pieces."""
        self._end_tags()
        last = self._line[-1] if self._line else None
        if last and last.signed and index is not None and last.index == index:
            block = last
        else:
            block = self._last("reasoning", index)
        if block.signed:
            self.signatures[-1] = str(self.signatures[-1]) + signature
        else:
            self.signatures.append(signature)
        block.signed = True
        self._put(block, {"reasoningContent": {"signature": signature}})

    def redacted(self, data: str) -> None:
        """Add redacted reasoning, kept as the text that it is so that it goes back as it came."""
        self._end_tags()
        block = _Block("redacted")
        self._line_up(block)
        self._put(block, {"reasoningContent": {"redactedContent": data.encode()}})
        self.signatures.append(data.encode())

    def tool_input(self, call: ToolCall, arguments: str) -> None:
        """Add a fragment of a call's arguments. The block has its place from when the call's name is known."""
        if not call.name:
            return
        block = self._tools.get(call)
        if block is None:
            self._end_tags()
            block = self._tools[call] = _Block("tool", call=call)
            self._line_up(block)
            arguments = "".join(call.arguments)
        if not arguments:
            return
        self.received += 1
        delta: ContentBlockDelta = {"toolUse": {"input": arguments}}
        if block.is_open:
            self.events.append({"contentBlockDelta": {"delta": delta}})
        else:
            block.deltas.append(delta)
            block.begin = block.begin or arguments.lstrip(JSON_WHITESPACE)[:1]
            if block is self._line[0]:
                self._open()
        if len(self._line) > 1:
            self._advance()

    def end(self, call: ToolCall) -> None:
        """End a call, on a wire that says where each ends, so that one without arguments holds back nothing."""
        call.end()
        self._advance()

    def close(self) -> None:
        """Close all blocks, in line."""
        self._end_tags()
        while self._line:
            self._close()

    def _end_tags(self) -> None:
        if self.tags is not None:
            self._put_split(self.tags, self.tags.finish(), None)

    def _put_split(self, tags: ThinkingTags, pieces: Iterable[tuple[str, str]], index: int | None) -> None:
        if tags.is_done:
            self.tags = None
        for kind, piece in pieces:
            if kind == "text":
                self._put(self._last("text", index), {"text": piece})
            else:
                self._put(self._last("reasoning", index), {"reasoningContent": {"text": piece}})

    def _last(self, kind: _Kind, index: int | None) -> _Block:
        """Return the last block in line if what comes belongs to it, or a new one behind it."""
        if self._line:
            last = self._line[-1]
            if last.kind == kind and not last.signed and (index is None or last.index in (None, index)):
                if index is not None:
                    last.index = index
                return last
        block = _Block(kind, index)
        self._line_up(block)
        return block

    def _put(self, block: _Block, delta: ContentBlockDelta) -> None:
        self.received += 1
        if block.is_open:
            self.events.append({"contentBlockDelta": {"delta": delta}})
        else:
            block.deltas.append(delta)

    def _line_up(self, block: _Block) -> None:
        self._line.append(block)
        if len(self._line) == 1:
            self._open()
        else:
            self._advance()

    def _advance(self) -> None:
        while len(self._line) > 1 and self._line[0].is_whole():
            self._close()

    def _open(self) -> None:
        block = self._line[0]
        # More of its name may come; what is no object may be one that was encoded twice.
        if block.call and block.begin != "{":
            return
        block.is_open = True
        self.events.append({"contentBlockStart": {"start": block.start()}})
        self.events.extend({"contentBlockDelta": {"delta": delta}} for delta in block.deltas)

    def _close(self) -> None:
        block = self._line.popleft()
        if block.is_open:
            block.is_open = False  # A fragment that comes too late is none of the next block.
            self.events.append({"contentBlockStop": {}})
        # Strands reports a tool to callbacks when an input comes.
        elif block.call and (block.call.arguments or not block.call.is_echo):
            whole: ContentBlockDelta = {"toolUse": {"input": block.call.input()}}
            self.events.append({"contentBlockStart": {"start": block.start()}})
            self.events.append({"contentBlockDelta": {"delta": whole}})
            self.events.append({"contentBlockStop": {}})
        if self._line:
            self._open()
