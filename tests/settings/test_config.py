"""Settings: what is wrong is found before anything is sent, and no message shows a secret."""

from __future__ import annotations

import logging
import math
import re
import ssl
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strands.models.model import CacheConfig

import strands_portkey
from strands_portkey import PortkeyConfigError, PortkeyModel
from strands_portkey._settings.checks import check_model_config
from strands_portkey._settings.config import HOSTED_BASE_URL, LOCAL_BASE_URL
from strands_portkey._settings.endpoint import ENDPOINT_KEYS, Clocks, Endpoint, split_client_args, to_base_url
from strands_portkey._settings.names import to_setting

STANDARD = Endpoint(
    base_url=LOCAL_BASE_URL,
    clocks=Clocks(connect=10.0, first_byte=600.0, idle=300.0, total=None),
    verify=True,
    cert=None,
    proxy=None,
    trust_env=True,
    http2=False,
    max_event_bytes=16 * 2**20,
    max_retries=2,
)
TLS = ssl.create_default_context()
KEY = "sk-proj-Qw7Zx81LmNpRt55KjHgFd"
PACKAGE = str(Path(strands_portkey.__file__).parent)


def test_without_settings_the_local_gateway_is_meant():
    assert split_client_args({}) == (STANDARD, {})


def test_settings_of_the_connection_are_separated_from_routing():
    client_args = {
        "base_url": "https://gateway.example/portkey/",
        "timeout": {"connect": 1, "total": 9.5},
        "verify": TLS,
        "cert": ("cert.pem", "key.pem"),
        "proxy": "http://user:secret@proxy:3128",
        "trust_env": False,
        "http2": True,
        "max_event_bytes": 10,
        "max_retries": 5,
        "provider": "openai",
        "Authorization": "sk-1",
        "trace-id": None,
    }

    assert split_client_args(MappingProxyType(client_args)) == (
        Endpoint(
            base_url="https://gateway.example/portkey/v1",
            clocks=Clocks(connect=1.0, first_byte=600.0, idle=300.0, total=9.5),
            verify=TLS,
            cert=("cert.pem", "key.pem"),
            proxy="http://user:secret@proxy:3128",
            trust_env=False,
            http2=True,
            max_event_bytes=10,
            max_retries=5,
        ),
        {"provider": "openai", "authorization": "sk-1", "trace_id": None},
    )


@pytest.mark.parametrize("key", ["trace_id", "trace-id", "Trace-Id", "x-portkey-trace-id", "X_PORTKEY_TRACE_ID"])
def test_case_and_dashes_and_prefix_make_no_difference_in_a_key(key):
    assert to_setting(key) == "trace_id"


SDK = "without ['extra_body', 'extra_headers', 'extra_query', 'timeout'], which only the OpenAI SDK supports"


@pytest.mark.parametrize(
    ("client_args", "complaint"),
    [
        ("abc", "client_args must be a mapping of settings; got str"),
        ({1: 2}, "client_args must have names of settings; got one of type int"),
        (
            {"stream": False, "provider": "openai"},
            "client_args must not hold 'stream'\nHint: give it as PortkeyModel\\(stream=...\\)",
        ),
        (
            {"organization": "sk-secret"},
            "client_args must not hold arguments of the OpenAI SDK or Portkey's; got 'organization'",
        ),
    ],
    ids=["no mapping", "no name", "the model's", "the OpenAI SDK's"],
)
def test_what_does_not_belong_into_client_args_raises(client_args, complaint):
    with pytest.raises(PortkeyConfigError, match=complaint):
        split_client_args(client_args)


def test_a_setting_given_twice_raises():
    with pytest.raises(
        PortkeyConfigError, match="must hold each setting once; got 'api_key' twice, also as 'x-portkey-api-key'"
    ):
        split_client_args({"api_key": "a", "x-portkey-api-key": "b"})


