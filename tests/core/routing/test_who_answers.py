"""Who answers a request."""

from dataclasses import replace

from hydra_asgi.core.directory.directory_state import DirectoryState, LocalApp, build_state
from hydra_asgi.core.instance import Address, Dialect, Revision, Route, RouteKind, ServiceInstance, Snapshot
from hydra_asgi.core.routing.who_answers import Addressed, Forward, Local, Unavailable, elsewhere, who_answers
from hydra_asgi.core.service_settings import Condition, ConditionSource, ServiceSettings

KEY = "a-user"


def instance(service: str, port: int, *templates: str, order: int = 1, **more: object) -> ServiceInstance:
    routes = tuple(Route(template) for template in templates)
    address = Address("http", "127.0.0.1", port)
    return replace(
        ServiceInstance(service, address, routes=routes, token=1_000_000_000 + port, order=order),
        **more,  # type: ignore[arg-type]  # the tests name fields
    )


SHOP = instance("shop", 1, "/", "/products/{id}", order=1)
ORDERS = instance("orders", 2, "/orders", "/orders/{id}", order=2)


def directory(*instances: ServiceInstance, gone: tuple[ServiceInstance, ...] = ()) -> DirectoryState:
    return build_state(Snapshot(Revision("e", 1), instances), gone, LocalApp(instances[0]))


def ask(state: DirectoryState, path: str, **more: object) -> Local | Forward | Unavailable:
    segments = tuple(path.removeprefix("/").split("/"))
    return who_answers(state, segments, "GET", key=KEY, **more)  # type: ignore[arg-type]  # as above


def test_own_route_is_served_here() -> None:
    """A route of the mounted app is served without leaving the process."""
    assert ask(directory(SHOP, ORDERS), "/products/7") == Local(known=True)


def test_foreign_route_is_forwarded() -> None:
    """A route of another service goes to that service's instances."""
    decision = ask(directory(SHOP, ORDERS), "/orders/7")
    assert isinstance(decision, Forward)
    assert decision.group.pick(KEY) == ORDERS
    assert decision.instance == ORDERS
    assert decision.addressed is Addressed.NOTHING


def test_older_registration_wins_over_our_own_route() -> None:
    """The mounted app has no privilege: the older service answers a route that both declare."""
    older = instance("orders", 2, "/products/{id}", order=0)
    assert isinstance(ask(directory(SHOP, older), "/products/7"), Forward)


def test_plain_instances_have_no_addresses() -> None:
    """Who speaks nothing but HTTP has files under its service's name only where its routes say so."""
    plain = instance("legacy", 2, "/legacy/static/{rest:path}", dialect=Dialect.PLAIN)
    decision = ask(directory(SHOP, plain), "/legacy/static/app.css")
    assert isinstance(decision, Forward)
    assert decision.addressed is Addressed.NOTHING
    silent = instance("legacy", 2, "/legacy", dialect=Dialect.PLAIN)
    assert ask(directory(SHOP, silent), "/legacy/static/app.css") == Local(known=False)


def test_other_version_of_our_own_service() -> None:
    """When the key picks another instance of our own service, the request goes there."""
    other = instance("shop", 3, "/", order=3, weight=1000.0, version=2)
    light = replace(SHOP, weight=0.001)
    assert isinstance(ask(directory(light, other), "/"), Forward)


def canary(*services: str, shares: dict[int, float] | None = None) -> Snapshot:
    """Two versions of the shop, of which testers see the second; and orders."""
    second = instance("shop", 3, "/", order=3, version=2)
    tester = Condition(ConditionSource.HEADER, "x-tester", "", 2)
    settings = ServiceSettings({0: 100.0} if shares is None else shares, conditions=(tester,))
    return Snapshot(Revision("e", 1), (SHOP, second, ORDERS), dict.fromkeys(services or ["shop"], settings))


TESTER = [(b"x-tester", b"1")]


def test_a_condition_decides_before_the_shares() -> None:
    """Who sends the header gets the other version, for pages, sockets and static files alike; others do not."""
    state = build_state(canary(), (), LocalApp(SHOP))
    for path in ("/", "/shop/static/app.css"):
        mine = ask(state, path)
        assert isinstance(mine, Local)
        assert mine.known
        theirs = ask(state, path, headers=TESTER)
        assert isinstance(theirs, Forward)
        assert (theirs.instance.version, theirs.group.pick("any key")) == (2, theirs.instance)
    assert ask(state, f"/{SHOP.token}/app.css", headers=TESTER) == Local(known=True, addressed=Addressed.TOKEN)
    assert isinstance(ask(state, "/orders", headers=TESTER), Forward)


def test_testers_are_served_while_everybody_else_is_kept_out() -> None:
    """A version without a share is there for those whom a condition names."""
    state = build_state(canary(shares={0: 0.0, 2: 0.0}), ())
    assert isinstance(ask(state, "/"), Unavailable)
    assert isinstance(ask(state, "/", headers=TESTER), Forward)


def test_another_instance_of_the_same_version() -> None:
    """The user's version is served here, whichever of its instances the key picks, unless ours takes no requests."""
    other = instance("shop", 3, "/", order=3, weight=1000.0)
    light = replace(SHOP, weight=0.001)
    assert ask(directory(light, other), "/") == Local(known=True)
    assert ask(directory(light, other), "/shop/static/a.css") == Local(known=True, addressed=Addressed.SERVICE)
    assert isinstance(ask(directory(replace(SHOP, weight=0.0), other), "/"), Forward)


