"""The short way beside the complete one: the same answer, the same request to the instance, the same books."""

import asyncio
import contextlib
import logging
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hydra_asgi.core.admission.gateway_proof import is_proof
from hydra_asgi.core.directory.directory_state import DirectoryState, LocalApp, build_state
from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.core.health.concurrency import Limits
from hydra_asgi.core.instance import Address, Dialect, Revision, Route, ServiceInstance, Snapshot
from hydra_asgi.core.service_settings import Condition, ConditionSource, ServiceSettings
from hydra_asgi.errors import ResponseCutError, UpstreamError
from hydra_asgi.gateway.crossing import Crossing
from hydra_asgi.gateway.express import Express
from hydra_asgi.gateway.express_ways import MAX_PATH_BYTES, MAX_REMEMBERED
from hydra_asgi.gateway.forward import Forwarder
from hydra_asgi.gateway.forwarding_terms import ForwardingTerms
from hydra_asgi.gateway.front import GatewayFront
from hydra_asgi.gateway.identified import Identified
from hydra_asgi.gateway.limits import ServiceLimits
from hydra_asgi.gateway.observation import ForwardRecord
from hydra_asgi.ports import Timeouts, UpstreamRequest
from hydra_asgi.testing.fake_upstream import FakeResponse, FakeUpstream
from tests.exchange import Exchange, exchange, http_scope

Eventually = Callable[..., Any]

ID = "0123456789abcdef0123456789abcdef"
MINTED = "abcdefghijklmnopqrst"
NOW = 1_790_000_040.0
HOST = (b"host", b"site.test")
MOST_CALLS = 80
"""Of an ordinary request, from the server's call of the app to its return, with those of the fakes."""

TRACE = (b"traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
KEPT = (b"cookie", b"a=1; hydra-key=ABCDEFGHIJKLMNOPQRST; b=2")


def instance(number: int = 1, *routes: str, service: str = "orders", **changes: Any) -> ServiceInstance:
    changes.setdefault("address", Address("http", f"10.0.0.{number}", 8002))
    paths = tuple(Route(path) for path in (routes or ("/orders", "/orders/{id}")))
    return ServiceInstance(service, routes=paths, token=1000000000 + number, order=number, **changes)


ONE, TWO = instance(1), instance(2)
OWN = instance(9, "/", service="shop")


def whole(body: bytes = b"hello", status: int = 200, headers: Any = ()) -> FakeResponse:
    """A response that came in one piece, as from our own upstream."""
    length = [] if status in (204, 304) else [(b"Content-Length", b"%d" % len(body))]
    response = FakeResponse(status, body, headers=[*length, *headers])
    response.whole = body
    response.is_checked = True
    return response


def headless(body: bytes = b"hello") -> FakeResponse:
    """The answer to a HEAD: it says a length, and has no body."""
    response = whole(body)
    response.whole = b""
    return response


class Gateway:
    """A front over prepared answers: with the short way before it, or the complete way alone."""

    def __init__(
        self,
        *answers: Any,
        is_express: bool = True,
        instances: Any = (ONE,),
        shares: Any = None,
        trusted: bool = False,
        limits: Limits | None = None,
        is_observed: bool = True,
        **options: Any,
    ) -> None:
        self.upstream = FakeUpstream(*(answers or (lambda request: whole(),)))
        self.records: list[ForwardRecord] = []
        self.completed: list[str] = []
        self.counted = 0
        self.served = 0
        self.tasks: set[asyncio.Task[Any]] = set()
        self.limits = ServiceLimits(limits)
        self.state = self.build(*instances, settings=shares)
        self.crossing = Crossing(
            lambda: self.state,
            cookies={"picky": {"a"}},
            secret=lambda service: "the secret of this site",
            gateway="node-7f",
            wall=lambda: NOW,
        )
        terms = ForwardingTerms(
            pseudonym="node-7f",
            trusted=lambda peer: trusted,
            vouch=lambda token: None,
            crossing=self.crossing,
            on_record=self.records.append if is_observed else None,
            **options,
        )
        self.forward = Forwarder(self.upstream, terms, limits=self.limits)
        front = GatewayFront(
            state=lambda: self.state,
            is_starting=lambda: False,
            serve=self._serve,
            forward=self.forward,
            forward_socket=self._note_socket,  # type: ignore[arg-type]
            mint=lambda: MINTED,
            spread=lambda: ID[:16],
        )
        self.complete = Identified(front, trusted=lambda peer: trusted, mint=lambda: ID, count=self._count)
        self.app: Any = self.complete
        if is_express:
            self.app = Express(
                self._complete,
                self.forward,
                state=lambda: self.state,
                mint=lambda: ID,
                mint_key=lambda: MINTED,
                tasks=self.tasks,
                count=self._count,
            )

    @staticmethod
    def build(*instances: ServiceInstance, settings: Any = None) -> DirectoryState:
        return build_state(Snapshot(Revision("e", 1), (OWN, *instances), settings or {}), [], LocalApp(OWN))

    def _count(self) -> None:
        self.counted += 1

    async def _complete(self, scope: Any, receive: Any, send: Any) -> None:
        self.completed.append(scope["path"])
        await self.complete(scope, receive, send)

    async def _serve(self, scope: Any, receive: Any, send: Any, **given: Any) -> None:
        self.served += 1
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"local"})

    async def _note_socket(self, scope: Any, receive: Any, send: Any, **given: Any) -> None:
        self.completed.append("socket")

    async def get(self, path: str = "/orders/1", *, body: Any = b"", on_send: Any = None, **options: Any) -> Exchange:
        options.setdefault("headers", [HOST])
        offers = {"extensions": options.pop("extensions")} if "extensions" in options else {}
        return await exchange(self.app, {**http_scope(path, **options), **offers}, body, on_send=on_send)

    @property
    def sent(self) -> list[UpstreamRequest]:
        return self.upstream.requests

    @property
    def is_settled(self) -> bool:
        """Everything that was taken was given back."""
        is_free = self.limits.taken("orders") == 0 and not self.tasks and len(self.forward.lookout) == 0
        return is_free and not any(one.is_open for one in self.upstream.responses if one.whole is None)


