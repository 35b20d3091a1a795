"""What one invocation of an agent changes: `invocation_state["portkey"]`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, cast

from pydantic import JsonValue
from pydantic_core import from_json

from ._config import ENDPOINT_KEYS, PortkeyConfig, check_model_config, is_mapping, to_setting
from ._errors import PortkeyConfigError

KEY: Final = "portkey"
_WANTED: Final = "a mapping of routing keys of client_args, 'model_id' and 'params'"


def for_call(
    routing: Mapping[str, object], config: PortkeyConfig, invocation_state: Mapping[str, object] | None
) -> tuple[Mapping[str, object], PortkeyConfig]:
    """Return the routing and the configuration of one call.

    Args:
        routing: The model's routing settings.
        config: The model's configuration.
        invocation_state: What the agent was called with; its key ``portkey`` holds routing settings, ``model_id``
            and ``params``. ``metadata`` and ``params`` are merged over the model's, the others replace them.

    Returns:
        Both, changed for this call alone.

    Raises:
        PortkeyConfigError: If a setting makes no sense for one call, such as ``base_url``, or has a wrong value.
    """
    given = (invocation_state or {}).get(KEY)
    if given is None:
        return routing, config
    if not is_mapping(given):
        message = f"invocation_state[{KEY!r}] is of type {type(given).__name__}; wanted is {_WANTED}"
        raise PortkeyConfigError(message)
    settings = {to_setting(str(name)): value for name, value in given.items()}
    if fixed := sorted(settings.keys() & ENDPOINT_KEYS):
        message = f"invocation_state[{KEY!r}] holds {fixed}, which a model has for good; make another model for it"
        raise PortkeyConfigError(message)
    changes: dict[str, object] = {name: settings.pop(name) for name in ("model_id", "params") if name in settings}
    check_model_config(changes)
    changed = config.copy()
    if isinstance(model_id := changes.get("model_id"), str):
        changed["model_id"] = model_id
    if is_mapping(params := changes.get("params")):
        changed["params"] = {**(config.get("params") or {}), **cast("Mapping[str, JsonValue]", params)}
    if "metadata" in settings:
        settings["metadata"] = _merged(routing.get("metadata"), settings["metadata"])
    return {**routing, **settings}, changed


def _merged(known: object, latest: object) -> object:
    """Return metadata with the latest over the known; what is no object is left for the headers to refuse."""
    objects = [_to_object(metadata) for metadata in (known, latest)]
    if all(is_mapping(metadata) for metadata in objects):
        return {name: value for metadata in objects if is_mapping(metadata) for name, value in metadata.items()}
    return latest


def _to_object(metadata: object) -> object:
    if metadata is None:
        return {}
    try:
        return from_json(metadata) if isinstance(metadata, str) else metadata
    except ValueError:
        return metadata
