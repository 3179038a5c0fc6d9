"""The connections to one address: who has which, and who waits. Nothing here awaits the network.

A slot is a connection, or the right to dial one. Every slot is either idle or in use, so that
`open == idle + in_use` holds between any two steps of any task; whoever leases a slot gives it back exactly once, by
`give_back` or `give_up`.
"""

import asyncio
from collections import deque
from collections.abc import Callable

from hydra_asgi.backends.native_upstream.connection import Connection
from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.errors import UpstreamError

__all__ = ["AddressPool"]


class AddressPool:
    """The slots of one address.

    Args:
        limit: how many there are.
        idle_seconds: how long a connection may be idle.
        on_empty: called when the last slot was given up.

    Attributes:
        open: slots that are taken, idle or in use.
        in_use: slots that somebody has leased.
    """

    __slots__ = ("_idle", "_idle_seconds", "_in_use_set", "_limit", "_on_empty", "_waiters", "in_use", "open")

    def __init__(self, limit: int, idle_seconds: float, on_empty: Callable[["AddressPool"], None]) -> None:
        self.open = 0
        self.in_use = 0
        self._limit = limit
        self._idle_seconds = idle_seconds
        self._on_empty = on_empty
        self._idle: list[Connection] = []
        self._leased: set[Connection] = set()
        self._waiters: deque[asyncio.Future[Connection | None]] = deque()
