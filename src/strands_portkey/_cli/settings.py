"""Options, settings, exit statuses and terminal output of both commands."""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import sys
import threading
import warnings
from collections.abc import Collection, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Final, TextIO, get_args

from pydantic import JsonValue, TypeAdapter, ValidationError
from strands import Agent
from typing_extensions import override

from strands_portkey._errors import PortkeyConfigError, PortkeyError
from strands_portkey._settings.config import Api, ClientArgs, PortkeyConfig
from strands_portkey._settings.endpoint import Endpoint, split_client_args
from strands_portkey._settings.headers import request_headers, secrets
from strands_portkey._settings.secrets import masked
from strands_portkey.model import OnResponse, PortkeyModel

EXIT_OK: Final = 0
EXIT_FAILED: Final = 1
EXIT_WRONG_SETTINGS: Final = 2
EXIT_INTERRUPTED: Final = 130  # 128 + SIGINT, as shells report it.

_PARAMS: Final = TypeAdapter(dict[str, JsonValue])
_SECRET_LENGTH: Final = 8  # Shorter text that is held back at the end may start a secret only by chance.
# Options that replace the names of settings in messages.
_OPTIONS: Final = {
    **{f"api={api!r}": f"--api {api}" for api in get_args(Api)},
    "client_args['api_key']": "PORTKEY_API_KEY",
    "client_args['authorization']": "--authorization",
    "client_args['Authorization']": "--authorization (or PORTKEY_PROVIDER_KEY)",
    "client_args['base_url']": "--base-url",
    "client_args['config']": "--config",
    "client_args['metadata']": "--metadata",
    "client_args['provider']": "--provider",
    "model_id": "--model",
}
_CONTROL_CHARACTERS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_DIM: Final = "\x1b[2m"
_PLAIN: Final = "\x1b[0m"


class Arguments(argparse.Namespace):
    """The parsed command line; its repr has no values, since one may be a key."""

    @override
    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(vars(self))})"


@dataclass(frozen=True)
class Settings:
    """The settings from the options and the environment.

    Attributes:
        headers: The headers of a request.
        key_source: The environment variable with the provider's key, or None.
        secrets: Texts that must never be shown.
        warnings: Warnings about the settings.
    """

    endpoint: Endpoint = field(repr=False)  # A proxy's URL may hold a password.
    headers: Mapping[str, str] = field(repr=False)
    model_id: str | None
    key_source: str | None
    secrets: frozenset[str] = field(repr=False)
    warnings: tuple[str, ...]
    _client_args: Mapping[str, Any] = field(repr=False)
    _config: PortkeyConfig = field(repr=False)

    def model(
        self, *, stream: bool = True, client_args: ClientArgs | None = None, on_response: OnResponse | None = None
    ) -> PortkeyModel:
        """Return the model, which `model_id` must name; `client_args` take precedence over the options.

        Raises:
            PortkeyConfigError: If its configuration is wrong.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # They are in `warnings` already.
            config: PortkeyConfig = {**self._config, "stream": stream}
            given: dict[str, Any] = {**self._client_args, **(client_args or {})}
            return PortkeyModel(given, on_response=on_response, **config)


def add_options(parser: argparse.ArgumentParser, *, model_required: bool = False) -> None:
    """Add the options for gateway, routing and model."""
    add = parser.add_argument
    add("--base-url", metavar="URL", help="the gateway; default PORTKEY_BASE_URL, else as for the model")
    add("--model", metavar="ID", required=model_required, help="such as gpt-4o, or @slug/model on hosted gateways")
    add("--provider", metavar="NAME", help="the provider behind the gateway, such as openai")
    add(
        "--config",
        metavar="CONFIG",
        help="routing: JSON, @FILE with JSON (which keeps its keys off the command line), or the id of a saved one",
    )
    add("--metadata", metavar="JSON", help="an object for the gateway's logs and conditional routing")
    add("--params", metavar="JSON", type=_params, help="""parameters, such as '{"reasoning_effort": "low"}'""")
    add("--api", metavar="NAME", help="the gateway's protocol: chat, responses, messages or, as by default, auto")
    add("--upstream", metavar="NAME", help="what answers, where the other settings do not show it, such as anthropic")
    add(
        "--header",
        metavar="NAME:VALUE",
        action="append",
        type=_header,
        default=[],
        help="a further header; may be repeated",
    )
    add("--authorization", metavar="VARIABLE", help="name of the environment variable with the provider's key")


def read_settings(args: argparse.Namespace) -> Settings:
    """Return the settings.

    Raises:
        PortkeyConfigError: If a setting is invalid; the message holds no key.
    """
    key_source = _find_key(args)
    options = {
        "base_url": args.base_url,
        "provider": args.provider,
        "config": _read_config(args.config),
        "metadata": args.metadata,
        "authorization": os.environ[key_source] if key_source else None,
        "headers": dict(args.header),
    }
    client_args = {name: masked(value) for name, value in options.items()}
    del options  # A traceback with variables would show its keys.
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        endpoint, routing = split_client_args(client_args)
        headers = request_headers(routing)
    config: PortkeyConfig = {"model_id": args.model or "-"}
    if args.params is not None:
        config["params"] = args.params
    if args.api is not None:
        config["api"] = args.api
    if args.upstream is not None:
        config["upstream"] = args.upstream
    settings = Settings(
        endpoint=endpoint,
        headers=headers,
        model_id=args.model,
        key_source=key_source,
        secrets=frozenset(secrets(headers)),
        warnings=tuple(str(each.message) for each in caught),
        _client_args=client_args,
        _config=config,
    )
    settings.model()  # Raises for invalid values.
    return settings


def explain(error: Exception) -> tuple[str, str | None]:
    """Return an error as one line, and its hint, if any, both with options instead of settings."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, PortkeyError):
        cause = cause.__cause__  # Strands wraps errors after the first turn of an agent.
    if cause is None:
        return f"{type(error).__name__}: {' '.join(str(error).split())}", None
    said = " ".join(str(cause).partition("\nHint: ")[0].split())
    return _in_options(said), _in_options(cause.hint) if cause.hint else None


