"""What every `Upstream` does with real sockets, whatever it is made of.

A test module for an upstream subclasses `UpstreamContract` under a name that starts with `Test` and says how to make
one. What only one of them promises is tested beside it.
"""

import asyncio
import contextlib
import gzip
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.core.instance import Address
from hydra_asgi.errors import UpstreamError
from hydra_asgi.ports import Headers, Timeouts, Upstream, UpstreamRequest, UpstreamResponse
from tests.raw_server import RawServer, raw_server, read_head, reset, says

__all__ = ["OK", "QUICK", "Eventually", "UpstreamContract", "answer_of", "asking", "close", "pieces"]

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
QUICK = Timeouts(connect=1.0, first_byte=0.2, idle=0.2)
Eventually = Callable[..., Any]


def close(writer: asyncio.StreamWriter) -> None:
    writer.close()


def asking(server: RawServer | Address, target: bytes = b"/", **changes: Any) -> UpstreamRequest:
    address = server if isinstance(server, Address) else server.address
    changes.setdefault("method", "GET")
    changes.setdefault("headers", [(b"host", b"site.test")])
    return UpstreamRequest(address, target=target, **changes)


async def answer_of(upstream: Upstream, request: UpstreamRequest) -> tuple[int, Headers, bytes]:
    response = await upstream.send(request)
    async with response:
        return response.status, response.headers, b"".join([piece async for piece in response.body()])


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


