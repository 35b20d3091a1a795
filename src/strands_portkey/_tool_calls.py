"""Which call a fragment on the wire belongs to.

OpenAI numbers parallel calls by `index` and names each once. Gateways pass on much else: indexes that start over
with every chunk (Gemini), that are always 0 (Ollama) or absent (Cohere), ids that repeat, change or never come.
"""

from __future__ import annotations

import json
import re
from typing import Final
from uuid import uuid4

from ._wire import ToolCallDelta

_BRACE: Final = re.compile("[{}]")
_JSON_WHITESPACE: Final = " \t\n\r"


class ToolCall:
    """One call of a tool, as far as it has come.

    Attributes:
        id: Unique in the message; made up where the wire gives none.
        name: Name of the tool, or "" until it comes.
        signature: Gemini's signature of the thought that led to the call.
        arguments: The fragments of its JSON so far.
    """

    __slots__ = ("_end", "_is_whole", "_read", "arguments", "id", "index", "name", "signature", "wire_id")

    def __init__(self, index: int | None, wire_id: str | None, call_id: str) -> None:
        """Begin a call that has neither name nor arguments yet."""
        self.index = index
        self.wire_id = wire_id
        self.id = call_id
        self.name = ""
        self.signature: str | None = None
        self.arguments: list[str] = []
        self._end = _ObjectEnd()
        self._read = 0
        self._is_whole: bool | None = None  # None while more may make it so.

    def is_whole(self) -> bool:
        """Whether the arguments so far are a JSON object, which nothing can follow.

        However often this is asked, each fragment is looked at once, and the whole is parsed once.
        """
        came = "".join(self.arguments[self._read :])
        self._read = len(self.arguments)
        if self._is_whole is None and self._end.is_in(came):
            self._is_whole = _is_json("".join(self.arguments), dict)
        elif self._is_whole:
            self._is_whole = not came.strip(_JSON_WHITESPACE)
        return bool(self._is_whole)

    def is_broken(self) -> bool:
        """Whether the arguments, if they end here, are something else than JSON or nothing."""
        arguments = "".join(self.arguments).strip()
        return bool(arguments) and not _is_json(arguments, object)


class _ObjectEnd:
    """Finds where a JSON object ends, in text that comes in pieces. What it finds in other text means nothing."""

    __slots__ = ("_depth", "_escape", "_in_string")

    def __init__(self) -> None:
        self._depth = 0
        self._escape = ""
        self._in_string = False

    def is_in(self, text: str) -> bool:
        """Whether the object's last brace is in this next piece."""
        text = (self._escape + text).replace("\\\\", "").replace('\\"', "")
        self._escape = "\\" if text.endswith("\\") else ""
        parts = text.split('"')
        outside_strings = "".join(parts[self._in_string :: 2])
        self._in_string ^= len(parts) % 2 == 0
        for brace in _BRACE.findall(outside_strings):
            self._depth += 1 if brace == "{" else -1
            if self._depth <= 0:
                return True
        return False


class ToolCalls:
    """The calls of one message, in the order in which they began."""

    def __init__(self) -> None:
        """Begin without any call."""
        self.all: list[ToolCall] = []
        self._by_index: dict[int | None, ToolCall] = {}
        self._by_id: dict[str, ToolCall] = {}

    def take(self, tool_call: ToolCallDelta) -> ToolCall | None:
        """Add a fragment to the call that it belongs to, which may be a new one, and return that call.

        A fragment that belongs to none, for which it returns None, is input of a tool that the provider runs itself.
        """
        function = tool_call.get("function") or {}
        name = function.get("name") or ""
        arguments = function.get("arguments") or ""
        wire_id = tool_call.get("id")
        call = self._find(tool_call)
        if name or wire_id:
            if call is None or _begins(call, wire_id, name, arguments):
                call = self._begin(tool_call)
            call.name = call.name or name
            call.wire_id = call.wire_id or wire_id
        elif call is None:
            return None
        call.signature = function.get("thought_signature") or call.signature
        if arguments:
            call.arguments.append(arguments)
        return call

    def _find(self, tool_call: ToolCallDelta) -> ToolCall | None:
        index = tool_call.get("index")
        if wire_id := tool_call.get("id"):
            call = self._by_id.get(wire_id)
            if call and (index is None or call.index == index):
                return call
        if index is None:
            return self.all[-1] if self.all else None
        return self._by_index.get(index)

    def _begin(self, tool_call: ToolCallDelta) -> ToolCall:
        index, wire_id = tool_call.get("index"), tool_call.get("id") or None
        unique = wire_id if wire_id and wire_id not in self._by_id else f"call_{uuid4().hex}"
        call = ToolCall(index, wire_id, unique)
        self.all.append(call)
        self._by_index[index] = self._by_id[unique] = call
        return call


def _begins(call: ToolCall, wire_id: str | None, name: str, arguments: str) -> bool:
    """Whether a fragment for a call that is under way begins another one instead.

    A name together with a new id, or another name, does. A bare new id or a repeated name only does after whole
    arguments: vLLM has sent a new id with every fragment, others repeat the name. The first id of a call that began
    without one is no new id.
    """
    new_id = bool(wire_id and call.wire_id) and wire_id != call.wire_id
    if name and call.name and (new_id or name != call.name):
        return True
    return (new_id or bool(name)) and bool(arguments) and call.is_whole()


def _is_json(text: str, kind: type) -> bool:
    """Whether Strands, which reads arguments by the same means, will make this kind of value of them."""
    try:
        return isinstance(json.loads(text), kind)
    except (ValueError, RecursionError):
        return False
