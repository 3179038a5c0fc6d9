"""A handshake in the shape of a request."""

from hydra_asgi.core.instance import Address
from hydra_asgi.gateway.websocket_handshake import HandshakeAnswer, HandshakeUpstream
from hydra_asgi.ports import Timeouts, UpstreamRequest
from hydra_asgi.websocket_ports import WebSocketRefusal, WebSocketRequest
from tests.doubles.fake_websocket import FakeConnection, FakeWebSocketUpstream

ADDRESS = Address("http", "10.0.0.1", 8002)
HOST = (b"host", b"site.test")


async def ask(answer: FakeConnection | WebSocketRefusal) -> tuple[FakeWebSocketUpstream, HandshakeAnswer]:
    instances = FakeWebSocketUpstream(answer)
    upstream = HandshakeUpstream(instances)
    timeouts = Timeouts(connect=0.1)
    answered = await upstream.send(UpstreamRequest(ADDRESS, "GET", b"/a?b", [HOST], timeouts=timeouts))
    await upstream.close()
    assert instances.requests == [WebSocketRequest(ADDRESS, b"/a?b", [HOST], timeouts)]
    return instances, answered


async def test_an_acceptance_is_a_good_answer() -> None:
    """It counts for the instance, has no body, and is cut off when it is left."""
    connection = FakeConnection(headers=[(b"set-cookie", b"a=1")])
    instances, answered = await ask(connection)
    async with answered:
        assert (answered.status, answered.headers) == (200, [(b"set-cookie", b"a=1")])
        assert answered.came_to is connection
        assert [piece async for piece in answered.body()] == []
        assert instances.open_connections == 1
    assert instances.open_connections == 0


async def test_a_refusal_is_the_answer_that_it_is() -> None:
    """Its status, fields and body are those of the instance."""
    refusal = WebSocketRefusal(503, [(b"retry-after", b"9")], b"no")
    _, answered = await ask(refusal)
    async with answered:
        assert (answered.status, answered.headers) == (503, [(b"retry-after", b"9")])
        assert answered.came_to is refusal
        assert [piece async for piece in answered.body()] == [b"no"]
