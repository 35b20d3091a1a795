"""What each upstream receives of a conversation: compared with kept requests, and held to its provider's rules.

The kept requests stand in `tests/requests`, one file for each provider. After a change that is wanted, write them anew
and read what has changed: `python -m tests_integ.test_fidelity`.
"""

from __future__ import annotations

import asyncio
import copy
import difflib
import itertools
import json
import math
import re
import time
import warnings
from collections.abc import AsyncIterable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel
from strands import Agent, tool
from strands.models.model import CacheConfig
from strands.types.content import ContentBlock, Messages, SystemContentBlock
from strands.types.tools import ToolSpec

from strands_portkey import PortkeyConfigError, PortkeyModel, PortkeyStreamError
from strands_portkey._settings.upstreams import find_upstreams
from strands_portkey._wires.chat.dialects import DIALECTS, find_dialect
from tests_integ.enforcing import enforcing, rules
from tests_integ.gateway import Gateway, running_gateway
from tests_integ.record.providers import (
    ANTHROPIC,
    BEDROCK,
    COHERE,
    DEEPSEEK,
    FIREWORKS,
    GOOGLE,
    GROQ,
    MISTRAL,
    OLLAMA,
    OPENAI,
    OPENROUTER,
    PERPLEXITY,
    TOGETHER,
    VERTEX,
    VERTEX_CLAUDE,
    Provider,
)
from tests_integ.upstream import Reply, Request, Upstream, json_reply, sse_reply
from tests_integ.wires import openai
from tests_integ.wires.said import Counts, Redacted, Said, call, text, thinking

KEPT = Path(__file__).resolve().parents[1] / "tests" / "requests"

# Each provider with the base path of its own server, as the gateway knows it.
PATHS: Mapping[Provider, str] = {
    OPENAI: "/v1",
    ANTHROPIC: "/v1",
    GOOGLE: "",
    VERTEX: "",
    VERTEX_CLAUDE: "",
    BEDROCK: "",
    MISTRAL: "/v1",
    COHERE: "",
    DEEPSEEK: "",
    GROQ: "/openai/v1",
    OPENROUTER: "/api",
    OLLAMA: "",
    FIREWORKS: "/inference/v1",
    PERPLEXITY: "",
}
CLAUDES = (ANTHROPIC, VERTEX_CLAUDE, BEDROCK)
MARKED = (*CLAUDES, OPENROUTER)
"""Those that take cache points where they stand."""
GEMINIS = (GOOGLE, VERTEX)
WITH_TOOLS = tuple(provider for provider in PATHS if provider not in (DEEPSEEK, PERPLEXITY))
"""Those whose agents can use tools: the gateway drops the tools of two."""


def providers(given: Iterable[Provider]) -> pytest.MarkDecorator:
    """Return the mark that runs a test for each provider."""
    return pytest.mark.parametrize("provider", [pytest.param(provider, id=provider.folder) for provider in given])


# -- the conversation --------------------------------------------------------------------------------------------------


