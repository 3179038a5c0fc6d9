"""Tries to get an answer to one request: from the instance it belongs to, else from another where that is safe.

A request is sent again only while no byte of an answer has been passed on, only where nothing of it may happen twice,
only while the one deadline for all attempts allows it, and only as long as the service's budget of retries lasts.
"""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from hydra_asgi.core.error_kind import OUTCOMES, ErrorKind
from hydra_asgi.core.headers.field_names import field_names
from hydra_asgi.core.headers.request_check import check_response
from hydra_asgi.core.headers.trailer_fields import TAKES_TRAILERS
from hydra_asgi.core.instance import Dialect, ServiceInstance
from hydra_asgi.core.routing.balance import Group
from hydra_asgi.errors import UpstreamError
from hydra_asgi.gateway.begun_response import BegunResponse
from hydra_asgi.gateway.instance_health import InstanceHealth
from hydra_asgi.gateway.observation import Progress
from hydra_asgi.gateway.request_body import RequestBody
from hydra_asgi.ports import Clock, Headers, Timeouts, Upstream, UpstreamRequest, UpstreamResponse

__all__ = ["DEADLINE_SECONDS", "MAX_ATTEMPTS", "Attempts", "Call", "Outcome", "path_field", "within"]

Outcome = UpstreamResponse | UpstreamError
"""What came of asking an instance."""

MAX_ATTEMPTS = 3
"""A second instance is often up where one is down; a fourth attempt mostly adds load to trouble."""

DEADLINE_SECONDS = 60.0
"""What browsers and load balancers before us wait at most, all attempts together."""

_FOR_A_SILENT_INSTANCE = Timeouts(connect=0.5, first_byte=2.0)
"""One that is probably gone: enough for an answer, too little to be noticed for long."""

TRIAL_SECONDS = 2.0
"""The same for one that failed lately, while another is well and the request can be sent to that one too."""

_IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
"""RFC 9110 section 9.2.2; TRACE is never forwarded."""

_MAYBE_SEEN = frozenset({ErrorKind.RESET, ErrorKind.FIRST_BYTE_TIMEOUT})
"""Failures after which the instance may have worked on the request, but has not answered a byte."""


@dataclass(slots=True)  # not frozen only because making one would take three times as long
class Call:
    """One client's request, in what does not change between attempts.

    Attributes:
        method: upper-case.
        target: path and query, without the base path of an instance.
        headers: what crosses of the client's fields, and what is said about it.
        key: the user's weight key; "" for none.
        body: its body.
        first: whom the group picks for the key, where that is known already.
        proof: the field that proves us to an instance; None for none.
        on_interim: see `UpstreamRequest`.
        takes_trailers: the client takes trailers.
    """

    method: str
    target: bytes
    headers: Headers
    key: str
    body: RequestBody
    first: ServiceInstance | None = None
    proof: Callable[[ServiceInstance], tuple[bytes, bytes] | None] | None = None
    on_interim: Callable[[int, Headers], Awaitable[None]] | None = None
    takes_trailers: bool = False

    def request_to(self, instance: ServiceInstance, timeouts: Timeouts) -> UpstreamRequest:
        """The request as it is sent to one instance."""
        headers = [*self.headers, path_field(instance.token)]
        if self.takes_trailers:
            headers += TAKES_TRAILERS
        if self.key and instance.dialect is Dialect.HYDRA:
            headers.append((b"hydra-key", self.key.encode("latin-1", "replace")))
        if self.proof is not None and (proof := self.proof(instance)) is not None:
            headers.append(proof)
        base = instance.address.base
        target = base.encode("latin-1") + self.target if base else self.target
        body = self.body.pieces()
        return UpstreamRequest(
            instance.address,
            self.method,
            target,
            headers,
            body,
            self.body.length,
            timeouts,
            instance.service,
            self.on_interim,
        )

    def may_repeat(self, kind: ErrorKind) -> bool:
        """Whether another instance may be asked after this failure: nothing of the request may happen twice."""
        if self.body.is_touched:
            return False
        return OUTCOMES[kind].untouched or (kind in _MAYBE_SEEN and self.is_harmless)

    @property
    def is_harmless(self) -> bool:
        """Whether the request may be sent again even if an instance has worked on it."""
        return self.method in _IDEMPOTENT and self.body.is_empty


