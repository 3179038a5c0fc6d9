"""Forwarding a request to an instance, with instances that are prepared."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest

from hydra_asgi.core.error_kind import OUTCOMES, ErrorKind
from hydra_asgi.core.health.concurrency import Limits
from hydra_asgi.core.instance import Address, Dialect, ServiceInstance
from hydra_asgi.core.routing.balance import Group
from hydra_asgi.errors import ResponseCutError, UpstreamError
from hydra_asgi.gateway.forward import Forwarder
from hydra_asgi.gateway.forwarding_terms import ForwardingTerms
from hydra_asgi.gateway.limits import ServiceLimits
from hydra_asgi.gateway.observation import ForwardRecord
from hydra_asgi.gateway.own_instance import OwnInstance
from hydra_asgi.ports import Timeouts, UpstreamRequest
from hydra_asgi.testing.fake_upstream import FakeResponse, FakeUpstream
from tests.exchange import Exchange, exchange, http_scope

Eventually = Callable[..., Any]
HOST = (b"host", b"site.test")
LENGTH_3 = (b"content-length", b"3")


def instance(number: int = 1, **changes: Any) -> ServiceInstance:
    address = changes.pop("address", Address("http", f"10.0.0.{number}", 8002))
    return ServiceInstance("orders", address, token=1000000000 + number, order=number, **changes)


def failing(kind: ErrorKind) -> UpstreamError:
    return UpstreamError(kind, "10.0.0.1:8002: secret detail")


class Gateway:
    """A forwarder over prepared answers, and what it did."""

    def __init__(self, *answers: Any, instances: Sequence[ServiceInstance] | None = None, **options: Any) -> None:
        self.upstream = FakeUpstream(*answers)
        self.vouched: list[int] = []
        self.group = Group.build((instance(1), instance(2)) if instances is None else instances)
        options.setdefault("trusted", lambda peer: False)
        limits = options.pop("limits", None)
        terms = ForwardingTerms(pseudonym="node-7f", vouch=self.vouched.append, **options)
        self.forward = Forwarder(self.upstream, terms, limits=limits)
        self.options: dict[str, Any] = {"group": self.group, "key": "", "target": b"/"}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.forward(scope, receive, send, **self.options)

    @property
    def request(self) -> UpstreamRequest:
        return self.upstream.requests[-1]

    @property
    def asked(self) -> list[str]:
        return [request.address.host for request in self.upstream.requests]

    def header(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.request.headers if key == name]


async def whole(request: UpstreamRequest) -> FakeResponse:
    """An app that answers with the body it got."""
    assert not isinstance(request.body, bytes)
    assert request.body is not None
    return FakeResponse(200, [piece async for piece in request.body])


async def test_a_response_is_streamed_as_it_is() -> None:
    """Status, fields and pieces of the instance arrive unchanged and in order, with Via on top."""
    cookies = [(b"Set-Cookie", b"a=1"), (b"Set-Cookie", b"b=2")]
    gateway = Gateway(FakeResponse(201, [b"one", b"", b"two"], content_type=b"", headers=cookies))
    result = await exchange(gateway)
    assert result.messages == [
        {
            "type": "http.response.start",
            "status": 201,
            "headers": [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2"), (b"via", b"1.1 node-7f")],
            "trailers": False,
        },
        {"type": "http.response.body", "body": b"one", "more_body": True},
        {"type": "http.response.body", "body": b"two", "more_body": True},
        {"type": "http.response.body", "body": b"", "more_body": False},
    ]
    assert gateway.upstream.open_responses == 0
    assert len(asyncio.all_tasks()) == 1


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([b"a", b"bc"], [(b"a", True), (b"bc", False)]),
        ([b"abc", b""], [(b"abc", False)]),
        ([b"abc", b"more than declared"], [(b"abc", False)]),
        ([b"a"], [(b"a", True), (b"", False)]),
    ],
)
async def test_the_last_byte_brings_the_end_with_it(pieces: list[bytes], expected: list[tuple[bytes, bool]]) -> None:
    """A response of declared length ends with its last piece; nothing is sent behind that."""
    result = await exchange(Gateway(FakeResponse(200, pieces, headers=[LENGTH_3])))
    assert [(message["body"], message["more_body"]) for message in result.messages[1:]] == expected


async def test_a_request_of_http_2_may_have_a_body_without_a_length() -> None:
    """Its stream is looked at before the request is sent on."""
    gateway = Gateway(FakeResponse())
    result = await exchange(gateway, {**http_scope(headers=[HOST]), "http_version": "2"})
    assert result.status == 200
    assert gateway.request.body is None


async def test_an_empty_response_of_declared_length_ends() -> None:
    """Without a byte there is still an end."""
    result = await exchange(Gateway(FakeResponse(200, b"", headers=[(b"content-length", b"0")])))
    assert result.messages[1:] == [{"type": "http.response.body", "body": b"", "more_body": False}]


async def test_the_instance_is_told_who_asks_and_who_it_is() -> None:
    """The public host and the client are told, with the token, and the key for nodes of ours only."""
    for dialect, keys in ((Dialect.HYDRA, [b"k1"]), (Dialect.MEDUSA, [])):
        gateway = Gateway(FakeResponse(), instances=[instance(dialect=dialect)])
        gateway.options.update(key="k1")
        await exchange(gateway, http_scope(headers=[HOST, (b"hydra-path", b"evil"), (b"hydra-key", b"evil")]))
        assert gateway.header(b"host") == [b"site.test"]
        assert gateway.header(b"x-forwarded-for") == [b"127.0.0.1"]
        assert gateway.header(b"via") == [b"1.1 node-7f"]
        assert gateway.header(b"hydra-path") == [b"1000000001"]
        assert gateway.header(b"hydra-key") == keys


@pytest.mark.parametrize("client", [("10.9.9.9", 1), None])
async def test_only_a_trusted_peer_may_speak_for_its_client(client: Any) -> None:
    """Whether the peer is trusted is asked by its address; a peer without one is not."""
    gateway = Gateway(FakeResponse(), trusted=lambda peer: peer == "10.9.9.9")
    scope = http_scope(headers=[HOST, (b"x-forwarded-for", b"198.51.100.1")])
    scope["client"] = client
    await exchange(gateway, scope)
    expected = [b"198.51.100.1", b"10.9.9.9"] if client else [b"unknown"]
    assert gateway.header(b"x-forwarded-for") == expected


@pytest.mark.parametrize(
    ("server", "host"),
    [
        (("10.1.1.1", 80), b"10.1.1.1:80"),
        (("::1", 80), b"[::1]:80"),
        (("/run/a.sock", None), b"localhost"),
        (None, b"localhost"),
    ],
)
async def test_a_client_without_host_came_to_our_address(server: Any, host: bytes) -> None:
    """HTTP/1.0 requests without Host are sent on with the address they came to."""
    gateway = Gateway(FakeResponse())
    scope = http_scope(headers=[])
    scope["server"] = server
    await exchange(gateway, scope)
    assert gateway.header(b"host") == [host]


async def test_the_target_keeps_its_bytes() -> None:
    """The base path goes before the target that was given, and nothing else happens to it."""
    gateway = Gateway(FakeResponse(), instances=[instance(address=Address("http", "h", 80, base="/base"))])
    gateway.options["target"] = b"/a%2Fb/%2e%2e/c?x=%zz;&&y"
    await exchange(gateway)
    assert gateway.request.target == b"/base/a%2Fb/%2e%2e/c?x=%zz;&&y"


@pytest.mark.parametrize("target", [b"*", b"http://evil/", b"/a b", b"/\xc3\xa4", b"/a#b", b"/a\r\nx: y", b""])
async def test_what_is_no_target_is_refused(target: bytes) -> None:
    """Absolute forms, blanks, raw bytes and fragments reach no instance."""
    gateway = Gateway(FakeResponse())
    gateway.options["target"] = target
    assert (await exchange(gateway)).status == 400
    assert gateway.asked == []


async def test_a_body_is_streamed_with_its_length() -> None:
    """The pieces of a request's body reach the instance as they come, with the length the client declared."""
    gateway = Gateway(whole)
    result = await exchange(gateway, http_scope(method="POST", headers=[HOST, LENGTH_3]), [b"a", b"bc"])
    assert result.body == b"abc"
    assert gateway.request.length == 3
    assert gateway.header(b"content-length") == []


