"""The errors for what httpx raises instead of an answer: without its frames, and without the keys of the request."""

from __future__ import annotations

import re
import ssl
from itertools import pairwise
from traceback import walk_tb
from typing import Final

import httpx

from strands_portkey._answer.judgement import Judge
from strands_portkey._answer.quoting import LONGEST_QUOTE
from strands_portkey._errors import PortkeyConfigError, PortkeyConnectionError, PortkeyError, PortkeyTimeoutError
from strands_portkey._http.connections import PROXY_SETTING, module_problem

SPEAKS_NO_TLS: Final = "WRONG_VERSION_NUMBER|(?i:record layer failure)"
"""What OpenSSL says, by its version, where plain HTTP answers to TLS."""

# What TLS says, as OpenSSL words it, and what to do about it.
_TLS_HINTS: Final = (
    (
        "CERTIFICATE_VERIFY_FAILED",
        (
            "check the certificate of the gateway and the host in client_args['base_url']; for a CA of your own set"
            " client_args['verify'] or SSL_CERT_FILE to the file with its certificate"
        ),
    ),
    (
        SPEAKS_NO_TLS,
        "what answers speaks no TLS: begin client_args['base_url'], or the URL of the proxy, with http://",
    ),
)
_SPEAKS_TLS: Final = r"without sending a response|illegal status line: bytearray\(b'\\x15"  # 0x15 begins a TLS alert.
_OTHER_LOOP: Final = re.compile(r"different (event )?loop|Event loop is closed")
_CONNECT_HINT: Final = (
    "check client_args['base_url'] (or PORTKEY_BASE_URL), that the gateway runs, and the proxy, if one is set"
)


def to_failure(error: Exception, judge: Judge, base_url: str, request: httpx.Request | None) -> PortkeyError:
    """Return the error for an exception that came instead of an answer, without its frames and without keys.

    Args:
        error: What httpx, or what it stands on, raised.
        judge: Knows the headers that were or would have been sent, to the gateway and to proxies.
        base_url: The gateway.
        request: The request; None if it could not be built.
    """
    error = _innermost(error)
    said = judge.quote(words_of(error), LONGEST_QUOTE)
    if request is None or _is_of_the_request(error):
        said = re.split(r" b['\"]", said)[0]  # What follows is the value of a header.
        failure: PortkeyError = PortkeyConfigError(f"no request can be sent to {base_url}: {said}")
    elif isinstance(error, OverflowError):
        failure = PortkeyConfigError(f"{PROXY_SETTING} must have a port, a name and a password in range; {said}")
    elif problem := module_problem(error):
        failure = PortkeyConfigError(problem)
    elif _is_of_another_loop(error):
        failure = other_loop_error()
    elif isinstance(error, httpx.TimeoutException):
        failure = _timeout_error(error, said, base_url, request.extensions["timeout"]["connect"] or 0)
    else:
        failure = _connection_error(error, said, base_url)
    failure.__cause__ = bare(error, said)
    return failure


def _timeout_error(error: httpx.TimeoutException, said: str, base_url: str, seconds: float) -> PortkeyTimeoutError:
    """Judge a timeout of the caller's own client."""
    if isinstance(error, httpx.ConnectTimeout):
        message = f"no connection to the gateway at {base_url} within {seconds:g} s (connect)"
        return PortkeyTimeoutError(message, clock="connect", seconds=seconds)
    if isinstance(error, httpx.PoolTimeout):
        return PortkeyTimeoutError("there was no free connection in the pool of http_client", clock="connect")
    return PortkeyTimeoutError(f"the gateway at {base_url} did not answer in time: {said}", clock="first_byte")


def _connection_error(error: Exception, said: str, base_url: str) -> PortkeyConnectionError:
    hint, retryable = None, not isinstance(error, RuntimeError)  # Such as one of a pool that is misused.
    if isinstance(error, (httpx.ConnectError, httpx.ProxyError, ssl.SSLError)):
        message = f"cannot reach the gateway at {base_url}: {said}"
        hint = next((hint for sign, hint in _TLS_HINTS if re.search(sign, said)), None)
        retryable = hint is None
        hint = hint or _CONNECT_HINT
    else:
        message = f"the gateway at {base_url} hung up before it answered: {said}"
        if base_url.startswith("http:") and re.search(_SPEAKS_TLS, said):
            hint = "if the gateway speaks TLS, begin client_args['base_url'] with https://"
    return PortkeyConnectionError(message, origin="network", hint=hint, retryable=retryable)


def other_loop_error() -> PortkeyConnectionError:
    """Return the error for a client in an event loop in which its connections do not work."""
    return PortkeyConnectionError(
        "http_client must be used in one event loop only, since its connections work in no other; got a second one",
        hint=(
            "give a function that makes a new client, such as http_client=lambda: httpx.AsyncClient(...): it is called"
            " per loop, and agent(...) runs each call in a loop of its own"
        ),
    )


def to_auth_failure(error: Exception, judge: Judge) -> PortkeyConnectionError:
    """Return the error for what an ``httpx.Auth`` has raised itself.

    The caller's own exception becomes the cause, with the frames of the caller's code, unless its text holds a key.
    """
    said = words_of(error)
    shown = judge.quote(said, LONGEST_QUOTE)
    is_passing = isinstance(error, (httpx.TransportError, OSError))
    failure = PortkeyConnectionError(
        f"client_args['auth'] failed: {shown}",
        origin="network" if is_passing else None,
        hint="give a function that makes it: it is called for each event loop" if _is_of_another_loop(error) else None,
        retryable=is_passing,
    )
    failure.__cause__ = bare(error, shown)
    if failure.__cause__ is None and judge.hide(said) == said:
        failure.__cause__ = error
    return failure


def _is_of_another_loop(error: Exception) -> bool:
    """Whether asyncio complains that something belongs to another event loop, or to one that is closed."""
    return isinstance(error, RuntimeError) and bool(_OTHER_LOOP.search(str(error)))


def _innermost(error: Exception) -> Exception:
    """Return the first exception of a group, which is what is wrong."""
    while exceptions := getattr(error, "exceptions", ()):  # ExceptionGroup is new in Python 3.11.
        error = exceptions[0]
    return error


def words_of(error: Exception) -> str:
    """Return what an exception says, with its type where httpx did not make it."""
    if isinstance(error, (httpx.HTTPError, httpx.InvalidURL, OSError)):
        return str(error) or type(error).__name__
    return f"{type(error).__name__}: {error}"


def _is_of_the_request(error: Exception) -> bool:
    """Whether an exception complains of what was to be sent: h2 says of the gateway what it says of a header."""
    if isinstance(error, httpx.LocalProtocolError):
        return bool(re.search(r"\bheader\b", str(error)))
    return isinstance(error, (httpx.InvalidURL, httpx.UnsupportedProtocol))


def bare(error: Exception, said: str) -> Exception | None:
    """Return an error of the same type as httpx's that has no more than a text: its frames hold keys."""
    if not isinstance(error, httpx.HTTPError):
        return None
    copy = type(error).__new__(type(error))
    httpx.HTTPError.__init__(copy, said)
    return copy


def is_of_a_hook(error: Exception) -> bool:
    """Whether an event hook of the caller's client raised an exception: httpx calls these where it calls itself."""
    frames = [(frame.f_code.co_name, frame.f_globals["__name__"]) for frame, _ in walk_tb(error.__traceback__)]
    return any(
        caller == ("_send_handling_redirects", "httpx._client") and module != "httpx._client"
        for caller, (_, module) in pairwise(frames)
    )
