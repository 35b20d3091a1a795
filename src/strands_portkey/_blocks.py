"""The line of content blocks that a message is made of, and the citations in them.

Strands puts a message together from blocks that follow one another, while the wire may interleave the fragments of
several tool calls. So blocks stand in line: the first one is open and its deltas become events at once; those behind
it keep theirs until it closes. A block closes when another one waits and it is whole: text and reasoning always are,
a tool call is when its arguments are.
"""

from __future__ import annotations

import logging
from collections import deque
from typing import Literal
from urllib.parse import urlsplit

from strands.types.citations import (
    CitationLocation,
    DocumentCharLocationDict,
    DocumentChunkLocationDict,
    DocumentPageLocationDict,
    SearchResultLocationDict,
    WebLocationDict,
)
from strands.types.content import ContentBlockStart
from strands.types.streaming import CitationsDelta, ContentBlockDelta, StreamEvent

from ._tool_calls import ToolCall
from ._wire import Citation

logger = logging.getLogger(__name__)

_Kind = Literal["text", "reasoning", "redacted", "tool"]


class _Block:
    """A content block that is open, or waits for the one before it to close."""

    __slots__ = ("call", "deltas", "index", "kind", "signed")

    def __init__(self, kind: _Kind, index: int | None = None, call: ToolCall | None = None) -> None:
        self.kind = kind
        self.index = index
        self.call = call
        self.signed = False
        self.deltas: list[ContentBlockDelta] = []

    def is_whole(self) -> bool:
        return self.call is None or self.call.is_whole()

    def start(self) -> ContentBlockStart:
        if self.call is None:
            return {}
        if self.call.signature is None:
            return {"toolUse": {"toolUseId": self.call.id, "name": self.call.name}}
        return {
            "toolUse": {
                "toolUseId": self.call.id,
                "name": self.call.name,
                "reasoningSignature": self.call.signature,
            }
        }


class BlockLine:
    """Puts deltas into blocks, and blocks into an order that Strands can follow.

    Attributes:
        events: The events brought about and not yet taken away.
        has_begun: Whether any block has opened: whether the model has said anything.
    """

    def __init__(self) -> None:
        """Begin without any block."""
        self.events: list[StreamEvent] = []
        self.has_begun = False
        self._line: deque[_Block] = deque()
        self._tools: dict[ToolCall, _Block] = {}

    def text(self, index: int | None, text: str) -> None:
        """Add text, to a new block where the wire's block index changes."""
        self._put(self._last("text", index), {"text": text})

    def reasoning(self, index: int | None, text: str) -> None:
        """Add a thought, to a new block where the wire's block index changes or the last one is signed."""
        self._put(self._last("reasoning", index), {"reasoningContent": {"text": text}})

    def citation(self, index: int | None, citation: CitationsDelta) -> None:
        """Add a source of a text's claims; Strands keeps it only in a block that has text."""
        self._put(self._last("text", index), {"citation": citation})

    def signature(self, index: int | None, signature: str) -> None:
        """Sign the last thought, or one without words. A signature may come in pieces."""
        last = self._line[-1] if self._line else None
        if last and last.signed and index is not None and last.index == index:
            block = last
        else:
            block = self._last("reasoning", index)
        block.signed = True
        self._put(block, {"reasoningContent": {"signature": signature}})

    def redacted(self, data: str) -> None:
        """Add redacted reasoning, kept as the text that it is so that it goes back as it came."""
        block = _Block("redacted")
        self._line_up(block)
        self._put(block, {"reasoningContent": {"redactedContent": data.encode()}})

    def tool_input(self, call: ToolCall, arguments: str) -> None:
        """Add a fragment of a call's arguments. The block begins when the call's name is known."""
        if not call.name:
            return
        block = self._tools.get(call)
        if block is None:
            block = self._tools[call] = _Block("tool", call=call)
            self._line_up(block)
            arguments = "".join(call.arguments)
        if arguments:
            self._put(block, {"toolUse": {"input": arguments}})
            self._advance()

    def close(self) -> None:
        """Close all blocks, in line."""
        while self._line:
            self._close()

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
        if self._line and block is self._line[0]:
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
        self.has_begun = True
        self.events.append({"contentBlockStart": {"start": block.start()}})
        self.events.extend({"contentBlockDelta": {"delta": delta}} for delta in block.deltas)

    def _close(self) -> None:
        self._line.popleft()
        self.events.append({"contentBlockStop": {}})
        if self._line:
            self._open()


def to_citation(citation: Citation) -> CitationsDelta:
    """Return a citation as Strands has it: title, quoted text and place, each as far as it is known."""
    delta: CitationsDelta = {}
    if title := citation.get("title") or citation.get("document_title"):
        delta["title"] = title
    if cited_text := citation.get("cited_text"):
        delta["sourceContent"] = [{"text": cited_text}]
    if location := _location(citation):
        delta["location"] = location
    return delta


def _location(citation: Citation) -> CitationLocation | None:
    document = citation.get("document_index") or 0
    first_block, last_block = citation.get("start_block_index") or 0, citation.get("end_block_index") or 0
    match citation.get("type"):
        case "char_location":
            start, end = citation.get("start_char_index") or 0, citation.get("end_char_index") or 0
            char: DocumentCharLocationDict = {"documentChar": {"documentIndex": document, "start": start, "end": end}}
            return char
        case "page_location":
            start, end = citation.get("start_page_number") or 0, citation.get("end_page_number") or 0
            page: DocumentPageLocationDict = {"documentPage": {"documentIndex": document, "start": start, "end": end}}
            return page
        case "content_block_location":
            chunk: DocumentChunkLocationDict = {
                "documentChunk": {"documentIndex": document, "start": first_block, "end": last_block}
            }
            return chunk
        case "search_result_location":
            search: SearchResultLocationDict = {
                "searchResultLocation": {
                    "searchResultIndex": citation.get("search_result_index") or 0,
                    "start": first_block,
                    "end": last_block,
                }
            }
            return search
        case "web_search_result_location":
            url = citation.get("url") or ""
            web: WebLocationDict = {"web": {"url": url, "domain": _domain(url)}}
            return web
        case _:
            logger.warning("citation=<unknown type> | its place is lost")
            return None


def _domain(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:  # The url is the web's, and may be no url.
        return ""
