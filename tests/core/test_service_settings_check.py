"""What a human may set for a service."""

from math import inf, nan

import pytest

from hydra_asgi.core.service_settings import Condition, ConditionSource, ServiceSettings, SharePolicy
from hydra_asgi.core.service_settings_check import check_settings
from hydra_asgi.errors import ConfigurationError

HEADER, COOKIE = ConditionSource.HEADER, ConditionSource.COOKIE


def test_good_settings_are_returned_with_header_names_in_lower_case() -> None:
    """Requests have them in lower case; the names of cookies are as they are."""
    beta, anybody, prefixes = Condition(COOKIE, "Beta", "a=b", 2), Condition(HEADER, "x", "", 1), ("/o", "/{lang}/o/")
    given = ServiceSettings({1: 90, 2: 0}, None, (Condition(HEADER, "X-Tester", "a, b", 2), beta, anybody), prefixes)
    lowered = (Condition(HEADER, "x-tester", "a, b", 2), beta, anybody)
    assert check_settings("orders", given) == ServiceSettings({1: 90, 2: 0}, None, lowered, prefixes)


def test_a_policy_and_nothing_at_all_are_fine() -> None:
    """Empty settings take back what was set."""
    assert check_settings("orders", ServiceSettings()) == ServiceSettings()
    given = ServiceSettings(policy=SharePolicy.EQUAL_SHARE)
    assert check_settings("orders", given) == given


def conditions(*given: Condition) -> ServiceSettings:
    return ServiceSettings(conditions=given)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (ServiceSettings({1: -1.0}), "orders: the share of version 1 is -1.0, expected a number from 0 to 1e+09"),
        (ServiceSettings({1: nan}), "is nan"),
        (ServiceSettings({1: inf}), "is inf"),
        (ServiceSettings({1: 2e9}), "is 2000000000.0"),
        (ServiceSettings({2**31: 1.0}), "version 2147483648 is no 32-bit integer"),
        (ServiceSettings({1: 1.0}, SharePolicy.EQUAL_SHARE), "the policy EQUAL_SHARE were both given"),
        (ServiceSettings(dict.fromkeys(range(101), 1.0)), "101 shares are too many, at most 100"),
        (ServiceSettings(prefixes=tuple(f"/{n}" for n in range(101))), "101 prefixes are too many"),
        (conditions(*(Condition(HEADER, f"x{n}", "", 1) for n in range(33))), "33 conditions are too many"),
        (conditions(Condition(HEADER, "X Tester", "yes", 2)), "'X Tester' is no name of a header"),
        (conditions(Condition(COOKIE, "", "yes", 2)), "'' is no name of a cookie"),
        (conditions(Condition(HEADER, "x" * 257, "yes", 2)), "is no name of a header"),
        (conditions(Condition(HEADER, "x", " yes", 2)), "' yes' is no value of the header 'x'"),
        (conditions(Condition(HEADER, "x", "a\r\nb", 2)), "use at most 1024 visible ASCII characters, or leave it out"),
        (conditions(Condition(HEADER, "x", "é", 2)), "is no value of the header"),
        (conditions(Condition(HEADER, "x", "x" * 1025, 2)), "is no value of the header"),
        (conditions(Condition(COOKIE, "c", "a;b", 2)), "without blanks, quotes, commas, semicolons and backslashes"),
        (conditions(Condition(COOKIE, "c", '"a"', 2)), "is no value of the cookie"),
        (conditions(Condition(HEADER, "Cookie", "c=1", 2)), "name the cookie that is meant"),
        (conditions(Condition(HEADER, "x", "1", 2**40)), "version 1099511627776 is no 32-bit integer"),
        (
            conditions(Condition(HEADER, "X", "1", 2), Condition(HEADER, "x", "1", 3)),
            "the condition 'header:x=1' is there twice: give it once",
        ),
        (conditions(*[Condition(COOKIE, "c", "", 2)] * 2), "the condition 'cookie:c' is there twice"),
        (ServiceSettings(prefixes=("orders",)), "path template 'orders': it has to start with '/'"),
        (ServiceSettings(prefixes=("/a/{x:path}",)), "it covers what is below it anyway"),
        (ServiceSettings(prefixes=("/a", "/a/")), "the prefix '/a' is there twice"),
    ],
)
def test_what_is_wrong_is_said_with_the_value_and_the_way_out(settings: ServiceSettings, told: str) -> None:
    """Nothing goes into the store that would do something else than what was meant."""
    with pytest.raises(ConfigurationError) as refused:
        check_settings("orders", settings)
    assert str(refused.value).startswith("orders: ")
    assert told in str(refused.value)


@pytest.mark.parametrize("name", ["", "h", "a b", "x" * 64])
def test_the_service_needs_a_name_that_a_service_can_have(name: str) -> None:
    """Settings for a name that nobody can have would never do anything."""
    with pytest.raises(ConfigurationError, match="service name"):
        check_settings(name, ServiceSettings({1: 1.0}))
