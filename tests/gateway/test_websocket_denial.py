"""Denying a handshake with a response."""

import json
from typing import Any

import pytest

from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.gateway.websocket_denial import answer_handshake, deny
from tests.doubles.fake_websocket import SocketClient, socket_scope

COOKIES = [(b"set-cookie", b"a=1"), (b"vary", b"x"), (b"set-cookie", b"b=2"), (b"vary", b"y")]


async def denied(extensions: tuple[str, ...], status: int = 401, body: bytes = b"no") -> SocketClient:
    client = SocketClient()
    send: Any = client.send
    await deny(socket_scope(extensions=extensions), send, status, COOKIES, body)
    return client


async def test_the_response_is_sent_in_the_place_of_an_acceptance() -> None:
    """Status, fields and body arrive as they are, with the body's length."""
    client = await denied(("websocket.http.response",))
    assert client.messages == [
        {
            "type": "websocket.http.response.start",
            "status": 401,
            "headers": [*COOKIES, (b"content-length", b"2")],
        },
        {"type": "websocket.http.response.body", "body": b"no", "more_body": False},
    ]


async def test_a_server_without_the_extension_closes() -> None:
    """There is nothing to say but that the handshake is over; servers answer 403."""
    client = await denied(())
    assert client.messages == [{"type": "websocket.close", "code": 1013, "reason": ""}]


async def test_granian_gets_each_name_once() -> None:
    """Lists are joined; of cookies, which cannot be, the first stays."""
    client = await denied(("http.response.pathsend", "websocket.http.response"))
    expected = [(b"set-cookie", b"a=1"), (b"vary", b"x, y"), (b"content-length", b"2")]
    assert client.messages[0]["headers"] == expected


@pytest.mark.parametrize("status", [204, 304])
async def test_a_status_without_body_has_none(status: int) -> None:
    """Neither a body nor its length is sent where there cannot be one."""
    client = await denied(("websocket.http.response",), status)
    assert client.messages[0]["headers"] == COOKIES
    assert client.body == b""


async def test_our_own_answer_is_an_answer_like_any_other() -> None:
    """It has the form the client accepts, is not stored, and says how it failed and when to come back."""
    client = SocketClient()
    send: Any = client.send
    scope = socket_scope("/chat", headers=[(b"host", b"site.test"), (b"accept", b"application/json")])
    await answer_handshake(scope, send, 503, "No connection", "Later.", kind=ErrorKind.CONNECT_REFUSED)
    assert client.status == 503
    assert json.loads(client.body)["path"] == "/chat"
    assert client.header(b"cache-control") == [b"no-store"]
    assert client.header(b"proxy-status") == [b"hydra; error=connection_refused"]
    assert client.header(b"retry-after") == [b"3"]
    assert client.header(b"content-length") == [b"%d" % len(client.body)]
