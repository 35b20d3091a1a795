"""What goes wrong before the gateway answers: which error is raised, its message, and what it must not hold."""

import asyncio
import gc
import importlib
import re
import socket
import ssl
import sys
import threading
import traceback
from contextlib import aclosing, suppress
from types import SimpleNamespace

import certifi
import httpx
import pytest

from strands_portkey import PortkeyConfigError, PortkeyConnectionError, PortkeyError, PortkeyStreamError
from strands_portkey._http.cancellation import Watch
from strands_portkey._http.client import GatewayClient, Request
from strands_portkey._http.connections import module_problem, ssl_context
from strands_portkey._http.response import GatewayResponse
from strands_portkey._settings.endpoint import split_client_args
from tests.chat import chunks_of, request_chat
from tests_integ.upstream import Gate, Reply

KEY = "pk-planted-0123456789"
BASE_URL = "http://gateway.internal/v1"
PROXY = "client_args['proxy'], or HTTP_PROXY, HTTPS_PROXY, ALL_PROXY or NO_PROXY of the environment,"
SSE = {"content-type": "text/event-stream"}
CHUNK = b'data: {"choices":[{"delta":{"content":"Hi"}}]}\n\n'


async def ask(http_client: httpx.AsyncClient | None = None, **client_args: object) -> list:
    client = GatewayClient(split_client_args({"base_url": BASE_URL, **client_args})[0], http_client)
    with Watch(client.endpoint.clocks, None) as watch:
        async with (
            request_chat(client, {"x-portkey-api-key": KEY}, watch) as answer,
            aclosing(chunks_of(answer)) as chunks,
        ):
            return [chunk async for chunk in chunks]


async def failure_of(error: Exception, **client_args: object) -> PortkeyError:
    """Return the error that an exception of a transport becomes."""

    def refuse(_: httpx.Request) -> httpx.Response:
        raise error

    with pytest.raises(PortkeyError) as caught:
        await ask(httpx.AsyncClient(transport=httpx.MockTransport(refuse)), **client_args)
    return caught.value


