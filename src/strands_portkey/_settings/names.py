"""Names of settings: their spellings, where they belong, and what a misspelt one means."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from functools import lru_cache
from typing import Final, TypeGuard

from strands_portkey._errors import PortkeyConfigError
from strands_portkey._json import is_mapping
from strands_portkey._settings.config import ClientArgs, PortkeyConfig
from strands_portkey._settings.secrets import is_key_as_name, is_name, name_of, type_of
from strands_portkey._settings.words import WIRE_PARAMS

_SETTING_PREFIX: Final = "x_portkey_"
_OTHER_SPELLINGS: Final = {"strict_openai_compliance": "strict_open_ai_compliance"}
# Arguments of the clients of OpenAI's and Portkey's SDK, with what there is instead.
_SDK_ARGS: Final = {
    **dict.fromkeys(
        (
            *("_enforce_credentials", "_strict_response_validation", "admin_api_key", "calculate_audio_duration"),
            *("data_residency", "default_query", "instrumentation", "webhook_secret", "websocket_base_url"),
        ),
        "leave it out: nothing here uses it",
    ),
    "api_version": "use 'azure_api_version'",
    "azure_ad_token_provider": "use 'azure_ad_token', which may be a function",
    "azure_deployment": "use 'azure_deployment_id'",
    "azure_endpoint": "use 'azure_resource_name', or 'custom_host'",
    "organization": "use 'openai_organization'",
    "project": "use 'openai_project'",
    "workload_identity": "use 'Authorization', which may be a function",
}
_NEAR: Final = 0.85  # Farther names are often words of their own: max_new_tokens, top_n.
_SHORTEST: Final = 3
CLIENT_ARGS: Final = frozenset(map(str.lower, ClientArgs.__annotations__))
"""The keys of `ClientArgs`, as `to_setting` returns them."""
_MODEL_ARGS: Final = frozenset({*PortkeyConfig.__annotations__, "http_client", "on_response"})
_ARGUMENTS: Final = CLIENT_ARGS | _MODEL_ARGS | WIRE_PARAMS


def to_settings(where: str, given: object) -> dict[str, object]:
    """Return settings by the names that `ClientArgs` uses, those among ``default_headers`` included."""
    if not is_mapping(given):
        hint = "a model's id is given as model_id=..." if isinstance(given, str) else None
        raise PortkeyConfigError(f"{where} must be a mapping of settings; got {type_of(given)}", hint=hint)
    settings = _by_name(where, given.items())
    if (headers := settings.pop("default_headers", None)) is not None:
        settings = _with_default_headers(where, settings, headers)
    for name in settings.keys() & _SDK_ARGS.keys():
        message = f"{where} must not hold arguments of the OpenAI SDK or Portkey's; got {name!r}"
        raise PortkeyConfigError(message, hint=_SDK_ARGS[name])
    return settings


def to_setting(key: str) -> str:
    """Return a key in the spelling of `ClientArgs`: ``X-Portkey-Trace-Id`` and ``trace-id`` become ``trace_id``."""
    name = key.lower().replace("-", "_").removeprefix(_SETTING_PREFIX)
    return _OTHER_SPELLINGS.get(name, name)


def check_places(where: str, names: Iterable[object], own: Collection[str]) -> None:
    """Raise if one of the names is an argument of something else.

    Args:
        where: What they are given in.
        names: The names in any spelling.
        own: Names that are right there.
    """
    for name in names:
        if isinstance(name, str) and (setting := to_setting(name)) not in own and (place := _place(setting)):
            raise PortkeyConfigError(f"{where} must not hold {name_of(name)}", hint=f"give it as {place}")


def _place(name: str) -> str | None:
    """Return where an argument belongs, or None if nobody knows it."""
    if name in _MODEL_ARGS:
        return f"PortkeyModel({name}=...)"
    if name in CLIENT_ARGS:
        return f"client_args[{name!r}]"
    if name == "model":
        return "PortkeyModel(model_id=...)"
    return f"params[{name!r}]" if name in WIRE_PARAMS else None


def did_you_mean(name: str, known: frozenset[str]) -> str:
    """Return the question that ends a warning of an unknown name; an empty text if it resembles none.

    Args:
        name: The name.
        known: Those that are right in its place. An argument of something else is asked for by its place.
    """
    if not is_name(name) or len(name) < _SHORTEST:
        return ""
    if meant := _meant(to_setting(name), known):
        return f"; did you mean {meant!r}?"
    meant = _meant(to_setting(name), _ARGUMENTS)
    return f"; did you mean {_place(meant)}?" if meant else ""


@lru_cache(maxsize=256)
def _meant(name: str, known: frozenset[str]) -> str | None:
    # Sorted, so that of two that are equally near always the same is taken.
    return next(iter(get_close_matches(name, sorted(known), 1, _NEAR)), None)


def _by_name(where: str, given: Iterable[tuple[object, object]]) -> dict[str, object]:
    settings: dict[str, object] = {}
    for spelling, value in given:
        if not isinstance(spelling, str) or is_key_as_name(spelling):
            raise PortkeyConfigError(f"{where} must have names of settings; got {name_of(spelling)}")
        name = to_setting(spelling)
        if name in settings:
            raise PortkeyConfigError(
                f"{where} must hold each setting once; got {name_of(name)} twice, also as {name_of(spelling)}"
            )
        settings[name] = value
    return settings


def _with_default_headers(where: str, settings: Mapping[str, object], headers: object) -> dict[str, object]:
    """Return settings with those among the headers that the OpenAI SDK sends with each request."""
    if not is_mapping(headers):
        message = f"{where}['default_headers'] must be a mapping of names to texts; got {type_of(headers)}"
        raise PortkeyConfigError(message)
    among = {name: value for name, value in headers.items() if is_portkey_header(name)}
    others = {name: value for name, value in headers.items() if name not in among}
    by_name = _by_name(f"{where}['default_headers']", among.items())
    # The SDK sends its key as that of the provider.
    renamed = {"api_key": "authorization"} if "api_key" in by_name else {}
    given = [(renamed.get(name, name), value) for name, value in settings.items()]
    return _by_name(where, [*given, *by_name.items(), *({"headers": others}.items() if others else ())])


def is_portkey_header(name: object) -> TypeGuard[str]:
    """Whether a name is that of one of Portkey's headers."""
    return isinstance(name, str) and name.lower().replace("-", "_").startswith(_SETTING_PREFIX)