@pytest.mark.parametrize(
    ("environment", "client_args", "base_url", "routing"),
    [
        pytest.param({"PORTKEY_API_KEY": "pk"}, {}, HOSTED_BASE_URL, {"api_key": "pk"}, id="key"),
        pytest.param({"PORTKEY_API_KEY": " \n"}, {}, LOCAL_BASE_URL, {}, id="blank key"),
        pytest.param(
            {"PORTKEY_API_KEY": "pk"}, {"Api-Key": "mine"}, HOSTED_BASE_URL, {"api_key": "mine"}, id="key given as well"
        ),
        pytest.param(
            {"PORTKEY_API_KEY": "pk"}, {"api_key": None}, LOCAL_BASE_URL, {"api_key": None}, id="key declined"
        ),
        pytest.param({}, {"api_key": " "}, LOCAL_BASE_URL, {"api_key": " "}, id="blank key given"),
        pytest.param({"PORTKEY_BASE_URL": "http://gw:1"}, {}, "http://gw:1/v1", {}, id="url"),
        pytest.param({"PORTKEY_BASE_URL": "\t"}, {}, LOCAL_BASE_URL, {}, id="blank url"),
        pytest.param({"PORTKEY_GATEWAY_URL": "http://gw:2"}, {}, "http://gw:2/v1", {}, id="the other url"),
        pytest.param(
            {"PORTKEY_BASE_URL": "http://gw:1", "PORTKEY_GATEWAY_URL": "http://gw:1/v1/"},
            *({}, "http://gw:1/v1", {}),
            id="both urls alike",
        ),
        pytest.param(
            {"PORTKEY_BASE_URL": "http://gw:1"},
            {"base_url": "http://my:2"},
            "http://my:2/v1",
            {},
            id="url given as well",
        ),
        pytest.param(
            {"PORTKEY_BASE_URL": "http://gw:1", "PORTKEY_API_KEY": "pk"},
            {"base_url": None},
            "http://gw:1/v1",
            {"api_key": "pk"},
            id="both",
        ),
    ],
)
def test_the_environment_fills_in_what_is_not_given(monkeypatch, environment, client_args, base_url, routing):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    endpoint, given_routing = split_client_args(client_args)

    assert (endpoint.base_url, given_routing) == (base_url, routing)


def test_a_function_for_the_key_means_the_hosted_gateway():
    assert split_client_args({"api_key": lambda: "pk"})[0].base_url == HOSTED_BASE_URL


@pytest.mark.parametrize(
    ("url", "base_url"),
    [
        ("http://localhost:8787", "http://localhost:8787/v1"),
        ("http://localhost:8787/", "http://localhost:8787/v1"),
        ("http://localhost:8787/v1", "http://localhost:8787/v1"),
        ("http://localhost:8787/v1/", "http://localhost:8787/v1"),
        ("HTTPS://gateway.example", "https://gateway.example/v1"),
        ("https://gateway.example/llm/v1", "https://gateway.example/llm/v1"),
        ("https://gateway.example/rev1", "https://gateway.example/rev1/v1"),
        ("https://gateway.example/@team", "https://gateway.example/@team/v1"),
        ("http://[::1]:8787/v1", "http://[::1]:8787/v1"),
        (" http://localhost:8787\n", "http://localhost:8787/v1"),
    ],
)
def test_a_base_url_may_be_written_in_several_ways(url, base_url):
    assert to_base_url(url) == base_url


@given(st.from_regex(r"https?://[a-z.]{1,9}(:[0-9]{1,4})?(/[a-z0-9/]{0,12})?/?", fullmatch=True))
def test_a_base_url_once_read_stays_as_it_is(url):
    base_url = to_base_url(url)

    assert to_base_url(base_url) == base_url


@pytest.mark.parametrize(
    "url",
    [
        "",
        " ",
        "localhost:8787",
        "gateway.example",
        "ftp://gateway.example",
        "http://",
        "http:///v1",
        "http://host:port",
        "http://host:99999",
        "http://[::1",
        "http://a b",
        "http://a/b\nc",
        "https://api.portkey.ai/v1/chat/completions",
    ],
)
def test_what_is_no_url_of_a_gateway_raises_without_being_quoted(url):
    with pytest.raises(PortkeyConfigError) as caught:
        split_client_args({"base_url": url})

    assert str(caught.value) == (
        "client_args['base_url'] must be the gateway's http(s) URL, such as 'http://localhost:8787/v1'"
        "; got another text"
    )


