"""Sends a request to one instance of a service and streams its response back, trying another where that is safe.

Nothing is buffered in either direction: a piece is read when the one before it was taken. Whoever opens a response
here closes it here. A client that goes away takes its upstream request with it, and an instance that breaks off
in the middle of a response breaks the client's connection, because a short body must never look whole.
"""

import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from asgiref.typing import ASGIReceiveCallable, ASGISendCallable

from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.core.headers.event_stream import is_event_stream
from hydra_asgi.core.headers.field_names import FieldNames, field_names
from hydra_asgi.core.headers.header_policy import hops_are_spent, loops, request_headers, response_headers
from hydra_asgi.core.instance import ServiceInstance
from hydra_asgi.core.routing.balance import Group
from hydra_asgi.core.routing.request_target import is_request_target
from hydra_asgi.errors import ResponseCutError, UpstreamError
from hydra_asgi.gateway.answers import answer
from hydra_asgi.gateway.attempts import DEADLINE_SECONDS, MAX_ATTEMPTS, Attempts, Call, Outcome
from hydra_asgi.gateway.client_watch import ClientWatch
from hydra_asgi.gateway.crossing import Crossing
from hydra_asgi.gateway.explanation import explain
from hydra_asgi.gateway.instance_health import InstanceHealth
from hydra_asgi.gateway.limits import ServiceLimits
from hydra_asgi.gateway.lookout import Lookout
from hydra_asgi.gateway.observation import OnRecord, Progress, Reporter
from hydra_asgi.gateway.patient_send import PatientSend
from hydra_asgi.gateway.request_body import RequestBody
from hydra_asgi.ports import Clock, Headers, Timeouts, Upstream, UpstreamResponse

__all__ = ["BODILESS", "DEADLINE_SECONDS", "MAX_ATTEMPTS", "Begun", "Forwarder", "OwnInstance"]

OwnInstance = tuple[ServiceInstance, Callable[[Any, ASGIReceiveCallable, ASGISendCallable], Awaitable[None]]]
"""The node's own instance, and what serves a request by it without the network."""

BODILESS = frozenset({204, 304})
_PATH_CHARACTERS = "/:@!$&'()*+,;=-._~"


@dataclass(frozen=True, slots=True)
class Begun:
    """A request that was sent to its first instance already; its place is taken, and handed over with it.

    Attributes:
        outcome: what came of that.
        began: when it began, by the forwarder's clock.
        body: the request's.
        watch: waits for the client's leaving already; None where nobody does.
    """

    outcome: Outcome
    began: float
    body: RequestBody
    watch: ClientWatch | None = None


