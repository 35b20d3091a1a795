"""What an error body says, whatever its form: JSON of any provider or of the gateway, HTML or plain text."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

from pydantic import JsonValue
from pydantic_core import from_json, to_json


@dataclass(frozen=True)
class Complaint:
    """What an error says, whatever its form, as it came: of any length, and with keys if it quotes them.

    Attributes:
        message: The words, without the gateway's prefix.
        code: Error code as text.
        type: Error type as text.
        param: The parameter that is at fault.
        provider: The provider that said it.
        by_gateway: Whether the form is one that only the gateway itself uses.
        hook_results: Guardrail verdicts beside the error.
    """

    message: str = ""
    code: str | None = None
    type: str | None = None
    param: str | None = None
    provider: str | None = None
    by_gateway: bool = False
    hook_results: dict[str, JsonValue] | None = None


_DEEPEST: Final = 12  # Levels of an error that are read; a list that the gateway has wrapped has six.
_WRAPPED: Final = re.compile(r"Invalid response received from ([\w.-]{1,80}): (.*)", re.DOTALL)


def read_complaint(text: str, depth: int = 0, *, is_whole: bool = True) -> Complaint:
    """Read an error body, or its beginning: JSON of any known form, HTML or plain text."""
    data = text.encode(errors="replace")  # A lone surrogate has no bytes.
    try:
        said: JsonValue = from_json(data, allow_partial=False if is_whole else "trailing-strings")
    except ValueError:
        return Complaint(text)
    return to_complaint(said, depth)


def to_complaint(said: JsonValue, depth: int = 0) -> Complaint:
    """Read the JSON of an error body, or of the ``error`` that a chunk carries, that stands `depth` errors deep."""
    if depth >= _DEEPEST:
        return Complaint(_words(said))
    if isinstance(said, dict):
        return _from_object(said, depth + 1)
    if isinstance(said, list) and said:  # Gemini answers a stream request with a list of errors.
        return to_complaint(said[0], depth + 1)
    if isinstance(said, str) and (wrapped := _WRAPPED.fullmatch(said)):
        complaint = read_complaint(wrapped[2], depth + 1)
        return replace(complaint, provider=complaint.provider or wrapped[1])
    return Complaint(_words(said))


def _from_object(said: dict[str, JsonValue], depth: int) -> Complaint:
    by_gateway = said.get("status") == "failure"
    match said:
        case {"error": str() | dict() | list() as error} if error:
            inner = to_complaint(error, depth)
            hook_results = said.get("hook_results")
            complaint = replace(
                inner,
                message=_unprefixed(inner.message, said.get("provider")),
                provider=_text(said.get("provider")) or inner.provider,
                by_gateway=by_gateway or inner.by_gateway,
                hook_results=hook_results if isinstance(hook_results, dict) else None,
            )
        case {"success": False, "data": dict() as reply}:  # The hosted control plane.
            complaint = Complaint(_words(reply.get("message")), code=_text(reply.get("errorCode")), by_gateway=True)
        case {"promptFeedback": {"blockReason": reason}}:
            said_plainly = f"the prompt was blocked: {_words(reason)}"
            complaint = Complaint(said_plainly, code=_text(reason), type="content_filter")
        case {"message": "Provider returned error", "metadata": {"raw": str() as raw}}:  # OpenRouter
            inner = read_complaint(raw, depth)
            complaint = replace(inner, code=inner.code or _text(said.get("code")))
        case {"message": message}:  # x-ai puts the whole error here.
            inner = to_complaint(message, depth)
            complaint = replace(
                inner,
                code=_text(said.get("code")) or inner.code,
                type=_text(said.get("type")) or inner.type or (None if by_gateway else _text(said.get("status"))),
                param=_text(said.get("param")) or inner.param,
                by_gateway=by_gateway or inner.by_gateway,
            )
        case {"error_message": str() as words}:
            code = _text(said.get("error_code")) or _text(said.get("code"))
            complaint = Complaint(words, code=code, type=_text(said.get("type")))
        case {"html-message": words} | {"detail": [{"msg": words}, *_]} | {"detail": words}:
            complaint = Complaint(_words(words))
        case {"0": first}:  # Gemini's list, turned into an object by the gateway.
            complaint = to_complaint(first, depth)
        case _:
            complaint = Complaint(_words(said))
    return complaint


def _unprefixed(message: str, provider: JsonValue) -> str:
    """Return a message without the gateway's prefix, unless nothing of worth is left."""
    rest = message.removeprefix(f"{_words(provider)} error: ")
    return message if rest == "undefined" else rest


def _words(said: JsonValue) -> str:
    """Return text as it is, and what is no text as JSON."""
    if said is None:
        return ""
    return said if isinstance(said, str) else to_json(said, inf_nan_mode="constants").decode()


def _text(said: JsonValue) -> str | None:
    return str(said) if isinstance(said, (str, int, float)) and said != "" else None
