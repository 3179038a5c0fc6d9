"""The node as a whole: one app, a site around it in the same process, no sockets."""

import asyncio
import json
import os
import re
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse

from hydra_asgi import ConfigurationError, Hydra, HydraMiddleware, StaticInstance
from hydra_asgi.backends.memory import MemoryStore
from hydra_asgi.core.instance import Address, ServiceInstance
from hydra_asgi.errors import LendingError, StoreError
from hydra_asgi.node.stage import Stage
from hydra_asgi.testing import AsgiUpstream, FakeFragments
from tests.doubles.prober import FakeProber
from tests.doubles.server import lifespan
from tests.doubles.site import KEY, SECRET, Echo, Site, routes
from tests.exchange import Exchange, exchange, http_scope

HOST = (b"host", b"site.test")


def shop(hydra: Hydra) -> FastAPI:
    """The app under test: a few pages, published and not."""
    app = FastAPI()

    @app.get("/", response_class=HTMLResponse)
    @hydra.menu("main", label="Shop")
    async def home(request: Request, response: Response, cache: str = "") -> str:
        if cache:
            response.headers["cache-control"] = cache
        hydra.lend(request, dob="1990-04-01", countryOrigin="BE", secret="s")
        return '<m:fragment service="orders" ref="checkout" imports="dob, countryOrigin as country">closed</m:fragment>'

    @app.get("/shared")
    async def shared() -> str:
        return "shop"

    @app.get("/internal", include_in_schema=False)
    async def internal() -> str:
        return "internal"

    @app.get("/items/{item}")
    async def item(request: Request, item: str) -> str:
        return f"{item} {request.scope['root_path']} {request.url.path}"

    app.add_middleware(HydraMiddleware, hydra=hydra)
    return app


@pytest.fixture
def known_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time in which services may still announce themselves is over."""
    monkeypatch.setattr("hydra_asgi.node.assembly.BEAT_SECONDS", 0.0)


class Running:
    """A site whose node runs for the length of a block."""

    def __init__(self, make: Callable[[Hydra], Any] = shop, **options: Any) -> None:
        self.site = Site(**{"service": "shop", **options})
        self.app = make(self.site.hydra)

    async def __aenter__(self) -> "Running":
        await self.site.hydra.start(self.app)
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.site.hydra.stop()

    async def get(self, path: str = "/", **options: Any) -> Exchange:
        return await exchange(self.app, http_scope(path, **options))

    async def ready(self) -> tuple[int, dict[str, str]]:
        answer = await self.get("/h/ready")
        return answer.status, json.loads(answer.body)


# Options


def test_wrong_options() -> None:
    """An option that cannot be used is refused where it is given."""
    with pytest.raises(ConfigurationError, match="secret="):
        Hydra(secret="short")


def test_the_store() -> None:
    """A store is named, or given; both are shown."""
    store = MemoryStore()
    assert Hydra(store=store).store is store
    assert isinstance(Hydra(store="memory://").store, MemoryStore)
    assert isinstance(Hydra().store, MemoryStore)


def test_options_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not given as an argument comes from the environment."""
    monkeypatch.setenv("HYDRA_SERVICE", "orders")
    monkeypatch.setenv("HYDRA_VERSION", "2")
    assert Hydra().options.service == "orders"
    assert Hydra(service="shop").options.service == "shop"
    assert Hydra().options.version == 2


@pytest.mark.parametrize(
    ("service", "path", "url"),
    [
        ("shop", "app.css", "/shop/static/app.css"),
        ("shop", "/img/a b.png", "/shop/static/img/a%20b.png"),
        (None, "app.css", "/static/app.css"),
    ],
)
def test_assets(service: str | None, path: str, url: str) -> None:
    """The address of a file holds the service's name, so that it is found wherever the page is served."""
    assert Hydra(service=service).asset(path) == url
    # Switched off, nobody finds the app's name in a path.
    assert Hydra(service=service, enabled=False).asset(path) == url.removeprefix(f"/{service}")


# Life


async def test_starting_twice() -> None:
    """Starting again does nothing: the instance holds one lease."""
    async with Running() as running:
        hydra, store = running.site.hydra, running.site.store
        parts = hydra.running
        await asyncio.gather(hydra.start(running.app), hydra.start())
        assert hydra.running is parts
        await asyncio.sleep(0)
        assert len(await store.leases_of("shop", "127.0.0.1")) == 1


