"""Measures code of ours without a network: CPU time of this process, round after round, the cases in turn."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.figures import InProcess

__all__ = ["Case", "cpu_micros", "measure"]

CASE_SECONDS = 0.05
"""CPU time of one measurement: long against the clock's resolution, short enough for many rounds."""


@dataclass(frozen=True, slots=True)
class Case:
    """One figure to be measured.

    Attributes:
        name: how it is called on the command line.
        title: what it says.
        unit: of what `run` returns.
        run: measures once.
        bar: what is asked of it.
    """

    name: str
    title: str
    unit: str
    run: Callable[[], float]
    bar: str = ""


def cpu_micros(work: Callable[[int], None]) -> float:
    """CPU microseconds of one repetition.

    Args:
        work: does something that many times.
    """
    count = 1
    while True:
        start = time.process_time()
        work(count)
        seconds = time.process_time() - start
        if seconds >= CASE_SECONDS:
            return seconds / count * 1e6
        count = max(count * 2, int(count * CASE_SECONDS / max(seconds, 1e-5)))


def measure(cases: Sequence[Case], rounds: int) -> list[InProcess]:
    """Measure the cases in turn."""
    values: list[list[float]] = [[case.run() for case in cases] for _ in range(rounds)]
    return [
        InProcess(case.name, case.title, case.unit, case.bar, tuple(column))
        for case, column in zip(cases, zip(*values, strict=True), strict=True)
    ]
