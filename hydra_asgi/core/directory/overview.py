"""The slim public view of the directory that services and templates get: who is there, and what menus lead to.

A service without an active instance is not listed, and neither are its menu items. A service whose active instances
all drain (weight or share 0) is listed as not available: its pages cannot be asked for, but it has not gone.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from operator import is_

from hydra_asgi.core.instance import ServiceInstance, Snapshot
from hydra_asgi.core.routing.balance import can_serve
from hydra_asgi.core.routing.path_prefixes import PathPrefixes
from hydra_asgi.core.service_settings import ServiceSettings

__all__ = ["MenuEntry", "Overview", "ServiceView", "build_overview"]


@dataclass(frozen=True, slots=True)
class MenuEntry:
    """One line of a menu.

    Attributes:
        endpoint: the path it leads to, as declared.
        label: what to show; the endpoint when none was declared.
        service: who declared it.
        available: requests can be answered now.
    """

    endpoint: str
    label: str
    service: str
    available: bool = True


@dataclass(frozen=True, slots=True)
class ServiceView:
    """What the public may know of one service.

    Attributes:
        name: the service's name.
        available: an active instance takes requests.
        versions: the versions that are active, in rising order.
        instances: how many active instances there are.
        routes: the templates they publish, each once, in the order of declaration.
    """

    name: str
    available: bool = True
    versions: tuple[int, ...] = ()
    instances: int = 0
    routes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Overview:
    """The directory at one revision, as templates see it.

    Attributes:
        revision: names the state; two overviews with the same revision are equal.
        services: in the order of their oldest registration.
        menus: menu name -> entries, those of the older registration first.
    """

    revision: str = ""
    services: tuple[ServiceView, ...] = ()
    menus: Mapping[str, tuple[MenuEntry, ...]] = field(default_factory=dict)

    def service(self, name: str) -> ServiceView | None:
        """The view of one service, or None when it has no active instance."""
        return next((service for service in self.services if service.name == name), None)

    def is_available(self, service: str) -> bool:
        """Whether requests to a service can be answered now."""
        view = self.service(service)
        return view is not None and view.available

    def menu(self, name: str) -> tuple[MenuEntry, ...]:
        """The entries of a menu; empty when nobody has declared one."""
        return self.menus.get(name, ())


def build_overview(snapshot: Snapshot, before: tuple[Snapshot, Overview] | None = None) -> Overview:
    """Reduce a snapshot to what the public may see.

    Args:
        snapshot: the directory.
        before: an earlier one and what was made of it; views of services that have not changed since are taken over.
    """
    services = _active(snapshot)
    old, known = ({}, Overview()) if before is None else (_active(before[0]), before[1])
    views = {view.name: view for view in known.services}
    for name, instances in services.items():
        settings = snapshot.settings.get(name)
        same = name in views and before is not None and before[0].settings.get(name) == settings
        if not (same and len(old[name]) == len(instances) and all(map(is_, old[name], instances))):
            views[name] = _view(name, instances, settings)
    listed = [views[name] for name in services]
    available = {view.name: view.available for view in listed}
    # An app without a service name is no service, but its menu items are as good as any.
    named = tuple(view for view in listed if view.name)
    return Overview(str(snapshot.revision), named, _menus(snapshot.instances, available))


def _active(snapshot: Snapshot) -> dict[str, list[ServiceInstance]]:
    services: dict[str, list[ServiceInstance]] = {}
    for instance in snapshot.instances:
        if instance.active:
            services.setdefault(instance.service, []).append(instance)
    return services


def _view(name: str, instances: list[ServiceInstance], settings: ServiceSettings | None) -> ServiceView:
    prefixes = PathPrefixes(() if settings is None else settings.prefixes)
    routes = (route.template for instance in instances for route in instance.routes)
    return ServiceView(
        name=name,
        available=can_serve(instances, settings),
        versions=tuple(sorted({instance.version for instance in instances})),
        instances=len(instances),
        routes=tuple(filter(prefixes.cover, dict.fromkeys(routes))),
    )


def _menus(instances: Iterable[ServiceInstance], available: Mapping[str, bool]) -> dict[str, tuple[MenuEntry, ...]]:
    """Menus by name. An endpoint appears once per menu: the older registration owns it, as it owns the route."""
    menus: dict[str, dict[str, MenuEntry]] = {}
    for instance in instances:
        if not instance.active:
            continue
        for item in instance.menu_items:
            entry = MenuEntry(item.endpoint, item.label or item.endpoint, instance.service, available[instance.service])
            menus.setdefault(item.menu, {}).setdefault(item.endpoint, entry)
    return {name: tuple(entries.values()) for name, entries in menus.items()}
