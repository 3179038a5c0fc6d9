"""Writes a request, head and body, as fast as the instance takes it, and stops when the instance has answered."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from hydra_asgi.backends.native_upstream.connection import Connection
from hydra_asgi.backends.native_upstream.interim import InterimTeller
from hydra_asgi.backends.native_upstream.outbox import CORK_BYTES, Outbox
from hydra_asgi.backends.native_upstream.request_head import Shape, expects_continue
from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.errors import UpstreamError
from hydra_asgi.ports import UpstreamRequest

__all__ = ["send_at_once", "send_in_steps"]

CONTINUE_SECONDS: Final = 1.0
"""How long a body waits for a 100: servers that know the field answer at once, the others never do."""

AT_ONCE_BYTES: Final = 262_144
"""Whole bodies up to here are handed to the system in one go, and may wait there: they are in memory as it is."""


def send_at_once(connection: Connection, request: UpstreamRequest, head: bytes, shape: Shape) -> bool:
    """Write a request that needs no waiting. False: nothing was written, `send_in_steps` has to."""
    body = request.body
    if not isinstance(body, bytes) or len(body) > AT_ONCE_BYTES or expects_continue(request, shape):
        return False
    outbox = connection.outbox
    outbox.precede(head)
    outbox.write(body)
    return True


async def send_in_steps(connection: Connection, request: UpstreamRequest, head: bytes, shape: Shape) -> bool:
    """Write any other request. False: an answer or a failure came first, and the rest was not sent.

    Raises:
        UpstreamError: PROTOCOL; a streamed body that is not as long as it was declared.
        Exception: whatever the streamed body raises, as it is.
    """
    body = request.body
    assert body is not None  # noqa: S101 -- nothing to wait for
    connection.outbox.gather(head)
    if expects_continue(request, shape):
        connection.outbox.write(b"")
        if not await connection.permission(CONTINUE_SECONDS):
            return False
    if not isinstance(body, bytes):
        return await _send_stream(connection, request, body)
    connection.outbox.write(body)
    await connection.drain(request.timeouts.idle)
    return not connection.is_full


async def _send_stream(connection: Connection, request: UpstreamRequest, body: AsyncIterator[bytes]) -> bool:
    """Send the pieces, in the caller's task; an answer interrupts even the wait for the next piece.

    What comes before the answer is told meanwhile.
    """
    loop = asyncio.get_running_loop()
    interrupt = asyncio.timeout(None)
    async with InterimTeller(connection.reader, request) as teller:

        def hear() -> None:
            if not connection.is_answered:
                teller.hear()
            elif not interrupt.expired():
                interrupt.reschedule(loop.time())

        connection.call_on_news(hear)
        try:
            async with interrupt:
                return await _send_pieces(connection, request, body)
        except TimeoutError:
            if not interrupt.expired():
                raise
            return False
        finally:
            connection.call_on_news(None)


async def _send_pieces(connection: Connection, request: UpstreamRequest, body: AsyncIterator[bytes]) -> bool:
    length = request.length
    sent = 0
    async for piece in body:
        if connection.is_answered:
            await _close(body)
            return False
        if not piece:  # as a chunk it would be the end
            continue
        sent += len(piece)
        if length is None:
            _gather_chunk(connection.outbox, piece)
        elif sent > length:
            await _close(body)
            break
        else:
            connection.outbox.gather(piece)
        if connection.is_full:
            await connection.drain(request.timeouts.idle)
    if length is None:
        connection.outbox.gather(b"0\r\n\r\n")
    elif sent != length:
        # Completed or cut, the rest would be read as the next request: the connection is given up.
        words = f"{request.address.netloc}: a request body of {length} bytes that had {sent} so far"
        raise UpstreamError(ErrorKind.PROTOCOL, words)
    return not connection.is_full


def _gather_chunk(outbox: Outbox, piece: bytes) -> None:
    if len(piece) <= CORK_BYTES:
        outbox.gather(b"%x\r\n%b\r\n" % (len(piece), piece))
        return
    outbox.gather(b"%x\r\n" % len(piece))
    outbox.write(piece)
    outbox.gather(b"\r\n")


async def _close(body: AsyncIterator[bytes]) -> None:
    """Tell a generator that it will not be asked again; others have no way to hear it."""
    close = getattr(body, "aclose", None)
    if close is not None:
        await close()
