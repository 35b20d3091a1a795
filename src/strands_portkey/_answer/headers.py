"""The headers of an answer: which of them are shown, and the id of the request among them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from typing import Final

from strands_portkey._answer.quoting import CONTROL, LONGEST_WORD, Quoter
from strands_portkey._settings.headers import PREFIX

_TRACE_IDS: Final = ("x-portkey-trace-id",)
# The ids that providers ask for, the most telling first: a server on the way may add one of the later ones.
_REQUEST_IDS: Final = (
    "apim-request-id",  # Azure, beside `x-request-id`
    "request-id",  # Anthropic
    "x-amzn-requestid",  # Bedrock
    "mistral-correlation-id",
    "x-request-id",  # OpenAI, Groq and most others
    "x-ds-trace-id",  # DeepSeek
    "x-debug-trace-id",  # Cohere
    "x-ms-request-id",
    "x-goog-request-id",
    "x-kong-request-id",
    "cf-ray",  # Cloudflare, before many of them
)
# Cookies and other secrets of the other side, and what is for the transfer or for browsers alone.
_UNTOLD: Final = re.compile(
    r"cookie|authori[sz]ation|authenticat|credential|secret|passw|(?:api|access)-key|(?:security|access|session)-token"
    r"|^(?:connection|date|keep-alive|trailer|transfer-encoding|upgrade|vary|content-.*|accept-.*|access-control-.*"
    r"|alt-svc|nel|report-to|cache-control|expires|pragma|strict-transport-security|x-(?:content-type|frame)-options"
    r"|cross-origin-.*|permissions-policy|referrer-policy|x-xss-protection)$"
)
_MOST_HEADERS: Final = 64
_LONGEST_VALUE: Final = 1_000  # Characters of a value.


def shown_headers(headers: Mapping[str, str], sent: Collection[str], quoter: Quoter) -> dict[str, str]:
    """Return the headers of an answer, with names in lower case, that tell something of it and hold no secret.

    Args:
        headers: All headers of the answer.
        sent: The names of those of the request, which some servers send back.
        quoter: Hides the keys of the request.
    """
    names = [name for name in headers if name.startswith(PREFIX)]
    names += [
        name
        for name in headers
        if not name.startswith(PREFIX) and _is_telling(name) and (name not in sent or name in _REQUEST_IDS)
    ]
    shown = quoter.hide_headers({name: headers[name] for name in names[:_MOST_HEADERS]})
    return {
        name: text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}..."
        for name, text in shown.items()
        if name in headers  # Else it held a key.
    }


@lru_cache(maxsize=256)
def _is_telling(name: str) -> bool:
    return len(name) <= LONGEST_WORD and not _UNTOLD.search(name)


def find_request_id(headers: Mapping[str, str]) -> str | None:
    """Return the id that the provider has given to the request, by headers as they are shown, or None."""
    return _first(headers, _REQUEST_IDS)


def find_trace_id(headers: Mapping[str, str]) -> str | None:
    """Return the id that the request has in Portkey's logs, by headers as they are shown, or None."""
    return _first(headers, _TRACE_IDS)


def _first(headers: Mapping[str, str], names: Iterable[str]) -> str | None:
    """Return what the first of these headers that has a value says, as a message can show it."""
    found = next((found for name in names if (found := headers.get(name))), "")
    return CONTROL.sub(" ", found[:LONGEST_WORD]) or None