async def test_stopping_and_starting_again(eventually: Callable[..., Any]) -> None:
    """A stopped node has left the list and left no task; it can be started again."""
    running = Running()
    hydra, store = running.site.hydra, running.site.store
    before = asyncio.all_tasks()
    for _ in range(2):
        await hydra.start(running.app)
        await eventually(lambda: hydra.state == "registered")
        assert [instance.service for instance in (await store.snapshot()).instances] == ["shop"]
        await hydra.stop()
        assert hydra.state == "stopped"
        assert (await store.snapshot()).instances == ()
        assert asyncio.all_tasks() == before
    await hydra.stop()


def test_a_loop_that_is_gone() -> None:
    """A node whose loop ended without a farewell is not running, can be stopped, and starts in the next loop."""
    running = Running()
    hydra = running.site.hydra
    asyncio.run(hydra.start(running.app))
    assert hydra.running is None
    assert hydra.state == "stopped"
    asyncio.run(hydra.stop())

    async def again() -> int:
        async with running:
            return (await running.get("/shared")).status

    asyncio.run(hydra.start(running.app))
    assert asyncio.run(again()) == 200


async def test_starting_an_app_that_is_not_known() -> None:
    """Without lifespan and without a request nobody knows the app; the error says what to do."""
    hydra = Hydra(service="shop")
    with pytest.raises(ConfigurationError, match=r"hydra.start\(app\)"):
        await hydra.start()
    assert hydra.state == "stopped"


async def test_starting_what_is_switched_off() -> None:
    """A node that is switched off does not start."""
    hydra = Hydra(enabled=False)
    await hydra.start()
    assert hydra.state == "stopped"


async def test_the_states(eventually: Callable[..., Any]) -> None:
    """Stopped, starting until the own address answers, registered, draining, stopped."""
    running = Running(address="http://10.0.0.7:80")
    hydra, prober = running.site.hydra, running.site.prober
    assert hydra.state == "stopped"
    prober.reasons["10.0.0.7", 80] = "refused"
    async with running:
        assert hydra.state == "starting"
        prober.reasons.clear()
        await eventually(lambda: hydra.state == "registered")
        await hydra.drain()
        assert hydra.state == "draining"
    assert hydra.state == "stopped"


class MoodyStore(MemoryStore):
    """Goes away when it is told."""

    is_away = False

    async def renew(self, *args: Any, **counted: int) -> bool:
        if self.is_away:
            raise StoreError("the store is away")
        return await super().renew(*args, **counted)

    async def register(self, *args: Any) -> Any:
        if self.is_away:
            raise StoreError("the store is away")
        return await super().register(*args)

    async def revision(self) -> Any:
        if self.is_away:
            raise StoreError("the store is away")
        return await super().revision()


async def test_unregistered(monkeypatch: pytest.MonkeyPatch, eventually: Callable[..., Any]) -> None:
    """A node that lost its place says so until it has it again."""
    monkeypatch.setattr("hydra_asgi.service.store_registrar.BEAT_SECONDS", 0.01)
    monkeypatch.setattr("hydra_asgi.service.store_registrar.RETRY_SECONDS", 0.01)
    store = MoodyStore()
    async with Running(store=store) as running:
        hydra = running.site.hydra
        await eventually(lambda: hydra.state == "registered")
        store.is_away = True
        await eventually(lambda: hydra.state == "unregistered")
        store.is_away = False
        await eventually(lambda: hydra.state == "registered")


async def test_an_app_without_a_name_is_nobodys_service() -> None:
    """Without a service name there is nothing to register; the node serves its pages."""
    async with Running(service=None) as running:
        assert running.site.hydra.state == "registered"
        assert (await running.get("/shared")).body == b'"shop"'
        assert (await running.site.store.snapshot()).instances == ()


async def test_draining(eventually: Callable[..., Any], known_at_once: None) -> None:
    """A draining node has left the list, says 503 to whoever asks for readiness, and serves what still comes."""
    async with Running() as running:
        hydra = running.site.hydra
        await eventually(lambda: hydra.state == "registered")
        await hydra.drain()
        assert (await running.site.store.snapshot()).instances == ()
        assert await running.ready() == (
            503,
            {"status": "draining", "why": "this node has left the site and finishes what it has"},
        )
        assert (await running.get("/shared")).status == 200
        await hydra.start()
        assert hydra.state == "draining"
    await hydra.drain()
    await hydra.stop()
    assert hydra.state == "stopped"


