"""`Hydra`: the node, as its users see it. They declare with it, ask it in handlers and templates, start and stop it."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar
from urllib.parse import quote

from hydra_asgi.backends.selectolax_picker import check_selector
from hydra_asgi.control.late_plane import LatePlane
from hydra_asgi.core.directory.overview import Overview
from hydra_asgi.core.instance import ServiceInstance
from hydra_asgi.node.condition import State
from hydra_asgi.node.node import Node
from hydra_asgi.node.parts import Parts
from hydra_asgi.options import Options
from hydra_asgi.ports import Hook, Prober, Store
from hydra_asgi.service.attributes import attributes_of
from hydra_asgi.service.calling import ASGIApp
from hydra_asgi.service.declarations import Declarations
from hydra_asgi.service.lending import lend, lendable
from hydra_asgi.site.site_options import read_with_site
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
        store: where the directory is kept: `memory://` for one process, `sqlite:///path/site.db` for the processes of
            one host, `redis://host:6379/0` for a fleet, or an object that implements `hydra_asgi.ports.Store`, which
            whoever made it also closes.
        last_known_good: a file in which a gateway keeps what it knows, so that it can start while the store is away.
        prefix: publish the app under this path.
        routes: routes to publish beside the discovered ones, such as `"GET /items/{id}"`.
        exclude: templates, or prefixes ending in `/*`, that are not published.
        forward: service name or `"*"` -> request headers, or `cookie:NAME`, that its fragments get.
        forward_cookies: service name or `"*"` -> the cookies that forwarded requests to it carry; all, where nothing is
            said.
        max_concurrent: requests to one service that are forwarded at a time.
        max_concurrent_total: requests that are forwarded at a time.
        max_queue: requests to one service that may wait for a place, for a second at most.
        service_secrets: service name -> what its calls have to be signed with, one secret or several.
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

    Attributes:
        declarations: the app's fragments and menu items, as they were declared.
        control: the control plane as an ASGI app of its own, to be served on an inner listener.
        node: what does the work; for the middleware and `hydra_asgi.testing`.

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
        last_known_good: str | None = None,
        prefix: str | None = None,
        routes: Sequence[str] | None = None,
        exclude: Sequence[str] | None = None,
        forward: Sequence[str] | Mapping[str, Sequence[str]] | None = None,
        forward_cookies: Sequence[str] | Mapping[str, Sequence[str]] | None = None,
        max_concurrent: int | None = None,
        max_concurrent_total: int | None = None,
        max_queue: int | None = None,
        service_secrets: Mapping[str, str | Sequence[str]] | None = None,
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
        options, site = read_with_site(given, os.environ)
        self.declarations = Declarations(check_selector=check_selector)
        self.node = Node(
            options,
            site,
            self.declarations,
            store=None if isinstance(store, str) else store,
            instances=instances,
            upstream=upstream,
            prober=prober,
            on_event=on_event,
        )
        self.control: ASGIApp = LatePlane(self.node.plane)

    @property
    def options(self) -> Options:
        """What the node was told, wherever that was."""
        return self.node.options

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
        return self.node.overview

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
        return self.node.state

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
            self.node.own.reveal(app)
        if self.options.enabled:
            await self.node.start()

    async def drain(self) -> None:
        """Leave the site and go on serving what still comes: readiness says 503, no new requests are sent here."""
        await self.node.drain()

    async def stop(self) -> None:
        """Leave the site and end the background work. The node can be started again."""
        await self.node.stop()

    # Looking inside

    @property
    def running(self) -> Parts | None:
        """The parts of the running node; None when it does not run in this event loop."""
        return self.node.running

    @property
    def metrics(self) -> ASGIApp:
        """The metrics as an app of its own, to be served on an inner listener; it refuses nobody.

        Raises:
            ConfigurationError: the node was not made with `metrics=True`.
        """
        return self.node.observing.page()

    @property
    def instance(self) -> ServiceInstance:
        """What the site is told about this process.

        Raises:
            ConfigurationError: the app is not known yet, or its routes or declarations cannot be used.
        """
        return self.node.own.instance

    @property
    def store(self) -> Store:
        """The store of this node's directory."""
        return self.node.store
