"""Pages of instances that cannot compose them."""

from typing import Any

import pytest

from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.core.instance import Address, Dialect, FragmentDeclaration, ServiceInstance
from hydra_asgi.errors import ResponseCutError, UpstreamError
from hydra_asgi.ports import LeaseState
from hydra_asgi.testing import FakeResponse
from tests.doubles.site import Site, routes
from tests.exchange import exchange, http_scope

PAGE = b"""<body><m:fragment ref="checkout">closed</m:fragment>
<m:fragment service="legacy" ref="checkout">closed</m:fragment>
<m:fragment service="orders" ref="basket">empty</m:fragment></body>"""


class Upstreams:
    """A legacy box with a page and a fragment; everything else is away."""

    def __init__(self, *body: Any) -> None:
        self.body = body or (PAGE,)
        self.requests: list[Any] = []

    async def send(self, request: Any) -> FakeResponse:
        self.requests.append(request)
        if request.address.host != "box":
            raise UpstreamError(ErrorKind.CONNECT_REFUSED, "nobody listens")
        if request.target == b"/frag":
            return FakeResponse(200, b"<form>Pay</form>", content_type=b"text/html")
        return FakeResponse(200, list(self.body), content_type=b"text/html")

    async def close(self) -> None:
        """Nothing to close."""


async def gateway(upstream: Upstreams, *, compose: bool) -> Any:
    site = Site(upstream=upstream)
    box = ServiceInstance(
        "legacy",
        Address("http", "box", 80),
        routes=routes("/legacy/{rest:path}"),
        fragments=(FragmentDeclaration("checkout", path="/frag"),),
        dialect=Dialect.PLAIN,
        compose=compose,
    )
    orders = ServiceInstance("orders", Address("http", "orders", 80), fragments=(FragmentDeclaration("basket"),))
    for instance in (box, orders):
        await site.store.register(instance, LeaseState(instance.service, instance.service, signed=True))
    site.hydra.node.own.mount(exchange)  # never asked
    await site.hydra.start()
    return site.hydra.node.serve


async def test_a_forwarded_page_is_composed() -> None:
    """Tags are filled: those of the page's own service, with and without its name, and those of others."""
    upstream = Upstreams()
    app = await gateway(upstream, compose=True)
    headers = [(b"host", b"site.test"), (b"accept-encoding", b"br"), (b"accept", b"text/html")]
    answer = await exchange(app, http_scope("/legacy/x", headers=headers))
    assert answer.body == b"<body><form>Pay</form>\n<form>Pay</form>\nempty</body>"
    assert answer.header(b"cache-control") == b"no-store"
    assert answer.header(b"via") is not None
    asked = dict(upstream.requests[0].headers)
    assert asked[b"accept-encoding"] == b"identity"
    assert [request.target for request in upstream.requests].count(b"/frag") == 2
    assert (await exchange(app, http_scope("/legacy/x", headers=headers))).body == answer.body


async def test_fallbacks_name_the_service_of_the_page(caplog: pytest.LogCaptureFixture) -> None:
    """A tag without a service means that of the page, in the log too."""
    upstream = Upstreams(b'<m:fragment ref="nothing">closed</m:fragment>')
    app = await gateway(upstream, compose=True)
    assert (await exchange(app, http_scope("/legacy/x"))).body == b"closed"
    assert "service=legacy ref=nothing cause=unknown-ref" in caplog.text


async def test_only_where_it_is_declared() -> None:
    """The page of an instance that did not ask for it is forwarded as it is: it composes its pages itself."""
    upstream = Upstreams()
    app = await gateway(upstream, compose=False)
    headers = [(b"host", b"site.test"), (b"accept-encoding", b"br")]
    answer = await exchange(app, http_scope("/legacy/x", headers=headers))
    assert answer.body == PAGE
    assert dict(upstream.requests[0].headers)[b"accept-encoding"] == b"br"


async def test_a_page_that_breaks_off() -> None:
    """A page that is cut while it is composed breaks the client's connection, as any other."""
    upstream = Upstreams(PAGE, UpstreamError(ErrorKind.RESET, "gone"))
    app = await gateway(upstream, compose=True)
    with pytest.raises(ResponseCutError):
        await exchange(app, http_scope("/legacy/x"))
