"""Several processes on one file: nothing is lost, whoever is stopped or killed, and whatever becomes of the file."""

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from hydra_asgi.backends.sqlite_store import SqliteStore
from hydra_asgi.errors import StoreError
from tests.backends.store_rig import a_lease, an_instance

ROOT = Path(__file__).parents[3]
SECONDS = 60
HAMMER = "tests.backends.sqlite_store.hammer"

KILLED = """
import asyncio, sys, threading
from hydra_asgi.backends.sqlite_store import database
from tests.backends.sqlite_store.hammer import hammer

begin, count = database.Database._begin, 0

def begin_and_stop(self, connection, statement):
    global count
    begin(self, connection, statement)
    if statement == "BEGIN IMMEDIATE":
        count += 1
        if count == 60:
            connection.execute("UPDATE directory SET counter = counter + 1000000")
            connection.execute("DELETE FROM instances")
            print("writing", flush=True)
            threading.Event().wait()

database.Database._begin = begin_and_stop
asyncio.run(hammer(sys.argv[1], "victim", 1000))
"""
"""A process that stops in the middle of a transaction, with half of a directory deleted."""

FORKED = """
import asyncio, os, sys
from hydra_asgi.backends.sqlite_store import SqliteStore
from tests.backends.store_rig import a_lease, an_instance

store = SqliteStore(sys.argv[1])
asyncio.run(store.register(an_instance(1), a_lease("parent")))
child = os.fork()
asyncio.run(store.register(an_instance(2 if child else 3), a_lease("after" if child else "child")))
ports = [one.address.port for one in asyncio.run(store.snapshot()).instances]
asyncio.run(store.close())
if child:
    assert os.waitpid(child, 0)[1] == 0
    asyncio.run(store.close())
    print(sorted(one.address.port for one in asyncio.run(store.snapshot()).instances), flush=True)
    asyncio.run(store.close())
"""
"""A process that has used the store, and forks."""


