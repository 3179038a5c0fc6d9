"""Whether a request came through a proxy, which then has spoken for somebody whose address is not known."""

from collections.abc import Iterable
from typing import Final

__all__ = ["proxy_field"]

_SAID_BY_PROXIES: Final = frozenset({b"forwarded", b"via", b"x-real-ip"})


def proxy_field(headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    """The lower-case name of the first field that only a proxy adds; None when there is none.

    Args:
        headers: of the request, any case of names.
    """
    for name, _ in headers:
        lower = name.lower()
        if lower in _SAID_BY_PROXIES or lower.startswith(b"x-forwarded-"):
            return lower
    return None
