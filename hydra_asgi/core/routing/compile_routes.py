"""Compiles the routes of a directory; where little has changed since the last time, little is done.

What a service has to do with is compiled anew when one of its instances came, went or changed, or when its settings
did: its routes, and those of other services at the same places. Everything else is the very same objects as before, so
that a large directory costs neither a long computation nor a hundred thousand objects whenever an instance restarts.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter, is_
from typing import NamedTuple

from hydra_asgi.core.instance import Route, RouteKind, ServiceInstance
from hydra_asgi.core.routing.balance import Group
from hydra_asgi.core.routing.host_pattern import parse_host_pattern
from hydra_asgi.core.routing.path_prefixes import PathPrefixes
from hydra_asgi.core.routing.route_owner import Conflict, Declaration, settle
from hydra_asgi.core.routing.route_sites import Paths, Sites
from hydra_asgi.core.routing.route_tree import Fresh
from hydra_asgi.core.routing.template import parse_template
from hydra_asgi.core.service_settings import ServiceSettings
from hydra_asgi.errors import TemplateError

__all__ = ["Compiled", "PrivateRoute", "Skipped", "compile_routes"]

PrivateRoute = tuple[tuple[str, str], Route]
"""An instance's key and a route of it."""


class Skipped(NamedTuple):
    """A route that could not be taken in.

    Attributes:
        key: the instance's.
        template: the route.
        reason: why.
    """

    key: tuple[str, str]
    template: str
    reason: str

    def __str__(self) -> str:
        """For the operator."""
        service, address = self.key
        return f"{self.template} of {service} at {address} is left out: {self.reason}"


MAX_EMPTY = 1_000
"""So many places may have lost their routes before the tree is built from nothing, without them."""

_HTTP = RouteKind.HTTP  # looked up once, because a lookup is slow up to Python 3.11

_SOME = 16
"""Places that are decided between two breaths."""

_NOT_ASKED = ""
"""In the place of a place: nothing changes there."""