@contextmanager
def process(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-X", "dev", *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        try:
            yield child
        finally:
            child.kill()


@asynccontextmanager
async def stopped_writer(file: Path) -> AsyncIterator[subprocess.Popen[str]]:
    """A process that holds the file in the middle of writing it."""
    with process("-c", KILLED, str(file)) as child:
        assert child.stdout is not None
        assert await asyncio.to_thread(child.stdout.readline) == "writing\n"
        yield child


async def report_of(child: subprocess.Popen[str]) -> dict[str, Any]:
    out, _ = await asyncio.to_thread(child.communicate, timeout=SECONDS)
    assert child.returncode == 0
    report: dict[str, Any] = json.loads(out)
    return report


def wal_is_sound(file: Path) -> bool:
    with sqlite3.connect(file) as connection:
        (found,) = connection.execute("PRAGMA integrity_check").fetchone()
    connection.close()
    return bool(found == "ok")


@pytest.mark.parametrize("processes", [2, 4])
async def test_processes_that_write_at_once_lose_nothing(tmp_path: Path, processes: int) -> None:
    """Every registration is there, each with a token of its own, and no process sees the revision go back."""
    file, count = tmp_path / "site.db", 40
    store = SqliteStore(str(file))
    await store.register(an_instance(1), a_lease())
    names = [f"host{number}" for number in range(processes)]
    with ExitStack() as stack:
        children = [stack.enter_context(process("-m", HAMMER, str(file), name, str(count))) for name in names]
        reports = await asyncio.gather(*map(report_of, children))
    snapshot = await store.snapshot()
    tokens = [token for report in reports for token in report["tokens"]]
    listed = {one.token for one in snapshot.instances}
    assert len(set(tokens)) == processes * count
    # The first ones may have lapsed while a slow machine was busy with the last ones: then they were listed once.
    assert listed <= {*tokens, *(one.token for one in snapshot.instances if one.address.port == 1)}
    orders = [one.order for one in snapshot.instances]
    assert orders == sorted(set(orders))
    assert max(orders) >= processes * count + 1
    for report in reports:
        assert report["seen"] == sorted(report["seen"])
        assert report["seen"][-1] <= snapshot.revision.counter
    await store.close()
    assert wal_is_sound(file)


async def test_a_process_that_dies_while_it_writes_leaves_no_trace(tmp_path: Path) -> None:
    """What it had not finished is undone by the next one who looks, and the lock goes with the process."""
    file = tmp_path / "site.db"
    store = SqliteStore(str(file))
    await store.register(an_instance(1), a_lease())
    async with stopped_writer(file) as child:
        # Stopped, not dead: writers give up in good time, and readers are not concerned.
        with pytest.raises(StoreError, match="is locked by another process"):
            await store.register(an_instance(2), a_lease("b"))
        before = await store.secret("nothing")
        assert before is None
        child.send_signal(signal.SIGKILL)
        await asyncio.to_thread(child.wait, SECONDS)
    snapshot = await store.snapshot()
    assert 1 in [one.address.port for one in snapshot.instances]
    assert len(snapshot.instances) > 1
    assert snapshot.revision.counter < 1_000_000
    await store.register(an_instance(2), a_lease("b"))
    await store.close()
    assert wal_is_sound(file)


async def test_calls_do_not_pile_up_behind_a_stopped_writer(tmp_path: Path) -> None:
    """The first call waits a quarter of a second for the lock, those behind it fail at once; then all works again."""
    file = tmp_path / "site.db"
    store = SqliteStore(str(file))
    await store.register(an_instance(1), a_lease())
    async with stopped_writer(file):
        loop = asyncio.get_running_loop()
        start = loop.time()
        answers = await asyncio.gather(*(store.renew("a", "orders") for _ in range(50)), return_exceptions=True)
        assert all(isinstance(answer, StoreError) for answer in answers)
        # Fifty times a quarter of a second would be twelve.
        assert loop.time() - start < 6
    assert await store.renew("a", "orders")
    await store.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
async def test_a_fork_starts_anew(tmp_path: Path) -> None:
    """A process that is forked after the store was used opens the file for itself, and both go on."""
    with process("-W", "error", "-c", FORKED, str(tmp_path / "site.db")) as child:
        out, _ = await asyncio.to_thread(child.communicate, timeout=SECONDS)
    assert (child.returncode, out) == (0, "[1, 2, 3]\n")


async def test_what_one_process_registers_another_sees_with_its_next_look(tmp_path: Path) -> None:
    """Two stores on one file are one directory, and the second is woken by its own look."""
    file = str(tmp_path / "site.db")
    one, other = SqliteStore(file), SqliteStore(file)
    before = await other.revision()
    woken: list[str] = []
    other.on_change(lambda: woken.append("x"))
    listed = await one.register(an_instance(1), a_lease())
    after = await other.revision()
    assert after.epoch == before.epoch
    assert after.counter > before.counter
    assert woken == ["x"]
    assert (await other.snapshot()).instances == (listed,)
    assert await other.renew("a", "orders")
    assert await one.revision() == after
    await one.close()
    await other.close()


async def test_a_deleted_file_is_a_new_life(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever looks next makes a new file with a new epoch, and everybody meets there; nobody has to be restarted."""
    file = tmp_path / "site.db"
    one, other = SqliteStore(str(file)), SqliteStore(str(file))
    await one.register(an_instance(1), a_lease())
    before = await other.snapshot()
    file.unlink()
    after = await one.revision()
    assert after.epoch != before.revision.epoch
    assert await other.revision() == after
    assert not await other.renew("a", "orders")
    listed = await other.register(an_instance(1), a_lease())
    assert (await one.snapshot()).instances == (listed,)
    assert [record.getMessage() for record in caplog.records] == [
        f"the store's file {file} was replaced or deleted; it is opened anew"
    ] * 2
    await one.close()
    await other.close()
    assert wal_is_sound(file)


RUBBISH: list[Callable[[Path], object]] = [
    lambda file: file.write_bytes(b"no database, but long enough to look like one" * 100),
    lambda file: file.write_bytes(os.urandom(8192)),
]


@pytest.mark.parametrize("spoil", RUBBISH)
async def test_a_file_swapped_for_rubbish_is_an_error_until_it_is_taken_away(
    tmp_path: Path, spoil: Callable[[Path], object]
) -> None:
    """The error says what to do; once that is done everything works again, without a restart."""
    file = tmp_path / "site.db"
    store = SqliteStore(str(file))
    await store.register(an_instance(1), a_lease())
    rubbish = tmp_path / "rubbish"
    spoil(rubbish)
    rubbish.replace(file)
    for _ in range(2):
        with pytest.raises(StoreError, match=r"is not an SQLite database: move the file away"):
            await store.revision()
        with pytest.raises(StoreError):
            await store.register(an_instance(1), a_lease())
    file.unlink()
    await store.register(an_instance(1), a_lease())
    assert len((await store.snapshot()).instances) == 1
    await store.close()


async def test_a_file_that_is_damaged_in_place_is_an_error(tmp_path: Path) -> None:
    """Pages of rubbish inside the file are found, nothing else is raised, and a new file heals it."""
    file = tmp_path / "site.db"
    store = SqliteStore(str(file))
    for port in range(1, 60):
        await store.register(an_instance(port), a_lease(str(port)))
    await store.close()
    with file.open("r+b") as raw:
        raw.seek(4096)
        raw.write(os.urandom(file.stat().st_size - 4096))
    for ask in (store.revision, store.snapshot, lambda: store.register(an_instance(1), a_lease("1"))):
        with pytest.raises(StoreError, match=r"is damaged|cannot be used|failed"):
            await ask()
    file.unlink()
    assert (await store.snapshot()).instances == ()
    await store.close()