class Forwarder:
    """Forwards HTTP requests to the instances of a service.

    Args:
        upstream: sends requests.
        pseudonym: this node's name in `Via`, a token; two nodes may not have the same.
        timeouts: for active instances.
        trusted: whether the peer at an IP address is a proxy of ours, whose word on the client is kept.
        vouch: called with the token of an inactive instance that answered, so that it stays listed.
        deadline: seconds within which the last attempt must have begun to answer.
        health: what is known about instances; to be shared with whatever else asks them.
        limits: how many requests are forwarded at a time.
        crossing: what is special to a service in what crosses.
        on_record: gets a record of each request when it is over.
        log: gets a line about each request when it is over; one at WARNING where it could not be served.
        clock: seconds that only move forward.

    Attributes:
        via: our own `Via` field.
    """

    def __init__(
        self,
        upstream: Upstream,
        *,
        pseudonym: str,
        trusted: Callable[[str], bool],
        vouch: Callable[[int], None],
        timeouts: Timeouts = Timeouts(),  # noqa: B008 -- a frozen value
        deadline: float = DEADLINE_SECONDS,
        health: InstanceHealth | None = None,
        limits: ServiceLimits | None = None,
        crossing: Crossing | None = None,
        on_record: OnRecord | None = None,
        log: logging.Logger = logging.getLogger("hydra_asgi.access"),  # noqa: B008 -- the same object at each call
        clock: Clock = time.monotonic,
    ) -> None:
        self._pseudonym = pseudonym
        self.via = (b"via", b"1.1 " + pseudonym.encode("latin-1"))
        self.upstream = upstream
        self.timeouts = timeouts
        self.deadline = deadline
        self.trusted = trusted
        self.health = InstanceHealth() if health is None else health
        self.limits = ServiceLimits() if limits is None else limits
        self._attempts = Attempts(
            upstream, self.health, timeouts=timeouts, deadline=deadline, vouch=vouch, clock=clock, waits_for_body=True
        )
        self.crossing = Crossing() if crossing is None else crossing
        self.reporter = Reporter(log, on_record)
        self.lookout = Lookout()
        self.clock = clock

    async def __call__(
        self,
        scope: Mapping[str, Any],
        receive: ASGIReceiveCallable,
        send: ASGISendCallable,
        *,
        group: Group,
        key: str,
        target: bytes | None = None,
        add: Sequence[tuple[bytes, bytes]] = (),
        local: OwnInstance | None = None,
        first: ServiceInstance | None = None,
        begun: Begun | None = None,
    ) -> None:
        """Answer the request from an instance of the group, or say why that is not possible.

        Args:
            scope: the request; it has passed `core.headers.request_check`.
            receive: its channel.
            send: its channel.
            group: the instances that may answer.
            key: the user's weight key; "" for none.
            target: path and query to ask for, in the place of the request's own.
            add: header fields to send on top.
            local: the node's own instance: where it is its turn, because others failed, it serves the request itself.
            first: whom the group picks for the key, where that is known already.
            begun: `first` was asked already; what is left is to pass on its answer, or to ask others.

        Raises:
            ResponseCutError: the instance broke off after its response had begun; the server has to break the
                connection.
        """
        exact = _own_target(scope) if target is None else target
        if not is_request_target(exact):
            detail = "The address of this request has characters that no address has."
            return await answer(send, 400, "Not an address", detail, scope=scope)
        progress = Progress(group.service, scope["method"], self.clock() if begun is None else begun.began)
        try:
            names = field_names(scope["headers"])
            watch = (begun and begun.watch) or ClientWatch(receive, self.lookout)
            if begun is None:
                self._refuse_loops(scope["headers"], names)
                body = RequestBody(scope, receive, watch.begin, self.timeouts.idle, names)
            else:
                body = begun.body
                body.call_on_end(watch.begin)
            async with watch:
                if not body.has_begun():
                    await body.begin()
                fields = self.crossing.request_fields(self._headers(scope, names), group.service)
                call = Call(scope["method"], exact, fields, add, key, body, first, self.crossing.proof)
                is_answered = await self._in_its_place(call, group, local, scope, send, watch, progress, begun)
            if not is_answered and local is not None:
                await _serve_here(local, scope, body.handed_over(), send, progress)
        except ResponseCutError as error:
            raise ResponseCutError(error.kind, error.detail) from None
        except UpstreamError as error:
            progress.fail(error.kind, error.detail)
            if error.kind is not ErrorKind.CLIENT_GONE:
                await explain(error.kind, scope, send, group.service)
        finally:
            if not progress.status:
                progress.fail(ErrorKind.CLIENT_GONE, "ended from outside")
            self.reporter.tell(progress, scope, self.clock())
        return None

    def _refuse_loops(self, headers: Headers, names: FieldNames) -> None:
        places = names.places
        if b"via" in places and loops(headers, self._pseudonym):
            raise UpstreamError(ErrorKind.LOOP, f"the request passed {self._pseudonym} before")
        if b"max-forwards" in places and hops_are_spent(headers):
            raise UpstreamError(ErrorKind.LOOP, "Max-Forwards is used up")

    def _headers(self, scope: Mapping[str, Any], names: FieldNames) -> Headers:
        client = scope.get("client")
        peer = str(client[0]) if client else ""
        headers = scope["headers"]
        hosts = names.values(headers, b"host")
        return request_headers(
            headers,
            client=peer,
            scheme=scope.get("scheme", "http"),
            host=hosts[0] if hosts else _own_host(scope),
            via=self.via[1],
            trusted=bool(peer) and self.trusted(peer),
            names=names,
        )

    async def _in_its_place(
        self,
        call: Call,
        group: Group,
        local: OwnInstance | None,
        scope: Mapping[str, Any],
        send: ASGISendCallable,
        watch: ClientWatch,
        progress: Progress,
        begun: Begun | None,
    ) -> bool:
        """Forward the request while it has a place; False when it is the turn of the node's own instance."""
        lasts = False
        if begun is None and not self.limits.take(group.service):
            await self.limits.enter(group.service)
        try:
            own = None if local is None else local[0]
            outcome = None if begun is None else begun.outcome
            response = await self._attempts.first_answer(call, group, progress, own, outcome)
            if response is None:
                return False
            lasts = is_event_stream(response.headers) and self.limits.settle(group.service)
            async with response:
                await self._relay(response, scope, send, watch, progress)
            return True
        finally:
            progress.request_bytes = call.body.taken
            if lasts:
                self.limits.end_lasting()
            else:
                self.limits.leave(group.service)

    async def _relay(
        self,
        response: UpstreamResponse,
        scope: Mapping[str, Any],
        send: ASGISendCallable,
        watch: ClientWatch,
        progress: Progress,
    ) -> None:
        headers = response_headers(response.headers, via=self.via[1])
        headers = self.crossing.response_fields(headers, progress.instance)
        if response.status in BODILESS:
            headers = [pair for pair in headers if pair[0] != b"content-length"]  # servers would wait for that much
        has_body = scope["method"] != "HEAD" and response.status not in BODILESS
        try:
            await send(
                {"type": "http.response.start", "status": response.status, "headers": headers, "trailers": False}
            )
            progress.status = response.status
            left = _declared(headers) if has_body else None
            with PatientSend(send, self.timeouts.idle, self.lookout, watch.owner) as send_piece:
                async for piece in response.body():
                    if not piece or not has_body or left == 0:
                        continue
                    if left is not None:
                        left -= len(piece)
                    if left == 0:  # with the last byte goes the news that it is the last
                        watch.end()
                    await send_piece(piece, more=left != 0)
                    progress.response_bytes += len(piece)
                if left != 0 or not progress.response_bytes:
                    watch.end()
                    await send_piece(b"", more=False)
        except UpstreamError as error:
            if error.kind is ErrorKind.CLIENT_GONE:
                raise
            progress.fail(error.kind, error.detail)
            assert progress.instance is not None  # noqa: S101 - it has answered
            self.health.broke_off(progress.instance, error.kind)
            raise ResponseCutError(error.kind, error.detail) from None
        except OSError as error:  # ASGI 2.4: `send` raises it when the client is gone
            raise UpstreamError(ErrorKind.CLIENT_GONE, str(error)) from None


