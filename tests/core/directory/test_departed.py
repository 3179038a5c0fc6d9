"""Routes that were known within the last hour."""

from hydra_asgi.core.directory.departed import MAX_DEPARTED_ROUTES, REMEMBERED_SECONDS, Departed
from hydra_asgi.core.instance import Address, MenuItem, Revision, Route, ServiceInstance, Snapshot


def instance(port: int, *templates: str, service: str = "orders", version: int = 0) -> ServiceInstance:
    return ServiceInstance(
        service,
        Address("http", "10.0.0.1", port),
        version,
        routes=tuple(map(Route, templates)),
        resources=frozenset({"a.css"}),
        menu_items=(MenuItem("main", "/orders"),),
    )


def snapshot(*instances: ServiceInstance) -> Snapshot:
    return Snapshot(Revision("e", 1), instances)


def templates(departed: Departed, now: float) -> list[tuple[str, str]]:
    return [(left.service, route.template) for left in departed.prune(now) for route in left.routes]


def test_routes_of_an_instance_that_left_are_remembered_for_an_hour() -> None:
    """A route known within the last hour is known to be away."""
    departed = Departed()
    departed.note(snapshot(instance(1, "/a", "/b")), snapshot(), 100.0)
    assert templates(departed, 100.0 + REMEMBERED_SECONDS - 1) == [("orders", "/a"), ("orders", "/b")]
    assert departed.prune(100.0 + REMEMBERED_SECONDS) == ()


def test_only_what_left_too_long_ago_is_forgotten() -> None:
    """Each instance is remembered for an hour of its own."""
    departed = Departed()
    departed.note(snapshot(instance(1, "/a"), instance(2, "/b")), snapshot(instance(2, "/b")), 0.0)
    departed.note(snapshot(instance(2, "/b")), snapshot(), 100.0)
    assert not departed.is_due(REMEMBERED_SECONDS - 1)
    assert departed.is_due(REMEMBERED_SECONDS)
    assert templates(departed, REMEMBERED_SECONDS + 50) == [("orders", "/b")]


def test_what_is_kept_of_an_instance_is_what_a_route_needs() -> None:
    """Remembering costs no more than the routes."""
    departed = Departed()
    departed.note(snapshot(instance(1, "/a")), snapshot(), 0.0)
    (left,) = departed.prune(0.0)
    assert (left.resources, left.menu_items, left.fragments) == (frozenset(), (), None)


def test_routes_that_another_instance_of_the_service_has_are_not_departed() -> None:
    """One of two copies going is no loss; when the other goes, both are remembered as one."""
    departed = Departed()
    one, two = instance(1, "/a"), instance(2, "/a")
    departed.note(snapshot(one, two), snapshot(two), 0.0)
    assert departed.prune(1.0) == ()
    departed.note(snapshot(two), snapshot(), 10.0)
    assert templates(departed, 11.0) == [("orders", "/a")]


def test_only_the_missing_routes_of_a_service_are_departed() -> None:
    """An instance with more routes than those that stay leaves only the difference behind."""
    departed = Departed()
    stays = instance(2, "/a")
    departed.note(snapshot(instance(1, "/a", "/old"), stays), snapshot(stays), 0.0)
    assert templates(departed, 1.0) == [("orders", "/old")]


def test_the_same_route_of_another_service_does_not_count() -> None:
    """A route belongs to its service; which service answers is decided elsewhere."""
    departed = Departed()
    shop = instance(2, "/a", service="shop")
    departed.note(snapshot(instance(1, "/a"), shop), snapshot(shop), 0.0)
    assert templates(departed, 1.0) == [("orders", "/a")]


def test_an_instance_that_comes_back_is_not_departed() -> None:
    """What is there again is not away."""
    departed = Departed()
    departed.note(snapshot(instance(1, "/a")), snapshot(), 0.0)
    departed.note(snapshot(), snapshot(instance(1, "/a")), 1.0)
    assert departed.prune(2.0) == ()


def test_a_route_taken_back_by_its_own_instance_is_not_departed() -> None:
    """A service that announces fewer routes has removed them on purpose."""
    departed = Departed()
    departed.note(snapshot(instance(1, "/a", "/b")), snapshot(instance(1, "/a")), 0.0)
    assert departed.prune(1.0) == ()


def test_an_instance_without_routes_leaves_nothing_to_remember() -> None:
    """A service that only renders fragments has no route that could be away."""
    departed = Departed()
    departed.note(snapshot(instance(1)), snapshot(), 0.0)
    assert departed.prune(1.0) == ()


def test_the_memory_is_bounded_and_drops_the_oldest() -> None:
    """However many instances come and go, no more than so many routes are kept."""
    departed = Departed()
    half = [f"/r{number}" for number in range(MAX_DEPARTED_ROUTES // 2)]
    for step, service in enumerate(("first", "second", "third")):
        departed.note(snapshot(instance(1, *half, service=service)), snapshot(), float(step))
    assert [left.service for left in departed.prune(3.0)] == ["second", "third"]
    departed.note(snapshot(instance(1, *half, service="second")), snapshot(), 4.0)
    assert [left.service for left in departed.prune(5.0)] == ["third", "second"]


def test_what_is_departed_stays_the_same_object() -> None:
    """Whoever compiles it can see that nothing has changed."""
    departed = Departed()
    stays = instance(2, "/a")
    departed.note(snapshot(instance(1, "/a", "/old"), stays), snapshot(stays), 0.0)
    (first,) = departed.prune(1.0)
    departed.note(snapshot(stays), snapshot(stays, instance(3, "/b")), 2.0)
    (again,) = departed.prune(2.0)
    assert again is first
    departed.note(snapshot(stays), snapshot(), 3.0)
    assert templates(departed, 3.0) == [("orders", "/a"), ("orders", "/old"), ("orders", "/a")]


def test_what_is_expected_is_away_until_it_comes() -> None:
    """Instances that somebody wrote down count as gone for as long as nothing else is said, but for what is there."""
    departed = Departed()
    departed.expect([instance(1, "/a", "/b"), instance(2)])
    assert templates(departed, 0.0) == [("orders", "/a"), ("orders", "/b")]
    assert templates(departed, 10 * REMEMBERED_SECONDS) == [("orders", "/a"), ("orders", "/b")]
    departed.note(snapshot(), snapshot(instance(1, "/a")), 0.0)
    assert templates(departed, 1.0) == [("orders", "/b")]
    departed.note(snapshot(instance(1, "/a", "/b")), snapshot(), 2.0)
    assert templates(departed, 3.0) == [("orders", "/a"), ("orders", "/b")]
    departed.expect([])
    assert templates(departed, 3.0) == [("orders", "/a"), ("orders", "/b")]
    assert templates(departed, 3.0 + REMEMBERED_SECONDS) == []
