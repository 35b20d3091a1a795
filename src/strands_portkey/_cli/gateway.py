"""The checks of `doctor` that send no request to a model: settings, connection, gateway and routing."""

from __future__ import annotations

import http.client
import re
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from threading import Thread
from typing import Final, Literal
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, build_opener

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict

from strands_portkey._cli.settings import Settings, explain
from strands_portkey._http.failures import SPEAKS_NO_TLS
from strands_portkey._version import __version__

# Checks whose features an agent does not need.
_UNNEEDED: Final = frozenset({"gateway", "usage", "parallel tools", "reasoning"})
_GET_SECONDS: Final = 10.0
_GET_BYTES: Final = 2**16

Status = Literal["ok", "not seen", "failed", "skipped"]
Kind = Literal["open-source", "enterprise", "hosted", "unknown"]


@dataclass(frozen=True)
class Check:
    """The result of one check.

    Attributes:
        name: One of `CHECKS`.
        status: ``not seen`` if nothing failed, but the feature did not show either.
        detail: The finding.
        fix: How to fix the problem.
    """

    name: str
    status: Status
    detail: str
    fix: str | None = None

    @property
    def is_bad(self) -> bool:
        """Whether it makes the command fail."""
        return self.status == "failed" or (self.status == "not seen" and self.name not in _UNNEEDED)


def failed(name: str, error: Exception) -> Check:
    detail, fix = explain(error)
    return Check(name, "failed", detail, fix)


def check_settings(settings: Settings) -> Check:
    said = [f"model {settings.model_id or 'none'}", f"gateway {settings.endpoint.base_url}"]
    said.append("Portkey key " + ("set" if "x-portkey-api-key" in settings.headers else "none"))
    said.append(f"provider key {'from ' + settings.key_source if settings.key_source else 'none'}")
    return Check("settings", "ok", ", ".join([*said, *settings.warnings]))


@dataclass(frozen=True)
class Page:
    status_code: int
    body: bytes


class _Health(TypedDict):
    """The answer of an enterprise gateway to ``GET /health``."""

    status: Literal["success"]
    version: str


_HEALTH: Final = TypeAdapter(_Health)


def get_page(url: str) -> Page | Exception:
    """Return the page at a URL, or the error if there was none in time. No key is sent."""
    answer: Future[Page | Exception] = Future()
    # urllib's own timeout restarts with every byte. A daemon thread does not delay the end of the process.
    Thread(target=lambda: answer.set_result(_get_page(url)), daemon=True).start()
    try:
        return answer.result(_GET_SECONDS)
    except FutureTimeoutError:
        return TimeoutError(f"no whole answer within {_GET_SECONDS:g} s")


def _get_page(url: str) -> Page | Exception:
    request = Request(url, headers={"user-agent": f"strands-agents-portkey/{__version__}"})  # noqa: S310 - http(s) only
    try:
        with build_opener().open(request, timeout=_GET_SECONDS) as response:
            return Page(response.status, response.read(_GET_BYTES))
    except HTTPError as error:
        with error:
            return Page(error.code, b"")
    except (http.client.InvalidURL, ValueError):  # Of a proxy. Python's message may quote its password.
        return URLError("HTTP_PROXY, HTTPS_PROXY or ALL_PROXY of the environment must be a URL; got something else")
    except (OSError, http.client.HTTPException) as error:
        return error


def check_connection(settings: Settings, page: Page | Exception) -> Check:
    base_url = settings.endpoint.base_url
    if isinstance(page, Page):
        return Check("connection", "ok", f"{base_url} answers")
    cause = page.reason if isinstance(page, URLError) else page
    said = str(cause) or type(cause).__name__
    if "CERTIFICATE_VERIFY_FAILED" in said:
        fix = "set SSL_CERT_FILE to the CA certificates of your gateway"
    elif isinstance(page, http.client.HTTPException) or re.search(SPEAKS_NO_TLS, said):
        fix = "check whether it is http or https in --base-url or PORTKEY_BASE_URL"
    elif urlsplit(base_url).hostname in ("localhost", "127.0.0.1", "::1"):
        fix = (
            "start a gateway, such as `docker run --rm -p 8787:8787 portkeyai/gateway:latest`, or set"
            " --base-url or PORTKEY_BASE_URL to yours, or PORTKEY_API_KEY for the hosted one"
        )
    else:
        fix = "check --base-url or PORTKEY_BASE_URL, the network and its proxies"
    return Check("connection", "failed", f"nothing answers at {base_url}: {said}", fix)


def check_gateway(settings: Settings, page: Page) -> tuple[Kind, Check]:
    """Return the kind of gateway, by its start page, its host and its health endpoint."""
    base_url = settings.endpoint.base_url
    host = urlsplit(base_url).hostname or ""
    if b"AI Gateway says hey!" in page.body:
        return "open-source", Check("gateway", "ok", "open-source; it does not tell its version")
    health = get_page(f"{base_url}/health")
    try:
        version = _HEALTH.validate_json(health.body)["version"] if isinstance(health, Page) else ""
    except ValidationError:
        version = ""
    suffix = f", version {version}" if version else "; it does not tell its version"
    if host == "portkey.ai" or host.endswith(".portkey.ai"):
        return "hosted", Check("gateway", "ok", f"hosted{suffix}")
    if version:
        return "enterprise", Check("gateway", "ok", f"enterprise{suffix}")
    detail = f"the server that answers (status {page.status_code}) does not identify itself as a Portkey gateway"
    return "unknown", Check("gateway", "not seen", detail, "check --base-url if the next checks fail")


def check_routing(settings: Settings, kind: Kind) -> Check:
    """Check by the headers whether the gateway can determine where to send a request."""
    provider = settings.headers.get("x-portkey-provider")
    config = settings.headers.get("x-portkey-config")
    is_open = kind == "open-source"
    if not settings.model_id:
        return Check("routing", "failed", "no model is named", "give --model, such as --model gpt-4o-mini")
    slug = settings.model_id.startswith("@") or "x-portkey-virtual-key" in settings.headers
    if is_open and config is not None and not config.startswith("{"):
        fix = "give --config the config itself, as JSON or @FILE"
        return Check("routing", "failed", f"the open-source gateway has no saved configs such as {config}", fix)
    if is_open and provider is not None and provider.startswith("@"):
        fix = "give --provider a provider's name, such as openai"
        return Check("routing", "failed", f"the open-source gateway has no slugs such as {provider}", fix)
    if is_open and provider is None and config is None:
        detail = "the gateway cannot determine where to send a request: neither a provider nor a config is set"
        if slug:
            detail += ", and the open-source one reads neither '@slug/model' nor virtual keys"
        fix = "give --provider, such as openai, or --config with targets (client_args['provider'] or ['config'])"
        return Check("routing", "failed", detail, fix)
    found = [f"provider {provider}"] if provider else []
    if config is not None:
        found.append("an inline config" if config.startswith("{") else f"config {config}")
    if slug:
        found.append("the slug of the model or a virtual key")
    return Check("routing", "ok", " and ".join(found) or "the default config of the API key")
