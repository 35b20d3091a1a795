"""All scenarios, in the order of their recording."""

from __future__ import annotations

from tests_integ.record.scenario import Scenario
from tests_integ.record.scenarios import (
    anthropic,
    bedrock,
    common,
    google,
    openai,
    openai_like,
    refusals,
    responses,
    routing,
)

SCENARIOS: tuple[Scenario, ...] = (
    *common.SCENARIOS,
    *anthropic.SCENARIOS,
    *google.SCENARIOS,
    *bedrock.SCENARIOS,
    *openai.SCENARIOS,
    *openai_like.SCENARIOS,
    *refusals.SCENARIOS,
    *routing.SCENARIOS,
    *responses.SCENARIOS,
)

__all__ = ["SCENARIOS"]
