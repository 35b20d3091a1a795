"""Fails where a piece of an answer costs more than twice the floor: `nox -s guard`.

Both are measured in turns on the same machine, so its speed does not matter.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests_integ.bench.contenders import NAMES, NAMES_OF_WIRES
from tests_integ.bench.report import ROWS, ROWS_OF_WIRES, Row, microseconds, per_chunk
from tests_integ.bench.runner import MEASURES, Record, environment, running_server, work

MOST: Final = 2.0
ROUNDS: Final = 3
IN_A_BURST: Final = ("text", "tool")


def rows() -> Iterator[tuple[str, Row, str, str]]:
    """Yield wire, row, and the two contenders of each measure of a piece that comes in a burst."""
    for wire, names, all_rows in (
        ("chat completions", NAMES, ROWS),
        *((wire, names, ROWS_OF_WIRES[wire]) for wire, names in NAMES_OF_WIRES.items()),
    ):
        ours, *_, floor = names
        for row in all_rows:
            if row.take is per_chunk and row.measure.startswith(IN_A_BURST):
                yield wire, row, ours, floor


def main() -> int:
    """Measure, print a line for each wire and kind, and return the exit status."""
    arguments = {measure.name: measure.arguments for measure in MEASURES}
    is_dear = False
    with tempfile.TemporaryDirectory() as folder, running_server(Path(folder)) as (url, _, bundle):
        environ = environment(bundle)
        for wire, row, *contenders in rows():
            records: dict[str, list[Record]] = {contender: [] for contender in contenders}
            for _ in range(ROUNDS):
                for contender in contenders:
                    command = [*arguments[row.measure], "--url", url, "--repeat", "2"]
                    records[contender].append(work(contender, command, environ))
            ours, floor = (per_chunk(records[contender]) for contender in contenders)
            if ours is None or floor is None:
                raise SystemExit(f"{row.title}, {wire}: {records}")
            is_dear |= ours > MOST * floor
            times = f"{ours / floor:.2f} times the floor of {microseconds(floor)}"
            print(f"{row.title}, {wire}: {microseconds(ours)}, {times}")
    return int(is_dear)


if __name__ == "__main__":
    sys.exit(main())
