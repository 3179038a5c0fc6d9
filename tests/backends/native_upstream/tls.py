"""TLS servers and contexts for tests, from the certificates beside this file."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from hydra_asgi.core.instance import Address

__all__ = ["server_context", "tls_server", "trusting"]

_FILES = Path(__file__).parent / "certificates"


def trusting(*, client: bool = False) -> ssl.SSLContext:
    """A client's context that trusts the test authority, with a certificate of its own if asked for."""
    context = ssl.create_default_context(cafile=str(_FILES / "authority.pem"))
    if client:
        context.load_cert_chain(_FILES / "client.pem")
    return context


def server_context(*, wants_client: bool = False) -> ssl.SSLContext:
    """The context of `server.test`."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(_FILES / "authority.pem"))
    context.load_cert_chain(_FILES / "server.pem")
    if wants_client:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


@contextlib.asynccontextmanager
async def tls_server(
    handler: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]], context: ssl.SSLContext
) -> AsyncIterator[Address]:
    """Serve on loopback; gives the address by the name in the certificate."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())  # type: ignore[arg-type]  # there is one
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await handler(reader, writer)
        writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield Address("https", "server.test", server.sockets[0].getsockname()[1], pinned="127.0.0.1")
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