# Readiness


async def test_ready_while_starting() -> None:
    """A gateway that has just started is not ready, and alive."""
    async with Running() as running:
        status, body = await running.ready()
        assert (status, body["status"]) == (503, "starting")
        assert (await running.get("/h/live")).status == 200


async def test_ready(known_at_once: None) -> None:
    """Then it is ready."""
    async with Running() as running:
        assert await running.ready() == (200, {"status": "ok"})


async def test_degraded(known_at_once: None) -> None:
    """Without its store it is ready with what it knows, and says so."""
    store = MoodyStore()
    async with Running(store=store) as running:
        store.is_away = True
        await running.site.directory.refresh()
        status, body = await running.ready()
        assert float(body.pop("seconds")) >= 0
        assert body.pop("since")
        assert (status, body) == (200, {"status": "degraded", "why": "the store failed: the store is away"})
        assert (await running.get("/shared")).status == 200


async def test_ready_after_the_end() -> None:
    """The control plane on a listener of its own may outlive the node's work; it is not ready then."""
    running = Running()
    async with running:
        parts = running.site.hydra.running
        assert parts is not None
    answer = await exchange(parts.control, http_scope("/h/ready"))
    assert (answer.status, json.loads(answer.body)["why"]) == (503, "the node has not started")


async def test_a_service_is_ready_when_it_runs() -> None:
    """A node that is only a service follows no directory, so there is nothing to wait for."""
    async with Running(gateways=["http://gateway:80"], address="http://127.0.0.1:80") as running:
        assert await running.ready() == (200, {"status": "ok"})


async def test_the_control_plane_as_an_app_of_its_own() -> None:
    """`hydra.control` can be served on an inner listener; it starts the node if nobody has."""
    running = Running()
    hydra = running.site.hydra
    hydra.node.own.reveal(running.app)
    assert (await exchange(hydra.control, http_scope("/h/live"))).status == 200
    parts = hydra.running
    assert parts is not None
    assert (await exchange(hydra.control, http_scope("/shared"))).status == 404
    assert hydra.running is parts
    await hydra.stop()


async def test_a_control_plane_that_is_not_public() -> None:
    """With an inner listener, `/h/` is not there for the public, and goes to no app and no service."""
    everything = StaticInstance(service="legacy", url="http://box:80", routes=["/{rest:path}"])
    async with Running(public_control=False, instances=[everything]) as running:
        await running.site.refresh()
        for path in ("/h/ready", "/h/live", "/h/discovery/site/registration"):
            answer = await running.get(path)
            assert (answer.status, answer.body) == (404, b"")
        assert (await exchange(running.site.hydra.control, http_scope("/h/live"))).status == 200


# Instances that register nowhere

BOX = StaticInstance(service="legacy", url="http://box:80", routes=["/legacy/{rest:path}"])


async def test_static_instances(known_at_once: None) -> None:
    """Instances that the code names are part of the site from the start."""
    async with Running(instances=[BOX]) as running:
        running.site.apps["box:80"] = Echo("legacy")
        assert (await running.get("/legacy/x")).body == b"legacy"
        assert running.site.hydra.overview.is_available("legacy")


def test_a_site_file(tmp_path: Path, eventually: Callable[..., Any]) -> None:
    """A file gives options and instances; a changed one is taken over on SIGHUP, beside those the code names."""
    path = tmp_path / "site.toml"
    text = (
        '[gateway]\nfragment_budget = 0.5\n[[instances]]\nservice = "old"\nurl = "http://old:80"\nroutes = ["/old"]\n'
    )
    path.write_text(text)
    running = Running(config=str(path), instances=[BOX])
    assert running.site.hydra.options.fragment_budget == 0.5

    async def run() -> None:
        async with running:
            for name in ("old:80", "new:80"):
                running.site.apps[name] = Echo(name)
            assert (await running.get("/old")).body == b"old:80"
            await asyncio.to_thread(path.write_text, text.replace("old", "new"))
            os.kill(os.getpid(), signal.SIGHUP)
            await eventually(lambda: running.site.hydra.overview.is_available("new"))
            assert running.site.hydra.overview.is_available("legacy")
            assert not running.site.hydra.overview.is_available("old")

    asyncio.run(run())


# Who answers


