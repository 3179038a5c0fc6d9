"""Spans for OpenTelemetry: one per request to an instance, one per batch of fragments.

Only the API is used, so whoever runs the app decides whether anything is recorded and where it goes; while nothing is,
requests pass as they are. The node has no span of its own for the incoming request: where the app's or the server's
instrumentation has one, ours are its children, else those of the caller's span.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Sequence
from contextvars import ContextVar
from dataclasses import replace
from math import inf
from time import monotonic
from types import TracebackType
from typing import Any, Final, Self

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import (
    INVALID_SPAN,
    NonRecordingSpan,
    NoOpTracerProvider,
    ProxyTracerProvider,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
)

from hydra_asgi.core.fragment import FragmentAnswer, FragmentQuestion, PageContext
from hydra_asgi.core.headers.header_fields import lowered
from hydra_asgi.core.headers.trace_context import TraceContext, read_trace, with_trace
from hydra_asgi.errors import UpstreamError
from hydra_asgi.ports import FragmentSource, Headers, Upstream, UpstreamRequest, UpstreamResponse

__all__ = ["TracedFragments", "TracedUpstream"]

_tracer = trace.get_tracer("hydra_asgi")

_SILENCE_SECONDS: Final = 1.0
"""How long it is believed that nobody has said where spans go."""

_NO_ATTRIBUTES: Final = TraceState()

_batch: ContextVar[Span] = ContextVar("hydra_asgi fragment batch", default=INVALID_SPAN)
"""The span of the batch whose questions are sent in this task. Not OpenTelemetry's own "current span": a generator may
be ended in another context than it was begun in, where that could not be taken back."""


class TracedUpstream:
    """An `Upstream` whose requests have a client span each, from sending to the end of the response's body.

    Args:
        upstream: sends them.
    """

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._is_silent = True
        self._asks_at = -inf

    def send(self, request: UpstreamRequest) -> Coroutine[Any, Any, UpstreamResponse]:
        # Asking for the provider reads the environment each time as long as there is none, which costs more than the
        # rest of this; whoever sets one later gets the spans a second later.
        now = monotonic()
        if now >= self._asks_at:
            self._asks_at = now + _SILENCE_SECONDS
            self._is_silent = _is_silent()
        return self._upstream.send(request) if self._is_silent else self._send_traced(request)

    async def _send_traced(self, request: UpstreamRequest) -> UpstreamResponse:
        span = _attempt_span(request)
        context = _context_of(span)
        if context is not None:
            request = replace(request, headers=with_trace(lowered(request.headers), context))
        try:
            response = await self._upstream.send(request)
        except BaseException as error:
            _end_failed(span, error)
            raise
        if not span.is_recording():
            return response
        span.set_attribute("http.response.status_code", response.status)
        if response.status >= 500:
            span.set_attribute("error.type", str(response.status))
            span.set_status(Status(StatusCode.ERROR))
        return _TracedResponse(response, span)

    async def close(self) -> None:
        await self._upstream.close()


class _TracedResponse:
    """The response; leaving it ends the span."""

    __slots__ = ("_response", "_span", "headers", "is_checked", "status")

    whole: Final = None
    """Not said even where it is known: whoever knows need not leave the response, and leaving it ends the span."""

    def __init__(self, response: UpstreamResponse, span: Span) -> None:
        self.status = response.status
        self.headers = response.headers
        self.is_checked = response.is_checked
        self._response = response
        self._span = span

    @property
    def trailers(self) -> Headers:
        return self._response.trailers

    def body(self) -> AsyncIterator[bytes]:
        return self._response.body()

    async def __aenter__(self) -> Self:
        await self._response.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._response.__aexit__(kind, error, trace)
        finally:
            if error is None:
                self._span.end()
            else:
                _end_failed(self._span, error)


class TracedFragments:
    """A `FragmentSource` whose batches have a span each; what is sent for them belongs to it.

    Args:
        source: who answers.
    """

    def __init__(self, source: FragmentSource) -> None:
        self._source = source

    def ask(
        self, service: str, questions: Sequence[FragmentQuestion], page: PageContext
    ) -> AsyncIterator[FragmentAnswer]:
        if _is_silent():
            return self._source.ask(service, questions, page)
        return self._ask(service, questions, page)

    async def _ask(
        self, service: str, questions: Sequence[FragmentQuestion], page: PageContext
    ) -> AsyncGenerator[FragmentAnswer, None]:
        span = _batch_span(service, questions, page)
        _batch.set(span)
        context = _context_of(span)
        if context is not None:
            page = replace(page, headers=tuple(with_trace([*page.headers], context)))
        answers = self._source.ask(service, questions, page)
        missing = len(questions)
        try:
            async for answer in answers:
                missing -= answer.html is not None
                yield answer
        finally:
            span.set_attribute("hydra.fragments.missing", missing)
            if isinstance(answers, AsyncGenerator):
                await answers.aclose()
            span.end()
            _batch.set(INVALID_SPAN)


def _is_silent() -> bool:
    """Nobody has said where spans go."""
    return isinstance(trace.get_tracer_provider(), ProxyTracerProvider | NoOpTracerProvider)


def _attempt_span(request: UpstreamRequest) -> Span:
    batch = _batch.get()
    parent = batch if batch is not INVALID_SPAN else _parent(request.headers)
    attributes: dict[str, str | int] = {
        "http.request.method": request.method,
        "server.address": request.address.host,
        "server.port": request.address.port,
    }
    if request.service:
        attributes["hydra.service"] = request.service
    return _tracer.start_span(request.method, _under(parent), SpanKind.CLIENT, attributes)


def _batch_span(service: str, questions: Sequence[FragmentQuestion], page: PageContext) -> Span:
    attributes: dict[str, str | int | tuple[str, ...]] = {
        "hydra.service": service or "self",
        "hydra.fragments.refs": tuple(question.ref for question in questions),
    }
    return _tracer.start_span("fragments", _under(_parent([*page.headers])), SpanKind.INTERNAL, attributes)


def _parent(headers: Headers) -> Span:
    """The span that is current here, else the caller's."""
    current = trace.get_current_span()
    if current.get_span_context().is_valid:
        return current
    found = read_trace(lowered(headers))
    if found is None:
        return INVALID_SPAN
    state = TraceState.from_header([found.state]) if found.state else _NO_ATTRIBUTES
    flags = TraceFlags(found.flags)
    return NonRecordingSpan(SpanContext(int(found.trace_id, 16), int(found.parent_id, 16), True, flags, state))


def _under(parent: Span) -> Context:
    return trace.set_span_in_context(parent)


def _context_of(span: Span) -> TraceContext | None:
    """What is sent on, so that the next span is a child of this one."""
    context = span.get_span_context()
    if not context.is_valid:
        return None
    return TraceContext(
        trace.format_trace_id(context.trace_id),
        trace.format_span_id(context.span_id),
        context.trace_flags,
        context.trace_state.to_header(),
    )


def _end_failed(span: Span, error: BaseException) -> None:
    kind = error.kind.value if isinstance(error, UpstreamError) else type(error).__name__
    span.set_attribute("error.type", kind)
    span.set_status(Status(StatusCode.ERROR))
    span.end()