PNG = b"\x89PNG"  # Four bytes are enough: nothing decodes them.
SIGNED = {"type": "thinking", "thinking": "Two facts are wanted.", "signature": "SIGNED=="}
HIDDEN = {"type": "redacted_thinking", "data": "REDACTED=="}
SYSTEM: list[SystemContentBlock] = [{"text": "You are a weather clerk."}, {"cachePoint": {"type": "default"}}]
TOOLS: list[ToolSpec] = [
    {
        "name": "get_weather",
        "description": "The weather in a city.",
        "inputSchema": {"json": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}},
    },
    {
        "name": "get_time",
        "description": "The time here.",
        "inputSchema": {"json": {"type": "object", "properties": {}}},
    },
]
POINT: ContentBlock = {"cachePoint": {"type": "default"}}
CONVERSATION: Messages = [
    {
        "role": "user",
        "content": [
            {"text": "What is the weather in the city on the map, and what time is it?"},
            {"image": {"format": "png", "source": {"bytes": PNG + b" map"}}},
        ],
    },
    {
        "role": "assistant",
        "content": [
            {"reasoningContent": {"reasoningText": {"text": "Two facts are wanted.", "signature": "SIGNED=="}}},
            {"reasoningContent": {"redactedContent": b"REDACTED=="}},
            {"reasoningContent": {"reasoningText": {"text": "A thought that nobody signed."}}},
            {"text": "Let me look."},
            {
                "toolUse": {
                    "toolUseId": "callone11",
                    "name": "get_weather",
                    "input": {"city": "Zürich"},
                    "reasoningSignature": "GEMINI==",
                }
            },
            {"toolUse": {"toolUseId": "calltwo22", "name": "get_time", "input": {}}},
        ],
    },
    {
        "role": "user",
        "content": [
            {
                "toolResult": {
                    "toolUseId": "callone11",
                    "status": "success",
                    "content": [
                        {"text": "rain"},
                        {"json": {"celsius": 12}},
                        {"image": {"format": "png", "source": {"bytes": PNG + b" radar"}}},
                    ],
                }
            },
            {"toolResult": {"toolUseId": "calltwo22", "status": "success", "content": [{"json": {"time": "12:00"}}]}},
            POINT,
        ],
    },
    {"role": "assistant", "content": [{"text": "It rains in Zürich, at noon."}]},
    {
        "role": "user",
        "content": [
            {"text": "And what do these say?"},
            {"document": {"name": "report", "format": "pdf", "source": {"bytes": b"%PDF-1.7"}}},
            {"document": {"name": "notes", "format": "txt", "source": {"bytes": b"Bring an umbrella."}}},
            POINT,
        ],
    },
]

QUESTION: Messages = [{"role": "user", "content": [{"text": "Where do you live?"}]}]

REFUSED: Mapping[Provider, Sequence[str]] = {
    COHERE: ["document"],
    DEEPSEEK: ["image", "document"],
    GROQ: ["document"],
    OLLAMA: ["document"],
    FIREWORKS: ["document"],
    PERPLEXITY: ["document"],
}
"""What cannot be sent to whom, in the order in which it is found; as to documents, the PDF."""


def without(messages: Messages, kind: str) -> Messages:
    """Return a conversation without its images or PDFs."""

    def keep(block: Mapping[str, Any]) -> bool:
        return kind not in block or block[kind]["format"] == "txt"

    kept = copy.deepcopy(messages)
    for message in kept:
        message["content"] = [block for block in message["content"] if keep(block)]
        for block in message["content"]:
            if "toolResult" in block:
                block["toolResult"]["content"] = [part for part in block["toolResult"]["content"] if keep(part)]
    return kept


def sendable(provider: Provider, api: str = "chat") -> Messages:
    """Return as much of the conversation as a provider takes."""
    messages = CONVERSATION
    for kind in REFUSED.get(provider, ()):
        messages = without(messages, kind)
    # The gateway sends no names of documents, which Bedrock requires.
    return without(messages, "document") if (provider, api) == (BEDROCK, "messages") else messages


def apis(provider: Provider) -> list[str]:
    """Return the protocols that a provider has: the first one without a name in the files of kept requests."""
    return ["chat", "messages"] if provider in CLAUDES else ["chat"]


class Way:
    """The way to the scripted upstream as one of the providers."""

    def __init__(self, gateway: Gateway, upstream: Upstream) -> None:
        self.gateway = gateway
        self.upstream = upstream

    def model(self, provider: Provider, **model_config: Any) -> PortkeyModel:
        """Return a model of a provider."""
        more = {key.removeprefix("x-portkey-").replace("-", "_"): value for key, value in provider.headers.items()}
        client_args: dict[str, Any] = {
            "base_url": self.gateway.base_url,
            "provider": provider.slug,
            "custom_host": self.upstream.url + PATHS.get(provider, "/v1"),
            "Authorization": "key",
            **more,
        }
        return PortkeyModel(client_args, **{"model_id": provider.model, **model_config})

    def talker(self, provider: Provider, *, cached: bool = True, api: str = "chat", **params: Any) -> PortkeyModel:
        """Return a model that thinks where it can, with or without automatic caching."""
        if provider in CLAUDES:
            params = {"thinking": {"type": "enabled", "budget_tokens": 1024}, **params}
        config: dict[str, Any] = {"params": params, "api": api}
        if cached:
            config["cache_config"] = CacheConfig(strategy="auto", tools_ttl="1h", cache_key="weather")
        return self.model(provider, **config)

    def received(self) -> dict[str, Any]:
        """Return the last native request as it is kept."""
        return _kept(self.upstream.requests[-1])


