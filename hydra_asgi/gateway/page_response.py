"""One response on its way out: decides whether it is composed, and what becomes of each of its messages."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from enum import Enum, auto
from typing import Any, Final

from hydra_asgi.core.fragment import PageContext
from hydra_asgi.core.fragments.tag_search import has_tag
from hydra_asgi.core.headers.page_headers import (
    Composable,
    composed_headers,
    declared_length,
    fragment_codec,
    may_compose,
)
from hydra_asgi.gateway.page_body import PageBody, PageSettings
from hydra_asgi.gateway.page_writer import Message, Send

__all__ = ["PageResponse", "PageSettings"]

_OPAQUE: Final = ("http.response.pathsend", "http.response.zerocopysend")
"""Bodies that never pass through our hands."""

_TRAILERS: Final = "http.response.trailers"


class _Stage(Enum):
    BEFORE = auto()
    """The start message has not come, or waits for the first body message."""
    COMPOSING = auto()
    PASSING = auto()
    """Every message goes to the server as it is."""


class PageResponse:
    """Stands between the app and the server for one request.

    Args:
        settings: of the composer.
        receive: the server's.
        send: the server's.
        method: of the request.
        own: the app's own service name.
        page: what the page lends to fragments.
        group: owns every task of this page.
    """

    def __init__(
        self,
        settings: PageSettings,
        receive: Callable[[], Awaitable[Any]],
        send: Send,
        *,
        method: str,
        own: str,
        page: PageContext,
        group: asyncio.TaskGroup,
    ) -> None:
        self._settings = settings
        self._receive = receive
        self._send = send
        self._method = method
        self._own = own
        self._page = page
        self._group = group
        self._stage = _Stage.BEFORE
        self._waiting: list[Message] = []  # the start message, and what the app sent before its first body message
        self._gone = False
        self._is_gzip = False
        self._has_composed_head = False
        self._body: PageBody | None = None

    # -- what the app gets ----------------------------------------------------------------------------------------

    async def receive(self) -> Any:
        """The server's `receive`; a client that has gone needs no fragments."""
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self._gone = True
            if self._stage is _Stage.COMPOSING:
                self.stop()
        return message

    async def send(self, message: Message) -> None:
        """The server's `send`, for a page that may be composed."""
        kind = message["type"]
        if self._has_composed_head and kind == _TRAILERS:
            return  # what they say of the app's page is not true of the composed one, and none were announced
        if self._stage is _Stage.PASSING:
            await self._send(message)
        elif kind == "http.response.body":
            await self._take_body(message)
        elif kind in _OPAQUE:
            await self._take_opaque(message)
        elif self._body is not None:
            await self._body.pass_on(message)
        elif kind == "http.response.start" and not self._waiting:
            await self._take_start(message)
        elif self._waiting:
            self._waiting.append(message)
        else:
            await self._send(message)

    async def finish(self) -> None:
        """The app has returned. What it left unfinished is sent as far as it goes, and not called finished."""
        if self._body is not None:
            self._body.raise_if_broken()
            if self._stage is _Stage.COMPOSING:
                await self._body.finish()
        elif self._stage is _Stage.BEFORE:
            await self._pass()

    def stop(self) -> None:
        """Nothing more is composed: end every task. What the app still sends is the server's to refuse."""
        self._stage = _Stage.PASSING
        if self._body is not None:
            self._body.stop()

    # -- the head ---------------------------------------------------------------------------------------------------

    async def _take_start(self, message: Message) -> None:
        headers = list(message.get("headers", ()))
        verdict = may_compose(message["status"], self._method, headers)
        if verdict is Composable.UNKNOWN_CODING:
            self._settings.on_coding(_coding(headers))
        if verdict in (Composable.NO, Composable.UNKNOWN_CODING):
            await self._pass(message)
            return
        self._is_gzip = verdict is Composable.YES_GZIP
        if self._method == "HEAD":
            await self._pass(self._composed_start(message))
        else:
            self._waiting.append(message)

    async def _pass(self, *messages: Message) -> None:
        """From now on every message is the server's, those that wait included."""
        self._stage = _Stage.PASSING
        for message in (*self._waiting, *messages):
            await self._send(message)

    def _composed_start(self, message: Message) -> Message:
        self._has_composed_head = True
        headers = composed_headers(message.get("headers", ()), decoded=self._is_gzip)
        composed = {**message, "headers": headers}
        if "trailers" in composed:
            composed["trailers"] = False
        return composed

    # -- the body ---------------------------------------------------------------------------------------------------

    async def _take_body(self, message: Message) -> None:
        data, more = message.get("body", b""), message.get("more_body", False)
        body = self._body
        if body is None:
            is_plain = not self._waiting or self._gone
            if is_plain or (self._is_whole(data, more=more) and not has_tag(data, is_gzip=self._is_gzip)):
                await self._pass(message)
                return
            body = await self._begin()
        await body.take(data, last=not more)

    def _is_whole(self, data: bytes, *, more: bool) -> bool:
        """Some frameworks send the end of a whole body as an empty message of its own."""
        return not more or declared_length(self._waiting[0].get("headers", ())) == len(data)

    async def _begin(self) -> PageBody:
        self._stage = _Stage.COMPOSING
        start, *others = self._waiting
        body = self._body = PageBody(
            self._settings,
            self._page,
            codec=fragment_codec(start.get("headers", ())) or "utf-8",
            is_gzip=self._is_gzip,
            own=self._own,
            receive=self.receive,
            send=self._send,
            group=self._group,
            on_failure=self.stop,
        )
        for message in (self._composed_start(start), *others):
            await self._send(message)
        return body

    async def _take_opaque(self, message: Message) -> None:
        if self._body is None:
            await self._pass(message)
        else:
            await self._body.take_opaque(message)


def _coding(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    return b",".join(value for name, value in headers if name.lower() == b"content-encoding").lower()