async def told(request: UpstreamRequest) -> tuple[Any, ...]:
    """What an instance was told."""
    body, length = request.body, request.length
    if isinstance(body, bytes):
        length = len(body)  # whoever sends it takes that, whatever was declared
    elif body is not None:
        body = b"".join([piece async for piece in body])
    return request.address, request.method, request.target, request.headers, body, length, request.timeouts


def said(answer: Exchange) -> tuple[Any, ...]:
    """What a client was told; how it was cut into messages is nobody's business."""
    return answer.status, answer.headers, answer.body, answer.complete


def booked(record: ForwardRecord) -> tuple[Any, ...]:
    return record.service, record.instance, record.method, record.status, record.attempts, record.kind, (
        record.request_bytes, record.response_bytes, record.path, record.request_id
    )  # fmt: skip


REQUEST_FIELDS = st.lists(
    st.sampled_from(
        [
            KEPT,
            (b"accept", b"*/*"),
            (b"accept", b"text/html"),
            (b"connection", b"keep-alive"),
            (b"connection", b"accept"),
            (b"content-length", b"0"),
            (b"content-length", b"5"),
            (b"content-length", b"x"),
            (b"cookie", b"hydra-key=short"),
            (b"cookie", b"session=1"),
            (b"expect", b"100-continue"),
            (b"forwarded", b"for=1.2.3.4"),
            (b"host", b"again.test"),
            (b"hydra-key", b"ABCDEFGHIJKLMNOPQRST"),
            (b"hydra-path", b"1000000001"),
            (b"max-forwards", b"3"),
            (b"te", b"trailers"),
            TRACE,
            (b"traceparent", b"no trace"),
            (b"tracestate", b"vendor=1"),
            (b"tracestate", b"no state"),
            (b"transfer-encoding", b"chunked"),
            (b"via", b"1.1 other"),
            (b"via", b"1.0 first, 1.1 node-7f"),
            (b"x", b"a\nb"),
            (b"x", b"a\tb"),
            (b"x-forwarded-for", b"1.2.3.4"),
            (b"x-forwarded-proto", b"https"),
            (b"x-request-id", b"theirs"),
            (b"x-request-id", b"no name!"),
        ]
    ),
    max_size=6,
)
RESPONSES = st.sampled_from(
    [
        lambda: whole(),
        lambda: whole(b""),
        lambda: whole(status=404),
        lambda: whole(status=500),
        lambda: whole(b"", 204),
        lambda: whole(b"", 304, [(b"content-length", b"7"), (b"ETag", b'"x"')]),
        lambda: whole(headers=[(b"Connection", b"x-secret"), (b"X-Secret", b"1"), (b"Hydra-Key", b"2")]),
        lambda: whole(headers=[(b"Set-Cookie", b"a=1"), (b"Set-Cookie", b"b=2"), (b"Date", b"now")]),
        lambda: whole(headers=[(b"X-Request-Id", b"its own")]),
        lambda: whole(b"", 302, [(b"Location", b"http://10.0.0.2:8002/base/x")]),
        lambda: whole(b"", 302, [(b"Connection", b"x-secret"), (b"Location", b"/base/x")]),
        lambda: whole(headers=[(b"Content-Location", b"http://10.0.0.1:8002/x"), (b"Location", b"http://evil.test/x")]),
        lambda: whole(headers=[(b"Cache-Control", b"public, max-age=60")]),
        lambda: FakeResponse(200, [b"streamed", b" by pieces"]),
        lambda: FakeResponse(200, b"x", headers=[(b"content-length", b"1")]),
        lambda: FakeResponse(200, b"x", headers=[(b"content-length", b"no number")]),
        lambda: FakeResponse(101),
        lambda: UpstreamError(ErrorKind.CONNECT_REFUSED, "nobody listens"),
        lambda: UpstreamError(ErrorKind.RESET, "closed"),
        lambda: UpstreamError(ErrorKind.FIRST_BYTE_TIMEOUT, "silent"),
    ]
)


