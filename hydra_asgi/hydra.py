"""`Hydra`: the node, as its users see it. They declare with it, ask it in handlers and templates, start and stop it."""

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar, cast
from urllib.parse import quote

from asgiref.typing import (
    ASGIReceiveCallable,
    ASGISendCallable,
    HTTPScope,
    WebSocketScope,
)

from hydra_asgi.backends.selectolax_picker import check_selector
from hydra_asgi.control.late_plane import LatePlane
from hydra_asgi.control.plane import ReadyState
from hydra_asgi.control.reply import reply_empty
from hydra_asgi.core.directory.overview import Overview
from hydra_asgi.core.instance import Address, ServiceInstance
from hydra_asgi.core.node_reading import NodeReading
from hydra_asgi.core.routing.own_path import own_path
from hydra_asgi.node.assembly import Parts, assemble, make_store, make_upstream
from hydra_asgi.node.background import Background
from hydra_asgi.node.condition import State, node_state, read_node, ready_state
from hydra_asgi.node.observing import Observing
from hydra_asgi.node.own_app import OwnApp
from hydra_asgi.node.stage import Stage
from hydra_asgi.options import Options
from hydra_asgi.ports import FragmentSource, Hook, Prober, Store, Upstream
from hydra_asgi.service.attributes import attributes_of
from hydra_asgi.service.calling import ASGIApp
from hydra_asgi.service.declarations import Declarations
from hydra_asgi.service.lending import lend, lendable
from hydra_asgi.site.site_options import read_with_site
from hydra_asgi.site.site_reload import SiteReload
from hydra_asgi.site.static_instance import StaticInstance

__all__ = ["Hydra", "State"]

F = TypeVar("F", bound=Callable[..., object])


