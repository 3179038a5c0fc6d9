"""Row 12: no tunnel is opened before a service has agreed to it, whatever it answers to the handshake."""

import asyncio
from dataclasses import replace

import pytest

from hydra_asgi.core.instance import Route, RouteKind
from tests.e2e.hostile import Member, announced, answers, node, responses
from tests.gateway.servers import SOCKET_SERVERS
from tests.raw_server import raw_server, read_head

pytestmark = pytest.mark.e2e

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
UPGRADED = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
TUNNELLED = b"\x82\x06poison"
"""A frame behind an answer; nobody who was told of no tunnel may see its content."""

WRONG = {
    "says-200": (b"HTTP/1.1 200 OK\r\nupgrade: websocket\r\nconnection: upgrade\r\ncontent-length: 2\r\n\r\nno", 200),
    "no-key": (UPGRADED + b"\r\n" + TUNNELLED, 502),
    "other-key": (UPGRADED + b"sec-websocket-accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n" + TUNNELLED, 502),
    "no-upgrade": (b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\n\r\n" + TUNNELLED, 502),
    "other-upgrade": (UPGRADED.replace(b"websocket", b"h2c") + b"\r\n" + TUNNELLED, 502),
    "nonsense": (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", 502),
    "nothing": (b"", 502),
}
"""What a service answers to a handshake, and the status that the client gets instead of a tunnel."""


@pytest.mark.parametrize("server", SOCKET_SERVERS)
async def test_no_tunnel_without_an_agreement(server: str) -> None:
    """A wrong answer to a handshake is a refusal: nothing crosses in either direction behind it."""
    crossed: dict[str, bytes] = {}

    async def service(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await read_head(reader)
        if b"upgrade: websocket" not in head.lower():
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok")
            return
        name = head.split(b" ")[1].rpartition(b"/")[2].decode()
        writer.write(WRONG[name][0])
        await writer.drain()
        if WRONG[name][0]:
            crossed[name] = await reader.read()

    async def shake(port: int, name: str) -> bytes:
        """What comes back to a client that talks on as if it had been let in."""
        fields = b"connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: " + KEY
        head = b"GET /chat/%b HTTP/1.1\r\nhost: site.test\r\n%b\r\n\r\n" % (name.encode(), fields)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        received = b""
        try:
            writer.write(head)
            async with asyncio.timeout(10) as limit:
                received = await reader.readuntil(b"\r\n\r\n")
                writer.write(b"GET /chat/smuggled HTTP/1.1\r\nhost: site.test\r\nconnection: close\r\n\r\n")
                limit.reschedule(asyncio.get_running_loop().time() + 0.5)  # not every server hangs up
                while piece := await reader.read(65536):
                    received += piece
        except (TimeoutError, ConnectionError):
            pass
        finally:
            writer.transport.abort()
        return received

    async with raw_server(service) as raw, node(server=server) as port:
        instance = announced("chat", raw.address, routes=["/chat/{name}"])
        sockets = Route("/chat/{name}", kind=RouteKind.WEBSOCKET)
        member = Member(port, replace(instance, routes=(*instance.routes, sockets)))
        assert (await member.register()).status == 200
        await answers(port, "/chat/x")
        told = dict(zip(WRONG, await asyncio.gather(*(shake(port, name) for name in WRONG)), strict=True))
    for name, (_, status) in WRONG.items():
        assert b"poison" not in told[name], (name, told[name])
        assert responses(told[name])[0].status == status, (name, told[name])
    assert not any(crossed.values()), crossed
