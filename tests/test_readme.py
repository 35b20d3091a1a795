"""README.md and .github/docs: every Python block runs, tables are those of the code, and links have targets."""

from __future__ import annotations

import inspect
import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
import respx
from strands import Agent
from strands.models.model import BaseModelConfig

import strands_portkey
from strands_portkey import ClientArgs, PortkeyConfig, PortkeyError, ProviderArgs, ResponseMetadata, Timeouts
from strands_portkey._cli.main import parse
from strands_portkey._wires.chat.dialects import DIALECTS, Dialect, find_mechanisms
from tests_integ.bench.chart import DRAWN, PANELS, THEMES, panel
from tests_integ.bench.contenders import NAMES
from tests_integ.bench.report import INSTALLED, ROWS
from tests_integ.upstream import Reply, Upstream, json_reply, sse_reply
from tests_integ.wires import anthropic, openai, responses

ROOT = Path(__file__).parent.parent
README = "README.md"
DOCS = ".github/docs"
# Each page by its path from the root.
TEXTS = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in [ROOT / README, *sorted((ROOT / DOCS).glob("*.md"))]
}
EXAMPLES = [path.read_text(encoding="utf-8") for path in (ROOT / "tests_integ" / "examples").glob("*.py")]
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^(#+) (.*)$", re.MULTILINE)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]*)\)|(?:src|srcset)=\"([^\"]*)\"")


def _sections() -> Iterator[tuple[tuple[str, str], str]]:
    """Yield page and title, and the text, of each section of the second level."""
    for page, text in TEXTS.items():
        # A comment in a block of code looks like a heading of the first level only.
        starts = [match for match in _HEADING.finditer(text) if match[1] == "##"]
        for match, end in pairwise([*starts, None]):
            assert match
            yield (page, match[2]), text[match.end() : end.start() if end else len(text)]


SECTIONS = dict(_sections())


def _blocks(page: str, title: str) -> list[str]:
    """Return the Python blocks of a section."""
    return [match[2] for match in _FENCE.finditer(SECTIONS[page, title]) if match[1] == "python"]


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
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, name.lower())


@pytest.fixture
def gateway(_keys: None) -> Iterator[respx.MockRouter]:
    """A gateway at every address."""
    with respx.mock(assert_all_called=False) as router:
        router.post(path__regex=r"/v1/chat/completions$").mock(side_effect=_answer)
        said = b"".join(responses.events(responses.message("Hello!")))
        router.post("https://tokens.example.com/token").respond(json={"access_token": "token"})
        router.post(path__regex=r"/v1/responses$").respond(headers=_HEADERS, content=said)
        told = b"".join(
            piece for piece in anthropic.stream(anthropic.text("Hello!")).pieces if isinstance(piece, bytes)
        )
        router.post(path__regex=r"/v1/messages$").respond(headers=_HEADERS, content=told)
        yield router


