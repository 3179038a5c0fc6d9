"""A node: what it is made of in each event loop, and its life from start to stop. `Hydra` is its face to users."""

import asyncio
import contextlib
from collections.abc import Awaitable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, cast

from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, HTTPScope, WebSocketScope

from hydra_asgi.backends.stores import open_store
from hydra_asgi.backends.upstreams import open_upstream
from hydra_asgi.control.plane import ReadyState
from hydra_asgi.control.reply import reply_empty
from hydra_asgi.core.directory.overview import Overview
from hydra_asgi.core.instance import Address
from hydra_asgi.core.node_reading import NodeReading
from hydra_asgi.core.routing.own_path import own_path
from hydra_asgi.node.assembly import assemble
from hydra_asgi.node.background import Background
from hydra_asgi.node.condition import State, node_state, read_node, ready_state
from hydra_asgi.node.observing import Observing
from hydra_asgi.node.own_app import OwnApp
from hydra_asgi.node.parts import Parts
from hydra_asgi.node.stage import Stage
from hydra_asgi.options import MEMORY, Options
from hydra_asgi.ports import FragmentSource, Hook, Prober, Store, Upstream
from hydra_asgi.service.calling import ASGIApp
from hydra_asgi.service.declarations import Declarations
from hydra_asgi.site.site_file import SiteFile
from hydra_asgi.site.site_reload import SiteReload
from hydra_asgi.site.static_instance import StaticInstance

__all__ = ["Node"]


