"""What every `Store` does, whatever it is made of.

A test module for a store subclasses `StoreContract` under a name that starts with `Test` and gives a `rig` fixture: a
fresh, empty store and a way to let time pass. `advance` has to let the store live through that time (ask for its
revision at least once a second), because time during which nobody watched does not count.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import pytest

from hydra_asgi.core.binding import Binding
from hydra_asgi.core.instance import (
    Address,
    Dialect,
    FragmentDeclaration,
    MenuItem,
    Revision,
    Route,
    RouteKind,
    ServiceInstance,
)
from hydra_asgi.core.routing.token import MAX_TOKEN, MIN_TOKEN
from hydra_asgi.errors import RefusedError
from hydra_asgi.ports import LeaseState, Store

__all__ = ["StoreContract", "StoreRig"]

CALLER = "10.0.0.1"


@dataclass
class StoreRig:
    """A store under test.

    Attributes:
        store: empty at first.
        advance: lets so many seconds pass for the store.
    """

    store: Store
    advance: Callable[[float], Awaitable[None]]

    async def states(self) -> dict[int, bool]:
        """Port -> active, of everything listed."""
        return {listed.address.port: listed.active for listed in (await self.store.snapshot()).instances}

    async def counter(self) -> int:
        return (await self.store.revision()).counter


def instance(
    port: int = 8001, *, service: str = "orders", weight: float = 10.0, template: str = "/orders"
) -> ServiceInstance:
    return ServiceInstance(service, Address("http", CALLER, port), weight=weight, routes=(Route(template),))


def lease(name: str = "a", *, service: str = "orders", caller: str = CALLER, signed: bool = False) -> LeaseState:
    return LeaseState(name, service, caller, signed)


RICH = ServiceInstance(
    service="orders",
    address=Address("https", "fd00::1", 8443, "/base", pinned="fd00::1"),
    version=3,
    weight=2.5,
    routes=(
        Route("/é/{id:int}", frozenset({"GET", "POST"}), RouteKind.HTTP, "{t}.test"),
        Route("/ws", kind=RouteKind.WEBSOCKET),
    ),
    resources=frozenset({"a.css", "b/c.js"}),
    fragments=(
        FragmentDeclaration("checkout", (Binding("a", "b"),), (Binding("zip", "zip"),)),
        FragmentDeclaration("x"),
    ),
    menu_items=(MenuItem("main", "/é", "Ordres"), MenuItem("main", "/o")),
    active_since=1_700_000_000_000,
    dialect=Dialect.MEDUSA,
)
"""An instance that uses every field."""


class StoreContract:
    """The tests. Time is kept away from the very edges: shared stores have clocks of their own."""

    @pytest.fixture
    def rig(self) -> StoreRig:
        raise NotImplementedError

    async def test_a_new_store_is_empty_and_has_a_revision(self, rig: StoreRig) -> None:
        """There is a revision before there is anything."""
        snapshot = await rig.store.snapshot()
        assert snapshot.instances == ()
        assert dict(snapshot.shares) == {}
        assert snapshot.revision == await rig.store.revision()
        assert snapshot.revision.epoch

    async def test_what_is_registered_is_listed_as_returned(self, rig: StoreRig) -> None:
        """Registering returns the instance with token, order and state, and the snapshot lists exactly that."""
        before = await rig.store.revision()
        listed = await rig.store.register(replace(instance(), active=False), lease())
        after = await rig.store.snapshot()
        assert after.instances == (listed,)
        assert listed == replace(instance(), token=listed.token, order=listed.order, active=True)
        assert MIN_TOKEN <= listed.token <= MAX_TOKEN
        assert after.revision.epoch == before.epoch
        assert after.revision.counter > before.counter

    @pytest.mark.parametrize("given", [RICH, replace(RICH, fragments=None), replace(RICH, fragments=(), weight=0.0)])
    async def test_every_field_survives(self, rig: StoreRig, given: ServiceInstance) -> None:
        """What a service says about itself is listed unchanged, the pinned address too."""
        await rig.store.register(given, lease())
        (listed,) = (await rig.store.snapshot()).instances
        assert replace(listed, token=0, order=0) == given
        assert listed.address.pinned == given.address.pinned

    async def test_instances_are_listed_by_age_with_tokens_of_their_own(self, rig: StoreRig) -> None:
        """The order is that of first registration, and repeating does not change it."""
        for port in (3, 1, 2):
            await rig.store.register(instance(port), lease(str(port)))
        await rig.store.register(instance(3, template="/new"), lease("3"))
        instances = (await rig.store.snapshot()).instances
        assert [listed.address.port for listed in instances] == [3, 1, 2]
        assert [listed.order for listed in instances] == sorted({listed.order for listed in instances})
        assert len({listed.token for listed in instances}) == 3

    async def test_a_repetition_is_no_change(self, rig: StoreRig) -> None:
        """The same announcement again leaves token, order and revision alone, whenever its worker started."""
        first = await rig.store.register(instance(), lease())
        before = await rig.store.revision()
        again = await rig.store.register(replace(instance(), active_since=5), lease())
        other = await rig.store.register(instance(), lease("b"))
        assert replace(again, active_since=0) == replace(other, active_since=0) == first
        assert await rig.store.revision() == before

    async def test_new_content_is_a_change(self, rig: StoreRig) -> None:
        """New content replaces the old under the same token and order."""
        first = await rig.store.register(instance(), lease())
        before = await rig.counter()
        second = await rig.store.register(instance(template="/new"), lease())
        assert second == replace(first, routes=(Route("/new"),))
        assert (await rig.store.snapshot()).instances == (second,)
        assert await rig.counter() > before

    async def test_beats_keep_an_instance_and_are_no_change(self, rig: StoreRig) -> None:
        """An instance whose beats arrive stays active for ever, at one revision."""
        await rig.store.register(instance(), lease())
        before = await rig.store.revision()
        for _ in range(5):
            await rig.advance(3)
            assert await rig.store.renew("a", "orders")
        assert await rig.states() == {8001: True}
        assert await rig.store.revision() == before

    async def test_silence_makes_inactive_then_forgotten(self, rig: StoreRig) -> None:
        """Five seconds of silence make an instance inactive, ten make it unknown; each is a change."""
        await rig.store.register(instance(), lease())
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
        first = await rig.store.register(instance(), lease())
        await rig.advance(7)
        before = await rig.counter()
        assert await rig.store.renew("a", "orders")
        assert (await rig.store.snapshot()).instances == (first,)
        assert await rig.counter() > before

    async def test_a_registration_revives(self, rig: StoreRig) -> None:
        """So does the same registration again."""
        first = await rig.store.register(instance(), lease())
        await rig.advance(7)
        before = await rig.counter()
        assert await rig.store.register(instance(), lease()) == first
        assert await rig.counter() > before

    async def test_an_instance_lives_while_one_of_its_leases_does(self, rig: StoreRig) -> None:
        """Two processes behind one address: one of them is enough, and the silent one's lease is dropped."""
        await rig.store.register(instance(), lease("a"))
        await rig.store.register(instance(), lease("b"))
        for _ in range(4):
            await rig.advance(3)
            assert await rig.store.renew("b", "orders")
        assert await rig.states() == {8001: True}
        assert [state.id for state in await rig.store.leases_of("orders", CALLER)] == ["b"]

    async def test_the_last_release_takes_the_instance_at_once(self, rig: StoreRig) -> None:
        """Leaving is immediate; only the last process leaving is a change."""
        await rig.store.register(instance(), lease("a"))
        await rig.store.register(instance(), lease("b"))
        before = await rig.counter()
        assert await rig.store.release("a", "orders")
        assert await rig.counter() == before
        assert await rig.store.release("b", "orders")
        assert await rig.states() == {}
        assert await rig.counter() > before
        assert not await rig.store.release("b", "orders")
        assert not await rig.store.renew("b", "orders")

    async def test_a_lease_is_known_together_with_its_service(self, rig: StoreRig) -> None:
        """Another service's name opens nothing."""
        await rig.store.register(instance(), lease())
        assert not await rig.store.renew("a", "shop")
        assert not await rig.store.release("a", "shop")
        assert not await rig.store.renew("unknown", "orders")
        assert await rig.states() == {8001: True}

    async def test_a_lease_that_moves_leaves_its_old_instance(self, rig: StoreRig) -> None:
        """A process has one address: the new one replaces the old one, unless others hold that."""
        await rig.store.register(instance(1), lease("a"))
        await rig.store.register(instance(2), lease("a"))
        assert await rig.states() == {2: True}
        await rig.store.register(instance(2), lease("b"))
        await rig.store.register(instance(3), lease("a"))
        assert await rig.states() == {2: True, 3: True}

    async def test_a_lease_of_another_service_is_refused(self, rig: StoreRig) -> None:
        """A lease does not change its service; nothing is changed by the attempt."""
        await rig.store.register(instance(), lease())
        before = await rig.store.snapshot()
        with pytest.raises(RefusedError) as refused:
            await rig.store.register(instance(service="shop"), lease(service="shop"))
        assert refused.value.status == 403
        assert await rig.store.snapshot() == before

    @pytest.mark.parametrize("name", ["a", "b"])
    @pytest.mark.parametrize("port", [8001, 8002])
    async def test_an_unsigned_call_does_not_touch_what_is_signed(self, rig: StoreRig, name: str, port: int) -> None:
        """Neither the signed instance nor the signed lease; an instance of its own is another matter."""
        await rig.store.register(instance(), lease("a", signed=True))
        if (name, port) == ("b", 8002):
            await rig.store.register(instance(port), lease(name))
            assert await rig.states() == {8001: True, 8002: True}
            return
        before = await rig.store.snapshot()
        with pytest.raises(RefusedError) as refused:
            await rig.store.register(instance(port, template="/evil"), lease(name))
        assert refused.value.status == 403
        assert await rig.store.snapshot() == before

    async def test_a_signed_call_takes_over(self, rig: StoreRig) -> None:
        """Who starts to sign is believed from then on."""
        await rig.store.register(instance(), lease("a"))
        await rig.store.register(instance(), lease("a", signed=True))
        with pytest.raises(RefusedError):
            await rig.store.register(instance(), lease("b"))

    async def test_a_signed_call_changes_what_is_signed(self, rig: StoreRig) -> None:
        """A signature opens what it holds, for every process of the service."""
        await rig.store.register(instance(), lease("a", signed=True))
        await rig.store.register(instance(), lease("b", signed=True))
        assert (await rig.store.register(instance(weight=3.0), lease("a", signed=True))).weight == 3.0

    async def test_a_token_goes_with_its_instance_and_comes_back_with_it(self, rig: StoreRig) -> None:
        """What is gone cannot be drained; the same identity gets the same name again."""
        token = (await rig.store.register(instance(), lease())).token
        await rig.store.release("a", "orders")
        assert not await rig.store.drain(token)
        assert (await rig.store.register(instance(), lease())).token == token

    async def test_leases_are_found_by_service_and_caller(self, rig: StoreRig) -> None:
        """A beat that names no lease is attributed by what the store knows of its caller."""
        await rig.store.register(instance(1), lease("a"))
        await rig.advance(3)
        await rig.store.register(instance(2), lease("b", signed=True))
        await rig.store.register(instance(3), lease("c", caller="10.0.0.9"))
        await rig.store.register(instance(4, service="shop"), lease("d", service="shop"))
        await rig.advance(3)
        found = sorted(await rig.store.leases_of("orders", CALLER), key=lambda state: state.id)
        assert found == [
            LeaseState("a", "orders", CALLER, signed=False, active=False),
            LeaseState("b", "orders", CALLER, signed=True, active=True),
        ]
        assert list(await rig.store.leases_of("orders", "10.0.0.7")) == []

    async def test_a_vouch_keeps_a_silent_instance(self, rig: StoreRig) -> None:
        """An instance that still answers stays listed as inactive for ten seconds more, without a change."""
        token = (await rig.store.register(instance(), lease())).token
        await rig.advance(8)
        before = await rig.store.revision()
        await rig.store.vouch(token)
        await rig.store.vouch(MIN_TOKEN)
        await rig.advance(8)
        assert await rig.states() == {8001: False}
        assert await rig.store.revision() == before
        await rig.advance(4)
        assert await rig.states() == {}

    async def test_draining_is_weight_zero_and_can_be_taken_back(self, rig: StoreRig) -> None:
        """A drained instance stays listed with weight 0 through repetitions, until told otherwise."""
        token = (await rig.store.register(instance(weight=4.0), lease())).token
        before = await rig.counter()
        assert await rig.store.drain(token)
        drained = await rig.counter()
        assert drained > before
        assert (await rig.store.register(instance(weight=4.0), lease())).weight == 0.0
        assert await rig.counter() == drained
        assert await rig.store.drain(token, draining=False)
        assert [listed.weight for listed in (await rig.store.snapshot()).instances] == [4.0]
        assert await rig.counter() > drained
        assert not await rig.store.drain(MIN_TOKEN)

    async def test_most_instances_going_at_once_are_kept_inactive(self, rig: StoreRig) -> None:
        """When more than half of eight or more go silent together they stay listed, and a beat brings each back."""
        for port in range(1, 9):
            await rig.store.register(instance(port), lease(str(port)))
        await rig.advance(14)
        assert await rig.states() == dict.fromkeys(range(1, 9), False)
        assert await rig.store.renew("1", "orders")
        assert (await rig.states())[1]

    async def test_a_store_that_can_tell_calls_after_changes_only(self, rig: StoreRig) -> None:
        """Subscribers may be woken by changes, never by beats, and not after they ended their subscription."""
        woken: list[Revision] = []
        end = rig.store.on_change(lambda: woken.append(Revision("", 0)))
        await rig.store.register(instance(), lease())
        await rig.advance(1)
        seen = len(woken)
        await rig.store.renew("a", "orders")
        await rig.advance(1)
        assert len(woken) == seen
        end()
        await rig.store.release("a", "orders")
        await rig.advance(1)
        assert len(woken) == seen

    async def test_closing_is_possible(self, rig: StoreRig) -> None:
        """Whoever opened a store can close it."""
        await rig.store.close()
