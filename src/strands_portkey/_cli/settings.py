"""Options, settings and exit statuses of the commands, and errors in the words of their options."""

from __future__ import annotations

import argparse
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, get_args

from pydantic import JsonValue, TypeAdapter, ValidationError
from typing_extensions import override

from strands_portkey._errors import PortkeyConfigError, PortkeyError
from strands_portkey._settings.config import Api, ClientArgs, PortkeyConfig
from strands_portkey._settings.endpoint import Endpoint, environment, split_client_args
from strands_portkey._settings.headers import request_headers, secrets
from strands_portkey._settings.secrets import masked
from strands_portkey.model import OnResponse, PortkeyModel

EXIT_OK: Final = 0
EXIT_FAILED: Final = 1
EXIT_WRONG_SETTINGS: Final = 2
EXIT_INTERRUPTED: Final = 130  # 128 + SIGINT, as shells report it.
EXIT_HUNG_UP: Final = 141  # 128 + SIGPIPE.

_PARAMS: Final = TypeAdapter(dict[str, JsonValue])
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


def add_options(parser: argparse.ArgumentParser, *, for_model: bool = True) -> None:
    """Add the options for gateway and routing, and those for the model."""
    add = parser.add_argument
    add("--base-url", metavar="URL", help="the gateway; default PORTKEY_BASE_URL, else as for the model")
    add("--provider", metavar="NAME", help="the provider behind the gateway, such as openai")
    add(
        "--config",
        metavar="CONFIG",
        help="routing: JSON, @FILE with JSON (which keeps its keys off the command line), or the id of a saved one",
    )
    add("--metadata", metavar="JSON", help="an object for the gateway's logs and conditional routing")
    add(
        "--header",
        metavar="NAME:VALUE",
        action="append",
        type=_header,
        default=[],
        help="a further header; may be repeated",
    )
    add("--authorization", metavar="VARIABLE", help="name of the environment variable with the provider's key")
    if not for_model:
        parser.set_defaults(model=None, params=None, api=None, upstream=None)
        return
    add(
        "--model",
        metavar="ID",
        default=environment("PORTKEY_MODEL") or None,
        help="such as gpt-4o, or @slug/model on hosted gateways; default PORTKEY_MODEL",
    )
    add("--params", metavar="JSON", type=_params, help="""parameters, such as '{"reasoning_effort": "low"}'""")
    add("--api", metavar="NAME", help="the gateway's protocol: chat, responses, messages or, as by default, auto")
    add("--upstream", metavar="NAME", help="what answers, where the other settings do not show it, such as anthropic")


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
    client_args: dict[str, Any] = {name: masked(value) for name, value in options.items()}
    del options  # A traceback with variables would show its keys.
    config: PortkeyConfig = {"model_id": args.model or "-"}
    if args.params is not None:
        config["params"] = args.params
    if args.api is not None:
        config["api"] = args.api
    if args.upstream is not None:
        config["upstream"] = args.upstream
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        endpoint, routing = split_client_args(client_args)
        headers = request_headers(routing)
        PortkeyModel(client_args, **config)  # Raises for invalid values, and warns of all settings.
    return Settings(
        endpoint=endpoint,
        headers=headers,
        model_id=args.model,
        key_source=key_source,
        secrets=frozenset(secrets(headers)),
        warnings=tuple(dict.fromkeys(str(each.message) for each in caught)),
        _client_args=client_args,
        _config=config,
    )


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
