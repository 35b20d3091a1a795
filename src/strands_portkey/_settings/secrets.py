"""Masking of text that may be a key, and recognition of keys."""

from __future__ import annotations

import re
from typing import Final, SupportsIndex

from typing_extensions import Self, override

from strands_portkey._errors import PortkeyConfigError
from strands_portkey._json import is_list, is_mapping, is_set

# Prefixes of providers' keys; Portkey's own have none. See each provider's page on API keys.
_PROVIDER_KEY: Final = re.compile(
    r"(?:sk-|sk_|gsk_|AIza|xai-|hf_|r8_|nvapi-|pplx-|AKIA|ASIA|fw_|csk-|tgp_|ya29\.)[A-Za-z0-9_-]{8,}"
)
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,39}")
_RANDOM: Final = re.compile(r"(?=[^0-9]*[0-9])[A-Za-z0-9_-]{20,}")  # Long, and with digits: not a word of a language.

# A provider's key, or a long word with digits, as ids and keys are but no words of a language.
_LIKELY_KEY: Final = re.compile(rf"\b(?:{_PROVIDER_KEY.pattern}|(?=[A-Za-z]*[0-9])[A-Za-z0-9]{{20,}})")


class Masked(str):
    """A text whose ``repr`` is masked, since tools that print the variables of a frame use ``repr``.

    In all other respects it is the text itself: it compares, hashes, concatenates and is sent unchanged.
    """

    __slots__ = ()

    @override
    def __repr__(self) -> str:
        return "'***'"

    @override
    def __getitem__(self, key: SupportsIndex | slice) -> Self:  # A part of a key is hidden as well.
        return type(self)(super().__getitem__(key))

    @override
    def __reduce__(self) -> tuple[type[Self], tuple[str]]:
        return type(self), (str.__str__(self),)


def masked(value: object) -> object:
    """Return settings with all texts in them masked at any depth, and with masked names where these may be keys.

    Raises:
        PortkeyConfigError: If they are nested too deeply, for example because they contain themselves.
    """
    try:
        return _masked(value)
    except RecursionError:
        message = f"settings must not contain themselves or be nested too deeply; got such a {type_of(value)}"
        raise PortkeyConfigError(message) from None


def _masked(value: object) -> object:
    if isinstance(value, str):
        return Masked(value)
    if is_mapping(value):
        return {
            Masked(name) if isinstance(name, str) and not is_name(name) else name: _masked(part)
            for name, part in value.items()
        }
    if is_list(value):
        parts = [_masked(part) for part in value]
        return tuple(parts) if isinstance(value, tuple) else parts
    if is_set(value):
        return {_masked(part) for part in value}
    if isinstance(value, (bytes, bytearray)):
        return type(value)()  # No setting takes bytes, and an error shows only their type.
    return value


def without_likely_keys(text: str) -> str:
    """Return a text without what looks like a key, for places where none should be."""
    return _LIKELY_KEY.sub("***", text)


def is_provider_key(text: str) -> bool:
    """Whether a text has the prefix of a provider's key."""
    return bool(_PROVIDER_KEY.match(text.strip().removeprefix("Bearer ")))


def is_key_as_name(name: str) -> bool:
    """Whether a name is really a provider's key."""
    return bool(_RANDOM.fullmatch(name)) and is_provider_key(name)


def type_of(value: object) -> str:
    """Return the name of a value's type for an error message."""
    return "str" if isinstance(value, str) else type(value).__name__


def name_of(name: object) -> str:
    """Return a name for an error message, or a description without its text if it may be a key."""
    if not isinstance(name, str):
        return f"one of type {type_of(name)}"
    return repr(str.__str__(name)) if is_name(name) else f"one of {len(name)} characters"


def is_name(text: str) -> bool:
    """Whether a text looks like a name and not like a key."""
    return bool(_NAME.fullmatch(text)) and not is_provider_key(text) and not _RANDOM.fullmatch(text)


def shown(value: object) -> str:
    """Return a value for an error message: only its type, unless it is None, a bool or a number, which hold no key."""
    if is_list(value):
        return f"{type_of(value)} of {', '.join(sorted(set(map(type_of, value)))) or 'nothing'}"
    return repr(value) if value is None or isinstance(value, (bool, int, float)) else type_of(value)
