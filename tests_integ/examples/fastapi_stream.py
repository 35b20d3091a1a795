"""Answers over HTTP as they come: `curl -N "localhost:8000/ask?question=Hello"`. Hanging up ends the call."""

import os
from collections.abc import AsyncIterator

import uvicorn
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
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
app = FastAPI()


async def answer(question: str) -> AsyncIterator[str]:
    """Yield the pieces of an answer."""
    agent = Agent(model=model, callback_handler=None)  # Each request has a conversation of its own.
    outcome = "cancelled"
    try:
        async for event in agent.stream_async(question):
            if "data" in event:
                yield event["data"]
            elif "result" in event:
                outcome = event["result"].stop_reason
    finally:
        print(f"{question} {outcome}", flush=True)


@app.get("/ask")
async def ask(question: str) -> StreamingResponse:
    """Answer a question. The framework cancels `answer` when the client hangs up, and that closes the request."""
    return StreamingResponse(answer(question), media_type="text/plain")


if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ.get("PORT", "8000")), log_level="warning")
