"""The page that is scraped for metrics, as an ASGI app of its own."""

import asyncio
from collections.abc import Callable

from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, HTTPScope, Scope

from hydra_asgi.control.guard import caller_ip, header_of
from hydra_asgi.control.lifespan_answer import answer_lifespan
from hydra_asgi.control.reply import base_headers, reply_empty
from hydra_asgi.core.headers.passed_on import proxy_field

__all__ = ["MetricsPage"]

Render = Callable[[str], tuple[str, bytes]]
"""Takes `Accept`, gives the content type and the page. Called in a thread: thousands of lines take their time."""


class MetricsPage:
    """Answers GET with the metrics.

    Args:
        render: writes the page.
        prepare: called on the event loop before each page, to read what only the loop may read.
        is_inner: whether a caller at an IP address may see the page; None leaves that to whoever serves this app. A
            call that came through a proxy has the proxy's address and is refused.
    """

    def __init__(
        self,
        render: Render,
        *,
        prepare: Callable[[], None] = lambda: None,
        is_inner: Callable[[str], bool] | None = None,
    ) -> None:
        self._render = render
        self._prepare = prepare
        self._is_inner = is_inner

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Answer one scrape. As an app of its own it also takes lifespan and refuses WebSockets."""
        if scope["type"] == "lifespan":
            await answer_lifespan(receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000, "reason": ""})
        elif not self._may_see(scope):
            await reply_empty(send, 404)  # as if it were not there
        elif scope["method"] not in {"GET", "HEAD"}:
            await reply_empty(send, 405, headers=[(b"allow", b"GET, HEAD")])
        else:
            await self._answer(scope, send)

    def _may_see(self, scope: HTTPScope) -> bool:
        if self._is_inner is None:
            return True
        return proxy_field(list(scope["headers"])) is None and self._is_inner(caller_ip(scope))

    async def _answer(self, scope: HTTPScope, send: ASGISendCallable) -> None:
        accept = (header_of(scope, b"accept") or b"").decode("latin-1")
        self._prepare()
        content_type, body = await asyncio.to_thread(self._render, accept)
        headers = [*base_headers(content_type.encode("latin-1")), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers, "trailers": False})
        shown = b"" if scope["method"] == "HEAD" else body
        await send({"type": "http.response.body", "body": shown, "more_body": False})
