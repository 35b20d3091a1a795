"""Routing keys become headers, and response headers become facts."""

from __future__ import annotations

import copy
import json
import pickle
import re
from collections import UserDict
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strands_portkey import PortkeyConfigError, ResponseMetadata, __version__
from strands_portkey._answer.metadata import response_metadata
from strands_portkey._settings.headers import request_headers, secrets

ALWAYS = {
    "content-type": "application/json",
    "accept": "text/event-stream, application/json",
    "accept-encoding": "identity",
    "user-agent": f"strands-agents-portkey/{__version__}",
    "x-portkey-strict-open-ai-compliance": "false",
}


@pytest.mark.parametrize(
    ("routing", "headers"),
    [
        pytest.param({}, {}, id="nothing"),
        pytest.param({"provider": "openai"}, {"x-portkey-provider": "openai"}, id="text"),
        pytest.param({"X-Portkey-Trace-Id": "t"}, {"x-portkey-trace-id": "t"}, id="a key with the prefix"),
        pytest.param({"aws_region": "eu-west-1"}, {"x-portkey-aws-region": "eu-west-1"}, id="underscores"),
        pytest.param({"cache_force_refresh": True}, {"x-portkey-cache-force-refresh": "true"}, id="True"),
        pytest.param(
            {"strict_open_ai_compliance": True}, {"x-portkey-strict-open-ai-compliance": "true"}, id="strict after all"
        ),
        pytest.param({"debug": False}, {"x-portkey-debug": "false"}, id="False"),
        pytest.param({"request_timeout": 500}, {"x-portkey-request-timeout": "500"}, id="number"),
        pytest.param({"trace_id": None, "provider": "", "virtual_key": " "}, {}, id="None and blank text"),
        pytest.param({"trace_id": " t "}, {"x-portkey-trace-id": "t"}, id="blanks around"),
        pytest.param({"config": "pc-routes-1"}, {"x-portkey-config": "pc-routes-1"}, id="config by id"),
        pytest.param({"config": ' {"a": 1}'}, {"x-portkey-config": '{"a":1}'}, id="config as JSON"),
        pytest.param(
            {"config": MappingProxyType({"targets": [UserDict({"name": "é"})]})},
            {"x-portkey-config": '{"targets":[{"name":"\\u00e9"}]}'},
            id="config as mapping",
        ),
        pytest.param({"metadata": {"_user": "Zoë"}}, {"x-portkey-metadata": '{"_user":"Zo\\u00eb"}'}, id="metadata"),
        pytest.param(
            {"metadata": '{"_user": "Zoë"}'}, {"x-portkey-metadata": '{"_user":"Zo\\u00eb"}'}, id="metadata as JSON"
        ),
        pytest.param(
            {"default_input_guardrails": ["pg-1", "pg-2"]},
            {"x-portkey-default-input-guardrails": '["pg-1","pg-2"]'},
            id="a list",
        ),
        pytest.param({"extra": {"a": [1]}}, {"x-portkey-extra": '{"a":[1]}'}, id="a mapping"),
        pytest.param(
            {"sensitive_headers": ("x-a ", "", "x-b")}, {"x-portkey-sensitive-headers": "x-a,x-b"}, id="list of names"
        ),
        pytest.param(
            {"forward_headers": "tenant_id, X_Own,traceparent", "tenant_id": "7", "headers": {"X_Own": "1"}},
            {"x-portkey-forward-headers": "tenant-id,X_Own,traceparent", "tenant-id": "7", "x_own": "1"},
            id="a forwarded setting loses its prefix",
        ),
        pytest.param(
            {"forward_headers": ["x-portkey-metadata"], "metadata": {"tier": "paid"}},
            {"x-portkey-forward-headers": "x-portkey-metadata", "x-portkey-metadata": '{"tier":"paid"}'},
            id="a setting forwarded by its full name keeps its prefix",
        ),
        pytest.param({"Authorization": "sk-1"}, {"authorization": "Bearer sk-1"}, id="key without scheme"),
        pytest.param({"authorization": "Basic dTpw"}, {"authorization": "Basic dTpw"}, id="key with scheme"),
        pytest.param({"AUTHORIZATION": " sk-1 "}, {"authorization": "Bearer sk-1"}, id="key with blanks around"),
        pytest.param({"Authorization": None}, {}, id="no key"),
        pytest.param({"Authorization": ""}, {}, id="blank key"),
        pytest.param({"headers": {"User-Agent": "me"}}, {"user-agent": "me"}, id="a literal header"),
    ],
)
def test_a_setting_becomes_a_header(routing, headers):
    assert request_headers(routing) == {**ALWAYS, **headers}


