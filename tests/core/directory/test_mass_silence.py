"""The guard against taking our own fault for the end of everybody else."""

import pytest

from hydra_asgi.core.directory.lease_times import HELD_SECONDS
from hydra_asgi.core.directory.listing import Lease, Listing
from hydra_asgi.core.directory.mass_silence import hold_back
from hydra_asgi.core.instance import Address, ServiceInstance


def listing(beat: float) -> Listing:
    instance = ServiceInstance("orders", Address("http", "h", 1))
    made = Listing(instance, instance)
    made.leases["a"] = Lease("a", "orders", "", False, beat, made)
    return made


@pytest.mark.parametrize(("known", "silent", "held"), [(7, 7, 0), (8, 4, 0), (8, 5, 5), (9, 5, 5), (10, 5, 0)])
def test_more_than_half_of_eight_or_more_are_held(known: int, silent: int, held: int) -> None:
    """Few instances, or half of them, are just gone."""
    listings = [listing(0.0 if number < silent else 5.0) for number in range(known)]
    alarm = hold_back(listings, 6.0)
    assert [one.held_until for one in listings] == [6.0 + HELD_SECONDS] * held + [None] * (known - held)
    assert alarm.startswith(f"{held} of {known} instances" if held else "")
    assert bool(alarm) is bool(held)


def test_silence_spread_over_one_beat_counts_together() -> None:
    """Those that went a little earlier are held too, and those that follow join without another alarm."""
    early, late, last = ([listing(beat) for _ in range(4)] for beat in (0.0, 2.0, 2.9))
    for one in early:
        one.settle(5.5)
    assert hold_back([*early, *late, *last], 7.5)
    assert {one.held_until for one in [*early, *late]} == {7.5 + HELD_SECONDS}
    assert {one.held_until for one in last} == {None}
    for one in late:
        one.settle(7.5)
    assert hold_back([*early, *late, *last], 8.0) == ""
    assert {one.held_until for one in last} == {8.0 + HELD_SECONDS}
    assert {one.held_until for one in early} == {7.5 + HELD_SECONDS}


def test_silence_that_is_over_a_beat_old_does_not_count() -> None:
    """Instances that went one after the other are just gone."""
    early, late = ([listing(beat) for _ in range(4)] for beat in (0.0, 4.0))
    for one in early:
        one.settle(5.5)
    assert hold_back([*early, *late], 9.5) == ""


def test_nothing_is_held_when_nothing_lapses() -> None:
    """A new instance that makes eight of seven silent ones is no reason for an alarm."""
    silent = [listing(0.0) for _ in range(7)]
    for one in silent:
        one.settle(5.5)
    assert hold_back([*silent, listing(6.0)], 6.0) == ""


def test_the_end_of_being_held_is_no_new_silence() -> None:
    """A minute is the most."""
    listings = [listing(0.0) for _ in range(8)]
    assert hold_back(listings, 6.0)
    for one in listings:
        one.settle(6.0)
    assert hold_back(listings, 6.0 + HELD_SECONDS) == ""
    assert all(one.is_forgotten(6.0 + HELD_SECONDS) for one in listings)
