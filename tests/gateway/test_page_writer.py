"""Sending the pieces of a page in order."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from hydra_asgi.core.html.fragment_tag import FragmentTag
from hydra_asgi.gateway.fragment_slot import FragmentSlot
from hydra_asgi.gateway.page_writer import END, PageWriter, body_message

Eventually = Callable[..., Awaitable[None]]
PUSH = {"type": "http.response.push", "path": "/", "headers": []}


def slot() -> FragmentSlot:
    return FragmentSlot(FragmentTag("s", "r"), b"<m:fragment>", depth=0, seen=0.0, last=9.0, settle=lambda _: None)


class Out:
    """A server's send, and whether a failure was told."""

    def __init__(self, error: Exception | None = None) -> None:
        self.sent: list[Any] = []
        self.failures = 0
        self.error = error

    async def send(self, message: Any) -> None:
        if self.error is not None:
            raise self.error
        self.sent.append(message)

    def failed(self) -> None:
        self.failures += 1

    def writer(self, group: asyncio.TaskGroup, max_held: int = 10) -> PageWriter:
        return PageWriter(self.send, max_held=max_held, group=group, on_failure=self.failed)


async def test_what_is_ready_leaves_in_one_message() -> None:
    """Neighbouring pieces are one message; other messages and the end keep their place."""
    out = Out()
    async with asyncio.TaskGroup() as group:
        writer = out.writer(group)
        await writer.write([b"a", b"b", PUSH, PUSH, b"c", END], flush=True)
        writer.stop()
    assert out.sent == [body_message([b"ab"], more=True), PUSH, PUSH, body_message([b"c"], more=False)]


async def test_big_pieces_leave_one_by_one() -> None:
    """Messages do not grow without bound."""
    out = Out()
    async with asyncio.TaskGroup() as group:
        writer = out.writer(group)
        await writer.write([b"a" * 70_000, b"b" * 70_000, END], flush=True)
        writer.stop()
    assert [len(message["body"]) for message in out.sent] == [70_000, 70_000, 0]


async def test_an_open_slot_holds_what_follows(eventually: Eventually) -> None:
    """Pieces behind an open slot wait; nested slots hold in their turn."""
    out = Out()
    outer, inner = slot(), slot()
    async with asyncio.TaskGroup() as group:
        writer = out.writer(group)
        await writer.write([b"a", outer, b"b"])
        assert out.sent == [body_message([b"a"], more=True)]
        outer.pieces = [b"1", inner, b"2"]
        writer.changed()
        await eventually(lambda: len(out.sent) == 2)
        assert out.sent[1] == body_message([b"1"], more=True)
        inner.pieces = []
        await writer.write([END], flush=True)
        writer.stop()
    assert out.sent[2] == body_message([b"2b"], more=False)


async def test_a_writer_waits_when_too_much_is_held() -> None:
    """Beyond the bound `write` returns only when the slot in front is filled."""
    out = Out()
    first = slot()
    async with asyncio.TaskGroup() as group:
        writer = out.writer(group, max_held=3)
        await writer.write([first, b"abc"])
        waiting = group.create_task(writer.write([b"d"]))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not waiting.done()
        first.pieces = [b"x"]
        writer.changed()
        await waiting
        writer.stop()
    assert b"".join(message["body"] for message in out.sent) == b"xabcd"


async def test_a_failure_is_raised_to_the_writer() -> None:
    """What `send` raises comes out of every later write, and is told once."""
    error = OSError("gone")
    out = Out(error)
    async with asyncio.TaskGroup() as group:
        writer = out.writer(group)
        for _ in range(2):
            with pytest.raises(OSError, match="gone") as raised:
                await writer.write([b"a"])
            assert raised.value is error
    assert out.failures == 1


async def test_a_stopped_writer_lets_go() -> None:
    """Whoever waits for a stopped writer goes on, and nothing more is sent."""
    out = Out()
    async with asyncio.TaskGroup() as group:
        writer = out.writer(group)
        waiting = group.create_task(writer.write([slot(), b"a"], flush=True))
        for _ in range(5):
            await asyncio.sleep(0)
        writer.stop()
        await waiting
        await writer.write([b"b"])
    assert out.sent == []
