"""What every `Store` does, whatever it is made of.

A test module for a store subclasses `StoreContract` under a name that starts with `Test` and gives a `rig` fixture: a
fresh, empty store and a way to let time pass (`StoreRig.advance`).

Where time is real, `StoreContract` would take minutes. Subclass `PromptContract` there, in which no time passes, and
run all the rest at once, each test on an empty store of its own (another namespace, another file), in some 25 s:

    async def test_time_passes() -> None:
        await last_together(open_rig)  # `open_rig`: an async context manager that gives a `StoreRig`

Nothing here depends on how fast a store is, on when a wake arrives, or on the numbers in revisions, tokens and orders.
"""

from dataclasses import replace

import pytest

from hydra_asgi.core.binding import Binding
from hydra_asgi.core.instance import (
    Address,
    Dialect,
    FragmentDeclaration,
    MenuItem,
    Route,
    RouteKind,
    ServiceInstance,
)
from hydra_asgi.core.routing.token import MAX_TOKEN, MIN_TOKEN
from hydra_asgi.core.service_settings import Condition, ConditionSource, ServiceSettings, SharePolicy
from hydra_asgi.errors import RefusedError
from tests.backends.store_lasting_contract import LastingContract, last_together
from tests.backends.store_rig import CALLER, StoreRig, a_lease, an_instance

__all__ = ["LastingContract", "PromptContract", "StoreContract", "StoreRig", "last_together"]

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

FULL = ServiceSettings(
    shares={1: 90.0, 2: 0.0, 7: 2.5},
    policy=SharePolicy.NEWEST_VERSION_WINS,
    conditions=(
        Condition(ConditionSource.HEADER, "x-tester", "yes", 2),
        Condition(ConditionSource.COOKIE, "Beta", "", 2),
        Condition(ConditionSource.HEADER, "x-tester", 'é " \\ {}', 1),
    ),
    prefixes=("/orders", "/é/{id:int}"),
)
"""Settings that use every field."""

EVERY_SETTING = [
    FULL,
    ServiceSettings({0: 1e9}),
    ServiceSettings(policy=SharePolicy.EQUAL_SHARE),
    ServiceSettings(conditions=FULL.conditions[:1]),
    ServiceSettings(prefixes=("/orders",)),
]


