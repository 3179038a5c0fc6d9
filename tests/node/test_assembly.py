"""How the parts of a node are put together."""

import asyncio
from typing import Any

import pytest

from hydra_asgi.backends.memory import MemoryStore
from hydra_asgi.control.plane import ReadyState
from hydra_asgi.core.directory.overview import Overview
from hydra_asgi.core.fragment import FragmentQuestion, PageContext
from hydra_asgi.core.instance import Address, FragmentDeclaration, ServiceInstance
from hydra_asgi.gateway.express import Express
from hydra_asgi.node.assembly import assemble
from hydra_asgi.node.own_app import OwnApp
from hydra_asgi.node.parts import Parts
from hydra_asgi.options import read_options
from hydra_asgi.ports import LeaseState
from hydra_asgi.service.declarations import Declarations
from hydra_asgi.service.registrar import Registrar
from hydra_asgi.service.store_registrar import StoreRegistrar
from hydra_asgi.testing import AsgiUpstream, FakeFragments, FakeUpstream
from tests.doubles.prober import FakeProber
from tests.doubles.site import Echo, routes
from tests.exchange import exchange, http_scope

JOINING = {"gateways": ["http://gateway:80"], "address": "http://127.0.0.1:80", "key": "k"}
TAG = b'<m:fragment service="orders" ref="checkout">closed</m:fragment>'


async def page(scope: Any, receive: Any, send: Any) -> None:
    """A page with a fragment of another service."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
    await send({"type": "http.response.body", "body": TAG})


class Rig:
    """The parts of a node, of which nothing runs."""

    def __init__(self, upstream: Any = None, prober: Any = None, app: Any = page, **options: Any) -> None:
        read = read_options(options, {})
        self.store = MemoryStore()
        self.fragments: Any = None
        self.overviews: list[Overview] = []
        declarations = Declarations()
        own = OwnApp(read, declarations)
        own.mount(app)
        self.parts: Parts = assemble(
            read,
            own,
            declarations,
            store=self.store,
            upstream=upstream or FakeUpstream(),
            prober=prober,
            ready=ReadyState,
            on_overview=self.overviews.append,
            fragments=lambda source: self.fragments or source,
        )

    async def list(self, *instances: ServiceInstance) -> None:
        for instance in instances:
            await self.store.register(instance, LeaseState(str(instance.address), instance.service, signed=True))
        assert self.parts.directory is not None
        await self.parts.directory.refresh()


@pytest.mark.parametrize(
    ("options", "registrars", "is_gateway"),
    [
        ({}, [], True),
        ({"service": "shop"}, [StoreRegistrar], True),
        ({"service": "shop", **JOINING}, [Registrar], False),
        ({"service": "shop", "gateway": True, **JOINING}, [StoreRegistrar, Registrar], True),
    ],
)
def test_roles(options: dict[str, Any], registrars: list[type], is_gateway: bool) -> None:
    """A gateway has a directory and a front that forwards; whoever has a name registers where its role says."""
    parts = Rig(prober=FakeProber(), **options).parts
    assert [type(registrar) for registrar in parts.registrars] == registrars
    assert (parts.directory is not None) is is_gateway
    assert isinstance(parts.front, Express) is is_gateway


@pytest.mark.parametrize(("options", "status"), [({}, 401), ({"service": "shop", **JOINING}, 404)])
async def test_only_gateways_take_registrations(options: dict[str, Any], status: int) -> None:
    """A node that is only a service knows no call but the one for its own fragments."""
    control = Rig(**{"key": "k", **options}).parts.control
    for call in ("registration", "requestFragment"):
        body = b'{"attributes":{},"requests":{}}'
        answer = await exchange(control, http_scope(f"/h/discovery/k/{call}", method="POST"), body)
        assert answer.status in (status, 415)
    answer = await exchange(control, http_scope("/h/fragment/k/requestFragment", method="POST"), b"{}")
    assert answer.status == 401


def test_a_gateway_that_lets_nobody_in_says_so(caplog: pytest.LogCaptureFixture) -> None:
    """A key alone is a half-done set-up, which shows only when the first service does not join."""
    Rig(key="k")
    assert "neither secret= (HYDRA_SECRET) nor accept_unsigned=: nobody can register" in caplog.text
    caplog.clear()
    Rig(key="k", secret="s" * 16)
    assert not caplog.records


async def test_a_service_serves_everything_itself() -> None:
    """A node that is only a service hands every request to the app, and the user's key to its fragments."""
    rig = Rig(service="shop", **JOINING)
    rig.fragments = source = Asking()
    answer = await exchange(rig.parts.front, http_scope("/x", headers=[(b"hydra-key", b"0123456789abcdef")]))
    assert answer.body == b"asked"
    assert source.page.key == "0123456789abcdef"


