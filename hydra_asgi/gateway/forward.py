"""Sends a request to one instance of a service and streams its response back, trying another where that is safe.

Nothing is buffered in either direction: a piece is read when the one before it was taken. Whoever opens a response
here closes it here. A client that goes away takes its upstream request with it, and an instance that breaks off
in the middle of a response breaks the client's connection, because a short body must never look whole.
"""

import asyncio
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from asgiref.typing import ASGIReceiveCallable, ASGISendCallable

from hydra_asgi.core.error_kind import OUTCOMES, ErrorKind
from hydra_asgi.core.headers.header_fields import field_values
from hydra_asgi.core.headers.header_policy import hops_are_spent, loops, request_headers, response_headers
from hydra_asgi.core.headers.request_check import check_response
from hydra_asgi.core.instance import Dialect, ServiceInstance
from hydra_asgi.core.routing.balance import Group
from hydra_asgi.errors import ResponseCutError, UpstreamError
from hydra_asgi.gateway.answers import answer, shown_path
from hydra_asgi.gateway.client_watch import ClientWatch
from hydra_asgi.gateway.request_body import RequestBody
from hydra_asgi.ports import Headers, Timeouts, Upstream, UpstreamRequest, UpstreamResponse

__all__ = ["DEADLINE_SECONDS", "MAX_ATTEMPTS", "Forwarder"]

MAX_ATTEMPTS = 3
"""A second instance is often up where one is down; a fourth attempt mostly adds load to trouble."""

DEADLINE_SECONDS = 60.0
"""What browsers and load balancers before us wait at most, all attempts together."""

_FOR_A_SILENT_INSTANCE = Timeouts(connect=0.5, first_byte=2.0)
"""One that is probably gone: enough for an answer, too little to be noticed for long."""

_IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
"""RFC 9110 section 9.2.2; TRACE is never forwarded."""

_MAYBE_SEEN = frozenset({ErrorKind.RESET, ErrorKind.FIRST_BYTE_TIMEOUT})
"""Failures after which the instance may have worked on the request, but has not answered a byte."""

_BODILESS = frozenset({204, 304})
_TARGET = re.compile(rb"/[\x21\x22\x24-\x7e]*")  # every visible character but `#`, which never is in a request
_PATH_CHARACTERS = "/:@!$&'()*+,;=-._~"

_WORDS = {
    503: ("Not available right now", "{service} cannot be reached. Please try again in a moment."),
    408: ("Request not complete", "The rest of this request did not arrive. Please send it again."),
    504: ("No answer in time", "{service} took too long. Please try again in a moment."),
    508: ("Going in circles", "This request came back to where it had been before."),
}
_OTHER_WORDS = ("No usable answer", "{service} gave an answer that cannot be shown. Please try again in a moment.")


@dataclass(frozen=True, slots=True)
class _Call:
    """One client's request, in what does not change between attempts."""

    method: str
    target: bytes
    headers: Headers
    add: Sequence[tuple[bytes, bytes]]
    key: str
    body: RequestBody

    def request_to(self, instance: ServiceInstance, timeouts: Timeouts) -> UpstreamRequest:
        headers = [*self.headers, *self.add, (b"hydra-path", b"%d" % instance.token)]
        if self.key and instance.dialect is Dialect.HYDRA:
            headers.append((b"hydra-key", self.key.encode("latin-1", "replace")))
        target = instance.address.base.encode("latin-1") + self.target
        body = self.body.pieces()
        return UpstreamRequest(instance.address, self.method, target, headers, body, self.body.length, timeouts)

    def may_repeat(self, kind: ErrorKind) -> bool:
        """Whether another instance may be asked after this failure: nothing of the request may happen twice."""
        if self.body.is_touched:
            return False
        if OUTCOMES[kind].untouched:
            return True
        return kind in _MAYBE_SEEN and self.method in _IDEMPOTENT and self.body.is_empty


