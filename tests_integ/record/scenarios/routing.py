"""What the gateway itself says: validation, routing, retries, timeouts, guardrails."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tests_integ.record import providers as p
from tests_integ.record.scenario import Failed, Meant, Scenario
from tests_integ.record.scenarios.common import TEXT
from tests_integ.upstream import Gate, Reply
from tests_integ.wires.said import Counts, text

DENIED = "The guardrail checks defined in the config failed."
FAILED_GUARD = {"default.contains": {"operator": "any", "words": ["zebra"]}}
PASSED_GUARD = {"default.contains": {"operator": "any", "words": ["weather"]}}


def _refused(name: str, message: str, config: object = None, **headers: str | None) -> Scenario:
    sent = {f"x-portkey-{key.replace('_', '-')}": value for key, value in headers.items()}
    failed = Failed("PortkeyAPIError", 400, "gateway", message_contains=message)
    return Scenario(p.OPENAI, name, failed, (), (), headers=sent, config=config, folder="gateway")


def _validation() -> Iterator[Scenario]:
    needs = "Either x-portkey-config or x-portkey-provider header is required"
    yield _refused("invalid_no_provider", needs, provider=None, custom_host=None)
    yield _refused("invalid_provider", "Invalid provider passed", provider="@openai-prod")
    yield _refused("invalid_config_id", "Invalid config passed", "pc-my-config-1")
    yield _refused("invalid_config", "Invalid config passed", {"strategy": {"mode": "guess"}, "targets": []})
    yield _refused("invalid_custom_host", "Invalid custom host", custom_host="http://10.0.0.1/v1")
    broken = Failed("PortkeyAPIError", 500, "gateway", retryable=True, message_contains="Provider portkey not found")
    headers = {"x-portkey-provider": "portkey"}
    yield Scenario(p.OPENAI, "exception", broken, (), (), headers=headers, folder="gateway")


def _target(status: str = "", provider: p.Provider = p.OPENAI) -> Mapping[str, str]:
    return {"provider": provider.slug, "api_key": f"key{status}", "custom_host": f"UPSTREAM{provider.path}"}


NO_HOST: Mapping[str, str | None] = {"x-portkey-custom-host": None, "x-portkey-provider": None}


def _routing() -> Iterator[Scenario]:
    one, claude = p.OPENAI, p.ANTHROPIC
    fine = Meant([TEXT], "end_turn")
    counts = Counts()
    said = ([TEXT], "stop", counts)
    down, busy = one.error(500, "First is down.", "server_error"), one.error(429, "Second is busy.", "requests")
    fallback = {"strategy": {"mode": "fallback"}, "targets": [_target(), _target(provider=claude)]}
    claude_said = claude.stream([TEXT], "end_turn", counts)
    claude_answered = claude.answer([TEXT], "end_turn", counts)
    yield Scenario(
        one,
        "fallback_worked",
        fine,
        [down, claude_said],
        [down, claude_answered],
        headers=NO_HOST,
        config=fallback,
        folder="gateway",
    )
    yield Scenario(
        one,
        "fallback_all_failed",
        Failed("PortkeyThrottledError", 429, retryable=True, message_contains="Second is busy."),
        [down, busy],
        headers=NO_HOST,
        config={"strategy": {"mode": "fallback"}, "targets": [_target(), _target()]},
        folder="gateway",
    )
    nested = {"strategy": {"mode": "fallback"}, "targets": [_target(), {**fallback}]}
    yield Scenario(
        one,
        "fallback_nested",
        fine,
        [down, down, claude_said],
        headers=NO_HOST,
        config=nested,
        folder="gateway",
    )
    yield Scenario(
        one,
        "loadbalance",
        fine,
        [one.stream(*said)],
        headers=NO_HOST,
        config={"strategy": {"mode": "loadbalance"}, "targets": [{**_target(), "weight": 1}]},
        folder="gateway",
    )
    yield Scenario(
        one,
        "retry_worked",
        fine,
        [busy, one.stream(*said)],
        config={"retry": {"attempts": 1}},
        folder="gateway",
    )
    yield Scenario(
        one,
        "retry_exhausted",
        Failed("PortkeyThrottledError", 429, retryable=True, message_contains="Second is busy."),
        [busy, busy],
        config={"retry": {"attempts": 1}},
        folder="gateway",
    )
    yield Scenario(
        one,
        "stream_turned_off",
        fine,
        [one.answer(*said)],
        headers=NO_HOST,
        config={**_target(), "override_params": {"stream": False}},
        folder="gateway",
    )
    slow = Reply(200, hold=Gate())
    yield Scenario(
        one,
        "request_timeout",
        Failed("PortkeyAPIError", 408, "gateway", retryable=True, message_contains="Request exceeded the timeout"),
        [slow],
        headers={"x-portkey-request-timeout": "200"},
        folder="gateway",
    )
    for provider in (one, claude):
        yield Scenario(
            provider,
            f"refused_connection_{provider.slug}",
            Failed("PortkeyAPIError", 500, retryable=True, message_contains="ECONNREFUSED"),
            (),
            # A port that the kernel never gives out: nothing listens there.
            headers={"x-portkey-custom-host": "http://127.0.0.1:4"},
            folder="gateway",
        )
    unmatched = {
        "strategy": {
            "mode": "conditional",
            "conditions": [{"query": {"metadata.tier": {"$eq": "paid"}}, "then": "paid"}],
        },
        "targets": [{**_target(), "name": "paid"}],
    }
    headers = {**NO_HOST, "x-portkey-metadata": '{"tier":"free"}'}
    failed = Failed("PortkeyAPIError", 400, "gateway", message_contains="Query router did not resolve")
    yield Scenario(one, "no_matching_target", failed, (), headers=headers, config=unmatched, folder="gateway")
    quiet = {"x-portkey-trace-id": None}
    yield Scenario(one, "no_trace_id", fine, [one.stream(*said)], headers=quiet, folder="gateway")


def _guardrails() -> Iterator[Scenario]:
    one = p.OPENAI
    counts = Counts()
    said = ([TEXT], "stop", counts)
    stream, answer = one.stream(*said), one.answer(*said)
    fine = Meant([TEXT], "end_turn")
    # The whole sentence is the gateway's; a guardrail that says no is an answer, not an error.
    whole = DENIED + " You can find more information in the `hook_results` object."
    denied = Meant([text(whole)], "guardrail_intervened", None)
    failing, passing = dict(FAILED_GUARD), dict(PASSED_GUARD)
    yield Scenario(
        one,
        "input_guardrail_denied",
        denied,
        (),
        (),
        config={"input_guardrails": [{**failing, "deny": True}]},
        folder="guardrails",
    )
    yield Scenario(
        one,
        "input_guardrail_failed",
        fine,
        [stream],
        [answer],
        config={"input_guardrails": [{**failing, "deny": False}]},
        folder="guardrails",
        strict=True,  # There the results are left out of the stream.
    )
    yield Scenario(
        one,
        "input_guardrail_passed",
        fine,
        [stream],
        [answer],
        config={"input_guardrails": [{**passing, "deny": True}]},
        folder="guardrails",
    )
    yield Scenario(
        one,
        "output_guardrail_denied",
        denied,
        None,
        [answer],
        config={"output_guardrails": [{**failing, "deny": True}]},
        folder="guardrails",
    )
    yield Scenario(
        one,
        "output_guardrail_failed",
        fine,
        [stream],
        [answer],
        config={"output_guardrails": [{**failing, "deny": False}]},
        folder="guardrails",
    )
    claude = p.ANTHROPIC
    yield Scenario(
        claude,
        "input_guardrail_failed_anthropic",
        fine,
        [claude.stream([TEXT], "end_turn", counts)],
        config={"input_guardrails": [{**failing, "deny": False}]},
        folder="guardrails",
    )


SCENARIOS = (*_validation(), *_routing(), *_guardrails())
