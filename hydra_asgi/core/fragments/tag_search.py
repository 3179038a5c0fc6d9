"""Whether a page that has come whole holds a fragment tag at all: most hold none, and leave as they are."""

import re
from collections.abc import Iterable
from typing import Final

from hydra_asgi.core.fragments.gzip_pieces import GzipPieces
from hydra_asgi.core.html.scanner import Scanner, TagOpened
from hydra_asgi.errors import UpstreamError

__all__ = ["has_tag"]

_MAYBE_TAG: Final = re.compile(rb":[fF][rR][aA][gG][mM][eE][nN][tT]")
"""Cheaper than scanning: no colon of that kind, no tag."""

_LOOK: Final = 16384
"""How much is scanned at once; the first tag ends the search."""


def has_tag(body: bytes, *, is_gzip: bool = False) -> bool:
    """Look for a tag; what is corrupt holds none from there on.

    Args:
        body: the whole body, as the app sent it.
        is_gzip: it is in this content coding.
    """
    if not is_gzip:
        found = _MAYBE_TAG.search(body) is not None
        return found and _opens_tag(body[at : at + _LOOK] for at in range(0, len(body), _LOOK))
    try:
        return _opens_tag(GzipPieces().feed(body))
    except UpstreamError:
        return False


def _opens_tag(pieces: Iterable[bytes]) -> bool:
    scanner = Scanner()
    return any(isinstance(event, TagOpened) for piece in pieces for event in scanner.feed(piece))
