"""The commands of README.md and its pages, run in an empty directory."""

from __future__ import annotations

import importlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.metadata import version
from itertools import takewhile
from pathlib import Path

import pytest
from strands.types.content import Messages, SystemContentBlock

from tests_integ.gateway import START_SECONDS, free_port, says_hey
from tests_integ.upstream import Upstream

ROOT = Path(__file__).parent.parent
DEPLOYMENT = ".github/docs/deployment.md"
SECONDS = 300
MOUNT = re.compile(r"(source|target)=/?([^,]+)")


def blocks(section: str, language: str, page: str = "README.md") -> list[str]:
    """Return the blocks of a language in a section of any level."""
    text = re.split(rf"^#+ {re.escape(section)}$", (ROOT / page).read_text(encoding="utf-8"), flags=re.MULTILINE)[1]
    found = re.finditer(r"^#+ |^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [match[2] for match in takewhile(lambda match: match[2], found) if match[1] == language]


def run(*command: str | Path, cwd: Path, **env: str) -> str:
    """Run a command and return what it says; the programs of this environment are found, such as npm."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PORTKEY_")}
    done = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env={**kept, "PATH": path, **env},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copy(source, target)


@pytest.fixture(scope="module")
def npm_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The gateway that the page on it installs; its base URL."""
    folder, port = tmp_path_factory.mktemp("gateway"), free_port()
    *install, start = blocks("Starting it", "bash", ".github/docs/gateway.md")[1].strip().splitlines()
    run("bash", "-ec", "\n".join(install), cwd=folder)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    command = start.replace("8787", str(port)).split()
    started = subprocess.Popen(command, cwd=folder, env={**os.environ, "PATH": path}, start_new_session=True)
    deadline = time.monotonic() + START_SECONDS
    try:
        while not says_hey(port):
            assert time.monotonic() < deadline, "the gateway does not answer"
            time.sleep(0.02)  # A process that starts up gives no event to wait for.
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        os.killpg(started.pid, signal.SIGTERM)  # npx and the gateway that it started.
        started.wait(10)


@pytest.fixture(scope="module")
def container(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the Dockerfile makes, in an environment of its own in place of the base image, up to its command."""
    folder = tmp_path_factory.mktemp("container")
    checkout = folder / "context" / "strands-agents-portkey"
    checkout.mkdir(parents=True)
    for name in ("src", ".github", "pyproject.toml", "README.md", "LICENSE"):
        copy(ROOT / name, checkout / name)
    (folder / "context" / "agent.py").write_text(blocks("With your own gateway", "python")[0])
    run(sys.executable, "-m", "venv", folder / "usr", cwd=folder)
    for line in blocks("Slim container", "dockerfile", DEPLOYMENT)[0].splitlines():
        word, _, rest = line.partition(" ")
        match word, rest.split():
            case "COPY", [source, target]:
                copy(folder / "context" / source, folder / target.removeprefix("/"))
            case "RUN", words:
                mounts = [dict(MOUNT.findall(each)) for each in words if each.startswith("--mount=")]
                for mount in mounts:
                    copy(folder / "context" / mount["source"], folder / mount["target"])
                python, *arguments = words[len(mounts) :]
                assert python == "python"
                found = [str(folder / each.removeprefix("/")) if each.startswith("/") else each for each in arguments]
                run(folder / "usr" / "bin" / "python", *found, cwd=folder)
                for mount in mounts:  # It is there for this one command.
                    shutil.rmtree(folder / mount["target"])
            case _:
                assert word in ("FROM", "CMD")
    return folder


def test_the_doctor_says_what_the_quickstart_shows(
    container: Path, npm_gateway: str, patient_upstream: Upstream
) -> None:
    _, doctor, *_ = blocks("With your own gateway", "bash")
    export, command = doctor.strip().splitlines()
    name, key = re.fullmatch(r'export (\w+)="(.*)"', export).groups()  # type: ignore[union-attr]
    program, *options = command.split()
    host = ("--header", f"x-portkey-custom-host:{patient_upstream.base_url}")

    said = run(
        container / "usr" / "bin" / program, *options, *host, cwd=container, PORTKEY_BASE_URL=npm_gateway, **{name: key}
    )

    shown = blocks("With your own gateway", "text")[0].replace("http://localhost:8787/v1", npm_gateway)
    assert without_times(said) == without_times(shown)


def without_times(said: str) -> str:
    return re.sub(r"\d+\.\d s", "T s", said)


def test_the_first_agent_answers_in_what_the_dockerfile_makes(
    container: Path, npm_gateway: str, patient_upstream: Upstream
) -> None:
    agent = container / "agent.py"
    source = agent.read_text()
    agent.write_text(
        source.replace('"provider": "openai",', f'"provider": "openai", "custom_host": "{patient_upstream.base_url}",')
    )
    [command] = re.findall(r"^CMD (.*)$", blocks("Slim container", "dockerfile", DEPLOYMENT)[0], re.MULTILINE)
    python, *arguments = json.loads(command)

    env = {"PORTKEY_BASE_URL": npm_gateway, "OPENAI_API_KEY": "sk-newcomer"}
    said = run(container / "usr" / "bin" / python, *arguments, cwd=container, **env)

    assert said.rstrip().endswith("Hello to you, my friend.")
    assert [request.header("authorization") for request in patient_upstream.requests] == ["Bearer sk-newcomer"]


def test_what_the_dockerfile_installs_is_strands_and_two_packages(container: Path) -> None:
    listed = run(container / "usr" / "bin" / "python", "-m", "pip", "list", "--format=json", cwd=container)

    names = {package["name"] for package in json.loads(listed)}
    assert {"httpx-sse", "strands-agents-portkey", "strands-agents"} <= names
    assert names.isdisjoint({"openai", "portkey-ai", "litellm", "hatchling"})


@pytest.mark.parametrize("tool", ["python", "uv", "uvx"])
def test_an_installation_from_git_has_the_command(tmp_path: Path, tool: str) -> None:
    git, program = shutil.which("git"), sys.executable if tool == "python" else shutil.which(tool)
    if not git or not program or not (ROOT / ".git").exists():
        pytest.skip(f"needs git, {tool} and a checkout")
    (line,) = (line for line in blocks("Install", "bash")[1].splitlines() if line.startswith(f"{tool} "))
    _, *options = shlex.split(line.replace("REPOSITORY", f"file://{ROOT}"))
    run(sys.executable, "-m", "venv", tmp_path / ".venv", cwd=tmp_path)
    python = tmp_path / ".venv" / "bin" / "python"

    said = run(python if tool == "python" else program, *options, cwd=tmp_path, VIRTUAL_ENV=str(tmp_path / ".venv"))

    if tool != "uvx":
        said = run(python.parent / "strands-portkey", "--version", cwd=tmp_path)
    assert version("strands-agents-portkey") in said


CACHED: Messages = [{"role": "user", "content": [{"text": "Hi"}, {"cachePoint": {"type": "default"}}]}]
SYSTEM: list[SystemContentBlock] = [{"text": "Be brief."}, {"cachePoint": {"type": "default"}}]


@pytest.mark.parametrize(
    ("module", "name", "marks"),
    [("openai", "OpenAIModel", 0), ("litellm", "LiteLLMModel", 1)],
    ids=["openai", "litellm"],
)
def test_other_providers_for_gateways_send_the_cache_points_that_the_readme_says(
    module: str, name: str, marks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # Without it the import asks the network.
    pytest.importorskip(module)
    model = getattr(importlib.import_module(f"strands.models.{module}"), name)(model_id="claude-sonnet-4-5")

    body = model.format_request(CACHED, [], system_prompt_content=SYSTEM)

    assert json.dumps(body).count("cache_control") == marks