@pytest.mark.parametrize(
    "url",
    [
        "http://user:secret@host",
        "http://:secret@host",
        "http://secret@host",
        "user:secret@host",
        "http:/user:secret@host",
        "http://user:secret@host:port",
        "http://user:secret?@host",
        "http://[user:secret@host",
        "http://user:secret/@host",
        "http://host/v1?key=secret",
        "http://host/v1#secret",
    ],
)
def test_a_base_url_with_a_secret_raises_without_quoting_it(url):
    with pytest.raises(PortkeyConfigError, match=r"^client_args\['base_url'\]") as caught:
        split_client_args({"base_url": url})

    assert "secret" not in str(caught.value)
    assert ("Hint: credentials belong in api_key or Authorization" in str(caught.value)) == ("@" in url)


@pytest.mark.parametrize(
    ("timeout", "clocks"),
    [
        pytest.param(None, Clocks(None, None, None, None, None), id="None"),
        pytest.param(5, Clocks(5.0, 5.0, 5.0, 600.0, None), id="int"),
        pytest.param(0.5, Clocks(0.5, 0.5, 0.5, 600.0, None), id="float"),
        pytest.param(3600, Clocks(3600.0, 3600.0, 3600.0, 3600.0, None), id="longer than the default of stall"),
        pytest.param({}, Clocks(), id="no clock"),
        pytest.param({"idle": None, "total": 60}, Clocks(10.0, 600.0, None, None, 60.0), id="Timeouts"),
        pytest.param({"idle": 900}, Clocks(10.0, 600.0, 900.0, 900.0, None), id="a longer silence"),
        pytest.param({"idle": 900, "stall": 30}, Clocks(10.0, 600.0, 900.0, 30.0, None), id="stall"),
        pytest.param({"stall": None}, Clocks(10.0, 600.0, 300.0, None, None), id="no stall"),
        pytest.param(httpx.Timeout(3, connect=1), Clocks(1, 3, 3, 600, None), id="httpx.Timeout"),
        pytest.param(httpx.Timeout(None), Clocks(None, None, None, None, None), id="httpx.Timeout(None)"),
    ],
)
def test_a_timeout_has_several_forms(timeout, clocks):
    assert split_client_args({"timeout": timeout})[0].clocks == clocks


@pytest.mark.parametrize(
    "timeout",
    [
        -1,
        math.nan,
        math.inf,
        True,
        "5",
        {"idle": -1},
        {"idle": math.nan},
        {"total": True},
        {"read": 5},
        (1, 2),
        httpx.Timeout(-1),
    ],
    ids=repr,
)
def test_an_invalid_timeout_raises(timeout):
    with pytest.raises(PortkeyConfigError) as caught:
        split_client_args({"timeout": timeout})

    clocks = "connect, first_byte, idle, stall, total"
    must = f"client_args['timeout'] must be seconds, Timeouts ({clocks}), an httpx.Timeout, or None"
    assert str(caught.value).startswith(f"{must}; got ")


@pytest.mark.parametrize(
    ("client_args", "message"),
    [
        (
            {"base_url": b"http://user:secret@host"},
            "['base_url'] must be the gateway's http(s) URL, such as 'http://localhost:8787/v1'; got bytes",
        ),
        ({"verify": 1}, "['verify'] must be a bool, a path to CA certificates, or an SSLContext; got 1"),
        (
            {"cert": ["cert.pem", "key.pem", "secret"]},
            (
                "['cert'] must be a path, or a tuple of the paths of certificate and key"
                " and perhaps a password; got list of str"
            ),
        ),
        (
            {"proxy": {"http": "http://secret"}},
            "['proxy'] must be the proxy's URL, with http, https, socks5 or socks5h; got dict",
        ),
        (
            {"proxy": "user:secret@proxy:3128"},
            "['proxy'] must be the proxy's URL, with http, https, socks5 or socks5h; got another text",
        ),
        ({"trust_env": "no"}, "['trust_env'] must be True or False; got str"),
        ({"http2": 1}, "['http2'] must be True or False; got 1"),
        ({"max_event_bytes": 0}, "['max_event_bytes'] must be a positive number of bytes; got 0"),
    ],
    ids=lambda value: repr(value) if isinstance(value, dict) else "",
)
def test_a_wrong_setting_of_the_connection_raises_without_its_secrets(client_args, message):
    with pytest.raises(PortkeyConfigError) as caught:
        split_client_args(client_args)

    assert str(caught.value) == f"client_args{message}"


