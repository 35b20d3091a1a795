"""A model with OpenAI's protocols that answers what `strands-portkey doctor` asks."""

from __future__ import annotations

from typing import Any

from tests_integ.upstream import Reply, Request
from tests_integ.wires import openai, responses

HEY = Reply(200, {"content-type": "text/plain"}, [b"AI Gateway says hey!"])


def answer(request: Request) -> Reply:
    """Call the tools that are offered, both at once where there are two, and answer once their results are there."""
    body = request.json
    if request.path.endswith("/responses"):
        return _respond(body)
    if not body.get("stream"):
        return openai.answer("Hello to you, my friend.")
    tools = [tool["function"]["name"] for tool in body.get("tools", ())]
    if "City" in tools:
        return openai.stream(openai.tool_call(0, "call_0", "City", '{"name":"Paris",', '"country":"France"}'))
    if tools and body["messages"][-1]["role"] != "tool":
        calls = [
            delta
            for index, name in enumerate(tools)
            for delta in openai.tool_call(index, f"call_{index}", name, '{"ci', 'ty":"Paris"}')
        ]
        return openai.stream(calls)
    return openai.stream(openai.reasoning("Five ", "words."), openai.text("Hello ", "to you, ", "my friend."))


def _respond(body: dict[str, Any]) -> Reply:
    """Answer in the same way on Responses."""
    tools = [tool["name"] for tool in body.get("tools", ())]
    if "City" in tools:
        return responses.stream(responses.call("call_0", "City", '{"name":"Paris",', '"country":"France"}'))
    if tools and body["input"][-1].get("type") != "function_call_output":
        return responses.stream(
            *(responses.call(f"call_{index}", name, '{"ci', 'ty":"Paris"}') for index, name in enumerate(tools)),
            parallel=True,
        )
    said = responses.message("Hello ", "to you, ", "my friend.")
    return responses.stream(responses.reasoning("rs_1", "gAAA", "Five words."), said)


def gateway(request: Request) -> Reply:
    """Play the open-source gateway with this model behind it."""
    return HEY if request.method == "GET" else answer(request)
