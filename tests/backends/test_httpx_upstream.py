"""Requests to instances over an httpx-shaped transport: the contract of all upstreams, and what only this one does."""

import asyncio
import contextlib
import ssl
import types
from collections.abc import AsyncIterator
from typing import Any

import httpx
import httpx2
import pytest
import respx

from hydra_asgi.backends.httpx_errors import Translation
from hydra_asgi.backends.httpx_upstream import HttpxUpstream
from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.core.instance import Address
from hydra_asgi.errors import ConfigurationError, UpstreamError
from hydra_asgi.ports import Upstream
from tests.backends.upstream_contract import OK, Eventually, UpstreamContract, answer_of, asking
from tests.raw_server import raw_server, read_head, says


class TestHttpxUpstreamKeepsTheContract(UpstreamContract):
    def make(self) -> Upstream:
        return HttpxUpstream()


@contextlib.asynccontextmanager
async def upstream_of(transport: Any = None) -> AsyncIterator[Upstream]:
    upstream = HttpxUpstream(transport)
    try:
        yield upstream
    finally:
        await upstream.close()


async def test_a_pinned_tls_instance_is_asked_by_its_name() -> None:
    """The name for the certificate is the announced host, not the pinned address."""
    seen: list[httpx2.Request] = []

    def respond(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(200)

    async with upstream_of(httpx2.MockTransport(respond)) as upstream:
        await answer_of(upstream, asking(Address("https", "a.test", 443, pinned="10.0.0.7")))
        await answer_of(upstream, asking(Address("https", "a.test", 443)))
    assert seen[0].url.host == "10.0.0.7"
    assert seen[0].extensions["sni_hostname"] == "a.test"
    assert "sni_hostname" not in seen[1].extensions


@pytest.mark.parametrize("library", [httpx, httpx2])
async def test_more_than_a_response_poisons_nobody(library: Any) -> None:
    """Bytes behind a response are not taken for the answer to the next request: their connection is not used again."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await read_head(reader):
            writer.write(OK + b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison")

    transport = library.AsyncHTTPTransport(verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), trust_env=False)
    async with raw_server(handler) as server, transport, upstream_of(transport) as upstream:
        for turn in range(1, 4):
            assert (await answer_of(upstream, asking(server)))[2] == b"ok"
            assert server.accepted == turn


async def test_a_storm_of_cancellations_leaves_the_pool_whole(eventually: Eventually) -> None:
    """A hundred cancelled requests at any stage take no slot with them, and no connection stays open for nobody."""
    serve = asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await read_head(reader):
            if serve.is_set():
                writer.write(OK)
            elif server.accepted % 2:
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort")

    transport = httpx2.AsyncHTTPTransport(limits=httpx2.Limits(max_connections=8))
    async with raw_server(handler) as server, transport, upstream_of(transport) as upstream:
        for turn in range(100):
            request = asyncio.create_task(answer_of(upstream, asking(server)))
            for _ in range(turn % 12):  # cancelled before, while and after connecting, in the head and in the body
                await asyncio.sleep(0)
            if turn % 3 == 0:
                await asyncio.sleep(0.005)
            request.cancel()
            await asyncio.gather(request, return_exceptions=True)
        await eventually(lambda: server.open == 0)
        serve.set()
        answers = await asyncio.gather(*[answer_of(upstream, asking(server)) for _ in range(40)])
        assert [body for _, _, body in answers] == [b"ok"] * 40


async def test_a_second_cancellation_does_not_stop_the_closing(eventually: Eventually) -> None:
    """Cancelling again while the response is being closed still closes it."""
    async with raw_server(says(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort")) as server:
        upstream = HttpxUpstream()

        async def leave() -> None:
            async with await upstream.send(asking(server)):
                left.set()

        left = asyncio.Event()
        leaving = asyncio.create_task(leave())
        await left.wait()
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        await upstream.close()
        await eventually(lambda: server.open == 0)


async def test_httpx2_transports_can_be_mocked(httpx2_mock: respx.Router) -> None:
    """`pytest-httpx2` sees the requests of our own transport."""
    route = httpx2_mock.get("http://10.0.0.7:8002/a").respond(200, headers=[("Set-Cookie", "a"), ("Set-Cookie", "b")])
    async with upstream_of() as upstream:
        _, headers, _ = await answer_of(upstream, asking(Address("http", "10.0.0.7", 8002), b"/a"))
    assert route.called
    assert [value for name, value in headers if name.lower() == b"set-cookie"] == [b"a", b"b"]


async def test_httpx_transports_are_served_with_their_own_classes(respx_mock: respx.Router) -> None:
    """A transport of httpx gets requests of httpx, and its errors are understood."""
    respx_mock.post("http://10.0.0.7:8002/a").respond(201, content=b"made")
    respx_mock.get("http://10.0.0.7:8002/b").mock(side_effect=httpx.ConnectTimeout)
    async with httpx.AsyncHTTPTransport() as transport, upstream_of(transport) as upstream:
        address = Address("http", "10.0.0.7", 8002)
        status, _, body = await answer_of(upstream, asking(address, b"/a", method="POST", body=b"x"))
        assert (status, body) == (201, b"made")
        with pytest.raises(UpstreamError) as failed:
            await upstream.send(asking(address, b"/b"))
    assert failed.value.kind is ErrorKind.CONNECT_TIMEOUT


@pytest.mark.parametrize("library", [httpx, httpx2])
async def test_a_client_lends_its_transports_and_nothing_else(library: types.ModuleType) -> None:
    """Of an AsyncClient the mounts are honoured, while redirects are not followed and no cookie is kept."""
    redirect = [("location", "http://elsewhere/"), ("set-cookie", "a=1")]
    mounted = library.MockTransport(lambda request: library.Response(302, headers=redirect))
    async with library.AsyncClient(mounts={"http://10.0.0.7:8002": mounted}, follow_redirects=True) as client:
        async with upstream_of(client) as upstream:
            assert (await answer_of(upstream, asking(Address("http", "10.0.0.7", 8002))))[0] == 302
        assert not client.is_closed
        assert not client.cookies


async def test_a_transport_that_inherits_nothing_speaks_httpx2() -> None:
    """Any object with `handle_async_request` will do."""

    class Own:
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            return httpx2.Response(200, stream=httpx2.ByteStream(request.url.raw_path))

    async with upstream_of(Own()) as upstream:
        assert (await answer_of(upstream, asking(Address("http", "::1", 80), b"/a?b")))[2] == b"/a?b"


async def test_a_stream_that_is_no_generator_is_closed_by_its_response() -> None:
    """Leaving early also closes responses whose stream has no closing of its iterator."""
    closed = []

    class Stream(httpx2.AsyncByteStream):
        def __aiter__(self) -> Any:
            return self

        async def __anext__(self) -> bytes:
            return b"on and on"

        async def aclose(self) -> None:
            closed.append(True)

    transport = httpx2.MockTransport(lambda request: httpx2.Response(200, stream=Stream()))
    async with upstream_of(transport) as upstream:
        async with await upstream.send(asking(Address("http", "a.test", 80))) as response:
            assert await anext(response.body()) == b"on and on"
        assert closed == [True]


@pytest.mark.parametrize("transport", [object(), "http://x", httpx2.Client])
def test_anything_else_is_refused_with_a_way_out(transport: Any) -> None:
    """What is no asynchronous transport is refused where it is configured."""
    with pytest.raises(ConfigurationError, match=r"httpx2\.AsyncHTTPTransport"):
        HttpxUpstream(transport)


@pytest.mark.parametrize("library", [httpx, httpx2])
def test_errors_are_translated_by_meaning(library: Any) -> None:
    """Timeouts, TLS, proxies and sockets have their kinds; what nobody expected is a protocol error."""
    translation = Translation(library)
    tls = library.ConnectError("[SSL] certificate verify failed")
    tls.__cause__ = ssl.SSLError("x")
    cases = [
        (library.ConnectTimeout(""), ErrorKind.CONNECT_TIMEOUT, ErrorKind.CONNECT_TIMEOUT),
        (library.PoolTimeout("x"), ErrorKind.CONNECT_TIMEOUT, ErrorKind.CONNECT_TIMEOUT),
        (library.ReadTimeout("x"), ErrorKind.FIRST_BYTE_TIMEOUT, ErrorKind.IDLE_TIMEOUT),
        (library.WriteTimeout("x"), ErrorKind.IDLE_TIMEOUT, ErrorKind.IDLE_TIMEOUT),
        (library.ConnectError("refused"), ErrorKind.CONNECT_REFUSED, ErrorKind.CONNECT_REFUSED),
        (library.ProxyError("407"), ErrorKind.CONNECT_REFUSED, ErrorKind.CONNECT_REFUSED),
        (library.WriteError("x"), ErrorKind.RESET, ErrorKind.RESET),
        (library.LocalProtocolError("x"), ErrorKind.PROTOCOL, ErrorKind.PROTOCOL),
        (library.InvalidURL("x"), ErrorKind.PROTOCOL, ErrorKind.PROTOCOL),
        (tls, ErrorKind.TLS, ErrorKind.TLS),
        (ssl.SSLError("x"), ErrorKind.TLS, ErrorKind.TLS),
        (BrokenPipeError(), ErrorKind.RESET, ErrorKind.RESET),
    ]
    for error, before, within in cases:
        assert translation.before_head(error, "a:1").kind is before
        assert translation.in_body(error, "a:1").kind is within
    assert translation.before_head(library.ReadError(""), "a:1").detail == "a:1: ReadError"
