"""Close codes that may be handed on, and those that may not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Close as WireClose

from hydra_asgi.core.close_codes import MAX_REASON_BYTES, TOO_LARGE, WENT_AWAY, Close, may_be_sent, to_pass_on


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, *range(1007, 1015), 3000, 3999, 4000, 4999])
def test_what_may_be_sent_is_passed_on(code: int) -> None:
    """Registered codes and those of libraries and apps cross with their reason."""
    assert may_be_sent(code)
    assert to_pass_on(code, "why") == Close(code, "why")


@pytest.mark.parametrize("code", [-1, 0, 999, 1004, 1016, 1999, 2000, 2999, 5000, 65535, 65536])
def test_what_nobody_may_send_is_a_protocol_error(code: int) -> None:
    """Every other code becomes 1002."""
    assert not may_be_sent(code)
    assert to_pass_on(code, "why") == Close(1002, "why")


@pytest.mark.parametrize("code", [None, 1005])
def test_no_code_stays_no_code(code: int | None) -> None:
    """A close without a code is handed on without one, and without a reason, which would need one."""
    assert to_pass_on(code, "why") == Close(None)


@pytest.mark.parametrize("code", [1006, 1015])
def test_a_break_is_an_internal_error(code: int) -> None:
    """What never was on the wire is told to the other side as 1011."""
    assert to_pass_on(code, "why") == Close(1011) == WENT_AWAY


@pytest.mark.parametrize(("close", "code"), [(Close(None), 1000), (Close(4001), 4001), (TOO_LARGE, 1009)])
def test_asgi_has_a_code_for_all(close: Close, code: int) -> None:
    """Where ASGI cannot say "no code", it says what its own default is."""
    assert close.asgi_code == code


def test_a_missing_reason_is_empty() -> None:
    """ASGI allows None for a reason."""
    assert to_pass_on(1000, None) == Close(1000, "")


@pytest.mark.parametrize(
    ("reason", "cut"),
    [("x" * 123, "x" * 123), ("x" * 124, "x" * 123), ("x" * 122 + "ä", "x" * 122), ("a\ud800b", "a?b")],
)
def test_a_reason_is_cut_between_characters(reason: str, cut: str) -> None:
    """At most 123 bytes of valid UTF-8 are handed on."""
    assert to_pass_on(4000, reason).reason == cut


@given(st.none() | st.integers(-10, 70000), st.none() | st.text(st.characters(codec=None), max_size=200))
def test_whatever_comes_can_be_sent(code: int | None, reason: str | None) -> None:
    """A library that knows the rules takes every close that is handed on."""
    close = to_pass_on(code, reason)
    if close.code is None:
        assert close.reason == ""
    else:
        assert len(WireClose(close.code, close.reason).serialize()) <= 2 + MAX_REASON_BYTES
