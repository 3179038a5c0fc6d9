"""What the log says about fragments that were not shown: one line each, with what an operator needs to act."""

import logging

from hydra_asgi.core.events import Fallback
from hydra_asgi.core.logfmt import logfmt

__all__ = ["log_fallback", "log_warning"]

logger = logging.getLogger("hydra_asgi.fragments")


def log_fallback(fallback: Fallback) -> None:
    """Say which fragment showed its fallback, why, after how long, and on whose page."""
    pairs = logfmt(
        service=fallback.service or "self",
        ref=fallback.ref,
        cause=fallback.cause,
        seconds=fallback.seconds,
        detail=fallback.detail,
        request=fallback.request_id,
    )
    logger.warning("fallback shown: %s", pairs, extra={"fallback": fallback})


def log_warning(text: str) -> None:
    """Say what the author of a page should mend."""
    logger.warning("page: %s", _printable(text))


def _printable(text: str) -> str:
    """One event stays one line, whatever a peer put into it."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:300])
