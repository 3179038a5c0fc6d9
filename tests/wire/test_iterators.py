"""Async iterators that leave nothing running."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from hydra_asgi.wire.iterators import closed, merged


class Feed:
    """An iterator that gives what is put into it, and says when it was closed."""

    def __init__(self, *items: object) -> None:
        self.items: asyncio.Queue[object] = asyncio.Queue()
        self.closed = False
        for item in items:
            self.items.put_nowait(item)

    async def __call__(self) -> AsyncIterator[object]:
        try:
            while (item := await self.items.get()) is not None:
                if isinstance(item, Exception):
                    raise item
                yield item
        finally:
            self.closed = True


def others() -> set[asyncio.Task[object]]:
    return asyncio.all_tasks() - {asyncio.current_task()}


async def test_a_generator_is_closed_with_the_block() -> None:
    """Leaving the block closes a generator that was not read to its end."""
    feed = Feed(1, 2)
    async with closed(feed()) as items:
        assert await anext(items) == 1
    assert feed.closed


async def test_other_iterators_are_left_alone() -> None:
    """An iterator that cannot be closed is simply no longer read."""

    class Endless:
        def __aiter__(self) -> "Endless":
            return self

        async def __anext__(self) -> int:
            return 7

    async with closed(Endless()) as items:
        assert await anext(items) == 7


async def test_everything_arrives_as_soon_as_it_is_there() -> None:
    """A slow iterator does not hold back what a fast one has."""
    slow, fast = Feed(), Feed(1, 2, None)
    both = merged([slow(), fast()])
    assert [await anext(both), await anext(both)] == [1, 2]
    slow.items.put_nowait(3)
    slow.items.put_nowait(None)
    assert [item async for item in both] == [3]
    assert slow.closed
    assert fast.closed
    assert not others()


async def test_nothing_merged_is_nothing() -> None:
    """Without iterators there is nothing to wait for."""
    assert [item async for item in merged([])] == []


async def test_closing_closes_all() -> None:
    """Whoever stops reading leaves no iterator open and no task behind."""
    feeds = [Feed(1), Feed(2), Feed()]
    both = merged([feed() for feed in feeds])
    await anext(both)
    await both.aclose()
    assert all(feed.closed for feed in feeds)
    assert not others()


async def test_cancelling_the_reader_closes_all() -> None:
    """A reader that is cancelled while it waits leaves nothing behind either."""
    feed = Feed()

    async def read() -> None:
        async with closed(merged([feed()])) as items:
            await anext(items)

    reader = asyncio.create_task(read())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    assert feed.closed
    assert not others()


async def test_the_first_error_ends_all() -> None:
    """An error keeps its type, comes after what was given before it, and closes the others."""
    bad, other = Feed(1, KeyError("x")), Feed()
    both = merged([bad(), other()])
    assert await anext(both) == 1
    with pytest.raises(KeyError):
        await anext(both)
    assert other.closed
    assert not others()
