"""Strands' model for LiteLLM, asking a server that speaks OpenAI's chat completions."""

from strands.models.litellm import LiteLLMModel

from tests_integ.bench.contenders import KEY, MODEL


def make(base_url: str) -> LiteLLMModel:
    """Return the model."""
    return LiteLLMModel(client_args={"base_url": base_url, "api_key": KEY}, model_id=f"openai/{MODEL}")
