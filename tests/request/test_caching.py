"""Cache points and `CacheConfig` become cache marks or a cache key, each where the upstream has it."""

from __future__ import annotations

import copy
import warnings
from dataclasses import dataclass
from typing import Literal

import pytest
from strands.models.model import CacheConfig

from strands_portkey._request.caching import Caching
from strands_portkey._wires.chat.dialects import DIALECTS


@dataclass
class Settings(CacheConfig):
    """Today's `CacheConfig`; that of the lowest Strands has a strategy and a ttl alone."""

    system_prompt_ttl: bool | str = True
    cache_key: str | Literal[False] | None = None
    tools_ttl: bool | str | None = None


POINT = {"cachePoint": {"type": "default"}}
LONG = {"cachePoint": {"type": "default", "ttl": "1h"}}


def caching(dialect="anthropic", config=None, session_id=None):
    return Caching(config, DIALECTS[dialect].caching, dialect, session_id=session_id)


def contents(given, messages, trailing):
    return [given.content(messages, index, trailing) for index in range(len(messages))]


def user(*content):
    return {"role": "user", "content": list(content)}


def assistant(*content):
    return {"role": "assistant", "content": list(content)}


A, B, C = {"text": "a"}, {"text": "b"}, {"text": "c"}


@pytest.mark.parametrize(
    ("messages", "trailing", "blocks"),
    [
        pytest.param([user(A)], 0, [[A, POINT]], id="at the end of the user's last"),
        pytest.param([user(A), assistant(B)], 0, [[A, POINT], [B]], id="the user's last is not the last"),
        pytest.param([user(A), user(B, C)], 1, [[A], [B, POINT, C]], id="ahead of what changes with every call"),
        pytest.param([user(A)], 1, [[A]], id="all of it changes with every call"),
        pytest.param([user(A, LONG, B)], 0, [[A, LONG, B]], id="one is there"),
        pytest.param([user(A, LONG, B, POINT)], 0, [[A, LONG, B]], id="two are there"),
        pytest.param([user(POINT, A)], 0, [[A, POINT]], id="one is there with nothing ahead"),
        pytest.param(
            [user(A, POINT), assistant(B, POINT), user(C)], 0, [[A], [B], [C, POINT]], id="those of earlier turns go"
        ),
        pytest.param([user(A), user(POINT)], 0, [[A, POINT], []], id="a message of nothing but a point"),
        pytest.param([user(A), user(B), assistant(C)], 0, [[A], [B, POINT], [C]], id="the user's two last in a row"),
        pytest.param([assistant(A, POINT)], 0, [[A]], id="no user"),
    ],
)
def test_a_cache_config_puts_one_point_into_the_messages(messages, trailing, blocks):
    before = copy.deepcopy(messages)

    assert contents(caching(config=Settings()), messages, trailing) == blocks
    assert messages == before


@pytest.mark.parametrize("given", [caching(), caching("openai", Settings()), caching("gemini", Settings())])
def test_without_a_config_or_marks_messages_stay_as_they_are(given):
    messages = [user(A, POINT), assistant(B, POINT), user(C)]

    assert contents(given, messages, 0) == [[A, POINT], [B, POINT], [C]]


@pytest.mark.parametrize(
    ("config", "blocks", "expected"),
    [
        pytest.param(Settings(), [A], [A, POINT], id="True, the default"),
        pytest.param(CacheConfig(), [A], [A, POINT], id="the default, which the lowest Strands has not"),
        pytest.param(Settings(system_prompt_ttl="1h"), [A], [A, LONG], id="a time of its own"),
        pytest.param(Settings(system_prompt_ttl=False), [A], [A], id="False"),
        pytest.param(Settings(), [A, POINT, B], [A, POINT, B], id="a point is there"),
        pytest.param(Settings(), [], [], id="no system prompt"),
        pytest.param(None, [A], [A], id="no config"),
    ],
)
def test_the_system_prompt_ends_with_a_point(config, blocks, expected):
    assert caching(config=config).system_blocks(blocks) == expected


