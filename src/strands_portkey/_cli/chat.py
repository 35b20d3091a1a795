"""`strands-portkey chat`: a conversation with a model in the terminal."""

from __future__ import annotations

import argparse
import sys
from contextlib import suppress
from importlib import import_module
from typing import Literal

from strands import Agent

from strands_portkey._answer.metadata import ResponseMetadata
from strands_portkey._cli.settings import (
    EXIT_FAILED,
    EXIT_OK,
    EXIT_WRONG_SETTINGS,
    Settings,
    Terminal,
    interruptible,
    read_settings,
)
from strands_portkey._errors import PortkeyConfigError

with suppress(ImportError):
    import_module("readline")  # Enables line editing where it is available.


def chat(args: argparse.Namespace) -> int:
    """Run the chat until the end of the input, or answer the single prompt that was given.

    Returns:
        The exit status: 1 if the one answer failed, 2 if the settings are wrong.
    """
    try:
        settings = read_settings(args)
    except PortkeyConfigError as error:
        Terminal(()).complain(error)
        return EXIT_WRONG_SETTINGS
    terminal = Terminal(settings.secrets)
    for warning in settings.warnings:
        terminal.aside(f"warning: {warning}\n")
    printer = _Printer(terminal)
    try:
        agent = _make_agent(args, settings, printer)
    except Exception as error:  # noqa: BLE001 - a tool's module may fail in any way
        terminal.complain(error)
        return EXIT_WRONG_SETTINGS
    if args.prompt is not None:
        return EXIT_OK if _answer(agent, printer, terminal, args.prompt, once=True) else EXIT_FAILED
    terminal.aside(f"{settings.model_id} at {settings.endpoint.base_url}; Ctrl-C ends an answer, Ctrl-D the chat\n")
    while (line := _read_line()) is not None:
        if line:
            _answer(agent, printer, terminal, line)
    return EXIT_OK


def _make_agent(args: argparse.Namespace, settings: Settings, printer: _Printer) -> Agent:
    return Agent(
        model=settings.model(on_response=printer.responses.append),
        tools=args.tool,
        system_prompt=args.system,
        callback_handler=printer,
        retry_strategy=None,  # After what the model has tried itself, a person decides whether to ask again.
    )


def _read_line() -> str | None:
    """Return the next line, empty after Ctrl-C; None at the end of the chat."""
    try:
        line = input("> " if sys.stdin.isatty() else "").strip()
    except EOFError:
        sys.stderr.write("\n")
        return None
    except KeyboardInterrupt:
        sys.stderr.write("\n")
        return ""
    return None if line == "/exit" else line


def _answer(agent: Agent, printer: _Printer, terminal: Terminal, prompt: str, *, once: bool = False) -> bool:
    """Print the model's answer and return whether it succeeded; otherwise remove it from the conversation."""
    known = len(agent.messages)
    failure: Exception | None = None
    with interruptible(agent) as interrupted:
        try:
            agent(prompt)
        except Exception as error:  # noqa: BLE001 - whatever failed, the chat goes on
            failure = error
    printer.end_block()
    printer.print_metadata()
    if interrupted.is_set():
        if once:
            raise KeyboardInterrupt
        terminal.aside("interrupted\n")
    elif failure is not None:
        terminal.complain(failure)
    else:
        return True
    del agent.messages[known:]
    return False


class _Printer:
    """Prints an agent's answer as it is streamed; Strands calls it with each event.

    Attributes:
        responses: Metadata of the requests for this answer.
    """

    def __init__(self, terminal: Terminal) -> None:
        self.responses: list[ResponseMetadata] = []
        self._terminal = terminal
        self._usages: list[tuple[int, int]] = []
        self._block: Literal["text", "reasoning", "tool"] | None = None

    def __call__(self, **kwargs: object) -> None:
        match kwargs:
            case {"event": {"contentBlockStart": {"start": {"toolUse": {"name": str(name)}}}}}:
                self._block = "tool"
                self._terminal.aside(f"{name}(")
            case {"event": {"contentBlockDelta": {"delta": {"toolUse": {"input": str(piece)}}}}}:
                self._terminal.aside(piece)
            case {"event": {"contentBlockDelta": {"delta": {"reasoningContent": {"text": str(piece)}}}}}:
                self._block = "reasoning"
                self._terminal.aside(piece)
            case {"event": {"contentBlockDelta": {"delta": {"text": str(piece)}}}}:
                self._block = "text"
                self._terminal.say(piece)
            case {"event": {"contentBlockStop": object()}}:
                self.end_block()
            case {
                "event": {"metadata": {"usage": {"inputTokens": int(input_tokens), "outputTokens": int(output_tokens)}}}
            }:
                self._usages.append((input_tokens, output_tokens))
            case _:
                pass

    def end_block(self) -> None:
        """End the line of the block that is open."""
        self._terminal.end()
        if self._block == "text":
            self._terminal.say("\n")
        elif self._block is not None:
            self._terminal.aside(")\n" if self._block == "tool" else "\n")
        self._block = None

    def print_metadata(self) -> None:
        """Print a line with metadata for each request of the answer, and clear them."""
        for number, response in enumerate(self.responses):
            facts = {
                "status": response.status_code,
                "api": response.api if response.api != "chat" else None,
                "provider": response.provider,
                "model": response.model,
                "cache": response.cache_status,
                "retries": response.retry_attempt_count,
                "target": response.last_used_option_index,
                "reasoning tokens": response.reasoning_tokens,
                "cost": response.cost,
                "trace id": response.trace_id,
            }
            said = [f"{name} {fact}" for name, fact in facts.items() if fact is not None]
            if number < len(self._usages):
                said.append("tokens {} in, {} out".format(*self._usages[number]))
            self._terminal.aside(f"[{', '.join(said)}]\n")
        self.responses.clear()
        self._usages.clear()
