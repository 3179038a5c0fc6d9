"""Forwarded WebSockets with a real client, a real gateway server and a real service.

Where servers differ: hypercorn tells an app 1006 for every end of a client, so the service hears 1011; granian tells
no reason, sends no fields with an acceptance, and closes without a code for a message that it finds too large.
"""

import asyncio
import http
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus

from hydra_asgi.backends.websockets_upstream import WebsocketsUpstream
from hydra_asgi.core.instance import Address, ServiceInstance
from hydra_asgi.core.routing.balance import Group
from hydra_asgi.gateway.forwarding_terms import ForwardingTerms
from hydra_asgi.gateway.websocket_forward import WebSocketForwarder
from hydra_asgi.ports import Timeouts
from tests.doubles.websocket_service import Service, websocket_service
from tests.gateway.servers import SOCKET_SERVERS, serving

pytestmark = [pytest.mark.e2e, pytest.mark.parametrize("server", SOCKET_SERVERS)]

Eventually = Callable[..., Any]
AT_MOST = 6.0
"""The bar is 2 s, on a machine that has nothing else to do."""


class Forwarding:
    """A gateway that forwards everything to one instance."""

    def __init__(self, address: Address) -> None:
        logging.getLogger("hydra_asgi.access").setLevel(logging.CRITICAL)
        terms = ForwardingTerms(
            pseudonym="node",
            trusted=lambda peer: False,
            vouch=lambda token: None,
            timeouts=Timeouts(first_byte=5.0),
        )
        self.forward = WebSocketForwarder(WebsocketsUpstream(), terms)
        self.group = Group.build([ServiceInstance("chat", address, token=1234567890)])

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
        await self.forward(scope, receive, send, group=self.group, key="", target=target)


@asynccontextmanager
async def forwarded(server: str, handler: Any, **options: Any) -> AsyncIterator[tuple[str, Service]]:
    """Serve a handler and a gateway before it; gives the gateway's URL, and checks that nothing is left at the end."""
    async with (
        websocket_service(handler, **options) as service,
        serving(server, Forwarding(service.address)) as port,
    ):
        yield f"ws://127.0.0.1:{port}/socket", service
        async with asyncio.timeout(AT_MOST):
            while len(service.ends) < len(service.connections) or ours():  # noqa: ASYNC110 - loops set no event
                await asyncio.sleep(0.01)


def ours() -> list[asyncio.Task[Any]]:
    """The tasks that a forwarded WebSocket has."""
    names = ("WebSocketRelay", "ClientWatch")
    return [task for task in asyncio.all_tasks() if any(name in repr(task.get_coro()) for name in names)]


async def echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


async def ended(client: Any) -> tuple[int, str]:
    """How the client sees its end, within the bound."""
    async with asyncio.timeout(AT_MOST):
        try:
            while True:
                await client.recv()
        except ConnectionClosed:
            return client.close_code, client.close_reason


async def test_messages_cross(server: str) -> None:
    """Text, binary, empty and fragmented messages come back as they were, with the sub-protocol that was chosen."""
    targets = []

    async def handler(connection: ServerConnection) -> None:
        assert connection.request is not None
        targets.append(connection.request.path)
        await echo(connection)

    wanted: Any = {"subprotocols": ["a", "b"], "origin": "https://evil.test"}
    async with (
        forwarded(server, handler, subprotocols=["b"]) as (url, _),
        connect(url + "?x=%zz&&y", **wanted) as client,
    ):
        assert client.subprotocol == "b"
        for message in ("ä", b"\x00\xff", "", b"", "x" * 100_000):
            await client.send(message)
            assert await client.recv() == message
        assert len(ours()) == 2
        await client.send(["a", "b", "c"])
        assert await client.recv() == "abc"
    assert targets == ["/socket?x=%zz&&y"]


async def test_the_acceptance_brings_the_services_fields(server: str) -> None:
    """Cookies of the handshake reach the client, where its server sends fields at all."""

    def answer(connection: ServerConnection, request: Any, response: Any) -> None:
        response.headers["Set-Cookie"] = "a=1"
        response.headers["Set-Cookie"] = "b=2"

    async with forwarded(server, echo, process_response=answer) as (url, _), connect(url) as client:
        assert client.response is not None
        cookies = client.response.headers.get_all("set-cookie")
        assert cookies == ([] if server.startswith("granian") else ["a=1", "b=2"])
        assert len(client.response.headers.get_all("date")) <= 1


@pytest.mark.parametrize(("code", "reason", "seen"), [(4001, "bye", 4001), (1001, "", 1001), (None, "", 1000)])
async def test_the_client_hears_how_the_service_closed(server: str, code: int | None, reason: str, seen: int) -> None:
    """Code and reason cross; ASGI has no word for "no code" but its default."""

    async def handler(connection: ServerConnection) -> None:
        await connection.close(code, reason)  # type: ignore[arg-type]  # None is a frame without code

    async with forwarded(server, handler) as (url, _), connect(url) as client:
        assert await ended(client) == (seen, reason)


@pytest.mark.parametrize(("code", "reason"), [(4001, "bye"), (1000, "")])
async def test_the_service_hears_how_the_client_closed(
    server: str, code: int, reason: str, eventually: Eventually
) -> None:
    """Code and reason cross as far as the server tells them."""
    async with forwarded(server, echo) as (url, service):
        async with connect(url) as client:
            await client.close(code, reason)
        await eventually(lambda: service.ends, AT_MOST)
    told = {"hypercorn": (1011, ""), "granian-websockets": (code, "")}.get(server, (code, reason))
    assert service.ends == [told]


