"""What can be read off a node at any moment, as opposed to what happens on it (`events`)."""

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["NodeReading"]


@dataclass(frozen=True, slots=True)
class NodeReading:
    """One reading.

    Attributes:
        status: `starting`, `ok`, `degraded` or `draining`, as `/h/ready` says it.
        directory_age: seconds since the store last confirmed what is known; None on a node without a directory.
        instances: active instances by service and version.
        connections: open, idle and in use; None where the upstream does not count them.
        unreadable: entries of the store that are left out, because this node cannot read them.
    """

    status: str
    directory_age: float | None = None
    instances: Mapping[tuple[str, int], int] = field(default_factory=dict)
    connections: tuple[int, int, int] | None = None
    unreadable: int = 0
