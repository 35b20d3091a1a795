"""A Strands Agents model provider for the Portkey AI gateway, built on httpx."""

from strands_portkey._answer.metadata import ResponseMetadata
from strands_portkey._errors import (
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
from strands_portkey._log import switch_on as _switch_on
from strands_portkey._settings.config import ClientArgs, HttpxAuth, PortkeyConfig, Timeouts
from strands_portkey._version import __version__
from strands_portkey.model import PortkeyModel

__all__ = [
    "ClientArgs",
    "HttpxAuth",
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

_switch_on()
