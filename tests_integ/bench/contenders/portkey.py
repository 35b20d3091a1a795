"""This package."""

from strands_portkey import PortkeyModel
from tests_integ.bench.contenders import KEY, MODEL


def make(base_url: str) -> PortkeyModel:
    """Return the model."""
    return PortkeyModel({"base_url": base_url, "provider": "openai", "Authorization": KEY}, model_id=MODEL)
