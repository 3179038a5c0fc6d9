"""The mounted app serves what was to be forwarded."""

from typing import Any

import pytest

from hydra_asgi.core.instance import Address, ServiceInstance
from hydra_asgi.gateway.observation import Progress
from hydra_asgi.gateway.own_instance import OwnInstance, serve_here, serve_socket_here
from tests.exchange import exchange

OWN = ServiceInstance("orders", Address("http", "127.0.0.1", 80), token=1000000001)


def progress() -> Progress:
    return Progress("orders", "GET", 0.0)


async def test_what_the_app_answers_is_written_down() -> None:
    """Status and bytes are those of the app, and the record says that nobody else was asked."""
    told = progress()

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 201, "headers": []})
        await send({"type": "http.response.body", "body": b"four"})

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await serve_here(OwnInstance(OWN, serve), scope, receive, send, told)

    assert (await exchange(app)).body == b"four"
    assert (told.status, told.response_bytes, told.is_local) == (201, 4, True)


@pytest.mark.parametrize(("said", "status"), [([], 500), ([{"type": "http.response.start", "status": 200}], 200)])
async def test_an_app_that_fails_is_the_servers_to_answer(said: list[Any], status: int) -> None:
    """Its exception passes; the record has what the client was told, or will be."""
    told = progress()

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        for message in said:
            await send(message)
        raise LookupError("of the app")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await serve_here(OwnInstance(OWN, serve), scope, receive, send, told)

    with pytest.raises(LookupError, match="of the app"):
        await exchange(app)
    assert told.status == status


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({"type": "websocket.accept"}, 101),
        ({"type": "websocket.close", "code": 1000}, 403),
        ({"type": "websocket.http.response.start", "status": 401}, 401),
        ({"type": "websocket.send", "text": "too early"}, 0),
    ],
)
async def test_a_socket_is_served_from_its_start(said: dict[str, Any], status: int) -> None:
    """The app sees the wish to connect that was read already, and what it says to that is written down."""
    told, received, sent = progress(), [], []

    async def receive() -> Any:
        return {"type": "websocket.disconnect", "code": 1000}

    async def send(message: Any) -> None:
        sent.append(message)

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        received.extend([await receive(), await receive()])
        await send(said)
        await send({"type": "websocket.close", "code": 1000} if status else said)

    await serve_socket_here(OwnInstance(OWN, serve), {}, receive, send, told)
    assert [message["type"] for message in received] == ["websocket.connect", "websocket.disconnect"]
    assert sent[0] == said
    assert (told.status, told.is_local) == (status, True)
