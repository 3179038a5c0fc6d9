"""Responses: one that has arrived whole, and one whose body streams from its connection."""

import asyncio
from types import TracebackType
from typing import Final, Self

from hydra_asgi.backends.native_upstream.connection import Connection
from hydra_asgi.backends.native_upstream.pool import AddressPool
from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.core.headers.event_stream import is_event_stream
from hydra_asgi.errors import UpstreamError
from hydra_asgi.ports import Headers

__all__ = ["NativeResponse", "StreamedResponse", "WholeResponse"]


class WholeResponse:
    """Implements `ports.UpstreamResponse` for most responses: everything is there, and nothing is held.

    Args:
        status: the final status.
        headers: names spelled as they came.
        whole: the body.
        trailers: fields after a chunked body.
    """

    __slots__ = ("_rest", "headers", "status", "trailers", "whole")

    is_checked: Final = True
    upgraded: Final = None

    def __init__(self, status: int, headers: Headers, whole: bytes, trailers: Headers) -> None:
        self.status = status
        self.headers = headers
        self.whole = self._rest = whole
        self.trailers = trailers

    def body(self) -> Self:
        """The body's raw bytes, content coding untouched; only once."""
        return self

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        rest, self._rest = self._rest, b""
        if not rest:
            raise StopAsyncIteration
        return rest

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is held."""


class StreamedResponse:
    """Implements `ports.UpstreamResponse`. Holds its connection until the body was read, or the context is left.

    Args:
        connection: its reader has the head.
        pool: gets the connection back.
        idle: seconds between two pieces of the body; not for a stream of events, which is silent until one happens.
        is_sent: the whole request went out; else the connection serves no other.

    Attributes:
        status: the final status.
        headers: names spelled as they came.
        trailers: fields after a chunked body; empty until the body was read.
        upgraded: after a 101, reader and writer of the new protocol; None for every other status. The connection is
            closed when the context is left; what must arrive is drained before.
    """

    __slots__ = ("_connection", "_idle", "_is_cut", "_is_sent", "_pool", "headers", "status", "trailers",
                 "upgraded")  # fmt: skip

    whole: Final = None
    is_checked: Final = True

    def __init__(self, connection: Connection, pool: AddressPool, idle: float | None, is_sent: bool) -> None:
        reader = connection.reader
        self.status = reader.status
        self.headers = reader.headers
        self.trailers: Headers = []
        self.upgraded: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._connection: Connection | None = connection
        self._pool = pool
        self._idle = None if is_event_stream(self.headers) else idle
        self._is_sent = is_sent
        self._is_cut = False
        if reader.status == 101:
            self.upgraded = connection.hand_over()

    def body(self) -> Self:
        """The body's raw bytes, content coding untouched; only once."""
        return self

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        connection = self._connection
        if connection is None:
            if self._is_cut:
                raise UpstreamError(ErrorKind.TRUNCATED, "the response was left before its end")
            raise StopAsyncIteration
        if self.upgraded is not None:
            raise StopAsyncIteration
        piece = await connection.piece(self._idle)
        reader = connection.reader
        if reader.is_complete and not reader.buffered:
            self._connection = None
            self.trailers = reader.trailers
            if self._is_sent:
                self._pool.give_back(connection)
            else:
                self._pool.give_up(connection)
        if not piece:
            raise StopAsyncIteration
        return piece

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._is_cut = True
            self._pool.give_up(connection)


NativeResponse = WholeResponse | StreamedResponse
