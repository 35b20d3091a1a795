"""Reach any model through a Portkey gateway from a Strands agent, with nothing but httpx in between."""

from ._config import ClientArgs, PortkeyConfig, Timeouts
from ._errors import (
    PortkeyAPIError,
    PortkeyConfigError,
    PortkeyConnectionError,
    PortkeyContextOverflowError,
    PortkeyError,
    PortkeyGuardrailError,
    PortkeyStreamError,
    PortkeyThrottledError,
    PortkeyTimeoutError,
)
from ._headers import ResponseMetadata
from ._version import __version__
from .model import PortkeyModel

__all__ = [
    "ClientArgs",
    "PortkeyAPIError",
    "PortkeyConfig",
    "PortkeyConfigError",
    "PortkeyConnectionError",
    "PortkeyContextOverflowError",
    "PortkeyError",
    "PortkeyGuardrailError",
    "PortkeyModel",
    "PortkeyStreamError",
    "PortkeyThrottledError",
    "PortkeyTimeoutError",
    "ResponseMetadata",
    "Timeouts",
    "__version__",
]
