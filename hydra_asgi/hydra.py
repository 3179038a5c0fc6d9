"""`Hydra`: the node, as its users see it. They declare with it, ask it in handlers and templates, start and stop it."""

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, TypeVar
from urllib.parse import quote

from asgiref.typing import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, Scope

from hydra_asgi.assembly import Parts, assemble, make_store, make_upstream
from hydra_asgi.backends.selectolax_picker import check_selector
from hydra_asgi.control.plane import ReadyState
from hydra_asgi.core.directory.overview import Overview
from hydra_asgi.options import read_options
from hydra_asgi.own_app import OwnApp
from hydra_asgi.ports import FragmentSource, Prober, Store, Upstream
from hydra_asgi.service.attributes import attributes_of
from hydra_asgi.service.declarations import Declarations

__all__ = ["Hydra", "State"]

logger = logging.getLogger("hydra_asgi")

State = Literal["stopped", "starting", "registered", "unregistered", "draining"]

F = TypeVar("F", bound=Callable[..., object])


class Hydra:
    """One node of a site: one process with the middleware mounted.

    Every option can also be given as an environment variable, `HYDRA_` and its name in capitals; an argument wins.

    Args:
        service: the name under which the app joins the site.
        version: an integer; users are split between versions by weight and keep the version they got.
        weight: this instance's share; 0 takes no new users.
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
        fragment_budget: seconds that a page waits for its fragments.
        enabled: False makes the middleware a pass-through.
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
        enabled: bool | None = None,
        upstream: object | None = None,
        prober: Prober | None = None,
    ) -> None:
        self.options = read_options(
            {
                "service": service,
                "version": version,
                "weight": weight,
                "gateway": gateway,
                "gateways": gateways,
                "address": address,
                "key": key,
                "secret": secret,
                "store": store if isinstance(store, str) else None,
                "prefix": prefix,
                "routes": routes,
                "exclude": exclude,
                "forward": forward,
                "accept_unsigned": accept_unsigned,
                "allow_addresses": allow_addresses,
                "trusted": trusted,
                "fragment_budget": fragment_budget,
                "enabled": enabled,
            },
            os.environ,
        )
        self._store = make_store(self.options.store) if store is None or isinstance(store, str) else store
        self._given_upstream = upstream
        self._prober = prober
        self.declarations = Declarations(check_selector=check_selector)
        self._own = OwnApp(self.options, self.declarations)
        self._received = Overview()
        self._replacement: FragmentSource | None = None
        self._run: _Run | None = None
        self._is_draining = False
        self.control: ASGI3Application = self._control

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

    def asset(self, path: str) -> str:
        """The URL of a file in this app's `/static/` folder, right wherever the page is served from."""
        file = quote(path.lstrip("/"))
        return f"/{self.options.service}/static/{file}" if self.options.service else f"/static/{file}"

    @property
    def state(self) -> State:
        """Where the node is in its life; `registered` once other nodes can find it."""
        if self._is_draining:
            return "draining"
        parts = self.running
        if parts is None:
            return "stopped"
        states = {registrar.state.status for registrar in parts.registrars}
        if not states or states == {"registered"}:
            return "registered"
        return "starting" if "starting" in states else "unregistered"

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
            self._own.reveal(app)
        if self.running is None and self.options.enabled:
            self._is_draining = False
            self._run = _Run(asyncio.get_running_loop(), self._assemble())
            await self._run.start()

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
        run = self._run
        return run.parts if run is not None and run.loop is _loop() else None

    def mount(self, app: ASGI3Application) -> None:
        """Take the app that a middleware wraps."""
        self._own.mount(app)

    def learn(self, scope: Mapping[str, Any]) -> None:
        """Take from a real scope what it says about the app."""
        self._own.learn(scope)

    async def join(self, scope: Mapping[str, Any]) -> Parts:
        """Start with a first request, where no lifespan has done so."""
        self._own.learn(scope)
        await self.start()
        parts = self.running
        assert parts is not None  # noqa: S101 - start() has just set it, in this loop
        return parts

    @property
    def store(self) -> Store:
        """The store of this node's directory."""
        return self._store

    @contextlib.contextmanager
    def fragments_from(self, source: FragmentSource) -> Iterator[None]:
        """Let pages get their fragments from another source meanwhile."""
        before, self._replacement = self._replacement, source
        try:
            yield
        finally:
            self._replacement = before

    def _assemble(self) -> Parts:
        upstream: Upstream = make_upstream(self._given_upstream)
        return assemble(
            self.options,
            self._own,
            self.declarations,
            store=self._store,
            upstream=upstream,
            prober=self._prober,
            ready=self._ready,
            on_overview=self._receive,
            fragments=lambda source: self._replacement or source,
        )

    def _receive(self, overview: Overview) -> None:
        self._received = overview

    def _ready(self) -> ReadyState:
        if self._is_draining:
            return ReadyState("draining", "this node has left the site and finishes what it has")
        parts = self.running
        if parts is None:
            return ReadyState("starting", "the node has not started")
        if parts.directory is None:
            return ReadyState()
        health = parts.directory.health
        return ReadyState(health.status, health.why)

    async def _control(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """The control plane as an app of its own, to be served on an inner listener."""
        parts = self.running
        if parts is None:
            await self.start()
            parts = self.running
        assert parts is not None  # noqa: S101 - start() has just set it, in this loop
        await parts.control(scope, receive, send)


class _Run:
    """The background work of a node in one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, parts: Parts) -> None:
        self.loop = loop
        self.parts = parts
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def start(self) -> None:
        if (directory := self.parts.directory) is not None:
            await directory.refresh()
            self._begin("directory", directory.run())
        for registrar in self.parts.registrars:
            self._begin(f"registrar {id(registrar)}", registrar.run())

    async def leave(self) -> None:
        """Stop beating first: a beat after the farewell would register again."""
        await self._cancel([name for name in self._tasks if name.startswith("registrar")])
        await asyncio.gather(*(registrar.unregister() for registrar in self.parts.registrars))

    async def end(self) -> None:
        await self._cancel(list(self._tasks))
        await self.parts.upstream.close()

    def _begin(self, name: str, work: Awaitable[None]) -> None:
        async def run() -> None:
            try:
                await work
            except Exception:
                logger.exception("the %s ended; this node cannot be trusted any more", name)

        self._tasks[name] = self.loop.create_task(run(), name=f"hydra {name}")

    async def _cancel(self, names: list[str]) -> None:
        tasks = [self._tasks.pop(name) for name in names]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