class UpstreamContract:
    """Subclass it; see the module."""

    def make(self) -> Upstream:
        raise NotImplementedError

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator[Upstream]:
        upstream = self.make()
        try:
            yield upstream
        finally:
            await upstream.close()

    async def failure_of(self, handler: Any, **changes: Any) -> UpstreamError:
        async with raw_server(handler) as server, self.opened() as upstream:
            with pytest.raises(UpstreamError) as failed:
                await answer_of(upstream, asking(server, **changes))
            assert server.address.netloc in failed.value.detail
            return failed.value

    @pytest.mark.parametrize("target", [b"/a%2Fb/%2e%2e/c", b"/a%3Fx", b"//x/../y?q=%zz;&&a=1", b"/", b"/caf%C3%A9?"])
    async def test_the_target_is_sent_as_it_is(self, target: bytes) -> None:
        """Nobody decodes, folds or re-encodes a request target on its way out."""
        heads = []

        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            heads.append(await read_head(reader))
            writer.write(OK)

        async with raw_server(handler) as server, self.opened() as upstream:
            await answer_of(upstream, asking(server, target, headers=[(b"host", b"site.test"), (b"x-b", b"1")]))
        assert heads == [b"GET " + target + b" HTTP/1.1\r\nhost: site.test\r\nx-b: 1\r\n\r\n"]

    async def test_repeated_fields_keep_their_order_both_ways(self) -> None:
        """Two cookies out and two Set-Cookie in stay two fields, in order."""
        heads = []

        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            heads.append(await read_head(reader))
            writer.write(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nX: y\r\nSet-Cookie: b=2\r\ncontent-length: 0\r\n\r\n")

        fields = [(b"host", b"site.test"), (b"cookie", b"a=1"), (b"x", b"y"), (b"cookie", b"b=2")]
        async with raw_server(handler) as server, self.opened() as upstream:
            _, headers, _ = await answer_of(upstream, asking(server, headers=fields))
        assert b"cookie: a=1\r\nx: y\r\ncookie: b=2\r\n" in heads[0]
        assert headers[:3] == [(b"Set-Cookie", b"a=1"), (b"X", b"y"), (b"Set-Cookie", b"b=2")]

    async def test_a_content_coding_is_left_alone(self) -> None:
        """A gzipped body arrives gzipped, with its header fields."""
        packed = gzip.compress(b"hello" * 100)
        head = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(packed)
        async with raw_server(says(head + packed)) as server, self.opened() as upstream:
            _, headers, body = await answer_of(upstream, asking(server))
        assert (b"content-encoding", b"gzip") in headers
        assert body == packed

    @pytest.mark.parametrize(
        ("body", "length", "wire"),
        [
            (None, None, b"\r\n\r\n"),
            (b"", None, b"content-length: 0\r\n\r\n"),
            (b"abc", None, b"content-length: 3\r\n\r\nabc"),
            ((b"ab", b"", b"c"), 3, b"content-length: 3\r\n\r\nabc"),
            ((b"ab", b"", b"c"), None, b"transfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"),
        ],
    )
    async def test_the_body_decides_the_framing(self, body: Any, length: int | None, wire: bytes) -> None:
        """No body has no framing, a known length is declared, anything else is chunked."""
        sent = bytearray()

        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while not sent.endswith(wire):
                sent.extend(await reader.read(1000) or b"closed")
            writer.write(OK)

        async with raw_server(handler) as server, self.opened() as upstream:
            stream = pieces(*body) if isinstance(body, tuple) else body
            status, _, _ = await answer_of(upstream, asking(server, method="POST", body=stream, length=length))
        assert status == 200
        assert sent.endswith(wire)

    async def test_a_checked_address_is_the_one_that_is_called(self) -> None:
        """With a pinned IP the name is not resolved again, and Host stays the caller's."""
        async with raw_server(says(OK)) as server, self.opened() as upstream:
            pinned = Address("http", "no-such-host.invalid", server.address.port, pinned="127.0.0.1")
            assert (await answer_of(upstream, asking(pinned)))[2] == b"ok"

    async def test_pieces_arrive_as_they_are_sent(self) -> None:
        """The first piece of a body can be read while the second does not exist yet."""
        go_on = asyncio.Event()

        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_head(reader)
            writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n")
            await go_on.wait()
            writer.write(b"3\r\ntwo\r\n0\r\n\r\n")

        async with raw_server(handler) as server, self.opened() as upstream:
            response = await upstream.send(asking(server))
            async with response:
                body = response.body()
                assert await anext(body) == b"one"
                go_on.set()
                assert [piece async for piece in body] == [b"two"]

    async def test_a_connection_is_used_again(self) -> None:
        """A body that was read to its end, or that cannot exist, gives its connection back."""
        heads = b"HTTP/1.1 204 No Content\r\n\r\n"
        async with raw_server(says(heads)) as server, self.opened() as upstream:
            for method in ("GET", "HEAD", "GET"):
                assert (await answer_of(upstream, asking(server, method=method)))[2] == b""
            assert server.accepted == 1

    @pytest.mark.parametrize(
        ("method", "wire"),
        [
            ("GET", OK),
            ("HEAD", b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"),
            ("GET", b"HTTP/1.1 304 Not Modified\r\ncontent-length: 2\r\n\r\n"),
            ("GET", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
        ],
    )
    async def test_what_is_said_to_be_whole_is(self, method: str, wire: bytes) -> None:
        """`whole` is None or exactly what `body` gives, and there are no trailers where none came."""
        async with (
            raw_server(says(wire)) as server,
            self.opened() as upstream,
            await upstream.send(asking(server, method=method)) as response,
        ):
            whole = response.whole
            body = b"".join([piece async for piece in response.body()])
            assert body == (b"ok" if wire.rstrip(b"0\r\n").endswith(b"ok") else b"")
            assert whole in {None, body}
            assert response.trailers == []
            assert response.is_checked in {True, False}

    async def test_leaving_early_closes_the_connection(self, eventually: Eventually) -> None:
        """A response whose body was not read to the end takes its connection with it."""

        async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_head(reader)
            writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n")
            assert await reader.read() == b""

        async with raw_server(endless) as server, self.opened() as upstream:
            async with await upstream.send(asking(server)) as response:
                assert await anext(response.body()) == b"one"
            await eventually(lambda: server.open == 0)
            async with await upstream.send(asking(server)):
                pass
            await eventually(lambda: server.open == 0)
            assert server.accepted == 2

    async def test_nobody_listening_is_a_refused_connection(self) -> None:
        """A closed port is CONNECT_REFUSED: nothing was sent, so any request may go elsewhere."""
        async with raw_server(says(OK)) as server:
            address = server.address
        async with self.opened() as upstream:
            with pytest.raises(UpstreamError) as failed:
                await upstream.send(asking(address))
        assert failed.value.kind is ErrorKind.CONNECT_REFUSED

    @pytest.mark.parametrize(
        ("answer", "ending", "kind"),
        [
            (b"", close, ErrorKind.RESET),
            (b"", reset, ErrorKind.RESET),
            (b"HTTP/1.1 200 OK\r\ncontent-", close, ErrorKind.RESET),
            (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", None, ErrorKind.PROTOCOL),
            (b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab", None, ErrorKind.PROTOCOL),
            (b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n", None, ErrorKind.PROTOCOL),
            (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 200_000, None, ErrorKind.PROTOCOL),
            (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort", close, ErrorKind.TRUNCATED),
            (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nshort\r\n", close, ErrorKind.TRUNCATED),
            (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nshort", close, ErrorKind.TRUNCATED),
            (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0x5\r\nshort\r\n", None, ErrorKind.PROTOCOL),
            (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort", None, ErrorKind.IDLE_TIMEOUT),
            (b"", None, ErrorKind.FIRST_BYTE_TIMEOUT),
        ],
    )
    async def test_every_way_to_fail_has_its_kind(self, answer: bytes, ending: Any, kind: ErrorKind) -> None:
        """Silence, garbage, early ends and resets are told apart, and a cut body never ends as if it were whole."""
        failed = await self.failure_of(says(answer, then=ending), timeouts=QUICK)
        assert failed.kind is kind

    async def test_a_reset_inside_the_body_is_an_error(self) -> None:
        """A reset after the first piece is told, not swallowed."""
        received = asyncio.Event()

        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_head(reader)
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort")
            await received.wait()
            reset(writer)

        async with (
            raw_server(handler) as server,
            self.opened() as upstream,
            await upstream.send(asking(server)) as response,
        ):
            body = response.body()
            assert await anext(body) == b"short"
            received.set()
            with pytest.raises(UpstreamError) as failed:
                await anext(body)
        assert failed.value.kind is ErrorKind.RESET

    async def test_events_may_be_far_apart(self) -> None:
        """A stream of events is not cut for its silence, which any other body is."""
        read = asyncio.Event()

        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_head(reader)
            kind = b"Content-Type: text/event-stream; charset=utf-8\r\n"
            writer.write(b"HTTP/1.1 200 OK\r\n" + kind + b"transfer-encoding: chunked\r\n\r\n3\r\none\r\n")
            await read.wait()
            await asyncio.sleep(0.5)  # more than `QUICK` allows
            writer.write(b"3\r\ntwo\r\n0\r\n\r\n")

        async with (
            raw_server(handler) as server,
            self.opened() as upstream,
            await upstream.send(asking(server, timeouts=QUICK)) as response,
        ):
            body = response.body()
            assert await anext(body) == b"one"
            read.set()
            assert [piece async for piece in body] == [b"two"]

    async def test_a_head_that_drips_is_a_first_byte_timeout(self) -> None:
        """One byte now and then does not buy a slow head more time."""

        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_head(reader)
            for byte in b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 1000:
                writer.write(bytes([byte]))
                await asyncio.sleep(0.02)

        failed = await self.failure_of(handler, timeouts=QUICK)
        assert failed.kind is ErrorKind.FIRST_BYTE_TIMEOUT
        assert "0.2 s" in failed.detail

    async def test_a_slow_upload_is_not_a_slow_answer(self) -> None:
        """The time for the first byte begins when the request is out, not before."""
        received: list[bytes] = []

        async def slowly() -> AsyncIterator[bytes]:
            for _ in range(4):
                await asyncio.sleep(0.1)
                yield b"x"

        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_head(reader)
            received.append(await reader.readexactly(4))
            writer.write(OK)

        async with raw_server(handler) as server, self.opened() as upstream:
            request = asking(server, method="POST", body=slowly(), length=4, timeouts=QUICK)
            assert (await answer_of(upstream, request))[0] == 200
        assert received == [b"xxxx"]

    async def test_waiting_for_ever_is_possible(self) -> None:
        """Timeouts of None bound nothing."""
        async with raw_server(says(OK)) as server, self.opened() as upstream:
            assert (await answer_of(upstream, asking(server, timeouts=Timeouts(None, None, None))))[2] == b"ok"

    async def test_an_early_answer_to_an_upload_arrives(self) -> None:
        """A 413 that comes before the end of the upload is the answer."""

        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_head(reader)
            writer.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n")
            while await reader.read(65536):
                pass

        async with raw_server(handler) as server, self.opened() as upstream:
            body = pieces(*[b"x" * 65536] * 64)
            status, _, _ = await answer_of(upstream, asking(server, method="POST", body=body))
        assert status == 413

    async def test_an_instance_that_hangs_up_on_an_upload_does_not_hang_us(self) -> None:
        """An instance that answers 413 and closes ends the request at once, with its answer or as a reset."""

        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_head(reader)
            writer.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            await writer.drain()

        async with raw_server(handler) as server, self.opened() as upstream:
            body = pieces(*[b"x" * 65536] * 256)
            outcome = await asyncio.gather(
                answer_of(upstream, asking(server, method="POST", body=body)), return_exceptions=True
            )
        assert [ending.kind if isinstance(ending, UpstreamError) else ending[0] for ending in outcome] in [
            [ErrorKind.RESET],
            [413],
        ]

    @pytest.mark.parametrize("error", [UpstreamError(ErrorKind.CLIENT_GONE), OSError("the client's"), TimeoutError()])
    async def test_a_failing_body_fails_with_its_own_error(self, error: Exception, eventually: Eventually) -> None:
        """What the caller's body raises comes back as it is, and the request is aborted, never completed."""
        received = bytearray()

        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            received.extend(await reader.read(-1))

        async def broken() -> AsyncIterator[bytes]:
            yield b"half"
            raise error

        async with raw_server(handler) as server, self.opened() as upstream:
            with pytest.raises(type(error)) as raised:
                await upstream.send(asking(server, method="POST", body=broken()))
            assert raised.value is error
            await eventually(lambda: server.accepted == 1 and server.open == 0)
        assert not received.endswith(b"0\r\n\r\n")

    @pytest.mark.parametrize("length", [2, 5])
    async def test_a_body_that_breaks_its_promise_is_never_completed(self, length: int, eventually: Eventually) -> None:
        """A streamed body with more or fewer bytes than declared aborts the request."""
        received = bytearray()

        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            received.extend(await reader.read(-1))

        async with raw_server(handler) as server, self.opened() as upstream:
            with pytest.raises(UpstreamError) as failed:
                await upstream.send(asking(server, method="POST", body=pieces(b"a", b"bc"), length=length))
            await eventually(lambda: server.accepted == 1 and server.open == 0)
        assert failed.value.kind is ErrorKind.PROTOCOL
        assert len(received.partition(b"\r\n\r\n")[2]) < length

    async def test_plain_text_where_tls_should_be_is_a_tls_error(self) -> None:
        """An instance announced as https that speaks http is told apart from one that is away."""

        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(1)
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        async with raw_server(handler) as server, self.opened() as upstream:
            with pytest.raises(UpstreamError) as failed:
                await upstream.send(asking(Address("https", "127.0.0.1", server.address.port)))
        assert failed.value.kind is ErrorKind.TLS

    async def test_an_address_that_is_no_url_is_an_upstream_error(self) -> None:
        """A host no URL can hold never escapes as a foreign exception."""
        async with self.opened() as upstream:
            with pytest.raises(UpstreamError):
                await upstream.send(asking(Address("http", "a b/c", 80)))
            with pytest.raises(UpstreamError):
                await upstream.send(asking(Address("http", "x" * 70 + ".test", 80)))

    async def test_more_than_a_response_poisons_nobody(self) -> None:
        """Bytes behind a response never answer the next request: their connection is not used again."""

        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while await read_head(reader):
                writer.write(OK + b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison")

        async with raw_server(handler) as server, self.opened() as upstream:
            for turn in range(1, 4):
                assert (await answer_of(upstream, asking(server)))[2] == b"ok"
                assert server.accepted == turn

    async def test_it_fits_the_port(self) -> None:
        """Both halves fit their ports."""
        upstream: Upstream = self.make()
        async with raw_server(says(OK)) as server:
            response: UpstreamResponse = await upstream.send(asking(server))
            async with response:
                assert [piece async for piece in response.body()] == [b"ok"]
            await upstream.close()
