"""What the log says about pages: fragments that were not shown, and tags that their authors should mend.

A fragment that fails does so on every page that has it. So the first line comes at once, and while the same goes on,
one line every few seconds says how often it has happened since.
"""

import logging
from typing import Final

from hydra_asgi.core.events import Fallback
from hydra_asgi.core.logfmt import logfmt
from hydra_asgi.gateway.repeated_log import RepeatedLog

__all__ = ["PageLog"]

REPEATED_SECONDS: Final = 10.0
"""Between two lines about the same: a few of them fit on a screen, and nobody waits long for news."""

MAX_KINDS: Final = 512
"""Fragments and causes that have lines of their own; references may be made up by a template, without end."""

_logger = logging.getLogger("hydra_asgi.fragments")


class PageLog:
    """Writes the lines of one node. A fallback's line has it as its attribute `fallback`, and how often as `times`.

    Args:
        seconds: between two lines about the same.
    """

    def __init__(self, *, seconds: float = REPEATED_SECONDS) -> None:
        self._lines: RepeatedLog[tuple[str, ...], Fallback | str] = RepeatedLog(_write, seconds=seconds, size=MAX_KINDS)

    def fell_back(self, fallback: Fallback) -> None:
        """Say which fragment showed its fallback, why, after how long, and on whose page."""
        self._lines.hear((fallback.service, fallback.ref, fallback.cause), fallback)

    def warn(self, text: str) -> None:
        """Say what the author of a page should mend."""
        self._lines.hear((text,), text)


def _write(news: Fallback | str, times: int) -> None:
    if isinstance(news, str):
        again = f" (again, {times} times)" if times > 1 else ""
        _logger.warning("page: %s%s", _printable(news), again)
        return
    pairs = logfmt(
        service=news.service or "self",
        ref=news.ref,
        cause=news.cause,
        times=times if times > 1 else None,
        seconds=news.seconds,
        detail=news.detail,
        request=news.request_id,
    )
    _logger.warning("fallback shown: %s", pairs, extra={"fallback": news, "times": times})


def _printable(text: str) -> str:
    """One event stays one line, whatever a peer put into it."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:300])
