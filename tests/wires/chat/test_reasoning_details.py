"""OpenRouter's reasoning details: merged from their pieces, kept in a conversation, and read from it again."""

from __future__ import annotations

import json

import pytest

from strands_portkey._wires.chat.reasoning_details import ReasoningDetails, read_details
from strands_portkey._wires.chat.stream import ChatTranslator


def text(words, index=0, **more):
    return {"type": "reasoning.text", "text": words, "index": index, **more}


def encrypted(data, **more):
    return {"type": "reasoning.encrypted", "data": data, **more}


def kept(*pieces):
    details = ReasoningDetails()
    for each in pieces:
        details.take(each)
    return read_details(details.to_signature())


@pytest.mark.parametrize(
    ("pieces", "details"),
    [
        pytest.param(
            [[text("a")], [text(" b")], [{"type": "reasoning.text", "signature": "S==", "index": 0}]],
            [text("a b", signature="S==")],
            id="claude: words, then the signature",
        ),
        pytest.param(
            [[text("a", signature=None)], [text("b", signature="S==")]],
            [text("ab", signature="S==")],
            id="a signature of null is none yet",
        ),
        pytest.param(
            [[text("a", signature="S==")], [text("b", 1, signature="T==")]],
            [text("a", signature="S=="), text("b", 1, signature="T==")],
            id="two thoughts",
        ),
        pytest.param(
            [[text("a")], [encrypted("D==", id="c1", index=0)]],
            [text("a"), encrypted("D==", id="c1", index=0)],
            id="gemini: words and an encrypted thought with one index",
        ),
        pytest.param(
            [
                [
                    {"type": "reasoning.encrypted", "data": "D==", "id": "c1"},
                    {"type": "reasoning.encrypted", "data": "E=="},
                ]
            ],
            [
                {"type": "reasoning.encrypted", "data": "D==", "id": "c1"},
                {"type": "reasoning.encrypted", "data": "E=="},
            ],
            id="two encrypted thoughts without an index",
        ),
        pytest.param(
            [
                [{"type": "reasoning.summary", "summary": "a", "index": 0}],
                [{"type": "reasoning.summary", "summary": "b", "index": 0}],
                [encrypted("D==", index=0, format="openai-responses-v1")],
            ],
            [
                {"type": "reasoning.summary", "summary": "ab", "index": 0},
                encrypted("D==", index=0, format="openai-responses-v1"),
            ],
            id="openai: a summary and its ciphertext",
        ),
        pytest.param([[text("a")], [text("b")]], [], id="words alone go back as reasoning"),
        pytest.param([5, ["x", None, []], {}], [], id="other shapes"),
        pytest.param([], [], id="none"),
    ],
)
def test_details_are_merged_from_their_pieces(pieces, details):
    assert kept(*pieces) == details


@pytest.mark.parametrize("signature", [None, "", "S==", "openrouter:1:", "openrouter:1:{}", "openrouter:2:[]"])
def test_what_is_no_signature_of_details_holds_none(signature):
    assert read_details(signature) == []


def test_pieces_are_not_written_into():
    piece = [text("a")]
    kept(piece, [text("b", signature="S==")])

    assert piece == [text("a")]


@pytest.mark.parametrize("event", ["message", None])
def test_an_answer_has_its_details_as_the_signature_of_a_last_thought(event):
    details = [text("Hm", signature="S==")]
    said = {"reasoning": "Hm", "reasoning_details": details, "content": "Hi"}
    translator = ChatTranslator()
    chunk = {"choices": [{"delta" if event else "message": said, "finish_reason": "stop"}]}

    events = [*translator.feed(event, json.dumps(chunk)), *translator.finish()]

    deltas = [each["contentBlockDelta"]["delta"] for each in events if "contentBlockDelta" in each]
    *words, last = deltas
    assert words == [{"reasoningContent": {"text": "Hm"}}, {"text": "Hi"}]
    assert read_details(last["reasoningContent"]["signature"]) == details
    assert translator.blocks.signatures == [last["reasoningContent"]["signature"]]
