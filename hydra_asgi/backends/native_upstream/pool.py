"""The connections to one address: who has which, and who waits. Nothing here awaits the network.

A slot is a connection or the right to dial one. Every slot is either idle or leased, so that
`open == idle + in_use` holds between any two steps of any task; whoever leases a slot gives it back exactly once, by
`give_back` or `give_up`.
"""

import asyncio
from collections import deque
from contextlib import suppress
from typing import Final

from hydra_asgi.backends.native_upstream.connection import Connection
from hydra_asgi.errors import UpstreamError

__all__ = ["AddressPool"]

IDLE_SECONDS: Final = 4.0
"""Below the 5 s after which uvicorn closes an idle connection, so that we close first and never write into a close."""


class AddressPool:
    """The slots of one address.

    Args:
        limit: how many there are.
        idle_seconds: how long a connection may be idle.

    Attributes:
        open: slots that are taken, idle or leased.
        in_use: slots that are leased.
    """

    __slots__ = ("_dialled", "_idle", "_idle_seconds", "_is_closed", "_limit", "_waiters", "in_use", "open")

    def __init__(self, limit: int, idle_seconds: float = IDLE_SECONDS) -> None:
        self.open = 0
        self.in_use = 0
        self._limit = limit
        self._is_closed = False
        self._idle_seconds = idle_seconds
        self._idle: list[Connection] = []
        self._dialled: set[Connection] = set()
        self._waiters: deque[asyncio.Future[Connection | None]] = deque()

    @property
    def idle(self) -> int:
        """How many connections are idle."""
        return len(self._idle)

    def take(self) -> Connection | None:
        """Lease an idle connection, the one that was used last: the others may grow old enough to be closed."""
        if not self._idle:
            return None
        connection = self._idle.pop()
        connection.on_spoiled = None
        self.in_use += 1
        return connection

    async def slot(self, *, fresh: bool = False) -> Connection | None:
        """Lease a slot, waiting for one if need be: a connection that somebody gave back, or None: dial one.

        Args:
            fresh: never a used connection.
        """
        if self.open < self._limit:
            self.open += 1
        elif fresh and self._idle:
            self._drop(self._idle.pop(0))
        else:
            return await self._turn(fresh=fresh)
        self.in_use += 1
        return None

    def dialled(self, connection: Connection) -> None:
        """A leased slot has its connection."""
        self._dialled.add(connection)
        if self._is_closed:
            connection.abort()

    def give_back(self, connection: Connection) -> None:
        """End a lease; the connection serves the next in the queue, or waits for one."""
        if self._is_closed or not connection.is_reusable():
            self.give_up(connection)
        elif self._waiters and (waiter := self._next_waiter()) is not None:
            waiter.set_result(connection)
        else:
            self.in_use -= 1
            self._idle.append(connection)
            connection.rest(self._idle_seconds, self._forget)

    def give_up(self, connection: Connection | None) -> None:
        """End a lease and close its connection, if there is one; the next in the queue may dial another."""
        if connection is not None:
            self._drop(connection)
        if (waiter := self._next_waiter()) is not None:
            waiter.set_result(None)
            return
        self.in_use -= 1
        self.open -= 1

    def close(self, error: UpstreamError) -> None:
        """Close every connection, leased or not, and keep none from now on; whoever waits gets the error."""
        self._is_closed = True
        while (waiter := self._next_waiter()) is not None:
            waiter.set_exception(error)
        for connection in list(self._idle):
            self._forget(connection)
        for connection in list(self._dialled):
            connection.abort()  # its holder notices, and gives the slot up

    async def _turn(self, *, fresh: bool) -> Connection | None:
        waiter: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            connection = await waiter
        except asyncio.CancelledError:
            if waiter.cancelled():
                with suppress(ValueError):  # whoever gave something back in the meantime has passed it over
                    self._waiters.remove(waiter)
            elif waiter.exception() is None:  # it was our turn just when we were cancelled
                self._return(waiter.result())
            raise
        if connection is not None and fresh:
            self._drop(connection)
            return None
        return connection

    def _return(self, connection: Connection | None) -> None:
        if connection is None:
            self.give_up(None)
        else:
            self.give_back(connection)

    def _next_waiter(self) -> asyncio.Future[Connection | None] | None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                return waiter
        return None

    def _forget(self, connection: Connection) -> None:
        self._idle.remove(connection)
        self._drop(connection)
        self.open -= 1

    def _drop(self, connection: Connection) -> None:
        self._dialled.discard(connection)
        connection.abort()
