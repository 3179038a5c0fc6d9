"""Composes pages that were forwarded: those of instances that cannot do so themselves, and of no others."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, HTTPScope

from hydra_asgi.core.fragment import FragmentAnswer, FragmentQuestion, PageContext
from hydra_asgi.gateway.compose import App, Composer
from hydra_asgi.ports import FragmentSource

__all__ = ["ForwardedPages"]


class ForwardedPages:
    """Fills the fragment tags in the responses of other instances.

    Args:
        source: who renders fragments.
        make: makes a composer for a source, and for the service whose pages it composes.
    """

    def __init__(self, source: FragmentSource, make: Callable[[FragmentSource, str], Composer]) -> None:
        self._source = source
        self._make = make
        self._composers: dict[str, Composer] = {}

    async def __call__(
        self,
        forward: App,
        scope: HTTPScope,
        receive: ASGIReceiveCallable,
        send: ASGISendCallable,
        *,
        service: str,
        key: str,
    ) -> None:
        """Forward one request and compose what comes back.

        Args:
            forward: sends the request on.
            scope: of the request.
            receive: its channel.
            send: its channel.
            service: whose page it is; tags that name no service mean this one.
            key: the user's weight key.
        """
        composer = self._composers.get(service)
        if composer is None:  # as many as there are services of this kind, and those the operator has named
            composer = self._composers[service] = self._make(_OfService(service, self._source), service)
        readable: Any = {**scope, "headers": _without_coding(scope["headers"])}
        await composer(forward, readable, receive, send, service=service, headers=scope["headers"], key=key)


class _OfService:
    """The source as pages of a service see it: `""` is that service, and not the app of this node."""

    def __init__(self, service: str, source: FragmentSource) -> None:
        self._service = service
        self._source = source

    def ask(
        self, service: str, questions: Sequence[FragmentQuestion], page: PageContext
    ) -> AsyncIterator[FragmentAnswer]:
        return self._source.ask(service or self._service, questions, page)


def _without_coding(headers: Any) -> list[tuple[bytes, bytes]]:
    """The request's headers, so that the page comes in a form in which its tags can be read."""
    return [*(pair for pair in headers if pair[0] != b"accept-encoding"), (b"accept-encoding", b"identity")]
