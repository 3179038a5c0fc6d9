"""Keeping an instance registered in a store of one's own."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from hydra_asgi.core.instance import Address, Route, ServiceInstance
from hydra_asgi.service.store_registrar import StoreRegistrar
from tests.doubles.gateway import MoodyStore
from tests.doubles.hand_clock import HandClock
from tests.doubles.prober import FakeProber

LEASE = "lease-of-24-characters-0"
INSTANCE = ServiceInstance("orders", Address("http", "127.0.0.1", 8002), routes=(Route("/orders"),))


class World:
    def __init__(self, **options: Any) -> None:
        self.clock = HandClock()
        self.store = MoodyStore(self.clock, epoch="e")
        self.instance = INSTANCE
        self.prober = FakeProber()
        self.registrar = StoreRegistrar(
            lambda: self.instance,
            self.store,
            self.prober,
            clock=self.clock,
            sleep=self.clock.sleep,
            **{"lease": LEASE, **options},
        )

    @property
    def status(self) -> str:
        return self.registrar.state.status

    async def listed(self) -> list[ServiceInstance]:
        return list((await self.store.snapshot()).instances)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.registrar.run())
        try:
            await self.clock.settle()
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def test_registers_and_beats() -> None:
    """A node that opens the store is listed as a signed member, and beats every 3 s."""
    world = World()
    async with world.running():
        await world.clock.tick(4)
        (the,) = await world.listed()
        assert (world.status, world.registrar.state.token) == ("registered", the.token)
        (lease,) = await world.store.leases_of("orders", "127.0.0.1")
        assert (lease.id, lease.signed) == (LEASE, True)
        assert set(world.clock.naps) == {3.0}


async def test_waits_for_its_own_server() -> None:
    """Nothing is announced before the node's own address answers."""
    world = World()
    world.prober.reasons["127.0.0.1", 8002] = "connection refused"
    async with world.running():
        assert await world.listed() == []
        world.prober.reasons.clear()
        await world.clock.tick()
        assert world.status == "registered"


async def test_the_store_is_away() -> None:
    """A store that goes away is tried every second, and the node is back as soon as it is."""
    world = World()
    async with world.running():
        world.store.is_away = True
        await world.clock.tick(3)
        assert world.status == "unregistered"
        assert "away" in world.registrar.state.last_error
        assert world.clock.naps == [3.0, 1.0, 1.0, 1.0]
        world.store.is_away = False
        await world.clock.tick()
        assert world.status == "registered"


async def test_the_store_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that does not answer is an error like any other, not the end of beating."""
    monkeypatch.setattr("hydra_asgi.service.store_registrar.CALL_SECONDS", 0.02)
    world = World()
    world.store.hangs = True
    async with world.running():
        assert world.status == "starting"
        assert "0.02 s" in world.registrar.state.last_error


async def test_a_lost_lease() -> None:
    """A store that forgot the lease is told again at once."""
    world = World()
    async with world.running():
        await world.store.release(LEASE, "orders")
        await world.clock.tick()
        assert len(await world.listed()) == 1
        assert world.status == "registered"


async def test_changes_are_announced() -> None:
    """A change of what the node publishes is registered with the next beat."""
    world = World()
    async with world.running():
        world.instance = replace(INSTANCE, routes=(Route("/new"),))
        await world.clock.tick()
        assert (await world.listed())[0].routes == (Route("/new"),)
        assert world.registrar.state.last_error == ""


async def test_leaving() -> None:
    """A node that stops is gone at once, and one that never joined has nothing to take back."""
    world = World()
    async with world.running():
        pass
    await world.registrar.unregister()
    assert (await world.listed(), world.status) == ([], "unregistered")
    await world.registrar.unregister()


async def test_leaving_a_store_that_is_away() -> None:
    """The end does not depend on the store."""
    world = World()
    async with world.running():
        world.store.is_away = True
    await world.registrar.unregister()
    assert world.status == "unregistered"


@pytest.mark.parametrize(
    ("mood", "why"), [("is_away", "the store is away"), ("hangs", "the store did not answer within 0.02 s")]
)
async def test_how_the_store_takes_changes_is_told(monkeypatch: pytest.MonkeyPatch, mood: str, why: str) -> None:
    """Each registration and beat is told about: "" when it was kept, else why not."""
    monkeypatch.setattr("hydra_asgi.service.store_registrar.CALL_SECONDS", 0.02)
    changes: list[str] = []
    world = World(on_change=changes.append)
    async with world.running():
        await world.clock.tick()
        assert changes == ["", ""]
        setattr(world.store, mood, True)
        await world.clock.tick()
        assert changes == ["", "", why]


async def test_draining() -> None:
    """A node can take itself out of the choice for new users, and come back."""
    world = World()
    assert not await world.registrar.drain()
    async with world.running():
        assert await world.registrar.drain()
        assert (await world.listed())[0].weight == 0
        assert await world.registrar.drain(draining=False)
        assert (await world.listed())[0].weight == 10


async def test_draining_a_store_that_is_away() -> None:
    """What the store did not do is not claimed."""

    class Away(MoodyStore):
        async def drain(self, *args: Any, **options: Any) -> bool:
            await self._mood()
            raise AssertionError

    world = World()
    world.registrar._store = Away(world.clock)
    world.registrar._store.is_away = True
    assert not await world.registrar.drain()


async def test_an_unexpected_error(caplog: pytest.LogCaptureFixture) -> None:
    """An error nobody thought of is logged with its stack, and the node tries again."""

    class Broken(MoodyStore):
        broken = True

        async def register(self, *args: Any) -> Any:
            if self.broken:
                raise RuntimeError("a bug")
            return await super().register(*args)

    world = World(lease=None)
    world.registrar._store = store = Broken(world.clock)
    async with world.running():
        assert world.status == "starting"
        store.broken = False
        await world.clock.tick()
        assert world.status == "registered"
    assert any(record.exc_info for record in caplog.records)
