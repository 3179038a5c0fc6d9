"""One response on its way out: decides whether it is composed, and what becomes of each of its messages."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final

from hydra_asgi.core.fragment import PageContext
from hydra_asgi.core.fragments.gzip_pieces import GzipPieces
from hydra_asgi.core.headers.page_headers import (
    Composable,
    composed_headers,
    declared_length,
    fragment_codec,
    may_compose,
)
from hydra_asgi.core.html.scanner import Scanner, TagOpened
from hydra_asgi.errors import UpstreamError
from hydra_asgi.gateway.fragment_slot import Fallback, FragmentSlot, Piece
from hydra_asgi.gateway.page_fragments import ComposeLimits, PageFragments, SlotReader
from hydra_asgi.gateway.page_writer import END, Message, PageWriter, Send, body_message
from hydra_asgi.ports import FragmentSource

__all__ = ["PageResponse", "PageSettings"]

_MAYBE_TAG: Final = re.compile(rb":[fF][rR][aA][gG][mM][eE][nN][tT]")
"""Cheaper than scanning: no colon of that kind, no tag."""

_LOOK: Final = 16384
"""How much of a whole body is scanned at once to learn whether it has a tag; the first one ends the search."""

_OPAQUE: Final = ("http.response.pathsend", "http.response.zerocopysend")
"""Bodies that never pass through our hands."""


@dataclass(frozen=True, slots=True)
class PageSettings:
    """What all pages of a composer have in common; see `Composer`."""

    source: FragmentSource
    limits: ComposeLimits
    max_held: int
    on_fallback: Callable[[Fallback], None]
    on_warning: Callable[[str], None]
    on_coding: Callable[[bytes], None]


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
        self._gzip: GzipPieces | None = None
        self._fragments: PageFragments | None = None
        self._reader: SlotReader | None = None
        self._writer: PageWriter | None = None
        self._broken: UpstreamError | None = None
        self._watching: asyncio.Task[None] | None = None

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
        if self._stage is _Stage.PASSING:
            await self._send(message)
        elif self._broken is not None:
            raise self._broken
        elif message["type"] == "http.response.body":
            await self._take_body(message)
        elif message["type"] in _OPAQUE:
            await self._take_opaque(message)
        elif self._stage is _Stage.COMPOSING:
            await self._emit([message])
        elif message["type"] == "http.response.start" and not self._waiting:
            await self._take_start(message)
        elif self._waiting:
            self._waiting.append(message)
        else:
            await self._send(message)

    async def finish(self) -> None:
        """The app has returned. What it left unfinished is sent as far as it goes, and not called finished."""
        if self._broken is not None:
            raise self._broken
        if self._stage is _Stage.BEFORE:
            await self._pass()
        elif self._stage is _Stage.COMPOSING:
            await self._emit(self._close_reader(), flush=True)

    def stop(self) -> None:
        """Nothing more is composed: end every task. What the app still sends is the server's to refuse."""
        self._stage = _Stage.PASSING
        if self._fragments is not None:
            self._fragments.stop()
        if self._writer is not None:
            self._writer.stop()
        if self._watching is not None:
            self._watching.cancel()

    # -- the head ---------------------------------------------------------------------------------------------------

    async def _take_start(self, message: Message) -> None:
        headers = list(message.get("headers", ()))
        verdict = may_compose(message["status"], self._method, headers)
        if verdict is Composable.UNKNOWN_CODING:
            self._settings.on_coding(_coding(headers))
        if verdict in (Composable.NO, Composable.UNKNOWN_CODING):
            await self._pass(message)
            return
        if verdict is Composable.YES_GZIP:
            self._gzip = GzipPieces()
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
        headers = composed_headers(message.get("headers", ()), decoded=self._gzip is not None)
        return {**message, "headers": headers}

    # -- the body ---------------------------------------------------------------------------------------------------

    async def _take_body(self, message: Message) -> None:
        body, more = message.get("body", b""), message.get("more_body", False)
        if self._stage is _Stage.BEFORE:
            if not self._waiting or self._gone or (self._is_whole(body, more=more) and not _has_tag(body, self._gzip)):
                await self._pass(message)
                return
            await self._begin()
        await self._compose(body, last=not more)

    def _is_whole(self, body: bytes, *, more: bool) -> bool:
        """Some frameworks send the end of a whole body as an empty message of its own."""
        return not more or declared_length(self._waiting[0].get("headers", ())) == len(body)

    async def _begin(self) -> None:
        self._stage = _Stage.COMPOSING
        start, *others = self._waiting
        self._fragments = PageFragments(
            self._settings.source,
            self._page,
            limits=self._settings.limits,
            codec=fragment_codec(start.get("headers", ())) or "utf-8",
            own=self._own,
            group=self._group,
            changed=self._changed,
            on_fallback=self._settings.on_fallback,
            on_warning=self._settings.on_warning,
        )
        self._reader = self._fragments.reader()
        for message in (self._composed_start(start), *others):
            await self._send(message)

    async def _compose(self, body: bytes, *, last: bool) -> None:
        ready: list[Piece | Message] = []
        for data in self._decoded(body, last=last):
            if ready:
                await self._emit(ready)
            ready = [data] if self._reader is None else [*self._reader.feed(data)]
        if self._broken is not None:
            # What could be read is sent, but the page may not look whole: without its end the server breaks it off.
            await self._emit([*ready, *self._close_reader()], flush=True)
            raise self._broken
        if last:
            ready += [*self._close_reader(), END]
            if self._fragments is not None and self._fragments.is_waiting:
                self._watching = self._group.create_task(self._watch())
        await self._emit(ready, flush=last)

    async def _watch(self) -> None:
        """The app has said all and may listen no more, so we do: who has gone waits for no fragment."""
        with suppress(Exception):  # a server that does not like to be asked only costs us the news
            for _ in range(2):  # the end of the request, if the app has not taken it, and then the news
                if (await self.receive()).get("more_body", False):
                    break

    def _decoded(self, body: bytes, *, last: bool) -> Iterator[bytes]:
        if self._gzip is None:
            yield body
            return
        try:
            yield from self._gzip.feed(body)
            if last:
                self._gzip.close()
        except UpstreamError as error:
            self._broken = error

    async def _take_opaque(self, message: Message) -> None:
        if self._stage is _Stage.BEFORE:
            await self._pass(message)
        else:
            await self._emit([*self._close_reader(), message])

    def _close_reader(self) -> list[Piece]:
        """End what was scanned so far. Bytes after a body that went another way are sent as they are."""
        reader, self._reader = self._reader, None
        return [] if reader is None else reader.close()

    async def _emit(self, pieces: Sequence[Piece | Message], *, flush: bool = False) -> None:
        if self._writer is None:
            if not any(isinstance(piece, FragmentSlot) for piece in pieces):
                await self._send_directly(pieces)
                return
            self._writer = PageWriter(
                self._send, max_held=self._settings.max_held, group=self._group, on_failure=self.stop
            )
        await self._writer.write(pieces, flush=flush)

    async def _send_directly(self, pieces: Sequence[Piece | Message]) -> None:
        """Without a fragment in front there is nothing to wait for."""
        ready: list[bytes] = []
        for piece in pieces:
            if isinstance(piece, bytes):
                ready.append(piece)
            elif piece is END:
                await self._send(body_message(ready, more=False))
                ready = []
            else:
                await self._send_ready(ready)
                await self._send(piece)
        await self._send_ready(ready)

    async def _send_ready(self, ready: list[bytes]) -> None:
        if ready:
            await self._send(body_message(ready, more=True))
            ready.clear()

    def _changed(self) -> None:
        if self._writer is not None:
            self._writer.changed()


def _coding(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    return b",".join(value for name, value in headers if name.lower() == b"content-encoding").lower()


def _has_tag(body: bytes, gzip: GzipPieces | None) -> bool:
    """Whether a whole body holds a tag; what is corrupt holds none from there on."""
    if gzip is None:
        found = _MAYBE_TAG.search(body) is not None
        return found and _opens_tag(body[at : at + _LOOK] for at in range(0, len(body), _LOOK))
    try:
        return _opens_tag(GzipPieces().feed(body))
    except UpstreamError:
        return False


def _opens_tag(pieces: Iterable[bytes]) -> bool:
    scanner = Scanner()
    return any(isinstance(event, TagOpened) for piece in pieces for event in scanner.feed(piece))