def _kept(request: Request) -> dict[str, Any]:
    body = json.dumps(request.json)
    headers = {name: value for name, value in request.headers if name.lower().startswith("anthropic-")}
    return {
        "path": request.path,
        **({"headers": headers} if headers else {}),
        "body": json.loads(re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "a-uuid-that-the-gateway-made", body)),
    }


def _text(received: Mapping[str, Any]) -> str:
    return json.dumps(received, indent=2, ensure_ascii=False) + "\n"


@pytest.fixture
def way(gateway: Gateway, upstream: Upstream) -> Way:
    return Way(gateway, upstream)


def ask(model: PortkeyModel, messages: Messages, tools: list[ToolSpec] | None = TOOLS, *, system: bool = True) -> None:
    """Send a conversation."""

    async def send() -> None:
        async for _ in model.stream(messages, tools, system_prompt_content=SYSTEM if system else None):
            pass

    with warnings.catch_warnings():
        # That caching or tools have no effect with some upstreams is tested elsewhere.
        warnings.filterwarnings("ignore", "the (upstream|gateway) .*")
        asyncio.run(send())


async def _ended(events: AsyncIterable[Any]) -> list[Any]:
    return [event async for event in events]


def answering(provider: Provider) -> Callable[[Request], Reply]:
    """Return a script that answers with a short text."""
    return lambda _: provider.stream([text("Done.")], provider.reasons["end"], Counts())


# -- what reaches the upstream -----------------------------------------------------------------------------------------


