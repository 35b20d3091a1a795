"""The Messages wire through the real gateway: what goes back, what breaks off, and what a prompt cache hits."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Sequence
from typing import Any, Final

import pytest
from strands import Agent, tool
from strands.event_loop.streaming import process_stream
from strands.models.model import CacheConfig
from strands.types.content import Messages

from strands_portkey import PortkeyAPIError, PortkeyConfigError, PortkeyModel, PortkeyStreamError, ResponseMetadata
from tests_integ.enforcing import enforcing, rules
from tests_integ.gateway import Gateway
from tests_integ.record.providers import ANTHROPIC, BEDROCK, GROQ, VERTEX_CLAUDE, Provider
from tests_integ.test_fidelity import Way, providers
from tests_integ.upstream import Gate, Reply, Request, Upstream, sse_reply
from tests_integ.wires import anthropic
from tests_integ.wires.said import Counts, Said, call, text, thinking

HELLO: Final[Messages] = [{"role": "user", "content": [{"text": "Weather here and there?"}]}]
SAID: Final[list[Said]] = [
    thinking("First ", "here.", signature="ONE=="),
    text("I look."),
    call("toolu_1", "get_weather", '{"city": "Zürich"}'),
    thinking("Then there.", signature="TWO=="),
    call("toolu_2", "get_weather", '{"city": "Bern"}'),
]
NATIVE: Final[list[dict[str, Any]]] = [
    {"type": "thinking", "thinking": "First here.", "signature": "ONE=="},
    {"type": "text", "text": "I look."},
    {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Zürich"}},
    {"type": "thinking", "thinking": "Then there.", "signature": "TWO=="},
    {"type": "tool_use", "id": "toolu_2", "name": "get_weather", "input": {"city": "Bern"}},
]
SIGNED: Final = [block for block in NATIVE if block["type"] == "thinking"]
THINKING: Final = {"thinking": {"type": "enabled", "budget_tokens": 1024}}


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
def way(gateway: Gateway, upstream: Upstream) -> Way:
    return Way(gateway, upstream)


def agent_of(model: PortkeyModel, **more: Any) -> Agent:
    # Without a retry strategy, so that nobody else tries again.
    return Agent(model, **{"callback_handler": None, "retry_strategy": None, "tools": [get_weather], **more})


async def answer(model: PortkeyModel, messages: Messages = HELLO, **arguments: Any) -> Any:
    events: list[Any] = [event async for event in process_stream(model.stream(messages, **arguments))]
    return events[-1]["stop"]


def azure(gateway: Gateway, upstream: Upstream, **config: Any) -> PortkeyModel:
    """Return Claude on Azure AI, which has no wire of its own among the providers."""
    client_args: dict[str, Any] = {"base_url": gateway.base_url, "provider": "azure-ai", "Authorization": "key"}
    client_args |= {"azure_foundry_url": upstream.url, "custom_host": upstream.url}
    return PortkeyModel(client_args, model_id="claude-sonnet-4-5", api="messages", **config)


# -- what goes back ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "json"])
@providers([ANTHROPIC, VERTEX_CLAUDE])
def test_a_turn_with_thoughts_between_calls_goes_back_byte_for_byte(
    way: Way, provider: Provider, *, stream: bool
) -> None:
    say = provider.stream if stream else provider.answer
    faults = rules(provider, [SIGNED], [])
    replies = iter([say(SAID, provider.reasons["tool"], Counts()), say([text("Done.")], "end_turn", Counts())])
    way.upstream.script = enforcing(provider, lambda _: next(replies), faults)

    result = agent_of(way.model(provider, api="messages", params=THINKING, stream=stream))("Weather here and there?")

    assert str(result).strip() == "Done."
    sent = way.upstream.requests[1]
    assert json.dumps(NATIVE, ensure_ascii=False, separators=(",", ":")).encode() in sent.body
    assert sent.json["messages"][1:] == [
        {"role": "assistant", "content": NATIVE},
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": "rain in Zürich"},
                {"type": "tool_result", "tool_use_id": "toolu_2", "content": "rain in Bern"},
            ],
        },
    ]


def test_a_turn_with_thoughts_between_calls_goes_back_to_azure(gateway: Gateway, upstream: Upstream) -> None:
    upstream.reply(
        ANTHROPIC.stream(SAID, "tool_use", Counts()), ANTHROPIC.stream([text("Done.")], "end_turn", Counts())
    )

    agent_of(azure(gateway, upstream, params=THINKING))("Weather here and there?")

    assert upstream.requests[1].path.endswith("/v1/messages")
    assert upstream.requests[1].json["messages"][1] == {"role": "assistant", "content": NATIVE}


def test_bedrock_gets_a_turn_in_its_order(way: Way) -> None:
    replies = iter([BEDROCK.stream(SAID, "tool_use", Counts()), BEDROCK.stream([text("Done.")], "end_turn", Counts())])
    way.upstream.script = enforcing(BEDROCK, lambda _: next(replies), rules(BEDROCK, [SIGNED], []))

    agent_of(way.model(BEDROCK, api="messages", params=THINKING))("Weather here and there?")

    assert [list(block) for block in way.upstream.requests[1].json["messages"][1]["content"]] == [
        ["reasoningContent"],
        ["text"],
        ["toolUse"],
        ["reasoningContent"],
        ["toolUse"],
    ]


@providers([ANTHROPIC, VERTEX_CLAUDE])
def test_a_conversation_goes_on_on_the_other_protocol_and_back(way: Way, provider: Provider) -> None:
    faults = rules(provider, [[{"type": "thinking", "thinking": "Here.", "signature": "ONE=="}]], [])

    def script(request: Request) -> Reply:
        if "tool_result" in json.dumps(request.json["messages"][-1]):
            return provider.stream([text("Rain.")], "end_turn", Counts())
        call_id = f"toolu_{len(way.upstream.requests)}"
        turn: list[Said] = [thinking("Here.", signature="ONE=="), call(call_id, "get_weather", '{"city": "Bern"}')]
        return provider.stream(turn, "tool_use", Counts())

    way.upstream.script = enforcing(provider, script, faults)
    messages: Messages = []
    for api in ("chat", "messages", "chat", "messages"):
        agent = agent_of(way.model(provider, api=api, params=THINKING), messages=messages)
        assert str(agent(f"Weather by {api}?")).strip() == "Rain."
        messages = agent.messages

    assert len(way.upstream.requests) == 8


def test_results_keep_their_errors_and_media(way: Way) -> None:
    way.upstream.script = enforcing(ANTHROPIC, lambda _: ANTHROPIC.stream([text("Done.")], "end_turn", Counts()))
    pdf: Any = {"document": {"format": "pdf", "name": "report", "source": {"bytes": b"%PDF"}}}
    csv: Any = {"document": {"format": "csv", "name": "rain", "source": {"bytes": b"1,2"}}}
    conversation: Messages = [
        *HELLO,
        {"role": "assistant", "content": [{"toolUse": {"toolUseId": "t1", "name": "get_weather", "input": {}}}]},
        {
            "role": "user",
            "content": [
                {"text": "Also:"},
                {"toolResult": {"toolUseId": "t1", "status": "error", "content": [{"text": "no"}, pdf, csv]}},
            ],
        },
    ]

    asyncio.run(answer(way.model(ANTHROPIC, api="messages"), conversation))

    result, also = way.upstream.requests[0].json["messages"][2]["content"]
    assert (result["is_error"], [block["type"] for block in result["content"]]) == (
        True,
        ["text", "document", "document"],
    )
    assert [block.get("title") for block in result["content"]] == [None, "report", "rain"]
    assert also == {"type": "text", "text": "Also:"}


@pytest.mark.parametrize("targets", [False, True], ids=["provider", "targets"])
@pytest.mark.parametrize(
    ("provider", "read"),
    [
        pytest.param(ANTHROPIC, lambda request: request.header("anthropic-beta"), id="anthropic"),
        pytest.param(
            BEDROCK, lambda request: request.json["additionalModelRequestFields"]["anthropic_beta"], id="bedrock"
        ),
    ],
)
def test_betas_reach_each_upstream(way: Way, provider: Provider, read: Any, *, targets: bool) -> None:
    way.upstream.script = lambda _: provider.stream([text("Hi")], "end_turn", Counts())
    model = way.model(provider, api="messages", params={"anthropic_beta": "a-1,b-2"})
    if targets:
        target = {name: value for name, value in model._routing.items() if name != "Authorization"} | {"api_key": "key"}
        model._routing = {"config": {"strategy": {"mode": "fallback"}, "targets": [target]}}

    asyncio.run(answer(model))

    assert read(way.upstream.requests[0]) in ("a-1,b-2", ["a-1", "b-2"])


# -- what comes back ---------------------------------------------------------------------------------------------------


def test_a_paused_turn_goes_on(way: Way) -> None:
    search: Any = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}
    found: Any = {
        "type": "web_search_tool_result",
        "tool_use_id": "srvtoolu_1",
        "content": [{"encrypted_content": "E"}],
    }
    query = {"type": "input_json_delta", "partial_json": '{"query": "x"}'}
    blocks = [anthropic.text("I search."), anthropic.Block(search, query), anthropic.Block(found)]
    way.upstream.reply(
        anthropic.stream(*blocks, stop_reason="pause_turn"), anthropic.stream(anthropic.text("It rains."))
    )

    stop_reason, message, *_ = asyncio.run(answer(way.model(ANTHROPIC, api="messages")))

    assert (stop_reason, message["content"]) == ("end_turn", [{"text": "I search."}, {"text": "It rains."}])
    assert way.upstream.requests[1].json["messages"][-1] == {
        "role": "assistant",
        "content": [{"type": "text", "text": "I search."}, {**search, "input": {"query": "x"}}, found],
    }


def test_thinking_without_words_comes_from_bedrock_and_goes_back(way: Way) -> None:
    turn: list[Said] = [thinking(signature="ONE=="), call("toolu_1", "get_weather", '{"city": "Bern"}')]
    way.upstream.reply(
        BEDROCK.stream(turn, "tool_use", Counts()), BEDROCK.stream([text("Done.")], "end_turn", Counts())
    )

    agent = agent_of(way.model(BEDROCK, api="messages"))
    agent("Weather?")

    assert agent.messages[1]["content"][0] == {
        "reasoningContent": {"reasoningText": {"text": "", "signature": "ONE=="}}
    }
    assert way.upstream.requests[1].json["messages"][1]["content"][0] == {
        "reasoningContent": {"reasoningText": {"text": "", "signature": "ONE=="}}
    }


def test_an_answer_that_is_cut_anywhere_before_its_stop_reason_raises_and_calls_nothing(way: Way) -> None:
    pieces = ANTHROPIC.stream(SAID, "tool_use", Counts()).pieces
    whole = b"".join(piece for piece in pieces if isinstance(piece, bytes))
    end = whole.index(b"event: message_delta")
    model = way.model(ANTHROPIC, api="messages")
    way.upstream.script = lambda request: sse_reply([whole[: int(request.json["messages"][0]["content"][0]["text"])]])

    async def outcome(cut: int) -> str:
        question: Messages = [{"role": "user", "content": [{"text": str(cut)}]}]
        try:
            stop_reason, *_ = await answer(model, question, invocation_state={"portkey": {"max_retries": 0}})
        except (PortkeyStreamError, PortkeyAPIError):
            return "raised"
        return str(stop_reason)

    async def outcomes(cuts: range) -> list[str]:
        found: list[str] = []
        for start in range(0, len(cuts), 10):  # With many more a slow machine lets connections wait until they expire.
            found += await asyncio.gather(*map(outcome, cuts[start : start + 10]))
        return found

    before, after = asyncio.run(outcomes(range(0, end, 5))), asyncio.run(outcomes(range(end, len(whole))))

    assert set(before) == {"raised"}
    assert after == ["raised"] * after.count("raised") + ["tool_use"] * after.count("tool_use")
    assert after.count("tool_use") > 0


def test_a_call_that_is_cancelled_ends(way: Way) -> None:
    gate = Gate()
    way.upstream.reply(anthropic.stream(anthropic.text("a", gate)))
    signal = threading.Event()

    async def run() -> list[Any]:
        events = []
        async for event in way.model(ANTHROPIC, api="messages").stream(HELLO, cancel_signal=signal):
            events.append(event)
            if "contentBlockDelta" in event:
                signal.set()
        return events

    events = asyncio.run(run())

    assert [next(iter(event)) for event in events] == ["messageStart", "contentBlockStart", "contentBlockDelta"]


@pytest.mark.parametrize(
    ("kind", "status", "retryable"),
    [("overloaded_error", 529, True), ("rate_limit_error", 429, True), ("authentication_error", 401, False)],
)
def test_an_error_of_the_upstream_is_judged(way: Way, kind: str, status: int, *, retryable: bool) -> None:
    way.upstream.script = lambda _: anthropic.error(status, kind, "Because.")

    with pytest.raises(PortkeyAPIError) as caught:
        asyncio.run(answer(way.model(ANTHROPIC, api="messages"), invocation_state={"portkey": {"max_retries": 0}}))

    assert (caught.value.provider, caught.value.status_code, caught.value.type) == ("anthropic", status, kind)
    assert caught.value.retryable is retryable


def test_a_provider_without_this_protocol_is_named_before_anything_is_sent(way: Way) -> None:
    with pytest.raises(PortkeyConfigError, match=r"got groq\n.*set api='chat'"):
        asyncio.run(answer(way.model(GROQ, api="messages")))

    assert way.upstream.requests == []


@pytest.mark.parametrize("params", [THINKING, {}], ids=["thinks", "does not"])
def test_the_protocol_that_is_taken_by_itself_is_reported(way: Way, params: Any) -> None:
    way.upstream.script = lambda _: ANTHROPIC.stream([text("Hi")], "end_turn", Counts())
    reported: list[ResponseMetadata] = []
    model = way.model(ANTHROPIC, params=params)
    model._on_response = reported.append

    agent_of(model)("Hi")

    assert [each.api for each in reported] == ["messages" if params else "chat"]


# -- guardrails --------------------------------------------------------------------------------------------------------


def guarded(way: Way, **hooks: Any) -> PortkeyModel:
    """Return a model whose config has guardrails."""
    target = {"provider": "anthropic", "api_key": "key", "custom_host": way.upstream.base_url, **hooks}
    client_args: dict[str, Any] = {"base_url": way.gateway.base_url, "config": target}
    return PortkeyModel(
        client_args, model_id="claude-sonnet-4-5", api="messages", stream="output_guardrails" not in hooks
    )


def guard(*words: str, deny: bool) -> dict[str, Any]:
    return {"default.contains": {"operator": "none", "words": list(words)}, "deny": deny}


@pytest.mark.parametrize(
    ("hooks", "stop_reason", "asked"),
    [
        pytest.param(
            {"input_guardrails": [guard("Weather", deny=True)]}, "guardrail_intervened", 0, id="input, denied"
        ),
        pytest.param({"input_guardrails": [guard("Weather", deny=False)]}, "end_turn", 1, id="input, noted"),
        pytest.param(
            {"output_guardrails": [guard("rains", deny=True)]}, "guardrail_intervened", 1, id="output, denied"
        ),
    ],
)
def test_guardrails_run_as_on_chat_completions(way: Way, hooks: Any, stop_reason: str, asked: int) -> None:
    way.upstream.script = lambda request: (
        anthropic.stream(anthropic.text("It rains."))
        if request.json.get("stream")
        else anthropic.answer({"type": "text", "text": "It rains."})
    )
    reported: list[ResponseMetadata] = []
    model = guarded(way, **hooks)
    model._on_response = reported.append

    found, *_ = asyncio.run(answer(model))

    assert (found, len(way.upstream.requests)) == (stop_reason, asked)
    assert json.dumps(reported[0].hook_results).count('"verdict": false') > 0


# -- prompt caches -----------------------------------------------------------------------------------------------------


class Cache:
    """An upstream that caches as Anthropic does: what stands before a mark, found again by any later mark behind it.

    Attributes:
        hits: Of each request, how many blocks were read from the cache, and how many there were.
    """

    def __init__(self) -> None:
        self.hits: list[tuple[int, int]] = []
        self._written: set[str] = set()

    def __call__(self, request: Request) -> Reply:
        blocks, marks = _flat(request.json)
        read = max((end for end in range(1, len(blocks) + 1) if _key(blocks[:end]) in self._written), default=0)
        self._written |= {_key(blocks[:end]) for end in marks}
        self.hits.append((read, len(blocks)))
        usage = {"input_tokens": 1, "output_tokens": 1, "cache_read_input_tokens": read}
        return anthropic.stream(anthropic.text(f"Answer {len(self.hits)}"), usage=usage)


def _flat(body: Any) -> tuple[list[Any], list[int]]:
    """Return tools, system and messages block by block, and where a mark stands behind one."""
    blocks: list[Any] = [*body.get("tools", []), *body.get("system", [])]
    for message in body["messages"]:
        content = message["content"]
        texts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        blocks += [{"role": message["role"], **block} for block in texts]
    bare = [{name: value for name, value in block.items() if name != "cache_control"} for block in blocks]
    return bare, [number for number, block in enumerate(blocks, 1) if "cache_control" in block]


def _key(blocks: Sequence[Any]) -> str:
    return json.dumps(blocks)


def test_each_turn_of_a_cached_conversation_reads_all_that_the_turn_before_has_sent(way: Way) -> None:
    way.upstream.script = cache = Cache()
    config = CacheConfig(strategy="auto", tools_ttl=True)
    agent = agent_of(way.model(ANTHROPIC, api="messages", cache_config=config), system_prompt="Be brief.")

    for number in range(10):
        agent(f"Question {number}")

    sent = [blocks for _, blocks in cache.hits]
    assert sent == [3 + 2 * number for number in range(10)]
    assert [read for read, _ in cache.hits] == [0, *sent[:-1]]
    assert agent.event_loop_metrics.accumulated_usage["cacheReadInputTokens"] == sum(sent[:-1])
