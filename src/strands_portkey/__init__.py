"""A Strands Agents model provider for the Portkey AI gateway, built on httpx."""

from strands_portkey._answer.metadata import ResponseMetadata
from strands_portkey._errors import (
    Clock,
    Origin,
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
from strands_portkey._settings.config import (
    Api,
    CallSettings,
    ClientArgs,
    Headers,
    HttpxAuth,
    HttpxTimeout,
    PortkeyConfig,
    PortkeyConfigUpdate,
    RequestConfig,
    RoutingArgs,
    Timeouts,
    TokenConfig,
    UnknownKey,
)
from strands_portkey._settings.providers import ProviderArgs, Text
from strands_portkey._version import __version__
from strands_portkey.model import OnResponse, PortkeyModel

__all__ = [
    "Api",
    "CallSettings",
    "ClientArgs",
    "Clock",
    "Headers",
    "HttpxAuth",
    "HttpxTimeout",
    "OnResponse",
    "Origin",
    "PortkeyAPIError",
    "PortkeyConfig",
    "PortkeyConfigError",
    "PortkeyConfigUpdate",
    "PortkeyConnectionError",
    "PortkeyContextOverflowError",
    "PortkeyError",
    "PortkeyGuardrailError",
    "PortkeyModel",
    "PortkeyStreamError",
    "PortkeyThrottledError",
    "PortkeyTimeoutError",
    "ProviderArgs",
    "RequestConfig",
    "ResponseMetadata",
    "RoutingArgs",
    "Text",
    "Timeouts",
    "TokenConfig",
    "UnknownKey",
    "__version__",
]

_switch_on()
