"""A service that answers wrongly, and how it is asked."""

import asyncio
from dataclasses import dataclass, field

from tests.e2e.attacks.attack import Attack
from tests.e2e.hostile import Message, responses, say

__all__ = ["CUT_ANSWERS", "EXTRA_ANSWERS", "NO_ANSWERS", "Talker", "answered", "ask_for", "check_unspoilt"]

_HELLO = b"5\r\nhello\r\n0\r\n\r\n"
NO_ANSWERS = {
    b"both": b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n" + _HELLO,
    b"two": b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!",
    b"letters": b"HTTP/1.1 200 OK\r\ncontent-length: five\r\n\r\nhello",
    b"half": b"HTTP/1.1 200 OK\r\ncontent-le",
    b"nothing": b"",
    b"garbage": b"\x16\x03\x01\x00\xff" * 20,
    b"status": b"HTTP/1.1 999999 OK\r\ncontent-length: 0\r\n\r\n",
    b"low": b"HTTP/1.1 42 OK\r\ncontent-length: 0\r\n\r\n",
    b"early": b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nhello",
    b"coding": b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n" + _HELLO,
    # splitting
    b"nul": b"HTTP/1.1 200 OK\r\nx-a: a\x00b\r\ncontent-length: 5\r\n\r\nhello",
    b"cr": b"HTTP/1.1 200 OK\r\nx-a: a\rset-cookie: evil=1\r\ncontent-length: 5\r\n\r\nhello",
    b"name": b"HTTP/1.1 200 OK\r\nx a: 1\r\ncontent-length: 5\r\n\r\nhello",
    b"del": b"HTTP/1.1 200 OK\r\nx-a: a\x7fb\r\ncontent-length: 5\r\n\r\nhello",
    # too much
    b"wide": b"HTTP/1.1 200 OK\r\nx-a: " + b"a" * 1_048_576 + b"\r\ncontent-length: 5\r\n\r\nhello",
    b"many": b"HTTP/1.1 200 OK\r\n" + b"x-a: 1\r\n" * 10_000 + b"content-length: 5\r\n\r\nhello",
}
"""Heads that are no answer."""

CUT_ANSWERS = {
    b"chunk": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\nhello\r\n0\r\n\r\n",
    b"minus": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n-1\r\nhello\r\n0\r\n\r\n",
    b"huge": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\nfffffffffffffffff\r\nhello",
    b"short": b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nhello",
    b"open": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
}
"""Bodies that are not whole; the connection is closed behind them."""

POISON = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison"
EXTRA_ANSWERS = {
    b"extra": b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello" + POISON,
    b"extra-chunked": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + _HELLO + POISON,
    b"extra-head": b"HTTP/1.1 204 No Content\r\n\r\n" + POISON,
    b"extra-304": b"HTTP/1.1 304 Not Modified\r\ncontent-length: 6\r\n\r\npoison" + POISON,
    b"bytes": b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello\r\n\r\n\x00",
}
"""More than an answer; the connection stays open behind it."""


@dataclass
class Talker:
    """A service that answers what the last segment of the target names, and notes what comes on a spoilt connection."""

    reused: list[bytes] = field(default_factory=list)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        spoilt = False
        while True:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, ConnectionError):
                return
            if spoilt:
                self.reused.append(head)
            target = head.split(b" ")[1]
            name = target.rpartition(b"/")[2]
            if name == b"fine":
                writer.write(b"HTTP/1.1 200 OK\r\nx-saw: %b\r\ncontent-length: 4\r\n\r\nfine" % target)
                continue
            spoilt = True
            if name == b"informed":
                await self._informs(writer)
                return
            if name == b"trailers":
                await self._trails(writer)
                return
            writer.write(NO_ANSWERS.get(name) or CUT_ANSWERS.get(name) or EXTRA_ANSWERS.get(name) or b"")
            if name in CUT_ANSWERS or name in (b"half", b"nothing"):
                writer.close()
                return

    @staticmethod
    async def _informs(writer: asyncio.StreamWriter) -> None:
        for _ in range(50):
            writer.write(b"HTTP/1.1 102 Processing\r\n\r\n" * 100)
            await writer.drain()
        await asyncio.Event().wait()

    @staticmethod
    async def _trails(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n")
        for _ in range(5_000):
            writer.write(b"x-a: 1\r\n" * 100)
            await writer.drain()


def asked(attack: Attack, name: bytes) -> bytes:
    return b"/%b/%b" % (attack.name.encode(), name)


async def ask_for(attack: Attack, *names: bytes, seconds: float = 5.0) -> list[Message]:
    """Ask for these on one connection, one after another."""
    requests = b"".join(b"GET %b HTTP/1.1\r\nhost: site.test\r\n\r\n" % asked(attack, name) for name in names)
    return responses(await say(attack.port, requests, seconds=seconds, until=len(names)))


async def check_unspoilt(attack: Attack, talker: Talker, received: list[Message]) -> None:
    """The second request of the connection, and requests after it, got the answers they asked for."""
    assert len(received) <= 2
    for answer in received[1:]:
        assert answer.body == b"fine" or answer.status >= 500, received
    for _ in range(2):
        (fine,) = await ask_for(attack, b"fine")
        assert fine.body == b"fine"
    assert not talker.reused, talker.reused


async def answered(attack: Attack, talker: Talker, name: bytes) -> list[Message]:
    received = await ask_for(attack, name, b"fine")
    await check_unspoilt(attack, talker, received)
    return received
