"""Apps for the command line to look at."""

from typing import Any

from fastapi import FastAPI
from quart import Quart
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


class Hydra:
    """What the command line reads of a node."""

    def __init__(self, service: str = "", **options: Any) -> None:
        self.service = service
        self.prefix: str = options.get("prefix", "")
        self.exclude: tuple[str, ...] = options.get("exclude", ())
        self.routes: tuple[str, ...] = options.get("routes", ())
        self.declarations = self
        self.unpublished = options.get("unpublished", ())


class Middleware:
    def __init__(self, app: Any, *, hydra: Any = None) -> None:
        self.app = app
        self.hydra = hydra

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...


async def page(request: Request) -> Response:
    return Response()


async def panel(request: Request) -> Response:
    return Response()


shop = FastAPI()
shop.get("/")(page)
shop.get("/items/{id}")(page)
shop.get("/panel")(panel)
shop.add_middleware(Middleware, hydra=Hydra("shop", routes=("GET /docs",), unpublished=(panel,)))
shop.add_middleware(Middleware)

orders = Quart("orders")
orders.get("/items/<int:id>")(page)
orders.get("/items/<other>")(page)
orders.get("/admin")(page)
orders.asgi_app = Middleware(  # type: ignore[method-assign]
    orders.asgi_app, hydra=Hydra("orders", prefix="/orders", exclude=["/admin"])
)
bare = Starlette(routes=[Route("/items/{n}", page)])
twice = Starlette(routes=[Route("/[b]x[/b]", page), Route("/[b]x[/b]", panel)])
wrong = Middleware(bare, hydra=Hydra(exclude=("admin",)))
text = "no app"


def make() -> Starlette:
    return bare


def fail() -> Starlette:
    raise ValueError("boom")
