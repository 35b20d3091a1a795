"""What a slip in a setting says, where it is made; and what is none and says nothing."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest

from strands_portkey import PortkeyConfigError, PortkeyModel
from strands_portkey._settings.config import CallSettings, PortkeyConfig, TokenConfig
from strands_portkey._settings.invocation import for_call
from strands_portkey._settings.names import CLIENT_ARGS
from strands_portkey._settings.words import CONFIG, PARAMS
from strands_portkey._wires.messages import params as messages
from strands_portkey._wires.responses import params as responses

OF_ROUTING = (CallSettings.__annotations__.keys() & CLIENT_ARGS) - {"max_retries"}
KEY = "Zx9-secret-of-mine-0123456789abcdef"


def make(client_args: Any = None, **config: Any) -> PortkeyModel:
    return PortkeyModel(client_args, **{"model_id": "m", **config})


def call(**settings: Any) -> object:
    return for_call({}, {"model_id": "m"}, 2, {"portkey": settings})


def update(**config: Any) -> None:
    make().update_config(**config)


def said(use: Callable[[], object]) -> list[str]:
    """Return the warnings of a use, and its error."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            use()
        except PortkeyConfigError as error:
            return [str(error)]
    return [str(warning.message) for warning in caught]


UNKNOWN_HEADER = "a header that Portkey does not know"
NO_EFFECT = "which is not known to have an effect"
CLOCKS = "seconds, Timeouts (connect, first_byte, idle, stall, total), an httpx.Timeout, or None"
OF_CALL = "invocation_state['portkey']"
FIXED = "settings that are fixed for a model"
SHORT = "text of at most 128 characters, or Portkey refuses it"
OF_SDK = "client_args must not hold arguments of the OpenAI SDK or Portkey's; got"
SLIPS: dict[str, tuple[Callable[[], object], str]] = {
    # Misspelt
    "provder": (
        lambda: make({"provder": "openai"}),
        f"client_args holds 'provder', {UNKNOWN_HEADER}; did you mean 'provider'?",
    ),
    "api_kye": (
        lambda: make({"api_kye": KEY}),
        f"client_args holds 'api_kye', {UNKNOWN_HEADER}; did you mean 'api_key'?",
    ),
    "tiemout": (
        lambda: make({"tiemout": 3}),
        f"client_args holds 'tiemout', {UNKNOWN_HEADER}; did you mean 'timeout'?",
    ),
    "baseURL": (
        lambda: make({"baseURL": "http://localhost:1"}),
        f"client_args holds 'baseurl', {UNKNOWN_HEADER}; did you mean 'base_url'?",
    ),
    "Authorisation": (
        lambda: make({"Authorisation": KEY}),
        f"client_args holds 'authorisation', {UNKNOWN_HEADER}; did you mean 'authorization'?",
    ),
    "aws_regoin": (
        lambda: make({"aws_regoin": "eu-central-1"}),
        f"client_args holds 'aws_regoin', {UNKNOWN_HEADER}; did you mean 'aws_region'?",
    ),
    "a literal header": (
        lambda: make({"headers": {"x-portkey-traceid": "t"}}),
        f"client_args['headers'] holds 'x-portkey-traceid', {UNKNOWN_HEADER}; did you mean 'trace_id'?",
    ),
    "a clock": (
        lambda: make({"timeout": {"frist_byte": 3}}),
        f"client_args['timeout'] must be {CLOCKS}; got dict; did you mean 'first_byte'?",
    ),
    "a key of a config": (
        lambda: make({"config": {"stratgy": {"mode": "fallback"}, "targets": []}}),
        f"client_args['config'] holds 'stratgy', {NO_EFFECT}; did you mean 'strategy'?",
    ),
    "a key of a target": (
        lambda: make({"config": '{"targets":[{"provider":"openai"},{"overide_params":{}}]}'}),
        f"client_args['config']['targets'][1] holds 'overide_params', {NO_EFFECT}; did you mean 'override_params'?",
    ),
    "a key of retries": (
        lambda: make({"config": {"retry": {"atempts": 3}}}),
        f"client_args['config']['retry'] holds 'atempts', {NO_EFFECT}; did you mean 'attempts'?",
    ),
    "a parameter of a target": (
        lambda: make({"config": {"override_params": {"temprature": 0}}}),
        f"client_args['config']['override_params'] holds 'temprature', {NO_EFFECT}; did you mean 'temperature'?",
    ),
    "a key of a config's strategy": (
        lambda: make({"config": {"mode": "fallback", "targets": []}}),
        f"client_args['config'] holds 'mode', {NO_EFFECT}; did you mean 'mode' in 'strategy' or 'cache'?",
    ),
    "a shortened key of a config": (
        lambda: make({"config": {"timeout": 30}}),
        f"client_args['config'] holds 'timeout', {NO_EFFECT}; did you mean 'request_timeout'?",
    ),
    "a client's setting in a target": (
        lambda: make({"config": {"targets": [{"base_url": "http://localhost:8000/v1"}]}}),
        f"client_args['config']['targets'][0] holds 'base_url', {NO_EFFECT}; did you mean 'custom_host'?",
    ),
    "a setting of the model in a config": (
        lambda: make({"config": {"config": {}}}),
        f"client_args['config'] holds 'config', {NO_EFFECT}; did you mean client_args['config']?",
    ),
    "a key of a config within a condition": (
        lambda: make({"config": {"strategy": {"conditions": [{"targets": []}]}}}),
        (
            f"client_args['config']['strategy']['conditions'][0] holds 'targets', {NO_EFFECT};"
            " did you mean 'targets' beside 'strategy'?"
        ),
    ),
    "a key of a config within its cache": (
        lambda: make({"config": {"cache": {"customHost": ""}}}),
        f"client_args['config']['cache'] holds 'custom_host', {NO_EFFECT}; did you mean 'custom_host' beside 'cache'?",
    ),
    "a parameter in a target": (
        lambda: make({"config": {"targets": [{"provider": "openai", "model": "gpt-4o"}]}}),
        f"client_args['config']['targets'][0] holds 'model', {NO_EFFECT}; did you mean 'model' in 'override_params'?",
    ),
    "a parameter": (
        lambda: make(params={"max_token": 10}),
        f"params holds 'max_token', {NO_EFFECT}; did you mean 'max_tokens'?",
    ),
    "a parameter in camel case": (
        lambda: make(params={"maxTokens": 10}),
        f"params holds 'maxTokens', {NO_EFFECT}; did you mean 'max_tokens'?",
    ),
    "a parameter of an update": (
        lambda: update(params={"reasoning_efort": "low"}),
        f"params holds 'reasoning_efort', {NO_EFFECT}; did you mean 'reasoning_effort'?",
    ),
    "a key of the model": (
        lambda: make(upstraem="openai"),
        "unknown configuration key 'upstraem' is ignored; did you mean 'upstream'?",
    ),
    "a parameter beside the model": (
        lambda: make(temprature=0),
        "unknown configuration key 'temprature' is ignored; did you mean params['temperature']?",
    ),
    "a setting of one call": (
        lambda: call(metdata={"_user": "zoe"}),
        f"{OF_CALL} holds 'metdata', {UNKNOWN_HEADER}; did you mean 'metadata'?",
    ),
    "a parameter of one call": (
        lambda: call(params={"tool_choise": "auto"}),
        f"params holds 'tool_choise', {NO_EFFECT}; did you mean 'tool_choice'?",
    ),
    # In the wrong place
    "a model's id first": (
        lambda: PortkeyModel("gpt-4o"),  # type: ignore[arg-type]
        "client_args must be a mapping of settings; got str\nHint: a model's id is given as model_id=...",
    ),
    "model": (
        lambda: PortkeyModel(model="gpt-4o"),  # type: ignore[call-arg]
        "the model's configuration must not hold 'model'\nHint: give it as PortkeyModel(model_id=...)",
    ),
    "model_id in client_args": (
        lambda: PortkeyModel({"model_id": "gpt-4o"}),  # type: ignore[dict-item]
        "client_args must not hold 'model_id'\nHint: give it as PortkeyModel(model_id=...)",
    ),
    "http_client in client_args": (
        lambda: make({"http_client": None}),
        "client_args must not hold 'http_client'\nHint: give it as PortkeyModel(http_client=...)",
    ),
    "on_response in client_args": (
        lambda: make({"on_response": print}),
        "client_args must not hold 'on_response'\nHint: give it as PortkeyModel(on_response=...)",
    ),
    "temperature in client_args": (
        lambda: make({"temperature": 0}),
        "client_args must not hold 'temperature'\nHint: give it as params['temperature']",
    ),
    "api_key beside the model": (
        lambda: make(api_key=KEY),
        "the model's configuration must not hold 'api_key'\nHint: give it as client_args['api_key']",
    ),
    "max_retries beside the model": (
        lambda: make(max_retries=3),
        "the model's configuration must not hold 'max_retries'\nHint: give it as client_args['max_retries']",
    ),
    "aws_region beside the model": (
        lambda: make(aws_region="eu-central-1"),
        "the model's configuration must not hold 'aws_region'\nHint: give it as client_args['aws_region']",
    ),
    "max_tokens beside the model": (
        lambda: make(max_tokens=10),
        "the model's configuration must not hold 'max_tokens'\nHint: give it as params['max_tokens']",
    ),
    "max_tokens in one call": (
        lambda: call(max_tokens=10),
        f"{OF_CALL} must not hold 'max_tokens'\nHint: give it as params['max_tokens']",
    ),
    "api_key in params": (
        lambda: make(params={"api_key": KEY}),
        "params must not hold 'api_key'\nHint: give it as client_args['api_key']",
    ),
    "base_url in one call": (
        lambda: call(base_url="http://localhost:1"),
        f"{OF_CALL} must not hold {FIXED}; got ['base_url']\nHint: create another model for them",
    ),
    # Of the SDKs
    "organization": (
        lambda: make({"organization": "org-1"}),
        f"{OF_SDK} 'organization'\nHint: use 'openai_organization'",
    ),
    "instrumentation": (
        lambda: make({"instrumentation": True}),
        f"{OF_SDK} 'instrumentation'\nHint: leave it out: nothing here uses it",
    ),
    "azure_endpoint": (
        lambda: make({"azure_endpoint": "https://a.openai.azure.com"}),
        f"{OF_SDK} 'azure_endpoint'\nHint: use 'azure_resource_name', or 'custom_host'",
    ),
    # Metadata
    "metadata that is no text": (
        lambda: make({"api_key": "pk", "metadata": {"age": 3}}),
        f"client_args['metadata']['age'] must be {SHORT}; got 3",
    ),
    "metadata that is long": (
        lambda: call(api_key="pk", metadata={"_user": "z" * 129}),
        f"{OF_CALL}['metadata']['_user'] must be {SHORT}; got 129 characters",
    ),
}