@given(
    fields=REQUEST_FIELDS,
    responses=st.lists(RESPONSES, min_size=1, max_size=3),
    path=st.sampled_from(["/orders", "/orders/1", "/orders/a%2Fb", "/orders/../x", "/", "/nothing", "/1000000001/x"]),
    query=st.sampled_from([b"", b"a=1&b=%20", b"a b", b"a#b"]),
    method=st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "TRACE", "BREW"]),
    count=st.sampled_from([1, 2, 3]),
    dialect=st.sampled_from([Dialect.HYDRA, Dialect.MEDUSA]),
    base=st.sampled_from(["", "/base"]),
    trusted=st.booleans(),
    scheme=st.sampled_from(["http", "https"]),
)  # fmt: skip
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_both_ways_answer_alike(
    fields: list[tuple[bytes, bytes]], responses: list[Any], path: str, query: bytes, method: str, count: int,
    dialect: Dialect, base: str, trusted: bool, scheme: str,
) -> None:  # fmt: skip
    """Whatever comes: the client is told the same, the instances are told the same, and so are the observers."""

    async def run(is_express: bool) -> tuple[Any, ...]:
        answers = [make() for make in responses]
        asked: list[Any] = []

        async def tell(request: UpstreamRequest) -> FakeResponse:
            asked.append(await told(request))
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
            if isinstance(answer, UpstreamError):
                raise answer
            if method == "HEAD" and answer.whole:
                answer.whole = b""
            return answer  # type: ignore[no-any-return]

        instances = [
            instance(number, version=number % 2, dialect=dialect, address=Address("http", f"10.0.0.{number}", 1, base))
            for number in range(1, count + 1)
        ]
        gateway = Gateway(tell, is_express=is_express, instances=instances, trusted=trusted)
        options = {"headers": [HOST, *fields], "query": query, "method": method, "scheme": scheme}
        answer = await gateway.get(path, body=b"12345" if (b"content-length", b"5") in fields else b"", **options)
        assert gateway.is_settled
        return said(answer), asked, [booked(record) for record in gateway.records], gateway.counted, gateway.served

    assert asyncio.run(run(True)) == asyncio.run(run(False))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"headers": [HOST, KEPT, (b"connection", b"keep-alive")]},
        {"query": b"a=1"},
        {"method": "POST", "headers": [HOST, (b"content-length", b"5")], "body": b"12345"},
        {"method": "DELETE"},
        {"method": "HEAD"},
        {"path": "/orders/" + "x" * MAX_PATH_BYTES},
        {"headers": [HOST, (b"via", b"1.1 other"), (b"x-request-id", b"theirs"), (b"te", b"trailers")]},
        {"headers": [HOST, TRACE, (b"tracestate", b"vendor=1")]},
        {"extensions": {"http.response.pathsend": {}}},
    ],
)
async def test_what_is_ordinary_takes_the_short_way(options: dict[str, Any]) -> None:
    """A request for another service whose instance is well does not go the whole way, the second time neither."""
    gateway = Gateway(lambda request: headless() if request.method == "HEAD" else whole())
    for _ in range(2):
        assert (await gateway.get(**options)).status == 200
    assert (gateway.completed, gateway.counted, len(gateway.sent)) == ([], 2, 2)


