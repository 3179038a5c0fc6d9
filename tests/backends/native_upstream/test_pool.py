"""Slots: every one is idle or leased, whatever happens in whatever order."""

import asyncio
import random
from typing import Any

import pytest

from hydra_asgi.backends.native_upstream.connection import Connection
from hydra_asgi.backends.native_upstream.pool import AddressPool
from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.core.instance import Address
from hydra_asgi.errors import UpstreamError
from tests.backends.native_upstream.transport import PretendTransport

Eventually = Any


def connected() -> Connection:
    connection = Connection(Address("http", "10.0.0.7", 8002))
    connection.connection_made(PretendTransport())
    return connection


def counts(pool: AddressPool) -> tuple[int, int, int]:
    return pool.open, pool.idle, pool.in_use


async def leased(pool: AddressPool) -> Connection:
    assert await pool.slot() is None
    connection = connected()
    pool.dialled(connection)
    return connection


async def waiting(coroutine: Any) -> asyncio.Task[Any]:
    task = asyncio.create_task(coroutine)
    await asyncio.sleep(0)
    assert not task.done()
    return task


async def test_a_connection_is_lent_again() -> None:
    """What was given back is lent next, the last one first."""
    pool = AddressPool(8)
    assert pool.take() is None
    first, second = await leased(pool), await leased(pool)
    assert counts(pool) == (2, 0, 2)
    pool.give_back(first)
    pool.give_back(second)
    assert counts(pool) == (2, 2, 0)
    assert pool.take() is second
    assert pool.take() is first
    assert counts(pool) == (2, 0, 2)


async def test_what_cannot_be_used_again_is_closed() -> None:
    """A connection in the middle of something is not lent again."""
    pool = AddressPool(8)
    connection = await leased(pool)
    connection.begin(head_only=False, may_upgrade=False)
    pool.give_back(connection)
    assert connection.is_closed
    assert counts(pool) == (0, 0, 0)


async def test_a_dial_that_failed_gives_its_slot_up() -> None:
    """Without a connection there is nothing to close."""
    pool = AddressPool(8)
    assert await pool.slot() is None
    pool.give_up(None)
    assert counts(pool) == (0, 0, 0)


async def test_idle_connections_end_by_themselves(eventually: Eventually) -> None:
    """What the instance closes, and what was idle too long, is forgotten."""
    pool = AddressPool(8, idle_seconds=0.01)
    closed, old = await leased(pool), await leased(pool)
    pool.give_back(closed)
    pool.give_back(old)
    closed.eof_received()
    assert counts(pool) == (1, 1, 0)
    await eventually(lambda: counts(pool) == (0, 0, 0))
    assert old.is_closed
    assert closed.is_closed


async def test_whoever_waits_is_served_in_order() -> None:
    """A connection that is given back goes to the first in the queue, a closed one is the right to dial another."""
    pool = AddressPool(2)
    first, second = await leased(pool), await leased(pool)
    early, late = await waiting(pool.slot()), await waiting(pool.slot())
    pool.give_back(first)
    assert await early is first
    pool.give_up(second)
    assert await late is None
    assert counts(pool) == (2, 0, 2)


async def test_a_fresh_connection_takes_the_place_of_an_idle_one() -> None:
    """Whoever cannot use an idle connection closes the oldest, if there is no other slot."""
    pool = AddressPool(2)
    old, new = await leased(pool), await leased(pool)
    pool.give_back(old)
    pool.give_back(new)
    assert await pool.slot(fresh=True) is None
    assert old.is_closed
    assert counts(pool) == (2, 1, 1)
    assert pool.take() is new
    fresh = await waiting(pool.slot(fresh=True))
    pool.give_back(new)
    assert await fresh is None
    assert new.is_closed
    assert counts(pool) == (2, 0, 2)


async def test_leaving_the_queue_takes_nothing_along() -> None:
    """A cancelled wait is skipped, also one whose turn came as it was cancelled."""
    pool = AddressPool(1)
    connection = await leased(pool)
    gone = await waiting(pool.slot())
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    served = await waiting(pool.slot())
    pool.give_back(connection)
    served.cancel()  # it has the connection, but has not run
    await asyncio.gather(served, return_exceptions=True)
    assert counts(pool) == (1, 1, 0)
    assert pool.take() is connection
    served = await waiting(pool.slot())
    pool.give_up(connection)
    served.cancel()
    await asyncio.gather(served, return_exceptions=True)
    assert counts(pool) == (0, 0, 0)


async def test_a_wait_cancelled_in_the_queue_is_not_served() -> None:
    """Between its cancellation and its next step a waiter is skipped, and its cancellation stays one."""
    pool = AddressPool(1)
    connection = await leased(pool)
    gone, patient = await waiting(pool.slot()), await waiting(pool.slot())
    gone.cancel()
    pool.give_back(connection)
    assert await patient is connection
    with pytest.raises(asyncio.CancelledError):
        await gone
    assert counts(pool) == (1, 0, 1)


async def test_closing_closes_everything() -> None:
    """Idle ones at once, leased ones under their holders, and nothing is kept afterwards."""
    pool = AddressPool(2)
    idle, busy = await leased(pool), await leased(pool)
    pool.give_back(idle)
    pool.close(UpstreamError(ErrorKind.CONNECT_REFUSED))
    assert idle.is_closed
    assert busy.is_closed
    assert counts(pool) == (1, 0, 1)
    pool.give_up(busy)
    late = await leased(pool)
    assert late.is_closed
    pool.give_back(late)
    assert counts(pool) == (0, 0, 0)


async def test_closing_ends_the_queue() -> None:
    """Whoever waits gets the error, also when it is cancelled in that moment."""
    pool = AddressPool(1)
    await leased(pool)
    waiter, cancelled = await waiting(pool.slot()), await waiting(pool.slot())
    pool.close(UpstreamError(ErrorKind.CONNECT_REFUSED))
    cancelled.cancel()
    with pytest.raises(UpstreamError):
        await waiter
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    assert counts(pool) == (1, 0, 1)


@pytest.mark.parametrize("seed", range(8))
async def test_slots_add_up_in_any_order(seed: int) -> None:
    """Whatever is lent, given back, given up, cancelled or closed by the instance: open is idle plus in use."""
    chance = random.Random(seed)
    pool = AddressPool(4)
    held: list[Connection] = []
    queue: list[asyncio.Task[Connection | None]] = []

    async def lease() -> None:
        connection = pool.take() or await pool.slot(fresh=chance.random() < 0.2)
        if connection is None:
            connection = connected()
            pool.dialled(connection)
        held.append(connection)

    for _ in range(400):
        match chance.randrange(6):
            case 0 | 1:
                queue.append(asyncio.create_task(lease()))
            case 2 if held:
                pool.give_back(held.pop(chance.randrange(len(held))))
            case 3 if held:
                pool.give_up(held.pop(chance.randrange(len(held))))
            case 4 if queue:
                queue.pop(chance.randrange(len(queue))).cancel()
            case 5 if held:
                chance.choice(held).eof_received()
        if chance.random() < 0.6:
            await asyncio.sleep(0)
        assert pool.open == pool.idle + pool.in_use
        assert pool.open <= 4
    while held or any(not task.done() for task in queue):
        while held:
            pool.give_up(held.pop())
        await asyncio.sleep(0)
    assert counts(pool) == (pool.idle, pool.idle, 0)
    pool.close(UpstreamError(ErrorKind.CONNECT_REFUSED))
    assert counts(pool) == (0, 0, 0)
