"""The signature of a control-plane call: `Hydra-Signature: v1;t=<unix seconds>;n=<nonce>;s=<hex>`.

What is signed, one per line: method, path, t, n, and the SHA-256 of the body in hex; the code is HMAC-SHA256
(RFC 2104). A call that names its lease (`Hydra-Instance`) uses the nonce `<lease id>.<counter>`, whose counter only
grows, so that the thousands of beats need no nonce memory; every other call uses a random nonce without a dot.

Rules for editors: the vectors in `tests/core/signature_vectors.json` are a promise to nodes of other versions. Another
form is another version tag beside `v1`, never a changed `v1`.
"""

import hashlib
import hmac
import re
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["WINDOW", "Judgement", "Verdict", "lease_nonce", "sign", "signed_path", "split_lease_nonce", "verify"]

WINDOW = 60.0
"""Seconds a signature is good for, both ways: clocks of machines that run NTP differ by far less, and a replay has to
be remembered for no longer than this."""

_HEADER = re.compile(r"v1;t=([0-9]{1,12});n=([A-Za-z0-9._~-]{1,128});s=([0-9a-f]{64})")
_LEASE_NONCE = re.compile(r"([A-Za-z0-9_-]{1,64})\.(0|[1-9][0-9]{0,17})")
_PLACES = ("/h/discovery/", "/h/fragment/", "/h/node/")


class Judgement(StrEnum):
    """What became of a signature."""

    GOOD = "good"
    MISSING = "missing"
    MALFORMED = "malformed"
    STALE = "stale"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A judgement; `nonce` and `time` (unix seconds) are what the caller signed, empty unless GOOD or STALE."""

    judgement: Judgement
    nonce: str = ""
    time: int = 0

    @property
    def is_good(self) -> bool:
        """Whether the caller knows the secret and signed just now. A replay is still for the caller to notice."""
        return self.judgement is Judgement.GOOD


def signed_path(path: str) -> str:
    """The part of a path that is signed: from `/h/discovery/` or `/h/fragment/` on.

    A base path in front is left out, because a proxy may strip it and a mount may add it.
    """
    for place in _PLACES:
        at = path.rfind(place)
        if at >= 0:
            return path[at:]
    return path


def lease_nonce(lease: str, counter: int) -> str:
    """The nonce of the `counter`-th call that names its lease."""
    return f"{lease}.{counter}"


def split_lease_nonce(nonce: str) -> tuple[str, int] | None:
    """The lease and the counter in a nonce, None when it is not of that form."""
    found = _LEASE_NONCE.fullmatch(nonce)
    return None if found is None else (found[1], int(found[2]))


def sign(secret: str, *, method: str, path: str, body: bytes, time: float, nonce: str) -> str:
    """The value of `Hydra-Signature` for one call.

    Args:
        secret: what both sides share.
        method: upper-case.
        path: the decoded path, without the query.
        body: the whole body.
        time: now, in unix seconds.
        nonce: never used before: random, or `lease_nonce`.
    """
    seconds = int(time)
    return f"v1;t={seconds};n={nonce};s={_code(secret, method, path, body, str(seconds), nonce)}"


def verify(
    secret: str, header: str, *, method: str, path: str, body: bytes, now: float, window: float = WINDOW
) -> Verdict:
    """Judge the value of `Hydra-Signature`, `""` for none. Takes the same time for every wrong code.

    STALE is said only to whoever knows the secret: it leads the caller to sign again with our time.
    """
    if not header:
        return Verdict(Judgement.MISSING)
    found = _HEADER.fullmatch(header)
    if found is None:
        return Verdict(Judgement.MALFORMED)
    seconds, nonce, code = found.groups()
    expected = _code(secret, method, path, body, seconds, nonce)
    if not secret or not hmac.compare_digest(expected.encode(), code.encode()):
        return Verdict(Judgement.WRONG)
    if abs(now - int(seconds)) > window:
        return Verdict(Judgement.STALE, nonce, int(seconds))
    return Verdict(Judgement.GOOD, nonce, int(seconds))


def _code(secret: str, method: str, path: str, body: bytes, seconds: str, nonce: str) -> str:
    lines = "\n".join((method, signed_path(path), seconds, nonce, hashlib.sha256(body).hexdigest()))
    # A path or secret may hold anything the operator or the caller typed; surrogates must not become a crash.
    return hmac.digest(secret.encode("utf-8", "surrogatepass"), lines.encode("utf-8", "surrogatepass"), "sha256").hex()
