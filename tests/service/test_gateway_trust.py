"""What a service believes its gateways."""

from typing import Any, cast

import pytest

from hydra_asgi.core.admission.gateway_proof import prove
from hydra_asgi.service.gateway_trust import MAX_REMEMBERED, GatewayTrust

SECRET = "the secret of this site"
PROXY = "10.9.9.9"
HIDDEN = (b"hydra-gateway", b"x")

Headers = list[tuple[bytes, bytes]]


class Service:
    """One service with a clock of its own.

    Attributes:
        now: unix seconds.
        secret: of the site, as this service knows it.
    """

    def __init__(self) -> None:
        self.now = 1_790_000_040.0
        self.secret = SECRET
        self.trust = GatewayTrust(
            lambda: self.secret, service="orders", trusted=lambda ip: ip == PROXY, wall=lambda: self.now
        )

    def proof(self, **changes: Any) -> tuple[bytes, bytes]:
        words = {"gateway": "hydra-7f", "service": "orders", "minute": int(self.now // 60), **changes}
        return (b"hydra-gateway", prove(words.pop("secret", SECRET), **words))

    def sees(self, *headers: tuple[bytes, bytes], **scope: Any) -> dict[str, Any]:
        """The scope as the app gets it."""
        given = {"type": "http", "scheme": "http", "client": ("10.0.0.1", 5000), "path": "/x", "raw_path": b"/x"}
        return cast("dict[str, Any]", self.trust.seen_through(cast("Any", given | scope | {"headers": [*headers]})))


FORWARDED: Headers = [(b"x-forwarded-for", b"192.0.2.7"), (b"x-forwarded-proto", b"https")]


def test_a_gateway() -> None:
    """The visitor's address and scheme are those that a gateway of the site names; its proof stays unseen."""
    service = Service()
    seen = service.sees(*FORWARDED, service.proof(), root_path="")
    assert (seen["client"], seen["scheme"], seen["path"]) == (("192.0.2.7", 0), "https", "/x")
    assert seen["headers"] == FORWARDED


@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_websockets(scheme: str) -> None:
    """A WebSocket of a secure page is a secure one."""
    service = Service()
    assert service.sees(*FORWARDED, service.proof(), type="websocket", scheme=scheme)["scheme"] == "wss"


def test_without_a_proof() -> None:
    """Nobody else's word counts, and the scope is not even copied."""
    service = Service()
    scope: Any = {"type": "http", "headers": FORWARDED, "client": ("10.0.0.1", 5000)}
    assert service.trust.seen_through(scope) is scope


@pytest.mark.parametrize(
    "changes",
    [{"secret": "another secret of this site"}, {"service": "billing"}, {"minute": 29_833_331}, {"minute": 0}],
)
def test_what_is_no_proof(changes: dict[str, Any]) -> None:
    """A forged proof, one for another service and one of another time change nothing, and are not seen either."""
    service = Service()
    seen = service.sees(*FORWARDED, service.proof(**changes))
    assert (seen["client"], seen["scheme"], seen["headers"]) == (("10.0.0.1", 5000), "http", FORWARDED)


def test_two_proofs() -> None:
    """One of two would be somebody else's, so neither counts."""
    service = Service()
    seen = service.sees(*FORWARDED, service.proof(), HIDDEN)
    assert (seen["client"], seen["headers"]) == (("10.0.0.1", 5000), FORWARDED)


def test_a_proof_that_was_believed_before() -> None:
    """It is kept for its time and not longer, and the number of those kept is bounded."""
    service = Service()
    old = service.proof()
    assert service.sees(*FORWARDED, old)["scheme"] == "https"
    assert service.sees(*FORWARDED, old)["scheme"] == "https"
    service.now += 60
    assert service.sees(*FORWARDED, old)["scheme"] == "https"
    service.now += 60
    assert service.sees(*FORWARDED, old)["scheme"] == "http"
    for number in range(2 * MAX_REMEMBERED):
        assert service.sees(*FORWARDED, service.proof(gateway=f"hydra-{number}"))["scheme"] == "https"
    assert len(service.trust._proven) <= MAX_REMEMBERED


def test_a_service_that_learns_the_secret_later() -> None:
    """Until then nobody is believed."""
    service = Service()
    service.secret = ""
    assert service.sees(*FORWARDED, service.proof())["scheme"] == "http"
    service.secret = SECRET
    assert service.sees(*FORWARDED, service.proof())["scheme"] == "https"


@pytest.mark.parametrize(
    ("said", "address"),
    [
        ([b"192.0.2.7"], "192.0.2.7"),
        ([b"2001:DB8::7"], "2001:db8::7"),
        ([b"6.6.6.6, 192.0.2.7"], "192.0.2.7"),
        ([b"6.6.6.6", b"192.0.2.7"], "192.0.2.7"),
        ([b"6.6.6.6, 192.0.2.7, 10.9.9.9"], "192.0.2.7"),
        ([b"192.0.2.7", b"10.9.9.9"], "192.0.2.7"),
        ([b"10.9.9.9"], "10.9.9.9"),
        ([b"nonsense, 10.9.9.9"], "10.9.9.9"),
        ([b"192.0.2.7, unknown"], "10.0.0.1"),
        ([b"unknown"], "10.0.0.1"),
        ([b"\xff"], "10.0.0.1"),
        ([], "10.0.0.1"),
    ],
)
def test_addresses(said: list[bytes], address: str) -> None:
    """The visitor is the last one who is no proxy of ours; what visitors say of themselves is in front of that."""
    service = Service()
    fields = [(b"x-forwarded-for", value) for value in said]
    assert service.sees(*fields, service.proof())["client"][0] == address


@pytest.mark.parametrize("said", [[b"http"], [], [b"javascript"], [b"https", b"http"], [b"HTTPS"]])
def test_schemes(said: list[bytes]) -> None:
    """Only a clear word makes a request a secure one."""
    service = Service()
    fields = [(b"x-forwarded-proto", value) for value in said]
    assert service.sees(*fields, service.proof())["scheme"] == "http"
    assert service.sees(*fields, service.proof(), scheme="https")["scheme"] == "https"


@pytest.mark.parametrize(
    ("prefixes", "root", "expected"),
    [
        ([], "", ("", "/x y", b"/x%20y")),
        ([b"/site"], "", ("/site", "/site/x y", b"/site/x%20y")),
        ([b"/site/"], "", ("/site", "/site/x y", b"/site/x%20y")),
        ([b"/a/b"], "/base", ("/a/b", "/a/b/x y", b"/a/b/x%20y")),
        ([], "/base", ("", "/x y", b"/x%20y")),
        ([b"/a", b"/b"], "", ("", "/x y", b"/x%20y")),
        ([b"//evil.test"], "", ("", "/x y", b"/x%20y")),
        ([b"/a/../b"], "", ("", "/x y", b"/x%20y")),
        ([b"/a b"], "", ("", "/x y", b"/x%20y")),
        ([b"/"], "", ("", "/x y", b"/x%20y")),
    ],
)
def test_mount_points(prefixes: list[bytes], root: str, expected: tuple[str, str, bytes]) -> None:
    """Links lead to where the public finds the app: below what a proxy strips, without a base path of our own."""
    service = Service()
    fields = [(b"x-forwarded-prefix", value) for value in prefixes]
    paths = {"root_path": root, "path": f"{root}/x y", "raw_path": f"{root}/x%20y".encode()}
    seen = service.sees(*fields, service.proof(), **paths)
    assert (seen["root_path"], seen["path"], seen["raw_path"]) == expected
