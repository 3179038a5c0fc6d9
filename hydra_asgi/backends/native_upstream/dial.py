"""Makes connections to instances: plain or TLS, to the address that was checked."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from hydra_asgi.backends.native_upstream.connection import Connection
from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.core.instance import Address
from hydra_asgi.errors import UpstreamError

__all__ = ["connecting", "dial"]


async def dial(address: Address, tls: ssl.SSLContext | None) -> Connection:
    """Connect. Cancelled at any point, or failed, it leaves no socket behind.

    Args:
        address: `pinned` is called when it is set; certificates are checked against `host`.
        tls: for `https` addresses.

    Raises:
        OSError: there is no connection; or ValueError: `host` is no name that could have one. See `connecting`.
    """
    connection = Connection(address)
    try:
        await asyncio.get_running_loop().create_connection(
            lambda: connection,
            address.pinned or address.host,
            address.port,
            ssl=tls,
            server_hostname=address.host if tls is not None else None,
        )
    except BaseException:
        connection.abort()  # a connect may be cancelled after it succeeded
        raise
    return connection


@asynccontextmanager
async def connecting(address: Address, seconds: float | None) -> AsyncIterator[None]:
    """Bound the time until a connection stands, and say in our own words why there is none.

    Raises:
        UpstreamError: CONNECT_REFUSED, CONNECT_TIMEOUT or TLS; the instance has seen nothing of a request.
    """
    where = address.netloc
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise UpstreamError(ErrorKind.CONNECT_TIMEOUT, f"{where}: no connection within {seconds} s") from None
    except ssl.SSLError as error:
        raise UpstreamError(ErrorKind.TLS, f"{where}: {str(error)[:200]}") from error
    except (OSError, ValueError) as error:
        words = str(error)[:200] or type(error).__name__
        raise UpstreamError(ErrorKind.CONNECT_REFUSED, f"{where}: {words}") from error
