"""In which order instances are asked when some of them are known to be in trouble."""

from collections.abc import Sequence
from enum import Enum

__all__ = ["Standing", "preferred"]


class Standing(Enum):
    """How an instance stands at a moment."""

    GOOD = "good"
    """Nothing speaks against it, or it is time to try it again."""
    AVOIDED = "avoided"
    """It fails or hangs, but accepts connections: work that it could do is work that others have to do."""
    UNREACHABLE = "unreachable"
    """Nobody listens there, so nothing is lost by leaving it out."""


def preferred(standings: Sequence[Standing]) -> list[int]:
    """The places of `standings` in the order in which to ask.

    Good ones come first, each kind in its given order; the others follow, because a bad chance is better than none.
    Of the instances that can be reached never more than half are avoided: when more are bad, the fault is likely to
    be load or our own, and sending everything to the few that are left would bring them down too ("panic" in other
    load balancers). A lone instance is never avoided.
    """
    places = range(len(standings))
    bad = sum(standing is Standing.AVOIDED for standing in standings)
    gone = sum(standing is Standing.UNREACHABLE for standing in standings)
    if gone == len(standings):
        return list(places)
    is_panic = 2 * bad > len(standings) - gone
    ranks = _PANIC if is_panic else _RANKS
    return sorted(places, key=lambda place: ranks[standings[place]])


_RANKS = {Standing.GOOD: 0, Standing.AVOIDED: 1, Standing.UNREACHABLE: 2}
_PANIC = {Standing.GOOD: 0, Standing.AVOIDED: 0, Standing.UNREACHABLE: 1}
