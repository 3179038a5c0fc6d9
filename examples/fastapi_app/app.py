"""The shop: core pages with a fragment of another team's service in them.

What joins the site is the `Hydra(...)` call and the line that mounts it; all the rest is an ordinary FastAPI app.
"""

from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles
from fastapi.templating import Jinja2Templates
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.exceptions import HTTPException

from examples import site
from examples.fastapi_app.catalogue import PRODUCTS, find
from hydra_asgi import Hydra, HydraMiddleware

__all__ = ["create_app"]

HERE = Path(__file__).parent
GATEWAY = {"gateway": True, "store": "memory://"}
READ = ["GET", "HEAD"]


def create_app(**role: Any) -> FastAPI:
    """Build the shop.

    Args:
        role: options of `Hydra` that say how this process joins the site; without any it is the gateway.
    """
    app = FastAPI(title=site.BRAND, openapi_url=None)  # pages only, so there is no API to document
    hydra = Hydra(service=site.SHOP, version=1, **site.membership(role or GATEWAY))
    app.add_middleware(HydraMiddleware, hydra=hydra)
    app.state.hydra = hydra

    app.mount("/static", StaticFiles(directory=HERE / "static"))
    templates = _templates(hydra)

    @app.api_route("/", methods=READ, response_class=HTMLResponse)
    @hydra.menu("main", label="Shop")
    async def home(request: Request) -> Response:
        hydra.lend(request, dob="1990-04-01", countryOrigin="Belgium")  # the checkout fills in what is known
        return templates.TemplateResponse(request, "home.html", {"products": PRODUCTS})

    @app.api_route("/products/{product_id}", methods=READ, response_class=HTMLResponse)
    async def product(request: Request, product_id: str) -> Response:
        found = find(product_id)
        if found is None:
            raise HTTPException(404)
        others = [other for other in PRODUCTS if other is not found][:3]
        return templates.TemplateResponse(request, "product.html", {"product": found, "others": others})

    @app.exception_handler(404)
    async def not_found(request: Request, error: Exception) -> Response:
        return templates.TemplateResponse(request, "not_found.html", status_code=404)

    return app


def _templates(hydra: Hydra) -> Jinja2Templates:
    """Compile all templates now: a broken one fails the start, and no request reads a file."""
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        auto_reload=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(hydra=hydra, brand=site.BRAND)
    for name in environment.list_templates():
        environment.get_template(name)
    return Jinja2Templates(env=environment)
