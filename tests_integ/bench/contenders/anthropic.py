"""Strands' model for Anthropic with a custom `base_url`, as its documentation shows it.

It makes its client once, and so keeps its connections as one of the caller's own would.
"""

from strands.models.anthropic import AnthropicModel

from tests_integ.bench.contenders import KEY, MODEL


def make(base_url: str) -> AnthropicModel:
    """Return the model."""
    client_args = {"base_url": base_url.removesuffix("/v1"), "api_key": KEY}
    return AnthropicModel(client_args=client_args, model_id=MODEL, max_tokens=100)
