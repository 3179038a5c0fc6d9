"""Figures as tables."""

import json
from collections.abc import Sequence

from benchmarks.figures import InProcess, Row
from benchmarks.load import Kind, Load
from benchmarks.report import Findings, as_json, as_page, as_text, tables

GET = Load("get", "GET 1 KB", "/1k", 50)
LATENCY = Load("latency", "alone", "/1k", 1, Kind.LATENCY)
MATCH = InProcess("match/10", "match a path", "us", "", (1.234,))
BUILD = InProcess("match/build", "compile", "ms", "200", (1234.0, 1236.0))


def row(load: str, subject: str, per_cpu: float | None = None, **more: float) -> Row:
    ratios = {name: value for name, value in more.items() if name in ("nginx", "aiohttp")}
    cpu_micros = None if per_cpu is None else 1e6 / per_cpu
    errors, p50 = int(more.get("errors", 0)), more.get("p50", 0.0001)
    return Row(load, subject, 12345.6, cpu_micros, per_cpu, ratios, more.get("spread"), p50, 2 * p50, errors)


def findings(rows: Sequence[Row] = (), in_process: Sequence[InProcess] = (), notes: Sequence[str] = ()) -> Findings:
    facts = {"cores": "2"}
    against = ("nginx", "aiohttp")
    return Findings(
        facts, (GET, LATENCY), "direct", against, rows, in_process, notes, samples=(), command="python -m benchmarks"
    )


def test_forwarding() -> None:
    """A subject has its rate, its CPU time and its ratios; what is not known is a dash."""
    (table,) = tables(findings([row("get", "direct"), row("get", "ours", 2000.0, nginx=0.456, spread=0.054)]))
    assert table.title == "Forwarding"
    assert table.columns[-2:] == ("x nginx", "x aiohttp")
    assert table.cells == (
        ("GET 1 KB", "direct", "12,346", "-", "-", "-", "-", "-"),
        ("GET 1 KB", "ours", "12,346", "500", "2,000", "5 %", "0.46", "-"),
    )


def test_latency() -> None:
    """Latency comes in microseconds, with what the proxy adds to the direct way."""
    (table,) = tables(findings([row("latency", "direct", p50=0.0001), row("latency", "ours", p50=0.00035)]))
    assert table.cells == (("alone", "direct", "100", "200", "-", "-"), ("alone", "ours", "350", "700", "250", "500"))


def test_latency_without_the_direct_way() -> None:
    """Where the direct way was not measured, nobody knows what a proxy adds."""
    (table,) = tables(findings([row("latency", "ours", p50=0.00035)]))
    assert table.cells == (("alone", "ours", "350", "700", "-", "-"),)


def test_in_process() -> None:
    """A figure has three digits that count, its unit and its bar."""
    (table,) = tables(findings(in_process=[MATCH, BUILD]))
    assert table.cells == (("match a path", "1.23", "us", "-"), ("compile", "1,235", "ms", "200"))


def test_text_is_aligned() -> None:
    """Words stand on the left of their column, numbers on the right."""
    text = as_text(findings(in_process=[MATCH, BUILD]))
    assert text.splitlines()[1:] == [
        "what          figure  unit  bar",
        "------------  ------  ----  ---",
        "match a path    1.23    us    -",
        "compile        1,235    ms  200",
    ]


def test_notes_follow_the_tables() -> None:
    """What is left out is said, and that a row with failed requests does not count."""
    text = as_text(findings([row("get", "ours", 10.0, errors=3)], notes=["haproxy is left out"]))
    assert text.endswith("\n\nNotes\n  haproxy is left out\n  ours, get: 3 requests failed; its figures do not count\n")


def test_page() -> None:
    """The page explains first, then shows the tables, the notes, the machine and the command."""
    page = as_page(findings([row("get", "ours", 10.0)], [MATCH], ["a note"]), "# Benchmarks\n\nWhy.\n")
    assert page.startswith("# Benchmarks\n\nWhy.\n\n## Forwarding\n\n| load | subject |")
    assert "| --- | --- | ---: |" in page
    assert "\n\n## Notes on this run\n\n- a note\n\n## Machine\n\n" in page
    assert page.endswith("| cores | 2 |\n\nMeasured by `python -m benchmarks`.\n")


def test_json_holds_everything() -> None:
    """Programs get the rows, the notes and the facts."""
    said = json.loads(as_json(findings([row("get", "ours", 10.0)], [BUILD], ["a note"])))
    assert said["rows"][0]["subject"] == "ours"
    assert said["in_process"][0]["values"] == [1234.0, 1236.0]
    assert (said["notes"], said["facts"]) == (["a note"], {"cores": "2"})
