"""Strands' model for OpenAI's Responses with a custom `base_url`, as its documentation shows it.

It takes no client of the caller's, and makes one for each call. A call of a tool it hands on only when it is whole.
"""

from strands.models.openai_responses import OpenAIResponsesModel

from tests_integ.bench.contenders import KEY, MODEL


def make(base_url: str) -> OpenAIResponsesModel:
    """Return the model."""
    return OpenAIResponsesModel(client_args={"base_url": base_url, "api_key": KEY}, model_id=MODEL)


WITHHOLDS_CALLS = True
