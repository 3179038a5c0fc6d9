"""Sends requests to instances over HTTP/1.1 connections of our own: the fast way, and the one that keeps everything.

The request target, header spelling and order, trailers and interim responses pass as they are. A request that finds an
idle connection costs no task, one write and one read.
"""

import asyncio
import ssl
from typing import Final

from hydra_asgi.backends.native_upstream.connection import Connection
from hydra_asgi.backends.native_upstream.dial import connecting, dial
from hydra_asgi.backends.native_upstream.exchange import exchange
from hydra_asgi.backends.native_upstream.pool import AddressPool
from hydra_asgi.backends.native_upstream.request_head import is_repeatable, write_head
from hydra_asgi.backends.native_upstream.response import NativeResponse
from hydra_asgi.backends.tls_trust import TlsTrust
from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.core.instance import Address
from hydra_asgi.errors import UpstreamError
from hydra_asgi.ports import UpstreamRequest

__all__ = ["MAX_CONNECTIONS", "NativeUpstream"]

MAX_CONNECTIONS: Final = 256
"""To one address. What one process forwards at a time under load; more would only queue inside the instance."""

_MAX_KNOWN: Final = 1024
"""Address objects whose pool is found by identity: each directory state brings new ones, and the old are forgotten."""

_Key = tuple[str, str, int, str]


class NativeUpstream:
    """Implements `ports.Upstream`.

    Args:
        tls: how certificates of `https` instances are checked, and which one we show; None trusts what the system
            trusts, read when the first `https` instance is asked.
        max_connections: to one address; requests beyond wait within their connect timeout.
    """

    def __init__(self, *, tls: ssl.SSLContext | None = None, max_connections: int = MAX_CONNECTIONS) -> None:
        self._trust = TlsTrust(tls)
        self._max_connections = max_connections
        self._pools: dict[_Key, AddressPool] = {}
        self._known: dict[int, tuple[Address, AddressPool]] = {}
        self._is_closed = False

    async def send(self, request: UpstreamRequest) -> NativeResponse:
        """Send, and return when the response's head has arrived.

        A connection that the instance closed while it was idle is no failure: the request goes over a fresh one, if
        the instance has not answered a byte and may see the request twice (RFC 9110 section 9.2.2).

        Raises:
            UpstreamError: what went wrong, as a closed `ErrorKind`.
        """
        head, shape = write_head(request)
        pool = self._pool_of(request.address)
        connection = pool.take() if is_repeatable(request) else _take_fresh(pool)
        if connection is None:
            connection = await self._connect(pool, request)
        try:
            return await exchange(connection, pool, request, head, shape)
        except UpstreamError as error:
            if not (is_repeatable(request) and _was_stale(connection, error)):
                raise
        connection = await self._connect(pool, request, fresh=True)
        return await exchange(connection, pool, request, head, shape)

    async def close(self) -> None:
        """Close every connection, those in use too: their requests fail."""
        self._is_closed = True
        self._known.clear()
        for pool in list(self._pools.values()):
            pool.close(UpstreamError(ErrorKind.CONNECT_REFUSED, "the upstream was closed"))
        await asyncio.sleep(0)  # the loop closes the sockets in its next turn

    def counts(self) -> tuple[int, int, int]:
        """How many connections are open, idle and in use, dialling ones included: open is always idle + in use."""
        pools = self._pools.values()
        return sum(pool.open for pool in pools), sum(pool.idle for pool in pools), sum(pool.in_use for pool in pools)

    def _pool_of(self, address: Address) -> AddressPool:
        """Mostly the same object stands for an address, and comparing one costs less than looking at all of it."""
        known = self._known.get(id(address))
        if known is not None and known[0] is address:
            return known[1]
        if self._is_closed:
            raise UpstreamError(ErrorKind.CONNECT_REFUSED, f"{address.netloc}: the upstream was closed")
        key = (address.scheme, address.host, address.port, address.pinned)
        pool = self._pools.get(key)
        if pool is None:
            self._forget_unused()
            pool = self._pools[key] = AddressPool(self._max_connections)
        if len(self._known) >= _MAX_KNOWN:
            self._known.clear()
        self._known[id(address)] = (address, pool)
        return pool

    def _forget_unused(self) -> None:
        """Addresses come and go. Nothing awaits between finding a pool and leasing from it, so none is lost there."""
        self._known.clear()
        for key in [key for key, pool in self._pools.items() if not pool.open]:
            del self._pools[key]

    async def _connect(self, pool: AddressPool, request: UpstreamRequest, *, fresh: bool = False) -> Connection:
        address = request.address
        async with connecting(address, request.timeouts.connect):
            connection = await pool.slot(fresh=fresh) or await self._dial(pool, address)
        return connection  # noqa: RET504 -- mypy takes the context for one that may swallow

    async def _dial(self, pool: AddressPool, address: Address) -> Connection:
        try:
            tls = None
            if address.scheme == "https":
                await self._trust.ready()
                tls = self._trust.context
            connection = await dial(address, tls)
        except BaseException:
            pool.give_up(None)
            raise
        pool.dialled(connection)
        return connection


def _take_fresh(pool: AddressPool) -> Connection | None:
    """An idle connection that was not closed behind the loop's back, for a request that cannot be repeated."""
    connection = pool.take()
    while connection is not None and connection.has_news():
        pool.give_up(connection)
        connection = pool.take()
    return connection


def _was_stale(connection: Connection, error: UpstreamError) -> bool:
    """Closed, or spoilt by a stray byte, between two requests: the instance has answered nothing of this one."""
    is_used = connection.requests > 1 and not connection.reader.has_begun
    return is_used and error.kind in {ErrorKind.RESET, ErrorKind.PROTOCOL}
