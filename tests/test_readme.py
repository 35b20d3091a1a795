"""README.md: every Python block runs, its tables are those of the code, and its links have targets."""

from __future__ import annotations

import inspect
import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import httpx
import pytest
import respx
from strands import Agent
from strands.models.model import BaseModelConfig

import strands_portkey
from strands_portkey import (
    ClientArgs,
    PortkeyConfig,
    PortkeyError,
    PortkeyModel,
    ProviderArgs,
    ResponseMetadata,
    Timeouts,
)
from strands_portkey._cli.main import _make_parser
from strands_portkey._wires.chat.dialects import DIALECTS, Dialect, find_mechanisms
from tests_integ.bench.report import INSTALLED, ROWS
from tests_integ.upstream import Reply, Upstream, json_reply, sse_reply
from tests_integ.wires import anthropic, openai, responses

README = Path(__file__).parent.parent / "README.md"
TEXT = README.read_text(encoding="utf-8")
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^(#+) (.*)$", re.MULTILINE)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]*)\)")


def _sections() -> Iterator[tuple[str, str]]:
    """Yield title and text of each section of the second level."""
    # A comment in a block of code looks like a heading of the first level only.
    starts = [match for match in _HEADING.finditer(TEXT) if match[1] == "##"]
    for match, end in pairwise([*starts, None]):
        assert match
        yield match[2], TEXT[match.end() : end.start() if end else len(TEXT)]


SECTIONS = dict(_sections())
BLOCKS = {
    title: [match[2] for match in _FENCE.finditer(text) if match[1] == "python"] for title, text in SECTIONS.items()
}

# -- the gateway -------------------------------------------------------------------------------------------------------

# What the open-source gateway 1.15.2 sends for an upstream that speaks OpenAI's protocol.
_HEADERS = {
    "content-type": "text/event-stream; charset=utf-8",
    "x-portkey-cache-status": "DISABLED",
    "x-portkey-last-used-option-index": "config.targets[0]",
    "x-portkey-provider": "openai",
    "x-portkey-retry-attempt-count": "0",
    "x-portkey-trace-id": "order-4711",
}
_TEXT = (
    b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"gpt-4o",'
    b'"choices":[{"index":0,"delta":{"role":"assistant","content":"The capital is "},"finish_reason":null}]}\n\n'
    b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"gpt-4o",'
    b'"choices":[{"index":0,"delta":{"content":"Paris."},"finish_reason":null}]}\n\n'
    b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"gpt-4o",'
    b'"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
    b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"gpt-4o",'
    b'"choices":[],"usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15}}\n\n'
    b"data: [DONE]\n\n"
)
_CALL = (
    b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"gpt-4o",'
    b'"choices":[{"index":0,"delta":{"role":"assistant","content":null,"tool_calls":[{"index":0,"id":"call_1",'
    b'"type":"function","function":{"name":"NAME","arguments":""}}]},"finish_reason":null}]}\n\n'
    b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"gpt-4o",'
    b'"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":ARGUMENTS}}]},'
    b'"finish_reason":null}]}\n\n'
    b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"gpt-4o",'
    b'"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}\n\n'
    b"data: [DONE]\n\n"
)
_THROTTLED = {"error": {"message": "openai error: Slow down", "type": "requests", "code": None}, "provider": "openai"}
_VALUES = {"string": "Paris", "integer": 2_100_000}


def _answer(request: httpx.Request) -> httpx.Response:
    """Call the first tool once where there is one; otherwise answer with text."""
    body = json.loads(request.content)
    asked = str(body["messages"][-1]["content"])
    if "too often" in asked:
        return httpx.Response(429, headers={**_HEADERS, "content-type": "application/json"}, json=_THROTTLED)
    if "tools" not in body or body["messages"][-1]["role"] == "tool":
        return httpx.Response(200, headers=_HEADERS, content=_TEXT)
    function = body["tools"][0]["function"]
    arguments = {name: _VALUES[schema["type"]] for name, schema in function["parameters"]["properties"].items()}
    call = _CALL.replace(b"NAME", function["name"].encode())
    return httpx.Response(
        200, headers=_HEADERS, content=call.replace(b"ARGUMENTS", json.dumps(json.dumps(arguments)).encode())
    )


@pytest.fixture
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the keys that the blocks read."""
    for provider in ("OPENAI", "ANTHROPIC", "GROQ"):
        monkeypatch.setenv(f"{provider}_API_KEY", f"sk-{provider.lower()}")


@pytest.fixture
def gateway(_keys: None) -> Iterator[respx.MockRouter]:
    """A gateway at every address."""
    with respx.mock(assert_all_called=False) as router:
        router.post(path__regex=r"/v1/chat/completions$").mock(side_effect=_answer)
        said = b"".join(responses.events(responses.message("Hello!")))
        router.post(path__regex=r"/v1/responses$").respond(headers=_HEADERS, content=said)
        told = b"".join(
            piece for piece in anthropic.stream(anthropic.text("Hello!")).pieces if isinstance(piece, bytes)
        )
        router.post(path__regex=r"/v1/messages$").respond(headers=_HEADERS, content=told)
        yield router


# -- the blocks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("title", [title for title, blocks in BLOCKS.items() if blocks])
def test_the_python_blocks_of_a_section_run(
    title: str, gateway: respx.MockRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "PORTKEY_API_KEY" in SECTIONS[title] and title != "Settings":
        monkeypatch.setenv("PORTKEY_API_KEY", "pk-portkey")
    namespace: dict[str, object] = {"__name__": "__main__"}

    for block in filter(_can_run, BLOCKS[title]):
        before = gateway.calls.call_count
        line = TEXT[: TEXT.index(block)].count("\n")
        # Empty lines ahead, so that a traceback names the line of the README.
        exec(compile("\n" * line + block, str(README), "exec"), namespace)  # noqa: S102

        assert gateway.calls.call_count > before, f"the block in line {line} sent no request"


def _can_run(block: str) -> bool:
    """Whether this version of Strands has what a block imports."""
    return "strands.models.routing" not in block or find_spec("strands.models.routing") is not None


def _run_recipe(server: Upstream, monkeypatch: pytest.MonkeyPatch, word: str) -> Agent:
    """Run the one block that has a word, with a server in the place of the gateway; return the block's agent."""
    monkeypatch.setenv("PORTKEY_BASE_URL", server.base_url)
    model = PortkeyModel(model_id="gpt-4o", client_args={"provider": "openai"})
    namespace: dict[str, object] = {"model": model}
    (block,) = (block for block in BLOCKS["Failures and what to do"] if word in block)
    exec(block, namespace)  # noqa: S102
    agent = namespace["agent"]
    assert isinstance(agent, Agent)
    return agent


def _cut_after_a_word() -> Reply:
    return replace(sse_reply([openai.chunk({"role": "assistant", "content": "The "})]), ending="cut")


def _said(agent: Agent) -> list[str]:
    return [block["text"] for message in agent.messages for block in message["content"]]


def test_the_recipe_for_failures_in_the_middle_of_an_answer_brings_the_whole_one(
    server: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.reply(_cut_after_a_word(), openai.stream(openai.text("Par", "is.")))

    agent = _run_recipe(server, monkeypatch, "RetryWhatMayPass")

    assert _said(agent) == ["What is the capital of France?", "Paris."]
    assert len(server.requests) == 2


def test_the_recipe_for_failures_in_the_middle_of_an_answer_leaves_what_will_not_pass(
    server: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.reply(openai.error(400, "No such parameter"))

    with pytest.raises(PortkeyError, match="No such parameter"):
        _run_recipe(server, monkeypatch, "RetryWhatMayPass")

    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "failure",
    [
        pytest.param(json_reply({"error": {"message": "Oops", "type": "server_error"}}, 500), id="500"),
        pytest.param(_cut_after_a_word(), id="in the middle"),
    ],
)
@pytest.mark.usefixtures("_keys")
def test_the_recipe_for_another_model_asks_it_when_the_first_one_fails(
    server: Upstream, monkeypatch: pytest.MonkeyPatch, failure: Reply
) -> None:
    pytest.importorskip("strands.models.routing")
    whole = openai.stream(openai.text("Par", "is."))
    server.script = lambda request: failure if request.json["model"] == "gpt-4o" else whole

    agent = _run_recipe(server, monkeypatch, "ModelRouter")

    assert _said(agent) == ["What is the capital of France?", "Paris."]
    assert [request.json["model"] for request in server.requests] == ["gpt-4o", "claude-sonnet-4-5"]


def test_the_quickstart_with_the_hosted_gateway_reaches_it(
    gateway: respx.MockRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORTKEY_API_KEY", "pk-portkey")

    exec(BLOCKS["Quickstart with the hosted gateway"][0], {})  # noqa: S102

    request = gateway.calls.last.request
    assert str(request.url) == "https://api.portkey.ai/v1/chat/completions"
    assert request.headers["x-portkey-api-key"] == "pk-portkey"
    assert json.loads(request.content)["model"] == "@openai-prod/gpt-4o"


@pytest.mark.parametrize("command", re.findall(r"^strands-portkey .*", TEXT, re.MULTILINE))
def test_each_command_shown_is_accepted(command: str) -> None:
    assert _make_parser().parse_args(shlex.split(command)[1:]).command


def test_no_block_is_left_out() -> None:
    languages = [match[1] for match in _FENCE.finditer(TEXT)]

    assert set(languages) <= {"bash", "dockerfile", "python", "text"}
    assert len(languages) * 2 == len(re.findall(r"^\s*(?:```|~~~)", TEXT, re.MULTILINE))
    assert languages.count("python") == sum(map(len, BLOCKS.values()))


# -- the tables --------------------------------------------------------------------------------------------------------


def _table(heading: str) -> list[list[str]]:
    """Return the cells of the first table under a heading, without its head."""
    _, _, text = TEXT.partition(f"\n{heading}\n")
    lines = [line for line in text.splitlines() if line.startswith("|")]
    table = re.search(r"(?:^\|.*\n)+", text, re.MULTILINE)
    assert table, f"no table under {heading!r}: {lines[:1]}"
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[0].splitlines()[2:]]


def _names(heading: str) -> list[str]:
    return [row[0].strip("`") for row in _table(heading)]


def test_the_table_of_client_args_names_its_keys() -> None:
    assert _names("### client_args") == [
        key for key in ClientArgs.__annotations__ if key not in ProviderArgs.__annotations__
    ]


def test_the_table_of_the_model_configuration_names_its_keys() -> None:
    keys = PortkeyConfig.__annotations__.keys() | BaseModelConfig.__annotations__.keys()

    assert set(_names("### Model configuration")) == keys


def test_the_table_of_response_metadata_names_its_fields() -> None:
    assert _names("## Observability") == list(ResponseMetadata.__dataclass_fields__)


def test_the_table_of_failures_names_each_exception() -> None:
    exceptions = {
        name
        for name in strands_portkey.__all__
        if name.endswith("Error") and issubclass(getattr(strands_portkey, name), PortkeyError)
    }

    assert set(_names("## Failures and what to do")) == exceptions - {"PortkeyError"}


def test_the_table_of_clocks_names_each_with_its_default() -> None:
    under_a_key = r'^    (\w+): .*\n    """[^"]*?Default (\w+)'
    documented = dict(re.findall(under_a_key, inspect.getsource(Timeouts), re.MULTILINE))

    clocks = {row[0].strip("`"): row[2].removesuffix(" s").strip("`") for row in _table("## Timeouts and cancellation")}
    assert clocks == documented
    assert clocks.keys() == Timeouts.__annotations__.keys()


def _dialect_row(dialect: Dialect) -> list[str]:
    """Return a row of the table of dialects, in words."""
    reasoning = f"`{dialect.reasoning}`" if dialect.reasoning else "no"
    if dialect.redacted:
        reasoning += ", redacted too"
    if dialect.thought_signatures:
        reasoning = "its signature, on tool calls"
    caching = {"automatic": "by the provider", None: "none"}.get(dialect.caching, f"`{dialect.caching}`")
    documents = {
        "file": "`file`, data URL",
        "base64": "`file`, base64",
        "image_url": "`image_url`",
        "document_url": "`document_url`",
        None: "refused",
    }
    images = ", ".join(["bytes", *dialect.image_locations]) if dialect.images else "refused"
    moved = "in the next user message" if dialect.images else "refused"
    mechanisms = {"schema": "`response_format`", "forced": "forced tool", "auto": "tool"}
    return [
        f"`{dialect.name}`",
        reasoning,
        caching,
        documents[dialect.documents],
        images,
        "in the result" if dialect.tool_result_images else moved,
        f"`{dialect.audio}`" if dialect.audio else "refused",
        f"`{dialect.video}`" if dialect.video else "refused",
        ", ".join(mechanisms[mechanism] for mechanism in find_mechanisms(dialect, {})),
    ]


def test_the_table_of_dialects_is_that_of_the_code() -> None:
    assert _table("## Upstream dialects") == [_dialect_row(dialect) for dialect in DIALECTS.values()]


def test_the_tables_of_costs_have_the_rows_of_the_benchmark() -> None:
    rows = [row[0] for heading in ("## Slim containers", "## What it costs") for row in _table(heading)]

    assert sorted(rows) == sorted([*(row.title for row in ROWS), *INSTALLED])


def test_the_last_table_names_existing_tests_for_each_section() -> None:
    rows = _table("## What this rests on")
    named = [name for row in rows for name in row[0].split(", ")]

    assert [title for title in SECTIONS if not any(title.startswith(name) for name in named)] == [
        "What this rests on",
        "Development",
    ]
    paths = [path for row in rows for path in re.findall(r"`(tests\w*/[\w./]+)`", row[1])]
    assert [path for path in paths if not (README.parent / path).exists()] == []


# -- links -------------------------------------------------------------------------------------------------------------


def _anchors() -> set[str]:
    """Return the anchors of the headings as GitHub makes them."""
    prose = _FENCE.sub("", TEXT)
    return {re.sub(r"[^\w\- ]", "", match[2].lower()).replace(" ", "-") for match in _HEADING.finditer(prose)}


@pytest.mark.parametrize("target", sorted(set(_LINK.findall(TEXT))))
def test_each_link_has_an_existing_target(target: str) -> None:
    if target.startswith("#"):
        assert target.removeprefix("#") in _anchors()
    else:  # The package index shows a part of this file without the repository around it.
        assert target.startswith("https://")


def test_the_part_shown_by_the_package_index_has_only_absolute_links() -> None:
    fragments = re.findall(r'{ path = "README.md", (.*) }', (README.parent / "pyproject.toml").read_text("utf-8"))
    shown = ""
    for fragment in fragments:
        marks = dict(re.findall(r'([a-z-]+) = "(.*?)"', fragment))
        start = TEXT.index(marks.get("start-at", "").replace("\\n", "\n"))
        shown += TEXT[start : TEXT.index(marks["end-before"].replace("\\n", "\n"), start)]

    assert "Agent(model=model)" in shown
    assert [target for target in _LINK.findall(shown) if not target.startswith("https://")] == []
