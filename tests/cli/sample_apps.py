"""Apps for the command line to look at."""

from fastapi import FastAPI
from quart import Quart
from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hydra_asgi import Hydra, HydraMiddleware


async def page(request: Request) -> Response:
    return Response()


async def panel(request: Request) -> Response:
    return Response()


shop = FastAPI()
shop.get("/")(page)
shop.get("/items/{id}")(page)
shop.get("/panel")(panel)
shop_hydra = Hydra(service="shop", routes=["GET /docs"])
shop_hydra.fragment("panel")(panel)
shop.add_middleware(HydraMiddleware, hydra=shop_hydra)
shop.add_middleware(GZipMiddleware)

orders = Quart("orders")
orders.get("/items/<int:id>")(page)
orders.get("/items/<other>")(page)
orders.get("/admin")(page)
orders.asgi_app = HydraMiddleware(  # type: ignore[method-assign]  # as Quart wants it
    orders.asgi_app, hydra=Hydra(service="orders", prefix="/orders", exclude=["/admin"])
)
bare = Starlette(routes=[Route("/items/{n}", page)])
twice = Starlette(routes=[Route("/[b]x[/b]", page), Route("/[b]x[/b]", panel)])
wrong = HydraMiddleware(bare, hydra=Hydra(exclude=["admin"]))
text = "no app"


def make() -> Starlette:
    return bare


def fail() -> Starlette:
    raise ValueError("boom")
