"""The mounted app, as the rest of the node calls it: under its prefix, its own files found, its pages composed."""

import math
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Protocol, cast
from urllib.parse import unquote_to_bytes

from asgiref.typing import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, HTTPScope, Scope

from hydra_asgi.core.routing.own_path import own_path, own_raw_path, quoted

__all__ = ["PAGE_ATTRIBUTES", "Compose", "MountedApp"]

PAGE_ATTRIBUTES = "hydra.page"
"""The scope key under which a page finds the dict of attributes that its fragments may import."""


class Compose(Protocol):
    """Runs an app and fills the fragment tags of its pages (`gateway.compose`)."""

    def __call__(
        self,
        app: ASGI3Application,
        scope: HTTPScope,
        receive: ASGIReceiveCallable,
        send: ASGISendCallable,
        *,
        service: str,
        headers: Iterable[tuple[bytes, bytes]],
        attributes: Mapping[str, object],
        key: str,
        depth: int,
        deadline: float,
    ) -> Awaitable[None]:
        """Run one request."""
        ...


class MountedApp:
    """Serves requests by the mounted app.

    Args:
        app: gives the app as it was given to the middleware; frameworks may build that anew.
        compose: replaces fragment tags.
        service: the app's name on the site; its files are asked for as `/{service}/static/...`.
        prefix: where the app is published; requests below it see it as part of their `root_path`.
        seen_through: gives the scope with what gateways of the site say about the visitor.
    """

    def __init__(
        self,
        app: Callable[[], ASGI3Application],
        compose: Compose,
        *,
        service: str,
        prefix: str,
        seen_through: Callable[[Scope], Scope] = lambda scope: scope,
    ) -> None:
        self._app = app
        self._compose = compose
        self._service = service
        self._prefix = prefix
        self._seen_through = seen_through

    async def __call__(
        self,
        scope: Scope,
        receive: ASGIReceiveCallable,
        send: ASGISendCallable,
        *,
        key: str = "",
        target: bytes | None = None,
    ) -> None:
        """Serve one request of the site.

        Args:
            scope: of an HTTP request or a WebSocket.
            receive: as ASGI has it.
            send: as ASGI has it.
            key: the user's weight key, for the fragments of the page.
            target: the path to serve, below the mount point and still encoded, where it is not the request's own.
        """
        scope = self._as_mounted(self._seen_through(scope), target)
        if scope["type"] == "http":
            await self.compose(scope, receive, send, key=key)
        else:
            await self._app()(scope, receive, send)

    async def compose(
        self,
        scope: HTTPScope,
        receive: ASGIReceiveCallable,
        send: ASGISendCallable,
        *,
        key: str = "",
        depth: int = 0,
        deadline: float = math.inf,
    ) -> None:
        """Run one HTTP request as the app sees it, and fill the tags of its page.

        Args:
            scope: its path and mount point are as the app expects them.
            receive: as ASGI has it.
            send: as ASGI has it.
            key: the user's weight key.
            depth: how many fragments deep this request is; 0 for a page.
            deadline: until when the fragments of this request may take, on the loop's clock.
        """
        attributes: dict[str, object] = {}
        await self._compose(
            self._app(),
            cast("HTTPScope", {**scope, PAGE_ATTRIBUTES: attributes}),
            receive,
            send,
            service=self._service,
            headers=scope["headers"],
            attributes=attributes,
            key=key,
            depth=depth,
            deadline=deadline,
        )

    def _as_mounted(self, scope: Scope, target: bytes | None) -> Scope:
        if target is None and self._service:
            target = self._own_file(scope)
        if target is not None:
            return _moved(scope, "", unquote_to_bytes(target).decode("utf-8", "replace"), target)
        path = own_path(scope)
        if self._prefix and (path == self._prefix or path.startswith(f"{self._prefix}/")):
            return _moved(scope, self._prefix, path, own_raw_path(scope))
        return scope

    def _own_file(self, scope: Scope) -> bytes | None:
        """Where `/{service}/static/...` lies, for a request that came straight to us."""
        if not own_path(scope).startswith(f"/{self._service}/static/"):
            return None
        raw = own_raw_path(scope)
        return raw[raw.index(b"/", 1) :]


def _moved(scope: Scope, root: str, path: str, raw: bytes) -> Scope:
    """The scope with `root` added to its mount point and another own path."""
    before = str(scope.get("root_path", "")).rstrip("/")
    moved = {**scope, "root_path": before + root, "path": before + path, "raw_path": quoted(before) + raw}
    return cast("Scope", moved)
