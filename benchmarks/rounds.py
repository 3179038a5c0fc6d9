"""Lets the subjects take turns under each load, round after round, so that whatever else the machine does hits all."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from benchmarks.figures import Sample
from benchmarks.load import LOADS, Kind, Load, LoadError, Watched, run_load
from benchmarks.site import Reading, Running, Site

__all__ = ["run_rounds", "turned"]

T = TypeVar("T")


def run_rounds(
    site: Site, *, rounds: int, seconds: float, folder: Path, load_core: int, say: Callable[[str], None]
) -> list[Sample]:
    """Measure everything that runs.

    Args:
        site: what runs; gets a note on each load that failed.
        rounds: how often each load is run on each subject.
        seconds: how long each time.
        folder: for files.
        load_core: where the load runs.
        say: gets a line for each round.
    """
    samples: list[Sample] = []
    for load in LOADS:
        carriers = [running for running in site.running if load.name in running.loads]
        for number in range(rounds):
            if carriers:
                say(f"{load.title}: round {number + 1} of {rounds}, {len(carriers)} subjects")
            for running in turned(carriers, number):
                sample = _sample(load, running, number, seconds, site, folder, load_core)
                samples += [] if sample is None else [sample]
    return samples


def turned(carriers: list[T], number: int) -> list[T]:
    """The order of a round: another one begins in each."""
    cut = number % len(carriers) if carriers else 0
    return carriers[cut:] + carriers[:cut]


def _sample(
    load: Load, running: Running, number: int, seconds: float, site: Site, folder: Path, core: int
) -> Sample | None:
    running.settle()
    watched = _try(load, running, seconds, site, folder, core)
    if watched is None:
        return None
    result, before, after = watched.result, watched.before, watched.after
    counted = after.requests - before.requests - 1  # reading the counter is a request, too
    return Sample(
        load.name,
        running.name,
        number,
        requests=result.requests if load.kind is Kind.WEBSOCKET else counted,
        seconds=after.time - before.time,
        cpu=after.cpu - before.cpu,
        p50=result.p50,
        p99=result.p99,
        errors=result.errors,
    )


def _try(load: Load, running: Running, seconds: float, site: Site, folder: Path, core: int) -> Watched[Reading] | None:
    port = running.socket_port if load.kind is Kind.WEBSOCKET else running.port
    try:
        return run_load(load, port, seconds, folder, core, lambda: site.read(running))
    except (LoadError, OSError) as error:
        site.notes.append(f"{running.name}, {load.title}: a run failed: {error}")
        return None
