"""The lease book's pages as rows: what a verb concerns is read, and what has become of it is written back.

A page is read without its document, which no rule of leases looks at: so an instance that only newer nodes can read
still keeps its leases here. Only who registers anew is compared with what was announced before.
"""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, replace

from hydra_asgi.core.directory.listing import Lease, Listing
from hydra_asgi.core.directory.paged_book import BookState, PagedBook
from hydra_asgi.core.instance import Address, Revision, ServiceInstance
from hydra_asgi.core.routing.token import first_token, next_token

__all__ = ["Kept", "Pages", "ReadDocument", "read_kept"]

_LISTINGS = (
    "SELECT id, service, address, token, place, active, weight, vouched_until, held_until, silent_since FROM instances"
)
_LEASES = "SELECT instance, id, service, caller, signed, beat, draining, counter FROM leases"

_Row = tuple[object, ...]
_LeaseRow = tuple[str, str, str, int, float, int, int]

ReadDocument = Callable[[tuple[str, str], bytes], ServiceInstance | None]
"""Reads what an instance announced; None when it cannot be read (any more, or yet)."""


@dataclass(frozen=True, slots=True)
class _Page:
    """One row as it was opened."""

    id: int
    listing: Listing
    announced: ServiceInstance
    kept: _Row

    def is_in(self, book: PagedBook) -> bool:
        return book.listings.get(self.listing.listed.key) is self.listing


@dataclass(frozen=True, slots=True)
class Kept:
    """The one row of what is kept beside the pages.

    Attributes:
        epoch: the first half of the revision.
        machine: names the clock that the last look was at.
        state: of the book.
    """

    epoch: str
    machine: str
    state: BookState

    @property
    def revision(self) -> Revision:
        """The present one."""
        return Revision(self.epoch, self.state.counter)


def read_kept(connection: sqlite3.Connection) -> Kept:
    """Read the row.

    Raises:
        sqlite3.DatabaseError: somebody has taken it away.
    """
    row = connection.execute(
        "SELECT epoch, machine, counter, orders, due, seen, watched FROM directory WHERE id = 1"
    ).fetchone()
    if row is None:
        raise sqlite3.DatabaseError("its row of the directory is missing")
    return Kept(row[0], row[1], BookState(*row[2:]))


