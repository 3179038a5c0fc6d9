"""The background work of a node."""

import asyncio
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from hydra_asgi.node import background as background_module
from hydra_asgi.node.background import SETTLE_SECONDS, Background
from hydra_asgi.node.parts import Parts
from hydra_asgi.testing import FakeUpstream


class Registrar:
    """Notes what it is told; fails or works for ever."""

    def __init__(self, log: list[str], error: Exception | None = None) -> None:
        self._log = log
        self._error = error

    async def run(self) -> None:
        self._log.append("registrar runs")
        if self._error is not None:
            raise self._error
        try:
            await asyncio.Event().wait()
        finally:
            self._log.append("registrar ends")

    async def unregister(self) -> None:
        self._log.append("unregistered")


class Directory:
    """Reads when it is let."""

    def __init__(self, log: list[str]) -> None:
        self._log = log
        self.gate = asyncio.Event()

    async def refresh(self) -> bool:
        self._log.append("reads")
        await self.gate.wait()
        return True

    async def run(self) -> None:
        self._log.append("directory runs")
        await asyncio.Event().wait()


class Upstream(FakeUpstream):
    def __init__(self, log: list[str]) -> None:
        super().__init__()
        self._log = log

    async def close(self) -> None:
        self._log.append("closed")


def background(
    log: list[str], *registrars: Registrar, directory: Directory | None = None, **options: Any
) -> Background:
    parts: Any = Parts(None, None, None, directory, registrars, Upstream(log))  # type: ignore[arg-type]
    return Background(asyncio.get_running_loop(), parts, **options)


async def test_whoever_comes_during_the_start_waits_for_it(eventually: Callable[..., Any]) -> None:
    """Callers that start the same node at the same time all return when the directory was read, once."""
    log: list[str] = []
    directory = Directory(log)
    work = background(log, Registrar(log), directory=directory)
    starts = [asyncio.create_task(work.start()) for _ in range(3)]
    await eventually(lambda: log)
    assert not work.is_started
    directory.gate.set()
    await asyncio.gather(*starts)
    await work.start()
    await eventually(lambda: len(log) == 3)
    assert work.is_started
    assert log == ["reads", "directory runs", "registrar runs"]
    await work.end()


async def test_a_start_that_was_cancelled_is_made_by_the_next(eventually: Callable[..., Any]) -> None:
    """A first visitor who leaves does not leave the others without a node."""
    log: list[str] = []
    directory = Directory(log)
    work = background(log, directory=directory)
    first, second = (asyncio.create_task(work.start()) for _ in range(2))
    await eventually(lambda: log)
    first.cancel()
    directory.gate.set()
    await second
    assert work.is_started
    assert log[:2] == ["reads", "reads"]
    await work.end()


async def test_leaving_and_ending() -> None:
    """Beats stop before the farewell; then the rest ends, and at last connections are closed."""
    log: list[str] = []
    work = background(log, Registrar(log))
    await work.start()
    await asyncio.sleep(0)
    await work.leave()
    await work.end()
    assert log == ["registrar runs", "registrar ends", "unregistered", "closed"]


class DeafDirectory(Directory):
    """Loses the first cancellation, as a library may."""

    async def run(self) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self._log.append("deaf")
        await asyncio.Event().wait()


async def test_a_cancellation_that_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """A task that does not hear its end is told again: a node that stops does not wait for ever."""
    monkeypatch.setattr(background_module, "CANCEL_AGAIN_SECONDS", 0.01)
    log: list[str] = []
    directory = DeafDirectory(log)
    directory.gate.set()
    work = background(log, directory=directory)
    await work.start()
    await asyncio.sleep(0)
    async with asyncio.timeout(30):
        await work.end()
    assert "deaf" in log
    assert log[-1] == "closed"


async def test_ending_before_the_first_step() -> None:
    """A node that is stopped in the same moment leaves nothing behind."""
    log: list[str] = []
    work = background(log, Registrar(log))
    await work.start()
    await work.end()
    assert log == ["closed"]


async def test_without_work() -> None:
    """On a stage the directory is read once, after it was filled, and nothing runs."""
    log: list[str] = []

    async def prepare() -> None:
        log.append("filled")

    directory = Directory(log)
    directory.gate.set()
    work = background(log, Registrar(log), directory=directory, prepare=prepare, works=False)
    before = asyncio.all_tasks()
    await work.start()
    assert asyncio.all_tasks() == before
    assert log == ["filled", "reads"]


async def test_work_that_breaks_is_logged(caplog: pytest.LogCaptureFixture, eventually: Callable[..., Any]) -> None:
    """Background work that ends by an error says so, with its trace, and takes nothing else down."""
    work = background([], Registrar([], RuntimeError("broken")))
    await work.start()
    await eventually(lambda: caplog.records)
    assert "the registrar 0 ended" in caplog.text
    assert "RuntimeError: broken" in caplog.text
    await work.end()


