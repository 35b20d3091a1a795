"""What every provider can say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests_integ.record import providers as p
from tests_integ.record.scenario import CUT, Failed, Meant, Outcome, Scenario, StopReason
from tests_integ.wires import openai
from tests_integ.wires.said import Call, Counts, Said, Text, Thinking, call, text, thinking

TEXT = text("The weather in Paris ", "is fine: 21 °C ☀.")
LOOK = text("Let me ", "look.")
WEATHER = call("call_1", "get_weather", '{"city":', '"Paris"}')
TIME = call("call_2", "get_time", '{"zone":"Europe', '/Paris"}')
CITIES = call("call_1", "list_cities")
PARIS = [text("Paris")]

Deltas = Sequence[Mapping[str, Any]]

TOOLLESS = (p.PERPLEXITY,)
SIGNING = (p.ANTHROPIC, p.VERTEX_CLAUDE, p.BEDROCK)
NATIVE = (*SIGNING, p.GOOGLE, p.VERTEX, p.COHERE)
"""Those whose own wire is not OpenAI's."""
PASSED_ON = (p.AZURE, p.XAI)
"""Those whose streams the gateway passes on as they are, like OpenAI's: a few recordings of each are enough."""
CACHED_IN_JSON = (*SIGNING, p.GOOGLE, p.OPENAI, p.DEEPSEEK)


def thought(provider: p.Provider) -> Thinking:
    """Return the thought, signed where the provider signs."""
    return thinking("I need ", "the weather.", signature="SIG1==" if provider in SIGNING else None)


def whole(
    provider: p.Provider,
    name: str,
    said: Sequence[Said],
    why: p.Why,
    stop_reason: StopReason,
    *,
    counts: Counts | None = None,
    answered: bool = True,
) -> Scenario:
    """Return a scenario in which the provider says all it has to say.

    Args:
        provider: Who.
        name: The name.
        said: What.
        why: Why it stops.
        stop_reason: That reason in Strands' words.
        counts: The tokens.
        answered: Whether to ask for one JSON body too.
    """
    counts = counts or Counts()
    reason = provider.reasons[why]
    stream, answer = provider.stream(said, reason, counts), provider.answer(said, reason, counts)
    meant = Meant(said, stop_reason, counts)
    # Elsewhere strict mode would say little new, or the same.
    strict = name == "thinking" or (provider in NATIVE and name == "text_then_tool")
    return Scenario(provider, name, meant, [stream], [answer] if answered else None, strict=strict)


def pieces_until(provider: p.Provider, said: Sequence[Said], last: Said) -> int:
    """Return how many pieces of a stream bring it into the middle of what is said last."""
    before = [one for one in said if one is not last]
    ends = len(provider.stream((), provider.reasons["end"], Counts()).pieces)
    start = len(provider.stream(before, provider.reasons["end"], Counts()).pieces) - ends
    opening = {p.Anthropic: 2, p.Google: 0, p.Bedrock: 1, p.Cohere: 1, p.OpenAILike: 1}[type(provider)]
    within = 3 if isinstance(provider, p.Anthropic) and isinstance(last, Call) else 2
    if isinstance(provider, p.OpenAILike) and not isinstance(last, Call):
        within = 1
    if isinstance(provider, p.Bedrock) and not isinstance(last, Call):
        within = 1
    if provider is p.VERTEX:
        within = 1
    return opening + start + within


def cut(provider: p.Provider, name: str, said: Sequence[Text | Thinking | Call]) -> Scenario:
    """Return a scenario in which the provider fails while it sends the last part."""
    keep = pieces_until(provider, said, said[-1])
    # What is seen of the last thing, in no provider's spelling.
    seen = b"city" if isinstance(said[-1], Call) else said[-1].pieces[0].encode()
    return Scenario(provider, name, CUT, [provider.cut(said, keep)], until=seen)


def says(  # noqa: PLR0917 - a table reads best with its columns in order
    one: p.OpenAILike,
    name: str,
    meant: Meant | Failed,
    deltas: Deltas,
    finish_reason: str | None = "stop",
    usage: Mapping[str, Any] | None = None,
    lost: Mapping[str, Outcome] | None = None,
) -> Scenario:
    """Return a scenario with a stream of these deltas; the usual usage, or none where none is meant."""
    if usage is None and isinstance(meant, Meant) and meant.counts:
        usage = one.usage(meant.counts)
    return Scenario(one, name, meant, [one.stream_of(deltas, finish_reason, usage)], lost=lost or {})


def finish(
    one: p.OpenAILike, reason: str, outcome: StopReason | Failed, lost: Mapping[str, Outcome] | None = None
) -> Scenario:
    """Return a scenario with a text that ends for this reason."""
    meant = outcome if isinstance(outcome, Failed) else Meant(PARIS, outcome)
    return says(one, f"finish_{reason}", meant, openai.text("Paris"), reason, one.usage(Counts()), lost)


def _texts(one: p.Provider) -> Iterator[Scenario]:
    yield whole(one, "text", [TEXT], "end", "end_turn", answered=one in TOOLLESS)
    if one in (*NATIVE, p.OPENAI, p.MISTRAL, p.DEEPSEEK, p.OPENROUTER, p.PERPLEXITY):
        yield cut(one, "cut_mid_text", [TEXT])
    if one in (*NATIVE, p.OPENAI, p.MISTRAL, p.DEEPSEEK, p.PERPLEXITY, p.TOGETHER):
        yield whole(one, "max_tokens", [LOOK], "length", "max_tokens", answered=one in (p.ANTHROPIC, p.GOOGLE))
    if one in (*SIGNING, p.GOOGLE, p.VERTEX, p.OPENAI, p.DEEPSEEK, p.GROQ, p.FIREWORKS, p.OPENROUTER):
        counts = Counts(read=200, written=100 if one in SIGNING else 0)
        yield whole(one, "cached", [TEXT], "end", "end_turn", counts=counts, answered=one in CACHED_IN_JSON)


def _tools(one: p.Provider) -> Iterator[Scenario]:
    if one in TOOLLESS:
        return
    yield whole(one, "text_then_tool", [LOOK, WEATHER], "tool", "tool_use", answered=one not in PASSED_ON)
    if one in (*NATIVE, p.OPENAI, p.MISTRAL, p.DEEPSEEK, p.OPENROUTER, p.OLLAMA):
        yield whole(one, "parallel_tools", [WEATHER, TIME], "tool", "tool_use", answered=one is p.ANTHROPIC)
    if one in (*NATIVE, p.OPENAI, p.MISTRAL):
        yield whole(one, "tool_without_arguments", [CITIES], "tool", "tool_use", answered=one is p.GOOGLE)
    if one in (*SIGNING, p.COHERE, p.OPENAI):
        yield cut(one, "cut_mid_tool", [LOOK, WEATHER])


def _thoughts(one: p.Provider) -> Iterator[Scenario]:
    if one not in (*TOOLLESS, p.AZURE):
        counts = Counts(reasoning=0 if one in SIGNING else 7)
        yield whole(one, "thinking", [thought(one), TEXT], "end", "end_turn", counts=counts)
    if one in (p.ANTHROPIC, p.BEDROCK, p.GOOGLE, p.MISTRAL, p.DEEPSEEK, p.OPENROUTER, p.OLLAMA):
        said: list[Said] = [thought(one), LOOK, WEATHER]
        yield whole(one, "thinking_then_tool", said, "tool", "tool_use", answered=one in SIGNING)
        yield cut(one, "cut_mid_thinking", [thought(one)])


SCENARIOS = tuple(scenario for one in p.ALL for say in (_texts, _tools, _thoughts) for scenario in say(one))
