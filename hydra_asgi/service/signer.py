"""Signs our own control-plane calls, each with the time that the peer it goes to says it has."""

import secrets
import time
from collections.abc import Callable, Iterator
from itertools import count

from hydra_asgi.core.admission.signature import lease_nonce, sign
from hydra_asgi.ports import Headers

__all__ = ["Signer"]


MAX_PEERS = 1_000
"""As many peers as may have clocks of their own; whoever falls out is corrected again with its next refusal."""


class Signer:
    """Makes the header fields of signed calls.

    Clocks are corrected peer by peer, so that one whose clock is wrong costs the others nothing.

    Args:
        secret: what members share; `""` signs nothing.
        clock: unix seconds.
        nonce: makes nonces; each value is used once.
    """

    def __init__(
        self,
        secret: str,
        *,
        clock: Callable[[], float] = time.time,
        nonce: Callable[[], str] = lambda: secrets.token_hex(16),
    ) -> None:
        self._secret = secret
        self._clock = clock
        self._nonce = nonce
        self._counter: Iterator[int] = count(1)
        self._ahead: dict[str, float] = {}

    @property
    def has_secret(self) -> bool:
        """Whether calls are signed at all."""
        return bool(self._secret)

    def use(self, secret: str) -> None:
        """Sign with a secret that became known only now."""
        self._secret = secret

    def __call__(self, method: str, path: str, body: bytes, peer: str = "") -> Headers:
        """Fields for a call that names no lease, such as a fragment request. They may run side by side."""
        return self._signed(method, path, body, peer, self._nonce()) if self._secret else []

    def for_lease(self, lease: str, method: str, path: str, body: bytes, peer: str = "") -> Headers:
        """Fields for a call that names its lease. The counter grows, so such calls are made one after another."""
        fields: Headers = [(b"hydra-instance", lease.encode())]
        if self._secret:
            fields += self._signed(method, path, body, peer, lease_nonce(lease, next(self._counter)))
        return fields

    def correct(self, server_time: float, peer: str = "") -> None:
        """Sign with a peer's time from now on; it refused a signature and said what time it has."""
        self._ahead.pop(peer, None)
        while len(self._ahead) >= MAX_PEERS:
            del self._ahead[next(iter(self._ahead))]
        self._ahead[peer] = server_time - self._clock()

    def difference(self, server_time: float, peer: str = "") -> float:
        """Seconds by which a peer's time is ahead of what we sign for it."""
        return server_time - self._now(peer)

    def is_corrected(self, peer: str) -> bool:
        """Whether the peer has said that its clock is another."""
        return peer in self._ahead

    def _now(self, peer: str) -> float:
        return self._clock() + self._ahead.get(peer, 0.0)

    def _signed(self, method: str, path: str, body: bytes, peer: str, nonce: str) -> Headers:
        value = sign(self._secret, method=method, path=path, body=body, time=self._now(peer), nonce=nonce)
        return [(b"hydra-signature", value.encode())]
