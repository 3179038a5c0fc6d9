"""The directory of one process, in its memory: for a single gateway and for tests. It ends with the process."""

import logging
import time
from collections.abc import Callable, Sequence
from functools import partial
from secrets import token_hex

from hydra_asgi.core.admission.nonces import Nonces
from hydra_asgi.core.directory.lease_state import LeaseState
from hydra_asgi.core.directory.leases import LeaseBook
from hydra_asgi.core.instance import Revision, ServiceInstance, Snapshot
from hydra_asgi.core.service_settings import Expected, ServiceSettings, may_replace
from hydra_asgi.ports import Clock

__all__ = ["MemoryStore"]

_logger = logging.getLogger("hydra_asgi.store")


class MemoryStore:
    """A `Store` for one event loop. No verb ever waits; leases lapse when somebody asks for the revision.

    Args:
        clock: seconds that only move forward.
        epoch: names this store's life in revisions; random unless given.
        on_alarm: called with one sentence when most instances go silent at once.
    """

    def __init__(
        self,
        clock: Clock = time.monotonic,
        *,
        epoch: str | None = None,
        on_alarm: Callable[[str], None] | None = None,
    ) -> None:
        self._clock = clock
        self._epoch = token_hex(8) if epoch is None else epoch
        self._on_alarm = on_alarm
        self._book = LeaseBook()
        self._nonces = Nonces()
        self._secrets: dict[str, bytes] = {}
        self._told = 0
        self._wakes: dict[object, Callable[[], None]] = {}

    async def register(self, instance: ServiceInstance, lease: LeaseState) -> ServiceInstance:
        listed = self._book.register(instance, lease, self._clock())
        self._tell()
        return listed

    async def renew(self, lease_id: str, service: str, *, counter: int = 0) -> bool:
        known = self._book.renew(lease_id, service, self._clock(), counter=counter)
        self._tell()
        return known

    async def release(self, lease_id: str, service: str, *, counter: int = 0) -> bool:
        known = self._book.release(lease_id, service, self._clock(), counter=counter)
        self._tell()
        return known

    async def leases_of(self, service: str, caller: str) -> Sequence[LeaseState]:
        return self._book.leases_of(service, caller, self._clock())

    async def vouch(self, token: int) -> None:
        self._book.vouch(token, self._clock())

    async def drain(self, token: int, *, draining: bool = True) -> bool:
        known = self._book.drain(token, self._clock(), draining=draining)
        self._tell()
        return known

    async def configure(self, service: str, settings: ServiceSettings | None, *, expected: Expected = ...) -> bool:
        if not may_replace(self._book.settings.get(service), settings or None, expected):
            return False
        self._book.configure(service, settings)
        self._tell()
        return True

    async def first_use(self, nonce: str, seconds: float) -> bool:
        return self._nonces.first_use(nonce, seconds, self._clock())

    async def secret(self, name: str) -> bytes | None:
        return self._secrets.get(name)

    async def keep_secret(self, name: str, value: bytes | None, *, expected: bytes | None) -> bool:
        if self._secrets.get(name) != expected:
            return False
        if value is None:
            self._secrets.pop(name, None)
        else:
            self._secrets[name] = value
        return True

    async def revision(self) -> Revision:
        self._sweep()
        return Revision(self._epoch, self._book.counter)

    async def snapshot(self) -> Snapshot:
        revision = await self.revision()
        return Snapshot(revision, self._book.instances, self._book.settings, self._book.held)

    def on_change(self, wake: Callable[[], None]) -> Callable[[], None]:
        subscription = object()
        self._wakes[subscription] = wake

        def end() -> None:
            self._wakes.pop(subscription, None)

        return end

    async def close(self) -> None:
        """There is nothing to give back."""

    def _sweep(self) -> None:
        swept = self._book.sweep(self._clock())
        if swept.alarm and self._on_alarm is not None:
            _call(partial(self._on_alarm, swept.alarm))
        self._tell()

    def _tell(self) -> None:
        if self._told == self._book.counter:
            return
        self._told = self._book.counter
        for wake in tuple(self._wakes.values()):
            _call(wake)


def _call(callback: Callable[[], None]) -> None:
    """Call somebody else's code; what it does wrong is its own trouble."""
    try:
        callback()
    except Exception:
        _logger.exception("a callback of the store failed: %r", callback)
