"""The parts of a running node, as those that start, stop and ask it see them."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from asgiref.typing import ASGIReceiveCallable, ASGISendCallable

from hydra_asgi.control.plane import ControlPlane
from hydra_asgi.gateway.directory import Directory
from hydra_asgi.gateway.static_instances import StaticInstances
from hydra_asgi.node.last_known_good import LastKnownGood
from hydra_asgi.node.ongoing import Ongoing
from hydra_asgi.ports import FragmentSource, Store, Upstream
from hydra_asgi.service.registrar import Registrar
from hydra_asgi.service.store_registrar import StoreRegistrar

__all__ = ["Front", "Parts"]

Front = Callable[[Any, ASGIReceiveCallable, ASGISendCallable], Awaitable[None]]


def _no_relays() -> None:
    """There is nothing to close."""


@dataclass(frozen=True, slots=True)
class Parts:
    """A running node.

    Attributes:
        front: answers what is not for the control plane, and notes in `ongoing` that it does.
        control: answers what is.
        fragments: where the fragments of pages come from.
        directory: what a gateway knows; None on a node that is only a service.
        registrars: what keeps the node's own instance listed; empty for an app without a service name.
        upstream: carries requests to other nodes.
        statics: keeps instances listed that register nowhere; None on a node that is only a service.
        ongoing: what is served now.
        close_relays: ends the forwarded WebSockets, with 1012 for both sides.
        is_known_elsewhere: other nodes send requests here while the own instance is listed.
        store: was opened for this node, and is closed with it; None where it belongs to somebody else.
        secret: finds in the store what nodes prove themselves with; None where the operator has named it.
        last_known_good: keeps what the directory knows on disk; None where nobody asked for that.
    """

    front: Front
    control: ControlPlane
    fragments: FragmentSource
    directory: Directory | None
    registrars: tuple[Registrar | StoreRegistrar, ...]
    upstream: Upstream
    statics: StaticInstances | None = None
    ongoing: Ongoing = field(default_factory=Ongoing)
    close_relays: Callable[[], None] = _no_relays
    is_known_elsewhere: bool = False
    store: Store | None = None
    secret: Callable[[], Awaitable[None]] | None = None
    last_known_good: LastKnownGood | None = None
