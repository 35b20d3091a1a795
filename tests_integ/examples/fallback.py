"""Another provider answers where the first one fails, and the gateway's facts say so."""

import os

from strands import Agent

from strands_portkey import PortkeyModel, ResponseMetadata


def show(answer: ResponseMetadata) -> None:
    """Print which target answered."""
    print(f"{answer.last_used_option_index}: {answer.provider}, {answer.model}, status {answer.status_code}")


config = {
    "strategy": {"mode": "fallback", "on_status_codes": [429, 500, 502, 503]},
    "targets": [
        {
            "provider": "openai",
            "api_key": os.environ["OPENAI_API_KEY"],
            "custom_host": os.environ.get("OPENAI_CUSTOM_HOST", "https://api.openai.com/v1"),
        },
        {
            "provider": "anthropic",
            "api_key": os.environ["ANTHROPIC_API_KEY"],
            "custom_host": os.environ.get("ANTHROPIC_CUSTOM_HOST", "https://api.anthropic.com/v1"),
            "override_params": {"model": "claude-sonnet-4-5"},
        },
    ],
}
model = PortkeyModel(model_id="gpt-4o", client_args={"config": config}, on_response=show)
agent = Agent(model=model, callback_handler=None)
print(agent("What is the capital of France?"))
