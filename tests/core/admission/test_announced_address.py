"""The address a service announces."""

from ipaddress import ip_network
from typing import Any

import pytest

from hydra_asgi.core.admission.announced_address import check_address, check_base, check_host, check_port, check_scheme
from hydra_asgi.core.instance import Address
from hydra_asgi.errors import RefusedError


def check(host: str = "10.1.2.3", port: int = 8000, **changes: Any) -> Address:
    options: dict[str, Any] = {"caller": "10.1.2.3", "resolved": [host], "allowed": [], "own": []}
    networks = [ip_network(text) for text in changes.pop("allowed", [])]
    return check_address("http", host, port, "", **{**options, **changes, "allowed": networks})


def refused(**changes: Any) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        check(**changes)
    return caught.value


def test_own_address_is_pinned() -> None:
    """The caller's own address passes, and connections will go to exactly the IP address that was checked."""
    address = check_address(
        "https", "Shop.Internal", 8443, "/base/", caller="10.1.2.3", resolved=["10.1.2.3"], allowed=[], own=[]
    )
    assert address == Address("https", "shop.internal", 8443, "/base")
    assert address.pinned == "10.1.2.3"


@pytest.mark.parametrize("scheme", ["redis", "file", "gopher", "unix", "", "HTTP", "http:", "https\n"])
def test_schemes(scheme: str) -> None:
    """Only the two schemes we speak."""
    with pytest.raises(RefusedError, match="scheme") as caught:
        check_scheme(scheme)
    assert caught.value.status == 422


@pytest.mark.parametrize(
    "host",
    [
        "0", "127.1", "2130706433", "0x7f.1", "0x7f", "0x", "0177.0.0.1", "127.0.0.01", "1.2.3.4.5", "256.1.1.1",
        "user@host", "host/path", "host?x", "host#x", "host:80", "a b", "", ".", "a..b", "-a", "a-", "host.", "a\x00b",
        "a\r\nb", "[127.0.0.1]", "[::1", "::1]", "[]", "[host]", "fe80::1%eth0", "[fe80::1%25eth0]", "::g", ":::",
        "münchen.example", "a" * 64, ".".join(["a" * 60] * 5), "\u0661.2.3.4", "host\u202e", "::ffff:127.1",
    ],
)  # fmt: skip
def test_hosts_with_two_meanings_are_refused(host: str) -> None:
    """A host is a plain DNS name or an IP address in the one canonical spelling."""
    with pytest.raises(RefusedError) as caught:
        check_host(host)
    assert caught.value.status == 422


@pytest.mark.parametrize(
    ("host", "written"),
    [
        ("orders", "orders"),
        ("Orders-1.example.COM", "orders-1.example.com"),
        ("my_service", "my_service"),
        ("127.0.0.1", "127.0.0.1"),
        ("[::1]", "::1"),
        ("0:0:0:0:0:0:0:1", "::1"),
        ("2001:DB8::1", "2001:db8::1"),
        ("1password.example", "1password.example"),
        ("0x7f.example", "0x7f.example"),
    ],
)
def test_good_hosts(host: str, written: str) -> None:
    """Names become lower case; IPv6 addresses lose brackets and Java's zeros."""
    assert check_host(host) == written


@pytest.mark.parametrize(("port", "status"), [(0, 422), (-1, 422), (65536, 422), (70000, 422), (2**63, 422), (22, 403),
                                          (25, 403), (6379, 403), (26379, 403), (5432, 403), (3306, 403), (11211, 403),
                                          (9200, 403), (1023, 403)])  # fmt: skip
def test_ports_of_others(port: int, status: int) -> None:
    """Ports where other protocols answer are refused."""
    with pytest.raises(RefusedError) as caught:
        check_port(port)
    assert caught.value.status == status


@pytest.mark.parametrize("port", [80, 443, 1024, 8000, 65535])
def test_ports_of_web_apps(port: int) -> None:
    """The web's own ports and those anybody may use pass."""
    assert check_port(port) == port


@pytest.mark.parametrize(
    "base",
    [
        "x",
        "/a/../b",
        "/a/./b",
        "/a//b",
        "//host",
        "/a?x",
        "/a#x",
        "/a%2fb",
        "/ä",
        "/a b",
        "/a\\b",
        "/" + "a" * 300,
        "/\n",
    ],
)
def test_wrong_bases(base: str) -> None:
    """A base path is made of plain segments."""
    with pytest.raises(RefusedError, match="base path"):
        check_base(base)


@pytest.mark.parametrize(("base", "written"), [("", ""), ("/", ""), ("/a", "/a"), ("/a/b.c/", "/a/b.c")])
def test_good_bases(base: str, written: str) -> None:
    """One trailing slash is taken off."""
    assert check_base(base) == written


