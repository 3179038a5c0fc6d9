"""One instance and its leases."""

from dataclasses import replace

from hydra_asgi.core.directory.lease_times import FORGOTTEN_SECONDS, INACTIVE_SECONDS
from hydra_asgi.core.directory.listing import Lease, Listing, same_announcement
from hydra_asgi.core.instance import Address, Route, ServiceInstance

ORDERS = ServiceInstance("orders", Address("http", "10.0.0.1", 8001), routes=(Route("/orders"),), weight=7.0)


def listing(*beats: float, signed: bool = False) -> Listing:
    made = Listing(ORDERS, replace(ORDERS, token=1_000_000_001, order=3))
    for number, beat in enumerate(beats):
        made.leases[str(number)] = Lease(str(number), "orders", "10.0.0.1", signed, beat, made)
    return made


def test_two_announcements_are_the_same_whenever_their_workers_started() -> None:
    """Start time, token, order and state are no news."""
    assert same_announcement(ORDERS, replace(ORDERS, active_since=5, token=9, order=9, active=False))


def test_what_a_service_publishes_and_where_it_is_reached_is_news() -> None:
    """A new route, weight or pinned address makes two announcements different."""
    assert not same_announcement(ORDERS, replace(ORDERS, routes=()))
    assert not same_announcement(ORDERS, replace(ORDERS, weight=8.0))
    assert not same_announcement(ORDERS, replace(ORDERS, address=replace(ORDERS.address, pinned="10.0.0.9")))


def test_the_last_announcement_is_kept_when_it_is_news() -> None:
    """What a service says now replaces what it said before."""
    made = listing(0.0)
    assert not made.announce(replace(ORDERS, active_since=5))
    assert made.announced is ORDERS
    assert made.announce(replace(ORDERS, weight=8.0))
    assert made.settle(1.0, news=True)
    assert (made.listed.weight, made.listed.token, made.listed.order) == (8.0, 1_000_000_001, 3)


def test_a_lease_is_active_up_to_its_deadline_and_lapses_at_it() -> None:
    """Silent for more than five seconds is inactive, for ten is lapsed."""
    lease = Lease("a", "orders", "", False, 100.0, listing())
    inactive, lapsed = lease.deadlines()
    assert (inactive, lapsed) == (100.0 + INACTIVE_SECONDS, 100.0 + FORGOTTEN_SECONDS)
    assert lease.is_active(inactive)
    assert not lease.is_active(inactive + 0.001)
    assert not lease.has_lapsed(lapsed - 0.001)
    assert lease.has_lapsed(lapsed)


def test_an_instance_is_active_while_one_of_its_leases_is() -> None:
    """Each process holds a lease; one is enough."""
    made = listing(0.0, 4.0)
    assert not made.settle(8.0)
    assert made.settle(9.5)
    assert not made.listed.active
    assert made.silent_since == 9.5
    assert not made.settle(9.6)
    assert made.silent_since == 9.5


def test_a_revived_instance_starts_afresh() -> None:
    """A beat ends silence and whatever kept the silent instance."""
    made = listing(0.0)
    made.settle(6.0)
    made.held_until = 66.0
    made.leases["0"].beat = 7.0
    assert made.settle(7.0)
    assert made.listed.active
    assert made.silent_since is None
    assert made.held_until is None


def test_an_instance_drains_while_one_of_its_leases_does() -> None:
    """Draining shows as weight 0 and leaves the announced weight alone."""
    made = listing(0.0, 0.0)
    made.leases["1"].draining = True
    assert made.settle(1.0)
    assert made.listed.weight == 0.0
    made.leases.pop("1")
    assert made.settle(1.0)
    assert made.listed.weight == 7.0


def test_it_is_signed_when_one_lease_is() -> None:
    """One signed lease protects the instance."""
    made = listing(0.0)
    assert not made.is_signed
    made.leases["1"] = Lease("1", "orders", "", True, 0.0, made)
    assert made.is_signed


def test_it_is_forgotten_when_all_leases_lapsed_and_nothing_keeps_it() -> None:
    """A vouch or a mass silence keeps an instance whose leases have all lapsed."""
    made = listing(0.0, 3.0)
    assert not made.is_forgotten(12.0)
    assert made.is_forgotten(13.0)
    made.vouched_until = 14.0
    assert not made.is_forgotten(13.0)
    assert made.is_forgotten(14.0)
    made.held_until = 60.0
    assert not made.is_forgotten(14.0)


def test_it_lapses_when_it_goes_silent_and_when_it_is_forgotten() -> None:
    """Both are news once; being held puts off being forgotten, and its end is no news."""
    made = listing(0.0)
    assert not made.lapses(5.0)
    assert made.lapses(5.5)
    made.settle(5.5)
    assert not made.lapses(6.0)
    assert made.lapses(10.0)
    made.held_until = 66.0
    assert not made.lapses(66.0)


def test_silence_is_recent_for_a_while() -> None:
    """An instance became inactive a short time ago, or it did not."""
    made = listing(0.0)
    assert not made.went_silent(5.5, within=3.0)
    made.settle(5.5)
    assert made.went_silent(8.4, within=3.0)
    assert not made.went_silent(8.5, within=3.0)


def test_pending_moments_are_those_not_dealt_with() -> None:
    """A sweep is due when a lease goes silent or lapses, and when what keeps the instance ends."""
    made = listing(0.0)
    assert list(made.pending(1.0)) == [5.0, 10.0]
    assert list(made.pending(5.0)) == [5.0, 10.0]
    assert list(made.pending(6.0)) == [10.0]
    made.vouched_until = 20.0
    assert list(made.pending(11.0)) == [20.0]
    assert list(made.pending(20.0)) == []
