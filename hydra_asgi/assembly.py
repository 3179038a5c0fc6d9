"""Puts the parts of a node together. Which library stands behind which port is decided here and nowhere else."""

import ipaddress
import random
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, Scope

from hydra_asgi.backends.httpx_upstream import HttpxUpstream
from hydra_asgi.backends.memory import MemoryStore
from hydra_asgi.backends.network_prober import NetworkProber
from hydra_asgi.backends.selectolax_picker import SelectolaxPicker
from hydra_asgi.backends.websockets_upstream import WebsocketsUpstream
from hydra_asgi.control.address_check import AddressCheck
from hydra_asgi.control.fragment_desk import AskDesk, RenderDesk
from hydra_asgi.control.guard import Guard
from hydra_asgi.control.plane import ControlPlane, ReadyState
from hydra_asgi.control.registration import RegistrationDesk
from hydra_asgi.core.directory.directory_state import LocalApp
from hydra_asgi.core.directory.lease_times import BEAT_SECONDS
from hydra_asgi.core.directory.overview import Overview
from hydra_asgi.core.fragment import FragmentAnswer, FragmentQuestion, PageContext
from hydra_asgi.core.fragments.fragment_lending import allowed_names
from hydra_asgi.core.routing.weight_key import read_key
from hydra_asgi.gateway.compose import Composer
from hydra_asgi.gateway.directory import Directory
from hydra_asgi.gateway.fallback_log import log_fallback, log_warning
from hydra_asgi.gateway.forward import Forwarder
from hydra_asgi.gateway.fragment_router import FragmentRouter
from hydra_asgi.gateway.fragments import InstanceFragments
from hydra_asgi.gateway.front import GatewayFront
from hydra_asgi.gateway.instance_health import InstanceHealth
from hydra_asgi.gateway.websocket_forward import WebSocketForwarder
from hydra_asgi.options import Network, Options
from hydra_asgi.own_app import OwnApp
from hydra_asgi.ports import FragmentSource, Prober, Store, Upstream
from hydra_asgi.service.declarations import Declarations
from hydra_asgi.service.gateway_client import gateway_address
from hydra_asgi.service.gateway_fragments import GatewayFragments
from hydra_asgi.service.mounted_app import MountedApp
from hydra_asgi.service.registrar import Registrar
from hydra_asgi.service.rendering import LocalFragments
from hydra_asgi.service.signer import Signer
from hydra_asgi.service.store_registrar import StoreRegistrar

__all__ = ["Parts", "assemble", "make_store", "make_upstream"]

Front = Callable[[Any, ASGIReceiveCallable, ASGISendCallable], Awaitable[None]]


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
    """

    front: Front
    control: ControlPlane
    fragments: FragmentSource
    directory: Directory | None
    registrars: tuple[Registrar | StoreRegistrar, ...]
    upstream: Upstream


def make_store(url: str) -> Store:
    """The store that a URL names; `Options` has checked it."""
    return MemoryStore()


def make_upstream(given: object) -> Upstream:
    """Our upstream, or the user's: an `Upstream`, or any async transport or client in the form of httpx."""
    if given is not None and hasattr(given, "send") and not hasattr(given, "build_request"):
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
    """
    return _Assembly(options, own, declarations, store, upstream, prober or NetworkProber()).build(
        ready, on_overview, fragments, first_load_seconds=0.0 if is_complete else BEAT_SECONDS
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
    ) -> None:
        self.options = options
        self.own = own
        self.declarations = declarations
        self.store = store
        self.upstream = upstream
        self.prober = prober
        self.signer = Signer(options.secret)
        self.guard = Guard(key=options.key, secret=options.secret, accept_unsigned=options.accept_unsigned)

    def build(
        self,
        ready: Callable[[], ReadyState],
        on_overview: Callable[[Overview], None],
        replaced: Callable[[FragmentSource], FragmentSource],
        *,
        first_load_seconds: float,
    ) -> Parts:
        directory: Directory | None = None
        if self.options.gateway:
            directory = Directory(self.store, local=self._local, first_load_seconds=first_load_seconds)
        local = self._local_fragments(lambda: mounted)
        remote = self._remote_fragments(directory)
        fragments = FragmentRouter(self.options.service, local, remote)
        composer = Composer(
            _Replaceable(fragments, replaced),
            budget=self.options.fragment_budget,
            on_fallback=log_fallback,
            on_warning=log_warning,
        )
        mounted = MountedApp(
            lambda: self.own.app,
            composer,
            service=self.options.service,
            prefix=self.options.prefix,
        )
        return Parts(
            front=_service_front(mounted) if directory is None else self._gateway_front(directory, mounted),
            control=ControlPlane(
                self.guard,
                ready=ready,
                registrations=None if directory is None else self._registration_desk(directory),
                ask=None if directory is None else AskDesk(fragments, self.guard, budget=self.options.fragment_budget),
                render=RenderDesk(local, self.guard, service=self.options.service, budget=self.options.fragment_budget),
            ),
            fragments=fragments,
            directory=directory,
            registrars=self._registrars(directory, on_overview),
            upstream=self.upstream,
        )

    def _local(self) -> LocalApp:
        return LocalApp(self.own.instance, self.own.hidden)

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
                self.upstream,
                key=self.options.key,
                sign=self.signer,
                forward=self.options.forward,
            )
        gateways = [gateway_address(url) for url in self.options.gateways]
        return GatewayFragments(
            lambda: gateways,
            self.upstream,
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
            prober = self.prober if self.options.address else _NoProbe()
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

    def _gateway_front(self, directory: Directory, mounted: MountedApp) -> GatewayFront:
        pseudonym = f"hydra-{secrets.token_hex(6)}"
        health = InstanceHealth()

        def is_trusted(ip: str) -> bool:
            return _is_in(self.options.trusted, ip)

        return GatewayFront(
            state=lambda: directory.state,
            is_starting=lambda: directory.is_starting,
            serve=mounted,
            forward=Forwarder(
                self.upstream, pseudonym=pseudonym, trusted=is_trusted, vouch=directory.vouch, health=health
            ),
            forward_socket=WebSocketForwarder(
                WebsocketsUpstream(), pseudonym=pseudonym, trusted=is_trusted, vouch=directory.vouch, health=health
            ),
            mint=lambda: secrets.token_urlsafe(16),
            spread=lambda: f"{random.getrandbits(64):x}",
        )


class _Replaceable:
    """A source in whose place a test may put another one."""

    def __init__(self, source: FragmentSource, replaced: Callable[[FragmentSource], FragmentSource]) -> None:
        self._source = source
        self._replaced = replaced

    def ask(
        self, service: str, questions: Sequence[FragmentQuestion], page: PageContext
    ) -> AsyncIterator[FragmentAnswer]:
        return self._replaced(self._source).ask(service, questions, page)


class _NoProbe:
    """The prober of an app that nobody asks over the network: it is always there."""

    async def resolve(self, host: str) -> tuple[str, ...]:
        return (host,)

    async def why_unreachable(self, host: str, port: int) -> str | None:
        return None


def _service_front(mounted: MountedApp) -> Front:
    async def serve(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        headers = [(bytes(name), bytes(value)) for name, value in scope["headers"]]  # type: ignore[typeddict-item]  # never lifespan
        await mounted(scope, receive, send, key=read_key(headers))

    return serve


def _is_in(networks: tuple[Network, ...], ip: str) -> bool:
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return False
    return any(address in network for network in networks)
