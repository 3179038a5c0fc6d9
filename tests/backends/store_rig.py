"""A store under test, and what is registered there."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from hydra_asgi.core.instance import Address, Route, ServiceInstance
from hydra_asgi.ports import LeaseState, Store

__all__ = ["CALLER", "StoreRig", "a_lease", "an_instance"]

CALLER = "10.0.0.1"


@dataclass
class StoreRig:
    """A store under test.

    Attributes:
        store: empty at first.
        advance: lets so many seconds pass for the store, and lets it live through them: it is asked for its revision
            at least once a second, because time during which nobody watched does not count.
    """

    store: Store
    advance: Callable[[float], Awaitable[None]]

    async def states(self) -> dict[int, bool]:
        """Port -> active, of everything listed."""
        return {listed.address.port: listed.active for listed in (await self.store.snapshot()).instances}

    async def counter(self) -> int:
        """The second half of the revision."""
        return (await self.store.revision()).counter


def an_instance(
    port: int = 8001, *, service: str = "orders", weight: float = 10.0, template: str = "/orders"
) -> ServiceInstance:
    return ServiceInstance(service, Address("http", CALLER, port), weight=weight, routes=(Route(template),))


def a_lease(
    name: str = "a", *, service: str = "orders", caller: str = CALLER, signed: bool = False, counter: int = 0
) -> LeaseState:
    return LeaseState(name, service, caller, signed, counter=counter)
