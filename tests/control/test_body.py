"""Reading the body of a control-plane call."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from hydra_asgi.control.body import read_body
from hydra_asgi.errors import RefusedError


def receiving(*messages: dict[str, Any]) -> Callable[[], Awaitable[Any]]:
    """A `receive` that hands out these messages, then waits for ever."""
    rest = list(messages)

    async def receive() -> Any:
        if not rest:
            await asyncio.Event().wait()
        return rest.pop(0)

    return receive


def piece(body: bytes, more: bool = True) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


async def test_pieces_are_joined() -> None:
    """The body is whole, whatever pieces it came in."""
    assert await read_body(receiving(piece(b"ab"), piece(b""), piece(b"c", more=False)), 3) == b"abc"


async def test_servers_may_leave_out_the_keys() -> None:
    """A message without body and more_body is an empty last piece."""
    assert await read_body(receiving({"type": "http.request"}), 3) == b""


async def test_too_large_stops_at_once() -> None:
    """Reading stops with the piece that passes the limit; what follows is never asked for."""
    with pytest.raises(RefusedError, match="3 bytes") as caught:
        await read_body(receiving(piece(b"ab"), piece(b"cd")), 3)
    assert caught.value.status == 413


async def test_hanging_up() -> None:
    """Half a body is never taken for a whole one."""
    with pytest.raises(RefusedError, match="hung up") as caught:
        await read_body(receiving(piece(b"ab"), {"type": "http.disconnect"}), 3)
    assert caught.value.status == 499


async def test_a_drip_is_given_up() -> None:
    """A body that does not end in time is refused."""
    with pytest.raises(RefusedError, match=r"0\.01 s") as caught:
        await read_body(receiving(piece(b"ab")), 3, seconds=0.01)
    assert caught.value.status == 408
