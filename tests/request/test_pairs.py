"""Calls without a result and results without a call, as trimmed conversations have them."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import pytest

from strands_portkey._request.pairs import in_pairs

PNG: Any = {"image": {"format": "png", "source": {"bytes": b"\x89PNG"}}}
PDF: Any = {"document": {"name": "report", "format": "pdf", "source": {"bytes": b"%PDF-1.7"}}}
POINT: Any = {"cachePoint": {"type": "default"}}
THOUGHT: Any = {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "SIGNED=="}}}


def text(said: str) -> Any:
    return {"text": said}


def call(call_id: str) -> Any:
    return {"toolUse": {"toolUseId": call_id, "name": "get_time", "input": {}}}


def result(call_id: str, *content: Any, status: str = "success") -> Any:
    return {"toolResult": {"toolUseId": call_id, "status": status, "content": list(content or [text("12:00")])}}


def missing(call_id: str) -> Any:
    said = "No result: the call was not carried out, or its result is no longer in this conversation."
    return result(call_id, text(said), status="error")


def as_text(call_id: str, said: str = "12:00", status: str = "success") -> Any:
    return text(f"Result of the tool call '{call_id}', status {status}:\n{said}")


def user(*blocks: Any) -> Any:
    return {"role": "user", "content": list(blocks)}


def model(*blocks: Any) -> Any:
    return {"role": "assistant", "content": list(blocks)}


HI = user(text("Hi"))
BYE = user(text("Bye"))
NOON = model(text("Noon."))


@pytest.mark.parametrize(
    "messages",
    [
        pytest.param([], id="nothing"),
        pytest.param([HI], id="a question"),
        pytest.param([HI, NOON, BYE], id="no calls"),
        pytest.param([HI, HI, NOON, NOON], id="several messages in a row"),
        pytest.param([HI, model(call("a")), user(result("a"))], id="a call and its result"),
        pytest.param([model(call("a")), user(result("a")), NOON], id="a call ahead of all"),
        pytest.param([model(call("a"), call("b")), user(result("b"), result("a"))], id="results in another order"),
        pytest.param([model(call("a")), user(text("So:"), result("a"), POINT, PNG)], id="results beside other content"),
        pytest.param([NOON, model(call("a")), user(result("a")), HI], id="messages of one role around a pair"),
    ],
)
def test_a_conversation_whose_pairs_fit_is_the_same_object(messages):
    assert in_pairs(messages) is messages


CUT: Any = [
    # Results without a call.
    pytest.param([user(result("a"))], [user(as_text("a"))], 1, 0, id="only a result"),
    pytest.param([user(result("a")), NOON, BYE], [user(as_text("a")), NOON, BYE], 1, 0, id="a result ahead of all"),
    pytest.param(
        [user(result("a"), result("b"), text("So?"))],
        [user(as_text("a"), as_text("b"), text("So?"))],
        2,
        0,
        id="results ahead of all, and what the user said",
    ),
    pytest.param([HI, NOON, user(result("a"))], [HI, NOON, user(as_text("a"))], 1, 0, id="a result after an answer"),
    pytest.param(
        [model(call("a")), user(result("a"), result("x"), POINT)],
        [model(call("a")), user(result("a"), as_text("x"), POINT)],
        1,
        0,
        id="a result of another call beside the right one",
    ),
    pytest.param(
        [model(call("a")), user(result("x"), result("a"))],
        [model(call("a")), user(result("a"), as_text("x"))],
        1,
        0,
        id="results go ahead of text",
    ),
    pytest.param(
        [model(call("a")), user(result("a")), NOON, user(result("a"))],
        [model(call("a")), user(result("a")), NOON, user(as_text("a"))],
        1,
        0,
        id="a result that comes once more later",
    ),
    pytest.param(
        [model(call("a")), user(result("a", text("one")), result("a", text("two")))],
        [model(call("a")), user(result("a", text("one")), as_text("a", "two"))],
        1,
        0,
        id="two results for one call",
    ),
    pytest.param(
        [model(call("a")), user(result("a", text("one"))), user(result("a", text("two")))],
        [model(call("a")), user(result("a", text("one")), as_text("a", "two"))],
        1,
        0,
        id="two results for one call in two messages",
    ),
    # What a result holds.
    pytest.param(
        [user(result("a", text("rain"), {"json": {"heat": "12 °C"}}, text("wind"), status="error"))],
        [user(as_text("a", 'rain\n{"heat": "12 °C"}\nwind', "error"))],
        1,
        0,
        id="texts and JSON of a failure",
    ),
    pytest.param(
        [user(result("a", PNG, text("a map"), PDF), text("So?"))],
        [user(as_text("a", "a map"), PNG, PDF, text("So?"))],
        1,
        0,
        id="an image, a text and a document",
    ),
    pytest.param(
        [user(result("a", PNG))],
        [user(text("Result of the tool call 'a', status success:"), PNG)],
        1,
        0,
        id="only an image",
    ),
    pytest.param(
        [user({"toolResult": {"toolUseId": "a", "content": []}})],
        [user(as_text("a", "(no output)"))],
        1,
        0,
        id="nothing, and no status",
    ),
    pytest.param(
        [user(result("a", {"json": {"at": {1}}}, {"odd": 1}))],
        [user(as_text("a", '{"at": "{1}"}\n{"odd": 1}'))],
        1,
        0,
        id="what JSON does not have, and an unknown block",
    ),
    pytest.param(
        [user(result("a", {"json": {(1, 2): 3}}))],
        [user(as_text("a", "(left out: no JSON)"))],
        1,
        0,
        id="what cannot be JSON",
    ),
    # Calls without a result.
    pytest.param(
        [HI, model(call("a")), BYE],
        [HI, model(call("a")), user(missing("a"), text("Bye"))],
        0,
        1,
        id="the user says something else",
    ),
    pytest.param([HI, model(call("a"))], [HI, model(call("a")), user(missing("a"))], 0, 1, id="no message follows"),
    pytest.param(
        [model(call("a"), call("b"), call("c")), user(result("b"))],
        [model(call("a"), call("b"), call("c")), user(missing("a"), missing("c"), result("b"))],
        0,
        2,
        id="one of three has a result",
    ),
    pytest.param(
        [model(call("a"), call("a")), user(result("a"))],
        [model(call("a"), call("a-2")), user(missing("a"), result("a-2"))],
        0,
        1,
        id="two calls of one id with one result",
    ),
    pytest.param(
        [model(call("a")), user(text("Wait."), POINT), NOON],
        [model(call("a")), user(missing("a"), text("Wait."), POINT), NOON],
        0,
        1,
        id="a cache point stays behind its text",
    ),
    pytest.param([model(call("")), BYE], [model(call("")), user(missing(""), text("Bye"))], 0, 1, id="an empty id"),
    pytest.param(
        [model(call("a")), user(text("Stop."), result("b"))],
        [model(call("a")), user(missing("a"), text("Stop."), as_text("b"))],
        1,
        1,
        id="the result of another call",
    ),
    # Messages of the same role in a row.
    pytest.param(
        [model(THOUGHT, call("a")), model(text("And:"), call("b")), user(result("a"), result("b"))],
        [model(THOUGHT, call("a"), text("And:"), call("b")), user(result("a"), result("b"))],
        0,
        0,
        id="calls in two messages with results in one",
    ),
    pytest.param(
        [model(call("a"), call("b")), user(result("b")), user(text("So?"), result("a"))],
        [model(call("a"), call("b")), user(result("b"), result("a"), text("So?"))],
        0,
        0,
        id="calls in one message with results in two",
    ),
    pytest.param(
        [model(call("a")), user(text("Well,")), user(result("a"))],
        [model(call("a")), user(result("a"), text("Well,"))],
        0,
        0,
        id="a message between call and result",
    ),
    pytest.param(
        [HI, model(call("a")), NOON],
        [HI, model(call("a"), text("Noon.")), user(missing("a"))],
        0,
        1,
        id="an answer right after a call",
    ),
    pytest.param(
        [model(call("a")), NOON, NOON, user(result("a"))],
        [model(call("a"), text("Noon."), text("Noon.")), user(result("a"))],
        0,
        0,
        id="answers between call and result",
    ),
    pytest.param(
        [model(call("a")), user(result("a")), NOON, model(call("b")), BYE],
        [model(call("a")), user(result("a")), NOON, model(call("b")), user(missing("b"), text("Bye"))],
        0,
        1,
        id="an answer ahead of a call stays apart",
    ),
]


@pytest.mark.parametrize(("messages", "paired", "lone", "unanswered"), CUT)
def test_a_conversation_that_was_cut_has_pairs_again_and_a_warning_says_how(messages, paired, lone, unanswered):
    given = copy.deepcopy(messages)
    changes = [
        *([f"{lone} sent as text, for want of their calls"] if lone else []),
        *([f"{unanswered} added to calls without one"] if unanswered else []),
    ]
    said = [f"the conversation was cut between calls and results; results: {' and '.join(changes)}"] if changes else []

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = in_pairs(messages)

    assert found == paired
    assert [str(warning.message) for warning in caught] == said
    assert messages == given


@pytest.mark.parametrize("paired", [pytest.param(each.values[1], id=each.id) for each in CUT])
def test_what_has_pairs_again_stays_as_it_is(paired):
    assert in_pairs(paired) is paired


@pytest.mark.filterwarnings("ignore:the conversation was cut")
@pytest.mark.parametrize("messages", [pytest.param(each.values[0], id=each.id) for each in CUT])
def test_a_later_turn_changes_nothing_of_what_was_sent(messages):
    sent = in_pairs(messages)

    later = in_pairs([*messages, BYE, NOON])

    was_added = messages[-1]["role"] != sent[-1]["role"]  # What the user says next then joins it.
    said = user(*sent[-1]["content"], text("Bye"))
    assert later == ([*sent[:-1], said, NOON] if was_added else [*sent, BYE, NOON])


def test_other_keys_of_a_message_stay():
    message: Any = {**user(result("a")), "metadata": {"custom": {"note": 1}}}

    with pytest.warns(UserWarning, match="was cut"):
        assert in_pairs([message]) == [{**user(as_text("a")), "metadata": {"custom": {"note": 1}}}]


@pytest.mark.parametrize(
    ("messages", "apart"),
    [
        pytest.param(
            [HI, model(call("a")), user(result("a")), NOON, HI, model(call("a")), user(result("a"))],
            [HI, model(call("a")), user(result("a")), NOON, HI, model(call("a-2")), user(result("a-2"))],
            id="each answer numbers its calls anew",
        ),
        pytest.param(
            [HI, model(call("a"), call("a")), user(result("a", text("1")), result("a", text("2")))],
            [HI, model(call("a"), call("a-2")), user(result("a", text("1")), result("a-2", text("2")))],
            id="twice in one answer: the results in the order of the calls",
        ),
        pytest.param(
            [model(call("a"), call("b"), call("a")), user(result("b"), text("So?"), result("a"), result("a"))],
            [model(call("a"), call("b"), call("a-2")), user(result("b"), text("So?"), result("a"), result("a-2"))],
            id="others between",
        ),
        pytest.param(
            [model(call("a")), user(result("a")), model(call("a"), call("a-2")), user(result("a"), result("a-2"))],
            [
                *(model(call("a")), user(result("a"))),
                *(model(call("a-2"), call("a-2-2")), user(result("a-2"), result("a-2-2"))),
            ],
            id="one like the new one, later",
        ),
        pytest.param(
            [model(call("a-2"), call("a")), user(result("a-2"), result("a")), model(call("a")), user(result("a"))],
            [model(call("a-2"), call("a")), user(result("a-2"), result("a")), model(call("a-3")), user(result("a-3"))],
            id="one like the new one, before",
        ),
        pytest.param(
            [model(call("a"), result("b")), user(result("a")), model(call("a")), user(result("a"))],
            [model(call("a"), result("b")), user(result("a")), model(call("a-2")), user(result("a-2"))],
            id="beside a result in a message of the model",
        ),
    ],
)
def test_an_id_that_was_used_before_is_replaced(messages, apart):
    given = copy.deepcopy(messages)

    assert in_pairs(messages) == apart
    assert messages == given