async def test_own_and_foreign_routes(known_at_once: None) -> None:
    """A route of the app is served here, one of another service there, anything else is the app's own 404."""
    async with Running() as running:
        orders = Echo("orders")
        await running.site.add("orders", orders, "/orders/{id}")
        await running.site.refresh()
        assert (await running.get("/shared")).body == b'"shop"'
        assert (await running.get("/orders/7", query=b"a=%zz")).body == b"orders"
        assert (orders.scopes[0]["raw_path"], orders.scopes[0]["query_string"]) == (b"/orders/7", b"a=%zz")
        assert (await running.get("/nowhere")).body == b'{"detail":"Not Found"}'
        assert (await running.get("/orders")).status == 404


async def test_unknown_paths_while_starting() -> None:
    """For one beat after the start an unknown path is unavailable; what is known is served."""
    async with Running() as running:
        assert (await running.get("/nowhere")).status == 503
        assert (await running.get("/shared")).status == 200


async def test_the_older_registration_wins(eventually: Callable[..., Any], caplog: pytest.LogCaptureFixture) -> None:
    """Of two services with the same route the older answers, also when the younger one is the app that was asked."""
    younger = Running()
    await younger.site.add("other", Echo("other"), "/shared")
    async with younger:
        await eventually(lambda: younger.site.hydra.state == "registered")
        await younger.site.refresh()
        assert (await younger.get("/shared")).body == b"other"
    assert "/shared" in caplog.text
    async with Running() as older:
        await eventually(lambda: older.site.hydra.state == "registered")
        await older.site.add("other", Echo("other"), "/shared")
        await older.site.refresh()
        assert (await older.get("/shared")).body == b'"shop"'


async def test_unpublished_routes(eventually: Callable[..., Any]) -> None:
    """Routes that are not published answer here and are told to nobody; they keep their precedence here."""
    async with Running() as running:
        await eventually(lambda: running.site.hydra.state == "registered")
        await running.site.add("all", Echo("all"), "/{path:path}", "/docs")
        await running.site.refresh()
        assert (await running.get("/internal")).body == b'"internal"'
        assert b"swagger" in (await running.get("/docs")).body
        assert (await running.get("/else")).body == b"all"
        (own, _) = (await running.site.store.snapshot()).instances
        assert [route.template for route in own.routes] == ["/", "/shared", "/items/{item}"]


async def test_a_service_that_went_away(known_at_once: None) -> None:
    """A route that was known within the last hour is unavailable, and is served again when its service is back."""
    async with Running() as running:
        listed = await running.site.add("orders", Echo("orders"), "/orders/{id}")
        await running.site.refresh()
        await running.site.remove(listed)
        await running.site.refresh()
        answer = await running.get("/orders/7")
        assert (answer.status, answer.header(b"retry-after")) == (503, b"3")
        assert (await running.get("/nowhere")).status == 404
        await running.site.add("orders", Echo("orders"), "/orders/{id}")
        await running.site.refresh()
        assert (await running.get("/orders/7")).body == b"orders"


async def test_files_by_service_and_token(eventually: Callable[..., Any]) -> None:
    """Files of any service are found by its name and by its instance's token, the app's own ones too."""

    def make(hydra: Hydra) -> FastAPI:
        app = shop(hydra)

        @app.get("/static/{name}")
        async def file(name: str) -> str:
            return name

        return app

    async with Running(make) as running:
        await eventually(lambda: running.site.hydra.state == "registered")
        orders = Echo("orders")
        listed = await running.site.add("orders", orders, "/orders")
        await running.site.refresh()
        for path in ("/orders/static/a%20b.css", f"/{listed.token}/a%20b.css"):
            await running.get(path.replace("%20", " "), raw_path=path.encode())
            assert orders.scopes[-1]["raw_path"] == b"/static/a%20b.css"
        own = running.site.directory.state.own
        assert own is not None
        for path in ("/shop/static/a%20b.css", f"/{own.token}/a%20b.css"):
            answer = await running.get(path.replace("%20", " "), raw_path=path.encode())
            assert (answer.status, answer.body) == (200, b'"a b.css"'), path
        assert (await running.get(f"/{listed.token}/")).status == 404


