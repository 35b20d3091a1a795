"""This package, each call of which is one attempt."""

from strands_portkey import ClientArgs, PortkeyModel
from tests_integ.bench.contenders import KEY, MODEL


def make(base_url: str) -> PortkeyModel:
    """Return the model."""
    client_args: ClientArgs = {"base_url": base_url, "provider": "openai", "Authorization": KEY, "max_retries": 0}
    return PortkeyModel(client_args, model_id=MODEL)
