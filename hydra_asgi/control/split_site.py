"""Notices that a gateway's directory is not the only one of its site: several workers, each with one in its memory.

Behind one port the beats of a service reach one worker now and another then. Each of them has to be told first that
the service is there, so it registers again and again, and is known to one of them at a time. After a restart the same
happens once.
"""

import logging

from hydra_asgi.core.admission.recent import Recent
from hydra_asgi.ports import Clock

__all__ = ["SplitSite"]

WITHIN_SECONDS = 60.0
"""Within this a service that beats every 3 s is sent to another worker often enough."""

OFTEN = 3
"""So many forgotten leases of one service within the time are no restart any more, and no slow network either."""

MAX_LEASES = 10_000

_logger = logging.getLogger("hydra_asgi.control")


class SplitSite:
    """Counts how often a lease that was accepted here turns up as one that is unknown here.

    Args:
        clock: seconds that only move forward.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._accepted: Recent[str, bool] = Recent(seconds=WITHIN_SECONDS, size=MAX_LEASES)
        self._strange: Recent[str, int] = Recent(seconds=WITHIN_SECONDS, size=MAX_LEASES)
        self._is_told = False

    def accepted(self, lease: str) -> None:
        """A lease was registered here."""
        self._accepted.put(lease, True, self._clock())

    def unknown(self, lease: str, service: str) -> None:
        """A lease that is not in the directory has beaten. Where that is a pattern, it is said, once."""
        now = self._clock()
        if self._is_told or not self._accepted.get(lease, now):
            return
        times = (self._strange.get(lease, now) or 0) + 1
        self._strange.put(lease, times, now)
        if times < OFTEN:
            return
        self._is_told = True
        _logger.error(
            "%s registers again and again: it is likely that several workers listen here, each with a directory of its "
            "own in memory, and that what registers with one is unknown to the others. Run one worker, or give all of "
            "them a store that they share: sqlite:///path/site.db on one host, redis://host:6379/0 for a fleet "
            "(HYDRA_STORE)",
            service,
        )
