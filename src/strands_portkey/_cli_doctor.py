"""`strands-portkey doctor`: looks at the settings, the gateway behind them, and what comes through for a model."""

from __future__ import annotations

import argparse
import http.client
import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Final, Literal
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, build_opener

from pydantic import BaseModel, TypeAdapter, ValidationError
from strands import Agent, tool  # pyright: ignore[reportUnknownVariableType] - Strands leaves it open
from strands.types.content import Messages
from typing_extensions import TypedDict

from ._cli_settings import Settings, Terminal, explain, interruptible, read_settings, with_fix
from ._config import Timeouts
from ._errors import PortkeyAPIError, PortkeyConfigError
from ._version import __version__
from .model import PortkeyModel

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
_UNNEEDED: Final = frozenset({"gateway", "parallel tools", "reasoning"})  # An agent can do without seeing these.
_TIMEOUTS: Final[Timeouts] = {"connect": 10, "first_byte": 90, "idle": 90, "total": 180}
_GET_SECONDS: Final = 10.0
_GET_BYTES: Final = 2**16
_MOST_ANSWERS: Final = 4  # A model that calls tools for ever is stopped.

Status = Literal["ok", "not seen", "failed", "skipped"]
_Tools = Sequence[Callable[..., str]]


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: One of `CHECKS`.
        status: ``not seen`` where nothing failed, but nothing came either.
        detail: What was found.
        fix: What to do about it.
    """

    name: str
    status: Status
    detail: str
    fix: str | None = None

    @property
    def is_bad(self) -> bool:
        """Whether the exit status tells of it."""
        return self.status == "failed" or (self.status == "not seen" and self.name not in _UNNEEDED)


def doctor(args: argparse.Namespace) -> int:
    """Make the checks and print them.

    Returns:
        The exit status: 0 if all is fine, 1 if something failed.
    """
    try:
        settings = read_settings(args)
    except PortkeyConfigError as error:
        found, terminal = iter([_failed("settings", error)]), Terminal(())
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
    return 0 if is_fine else 1


def _to_line(check: Check) -> str:
    detail = with_fix(" ".join(check.detail.split()), check.fix)
    return f"{check.status:9}{check.name:18} {detail}\n"


def _with_skipped(found: Iterator[Check]) -> Iterator[Check]:
    """Yield the checks, and those that were not made as skipped."""
    made: list[Check] = []
    for check in found:
        made.append(check)
        yield check
    names = {check.name for check in made}
    for name in CHECKS:
        if name not in names:
            yield Check(name, "skipped", f"since {made[-1].name} failed")


def _failed(name: str, error: Exception) -> Check:
    detail, fix = explain(error)
    return Check(name, "failed", detail, fix)


def _examine(settings: Settings) -> Iterator[Check]:
    """Make one check after the other, as far as one can go."""
    yield _check_settings(settings)
    page = _get(settings.endpoint.base_url.removesuffix("/v1") + "/")
    yield _check_connection(settings, page)
    if isinstance(page, Exception):
        return
    kind, check = _check_gateway(settings, page)
    yield check
    check = _check_routing(settings, kind)
    yield check
    if check.status != "ok":
        return
    answer = _ask(settings.model(timeout=_TIMEOUTS), "Say hello in five words.")
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


# -- settings and gateway ----------------------------------------------------------------------------------------------


def _check_settings(settings: Settings) -> Check:
    said = [f"model {settings.model_id or 'none'}", f"gateway {settings.endpoint.base_url}"]
    said.append("Portkey key " + ("set" if "x-portkey-api-key" in settings.headers else "none"))
    said.append(f"provider key {'from ' + settings.key_source if settings.key_source else 'none'}")
    return Check("settings", "ok", ", ".join([*said, *settings.warnings]))


@dataclass(frozen=True)
class _Page:
    status_code: int
    body: bytes


class _Health(TypedDict):
    """What an enterprise gateway says of itself."""

    status: Literal["success"]
    version: str


_HEALTH: Final = TypeAdapter(_Health)


def _get(url: str) -> _Page | Exception:
    """Return what stands at a URL, or why nothing came. No key is sent."""
    request = Request(url, headers={"user-agent": f"strands-agents-portkey/{__version__}"})  # noqa: S310 - http(s) only
    try:
        with build_opener().open(request, timeout=_GET_SECONDS) as response:
            return _Page(response.status, response.read(_GET_BYTES))
    except HTTPError as error:
        with error:
            return _Page(error.code, b"")
    except (OSError, ValueError, http.client.HTTPException) as error:
        return error


def _check_connection(settings: Settings, page: _Page | Exception) -> Check:
    base_url = settings.endpoint.base_url
    if isinstance(page, _Page):
        return Check("connection", "ok", f"{base_url} answers")
    cause = page.reason if isinstance(page, URLError) else page
    said = str(cause) or type(cause).__name__
    if "CERTIFICATE_VERIFY_FAILED" in said:
        fix = "set SSL_CERT_FILE to the CA certificates of your gateway"
    elif isinstance(page, http.client.HTTPException):
        fix = "check whether it is http or https in --base-url or PORTKEY_BASE_URL"
    elif urlsplit(base_url).hostname in ("localhost", "127.0.0.1", "::1"):
        fix = (
            "start a gateway, such as `docker run --rm -p 8787:8787 portkeyai/gateway:latest`, or set"
            " --base-url or PORTKEY_BASE_URL to yours, or PORTKEY_API_KEY for the hosted one"
        )
    else:
        fix = "check --base-url or PORTKEY_BASE_URL, the network and its proxies"
    return Check("connection", "failed", f"nothing answers at {base_url}: {said}", fix)


Kind = Literal["open-source", "enterprise", "hosted", "unknown"]


def _check_gateway(settings: Settings, page: _Page) -> tuple[Kind, Check]:
    """Return which gateway it is, by what it says of itself."""
    base_url = settings.endpoint.base_url
    host = urlsplit(base_url).hostname or ""
    if b"AI Gateway says hey!" in page.body:
        return "open-source", Check("gateway", "ok", "open-source; it does not tell its version")
    health = _get(f"{base_url}/health")
    try:
        version = _HEALTH.validate_json(health.body)["version"] if isinstance(health, _Page) else ""
    except ValidationError:
        version = ""
    told = f", version {version}" if version else "; it does not tell its version"
    if host == "portkey.ai" or host.endswith(".portkey.ai"):
        return "hosted", Check("gateway", "ok", f"hosted{told}")
    if version:
        return "enterprise", Check("gateway", "ok", f"enterprise{told}")
    detail = f"what answers (status {page.status_code}) does not say that it is a Portkey gateway"
    return "unknown", Check("gateway", "not seen", detail, "check --base-url if the next checks fail")


def _check_routing(settings: Settings, kind: Kind) -> Check:
    """Judge by the headers whether the gateway will know where to send a request."""
    provider = settings.headers.get("x-portkey-provider")
    config = settings.headers.get("x-portkey-config")
    is_open = kind == "open-source"
    if settings.model_id is None:
        return Check("routing", "failed", "no model is named", "give --model, such as --model gpt-4o-mini")
    slug = settings.model_id.startswith("@") or "x-portkey-virtual-key" in settings.headers
    if is_open and config is not None and not config.startswith("{"):
        fix = "give --config the config itself, as JSON or @FILE"
        return Check("routing", "failed", f"the open-source gateway has no saved configs such as {config}", fix)
    if is_open and provider is not None and provider.startswith("@"):
        fix = "give --provider a provider's name, such as openai"
        return Check("routing", "failed", f"the open-source gateway has no slugs such as {provider}", fix)
    if is_open and provider is None and config is None:
        detail = "the gateway is not told where to send a request: there is neither a provider nor a config"
        if slug:
            detail += ", and the open-source one reads neither '@slug/model' nor virtual keys"
        fix = "give --provider, such as openai, or --config with targets (client_args['provider'] or ['config'])"
        return Check("routing", "failed", detail, fix)
    found = [f"provider {provider}"] if provider else []
    if config is not None:
        found.append("an inline config" if config.startswith("{") else f"config {config}")
    if slug:
        found.append("the slug of the model or a virtual key")
    return Check("routing", "ok", " and ".join(found) or "left to the default config of the API key")


# -- requests ----------------------------------------------------------------------------------------------------------


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
    """What came of one prompt, of which an agent may have made several requests."""

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
    """Let an agent answer.

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
        except Exception as error:  # noqa: BLE001 - whatever fails is what the doctor is there to tell
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
    """Tell what the failure of the first request means."""
    if _is_of_key(error):
        yield _failed("key", error)
        return
    if isinstance(error, PortkeyAPIError) and error.origin == "gateway" and error.status_code == 500:  # noqa: PLR2004
        whole = _ask(settings.model(stream=False, timeout=_TIMEOUTS), "Say hello in five words.")
        if whole.error is None:
            yield Check("key", "ok", "the provider answered")
            detail = "streams end with status 500, while the same answer comes without a stream"
            fix = (
                "the gateway was installed by plain `npx` or `npm install`: pin @hono/node-server to 1.13.5 and hono"
                " to 4.9.7 by npm's overrides, or use the Docker image; stream=False works meanwhile"
            )
            yield Check("stream", "failed", detail, fix)
            return
    yield Check("key", "skipped", "not known, since the request failed for another reason")
    yield _failed("stream", error)


