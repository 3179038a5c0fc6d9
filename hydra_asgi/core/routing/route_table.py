"""Whose is a request? All routes of the directory, compiled; built once for a revision and then only read.

Precedence is the same on every node: a route with a host before one without; then segment by segment literal, typed
parameter, parameter, rest of the path; then the service that registered first. A path that matches nothing is tried
with its trailing slash added or taken away, so that the owning app can redirect.
"""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from hydra_asgi.core.instance import Route, RouteKind, ServiceInstance
from hydra_asgi.core.routing.balance import Group
from hydra_asgi.core.routing.host_pattern import host_labels, parse_host_pattern
from hydra_asgi.core.routing.path_prefixes import PathPrefixes
from hydra_asgi.core.routing.route_owner import Conflict, Declaration, Match, Owners, settle
from hydra_asgi.core.routing.route_tree import Node
from hydra_asgi.core.routing.template import Segment, parse_template
from hydra_asgi.core.service_settings import ServiceSettings
from hydra_asgi.errors import TemplateError

__all__ = ["Conflict", "Match", "RouteTable", "Skipped"]

PrivateRoute = tuple[tuple[str, str], Route]
"""An instance's key and a route of it."""

Skipped = tuple[tuple[str, str], str, str]
"""A route that could not be taken in: the instance's key, the template, the reason."""

_HTTP = RouteKind.HTTP  # looked up once, because a lookup is slow up to Python 3.11

_Paths = Node[Owners]


@dataclass(slots=True)
class _Sites:
    """The routes of one kind: those of any host, and those of named hosts, of which most directories have none."""

    anywhere: _Paths = field(default_factory=Node)
    hosts: Node[_Paths] | None = None

    def roots(self, host: str) -> Iterator[_Paths]:
        """Where to look for a path, the best first."""
        if self.hosts is not None:
            yield from self.hosts.walk(host_labels(host))
        yield self.anywhere

    def root(self, labels: Sequence[Segment]) -> _Paths:
        """The tree for a host or pattern, made where there is none; no labels for any host."""
        if not labels:
            return self.anywhere
        self.hosts = self.hosts or Node()
        place = self.hosts.reach(labels)
        place.leaf = place.leaf or Node()
        return place.leaf


@dataclass(frozen=True, slots=True)
class RouteTable:
    """The compiled directory.

    Attributes:
        services: every service with all its instances.
        conflicts: routes that two services declare; the older service answers them.
        skipped: routes that could not be taken in, with the reason.
    """

    services: Mapping[str, Group]
    conflicts: tuple[Conflict, ...]
    skipped: tuple[Skipped, ...]
    _tokens: Mapping[int, ServiceInstance]
    _http: _Sites
    _websocket: _Sites

    @classmethod
    def build(
        cls,
        instances: Iterable[ServiceInstance],
        settings: Mapping[str, ServiceSettings] | None = None,
        *,
        private: Container[PrivateRoute] = (),
    ) -> Self:
        """Compile a directory.

        Args:
            instances: all listed instances.
            settings: central settings by service.
            private: routes that only this node knows; path prefixes in the settings do not limit them.
        """
        builder = _Builder(instances, settings or {}, private)
        listed = [instance for own in builder.by_service.values() for instance in own]
        for instance in listed:
            for route in instance.routes:
                builder.declare(instance, route)
        return cls(
            conflicts=builder.settle(),
            services={service: builder.group_of(own) for service, own in builder.by_service.items()},
            skipped=tuple(builder.skipped),
            _tokens={instance.token: instance for instance in listed},
            _http=builder.http,
            _websocket=builder.websocket,
        )

    def match(
        self, segments: tuple[str, ...], method: str, *, kind: RouteKind = RouteKind.HTTP, host: str = ""
    ) -> Match | None:
        """The owner of a request, None when no route matches.

        Args:
            segments: the path's decoded segments (`core.routing.raw_path`), at least one.
            method: upper-case; of no account for a WebSocket.
            kind: HTTP or WebSocket.
            host: the `Host` field or "".
        """
        is_http = kind is _HTTP
        sites = self._http if is_http else self._websocket
        # A path that starts with '//' names another host wherever it is taken for a reference (RFC 3986 section 4.2).
        if len(segments) > 1 and not segments[0]:
            return None
        found = _search(sites, segments, method, host)
        if found is None and is_http:
            toggled = segments[:-1] if not segments[-1] else (*segments, "")
            # More than one slash at the end is no trailing slash.
            if toggled and (toggled[-1] or len(toggled) > len(segments)):
                found = _search(sites, toggled, method, host)
        return found

    def by_token(self, token: int) -> ServiceInstance | None:
        """The instance that has a token."""
        return self._tokens.get(token)

    def service(self, name: str) -> Group | None:
        """All instances of a service."""
        return self.services.get(name)


