"""Wait until this node answers at its own address: servers accept connections only after lifespan start-up."""

from collections.abc import Awaitable, Callable

from hydra_asgi.core.instance import Address
from hydra_asgi.ports import Prober

__all__ = ["until_reachable"]

FIRST_SECONDS = 0.05
LONGEST_SECONDS = 1.0


async def until_reachable(address: Address, prober: Prober, sleep: Callable[[float], Awaitable[object]]) -> None:
    """Return when a connection to the address works.

    Args:
        address: our own; an empty host means that only the port is known, then this machine is asked.
        prober: connects.
        sleep: waits between two attempts, longer each time up to a second.
    """
    pause = FIRST_SECONDS
    while await prober.why_unreachable(address.host or "127.0.0.1", address.port) is not None:
        await sleep(pause)
        pause = min(2 * pause, LONGEST_SECONDS)