def test_somebody_elses_address() -> None:
    """An address that is not the caller's is refused, and the message says what would help."""
    error = refused(host="10.9.9.9")
    assert error.status == 403
    assert "10.9.9.9" in error.reason
    assert "10.1.2.3" in error.reason
    assert "allow_addresses" in error.reason


def test_allowed_network() -> None:
    """A listed network may be announced by anybody, even when the caller is not known."""
    assert check("10.9.9.9", allowed=["10.9.0.0/16"]).pinned == "10.9.9.9"
    assert check("10.9.9.9", caller="", allowed=["10.9.0.0/16"]).pinned == "10.9.9.9"
    assert refused(host="10.9.9.9", caller="").status == 403


def test_every_resolved_address_must_pass() -> None:
    """One wrong address among those of a name spoils it: the next look-up may put that one first."""
    error = refused(host="shop.example", resolved=["10.1.2.3", "10.9.9.9"])
    assert error.status == 403
    assert "shop.example:8000 (10.9.9.9)" in error.reason
    assert check("shop.example", resolved=["10.1.2.3", "10.1.2.3"]).pinned == "10.1.2.3"


@pytest.mark.parametrize("resolved", [[], ["not an address"], ["10.1.2.3", ""]])
def test_names_that_do_not_resolve(resolved: list[str]) -> None:
    """A name without addresses, or with something that is none, is refused."""
    assert refused(host="shop.example", resolved=resolved).status == 422


def test_a_literal_ignores_the_resolver() -> None:
    """An IP address means itself, whatever a resolver says."""
    assert refused(host="10.9.9.9", resolved=["10.1.2.3"]).status == 403


def test_loopback_is_the_same_machine() -> None:
    """Any loopback address may be announced from any other, and from nowhere else."""
    assert check("127.0.1.1", caller="127.0.0.1").pinned == "127.0.1.1"
    assert check("::1", caller="127.0.0.1").pinned == "::1"
    assert refused(host="127.0.0.1").status == 403


def test_mapped_addresses_are_unwrapped() -> None:
    """An IPv4 address inside IPv6 is the IPv4 address, on both sides."""
    assert check("::ffff:10.1.2.3").pinned == "10.1.2.3"
    assert check("10.1.2.3", caller="::ffff:10.1.2.3").pinned == "10.1.2.3"
    assert check("fd00::1", caller="fd00::1%eth0").pinned == "fd00::1"


SPECIAL = [
    ("169.254.169.254", "link-local"),
    ("::ffff:a9fe:a9fe", "link-local"),
    ("fe80::1", "link-local"),
    ("224.0.0.1", "multicast"),
    ("ff02::1", "multicast"),
    ("0.0.0.0", "unspecified"),
    ("::", "unspecified"),
    ("240.0.0.1", "reserved"),
    ("64:ff9b::a9fe:a9fe", "reserved"),
]


@pytest.mark.parametrize(("host", "kind"), SPECIAL)
def test_special_addresses(host: str, kind: str) -> None:
    """Addresses no web app lives at are refused even to themselves, and a wide network does not open them."""
    for changes in ({"caller": host}, {"allowed": ["0.0.0.0/0", "::/0"]}):
        error = refused(host=host, **changes)
        assert error.status == 403
        assert kind in error.reason


def test_special_address_that_is_named() -> None:
    """A network inside the special range says explicitly that it is meant."""
    assert check("169.254.10.1", allowed=["169.254.10.0/24"]).pinned == "169.254.10.1"
    assert refused(host="169.254.169.254", allowed=["169.254.10.0/24"]).status == 403


@pytest.mark.parametrize("own", [("10.1.2.3", 8000), ("::ffff:10.1.2.3", 8000)])
def test_the_gateway_itself(own: tuple[str, int]) -> None:
    """Announcing the gateway's own address would make a loop."""
    assert "itself" in refused(own=[own]).reason
    assert check(own=[(own[0], 8001)]).port == 8000


@pytest.mark.parametrize("listening", ["127.0.0.1", "0.0.0.0", "::1", "::"])
def test_the_gateway_on_loopback(listening: str) -> None:
    """A gateway that listens on loopback or on everything is itself on every loopback address."""
    assert "itself" in refused(host="127.0.1.1", caller="127.0.0.1", own=[(listening, 8000)]).reason


def test_the_gateway_by_name() -> None:
    """A name under which the gateway is reached is the gateway, in any case; other names are not."""
    names = {"resolved": ["10.1.2.3"], "own": [("Gateway.example", 8000)]}
    assert "itself" in refused(host="gateway.example", **names).reason
    assert check("shop.example", **names).host == "shop.example"
