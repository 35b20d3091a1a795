"""What one invocation of an agent changes: `invocation_state["portkey"]`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, cast

from pydantic_core import from_json

from strands_portkey._errors import PortkeyConfigError
from strands_portkey._json import is_mapping
from strands_portkey._settings.config import ENDPOINT_KEYS, PortkeyConfig, check_model_config, to_settings
from strands_portkey._settings.secrets import masked

_OF_MODEL: Final = frozenset({"context_window_limit", "native_token_count"})  # Strands asks for these without a call.


def for_call(
    routing: Mapping[str, object], config: PortkeyConfig, invocation_state: Mapping[str, object] | None
) -> tuple[Mapping[str, object], PortkeyConfig]:
    """Return the model's routing and configuration, changed for one call.

    The key ``portkey`` of the invocation's state holds routing settings and keys of `PortkeyConfig`. ``metadata`` and
    ``params`` are merged over the model's, the others replace them.

    Raises:
        PortkeyConfigError: If a setting makes no sense for one call, such as ``base_url``, or has a wrong value.
    """
    given = masked((invocation_state or {}).get("portkey"))
    if given is None:
        return routing, config
    settings = to_settings("invocation_state['portkey']", given)
    if fixed := sorted(settings.keys() & (ENDPOINT_KEYS | _OF_MODEL)):
        message = f"invocation_state['portkey'] holds {fixed}, which a model has for good; make another model for it"
        raise PortkeyConfigError(message)
    changes = {name: settings.pop(name) for name in PortkeyConfig.__annotations__ if name in settings}
    check_model_config(changes)
    if is_mapping(params := changes.pop("params", None)):
        changes["params"] = dict(config.get("params") or {}) | dict(params)
    if "metadata" in settings:
        settings["metadata"] = _merged_metadata(routing.get("metadata"), settings["metadata"])
    return {**routing, **settings}, cast("PortkeyConfig", {**config, **changes})


def _merged_metadata(known: object, latest: object) -> object:
    """Return metadata with the latest over the known; what is no object is left for the headers to refuse."""
    objects = [_to_object(metadata) for metadata in (known, latest)]
    if all(is_mapping(metadata) for metadata in objects):
        return {name: value for metadata in objects if is_mapping(metadata) for name, value in metadata.items()}
    return latest


def _to_object(metadata: object) -> object:
    if metadata is None:
        return {}
    try:
        return masked(from_json(metadata)) if isinstance(metadata, str) else metadata
    except ValueError:
        return metadata
