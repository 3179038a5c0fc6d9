"""Who has beaten at this gateway lately: their beats are answered well while the store is away."""

from collections.abc import Callable

from hydra_asgi.core.admission.recent import Recent
from hydra_asgi.ports import Clock

__all__ = ["KnownBeats"]

REMEMBERED_SECONDS = 60.0
"""Whoever beats at least this often stays known. A refused beat would make a Medusa drop its fragments, and the lease
is still in the store."""

MAX_REMEMBERED = 50_000


class KnownBeats:
    """A memory of beats that the store has taken.

    Args:
        clock: seconds that only move forward.
        is_listed: whether the last known directory lists an instance of a service at an IP address; asked about those
            of whom nothing was heard, because this gateway may have started only now.
        on_lost: is told service, IP address and lease of those who were known and whom the store does not know.
    """

    def __init__(
        self,
        clock: Clock,
        is_listed: Callable[[str, str], bool] = lambda service, ip: False,
        on_lost: Callable[[str, str, str], None] = lambda service, ip, lease: None,
    ) -> None:
        self._clock = clock
        self._on_lost = on_lost
        self._is_listed = is_listed
        self._recent: Recent[tuple[str, str, str], bool] = Recent(seconds=REMEMBERED_SECONDS, size=MAX_REMEMBERED)

    def note(self, service: str, ip: str, lease: str = "") -> None:
        """The store has taken a beat.

        Args:
            service: whose.
            ip: where it came from.
            lease: the lease it named; empty for a Medusa, which knows of none.
        """
        self._recent.put((service, ip, lease), True, self._clock())

    def forget(self, service: str, ip: str, lease: str = "") -> None:
        """The store knows nothing of them; arguments as for `note`."""
        who = (service, ip, lease)
        was_known = self._recent.get(who, self._clock())
        self._recent.discard(who)
        if was_known:
            self._on_lost(*who)

    def is_known(self, service: str, ip: str, lease: str = "") -> bool:
        """The store does not answer; whether the beat is one that it would take. It keeps them known.

        Arguments as for `note`.
        """
        who = (service, ip, lease)
        if self._recent.get(who, self._clock()) or self._is_listed(service, ip):
            self._recent.put(who, True, self._clock())
            return True
        return False
