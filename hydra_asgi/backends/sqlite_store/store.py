"""`SqliteStore`: the directory of one host in one file, for several workers and several apps without a server."""

import logging
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from hydra_asgi.backends.sqlite_store.database import Database
from hydra_asgi.backends.sqlite_store.ledger import Ledger, this_machine
from hydra_asgi.backends.sqlite_store.location import read_sqlite_url
from hydra_asgi.backends.sqlite_store.worker import Worker
from hydra_asgi.core.directory.lease_state import LeaseState
from hydra_asgi.core.instance import Revision, ServiceInstance, Snapshot
from hydra_asgi.core.service_settings import Expected, ServiceSettings
from hydra_asgi.ports import Clock

__all__ = ["SqliteStore", "open_sqlite_store"]

_logger = logging.getLogger("hydra_asgi.store")

T = TypeVar("T")


def open_sqlite_store(
    url: str, *, on_alarm: Callable[[str], None] | None = None, may_create: bool = True
) -> "SqliteStore":
    """The store of a `sqlite:` URL. The file is opened, or made, by the first verb.

    Args:
        url: `sqlite:///site.db` for a file in the working directory, `sqlite:////var/lib/site.db` for one from the
            root; `sqlite:///var/lib/site.db` is the second too where there is no `var/lib` in the working directory.
        on_alarm: called with one sentence when most instances go silent at once.
        may_create: whether a file that is not there is made; else verbs fail.

    Raises:
        ConfigurationError: it is not such a URL.
    """
    return SqliteStore(read_sqlite_url(url), on_alarm=on_alarm, may_create=may_create)


class SqliteStore:
    """A `Store` in one file, for all processes of one host. The event loop never waits for the file.

    Other processes' changes are seen when the revision is asked for; `on_change` tells of those made or seen here.

    Args:
        path: the file; see `open_sqlite_store`.
        clock: seconds that only move forward, the same for all processes that share the file.
        machine: names that clock; that of this host unless given.
        on_alarm: called with one sentence when most instances go silent at once.
        may_create: see `open_sqlite_store`.
    """

    def __init__(
        self,
        path: str,
        clock: Clock = time.monotonic,
        *,
        machine: str | None = None,
        on_alarm: Callable[[str], None] | None = None,
        may_create: bool = True,
    ) -> None:
        self._worker = Worker(
            lambda: Ledger(Database(path, may_create=may_create), clock, this_machine() if machine is None else machine)
        )
        self._on_alarm = on_alarm
        self._told: Revision | None = None
        self._wakes: dict[object, Callable[[], None]] = {}

    async def register(self, instance: ServiceInstance, lease: LeaseState) -> ServiceInstance:
        return await self._run(lambda ledger: ledger.register(instance, lease))

    async def renew(self, lease_id: str, service: str, *, counter: int = 0) -> bool:
        return await self._run(lambda ledger: ledger.renew(lease_id, service, counter))

    async def release(self, lease_id: str, service: str, *, counter: int = 0) -> bool:
        return await self._run(lambda ledger: ledger.release(lease_id, service, counter))

    async def leases_of(self, service: str, caller: str) -> Sequence[LeaseState]:
        return await self._run(lambda ledger: ledger.leases_of(service, caller))

    async def vouch(self, token: int) -> None:
        await self._run(lambda ledger: ledger.vouch(token))

    async def drain(self, token: int, *, draining: bool = True) -> bool:
        return await self._run(lambda ledger: ledger.drain(token, draining))

    async def configure(self, service: str, settings: ServiceSettings | None, *, expected: Expected = ...) -> bool:
        return await self._run(lambda ledger: ledger.configure(service, settings, expected))

    async def first_use(self, nonce: str, seconds: float) -> bool:
        return await self._run(lambda ledger: ledger.first_use(nonce, seconds))

    async def secret(self, name: str) -> bytes | None:
        return await self._run(lambda ledger: ledger.secret(name))

    async def keep_secret(self, name: str, value: bytes | None, *, expected: bytes | None) -> bool:
        return await self._run(lambda ledger: ledger.keep_secret(name, value, expected))

    async def revision(self) -> Revision:
        return await self._run(Ledger.look)

    async def snapshot(self) -> Snapshot:
        return await self._run(Ledger.snapshot)

    def on_change(self, wake: Callable[[], None]) -> Callable[[], None]:
        subscription = object()
        self._wakes[subscription] = wake

        def end() -> None:
            self._wakes.pop(subscription, None)

        return end

    async def close(self) -> None:
        await self._worker.close()

    async def _run(self, verb: Callable[[Ledger], T]) -> T:
        result, revision, alarms = await self._worker.run(partial(_noting, verb))
        for alarm in alarms:
            if self._on_alarm is not None:
                _call(partial(self._on_alarm, alarm))
        if revision is not None and revision != self._told:
            self._told = revision
            for wake in tuple(self._wakes.values()):
                _call(wake)
        return result


def _noting(verb: Callable[[Ledger], T], ledger: Ledger) -> tuple[T, Revision | None, list[str]]:
    """A verb's result with what the ledger knew right after it; in the thread."""
    result = verb(ledger)
    alarms, ledger.alarms = ledger.alarms, []
    return result, ledger.revision, alarms


def _call(callback: Callable[[], None]) -> None:
    """Call somebody else's code; what it does wrong is its own trouble."""
    try:
        callback()
    except Exception:
        _logger.exception("a callback of the store failed: %r", callback)
