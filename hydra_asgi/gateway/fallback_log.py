"""What the log says about fragments that were not shown: one line each, with what an operator needs to act."""

import logging

from hydra_asgi.gateway.compose import Fallback

__all__ = ["log_fallback", "log_warning"]

logger = logging.getLogger("hydra_asgi.fragments")


def log_fallback(fallback: Fallback) -> None:
    """Say which fragment showed its fallback, why, and after how long."""
    logger.warning(
        "fallback shown: service=%s ref=%s cause=%s seconds=%.3f detail=%s",
        _printable(fallback.service) or "self",
        _printable(fallback.ref),
        fallback.cause.value,
        fallback.seconds,
        _printable(fallback.detail),
    )


def log_warning(text: str) -> None:
    """Say what the author of a page should mend."""
    logger.warning("page: %s", _printable(text))


def _printable(text: str) -> str:
    """One event stays one line, whatever a peer put into it."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:300])