@pytest.mark.parametrize("url", ["http://gateway.example", "http://8.8.8.8:8787"])
def test_plain_http_over_a_public_network_warns_where_the_model_is_made(url):
    with pytest.warns(UserWarning, match="is plain http: keys and prompts are sent unencrypted") as caught:
        PortkeyModel({"base_url": url, "provider": "openai"}, model_id="m")

    assert [warning.filename for warning in caught] == [__file__]


@pytest.mark.parametrize(
    "url",
    [
        "https://gateway.example",
        "http://localhost",
        "http://127.0.0.1",
        "http://[::1]",
        "http://10.0.0.9",
        "http://portkey:8787",
        "http://portkey.default.svc.cluster.local",
        "http://gateway.internal",
    ],
)
def test_plain_http_within_a_private_network_does_not_warn(url):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        split_client_args({"base_url": url})


@pytest.mark.parametrize(
    "model_config",
    [
        {},
        {"model_id": "@openai/gpt-4o"},
        {"params": None},
        {"params": {"temperature": 0, "n": 1}},
        {"stream": False},
        {"cache_config": CacheConfig()},
        {"cache_config": None},
        {"upstream": "vertex-ai"},
        {"upstream": None},
        {"on_guardrail": "raise"},
        {"context_overflow_phrases": ["too (long|big)"]},
        {"context_overflow_phrases": ()},
        {"context_window_limit": 8000},
        {"context_window_limit": None},
    ],
    ids=repr,
)
def test_a_valid_configuration_is_accepted(model_config):
    check_model_config(model_config)


@pytest.mark.parametrize(
    ("model_config", "message"),
    [
        ({"model_id": None}, "model_id must be a model's id, such as 'gpt-4o', if PORTKEY_MODEL holds none; got None"),
        ({"model_id": " "}, "model_id must be a model's id, such as 'gpt-4o', if PORTKEY_MODEL holds none; got str"),
        ({"model_id": 4}, "model_id must be a model's id, such as 'gpt-4o', if PORTKEY_MODEL holds none; got 4"),
        ({"params": [1]}, "params must be a mapping of request parameters; got list of int"),
        ({"params": {"user": {"x"}}}, "params must be JSON values throughout; got dict"),
        ({"params": {"top_p": math.nan}}, "params must be JSON values throughout; got dict"),
        (
            {"params": {"model": "b"}},
            "params must be without 'messages' (the agent's) and 'model' (model_id); got dict",
        ),
        (
            {"params": {"extra_body": {}}},
            f"params must be {SDK}; got dict",
        ),
        (
            {"params": {"n": 2}},
            "params must be without 'n' other than 1, since a Strands message holds one answer; got dict",
        ),
        (
            {"params": {"messages": []}},
            "params must be without 'messages' (the agent's) and 'model' (model_id); got dict",
        ),
        ({"stream": "yes"}, "stream must be True or False; got str"),
        ({"cache_config": {"ttl": "1h"}}, "cache_config must be Strands' CacheConfig, or None; got dict"),
        ({"upstream": 1}, "upstream must be a provider's name, such as 'anthropic'; got 1"),
        ({"on_guardrail": "go"}, "on_guardrail must be 'stop' or 'raise'; got str"),
        (
            {"context_overflow_phrases": "too long"},
            "context_overflow_phrases must be a list of regular expressions; got str",
        ),
        ({"context_overflow_phrases": 5}, "context_overflow_phrases must be a list of regular expressions; got 5"),
        (
            {"context_overflow_phrases": ["("]},
            "context_overflow_phrases must be a list of regular expressions; got list of str",
        ),
        (
            {"context_overflow_phrases": [re.compile("a")]},
            "context_overflow_phrases must be a list of regular expressions; got list of Pattern",
        ),
        (
            {"context_overflow_phrases": [1]},
            "context_overflow_phrases must be a list of regular expressions; got list of int",
        ),
        ({"context_window_limit": 0}, "context_window_limit must be a positive number of tokens, or None; got 0"),
        (
            {"context_window_limit": True},
            "context_window_limit must be a positive number of tokens, or None; got True",
        ),
    ],
    ids=lambda value: repr(value) if isinstance(value, dict) else "",
)
def test_a_configuration_that_cannot_be_used_raises(model_config, message):
    with pytest.raises(PortkeyConfigError) as caught:
        check_model_config(model_config)

    assert str(caught.value) == message


