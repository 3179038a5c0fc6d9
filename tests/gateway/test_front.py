"""The front of a gateway: who answers, with which key, and what is refused before anybody is asked."""

from typing import Any

import pytest

from hydra_asgi.core.directory.directory_state import DirectoryState, LocalApp, build_state
from hydra_asgi.core.instance import Address, Revision, Route, RouteKind, ServiceInstance, Snapshot
from hydra_asgi.gateway.front import GatewayFront
from tests.exchange import Exchange, exchange, http_scope

HOST = (b"host", b"site.test")
KEY = "abcdefghijklmnopqrst"


def instance(service: str, *routes: Route, token: int, version: int = 1, weight: float = 10.0) -> ServiceInstance:
    address = Address("http", f"{service}-{version}", 80)
    return ServiceInstance(service, address, version, weight, routes=routes, token=token, order=token - 1_000_000_000)


SHOP = instance("shop", Route("/"), Route("/ws", kind=RouteKind.WEBSOCKET), token=1_000_000_001)
ORDERS = instance("orders", Route("/orders/{id}"), token=1_000_000_002)
NEWER = instance("orders", Route("/orders/{id}"), token=1_000_000_003, version=2)
DRAINED = instance("drained", Route("/drained"), token=1_000_000_004, weight=0.0)
GONE = instance("gone", Route("/gone"), Route("/gone/ws", kind=RouteKind.WEBSOCKET), token=1_000_000_005)


def state(*others: ServiceInstance) -> DirectoryState:
    return build_state(Snapshot(Revision("e", 1), (SHOP, *others)), [GONE], LocalApp(SHOP))


class Rig:
    """A front with an app that answers everything, and a forwarder that notes what it was given."""

    def __init__(self, *others: ServiceInstance, starting: bool = False) -> None:
        self.served: list[dict[str, Any]] = []
        self.forwarded: list[dict[str, Any]] = []
        self.sockets: list[dict[str, Any]] = []
        self.headers: list[tuple[bytes, bytes]] = []
        self.front = GatewayFront(
            state=lambda: state(*others),
            is_starting=lambda: starting,
            serve=self._serve,
            forward=self._forward,  # type: ignore[arg-type]
            forward_socket=self._forward_socket,  # type: ignore[arg-type]
            mint=lambda: KEY,
            spread=lambda: "spread",
        )

    async def _serve(self, scope: Any, receive: Any, send: Any, **given: Any) -> None:
        self.served.append({"path": scope["path"], **given})
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": self.headers})
            await send({"type": "http.response.body", "body": b"local"})

    async def _forward(self, scope: Any, receive: Any, send: Any, **given: Any) -> None:
        self.forwarded.append(given)
        await send({"type": "http.response.start", "status": 200, "headers": self.headers})
        await send({"type": "http.response.body", "body": b"forwarded"})

    async def _forward_socket(self, scope: Any, receive: Any, send: Any, **given: Any) -> None:
        self.sockets.append(given)

    async def get(self, path: str = "/", **options: Any) -> Exchange:
        return await exchange(self.front, http_scope(path, **options))

    async def socket(self, path: str = "/ws", *, can_deny: bool = True, **options: Any) -> list[dict[str, Any]]:
        scope = {**http_scope(path, **options), "type": "websocket", "scheme": "ws"}
        if can_deny:
            scope["extensions"] = {"websocket.http.response": {}}
        return (await exchange(self.front, scope)).messages


# Bad inputs: paths as the wire has them, and headers, with the status that says so.
PATHS = [
    (b"/svc/../admin", 400),
    (b"/%2e%2e/admin", 400),
    (b"/.%2e/admin", 400),
    (b"/svc/..%2fadmin", 400),
    (b"/svc/..;/admin", 400),
    (b"/svc/%5c../admin", 400),
    (b"/./admin", 400),
    (b"/\\evil", 400),
    (b"/a%0d%0aX-Inj:1", 400),
    (b"/a%00", 400),
    (b"/a%zz", 400),
    (b"/a%", 400),
    ("/ä".encode(), 400),
    (b"/a b", 400),
    (b"/a#b", 400),
    (b"/a?b", 400),
    (b"http://evil/", 400),
    (b"*", 400),
    (b"/" + b"a" * 65536, 414),
]
HEADERS = [
    ([], 400),
    ([HOST, HOST], 400),
    ([(b"host", b"a b")], 400),
    ([(b"host", b"user@site.test")], 400),
    ([HOST, (b"content-length", b"5"), (b"transfer-encoding", b"chunked")], 400),
    ([HOST, (b"content-length", b"5"), (b"content-length", b"6")], 400),
    ([HOST, (b"x", b"a\r\nb")], 400),
    ([HOST, (b"x y", b"a")], 400),
    ([HOST, (b"transfer-encoding", b"gzip, chunked")], 501),
    ([HOST, *[(b"x", b"y")] * 300], 431),
    ([HOST, (b"x", b"y" * 70000)], 431),
]