def requests_of(way: Way, provider: Provider) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name and the native request of the conversation, and of another one with cache points alone."""
    way.upstream.script = answering(provider)
    for api in apis(provider):
        name = provider.folder if api == "chat" else f"{provider.folder}.{api}"
        ask(way.talker(provider, api=api), sendable(provider, api))
        yield f"{name}.json", way.received()
        if provider in MARKED:
            ask(way.talker(provider, api=api, cached=False), sendable(provider, api))
            yield f"{name}.points.json", way.received()


def test_each_dialect_has_kept_requests() -> None:
    shown = {find_dialect(find_upstreams(None, {"provider": provider.slug}, provider.model)).name for provider in PATHS}

    assert shown == set(DIALECTS)
    assert {path.name.split(".")[0] for path in KEPT.glob("*.json")} == {provider.folder for provider in PATHS}


@providers(PATHS)
def test_the_upstream_receives_what_is_kept(way: Way, provider: Provider) -> None:
    for name, received in requests_of(way, provider):
        fresh, kept = _text(received), (KEPT / name).read_text()

        difference = difflib.unified_diff(
            kept.splitlines(), fresh.splitlines(), f"kept/{name}", f"fresh/{name}", "", "", 3, ""
        )
        assert fresh == kept, "\n".join(difference)


@providers(REFUSED)
def test_what_cannot_be_sent_raises_and_says_what_would_work(way: Way, provider: Provider) -> None:
    way.upstream.script = answering(provider)
    dialect = find_dialect(find_upstreams(None, {"provider": provider.slug}, provider.model)).name
    messages = CONVERSATION

    for kind in REFUSED[provider]:
        with pytest.raises(PortkeyConfigError, match=rf"for the upstream '{dialect}' must be .*; got .*{kind}"):
            ask(way.talker(provider), messages)
        messages = without(messages, kind)

    assert way.upstream.requests == []
    ask(way.talker(provider), messages)
    assert len(way.upstream.requests) == 1


@providers(PATHS)
def test_the_same_conversation_reaches_the_upstream_as_the_same_bytes(way: Way, provider: Provider) -> None:
    way.upstream.script = answering(provider)

    for _ in range(2):
        ask(way.talker(provider), sendable(provider))

    first, second = way.upstream.requests
    assert first.body == second.body


# -- an upstream that enforces its rules -------------------------------------------------------------------------------


def check(way: Way, provider: Provider, messages: Messages) -> None:
    """Send a conversation, with automatic caching and without, to an upstream that enforces its rules."""
    faults = rules(provider, [[SIGNED, HIDDEN]], ["GEMINI=="])
    way.upstream.script = enforcing(provider, answering(provider), faults)

    for api in apis(provider):
        for cached in (True, False):
            ask(way.talker(provider, api=api, cached=cached), sendable(provider, api)[: len(messages)])

    assert len(way.upstream.requests) == 2 * len(apis(provider))


@providers(PATHS)
def test_an_upstream_that_enforces_its_rules_takes_a_question(way: Way, provider: Provider) -> None:
    check(way, provider, sendable(provider)[:1])


@providers(PATHS)
def test_an_upstream_that_enforces_its_rules_takes_the_results_of_tools(way: Way, provider: Provider) -> None:
    check(way, provider, sendable(provider)[:3])


@providers(PATHS)
def test_an_upstream_that_enforces_its_rules_takes_the_conversation(way: Way, provider: Provider) -> None:
    check(way, provider, sendable(provider))


@tool
def get_weather(city: str) -> str:
    """Return the weather in a city.

    Args:
        city: Name of the city.
    """
    # The first call ends last.
    time.sleep(0.05)
    return f"rain in {city}"


@tool
def get_time() -> dict[str, Any]:
    """Return the time here."""
    return {"status": "success", "content": [{"json": {"time": "12:00"}}]}


class Model:
    """A model behind an upstream: in each of two turns it calls two tools at once, then answers."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self.said: list[list[Any]] = []
        self.signed: list[str] = []
        self._number = itertools.count(1)

    def __call__(self, _: Request) -> Reply:
        number = next(self._number)
        calls = number % 2 == 1
        said: list[Said] = []
        if self.provider in CLAUDES:
            said += self._thoughts(number)
        said.append(text(f"Let me look, {number}.") if calls else text(f"Rain at noon, {number}."))
        if calls:
            signature = f"GEMINI{number}==" if self.provider in GEMINIS else None
            self.signed += [signature] if signature else []
            said.append(call(f"weather0{number}", "get_weather", '{"city": ', '"Zürich"}', signature=signature))
            said.append(call(f"thetime0{number}", "get_time"))
        return self.provider.stream(said, self.provider.reasons["tool" if calls else "end"], Counts())

    def _thoughts(self, number: int) -> list[Said]:
        thoughts: list[Said] = [thinking("Thought ", f"{number}.", signature=f"SIG{number}==")]
        blocks = [{"type": "thinking", "thinking": f"Thought {number}.", "signature": f"SIG{number}=="}]
        if self.provider is not BEDROCK:
            thoughts.append(Redacted(f"HIDDEN{number}=="))
            blocks.append({"type": "redacted_thinking", "data": f"HIDDEN{number}=="})
        self.said.append(blocks)
        return thoughts


@providers(WITH_TOOLS)
def test_an_agent_with_tools_keeps_to_the_rules_of_its_upstream(way: Way, provider: Provider) -> None:
    model = Model(provider)
    way.upstream.script = enforcing(provider, model, rules(provider, model.said, model.signed))
    agent = Agent(
        way.talker(provider),
        tools=[get_weather, get_time],
        system_prompt=SYSTEM,
        callback_handler=None,
        retry_strategy=None,
    )

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "the (upstream|gateway) .*")
        results = [agent("What is the weather, and what time is it?"), agent("And now?")]

    assert [result.message["content"][-1] for result in results] == [{"text": f"Rain at noon, {n}."} for n in (2, 4)]
    assert len(way.upstream.requests) == 4
    assert len(agent.messages) == 8


# -- what else agents send ---------------------------------------------------------------------------------------------


def after_a_call(call_id: str, *content: Any, then: Sequence[ContentBlock] = ()) -> Messages:
    """Return a conversation that ends with the result of one call."""
    return [
        *QUESTION,
        {"role": "assistant", "content": [{"toolUse": {"toolUseId": call_id, "name": "get_time", "input": {}}}]},
        {
            "role": "user",
            "content": [
                {"toolResult": {"toolUseId": call_id, "status": "success", "content": list(content)}},
                *then,
            ],
        },
    ]