def test_of_two_urls_in_the_environment_the_first_is_used_with_a_warning(monkeypatch):
    monkeypatch.setenv("PORTKEY_BASE_URL", "http://gw:1")
    monkeypatch.setenv("PORTKEY_GATEWAY_URL", "http://gw:2")

    with pytest.warns(UserWarning, match="^PORTKEY_BASE_URL and PORTKEY_GATEWAY_URL differ; PORTKEY_BASE_URL is used$"):
        endpoint, _ = split_client_args({})

    assert endpoint.base_url == "http://gw:1/v1"


def test_a_url_that_is_given_takes_precedence_over_both_of_the_environment(monkeypatch):
    monkeypatch.setenv("PORTKEY_BASE_URL", "http://gw:1")
    monkeypatch.setenv("PORTKEY_GATEWAY_URL", "http://gw:2")

    assert split_client_args({"base_url": "http://gw:3"})[0].base_url == "http://gw:3/v1"


@pytest.mark.parametrize(
    ("given", "model_id"),
    [({}, "gpt-4o"), ({"model_id": None}, "gpt-4o"), ({"model_id": "claude"}, "claude")],
    ids=["environment", "None", "keyword"],
)
def test_the_environment_names_the_model_unless_the_keyword_does(monkeypatch, given, model_id):
    monkeypatch.setenv("PORTKEY_MODEL", " gpt-4o ")

    assert repr(PortkeyModel(**given).get_config()) == f"{{'model_id': '{model_id}'}}"


def test_without_any_model_both_ways_to_name_one_are_told(monkeypatch):
    monkeypatch.setenv("PORTKEY_MODEL", " ")

    with pytest.raises(PortkeyConfigError) as caught:
        PortkeyModel()

    assert str(caught.value) == "model_id must be a model's id, such as 'gpt-4o', if PORTKEY_MODEL holds none; got None"


def test_an_unknown_upstream_raises_when_the_model_is_made():
    with pytest.raises(PortkeyConfigError, match=r"upstream must be one of anthropic, bedrock, .*; got another name"):
        PortkeyModel(model_id="m", upstream="anthropics")


@pytest.mark.parametrize("model_id", [{}, *({"model_id": each} for each in (None, "", "\n", 7))], ids=repr)
def test_a_model_without_an_id_is_not_made(model_id):
    with pytest.raises(PortkeyConfigError, match="model_id must be "):
        PortkeyModel(**model_id)


def test_a_wrong_update_changes_nothing():
    model = PortkeyModel(model_id="m")

    with pytest.raises(
        PortkeyConfigError,
        match="model_id must be a model's id, such as 'gpt-4o', if PORTKEY_MODEL holds none; got str",
    ):
        model.update_config(model_id="", stream=False)

    assert model.get_config() == {"model_id": "m"}


def test_an_unknown_key_warns_where_the_model_is_made():
    misspelt: Any = {"flavour": 1}

    with pytest.warns(
        UserWarning, match=r"unknown configuration key 'flavour' is ignored; known are \['api', 'cache_c"
    ) as caught:
        PortkeyModel(model_id="m", **misspelt)

    assert [warning.filename for warning in caught] == [__file__]


def test_an_unknown_key_warns_where_the_model_is_updated():
    model = PortkeyModel(model_id="m")
    misspelt: Any = {"flavour": 1}

    with pytest.warns(UserWarning, match="unknown configuration key") as caught:
        model.update_config(**misspelt)

    assert [warning.filename for warning in caught] == [__file__]


