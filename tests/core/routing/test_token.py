"""Tokens: the names of instances inside URLs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydra_asgi.core.instance import Address
from hydra_asgi.core.routing.token import MAX_TOKEN, MIN_TOKEN, first_token, next_token, parse_token


@given(st.text(st.characters(codec="utf-8")), st.text(st.characters(codec="utf-8")))
def test_a_token_is_a_positive_31_bit_integer_of_ten_digits(service: str, address: str) -> None:
    """Whatever the identity is, every peer can read its token."""
    assert MIN_TOKEN <= first_token(service, address) <= MAX_TOKEN


def test_a_token_is_made_from_the_identity_alone() -> None:
    """The pinned IP address is no part of the identity; service, scheme, host, port and base path are."""
    address = Address("http", "127.0.0.1", 8002)
    token = first_token("orders", address)
    assert token == first_token("orders", Address("http", "127.0.0.1", 8002, pinned="10.0.0.1"))
    assert token == first_token("orders", "http://127.0.0.1:8002")
    others = [
        first_token("carts", address),
        first_token("orders", Address("https", "127.0.0.1", 8002)),
        first_token("orders", Address("http", "127.0.0.1", 8003)),
        first_token("orders", Address("http", "127.0.0.1", 8002, "/base")),
    ]
    assert token not in others
    assert len(set(others)) == 4


def test_the_first_token_of_an_identity_never_changes() -> None:
    """Pages that are open while a fleet is upgraded keep their asset URLs."""
    assert first_token("orderService", Address("http", "127.0.0.1", 8002)) == 1_544_261_508


def test_the_next_token_wraps_at_the_end() -> None:
    """The last token is followed by the first."""
    assert next_token(MIN_TOKEN) == MIN_TOKEN + 1
    assert next_token(MAX_TOKEN) == MIN_TOKEN


@pytest.mark.parametrize("token", [MIN_TOKEN, 1234567890, MAX_TOKEN])
def test_ten_digits_in_range_are_a_token(token: int) -> None:
    """A token reads back as itself."""
    assert parse_token(str(token)) == token


@pytest.mark.parametrize(
    "segment",
    ["", "123456789", "0123456789", "0999999999", "2147483648", "9999999999", "12345678901", "123456789x", "+234567890",
     "-123456789", "1_23456789", " 123456789", "\u0661234567890"[:10], "123456789²", "1234567890\n"],
)  # fmt: skip
def test_anything_else_is_an_ordinary_segment(segment: str) -> None:
    """Signs, other scripts' digits, other lengths and numbers out of range are no token."""
    assert parse_token(segment) is None
