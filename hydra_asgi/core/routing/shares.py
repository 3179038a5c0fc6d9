"""How the users of a service are shared out between its versions, where that is decided centrally."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from hydra_asgi.core.instance import ServiceInstance
from hydra_asgi.core.service_settings import ServiceSettings, SharePolicy

__all__ = ["central_shares", "equal_share", "newest_version_wins", "usable_weight"]

MAX_WEIGHT = 1e9
"""Larger weights count as this one: sums stay finite whatever a store holds."""

_FULL_SHARE = 10.0
"""Shares are out of ten, as in Medusa's own settings (CONTRACT.md 9.3)."""


def usable_weight(weight: float) -> float:
    """The weight or share as it counts: not a number and everything below 0 are 0."""
    return min(weight, MAX_WEIGHT) if weight > 0 else 0.0


def central_shares(
    settings: ServiceSettings | None, instances: Sequence[ServiceInstance]
) -> Mapping[int, float] | None:
    """The shares that settings give to versions: those they name, else those their policy makes.

    Args:
        settings: of the service.
        instances: among which the users are shared out; a policy looks at these and at no others of the service, so
            that a route which only an old version has is still answered.

    Returns:
        Version -> share, None where nothing is decided and the instances' weights count.
    """
    if settings is None:
        return None
    if settings.shares or settings.policy is None:
        return settings.shares or None
    return _POLICIES[settings.policy](instances)


def equal_share(instances: Iterable[ServiceInstance]) -> dict[int, float]:
    """Every version gets the same share, however many instances it has."""
    return {instance.version: _FULL_SHARE for instance in instances}


def newest_version_wins(instances: Iterable[ServiceInstance]) -> dict[int, float]:
    """The highest version that can serve gets everything: an active one, else one that is not drained, else any."""
    listed = list(instances)
    usable = [instance for instance in listed if usable_weight(instance.weight)]
    serving = [instance for instance in usable if instance.active] or usable or listed
    newest = max((instance.version for instance in serving), default=0)
    return {instance.version: _FULL_SHARE if instance.version == newest else 0.0 for instance in listed}


_POLICIES: Mapping[SharePolicy, Callable[[Iterable[ServiceInstance]], dict[int, float]]] = {
    SharePolicy.EQUAL_SHARE: equal_share,
    SharePolicy.NEWEST_VERSION_WINS: newest_version_wins,
}