def _search(sites: _Sites, segments: tuple[str, ...], method: str, host: str) -> Match | None:
    refused: Owners | None = None
    for root in sites.roots(host):
        for owners in root.walk(segments):
            owner = owners.owner(method)
            if owner is not None:
                return owner
            refused = refused or owners
    return None if refused is None else refused.refuse()


class _Builder:
    """What is needed while a table is built and not after."""

    def __init__(
        self,
        instances: Iterable[ServiceInstance],
        settings: Mapping[str, ServiceSettings],
        private: Container[PrivateRoute],
    ) -> None:
        self.by_service: dict[str, list[ServiceInstance]] = {}
        # By age, so that a service's place in this dict is its precedence.
        for instance in sorted(instances, key=lambda one: (one.order, one.key)):
            self.by_service.setdefault(instance.service, []).append(instance)
        self.http, self.websocket = _Sites(), _Sites()
        self.skipped: list[Skipped] = []
        self._settings = settings
        self._private = private
        # Of the few services that are limited.
        self._prefixes = {service: PathPrefixes(own.prefixes) for service, own in settings.items() if own.prefixes}
        self._declared: dict[_Paths, list[Declaration]] = {}
        self._places: dict[tuple[bool, str | None, str], list[Declaration] | str] = {}
        self._groups: dict[tuple[int, ...], Group] = {}

    def declare(self, instance: ServiceInstance, route: Route) -> None:
        """Take in one route of one instance."""
        prefixes = self._prefixes.get(instance.service)
        if prefixes is not None and not prefixes.cover(route.template) and (instance.key, route) not in self._private:
            allowed = ", ".join(self._settings[instance.service].prefixes)[:200]
            self.skipped.append((instance.key, route.template, f"central settings limit the service to {allowed}"))
            return
        is_http = route.kind is _HTTP
        name = (is_http, route.host, route.template)
        place = self._places.get(name)
        if place is None:
            place = self._places[name] = self._place(route)
        if isinstance(place, str):
            self.skipped.append((instance.key, route.template, place))
        else:
            place.append(Declaration(instance, route, route.methods if is_http else None))

    def _place(self, route: Route) -> list[Declaration] | str:
        """The declarations of all routes of this shape, or why it has no place in the tree."""
        try:
            segments = parse_template(route.template).segments
            labels = parse_host_pattern(route.host) if route.host else ()
        except TemplateError as error:
            return str(error)
        sites = self.http if route.kind is _HTTP else self.websocket
        return self._declared.setdefault(sites.root(labels).reach(segments), [])

    def settle(self) -> tuple[Conflict, ...]:
        """Decide every route; the overlaps found on the way."""
        conflicts: list[Conflict] = []
        for node, declarations in self._declared.items():
            node.leaf, overlaps = settle(declarations, self.group_of)
            conflicts.extend(overlaps)
        return tuple(conflicts)

    def group_of(self, instances: Sequence[ServiceInstance]) -> Group:
        """The group of these instances of one service, the same object for the same instances."""
        # By id, because comparing instances is slow; `by_service` keeps them alive.
        name = tuple(map(id, instances))
        group = self._groups.get(name)
        if group is None:
            distinct = {id(instance): instance for instance in instances}
            settings = self._settings.get(instances[0].service)
            group = self._groups[name] = Group.build(distinct.values(), settings)
        return group
