"""Looking now and then."""

import asyncio
from collections.abc import Callable
from typing import Any

from hydra_asgi.gateway.lookout import Lookout

Eventually = Callable[..., Any]


class Seen:
    """Counts how often it was seen, and may leave when it is."""

    def __init__(self, lookout: Lookout, *, stays: int = 1000) -> None:
        self.times: list[float] = []
        self._lookout = lookout
        self._stays = stays

    def look(self, now: float) -> None:
        self.times.append(now)
        if len(self.times) >= self._stays:
            self._lookout.discard(self)


async def test_everything_is_seen_until_it_leaves(eventually: Eventually) -> None:
    """Each look is one for all, and whoever leaves in the middle of one is not seen again."""
    lookout = Lookout(0.001)
    one, other = Seen(lookout, stays=2), Seen(lookout, stays=3)
    lookout.add(one)
    lookout.add(one)
    lookout.add(other)
    assert len(lookout) == 2
    await eventually(lambda: not len(lookout))
    assert (len(one.times), len(other.times)) == (2, 3)
    assert one.times == other.times[:2]


async def test_a_lookout_with_nothing_to_see_rests_and_begins_again(eventually: Eventually) -> None:
    """It goes on when something is added after it was empty."""
    lookout = Lookout(0.001)
    for _ in range(2):
        seen = Seen(lookout, stays=1)
        lookout.add(seen)
        await eventually(lambda: not len(lookout))
        assert len(seen.times) == 1
        await asyncio.sleep(0.003)
    lookout.discard(seen)


def test_a_loop_that_was_closed_ends_nothing() -> None:
    """A timer that went with its loop is set again in the next one."""
    lookout = Lookout(0.001)

    async def leave() -> None:
        lookout.add(Seen(lookout))

    async def see() -> int:
        seen = Seen(lookout, stays=1)
        lookout.add(seen)
        await asyncio.sleep(0.02)
        return len(seen.times)

    asyncio.run(leave())
    assert asyncio.run(see()) == 1
