"""Making connections: to the checked address, by the name in the certificate, and never half."""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from hydra_asgi.backends.native_upstream.dial import connecting, dial
from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.core.instance import Address
from hydra_asgi.errors import UpstreamError
from tests.backends.native_upstream.tls import server_context, tls_server, trusting
from tests.backends.native_upstream.transport import PretendTransport
from tests.raw_server import raw_server, says

Eventually = Callable[..., Any]


async def failure_of(address: Address, tls: ssl.SSLContext | None = None) -> ErrorKind:
    with pytest.raises(UpstreamError) as failed:
        async with connecting(address, 5.0):
            await dial(address, tls)
    assert address.netloc in failed.value.detail
    return failed.value.kind


async def test_the_checked_address_is_called() -> None:
    """With a pinned IP the name is not resolved again; without one it is."""
    async with raw_server(says()) as server:
        pinned = Address("http", "no-such-host.invalid", server.address.port, pinned="127.0.0.1")
        for address in (pinned, replace(server.address, host="localhost", pinned="")):
            connection = await dial(address, None)
            assert not connection.is_closed
            connection.abort()


async def test_a_certificate_is_checked_by_name() -> None:
    """The announced host is the name in the handshake and in the certificate, the pinned address is where it goes."""
    names: list[str | None] = []
    context = server_context()
    context.sni_callback = lambda connection, name, context: names.append(name)
    async with tls_server(says(), context) as address:
        (await dial(address, trusting())).abort()
        assert await failure_of(replace(address, host="other.test"), trusting()) is ErrorKind.TLS
        assert await failure_of(address, ssl.create_default_context()) is ErrorKind.TLS
    assert names[:2] == ["server.test", "other.test"]


async def test_nobody_listening_is_refused() -> None:
    """A closed port and names that cannot be resolved are told apart from silence."""
    async with raw_server(says()) as server:
        address = server.address
    assert await failure_of(address) is ErrorKind.CONNECT_REFUSED
    assert await failure_of(replace(address, host="a b/c")) is ErrorKind.CONNECT_REFUSED
    assert await failure_of(replace(address, host="x" * 70 + ".test")) is ErrorKind.CONNECT_REFUSED


async def test_time_is_bounded() -> None:
    """A handshake that nobody answers is a timeout."""
    async with raw_server(says()) as server:
        address = replace(server.address, scheme="https")
        with pytest.raises(UpstreamError, match=r"no connection within 0\.02 s") as failed:
            async with connecting(address, 0.02):
                await dial(address, trusting())
    assert failed.value.kind is ErrorKind.CONNECT_TIMEOUT


async def test_a_dial_cancelled_after_it_succeeded_closes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The moment between the connection and our knowing of it leaves nothing open either."""
    transport = PretendTransport()

    async def create_connection(make: Callable[[], asyncio.Protocol], *where: Any, **options: Any) -> Any:
        make().connection_made(transport)
        raise asyncio.CancelledError

    monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", create_connection)
    with pytest.raises(asyncio.CancelledError):
        await dial(Address("http", "10.0.0.7", 80), None)
    assert transport.is_aborted


@pytest.mark.parametrize("turns", range(12))
async def test_a_cancelled_dial_leaves_no_socket(turns: int, eventually: Eventually) -> None:
    """Cancelled before, while or after it succeeded, it leaves nothing open."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with raw_server(handler) as server:
        dialling = asyncio.create_task(dial(server.address, None))
        for _ in range(turns):
            await asyncio.sleep(0)
        dialling.cancel()
        (outcome,) = await asyncio.gather(dialling, return_exceptions=True)
        if not isinstance(outcome, BaseException):
            outcome.abort()
        (await dial(server.address, None)).abort()  # accepted after the other, if that came so far
        await eventually(lambda: server.accepted and server.open == 0)
