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
"""Those that speak chat completions, by module, with their titles."""
NAMES_OF_WIRES: Final = {
    "Responses": {
        "portkey_responses": "PortkeyModel",
        "openai_responses": "OpenAIResponsesModel",
        "floor_responses": "floor",
    },
    "Messages": {"portkey_messages": "PortkeyModel", "anthropic": "AnthropicModel", "floor_messages": "floor"},
}
"""The same for the other wires."""
NAMES_OF_SETTINGS: Final = {
    "portkey": "PortkeyModel",
    "portkey_no_retries": "with max_retries=0",
    "portkey_logs": "with logs at DEBUG",
    "floor": "floor",
}
"""PortkeyModel in other settings."""
