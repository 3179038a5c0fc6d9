"""A gateway without an app."""

from typing import Any

from hydra_asgi import HydraMiddleware
from hydra_asgi.gateway.no_app import no_app
from tests.doubles.fake_websocket import SocketClient, socket_scope
from tests.doubles.site import Echo, Site
from tests.exchange import exchange, http_scope


async def test_pages() -> None:
    """There is no page."""
    answer = await exchange(no_app, http_scope("/x"))
    assert answer.status == 404
    assert b"no such page on this site" in answer.body


async def test_sockets() -> None:
    """There is no socket; a handshake is denied."""
    messages: list[Any] = []

    async def send(message: Any) -> None:
        messages.append(message)

    await no_app(socket_scope("/x"), SocketClient().receive, send)
    assert messages[0]["type"] == "websocket.http.response.start"
    assert messages[0]["status"] == 404


async def test_lifespan() -> None:
    """It has no part in lifespan: it returns at once, and the node answers the server itself."""
    await no_app({"type": "lifespan"}, None, None)


async def test_a_node_around_nothing() -> None:
    """A node without an app forwards what it knows; what it does not know is not there, and what has left is away."""
    site = Site(key="")
    app: Any = HydraMiddleware(None, hydra=site.hydra)
    orders = await site.add("orders", Echo("orders"), "/orders")
    await site.hydra.start()
    assert (await exchange(app, http_scope("/orders"))).body == b"orders"
    assert (await exchange(app, http_scope("/elsewhere"))).status == 404
    assert [service.name for service in site.hydra.overview.services] == ["orders"]
    await site.remove(orders)
    await site.refresh()
    assert (await exchange(app, http_scope("/orders"))).status == 503
    await site.hydra.stop()


async def test_a_site_that_is_starting() -> None:
    """Just after the start, while services may still announce themselves, an unknown page is away, not missing."""
    site = Site()
    app: Any = HydraMiddleware(None, hydra=site.hydra)
    await site.hydra.start()
    assert (await exchange(app, http_scope("/elsewhere"))).status == 503
    await site.hydra.stop()
