"""Spans, as an exporter gets them."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing, suppress
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, StatusCode

from hydra_asgi.backends import otel_tracing
from hydra_asgi.backends.otel_tracing import TracedFragments, TracedUpstream
from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.core.fragment import FragmentAnswer, FragmentCause, FragmentQuestion, PageContext
from hydra_asgi.core.headers.trace_context import TraceContext, read_trace
from hydra_asgi.core.instance import Address
from hydra_asgi.errors import UpstreamError
from hydra_asgi.ports import UpstreamRequest
from hydra_asgi.testing import FakeResponse, FakeUpstream
from tests.doubles.hand_clock import HandClock

TRACE_ID, SPAN_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CALLER = (b"traceparent", f"00-{TRACE_ID}-{SPAN_ID}-01".encode())
STATE = (b"tracestate", b"a=1")
REQUEST = UpstreamRequest(
    Address("http", "10.0.0.1", 80), "GET", b"/x?token=hush", [(b"Host", b"h"), CALLER, STATE], service="orders"
)


class Recorded:
    """A provider that records, in the place of the process's own."""

    def __init__(self, provider: TracerProvider) -> None:
        self.exporter = InMemorySpanExporter()
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer = provider.get_tracer("app")

    @property
    def spans(self) -> Sequence[ReadableSpan]:
        return self.exporter.get_finished_spans()

    @property
    def one(self) -> ReadableSpan:
        (span,) = self.spans
        return span


def use(monkeypatch: pytest.MonkeyPatch, provider: TracerProvider) -> Recorded:
    # A process may set its provider only once, so tests put theirs where ours looks for it.
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    monkeypatch.setattr(otel_tracing, "_tracer", provider.get_tracer("hydra_asgi"))
    return Recorded(provider)


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorded]:
    provider = TracerProvider(shutdown_on_exit=False)
    yield use(monkeypatch, provider)
    provider.shutdown()


async def sent(upstream: FakeUpstream, request: UpstreamRequest = REQUEST) -> list[bytes]:
    async with await TracedUpstream(upstream).send(request) as response:
        return [piece async for piece in response.body()]


def cancelled(request: UpstreamRequest) -> FakeResponse:
    raise asyncio.CancelledError


def context_sent(upstream: FakeUpstream) -> TraceContext | None:
    return read_trace([(name.lower(), value) for name, value in upstream.requests[-1].headers])


async def test_one_span_per_request(recorded: Recorded) -> None:
    """A request to an instance is a client span below the caller's; the instance learns of it, and no query is told."""
    upstream = FakeUpstream(FakeResponse(200, [b"a", b"b"]))
    assert await sent(upstream) == [b"a", b"b"]
    span = recorded.one
    assert (span.name, span.kind, span.status.status_code) == ("GET", SpanKind.CLIENT, StatusCode.UNSET)
    assert span.attributes == {
        "http.request.method": "GET",
        "server.address": "10.0.0.1",
        "server.port": 80,
        "hydra.service": "orders",
        "http.response.status_code": 200,
    }
    assert span.parent is not None
    assert trace.format_span_id(span.parent.span_id) == SPAN_ID
    assert context_sent(upstream) == TraceContext(TRACE_ID, trace.format_span_id(span.context.span_id), 1, "a=1")


async def test_the_span_lasts_as_long_as_the_response(recorded: Recorded) -> None:
    """It ends when the response is left, not when its head is there."""
    response = await TracedUpstream(FakeUpstream(FakeResponse(200, [b"a"]))).send(REQUEST)
    assert recorded.spans == ()
    async with response:
        assert recorded.spans == ()
    assert recorded.one.end_time is not None


async def test_the_current_span_is_the_parent(recorded: Recorded) -> None:
    """Where the app or the server has a span of its own for this request, ours is its child."""
    with recorded.tracer.start_as_current_span("server") as server:
        await sent(FakeUpstream(FakeResponse(200)))
    client = recorded.spans[0]
    assert client.parent is not None
    assert client.parent.span_id == server.get_span_context().span_id


