"""Names of settings in any spelling."""

from __future__ import annotations

from typing import Final

from strands_portkey._errors import PortkeyConfigError
from strands_portkey._json import is_mapping
from strands_portkey._settings.secrets import is_key_as_name, name_of, type_of

_SDK_ARGS: Final = frozenset({"default_headers", "default_query", "organization"})


def to_settings(where: str, given: object) -> dict[str, object]:
    """Return settings by the names that `ClientArgs` uses."""
    if not is_mapping(given):
        raise PortkeyConfigError(f"{where} must be a mapping of settings; got {type_of(given)}")
    settings: dict[str, object] = {}
    for spelling, value in given.items():
        if not isinstance(spelling, str) or is_key_as_name(spelling):
            raise PortkeyConfigError(f"{where} must have names of settings; got {name_of(spelling)}")
        name = to_setting(spelling)
        if name in settings:
            raise PortkeyConfigError(
                f"{where} must hold each setting once; got {name_of(name)} twice, also as {name_of(spelling)}"
            )
        settings[name] = value
    if misplaced := sorted(settings.keys() & _SDK_ARGS):
        hint = "use 'headers' for default_headers"
        raise PortkeyConfigError(f"{where} must not hold arguments of the OpenAI SDK; got {misplaced}", hint=hint)
    return settings


def to_setting(key: str) -> str:
    """Return a key in the spelling of `ClientArgs`: ``X-Portkey-Trace-Id`` and ``trace-id`` become ``trace_id``."""
    return key.lower().replace("-", "_").removeprefix("x_portkey_")
