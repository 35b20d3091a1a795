"""The ways to ask a gateway. Each module has `make(base_url)`, and what it imports is what that way needs."""

from typing import Final

MODEL: Final = "gpt-4o"
KEY: Final = "sk-bench"
NAMES: Final = {
    "portkey": "PortkeyModel",
    "openai_documented": "OpenAIModel",
    "openai_injected": "OpenAIModel, own client",
    "litellm": "LiteLLMModel",
    "floor": "floor",
}
