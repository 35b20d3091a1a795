"""The command `strands-portkey` and its subcommands."""

from __future__ import annotations

import argparse
import logging
import platform
import re
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from importlib.metadata import version
from math import inf
from typing import Final, NoReturn

from typing_extensions import override

from strands_portkey._cli.chat import chat
from strands_portkey._cli.doctor import doctor
from strands_portkey._cli.models import models
from strands_portkey._cli.settings import (
    EXIT_FAILED,
    EXIT_HUNG_UP,
    EXIT_INTERRUPTED,
    EXIT_WRONG_SETTINGS,
    Arguments,
    add_options,
    read_settings,
)
from strands_portkey._cli.terminal import Terminal, hang_up
from strands_portkey._errors import PortkeyConfigError
from strands_portkey._version import __version__

_KEYS: Final = """\
Keys are read from the environment, never from the command line: PORTKEY_API_KEY is the gateway's. The provider's is
the variable that --authorization names; else PORTKEY_PROVIDER_KEY; else, with `--provider openai` and no config,
OPENAI_API_KEY, and likewise for any other provider. PORTKEY_BASE_URL is the gateway where --base-url is not given.
"""
_ASK: Final = 'strands-portkey chat --model ID "PROMPT"'
_DEADLINE: Final = 60.0  # Seconds.
_LONGEST_DEADLINE: Final = 3600
# What argparse says, in our words.
_REWORDED: Final = {
    r"^argument (\S+): must": r"\1 must",
    r"^argument (\S+): expected one argument": r"\1 must be followed by a value",
    r"^argument (\S+): ignored explicit argument": r"\1 must stand without a value",
    r"^argument (\S+): not allowed with argument (\S+)": r"\1 must not stand beside \2: give the prompt once",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: Arguments without the program's name. Default: those of the process.

    Returns:
        The exit status: 0 if all is fine, 1 if something failed, 2 for wrong usage, 130 after Ctrl-C, 141 if nobody
        reads the output any more.
    """
    try:
        status = _run(argv)
        sys.stdout.flush()
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted\n")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        hang_up()
        return EXIT_HUNG_UP
    return status


def _run(argv: Sequence[str] | None) -> int:
    try:
        args = parse(argv)
    except SystemExit as ending:
        return ending.code if isinstance(ending.code, int) else EXIT_FAILED
    for name in ("strands", "strands_portkey"):
        logging.getLogger(name).addHandler(logging.NullHandler())  # The command prints errors itself.
    if args.command == "doctor":
        return doctor(args)
    try:
        settings = read_settings(args)
    except PortkeyConfigError as error:
        Terminal(()).complain(error)
        return EXIT_WRONG_SETTINGS
    terminal = Terminal(settings.secrets)
    for warning in settings.warnings:
        terminal.aside(f"warning: {warning}\n")
    return chat(args, settings, terminal) if args.command == "chat" else models(settings, terminal)


def parse(argv: Sequence[str] | None = None) -> Arguments:
    """Parse the command line.

    Raises:
        SystemExit: If it is invalid, or after the help or the version was printed.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    parser = _make_parser()
    if not words or words[0] not in {*parser.commands, "-h", "--help", "--version"}:
        parser.refuse(_explain_no_command(words, parser))
    args, unknown = parser.parse_known_args(words, Arguments())
    command = parser.commands[args.command]
    if unknown:
        command.refuse(_explain_unknown(unknown, args.command, parser))
    if args.command == "chat" and not args.model:
        command.refuse(f"--model must name the model, as in: {_ASK}; `strands-portkey models` lists what there is")
    return args


class _Parser(argparse.ArgumentParser):
    """A parser whose errors quote no argument, since it may be a key.

    Attributes:
        commands: The parsers of the subcommands.
    """

    commands: dict[str, _Parser]

    @property
    def options(self) -> list[str]:
        """The names of the options."""
        return [name for name in self._option_string_actions if name.startswith("--")]

    @override
    def error(self, message: str) -> NoReturn:
        message = re.sub(r"(?s):? ['\"].*", "", message)
        for pattern, said in _REWORDED.items():
            message = re.sub(pattern, said, message)
        self.refuse(message)

    def refuse(self, message: str) -> NoReturn:
        """Print the usage and an error that quotes nothing of the command line, and exit."""
        super().error(message)


def _explain_no_command(words: Sequence[str], parser: _Parser) -> str:
    """Return what to do about a command line that does not begin with a command."""
    known = f"the command must be one of {', '.join(parser.commands)}"
    if not words:
        return f"{known}; got none"
    if words[0].startswith("-"):
        command = next((word for word in words if word in parser.commands), "chat")
        return f"the command must come before its options, as in: strands-portkey {command} --model ID"
    close = get_close_matches(words[0].lower(), [*parser.commands, *parser.options], 1)
    return f"{known}; " + (f"did you mean: strands-portkey {close[0]}" if close else f"to ask a model: {_ASK}")


def _explain_unknown(unknown: Sequence[str], command: str, parser: _Parser) -> str:
    """Return what to do about arguments that a command does not have."""
    name = next((word.partition("=")[0].lower() for word in unknown if word.startswith("-")), None)
    if name is None:
        if command == "chat":
            return f"the prompt must be one argument, in quotes where it has spaces, as in: {_ASK}"
        return f"{command} takes no arguments but options; to ask a model: {_ASK}"
    if re.search("key|token|secret", name):
        return f"keys must be in the environment, never on the command line: see strands-portkey {command} --help"
    for other, its in parser.commands.items():
        if name in its.options:
            return f"{command} has no option {name}; did you mean: strands-portkey {other} {name}"
    close = get_close_matches(name, parser.commands[command].options, 1)
    if close:
        return f"{command} has no such option; did you mean: strands-portkey {command} {close[0]}"
    return f"{command} has no such option; see strands-portkey {command} --help"


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = inf
    if not 0 < seconds <= _LONGEST_DEADLINE:
        raise argparse.ArgumentTypeError(f"must be seconds, above 0 and up to {_LONGEST_DEADLINE}; got other text")
    return seconds


def _make_parser() -> _Parser:
    parser = _Parser(
        "strands-portkey",
        usage="%(prog)s {doctor,chat,models} [options]",
        description="Checks and uses a Portkey gateway as a Strands agent does.",
        epilog="What a command takes: strands-portkey COMMAND --help",
        allow_abbrev=False,
    )
    used = ", ".join(f"{name} {version(name)}" for name in ("strands-agents", "httpx"))
    parser.add_argument(
        "--version",
        action="version",
        version=f"%(prog)s {__version__} ({used}, Python {platform.python_version()})",
    )
    commands = parser.add_subparsers(prog=parser.prog, dest="command", required=True, metavar="COMMAND")
    parser.commands = commands.choices

    said = "check the settings, the gateway behind them and what comes through for a model"
    command = commands.add_parser(
        "doctor",
        usage="%(prog)s --model ID [options]",
        help=said,
        description=f"{said.capitalize()}. It makes about seven small requests.",
        epilog=_KEYS,
        allow_abbrev=False,
    )
    add_options(command)
    command.add_argument("--json", action="store_true", help="print one JSON object instead of lines")
    command.add_argument(
        "--deadline",
        metavar="SECONDS",
        type=_seconds,
        default=_DEADLINE,
        help=f"what a check that asks the model may take; default {_DEADLINE}",
    )

    said = "ask a model through the gateway, or talk to it"
    command = commands.add_parser(
        "chat",
        usage="%(prog)s --model ID [options] [PROMPT]",
        help=said,
        description=f"{said.capitalize()}. What is piped in goes below the prompt, as one prompt. Without either a "
        "conversation begins: Ctrl-C ends an answer and forgets it, Ctrl-D or /exit ends the chat, /help says more. "
        "The answer goes to standard output, all else to standard error.",
        epilog=_KEYS,
        allow_abbrev=False,
    )
    asked = command.add_mutually_exclusive_group()
    asked.add_argument("words", nargs="?", metavar="PROMPT", help="ask this one thing and end")
    asked.add_argument("--prompt", metavar="TEXT", help="the same as an option")
    add_options(command)
    command.add_argument("--system", metavar="TEXT", help="system prompt")
    command.add_argument(
        "--tool",
        action="append",
        metavar="TOOL",
        help="a function with @tool for the model: 'module:function', also of the current folder, or the path of its "
        "file; may be repeated",
    )
    command.add_argument(
        "-v", "--verbose", action="store_true", help="print what the gateway tells of each request, too"
    )

    said = "list the models that the gateway offers"
    command = commands.add_parser(
        "models",
        usage="%(prog)s [options]",
        help=said,
        description=f"{said.capitalize()}: a hosted gateway its catalog, the open-source one the list of --provider.",
        epilog=_KEYS,
        allow_abbrev=False,
    )
    add_options(command, for_model=False)
    return parser
