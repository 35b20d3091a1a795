"""`client_args["auth"]` through the real gateway: a front before it checks AWS SigV4, and refuses stale tokens."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import re
from collections.abc import AsyncGenerator
from typing import Final
from urllib.parse import parse_qsl, quote, urlsplit

import httpx
import pytest
from botocore.auth import SigV4Auth  # type: ignore[import-untyped]
from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]
from botocore.credentials import Credentials  # type: ignore[import-untyped]
from strands import Agent

from strands_portkey import PortkeyAPIError, PortkeyModel
from tests_integ.gateway import Gateway
from tests_integ.upstream import Reply, Request, Upstream, json_reply
from tests_integ.wires import openai

ACCESS_KEY: Final = "AKIAPLANTED0123456789"
SECRET_KEY: Final = "planted/secret+of+the+signer"  # noqa: S105 - planted
REGION: Final = "eu-central-1"
SERVICE: Final = "execute-api"
PROVIDER_KEY: Final = "sk-planted-0123456789"


class SigV4(httpx.Auth):
    """Signs each request with a token that is fetched, and fetched anew after a 401."""

    def __init__(self, token_url: str) -> None:
        self.token_url = token_url
        self.token = ""

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        for _ in range(2):
            if not self.token:
                answer = yield httpx.Request("POST", self.token_url)
                await answer.aread()
                self.token = answer.json()["token"]
            names = [name for name in request.headers if not name.startswith("x-amz-") and name != "authorization"]
            headers = {name: request.headers[name] for name in names}
            signed = AWSRequest(request.method, str(request.url), headers, request.content)
            SigV4Auth(Credentials(ACCESS_KEY, SECRET_KEY, self.token), SERVICE, REGION).add_auth(signed)
            request.headers.update(dict(signed.headers.items()))
            response = yield request
            if response.status_code != 401:
                break
            self.token = ""


def signature_of(request: Request) -> tuple[str, str, list[str]]:
    """Return the signature that a request has, the one that it should have, and the headers that it covers."""
    given = re.fullmatch(
        r"AWS4-HMAC-SHA256 Credential=[^/]+/(\S+), SignedHeaders=(\S+), Signature=(\w+)",
        request.header("authorization") or "",
    )
    assert given is not None
    scope, names, signature = given.groups()
    url = urlsplit(request.path)
    query = "&".join(f"{quote(name)}={quote(value)}" for name, value in sorted(parse_qsl(url.query)))
    headers = "".join(f"{name}:{' '.join((request.header(name) or '').split())}\n" for name in names.split(";"))
    canonical = [request.method, quote(url.path), query, headers, names, hashlib.sha256(request.body).hexdigest()]
    digest = hashlib.sha256("\n".join(canonical).encode()).hexdigest()
    to_sign = "\n".join(["AWS4-HMAC-SHA256", request.header("x-amz-date") or "", scope, digest])
    key = f"AWS4{SECRET_KEY}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return signature, hmac.new(key, to_sign.encode(), "sha256").hexdigest(), names.split(";")


class Front:
    """Stands before the gateway as an API gateway of AWS does; hands on what is signed with the newest token."""

    def __init__(self, gateway: Gateway, expires_after: int) -> None:
        self.gateway = gateway
        self.expires_after = expires_after
        self.tokens = 0
        self.uses = 0
        self.statuses: list[int] = []

    @property
    def token(self) -> str:
        return f"session-token-{self.tokens}-planted"

    def __call__(self, request: Request) -> Reply:
        reply = self.answer(request)
        self.statuses.append(reply.status or 0)
        return reply

    def answer(self, request: Request) -> Reply:
        if request.path == "/token":
            self.tokens += 1
            self.uses = 0
            return json_reply({"token": self.token})
        signature, expected, names = signature_of(request)
        if not hmac.compare_digest(signature, expected):
            return json_reply({"message": "The request signature does not match"}, 403)
        sent = {name.lower() for name, _ in request.headers}
        # What botocore never signs, since others may change it.
        assert sent - set(names) <= {"authorization", "connection", "traceparent", "user-agent"}
        self.uses += 1
        if request.header("x-amz-security-token") != self.token or self.uses > self.expires_after:
            return json_reply({"message": f"{request.header('x-amz-security-token')} has expired"}, 401)
        answer = httpx.request(
            request.method,
            f"http://127.0.0.1:{self.gateway.port}{request.path}",
            headers=[(name, value) for name, value in request.headers if name.lower() != "host"],
            content=request.body,
        )
        return Reply(answer.status_code, {"content-type": answer.headers["content-type"]}, [answer.content])


def make_model(front: Upstream, upstream: Upstream) -> PortkeyModel:
    config = {"provider": "openai", "api_key": PROVIDER_KEY, "custom_host": upstream.base_url}
    return PortkeyModel(
        {"base_url": front.base_url, "config": config, "auth": lambda: SigV4(f"{front.url}/token"), "max_retries": 0},
        model_id="gpt-4o",
    )


def test_an_agent_signs_what_it_sends_and_renews_its_token(gateway: Gateway, upstream: Upstream) -> None:
    """Two calls within one loop each, so that one token serves two, and each loop has an auth of its own."""
    upstream.script = lambda _: openai.stream(openai.text("Hello"), finish_reason="stop")
    check = Front(gateway, expires_after=1)
    with Upstream(check) as front:
        model = make_model(front, upstream)

        async def two_turns() -> list[str]:
            agent = Agent(model=model, callback_handler=None)
            return [str(await agent.invoke_async("Größe?")).strip() for _ in range(2)]

        assert [asyncio.run(two_turns()), asyncio.run(two_turns())] == [["Hello", "Hello"], ["Hello", "Hello"]]

    # A token, an answer; the token has expired, another one, an answer. The same in the second loop.
    assert check.statuses == [200, 200, 401, 200, 200] * 2
    assert [request.header("authorization") for request in upstream.requests] == [f"Bearer {PROVIDER_KEY}"] * 4
    asked = [request.json["messages"][0]["content"] for request in upstream.requests]
    assert json.dumps(asked, ensure_ascii=False).count("Größe?") == 4


def test_a_token_that_is_refused_twice_is_the_error_and_is_not_shown(gateway: Gateway, upstream: Upstream) -> None:
    check = Front(gateway, expires_after=0)
    with Upstream(check) as front:
        model = make_model(front, upstream)
        with pytest.raises(PortkeyAPIError, match=r"\*\*\* has expired") as caught:
            asyncio.run(model.list_models())

    assert caught.value.status_code == 401
    assert check.statuses == [200, 401, 200, 401]
    assert "planted" not in f"{caught.value} {vars(caught.value)}"