def _go_on() -> None:
    """Nobody else is there."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """The result, with what the next one needs to know of it.

    Attributes:
        by_service: every service's instances, oldest first; the older service first.
        settings: by service.
        private: the routes that path prefixes did not limit.
        groups: every service with all its instances.
        http: the routes for HTTP.
        websocket: the routes for WebSockets.
        conflicts: routes that two services declare.
        skipped: routes that could not be taken in.
        empty: how many places have lost their routes.
    """

    by_service: Mapping[str, Sequence[ServiceInstance]]
    settings: Mapping[str, ServiceSettings]
    private: frozenset[PrivateRoute]
    groups: Mapping[str, Group]
    http: Sites
    websocket: Sites
    conflicts: tuple[Conflict, ...]
    skipped: tuple[Skipped, ...]
    empty: int


def compile_routes(
    instances: Iterable[ServiceInstance],
    settings: Mapping[str, ServiceSettings],
    private: frozenset[PrivateRoute],
    before: Compiled | None = None,
    breathe: Callable[[], object] = _go_on,
) -> Compiled:
    """Compile a directory.

    Args:
        instances: all listed instances.
        settings: central settings by service.
        private: routes that path prefixes in the settings do not limit.
        before: the last result, of which everything is taken over that is still right; never changed.
        breathe: called every millisecond or so of the work, for whoever has to share a processor or a lock meanwhile.
    """
    by_service: dict[str, list[ServiceInstance]] = {}
    # By age, so that a service's place in this dict is its precedence.
    for instance in _by_age(instances):
        by_service.setdefault(instance.service, []).append(instance)
    if before is not None and (before.private != private or before.empty > MAX_EMPTY):
        before = None
    return _Compilation(by_service, settings, private, before, breathe).run()


def _by_age(instances: Iterable[ServiceInstance]) -> list[ServiceInstance]:
    listed = sorted(instances, key=attrgetter("order"))
    if len({instance.order for instance in listed}) < len(listed):  # the key settles it, and is slow to make
        listed.sort(key=lambda one: (one.order, one.key))
    return listed


class _Compilation:
    """What is needed while routes are compiled and not after."""

    def __init__(
        self,
        by_service: Mapping[str, Sequence[ServiceInstance]],
        settings: Mapping[str, ServiceSettings],
        private: frozenset[PrivateRoute],
        before: Compiled | None,
        breathe: Callable[[], object],
    ) -> None:
        self._by_service = by_service
        self._settings = settings
        self._private = private
        self._before = before
        self._breathe = breathe
        # Of the few services that are limited.
        self._prefixes = {service: PathPrefixes(own.prefixes) for service, own in settings.items() if own.prefixes}
        self._declared: dict[Paths, list[Declaration]] = {}
        self._places: dict[tuple[bool, str | None, str], list[Declaration] | str] = {}
        self._groups: dict[tuple[int, ...], Group] = {}
        self._skipped: list[Skipped] = []
        self._changed = set(by_service)
        self._fresh: Fresh | None = None
        self._http, self._websocket = Sites(), Sites()
        if before is not None:
            self._fresh = set()
            self._http, self._websocket = before.http.copy(self._fresh), before.websocket.copy(self._fresh)
            self._changed = {service for service in {*by_service, *before.by_service} if self._differs(service, before)}

    def run(self) -> Compiled:
        """Do it, once."""
        before, changed = self._before, self._changed
        concerned = changed if before is None else self._open_places(before)
        for service, instances in self._by_service.items():
            if service in concerned:
                self._breathe()
                for instance in instances:
                    for route in instance.routes:
                        self._declare(instance, route)
        conflicts, empty = self._settle()
        old = {} if before is None else before.groups
        return Compiled(
            by_service=self._by_service,
            settings=self._settings,
            private=self._private,
            groups={
                service: self._whole_group(instances) if service in changed else old[service]
                for service, instances in self._by_service.items()
            },
            http=self._http,
            websocket=self._websocket,
            conflicts=conflicts,
            skipped=tuple(self._skipped),
            empty=empty,
        )

    def _differs(self, service: str, before: Compiled) -> bool:
        old, new = before.by_service.get(service, ()), self._by_service.get(service, ())
        # The very same instances: stores hand out what has not changed as it was, and comparing values is slow.
        is_same = len(old) == len(new) and all(map(is_, old, new))
        return not is_same or before.settings.get(service) != self._settings.get(service)

    def _open_places(self, before: Compiled) -> set[str]:
        """Find every place where a changed service has or had a route; returns all services that have to do with it."""
        seen: set[int] = set()
        for service in self._changed:
            for instance in (*before.by_service.get(service, ()), *self._by_service.get(service, ())):
                if id(instance.routes) not in seen:  # most instances of a service share them
                    seen.add(id(instance.routes))
                    for route in instance.routes:
                        self._place(route, service)
        leaves = [node.leaf for node in self._declared if node.leaf is not None]
        self._skipped += [skipped for skipped in before.skipped if skipped[0][0] not in self._changed]
        return self._changed.union(*((leaf.path.service, *leaf.rivals) for leaf in leaves))

    def _declare(self, instance: ServiceInstance, route: Route) -> None:
        """Take in one route of one instance."""
        service = instance.service
        prefixes = self._prefixes.get(service)
        if prefixes is not None and not prefixes.cover(route.template) and (instance.key, route) not in self._private:
            allowed = ", ".join(self._settings[service].prefixes)[:200]
            self._skip(instance, route, f"central settings limit the service to {allowed}")
            return
        place = self._place(route, service)
        if isinstance(place, str):
            self._skip(instance, route, place)
        else:
            place.append(Declaration(instance, route, route.methods if route.kind is _HTTP else None))

    def _skip(self, instance: ServiceInstance, route: Route, reason: str) -> None:
        if instance.service in self._changed:  # of others it is known
            self._skipped.append(Skipped(instance.key, route.template, reason))

    def _place(self, route: Route, service: str) -> list[Declaration] | str:
        """The declarations of all routes of this shape, or why there are none."""
        name = (route.kind is _HTTP, route.host, route.template)
        place = self._places.get(name)
        if place is None:
            place = self._places[name] = self._find_place(route, service)
        return place

    def _find_place(self, route: Route, service: str) -> list[Declaration] | str:
        try:
            segments = parse_template(route.template).segments
            labels = parse_host_pattern(route.host) if route.host else ()
        except TemplateError as error:
            return str(error)
        sites = self._http if route.kind is _HTTP else self._websocket
        if service in self._changed:
            return self._declared.setdefault(sites.reach(labels, segments, self._fresh), [])
        node = sites.find(labels, segments)
        return _NOT_ASKED if node is None else self._declared.get(node, _NOT_ASKED)

    def _settle(self) -> tuple[tuple[Conflict, ...], int]:
        """Decide every place; returns all conflicts, and how many places are empty."""
        old, empty = ((), 0) if self._before is None else (self._before.conflicts, self._before.empty)
        fresh: list[Conflict] = []
        over: set[int] = set()
        for number, (node, declarations) in enumerate(self._declared.items()):
            if not number % _SOME:
                self._breathe()
            if node.leaf is not None:
                over.update(map(id, node.leaf.conflicts))
            if declarations:
                node.leaf = settle(declarations, self._group_of)
                fresh.extend(node.leaf.conflicts)
            else:
                node.leaf, empty = None, empty + 1
        return (*(conflict for conflict in old if id(conflict) not in over), *fresh), empty

    def _whole_group(self, instances: Sequence[ServiceInstance]) -> Group:
        self._breathe()
        return self._group_of(instances)

    def _group_of(self, instances: Sequence[ServiceInstance]) -> Group:
        """The group of these instances of one service, the same object for the same instances."""
        # By id, because comparing instances is slow; `by_service` keeps them alive.
        name = tuple(map(id, instances))
        group = self._groups.get(name)
        if group is None:
            distinct = {id(instance): instance for instance in instances}
            settings = self._settings.get(instances[0].service)
            group = self._groups[name] = Group.build(distinct.values(), settings)
        return group
