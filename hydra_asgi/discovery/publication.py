"""Decides which of an app's routes are published: what is hidden unless asked for, and what the author asks for."""

import re
from collections.abc import Container, Iterable, Sequence
from dataclasses import replace

from hydra_asgi.core.instance import Route, RouteKind
from hydra_asgi.core.routing.template import parse_template
from hydra_asgi.core.routing.template_dialects import prefixed
from hydra_asgi.discovery.found import FoundRoute
from hydra_asgi.discovery.overlap import shape
from hydra_asgi.errors import ConfigurationError, TemplateError

__all__ = ["OWN_FILES", "Exclusions", "declared_route", "hide", "is_reserved", "with_declared"]

OWN_FILES = "static files of the app itself, published below /{service}/static/"
"""Under one site every app has a folder of that name, so none of them gets the short path."""

RESERVED = "reserved: /h/ belongs to the control plane"

_OPERATIONS = {
    **dict.fromkeys(("/health", "/healthz", "/livez", "/readyz", "/ready", "/live", "/ping"), "health"),
    "/metrics": "metrics",
}
"""What load balancers and Prometheus ask every instance for itself; forwarded, it would answer for another one."""

_ENTRY = re.compile(r"(?:([A-Za-z]+(?:,[A-Za-z]+)*)\s+)?(/\S*)")


def declared_route(entry: Route | str) -> Route:
    """Read an entry of `routes=`: `"/x"`, `"GET /x/{id}"`, `"GET,POST /x"`, `"WEBSOCKET /ws"`.

    Raises:
        ConfigurationError: it is none of these.
    """
    if isinstance(entry, Route):
        return entry
    found = _ENTRY.fullmatch(entry.strip())
    if found is None:
        raise ConfigurationError(
            f"routes= has {entry[:120]!r}: expected 'GET /path/{{id}}', '/path' or 'WEBSOCKET /path'"
        )
    try:
        template = parse_template(found[2]).text
    except TemplateError as error:
        raise ConfigurationError(f"routes= has {entry[:120]!r}: {error}") from error
    words = found[1].upper() if found[1] else ""
    if words == "WEBSOCKET":
        return Route(template, None, RouteKind.WEBSOCKET)
    return Route(template, frozenset(words.split(",")) if words else None)


class Exclusions:
    """What `exclude=` names: a template, or everything at and below a prefix that ends in `/*`.

    Raises:
        ConfigurationError: an entry does not start with a slash.
    """

    def __init__(self, entries: Iterable[str]) -> None:
        self._shapes: set[str] = set()
        self._prefixes: list[str] = []
        for entry in entries:
            if not entry.startswith("/"):
                raise ConfigurationError(f"exclude= has {entry[:120]!r}: expected '/path/{{id}}' or '/prefix/*'")
            if entry.endswith("/*"):
                self._prefixes.append(shape(entry.removesuffix("/*")))
            else:
                self._shapes.add(shape(entry))

    def __contains__(self, template: str) -> bool:
        """Whole segments count: `/admin/*` excludes `/admin` and `/admin/x`, not `/administration`."""
        wanted = shape(template)
        return wanted in self._shapes or any(
            wanted == prefix or wanted.startswith(f"{prefix}/") for prefix in self._prefixes
        )


def hide(found: FoundRoute, *, exclude: Exclusions, unpublished: Container[object]) -> FoundRoute:
    """The route with the reason for which it is not published, if there is one and it has none yet."""
    reason = found.hidden or _reason(found, unpublished)
    if found.local in exclude:
        reason = "excluded"
    return found if reason == found.hidden else replace(found, hidden=reason)


def _reason(found: FoundRoute, unpublished: Container[object]) -> str:
    plain = found.local.removesuffix("/{path:path}").rstrip("/")
    if plain in _OPERATIONS:
        return _OPERATIONS[plain]
    if plain == "/static" and found.endpoint is None and found.local != plain:
        return OWN_FILES
    if is_reserved(found.route.template):
        return RESERVED
    return "only a fragment" if found.endpoint is not None and _holds(unpublished, found.endpoint) else ""


def is_reserved(template: str) -> bool:
    """Whether a path on the site belongs to the control plane: gateways refuse a service that announces one."""
    return template == "/h" or template.startswith("/h/")


def _reserved(template: str) -> str:
    return RESERVED if is_reserved(template) else ""


def _holds(container: Container[object], endpoint: object) -> bool:
    try:
        return endpoint in container
    except TypeError:  # an endpoint object without a hash cannot have been declared
        return False


def with_declared(
    found: Sequence[FoundRoute], declared: Sequence[Route], prefix: str, exclude: Exclusions
) -> list[FoundRoute]:
    """Add the routes the author named: one that was found is published after all, any other is new.

    What is excluded, or reserved, is not published by being named.
    """
    result = list(found)
    for route in declared:
        places = [place for place, other in enumerate(result) if _is_meant(route, other)]
        for place in places:
            if result[place].hidden != "excluded":
                result[place] = replace(result[place], hidden=_reserved(result[place].route.template))
        if not places:
            public = replace(route, template=prefixed(prefix, route.template))
            hidden = "excluded" if route.template in exclude else _reserved(public.template)
            result.append(FoundRoute(public, None, "declared", hidden, route.template))
    return result


def _is_meant(route: Route, found: FoundRoute) -> bool:
    if shape(route.template) != shape(found.local) or route.kind != found.route.kind:
        return False
    if route.host is not None and route.host != found.route.host:
        return False
    methods = found.route.methods
    return route.methods is None or methods is None or route.methods <= methods