@pytest.mark.filterwarnings("ignore:unknown configuration key")
def test_what_stands_under_an_unknown_key_is_left_out(caplog):
    caplog.set_level(logging.DEBUG, "strands_portkey")
    misplaced: Any = {"openai_api_key": KEY, KEY: 1}
    model = PortkeyModel(model_id="m", **misplaced)
    model.update_config(**misplaced, stream=False)

    assert model.get_config() == {"model_id": "m", "stream": False}
    assert caplog.messages == ["model_id=<m>, keys=<['model_id']> | initialized"]


@pytest.mark.parametrize(
    "key", ["sk-proj-0123456789", "sk-ant-0123456789", "gsk_0123456789", "AIza0123456789", "xai-0123456789"]
)
@pytest.mark.parametrize("source", ["setting", "environment", "function", "call", "header", "headers of a function"])
async def test_a_key_of_a_provider_is_refused_where_portkeys_belongs(monkeypatch, source, key):
    sources: dict[str, dict[str, Any]] = {
        "setting": {"api_key": key},
        "function": {"api_key": lambda: key},
        "header": {"headers": {"X-Portkey-Api-Key": key}},
        "headers of a function": {"headers": lambda: {"x-portkey-api-key": key}},
    }
    client_args = sources.get(source, {})
    state = {"portkey": {"api_key": key}} if source == "call" else {}
    if source == "environment":
        monkeypatch.setenv("PORTKEY_API_KEY", key)

    with pytest.raises(PortkeyConfigError, match="must be Portkey's key; got one of a provider") as caught:
        await anext(PortkeyModel(client_args, model_id="m").stream([], invocation_state=state))

    assert "client_args['Authorization']" in str(caught.value)
    assert key not in str(caught.value)


@pytest.mark.parametrize("name", ["api_key", "provider", "base_url", "Authorization"])
def test_a_setting_of_client_args_beside_it_raises_without_its_value(name):
    with pytest.raises(
        PortkeyConfigError,
        match=rf"^the model's configuration must not hold '{name}'\nHint: .* client_args\['{name.lower()}'\]$",
    ):
        PortkeyModel(**{"model_id": "m", name: "sk-0123456789"})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "name", ["sk-proj-0123456789", "0123456789abcdefghijklmnopqrstuvwxyz", "a key with spaces", 5], ids=repr
)
def test_a_name_that_may_be_a_key_is_not_quoted(name):
    with pytest.raises(PortkeyConfigError) as caught:
        PortkeyModel({"headers": {name: 1}}, model_id="m")  # type: ignore[dict-item]

    assert str(name) not in str(caught.value).replace("characters", "")


def shown_by(error: BaseException, *, without: str = "") -> str:
    """Return what an error says and what a tool that prints variables shows of this package's frames."""
    shown = [repr(vars(error))]
    raised: BaseException | None = error
    while raised is not None:
        shown.append(str(raised))
        for frame in traceback.TracebackException.from_exception(raised, capture_locals=True).stack:
            if frame.filename.startswith(PACKAGE):
                shown += [text for name, text in (frame.locals or {}).items() if name != without]
        raised = raised.__cause__ or raised.__context__
    return "\n".join(shown)


WRONG_CONFIGS: dict[str, Any] = {
    "extra_headers": {"params": {"extra_headers": {"x-portkey-api-key": KEY}}},
    "extra_body": {"params": {"extra_body": {"key": KEY}}},
    "a model in params": {"params": {"model": KEY}},
    "messages in params": {"params": {"messages": KEY}},
    "n": {"params": {"n": KEY}},
    "params as text": {"params": KEY},
    "params in a list": {"params": [KEY]},
    "an upstream": {"upstream": KEY},
    "phrases as text": {"context_overflow_phrases": KEY},
    "a broken phrase": {"context_overflow_phrases": [f"{KEY}("]},
    "caching": {"cache_config": KEY},
    "stream": {"stream": KEY},
    "a guardrail": {"on_guardrail": KEY},
    "a window": {"context_window_limit": KEY},
}


@pytest.mark.parametrize("config", WRONG_CONFIGS.values(), ids=WRONG_CONFIGS)
@pytest.mark.parametrize("source", ["model", "update", "call"])
async def test_a_wrong_configuration_shows_no_key(config, source):
    model = PortkeyModel(model_id="m")

    with pytest.raises(PortkeyConfigError) as caught:
        if source == "model":
            PortkeyModel(**{"model_id": "m", **config})
        elif source == "update":
            model.update_config(**config)
        else:
            await anext(model.stream([], invocation_state={"portkey": config}))

    assert KEY not in shown_by(caught.value, without="invocation_state")  # Which is the caller's own.


