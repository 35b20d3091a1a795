"""Thoughts that go back to the model, through the real gateway, to upstreams that refuse what is wrong with them."""

from __future__ import annotations

import asyncio
import copy
import http.client
import json
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

import pytest
from strands import Agent, tool
from strands.agent.conversation_manager import SlidingWindowConversationManager, SummarizingConversationManager
from strands.types.content import ContentBlock, Messages

from strands_portkey import PortkeyAPIError, PortkeyModel, ResponseMetadata
from tests_integ.enforcing import enforcing, rules
from tests_integ.gateway import Gateway
from tests_integ.record.providers import Provider
from tests_integ.test_fidelity import CLAUDES, GEMINIS, PATHS, answering, providers
from tests_integ.upstream import Reply, Request, Upstream
from tests_integ.wires import anthropic, openai

THINKING: Final = {"thinking": {"type": "enabled", "budget_tokens": 1024}}
OTHERS: Final = (
    "Invalid `signature` in `thinking` block. The block is bound to a different conversation: what stands before it"
    " has changed."
)


@dataclass(frozen=True)
class Asked:
    """A request as the upstream has taken it.

    Attributes:
        thoughts: Those that it replays.
        refused: Whether it was refused.
    """

    thoughts: tuple[str, ...] = ()
    refused: bool = False


def asked(*thoughts: str) -> Asked:
    return Asked(thoughts)


def refused(*thoughts: str) -> Asked:
    return Asked(thoughts, refused=True)


class Claude:
    """A model that signs its thoughts and takes one back only where nothing before it has changed.

    Its thoughts are named by their number. It calls the tools once for each question that wants the weather.

    Attributes:
        asked: What it was asked, oldest first.
        is_interleaving: Whether it also thinks between the calls of one message.
    """

    def __init__(self, *, is_interleaving: bool = False) -> None:
        self.asked: list[Asked] = []
        self.is_interleaving = is_interleaving
        self._bound: dict[str, str] = {}
        self._answers = 0

    def __call__(self, request: Request) -> Reply:
        body = request.json
        fault = next(self._faults(body), None)
        thoughts = [
            block["thinking"]
            for message in body["messages"]
            for block in _blocks(message)
            if block["type"] == "thinking"
        ]
        self.asked.append(Asked(tuple(thoughts), refused=fault is not None))
        if fault is not None:
            return anthropic.error(400, "invalid_request_error", fault)
        return self._answer(body)

    def _answer(self, body: dict[str, Any]) -> Reply:
        self._answers += 1
        said: list[dict[str, Any]] = []
        if "thinking" in body:
            self._think(str(self._answers), body, said)
        wants = json.dumps(body["messages"][-1]["content"])
        if "tools" in body and "weather" in wants and "tool_result" not in wants:
            for city in ("Paris", "Rome"):
                if self.is_interleaving and city == "Rome":
                    self._think(f"{self._answers}b", body, said)
                call = {"type": "tool_use", "id": f"{city}_{self._answers}", "name": "get_weather"}
                said.append({**call, "input": {"city": city}})
        else:
            said.append({"type": "text", "text": f"Answer {self._answers}"})
        return anthropic.stream(*map(_streamed, said)) if body.get("stream") else anthropic.answer(*said)

    def _think(self, thought: str, body: Mapping[str, Any], said: list[dict[str, Any]]) -> None:
        signature = f"SIGNED{thought}=="
        self._bound[signature] = _hash(body, body["messages"], said, thought)
        said.append({"type": "thinking", "thinking": thought, "signature": signature})

    def _faults(self, body: Mapping[str, Any]) -> Iterator[str]:
        if "max_tokens" not in body:
            yield "max_tokens: Field required"
        for number, message in enumerate(body["messages"]):
            content = _blocks(message)
            for index, block in enumerate(content):
                if block["type"] != "thinking":
                    continue
                before = _hash(body, body["messages"][:number], content[:index], block["thinking"])
                place, bound = f"messages.{number}.content.{index}", self._bound.get(block["signature"])
                if bound is None:
                    yield f"{place}: Invalid `signature` in `thinking` block"
                elif bound != before:
                    yield f"{place}: {OTHERS}"


