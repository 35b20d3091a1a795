"""An answer on the terminal: text, reasoning and calls of tools as they come, and what it took."""

from __future__ import annotations

from typing import Literal

from strands_portkey._answer.metadata import ResponseMetadata
from strands_portkey._cli.terminal import Terminal


class Printer:
    """Prints an agent's answer as it is streamed.

    Attributes:
        responses: Metadata of the requests for this answer.
    """

    def __init__(self, terminal: Terminal, model_id: str | None, *, is_verbose: bool) -> None:
        self.responses: list[ResponseMetadata] = []
        self._terminal = terminal
        self._model_id = model_id
        self._is_verbose = is_verbose
        self._usages: list[tuple[int, int]] = []
        self._block: Literal["text", "reasoning", "tool"] | None = None

    def __call__(self, **kwargs: object) -> None:
        """Take in what Strands calls a callback handler with."""
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
            case {"start_event_loop": True}:
                self._terminal.status(f"waiting for {self._model_id}")
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

    def print_facts(self, seconds: float) -> None:
        """Print one line about the answer, before it one for each request where that is wanted, and forget them."""
        if self._is_verbose:
            for number, response in enumerate(self.responses):
                usage = self._usages[number] if number < len(self._usages) else None
                self._terminal.aside(f"[{_describe(response, usage)}]\n")
        if self._usages:
            tokens = [sum(counts) for counts in zip(*self._usages, strict=True)]
            model = self.responses[-1].model or self._model_id
            self._terminal.aside(f"[{model}, {tokens[0]} tokens in, {tokens[1]} out, {seconds:.1f} s]\n")
        self.responses.clear()
        self._usages.clear()


def _describe(response: ResponseMetadata, usage: tuple[int, int] | None) -> str:
    """Return the facts of one request."""
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
        "tokens": "{} in, {} out".format(*usage) if usage else None,
    }
    return ", ".join(f"{name} {fact}" for name, fact in facts.items() if fact is not None)