async def test_a_refusal_reaches_the_client(server: str) -> None:
    """Status, fields and body are those of the service."""

    def refuse(connection: ServerConnection, request: Any) -> Any:
        response = connection.respond(http.HTTPStatus.UNAUTHORIZED, "sign in")
        response.headers["Set-Cookie"] = "a=1"
        response.headers["Set-Cookie"] = "b=2"
        response.headers["WWW-Authenticate"] = "Basic"
        return response

    async with forwarded(server, echo, process_request=refuse) as (url, _):
        with pytest.raises(InvalidStatus) as caught:
            await connect(url)
        response = caught.value.response
        assert (response.status_code, bytes(response.body)) == (401, b"sign in")
        assert response.headers["www-authenticate"] == "Basic"
        cookies = response.headers.get_all("set-cookie")
        assert cookies == (["a=1"] if server.startswith("granian") else ["a=1", "b=2"])


async def test_nobody_there_is_unavailable(server: str) -> None:
    """The handshake is answered with 503 and when to come back."""
    async with serving(server, Forwarding(Address("http", "127.0.0.1", 1))) as port:
        with pytest.raises(InvalidStatus) as caught:
            await connect(f"ws://127.0.0.1:{port}/socket")
        assert caught.value.response.status_code == 503
        assert caught.value.response.headers["retry-after"] == "3"


@pytest.mark.parametrize("is_reset", [True, False])
async def test_a_service_that_dies_closes_the_client(server: str, is_reset: bool) -> None:
    """Within two seconds the client is closed with 1011."""
    async with forwarded(server, echo) as (url, service), connect(url) as client:
        await client.send("hello")
        assert await client.recv() == "hello"
        transport = service.connections[0].transport
        if is_reset:
            transport.get_extra_info("socket").setsockopt(1, 13, b"\x01\x00\x00\x00\x00\x00\x00\x00")  # SO_LINGER
        transport.abort()
        assert await ended(client) == (1011, "")


async def test_a_client_that_vanishes_closes_the_service(server: str, eventually: Eventually) -> None:
    """Within two seconds the service is closed, whatever the server calls it."""
    async with forwarded(server, echo) as (url, service):
        client = await connect(url)
        await client.send("hello")
        assert await client.recv() == "hello"
        client.transport.abort()
        await eventually(lambda: service.ends, AT_MOST)
        assert service.ends[0][0] in (1005, 1011)


async def test_a_gateway_that_stops_tells_both_sides(server: str, eventually: Eventually) -> None:
    """Client and service are closed with 1012 before the gateway's server goes down."""
    async with websocket_service(echo) as service:
        app = Forwarding(service.address)
        async with serving(server, app) as port:
            client = await connect(f"ws://127.0.0.1:{port}/socket", close_timeout=1)
            await client.send("hello")
            assert await client.recv() == "hello"
            app.forward.stop()
            assert await ended(client) == (1012, "")
            await eventually(lambda: service.ends == [(1012, "")], AT_MOST)


@pytest.mark.parametrize("sender", ["client", "service"])
async def test_a_message_too_large_closes_both(server: str, sender: str, eventually: Eventually) -> None:
    """More than 16 MiB in one message ends both sides, and both hear it as 1009 where the server tells it."""
    too_large = b"x" * (16 * 2**20 + 1)

    async def handler(connection: ServerConnection) -> None:
        if sender == "service":
            await connection.send(too_large)
        await connection.wait_closed()

    async with forwarded(server, handler, max_size=None) as (url, service):
        async with connect(url, compression=None, max_size=None, close_timeout=1) as client:
            if sender == "client":
                with suppress(ConnectionClosed):
                    await client.send(too_large)
            is_silent = sender == "client" and server.startswith("granian")
            assert (await ended(client))[0] == (1005 if is_silent else 1009)
        await eventually(lambda: service.ends, AT_MOST)
        if sender == "service":
            assert service.ends[0][0] == 1009


async def test_a_slow_client_makes_the_service_wait(server: str, eventually: Eventually) -> None:
    """While the client reads nothing, the service cannot send on; nothing is lost when it reads again."""
    sent = 0

    async def handler(connection: ServerConnection) -> None:
        nonlocal sent
        for _ in range(400):
            await connection.send(b"x" * 100_000)
            sent += 1

    async with forwarded(server, handler) as (url, service), connect(url, compression=None, max_queue=1) as client:
        await eventually(lambda: service.connections and service.connections[0].paused)
        assert sent < 300
        received = 0
        while received < 400:
            assert len(await client.recv()) == 100_000
            received += 1


async def test_clients_that_come_and_go_leave_nothing(server: str) -> None:
    """Clients that abort, close or stay until the end leave no connection to the service and no task."""

    async def talkative(connection: ServerConnection) -> None:
        while True:
            await connection.send(b"x" * 1000)
            await asyncio.sleep(0)

    async def visit(url: str, number: int) -> None:
        client = await connect(url, compression=None)
        await client.send("hello")
        await client.recv()
        if number % 2:
            client.transport.abort()
        else:
            await client.close()

    async with forwarded(server, talkative) as (url, service):
        await asyncio.gather(*(visit(url, number) for number in range(20)))
    assert len(service.ends) == 20
