"""What a service announces."""

from dataclasses import replace

import pytest

from hydra_asgi.core.instance import Address, Revision, ServiceInstance


@pytest.mark.parametrize(
    ("address", "netloc", "text"),
    [
        (Address("http", "10.0.0.7", 8002), "10.0.0.7:8002", "http://10.0.0.7:8002"),
        (Address("https", "orders.internal", 443, "/shop"), "orders.internal:443", "https://orders.internal:443/shop"),
        (Address("http", "::1", 80), "[::1]:80", "http://[::1]:80"),
    ],
)
def test_addresses_as_text(address: Address, netloc: str, text: str) -> None:
    """An address has the form of a URL, with brackets around an IPv6 address."""
    assert address.netloc == netloc
    assert str(address) == text


def test_what_an_address_is_told_apart_by() -> None:
    """The pinned IP address is how it is reached, not what it is; the base path is part of it."""
    address = Address("http", "orders", 80)
    assert replace(address, pinned="10.0.0.7") == address
    assert replace(address, base="/a") != address


def test_identity() -> None:
    """Service and address are the identity, whatever else is announced."""
    instance = ServiceInstance("orders", Address("http", "h", 1), version=1)
    assert instance.key == ("orders", "http://h:1")
    assert replace(instance, version=2, weight=0.0, token=7).key == instance.key


def test_revisions_as_text() -> None:
    """A revision names its epoch and its place in it."""
    assert str(Revision("e", 7)) == "e.7"
