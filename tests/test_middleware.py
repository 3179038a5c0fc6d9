"""The middleware around real frameworks: every way to mount it, lifespan on and off, compression on either side."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import HTMLResponse, StreamingResponse
from quart import Quart
from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Route
from starlette.testclient import TestClient

from hydra_asgi import ConfigurationError, Hydra, HydraMiddleware
from hydra_asgi.backends.memory import MemoryStore
from hydra_asgi.middleware import node_of
from hydra_asgi.testing import FakeUpstream
from tests.doubles.prober import FakeProber
from tests.doubles.server import StartFailedError, lifespan
from tests.exchange import Exchange, exchange, http_scope

HTML = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]}
PAGE = '<h1>page</h1><m:fragment ref="plain">no plain</m:fragment><m:fragment ref="routed">no routed</m:fragment>'
COMPOSED = b"<h1>page</h1><b>plain</b><i>routed</i>"


def new_hydra(**options: Any) -> Hydra:
    return Hydra(**{"service": "shop", "upstream": FakeUpstream(), "prober": FakeProber(), **options})


def plain(hydra: Hydra) -> None:
    @hydra.fragment("plain")
    async def fragment() -> str:
        return "<b>plain</b>"


def fastapi_app(hydra: Hydra) -> FastAPI:
    app, router = FastAPI(), APIRouter()
    plain(hydra)

    @router.get("/page", response_class=HTMLResponse)
    async def page() -> str:
        return PAGE

    @app.get("/routed", response_class=HTMLResponse)
    @hydra.fragment("routed")
    async def routed(request: Request) -> str:
        return "<i>routed</i>" if request.app is app else "<i>no app</i>"

    app.include_router(router)
    app.add_middleware(HydraMiddleware, hydra=hydra)
    return app


def starlette_app(hydra: Hydra) -> Starlette:
    plain(hydra)

    async def page(request: Any) -> HTMLResponse:
        return HTMLResponse(PAGE)

    @hydra.fragment("routed")
    async def routed(request: Any) -> HTMLResponse:
        return HTMLResponse("<i>routed</i>")

    app = Starlette(routes=[Route("/page", page), Route("/routed", routed)])
    app.add_middleware(HydraMiddleware, hydra=hydra)  # type: ignore[arg-type]
    return app


def quart_app(hydra: Hydra) -> Quart:
    app = Quart("quart_app")
    plain(hydra)

    @app.get("/page")
    async def page() -> str:
        return PAGE

    @app.get("/routed")
    @hydra.fragment("routed")
    async def routed() -> str:
        return "<i>routed</i>"

    app.asgi_app = HydraMiddleware(app.asgi_app, hydra=hydra)  # type: ignore[method-assign]
    return app


def bare_app(hydra: Hydra) -> Any:
    plain(hydra)

    @hydra.fragment("routed")
    async def routed() -> str:
        return "<i>routed</i>"

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        if scope["path"] == "/page":
            await send(HTML)
            await send({"type": "http.response.body", "body": PAGE.encode()})
        else:
            await send({"type": "http.response.start", "status": 404, "headers": []})
            await send({"type": "http.response.body", "body": b"not here"})

    return HydraMiddleware(app, hydra=hydra)


FRAMEWORKS = [fastapi_app, starlette_app, quart_app, bare_app]


@pytest.mark.parametrize("has_lifespan", [True, False], ids=["lifespan", "no lifespan"])
@pytest.mark.parametrize("make", FRAMEWORKS)
async def test_every_framework(make: Callable[[Hydra], Any], has_lifespan: bool) -> None:
    """A page of any framework is composed with fragments from routes and functions, whatever the server starts."""
    hydra = new_hydra()
    app = make(hydra)
    async with AsyncExitStack() as stack:
        if has_lifespan:
            await stack.enter_async_context(lifespan(app))
            assert hydra.running is not None
        assert (await exchange(app, http_scope("/page"))).body == COMPOSED
        assert (await exchange(app, http_scope("/h/live"))).status == 200
        assert hydra.state in ("starting", "registered")
        if not has_lifespan:
            await hydra.stop()
    assert hydra.state == "stopped"


@pytest.mark.parametrize("make", FRAMEWORKS[:3])
async def test_start_without_lifespan_and_without_a_request(
    make: Callable[[Hydra], Any], eventually: Callable[..., Any]
) -> None:
    """`hydra.start(app)` joins the site while the framework has not even built its middleware."""
    store = MemoryStore()
    hydra = new_hydra(store=store, address="http://10.0.0.7:80")
    app = make(hydra)
    await hydra.start(app)
    await eventually(lambda: hydra.state == "registered")
    (listed,) = (await store.snapshot()).instances
    assert "/page" in [route.template for route in listed.routes]
    assert {fragment.ref for fragment in listed.fragments or ()} == {"plain", "routed"}
    assert (await exchange(app, http_scope("/page"))).body == COMPOSED
    await hydra.stop()
    assert (await store.snapshot()).instances == ()


async def test_a_sub_app() -> None:
    """An app that is mounted in another one gets no lifespan; it works below its mount point, control plane and all."""
    hydra = new_hydra()
    sub = FastAPI()

    @sub.get("/page", response_class=HTMLResponse)
    async def page() -> str:
        return '<m:fragment ref="where">nowhere</m:fragment>'

    @sub.get("/where", response_class=HTMLResponse)
    @hydra.fragment("where")
    async def where(request: Request) -> str:
        return f"{request.url.path} {request.url_for('page').path} {request.app is sub}"

    sub.add_middleware(HydraMiddleware, hydra=hydra)
    app = FastAPI()
    app.mount("/sub", sub)

    @app.get("/own")
    async def own() -> str:
        return "own"

    async with lifespan(app):
        assert hydra.running is None
        assert (await exchange(app, http_scope("/sub/page"))).body == b"/sub/where /sub/page True"
        assert (await exchange(app, http_scope("/sub/h/ready"))).status in (200, 503)
        assert (await exchange(app, http_scope("/own"))).body == b'"own"'
        assert (await exchange(app, http_scope("/h/ready"))).status == 404
        await hydra.stop()


async def test_a_mount_point_that_only_requests_tell() -> None:
    """Where a proxy strips a path, requests tell so and the lifespan does not: links in fragments are right anyway."""
    hydra = new_hydra()
    app = FastAPI()

    @app.get("/page", response_class=HTMLResponse)
    async def page() -> str:
        return '<m:fragment ref="link">no link</m:fragment>'

    @app.get("/link", response_class=HTMLResponse)
    @hydra.fragment("link")
    async def link(request: Request) -> str:
        return request.url_for("page").path

    app.add_middleware(HydraMiddleware, hydra=hydra)
    async with lifespan(app):
        answer = await exchange(app, http_scope("/api/page", root_path="/api"))
        assert answer.body == b"/api/page"


async def test_the_state_of_one_visitor_is_not_shown_to_another() -> None:
    """What a middleware finds out about a visitor stays in their request; fragments see what the lifespan made."""
    hydra = new_hydra()

    async def page(request: Any) -> HTMLResponse:
        return HTMLResponse('<m:fragment ref="state">no state</m:fragment>')

    @hydra.fragment("state")
    async def state(request: Any) -> HTMLResponse:
        return HTMLResponse(repr(sorted(request.scope.get("state", {}).items())))

    app = Starlette(routes=[Route("/page", page), Route("/state", state)])
    app.add_middleware(HydraMiddleware, hydra=hydra)  # type: ignore[arg-type]

    async def visit(name: str, **shared: str) -> bytes:
        scope = http_scope("/page")
        scope["state"] = {**shared, "user": name}
        return (await exchange(app, scope)).body

    assert await visit("Ada") == await visit("Bob") == b"[]"
    await hydra.stop()
    async with lifespan(app) as state_of_app:
        state_of_app["pool"] = "open"
        assert await visit("Ada", pool="open") == b"[('pool', 'open')]"


@pytest.mark.parametrize("make", FRAMEWORKS)
def test_two_loops_one_after_another(make: Callable[[Hydra], Any]) -> None:
    """A test client without a lifespan runs each request in a loop of its own; each finds a node."""
    client = TestClient(make(new_hydra()))
    for _ in range(2):
        assert client.get("/page").content == COMPOSED


def test_two_lifespans_one_after_another() -> None:
    """An app may be started, stopped and started again."""
    hydra = new_hydra()
    app = fastapi_app(hydra)
    for _ in range(2):
        with TestClient(app) as client:
            assert client.get("/page").content == COMPOSED
        assert hydra.state == "stopped"


async def test_an_error_at_the_start_is_reported() -> None:
    """A declaration that cannot be kept stops the server's start-up with what is to be done."""
    hydra = new_hydra()
    app = fastapi_app(hydra)
    hydra.menu("main")(test_an_error_at_the_start_is_reported)
    with pytest.raises(StartFailedError, match="give path=") as failed:
        async with lifespan(app):
            raise AssertionError
    assert isinstance(failed.value.__cause__, ConfigurationError)
    assert hydra.state == "stopped"


