"""A memory of routes that were known a short while ago: they are answered "not now" instead of "no such thing"."""

from collections.abc import Container, Iterable
from dataclasses import replace
from itertools import islice

from hydra_asgi.core.instance import Route, ServiceInstance, Snapshot

__all__ = ["MAX_DEPARTED_ROUTES", "REMEMBERED_SECONDS", "Departed"]

REMEMBERED_SECONDS = 3600.0
"""An hour: longer than any deployment or restart, shorter than anybody waits for a page."""

MAX_DEPARTED_ROUTES = 10_000
"""As many routes as a big directory has; what left first is dropped first."""

_Published = tuple[str, tuple[Route, ...]]


class Departed:
    """Instances that left, with the time they left, and those that are expected.

    Instances of one service with the same routes are remembered as one: a service that is scaled up and down all day
    takes no more room than one that went once.
    """

    def __init__(self) -> None:
        self._expected: dict[_Published, ServiceInstance] = {}
        self._left: dict[_Published, tuple[float, ServiceInstance]] = {}
        self._routes = 0
        self._present: tuple[ServiceInstance, ...] = ()
        self._missing: dict[_Published, ServiceInstance] = {}

    def expect(self, instances: Iterable[ServiceInstance]) -> None:
        """Take these for instances that left, for as long as nothing else is said: somebody wrote them down, so they
        will come.
        """
        self._expected = {(one.service, one.routes): _slim(one) for one in instances if one.routes}

    def note(self, old: Snapshot, new: Snapshot, now: float) -> None:
        """Remember which instances of `old` are gone in `new`.

        An instance that announces fewer routes than before has taken them back: those are not remembered.
        """
        # By identity first: of a thousand instances nearly all are the very same ones, and keys are slow to make.
        stayed = set(map(id, new.instances)).intersection(map(id, old.instances))
        gone = [instance for instance in old.instances if instance.routes and id(instance) not in stayed]
        if gone:
            present = {instance.key for instance in new.instances if id(instance) not in stayed}
            for instance in gone:
                if instance.key not in present:
                    self._remember(instance, now)
        self._present = new.instances

    def is_due(self, now: float) -> bool:
        """Whether `prune` would forget something."""
        # In the order of leaving: the first one is the oldest.
        return any(now - left >= REMEMBERED_SECONDS for left, _ in islice(self._left.values(), 1))

    def prune(self, now: float) -> tuple[ServiceInstance, ...]:
        """Forget what left too long ago.

        Returns:
            The instances still remembered, reduced to those routes that no present instance of their service has.
        """
        while self.is_due(now):
            self._forget(next(iter(self._left)))
        away = {**self._expected, **{published: instance for published, (_, instance) in self._left.items()}}
        if not away:
            return ()
        services = {service for service, _ in away}
        published = {(one.service, id(one.routes)): one for one in self._present if one.service in services}
        present = {(service, route) for (service, _), one in published.items() for route in one.routes}
        self._missing = {left: self._without(instance, present) for left, instance in away.items()}
        return tuple(instance for instance in self._missing.values() if instance.routes)

    def _remember(self, instance: ServiceInstance, now: float) -> None:
        published = (instance.service, instance.routes)
        if published in self._left:
            self._forget(published)
        self._left[published] = (now, _slim(instance))
        self._routes += len(instance.routes)
        while self._routes > MAX_DEPARTED_ROUTES:
            self._forget(next(iter(self._left)))

    def _forget(self, published: _Published) -> None:
        del self._left[published]
        self._routes -= len(published[1])

    def _without(self, instance: ServiceInstance, present: Container[tuple[str, Route]]) -> ServiceInstance:
        """The instance reduced to what is not present; the same object as the last time where that was the same."""
        routes = tuple(route for route in instance.routes if (instance.service, route) not in present)
        known = self._missing.get((instance.service, instance.routes))
        if known is not None and known.order == instance.order and known.routes == routes:
            return known
        return replace(instance, routes=routes)


def _slim(instance: ServiceInstance) -> ServiceInstance:
    """Only what a route needs is kept: resources alone may be ten thousand names."""
    return replace(instance, resources=frozenset(), fragments=None, menu_items=())
