"""Forwarding WebSockets, with instances that are prepared."""

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from hydra_asgi.core.close_codes import Close
from hydra_asgi.core.error_kind import OUTCOMES, ErrorKind
from hydra_asgi.core.instance import Address, Dialect, ServiceInstance
from hydra_asgi.core.routing.balance import Group
from hydra_asgi.errors import UpstreamError
from hydra_asgi.gateway.crossing import Crossing
from hydra_asgi.gateway.forwarding_terms import ForwardingTerms
from hydra_asgi.gateway.observation import ForwardRecord
from hydra_asgi.gateway.own_instance import OwnInstance
from hydra_asgi.gateway.websocket_forward import WebSocketForwarder
from hydra_asgi.websocket_ports import WebSocketRefusal, WebSocketRequest
from tests.doubles.fake_websocket import FakeConnection, FakeWebSocketUpstream, SocketClient, socket_scope

Eventually = Callable[..., Any]
HOST = (b"host", b"site.test")


def instance(number: int = 1, **changes: Any) -> ServiceInstance:
    address = changes.pop("address", Address("http", f"10.0.0.{number}", 8002, base="/base"))
    return ServiceInstance("chat", address, token=1000000000 + number, order=number, **changes)


def failing(kind: ErrorKind) -> UpstreamError:
    return UpstreamError(kind, "10.0.0.1:8002: secret detail")


class Gateway:
    """A forwarder over prepared answers, and what it did."""

    def __init__(self, *answers: Any, instances: Sequence[ServiceInstance] | None = None, **options: Any) -> None:
        self.upstream = FakeWebSocketUpstream(*answers)
        self.vouched: list[int] = []
        self.records: list[ForwardRecord] = []
        options.setdefault("trusted", lambda peer: False)
        limit = {"max_message": options.pop("max_message")} if "max_message" in options else {}
        terms = ForwardingTerms(
            pseudonym="node-7f",
            vouch=self.vouched.append,
            on_record=self.records.append,
            log=logging.getLogger("hydra_asgi.forward.test"),
            **options,
        )
        self.forward = WebSocketForwarder(self.upstream, terms, **limit)
        group = Group.build((instance(1), instance(2)) if instances is None else instances)
        self.options: dict[str, Any] = {"group": group, "key": "", "target": b"/socket"}

    async def __call__(self, client: SocketClient, scope: Any = None) -> None:
        receive: Any = client.receive
        send: Any = client.send
        await self.forward(scope or socket_scope(), receive, send, **self.options)

    @property
    def request(self) -> WebSocketRequest:
        return self.upstream.requests[-1]

    @property
    def asked(self) -> list[str]:
        return [request.address.host for request in self.upstream.requests]

    def header(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.request.headers if key == name]


