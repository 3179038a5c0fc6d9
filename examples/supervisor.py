"""Starts the processes of the site, waits until all have joined, and ends them together.

A child reports on its standard output and lives as long as its standard input is open. So the children end with this
process however it ends, and a stop needs no signal. They run in sessions of their own: Ctrl-C reaches this process
alone, which then ends the services before their gateways, so that each can say good-bye.
"""

import asyncio
import contextlib
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from examples.report import Report, read_line, table
from examples.site import Member, origin

__all__ = ["JOIN_SECONDS", "Supervisor"]

JOIN_SECONDS = 30.0
"""A cold start takes two to four seconds, on a busy machine three times as long; past this something is wrong, and the
log above says what."""

STOP_SECONDS = 6.0
"""Longer than a child's own grace, so that only a stuck one is killed."""


@dataclass(slots=True)
class _Child:
    member: Member
    process: Process
    report: Report = field(default_factory=Report)
    ended: bool = False


class Supervisor:
    """The site while it runs.

    Args:
        members: who is started, in this order, the gateways first.
        log_level: for every child.
        together: end all when one has ended. Otherwise the site, once it is ready, does without a process that ends:
            that is what it is made to show. Without any gateway it always ends.
        join_seconds: how long all may take to join, together.
    """

    def __init__(
        self,
        members: Sequence[Member],
        *,
        log_level: str,
        together: bool = False,
        join_seconds: float = JOIN_SECONDS,
    ) -> None:
        self._members = members
        self._gateways = [member for member in members if member.is_gateway]
        self._log_level = log_level
        self._together = together
        self._join_seconds = join_seconds
        self._children: list[_Child] = []
        self._changed = asyncio.Event()
        self._stopping = False

    async def run(self) -> int:
        """Run the site until it is cancelled or cannot go on; returns the exit code."""
        tasks: set[asyncio.Task[None]] = set()
        try:
            if not await self._start_all(tasks):
                return 1
            print(table((child.member, child.process.pid) for child in self._children))
            for gateway in self._gateways:
                print(f"ready {origin(gateway.port)}/", flush=True)
            return await self._watch()
        finally:
            await self._stop()
            await asyncio.gather(*tasks)

    async def _start_all(self, tasks: set[asyncio.Task[None]]) -> bool:
        """Start the gateways, then the others: so nobody's first attempt to register fails."""
        try:
            async with asyncio.timeout(self._join_seconds):
                for count, member in enumerate(self._members, 1):
                    tasks.add(asyncio.create_task(self._listen(await self._start(member))))
                    if count in (len(self._gateways), len(self._members)) and not await self._all_joined(
                        self._members[:count]
                    ):
                        return False
        except TimeoutError:
            missing = ", ".join(str(member) for member in self._missing(self._members))
            _say(f"not registered within {self._join_seconds:g} s: {missing}")
            return False
        return True

    async def _start(self, member: Member) -> _Child:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *member.options,
            *("--log-level", self._log_level, "--supervised"),
            stdin=PIPE,
            stdout=PIPE,
            start_new_session=True,
        )
        child = _Child(member, process)
        self._children.append(child)
        return child

    async def _listen(self, child: _Child) -> None:
        """Take a child's reports until it has ended."""
        assert child.process.stdout is not None  # noqa: S101 - it was started with a pipe
        async for text in child.process.stdout:
            report = read_line(text)
            if report is None:
                sys.stderr.write(text.decode(errors="replace"))
            else:
                child.report = report
                self._changed.set()
        code = await child.process.wait()
        if not self._stopping:
            _say(f"{child.member}, pid {child.process.pid}, ended with {_exit_code(code)}")
        child.ended = True
        self._changed.set()

    async def _all_joined(self, members: Sequence[Member]) -> bool:
        """Wait until all have joined; False when one has ended before."""
        while self._missing(members):
            if any(child.ended for child in self._children):
                return False
            self._changed.clear()
            await self._changed.wait()
        return True

    def _missing(self, members: Sequence[Member]) -> list[Member]:
        """Who has not joined yet, in its own opinion or in that of a gateway."""
        reports = {child.member: child.report for child in self._children}
        return [member for member in members if not self._has_joined(member, reports)]

    def _has_joined(self, member: Member, reports: Mapping[Member, Report]) -> bool:
        nothing = Report()
        if not reports.get(member, nothing).joined:
            return False
        return member.is_gateway or all(reports.get(gateway, nothing).lists(member) for gateway in self._gateways)

    async def _watch(self) -> int:
        """Wait until the last gateway has ended, or anybody if they live together; returns the exit code."""
        mourned: set[Member] = set()
        while not self._is_over():
            for member in (child.member for child in self._children if child.ended):
                if member not in mourned:
                    mourned.add(member)
                    _say(f"the site goes on without it; to start it again: {member.command}")
            self._changed.clear()
            await self._changed.wait()
        return 1

    def _is_over(self) -> bool:
        if self._together:
            return any(child.ended for child in self._children)
        return all(child.ended for child in self._children if child.member.is_gateway)

    async def _stop(self) -> None:
        """End the services, then the gateways."""
        self._stopping = True
        for are_gateways in (False, True):
            group = [child for child in self._children if child.member.is_gateway is are_gateways]
            for child in group:
                if child.process.stdin is not None:
                    child.process.stdin.close()
            await asyncio.gather(*(_wait_or_kill(child) for child in group))


async def _wait_or_kill(child: _Child) -> None:
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await child.process.wait()
    except TimeoutError:
        _say(f"{child.member} did not stop within {STOP_SECONDS:g} s, killing it")
        with contextlib.suppress(ProcessLookupError):
            child.process.kill()
        await child.process.wait()


def _exit_code(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"exit code {code} ({signal.Signals(-code).name})"
    except ValueError:
        return f"exit code {code}"


def _say(text: str) -> None:
    print(f"python -m examples: {text}", file=sys.stderr, flush=True)
