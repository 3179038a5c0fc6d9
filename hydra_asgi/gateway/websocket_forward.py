"""Forwards a client's WebSocket to one instance of a service.

The instance is asked first, so that what it says to the handshake is what the client hears: its sub-protocol, its
fields, or its refusal. Whoever opens a connection here cuts it off here, whatever happens.
"""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any, Final, cast

from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, ASGISendEvent

from hydra_asgi.core.error_kind import OUTCOMES, ErrorKind
from hydra_asgi.core.headers.field_names import field_names
from hydra_asgi.core.headers.websocket_headers import accepted_headers, handshake_headers, refusal_headers
from hydra_asgi.core.instance import ServiceInstance
from hydra_asgi.core.routing.balance import Group
from hydra_asgi.core.routing.request_target import is_request_target
from hydra_asgi.errors import UpstreamError
from hydra_asgi.gateway.attempts import Call
from hydra_asgi.gateway.client_watch import ClientWatch
from hydra_asgi.gateway.forwarding_terms import ForwardingTerms
from hydra_asgi.gateway.observation import Progress
from hydra_asgi.gateway.own_instance import OwnInstance, serve_socket_here
from hydra_asgi.gateway.request_body import RequestBody
from hydra_asgi.gateway.websocket_denial import answer_handshake, deny
from hydra_asgi.gateway.websocket_handshake import HandshakeAnswer, HandshakeUpstream
from hydra_asgi.gateway.websocket_relay import MAX_MESSAGE_BYTES, WebSocketRelay
from hydra_asgi.websocket_ports import WebSocketConnection, WebSocketRefusal, WebSocketUpstream

__all__ = ["WebSocketForwarder"]

_SWITCHING: Final = 101


class WebSocketForwarder:
    """Forwards WebSockets to the instances of a service.

    Args:
        upstream: opens WebSockets to instances.
        terms: how this node forwards; the record of a WebSocket that was open has status 101.
        max_message: bytes of the largest message taken of a client; a larger one closes both sides with 1009.
    """

    def __init__(
        self, upstream: WebSocketUpstream, terms: ForwardingTerms, *, max_message: int = MAX_MESSAGE_BYTES
    ) -> None:
        self._upstream = upstream
        self._terms = terms
        self._via = terms.via[1]
        self._max_message = max_message
        self._reporter = terms.reporter()
        self._clock = terms.clock
        self._relays: set[WebSocketRelay] = set()

    async def __call__(
        self,
        scope: Mapping[str, Any],
        receive: ASGIReceiveCallable,
        send: ASGISendCallable,
        *,
        group: Group,
        key: str,
        target: bytes,
        local: OwnInstance | None = None,
    ) -> None:
        """Connect the client with an instance of the group, or say why that is not possible.

        Args:
            scope: the handshake; it has passed `core.headers.request_check`.
            receive: its channel, from which nothing was read.
            send: its channel.
            group: the instances that may answer.
            key: the user's weight key; "" for none.
            target: path and query to ask for, without the base path of an instance.
            local: the node's own instance: where it is its turn, because others failed, it serves the client itself.
        """
        if (await receive())["type"] != "websocket.connect":
            return
        if not is_request_target(target):
            detail = "The address of this request has characters that no address has."
            await answer_handshake(scope, send, 400, "Not an address", detail)
            return
        progress = Progress(group.service, "GET", self._clock())
        try:
            call = self._call(scope, key, target, group.service)
            await self._forward(scope, receive, send, call, group, progress, local)
        except UpstreamError as error:
            progress.fail(error.kind, error.detail)
            if error.kind is not ErrorKind.CLIENT_GONE:
                await _explain(error.kind, scope, send, group.service)
        finally:
            if not progress.status:
                progress.fail(ErrorKind.CLIENT_GONE, "ended from outside")
            self._reporter.tell(progress, scope, self._clock())

    def stop(self) -> None:
        """Close every forwarded WebSocket with 1012: the node is about to stop, and not all servers tell anybody."""
        for relay in self._relays:
            relay.stop()

    def _call(self, scope: Mapping[str, Any], key: str, target: bytes, service: str) -> Call:
        """The handshake as a request: a GET without body, which may be sent again.

        Raises:
            UpstreamError: LOOP.
        """
        names = field_names(scope["headers"])
        self._terms.refuse_loops(scope["headers"], names)
        fields = handshake_headers(self._terms.request_fields(scope, names, service), scope.get("subprotocols", ()))
        body = RequestBody({"method": "GET", "headers": []}, _no_body, lambda: None)
        return Call("GET", target, fields, key, body, proof=self._terms.crossing.proof)

    async def _forward(
        self,
        scope: Mapping[str, Any],
        receive: ASGIReceiveCallable,
        send: ASGISendCallable,
        call: Call,
        group: Group,
        progress: Progress,
        local: OwnInstance | None,
    ) -> None:
        async with AsyncExitStack() as opened:
            answer = await self._ask(receive, call, group, progress, None if local is None else local.instance, opened)
            if answer is None:
                if local is None:
                    raise AssertionError("only the node's own instance is left to serve itself")
                await serve_socket_here(local, scope, receive, send, progress)
            elif isinstance(answer.came_to, WebSocketRefusal):
                await self._refuse(answer.came_to, scope, send, progress)
            else:
                await self._relay(answer.came_to, receive, send, progress)

    async def _ask(
        self,
        receive: ASGIReceiveCallable,
        call: Call,
        group: Group,
        progress: Progress,
        own: ServiceInstance | None,
        opened: AsyncExitStack,
    ) -> HandshakeAnswer | None:
        """What the first instance that answered said; ends when the client goes away meanwhile."""
        handshakes = HandshakeUpstream(self._upstream)
        watch = ClientWatch(receive)
        async with watch:
            watch.begin()  # granian says nothing before the handshake is answered; the timeouts end it there
            answered = await self._terms.attempts(handshakes).first_answer(call, group, progress, own)
            if answered is None or handshakes.last is None:
                return None
            return await opened.enter_async_context(handshakes.last)

    async def _relay(
        self,
        connection: WebSocketConnection,
        receive: ASGIReceiveCallable,
        send: ASGISendCallable,
        progress: Progress,
    ) -> None:
        accept = {
            "type": "websocket.accept",
            "subprotocol": connection.subprotocol,
            "headers": accepted_headers(connection.headers, via=self._via),
        }
        try:
            await send(cast("ASGISendEvent", accept))
        except OSError as error:
            raise UpstreamError(ErrorKind.CLIENT_GONE, str(error)) from None
        progress.status = _SWITCHING
        relay = WebSocketRelay(receive, send, connection, max_message=self._max_message)
        self._relays.add(relay)
        try:
            await relay.run()
        finally:
            self._relays.discard(relay)

    async def _refuse(
        self, refusal: WebSocketRefusal, scope: Mapping[str, Any], send: ASGISendCallable, progress: Progress
    ) -> None:
        progress.status = refusal.status
        await deny(scope, send, refusal.status, refusal_headers(refusal.headers, via=self._via), refusal.body)


async def _no_body() -> Any:
    raise AssertionError("a handshake has no body")


async def _explain(kind: ErrorKind, scope: Mapping[str, Any], send: ASGISendCallable, service: str) -> None:
    status = OUTCOMES[kind].status
    detail = f"{service or 'This page'} cannot be connected with. Please try again in a moment."
    await answer_handshake(scope, send, status, "No connection", detail, kind=kind)