def _is_of_key(error: Exception) -> bool:
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
    fix = "the metrics of Strands will count no tokens; ask the provider for usage in streams"
    return Check("usage", "not seen", "the answer does not tell its tokens", fix)


def _examine_tools(settings: Settings) -> Iterator[tuple[Check, _Answer]]:
    model = settings.model(timeout=_TIMEOUTS)
    answer = _ask(model, "Call get_weather for Paris, then tell me the weather in five words.", [get_weather])
    yield _check_tools(answer), answer
    answer = _ask(
        model, "Call get_weather and get_time for Paris, both at once, then tell me both.", [get_weather, get_time]
    )
    yield _check_parallel_tools(answer), answer
    answer = _ask(model, "Paris is the capital of France. Which city is that?", output_model=City)
    yield _check_output(answer), answer


def _calls(answer: _Answer) -> list[list[str]]:
    """Return the names of the tools that each message calls in the right form."""
    return [
        [
            call["name"]
            for block in message["content"]
            if (call := block.get("toolUse")) and isinstance(call["input"], dict) and "city" in call["input"]
        ]
        for message in answer.messages
        if message["role"] == "assistant"
    ]


def _check_tools(answer: _Answer) -> Check:
    if answer.error is not None:
        return _failed("tools", answer.error)
    if any("get_weather" in names for names in _calls(answer)):
        return Check("tools", "ok", "a tool was called, and an answer came after its result")
    fix = (
        "use a model with tools; the open-source gateway drops the tools of deepseek and perplexity, and --upstream"
        " names what answers where a saved config hides it"
    )
    return Check("tools", "not seen", "the model answered without calling the tool", fix)


def _check_parallel_tools(answer: _Answer) -> Check:
    if answer.error is not None:
        return _failed("parallel tools", answer.error)
    calls = _calls(answer)
    if any({"get_weather", "get_time"} <= set(names) for names in calls):
        return Check("parallel tools", "ok", "two tools were called at once")
    how = "one after the other" if any(calls) else "not at all"
    return Check("parallel tools", "not seen", f"the model called the two tools {how}; that is its choice")


def _check_output(answer: _Answer) -> Check:
    if answer.error is not None:
        return _failed("structured output", answer.error)
    if isinstance(answer.output, City):
        return Check("structured output", "ok", f"the answer fits the schema: {answer.output}")
    fix = "use a model with tools or response_format, and name it by --upstream where a saved config hides it"
    return Check("structured output", "not seen", "no answer fits the schema", fix)


def _check_reasoning(answers: Sequence[_Answer]) -> Check:
    pieces = sum(answer.reasoning_pieces for answer in answers)
    if pieces:
        return Check("reasoning", "ok", f"{pieces} pieces came")
    fix = """if the model reasons in the open, ask it to, such as by --params '{"reasoning_effort": "low"}'"""
    return Check("reasoning", "not seen", "the model showed none; many do not", fix)
