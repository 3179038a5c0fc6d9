"""Carrying messages between two WebSockets until one of them ends."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from hydra_asgi.core.close_codes import Close
from hydra_asgi.gateway.websocket_relay import WebSocketRelay
from tests.doubles.fake_websocket import FakeConnection, SocketClient

Eventually = Callable[..., Any]


def relay(client: SocketClient, service: FakeConnection, **options: Any) -> asyncio.Task[None]:
    receive: Any = client.receive
    send: Any = client.send
    return asyncio.create_task(WebSocketRelay(receive, send, service, **options).run())


async def connected(*messages: Any) -> tuple[SocketClient, FakeConnection]:
    client = SocketClient()
    await client.receive()
    return client, FakeConnection(*messages)


async def test_messages_cross_whole_and_in_order(eventually: Eventually) -> None:
    """Text stays text, binary stays binary, and empty messages are messages."""
    messages = ["ä", b"\x00", "", b"", "last"]
    client, service = await connected(*messages)
    for message in messages:
        client.say(message)
    task = relay(client, service)
    await eventually(lambda: client.heard == messages == service.sent)
    client.leave()
    await task
    assert len(asyncio.all_tasks()) == 1


@pytest.mark.parametrize("missing", [{"bytes": None}, {"text": None}, {}])
async def test_a_key_without_value_is_a_missing_key(missing: dict[str, None], eventually: Eventually) -> None:
    """ASGI lets the other of `text` and `bytes` be None or absent."""
    client, service = await connected()
    kind = "bytes" if "text" in missing else "text"
    client._events.put_nowait({"type": "websocket.receive", kind: b"x" if kind == "bytes" else "x", **missing})
    task = relay(client, service)
    await eventually(lambda: service.sent in (["x"], [b"x"]))
    client.leave()
    await task


@pytest.mark.parametrize(
    ("code", "reason", "close"),
    [
        (4001, "bye", Close(4001, "bye")),
        (1000, None, Close(1000)),
        (1005, "", Close(None)),
        (None, None, Close(None)),
        (1006, "", Close(1011)),
        (999, "x", Close(1002, "x")),
    ],
)
async def test_a_client_that_closes_closes_the_service(code: int | None, reason: str | None, close: Close) -> None:
    """Code and reason of the client are handed on, and nothing is sent to it any more."""
    client, service = await connected()
    client.leave(code, reason)
    await relay(client, service)
    assert service.closes == [close]
    assert client.messages == []
    assert len(asyncio.all_tasks()) == 1


@pytest.mark.parametrize(
    ("close", "closed"),
    [(Close(4001, "bye"), (4001, "bye")), (Close(None), (1000, "")), (Close(1011), (1011, ""))],
)
async def test_a_service_that_closes_closes_the_client(close: Close, closed: tuple[int, str]) -> None:
    """Code and reason of the service are handed on after its last message, and it is left alone."""
    client, service = await connected("last", close)
    await relay(client, service)
    assert client.heard == ["last"]
    assert client.closed == closed
    assert service.closes == []
    assert len(asyncio.all_tasks()) == 1


async def test_a_slow_client_makes_the_service_wait(eventually: Eventually) -> None:
    """While the client takes nothing, one message is under way and no more are received."""
    client, service = await connected(*[b"x"] * 10)
    client.reads.clear()
    task = relay(client, service)
    await eventually(lambda: service.taken == 1)
    client.say("from the client")
    await eventually(lambda: service.sent == ["from the client"])
    assert service.taken == 1
    client.reads.set()
    await eventually(lambda: len(client.heard) == 10)
    client.leave()
    await task


async def test_a_slow_service_makes_the_client_wait(eventually: Eventually) -> None:
    """While the service takes nothing, one message is under way and no more are read of the client."""
    client, service = await connected()
    service.reads.clear()
    for _ in range(10):
        client.say(b"x")
    task = relay(client, service)
    service.say("from the service")
    await eventually(lambda: client.heard == ["from the service"])
    assert client._events.qsize() == 9
    service.reads.set()
    await eventually(lambda: len(service.sent) == 10)
    client.leave()
    await task


@pytest.mark.parametrize(
    ("message", "is_carried"),
    [
        (b"x" * 8, True),
        (b"x" * 9, False),
        ("x" * 8, True),
        ("x" * 9, False),
        ("äää", True),
        ("ääää", True),
        ("äääää", False),
        ("xx", True),
        ("\ud800" * 3, False),
    ],
)
async def test_a_message_too_large_closes_both_sides(message: Any, is_carried: bool, eventually: Eventually) -> None:
    """The limit counts bytes of the message on the wire; what is larger ends both sides with 1009."""
    client, service = await connected()
    client.say(message)
    task = relay(client, service, max_message=8)
    if is_carried:
        await eventually(lambda: service.sent == [message])
        client.leave()
    await task
    if not is_carried:
        assert client.closed == (1009, "message too large")
        assert service.closes == [Close(1009, "message too large")]
        assert service.sent == []


async def test_a_client_that_takes_nothing_more_is_asked_how_it_went(eventually: Eventually) -> None:
    """When sending fails, the close code that `receive` brings is what the service hears."""
    client, service = await connected(b"x")
    client.is_gone = True
    task = relay(client, service)
    await eventually(lambda: service.taken == 1)
    client.leave(4002, "gone")
    await task
    assert service.closes == [Close(4002, "gone")]


async def test_a_server_that_tells_nothing_does_not_keep_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """When sending fails and `receive` stays silent, the service is closed all the same."""
    monkeypatch.setattr("hydra_asgi.gateway.websocket_relay.CLOSE_SECONDS", 0.01)
    client, service = await connected(b"x")
    client.is_gone = True
    await relay(client, service)
    assert service.closes == [Close(1011)]


@pytest.mark.parametrize("side", ["client", "service"])
async def test_a_side_that_does_not_close_is_left(side: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Closing waits for nobody longer than its bound."""
    monkeypatch.setattr("hydra_asgi.gateway.websocket_relay.CLOSE_SECONDS", 0.01)
    client, service = await connected(*[Close(1000)] * (side == "client"))
    client.reads.clear()
    service.answers_close.clear()
    if side == "service":
        client.leave()
    await relay(client, service)
    assert len(asyncio.all_tasks()) == 1


async def test_a_client_that_is_gone_need_not_be_closed() -> None:
    """A failure to close the client is no failure of the relay."""
    client, service = await connected(Close(1000))
    client.is_gone = True
    await relay(client, service)
    assert client.messages == []


async def test_stopping_closes_both_sides(eventually: Eventually) -> None:
    """A node that stops tells client and service that they may come back."""
    client, service = await connected("hello")
    receive: Any = client.receive
    send: Any = client.send
    running = WebSocketRelay(receive, send, service)
    running.stop()
    task = asyncio.create_task(running.run())
    await eventually(lambda: client.heard)
    running.stop()
    await task
    assert client.closed == (1012, "")
    assert service.closes == [Close(1012)]
    assert len(asyncio.all_tasks()) == 1


async def test_an_error_of_the_server_keeps_its_type() -> None:
    """What a channel raises leaves as it is, and the other direction ends with it."""
    client, service = await connected()
    client.fail(RuntimeError("broken server"))
    with pytest.raises(RuntimeError, match="broken server"):
        await relay(client, service)
    assert len(asyncio.all_tasks()) == 1


async def test_cancelling_leaves_no_task() -> None:
    """Both directions end with the relay."""
    client, service = await connected()
    task = relay(client, service)
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert len(asyncio.all_tasks()) == 1
