"""The calls of a service to one gateway."""

import asyncio
import json
from typing import Any

import pytest

from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.core.instance import Address, ServiceInstance
from hydra_asgi.errors import ConfigurationError, UpstreamError
from hydra_asgi.service.gateway_client import GatewayClient, Reply, gateway_address
from hydra_asgi.service.signer import Signer
from hydra_asgi.testing.asgi_upstream import AsgiUpstream
from hydra_asgi.wire.announcement import registration_json
from hydra_asgi.wire.answer import parse_answer
from hydra_asgi.wire.drain import Drain, drain_json
from tests.doubles.gateway import EPOCH, Gateway

LEASE = "lease-of-24-characters-0"
SECRET = "the secret of the cluster"
INSTANCE = ServiceInstance("orders", Address("http", "127.0.0.1", 8002))


def client(app: Any, *, secret: str = SECRET, skew: float = 0.0, **options: Any) -> GatewayClient:
    signer = Signer(secret, clock=lambda: EPOCH + skew)
    upstream = AsgiUpstream({"gateway:8000": app})
    return GatewayClient("http://gateway:8000/base", key="k", signer=signer, upstream=upstream, **options)


class Mounted:
    """The gateway under a base path; remembers what was asked."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.scopes: list[Any] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scopes.append(scope)
        await self.app({**scope, "root_path": "/base"}, receive, send)


async def test_a_whole_life() -> None:
    """Register, beat, drain and leave are all understood by our gateway, under a base path too."""
    gateway = Gateway(accept_unsigned=[])
    the = client(Mounted(gateway))
    reply = await the.register(registration_json(INSTANCE, LEASE), LEASE)
    assert reply.is_ok
    token = parse_answer(reply.body).token
    assert (await the.beat("orders", LEASE, "e.0")).body == b"true"
    assert (await the.drain(drain_json(Drain("orders", token)), LEASE)).is_ok
    assert (await the.leave("orders", LEASE)).is_ok
    assert (await the.beat("orders", LEASE, "e.0")).status == 410


async def test_fields() -> None:
    """Host, type and revision are what Java peers and ours expect."""
    app = Mounted(Gateway())
    await client(app).beat("orders", LEASE, "e.7")
    fields = dict(app.scopes[0]["headers"])
    assert app.scopes[0]["raw_path"] == b"/base/h/discovery/k/alive"
    assert fields[b"host"] == b"gateway:8000"
    assert fields[b"content-type"] == b"text/plain;charset=UTF-8"
    assert fields[b"hydra-revision"] == b"e.7"


@pytest.mark.parametrize("skew", [-3600.0, 3600.0])
async def test_clocks_that_differ(skew: float) -> None:
    """A clock that is an hour off costs one refused call, no more: the server's time is signed from then on."""
    app = Mounted(Gateway(accept_unsigned=[]))
    the = client(app, skew=skew)
    assert (await the.register(registration_json(INSTANCE, LEASE), LEASE)).is_ok
    assert len(app.scopes) == 2
    assert (await the.beat("orders", LEASE, "")).is_ok
    assert len(app.scopes) == 3


async def test_a_wrong_secret_is_tried_twice_and_no_more() -> None:
    """Where the time was not the trouble, the refusal is handed on."""
    app = Mounted(Gateway(accept_unsigned=[]))
    assert (await client(app, secret="another secret").beat("orders", LEASE, "")).status == 401
    assert len(app.scopes) == 2


async def test_no_secret_is_not_tried_again() -> None:
    """Without a secret there is nothing to sign again."""
    app = Mounted(Gateway(accept_unsigned=[]))
    assert (await client(app, secret="").beat("orders", LEASE, "")).status == 401
    assert len(app.scopes) == 1


def answering(status: int, body: bytes, *headers: tuple[bytes, bytes]) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": status, "headers": list(headers)})
        await send({"type": "http.response.body", "body": body})

    return app


@pytest.mark.parametrize("time", [None, b"soon", b"", b"9" * 40])
async def test_a_401_of_somebody_else(time: bytes | None) -> None:
    """A 401 without a usable time, as a proxy answers, is handed on."""
    headers = [] if time is None else [(b"hydra-time", time)]
    app = Mounted(answering(401, b"", *headers))
    assert (await client(app).beat("orders", LEASE, "")).status == 401
    assert len(app.scopes) == 1


async def test_answers_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gateway that answers without end is not listened to."""
    monkeypatch.setattr("hydra_asgi.service.gateway_client.MAX_REPLY", 10)
    with pytest.raises(UpstreamError) as caught:
        await client(answering(200, b"x" * 11)).beat("orders", LEASE, "")
    assert caught.value.kind is ErrorKind.TOO_LARGE


async def test_a_gateway_that_hangs() -> None:
    """A call ends in time, and says so as every failed call does."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.Event().wait()

    with pytest.raises(UpstreamError) as caught:
        await client(app, seconds=0.02).beat("orders", LEASE, "")
    assert caught.value.kind is ErrorKind.FIRST_BYTE_TIMEOUT


async def test_a_body_that_hangs() -> None:
    """A head in time does not make a whole answer."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        await asyncio.Event().wait()

    with pytest.raises(UpstreamError, match=r"0\.02 s"):
        await client(app, seconds=0.02).beat("orders", LEASE, "")


@pytest.mark.parametrize(("status", "is_ok"), [(200, True), (201, False), (204, False), (302, False), (410, False)])
def test_only_200_is_yes(status: int, is_ok: bool) -> None:
    """What a proxy or a login page answers is not a gateway's yes."""
    assert Reply(status, b"").is_ok is is_ok


def test_a_gateway_of_ours_says_why() -> None:
    """Its sentence is told without the JSON around it; what is no such sentence is shown as it came."""
    assert Reply(401, b'{"status":401,"reason":"the signature is old","time":5}').reason == "401 the signature is old"
    assert Reply(400, b'{"reason":"a\\u001bb"}').reason == "400 a?b"
    assert Reply(400, b'{"reason":5}').reason == '400 {"reason":5}'
    assert Reply(400, b"[]").reason == "400 []"


def test_reasons_are_printable() -> None:
    """A refusal is shown in one line, in part."""
    reply = Reply(403, json.dumps({"reason": "because"}).encode() + b"\r\n\x1b" + b"x" * 1000)
    assert reply.reason.startswith('403 {"reason": "because"}???xx')
    assert len(reply.reason) < 400
    assert Reply(404, b"").reason == "404"


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://gateway:8000", Address("http", "gateway", 8000)),
        ("https://gateway/base/", Address("https", "gateway", 443, "/base")),
        ("http://[::1]", Address("http", "::1", 80)),
    ],
)
def test_gateway_addresses(url: str, address: Address) -> None:
    """A base URL with the default ports and a base path."""
    assert gateway_address(url) == address


@pytest.mark.parametrize(
    "url",
    [
        "",
        "gateway:8000",
        "ftp://gateway",
        "http://",
        "http://u@gateway",
        "http://g:x",
        "http://g:70000",
        "http://g?x",
        "http://g#x",
        "http://g/\x00",
        "http://[::1",
    ],
)
def test_wrong_gateway_addresses(url: str) -> None:
    """What is no base URL is named at start-up."""
    with pytest.raises(ConfigurationError, match="gateway's URL"):
        gateway_address(url)
