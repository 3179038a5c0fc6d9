"""Everything a request needs to know of the directory, as one immutable value."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from hydra_asgi.core.directory.overview import Overview, build_overview
from hydra_asgi.core.instance import Revision, Route, ServiceInstance, Snapshot
from hydra_asgi.core.routing.route_table import RouteTable

__all__ = ["DirectoryState", "LocalApp", "build_state"]


@dataclass(frozen=True, slots=True)
class LocalApp:
    """The app that is mounted in this node.

    Attributes:
        instance: what the site is told about it; the service name is empty when it is told nothing.
        hidden: routes that only this node knows. They have the precedence of the app's other routes.
    """

    instance: ServiceInstance
    hidden: tuple[Route, ...] = ()


@dataclass(frozen=True, slots=True)
class DirectoryState:
    """The directory at one moment. A request keeps the one it started with.

    Attributes:
        snapshot: the instances this was made of.
        table: whose is a request.
        departed: routes that were known within the last hour and are away now; never to be forwarded to.
        overview: what templates and services may see.
        own: the mounted app's instance as the table has it; None when no app is mounted.
        needs_key: users have to be told apart, because a service has more than one version to offer.
        visible: what the overview was made of.
    """

    snapshot: Snapshot = field(default_factory=lambda: Snapshot(Revision("", 0)))
    table: RouteTable = field(default_factory=lambda: RouteTable.build(()))
    departed: RouteTable = field(default_factory=lambda: RouteTable.build(()))
    overview: Overview = field(default_factory=Overview)
    own: ServiceInstance | None = None
    needs_key: bool = False
    visible: Snapshot = field(default_factory=lambda: Snapshot(Revision("", 0)))


def build_state(
    snapshot: Snapshot,
    departed: Sequence[ServiceInstance],
    local: LocalApp | None = None,
    *,
    before: DirectoryState | None = None,
    breathe: Callable[[], object] = lambda: None,
) -> DirectoryState:
    """Compile a snapshot, the mounted app, and the instances that left.

    Args:
        snapshot: what the store lists.
        departed: the instances that left.
        local: the mounted app.
        before: the state that this one follows; what has not changed since is taken over.
        breathe: see `compile_routes`.
    """
    before = before or DirectoryState()
    own = None if local is None else _own(snapshot, local, before.own)
    others = (instance for instance in snapshot.instances if own is None or instance.key != own.key)
    # First, so that the app's own menu items come before those of others.
    instances = (*others,) if own is None else (own, *others)
    hidden = [(local.instance.key, route) for route in local.hidden] if local is not None else ()
    table = RouteTable.build(instances, snapshot.settings, private=hidden, before=before.table, breathe=breathe)
    breathe()
    visible = _visible(snapshot, local)
    overview = build_overview(visible, (before.visible, before.overview))
    breathe()
    return DirectoryState(
        snapshot=snapshot,
        table=table,
        departed=RouteTable.build(departed, snapshot.settings, before=before.departed, breathe=breathe),
        overview=overview,
        own=own,
        needs_key=any(group.needs_key for group in table.services.values()),
        visible=visible,
    )


def _own(snapshot: Snapshot, local: LocalApp, known: ServiceInstance | None) -> ServiceInstance:
    """The mounted app as the store lists it, else as it will be, with the routes that only we know."""
    listed = next((instance for instance in snapshot.instances if instance.key == local.instance.key), local.instance)
    own = replace(listed, routes=(*listed.routes, *local.hidden)) if local.hidden else listed
    return known if known is not None and known == own and known.address.pinned == own.address.pinned else own


def _visible(snapshot: Snapshot, local: LocalApp | None) -> Snapshot:
    """What others may see, with the mounted app even before the store lists it."""
    if local is None or any(instance.key == local.instance.key for instance in snapshot.instances):
        return snapshot
    return replace(snapshot, instances=(local.instance, *snapshot.instances))
