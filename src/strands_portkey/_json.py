"""Guards for values of which nothing is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

from typing_extensions import TypeIs


def is_mapping(value: object) -> TypeIs[Mapping[object, object]]:
    """Whether a value is a mapping of whatever."""
    return isinstance(value, Mapping)


def is_list(value: object) -> TypeIs[Sequence[object]]:
    """Whether a value is a list or a tuple of whatever: no text."""
    return isinstance(value, (list, tuple))


def is_set(value: object) -> TypeIs[AbstractSet[object]]:
    """Whether a value is a set of whatever."""
    return isinstance(value, AbstractSet)
