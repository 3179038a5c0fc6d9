"""The registration body that our own service side sends: the Java shape (CONTRACT.md 10.2) and `hydraAsgi`.

A Java gateway reads the first part and ignores the second; a gateway of ours reads routes and fragments from the
second. One invalid Spring pattern would stop the route updates of every service there, so patterns are made by
`to_spring` alone and what it cannot say is left out.
"""

from hydra_asgi.core.instance import FragmentDeclaration, MenuItem, Route, RouteKind, ServiceInstance
from hydra_asgi.core.routing.template_dialects import to_spring
from hydra_asgi.errors import TemplateError
from hydra_asgi.wire.strict_json import dump_json

__all__ = ["LIBRARY", "PROTOCOL", "java_instance", "registration_json"]

PROTOCOL = 1
"""Raised when a peer of the previous number would misread us. One number back is understood."""

LIBRARY = "0.1.0"

DIALECTS = ("ndjson",)
"""What we can answer a fragment request with, beside the plain array."""


def registration_json(instance: ServiceInstance, lease: str) -> bytes:
    """Write the registration of one of our own instances.

    Args:
        instance: what is announced; an empty `address.host` means "the address I call from".
        lease: the lease's name.
    """
    announced = java_instance(instance) | {"staticResources": sorted(instance.resources)}
    announced["hydraAsgi"] = {
        "protocol": PROTOCOL,
        "library": LIBRARY,
        "dialects": list(DIALECTS),
        "lease": lease,
        "routes": [_route(route) for route in instance.routes],
        "fragments": None if instance.fragments is None else [*map(_fragment, instance.fragments)],
        "weight": instance.weight,
        "base": instance.address.base,
    }
    return dump_json(announced)


def java_instance(instance: ServiceInstance) -> dict[str, object]:
    """An instance as Java peers have it (CONTRACT.md 1.2), without its static files: they alone can fill an answer."""
    return {
        "webProtocol": instance.address.scheme,
        "host": instance.address.host,
        "port": instance.address.port,
        "socketPort": 0,
        "name": instance.service,
        "version": instance.version,
        "activeSince": instance.active_since,
        "awakening": None,
        "endpoints": _endpoints(instance.routes),
        "sockets": [],
        "staticResources": [],
        "menuItems": _menus(instance.menu_items),
    }


def _endpoints(routes: tuple[Route, ...]) -> list[str]:
    patterns: dict[str, None] = {}
    for route in routes:
        if route.kind is RouteKind.HTTP and route.host is None:
            try:
                patterns[to_spring(route.template)] = None
            except TemplateError:
                continue
    return list(patterns)


def _menus(items: tuple[MenuItem, ...]) -> dict[str, list[dict[str, str | None]]]:
    menus: dict[str, list[dict[str, str | None]]] = {}
    for item in items:
        menus.setdefault(item.menu, []).append({"endpoint": item.endpoint, "label": item.label or None})
    return menus


def _route(route: Route) -> dict[str, object]:
    return {
        "template": route.template,
        "methods": None if route.methods is None else sorted(route.methods),
        "kind": route.kind.value,
        "host": route.host,
    }


def _fragment(fragment: FragmentDeclaration) -> dict[str, object]:
    return {
        "ref": fragment.ref,
        "imports": [*map(str, fragment.imports)],
        "exports": [*map(str, fragment.exports)],
    }