def _blocks(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    return message["content"] if isinstance(message["content"], list) else []


def _hash(body: Mapping[str, Any], *before: object) -> str:
    return sha256(json.dumps([body.get("system"), body.get("tools"), *before]).encode()).hexdigest()


def _streamed(block: Mapping[str, Any]) -> anthropic.Block:
    if block["type"] == "thinking":
        return anthropic.thinking(block["thinking"], signature=block["signature"])
    if block["type"] == "tool_use":
        return anthropic.tool_use(block["id"], block["name"], json.dumps(block["input"]))
    return anthropic.text(block["text"])


@tool
def get_weather(city: str) -> str:
    """Return the weather in a city.

    Args:
        city: Name of the city.
    """
    return f"rain in {city}"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """Run on asyncio, the loop that Strands runs on."""
    return "asyncio"


@pytest.fixture
def claude(upstream: Upstream) -> Claude:
    """The model behind the upstream."""
    upstream.script = claude = Claude()
    return claude


Make = Callable[..., PortkeyModel]


@pytest.fixture
def make(gateway: Gateway, upstream: Upstream) -> Make:
    """Makes models that think and reach the upstream through the gateway; `client_args` go over the usual ones."""

    def make(client_args: Mapping[str, Any] | None = None, **config: Any) -> PortkeyModel:
        usual: dict[str, Any] = {
            "base_url": gateway.base_url,
            "provider": "anthropic",
            "custom_host": upstream.base_url,
            "Authorization": "key",
        }
        config = {"model_id": "best", "params": THINKING, **config}
        return PortkeyModel({**usual, **(client_args or {})}, **config)

    return make


def agent_of(model: PortkeyModel, **more: Any) -> Agent:
    # Without a retry strategy, so that nobody else tries again.
    return Agent(model, **{"callback_handler": None, "retry_strategy": None, **more})


def thought(text: str, signature: str | None = None) -> ContentBlock:
    reasoning = {"text": text, **({"signature": signature} if signature else {})}
    return {"reasoningContent": {"reasoningText": reasoning}}  # type: ignore[typeddict-item]


def answers(agent: Agent, *questions: str) -> list[str]:
    return [str(agent(question)).strip() for question in questions]


def numbered(*numbers: int) -> list[str]:
    return [f"Answer {number}" for number in numbers]


# -- edited conversations ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "json"])
@pytest.mark.parametrize("settings", [{"upstream": "anthropic"}, {}], ids=["named", "derived"])
def test_a_sliding_window_costs_one_further_request_in_all(
    claude: Claude,
    make: Make,
    stream: bool,  # noqa: FBT001
    settings: dict[str, Any],
) -> None:
    window = SlidingWindowConversationManager(window_size=2)
    agent = agent_of(make(stream=stream, **settings), conversation_manager=window)

    said = answers(agent, "a", "b", "c", "d", "e", "f")

    assert said == numbered(1, 2, 3, 4, 5, 6)
    assert claude.asked == [asked(), asked("1"), refused("2"), asked(), asked(), asked(), asked()]


def test_a_wider_window_replays_what_nothing_was_cut_before(claude: Claude, make: Make) -> None:
    agent = agent_of(make(), conversation_manager=SlidingWindowConversationManager(window_size=4))

    said = answers(agent, "a", "b", "c")
    agent.conversation_manager = SlidingWindowConversationManager()  # It cuts no more.
    said += answers(agent, "d", "e", "f")

    assert said == numbered(1, 2, 3, 4, 5, 6)
    assert claude.asked == [
        asked(),
        asked("1"),
        asked("1", "2"),
        refused("2", "3"),
        asked(),
        asked("4"),
        asked("4", "5"),
    ]


@pytest.mark.parametrize("change", ["system prompt", "tools", "a message"])
def test_a_change_of_what_stands_before_thoughts_costs_one_further_request(
    claude: Claude, make: Make, change: str
) -> None:
    agent = agent_of(make(), system_prompt="Be brief.")
    said = answers(agent, "a", "b")

    if change == "system prompt":
        agent.system_prompt = "Be long."
    elif change == "tools":
        agent.tool_registry.register_tool(get_weather)
    else:
        agent.messages[0]["content"] = [{"text": "[redacted]"}]
    said += answers(agent, "c", "d", "e")

    assert said == numbered(1, 2, 3, 4, 5)
    assert claude.asked == [asked(), asked("1"), refused("1", "2"), asked(), asked("3"), asked("3", "4")]


def summarize(agent: Agent) -> None:
    """Put a summary in the place of all but the last two messages, by hand."""
    agent.messages[:-2] = [{"role": "user", "content": [{"text": f"Summary of {len(agent.messages) - 2}"}]}]


def test_each_summary_costs_at_most_one_further_request_and_later_thoughts_go_back(claude: Claude, make: Make) -> None:
    agent = agent_of(make())

    said = answers(agent, "a", "b")
    summarize(agent)
    said += answers(agent, "c", "d", "e")
    summarize(agent)
    said += answers(agent, "f", "g")

    assert said == numbered(1, 2, 3, 4, 5, 6, 7)
    assert claude.asked == [
        asked(),
        asked("1"),
        refused("2"),
        asked(),
        asked("3"),
        asked("3", "4"),
        asked(),  # What was answered since the first summary is known to be bound to it.
        asked("6"),
    ]


def test_a_summarizing_manager_costs_at_most_one_further_request_for_each_question(claude: Claude, make: Make) -> None:
    manager = SummarizingConversationManager(summary_ratio=0.5, preserve_recent_messages=2)
    agent = agent_of(make(), conversation_manager=manager)

    said = answers(agent, "a", "b")
    manager.reduce_context(agent, RuntimeError("full"))
    said += answers(agent, "c", "d")
    manager.reduce_context(agent, RuntimeError("full"))
    said += answers(agent, "e", "f")

    assert said == numbered(1, 2, 4, 5, 7, 8)
    assert claude.asked == [
        asked(),
        asked("1"),
        refused("1"),  # The summary is asked for with another system prompt.
        asked(),
        refused("2"),
        asked(),
        asked("4"),
        asked(),
        asked(),
        asked("7"),
    ]


def test_thoughts_with_tool_calls_go_back_inside_a_turn_after_an_edit(claude: Claude, make: Make) -> None:
    window = SlidingWindowConversationManager(window_size=2)
    agent = agent_of(make(), tools=[get_weather], conversation_manager=window)

    said = answers(agent, "a", "b", "What is the weather?", "c", "And the weather now?")

    assert said == numbered(1, 2, 4, 5, 7)
    assert claude.asked == [
        asked(),
        asked("1"),
        refused("2"),
        asked(),
        asked("3"),  # With its tool call.
        asked("3", "4"),  # The window cannot be cut between a call and its result.
        asked(),
        asked("6"),  # Likewise, after another cut.
    ]


def test_the_replay_inside_a_turn_is_what_the_model_has_said(claude: Claude, make: Make, upstream: Upstream) -> None:
    agent = agent_of(make(api="chat"), tools=[get_weather])
    agent("a")
    agent.messages[0]["content"] = [{"text": "edited"}]
    agent("What is the weather?")

    assert upstream.requests[-1].json["messages"] == [
        {"role": "user", "content": "edited"},
        {"role": "assistant", "content": [{"type": "text", "text": "Answer 1"}]},
        {"role": "user", "content": "What is the weather?"},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "2", "signature": "SIGNED2=="},
                {"type": "tool_use", "id": "Paris_2", "name": "get_weather", "input": {"city": "Paris"}},
                {"type": "tool_use", "id": "Rome_2", "name": "get_weather", "input": {"city": "Rome"}},
            ],
        },
        *(
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": f"{city}_2", "content": f"rain in {city}"}],
            }
            for city in ("Paris", "Rome")
        ),
    ]
    assert claude.asked == [asked(), refused("1"), asked(), asked("2")]


