"""The book of leases: which instances are listed, and how that changes. Time is an argument, in seconds.

Rules for whoever edits this:

- An instance is (service, address) and lives while one of its leases does; it is active while one of its leases is.
- Only `sweep` lets anything lapse. The other verbs cost the same however many instances there are.
- `counter` moves when what is listed or set changes, or when most instances go silent at once, and for no other reason:
  not for beats, not for repetitions.
- A call that is refused changes nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import inf

from hydra_asgi.core.directory.lease_state import LeaseState
from hydra_asgi.core.directory.lease_times import INACTIVE_SECONDS, VOUCHED_SECONDS, WatchedTime
from hydra_asgi.core.directory.listing import Lease, Listing
from hydra_asgi.core.directory.mass_silence import hold_back
from hydra_asgi.core.instance import ServiceInstance
from hydra_asgi.core.routing.token import first_token, next_token
from hydra_asgi.core.service_settings import ServiceSettings
from hydra_asgi.errors import RefusedError

__all__ = ["LeaseBook", "Swept"]


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep did.

    Attributes:
        changed: what is listed changed.
        alarm: so many instances went silent together that they are kept for a while; one sentence. Empty: all is well.
    """

    changed: bool = False
    alarm: str = ""


class LeaseBook:
    """Every instance with its leases.

    Attributes:
        counter: moves with every change of what is listed or set; the second half of a revision.
        settings: central settings by service; replaced whole when one changes.
    """

    def __init__(self) -> None:
        self.counter = 0
        self.settings: Mapping[str, ServiceSettings] = {}
        self._time = WatchedTime()
        self._due = inf  # a sweep before this finds nothing to do; may be too early, never too late
        self._orders = 0
        self._listings: dict[tuple[str, str], Listing] = {}
        self._by_token: dict[int, Listing] = {}
        self._leases: dict[str, Lease] = {}
        self._by_caller: dict[tuple[str, str], dict[str, Lease]] = {}

    @property
    def instances(self) -> tuple[ServiceInstance, ...]:
        """What is listed, in the order of first registration."""
        return tuple(listing.listed for listing in self._listings.values())

    @property
    def held(self) -> int:
        """How many instances are listed only because they went silent together with most others."""
        return sum(listing.held_until is not None for listing in self._listings.values())

    def register(self, instance: ServiceInstance, lease: LeaseState, now: float) -> ServiceInstance:
        """Add or replace an instance, and start or renew one of its leases.

        A lease that announced another address before leaves that instance.

        Returns:
            The instance as listed, with token, order, state and effective weight.

        Raises:
            RefusedError: 403, the lease belongs to another service, or the instance or the lease is held with a
                signature and this call has none; 401, the lease has seen this counter or a higher one.
        """
        self._refuse_strangers(instance, lease)
        held = self._leases.get(lease.id)
        seen = 0 if held is None else held.next_counter(lease.counter)
        time = self._time.advance(now)
        if held is not None and held.listing.announced.key != instance.key:
            self._end(held, time)
            held = None
        listing = self._listings.get(instance.key) or self._add(instance)
        if held is not None:
            self._drop(held)
        renewed = self._start(listing, lease, time)
        renewed.counter = seen or lease.counter
        if held is not None:
            renewed.draining = held.draining
        news = listing.announce(instance)
        self._settle(listing, time, news=news)
        return listing.listed

    def renew(self, lease_id: str, service: str, now: float, *, counter: int = 0) -> bool:
        """Take a beat. False: no such lease of that service.

        Raises:
            RefusedError: 401, the lease has seen this counter or a higher one.
        """
        time = self._time.advance(now)
        lease = self._lease(lease_id, service)
        if lease is None:
            return False
        lease.counter = lease.next_counter(counter)
        self._beat(lease, time)
        self._settle(lease.listing, time)
        return True

    def release(self, lease_id: str, service: str, now: float, *, counter: int = 0) -> bool:
        """End a lease; the last one takes its instance with it. False: there was none.

        Raises:
            RefusedError: 401, as for `renew`.
        """
        time = self._time.advance(now)
        lease = self._lease(lease_id, service)
        if lease is None:
            return False
        lease.next_counter(counter)
        self._end(lease, time)
        return True

    def leases_of(self, service: str, caller: str, now: float) -> tuple[LeaseState, ...]:
        """The leases of a service that were announced from one IP address."""
        time = self._time.advance(now)
        return tuple(
            LeaseState(lease.id, service, caller, lease.signed, lease.is_active(time), lease.counter)
            for lease in self._by_caller.get((service, caller), {}).values()
        )

    def vouch(self, token: int, now: float) -> None:
        """Keep an instance listed for `VOUCHED_SECONDS` from now, beats or not. Unknown tokens are ignored."""
        time = self._time.advance(now)
        listing = self._by_token.get(token)
        if listing is not None:
            listing.vouched_until = time + VOUCHED_SECONDS

    def drain(self, token: int, now: float, *, draining: bool = True) -> bool:
        """Set an instance's effective weight to 0, or take that back. False: no such instance.

        It lasts while a lease is there that was there when it was said: a process that starts again takes requests.
        """
        time = self._time.advance(now)
        listing = self._by_token.get(token)
        if listing is None:
            return False
        for lease in listing.leases.values():
            lease.draining = draining
        self._settle(listing, time)
        return True

    def configure(self, service: str, settings: ServiceSettings | None) -> None:
        """Set the central settings of a service as a whole; None or empty ones take them back."""
        changed = {name: given for name, given in self.settings.items() if name != service}
        if settings is not None and settings != ServiceSettings():
            # A copy of the one part that its owner could still change.
            changed[service] = replace(settings, shares=dict(settings.shares))
        if changed != self.settings:
            self.settings = changed
            self.counter += 1

    def sweep(self, now: float) -> Swept:
        """Let lapse what has been silent too long."""
        time = self._time.advance(now)
        if time < self._due:
            return Swept()
        before = self.counter
        alarm = hold_back(self._listings.values(), time)
        self.counter += bool(alarm)  # not all of those who are held change otherwise
        for listing in tuple(self._listings.values()):
            self._lapse(listing, time)
        listings = self._listings.values()
        self._due = min((moment for listing in listings for moment in listing.pending(time)), default=inf)
        return Swept(self.counter != before, alarm)

    def next_deadline(self) -> float | None:
        """No sweep before this changes anything. None: there is nothing that could lapse."""
        return None if self._due == inf else self._time.outer(self._due)

    def _refuse_strangers(self, instance: ServiceInstance, lease: LeaseState) -> None:
        held = self._leases.get(lease.id)
        if held is not None and held.service != instance.service:
            raise RefusedError(
                403, f"the lease of this call is not one of {instance.service!r}; register with a new one"
            )
        if lease.signed:
            return
        listing = self._listings.get(instance.key)
        if (held is not None and held.signed) or (listing is not None and listing.is_signed):
            where = f"{instance.service!r} at {str(instance.address)[:200]!r}"
            raise RefusedError(403, f"{where} is held with a signature; sign this call too, or end the signed lease")

    def _lease(self, lease_id: str, service: str) -> Lease | None:
        lease = self._leases.get(lease_id)
        return lease if lease is not None and lease.service == service else None

    def _add(self, instance: ServiceInstance) -> Listing:
        token = first_token(instance.service, instance.address)
        while token in self._by_token:
            token = next_token(token)
        self._orders += 1
        listing = Listing(instance, replace(instance, token=token, order=self._orders, active=True))
        self._listings[instance.key] = self._by_token[token] = listing
        self.counter += 1
        return listing

    def _start(self, listing: Listing, lease: LeaseState, time: float) -> Lease:
        service = listing.announced.service
        started = Lease(lease.id, service, lease.caller, lease.signed, time, listing)
        self._leases[lease.id] = listing.leases[lease.id] = started
        self._by_caller.setdefault((service, lease.caller), {})[lease.id] = started
        self._beat(started, time)
        return started

    def _beat(self, lease: Lease, time: float) -> None:
        lease.beat = time
        # A revived instance may have lapsed leases beside the living one: the next sweep drops them.
        self._due = min(self._due, time + INACTIVE_SECONDS if lease.listing.listed.active else time)

    def _drop(self, lease: Lease) -> None:
        """Take a lease out of every index; its listing may be left without any."""
        del self._leases[lease.id]
        del lease.listing.leases[lease.id]
        place = (lease.service, lease.caller)
        of_caller = self._by_caller[place]
        del of_caller[lease.id]
        if not of_caller:
            del self._by_caller[place]

    def _end(self, lease: Lease, time: float) -> None:
        listing = lease.listing
        self._drop(lease)
        if listing.leases:
            self._settle(listing, time)
        else:
            self._remove(listing)

    def _remove(self, listing: Listing) -> None:
        del self._listings[listing.listed.key]
        del self._by_token[listing.listed.token]
        self.counter += 1

    def _settle(self, listing: Listing, time: float, *, news: bool = False) -> None:
        if listing.settle(time, news=news):
            self.counter += 1

    def _lapse(self, listing: Listing, time: float) -> None:
        """Drop lapsed leases beside living ones; the last ones stay while something keeps the instance listed."""
        lapsed = [lease for lease in listing.leases.values() if lease.has_lapsed(time)]
        forgotten = listing.is_forgotten(time)
        if forgotten or len(lapsed) < len(listing.leases):
            for lease in lapsed:
                self._drop(lease)
        if forgotten:
            self._remove(listing)
        else:
            self._settle(listing, time)