async def _serve_here(
    local: OwnInstance,
    scope: Mapping[str, Any],
    receive: ASGIReceiveCallable,
    send: ASGISendCallable,
    progress: Progress,
) -> None:
    progress.is_local = True

    async def send_noted(message: Any) -> None:
        if message["type"] == "http.response.start":
            progress.status = message["status"]
        progress.response_bytes += len(message.get("body", b""))
        await send(message)

    _, serve = local
    try:
        await serve(scope, receive, send_noted)
    except Exception:
        progress.status = progress.status or 500  # what the server makes of it
        raise


def _declared(headers: Headers) -> int | None:
    """The length that a response which was checked declares."""
    for name, value in headers:
        if name == b"content-length":
            return int(value)
    return None


def _own_target(scope: Mapping[str, Any]) -> bytes:
    """The request target in the bytes of the client; only servers that do not tell them get the path encoded again."""
    raw = scope.get("raw_path")
    path: bytes = quote(scope["path"], safe=_PATH_CHARACTERS).encode() if raw is None else raw
    query: bytes = scope["query_string"]
    return path + b"?" + query if query else path


def _own_host(scope: Mapping[str, Any]) -> bytes:
    """HTTP/1.0 clients name no host, so it is the address they came to."""
    server = scope.get("server")
    return f"{server[0]}:{server[1]}".encode() if server and server[1] else b"localhost"
