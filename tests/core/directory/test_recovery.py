"""What is still known after the store lost everything."""

from hydra_asgi.core.directory.recovery import CARRIED_SECONDS, Recovery
from hydra_asgi.core.instance import Address, Revision, ServiceInstance, Snapshot
from hydra_asgi.core.service_settings import ServiceSettings


def instance(port: int, *, token: int = 0, version: int = 0) -> ServiceInstance:
    return ServiceInstance("orders", Address("http", "10.0.0.1", port), version, token=token or port)


def snapshot(epoch: str, *instances: ServiceInstance, counter: int = 1, **settings: ServiceSettings) -> Snapshot:
    return Snapshot(Revision(epoch, counter), instances, settings)


def ports(recovery: Recovery) -> list[int]:
    return [known.address.port for known in recovery.snapshot.instances]


def watch(recovery: Recovery, start: float, seconds: float) -> float:
    """Ask a store in which nothing moves every half second."""
    now = start
    while now < start + seconds:
        now += 0.5
        recovery.expire(now)
    return now


def test_nothing_is_known_before_the_first_snapshot() -> None:
    """A node that has not loaded yet knows no revision."""
    recovery = Recovery()
    assert recovery.revision is None
    assert recovery.snapshot.instances == ()
    assert not recovery.expire(1.0)


def test_the_first_snapshot_and_later_ones_of_its_epoch_are_taken_as_they_are() -> None:
    """While the store lives, what it says is the truth."""
    recovery = Recovery()
    recovery.adopt(snapshot("a", instance(1), instance(2)), 0.0)
    later = snapshot("a", instance(2), counter=2, orders=ServiceSettings({1: 5.0}))
    recovery.adopt(later, 1.0)
    assert recovery.snapshot == later
    assert recovery.revision == later.revision
    assert not recovery.is_recovering


def test_an_emptied_store_takes_nothing_away_at_once() -> None:
    """In a new epoch the last known good entries stay, for as long as a living service needs to come back."""
    recovery = Recovery()
    recovery.adopt(snapshot("a", instance(1), orders=ServiceSettings({1: 5.0})), 0.0)
    recovery.adopt(snapshot("b", counter=0), 1.0)
    assert ports(recovery) == [1]
    assert recovery.snapshot.settings == {"orders": ServiceSettings({1: 5.0})}
    assert recovery.snapshot.revision == Revision("b", 0)
    assert recovery.is_recovering
    now = watch(recovery, 1.0, CARRIED_SECONDS - 0.5)
    assert ports(recovery) == [1]
    assert recovery.expire(now + 0.5)
    assert ports(recovery) == []
    assert recovery.snapshot.settings == {}
    assert not recovery.is_recovering
    assert not recovery.expire(now + 1.0)


def test_an_entry_that_is_announced_again_is_the_new_one() -> None:
    """The store's word replaces what was carried; when it leaves again it is gone."""
    recovery = Recovery()
    recovery.adopt(snapshot("a", instance(1), instance(2)), 0.0)
    recovery.adopt(snapshot("b"), 1.0)
    recovery.adopt(snapshot("b", instance(2, version=7), counter=2), 2.0)
    assert recovery.snapshot.instances == (instance(1), instance(2, version=7))
    recovery.adopt(snapshot("b", counter=3), 3.0)
    assert ports(recovery) == [1]


def test_a_living_instance_has_the_better_right_to_a_token() -> None:
    """Two instances never answer to one token, not even while one of them is only remembered."""
    recovery = Recovery()
    recovery.adopt(snapshot("a", instance(1, token=5), instance(2, token=6)), 0.0)
    recovery.adopt(snapshot("b", instance(3, token=5)), 1.0)
    assert ports(recovery) == [2, 3]


def test_each_entry_is_kept_for_ten_seconds_from_when_it_was_last_listed() -> None:
    """A store that is emptied again and again does not keep the dead for ever."""
    recovery = Recovery()
    recovery.adopt(snapshot("a", instance(1)), 0.0)
    recovery.adopt(snapshot("b", instance(2)), 1.0)
    now = watch(recovery, 1.0, 6.0)
    recovery.adopt(snapshot("c"), now)
    assert ports(recovery) == [1, 2]
    now = watch(recovery, now, 4.0)
    assert ports(recovery) == [2]
    watch(recovery, now, 6.0)
    assert ports(recovery) == []


def test_settings_made_anew_win_over_carried_ones() -> None:
    """Central settings are carried too, service by service."""
    recovery = Recovery()
    recovery.adopt(snapshot("a", instance(1), orders=ServiceSettings({1: 5.0}), shop=ServiceSettings({1: 3.0})), 0.0)
    recovery.adopt(snapshot("b", orders=ServiceSettings({1: 9.0})), 1.0)
    assert recovery.snapshot.settings == {"orders": ServiceSettings({1: 9.0}), "shop": ServiceSettings({1: 3.0})}


def test_time_without_a_store_does_not_count() -> None:
    """A store that goes away during recovery takes nothing with it."""
    recovery = Recovery()
    recovery.adopt(snapshot("a", instance(1)), 0.0)
    recovery.adopt(snapshot("b"), 1.0)
    assert not recovery.expire(3600.0)
    assert ports(recovery) == [1]


def test_what_a_former_life_knew_is_known_until_the_store_answers() -> None:
    """A node may begin with what it knew; the store knows better, and its first snapshot is asked for in any case."""
    recovery = Recovery()
    former = snapshot("a", instance(1), instance(2))
    recovery.recall(former)
    assert recovery.snapshot == former
    assert recovery.revision is None
    recovery.adopt(snapshot("a", instance(2), counter=5), 0.0)
    assert ports(recovery) == [2]
    assert not recovery.is_recovering


def test_a_store_that_lost_everything_while_the_node_was_away() -> None:
    """What a former life knew is carried over a new epoch, as what was known in this one."""
    recovery = Recovery()
    recovery.recall(snapshot("a", instance(1), instance(2)))
    recovery.adopt(snapshot("b", instance(2)), 0.0)
    assert ports(recovery) == [1, 2]
    assert recovery.is_recovering
    watch(recovery, 0.0, CARRIED_SECONDS)
    assert ports(recovery) == [2]


def test_a_former_life_counts_only_before_the_store_has_answered() -> None:
    """Nothing is recalled over what the store has said."""
    recovery = Recovery()
    recovery.adopt(snapshot("b", instance(2)), 0.0)
    recovery.recall(snapshot("a", instance(1)))
    assert ports(recovery) == [2]