class Hydra:
    """One node of a site: one process with the middleware mounted.

    Every option can also be given as an environment variable, `HYDRA_` and its name in capitals; an argument wins.

    Args:
        service: the name under which the app joins the site.
        version: an integer; users are split between versions by weight and keep the version they got.
        weight: this instance's share; 0 takes no requests.
        gateway: whether this node accepts registrations and forwards; by default it does unless `gateways` are given.
        gateways: base URLs of the gateways to register with, tried in turn.
        address: where other nodes reach this one, as a URL with an optional base path, or as a port; with a port the
            gateway takes the IP address of the caller.
        key: names the site in control-plane paths. Without one nothing can register.
        secret: signs the calls between nodes; at least 16 characters.
        store: where the directory is kept: `memory://`, or an object that implements `hydra_asgi.ports.Store`.
        prefix: publish the app under this path.
        routes: routes to publish beside the discovered ones, such as `"GET /items/{id}"`.
        exclude: templates, or prefixes ending in `/*`, that are not published.
        forward: service name or `"*"` -> request headers, or `cookie:NAME`, that its fragments get.
        accept_unsigned: networks and service names whose calls need no signature, for Java services.
        allow_addresses: networks in which a service may register an address that is not its own.
        trusted: networks of proxies in front of us whose `X-Forwarded-*` fields are believed.
        fragment_budget: seconds that a page waits for a fragment, from its start tag on.
        config: the path of a site file, whose `[gateway]` holds options and whose `[[instances]]` register nowhere; it
            is read anew on SIGHUP.
        instances: more of those.
        public_control: False where `hydra.control` is served on a listener of its own; `/h/` is 404 then.
        grace: seconds that requests may go on after the server was told to stop.
        enabled: False makes the middleware a pass-through.
        metrics: keep metrics for Prometheus and show them at `/h/metrics`, to this machine and to `trusted` networks.
        on_event: is told what the node does, see `hydra_asgi.ports.Hook`.
        upstream: how other nodes are reached: a `hydra_asgi.ports.Upstream`, or an async transport or client in the
            form of httpx.
        prober: how addresses are checked; for tests.

    Raises:
        ConfigurationError: an option is wrong; the message names it, its value and the way out.
    """

    def __init__(
        self,
        *,
        service: str | None = None,
        version: int | None = None,
        weight: float | None = None,
        gateway: bool | None = None,
        gateways: str | Sequence[str] | None = None,
        address: str | int | None = None,
        key: str | None = None,
        secret: str | None = None,
        store: str | Store | None = None,
        prefix: str | None = None,
        routes: Sequence[str] | None = None,
        exclude: Sequence[str] | None = None,
        forward: Sequence[str] | Mapping[str, Sequence[str]] | None = None,
        accept_unsigned: str | Sequence[str] | None = None,
        allow_addresses: str | Sequence[str] | None = None,
        trusted: str | Sequence[str] | None = None,
        fragment_budget: float | None = None,
        config: str | None = None,
        instances: Sequence[StaticInstance] = (),
        public_control: bool | None = None,
        grace: float | None = None,
        enabled: bool | None = None,
        metrics: bool | None = None,
        on_event: Hook | None = None,
        upstream: object | None = None,
        prober: Prober | None = None,
    ) -> None:
        # Every option has an argument of its name; `read_with_site` takes no others.
        given = {**locals(), "store": store if isinstance(store, str) else None}
        self.options, self._site = read_with_site(given, os.environ)
        self._instances = tuple(instances)
        self._store = make_store(self.options.store) if store is None or isinstance(store, str) else store
        self._given_upstream = upstream
        self._prober = prober
        self.declarations = Declarations(check_selector=check_selector)
        self._own = OwnApp(self.options, self.declarations)
        self._received = Overview()
        self._replacement: FragmentSource | None = None
        self._stage: Stage | None = None
        self._run: Background | None = None
        self._is_draining = False
        self._observing = Observing(on_event, metrics=self.options.metrics, look=self._look)
        self.control: ASGIApp = LatePlane(self._plane)

    # Declaring

    def fragment(
        self,
        ref: str,
        *,
        imports: str | Sequence[str] = (),
        exports: str | Sequence[str] = (),
        select: str | None = None,
        page: bool | None = None,
    ) -> Callable[[F], F]:
        """Declare a fragment: on a route of the app, or on a plain async function.

        On a route it may stand above or below the framework's own decorator, and the framework's dependencies and
        templates work in it as in any route. A route that is only a fragment is not published as a page.

        Args:
            ref: how pages name it.
            imports: names it may see of the core page: `"dob"` or `"countryOrigin as country"`.
            exports: names it gives to the core page.
            select: a CSS selector: the fragment is that part of the page which the route answers with.
            page: publish the route as a page too; by default only with `select`.

        Raises:
            ConfigurationError: the ref, a name or the selector cannot be used, or the ref is taken.
        """
        return self.declarations.fragment(ref, imports=imports, exports=exports, select=select, page=page)

    def menu(self, name: str, *, label: str = "", path: str | None = None) -> Callable[[F], F]:
        """Declare that a route has an entry in a menu of the site, shown by whoever renders that menu.

        Args:
            name: the menu.
            label: the words to show; the path by default.
            path: where the entry leads, for routes with parameters.

        Raises:
            ConfigurationError: the name or the path cannot be used.
        """
        return self.declarations.menu(name, label=label, path=path)

    # Asking, in handlers and templates

    @property
    def overview(self) -> Overview:
        """The site as it is known here: its services, their routes, and the menus of those that are there."""
        parts = self.running
        return self._received if parts is None or parts.directory is None else parts.directory.state.overview

    def attributes(self, request: object) -> Mapping[str, object]:
        """The values a fragment imported from its core page; empty outside of a fragment.

        Args:
            request: a request of FastAPI, Starlette or Quart, an ASGI scope, or what a plain function was called with.
        """
        return attributes_of(request)

    def lend(self, request: object, /, **values: object) -> None:
        """Let the fragments of this page import values, as `<m:fragment ... imports="dob">` asks for them.

        A handler calls it before it answers; a name that was lent before gets the new value. Fragments see values as
        they come back from JSON: a tuple as a list. Where the middleware is switched off, it does nothing.

        Args:
            request: the page's request, of FastAPI, Starlette or Quart, or its ASGI scope.
            values: the values by their names.

        Raises:
            LendingError: a value has no form in JSON, a name cannot be imported, or the request is not one for a
                page of the mounted app.
            TypeError: it is no request.
        """
        lent = lendable(values)
        if self.options.enabled:
            lend(request, lent)

    def asset(self, path: str) -> str:
        """The URL of a file in this app's `/static/` folder, right wherever the page is served from."""
        is_named = self.options.enabled and self.options.service
        return (f"/{self.options.service}" if is_named else "") + f"/static/{quote(path.lstrip('/'))}"

    @property
    def state(self) -> State:
        """Where the node is in its life; `registered` once other nodes can find it."""
        return node_state(self.running, is_draining=self._is_draining)

    # Living

    async def start(self, app: object | None = None) -> None:
        """Start the background work: following the directory, and registering once the own address answers.

        The middleware calls this on lifespan start-up, or with the first request where there is no lifespan. Calling
        it again does nothing.

        Args:
            app: the app, where it is not known otherwise: frameworks build their middleware with the first request.

        Raises:
            ConfigurationError: the app cannot be read, or is not known.
        """
        if app is not None:
            self.reveal(app)
        if not self.options.enabled:
            return
        run, loop = self._run, asyncio.get_running_loop()
        if run is None or run.loop is not loop:
            self._is_draining = False
            run = self._run = self._make_background(loop)
        await run.start()

    async def drain(self) -> None:
        """Leave the site and go on serving what still comes: readiness says 503, no new requests are sent here."""
        self._is_draining = True
        if (run := self._run) is not None and self.running is not None:
            await run.leave()

    async def stop(self) -> None:
        """Leave the site and end the background work. The node can be started again."""
        await self.drain()
        run, self._run = self._run, None
        if run is not None and run.loop is asyncio.get_running_loop():
            await run.end()
        self._is_draining = False

    # For the middleware and `hydra_asgi.testing`

    @property
    def running(self) -> Parts | None:
        """The parts of the running node; None when it does not run in this event loop."""
        return None if self._live is None else self._live.parts

    @property
    def metrics(self) -> ASGIApp:
        """The metrics as an app of its own, to be served on an inner listener; it refuses nobody.

        Raises:
            ConfigurationError: the node was not made with `metrics=True`.
        """
        return self._observing.page()

    @property
    def instance(self) -> ServiceInstance:
        """What the site is told about this process.

        Raises:
            ConfigurationError: the app is not known yet, or its routes or declarations cannot be used.
        """
        return self._own.instance

    @property
    def store(self) -> Store:
        """The store of this node's directory."""
        return self._store

    def mount(self, app: ASGIApp, *, is_absent: bool = False) -> None:
        """Take the app that a middleware wraps, or what says 404 where there is none."""
        self._own.mount(app, is_absent=is_absent)

    def reveal(self, app: object) -> None:
        """Take the framework's app object, whose routes can be read; it is there before the middleware is built."""
        self._own.reveal(app)

    def learn(self, scope: Mapping[str, Any]) -> None:
        """Take from a real scope what it says about the app."""
        self._own.learn(scope)

    async def serve(
        self, scope: HTTPScope | WebSocketScope, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
        """Answer one request of the site; the first one starts the node, where no lifespan has done so."""
        if not self._own.has_met_request:
            self.learn(cast("dict[str, Any]", scope))
        run = self._live or await self._started()
        if scope["type"] != "http" or not own_path(scope).startswith("/h/"):
            await run.ongoing.serve(run.parts.front, scope, receive, send)
        elif self.options.public_control:
            await run.parts.control(scope, receive, send)
        else:
            await reply_empty(send, 404)

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
        """Live on a stage meanwhile: in the site that it shows, without background work and without a network.

        A node that runs already goes on in the background, and answers again when it leaves the stage.

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
        self._own.follow(options)

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
            parts = self._assemble(self._store, make_upstream(self._given_upstream))
            reload = parts.statics and self._site.path and SiteReload(self._site, parts.statics.swap, self._instances)
            return Background(loop, parts, drain=self.drain, grace=self.options.grace, reload=reload or None)
        store = make_store("memory://")
        parts = replace(self._assemble(store, stage.upstream, is_complete=True), registrars=())
        return Background(loop, parts, prepare=partial(stage.fill, store), works=False)

    def _assemble(self, store: Store, upstream: Upstream, *, is_complete: bool = False) -> Parts:
        return assemble(
            self.options,
            self._own,
            self.declarations,
            store=store,
            upstream=upstream,
            prober=self._prober,
            ready=self._ready,
            on_overview=self._receive,
            fragments=lambda source: self._replacement or source,
            is_complete=is_complete,
            observing=self._observing,
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

    async def _plane(self) -> ASGIApp:
        return (self._live or await self._started()).parts.control
