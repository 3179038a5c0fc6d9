"""Drains an instance through the shared store, and takes that back."""

from functools import partial

from hydra_asgi.cli.shared_store import ask
from hydra_asgi.cli.site_view import state_of
from hydra_asgi.core.instance import ServiceInstance, Snapshot
from hydra_asgi.core.routing.balance import Group
from hydra_asgi.errors import ConfigurationError
from hydra_asgi.ports import Store

__all__ = ["drain_instance", "find_instance"]


def drain_instance(url: str | None, name: str, *, draining: bool) -> str:
    """Set the effective weight of an instance to 0, or give its weight back.

    Args:
        url: of the store.
        name: a token, or `service@address`.
        draining: False takes it back.

    Returns:
        What has happened, for the operator.

    Raises:
        typer.Exit: the store is away, or there is no such instance.
    """
    return ask(url, partial(_change, name=name, draining=draining))


async def _change(store: Store, *, name: str, draining: bool) -> str:
    instance = find_instance(await store.snapshot(), name)
    if not await store.drain(instance.token, draining=draining):
        raise ConfigurationError(f"{_named(instance)} left in this moment")
    return _told(instance, await store.snapshot(), draining=draining)


def find_instance(snapshot: Snapshot, name: str) -> ServiceInstance:
    """The instance that an operator names.

    Args:
        snapshot: the directory.
        name: a token, or `service@address` with an address as `hydra-asgi instances` shows it, the scheme left out
            where that is clear.

    Raises:
        ConfigurationError: no instance has that name, or several have.
    """
    if name.isascii() and name.isdigit():
        found = [one for one in snapshot.instances if one.token == int(name)]
    elif "@" in name:
        service, _, address = name.partition("@")
        wanted = address.rstrip("/")
        found = [
            one
            for one in snapshot.instances
            if one.service == service and wanted in (str(one.address), f"{one.address.netloc}{one.address.base}")
        ]
    else:
        raise ConfigurationError(
            f"{name[:120]!r} names no instance: expected a token such as 1234567890, or service@address such as "
            "orderService@http://10.0.0.7:8001; `hydra-asgi instances` lists both"
        )
    if not found:
        raise ConfigurationError(f"no instance is listed as {name[:120]!r}: `hydra-asgi instances` lists all")
    if len(found) > 1:
        tokens = ", ".join(str(one.token) for one in found)
        raise ConfigurationError(f"{name[:120]!r} stands for {len(found)} instances: name one by token, {tokens}")
    return found[0]


def _told(instance: ServiceInstance, after: Snapshot, *, draining: bool) -> str:
    if not draining:
        now = next((one for one in after.instances if one.token == instance.token), instance)
        return f"{_named(instance)} takes users again ({state_of(now)}, weight {now.weight:g})"
    others = [one for one in after.instances if one.service == instance.service]
    text = f"{_named(instance)} is drained: within a second no node sends it a request, and it answers what it has"
    if Group.build(others, after.settings.get(instance.service)).is_drained:
        text += f"; it was the last, so {instance.service} takes no requests at all now"
    return text


def _named(instance: ServiceInstance) -> str:
    return f"{instance.service} v{instance.version} at {instance.address} ({instance.token})"