@pytest.mark.parametrize(
    ("routing", "message"),
    [
        ({"trace_id": "se\ncret"}, "client_args['trace_id'] must be printable ASCII"),
        ({"api_key": "secret\n"}, "client_args['api_key'] must be printable ASCII"),
        ({"virtual_key": "sécret"}, "client_args['virtual_key'] must be printable ASCII"),
        ({"Authorization": "Bearer secret\r\n"}, "client_args['authorization'] must be printable ASCII"),
        (
            {"Authorization": "Bearer "},
            "client_args['authorization'] must be the provider's",
        ),
        (
            {"Authorization": "Basic"},
            "client_args['authorization'] must be the provider's key, such as 'Bearer sk-...'",
        ),
        (
            {"Authorization": b"secret"},
            "client_args['authorization'] must be the provider's key, such as 'Bearer sk-...'; got bytes",
        ),
        ({"headers": {"x-a": "secret\n"}}, "client_args['headers']['x-a'] must be printable ASCII"),
        ({"headers": {"x-a": 5}}, "client_args['headers']['x-a'] must be text; got int"),
        ({"headers": {"x a": "1"}}, "client_args['headers'] must have names of headers; got one of 3 characters"),
        ({"headers": {1: "1"}}, "client_args['headers'] must have names of headers; got one of type int"),
        (
            {"headers": [("x-a", "secret")]},
            "client_args['headers'] must be a mapping of names to texts; got list",
        ),
        ({"a b": "1"}, "client_args must have names of headers; got one of 3 characters"),
        (
            {"forward_headers": 5},
            "client_args['forward_headers'] must be a list of names, or names separated by commas; got int",
        ),
        ({"sensitive_headers": [1]}, "client_args['sensitive_headers'] must be a list of names"),
        (
            {"metadata": {"a": {1}}},
            "client_args['metadata'] must be JSON; got something else: set is not a JSON value",
        ),
        (
            {"metadata": {"a": float("nan")}},
            "client_args['metadata'] must be JSON; got something else: Out of range float",
        ),
        ({"metadata": {(1, 2): 3}}, "client_args['metadata'] must be JSON; got something else: keys must be str"),
        ({"metadata": "not JSON"}, "client_args['metadata'] must be JSON; got other text"),
        ({"metadata": [1]}, "client_args['metadata'] must be a mapping or its JSON; got list"),
        ({"config": '{"a": '}, "client_args['config'] must be JSON; got other text"),
        ({"config": "[1]"}, "client_args['config'] must be a mapping or its JSON"),
        ({"config": True}, "client_args['config'] must be a mapping or its JSON; got bool"),
        ({"trace_id": b"secret"}, "client_args['trace_id'] must be text, a number or a bool; got bytes"),
        ({"new": {"a": {1}}}, "client_args['new'] must be JSON; got something else: set is not a JSON value"),
    ],
    ids=lambda value: ascii(value) if isinstance(value, dict) else "",
)
def test_a_value_that_no_header_can_carry_raises_without_being_quoted(routing, message):
    with pytest.raises(PortkeyConfigError) as caught:
        request_headers(routing)

    assert str(caught.value).startswith(message)
    assert "secret" not in str(caught.value)


def test_a_config_that_contains_itself_raises():
    config: dict[str, object] = {}
    config["targets"] = [config]

    with pytest.raises(PortkeyConfigError, match="must be JSON; got something else: Circular reference"):
        request_headers({"config": config})


PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9)
KEYS = st.text(max_size=9) | st.sampled_from(["config", "metadata", "headers", "authorization", "forward_headers"])


TREES = st.recursive(
    PLAIN, lambda each: st.lists(each, max_size=3) | st.dictionaries(KEYS, each, max_size=3), max_leaves=8
)