@pytest.mark.parametrize("root", ["", "/sub"])
async def test_prefix(root: str, known_at_once: None) -> None:
    """An app under a prefix sees it as its mount point, by whole segments, also when it is mounted in another app."""

    def make(hydra: Hydra) -> FastAPI:
        app = shop(hydra)
        if not root:
            return app
        outer = FastAPI()
        outer.mount(root, app)
        hydra.node.own.reveal(app)
        return outer

    running = Running(make, prefix="/catalogue")
    hydra = running.site.hydra
    if not root:
        await hydra.start(running.app)
    answer = await running.get(f"{root}/catalogue/items/1")
    assert json.loads(answer.body) == f"1 {root}/catalogue {root}/catalogue/items/1"
    assert [route.template for route in hydra.instance.routes] == [
        "/catalogue/",
        "/catalogue/shared",
        "/catalogue/items/{item}",
    ]
    assert (await running.get(f"{root}/cataloguex/items/1")).status == 404
    await hydra.stop()


# What a forwarded request carries


async def test_what_clients_may_not_say() -> None:
    """Fields by which nodes and proxies speak are not taken from a client; the instance hears them from us."""
    async with Running() as running:
        orders = Echo("orders")
        listed = await running.site.add("orders", orders, "/orders")
        await running.site.refresh()
        forged = [
            (b"x_forwarded_for", b"6.6.6.6"),
            (b"remote_user", b"root"),
            (b"x-hydra-service", b"shop"),
            (b"hydra-path", b"1"),
            (b"hydra-instance", b"x"),
            (b"x-forwarded-for", b"6.6.6.6"),
            (b"x-forwarded-host", b"evil"),
            (b"forwarded", b"for=6.6.6.6"),
            (b"x-real-ip", b"6.6.6.6"),
            (b"x-original-url", b"/admin"),
            (b"x-http-method-override", b"DELETE"),
            (b"connection", b"x-secret"),
            (b"x-secret", b"s"),
            (b"x-own", b"kept"),
            (b"cookie", b"a=1"),
            (b"cookie", b"b=2"),
        ]
        await running.get("/orders", headers=[HOST, *forged])
        seen = orders.scopes[0]["headers"]
        assert [value for name, value in seen if name == b"cookie"] == [b"a=1; b=2"]
        assert orders.header(b"x-own") == b"kept"
        assert orders.header(b"host") == b"site.test"
        assert orders.header(b"hydra-path") == b"%d" % listed.token
        assert orders.header(b"x-forwarded-for") == b"127.0.0.1"
        told = b" ".join(name + b": " + value for name, value in seen)
        for lie in (b"6.6.6.6", b"root", b"evil", b"/admin", b"DELETE", b"x-hydra", b"hydra-instance", b"x-secret"):
            assert lie not in told


# Weights


async def test_a_user_keeps_the_version(known_at_once: None) -> None:
    """The first answer sets the key, the next requests bring it, and the version stays; services get it handed on."""
    async with Running() as running:
        versions = [Echo(f"v{version}") for version in (1, 2)]
        for version, app in enumerate(versions, 1):
            await running.site.add("orders", app, "/orders", version=version)
        await running.site.refresh()
        first = await running.get("/shared")
        (cookie,) = first.all(b"set-cookie")
        found = re.fullmatch(
            rb"hydra-key=([A-Za-z0-9_-]{16,64}); Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax", cookie
        )
        assert found is not None
        answers = [
            await running.get("/orders", headers=[HOST, (b"cookie", b"hydra-key=" + found[1])]) for _ in range(10)
        ]
        assert len({answer.body for answer in answers}) == 1
        assert all(answer.header(b"set-cookie") is None for answer in answers)
        chosen = next(app for app in versions if app.scopes)
        assert chosen.header(b"hydra-key") == found[1]


async def test_no_cookie_without_versions() -> None:
    """While no service has a second version nobody gets a cookie."""
    async with Running() as running:
        await running.site.add("orders", Echo("orders"), "/orders")
        await running.site.refresh()
        for path in ("/", "/orders", "/shared"):
            assert (await running.get(path)).header(b"set-cookie") is None


async def test_no_cookie_on_cacheable_answers() -> None:
    """An answer that a shared cache may keep carries no key, of the app or of another service."""
    async with Running() as running:
        cached = ((b"content-type", b"text/css"), (b"cache-control", b"public, max-age=60"))
        await running.site.add("orders", Echo("1", cached), "/orders", version=1)
        await running.site.add("orders", Echo("2", cached), "/orders", version=2)
        await running.site.refresh()
        assert (await running.get("/orders")).header(b"set-cookie") is None
        assert (await running.get("/shared")).header(b"set-cookie") is not None
        assert (await running.get("/", query=b"cache=public")).header(b"set-cookie") is not None  # composed: no-store


