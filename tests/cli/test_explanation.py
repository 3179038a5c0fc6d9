"""Who answers a request, and why."""

from dataclasses import replace
from typing import Any

import pytest

from hydra_asgi.cli.explanation import Explanation, explain_request
from hydra_asgi.cli.rival_routes import Request
from hydra_asgi.core.directory.directory_state import build_state
from hydra_asgi.core.instance import Revision, Route, RouteKind, ServiceInstance, Snapshot
from hydra_asgi.core.routing.who_answers import Forward, who_answers
from hydra_asgi.core.service_settings import Condition, ConditionSource, ServiceSettings, SharePolicy
from tests.cli import live_site

KEY = "a-key-of-16-char"
TESTER = Condition(ConditionSource.HEADER, "x-tester", "", 2)


def instance(service: str, port: int, version: int, *routes: Route | str, **more: Any) -> ServiceInstance:
    token = 1_000_000_000 + port
    return replace(live_site.instance(service, port, version, *routes, **more), token=token, order=port)


ONE, TWO, OFF = (
    instance("orders", 1, 1, "/orders", "/old"),
    instance("orders", 2, 2, "/orders"),
    instance("orders", 3, 2, "/orders", weight=0.0),
)


def explain(
    *instances: ServiceInstance,
    path: str = "/orders",
    settings: ServiceSettings | None = None,
    method: str = "GET",
    kind: RouteKind = RouteKind.HTTP,
    **more: Any,
) -> Explanation:
    snapshot = Snapshot(Revision("e", 1), instances, {} if settings is None else {"orders": settings})
    request = Request(tuple(path[1:].split("/")), method, kind, "")
    explained = explain_request(snapshot, request, **more)
    if explained.instance is not None:
        # What is said is what a node does.
        key, headers = more.get("key", ""), more.get("headers", ())
        state = build_state(snapshot, ())
        decision = who_answers(state, request.segments, method, key=key, kind=kind, headers=headers)
        assert isinstance(decision, Forward)
        assert decision.instance == explained.instance
    return explained


def test_a_lone_instance_answers() -> None:
    """Route, service and instance are named; there is nothing to choose."""
    explained = explain(ONE)
    assert (explained.outcome, explained.summary) == ("answered", "orders v1 at http://10.0.0.1:1")
    assert (explained.service, explained.template, explained.instance) == ("orders", "/orders", ONE)
    assert explained.reasons == (
        "/orders of orders is the most specific route that fits",
        "it is the only instance that gets such requests",
    )
    assert [(turn.place, turn.users, turn.why) for turn in explained.turns] == [(1, 1.0, "answers")]


def test_without_a_key_the_parts_of_all_users_are_told() -> None:
    """Who answers depends on the user, so nobody is named."""
    explained = explain(ONE, TWO, OFF, settings=ServiceSettings({1: 90.0, 2: 10.0}))
    assert explained.outcome == "answered"
    assert explained.summary == "orders, which instance depends on the user's key: v1 90 %, v2 10 %"
    assert explained.instance is None
    assert explained.reasons[1:] == ("central shares give v1 90 %, v2 10 % of the users",)
    assert [(turn.place, turn.users, turn.why) for turn in explained.turns] == [
        (0, 0.9, "by key"),
        (0, 0.1, "by key"),
        (0, 0.0, "drained"),
    ]


def test_with_a_key_the_order_of_the_turns_is_told() -> None:
    """The same on every node: who answers, and who is next when that fails."""
    explained = explain(ONE, TWO, OFF, key=KEY)
    assert explained.instance in (ONE, TWO)
    assert explained.reasons[1:] == (
        "the weights of the instances give v1 50 %, v2 50 % of the users",
        f"the key {KEY} falls to it, the version first, on every node that is no instance of that version itself",
    )
    assert [(turn.place, turn.why) for turn in explained.turns] == [(1, "answers"), (2, "next"), (0, "drained")]


def test_instances_of_one_version_are_chosen_by_weight() -> None:
    """No version has to be chosen first."""
    other = instance("orders", 4, 1, "/orders", weight=30.0)
    explained = explain(ONE, other, key=KEY)
    assert explained.reasons[1:] == (
        f"the key {KEY} falls to it, on every node that is no instance of that version itself",
    )
    assert sorted(turn.users for turn in explained.turns) == [0.25, 0.75]


def test_a_condition_that_fits_decides() -> None:
    """It is named, with the version that it gives; all such users get that."""
    settings = ServiceSettings({1: 100.0}, conditions=(TESTER,))
    explained = explain(ONE, TWO, OFF, settings=settings, headers=[(b"x-tester", b"1")])
    assert explained.instance == TWO
    assert explained.reasons[1:] == (
        "the condition header:x-tester=v2 fits: this user gets v2, whatever its share",
        "central shares give v1 100 % of the users",
        "v2 gets none: the shares do not name it, and one that they name can serve",
        "it is the only instance that gets such requests",
    )
    assert [(turn.place, turn.users, turn.why) for turn in explained.turns] == [
        (1, 1.0, "answers"),
        (2, 0.0, "next"),
        (0, 0.0, "drained"),
    ]


