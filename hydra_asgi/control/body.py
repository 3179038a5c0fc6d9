"""Read the body of a control-plane call: whole, bounded in bytes and in time."""

import asyncio

from asgiref.typing import ASGIReceiveCallable

from hydra_asgi.errors import RefusedError

__all__ = ["BODY_LIMIT", "BODY_SECONDS", "read_body"]

BODY_LIMIT = 1_048_576
"""A registration of 10,000 resources is about 400 KiB; more than 1 MiB is nothing we know."""

BODY_SECONDS = 5.0
"""Peers of ours give up after 2 s; whoever drips bytes for longer holds memory for nothing."""


async def read_body(receive: ASGIReceiveCallable, limit: int = BODY_LIMIT, *, seconds: float = BODY_SECONDS) -> bytes:
    """Read a request body to its end.

    Args:
        receive: ASGI's.
        limit: the most bytes that are taken; reading stops at once beyond it.
        seconds: how long the whole body may take.

    Raises:
        RefusedError: 413 too large, 408 too slow, 499 the caller hung up (nobody reads that answer any more).
    """
    try:
        async with asyncio.timeout(seconds):
            return await _read(receive, limit)
    except TimeoutError:
        raise RefusedError(408, f"the body was not complete after {seconds:g} s") from None


async def _read(receive: ASGIReceiveCallable, limit: int) -> bytes:
    pieces: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise RefusedError(499, "the caller hung up before the end of the body")
        # Servers may leave out both keys (ASGI: optional with defaults), whatever the type says.
        piece = message.get("body", b"")
        size += len(piece)
        if size > limit:
            raise RefusedError(413, f"the body is larger than {limit} bytes")
        pieces.append(piece)
        if not message.get("more_body", False):
            return b"".join(pieces)