@pytest.mark.parametrize("name", SLIPS)
def test_a_slip_says_what_was_probably_meant(name):
    use, message = SLIPS[name]

    assert said(use) == [message]


@pytest.mark.parametrize("name", SLIPS)
def test_a_slip_never_shows_a_value_that_may_be_a_key(name):
    assert KEY not in "".join(said(SLIPS[name][0]))


@pytest.mark.parametrize(
    "argument",
    [
        "_strict_response_validation",
        "admin_api_key",
        "default_query",
        "project",
        "webhook_secret",
        "websocket_base_url",
        "workload_identity",
        "azure_ad_token_provider",
    ],
)
def test_an_argument_that_only_an_sdk_uses_is_refused_with_what_there_is_instead(argument):
    [message] = said(lambda: make({argument: KEY}))

    assert message.startswith(f"{OF_SDK} '{argument}'\nHint: ")


@pytest.mark.parametrize(
    "use",
    [
        pytest.param(
            lambda: make(dict.fromkeys(OF_ROUTING)),
            id="all settings",
        ),
        pytest.param(lambda: make({"X-Portkey-Aws-Region": "eu"}), id="another spelling"),
        pytest.param(lambda: make({"brand_new_header": "x", "spam": 1}), id="unknown headers"),
        pytest.param(lambda: make({KEY: "x"}), id="a name that may be a key"),
        pytest.param(lambda: make(params=dict.fromkeys(PARAMS - {"messages", "model", "n"})), id="all parameters"),
        pytest.param(lambda: make(params={"spam": 1, "vllm_xargs": {}, "x": 1}), id="unknown parameters"),
        pytest.param(
            lambda: make(
                params={
                    "additionalModelRequestFields": {"top_k": 9},
                    "additionalModelResponseFieldPaths": ["/stop_sequence"],
                    "guardrailConfig": {"guardrailIdentifier": "g"},
                    "frequencyPenalty": {"scale": 1},
                    "presencePenalty": {"scale": 1},
                    "minTokens": 1,
                }
            ),
            id="parameters in the camel case that the gateway takes",
        ),
        pytest.param(
            lambda: make(params={"min_new_tokens": 1, "repetition_penalty_range": 1024}),
            id="parameters of servers for local models",
        ),
        pytest.param(lambda: make({"config": dict.fromkeys(CONFIG["targets"])}), id="all keys of a config"),
        pytest.param(lambda: make({"config": {"spam": 1, "cache": {"ttl": 1}}}), id="unknown keys of a config"),
        pytest.param(
            lambda: make({"config": {"retry": {"onStatusCodes": [429]}, "overrideParams": {"seed": 1}}}),
            id="a config in camel case",
        ),
        pytest.param(
            lambda: make(
                {
                    "config": {
                        "azureExtraParameters": "drop",
                        "azure_extra_parameters": "drop",
                        "azure_deployment_name": "d",
                        "awsServerSideEncryption": "AES256",
                    }
                }
            ),
            id="keys of a config whose headers have other names",
        ),
        pytest.param(lambda: make({"config": "pc-my-config"}), id="a saved config"),
        pytest.param(lambda: make({"config": {1: 2, "targets": "pc-1"}}), id="a config of another form"),
        pytest.param(lambda: make({"metadata": {"age": 3}}), id="numbers in metadata without a key of Portkey's"),
        pytest.param(lambda: make({"api_key": "pk", "metadata": '{"a":"' + 128 * "b" + '"}'}), id="metadata as text"),
        pytest.param(
            lambda: call(**{**dict.fromkeys(OF_ROUTING), "max_retries": 1}),
            id="all of a call",
        ),
        pytest.param(lambda: make({"strict_openai_compliance": True}), id="a spelling of Portkey's pages"),
    ],
)
def test_what_is_no_slip_says_nothing(use):
    assert said(use) == []


def test_a_warning_names_the_line_that_makes_the_model():
    with pytest.warns(UserWarning, match="did you mean") as caught:
        PortkeyModel({"provder": "openai"}, model_id="m", params={"sede": 1, "temprature": 0})  # type: ignore[dict-item]

    assert [warning.filename for warning in caught] == [__file__, __file__]


def test_each_word_that_a_wire_knows_is_known():
    assert responses._OWN | responses._FIXED.keys() | {*responses._LENGTHS, *dict(responses._NEEDLESS)} <= PARAMS
    assert messages._NO_COUNTERPART.keys() | messages._OTHER_NAMES.keys() | messages._DROPPED <= PARAMS


def test_call_settings_are_all_that_one_call_takes():
    fixed = TokenConfig.__annotations__.keys()

    assert CallSettings.__annotations__.keys() >= PortkeyConfig.__annotations__.keys() - fixed
    assert not fixed & CallSettings.__annotations__.keys()
