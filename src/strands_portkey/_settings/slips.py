"""Warnings of what was probably meant otherwise: names that resemble known ones, and metadata that Portkey refuses."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Final

from strands_portkey._json import is_list, is_mapping, to_object
from strands_portkey._settings.names import CLIENT_ARGS, did_you_mean, is_portkey_header, to_setting
from strands_portkey._settings.secrets import name_of, shown
from strands_portkey._settings.words import CONFIG, PARAMS, WIRE_PARAMS

_PARTS: Final = ("strategy", "conditions", "cache", "retry")  # Objects of a config with keys of their own.
_SETTINGS: Final = {"base_url": "custom_host", "timeout": "request_timeout"}  # What a config has for those of a client.
_LONGEST_METADATA: Final = 128  # https://portkey.ai/docs/product/observability/metadata


def find_slips(where: str, settings: Mapping[str, object], *, has_key: bool) -> Iterator[str]:
    """Yield a warning for each slip among routing settings.

    Args:
        where: What they are given in.
        settings: The settings, by the names that `to_settings` gives them.
        has_key: Whether requests carry a key of Portkey's, so that its rules for metadata hold.
    """
    headers = settings.get("headers")
    literal: list[str] = [name for name in headers if is_portkey_header(name)] if is_mapping(headers) else []
    for place, names in ((where, list(settings)), (f"{where}['headers']", literal)):
        for name in names:
            if to_setting(name) not in CLIENT_ARGS and (question := did_you_mean(name, CLIENT_ARGS)):
                yield f"{place} holds {name_of(name)}, a header that Portkey does not know{question}"
    yield from _config_slips(f"{where}['config']", "config", to_object(settings.get("config")))
    if has_key and (metadata := to_object(settings.get("metadata"))):
        for key, value in metadata.items():
            if not isinstance(value, str) or len(value) > _LONGEST_METADATA:
                got = f"{len(value)} characters" if isinstance(value, str) else shown(value)
                yield (
                    f"{where}['metadata'][{name_of(key)}] must be text of at most {_LONGEST_METADATA} characters, or "
                    f"Portkey refuses it; got {got}"
                )


def find_param_slips(params: Mapping[object, object]) -> Iterator[str]:
    """Yield a warning for each slip among parameters of a request."""
    return _word_slips("params", params, PARAMS, did_you_mean)


def _config_slips(where: str, kind: str, value: object) -> Iterator[str]:
    """Yield a warning for each slip in a config or in an object within it.

    Args:
        where: Where it stands.
        kind: The key that it stands under.
        value: The object, or a list of such.
    """
    if is_list(value):
        for number, part in enumerate(value):
            yield from _config_slips(f"{where}[{number}]", kind, part)
    elif is_mapping(value):
        if kind == "override_params":  # Its keys go to the provider as they are.
            yield from _word_slips(where, value, PARAMS, did_you_mean)
        else:
            value = {_snake(key): part for key, part in value.items()}
            yield from _word_slips(where, value, CONFIG[kind], partial(_did_you_mean_in_config, kind))
        for key in CONFIG.keys() & value.keys():
            yield from _config_slips(f"{where}[{key!r}]", key, value[key])


def _word_slips(
    where: str, given: Mapping[object, object], known: frozenset[str], ask: Callable[[str, frozenset[str]], str]
) -> Iterator[str]:
    """Yield a warning for each word that is not known, if what it means can be asked."""
    for word in given:
        if isinstance(word, str) and word not in known and (question := ask(word, known)):
            yield f"{where} holds {name_of(word)}, which is not known to have an effect{question}"


def _did_you_mean_in_config(kind: str, word: str, known: frozenset[str]) -> str:
    """Return the question that ends a warning of an unknown key in an object of a config; else an empty text."""
    if word in CONFIG["config"]:
        return f"; did you mean {word!r} beside {'strategy' if kind == 'conditions' else kind!r}?"
    homes = [repr(home) for home in _PARTS if word in CONFIG[home]]
    if homes or word in WIRE_PARAMS:
        homes = homes or ["'override_params'"]
        return f"; did you mean {word!r} in {' or '.join(homes)}?"
    same = {_SETTINGS.get(word)} & known
    longer = list(same) or [each for each in known if each.endswith(f"_{word}") and word not in CLIENT_ARGS]
    return f"; did you mean {longer[0]!r}?" if len(longer) == 1 else did_you_mean(word, known)


def _snake(key: object) -> object:
    """Return a key in the spelling with underscores: the gateway reads ``onStatusCodes`` too."""
    return re.sub("[A-Z]", lambda match: f"_{match[0].lower()}", key) if isinstance(key, str) else key
