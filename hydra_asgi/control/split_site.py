"""Notices that a gateway's directory is not the only one of its site: several workers, each with one in its memory.

Behind one port the beats of a service reach one worker now and another then. Each of them has to be told first that
the service is there, forgets it while the others are told, and so finds again and again that it does not know whom it
has just accepted. After a restart nothing of the kind happens: what was accepted before is not remembered either.
"""

import logging

from hydra_asgi.core.admission.recent import Recent
from hydra_asgi.ports import Clock

__all__ = ["SplitSite"]

WITHIN_SECONDS = 60.0
"""Within this a service that beats every 3 s is sent to another worker often enough."""

OFTEN = 2
"""A process that was stopped for a while is lost once; whoever is lost again within a minute has two gateways."""

MAX_SERVICES = 10_000

_logger = logging.getLogger("hydra_asgi.control")


class SplitSite:
    """Counts how often somebody who was accepted here is not known here a moment later.

    Args:
        clock: seconds that only move forward.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lost: Recent[tuple[str, str, str], int] = Recent(seconds=WITHIN_SECONDS, size=MAX_SERVICES)
        self._is_told = False

    def __call__(self, service: str, ip: str, lease: str) -> None:
        """Somebody was lost. Where that is a pattern it is said, once.

        Args:
            service: whose beat it was.
            ip: where it came from.
            lease: the lease it named; empty for none.
        """
        who, now = (service, ip, lease), self._clock()
        times = (self._lost.get(who, now) or 0) + 1
        self._lost.put(who, times, now)
        if times < OFTEN or self._is_told:
            return
        self._is_told = True
        _logger.error(
            "%s registers again and again: it is likely that several workers listen here, each with a directory of its "
            "own in memory, and what registers with one is unknown to the others. Two ways out besides a single "
            "worker: a store that they share, sqlite:///path/site.db on one host or redis://host:6379/0 for a fleet "
            "(store=, HYDRA_STORE)",
            service,
        )
