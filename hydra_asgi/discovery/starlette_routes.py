"""Reads the routes of a Starlette or FastAPI app, by the shape of their objects: neither is imported.

FastAPI 0.137 and later keep an included router behind an object without a path; `fastapi.routing.iter_route_contexts`
shows what is inside, and is used when FastAPI is loaded and has it.
"""

import re
import sys
from collections.abc import Iterator, Sequence

from hydra_asgi.core.instance import Route, RouteKind
from hydra_asgi.core.routing.endpoint import original
from hydra_asgi.core.routing.template_dialects import from_starlette, prefixed
from hydra_asgi.discovery.found import Finding, FoundRoute, Place, Reader, normal_methods, rest_of
from hydra_asgi.discovery.peek import class_names, peek
from hydra_asgi.errors import TemplateError

__all__ = ["framework_of", "is_starlette", "is_static_files", "read_starlette"]

_DOCUMENTATION = ("openapi_url", "docs_url", "redoc_url", "swagger_ui_oauth2_redirect_url")
_HOST_PARAMETER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)(?::[^{}]*)?\}")
_GET = frozenset({"GET"})


def is_starlette(thing: object) -> bool:
    """Whether it is an app, a router or a single route of Starlette or of FastAPI."""
    if not callable(peek(thing, "url_path_for")):
        return False
    return _is_route(thing) or isinstance(peek(thing, "routes"), list)


def is_static_files(thing: object) -> bool:
    """Whether it serves a directory; it has no routes."""
    return "StaticFiles" in class_names(thing) and callable(peek(thing, "lookup_path"))


def framework_of(app: object) -> str:
    """`fastapi` or `starlette`: by the module of the app's class or of a base of it."""
    roots = {base.__module__.partition(".")[0] for base in type(app).__mro__}
    return "fastapi" if "fastapi" in roots else "starlette"


def read_starlette(app: object, place: Place, inner: Reader) -> Iterator[Finding]:
    """All routes of an app, a router or a single route.

    Args:
        app: what `is_starlette` recognised.
        place: where it is mounted.
        inner: reads apps that are mounted in it.
    """
    source = framework_of(app)
    documentation = frozenset(str(peek(app, name)) for name in _DOCUMENTATION)
    for route in _routes_of(app):
        try:
            for finding in _read_route(route, place, inner, source):
                yield _without_documentation(finding, peek(route, "path") in documentation)
        except TemplateError as error:
            yield str(error)
    yield from _read_frontends(app, place, source)


def _is_route(thing: object) -> bool:
    """A route or a mount works as an app of its own; a mount has routes too, below its path."""
    return "BaseRoute" in class_names(thing)


def _routes_of(app: object) -> Iterator[object]:
    routes = [app] if _is_route(app) else peek(app, "routes")
    show = peek(sys.modules.get("fastapi.routing"), "iter_route_contexts")
    shown = show(routes) if callable(show) else routes
    yield from shown if isinstance(shown, Iterator | Sequence) else ()


def _read_route(route: object, place: Place, inner: Reader, source: str) -> Iterator[Finding]:
    given = peek(route, "original_route") or route
    kind = class_names(given)
    path, mounted = peek(route, "path"), peek(route, "app")
    if "Host" in kind:
        host = _HOST_PARAMETER.sub(r"{\1}", str(peek(route, "host"))).lower()
        yield from inner(mounted, Place(place.prefix, _without_port(host), place.depth + 1))
    elif "Mount" in kind:
        below = prefixed(place.prefix, from_starlette(str(path))) if path else place.prefix
        yield from inner(mounted, Place(below, place.host, place.depth + 1))
    elif {"Route", "WebSocketRoute"} & kind and isinstance(path, str):
        is_http = "Route" in kind
        template = prefixed(place.prefix, from_starlette(path))
        methods = normal_methods(peek(route, "methods")) if is_http else None
        public = Route(template, methods, RouteKind.HTTP if is_http else RouteKind.WEBSOCKET, place.host)
        hidden = "include_in_schema=False" if peek(route, "include_in_schema") is False else ""
        yield FoundRoute(public, original(peek(route, "endpoint")), source, hidden, template)
    elif callable(peek(route, "handle")):
        yield f"a route of class {type(given).__name__!r} is not understood: name what it answers in routes="


def _without_documentation(finding: Finding, is_documentation: bool) -> Finding:
    if is_documentation and isinstance(finding, FoundRoute) and finding.hidden:
        return FoundRoute(finding.route, finding.endpoint, finding.source, "framework documentation", finding.local)
    return finding


def _without_port(host: str) -> str:
    """Host routes ignore the port (RFC 9110 section 7.2 puts it after the last colon)."""
    return host if host.endswith("]") else host.rpartition(":")[0] or host


def _read_frontends(app: object, place: Place, source: str) -> Iterator[Finding]:
    """FastAPI's `app.frontend(...)`: directories that are asked last."""
    show = peek(peek(app, "router") or app, "_iter_low_priority_routes")
    for group in show() if callable(show) else ():
        above = str(peek(group, "frontend_prefix") or "")
        directories = peek(peek(group, "original_route") or group, "routes")
        for directory in directories if isinstance(directories, list) else ():
            path = f"{above}/{str(peek(directory, 'path')).strip('/')}".rstrip("/")
            try:
                template = prefixed(place.prefix, from_starlette(f"{path}/{{path:path}}"))
            except TemplateError as error:
                yield str(error)
            else:
                yield from rest_of(template, place, source=source, methods=_GET)
