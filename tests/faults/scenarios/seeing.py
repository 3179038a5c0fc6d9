"""How scenarios measure, and say what they saw."""

import os
import time
from collections.abc import Callable, Sequence
from statistics import median

from tests.e2e.processes import wait_until
from tests.faults.fleet import Fleet
from tests.faults.load import Load, Window

__all__ = ["RECOVERY", "all_say", "failures", "fewest_known", "milliseconds", "p99_change", "seconds_until"]

RECOVERY = 2.0 if os.environ.get("CI") == "true" else 1.0
"""The gate's machine is shared and slow: a bound on a time is twice as long there. The figures in the docs were taken
with the bars as they are; what must be 0 is 0 everywhere."""


def seconds_until(condition: Callable[[], object], seconds: float = 30.0) -> float:
    """How long it takes until this is so."""
    began = time.monotonic()
    wait_until(condition, f"line {condition.__code__.co_firstlineno} of the scenario", seconds)
    return time.monotonic() - began


def failures(load: Load) -> str:
    """How many of how many failed, in words."""
    return f"{len(load.failed)} of {len(load.outcomes):,} failed"


def milliseconds(seconds: float) -> str:
    """For the table."""
    return f"{1000 * seconds:.1f} ms"


def p99_change(usual: Sequence[Window], meanwhile: Sequence[Window]) -> tuple[float, float]:
    """By how many seconds a fault changes the p99 of GETs, and what it was without.

    Rounds with and without the fault take turns. Each with it is compared with the one right before it, and the middle
    one of these differences counts: neither a machine that gets slower all the while says anything, nor single rounds
    in which it was busy with something else.
    """
    changes = [after.p99 - before.p99 for before, after in zip(usual, meanwhile, strict=True)]
    return median(changes), median(window.p99 for window in usual)


def all_say(fleet: Fleet, status: str) -> bool:
    """Whether every gateway has this health."""
    return all(gateway.health.status == status for gateway in fleet.gateways)


def fewest_known(fleet: Fleet, marks: Sequence[int]) -> int:
    """The fewest active instances that any gateway knew since its mark; what it knew at the mark counts too."""
    return min(
        known.active
        for gateway, mark in zip(fleet.gateways, marks, strict=True)
        for known in gateway.known[max(0, mark - 1) :]
    )
