"""Every public name, used as its users will. Only type-checked, never run."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Literal, assert_type

import httpx
import httpx2
from fastapi import FastAPI, Request
from quart import Quart
from quart import request as quart_request
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request as StarletteRequest
from starlette.testclient import TestClient

from hydra_asgi import ConfigurationError, Hydra, HydraError, HydraMiddleware, StaticInstance
from hydra_asgi.core.directory.overview import MenuEntry, Overview, ServiceView
from hydra_asgi.core.events import (
    DirectoryRecord,
    EjectionRecord,
    Fallback,
    ForwardRecord,
    FragmentRecord,
    RegistrationRecord,
)
from hydra_asgi.core.fragment import FragmentAnswer, FragmentQuestion, PageContext
from hydra_asgi.core.instance import Address, ServiceInstance
from hydra_asgi.errors import LendingError, StoreError, UpstreamError
from hydra_asgi.ports import Event, FragmentSource, Hook, Prober, Store, Upstream, UpstreamRequest, UpstreamResponse
from hydra_asgi.testing import (
    AsgiUpstream,
    Asked,
    FakeFragments,
    FakeResponse,
    FakeServices,
    FakeUpstream,
    FragmentCause,
    fake_fragments,
    fake_services,
)

# Options: everything is optional, text or typed.

hydra = Hydra()
hydra = Hydra(
    service="orders",
    version=2,
    weight=0.5,
    gateway=False,
    gateways=["http://10.0.0.5:8000"],
    address="http://10.0.0.7:8002",
    key="k",
    secret="at least 16 characters",
    store="memory://",
    prefix="/orders",
    routes=["GET /old/{id}"],
    exclude=["/admin/*"],
    forward={"orders": ["X-Tenant", "cookie:sid"]},
    accept_unsigned=["10.0.0.0/8"],
    allow_addresses="10.0.0.0/8",
    trusted=["10.0.0.1"],
    fragment_budget=1.0,
    config="site.toml",
    instances=[
        StaticInstance(service="legacy", url="http://10.0.0.9:8080"),
        StaticInstance(
            service="legacy",
            url="http://10.0.0.10:8080",
            routes=["/legacy/{rest:path}"],
            version=2,
            weight=0.5,
            health="/ping",
            compose=True,
            fragments={"checkout": "/frag/checkout"},
        ),
    ],
    public_control=False,
    grace=5,
    enabled=True,
    metrics=True,
    on_event=lambda event: None,
)
hydra = Hydra(gateways="http://a:1,http://b:2", address=8002, weight=10, forward=["X-Tenant"], accept_unsigned="orders")
hydra = Hydra(upstream=httpx2.AsyncHTTPTransport())
hydra = Hydra(upstream=httpx.ASGITransport(app=FastAPI()))


def with_ports(store: Store, upstream: Upstream, prober: Prober) -> Hydra:
    return Hydra(store=store, upstream=upstream, prober=prober)


# Mounting

fastapi_app = FastAPI()
fastapi_app.add_middleware(HydraMiddleware, hydra=hydra)
gateway_alone = HydraMiddleware(None, hydra=hydra)

quart_app = Quart("orders")
quart_app.asgi_app = HydraMiddleware(quart_app.asgi_app, hydra=hydra)  # type: ignore[method-assign]  # as Quart wants it

# Declaring: decorators leave the function's type as it is.


@fastapi_app.get("/")
@hydra.menu("main", label="Orders")
async def home(request: Request) -> str:
    hydra.lend(request, dob="1990-04-01", basket=[1, 2], nested={"a": None})
    assert_type(hydra.attributes(request), Mapping[str, object])
    return "".join(entry.label for entry in hydra.overview.menu("main"))


@hydra.menu("main", path="/orders/1")
@hydra.fragment(
    "checkout", imports=["dob", "countryOrigin as country"], exports="postalZipCode", select="main", page=True
)
def checkout(number: int) -> str:
    return str(number)


assert_type(checkout(1), str)
declared: Callable[[int], str] = checkout


@quart_app.get("/quart")
@hydra.fragment("quart")
async def quart_page() -> str:
    hydra.lend(quart_request, dob="1990-04-01")
    return str(hydra.attributes(quart_request).get("dob"))


def in_starlette(request: StarletteRequest) -> Mapping[str, object]:
    hydra.lend(request.scope, dob=None)
    return hydra.attributes(request.scope)


# Asking


def ask() -> None:
    overview = hydra.overview
    assert_type(overview, Overview)
    assert_type(overview.menu("main"), tuple[MenuEntry, ...])
    assert_type(overview.service("orders"), ServiceView | None)
    assert_type(overview.services, tuple[ServiceView, ...])
    assert_type(overview.is_available("orders"), bool)
    assert_type(hydra.asset("app.css"), str)
    assert_type(hydra.state, Literal["stopped", "starting", "registered", "unregistered", "draining"])
    assert_type(hydra.options.prefix, str)
    assert_type(hydra.instance, ServiceInstance)
    assert_type(hydra.instance.address, Address)
    assert_type(hydra.store, Store)


# Living


async def live() -> None:
    await hydra.start()
    await hydra.start(fastapi_app)
    await hydra.drain()
    await hydra.stop()
    inner = Starlette()
    inner.mount("/control", hydra.control)
    inner.mount("/metrics", hydra.metrics)


# Errors


def handle(error: HydraError) -> str:
    match error:
        case UpstreamError():
            return error.kind.value
        case StoreError() | LendingError() | ConfigurationError():
            return str(error)
        case _:
            return ""


# Implementing a port


class Fragments:
    async def ask(
        self, service: str, questions: Sequence[FragmentQuestion], page: PageContext
    ) -> AsyncIterator[FragmentAnswer]:
        for question in questions:
            yield FragmentAnswer(question.id, None, FragmentCause.UNAVAILABLE)


source: FragmentSource = Fragments()
source = FakeFragments({("orders", "checkout"): "<form></form>"})


async def send(request: UpstreamRequest) -> UpstreamResponse:
    upstream: Upstream = FakeUpstream(FakeResponse(200, b"{}"), UpstreamResponseFactory())
    upstream = AsgiUpstream(
        {"orders:80": HydraMiddleware(quart_app.asgi_app, hydra=hydra), "a:1": fastapi_app, "b:1": quart_app}
    )
    return await upstream.send(request)


# Watching


class Watching:
    def __call__(self, event: Event, /) -> None:
        match event:
            case ForwardRecord(service, version, status=status):
                assert_type((service, version, status), tuple[str, int | None, int])
            case Fallback(cause=cause):
                assert_type(cause, FragmentCause)
            case FragmentRecord() | RegistrationRecord() | EjectionRecord() | DirectoryRecord():
                pass


hook: Hook = Watching()
hydra = Hydra(on_event=hook)


class UpstreamResponseFactory:
    def __call__(self, request: UpstreamRequest) -> FakeResponse:
        return FakeResponse(404, [b"a", b"b"], content_type=b"text/plain", headers=[(b"x", b"y")])


# Testing


def test_a_page() -> None:
    with fake_fragments(hydra, {("orders", "checkout"): FragmentCause.TIMEOUT, ("orders", "x"): "<b>"}) as fragments:
        assert_type(fragments, FakeFragments)
        assert_type(fragments.asked, list[Asked])
        TestClient(fastapi_app).get("/")
    with fake_services(hydra, {"orders": quart_app}, routes={"legacy": ["GET /old/{id}"]}) as services:
        assert_type(services, FakeServices)
        services.stop("orders")
        services.restart("orders")
    with hydra.node.fragments_from(source):
        pass


Middleware(HydraMiddleware, hydra=hydra)
