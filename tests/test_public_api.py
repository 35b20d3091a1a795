"""The public names, and what an import loads."""

from __future__ import annotations

import ast
import inspect
import itertools
import socket
import subprocess
import sys
from functools import cache
from importlib import metadata
from importlib.resources import files
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement

import strands_portkey

DISTRIBUTION = "strands-agents-portkey"
PACKAGE = Path(str(files(strands_portkey)))
MODULES = sorted(PACKAGE.rglob("*.py"))
REQUIREMENTS = {"httpx", "httpx-sse", "pydantic", "strands-agents"}
# pydantic cannot be installed without the last two.
IMPORTABLE = {
    *("httpx", "httpx_sse", "pydantic", "strands", "strands_portkey"),
    *("pydantic_core", "typing_extensions", "opentelemetry"),
}


def test_all_is_sorted_and_names_each_public_name() -> None:
    public = {
        name
        for name, value in vars(strands_portkey).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }

    assert strands_portkey.__all__ == sorted({*public, "__version__"})


@pytest.mark.parametrize("name", [name for name in strands_portkey.__all__ if name != "__version__"])
def test_each_public_name_has_a_docstring_of_its_own(name: str) -> None:
    value = getattr(strands_portkey, name)
    doc = _docs_of_types().get(name) or vars(value)["__doc__"]

    assert inspect.cleandoc(doc or "")


@cache
def _docs_of_types() -> dict[str, str]:
    """Return what stands under the name of each type."""
    docs: dict[str, str] = {}
    for path in MODULES:
        for node, following in itertools.pairwise(ast.parse(path.read_text(encoding="utf-8")).body):
            match node, following:
                case ast.Assign(targets=[ast.Name(id=name)]), ast.Expr(value=ast.Constant(value=str(doc))):
                    docs[name] = doc
                case _:
                    pass
    return docs


def test_the_version_is_that_of_the_distribution() -> None:
    assert strands_portkey.__version__ == metadata.version(DISTRIBUTION)


def test_the_types_are_installed_with_the_package() -> None:
    assert files(strands_portkey).joinpath("py.typed").is_file()


def test_the_distribution_asks_for_the_four_run_time_packages_and_no_other() -> None:
    requirements = map(Requirement, metadata.requires(DISTRIBUTION) or ())

    assert {requirement.name for requirement in requirements} == REQUIREMENTS


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_what_the_distribution_asks_for(module: Path) -> None:
    imported = {
        name.partition(".")[0]
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8")))
        for name in _imported_names(node)
    }

    assert imported - sys.stdlib_module_names <= IMPORTABLE


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_what_does_io_and_the_model_are_async(module: Path) -> None:
    is_async = any(
        isinstance(node, ast.AsyncFunctionDef | ast.AsyncFor | ast.AsyncWith | ast.Await)
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8")))
    )

    allowed = module.parent.name == "_http" or module.name == "model.py" or module.parts[-2:] == ("_cli", "models.py")
    assert not is_async or allowed


def test_an_import_loads_no_sdk() -> None:
    code = "import sys, strands_portkey; print(*sorted({name.partition('.')[0] for name in sys.modules}))"

    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout.split()

    assert "strands_portkey" in loaded
    assert {"openai", "portkey_ai"}.isdisjoint(loaded)


def test_the_unit_tests_cannot_leave_the_loopback() -> None:
    with socket.socket() as outward, pytest.raises(RuntimeError, match=r"192\.0\.2\.1"):
        outward.connect(("192.0.2.1", 80))


def _imported_names(node: ast.AST) -> list[str]:
    match node:
        case ast.Import(names=names):
            return [alias.name for alias in names]
        case ast.ImportFrom(module=str(name), level=0):
            return [name]
        case _:
            return []
