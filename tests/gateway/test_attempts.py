"""Asking one instance after the other, with a clock that is moved by hand."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.core.instance import Address, ServiceInstance
from hydra_asgi.core.routing.balance import Group
from hydra_asgi.errors import UpstreamError
from hydra_asgi.gateway.attempts import Attempts, Call
from hydra_asgi.gateway.instance_health import InstanceHealth
from hydra_asgi.gateway.observation import Progress
from hydra_asgi.gateway.request_body import RequestBody
from hydra_asgi.ports import Timeouts, UpstreamRequest, UpstreamResponse
from hydra_asgi.testing.fake_upstream import FakeResponse, FakeUpstream
from tests.doubles.hand_clock import HandClock
from tests.exchange import http_scope


def instance(number: int, **parts: Any) -> ServiceInstance:
    address = Address("http", f"10.0.0.{number}", 8002)
    return ServiceInstance("orders", address, token=1_000_000_000 + number, order=number, **parts)


ONE, TWO, THREE = (instance(number) for number in (1, 2, 3))


def failing(kind: ErrorKind) -> UpstreamError:
    return UpstreamError(kind, "as prepared")


def down(*instances: ServiceInstance, kind: ErrorKind = ErrorKind.CONNECT_REFUSED) -> Callable[..., FakeResponse]:
    """Answers for all instances but these."""

    def answer(request: UpstreamRequest) -> FakeResponse:
        if any(request.address == one.address for one in instances):
            raise failing(kind)
        return FakeResponse()

    return answer


class Asking:
    """Attempts over prepared answers."""

    def __init__(self, *answers: Any, instances: Sequence[ServiceInstance] = (ONE, TWO), **options: Any) -> None:
        self.clock = HandClock()
        self.upstream = FakeUpstream(*answers)
        self.group = Group.build(instances)
        self.vouched: list[int] = []
        self.health = InstanceHealth(clock=self.clock)
        options = {"timeouts": Timeouts(), "deadline": 60.0, **options}
        self.attempts = Attempts(self.upstream, self.health, vouch=self.vouched.append, clock=self.clock, **options)

    async def __call__(
        self, method: str = "GET", *, length: int = 0, key: str = "", local: ServiceInstance | None = None
    ) -> str:
        """Ask for one request; how it ended."""

        async def receive() -> Any:
            return {"type": "http.request", "body": b"abc", "more_body": False}

        headers = [(b"content-length", b"%d" % length)] if length else []
        body = RequestBody(http_scope(method=method, headers=headers), receive, lambda: None)
        call = Call(method, b"/", [], key, body)
        self.progress = Progress("orders", method, self.clock())
        self.answer: UpstreamResponse | None = None
        try:
            answer = self.answer = await self.attempts.first_answer(call, self.group, self.progress, local)
        except UpstreamError as error:
            return error.kind.value
        return "local" if answer is None else str(answer.status)

    @property
    def asked(self) -> list[str]:
        return [request.address.host for request in self.upstream.requests]

    def key_of(self, first: ServiceInstance) -> str:
        return next(key for key in map(str, range(1000)) if self.group.pick(key) is first)


async def test_an_upload_is_sent_again_while_nobody_can_have_seen_it() -> None:
    """A POST whose connection could not be made goes to the next instance; one that may have been received does not."""
    asking = Asking(down(ONE))
    assert await asking("POST", length=3, key=asking.key_of(ONE)) == "200"
    assert asking.progress.attempts == 2
    for kind in (ErrorKind.RESET, ErrorKind.FIRST_BYTE_TIMEOUT):
        asking = Asking(down(ONE, kind=kind))
        assert await asking("POST", length=3, key=asking.key_of(ONE)) == kind.value
        assert asking.progress.attempts == 1


async def test_a_response_that_was_checked_is_taken_as_it_is() -> None:
    """Where the upstream has checked the head of a response, nobody looks at it again."""

    def checked(status: int = 200, **options: Any) -> FakeResponse:
        response = FakeResponse(status, **options)
        response.is_checked = True
        return response

    for response, expected in (
        (checked(headers=[(b"x", b"\n")]), "200"),
        (checked(101), "protocol"),
        (FakeResponse(headers=[(b"x", b"\n")]), "protocol"),
    ):
        asking = Asking(response, instances=[ONE], waits_for_body=True)
        assert await asking() == expected
    silent = Asking(checked(), instances=[instance(1, active=False)])
    assert await silent() == "200"
    assert silent.vouched == [ONE.token]


async def test_a_touched_body_is_never_sent_twice() -> None:
    """An upload of which a piece was taken is not sent again, whatever the failure calls itself."""

    async def take_and_fail(request: UpstreamRequest) -> FakeResponse:
        assert not isinstance(request.body, bytes)
        assert request.body is not None
        await anext(request.body)
        raise failing(ErrorKind.CONNECT_REFUSED)

    asking = Asking(take_and_fail)
    assert await asking("PUT", length=3) == "connect-refused"
    assert asking.progress.attempts == 1


async def test_an_instance_that_failed_three_times_is_left_out() -> None:
    """After that every request of its users goes to the other one at once, but for a try each time it is due."""
    asking = Asking(down(ONE))
    key = asking.key_of(ONE)
    attempts = []
    for _ in range(10):
        assert await asking(key=key) == "200"
        attempts.append(asking.progress.attempts)
    assert attempts == [2, 2, 2] + [1] * 7
    asking.clock.time = 1.0
    assert [await asking(key=key) for _ in range(5)] == ["200"] * 5
    assert asking.asked.count("10.0.0.1") == 4


async def test_retries_have_a_budget() -> None:
    """When everything fails, attempts stay below 1.25 times the requests at 500 requests a second."""
    asking = Asking(failing(ErrorKind.CONNECT_REFUSED), instances=[ONE, TWO, THREE])
    requests = 5_000
    for number in range(requests):
        asking.clock.time = number / 500
        assert await asking(key=str(number)) == "connect-refused"
    assert requests < len(asking.asked) <= 1.25 * requests


async def test_where_the_budget_is_spent_the_failure_is_final() -> None:
    """The request that finds no retry left gets the answer of its first attempt."""
    asking = Asking(failing(ErrorKind.RESET))
    while asking.health.may_retry("orders"):
        pass
    assert await asking() == "reset"
    assert asking.progress.attempts == 1


async def test_a_lone_instance_s_second_chance_is_a_retry() -> None:
    """Asking the same one again after a reset costs as much as asking another."""
    asking = Asking(failing(ErrorKind.RESET), instances=[ONE])
    for _ in range(10):
        await asking()
    assert len(asking.asked) < 20


async def test_one_deadline_for_all_attempts() -> None:
    """Each attempt gets what the ones before it left, and after the deadline there is no other."""

    def slow(request: UpstreamRequest) -> FakeResponse:
        asking.clock.time += 6.0
        raise failing(ErrorKind.FIRST_BYTE_TIMEOUT)

    asking = Asking(slow, instances=[ONE, TWO, THREE], deadline=10.0, timeouts=Timeouts(first_byte=8.0))
    assert await asking() == "first-byte-timeout"
    assert [request.timeouts.first_byte for request in asking.upstream.requests] == [8.0, 4.0]
    assert asking.upstream.requests[1].timeouts.connect == 1.0


async def test_one_s_own_turn_is_no_attempt() -> None:
    """Where the next in order is the node itself, the request comes back, even without a retry left."""
    asking = Asking(down(ONE))
    while asking.health.may_retry("orders"):
        pass
    assert await asking(key=asking.key_of(ONE), local=TWO) == "local"
    assert asking.asked == ["10.0.0.1"]
    assert asking.progress.instance is TWO


async def test_an_ejected_first_choice_may_leave_the_node_itself() -> None:
    """Then nobody is asked over the network at all."""
    asking = Asking(down(ONE))
    key = asking.key_of(ONE)
    for _ in range(3):
        assert await asking(key=key, local=TWO) == "local"
    assert await asking(key=key, local=TWO) == "local"
    assert asking.progress.attempts == 0
    assert len(asking.asked) == 3


async def test_a_request_that_may_not_be_repeated_does_not_come_home() -> None:
    """A POST that the failed instance may have received is not served a second time here."""
    asking = Asking(down(ONE, kind=ErrorKind.RESET))
    assert await asking("POST", length=3, key=asking.key_of(ONE), local=TWO) == "reset"


async def test_a_try_is_short_where_another_can_answer() -> None:
    """A GET that finds out about an ejected instance waits two seconds for it, an upload as long as ever."""
    asking = Asking(down(ONE, kind=ErrorKind.FIRST_BYTE_TIMEOUT))
    key = asking.key_of(ONE)
    for _ in range(3):
        await asking(key=key)
    asking.clock.time = 1.0
    assert await asking(key=key) == "200"
    assert [request.timeouts.first_byte for request in asking.upstream.requests[-2:]] == [2.0, 30.0]
    asking.clock.time = 10.0
    await asking("POST", length=3, key=key)
    assert asking.upstream.requests[-1].address == ONE.address
    assert asking.upstream.requests[-1].timeouts == Timeouts()


async def test_a_lone_instance_is_not_hurried() -> None:
    """Nobody else could answer, so it gets its whole time however often it failed."""
    asking = Asking(failing(ErrorKind.FIRST_BYTE_TIMEOUT), instances=[ONE])
    for _ in range(5):
        await asking()
    assert {request.timeouts for request in asking.upstream.requests} == {Timeouts()}


async def test_garbage_in_a_row_ejects() -> None:
    """Heads that cannot be passed on count against an instance, one of them does not."""
    asking = Asking(FakeResponse(headers=[(b"x", b"a\r\nb")]), FakeResponse(101))
    key = asking.key_of(ONE)
    assert await asking(key=key) == "protocol"
    assert next(asking.health.order(asking.group, key)) is ONE
    for _ in range(10):
        assert await asking(key=key) == "protocol"
    assert next(asking.health.order(asking.group, key)) is TWO
    assert asking.upstream.open_responses == 0


async def test_silent_instances_are_vouched_for_and_asked_once() -> None:
    """An inactive instance gets one short attempt, and its answer keeps it listed."""
    asking = Asking(FakeResponse(), instances=[instance(1, active=False)])
    assert await asking() == "200"
    assert asking.vouched == [1_000_000_001]
    assert asking.upstream.requests[0].timeouts == Timeouts(0.5, 2.0)


@pytest.mark.parametrize("given", [Timeouts(2.0, 9.0), Timeouts(None, None)])
async def test_no_attempt_passes_the_deadline(given: Timeouts) -> None:
    """The time that is left bounds connecting and waiting, whatever was configured."""
    asking = Asking(FakeResponse(), deadline=1.5, timeouts=given)
    await asking()
    assert asking.upstream.requests[0].timeouts == Timeouts(1.5, 1.5, 60.0)


LENGTH = [(b"Content-Length", b"4")]
CUT = FakeResponse(200, [failing(ErrorKind.TRUNCATED)], headers=LENGTH)


@pytest.mark.parametrize(
    ("method", "cut", "ends"),
    [
        ("GET", CUT, "200"),
        ("GET", FakeResponse(200, [failing(ErrorKind.IDLE_TIMEOUT)], headers=LENGTH), "idle-timeout"),
        ("POST", CUT, "200 truncated"),
        ("GET", FakeResponse(200, [failing(ErrorKind.TRUNCATED)]), "200 truncated"),
        ("HEAD", CUT, "200 truncated"),
    ],
)
async def test_a_head_without_its_body_is_no_answer(method: str, cut: FakeResponse, ends: str) -> None:
    """An instance that dies between head and body costs no GET; whatever may not be repeated, or streams, is begun."""
    asking = Asking(cut, FakeResponse(200, b"good", headers=LENGTH), waits_for_body=True)
    ended = await asking(method, length=3 if method == "POST" else 0)
    if asking.answer is not None and len(asking.asked) == 1:
        with pytest.raises(UpstreamError) as late:
            [piece async for piece in asking.answer.body()]
        ended += f" {late.value.kind.value}"
    assert ended == ends
    assert len(asking.asked) == (2 if ends == "200" else 1)


async def test_a_body_that_has_begun_is_whole() -> None:
    """The piece that was waited for comes first, the others after it; leaving the answer closes the response."""
    asking = Asking(FakeResponse(200, [b"on", b"", b"e"], headers=LENGTH), waits_for_body=True)
    assert await asking() == "200"
    assert asking.answer is not None
    async with asking.answer as answer:
        assert [piece async for piece in answer.body()] == [b"on", b"", b"e"]
        assert asking.upstream.open_responses == 1
    assert asking.upstream.open_responses == 0


async def test_waiting_for_a_body_can_be_cancelled() -> None:
    """A client that leaves between head and body leaves no response open, and nothing against the instance."""

    def headed(request: UpstreamRequest) -> FakeResponse:
        return FakeResponse(200, [asyncio.Event().wait()], headers=LENGTH)

    asking = Asking(headed, waits_for_body=True)
    for _ in range(30):
        waiting = asyncio.create_task(asking())
        for _ in range(3):
            await asyncio.sleep(0)
        assert asking.upstream.open_responses == 1
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert asking.upstream.open_responses == 0
    assert next(asking.health.order(asking.group, "")) is asking.group.pick("")


async def test_nodes_of_ours_are_told_the_key() -> None:
    """The key and the instance's own token go along with the request."""
    asking = Asking(FakeResponse(), instances=[ONE])
    await asking(key="k1")
    assert asking.upstream.requests[0].headers == [(b"hydra-path", b"1000000001"), (b"hydra-key", b"k1")]


async def test_nobody_to_ask() -> None:
    """An empty group fails without an attempt."""
    asking = Asking(FakeResponse(), instances=[])
    assert await asking() == "no-instance"
    assert asking.progress.attempts == 0