async def test_the_body_is_read_only_as_fast_as_it_is_taken() -> None:
    """A piece of the upload is asked of the client when the instance wants it, not before."""
    taken: list[str] = []

    async def pieces() -> AsyncIterator[bytes]:
        for piece in (b"a", b"b", b"c"):
            taken.append(f"client {piece.decode()}")
            yield piece

    def take(piece: bytes) -> None:
        taken.append(f"instance {piece.decode()}")

    async def app(request: UpstreamRequest) -> FakeResponse:
        assert not isinstance(request.body, bytes)
        assert request.body is not None
        async for piece in request.body:
            take(piece)
        return FakeResponse()

    await exchange(Gateway(app), http_scope(method="POST", headers=[HOST, LENGTH_3]), pieces())
    # exchange() itself looks one piece ahead
    assert taken == ["client a", "client b", "instance a", "client c", "instance b", "instance c"]


async def test_pieces_are_sent_on_at_once_and_one_at_a_time() -> None:
    """A piece goes out while the next does not exist, and the next is read when the client has taken it."""
    order: list[str] = []
    second = asyncio.Event()

    def on_send(message: dict[str, Any]) -> None:
        order.append(str(message.get("body", b"start")))
        if message.get("body") == b"one":
            second.set()

    gateway = Gateway(FakeResponse(200, [b"one", second.wait(), b"two"]))
    await exchange(gateway, on_send=on_send)
    assert order == ["b'start'", "b'one'", "b'two'", "b''"]


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
async def test_answers_without_body_have_none(method: str, status: int) -> None:
    """HEAD keeps the length of what GET would get, 204 and 304 lose it, and no byte of a body follows."""
    gateway = Gateway(FakeResponse(status, b"not allowed", headers=[(b"content-length", b"11")]))
    result = await exchange(gateway, http_scope(method=method))
    assert result.body == b""
    assert result.complete
    assert result.header(b"content-length") == (b"11" if method == "HEAD" else None)


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("kind", [kind for kind in ErrorKind if OUTCOMES[kind].untouched])
async def test_a_failed_connection_moves_any_request_on(kind: ErrorKind, method: str) -> None:
    """While nothing was sent, the next instance gets the request, its whole body included."""
    gateway = Gateway(failing(kind), whole)
    result = await exchange(gateway, http_scope(method=method, headers=[HOST, LENGTH_3]), b"abc")
    assert result.body == b"abc"
    assert len(set(gateway.asked)) == 2


