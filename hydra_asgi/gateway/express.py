"""The short way of an ordinary request: it is for another service, nothing about it needs a second thought, and the
instance that its user belongs to is well.

That is nearly every request of a gateway, so what `Identified`, `GatewayFront`, `Forwarder` and `Attempts` do for it is
done here in one go: decided once for each way and each shape of header fields, and then only repeated. Whatever is not
ordinary takes the complete way from its beginning; what begins ordinarily and then is not (an instance that fails, a
body that streams) is handed to the forwarder as it is. `tests/gateway/test_express.py` holds both ways side by side.

Rules for editors: nothing is decided here. A question that is not answered by one look into a table is a reason to
leave, by `self._complete`, before anything has been counted, taken or sent. Every call counts: there are a few dozen in
all, and each one more is a tenth of a microsecond of every request.
"""

import asyncio
import logging
from asyncio import current_task
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

from asgiref.typing import ASGIReceiveCallable, ASGISendCallable

from hydra_asgi.core.directory.directory_state import DirectoryState
from hydra_asgi.core.headers.header_fields import Fields
from hydra_asgi.core.headers.header_policy import USUAL_OPTIONS, loops
from hydra_asgi.core.headers.message_shapes import RequestShape, RequestShapes, ResponseShapes
from hydra_asgi.core.headers.request_check import CONTROLS, is_length
from hydra_asgi.core.headers.request_id import REQUEST_ID, read_request_id
from hydra_asgi.core.headers.trace_context import sound_trace
from hydra_asgi.core.routing.conditions import forced_version
from hydra_asgi.core.routing.request_target import is_request_target
from hydra_asgi.core.routing.weight_key import COOKIE, HEADER, cookie_field, key_in_cookie, may_set_cookie
from hydra_asgi.gateway.attempts import within
from hydra_asgi.gateway.express_ways import Peer, Peers, Ways
from hydra_asgi.gateway.forward import BODILESS, Forwarder
from hydra_asgi.gateway.instance_health import SERVER_ERRORS
from hydra_asgi.gateway.limits import let_in
from hydra_asgi.gateway.one_write import OneWrite
from hydra_asgi.gateway.request_body import EXPECTING_A_BODY, RequestBody
from hydra_asgi.gateway.ride import Ride, Terminus
from hydra_asgi.ports import UpstreamRequest

__all__ = ["Express"]

MAX_VALUE_BYTES: Final = 32_768
"""Of all header values together: half of what a request may have, so that the names need not be counted."""

_EXTRAS: Final = frozenset({"http.response.early_hint", "http.response.trailers"})
"""What an instance can say beside its answer, to clients of servers that offer to pass it on."""

Complete = Callable[[Any, ASGIReceiveCallable, ASGISendCallable], Awaitable[None]]