def take(way: Way, provider: Provider, messages: Messages, tools: list[ToolSpec] | None = TOOLS, **config: Any) -> None:
    """Send a conversation to an upstream that enforces its rules."""
    way.upstream.script = enforcing(provider, answering(provider))
    ask(way.model(provider, **config), messages, tools)
    assert len(way.upstream.requests) == 1


@providers(MARKED)
def test_a_prefix_may_be_cached_for_an_hour(way: Way, provider: Provider) -> None:
    messages = after_a_call("callone11", {"text": "12:00"})

    take(way, provider, messages, cache_config=CacheConfig(strategy="auto", ttl="1h", tools_ttl=True))


@providers(WITH_TOOLS)
def test_a_conversation_with_calls_can_be_summed_up_without_tools(way: Way, provider: Provider) -> None:
    messages = after_a_call("callone11", {"text": "12:00"})
    messages += [{"role": "assistant", "content": [{"text": "Noon."}]}, *QUESTION]

    take(way, provider, messages, None)


@providers(WITH_TOOLS)
def test_the_user_may_speak_next_to_results(way: Way, provider: Provider) -> None:
    take(way, provider, after_a_call("callone11", {"text": "12:00"}, then=[{"text": "Is that late?"}]))


@providers([provider for provider in WITH_TOOLS if provider not in REFUSED])
def test_a_tool_may_return_a_document(way: Way, provider: Provider) -> None:
    report = {"document": {"name": "report v1.2", "format": "pdf", "source": {"bytes": b"%PDF-1.7"}}}

    take(way, provider, after_a_call("callone11", report))


@providers(WITH_TOOLS)
def test_a_tool_may_return_nothing_and_show_nothing(way: Way, provider: Provider) -> None:
    take(way, provider, after_a_call("callone11", {"text": ""}))


@providers(WITH_TOOLS)
def test_calls_of_another_upstream_go_back(way: Way, provider: Provider) -> None:
    # Kimi numbers its calls like this; others call them `call_` and 24 letters, or a UUID.
    take(way, provider, after_a_call("functions.get_time:0", {"text": "12:00"}))


@providers(WITH_TOOLS)
def test_calls_of_gemini_go_back_to_others(way: Way, provider: Provider) -> None:
    # The gateway makes these ids, which OpenAI finds too long.
    take(way, provider, after_a_call(f"portkey-{UUID(int=7)}", {"text": "12:00"}))


NOON: Messages = [{"role": "assistant", "content": [{"text": "Noon."}]}]
PAIR = after_a_call("callone11", {"text": "12:00"})[1:]
PICTURED = after_a_call("callone11", {"text": "12:00"}, {"image": {"format": "png", "source": {"bytes": PNG}}})[1:]
OTHER_PAIR = after_a_call("calltwo22", {"text": "12:01"})[1:]
TRIMMED: Mapping[str, Messages] = {
    "a result without its call": [PAIR[1], *NOON, *QUESTION],
    "a result with an image without its call": [PICTURED[1], *NOON, *QUESTION],
    "a result without its call in the middle": [*QUESTION, *NOON, PAIR[1], *NOON, *QUESTION],
    "a result of another call": [*QUESTION, PAIR[0], OTHER_PAIR[1]],
    "two results for one call": [*QUESTION, *PAIR, PAIR[1]],
    "a call without a result": [*QUESTION, PAIR[0], *QUESTION],
    "a call without a result at the end": [*QUESTION, PAIR[0]],
    "one of two calls without a result": [
        *QUESTION,
        {"role": "assistant", "content": [*PAIR[0]["content"], *OTHER_PAIR[0]["content"]]},
        OTHER_PAIR[1],
    ],
    "calls in two messages": [
        *QUESTION,
        PAIR[0],
        OTHER_PAIR[0],
        {"role": "user", "content": [*OTHER_PAIR[1]["content"], *PAIR[1]["content"]]},
    ],
    "results in two messages": [
        *QUESTION,
        {"role": "assistant", "content": [*PAIR[0]["content"], *OTHER_PAIR[0]["content"]]},
        PAIR[1],
        OTHER_PAIR[1],
    ],
    "an answer right after a call": [*QUESTION, PAIR[0], *NOON, *QUESTION],
}


