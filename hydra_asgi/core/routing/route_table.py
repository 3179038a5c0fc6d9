"""Whose is a request? All routes of the directory, compiled; built once for a revision and then only read.

Precedence is the same on every node: a route with a host before one without; then segment by segment literal, typed
parameter, parameter, rest of the path; then the service that registered first. A path that matches nothing is tried
with its trailing slash added or taken away, so that the owning app can redirect.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from hydra_asgi.core.instance import RouteKind, ServiceInstance
from hydra_asgi.core.routing.balance import Group
from hydra_asgi.core.routing.compile_routes import Compiled, PrivateRoute, Skipped, compile_routes
from hydra_asgi.core.routing.route_owner import Conflict, Match, Owners
from hydra_asgi.core.routing.route_sites import Sites
from hydra_asgi.core.service_settings import ServiceSettings

__all__ = ["Conflict", "Match", "RouteTable", "Skipped"]

_HTTP = RouteKind.HTTP  # looked up once, because a lookup is slow up to Python 3.11


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
    _http: Sites
    _websocket: Sites
    _compiled: Compiled

    @classmethod
    def build(
        cls,
        instances: Iterable[ServiceInstance],
        settings: Mapping[str, ServiceSettings] | None = None,
        *,
        private: Iterable[PrivateRoute] = (),
        before: "RouteTable | None" = None,
        breathe: Callable[[], object] = lambda: None,
    ) -> Self:
        """Compile a directory.

        Args:
            instances: all listed instances.
            settings: central settings by service.
            private: routes that only this node knows; path prefixes in the settings do not limit them.
            before: the table that this one follows; the more instances are the very same objects, the less is done.
            breathe: see `compile_routes`.
        """
        listed = tuple(instances)
        known = None if before is None else before._compiled
        compiled = compile_routes(listed, settings or {}, frozenset(private), known, breathe)
        return cls(
            services=compiled.groups,
            conflicts=compiled.conflicts,
            skipped=compiled.skipped,
            _tokens={instance.token: instance for instance in listed},
            _http=compiled.http,
            _websocket=compiled.websocket,
            _compiled=compiled,
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


def _search(sites: Sites, segments: tuple[str, ...], method: str, host: str) -> Match | None:
    refused: Owners | None = None
    for root in sites.roots(host):
        for owners in root.walk(segments):
            owner = owners.owner(method)
            if owner is not None:
                return owner
            refused = refused or owners
    return None if refused is None else refused.refuse()
