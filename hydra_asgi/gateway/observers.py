"""Delivers what a node tells to everybody who wants to know."""

import logging
from collections.abc import Sequence

from hydra_asgi.core.events import Event
from hydra_asgi.ports import Hook

__all__ = ["Observers"]

_logger = logging.getLogger("hydra_asgi")


class Observers:
    """Implements `ports.Hook` for any number of them, in turn; one that raises is logged, and costs nobody anything.

    Args:
        hooks: who is told.
        log: gets what they raise.
    """

    def __init__(self, hooks: Sequence[Hook], log: logging.Logger = _logger) -> None:
        self._hooks = tuple(hooks)
        self._log = log

    def __bool__(self) -> bool:
        """Whether anybody is told."""
        return bool(self._hooks)

    def __call__(self, event: Event, /) -> None:
        for hook in self._hooks:
            try:
                hook(event)
            except Exception:
                self._log.exception("a hook failed on %s: %r", type(event).__name__, hook)
