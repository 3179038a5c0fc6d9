"""Passing on trailers; what else becomes of a response is told in `test_forward`."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.core.instance import Address, ServiceInstance
from hydra_asgi.core.routing.balance import Group
from hydra_asgi.errors import ResponseCutError, UpstreamError
from hydra_asgi.gateway.forward import Forwarder
from hydra_asgi.gateway.forwarding_terms import ForwardingTerms
from hydra_asgi.gateway.observation import ForwardRecord
from hydra_asgi.ports import Headers, Timeouts, UpstreamRequest
from hydra_asgi.testing.fake_upstream import FakeResponse, FakeUpstream
from tests.exchange import Exchange, exchange, http_scope

GROUP = Group.build([ServiceInstance("orders", Address("http", "10.0.0.1", 80), token=1000000001)])
HOST = (b"host", b"site.test")
TE = (b"te", b"trailers")
OFFERS = {"http.response.trailers": {}, "http.response.early_hint": {}}
ANNOUNCED = (b"Trailer", b"X-Sum")
SUM = (b"X-Sum", b"1")


class Gateway:
    """A forwarder before one instance, behind a server that offers both extensions."""

    def __init__(self, answer: Any, **terms: Any) -> None:
        self.upstream = FakeUpstream(answer)
        self.records: list[ForwardRecord] = []
        self.forward = Forwarder(
            self.upstream,
            ForwardingTerms(
                pseudonym="node",
                trusted=lambda peer: False,
                vouch=lambda token: None,
                on_record=self.records.append,
                **terms,
            ),
        )

    async def ask(
        self, *headers: tuple[bytes, bytes], method: str = "GET", extensions: Any = OFFERS, on_send: Any = None
    ) -> Exchange:
        scope = http_scope(method=method, headers=[HOST, *headers]) | {"extensions": extensions}

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await self.forward(scope, receive, send, group=GROUP, key="", target=b"/")

        return await exchange(app, scope, on_send=on_send)

    def asked(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.upstream.requests[-1].headers if key == name]


def announcing(*trailers: tuple[bytes, bytes], status: int = 200, body: Any = b"page", **options: Any) -> FakeResponse:
    return FakeResponse(status, body, headers=[ANNOUNCED], trailers=trailers, **options)


async def test_announced_trailers_follow_the_body() -> None:
    """Who takes trailers gets the announcement, the body, and then those that may stand there."""
    gateway = Gateway(announcing(SUM, (b"Content-Length", b"9")))
    result = await gateway.ask(TE)
    assert result.messages[0]["trailers"] is True
    assert result.header(b"trailer") == b"x-sum"
    assert result.complete
    assert result.messages[-1] == {
        "type": "http.response.trailers", "headers": [(b"x-sum", b"1")], "more_trailers": False
    }  # fmt: skip
    assert gateway.asked(b"te") == [b"trailers"]
    assert gateway.asked(b"connection") == [b"te"]


async def test_an_announcement_that_is_not_kept_ends_the_response_all_the_same() -> None:
    """The server waits for trailers it was told of, so it gets the news that there are none."""
    result = await Gateway(announcing()).ask(TE)
    assert result.messages[-1]["headers"] == []


@pytest.mark.parametrize(
    ("headers", "extensions"),
    [((), OFFERS), (((b"te", b"gzip"),), OFFERS), ((TE,), {}), ((TE,), None), ((TE,), {"http.response.push": {}})],
)
async def test_who_takes_no_trailers_gets_none(headers: tuple[tuple[bytes, bytes], ...], extensions: Any) -> None:
    """Client and server both have to take them; else nobody is asked for any."""
    gateway = Gateway(announcing(SUM))
    result = await gateway.ask(*headers, extensions=extensions)
    assert [message["type"] for message in result.messages[-2:]] == ["http.response.body"] * 2
    assert result.messages[0]["trailers"] is False
    assert result.header(b"trailer") is None
    assert gateway.asked(b"te") == gateway.asked(b"connection") == []


@pytest.mark.parametrize(
    ("response", "method"),
    [
        (FakeResponse(200, b"page", trailers=[SUM]), "GET"),
        (FakeResponse(200, b"page", headers=[(b"Trailer", b"Set-Cookie")], trailers=[SUM]), "GET"),
        (FakeResponse(200, b"page", headers=[ANNOUNCED, (b"content-length", b"4")], trailers=[SUM]), "GET"),
        (announcing(SUM, body=b""), "HEAD"),
        (announcing(SUM, status=204, body=b""), "GET"),
        (announcing(SUM, status=304, body=b""), "GET"),
    ],
)
async def test_a_response_that_can_have_none_has_none(response: FakeResponse, method: str) -> None:
    """Not announced, announced in vain, of declared length, or without a body: it ends with its body."""
    result = await Gateway(response).ask(TE, method=method)
    assert result.messages[0]["trailers"] is False
    assert result.complete
    assert result.messages[-1]["type"] == "http.response.body"


async def test_a_response_that_breaks_off_has_no_trailers() -> None:
    """The client sees a cut body, and no end of any kind."""
    gateway = Gateway(announcing(SUM, body=[b"pa", UpstreamError(ErrorKind.TRUNCATED, "cut")]))
    with pytest.raises(ResponseCutError):
        await gateway.ask(TE)
    assert gateway.records[0].kind is ErrorKind.TRUNCATED


async def test_a_client_that_does_not_take_them_does_not_keep_its_place() -> None:
    """The limit on silence holds for trailers, too; the instance is not to blame."""
    gateway = Gateway(announcing(SUM), timeouts=replace(Timeouts(), idle=0.01))

    def stall(message: Any) -> Any:
        return asyncio.Event().wait() if message["type"] == "http.response.trailers" else None

    with pytest.raises(ResponseCutError):
        async with asyncio.timeout(10):
            await gateway.ask(TE, on_send=stall)
    assert gateway.records[0].kind is ErrorKind.CLIENT_SLOW


async def test_hints_come_before_the_response() -> None:
    """An instance's 103 reaches the client at once, while it still works on the response."""

    async def answer(request: UpstreamRequest) -> FakeResponse:
        assert request.on_interim is not None
        await request.on_interim(103, [(b"link", b"</a.css>; rel=preload")])
        return FakeResponse()

    result = await Gateway(answer).ask()
    assert [message["type"] for message in result.messages[:2]] == ["http.response.early_hint", "http.response.start"]
    assert result.messages[0]["links"] == [b"</a.css>; rel=preload"]


async def test_where_nobody_can_say_them_hints_are_not_heard() -> None:
    """Without the extension the upstream has nobody to tell."""
    gateway = Gateway(FakeResponse())
    await gateway.ask(extensions={})
    assert gateway.upstream.requests[0].on_interim is None


async def test_a_client_that_leaves_during_a_hint_is_not_held_against_the_instance() -> None:
    """It gets no answer, and the record says who went."""

    async def answer(request: UpstreamRequest) -> FakeResponse:
        assert request.on_interim is not None
        await request.on_interim(103, _links())
        raise AssertionError("the request goes on without a client")

    def leave(message: Any) -> None:
        raise ConnectionResetError

    gateway = Gateway(answer)
    result = await gateway.ask(on_send=leave)
    assert [message["type"] for message in result.messages] == ["http.response.early_hint"]
    assert gateway.records[0].kind is ErrorKind.CLIENT_GONE


def _links() -> Headers:
    return [(b"link", b"</a.css>")]