class Odd:
    """What no setting takes."""


WRONG_SETTINGS: dict[str, dict[Any, Any]] = {
    "an API key": {"api_key": KEY},
    "an API key as bytes": {"api_key": KEY.encode()},
    "a provider's key as bytes": {"Authorization": bytearray(KEY, "ascii")},
    "a provider's key in a list": {"Authorization": [KEY]},
    "a provider's key of two lines": {"Authorization": f"{KEY}\n{KEY}"},
    "a virtual key of two lines": {"virtual_key": f"{KEY}\n{KEY}"},
    "headers as text": {"headers": KEY},
    "a header of no text": {"headers": {"x-a": [KEY]}},
    "one header after another": {"headers": {"x-a": KEY, "x-b": 1}},
    "a key as a header's name": {"headers": {KEY: "a"}},
    "a key as a name": {KEY: "a"},
    "a key as a name in lower case": {KEY.lower().replace("-", "_"): Odd()},
    "a key as a name of a list": {"forward_headers": {KEY: 1}},
    "a config of broken JSON": {"config": "{" + KEY},
    "a config of JSON that is no number": {"config": f'{{"api_key": "{KEY}", "odd": NaN}}'},
    "a config of an odd object": {"config": {"api_key": KEY, "odd": Odd()}},
    "a config of a set": {"config": {"api_key": {KEY}}},
    "metadata": {"metadata": KEY},
    "a setting after a key": {"Authorization": KEY, "virtual_key": KEY, "odd": Odd()},
    "a setting after a config": {"config": {"api_key": KEY}, "odd": Odd()},
    "a base URL": {"base_url": KEY},
    "a base URL with a password": {"base_url": f"https://user:{KEY}@host"},
    "a timeout": {"timeout": KEY},
    "a timeout of a wrong name": {"timeout": {KEY: 1}},
    "a password of a certificate": {"cert": ("a.pem", "b.pem", KEY), "verify": 5},
    "a proxy": {"proxy": KEY},
    "a proxy beside another wrong setting": {"proxy": f"http://user:{KEY}@host", "base_url": "host"},
}


def returns(value: object) -> Callable[[], object]:
    return lambda: value


@pytest.mark.parametrize("settings", WRONG_SETTINGS.values(), ids=WRONG_SETTINGS)
@pytest.mark.parametrize("source", ["model", "call", "function"])
async def test_a_wrong_setting_shows_no_key(settings, source):
    if source == "function":
        settings = {name: value if name in ENDPOINT_KEYS else returns(value) for name, value in settings.items()}

    with pytest.raises(PortkeyConfigError) as caught:
        model = PortkeyModel({} if source == "call" else settings, model_id="m")
        await anext(model.stream([], invocation_state={"portkey": settings} if source == "call" else None))

    assert KEY not in shown_by(caught.value, without="invocation_state")  # Which is the caller's own.
    assert KEY.lower().replace("-", "_") not in str(caught.value)


@pytest.mark.parametrize("name", ["PORTKEY_API_KEY", "PORTKEY_BASE_URL"])
def test_a_key_in_the_wrong_variable_of_the_environment_is_not_shown(monkeypatch, name):
    monkeypatch.setenv(name, KEY)

    with pytest.raises(PortkeyConfigError) as caught:
        PortkeyModel(model_id="m")

    assert KEY not in shown_by(caught.value)


def test_settings_that_hold_themselves_are_refused():
    loop: dict[str, Any] = {}
    loop["a"] = loop

    with pytest.raises(
        PortkeyConfigError, match=r"^settings must not contain themselves or be nested too deeply; got such a dict$"
    ):
        PortkeyModel(model_id="gpt-4o", params=loop)
    with pytest.raises(
        PortkeyConfigError, match=r"^settings must not contain themselves or be nested too deeply; got such a dict$"
    ):
        PortkeyModel({"config": loop}, model_id="gpt-4o")
