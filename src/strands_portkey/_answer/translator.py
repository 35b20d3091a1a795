"""What reads one answer, on any wire."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from functools import reduce
from operator import add

from pydantic import JsonValue
from strands.types.event_loop import StopReason
from strands.types.streaming import MessageStopEvent, MetadataEvent, StreamEvent

from strands_portkey._answer.calls import ToolCall
from strands_portkey._answer.counts import Counts, Stopwatch
from strands_portkey._answer.error_details import Complaint
from strands_portkey._answer.judgement import Judge
from strands_portkey._answer.metadata import ResponseMetadata
from strands_portkey._answer.quoting import LONGEST_QUOTE
from strands_portkey._errors import PortkeyAPIError, PortkeyGuardrailError, PortkeyStreamError


class Translator(ABC):
    """Turns the messages of one answer into Strands stream events.

    Attributes:
        judge: Makes the errors.
        model: The model that answered, as the wire names it.
        response_id: The id of the answer, as the wire has it.
        earlier: What each request before this one has taken, where several are one turn.
        hook_results: Verdicts of the gateway's guardrails.
        received: Number of messages taken in.
        has_begun: Whether any event has been returned. Until then another request may take the place of this one.
        splits_tags: Whether the text may begin with reasoning in tags, on a wire where that occurs.
        is_done: Whether the last message of the stream has come: what may follow are the gateway's verdicts.
        stopwatch: Measures the answer, from when the translator is made.
    """

    def __init__(self, judge: Judge | None = None) -> None:
        """Begin an answer, whose errors the judge makes."""
        self.judge = judge or Judge()
        self.model: str | None = None
        self.response_id: str | None = None
        self.earlier: list[Counts | None] = []
        self.hook_results: dict[str, JsonValue] = {}
        self.received: int = 0
        self.has_begun = False
        self.splits_tags = False
        self.is_done = False
        self.stopwatch = Stopwatch()

    @property
    @abstractmethod
    def counts(self) -> Counts | None:
        """Tokens and costs of the request that is read, as far as they came, or None."""

    @property
    @abstractmethod
    def is_finished(self) -> bool:
        """Whether the answer has said why it ended. Without that it is not whole."""

    @property
    @abstractmethod
    def signatures(self) -> Sequence[str | bytes]:
        """What marks each signed or redacted thought that came: its signature, or its bytes."""

    @abstractmethod
    def feed(self, event: str | None, data: str) -> list[StreamEvent]:
        """Take in one message of a stream, or with None for its event a JSON answer; return the events of it.

        Raises:
            PortkeyAPIError: If it is an error.
            PortkeyStreamError: If it cannot be read.
        """

    @abstractmethod
    def finish(self, response: ResponseMetadata | None = None) -> list[StreamEvent]:
        """End the answer: return the remaining events, with ``messageStop`` and ``metadata`` last.

        Raises:
            PortkeyStreamError: If it is not whole.
        """

    def resume(self) -> list[JsonValue]:
        """Return the message of a turn that the model has paused, as it is sent back so that it goes on; else nothing.

        What is fed from then on continues the same answer.
        """
        return []

    @abstractmethod
    def close(self) -> list[StreamEvent]:
        """Close the blocks that are open; return the events that this and earlier messages have brought about."""

    def deny(self, error: PortkeyGuardrailError, response: ResponseMetadata | None = None) -> list[StreamEvent]:
        """End an answer that a guardrail denied, also one that has begun: the gateway's message, and why it stopped."""
        return self.begin(
            [
                *self.close(),
                {"contentBlockStart": {"start": {}}},
                {"contentBlockDelta": {"delta": {"text": error.denial or str(error)}}},
                {"contentBlockStop": {}},
                _message_stop("guardrail_intervened", response),
                {"metadata": {"metrics": self.stopwatch.metrics()}},
            ]
        )

    def end(self, stop_reason: StopReason, response: ResponseMetadata | None) -> list[StreamEvent]:
        """Return the last events of an answer that is whole."""
        metadata: MetadataEvent = {"metrics": self.stopwatch.metrics()}
        if counts := [each for each in (*self.earlier, self.counts) if each]:
            metadata["usage"] = reduce(add, counts).to_usage()
        return self.begin([*self.close(), _message_stop(stop_reason, response), {"metadata": metadata}])

    @abstractmethod
    def progress(self) -> int:
        """Return how much the answer has said so far: the number of its deltas."""

    def begin(self, events: list[StreamEvent]) -> list[StreamEvent]:
        """Return events, with the message's begin before the first."""
        if self.has_begun or not events:
            return events
        self.has_begun = True
        return [{"messageStart": {"role": "assistant"}}, *events]

    def check_calls(self, calls: Iterable[ToolCall], reason: str, *, retryable: bool) -> None:
        """Check the calls of an answer that has ended for a reason.

        Raises:
            PortkeyStreamError: If one is not whole.
        """
        for call in calls:
            if call.is_broken() or not call.name:
                quote = self.judge.quote
                message = (
                    f"the answer ended ({quote(reason)}) with a tool call that is not whole:"
                    f" {quote(call.name or 'no name')}({quote(''.join(call.arguments), LONGEST_QUOTE)})"
                )
                raise PortkeyStreamError(message, origin="provider", received=self.received, retryable=retryable)

    def api_error(self, complaint: Complaint) -> PortkeyAPIError:
        """Return the error for a complaint inside the answer."""
        return self.judge.api_error(complaint, received=self.received, started=self.has_begun)

    def unreadable(self, problem: str, data: str, *, retryable: bool = True) -> PortkeyStreamError:
        """Return the error for a message that cannot be read."""
        said = f"{self.judge.quote(problem, LONGEST_QUOTE)}: {self.judge.quote(data, LONGEST_QUOTE)!r}"
        return PortkeyStreamError(
            f"the gateway sent a chunk that cannot be read: {said}",
            origin="gateway",
            received=self.received + 1,
            retryable=retryable,
        )


def _message_stop(stop_reason: StopReason, response: ResponseMetadata | None) -> StreamEvent:
    """Return the last event of a message, with the gateway's facts where callback handlers can read them."""
    stop: MessageStopEvent = {"stopReason": stop_reason}
    if response is not None:
        stop["additionalModelResponseFields"] = {"portkey": {**vars(response)}}  # Not deeper: verdicts may be large.
    return {"messageStop": stop}
