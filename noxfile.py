"""Everything that is checked here: `python -m pip install nox && nox`.

Sessions run against the wheel that `build` makes once per run, never against the source tree. Environments are kept
between runs; `nox --reuse-venv=no` makes them anew. What follows `--` goes to pytest: `nox -s tests-3.12 -- -k stream`.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import nox
from packaging.requirements import Requirement

nox.needs_version = ">=2025.10.14"
nox.options.default_venv_backend = "virtualenv"
nox.options.download_python = "never"  # A package index is all the network that the checks need.
nox.options.error_on_missing_interpreters = False  # A machine tests on what it has; the CI of GitHub asks for each.
nox.options.reuse_venv = "yes"

PROJECT = nox.project.load_toml("pyproject.toml")
DEPENDENCIES: list[str] = PROJECT["project"]["dependencies"]
PYTHONS = nox.project.python_versions(PROJECT)
# The Python that runs nox is tested on as well, so that a machine with no other runs the tests too.
TESTED = list(dict.fromkeys([*PYTHONS, f"{sys.version_info.major}.{sys.version_info.minor}"]))


def offer_pyenv_versions() -> None:
    """Let nox find every Python that pyenv holds; its shims answer for the active ones only."""
    versions = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    found = [path.name for python in PYTHONS for path in sorted(versions.glob(f"{python}.*"))]
    if found:
        os.environ.setdefault("PYENV_VERSION", ":".join(found))


offer_pyenv_versions()


def group(name: str) -> list[str]:
    """Return the requirements of a dependency group."""
    return list(nox.project.dependency_groups(PROJECT, name))


def node() -> list[str]:
    """Return what brings Node, unless the machine has it."""
    return [] if shutil.which("node") and shutil.which("npm") else group("node")


def install_wheel(session: nox.Session, *also: str) -> None:
    """Install the wheel just built, and what else is named."""
    (wheel,) = Path("dist").glob("*.whl")
    session.install(str(wheel), *also)
    # A kept environment may hold an earlier build of the same version.
    session.install("--force-reinstall", "--no-deps", str(wheel))


@nox.session(default=False)
def build(session: nox.Session) -> None:
    """Build the sdist, and the wheel from it."""
    session.install("build", *PROJECT["build-system"]["requires"])
    shutil.rmtree("dist", ignore_errors=True)
    session.run("python", "-m", "build", "--no-isolation", silent=True)


@nox.session(requires=["build"])
def lint(session: nox.Session) -> None:
    """Check style, format and what the package index will show."""
    session.install(*group("lint"))
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("twine", "check", "--strict", *map(str, Path("dist").iterdir()))


@nox.session(requires=["build"])
def typing(session: nox.Session) -> None:
    """Check types with mypy and pyright, and that the public face is wholly typed."""
    install_wheel(session, *group("typing"), *node())
    session.run("mypy")
    session.run("pyright")
    session.run("pyright", "--ignoreexternal", "--verifytypes", "strands_portkey")


@nox.session(python=TESTED, requires=["build"])
def tests(session: nox.Session) -> None:
    """Run the unit tests and ask for every branch."""
    install_wheel(session, *group("test"))
    if session.posargs:  # A part of the tests covers a part of the code.
        session.run("python", "-m", "pytest", *session.posargs)
        return
    env = {"COVERAGE_FILE": str(Path(session.create_tmp()) / "coverage")}
    session.run("coverage", "run", "-m", "pytest", env=env)
    session.run("coverage", "report", env=env)


@nox.session(python=PYTHONS[0], requires=["build"])
def minimums(session: nox.Session) -> None:
    """Run the unit tests with the lowest version of each run-time dependency."""
    install_wheel(session, *map(lowest, DEPENDENCIES), *group("test"))
    session.run("python", "-m", "pytest", *session.posargs)


def lowest(dependency: str) -> str:
    """Pin a dependency to its lower bound."""
    requirement = Requirement(dependency)
    (bound,) = (spec.version for spec in requirement.specifier if spec.operator == ">=")
    return f"{requirement.name}=={bound}"


@nox.session(requires=["build"])
def integ(session: nox.Session) -> None:
    """Run the integration tests with the real gateway."""
    install_wheel(session, *group("integ"), *node())
    session.run("python", "-m", "pytest", "tests_integ", *session.posargs)


@nox.session(default=False)
def demo(session: nox.Session) -> None:
    """Let an agent with two tools answer through the real gateway."""
    session.install(".", *group("integ"), *node())
    session.run("python", "-m", "tests_integ.demo", *session.posargs)


@nox.session(default=False, requires=["build"])
def record(session: nox.Session) -> None:
    """Record the real gateway's answers for the unit tests."""
    install_wheel(session, *group("integ"), *node())
    session.run("python", "-m", "tests_integ.record", *session.posargs)


@nox.session(default=False, requires=["build"])
def bench(session: nox.Session) -> None:
    """Measure what a call costs on top of the gateway."""
    install_wheel(session, *group("integ"), *node())
    session.run("python", "-m", "tests_integ.bench", *session.posargs)


@nox.session(default=False, requires=["build"])
def docs(session: nox.Session) -> None:
    """Write the reference of the public names to build/docs."""
    install_wheel(session, *group("docs"))
    session.run("pdoc", "--docformat", "google", "--output-directory", "build/docs", "strands_portkey")
