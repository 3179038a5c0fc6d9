"""Puts the parts of a node together. Which library stands behind which port is decided here and nowhere else."""

import ipaddress
import logging
import random
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, Scope

from hydra_asgi.backends.httpx_upstream import HttpxUpstream
from hydra_asgi.backends.memory import MemoryStore
from hydra_asgi.backends.native_upstream.upstream import NativeUpstream
from hydra_asgi.backends.network_prober import NetworkProber
from hydra_asgi.backends.selectolax_picker import SelectolaxPicker
from hydra_asgi.backends.websockets_upstream import WebsocketsUpstream
from hydra_asgi.control.address_check import AddressCheck
from hydra_asgi.control.drain_desk import DrainDesk
from hydra_asgi.control.fragment_desk import AskDesk, RenderDesk
from hydra_asgi.control.guard import Guard
from hydra_asgi.control.plane import ControlPlane, ReadyState
from hydra_asgi.control.registration import RegistrationDesk
from hydra_asgi.core.directory.directory_state import LocalApp
from hydra_asgi.core.directory.lease_times import BEAT_SECONDS
from hydra_asgi.core.directory.overview import Overview
from hydra_asgi.core.fragments.fragment_lending import allowed_names
from hydra_asgi.core.routing.weight_key import read_key
from hydra_asgi.gateway.compose import Composer, Fallback
from hydra_asgi.gateway.directory import Directory
from hydra_asgi.gateway.fallback_log import log_warning
from hydra_asgi.gateway.forward import Forwarder
from hydra_asgi.gateway.forwarded_pages import ForwardedPages
from hydra_asgi.gateway.fragment_router import FragmentRouter
from hydra_asgi.gateway.fragments import InstanceFragments
from hydra_asgi.gateway.front import GatewayFront
from hydra_asgi.gateway.identified import Identified
from hydra_asgi.gateway.instance_health import InstanceHealth
from hydra_asgi.gateway.replaceable_fragments import ReplaceableFragments
from hydra_asgi.gateway.static_instances import StaticInstances, Tended
from hydra_asgi.gateway.websocket_forward import WebSocketForwarder
from hydra_asgi.node.observing import Observing
from hydra_asgi.node.own_app import OwnApp
from hydra_asgi.options import Network, Options
from hydra_asgi.ports import FragmentSource, Prober, Store, Upstream
from hydra_asgi.service.declarations import Declarations
from hydra_asgi.service.gateway_client import gateway_address
from hydra_asgi.service.gateway_fragments import GatewayFragments
from hydra_asgi.service.mounted_app import MountedApp
from hydra_asgi.service.no_probe import NoProbe
from hydra_asgi.service.registrar import Registrar
from hydra_asgi.service.rendering import LocalFragments
from hydra_asgi.service.signer import Signer
from hydra_asgi.service.store_registrar import StoreRegistrar

__all__ = ["Parts", "assemble", "make_store", "make_upstream"]

Front = Callable[[Any, ASGIReceiveCallable, ASGISendCallable], Awaitable[None]]


async def _nothing() -> None:
    """There is nothing to leave."""


def _no_relays() -> None:
    """There is nothing to close."""


logger = logging.getLogger("hydra_asgi.directory")


@dataclass(frozen=True, slots=True)
class Parts:
    """A running node.

    Attributes:
        front: answers what is not for the control plane.
        control: answers what is.
        fragments: where the fragments of pages come from.
        directory: what a gateway knows; None on a node that is only a service.
        registrars: what keeps the node's own instance listed; empty for an app without a service name.
        upstream: carries requests to other nodes.
        statics: keeps instances listed that register nowhere; None on a node that is only a service.
        close_relays: ends the forwarded WebSockets, with 1012 for both sides.
        is_known_elsewhere: other nodes send requests here while the own instance is listed.
    """

    front: Front
    control: ControlPlane
    fragments: FragmentSource
    directory: Directory | None
    registrars: tuple[Registrar | StoreRegistrar, ...]
    upstream: Upstream
    statics: StaticInstances | None = None
    close_relays: Callable[[], None] = _no_relays
    is_known_elsewhere: bool = False


def make_store(url: str) -> Store:
    """The store that a URL names; `Options` has checked it."""
    return MemoryStore(on_alarm=logger.error)


def make_upstream(given: object) -> Upstream:
    """Our upstream, or the user's: an `Upstream`, or any async transport or client in the form of httpx."""
    if given is None:
        return NativeUpstream()
    if hasattr(given, "send") and not hasattr(given, "build_request"):
        return given  # type: ignore[return-value]  # a Protocol: it has the verb, its types are the user's word
    return HttpxUpstream(given)