class Asking(FakeFragments):
    """Notes for which page it is asked."""

    page = PageContext(0.0)

    def __init__(self) -> None:
        super().__init__({("orders", "checkout"): "asked"})

    def ask(self, service: str, questions: Any, page: PageContext) -> Any:
        self.page = page
        return super().ask(service, questions, page)


async def test_fragments_can_be_replaced_at_any_time() -> None:
    """The source of a page's fragments is asked for with each page."""
    rig = Rig()
    await rig.list()
    assert (await exchange(rig.parts.front, http_scope())).body == b"closed"
    rig.fragments = Asking()
    assert (await exchange(rig.parts.front, http_scope())).body == b"asked"


async def test_fragments_come_from_the_directory() -> None:
    """A gateway asks an instance that its directory lists."""
    orders = Echo('[{"id":"1","renderedHTML":"<b>pay</b>"}]', [(b"content-type", b"application/json")])
    rig = Rig(AsgiUpstream({"orders:80": orders}))
    await rig.list(
        ServiceInstance("orders", Address("http", "orders", 80), fragments=(FragmentDeclaration("checkout"),))
    )
    context = PageContext(asyncio.get_running_loop().time() + 5)
    questions = [FragmentQuestion("1", "orders", "checkout")]
    answers = [answer async for answer in rig.parts.fragments.ask("orders", questions, context)]
    assert [answer.html for answer in answers] == ["<b>pay</b>"]


@pytest.mark.parametrize(
    ("trusted", "client", "seen"),
    [
        ("", "10.0.0.1", b"10.0.0.1"),
        ("10.0.0.0/8", "10.0.0.1", b"6.6.6.6, 10.0.0.1"),
        ("10.0.0.0/8", "192.0.2.1", b"192.0.2.1"),
        ("10.0.0.0/8", "testclient", b"testclient"),
    ],
)
async def test_trusted_proxies(trusted: str, client: str, seen: bytes) -> None:
    """What a proxy says about its client is believed of the networks that are named, and of nobody else."""
    orders = Echo("orders")
    rig = Rig(AsgiUpstream({"orders:80": orders}), trusted=trusted)
    await rig.list(ServiceInstance("orders", Address("http", "orders", 80), routes=routes("/orders")))
    headers = [(b"host", b"site.test"), (b"x-forwarded-for", b"6.6.6.6")]
    await exchange(rig.parts.front, http_scope("/orders", headers=headers, client=(client, 1)))
    fields = [value for name, value in orders.scopes[0]["headers"] if name == b"x-forwarded-for"]
    assert b", ".join(fields) == seen


async def test_a_service_believes_its_gateway() -> None:
    """Behind a gateway that shares its secret an app sees the visitor, and not the gateway; and no proof of that."""
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)
        await page(scope, receive, send)

    shared = {"secret": "the secret of this site", "key": "k"}
    joining = {"gateways": ["http://gateway:80"], "address": "http://orders:80"}
    services = [Rig(service="orders", app=app, **shared, **joining), Rig(service="orders", app=app, **joining, key="k")]
    for service in services:
        gateway = Rig(AsgiUpstream({"orders:80": service.parts.front}), **shared)
        await gateway.list(ServiceInstance("orders", Address("http", "orders", 80), routes=routes("/orders")))
        headers = [(b"host", b"site.test"), (b"x-forwarded-for", b"6.6.6.6"), (b"hydra-gateway", b"forged")]
        await exchange(
            gateway.parts.front, http_scope("/orders", headers=headers, client=("192.0.2.1", 1), scheme="https")
        )
    believed, alone = seen
    assert (believed["client"], believed["scheme"]) == (("192.0.2.1", 0), "https")
    assert (alone["client"][0], alone["scheme"]) != ("192.0.2.1", "https")
    for scope in seen:
        assert b"hydra-gateway" not in dict(scope["headers"])


async def test_an_app_that_nobody_asks_over_the_network_is_there_at_once() -> None:
    """Without an address nothing is probed."""
    probes = Rig(service="shop").parts.registrars[0]._prober
    assert await probes.resolve("h") == ("h",)
    assert await probes.why_unreachable("h", 1) is None
    prober = FakeProber()
    with_address = Rig(service="shop", address="http://10.0.0.7:80", prober=prober).parts.registrars[0]
    assert with_address._prober is prober
