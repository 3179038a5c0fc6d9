"""What the fault scenarios share: each tells the table what it did and saw."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.fault_table import Row, with_table

ROWS = (
    *(f"R{number}" for number in range(1, 10)),
    "R9 cluster",
    *(f"R{number}" for number in range(10, 15)),
    *("C1", "C2", "D1", "D2 hub", "D2 mesh", "D3", "L1", "L1 burst", "L2", "L3", "change, polled", "change, published"),
)
"""Every row, in the order of the table."""

_rows = pytest.StashKey[list[Row]]()


class Seen(list[str]):
    """What a scenario saw, and which bars this machine did not reach although nothing is broken."""

    def __init__(self) -> None:
        super().__init__()
        self.missed: list[str] = []

    def expect(self, is_met: bool, bar: str) -> None:
        """Note a bar that depends on how busy the machine is: the table says so when it is missed, the test goes on."""
        if not is_met:
            self.missed.append(bar)


Scenario = Callable[..., contextlib.AbstractContextManager[Seen]]


@pytest.fixture
def scenario(request: pytest.FixtureRequest) -> Scenario:
    """`with scenario("R1", done, bar) as seen:` keeps a row; what is appended to `seen` is what was measured."""

    @contextlib.contextmanager
    def run(name: str, injected: str, bar: str) -> Iterator[Seen]:
        assert name in ROWS
        seen = Seen()
        is_met = False
        try:
            yield seen
            is_met = True
        finally:
            row = Row(name, injected, bar, "; ".join(seen), is_met, ", ".join(seen.missed))
            request.config.stash.setdefault(_rows, []).append(row)
            print(row)  # noqa: T201 - shown by pytest when the scenario fails, and with -rP

    return run


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the table, when it was asked for."""
    page = session.config.getoption("--fault-table")
    if page:
        path = Path(page)
        order = {name: place for place, name in enumerate(ROWS)}
        path.write_text(with_table(path.read_text(), session.config.stash.get(_rows, []), order))
