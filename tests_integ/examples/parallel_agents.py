"""Three agents at the same time, on one model and its connections."""

import asyncio
import os

from strands import Agent

from strands_portkey import PortkeyModel

model = PortkeyModel(
    model_id="gpt-4o",
    client_args={
        "provider": "openai",
        "Authorization": os.environ["OPENAI_API_KEY"],
        "custom_host": os.environ.get("OPENAI_CUSTOM_HOST"),  # None is OpenAI's own address.
    },
)


async def translate(language: str) -> str:
    """Return a greeting in a language."""
    # An agent has one conversation, so each task has its own.
    agent = Agent(model=model, system_prompt=f"Translate into {language}. Say nothing else.", callback_handler=None)
    return str(await agent.invoke_async("Good morning")).strip()


async def main() -> None:
    """Ask all three and print their answers in order."""
    languages = ["French", "Spanish", "Italian"]
    for language, answer in zip(languages, await asyncio.gather(*map(translate, languages)), strict=True):
        print(f"{language}: {answer}")


asyncio.run(main())
