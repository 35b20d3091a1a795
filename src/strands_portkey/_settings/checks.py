"""Checks of the model's configuration."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable, Mapping
from typing import Final, get_args

from strands.models.model import CacheConfig

from strands_portkey._errors import PortkeyConfigError
from strands_portkey._json import is_list, is_mapping
from strands_portkey._settings.config import Api, ClientArgs, PortkeyConfig
from strands_portkey._settings.secrets import masked, name_of, shown
from strands_portkey._settings.upstreams import find_upstreams

# Arguments of the OpenAI SDK's methods, which do not send them as they are.
_SDK_PARAMS: Final = frozenset({"extra_body", "extra_headers", "extra_query", "timeout"})


def check_model_config(model_config: Mapping[str, object]) -> None:
    """Check the given keys of a `PortkeyConfig`, and warn about unknown keys."""
    model_config = {name: masked(value) for name, value in model_config.items()}
    known = PortkeyConfig.__annotations__.keys()
    if misplaced := sorted(model_config.keys() & ClientArgs.__annotations__.keys()):
        raise PortkeyConfigError(
            f"{', '.join(misplaced)} must be given in client_args; got in the model's configuration"
        )
    if unknown := model_config.keys() - known:
        names = ", ".join(map(name_of, sorted(unknown)))
        message = f"unknown configuration keys {names} are ignored; known are {sorted(known)}"
        warnings.warn(message, stacklevel=3)  # The caller of PortkeyModel() or update_config().
    for key, check in _CHECKS.items():
        if key in model_config and (wanted := check(value := model_config[key])):
            raise PortkeyConfigError(f"{key} must be {wanted}; got {shown(value)}")


def known_config(model_config: Mapping[str, object]) -> dict[str, object]:
    """Return the known keys of a configuration; the others have no effect and may hold a misplaced key."""
    return {name: value for name, value in model_config.items() if name in PortkeyConfig.__annotations__}


def _check_params(value: object) -> str | None:
    if value is None:
        return None
    if not is_mapping(value):
        return "a mapping of request parameters"
    if value.get("n", 1) != 1:
        return "without 'n' other than 1, since a Strands message holds one answer"
    if "messages" in value or "model" in value:
        return "without 'messages' (the agent's) and 'model' (model_id)"
    if value.keys() & _SDK_PARAMS:
        return f"without {sorted(_SDK_PARAMS)}, which only the OpenAI SDK supports"
    return None if _is_json_value(value) else "JSON values throughout"


def _is_json_value(value: object) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def _check_upstream(value: object) -> str | None:
    if isinstance(value, str):
        find_upstreams(value, {}, "")  # Raises if the name is unknown.
    elif value is not None:
        return "a provider's name, such as 'anthropic'"
    return None


def _check_phrases(value: object) -> str | None:
    wanted = "a list of regular expressions"
    if not is_list(value):
        return wanted
    try:  # As text only: a compiled pattern has its own flags.
        valid = all(isinstance(phrase, str) and re.compile(phrase) for phrase in value)
    except re.error:
        return wanted
    return None if valid else wanted


def _wants(wanted: str, fits: Callable[[object], bool]) -> Callable[[object], str | None]:
    return lambda value: None if fits(value) else wanted


_BOOL: Final = _wants("True or False", lambda value: isinstance(value, bool))
# Each returns a description of valid values, or None if the value is valid.
_CHECKS: Final[Mapping[str, Callable[[object], str | None]]] = {
    "api": _wants("'auto', 'chat', 'responses' or 'messages'", lambda value: value in get_args(Api)),
    "cache_config": _wants(
        "Strands' CacheConfig, or None", lambda value: value is None or isinstance(value, CacheConfig)
    ),
    "context_overflow_phrases": _check_phrases,
    "context_window_limit": _wants(
        "a positive number of tokens, or None", lambda value: value is None or (type(value) is int and value > 0)
    ),
    "model_id": _wants("a model's id, such as 'gpt-4o'", lambda value: isinstance(value, str) and bool(value.strip())),
    "native_token_count": _BOOL,
    "on_guardrail": _wants("'stop' or 'raise'", lambda value: value in ("stop", "raise")),
    "params": _check_params,
    "stream": _BOOL,
    "thinking_tags": _BOOL,
    "tracing": _BOOL,
    "upstream": _check_upstream,
}
