"""The recordings are still what the real gateway answers, so a new gateway version shows itself here."""

from __future__ import annotations

import difflib
from pathlib import Path

from tests_integ.record.recorder import KEPT, kept, record, write
from tests_integ.record.scenarios import SCENARIOS


def test_the_gateway_still_answers_as_recorded(tmp_path: Path) -> None:
    write(record(SCENARIOS), tmp_path)

    fresh = {str(path.relative_to(tmp_path)): path.read_bytes().decode() for path in kept(tmp_path)}
    old = {str(path.relative_to(KEPT)): path.read_bytes().decode() for path in kept(KEPT)}
    changed = [name for name in sorted(fresh.keys() | old.keys()) if fresh.get(name) != old.get(name)]
    differences = [
        line
        for name in changed[:5]
        for line in difflib.unified_diff(
            old.get(name, "").splitlines(),
            fresh.get(name, "").splitlines(),
            f"kept/{name}",
            f"fresh/{name}",
            lineterm="",
        )
    ]
    assert not changed, f"{len(changed)} recordings differ: {changed}\n" + "\n".join(differences)


def test_each_recording_has_what_must_come_of_it() -> None:
    recorded = {path.with_suffix(".expected.json") for path in KEPT.glob("*/*/*.http")}
    expected = set(KEPT.glob("*/*/*.expected.json"))

    assert recorded == expected