def assemble(
    options: Options,
    own: OwnApp,
    declarations: Declarations,
    *,
    store: Store,
    upstream: Upstream,
    prober: Prober | None = None,
    ready: Callable[[], ReadyState],
    on_overview: Callable[[Overview], None],
    fragments: Callable[[FragmentSource], FragmentSource],
    is_complete: bool = False,
    observing: Observing | None = None,
    instances: Sequence[Tended] = (),
    drain: Callable[[], Awaitable[None]] = _nothing,
    ongoing: Callable[[], int] = lambda: 0,
) -> Parts:
    """Build the parts of a node; nothing runs yet.

    Args:
        options: of the node.
        own: the mounted app.
        declarations: its fragments and menu items.
        store: the directory's, used by a gateway.
        upstream: see `Parts`.
        prober: asks the network; the real one by default.
        ready: what `/h/ready` says.
        on_overview: takes each overview that a gateway sends to a service.
        fragments: may replace the source of a page's fragments, asked for each page.
        is_complete: the store lists the whole site from the start, so that nobody has to be waited for.
        observing: who is told what the node does; nobody by default.
        instances: that register nowhere, to be kept in the store of a gateway.
        drain: leaves the site.
        ongoing: how many requests are served now.
    """
    observing = Observing() if observing is None else observing
    assembly = _Assembly(options, own, declarations, store, upstream, prober or NetworkProber(), observing)
    return assembly.build(
        ready,
        on_overview,
        fragments,
        instances=instances,
        desk=DrainDesk(assembly.guard, drain, ongoing),
        # Without a key nothing can announce itself, so there is nobody to wait for.
        first_load_seconds=0.0 if is_complete or not options.key else BEAT_SECONDS,
    )


