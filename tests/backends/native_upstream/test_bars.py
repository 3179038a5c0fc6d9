"""What the native upstream promises in numbers, over real sockets: no failure surfaces, no cut is hidden, no answers
are mixed up, and a transfer of any size takes little memory. Seeded, so that a failure can be had again.
"""

import asyncio
import contextlib
import json
import os
import random
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from hydra_asgi.backends.native_upstream import NativeUpstream
from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.core.instance import Address
from hydra_asgi.errors import UpstreamError
from hydra_asgi.ports import Timeouts
from tests.backends.native_upstream.transfer import Giant
from tests.backends.upstream_contract import OK, answer_of, asking

MIB = 1 << 20
TRANSFER_MIB = int(os.environ.get("TRANSFER_MIB", "256"))
"""1024 for the whole bar; a quarter shows the same and spares the machines that run everything."""


@contextlib.asynccontextmanager
async def served(protocol: Callable[[], asyncio.Protocol]) -> AsyncIterator[Address]:
    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)
    try:
        yield Address("http", "127.0.0.1", server.sockets[0].getsockname()[1])
    finally:
        server.close()
        await server.wait_closed()


@contextlib.asynccontextmanager
async def opened(**options: Any) -> AsyncIterator[NativeUpstream]:
    upstream = NativeUpstream(**options)
    try:
        yield upstream
    finally:
        await upstream.close()
        assert upstream.counts() == (0, 0, 0)


class Instance(asyncio.Protocol):
    """A server for requests without a body; what it answers is the test's."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.held = b""
        self.requests = 0

    def data_received(self, data: bytes) -> None:
        *heads, self.held = (self.held + data).split(b"\r\n\r\n")
        for head in heads:
            self.requests += 1
            self.answer(head.split(b" ", 2)[1])

    def answer(self, target: bytes) -> None:
        raise NotImplementedError


async def test_a_stale_connection_never_surfaces() -> None:
    """An instance that closes idle connections just as they are used again fails none of 10,000 GETs."""
    chance = random.Random(11)
    endings = {"after an answer": 0, "instead of one": 0, "by a reset": 0}

    class Hasty(Instance):
        def answer(self, target: bytes) -> None:
            lot = chance.random()
            if self.requests > 1 and lot < 0.1:
                endings["instead of one"] += 1
                self.transport.close()
            elif self.requests > 1 and lot < 0.2:
                endings["by a reset"] += 1
                self.transport.abort()
            else:
                self.transport.write(OK)
                if lot > 0.9:
                    endings["after an answer"] += 1
                    self.transport.close()

    async with served(Hasty) as address, opened() as upstream:

        async def browse() -> None:
            for _ in range(625):
                assert (await answer_of(upstream, asking(address)))[2] == b"ok"

        await asyncio.gather(*[browse() for _ in range(16)])
    assert min(endings.values()) > 500


async def test_no_cut_is_hidden() -> None:
    """In every one of 1,000 responses that end too early, at any byte, by a close or a reset, the end is an error."""
    chance = random.Random(5)
    body = bytes(range(256)) * 40
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(body[at : at + 999]), body[at : at + 999]) for at in range(0, 10240, 999))
    with_length = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body
    chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + chunks + b"0\r\nx-sum: 1\r\n\r\n"

    class Cutting(Instance):
        def answer(self, target: bytes) -> None:
            wire = chance.choice([with_length, chunked])
            whole = chance.choice([0, len(wire) - 1, chance.randrange(len(wire)), chance.randrange(60)])
            self.transport.write(wire[:whole])
            self.transport.abort() if chance.random() < 0.3 else self.transport.close()

    kinds: list[ErrorKind] = []
    async with served(Cutting) as address, opened() as upstream:

        async def read(received: list[bytes]) -> None:
            async with await upstream.send(asking(address)) as response:
                async for piece in response.body():
                    received.append(piece)  # noqa: PERF401 -- what came before the failure counts

        async def ask() -> None:
            for _ in range(125):
                received: list[bytes] = []
                with pytest.raises(UpstreamError) as failed:
                    await read(received)
                kinds.append(failed.value.kind)
                assert body.startswith(b"".join(received))

        await asyncio.gather(*[ask() for _ in range(8)])
    assert len(kinds) == 1000
    assert set(kinds) == {ErrorKind.TRUNCATED, ErrorKind.RESET}


async def test_no_answer_reaches_another_request(eventually: Any) -> None:
    """Of 3,000 requests, of which many are cancelled at any step, each that ends gets its own answer."""
    chance = random.Random(3)
    loop = asyncio.get_running_loop()
    open_connections: set[asyncio.Protocol] = set()

    class Echo(Instance):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            open_connections.add(self)

        def connection_lost(self, exc: Exception | None) -> None:
            open_connections.discard(self)

        def answer(self, target: bytes) -> None:
            body = target * chance.choice([1, 50, 3000])
            if chance.random() < 0.5:
                wire = b"HTTP/1.1 200 OK\r\nx-target: %b\r\ncontent-length: %d\r\n\r\n%b" % (target, len(body), body)
            else:
                chunk = b"%x\r\n%b\r\n0\r\nx-trailer: %b\r\n\r\n" % (len(body), body, target)
                wire = b"HTTP/1.1 200 OK\r\nx-target: %b\r\ntransfer-encoding: chunked\r\n\r\n%b" % (target, chunk)
            cut = chance.choice([0, len(wire), chance.randrange(len(wire))])
            self.transport.write(wire[:cut])
            loop.call_later(chance.choice([0, 0.001]), self.finish, wire[cut:])

        def finish(self, rest: bytes) -> None:
            if not self.transport.is_closing():
                self.transport.write(rest)

    answered = 0
    async with served(Echo) as address, opened(max_connections=8) as upstream:

        async def ask(number: int) -> None:
            nonlocal answered
            target = b"/%d" % number
            request = asking(address, target, timeouts=Timeouts(None, 30.0, 30.0))
            async with await upstream.send(request) as response:
                assert (b"x-target", target) in response.headers
                body = b"".join([piece async for piece in response.body()])
                assert set(body.split(b"/")) == {b"", target[1:]}
                assert response.trailers in ([], [(b"x-trailer", target)])
            answered += 1

        for first in range(0, 3000, 30):
            tasks = [asyncio.create_task(ask(number)) for number in range(first, first + 30)]
            for _ in range(chance.randrange(20)):
                await asyncio.sleep(0)
            for task in tasks:
                if chance.random() < 0.4:
                    task.cancel()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            failures = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
            assert failures == []
            open_, idle, in_use = upstream.counts()
            assert (open_, in_use) == (idle, 0)
        assert 1500 < answered < 2500
        await eventually(lambda: len(open_connections) == upstream.counts()[0])


@pytest.mark.parametrize("direction", ["down", "up"])
async def test_a_transfer_of_any_size_takes_little_memory(direction: str) -> None:
    """A gigabyte either way, to a slow reader or from a fast one, adds at most 32 MiB to the process."""
    size = TRANSFER_MIB * MIB
    async with served(Giant) as address:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.backends.native_upstream.transfer", direction, str(address.port), str(size),
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        output, _ = await process.communicate()
    measured = json.loads(output)
    assert measured["bytes"] == size
    assert measured["growth"] <= 32 * MIB
