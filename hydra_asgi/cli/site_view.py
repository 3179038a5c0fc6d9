"""The directory as commands show it: one plain value for each service, instance and route."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from hydra_asgi.core.instance import Route, RouteKind, ServiceInstance, Snapshot
from hydra_asgi.core.routing.balance import Group
from hydra_asgi.core.routing.route_owner import Conflict
from hydra_asgi.core.routing.route_table import RouteTable
from hydra_asgi.core.service_settings import ServiceSettings
from hydra_asgi.discovery.overlap import shape

__all__ = [
    "InstanceView",
    "PublishedRoute",
    "ServiceSummary",
    "list_instances",
    "list_routes",
    "list_services",
    "names_beside",
    "state_of",
    "version_shares",
]


MAX_NAMED = 8


@dataclass(frozen=True, slots=True)
class ServiceSummary:
    """One service.

    Attributes:
        name: the service's.
        state: `available`; `drained`, it is there and takes no requests; `inactive`, all of it is silent; `absent`,
            only settings of it are there.
        versions: version -> how many instances of it are listed, in rising order.
        active: how many instances are active.
        shares: version -> part of the users, from 0 to 1, of those versions that get any.
        routes: how many routes it publishes.
        settings: what is set centrally; None for nothing.
    """

    name: str
    state: str
    versions: dict[int, int]
    active: int
    shares: dict[int, float]
    routes: int
    settings: ServiceSettings | None


@dataclass(frozen=True, slots=True)
class InstanceView:
    """One instance.

    Attributes:
        instance: as it is listed.
        state: `active`, `inactive` or `drained`.
        share: its part of the service's users, from 0 to 1.
    """

    instance: ServiceInstance
    state: str
    share: float


@dataclass(frozen=True, slots=True)
class PublishedRoute:
    """One route of one service.

    Attributes:
        service: who publishes it.
        route: template, methods, kind and host.
        versions: the versions that have it, in rising order.
        instances: how many instances have it.
        trouble: why requests do not get there; empty when they do.
    """

    service: str
    route: Route
    versions: tuple[int, ...]
    instances: int
    trouble: str


def state_of(instance: ServiceInstance) -> str:
    """One word for how an instance is."""
    if not instance.active:
        return "inactive"
    return "active" if instance.weight > 0 else "drained"


def version_shares(group: Group) -> dict[int, float]:
    """Version -> its part of the users, from 0 to 1, of those versions that get any."""
    total = sum(pool.share for pool in group.versions)
    return {pool.version: pool.share / total for pool in group.versions if total}


def list_services(snapshot: Snapshot) -> list[ServiceSummary]:
    """Every service that is listed or has settings, by name."""
    groups = RouteTable.build(snapshot.instances, snapshot.settings).services
    names = sorted({*groups, *snapshot.settings})
    return [_summary(name, groups.get(name) or Group.build(()), snapshot.settings.get(name)) for name in names]


def _summary(name: str, group: Group, settings: ServiceSettings | None) -> ServiceSummary:
    if not group.instances:
        state = "absent"
    elif not group.active_count:
        state = "inactive"
    else:
        state = "drained" if group.is_drained else "available"
    versions = Counter(instance.version for instance in group.instances)
    return ServiceSummary(
        name=name,
        state=state,
        versions=dict(sorted(versions.items())),
        active=group.active_count,
        shares=version_shares(group),
        routes=len({route for instance in group.instances for route in instance.routes}),
        settings=settings,
    )


def list_instances(snapshot: Snapshot, service: str | None = None) -> list[InstanceView]:
    """The instances of all services or of one, by service, version and age."""
    groups = RouteTable.build(snapshot.instances, snapshot.settings).services
    views = [view for name, group in groups.items() if service in (None, name) for view in _members(group)]
    return sorted(views, key=lambda view: (view.instance.service, view.instance.version, view.instance.order))


def _members(group: Group) -> Iterator[InstanceView]:
    by_version = version_shares(group)
    shares: dict[int, float] = {}
    for pool in group.versions:
        weights = sum(member.weight for member in pool.members)
        for member in pool.members:
            shares[member.instance.token] = by_version.get(pool.version, 0.0) * member.weight / weights
    for instance in group.instances:
        yield InstanceView(instance, state_of(instance), shares.get(instance.token, 0.0))


def list_routes(snapshot: Snapshot) -> list[PublishedRoute]:
    """Every route of every service, in the order of the templates."""
    having: dict[tuple[str, Route], list[ServiceInstance]] = {}
    for instance in snapshot.instances:
        for route in instance.routes:
            having.setdefault((instance.service, route), []).append(instance)
    conflicts: dict[tuple[str, str], list[Conflict]] = {}
    for conflict in RouteTable.build(snapshot.instances, snapshot.settings).conflicts:
        conflicts.setdefault((conflict.loser, shape(conflict.template)), []).append(conflict)
    found = []
    for (service, route), instances in having.items():
        trouble = _refusal(instances[0], route, snapshot.settings)
        if not trouble:
            lost = (_loss(route, conflict) for conflict in conflicts.get((service, shape(route.template)), ()))
            trouble = "; ".join(filter(None, lost))
        versions = tuple(sorted({instance.version for instance in instances}))
        found.append(PublishedRoute(service, route, versions, len(instances), trouble))
    return sorted(found, key=lambda one: (one.route.template, one.route.host or "", one.service, one.route.kind))


def _refusal(instance: ServiceInstance, route: Route, settings: Mapping[str, ServiceSettings]) -> str:
    """Why gateways do not take this route in; empty when they do."""
    own = {name: given for name, given in settings.items() if name == instance.service}
    skipped = RouteTable.build((replace(instance, routes=(route,)),), own).skipped
    return skipped[0][2] if skipped else ""


def _loss(route: Route, conflict: Conflict) -> str:
    """What an older service takes of this route; empty for nothing."""
    if (route.kind, route.host) != (conflict.kind, conflict.host):
        return ""
    methods = None
    if route.kind is RouteKind.HTTP and conflict.methods is not None:
        methods = conflict.methods if route.methods is None else conflict.methods & route.methods
        if not methods:
            return ""
    what = "" if methods in (None, route.methods) else f"{','.join(sorted(methods or ()))} "
    return f"{what}answered by {conflict.winner}, which registered first"


def names_beside(snapshot: Snapshot) -> str:
    """The services that there are, in brackets behind a name that is none of them; empty where there are none."""
    names = sorted({instance.service for instance in snapshot.instances})
    more = ", ..." if len(names) > MAX_NAMED else ""
    return f" (there are {', '.join(names[:MAX_NAMED])}{more})" if names else ""
