"""What a node is as a service: its own fragments, its way to those of others, and how it stays listed."""

from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, Scope

from hydra_asgi.backends.selectolax_picker import SelectolaxPicker
from hydra_asgi.core.directory.overview import Overview
from hydra_asgi.core.fragments.fragment_lending import allowed_names
from hydra_asgi.core.routing.weight_key import read_key
from hydra_asgi.node.foundation import Foundation
from hydra_asgi.node.parts import Front
from hydra_asgi.ports import FragmentSource
from hydra_asgi.service.gateway_client import gateway_address
from hydra_asgi.service.gateway_fragments import GatewayFragments
from hydra_asgi.service.mounted_app import MountedApp
from hydra_asgi.service.no_probe import NoProbe
from hydra_asgi.service.peer_time import PeerTime
from hydra_asgi.service.registrar import Registrar
from hydra_asgi.service.rendering import LocalFragments
from hydra_asgi.service.store_registrar import StoreRegistrar
from hydra_asgi.wire.asking_terms import AskingTerms

__all__ = ["gateway_fragments", "local_fragments", "registrars", "service_front"]

Compose = Callable[..., Awaitable[None]]


def service_front(mounted: MountedApp) -> Front:
    """The front of a node that is only a service: every request is for the app."""

    async def serve(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        headers = [(bytes(name), bytes(value)) for name, value in scope["headers"]]  # type: ignore[typeddict-item]  # never lifespan
        await mounted(scope, receive, send, key=read_key(headers))

    return serve


def local_fragments(foundation: Foundation, mounted: Callable[[], MountedApp]) -> LocalFragments:
    """The app's own fragments.

    Args:
        foundation: of the node.
        mounted: the mounted app, which is made of these fragments and so is there only later.
    """
    options, own = foundation.options, foundation.own

    async def render(scope: Any, receive: Any, send: Any) -> None:
        key, depth = scope["hydra.key"], scope["hydra.depth"]
        await mounted().compose(scope, receive, send, key=key, depth=depth, deadline=scope["hydra.deadline"])

    return LocalFragments(
        service=options.service,
        declarations=foundation.declarations,
        app=render,
        path_of=own.path_of,
        picker=SelectolaxPicker(),
        forward=allowed_names(options.forward, options.service),
        root_path=lambda: own.root_path + options.prefix,
        base=lambda: own.base,
    )


def gateway_fragments(foundation: Foundation) -> FragmentSource:
    """The fragments of other services, by way of a gateway."""
    options = foundation.options
    gateways = [gateway_address(url) for url in options.gateways]
    return GatewayFragments(
        lambda: gateways,
        PeerTime(foundation.asking, foundation.signer),
        AskingTerms(key=lambda: options.key, sign=foundation.signer, forward=options.forward),
    )


def registrars(
    foundation: Foundation, on_overview: Callable[[Overview], None], on_change: Callable[[str], None] | None
) -> tuple[Registrar | StoreRegistrar, ...]:
    """What keeps the node's own instance listed: in the store it opens itself, at gateways, or both.

    Args:
        foundation: of the node.
        on_overview: takes each overview that a gateway sends.
        on_change: is told how the store takes changes; None on a node that does not open it.
    """
    options, own = foundation.options, foundation.own
    made: list[Registrar | StoreRegistrar] = []
    if not options.service:
        return ()
    if on_change is not None:
        prober = foundation.prober if options.address else NoProbe()
        made.append(StoreRegistrar(lambda: own.instance, foundation.store, prober, on_change=on_change))
    if options.gateways:
        made.append(
            Registrar(
                lambda: own.instance,
                options.gateways,
                options.key,
                options.secret,
                foundation.upstream,
                foundation.prober,
                on_overview=on_overview,
                signer=foundation.signer,
            )
        )
    return tuple(made)
