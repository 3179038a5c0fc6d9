"""Async iterators, alone or merged into one, that leave nothing running when their reader stops."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

__all__ = ["closed", "merged"]

T = TypeVar("T")


@asynccontextmanager
async def closed(iterator: AsyncIterator[T]) -> AsyncIterator[AsyncIterator[T]]:
    """Close an iterator at the end of the block where it can be closed, as generators can."""
    try:
        yield iterator
    finally:
        if isinstance(iterator, AsyncGenerator):
            await iterator.aclose()


async def merged(iterators: Sequence[AsyncIterator[T]]) -> AsyncGenerator[T, None]:
    """What several iterators give, each thing as soon as it is there.

    Closing this closes all of them. They run in tasks of their own, which are gone when this has ended; a slow reader
    slows them down. The first error of one of them ends all and is raised here.
    """
    arrivals: asyncio.Queue[tuple[T, ...] | Exception] = asyncio.Queue(maxsize=1)
    tasks = [asyncio.create_task(_pump(iterator, arrivals)) for iterator in iterators]
    running = len(tasks)
    try:
        while running:
            arrival = await arrivals.get()
            if isinstance(arrival, Exception):
                raise arrival
            running -= not arrival
            for item in arrival:
                yield item
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _pump(iterator: AsyncIterator[T], arrivals: "asyncio.Queue[tuple[T, ...] | Exception]") -> None:
    """Put every item as `(item,)`, at last `()` or what went wrong."""
    last: tuple[T, ...] | Exception = ()
    try:
        async with closed(iterator):
            async for item in iterator:
                await arrivals.put((item,))
    except Exception as error:
        last = error
    await arrivals.put(last)
