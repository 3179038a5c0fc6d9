"""What route discovery comes back with."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from hydra_asgi.core.instance import Route, RouteKind
from hydra_asgi.core.routing.endpoint import original

__all__ = ["Discovery", "Finding", "FoundRoute", "Place", "Reader", "normal_methods", "rest_of"]


@dataclass(frozen=True, slots=True)
class FoundRoute:
    """One route of the mounted app.

    Attributes:
        route: what is published, the site's prefix included.
        endpoint: the original function or class behind it, None for mounts and declared routes.
        source: who said so: `fastapi`, `starlette`, `quart`, `flask`, `declared`, or `asgi` for an app we cannot read.
        hidden: why it is not published; empty when it is.
        local: the template inside the app, without the site's prefix.
    """

    route: Route
    endpoint: object | None = None
    source: str = "asgi"
    hidden: str = ""
    local: str = ""


@dataclass(frozen=True, slots=True)
class Discovery:
    """All routes of one app.

    Attributes:
        found: every route, the hidden ones included, in the order of the framework.
        framework: `fastapi`, `starlette`, `quart`, `flask`, or `asgi` when the app could not be read.
        catch_all: nothing is known about the app's routes, so it answers everything.
        problems: sentences for the start-up log.
    """

    found: tuple[FoundRoute, ...]
    framework: str
    catch_all: bool
    problems: tuple[str, ...] = ()

    @property
    def published(self) -> tuple[Route, ...]:
        """The routes that other nodes may know."""
        return tuple(found.route for found in self.found if not found.hidden)

    def local_path(self, endpoint: object) -> str | None:
        """The template, inside the app, at which a function or class answers GET; None when it is no such route."""
        return next((found.local for found in self._of(endpoint)), None)

    def public_path(self, endpoint: object) -> str | None:
        """The template, on the site, at which a function or class answers GET; None when it is not published."""
        return next((found.route.template for found in self._of(endpoint) if not found.hidden), None)

    def _of(self, endpoint: object) -> Iterator[FoundRoute]:
        wanted = original(endpoint)
        for found in self.found:
            methods = found.route.methods
            if (
                found.route.kind is RouteKind.HTTP
                and (methods is None or "GET" in methods)
                and found.endpoint == wanted
            ):
                yield found


@dataclass(frozen=True, slots=True)
class Place:
    """Where in its parent an app is mounted: a template prefix, a host, and how many mounts deep."""

    prefix: str = ""
    host: str | None = None
    depth: int = 0


Finding = FoundRoute | str
"""A route, or one sentence about a route that cannot be published."""

Reader = Callable[[object, Place], Iterator[Finding]]
"""Reads an app that is mounted somewhere inside another."""


def normal_methods(methods: object, *, automatic_options: bool = False) -> frozenset[str] | None:
    """Upper-case methods without those a framework adds by itself: HEAD beside GET, and OPTIONS where it says so.

    None (any method) where the framework names none, as for endpoint classes.
    """
    if not isinstance(methods, set | frozenset | list | tuple) or not methods:
        return None
    names = {str(method).upper() for method in methods}
    if "GET" in names:
        names.discard("HEAD")
    if automatic_options and len(names) > 1:
        names.discard("OPTIONS")
    return frozenset(names)


def rest_of(template: str, place: Place, *, source: str, methods: frozenset[str] | None = None) -> Iterator[FoundRoute]:
    """What we cannot see into answers everything at a template; sockets too, unless its methods are known."""
    kinds = (RouteKind.HTTP, RouteKind.WEBSOCKET) if methods is None else (RouteKind.HTTP,)
    for kind in kinds:
        yield FoundRoute(Route(template, methods, kind, place.host), None, source, local=template)
