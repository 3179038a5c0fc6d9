"""Labels of metrics: as many as an operator wants to see, and never as many as the world can make up."""

from typing import Final

__all__ = ["MAX_PAIRS", "OTHER", "BoundedLabels", "Labels"]

MAX_PAIRS: Final = 200
"""A hundred services with two versions each; beyond that a time series per pair helps nobody."""

OTHER: Final = "other"

Labels = tuple[str, str]
"""A service and its version; an unknown version is empty."""

_REST: Final = (OTHER, OTHER)


class BoundedLabels:
    """Gives each pair of service and version its labels; those that come when it is full share one.

    A pair that has its labels keeps them: a counter must not go down.

    Args:
        size: how many pairs have labels of their own.
    """

    def __init__(self, size: int = MAX_PAIRS) -> None:
        self._size = size
        self._known: dict[tuple[str, int | None], Labels] = {}

    def of(self, service: str, version: int | None) -> Labels:
        """The labels of a pair."""
        labels = self._known.get((service, version))
        if labels is not None:
            return labels
        if len(self._known) >= self._size:
            return _REST
        labels = self._known[service, version] = (service, "" if version is None else str(version))
        return labels
