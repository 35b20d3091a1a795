"""A long system prompt is cached by the provider: what each question took and cost."""

import os

from strands import Agent
from strands.types.content import SystemContentBlock
from strands.types.event_loop import Usage

from strands_portkey import PortkeyModel

# US dollars for a million tokens, from Anthropic's price list for Claude Sonnet 4.5.
FRESH, WRITTEN, READ, OUTPUT = 3.00, 3.75, 0.30, 15.00

model = PortkeyModel(
    model_id="claude-sonnet-4-5",
    client_args={
        "provider": "anthropic",
        "Authorization": os.environ["ANTHROPIC_API_KEY"],
        "custom_host": os.environ.get("ANTHROPIC_CUSTOM_HOST"),  # None is Anthropic's own address.
    },
)
handbook: list[SystemContentBlock] = [
    {"text": "You answer questions on this handbook. " + "Returns are free for 30 days. " * 300},
    {"cachePoint": {"type": "default"}},  # All that stands before is cached.
]


def describe(usage: Usage) -> str:
    """Return what an answer took from the cache, what it wrote to it, and the price."""
    read, written = usage.get("cacheReadInputTokens", 0), usage.get("cacheWriteInputTokens", 0)
    fresh = usage["inputTokens"] - read - written
    price = (fresh * FRESH + written * WRITTEN + read * READ + usage["outputTokens"] * OUTPUT) / 1e6
    return f"{fresh} fresh, {written} written, {read} read, {usage['outputTokens']} out: ${price:.4f}"


for question in ("How long are returns free?", "And what do they cost after that?"):
    agent = Agent(model=model, system_prompt=handbook, callback_handler=None)
    result = agent(question)
    print(f"{str(result).strip()} ({describe(result.metrics.accumulated_usage)})")
