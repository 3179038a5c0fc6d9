"""The background work of a node."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from hydra_asgi.assembly import Parts
from hydra_asgi.background import Background
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
