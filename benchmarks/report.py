"""Figures as tables: for a terminal, for a page of the documentation, and as JSON. Pure."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.figures import InProcess, Row, Sample
from benchmarks.load import Kind, Load

__all__ = ["Findings", "Table", "as_json", "as_page", "as_text", "tables"]

_NOTHING = "-"


@dataclass(frozen=True, slots=True)
class Table:
    """A table: its title, the names of its columns, its cells. The first `words` columns hold words, not numbers."""

    title: str
    columns: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]
    words: int = 2


@dataclass(frozen=True, slots=True)
class Findings:
    """All that one run found out.

    Attributes:
        facts: about the machine.
        loads: those that there are.
        direct: the name of the origin among the subjects.
        against: the subjects with which the others are compared.
        rows: of the subjects.
        in_process: of our own code.
        notes: what is missing or failed.
        samples: what `rows` was made from.
        command: what measured this.
    """

    facts: Mapping[str, str]
    loads: Sequence[Load]
    direct: str
    against: Sequence[str]
    rows: Sequence[Row]
    in_process: Sequence[InProcess]
    notes: Sequence[str]
    samples: Sequence[Sample]
    command: str


def tables(findings: Findings) -> list[Table]:
    """The tables of a run, without those that would be empty."""
    made = (_forwarding(findings), _latency(findings), _in_process(findings.in_process))
    return [table for table in made if table.cells]


def as_text(findings: Findings) -> str:
    """For a terminal."""
    parts = [_aligned(table) for table in tables(findings)]
    parts += ["Notes\n" + "\n".join(f"  {note}" for note in _notes(findings))] if _notes(findings) else []
    return "\n\n".join(parts) + "\n"


def as_page(findings: Findings, explanation: str) -> str:
    """For the documentation.

    Args:
        findings: of the run.
        explanation: what was measured and how, in Markdown; comes before the tables.
    """
    parts = [explanation.strip()]
    parts += [f"## {table.title}\n\n{_markdown(table)}" for table in tables(findings)]
    if notes := _notes(findings):
        parts.append("## Notes on this run\n\n" + "\n".join(f"- {note}" for note in notes))
    facts = Table("", ("", "measured on"), tuple(findings.facts.items()))
    parts.append(f"## Machine\n\n{_markdown(facts)}\n\nMeasured by `{findings.command}`.")
    return "\n\n".join(parts) + "\n"


def as_json(findings: Findings) -> str:
    """Everything, for programs."""
    return json.dumps(dataclasses.asdict(findings), indent=2, default=str) + "\n"


def _forwarding(findings: Findings) -> Table:
    titles = {load.name: load.title for load in findings.loads if load.kind is not Kind.LATENCY}
    columns = ("load", "subject", "requests/s", "CPU us/request", "requests/CPU s", "spread")
    cells = tuple(
        (
            titles[row.load],
            row.subject,
            _count(row.rate),
            _number(row.cpu_micros),
            _count(row.per_cpu),
            _percent(row.spread),
            *(_ratio(row.ratios.get(name)) for name in findings.against),
        )
        for row in findings.rows
        if row.load in titles
    )
    return Table("Forwarding", columns + tuple(f"x {name}" for name in findings.against), cells)


def _latency(findings: Findings) -> Table:
    titles = {load.name: load.title for load in findings.loads if load.kind is Kind.LATENCY}
    direct = {row.load: row for row in findings.rows if row.subject == findings.direct}
    columns = ("load", "subject", "p50 us", "p99 us", "added p50 us", "added p99 us")
    cells = tuple(
        (titles[row.load], row.subject, _micros(row.p50), _micros(row.p99), *_added(row, direct.get(row.load)))
        for row in findings.rows
        if row.load in titles
    )
    return Table("Latency", columns, cells)


def _added(row: Row, direct: Row | None) -> tuple[str, str]:
    if direct is None or row is direct:
        return _NOTHING, _NOTHING
    return _micros(row.p50 - direct.p50), _micros(row.p99 - direct.p99)


def _in_process(figures: Sequence[InProcess]) -> Table:
    cells = tuple((one.title, _number(one.value), one.unit, one.bar or _NOTHING) for one in figures)
    return Table("Composing, matching and picking, in process", ("what", "figure", "unit", "bar"), cells, words=1)


def _notes(findings: Findings) -> list[str]:
    failed = [
        f"{row.subject}, {row.load}: {row.errors} requests failed; its figures do not count"
        for row in findings.rows
        if row.errors
    ]
    return [*findings.notes, *failed]


def _count(value: float | None) -> str:
    return _NOTHING if value is None else f"{value:,.0f}"


def _number(value: float | None) -> str:
    """Three digits that count, as far as they are there."""
    if value is None:
        return _NOTHING
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _micros(seconds: float) -> str:
    return f"{seconds * 1e6:,.0f}"


def _ratio(value: float | None) -> str:
    return _NOTHING if value is None else f"{value:.2f}"


def _percent(value: float | None) -> str:
    return _NOTHING if value is None else f"{value * 100:.0f} %"


def _aligned(table: Table) -> str:
    lines = [table.columns, *table.cells]
    widths = [max(len(line[at]) for line in lines) for at in range(len(table.columns))]
    said = [
        "  ".join(
            cell.ljust(width) if at < table.words else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    return "\n".join([table.title, said[0], "  ".join("-" * width for width in widths), *said[1:]])


def _markdown(table: Table) -> str:
    rule = ["---" if at < table.words else "---:" for at in range(len(table.columns))]
    return "\n".join("| " + " | ".join(line) + " |" for line in (table.columns, rule, *table.cells))
