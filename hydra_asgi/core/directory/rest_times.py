"""How long a node rests between two polls of the store: often enough for its users, seldom enough for the store."""

__all__ = ["CROWD_REST_SECONDS", "MIN_REST_SECONDS", "rest_times"]

JITTER = 0.1
"""Polls of many nodes drift apart by up to a tenth of the period, so that they do not reach the store together."""

MIN_REST_SECONDS = 0.05
"""However often the store wakes us: not more than twenty rebuilds a second."""

CROWD_REST_SECONDS = 0.25
"""When many instances come or go, as when a whole site starts, they are taken together, at most five rebuilds a second.
A change on its own is not made to wait for that."""

REST_PER_BUILD = 4
"""We rest four times as long as a rebuild took: a flapping service costs at most a fifth of our time."""


def rest_times(period: float, chance: float, build_seconds: float, *, is_crowded: bool = False) -> tuple[float, float]:
    """How long to rest between two polls, in seconds: first deaf, then listening for a wake.

    Args:
        period: the usual time between two polls.
        chance: a number from 0 to 1 that is different on every node.
        build_seconds: how long the last rebuild took.
        is_crowded: many instances came or went with it.
    """
    pause = period * (1 - JITTER + 2 * JITTER * chance)
    least = CROWD_REST_SECONDS if is_crowded else MIN_REST_SECONDS
    still = min(pause, max(least, REST_PER_BUILD * build_seconds))
    return still, pause - still
