"""Who is asked for a fragment: the app itself for its own, whoever knows the other services for the rest."""

from collections.abc import AsyncIterator, Sequence

from hydra_asgi.core.fragment import FragmentAnswer, FragmentQuestion, PageContext
from hydra_asgi.ports import FragmentSource

__all__ = ["FragmentRouter"]


class FragmentRouter:
    """A `FragmentSource` that chooses between two others by the service's name.

    Args:
        own: the app's own service name, `""` for an app without one.
        local: renders the app's own fragments, asked for by `""` or by that name.
        remote: asks the other services.
    """

    def __init__(self, own: str, local: FragmentSource, remote: FragmentSource) -> None:
        self._own = frozenset({"", own})
        self._local = local
        self._remote = remote

    def ask(
        self, service: str, questions: Sequence[FragmentQuestion], page: PageContext
    ) -> AsyncIterator[FragmentAnswer]:
        source = self._local if service in self._own else self._remote
        return source.ask(service, questions, page)
