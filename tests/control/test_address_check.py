"""Whether requests can and may be sent to where a service says it is."""

import asyncio
from collections.abc import Sequence
from ipaddress import ip_network

import pytest

from hydra_asgi.control.address_check import AddressCheck
from hydra_asgi.core.instance import Address
from hydra_asgi.errors import RefusedError
from tests.doubles.prober import FakeProber


async def refused(check: AddressCheck, address: Address, caller: str) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        await check(address, caller)
    return caught.value


async def test_checked_and_connected() -> None:
    """The gateway connects back to exactly the address that it will use."""
    prober = FakeProber({"orders": ["10.1.2.3"]})
    address = await AddressCheck(prober)(Address("http", "orders", 8002, "/base"), "10.1.2.3")
    assert (str(address), address.pinned) == ("http://orders:8002/base", "10.1.2.3")
    assert prober.probed == [("10.1.2.3", 8002)]


async def test_the_callers_own_address() -> None:
    """A service that says only its port is reached where it calls from."""
    address = await AddressCheck(FakeProber())(Address("http", "", 8002), "10.1.2.3")
    assert (address.host, address.pinned) == ("10.1.2.3", "10.1.2.3")


async def test_no_host_and_no_caller() -> None:
    """Without either there is no address."""
    assert (await refused(AddressCheck(FakeProber()), Address("http", "", 8002), "")).status == 422


async def test_where_the_call_came_in_is_the_gateway() -> None:
    """A gateway that was not told its own address still knows it from the call."""
    check, address = AddressCheck(FakeProber()), Address("http", "10.1.2.3", 8000)
    with pytest.raises(RefusedError, match="itself"):
        await check(address, "10.1.2.3", ("10.1.2.3", 8000))
    assert await check(address, "10.1.2.3", ("10.1.2.3", 8001)) == address


async def test_policy_comes_before_the_network() -> None:
    """Nothing is connected to that may not be used: the gateway is no port scanner."""
    prober = FakeProber()
    check = AddressCheck(prober, own=lambda: [("10.1.2.3", 8000)])
    assert (await refused(check, Address("http", "10.9.9.9", 8002), "10.1.2.3")).status == 403
    assert "itself" in (await refused(check, Address("http", "10.1.2.3", 8000), "10.1.2.3")).reason
    assert prober.probed == []


async def test_allowed_networks() -> None:
    """A listed network opens addresses that are not the caller's."""
    check = AddressCheck(FakeProber(), allowed=[ip_network("10.9.0.0/16")])
    assert (await check(Address("http", "10.9.9.9", 8002), "10.1.2.3")).pinned == "10.9.9.9"


@pytest.mark.parametrize(
    ("host", "shown"), [("10.1.2.3", "http://10.1.2.3:8002 cannot"), ("orders", "http://orders:8002 (10.1.2.3) cannot")]
)
async def test_unreachable(host: str, shown: str) -> None:
    """The refusal names the address and why it cannot be reached."""
    prober = FakeProber({"orders": ["10.1.2.3"]}, {("10.1.2.3", 8002): "connection refused"})
    error = await refused(AddressCheck(prober), Address("http", host, 8002), "10.1.2.3")
    assert error.status == 424
    assert error.reason.startswith(shown)
    assert error.reason.endswith("connection refused")


async def test_a_network_that_does_not_answer() -> None:
    """A resolver or a host that hangs costs no more than the time the caller waits anyway."""

    class Hanging(FakeProber):
        async def resolve(self, host: str) -> Sequence[str]:
            await asyncio.Event().wait()
            raise AssertionError

    error = await refused(AddressCheck(Hanging(), seconds=0.01), Address("http", "orders", 8002), "10.1.2.3")
    assert error.status == 424
    assert "0.01 s" in error.reason
