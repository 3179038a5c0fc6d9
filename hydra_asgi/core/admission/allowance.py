"""How often somebody may call: a bucket that fills at a steady rate (a "token bucket", as networks have it)."""

from dataclasses import dataclass

__all__ = ["Allowance"]


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left, as of a moment. Frozen: each call gives the next one.

    Attributes:
        left: calls that may be made at once.
        at: when that was so, in seconds.
    """

    left: float
    at: float

    def spend(self, now: float, *, rate: float, burst: float) -> "Allowance | None":
        """Make one call.

        Args:
            now: the present, on the clock of `at`.
            rate: calls per second that come back.
            burst: the most that can be saved.

        Returns:
            What is left then, or None when the call is one too many.
        """
        left = min(burst, self.left + (now - self.at) * rate)
        return Allowance(left - 1, now) if left >= 1 else None