def test_the_unedited_conversation_of_another_agent_keeps_its_thoughts(claude: Claude, make: Make) -> None:
    model = make()
    edited, whole = agent_of(model), agent_of(model)
    answers(edited, "a", "b")
    answers(whole, "x", "y")
    summarize(edited)
    before = len(claude.asked)

    said = [*answers(edited, "c"), *answers(whole, "z"), *answers(edited, "d"), *answers(whole, "w")]

    assert said == numbered(5, 6, 7, 8)
    assert claude.asked[before:] == [refused("2"), asked(), asked("3", "4"), asked("5"), asked("3", "4", "6")]


# -- thoughts of others ------------------------------------------------------------------------------------------------


FOREIGN: Final[Messages] = [
    {"role": "user", "content": [{"text": "a"}]},
    {"role": "assistant", "content": [thought("Elsewhere.", "ErcBCkgIBxABGAIiQ=="), {"text": "b"}]},
]


def test_a_session_of_another_provider_costs_one_further_request(claude: Claude, make: Make) -> None:
    agent = agent_of(make(), messages=copy.deepcopy(FOREIGN))

    said = answers(agent, "c", "d", "e")

    assert said == numbered(1, 2, 3)
    assert claude.asked == [refused("Elsewhere."), asked(), asked("1"), asked("1", "2")]


