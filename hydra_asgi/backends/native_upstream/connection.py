"""One connection to an instance: bytes in, bytes out, back-pressure both ways. Knows nothing of pools.

One request at a time, and one task at a time that waits for something here. Whatever goes wrong is a failure of the
reader, which wakes that task; nothing here raises into the loop.
"""

import asyncio
import select
from collections.abc import Callable
from math import inf
from typing import Final, cast

from hydra_asgi.backends.native_upstream.deadline import Deadline
from hydra_asgi.backends.native_upstream.outbox import Outbox
from hydra_asgi.backends.native_upstream.response_reader import MAX_PIECE, ResponseReader
from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.core.instance import Address
from hydra_asgi.errors import UpstreamError

__all__ = ["Connection"]

HIGH_WATER: Final = 65_536
"""Bytes of a body that nobody has taken, above which the instance has to wait; the loop reads up to 256 KiB at once."""


class Connection(asyncio.Protocol):
    """A connection, from the moment it is dialled.

    Args:
        address: of the instance.

    Attributes:
        reader: what was read; see there.
        outbox: takes what is written.
        requests: how many were begun on it.
        is_closed: nothing can be sent any more.
        on_spoiled: whom to tell that an idle connection is of no use any more; None while it is not idle.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self.reader = ResponseReader()
        self.outbox = Outbox(asyncio.get_running_loop())
        self.requests = 0
        self.is_closed = False
        self._loop = asyncio.get_running_loop()
        self._deadline = Deadline(self._loop)
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._reads = True
        self._writes = True
        self.on_spoiled: Callable[[Connection], None] | None = None
        self._on_news: Callable[[], None] | None = None
        self._poll: select.poll | None = None
        self._late_kind = ErrorKind.FIRST_BYTE_TIMEOUT
        self._late_seconds: float | None = None

    # The pool's side.

    def is_reusable(self) -> bool:  # no property: those cost twice as much
        """Another request may follow: the last response is whole and promises it, and every byte of ours is out."""
        reader = self.reader
        return (
            reader.keeps_alive
            and reader.is_complete
            and not self.is_closed
            and self._transport is not None
            and not self.outbox.gathered
            and not self._transport.get_write_buffer_size()
        )

    def rest(self, seconds: float, on_spoiled: Callable[["Connection"], None]) -> None:
        """Be idle, until `on_spoiled` is taken away. It is called once when the connection can no longer be used: it
        was too long, or the instance closed or spoke out of turn.
        """
        self.on_spoiled = on_spoiled
        self._deadline.set(seconds, self._spoil)

    def has_news(self) -> bool:
        """Whether something came that the loop has not seen yet; on an idle connection that can only be its end."""
        if self._transport is None or self.is_closed:
            return True
        if self._poll is None:
            self._poll = select.poll()
            self._poll.register(self._transport.get_extra_info("socket").fileno(), select.POLLIN)
        return bool(self._poll.poll(0))

    def abort(self) -> None:
        """Close at once, whatever is under way; a body that ends with its connection is not whole by that."""
        self.is_closed = True
        self.reader.fail(ErrorKind.RESET, "the connection was given up")
        self.on_spoiled = None
        self.outbox.close()
        self._deadline.close()
        if self._transport is not None:
            self._transport.abort()

    # The request.

    def begin(self, *, head_only: bool, may_upgrade: bool) -> None:
        """Expect the response to a request that is about to be written."""
        self.requests += 1
        self._deadline.expires = inf
        self.reader.begin(head_only=head_only, may_upgrade=may_upgrade)

    @property
    def is_answered(self) -> bool:
        """The head of the final response is there, or none will come."""
        return self.reader.status != 0 or self.reader.failure is not None

    @property
    def is_full(self) -> bool:
        """The instance takes our bytes slower than they come."""
        return not self._writes

    async def drain(self, seconds: float | None) -> None:
        """Wait until the instance has taken most of what was written, or has answered already.

        Args:
            seconds: how long it may take nothing; then the response is an IDLE_TIMEOUT.
        """
        self._expect_progress(seconds)
        while not self._writes and not self.is_answered:
            await self.change()
        self._deadline.expires = inf

    async def permission(self, seconds: float) -> bool:
        """Wait for a 100, but not for ever (RFC 9110 section 10.1.1). False: the answer is there already."""
        waited = False

        def go_on() -> None:
            nonlocal waited
            waited = True
            self._notify()

        self._deadline.set(seconds, go_on)
        while not (waited or self.reader.may_continue or self.is_answered):
            await self.change()
        self._deadline.expires = inf
        return not self.is_answered

    def call_on_news(self, call: Callable[[], None] | None) -> None:
        """Call when anything comes, for whoever waits for something else; None: no longer."""
        self._on_news = call

    # The response.

    def limit(self, kind: ErrorKind, seconds: float | None) -> None:
        """Fail with this kind after so many seconds in which nobody took the limit back; None: never."""
        self._late_kind = kind
        self._late_seconds = seconds
        self._deadline.set(seconds, self._give_up)

    def end_limit(self) -> None:
        """Nothing is too late."""
        self._deadline.expires = inf

    def change(self) -> "asyncio.Future[None]":
        """Done when something has come: bytes, room for ours, or the end."""
        self._waiter = waiter = self._loop.create_future()
        return waiter

    async def piece(self, seconds: float | None) -> bytes:
        """The next bytes of the body, at most `MAX_PIECE`; empty at its end.

        Args:
            seconds: the longest silence.

        Raises:
            UpstreamError: IDLE_TIMEOUT, RESET, TRUNCATED or PROTOCOL, after everything that came before it.
        """
        reader = self.reader
        if not (reader.buffered or reader.is_complete or reader.failure is not None):
            await self._next_piece(seconds)
        elif reader.buffered > MAX_PIECE:
            await asyncio.sleep(0)  # others have their turn between two pieces of much
        if reader.buffered:
            piece = reader.take()
            if not self._reads and reader.buffered <= HIGH_WATER:
                self._read_on()
            return piece
        if reader.failure is not None:
            raise self.failure()
        return b""

    def failure(self) -> UpstreamError:
        """What the reader failed with, in words that name the instance."""
        kind, words = self.reader.failure or (ErrorKind.RESET, "nothing failed")
        return UpstreamError(kind, f"{self.address.netloc}: {words}")

    def hand_over(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Both directions as raw streams, after a 101. What came behind its head is read first."""
        transport = cast(asyncio.Transport, self._transport)
        reader = asyncio.StreamReader(limit=HIGH_WATER)
        protocol = asyncio.StreamReaderProtocol(reader)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        reader.feed_data(self.reader.leftover)
        self._read_on()
        return reader, asyncio.StreamWriter(transport, protocol, reader, self._loop)

    # The loop's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.outbox.open(self._transport)

    def data_received(self, data: bytes) -> None:
        if self.on_spoiled is not None:
            self._spoil()
            return
        reader = self.reader
        reader.feed(data)
        if reader.buffered > HIGH_WATER and self._reads and not reader.is_complete:
            self._reads = False
            cast(asyncio.Transport, self._transport).pause_reading()
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
        if self._on_news is not None:
            self._on_news()

    def eof_received(self) -> None:
        self.connection_lost(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_closed = True
        self.outbox.close()
        self.reader.end(exc)
        self._spoil()
        self._notify()

    def pause_writing(self) -> None:
        self._writes = False

    def resume_writing(self) -> None:
        self._writes = True
        self._notify()

    # Inside.

    def _spoil(self) -> None:
        on_spoiled, self.on_spoiled = self.on_spoiled, None
        if on_spoiled is not None:
            on_spoiled(self)

    def _expect_progress(self, seconds: float | None, before: int = -1) -> None:
        """Fail when a whole interval passes in which nothing of the written bytes left."""
        unsent = self.outbox.unsent
        if unsent == before:
            self.reader.fail(ErrorKind.IDLE_TIMEOUT, f"read nothing for {seconds} s")
            self._notify()
        else:
            self._deadline.set(seconds, lambda: self._expect_progress(seconds, unsent))

    def _give_up(self) -> None:
        self.reader.fail(self._late_kind, f"silent for {self._late_seconds} s")
        self._notify()

    def _read_on(self) -> None:
        if not self._reads and not self.is_closed:
            self._reads = True
            cast(asyncio.Transport, self._transport).resume_reading()

    def _notify(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
        if self._on_news is not None:
            self._on_news()

    async def _next_piece(self, seconds: float | None) -> None:
        reader = self.reader
        self.limit(ErrorKind.IDLE_TIMEOUT, seconds)
        try:
            while not (reader.buffered or reader.is_complete or reader.failure is not None):
                await self.change()
        finally:  # whoever was cancelled may read on later
            self._deadline.expires = inf
