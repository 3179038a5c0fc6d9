"""The control plane as an ASGI app."""

import json
import logging
from datetime import datetime
from typing import Any

import pytest

from hydra_asgi.control.plane import ControlPlane, ReadyState, redacted, relative_path
from hydra_asgi.control.reply import reply_empty
from hydra_asgi.core.events import RegistrationRecord
from hydra_asgi.errors import RefusedError, StoreError
from tests.doubles.gateway import EPOCH, Gateway
from tests.exchange import Exchange, exchange, http_scope

KEY = "a-key-nobody-should-see"


async def get(app: Any, path: str, method: str = "GET", **options: Any) -> Exchange:
    return await exchange(app, http_scope(path, method=method, **options))


async def test_live() -> None:
    """A process that can answer is alive, whatever else is wrong."""
    gateway = Gateway(key="")
    gateway.state = ReadyState("starting", "no directory yet")
    answer = await get(gateway, "/h/live")
    assert (answer.status, answer.body) == (200, b'{"status":"ok"}')


@pytest.mark.parametrize(
    ("state", "status", "retry"),
    [
        (ReadyState(), 200, None),
        (ReadyState("degraded", "the store is away"), 200, None),
        (ReadyState("starting", "no directory yet"), 503, b"1"),
        (ReadyState("draining", "shutting down"), 503, b"1"),
    ],
)
async def test_ready(state: ReadyState, status: int, retry: bytes | None) -> None:
    """Readiness is 503 while starting or draining, and the body says why."""
    gateway = Gateway()
    gateway.state = state
    answer = await get(gateway, "/h/ready")
    assert answer.status == status
    assert json.loads(answer.body).get("why", "") == state.why
    assert json.loads(answer.body)["status"] == state.status
    assert answer.header(b"retry-after") == retry


async def test_ready_says_since_when() -> None:
    """Trouble comes with the time at which it began and how long it lasts, where that says anything."""
    gateway = Gateway()
    gateway.state = ReadyState("degraded", "the store is away", 12.345)
    body = json.loads((await get(gateway, "/h/ready")).body)
    assert body["seconds"] == 12.3
    began = datetime.fromisoformat(body["since"]).timestamp()
    assert abs(gateway.guard.now - 12.345 - began) < 2
    assert body["since"].endswith("Z")
    gateway.state = ReadyState("degraded", "the store is away")
    assert "since" not in json.loads((await get(gateway, "/h/ready")).body)


async def test_metrics_are_there_only_when_asked_for() -> None:
    """`/h/metrics` is whatever was given for it, and otherwise no path at all."""

    async def page(scope: Any, receive: Any, send: Any) -> None:
        await reply_empty(send, 204)

    gateway = Gateway()
    assert (await get(gateway, "/h/metrics")).status == 404
    plane = ControlPlane(gateway.guard, ready=ReadyState, metrics=page)
    assert (await get(plane, "/h/metrics")).status == 204
    assert (await get(plane, "/h/metrics/x")).status == 404


@pytest.mark.parametrize(
    ("call", "method", "action"),
    [
        ("registration", "POST", "register"),
        ("registration", "DELETE", "leave"),
        ("alive", "POST", "beat"),
        ("drain", "POST", "drain"),
    ],
)
async def test_refusals_are_told(call: str, method: str, action: str) -> None:
    """A refused call is told with its status, and without a name, since anybody can say one."""
    gateway = Gateway(accept_unsigned=[])
    answer = await gateway.call(call, b'{"service":"one"}', method=method)
    assert gateway.told == [RegistrationRecord(action, "", None, "", answer.status)]  # type: ignore[arg-type]


async def test_calls_about_fragments_are_none_of_a_service_s_life() -> None:
    """Only registrations, beats, drains and farewells are told."""
    gateway = Gateway()
    told: list[Any] = []

    async def refuse(scope: Any, receive: Any, send: Any) -> None:
        raise RefusedError(400, "no")

    plane = ControlPlane(gateway.guard, ready=ReadyState, ask=refuse, tell=told.append)
    assert (await get(plane, "/h/discovery/k/requestFragment", "POST")).status == 400
    assert told == []


async def test_health_methods() -> None:
    """Health is for GET and HEAD."""
    assert (await get(Gateway(), "/h/live", "HEAD")).status == 200
    answer = await get(Gateway(), "/h/live", "POST")
    assert (answer.status, answer.header(b"allow")) == (405, b"GET, HEAD")


@pytest.mark.parametrize(
    "path",
    [
        "/h/discovery/wrong/alive",
        "/h/discovery//alive",
        "/h/discovery/k",
        "/h/discovery/k/alive/",
        "/h/discovery/k/other",
        "/h/fragment/k/requestFragment",
        "/h/discovery/k/requestFragment",
        "/h",
        "/h/",
        "/x",
        "/h/public-key-update/k",
        "",
    ],
)
async def test_a_wrong_key_looks_like_nothing(path: str) -> None:
    """A wrong key, an unknown path and a role this node does not play all look the same: 404 without a body."""
    answer = await get(Gateway(), path, "POST")
    assert (answer.status, answer.body) == (404, b"")