def test_a_session_that_was_restored_keeps_the_thoughts_of_this_model(claude: Claude, make: Make) -> None:
    before = agent_of(make())
    said = answers(before, "a", "b")

    after = agent_of(make(), messages=json.loads(json.dumps(before.messages)))
    said += answers(after, "c")

    assert said == numbered(1, 2, 3)
    assert claude.asked == [asked(), asked("1"), asked("1", "2")]


def test_encrypted_content_that_an_upstream_cannot_read_costs_one_further_request(
    make: Make, upstream: Upstream
) -> None:
    def answer(request: Request) -> Reply:
        if any("content_blocks" in message for message in request.json["messages"]):
            said = "The encrypted content for item rs_1 could not be used."
            return openai.error(400, said, code="invalid_encrypted_content")
        return openai.stream(openai.text("Hello"))

    upstream.script = answer
    told: list[ResponseMetadata] = []
    model = make({"provider": "openai"}, upstream="anthropic", on_response=told.append)
    agent = agent_of(model, messages=copy.deepcopy(FOREIGN))

    said = answers(agent, "c", "d")

    assert said == ["Hello", "Hello"]
    assert [each.status_code for each in told] == [400, 200, 200]


@pytest.mark.parametrize("opening", [b"", openai.chunk({"role": "assistant", "content": ""})], ids=["first", "later"])
def test_a_refusal_in_a_stream_before_any_content_costs_one_further_request(
    make: Make, upstream: Upstream, opening: bytes
) -> None:
    error = {"error": {"message": f"messages.1.content.0: {OTHERS}", "type": "invalid_request_error"}}

    def answer(request: Request) -> Reply:
        if any("content_blocks" in message for message in request.json["messages"]):
            return Reply(200, {"content-type": "text/event-stream"}, [opening, openai.sse(error)])
        return openai.stream(openai.text("Hello"))

    upstream.script = answer
    agent = agent_of(make({"provider": "openai"}, upstream="anthropic"), messages=copy.deepcopy(FOREIGN))

    said = answers(agent, "c", "d")

    assert said == ["Hello", "Hello"]
    assert len(upstream.requests) == 3


def test_a_refusal_in_a_stream_after_content_is_raised(make: Make, upstream: Upstream) -> None:
    error = {"error": {"message": f"messages.1.content.0: {OTHERS}", "type": "invalid_request_error"}}
    pieces = [openai.chunk({"role": "assistant", "content": "Hel"}), openai.sse(error)]
    upstream.reply(Reply(200, {"content-type": "text/event-stream"}, pieces))
    agent = agent_of(make({"provider": "openai"}, upstream="anthropic"), messages=copy.deepcopy(FOREIGN))

    with pytest.raises(PortkeyAPIError, match="bound to a different conversation"):
        agent("c")

    assert len(upstream.requests) == 1


# -- a saved config ----------------------------------------------------------------------------------------------------


class Hosted:
    """Plays a hosted gateway: puts a config in the place of its id and hands the request to the open-source gateway.

    Attributes:
        configs: What the id stands for: one config for each request, the last one for all that follow.
    """

    def __init__(self, gateway: Gateway, *configs: Mapping[str, Any]) -> None:
        self.configs = list(configs)
        self._port = gateway.port

    def __call__(self, request: Request) -> Reply:
        config = self.configs.pop(0) if len(self.configs) > 1 else self.configs[0]
        headers = {name: text for name, text in request.headers if name.lower() not in ("host", "transfer-encoding")}
        names = [name for name, text in headers.items() if name.lower() == "x-portkey-config" and text == "pc-x"]
        headers |= dict.fromkeys(names, json.dumps(config))
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        try:
            connection.request(request.method, request.path, request.body, headers)
            response = connection.getresponse()
            hops = ("transfer-encoding", "connection", "keep-alive", "content-length")
            passed = {name: text for name, text in response.getheaders() if name.lower() not in hops}
            return Reply(response.status, passed, [response.read()])
        finally:
            connection.close()


@pytest.fixture
def hosted(gateway: Gateway, upstream: Upstream) -> Iterator[Upstream]:
    """A gateway that knows the config `pc-x`, which leads to Claude."""
    config = {"provider": "anthropic", "api_key": "key", "custom_host": upstream.base_url}
    with Upstream(Hosted(gateway, config)) as running:
        yield running


def saved(hosted: Upstream, **more: Any) -> dict[str, Any]:
    return {"base_url": hosted.base_url, "config": "pc-x", "provider": None, "custom_host": None, **more}


