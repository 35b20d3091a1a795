"""The checks of `doctor` that ask a model: its key, its stream, and the features that come through."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from threading import Timer
from typing import Final

from pydantic import BaseModel
from strands import Agent, tool  # pyright: ignore[reportUnknownVariableType] - Strands leaves it open
from strands.types.content import Messages

from strands_portkey._answer.metadata import ResponseMetadata
from strands_portkey._cli.gateway import Check, failed
from strands_portkey._cli.settings import Settings, explain
from strands_portkey._cli.terminal import interruptible
from strands_portkey._errors import PortkeyAPIError
from strands_portkey._settings.config import ClientArgs, Timeouts

_MOST_ANSWERS: Final = 4  # Stops a model that does not end calling tools.
_HELLO: Final = "Say hello in five words."

_Tools = Sequence[Callable[..., str]]


@tool
def get_weather(city: str) -> str:
    """Return the weather in a city.

    Args:
        city: Name of the city.
    """
    return f"It rains in {city}."


@tool
def get_time(city: str) -> str:
    """Return the time in a city.

    Args:
        city: Name of the city.
    """
    return f"It is noon in {city}."


class City(BaseModel):
    """A city."""

    name: str
    country: str


@dataclass
class _Answer:
    """The result of one prompt, for which an agent may have sent several requests."""

    messages: Messages
    error: Exception | None = None
    output: BaseModel | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    text_pieces: int = 0
    reasoning_pieces: int = 0
    first_seconds: float | None = None
    seconds: float = 0


class _Examiner:
    """Asks a model; an answer that takes longer than the deadline of a check is an error.

    Attributes:
        responses: Metadata of the requests.
    """

    def __init__(self, settings: Settings, deadline: float) -> None:
        self.responses: list[ResponseMetadata] = []
        self._settings = settings
        self._deadline = deadline

    def ask(
        self, prompt: str, tools: _Tools = (), output_model: type[BaseModel] | None = None, *, stream: bool = True
    ) -> _Answer:
        """Return an agent's answer.

        Raises:
            KeyboardInterrupt: If Ctrl-C is pressed.
        """
        started = time.perf_counter()

        def watch(**kwargs: object) -> None:
            match kwargs:
                case {"event": {"contentBlockDelta": {"delta": {"reasoningContent": object()}}}}:
                    answer.reasoning_pieces += 1
                case {"event": {"contentBlockDelta": {"delta": {"text": object()}}}}:
                    answer.text_pieces += 1
                    answer.first_seconds = answer.first_seconds or time.perf_counter() - started
                case {"message": {"role": "user"}} if len(agent.messages) > 2 * _MOST_ANSWERS - 1:
                    agent.cancel()
                case _:
                    pass

        def give_up() -> None:
            answer.error = TimeoutError(f"no whole answer within {self._deadline:g} s, the deadline of a check")
            agent.cancel()

        model = self._settings.model(stream=stream, client_args=self._client_args, on_response=self.responses.append)
        agent = Agent(model=model, tools=list(tools), callback_handler=watch, retry_strategy=None)
        answer = _Answer(agent.messages)
        timer = Timer(self._deadline, give_up)
        timer.start()
        with interruptible(agent) as interrupted:
            try:
                result = agent(prompt, structured_output_model=output_model)
            except Exception as error:  # noqa: BLE001 - the checks report any failure
                answer.error = answer.error or error
            else:
                usage = result.metrics.accumulated_usage
                answer.input_tokens, answer.output_tokens = usage["inputTokens"], usage["outputTokens"]
                answer.output = result.structured_output
            finally:
                timer.cancel()
        if interrupted.is_set():
            raise KeyboardInterrupt
        answer.seconds = time.perf_counter() - started
        return answer

    @property
    def _client_args(self) -> ClientArgs:
        # The timer is first, save with versions of Strands that see a cancellation only when something comes.
        longest = self._deadline + 1
        timeout: Timeouts = {"connect": 10, "first_byte": longest, "idle": longest, "total": longest}
        return {"timeout": timeout, "max_retries": 0}  # Each failure is to be seen.


def examine_features(settings: Settings, deadline: float) -> Iterator[Check]:
    """Ask the model, and yield the checks in order as long as the next ones can succeed.

    Args:
        settings: The settings of gateway and model.
        deadline: The seconds that a check may take.
    """
    examiner = _Examiner(settings, deadline)
    hello = examiner.ask(_HELLO)
    if hello.error is not None:
        yield from _examine_failure(examiner, hello.error)
        return
    yield Check("key", "ok", "the provider answered")
    yield _check_stream(hello)
    yield _check_usage(hello)
    tools = examiner.ask("Call get_weather for Paris, then tell me the weather in five words.", [get_weather])
    yield _check_tools(tools, examiner.responses[-1].api)
    prompt = "Call get_weather and get_time for Paris, both at once, then tell me both."
    parallel = examiner.ask(prompt, [get_weather, get_time])
    yield _check_parallel_tools(parallel)
    output = examiner.ask("Paris is the capital of France. Which city is that?", output_model=City)
    yield _check_output(output)
    yield _check_reasoning([hello, tools, parallel, output])


def _examine_failure(examiner: _Examiner, error: Exception) -> Iterator[Check]:
    """Yield the checks that the failure of the first request decides."""
    if _is_key_error(error):
        yield failed("key", error)
        return
    if isinstance(error, PortkeyAPIError) and error.origin == "gateway" and error.status_code == 500:  # noqa: PLR2004
        whole = examiner.ask(_HELLO, stream=False)
        if whole.error is None:
            yield Check("key", "ok", "the provider answered")
            detail = "streams end with status 500, while the same answer comes without a stream"
            yield Check("stream", "failed", detail, explain(error)[1])
            return
    yield Check("key", "skipped", "not known, since the request failed for another reason")
    yield failed("stream", error)


def _is_key_error(error: Exception) -> bool:
    if not isinstance(error, PortkeyAPIError):
        return False
    # Gemini refuses a wrong key with 400.
    return error.status_code in (401, 403) or bool(re.search(r"(?i)\bapi.?key\b|\bundefined\b", str(error)))


def _check_stream(answer: _Answer) -> Check:
    if answer.first_seconds is None:
        return Check("stream", "not seen", "the answer has no text", "see what `strands-portkey chat` shows")
    detail = f"{answer.text_pieces} pieces of text, the first after {answer.first_seconds:.1f} s"
    return Check("stream", "ok", f"{detail}, the last after {answer.seconds:.1f} s")


def _check_usage(answer: _Answer) -> Check:
    if answer.input_tokens and answer.output_tokens:
        return Check("usage", "ok", f"{answer.input_tokens} tokens in, {answer.output_tokens} out")
    fix = "Strands will count no tokens; with stream=False more providers report them, such as ollama"
    return Check("usage", "not seen", "the answer does not report its tokens", fix)


def _calls(answer: _Answer) -> list[list[str]]:
    """Return the names of the tools that each message calls with valid input."""
    return [
        [
            call["name"]
            for block in message["content"]
            if (call := block.get("toolUse")) and isinstance(call["input"], dict) and "city" in call["input"]
        ]
        for message in answer.messages
        if message["role"] == "assistant"
    ]


def _check_tools(answer: _Answer, api: str) -> Check:
    if answer.error is not None:
        return failed("tools", answer.error)
    if any("get_weather" in names for names in _calls(answer)):
        return Check("tools", "ok", f"a tool was called with api {api}, and an answer came after its result")
    fix = (
        "use a model with tools; the open-source gateway drops the tools of some providers, such as deepseek, and"
        " --upstream names what answers where a saved config hides it"
    )
    return Check("tools", "not seen", "the model answered without calling the tool", fix)


def _check_parallel_tools(answer: _Answer) -> Check:
    if answer.error is not None:
        return failed("parallel tools", answer.error)
    calls = _calls(answer)
    if any({"get_weather", "get_time"} <= set(names) for names in calls):
        return Check("parallel tools", "ok", "two tools were called at once")
    how = "one after the other" if any(calls) else "not at all"
    return Check("parallel tools", "not seen", f"the model called the two tools {how}; that is its choice")


def _check_output(answer: _Answer) -> Check:
    if answer.error is not None:
        return failed("structured output", answer.error)
    if isinstance(answer.output, City):
        return Check("structured output", "ok", f"the answer fits the schema: {answer.output}")
    fix = "use a model with tools or response_format, and name it by --upstream where a saved config hides it"
    return Check("structured output", "not seen", "no answer fits the schema", fix)


def _check_reasoning(answers: Sequence[_Answer]) -> Check:
    pieces = sum(answer.reasoning_pieces for answer in answers)
    if pieces:
        return Check("reasoning", "ok", f"{pieces} pieces came")
    fix = (
        """if the model reasons in the open, ask it to, such as by --params '{"reasoning_effort": "low"}', or for"""
        """ OpenAI's summaries by --api responses --params '{"reasoning": {"summary": "auto"}}'"""
    )
    return Check("reasoning", "not seen", "the model showed none; many do not", fix)
