"""Central settings as they are typed and read."""

import pytest

from hydra_asgi.cli.settings_words import (
    condition_text,
    percent,
    read_condition,
    read_shares,
    settings_json,
    settings_lines,
    shares_text,
)
from hydra_asgi.core.service_settings import Condition, ConditionSource, ServiceSettings, SharePolicy
from hydra_asgi.errors import ConfigurationError

HEADER, COOKIE = ConditionSource.HEADER, ConditionSource.COOKIE


def test_shares_are_versions_with_numbers() -> None:
    """With or without the v."""
    assert read_shares(["v2=10", "1=90", "v3=0.5", "-4=1e3"]) == {2: 10.0, 1: 90.0, 3: 0.5, -4: 1000.0}
    assert read_shares([]) == {}


@pytest.mark.parametrize("text", ["v2", "2:10", "v2=", "v2=ten", "v2=1e", "v2=nan", "two=10", "v2=10%", "=1"])
def test_what_is_no_share(text: str) -> None:
    """The value and what is expected are named."""
    with pytest.raises(ConfigurationError, match="expected VERSION=SHARE, such as v2=10"):
        read_shares([text])


def test_a_version_has_one_share() -> None:
    """Two for one version contradict each other."""
    with pytest.raises(ConfigurationError, match="version 2 is there twice"):
        read_shares(["v2=10", "2=10"])


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("header:X-Tester=yes=v2", Condition(HEADER, "X-Tester", "yes", 2)),
        ("header:X-Tester=v2", Condition(HEADER, "X-Tester", "", 2)),
        ("cookie:beta=on=3", Condition(COOKIE, "beta", "on", 3)),
        ("cookie:beta=a=b=v-3", Condition(COOKIE, "beta", "a=b", -3)),
    ],
)
def test_conditions_are_read_and_written(text: str, condition: Condition) -> None:
    """What is shown can be typed again."""
    assert read_condition(text) == condition
    assert read_condition(condition_text(condition)) == condition


@pytest.mark.parametrize("text", ["X-Tester=yes=v2", "header:X-Tester", "header:X=yes", "query:a=b=v2", ""])
def test_what_is_no_condition(text: str) -> None:
    """The value and what is expected are named."""
    with pytest.raises(ConfigurationError, match=r"--when is .*such as header:X-Tester=yes=v2"):
        read_condition(text)


def test_parts_are_written_for_people() -> None:
    """One digit is enough, and no more than are needed."""
    assert [percent(part) for part in (0.0, 1.0, 0.5, 1 / 3, 0.0004)] == ["0 %", "100 %", "50 %", "33.3 %", "0 %"]
    assert shares_text({2: 0.1, 1: 0.9}) == "v1 90 %, v2 10 %"


def test_settings_are_written_as_lines_and_for_programs() -> None:
    """Everything that is set is shown, in the order in which it counts."""
    settings = ServiceSettings(
        {2: 10.0, 1: 90.0}, SharePolicy.EQUAL_SHARE, (Condition(HEADER, "x", "", 2),), ("/a", "/b")
    )
    assert settings_lines(settings) == [
        ("share", "v1=90"),
        ("share", "v2=10"),
        ("policy", "EQUAL_SHARE"),
        ("when", "header:x=v2"),
        ("prefix", "/a"),
        ("prefix", "/b"),
    ]
    assert settings_lines(ServiceSettings()) == []
    assert settings_json(settings) == {
        "shares": {"1": 90.0, "2": 10.0},
        "policy": "EQUAL_SHARE",
        "conditions": [{"source": "header", "name": "x", "value": "", "version": 2}],
        "prefixes": ["/a", "/b"],
    }
