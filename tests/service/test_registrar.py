"""Keeping an instance registered with a gateway."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from hydra_asgi.core.directory.overview import Overview
from hydra_asgi.core.instance import Address, Route, ServiceInstance
from hydra_asgi.errors import ConfigurationError
from hydra_asgi.service.registrar import Registrar
from hydra_asgi.service.signer import Signer
from hydra_asgi.testing.asgi_upstream import AsgiUpstream
from tests.doubles.gateway import EPOCH, Gateway
from tests.doubles.hand_clock import HandClock
from tests.doubles.java_hydra import JavaHydra
from tests.doubles.prober import FakeProber

LEASE = "lease-of-24-characters-0"
SECRET = "the secret of the cluster"
INSTANCE = ServiceInstance("orders", Address("http", "127.0.0.1", 8002), routes=(Route("/orders"),))


class World:
    """One registrar, two gateways at `a:1` and `b:2` that share a store, and the hands on the clock."""

    def __init__(self, **options: Any) -> None:
        self.gateway = Gateway(accept_unsigned=[])
        self.clock = HandClock(lambda time: setattr(self.gateway, "time", time))
        self.apps: dict[str, Any] = {"a:1": self.gateway, "b:2": self.gateway}
        self.instance = INSTANCE
        self.overviews: list[Overview] = []
        self.prober = FakeProber()
        self.calls: list[tuple[str, str]] = []
        defaults: dict[str, Any] = {
            "signer": Signer(SECRET, clock=lambda: EPOCH + self.clock.time),
            "lease": LEASE,
            "on_overview": self.overviews.append,
        }
        self.registrar = Registrar(
            lambda: self.instance,
            ["http://a:1", "http://b:2"],
            "k",
            SECRET,
            AsgiUpstream(self.apps),
            self.prober,
            clock=self.clock,
            sleep=self.clock.sleep,
            **{**defaults, **options},
        )

    @property
    def status(self) -> str:
        return self.registrar.state.status

    def take(self, name: str, app: Any) -> None:
        """Put another app at an address, and note its calls."""

        async def noting(scope: Any, receive: Any, send: Any) -> None:
            self.calls.append((name, scope["path"].rpartition("/")[2]))
            await app(scope, receive, send)

        self.apps[name] = noting

    async def listed(self) -> list[ServiceInstance]:
        return list((await self.gateway.store.snapshot()).instances)

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


def answering(status: int, body: bytes = b"") -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": body})

    return app


async def test_registers_and_beats() -> None:
    """A node registers once and then beats every 3 s."""
    world = World()
    assert world.status == "starting"
    async with world.running():
        assert world.status == "registered"
        (the,) = await world.listed()
        assert world.registrar.state.token == the.token
        assert world.registrar.state.peer == "http://a:1"
        await world.clock.tick(4)
        assert world.clock.naps == [3.0] * 5
        assert world.status == "registered"
        assert len(await world.listed()) == 1


async def test_waits_for_its_own_server() -> None:
    """Nothing is announced before the node's own address answers."""
    world = World()
    world.prober.reasons["127.0.0.1", 8002] = "connection refused"
    async with world.running():
        await world.clock.tick(2)
        assert world.status == "starting"
        assert await world.listed() == []
        world.prober.reasons.clear()
        await world.clock.tick()
        assert world.status == "registered"


async def test_overviews_arrive() -> None:
    """The overview comes with the registration, and with a beat when it has changed."""
    world = World()
    async with world.running():
        assert world.overviews == [Overview("e.0")]
        fresh = await world.gateway.refresh()
        await world.clock.tick(3)
        assert world.overviews == [Overview("e.0"), fresh]


async def test_another_gateway_takes_over() -> None:
    """When a gateway goes away the next one is asked at once, and it knows the node already."""
    world = World()
    async with world.running():
        del world.apps["a:1"]
        await world.clock.tick()
        assert world.status == "registered"
        assert world.registrar.state.peer == "http://b:2"
        assert world.clock.naps == [3.0, 3.0]


