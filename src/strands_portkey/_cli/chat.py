"""`strands-portkey chat`: one question to a model, or a conversation in the terminal."""

from __future__ import annotations

import argparse
import logging
import re
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

from strands import Agent
from strands.hooks import AfterModelCallEvent
from strands.types.exceptions import ModelThrottledException
from typing_extensions import override

from strands_portkey._cli.printer import Printer
from strands_portkey._cli.prompts import is_piped, one_prompt, read_prompt
from strands_portkey._cli.settings import EXIT_FAILED, EXIT_OK, EXIT_WRONG_SETTINGS, Settings, explain
from strands_portkey._cli.terminal import Terminal, interruptible
from strands_portkey._errors import PortkeyConfigError

_COMMANDS: Final = {
    "/clear": "forget the conversation",
    "/exit": "end the chat, as Ctrl-D does",
    "/help": "list these commands",
}
_COMMAND: Final = re.compile(r"(/\w*)( .*)?")  # No path, and no pasted block.
_WAITS: Final = (4, 8, 16)  # Seconds after which a throttled request is sent again; so Strands' strategy begins.
_RETRY: Final = re.compile(r"wait=<([\d.]+)>, .*?error=<(.*)> \| (.*)", re.DOTALL)

Outcome = Literal["answered", "failed", "interrupted"]


def chat(args: argparse.Namespace, settings: Settings, terminal: Terminal) -> int:
    """Answer the prompt that was given, or those that a person types until the end of the input.

    Returns:
        The exit status: 1 if an answer failed, 2 if there is no prompt or a tool cannot be loaded.

    Raises:
        KeyboardInterrupt: If Ctrl-C has ended the only answer.
        BrokenPipeError: If nobody reads the answer any more.
    """
    try:
        if is_piped():
            terminal.status("reading standard input")
        prompt = one_prompt(args.words if args.prompt is None else args.prompt)
        conversation = _Talk(args, settings, terminal)
    except PortkeyConfigError as error:
        terminal.complain(error)
        return EXIT_WRONG_SETTINGS
    with _notices(terminal, is_verbose=args.verbose):
        if prompt is None:
            terminal.aside(
                f"{settings.model_id} at {settings.endpoint.base_url}; Ctrl-C ends an answer, Ctrl-D the chat, /help"
                " says more\n"
            )
            outcomes = _converse(conversation, terminal)
        else:
            outcomes = {conversation.ask(prompt)}
            if "interrupted" in outcomes:
                raise KeyboardInterrupt
    return EXIT_FAILED if "failed" in outcomes else EXIT_OK


def _converse(conversation: _Talk, terminal: Terminal) -> set[Outcome]:
    """Answer what a person types, and return how that went."""
    outcomes: set[Outcome] = set()
    while (said := read_prompt()) is not None:
        if not said:
            continue
        command = _COMMAND.fullmatch(said)
        name = command[1] if command else None
        if name == "/exit":
            break
        if name is None:
            outcome = conversation.ask(said)
            outcomes.add(outcome)
            if outcome == "interrupted":
                terminal.aside("interrupted\n")
        elif name == "/clear":
            conversation.clear()
            terminal.aside("the conversation is forgotten\n")
        elif name == "/help":
            terminal.aside("".join(f"{name:7} {does}\n" for name, does in _COMMANDS.items()))
        else:
            terminal.aside(f"{name} is no command here; there are {', '.join(_COMMANDS)}\n")
    return outcomes


class _Talk:
    """An agent whose answers are printed."""

    def __init__(self, args: argparse.Namespace, settings: Settings, terminal: Terminal) -> None:
        """Initialize the agent.

        Raises:
            PortkeyConfigError: If a tool cannot be loaded.
        """
        if args.tool:
            sys.path.insert(0, str(Path.cwd()))  # As `python -m` does; an installed command has its own folder there.
        self._terminal = terminal
        self._printer = Printer(terminal, settings.model_id, is_verbose=args.verbose)
        self._pressed = threading.Event()
        self._waits = iter(_WAITS)
        try:
            self._agent = Agent(
                model=settings.model(on_response=self._printer.responses.append),
                tools=args.tool,
                system_prompt=args.system,
                callback_handler=self._show,
                retry_strategy=None,  # `_wait` says before how long it waits, and Ctrl-C ends that.
            )
        except Exception as error:  # A tool's module may fail in any way.
            must = "--tool must name a function with @tool, as 'module:function' or by its file"
            raise PortkeyConfigError(f"{must}; got {explain(error)[0]}") from error
        self._agent.hooks.add_callback(AfterModelCallEvent, self._wait)

    def clear(self) -> None:
        """Forget what was said."""
        self._agent.messages.clear()

    def ask(self, prompt: str) -> Outcome:
        """Print the model's answer; forget the prompt if there is none.

        Raises:
            BrokenPipeError: If nobody reads the answer any more.
        """
        known = len(self._agent.messages)
        failure: Exception | None = None
        self._waits = iter(_WAITS)
        started = time.perf_counter()
        with interruptible(self._agent) as self._pressed:
            try:
                self._agent(prompt)
            except Exception as error:  # noqa: BLE001 - whatever failed, the chat goes on
                failure = error
        self._terminal.raise_if_cut()
        self._printer.end_block()
        self._printer.print_facts(time.perf_counter() - started)
        if not self._pressed.is_set():
            if failure is None:
                return "answered"
            self._terminal.complain(failure)
        del self._agent.messages[known:]
        return "interrupted" if self._pressed.is_set() else "failed"

    def _show(self, **kwargs: object) -> None:
        self._printer(**kwargs)
        if self._terminal.is_cut:
            self._agent.cancel()

    def _wait(self, event: AfterModelCallEvent) -> None:
        """Wait until a throttled request may be sent again; Strands calls this in the thread of the answer."""
        if isinstance(event.exception, ModelThrottledException) and (seconds := next(self._waits, None)):
            self._terminal.aside(f"waiting {seconds} s, trying again after: {explain(event.exception)[0]}\n")
            event.retry = not self._pressed.wait(seconds)


class _Notices(logging.Handler):
    """Prints what the model logs and a person should know: warnings, and waits before a request is sent again."""

    def __init__(self, terminal: Terminal, *, is_verbose: bool) -> None:
        super().__init__()
        self._terminal = terminal
        self._is_verbose = is_verbose

    @override
    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        retry = _RETRY.search(message)
        if retry and float(retry[1]):
            self._terminal.aside(f"waiting {float(retry[1]):.1f} s, {retry[3]} after: {retry[2]}\n")
        elif self._is_verbose or record.levelno >= logging.WARNING:
            fields, _, said = message.partition(" | ")
            self._terminal.aside(f"{said or fields}\n")


@contextmanager
def _notices(terminal: Terminal, *, is_verbose: bool) -> Generator[None, None, None]:
    """Print what the model logs for the duration of a `with` block."""
    logger = logging.getLogger("strands_portkey")
    handler, level = _Notices(terminal, is_verbose=is_verbose), logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)