@pytest.mark.parametrize(("raw", "status"), PATHS)
async def test_paths_that_nobody_may_answer(raw: bytes, status: int) -> None:
    """A path that two parsers could read differently is refused; neither the app nor an instance sees it."""
    rig = Rig(ORDERS)
    assert (await rig.get(raw_path=raw)).status == status
    assert rig.served == rig.forwarded == []


@pytest.mark.parametrize(("headers", "status"), HEADERS)
async def test_headers_that_nobody_may_see(headers: list[tuple[bytes, bytes]], status: int) -> None:
    """So are headers; where the end of the message is uncertain the connection goes."""
    rig = Rig(ORDERS)
    for path in ("/", "/orders/1"):
        answer = await rig.get(path, headers=headers)
        assert answer.status == status
    assert rig.served == rig.forwarded == []


async def test_uncertain_framing_ends_the_connection() -> None:
    """After a request whose end is uncertain, nothing on its connection can be believed."""
    both = [HOST, (b"content-length", b"5"), (b"transfer-encoding", b"chunked")]
    assert (await Rig().get(headers=both)).header(b"connection") == b"close"
    assert (await Rig().get(headers=[(b"host", b"a b")])).header(b"connection") is None


@pytest.mark.parametrize(("method", "status"), [("CONNECT", 501), ("TRACE", 405), ("G T", 400)])
async def test_methods_that_are_not_ours(method: str, status: int) -> None:
    """Methods that no app of the site may get are refused."""
    rig = Rig()
    assert (await rig.get(method=method)).status == status
    assert rig.served == []


@pytest.mark.parametrize(
    "path", ["//evil/x", "/http://evil/", "/orders//evil", "/a%3Fadmin=1", "/a%23b", "/%252e%252e/x"]
)
async def test_odd_paths_are_only_paths(path: str) -> None:
    """A path that looks like a host, a query or an escaped escape leads nowhere else: the app answers it as it came."""
    rig = Rig(ORDERS)
    assert (await rig.get(path)).body == b"local"
    assert rig.forwarded == []


async def test_sockets_that_are_refused() -> None:
    """A refused handshake is denied with status and reason where the server can say so, else closed."""
    rig = Rig()
    start, body = await rig.socket(raw_path=b"/../ws")
    assert (start["type"], start["status"]) == ("websocket.http.response.start", 400)
    assert (body["type"], body["more_body"]) == ("websocket.http.response.body", False)
    assert b"dot segment" in body["body"]
    assert (await rig.socket(headers=[]))[0]["status"] == 400
    assert (await rig.socket(raw_path=b"/../ws", can_deny=False)) == [
        {"type": "websocket.close", "code": 1013, "reason": ""}
    ]
    assert rig.served == []


async def test_own_routes() -> None:
    """A route of the mounted app, or one that nobody knows, is served by it, sockets too."""
    rig = Rig(ORDERS)
    assert (await rig.get()).body == b"local"
    assert (await rig.get("/unknown")).body == b"local"
    await rig.socket()
    assert rig.served == [{"path": path, "key": "spread", "target": None} for path in ("/", "/unknown", "/ws")]


async def test_own_addresses() -> None:
    """The app's own token and service name lead to its own files and socket."""
    rig = Rig()
    await rig.get("/1000000001/app.css")
    await rig.get("/shop/static/app.css")
    await rig.socket("/1000000001/socket")
    assert [served["target"] for served in rig.served] == [b"/static/app.css", b"/static/app.css", b"/socket"]


