"""Signs our own control-plane calls, with the clock corrected by what the other side told us."""

import secrets
import time
from collections.abc import Callable, Iterator
from itertools import count

from hydra_asgi.core.admission.signature import lease_nonce, sign
from hydra_asgi.ports import Headers

__all__ = ["Signer"]


class Signer:
    """Makes the header fields of signed calls.

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
        self._ahead = 0.0

    @property
    def has_secret(self) -> bool:
        """Whether calls are signed at all."""
        return bool(self._secret)

    def __call__(self, method: str, path: str, body: bytes) -> Headers:
        """Fields for a call that names no lease, such as a fragment request. They may run side by side."""
        return self._signed(method, path, body, self._nonce()) if self._secret else []

    def for_lease(self, lease: str, method: str, path: str, body: bytes) -> Headers:
        """Fields for a call that names its lease. The counter grows, so such calls are made one after another."""
        fields: Headers = [(b"hydra-instance", lease.encode())]
        if self._secret:
            fields += self._signed(method, path, body, lease_nonce(lease, next(self._counter)))
        return fields

    def correct(self, server_time: float) -> None:
        """Sign with the other side's time from now on; it refused a signature and said what time it has."""
        self._ahead = server_time - self._clock()

    def _signed(self, method: str, path: str, body: bytes, nonce: str) -> Headers:
        now = self._clock() + self._ahead
        value = sign(self._secret, method=method, path=path, body=body, time=now, nonce=nonce)
        return [(b"hydra-signature", value.encode())]
