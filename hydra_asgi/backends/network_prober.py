"""Asks the network, with nothing but asyncio, whether an announced address exists and answers."""

import asyncio
import socket
from collections.abc import Sequence

__all__ = ["PROBE_SECONDS", "NetworkProber"]

PROBE_SECONDS = 1.0
"""A listener on the same network answers within milliseconds; a blackhole never does."""


class NetworkProber:
    """Implements `ports.Prober`.

    Args:
        seconds: how long each question may take.
    """

    def __init__(self, seconds: float = PROBE_SECONDS) -> None:
        self._seconds = seconds

    async def resolve(self, host: str) -> Sequence[str]:
        """The IP addresses of a host name in the resolver's order, each once; empty when it does not resolve."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._seconds):
                found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):  # no such name, no answer in time, or no name at all
            return ()
        return tuple(dict.fromkeys(str(address[0]) for *_, address in found))

    async def why_unreachable(self, host: str, port: int) -> str | None:
        """Try to connect; None when it works, else one short reason."""
        try:
            async with asyncio.timeout(self._seconds):
                _, writer = await asyncio.open_connection(host, port)
        except TimeoutError:
            return f"no answer within {self._seconds:g} s"
        except ConnectionRefusedError:
            return "connection refused"
        except socket.gaierror:
            return "the name does not resolve"
        except OSError as error:
            return (error.strerror or str(error) or type(error).__name__).lower()[:200]
        except (UnicodeError, OverflowError):
            return "not an address"
        writer.transport.abort()  # nothing was sent, so nothing is lost, and nobody waits for a goodbye
        return None
