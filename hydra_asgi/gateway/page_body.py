"""The body of one page that is composed: from the app's messages to those that the server gets."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from hydra_asgi.core.fragment import PageContext
from hydra_asgi.core.fragments.gzip_pieces import GzipPieces
from hydra_asgi.errors import UpstreamError
from hydra_asgi.gateway.fragment_slot import Fallback, FragmentSlot, Piece
from hydra_asgi.gateway.page_fragments import ComposeLimits, PageFragments, SlotReader
from hydra_asgi.gateway.page_writer import END, Message, PageWriter, Send, body_message
from hydra_asgi.ports import FragmentSource

__all__ = ["PageBody", "PageSettings"]


@dataclass(frozen=True, slots=True)
class PageSettings:
    """What all pages of a composer have in common; see `Composer`."""

    source: FragmentSource
    limits: ComposeLimits
    max_held: int
    on_fallback: Callable[[Fallback], None]
    on_warning: Callable[[str], None]
    on_coding: Callable[[bytes], None]


class PageBody:
    """Scans what the app sends, asks for the fragments, and sends what has become of both.

    Args:
        settings: of the composer.
        page: what the page lends to fragments.
        codec: how fragments become bytes of this page, see `page_headers.fragment_codec`.
        is_gzip: the app sends it in this content coding, which is undone.
        own: the app's own service name.
        receive: the request's channel, to hear that the client has gone while fragments are waited for.
        send: the server's.
        group: owns every task of this page.
        on_failure: called when the server's `send` has raised.
    """

    def __init__(
        self,
        settings: PageSettings,
        page: PageContext,
        *,
        codec: str,
        is_gzip: bool,
        own: str,
        receive: Callable[[], Awaitable[Any]],
        send: Send,
        group: asyncio.TaskGroup,
        on_failure: Callable[[], None],
    ) -> None:
        self._receive = receive
        self._send = send
        self._group = group
        self._on_failure = on_failure
        self._max_held = settings.max_held
        self._gzip = GzipPieces() if is_gzip else None
        self._fragments = PageFragments(
            settings.source,
            page,
            limits=settings.limits,
            codec=codec,
            own=own,
            group=group,
            changed=self._changed,
            on_fallback=settings.on_fallback,
            on_warning=settings.on_warning,
        )
        self._reader: SlotReader | None = self._fragments.reader()
        self._writer: PageWriter | None = None
        self._watching: asyncio.Task[None] | None = None
        self._broken: UpstreamError | None = None

    async def take(self, data: bytes, *, last: bool) -> None:
        """Take a piece of the app's body.

        Args:
            data: the piece.
            last: no other follows.

        Raises:
            UpstreamError: the app's gzip is corrupt or cut.
        """
        self.raise_if_broken()
        ready: list[Piece | Message] = []
        for piece in self._decoded(data, last=last):
            if ready:
                await self._emit(ready)
            ready = [piece] if self._reader is None else [*self._reader.feed(piece)]
        if self._broken is not None:
            # What could be read is sent, but the page may not look whole: without its end the server breaks it off.
            await self._emit([*ready, *self._close_reader()], flush=True)
            raise self._broken
        if last:
            ready += [*self._close_reader(), END]
            if self._fragments.is_waiting:
                self._watching = self._group.create_task(self._watch())
        await self._emit(ready, flush=last)

    async def take_opaque(self, message: Message) -> None:
        """Take a part of the body that never passes through our hands. What follows it is not scanned."""
        self.raise_if_broken()
        await self._emit([*self._close_reader(), message])

    async def pass_on(self, message: Message) -> None:
        """Take a message that is no body, and leaves in its place."""
        self.raise_if_broken()
        await self._emit([message])

    async def finish(self) -> None:
        """Send what an app has left unfinished as far as it goes, and do not call it finished."""
        await self._emit(self._close_reader(), flush=True)

    def raise_if_broken(self) -> None:
        """Nothing may follow what could not be read.

        Raises:
            UpstreamError: as from `take`.
        """
        if self._broken is not None:
            raise self._broken

    def stop(self) -> None:
        """Nothing more is composed: end every task."""
        self._fragments.stop()
        if self._writer is not None:
            self._writer.stop()
        if self._watching is not None:
            self._watching.cancel()

    async def _watch(self) -> None:
        """The app has said all and may listen no more, so we do: who has gone waits for no fragment."""
        with suppress(Exception):  # a server that does not like to be asked only costs us the news
            for _ in range(2):  # the end of the request, if the app has not taken it, and then the news
                if (await self._receive()).get("more_body", False):
                    break

    def _decoded(self, data: bytes, *, last: bool) -> Iterator[bytes]:
        if self._gzip is None:
            yield data
            return
        try:
            yield from self._gzip.feed(data)
            if last:
                self._gzip.close()
        except UpstreamError as error:
            self._broken = error

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
                self._send, max_held=self._max_held, group=self._group, on_failure=self._on_failure
            )
        await self._writer.write(pieces, flush=flush)

    async def _send_directly(self, pieces: Iterable[Piece | Message]) -> None:
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
