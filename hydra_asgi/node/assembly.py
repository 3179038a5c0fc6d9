"""Puts the parts of a node together, according to its role."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial

from hydra_asgi.backends.memory import MemoryStore
from hydra_asgi.backends.network_prober import NetworkProber
from hydra_asgi.control.drain_desk import DrainDesk
from hydra_asgi.control.first_use import FirstUse
from hydra_asgi.control.fragment_desk import AskDesk, RenderDesk
from hydra_asgi.control.plane import ControlPlane, ReadyState
from hydra_asgi.core.directory.lease_times import BEAT_SECONDS
from hydra_asgi.core.directory.overview import Overview
from hydra_asgi.gateway.compose import Composer, Fallback
from hydra_asgi.gateway.forwarded_pages import ForwardedPages
from hydra_asgi.gateway.fragment_router import FragmentRouter
from hydra_asgi.gateway.replaceable_fragments import ReplaceableFragments
from hydra_asgi.gateway.static_instances import Tended
from hydra_asgi.node.foundation import Foundation
from hydra_asgi.node.gateway_role import GatewayRole
from hydra_asgi.node.last_known_good import LastKnownGood
from hydra_asgi.node.observing import Observing
from hydra_asgi.node.ongoing import Ongoing
from hydra_asgi.node.own_app import OwnApp
from hydra_asgi.node.parts import Parts
from hydra_asgi.node.service_role import gateway_fragments, local_fragments, registrars, service_front
from hydra_asgi.node.site_secrets import SiteSecrets
from hydra_asgi.options import Options
from hydra_asgi.ports import FragmentSource, Prober, Store, Upstream
from hydra_asgi.service.declarations import Declarations
from hydra_asgi.service.gateway_trust import GatewayTrust
from hydra_asgi.service.mounted_app import MountedApp

__all__ = ["assemble"]

_logger = logging.getLogger("hydra_asgi")

SIGNING = "signing"
"""The name under which the store keeps what calls between nodes are signed with."""


async def _nothing() -> None:
    """There is nothing to leave."""


def assemble(
    options: Options,
    own: OwnApp,
    declarations: Declarations,
    *,
    store: Store,
    owns_store: bool = False,
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
        owns_store: the store was opened for this node and ends with it.
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
    foundation = Foundation(options, own, declarations, store, upstream, prober or NetworkProber(), observing)
    if foundation.refuses_everybody:
        _logger.warning("key= is given, but neither secret= (HYDRA_SECRET) nor accept_unsigned=: nobody can register")
    # Without a key nothing can announce itself here, and without a shared store nowhere else.
    may_be_announced = bool(options.key) or options.is_shared
    first_load_seconds = BEAT_SECONDS if may_be_announced and not is_complete else 0.0
    gateway = GatewayRole(foundation, first_load_seconds=first_load_seconds) if options.gateway else None
    local = local_fragments(foundation, lambda: mounted)
    remote = gateway_fragments(foundation) if gateway is None else gateway.fragments()
    source = observing.fragments(FragmentRouter(options.service, local, remote), (options.service, options.version))
    shown = ReplaceableFragments(source, fragments)
    trust = GatewayTrust(
        lambda: foundation.secret_of(options.service), service=options.service, trusted=foundation.is_trusted
    )
    mounted = MountedApp(
        lambda: own.app,
        _composer(foundation, shown),
        service=options.service,
        prefix=options.prefix,
        seen_through=trust.seen_through,
    )
    control = ControlPlane(
        foundation.guard,
        ready=ready,
        registrations=None if gateway is None else gateway.desk(),
        ask=None if gateway is None else AskDesk(source, foundation.guard, budget=options.fragment_budget),
        render=RenderDesk(local, foundation.guard, service=options.service, budget=options.fragment_budget),
        drain=DrainDesk(foundation.guard, drain, ongoing, None if gateway is None else FirstUse(store)),
        metrics=observing.maybe_page(foundation.is_trusted),
        tell=observing.tell,
    )
    busy = Ongoing()
    parts = Parts(
        front=partial(busy.serve, service_front(mounted)),
        ongoing=busy,
        control=control,
        fragments=source,
        directory=None,
        registrars=registrars(foundation, on_overview, None if gateway is None else gateway.directory.note_change),
        upstream=upstream,
        is_known_elsewhere=bool(options.gateways) or not isinstance(store, MemoryStore),
        store=store if owns_store else None,
    )
    if gateway is None:
        return parts
    pages = ForwardedPages(shown, partial(_composer, foundation))
    return replace(
        parts,
        front=gateway.front(mounted, pages, busy),
        directory=gateway.directory,
        statics=gateway.statics(instances),
        close_relays=gateway.sockets.stop,
        secret=partial(SiteSecrets(store).follow, SIGNING, foundation.take_secret) if foundation.lacks_secret else None,
        last_known_good=LastKnownGood(options.last_known_good) if options.last_known_good else None,
    )


def _composer(foundation: Foundation, source: FragmentSource, service: str = "") -> Composer:
    """What fills the tags of pages.

    Args:
        foundation: of the node.
        source: where the fragments come from.
        service: whose pages these are, where they are not those of the mounted app.
    """
    observing = foundation.observing

    def fell_back(fallback: Fallback) -> None:
        observing.fell_back(replace(fallback, service=fallback.service or service))

    return Composer(
        source,
        budget=foundation.options.fragment_budget,
        on_fallback=fell_back if service else observing.fell_back,
        on_warning=observing.page_log.warn,
    )
