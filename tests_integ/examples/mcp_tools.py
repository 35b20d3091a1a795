"""An agent with the tools of an MCP server, which is this file too: `python mcp_tools.py serve`."""

import os
import sys

from mcp import StdioServerParameters, stdio_client
from mcp.server import MCPServer
from strands import Agent
from strands.tools.mcp import MCPClient

from strands_portkey import PortkeyModel

server = MCPServer("shop")


@server.tool()
def get_price(product: str) -> float:
    """Return the price of a product in euros."""
    return {"tea": 4.5, "coffee": 6.0}[product]


def main() -> None:
    """Ask for a price."""
    model = PortkeyModel(
        model_id="gpt-4o",
        client_args={
            "provider": "openai",
            "Authorization": os.environ["OPENAI_API_KEY"],
            "custom_host": os.environ.get("OPENAI_CUSTOM_HOST"),  # None is OpenAI's own address.
        },
    )
    parameters = StdioServerParameters(command=sys.executable, args=[__file__, "serve"])
    # Strands' type for the streams of a server is narrower than what it takes.
    with MCPClient(lambda: stdio_client(parameters)) as client:  # type: ignore[arg-type,return-value,unused-ignore]
        agent = Agent(model=model, tools=client.list_tools_sync(), callback_handler=None)
        print(agent("What does tea cost?"))


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        server.run()
    else:
        main()
