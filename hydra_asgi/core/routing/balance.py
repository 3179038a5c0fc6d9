"""Which instance of a service answers: the version by the user's key first, then an instance of that version.

Shares between versions come from central settings when there are any for the service, else from the sum of the
instances' weights; within a version the instances' weights count. Weight 0 never gets a request. The choice is
weighted rendezvous hashing (`core.routing.rendezvous` says what is hashed).
"""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from hydra_asgi.core.instance import ServiceInstance
from hydra_asgi.core.routing.rendezvous import candidate_prefix, score

__all__ = ["POLICIES", "Group", "Member", "Policy", "VersionPool", "equal_share", "newest_version_wins"]

MAX_WEIGHT = 1e9
"""Larger weights count as this one: sums stay finite whatever a store holds."""

_FULL_SHARE = 10.0
"""Shares are out of ten, as in Medusa's own settings (CONTRACT.md 9.3)."""


@dataclass(frozen=True, slots=True)
class Member:
    """An instance that may be picked, with its weight (> 0) within its version."""

    instance: ServiceInstance
    weight: float
    prefix: bytes


@dataclass(frozen=True, slots=True)
class VersionPool:
    """A version that may be picked, with its share (> 0) of the service's users."""

    version: int
    share: float
    members: tuple[Member, ...]
    prefix: bytes


@dataclass(frozen=True, slots=True)
class Group:
    """Instances of one service among which a request is balanced; built once, then only read.

    Attributes:
        service: the service's name, "" for a group of nothing.
        instances: all of them, drained and inactive ones too, oldest first.
        versions: what may be picked now. Only active instances; the inactive ones when no active one may be picked.
        active_count: how many instances are active, whatever their weight.
    """

    service: str
    instances: tuple[ServiceInstance, ...]
    versions: tuple[VersionPool, ...]
    active_count: int

    @classmethod
    def build(cls, instances: Iterable[ServiceInstance], shares: Mapping[int, float] | None = None) -> Self:
        """Make a group.

        Args:
            instances: of one service.
            shares: central settings, version -> share. A version they do not name gets nothing while a version with a
                share can serve, and is balanced by its instances' weights when none can.
        """
        listed = tuple(sorted(instances, key=lambda instance: (instance.order, str(instance.address))))
        active = [instance for instance in listed if instance.active]
        silent = [instance for instance in listed if not instance.active]
        versions = _pools(active, shares) or _pools(silent, shares)
        return cls(listed[0].service if listed else "", listed, versions, len(active))

    @property
    def is_drained(self) -> bool:
        """Nothing may be picked: every weight is 0."""
        return not self.versions

    @property
    def needs_key(self) -> bool:
        """Users have to be told apart, because more than one version may answer them."""
        return len(self.versions) > 1

    def pick(self, key: str, exclude: Container[int] = ()) -> ServiceInstance | None:
        """The instance for a key; None when there is none.

        Args:
            key: the user's weight key; the same key gets the same instance while that may be picked.
            exclude: tokens of instances that were tried already.
        """
        if len(self.versions) == 1 and len(self.versions[0].members) == 1:  # no choice, as on many a site
            lone = self.versions[0].members[0].instance
            return None if lone.token in exclude else lone
        for instance in self.order(key):
            if instance.token not in exclude:
                return instance
        return None

    def order(self, key: str) -> Iterator[ServiceInstance]:
        """The instances that may be picked, best first: those of the key's version, then of its next version."""
        hashed = key.encode("utf-8", "surrogatepass")
        versions: Sequence[VersionPool] = self.versions
        if len(versions) > 1:
            versions = sorted(versions, key=lambda pool: score(pool.prefix, hashed, pool.share), reverse=True)
        for pool in versions:
            members: Sequence[Member] = pool.members
            if len(members) > 1:
                members = sorted(members, key=lambda one: score(one.prefix, hashed, one.weight), reverse=True)
            for member in members:
                yield member.instance


def _pools(instances: Sequence[ServiceInstance], shares: Mapping[int, float] | None) -> tuple[VersionPool, ...]:
    by_version: dict[int, list[Member]] = {}
    for instance in instances:
        weight = _usable(instance.weight)
        if weight:
            prefix = candidate_prefix("instance", instance.service, str(instance.address))
            by_version.setdefault(instance.version, []).append(Member(instance, weight, prefix))
    sums = {version: sum(member.weight for member in members) for version, members in by_version.items()}
    effective = _effective_shares(sums, shares)
    return tuple(
        VersionPool(version, effective[version], tuple(members), _version_prefix(version, members))
        for version, members in sorted(by_version.items())
        if version in effective
    )


def _version_prefix(version: int, members: Sequence[Member]) -> bytes:
    return candidate_prefix("version", members[0].instance.service, str(version))


def _effective_shares(sums: Mapping[int, float], shares: Mapping[int, float] | None) -> Mapping[int, float]:
    if not shares:
        return sums
    named = {version: share for version in sums if (share := _usable(shares.get(version, 0.0)))}
    return named or {version: weight for version, weight in sums.items() if version not in shares}


def _usable(weight: float) -> float:
    """The weight as it counts: not a number and everything below 0 are 0."""
    return min(weight, MAX_WEIGHT) if weight > 0 else 0.0


Policy = Callable[[Iterable[ServiceInstance]], dict[int, float]]
"""Makes the shares of a service's versions from its instances, in the place of central settings."""


def equal_share(instances: Iterable[ServiceInstance]) -> dict[int, float]:
    """Every version gets the same share, however many instances it has."""
    return {instance.version: _FULL_SHARE for instance in instances}


def newest_version_wins(instances: Iterable[ServiceInstance]) -> dict[int, float]:
    """The highest version that can serve gets everything: an active one, else one that is not drained, else any."""
    listed = list(instances)
    usable = [instance for instance in listed if _usable(instance.weight)]
    serving = [instance for instance in usable if instance.active] or usable or listed
    newest = max((instance.version for instance in serving), default=0)
    return {instance.version: _FULL_SHARE if instance.version == newest else 0.0 for instance in listed}


POLICIES: Mapping[str, Policy] = {"EQUAL_SHARE": equal_share, "NEWEST_VERSION_WINS": newest_version_wins}
"""Policies under the names that settings use."""
