"""How a gateway proves itself to a service of the site: `Hydra-Gateway: v1;m=<minute>;g=<gateway>;s=<hex>`.

The code is HMAC-SHA256 over the words `gateway`, the minute since 1970, the gateway's name and the service's, one per
line. It is made once a minute and sent with every request of that minute, so it costs next to nothing; therefore it
proves only who forwards, not what. Whoever sees it could use it for two minutes, and against that service alone; only
nodes of the site are ever sent it.
"""

import hmac
import re
from typing import Final

__all__ = ["HEADER", "MINUTE", "is_proof", "minute_of", "prove"]

HEADER: Final = b"hydra-gateway"
MINUTE: Final = 60.0

_FORM: Final = re.compile(rb"v1;m=([1-9][0-9]{0,11});g=([A-Za-z0-9._~-]{1,64});s=([0-9a-f]{64})")


def minute_of(now: float) -> int:
    """The minute of a time in unix seconds."""
    return int(now // MINUTE)


def prove(secret: str, *, gateway: str, service: str, minute: int) -> bytes:
    """The field's value.

    Args:
        secret: what the site shares.
        gateway: the gateway's name: letters, digits and `._~-`, at most 64.
        service: whom it is for.
        minute: of now.
    """
    return b"v1;m=%d;g=%b;s=%b" % (minute, gateway.encode("ascii"), _code(secret, gateway, service, minute))


def is_proof(secret: str, value: bytes, *, service: str, now: float) -> bool:
    """Whether a gateway of the site said this to this service just now: in this minute, or in one beside it.

    Args:
        secret: what the site shares; nothing is proven without one.
        value: of the field.
        service: ours.
        now: in unix seconds.
    """
    found = _FORM.fullmatch(value)
    if found is None or not secret:
        return False
    minute, gateway, code = int(found[1]), found[2].decode("ascii"), found[3]
    is_genuine = hmac.compare_digest(code, _code(secret, gateway, service, minute))
    return is_genuine and abs(minute - minute_of(now)) <= 1


def _code(secret: str, gateway: str, service: str, minute: int) -> bytes:
    lines = f"gateway\n{minute}\n{gateway}\n{service}"
    key, said = secret.encode("utf-8", "surrogatepass"), lines.encode("utf-8", "surrogatepass")
    return hmac.digest(key, said, "sha256").hex().encode("ascii")
