"""Waiting for a place."""

import asyncio
import resource
from collections.abc import Callable
from typing import Any

import pytest

from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.core.health.concurrency import Limits
from hydra_asgi.errors import UpstreamError
from hydra_asgi.gateway.limits import ServiceLimits, default_limits

Eventually = Callable[..., Any]


def limits(queue_seconds: float = 5.0) -> ServiceLimits:
    return ServiceLimits(Limits(total=10, service=1, queue=2, queue_seconds=queue_seconds))


async def overloaded(some: ServiceLimits) -> str:
    with pytest.raises(UpstreamError) as refused:
        await some.enter("a")
    assert refused.value.kind is ErrorKind.OVERLOADED
    return refused.value.detail


async def test_whoever_waits_gets_the_place_that_becomes_free() -> None:
    """In the order of coming, and nobody else in between."""
    some, order = limits(), []
    await some.enter("a")

    async def work(name: str) -> None:
        await some.enter("a")
        order.append(name)

    first, second = asyncio.create_task(work("first")), asyncio.create_task(work("second"))
    await asyncio.sleep(0)
    assert (some.taken("a"), some.waiting("a")) == (1, 2)
    some.leave("a")
    await first
    assert order == ["first"]
    some.leave("a")
    await second
    some.leave("a")
    assert (some.taken("a"), some.waiting("a")) == (0, 0)


async def test_a_full_queue_refuses_at_once() -> None:
    """More than may wait are sent away without waiting."""
    some = limits()
    await some.enter("a")
    waiting = [asyncio.create_task(some.enter("a")) for _ in range(2)]
    await asyncio.sleep(0)
    assert await overloaded(some) == "2 requests wait for a place already"
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert some.waiting("a") == 0


async def test_waiting_has_an_end() -> None:
    """Whoever gets no place in time is refused and leaves the queue."""
    some = limits(0.01)
    await some.enter("a")
    assert await overloaded(some) == "no place became free within 0.01 s"
    assert (some.taken("a"), some.waiting("a")) == (1, 0)


@pytest.mark.parametrize("later", [-0.001, 0.001])
async def test_a_place_that_comes_with_the_deadline_is_taken(later: float) -> None:
    """When the turn comes while the wait is being ended, the request goes on and the place is counted once."""
    some, loop = limits(0.01), asyncio.get_running_loop()
    await some.enter("a")
    waiting = asyncio.create_task(some.enter("a"))
    await asyncio.sleep(0)
    loop.call_later(0.01 + later, some.leave, "a")
    ends = loop.time() + 0.02
    while loop.time() < ends:  # the loop stands still, so that both come at once
        pass
    await waiting
    assert (some.taken("a"), some.waiting("a")) == (1, 0)
    some.leave("a")
    assert some.taken("a") == 0


@pytest.mark.parametrize("turn", ["before", "together", "after"])
async def test_leaving_while_waiting_loses_no_place(turn: str) -> None:
    """A client that goes away in the queue, or in the moment of its turn, takes no place along."""
    some = limits()
    await some.enter("a")
    gone, patient = asyncio.create_task(some.enter("a")), asyncio.create_task(some.enter("a"))
    await asyncio.sleep(0)
    if turn == "before":
        some.leave("a")
    gone.cancel()
    if turn == "together":
        some.leave("a")
    with pytest.raises(asyncio.CancelledError):
        await gone
    if turn == "after":
        some.leave("a")
    await patient
    assert (some.taken("a"), some.waiting("a")) == (1, 0)
    some.leave("a")
    assert some.taken("a") == 0


async def test_many_that_come_and_go_leave_nothing_behind() -> None:
    """After a thousand requests, some of them cancelled at any moment, every place is free again."""
    some = ServiceLimits(Limits(total=5, service=3, queue=10, queue_seconds=0.05))

    async def work(number: int) -> None:
        service = "ab"[number % 2]
        await some.enter(service)
        try:
            for _ in range(number % 7):
                await asyncio.sleep(0)
        finally:
            some.leave(service)

    tasks = []
    for number in range(1000):
        tasks.append(asyncio.create_task(work(number)))
        if number % 3 == 0:
            await asyncio.sleep(0)
        if number % 5 == 0:
            tasks[number // 2].cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} <= {type(None), UpstreamError, asyncio.CancelledError}
    assert [some.taken(name) + some.waiting(name) for name in "ab"] == [0, 0]


@pytest.mark.parametrize(
    ("files", "total", "service"),
    [
        (256, 96, 96),
        (1024, 480, 480),
        (4096, 2016, 1000),
        (65536, 4000, 1000),
        (10, 16, 16),
        (resource.RLIM_INFINITY, 4000, 1000),
    ],
)
def test_there_are_no_more_places_than_files(
    monkeypatch: pytest.MonkeyPatch, files: int, total: int, service: int
) -> None:
    """A process that may open few files forwards few requests at a time, instead of failing to accept."""
    monkeypatch.setattr(resource, "getrlimit", lambda which: (files, files))
    assert (default_limits().total, default_limits().service) == (total, service)
    assert ServiceLimits().limits == default_limits()


async def test_a_free_place_is_taken_without_waiting() -> None:
    """As long as there is one; after that only `enter` gets one."""
    limits = ServiceLimits(Limits(total=1, service=1))
    assert limits.take("orders")
    assert not limits.take("orders")
    limits.leave("orders")
    assert limits.taken("orders") == 0


async def test_a_request_that_lasts_makes_room() -> None:
    """Its place goes to whoever waits; when it ends, nothing is given back twice."""
    some = limits()
    await some.enter("a")
    waiting = asyncio.create_task(some.enter("a"))
    await asyncio.sleep(0)
    assert some.settle("a")
    await waiting
    assert some.taken("a") == 1
    some.end_lasting()
    some.leave("a")
    assert some.taken("a") == 0


async def test_too_many_requests_that_last_keep_their_places() -> None:
    """Half of all places may be theirs."""
    some = ServiceLimits(Limits(total=2, service=2))
    await some.enter("a")
    await some.enter("a")
    assert [some.settle("a"), some.settle("a")] == [True, False]
    assert some.taken("a") == 1
