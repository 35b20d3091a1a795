"""Measures and prints a table: `nox -s bench`, with `-- --quick`, `-- --only text short_plain`, `-- --save FILE`.

`-- --check FILE` measures nothing and reports which targets the numbers of a saved run hold.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from tests_integ.bench.report import lines
from tests_integ.bench.runner import MEASURES, run
from tests_integ.bench.targets import verdicts

WORDS = {True: "holds ", False: "FAILS ", None: "absent"}


def main() -> int:
    """Run, or check, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests_integ.bench", description="Compare what a call costs.")
    parser.add_argument("--quick", action="store_true", help="fewer measures, each once: about two minutes")
    parser.add_argument("--only", nargs="+", metavar="NAME", default=[], choices=[each.name for each in MEASURES])
    parser.add_argument("--rounds", type=int, default=2, metavar="N", help="how often; a busy machine needs more")
    parser.add_argument("--save", type=Path, metavar="FILE", help="write all raw numbers as JSON")
    parser.add_argument("--check", type=Path, metavar="FILE", help="hold the numbers of a saved run to the targets")
    arguments = parser.parse_args()
    if arguments.check:
        found = list(verdicts(json.loads(arguments.check.read_text())))
        for holds, words in found:
            print(WORDS[holds], words)
        return int(any(holds is False for holds, _ in found))
    results = run(arguments.only, quick=arguments.quick, rounds=arguments.rounds)
    if arguments.save:
        arguments.save.write_text(json.dumps(results, indent=1))
    print("\n".join(lines(results)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
