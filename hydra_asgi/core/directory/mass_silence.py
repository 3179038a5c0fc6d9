"""When most instances go silent at once, the fault is taken to be on our side until proved otherwise."""

from collections.abc import Collection

from hydra_asgi.core.directory.lease_times import BEAT_SECONDS, HELD_SECONDS, MASS_INSTANCES
from hydra_asgi.core.directory.listing import Listing

__all__ = ["hold_back"]


def hold_back(listings: Collection[Listing], now: float) -> str:
    """Keep instances listed that go together, as inactive ones, for `HELD_SECONDS`.

    Beats are spread over `BEAT_SECONDS`, so what is cut off at one moment goes silent over as long. Nobody is held
    twice without a beat between.

    Args:
        listings: everything that is known, before the sweep.
        now: the moment of the sweep, in watched seconds.

    Returns:
        One sentence for the operator when this begins; empty when all is well or the alarm was raised already.
    """
    if len(listings) < MASS_INSTANCES or not any(listing.lapses(now) for listing in listings):
        return ""
    going = [one for one in listings if one.lapses(now) or one.went_silent(now, within=BEAT_SECONDS)]
    if 2 * len(going) <= len(listings):
        return ""
    is_first = all(listing.held_until is None for listing in listings)
    for listing in going:
        if listing.held_until is None:
            listing.held_until = now + HELD_SECONDS
    if not is_first:
        return ""
    return (
        f"{len(going)} of {len(listings)} instances went silent within {BEAT_SECONDS:g} s; they stay listed as "
        f"inactive for at most {HELD_SECONDS:g} s. If they are well, look at the way from them to this directory."
    )
