"""Which instance answers whom."""

import json
from collections import Counter
from math import inf, nan
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hydra_asgi.core.instance import Address, ServiceInstance
from hydra_asgi.core.routing import balance
from hydra_asgi.core.routing.balance import POLICIES, Group, equal_share, newest_version_wins

VECTORS = json.loads(Path(__file__).with_name("balance_vectors.json").read_text("utf-8"))
KEYS = [f"user-{number}" for number in range(5_000)]


def instance(port: int, version: int = 1, weight: float = 10.0, *, active: bool = True) -> ServiceInstance:
    """An instance of one service; its port is its age and its token too."""
    address = Address("http", "127.0.0.1", port)
    return ServiceInstance(
        "orderService", address, version=version, weight=weight, token=port, order=port, active=active
    )


def ports(group: Group, key: str = "") -> list[int]:
    """The ports of the instances in the order in which they would be tried."""
    return [listed.address.port for listed in group.order(key)]


@pytest.mark.parametrize("vector", VECTORS["orders"])
def test_the_order_is_that_of_the_vectors(vector: dict[str, Any]) -> None:
    """The committed vectors hold for ever: a change would move every user."""
    shares = {int(version): share for version, share in (vector["shares"] or {}).items()}
    group = Group.build([instance(**values) for values in VECTORS["instances"]], shares)
    assert ports(group, vector["key"]) == vector["ports"]
    assert group.pick(vector["key"]) == next(group.order(vector["key"]))


def test_shares_are_kept_over_many_keys() -> None:
    """Central shares of 90 and 10 give 90 and 10 percent of the users, whatever the instances weigh."""
    group = Group.build([instance(1, 1, 5), instance(2, 2, 50), instance(3, 2, 50)], {1: 90, 2: 10})
    seen = Counter(picked.version for key in KEYS if (picked := group.pick(key)))
    assert seen[1] / len(KEYS) == pytest.approx(0.9, abs=0.02)
    assert seen[2] / len(KEYS) == pytest.approx(0.1, abs=0.02)


def test_without_central_shares_the_weights_count() -> None:
    """A version's share is the sum of its instances' weights, and an instance's share its weight within that."""
    group = Group.build([instance(1, 1, 60), instance(2, 1, 30), instance(3, 2, 10)], None)
    seen = Counter(picked.token for key in KEYS if (picked := group.pick(key)))
    assert [seen[token] / len(KEYS) for token in (1, 2, 3)] == pytest.approx([0.6, 0.3, 0.1], abs=0.02)


_WEIGHTS = st.lists(st.tuples(st.integers(1, 3), st.sampled_from([1.0, 5.0, 10.0, 90.0])), min_size=2, max_size=6)


@given(_WEIGHTS, st.lists(st.text(max_size=8), min_size=1, max_size=30))
def test_an_instance_more_moves_keys_only_to_itself(versions: list[tuple[int, float]], keys: list[str]) -> None:
    """A new instance of the only version takes over keys it now owns and disturbs no other; its end gives them back."""
    instances = [instance(port, 1, weight) for port, (_, weight) in enumerate(versions, 1)]
    before, after = Group.build(instances[:-1]), Group.build(instances)
    for key in keys:
        assert after.pick(key) in (before.pick(key), instances[-1])


@given(_WEIGHTS, st.lists(st.text(max_size=8), min_size=1, max_size=30))
def test_an_instance_more_moves_keys_only_to_its_version(versions: list[tuple[int, float]], keys: list[str]) -> None:
    """With several versions a new instance adds to its version's share: who moves, moves into that version."""
    instances = [instance(port, version, weight) for port, (version, weight) in enumerate(versions, 1)]
    before, after = Group.build(instances[:-1]), Group.build(instances)
    for key in keys:
        old, new = before.pick(key), after.pick(key)
        assert old is not None
        assert new is not None
        assert new in (old, instances[-1]) or (new.version == instances[-1].version != old.version)


@given(
    _WEIGHTS, st.dictionaries(st.integers(1, 3), st.sampled_from([1.0, 10.0, 90.0]), min_size=3), st.text(max_size=8)
)
def test_under_central_shares_an_instance_less_moves_only_its_keys(
    versions: list[tuple[int, float]], shares: dict[int, float], key: str
) -> None:
    """While its version lives on, only the users of a lost instance move, and they keep their version."""
    instances = [instance(port, version, weight) for port, (version, weight) in enumerate(versions, 1)]
    lost = instances[-1]
    before, after = Group.build(instances, shares).pick(key), Group.build(instances[:-1], shares).pick(key)
    assert before is not None
    assert after is not None
    if before != lost:
        assert after == before
    elif any(other.version == lost.version for other in instances[:-1]):
        assert after.version == lost.version


@given(_WEIGHTS, st.text(max_size=8), st.randoms())
def test_the_choice_does_not_depend_on_the_order_of_arrival(
    versions: list[tuple[int, float]], key: str, random: Any
) -> None:
    """Every node agrees, however its list came about."""
    instances = [instance(port, version, weight) for port, (version, weight) in enumerate(versions, 1)]
    shuffled = random.sample(instances, len(instances))
    assert list(Group.build(shuffled).order(key)) == list(Group.build(instances).order(key))


