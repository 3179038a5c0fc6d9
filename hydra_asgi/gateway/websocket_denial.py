"""Denies the handshake of a client with a response of its own, where its server can send one.

Servers differ. All of uvicorn, hypercorn and granian know the extension `websocket.http.response`; without it a
handshake can only be closed, which they answer with 403. Granian (2.8) takes the body in one message only, and its
worker panics when a response has two fields of one name.
"""

from collections.abc import Mapping
from typing import Any, cast

from asgiref.typing import ASGISendCallable, ASGISendEvent

from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.core.headers.header_fields import Fields
from hydra_asgi.gateway.answers import answer

__all__ = ["answer_handshake", "deny"]

_EXTENSION = "websocket.http.response"
_ONLY_GRANIAN_HAS = "http.response.pathsend"
_TRY_AGAIN_LATER = 1013
_BODILESS = frozenset({204, 304})


async def deny(
    scope: Mapping[str, Any], send: ASGISendCallable, status: int, headers: Fields, body: bytes = b""
) -> None:
    """Send a response in the place of the handshake's acceptance.

    Args:
        scope: of the handshake, which was not answered yet.
        send: its channel.
        status: 200 to 599.
        headers: with lower-case names and without a length.
        body: the whole of it.
    """
    extensions = scope.get("extensions") or {}
    if _EXTENSION not in extensions:
        await send({"type": "websocket.close", "code": _TRY_AGAIN_LATER, "reason": ""})
        return
    if _ONLY_GRANIAN_HAS in extensions:
        headers = _one_field_per_name(headers)
    if status in _BODILESS:
        body = b""
    else:
        headers = [*headers, (b"content-length", b"%d" % len(body))]
    # Without a pause between the two: one of uvicorn's implementations sends what it has when it is woken.
    start = {"type": f"{_EXTENSION}.start", "status": status, "headers": headers}
    await send(cast("ASGISendEvent", start))
    await send(cast("ASGISendEvent", {"type": f"{_EXTENSION}.body", "body": body, "more_body": False}))


async def answer_handshake(
    scope: Mapping[str, Any],
    send: ASGISendCallable,
    status: int,
    title: str,
    detail: str,
    *,
    kind: ErrorKind | None = None,
) -> None:
    """Deny with an answer of our own; the arguments are those of `answers.answer`."""
    sent: list[Any] = []

    async def keep(message: Any) -> None:
        sent.append(message)

    await answer(keep, status, title, detail, scope={**scope, "method": "GET"}, kind=kind)
    start, body = sent
    headers = [pair for pair in start["headers"] if pair[0] != b"content-length"]
    await deny(scope, send, status, headers, body["body"])


def _one_field_per_name(headers: Fields) -> Fields:
    """Values of one name as one list (RFC 9110 section 5.3); of cookies, which are no list, the first."""
    joined: dict[bytes, bytes] = {}
    for name, value in headers:
        if name not in joined:
            joined[name] = value
        elif name != b"set-cookie":
            joined[name] += b", " + value
    return list(joined.items())
