"""Wait until this node answers at its own address: servers accept connections only after lifespan start-up."""

from collections.abc import Awaitable, Callable

from hydra_asgi.core.instance import Address
from hydra_asgi.ports import Prober

__all__ = ["until_reachable"]

FIRST_SECONDS = 0.05
LONGEST_SECONDS = 1.0

LATE_SECONDS = 10.0
"""What most apps need to start. After that the address may as well be a wrong one, and somebody should know."""


async def until_reachable(
    address: Address, prober: Prober, sleep: Callable[[float], Awaitable[object]], on_late: Callable[[str], None]
) -> None:
    """Return when a connection to the address works.

    Args:
        address: our own; an empty host means that only the port is known, then this machine is asked.
        prober: connects.
        sleep: waits between two attempts, longer each time up to a second.
        on_late: is told once why it takes so long, and what to do.
    """
    host = address.host or "127.0.0.1"
    pause, waited, is_told = FIRST_SECONDS, 0.0, False
    while (why := await prober.why_unreachable(host, address.port)) is not None:
        if waited >= LATE_SECONDS and not is_told:
            is_told = True
            on_late(f"this app does not answer at its own address, {host}:{address.port} ({why}): set address= right")
        await sleep(pause)
        waited += pause
        pause = min(2 * pause, LONGEST_SECONDS)
