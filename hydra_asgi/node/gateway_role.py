"""What a node is as a gateway: its directory, its front, and the desk at which services register."""

import random
import secrets
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from hydra_asgi.backends.memory import MemoryStore
from hydra_asgi.backends.websockets_upstream import WebsocketsUpstream
from hydra_asgi.control.address_check import AddressCheck
from hydra_asgi.control.registration import RegistrationDesk
from hydra_asgi.control.split_site import SplitSite
from hydra_asgi.core.directory.directory_state import LocalApp
from hydra_asgi.core.health.concurrency import Limits
from hydra_asgi.gateway.crossing import Crossing
from hydra_asgi.gateway.directory import Directory
from hydra_asgi.gateway.express import Express
from hydra_asgi.gateway.forward import Forwarder
from hydra_asgi.gateway.forwarded_pages import ForwardedPages
from hydra_asgi.gateway.forwarding_terms import ForwardingTerms
from hydra_asgi.gateway.fragments import InstanceFragments
from hydra_asgi.gateway.front import GatewayFront
from hydra_asgi.gateway.identified import Identified
from hydra_asgi.gateway.limits import ServiceLimits, default_limits
from hydra_asgi.gateway.static_instances import StaticInstances, Tended
from hydra_asgi.gateway.websocket_forward import WebSocketForwarder
from hydra_asgi.node.foundation import Foundation
from hydra_asgi.node.ongoing import Ongoing
from hydra_asgi.node.parts import Front
from hydra_asgi.options import Options
from hydra_asgi.ports import FragmentSource
from hydra_asgi.service.mounted_app import MountedApp
from hydra_asgi.service.peer_time import PeerTime
from hydra_asgi.wire.asking_terms import AskingTerms

__all__ = ["GatewayRole", "limits_of"]


def _mint_id() -> str:
    return f"{random.getrandbits(128):032x}"


def _mint_key() -> str:
    return secrets.token_urlsafe(16)


class GatewayRole:
    """The parts that only a gateway has.

    Args:
        foundation: of the node.
        first_load_seconds: how long after the start an unknown route may still be announced.

    Attributes:
        directory: what it knows.
        sockets: forwards WebSockets.
    """

    def __init__(self, foundation: Foundation, *, first_load_seconds: float) -> None:
        self._on = foundation
        self.directory = self._directory(first_load_seconds)
        self._terms = self._forwarding_terms()
        self.sockets = WebSocketForwarder(WebsocketsUpstream(), self._terms)

    def front(self, mounted: MountedApp, pages: ForwardedPages, ongoing: Ongoing) -> Front:
        """What answers every request that is not for the control plane.

        Args:
            mounted: the app.
            pages: fills the tags in pages of instances that cannot do so themselves.
            ongoing: is told what is served.
        """
        on, directory = self._on, self.directory
        forward = Forwarder(on.asking, self._terms, limits=ServiceLimits(limits_of(on.options)))
        front = GatewayFront(
            state=lambda: directory.state,
            is_starting=lambda: directory.is_starting,
            serve=mounted,
            forward=forward,
            forward_socket=self.sockets,
            compose=pages,
            mint=_mint_key,
            spread=lambda: f"{random.getrandbits(64):x}",
        )
        complete = Identified(front, trusted=on.is_trusted, mint=_mint_id, count=on.observing.count_request)
        return Express(
            partial(ongoing.serve, complete),
            forward,
            tasks=ongoing.tasks,
            state=lambda: directory.state,
            mint=_mint_id,
            mint_key=_mint_key,
            count=on.observing.count_request,
        )

    def fragments(self) -> FragmentSource:
        """The fragments of other services, asked of their instances."""
        on, directory = self._on, self.directory
        return InstanceFragments(
            lambda service: directory.state.table.service(service),  # noqa: PLW0108 - the table is replaced
            PeerTime(on.asking, on.signer, on.service_signers),
            AskingTerms(key=lambda: on.key, sign=on.signer, forward=on.options.forward),
            health=on.health,
        )

    def desk(self) -> RegistrationDesk:
        """Where services register."""
        on, directory = self._on, self.directory
        return RegistrationDesk(
            on.store,
            on.guard,
            AddressCheck(on.prober, own=self.own_listeners, allowed=on.options.allow_addresses),
            overview=lambda: directory.state.overview,
            tell=on.observing.tell,
            on_change=directory.note_change,
            is_listed=self.is_listed,
            on_lost=SplitSite(time.monotonic) if isinstance(on.store, MemoryStore) else _is_no_news,
        )

    def is_listed(self, service: str, ip: str) -> bool:
        """Whether an instance of a service at an IP address is known."""
        group = self.directory.state.table.service(service)
        return group is not None and any(ip in (one.address.pinned, one.address.host) for one in group.instances)

    def statics(self, instances: Sequence[Tended]) -> StaticInstances:
        """What keeps instances listed that register nowhere."""
        on = self._on
        return StaticInstances(on.store, on.upstream, on.prober, instances, on_change=self.directory.expect)

    def own_listeners(self) -> list[tuple[str, int]]:
        """Where this node listens itself: nobody may register a service there."""
        address = self._on.options.address
        return [] if address is None else [(address.host or "127.0.0.1", address.port)]

    def _forwarding_terms(self) -> ForwardingTerms:
        on = self._on
        crossing = Crossing(
            lambda: self.directory.state,
            cookies=on.options.forward_cookies,
            secret=on.secret_of,
            gateway=on.pseudonym,
        )
        return ForwardingTerms(
            pseudonym=on.pseudonym,
            trusted=on.is_trusted,
            vouch=self.directory.vouch,
            health=on.health,
            crossing=crossing,
            on_record=on.observing.tell or None,
        )

    def _directory(self, first_load_seconds: float) -> Directory:
        on = self._on
        directory = Directory(
            on.store,
            local=lambda: None if on.own.is_absent else LocalApp(on.own.instance, on.own.hidden),
            first_load_seconds=first_load_seconds,
            is_shared=not isinstance(on.store, MemoryStore),
            on_health=lambda: on.observing.directory_changed(directory),
        )
        on.observing.follow(directory)
        return directory


def _is_no_news(service: str, ip: str, lease: str) -> None:
    """A shared store that was emptied has lost them all, and its directory is the same for all."""


def limits_of(options: Options) -> Limits:
    """The sizes as the operator wants them, and as they usually are where nothing was said."""
    usual = default_limits()
    total = options.max_concurrent_total or usual.total
    service = options.max_concurrent or min(usual.service, total)
    return replace(
        usual, total=total, service=service, queue=usual.queue if options.max_queue is None else options.max_queue
    )
