"""The gateway checks questions before a provider sees them; here with a check of the open-source gateway."""

import os

from strands import Agent

from strands_portkey import PortkeyModel

config = {
    "provider": "openai",
    "api_key": os.environ["OPENAI_API_KEY"],
    "custom_host": os.environ.get("OPENAI_CUSTOM_HOST", "https://api.openai.com/v1"),
    "input_guardrails": [
        {"default.contains": {"operator": "none", "words": ["password", "credit card"]}, "deny": True},
    ],
}
model = PortkeyModel(model_id="gpt-4o", client_args={"config": config})
for question in ("What is the capital of France?", "My password is swordfish. Is it good?"):
    agent = Agent(model=model, callback_handler=None)
    result = agent(question)
    print(f"{result.stop_reason}: {str(result).strip()}")