@pytest.mark.parametrize("kind", [ErrorKind.RESET, ErrorKind.FIRST_BYTE_TIMEOUT])
@pytest.mark.parametrize(
    ("method", "headers", "again"),
    [
        ("GET", [], True),
        ("HEAD", [], True),
        ("OPTIONS", [], True),
        ("DELETE", [(b"content-length", b"0")], True),
        ("POST", [], False),
        ("PATCH", [], False),
        ("PUT", [LENGTH_3], False),
        ("GET", [LENGTH_3], False),
    ],
)
async def test_what_may_have_been_seen_is_repeated_only_where_it_is_safe(
    kind: ErrorKind, method: str, headers: list[tuple[bytes, bytes]], again: bool
) -> None:
    """After a reset or silence only idempotent requests without a body go to another instance."""
    gateway = Gateway(failing(kind), FakeResponse())
    result = await exchange(gateway, http_scope(method=method, headers=[HOST, *headers]), b"abc")
    assert result.status == (200 if again else OUTCOMES[kind].status)
    assert len(gateway.asked) == 1 + again


@pytest.mark.parametrize("kind", [ErrorKind.PROTOCOL, ErrorKind.IDLE_TIMEOUT, ErrorKind.TRUNCATED])
async def test_other_failures_are_final(kind: ErrorKind) -> None:
    """Garbage is an answer of a kind: asking again does not make it better."""
    gateway = Gateway(failing(kind), FakeResponse())
    result = await exchange(gateway)
    assert result.status == OUTCOMES[kind].status
    assert len(gateway.asked) == 1