class _Assembly:
    def __init__(
        self,
        options: Options,
        own: OwnApp,
        declarations: Declarations,
        store: Store,
        upstream: Upstream,
        prober: Prober,
        observing: Observing,
    ) -> None:
        self.options = options
        self.own = own
        self.declarations = declarations
        self.store = store
        self.upstream = upstream
        self.prober = prober
        self.observing = observing
        self.pseudonym = f"hydra-{secrets.token_hex(6)}"
        self.asking = observing.upstream(upstream)
        self.health = InstanceHealth(on_change=observing.tell or None)
        self.signer = Signer(options.secret)
        self.guard = Guard(key=options.key, secret=options.secret, accept_unsigned=options.accept_unsigned)

    def build(
        self,
        ready: Callable[[], ReadyState],
        on_overview: Callable[[Overview], None],
        replaced: Callable[[FragmentSource], FragmentSource],
        *,
        instances: Sequence[Tended],
        desk: DrainDesk,
        first_load_seconds: float,
    ) -> Parts:
        directory: Directory | None = None
        sockets: WebSocketForwarder | None = None
        if self.options.gateway:
            directory = self._directory(first_load_seconds)
            sockets = self._sockets(directory)
        local = self._local_fragments(lambda: mounted)
        remote = self._remote_fragments(directory)
        fragments = self.observing.fragments(
            FragmentRouter(self.options.service, local, remote), (self.options.service, self.options.version)
        )
        shown = ReplaceableFragments(fragments, replaced)
        mounted = MountedApp(
            lambda: self.own.app,
            self._composer(shown),
            service=self.options.service,
            prefix=self.options.prefix,
        )
        front = _service_front(mounted)
        if directory is not None and sockets is not None:
            front = self._gateway_front(directory, mounted, ForwardedPages(shown, self._composer), sockets)
        return Parts(
            front=front,
            control=ControlPlane(
                self.guard,
                ready=ready,
                registrations=None if directory is None else self._registration_desk(directory),
                ask=None if directory is None else AskDesk(fragments, self.guard, budget=self.options.fragment_budget),
                render=RenderDesk(local, self.guard, service=self.options.service, budget=self.options.fragment_budget),
                drain=desk,
                metrics=self.observing.maybe_page(self._is_trusted),
                tell=self.observing.tell,
            ),
            fragments=fragments,
            directory=directory,
            registrars=self._registrars(directory, on_overview),
            upstream=self.upstream,
            statics=None if directory is None else self._statics(instances),
            close_relays=_no_relays if sockets is None else sockets.stop,
            is_known_elsewhere=bool(self.options.gateways) or not isinstance(self.store, MemoryStore),
        )

    def _statics(self, instances: Sequence[Tended]) -> StaticInstances:
        return StaticInstances(self.store, self.upstream, self.prober, instances)

    def _composer(self, source: FragmentSource, service: str = "") -> Composer:
        def fell_back(fallback: Fallback) -> None:
            self.observing.fell_back(replace(fallback, service=fallback.service or service))

        return Composer(
            source,
            budget=self.options.fragment_budget,
            on_fallback=fell_back if service else self.observing.fell_back,
            on_warning=log_warning,
        )

    def _directory(self, first_load_seconds: float) -> Directory:
        directory = Directory(
            self.store,
            local=self._local,
            first_load_seconds=first_load_seconds,
            on_health=lambda: self.observing.directory_changed(directory),
        )
        self.observing.follow(directory)
        return directory

    def _local(self) -> LocalApp | None:
        return None if self.own.is_absent else LocalApp(self.own.instance, self.own.hidden)

    def _local_fragments(self, mounted: Callable[[], MountedApp]) -> LocalFragments:
        async def render(scope: Any, receive: Any, send: Any) -> None:
            key, depth = scope["hydra.key"], scope["hydra.depth"]
            await mounted().compose(scope, receive, send, key=key, depth=depth, deadline=scope["hydra.deadline"])

        return LocalFragments(
            service=self.options.service,
            declarations=self.declarations,
            app=render,
            path_of=self.own.path_of,
            picker=SelectolaxPicker(),
            forward=allowed_names(self.options.forward, self.options.service),
            root_path=lambda: self.own.root_path + self.options.prefix,
            base=lambda: self.own.base,
        )

    def _remote_fragments(self, directory: Directory | None) -> FragmentSource:
        if directory is not None:
            return InstanceFragments(
                lambda service: directory.state.table.service(service),  # noqa: PLW0108 - the table is replaced
                self.asking,
                key=self.options.key,
                sign=self.signer,
                forward=self.options.forward,
                health=self.health,
            )
        gateways = [gateway_address(url) for url in self.options.gateways]
        return GatewayFragments(
            lambda: gateways,
            self.asking,
            key=self.options.key,
            sign=self.signer,
            forward=self.options.forward,
        )

    def _registration_desk(self, directory: Directory) -> RegistrationDesk:
        return RegistrationDesk(
            self.store,
            self.guard,
            AddressCheck(self.prober, own=self._own_listeners, allowed=self.options.allow_addresses),
            overview=lambda: directory.state.overview,
            tell=self.observing.tell,
        )

    def _own_listeners(self) -> list[tuple[str, int]]:
        address = self.options.address
        return [] if address is None else [(address.host or "127.0.0.1", address.port)]

    def _registrars(
        self, directory: Directory | None, on_overview: Callable[[Overview], None]
    ) -> tuple[Registrar | StoreRegistrar, ...]:
        registrars: list[Registrar | StoreRegistrar] = []
        if not self.options.service:
            return ()
        if directory is not None:
            prober = self.prober if self.options.address else NoProbe()
            registrars.append(StoreRegistrar(lambda: self.own.instance, self.store, prober))
        if self.options.gateways:
            registrars.append(
                Registrar(
                    lambda: self.own.instance,
                    self.options.gateways,
                    self.options.key,
                    self.options.secret,
                    self.upstream,
                    self.prober,
                    on_overview=on_overview,
                    signer=self.signer,
                )
            )
        return tuple(registrars)

    def _is_trusted(self, ip: str) -> bool:
        networks = self.options.trusted
        return bool(networks) and _is_in(networks, ip)

    def _sockets(self, directory: Directory) -> WebSocketForwarder:
        return WebSocketForwarder(
            WebsocketsUpstream(),
            pseudonym=self.pseudonym,
            trusted=self._is_trusted,
            vouch=directory.vouch,
            health=self.health,
            on_record=self.observing.tell or None,
        )

    def _gateway_front(
        self, directory: Directory, mounted: MountedApp, pages: ForwardedPages, sockets: WebSocketForwarder
    ) -> Front:
        front = GatewayFront(
            state=lambda: directory.state,
            is_starting=lambda: directory.is_starting,
            serve=mounted,
            forward=Forwarder(
                self.asking,
                pseudonym=self.pseudonym,
                trusted=self._is_trusted,
                vouch=directory.vouch,
                health=self.health,
                on_record=self.observing.tell or None,
            ),
            forward_socket=sockets,
            compose=pages,
            mint=lambda: secrets.token_urlsafe(16),
            spread=lambda: f"{random.getrandbits(64):x}",
        )
        return Identified(
            front,
            trusted=self._is_trusted,
            mint=lambda: f"{random.getrandbits(128):032x}",
            count=self.observing.count_request,
        )


def _service_front(mounted: MountedApp) -> Front:
    async def serve(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        headers = [(bytes(name), bytes(value)) for name, value in scope["headers"]]  # type: ignore[typeddict-item]  # never lifespan
        await mounted(scope, receive, send, key=read_key(headers))

    return serve


@lru_cache(1024)  # proxies that are trusted send many requests each
def _is_in(networks: tuple[Network, ...], ip: str) -> bool:
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return False
    return any(address in network for network in networks)
