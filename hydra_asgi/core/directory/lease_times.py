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
    """

    __slots__ = ("_seen", "value")

    def __init__(self) -> None:
        self._seen: float | None = None
        self.value = 0.0

    def advance(self, now: float) -> float:
        """Take a look at the outer clock, in seconds; returns the time watched so far."""
        if self._seen is None:
            self._seen = now
        passed = now - self._seen
        if passed > 0:
            self.value += passed if passed <= SWEEP_SECONDS + AWAY_SECONDS else SWEEP_SECONDS
        # Also when it went backwards: what follows is measured from here.
        self._seen = now
        return self.value

    def outer(self, watched: float) -> float:
        """When the outer clock will show what `watched` names, if somebody keeps looking."""
        return (self._seen or 0.0) + watched - self.value
