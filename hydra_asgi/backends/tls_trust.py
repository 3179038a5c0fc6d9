"""The TLS context for `https` instances, which trusts nobody until it has read whom the system trusts."""

import asyncio
import ssl

__all__ = ["TlsTrust"]


class TlsTrust:
    """Reads the system's certificates when the first `https` instance is asked.

    That costs some milliseconds of files: nobody without such instances pays them, and no event loop does. Until then
    the context checks names and certificates and trusts no authority, so a mistake fails closed.

    Args:
        context: a context that is ready as it is; None trusts what the system trusts.
    """

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.context = context or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._is_ready = context is not None
        self._reading = asyncio.Lock()

    async def ready(self) -> None:
        """Wait until the context may be used."""
        if not self._is_ready:
            async with self._reading:
                await self._read()

    async def _read(self) -> None:
        if self._is_ready:  # whoever held the lock before us has done it
            return
        await asyncio.to_thread(self.context.load_default_certs)
        self._is_ready = True
