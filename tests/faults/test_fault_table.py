"""The table in the docs."""

from pathlib import Path

import pytest

from tests.e2e.processes import ROOT
from tests.faults.conftest import ROWS
from tests.faults.fault_table import BEGIN, END, Row, read_table, with_table

ORDER = {"R1": 1, "R2": 2, "R10": 3}
PAGE = f"# Faults\n\n{BEGIN}\n{END}\n\nMore.\n"


def test_rows_are_written_in_their_order_and_the_rest_of_the_page_stays() -> None:
    """A run replaces its own rows and no others."""
    first = with_table(PAGE, [Row("R10", "a", "b", "c", True), Row("R1", "d", "e", "f | g", False)], ORDER)
    assert first.startswith("# Faults\n\n")
    assert first.endswith(f"{END}\n\nMore.\n")
    assert list(read_table(first)) == ["R1", "R10"]
    assert "| R1 | d | e | f \\| g | **failed** |" in first
    second = with_table(first, [Row("R1", "d", "e", "f", True), Row("R2", "x", "y", "z", True, "p99")], ORDER)
    assert list(read_table(second)) == ["R1", "R2", "R10"]
    assert "| R1 | d | e | f | ok |" in second
    assert "| R2 | x | y | z | **missed**: p99 |" in second
    assert "| R10 | a | b | c | ok |" in second
    assert with_table(second, [], ORDER) == second


def test_a_page_without_a_place_is_an_error() -> None:
    """Nothing is written anywhere."""
    with pytest.raises(AssertionError, match="no place"):
        with_table("# Faults\n", [], ORDER)


def test_the_page_has_every_row() -> None:
    """Each scenario has been run for the page."""
    assert list(read_table((ROOT / "docs" / "faults.md").read_text())) == list(ROWS)


def test_every_row_is_a_scenario() -> None:
    """No row is left without a test."""
    sources = "".join(path.read_text() for path in Path(__file__).parent.glob("scenarios/test_*.py"))
    assert [name for name in ROWS if f'"{name}"' not in sources] == []
