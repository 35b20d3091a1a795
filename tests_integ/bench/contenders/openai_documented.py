"""Strands' model for OpenAI with a custom `base_url`, as its documentation shows it."""

from strands.models.openai import OpenAIModel

from tests_integ.bench.contenders import KEY, MODEL


def make(base_url: str) -> OpenAIModel:
    """Return the model."""
    return OpenAIModel(client_args={"base_url": base_url, "api_key": KEY}, model_id=MODEL)
