"""A store for a test that does one blocking step after another: what an operator's commands would do."""

from collections.abc import Awaitable, Callable
from typing import Self, TypeVar

from hydra_asgi.backends.stores import open_store
from hydra_asgi.ports import Store
from tests.faults.loop_thread import LoopThread

__all__ = ["StoreDesk"]

T = TypeVar("T")


class StoreDesk:
    """Opens a store in a thread of its own.

    Args:
        url: of the store.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._thread = LoopThread()
        self._store: Store | None = None

    def do(self, verb: Callable[[Store], Awaitable[T]]) -> T:
        """What a verb of the store returns or raises, as in `desk.do(lambda store: store.snapshot())`."""
        return self._thread.do(self._do(verb))

    async def _do(self, verb: Callable[[Store], Awaitable[T]]) -> T:
        if self._store is None:
            self._store = open_store(self._url)
        return await verb(self._store)

    async def _close(self) -> None:
        if self._store is not None:
            await self._store.close()

    def __enter__(self) -> Self:
        self._thread.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        try:
            self._thread.do(self._close())
        finally:
            self._thread.__exit__(*exception)