async def test_a_touched_body_is_never_sent_twice() -> None:
    """A connection that fails after it took a piece of the body ends the attempts, whatever it calls itself."""

    async def take_and_fail(request: UpstreamRequest) -> FakeResponse:
        assert not isinstance(request.body, bytes)
        assert request.body is not None
        await anext(request.body)
        raise failing(ErrorKind.CONNECT_REFUSED)

    gateway = Gateway(take_and_fail)
    result = await exchange(gateway, http_scope(method="PUT", headers=[HOST, LENGTH_3]), b"abc")
    assert result.status == 503
    assert len(gateway.asked) == 1


async def test_a_lone_instance_is_asked_again_after_a_reset_only() -> None:
    """It may have closed an idle connection as we used it; refusing a connection it would only do again."""
    gateway = Gateway(failing(ErrorKind.RESET), FakeResponse(), instances=[instance()])
    assert (await exchange(gateway)).status == 200
    gateway = Gateway(failing(ErrorKind.RESET), instances=[instance()])
    assert (await exchange(gateway)).status == 502
    assert len(gateway.asked) == 2
    gateway = Gateway(failing(ErrorKind.CONNECT_REFUSED), instances=[instance()])
    assert (await exchange(gateway)).status == 503
    assert len(gateway.asked) == 1


async def test_three_attempts_are_enough() -> None:
    """However many instances there are, a request is tried three times, each time elsewhere."""
    gateway = Gateway(failing(ErrorKind.CONNECT_REFUSED), instances=[instance(number) for number in range(1, 6)])
    result = await exchange(gateway)
    assert result.status == 503
    assert len(gateway.asked) == len(set(gateway.asked)) == 3


async def test_a_silent_instance_gets_one_short_attempt() -> None:
    """An inactive instance is asked once, briefly, and vouched for when it answers."""
    silent = [instance(1, active=False), instance(2, active=False)]
    gateway = Gateway(failing(ErrorKind.CONNECT_REFUSED), instances=silent)
    assert (await exchange(gateway)).status == 503
    assert len(gateway.asked) == 1
    assert gateway.vouched == []
    assert gateway.request.timeouts == Timeouts(0.5, 2.0)

    gateway = Gateway(FakeResponse(), instances=silent[:1])
    assert (await exchange(gateway)).status == 200
    assert gateway.vouched == [1000000001]


async def test_active_instances_are_not_vouched_for() -> None:
    """Vouching is for the silent ones."""
    gateway = Gateway(FakeResponse())
    await exchange(gateway)
    assert gateway.vouched == []
    assert gateway.request.timeouts == Timeouts()


@pytest.mark.parametrize("given", [Timeouts(2.0, 9.0), Timeouts(None, None)])
async def test_no_attempt_passes_the_deadline(given: Timeouts) -> None:
    """The time that is left bounds connecting and waiting, and without time there is no other attempt."""
    gateway = Gateway(failing(ErrorKind.CONNECT_TIMEOUT), deadline=0.0, timeouts=given)
    assert (await exchange(gateway)).status == 503
    assert len(gateway.asked) == 1
    assert gateway.request.timeouts.connect == pytest.approx(0, abs=0.1)
    assert gateway.request.timeouts.first_byte == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize("instances", [[], [instance(weight=0)]])
async def test_nobody_to_ask_is_said_at_once(instances: list[ServiceInstance]) -> None:
    """An empty or drained group is a 503 that says when to come back and why, without internals."""
    result = await exchange(Gateway(FakeResponse(), instances=instances), http_scope("/orders"))
    assert result.status == 503
    assert result.header(b"retry-after") is not None
    assert result.header(b"proxy-status") == b"hydra; error=destination_unavailable"
    assert result.header(b"cache-control") == b"no-store"


