"""A stage: a whole site inside one process, on which a node can be tested without background work or a network."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from hydra_asgi.core.instance import Address, ServiceInstance
from hydra_asgi.options import Options
from hydra_asgi.ports import LeaseState, Store, Upstream

__all__ = ["Stage"]

_KEY = "stage"
_SECRET = "all-nodes-of-a-stage-share-this-one"  # noqa: S105 - guards nothing: a stage is reached by no network


@dataclass(frozen=True, slots=True)
class Stage:
    """What nodes see of their site while they are on a stage.

    Attributes:
        upstream: reaches the instances.
        cast: the instances of the site, the oldest first; asked whenever a node starts.
    """

    upstream: Upstream
    cast: Callable[[], Iterable[ServiceInstance]]

    @staticmethod
    def options(options: Options, address: Address) -> Options:
        """The options of a node while it is on the stage: a gateway there, with a key that all nodes there share."""
        return replace(options, gateway=True, gateways=(), address=address, key=_KEY, secret=_SECRET)

    async def fill(self, store: Store) -> None:
        """Register the cast in the store of one node."""
        for instance in self.cast():
            name = f"{instance.service} at {instance.address}"
            lease = LeaseState(name, instance.service, instance.address.host, signed=True)
            await store.register(instance, lease)
