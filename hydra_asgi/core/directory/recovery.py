"""What a node goes on knowing when the store lost everything: the last good entries, until announced again."""

from collections.abc import Mapping
from dataclasses import replace

from hydra_asgi.core.directory.lease_times import WatchedTime
from hydra_asgi.core.instance import Revision, ServiceInstance, Snapshot
from hydra_asgi.core.service_settings import ServiceSettings

__all__ = ["CARRIED_SECONDS", "Recovery"]

CARRIED_SECONDS = 10.0
"""Every living service has announced itself again by then: a beat comes every three seconds, a retry every second."""

_Settings = Mapping[str, ServiceSettings]


class Recovery:
    """The store's snapshots, with the entries of its former life carried over a new epoch.

    Time during which the store did not answer does not count.

    Attributes:
        revision: of the last snapshot taken from the store; None before the first.
        snapshot: that snapshot together with what is carried.
    """

    def __init__(self) -> None:
        self.revision: Revision | None = None
        self.snapshot = Snapshot(Revision("", 0))
        self._stored = self.snapshot
        self._epoch: str | None = None
        self._time = WatchedTime()
        self._carried: dict[tuple[str, str], tuple[float, ServiceInstance]] = {}
        self._settings: tuple[float, _Settings] = (0.0, {})

    @property
    def is_recovering(self) -> bool:
        """Whether something is known only from before the store started anew."""
        return bool(self._carried or self._settings[1])

    def recall(self, snapshot: Snapshot) -> None:
        """Begin with what was known in a former life of this node; once the store has answered, it knows better."""
        if self.revision is None:
            self.snapshot = self._stored = snapshot
            self._epoch = snapshot.revision.epoch

    def adopt(self, snapshot: Snapshot, now: float) -> None:
        """Take a snapshot from the store. A new epoch means that it lost what it had."""
        time = self._time.advance(now)
        if self._epoch not in (None, snapshot.revision.epoch):
            until = time + CARRIED_SECONDS
            self._carried.update({instance.key: (until, instance) for instance in self._stored.instances})
            self._settings = (until, self.snapshot.settings)
        self._merge(snapshot, time)
        # Last: a snapshot that cannot be read is not taken, and asked for again.
        self._stored, self.revision = snapshot, snapshot.revision
        self._epoch = snapshot.revision.epoch

    def expire(self, now: float) -> bool:
        """The store answered and nothing moved; whether something carried has been kept long enough."""
        time = self._time.advance(now)
        kept = [until for until, _ in self._carried.values()]
        if self._settings[1]:
            kept.append(self._settings[0])
        if all(until > time for until in kept):
            return False
        self._merge(self._stored, time)
        return True

    def _merge(self, stored: Snapshot, time: float) -> None:
        # A store that starts anew hands out tokens anew; the living instance has the better right to one.
        tokens = {instance.token for instance in stored.instances}
        if self._carried:
            keys = {instance.key for instance in stored.instances}
            self._carried = {
                key: (until, instance)
                for key, (until, instance) in self._carried.items()
                if until > time and key not in keys and instance.token not in tokens
            }
        if self._settings[0] <= time:
            self._settings = (0.0, {})
        instances, settings = stored.instances, stored.settings
        if self._carried:
            instances = (*(instance for _, instance in self._carried.values()), *instances)
        if self._settings[1]:
            settings = {**self._settings[1], **settings}
        self.snapshot = replace(stored, instances=instances, settings=settings)