class CutOff:
    """Two gateways with one store, from which the first can be cut off."""

    def __init__(self) -> None:
        self.world = World()
        self.first = self.world.gateway
        self.second = Gateway(store=self.first.store.beside(), accept_unsigned=[])
        self.world.clock._on_time = self._move
        self.world.take("a:1", self.first)
        self.world.take("b:2", self.second)

    def _move(self, time: float) -> None:
        self.first.time = self.second.time = time


async def test_a_gateway_that_is_cut_off_from_the_store() -> None:
    """When a gateway cannot renew the lease, another one is asked at once, and kept."""
    rig = CutOff()
    async with rig.world.running():
        rig.first.store.is_away = True
        await rig.world.clock.tick(2)
        assert rig.world.status == "registered"
        assert rig.world.registrar.state.peer == "http://b:2"
        assert rig.world.calls[1:] == [("a:1", "alive"), ("b:2", "alive"), ("b:2", "alive")]
        assert rig.world.clock.naps == [3.0] * 3


async def test_a_gateway_that_is_cut_off_while_the_other_has_forgotten() -> None:
    """A lease that ran out where others see it is registered there."""
    rig = CutOff()
    async with rig.world.running():
        rig.first.store.is_away = True
        await rig.second.store.release(LEASE, "orders")
        await rig.world.clock.tick()
        assert rig.world.registrar.state.peer == "http://b:2"
        assert len((await rig.second.store.snapshot()).instances) == 1


async def test_no_gateway_reaches_the_store() -> None:
    """While the store is away everywhere, the node stays with its gateway, and counts as registered."""
    rig = CutOff()
    async with rig.world.running():
        rig.first.store.is_away = rig.second.store.is_away = True
        await rig.world.clock.tick(30)
        assert rig.world.status == "registered"
        assert rig.world.registrar.state.peer == "http://a:1"
        assert rig.world.registrar.state.last_error == ""
        # A beat that was lost is made up for within the five seconds after which others take a node for silent.
        assert rig.world.clock.naps == [3.0] + [1.0] * 30
        rig.first.store.is_away = False
        await rig.world.clock.tick(2)
        assert rig.world.clock.naps[-2:] == [3.0, 3.0]


@pytest.mark.parametrize("refusal", [answering(403), answering(500), None])
async def test_the_other_gateway_is_no_better(refusal: Any) -> None:
    """Another gateway that refuses, fails or is gone changes nothing."""
    rig = CutOff()
    async with rig.world.running():
        rig.first.store.is_away = True
        rig.world.apps["b:2"] = refusal
        if refusal is None:
            del rig.world.apps["b:2"]
        await rig.world.clock.tick(2)
        assert rig.world.registrar.state.peer == "http://a:1"
        assert rig.world.status == "registered"


async def test_the_other_gateway_does_not_take_the_node() -> None:
    """Where the lease is unknown and the registration refused, the node stays where it is."""
    rig = CutOff()

    async def choosy(scope: Any, receive: Any, send: Any) -> None:
        await answering(410 if scope["path"].endswith("alive") else 403)(scope, receive, send)

    async with rig.world.running():
        rig.first.store.is_away = True
        rig.world.apps["b:2"] = choosy
        await rig.world.clock.tick(2)
        assert rig.world.registrar.state.peer == "http://a:1"
        assert rig.world.status == "registered"


async def test_tries_for_ever() -> None:
    """While no gateway answers, all of them are tried every second, without end and without back-off."""
    world = World()
    world.apps.clear()
    async with world.running():
        await world.clock.tick(100)
        assert world.status == "starting"
        assert "connect-refused" in world.registrar.state.last_error
        assert set(world.clock.naps) == {1.0}
        world.apps["b:2"] = world.gateway
        await world.clock.tick()
        assert world.status == "registered"


async def test_a_gateway_that_forgot() -> None:
    """A beat that is not known leads to a registration at once."""
    world = World()
    async with world.running():
        await world.gateway.store.release(LEASE, "orders")
        assert await world.listed() == []
        await world.clock.tick()
        assert len(await world.listed()) == 1
        assert world.status == "registered"
        assert "410" in world.registrar.state.last_error