class Pages:
    """The pages that one verb opens, within one transaction.

    Args:
        connection: in a transaction.
        state: the book's state in that transaction.

    Attributes:
        book: what the verb is said to.
        connection: as given.
    """

    def __init__(self, connection: sqlite3.Connection, state: BookState) -> None:
        self.book = PagedBook(state)
        self.connection = connection
        self._state = state
        self._document = b""
        self._opened: dict[int, _Page] = {}
        self._leases: dict[str, _Row] = {}

    def open_lease(self, lease: str) -> None:
        """Open the page that a lease keeps."""
        self._open("id = (SELECT instance FROM leases WHERE id = ?)", (lease,))

    def open_token(self, token: int) -> bool:
        """Open the page that has a token; whether there is one."""
        return self._open("token = ?", (token,))

    def open_caller(self, service: str, caller: str) -> None:
        """Open the pages whose leases were announced from one IP address."""
        self._open("id IN (SELECT instance FROM leases WHERE service = ? AND caller = ?)", (service, caller))

    def open_all(self) -> None:
        """Open every page, in the order of first registration."""
        self._open("1 ORDER BY place", ())

    def open_registering(self, instance: ServiceInstance, document: bytes, lease: str, read: ReadDocument) -> None:
        """Open what a registration may touch.

        Args:
            instance: what registers.
            document: the same as it is to be kept.
            lease: for which lease.
            read: reads what was announced before.
        """
        self._document = document
        if not self._open("service = ? AND address = ?", instance.key, replace_by=instance, read=read):
            # The book moves a token on while it is taken, so it has to know those that are.
            token = first_token(instance.service, instance.address)
            while self.open_token(token):
                token = next_token(token)
        self.open_lease(lease)

    def save(self, machine: str, *, moved: bool) -> None:
        """Write what has changed, with the book's state.

        Args:
            machine: names the clock that the time was read from.
            moved: that machine is another one than before.
        """
        for page in self._opened.values():
            if not page.is_in(self.book):
                # Its leases go with it, and its number may be given to the next row.
                self.connection.execute("DELETE FROM instances WHERE id = ?", (page.id,))
                self._leases = {lease: row for lease, row in self._leases.items() if row[0] != page.id}
        pages = {page.listing: page for page in self._opened.values()}
        for listing in self.book.listings.values():
            id_ = self._update(pages[listing]) if listing in pages else self._insert(listing)
            self._save_leases(listing, id_)
        for lease in self._leases:
            self.connection.execute("DELETE FROM leases WHERE id = ?", (lease,))
        state = self.book.state
        if state != self._state or moved:
            self.connection.execute(
                "UPDATE directory SET machine = ?, counter = ?, orders = ?, due = ?, seen = ?, watched = ?"
                " WHERE id = 1",
                (machine, state.counter, state.orders, state.due, state.seen, state.watched),
            )

    def _open(
        self,
        where: str,
        parameters: tuple[object, ...],
        *,
        replace_by: ServiceInstance | None = None,
        read: ReadDocument | None = None,
    ) -> bool:
        rows = self.connection.execute(f"{_LISTINGS} WHERE {where}", parameters).fetchall()
        leases = self._leases_of([row[0] for row in rows])
        for id_, service, address, token, place, active, weight, *times in rows:
            if id_ in self._opened:
                continue
            if read is not None and replace_by is not None:
                announced = self._announced(id_, replace_by, read)
            else:
                announced = ServiceInstance(service, Address("", address, 0), weight=weight)
            kept_by = leases.get(id_, ())
            effective = 0.0 if any(lease[5] for lease in kept_by) else announced.weight
            listed = replace(announced, token=token, order=place, active=bool(active), weight=effective)
            listing = Listing(announced, listed, {}, *times)
            for lease in kept_by:
                name, of, caller, signed, beat, draining, counter = lease
                listing.leases[name] = Lease(name, of, caller, bool(signed), beat, listing, bool(draining), counter)
                self._leases[name] = (id_, *lease[1:])
            self._opened[id_] = _Page(id_, listing, announced, _kept(listing))
            self.book.open(listing)
        return bool(rows)

    def _leases_of(self, ids: list[int]) -> dict[int, list[_LeaseRow]]:
        """The leases by the number of their page; all there are where more than one page is asked for."""
        if len(ids) == 1:
            rows = self.connection.execute(f"{_LEASES} WHERE instance = ?", ids)
        else:
            rows = self.connection.execute(_LEASES if ids else f"{_LEASES} WHERE 0")
        found: dict[int, list[_LeaseRow]] = {}
        for row in rows:
            found.setdefault(row[0], []).append(row[1:])
        return found

    def _announced(self, id_: int, instance: ServiceInstance, read: ReadDocument) -> ServiceInstance:
        (document,) = self.connection.execute("SELECT document FROM instances WHERE id = ?", (id_,)).fetchone()
        # What cannot be read any more is replaced, as news.
        return read(instance.key, document) or ServiceInstance(instance.service, instance.address, weight=-1.0)

    def _insert(self, listing: Listing) -> int:
        cursor = self.connection.execute(
            "INSERT INTO instances (service, address, token, place, active, weight, vouched_until, held_until,"
            " silent_since, document) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *listing.announced.key,
                listing.listed.token,
                listing.listed.order,
                *_kept(listing),
                self._document,
            ),
        )
        return cursor.lastrowid or 0

    def _update(self, page: _Page) -> int:
        kept = _kept(page.listing)
        if kept != page.kept:
            self.connection.execute(
                "UPDATE instances SET active = ?, weight = ?, vouched_until = ?, held_until = ?, silent_since = ?"
                " WHERE id = ?",
                (*kept, page.id),
            )
        if page.listing.announced is not page.announced:
            self.connection.execute("UPDATE instances SET document = ? WHERE id = ?", (self._document, page.id))
        return page.id

    def _save_leases(self, listing: Listing, id_: int) -> None:
        for lease in listing.leases.values():
            before = self._leases.pop(lease.id, None)
            place = (id_, lease.service, lease.caller)
            state = (int(lease.signed), lease.beat, int(lease.draining), lease.counter)
            if before is None or before[:3] != place:
                self.connection.execute(
                    "INSERT OR REPLACE INTO leases (id, instance, service, caller, signed, beat, draining, counter)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (lease.id, *place, *state),
                )
            elif before[3:] != state:
                self.connection.execute(
                    "UPDATE leases SET signed = ?, beat = ?, draining = ?, counter = ? WHERE id = ?", (*state, lease.id)
                )


def _kept(listing: Listing) -> _Row:
    """What is kept of a listing beside its document."""
    return (
        int(listing.listed.active),
        float(listing.announced.weight),
        listing.vouched_until,
        listing.held_until,
        listing.silent_since,
    )
