r"""Weighted rendezvous hashing: one candidate out of several for a key, without counters and without agreement.

Every node computes the same choice; a candidate that comes takes over only keys it now owns, one that goes gives up
only its own. THE HASHED BYTES ARE A PROMISE: changing them moves every user to another version.
`tests/core/balance_vectors.json` holds vectors. The bytes are, in UTF-8, with `\n` between the parts:

    hydra-1 \n <what> \n <service> \n <candidate> \n <key>

`<what>` is `version` and `<candidate>` the version in decimal, or `instance` and the text of the instance's address
(`http://127.0.0.1:8002`). They are hashed with BLAKE2b (RFC 7693) to 8 bytes, read as a big-endian integer n; then

    u = (floor(n / 4096) + 0.5) / 2**52        score = weight / -ln(u)

and the highest score wins; of equal scores the candidate that is listed first. The share of a candidate is its weight
over the sum of the weights (J. Schindelhauer, G. Schomaker, "Weighted Distributed Hash Tables", 2005).
"""

from collections.abc import Iterable
from hashlib import blake2b
from math import log

__all__ = ["Begun", "begun", "best", "candidate_prefix", "score"]


Begun = blake2b
"""A hash that has taken a prefix."""


def candidate_prefix(what: str, service: str, candidate: str) -> bytes:
    """The hashed bytes up to the key; made once for each candidate."""
    return f"hydra-1\n{what}\n{service}\n{candidate}\n".encode()


def score(prefix: bytes, key: bytes, weight: float) -> float:
    """How much a candidate wants a key; the highest score has it.

    Args:
        prefix: from `candidate_prefix`.
        key: the user's weight key, UTF-8.
        weight: finite and > 0; only the proportions between candidates count.
    """
    number = int.from_bytes(blake2b(prefix + key, digest_size=8).digest(), "big")
    # 52 bits and a half stay exact in a float, so u is never 0 or 1 and the logarithm never 0.
    return weight / -log(((number >> 12) + 0.5) * 2.0**-52)


def begun(prefix: bytes) -> Begun:
    """The hash of a candidate's prefix, to be gone on with for each key."""
    return blake2b(prefix, digest_size=8)


def best(candidates: Iterable[tuple[Begun, float]], key: bytes) -> int:
    """Which candidate has the highest score, the first of several; 0 when there is none.

    Args:
        candidates: each one's prefix, from `begun`, and its weight.
        key: as for `score`.
    """
    highest, found = 0.0, 0
    for place, (hashed, weight) in enumerate(candidates):
        # `score` once more, in line: the pick stands on the way of every request.
        one = hashed.copy()
        one.update(key)
        reached = weight / -log(((int.from_bytes(one.digest(), "big") >> 12) + 0.5) * 2.0**-52)
        if reached > highest:
            highest, found = reached, place
    return found
