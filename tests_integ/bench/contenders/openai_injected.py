"""Strands' model for OpenAI with a client of the caller's, which keeps its connections."""

from openai import AsyncOpenAI  # type: ignore[import-not-found,unused-ignore]  # Only the bench installs it.
from strands.models.openai import OpenAIModel

from tests_integ.bench.contenders import KEY, MODEL


def make(base_url: str) -> OpenAIModel:
    """Return the model."""
    return OpenAIModel(client=AsyncOpenAI(base_url=base_url, api_key=KEY), model_id=MODEL)