def test_conditions_that_do_not_decide() -> None:
    """One that does not fit, and one whose version cannot serve: the shares decide."""
    settings = ServiceSettings(conditions=(TESTER,))
    assert "no condition decides: the shares do" in explain(ONE, TWO, settings=settings).reasons
    explained = explain(ONE, OFF, settings=settings, headers=[(b"x-tester", b"1")])
    assert explained.instance == ONE
    assert explained.reasons[1:3] == (
        "the condition header:x-tester=v2 fits, but no instance of v2 can serve this route now",
        "no condition decides: the shares do",
    )


@pytest.mark.parametrize(
    ("second", "shares", "why", "word"),
    [
        (OFF, {}, "all its instances are drained", "drained"),
        (replace(TWO, active=False), {}, "all its instances are inactive", "inactive"),
        (TWO, {1: 1.0, 2: 0.0}, "its share is 0", "no share"),
        (TWO, {1: 1.0}, "the shares do not name it, and one that they name can serve", "no share"),
    ],
)
def test_why_a_version_gets_nobody(second: ServiceInstance, shares: dict[int, float], why: str, word: str) -> None:
    """Drained, inactive, without a share: each is another thing to change."""
    explained = explain(ONE, second, settings=ServiceSettings(shares))
    assert explained.instance == ONE
    assert f"v2 gets none: {why}" in explained.reasons
    assert [turn.why for turn in explained.turns] == ["answers", word]


def test_a_policy_is_named() -> None:
    """Shares that nobody typed have a source too."""
    explained = explain(ONE, TWO, settings=ServiceSettings(policy=SharePolicy.NEWEST_VERSION_WINS))
    assert "the policy NEWEST_VERSION_WINS gives v2 100 % of the users" in explained.reasons
    assert "v1 gets none: its share is 0" in explained.reasons


def test_only_instances_that_have_the_route_are_asked() -> None:
    """A route of the old version alone is answered by it, whatever the new one's share."""
    explained = explain(ONE, TWO, path="/old", settings=ServiceSettings({1: 10.0, 2: 90.0}))
    assert explained.instance == ONE
    assert len(explained.turns) == 1


def test_inactive_instances_are_asked_when_no_other_is_left() -> None:
    """It is said that the one who is asked is silent."""
    explained = explain(replace(ONE, active=False))
    assert explained.instance is not None
    assert explained.reasons[-1] == "no active instance is left: this one is silent and is asked all the same"


def test_a_drained_service_is_unavailable() -> None:
    """Its route is known, and nobody is there to answer it."""
    explained = explain(OFF, instance("shop", 9, 1, "/{rest:path}"))
    assert (explained.outcome, explained.instance) == ("unavailable", None)
    assert explained.summary == "nobody: orders takes no requests at the moment (503)"
    assert explained.reasons[1] == "/{rest:path} of shop fits too, but is less specific"
    assert [(turn.place, turn.why) for turn in explained.turns] == [(0, "drained")]


def test_shares_of_nothing_make_a_service_unavailable() -> None:
    """Which versions get nothing is said of each."""
    explained = explain(ONE, TWO, settings=ServiceSettings({1: 0.0, 2: 0.0}))
    assert explained.outcome == "unavailable"
    assert explained.reasons[1:] == ("v1 gets none: its share is 0", "v2 gets none: its share is 0")
    assert {turn.why for turn in explained.turns} == {"no share"}


def test_an_unknown_path_is_the_apps_own() -> None:
    """What comes close is named; departed routes and starting nodes are explained."""
    explained = explain(ONE, instance("live", 9, 1, Route("/x", kind=RouteKind.WEBSOCKET)), path="/x")
    assert (explained.outcome, explained.service, explained.turns) == ("unknown", "", ())
    assert explained.reasons[0] == "/x of live would fit, but it is a route for WebSockets"
    assert "404" in explained.reasons[1]
    assert "within the last hour is 503" in explained.reasons[2]


def test_a_method_that_nobody_takes_is_the_services_405() -> None:
    """The path has an owner, and his app says so."""
    explained = explain(instance("orders", 1, 1, Route("/orders", frozenset({"GET"}))), method="PUT")
    assert explained.outcome == "answered"
    assert "no route takes PUT here: orders itself answers, with 405" in explained.reasons


def test_a_slash_at_the_end_is_explained() -> None:
    """The app may redirect to its own spelling."""
    explained = explain(ONE, path="/orders/")
    assert explained.reasons[0] == (
        "no route has exactly this path; /orders of orders has it with another slash at the end, and may redirect"
    )


def test_a_token_names_an_instance() -> None:
    """Even a drained one: its sockets and files stay."""
    explained = explain(ONE, OFF, path=f"/{OFF.token}/app.css")
    assert explained.outcome == "answered"
    assert explained.instance is not None
    assert explained.instance.token == OFF.token
    assert "is the token of an instance" in explained.reasons[0]
    assert [turn.why for turn in explained.turns] == ["answers"]


def test_static_files_go_by_the_services_name() -> None:
    """No route is needed for them."""
    explained = explain(ONE, path="/orders/static/app.css")
    assert (explained.instance, explained.template) == (ONE, "")
    assert explained.reasons[0].startswith("/orders/static/ names the files of that service")


def test_a_limit_that_hides_a_better_route_is_named() -> None:
    """Somebody else answers, and the settings are why."""
    shop = instance("shop", 9, 1, "/{rest:path}")
    explained = explain(ONE, shop, settings=ServiceSettings(prefixes=("/o",)))
    assert explained.instance == shop
    assert "/orders of orders would fit, but central settings limit the service to /o" in explained.reasons
