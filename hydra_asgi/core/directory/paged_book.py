"""A lease book whose pages are kept elsewhere: one verb at a time opens those that it concerns.

So a store that several processes share keeps the very rules of `LeaseBook`, and what a beat costs does not depend on
how many instances there are. Whoever uses it opens, before a verb, every listing that the verb may touch:

- `register`: the listing of that identity, the one that the lease holds now, and those that have its next tokens;
- `renew`, `release`: the listing of the lease; `vouch`, `drain`: that of the token; `leases_of`: those of the service;
- `sweep`: all.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf

from hydra_asgi.core.directory.lease_times import SWEEP_SECONDS, WatchedTime
from hydra_asgi.core.directory.leases import LeaseBook
from hydra_asgi.core.directory.listing import Listing

__all__ = ["LOOK_SECONDS", "BookState", "PagedBook"]

LOOK_SECONDS = SWEEP_SECONDS / 2
"""How old the last kept look may be before the next one is kept as well: old enough that the polls of many nodes are
mostly reads, young enough that none of them takes it for a pause."""


@dataclass(frozen=True, slots=True)
class BookState:
    """What is kept of a book beside its pages.

    Attributes:
        counter: the second half of the revision.
        orders: how many instances have ever been added.
        due: no sweep before this finds anything to do, in watched seconds.
        seen: what the outer clock showed at the last look, in seconds; None before the first.
        watched: the time watched until then, in seconds.
    """

    counter: int = 0
    orders: int = 0
    due: float = inf
    seen: float | None = None
    watched: float = 0.0


class PagedBook(LeaseBook):
    """A book for one verb.

    Args:
        state: as it was kept after the last verb.
    """

    def __init__(self, state: BookState) -> None:
        super().__init__()
        self.counter = state.counter
        self._orders = state.orders
        self._due = state.due
        self._time = WatchedTime(state.seen, state.watched)

    @property
    def state(self) -> BookState:
        """What has to be kept now."""
        return BookState(self.counter, self._orders, self._due, self._time.seen, self._time.value)

    @property
    def listings(self) -> Mapping[tuple[str, str], Listing]:
        """The open pages, by identity; those that a verb removed are gone from here."""
        return self._listings

    def open(self, listing: Listing) -> None:
        """Put a page into the book, with its leases."""
        self._listings[listing.listed.key] = self._by_token[listing.listed.token] = listing
        for lease in listing.leases.values():
            self._leases[lease.id] = lease
            self._by_caller.setdefault((lease.service, lease.caller), {})[lease.id] = lease

    def look(self, now: float) -> float:
        """Take a look at the outer clock, in seconds; returns the time watched so far."""
        return self._time.advance(now)

    def is_due(self, now: float) -> bool:
        """Whether a sweep at this moment may find something to do."""
        return self._time.at(now) >= self._due

    def wants_look(self, now: float) -> bool:
        """Whether a look at this moment has to be kept, so that the time until now counts as watched."""
        seen = self._time.seen
        return seen is None or not 0 <= now - seen < LOOK_SECONDS or self.is_due(now)