@pytest.mark.parametrize(
    "options",
    [
        {"path": "/"},
        {"path": "/nothing"},
        {"path": "/1000000001/static/x"},
        {"raw_path": b"/orders/%2e%2e"},
        {"root_path": "/mounted"},
        {"headers": []},
        {"headers": [(b"host", b"a b")]},
        {"headers": [HOST, (b"x", b"y" * 40000)]},
        {"headers": [HOST, (b"x", b"a\x00b")]},
        {"headers": [HOST, (b"connection", b"x-secret")]},
        {"headers": [HOST, (b"via", b"1.0 first, 1.1 node-7f")]},
        {"headers": [HOST, (b"traceparent", b"no trace")]},
        {"headers": [HOST, TRACE, TRACE]},
        {"headers": [HOST, (b"x-request-id", b"one"), (b"x-request-id", b"two")]},
        {"headers": [HOST, (b"max-forwards", b"3")]},
        {"extensions": {"http.response.early_hint": {}}},
        {"extensions": {"http.response.trailers": {}}},
        {"query": b"a b"},
        {"method": "BREW"},
        {"client": None},
    ],
)
async def test_what_is_not_ordinary_goes_the_whole_way(options: dict[str, Any]) -> None:
    """Before anything was counted, taken or sent."""
    gateway = Gateway()
    for _ in range(2):
        await gateway.get(**options)
    assert len(gateway.completed) == gateway.counted == 2


async def test_other_protocols_go_the_whole_way() -> None:
    """WebSockets, HTTP/2, whose requests may have a body without saying so, and servers that tell no raw path."""
    gateway = Gateway()
    await exchange(gateway.app, {**http_scope("/orders"), "http_version": "2"})
    await exchange(gateway.app, {**http_scope("/orders"), "raw_path": None})
    await exchange(gateway.app, {**http_scope("/orders"), "type": "websocket"})
    assert len(gateway.completed) == 3


@pytest.mark.parametrize("changes", [{"active": False}, {"compose": True}])
async def test_instances_that_need_care_are_left_to_the_complete_way(changes: dict[str, Any]) -> None:
    """A silent instance has shorter timeouts, and pages of others are composed."""
    gateway = Gateway(instances=[instance(1, **changes)])
    await gateway.get()
    assert gateway.completed == ["/orders/1"]


async def test_an_instance_in_trouble_is_left_to_the_complete_way() -> None:
    """One that was ejected is asked as its record says."""
    failures = [UpstreamError(ErrorKind.CONNECT_REFUSED, "") for _ in range(3)]
    gateway = Gateway(*failures, lambda request: whole(), instances=[ONE])
    for _ in range(3):
        assert (await gateway.get()).status == 503
    assert gateway.completed == []
    await gateway.get()
    assert gateway.completed == ["/orders/1"]


async def test_users_keep_their_version() -> None:
    """A key is minted where users have to be told apart, kept where they have one, and conditions come before it."""
    condition = Condition(ConditionSource.HEADER, "x-beta", "1", 2)
    shares = {"orders": ServiceSettings(conditions=(condition,))}
    gateway = Gateway(instances=[instance(1, version=1), instance(2, version=2)], shares=shares)
    first = await gateway.get()
    assert [field.partition(b";")[0] for field in first.all(b"set-cookie")] == [b"hydra-key=" + MINTED.encode()]
    answer = await gateway.get(headers=[HOST, KEPT, (b"x-beta", b"1")])
    assert answer.all(b"set-cookie") == []
    assert gateway.sent[-1].address == TWO.address
    assert (b"hydra-key", b"ABCDEFGHIJKLMNOPQRST") in gateway.sent[-1].headers
    assert gateway.completed == []


async def test_a_new_state_changes_the_way() -> None:
    """Nothing that was remembered outlives the directory it came from."""
    gateway = Gateway()
    await gateway.get()
    gateway.state = gateway.build(TWO)
    await gateway.get()
    assert [request.address for request in gateway.sent] == [ONE.address, TWO.address]
    gateway.state = gateway.build()
    assert (await gateway.get()).body == b"local"


