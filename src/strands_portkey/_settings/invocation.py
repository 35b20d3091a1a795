"""Settings for one invocation of an agent: `invocation_state["portkey"]`."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Final, cast

from strands_portkey._errors import PortkeyConfigError
from strands_portkey._json import is_mapping, to_object
from strands_portkey._settings.checks import check_model_config
from strands_portkey._settings.config import PortkeyConfig, TokenConfig
from strands_portkey._settings.endpoint import ENDPOINT_KEYS, to_max_retries
from strands_portkey._settings.names import CLIENT_ARGS, check_places, to_settings
from strands_portkey._settings.secrets import masked
from strands_portkey._settings.slips import find_slips

_WHERE: Final = "invocation_state['portkey']"
_OWN_KEYS: Final = CLIENT_ARGS | PortkeyConfig.__annotations__.keys()
_FIXED_KEYS: Final = ENDPOINT_KEYS | TokenConfig.__annotations__.keys()


def for_call(
    routing: Mapping[str, object],
    config: PortkeyConfig,
    max_retries: int,
    invocation_state: Mapping[str, object] | None,
) -> tuple[Mapping[str, object], PortkeyConfig, int]:
    """Return the model's routing, configuration and number of retries with the changes for one call.

    The key ``portkey`` of the invocation's state holds routing settings, ``max_retries`` and keys of `PortkeyConfig`.
    ``metadata`` and ``params`` are merged into the model's; all others replace the model's.

    Raises:
        PortkeyConfigError: If a setting cannot change for one call, such as ``base_url``, or has an invalid value.
    """
    given = masked((invocation_state or {}).get("portkey"))
    if given is None:
        return routing, config, max_retries
    settings = to_settings(_WHERE, given)
    if "max_retries" in settings:
        max_retries = to_max_retries(f"{_WHERE}['max_retries']", settings.pop("max_retries"))
    if fixed := sorted(settings.keys() & _FIXED_KEYS):
        message = f"{_WHERE} must not hold settings that are fixed for a model; got {fixed}"
        raise PortkeyConfigError(message, hint="create another model for them")
    check_places(_WHERE, settings, own=_OWN_KEYS)
    changes = {name: settings.pop(name) for name in PortkeyConfig.__annotations__ if name in settings}
    check_model_config(changes)
    for message in find_slips(_WHERE, settings, has_key=bool({**routing, **settings}.get("api_key"))):
        warnings.warn(message, stacklevel=2)
    if is_mapping(params := changes.pop("params", None)):
        changes["params"] = dict(config.get("params") or {}) | dict(params)
    if "metadata" in settings:
        settings["metadata"] = _merged_metadata(routing.get("metadata"), settings["metadata"])
    return {**routing, **settings}, cast("PortkeyConfig", {**config, **changes}), max_retries


def _merged_metadata(known: object, latest: object) -> object:
    """Return the latest metadata merged into the known; the latest alone, to be checked later, if one is no object."""
    before, after = to_object(known), to_object(latest)
    return latest if before is None or after is None else masked({**before, **after})