async def test_without_a_caller_s_trace_one_begins(recorded: Recorded) -> None:
    """The span is the first of its trace, and the instance goes on with that."""
    upstream = FakeUpstream(FakeResponse(200))
    await sent(upstream, UpstreamRequest(REQUEST.address, "POST", b"/", [(b"host", b"h")]))
    assert recorded.one.parent is None
    assert recorded.one.attributes is not None
    assert "hydra.service" not in recorded.one.attributes
    context = context_sent(upstream)
    assert context is not None
    assert context.trace_id == trace.format_trace_id(recorded.one.context.trace_id)


@pytest.mark.parametrize(
    ("outcome", "kind"),
    [(UpstreamError(ErrorKind.RESET), "reset"), (FakeResponse(503), "503"), (cancelled, "CancelledError")],
)
async def test_failures(recorded: Recorded, outcome: Any, kind: str) -> None:
    """A failure, a server error and a cancellation are errors with a reason."""
    with suppress(UpstreamError, asyncio.CancelledError):
        await sent(FakeUpstream(outcome))
    assert recorded.one.status.status_code is StatusCode.ERROR
    assert recorded.one.attributes is not None
    assert recorded.one.attributes["error.type"] == kind


async def test_a_response_that_breaks_off(recorded: Recorded) -> None:
    """What goes wrong in the body belongs to the span as well."""
    with pytest.raises(UpstreamError):
        await sent(FakeUpstream(FakeResponse(200, [b"a", UpstreamError(ErrorKind.TRUNCATED)])))
    assert recorded.one.attributes is not None
    assert recorded.one.attributes["error.type"] == "truncated"


async def test_closing_closes() -> None:
    """The upstream behind it is closed."""
    closed: list[str] = []

    class Closing(FakeUpstream):
        async def close(self) -> None:
            closed.append("closed")

    await TracedUpstream(Closing()).close()
    assert closed == ["closed"]


class Asking:
    """A source that sends a request for each batch."""

    def __init__(self) -> None:
        self.upstream = FakeUpstream(FakeResponse(200))
        self.pages: list[PageContext] = []
        self.is_closed = False
        self.traced = TracedFragments(self)

    async def ask(
        self, service: str, questions: Sequence[FragmentQuestion], page: PageContext
    ) -> AsyncGenerator[FragmentAnswer, None]:
        self.pages.append(page)
        await sent(self.upstream)
        try:
            for number, question in enumerate(questions):
                html = None if number else "<b>"
                yield FragmentAnswer(question.id, html, FragmentCause.TIMEOUT if number else None)
        finally:
            self.is_closed = True


QUESTIONS = [FragmentQuestion(ref, "orders", ref) for ref in ("checkout", "menu")]
PAGE = PageContext(1.0, headers=((b"accept-language", b"nl"), CALLER))


async def test_one_span_per_batch(recorded: Recorded) -> None:
    """What is asked of a service for a page is a span, below the page's; the requests for it are its children."""
    asking = Asking()
    answers = [answer async for answer in asking.traced.ask("orders", QUESTIONS, PAGE)]
    assert [answer.id for answer in answers] == ["checkout", "menu"]
    attempt, batch = recorded.spans
    assert (batch.name, batch.kind) == ("fragments", SpanKind.INTERNAL)
    assert batch.attributes == {
        "hydra.service": "orders",
        "hydra.fragments.refs": ("checkout", "menu"),
        "hydra.fragments.missing": 1,
    }
    assert batch.parent is not None
    assert trace.format_span_id(batch.parent.span_id) == SPAN_ID
    assert attempt.parent is not None
    assert attempt.parent.span_id == batch.context.span_id
    assert read_trace([*asking.pages[0].headers]) == TraceContext(
        TRACE_ID, trace.format_span_id(batch.context.span_id), 1
    )
    assert asking.pages[0].headers[0] == PAGE.headers[0]


async def test_batches_do_not_mix(recorded: Recorded) -> None:
    """Two services asked at once, and a request after them, each have the parent that is theirs."""
    asking = Asking()

    async def batch(service: str) -> None:
        async for _ in asking.traced.ask(service, QUESTIONS, PAGE):
            await asyncio.sleep(0)

    await asyncio.gather(batch(""), batch("orders"))
    await batch("orders")
    await sent(asking.upstream)
    spans = recorded.spans
    ids = {span.context.span_id for span in spans if span.name == "fragments"}
    parents = [span.parent.span_id for span in spans if span.name == "GET" and span.parent is not None]
    assert {*parents[:3]} == ids
    assert trace.format_span_id(parents[3]) == SPAN_ID


