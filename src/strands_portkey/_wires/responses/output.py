"""The items of one response, as they come.

Each is announced, comes in fragments that may interleave with those of others, and is then sent as a whole, which is
the truth of it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import ClassVar

from pydantic import JsonValue
from strands.types.content import ContentBlockStart
from strands.types.streaming import CitationsDelta

from strands_portkey._answer.calls import is_json
from strands_portkey._answer.citations import Citation, to_citation
from strands_portkey._answer.items import Item, ItemQueue
from strands_portkey._answer.quoting import Quoter
from strands_portkey._json import is_list, is_mapping, text_in, to_object
from strands_portkey._wires.responses.envelope import Envelope, join_parts, to_signature
from strands_portkey._wires.responses.shapes import (
    FunctionCall,
    Message,
    Part,
    Reasoning,
    SummaryDelta,
    parse_annotation,
    parse_arguments,
    parse_delta,
    parse_item,
    parse_summary,
    read_call,
    read_message,
    read_reasoning,
)

logger = logging.getLogger(__name__)


class CallError(ValueError):
    """A call of a tool that cannot be run.

    Attributes:
        name: Name of the tool.
        arguments: Its arguments, as far as they came.
        why: What is wrong with it, in words.
    """

    def __init__(self, name: str, arguments: str, why: str) -> None:
        """Initialize the error, whose text quotes nothing."""
        super().__init__(why)
        self.name = name
        self.arguments = arguments
        self.why = why


class _Message(Item):
    """A message, as far as it has come: how long its text is, and how many sources were named."""

    __slots__ = ("cited", "said")

    def __init__(self) -> None:
        super().__init__()
        self.said = 0
        self.cited = 0


class _Thought(Item):
    """An item of reasoning, as far as it has come: how long its text is, and in which part of it that stands.

    An answer may have both a summary and the reasoning itself; what comes first is shown.
    """

    __slots__ = ("envelope", "part", "said")

    def __init__(self) -> None:
        super().__init__()
        self.said = 0
        self.part: tuple[str, int] | None = None
        self.envelope: Envelope = {}


class _Call(Item):
    """A call of a tool, as far as it has come."""

    __slots__ = ("arguments", "name")

    def __init__(self, start: ContentBlockStart, name: str) -> None:
        super().__init__(start)
        self.name = name
        self.arguments: list[str] = []


class Output(ItemQueue):
    """The items of one response, and the events that they bring about.

    Attributes:
        calls: All calls so far.
        signatures: Those of the reasoning so far.
        is_refused: Whether the model has refused to answer.
    """

    def __init__(self, quoter: Quoter) -> None:
        """Begin without any item; what is logged is quoted by the quoter."""
        super().__init__()
        self.calls: list[_Call] = []
        self.signatures: list[str] = []
        self.is_refused = False
        self._quoter = quoter
        # By output index; ids are no help, since some servers send another one with each event.
        self._messages: dict[int | None, _Message] = {}
        self._thoughts: dict[int | None, _Thought] = {}
        self._calls: dict[int | None, _Call] = {}
        self._calls_by_id: dict[str, _Call | None] = {}  # None where several have the same id.
        self._call_ids: set[str] = set()
        self._whole: set[tuple[str, int | None]] = set()  # Type and output index of the items that have ended.
        self._unsigned: _Thought | None = None  # The reasoning that has just ended: a message may follow it.
        self._has_items = False

    # -- fragments --

    def _take_text(self, data: str) -> None:
        fragment = parse_delta(data)
        if text := fragment.get("delta"):
            index = fragment.get("output_index")
            message = self._messages.get(index)
            if message is None:  # A server has not announced it, or it is whole already.
                if self._is_whole("message", index):
                    return
                message = self._messages[index] = self._begin_message({})
            message.said += len(text)
            self.add(message, {"text": text})

    def _take_refusal(self, data: str) -> None:
        self.is_refused = True
        self._take_text(data)

    def _take_summary(self, data: str) -> None:
        fragment = parse_summary(data)
        self._take_thought(fragment, ("summary", fragment.get("summary_index") or 0))

    def _take_reasoning(self, data: str) -> None:
        fragment = parse_summary(data)
        self._take_thought(fragment, ("content", fragment.get("content_index") or 0))

    def _take_thought(self, fragment: SummaryDelta, part: tuple[str, int]) -> None:
        text = fragment.get("delta")
        if not text:
            return
        index = fragment.get("output_index")
        thought = self._thoughts.get(index)
        if thought is None:
            if self._is_whole("reasoning", index):
                return
            thought = self._thoughts[index] = self._begin_thought()
        if thought.part != part:
            if thought.part and thought.part[0] != part[0]:
                return
            if thought.part:
                text = join_parts(("", text))
            thought.part = part
        thought.said += len(text)
        self.add(thought, {"reasoningContent": {"text": text}})

    def _is_whole(self, kind: str, index: int | None) -> bool:
        """Whether a fragment comes after the whole of its item, which is the truth of it."""
        is_late = (kind, index) in self._whole
        if is_late:
            logger.debug("type=<%s> | a fragment after the end of its item is ignored", kind)
        return is_late

    def _take_arguments(self, data: str) -> None:
        fragment = parse_arguments(data)
        arguments = fragment.get("delta")
        call = self._calls_by_id.get(fragment.get("item_id") or "") or self._calls.get(fragment.get("output_index"))
        if arguments and call and not call.has_ended:
            call.arguments.append(arguments)
            self.add(call, {"toolUse": {"input": arguments}})

    def _take_annotation(self, data: str) -> None:
        event = parse_annotation(data)
        message = self._messages.get(event.get("output_index"))
        if message:
            self._cite(message, event.get("annotation"))

    # -- items --

    def _take_added(self, data: str) -> None:
        event = parse_item(data)
        index, item = event.get("output_index"), event.get("item") or {}
        self._has_items = True
        match item.get("type"):
            case "message":
                self._messages[index] = self._begin_message(read_message(item))
            case "reasoning":
                self._thoughts[index] = self._begin_thought()
            case "function_call":
                if call := self._begin_call(read_call(item)):
                    self._calls[index] = call
            case _:  # What a server does itself, and calls that Strands does not know.
                self.sign()

    def _take_done(self, data: str) -> None:
        event = parse_item(data)
        self._end_item(event.get("output_index"), event.get("item") or {})

    def _end_item(self, index: int | None, item: Mapping[str, JsonValue]) -> None:
        """Take in a whole item: what has not come of it yet, and that it has ended."""
        self._has_items = True
        kind = item.get("type")
        if index is not None:
            self._whole.add((str(kind), index))
        match kind:
            case "message":
                message = read_message(item)
                said = self._messages.pop(index, None)
                self._end_message(said or self._begin_message(message), message)
            case "reasoning":
                thought = self._thoughts.pop(index, None)
                self._end_thought(thought or self._begin_thought(), read_reasoning(item))
            case "function_call":
                whole = read_call(item)
                if call := self._calls.pop(index, None) or self._begin_call(whole):
                    self._end_call(call, whole)
            case _:
                logger.debug(
                    "type=<%s> | an item that a Strands message has no place for", self._quoter.quote(str(kind))
                )

    def _begin_message(self, item: Message) -> _Message:
        phase = item.get("phase")
        if phase and self._unsigned is None:  # Strands has no place for it beside a text.
            self._unsigned = _Thought()
            self.begin(self._unsigned)
        self.sign(phase)
        self._has_items = True
        message = _Message()
        self.begin(message)
        return message

    def _end_message(self, message: _Message, item: Message) -> None:
        parts = [part for part in item.get("content") or () if part]
        self.is_refused |= any(part.get("refusal") for part in parts)
        whole = "".join(part.get("text") or part.get("refusal") or "" for part in parts)
        if rest := whole[message.said :]:
            self.add(message, {"text": rest})
        annotations = [part.get("annotations") for part in parts]
        for annotation in [each for several in annotations if is_list(several) for each in several][message.cited :]:
            self._cite(message, annotation)
        self.end(message)

    def _cite(self, message: _Message, annotation: object) -> None:
        """Add a source; Strands keeps it only in a block that has text."""
        message.cited += 1
        if is_mapping(annotation) and (citation := _to_citation(annotation)):
            self.add(message, {"citation": citation})

    def _begin_thought(self) -> _Thought:
        self.sign()
        self._has_items = True
        thought = _Thought()
        self.begin(thought)
        return thought

    def _end_thought(self, thought: _Thought, item: Reasoning) -> None:
        """End a thought, but for its signature: that also holds the phase of a message right after it."""
        summary = _texts(item.get("summary"))
        whole = join_parts(summary or _texts(item.get("content")))
        if (rest := whole[thought.said :]) and (not thought.part or not summary or thought.part[0] == "summary"):
            self.add(thought, {"reasoningContent": {"text": rest}})
        if ciphertext := item.get("encrypted_content"):
            if item_id := item.get("id"):
                thought.envelope["id"] = item_id
            thought.envelope["encrypted_content"] = ciphertext
            thought.envelope["parts"] = [len(part) for part in summary]
        self.sign()
        self._unsigned = thought

    def sign(self, phase: str | None = None) -> None:
        """Sign the reasoning that has ended, now that it is known what follows it."""
        thought, self._unsigned = self._unsigned, None
        if thought is None:
            return
        if phase:
            thought.envelope["phase"] = phase
        if thought.envelope:
            signature = to_signature(thought.envelope)
            self.signatures.append(signature)
            self.add(thought, {"reasoningContent": {"signature": signature}})
        self.end(thought)

    def _begin_call(self, item: FunctionCall) -> _Call | None:
        self.sign()
        name, call_id = item.get("name"), item.get("call_id") or item.get("id")
        if not name or not call_id:
            return None
        if call_id in self._call_ids:
            logger.debug("call_id=<%s> | a call that is sent once more", self._quoter.quote(call_id))
            return None
        self._call_ids.add(call_id)
        call = _Call({"toolUse": {"toolUseId": call_id, "name": name}}, name)
        self.calls.append(call)
        if item_id := item.get("id"):
            self._calls_by_id[item_id] = None if item_id in self._calls_by_id else call
        self.begin(call)
        return call

    def _end_call(self, call: _Call, item: FunctionCall) -> None:
        came, given = "".join(call.arguments), item.get("arguments")
        whole = came if given is None else given
        if whole.startswith(came):
            rest = whole[len(came) :]
        elif (found := to_object(whole)) is not None and found == to_object(came):  # Perhaps with other spaces.
            rest = ""
        else:
            raise CallError(call.name, whole, "whose arguments came in other words before")
        if rest or not came:  # Strands reports a tool to callbacks when an input comes, also an empty one.
            call.arguments.append(rest)
            self.add(call, {"toolUse": {"input": rest}})
        self.end(call)

    def find_broken_call(self) -> CallError | None:
        """Return what is wrong with the first call that is not whole, in an answer that has ended."""
        for call in self.calls:
            arguments = "".join(call.arguments)
            # Where none have come, only the end of the call tells that there are none.
            is_whole = is_json(arguments) if arguments.strip() else call.has_ended
            if not is_whole:
                return CallError(call.name, arguments, "that is not whole")
        return None

    def end_open(self, output: Sequence[Mapping[str, JsonValue] | None]) -> None:
        """Take in the items that have not come as a whole; all where none has come at all."""
        open_items: dict[str, Collection[int | None]] = {
            "message": self._messages,
            "reasoning": self._thoughts,
            "function_call": self._calls,
        }
        has_items = self._has_items
        for index, item in enumerate(output):
            if item is None:
                continue
            if not has_items or index in open_items.get(str(item.get("type")), ()):
                self._end_item(index, item)

    READERS: ClassVar[Mapping[str | None, Callable[..., None]]] = {
        "response.output_text.delta": _take_text,
        "response.refusal.delta": _take_refusal,
        "response.reasoning_summary_text.delta": _take_summary,
        "response.reasoning_text.delta": _take_reasoning,
        "response.function_call_arguments.delta": _take_arguments,
        "response.output_text.annotation.added": _take_annotation,
        "response.output_item.added": _take_added,
        "response.output_item.done": _take_done,
    }
    """What reads each event that is about an item."""


def _texts(parts: Sequence[Part | None] | None) -> list[str]:
    return [text for part in parts or () if part and (text := part.get("text"))]


def _to_citation(annotation: Mapping[object, object]) -> CitationsDelta:
    """Return a source in Strands' form: of the web, or with the name of a file."""
    citation: Citation = {"title": text_in(annotation, "title") or text_in(annotation, "filename")}
    if url := text_in(annotation, "url"):
        citation |= {"type": "web_search_result_location", "url": url}
    return to_citation(citation)
