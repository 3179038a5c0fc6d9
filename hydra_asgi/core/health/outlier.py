"""Which instances are in trouble, by what their answers to ordinary requests show ("passive" health checking).

Records are kept by service and address, so an instance that leaves and comes back finds its own again: one that
registers and fails all day is not new each time.
"""

from hydra_asgi.core.health.instance_record import InstanceRecord
from hydra_asgi.core.health.preference import Standing
from hydra_asgi.core.instance import Address

__all__ = ["MAX_REMEMBERED", "Key", "Outliers"]

MAX_REMEMBERED = 4096
"""Instances remembered while nothing is sent to them; four times the largest fleet that is tested."""

Key = tuple[str, Address]
"""A service's name and an instance's address: who an instance is, whatever it is called this time."""


class Outliers:
    """The records of all instances, made when they are first needed.

    Args:
        size: how many records are kept; requests in progress may need more for their time.
    """

    def __init__(self, *, size: int = MAX_REMEMBERED) -> None:
        self._size = size
        self._records: dict[Key, InstanceRecord] = {}

    def __len__(self) -> int:
        return len(self._records)

    def standing(self, key: Key, now: float) -> Standing:
        """How an instance stands."""
        record = self._records.get(key)
        return Standing.GOOD if record is None else record.standing(now)

    def is_doubted(self, key: Key, now: float) -> bool:
        """Whether the next answer of an instance is not to be counted on."""
        record = self._records.get(key)
        return record is not None and record.is_doubted(now)

    def record(self, key: Key) -> InstanceRecord:
        """The record of an instance, to tell it what happens, until it `is_forgotten`."""
        record = self._records.get(key)
        if record is None:
            self._make_room()
            record = self._records[key] = InstanceRecord()
        return record

    def _make_room(self) -> None:
        """Forget those of whom there is nothing to remember, else the one that has been known for the longest time."""
        if len(self._records) < self._size:
            return
        for key in [key for key, record in self._records.items() if record.is_blank]:
            self._forget(key)
        if len(self._records) < self._size:
            return
        idle = next((key for key, record in self._records.items() if not record.waiting), None)
        if idle is not None:
            self._forget(idle)

    def _forget(self, key: Key) -> None:
        self._records.pop(key).is_forgotten = True
