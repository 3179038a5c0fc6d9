"""The thread that waits for the file: one at a time, and never one that a fork has left behind."""

import os
import threading
from pathlib import Path

import pytest

from hydra_asgi.backends.sqlite_store.database import Database
from hydra_asgi.backends.sqlite_store.ledger import Ledger
from hydra_asgi.backends.sqlite_store.worker import Worker


def thread_of(ledger: Ledger) -> threading.Thread:
    return threading.current_thread()


async def test_what_a_fork_left_is_not_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In another process the first verb starts a thread and a ledger of its own; closing there leaves the parent's."""
    made: list[Ledger] = []

    def make() -> Ledger:
        made.append(Ledger(Database(str(tmp_path / "site.db")), lambda: 0.0, ""))
        return made[-1]

    worker = Worker(make)
    parents = await worker.run(thread_of)
    assert await worker.run(thread_of) is parents
    parent = os.getpid()
    inherited = worker._desk
    assert inherited is not None
    monkeypatch.setattr(os, "getpid", lambda: parent + 1)
    childs = await worker.run(thread_of)
    assert childs is not parents
    assert len(made) == 2
    await worker.close()
    assert parents.is_alive()
    worker._desk = inherited
    await worker.close()
    assert parents.is_alive()
    inherited.thread.shutdown()


async def test_the_file_is_opened_in_the_thread(tmp_path: Path) -> None:
    """Nothing is made before the first verb, and an error of a verb reaches its caller."""
    worker = Worker(lambda: Ledger(Database(str(tmp_path / "site.db")), lambda: 0.0, ""))
    assert not (tmp_path / "site.db").exists()

    def fail(ledger: Ledger) -> None:
        raise RuntimeError("of a verb")

    with pytest.raises(RuntimeError, match="of a verb"):
        await worker.run(fail)
    assert (await worker.run(Ledger.look)).counter == 0
    assert (await worker.run(thread_of)).name.startswith("hydra-sqlite")
    await worker.close()