async def test_shares_are_kept() -> None:
    """Of 5,000 users 90 in 100 see the version with weight 90, within two points."""
    async with Running() as running:
        old, new = Echo("old"), Echo("new")
        await running.site.add("orders", old, "/orders", version=1, weight=90)
        await running.site.add("orders", new, "/orders", version=2, weight=10)
        await running.site.refresh()
        for number in range(5000):
            await running.get("/orders", headers=[HOST, (b"hydra-key", b"user-%016d" % number)])
        assert len(old.scopes) + len(new.scopes) == 5000
        assert abs(len(new.scopes) / 5000 - 0.10) < 0.02


# Fragments


def fragments(hydra: Hydra) -> FastAPI:
    app = FastAPI()
    tag = "<m:fragment ref='{}'>no {}</m:fragment>".format

    @app.get("/self", response_class=HTMLResponse)
    async def own() -> str:
        return "".join(tag(ref, ref) for ref in ("routed", "plain", "outer", "part", "unknown"))

    @app.get("/routed", response_class=HTMLResponse)
    @hydra.fragment("routed")
    async def routed() -> str:
        return "<html><body><b>routed</b></body></html>"

    @hydra.fragment("plain")
    async def plain() -> str:
        return "<b>plain</b>"

    @app.get("/outer", response_class=HTMLResponse)
    @hydra.fragment("outer")
    async def outer(request: Request) -> str:
        hydra.lend(request, inside="lent")
        return f"<b>outer {tag('inner', 'inner').replace('ref', 'imports=inside ref')}</b>"

    @app.get("/inner", response_class=HTMLResponse)
    @hydra.fragment("inner")
    async def inner(request: Request) -> str:
        return f"inner {dict(hydra.attributes(request))}"

    @app.get("/whole", response_class=HTMLResponse)
    @hydra.fragment("part", select="main > .part")
    async def whole() -> str:
        return "<html><body><main><p class='part'>part</p><p>rest</p></main></body></html>"

    app.add_middleware(HydraMiddleware, hydra=hydra)
    return app


async def test_own_fragments() -> None:
    """A page shows fragments of its own app: routes, functions, nested ones, and elements picked out of a page."""
    async with Running(fragments) as running:
        assert (await running.get("/self")).body == (
            b"<b>routed</b><b>plain</b><b>outer inner {'inside': 'lent'}</b>"
            b"""<p class='part'>part</p>no unknown"""
        ).replace(b"'part'", b'"part"')
        published = [route.template for route in running.site.hydra.instance.routes]
        assert published == ["/self", "/whole"]


def orders(hydra: Hydra, seen: list[dict[str, Any]]) -> FastAPI:
    """A service with a fragment that notes what it gets to see."""
    app = FastAPI()

    @app.get("/checkout", response_class=HTMLResponse)
    @hydra.fragment("checkout", imports=["dob", "country"])
    async def checkout(request: Request) -> str:
        seen.append({"headers": list(request.scope["headers"]), "attributes": dict(hydra.attributes(request))})
        return "<form></form>"

    @app.get("/orders")
    @hydra.menu("main", label="Orders")
    async def all_orders() -> str:
        return "all"

    app.add_middleware(HydraMiddleware, hydra=hydra)
    return app


class TwoNodes:
    """A shop that is the gateway, and an order service that registers with it, over HTTP and without sockets."""

    def __init__(self, **options: Any) -> None:
        self.seen: list[dict[str, Any]] = []
        self.gateway = Running(**options)
        apps = self.gateway.site.apps
        self.orders = Hydra(
            service="orders",
            gateways=["http://gateway:80"],
            address="http://127.0.0.1:8002",
            key=KEY,
            secret=SECRET,
            upstream=AsgiUpstream(apps),
            prober=FakeProber(),
        )
        self.service = orders(self.orders, self.seen)
        apps |= {"gateway:80": self.gateway.app, "127.0.0.1:8002": self.service}

    async def __aenter__(self) -> "TwoNodes":
        self._stack = AsyncExitStack()
        await self._stack.enter_async_context(self.gateway)
        await self._stack.enter_async_context(lifespan(self.service))
        async with asyncio.timeout(5):
            while self.orders.state != "registered":  # noqa: ASYNC110 - a state is asked for, it sets no event
                await asyncio.sleep(0.005)
        await self.gateway.site.refresh()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._stack.aclose()


