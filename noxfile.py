"""Everything that is checked here: `python3 -m venv .venv && .venv/bin/python -m pip install nox && .venv/bin/nox`.

Sessions run against the wheel that `build` makes once per run, never against the source tree. Environments are kept
between runs; `nox --reuse-venv=no` makes them anew. What follows `--` goes to pytest: `nox -s tests-3.12 -- -k stream`.
"""

from __future__ import annotations

import os
import runpy
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from zipfile import ZipFile

import nox
from packaging.requirements import Requirement
from packaging.version import Version

nox.needs_version = ">=2025.10.14"
nox.options.default_venv_backend = "virtualenv"
nox.options.download_python = "never"  # A package index is all the network that the checks need.
nox.options.error_on_missing_interpreters = False  # A machine tests on what it has; the CI of GitHub asks for each.
nox.options.reuse_venv = "yes"

PROJECT = nox.project.load_toml("pyproject.toml")
DEPENDENCIES: list[str] = PROJECT["project"]["dependencies"]
PYTHONS = nox.project.python_versions(PROJECT)
OWN = f"{sys.version_info.major}.{sys.version_info.minor}"
# The Python that runs nox is tested on as well, so that a machine with no other runs the tests too.
TESTED = list(dict.fromkeys([*PYTHONS, OWN]))
PINS = ".github/build-requirements.txt"  # What builds a release, and all that it needs, by hash.
WHEEL_FOLDERS = ("strands_portkey/", "strands_agents_portkey-")  # The package, and its metadata.
WHEEL_LIMIT = 265_000  # Bytes: a tenth more than it has.
# The schemas come with check-jsonschema, so that no network is asked for them.
SCHEMAS = {
    "github-workflows": "workflows/*.yml",
    "dependabot": "dependabot.yml",
    "github-issue-forms": "ISSUE_TEMPLATE/[!c]*.yml",
    "github-issue-config": "ISSUE_TEMPLATE/config.yml",
}


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


def built_wheel() -> Path:
    """Return the wheel just built."""
    (wheel,) = Path("dist").glob("*.whl")
    return wheel


def install_wheel(session: nox.Session, *also: str) -> None:
    """Install the wheel just built, and what else is named."""
    wheel = built_wheel()
    session.install(str(wheel), *also)
    # A kept environment may hold an earlier build of the same version.
    session.install("--force-reinstall", "--no-deps", str(wheel))


def run_pytest(session: nox.Session, *arguments: str, env: Mapping[str, str] | None = None) -> None:
    """Run pytest; all of its tests side by side, but those that a user has chosen as he says."""
    how = [] if session.posargs else ["--numprocesses=auto", "--dist=worksteal"]
    session.run("python", "-m", "pytest", *how, *arguments, env=env)


@nox.session(default=False)
def build(session: nox.Session) -> None:
    """Build the sdist, and the wheel from it; list what the wheel holds.

    With `KEEP_DIST=1` what `dist` holds is taken as it is: the CI checks and publishes one and the same build.
    """
    if os.environ.get("KEEP_DIST") != "1":
        session.install("--require-hashes", "--only-binary", ":all:", "--requirement", PINS)
        shutil.rmtree("dist", ignore_errors=True)
        session.run("python", "-m", "build", "--no-isolation", silent=True)
    with ZipFile(wheel := built_wheel()) as archive:
        for entry in archive.infolist():
            lines = archive.read(entry).count(b"\n")
            session.log(f"{entry.file_size:>8,} bytes {lines:>5,} lines  {entry.filename}")
    session.log(f"{wheel.stat().st_size:>8,} bytes  {wheel}")


@nox.session(default=False)
def pins(session: nox.Session) -> None:
    """Pin the newest of what builds a release, for each Python and system."""
    session.install("uv")
    named = Path(session.create_tmp()) / "named.txt"
    named.write_text("\n".join([*group("build"), *PROJECT["build-system"]["requires"]]), encoding="utf-8")
    form = ["--universal", "--python-version", PYTHONS[0], "--generate-hashes", "--only-binary", ":all:"]
    env = {"UV_CUSTOM_COMPILE_COMMAND": "nox -s pins"}  # The file says how it was made.
    session.run("uv", "pip", "compile", "--quiet", "--upgrade", *form, "--output-file", PINS, str(named), env=env)


@nox.session(requires=["build"])
def lint(session: nox.Session) -> None:
    """Check style, format, the workflows of GitHub and what the package index will show."""
    session.install(*group("lint"))
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("zizmor", "--offline", "--quiet", "--persona", "pedantic", ".github")
    for schema, files in SCHEMAS.items():
        session.run("check-jsonschema", "--builtin-schema", f"vendor.{schema}", *map(str, Path(".github").glob(files)))
    session.run("twine", "check", "--strict", *map(str, Path("dist").iterdir()))
    wheel = built_wheel()
    if others := [name for name in ZipFile(wheel).namelist() if not name.startswith(WHEEL_FOLDERS)]:
        session.error(f"A wheel holds the package alone, not {others}")
    if wheel.stat().st_size > WHEEL_LIMIT:
        session.error(f"The wheel has {wheel.stat().st_size:,} bytes, more than {WHEEL_LIMIT:,}")


@nox.session(requires=["build"])
def typing(session: nox.Session) -> None:
    """Check types with mypy and pyright, and that the public face is wholly typed."""
    install_wheel(session, *group("typing"), *node())
    session.run("mypy")
    session.run("pyright")
    session.run("pyright", "--ignoreexternal", "--verifytypes", "strands_portkey")