class PromptContract:
    """The tests in which no time passes."""

    @pytest.fixture
    def rig(self) -> StoreRig:
        raise NotImplementedError

    async def test_a_new_store_is_empty_and_has_a_revision(self, rig: StoreRig) -> None:
        """There is a revision before there is anything."""
        snapshot = await rig.store.snapshot()
        assert snapshot.instances == ()
        assert dict(snapshot.settings) == {}
        assert snapshot.revision == await rig.store.revision()
        assert snapshot.revision.epoch

    async def test_what_is_registered_is_listed_as_returned(self, rig: StoreRig) -> None:
        """Registering returns the instance with token, order and state, and the snapshot lists exactly that."""
        before = await rig.store.revision()
        listed = await rig.store.register(replace(an_instance(), active=False), a_lease())
        after = await rig.store.snapshot()
        assert after.instances == (listed,)
        assert listed == replace(an_instance(), token=listed.token, order=listed.order, active=True)
        assert MIN_TOKEN <= listed.token <= MAX_TOKEN
        assert after.revision.epoch == before.epoch
        assert after.revision.counter > before.counter

    @pytest.mark.parametrize("given", [RICH, replace(RICH, fragments=None), replace(RICH, fragments=(), weight=0.0)])
    async def test_every_field_survives(self, rig: StoreRig, given: ServiceInstance) -> None:
        """What a service says about itself is listed unchanged, the pinned address too."""
        await rig.store.register(given, a_lease())
        (listed,) = (await rig.store.snapshot()).instances
        assert replace(listed, token=0, order=0) == given
        assert listed.address.pinned == given.address.pinned

    async def test_instances_are_listed_by_age_with_tokens_of_their_own(self, rig: StoreRig) -> None:
        """The order is that of first registration, and repeating does not change it."""
        for port in (3, 1, 2):
            await rig.store.register(an_instance(port), a_lease(str(port)))
        await rig.store.register(an_instance(3, template="/new"), a_lease("3"))
        instances = (await rig.store.snapshot()).instances
        assert [listed.address.port for listed in instances] == [3, 1, 2]
        assert [listed.order for listed in instances] == sorted({listed.order for listed in instances})
        assert len({listed.token for listed in instances}) == 3

    async def test_a_repetition_is_no_change(self, rig: StoreRig) -> None:
        """The same announcement again leaves token, order and revision alone, whenever its worker started."""
        first = await rig.store.register(an_instance(), a_lease())
        before = await rig.store.revision()
        again = await rig.store.register(replace(an_instance(), active_since=5), a_lease())
        other = await rig.store.register(an_instance(), a_lease("b"))
        assert replace(again, active_since=0) == replace(other, active_since=0) == first
        assert await rig.store.revision() == before

    async def test_new_content_is_a_change(self, rig: StoreRig) -> None:
        """New content replaces the old under the same token and order."""
        first = await rig.store.register(an_instance(), a_lease())
        before = await rig.counter()
        second = await rig.store.register(an_instance(template="/new"), a_lease())
        assert second == replace(first, routes=(Route("/new"),))
        assert (await rig.store.snapshot()).instances == (second,)
        assert await rig.counter() > before

    async def test_the_last_release_takes_the_instance_at_once(self, rig: StoreRig) -> None:
        """Leaving is immediate; only the last process leaving is a change."""
        await rig.store.register(an_instance(), a_lease("a"))
        await rig.store.register(an_instance(), a_lease("b"))
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
        await rig.store.register(an_instance(), a_lease())
        assert not await rig.store.renew("a", "shop")
        assert not await rig.store.release("a", "shop")
        assert not await rig.store.renew("unknown", "orders")
        assert await rig.states() == {8001: True}

    async def test_a_lease_that_moves_leaves_its_old_instance(self, rig: StoreRig) -> None:
        """A process has one address: the new one replaces the old one, unless others hold that."""
        await rig.store.register(an_instance(1), a_lease("a"))
        await rig.store.register(an_instance(2), a_lease("a"))
        assert await rig.states() == {2: True}
        await rig.store.register(an_instance(2), a_lease("b"))
        await rig.store.register(an_instance(3), a_lease("a"))
        assert await rig.states() == {2: True, 3: True}

    async def test_a_lease_of_another_service_is_refused(self, rig: StoreRig) -> None:
        """A lease does not change its service; nothing is changed by the attempt."""
        await rig.store.register(an_instance(), a_lease())
        before = await rig.store.snapshot()
        with pytest.raises(RefusedError) as refused:
            await rig.store.register(an_instance(service="shop"), a_lease(service="shop"))
        assert refused.value.status == 403
        assert await rig.store.snapshot() == before

    @pytest.mark.parametrize("name", ["a", "b"])
    @pytest.mark.parametrize("port", [8001, 8002])
    async def test_an_unsigned_call_does_not_touch_what_is_signed(self, rig: StoreRig, name: str, port: int) -> None:
        """Neither the signed instance nor the signed lease; an instance of its own is another matter."""
        await rig.store.register(an_instance(), a_lease("a", signed=True))
        if (name, port) == ("b", 8002):
            await rig.store.register(an_instance(port), a_lease(name))
            assert await rig.states() == {8001: True, 8002: True}
            return
        before = await rig.store.snapshot()
        with pytest.raises(RefusedError) as refused:
            await rig.store.register(an_instance(port, template="/evil"), a_lease(name))
        assert refused.value.status == 403
        assert await rig.store.snapshot() == before

    async def test_a_signed_call_takes_over(self, rig: StoreRig) -> None:
        """Who starts to sign is believed from then on."""
        await rig.store.register(an_instance(), a_lease("a"))
        await rig.store.register(an_instance(), a_lease("a", signed=True))
        with pytest.raises(RefusedError):
            await rig.store.register(an_instance(), a_lease("b"))

    async def test_a_signed_call_changes_what_is_signed(self, rig: StoreRig) -> None:
        """A signature opens what it holds, for every process of the service."""
        await rig.store.register(an_instance(), a_lease("a", signed=True))
        await rig.store.register(an_instance(), a_lease("b", signed=True))
        assert (await rig.store.register(an_instance(weight=3.0), a_lease("a", signed=True))).weight == 3.0

    async def test_a_token_goes_with_its_instance_and_comes_back_with_it(self, rig: StoreRig) -> None:
        """What is gone cannot be drained; the same identity gets the same name again."""
        token = (await rig.store.register(an_instance(), a_lease())).token
        await rig.store.release("a", "orders")
        assert not await rig.store.drain(token)
        assert (await rig.store.register(an_instance(), a_lease())).token == token

    async def test_draining_is_weight_zero_and_can_be_taken_back(self, rig: StoreRig) -> None:
        """A drained instance stays listed with weight 0 through repetitions, until told otherwise."""
        token = (await rig.store.register(an_instance(weight=4.0), a_lease())).token
        before = await rig.counter()
        assert await rig.store.drain(token)
        drained = await rig.counter()
        assert drained > before
        assert (await rig.store.register(an_instance(weight=4.0), a_lease())).weight == 0.0
        assert await rig.counter() == drained
        assert await rig.store.drain(token, draining=False)
        assert [listed.weight for listed in (await rig.store.snapshot()).instances] == [4.0]
        assert await rig.counter() > drained
        assert not await rig.store.drain(MIN_TOKEN)

    async def test_closing_is_possible(self, rig: StoreRig) -> None:
        """Whoever opened a store can close it."""
        await rig.store.close()

    @pytest.mark.parametrize("given", EVERY_SETTING)
    async def test_settings_survive_in_every_field(self, rig: StoreRig, given: ServiceSettings) -> None:
        """What is set for a service is in the next snapshot, exactly, beside what is set for others."""
        other = ServiceSettings({7: 1.0})
        await rig.store.configure("shop", other)
        await rig.store.configure("orders", given)
        assert dict((await rig.store.snapshot()).settings) == {"shop": other, "orders": given}

    async def test_only_a_change_of_settings_moves_the_revision(self, rig: StoreRig) -> None:
        """A repetition does not, and neither does taking back what is not set."""
        counters = [await rig.counter()]
        await rig.store.configure("orders", None)
        await rig.store.configure("orders", ServiceSettings())
        assert await rig.counter() == counters[0]
        for settings in (FULL, ServiceSettings({1: 1.0}), FULL, None):
            await rig.store.configure("orders", settings)
            counters.append(await rig.counter())
            await rig.store.configure("orders", settings)
            assert await rig.counter() == counters[-1]
        assert counters == sorted(set(counters))

    @pytest.mark.parametrize("nothing", [None, ServiceSettings()])
    async def test_settings_can_be_taken_back(self, rig: StoreRig, nothing: ServiceSettings | None) -> None:
        """None and an empty one mean the same: the service is governed by what its instances announce."""
        await rig.store.configure("orders", FULL)
        await rig.store.configure("orders", nothing)
        assert dict((await rig.store.snapshot()).settings) == {}

    async def test_settings_replace_each_other_as_a_whole(self, rig: StoreRig) -> None:
        """What the new settings do not name is gone."""
        await rig.store.configure("orders", FULL)
        await rig.store.configure("orders", ServiceSettings(prefixes=("/o",)))
        assert dict((await rig.store.snapshot()).settings) == {"orders": ServiceSettings(prefixes=("/o",))}

    async def test_settings_of_somebody_else_are_not_overwritten(self, rig: StoreRig) -> None:
        """Who says what it has read is told when that is not true any more; what was set meanwhile stays."""
        first, second, third = (ServiceSettings({1: share}) for share in (1.0, 2.0, 3.0))
        assert await rig.store.configure("orders", first, expected=None)
        assert not await rig.store.configure("orders", second, expected=None)
        assert not await rig.store.configure("orders", second, expected=third)
        before = await rig.counter()
        assert await rig.store.configure("orders", second, expected=first)
        assert not await rig.store.configure("orders", None, expected=first)
        assert dict((await rig.store.snapshot()).settings) == {"orders": second}
        assert await rig.counter() > before
        assert await rig.store.configure("orders", None, expected=second)
        assert await rig.store.configure("orders", first, expected=ServiceSettings())

    async def test_settings_that_are_as_wanted_are_set(self, rig: StoreRig) -> None:
        """Two who want the same do not disturb each other, and a call whose answer was lost may be repeated."""
        assert await rig.store.configure("orders", FULL)
        before = await rig.counter()
        assert await rig.store.configure("orders", FULL, expected=None)
        assert await rig.store.configure("shop", None, expected=FULL)
        assert await rig.counter() == before

    async def test_settings_outlive_the_service(self, rig: StoreRig) -> None:
        """A service that comes back after a deployment finds its canary as it was, and instances change nothing."""
        await rig.store.configure("orders", FULL)
        await rig.store.register(an_instance(), a_lease())
        assert await rig.store.release("a", "orders")
        assert dict((await rig.store.snapshot()).settings) == {"orders": FULL}

    async def test_a_lease_takes_only_rising_counters(self, rig: StoreRig) -> None:
        """A copy of an old call is refused with 401 whichever verb it was for, and changes nothing."""
        await rig.store.register(an_instance(), a_lease(counter=5))
        assert await rig.store.renew("a", "orders", counter=7)
        before = await rig.store.snapshot()
        for used in (7, 6, 5, 1):
            with pytest.raises(RefusedError) as refused:
                await rig.store.register(an_instance(weight=3.0), a_lease(counter=used))
            assert refused.value.status == 401
            with pytest.raises(RefusedError) as refused:
                await rig.store.renew("a", "orders", counter=used)
            assert refused.value.status == 401
            with pytest.raises(RefusedError) as refused:
                await rig.store.release("a", "orders", counter=used)
            assert refused.value.status == 401
        assert await rig.store.snapshot() == before
        await rig.store.register(an_instance(weight=3.0), a_lease(counter=8))
        (state,) = await rig.store.leases_of("orders", CALLER)
        assert state.counter == 8
        assert await rig.store.release("a", "orders", counter=9)
        assert await rig.states() == {}

    async def test_calls_without_a_counter_are_not_counted(self, rig: StoreRig) -> None:
        """Peers that do not count go on as they are; the highest number seen stays, also when the lease moves."""
        await rig.store.register(an_instance(1), a_lease(counter=1_000_000_000))
        assert await rig.store.renew("a", "orders")
        await rig.store.register(an_instance(1), a_lease())
        await rig.store.register(an_instance(2), a_lease())
        with pytest.raises(RefusedError):
            await rig.store.renew("a", "orders", counter=1_000_000_000)
        assert await rig.store.renew("a", "orders", counter=1_000_000_001)
        assert await rig.store.release("a", "orders")

    async def test_every_lease_counts_for_itself(self, rig: StoreRig) -> None:
        """Two processes behind one address do not know each other's numbers; a lease that ended counts anew."""
        await rig.store.register(an_instance(), a_lease("a", counter=50))
        await rig.store.register(an_instance(), a_lease("b", counter=1))
        assert await rig.store.renew("b", "orders", counter=2)
        assert await rig.store.release("b", "orders", counter=3)
        assert not await rig.store.renew("b", "orders", counter=1)
        await rig.store.register(an_instance(), a_lease("b", counter=1))
        assert await rig.store.renew("a", "orders", counter=51)

    async def test_the_way_out_comes_before_the_counter(self, rig: StoreRig) -> None:
        """A lease of another service is refused with 403 whatever it counts, and is not counted on."""
        await rig.store.register(an_instance(), a_lease(counter=5))
        with pytest.raises(RefusedError) as refused:
            await rig.store.register(an_instance(service="shop"), a_lease(service="shop", counter=1))
        assert refused.value.status == 403
        assert not await rig.store.renew("a", "shop", counter=9)
        assert await rig.store.renew("a", "orders", counter=6)

    async def test_a_nonce_is_used_once(self, rig: StoreRig) -> None:
        """The second use is refused, others are not concerned, and the directory does not move."""
        before = await rig.store.revision()
        assert await rig.store.first_use("4f1c", 60.0)
        assert await rig.store.first_use("4f1d", 60.0)
        assert not await rig.store.first_use("4f1c", 60.0)
        assert not await rig.store.first_use("4f1d", 1.0)
        assert await rig.store.revision() == before

    @pytest.mark.parametrize("value", [b"s", b"\x00\xff\r\n{}", bytes(range(256)) * 16])
    async def test_a_secret_is_kept_as_it_is(self, rig: StoreRig, value: bytes) -> None:
        """Bytes of any kind, under a name of their own; they are no part of the directory."""
        before = await rig.store.revision()
        assert await rig.store.secret("sso") is None
        assert await rig.store.keep_secret("sso", value, expected=None)
        assert await rig.store.secret("sso") == value
        assert await rig.store.secret("other") is None
        assert await rig.store.revision() == before

    async def test_nodes_that_start_together_agree_on_one_secret(self, rig: StoreRig) -> None:
        """Of several who all saw nothing one keeps its own, and the others find that."""
        offers = [b"one", b"two", b"three"]
        kept = [await rig.store.keep_secret("sso", offer, expected=None) for offer in offers]
        assert kept == [True, False, False]
        assert await rig.store.secret("sso") == b"one"

    async def test_a_secret_is_changed_by_who_knows_it(self, rig: StoreRig) -> None:
        """Replacing and removing need what is there now; a refusal leaves it alone, and after removal all is open."""
        assert not await rig.store.keep_secret("sso", b"new", expected=b"old")
        assert not await rig.store.keep_secret("sso", None, expected=b"old")
        assert await rig.store.keep_secret("sso", b"old", expected=None)
        assert not await rig.store.keep_secret("sso", b"new", expected=b"older")
        assert not await rig.store.keep_secret("sso", None, expected=None)
        assert await rig.store.secret("sso") == b"old"
        assert await rig.store.keep_secret("sso", b"new", expected=b"old")
        assert not await rig.store.keep_secret("sso", None, expected=b"old")
        assert await rig.store.keep_secret("sso", None, expected=b"new")
        assert await rig.store.secret("sso") is None
        assert await rig.store.keep_secret("sso", b"fresh", expected=None)


class StoreContract(PromptContract, LastingContract):
    """All tests."""
