# pyright: strict, reportUnnecessaryTypeIgnoreComment=true
"""The public names as a type checker sees it. Checked by mypy and pyright, never run.

An ignore is a promise as well: both checkers complain when what it stands beside is no error.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Any

import httpx
from pydantic import BaseModel, JsonValue
from strands import Agent
from strands.models.model import CacheConfig, Model
from strands.types.content import Messages
from strands.types.event_loop import Usage
from strands.types.exceptions import ContextWindowOverflowException, ModelThrottledException
from strands.types.streaming import StreamEvent
from typing_extensions import assert_type

import strands_portkey
from strands_portkey import (
    CallSettings,
    ClientArgs,
    Clock,
    OnResponse,
    PortkeyAPIError,
    PortkeyConfig,
    PortkeyConfigError,
    PortkeyConnectionError,
    PortkeyContextOverflowError,
    PortkeyError,
    PortkeyGuardrailError,
    PortkeyModel,
    PortkeyStreamError,
    PortkeyThrottledError,
    PortkeyTimeoutError,
    ResponseMetadata,
    Timeouts,
)

MESSAGES: Messages = [{"role": "user", "content": [{"text": "What is the capital of France?"}]}]


class City(BaseModel):
    name: str


# -- making a model ----------------------------------------------------------------------------------------------------


def key() -> str:
    return "pk-1"


async def fresh_key() -> str:
    return "pk-2"


def headers() -> Mapping[str, str]:
    return {"x-team": "search"}


def an_agent_takes_a_model() -> Agent:
    return Agent(model=PortkeyModel(model_id="gpt-4o"))


def a_model_is_one_of_strands() -> Model:
    return PortkeyModel(None, model_id="gpt-4o")


def settings_are_given_in_place() -> PortkeyModel:
    return PortkeyModel(
        {"base_url": "http://localhost:8787/v1", "provider": "openai", "Authorization": "sk-1"},
        model_id="gpt-4o",
        params={"temperature": 0.7, "stop": ["END"], "response_format": {"type": "json_object"}},
        stream=False,
        cache_config=CacheConfig(strategy="auto"),
        context_window_limit=128_000,
        upstream="openai",
        on_guardrail="raise",
        context_overflow_phrases=["too many words"],
    )


def settings_are_given_by_name() -> PortkeyModel:
    clocks: Timeouts = {"connect": 3, "first_byte": 60.0, "idle": None}
    client_args: ClientArgs = {
        "api_key": key,
        "Authorization": fresh_key,
        "config": {"strategy": {"mode": "fallback"}, "targets": [{"provider": "openai"}, {"provider": "groq"}]},
        "metadata": {"_user": "zoe"},
        "forward_headers": ["x-team"],
        "sensitive_headers": "x-team",
        "headers": headers,
        "timeout": clocks,
        "verify": False,
        "cert": ("client.pem", "client.key"),
        "proxy": None,
    }
    return PortkeyModel(client_args=client_args, model_id="gpt-4o")


def settings_of_a_provider_have_names_too() -> PortkeyModel:
    return PortkeyModel({"provider": "bedrock", "aws_region": "eu-central-1", "aws_session_token": key}, model_id="c")


def settings_without_a_name_of_their_own_come_in_a_mapping(loaded: dict[str, Any]) -> list[PortkeyModel]:
    client_args: dict[str, Any] = {"provider": "new", "new_region": "eu-central-1"}
    return [PortkeyModel(client_args, model_id="m"), PortkeyModel({**client_args, **loaded}, model_id="m")]


def headers_of_portkeys_sdk_are_taken() -> PortkeyModel:
    return PortkeyModel({"default_headers": {"x-portkey-provider": "openai"}}, model_id="gpt-4o")


def the_environment_may_name_the_model() -> PortkeyModel:
    return PortkeyModel({"provider": "openai"})


def the_configuration_is_a_typed_dict() -> PortkeyModel:
    config: PortkeyConfig = {"model_id": "gpt-4o", "params": {"seed": 7}}
    return PortkeyModel(**config)


def clocks_of_httpx_are_taken() -> PortkeyModel:
    return PortkeyModel({"timeout": httpx.Timeout(5)}, model_id="gpt-4o")


def a_client_of_the_callers_own_is_taken(client: httpx.AsyncClient) -> PortkeyModel:
    return PortkeyModel(model_id="gpt-4o", http_client=client)


def a_function_that_makes_a_client_is_taken() -> list[PortkeyModel]:
    return [
        PortkeyModel(model_id="gpt-4o", http_client=httpx.AsyncClient),
        PortkeyModel(model_id="gpt-4o", http_client=lambda: httpx.AsyncClient(http2=True)),
    ]


def an_auth_is_taken(auth: httpx.Auth) -> list[PortkeyModel]:
    given: ClientArgs = {"auth": auth}
    made: ClientArgs = {"auth": lambda: httpx.BasicAuth("user", "password")}
    return [
        PortkeyModel(given, model_id="gpt-4o"),
        PortkeyModel(made, model_id="gpt-4o"),
        PortkeyModel({"auth": httpx.DigestAuth("user", "password")}, model_id="gpt-4o"),
    ]


def another_auth_is_refused() -> ClientArgs:
    return {"auth": ("user", "password")}  # type: ignore[typeddict-item]


def keep(answer: ResponseMetadata) -> None:
    assert_type(answer.status_code, int | None)
    assert_type(answer.usage, Usage | None)
    assert_type(answer.latency_ms, int)
    assert_type(answer.time_to_first_byte_ms, int | None)
    assert_type(answer.request_id, str | None)
    assert_type(answer.trace_id, str | None)
    assert_type(answer.retry_attempt_count, int | None)
    assert_type(answer.last_used_option_index, str | None)
    assert_type(answer.headers, Mapping[str, str])
    assert_type(answer.hook_results, Mapping[str, JsonValue])


async def keep_later(answer: ResponseMetadata) -> None:
    keep(answer)


def a_function_for_facts_has_a_type(on_response: OnResponse) -> PortkeyModel:
    return PortkeyModel(model_id="gpt-4o", on_response=on_response)


def the_gateways_facts_go_to_a_sync_or_async_function() -> list[PortkeyModel]:
    return [
        PortkeyModel(model_id="gpt-4o", on_response=print),
        PortkeyModel(model_id="gpt-4o", on_response=keep),
        PortkeyModel(model_id="gpt-4o", on_response=keep_later),
    ]


# -- using it ----------------------------------------------------------------------------------------------------------


def the_configuration_changes(model: PortkeyModel) -> None:
    model.update_config(model_id="gpt-4o-mini", params={"temperature": 0})
    model.update_config(model_id="gpt-4o", stream=False)
    assert_type(model.get_config(), PortkeyConfig)
    assert_type(model.get_config()["model_id"], str)
    assert_type(model.config, PortkeyConfig)


async def events_come_one_by_one(model: PortkeyModel) -> None:
    events = model.stream(MESSAGES, system_prompt="Answer in one word.")
    assert_type(events, AsyncGenerator[StreamEvent, None])
    async for event in events:
        assert_type(event, StreamEvent)


async def an_answer_fits_a_model(model: PortkeyModel) -> City:
    async for event in model.structured_output(City, MESSAGES):
        city = event.get("output")
        if isinstance(city, City):
            return city
    raise LookupError


async def a_model_closes_at_the_end_of_a_block() -> None:
    async with PortkeyModel(model_id="gpt-4o") as model:
        assert_type(model, PortkeyModel)
    await model.aclose()


def a_call_is_routed_by_itself(agent: Agent) -> None:
    agent("Hello", invocation_state={"portkey": {"trace_id": "order-4711", "params": {"temperature": 0}}})
    settings: CallSettings = {"trace_id": "order-4711", "max_retries": 0, "api": "chat", "aws_region": "eu-west-1"}
    agent("Hello", invocation_state={"portkey": settings})


def failures_are_told_apart(agent: Agent) -> None:
    try:
        agent("Hello")
    except PortkeyThrottledError as error:
        strands_retries: ModelThrottledException = error
        raise strands_retries from None
    except PortkeyContextOverflowError as error:
        strands_reduces: ContextWindowOverflowException = error
        raise strands_reduces from None
    except PortkeyGuardrailError as error:
        assert_type(error.denial, str)
        assert_type(error.hook_results, Mapping[str, JsonValue] | None)
    except PortkeyAPIError as error:
        assert_type(error.status_code, int | None)
        assert_type(error.retry_after, float | None)
        assert_type(error.body, str)
    except PortkeyTimeoutError as error:
        assert_type(error.clock, Clock)
        assert_type(error.seconds, float)
    except (PortkeyConnectionError, PortkeyStreamError) as error:
        assert_type(error.received, int)
    except PortkeyConfigError as error:
        wrong_value: ValueError = error
        raise wrong_value from None
    except PortkeyError as error:
        assert_type(error.hint, str | None)
        assert_type(error.retryable, bool)


def the_version_is_text() -> None:
    assert_type(strands_portkey.__version__, str)


# -- what a checker must refuse ----------------------------------------------------------------------------------------


def a_misspelt_setting_is_found() -> None:
    PortkeyModel(model_id="gpt-4o", temperature=0)  # type: ignore[call-arg]


def a_misspelt_setting_of_the_gateway_is_found_where_it_is_written() -> None:
    PortkeyModel({"provder": "openai"}, model_id="gpt-4o")  # type: ignore[dict-item]
    PortkeyModel({"aws_regoin": "eu-central-1"}, model_id="gpt-4o")  # type: ignore[dict-item]
    PortkeyModel({"timeout": {"frist_byte": 3}}, model_id="gpt-4o")  # type: ignore[dict-item]
    client_args: ClientArgs = {"tiemout": 3}  # type: ignore[typeddict-unknown-key]
    PortkeyModel(client_args, model_id="gpt-4o")
    # The fixed connection is none of a call's settings.
    settings: CallSettings = {"base_url": "http://localhost:8787"}  # type: ignore[typeddict-unknown-key]
    assert_type(settings, CallSettings)


def a_mapping_of_other_values_needs_a_type(client_args: dict[str, object]) -> None:
    PortkeyModel(client_args, model_id="gpt-4o")  # type: ignore[arg-type]


def a_wrong_value_is_found(model: PortkeyModel) -> None:
    PortkeyModel(model_id="gpt-4o", on_guardrail="ignore")  # type: ignore[arg-type]
    model.update_config(model_id="gpt-4o", stream="yes")  # type: ignore[arg-type]


def a_callback_takes_the_gateways_facts() -> None:
    PortkeyModel(model_id="gpt-4o", on_response=len)  # type: ignore[arg-type]


def facts_are_not_changed(answer: ResponseMetadata) -> None:
    answer.status_code = 200  # type: ignore[misc]
