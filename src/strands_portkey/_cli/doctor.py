"""`strands-portkey doctor`: checks the settings, the gateway, and the features that work for a model."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Final

from strands_portkey._cli.features import examine_features
from strands_portkey._cli.gateway import (
    Check,
    Status,
    check_connection,
    check_gateway,
    check_routing,
    check_settings,
    failed,
    get_page,
)
from strands_portkey._cli.settings import EXIT_FAILED, EXIT_OK, Settings, read_settings, with_fix
from strands_portkey._cli.terminal import Style, Terminal
from strands_portkey._errors import PortkeyConfigError
from strands_portkey._version import __version__

CHECKS: Final = (
    "settings",
    "connection",
    "gateway",
    "routing",
    "key",
    "stream",
    "usage",
    "tools",
    "parallel tools",
    "structured output",
    "reasoning",
)
_STYLE_OF: Final[Mapping[Status, Style]] = {"ok": "green", "not seen": "yellow", "failed": "red", "skipped": "dim"}


def doctor(args: argparse.Namespace) -> int:
    """Run the checks and print their results.

    Returns:
        The exit status: 0 if all is fine, 1 if something failed.
    """
    try:
        settings = read_settings(args)
    except PortkeyConfigError as error:
        found, terminal = iter([failed("settings", error)]), Terminal(())
    else:
        found, terminal = _examine(settings, args.deadline), Terminal(settings.secrets)
    checks: list[Check] = []
    terminal.status(f"checking {CHECKS[0]}")
    for check in found:
        checks.append(check)
        if not args.json:
            _print(terminal, check.status, check.name, with_fix(" ".join(check.detail.split()), check.fix))
            terminal.raise_if_cut()
        if check.name != CHECKS[-1]:
            terminal.status(f"checking {CHECKS[CHECKS.index(check.name) + 1]}")
    terminal.end()
    why = f"since {checks[-1].name} failed"
    skipped = CHECKS[len(checks) :]
    is_fine = not any(check.is_bad for check in checks)
    if args.json:
        checks += [Check(name, "skipped", why) for name in skipped]
        report = {"ok": is_fine, "version": __version__, "checks": [asdict(check) for check in checks]}
        terminal.say(json.dumps(report, indent=2) + "\n")
        return EXIT_OK if is_fine else EXIT_FAILED
    if skipped:
        _print(terminal, "skipped", f"{len(skipped)} checks", f"{why}: {', '.join(skipped)}")
    terminal.say("all fine\n" if is_fine else "something failed\n", "green" if is_fine else "red")
    return EXIT_OK if is_fine else EXIT_FAILED


def _print(terminal: Terminal, status: Status, name: str, detail: str) -> None:
    terminal.say(f"{status:9}", _STYLE_OF[status])
    terminal.say(f"{name:18} {detail}\n")


def _examine(settings: Settings, deadline: float) -> Iterator[Check]:
    """Run the checks in order, and stop when the next ones cannot succeed."""
    yield check_settings(settings)
    page = get_page(settings.endpoint.base_url.removesuffix("/v1") + "/")
    yield check_connection(settings, page)
    if isinstance(page, Exception):
        return
    kind, check = check_gateway(settings, page)
    yield check
    check = check_routing(settings, kind)
    yield check
    if check.status == "ok":
        yield from examine_features(settings, deadline)