@nox.session(python=TESTED, requires=["build"])
def tests(session: nox.Session) -> None:
    """Run the unit tests; on the Python that runs nox ask for every branch."""
    install_wheel(session, *group("test"))
    # To measure takes as long as the tests, and no other Python would find more: see `exclude_also`.
    measured = ["--cov"] if session.python == OWN and not session.posargs else []
    env = {"COVERAGE_FILE": str(Path(session.create_tmp()) / "coverage")}
    run_pytest(session, *measured, *session.posargs, env=env)


@nox.session(python=PYTHONS[0], requires=["build"])
def minimums(session: nox.Session) -> None:
    """Run the unit tests with the lowest version of each run-time dependency."""
    install_wheel(session, *map(lowest, DEPENDENCIES), *group("test"))
    run_pytest(session, *session.posargs)


def lowest(dependency: str) -> str:
    """Pin a dependency to its lower bound."""
    requirement = Requirement(dependency)
    (bound,) = (spec.version for spec in requirement.specifier if spec.operator == ">=")
    return f"{requirement.name}=={bound}"


@nox.session(default=False, requires=["build"])
def newest(session: nox.Session) -> None:
    """Run all tests with the newest version of each run-time dependency, whatever the upper bounds say."""
    session.install(*group("integ"), *node())
    session.install("--upgrade", "--upgrade-strategy", "eager", *(Requirement(each).name for each in DEPENDENCIES))
    session.install("--force-reinstall", "--no-deps", str(built_wheel()))
    session.run("python", "-m", "pip", "list")
    run_pytest(session, "tests", "tests_integ", *session.posargs)


@nox.session(default=False, requires=["build"])
def sdist(session: nox.Session) -> None:
    """Run the unit tests that the sdist holds, unpacked in an empty folder."""
    install_wheel(session, *group("test"))
    folder = Path(session.create_tmp()) / "sdist"
    shutil.rmtree(folder, ignore_errors=True)
    (archive,) = Path("dist").glob("*.tar.gz")
    shutil.unpack_archive(archive, folder, filter="data")
    (root,) = folder.iterdir()
    session.chdir(root)
    run_pytest(session, *session.posargs)


@nox.session(requires=["build"])
def integ(session: nox.Session) -> None:
    """Run the integration tests with the real gateway."""
    install_wheel(session, *group("integ"), *node())
    run_pytest(session, "tests_integ", *session.posargs)


@nox.session(default=False)
def api(session: nox.Session) -> None:
    """Compare the public names with the last release, or with the revision after `--`.

    What breaks users fails it, unless the version says that it may: a new major one, and before 1.0 a new minor one.
    """
    list_tags = ["git", "tag", "--merged", "HEAD~1", "--list", "v*", "--sort=-version:refname"]
    released = str(session.run(*list_tags, external=True, silent=True)).split()
    against = next(iter([*session.posargs, *released]), None)
    if against is None:
        session.skip("There is no tag of a release to compare with. Name a revision: nox -s api -- main")
    session.install(*group("api"))
    version = runpy.run_path("src/strands_portkey/_version.py")["__version__"]
    may_break = against in released and series(version) != series(against)
    check = ["griffe", "check", "strands_portkey", "--search", "src", "--verbose", "--against", against]
    session.run(*check, success_codes=[0, 1] if may_break else [0])


def series(version: str) -> tuple[int, ...]:
    """Return what the versions have in common that do not break each other's users."""
    release = Version(version).release
    return release[: 1 if release[0] else 2]


@nox.session(default=False)
def demo(session: nox.Session) -> None:
    """Let an agent with two tools answer through the real gateway."""
    session.install(".", *node())
    session.run("python", "-m", "tests_integ.demo", *session.posargs)


@nox.session(default=False)
def mutants(session: nox.Session) -> None:
    """Change the code in small ways, one at a time, and list the changes that no test notices.

    All of them take hours. `nox -s mutants -- "strands_portkey._attempts*"` takes those of one module.
    """
    session.install("--editable", ".", *group("mutants"))
    session.run("mutmut", "run", *session.posargs)
    session.run("mutmut", "results")


@nox.session(default=False, requires=["build"])
def record(session: nox.Session) -> None:
    """Record the real gateway's answers for the unit tests."""
    install_wheel(session, *group("integ"), *node())
    session.run("python", "-m", "tests_integ.record", *session.posargs)


@nox.session(default=False, requires=["build"])
def bench(session: nox.Session) -> None:
    """Measure what a call costs on top of the gateway."""
    install_wheel(session, *group("bench"))
    session.run("python", "-m", "tests_integ.bench", *session.posargs)


@nox.session(default=False, requires=["build"])
def guard(session: nox.Session) -> None:
    """Fail if a piece of an answer costs more than twice what httpx, httpx-sse and json take alone."""
    install_wheel(session, "packaging>=24", "trustme>=1.2")
    session.run("python", "-m", "tests_integ.bench.guard")


@nox.session(default=False, requires=["build"])
def docs(session: nox.Session) -> None:
    """Write the reference of the public names to build/docs; a warning fails it."""
    install_wheel(session, *group("docs"))
    shutil.rmtree("build/docs", ignore_errors=True)
    pdoc = ["-m", "pdoc", "--docformat", "google", "--no-show-source", "--output-directory", "build/docs"]
    session.run("python", "-W", "error", *pdoc, "strands_portkey")
