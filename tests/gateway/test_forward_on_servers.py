"""Forwarding under real servers, looked at through a raw socket."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest

from hydra_asgi.backends.native_upstream import NativeUpstream
from hydra_asgi.core.instance import ServiceInstance
from hydra_asgi.core.routing.balance import Group
from hydra_asgi.gateway.forward import Forwarder
from hydra_asgi.gateway.forwarding_terms import ForwardingTerms
from hydra_asgi.ports import Timeouts
from tests.gateway.servers import SERVERS, serving
from tests.raw_server import RawServer, raw_server, read_head, says

pytestmark = [pytest.mark.e2e, pytest.mark.parametrize("server", SERVERS)]

GET = b"GET /orders?x=%zz HTTP/1.1\r\nhost: site.test\r\n\r\n"
LAST_GET = GET.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")


def forwarding_to(instance: RawServer, upstream: NativeUpstream) -> Callable[..., Any]:
    logging.getLogger("hydra_asgi.access").setLevel(logging.CRITICAL)
    group = Group.build([ServiceInstance("orders", instance.address, token=1234567890)])
    terms = ForwardingTerms(
        pseudonym="node",
        trusted=lambda peer: False,
        vouch=lambda token: None,
        timeouts=Timeouts(first_byte=5.0, idle=5.0),
    )
    forward = Forwarder(upstream, terms)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        query = scope["query_string"]
        target = scope["raw_path"] + (b"?" + query if query else b"")
        await forward(scope, receive, send, group=group, key="", target=target)

    return app


async def exchange_bytes(port: int, request: bytes) -> bytes:
    """Send a request and read until the connection ends, a few seconds at most."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    received = b""
    try:
        writer.write(request)
        async with asyncio.timeout(10):
            while piece := await reader.read(65536):
                received += piece
    except (TimeoutError, ConnectionError):
        pass
    finally:
        writer.close()
    return received


async def forwarded(server: str, handler: Any, request: bytes = LAST_GET) -> bytes:
    upstream = NativeUpstream()
    async with raw_server(handler) as instance, serving(server, forwarding_to(instance, upstream)) as port:
        try:
            return await exchange_bytes(port, request)
        finally:
            await upstream.close()


def body_of(response: bytes) -> bytes:
    return response.partition(b"\r\n\r\n")[2]


def hang_up(writer: asyncio.StreamWriter) -> None:
    writer.close()


async def test_a_whole_response_is_whole(server: str) -> None:
    """Chunks, cookies and the target pass a real server unharmed."""
    heads = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await read_head(reader))
        writer.write(
            b"HTTP/1.1 200 OK\r\nset-cookie: a=1\r\nset-cookie: b=2\r\ntransfer-encoding: chunked\r\n\r\n"
            b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"
        )

    response = await forwarded(server, handler)
    assert heads[0].startswith(b"GET /orders?x=%zz HTTP/1.1\r\nhost: site.test\r\n")
    assert response.lower().count(b"set-cookie:") == 2
    assert body_of(response).endswith(b"0\r\n\r\n")
    assert b"one" in body_of(response)


@pytest.mark.parametrize(
    "cut",
    [
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\none",
        b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\none",
    ],
)
async def test_a_cut_response_looks_cut(server: str, cut: bytes) -> None:
    """When the instance breaks off, the client sees neither a last chunk nor a full length."""
    response = await forwarded(server, says(cut, then=hang_up))
    assert response.startswith(b"HTTP/1.1 200")
    assert b"one" in body_of(response)
    if b"content-length: 9" in response.lower():
        assert len(body_of(response)) < 9
    else:
        assert not body_of(response).endswith(b"0\r\n\r\n")


@pytest.mark.parametrize(
    ("request_head", "head"),
    [
        (b"HEAD", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n"),
        (b"GET", b"HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n"),
        (b"GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
    ],
)
async def test_an_answer_without_body_keeps_the_connection_in_step(
    server: str, request_head: bytes, head: bytes
) -> None:
    """After HEAD, 304 and 204 the next request on the connection gets the next response."""
    response = await forwarded(server, says(head), request_head + GET[3:] + request_head + LAST_GET[3:])
    assert response.startswith(head[:12])
    assert body_of(response).startswith(head[:12])
    assert body_of(body_of(response)) == b""


async def test_an_upload_arrives(server: str) -> None:
    """A chunked upload is chunked again, piece by piece, to its last chunk."""
    received = bytearray()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        while not received.endswith(b"0\r\n\r\n"):
            received.extend(await reader.read(100))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")

    upload = (
        b"POST / HTTP/1.1\r\nhost: site.test\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"
        b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"
    )
    response = await forwarded(server, handler, upload)
    assert response.startswith(b"HTTP/1.1 200")
    assert b"one" in received


async def test_a_client_that_leaves_takes_its_upstream_request_along(server: str, eventually: Any) -> None:
    """Clients that hang up mid-stream, or while they wait, leave no connection to the instance open."""

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if b"/silent" in await read_head(reader):
            await reader.read()
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n")
        await reader.read()

    upstream = NativeUpstream()
    async with raw_server(endless) as instance, serving(server, forwarding_to(instance, upstream)) as port:
        for path in (b"/silent", b"/endless") * 3:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET " + path + b" HTTP/1.1\r\nhost: site.test\r\n\r\n")
            if path == b"/endless":
                await reader.readuntil(b"one")
            else:
                await eventually(lambda: instance.open == 1)
            writer.close()
            await eventually(lambda: instance.open == 0)
        assert instance.accepted == 6
        await upstream.close()
