"""Sends a request to one instance of a service and streams its response back, trying another where that is safe.

Nothing is buffered in either direction: a piece is read when the one before it was taken. Whoever opens a response
here closes it here. A client that goes away takes its upstream request with it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from asgiref.typing import ASGIReceiveCallable, ASGISendCallable

from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.core.headers.event_stream import is_event_stream
from hydra_asgi.core.headers.field_names import field_names
from hydra_asgi.core.instance import ServiceInstance
from hydra_asgi.core.routing.balance import Group
from hydra_asgi.core.routing.request_target import is_request_target
from hydra_asgi.errors import ResponseCutError, UpstreamError
from hydra_asgi.gateway.answer_relay import BODILESS, AnswerRelay, may_have_trailers
from hydra_asgi.gateway.answers import answer
from hydra_asgi.gateway.attempts import DEADLINE_SECONDS, MAX_ATTEMPTS, Call, Outcome
from hydra_asgi.gateway.client_watch import ClientWatch
from hydra_asgi.gateway.early_hints import EarlyHints
from hydra_asgi.gateway.explanation import explain
from hydra_asgi.gateway.forwarding_terms import ForwardingTerms
from hydra_asgi.gateway.limits import ServiceLimits
from hydra_asgi.gateway.lookout import Lookout
from hydra_asgi.gateway.observation import Progress
from hydra_asgi.gateway.own_instance import OwnInstance, serve_here
from hydra_asgi.gateway.request_body import RequestBody
from hydra_asgi.ports import Upstream

__all__ = ["BODILESS", "DEADLINE_SECONDS", "MAX_ATTEMPTS", "Begun", "Forwarder"]


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
        terms: how this node forwards.
        limits: how many requests are forwarded at a time.

    Attributes:
        via: our own `Via` field.
        reporter: tells about requests that are over.
        lookout: looks at those that are served now.
    """

    def __init__(self, upstream: Upstream, terms: ForwardingTerms, *, limits: ServiceLimits | None = None) -> None:
        self.upstream = upstream
        self.terms = terms
        self.limits = ServiceLimits() if limits is None else limits
        self.via = terms.via
        self.timeouts = terms.timeouts
        self.deadline = terms.deadline
        self.trusted = terms.trusted
        self.health = terms.health
        self.crossing = terms.crossing
        self.clock = terms.clock
        self.reporter = terms.reporter()
        self.lookout = Lookout()
        self._attempts = terms.attempts(upstream, waits_for_body=True)
        self._relay = AnswerRelay(terms, self.lookout)

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
            target: path and query to ask for, without the base path of an instance.
            local: the node's own instance: where it is its turn, because others failed, it serves the request itself.
            first: whom the group picks for the key, where that is known already.
            begun: `first` was asked already; what is left is to pass on its answer, or to ask others.

        Raises:
            ResponseCutError: the instance broke off after its response had begun; the server has to break the
                connection.
        """
        if not is_request_target(target):
            detail = "The address of this request has characters that no address has."
            return await answer(send, 400, "Not an address", detail, scope=scope)
        progress = Progress(group.service, scope["method"], self.clock() if begun is None else begun.began)
        try:
            names = field_names(scope["headers"])
            watch = (begun and begun.watch) or ClientWatch(receive, self.lookout)
            if begun is None:
                self.terms.refuse_loops(scope["headers"], names)
                body = RequestBody(scope, receive, watch.begin, self.timeouts.idle, self.lookout)
            else:
                body = begun.body
                body.call_on_end(watch.begin)
            async with watch:
                if not body.has_begun():
                    await body.begin()
                fields = self.terms.request_fields(scope, names, group.service)
                call = Call(
                    scope["method"],
                    target,
                    fields,
                    key,
                    body,
                    first,
                    self.crossing.proof,
                    EarlyHints.maybe_of(scope, send),
                    may_have_trailers(scope, names),
                )
                is_answered = await self._in_its_place(call, group, local, send, watch, progress, begun)
            if not is_answered and local is not None:
                await serve_here(local, scope, body.handed_over(), send, progress)
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

    async def _in_its_place(
        self,
        call: Call,
        group: Group,
        local: OwnInstance | None,
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
            own = None if local is None else local.instance
            outcome = None if begun is None else begun.outcome
            response = await self._attempts.first_answer(call, group, progress, own, outcome)
            if response is None:
                return False
            lasts = is_event_stream(response.headers) and self.limits.settle(group.service)
            async with response:
                await self._relay(response, call.method, send, watch, progress, takes_trailers=call.takes_trailers)
            return True
        finally:
            progress.request_bytes = call.body.taken
            if lasts:
                self.limits.end_lasting()
            else:
                self.limits.leave(group.service)
