"""`strands-portkey doctor`: checks the settings, the gateway, and the features that work for a model."""

from __future__ import annotations

import argparse
import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Final

from pydantic import BaseModel
from strands import Agent, tool  # pyright: ignore[reportUnknownVariableType] - Strands leaves it open
from strands.types.content import Messages

from strands_portkey._answer.metadata import ResponseMetadata
from strands_portkey._cli.gateway import (
    Check,
    check_connection,
    check_gateway,
    check_routing,
    check_settings,
    failed,
    get_page,
)
from strands_portkey._cli.settings import (
    EXIT_FAILED,
    EXIT_OK,
    Settings,
    Terminal,
    explain,
    interruptible,
    read_settings,
    with_fix,
)
from strands_portkey._errors import PortkeyAPIError, PortkeyConfigError
from strands_portkey._settings.config import ClientArgs
from strands_portkey._version import __version__
from strands_portkey.model import PortkeyModel

CHECKS: Final = (
    "settings",
    "connection",
    "gateway",
    "routing",
    "key",
    "stream",
    "usage",
    "tools",
    "parallel tools",
    "structured output",
    "reasoning",
)
# Each failure is to be seen.
_CLIENT_ARGS: Final[ClientArgs] = {
    "timeout": {"connect": 10, "first_byte": 90, "idle": 90, "total": 180},
    "max_retries": 0,
}
_MOST_ANSWERS: Final = 4  # Stops a model that does not end calling tools.

_Tools = Sequence[Callable[..., str]]


def doctor(args: argparse.Namespace) -> int:
    """Run the checks and print their results.

    Returns:
        The exit status: 0 if all is fine, 1 if something failed.
    """
    try:
        settings = read_settings(args)
    except PortkeyConfigError as error:
        found, terminal = iter([failed("settings", error)]), Terminal(())
    else:
        found, terminal = _examine(settings), Terminal(settings.secrets)
    checks: list[Check] = []
    for check in _with_skipped(found):
        checks.append(check)
        if not args.json:
            terminal.say(_to_line(check))
    is_fine = not any(check.is_bad for check in checks)
    if args.json:
        report = {"ok": is_fine, "version": __version__, "checks": [asdict(check) for check in checks]}
        terminal.say(json.dumps(report, indent=2) + "\n")
    else:
        terminal.say("all fine\n" if is_fine else "something failed\n")
    return EXIT_OK if is_fine else EXIT_FAILED


def _to_line(check: Check) -> str:
    detail = with_fix(" ".join(check.detail.split()), check.fix)
    return f"{check.status:9}{check.name:18} {detail}\n"


def _with_skipped(found: Iterator[Check]) -> Iterator[Check]:
    """Yield the checks, then those that were not run, as skipped."""
    made: list[Check] = []
    for check in found:
        made.append(check)
        yield check
    names = {check.name for check in made}
    for name in CHECKS:
        if name not in names:
            yield Check(name, "skipped", f"since {made[-1].name} failed")


def _examine(settings: Settings) -> Iterator[Check]:
    """Run the checks in order, and stop when the next ones cannot succeed."""
    yield check_settings(settings)
    page = get_page(settings.endpoint.base_url.removesuffix("/v1") + "/")
    yield check_connection(settings, page)
    if isinstance(page, Exception):
        return
    kind, check = check_gateway(settings, page)
    yield check
    check = check_routing(settings, kind)
    yield check
    if check.status != "ok":
        return
    answer = _ask(settings.model(client_args=_CLIENT_ARGS), "Say hello in five words.")
    if answer.error is not None:
        yield from _examine_failure(settings, answer.error)
        return
    answers = [answer]
    yield Check("key", "ok", "the provider answered")
    yield _check_stream(answer)
    yield _check_usage(answer)
    for check, answer in _examine_tools(settings):
        answers.append(answer)
        yield check
    yield _check_reasoning(answers)


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


def _ask(model: PortkeyModel, prompt: str, tools: _Tools = (), output_model: type[BaseModel] | None = None) -> _Answer:
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

    agent = Agent(model=model, tools=list(tools), callback_handler=watch, retry_strategy=None)
    answer = _Answer(agent.messages)
    with interruptible(agent) as interrupted:
        try:
            result = agent(prompt, structured_output_model=output_model)
        except Exception as error:  # noqa: BLE001 - the checks report any failure
            answer.error = error
        else:
            usage = result.metrics.accumulated_usage
            answer.input_tokens, answer.output_tokens = usage["inputTokens"], usage["outputTokens"]
            answer.output = result.structured_output
    if interrupted.is_set():
        raise KeyboardInterrupt
    answer.seconds = time.perf_counter() - started
    return answer


def _examine_failure(settings: Settings, error: Exception) -> Iterator[Check]:
    """Yield the checks that the failure of the first request decides."""
    if _is_key_error(error):
        yield failed("key", error)
        return
    if isinstance(error, PortkeyAPIError) and error.origin == "gateway" and error.status_code == 500:  # noqa: PLR2004
        whole = _ask(settings.model(stream=False, client_args=_CLIENT_ARGS), "Say hello in five words.")
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


def _examine_tools(settings: Settings) -> Iterator[tuple[Check, _Answer]]:
    responses: list[ResponseMetadata] = []
    model = settings.model(client_args=_CLIENT_ARGS, on_response=responses.append)
    answer = _ask(model, "Call get_weather for Paris, then tell me the weather in five words.", [get_weather])
    yield _check_tools(answer, responses[-1].api if responses else "chat"), answer
    answer = _ask(
        model, "Call get_weather and get_time for Paris, both at once, then tell me both.", [get_weather, get_time]
    )
    yield _check_parallel_tools(answer), answer
    answer = _ask(model, "Paris is the capital of France. Which city is that?", output_model=City)
    yield _check_output(answer), answer


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
        "use a model with tools; the open-source gateway drops the tools of deepseek and perplexity, and --upstream"
        " names what answers where a saved config hides it"
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
