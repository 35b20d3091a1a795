"""Reasoning between tags at the beginning of an answer, in pieces of any length."""

from __future__ import annotations

import pytest

from strands_portkey._answer.blocks import BlockQueue
from strands_portkey._answer.calls import ToolCall
from strands_portkey._answer.thinking_tags import ThinkingTags

ANSWERS = {
    "a thought and text": ("<think>a</think>b", "a", "b"),
    "lines between": ("<think>\nOkay, x < y.\n\n</think>\n\nHello", "Okay, x < y.", "Hello"),
    "blanks before": ("  \n<think>a</think>b", "a", "b"),
    "blanks within": ("<think>a b  c\n\nd</think>e  f", "a b  c\n\nd", "e  f"),
    "many blanks": (" " * 300 + "<think>" + " " * 300 + "a" + "\n" * 300 + "</think>" + " " * 300 + "b", "a", "b"),
    "no thought": ("<think>\n\n</think>\n\nHi", "", "Hi"),
    "no text": ("<think>a</think>\n", "a", ""),
    "nothing in the tags and behind": ("<think> </think> ", "", ""),
    "cut in the thought": ("<think>half a", "half a", ""),
    "cut before the end of a blank": ("<think>half \n", "half", ""),
    "cut in the closing tag": ("<think>half </thi", "half </thi", ""),
    "cut behind the opening tag": ("<think>", "", ""),
    "another tag within": ("<think>x </thin </ think> y</think>z", "x </thin </ think> y", "z"),
    "a second thought": ("<think>a</think>b<think>c</think>", "a", "b<think>c</think>"),
    "a closing tag in the text": ("<think>a</think>b </think> c", "a", "b </think> c"),
    "text first": ("Hello <think>a</think>", "", "Hello <think>a</think>"),
    "another tag": ("<thinking>a</thinking>b", "", "<thinking>a</thinking>b"),
    "upper case": ("<THINK>a</THINK>b", "", "<THINK>a</THINK>b"),
    "a closing tag alone": ("a</think>b", "", "a</think>b"),
    "half an opening tag": ("<thin", "", "<thin"),
    "half an opening tag after a blank": (" <", "", " <"),
    "a comparison": ("< 5", "", "< 5"),
    "JSON": ('<think>a</think>\n{"x": "</think>"}', "a", '{"x": "</think>"}'),
    "text": ("Hello", "", "Hello"),
    "blanks": ("  \n", "", "  \n"),
    "nothing": ("", "", ""),
}


def split(answer: str, size: int) -> tuple[str, str]:
    tags = ThinkingTags()
    found: list[tuple[str, str]] = []
    for start in range(0, len(answer), size):
        piece = answer[start : start + size]
        found += [("text", piece)] if tags.is_done else tags.feed(piece)
    found += tags.finish()
    assert all(piece for _, piece in found)
    thoughts = [piece for kind, piece in found if kind == "reasoning"]
    return "".join(thoughts), "".join(piece for kind, piece in found if kind == "text")


@pytest.mark.parametrize(("answer", "reasoning", "text"), ANSWERS.values(), ids=ANSWERS)
def test_an_answer_is_split_alike_in_pieces_of_any_length(answer, reasoning, text):
    assert {split(answer, size) for size in range(1, len(answer) + 2)} == {(reasoning, text)}


@pytest.mark.parametrize(
    ("pieces", "found"),
    [
        (["<think>a b", " c"], [[("reasoning", "a b")], [("reasoning", " c")]]),
        (
            ["<think>a", "<b", "></think>c"],
            [[("reasoning", "a")], [("reasoning", "<b")], [("reasoning", ">"), ("text", "c")]],
        ),
        (["<", "b>"], [[], [("text", "<b>")]]),
    ],
    ids=["words", "another tag", "no tag"],
)
def test_what_is_known_comes_at_once(pieces, found):
    tags = ThinkingTags()

    assert [tags.feed(piece) for piece in pieces] == found


# -- in the queue of blocks --------------------------------------------------------------------------------------------


def said(queue: BlockQueue) -> list[object]:
    queue.close()
    return [event["contentBlockDelta"]["delta"] for event in queue.events if "contentBlockDelta" in event]


def tagged() -> BlockQueue:
    queue = BlockQueue()
    queue.tags = ThinkingTags()
    return queue


def thought(text: str) -> object:
    return {"reasoningContent": {"text": text}}


def test_a_thought_and_the_text_are_two_blocks():
    queue = tagged()
    queue.text(None, "<think>a</think>b")
    queue.text(None, "c")
    queue.close()

    assert [name for event in queue.events for name in event] == [
        *("contentBlockStart", "contentBlockDelta", "contentBlockStop"),
        *("contentBlockStart", "contentBlockDelta", "contentBlockDelta", "contentBlockStop"),
    ]
    assert said(queue) == [thought("a"), {"text": "b"}, {"text": "c"}]


def test_a_model_whose_thoughts_have_their_own_place_uses_no_tags():
    queue = tagged()
    queue.reasoning(None, "a")
    queue.text(None, "<think>b</think>c")

    assert said(queue) == [thought("a"), {"text": "<think>b</think>c"}]


def test_what_was_held_back_comes_before_a_thought_of_its_own():
    queue = tagged()
    queue.text(None, "<thi")
    queue.reasoning(None, "a")

    assert said(queue) == [{"text": "<thi"}, thought("a")]


def test_what_was_held_back_comes_before_a_call():
    queue = tagged()
    call = ToolCall(0, "f")
    call.name = "f"
    call.arguments.append("{}")
    queue.text(None, "<think>a <")
    queue.tool_input(call, "{}")

    assert said(queue) == [thought("a"), thought(" <"), {"toolUse": {"input": "{}"}}]


@pytest.mark.parametrize("mark", ["signature", "redacted"])
def test_a_signed_answer_has_no_tags(mark):
    queue = tagged()
    queue.signature(None, "S") if mark == "signature" else queue.redacted("S")
    queue.text(None, "<think>b</think>c")

    assert said(queue)[1:] == [{"text": "<think>b</think>c"}]


def test_text_is_not_searched_for_tags_unless_asked():
    queue = BlockQueue()
    queue.text(None, "<think>a</think>b")

    assert said(queue) == [{"text": "<think>a</think>b"}]
