"""Conversion of routing settings to request headers, and the secrets in these."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from html import escape
from typing import Final
from urllib.parse import quote, unquote

from pydantic import JsonValue, TypeAdapter, ValidationError
from pydantic_core import from_json

from strands_portkey._errors import PortkeyConfigError
from strands_portkey._json import is_list, is_mapping
from strands_portkey._settings.names import to_setting
from strands_portkey._settings.secrets import Masked, is_key_as_name, is_provider_key, masked, name_of, type_of
from strands_portkey._version import __version__

PREFIX: Final = "x-portkey-"
"""How the names of Portkey's headers begin."""

_BASE: Final = {
    "content-type": "application/json",
    "accept": "text/event-stream, application/json",
    # Compression would delay a stream, and the gateway never compresses.
    "accept-encoding": "identity",
    "user-agent": f"strands-agents-portkey/{__version__}",
    # The gateway drops reasoning without this; it accepts only this spelling.
    "x-portkey-strict-open-ai-compliance": "false",
}
# Settings whose value is JSON, although it may be given as text.
_JSON_SETTINGS: Final = frozenset({"config", "metadata"})
# Settings that are sent as comma-separated names; other lists, such as guardrails, are sent as JSON.
_NAME_LISTS: Final = frozenset({"forward_headers", "sensitive_headers"})
# Features of a provider, whose names stay as they are.
_FEATURE_LISTS: Final = frozenset({"anthropic_beta", "beta", "openai_beta"})
_NAMES: Final = TypeAdapter(list[str])
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_SHORTEST_SECRET: Final = 6
# Headers of HTTP and of tracers, which never hold a key.
_HARMLESS: Final = frozenset(
    {"accept", "accept-encoding", "connection", "content-length", "content-type", "host", "user-agent"}
    | {"accept-language", "cache-control", "referer", "http-referer", "x-title"}
    | {"anthropic-beta", "anthropic-version", "openai-beta", "openai-organization", "openai-project"}
    | {"b3", "baggage", "sentry-trace", "traceparent", "tracestate", "x-request-id"}
)
_SECRET_NAME: Final = re.compile(r"(?i)auth|key|secret|token|pass|pwd|cookie|credential")
# Names that match `_SECRET_NAME` although their values are not secret.
_PLAIN_NAME: Final = re.compile(r"(?i)auth[-_](mode|type)$|^author$|^tokenizer$|^prompt[-_]cache[-_]key$")
_QUERY: Final = re.compile(r"[?&;]([^=&;#]*)=([^&;#]*)")
_SIGNATURES: Final = ("sig", "signature", "code")  # In URLs of Azure Storage and Azure Functions.
_SCHEMES: Final = ("bearer", "basic", "digest", "token", "aws4-hmac-sha256")
_SIGNED_NAMES: Final = re.compile(r"SignedHeaders=[^\s,]*")  # Of AWS SigV4: words of which messages are made.
_PERCENT: Final = re.compile("%[0-9A-F]{2}")
_UNICODE: Final = (r"\u%04X", r"\u%04x")  # Escapes of .NET; and of Go and Java.
_PUNCTUATION: Final = re.compile("[+&<>'=]")
# A URL with credentials or with a query.
_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://(?:[^/?#@\s]+@|[^?\s]*\?)")


def request_headers(routing: Mapping[str, object], tracing: Mapping[str, str] | None = None) -> dict[str, str]:
    """Build the headers of a request, by lower-case name.

    Args:
        routing: The routing keys of `ClientArgs`, with callables already called. None and blank text are left out.
        tracing: Headers over which `routing` takes precedence; a routing key that is None removes the header.

    Raises:
        PortkeyConfigError: If a value cannot be sent.
    """
    taken = {PREFIX + to_setting(key).replace("_", "-") for key, value in routing.items() if value is None}
    traced = {name: value for name, value in (tracing or {}).items() if name not in taken}
    headers = {**_BASE, **traced}
    settings = {to_setting(key): value for key, value in routing.items() if not _is_left_out(value)}
    names = [
        name.lower().replace("_", "-") for name in _to_names("forward_headers", settings.get("forward_headers", ()))
    ]
    for setting, value in settings.items():
        name = setting.replace("_", "-")
        if setting == "headers":
            continue
        if setting == "authorization":
            headers[name] = _authorization(value)
        else:
            # A name that is listed with the prefix keeps it: `x-portkey-metadata` is for gateway and provider.
            header = name if name in names else PREFIX + name
            if not _HEADER_NAME.fullmatch(header):
                raise PortkeyConfigError(f"client_args must have names of headers; got {name_of(setting)}")
            headers[header] = _checked(f"client_args[{name_of(setting)}]", _to_text(setting, value, settings))
    headers |= _extra_headers(settings.get("headers", {}))
    if is_provider_key(headers.get(f"{PREFIX}api-key", "")):  # It would be sent to the hosted gateway.
        message = "client_args['api_key'] must be Portkey's key; got one of a provider"
        raise PortkeyConfigError(message, hint="give it as client_args['Authorization']")
    return headers


