"""A conversation with a model that has two tools. Each line of the input is a question."""

import os
import sys

from strands import Agent, tool

from strands_portkey import PortkeyModel


@tool
def get_weather(city: str) -> str:
    """Return the weather in a city.

    Args:
        city: Name of the city.
    """
    return {"Paris": "light rain, 9 °C", "Lisbon": "sunny, 17 °C"}.get(city, "unknown")


@tool
def get_population(city: str) -> int:
    """Return the number of a city's inhabitants.

    Args:
        city: Name of the city.
    """
    return {"Paris": 2_100_000, "Lisbon": 550_000}.get(city, 0)


model = PortkeyModel(
    model_id="gpt-4o",
    client_args={
        "provider": "openai",
        "Authorization": os.environ["OPENAI_API_KEY"],
        "custom_host": os.environ.get("OPENAI_CUSTOM_HOST"),  # None is OpenAI's own address.
    },
)
agent = Agent(model=model, tools=[get_weather, get_population], callback_handler=None)
for question in sys.stdin:
    result = agent(question.strip())
    calls = {name: tool_metrics.call_count for name, tool_metrics in result.metrics.tool_metrics.items()}
    print(f"{str(result).strip()} {calls}")
