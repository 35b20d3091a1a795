"""Which call a fragment on the wire belongs to.

OpenAI numbers parallel calls by `index` and names each once. Gateways pass on much else: indexes that start over
with every chunk (Gemini), that are always 0 (Ollama) or absent (Cohere), ids that repeat, change or never come.
"""

from __future__ import annotations

from typing import Final
from uuid import uuid4

from strands_portkey._answer.calls import ToolCall
from strands_portkey._json import is_mapping, to_object
from strands_portkey._wires.chat.shapes import ToolCallDelta

GATEWAYS_PLACE: Final = ("function", "thought_signature")
"""Where the gateway puts the signature of one of Gemini's calls."""

_PLACES: Final = (
    GATEWAYS_PLACE,
    ("extra_content", "google", "thought_signature"),
    ("thoughtSignature",),
    ("function", "thoughtSignature"),
)


class ToolCalls:
    """The calls of one message, in the order in which they began."""

    def __init__(self) -> None:
        """Begin without any call."""
        self.all: list[ToolCall] = []
        self._by_index: dict[int | None, ToolCall] = {}
        self._by_id: dict[str, ToolCall] = {}
        self._by_name: dict[str, ToolCall] = {}  # The first of each.

    def take(self, tool_call: ToolCallDelta) -> ToolCall | None:
        """Add a fragment to the call that it belongs to, which may be a new one, and return that call.

        It returns None for what adds nothing: input of a tool that the provider runs itself, which has a negative
        index, a fragment that is empty, and a whole call that is sent once more.
        """
        function = tool_call.get("function") or {}
        name = function.get("name") or ""
        arguments = function.get("arguments") or ""
        wire_id, index = tool_call.get("id"), tool_call.get("index")
        # Most fragments have an index alone.
        call = self._find(wire_id, index) if wire_id or index is None else self._by_index.get(index)
        if name or wire_id:
            if call and index is not None and _is_repeated(call, wire_id, name, arguments):
                return None
            if call is None or _begins(call, wire_id, name, arguments):
                call = self._begin(wire_id, index, name)
            elif not name.startswith(call.name):
                name = call.name + name  # It comes in pieces.
            call.name = name or call.name
            call.wire_id = call.wire_id or wire_id
            call.signature = _signature(tool_call) or call.signature
        elif call is None:
            if index is None or index < 0 or not arguments:
                return None
            call = self._by_index[index] = self._without_arguments()
        if arguments:
            call.arguments.append(arguments)
        elif not name:
            call.signature = _signature(tool_call) or call.signature
        return call

    def _find(self, wire_id: str | None, index: int | None) -> ToolCall | None:
        if wire_id:
            call = self._by_id.get(wire_id)
            if call and (index is None or call.index == index):
                return call
        if index is None:
            return self.all[-1] if self.all else None
        return self._by_index.get(index)

    def _without_arguments(self) -> ToolCall:
        """Return the call that waits for arguments, whose index has changed meanwhile; else one that is never whole."""
        last = self.all[-1] if self.all else None
        return last if last and not last.arguments else self._begin(None, None)

    def _begin(self, wire_id: str | None, index: int | None, name: str = "") -> ToolCall:
        wire_id = wire_id or None
        unique = wire_id if wire_id and wire_id not in self._by_id else f"call_{uuid4().hex}"
        call = ToolCall(index, unique)
        first = self._by_name.setdefault(name, call)
        call.is_echo = bool(first.wire_id) and wire_id in (None, first.wire_id) and first.is_whole()
        self.all.append(call)
        self._by_index[index] = self._by_id[unique] = call
        return call


def _signature(tool_call: ToolCallDelta) -> str | None:
    """Return Gemini's signature of a call, after the name of its place where that is not the gateway's."""
    for place in _PLACES:
        value: object = tool_call
        for name in place:
            value = value.get(name) if is_mapping(value) else None
        if value and isinstance(value, str):
            return value if place == GATEWAYS_PLACE else f"{'.'.join(place)}:{value}"
    return None


def split_signature(signature: str) -> tuple[tuple[str, ...], str]:
    """Return the place of a call's signature and what stood there."""
    place, _, value = signature.partition(":")
    names = tuple(place.split("."))
    return (names, value) if names in _PLACES else (GATEWAYS_PLACE, signature)


def _is_repeated(call: ToolCall, wire_id: str | None, name: str, arguments: str) -> bool:
    """Whether a fragment is a call of before as a whole: some servers end a call in pieces so."""
    is_same = bool(wire_id) and (wire_id, name) == (call.wire_id, call.name)
    is_same = is_same and bool(arguments) and call.is_whole()
    return is_same and to_object(arguments) == to_object("".join(call.arguments))  # Perhaps with other spaces.


def _begins(call: ToolCall, wire_id: str | None, name: str, arguments: str) -> bool:
    """Whether a fragment for a call that is under way begins another one instead.

    A name together with a new id, or another name, does. A bare new id or a repeated name only does after whole
    arguments: vLLM has sent a new id with every fragment, others repeat the name. The first id of a call that began
    without one is no new id, and another name before any arguments of a call with an id is a piece of its name.
    """
    new_id = bool(wire_id and call.wire_id) and wire_id != call.wire_id
    is_piece = bool(call.wire_id) and not call.arguments
    if name and call.name and (new_id or (name != call.name and not is_piece)):
        return True
    return (new_id or bool(name)) and bool(arguments) and call.is_whole()
