"""The verbs of a store on one file, each one transaction. Everything here waits, and so runs in a thread of its own.

Beats, registrations and the rest go through `LeaseBook` by way of `Pages`, so that what lapses and when, who is refused
and what moves the revision is decided by the same lines as in the memory of one process.

The clock is the host's own, the same for all its processes. The time that counts is the watched one of the book, kept
in the file: what passes while no process looks, or while the host is down, does not count.
"""

import contextlib
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from hydra_asgi.backends.sqlite_store.database import Database
from hydra_asgi.backends.sqlite_store.documents import Documents
from hydra_asgi.backends.sqlite_store.pages import Pages, read_kept
from hydra_asgi.backends.sqlite_store.trouble import LockedError
from hydra_asgi.core.admission.nonces import MAX_NONCES
from hydra_asgi.core.directory.lease_state import LeaseState
from hydra_asgi.core.directory.lease_times import AWAY_SECONDS, SWEEP_SECONDS
from hydra_asgi.core.directory.paged_book import PagedBook
from hydra_asgi.core.instance import Revision, ServiceInstance, Snapshot
from hydra_asgi.core.service_settings import Expected, ServiceSettings, may_replace
from hydra_asgi.errors import RefusedError
from hydra_asgi.ports import Clock
from hydra_asgi.wire.stored_document import StoredDocumentError
from hydra_asgi.wire.stored_instance import dump_instance
from hydra_asgi.wire.stored_settings import dump_settings

__all__ = ["Ledger", "this_machine"]

_logger = logging.getLogger("hydra_asgi.store")


def this_machine() -> str:
    """Names the clock of this host since it was started; empty where the system does not tell."""
    named = []
    with contextlib.suppress(OSError):
        named.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
    with contextlib.suppress(OSError):
        # Containers may have a clock of their own (time_namespaces(7)).
        named.append(os.readlink("/proc/self/ns/time"))
    return " ".join(named)