@given(st.dictionaries(KEYS, TREES, max_size=6))
def test_whatever_is_given_headers_are_printable_ascii_or_an_error_says_why(routing):
    try:
        headers = request_headers(routing)
    except PortkeyConfigError:
        return

    assert all(text.isascii() and text.isprintable() for text in (*headers, *headers.values()))
    assert all(name == name.lower() for name in headers)


def test_settings_are_not_written_into():
    routing = {"config": {"targets": [{"provider": "openai"}]}, "headers": {"X-A": "1"}, "forward_headers": ["x-a"]}
    before = json.dumps(routing)

    request_headers(routing)

    assert json.dumps(routing) == before


@pytest.mark.parametrize("turn", [1, -1], ids=["first", "last"])
def test_a_literal_header_takes_precedence_over_a_setting_in_any_order(turn):
    settings = [("headers", {"authorization": "Token literal"}), ("Authorization", "setting"), ("provider", "openai")]

    headers = request_headers(dict(settings[::turn]))

    assert (headers["authorization"], headers["x-portkey-provider"]) == ("Token literal", "openai")


def test_all_keys_are_secrets_also_those_within_a_config():
    config = {
        "api_key": "pk-config",
        "targets": [{"provider": "openai", "api_key": "sk-in-target", "weight": 1}, "odd"],
        "retry": {"attempts": 2},
        "api_keys": ["in-a-list"],
        "credentials": {"token": {"text": "nested"}},
    }
    headers = request_headers(
        {
            "api_key": "portkey-key",
            "virtual_key": "virtual-key",
            "Authorization": "provider-key",
            "aws_secret_access_key": "aws-key",
            "azure_ad_token": "ad-token",
            "vertex_service_account_json": '{"private_key": "pem-file"}',
            "provider": "openai",
            "trace_id": "trace-id",
            "config": config,
            "metadata": {"session": "open-session"},
            "sensitive_headers": "tenant, x-own",
            "tenant": "tenant-seven",
            "input_guardrails": [{"id": "hook", "headers": {"Authorization": "Bearer hook-token"}}],
            "headers": {"X-Own": "own-value", "cookie": "c=cookie; d=crumbs", "x-broken": "{broken}", "x-key": "short"},
        }
    )

    assert sorted(each for each in secrets(headers) if not re.search(r"%|&#|\\u", each)) == [
        "Bearer hook-token",
        "Bearer provider-key",
        "ad-token",
        "aws-key",
        "c=cookie",
        "c=cookie; d=crumbs",
        "cookie",
        "crumbs",
        "d=crumbs",
        "hook-token",
        "in-a-list",
        "nested",
        "own-value",
        "pem-file",
        "pk-config",
        "portkey-key",
        "provider-key",
        "sk-in-target",
        "tenant-seven",
        "virtual-key",
        "{broken}",
    ]


def test_a_secret_is_also_known_as_json_and_urls_may_have_it():
    assert secrets({"x-api-key": "sk-a/b+c"}) == {
        r"sk-a/b\u002Bc",
        r"sk-a/b\u002bc",
        "sk-a%2Fb%2Bc",
        "sk-a%2fb%2bc",
        "sk-a/b&#43;c",
        "sk-a/b%2Bc",
        r"sk-a\/b+c",
        "sk-a/b+c",
    }


@pytest.mark.parametrize(
    "headers",
    [
        {"x-portkey-config": '{"api_key":"my cat is fat"}'},
        {"x-api-key": "[my cat is fat"},
        {"x-portkey-api-keys": '["my cat is fat"]'},
    ],
    ids=["of short words", "beginning like JSON", "in a list"],
)
def test_a_secret_is_known_whole_whatever_its_form(headers):
    assert any("my cat is fat" in secret for secret in secrets(headers))


IN_THE_BODY: Any = {
    "model": "gpt",
    "response_id": None,
    "hook_results": {},
    "counts": None,
    "metrics": {"latencyMs": 0},
    "api": "chat",
    "attempt": 1,
}


def test_the_gateways_headers_become_facts():
    headers = {
        "x-request-id": "req_1",
        "x-portkey-trace-id": "t",
        "x-portkey-provider": "openai",
        "x-portkey-cache-status": "HIT",
        "x-portkey-retry-attempt-count": "-1",
        "x-portkey-last-used-option-index": "config.targets[1]",
    }

    assert response_metadata(246, headers, **(IN_THE_BODY | {"hook_results": {"before": []}})) == ResponseMetadata(
        status_code=246,
        trace_id="t",
        provider="openai",
        model="gpt",
        cache_status="HIT",
        retry_attempt_count=-1,
        last_used_option_index="config.targets[1]",
        hook_results={"before": []},
        request_id="req_1",
        headers=headers,
    )