async def test_the_service_answers_before_the_client_is_accepted(eventually: Eventually) -> None:
    """While the service has not answered, the client is not; then it hears the service's choice and fields."""
    answer = asyncio.Event()
    connection = FakeConnection(
        "hello", subprotocol="b", headers=[(b"Set-Cookie", b"a=1"), (b"Set-Cookie", b"b=2"), (b"Hydra-Secret", b"x")]
    )

    async def decide(request: WebSocketRequest) -> FakeConnection:
        await answer.wait()
        return connection

    gateway, client = Gateway(decide), SocketClient()
    task = asyncio.create_task(gateway(client))
    await eventually(lambda: gateway.asked)
    assert client.messages == []
    answer.set()
    await eventually(lambda: client.heard)
    assert client.messages == [
        {
            "type": "websocket.accept",
            "subprotocol": "b",
            "headers": [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2"), (b"via", b"1.1 node-7f")],
        },
        {"type": "websocket.send", "text": "hello", "bytes": None},
    ]
    client.leave(4001, "bye")
    await task
    assert connection.closes == [Close(4001, "bye")]
    assert gateway.upstream.open_connections == 0
    assert len(asyncio.all_tasks()) == 1


async def test_the_handshake_says_who_asks_and_who_is_asked() -> None:
    """Origin, sub-protocols and cookies cross untouched; host, client, node and token are told; forgeries are not."""
    for dialect, keys in ((Dialect.HYDRA, [b"k1"]), (Dialect.MEDUSA, [])):
        gateway = Gateway(FakeConnection(Close(1000)), instances=[instance(dialect=dialect)])
        gateway.options["key"] = "k1"
        gateway.options["target"] = b"/socket?x=%zz"
        crossing = [(b"origin", b"https://evil.test"), (b"sec-websocket-protocol", b"a, b"), (b"cookie", b"a=1")]
        forged = [(b"hydra-path", b"evil"), (b"x-forwarded-for", b"1.2.3.4"), (b"sec-websocket-extensions", b"x")]
        upgrade = [(b"connection", b"Upgrade, X-Hop"), (b"upgrade", b"websocket"), (b"x-hop", b"1")]
        await gateway(SocketClient(), socket_scope(headers=[HOST, *crossing, *forged, *upgrade], scheme="wss"))
        assert gateway.request.target == b"/base/socket?x=%zz"
        for name, value in crossing:
            assert gateway.header(name) == [value]
        assert gateway.header(b"host") == [b"site.test"]
        assert gateway.header(b"x-forwarded-for") == [b"127.0.0.1"]
        assert gateway.header(b"x-forwarded-proto") == [b"https"]
        assert gateway.header(b"via") == [b"1.1 node-7f"]
        assert gateway.header(b"hydra-path") == [b"1000000001"]
        assert gateway.header(b"hydra-key") == keys
        for name in (b"sec-websocket-extensions", b"connection", b"upgrade", b"x-hop"):
            assert gateway.header(name) == []


async def test_what_is_special_to_the_service() -> None:
    """It gets the cookies that it may see, and a proof that a gateway of its site asks."""
    crossing = Crossing(cookies={"chat": {"a"}}, secret=lambda service: "the secret of this site", gateway="node-7f")
    gateway = Gateway(FakeConnection(Close(1000)), crossing=crossing)
    await gateway(SocketClient(), socket_scope(headers=[HOST, (b"cookie", b"a=1; b=2")]))
    assert gateway.header(b"cookie") == [b"a=1"]
    assert len(gateway.header(b"hydra-gateway")) == 1


@pytest.mark.parametrize(("client", "told"), [(("10.9.9.9", 1), [b"1.2.3.4", b"10.9.9.9"]), (None, [b"unknown"])])
async def test_only_a_trusted_peer_may_speak_for_its_client(client: Any, told: list[bytes]) -> None:
    """Whether the peer is trusted is asked by its address; a peer without one is not."""
    gateway = Gateway(FakeConnection(Close(1000)), trusted=lambda peer: peer == "10.9.9.9")
    scope = socket_scope(headers=[(b"x-forwarded-for", b"1.2.3.4")], client=client)
    await gateway(SocketClient(), scope)
    assert gateway.header(b"x-forwarded-for") == told
    assert gateway.header(b"host") == [b"127.0.0.1:8000"]


async def test_a_refusal_of_the_service_is_what_the_client_hears() -> None:
    """Status, fields and body are passed on, and nobody else is asked, whatever the status."""
    for status in (200, 302, 401, 404, 503):
        headers = [(b"WWW-Authenticate", b"Basic"), (b"Content-Length", b"99"), (b"Connection", b"close")]
        gateway, client = Gateway(WebSocketRefusal(status, headers, b"no")), SocketClient()
        await gateway(client)
        assert (client.status, client.body) == (status, b"no")
        assert client.messages[0]["headers"] == [
            (b"www-authenticate", b"Basic"),
            (b"via", b"1.1 node-7f"),
            (b"content-length", b"2"),
        ]
        assert len(gateway.asked) == 1
        assert [(record.status, record.kind) for record in gateway.records] == [(status, None)]


@pytest.mark.parametrize("kind", [ErrorKind.CONNECT_REFUSED, ErrorKind.CONNECT_TIMEOUT, ErrorKind.TLS, ErrorKind.RESET])
async def test_an_instance_that_cannot_be_reached_is_replaced(kind: ErrorKind) -> None:
    """Before there is an answer, the next instance is asked."""
    gateway, client = Gateway(failing(kind), FakeConnection("hello", Close(1000))), SocketClient()
    await gateway(client)
    assert sorted(gateway.asked) == ["10.0.0.1", "10.0.0.2"]
    assert client.heard == ["hello"]


@pytest.mark.parametrize("kind", [ErrorKind.CONNECT_REFUSED, ErrorKind.PROTOCOL, ErrorKind.FIRST_BYTE_TIMEOUT])
async def test_a_failure_is_an_answer_of_ours(kind: ErrorKind) -> None:
    """The client hears a status and how it failed, and nothing about addresses."""
    gateway, client = Gateway(failing(kind)), SocketClient()
    await gateway(client)
    assert client.status == OUTCOMES[kind].status
    assert client.header(b"proxy-status") == [b"hydra; error=" + OUTCOMES[kind].proxy_status.encode()]
    assert b"10.0.0" not in client.body
    assert b"secret" not in client.body
    assert gateway.records[0].kind is kind


async def test_nobody_to_ask_is_said_without_a_service() -> None:
    """A group of nothing is unavailable."""
    gateway, client = Gateway(FakeConnection(), instances=[]), SocketClient()
    await gateway(client)
    assert client.status == 503
    assert b"This page cannot be connected with" in client.body


async def test_an_inactive_instance_that_answers_stays_listed() -> None:
    """Its answer vouches for it."""
    gateway = Gateway(FakeConnection(Close(1000)), instances=[instance(active=False)])
    await gateway(SocketClient())
    assert gateway.vouched == [1000000001]


@pytest.mark.parametrize("fields", [[(b"via", b"1.1 other, 1.1 Node-7F")], [(b"max-forwards", b"0")]])
async def test_going_in_circles_ends(fields: list[tuple[bytes, bytes]]) -> None:
    """A handshake that passed this node before, or may pass no more, goes no further."""
    gateway, client = Gateway(FakeConnection()), SocketClient()
    await gateway(client, socket_scope(headers=[HOST, *fields]))
    assert client.status == 508
    assert gateway.asked == []


async def test_what_is_no_target_reaches_no_instance() -> None:
    """Line breaks and raw bytes are refused before anybody is asked."""
    gateway, client = Gateway(FakeConnection()), SocketClient()
    gateway.options["target"] = b"/socket?a\r\nx: y"
    await gateway(client)
    assert client.status == 400
    assert gateway.asked == []


async def test_a_head_that_is_out_of_bounds_is_no_answer() -> None:
    """Fields that no client could take make the answer unusable, and the connection is cut off."""
    gateway = Gateway(FakeConnection(headers=[(b"x-a", b"x" * 70000)]))
    client = SocketClient()
    await gateway(client)
    assert client.status == 502
    assert gateway.upstream.open_connections == 0


async def test_a_channel_that_begins_otherwise_is_left_alone() -> None:
    """A client that is gone before its wish to connect was read gets nothing."""
    gateway, client = Gateway(FakeConnection()), SocketClient()
    await client.receive()
    client.leave(1006)
    await gateway(client)
    assert (client.messages, gateway.asked) == ([], [])


async def test_a_client_that_leaves_during_the_handshake_ends_it(eventually: Eventually) -> None:
    """The instance is not kept waiting for a client that is gone."""
    waiting = asyncio.Event()

    async def never(request: WebSocketRequest) -> FakeConnection:
        waiting.set()
        await asyncio.Event().wait()
        return FakeConnection()

    gateway, client = Gateway(never), SocketClient()
    task = asyncio.create_task(gateway(client))
    await waiting.wait()
    client.leave(1006)
    await task
    assert client.messages == []
    assert gateway.records[0].kind is ErrorKind.CLIENT_GONE
    assert len(asyncio.all_tasks()) == 1


async def test_a_client_that_is_gone_when_accepted_ends_it() -> None:
    """The instance's connection is cut off."""
    gateway, client = Gateway(FakeConnection()), SocketClient()
    client.is_gone = True
    await gateway(client)
    assert gateway.upstream.open_connections == 0
    assert gateway.records[0].kind is ErrorKind.CLIENT_GONE


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({"type": "websocket.accept"}, 101),
        ({"type": "websocket.close", "code": 1000}, 403),
        ({"type": "websocket.http.response.start", "status": 401, "headers": []}, 401),
    ],
)
async def test_the_own_instance_serves_itself_when_it_is_its_turn(said: dict[str, Any], status: int) -> None:
    """After others failed, the mounted app gets the client's channel from its start."""
    own = instance(2)
    heard: list[str] = []
    serving = asyncio.Event()

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        heard.append((await receive())["type"])
        await send(said)
        await send({"type": "websocket.close", "code": 1000, "reason": ""})
        serving.set()
        heard.append((await receive())["type"])

    gateway, client = Gateway(failing(ErrorKind.CONNECT_REFUSED), instances=[instance(1), own]), SocketClient()
    order = gateway.options["group"].order
    gateway.options["key"] = next(key for key in map(str, range(100)) if next(order(key)).token == 1000000001)
    gateway.options["local"] = OwnInstance(own, serve)
    task = asyncio.create_task(gateway(client))
    await serving.wait()
    client.leave()
    await task
    assert heard == ["websocket.connect", "websocket.disconnect"]
    assert gateway.asked == ["10.0.0.1"]
    assert client.messages[0] == said
    assert (gateway.records[0].is_local, gateway.records[0].status) == (True, status)


