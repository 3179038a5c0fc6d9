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
from hydra_asgi.core.routing.balance import Group
from hydra_asgi.core.service_settings import Condition, ConditionSource, ServiceSettings, SharePolicy

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
    group = Group.build([instance(**values) for values in VECTORS["instances"]], ServiceSettings(shares))
    assert ports(group, vector["key"]) == vector["ports"]
    assert group.pick(vector["key"]) == next(group.order(vector["key"]))


def test_shares_are_kept_over_many_keys() -> None:
    """Central shares of 90 and 10 give 90 and 10 percent of the users, whatever the instances weigh."""
    group = Group.build([instance(1, 1, 5), instance(2, 2, 50), instance(3, 2, 50)], ServiceSettings({1: 90, 2: 10}))
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
    given = ServiceSettings(shares)
    before, after = Group.build(instances, given).pick(key), Group.build(instances[:-1], given).pick(key)
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
    group = Group.build([instance(1, 1), instance(2, 2)], ServiceSettings(shares))
    assert [pool.version for pool in group.versions] == versions
    assert group.needs_key is (len(versions) > 1)


def test_a_key_may_hold_what_utf8_cannot() -> None:
    """A lone surrogate from a header that was decoded leniently breaks no request."""
    assert Group.build([instance(1), instance(2)]).pick("\udce9") is not None


@settings(max_examples=20)
@given(st.sampled_from(SharePolicy), _WEIGHTS)
def test_a_policy_never_drains_a_service(policy: SharePolicy, versions: list[tuple[int, float]]) -> None:
    """Shares from a policy leave somebody to answer."""
    instances = [instance(port, version, weight) for port, (version, weight) in enumerate(versions, 1)]
    assert not Group.build(instances, ServiceSettings(policy=policy)).is_drained


def for_testers(*versions: int, shares: dict[int, float] | None = None) -> ServiceSettings:
    """Settings under which the header `x-v: <version>` gets that version."""
    conditions = (Condition(ConditionSource.HEADER, "x-v", str(version), version) for version in versions)
    return ServiceSettings(shares or {}, conditions=tuple(conditions))


def test_a_version_that_a_condition_names_comes_first_whatever_its_share() -> None:
    """Who gets version 2 gets it although it has no share; then the others, as for everybody else."""
    instances = [instance(1, 1), instance(2, 2), instance(3, 2), instance(4, 3)]
    group = Group.build(instances, for_testers(2, shares={1: 50, 3: 50}))
    forced = group.steered(2)
    for key in KEYS[:50]:
        assert set(ports(forced, key)[:2]) == {2, 3}
        assert ports(forced, key)[2:] == ports(group, key)
        assert forced.pick(key) in instances[1:3]
        assert forced.pick(key, {2, 3}) == group.pick(key)
    assert {picked.version for key in KEYS[:50] if (picked := group.pick(key))} == {1, 3}
    assert (group.needs_key, len(group.conditions)) == (True, 1)


def test_a_version_with_a_share_may_be_named_too() -> None:
    """It is tried once, before the rest; within it the key decides as always."""
    group = Group.build([instance(1, 1), instance(2, 2), instance(3, 2)], for_testers(1, 2))
    for key in KEYS[:50]:
        assert ports(group.steered(1), key)[0] == 1
        assert sorted(ports(group.steered(2), key)) == [1, 2, 3]
        assert ports(group.steered(2), key)[:2] == [port for port in ports(group, key) if port != 1]


def test_a_group_without_conditions_steers_nobody() -> None:
    """The usual service pays nothing, and neither does a user whom no condition fits."""
    plain, group = Group.build([instance(1)]), Group.build([instance(1), instance(2, 2)], for_testers(2))
    assert plain.steered(2) is plain
    assert plain.conditions == ()
    assert group.steered(None) is group
    assert group.steered(7) is group
    assert group.steered(2) is group.steered(2)


@pytest.mark.parametrize(
    "gone", [[], [instance(2, 2, weight=0)], [instance(2, 2, active=False)], [instance(2, 2, 0, active=False)]]
)
def test_a_version_that_cannot_serve_is_forced_on_nobody(gone: list[ServiceInstance]) -> None:
    """A drained, silent or missing version leaves the user to the next condition, at last to the shares."""
    group = Group.build([instance(1, 1), instance(3, 3), *gone], for_testers(2, 3, shares={1: 100}))
    assert [condition.version for condition in group.conditions] == [3]
    assert ports(group.steered(2)) == [1]
    assert ports(group.steered(3)) == [3, 1]


def test_a_silent_version_is_forced_when_all_are_silent() -> None:
    """Silent instances get requests when nothing else is left, also those that a condition asks for."""
    group = Group.build([instance(1, 1, active=False), instance(2, 2, active=False)], for_testers(2, shares={1: 100}))
    assert ports(group.steered(2)) == [2, 1]


def test_a_service_without_shares_still_serves_those_whom_a_condition_names() -> None:
    """Shares of 0 keep everybody out but the testers."""
    group = Group.build([instance(1, 1), instance(2, 2)], for_testers(2, shares={1: 0, 2: 0}))
    assert group.is_drained
    assert ports(group.steered(2)) == [2]


def test_an_active_version_is_reached_while_the_shares_name_a_silent_one() -> None:
    """The shares' only version is silent and has to do for everybody else."""
    group = Group.build([instance(1, 1), instance(2, 2, active=False)], for_testers(1, 2, shares={1: 0, 2: 100}))
    assert ports(group) == [2]
    assert ports(group.steered(1)) == [1, 2]
    assert ports(group.steered(2)) == [2]