def secrets(headers: Mapping[str, str]) -> set[str]:
    """Return the secrets in request headers, in each form in which an answer may quote them.

    Secrets are values whose name looks like that of a key or is listed in ``x-portkey-sensitive-headers``, also inside
    a config; the password in ``x-portkey-custom-host``; and all headers except those of Portkey, HTTP and tracers.
    """
    sensitive = {name.strip().lower() for name in headers.get(f"{PREFIX}sensitive-headers", "").split(",")}
    found: set[str] = set()
    for header, text in headers.items():
        name = header.removeprefix(PREFIX)  # The prefix contains "key".
        is_secret = _is_secret(header) or not sensitive.isdisjoint((header, name))
        if name == "custom-host":
            found.update(_credentials(text))
        found.update(_secrets_within(text, is_secret=is_secret))
    # A shorter text is not a key, and masking it inside other words would make messages unreadable.
    return {form for each in found if len(each) >= _SHORTEST_SECRET for form in _forms(each)}


@lru_cache(maxsize=256)
def _is_secret(header: str) -> bool:
    """Whether a header's value is treated as a key, by the header's name."""
    if _sounds_secret(header.removeprefix(PREFIX)):
        return True
    return not header.startswith(PREFIX) and header not in _HARMLESS


def _sounds_secret(name: str) -> bool:
    return bool(_SECRET_NAME.search(name)) and not _PLAIN_NAME.search(name)


def _forms(secret: str) -> Iterator[str]:
    """Yield a secret as it was sent, and escaped as in JSON, URLs and HTML."""
    yield secret
    if not secret.isalnum():
        escaped = json.dumps(secret)[1:-1]
        quoted = quote(secret, safe="")
        yield from (escaped, escaped.replace("/", "\\/"))
        yield from (_rewritten(escaped, form) for form in _UNICODE)
        yield from (quoted, _PERCENT.sub(lambda match: match[0].lower(), quoted), quote(secret))
        yield from (escape(secret), _rewritten(secret, "&#%d;"))


def _rewritten(secret: str, form: str) -> str:
    """Return a secret with its punctuation replaced by escapes."""
    return _PUNCTUATION.sub(lambda match: form % ord(match[0]), secret)


def _secret_parts(text: str) -> Iterator[str]:
    """Yield a secret and the parts of it that may be quoted alone: the key after a scheme, cookies, a password."""
    yield text
    words = [word for word in re.split(r"[\s;,]+", _SIGNED_NAMES.sub("", text)) if word.lower() not in _SCHEMES]
    for word in words:
        value = word.partition("=")[2]
        bare = unquote(value).strip("\"'")
        yield from (word, value, bare, bare.partition(":")[2], word.partition(":")[2])
        if "://" in word:
            yield from _credentials(word)
    if text[:6].lower() == "basic ":
        with suppress(ValueError):
            decoded = b64decode(words[-1] + "==").decode("latin-1")
            name, _, password = decoded.partition(":")
            yield from (decoded, password or name)


def _credentials(url: str) -> Iterator[str]:
    """Yield the credentials of a URL and the keys in its query, both encoded and decoded."""
    given = url.rpartition("@")[0].partition("://")[2]
    keys = [value for name, value in _QUERY.findall(url) if _sounds_secret(name) or name.lower() in _SIGNATURES]
    for text in (given, given.partition(":")[2], *keys):
        yield from (text, unquote(text))