class Ledger:
    """One process's hand on the file.

    Args:
        database: the file.
        clock: seconds that only move forward, the same for all processes that share the file.
        machine: names that clock.

    Attributes:
        revision: as the last verb left or found it; None before the first.
        alarms: what `LeaseBook.sweep` has to say to the operator and nobody has taken yet.
    """

    def __init__(self, database: Database, clock: Clock, machine: str) -> None:
        self.revision: Revision | None = None
        self.alarms: list[str] = []
        self._database = database
        self._clock = clock
        self._machine = machine
        self._documents = Documents()
        self._was_ours = False

    def register(self, instance: ServiceInstance, lease: LeaseState) -> ServiceInstance:
        try:
            document = dump_instance(instance)
        except StoredDocumentError as error:
            raise RefusedError(422, f"the instance cannot be kept: {error.reason}") from None
        with self._pages() as pages:
            pages.open_registering(instance, document, lease.id, self._documents.instance)
            return pages.book.register(instance, lease, self._clock())

    def renew(self, lease_id: str, service: str, counter: int) -> bool:
        with self._pages() as pages:
            pages.open_lease(lease_id)
            return pages.book.renew(lease_id, service, self._clock(), counter=counter)

    def release(self, lease_id: str, service: str, counter: int) -> bool:
        with self._pages() as pages:
            pages.open_lease(lease_id)
            return pages.book.release(lease_id, service, self._clock(), counter=counter)

    def leases_of(self, service: str, caller: str) -> Sequence[LeaseState]:
        with self._database.reading() as connection:
            pages = Pages(connection, read_kept(connection).state)
            pages.open_caller(service, caller)
            return pages.book.leases_of(service, caller, self._clock())

    def vouch(self, token: int) -> None:
        with self._pages() as pages:
            pages.open_token(token)
            pages.book.vouch(token, self._clock())

    def drain(self, token: int, draining: bool) -> bool:
        with self._pages() as pages:
            pages.open_token(token)
            return pages.book.drain(token, self._clock(), draining=draining)

    def configure(self, service: str, settings: ServiceSettings | None, expected: Expected = ...) -> bool:
        try:
            wanted = dump_settings(settings, service) if settings else None
        except StoredDocumentError as error:
            raise RefusedError(422, f"the settings of {service!r} cannot be kept: {error.reason}") from None
        with self._database.writing() as connection:
            row = connection.execute("SELECT document FROM settings WHERE service = ?", (service,)).fetchone()
            if wanted == (row and row[0]):
                return True
            present = None if row is None else self._documents.settings(service, row[0])
            if not may_replace(present, settings or None, expected):
                return False
            if wanted is None:
                connection.execute("DELETE FROM settings WHERE service = ?", (service,))
            else:
                connection.execute(
                    "INSERT OR REPLACE INTO settings (service, document) VALUES (?, ?)", (service, wanted)
                )
            connection.execute("UPDATE directory SET counter = counter + 1 WHERE id = 1")
            self.revision = read_kept(connection).revision
        return True

    def first_use(self, nonce: str, seconds: float) -> bool:
        with self._pages() as pages:
            now = pages.book.look(self._clock())
            connection = pages.connection
            connection.execute("DELETE FROM nonces WHERE until <= ?", (now,))
            cursor = connection.execute(
                "INSERT OR IGNORE INTO nonces (nonce, until) VALUES (?, ?)", (nonce, now + seconds)
            )
            if not cursor.rowcount:
                return False
            # Rows are numbered in the order of their coming: the oldest go first where there are too many.
            connection.execute("DELETE FROM nonces WHERE id <= ?", ((cursor.lastrowid or 0) - MAX_NONCES,))
            return True

    def secret(self, name: str) -> bytes | None:
        with self._database.reading() as connection:
            row = connection.execute("SELECT value FROM secrets WHERE name = ?", (name,)).fetchone()
            return None if row is None else row[0]

    def keep_secret(self, name: str, value: bytes | None, expected: bytes | None) -> bool:
        with self._database.writing() as connection:
            row = connection.execute("SELECT value FROM secrets WHERE name = ?", (name,)).fetchone()
            if expected != (row and row[0]):
                return False
            if value is None:
                connection.execute("DELETE FROM secrets WHERE name = ?", (name,))
            else:
                connection.execute("INSERT OR REPLACE INTO secrets (name, value) VALUES (?, ?)", (name, value))
            return True

    def look(self) -> Revision:
        """The present revision. Mostly a read; writes when a sweep is due, or the time has to be kept."""
        with self._database.reading() as connection:
            kept = read_kept(connection)
        if kept.machine == self._machine and not PagedBook(kept.state).wants_look(self._clock()):
            self.revision = kept.revision
            return kept.revision
        try:
            self._sweep()
        except LockedError:
            # Somebody else is writing: then the time is kept, and what is due is done by the next one who looks.
            if kept.state.seen is None or self._clock() - kept.state.seen > SWEEP_SECONDS + AWAY_SECONDS:
                raise
            self.revision = kept.revision
        return self.revision or kept.revision

    def snapshot(self) -> Snapshot:
        self.look()
        with self._database.reading() as connection:
            revision = self.revision = read_kept(connection).revision
            rows = connection.execute(
                "SELECT service, address, token, place, active, document, held_until IS NOT NULL,"
                " EXISTS (SELECT 1 FROM leases WHERE instance = instances.id AND draining)"
                " FROM instances ORDER BY place"
            ).fetchall()
            settings = connection.execute("SELECT service, document FROM settings").fetchall()
        listed = []
        for service, address, token, place, active, document, _, draining in rows:
            announced = self._documents.instance((service, address), document)
            if announced is not None:
                weight = 0.0 if draining else announced.weight
                listed.append(replace(announced, token=token, order=place, active=bool(active), weight=weight))
        self._documents.forget_others({(row[0], row[1]) for row in rows})
        read = {service: self._documents.settings(service, document) for service, document in settings}
        given = {service: one for service, one in read.items() if one is not None}
        unreadable = len(rows) - len(listed) + len(read) - len(given)
        return Snapshot(revision, tuple(listed), given, sum(row[6] for row in rows), unreadable)

    def close(self) -> None:
        self._database.close()

    def _sweep(self) -> None:
        with self._pages() as pages:
            now = self._clock()
            if pages.book.is_due(now):
                pages.open_all()
            swept = pages.book.sweep(now)
        if swept.alarm:
            self.alarms.append(swept.alarm)

    @contextlib.contextmanager
    def _pages(self) -> Iterator[Pages]:
        """The book for one verb that writes."""
        with self._database.writing() as connection:
            kept = read_kept(connection)
            moved = kept.machine != self._machine
            # Another clock: the host was started again. What it showed says nothing about ours.
            pages = Pages(connection, replace(kept.state, seen=None) if moved else kept.state)
            yield pages
            pages.save(self._machine, moved=moved)
        if moved and kept.machine and self._was_ours:
            _logger.warning(
                "the store's file is used with another clock than this host's (%s): a file serves the processes of one "
                "host; use redis:// to share a directory between machines",
                kept.machine,
            )
        self._was_ours = True
        self.revision = Revision(kept.epoch, pages.book.counter)
