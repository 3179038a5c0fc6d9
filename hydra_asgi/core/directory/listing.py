"""One instance in the lease book, with the leases that keep it there."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from hydra_asgi.core.directory.lease_times import FORGOTTEN_SECONDS, INACTIVE_SECONDS
from hydra_asgi.core.instance import ServiceInstance
from hydra_asgi.errors import RefusedError

__all__ = ["Lease", "Listing", "same_announcement"]


@dataclass(slots=True, eq=False)
class Lease:
    """One process's claim that an instance is alive.

    Attributes:
        id: the lease's own name.
        service: whose instance it keeps alive.
        caller: the IP address that announced it.
        signed: announced with a valid signature.
        beat: when it was last renewed, in watched seconds.
        listing: the instance it keeps alive.
        draining: its instance was told to drain while this lease was there. A process that starts again behind the
            same address holds a new lease and so takes requests once the old one is gone.
        counter: the highest number that a signed call for it carried.
    """

    id: str
    service: str
    caller: str
    signed: bool
    beat: float
    listing: "Listing"
    draining: bool = False
    counter: int = 0

    def is_active(self, now: float) -> bool:
        """Whether its beats arrive in time."""
        return now - self.beat <= INACTIVE_SECONDS

    def has_lapsed(self, now: float) -> bool:
        """Whether it has been silent for so long that only a vouch keeps its instance."""
        return now - self.beat >= FORGOTTEN_SECONDS

    def next_counter(self, given: int) -> int:
        """The counter after a call that carries this number; 0 says that it carries none.

        Raises:
            RefusedError: 401, this number or a higher one was seen before: the call is a copy of an old one.
        """
        if not given:
            return self.counter
        if given <= self.counter:
            raise RefusedError(
                401, f"counter {given} of a call of {self.service!r} was used before; sign anew with a higher one"
            )
        return given

    def deadlines(self) -> tuple[float, float]:
        """When it becomes inactive and when it lapses."""
        return self.beat + INACTIVE_SECONDS, self.beat + FORGOTTEN_SECONDS


@dataclass(slots=True, eq=False)
class Listing:
    """An instance as announced and as listed.

    Attributes:
        announced: what the service said last.
        listed: the same with token, order, state and effective weight; replaced when any of it changes.
        leases: by id; a listing without leases is gone.
        vouched_until: it answered a request; not forgotten before, in watched seconds.
        held_until: it went silent together with many others; not forgotten before. None: it did not.
        silent_since: when its last active lease went silent; None while it is active.
    """

    announced: ServiceInstance
    listed: ServiceInstance
    leases: dict[str, Lease] = field(default_factory=dict)
    vouched_until: float = 0.0
    held_until: float | None = None
    silent_since: float | None = None

    @property
    def is_signed(self) -> bool:
        """Whether a signed lease holds it."""
        return any(lease.signed for lease in self.leases.values())

    def announce(self, instance: ServiceInstance) -> bool:
        """Take what the service says now; whether it is news."""
        if same_announcement(self.announced, instance):
            return False
        self.announced = instance
        return True

    def is_forgotten(self, now: float) -> bool:
        """Whether nothing keeps it listed any more."""
        return now >= self.kept_until and all(lease.has_lapsed(now) for lease in self.leases.values())

    def lapses(self, now: float) -> bool:
        """Whether a sweep makes it inactive now, or forgets it now although it has not been held yet."""
        if self.silent_since is None:
            return not self._has_beats(now)
        return self.held_until is None and self.is_forgotten(now)

    def went_silent(self, now: float, *, within: float) -> bool:
        """Whether it became inactive no longer ago than that."""
        return self.silent_since is not None and now - self.silent_since < within

    @property
    def kept_until(self) -> float:
        """Until when it stays listed without beats."""
        return max(self.vouched_until, self.held_until or 0.0)

    def settle(self, now: float, *, news: bool = False) -> bool:
        """Bring `listed` up to date; whether it changed."""
        active = self._has_beats(now)
        if active:
            self.silent_since = self.held_until = None
        elif self.silent_since is None:
            self.silent_since = now
        weight = 0.0 if any(lease.draining for lease in self.leases.values()) else self.announced.weight
        listed = self.listed
        if not news and listed.active is active and listed.weight == weight:
            return False
        self.listed = replace(self.announced, token=listed.token, order=listed.order, active=active, weight=weight)
        return True

    def pending(self, now: float) -> Iterator[float]:
        """The moments at which a sweep may find something to do."""
        for lease in self.leases.values():
            for deadline in lease.deadlines():
                # A lease is still active at the very deadline, so that moment has not been dealt with yet.
                if deadline >= now:
                    yield deadline
        if self.kept_until > now:
            yield self.kept_until

    def _has_beats(self, now: float) -> bool:
        return any(lease.is_active(now) for lease in self.leases.values())


def same_announcement(one: ServiceInstance, other: ServiceInstance) -> bool:
    """Whether two announcements of one instance say the same.

    Two workers behind one address started at different times: `active_since` is not news. The pinned address is,
    although it is no part of the identity: connections go there.
    """
    return one.address.pinned == other.address.pinned and one == replace(
        other, active_since=one.active_since, token=one.token, order=one.order, active=one.active
    )