@given(_WEIGHTS, st.text(max_size=8))
def test_retries_stay_in_the_version_first(versions: list[tuple[int, float]], key: str) -> None:
    """The order names every instance once, version by version; what was tried is left out."""
    instances = [instance(port, version, weight) for port, (version, weight) in enumerate(versions, 1)]
    group = Group.build(instances)
    ordered = list(group.order(key))
    assert sorted(one.token for one in ordered) == [one.token for one in instances]
    runs = [one.version for index, one in enumerate(ordered) if not index or ordered[index - 1].version != one.version]
    assert len(runs) == len(set(runs))
    assert group.pick(key, {ordered[0].token}) == ordered[1]
    assert group.pick(key, {one.token for one in instances}) is None


def test_one_candidate_needs_no_hashing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The usual small site pays nothing for the balance."""
    monkeypatch.setattr(balance, "score", None)
    group = Group.build([instance(1), instance(2, weight=0), instance(3, active=False)])
    assert ports(group, "key") == [1]
    assert not group.needs_key


def test_inactive_instances_answer_only_when_no_active_one_may() -> None:
    """Silent instances get requests when nothing else is left, drained ones never."""
    active, silent, drained = instance(1), instance(2, active=False), instance(3, weight=0)
    assert ports(Group.build([active, silent, drained])) == [1]
    assert ports(Group.build([silent, drained])) == [2]
    assert ports(Group.build([silent])) == [2]
    assert Group.build([active, silent, drained]).active_count == 2
    assert Group.build([silent]).active_count == 0


@pytest.mark.parametrize("weight", [0.0, -1.0, nan, -inf])
def test_a_group_without_weight_is_drained(weight: float) -> None:
    """Nothing is picked when every weight is 0; what is no weight counts as 0."""
    group = Group.build([instance(1, weight=weight), instance(2, 2, weight=0)])
    assert group.is_drained
    assert group.pick("key") is None
    assert not group.needs_key
    assert [one.token for one in group.instances] == [1, 2]


def test_a_group_of_nothing_picks_nothing() -> None:
    """An empty group is drained and has no name."""
    group = Group.build([])
    assert group.is_drained
    assert group.pick("key") is None
    assert (group.service, group.instances, group.active_count) == ("", (), 0)


def test_huge_weights_stay_comparable() -> None:
    """Weights whose sum is no number still share."""
    group = Group.build([instance(1, 1, 1e308), instance(2, 1, 1e308), instance(3, 2, inf)])
    assert [pool.share for pool in group.versions] == [2e9, 1e9]


@pytest.mark.parametrize(
    ("shares", "versions"),
    [
        ({}, [1, 2]),
        ({1: 5, 2: 5}, [1, 2]),
        ({1: 5}, [1]),
        ({1: 5, 2: 0}, [1]),
        ({3: 5}, [1, 2]),
        ({1: 0}, [2]),
        ({1: 0, 2: 0}, []),
        ({1: nan, 2: 1}, [2]),
    ],
)
def test_central_shares_decide_between_versions(shares: dict[int, float], versions: list[int]) -> None:
    """A version that is not named waits while a named one serves, and answers when none can; share 0 drains."""
    group = Group.build([instance(1, 1), instance(2, 2)], shares)
    assert [pool.version for pool in group.versions] == versions
    assert group.needs_key is (len(versions) > 1)


def test_a_key_may_hold_what_utf8_cannot() -> None:
    """A lone surrogate from a header that was decoded leniently breaks no request."""
    assert Group.build([instance(1), instance(2)]).pick("\udce9") is not None


def test_equal_share_gives_every_version_the_same() -> None:
    """However many instances a version has, its share is that of every other."""
    assert equal_share([instance(1, 1), instance(2, 1), instance(3, 2)]) == {1: 10.0, 2: 10.0}


@pytest.mark.parametrize(
    ("instances", "newest"),
    [
        ([instance(1, 1), instance(2, 2)], 2),
        ([instance(1, 1), instance(2, 2, active=False)], 1),
        ([instance(1, 1), instance(2, 2, weight=0)], 1),
        ([instance(1, 1, active=False), instance(2, 2, active=False)], 2),
        ([instance(1, 1, weight=0), instance(2, 2, weight=0)], 2),
    ],
)
def test_newest_version_wins(instances: list[ServiceInstance], newest: int) -> None:
    """The highest version that can serve gets everything."""
    assert newest_version_wins(instances) == {1: 10.0 if newest == 1 else 0.0, 2: 10.0 if newest == 2 else 0.0}


@settings(max_examples=20)
@given(st.sampled_from(sorted(POLICIES)), _WEIGHTS)
def test_a_policy_never_drains_a_service(name: str, versions: list[tuple[int, float]]) -> None:
    """Shares from a policy leave somebody to answer."""
    instances = [instance(port, version, weight) for port, (version, weight) in enumerate(versions, 1)]
    assert not Group.build(instances, POLICIES[name](instances)).is_drained


def test_a_policy_without_instances_has_no_shares() -> None:
    """Policies may be asked about a service that just went."""
    assert equal_share([]) == newest_version_wins([]) == {}