async def test_what_is_remembered_is_bounded() -> None:
    """Any number of paths and hosts can be asked for; the memory for them does not grow with it."""
    gateway = Gateway()
    for number in range(MAX_REMEMBERED + 2):
        await gateway.get(f"/orders/{number}", headers=[(b"host", b"h%d.test" % number)])
    assert len(gateway.app._ways) <= MAX_REMEMBERED
    assert len(gateway.app._peers) <= MAX_REMEMBERED
    assert gateway.completed == []


async def test_a_forgotten_record_is_asked_for_again() -> None:
    """An instance's record may be dropped while a way to it is remembered."""
    gateway = Gateway(whole(status=500))
    await gateway.get()
    outliers: Any = gateway.forward.health._outliers
    outliers._forget((ONE.service, ONE.address))
    await gateway.get()
    assert not outliers.record((ONE.service, ONE.address)).is_blank


async def test_a_full_service_is_left_to_the_complete_way(eventually: Eventually) -> None:
    """Which lets requests wait for a place."""
    gate = asyncio.Event()

    async def slow(request: UpstreamRequest) -> FakeResponse:
        await gate.wait()
        return whole()

    gateway = Gateway(slow, limits=Limits(service=1, queue=1))
    first = asyncio.create_task(gateway.get())
    await eventually(lambda: gateway.limits.taken("orders") == 1)
    assert len(gateway.tasks) == 1
    second = asyncio.create_task(gateway.get())
    await eventually(lambda: gateway.limits.waiting("orders") == 1)
    gate.set()
    assert [(await task).status for task in (first, second)] == [200, 200]
    assert len(gateway.completed) == 1
    assert gateway.is_settled


async def test_an_instance_that_comes_back_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    """The short way tells of ejections as the complete one does."""
    gateway = Gateway(whole(status=503), instances=[ONE])
    with caplog.at_level(logging.INFO, "hydra_asgi.health"):
        for _ in range(20):
            await gateway.get()
    assert "instance ejected" in caplog.text


async def test_a_client_that_leaves_takes_its_request_with_it(eventually: Eventually) -> None:
    """While the instance works, somebody waits for the client's leaving."""
    is_cancelled = []

    async def never(request: UpstreamRequest) -> FakeResponse:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            is_cancelled.append(True)
            raise
        return whole()

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        raise AssertionError(message)

    gateway = Gateway(never)
    await asyncio.wait_for(gateway.app(http_scope("/orders"), receive, send), 5)
    assert is_cancelled == [True]
    assert [record.kind for record in gateway.records] == [ErrorKind.CLIENT_GONE]
    assert gateway.is_settled
    assert len(asyncio.all_tasks()) == 1


async def test_a_slow_answer_ends_the_watch_with_it(eventually: Eventually) -> None:
    """A watch that had begun leaves nothing behind, whether the answer comes whole or in pieces."""
    for answer in (whole(), FakeResponse(200, [b"a", b"b"])):
        waited: list[Any] = []

        async def late(
            request: UpstreamRequest, answer: FakeResponse = answer, waited: list[Any] = waited
        ) -> FakeResponse:
            await eventually(lambda: waited == [True])
            return answer

        async def receive(waited: list[Any] = waited) -> Any:
            waited.append(True)
            await asyncio.Event().wait()

        gateway = Gateway(late)
        messages: list[Any] = []

        async def send(message: Any, messages: list[Any] = messages) -> None:
            messages.append(message)

        await gateway.app(http_scope("/orders"), receive, send)
        assert messages[-1]["more_body"] is False
        assert waited == [True]
        assert gateway.is_settled
        assert len(asyncio.all_tasks()) == 1


async def test_a_client_that_takes_nothing_is_cut_off() -> None:
    """It does not keep its place for ever; its connection is broken, and the log says why."""

    async def stuck(message: Any) -> None:
        await asyncio.Event().wait()

    gateway = Gateway(timeouts=Timeouts(idle=0.05))
    with pytest.raises(ResponseCutError):
        await gateway.get(on_send=stuck)
    assert [record.kind for record in gateway.records] == [ErrorKind.CLIENT_SLOW]
    assert gateway.is_settled


async def test_a_client_that_is_gone_is_no_error() -> None:
    """`send` may raise OSError (ASGI 2.4); nobody is told but the observers."""

    def gone(message: Any) -> None:
        raise OSError("gone")

    gateway = Gateway()
    await gateway.get(on_send=gone)
    assert [record.kind for record in gateway.records] == [ErrorKind.CLIENT_GONE]
    assert gateway.is_settled