@pytest.mark.parametrize("name", TRIMMED)
@providers(WITH_TOOLS)
def test_a_conversation_that_was_cut_between_calls_and_results_is_accepted(
    way: Way, provider: Provider, name: str
) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "the conversation was cut between calls and results")
        take(way, provider, TRIMMED[name])


ODD_INPUTS = (["x"], 5, True, "x", '{"city": "Zürich"}', None, {"heat": math.nan})


@pytest.mark.parametrize("given", ODD_INPUTS, ids=repr)
@providers(WITH_TOOLS)
def test_an_input_that_upstreams_would_refuse_goes_back_as_an_object(
    way: Way, provider: Provider, given: object
) -> None:
    messages: Any = after_a_call("callone11", {"text": "12:00"})
    messages[1]["content"][0]["toolUse"]["input"] = given

    take(way, provider, messages)


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ('"{\\"city\\": \\"Bern\\"}"', "rain in Bern"),
        ('["Bern"]', "Error"),
        ('"Bern"', "Error"),
        ("5", "Error"),
        ("null", "Error"),
        ('{"city": NaN}', "Error"),
    ],
)
@providers([OPENAI, ANTHROPIC, MISTRAL])
def test_an_agent_goes_on_after_odd_arguments(way: Way, provider: Provider, arguments: str, found: str) -> None:
    replies = [
        provider.stream([call("callone11", "get_weather", arguments)], provider.reasons["tool"], Counts()),
        provider.stream([text("Rain.")], provider.reasons["end"], Counts()),
    ]
    way.upstream.script = enforcing(provider, lambda _: replies.pop(0))
    agent = Agent(way.model(provider), tools=[get_weather], callback_handler=None, retry_strategy=None)

    result = agent("What is the weather in Bern?")

    answer: Any = agent.messages[2]["content"][0]
    assert result.message["content"] == [{"text": "Rain."}]
    assert answer["toolResult"]["content"][0]["text"].startswith(found)


@pytest.mark.parametrize(
    "provider",
    ["302ai", "ai21", "deepinfra", "deepseek", "moonshot", "sambanova", "siliconflow", "zhipu"],
)
def test_tools_that_the_gateway_drops_are_told_of(way: Way, provider: str) -> None:
    way.upstream.script = answering(OPENAI)
    model = way.model(replace(OPENAI, slug=provider))

    with pytest.warns(UserWarning, match="the gateway may drop the tools"):
        asyncio.run(_ended(model.stream(QUESTION, TOOLS)))

    assert "tools" not in way.upstream.requests[0].json


def test_a_stream_whose_calls_the_gateway_drops_raises_and_a_json_answer_has_them(way: Way) -> None:
    said = [call("callone11", "get_time")]
    way.upstream.script = lambda request: (TOGETHER.stream if request.json["stream"] else TOGETHER.answer)(
        said, TOGETHER.reasons["tool"], Counts()
    )

    with pytest.raises(PortkeyStreamError, match="set stream=False"):
        asyncio.run(_ended(way.model(TOGETHER).stream(QUESTION, TOOLS)))
    events = asyncio.run(_ended(way.model(TOGETHER, stream=False).stream(QUESTION, TOOLS)))

    assert [event["messageStop"]["stopReason"] for event in events if "messageStop" in event] == ["tool_use"]


SIGNED_DETAILS = [
    {"type": "reasoning.text", "text": "The time is wanted.", "format": "anthropic-claude-v1", "index": 0},
    {"type": "reasoning.text", "signature": "SIG==", "format": "anthropic-claude-v1", "index": 0},
]
ENCRYPTED_DETAILS = [{"type": "reasoning.encrypted", "data": "DATA==", "id": "callone11", "index": 0}]
GOOGLES = {"extra_content": {"google": {"thought_signature": "SIG=="}}}


