"""`hydra-asgi weights`."""

import json

import pytest

from hydra_asgi.core.service_settings import Condition, ConditionSource, ServiceSettings, SharePolicy
from tests.cli.live_site import LiveSite, instance, site

__all__ = ["site"]  # a fixture

TESTER = Condition(ConditionSource.HEADER, "x-tester", "yes", 2)


def lines(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_shares_are_set_and_what_they_do_is_told(site: LiveSite) -> None:
    """The settings as they are now are on stdout, who gets what on stderr."""
    ended = site.call("weights", "set", "orders", "v2=10", "v1=90")
    assert ended.exit_code == 0
    assert lines(ended.stdout) == [["setting", "value"], ["share", "v1=90"], ["share", "v2=10"]]
    assert ended.stderr == "hydra-asgi: now the users of orders get v1 90 %, v2 10 %\n"
    assert site.settings() == ServiceSettings({1: 90.0, 2: 10.0})


def test_what_is_not_named_stays(site: LiveSite) -> None:
    """Shares, conditions and prefixes are each replaced as a whole; a policy and shares replace each other."""
    site.call("weights", "set", "orders", "v1=1", "--when", "header:X-Tester=yes=v2", "--prefix", "/orders")
    assert site.settings() == ServiceSettings({1: 1.0}, None, (TESTER,), ("/orders",))
    site.call("weights", "set", "orders", "--policy", "newest_version_wins")
    assert site.settings() == ServiceSettings({}, SharePolicy.NEWEST_VERSION_WINS, (TESTER,), ("/orders",))
    site.call("weights", "set", "orders", "--when", "cookie:beta=v1", "--prefix", "/o", "--prefix", "/p")
    beta = Condition(ConditionSource.COOKIE, "beta", "", 1)
    assert site.settings() == ServiceSettings({}, SharePolicy.NEWEST_VERSION_WINS, (beta,), ("/o", "/p"))
    site.call("weights", "set", "orders", "v2=3")
    assert site.settings() == ServiceSettings({2: 3.0}, None, (beta,), ("/o", "/p"))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "nothing to set: give VERSION=SHARE, --policy, --when or --prefix"),
        (["v2"], "'v2' is no share of a version"),
        (["v2=-1"], "orders: the share of version 2 is -1.0"),
        (["v2=1", "--policy", "EQUAL_SHARE"], "were both given"),
        (["--policy", "BEST"], "BEST"),
        (["--when", "x"], "--when is 'x': expected header:NAME=VALUE=VERSION"),
        (["--prefix", "orders"], "it has to start with '/'"),
    ],
)
def test_a_mistake_sets_nothing(site: LiveSite, arguments: list[str], told: str) -> None:
    """It is named with the value and the way out, and what was set stays."""
    site.call("weights", "set", "orders", "v1=1")
    ended = site.call("weights", "set", "orders", *arguments)
    assert ended.exit_code == 2
    assert told in ended.stderr
    assert ended.stdout == ""
    assert site.settings() == ServiceSettings({1: 1.0})


@pytest.mark.parametrize(
    ("service", "arguments", "told"),
    [
        (
            "ordesr",
            ["v1=1"],
            ["no instance of 'ordesr' is registered now (there are orders, shop); what is set waits for one"],
        ),
        (
            "orders",
            ["v1=1", "v7=1", "--when", "header:x=v8"],
            [
                "no instance of orders v7 is registered now",
                "no instance of orders v8 is registered now",
                "now the users of orders get v1 100 %",
            ],
        ),
        (
            "orders",
            ["v1=0", "v2=0"],
            ["orders takes no requests now: no version that is there has a share and an instance with weight"],
        ),
        ("shop", ["v1=5"], []),
        ("orders", ["--prefix", "/orders"], []),
    ],
)
def test_surprises_are_told(site: LiveSite, service: str, arguments: list[str], told: list[str]) -> None:
    """What an operator may not have meant is said, and done: perhaps he did."""
    ended = site.call("weights", "set", service, *arguments)
    assert ended.exit_code == 0
    assert ended.stderr.splitlines() == [f"hydra-asgi: {text}" for text in told]


def test_get_shows_everything_or_one_service(site: LiveSite) -> None:
    """By name, for people and for programs."""
    site.call("weights", "set", "shop", "v1=1")
    site.call("weights", "set", "orders", "--when", "header:X-Tester=yes=v2")
    assert lines(site.call("weights", "get").stdout) == [
        ["service", "setting", "value"],
        ["orders", "when", "header:x-tester=yes=v2"],
        ["shop", "share", "v1=1"],
    ]
    assert lines(site.call("weights", "get", "shop").stdout)[1:] == [["shop", "share", "v1=1"]]
    given = json.loads(site.call("weights", "get", "orders", "--json").stdout)
    assert given == {
        "settings": {
            "orders": {
                "shares": {},
                "policy": None,
                "conditions": [{"source": "header", "name": "x-tester", "value": "yes", "version": 2}],
                "prefixes": [],
            }
        }
    }


def test_get_says_when_nothing_is_set(site: LiveSite) -> None:
    """An empty table alone would leave a doubt."""
    ended = site.call("weights", "get", "orders")
    assert ended.exit_code == 0
    assert ended.stderr == "hydra-asgi: nothing is set for 'orders': what instances announce decides\n"
    assert site.call("weights", "get").stderr == "hydra-asgi: nothing is set: what instances announce decides\n"


FULL = ["v1=1", "--when", "header:X-Tester=yes=v2", "--prefix", "/orders"]


@pytest.mark.parametrize(
    ("arguments", "left"),
    [
        ([], None),
        (["--shares"], ServiceSettings(conditions=(TESTER,), prefixes=("/orders",))),
        (["--conditions"], ServiceSettings({1: 1.0}, prefixes=("/orders",))),
        (["--prefixes"], ServiceSettings({1: 1.0}, conditions=(TESTER,))),
        (["--shares", "--conditions", "--prefixes"], None),
    ],
)
def test_clear_takes_back_everything_or_what_is_named(
    site: LiveSite, arguments: list[str], left: ServiceSettings | None
) -> None:
    """What is left is shown; when nothing is, that is said."""
    site.call("weights", "set", "orders", *FULL)
    ended = site.call("weights", "clear", "orders", *arguments)
    assert ended.exit_code == 0
    assert site.settings() == left
    gone = "nothing is set for orders any more: what its instances announce decides"
    assert (gone in ended.stderr) is (left is None)
    assert bool(ended.stdout) is (left is not None)


def test_clear_of_what_was_not_set(site: LiveSite) -> None:
    """It is as asked for, and said."""
    ended = site.call("weights", "clear", "orders")
    assert ended.exit_code == 0
    assert ended.stderr == "hydra-asgi: nothing was set for 'orders'\n"


def test_settings_wait_for_their_service(site: LiveSite) -> None:
    """They may be made before the first instance is there."""
    site.call("weights", "set", "later", "v2=10")
    site.add(instance("later", 9, 1, "/later"), instance("later", 10, 2, "/later"))
    assert "later" in site.call("services").stdout
    assert site.settings("later") == ServiceSettings({2: 10.0})
