"""What only Bedrock does."""

from __future__ import annotations

from collections.abc import Iterator

from tests_integ.record import providers as p
from tests_integ.record.scenario import CUT, Failed, Meant, Scenario, StopReason
from tests_integ.record.scenarios.common import LOOK, TEXT, WEATHER
from tests_integ.wires import bedrock
from tests_integ.wires.said import Counts, Redacted, Said, Text, text, thinking

THOUGHT = thinking("I need ", "the weather.", signature="SIG1==")
BROKEN = Failed("PortkeyAPIError", retryable=True)
"""The gateway keeps neither the kind nor the message, and makes it look like an ordinary stop but for its place."""

REASONS: dict[str, StopReason] = {
    "stop_sequence": "stop_sequence",
    "guardrail_intervened": "guardrail_intervened",
    "content_filtered": "content_filtered",
    "model_context_window_exceeded": "max_tokens",
}
STRICT: dict[str, StopReason] = {
    "stop_sequence": "end_turn",
    "guardrail_intervened": "content_filtered",
    "model_context_window_exceeded": "end_turn",
}
"""What is left of them in strict mode, where it is something else."""


def _scenarios() -> Iterator[Scenario]:
    one = p.BEDROCK
    said = [text("Paris")]
    for reason, stop_reason in REASONS.items():
        lost = {"strict.*": Meant(said, STRICT[reason])} if reason in STRICT else {}
        yield Scenario(
            one, f"finish_{reason}", Meant(said, stop_reason), [one.stream(said, reason, Counts())], lost=lost
        )
    for reason in ("malformed_tool_use",):
        yield Scenario(
            one,
            f"finish_{reason}",
            Failed("PortkeyAPIError", retryable=True, message_contains=reason),
            [one.stream(said, reason, Counts())],
            lost={"strict.*": Meant(said, "end_turn")},
        )
    hidden: list[Said] = [Redacted("UkVEQUNURUQ="), THOUGHT, TEXT]
    yield Scenario(
        one,
        "redacted_thinking",
        Meant(hidden, "end_turn"),
        [one.stream(hidden, "end_turn", Counts())],
        [one.answer(hidden, "end_turn", Counts())],
    )
    several: list[Text] = [text("One."), text("Two.")]
    yield Scenario(
        one,
        "several_text_blocks",
        Meant(several, "end_turn"),
        [one.stream(several, "end_turn", Counts())],
        [one.answer(several, "end_turn", Counts())],
        lost={
            "strict.stream": Meant([text("One.Two.")], "end_turn"),
            "strict.json": Meant([text("One.\nTwo.")], "end_turn"),
        },
    )
    # The gateway sends the finish reason with the usage, or not at all.
    yield Scenario(one, "no_metadata", CUT, [bedrock.said_stream([TEXT], "end_turn", None)])

    opened = [bedrock.START, *bedrock.block(0, TEXT)[:1]]
    for kind in ("throttlingException", "modelStreamErrorException"):
        broken = bedrock.frame(kind, {"message": "Sorry."}, exception=True)
        yield Scenario(one, f"error_mid_text_{kind}", BROKEN, [bedrock.reply([*opened, broken])])
    broken = bedrock.frame("throttlingException", {"message": "Too many requests."}, exception=True)
    yield Scenario(one, "error_first", BROKEN, [bedrock.reply([broken])])
    tool = [bedrock.START, *bedrock.block(0, LOOK), *bedrock.block(1, WEATHER)[:2]]
    yield Scenario(one, "error_mid_tool", BROKEN, [bedrock.reply([*tool, broken])])
    yield Scenario(
        one, "error_mid_thinking", BROKEN, [bedrock.reply([bedrock.START, *bedrock.block(0, THOUGHT)[:1], broken])]
    )


SCENARIOS = tuple(_scenarios())
