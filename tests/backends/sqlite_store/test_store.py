"""The SQLite store: the contract of all stores, and what only this one promises."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hydra_asgi.backends.sqlite_store import SqliteStore, open_sqlite_store
from hydra_asgi.errors import ConfigurationError, RefusedError
from tests.backends.store_contract import StoreContract, StoreRig
from tests.backends.store_rig import a_lease, an_instance


class Hand:
    """A clock that is set by hand, and a store that is asked every half second."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    async def live(self, store: SqliteStore, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + 0.5)
            await store.revision()


class TestSqliteStoreKeepsTheContract(StoreContract):
    @pytest.fixture
    def rig(self, tmp_path: Path) -> Iterator[StoreRig]:
        clock = Hand()
        store = SqliteStore(str(tmp_path / "site.db"), clock)
        yield StoreRig(store, lambda seconds: clock.live(store, seconds))
        asyncio.run(store.close())


async def test_a_url_opens_nothing_until_it_is_used(tmp_path: Path) -> None:
    """A wrong URL is an error at once; a right one makes its file with the first verb."""
    with pytest.raises(ConfigurationError, match="names no file"):
        open_sqlite_store("sqlite://")
    file = tmp_path / "site.db"
    store = open_sqlite_store(f"sqlite:///{file}")
    assert not file.exists()
    await store.revision()
    assert file.exists()
    await store.close()


async def test_a_file_outlives_its_processes(tmp_path: Path) -> None:
    """What was listed, set and kept is there again for who opens the file next, in the same life."""
    path = str(tmp_path / "site.db")
    store = SqliteStore(path)
    listed = await store.register(an_instance(), a_lease())
    await store.keep_secret("sso", b"s", expected=None)
    before = await store.revision()
    await store.close()
    later = SqliteStore(path)
    assert await later.revision() == before
    assert (await later.snapshot()).instances == (listed,)
    assert await later.secret("sso") == b"s"
    await later.close()


async def test_a_closed_store_opens_again(tmp_path: Path) -> None:
    """A node may be stopped and started; closing what is closed, or was never used, is nothing."""
    store = SqliteStore(str(tmp_path / "site.db"))
    await store.close()
    await store.register(an_instance(), a_lease())
    await store.close()
    await store.close()
    assert len((await store.snapshot()).instances) == 1
    await store.close()


def test_two_loops_may_use_one_store(tmp_path: Path) -> None:
    """One after the other, or each in a thread of its own."""
    store = SqliteStore(str(tmp_path / "site.db"))

    async def register(port: int) -> None:
        await store.register(an_instance(port), a_lease(str(port)))

    asyncio.run(register(1))
    asyncio.run(register(2))
    threads = [threading.Thread(target=lambda port=port: asyncio.run(register(port))) for port in (3, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    async def ports() -> list[int]:
        listed = sorted(one.address.port for one in (await store.snapshot()).instances)
        await store.close()
        return listed

    assert asyncio.run(ports()) == [1, 2, 3, 4]


async def test_no_thread_is_left_behind(tmp_path: Path, eventually: object) -> None:
    """Closing ends the thread that waited for the file."""
    store = SqliteStore(str(tmp_path / "site.db"))
    await store.revision()
    mine = {thread for thread in threading.enumerate() if thread.name.startswith("hydra-sqlite")}
    assert mine
    await store.close()
    await eventually(lambda: not any(thread.is_alive() for thread in mine))  # type: ignore[operator]


async def test_a_cancelled_call_disturbs_nobody(tmp_path: Path) -> None:
    """Whoever stops waiting leaves the verb to its end, and the next ones are answered."""
    store = SqliteStore(str(tmp_path / "site.db"))
    tasks = [asyncio.create_task(store.register(an_instance(port), a_lease(str(port)))) for port in range(1, 20)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert {*range(2, 20, 2)} <= {one.address.port for one in (await store.snapshot()).instances}
    await store.close()


async def test_subscribers_are_called_when_the_verb_is_done(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A change made here wakes at once; a callback that fails is logged; a refusal or a beat wakes nobody."""
    store = SqliteStore(str(tmp_path / "site.db"))
    await store.revision()
    woken: list[str] = []

    def broken() -> None:
        raise RuntimeError("subscriber")

    store.on_change(broken)
    end = store.on_change(lambda: woken.append("x"))
    await store.register(an_instance(), a_lease(signed=True))
    assert woken == ["x"]
    with pytest.raises(RefusedError):
        await store.register(an_instance(), a_lease())
    await store.renew("a", "orders")
    assert woken == ["x"]
    end()
    end()
    await store.release("a", "orders")
    assert woken == ["x"]
    assert ["a callback of the store failed" in record.getMessage() for record in caplog.records] == [True, True]
    await store.close()


@pytest.mark.parametrize("listens", [True, False])
async def test_an_alarm_is_raised_when_most_go_silent_at_once(tmp_path: Path, listens: bool) -> None:
    """The operator is told once, by the process that saw it; the instances stay either way."""
    clock = Hand()
    alarms: list[str] = []
    store = SqliteStore(str(tmp_path / "site.db"), clock, on_alarm=alarms.append if listens else None)
    for port in range(1, 9):
        await store.register(an_instance(port), a_lease(str(port)))
    await clock.live(store, 20)
    assert len((await store.snapshot()).instances) == 8
    assert len(alarms) == int(listens)
    await store.close()
