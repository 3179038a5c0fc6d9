"""Answers of the control plane: small, JSON, never cached, never sniffed, never in a frame."""

import json
from collections.abc import Iterable

from asgiref.typing import ASGISendCallable

from hydra_asgi.errors import RefusedError

__all__ = ["base_headers", "reply", "reply_empty", "reply_json", "reply_refusal"]

_ALWAYS = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))


def base_headers(content_type: bytes) -> list[tuple[bytes, bytes]]:
    """The fields every answer carries; for answers that stream and so have no length."""
    return [(b"content-type", content_type), *_ALWAYS]


async def reply(
    send: ASGISendCallable,
    status: int,
    body: bytes,
    *,
    content_type: bytes = b"application/json",
    headers: Iterable[tuple[bytes, bytes]] = (),
) -> None:
    """Send a whole answer."""
    fields = [*base_headers(content_type), (b"content-length", b"%d" % len(body)), *headers]
    await send({"type": "http.response.start", "status": status, "headers": fields, "trailers": False})
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def reply_json(
    send: ASGISendCallable, status: int, value: object, *, headers: Iterable[tuple[bytes, bytes]] = ()
) -> None:
    """Send a value as JSON."""
    await reply(send, status, json.dumps(value, separators=(",", ":")).encode(), headers=headers)


async def reply_empty(send: ASGISendCallable, status: int, *, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
    """Send a status alone."""
    fields = [*_ALWAYS, (b"content-length", b"0"), *headers]
    await send({"type": "http.response.start", "status": status, "headers": fields, "trailers": False})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def reply_refusal(
    send: ASGISendCallable, refusal: RefusedError, *, now: float, headers: Iterable[tuple[bytes, bytes]] = ()
) -> None:
    """Send a refusal: `{"status", "reason", "time"}`.

    Args:
        send: ASGI's.
        refusal: why.
        now: unix seconds. Sent with every refusal (also as `Hydra-Time`), so that a caller whose clock is off can
            sign again with the difference.
        headers: further fields.
    """
    fields = [(b"hydra-time", b"%d" % int(now)), *headers]
    if refusal.status in {429, 503}:
        fields.append((b"retry-after", b"1"))
    value = {"status": refusal.status, "reason": refusal.reason, "time": int(now)}
    await reply_json(send, refusal.status, value, headers=fields)
