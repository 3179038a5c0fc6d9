"""How long one control call may keep its caller waiting for the store, however many questions it has."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from hydra_asgi.errors import StoreError

__all__ = ["STORE_SECONDS", "StoreTime"]

STORE_SECONDS = 0.4
"""A store that hangs must not hold a caller: control calls fail within half a second."""

T = TypeVar("T")


class StoreTime:
    """The time that one call has for all its questions together. What it does between them does not count.

    Args:
        seconds: so much.
    """

    def __init__(self, seconds: float = STORE_SECONDS) -> None:
        self._seconds = self._left = seconds

    async def __call__(self, question: Awaitable[T]) -> T:
        """Wait for an answer of the store.

        Raises:
            StoreError: whatever it says, or that the time is over.
        """
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            async with asyncio.timeout(max(0.0, self._left)):
                return await question
        except TimeoutError:
            raise StoreError(f"the store did not answer within {self._seconds:g} s") from None
        finally:
            self._left -= clock() - began
