"""One agent, one model: each call says who answers it, with which parameters, and for whom."""

import os

from strands import Agent

from strands_portkey import PortkeyModel, ResponseMetadata


def show(answer: ResponseMetadata) -> None:
    """Print who answered."""
    print(f"{answer.provider}, {answer.model}, trace {answer.trace_id}")


model = PortkeyModel(
    model_id="gpt-4o-mini",
    client_args={
        "provider": "openai",
        "Authorization": os.environ["OPENAI_API_KEY"],
        "custom_host": os.environ.get("OPENAI_CUSTOM_HOST"),  # None is the provider's own address.
        "trace_id": "support",
    },
    on_response=show,
)
agent = Agent(model=model, callback_handler=None)
print(agent("Where is my parcel?"))

hard = {
    "provider": "anthropic",
    "Authorization": os.environ["ANTHROPIC_API_KEY"],
    "custom_host": os.environ.get("ANTHROPIC_CUSTOM_HOST"),
    "model_id": "claude-sonnet-4-5",
    "params": {"temperature": 0},
    "metadata": {"_user": "alice"},
    "trace_id": "support-alice",
}
print(agent("It was sent to my old address. What now?", invocation_state={"portkey": hard}))
