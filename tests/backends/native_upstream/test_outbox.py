"""What leaves on a connection: in order, in few writes, and nothing after its end."""

import asyncio

from hydra_asgi.backends.native_upstream.outbox import CORK_BYTES, Outbox
from tests.backends.native_upstream.transport import PretendTransport


def opened() -> tuple[Outbox, PretendTransport]:
    outbox, transport = Outbox(asyncio.get_running_loop()), PretendTransport()
    outbox.open(transport)
    return outbox, transport


async def test_what_is_gathered_leaves_in_one_write() -> None:
    """Small pieces of one turn of the loop share a system call."""
    outbox, transport = opened()
    outbox.gather(b"a")
    outbox.gather(b"b")
    assert transport.writes == []
    await asyncio.sleep(0)
    outbox.gather(b"c")
    outbox.write(b"d")
    outbox.write(b"e")
    await asyncio.sleep(0)
    assert transport.writes == [b"ab", b"cd", b"e"]


async def test_large_pieces_are_not_copied() -> None:
    """What is too large to gather leaves at once, behind what was gathered."""
    outbox, transport = opened()
    outbox.gather(b"a")
    outbox.gather(b"x" * CORK_BYTES)
    outbox.gather(b"b")
    outbox.write(b"y" * (CORK_BYTES + 1))
    assert transport.writes == [b"a" + b"x" * CORK_BYTES, b"b", b"y" * (CORK_BYTES + 1)]


async def test_what_is_not_out_is_counted() -> None:
    """Gathered bytes and those that the system has not taken."""
    outbox, transport = opened()
    assert outbox.unsent == 0
    outbox.gather(b"abc")
    transport.unsent = 4
    assert outbox.unsent == 7


async def test_nothing_is_written_to_a_closed_connection() -> None:
    """Neither before there is one nor after."""
    never = Outbox(asyncio.get_running_loop())
    never.write(b"x")
    assert never.unsent == 0
    outbox, transport = opened()
    outbox.gather(b"x")
    outbox.close()
    outbox.write(b"y")
    await asyncio.sleep(0)
    assert transport.writes == []
