"""The command `python -m tests_integ.record`."""

from __future__ import annotations

import argparse
from pathlib import Path

from tests_integ.record.recorder import KEPT, kept, record, write
from tests_integ.record.scenarios import SCENARIOS


def main() -> None:
    """Record what the arguments ask for."""
    parser = argparse.ArgumentParser(prog="python -m tests_integ.record", description="Record the gateway's answers.")
    parser.add_argument("filter", nargs="?", default="", help="only scenarios with this in provider/name")
    parser.add_argument("--out", type=Path, default=KEPT, help="where to (default: tests/recordings)")
    parser.add_argument(
        "--draft", action="store_true", help="also draft the .expected.json of new recordings; never overwrites"
    )
    arguments = parser.parse_args()
    chosen = [scenario for scenario in SCENARIOS if arguments.filter in scenario.path("")]
    paths = write(record(chosen), arguments.out, draft=arguments.draft)
    if not arguments.filter:
        for path in set(kept(arguments.out)) - set(paths):
            path.unlink()  # Its scenario is gone; what was expected of it is left for a person to remove.
    print(f"{len(paths)} recordings in {arguments.out}")


if __name__ == "__main__":
    main()
