"""What an interim response of status 103 hints at (RFC 8297): links that a browser may fetch before the response."""

from collections.abc import Collection
from typing import Final

from hydra_asgi.core.headers.header_fields import Fields, field_values, lowered
from hydra_asgi.core.headers.request_check import CONTROLS

__all__ = ["early_links"]

MAX_LINKS: Final = 32
"""Of one response, in all its hints together; more would not be early."""

MAX_LINK_BYTES: Final = 2048
"""Of one `Link` field."""


def early_links(headers: Fields, known: Collection[bytes] = ()) -> list[bytes]:
    """The values of the `Link` fields of a 103 that may be passed on, in order.

    Other fields of it are left out: a client would not know whether they hold for the response.

    Args:
        headers: of the interim response, any case of names.
        known: what was passed on before; it is not said again, and counts.
    """
    fresh = dict.fromkeys(link for link in field_values(lowered(headers), b"link") if _is_sound(link))
    links = [link for link in fresh if link not in known]
    return links[: max(0, MAX_LINKS - len(known))]


def _is_sound(link: bytes) -> bool:
    return 0 < len(link) <= MAX_LINK_BYTES and len(link.translate(None, CONTROLS)) == len(link)