@pytest.mark.parametrize(
    ("config", "control"),
    [
        (None, None),
        (Settings(), None),
        (Settings(tools_ttl=False, ttl="1h"), None),
        (Settings(tools_ttl=True), {"type": "ephemeral"}),
        (Settings(tools_ttl=True, ttl="1h"), {"type": "ephemeral", "ttl": "1h"}),
        (Settings(tools_ttl="5m", ttl="1h"), {"type": "ephemeral", "ttl": "5m"}),
    ],
    ids=repr,
)
def test_the_tools_are_marked_where_they_are_to_be(config, control):
    assert caching(config=config).tools_control() == control


def test_a_mark_of_the_tools_keeps_its_time_where_only_marks_that_are_passed_on_lose_it():
    given = Caching(Settings(tools_ttl="1h"), "cache_control", "bedrock", verbatim_ttl=False)

    assert given.tools_control() == {"type": "ephemeral", "ttl": "1h"}
    assert given.control("1h", verbatim=True) == {"type": "ephemeral"}


@pytest.mark.parametrize(
    ("given", "ttl", "control"),
    [
        pytest.param(caching(), None, {"type": "ephemeral"}, id="plain"),
        pytest.param(caching(), "1h", {"type": "ephemeral", "ttl": "1h"}, id="the point's ttl"),
        pytest.param(
            caching(config=Settings(ttl="5m")), None, {"type": "ephemeral", "ttl": "5m"}, id="the config's ttl"
        ),
        pytest.param(
            caching(config=Settings(ttl="5m")), "1h", {"type": "ephemeral", "ttl": "1h"}, id="the point's goes first"
        ),
        pytest.param(caching("openai"), "1h", None, id="openai caches by a key"),
        pytest.param(caching("gemini"), None, None, id="gemini caches by itself"),
        pytest.param(
            caching("openai", Settings(strategy="anthropic")), None, {"type": "ephemeral"}, id="strategy anthropic"
        ),
    ],
)
def test_a_cache_point_becomes_a_mark(given, ttl, control):
    assert given.control(ttl) == control


@pytest.mark.parametrize(
    ("given", "params"),
    [
        pytest.param(caching("openai"), {}, id="no config"),
        pytest.param(caching("openai", None, "s1"), {}, id="no config, but a session"),
        pytest.param(caching("openai", Settings()), {}, id="no session"),
        pytest.param(caching("openai", Settings(), "s1"), {"prompt_cache_key": "strands-s1"}, id="the session's"),
        pytest.param(caching("openai", Settings(cache_key="k"), "s1"), {"prompt_cache_key": "k"}, id="one's own"),
        pytest.param(caching("openai", Settings(cache_key=False), "s1"), {}, id="switched off"),
        pytest.param(caching("openai", Settings(cache_key=""), "s1"), {}, id="a blank one"),
        pytest.param(caching("openai", Settings(ttl="24h")), {"prompt_cache_retention": "24h"}, id="retention"),
        pytest.param(caching("anthropic", Settings(cache_key="k"), "s1"), {}, id="anthropic has no key"),
        pytest.param(caching("gemini", Settings(cache_key="k"), "s1"), {}, id="gemini has no key"),
        pytest.param(caching("openai", Settings(strategy="anthropic"), "s1"), {}, id="strategy anthropic"),
    ],
)
def test_a_cache_config_becomes_openais_key(given, params):
    assert given.params() == params


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        pytest.param(
            lambda: caching("ollama").control(None),
            "the upstream 'ollama' takes no cache points; they have no effect",
            id="a point",
        ),
        pytest.param(
            lambda: caching("ollama", Settings()).params(),
            "the upstream 'ollama' takes no cache points; cache_config has no effect",
            id="a config",
        ),
        pytest.param(
            lambda: caching("openai", Settings(ttl="1h")).params(),
            "cache_config.ttl must be 'in_memory' or '24h' for OpenAI; got '1h', which has no effect",
            id="OpenAI's ttl",
        ),
    ],
)
def test_a_cache_setting_without_effect_warns_once(ask, message):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for _ in range(3):
            ask()

    assert [str(warning.message) for warning in caught] == [message]


def test_the_cache_config_of_the_oldest_supported_strands_is_accepted():
    @dataclass
    class Lowest(CacheConfig):
        def __post_init__(self) -> None:
            for name in ("ttl", "system_prompt_ttl", "cache_key", "tools_ttl"):
                vars(self).pop(name, None)

    given = caching("anthropic", Lowest())

    assert given.system_blocks([A]) == [A, POINT]
    assert given.control(None) == {"type": "ephemeral"}
    assert given.tools_control() is None
