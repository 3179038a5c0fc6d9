"""Forwards a client's WebSocket to one instance of a service.

The instance is asked first, so that what it says to the handshake is what the client hears: its sub-protocol, its
fields, or its refusal. Whoever opens a connection here cuts it off here, whatever happens.
"""

import logging
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, cast

from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, ASGISendEvent

from hydra_asgi.core.error_kind import OUTCOMES, ErrorKind
from hydra_asgi.core.headers.header_fields import Fields, field_values
from hydra_asgi.core.headers.header_policy import hops_are_spent, loops, request_headers
from hydra_asgi.core.headers.websocket_headers import accepted_headers, handshake_headers, refusal_headers
from hydra_asgi.core.instance import ServiceInstance
from hydra_asgi.core.routing.balance import Group
from hydra_asgi.core.routing.request_target import is_request_target
from hydra_asgi.errors import UpstreamError
from hydra_asgi.gateway.attempts import DEADLINE_SECONDS, Attempts, Call
from hydra_asgi.gateway.client_watch import ClientWatch
from hydra_asgi.gateway.crossing import Crossing
from hydra_asgi.gateway.forward import OwnInstance
from hydra_asgi.gateway.instance_health import InstanceHealth
from hydra_asgi.gateway.observation import OnRecord, Progress, Reporter
from hydra_asgi.gateway.request_body import RequestBody
from hydra_asgi.gateway.websocket_denial import answer_handshake, deny
from hydra_asgi.gateway.websocket_handshake import HandshakeAnswer, HandshakeUpstream
from hydra_asgi.gateway.websocket_relay import MAX_MESSAGE_BYTES, WebSocketRelay
from hydra_asgi.ports import Clock, Timeouts
from hydra_asgi.websocket_ports import WebSocketConnection, WebSocketRefusal, WebSocketUpstream

__all__ = ["WebSocketForwarder"]

_SWITCHING = 101
_SCHEMES = {"ws": "http", "wss": "https"}
_SAID = {"websocket.accept": _SWITCHING, "websocket.close": 403}


class WebSocketForwarder:
    """Forwards WebSockets to the instances of a service.

    Args:
        upstream: opens WebSockets to instances.
        pseudonym: this node's name in `Via`, a token; two nodes may not have the same.
        trusted: whether the peer at an IP address is a proxy of ours, whose word on the client is kept.
        vouch: called with the token of an inactive instance that answered, so that it stays listed.
        timeouts: for the handshake with active instances. An open WebSocket may be silent as long as it likes.
        deadline: seconds within which the last attempt must have begun to answer.
        max_message: bytes of the largest message taken of a client; a larger one closes both sides with 1009.
        health: what is known about instances; to be shared with whatever else asks them.
        crossing: what is special to a service in what crosses.
        on_record: gets a record of each WebSocket when it is over, with status 101 where it was open.
        log: gets a line about each WebSocket when it is over; one at WARNING where it could not be opened.
        clock: seconds that only move forward.
    """

    def __init__(
        self,
        upstream: WebSocketUpstream,
        *,
        pseudonym: str,
        trusted: Callable[[str], bool],
        vouch: Callable[[int], None],
        timeouts: Timeouts = Timeouts(),  # noqa: B008 -- a frozen value
        deadline: float = DEADLINE_SECONDS,
        max_message: int = MAX_MESSAGE_BYTES,
        health: InstanceHealth | None = None,
        crossing: Crossing | None = None,
        on_record: OnRecord | None = None,
        log: logging.Logger = logging.getLogger("hydra_asgi.access"),  # noqa: B008 -- the same object at each call
        clock: Clock = time.monotonic,
    ) -> None:
        self._pseudonym = pseudonym
        self._via = b"1.1 " + pseudonym.encode("latin-1")
        self._trusted = trusted
        self._max_message = max_message
        self._crossing = Crossing() if crossing is None else crossing
        self._upstream = upstream
        self._attempts = partial(
            Attempts,
            health=InstanceHealth() if health is None else health,
            timeouts=timeouts,
            deadline=deadline,
            vouch=vouch,
            clock=clock,
        )
        self._reporter = Reporter(log, on_record)
        self._clock = clock
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
            await self._forward(
                scope, receive, send, self._call(scope, key, target, group.service), group, progress, local
            )
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
        """The handshake as a request: a GET without body, which may be sent again."""
        body = RequestBody({"method": "GET", "headers": []}, _no_body, lambda: None)
        fields = self._crossing.request_fields(self._headers(scope), service)
        return Call("GET", target, fields, (), key, body, proof=self._crossing.proof)

    def _headers(self, scope: Mapping[str, Any]) -> Fields:
        client = scope.get("client")
        peer = str(client[0]) if client else ""
        fields = request_headers(
            scope["headers"],
            client=peer,
            scheme=_SCHEMES.get(scope.get("scheme", "ws"), "http"),
            host=next(iter(field_values(scope["headers"], b"host")), b"localhost"),
            via=self._via,
            trusted=bool(peer) and self._trusted(peer),
        )
        return handshake_headers(fields, scope.get("subprotocols", ()))

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
        self._refuse_loops(scope["headers"])
        async with AsyncExitStack() as opened:
            answer = await self._ask(receive, call, group, progress, None if local is None else local[0], opened)
            if answer is None:
                if local is None:
                    raise AssertionError("only the node's own instance is left to serve itself")
                progress.is_local = True
                await local[1](scope, _from_the_start(receive), _noting(send, progress))
            elif isinstance(answer.came_to, WebSocketRefusal):
                await self._refuse(answer.came_to, scope, send, progress)
            else:
                await self._relay(answer.came_to, receive, send, progress)

    def _refuse_loops(self, headers: Fields) -> None:
        if loops(headers, self._pseudonym):
            raise UpstreamError(ErrorKind.LOOP, f"the request passed {self._pseudonym} before")
        if hops_are_spent(headers):
            raise UpstreamError(ErrorKind.LOOP, "Max-Forwards is used up")

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
            answered = await self._attempts(handshakes).first_answer(call, group, progress, own)
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


def _from_the_start(receive: ASGIReceiveCallable) -> ASGIReceiveCallable:
    """The channel as if the client's wish to connect had not been read from it."""
    unread: list[Any] = [{"type": "websocket.connect"}]

    async def receive_again() -> Any:
        return unread.pop() if unread else await receive()

    return receive_again


def _noting(send: ASGISendCallable, progress: Progress) -> ASGISendCallable:
    """The channel of an app that serves the client here; what it says to the handshake is written down."""

    async def send_noted(message: Any) -> None:
        if not progress.status:
            progress.status = message.get("status") or _SAID.get(message["type"], 0)
        await send(message)

    return send_noted


async def _explain(kind: ErrorKind, scope: Mapping[str, Any], send: ASGISendCallable, service: str) -> None:
    status = OUTCOMES[kind].status
    detail = f"{service or 'This page'} cannot be connected with. Please try again in a moment."
    await answer_handshake(scope, send, status, "No connection", detail, kind=kind)