@pytest.mark.parametrize("way_of_answering", ["stream", "JSON"])
@pytest.mark.parametrize(
    ("provider", "marks", "back"),
    [
        (OPENROUTER, {"reasoning_details": SIGNED_DETAILS}, [SIGNED_DETAILS[0] | SIGNED_DETAILS[1]]),
        (OPENROUTER, {"reasoning_details": ENCRYPTED_DETAILS}, ENCRYPTED_DETAILS),
        (OPENAI, GOOGLES, None),
    ],
    ids=["claude by openrouter", "gemini by openrouter", "google as a copy of openai"],
)
def test_marks_of_reasoning_go_back_as_they_came(
    way: Way, provider: Provider, marks: Any, back: Any, way_of_answering: str
) -> None:
    stream, on_call = way_of_answering == "stream", marks if back is None else {}
    delta = {} if on_call else marks
    made = {"index": 0, "id": "callone11", "type": "function", "function": {"name": "get_time", "arguments": "{}"}}
    said = {"role": "assistant", "content": None, **delta, "tool_calls": [{**made, **on_call}]}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    end = {"object": "chat.completion", "usage": usage, "choices": [{"message": said, "finish_reason": "tool_calls"}]}
    replies = [
        sse_reply([openai.chunk(said), openai.chunk({}, "tool_calls"), openai.DONE]) if stream else json_reply(end),
        (provider.stream if stream else provider.answer)([text("Noon.")], provider.reasons["end"], Counts()),
    ]
    way.upstream.script = lambda _: replies.pop(0)
    agent = Agent(way.model(provider, stream=stream), tools=[get_time], callback_handler=None, retry_strategy=None)
    agent("What time is it?")

    message = way.upstream.requests[1].json["messages"][1]
    (sent,) = message["tool_calls"]
    assert {name: value for name, value in sent.items() if name == "extra_content"} == on_call
    assert message.get("reasoning_details") == back


@providers(GEMINIS)
def test_results_go_back_in_the_order_of_their_calls(way: Way, provider: Provider) -> None:
    # Gemini gets no ids: the second of two calls of one tool is the second answer. Strands puts what an interrupt has
    # held up last.
    messages = copy.deepcopy(CONVERSATION[:3])
    messages[2]["content"] = messages[2]["content"][1::-1]

    check(way, provider, messages)


@providers(WITH_TOOLS)
def test_a_tool_may_have_the_schema_of_an_mcp_server(way: Way, provider: Provider) -> None:
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {
            "Place": {"type": "object", "properties": {"city": {"type": "string"}}, "additionalProperties": False}
        },
        "properties": {
            "place": {"$ref": "#/$defs/Place"},
            "day": {"type": ["string", "null"]},
            "hour": {"anyOf": [{"type": "integer", "exclusiveMinimum": 0}, {"type": "null"}]},
            "unit": {"const": "celsius"},
        },
        "additionalProperties": False,
    }

    take(
        way,
        provider,
        QUESTION,
        [{"name": "get_weather", "description": "The weather.", "inputSchema": {"json": schema}}],
    )


@providers([GOOGLE, VERTEX])
def test_gemini_takes_schemas_that_its_own_form_does_not_have(way: Way, provider: Provider) -> None:
    schema = {
        "type": "object",
        "$defs": {"a/b": {"type": "string"}},
        "properties": {
            "at": {"type": "array", "prefixItems": [{"type": "number"}, {"type": "number"}]},
            "tags": {"type": "array"},
            "more": {"$ref": "#/properties/tags"},
            "escaped": {"$ref": "#/$defs/a~1b"},
            "within": {"$ref": "#"},
            "text": {"type": "string", "properties": {"a": {}}, "enum": ["", "a"]},
            "both": {"allOf": [{"type": "object", "required": ["a"]}, {"properties": {"b": {"const": 1}}}]},
            "any": {},
        },
        "required": ["at", "gone"],
    }

    take(way, provider, QUESTION, [{"name": "f", "description": "F.", "inputSchema": {"json": schema}}])


@providers(CLAUDES)
def test_unsigned_thinking_of_a_model_is_not_sent_back(way: Way, provider: Provider) -> None:
    way.upstream.script = enforcing(provider, answering(provider))
    unsigned: ContentBlock = {"reasoningContent": {"reasoningText": {"text": "Hm."}}}
    messages: Messages = [*QUESTION, {"role": "assistant", "content": [unsigned, {"text": "Here."}]}, *QUESTION]

    ask(way.talker(provider), messages)

    assert "Hm." not in way.upstream.requests[0].body.decode()


