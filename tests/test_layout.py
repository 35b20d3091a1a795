"""Rules of this project that no linter checks; `.github/CONTRIBUTING.md` has them too."""

from __future__ import annotations

import ast
import inspect
import itertools
import re
from collections.abc import Callable
from dataclasses import is_dataclass
from functools import cache
from importlib import metadata
from importlib.resources import files
from pathlib import Path
from typing import get_origin

import pytest
from packaging.requirements import Requirement

import strands_portkey

ROOT = Path(__file__).parent.parent
CONTRIBUTING = (ROOT / ".github" / "CONTRIBUTING.md").read_text(encoding="utf-8")
PACKAGE = Path(str(files(strands_portkey)))
TREES = {
    path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
    for path in sorted(PACKAGE.rglob("*.py"))
}
CHANGELOG = (ROOT / ".github" / "CHANGELOG.md").read_text(encoding="utf-8")
PUBLIC_CLASSES = [
    value
    for name in strands_portkey.__all__
    # For Python 3.10 an alias is a type too.
    if isinstance(value := getattr(strands_portkey, name), type) and get_origin(value) is None
]
PUBLIC_FUNCTIONS = [
    function
    for public in PUBLIC_CLASSES
    for name, function in vars(public).items()
    if inspect.isfunction(function)
    and function.__module__.startswith("strands_portkey")
    and (name in {"__init__", "__aenter__", "__aexit__"} or not name.startswith("_"))
    and not (name == "__init__" and is_dataclass(public))
]
KNOWN = {
    *strands_portkey.__all__,
    *(name for public in PUBLIC_CLASSES for name in [*dir(public), *inspect.get_annotations(public)]),
    *inspect.signature(strands_portkey.PortkeyModel).parameters,
}


# Each layer imports only what stands before it; its parts do not import each other.
LAYERS = [
    {"_version", "_errors"},
    {"_json"},
    {"_settings"},
    {"_request", "_answer"},
    {"_log"},
    {"_tracing", "_endpoints", "_http", "_wires/wire"},
    {"_wires/chat", "_wires/responses", "_wires/messages"},
    {"_wires"},
    {"_learned"},
    {"_attempts"},
    {"model"},
    {"_cli"},
    {"__init__"},
    {"__main__"},
]
LAYER_OF = {part: number for number, layer in enumerate(LAYERS) for part in layer}


# -- the layout --------------------------------------------------------------------------------------------------------


def test_the_map_names_each_module_once() -> None:
    text = CONTRIBUTING.partition("\n## The map\n")[2].partition("\n## ")[0]
    named = re.findall(r"^\| `([\w/]+\.py)` \|", text, re.MULTILINE)

    assert sorted(named) == [module for module in TREES if TREES[module].body[1:]]


@pytest.mark.parametrize("module", TREES)
def test_imports_run_one_way(module: str) -> None:
    part = _part(module)
    allowed = {part, *(each for each, layer in LAYER_OF.items() if layer < LAYER_OF[part])}
    if part == "__init__":
        allowed -= {"_cli"}

    assert {_part(each) for each in _imports(module)} - allowed == set()


def test_no_module_imports_itself_through_others() -> None:
    above = {module: set(_imports(module)) for module in TREES}
    while free := [module for module, below in above.items() if not below & above.keys()]:
        for module in free:
            del above[module]

    assert above == {}


def test_a_private_name_is_defined_in_one_module() -> None:
    modules: dict[str, list[str]] = {}
    for module, tree in TREES.items():
        for name in _defined(tree):
            if name.startswith("_") and not name.startswith("__"):
                modules.setdefault(name, []).append(module)

    assert {name: places for name, places in modules.items() if len(places) > 1} == {}


