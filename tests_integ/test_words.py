"""The words that are known to this package, compared with those of OpenAI's SDK."""

from __future__ import annotations

import inspect

from openai import AsyncOpenAI
from openai.types.chat import completion_create_params as chat
from openai.types.responses import response_create_params as responses

from strands_portkey._settings.names import _SDK_ARGS, CLIENT_ARGS
from strands_portkey._settings.words import WIRE_PARAMS


def test_each_parameter_of_chat_completions_and_responses_is_known() -> None:
    assert chat.CompletionCreateParamsBase.__annotations__.keys() <= WIRE_PARAMS
    assert responses.ResponseCreateParamsBase.__annotations__.keys() <= WIRE_PARAMS


def test_each_argument_of_the_client_is_a_setting_or_refused() -> None:
    arguments = inspect.signature(AsyncOpenAI).parameters.keys() - {"http_client"}

    assert arguments <= CLIENT_ARGS | _SDK_ARGS.keys()
