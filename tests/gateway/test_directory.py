"""The node's copy of the directory: it follows the store, keeps what it knows, and makes nobody wait."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from hydra_asgi.backends.memory import MemoryStore
from hydra_asgi.core.directory.departed import REMEMBERED_SECONDS
from hydra_asgi.core.directory.directory_state import LocalApp
from hydra_asgi.core.directory.rest_times import CROWD_REST_SECONDS
from hydra_asgi.core.instance import Address, Revision, Route, ServiceInstance, Snapshot
from hydra_asgi.core.service_settings import ServiceSettings
from hydra_asgi.errors import StoreError
from hydra_asgi.gateway.directory import (
    BIG,
    MANY,
    MASS_SILENCE,
    MAX_REPORTED,
    Directory,
)
from hydra_asgi.ports import LeaseState

Eventually = Callable[..., Any]


class Hand:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def instance(port: int = 8001, *templates: str, service: str = "orders") -> ServiceInstance:
    address = Address("http", "10.0.0.1", port)
    return ServiceInstance(service, address, routes=tuple(map(Route, templates or ("/orders",))), token=port)


@dataclass
class ScriptedStore:
    """A store that shows one snapshot, fails when told, and counts what it is asked."""

    shown: Any = field(default_factory=lambda: Snapshot(Revision("a", 1)))
    failure: Exception | None = None
    asked: list[str] = field(default_factory=list)
    gate: asyncio.Event | None = None
    outstanding: int = 0
    most_outstanding: int = 0
    wakes: list[Callable[[], None]] = field(default_factory=list)

    def show(self, *instances: ServiceInstance, epoch: str = "", settings: Any = None) -> None:
        revision = Revision(epoch or self.shown.revision.epoch, self.shown.revision.counter + 1)
        self.shown = Snapshot(revision, instances, settings or {})

    async def _answer(self, name: str) -> None:
        self.asked.append(name)
        self.outstanding += 1
        self.most_outstanding = max(self.outstanding, self.most_outstanding)
        try:
            if self.gate is not None:
                await self.gate.wait()
            if self.failure is not None:
                raise self.failure
        finally:
            self.outstanding -= 1

    async def revision(self) -> Revision:
        await self._answer("revision")
        shown: Revision = self.shown.revision
        return shown

    async def snapshot(self) -> Any:
        await self._answer("snapshot")
        return self.shown

    async def vouch(self, token: int) -> None:
        await self._answer(f"vouch {token}")

    def on_change(self, wake: Callable[[], None]) -> Callable[[], None]:
        self.wakes.append(wake)
        return lambda: self.wakes.remove(wake)


class Rig:
    """A directory over a scripted store, on a clock set by hand."""

    def __init__(self, **options: Any) -> None:
        self.store = ScriptedStore()
        self.clock = Hand()
        given = {"clock": self.clock, "first_load_seconds": 0, **options}
        self.directory = Directory(self.store, **given)  # type: ignore[arg-type]

    @property
    def ports(self) -> list[int]:
        return [known.address.port for known in self.directory.state.snapshot.instances]

    async def watch(self, seconds: float) -> None:
        """Refresh every half second."""
        for _ in range(int(seconds * 2)):
            self.clock.now += 0.5
            await self.directory.refresh()


@asynccontextmanager
async def running(directory: Directory) -> Any:
    task = asyncio.create_task(directory.run())
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_the_first_refresh_loads_everything() -> None:
    """After one refresh routes are found, listed and shown."""
    rig = Rig()
    rig.store.show(instance())
    assert await rig.directory.refresh()
    state = rig.directory.state
    assert state.table.match(("orders",), "GET") is not None
    assert state.overview.is_available("orders")
    assert rig.store.asked == ["revision", "snapshot"]


async def test_a_poll_that_finds_nothing_new_costs_one_call_and_no_rebuild() -> None:
    """The snapshot is only fetched when the revision moved, and the state stays the same object."""
    rig = Rig()
    await rig.directory.refresh()
    before = rig.directory.state
    rig.store.asked.clear()
    assert not await rig.directory.refresh()
    assert rig.store.asked == ["revision"]
    assert rig.directory.state is before


async def test_a_change_replaces_the_whole_state() -> None:
    """A request that kept the old state sees none of the new one."""
    rig = Rig()
    rig.store.show(instance())
    await rig.directory.refresh()
    before = rig.directory.state
    rig.store.show(instance(), instance(8002, "/new"))
    assert await rig.directory.refresh()
    assert before.table.match(("new",), "GET") is None
    assert rig.directory.state.table.match(("new",), "GET") is not None


@pytest.mark.parametrize("failure", [StoreError("connection refused"), TimeoutError()])
async def test_a_failed_store_never_empties_the_table(failure: Exception) -> None:
    """The last good state stays and health says why and since when."""
    rig = Rig()
    rig.store.show(instance())
    await rig.directory.refresh()
    before = rig.directory.state
    rig.store.failure = failure
    rig.clock.now += 60
    assert not await rig.directory.refresh()
    assert rig.directory.state is before
    assert rig.directory.health.status == "degraded"
    assert rig.directory.health.since == rig.clock.now
    assert "the store" in rig.directory.health.why
    rig.store.failure = None
    await rig.directory.refresh()
    assert rig.directory.health.status == "ok"


async def test_a_store_that_hangs_has_failed() -> None:
    """A poll has a bound, and the request path never notices."""
    rig = Rig(store_patience=0.01)
    rig.store.gate = asyncio.Event()
    assert not await rig.directory.refresh()
    assert rig.directory.health.why == "the store did not answer within 0.01 s"
    assert rig.store.outstanding == 0


async def test_there_is_never_more_than_one_poll() -> None:
    """Whoever refreshes while a poll is out waits for its turn."""
    rig = Rig()
    rig.store.gate = asyncio.Event()
    first, second = (asyncio.create_task(rig.directory.refresh()) for _ in range(2))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    rig.store.gate.set()
    assert await asyncio.gather(first, second) == [True, False]
    assert rig.store.most_outstanding == 1


@pytest.mark.parametrize(
    ("is_shared", "active", "status"), [(True, True, "ok"), (True, False, "starting"), (False, True, "starting")]
)
async def test_a_store_that_others_have_kept(is_shared: bool, active: bool, status: str) -> None:
    """A gateway that finds a living site in a shared store is ready at once; what it does not know is still no 404."""
    rig = Rig(first_load_seconds=3.0, is_shared=is_shared)
    rig.store.show(replace(instance(), active=active))
    await rig.directory.refresh()
    assert rig.directory.health.status == status
    assert rig.directory.is_starting


async def test_a_node_is_starting_until_one_beat_interval_has_passed() -> None:
    """A gateway that has just started cannot say that a path does not exist."""
    rig = Rig(first_load_seconds=3.0)
    assert rig.directory.is_starting
    await rig.directory.refresh()
    assert rig.directory.is_starting
    assert rig.directory.health.status == "starting"
    rig.clock.now += 3.0
    assert not rig.directory.is_starting
    assert rig.directory.health.status == "ok"


async def test_every_node_says_that_most_instances_went_silent() -> None:
    """Also one that only reads so in the store, for as long as it is so; the number may change without another word."""
    rig = Rig()
    for held in (9, 8):
        rig.store.show(instance(1))
        rig.store.shown = replace(rig.store.shown, held=held)
        await rig.directory.refresh()
        health = rig.directory.health
        assert (health.status, health.why) == ("degraded", MASS_SILENCE)
    rig.store.show(instance(1))
    await rig.directory.refresh()
    assert rig.directory.health.status == "ok"


async def test_an_emptied_store_is_not_adopted_while_services_come_back() -> None:
    """In a new epoch the last known good entries stay until announced again or ten seconds have passed."""
    rig = Rig()
    rig.store.show(instance(1), instance(2))
    await rig.directory.refresh()
    rig.store.show(epoch="b")
    await rig.directory.refresh()
    assert rig.ports == [1, 2]
    assert rig.directory.health.status == "degraded"
    assert "lost its entries" in rig.directory.health.why
    rig.store.show(instance(2))
    await rig.watch(9.5)
    assert rig.ports == [1, 2]
    await rig.watch(0.5)
    assert rig.ports == [2]
    assert rig.directory.health.status == "ok"


async def test_the_local_app_is_always_part_of_the_table() -> None:
    """A gateway that registers nowhere still serves its own app, with and without a store, and when it changes."""
    own: list[LocalApp | None] = [None]
    rig = Rig(local=lambda: own[0])
    rig.store.failure = StoreError("down")
    assert not await rig.directory.refresh()
    shop = instance(9, "/", service="shop")
    own[0] = LocalApp(shop)
    assert await rig.directory.refresh()
    assert list(rig.directory.state.table.services) == ["shop"]
    rig.store.failure = None
    rig.store.show(instance(1))
    assert await rig.directory.refresh()
    assert set(rig.directory.state.table.services) == {"shop", instance(1).service}
    own[0] = LocalApp(replace(shop, routes=(Route("/about"),)))
    assert await rig.directory.refresh()
    assert rig.directory.state.table.match(("about",), "GET") is not None


async def test_a_route_that_went_is_remembered_for_an_hour() -> None:
    """What was there within the last hour is answered "not now"; afterwards it does not exist."""
    rig = Rig()
    rig.store.show(instance())
    await rig.directory.refresh()
    rig.store.show()
    await rig.directory.refresh()
    assert rig.directory.state.table.match(("orders",), "GET") is None
    assert rig.directory.state.departed.match(("orders",), "GET") is not None
    rig.clock.now += REMEMBERED_SECONDS
    assert await rig.directory.refresh()
    assert rig.directory.state.departed.match(("orders",), "GET") is None
    assert not await rig.directory.refresh()


async def test_what_is_expected_is_not_unknown() -> None:
    """Routes that somebody wrote down are answered "not now" until their instance is listed, in a new state at once."""
    rig = Rig()
    await rig.directory.refresh()
    rig.directory.expect([instance()])
    assert await rig.directory.refresh()
    assert rig.directory.state.departed.match(("orders",), "GET") is not None
    rig.store.show(instance())
    await rig.directory.refresh()
    assert rig.directory.state.table.match(("orders",), "GET") is not None
    assert rig.directory.state.departed.match(("orders",), "GET") is None


class Settings(Mapping[str, ServiceSettings]):
    """Settings that note which thread reads them."""

    def __init__(self) -> None:
        self.readers: set[int] = set()

    def __getitem__(self, service: str) -> ServiceSettings:
        self.readers.add(threading.get_ident())
        raise KeyError(service)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


@pytest.mark.parametrize(("routes", "on_the_loop"), [(BIG - 1, True), (BIG, False)])
async def test_a_big_table_is_built_in_a_thread(
    monkeypatch: pytest.MonkeyPatch, routes: int, on_the_loop: bool
) -> None:
    """Requests are not held up by a rebuild of thousands of routes: it takes a thread, which takes breaks."""
    rig, settings = Rig(), Settings()
    breathing: set[int] = set()
    monkeypatch.setattr(time, "sleep", lambda seconds: breathing.add(threading.get_ident()))
    rig.store.shown = Snapshot(Revision("a", 5), (instance(1, *(f"/r{number}" for number in range(routes))),), settings)
    assert await rig.directory.refresh()
    assert (threading.get_ident() in settings.readers) is on_the_loop
    assert breathing == (set() if on_the_loop else settings.readers)
    assert rig.directory.state.table.match(("r7",), "GET") is not None


async def test_listeners_are_told_of_each_new_state() -> None:
    """Push goes out with every update; a listener that fails hurts nobody and one that ended hears nothing."""
    rig = Rig()
    heard: list[str] = []

    def broken(state: object) -> None:
        raise RuntimeError("listener")

    end_broken = rig.directory.on_update(broken)
    end = rig.directory.on_update(lambda state: heard.append(state.overview.revision))
    await rig.directory.refresh()
    await rig.directory.refresh()
    end_broken()
    end()
    end()
    rig.store.show(instance())
    await rig.directory.refresh()
    assert heard == ["a.1"]


async def test_problems_with_routes_are_named_once(caplog: pytest.LogCaptureFixture) -> None:
    """Routes that cannot be taken in are logged when they appear, not with every change, and not without bound."""
    rig = Rig()
    bad = [f"no-slash-{number}" for number in range(MAX_REPORTED + 3)]
    rig.store.show(instance(1, *bad))
    await rig.directory.refresh()
    assert len(caplog.records) == MAX_REPORTED + 1
    assert "no-slash-0" in caplog.records[0].getMessage()
    assert caplog.records[-1].getMessage() == "3 more routes have problems"
    caplog.clear()
    rig.store.show(instance(1, *bad), instance(2))
    await rig.directory.refresh()
    assert caplog.records == []


async def test_the_loop_follows_the_store(eventually: Eventually) -> None:
    """While it runs, a change is taken in by polling alone."""
    rig = Rig(poll_seconds=0.01)
    async with running(rig.directory):
        await eventually(lambda: rig.directory.health.status == "ok")
        rig.store.show(instance())
        await eventually(lambda: rig.ports == [8001])


async def test_a_publish_wakes_the_loop_early(eventually: Eventually) -> None:
    """A store that can tell of changes is believed at once."""
    store = MemoryStore()
    directory = Directory(store, first_load_seconds=0, poll_seconds=3600.0)
    async with running(directory):
        await eventually(lambda: directory.health.status == "ok")
        await store.register(instance(), LeaseState("a", "orders"))
        await eventually(lambda: directory.state.overview.is_available("orders"))


async def test_a_flood_of_publishes_is_a_few_polls(eventually: Eventually) -> None:
    """However often the store wakes us, we rest between polls."""
    rig = Rig(poll_seconds=3600.0)
    async with running(rig.directory):
        await eventually(lambda: len(rig.store.asked) == 2)
        for number in range(50):
            rig.store.show(instance(), instance(number, "/x"))
            rig.store.wakes[0]()
            await asyncio.sleep(0)
        await eventually(lambda: rig.ports == [8001, 49])
        assert rig.store.asked == ["revision", "snapshot"] * 2


async def test_a_crowd_is_taken_together(eventually: Eventually) -> None:
    """When many came or went at once, more are on their way: no more than five rebuilds a second."""
    rig, moments = Rig(), []
    rig.directory.on_update(lambda state: moments.append(asyncio.get_running_loop().time()))
    crowd = [instance(port) for port in range(1, MANY + 1)]
    async with running(rig.directory):
        for shown in (crowd, crowd[:1]):
            rig.store.show(*shown)
            for wake in rig.store.wakes:
                wake()
            await eventually(lambda wanted=shown: len(rig.ports) == len(wanted))
    came, went, *_ = moments
    assert went - came >= CROWD_REST_SECONDS


async def test_every_node_rests_by_its_own_dice(eventually: Eventually) -> None:
    """The random number given is the one that counts."""
    thrown: list[float] = []
    rig = Rig(poll_seconds=0.01, rng=lambda: thrown.append(0.5) or 0.5)
    async with running(rig.directory):
        await eventually(lambda: len(thrown) >= 2)


async def test_the_loop_ends_its_subscription_with_itself(eventually: Eventually) -> None:
    """A node that stops is not called any more."""
    rig = Rig()
    async with running(rig.directory):
        await eventually(lambda: rig.store.wakes)
    assert rig.store.wakes == []


async def test_no_error_ends_the_loop(eventually: Eventually, caplog: pytest.LogCaptureFixture) -> None:
    """A store that answers nonsense is logged once with its trace, health says so, and the loop goes on."""
    rig = Rig(poll_seconds=0.01)
    rig.store.show(instance())
    await rig.directory.refresh()
    good, before = rig.store.shown, rig.directory.state
    async with running(rig.directory):
        rig.store.shown = Snapshot(Revision("a", 9), (None,))  # type: ignore[arg-type]
        rig.store.asked.clear()
        await eventually(lambda: rig.store.asked.count("snapshot") >= 3)
        assert rig.directory.state is before
        assert rig.directory.health.status == "degraded"
        assert "AttributeError" in rig.directory.health.why
        assert [record.exc_info is not None for record in caplog.records].count(True) == 1
        rig.store.shown = replace(good, revision=Revision("a", 10))
        await eventually(lambda: rig.directory.health.status == "ok")


async def test_vouches_are_sent_by_the_loop_once_for_each_instance(eventually: Eventually) -> None:
    """Requests only note that an instance answered; the store hears it with the next poll, before the sweep."""
    rig = Rig(poll_seconds=0.01)
    for token in (7, 7, 8, 7):
        rig.directory.vouch(token)
    assert rig.store.asked == []
    async with running(rig.directory):
        await eventually(lambda: rig.store.asked.count("revision") >= 3)
    assert sorted(rig.store.asked[:2]) == ["vouch 7", "vouch 8"]
    assert not [asked for asked in rig.store.asked[2:] if asked.startswith("vouch")]


async def test_a_vouch_that_did_not_arrive_is_sent_again(eventually: Eventually) -> None:
    """While the store is away what it should hear is kept."""
    rig = Rig(poll_seconds=0.01)
    rig.store.failure = StoreError("down")
    rig.directory.vouch(7)
    async with running(rig.directory):
        await eventually(lambda: rig.store.asked.count("vouch 7") >= 2)
        rig.store.failure = None
        await eventually(lambda: rig.directory.health.status == "ok")
        rig.store.asked.clear()
        await eventually(lambda: rig.store.asked.count("revision") >= 2)
    assert "vouch 7" not in rig.store.asked


async def test_a_vouch_the_store_cannot_take_is_dropped(
    eventually: Eventually, caplog: pytest.LogCaptureFixture
) -> None:
    """A fault in vouching is logged and never keeps the directory from being refreshed."""

    class Odd(ScriptedStore):
        async def vouch(self, token: int) -> None:
            raise ValueError(token)

    rig = Rig()
    store = Odd()
    store.show(instance())
    directory = Directory(store, clock=rig.clock, first_load_seconds=0)  # type: ignore[arg-type]
    directory.vouch(7)
    async with running(directory):
        await eventually(lambda: directory.state.overview.is_available("orders"))
    assert [record.getMessage() for record in caplog.records] == ["vouching for silent instances failed"]


async def test_trouble_with_the_store_is_told() -> None:
    """Whoever wants to know hears of it, with the age of what is known."""
    told: list[str] = []
    rig = Rig(on_health=lambda: told.append(rig.directory.health.status))
    await rig.directory.refresh()
    rig.store.failure = StoreError("away")
    rig.clock.now += 2
    await rig.directory.refresh()
    rig.clock.now += 3
    assert told == ["degraded"]
    assert (rig.directory.age, rig.directory.health_lasts) == (5, 3)


async def test_a_former_life_is_served_at_once() -> None:
    """What was recalled is in the table before the store is asked, and listeners hear of it."""
    store = ScriptedStore(failure=StoreError("away"))
    directory = Directory(store, local=lambda: LocalApp(instance(8000, "/", service="shop")))  # type: ignore[arg-type]
    heard: list[Any] = []
    directory.on_update(heard.append)
    await directory.recall(Snapshot(Revision("z", 7), (instance(),)))
    assert store.asked == []
    assert heard == [directory.state]
    assert directory.state.own is not None
    assert directory.state.table.service("orders") is not None
    await directory.refresh()
    assert directory.health.status == "degraded"
    assert directory.state.table.service("orders") is not None
    store.failure = None
    store.show(instance(8002), epoch="z")
    await directory.refresh()
    assert directory.health.status == "starting"
    assert [one.address.port for one in directory.state.snapshot.instances] == [8002]


async def test_refused_changes_are_trouble() -> None:
    """A store that does not keep what it is given makes the directory degraded, however well it answers."""
    directory = Directory(ScriptedStore(), first_load_seconds=0)  # type: ignore[arg-type]  # as above
    await directory.refresh()
    directory.note_change("it is full")
    assert (directory.health.status, directory.health.why) == ("degraded", "it is full")
    directory.note_change("")
    assert directory.health.status == "ok"