def _secrets_within(value: JsonValue, *, is_secret: bool) -> Iterator[str]:
    if isinstance(value, dict):
        for name, part in value.items():
            if name.replace("-", "_") == "custom_host" and isinstance(part, str):
                yield from _credentials(part)
            holds_keys = name == "headers" or _sounds_secret(name)
            yield from _secrets_within(part, is_secret=is_secret or holds_keys)
    elif isinstance(value, list):
        for part in value:
            yield from _secrets_within(part, is_secret=is_secret)
    elif isinstance(value, str):
        if value.startswith(("{", "[")):
            with suppress(ValueError):
                yield from _secrets_within(from_json(value), is_secret=is_secret)
                return
        if is_secret:
            yield from _secret_parts(value)
        elif _URL.match(value):
            yield from _credentials(value)


def _is_left_out(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _to_names(setting: str, value: object) -> list[str]:
    """Return a list of names that was given as a list or as comma-separated text."""
    if isinstance(value, str):
        value = value.split(",")
    try:
        names = _NAMES.validate_python(value)
    except ValidationError:
        wanted = "a list of names, or names separated by commas"
        message = f"client_args[{name_of(setting)}] must be {wanted}; got {type_of(value)}"
        raise PortkeyConfigError(message) from None
    return [name.strip() for name in names if name.strip()]


def _authorization(value: object) -> str:
    must = "client_args['authorization'] must be the provider's key, such as 'Bearer sk-...'"
    if not isinstance(value, str):
        raise PortkeyConfigError(f"{must}; got {type_of(value)}")
    text = _checked("client_args['authorization']", value)
    if text.lower() in ("bearer", "basic"):
        raise PortkeyConfigError(f"{must}; got a scheme without a key")
    return text if " " in text else Masked(f"Bearer {text}")


def _extra_headers(value: object) -> dict[str, str]:
    if not is_mapping(value):
        message = f"client_args['headers'] must be a mapping of names to texts; got {type_of(value)}"
        raise PortkeyConfigError(message)
    headers: dict[str, str] = {}
    for name, text in value.items():
        if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name) or is_key_as_name(name):
            raise PortkeyConfigError(f"client_args['headers'] must have names of headers; got {name_of(name)}")
        where = f"client_args['headers'][{name_of(name)}]"
        if not isinstance(text, str):
            raise PortkeyConfigError(f"{where} must be text; got {type_of(text)}")
        headers[name.lower()] = _checked(where, text)
    return headers


def _to_text(setting: str, value: object, settings: Mapping[str, object]) -> str:
    if setting in _JSON_SETTINGS:
        return _to_json(setting, value)
    if setting in _NAME_LISTS:
        # The name of a setting is converted to that of its header; names of other headers stay unchanged.
        names = _to_names(setting, value)
        return ",".join(name.replace("_", "-") if to_setting(name) in settings else name for name in names)
    if setting in _FEATURE_LISTS and is_list(value):
        return ",".join(_to_names(setting, value))
    if isinstance(value, bool):
        return "true" if value else "false"
    if is_mapping(value) or is_list(value):
        return _dump(setting, value)
    if not isinstance(value, (str, int, float)):
        message = f"client_args[{name_of(setting)}] must be text, a number or a bool; got {type_of(value)}"
        raise PortkeyConfigError(message)
    # str() of a `Masked` text would return an unmasked one.
    return value if isinstance(value, str) else str(value)


def _to_json(setting: str, value: object) -> str:
    """Return ASCII JSON of an object; the id of a saved config stays unchanged."""
    if isinstance(value, str):
        if setting == "config" and not value.lstrip().startswith(("{", "[")):
            return value
        try:
            value = masked(from_json(value))
        except ValueError:
            raise PortkeyConfigError(f"client_args[{name_of(setting)}] must be JSON; got other text") from None
    if not is_mapping(value):
        message = f"client_args[{name_of(setting)}] must be a mapping or its JSON; got {type_of(value)}"
        raise PortkeyConfigError(message)
    return _dump(setting, value)


def _dump(setting: str, value: object) -> str:
    # ASCII, because the gateway reads headers as Latin-1.
    try:
        return json.dumps(value, separators=(",", ":"), allow_nan=False, default=_plain)
    except (TypeError, ValueError, RecursionError) as error:
        raise PortkeyConfigError(f"client_args[{name_of(setting)}] must be JSON; got something else: {error}") from None


def _plain(value: object) -> object:
    if is_mapping(value):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not a JSON value")


def _checked(where: str, text: str) -> str:
    if not text.isascii() or not text.isprintable():
        # The text may be a key, so the message does not quote it.
        message = f"{where} must be printable ASCII, since it is sent as a header; got other characters"
        raise PortkeyConfigError(message)
    return Masked(text.strip())