@pytest.mark.parametrize("at", ["instance", "start", "body"])
async def test_ended_from_outside(eventually: Eventually, at: str) -> None:
    """A task that is cancelled gives everything back and stays cancelled."""
    reached = asyncio.Event()

    async def wait() -> None:
        reached.set()
        await asyncio.Event().wait()

    async def slow(request: UpstreamRequest) -> FakeResponse:
        if at == "instance":
            await wait()
        return whole()

    async def sending(message: Any) -> None:
        if message["type"].endswith(at):
            await wait()

    gateway = Gateway(slow)
    task = asyncio.create_task(gateway.get(on_send=sending))
    await asyncio.wait_for(reached.wait(), 5)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert task.cancelled()
    (record,) = gateway.records
    assert (record.kind, record.status) == ((None, 200) if at == "body" else (ErrorKind.CLIENT_GONE, 499))
    assert gateway.is_settled


async def test_a_fault_of_the_upstream_is_no_answer() -> None:
    """What is not an `UpstreamError` passes through, and nothing is kept."""

    def broken(request: UpstreamRequest) -> FakeResponse:
        raise ZeroDivisionError

    gateway = Gateway(broken)
    with pytest.raises(ZeroDivisionError):
        await gateway.get()
    assert gateway.is_settled


@pytest.mark.parametrize("sent", [0, 1])
async def test_a_client_that_leaves_during_its_upload(sent: int) -> None:
    """Nobody else is asked, and nobody is told."""
    messages = [{"type": "http.request", "body": b"1", "more_body": True}] * sent

    async def receive() -> Any:
        return messages.pop() if messages else {"type": "http.disconnect"}

    async def read(request: UpstreamRequest) -> FakeResponse:
        await told(request)
        return whole()

    async def send(message: Any) -> None:
        raise AssertionError(message)

    gateway = Gateway(read, instances=[ONE, TWO])
    scope = http_scope("/orders", method="POST", headers=[HOST, (b"content-length", b"5")])
    await gateway.app(scope, receive, send)
    assert [(record.kind, record.attempts) for record in gateway.records] == [(ErrorKind.CLIENT_GONE, 1)]
    assert gateway.is_settled


async def test_an_answer_before_the_end_of_the_upload() -> None:
    """It is passed on; the rest of the body is nobody's."""
    gateway = Gateway(whole(status=413))
    answer = await gateway.get(method="POST", headers=[HOST, (b"content-length", b"5")], body=[b"1", b"2345"])
    assert answer.status == 413
    assert gateway.is_settled


async def test_a_client_that_stops_before_its_upload() -> None:
    """It is told so, and the instance is not asked."""

    async def receive() -> Any:
        await asyncio.Event().wait()

    messages: list[Any] = []

    async def send(message: Any) -> None:
        messages.append(message)

    gateway = Gateway(timeouts=Timeouts(idle=0.05))
    await gateway.app(http_scope("/orders", method="POST", headers=[HOST, (b"content-length", b"5")]), receive, send)
    assert messages[0]["status"] == 408
    assert gateway.sent == []
    assert gateway.is_settled


async def test_ended_from_outside_before_the_upload(eventually: Eventually) -> None:
    """Everything is given back there, too."""
    gateway = Gateway()
    waits = asyncio.Event()

    async def receive() -> Any:
        waits.set()
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        raise AssertionError(message)

    scope = http_scope("/orders", method="POST", headers=[HOST, (b"content-length", b"5")])
    task = asyncio.create_task(gateway.app(scope, receive, send))
    await asyncio.wait_for(waits.wait(), 5)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert task.cancelled()
    assert [record.status for record in gateway.records] == [499]
    assert gateway.is_settled


async def test_an_upload_that_has_arrived_is_sent_as_a_whole() -> None:
    """And again, where nobody has seen it; what is not as long as it was declared is not made to look so."""
    refused = UpstreamError(ErrorKind.CONNECT_REFUSED, "nobody listens")
    bodies: list[Any] = []

    async def note(request: UpstreamRequest) -> FakeResponse:
        bodies.append(request.body)
        if len(bodies) == 1:
            raise refused
        return whole()

    gateway = Gateway(note, instances=[ONE, TWO])
    headers = [HOST, (b"content-length", b"5")]
    assert (await gateway.get(method="POST", headers=headers, body=b"12345")).status == 200
    assert bodies == [b"12345", b"12345"]
    await gateway.get(method="POST", headers=headers, body=b"123")
    assert not isinstance(bodies[-1], bytes)
    await gateway.get(method="POST", headers=headers, body=[b"12", b"345"])
    assert not isinstance(bodies[-1], bytes)