async def test_an_error_at_the_first_request() -> None:
    """Without lifespan each request fails until it is mended: nothing is half started."""
    hydra = new_hydra()
    app = bare_app(hydra)
    hydra.menu("main")(test_an_error_at_the_first_request)
    for _ in range(2):
        with pytest.raises(ConfigurationError, match="give path="):
            await exchange(app, http_scope("/page"))
        assert hydra.state == "stopped"


class SlowStore(MemoryStore):
    """Answers when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.asked = 0

    async def revision(self) -> Any:
        self.asked += 1
        await self.gate.wait()
        return await super().revision()


async def test_first_requests_at_the_same_time(eventually: Callable[..., Any]) -> None:
    """Requests that arrive while the first one starts the node wait for it, and see its routes."""
    store = SlowStore()
    hydra = new_hydra(store=store)
    app = fastapi_app(hydra)
    requests = [asyncio.create_task(exchange(app, http_scope("/page"))) for _ in range(3)]
    await eventually(lambda: store.asked)
    await asyncio.sleep(0)
    store.gate.set()
    assert [(await request).body for request in requests] == [COMPOSED] * 3
    await hydra.stop()


# Compression


def streaming_app(hydra: Hydra, gate: asyncio.Event) -> FastAPI:
    app = FastAPI()
    plain(hydra)

    async def pieces() -> AsyncIterator[str]:
        yield "<head></head>" + "<p>padding</p>" * 100
        await gate.wait()
        yield '<m:fragment ref="plain">no plain</m:fragment>' + "<p>more</p>" * 100

    @app.get("/page")
    async def page() -> StreamingResponse:
        return StreamingResponse(pieces(), media_type="text/html")

    return app


def unzipped(answer: Exchange) -> bytes:
    return zlib.decompress(answer.body, 31) if answer.header(b"content-encoding") == b"gzip" else answer.body


@pytest.mark.parametrize("outside", [True, False])
async def test_gzip_on_either_side(outside: bool) -> None:
    """A page is composed whether the compression is outside of us or inside, and its first bytes leave at once."""
    hydra, gate = new_hydra(), asyncio.Event()
    app = streaming_app(hydra, gate)
    for middleware in (HydraMiddleware, GZipMiddleware) if outside else (GZipMiddleware, HydraMiddleware):
        app.add_middleware(middleware, **({"hydra": hydra} if middleware is HydraMiddleware else {}))  # type: ignore[arg-type]
    decoder, early = zlib.decompressobj(31), b""

    def watch(message: dict[str, Any]) -> None:
        nonlocal early
        if message["type"] == "http.response.body" and not gate.is_set():
            early += decoder.decompress(message["body"]) if outside else message["body"]
            if early:
                gate.set()

    headers = [(b"host", b"site.test"), (b"accept-encoding", b"gzip")]
    answer = await exchange(app, http_scope("/page", headers=headers), on_send=watch)
    assert early.startswith(b"<head></head>")
    assert (answer.header(b"content-encoding") == b"gzip") is outside
    assert unzipped(answer) == b"<head></head>" + b"<p>padding</p>" * 100 + b"<b>plain</b>" + b"<p>more</p>" * 100
    assert answer.header(b"content-length") is None
    await hydra.stop()


# Switched off


@pytest.mark.parametrize("make", FRAMEWORKS)
async def test_switched_off(make: Callable[[Hydra], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """`HYDRA_ENABLED=0` leaves the app as it is: tags stay, `/h/` is its own 404, and nothing starts."""
    monkeypatch.setenv("HYDRA_ENABLED", "0")
    hydra = new_hydra()
    app = make(hydra)
    tasks = asyncio.all_tasks()
    await hydra.start(app)
    assert (await exchange(app, http_scope("/page"))).body == PAGE.encode()
    assert (await exchange(app, http_scope("/h/live"))).status == 404
    assert asyncio.all_tasks() == tasks
    assert hydra.state == "stopped"


async def test_switched_off_with_lifespan() -> None:
    """The app's lifespan is its own then."""
    hydra = new_hydra(enabled=False)
    async with lifespan(fastapi_app(hydra)):
        assert hydra.running is None