async def test_an_explanation_names_the_service_and_no_address() -> None:
    """The public learns which service is away, and nothing about where it lives; the log learns it all once."""
    records: list[logging.LogRecord] = []
    log = logging.getLogger("tests.forward")
    log.addFilter(lambda record: bool(records.append(record)))
    gateway = Gateway(failing(ErrorKind.CONNECT_REFUSED), log=log, clock=lambda: 10.0)
    result = await exchange(gateway, http_scope("/orders"))
    assert b"orders cannot be reached" in result.body
    assert b"10.0.0" not in result.body
    assert result.header(b"proxy-status") == b"hydra; error=connection_refused"
    (record,) = records
    assert (record.levelname, record.exc_info) == ("WARNING", None)
    assert "secret detail" in record.getMessage()
    told = record.__dict__["forward"]
    assert (told.kind, told.status, told.attempts) == (ErrorKind.CONNECT_REFUSED, 503, 2)


@pytest.mark.parametrize("field", [(b"via", b"1.1 edge, 1.1 node-7f"), (b"max-forwards", b"0")])
async def test_a_loop_ends_at_its_first_repetition(field: tuple[bytes, bytes]) -> None:
    """A request that passed us before, or may not be forwarded any more, is a 508."""
    gateway = Gateway(FakeResponse())
    result = await exchange(gateway, http_scope(headers=[HOST, field]))
    assert result.status == 508
    assert result.header(b"proxy-status") == b"hydra; error=proxy_loop_detected"
    assert gateway.asked == []


@pytest.mark.parametrize(
    "response",
    [
        FakeResponse(101),
        FakeResponse(headers=[(b"x", b"a\r\nb")]),
        FakeResponse(headers=[(b"content-length", b"1"), (b"transfer-encoding", b"chunked")]),
    ],
)
async def test_a_head_that_cannot_be_passed_on_is_a_502(response: FakeResponse) -> None:
    """A response that would split, switch protocols or has two framings is dropped and closed."""
    gateway = Gateway(response)
    result = await exchange(gateway)
    assert result.status == 502
    assert result.header(b"proxy-status") == b"hydra; error=http_protocol_error"
    assert gateway.upstream.open_responses == 0
    assert len(gateway.asked) == 1


async def test_a_response_that_breaks_off_is_visible() -> None:
    """After the head a failure raises instead of ending the body, and is logged once without a trace."""
    records: list[logging.LogRecord] = []
    log = logging.getLogger("tests.forward.cut")
    log.addFilter(lambda record: bool(records.append(record)))
    gateway = Gateway(FakeResponse(200, [b"half", failing(ErrorKind.TRUNCATED)]), log=log)
    result = Exchange()

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        result.messages.append(message)

    with pytest.raises(ResponseCutError) as cut:
        await gateway(http_scope(), receive, send)
    assert cut.value.kind is ErrorKind.TRUNCATED
    assert cut.value.__suppress_context__
    assert result.body == b"half"
    assert not result.complete
    assert gateway.upstream.open_responses == 0
    assert [(record.levelname, record.exc_info) for record in records] == [("WARNING", None)]
    assert len(asyncio.all_tasks()) == 1


async def test_a_client_that_leaves_closes_the_response(eventually: Eventually) -> None:
    """When the client goes away inside a response, the instance's response is closed at once and nobody complains."""
    gateway = Gateway(FakeResponse(200, [b"one", asyncio.Event().wait(), b"two"]))
    leave = asyncio.Event()
    result = Exchange()

    async def receive() -> Any:
        await leave.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        result.messages.append(message)

    request = asyncio.create_task(gateway(http_scope(), receive, send))
    await eventually(lambda: result.body == b"one")
    assert gateway.upstream.open_responses == 1
    leave.set()
    await request
    assert gateway.upstream.open_responses == 0
    assert not result.complete
    assert len(asyncio.all_tasks()) == 1


async def test_a_client_that_leaves_before_the_answer_ends_the_request() -> None:
    """A request nobody waits for any more is cancelled, and not tried elsewhere."""
    asked = asyncio.Event()
    cancelled = asyncio.Event()

    async def never(request: UpstreamRequest) -> FakeResponse:
        asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        raise AssertionError("it waits for ever")

    async def receive() -> Any:
        await asked.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        raise AssertionError("nobody is there")

    gateway = Gateway(never)
    await gateway(http_scope(), receive, send)
    assert cancelled.is_set()
    assert len(gateway.asked) == 1
    assert len(asyncio.all_tasks()) == 1


