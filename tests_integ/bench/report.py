"""What was measured as tables: the least of each value, and its ratios."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tests_integ.bench.contenders import NAMES, NAMES_OF_SETTINGS, NAMES_OF_WIRES

Record = dict[str, Any]
Take = Callable[[Sequence[Record]], float | None]

STREAMS: Final = (1, 10, 100, 1000, 1600)


def least(key: str) -> Take:
    """Return what takes the least value under a key out of all rounds; where values are lists, of their items."""

    def take(records: Sequence[Record]) -> float | None:
        found = [record.get(key) for record in records]
        values = [value for each in found for value in (each if isinstance(each, list) else [each])]
        return min((value for value in values if value is not None), default=None)

    return take


def per_chunk(records: Sequence[Record]) -> float | None:
    """Take what a chunk costs: the cheapest long stream less the cheapest short one."""
    short, long, difference = (least(key)(records) for key in ("short", "long", "difference"))
    return None if short is None or long is None or difference is None else (long - short) / difference


def first_event(records: Sequence[Record]) -> float | None:
    """Take the shortest delay less the server's."""
    delay, server = least("delays")(records), least("server")(records)
    return None if delay is None or server is None else delay - server


def failures(records: Sequence[Record]) -> str:
    """Return how many calls failed in all rounds, by what they failed of."""
    counts: Counter[str] = Counter()
    for record in records:
        counts.update(record.get("failures", {}))
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def above_idle(records: Sequence[Record]) -> str:
    """Return the memory that came on top of what the process held before."""
    above = [record["peak_bytes"] - record["base_bytes"] for record in records if "peak_bytes" in record]
    return f"+{megabytes(min(above))}" if above else ""


def microseconds(seconds: float) -> str:
    """Write a time as microseconds."""
    return f"{seconds * 1e6:.1f} µs"


def milliseconds(seconds: float) -> str:
    """Write a time as milliseconds."""
    return f"{seconds * 1e3:.2f} ms"


def megabytes(count: float) -> str:
    """Write a number of bytes as megabytes."""
    return f"{count / 1e6:.1f} MB"


def count(value: float) -> str:
    """Write a number of things."""
    return f"{value:,.0f}"


@dataclass(frozen=True)
class Row:
    """A line of the tables.

    Attributes:
        title: What was measured.
        measure: Name of the measure.
        take: Takes the value out of the records of one contender.
        write: Writes the value.
        note: Writes what else there is to say.
    """

    title: str
    measure: str
    take: Take
    write: Callable[[float], str]
    note: Callable[[Sequence[Record]], str] | None = None

    def value(self, results: Record, contender: str) -> float | None:
        """Return a contender's value."""
        return self.take(results["records"].get(self.measure, {}).get(contender, []))

    def cell(self, results: Record, contender: str) -> str:
        """Return a contender's value as text, or why there is none."""
        records = results["records"][self.measure].get(contender, [])
        value = self.take(records)
        notes = [] if self.note is None else [self.note(records)]
        notes += sorted({record["error"] for record in records if "error" in record})
        note = "; ".join(filter(None, notes))
        return ("-" if value is None else self.write(value)) + (f" ({note})" if note else "")


ROWS: Final = (
    Row("text chunk, in a burst", "text", per_chunk, microseconds),
    Row("tool fragment, in a burst", "tool", per_chunk, microseconds),
    Row("text chunk, 1 ms after the last", "spaced", per_chunk, microseconds),
    Row("short call", "short_plain", least("per_call"), milliseconds),
    Row("short call, TLS", "short_tls", least("per_call"), milliseconds),
    Row("short call, its first answer a 503", "short_retried", least("per_call"), milliseconds),
    Row("short call with 1,000 messages", "request_messages", least("per_call"), milliseconds),
    Row("short call with 15 MB of images", "request_images", least("per_call"), milliseconds),
    Row("agent call of 200 tokens, sync", "agent_sync", least("per_call"), milliseconds, failures),
    Row("agent call of 200 tokens, async", "agent_async", least("per_call"), milliseconds),
    Row("delay of the first text (wall clock, without the server's)", "first_event", first_event, milliseconds),
    *(
        Row(f"stream, {streams:,} at a time", f"parallel_{streams}", least("per_stream"), milliseconds, failures)
        for streams in STREAMS
    ),
    *(
        Row(f"peak memory, {streams:,} at a time", f"parallel_{streams}", least("peak_bytes"), megabytes, above_idle)
        for streams in STREAMS
    ),
    Row("import after strands", "start", least("import"), milliseconds),
    Row("import after strands, memory", "start", least("import_bytes"), megabytes),
    Row("a model made", "start", least("make"), milliseconds),
    Row("import and first call", "start", least("first_call"), milliseconds),
    Row("a process from its start to the first answer", "start", least("process"), milliseconds),
    Row("peak memory of such a process", "start", least("process_bytes"), megabytes),
    Row("connections of two calls in one loop", "reuse_plain", least("two_calls"), count),
    Row("connections of two calls in one loop, TLS", "reuse_tls", least("two_calls"), count),
    Row("connections of a sync call with a tool", "reuse_plain", least("tool_turns"), count),
    Row("connections of a sync call with a tool, TLS", "reuse_tls", least("tool_turns"), count),
)

