"""Draws what was measured: `python -m tests_integ.bench.chart RESULTS`, of which `--save` has written the results.

Writes one picture for light pages and one for dark ones. Each panel has its own scale, which begins at zero.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, Final

from tests_integ.bench.contenders import NAMES
from tests_integ.bench.report import ROWS

Record = dict[str, Any]

PANELS: Final = {  # Titles of rows, and what they are called here.
    "text chunk, in a burst": "one chunk of text, CPU time",
    "short call": "one short call, CPU time",
    "a process from its start to the first answer": "a process up to its first answer",
    "peak memory, 1,000 at a time": "memory of 1,000 streams at a time",
}
DRAWN: Final = ("portkey", "openai_documented", "litellm")
FOLDER: Final = Path(__file__).parents[2] / ".github"

WIDTH, MARGIN, GAP = 860, 20, 40
LABEL, BAR, STEP = 114, 16, 24  # Width of the names, height of a bar, from one bar to the next.
PANEL = (WIDTH - 2 * MARGIN - GAP) / 2
HEIGHT = 28 + len(DRAWN) * STEP + 18  # Of a panel: its title, its bars, the space below.
FONTS: Final = "system-ui, -apple-system, Segoe UI, Helvetica, Arial, DejaVu Sans, sans-serif"
ROOM = 74  # What a value needs, to the right of the longest bar.


@dataclass(frozen=True)
class Theme:
    """Colours of a picture.

    Attributes:
        background: Of the page.
        text: Of titles and values.
        faint: Of the names of the others.
        bar: Of the others' bars.
        ours: Of PortkeyModel's bars.
    """

    background: str
    text: str
    faint: str
    bar: str
    ours: str


THEMES: Final = {
    "light": Theme("#ffffff", "#1f2328", "#59636e", "#b6bfc9", "#0969da"),
    "dark": Theme("#0d1117", "#f0f6fc", "#9198a1", "#4a525c", "#4493f8"),
}


def picture(results: Record, theme: Theme) -> str:
    """Return the SVG."""
    rows = -(-len(PANELS) // 2)
    height = 2 * MARGIN + rows * HEIGHT - 18
    size, font = f'width="{WIDTH}" height="{height}"', f'font-family="{FONTS}" font-size="13"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {WIDTH} {height}" {font}>',
        f'<rect {size} fill="{theme.background}"/>',
    ]
    for number, title in enumerate(PANELS):
        x = MARGIN + number % 2 * (PANEL + GAP)
        parts += panel(results, title, theme, x, MARGIN + number // 2 * HEIGHT)
    return "\n".join([*parts, "</svg>", ""])


def panel(results: Record, title: str, theme: Theme, x: float, y: float) -> Iterator[str]:
    """Yield the parts of a panel whose upper left corner is given."""
    (row,) = (row for row in ROWS if row.title == title)
    values = {contender: row.value(results, contender) for contender in DRAWN}
    largest = max((value for value in values.values() if value is not None), default=0) or 1
    yield text(PANELS[title], x, y + 13, theme.text, weight="600")
    for number, (contender, value) in enumerate(values.items()):
        ours = contender == "portkey"
        top = y + 28 + number * STEP
        length = (PANEL - LABEL - ROOM) * (value or 0) / largest
        yield text(NAMES[contender], x, top + 13, theme.text if ours else theme.faint, weight="600" if ours else "400")
        yield (
            f'<rect x="{x + LABEL:.1f}" y="{top}" width="{max(length, 1):.1f}" height="{BAR}" rx="2" '
            f'fill="{theme.ours if ours else theme.bar}"/>'
        )
        written = "-" if value is None else row.write(value)
        yield text(written, x + LABEL + length + 8, top + 13, theme.text, weight="600" if ours else "400")


def text(words: str, x: float, y: float, colour: str, *, weight: str) -> str:
    """Return words that begin at a place on their base line."""
    return f'<text x="{x:.1f}" y="{y}" fill="{colour}" font-weight="{weight}">{escape(words)}</text>'


def main() -> None:
    """Write the pictures."""
    parser = argparse.ArgumentParser(prog="python -m tests_integ.bench.chart", description="Draw a run of the bench.")
    parser.add_argument(
        "results", type=Path, metavar="RESULTS", help="what `nox -s bench -- --save RESULTS` has written"
    )
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the pictures go; default %(default)s")
    arguments = parser.parse_args()
    results = json.loads(arguments.results.read_text())
    for name, theme in THEMES.items():
        (arguments.folder / f"costs-{name}.svg").write_text(picture(results, theme), encoding="utf-8")


if __name__ == "__main__":
    main()