class Statics:
    """Notes what it is told; runs for ever."""

    def __init__(self, log: list[str]) -> None:
        self._log = log

    async def tend(self) -> None:
        self._log.append("tends")

    async def run(self) -> None:
        self._log.append("statics run")
        await asyncio.Event().wait()

    async def leave(self) -> None:
        self._log.append("statics leave")


class Listed(Registrar):
    """A registrar whose instance other nodes know."""

    def __init__(self, log: list[str], status: str = "registered") -> None:
        super().__init__(log)
        self.state = SimpleNamespace(status=status)


async def test_static_instances_are_there_from_the_start(eventually: Callable[..., Any]) -> None:
    """They are announced before the directory is read, tended while the node runs, and leave at its end."""
    log: list[str] = []
    directory = Directory(log)
    directory.gate.set()
    work = background(log, directory=directory)
    work.parts = replace(work.parts, statics=Statics(log))  # type: ignore[arg-type]  # as much of it as is used
    await work.start()
    assert log == ["tends", "reads"]
    await eventually(lambda: len(log) == 4)
    await work.end()
    assert log[2:] == ["statics run", "directory runs", "statics leave", "closed"]


@pytest.mark.parametrize(
    ("is_patient", "status", "is_known", "waits"),
    [
        (True, "registered", True, True),
        (False, "registered", True, False),
        (True, "unregistered", True, False),
        (True, "registered", False, False),
    ],
)
async def test_leaving_in_time(
    monkeypatch: pytest.MonkeyPatch, is_patient: bool, status: str, is_known: bool, waits: bool
) -> None:
    """A node that others send requests to leaves, serves until all know, and only then closes its WebSockets.

    Where the server does not wait, it closes them first as well.
    """
    log: list[str] = []

    async def sleep(seconds: float) -> None:
        log.append(f"waits {seconds:g} s")

    async def drain() -> None:
        log.append("drains")

    work = background(log, Listed(log, status), drain=drain)
    work.parts = replace(work.parts, is_known_elsewhere=is_known, close_relays=lambda: log.append("closes relays"))
    monkeypatch.setattr(asyncio, "sleep", sleep)
    await work._leave_in_time(is_patient)
    hurry, settling = ["closes relays"] * (not is_patient), [f"waits {SETTLE_SECONDS:g} s"] * waits
    assert log == [*hurry, "drains", *settling, "closes relays"]


async def test_a_farewell_to_websockets(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are closed when the site knows that the node has left: once for those who say so together, and once more
    for who says it later.
    """
    log: list[str] = []
    may_go = asyncio.Event()

    async def sleep(seconds: float) -> None:
        log.append(f"waits {seconds:g} s")
        await may_go.wait()

    work = background(log)
    work.parts = replace(work.parts, close_relays=lambda: log.append("closes relays"))
    with monkeypatch.context() as patch:
        patch.setattr(asyncio, "sleep", sleep)
        work.dismiss_sockets()
        work.dismiss_sockets()
        may_go.set()
        await work._tasks[background_module._FAREWELL]
        assert log == [f"waits {SETTLE_SECONDS:g} s", "closes relays"]
        work.dismiss_sockets()
        await work._tasks[background_module._FAREWELL]
    assert log.count("closes relays") == 2
    await work.end()


async def test_the_grace(caplog: pytest.LogCaptureFixture, eventually: Callable[..., Any]) -> None:
    """What goes on after the grace period is cut off, and counted in the log."""
    work = background([], grace=0.01)
    await work._finish()
    assert not caplog.records
    begun = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        begun.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(work.ongoing.serve(app, {"type": "http"}, None, None))
    await begun.wait()
    await work._finish()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert "1 requests were still going on 0.01 s after the stop; they are cut off" in caplog.text


async def test_signals(eventually: Callable[..., Any]) -> None:
    """A running node stands in front of the server's SIGTERM, and takes SIGHUP for its file; afterwards no more."""
    log: list[str] = []
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}

    async def reload() -> None:
        log.append("reloads")

    try:
        signal.signal(signal.SIGTERM, lambda number, frame: log.append("server stops"))
        work = background(log, reload=reload)
        await work.start()
        assert work.is_here
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGTERM)
        await eventually(lambda: len(log) == 2)
        assert log == ["reloads", "server stops"]
        await work.end()
        assert signal.getsignal(signal.SIGHUP) == before[signal.SIGHUP]
        assert signal.getsignal(signal.SIGINT) == before[signal.SIGINT]
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_elsewhere() -> None:
    """Without a running loop, a node is not here."""

    async def make() -> Background:
        work = background([])
        assert not work.is_here
        await work.start()
        assert work.is_here
        await work.end()
        return work

    assert not asyncio.run(make()).is_here
