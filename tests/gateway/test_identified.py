"""Each request has a name, and no trace but a sound one."""

from collections.abc import Sequence
from typing import Any

import pytest

from hydra_asgi.gateway.identified import Identified
from tests.exchange import exchange, http_scope

HOST = (b"host", b"site.test")
ID = b"x-request-id"


class Front:
    """Answers, and remembers the scopes."""

    def __init__(self, headers: Sequence[tuple[bytes, bytes]] = ()) -> None:
        self.scopes: list[Any] = []
        self.counted: list[None] = []
        self._headers = headers
        self.app = Identified(
            self,
            trusted=lambda ip: ip.startswith("10."),
            mint=lambda: f"minted{len(self.scopes)}",
            count=lambda: self.counted.append(None),
        )

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scopes.append(scope)
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": self._headers})
            await send({"type": "http.response.body", "body": b""})

    @property
    def seen(self) -> list[bytes]:
        return [value for name, value in self.scopes[-1]["headers"] if name == ID]


@pytest.mark.parametrize(
    ("client", "value", "seen"),
    [
        ("10.0.0.1", b"theirs", b"theirs"),
        ("192.0.2.1", b"theirs", b"minted0"),
        ("10.0.0.1", b"not plain", b"minted0"),
        ("10.0.0.1", b"", b"minted0"),
    ],
)
async def test_whose_name_it_is(client: str, value: bytes, seen: bytes) -> None:
    """A plain name of a trusted proxy is kept; everybody else's request gets a new one, and the answer says which."""
    front = Front()
    scope = http_scope(headers=[HOST, (ID, value)], client=(client, 1))
    answer = await exchange(front.app, scope)
    assert front.seen == [seen]
    assert answer.all(ID) == [seen]
    assert scope["headers"] == [HOST, (ID, value)]  # the server's scope is not ours to change


async def test_a_caller_without_an_address_is_a_stranger() -> None:
    """Nobody vouches for what comes over a Unix socket."""
    front = Front()
    await exchange(front.app, {**http_scope(headers=[HOST, (ID, b"theirs")]), "client": None})
    assert front.seen == [b"minted0"]


async def test_each_request_has_its_own() -> None:
    """Two requests have two names, and each is counted."""
    front = Front()
    first, second = [(await exchange(front.app)).header(ID) for _ in range(2)]
    assert (first, second) == (b"minted0", b"minted1")
    assert len(front.counted) == 2


async def test_an_app_may_answer_with_a_name_of_its_own() -> None:
    """The field never stands twice."""
    assert (await exchange(Front([(b"X-Request-Id", b"app")]).app)).all(ID) == [b"app"]


async def test_an_unsound_trace_goes_no_further() -> None:
    """A malformed trace is dropped, so that the next one to record begins a new trace; a good one passes as it is."""
    front = Front()
    good = (b"traceparent", b"00-" + b"1" * 32 + b"-" + b"2" * 16 + b"-01")
    await exchange(front.app, http_scope(headers=[HOST, good]))
    assert good in front.scopes[-1]["headers"]
    await exchange(front.app, http_scope(headers=[HOST, (b"traceparent", b"x" * 10_240), (b"tracestate", b"a=1")]))
    assert front.scopes[-1]["headers"] == [HOST, (ID, b"minted1")]


async def test_a_socket_is_named_too() -> None:
    """A WebSocket's handshake carries the name; its answers are left as they are."""
    front = Front()
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        raise AssertionError("nobody asks")

    await front.app({**http_scope(), "type": "websocket"}, receive, send)
    assert front.seen == [b"minted0"]