def with_fix(said: str, fix: str | None) -> str:
    """Return a finding with its fix, if that is known."""
    return f"{said.rstrip('.')}. Fix: {fix}" if fix else said


class Terminal:
    """Writes to standard output and standard error, without secrets and control characters.

    A text may be a fragment of an answer, so its end is held back while it may be the start of a secret.
    """

    def __init__(self, hidden: Collection[str]) -> None:
        """Initialize the terminal; the texts in `hidden` are masked."""
        quoted = [json.dumps(secret)[1:-1] for secret in hidden]
        shown = {_CONTROL_CHARACTERS.sub("", secret) for secret in (*hidden, *quoted)}
        self._secrets = sorted(shown, key=len, reverse=True)  # Longest first, since one may be a prefix of another.
        self._longest = max(map(len, self._secrets), default=0)
        self._pattern = re.compile("|".join(map(re.escape, self._secrets)) or "(?!)")
        self._is_dim = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
        self._target = (sys.stdout, "")
        self._held = ""

    def say(self, text: str) -> None:
        """Write to standard output at once."""
        self._write_to(text, sys.stdout)

    def aside(self, text: str) -> None:
        """Write to standard error at once, dim on a terminal."""
        self._write_to(text, sys.stderr, _DIM if self._is_dim else "")

    def complain(self, error: Exception) -> None:
        """Write an error to standard error, as one line."""
        self._write_to(f"error: {with_fix(*explain(error))}\n", sys.stderr)

    def end(self) -> None:
        """Write the text that is held back, at the end of an answer."""
        held, self._held = self._held, ""
        self._write("***" if len(held) >= _SECRET_LENGTH else held)

    def _write_to(self, text: str, stream: TextIO, style: str = "") -> None:
        if (stream, style) != self._target:
            self.end()
            self._target = (stream, style)
        text = self._held + _CONTROL_CHARACTERS.sub("", text)  # Before the search, since they may split a secret.
        end = self._find_beginning(text, 0)
        for found in self._pattern.finditer(text):
            if found.start() < end < found.end():
                end = self._find_beginning(text, found.end())
        self._held = text[end:]
        self._write(self._pattern.sub("***", text[:end]))

    def _find_beginning(self, text: str, start: int) -> int:
        """Return the position from which the rest of a text may be the start of a secret; else its length."""
        length = len(text)
        for at in range(max(start, length - self._longest), length):
            if any(len(secret) > length - at and secret.startswith(text[at:]) for secret in self._secrets):
                return at
        return length

    def _write(self, text: str) -> None:
        stream, style = self._target
        encoding = stream.encoding or "utf-8"
        text = text.encode(encoding, "replace").decode(encoding)
        stream.write(f"{style}{text}{_PLAIN}" if style and text else text)
        stream.flush()


@contextmanager
def interruptible(agent: Agent) -> Generator[threading.Event, None, None]:
    """Make Ctrl-C cancel the agent's answer for the duration of a `with` block.

    Strands runs an answer in a separate thread, which receives no KeyboardInterrupt.

    Yields:
        An event that is set when Ctrl-C is pressed.
    """
    pressed = threading.Event()

    def cancel(_signal: int, _frame: FrameType | None) -> None:
        pressed.set()
        agent.cancel()

    before = signal.signal(signal.SIGINT, cancel)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, before)


def _find_key(args: argparse.Namespace) -> str | None:
    """Return the name of the environment variable that holds the provider's key."""
    if args.authorization is not None:
        if not os.environ.get(args.authorization, "").strip():
            # Not quoted: it may be the key itself.
            raise PortkeyConfigError("--authorization must be the name of an environment variable; got other text")
        return str(args.authorization)
    names = ["PORTKEY_PROVIDER_KEY"]
    if args.provider is not None and args.config is None:
        names.append(f"{args.provider.upper().replace('-', '_')}_API_KEY")
    return next((name for name in names if os.environ.get(name, "").strip()), None)


def _read_config(config: str | None) -> str | None:
    """Return the config, read from a file if it is given as ``@FILE``."""
    if config is None or not config.startswith("@"):
        return config
    try:
        return Path(config[1:]).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise PortkeyConfigError(f"--config must name a readable file; got {type(error).__name__}") from None


def _params(text: str) -> dict[str, JsonValue]:
    try:
        return _PARAMS.validate_json(text)
    except ValidationError as error:
        got = "text" if error.errors()[0]["type"] == "json_invalid" else "another JSON value"
        raise argparse.ArgumentTypeError(f"must be a JSON object; got {got}") from None


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon:
        raise argparse.ArgumentTypeError("must be NAME:VALUE; got text without a colon")
    return name.strip(), value.strip()


def _in_options(text: str) -> str:
    for setting, option in _OPTIONS.items():
        text = text.replace(setting, option)
    return text
