"""A graph of two agents: one collects facts, the other writes with them. One trace id joins all their requests."""

import os

from strands import Agent
from strands.multiagent import GraphBuilder

from strands_portkey import PortkeyModel, ResponseMetadata

traces: list[str | None] = []


def keep(answer: ResponseMetadata) -> None:
    """Keep the trace id of a request."""
    traces.append(answer.trace_id)


model = PortkeyModel(
    model_id="gpt-4o",
    client_args={
        "provider": "openai",
        "Authorization": os.environ["OPENAI_API_KEY"],
        "custom_host": os.environ.get("OPENAI_CUSTOM_HOST"),  # None is OpenAI's own address.
        "trace_id": "report-1",
    },
    on_response=keep,
)
builder = GraphBuilder()
builder.add_node(Agent(model=model, system_prompt="List three facts.", callback_handler=None), "research")
builder.add_node(Agent(model=model, system_prompt="Write one sentence.", callback_handler=None), "write")
builder.add_edge("research", "write")
result = builder.build()("The Eiffel Tower")
for node in result.execution_order:
    print(f"{node.node_id}: {str(result.results[node.node_id].result).strip()}")
print(f"{result.status.value}, traces {traces}")
