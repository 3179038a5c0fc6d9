"""Composes pages: fills the fragment tags of an app's own HTML while it streams.

Mount it around an app. A response that is no page, or a whole page without a tag, leaves exactly as the app sent it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from hydra_asgi.core.fragment import PageContext
from hydra_asgi.core.headers.page_headers import app_request_headers
from hydra_asgi.core.headers.page_origin import page_origin
from hydra_asgi.gateway.fragment_slot import Fallback
from hydra_asgi.gateway.page_fragments import ComposeLimits
from hydra_asgi.gateway.page_response import PageResponse, PageSettings
from hydra_asgi.ports import FragmentSource

__all__ = ["Composer", "Fallback"]

App = Callable[..., Awaitable[None]]


def _ignore(_: object) -> None:
    pass


class Composer:
    """Runs an app and composes its pages. Holds no state of a request; one serves a whole process.

    Args:
        source: who renders fragments.
        budget: seconds a fragment may take from its start tag on; a tag's own `timeout` may only shorten it. Below
            two seconds, after which people believe that a page hangs.
        max_held: bytes of the page that may wait behind an unfinished fragment before the app has to wait too.
        max_fragments: fragments asked for on one page; the others show their fallback.
        max_depth: how deep fragments may stand in fragments and fallbacks.
        on_fallback: told once about every fragment that showed its fallback. Must not raise.
        on_warning: told about tags that their authors should mend, and once about each content coding that keeps
            pages from being composed. Must not raise.
    """

    def __init__(
        self,
        source: FragmentSource,
        *,
        budget: float = 1.5,
        max_held: int = 262144,
        max_fragments: int = 64,
        max_depth: int = 3,
        on_fallback: Callable[[Fallback], None] = _ignore,
        on_warning: Callable[[str], None] = _ignore,
    ) -> None:
        self._settings = PageSettings(
            source=source,
            limits=ComposeLimits(budget=budget, max_fragments=max_fragments, max_depth=max_depth),
            max_held=max_held,
            on_fallback=on_fallback,
            on_warning=on_warning,
            on_coding=self._warn_of_coding,
        )
        self._on_warning = on_warning
        self._codings: set[bytes] = set()

    async def __call__(
        self,
        app: App,
        scope: Any,
        receive: Any,
        send: Any,
        *,
        service: str = "",
        headers: Iterable[tuple[bytes, bytes]] = (),
        attributes: Mapping[str, object] | None = None,
        key: str = "",
        depth: int = 0,
        deadline: float = float("inf"),
    ) -> None:
        """Run one request.

        Args:
            app: the ASGI app that owns the page.
            scope: of the connection; what is not HTTP goes to the app untouched.
            receive: the server's.
            send: the server's.
            service: the app's own name; its tags, as those without a service, are asked for as service `""`.
            headers: the headers of the page's request that fragments may get.
            attributes: what fragments may import.
            key: the user's weight key.
            depth: how many fragments deep this page is itself.
            deadline: when nobody waits for its fragments any longer, on the running loop's clock.

        Raises:
            Exception: whatever the app or the server's `send` raised, unchanged.
            UpstreamError: the app sent a gzip body that is corrupt or cut; the page ends as visibly broken.
        """
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        page = PageContext(
            deadline=deadline,
            headers=tuple(headers),
            attributes={} if attributes is None else attributes,
            key=key,
            depth=depth,
            origin=page_origin(scope),
        )
        await self._run(app, _app_scope(scope), receive, send, service=service, page=page)

    async def _run(self, app: App, scope: Any, receive: Any, send: Any, *, service: str, page: PageContext) -> None:
        failure: Exception | None = None
        async with asyncio.TaskGroup() as group:
            response = PageResponse(
                self._settings, receive, send, method=scope["method"], own=service, page=page, group=group
            )
            try:
                await app(scope, response.receive, response.send)
                await response.finish()
            except Exception as error:
                failure = error
            finally:
                response.stop()
        if failure is not None:
            raise failure

    def _warn_of_coding(self, coding: bytes) -> None:
        if coding not in self._codings and len(self._codings) < 16:
            self._codings.add(coding)
            self._on_warning(
                f"pages in content coding {coding[:40]!r} are not composed: mount the compression outside of hydra"
            )


def _app_scope(scope: Any) -> Any:
    headers = app_request_headers(scope["headers"], scope["method"])
    return scope if headers is scope["headers"] else {**scope, "headers": headers}
