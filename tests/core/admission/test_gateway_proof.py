"""How gateways prove themselves to services."""

import pytest

from hydra_asgi.core.admission.gateway_proof import is_proof, minute_of, prove

SECRET = "the secret of this site"
NOW = 1_790_000_040.0
MINUTE = minute_of(NOW)


def proof(minute: int = MINUTE, service: str = "orders", secret: str = SECRET) -> bytes:
    return prove(secret, gateway="hydra-7f", service=service, minute=minute)


def test_a_vector() -> None:
    """The form is a promise to nodes of other versions."""
    assert MINUTE == 29_833_334
    assert proof() == b"v1;m=29833334;g=hydra-7f;s=94775eda530ff6170be7c2cd34ed3f860066bd1bfb5979dc28a6c53644347ead"


@pytest.mark.parametrize(("minute", "is_good"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_minutes(minute: int, is_good: bool) -> None:
    """A proof is good for its minute and those beside it, because clocks differ; an old one proves nothing."""
    assert is_proof(SECRET, proof(MINUTE + minute), service="orders", now=NOW) is is_good


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"v1",
        proof(service="billing"),
        proof(secret="another secret of this site"),
        proof()[:-1],
        proof() + b"0",
        proof().upper(),
        b" " + proof(),
        proof().replace(b"hydra-7f", b"hydra-80"),
        proof().replace(b"v1", b"v2"),
        proof().replace(b"m=", b"m=0"),
        b"v1;m=%d;g=%b;s=%b" % (MINUTE, b"x" * 65, b"0" * 64),
        b"\xff" * 100,
    ],
)
def test_what_proves_nothing(value: bytes) -> None:
    """A proof for another service, with another secret, or changed in any way is none."""
    assert not is_proof(SECRET, value, service="orders", now=NOW)


def test_without_a_secret() -> None:
    """Where nothing is shared nothing can be proven, not even by somebody who shares nothing either."""
    assert not is_proof("", proof(secret=""), service="orders", now=NOW)


def test_secrets_of_any_letters() -> None:
    """A secret may hold whatever was typed."""
    odd = "ключ \udc80 and more"
    assert is_proof(odd, proof(secret=odd), service="orders", now=NOW)
