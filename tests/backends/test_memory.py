"""The memory store: the contract of all stores, and what only this one promises."""

import pytest

from hydra_asgi.backends.memory import MemoryStore
from hydra_asgi.core.instance import Address, ServiceInstance
from hydra_asgi.core.service_settings import ServiceSettings
from hydra_asgi.ports import LeaseState
from tests.backends.store_contract import StoreContract, StoreRig


class Hand:
    """A clock that is set by hand, and a store that is asked every half second."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    async def live(self, store: MemoryStore, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + 0.5)
            await store.revision()


def instance(port: int = 8001) -> ServiceInstance:
    return ServiceInstance("orders", Address("http", "10.0.0.1", port))


class TestMemoryStoreKeepsTheContract(StoreContract):
    @pytest.fixture
    def rig(self) -> StoreRig:
        clock = Hand()
        store = MemoryStore(clock)
        return StoreRig(store, lambda seconds: clock.live(store, seconds))


async def test_each_store_has_an_epoch_of_its_own() -> None:
    """A new store is recognised as one that started from nothing, unless it is given a name."""
    first, second = await MemoryStore().revision(), await MemoryStore().revision()
    assert first.epoch != second.epoch
    assert (await MemoryStore(epoch="mine").revision()).epoch == "mine"


async def test_subscribers_are_called_within_the_change() -> None:
    """Nothing has to be waited for: the wake comes with the verb that changed something, a lapse with the sweep."""
    clock = Hand()
    store = MemoryStore(clock)
    woken: list[str] = []
    store.on_change(lambda: woken.append("x"))
    await store.register(instance(), LeaseState("a", "orders"))
    assert len(woken) == 1
    await clock.live(store, 6)
    assert len(woken) == 2
    await store.renew("a", "orders")
    assert len(woken) == 3


async def test_one_subscriber_does_not_hurt_another(caplog: pytest.LogCaptureFixture) -> None:
    """A callback that fails is logged and the next one is called; ending twice ends nobody else."""
    store = MemoryStore()
    woken: list[str] = []

    def wake() -> None:
        woken.append("x")

    def broken() -> None:
        raise RuntimeError("subscriber")

    store.on_change(broken)
    end = store.on_change(wake)
    store.on_change(wake)
    end()
    end()
    await store.register(instance(), LeaseState("a", "orders"))
    assert woken == ["x"]
    assert ["a callback of the store failed" in record.getMessage() for record in caplog.records] == [True]


@pytest.mark.parametrize("listens", [True, False])
async def test_an_alarm_is_raised_when_most_go_silent_at_once(listens: bool) -> None:
    """The operator is told once, if somebody listens; the instances stay either way."""
    clock = Hand()
    alarms: list[str] = []
    store = MemoryStore(clock, on_alarm=alarms.append if listens else None)
    for port in range(8):
        await store.register(instance(port), LeaseState(str(port), "orders"))
    await clock.live(store, 20)
    assert len((await store.snapshot()).instances) == 8
    assert len(alarms) == int(listens)


async def test_subscribers_hear_of_settings() -> None:
    """Setting something is a change like any other; a secret is none."""
    store = MemoryStore()
    woken: list[str] = []
    store.on_change(lambda: woken.append("x"))
    await store.configure("orders", ServiceSettings({1: 90.0, 2: 10.0}))
    assert len(woken) == 1
    await store.keep_secret("sso", b"s", expected=None)
    assert len(woken) == 1
