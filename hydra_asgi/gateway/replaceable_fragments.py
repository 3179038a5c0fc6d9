"""A source of fragments in whose place a test may put another one."""

from collections.abc import AsyncIterator, Callable, Sequence

from hydra_asgi.core.fragment import FragmentAnswer, FragmentQuestion, PageContext
from hydra_asgi.ports import FragmentSource

__all__ = ["ReplaceableFragments"]


class ReplaceableFragments:
    """Asks whom `replaced` names, each time anew.

    Args:
        source: the node's own.
        replaced: gives what is to be asked instead, or the same.
    """

    def __init__(self, source: FragmentSource, replaced: Callable[[FragmentSource], FragmentSource]) -> None:
        self._source = source
        self._replaced = replaced

    def ask(
        self, service: str, questions: Sequence[FragmentQuestion], page: PageContext
    ) -> AsyncIterator[FragmentAnswer]:
        return self._replaced(self._source).ask(service, questions, page)
