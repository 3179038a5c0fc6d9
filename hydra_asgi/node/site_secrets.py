"""Secrets that the nodes of a site share through their store, such as the one that signs their calls.

Nodes that start together agree on one: whoever is first makes it, the others take it. A node keeps what it has got, so
nothing waits for the store when a secret is needed, and puts it back into a store that has lost it.
"""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable

from hydra_asgi.errors import HydraError, StoreError
from hydra_asgi.ports import Store

__all__ = ["SiteSecrets"]

LOOK_SECONDS = 10.0
"""How often a followed secret is compared with the store's: it changes when somebody changes it, or the store was
emptied."""

RETRY_SECONDS = 1.0
PATIENCE_SECONDS = 2.0

ATTEMPTS = 5
"""Each failed attempt means that another node was quicker, and the next one reads what that node has made."""

_logger = logging.getLogger("hydra_asgi.node")


class SiteSecrets:
    """The secrets of one site, as one node knows them.

    Args:
        store: where they are shared.
        make: makes a new one.
        sleep: waits.
        patience: seconds that the store may take.
    """

    def __init__(
        self,
        store: Store,
        *,
        make: Callable[[], bytes] = lambda: secrets.token_bytes(32),
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self._store = store
        self._make = make
        self._sleep = sleep
        self._patience = patience
        self._known: dict[str, bytes] = {}

    def known(self, name: str) -> bytes | None:
        """A secret as this node has seen it last; never waits."""
        return self._known.get(name)

    async def get_or_make(self, name: str) -> bytes:
        """A secret of the store; what this node knows, or a new one, where the store has none.

        Raises:
            StoreError: the store did not answer in time, or others change this secret all the time.
        """
        try:
            async with asyncio.timeout(self._patience):
                found = await self._agree(name)
        except TimeoutError:
            raise StoreError(f"the store did not answer within {self._patience:g} s") from None
        self._known[name] = found
        return found

    async def follow(self, name: str, use: Callable[[bytes], None]) -> None:
        """Hand on a secret as soon as it is known, and again when it has changed, until cancelled."""
        used: bytes | None = None
        while True:
            pause = LOOK_SECONDS
            try:
                found = await self.get_or_make(name)
                if found != used:
                    used = found
                    use(found)
            except HydraError as error:
                pause = RETRY_SECONDS
                _logger.debug("the secret %r cannot be had from the store: %s", name, error)
            await self._sleep(pause)

    async def _agree(self, name: str) -> bytes:
        for _ in range(ATTEMPTS):
            found = await self._store.secret(name)
            if found is not None:
                return found
            made = self._known.get(name) or self._make()
            if await self._store.keep_secret(name, made, expected=None):
                return made
        raise StoreError(f"the secret {name!r} could not be agreed upon: others change it all the time")
