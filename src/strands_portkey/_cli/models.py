"""`strands-portkey models`: the models that the gateway offers."""

from __future__ import annotations

import asyncio  # noqa: TID251 - an agent brings its own loop, a list needs one

from strands_portkey._cli.settings import EXIT_FAILED, EXIT_OK, Settings
from strands_portkey._cli.terminal import Terminal
from strands_portkey._errors import PortkeyError


def models(settings: Settings, terminal: Terminal) -> int:
    """Print the ids of the models, as ``--model`` takes them.

    Returns:
        The exit status: 1 if the gateway or the provider does not list them.

    Raises:
        BrokenPipeError: If nobody reads the list any more.
    """
    return asyncio.run(_print_models(settings, terminal))


async def _print_models(settings: Settings, terminal: Terminal) -> int:
    terminal.status(f"asking {settings.endpoint.base_url}")
    try:
        ids = await settings.model().list_models()
    except PortkeyError as error:
        terminal.complain(error)
        return EXIT_FAILED
    for model_id in ids:
        terminal.say(f"{model_id}\n")
    terminal.end()
    terminal.raise_if_cut()
    return EXIT_OK
