"""What the mounted app is for the site: its routes, fragments and menu items, as one announced instance."""

import logging
import time
from collections.abc import Mapping
from typing import Any

from asgiref.typing import ASGI3Application

from hydra_asgi.core.instance import Address, Route, ServiceInstance
from hydra_asgi.discovery.discover import Discovery, discover
from hydra_asgi.errors import ConfigurationError
from hydra_asgi.options import Options
from hydra_asgi.service.declarations import Declarations

__all__ = ["OwnApp"]

logger = logging.getLogger("hydra_asgi")

_NOWHERE = Address("http", "127.0.0.1", 0)
"""The address of an app that nobody but its own process asks."""


class OwnApp:
    """The mounted app and what was declared about it.

    Args:
        options: of the node.
        declarations: its fragments and menu items.

    Attributes:
        is_absent: what is mounted stands for "no app": it answers nothing.
    """

    def __init__(self, options: Options, declarations: Declarations) -> None:
        self._options = options
        self._declarations = declarations
        self._since = int(time.time() * 1000)
        self._mounted: ASGI3Application | None = None
        self._framework: object | None = None
        self._discovery: Discovery | None = None
        self._instance: ServiceInstance | None = None
        self.is_absent = False
        self.root_path = ""
        self.base: dict[str, Any] = {}
        self.has_met_request = False

    @property
    def app(self) -> ASGI3Application:
        """The ASGI callable that the middleware wraps."""
        if self._mounted is None:
            raise ConfigurationError("no app is mounted yet: wrap one with HydraMiddleware(app, hydra=hydra)")
        return self._mounted

    def mount(self, app: ASGI3Application, *, is_absent: bool = False) -> None:
        """Take the app that the middleware wraps, or what says 404 where there is none."""
        self._mounted = app
        self.is_absent = is_absent
        self._forget()

    def reveal(self, framework: object) -> None:
        """Take the framework's app object, whose routes can be read; it is known before the middleware is built."""
        if framework is not self._framework:
            self._framework = framework
            self._forget()

    def follow(self, options: Options) -> None:
        """Take other options: what the site is told is made anew from them."""
        self._options = options
        self._forget()

    def learn(self, scope: Mapping[str, Any]) -> None:
        """Take from a real scope what scopes of our own making need too.

        The app's state comes from its lifespan alone: that of a request holds what was found out about one visitor.
        Where the app is mounted only a request can tell.
        """
        if scope.get("app") is not None:
            self.reveal(scope["app"])
            self.base["app"] = scope["app"]
        if scope["type"] == "lifespan":
            self.base.pop("state", None)
            if "state" in scope:
                self.base["state"] = scope["state"]
        else:
            self.has_met_request = True
            self.root_path = str(scope.get("root_path", "")).rstrip("/")

    @property
    def discovery(self) -> Discovery:
        """The routes of the app.

        Raises:
            ConfigurationError: nothing is mounted, or a route option cannot be read.
        """
        if self.is_absent:
            return Discovery((), "none", catch_all=False)
        if self._discovery is None:
            app = self._framework if self._framework is not None else self._mounted
            if app is None:
                raise ConfigurationError(
                    "the app is not known yet: frameworks build their middleware with the first request, "
                    "so give it to hydra.start(app)"
                )
            self._discovery = discover(
                app,
                routes=self._options.routes,
                exclude=self._options.exclude,
                prefix=self._options.prefix,
                unpublished=self._declarations.unpublished,
            )
            for problem in self._discovery.problems:
                logger.warning("routes of the app: %s", problem)
        return self._discovery

    @property
    def instance(self) -> ServiceInstance:
        """What the site is told about this process."""
        if self._instance is None:
            self._instance = ServiceInstance(
                service=self._options.service,
                address=self._options.address or _NOWHERE,
                version=self._options.version,
                weight=self._options.weight,
                routes=self.discovery.published,
                fragments=self._declarations.fragments,
                menu_items=self._declarations.menu_items(self.discovery.public_path),
                active_since=self._since,
            )
        return self._instance

    @property
    def hidden(self) -> tuple[Route, ...]:
        """Routes that only this node knows: they answer here and are told to nobody."""
        return tuple(found.route for found in self.discovery.found if found.hidden)

    def path_of(self, function: object) -> str | None:
        """The template, inside the app, at which a function answers GET; None when it is no route."""
        return self.discovery.local_path(function)

    def _forget(self) -> None:
        self._discovery = self._instance = None