class Node:
    """One node.

    Args:
        options: what it was told.
        site: the site file.
        declarations: fragments and menu items of the app.
        store: an object that is the store; None opens the one that `options.store` names.
        instances: that register nowhere, beside those of the site file.
        upstream: how other nodes are reached: None, an `Upstream`, or something in the form of httpx.
        prober: asks the network; None for the real one.
        on_event: is told what the node does.

    Attributes:
        options: what it was told; another set while it is on a stage.
        own: the mounted app.
        observing: who is told what the node does.
        store: of the directory.

    Raises:
        ConfigurationError: the store or metrics cannot be had.
    """

    def __init__(
        self,
        options: Options,
        site: SiteFile,
        declarations: Declarations,
        *,
        store: Store | None = None,
        instances: Sequence[StaticInstance] = (),
        upstream: object | None = None,
        prober: Prober | None = None,
        on_event: Hook | None = None,
    ) -> None:
        self.options = options
        self.own = OwnApp(options, declarations)
        self.observing = Observing(on_event, metrics=options.metrics, look=self._look)
        self.store = open_store(options.store if options.enabled else MEMORY) if store is None else store
        self._owns_store = store is None
        self._has_opened = False
        self._site = site
        self._declarations = declarations
        self._instances = tuple(instances)
        self._given_upstream = upstream
        self._prober = prober
        self._received = Overview()
        self._replacement: FragmentSource | None = None
        self._stage: Stage | None = None
        self._run: Background | None = None
        self._is_draining = False

    @property
    def overview(self) -> Overview:
        """The site as it is known here."""
        parts = self.running
        return self._received if parts is None or parts.directory is None else parts.directory.state.overview

    @property
    def state(self) -> State:
        """Where the node is in its life."""
        return node_state(self.running, is_draining=self._is_draining)

    @property
    def running(self) -> Parts | None:
        """The parts of the running node; None when it does not run in this event loop."""
        return None if self._live is None else self._live.parts

    async def start(self) -> None:
        """Start the background work in the running loop; again: does nothing.

        Raises:
            ConfigurationError: the app cannot be read, or is not known.
        """
        run, loop = self._run, asyncio.get_running_loop()
        if run is None or run.loop is not loop:
            self._is_draining = False
            run = self._run = self._make_background(loop)
        await run.start()

    async def drain(self) -> None:
        """Leave the site and go on serving what still comes; WebSockets are closed when the site knows."""
        self._is_draining = True
        if (run := self._run) is not None and self.running is not None:
            await run.leave()
            run.dismiss_sockets()

    async def stop(self) -> None:
        """Leave the site and end the background work. The node can be started again."""
        await self.drain()
        run, self._run = self._run, None
        if run is not None and run.loop is asyncio.get_running_loop():
            await run.end()
        self._is_draining = False

    def serve(
        self, scope: HTTPScope | WebSocketScope, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> Awaitable[None]:
        """Answer one request of the site; the first one starts the node, where no lifespan has done so."""
        run = self._run
        # Nearly every request: the node runs in this loop, and the path is its own (see `own_path`).
        if (
            run is not None
            and run.is_started
            and run.loop is asyncio.get_running_loop()
            and self.own.has_met_request
            and not scope.get("root_path")
            and not scope["path"].startswith("/h/")
        ):
            return run.parts.front(scope, receive, send)
        return self._serve(scope, receive, send)

    async def _serve(
        self, scope: HTTPScope | WebSocketScope, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
        if not self.options.enabled:
            await self.own.app(scope, receive, send)
            return
        if not self.own.has_met_request:
            self.own.learn(cast("dict[str, Any]", scope))
        run = self._live or await self._started()
        if scope["type"] != "http" or not own_path(scope).startswith("/h/"):
            await run.parts.front(scope, receive, send)
        elif self.options.public_control:
            await run.parts.control(scope, receive, send)
        else:
            await reply_empty(send, 404)

    async def plane(self) -> ASGIApp:
        """The control plane of the running node, which is started where that has not been done."""
        return (self._live or await self._started()).parts.control

    @contextlib.contextmanager
    def fragments_from(self, source: FragmentSource) -> Iterator[None]:
        """Let pages get their fragments from another source meanwhile."""
        before, self._replacement = self._replacement, source
        try:
            yield
        finally:
            self._replacement = before

    @contextlib.contextmanager
    def staged(self, stage: Stage, address: Address) -> Iterator[None]:
        """Live on a stage meanwhile; a node that runs already goes on in the background.

        Args:
            stage: the site.
            address: where the stage reaches this node.
        """
        before = self.options, self._stage, self._run, self._is_draining
        self._move(stage.options(self.options, address), stage, None, is_draining=False)
        try:
            yield
        finally:
            options, outside, run, is_draining = before
            self._move(options, outside, run, is_draining=is_draining)

    def _move(self, options: Options, stage: Stage | None, run: Background | None, *, is_draining: bool) -> None:
        self.options, self._stage, self._run, self._is_draining = options, stage, run, is_draining
        self.own.follow(options)

    @property
    def _live(self) -> Background | None:
        run = self._run
        return run if run is not None and run.is_here else None

    async def _started(self) -> Background:
        await self.start()
        run = self._live
        assert run is not None  # noqa: S101 - start() has just seen to it, in this loop
        return run

    def _make_background(self, loop: asyncio.AbstractEventLoop) -> Background:
        stage = self._stage
        if stage is None:
            parts = self._assemble(self._opened_store(), open_upstream(self._given_upstream))
            reload = parts.statics and self._site.path and SiteReload(self._site, parts.statics.swap, self._instances)
            return Background(loop, parts, drain=self.drain, grace=self.options.grace, reload=reload or None)
        store = open_store(MEMORY)
        parts = self._assemble(store, stage.upstream, is_complete=True)
        parts = replace(parts, registrars=(), store=None, last_known_good=None)
        return Background(loop, parts, prepare=partial(stage.fill, store), works=False)

    def _opened_store(self) -> Store:
        """The store for one run. Connections belong to an event loop, so each run opens its own."""
        if self._owns_store and self._has_opened and self.options.is_shared:
            self.store = open_store(self.options.store)
        self._has_opened = True
        return self.store

    def _assemble(self, store: Store, upstream: Upstream, *, is_complete: bool = False) -> Parts:
        return assemble(
            self.options,
            self.own,
            self._declarations,
            store=store,
            owns_store=self._owns_store,
            upstream=upstream,
            prober=self._prober,
            ready=self._ready,
            on_overview=self._receive,
            fragments=lambda source: self._replacement or source,
            is_complete=is_complete,
            observing=self.observing,
            instances=(*self._site.instances, *self._instances),
            drain=self.drain,
            ongoing=lambda: 0 if self._run is None else len(self._run.ongoing),
        )

    def _receive(self, overview: Overview) -> None:
        self._received = overview

    def _ready(self) -> ReadyState:
        return ready_state(self.running, is_draining=self._is_draining)

    def _look(self) -> NodeReading:
        return read_node(self.running, is_draining=self._is_draining)
