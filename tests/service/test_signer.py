"""Signing our own calls."""

from hydra_asgi.core.admission.signature import verify
from hydra_asgi.service.signer import MAX_PEERS, Signer

CALL = {"method": "POST", "path": "/h/discovery/k/alive", "body": b"one"}


def fields(headers: list[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in headers}


def test_calls_without_a_lease() -> None:
    """A call that names no lease carries a random nonce, another one each time."""
    signer = Signer("secret", clock=lambda: 1000.0)
    verdicts = [
        verify("secret", fields(signer("POST", CALL["path"], b"one"))["hydra-signature"], **CALL, now=1000)
        for _ in range(2)
    ]
    assert all(verdict.is_good for verdict in verdicts)
    assert verdicts[0].nonce != verdicts[1].nonce
    assert all("." not in verdict.nonce for verdict in verdicts)


def test_calls_with_a_lease() -> None:
    """A call that names its lease counts."""
    signer = Signer("secret", clock=lambda: 1000.0)
    for count in (1, 2):
        made = fields(signer.for_lease("lease", "POST", CALL["path"], b"one"))
        assert made["hydra-instance"] == "lease"
        assert verify("secret", made["hydra-signature"], **CALL, now=1000).nonce == f"lease.{count}"


def test_correction() -> None:
    """After a correction the other side's time is signed, and it goes on running with our clock."""
    now = [1000.0]
    signer = Signer("secret", clock=lambda: now[0])
    signer.correct(5000.0)
    now[0] += 7
    made = fields(signer("POST", CALL["path"], b"one"))
    assert verify("secret", made["hydra-signature"], **CALL, now=5007, window=0).is_good


def test_corrections_are_those_of_one_peer() -> None:
    """What one peer says about its clock is not signed for another, and only so many peers are remembered."""
    signer = Signer("secret", clock=lambda: 1000.0)
    signer.correct(5000.0, "a:1")
    assert signer.is_corrected("a:1")
    assert not signer.is_corrected("b:1")
    assert signer.difference(5007.0, "a:1") == 7
    assert signer.difference(5007.0, "b:1") == 4007
    for peer, now in (("a:1", 5000), ("b:1", 1000)):
        for made in (
            signer("POST", CALL["path"], b"one", peer),
            signer.for_lease("l", "POST", CALL["path"], b"one", peer),
        ):
            assert verify("secret", fields(made)["hydra-signature"], **CALL, now=now, window=0).is_good
    for number in range(MAX_PEERS):
        signer.correct(5000.0, f"c:{number}")
    assert not signer.is_corrected("a:1")


def test_no_secret() -> None:
    """Without a secret nothing is signed, but the lease is named all the same."""
    signer = Signer("")
    assert not signer.has_secret
    assert signer("POST", "/", b"") == []
    assert fields(signer.for_lease("lease", "POST", "/", b"")) == {"hydra-instance": "lease"}