def test_a_saved_config_replays_thoughts_with_tool_calls_from_the_first_turn_on(
    claude: Claude, make: Make, hosted: Upstream, upstream: Upstream
) -> None:
    agent = agent_of(make(saved(hosted)), tools=[get_weather])

    said = answers(agent, "What is the weather?", "b")

    assert said == numbered(2, 3)
    # The first is in OpenAI's form, which Claude refuses for want of `max_tokens`.
    assert claude.asked == [refused(), asked(), asked("1"), asked("1", "2")]
    assert upstream.requests[-1].json["messages"][1]["content"][0] == {
        "type": "thinking",
        "thinking": "1",
        "signature": "SIGNED1==",
    }


def test_a_saved_config_whose_first_request_is_taken_costs_none_beside(
    claude: Claude, make: Make, hosted: Upstream
) -> None:
    agent = agent_of(make(saved(hosted), params={**THINKING, "max_tokens": 2048}), tools=[get_weather])

    said = answers(agent, "What is the weather?", "b")

    assert said == numbered(2, 3)
    assert claude.asked == [asked(), asked("1"), asked("1", "2")]


def test_several_providers_of_a_saved_config_get_what_all_of_them_take(
    gateway: Gateway, make: Make, upstream: Upstream
) -> None:
    upstream.script = claude = Claude()
    with Upstream(lambda _: openai.stream(openai.text("Hi"))) as other:
        configs = [
            {"provider": "anthropic", "api_key": "key", "custom_host": upstream.base_url},
            {"provider": "openai", "api_key": "key", "custom_host": other.base_url},
            {"provider": "anthropic", "api_key": "key", "custom_host": upstream.base_url},
        ]
        with Upstream(Hosted(gateway, *configs)) as hosted:
            agent = agent_of(make(saved(hosted), params={**THINKING, "max_tokens": 2048}))

            said = answers(agent, "a", "b", "c")

            bodies = [request.json for request in hosted.requests]
    assert said == ["Answer 1", "Hi", "Answer 2"]
    assert claude.asked == [asked(), asked()]
    assert ["content_blocks" in body["messages"][1] for body in bodies[1:]] == [True, False]
    assert bodies[2] == {
        "model": "best",
        "messages": [
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": "Answer 1"},
            {"role": "user", "content": "b"},
            {"role": "assistant", "content": "Hi"},
            {"role": "user", "content": "c"},
        ],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": 2048,
        **THINKING,
    }


def test_a_provider_in_a_literal_header_is_known_before_the_first_request(claude: Claude, make: Make) -> None:
    headers = {"x-portkey-provider": "anthropic"}
    agent = agent_of(make({"provider": None, "headers": headers}), tools=[get_weather])

    said = answers(agent, "What is the weather?")

    assert said == numbered(2)
    assert claude.asked == [asked(), asked("1")]


def test_a_config_in_a_literal_header_is_known_before_the_first_request(
    claude: Claude, make: Make, upstream: Upstream
) -> None:
    config = {"provider": "anthropic", "api_key": "key", "custom_host": upstream.base_url}
    headers = {"x-portkey-config": json.dumps(config)}
    agent = agent_of(make({"provider": None, "custom_host": None, "headers": headers}), tools=[get_weather])

    said = answers(agent, "What is the weather?")

    assert said == numbered(2)
    assert claude.asked == [asked(), asked("1")]


def test_a_saved_config_in_a_literal_header_is_learned_as_any_other(
    claude: Claude, make: Make, hosted: Upstream
) -> None:
    headers = {"x-portkey-config": "pc-x"}
    agent = agent_of(make(saved(hosted, config=None, headers=headers)), tools=[get_weather])

    said = answers(agent, "What is the weather?")

    assert said == numbered(2)
    assert claude.asked == [refused(), asked(), asked("1")]


def test_an_upstream_that_is_named_decides_whoever_answers(claude: Claude, make: Make, hosted: Upstream) -> None:
    agent = agent_of(make(saved(hosted), upstream="openai", params={**THINKING, "max_tokens": 2048}))

    said = answers(agent, "a", "b")

    assert said == numbered(1, 2)
    assert claude.asked == [asked(), asked()]


def test_an_upstream_that_is_named_is_asked_in_no_other_form(claude: Claude, make: Make, hosted: Upstream) -> None:
    agent = agent_of(make(saved(hosted), upstream="openai"))

    with pytest.raises(PortkeyAPIError, match="max_tokens: Field required"):
        agent("a")

    assert claude.asked == [refused()]