async def test_stopping_ends_every_forwarded_websocket(eventually: Eventually) -> None:
    """All that are open are closed with 1012, and those that ended before are forgotten."""
    gateway = Gateway(lambda request: FakeConnection("hello"))
    clients = [SocketClient() for _ in range(3)]
    tasks = [asyncio.create_task(gateway(client)) for client in clients]
    await eventually(lambda: all(client.heard for client in clients))
    clients[0].leave()
    await tasks[0]
    gateway.forward.stop()
    await asyncio.gather(*tasks)
    assert [client.closed for client in clients] == [None, (1012, ""), (1012, "")]
    assert [connection.closes for connection in gateway.upstream.connections[1:]] == [[Close(1012)]] * 2
    assert gateway.upstream.open_connections == 0


async def test_cancelling_at_any_moment_leaves_nothing(eventually: Eventually) -> None:
    """A storm of cancellations, before, during and after the handshake, leaves no connection and no task."""
    chance = random.Random(7)

    async def later(request: WebSocketRequest) -> FakeConnection:
        for _ in range(chance.randrange(4)):
            await asyncio.sleep(0)
        return FakeConnection("hello", *[Close(1000)] * chance.randrange(2))

    gateway = Gateway(later)
    for _ in range(300):
        client = SocketClient()
        client.say("hello")
        if chance.random() < 0.3:
            client.leave()
        task = asyncio.create_task(gateway(client))
        for _ in range(chance.randrange(14)):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert gateway.upstream.open_connections == 0
        await eventually(lambda: len(asyncio.all_tasks()) == 1)