async def test_a_service_joins_and_leaves() -> None:
    """A service registers with its gateway, is found there, hears the site's overview, and leaves at once."""
    async with TwoNodes() as nodes:
        gateway = nodes.gateway.site.hydra
        assert (await nodes.gateway.get("/orders")).body == b'"all"'
        assert [entry.label for entry in gateway.overview.menu("main")] == ["Shop", "Orders"]
        assert gateway.overview.is_available("orders")
        assert nodes.orders.overview.is_available("shop")
        await nodes.orders.stop()
        listed = (await nodes.gateway.site.store.snapshot()).instances
        assert [instance.service for instance in listed] == ["shop"]


async def test_attributes_of_the_page() -> None:
    """A fragment of another service sees what the page lends and it imports, under its own names, nothing else."""
    async with TwoNodes() as nodes:
        assert (await nodes.gateway.get("/")).body == b"<form></form>"
        assert nodes.seen[0]["attributes"] == {"dob": "1990-04-01", "country": "BE"}


PAGE_HEADERS = [
    HOST,
    (b"cookie", b"session=s; hydra-key=0123456789abcdef; tenant=t; theme=dark"),
    (b"authorization", b"Bearer b"),
    (b"x-custom", b"c"),
    (b"x-tenant", b"x"),
    (b"accept-language", b"nl"),
    (b"traceparent", b"00-" + b"1" * 32 + b"-" + b"2" * 16 + b"-01"),
]
ALWAYS = {"accept": "text/html", "accept-language": "nl", "traceparent": PAGE_HEADERS[-1][1].decode()}


@pytest.mark.parametrize(
    ("forward", "more"),
    [
        (None, {}),
        ({"orders": ["X-Tenant", "cookie:tenant"]}, {"x-tenant": "x", "cookie": "tenant=t"}),
        ({"*": ["X-Custom"]}, {"x-custom": "c"}),
        ({"other": ["Authorization", "Cookie"]}, {}),
    ],
)
async def test_what_a_fragment_gets_of_the_visitor(forward: Any, more: dict[str, str]) -> None:
    """A fragment gets language, trace and the request's name; cookies, credentials and others by name and service."""
    async with TwoNodes(forward=forward) as nodes:
        await nodes.gateway.get("/", headers=PAGE_HEADERS)
        seen = {name.decode(): value.decode() for name, value in nodes.seen[0]["headers"]}
        assert len(seen.pop("x-request-id")) == 32
        # The page's own host, so that absolute links in the fragment lead to the site.
        assert seen == {"host": "site.test", **ALWAYS, **more}


async def test_what_an_own_fragment_gets_of_the_visitor() -> None:
    """The same holds for a fragment of the page's own app."""
    seen: list[dict[bytes, bytes]] = []

    def make(hydra: Hydra) -> FastAPI:
        app = FastAPI()

        @app.get("/page", response_class=HTMLResponse)
        async def page() -> str:
            return "<m:fragment ref='own'></m:fragment>"

        @app.get("/own", response_class=HTMLResponse)
        @hydra.fragment("own")
        async def own(request: Request) -> str:
            seen.append(dict(request.scope["headers"]))
            return ""

        app.add_middleware(HydraMiddleware, hydra=hydra)
        return app

    async with Running(make, forward={"shop": ["cookie:theme"]}) as running:
        await running.get("/page", headers=PAGE_HEADERS)
    assert len(seen[0].pop(b"x-request-id")) == 32
    expected = {**ALWAYS, "host": "site.test", "cookie": "theme=dark"}
    assert seen == [{name.encode(): value.encode() for name, value in expected.items()}]


async def test_nothing_else_leaves_the_page() -> None:
    """What no list names is not sent to the other service in any form."""
    async with Running(forward={"orders": ["X-Tenant"], "other": ["X-Custom"]}) as running:
        service = Echo("[]")
        await running.site.add("orders", service, fragments=["checkout"])
        await running.site.refresh()
        await running.get("/", headers=PAGE_HEADERS)
        sent = service.bodies[0] + b"".join(value for _, value in service.scopes[0]["headers"])
        assert b"1990-04-01" in sent
        for secret in (b"session", b"theme", b"Bearer", b'"c"', b'"secret"'):
            assert secret not in sent
        assert b'["x-tenant","x"]' in service.bodies[0]


