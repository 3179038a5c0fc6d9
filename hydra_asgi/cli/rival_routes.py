"""Routes beside the one that answers: those that fit as well and come later, and those that nearly fit."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from hydra_asgi.core.instance import Route, RouteKind, ServiceInstance, Snapshot
from hydra_asgi.core.routing.route_table import RouteTable
from hydra_asgi.core.routing.template import SegmentKind, parse_template
from hydra_asgi.core.service_settings import ServiceSettings
from hydra_asgi.discovery.overlap import shape

__all__ = ["Request", "is_toggled", "near_misses", "rivals"]


@dataclass(frozen=True, slots=True)
class Request:
    """A request as routes see it.

    Attributes:
        segments: the decoded path.
        method: upper-case.
        kind: HTTP or WebSocket.
        host: the `Host` field, or "".
    """

    segments: tuple[str, ...]
    method: str
    kind: RouteKind
    host: str

    def fits(self, instance: ServiceInstance, route: Route, settings: ServiceSettings | None = None) -> bool | None:
        """Whether the request fits a route and its methods; None when not even the path does."""
        own = {} if settings is None else {instance.service: settings}
        table = RouteTable.build((replace(instance, routes=(route,)),), own)
        found = table.match(self.segments, self.method, kind=self.kind, host=self.host)
        return None if found is None else found.method_allowed


def is_toggled(template: str, segments: tuple[str, ...]) -> bool:
    """Whether a template that fits a path does so only with the slash at the end added or taken away."""
    parts = parse_template(template).segments
    if parts[-1].kind is SegmentKind.REST:
        return len(segments) < len(parts)
    return len(parts) != len(segments) or (not parts[-1].text) != (not segments[-1])


def rivals(snapshot: Snapshot, request: Request, service: str, template: str) -> Iterator[str]:
    """Why each other route that fits comes after the one that answers.

    Args:
        snapshot: the directory.
        request: the request.
        service: who answers it.
        template: the route that answers, as its service wrote it.
    """
    winner = next(
        (
            route
            for instance, route in _routes(snapshot)
            if (instance.service, route.template, route.kind) == (service, template, request.kind)
        ),
        Route(template),
    )
    for instance, route in _routes(snapshot):
        if instance.service == service and shape(route.template) == shape(template):
            continue
        fits = request.fits(instance, route, snapshot.settings.get(instance.service))
        if fits is not None:
            what = f"{route.host or ''}{route.template} of {instance.service} fits too"
            yield f"{what}, but {_why_later(route, winner, request, fits=fits)}"


def _why_later(route: Route, winner: Route, request: Request, *, fits: bool) -> str:
    if not fits:
        return f"does not take {request.method}"
    if is_toggled(route.template, request.segments) and not is_toggled(winner.template, request.segments):
        return "only with another slash at the end"
    if (shape(route.template), route.host) == (shape(winner.template), winner.host):
        return "registered later"
    return "holds for any host" if winner.host and not route.host else "is less specific"


def near_misses(snapshot: Snapshot, request: Request) -> Iterator[str]:
    """What keeps each route from fitting that does not fit, where it is not the path."""
    for instance, route in _routes(snapshot):
        what = f"{route.template} of {instance.service} would fit, but"
        settings = snapshot.settings.get(instance.service)
        if request.fits(instance, route, settings) is not None:
            continue
        if settings is not None and request.fits(instance, route) is not None:
            yield f"{what} central settings limit the service to {', '.join(settings.prefixes)[:200]}"
        elif route.kind is not request.kind and request.fits(instance, replace(route, kind=request.kind)) is not None:
            yield f"{what} it is a route for {'WebSockets' if route.kind is RouteKind.WEBSOCKET else 'HTTP'}"
        elif route.host and request.fits(instance, replace(route, host=None)) is not None:
            yield f"{what} only for the host {route.host}"


def _routes(snapshot: Snapshot) -> Iterator[tuple[ServiceInstance, Route]]:
    """Each route of each service once, with its oldest instance."""
    seen = set[tuple[str, Route]]()
    for instance in snapshot.instances:
        for route in instance.routes:
            if (instance.service, route) not in seen:
                seen.add((instance.service, route))
                yield instance, route
