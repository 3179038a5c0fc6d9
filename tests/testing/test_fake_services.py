"""A site made of apps in one process."""

import asyncio
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse
from quart import Quart
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from hydra_asgi import ConfigurationError, Hydra, HydraMiddleware
from hydra_asgi.testing import fake_fragments, fake_services

PAGE = (
    '<!DOCTYPE html><h1>shop</h1><m:fragment service="orders" ref="checkout" imports="dob"><p>a break</p></m:fragment>'
)


def shop_app(**options: Any) -> tuple[FastAPI, Hydra]:
    app, hydra = FastAPI(openapi_url=None), Hydra(service="shop", **options)
    app.add_middleware(HydraMiddleware, hydra=hydra)

    @app.get("/", response_class=HTMLResponse)
    @hydra.menu("main", label="Shop")
    async def home(request: Request) -> str:
        hydra.lend(request, dob="1990-04-01")
        return PAGE

    @app.get("/menu")
    async def menu() -> list[str]:
        return [entry.label for entry in hydra.overview.menu("main")]

    @app.get("/slow/{name}")
    async def slow(name: str) -> str:
        return name

    @hydra.fragment("mini")
    async def mini() -> str:
        return "<i>shop</i>"

    return app, hydra


def orders_app(**options: Any) -> tuple[Quart, Hydra]:
    app, hydra = Quart("orders"), Hydra(service="orders", **options)
    app.asgi_app = HydraMiddleware(app.asgi_app, hydra=hydra)  # type: ignore[method-assign]

    @app.get("/orders/<int:number>")
    @hydra.menu("main", label="Orders", path="/orders/1")
    async def order(number: int) -> str:
        return f"order {number}"

    @app.post("/orders")
    async def place() -> str:
        from quart import request

        return f"placed {(await request.get_data()).decode()} {request.content_length}"

    @app.get("/orders/page")
    async def page() -> str:
        return '<m:fragment service="shop" ref="mini">no shop</m:fragment>'

    @hydra.fragment("checkout", imports=["dob"])
    async def checkout(request: Any) -> str:
        return f"<form>{request.attributes.get('dob')}</form>"

    return app, hydra


def bare_app(text: str = "bare") -> Starlette:
    async def answer(request: Any) -> PlainTextResponse:
        return PlainTextResponse(f"{text} {request.url.path}")

    return Starlette(routes=[Route("/bare", answer), Route("/menu", answer)])


SERVICE_ROLE = {"gateways": ["http://gateway.invalid:1"], "address": "http://orders.invalid:2", "key": "another"}


@pytest.mark.parametrize("role", [{}, SERVICE_ROLE], ids=["gateway", "service"])
@pytest.mark.parametrize("lifespan", [True, False])
def test_nodes_make_a_site(lifespan: bool, role: dict[str, Any]) -> None:
    """Apps with nodes of any role forward to each other, share menus and show each other's fragments."""
    shop, hydra = shop_app()
    orders, _ = orders_app(**role)
    with fake_services(hydra, {"orders": orders}):
        client = TestClient(shop)
        if lifespan:
            client.__enter__()
        assert "<form>1990-04-01</form>" in client.get("/").text
        assert client.get("/orders/7").text == "order 7"
        assert client.post("/orders", content=b"mug").text == "placed mug 3"
        assert client.get("/orders/page").text == "<i>shop</i>"
        assert client.get("/menu").json() == ["Shop", "Orders"]
        if lifespan:
            client.__exit__(None, None, None)


async def test_async_tests() -> None:
    """The same works under `httpx.ASGITransport`, from several requests at once."""
    shop, hydra = shop_app(gateways=["http://gateway.invalid:1"], address="8000", key="k")
    orders, _ = orders_app()
    with fake_services(hydra, {"orders": orders}):
        async with httpx.AsyncClient(transport=httpx.ASGITransport(shop), base_url="http://site.test") as client:
            pages = await asyncio.gather(*(client.get("/") for _ in range(5)))
            assert all("<form>1990-04-01</form>" in page.text for page in pages)
            assert (await client.get("/orders/7")).text == "order 7"


def test_complete_from_the_start() -> None:
    """A path that nobody publishes is the tested app's own 404 at once, not a site that is still starting."""
    shop, hydra = shop_app()
    with fake_services(hydra, {}):
        assert TestClient(shop).get("/nowhere").json() == {"detail": "Not Found"}


def test_plain_apps() -> None:
    """The routes of an app without a node are read; the app under test is older; it renders no fragments."""
    shop, hydra = shop_app()
    with fake_services(hydra, {"orders": bare_app()}):
        client = TestClient(shop)
        assert client.get("/bare").text == "bare /bare"
        assert client.get("/menu").json() == ["Shop"]
        assert "<p>a break</p>" in client.get("/").text


def test_earlier_services_are_older() -> None:
    """Of two services that publish the same route, the one that was named first answers."""
    shop, hydra = shop_app()
    with fake_services(hydra, {"b": bare_app("first"), "a": bare_app("second")}):
        assert TestClient(shop).get("/bare").text == "first /bare"