ROWS_OF_WIRES: Final = {
    wire: (
        Row("text delta, in a burst", f"text_{wire.lower()}", per_chunk, microseconds),
        Row("argument fragment, in a burst", f"tool_{wire.lower()}", per_chunk, microseconds),
        Row("short call", f"short_{wire.lower()}", least("per_call"), milliseconds),
        Row("short call with 1,000 messages", f"request_messages_{wire.lower()}", least("per_call"), milliseconds),
    )
    for wire in NAMES_OF_WIRES
}
ROWS_OF_SETTINGS: Final = (
    Row("short call", "short_settings", least("per_call"), milliseconds),
    Row("of it, for logs that are off", "logs", least("per_call"), microseconds),
)
INSTALLED: Final = {"installed beside plain strands-agents": "added", "installed in all": "all"}


def line(title: str, cells: Sequence[str]) -> str:
    """Return a line of a Markdown table."""
    return f"| {title} | {' | '.join(cells)} |"


def ratio(value: float | None, base: float | None) -> str:
    """Return how many times as large a value is as another."""
    return f"{value / base:.2f}" if value is not None and base else "-"


def lines(results: Record) -> Iterator[str]:
    """Yield the lines of the report."""
    machine, versions = results["machine"], results["versions"]
    yield f"{results['date']}; {', '.join(f'{name} {version}' for name, version in versions.items())}."
    yield (
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory'] / 2**30:.0f} GiB, {machine['system']}; "
        f"least of {results['rounds']} rounds, {results['seconds']} s. Times are CPU time of the client process."
    )
    yield "The floor is httpx, httpx-sse and json.loads alone; for an agent it makes events of the text and no more."
    yield f"A stream takes two seconds; one that is not done in {results['streams_bound']} s is unfinished."
    installed = {
        title: [results["installation"][contender][key] for contender in NAMES] for title, key in INSTALLED.items()
    }
    more = [
        line(title, [f"{len(each['packages'])} packages, {megabytes(each['bytes'])}" for each in found])
        for title, found in installed.items()
    ]
    yield from table(results, ROWS, NAMES, more)
    for wire, names in NAMES_OF_WIRES.items():
        yield from ("", f"On the {wire} wire:")
        yield from table(results, ROWS_OF_WIRES[wire], names)
    yield from ("", "In other settings:")
    yield from table(results, ROWS_OF_SETTINGS, NAMES_OF_SETTINGS)


def table(
    results: Record, all_rows: Sequence[Row], names: Mapping[str, str], more: Sequence[str] = ()
) -> Iterator[str]:
    """Yield the values of some contenders, and their ratios to the floor and to PortkeyModel; `more` ends the first."""
    rows = [row for row in all_rows if row.measure in results["records"]]
    ours, *_, floor = names
    head = [line("", list(names.values())), line("---", ["---:"] * len(names))]
    yield from ("", *head)
    for row in rows:
        yield line(row.title, [row.cell(results, contender) for contender in names])
    yield from more
    yield from ("", "Times as much as the floor / as PortkeyModel:", "", *head)
    for row in (row for row in rows if row.write is not count):
        values = {contender: row.value(results, contender) for contender in names}
        ratios = [f"{ratio(value, values[floor])} / {ratio(value, values[ours])}" for value in values.values()]
        yield line(row.title, ratios)