async def test_the_key_goes_with_the_question() -> None:
    """The user's key reaches the version that renders the fragment, in a field of its own."""
    async with Running() as running:
        orders_app = Echo("[]")
        await running.site.add("orders", orders_app, version=1, fragments=["checkout"])
        await running.site.refresh()
        await running.get("/", headers=PAGE_HEADERS)
        assert orders_app.header(b"hydra-key") == b"0123456789abcdef"
        assert orders_app.header(b"cookie") is None
        assert orders_app.header(b"authorization") is None


async def test_a_service_that_is_only_one() -> None:
    """A node that is only a service asks its gateway for fragments, forwards nothing, and composes its own pages."""
    async with TwoNodes() as nodes:
        page = FastAPI()

        @page.get("/page", response_class=HTMLResponse)
        async def show() -> str:
            return '<m:fragment service="orders" ref="checkout">closed</m:fragment>'

        hydra = Hydra(
            service="page",
            gateways=["http://gateway:80"],
            address="http://127.0.0.1:8003",
            key=KEY,
            secret=SECRET,
            upstream=AsgiUpstream(nodes.gateway.site.apps),
            prober=FakeProber(),
        )
        page.add_middleware(HydraMiddleware, hydra=hydra)
        assert (await exchange(page, http_scope("/page"))).body == b"<form></form>"
        assert (await exchange(page, http_scope("/orders"))).status == 404
        await hydra.stop()


async def test_lending_where_the_node_is_switched_off() -> None:
    """A page that lends works without the middleware's work too; a wrong value is wrong there as well."""
    hydra = Hydra(enabled=False)
    hydra.lend(http_scope(), dob="1")
    with pytest.raises(LendingError, match="dob is"):
        hydra.lend(http_scope(), dob=object())
    with pytest.raises(LendingError, match="dob cannot be lent"):
        Hydra().lend(http_scope(), dob="1")


async def test_any_name_may_be_lent() -> None:
    """No name is taken by the call itself."""
    scope = {**http_scope(), "hydra.page": {}}
    Hydra().lend(scope, request="r", self="s")
    assert scope["hydra.page"] == {"request": "r", "self": "s"}


async def test_overview_before_the_start() -> None:
    """Before the node knows anything, templates see an empty site."""
    assert Hydra().overview.services == ()


# For tests


async def test_fragments_from_another_source() -> None:
    """Pages get their fragments from another source while a block lasts."""
    fakes = FakeFragments({("orders", "checkout"): "<b>fake</b>"})
    async with Running() as running:
        with running.site.hydra.node.fragments_from(fakes):
            assert (await running.get("/")).body == b"<b>fake</b>"
        assert (await running.get("/")).body == b"closed"


async def test_on_a_stage() -> None:
    """A node on a stage sees the stage's site and does no work; then it goes on where it was."""
    async with Running() as running:
        hydra, echo = running.site.hydra, Echo("stage")
        guest = ServiceInstance("guest", Address("http", "guest", 80), routes=routes("/guest"))
        stage = Stage(AsgiUpstream({"guest:80": echo}), lambda: [hydra.instance, guest])
        parts, options = hydra.running, hydra.options
        with hydra.node.staged(stage, Address("http", "shop", 80)):
            assert hydra.running is None
            tasks = asyncio.all_tasks()
            assert (await running.get("/guest")).body == b"stage"
            assert (await running.get("/nowhere")).status == 404
            assert hydra.state == "registered"
            assert await running.ready() == (200, {"status": "ok"})
            assert asyncio.all_tasks() == tasks
            assert str(hydra.instance.address) == "http://shop:80"
        assert (hydra.running, hydra.options) == (parts, options)
        assert hydra.instance.address.port == 0
        assert (await running.get("/guest")).status == 503


async def test_plain_functions_in_threads_see_the_site() -> None:
    """A framework runs plain functions in a thread; the overview and the state are the same there."""

    def make(hydra: Hydra) -> FastAPI:
        app = FastAPI()

        @app.get("/page")
        @hydra.menu("main", label="Page")
        def page() -> list[str]:
            return [hydra.state, *(entry.label for entry in hydra.overview.menu("main"))]

        app.add_middleware(HydraMiddleware, hydra=hydra)
        return app

    async with Running(make) as running:
        await running.site.refresh()
        state, *labels = json.loads((await running.get("/page")).body)
        assert labels == ["Page"]
        assert state in ("starting", "registered")