# -- the blocks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("page", "title"), [section for section in SECTIONS if _blocks(*section)])
def test_the_python_blocks_of_a_section_run(
    page: str, title: str, gateway: respx.MockRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "PORTKEY_API_KEY" in SECTIONS[page, title]:
        monkeypatch.setenv("PORTKEY_API_KEY", "pk-portkey")
    namespace: dict[str, object] = {"__name__": "__main__"}

    for block in filter(_can_run, _blocks(page, title)):
        before = gateway.calls.call_count
        line = TEXTS[page][: TEXTS[page].index(block)].count("\n")
        # Empty lines ahead, so that a traceback names the line of the page.
        exec(compile("\n" * line + block, page, "exec"), namespace)  # noqa: S102

        assert gateway.calls.call_count > before, f"the block in line {line} of {page} sent no request"


def _can_run(block: str) -> bool:
    """Whether a block runs as it stands: it is no part of an example, no function for Lambda, and Strands has all."""
    if any(block in example for example in EXAMPLES) or "def handler(" in block:
        return False
    return "strands.models.routing" not in block or find_spec("strands.models.routing") is not None


def _run_block(server: Upstream, monkeypatch: pytest.MonkeyPatch, word: str) -> dict[str, Any]:
    """Run the one block of all pages that has a word, with a server in the gateway's place; return what it defines."""
    monkeypatch.setenv("PORTKEY_BASE_URL", server.base_url)
    (block,) = (block for section in SECTIONS for block in _blocks(*section) if word in block)
    namespace: dict[str, Any] = {}
    exec(block, namespace)  # noqa: S102
    return namespace


@pytest.mark.usefixtures("_keys")
def test_a_function_on_lambda_keeps_its_connection_and_replaces_a_dead_one(
    server: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.script = lambda _: openai.stream(openai.text("Par", "is."))
    namespace = _run_block(server, monkeypatch, "def handler(")
    handler, loop = namespace["handler"], namespace["loop"]

    answers = [handler({"question": "What is the capital of France?"}, None) for _ in range(2)]
    server.drop_connections()
    answers.append(handler({"question": "What is the capital of France?"}, None))

    loop.run_until_complete(loop.shutdown_asyncgens())  # This closes its connections.
    loop.close()
    assert answers == [{"answer": "Paris.\n"}] * 3
    assert [request.connection for request in server.requests] == [0, 0, 1]


def _cut_after_a_word() -> Reply:
    return replace(sse_reply([openai.chunk({"role": "assistant", "content": "The "})]), ending="cut")


def _said(agent: Agent) -> list[str]:
    return [block["text"] for message in agent.messages for block in message["content"]]


def test_the_recipe_for_failures_in_the_middle_of_an_answer_brings_the_whole_one(
    server: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.reply(_cut_after_a_word(), openai.stream(openai.text("Par", "is.")))

    agent = _run_block(server, monkeypatch, "RetryWhatMayPass")["agent"]

    assert _said(agent) == ["What is the capital of France?", "Paris."]
    assert len(server.requests) == 2


def test_the_recipe_for_failures_in_the_middle_of_an_answer_leaves_what_will_not_pass(
    server: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.reply(openai.error(400, "No such parameter"))

    with pytest.raises(PortkeyError, match="No such parameter"):
        _run_block(server, monkeypatch, "RetryWhatMayPass")["agent"]

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

    agent = _run_block(server, monkeypatch, "ModelRouter")["agent"]

    assert _said(agent) == ["What is the capital of France?", "Paris."]
    assert [request.json["model"] for request in server.requests] == ["gpt-4o", "claude-sonnet-4-5"]


def test_the_quickstart_with_the_hosted_gateway_reaches_it(
    gateway: respx.MockRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORTKEY_API_KEY", "pk-portkey")

    exec(_blocks(README, "Quickstart")[1], {})  # noqa: S102

    request = gateway.calls.last.request
    assert str(request.url) == "https://api.portkey.ai/v1/chat/completions"
    assert request.headers["x-portkey-api-key"] == "pk-portkey"
    assert json.loads(request.content)["model"] == "@openai-prod/gpt-4o"


@pytest.mark.parametrize(
    ("model", "cached", "cost"),
    [
        pytest.param("gpt-4o-2024-08-06", 0, (1_000 * 2.5 + 100 * 10) / 1_000_000, id="served under another name"),
        pytest.param("gpt-4o-mini-2024-07-18", 0, (1_000 * 0.15 + 100 * 0.6) / 1_000_000, id="the longest name"),
        pytest.param("gpt-4o", 400, (600 * 2.5 + 400 * 1.25 + 100 * 10) / 1_000_000, id="read from a cache"),
    ],
)
@pytest.mark.usefixtures("_keys")
def test_the_recipe_for_costs_prices_the_tokens_of_the_model_that_served(
    server: Upstream, monkeypatch: pytest.MonkeyPatch, model: str, cached: int, cost: float
) -> None:
    usage = {"prompt_tokens": 1_000, "completion_tokens": 100, "prompt_tokens_details": {"cached_tokens": cached}}
    server.reply(openai.stream(openai.text("Paris."), usage=usage, model=model))

    assert _run_block(server, monkeypatch, "PRICES")["costs"] == [pytest.approx(cost)]


@pytest.mark.parametrize(
    ("headers", "warnings"),
    [
        ({"x-ratelimit-remaining-requests": "4"}, ["openai lets only 4 more requests through"]),
        ({"anthropic-ratelimit-requests-remaining": "0"}, ["openai lets only 0 more requests through"]),
        ({"x-ratelimit-remaining-req-minute": "1"}, ["openai lets only 1 more requests through"]),
        ({"x-ratelimit-remaining-requests": "5"}, []),
        ({}, []),
    ],
)
@pytest.mark.usefixtures("_keys")
def test_the_recipe_for_rate_limits_warns_before_they_are_reached(
    server: Upstream,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    headers: dict[str, str],
    warnings: list[str],
) -> None:
    whole = openai.stream(openai.text("Paris."))
    server.reply(replace(whole, headers={**whole.headers, "x-portkey-provider": "openai", **headers}))

    _run_block(server, monkeypatch, "REMAINING")

    assert [record.getMessage() for record in caplog.records if record.name == "root"] == warnings


@pytest.mark.parametrize(
    "command",
    sorted(set(re.findall(r"^(?:[^|`\n]* \| )?(strands-portkey .*)", "\n".join(TEXTS.values()), re.MULTILINE))),
)
def test_each_command_shown_is_accepted(command: str) -> None:
    assert parse(shlex.split(command)[1:]).command


@pytest.mark.parametrize("page", TEXTS)
def test_no_block_is_left_out(page: str) -> None:
    languages = [match[1] for match in _FENCE.finditer(TEXTS[page])]

    assert set(languages) <= {"bash", "dockerfile", "python", "text"}
    assert len(languages) * 2 == len(re.findall(r"^\s*(?:```|~~~)", TEXTS[page], re.MULTILINE))
    assert languages.count("python") == sum(len(_blocks(*section)) for section in SECTIONS if section[0] == page)


def test_the_readme_is_short() -> None:
    assert TEXTS[README].count("\n") <= 500


# -- the tables --------------------------------------------------------------------------------------------------------


def _table(page: str, title: str) -> list[list[str]]:
    """Return the cells of the first table of a section, without its head."""
    table = re.search(r"(?:^\|.*\n)+", SECTIONS[page, title] + "\n", re.MULTILINE)
    assert table, f"no table under {title!r} of {page}"
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[0].splitlines()[2:]]


def _names(page: str, title: str) -> list[str]:
    return [row[0].strip("`") for row in _table(page, title)]


def test_the_table_of_client_args_names_its_keys() -> None:
    assert _names(f"{DOCS}/settings.md", "client_args") == [
        key for key in ClientArgs.__annotations__ if key not in ProviderArgs.__annotations__
    ]


def test_the_table_of_the_model_configuration_names_its_keys() -> None:
    keys = PortkeyConfig.__annotations__.keys() | BaseModelConfig.__annotations__.keys()

    assert set(_names(f"{DOCS}/settings.md", "Model configuration")) == keys


def test_the_table_of_response_metadata_names_its_fields() -> None:
    assert _names(f"{DOCS}/observability.md", "What the gateway says of an answer") == list(
        ResponseMetadata.__dataclass_fields__
    )


@pytest.mark.parametrize(
    ("page", "title"), [(README, "Failures and retries"), (f"{DOCS}/failures.md", "Exceptions")], ids=["README", "page"]
)
def test_the_table_of_failures_names_each_exception(page: str, title: str) -> None:
    exceptions = {
        name
        for name in strands_portkey.__all__
        if name.endswith("Error") and issubclass(getattr(strands_portkey, name), PortkeyError)
    }

    assert set(_names(page, title)) == exceptions - {"PortkeyError"}


def test_the_table_of_clocks_names_each_with_its_default() -> None:
    under_a_key = r'^    (\w+): .*\n    """[^"]*?Default (\w+)'
    documented = dict(re.findall(under_a_key, inspect.getsource(Timeouts), re.MULTILINE))

    table = _table(f"{DOCS}/settings.md", "Timeouts")
    clocks = {row[0].strip("`"): row[2].removesuffix(" s").strip("`") for row in table}
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
    assert _table(f"{DOCS}/dialects.md", "How a request differs by provider") == [
        _dialect_row(dialect) for dialect in DIALECTS.values()
    ]


COSTS = (f"{DOCS}/costs.md", "One run of the benchmark")


def test_the_table_of_costs_has_the_rows_of_the_benchmark() -> None:
    assert sorted(_names(*COSTS)) == sorted([*(row.title for row in ROWS), *INSTALLED])


def test_the_numbers_of_the_readme_are_those_of_the_table_of_costs() -> None:
    whole = {row[0]: [cell for number, cell in enumerate(row[1:]) if number != 2] for row in _table(*COSTS)}

    assert {row[0]: row[1:] for row in _table(README, "What it costs")}.items() <= whole.items()


@pytest.mark.parametrize("theme", THEMES)
def test_a_picture_shows_the_numbers_of_the_table_of_costs(theme: str) -> None:
    shown = re.findall(r"<text[^>]*>(.*?)</text>", (ROOT / ".github" / f"costs-{theme}.svg").read_text("utf-8"))

    rows = {row[0]: [cell.partition(" (")[0] for cell in row[1:]] for row in _table(*COSTS)}
    assert shown == [
        text
        for title, name in PANELS.items()
        for text in (name, *chain(*((NAMES[each], rows[title][list(NAMES).index(each)]) for each in DRAWN)))
    ]


def test_a_picture_has_a_bar_for_each_number_and_none_for_what_was_not_measured() -> None:
    record = {"short": 1.0, "long": 3.0, "difference": 1}
    results = {"records": {"text": {"portkey": [record], "litellm": [{**record, "long": 5.0}]}}}

    parts = "".join(panel(results, "text chunk, in a burst", THEMES["light"], 0, 0))

    widths = [float(width) for width in re.findall(r'<rect[^>]* width="([\d.]+)"', parts)]
    assert widths[0] * 2 == pytest.approx(widths[2])
    assert widths[1] == 1
    assert re.findall(r">([^<]+)</text>", parts)[2::2] == ["2000000.0 µs", "-", "4000000.0 µs"]


def test_the_last_table_names_existing_tests_for_each_section() -> None:
    page = f"{DOCS}/evidence.md"
    rows = _table(page, "Sections and tests")
    named = [name for row in rows for name in row[0].split(", ")]

    titles = [title for where, title in SECTIONS if where != page]
    assert sorted({title for title in titles if title not in named}) == ["Project", "Repeating it"]
    assert [name for name in named if name not in titles] == []
    paths = [path for row in rows for path in re.findall(r"`(tests\w*/[\w./]+)`", row[1])]
    assert [path for path in paths if not (ROOT / path).exists()] == []


# -- links -------------------------------------------------------------------------------------------------------------


def _links(text: str) -> set[str]:
    return {link or source for link, source in _LINK.findall(_FENCE.sub("", text))}


def _anchors(text: str) -> set[str]:
    """Return the anchors of the headings as GitHub makes them."""
    prose = _FENCE.sub("", text)
    return {re.sub(r"[^\w\- ]", "", match[2].lower()).replace(" ", "-") for match in _HEADING.finditer(prose)}


@pytest.mark.parametrize(
    "page", [*TEXTS, *(path.relative_to(ROOT).as_posix() for path in sorted((ROOT / ".github").glob("*.md")))]
)
def test_each_link_has_an_existing_target(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    missing = []
    for link in _links(text):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        if not target.exists() or (anchor and anchor not in _anchors(target.read_text(encoding="utf-8"))):
            missing.append(link)

    assert missing == []


def test_the_readme_links_each_page_and_each_example() -> None:
    links = {link.partition("#")[0] for link in _links(TEXTS[README])}

    examples = (ROOT / "tests_integ" / "examples").glob("*.py")
    assert {*TEXTS, *(path.relative_to(ROOT).as_posix() for path in examples)} - {README} <= links
