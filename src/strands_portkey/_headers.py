"""Routing keys to request headers, and response headers to what the gateway says of itself."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from pydantic import JsonValue

from ._errors import PortkeyConfigError
from ._version import __version__

_PREFIX: Final = "x-portkey-"
_BASE: Final = {
    "content-type": "application/json",
    "accept": "text/event-stream, application/json",
    # Compression would hold a stream back, and the gateway never compresses.
    "accept-encoding": "identity",
    "user-agent": f"strands-agents-portkey/{__version__}",
    # The gateway drops reasoning unless it is told so; it knows this one spelling.
    "x-portkey-strict-open-ai-compliance": "false",
}
# Keys whose value is JSON, although it may be given as text.
_JSON_KEYS: Final = frozenset({"config", "metadata"})
_SECRET_HEADERS: Final = frozenset({"authorization", "api-key", "virtual-key"})


@dataclass(frozen=True)
class ResponseMetadata:
    """What the gateway says of one request.

    See https://portkey.ai/docs/api-reference/inference-api/response-schema.

    Attributes:
        status_code: HTTP status; 246 where a guardrail failed without denying.
        trace_id: Id in Portkey's logs. The open-source gateway gives back the one it was sent.
        provider: The provider that answered.
        model: The model that answered, as the answer names it.
        cache_status: ``HIT``, ``SEMANTIC HIT``, ``MISS``, ``DISABLED``, ``REFRESH`` and so on.
        retry_attempt_count: Retries that the gateway made; -1 where it gave up.
        last_used_option_index: Which target of the config answered, such as ``config.targets[1]``.
        hook_results: Verdicts of guardrails, as the gateway sent them.
        headers: All ``x-portkey-*`` headers of the answer, in lower case.
    """

    status_code: int
    trace_id: str | None = None
    provider: str | None = None
    model: str | None = None
    cache_status: str | None = None
    retry_attempt_count: int | None = None
    last_used_option_index: str | None = None
    hook_results: Mapping[str, JsonValue] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


def response_metadata(
    status_code: int,
    headers: Mapping[str, str],
    *,
    model: str | None = None,
    hook_results: Mapping[str, JsonValue] | None = None,
) -> ResponseMetadata:
    """Read an answer's headers, whose names must be in lower case."""
    retries = headers.get("x-portkey-retry-attempt-count") or ""
    return ResponseMetadata(
        status_code=status_code,
        trace_id=headers.get("x-portkey-trace-id") or None,
        provider=headers.get("x-portkey-provider") or None,
        model=model,
        cache_status=headers.get("x-portkey-cache-status") or None,
        retry_attempt_count=int(retries) if retries.removeprefix("-").isdecimal() else None,
        last_used_option_index=headers.get("x-portkey-last-used-option-index") or None,
        hook_results=hook_results or {},
        headers={name: value for name, value in headers.items() if name.startswith(_PREFIX)},
    )


def request_headers(routing: Mapping[str, object]) -> dict[str, str]:
    """Build the headers of a request.

    Args:
        routing: The routing keys of `ClientArgs`, with callables already called.

    Returns:
        Header values by lower-case name.

    Raises:
        PortkeyConfigError: If a value cannot be sent.
    """
    headers = dict(_BASE)
    forwarded = {name.lower().replace("_", "-") for name in _names(routing.get("forward_headers"))}
    for key, value in routing.items():
        name = key.lower().replace("_", "-").removeprefix(_PREFIX)
        if value is None:
            continue
        if name == "headers":
            headers.update(_extra_headers(value))
        elif name == "authorization":
            headers[name] = _checked(key, _authorization(value))
        else:
            headers[name if name in forwarded else _PREFIX + name] = _checked(key, _to_text(key, name, value))
    return headers


def secrets(headers: Mapping[str, str]) -> list[str]:
    """Return the values among request headers that no message may show."""
    values = [value for name, value in headers.items() if name.removeprefix(_PREFIX) in _SECRET_HEADERS]
    return [value.rpartition(" ")[2] for value in values]


def _names(value: object) -> list[str]:
    """Return the names of a comma list, given as text or as a list."""
    if isinstance(value, str):
        return [name.strip() for name in value.split(",") if name.strip()]
    return [str(name) for name in value] if isinstance(value, Sequence) else []


def _authorization(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise PortkeyConfigError("client_args['Authorization'] is blank or no text; wanted is the provider's key")
    return value if " " in value.strip() else f"Bearer {value.strip()}"


def _extra_headers(value: object) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise PortkeyConfigError(f"client_args['headers'] is {type(value).__name__}; wanted is a mapping")
    return {str(name).lower(): _checked(f"headers[{name!r}]", str(text)) for name, text in value.items()}


def _to_text(key: str, name: str, value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if name in _JSON_KEYS:
        return _to_json(key, name, value)
    if isinstance(value, Mapping):
        return _dump(key, value)
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        plain = all(isinstance(item, str) for item in value)
        return ",".join(_names(value)) if plain else _dump(key, value)
    if not isinstance(value, (str, int, float)):
        raise PortkeyConfigError(f"client_args[{key!r}] is {type(value).__name__}; wanted is text, a number or a bool")
    return str(value)


def _to_json(key: str, name: str, value: object) -> str:
    """Return ASCII JSON of an object; the id of a saved config stays as it is."""
    if isinstance(value, str):
        if name == "config" and not value.lstrip().startswith("{"):
            return value
        try:
            value = json.loads(value)
        except ValueError as error:
            raise PortkeyConfigError(f"client_args[{key!r}] is no JSON: {error}") from None
    if not isinstance(value, Mapping):
        raise PortkeyConfigError(f"client_args[{key!r}] is {type(value).__name__}; wanted is a mapping or its JSON")
    return _dump(key, value)


def _dump(key: str, value: object) -> str:
    # ASCII, because the gateway reads headers as Latin-1.
    try:
        return json.dumps(value, separators=(",", ":"), allow_nan=False, default=_plain)
    except (TypeError, ValueError, RecursionError) as error:
        raise PortkeyConfigError(f"client_args[{key!r}] cannot be sent as JSON: {error}") from None


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is no JSON value")


def _checked(key: str, text: str) -> str:
    if not text.isascii() or not text.isprintable():
        # The text itself may be a key and stays out of the message.
        message = f"client_args[{key!r}] holds line breaks or characters outside ASCII, which a header cannot carry"
        raise PortkeyConfigError(message)
    return text.strip()
