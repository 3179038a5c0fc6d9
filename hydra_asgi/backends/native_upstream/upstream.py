"""Sends requests to instances over HTTP/1.1 connections of our own: the fast way, and the one that keeps everything.

The request target, header spelling and order, trailers and interim responses pass as they are. A request that finds an
idle connection costs no task, one write and one read.
"""

import asyncio
import ssl
from collections.abc import Callable
from typing import Final

from hydra_asgi.backends.native_upstream.connection import Connection
from hydra_asgi.backends.native_upstream.dial import connecting, dial
from hydra_asgi.backends.native_upstream.pool import AddressPool
from hydra_asgi.backends.native_upstream.request_head import RequestHead, write_head
from hydra_asgi.backends.native_upstream.response import NativeResponse
from hydra_asgi.backends.native_upstream.upload import send_at_once, send_in_steps
from hydra_asgi.backends.tls_trust import TlsTrust
from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.core.instance import Address
from hydra_asgi.errors import UpstreamError
from hydra_asgi.ports import Headers, UpstreamRequest

__all__ = ["MAX_CONNECTIONS", "NativeUpstream"]

MAX_CONNECTIONS: Final = 256
"""To one address. What one process forwards at a time under load; more would only queue inside the instance."""

_Key = tuple[str, str, int, str]
_OnInterim = Callable[[int, Headers], None]


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
        self._is_closed = False

    async def send(self, request: UpstreamRequest, *, on_interim: _OnInterim | None = None) -> NativeResponse:
        """Send, and return when the response's head has arrived.

        A connection that the instance closed while it was idle is no failure: the request goes over a fresh one, if
        the instance has not answered a byte and may see the request twice (RFC 9110 section 9.2.2).

        Args:
            request: what to send.
            on_interim: called with status and headers of each interim response, a 103 with its links for example.

        Raises:
            UpstreamError: what went wrong, as a closed `ErrorKind`.
        """
        head = write_head(request)
        pool = self._pool_of(request.address)
        connection = _take_usable(pool, head)
        if connection is None:
            connection = await self._connect(pool, request)
        try:
            return await _exchange(connection, pool, request, head, on_interim)
        except UpstreamError as error:
            if not (head.is_repeatable and _was_stale(connection, error)):
                raise
        connection = await self._connect(pool, request, fresh=True)
        return await _exchange(connection, pool, request, head, on_interim)

    async def close(self) -> None:
        """Close every connection, those in use too: their requests fail."""
        self._is_closed = True
        for pool in list(self._pools.values()):
            pool.close(UpstreamError(ErrorKind.CONNECT_REFUSED, "the upstream was closed"))
        await asyncio.sleep(0)  # the loop closes the sockets in its next turn

    def counts(self) -> tuple[int, int, int]:
        """How many connections are open, idle and in use, dialling ones included: open is always idle + in use."""
        pools = self._pools.values()
        return sum(pool.open for pool in pools), sum(pool.idle for pool in pools), sum(pool.in_use for pool in pools)

    def _pool_of(self, address: Address) -> AddressPool:
        if self._is_closed:
            raise UpstreamError(ErrorKind.CONNECT_REFUSED, f"{address.netloc}: the upstream was closed")
        key = (address.scheme, address.host, address.port, address.pinned)
        pool = self._pools.get(key)
        if pool is None:
            self._forget_unused()
            pool = self._pools[key] = AddressPool(self._max_connections)
        return pool

    def _forget_unused(self) -> None:
        """Addresses come and go. Nothing awaits between finding a pool and leasing from it, so none is lost there."""
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


async def _exchange(
    connection: Connection,
    pool: AddressPool,
    request: UpstreamRequest,
    head: RequestHead,
    on_interim: _OnInterim | None,
) -> NativeResponse:
    timeouts = request.timeouts
    try:
        connection.begin(head_only=request.method == "HEAD", may_upgrade=head.asks_upgrade)
        is_sent = send_at_once(connection, request, head) or await send_in_steps(connection, request, head)
        await connection.head(timeouts.first_byte, on_interim)
    except BaseException:
        pool.give_up(connection)
        raise
    return NativeResponse(connection, pool, timeouts.idle, is_sent)


def _take_usable(pool: AddressPool, head: RequestHead) -> Connection | None:
    """An idle connection. A request that cannot be repeated gets none that was closed behind the loop's back."""
    connection = pool.take()
    while connection is not None and not head.is_repeatable and connection.has_news():
        pool.give_up(connection)
        connection = pool.take()
    return connection


def _was_stale(connection: Connection, error: UpstreamError) -> bool:
    """Closed, or spoilt by a stray byte, between two requests: the instance has answered nothing of this one."""
    is_used = connection.requests > 1 and not connection.reader.has_begun
    return is_used and error.kind in {ErrorKind.RESET, ErrorKind.PROTOCOL}
