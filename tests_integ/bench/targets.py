"""What this package holds itself to, as ratios within one run of the benchmark."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from tests_integ.bench.contenders import NAMES, NAMES_OF_WIRES
from tests_integ.bench.report import ROWS, ROWS_OF_WIRES, failures

Record = dict[str, Any]
LARGEST: Final = "stream, 1,600 at a time"


@dataclass(frozen=True)
class Target:
    """A bound for PortkeyModel's value in a row.

    Attributes:
        title: Title of the row.
        most: The most that the value may be; with `of`, that many times another value.
        of: Whose value in the same row, or PortkeyModel's in the row of that title.
        wire: The wire, save for chat completions.
    """

    title: str
    most: float
    of: str | None = None
    wire: str = ""


TARGETS: Final = (
    Target("text chunk, in a burst", 1.10, "floor"),
    Target("text chunk, in a burst", 1 / 5, "openai_documented"),
    Target("tool fragment, in a burst", 1.25, "floor"),
    Target("tool fragment, in a burst", 1 / 5, "openai_documented"),
    Target("text chunk, 1 ms after the last", 1.15, "floor"),
    Target("short call", 1 / 22, "openai_documented"),
    Target("short call", 1 / 2, "openai_injected"),
    Target("short call, TLS", 1 / 20, "openai_documented"),
    Target("short call, TLS", 1 / 2, "openai_injected"),
    Target("short call with 1,000 messages", 1, "openai_injected"),
    Target("agent call of 200 tokens, sync", 1 / 5, "openai_documented"),
    Target("agent call of 200 tokens, async", 1 / 5, "openai_documented"),
    Target(LARGEST, 1.5, "stream, 10 at a time"),
    Target("peak memory, 1,600 at a time", 150e6),
    Target("import after strands", 1 / 4, "openai_documented"),
    Target("a model made", 0.001),
    Target("connections of two calls in one loop", 1),
    Target("connections of two calls in one loop, TLS", 1),
    Target("connections of a sync call with a tool", 1),
    Target("connections of a sync call with a tool, TLS", 1),
    Target("text delta, in a burst", 1.15, "floor_responses", "Responses"),
    Target("text delta, in a burst", 1 / 5, "openai_responses", "Responses"),
    Target("argument fragment, in a burst", 1.25, "floor_responses", "Responses"),
    Target("argument fragment, in a burst", 1 / 5, "openai_responses", "Responses"),
    Target("short call", 1 / 15, "openai_responses", "Responses"),
    Target("short call with 1,000 messages", 1, "openai_responses", "Responses"),
    Target("text delta, in a burst", 1.15, "floor_messages", "Messages"),
    Target("text delta, in a burst", 1 / 3, "anthropic", "Messages"),
    Target("argument fragment, in a burst", 1.25, "floor_messages", "Messages"),
    Target("argument fragment, in a burst", 1 / 3, "anthropic", "Messages"),
    Target("short call with 1,000 messages", 1, "anthropic", "Messages"),
)


def verdicts(results: Record) -> Iterator[tuple[bool | None, str]]:
    """Yield for each target whether it holds, None if it was not measured, and the numbers in words."""
    for target in TARGETS:
        names = NAMES_OF_WIRES.get(target.wire, NAMES)
        rows = {row.title: row for row in ROWS_OF_WIRES.get(target.wire, ROWS)}
        ours = next(iter(names))
        row = rows[target.title]
        value = row.value(results, ours)
        if target.of is None:
            base: float | None = 1.0
            found, bound = row.write(value or 0), row.write(target.most)
        else:
            base = rows[target.of].value(results, ours) if target.of in rows else row.value(results, target.of)
            found, bound = (
                f"{(value or 0) / (base or 1):.3f} times {names.get(target.of, target.of)}",
                f"{target.most:g}",
            )
        title = f"{target.title}, {target.wire}" if target.wire else target.title
        if value is None or not base:
            yield None, f"{title}: at most {bound} allowed"
        else:
            yield value / base <= target.most, f"{title}: {found}, at most {bound} allowed"
    rows = {row.title: row for row in ROWS}
    records = results["records"].get(rows[LARGEST].measure, {}).get("portkey", [])
    failed = "; ".join(filter(None, [failures(records), *(record["error"] for record in records if "error" in record)]))
    yield (not failed if records else None), f"{LARGEST}: {failed or 'no'} failures, none allowed"
