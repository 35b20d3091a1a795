"""What each contender needs installed, read from the environment that the benchmark runs in."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from typing import Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REQUIREMENTS: Final = {
    "portkey": ("strands-agents-portkey",),
    "openai_documented": ("strands-agents[openai]",),
    "openai_injected": ("strands-agents[openai]",),
    "litellm": ("strands-agents[litellm]",),
    "floor": ("httpx", "httpx-sse"),
}


def packages(*requirements: str) -> set[str]:
    """Return the installed packages that some requirements bring, themselves included."""
    waiting = [Requirement(requirement) for requirement in requirements]
    done: set[tuple[str, str]] = set()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        try:
            needs = [Requirement(need) for need in distribution(name).requires or ()]
        except PackageNotFoundError:
            continue
        for extra in {"", *requirement.extras}:
            if (name, extra) not in done:
                done.add((name, extra))
                waiting += [need for need in needs if need.marker is None or need.marker.evaluate({"extra": extra})]
    return {name for name, _ in done}


def size(package: str) -> int:
    """Return the bytes of a package's files, without compiled ones."""
    paths = (path for path in distribution(package).files or () if path.suffix != ".pyc")
    return sum(located.stat().st_size for path in paths if (located := path.locate()).is_file())  # type: ignore[attr-defined,unused-ignore]


def installations() -> dict[str, dict[str, dict[str, object]]]:
    """Return the packages and bytes that each contender and strands-agents have, and what it adds to strands-agents."""
    plain = packages("strands-agents")
    found: dict[str, dict[str, dict[str, object]]] = {}
    for name, requirements in REQUIREMENTS.items():
        whole = packages("strands-agents", *requirements)
        parts = {"all": sorted(whole), "added": sorted(whole - plain)}
        found[name] = {part: {"packages": names, "bytes": sum(map(size, names))} for part, names in parts.items()}
    return found
