"""The table of `docs/faults.md`: what was injected, what was measured. Written by the scenarios, row by row."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

__all__ = ["Row", "read_table", "with_table"]

BEGIN = "<!-- written by `python -m pytest --faults --fault-table docs/faults.md` -->"
END = "<!-- end of what is written -->"

HEAD = ("| row | what is done | what must hold | measured | |", "| --- | --- | --- | --- | --- |")


@dataclass(frozen=True, slots=True)
class Row:
    """One scenario.

    Attributes:
        name: of the row, such as `R1`.
        injected: the fault.
        bar: what must hold.
        measured: what was seen, in words and rounded figures.
        is_met: whether the test passed.
        missed: bars that were missed all the same.
    """

    name: str
    injected: str
    bar: str
    measured: str
    is_met: bool
    missed: str = ""

    def __str__(self) -> str:
        verdict = "ok" if self.is_met else "**failed**"
        if self.is_met and self.missed:
            verdict = f"**missed**: {self.missed}"
        cells = (self.name, self.injected, self.bar, self.measured, verdict)
        return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def read_table(page: str) -> dict[str, str]:
    """The lines of the table in a page, by the name of their row."""
    table = page.partition(BEGIN)[2].partition(END)[0]
    lines = [line for line in table.splitlines() if line.startswith("| ") and line not in HEAD]
    return {line.split(" | ")[0].removeprefix("| "): line for line in lines}


def with_table(page: str, rows: Iterable[Row], order: Mapping[str, int]) -> str:
    """The page with these rows in its table; others stay as they are.

    Args:
        page: holds both marks.
        rows: of this run.
        order: of the rows; a name that is missing here is an error.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    assert begin and end, f"the page has no place for the table: {BEGIN} ... {END}"  # noqa: PT018 - one condition
    lines = {**read_table(page), **{row.name: str(row) for row in rows}}
    table = [lines[name] for name in sorted(lines, key=lambda name: order[name])]
    return "\n".join((before + begin, *HEAD, *table, end + after))
