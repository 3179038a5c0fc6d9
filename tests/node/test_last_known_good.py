"""What a gateway knows, kept in a file."""

import asyncio
import os
import stat
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hydra_asgi.backends.memory import MemoryStore
from hydra_asgi.core.instance import Address, Revision, Route, ServiceInstance, Snapshot
from hydra_asgi.gateway.directory import Directory
from hydra_asgi.node.last_known_good import MAX_AGE_SECONDS, LastKnownGood
from hydra_asgi.ports import LeaseState
from hydra_asgi.wire.stored_snapshot import dump_snapshot

ORDERS = ServiceInstance(
    "orders",
    Address("http", "10.0.0.1", 8002),
    2,
    routes=(Route("/orders"),),
    fragments=(),
    token=1_234_567_890,
    order=1,
)
KNOWN = Snapshot(Revision("e", 3), (ORDERS,))


async def test_what_is_kept_is_recalled(tmp_path: Path) -> None:
    """A snapshot comes back as it was, from a file that only its owner may read, with nothing left beside it."""
    file = LastKnownGood(str(tmp_path / "known"))
    await file.keep(KNOWN)
    assert await file.recall() == KNOWN
    assert stat.S_IMODE((tmp_path / "known").stat().st_mode) == 0o600
    later = replace(KNOWN, instances=())
    await file.keep(later)
    assert await file.recall() == later
    assert os.listdir(tmp_path) == ["known"]


async def test_nothing_was_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A first start has nothing to recall, and nothing to say about it."""
    assert await LastKnownGood(str(tmp_path / "known")).recall() is None
    assert not caplog.records


def write(path: Path, body: bytes) -> None:
    path.write_bytes(body)
    path.chmod(0o600)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda path: write(path, b""), "'snapshot'"),
        (lambda path: write(path, dump_snapshot(KNOWN)[:-5]), "not whole"),
        (lambda path: write(path, dump_snapshot(KNOWN).replace(b"10.0.0.1", b"10.6.6.6")), "changed"),
        (lambda path: write(path, b"\x00\xff" * 99), "'snapshot'"),
        (lambda path: path.chmod(0o620), "others may write it"),
        (lambda path: path.chmod(0o602), "others may write it"),
        (lambda path: os.utime(path, times=(0, time.time() - MAX_AGE_SECONDS - 60)), "24 hours ago"),
    ],
    ids=["empty", "cut off", "altered", "garbage", "group", "world", "old"],
)
async def test_what_cannot_be_trusted_is_not_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, spoil: Callable[[Path], Any], words: str
) -> None:
    """A file that is broken, old, or open to others is left alone, with one line that says why."""
    path = tmp_path / "known"
    file = LastKnownGood(str(path))
    await file.keep(KNOWN)
    await asyncio.to_thread(spoil, path)
    assert await file.recall() is None
    (record,) = caplog.records
    assert str(path) in record.getMessage()
    assert words in record.getMessage()


@pytest.mark.parametrize(("make", "words"), [(os.mkdir, "it is no file"), (os.mkfifo, "it is no file")])
async def test_what_is_no_file(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, make: Callable[[Path], None], words: str
) -> None:
    """A directory or a pipe in its place neither hangs nor breaks the start."""
    path = tmp_path / "known"
    await asyncio.to_thread(make, path)
    assert await LastKnownGood(str(path)).recall() is None
    (record,) = caplog.records
    assert "is not used: " in record.getMessage()


async def test_a_file_of_somebody_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that another user owns may have been written by that user."""
    file = LastKnownGood(str(tmp_path / "known"))
    await file.keep(KNOWN)
    owner = (tmp_path / "known").stat().st_uid
    if owner == 0:  # files of root are everybody's to trust, so give it to somebody else
        await asyncio.to_thread(os.chown, tmp_path / "known", 4321, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    assert await file.recall() is None
    assert "has to belong to this user" in caplog.text


async def test_it_cannot_be_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Trouble is told once, however often it comes back; afterwards all is as before."""
    file = LastKnownGood(str(tmp_path / "there" / "known"))
    for _ in range(3):
        await file.keep(KNOWN)
    (record,) = caplog.records
    assert "cannot be kept" in record.getMessage()
    (tmp_path / "there").mkdir()
    await file.keep(KNOWN)
    assert await file.recall() == KNOWN
    (tmp_path / "there" / "known").unlink()
    (tmp_path / "there" / "known").mkdir()
    await file.keep(KNOWN)
    assert len(caplog.records) == 2
    assert os.listdir(tmp_path / "there") == ["known"]


class LosingStore(MemoryStore):
    """A store that can lose everything."""

    def lose(self) -> None:
        self.__init__(epoch="another")  # type: ignore[misc]  # as a store that was started anew


class Rig:
    """A directory that is followed, and a sleep that waits for the test."""

    def __init__(self, path: Path) -> None:
        self.store = LosingStore()
        self.directory = Directory(self.store, first_load_seconds=0)
        self.naps = 0
        self.go_on = asyncio.Event()
        self.file = LastKnownGood(str(path), sleep=self.sleep)

    async def sleep(self, seconds: float) -> None:
        self.naps += 1
        await self.go_on.wait()
        self.go_on.clear()

    async def register(self, port: int) -> None:
        instance = replace(ORDERS, address=replace(ORDERS.address, port=port))
        await self.store.register(instance, LeaseState(str(port), "orders", signed=True))
        await self.directory.refresh()

    async def ports(self) -> list[int]:
        known = await self.file.recall()
        return [] if known is None else [one.address.port for one in known.instances]


async def test_what_a_directory_knows_is_kept(tmp_path: Path, eventually: Callable[..., Any]) -> None:
    """The first sound state is written, then each change, and many changes within a pause as one."""
    rig = Rig(tmp_path / "known")
    await rig.register(1)
    task = asyncio.create_task(rig.file.follow(rig.directory))
    await eventually(lambda: rig.naps == 1)
    assert await rig.ports() == [1]
    await rig.register(2)
    await rig.register(3)
    assert await rig.ports() == [1]
    rig.go_on.set()
    await eventually(lambda: rig.naps == 2)
    assert await rig.ports() == [1, 2, 3]
    task.cancel()
    await asyncio.wait([task])
    await rig.register(4)


async def test_what_is_not_sound_is_not_kept(tmp_path: Path, eventually: Callable[..., Any]) -> None:
    """While the store is away or has lost its entries, the file keeps what was known before."""
    rig = Rig(tmp_path / "known")
    await rig.register(1)
    task = asyncio.create_task(rig.file.follow(rig.directory))
    await eventually(lambda: rig.naps == 1)
    rig.store.lose()
    await rig.register(2)
    assert rig.directory.health.status == "degraded"
    rig.go_on.set()
    await eventually(lambda: rig.naps == 2)
    assert await rig.ports() == [1]
    task.cancel()
    await asyncio.wait([task])


async def test_a_file_that_is_still_true_stays_young(
    tmp_path: Path, eventually: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A site in which nothing happens is written anew now and then, so that its file does not grow old."""
    monkeypatch.setattr("hydra_asgi.node.last_known_good.CONFIRM_SECONDS", 0.01)
    path = tmp_path / "known"
    rig = Rig(path)
    await rig.register(1)
    task = asyncio.create_task(rig.file.follow(rig.directory))
    await eventually(lambda: rig.naps == 1)
    os.utime(path, times=(0, 1000))
    rig.go_on.set()
    await eventually(lambda: rig.naps == 2)
    assert path.stat().st_mtime > 1000
    task.cancel()
    await asyncio.wait([task])
