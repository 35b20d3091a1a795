"""Logs: what they show of requests and answers, and the variable that switches them on."""

from __future__ import annotations

import logging
import os
import re
import warnings
from collections.abc import Mapping
from typing import Final

from strands_portkey._answer.quoting import CONTROL, Quoter
from strands_portkey._settings.secrets import name_of, without_likely_keys

SETTING: Final = "STRANDS_PORTKEY_LOG"
"""The environment variable that switches the logs on."""

_LEVELS: Final = ("debug", "info", "warning")
_FORMAT: Final = "%(asctime)s | %(levelname)s | %(name)s | %(message)s"
_LONGEST_TEXT: Final = 4_000  # Characters of one text in a body.
_LONGEST_PART: Final = 100_000  # Characters of all headers, and of a body.
# A text that is nothing but base64, as no prose is for so long; or the data of a URL, of any length.
_BASE64: Final = re.compile(r'(?<!\\)"(data:[^",\\]{0,100},|(?=[A-Za-z0-9+/_-]{100}))([A-Za-z0-9+/_-]+={0,2})"')
_PIECE: Final = 8  # Characters of a key that are not shown either.
# Headers of the request that hold what looks like a key.
_TRACING_IDS: Final = re.compile(r"^traceparent$|(?:trace|span)-id$")
_JSON_TEXT: Final = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"')


def switch_on() -> None:
    """Write the logs of this package to stderr, from the level on that the environment names, if it names one.

    The records still go to the application's handlers as well: to stop them there would take warnings out of its own
    logs. What one of these takes is not written twice, so it does not matter whether and when logging is configured.
    """
    given = os.environ.get(SETTING, "").strip()
    if not given:
        return
    if given.lower() not in _LEVELS:
        message = f"{SETTING} must be one of {', '.join(_LEVELS)}; got {name_of(given)}"
        warnings.warn(message, stacklevel=3)  # The import of the package.
        return
    package = logging.getLogger(__package__)
    package.setLevel(given.upper())
    if all(handler.name != SETTING for handler in package.handlers):  # The package may be imported anew.
        handler = logging.StreamHandler()
        handler.name = SETTING
        handler.setFormatter(logging.Formatter(_FORMAT))
        handler.addFilter(_is_for_no_other)
        package.addHandler(handler)


def _is_for_no_other(record: logging.LogRecord) -> bool:
    """Whether no handler of the application takes a record."""
    logger: logging.Logger | None = logging.getLogger(record.name)
    while logger:
        for handler in logger.handlers:
            is_other = handler.name != SETTING and not isinstance(handler, logging.NullHandler)
            if is_other and record.levelno >= handler.level:
                return False
        logger = logger.parent if logger.propagate else None
    return True


def headers_sent(quoter: Quoter, headers: Mapping[str, str]) -> str:
    """Return headers of a request without keys, also misplaced ones, on one line, and not too long."""
    shown = _hidden_headers(quoter, headers).items()
    return _one_line({name: text if _TRACING_IDS.search(name) else without_likely_keys(text) for name, text in shown})


def headers_received(quoter: Quoter, headers: Mapping[str, str]) -> str:
    """Return headers of an answer without keys and cookies, on one line, and not too long."""
    shown = _hidden_headers(quoter, headers)
    return _one_line(shown | dict.fromkeys(shown.keys() & {"set-cookie"}, "***"))


def _hidden_headers(quoter: Quoter, headers: Mapping[str, str]) -> dict[str, str]:
    return {name: _without_piece(quoter, text) for name, text in quoter.hide_headers(headers).items()}


def _without_piece(quoter: Quoter, text: str) -> str:
    """Return a text without a piece of a key at its end, where whoever sent it has cut it."""
    is_piece = len(text) >= _PIECE and any(text[-_PIECE:] in key for key in quoter.keys)
    return f"{text.rpartition(' ')[0]} ***" if is_piece else text


def _one_line(headers: Mapping[str, str]) -> str:
    # As plain texts, since the repr of a setting is masked whole.
    return _shortened(repr({name: str(text) for name, text in headers.items()}), _LONGEST_PART)


def body_sent(quoter: Quoter, body: bytes | None) -> str | None:
    """Return the JSON of a request without keys, on one line, with media and long texts shortened."""
    if body is None:
        return None
    text = _BASE64.sub(lambda found: f'"{found[1]}<{len(found[2])} characters>"', body.decode())
    text = quoter.hide(text)  # Before it is cut, or a piece of a key would be left.
    text = _JSON_TEXT.sub(lambda found: _shortened(found[0], _LONGEST_TEXT), text)
    text = CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
    return _shortened(text, _LONGEST_PART)


def _shortened(text: str, most: int) -> str:
    """Return a text, of a long one its beginning and its end."""
    half = most // 2
    return text if len(text) <= most else f"{text[:half]}... ({len(text) - most} characters left out) ...{text[-half:]}"
