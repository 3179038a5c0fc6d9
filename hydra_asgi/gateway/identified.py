"""The outermost part of a gateway: names each request, and lets a trace context pass only if it is sound."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, ASGISendEvent

from hydra_asgi.core.headers.header_fields import Fields
from hydra_asgi.core.headers.request_id import REQUEST_ID, answer_with_id, read_request_id, with_request_id
from hydra_asgi.core.headers.trace_context import TRACE_NAMES, sound_trace

__all__ = ["Identified", "answering"]

_NAMES = TRACE_NAMES | {REQUEST_ID}

Front = Callable[[Any, ASGIReceiveCallable, ASGISendCallable], Awaitable[None]]


class Identified:
    """Runs a front with requests that have an id, and answers with it.

    The app, the instance a request is forwarded to, and the services that render fragments of its page all see the same
    `X-Request-Id`, and so does whoever asked.

    Args:
        front: answers requests.
        trusted: whether the peer at an IP address is a proxy of ours, whose ids are kept.
        mint: makes an id: letters and digits, different each time.
        count: called for each request.
    """

    def __init__(
        self,
        front: Front,
        *,
        trusted: Callable[[str], bool],
        mint: Callable[[], str],
        count: Callable[[], None] = lambda: None,
    ) -> None:
        self._front = front
        self._trusted = trusted
        self._mint = mint
        self._count = count

    async def __call__(self, scope: Mapping[str, Any], receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Answer one request."""
        self._count()
        headers = [*scope["headers"]]
        if _NAMES.isdisjoint([name for name, _ in headers]):  # as most are
            request_id = self._mint()
            headers.append((REQUEST_ID, request_id.encode("ascii")))
        else:
            request_id = self._given_id(scope, headers) or self._mint()
            headers = with_request_id(sound_trace(headers), request_id)
        named = {**scope, "headers": headers}
        await self._front(named, receive, answering(send, request_id) if scope["type"] == "http" else send)

    def _given_id(self, scope: Mapping[str, Any], headers: Fields) -> str:
        request_id = read_request_id(headers)
        client = scope.get("client")
        return request_id if request_id and client and self._trusted(str(client[0])) else ""


def answering(send: ASGISendCallable, request_id: str) -> ASGISendCallable:
    """A channel whose response names the request."""

    def send_named(message: ASGISendEvent) -> Awaitable[None]:  # no coroutine of its own: there is nothing to await
        if message["type"] == "http.response.start":
            headers = answer_with_id([*message.get("headers", ())], request_id)
            message = cast("ASGISendEvent", {**message, "headers": headers})
        return send(message)

    return send_named
