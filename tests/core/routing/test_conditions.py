"""Users who always get one version."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydra_asgi.core.routing.conditions import forced_version
from hydra_asgi.core.service_settings import Condition, ConditionSource

TESTER = Condition(ConditionSource.HEADER, "x-tester", "yes", 2)
ANYBODY = Condition(ConditionSource.HEADER, "x-anybody", "", 3)
BETA = Condition(ConditionSource.COOKIE, "Beta", "on", 4)
SEEN = Condition(ConditionSource.COOKIE, "seen", "", 5)


@pytest.mark.parametrize(
    ("headers", "version"),
    [
        ([], None),
        ([(b"x-tester", b"yes")], 2),
        ([(b"x-tester", b"no")], None),
        ([(b"x-tester", b"yes, no")], None),
        ([(b"x-tester", b"YES")], None),
        ([(b"x-tester", b"")], None),
        ([(b"x-tester", b"no"), (b"x-tester", b"yes")], 2),
        ([(b"x-anybody", b"")], 3),
        ([(b"x-anybody", b"\xff")], 3),
        ([(b"x-anybody", b""), (b"x-tester", b"yes")], 2),
        ([(b"cookie", b"Beta=on")], 4),
        ([(b"cookie", b"beta=on")], None),
        ([(b"cookie", b"a=b; Beta=on; c=d")], 4),
        ([(b"cookie", b'a=b;Beta="on"')], 4),
        ([(b"cookie", b"xBeta=on")], None),
        ([(b"cookie", b"a=Beta=on")], None),
        ([(b"cookie", b"Beta=on=off")], None),
        ([(b"cookie", b"Beta=off; Beta=on")], 4),
        ([(b"cookie", b"a=b"), (b"cookie", b"Beta=on")], 4),
        ([(b"cookie", b"seen=")], 5),
        ([(b"cookie", b"seen=7")], 5),
        ([(b"cookie", b"seen")], None),
        ([(b"cookie", b'seen="')], 5),
        ([(b"Beta", b"on")], None),
    ],
)
def test_the_first_condition_that_fits_decides(headers: list[tuple[bytes, bytes]], version: int | None) -> None:
    """Values are compared exactly; an empty one stands for any; names of cookies are as they are."""
    assert forced_version((TESTER, ANYBODY, BETA, SEEN), headers) == version


def test_the_order_of_the_conditions_counts() -> None:
    """Not the order of the fields."""
    headers = [(b"x-tester", b"yes"), (b"x-anybody", b"1"), (b"cookie", b"Beta=on")]
    assert forced_version((ANYBODY, TESTER), headers) == 3
    assert forced_version((BETA, TESTER), headers) == 4


def test_without_conditions_nothing_is_read() -> None:
    """The usual service pays nothing."""
    assert forced_version((), iter(lambda: pytest.fail("read"), None)) is None


def test_text_beyond_ascii_is_compared_as_utf8() -> None:
    """Whatever a store holds, a request does not fail."""
    odd = Condition(ConditionSource.HEADER, "x", "\udce9é", 1)
    assert forced_version((odd,), [(b"x", "é".encode())]) is None
    assert forced_version((Condition(ConditionSource.HEADER, "x", "é", 1),), [(b"x", "é".encode())]) == 1


@given(st.lists(st.binary(max_size=30), max_size=3), st.text("ab", min_size=1, max_size=3))
def test_hostile_cookies_are_no_error(fields: list[bytes], value: str) -> None:
    """Bytes of any kind are read; a cookie that stands alone is found among them."""
    condition = Condition(ConditionSource.COOKIE, "k", value, 1)
    headers = [(b"cookie", field) for field in fields]
    assert forced_version((condition,), headers) in (None, 1)
    assert forced_version((condition,), [*headers, (b"cookie", b"k=" + value.encode())]) == 1
