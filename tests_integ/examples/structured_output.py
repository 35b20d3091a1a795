"""An answer as an instance of a class, checked by pydantic."""

import os

from pydantic import BaseModel, Field
from strands import Agent

from strands_portkey import PortkeyModel


class Invoice(BaseModel):
    """What an invoice says."""

    number: str
    total: float = Field(description="In euros, with taxes")
    paid: bool


model = PortkeyModel(
    model_id="gpt-4o",
    client_args={
        "provider": "openai",
        "Authorization": os.environ["OPENAI_API_KEY"],
        "custom_host": os.environ.get("OPENAI_CUSTOM_HOST"),  # None is OpenAI's own address.
    },
)
agent = Agent(model=model, callback_handler=None)
letter = "Thank you for your 119 euros, which settle our invoice A-17."
invoice = agent(letter, structured_output_model=Invoice).structured_output
print(repr(invoice))
