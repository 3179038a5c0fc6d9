"""What leaves on a connection: in order, in few writes, and nothing after its end."""

import asyncio

from hydra_asgi.backends.native_upstream.outbox import CORK_BYTES, TOGETHER_BYTES, Outbox
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
    """What is too large to gather leaves at once: together with what was gathered, or behind it if it is huge."""
    outbox, transport = opened()
    outbox.gather(b"a")
    outbox.gather(b"x" * CORK_BYTES)
    outbox.gather(b"b")
    large, huge = b"y" * (CORK_BYTES + 1), b"z" * (TOGETHER_BYTES + 1)
    outbox.write(large)
    assert transport.lines[1] is large
    outbox.gather(b"c")
    outbox.write(huge)
    assert transport.writes == [b"a" + b"x" * CORK_BYTES, b"b" + large, b"c", huge]
    assert transport.writes[-1] is huge


async def test_a_head_leaves_with_what_follows() -> None:
    """Nothing else has to be awaited for that, and no turn of the loop."""
    outbox, transport = opened()
    for body in (b"", b"body"):
        outbox.precede(b"head")
        outbox.write(body)
    await asyncio.sleep(0)
    assert transport.writes == [b"head", b"headbody"]


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
