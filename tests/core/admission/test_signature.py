"""The signature of a control-plane call."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydra_asgi.core.admission.signature import (
    Judgement,
    Verdict,
    lease_nonce,
    sign,
    signed_path,
    split_lease_nonce,
    verify,
)

VECTORS = json.loads((Path(__file__).parent / "signature_vectors.json").read_text())
CALL: dict[str, Any] = {"method": "POST", "path": "/h/discovery/k/alive", "body": b"one"}


def signed(**changes: Any) -> str:
    return sign("secret", **{**CALL, "time": 1000, "nonce": "abc", **changes})


@pytest.mark.parametrize("vector", VECTORS)
def test_vectors(vector: dict[str, Any]) -> None:
    """The committed vectors, computed with OpenSSL too, stay true: nodes of other versions rely on them."""
    call = {"method": vector["method"], "path": vector["path"], "body": vector["body"].encode()}
    assert sign(vector["secret"], **call, time=vector["time"], nonce=vector["nonce"]) == vector["header"]
    verdict = verify(vector["secret"], vector["header"], **call, now=vector["time"])
    assert verdict == Verdict(Judgement.GOOD, vector["nonce"], vector["time"])


def test_good_says_what_was_signed() -> None:
    """A good signature gives back its nonce and time."""
    verdict = verify("secret", signed(time=1000.9), **CALL, now=1030)
    assert verdict == Verdict(Judgement.GOOD, "abc", 1000)
    assert verdict.is_good


@pytest.mark.parametrize(
    "change", [{"method": "DELETE"}, {"path": "/h/discovery/k/registration"}, {"body": b"two"}, {"body": b""}]
)
def test_everything_is_covered(change: dict[str, Any]) -> None:
    """A signature is good for one method, one path and one body."""
    assert verify("secret", signed(), **{**CALL, **change}, now=1000).judgement is Judgement.WRONG


@pytest.mark.parametrize(("old", "new"), [("t=1000", "t=1001"), ("n=abc", "n=abd"), ("s=", "s=0")])
def test_changed_fields_are_wrong(old: str, new: str) -> None:
    """Time and nonce cannot be changed afterwards."""
    header = signed().replace(old, new)[: len(signed())]
    assert verify("secret", header, **CALL, now=1000).judgement is Judgement.WRONG


@pytest.mark.parametrize("now", [939, 1061])
def test_stale_both_ways(now: float) -> None:
    """More than 60 seconds off is stale, whoever's clock is ahead, and tells the nonce only to be logged."""
    assert verify("secret", signed(), **CALL, now=now) == Verdict(Judgement.STALE, "abc", 1000)


@pytest.mark.parametrize("now", [940, 1060])
def test_window_is_inclusive(now: float) -> None:
    """Sixty seconds off is still good."""
    assert verify("secret", signed(), **CALL, now=now).is_good


def test_wrong_wins_over_stale() -> None:
    """Only whoever knows the secret is told that the time is the trouble."""
    assert verify("other", signed(), **CALL, now=9999).judgement is Judgement.WRONG


def test_no_secret_is_never_good() -> None:
    """A signature made with an empty secret does not pass where the secret is empty."""
    assert verify("", sign("", **CALL, time=1, nonce="a"), **CALL, now=1).judgement is Judgement.WRONG


def test_missing() -> None:
    """No header is told apart from a wrong one."""
    assert verify("secret", "", **CALL, now=0).judgement is Judgement.MISSING


@pytest.mark.parametrize(
    "header",
    [
        "v2;t=1;n=a;s=" + "0" * 64,
        "v1;t=1;n=a;s=" + "0" * 63,
        "v1;t=1;n=a;s=" + "A" * 64,
        "v1;t=-1;n=a;s=" + "0" * 64,
        "v1;t=1;n=;s=" + "0" * 64,
        "v1;t=1;n=a b;s=" + "0" * 64,
        "v1;t=" + "9" * 5000 + ";n=a;s=" + "0" * 64,
        "v1;t=\u0661;n=a;s=" + "0" * 64,
        "v1;n=a;t=1;s=" + "0" * 64,
        "v1;t=1;n=a;s=" + "0" * 64 + "\n",
        "\x00",
    ],
)
def test_malformed(header: str) -> None:
    """Anything but the one form is malformed."""
    assert verify("secret", header, **CALL, now=0).judgement is Judgement.MALFORMED


@given(st.text(), st.text(), st.binary(max_size=200), st.integers(0, 10**11))
def test_round_trip(secret: str, path: str, body: bytes, now: int) -> None:
    """What one side signs the other finds good, whatever text it is made of."""
    header = sign(secret + "x", method="POST", path=path, body=body, time=now, nonce="n")
    assert verify(secret + "x", header, method="POST", path=path, body=body, now=now).is_good


def test_base_path_is_not_signed() -> None:
    """A proxy may strip a base path and a mount may add one without harm to the signature."""
    assert signed_path("/base/h/discovery/k/alive") == "/h/discovery/k/alive"
    assert signed_path("/h/fragment/k/requestFragment") == "/h/fragment/k/requestFragment"
    assert signed_path("/elsewhere") == "/elsewhere"
    assert verify("secret", signed(path="/base/h/discovery/k/alive"), **CALL, now=1000).is_good


def test_lease_nonces() -> None:
    """A lease's nonce carries a counter that can be read back."""
    assert split_lease_nonce(lease_nonce("lease-1_A", 42)) == ("lease-1_A", 42)
    assert split_lease_nonce(lease_nonce("a", 0)) == ("a", 0)


@pytest.mark.parametrize("nonce", ["abc", "a.", ".1", "a.01", "a.-1", "a.1.2", "a." + "9" * 30, "a.1\n"])
def test_other_nonces_have_no_lease(nonce: str) -> None:
    """One number has one spelling, so a counter cannot be sent twice in two forms."""
    assert split_lease_nonce(nonce) is None
