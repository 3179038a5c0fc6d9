"""What every `Store` does as time passes. `store_contract` says how to use this."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import pytest

from hydra_asgi.core.instance import Revision
from hydra_asgi.core.routing.token import MIN_TOKEN
from hydra_asgi.core.service_settings import ServiceSettings
from hydra_asgi.errors import RefusedError
from hydra_asgi.ports import LeaseState
from tests.backends.store_rig import CALLER, StoreRig, a_lease, an_instance

__all__ = ["LastingContract", "last_together"]


class LastingContract:
    """The tests in which time passes, kept away from the very edges: shared stores have clocks of their own."""

    @pytest.fixture
    def rig(self) -> StoreRig:
        raise NotImplementedError

    async def test_beats_keep_an_instance_and_are_no_change(self, rig: StoreRig) -> None:
        """An instance whose beats arrive stays active for ever, at one revision."""
        await rig.store.register(an_instance(), a_lease())
        before = await rig.store.revision()
        for _ in range(5):
            await rig.advance(3)
            assert await rig.store.renew("a", "orders")
        assert await rig.states() == {8001: True}
        assert await rig.store.revision() == before

    async def test_silence_makes_inactive_then_forgotten(self, rig: StoreRig) -> None:
        """Five seconds of silence make an instance inactive, ten make it unknown; each is a change."""
        await rig.store.register(an_instance(), a_lease())
        counters = [await rig.counter()]
        await rig.advance(4)
        assert await rig.states() == {8001: True}
        await rig.advance(2.5)
        assert await rig.states() == {8001: False}
        counters.append(await rig.counter())
        await rig.advance(2.5)
        assert await rig.states() == {8001: False}
        await rig.advance(2)
        assert await rig.states() == {}
        counters.append(await rig.counter())
        assert counters == sorted(set(counters))
        assert not await rig.store.renew("a", "orders")

    async def test_a_beat_revives(self, rig: StoreRig) -> None:
        """A late beat makes an inactive instance active again, which is a change; its identity stays."""
        first = await rig.store.register(an_instance(), a_lease())
        await rig.advance(7)
        before = await rig.counter()
        assert await rig.store.renew("a", "orders")
        assert (await rig.store.snapshot()).instances == (first,)
        assert await rig.counter() > before

    async def test_a_registration_revives(self, rig: StoreRig) -> None:
        """So does the same registration again."""
        first = await rig.store.register(an_instance(), a_lease())
        await rig.advance(7)
        before = await rig.counter()
        assert await rig.store.register(an_instance(), a_lease()) == first
        assert await rig.counter() > before

    async def test_an_instance_lives_while_one_of_its_leases_does(self, rig: StoreRig) -> None:
        """Two processes behind one address: one of them is enough, and the silent one's lease is dropped."""
        await rig.store.register(an_instance(), a_lease("a"))
        await rig.store.register(an_instance(), a_lease("b"))
        for _ in range(4):
            await rig.advance(3)
            assert await rig.store.renew("b", "orders")
        assert await rig.states() == {8001: True}
        assert [state.id for state in await rig.store.leases_of("orders", CALLER)] == ["b"]

    async def test_leases_are_found_by_service_and_caller(self, rig: StoreRig) -> None:
        """A beat that names no lease is attributed by what the store knows of its caller."""
        await rig.store.register(an_instance(1), a_lease("a"))
        await rig.advance(3)
        await rig.store.register(an_instance(2), a_lease("b", signed=True))
        await rig.store.register(an_instance(3), a_lease("c", caller="10.0.0.9"))
        await rig.store.register(an_instance(4, service="shop"), a_lease("d", service="shop"))
        await rig.advance(3)
        found = sorted(await rig.store.leases_of("orders", CALLER), key=lambda state: state.id)
        assert found == [
            LeaseState("a", "orders", CALLER, signed=False, active=False),
            LeaseState("b", "orders", CALLER, signed=True, active=True),
        ]
        assert list(await rig.store.leases_of("orders", "10.0.0.7")) == []

    async def test_a_vouch_keeps_a_silent_instance(self, rig: StoreRig) -> None:
        """An instance that still answers stays listed as inactive for ten seconds more, without a change."""
        token = (await rig.store.register(an_instance(), a_lease())).token
        await rig.advance(8)
        before = await rig.store.revision()
        await rig.store.vouch(token)
        await rig.store.vouch(MIN_TOKEN)
        await rig.advance(8)
        assert await rig.states() == {8001: False}
        assert await rig.store.revision() == before
        await rig.advance(4)
        assert await rig.states() == {}

    async def test_most_instances_going_at_once_are_kept_inactive(self, rig: StoreRig) -> None:
        """When more than half of eight or more go silent together they stay listed, and a beat brings each back."""
        for port in range(1, 9):
            await rig.store.register(an_instance(port), a_lease(str(port)))
        await rig.advance(14)
        assert await rig.states() == dict.fromkeys(range(1, 9), False)
        assert (await rig.store.snapshot()).held == 8
        assert await rig.store.renew("1", "orders")
        assert (await rig.states())[1]
        assert (await rig.store.snapshot()).held == 7

    async def test_a_store_that_can_tell_calls_after_changes_only(self, rig: StoreRig) -> None:
        """Subscribers may be woken by changes, never by beats, and not after they ended their subscription."""
        woken: list[Revision] = []
        end = rig.store.on_change(lambda: woken.append(Revision("", 0)))
        await rig.store.register(an_instance(), a_lease())
        await rig.advance(1)
        seen = len(woken)
        await rig.store.renew("a", "orders")
        await rig.advance(1)
        assert len(woken) == seen
        end()
        await rig.store.release("a", "orders")
        await rig.advance(1)
        assert len(woken) == seen

    async def test_a_nonce_may_be_used_again_when_its_time_is_over(self, rig: StoreRig) -> None:
        """It is remembered for as long as was said and takes no room for ever; a second use does not prolong it."""
        assert await rig.store.first_use("short", 2.0)
        assert await rig.store.first_use("long", 60.0)
        await rig.advance(1)
        assert not await rig.store.first_use("short", 60.0)
        await rig.advance(2.5)
        assert await rig.store.first_use("short", 2.0)
        assert not await rig.store.first_use("long", 60.0)

    async def test_a_refused_beat_is_no_beat(self, rig: StoreRig) -> None:
        """Copies of an old call keep nothing alive."""
        await rig.store.register(an_instance(), a_lease(counter=5))
        for _ in range(3):
            await rig.advance(2.5)
            with pytest.raises(RefusedError):
                await rig.store.renew("a", "orders", counter=5)
        assert await rig.states() == {8001: False}

    async def test_settings_last_longer_than_instances(self, rig: StoreRig) -> None:
        """What is set for a service is no lease: it stays when every instance of it is forgotten."""
        settings = ServiceSettings({1: 90.0, 2: 10.0})
        await rig.store.configure("orders", settings)
        await rig.store.register(an_instance(), a_lease())
        await rig.advance(13)
        snapshot = await rig.store.snapshot()
        assert (snapshot.instances, dict(snapshot.settings)) == ((), {"orders": settings})


async def last_together(open_rig: Callable[[], AbstractAsyncContextManager[StoreRig]]) -> None:
    """Run every test of `LastingContract` at the same time, each with a rig of its own.

    For stores whose clock cannot be moved: this takes as long as the longest test, not as long as all of them.

    Args:
        open_rig: makes a fresh, empty store whose `advance` takes real time.
    """

    async def run(name: str) -> None:
        async with open_rig() as rig:
            await getattr(LastingContract(), name)(rig)

    names = [name for name in vars(LastingContract) if name.startswith("test_")]
    results = await asyncio.gather(*map(run, names), return_exceptions=True)
    failures = []
    for name, result in zip(names, results, strict=True):
        if isinstance(result, BaseException):
            result.add_note(f"in LastingContract.{name}")
            failures.append(result)
    if failures:
        raise BaseExceptionGroup(f"{len(failures)} of {len(names)} tests failed", failures)
