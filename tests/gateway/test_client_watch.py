"""Noticing that a client has gone away."""

import asyncio
from typing import Any

import pytest

from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.errors import UpstreamError
from hydra_asgi.gateway.client_watch import ClientWatch
from hydra_asgi.gateway.lookout import Lookout


class Channel:
    """A `receive` that says what it is told."""

    def __init__(self) -> None:
        self.messages: asyncio.Queue[Any] = asyncio.Queue()

    async def __call__(self) -> Any:
        message = await self.messages.get()
        if isinstance(message, Exception):
            raise message
        return message

    def say(self, *messages: Any) -> None:
        for message in messages:
            self.messages.put_nowait(message)


async def wait_for_ever(channel: Channel, *messages: Any) -> None:
    async with ClientWatch(channel) as watch:
        watch.begin()
        channel.say(*messages)
        await asyncio.Event().wait()


GONE = {"type": "http.disconnect"}
LEFTOVER = {"type": "http.request", "body": b"x", "more_body": True}


async def test_a_client_that_leaves_ends_the_work() -> None:
    """Whatever is awaited is cancelled, and the context ends with CLIENT_GONE; leftover body pieces are dropped."""
    with pytest.raises(UpstreamError) as gone:
        await wait_for_ever(Channel(), LEFTOVER, GONE)
    assert gone.value.kind is ErrorKind.CLIENT_GONE
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    assert len(asyncio.all_tasks()) == 1


async def test_work_that_ends_first_ends_the_watch() -> None:
    """Leaving the context leaves no task behind, however often the watch was begun."""
    channel = Channel()
    async with ClientWatch(channel) as watch:
        watch.begin()
        watch.begin()
        await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == 2
    assert len(asyncio.all_tasks()) == 1
    watch.begin()
    assert len(asyncio.all_tasks()) == 1


async def test_a_watch_that_never_began_costs_nothing() -> None:
    """Without a beginning there is no task and no end."""
    async with ClientWatch(Channel()) as watch:
        watch.end()
    assert len(asyncio.all_tasks()) == 1


async def test_leaving_after_the_end_is_not_leaving() -> None:
    """Servers call the end of a response a disconnect as well, which must not cancel what is nearly done."""
    channel = Channel()
    async with ClientWatch(channel) as watch:
        watch.begin()
        await asyncio.sleep(0)
        channel.say(GONE)
        watch.end()
        await asyncio.sleep(0.01)


async def test_other_errors_and_cancellations_keep_their_type() -> None:
    """An error of the work passes as it is, and so does a cancellation that comes from outside."""

    async def fail() -> None:
        async with ClientWatch(Channel()) as watch:
            watch.begin()
            raise KeyError

    with pytest.raises(KeyError):
        await fail()
    task = asyncio.create_task(wait_for_ever(Channel()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_channel_that_answers_its_own_cancellation_is_not_believed() -> None:
    """A server whose `receive` calls its cancellation a disconnect ends nothing after the end."""

    async def receive() -> Any:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return GONE

    async with ClientWatch(receive) as watch:
        watch.begin()
        await asyncio.sleep(0)
        watch.end()
    assert len(asyncio.all_tasks()) == 1


async def test_a_channel_that_takes_its_time_is_waited_for() -> None:
    """The context is not left while its task still runs."""

    async def receive() -> Any:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)

    async with ClientWatch(receive) as watch:
        watch.begin()
        await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == 1


async def test_a_watch_begins_when_it_was_seen_twice() -> None:
    """With a lookout there is no task for work that is over soon, and a client that leaves later is noticed."""
    channel, lookout = Channel(), Lookout(60.0)
    async with ClientWatch(channel, lookout) as watch:
        watch.begin()
        watch.look(1.0)
        assert len(lookout) == 1
        assert watch.owner is asyncio.current_task()
    assert not len(lookout)
    assert len(asyncio.all_tasks()) == 1

    async def work_for_long() -> None:
        async with ClientWatch(channel, lookout) as watch:
            watch.begin()
            watch.look(1.0)
            watch.look(2.0)
            assert not len(lookout)
            channel.say(GONE)
            await asyncio.Event().wait()

    with pytest.raises(UpstreamError) as gone:
        await work_for_long()
    assert gone.value.kind is ErrorKind.CLIENT_GONE


async def test_a_broken_channel_is_not_swallowed() -> None:
    """What `receive` raises comes out of the context."""
    with pytest.raises(RuntimeError, match="server"):
        await wait_for_ever(Channel(), RuntimeError("the server's own trouble"))