@pytest.mark.parametrize("retries", ["", "many", "--1"])
def test_a_header_without_a_valid_value_leaves_the_fact_unknown(retries):
    headers = {"x-portkey-retry-attempt-count": retries, "x-portkey-trace-id": ""}

    assert response_metadata(200, headers, **IN_THE_BODY) == ResponseMetadata(200, model="gpt", headers=headers)


SIGNED_NAMES = "SignedHeaders=accept;content-type;host;x-amz-date"


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ({"x-tenant": "a-word-of-mine"}, ["a-word-of-mine"]),
        ({"x-portkey-provider": "openai", "traceparent": "00-4bf92f3577b34da6"}, []),
        ({"x-portkey-custom-host": "https://host.example/v1"}, []),
        ({"x-portkey-custom-host": "https://user:pass%2Fword@host/v1"}, ["pass/word", "pass%2Fword", "user:pass/word"]),
        (
            {"x-portkey-config": '{"targets":[{"custom_host":"https://user:password@host"}]}'},
            ["user:password", "password"],
        ),
        ({"authorization": "Basic dXNlcjpwYXNzd29yZA=="}, ["user:password", "password", "dXNlcjpwYXNzd29yZA=="]),
        (
            {"x-portkey-custom-host": "https://host/v1?api-version=2024-02&api_key=a%2Fkey-of-mine"},
            ["a%2Fkey-of-mine", "a/key-of-mine"],
        ),
        ({"x-portkey-tenant-pass": "a-word-of-mine"}, ["a-word-of-mine"]),
        ({"x-portkey-config": '{"db_pwd":"a-word-of-mine"}'}, ["a-word-of-mine"]),
        ({"x-portkey-config": json.dumps({"service_account": json.dumps({"private_key": "a\nline"})})}, ["a\\nline"]),
        ({"cookie": "id=a-word-of-mine; b=2"}, ["a-word-of-mine"]),
        ({"cookie": 'sid="a-word-of-mine"; t=s%3Aanother-word'}, ["a-word-of-mine", "another-word"]),
        ({"authorization": 'Token token="a-word-of-mine", nonce=1'}, ["a-word-of-mine"]),
        ({"authorization": "Basic YS13b3JkLW9mLW1pbmU6"}, ["a-word-of-mine"]),
        ({"authorization": "Basic YTphLXdvcmQtb2YtbWluZQ"}, ["a-word-of-mine"]),
        ({"x-auth": "user:a-word-of-mine"}, ["a-word-of-mine"]),
        ({"x-keys": "a-word-of-mine,b"}, ["a-word-of-mine"]),
        ({"x-dsn": "pg://user:a-word-of-mine@host/db"}, ["a-word-of-mine"]),
        ({"x-portkey-custom-host": "https://host/v1?sig=a-word-of-mine&api-version=2024-10"}, ["a-word-of-mine"]),
        ({"x-portkey-custom-host": "https://host/v1;token=a-word-of-mine"}, ["a-word-of-mine"]),
        ({"x-portkey-config": '{"custom-host":"https://host/v1;token=a-word-of-mine"}'}, ["a-word-of-mine"]),
        ({"x-portkey-config": '{"webhookURL":"https://host/?token=a-word-of-mine"}'}, ["a-word-of-mine"]),
        ({"x-portkey-config": '{"webhookURL":"https://user:a-word-of-mine@host/"}'}, ["a-word-of-mine"]),
        ({"x-portkey-config": '{"targets":[{"headers":{"x-ref":"a-word-of-mine"}}]}'}, ["a-word-of-mine"]),
        ({"x-portkey-config": '{"url":"https://host.example/@slug/path"}'}, []),
        ({"x-title": "My Application", "x-portkey-azure-auth-mode": "managed"}, []),
        ({"x-portkey-config": '{"author":"Jack London","prompt_cache_key":"customer-support"}'}, []),
        (
            {"x-portkey-custom-host": "https://host/a-word-of-mine", "x-portkey-sensitive-headers": "custom-host"},
            ["https://host/a-word-of-mine"],
        ),
        ({"authorization": f"AWS4-HMAC-SHA256 {SIGNED_NAMES}, Signature=f00f00"}, ["f00f00"]),
        ({"x-amz-security-token": "a-word-of-mine"}, ["a-word-of-mine"]),
        ({"x-portkey-api-key": 'a"b/c+d '}, ['a\\"b\\/c+d', "a%22b%2Fc%2Bd", 'a"b/c+d']),
        ({"x-portkey-custom-host": "https://user:a://b:c@host/v1"}, ["user:a://b:c", "a://b:c"]),
        ({"x-auth": "user:a:word-of-mine"}, ["a:word-of-mine"]),
        ({"x-auth": 'field="user:a:word-of-mine"'}, ["a:word-of-mine"]),
        ({"authorization": "Basic dXNlcjphOndvcmQtb2YtbWluZQ=="}, ["user:a:word-of-mine", "a:word-of-mine"]),
        ({"authorization": "Basic abcdefghi"}, ["abcdefghi"]),
        ({"x-auth": "signature=c2lnbmF0dXJl=="}, ["c2lnbmF0dXJl=="]),
    ],
    ids=[
        "a header of the caller's",
        "no keys",
        "a plain host",
        "a host",
        "a host in a config",
        "basic",
        "a host's query",
        "a pass",
        "a pass in a config",
        "JSON in a config",
        "a cookie",
        "a cookie in quotes",
        "a token of a scheme with fields",
        "basic without a password",
        "basic without padding",
        "a password behind a name",
        "one of several",
        "a URL in a header",
        "a signature",
        "a parameter of a path",
        "a parameter of a path in a config",
        "a query in a config",
        "a URL in a config",
        "a header in a config",
        "a URL without a key",
        "headers that are no keys",
        "names that sound like keys",
        "a host that is listed",
        "a signature of AWS",
        "a token of AWS",
        "escaped",
        "a host with a password like a host",
        "a password with a colon",
        "a field with such a password",
        "basic with such a password",
        "basic of what is no base64",
        "a field with padding",
    ],
)
def test_a_secret_is_known_in_each_form_in_which_it_may_come_back(headers, found):
    got = secrets(headers)

    assert [form for form in found if form not in got] == []
    assert bool(got) == bool(found)