async def test_other_scopes_pass() -> None:
    """Whatever else a server may have for the app is none of ours."""
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    hydra = new_hydra()
    await HydraMiddleware(app, hydra=hydra)({"type": "telepathy"}, None, None)  # type: ignore[arg-type, typeddict-item]
    assert seen == ["telepathy"]
    assert hydra.running is None


async def test_sockets_reach_the_app() -> None:
    """A WebSocket of the app is the app's."""
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])
        await send({"type": "websocket.accept"})

    hydra = new_hydra()
    messages = (await exchange(HydraMiddleware(app, hydra=hydra), {**http_scope("/ws"), "type": "websocket"})).messages
    assert (seen, messages) == (["websocket"], [{"type": "websocket.accept"}])
    await hydra.stop()


# Finding the node of an app


@pytest.mark.parametrize("make", FRAMEWORKS)
def test_the_node_of_an_app(make: Callable[[Hydra], Any]) -> None:
    """The node is found however it is mounted, before the framework has built anything."""
    hydra = new_hydra()
    assert node_of(make(hydra)) is hydra


def test_apps_without_a_node() -> None:
    """An app without a node has none, with other middleware or without."""
    app = FastAPI()
    app.add_middleware(GZipMiddleware)
    assert node_of(app) is None
    assert node_of(lambda scope, receive, send: None) is None