def test_another_instance_has_more_routes() -> None:
    """An instance of the same version that alone has a route, or is asked for by its name, answers itself."""
    other = instance("shop", 3, "/", "/new", order=3)
    assert isinstance(ask(directory(SHOP, other), "/new"), Forward)
    assert isinstance(ask(directory(SHOP, other), f"/{other.token}/a.css"), Forward)


def test_the_node_before_us_has_chosen() -> None:
    """A request that was sent to this very instance is served here, whatever the key would pick: its routes only."""
    other = instance("shop", 3, "/", order=3, weight=1000.0, version=2)
    state = directory(replace(SHOP, weight=0.001), other, ORDERS)
    assert ask(state, "/", chosen=SHOP.token) == Local(known=True)
    assert ask(state, "/shop/static/a.css", chosen=SHOP.token) == Local(known=True, addressed=Addressed.SERVICE)
    for token in (other.token, ORDERS.token, 7):
        assert isinstance(ask(state, "/", chosen=token), Forward)
    assert isinstance(ask(state, "/orders", chosen=SHOP.token), Forward)


def test_without_an_app_nobody_is_chosen() -> None:
    """A node without an app forwards what it gets."""
    state = build_state(Snapshot(Revision("e", 1), (ORDERS,)), ())
    assert isinstance(ask(state, "/orders", chosen=ORDERS.token), Forward)


def test_unknown_path_is_the_apps_404() -> None:
    """Nobody's path reaches the mounted app, whose 404 it is."""
    assert ask(directory(SHOP, ORDERS), "/nowhere") == Local(known=False)


def test_departed_route_is_unavailable() -> None:
    """A route known within the last hour is unavailable, not unknown."""
    decision = ask(directory(SHOP, gone=(ORDERS,)), "/orders")
    assert isinstance(decision, Unavailable)
    assert decision.service == "orders"


def test_drained_service_is_unavailable() -> None:
    """A service whose weights are all zero takes no requests."""
    decision = ask(directory(SHOP, replace(ORDERS, weight=0.0)), "/orders")
    assert isinstance(decision, Unavailable)
    assert decision.service == "orders"


def test_a_drained_app_still_answers_what_reaches_it() -> None:
    """Where nobody takes requests, the mounted app answers its own routes rather than nobody."""
    assert ask(directory(replace(SHOP, weight=0.0), ORDERS), "/products/7") == Local(known=True)


def test_token_names_one_instance() -> None:
    """`/{token}/...` goes to that instance and nowhere else, drained or not."""
    drained = replace(ORDERS, weight=0.0)
    decision = ask(directory(SHOP, drained), f"/{ORDERS.token}/css/one.css")
    assert isinstance(decision, Forward)
    assert decision.addressed is Addressed.TOKEN
    assert [one.address for one in decision.group.order(KEY)] == [ORDERS.address]


def test_unknown_token_is_an_ordinary_path() -> None:
    """Ten digits that name nobody are matched like any path."""
    digits = instance("numbers", 5, "/{number}/{rest}", order=5)
    decision = ask(directory(SHOP, digits), "/1999999999/x")
    assert isinstance(decision, Forward)
    assert decision.addressed is Addressed.NOTHING


def test_static_files_of_services() -> None:
    """`/{service}/static/...` reaches that service's files; our own are served here."""
    state = directory(SHOP, ORDERS)
    foreign = ask(state, "/orders/static/a.css")
    assert isinstance(foreign, Forward)
    assert foreign.addressed is Addressed.SERVICE
    assert ask(state, "/shop/static/a.css") == Local(known=True, addressed=Addressed.SERVICE)
    assert ask(state, f"/{SHOP.token}/a.css") == Local(known=True, addressed=Addressed.TOKEN)


def test_the_static_folder_itself_is_no_file() -> None:
    """`/orders/static` without a file behind it is an ordinary path, for instance of `/orders/{id}`."""
    for path in ("/orders/static", "/orders/static/"):
        decision = ask(directory(SHOP, ORDERS), path)
        assert isinstance(decision, Forward)
        assert decision.addressed is Addressed.NOTHING


def test_static_of_a_drained_service_falls_through() -> None:
    """Files of a service that takes no requests are looked up like any other path."""
    assert ask(directory(SHOP, replace(ORDERS, weight=0.0)), "/orders/static/a.css") == Local(known=False)


def test_kind_and_host_are_passed_on() -> None:
    """A WebSocket route does not answer HTTP, nor a route of one host another host's requests."""
    chat = replace(ORDERS, routes=(Route("/chat", kind=RouteKind.WEBSOCKET), Route("/only", host="a.test")))
    state = directory(SHOP, chat)
    assert ask(state, "/chat") == Local(known=False)
    assert isinstance(ask(state, "/chat", kind=RouteKind.WEBSOCKET), Forward)
    assert ask(state, "/only", host="b.test") == Local(known=False)
    assert isinstance(ask(state, "/only", host="a.test"), Forward)


def test_what_is_elsewhere_for_everybody() -> None:
    """A route of another service leads to its group whoever asks; all else depends on more than the path."""
    state = directory(SHOP, ORDERS)
    group = elsewhere(state, ("orders", "7"), "GET")
    assert group is not None
    assert group.instances == (ORDERS,)
    for path in ("", "products/7", "nothing", f"{ORDERS.token}/x", "orders/static/app.css"):
        assert elsewhere(state, tuple(path.split("/")), "GET") is None
    stateless = build_state(Snapshot(Revision("e", 1), (ORDERS,)), ())
    assert elsewhere(stateless, ("orders",), "GET") is not None
