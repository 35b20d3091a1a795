"""Calls and their results in a conversation: upstreams refuse one without the other, which trimmed histories have."""

from __future__ import annotations

import warnings
from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Final, cast, get_args

from strands.types.content import ContentBlock, Message
from strands.types.tools import ToolResult

from strands_portkey._errors import PortkeyConfigError
from strands_portkey._request.media import MediaKind
from strands_portkey._request.tools import NO_OUTPUT, to_result_text

_NO_RESULT: Final = "No result: the call was not carried out, or its result is no longer in this conversation."
_LEFT_OUT: Final = "(Earlier messages are left out.)"
_NOTHING: Final[Message] = {"role": "user", "content": []}  # What a conversation ends before.


def in_pairs(messages: Sequence[Message]) -> Sequence[Message]:
    """Return a conversation in which each call has one result, in the message right after it, and each result its call.

    Of several results for one call the first counts: a later one must not change what was sent before it. What becomes
    of a message depends only on its neighbours, so that prompt caches hit. An id that was used before is replaced:
    some servers number the calls of each answer anew, and Claude refuses what repeats. Nothing given is written into,
    and where all pairs fit it is returned as it is.
    """
    called = list(map(_called_in, messages))
    if not all(map(_match, [[], *called], [*messages, _NOTHING])):
        messages = _paired(messages)
        called = list(map(_called_in, messages))
    ids = list(chain.from_iterable(called))
    return messages if len(set(ids)) == len(ids) else _told_apart(messages)


def _paired(messages: Sequence[Message]) -> list[Message]:
    paired: list[Message] = []
    called: list[str] = []
    lone = unanswered = 0
    for message in _unparted(messages):
        if _match(called, message):
            paired.append(message)
        else:
            fitting = (Counter(called) & Counter(_answered_in(message))).total()
            lone += len(_answered_in(message)) - fitting
            unanswered += len(called) - fitting
            paired.append({**message, "content": _paired_content(message, called)})
        called = _called_in(message)
    changes = {"sent as text, for want of their calls": lone, "added to calls without one": unanswered}
    if said := " and ".join(f"{count} {change}" for change, count in changes.items() if count):
        warnings.warn(f"the conversation was cut between calls and results; results: {said}", stacklevel=3)
    return paired


def _told_apart(messages: Sequence[Message]) -> list[Message]:
    """Return messages, all in pairs, with another id for each call whose id was used before."""
    taken = set[str]()
    repeats = Counter[str]()
    renamed: dict[str, deque[str]] = defaultdict(deque)

    def rename(block: ContentBlock) -> ContentBlock:
        if "toolUse" in block:
            call_id = block["toolUse"]["toolUseId"]
            fresh = call_id
            while fresh in taken:  # The new one too may be that of another call.
                repeats[call_id] += 1
                fresh = f"{call_id}-{repeats[call_id] + 1}"
            taken.add(fresh)
            renamed[call_id].append(fresh)
            return {"toolUse": {**block["toolUse"], "toolUseId": fresh}}
        if "toolResult" in block and (waiting := renamed[block["toolResult"]["toolUseId"]]):
            return {"toolResult": {**block["toolResult"], "toolUseId": waiting.popleft()}}
        return block  # A result in a message of the model is in no pair.

    return [{**message, "content": [rename(block) for block in message["content"]]} for message in messages]


def from_the_user(messages: Sequence[Message]) -> Sequence[Message]:
    """Return a conversation that begins with the user, as some upstreams require; a trimmed one may not."""
    if not messages or messages[0]["role"] == "user":
        return messages
    return [{"role": "user", "content": [{"text": _LEFT_OUT}]}, *messages]


def _match(called: Sequence[str], message: Message) -> bool:
    """Whether a message has the results of the calls before it and no others, in any order."""
    answered = _answered_in(message)
    return answered == called or sorted(answered) == sorted(called)


def _called_in(message: Message) -> list[str]:
    """Return the ids of the calls in a message of the model."""
    if message["role"] == "user":
        return []
    return [block["toolUse"]["toolUseId"] for block in message["content"] if "toolUse" in block]


def _answered_in(message: Message) -> list[str]:
    """Return the ids of the calls of which a message of the user has the results."""
    if message["role"] == "assistant":
        return []
    return [block["toolResult"]["toolUseId"] for block in message["content"] if "toolResult" in block]


def _unparted(messages: Sequence[Message]) -> list[Message]:
    """Return the messages, those that part a call from its result joined with the one before; the last may be added."""
    joined: list[Message] = []
    for message in messages:
        before = joined[-1] if joined else None
        if before and before["role"] == message["role"] and (_called_in(before) or _answered_in(message)):
            joined[-1] = {**before, "content": _results_first([*before["content"], *message["content"]])}
        else:
            joined.append(message)
    if joined and _called_in(joined[-1]):
        joined.append({"role": "user", "content": []})
    return joined


def _paired_content(message: Message, called: Sequence[str]) -> list[ContentBlock]:
    """Return a user's content with one result for each of the calls before it, and all other results as text."""
    waiting = list(called)
    blocks: list[ContentBlock] = []
    for block in message["content"]:
        if "toolResult" not in block:
            blocks.append(block)
        elif block["toolResult"]["toolUseId"] in waiting:
            waiting.remove(block["toolResult"]["toolUseId"])
            blocks.append(block)
        else:
            blocks += _as_content(block["toolResult"])
    return _results_first([*map(_no_result, waiting), *blocks])


def _results_first(blocks: Sequence[ContentBlock]) -> list[ContentBlock]:
    """Return blocks in the order that Claude requires."""
    return sorted(blocks, key=lambda block: "toolResult" not in block)


def _no_result(call_id: str) -> ContentBlock:
    return {"toolResult": {"toolUseId": call_id, "status": "error", "content": [{"text": _NO_RESULT}]}}


def _as_content(result: ToolResult) -> Iterator[ContentBlock]:
    """Yield a result as content of the user: all its text in one block, then its media."""
    texts = [f"Result of the tool call {result['toolUseId']!r}, status {result.get('status', 'success')}:"]
    media: list[ContentBlock] = []
    for block in result["content"]:
        if "text" in block:
            texts.append(block["text"])
        elif any(kind in block for kind in get_args(MediaKind)):
            media.append(cast("ContentBlock", block))
        else:
            texts.append(_json_or_note(block.get("json", block)))
    yield {"text": "\n".join(texts if len(texts) > 1 or media else [*texts, NO_OUTPUT])}
    yield from media


def _json_or_note(value: object) -> str:
    try:
        return to_result_text(value)
    except PortkeyConfigError:  # If it were raised, every later request would fail too.
        return "(left out: no JSON)"