# -- histories of several models ---------------------------------------------------------------------------------------


ENVELOPE: Final = 'openai-responses:1:{"id":"rs_1","encrypted_content":"gAAAAABENVELOPE"}'
MIXED: Final[Messages] = [
    {"role": "user", "content": [{"text": "Ask Claude."}]},
    {"role": "assistant", "content": [thought("Claude thinks.", "CLAUDE=="), {"text": "Said Claude."}]},
    {"role": "user", "content": [{"text": "Ask OpenAI."}]},
    {"role": "assistant", "content": [thought("OpenAI thinks.", ENVELOPE), {"text": "Said OpenAI."}]},
    {"role": "user", "content": [{"text": "Ask Gemini."}]},
    {
        "role": "assistant",
        "content": [
            thought("Gemini thinks."),
            {
                "toolUse": {
                    "toolUseId": "callone11",
                    "name": "get_weather",
                    "input": {"city": "Paris"},
                    "reasoningSignature": "GEMINI==",
                }
            },
        ],
    },
    {
        "role": "user",
        "content": [{"toolResult": {"toolUseId": "callone11", "status": "success", "content": [{"text": "rain"}]}}],
    },
    {"role": "assistant", "content": [thought("DeepSeek thinks."), {"text": "Said DeepSeek."}]},
    {"role": "user", "content": [{"text": "And you?"}]},
]
MARKS: Final = re.compile(r"\w+ thinks\.|CLAUDE==|ENVELOPE|openai-responses|GEMINI==")


def marks_for(provider: Provider) -> list[str]:
    """Return what the upstream of a provider gets of the thoughts of all models."""
    if provider in CLAUDES:
        return ["CLAUDE==", "Claude thinks."]
    if provider in GEMINIS:
        return ["GEMINI=="]
    if provider.folder in ("deepseek", "openrouter"):  # They take the text of any model, without a signature.
        return ["DeepSeek thinks.", "Gemini thinks."]
    return []


@providers(PATHS)
@pytest.mark.parametrize("thinks", [True, False], ids=["thinking", "not thinking"])
async def test_no_upstream_gets_thoughts_that_it_would_refuse(
    make: Make,
    upstream: Upstream,
    provider: Provider,
    thinks: bool,  # noqa: FBT001
) -> None:
    known = {"type": "thinking", "thinking": "Claude thinks.", "signature": "CLAUDE=="}
    upstream.script = enforcing(provider, answering(provider), rules(provider, [[known]], ["GEMINI=="]))
    more = {key.removeprefix("x-portkey-").replace("-", "_"): value for key, value in provider.headers.items()}
    client_args = {"provider": provider.slug, "custom_host": upstream.url + PATHS[provider], **more}
    params = THINKING if thinks and provider in CLAUDES else {}
    model = make(client_args, model_id=provider.model, params=params)
    specs = [get_weather.tool_spec]

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "the (upstream|gateway) .*")
        await asyncio.wait_for(read(model, specs), 10)

    assert len(upstream.requests) == 1
    assert sorted(set(MARKS.findall(upstream.requests[0].body.decode()))) == marks_for(provider)


async def read(model: PortkeyModel, specs: list[Any]) -> None:
    async for _ in model.stream(copy.deepcopy(MIXED), specs):
        pass


# -- thoughts between tool calls ---------------------------------------------------------------------------------------


def test_thoughts_behind_a_tool_call_are_left_out_with_a_warning(make: Make, upstream: Upstream) -> None:
    upstream.script = claude = Claude(is_interleaving=True)
    agent = agent_of(make(api="chat"), tools=[get_weather])

    with pytest.warns(UserWarning, match="the model's reasoning after a tool call of the same message is left out"):
        said = answers(agent, "What is the weather?", "b")

    assert said == numbered(2, 3)
    assert [next(iter(block)) for block in agent.messages[1]["content"]] == [
        "reasoningContent",
        "toolUse",
        "reasoningContent",
        "toolUse",
    ]
    assert claude.asked == [asked(), asked("1"), asked("1", "2")]


def test_thoughts_behind_a_tool_call_go_back_on_the_protocol_that_thinking_with_tools_takes(
    make: Make, upstream: Upstream
) -> None:
    upstream.script = claude = Claude(is_interleaving=True)
    agent = agent_of(make(), tools=[get_weather])

    said = answers(agent, "What is the weather?", "b")

    assert said == numbered(2, 3)
    assert claude.asked == [asked(), asked("1", "1b"), asked("1", "1b", "2")]