@pytest.mark.parametrize("key", ["", "k"])
async def test_no_key_refuses_all(key: str) -> None:
    """A gateway that was given no key lets nothing register."""
    gateway = Gateway(key="")
    assert (await gateway.call("alive", b"one", key=key)).status == 404


async def test_wrong_method() -> None:
    """A known path says which methods it has, to those who know the key."""
    answer = await Gateway().call("registration", method="GET")
    assert (answer.status, answer.header(b"allow")) == (405, b"POST, DELETE")
    assert (await Gateway().call("registration", method="GET", key="x")).status == 404


async def test_fragments_are_delegated() -> None:
    """Fragment calls go to the desk they are for, after the key was checked."""

    async def ask(scope: Any, receive: Any, send: Any) -> None:
        await reply_empty(send, 299)

    async def render(scope: Any, receive: Any, send: Any) -> None:
        await reply_empty(send, 298)

    gateway = Gateway()
    plane = ControlPlane(gateway.guard, ready=ReadyState, ask=ask, render=render)
    assert (await get(plane, "/h/discovery/k/requestFragment", "POST")).status == 299
    assert (await get(plane, "/h/fragment/k/requestFragment", "POST")).status == 298
    assert (await get(plane, "/h/fragment/x/requestFragment", "POST")).status == 404
    assert (await get(plane, "/h/discovery/k/registration", "POST")).status == 404


@pytest.mark.parametrize("error", [RefusedError(422, "because"), StoreError("redis://secret is away")])
async def test_errors_of_a_desk(error: Exception) -> None:
    """What a desk raises is answered with the server's time, and the store's details stay inside."""

    async def ask(scope: Any, receive: Any, send: Any) -> None:
        raise error

    gateway = Gateway()
    plane = ControlPlane(gateway.guard, ready=ReadyState, ask=ask)
    answer = await get(plane, "/h/discovery/k/requestFragment", "POST")
    assert answer.status == (422 if isinstance(error, RefusedError) else 503)
    assert answer.header(b"hydra-time") == b"%d" % EPOCH
    assert b"redis" not in answer.body


@pytest.mark.parametrize(
    ("path", "root", "relative"),
    [
        ("/h/live", "", "/h/live"),
        ("/base/h/live", "/base", "/h/live"),
        ("/base/h/live", "/base/", "/h/live"),
        ("/h/live", "/base", "/h/live"),
        ("/base", "/base", ""),
        ("/baseless/h/live", "/base", "/baseless/h/live"),
    ],
)
async def test_mounted(path: str, root: str, relative: str) -> None:
    """Under a mount the control plane is found whether or not the server keeps the prefix in the path."""
    scope: Any = http_scope(path, root_path=root)
    assert relative_path(scope) == relative
    expected = 200 if relative == "/h/live" else 404
    assert (await exchange(Gateway(), scope)).status == expected


def test_scopes_without_a_root() -> None:
    """ASGI lets servers leave out `root_path`."""
    scope: Any = http_scope("/h/live")
    del scope["root_path"]
    assert relative_path(scope) == "/h/live"


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        (f"/h/discovery/{KEY}/alive", "/h/discovery/***/alive"),
        (f"/base/h/fragment/{KEY}/requestFragment", "/base/h/fragment/***/requestFragment"),
        ("/h/live", "/h/live"),
        ("/x", "/x"),
        ("/h/discovery//a\r\nb", "/h/discovery//a\\r\\nb"),
    ],
)
def test_redacted(path: str, shown: str) -> None:
    """The key does not reach the log, and neither does a line break."""
    assert redacted(path) == shown


async def test_refusals_are_logged_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    """A service that comes back every second is named once a minute, in one line and without the key."""
    gateway = Gateway(key=KEY)
    caplog.set_level(logging.WARNING, "hydra_asgi.control")
    for gateway.time in (0, 1, 59, 61):
        await gateway.call("alive", b"gh\x1bost", key=KEY)
    assert len(caplog.messages) == 2
    assert all("***" in line and KEY not in line and line.isprintable() for line in caplog.messages)
    await gateway.call("alive", b"gh\x1bost", key=KEY, ip="127.0.0.2")
    assert len(caplog.messages) == 3


async def test_websockets_are_refused() -> None:
    """A WebSocket is closed before it opens; no HTTP answer is sent to it."""
    result = Exchange()

    async def send(message: Any) -> None:
        result.messages.append(message)

    scope: Any = {**http_scope("/h/live"), "type": "websocket"}
    await Gateway()(scope, None, send)
    assert [message["type"] for message in result.messages] == ["websocket.close"]


async def test_an_app_of_its_own() -> None:
    """Served on an inner listener it takes part in lifespan."""
    incoming = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])
    sent: list[str] = []

    async def receive() -> Any:
        return next(incoming)

    async def send(message: Any) -> None:
        sent.append(message["type"])

    await Gateway()({"type": "lifespan"}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
