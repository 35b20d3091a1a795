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
from strands_portkey._settings.config import Api, PortkeyConfig
from strands_portkey._settings.endpoint import environment
from strands_portkey._settings.names import check_places, did_you_mean
from strands_portkey._settings.secrets import masked, name_of, shown
from strands_portkey._settings.slips import find_param_slips
from strands_portkey._settings.upstreams import find_upstreams
from strands_portkey._settings.words import PARAMS

_KNOWN: Final = frozenset(PortkeyConfig.__annotations__)
# Arguments of the OpenAI SDK's methods, which do not send them as they are.
_SDK_PARAMS: Final = frozenset({"extra_body", "extra_headers", "extra_query", "timeout"})


def check_model_config(model_config: Mapping[str, object]) -> None:
    """Check the given keys of a `PortkeyConfig`, and warn about unknown keys."""
    model_config = {name: masked(value) for name, value in model_config.items()}
    check_places("the model's configuration", model_config, own=_KNOWN)
    found = [
        f"unknown configuration key {name_of(name)} is ignored"
        + (did_you_mean(name, _KNOWN) or f"; known are {sorted(_KNOWN)}")
        for name in sorted(model_config.keys() - _KNOWN)
    ]
    if is_mapping(params := model_config.get("params")):
        check_places("params", params, own=PARAMS)
        found += find_param_slips(params)
    for message in found:
        warnings.warn(message, stacklevel=3)  # The caller of PortkeyModel() or update_config().
    for key, check in _CHECKS.items():
        if key in model_config and (wanted := check(value := model_config[key])):
            raise PortkeyConfigError(f"{key} must be {wanted}; got {shown(value)}")


def with_model_id(model_config: Mapping[str, object]) -> dict[str, object]:
    """Return a configuration with the environment's model if it names none."""
    if model_config.get("model_id") is None:
        named = str.__str__(environment("PORTKEY_MODEL"))  # Not masked: a model's id is no key.
        return {**model_config, "model_id": named or None}
    return dict(model_config)


def known_config(model_config: Mapping[str, object]) -> dict[str, object]:
    """Return the known keys of a configuration; the others have no effect and may hold a misplaced key."""
    return {name: value for name, value in model_config.items() if name in _KNOWN}


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
    "model_id": _wants(
        "a model's id, such as 'gpt-4o', if PORTKEY_MODEL holds none",
        lambda value: isinstance(value, str) and bool(value.strip()),
    ),
    "native_token_count": _BOOL,
    "on_guardrail": _wants("'stop' or 'raise'", lambda value: value in ("stop", "raise")),
    "params": _check_params,
    "stream": _BOOL,
    "thinking_tags": _BOOL,
    "tracing": _BOOL,
    "upstream": _check_upstream,
}