async def test_an_asker_that_leaves(recorded: Recorded) -> None:
    """The span ends with the asking, and the source is closed."""
    asking = Asking()
    async with aclosing(asking.traced.ask("orders", QUESTIONS, PAGE)) as answers:  # type: ignore[type-var]
        await anext(answers)
    assert asking.is_closed
    assert [span.name for span in recorded.spans] == ["GET", "fragments"]


async def test_any_source_will_do(recorded: Recorded) -> None:
    """A source need not be a generator."""

    class Once:
        def ask(self, service: str, questions: object, page: object) -> AsyncIterator[FragmentAnswer]:
            return self

        def __aiter__(self) -> AsyncIterator[FragmentAnswer]:
            return self

        async def __anext__(self) -> FragmentAnswer:
            raise StopAsyncIteration

    assert [answer async for answer in TracedFragments(Once()).ask("orders", QUESTIONS, PAGE)] == []
    assert recorded.one.name == "fragments"


async def test_a_trace_that_is_not_recorded_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the sampler says no, nothing is recorded, and the next one learns that it should not either."""
    recorded = use(monkeypatch, TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False))
    upstream = FakeUpstream(FakeResponse(200))
    await sent(upstream)
    assert recorded.spans == ()
    context = context_sent(upstream)
    assert context is not None
    assert (context.trace_id, context.flags) == (TRACE_ID, 0)


async def test_a_recorder_that_is_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spans that are none change nothing that is sent."""
    provider = TracerProvider(shutdown_on_exit=False)
    recorded = use(monkeypatch, provider)
    monkeypatch.setattr(otel_tracing, "_tracer", trace.NoOpTracer())
    request = UpstreamRequest(REQUEST.address, "GET", b"/", [(b"host", b"h")])
    upstream, asking = FakeUpstream(FakeResponse(200)), Asking()
    await sent(upstream, request)
    assert upstream.requests[0] is request
    page = PageContext(1.0)
    [_ async for _ in asking.traced.ask("orders", QUESTIONS, page)]
    assert asking.pages[0] is page
    assert recorded.spans == ()


async def test_while_nobody_records_nothing_changes() -> None:
    """Without a provider the request, the response and the source's answers are the very same objects."""
    response = FakeResponse(200)
    upstream = FakeUpstream(response)
    assert await TracedUpstream(upstream).send(REQUEST) is await FakeUpstream(response).send(REQUEST)
    assert upstream.requests == [REQUEST]
    assert upstream.requests[0] is REQUEST
    asking = Asking()
    [_ async for _ in asking.traced.ask("orders", QUESTIONS, PAGE)]
    assert asking.pages[0] is PAGE


async def test_a_provider_that_comes_later_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether anybody records is asked once a second, not for each request."""
    clock = HandClock()
    monkeypatch.setattr(otel_tracing, "monotonic", clock)
    traced = TracedUpstream(FakeUpstream(FakeResponse(200)))
    await traced.send(REQUEST)
    provider = TracerProvider(shutdown_on_exit=False)
    recorded = use(monkeypatch, provider)
    for seconds, spans in ((0.9, 0), (0.2, 1)):
        clock.time += seconds
        async with await traced.send(REQUEST):
            pass
        assert len(recorded.spans) == spans
    provider.shutdown()


def test_without_the_api_there_is_nothing() -> None:
    """Where OpenTelemetry is not installed, upstream and source are not wrapped: no call, no cost."""
    program = """
import sys
sys.modules["opentelemetry"] = None
from hydra_asgi.node.observing import Observing
from hydra_asgi.testing import FakeFragments, FakeUpstream
upstream, source = FakeUpstream(), FakeFragments({})
assert Observing().upstream(upstream) is upstream
assert Observing().fragments(source, ("shop", 1)) is source
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)
