"""What leaves on one connection: small writes of one turn of the loop share a system call, and order is kept."""

import asyncio
from typing import Final

__all__ = ["CORK_BYTES", "TOGETHER_BYTES", "Outbox"]

CORK_BYTES: Final = 16_384
"""Small writes are gathered up to here: copying so much costs less than another system call."""

TOGETHER_BYTES: Final = 262_144
"""Up to here, what is too large to be copied still leaves in one system call with what was gathered. Loops that cannot
do that make a copy, so whatever is even larger leaves by itself."""


class Outbox:
    """The writing half of a connection. Before `open` and after `close` it swallows what it is given.

    Attributes:
        gathered: what waits for the end of the loop's turn.
    """

    __slots__ = ("_loop", "_transport", "gathered")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self.gathered = b""

    def open(self, transport: asyncio.Transport) -> None:
        """Send to this transport from now on."""
        self._transport = transport

    def close(self) -> None:
        """Send no more."""
        self._transport = None

    @property
    def unsent(self) -> int:
        """Bytes that the system has not taken yet."""
        buffered = self._transport.get_write_buffer_size() if self._transport is not None else 0
        return len(self.gathered) + buffered

    def write(self, data: bytes) -> None:
        """Send now, behind what was gathered."""
        transport = self._transport
        if transport is None:
            return
        if not self.gathered:
            transport.write(data)
            return
        gathered, self.gathered = self.gathered, b""
        if len(data) <= CORK_BYTES:
            transport.write(gathered + data)
        elif len(data) <= TOGETHER_BYTES:
            transport.writelines((gathered, data))
        else:
            transport.write(gathered)
            transport.write(data)

    def precede(self, data: bytes) -> None:
        """Send in front of what is written next. Only right before a `write`."""
        self.gathered += data

    def gather(self, data: bytes) -> None:
        """Send with what follows in this turn of the loop, or at its end."""
        if len(self.gathered) + len(data) > CORK_BYTES:
            self.write(data)
            return
        if not self.gathered:
            self._loop.call_soon(self._flush)
        self.gathered += data

    def _flush(self) -> None:
        if self.gathered:
            self.write(b"")