async def test_a_client_that_leaves_mid_upload_aborts_the_request() -> None:
    """A disconnect inside the upload fails the upstream request; it is never completed and never answered."""

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None:
        raise AssertionError("nobody is there")

    messages: list[Any] = [{"type": "http.request", "body": b"a", "more_body": True}, {"type": "http.disconnect"}]
    gateway = Gateway(whole)
    await gateway(http_scope(method="POST", headers=[HOST, LENGTH_3]), receive, send)
    assert len(gateway.asked) == 1
    assert gateway.upstream.responses == []


async def test_a_client_that_stalls_mid_upload_is_told() -> None:
    """An upload that falls silent is a 408 whose connection is not used again."""

    async def stalling() -> AsyncIterator[bytes]:
        yield b"a"
        await asyncio.Event().wait()

    gateway = Gateway(whole, timeouts=Timeouts(idle=0.01))
    result = await exchange(gateway, http_scope(method="POST", headers=[HOST, LENGTH_3]), stalling())
    assert result.status == 408
    assert result.header(b"connection") == b"close"


async def test_a_client_that_leaves_an_upload_under_a_response_is_gone() -> None:
    """An upload that goes on while the response streams may end both, quietly."""
    gateway = Gateway(FakeResponse(200, [b"one", failing(ErrorKind.CLIENT_GONE), b"two"]))
    result = await exchange(gateway)
    assert result.body == b"one"
    assert not result.complete


async def test_a_send_that_fails_means_that_the_client_is_gone() -> None:
    """Servers that raise OSError from `send` (ASGI 2.4) end the request quietly, with the response closed."""
    gateway = Gateway(FakeResponse(200, [b"one"]))

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            raise BrokenPipeError

    await gateway(http_scope(), receive, send)
    assert gateway.upstream.open_responses == 0


async def test_the_end_of_a_response_is_not_a_leaving_client() -> None:
    """Servers tell a disconnect as soon as the last message is there; that cancels nothing."""
    over = asyncio.Event()

    async def receive() -> Any:
        await over.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if not message.get("more_body", True):
            over.set()
            for _ in range(5):
                await asyncio.sleep(0)
            ended.append(True)

    ended: list[bool] = []
    await Gateway(FakeResponse(200, [b"one"]))(http_scope(), receive, send)
    assert ended == [True]


# -- the node's own turn


class Own:
    """The node's own instance, and what it was asked to serve."""

    def __init__(self, group: Group, status: int = 200) -> None:
        self.instance = group.instances[1]
        self.key = next(key for key in map(str, range(100)) if group.pick(key) is group.instances[0])
        self.bodies: list[bytes] = []
        self._status = status

    async def serve(self, scope: Any, receive: Any, send: Any) -> None:
        body = b""
        while True:
            message = await receive()
            assert message["type"] == "http.request"
            body += message["body"]
            if not message["more_body"]:
                break
        self.bodies.append(body)
        if self._status == 500:
            raise ValueError("the app's own mistake")
        await send({"type": "http.response.start", "status": self._status, "headers": []})
        await send({"type": "http.response.body", "body": b"from here", "more_body": False})


@pytest.mark.parametrize(
    ("method", "headers", "body"), [("GET", [], b""), ("POST", [LENGTH_3], b"abc"), ("POST", [], b"")]
)
async def test_the_node_itself_is_the_next_in_order(
    method: str, headers: list[tuple[bytes, bytes]], body: bytes
) -> None:
    """When the first instance cannot be reached and the next is our own, the app gets the whole request."""
    records: list[ForwardRecord] = []
    gateway = Gateway(failing(ErrorKind.CONNECT_REFUSED), on_record=records.append)
    own = Own(gateway.group)
    gateway.options.update(key=own.key, local=OwnInstance(own.instance, own.serve))
    result = await exchange(gateway, http_scope(method=method, headers=[HOST, *headers]), body)
    assert (result.status, result.body) == (200, b"from here")
    assert own.bodies == [body]
    assert gateway.asked == ["10.0.0.1"]
    assert [(one.is_local, one.status, one.attempts, one.kind, one.response_bytes) for one in records] == [
        (True, 200, 1, None, 9)
    ]
    assert len(asyncio.all_tasks()) == 1


