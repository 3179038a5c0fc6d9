"""`hydra-asgi services`, `instances`, and `routes` of a live site: what the shared store says right now."""

from collections.abc import Iterable
from typing import Annotated

import typer

from hydra_asgi.cli.output import print_json, print_table, tell
from hydra_asgi.cli.settings_words import percent, settings_json, shares_text
from hydra_asgi.cli.shared_store import AsJson, StoreUrl, look
from hydra_asgi.cli.site_view import (
    InstanceView,
    PublishedRoute,
    ServiceSummary,
    list_instances,
    list_routes,
    list_services,
    names_beside,
)

__all__ = ["instances", "live_routes", "services"]


_QUIET = frozenset({"absent", "drained", "inactive"})


def services(store: StoreUrl = None, as_json: AsJson = False) -> None:
    """List the services of a site: whether they answer, their versions and who gets which."""
    snapshot = look(store)
    views = list_services(snapshot)
    if as_json:
        print_json({"revision": str(snapshot.revision), "services": [_service_json(view) for view in views]})
        return
    columns = ("service", "state", "instances", "versions", "users", "routes", "settings")
    print_table(columns, map(_service_cells, views), dim=_quiet(view.state in _QUIET for view in views))


def _service_cells(view: ServiceSummary) -> tuple[str, ...]:
    total = sum(view.versions.values())
    versions = ", ".join(f"v{version} x{count}" for version, count in view.versions.items())
    return (
        view.name,
        view.state,
        str(total) if total == view.active else f"{view.active} of {total} active",
        versions,
        shares_text(view.shares),
        str(view.routes),
        "" if view.settings is None else "yes",
    )


def _service_json(view: ServiceSummary) -> dict[str, object]:
    return {
        "service": view.name,
        "state": view.state,
        "instances": sum(view.versions.values()),
        "active": view.active,
        "versions": {str(version): count for version, count in view.versions.items()},
        "users": {str(version): part for version, part in view.shares.items()},
        "routes": view.routes,
        "settings": None if view.settings is None else settings_json(view.settings),
    }


def instances(
    service: Annotated[str | None, typer.Argument(help="Only those of this service.")] = None,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    """List the instances of a site, with the tokens that name them."""
    snapshot = look(store)
    views = list_instances(snapshot, service)
    if service is not None and not views:
        tell(f"no instance of {service[:80]!r} is registered{names_beside(snapshot)}")
    if as_json:
        print_json({"revision": str(snapshot.revision), "instances": [_instance_json(view) for view in views]})
        return
    columns = ("token", "service", "version", "address", "state", "weight", "users", "dialect")
    print_table(columns, map(_instance_cells, views), dim=_quiet(view.state in _QUIET for view in views))


def _instance_cells(view: InstanceView) -> tuple[str, ...]:
    one = view.instance
    where = (str(one.token), one.service, f"v{one.version}", str(one.address))
    return (*where, view.state, f"{one.weight:g}", percent(view.share), one.dialect.value)


def _instance_json(view: InstanceView) -> dict[str, object]:
    one = view.instance
    return {
        "token": one.token,
        "service": one.service,
        "version": one.version,
        "address": str(one.address),
        "state": view.state,
        "weight": one.weight,
        "users": view.share,
        "dialect": one.dialect.value,
        "compose": one.compose,
        "activeSince": one.active_since,
        "routes": len(one.routes),
        "fragments": None if one.fragments is None else [fragment.ref for fragment in one.fragments],
    }


def live_routes(store: str | None, *, as_json: bool) -> bool:
    """List the routes of a live site; whether some are not answered by who publishes them."""
    snapshot = look(store)
    found = list_routes(snapshot)
    if as_json:
        print_json({"revision": str(snapshot.revision), "routes": [_route_json(one) for one in found]})
    else:
        columns = ("template", "methods", "kind", "service", "versions", "instances", "answered")
        print_table(columns, map(_route_cells, found), dim=_quiet(bool(one.trouble) for one in found))
    return any(one.trouble for one in found)


def _route_cells(one: PublishedRoute) -> tuple[str, ...]:
    route = one.route
    return (
        f"{route.host or ''}{route.template}",
        "any" if route.methods is None else ",".join(sorted(route.methods)),
        route.kind.value,
        one.service,
        ", ".join(f"v{version}" for version in one.versions),
        str(one.instances),
        f"no: {one.trouble}" if one.trouble else "yes",
    )


def _route_json(one: PublishedRoute) -> dict[str, object]:
    route = one.route
    return {
        "template": route.template,
        "methods": None if route.methods is None else sorted(route.methods),
        "kind": route.kind.value,
        "host": route.host,
        "service": one.service,
        "versions": list(one.versions),
        "instances": one.instances,
        "answered": not one.trouble,
        "reason": one.trouble,
    }


def _quiet(rows: Iterable[bool]) -> list[int]:
    return [index for index, is_quiet in enumerate(rows) if is_quiet]
