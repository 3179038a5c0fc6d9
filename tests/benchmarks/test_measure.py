"""Reading CPU seconds."""

import os
from pathlib import Path

import pytest

from benchmarks.measure import Usage, cpu_seconds, family_ticks, parse_stat

STAT = "{pid} ({name}) S {parent} 5 5 0 -1 4194304 1 2 3 4 {user} {system} 11 12 20 0 1 0 100 1 1\n"


@pytest.mark.parametrize("name", ["nginx", "a b", "tricky) S 9 (x"])
def test_stat(name: str) -> None:
    """User and system time count, whatever the program is called; those of children that have ended do not."""
    text = STAT.format(pid=42, name=name, parent=7, user=30, system=12)
    assert parse_stat(text) == Usage(pid=42, parent=7, ticks=42)


def test_family() -> None:
    """A process counts with its children and theirs, and with nobody else."""
    usages = [Usage(3, 2, 100), Usage(1, 0, 1), Usage(2, 1, 10), Usage(9, 0, 5000), Usage(4, 1, 1000)]
    assert family_ticks(1, usages) == 1111
    assert family_ticks(2, usages) == 110
    assert family_ticks(77, usages) == 0


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_own_seconds() -> None:
    """The kernel's own file can be read, and says about what the clock of the process says."""
    used = sum(os.times()[:2])
    assert cpu_seconds(os.getpid()) >= used - 0.05