def answering(answer: bytes) -> tuple[threading.Thread, str]:
    """Answer one connection with these bytes, whatever it asks; return the running thread and the address."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with listener, suppress(OSError):
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):  # Bytes left unread would turn the end into a reset.
                    pass

    thread = threading.Thread(target=serve)
    thread.start()
    return thread, f"127.0.0.1:{listener.getsockname()[1]}"


# -- which error it becomes --------------------------------------------------------------------------------------------

FAILURES = {
    "GOAWAY": (httpx.RemoteProtocolError("<ConnectionTerminated error_code:0>"), PortkeyConnectionError, True),
    "a frame after GOAWAY": (
        httpx.LocalProtocolError("Invalid input ConnectionInputs.RECV_HEADERS in state ConnectionState.CLOSED"),
        PortkeyConnectionError,
        True,
    ),
    "data before headers": (
        httpx.LocalProtocolError("cannot receive data before headers"),
        PortkeyConnectionError,
        True,
    ),
    "a status that is no number": (ValueError("invalid literal for int(): 'abc'"), PortkeyConnectionError, True),
    "an error of a SOCKS library": (AssertionError(), PortkeyConnectionError, True),
    "a client of another loop": (RuntimeError("is bound to a different event loop"), PortkeyConnectionError, False),
    "damage beneath TLS": (ssl.SSLError("bad record"), PortkeyConnectionError, True),
    "a header that HTTP forbids": (httpx.LocalProtocolError("Illegal header value b'x'"), PortkeyConfigError, False),
    "a header that HTTP/2 forbids": (
        httpx.LocalProtocolError("Invalid value for TE header: b'x'"),
        PortkeyConfigError,
        False,
    ),
    "a port out of range": (OverflowError("port must be 0-65535."), PortkeyConfigError, False),
}


@pytest.mark.parametrize(("error", "kind", "retryable"), FAILURES.values(), ids=FAILURES)
async def test_any_exception_of_a_request_becomes_an_error_of_this_package(error, kind, retryable):
    failure = await failure_of(error)

    assert (type(failure), failure.retryable) == (kind, retryable)


@pytest.mark.parametrize("host", ["xn--", "\u00fc..localhost"])
async def test_an_invalid_host_name_raises_a_config_error(host):
    with pytest.raises(PortkeyConfigError, match=f"no request can be sent to http://{host}/v1: "):
        await ask(base_url=f"http://{host}")


async def test_a_closed_client_raises_a_config_error():
    http_client = httpx.AsyncClient()
    await http_client.aclose()

    with pytest.raises(PortkeyConfigError, match=r"^http_client must be an open httpx\.AsyncClient; got a closed one$"):
        await ask(http_client)


@pytest.mark.parametrize("error", [ValueError("mine"), PermissionError("mine"), LookupError("mine")], ids=repr)
@pytest.mark.parametrize("when", ["request", "response"])
async def test_an_exception_from_a_hook_of_the_callers_own_client_is_not_converted(server, error, when):
    async def refuse(_: object) -> None:
        raise error

    server.reply(Reply(200, SSE, [CHUNK]))
    async with httpx.AsyncClient(event_hooks={when: [refuse]}) as http_client:
        with pytest.raises(type(error), match="mine") as caught:
            await ask(http_client, base_url=server.base_url)

    assert caught.value is error


# -- TLS ---------------------------------------------------------------------------------------------------------------

CERTIFICATE = "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: "
CERTIFICATE_HINT = r"check the certificate .* client_args\['verify'\] or SSL_CERT_FILE"
TLS = {
    "self-signed": (f"{CERTIFICATE}self-signed certificate", CERTIFICATE_HINT),
    "expired": (f"{CERTIFICATE}certificate has expired", CERTIFICATE_HINT),
    "another host": (f"{CERTIFICATE}Hostname mismatch, certificate is not valid for 'x'", CERTIFICATE_HINT),
    "plain http": ("[SSL: WRONG_VERSION_NUMBER] wrong version number", "with http://"),
    "plain http, OpenSSL 3.2": ("[SSL] record layer failure (_ssl.c:1000)", "with http://"),
}


@pytest.mark.parametrize(("said", "hint"), TLS.values(), ids=TLS)
async def test_a_permanent_tls_failure_is_explained_and_not_retryable(said, hint):
    failure = await failure_of(httpx.ConnectError(said))

    assert (type(failure), failure.retryable) == (PortkeyConnectionError, False)
    assert re.search(hint, str(failure.hint))


async def test_tls_to_a_gateway_that_speaks_plain_http_is_explained():
    thread, address = answering(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with pytest.raises(PortkeyConnectionError, match=r"begin client_args.* with http://") as caught:
        await ask(base_url=f"https://{address}")
    thread.join()

    assert not caught.value.retryable


@pytest.mark.parametrize("answer", [b"\x15\x03\x03\x00\x02\x02\x46\r\n\r\n", b""], ids=["an alert", "a hang-up"])
async def test_plain_http_to_a_gateway_that_may_speak_tls_is_explained(answer):
    thread, address = answering(answer)

    with pytest.raises(PortkeyConnectionError, match=r"begin client_args\['base_url'\] with https://"):
        await ask(base_url=f"http://{address}")
    thread.join()


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_certificates_of_the_environment_that_change_are_read_again(monkeypatch, tmp_path, name):
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    before = ssl_context(True, None, True)
    monkeypatch.setenv(name, certifi.where() if name == "SSL_CERT_FILE" else str(tmp_path))

    changed = ssl_context(True, None, True)

    assert changed is not before
    assert ssl_context(True, None, True) is changed
    assert ssl_context(True, None, False) is not changed


BAD_FILES = {
    "verify": ({"verify": "/no/such"}, "client_args['verify'] must name PEM files that can be read; got /no/such: No"),
    "cert": ({"cert": "/no/such"}, "client_args['cert'] must name PEM files that can be read; got /no/such: No"),
    "key": (
        {"cert": (certifi.where(), "/no/such")},
        "client_args['cert'] must name PEM files that can be read; got /no/such: No",
    ),
    "no PEM": ({"verify": __file__}, f"client_args['verify'] must name PEM files that can be read; got {__file__}: ["),
    "no key in it": (
        {"cert": certifi.where()},
        f"client_args['cert'] must name PEM files that can be read; got {certifi.where()}: [",
    ),
}


@pytest.mark.parametrize(("client_args", "said"), BAD_FILES.values(), ids=BAD_FILES)
async def test_a_file_for_tls_that_cannot_be_used_is_named_with_its_setting(client_args, said):
    with pytest.raises(PortkeyConfigError, match=f"^{re.escape(said)}") as caught:
        await ask(**client_args)

    assert caught.value.__context__ is None


async def test_a_file_of_the_environment_that_cannot_be_used_is_named(monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", "/no/such")

    with pytest.raises(
        PortkeyConfigError, match=r"^SSL_CERT_FILE must name PEM files that can be read; got /no/such: "
    ):
        await ask()


# -- modules and proxies -----------------------------------------------------------------------------------------------


async def test_http2_without_its_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "h2", None)

    with pytest.raises(PortkeyConfigError, match=r"^http2=True needs the package h2, .*'h2' package is not installed"):
        await ask(http2=True)


@pytest.mark.parametrize(
    ("content", "said"),
    [("", "'h2' is {file}, which is another module"), ("a b", "invalid syntax (h2.py, line 1)")],
    ids=["another module", "no module"],
)
async def test_a_file_with_the_name_of_a_package_is_named(monkeypatch, tmp_path, content, said):
    file = tmp_path / "h2.py"
    file.write_text(content)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "h2", raising=False)
    if not content:
        importlib.import_module("h2")

    try:
        failure = (
            await failure_of(ModuleNotFoundError("No module named 'h2.config'; 'h2' is not a package"))
            if not content
            else await failure_of_settings(http2=True)
        )
    finally:
        sys.modules.pop("h2", None)

    assert isinstance(failure, PortkeyConfigError)
    assert said.format(file=file) in str(failure)


ANOTHER = "which is another module"
MISSING = "http2=True needs the package h2, and a SOCKS proxy socksio: no"


@pytest.mark.parametrize(
    ("error", "files", "said"),
    [
        (ImportError("no"), [], MISSING),
        (SyntaxError("no"), [], MISSING),
        (AttributeError("no"), [], None),
        (AttributeError("no"), ["h2"], f"{MISSING}; 'h2' is h2.py, {ANOTHER}"),
        (AttributeError("no"), ["h2/"], None),
        (ImportError("no"), ["h2/"], MISSING),
        (ValueError("no"), ["h2"], None),
        (
            ImportError("no"),
            ["hpack", "hyperframe", "socksio"],
            f"{MISSING}; 'hpack' is hpack.py and 'hyperframe' is hyperframe.py and 'socksio' is socksio.py, {ANOTHER}",
        ),
    ],
)
def test_files_with_the_names_of_packages_are_named_where_that_may_be_the_cause(monkeypatch, error, files, said):
    for name in ("h2", "hpack", "hyperframe", "socksio"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    for name in files:
        module = SimpleNamespace(__path__=[]) if name.endswith("/") else SimpleNamespace(__file__=f"{name}.py")
        monkeypatch.setitem(sys.modules, name.rstrip("/"), module)

    assert module_problem(error) == said


async def failure_of_settings(**client_args: object) -> PortkeyError:
    with pytest.raises(PortkeyError) as caught:
        await ask(None, **client_args)
    return caught.value


@pytest.mark.parametrize("sign", "#/?")
@pytest.mark.parametrize("given", ["client_args", "environment"])
async def test_a_proxy_whose_password_is_not_escaped_is_not_quoted(monkeypatch, sign, given):
    proxy = f"http://user:secret{sign}password@127.0.0.1:3128"
    client_args = {"proxy": proxy} if given == "client_args" else {}
    if given == "environment":
        monkeypatch.setenv("http_proxy", proxy)
        monkeypatch.setenv("HTTP_PROXY", proxy)

    failure = await failure_of_settings(**client_args)

    assert str(failure) == f"{PROXY} must be a URL, in whose password '#' is written %23, '/' %2F and '?' %3F"
    assert (type(failure), failure.__cause__, failure.__context__) == (PortkeyConfigError, None, None)


@pytest.mark.parametrize("base_url", ["http://gateway.internal", "https://gateway.internal"])
async def test_a_proxy_with_a_port_out_of_range_raises_a_config_error(base_url):
    failure = await failure_of_settings(base_url=base_url, proxy="http://127.0.0.1:99999")

    assert str(failure).startswith(f"{PROXY} must have a port, a name and a password in range; ")
    assert (type(failure), failure.__cause__, failure.__context__) == (PortkeyConfigError, None, None)


# -- what an error holds -----------------------------------------------------------------------------------------------


def assert_holds_no_key(error: BaseException) -> None:
    """Look for the key in the message of the error and in the visible frames of other packages that it holds."""
    chain: list[BaseException] = [error]
    while (before := chain[-1].__cause__ or chain[-1].__context__) is not None:
        chain.append(before)
    for each in chain:
        assert KEY not in f"{each!s} {each!r}"
        for frame, _ in traceback.walk_tb(each.__traceback__):
            if not frame.f_globals["__name__"].startswith(("strands_portkey", "tests", "_pytest", __name__)):
                assert KEY not in repr(frame.f_locals)


async def test_a_key_in_an_invalid_header_of_an_answer_is_not_shown():
    thread, address = answering(b"HTTP/1.1 200 OK\r\nauthorization : " + KEY.encode() + b"\r\n\r\n")

    failure = await failure_of_settings(base_url=f"http://{address}")
    thread.join()

    assert "illegal header line: bytearray(b'authorization : ***')" in str(failure)
    assert (type(failure.__cause__), failure.__context__) == (httpx.RemoteProtocolError, None)
    assert_holds_no_key(failure)


async def test_a_key_in_an_invalid_chunk_of_a_body_is_not_shown():
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    thread, address = answering(head + KEY.encode() + b"\r\n")

    failure = await failure_of_settings(base_url=f"http://{address}")
    thread.join()

    assert (type(failure), type(failure.__cause__)) == (PortkeyStreamError, httpx.RemoteProtocolError)
    assert failure.__context__ is None
    assert_holds_no_key(failure)


async def test_a_timeout_holds_no_frames_of_httpx(server):
    server.reply(Reply(200, hold=Gate()))

    failure = await failure_of_settings(base_url=server.base_url, timeout={"first_byte": 0.1})

    assert (failure.__cause__, failure.__context__) == (None, None)
    assert_holds_no_key(failure)


async def test_a_header_that_http_forbids_is_not_quoted():
    thread, address = answering(b"")
    async with httpx.AsyncClient(headers={"x-own": f"{KEY}\n"}) as http_client:
        client = GatewayClient(split_client_args({"base_url": f"http://{address}"})[0], http_client)
        with pytest.raises(PortkeyConfigError, match=r"Illegal header value$") as caught:
            await GatewayResponse(
                client, Request("/models", None, {}), Watch(client.endpoint.clocks, None)
            ).__aenter__()
    thread.join()

    assert_holds_no_key(caught.value)


@pytest.mark.filterwarnings("error::ResourceWarning")
async def test_a_connection_that_is_cancelled_in_the_making_is_closed():
    closed: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        asking = asyncio.create_task(ask(base_url=f"https://127.0.0.1:{listener.getsockname()[1]}"))
        connection, _ = await asyncio.to_thread(listener.accept)
        with connection:
            connection.settimeout(5)
            await asyncio.to_thread(connection.recv, 65536)  # The beginning of TLS.

            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking

            closed.append(await asyncio.to_thread(connection.recv, 65536))
    gc.collect()

    assert closed == [b""]
