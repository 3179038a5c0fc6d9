"""Sees to it that a signed call counts once, at whichever node of the site it is sent a second time."""

import asyncio

from hydra_asgi.control.guard import ALREADY_USED, NONCE_SECONDS, Caller
from hydra_asgi.errors import RefusedError, StoreError
from hydra_asgi.ports import Store

__all__ = ["FirstUse"]

PATIENCE_SECONDS = 0.4
"""A store that hangs must not hold a caller: control calls fail within half a second."""


class FirstUse:
    """Remembers nonces in the store, for all nodes of the site.

    Calls that name a lease need none of this: their counter stands in the store beside the lease. Questions for
    fragments are remembered by each node alone, because no page may wait for the store.

    Args:
        store: where they are kept.
        seconds: how long the store may take.
    """

    def __init__(self, store: Store, *, seconds: float = PATIENCE_SECONDS) -> None:
        self._store = store
        self._seconds = seconds

    async def __call__(self, caller: Caller) -> None:
        """Let one call pass that the guard has admitted.

        Raises:
            RefusedError: 401, another node has seen the same call.
            StoreError: the store did not say so in time.
        """
        if not caller.nonce:
            return
        try:
            async with asyncio.timeout(self._seconds):
                is_first = await self._store.first_use(caller.nonce, NONCE_SECONDS)
        except TimeoutError:
            raise StoreError(f"the store did not answer within {self._seconds:g} s") from None
        if not is_first:
            raise RefusedError(401, ALREADY_USED)
