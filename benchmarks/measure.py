"""CPU seconds that processes have used, read from `/proc`."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Usage", "cpu_seconds", "family_ticks", "parse_stat"]


@dataclass(frozen=True, slots=True)
class Usage:
    """One process, from `/proc/PID/stat`: who it is, whose child, and the clock ticks it was on a core."""

    pid: int
    parent: int
    ticks: int


def parse_stat(text: str) -> Usage:
    """Read one `/proc/PID/stat` (proc(5)).

    The name of the program stands in parentheses and may hold spaces and parentheses, so the last one ends it.
    """
    head, _, tail = text.rpartition(")")
    fields = tail.split()
    return Usage(int(head.partition(" ")[0]), int(fields[1]), int(fields[11]) + int(fields[12]))


def family_ticks(pid: int, usages: Iterable[Usage]) -> int:
    """The ticks of a process and of all that descend from it."""
    by_parent: dict[int, list[Usage]] = {}
    total = 0
    for usage in usages:
        by_parent.setdefault(usage.parent, []).append(usage)
        total += usage.ticks if usage.pid == pid else 0
    below = [pid]
    while below:
        for child in by_parent.get(below.pop(), ()):
            total += child.ticks
            below.append(child.pid)
    return total


def cpu_seconds(pid: int) -> float:
    """Seconds on a core, user and system, of a process and its children, since each began; resolution 10 ms."""
    return family_ticks(pid, _all()) / os.sysconf("SC_CLK_TCK")


def _all() -> Iterable[Usage]:
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text()
        except OSError:  # it has ended meanwhile
            continue
        yield parse_stat(text)