class Express:
    """Forwards what is ordinary, and leaves everything else to the complete way.

    Args:
        complete: answers any request.
        forward: the forwarder of the complete way, whose places, health and reports are shared.
        state: the directory's present state.
        mint: makes a request id, of at least 16 letters and digits.
        mint_key: makes a weight key.
        tasks: holds the tasks that serve a request here, meanwhile.
        count: called for each request that is forwarded here.
    """

    def __init__(
        self,
        complete: Complete,
        forward: Forwarder,
        *,
        state: Callable[[], DirectoryState],
        mint: Callable[[], str],
        mint_key: Callable[[], str],
        tasks: set[asyncio.Task[Any]],
        count: Callable[[], None],
    ) -> None:
        self._complete = complete
        self._state = state
        self._mint = mint
        self._mint_key = mint_key
        self._tasks = tasks
        self._count = count
        self._terminus = Terminus(forward)
        self._shapes = RequestShapes()
        self._crossing_back = ResponseShapes(forward.via, forward.crossing.response_fields).crossing_back
        self._proof = forward.crossing.proof
        self._has_cookie_rule = forward.crossing.has_cookie_rule
        self._peers = Peers(forward.via, forward.trusted)
        self._ways = Ways(state(), forward.health.record, self._has_cookie_rule)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pseudonym = forward.terms.pseudonym
        self._health = forward.health
        self._earn = forward.health.budgets.deposit
        self._take, self._give_back = forward.limits.take, forward.limits.give_back
        self._send = forward.upstream.send
        self._timeouts = within(forward.timeouts, forward.deadline)
        self._lookout = forward.lookout
        self._hears = forward.reporter.hears_levels
        self._clock = forward.clock

    def __call__(self, scope: Any, receive: ASGIReceiveCallable, send: ASGISendCallable) -> Awaitable[None]:
        """Answer one request."""
        headers, client = scope["headers"], scope.get("client")
        is_http = scope["type"] == "http" and scope["http_version"] == "1.1"
        extras = scope.get("extensions")
        has_extras = extras and not _EXTRAS.isdisjoint(extras)
        if not is_http or not headers or not client or scope.get("root_path") or has_extras:
            return self._complete(scope, receive, send)
        names, values = zip(*headers)  # noqa: B905 -- pairs are pairs
        shape = self._shapes[names]
        if shape is None:
            return self._complete(scope, receive, send)
        for place in shape.connection:
            if values[place] not in USUAL_OPTIONS:
                return self._complete(scope, receive, send)
        joined = b"\t".join(values)  # a tab may stand in a value, so it hides nothing
        is_sound = len(joined) <= MAX_VALUE_BYTES and len(joined.translate(None, CONTROLS)) == len(joined)
        if not is_sound or (shape.length >= 0 and not is_length(values[shape.length])):
            return self._complete(scope, receive, send)
        peer = self._peers[client[0], scope.get("scheme", "http"), values[shape.host]]
        if peer is None:
            return self._complete(scope, receive, send)
        given_id = ""
        if shape.asks:
            is_sound, given_id = self._read(shape, peer, headers)
            if not is_sound:
                return self._complete(scope, receive, send)
        state, ways, query = self._state(), self._ways, scope["query_string"]
        if ways.state is not state:
            ways = self._ways = Ways(state, self._health.record, self._has_cookie_rule)
        raw = scope.get("raw_path")
        way = ways[scope["method"], raw, peer.host]
        if way is None or (query and not is_request_target(b"/" + query)):
            return self._complete(scope, receive, send)
        key = minted = ""
        for place in shape.cookies:
            if not key and COOKIE in values[place]:
                key = key_in_cookie(values[place])
        request_id = given_id or self._mint()
        if not key:
            # One that nobody keeps only spreads load, for which the request's name is as good as any.
            key = minted = self._mint_key() if state.needs_key else ""
            key = key or (self._mint() if given_id else request_id)[:16]
        group, hop = way.group, way.lone
        if hop is None:
            if group.conditions:
                group = group.steered(forced_version(group.conditions, headers))
            hop = ways.hop(group.pick(key))
        if hop is None or not hop.is_ordinary:
            return self._complete(scope, receive, send)
        target = raw + b"?" + query if query else raw
        ride = Ride(scope, receive, send, group, hop, target, key, request_id, self._clock())
        if minted:
            ride.minted = minted
        return self._carry(ride, shape, peer)

    def _find_loop(self) -> asyncio.AbstractEventLoop:
        """The loop that all requests of this node are served in; asking for it costs a system call each time."""
        self._loop = asyncio.get_running_loop()
        return self._loop

    def _read(self, shape: RequestShape, peer: Peer, headers: Fields) -> tuple[bool, str]:
        """Read what comes from nodes in front of us: whether it may go on as it is, and the id that the request has."""
        if shape.trace:
            trace = [headers[place] for place in shape.trace]
            if sound_trace(trace) is not trace:
                return False, ""
        if shape.via and loops([headers[place] for place in shape.via], self._pseudonym):
            return False, ""
        if shape.request_id < 0 or not peer.is_trusted:
            return True, ""
        return True, read_request_id([headers[shape.request_id]])

    async def _carry(self, ride: Ride, shape: RequestShape, peer: Peer) -> None:
        """Take one request to its instance, and the answer back."""
        began, hop, scope = ride.began, ride.hop, ride.scope
        record, service = hop.record, hop.service
        if record.is_forgotten:
            record = hop.record = self._health.record(hop.instance)
        if not self._take(service):
            return await self._complete(scope, ride.receive, ride.send)
        number = record.begin_well(began)
        if not number:
            let_in(self._give_back(service))
            return await self._complete(scope, ride.receive, ride.send)
        task = current_task(self._loop or self._find_loop())
        assert task is not None  # noqa: S101 - coroutines of asyncio run in tasks
        is_outermost = task not in self._tasks
        self._tasks.add(task)
        ride.seconds, ride.lookout, ride.owner = self._timeouts.idle, self._lookout, task
        if cancelling := task.cancelling():
            ride.cancelling = cancelling
        named = (REQUEST_ID, ride.request_id.encode("ascii"))
        try:
            self._count()
            self._earn(service, began)
            method, headers, about = scope["method"], scope["headers"], peer.fields
            if peer.is_trusted:
                crossing = shape.from_trusted(headers)
                if shape.said:
                    about = tuple([pair for pair in about if pair[0] not in shape.said])
            else:
                crossing = shape.from_client(headers)
            # As `request_headers` and `Call.request_to` have it.
            fields = [headers[shape.host], *crossing, named, *about, hop.path_field]
            if hop.wants_key:
                fields.append((HEADER, ride.key.encode("latin-1", "replace")))
                if (proof := self._proof(hop.instance)) is not None:
                    fields.append(proof)
            body: AsyncIterator[bytes] | bytes | None = None
            length = None
            if shape.length < 0 and method not in EXPECTING_A_BODY:
                self._lookout.add(ride)
            else:
                idle, lookout = self._timeouts.idle, self._lookout
                given = ride.body = RequestBody(scope, ride.receive, ride.begin, idle, lookout, task)
                given.has_begun()
                if given.is_streamed:
                    try:
                        await given.look_ahead()
                    except BaseException as error:
                        record.dropped(number)
                        return await self._terminus.turn_back(ride, error)
                body, length = given.pieces(), given.length
            request = UpstreamRequest(
                hop.address, method, hop.base + ride.target, fields, body, length, self._timeouts, service
            )
            try:
                response = await self._send(request)
            except BaseException as error:
                return await self._terminus.fail(ride, error, record, number)
            status, whole = response.status, response.whole
            change = record.answered(number, good=status not in SERVER_ERRORS, now=self._clock())
            if change is not None:
                self._health.tell(hop.instance, change, f"status {status}")
            if whole is None or not response.is_checked or status < 200:
                return await self._terminus.hand_over(ride, response)
            answer, is_named = self._crossing_back(response.headers, hop.instance)
            if status in BODILESS:
                answer = [pair for pair in answer if pair[0] != b"content-length"]  # servers would wait for that much
            if ride.minted and may_set_cookie(answer):
                answer.append((b"set-cookie", cookie_field(ride.minted, secure=scope.get("scheme") == "https")))
            if not is_named:
                answer.append(named)
            ride.is_answering = True
            if ride.body is not None:
                ride.begin()
            if ride.watch is not None:  # servers call the end of an answer a leaving, too
                ride.watch.end()
            send = ride.send
            gathered = OneWrite.of(send)
            try:
                await send({"type": "http.response.start", "status": status, "headers": answer, "trailers": False})
                ride.status = status
                await send({"type": "http.response.body", "body": whole, "more_body": False})
            except BaseException as error:
                return await self._terminus.break_off(ride, error)
            finally:
                if gathered is not None:
                    gathered.end()
            if ride.watch is not None:
                await ride.watch.__aexit__(None, None, None)
            if self._hears(logging.INFO):
                self._terminus.tell(ride, len(whole))
        finally:
            self._lookout.discard(ride)
            if is_outermost:
                self._tasks.discard(task)
            if ride.has_place:
                turn = self._give_back(service)
                if turn is not None:
                    let_in(turn)
        return None