def test_routes_of_unreadable_apps() -> None:
    """Routes of an app that cannot be read are named; else it answers everything that nobody publishes."""
    shop, hydra = shop_app()

    async def raw(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse(f"raw {scope['path']}")(scope, receive, send)

    with fake_services(hydra, {"raw": raw}, routes={"raw": ["GET /old/{id}"]}):
        client = TestClient(shop)
        assert client.get("/old/1").text == "raw /old/1"
        assert client.get("/other").status_code == 404
    with fake_services(hydra, {"raw": raw}):
        assert TestClient(shop).get("/other").text == "raw /other"


def test_stopped_and_restarted() -> None:
    """A stopped service is listed and refuses connections: 503 for its pages, fallbacks for its fragments."""
    shop, hydra = shop_app()
    orders, _ = orders_app()
    with fake_services(hydra, {"orders": orders}) as services:
        client = TestClient(shop)
        services.stop("orders")
        services.stop("orders")
        assert client.get("/orders/7").status_code == 503
        assert "<p>a break</p>" in client.get("/").text
        services.restart("orders")
        assert "<form>" in client.get("/").text


def test_a_service_that_is_not_there() -> None:
    """A misspelt name is told, with those that there are."""
    _, hydra = shop_app()
    orders, _ = orders_app()
    with fake_services(hydra, {"orders": orders}) as services:
        for verb in (services.stop, services.restart):
            with pytest.raises(ConfigurationError, match="no service 'odrers' on this stage; there are: orders"):
                verb("odrers")


def test_a_started_app_goes_on_stage_and_back() -> None:
    """Services may come and go while the app runs: what it was before is what it is afterwards."""
    shop, hydra = shop_app()
    orders, _ = orders_app()
    with TestClient(shop) as client:
        assert "<p>a break</p>" in client.get("/").text
        with fake_services(hydra, {"orders": orders}):
            assert "<form>1990-04-01</form>" in client.get("/").text
        assert "<p>a break</p>" in client.get("/").text
        assert hydra.options.key == ""


def test_with_fake_fragments() -> None:
    """Fragments from a dictionary win over those of services."""
    shop, hydra = shop_app()
    orders, _ = orders_app()
    with fake_services(hydra, {"orders": orders}), fake_fragments(hydra, {("orders", "checkout"): "<b>fake</b>"}):
        assert "<b>fake</b>" in TestClient(shop).get("/").text


def test_another_version_of_the_same_service() -> None:
    """A second version of the tested app's own service takes its share."""
    hydra = Hydra(service="orders", version=1, weight=0)
    first, newer = orders_app()[0], orders_app(version=2)[0]
    with fake_services(hydra, {"orders": newer}):
        app = HydraMiddleware(first, hydra=hydra)
        response = TestClient(app).get("/orders/7")
        assert response.text == "order 7"
        assert response.headers["via"].startswith("1.1 hydra-")


def test_a_node_without_a_name() -> None:
    """The app under test needs no service name; it is just nobody's service."""
    app, hydra = FastAPI(), Hydra()
    app.add_middleware(HydraMiddleware, hydra=hydra)
    with fake_services(hydra, {"orders": orders_app()[0]}):
        assert TestClient(app).get("/orders/7").text == "order 7"
        assert TestClient(app).get("/orders/page").text == "no shop"


def test_services_are_reached_before_the_tested_app() -> None:
    """A service may be called first, when nothing is known of the app under test yet."""
    _, hydra = shop_app()
    orders, _ = orders_app()
    with fake_services(hydra, {"orders": orders}):
        assert TestClient(orders).get("/orders/page").text == "no shop"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("services", "routes", "message"),
    [
        ({"not a name": bare_app()}, {}, "services=.*'not a name'"),
        ({"order": orders_app()[0]}, {}, "'order', but that app joins the site as 'orders'"),
        ({"bare": bare_app()}, {"baer": ["/x"]}, "routes= names 'baer'"),
        ({"orders": orders_app()[0]}, {"orders": ["/x"]}, "routes= names 'orders'"),
        ({"bare": bare_app()}, {"bare": ["x"]}, "routes= has 'x'"),
    ],
)
def test_mistakes_are_named(services: dict[str, Any], routes: dict[str, list[str]], message: str) -> None:
    """A name or a route that cannot be meant stops the test before it begins, and leaves the node as it was."""
    _, hydra = shop_app()
    with pytest.raises(ConfigurationError, match=message), fake_services(hydra, services, routes=routes):
        raise AssertionError
    assert hydra.options.key == ""


def test_the_tested_app_is_no_service_of_its_own() -> None:
    """The app under test is part of the site anyway."""
    app, hydra = shop_app()
    with pytest.raises(ConfigurationError, match="leave it out"), fake_services(hydra, {"shop": app}):
        raise AssertionError
