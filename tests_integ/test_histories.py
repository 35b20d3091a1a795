"""Whatever history a conversation has: its upstream takes the request, or it is refused before anything is sent.

`pytest tests_integ/test_histories.py --hypothesis-profile long` tries 20,000 histories of each provider.
"""

from __future__ import annotations

import asyncio
import warnings
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from strands.models.model import CacheConfig

from strands_portkey import PortkeyConfigError, PortkeyModel
from tests_integ.enforcing import enforcing
from tests_integ.enforcing.responses import faults
from tests_integ.gateway import Gateway
from tests_integ.record.providers import ANTHROPIC, BEDROCK, OPENAI, VERTEX_CLAUDE, Provider
from tests_integ.test_fidelity import PATHS, TOOLS, Way, answering, providers
from tests_integ.upstream import Reply, Request, Upstream
from tests_integ.wires import responses

texts = st.sampled_from(["", " ", "\n", "Hello", "Zürich \u2028", "\U0001f600", "x" * 300])
names = st.sampled_from(["get_weather", "get_time", "gone", "no.such tool", "", "t" * 80])
call_ids = st.sampled_from(["c1", "c2", "callone11", "functions.get_time:0", "x" * 70, "tooluse_é", ""])
inputs: st.SearchStrategy[Any] = st.sampled_from([{}, {"city": "Zürich"}, {"city": None}, ["x"], "x", 5, None, "{}"])
points = st.just({"cachePoint": {"type": "default"}})
images = st.builds(
    lambda kind, source: {"image": {"format": kind, "source": source}},
    st.sampled_from(["png", "jpeg", "gif", "webp"]),
    st.sampled_from([{"bytes": b"\x89PNG"}, {"bytes": b""}, {"location": {"type": "s3", "uri": "s3://b/k"}}]),
)
documents = st.builds(
    lambda kind, name, content: {"document": {"format": kind, "name": name, "source": {"bytes": content}}},
    st.sampled_from(["pdf", "txt", "csv", "md", "html", "docx"]),
    st.sampled_from(["report v1.2", "", "ä/ö"]),
    st.sampled_from([b"%PDF-1.7", b"a,b", b"", b"\xff\xfe"]),
)
videos = st.just({"video": {"format": "mp4", "source": {"bytes": b"mp4"}}})
words = st.builds(lambda text: {"text": text}, texts)
thoughts = st.builds(
    lambda thought: {"reasoningContent": thought},
    st.one_of(
        st.builds(lambda text: {"reasoningText": {"text": text}}, texts),
        st.builds(lambda text: {"reasoningText": {"text": text, "signature": "FOREIGN=="}}, texts),
        st.just({"redactedContent": b"FOREIGN=="}),
    ),
)
cited = st.builds(
    lambda text: {"citationsContent": {"content": [{"text": text}], "citations": [{"title": "T"}]}},
    texts,
)
calls = st.builds(
    lambda call_id, name, given: {"toolUse": {"toolUseId": call_id, "name": name, "input": given}},
    call_ids,
    names,
    inputs,
)
results = st.builds(
    lambda call_id, status, content: {"toolResult": {"toolUseId": call_id, "status": status, "content": content}},
    call_ids,
    st.sampled_from(["success", "error"]),
    st.lists(st.one_of(words, st.just({"json": {"a": [1, None]}}), images, documents), max_size=3),
)
asked = st.builds(
    lambda blocks: {"role": "user", "content": blocks},
    st.lists(st.one_of(words, words, results, results, points, images, documents, videos), max_size=4),
)
said = st.builds(
    lambda blocks: {"role": "assistant", "content": blocks},
    st.lists(st.one_of(words, words, calls, calls, thoughts, points, cited), max_size=4),
)
turns = st.builds(  # Calls and their results, as an agent makes them, so that not every history is a ruin.
    lambda ids, before, content: [
        {
            "role": "assistant",
            "content": [
                *before,
                *({"toolUse": {"toolUseId": each, "name": "get_weather", "input": {}}} for each in ids),
            ],
        },
        {
            "role": "user",
            "content": [
                {"toolResult": {"toolUseId": each, "status": "success", "content": content}} for each in reversed(ids)
            ],
        },
    ],
    st.lists(call_ids.filter(bool), min_size=1, max_size=3, unique=True),
    st.lists(st.one_of(words, thoughts), max_size=2),
    st.lists(st.one_of(words, images), max_size=2),
)
histories = st.builds(
    lambda parts, last: [*(message for part in parts for message in part), last],
    st.lists(st.one_of(turns, turns, st.lists(st.one_of(asked, said), min_size=1, max_size=2)), max_size=3),
    asked,
)
configs: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {}, optional={"cache_config": st.just(CacheConfig(strategy="auto", tools_ttl="1h"))}
)
systems = st.lists(st.one_of(words, points), max_size=3)
tools = st.sampled_from([None, TOOLS])
histories_of = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@pytest.fixture
def way(gateway: Gateway, upstream: Upstream) -> Way:
    return Way(gateway, upstream)


def send(model: PortkeyModel, messages: Any, specs: Any, system: Any) -> bool:
    """Send a conversation, and return whether it could be."""

    async def ask() -> None:
        async for _ in model.stream(messages, specs, system_prompt_content=system):
            pass

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # What is lost is tested elsewhere.
        try:
            asyncio.run(ask())
        except PortkeyConfigError:
            return False
    return True


@histories_of
@given(messages=histories, config=configs, specs=tools, system=systems)
@providers(PATHS)
def test_chat_completions(way: Way, provider: Provider, messages: Any, config: dict[str, Any], **more: Any) -> None:
    check(way, provider, messages, **more, **config)


@histories_of
@given(messages=histories, config=configs, specs=tools, system=systems)
@providers([ANTHROPIC, VERTEX_CLAUDE, BEDROCK])
def test_messages(way: Way, provider: Provider, messages: Any, config: dict[str, Any], **more: Any) -> None:
    check(way, provider, messages, api="messages", **more, **config)


@histories_of
@given(messages=histories, config=configs, specs=tools, system=systems)
def test_responses(way: Way, messages: Any, config: dict[str, Any], specs: Any, system: Any) -> None:
    def script(request: Request) -> Reply:
        if fault := next(faults(request.json, {}), None):
            return responses.error(400, fault[0], code=fault[1])
        return responses.stream(responses.message("Done."))

    way.upstream.script = script
    model = way.model(OPENAI, model_id="gpt-5.6", api="responses", **config)
    before = len(way.upstream.requests)
    was_sent = send(model, messages, specs, system)
    assert len(way.upstream.requests) - before == was_sent


def check(way: Way, provider: Provider, messages: Any, specs: Any, system: Any, **config: Any) -> None:
    """Send a conversation to an upstream that enforces its rules: only a foreign thought may be refused, once."""
    # Claude refuses more than four cache points, those that `cache_config` adds among them; a caller must place fewer.
    own = str([*system, *([] if config.get("cache_config") else messages)]).count("cachePoint")
    assume(own <= (2 if config.get("cache_config") else 4))
    way.upstream.script = enforcing(provider, answering(provider))
    before = len(way.upstream.requests)
    was_sent = send(way.model(provider, **config), messages, specs, system)
    requests = len(way.upstream.requests) - before
    assert requests <= 1 + ("FOREIGN" in str(messages))
    assert was_sent or requests == 0