async def test_what_the_own_app_raises_is_its_own() -> None:
    """An error of the mounted app reaches the server as it is, and is recorded as a 500."""
    records: list[ForwardRecord] = []
    gateway = Gateway(failing(ErrorKind.CONNECT_REFUSED), on_record=records.append)
    own = Own(gateway.group, status=500)
    gateway.options.update(key=own.key, local=OwnInstance(own.instance, own.serve))
    with pytest.raises(ValueError, match="own mistake"):
        await exchange(gateway)
    assert [one.status for one in records] == [500]


async def test_the_own_instance_waits_for_its_turn() -> None:
    """While the first choice answers, nothing is served here."""
    gateway = Gateway(FakeResponse(201))
    own = Own(gateway.group)
    gateway.options.update(key=own.key, local=OwnInstance(own.instance, own.serve))
    assert (await exchange(gateway)).status == 201
    assert own.bodies == []


# -- limits


class Held:
    """An instance whose answers wait until they are let go."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.asked = 0

    async def __call__(self, request: UpstreamRequest) -> FakeResponse:
        self.asked += 1
        await self.go.wait()
        return FakeResponse()


async def test_a_slow_service_does_not_slow_another(eventually: Eventually) -> None:
    """A service whose places and queue are full is answered 503 at once, while the next one has its own."""
    limits = ServiceLimits(Limits(total=100, service=3, queue=2, queue_seconds=30.0))
    held = Held()
    slow, quick = Gateway(held, limits=limits), Gateway(FakeResponse(), limits=limits)
    other = ServiceInstance("shop", Address("http", "10.0.1.1", 8002), token=1000000009)
    quick.options["group"] = Group.build([other])
    waiting = [asyncio.create_task(exchange(slow)) for _ in range(5)]
    await eventually(lambda: (held.asked, limits.waiting("orders")) == (3, 2))
    refused = await exchange(slow)
    assert refused.status == 503
    assert refused.header(b"retry-after") == b"3"
    assert refused.header(b"proxy-status") == b"hydra; error=connection_limit_reached"
    assert b"orders has more to do than it can" in refused.body
    assert (await exchange(quick)).status == 200
    assert held.asked == 3
    held.go.set()
    assert [result.status for result in await asyncio.gather(*waiting)] == [200] * 5
    assert (limits.taken("orders"), limits.taken("shop")) == (0, 0)


async def test_a_place_is_held_until_the_last_byte(eventually: Eventually) -> None:
    """A response that streams keeps its place; a client that leaves gives it back."""
    limits = ServiceLimits(Limits(total=100, service=1, queue=0))
    gateway = Gateway(FakeResponse(200, [b"one", asyncio.Event().wait()]), limits=limits)
    first = asyncio.create_task(exchange(gateway))
    await eventually(lambda: gateway.upstream.open_responses)
    assert (await exchange(gateway)).status == 503
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    assert limits.taken("orders") == 0


async def test_a_client_that_leaves_the_queue_asks_nobody(eventually: Eventually) -> None:
    """A request that is still waiting when its client goes away never reaches an instance."""
    limits = ServiceLimits(Limits(total=100, service=1, queue=1, queue_seconds=30.0))
    held = Held()
    gateway = Gateway(held, limits=limits)
    first = asyncio.create_task(exchange(gateway))
    await eventually(lambda: held.asked)
    leave = asyncio.Event()

    async def receive() -> Any:
        await leave.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        raise AssertionError("nobody is there")

    second = asyncio.create_task(gateway(http_scope(), receive, send))
    await eventually(lambda: limits.waiting("orders"))
    leave.set()
    await second
    held.go.set()
    await first
    assert held.asked == 1
    assert (limits.taken("orders"), limits.waiting("orders")) == (0, 0)


@pytest.mark.parametrize("stands_still", [1, 100])
async def test_a_client_that_takes_nothing_is_cut_off(stands_still: int) -> None:
    """A reader that stands still longer than the idle time loses its response, and the instance is not blamed."""
    limits = ServiceLimits()
    records: list[ForwardRecord] = []
    gateway = Gateway(
        FakeResponse(200, [b"x"] * 99), limits=limits, timeouts=Timeouts(idle=0.01), on_record=records.append
    )

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            taken.append(message)
            if len(taken) == stands_still:
                await asyncio.Event().wait()

    for _ in range(3):
        taken: list[Any] = []
        with pytest.raises(ResponseCutError) as cut:
            await gateway(http_scope(), receive, send)
        assert cut.value.kind is ErrorKind.CLIENT_SLOW
    assert gateway.upstream.open_responses == 0
    assert limits.taken("orders") == 0
    assert {(one.status, one.kind) for one in records} == {(200, ErrorKind.CLIENT_SLOW)}


# -- what is told about it


async def test_each_request_is_told_of_once() -> None:
    """A record says who answered, after how many attempts, with how many bytes each way."""
    records: list[ForwardRecord] = []
    times = iter([10.0, *[11.0] * 8, 12.5])
    gateway = Gateway(
        failing(ErrorKind.CONNECT_REFUSED), whole, on_record=records.append, clock=lambda: next(times, 12.5)
    )
    await exchange(gateway, http_scope(method="POST", headers=[HOST, LENGTH_3]), b"abc")
    (record,) = records
    assert (record.service, record.version, record.method) == ("orders", 0, "POST")
    assert record.instance == f"{gateway.asked[1]}:8002"
    assert (record.status, record.attempts, record.kind, record.is_local) == (200, 2, None, False)
    assert (record.request_bytes, record.response_bytes) == (3, 3)
    assert record.seconds > 0


@pytest.mark.parametrize(
    ("answers", "instances", "status", "kind"),
    [
        ((failing(ErrorKind.PROTOCOL),), None, 502, ErrorKind.PROTOCOL),
        ((FakeResponse(),), [], 503, ErrorKind.NO_INSTANCE),
        ((FakeResponse(200, [b"half", failing(ErrorKind.TRUNCATED)]),), None, 200, ErrorKind.TRUNCATED),
        ((failing(ErrorKind.CLIENT_GONE),), None, 499, ErrorKind.CLIENT_GONE),
    ],
)
async def test_failures_are_told_of(answers: Any, instances: Any, status: int, kind: ErrorKind) -> None:
    """The status is what the client saw, the kind says what went wrong."""
    records: list[ForwardRecord] = []
    gateway = Gateway(*answers, instances=instances, on_record=records.append)
    with contextlib.suppress(ResponseCutError):
        await exchange(gateway)
    assert [(record.status, record.kind) for record in records] == [(status, kind)]


async def test_a_request_that_is_ended_from_outside_is_told_of(eventually: Eventually) -> None:
    """A server that shuts down cancels what it has; that is recorded as a client that is gone."""
    records: list[ForwardRecord] = []
    held = Held()
    request = asyncio.create_task(exchange(Gateway(held, on_record=records.append)))
    await eventually(lambda: held.asked)
    request.cancel()
    await asyncio.gather(request, return_exceptions=True)
    assert [(record.status, record.kind) for record in records] == [(499, ErrorKind.CLIENT_GONE)]


async def test_what_breaks_off_is_held_against_the_instance() -> None:
    """An instance whose responses never come to their end is left to the others."""

    def answer(request: UpstreamRequest) -> FakeResponse:
        is_bad = request.address.host == "10.0.0.1"
        return FakeResponse(200, [b"half", failing(ErrorKind.TRUNCATED)] if is_bad else b"whole")

    gateway = Gateway(answer)
    gateway.options["key"] = Own(gateway.group).key
    cut = 0
    for _ in range(50):
        try:
            await exchange(gateway)
        except ResponseCutError:
            cut += 1
    assert cut == 11
