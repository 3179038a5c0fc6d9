"""Starts the origin and the subjects, and leaves out what cannot be measured, with the reason."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks.load import LOADS, POST_SIZE, SIZES, WRK, Kind, Load, LoadError, run_load
from benchmarks.measure import cpu_seconds
from benchmarks.peers.all import SUBJECTS
from benchmarks.peers.nginx import NGINX, start_origin
from benchmarks.peers.subject import Place, Subject, accepts, answers
from benchmarks.processes import Process, Processes, StartError, free_port
from benchmarks.tools import Need, PythonPackage, missing

__all__ = ["DIRECT", "Reading", "Running", "Site", "open_site", "parse_count"]

SETTLE_SECONDS = 3.0
IDLE_SECONDS = 0.1
IDLE_SHARE = 0.15
"""Of a core: a proxy that uses less does nothing but its housekeeping; one tick of the clock is 10 % here."""

_FOR_ORIGIN: tuple[Need, ...] = (PythonPackage("uvloop"), PythonPackage("httptools"), PythonPackage("websockets"))

DIRECT = "direct"
"""The name of the origin itself among the subjects: no proxy, so no CPU seconds of one."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Running:
    """A subject that runs, or the origin itself.

    Attributes:
        name: the subject's.
        port: where it is asked; for WebSockets `socket_port`.
        process: whose CPU seconds count; None for the origin.
        loads: names of the loads it has proved to carry.
    """

    name: str
    port: int
    socket_port: int
    process: Process | None
    loads: frozenset[str]

    def cpu(self) -> float:
        """CPU seconds that it has used; 0 for the origin."""
        return 0.0 if self.process is None else cpu_seconds(self.process.pid)

    def settle(self) -> None:
        """Wait until it has done what earlier loads left behind, so that its CPU seconds count for the next one."""
        end, used = time.monotonic() + SETTLE_SECONDS, self.cpu()
        while time.monotonic() < end:
            time.sleep(IDLE_SECONDS)
            before, used = used, self.cpu()
            if used - before <= IDLE_SECONDS * IDLE_SHARE:
                return


@dataclass(frozen=True, slots=True)
class Reading:
    """The state of a subject at one moment.

    Attributes:
        time: seconds that only move forward.
        requests: how many the origin has had so far, from whomever.
        cpu: CPU seconds that the subject has used so far.
    """

    time: float
    requests: int
    cpu: float


@dataclass(slots=True)
class Site:
    """What runs.

    Attributes:
        running: the origin first.
        origin: its port.
        notes: what is not measured, and why; what differs from the usual.
    """

    running: list[Running] = field(default_factory=list)
    origin: int = 0
    notes: list[str] = field(default_factory=list)

    def read(self, running: Running) -> Reading:
        """Look at a subject; the origin counts one request for it.

        Raises:
            OSError: the origin does not answer.
        """
        requests = parse_count(answers(self.origin, "/count").decode())
        return Reading(time.monotonic(), requests, running.cpu())


def parse_count(status: str) -> int:
    """The requests that a server has had, as nginx's `stub_status` says it: the third number of the third line."""
    _, _, numbers = status.partition("requests\n")
    return int(numbers.split()[2])


def open_site(
    processes: Processes,
    folder: Path,
    cores: tuple[int, int],
    wanted: Callable[[Load, str], bool],
    say: Say,
) -> Site:
    """Start everything that is wanted and can be measured.

    Args:
        processes: ends what is started.
        folder: for files.
        cores: of the proxies, and of the origin and the load.
        wanted: whether a load of a subject (or of `DIRECT`) is to be run.
        say: gets a line on what happens.

    Raises:
        StartError: the origin does not start.
    """
    site = Site()
    loads = [load for load in LOADS if _can_run(load, site.notes)]
    chosen = [(subject, [load for load in loads if wanted(load, subject.name)]) for subject in SUBJECTS]
    direct = [load for load in loads if wanted(load, DIRECT)]
    if not direct and not any(some for _, some in chosen):
        return site
    place = Place(0, 0, 0, folder, processes, *cores)
    say("starting the origin")
    place = _start_origin(place, site.notes)
    site.origin = place.origin
    site.running.append(Running(DIRECT, place.origin, place.echo, None, frozenset(load.name for load in direct)))
    for subject, some in chosen:
        absent = missing(subject.needs)
        if absent:
            site.notes.append(_left_out(subject.name, absent))
        elif some:
            say(f"starting {subject.name}")
            _add(site, subject, some, place)
    return site


def _can_run(load: Load, notes: list[str]) -> bool:
    if load.kind is Kind.WEBSOCKET or not missing((WRK,)):
        return True
    notes.append(_left_out(load.title, (WRK,)))
    return False


def _left_out(what: str, absent: Sequence[Need]) -> str:
    return f"{what} is left out: " + "; ".join(f"{need.name} is not installed ({need.install})" for need in absent)


def _start_origin(place: Place, notes: list[str]) -> Place:
    if absent := missing(_FOR_ORIGIN):
        raise StartError(_left_out("forwarding", absent))
    place = replace(place, origin=free_port(), folder=place.folder / "origin")
    place.folder.mkdir()
    if missing((NGINX,)):
        notes.append(f"the origin is a bare asyncio server: nginx is not installed ({NGINX.install})")
        origin = place.processes.python("benchmarks.apps.origin", str(place.origin), core=place.load_core)
    else:
        origin = start_origin(replace(place, port=place.origin))
    origin.wait_for(lambda: accepts(place.origin))
    place = replace(place, echo=free_port(), folder=place.folder.parent)
    echo = place.processes.python("benchmarks.apps.echo", str(place.echo), core=place.load_core)
    echo.wait_for(lambda: accepts(place.echo))
    return place


def _add(site: Site, subject: Subject, loads: Sequence[Load], place: Place) -> None:
    place = replace(place, port=free_port(), folder=place.folder / subject.name.replace(" ", "-"))
    place.folder.mkdir()
    try:
        process = subject.start(place)
        process.wait_for(lambda: bool(answers(place.port)))
    except (StartError, OSError) as error:
        site.notes.append(f"{subject.name} is left out: {error}")
        return
    carried = set()
    for load in loads:
        problem = _why_not(load, subject, place)
        if problem:
            site.notes.append(f"{subject.name} has no row for {load.title}: {problem}")
        else:
            carried.add(load.name)
    site.running.append(Running(subject.name, place.port, place.port, process, frozenset(carried)))


def _why_not(load: Load, subject: Subject, place: Place) -> str:
    """Why a subject cannot carry a load; empty when one exchange of it came out right."""
    try:
        if load.kind is Kind.WEBSOCKET:
            if not subject.has_websockets:
                return "it forwards no WebSockets"
            result = run_load(replace(load, connections=1), place.port, 0.2, place.folder, place.load_core, int).result
            return "" if result.requests and not result.errors else "it echoes something else"
        if load.method == "POST":
            return "" if answers(place.port, load.path, "POST", b"x" * POST_SIZE) else "it does not answer with 200"
        return "" if len(answers(place.port, load.path)) == SIZES[load.path] else "it answers something else"
    except LoadError as error:
        return str(error).splitlines()[-1]
    except OSError as error:
        return str(error) or type(error).__name__
