"""The command `strands-portkey` with its subcommands `doctor` and `chat`, and their options."""

from __future__ import annotations

import argparse
import logging
import re
import sys
from collections.abc import Sequence
from typing import Final, NoReturn

from typing_extensions import override

from strands_portkey._cli.chat import chat
from strands_portkey._cli.doctor import doctor
from strands_portkey._cli.settings import EXIT_FAILED, EXIT_INTERRUPTED, Arguments, add_options
from strands_portkey._version import __version__

_KEYS: Final = """\
Keys are read from the environment, never from the command line: PORTKEY_API_KEY is the gateway's. The provider's is
the variable that --authorization names; else PORTKEY_PROVIDER_KEY; else, with `--provider openai` and no config,
OPENAI_API_KEY, and likewise for any other provider. PORTKEY_BASE_URL is the gateway where --base-url is not given.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: Arguments without the program's name. Default: those of the process.

    Returns:
        The exit status: 0 if all is fine, 1 if something failed, 2 for wrong usage, 130 after Ctrl-C.
    """
    try:
        args = parse(argv)
    except SystemExit as ending:
        return ending.code if isinstance(ending.code, int) else EXIT_FAILED
    for name in ("strands", "strands_portkey"):
        logging.getLogger(name).addHandler(logging.NullHandler())  # The command prints errors itself.
    try:
        return doctor(args) if args.command == "doctor" else chat(args)
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted\n")
        return EXIT_INTERRUPTED


def parse(argv: Sequence[str] | None = None) -> Arguments:
    """Parse the command line.

    Raises:
        SystemExit: If it is invalid, or after the help or the version was printed.
    """
    parser = _make_parser()
    args, unknown = parser.parse_known_args(argv, Arguments())
    if unknown:
        parser.error(f"arguments must be among those of --help; {len(unknown)} unknown")
    return args


class _Parser(argparse.ArgumentParser):
    """A parser whose errors quote no argument, since it may be a key."""

    @override
    def error(self, message: str) -> NoReturn:
        message = re.sub(r"(?s):? ['\"].*", "", message)
        super().error(re.sub(r"^argument (\S+): must", r"\1 must", message))


def _make_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        "strands-portkey", description="Checks and uses a Portkey gateway as a Strands agent does.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="{doctor,chat}")

    said = "check the settings, the gateway behind them and what comes through for a model"
    command = commands.add_parser(
        "doctor",
        help=said,
        description=f"{said.capitalize()}. It makes about seven small requests.",
        epilog=_KEYS,
        allow_abbrev=False,
    )
    add_options(command)
    command.add_argument("--json", action="store_true", help="print one JSON object instead of lines")

    said = "talk to a model through the gateway"
    command = commands.add_parser(
        "chat",
        help=said,
        description=f"{said.capitalize()}. Ctrl-C ends an answer and forgets it; Ctrl-D or /exit ends the chat. The "
        "answer goes to standard output, all else to standard error.",
        epilog=_KEYS,
        allow_abbrev=False,
    )
    add_options(command, model_required=True)
    command.add_argument("--system", metavar="TEXT", help="system prompt")
    command.add_argument("--prompt", metavar="TEXT", help="ask this one thing and end")
    command.add_argument(
        "--tool",
        action="append",
        metavar="TOOL",
        help="a tool for the model, as Strands names it: 'module:function' or the path of a file; may be repeated",
    )
    return parser
