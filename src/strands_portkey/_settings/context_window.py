"""Context window sizes of models: a lookup in Strands' table by the ids that a gateway uses."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress

_look_up: Callable[[str], int | None] = dict[str, int]().get
with suppress(ImportError):  # The table is private to Strands and may be moved.
    from strands.models._defaults import get_context_window_limit

    _look_up = get_context_window_limit

# What follows a model's name: Bedrock's and Vertex's versions, dates, Vertex's default.
_VERSION = re.compile(r"(:\d|-v\d|-\d{8}|-\d{4}-\d{2}-\d{2}|-\d{3}|-default)$")


def find_context_window_limit(model_id: str) -> int | None:
    """Return the size of a model's context window in tokens; None if the installed Strands does not know the model.

    The id may be plain, Portkey's ``@slug/model``, an id, an inference profile or an ARN of Bedrock, or Vertex's
    (``anthropic.claude-sonnet-4-5@20250929``, ``publishers/.../models/...``).
    """
    return next((limit for name in _table_names(model_id) if (limit := _look_up(name)) is not None), None)


def _table_names(model_id: str) -> Iterator[str]:
    """Yield the names under which the table may list a model, the most specific first."""
    yield model_id
    name = model_id.rpartition("/")[2]  # After a slug, a path of Vertex, or an ARN's kind of resource.
    yield name
    name = name.replace("@", "-")  # Vertex puts an @ before the date of a Claude model.
    while True:
        yield name
        shorter = _VERSION.sub("", name)
        if shorter == name:
            return
        name = shorter
