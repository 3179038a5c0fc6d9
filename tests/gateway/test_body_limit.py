"""A limit for request bodies."""

from typing import Any

import pytest

from hydra_asgi.gateway.body_limit import BodyLimit
from tests.exchange import exchange, http_scope


class App:
    """Reads the body and says how long it was, or that the client has gone."""

    def __init__(self, *, begins_first: bool = False) -> None:
        self.begins_first = begins_first
        self.got = b""
        self.is_cut = False
        self.scopes: list[Any] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scopes.append(scope)
        if self.begins_first:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        more = scope["type"] == "http"
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.is_cut = True
                assert (await receive())["type"] == "http.disconnect"
                return
            self.got += message["body"]
            more = message["more_body"]
        if not self.begins_first:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})


def post(*length: bytes) -> dict[str, Any]:
    return http_scope(method="POST", headers=[(b"host", b"x"), *((b"content-length", one) for one in length)])


async def test_a_body_within_the_limit() -> None:
    """A body of just the limit passes."""
    app = App()
    answer = await exchange(BodyLimit(app, 10), post(b"10"), [b"12345", b"67890"])
    assert (answer.status, answer.body, app.got) == (200, b"done", b"1234567890")


async def test_a_declared_length() -> None:
    """A length beyond the limit is refused before anything is read, and the connection ends."""
    app = App()
    answer = await exchange(BodyLimit(app, 10), post(b"11"), b"12345678901")
    assert answer.status == 413
    assert b"At most 10 bytes" in answer.body
    assert answer.header(b"connection") == b"close"
    assert not app.scopes


@pytest.mark.parametrize("length", [(b"x",), (b"9" * 30,), ()])
async def test_a_stream_without_a_usable_length(length: tuple[bytes, ...]) -> None:
    """Without a length the bytes are counted; beyond the limit the app sees its client go, and the client gets 413."""
    app = App()
    answer = await exchange(BodyLimit(app, 10), post(*length), [b"12345", b"67890", b"1"])
    assert answer.status == 413
    assert app.is_cut
    assert app.got == b"1234567890"


async def test_an_answer_that_has_begun() -> None:
    """Nothing is added to an answer that has begun."""
    app = App(begins_first=True)
    answer = await exchange(BodyLimit(app, 10), post(), [b"12345", b"678901"])
    assert [message["type"] for message in answer.messages] == ["http.response.start"]


async def test_a_hint_is_no_answer() -> None:
    """What an app hints at before its answer does not keep the refusal back."""

    async def hinting(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.early_hint", "links": [b"</a.css>; rel=preload"]})
        await App()(scope, receive, send)

    answer = await exchange(BodyLimit(hinting, 10), post(), [b"12345", b"678901"])
    assert answer.status == 413


async def test_other_scopes() -> None:
    """What is not HTTP passes."""
    app = App()
    await BodyLimit(app, 0)({"type": "lifespan"}, None, lambda message: _nothing())
    assert app.scopes == [{"type": "lifespan"}]


async def _nothing() -> None:
    pass