class Attempts:
    """Asks instances in turn.

    Args:
        upstream: sends requests.
        health: says in which order, and remembers what came of it.
        timeouts: for active instances.
        deadline: seconds within which the last attempt must have begun to answer.
        vouch: called with the token of an inactive instance that answered.
        clock: seconds.
        waits_for_body: whether a response of declared length is an answer only with the first piece of its body, where
            the request may be sent again; without a length (events, for example) it is one with its head.
    """

    def __init__(
        self,
        upstream: Upstream,
        health: InstanceHealth,
        *,
        timeouts: Timeouts,
        deadline: float,
        vouch: Callable[[int], None],
        clock: Clock,
        waits_for_body: bool = False,
    ) -> None:
        self._upstream = upstream
        self._health = health
        self._timeouts = timeouts
        self._deadline = deadline
        self._vouch = vouch
        self._clock = clock
        self._waits_for_body = waits_for_body

    async def first_answer(
        self,
        call: Call,
        group: Group,
        progress: Progress,
        local: ServiceInstance | None,
        outcome: Outcome | None = None,
    ) -> UpstreamResponse | None:
        """The first answer, of which nothing was passed on yet; None when it is the turn of the node's own instance.

        Args:
            call: the request.
            group: who may answer it.
            progress: is told of each attempt.
            local: the node's own instance, which is not asked over the network.
            outcome: what came of the first attempt, where `call.first` was asked already, and is none of those that
                may be silent or on trial.

        Raises:
            UpstreamError: the last failure, when no instance answered.
        """
        ends = progress.began + self._deadline
        failure: UpstreamError | None = None
        if outcome is None:
            self._health.count_request(group.service)
            candidates = self._health.order(group, call.key, call.first)
            instance = next(candidates, None)
        else:
            candidates = self._health.others(group, call.key, call.first)
            progress.instance, progress.attempts = call.first, 1
            try:
                return await self._usable_outcome(call, outcome)
            except UpstreamError as error:
                failure = error
            instance = self._following(call, progress, failure.kind, candidates, ends, local)
        while instance is not None:
            progress.instance = instance
            if _is_same(instance, local):
                return None
            progress.attempts += 1
            try:
                return await self._attempt(call, group, instance, ends)
            except UpstreamError as error:
                failure = error
            instance = self._following(call, progress, failure.kind, candidates, ends, local)
        raise failure or UpstreamError(ErrorKind.NO_INSTANCE, "no instance may be asked")

    def _following(
        self,
        call: Call,
        progress: Progress,
        kind: ErrorKind,
        candidates: Iterator[ServiceInstance],
        ends: float,
        local: ServiceInstance | None,
    ) -> ServiceInstance | None:
        """Who is asked after a failure; None when nobody may be."""
        failed, attempts = progress.instance, progress.attempts
        if failed is None or not failed.active or attempts == MAX_ATTEMPTS or self._clock() >= ends:
            return None
        if not call.may_repeat(kind):
            return None
        # A lone instance may have closed an idle connection just as we used it, so it is asked once more.
        itself = failed if attempts == 1 and kind is ErrorKind.RESET else None
        following = next(candidates, itself)
        # The budget keeps load from the instances of a service in trouble; serving the request here adds none.
        is_free = following is None or _is_same(following, local)
        return following if is_free or self._health.may_retry(progress.service) else None

    async def _attempt(self, call: Call, group: Group, instance: ServiceInstance, ends: float) -> UpstreamResponse:
        timeouts = within(self._patience(call, group, instance), ends - self._clock())
        response = await self._health.send(self._upstream, instance, call.request_to(instance, timeouts))
        usable = await self._checked(call, instance, response)
        if not instance.active:
            self._vouch(instance.token)
        return usable

    async def _usable_outcome(self, call: Call, outcome: Outcome) -> UpstreamResponse:
        if isinstance(outcome, UpstreamError):
            raise outcome
        assert call.first is not None  # noqa: S101 - it has answered
        return await self._checked(call, call.first, outcome)

    async def _checked(self, call: Call, instance: ServiceInstance, response: UpstreamResponse) -> UpstreamResponse:
        """The response, after a look at it; given up when it may not be passed on."""
        try:
            return await self._usable(call, instance, response)
        except BaseException as error:
            if isinstance(error, UpstreamError):
                self._health.broke_off(instance, error.kind)
            async with response:
                raise

    async def _usable(self, call: Call, instance: ServiceInstance, response: UpstreamResponse) -> UpstreamResponse:
        """The response when it may be passed on, and is worth it."""
        names = field_names(response.headers)
        # What was checked may still be a 101, which no request of ours has asked for.
        if not response.is_checked or response.status < 200:
            problem = check_response(response.status, response.headers, names)
            if problem is not None:
                raise UpstreamError(ErrorKind.PROTOCOL, f"{instance.address.netloc} answered with {problem}")
        if response.whole is not None:
            return response
        has_length = b"content-length" in names.places
        if self._waits_for_body and has_length and call.is_harmless and call.method != "HEAD":
            return await BegunResponse.wait(response)
        return response

    def _patience(self, call: Call, group: Group, instance: ServiceInstance) -> Timeouts:
        if not instance.active:
            return _FOR_A_SILENT_INSTANCE
        is_trial = call.is_harmless and self._health.is_trial(group, instance)
        return within(self._timeouts, TRIAL_SECONDS) if is_trial else self._timeouts


@lru_cache(1024)
def path_field(token: int) -> tuple[bytes, bytes]:
    """The field that names an instance to itself."""
    return (b"hydra-path", b"%d" % token)


def _is_same(instance: ServiceInstance, other: ServiceInstance | None) -> bool:
    return other is not None and instance.token == other.token and instance.service == other.service


def within(timeouts: Timeouts, seconds: float) -> Timeouts:
    """The same timeouts, none of which passes the deadline."""
    connect, first_byte = timeouts.connect, timeouts.first_byte
    if connect is not None and connect <= seconds and first_byte is not None and first_byte <= seconds:
        return timeouts
    connect, first_byte = (seconds if limit is None else min(limit, seconds) for limit in (connect, first_byte))
    return Timeouts(connect, first_byte, timeouts.idle)