@pytest.mark.parametrize("trusted", [False, True])
async def test_what_a_proxy_of_ours_has_said_stays(trusted: bool) -> None:
    """Words about the first hop are said once; nobody else is believed."""
    gateway = Gateway(trusted=trusted)
    await gateway.get(headers=[HOST, (b"x-forwarded-proto", b"https"), (b"x-forwarded-for", b"1.2.3.4")])
    told_of = [value for name, value in gateway.sent[0].headers if name == b"x-forwarded-proto"]
    assert told_of == [b"https" if trusted else b"http"]
    assert gateway.completed == []


@pytest.mark.parametrize(
    ("trusted", "given", "named"),
    [(True, b"theirs", b"theirs"), (True, b"no name!", ID.encode()), (False, b"theirs", ID.encode())],
)
async def test_a_proxy_of_ours_may_name_a_request(trusted: bool, given: bytes, named: bytes) -> None:
    """Everybody sees its name for the request; that of anybody else, or one that is not plain, is replaced."""
    gateway = Gateway(trusted=trusted)
    answer = await gateway.get(headers=[HOST, (b"x-request-id", given), (b"accept", b"*/*")])
    assert [value for name, value in gateway.sent[0].headers if name == b"x-request-id"] == [named]
    assert [value for name, value in answer.headers if name == b"x-request-id"] == [named]
    assert gateway.completed == []


async def test_a_service_with_a_rule_for_cookies() -> None:
    """Its requests are looked at, so they take the complete way, and it gets the cookies that it may see."""
    picky = instance(3, "/picky", service="picky")
    gateway = Gateway(instances=(ONE, picky))
    await gateway.get("/orders/1", headers=[HOST, KEPT])
    assert gateway.completed == []
    assert KEPT in gateway.sent[0].headers
    await gateway.get("/picky", headers=[HOST, KEPT])
    assert gateway.completed == ["/picky"]
    assert [pair for pair in gateway.sent[1].headers if pair[0] == b"cookie"] == [(b"cookie", b"a=1")]


@pytest.mark.parametrize("is_express", [True, False])
async def test_gateways_prove_themselves(is_express: bool) -> None:
    """Nodes of ours are told by whom a request is forwarded; others are not, and no client can say it."""
    medusa = instance(3, "/medusa", service="medusa", dialect=Dialect.MEDUSA)
    gateway = Gateway(instances=(ONE, medusa), is_express=is_express)
    forged = (b"hydra-gateway", b"v1;forged")
    await gateway.get("/orders/1", headers=[HOST, forged])
    await gateway.get("/medusa", headers=[HOST, forged])
    first, second = [[value for name, value in sent.headers if name == b"hydra-gateway"] for sent in gateway.sent]
    assert [is_proof("the secret of this site", value, service="orders", now=NOW) for value in first] == [True]
    assert second == []


@pytest.mark.parametrize("is_express", [True, False])
async def test_addresses_that_only_we_can_reach(is_express: bool) -> None:
    """A redirect to an instance leads to the site."""
    gateway = Gateway(whole(b"", 302, [(b"Location", b"http://10.0.0.1:8002/login")]), is_express=is_express)
    answer = await gateway.get("/orders/1")
    assert [value for name, value in answer.headers if name == b"location"] == [b"/login"]


async def test_the_short_way_is_short() -> None:
    """What an ordinary request costs is the number of calls it makes, once all of it is known."""
    gateway, calls = Gateway(is_observed=False), 0
    scope = http_scope("/orders", headers=[HOST, KEPT, (b"accept", b"*/*")])

    def count(frame: Any, event: str, argument: Any) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    async def send(message: Any) -> None:
        """Take it."""

    for _ in range(3):
        await gateway.app(scope, None, send)
    before = sys.getprofile()
    sys.setprofile(count)
    try:
        await gateway.app(scope, None, send)
    finally:
        sys.setprofile(before)
    assert len(gateway.sent) == 4
    assert calls <= MOST_CALLS, calls
