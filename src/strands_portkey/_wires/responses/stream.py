"""The fold of a response's events into Strands stream events.

No I/O: events in, events out. A response is a list of items, which `Output` reads. Only four events end it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import ClassVar, Final

from pydantic import JsonValue
from strands.types.event_loop import StopReason
from strands.types.streaming import StreamEvent
from typing_extensions import override

from strands_portkey._answer.counts import Counts
from strands_portkey._answer.error_details import Complaint, to_complaint
from strands_portkey._answer.judgement import Judge
from strands_portkey._answer.metadata import ResponseMetadata
from strands_portkey._answer.parsing import UnreadableEventError, json_or_text
from strands_portkey._answer.quoting import LONGEST_QUOTE
from strands_portkey._answer.translator import Translator
from strands_portkey._errors import PortkeyAPIError, PortkeyStreamError
from strands_portkey._json import LONG, has_too_many_parts
from strands_portkey._wires.responses.output import CallError, Output
from strands_portkey._wires.responses.shapes import Response, parse_kind, parse_last, parse_response
from strands_portkey._wires.responses.usage import to_counts

# Why an answer is not whole, beside what is unknown, which is taken for a limit of its length.
_CUT: Final[Mapping[str, StopReason]] = {"max_output_tokens": "max_tokens", "content_filter": "content_filtered"}
_GOOD_ENDS: Final = ("completed", "incomplete")


class ResponsesTranslator(Translator):
    """Folds the events of one response into Strands stream events."""

    def __init__(self, judge: Judge | None = None) -> None:
        """Begin a response, whose errors the judge makes."""
        super().__init__(judge)
        self._output = Output(self.judge)
        self._usage: Counts | None = None
        self._stop_reason: StopReason | None = None

    @property
    @override
    def counts(self) -> Counts | None:
        return self._usage

    @property
    @override
    def is_finished(self) -> bool:
        return self._stop_reason is not None

    @property
    @override
    def signatures(self) -> Sequence[str | bytes]:
        return self._output.signatures

    @override
    def progress(self) -> int:
        return self._output.received

    @override
    def feed(self, event: str | None, data: str) -> list[StreamEvent]:
        if not self.received:
            self.stopwatch.first_byte()
        self.received += 1
        kind = self._kind_of(data) if event == "message" else event
        target: Output | ResponsesTranslator = self._output
        read = Output.READERS.get(kind)
        if read is None:
            read, target = self._READERS.get(kind), self
        if read is None:  # Also those that repeat the request, and are as long as that.
            return []
        if len(data) > LONG and has_too_many_parts(data):
            raise self.unreadable("it has too many lists and objects", data, retryable=False)
        failure: PortkeyAPIError | PortkeyStreamError
        try:
            read(target, data)
        except CallError as error:
            failure = self._broken_call(error)
        except UnreadableEventError as error:
            failure = self.judge.answer_error(data) if event is None else self.unreadable(error.problem, data)
        else:
            events, self._output.events = self._output.events, []
            return events if self.has_begun else self.begin(events)
        raise failure  # Out here, so that it carries no other exception.

    def _kind_of(self, data: str) -> str:
        """Return the name of an event that has none beside its data; an empty text where that names none either."""
        if data.startswith("[DONE]"):
            return ""
        with suppress(UnreadableEventError):
            kind = parse_kind(data)
            return "error" if kind.get("error") else kind.get("type") or ""
        raise self.unreadable("it is no event", data)

    @override
    def finish(self, response: ResponseMetadata | None = None) -> list[StreamEvent]:
        """End the response: return the remaining events, with ``messageStop`` and ``metadata`` last.

        Raises:
            PortkeyStreamError: If the answer is not whole: its last event did not come, or a call broke off.
        """
        if self._stop_reason is None:
            message = (
                f"the answer broke off after {self.received} event(s): it ended without response.completed. The gateway"
                " ends a stream this way when its upstream dies"
            )
            raise PortkeyStreamError(message, origin="provider", received=self.received, retryable=True)
        # Strands drops the calls of an answer that was cut by its length.
        if self._stop_reason != "max_tokens" and (broken := self._output.find_broken_call()):
            raise self._broken_call(broken)
        return self.end(self._stop_reason, response)

    @override
    def close(self) -> list[StreamEvent]:
        self._output.close()
        return self._output.events

    def _broken_call(self, error: CallError) -> PortkeyStreamError:
        called = f"{self.judge.quote(error.name)}({self.judge.quote(error.arguments, LONGEST_QUOTE)})"
        message = f"the answer has a tool call {error.why}: {called}"
        may_pass = self._stop_reason != "content_filtered"
        return PortkeyStreamError(message, origin="provider", received=self.received, retryable=may_pass)

    # -- ends --

    def _take_last(self, data: str) -> None:
        last = parse_last(data)
        response = last.get("response") or {}
        self._end_response((last.get("type") or "").removeprefix("response.") or response.get("status"), response)

    def _take_answer(self, data: str) -> None:
        """Take in a JSON answer."""
        response = parse_response(data)
        if "output" not in response and "status" not in response:
            raise UnreadableEventError("it is no response")
        if isinstance(results := response.get("hook_results"), dict):
            self.hook_results.update(results)
        self._end_response(response.get("status"), response)

    def _end_response(self, status: str | None, response: Response) -> None:
        self.is_done = True
        self._usage = to_counts(response.get("usage"))
        if isinstance(model := response.get("model"), str):
            self.model = model
        if isinstance(response_id := response.get("id"), str):
            self.response_id = response_id
        if status not in _GOOD_ENDS:
            raise self._failure(status, response.get("error"))
        self._output.end_open(response.get("output") or ())
        self._output.sign()
        self._stop_reason = self._find_stop_reason(status, response.get("incomplete_details"))

    def _find_stop_reason(self, status: str | None, details: JsonValue) -> StopReason:
        if status == "incomplete":
            reason = details.get("reason") if isinstance(details, dict) else None
            if not isinstance(reason, str):
                message = "the answer is incomplete without a reason"
                raise PortkeyStreamError(message, origin="provider", received=self.received, retryable=True)
            return _CUT.get(reason, "max_tokens")
        if self._output.is_refused:
            return "content_filtered"
        return "tool_use" if self._output.calls else "end_turn"

    def _failure(self, status: str | None, error: JsonValue) -> PortkeyAPIError | PortkeyStreamError:
        if error:
            return self.api_error(to_complaint({"error": error}))
        if status == "failed":
            return self.api_error(Complaint("the response failed, and says no more", type="server_error"))
        message = f"the answer is not whole: its status is {self.judge.quote(status or 'missing')}"
        return PortkeyStreamError(message, origin="provider", received=self.received, retryable=True)

    def _take_error(self, data: str) -> None:
        said: JsonValue = json_or_text(data)
        if isinstance(said, dict) and not said.get("error"):  # The type of a flat one is that of the event.
            said = {"error": {name: value for name, value in said.items() if name != "type"}}
        raise self.api_error(to_complaint(said))

    def _take_hooks(self, data: str) -> None:
        """Take in the gateway's verdicts."""
        said = json_or_text(data)
        if isinstance(said, dict) and isinstance(results := said.get("hook_results"), dict):
            self.hook_results.update(results)

    # What reads each event that is about no item, and a JSON answer, which has no event.
    _READERS: ClassVar[Mapping[str | None, Callable[..., None]]] = {
        None: _take_answer,
        "response.completed": _take_last,
        "response.incomplete": _take_last,
        "response.failed": _take_last,
        "error": _take_error,
        "hook_results": _take_hooks,
    }