async def test_an_outage_has_a_beginning() -> None:
    """While nobody answers the state is unregistered, since the first failure."""
    world = World()
    async with world.running():
        world.apps.clear()
        await world.clock.tick(5)
        assert (world.status, world.registrar.state.since) == ("unregistered", 3.0)


@pytest.mark.parametrize("status", [201, 204, 302, 404, 500, 503])
async def test_only_200_counts(status: int) -> None:
    """Any other status is no registration and no beat."""
    world = World()
    world.apps.update({"a:1": answering(status, b"no"), "b:2": answering(status)})
    async with world.running():
        assert world.status == "starting"
        assert str(status) in world.registrar.state.last_error
        assert ("it has another key, or is no gateway" in world.registrar.state.last_error) == (status == 404)


async def test_changes_are_announced() -> None:
    """A change of what the node publishes is registered with the next beat, without an outage."""
    world = World()
    async with world.running():
        world.instance = replace(INSTANCE, routes=(Route("/new"),))
        await world.clock.tick()
        assert (await world.listed())[0].routes == (Route("/new"),)
        assert world.registrar.state.last_error == ""


async def test_a_java_gateway() -> None:
    """A Java gateway never says that it forgot a name, so it is told again every 15 s."""
    world = World()
    java = JavaHydra("k", world.clock)
    world.take("a:1", java)
    async with world.running():
        assert world.status == "registered"
        await world.clock.tick(10)
        kinds = [call for _, call in world.calls]
        assert kinds == ["registration", *["alive"] * 4, "registration", *["alive"] * 4, "registration"]
        (listed,) = java.services["orders"]
        assert listed["endpoints"] == ["/orders"]
        assert world.overviews == []
        assert not await world.registrar.drain()
        await world.registrar.unregister()
        assert [call[0] for call in java.calls].count("DELETE") == 0


async def test_leaving() -> None:
    """A node that stops is gone at once."""
    world = World()
    async with world.running():
        pass
    await world.registrar.unregister()
    assert await world.listed() == []
    assert world.status == "unregistered"


async def test_leaving_without_having_joined() -> None:
    """A node that was never registered has nothing to take back."""
    world = World()
    world.take("a:1", world.gateway)
    await world.registrar.unregister()
    assert world.calls == []


async def test_leaving_a_gateway_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gateway that does not answer does not hold up the end."""
    monkeypatch.setattr("hydra_asgi.service.registrar.LEAVE_SECONDS", 0.02)

    async def hanging(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.Event().wait()

    world = World()
    async with world.running():
        world.apps["a:1"] = hanging
    await world.registrar.unregister()
    assert world.status == "unregistered"


async def test_draining() -> None:
    """A node can ask for no new users, and for them again."""
    world = World()
    assert not await world.registrar.drain()
    async with world.running():
        assert await world.registrar.drain()
        assert (await world.listed())[0].weight == 0
        assert await world.registrar.drain(draining=False)
        assert (await world.listed())[0].weight == 10
        world.apps.clear()
        assert not await world.registrar.drain()


async def test_a_hook_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    """An error in somebody's hook is logged with its stack and does not end the registration for good."""
    failures = [RuntimeError("hook")]
    seen: list[Overview] = []

    def on_overview(overview: Overview) -> None:
        if failures:
            raise failures.pop()
        seen.append(overview)

    world = World(on_overview=on_overview)
    async with world.running():
        assert world.status == "starting"
        await world.gateway.refresh()
        await world.clock.tick()
        assert world.status == "registered"
        assert len(seen) == 1
    assert any(record.exc_info for record in caplog.records)


async def test_random_leases() -> None:
    """Two nodes never share a lease by accident; without a signer one is made from the secret."""
    world = World(lease=None, signer=None)
    other = World(lease=None, signer=None)
    assert world.registrar._lease != other.registrar._lease


def test_no_gateways() -> None:
    """A registrar without a gateway is a mistake of whoever configured it."""
    with pytest.raises(ConfigurationError, match="gateways="):
        Registrar(lambda: INSTANCE, [], "k", SECRET, AsgiUpstream({}), FakeProber(), on_overview=lambda overview: None)