@pytest.mark.parametrize(
    "authorization",
    [f"AWS4-HMAC-SHA256 Credential=AKIA0/a, {SIGNED_NAMES}, Signature=f00f00", 'Digest realm="realm-1"'],
)
def test_words_of_an_authorization_that_say_nothing_stay_in_what_is_quoted(authorization):
    said = "AWS4-HMAC-SHA256, Digest, SignedHeaders, accept, content-type and x-amz-date are not accepted"

    assert [secret for secret in secrets({"authorization": authorization}) if secret in said] == []


def test_headers_do_not_show_themselves_where_a_tool_prints_variables():
    headers = request_headers({"api_key": "top-secret-0123", "headers": {"x-own": "top-secret-4567"}})

    assert "top-secret" not in repr(headers)
    assert headers["x-portkey-api-key"][:10] == "top-secret"
    assert repr(headers["x-portkey-api-key"][:10]) == "'***'"
    assert json.loads(json.dumps(headers)) == headers
    assert pickle.loads(pickle.dumps(headers)) == copy.deepcopy(headers) == headers  # noqa: S301 - made here


@pytest.mark.parametrize("setting", ["anthropic_beta", "beta", "openai_beta"])
@pytest.mark.parametrize("given", [["a-2025-01-01", "b_2"], ("a-2025-01-01", " b_2"), "a-2025-01-01,b_2"])
def test_features_given_as_a_list_are_sent_separated_by_commas(setting, given):
    headers = request_headers({setting: given})

    assert headers[f"x-portkey-{setting.replace('_', '-')}"] == "a-2025-01-01,b_2"


@pytest.mark.parametrize("given", [[1], [["a"]], [None]])
def test_features_that_are_no_names_are_refused(given):
    with pytest.raises(PortkeyConfigError, match=r"anthropic_beta'\] must be a list of names"):
        request_headers({"anthropic_beta": given})
