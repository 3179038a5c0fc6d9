"""The numbers of a lease's life, and a clock that does not count the time nobody was watching."""

__all__ = [
    "AWAY_SECONDS",
    "BEAT_SECONDS",
    "FORGOTTEN_SECONDS",
    "HELD_SECONDS",
    "INACTIVE_SECONDS",
    "MASS_INSTANCES",
    "SWEEP_SECONDS",
    "VOUCHED_SECONDS",
    "WatchedTime",
]

BEAT_SECONDS = 3.0
"""How often a lease is renewed; unmodified Medusa does so too (CONTRACT.md 1.6)."""

INACTIVE_SECONDS = 5.0
"""Silent for longer: inactive. One late beat has two seconds of slack (CONTRACT.md 1.6)."""

FORGOTTEN_SECONDS = 10.0
"""Silent for as long: forgotten, unless somebody vouches for it."""

VOUCHED_SECONDS = 10.0
"""How long one answered request keeps a silent instance listed."""

SWEEP_SECONDS = 0.8
"""How often somebody looks while all is well: every node asks for the revision this often."""

AWAY_SECONDS = 1.0
"""A look that comes later than this after it was due means that the process was stopped, not merely busy."""

MASS_INSTANCES = 8
"""From this many instances on, more than half of them going at once is taken for a fault on our side."""

HELD_SECONDS = 60.0
"""How long instances that went silent together stay listed: long enough for an operator's switch to come back."""


class WatchedTime:
    """Seconds during which somebody was there to take beats.

    Deadlines are kept in this time. A pause (a stopped process, a clock that jumps) passes as one ordinary period,
    so all deadlines move by the rest of it and nobody is blamed for beats that could not be taken.

    Args:
        seen: what the outer clock showed at the last look; None before the first.
        value: the time watched until then.
    """

    __slots__ = ("seen", "value")

    def __init__(self, seen: float | None = None, value: float = 0.0) -> None:
        self.seen = seen
        self.value = value

    def at(self, now: float) -> float:
        """The time watched when the outer clock shows `now`, in seconds, if somebody looks then."""
        passed = 0.0 if self.seen is None else max(0.0, now - self.seen)
        return self.value + (passed if passed <= SWEEP_SECONDS + AWAY_SECONDS else SWEEP_SECONDS)

    def advance(self, now: float) -> float:
        """Take a look at the outer clock, in seconds; returns the time watched so far."""
        self.value = self.at(now)
        # Also when it went backwards: what follows is measured from here.
        self.seen = now
        return self.value

    def outer(self, watched: float) -> float:
        """When the outer clock will show what `watched` names, if somebody keeps looking."""
        return (self.seen or 0.0) + watched - self.value
