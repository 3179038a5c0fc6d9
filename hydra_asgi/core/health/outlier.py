"""Which instances are in trouble, by what their answers to ordinary requests show ("passive" health checking).

Records are kept by service and address, so an instance that leaves and comes back finds its own again: one that
registers and fails all day is not new each time.
"""

from hydra_asgi.core.health.instance_record import Change, InstanceRecord
from hydra_asgi.core.health.preference import Standing
from hydra_asgi.core.instance import Address

__all__ = ["MAX_REMEMBERED", "Key", "Outliers"]

MAX_REMEMBERED = 4096
"""Instances remembered while nothing is sent to them; four times the largest fleet that is tested."""

Key = tuple[str, Address]
"""A service's name and an instance's address: who an instance is, whatever it is called this time."""


class Outliers:
    """The records of all instances. One that is well and has nothing to do takes no room.

    Args:
        size: how many records are kept; requests in progress may need more for their time.
    """

    def __init__(self, *, size: int = MAX_REMEMBERED) -> None:
        self._size = size
        # In the order of the last trouble, or of the first request since.
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

    def begin(self, key: Key, now: float) -> int:
        """A request is sent. Returns its number, to be given back with exactly one of the outcomes below."""
        record = self._records.get(key)
        if record is None:
            self._make_room()
            record = self._records[key] = InstanceRecord()
        return record.begin(now)

    def answered(self, key: Key, number: int, *, good: bool, now: float) -> Change | None:
        """The head of an answer came; `good` means that it is no server error."""
        record = self._records[key]
        return self._kept(key, record, record.answered(number, good=good, now=now))

    def failed(self, key: Key, number: int, *, refused: bool, now: float) -> Change | None:
        """A request failed before its answer began; `refused` means that nobody listens there."""
        record = self._records[key]
        return self._kept(key, record, record.failed(number, refused=refused, now=now))

    def broke_off(self, key: Key, now: float) -> Change | None:
        """An answer did not come to its end. Not an outcome: `answered` was said when it began."""
        record = self._records.get(key)
        if record is None:
            self._make_room()
            record = self._records[key] = InstanceRecord()
        return self._kept(key, record, record.broke_off(now))

    def dropped(self, key: Key, number: int) -> None:
        """A request ended for a reason that is not the instance's."""
        record = self._records[key]
        record.dropped(number)
        self._kept(key, record, None)

    def _kept(self, key: Key, record: InstanceRecord, change: Change | None) -> Change | None:
        if record.is_blank:
            del self._records[key]
        elif change is not None:
            self._records[key] = self._records.pop(key)  # to the end: it is worth knowing
        return change

    def _make_room(self) -> None:
        if len(self._records) < self._size:
            return
        idle = next((key for key, record in self._records.items() if not record.waiting), None)
        if idle is not None:
            del self._records[idle]