class Forwarder:
    """Forwards HTTP requests to the instances of a service.

    Args:
        upstream: sends requests.
        pseudonym: this node's name in `Via`, a token; two nodes may not have the same.
        timeouts: for active instances.
        trusted: whether the peer at an IP address is a proxy of ours, whose word on the client is kept.
        vouch: called with the token of an inactive instance that answered, so that it stays listed.
        deadline: seconds within which the last attempt must have begun to answer.
        log: gets one warning per request that could not be served.
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
        log: logging.Logger = logging.getLogger("hydra_asgi.forward"),  # noqa: B008 -- the same object at each call
    ) -> None:
        self._upstream = upstream
        self._pseudonym = pseudonym
        self._via = b"1.1 " + pseudonym.encode("latin-1")
        self._timeouts = timeouts
        self._trusted = trusted
        self._vouch = vouch
        self._deadline = deadline
        self._log = log

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

        Raises:
            ResponseCutError: the instance broke off after its response had begun; the server has to break the
                connection.
        """
        exact = _own_target(scope) if target is None else target
        if not _TARGET.fullmatch(exact):
            detail = "The address of this request has characters that no address has."
            return await answer(send, 400, "Not an address", detail, scope=scope)
        try:
            self._refuse_loops(scope["headers"])
            watch = ClientWatch(receive)
            body = RequestBody(scope, receive, watch.begin, self._timeouts.idle)
            async with watch:
                await body.begin()
                call = _Call(scope["method"], exact, self._headers(scope), add, key, body)
                async with await self._first_answer(call, group) as response:
                    await self._relay(response, scope, send, watch)
        except ResponseCutError as error:
            self._log.warning("%s for %s %s", error, scope["method"], shown_path(scope))
            raise ResponseCutError(error.kind, error.detail) from None
        except UpstreamError as error:
            if error.kind is not ErrorKind.CLIENT_GONE:
                self._log.warning("%s for %s %s of %s", error, scope["method"], shown_path(scope), group.service)
                await _explain(error.kind, scope, send, group.service)
        return None

    def _refuse_loops(self, headers: Headers) -> None:
        if loops(headers, self._pseudonym):
            raise UpstreamError(ErrorKind.LOOP, f"the request passed {self._pseudonym} before")
        if hops_are_spent(headers):
            raise UpstreamError(ErrorKind.LOOP, "Max-Forwards is used up")

    def _headers(self, scope: Mapping[str, Any]) -> Headers:
        client = scope.get("client")
        peer = str(client[0]) if client else ""
        hosts = field_values(scope["headers"], b"host")
        return request_headers(
            scope["headers"],
            client=peer,
            scheme=scope.get("scheme", "http"),
            host=hosts[0] if hosts else _own_host(scope),
            via=self._via,
            trusted=bool(peer) and self._trusted(peer),
        )

    async def _first_answer(self, call: _Call, group: Group) -> UpstreamResponse:
        """The head of the first answer; raises the last failure when no instance gave one."""
        now = asyncio.get_running_loop().time
        ends = now() + self._deadline
        failure = UpstreamError(ErrorKind.NO_INSTANCE, "no instance may be asked")
        candidates = group.order(call.key)
        instance = next(candidates, None)
        attempts = 0
        while instance is not None:
            attempts += 1
            timeouts = self._timeouts if instance.active else _FOR_A_SILENT_INSTANCE
            try:
                response = await self._attempt(call.request_to(instance, _within(timeouts, ends - now())))
            except UpstreamError as error:
                failure = error
                is_last = attempts == MAX_ATTEMPTS or not instance.active or now() >= ends
                if is_last or not call.may_repeat(error.kind):
                    break
                # A lone instance may have closed an idle connection just as we used it, so it is asked once more.
                itself = instance if attempts == 1 and error.kind is ErrorKind.RESET else None
                instance = next(candidates, itself)
            else:
                if not instance.active:
                    self._vouch(instance.token)
                return response
        raise failure

    async def _attempt(self, request: UpstreamRequest) -> UpstreamResponse:
        response = await self._upstream.send(request)
        problem = check_response(response.status, response.headers)
        if problem is None:
            return response
        async with response:
            raise UpstreamError(ErrorKind.PROTOCOL, f"{request.address.netloc} answered with {problem}")

    async def _relay(
        self, response: UpstreamResponse, scope: Mapping[str, Any], send: ASGISendCallable, watch: ClientWatch
    ) -> None:
        headers = response_headers(response.headers, via=self._via)
        if response.status in _BODILESS:
            headers = [pair for pair in headers if pair[0] != b"content-length"]  # servers would wait for that much
        has_body = scope["method"] != "HEAD" and response.status not in _BODILESS
        try:
            await send(
                {"type": "http.response.start", "status": response.status, "headers": headers, "trailers": False}
            )
            async for piece in response.body():
                if piece and has_body:
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
            watch.end()
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except UpstreamError as error:
            if error.kind is ErrorKind.CLIENT_GONE:
                raise
            raise ResponseCutError(error.kind, error.detail) from None
        except OSError as error:  # ASGI 2.4: `send` raises it when the client is gone
            raise UpstreamError(ErrorKind.CLIENT_GONE, str(error)) from None


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


def _within(timeouts: Timeouts, seconds: float) -> Timeouts:
    """The same timeouts, none of which passes the deadline."""
    limits = (timeouts.connect, timeouts.first_byte)
    if all(limit is not None and limit <= seconds for limit in limits):
        return timeouts
    connect, first_byte = (seconds if limit is None else min(limit, seconds) for limit in limits)
    return Timeouts(connect, first_byte, timeouts.idle)


async def _explain(kind: ErrorKind, scope: Mapping[str, Any], send: ASGISendCallable, service: str) -> None:
    status = OUTCOMES[kind].status
    title, detail = _WORDS.get(status, _OTHER_WORDS)
    detail = detail.format(service=service or "This page")
    await answer(send, status, title, detail, scope=scope, kind=kind, close=status == 408)
