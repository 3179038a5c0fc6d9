"""Sees to it that a signed call counts once, at whichever node of the site it is sent a second time."""

from hydra_asgi.control.guard import ALREADY_USED, NONCE_SECONDS, Caller
from hydra_asgi.control.store_time import STORE_SECONDS, StoreTime
from hydra_asgi.errors import RefusedError
from hydra_asgi.ports import Store

__all__ = ["FirstUse"]


class FirstUse:
    """Remembers nonces in the store, for all nodes of the site.

    Calls that name a lease need none of this: their counter stands in the store beside the lease. Questions for
    fragments are remembered by each node alone, because no page may wait for the store.

    Args:
        store: where they are kept.
        seconds: how long the store may take, for a call that asks it nothing else.
    """

    def __init__(self, store: Store, *, seconds: float = STORE_SECONDS) -> None:
        self._store = store
        self._seconds = seconds

    async def __call__(self, caller: Caller, within: StoreTime | None = None) -> None:
        """Let one call pass that the guard has admitted.

        Args:
            caller: whose call it is.
            within: the time that the call has for the store; None for a time of its own.

        Raises:
            RefusedError: 401, another node has seen the same call.
            StoreError: the store did not say so in time.
        """
        if not caller.nonce:
            return
        ask = StoreTime(self._seconds) if within is None else within
        if not await ask(self._store.first_use(caller.nonce, NONCE_SECONDS)):
            raise RefusedError(401, ALREADY_USED)
