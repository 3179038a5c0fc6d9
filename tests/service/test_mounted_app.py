"""The mounted app, as the rest of the node calls it."""

import math
from typing import Any

import pytest

from hydra_asgi.service.mounted_app import PAGE_ATTRIBUTES, MountedApp
from tests.exchange import http_scope


class App:
    """Notes the scopes it is called with."""

    def __init__(self) -> None:
        self.scopes: list[dict[str, Any]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scopes.append(scope)

    @property
    def seen(self) -> tuple[str, str, bytes]:
        scope = self.scopes[-1]
        return scope["root_path"], scope["path"], scope["raw_path"]


class Compose:
    """Runs the app, and notes what it was told about the page."""

    def __init__(self) -> None:
        self.told: dict[str, Any] = {}

    async def __call__(self, app: Any, scope: Any, receive: Any, send: Any, **told: Any) -> None:
        self.told = told
        await app(scope, receive, send)


def mounted(service: str = "shop", prefix: str = "") -> tuple[MountedApp, App, Compose]:
    app, compose = App(), Compose()
    return MountedApp(lambda: app, compose, service=service, prefix=prefix), app, compose  # type: ignore[arg-type, return-value]


async def run(mounted_app: MountedApp, scope: Any, **options: Any) -> None:
    await mounted_app(scope, None, None, **options)  # type: ignore[arg-type]


async def test_pages_are_composed() -> None:
    """A request is composed with the page's headers, key, and a dict of attributes that the page can fill."""
    serve, app, compose = mounted()
    scope = http_scope("/a")
    await run(serve, scope, key="k" * 16)
    assert compose.told.pop("attributes") is app.scopes[0][PAGE_ATTRIBUTES]
    assert compose.told == {
        "service": "shop",
        "headers": scope["headers"],
        "key": "k" * 16,
        "depth": 0,
        "deadline": math.inf,
    }
    assert PAGE_ATTRIBUTES not in scope


async def test_each_page_has_attributes_of_its_own() -> None:
    """What one page lends is not seen by another, nor by the page around it."""
    serve, app, _ = mounted()
    await run(serve, http_scope())
    app.scopes[0][PAGE_ATTRIBUTES]["a"] = 1
    await run(serve, app.scopes[0])
    assert app.scopes[1][PAGE_ATTRIBUTES] == {}


async def test_sockets_are_not_composed() -> None:
    """A WebSocket goes to the app as it is, with the mount point of the app."""
    serve, app, compose = mounted(prefix="/p")
    await run(serve, {**http_scope("/p/ws"), "type": "websocket"})
    assert app.seen == ("/p", "/p/ws", b"/p/ws")
    assert compose.told == {}
    assert PAGE_ATTRIBUTES not in app.scopes[0]


async def test_the_app_may_be_built_anew() -> None:
    """The app is asked for at each request, because frameworks rebuild their middleware."""
    apps = [App(), App()]
    waiting = list(apps)
    serve = MountedApp(lambda: waiting.pop(0), Compose(), service="", prefix="")  # type: ignore[arg-type, return-value]
    await run(serve, http_scope())
    await run(serve, http_scope())
    assert [len(app.scopes) for app in apps] == [1, 1]


@pytest.mark.parametrize(
    ("root", "path", "seen"),
    [
        ("", "/orders/1", ("/orders", "/orders/1", b"/orders/1")),
        ("", "/orders", ("/orders", "/orders", b"/orders")),
        ("", "/ordersx", ("", "/ordersx", b"/ordersx")),
        ("", "/other", ("", "/other", b"/other")),
        ("/sub", "/sub/orders/1", ("/sub/orders", "/sub/orders/1", b"/sub/orders/1")),
        ("/sub", "/orders/1", ("/sub/orders", "/sub/orders/1", b"/sub/orders/1")),
        ("/sub", "/sub/other", ("/sub", "/sub/other", b"/sub/other")),
    ],
)
async def test_prefix(root: str, path: str, seen: tuple[str, str, bytes]) -> None:
    """Below its prefix an app sees that as part of its mount point, by whole segments, with bytes as they came."""
    serve, app, _ = mounted(prefix="/orders")
    await run(serve, http_scope(path, root_path=root))
    assert app.seen == seen


async def test_bytes_of_a_path_stay() -> None:
    """An escaped slash below the prefix stays one."""
    serve, app, _ = mounted(prefix="/orders")
    await run(serve, http_scope("/orders/a/b", raw_path=b"/orders/a%2Fb"))
    assert app.seen == ("/orders", "/orders/a/b", b"/orders/a%2Fb")


async def test_a_given_target() -> None:
    """A path that was found by token or name is served in the place of the request's own, below the mount point."""
    serve, app, _ = mounted(prefix="/p")
    await run(serve, http_scope("/sub/1234567890/a b", root_path="/sub"), target=b"/static/a%20b")
    assert app.seen == ("/sub", "/sub/static/a b", b"/sub/static/a%20b")
    await run(serve, http_scope("/x"), target=b"/static/%ff")
    assert app.seen == ("", "/static/\ufffd", b"/static/%ff")


async def test_own_files() -> None:
    """The app's own `/{service}/static/...` is its `/static/...`, however the request came here."""
    serve, app, _ = mounted()
    await run(serve, http_scope("/shop/static/app.css"))
    assert app.seen == ("", "/static/app.css", b"/static/app.css")
    await run(serve, http_scope("/sub/shop/static/a b", raw_path=b"/sub/shop/static/a%20b", root_path="/sub"))
    assert app.seen == ("/sub", "/sub/static/a b", b"/sub/static/a%20b")
    for other in ("/shop/statics", "/other/static/app.css", "/static/app.css"):
        await run(serve, http_scope(other))
        assert app.seen == ("", other, other.encode())


async def test_an_app_without_a_name() -> None:
    """Without a service name there are no own files to find."""
    serve, app, _ = mounted(service="")
    await run(serve, http_scope("//static/x"))
    assert app.seen == ("", "//static/x", b"//static/x")