# -- structured output -------------------------------------------------------------------------------------------------


class River(BaseModel):
    """A river."""

    name: str


class City(BaseModel):
    """A city."""

    name: str
    population: int
    river: River | None = None


ZURICH = {"name": "Zürich", "population": 440_000, "river": {"name": "Limmat"}}
ASKED_BY: Mapping[Provider, str] = {
    OPENAI: "schema",
    ANTHROPIC: "forced",
    GOOGLE: "schema",
    VERTEX: "schema",
    VERTEX_CLAUDE: "forced",
    BEDROCK: "forced",
    MISTRAL: "forced",
    COHERE: "forced",
    DEEPSEEK: "schema",
    GROQ: "schema",
    OPENROUTER: "schema",
    OLLAMA: "schema",
    FIREWORKS: "schema",
    PERPLEXITY: "schema",
}


def asked_by(body: Any) -> str:
    """Return how a native request holds the model to a schema."""
    config = body.get("generationConfig") or {}
    if "response_format" in body or "responseSchema" in config:
        return "schema"
    choice = (
        body.get("tool_choice")
        or (body.get("toolConfig") or {}).get("toolChoice")
        or (body.get("tool_config") or {}).get("function_calling_config")
    )
    if choice and choice != "auto" and "auto" not in json.dumps(choice).lower():
        return "forced"
    return "auto" if body.get("tools") or body.get("toolConfig") else "nothing"


def filling(provider: Provider) -> Callable[[Request], Reply]:
    """Return a script that answers in the way in which it is asked."""

    def script(request: Request) -> Reply:
        written = json.dumps(ZURICH, ensure_ascii=False)
        if asked_by(request.json) in ("schema", "nothing"):
            return provider.stream([text(written)], provider.reasons["end"], Counts())
        return provider.stream([call("cityone11", "City", written)], provider.reasons["tool"], Counts())

    return script


@providers(PATHS)
def test_the_model_asks_for_structured_output_by_what_its_upstream_takes(way: Way, provider: Provider) -> None:
    way.upstream.script = enforcing(provider, filling(provider))

    async def run() -> Any:
        events = [event async for event in way.model(provider).structured_output(City, QUESTION)]
        return events[-1]["output"]

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "the (upstream|gateway) .*")
        output = asyncio.run(run())

    assert output == City.model_validate(ZURICH)
    assert [asked_by(request.json) for request in way.upstream.requests] == [ASKED_BY[provider]]


@providers(PATHS)
def test_an_agent_asks_for_structured_output_by_what_its_upstream_takes(way: Way, provider: Provider) -> None:
    fill = filling(provider)

    def script(request: Request) -> Reply:
        # At first the model just talks, so that Strands insists.
        return fill(request) if len(way.upstream.requests) > 1 else answering(provider)(request)

    way.upstream.script = enforcing(provider, script)
    agent = Agent(way.model(provider), tools=[get_time], callback_handler=None, retry_strategy=None)

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "the (upstream|gateway) .*")
        result = agent(QUESTION, structured_output_model=City)

    assert result.structured_output == City.model_validate(ZURICH)
    assert [asked_by(request.json) for request in way.upstream.requests[1:]] == [ASKED_BY[provider]]


@providers(CLAUDES)
def test_claude_is_not_forced_where_it_thinks(way: Way, provider: Provider) -> None:
    way.upstream.script = enforcing(provider, filling(provider))

    async def run() -> Any:
        events = [event async for event in way.talker(provider).structured_output(City, QUESTION)]
        return events[-1]["output"]

    assert asyncio.run(run()) == City.model_validate(ZURICH)
    assert [asked_by(request.json) for request in way.upstream.requests] == ["auto"]


def main() -> None:
    """Write the kept requests anew."""
    KEPT.mkdir(exist_ok=True)
    with running_gateway() as gateway, Upstream() as upstream:
        for provider in PATHS:
            for name, received in requests_of(Way(gateway, upstream), provider):
                (KEPT / name).write_text(_text(received))
                print(KEPT / name)


if __name__ == "__main__":
    main()