async def test_foreign_routes() -> None:
    """A route of another service is forwarded with its bytes and query; its group and the key decide where to."""
    rig = Rig(ORDERS)
    await rig.get("/orders/a b", raw_path=b"/orders/a%20b", query=b"q=1&q=%zz")
    await rig.get("/orders/1")
    assert [given["target"] for given in rig.forwarded] == [b"/orders/a%20b?q=1&q=%zz", b"/orders/1"]
    assert {given["group"].service for given in rig.forwarded} == {"orders"}
    assert {given["key"] for given in rig.forwarded} == {"spread"}
    assert rig.served == []


async def test_foreign_addresses() -> None:
    """Files of another instance or service are found by token and by name; what is no file is not there."""
    rig = Rig(ORDERS)
    await rig.get("/1000000002/a.css", query=b"v=1")
    await rig.get("/orders/static/a.css")
    assert [given["target"] for given in rig.forwarded] == [b"/static/a.css?v=1", b"/static/a.css"]
    assert (await rig.get("/1000000002/")).status == 404
    assert len(rig.forwarded) == 2


async def test_foreign_sockets() -> None:
    """Sockets of other instances are forwarded likewise; a handshake for what is not there is denied."""
    rig = Rig(ORDERS, instance("chat", Route("/chat", kind=RouteKind.WEBSOCKET), token=1_000_000_006))
    await rig.socket("/chat", query=b"room=1")
    await rig.socket("/1000000002/socket")
    assert [given["target"] for given in rig.sockets] == [b"/chat?room=1", b"/socket"]
    assert [given["group"].service for given in rig.sockets] == ["chat", "orders"]
    assert (await rig.socket("/1000000002/"))[0]["status"] == 404
    assert len(rig.sockets) == 2


async def test_the_own_instance_as_the_last_resort() -> None:
    """A request for another version of the app's own service may come back to the app when that cannot be reached."""
    other = instance("shop", Route("/"), token=1_000_000_007, version=2, weight=1e9)
    rig = Rig(other, ORDERS)
    await rig.get("/")
    await rig.get("/shop/static/a.css")
    await rig.get("/orders/1")
    own, serve = rig.forwarded[0]["local"]
    assert own.key == SHOP.key
    await exchange(serve, http_scope("/"))
    await exchange(rig.forwarded[1]["local"][1], http_scope("/shop/static/a.css"))
    assert [served["target"] for served in rig.served] == [None, b"/static/a.css"]
    assert rig.forwarded[2]["local"] is None


async def test_starting() -> None:
    """While services may still announce themselves an unknown path is unavailable; all else is served, sockets too."""
    rig = Rig(ORDERS, starting=True)
    answer = await rig.get("/unknown")
    assert (answer.status, answer.header(b"retry-after")) == (503, b"3")
    assert (await rig.get()).body == b"local"
    assert (await rig.get("/orders/1")).body == b"forwarded"
    await rig.socket("/unknown")
    assert [served["path"] for served in rig.served] == ["/", "/unknown"]


@pytest.mark.parametrize("path", ["/gone", "/drained"])
async def test_nobody_there(path: str) -> None:
    """A route whose service went away, or takes nothing, is unavailable and not unknown."""
    rig = Rig(DRAINED)
    answer = await rig.get(path)
    assert answer.status == 503
    assert answer.header(b"retry-after") == b"3"
    assert answer.header(b"proxy-status") == b"hydra; error=destination_unavailable"
    assert rig.served == rig.forwarded == []


async def test_nobody_there_for_a_socket() -> None:
    """A socket's handshake is denied then."""
    assert (await Rig().socket("/gone/ws"))[0]["status"] == 503
    assert (await Rig().socket("/gone/ws", can_deny=False))[0]["type"] == "websocket.close"


async def test_no_key_where_nobody_needs_one() -> None:
    """While every service has one version, no cookie is set and the load is only spread."""
    rig = Rig(ORDERS)
    assert (await rig.get()).header(b"set-cookie") is None
    assert rig.served[0]["key"] == "spread"


