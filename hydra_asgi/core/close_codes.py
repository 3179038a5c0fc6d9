"""Which close codes one WebSocket may hand on to another, and what becomes of the others (RFC 6455 section 7.4).

Three codes are never on the wire: they are how an end says to itself what it saw. Handing one on as it is makes a
library raise, or a peer fail the connection; so each has a code that tells the other side the same.
"""

from dataclasses import dataclass
from typing import Final

__all__ = ["MAX_REASON_BYTES", "RESTARTING", "TOO_LARGE", "WENT_AWAY", "Close", "may_be_sent", "to_pass_on"]

MAX_REASON_BYTES: Final = 123
"""A control frame holds 125 bytes (RFC 6455 section 5.5), two of which are the code."""

_REGISTERED: Final = frozenset({1000, 1001, 1002, 1003, *range(1007, 1015)})
"""What IANA lists for endpoints to send; 1004 to 1006 and 1015 are reserved."""

_NORMAL = 1000
_PROTOCOL_ERROR = 1002
_NO_CODE = 1005
_INTERNAL_ERROR = 1011

_SAID_AS: Final = {
    1006: _INTERNAL_ERROR,  # the connection broke: the other side has done nothing wrong
    1015: _INTERNAL_ERROR,  # TLS failed
}


@dataclass(frozen=True, slots=True)
class Close:
    """How a WebSocket is closed, in a form that may be sent.

    Attributes:
        code: None for a close frame without a code.
        reason: at most 123 bytes of UTF-8; empty without a code.
    """

    code: int | None
    reason: str = ""

    @property
    def asgi_code(self) -> int:
        """The code for ASGI, which cannot say "none"; 1000 is what its close message means without one."""
        return _NORMAL if self.code is None else self.code


RESTARTING: Final = Close(1012)
"""For both sides when the node between them stops; clients take it as a call to come back."""

TOO_LARGE: Final = Close(1009, "message too large")
"""For both sides when a message is larger than we carry."""

WENT_AWAY: Final = Close(_INTERNAL_ERROR)
"""For the side that is left when the other broke off without a close frame."""


def may_be_sent(code: int) -> bool:
    """Whether a close frame may hold this code."""
    return code in _REGISTERED or 3000 <= code < 5000  # 3000s are registered by libraries, 4000s belong to apps


def to_pass_on(code: int | None, reason: str | None = "") -> Close:
    """What to close one side with when the other side was closed.

    Args:
        code: what came, or what our end says it saw: 1005 or None for a frame without code, 1006 and 1015 for a
            connection that broke. A code nobody may send becomes 1002.
        reason: what came; cut between characters when it is too long.
    """
    if code is None or code == _NO_CODE:
        return Close(None)
    if code in _SAID_AS:
        return Close(_SAID_AS[code])
    return Close(int(code) if may_be_sent(code) else _PROTOCOL_ERROR, _cut(reason or ""))


def _cut(reason: str) -> str:
    return reason.encode("utf-8", "replace")[:MAX_REASON_BYTES].decode("utf-8", "ignore")
