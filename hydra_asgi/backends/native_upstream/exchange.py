"""One request and the head of its response, over one connection that was leased for it."""

from hydra_asgi.backends.native_upstream.connection import Connection
from hydra_asgi.backends.native_upstream.interim import tell_interim
from hydra_asgi.backends.native_upstream.pool import AddressPool
from hydra_asgi.backends.native_upstream.request_head import Shape
from hydra_asgi.backends.native_upstream.response import NativeResponse, StreamedResponse, WholeResponse
from hydra_asgi.backends.native_upstream.response_reader import MAX_PIECE
from hydra_asgi.backends.native_upstream.upload import send_at_once, send_in_steps
from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.ports import UpstreamRequest

__all__ = ["exchange"]


async def exchange(
    connection: Connection, pool: AddressPool, request: UpstreamRequest, head: bytes, shape: Shape
) -> NativeResponse:
    """Send a request, and wait for the head of its response. If all of the response is there by then, the connection
    is free before anybody looks at it.

    Args:
        connection: a leased one; given back or up when this fails.
        pool: whose it is.
        request: what to send.
        head: of the request, as it is sent.
        shape: what follows from it.

    Raises:
        UpstreamError: what went wrong, as a closed `ErrorKind`.
    """
    timeouts = request.timeouts
    reader = connection.reader
    try:
        connection.begin(head_only=request.method == "HEAD", may_upgrade=shape.asks_upgrade)
        if request.body is None:
            connection.outbox.write(head)
            is_sent = True
        else:
            is_sent = send_at_once(connection, request, head, shape)
            if not is_sent:
                is_sent = await send_in_steps(connection, request, head, shape)
        connection.limit(ErrorKind.FIRST_BYTE_TIMEOUT, timeouts.first_byte)
        while not reader.status and reader.failure is None:
            if reader.interim:
                await tell_interim(reader, request)
            else:
                await connection.change()
        if reader.interim:
            await tell_interim(reader, request)
        if reader.failure is not None:
            raise connection.failure()
    except BaseException:
        pool.give_up(connection)
        raise
    if not reader.is_complete or reader.buffered > MAX_PIECE or reader.status == 101:
        connection.end_limit()
        return StreamedResponse(connection, pool, timeouts.idle, is_sent)
    response = WholeResponse(reader.status, reader.headers, reader.take(), reader.trailers)
    if is_sent:
        pool.give_back(connection)
    else:
        pool.give_up(connection)
    return response
