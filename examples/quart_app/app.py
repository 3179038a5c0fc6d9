"""The order service: pages of its own, and the checkout that the shop shows in its pages.

What joins the site is the `Hydra(...)` call and the line that mounts it; all the rest is an ordinary Quart app.
"""

from typing import Any

from quart import Quart, ResponseReturnValue, redirect, render_template, request, url_for

from examples import site
from examples.quart_app.orders import BASKET, COUNTRIES, ORDERS, euros, find, total
from hydra_asgi import Hydra, HydraMiddleware

__all__ = ["create_app"]

SERVICE = {"gateways": [site.origin(site.PORT)], "address": site.origin(site.PORT + 1)}


def create_app(*, version: int = 1, **role: Any) -> Quart:
    """Build the order service.

    Args:
        version: 1, or 2 with express delivery.
        role: options of `Hydra` that say how this process joins the site; without any it registers with the shop on
            its usual port.
    """
    app = Quart(__name__)
    hydra = Hydra(service=site.ORDERS, version=version, **site.membership(role or SERVICE))
    app.asgi_app = HydraMiddleware(app.asgi_app, hydra=hydra)  # type: ignore[method-assign]  # as Quart wants it
    app.extensions["hydra"] = hydra

    @app.get("/orders")
    @hydra.menu("main", label="Orders")
    async def orders() -> ResponseReturnValue:
        return await render_template("orders.html", orders=ORDERS)

    @app.post("/orders")
    async def place() -> ResponseReturnValue:
        form = await request.form
        express = version >= 2 and form.get("delivery") == "express"
        return redirect(url_for("thanks", delivery="express" if express else "regular"), 303)

    @app.get("/orders/thanks")
    async def thanks() -> ResponseReturnValue:
        return await render_template("thanks.html", express=request.args.get("delivery") == "express")

    @app.get("/orders/<int:order_id>")
    async def order(order_id: int) -> ResponseReturnValue:
        found = find(order_id)
        if found is None:
            return await render_template("not_found.html", order_id=order_id), 404
        return await render_template("order.html", order=found)

    @app.get("/fragments/checkout")
    @hydra.fragment("checkout", imports=["dob", "country"], exports=["postalZipCode", "addressLine2"])
    async def checkout() -> ResponseReturnValue:
        imported = hydra.attributes(request)
        return await render_template("checkout.html", basket=BASKET, countries=COUNTRIES, imported=imported)

    @app.context_processor
    def everywhere() -> dict[str, Any]:
        return {"hydra": hydra, "brand": site.BRAND, "version": version, "euros": euros, "total": total}

    for name in app.jinja_env.list_templates():
        app.jinja_env.get_template(name)  # compiled now: a broken one fails the start, and no request reads a file
    return app
