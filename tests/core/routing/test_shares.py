"""How users are shared out between versions."""

from math import inf, nan

import pytest

from hydra_asgi.core.instance import Address, ServiceInstance
from hydra_asgi.core.routing.shares import central_shares, equal_share, newest_version_wins, usable_weight
from hydra_asgi.core.service_settings import ServiceSettings, SharePolicy


def instance(port: int, version: int = 1, weight: float = 10.0, *, active: bool = True) -> ServiceInstance:
    """An instance of one service."""
    return ServiceInstance("orders", Address("http", "127.0.0.1", port), version, weight, active=active)


BOTH = [instance(1, 1), instance(2, 2), instance(3, 2)]


@pytest.mark.parametrize(
    ("settings", "shares"),
    [
        (None, None),
        (ServiceSettings(), None),
        (ServiceSettings(prefixes=("/orders",)), None),
        (ServiceSettings({1: 90.0}), {1: 90.0}),
        (ServiceSettings(policy=SharePolicy.EQUAL_SHARE), {1: 10.0, 2: 10.0}),
        (ServiceSettings(policy=SharePolicy.NEWEST_VERSION_WINS), {1: 0.0, 2: 10.0}),
        (ServiceSettings({1: 90.0}, SharePolicy.NEWEST_VERSION_WINS), {1: 90.0}),
    ],
)
def test_shares_are_those_given_else_those_of_the_policy(
    settings: ServiceSettings | None, shares: dict[int, float] | None
) -> None:
    """Shares given one by one come before a policy; without either the instances' weights count."""
    assert central_shares(settings, BOTH) == shares


def test_equal_share_gives_every_version_the_same() -> None:
    """However many instances a version has, its share is that of every other."""
    assert equal_share(BOTH) == {1: 10.0, 2: 10.0}


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


def test_a_policy_without_instances_has_no_shares() -> None:
    """Policies may be asked about a service that just went."""
    assert equal_share([]) == newest_version_wins([]) == {}


@pytest.mark.parametrize(
    ("weight", "counts"), [(2.5, 2.5), (0.0, 0.0), (-1.0, 0.0), (nan, 0.0), (-inf, 0.0), (inf, 1e9), (1e308, 1e9)]
)
def test_a_weight_counts_as_a_finite_number(weight: float, counts: float) -> None:
    """Whatever a store holds, sums of weights stay numbers."""
    assert usable_weight(weight) == counts
