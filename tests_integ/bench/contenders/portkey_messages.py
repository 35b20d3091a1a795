"""This package, on the Messages wire."""

from strands_portkey import ClientArgs, PortkeyModel
from tests_integ.bench.contenders import KEY, MODEL


def make(base_url: str) -> PortkeyModel:
    """Return the model."""
    client_args: ClientArgs = {"base_url": base_url, "provider": "anthropic", "Authorization": KEY}
    return PortkeyModel(client_args, model_id=MODEL, api="messages")
