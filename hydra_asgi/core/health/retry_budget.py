"""How many requests to a service may be sent a second time.

Where everything fails, retries only add to the load that may be the reason. So each request brings a fifth of a retry
and each retry costs one; what is not used is forgotten within seconds, and a few a second are always there, so that a
service with few requests can be tried elsewhere too.
"""

from math import exp

__all__ = ["RATIO", "RetryBudget", "RetryBudgets"]

RATIO = 0.2
"""Retries per request, in the long run. With the floor it keeps a storm of 500 failing requests/s below 1.25 times."""

MEMORY_SECONDS = 2.0
"""Unused retries fade with this time constant: enough for the requests on an instance that is killed, not for more."""

FLOOR = 6.0
"""Retries that are always saved up again: with the constant above, three a second from nothing."""

DRIFT_SECONDS = 0.02
"""Requests within so short a time are counted as of one moment: one part in a hundred fades meanwhile, and working that
out would cost more than the counting."""

MAX_SERVICES = 1024
"""Services whose budgets are kept; one that is dropped starts from the floor."""


class RetryBudget:
    """The retries that are left to one service, as a bucket whose content drifts towards `FLOOR`.

    Args:
        now: the present, in seconds.
    """

    __slots__ = ("_at", "_left")

    def __init__(self, now: float) -> None:
        self._left = FLOOR
        self._at = now

    def deposit(self, now: float) -> None:
        """A client's request came."""
        if now - self._at >= DRIFT_SECONDS:
            self._left = self._drifted(now)
            self._at = now
        self._left += RATIO

    def withdraw(self, now: float) -> bool:
        """Take one retry; False when none is left."""
        left = self._drifted(now)
        if left < 1:
            return False
        self._left = left - 1
        self._at = now
        return True

    def _drifted(self, now: float) -> float:
        passed = now - self._at
        return FLOOR + (self._left - FLOOR) * (exp(-passed / MEMORY_SECONDS) if passed > 0 else 1.0)


class RetryBudgets:
    """A budget for each service, so that one that fails does not use up the retries of the others."""

    def __init__(self) -> None:
        self._budgets: dict[str, RetryBudget] = {}

    def deposit(self, service: str, now: float) -> None:
        """A client's request to the service came."""
        (self._budgets.get(service) or self._of(service, now)).deposit(now)

    def withdraw(self, service: str, now: float) -> bool:
        """Take one retry of the service; False when none is left."""
        return self._of(service, now).withdraw(now)

    def _of(self, service: str, now: float) -> RetryBudget:
        budget = self._budgets.get(service)
        if budget is None:
            if len(self._budgets) >= MAX_SERVICES:
                del self._budgets[next(iter(self._budgets))]
            budget = self._budgets[service] = RetryBudget(now)
        return budget