async def test_a_key_is_minted_once() -> None:
    """With two versions a visitor without a key gets one, with a cookie on the very first answer, whoever makes it."""
    rig = Rig(ORDERS, NEWER)
    for path, scheme, end in (("/", "http", b""), ("/orders/1", "https", b"; Secure")):
        answer = await rig.get(path, scheme=scheme)
        expected = b"hydra-key=" + KEY.encode() + b"; Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax" + end
        assert answer.all(b"set-cookie") == [expected]
    assert rig.served[0]["key"] == rig.forwarded[0]["key"] == KEY
    await rig.socket()
    assert rig.served[1]["key"] == KEY


async def test_a_server_that_names_no_scheme() -> None:
    """The scheme is optional in ASGI; the cookie is then one for http."""
    scope = http_scope()
    del scope["scheme"]
    answer = await exchange(Rig(ORDERS, NEWER).front, scope)
    assert not (answer.header(b"set-cookie") or b"").endswith(b"Secure")


@pytest.mark.parametrize(
    "field", [(b"cookie", b"a=b; hydra-key=0123456789abcdef"), (b"hydra-key", b"0123456789abcdef")]
)
async def test_a_key_is_kept(field: tuple[bytes, bytes]) -> None:
    """A visitor with a key keeps it, from the cookie or from the node before us, and gets no new cookie."""
    rig = Rig(ORDERS, NEWER)
    answer = await rig.get("/orders/1", headers=[HOST, field])
    assert answer.header(b"set-cookie") is None
    assert rig.forwarded[0]["key"] == "0123456789abcdef"


async def test_a_malformed_key_is_none() -> None:
    """What is no key of ours is replaced."""
    rig = Rig(ORDERS, NEWER)
    answer = await rig.get(headers=[HOST, (b"cookie", b"hydra-key=<script>")])
    assert answer.header(b"set-cookie") is not None
    assert rig.served[0]["key"] == KEY


@pytest.mark.parametrize(
    ("headers", "is_set"),
    [
        ([], True),
        ([(b"cache-control", b"no-store")], True),
        ([(b"cache-control", b"private, max-age=60")], True),
        ([(b"cache-control", b"public, max-age=60")], False),
        ([(b"etag", b'"x"')], False),
        ([(b"expires", b"Thu, 01 Jan 2037 00:00:00 GMT")], False),
    ],
)
async def test_no_cookie_on_what_shared_caches_may_keep(headers: list[tuple[bytes, bytes]], is_set: bool) -> None:
    """An answer that a shared cache may give to everybody carries nobody's key; its own fields stay as they were."""
    rig = Rig(ORDERS, NEWER)
    rig.headers = headers
    answer = await rig.get()
    assert (answer.header(b"set-cookie") is not None) is is_set
    assert answer.headers[: len(headers)] == headers


async def test_a_key_that_a_handshake_minted_is_kept() -> None:
    """A browser whose first request is a WebSocket gets its cookie with the acceptance, or with the refusal."""
    rig = Rig(ORDERS, NEWER)

    async def accept(scope: Any, receive: Any, send: Any, **given: Any) -> None:
        await send({"type": "websocket.accept", "subprotocol": None, "headers": [(b"etag", b"x")]})
        await send({"type": "websocket.close", "code": 1000})

    rig._serve = accept  # type: ignore[method-assign]
    rig.front._serve = accept
    accepted, closed = await rig.socket()
    assert accepted["headers"][0] == (b"etag", b"x")
    assert accepted["headers"][1][1].startswith(b"hydra-key=" + KEY.encode())
    assert "headers" not in closed


@pytest.mark.parametrize(
    ("value", "is_ours"), [(b"1000000001", True), (b"1000000002", False), (b"x", False), (b"10000000010", False)]
)
async def test_a_node_before_us_has_chosen(value: bytes, is_ours: bool) -> None:
    """A request that was sent to this very instance is served by it, if the app owns the route."""
    other = ServiceInstance("shop", Address("http", "shop-2", 80), 2, routes=SHOP.routes, token=1_000_000_009, order=9)
    rig = Rig(other)
    keys = [b"%020d" % number for number in range(20)]
    for key in keys:
        await rig.get(headers=[HOST, (b"hydra-key", key), (b"hydra-path", value)])
    assert (len(rig.served) == len(keys)) is is_ours
