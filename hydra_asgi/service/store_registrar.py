"""Keeps an instance registered in a store that this node opens itself: no gateway in between."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from secrets import token_urlsafe
from typing import TypeVar

from hydra_asgi.core.instance import ServiceInstance
from hydra_asgi.errors import HydraError, StoreError
from hydra_asgi.ports import Clock, LeaseState, Prober, Store
from hydra_asgi.service.membership import Membership, MembershipLog
from hydra_asgi.service.reachable import until_reachable

__all__ = ["StoreRegistrar"]

_logger = logging.getLogger("hydra_asgi.service")

RETRY_SECONDS = 1.0
BEAT_SECONDS = 3.0
LEAVE_SECONDS = 1.0
CALL_SECONDS = 2.0
PEER = "the store"

T = TypeVar("T")


class StoreRegistrar:
    """Registers in a store; the same face as `Registrar`.

    Args:
        instance: what to announce; asked again with every beat, and announced again when it has changed.
        store: the shared directory.
        prober: tells when the node's own address answers.
        clock: seconds that only move forward.
        sleep: waits.
        lease: the lease's name; random unless given.
        on_change: is told whenever the store was given something to keep: why it did not, "" when it did.
    """

    def __init__(
        self,
        instance: Callable[[], ServiceInstance],
        store: Store,
        prober: Prober,
        *,
        clock: Clock = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        lease: str | None = None,
        on_change: Callable[[str], None] = lambda why: None,
    ) -> None:
        self._instance = instance
        self._store = store
        self._prober = prober
        self._sleep = sleep
        self._lease = token_urlsafe(18) if lease is None else lease
        self._on_change = on_change
        self._log = MembershipLog(instance().service, clock)

    @property
    def state(self) -> Membership:
        """Whether we are registered, since when, and why not."""
        return self._log.state

    async def run(self) -> None:
        """Register and beat, for ever. Ends by cancellation; then call `unregister`."""
        await until_reachable(self._instance().address, self._prober, self._sleep, self._log.failed)
        while True:
            try:
                await self._register_and_beat()
            except HydraError as error:
                self._log.failed(str(error))
            except Exception:
                _logger.exception("registering %s failed unexpectedly", self._instance().service)
                self._log.failed("unexpected error, see the log")
            await self._sleep(RETRY_SECONDS)

    async def unregister(self) -> None:
        """Leave at once, as far as the store answers within a second."""
        if self.state.status == "registered":
            try:
                async with asyncio.timeout(LEAVE_SECONDS):
                    await self._store.release(self._lease, self._instance().service)
            except (HydraError, TimeoutError) as error:
                _logger.info("the store did not answer the farewell: %s", error)
        self._log.left()

    async def drain(self, *, draining: bool = True) -> bool:
        """Take this instance out of the choice for new users, or put it back. False: the store did not do it."""
        try:
            async with asyncio.timeout(LEAVE_SECONDS):
                return await self._store.drain(self.state.token, draining=draining)
        except (HydraError, TimeoutError):
            return False

    async def _register_and_beat(self) -> None:
        """Returns never, except by an error: a lost lease or a change only means to register anew."""
        while True:
            announced = self._instance()
            # Whoever can open the store is a member: as good as a signature.
            lease = LeaseState(self._lease, announced.service, announced.address.host, signed=True)
            listed = await self._within(self._store.register(announced, lease))
            self._log.registered(PEER, listed.token)
            await self._beat(announced)

    async def _beat(self, announced: ServiceInstance) -> None:
        while True:
            await self._sleep(BEAT_SECONDS)
            if self._instance() != announced:
                return
            is_known = await self._within(self._store.renew(self._lease, announced.service))
            if not is_known:
                self._log.failed("the store does not know our lease any more")
                return

    async def _within(self, call: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(CALL_SECONDS):
                kept = await call
        except TimeoutError:
            error = StoreError(f"the store did not answer within {CALL_SECONDS:g} s")
            self._on_change(str(error))
            raise error from None
        except StoreError as error:
            self._on_change(str(error))
            raise
        self._on_change("")
        return kept
