"""What commands write: tables or JSON on stdout, one line of trouble on stderr."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import NoReturn

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

__all__ = ["Cells", "console", "fail", "print_json", "print_table", "table", "tell"]

Cells = Sequence[str]
"""One row of a table."""

NOT_A_TERMINAL = 10_000
"""Columns in a pipe or a file: nothing is folded or cut there, so that each row is one line."""


def console() -> Console:
    """Where tables go. As wide as the terminal, and without bounds or colours where there is none."""
    return Console(width=None if sys.stdout.isatty() else NOT_A_TERMINAL)


def table(title: str, columns: Sequence[str]) -> Table:
    """An empty table; long cells are folded, never cut."""
    made = Table(title=Text(title) if title else None, title_justify="left", box=None, pad_edge=False)
    for column in columns:
        made.add_column(column, overflow="fold")
    return made


def print_table(columns: Sequence[str], rows: Iterable[Cells], *, dim: Iterable[int] = ()) -> None:
    """Print rows.

    Args:
        columns: the headings.
        rows: texts; brackets in them are no markup.
        dim: the rows that are of less interest.
    """
    made, quiet = table("", columns), frozenset(dim)
    for index, cells in enumerate(rows):
        made.add_row(*map(Text, cells), style="dim" if index in quiet else "")
    out = console()
    if out.is_terminal:
        out.print(made)
        return
    with out.capture() as captured:
        out.print(made)
    # Without the blanks that fill the last column.
    sys.stdout.writelines(f"{line.rstrip()}\n" for line in captured.get().splitlines())


def print_json(value: Mapping[str, object]) -> None:
    """Print one JSON object."""
    sys.stdout.write(json.dumps(value, indent=2) + "\n")


def tell(text: str) -> None:
    """One line on stderr: what stdout is piped into gets only what was asked for."""
    sys.stderr.write(f"hydra-asgi: {text}\n")


def fail(code: int, text: str) -> NoReturn:
    """Say on stderr what is wrong, and end with this exit code."""
    tell(text)
    raise typer.Exit(code)