def _defined(tree: ast.Module) -> set[str]:
    """Return the names that a module defines at its top level, without those that it imports."""
    names: set[str] = set()
    for statement in tree.body:
        if isinstance(statement, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            names.add(statement.name)
        else:
            names |= {
                node.id
                for node in ast.walk(statement)
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
            }
    return names


def _part(module: str) -> str:
    """Return the part of the package that a module belongs to."""
    path = module.removesuffix(".py").removesuffix("/__init__")
    return max((part for part in LAYER_OF if path == part or path.startswith(f"{part}/")), key=len)


def _imports(module: str) -> list[str]:
    """Return the modules of this package that a module imports, also those within functions."""
    names = [
        name.removeprefix("strands_portkey").removeprefix(".").replace(".", "/") or "__init__"
        for node in ast.walk(TREES[module])
        if isinstance(node, ast.ImportFrom) and (name := node.module or "").partition(".")[0] == "strands_portkey"
    ]
    return [f"{name}.py" if f"{name}.py" in TREES else f"{name}/__init__.py" for name in names]


# -- the reference -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("public", PUBLIC_CLASSES, ids=lambda each: each.__name__)
def test_a_docstring_stands_under_each_public_key_and_attribute(public: type) -> None:
    documented = _docs_under(public)

    assert all(inspect.cleandoc(doc) for doc in documented.values())
    assert _assigned(public) | _keys(public) <= documented.keys()
    assert not re.search(r"^\s*Attributes:$", public.__doc__ or "", re.MULTILINE)


@pytest.mark.parametrize("function", PUBLIC_FUNCTIONS, ids=lambda each: each.__qualname__)
def test_the_docstring_of_a_function_describes_each_argument(function: Callable[..., object]) -> None:
    # A constructor without a docstring has that of its class.
    doc = inspect.cleandoc(function.__doc__ or _class_of(function).__doc__ or "")
    documented = _names_in(doc, "Args")

    assert doc
    if documented or not function.__doc__:
        parameters = inspect.signature(function).parameters.values()
        # As text a parameter begins with its stars and its name.
        assert documented == [re.split(r"[:=]", str(each))[0] for each in parameters if each.name != "self"]


@pytest.mark.parametrize("public", [*PUBLIC_CLASSES, *PUBLIC_FUNCTIONS], ids=lambda each: each.__qualname__)
def test_single_backticks_name_what_the_reference_has(public: Callable[..., object]) -> None:
    docs = [public.__doc__ or ""]
    parameters: set[str] = set()
    if isinstance(public, type):
        docs += _docs_under(public).values()
    else:
        parameters |= inspect.signature(public).parameters.keys()
    names = {name for doc in docs for name in re.findall(r"(?<!`)`([^`\n]+)`(?!`)", doc)}

    assert {re.split(r"[.\[(]", name)[0] for name in names} <= KNOWN | parameters


@cache
def _tree(public: type) -> ast.ClassDef:
    """Return the source of a public class."""
    (tree,) = (
        node
        for module in TREES.values()
        for node in ast.walk(module)
        if isinstance(node, ast.ClassDef) and node.name == public.__name__
    )
    return tree


def _docs_under(public: type) -> dict[str, str]:
    """Return what stands under each public annotation of a class, and of the TypedDicts that a TypedDict extends."""
    tree = _tree(public)
    docs: dict[str, str] = {}
    for base in tree.bases if _keys(public) else ():
        if isinstance(base, ast.Name) and base.id in strands_portkey.__all__:
            docs |= _docs_under(getattr(strands_portkey, base.id))
    for node, following in itertools.pairwise([*tree.body, ast.Pass()]):
        match node, following:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(doc))):
                docs[name] = doc
            case ast.AnnAssign(target=ast.Name(id=name)), _:
                docs[name] = ""
            case _:
                pass
    return {name: doc for name, doc in docs.items() if not name.startswith("_")}


def _assigned(public: type) -> set[str]:
    """Return the public attributes that the methods of a class set."""
    return {
        node.attr
        for node in ast.walk(_tree(public))
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and isinstance(node.value, ast.Name)
        and node.value.id == "self"
        and not node.attr.startswith("_")
    }


def _keys(public: type) -> frozenset[str]:
    """Return the keys of a TypedDict, also those that Strands gives it."""
    keys: frozenset[str] = getattr(public, "__required_keys__", frozenset()) | getattr(
        public, "__optional_keys__", frozenset()
    )
    return keys


def _class_of(function: Callable[..., object]) -> type:
    """Return the public class that a function belongs to."""
    (public,) = (each for each in PUBLIC_CLASSES if vars(each).get(function.__name__) is function)
    return public


def _names_in(doc: str, section: str) -> list[str]:
    """Return the names that a section of a docstring describes."""
    text = doc.partition(f"\n{section}:\n")[2]
    lines = itertools.takewhile(lambda line: not line or line.startswith("    "), text.splitlines())
    return [match[1] for line in lines if (match := re.match(r" {4}(\*{0,2}\w+): ", line))]


# -- the documents -----------------------------------------------------------------------------------------------------


def test_no_file_has_a_marker_for_unfinished_work() -> None:
    patterns = ["*.md", "*.py", "*.toml", ".github/**/*.*", "src/**/*.py"]
    paths = [path for pattern in patterns for path in ROOT.glob(pattern) if path.suffix != ".pyc"]
    marked = [
        str(path.relative_to(ROOT)) for path in paths if re.search(r"\b(TO[D]O|FIX[M]E)\b", path.read_text("utf-8"))
    ]

    assert paths
    assert marked == []


def test_the_tests_that_the_hooks_run_are_there() -> None:
    hooks = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    named = re.findall(r"pytest .*?(tests/\w+\.py)", hooks)

    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_the_licences_listed_are_those_of_the_dependencies() -> None:
    listed = dict(re.findall(r"^\| `([\w-]+)` \| ([\w.-]+) \|", CONTRIBUTING, re.MULTILINE))
    requirements = [Requirement(each) for each in metadata.requires("strands-agents-portkey") or ()]

    assert listed == {each.name: _license(each.name) for each in requirements if not each.marker}


def test_the_changelog_has_a_section_for_this_version() -> None:
    assert re.search(rf"^## \[{re.escape(strands_portkey.__version__)}\] - \d{{4}}-\d\d-\d\d$", CHANGELOG, re.MULTILINE)


@pytest.mark.parametrize("path", sorted((ROOT / ".github").glob("*.md")), ids=lambda path: path.name)
def test_links_between_the_documents_have_existing_targets(path: Path) -> None:
    links = re.findall(r"\]\(([^)#:\s]+)\)", path.read_text(encoding="utf-8"))

    assert [link for link in links if not (path.parent / link).exists()] == []


@pytest.mark.parametrize("path", sorted((ROOT / ".github" / "workflows").glob("*.yml")), ids=lambda path: path.name)
def test_each_action_is_pinned_by_its_commit(path: Path) -> None:
    actions = re.findall(r"^ *(?:- )?uses: (?!\./)(.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)

    assert [each for each in actions if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each)] == []


def _license(distribution: str) -> str:
    fields = metadata.metadata(distribution)
    return str((fields.get_all("License-Expression") or fields.get_all("License") or [""])[0])
