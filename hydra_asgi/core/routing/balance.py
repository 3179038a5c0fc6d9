"""Which instance of a service answers: the version by the user's key first, then an instance of that version.

Shares between versions come from central settings when there are any for the service (`core.routing.shares`), else
from the sum of the instances' weights; within a version the instances' weights count. Weight 0 never gets a request.
The choice is weighted rendezvous hashing (`core.routing.rendezvous` says what is hashed).
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import Self

from hydra_asgi.core.instance import ServiceInstance
from hydra_asgi.core.routing.rendezvous import Begun, begun, best, candidate_prefix, score
from hydra_asgi.core.routing.shares import central_shares, usable_weight
from hydra_asgi.core.service_settings import Condition, ServiceSettings

__all__ = ["Group", "Member", "VersionPool", "can_serve"]


@dataclass(frozen=True, slots=True)
class Member:
    """An instance that may be picked, with its weight (> 0) within its version."""

    instance: ServiceInstance
    weight: float
    prefix: bytes


@dataclass(frozen=True, slots=True)
class VersionPool:
    """A version that may be picked, with its share of the service's users; 0 for one that only conditions reach."""

    version: int
    share: float
    members: tuple[Member, ...]
    prefix: bytes
    candidates: tuple[tuple[Begun, float], ...] = field(compare=False)
    """The members' hashes and weights, side by side for `rendezvous.best`."""


@dataclass(frozen=True, slots=True)
class Group:
    """Instances of one service among which a request is balanced; built once, then only read.

    Attributes:
        service: the service's name, "" for a group of nothing.
        instances: all of them, drained and inactive ones too, oldest first.
        versions: what may be picked now. Only active instances; the inactive ones when no active one may be picked.
        active_count: how many instances are active, whatever their weight.
        conditions: who gets one version whatever the shares say; `core.routing.conditions` reads requests by them.
    """

    service: str
    instances: tuple[ServiceInstance, ...]
    versions: tuple[VersionPool, ...]
    active_count: int
    conditions: tuple[Condition, ...] = ()
    _candidates: tuple[tuple[Begun, float], ...] = field(default=(), compare=False)
    _first: VersionPool | None = None
    _steered: Mapping[int, "Group"] = field(default_factory=dict, compare=False)

    @classmethod
    def build(cls, instances: Iterable[ServiceInstance], settings: ServiceSettings | None = None) -> Self:
        """Make a group.

        Args:
            instances: of one service.
            settings: what is set centrally. A version that its shares do not name gets nothing while a version with a
                share can serve, and is balanced by its instances' weights when none can.
        """
        listed = _by_age(instances)
        active = [instance for instance in listed if instance.active]
        silent = [instance for instance in listed if not instance.active]
        shares = central_shares(settings, listed)
        versions = _pools(active, shares) or _pools(silent, shares)
        candidates = tuple((begun(pool.prefix), pool.share) for pool in versions)
        group = cls(listed[0].service if listed else "", listed, versions, len(active), _candidates=candidates)
        if settings is None or not settings.conditions:
            return group
        spare = [replace(pool, share=0.0) for pool in _pools(active) or _pools(silent)]
        reachable = {pool.version: pool for pool in (*spare, *versions)}
        named = {condition.version for condition in settings.conditions}
        steered = {version: group._with_first(pool) for version, pool in reachable.items() if version in named}
        # A version that cannot serve now is left out, so that the next condition decides.
        conditions = tuple(condition for condition in settings.conditions if condition.version in steered)
        return replace(group, conditions=conditions, _steered=steered)

    def _with_first(self, first: VersionPool) -> Self:
        """The group for users who get one version; it stands before the others, whatever its share."""
        others = (pool for pool in self.versions if pool.version != first.version)
        return replace(self, versions=(first, *others), _first=first)

    def steered(self, version: int | None) -> "Group":
        """The group for a user who gets this version before others; the group itself for None.

        It is made when the group is, so that a request allocates none.
        """
        return self if version is None else self._steered.get(version, self)

    @property
    def is_drained(self) -> bool:
        """Nothing may be picked: every weight is 0."""
        return not self.versions

    @property
    def needs_key(self) -> bool:
        """Users have to be told apart, because more than one version may answer them."""
        return len(self.versions) > 1

    def pick(self, key: str, exclude: Collection[int] = ()) -> ServiceInstance | None:
        """The instance for a key; None when there is none.

        Args:
            key: the user's weight key; the same key gets the same instance while that may be picked.
            exclude: tokens of instances that were tried already.
        """
        if len(self.versions) == 1 and len(self.versions[0].members) == 1:  # no choice, as on many a site
            lone = self.versions[0].members[0].instance
            return None if lone.token in exclude else lone
        if self.versions and not exclude:  # the usual first try: nobody asks who would be second
            hashed = key.encode("utf-8", "surrogatepass")
            pool = self._first or self.versions[best(self._candidates, hashed)]
            return pool.members[best(pool.candidates, hashed)].instance
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
            if self._first is not None:
                versions = [self._first, *(pool for pool in versions if pool is not self._first)]
        for pool in versions:
            members: Sequence[Member] = pool.members
            if len(members) > 1:
                members = sorted(members, key=lambda one: score(one.prefix, hashed, one.weight), reverse=True)
            for member in members:
                yield member.instance


def can_serve(instances: Sequence[ServiceInstance], settings: ServiceSettings | None) -> bool:
    """Whether a group of these instances, active all of them, would have something to pick."""
    sums: dict[int, float] = {}
    for instance in instances:
        weight = usable_weight(instance.weight)
        if weight:
            sums[instance.version] = sums.get(instance.version, 0.0) + weight
    return bool(_effective_shares(sums, central_shares(settings, instances)))


def _by_age(instances: Iterable[ServiceInstance]) -> tuple[ServiceInstance, ...]:
    listed = sorted(instances, key=attrgetter("order"))
    if len({instance.order for instance in listed}) < len(
        listed
    ):  # the address settles it, and its text is slow to make
        listed.sort(key=lambda instance: (instance.order, str(instance.address)))
    return tuple(listed)


def _pools(instances: Sequence[ServiceInstance], shares: Mapping[int, float] | None = None) -> tuple[VersionPool, ...]:
    by_version: dict[int, list[Member]] = {}
    for instance in instances:
        weight = usable_weight(instance.weight)
        if weight:
            prefix = candidate_prefix("instance", instance.service, str(instance.address))
            by_version.setdefault(instance.version, []).append(Member(instance, weight, prefix))
    sums = {version: sum(member.weight for member in members) for version, members in by_version.items()}
    effective = _effective_shares(sums, shares)
    return tuple(
        VersionPool(
            version,
            effective[version],
            tuple(members),
            _version_prefix(version, members),
            tuple((begun(member.prefix), member.weight) for member in members),
        )
        for version, members in sorted(by_version.items())
        if version in effective
    )


def _version_prefix(version: int, members: Sequence[Member]) -> bytes:
    return candidate_prefix("version", members[0].instance.service, str(version))


def _effective_shares(sums: Mapping[int, float], shares: Mapping[int, float] | None) -> Mapping[int, float]:
    if not shares:
        return sums
    named = {version: share for version in sums if (share := usable_weight(shares.get(version, 0.0)))}
    return named or {version: weight for version, weight in sums.items() if version not in shares}
